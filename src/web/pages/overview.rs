//! `/`: in five seconds, whether mail flows, what breaks next and what to do first (`ux.md` 6.3).

pub(super) mod causes;
mod checks;
mod recent;

use super::consent::view::{ConsentCard, card};
use super::expiry::{self, DateRow, TRACK_DAYS};
use super::mailboxes::list::{grouped, state_kind, state_words};
use super::walkthroughs::{self, Row};
use crate::actions::expiry::Apps;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::MailboxState;
use crate::model::provider::Provider;
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::records::zone;
use crate::web::routes::{Access, OVERVIEW, Routes};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use causes::{Cause, Facts, causes};
use checks::{Checked, Standing, checked, standing};
use recent::{Change, changes};
use serde::Deserialize;
use std::sync::Arc;

/// How many causes are shown?
const SHOWN: usize = 7;
/// How many unfinished setups are shown?
const SETUPS: i64 = 3;
/// For how many days is the answer of an admin shown, and how many at most?
const CONSENT_DAYS: i64 = 7;
const CONSENTS: i64 = 5;

/// How many dates are shown?
const TRACKS: i64 = 6;
/// The blocks, as a note names them that can't be read.
const MAILBOXES: &str = "the mailboxes";
const NEEDS: &str = "what needs you";
const DATES: &str = "what expires next";
const CHECKS: &str = "the check history";
const SETUPS_BLOCK: &str = "the setups in progress";
const CONSENTS_BLOCK: &str = "the answers of admins";
const CHANGES: &str = "the recent changes";

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new().get(OVERVIEW, Access::Permission(Permission::View), index)
}

/// How much is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Show {
    /// All causes.
    all: String,
}

/// A state with its number.
struct Share {
    kind: &'static str,
    words: &'static str,
    word: &'static str,
    count: String,
    /// Where its bar begins and how wide it is, in percent.
    from: String,
    width: String,
}

#[derive(Template)]
#[template(path = "overview/index.html")]
struct OverviewPage {
    layout: Layout,
    heading: String,
    sub: String,
    last_checked: Option<Timestamp>,
    /// What to add where some never were.
    never_checked: String,
    /// How the worker that checks does.
    standing: Standing,
    checked: Vec<Checked>,
    empty: bool,
    causes: Vec<Cause>,
    more: usize,
    /// The nearest dates, on a track.
    dates: Vec<DateRow>,
    /// How many there are, as a link; empty where there are none.
    all_dates: String,
    working: String,
    /// How many more work in one direction, as a few words; empty where none do.
    half: String,
    total: i64,
    total_words: String,
    shares: Vec<Share>,
    /// Walkthroughs that somebody began and nobody finished.
    setups: Vec<Row>,
    more_setups: bool,
    consents: Vec<ConsentCard>,
    changes: Vec<Change>,
    broken: Broken,
}

/// Blocks that could not be read: the others stay.
struct Broken {
    list: Vec<&'static str>,
    reference: String,
}

impl Broken {
    /// What was read, or nothing, and then the block says so.
    fn or<T: Default, E: std::fmt::Debug>(&mut self, block: &'static str, result: Result<T, E>) -> T {
        result.unwrap_or_else(|error| {
            tracing::warn!(?error, "The overview can't read {block}: {error:?}");
            self.list.push(block);
            T::default()
        })
    }

    /// What to say of a block; none where it was read.
    fn of(&self, block: &str) -> Option<String> {
        let broken = self.list.contains(&block);
        broken.then(|| {
            format!(
                "Couldn't read {block}. Nothing is lost by that; the log says why under {}.",
                self.reference
            )
        })
    }
}

/// `GET /`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(show): Query<Show>) -> Result<Response, PageError> {
    let app = &web.app;
    let mut broken = Broken {
        list: Vec::new(),
        reference: user.visit.request_id.clone(),
    };
    let states = broken.or(MAILBOXES, app.store.mailbox_states().await);
    let total: i64 = states.iter().map(|(_, count)| count).sum();
    let working = count_of(&states, MailboxState::Working);
    let half = broken.or(MAILBOXES, app.store.half_tested().await);
    let never = broken.or(MAILBOXES, app.store.never_checked().await);
    let apps = Arc::new(broken.or(NEEDS, Apps::read(app).await));
    if broken.list.contains(&NEEDS) {
        // Dates are told from the same.
        broken.list.push(DATES);
    }
    let standing = broken.or(CHECKS, standing(app).await);
    let dates = broken.or(
        DATES,
        expiry::nearest(&web, &user, &apps, TRACKS, TRACK_DAYS, causes::SOON_DAYS).await,
    );
    let touching = broken.or(NEEDS, web.lists.changes(app).await);
    let facts = Facts {
        providers: &apps.providers,
        usage: &apps.usage,
        dates: &dates.causes,
        standing: &standing,
        touching: &touching,
    };
    let mut causes = broken.or(NEEDS, causes(app, &facts).await);
    let found = causes.len();
    if show.all.is_empty() {
        causes.truncate(SHOWN);
    }
    let empty = total == 0 && !broken.list.contains(&MAILBOXES);
    let heading = match &standing {
        Standing::Still { since } => match since {
            Some(since) => {
                format!("Not checked since {}", zone(&web, &user).words(*since, app.clock.now()))
            }
            None => "Checks have not begun".to_owned(),
        },
        // What can't be read is not green.
        _ if [MAILBOXES, NEEDS, DATES, CHECKS].iter().any(|block| broken.list.contains(block)) => "Not everything could be read".to_owned(),
        Standing::Next(_) | Standing::None => heading(&states, (half, never), found, empty),
    };
    let mut setups = broken.or(SETUPS_BLOCK, walkthroughs::rows(app, false, SETUPS + 1).await);
    let most = usize::try_from(SETUPS).unwrap_or(3);
    let more_setups = setups.len() > most;
    setups.truncate(most);
    let mut layout = user.layout(Section::Overview, &heading).await;
    if !broken.list.contains(&NEEDS) {
        // These stand among what needs somebody.
        (layout.counts.mail_dead, layout.counts.webhook_dead) = (None, None);
    }
    OverviewPage {
        layout,
        sub: sub(total, working, half),
        last_checked: broken.or(MAILBOXES, app.store.last_checked().await),
        never_checked: match never {
            0 => String::new(),
            1 => ", 1 never".to_owned(),
            n => format!(", {} never", grouped(n)),
        },
        more: found - causes.len(),
        causes: causes.into_iter().map(|cause| cause.for_user(&user)).collect(),
        working: grouped(working),
        half: match half {
            0 => String::new(),
            n => format!("{} in one direction", grouped(n)),
        },
        total_words: grouped(total),
        shares: shares(&states, total),
        consents: broken.or(CONSENTS_BLOCK, consents(app, &apps.providers).await),
        changes: broken.or(CHANGES, changes(app).await),
        dates: dates.first,
        all_dates: match dates.all {
            0 => String::new(),
            1 => "1 date".to_owned(),
            all => format!("All {} dates", expiry::counted(all)),
        },
        checked: broken.or(CHECKS, checked(app, &apps.providers, &apps.usage).await),
        standing,
        heading,
        empty,
        setups,
        more_setups,
        total,
        broken,
    }
    .show()
}

