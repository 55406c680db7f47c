//! How the steps of a walkthrough stand: what is known by itself, over what was noted.

use super::facts::{Fact, Facts, Known};
use super::seen::Seen;
use super::{Walk, may_confirm};
use crate::actions::links::LinkState;
use crate::actions::{ActionError, links, provider_links, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::report::Diagnosis;
use crate::model::walkthrough::{Check, Send, Step, StepRow, StepState};
use crate::store::StoreResult;

/// Whom a step was sent to, and what became of the link.
#[derive(Debug, Clone, PartialEq)]
pub struct Where {
    /// To whom.
    pub to: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// When the link was first opened.
    pub opened: Option<Timestamp>,
    /// Whether a link went along.
    pub has_link: bool,
    /// Whether it can't be used any more, and why.
    pub over: Option<&'static str>,
    /// Whether the provider became another one since: what was sent names the app it was before.
    pub outdated: bool,
}

/// How a step stands.
#[derive(Debug, Clone)]
pub struct Stand {
    /// Its number, from 1.
    pub number: usize,
    /// The step.
    pub step: &'static Step,
    /// How it stands.
    pub state: StepState,
    /// What that rests on.
    pub evidence: String,
    /// What a failure means.
    pub problem: Option<Diagnosis>,
    /// Since when.
    pub at: Option<Timestamp>,
    /// By whom.
    pub by: String,
    /// When it last held.
    pub held_at: Option<Timestamp>,
    /// The number of the step it waits for.
    pub waits_for: Option<usize>,
    /// Whom it was sent to, while it waits.
    pub sent: Option<Where>,
}

impl Stand {
    /// Whether it can be begun.
    pub fn may_start(&self) -> bool {
        self.waits_for.is_none() || self.state != StepState::Open
    }

    /// Whether *Check now* may tell something.
    pub const fn can_check(&self) -> bool {
        !matches!(
            self.step.check,
            Check::Person
                | Check::Provider
                | Check::Token
                | Check::Mailbox
                | Check::TurnedOn
                | Check::Switched
                | Check::SwitchedAll
                | Check::LoggedOut
        )
    }

    /// Whether a person's word counts.
    pub const fn can_confirm(&self) -> bool {
        may_confirm(self.step.check)
    }
}

/// How every step stands.
pub(super) async fn stands(app: &App, walk: &Walk, seen: &mut Seen) -> Result<Vec<Stand>, ActionError> {
    let facts = Facts::of(app, walk, seen).await?;
    let mut all: Vec<Stand> = Vec::new();
    for (at, step) in walk.template.steps().enumerate() {
        let stored = walk.stored(step);
        let mut stand = merge(at + 1, step, stored, facts.about(step));
        let waits = |other: &&Stand| step.waits.contains(&other.step.id) && !other.state.is_over();
        stand.waits_for = all.iter().find(waits).map(|other| other.number);
        if let Some(row) = stored.filter(|_| stand.state == StepState::Waiting) {
            let sent = sent(app, walk, step, row).await?;
            if step.check == Check::Person && sent.over == Some("used") {
                (stand.state, stand.evidence) = (StepState::Done, "It came back through the link".to_owned());
            } else {
                stand.sent = Some(sent);
            }
        }
        all.push(stand);
    }
    Ok(all)
}

impl Walk {
    /// How every step stands. `seen`: what was looked up for other walkthroughs of the same list.
    pub async fn stands(&self, app: &App, seen: &mut Seen) -> Result<Vec<Stand>, ActionError> {
        stands(app, self, seen).await
    }
}

fn merge(number: usize, step: &'static Step, stored: Option<&StepRow>, fact: Fact) -> Stand {
    let from_row = || Stand {
        number,
        step,
        state: stored.map_or(StepState::Open, |row| row.state),
        evidence: stored.map(|row| row.evidence.clone()).unwrap_or_default(),
        problem: stored.and_then(|row| row.problem.clone()),
        at: stored.filter(|row| row.state != StepState::Open).map(|row| row.changed_at),
        by: stored.map(|row| row.changed_by.clone()).unwrap_or_default(),
        held_at: stored.and_then(|row| row.held_at),
        waits_for: None,
        sent: None,
    };
    let known = |state: StepState, known: Known| {
        let same = stored.filter(|row| row.state == state);
        Stand {
            state,
            evidence: known.text,
            problem: known.problem,
            at: same.map(|row| row.changed_at).or(known.at),
            by: same.map(|row| row.changed_by.clone()).unwrap_or(known.by),
            held_at: if state == StepState::Done { known.at } else { None }.max(stored.and_then(|row| row.held_at)),
            ..from_row()
        }
    };
    // What was noted later than it came to be known counts.
    let newer = |at: Option<Timestamp>, states: &[StepState]| {
        stored.is_some_and(|row| states.contains(&row.state) && at.is_some_and(|at| at < row.changed_at))
    };
    // What a person did in the same second came after it.
    let since = |at: Option<Timestamp>, states: &[StepState]| {
        stored.is_some_and(|row| states.contains(&row.state) && at.is_some_and(|at| at <= row.changed_at))
    };
    use StepState as S;
    match fact {
        Fact::Holds(found) if !newer(found.at, &[S::Problem]) => known(S::Done, found),
        Fact::Told(found) if !newer(found.at, &[S::Problem, S::Waiting, S::Done]) => known(S::Confirmed, found),
        Fact::Wrong(found) if !newer(found.at, &[S::Done]) && !since(found.at, &[S::Confirmed, S::Waiting]) => known(S::Problem, found),
        Fact::Stale(text) if stored.is_none_or(|row| row.state != S::Waiting && row.state != S::Confirmed) => Stand {
            state: S::Open,
            evidence: text,
            problem: None,
            at: None,
            ..from_row()
        },
        Fact::Not(text) => {
            let row = from_row();
            match row.state {
                S::Done => Stand {
                    state: S::Problem,
                    held_at: row.held_at.or(row.at),
                    evidence: if text.is_empty() {
                        "It isn't there any more".to_owned()
                    } else {
                        text
                    },
                    at: None,
                    ..row
                },
                S::Open => Stand { evidence: text, ..row },
                _ => row,
            }
        }
        _ => from_row(),
    }
}

/// What a request is about: the app, its directory, and where it sends people back to. As long as there is no provider, the last alone:
/// its end is the name that the provider is going to have.
pub(super) async fn sent_for(app: &App, walk: &Walk) -> StoreResult<String> {
    let name = walk
        .provider
        .as_ref()
        .map_or(walk.row.name.as_str(), |provider| provider.name.as_str());
    let back = match name {
        "" => String::new(),
        name => settings::url(app, &format!("/oauth/callback/{name}")).await?,
    };
    Ok(match &walk.provider {
        Some(provider) => format!(
            "App {} in {}, which sends people back to {back}",
            provider.client_id,
            provider.tenant.as_deref().unwrap_or("no directory")
        ),
        None => back,
    })
}

/// Whether what was sent is about something else than it would be now. What wasn't known then has only been added since.
fn is_outdated(then: &str, now: &str) -> bool {
    !now.ends_with(then)
}

async fn sent(app: &App, walk: &Walk, step: &Step, row: &StepRow) -> Result<Where, ActionError> {
    let now = app.clock.now();
    let mut found = Where {
        to: row.sent_to.clone(),
        at: row.changed_at,
        by: row.changed_by.clone(),
        opened: None,
        has_link: !row.link_id.is_empty(),
        over: None,
        outdated: is_outdated(&row.evidence, &sent_for(app, walk).await?),
    };
    if row.link_id.is_empty() {
        return Ok(found);
    }
    let state = match (step.send, &walk.provider) {
        (Send::SignIn, _) => app.store.link(&row.link_id).await?.map(|link| {
            found.opened = link.opened_at;
            links::state(&link, now)
        }),
        (_, Some(provider)) => app.store.provider_link(&row.link_id).await?.map(|link| {
            found.opened = link.opened_at;
            provider_links::state(&link, provider, now)
        }),
        (_, None) => None,
    };
    found.over = match state {
        Some(LinkState::Ready) => None,
        Some(LinkState::Used) => Some("used"),
        Some(LinkState::Withdrawn) => Some("withdrawn"),
        Some(LinkState::Ended) | None => Some("over"),
    };
    Ok(found)
}
