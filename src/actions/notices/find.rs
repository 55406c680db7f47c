//! What is wrong now, by cause: the overview groups by what is told alone, and messages also by where it is. Reads only, but for `still`, which notes since when checks are late.

mod console;

pub use console::gone;

use super::NAME;
use super::words::{explained, named};
use crate::actions::expiry::{Expiring, Kind as ExpiryKind};
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::notices::{Event, Member, MemberKind, Words, clean};
use crate::model::provider::Provider;
use crate::model::report::Stage;
use crate::model::settings::{CHECK_INTERVAL, FAILING_AFTER};
use crate::store::StoreResult;
use crate::store::deliveries::StoredChannels;
use crate::store::notices::{EndedToken, FailingSide};
use std::collections::BTreeMap;

/// Within how many intervals have all mailboxes failed that one cause hits, and within how many seconds at least?
const ROUNDS: i64 = 2;
const ROUND: i64 = 3600;
/// How long does an access token live at most that is renewed as it should be, in seconds? So late is it found that its sign-in has ended.
const TOKEN_LIFE: i64 = 86_400;
/// Whenever what it joins was told.
const ALWAYS: Timestamp = Timestamp(i64::MIN);

/// One cause, with everything it hits.
pub struct Group {
    /// What is told of it.
    pub event: Event,
    /// What makes it this cause.
    pub key: String,
    /// Whether what would join a message that is out already is told all the same: together, once no more is expected.
    pub gathers: bool,
    /// What it hits.
    pub items: Vec<Item>,
    /// For the words.
    pub(super) kind: Kind,
}

/// Something that a cause hits.
pub struct Item {
    /// What it is.
    pub member: Member,
    /// Whether it has failed often enough to be told.
    pub is_told: bool,
    /// It counts as hit by the same cause as what was told from this moment on: it may have failed all the time since.
    pub joins: Timestamp,
    /// Whenever that was, it counts as hit by what hits others in the same way; empty: by nothing.
    pub way: String,
}

/// What a cause is about.
pub(super) enum Kind {
    /// Sides of mailboxes, one for each item.
    Sides(Vec<FailingSide>),
    /// Sign-ins that have ended, one for each item.
    Tokens(Vec<EndedToken>),
    /// One thing, in words already.
    Ready(Box<Words>),
}

impl Group {
    fn one(event: Event, key: String, member: Member, words: Words) -> Self {
        Self {
            event,
            key,
            gathers: false,
            items: vec![Item {
                member,
                is_told: true,
                joins: ALWAYS,
                way: String::new(),
            }],
            kind: Kind::Ready(Box::new(words)),
        }
    }
}

/// Every cause there is now.
pub async fn groups(app: &App, stored: &StoredChannels, ending: &[Expiring]) -> StoreResult<Vec<Group>> {
    let mut groups = providers(app, ending).await?;
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    let round = app.clock.now().plus(-ROUND.max(ROUNDS * interval));
    groups.extend(tokens(app.store.ended_tokens().await?, round));
    let after = settings::number(app, &FAILING_AFTER).await?;
    groups.extend(sides(app.store.failing_sides().await?, after, round));
    groups.extend(console::groups(app, stored, ending).await?);
    Ok(groups)
}

/// Providers that refuse the app, and those whose secret or certificate has ended: the same cause, whichever is seen first.
async fn providers(app: &App, ending: &[Expiring]) -> StoreResult<Vec<Group>> {
    let usage = app.store.provider_usage().await?;
    let mut groups = Vec::new();
    for provider in app.store.providers().await? {
        let ended = ending.iter().find(|one| {
            let is_proof = matches!(one.kind, ExpiryKind::ClientSecret | ExpiryKind::Certificate);
            is_proof && one.ended && one.provider.as_ref() == Some(&provider.name)
        });
        let mailboxes = usage
            .iter()
            .find(|used| used.provider == provider.id)
            .map_or(0, |used| used.mailboxes);
        let (event, words) = match (provider.problem.is_some(), ended) {
            (true, _) => (Event::AppProblem, refused(app, &provider, mailboxes).await?),
            (false, Some(ended)) => (Event::Expired, expired(app, &provider, ended, mailboxes).await?),
            (false, None) => continue,
        };
        let member = Member {
            kind: MemberKind::Provider,
            id: provider.id.as_str().to_owned(),
        };
        groups.push(Group::one(event, format!("provider:{}", provider.id), member, words));
    }
    Ok(groups)
}

/// Names of some mailboxes of a provider, and how many there are.
async fn hit(app: &App, provider: &Provider, mailboxes: i64) -> StoreResult<(Vec<String>, String)> {
    let names = app.store.addresses_of_provider(provider.id.as_str(), 3).await?;
    let names: Vec<String> = names.iter().map(|name| clean(name, NAME)).collect();
    let text = match usize::try_from(mailboxes).unwrap_or(0) {
        0 => "No mailbox uses it now.".to_owned(),
        1 => format!("1 mailbox uses it, and stops working when its token ends: {}.", named(&names, 1)),
        count => format!(
            "{count} mailboxes use it. One after the other they stop working, as their tokens end: {}.",
            named(&names, count)
        ),
    };
    Ok((names, text))
}

