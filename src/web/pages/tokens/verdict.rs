//! How a token stands: the verdict panel of its page (`ux.md`, 6.8), with the prompt that helps most.

use crate::actions::authorize::Outcome;
use crate::actions::links::{LinkState, state as link_state};
use crate::actions::place;
use crate::clock::Timestamp;
use crate::model::idle::{self, From};
use crate::model::provider::{Cloud, Provider};
use crate::model::report::{Diagnosis, Direction};
use crate::model::template::{self, TemplateKind};
use crate::model::token::{Authorization, Grant, GrantType, Link, Prompt, Token, TokenState};
use crate::web::pages::capital;
use crate::web::pages::providers::form::short_scope;
use crate::web::time::Zone;

/// How many days before a sign-in lapses is that the verdict?
const LAPSES_SOON: i64 = 14;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// After how many seconds is an exchange that didn't end given up?
pub const STUCK: i64 = 60;

/// All that the verdict follows from.
pub struct Seen<'a> {
    /// The token.
    pub token: &'a Token,
    /// Its provider.
    pub provider: &'a Provider,
    /// What it yielded.
    pub grant: Option<&'a Grant>,
    /// Its state.
    pub state: TokenState,
    /// Permissions that are missing.
    pub missing: &'a [String],
    /// The newest sign-in.
    pub attempt: Option<&'a Authorization>,
    /// Its links, newest first.
    pub links: &'a [Link],
    /// What the provider said last while it is left in peace, and until when.
    pub heard: Option<&'a (Box<Diagnosis>, Timestamp)>,
    /// Now.
    pub now: Timestamp,
    /// The reader's time zone.
    pub zone: &'a Zone,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Mark.
    pub kind: &'static str,
    /// Sentence.
    pub title: String,
    /// Explanation.
    pub text: String,
    /// The prompt the sign-in form starts with.
    pub prompt: Prompt,
    /// What helps where a sign-in doesn't: address and words.
    pub fix: Option<(String, &'static str)>,
    /// Whether signing in is the next action.
    pub sign_in: bool,
    /// Whether signing in may help at all.
    pub helps: bool,
    /// What is to be said beside the diagnosis, where that says the rest.
    pub beside: String,
}

impl Verdict {
    pub(super) fn new(kind: &'static str, title: impl Into<String>, text: impl Into<String>, prompt: Prompt) -> Self {
        Self {
            kind,
            title: title.into(),
            text: text.into(),
            prompt,
            fix: None,
            sign_in: true,
            helps: true,
            beside: String::new(),
        }
    }
}

/// "2 minutes ago", for sentences.
pub fn ago(at: Timestamp, now: Timestamp, zone: &Zone) -> String {
    match now.since(at) {
        ..60 => "just now".to_owned(),
        60..120 => "1 minute ago".to_owned(),
        seconds @ 120..3600 => format!("{} minutes ago", seconds / 60),
        _ => zone.full(at),
    }
}

/// What is missing, in the words of the mailbox it is for.
pub(super) fn missing_words(kind: TemplateKind, cloud: Cloud, missing: &[String]) -> &'static str {
    let lacks = |direction| template::lacks(kind, cloud, direction, missing);
    match (lacks(Direction::Incoming), lacks(Direction::Outgoing)) {
        (false, true) => "Reads mail, but can't send",
        (true, false) => "Sends mail, but can't read",
        _ => "Works, but permissions are missing",
    }
}

pub(super) fn diagnosis(text: Option<&String>) -> Option<Diagnosis> {
    serde_json::from_str(text?).ok()
}

/// What a refused app means for those who sign in.
const MENDED: &str = "After that is fixed, nobody has to sign in again.";

/// That a provider refuses the app, in the words of every page: title and text.
pub fn provider_problem(provider: &str, problem: &Diagnosis) -> (String, String) {
    (format!("{provider}: {}", problem.title), format!("{} {MENDED}", problem.meaning))
}

/// That a token's sign-in has ended, in the words of every page: title and text.
pub fn ended(grant: GrantType, found: Option<&Diagnosis>) -> (String, String) {
    let words = match grant {
        GrantType::AuthorizationCode | GrantType::DeviceCode => "Needs a new sign-in",
        GrantType::Password => "The password doesn't get a token any more",
        GrantType::ClientCredentials => "The app's own token is refused",
        GrantType::JwtBearer => "The service account is refused",
    };
    match found {
        Some(found) => (format!("{words}: {}", lower(&found.title)), found.meaning.clone()),
        None => (
            words.to_owned(),
            "The access token has run out, and there is nothing to renew it with.".to_owned(),
        ),
    }
}

