//! Opens a notice for a cause that is new, lets what joins it in silence, and closes it when all of it works again. What fails for a reason
//! of its own and works again leaves it: when that fails once more it is news, though others were never mended. Whatever the state of the
//! table, the next look makes it right.

use super::find::{Group, Item};
use super::words::Desk;
use crate::app::App;
use crate::model::notices::{Member, Notice, State};
use crate::store::notices::Standing;
use crate::store::{StoreResult, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// How many rows are written together?
const ROWS_AT_ONCE: usize = 300;
/// What divides the key of a cause from the number of a later one with the same key.
const LATER: char = '#';

/// What a look found to be written down.
#[derive(Default)]
struct Plan {
    opened: Vec<(Notice, Vec<Member>)>,
    joined: Vec<(String, Member)>,
    left: Vec<(String, Member)>,
    reworded: Vec<Notice>,
    closed: Vec<Notice>,
}

/// Writes rows some at a time, each with as much as has to be there together: thousands of mailboxes that fail at once must not keep
/// everybody else from writing. A process that dies in between has opened the cause, and the next look adds what is missing to it.
struct Writer<'a> {
    app: &'a App,
    open: Option<Tx>,
    rows: usize,
}

impl Writer<'_> {
    /// The transaction for the next row: a new one where the last one is full, after whoever waits has had a turn.
    async fn row(&mut self) -> StoreResult<&mut Tx> {
        if self.rows >= ROWS_AT_ONCE {
            self.end().await?;
        }
        self.rows += 1;
        let tx = match self.open.take() {
            Some(tx) => tx,
            None => self.app.store.begin().await?,
        };
        Ok(self.open.insert(tx))
    }

    async fn end(&mut self) -> StoreResult<()> {
        self.rows = 0;
        match self.open.take() {
            Some(tx) => tx.commit().await,
            None => Ok(()),
        }
    }
}

/// Compares what is wrong now with what is open, and writes the difference down. `gone` are causes whose end is no recovery.
pub(super) async fn look(app: &App, groups: &[Group], gone: &[&str], desk: &Desk) -> StoreResult<()> {
    let open = app.store.open_notices().await?;
    let members = app.store.notice_members().await?;
    let plan = plan(app, groups, gone, desk, &open, &members);
    let mut writer = Writer { app, open: None, rows: 0 };
    for (notice, hit) in &plan.opened {
        if writer.row().await?.insert_notice(notice).await? {
            for member in hit {
                writer.row().await?.add_notice_member(&notice.id, member).await?;
            }
        }
    }
    for (notice, member) in &plan.joined {
        writer.row().await?.add_notice_member(notice, member).await?;
    }
    for (notice, member) in &plan.left {
        writer.row().await?.leave_notice(notice, member, desk.now).await?;
    }
    for notice in &plan.reworded {
        writer.row().await?.reword_notice(notice).await?;
    }
    for notice in &plan.closed {
        writer.row().await?.close_notice(notice, desk.now).await?;
    }
    writer.end().await
}