fn counted(mailboxes: i64) -> String {
    match mailboxes {
        0 => String::new(),
        1 => ", 1 mailbox".to_owned(),
        count => format!(", {count} mailboxes"),
    }
}

async fn refused(app: &App, provider: &Provider, mailboxes: i64) -> StoreResult<Words> {
    let found = provider.problem_found();
    let title = found
        .as_ref()
        .map_or_else(|| "The provider refuses the app".to_owned(), |found| clean(&found.title, 200));
    let (names, hits) = hit(app, provider, mailboxes).await?;
    Ok(Words {
        subject: format!("{}: {title}{}", provider.name, counted(mailboxes)),
        text: std::iter::once(hits).chain(explained(&title, found.as_ref())).collect(),
        path: format!("/providers/{}#problem", provider.name),
        recovered: format!("{} works again{}", provider.name, counted(mailboxes)),
        mailboxes,
        names,
        since: provider.problem_since,
    })
}

async fn expired(app: &App, provider: &Provider, ended: &Expiring, mailboxes: i64) -> StoreResult<Words> {
    let noun = provider.proof_noun();
    let (names, hits) = hit(app, provider, mailboxes).await?;
    Ok(Words {
        subject: format!("The {noun} of {} has expired{}", provider.name, counted(mailboxes)),
        text: vec![
            hits,
            format!(
                "Cause: it ended on {}. No token can be renewed until there is a new one.",
                ended.day.words()
            ),
            match ended.kind {
                ExpiryKind::Certificate => "What to do: Make a new one on the page below, and add it at the provider.".to_owned(),
                _ => "What to do: Create a new one at the provider, and enter it on the page below.".to_owned(),
            },
        ],
        path: format!("/providers/{}", provider.name),
        recovered: format!("{} has a new {noun}", provider.name),
        mailboxes,
        names,
        since: None,
    })
}

/// Sign-ins that have ended, those of one provider for one reason together. What ends them at once is found at their renewals, one after
/// the other: those that are found after a message are told in one more, a day later, or with one that was renewed since and ended for a
/// reason of its own. `round` is when the last round of checks began.
fn tokens(ended: Vec<EndedToken>, round: Timestamp) -> impl Iterator<Item = Group> {
    let mut causes: BTreeMap<String, Vec<EndedToken>> = BTreeMap::new();
    for token in ended {
        let why: Option<serde_json::Value> = token.last_error.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let why = why.as_ref().and_then(|why| why.get("id")?.as_str()).unwrap_or_default();
        causes
            .entry(format!("sign-in:{}:{why}", token.provider_id))
            .or_default()
            .push(token);
    }
    causes.into_iter().map(move |(key, tokens)| Group {
        event: Event::SignInNeeded,
        key,
        gathers: true,
        items: tokens
            .iter()
            .map(|token| Item {
                member: Member {
                    kind: MemberKind::Token,
                    id: token.id.clone(),
                },
                is_told: true,
                joins: token.worked_at.unwrap_or(ALWAYS).max(round.plus(-TOKEN_LIFE)).min(round),
                way: String::new(),
            })
            .collect(),
        kind: Kind::Tokens(tokens),
    })
}

/// Whether everybody fails at this step, and not one account: name, connection, encryption, or a token that can't be had now.
fn is_of_the_server(step: &str) -> bool {
    const SERVER: [Stage; 9] = [
        Stage::Token,
        Stage::Dns,
        Stage::Tcp,
        Stage::Tls,
        Stage::Greeting,
        Stage::Capability,
        Stage::Ehlo,
        Stage::Starttls,
        Stage::Claims,
    ];
    SERVER.iter().any(|stage| stage.as_str() == step)
}

/// Sides that fail: all that a server or provider keeps from working together, else those with the same diagnosis at the same one.
fn sides(failing: Vec<FailingSide>, after: i64, round: Timestamp) -> impl Iterator<Item = Group> {
    let mut causes: BTreeMap<String, Vec<FailingSide>> = BTreeMap::new();
    for side in failing {
        let at = if side.step == Stage::Token.as_str() || side.host.is_empty() {
            &side.provider
        } else {
            &side.host
        };
        // A server that is away says so in several ways, one after the other; that is no news each time. But whoever begins to fail there in
        // another way long after it was told does so for another reason.
        let key = match is_of_the_server(&side.step) {
            true => format!("server:{at}"),
            false => format!("mailboxes:{}:{at}", side.title),
        };
        causes.entry(key).or_default().push(side);
    }
    causes.into_iter().map(move |(key, sides)| {
        let apart = sides.first().is_some_and(|side| !is_of_the_server(&side.step));
        // What its account may not do any more shows when its token is renewed.
        let joins = |side: &FailingSide| match apart {
            true if side.provider.is_empty() => round,
            true => round.plus(-TOKEN_LIFE),
            false => round,
        };
        Group {
            event: Event::Failing,
            key,
            gathers: false,
            items: sides
                .iter()
                .map(|side| Item {
                    member: Member {
                        kind: MemberKind::Mailbox,
                        id: side.id.clone(),
                    },
                    is_told: side.failed_checks >= after,
                    joins: joins(side),
                    way: if apart { String::new() } else { side.title.clone() },
                })
                .collect(),
            kind: Kind::Sides(sides),
        }
    })
}
