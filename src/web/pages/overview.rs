//! `/`: in five seconds, whether mail flows, what breaks next and what to do first (`ux.md` 6.3).

use super::changes::{ChangeLine, Names};
use super::consent::view::{ConsentCard, card};
use super::mailboxes::list::{ListQuery, grouped, state_kind, state_words};
use super::radar;
use super::tokens::verdict::{ended as ended_words, lower, provider_problem};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{by_id, own};
use crate::model::Date;
use crate::model::audit::AuditRow;
use crate::model::mailbox::MailboxState;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::retirements;
use crate::model::token::GrantType;
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::store::overview::WaitingToken;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{Access, OVERVIEW, Routes};
use crate::web::time::date_words;
use askama::Template;
use axum::extract::State;
use axum::response::Response;

/// How many causes are shown, and how many are looked for?
const SHOWN: usize = 7;
const LOOKED_FOR: i64 = 50;
/// A date this near needs somebody.
const SOON_DAYS: i64 = 14;
/// How far does the track reach?
const TRACK_DAYS: i64 = 90;
/// How many changes are listed?
const CHANGES: i64 = 8;
/// For how long is it shown that a fallback was needed, in seconds? Longer than it takes to be noted again while it is.
const FALLBACK_SHOWN: i64 = 2 * 86_400;
/// For how many days is the answer of an admin shown, and how many at most?
const CONSENT_DAYS: i64 = 7;
const CONSENTS: i64 = 5;

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new().get(OVERVIEW, Access::Permission(Permission::View), index)
}

/// One cause, however many mailboxes it hits.
struct Cause {
    kind: &'static str,
    title: String,
    text: String,
    since: Option<Timestamp>,
    href: String,
    button: &'static str,
}

