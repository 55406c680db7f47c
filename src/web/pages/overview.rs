//! `/`: in five seconds, whether mail flows, what breaks next and what to do first (`ux.md` 6.3).

mod causes;
mod checks;
mod dates;
mod recent;

use super::consent::view::{ConsentCard, card};
use super::mailboxes::list::{grouped, state_kind, state_words};
use super::walkthroughs::{self, Row};
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
use crate::web::routes::{Access, OVERVIEW, Routes};
use crate::web::time::Zone;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use causes::{Cause, causes, retires};
use checks::{Checked, Standing, checked, standing};
use dates::{Track, tracks};
use recent::{Change, changes};
use serde::Deserialize;

/// How many causes are shown?
const SHOWN: usize = 7;
/// How many unfinished setups are shown?
const SETUPS: i64 = 3;
/// For how many days is the answer of an admin shown, and how many at most?
const CONSENT_DAYS: i64 = 7;
const CONSENTS: i64 = 5;

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
    tracks: Vec<Track>,
    working: String,
    total: i64,
    total_words: String,
    shares: Vec<Share>,
    /// Walkthroughs that somebody began and nobody finished.
    setups: Vec<Row>,
    more_setups: bool,
    consents: Vec<ConsentCard>,
    changes: Vec<Change>,
}

/// `GET /`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(show): Query<Show>) -> Result<Response, PageError> {
    let app = &web.app;
    let now = app.clock.now();
    let states = app.store.mailbox_states().await?;
    let total: i64 = states.iter().map(|(_, count)| count).sum();
    let working = count_of(&states, MailboxState::Working);
    let providers = app.store.providers().await?;
    let usage = app.store.provider_usage().await?;
    let mut causes = causes(app, &providers, &usage).await?;
    let touching = web.lists.changes(app).await?;
    causes.extend(touching.iter().map(|(change, count)| retires(change, *count, now)));
    let found = causes.len();
    if show.all.is_empty() {
        causes.truncate(SHOWN);
    }
    let empty = total == 0;
    let standing = standing(app).await?;
    let heading = match &standing {
        Standing::Still { since } => match since {
            Some(since) => {
                let zone = Zone::named(&user.user().time_zone).unwrap_or_else(|| web.zone.clone());
                format!("Not checked since {}", zone.words(*since, now))
            }
            None => "Checks have not begun".to_owned(),
        },
        Standing::Next(_) | Standing::None => heading(&states, found, empty),
    };
    let mut setups = walkthroughs::rows(app, false, SETUPS + 1).await?;
    let most = usize::try_from(SETUPS).unwrap_or(3);
    let more_setups = setups.len() > most;
    setups.truncate(most);
    OverviewPage {
        layout: user.layout(Section::Overview, &heading).await,
        sub: match total {
            0 => String::new(),
            1 if working == 1 => "Your mailbox works.".to_owned(),
            1 => "0 of 1 mailboxes work.".to_owned(),
            _ => format!("{} of {} mailboxes work.", grouped(working), grouped(total)),
        },
        last_checked: app.store.last_checked().await?,
        never_checked: match app.store.never_checked().await? {
            0 => String::new(),
            1 => ", 1 never".to_owned(),
            n => format!(", {} never", grouped(n)),
        },
        more: found - causes.len(),
        causes: causes.into_iter().map(|cause| cause.for_user(&user)).collect(),
        working: grouped(working),
        total_words: grouped(total),
        shares: shares(&states, total),
        consents: consents(app, &providers).await?,
        changes: changes(app).await?,
        tracks: tracks(&providers, &usage, now),
        checked: checked(app, &providers, &usage).await?,
        standing,
        heading,
        empty,
        setups,
        more_setups,
        total,
    }
    .show()
}

/// The verdict, which is the heading.
fn heading(states: &[(MailboxState, i64)], found: usize, empty: bool) -> String {
    let working = count_of(states, MailboxState::Working);
    let untested = count_of(states, MailboxState::NotTested);
    match (empty, found) {
        (true, _) => "Let's connect the first mailbox".to_owned(),
        (false, 0) if working == 0 => "Nothing is tested yet".to_owned(),
        // What was never looked at is not green.
        (false, 0) if untested == 1 => "1 mailbox isn't tested yet".to_owned(),
        (false, 0) if untested > 1 => format!("{} mailboxes aren't tested yet", grouped(untested)),
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