fn plan(
    app: &App,
    groups: &[Group],
    gone: &[&str],
    desk: &Desk,
    open: &[Notice],
    members: &BTreeMap<String, Vec<(Member, Standing)>>,
) -> Plan {
    let mut plan = Plan::default();
    let mut alive: BTreeSet<&str> = BTreeSet::new();
    let hits = |notice: &Notice| members.get(&notice.id).map(Vec::as_slice).unwrap_or_default();
    for group in groups {
        let mine: Vec<&Notice> = open.iter().filter(|notice| key(&notice.cause) == group.key).collect();
        let known: BTreeMap<&Member, &Notice> = mine
            .iter()
            .flat_map(|notice| hits(notice).iter().map(move |hit| (hit, *notice)))
            .filter(|((_, standing), _)| *standing != Standing::Left)
            .map(|((member, _), notice)| (member, notice))
            .collect();
        // In which ways those fail who were told of.
        let ways: BTreeSet<(&str, &str)> = group
            .items
            .iter()
            .filter_map(|item| Some((known.get(&item.member)?.id.as_str(), item.way.as_str())))
            .filter(|(_, way)| !way.is_empty())
            .collect();
        let joinable = |item: &Item| {
            let is_alike = |notice: &Notice| ways.contains(&(notice.id.as_str(), item.way.as_str()));
            let may = |notice: &&&Notice| notice.state.is_untold() || notice.opened_at >= item.joins || is_alike(notice);
            mine.iter().rev().find(may).copied()
        };
        let (mut of, mut rest, mut waits): (BTreeMap<&str, Vec<usize>>, Vec<usize>, Vec<usize>) = Default::default();
        for (at, item) in group.items.iter().enumerate() {
            match known.get(&item.member).copied().or_else(|| joinable(item)) {
                Some(notice) if known.contains_key(&item.member) => of.entry(&notice.id).or_default().push(at),
                // Nobody has heard of it yet.
                Some(notice) if group.gathers && !notice.state.is_untold() => waits.push(at),
                Some(notice) => {
                    plan.joined.push((notice.id.clone(), item.member.clone()));
                    of.entry(&notice.id).or_default().push(at);
                }
                None => rest.push(at),
            }
        }
        if !rest.is_empty() {
            rest.append(&mut waits);
        }
        let failing: BTreeSet<&Member> = group.items.iter().map(|item| &item.member).collect();
        for notice in &mine {
            let Some(items) = of.get(notice.id.as_str()) else { continue };
            alive.insert(&notice.id);
            let works = hits(notice).iter().filter(|(_, standing)| *standing == Standing::Works);
            let works = works.filter(|(member, _)| !failing.contains(member));
            plan.left.extend(works.map(|(member, _)| (notice.id.clone(), member.clone())));
            let words = desk.words(group, items);
            // Once it is told, its words are those of when it hit the most: they say what works again in the end.
            let grew = plan.joined.iter().any(|(id, _)| *id == notice.id) && words.mailboxes >= notice.words.mailboxes;
            if (notice.state.is_untold() || grew) && words != notice.words {
                plan.reworded.push(Notice {
                    words,
                    ..(*notice).clone()
                });
            }
        }
        if rest.iter().any(|at| group.items[*at].is_told) {
            let id = app.new_id();
            let notice = Notice {
                event: group.event,
                cause: if mine.is_empty() {
                    group.key.clone()
                } else {
                    format!("{}{LATER}{id}", group.key)
                },
                state: State::New,
                opened_at: desk.now,
                closed_at: None,
                words: desk.words(group, &rest),
                id,
            };
            plan.opened
                .push((notice, rest.iter().map(|at| group.items[*at].member.clone()).collect()));
        }
    }
    plan.closed = open
        .iter()
        .filter(|notice| !alive.contains(notice.id.as_str()))
        .filter_map(|notice| {
            let state = match over(notice, hits(notice))? {
                State::Over if gone.iter().any(|gone| is_of(key(&notice.cause), gone)) => State::Done,
                state => state,
            };
            Some(Notice { state, ..notice.clone() })
        })
        .collect();
    plan
}

/// The key of a cause, without the number of a later one.
fn key(cause: &str) -> &str {
    cause.rsplit_once(LATER).map_or(cause, |(key, _)| key)
}

/// Whether a cause has this key; one that ends in a colon is that of all whose key begins so.
fn is_of(key: &str, gone: &str) -> bool {
    key == gone || (gone.ends_with(':') && key.starts_with(gone))
}

/// What is still to be told of a notice that nothing is found of any more; none while it isn't known whether it is over.
fn over(notice: &Notice, hits: &[(Member, Standing)]) -> Option<State> {
    if hits.iter().any(|(_, standing)| *standing == Standing::Unknown) {
        return None;
    }
    // What fails otherwise by now is told under its other cause; what is gone is no recovery.
    let works = hits
        .iter()
        .any(|(_, standing)| matches!(standing, Standing::Works | Standing::Left));
    Some(match notice.state {
        State::New | State::Unheard => State::Dropped,
        _ if works && !notice.words.recovered.is_empty() => State::Over,
        _ => State::Done,
    })
}