/// A date on the track.
struct Track {
    title: String,
    text: String,
    days: i64,
    when: String,
    date: String,
    /// Where it stands on the track, in percent.
    place: String,
    kind: &'static str,
    href: String,
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

/// A change, and where it leads.
struct Change {
    line: ChangeLine,
    noun: String,
    target: String,
    href: String,
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
    empty: bool,
    causes: Vec<Cause>,
    more: usize,
    tracks: Vec<Track>,
    working: String,
    total: i64,
    total_words: String,
    shares: Vec<Share>,
    consents: Vec<ConsentCard>,
    changes: Vec<Change>,
}

/// `GET /`.
pub async fn index(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let app = &web.app;
    let states = app.store.mailbox_states().await?;
    let total: i64 = states.iter().map(|(_, count)| count).sum();
    let working = count_of(&states, MailboxState::Working);
    let untested = count_of(&states, MailboxState::NotTested);
    let providers = app.store.providers().await?;
    let mut causes = causes(app, &providers).await?;
    let touching = web.lists.changes(app).await?;
    causes.extend(touching.iter().map(|(change, count)| retires(change, *count, app.clock.now())));
    let found = causes.len();
    causes.truncate(SHOWN);
    for cause in &mut causes {
        cause.button = match cause.button {
            "Replace secret" if !user.may(Permission::SecretSet) => "Open the provider",
            "Enter the password" if !user.may(Permission::TokenEdit) => "Open the token",
            "Sign in again" | "Get authorization token" if !user.may(Permission::TokenAuthorize) => "Open the token",
            may => may,
        };
    }
    let empty = total == 0;
    let heading = match (empty, found) {
        (true, _) => "Let's connect the first mailbox".to_owned(),
        (false, 0) if working == 0 => "Nothing is tested yet".to_owned(),
        // What was never looked at is not green.
        (false, 0) if untested == 1 => "1 mailbox isn't tested yet".to_owned(),
        (false, 0) if untested > 1 => format!("{} mailboxes aren't tested yet", grouped(untested)),
        (false, 0) => "Everything works".to_owned(),
        (false, 1) => "1 thing needs you".to_owned(),
        (false, n) if n >= usize::try_from(LOOKED_FOR).unwrap_or(50) => format!("More than {n} things need you"),
        (false, n) => format!("{n} things need you"),
    };
    let usage = app.store.provider_usage().await?;
    let mailboxes_of = |provider: &Provider| {
        usage
            .iter()
            .find(|usage| usage.provider == provider.id)
            .map_or(0, |usage| usage.mailboxes)
    };
    let mut tracks: Vec<Track> = providers
        .iter()
        .filter_map(|provider| track(provider, mailboxes_of(provider), app.clock.now()))
        .collect();
    tracks.sort_by_key(|track| track.days);
    let rows = app.store.audit_rows(CHANGES * 4).await?;
    let names = Names::load(app).await?;
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
        more: found.saturating_sub(SHOWN),
        working: grouped(working),
        total_words: grouped(total),
        shares: shares(&states, total),
        consents: consents(app, &providers).await?,
        changes: rows
            .into_iter()
            .filter_map(|row| change(row, &names))
            .take(usize::try_from(CHANGES).unwrap_or(8))
            .collect(),
        heading,
        empty,
        causes,
        tracks,
        total,
    }
    .show()
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

/// Everything that needs somebody, most urgent first: what fails, by mailboxes hit; what works in part; dates that are near.
async fn causes(app: &App, providers: &[Provider]) -> StoreResult<Vec<Cause>> {
    let now = app.clock.now();
    let mut causes = Vec::new();
    let mut told: Vec<String> = Vec::new();
    for provider in providers {
        if let Some(problem) = provider.problem.as_deref().and_then(read) {
            let (title, text) = provider_problem(provider.name.as_str(), &problem);
            causes.push(Cause {
                kind: "bad",
                title,
                text,
                since: provider.problem_since,
                href: format!("/providers/{}", provider.name),
                button: "See the fix",
            });
            told.push(problem.title);
        }
    }
    let waiting = app.store.waiting_tokens(LOOKED_FOR).await?;
    let (ended, never): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|token| token.had_grant);
    for token in &ended {
        let problem = token.last_error.as_deref().and_then(read);
        let (title, text) = ended_words(token.grant, problem.as_ref());
        causes.push(Cause {
            kind: "bad",
            title: format!("{}: {}", who(token), lower(&title)),
            text: format!("{text} {}", uses(token.mailboxes)),
            since: token.since,
            href: format!("/tokens/{}", token.name),
            button: match token.grant {
                GrantType::AuthorizationCode | GrantType::DeviceCode => "Sign in again",
                GrantType::Password => "Enter the password",
                GrantType::ClientCredentials | GrantType::JwtBearer => "See the fix",
            },
        });
        told.extend(problem.map(|problem| problem.title));
    }
    // What a test of such a mailbox says is the same cause once more.
    let behind = [(!never.is_empty(), own::NOT_AUTHORIZED), (!ended.is_empty(), own::NEEDS_SIGN_IN)];
    let behind = behind.into_iter().filter(|(is_listed, _)| *is_listed);
    told.extend(behind.filter_map(|(_, id)| by_id(id)).map(|cause| cause.title));
    for (title, count, since, name) in app.store.mailbox_problems(LOOKED_FOR).await? {
        if told.contains(&title) {
            // One cause, one item: the token or provider behind it is listed already.
            continue;
        }
        let (href, text) = match count {
            1 => (format!("/mailboxes/{name}"), format!("Hits one mailbox, {name}.")),
            count => ("/mailboxes?state=failing".to_owned(), format!("Hits {} mailboxes.", grouped(count))),
        };
        causes.push(Cause {
            kind: "bad",
            title,
            text,
            since,
            href,
            button: "See the fix",
        });
    }
    for token in &never {
        causes.push(Cause {
            kind: "warn",
            title: format!("{} isn't signed in yet", who(token)),
            text: uses(token.mailboxes),
            since: None,
            href: format!("/tokens/{}", token.name),
            button: "Get authorization token",
        });
    }
    for provider in providers {
        causes.extend(fallback_needed(provider, now));
        if let Some(date) = provider.client_secret_expires
            && date.days_from(now) <= SOON_DAYS
        {
            causes.push(secret_ends(provider, date, now));
        }
    }
    Ok(causes)
}