/// The verdict on a token.
pub fn verdict(seen: &Seen<'_>) -> Verdict {
    let Seen {
        token,
        provider,
        now,
        zone,
        ..
    } = seen;
    // After another account's sign-in the provider would hand that one back without asking.
    let refused = seen.attempt.and_then(|attempt| Outcome::read(&attempt.outcome, &attempt.detail));
    let choose =
        matches!(refused, Some(Outcome::DifferentAccount { .. } | Outcome::DifferentTenant { .. })).then_some(Prompt::SelectAccount);
    let usual = choose.or(token.prompt).unwrap_or(provider.prompt);
    let user = token.user.as_deref().unwrap_or("the account");
    let short = capital(provider.template.short_name());
    if let Some(problem) = provider.problem_found() {
        let (title, text) = provider_problem(provider.name.as_str(), &problem);
        return Verdict {
            fix: Some((format!("/providers/{}", provider.name), "Open the provider")),
            sign_in: false,
            helps: false,
            beside: format!("That is a problem of provider {}. {MENDED}", provider.name),
            ..Verdict::new("bad", title, text, usual)
        };
    }
    if !token.grant.needs_person() {
        return super::alone::verdict(seen);
    }
    if let Some(waiting) = waiting(seen, user, usual) {
        return waiting;
    }
    let Some(grant) = seen.grant else {
        return before_the_first(seen, user, usual);
    };
    if !place::is_current(grant, provider) {
        return Verdict::new(
            "bad",
            "Needs a new sign-in: the provider's addresses changed",
            "The stored token belongs to where the provider was before, and is never sent anywhere else.",
            usual,
        );
    }
    let error = diagnosis(grant.last_error.as_ref());
    match seen.state {
        TokenState::Revoked | TokenState::Unauthorized | TokenState::Authorizing => {
            let (title, text) = ended(token.grant, error.as_ref());
            Verdict::new("bad", title, text, usual)
        }
        TokenState::Failing => {
            let again = match grant.retry_at.filter(|at| at > now) {
                Some(at) => format!("Renewal fails, trying again at {}", clock(zone, at)),
                None => "Renewal fails, trying again soon".to_owned(),
            };
            let text = error.map(|found| format!("{}. {}", found.title, found.meaning)).unwrap_or_default();
            let nobody = "No new sign-in is needed for now.";
            Verdict {
                sign_in: false,
                helps: false,
                beside: format!("{again}. {nobody}"),
                ..Verdict::new("warn", again, format!("{text} {nobody}").trim().to_owned(), usual)
            }
        }
        TokenState::Expired => match seen.heard {
            Some((found, until)) => Verdict {
                sign_in: false,
                helps: false,
                ..Verdict::new(
                    "warn",
                    format!("Renewal fails, trying again at {}", clock(zone, *until)),
                    format!("{}. {} No new sign-in is needed for now.", found.title, found.meaning),
                    usual,
                )
            },
            None => Verdict {
                sign_in: false,
                helps: false,
                ..Verdict::new(
                    "run",
                    "Renewing",
                    "The access token has run out. A new one is got by itself, and whoever asks for it meanwhile waits for it.",
                    usual,
                )
            },
        },
        TokenState::Active if !seen.missing.is_empty() => Verdict::new(
            "warn",
            missing_words(provider.template, provider.cloud, seen.missing),
            format!(
                "{short} didn't allow {}. Get a new authorization token and accept the extra permission. The rest goes on meanwhile.",
                seen.missing.iter().map(|scope| short_scope(scope)).collect::<Vec<_>>().join(", ")
            ),
            choose.unwrap_or(Prompt::Consent),
        ),
        TokenState::Active => match idle::lapses_at(grant, provider) {
            Some((end, profile)) if end.since(*now) < LAPSES_SOON * DAY => {
                let for_good = profile.from == From::SignIn;
                let title = if for_good {
                    format!("Ends on {}", zone.full(end))
                } else {
                    format!("Lapses on {} unless it's used", zone.full(end))
                };
                Verdict {
                    sign_in: for_good,
                    ..Verdict::new("warn", title, profile.text.as_str(), usual)
                }
            }
            _ => Verdict {
                sign_in: false,
                ..Verdict::new(
                    "ok",
                    "Works",
                    format!("Signed in as {}. It renews itself.", who(grant, user)),
                    usual,
                )
            },
        },
    }
}