/// How many work, as a sentence: one that passed in one direction and was not tested in the other is told as that.
fn sub(total: i64, working: i64, half: i64) -> String {
    let rest = match half {
        0 => String::new(),
        1 => " 1 works in one direction, the other isn't tested.".to_owned(),
        n => format!(" {} work in one direction, the other isn't tested.", grouped(n)),
    };
    match total {
        0 => String::new(),
        1 if working == 1 => "Your mailbox works.".to_owned(),
        1 if half == 1 => "Your mailbox works in one direction, the other isn't tested.".to_owned(),
        1 => "0 of 1 mailboxes work.".to_owned(),
        _ => format!(
            "{} of {} mailboxes work{}.{rest}",
            grouped(working),
            grouped(total),
            if half > 0 { " in full" } else { "" }
        ),
    }
}

/// The verdict, which is the heading. Of those that aren't tested `half` passed in one direction, and `never` were never looked at.
fn heading(states: &[(MailboxState, i64)], (half, never): (i64, i64), found: usize, empty: bool) -> String {
    let working = count_of(states, MailboxState::Working);
    let untested = count_of(states, MailboxState::NotTested) - half;
    // What was tested before, and counts no more, is told apart.
    let yet = if untested <= never { " yet" } else { " now" };
    match (empty, found) {
        (true, _) => "Let's connect the first mailbox".to_owned(),
        (false, 0) if working == 0 && half == 0 && untested <= never => "Nothing is tested yet".to_owned(),
        // What was never looked at is not green.
        (false, 0) if untested == 1 => format!("1 mailbox isn't tested{yet}"),
        (false, 0) if untested > 1 => format!("{} mailboxes aren't tested{yet}", grouped(untested)),
        (false, 0) if half == 1 => "1 mailbox is tested in one direction only".to_owned(),
        (false, 0) if half > 1 => format!("{} mailboxes are tested in one direction only", grouped(half)),
        (false, 0) if working == 0 => "Nothing is tested yet".to_owned(),
        (false, 0) => "Everything works".to_owned(),
        (false, 1) => "1 thing needs you".to_owned(),
        (false, n) if n >= causes::LOOKED_FOR => format!("More than {n} things need you"),
        (false, n) => format!("{n} things need you"),
    }
}

/// Admin consents that were asked for, or answered lately.
async fn consents(app: &App, providers: &[Provider]) -> StoreResult<Vec<ConsentCard>> {
    let now = app.clock.now();
    let since = now.plus(-CONSENT_DAYS * 86_400);
    let ids = app.store.providers_with_consents(since, now, CONSENTS).await?;
    let mut cards = Vec::new();
    for provider in providers.iter().filter(|provider| ids.contains(&provider.id)) {
        let card = card(app, provider).await?;
        cards.extend(card.filter(|card| card.asked.is_some() || card.at.as_ref().is_some_and(|(at, _)| *at >= since)));
    }
    Ok(cards)
}

fn count_of(states: &[(MailboxState, i64)], wanted: MailboxState) -> i64 {
    states.iter().find(|(state, _)| *state == wanted).map_or(0, |(_, count)| *count)
}

fn shares(states: &[(MailboxState, i64)], total: i64) -> Vec<Share> {
    let order = [
        MailboxState::Working,
        MailboxState::Partly,
        MailboxState::Failing,
        MailboxState::NotTested,
        MailboxState::Paused,
    ];
    let per_mille = |count: i64| count * 1000 / total.max(1);
    let text = |n: i64| format!("{}.{}", n / 10, n % 10);
    let mut from = 0;
    order
        .into_iter()
        .map(|state| (state, count_of(states, state)))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            // A few out of many still have to be seen.
            let width = per_mille(count).max(8);
            let share = Share {
                kind: state_kind(state),
                words: state_words(state),
                word: state.as_str(),
                count: grouped(count),
                from: text(from.min(992)),
                width: text(width),
            };
            from += width;
            share
        })
        .collect()
}

impl Share {
    /// The fill of its bar.
    fn fill(&self) -> &'static str {
        match self.kind {
            "ok" => "f-ok",
            "warn" => "f-warn",
            "bad" => "f-bad",
            _ => "f-off",
        }
    }
}