/// The provider refuses what is in use and took what was in use before: it works, until that ends.
fn fallback_needed(provider: &Provider, now: Timestamp) -> Option<Cause> {
    let fallback = provider.credentials.fallback.as_ref()?;
    let used_at = fallback
        .used_at
        .filter(|at| fallback.counts(now) && now.since(*at) < FALLBACK_SHOWN)?;
    let noun = provider.proof_noun();
    Some(Cause {
        kind: "warn",
        title: format!(
            "{}: the new {noun} is refused, the former {} still works",
            provider.name,
            fallback.held.noun()
        ),
        text: format!(
            "It is kept as fallback until {}. Put a {noun} in that the provider accepts before that.",
            date_words(fallback.until)
        ),
        since: Some(used_at),
        href: format!("/providers/{}", provider.name),
        button: "See the fix",
    })
}

/// A dated change, however many mailboxes it touches.
fn retires(change: &retirements::Change, mailboxes: i64, now: Timestamp) -> Cause {
    let touched = match mailboxes {
        1 => "Touches 1 mailbox.".to_owned(),
        count => format!("Touches {} mailboxes.", grouped(count)),
    };
    Cause {
        kind: "warn",
        title: change.title.clone(),
        text: format!("{} {touched}", radar::line(change, now)),
        since: None,
        href: ListQuery::change(&change.id).address(&[]),
        button: "Show them",
    }
}

fn read(json: &str) -> Option<Diagnosis> {
    serde_json::from_str(json).ok()
}

fn who(token: &WaitingToken) -> &str {
    if token.account.is_empty() { &token.name } else { &token.account }
}

fn uses(mailboxes: i64) -> String {
    match mailboxes {
        0 => "No mailbox uses it.".to_owned(),
        1 => "1 mailbox uses it.".to_owned(),
        count => format!("{} mailboxes use it.", grouped(count)),
    }
}

fn secret_ends(provider: &Provider, date: Date, now: Timestamp) -> Cause {
    let days = date.days_from(now);
    let noun = provider.proof_noun();
    let title = match days {
        ..0 => format!("The {noun} of {} has expired", provider.name),
        0 => format!("The {noun} of {} expires today", provider.name),
        1 => format!("The {noun} of {} expires tomorrow", provider.name),
        days => format!("The {noun} of {} expires in {days} days", provider.name),
    };
    Cause {
        kind: if days < 0 { "bad" } else { "warn" },
        title,
        text: "Create a new one at the provider, then enter it here. The old one works until it expires.".to_owned(),
        since: None,
        href: format!("/providers/{}", provider.name),
        button: if noun == "certificate" {
            "Replace certificate"
        } else {
            "Replace secret"
        },
    }
}

fn track(provider: &Provider, mailboxes: i64, now: Timestamp) -> Option<Track> {
    let date = provider.client_secret_expires?;
    let days = date.days_from(now);
    if days > TRACK_DAYS {
        return None;
    }
    let place = days.clamp(0, TRACK_DAYS) * 1000 / TRACK_DAYS;
    Some(Track {
        title: match provider.proof_noun() {
            "certificate" => format!("Certificate of {}", provider.name),
            _ => format!("Client secret of {}", provider.name),
        },
        text: format!("{}, {} mailboxes", provider.template.label(), grouped(mailboxes)),
        when: match days {
            ..0 => "expired".to_owned(),
            0 => "today".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        },
        date: date_words(date),
        place: format!("{}.{}", place / 10, place % 10),
        kind: match days {
            ..0 => "bad",
            0..=30 => "warn",
            _ => "ok",
        },
        href: format!("/providers/{}", provider.name),
        days,
    })
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

/// A change of something that has a page; signing in and out is no change.
fn change(row: AuditRow, names: &Names) -> Option<Change> {
    let (noun, name) = row.target.split_once(':')?;
    let pages = match noun {
        "mailbox" => "mailboxes",
        "token" => "tokens",
        "provider" => "providers",
        _ => return None,
    };
    let gone = row.action.ends_with(".delete");
    Some(Change {
        noun: noun.to_owned(),
        target: name.to_owned(),
        href: if gone { String::new() } else { format!("/{pages}/{name}") },
        line: names.line(row),
    })
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