fn who<'a>(grant: &'a Grant, user: &'a str) -> &'a str {
    match grant.identity.account() {
        "" => user,
        account => account,
    }
}

pub(super) fn clock(zone: &Zone, at: Timestamp) -> String {
    let full = zone.full(at);
    full.rsplit_once(", ").map_or(full.clone(), |(_, clock)| clock.to_owned())
}

/// The first letter small, unless it begins a name or an abbreviation.
pub fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second))
            if first.is_uppercase() && (second.is_lowercase() || text.starts_with("A ")) && !begins_a_name(text) =>
        {
            format!("{}{}", first.to_lowercase(), &text[first.len_utf8()..])
        }
        _ => text.to_owned(),
    }
}

fn begins_a_name(text: &str) -> bool {
    [
        "Microsoft",
        "Google",
        "Entra",
        "Exchange",
        "Yahoo",
        "Zoho",
        "Fastmail",
        "Conditional",
    ]
    .iter()
    .any(|name| text.starts_with(name))
}

/// A sign-in that is under way, or a link somebody still has to use; only where there is nothing that works.
fn waiting(seen: &Seen<'_>, user: &str, usual: Prompt) -> Option<Verdict> {
    let works = matches!(seen.state, TokenState::Active | TokenState::Expired | TokenState::Failing);
    if works {
        return None;
    }
    let (now, zone) = (seen.now, seen.zone);
    let open = seen.attempt.filter(|a| a.outcome.is_empty() && a.expires_at > now);
    if let Some(attempt) = open.filter(|a| a.at_device()) {
        let title = format!("Waiting for {user} to sign in at another device");
        let text = format!("{} started it {}.", attempt.started_by, ago(attempt.started_at, now, zone));
        return Some(Verdict::new("run", title, text, usual));
    }
    if let Some(attempt) = open.filter(|a| a.link_id.is_none()) {
        let title = format!("Sign-in started {}", ago(attempt.started_at, now, zone));
        let text = format!(
            "By {}, in their browser. It has to come back within 10 minutes.",
            attempt.started_by
        );
        return Some(Verdict::new("run", title, text, usual));
    }
    let ready = |link: &&Link| link_state(link, now) == LinkState::Ready;
    if let Some(link) = seen.links.iter().find(ready) {
        let opened = link
            .opened_at
            .map(|at| format!(" (link opened {})", ago(at, now, zone)))
            .unwrap_or_default();
        let title = format!("Waiting for {user} since {}{opened}", zone.full(link.created_at));
        let text = format!(
            "{} made a sign-in link. It works once, until {}.",
            link.created_by,
            zone.full(link.expires_at)
        );
        return Some(Verdict::new("run", title, text, usual));
    }
    None
}

fn before_the_first(seen: &Seen<'_>, user: &str, usual: Prompt) -> Verdict {
    let nobody = "Nobody has signed in yet";
    let Some(attempt) = seen.attempt else {
        return Verdict::new(
            "todo",
            nobody,
            format!("Get an authorization token: {user} signs in once, and the console keeps the token fresh."),
            usual,
        );
    };
    let outcome = Outcome::read(&attempt.outcome, &attempt.detail);
    let (title, text, prompt) = match outcome {
        None if attempt.at_device() => (nobody.to_owned(), "The code ran out before anybody signed in.".to_owned(), usual),
        None => (
            "Didn't come back".to_owned(),
            format!(
                "The sign-in that {} started {} never returned. An error at the sign-in page stays there; try again, or look it up.",
                attempt.started_by,
                ago(attempt.started_at, seen.now, seen.zone)
            ),
            usual,
        ),
        Some(Outcome::DifferentAccount { account, .. }) if !attempt.at_device() => (
            nobody.to_owned(),
            format!("{account} came back instead of {user}. Choose the account at the sign-in page."),
            Prompt::SelectAccount,
        ),
        Some(Outcome::NoLastingToken { .. }) => (
            nobody.to_owned(),
            "The last sign-in brought no lasting token. Ask for consent again.".to_owned(),
            Prompt::Consent,
        ),
        Some(_) => (
            nobody.to_owned(),
            "The last sign-in changed nothing. See the history below.".to_owned(),
            usual,
        ),
    };
    Verdict::new("todo", title, text, prompt)
}

#[cfg(test)]
mod tests;
