//! What needs somebody: one row for each cause, however many mailboxes it hits, with the way to where its fix is.

use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Date;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::retirements;
use crate::model::token::GrantType;
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::store::causes::MailboxProblem;
use crate::store::overview::WaitingToken;
use crate::store::providers::Usage;
use crate::web::guard::CurrentUser;
use crate::web::pages::mailboxes::list::{ListQuery, grouped};
use crate::web::pages::providers::is_about_proof;
use crate::web::pages::radar;
use crate::web::pages::tokens::verdict::{ended as ended_words, lower, provider_problem};
use crate::web::routes;
use crate::web::time::date_words;
use std::cmp::Reverse;

/// How many causes are looked for.
pub(super) const LOOKED_FOR: usize = 50;
/// The same for the database.
const LOOKED_FOR_ROWS: i64 = 50;
/// A date this near needs somebody.
const SOON_DAYS: i64 = 14;
/// For how long is it shown that a fallback was needed, in seconds? Longer than it takes to be noted again while it is.
const FALLBACK_SHOWN: i64 = 2 * 86_400;

/// One cause, however many mailboxes it hits.
#[derive(Default)]
pub(super) struct Cause {
    /// Mark.
    pub kind: &'static str,
    /// What is wrong.
    pub title: String,
    /// What that means.
    pub text: String,
    /// The mailboxes it hits.
    pub hits: Option<Hits>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Where the fix is.
    pub href: String,
    /// What its button says.
    pub button: &'static str,
}

/// The mailboxes that a cause hits, as a link to the list of exactly them.
pub(super) struct Hits {
    count: i64,
    /// Before the number: `Hits`.
    pub lead: &'static str,
    /// The number in words.
    pub words: String,
    /// The list.
    pub href: String,
}

impl Hits {
    /// None where it hits none.
    fn of(lead: &'static str, count: i64, href: String) -> Option<Self> {
        let words = match count {
            0 => return None,
            1 => "1 mailbox".to_owned(),
            count => format!("{} mailboxes", grouped(count)),
        };
        Some(Self { count, lead, words, href })
    }

    fn of_provider(lead: &'static str, provider: &Provider, usage: &[Usage]) -> Option<Self> {
        let used = usage.iter().find(|used| used.provider == provider.id);
        let list = ListQuery::provider(provider.name.as_str());
        Self::of(lead, used.map_or(0, |used| used.mailboxes), list.address(&[]))
    }

    fn of_token(lead: &'static str, token: &WaitingToken) -> Option<Self> {
        Self::of(lead, token.mailboxes, ListQuery::token(&token.name).address(&[]))
    }
}

impl Cause {
    fn hit(&self) -> i64 {
        self.hits.as_ref().map_or(0, |hits| hits.count)
    }

    /// With a button that this person may press.
    pub fn for_user(mut self, user: &CurrentUser) -> Self {
        self.button = match self.button {
            "Replace secret" | "Replace certificate" if !user.may(Permission::SecretSet) => "Open the provider",
            "Enter the password" if !user.may(Permission::TokenEdit) => "Open the token",
            "Sign in again" | "Get authorization token" if !user.may(Permission::TokenAuthorize) => "Open the token",
            may => may,
        };
        self
    }
}

/// Everything that needs somebody, most urgent first: what fails, by mailboxes hit and then by age; what waits for a first sign-in; dates
/// that are near.
pub(super) async fn causes(app: &App, providers: &[Provider], usage: &[Usage]) -> StoreResult<Vec<Cause>> {
    let now = app.clock.now();
    let waiting = app.store.waiting_tokens(LOOKED_FOR_ROWS).await?;
    let (ended, never): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|token| token.had_grant);
    let problems = app.store.mailbox_problems(LOOKED_FOR_ROWS).await?;
    let refused = providers.iter().filter_map(|provider| refused(provider, usage));
    let (over, soon): (Vec<_>, Vec<_>) = providers
        .iter()
        .filter_map(|provider| secret_ends(provider, usage, now))
        .partition(|cause| cause.kind == "bad");
    let mut causes: Vec<Cause> = refused
        .chain(ended.iter().map(ended_sign_in))
        .chain(problems.into_iter().map(of_mailboxes))
        .chain(over)
        .collect();
    causes.sort_by_key(|cause| (Reverse(cause.hit()), cause.since.is_none(), cause.since));
    causes.extend(never.iter().map(never_signed_in));
    causes.extend(providers.iter().filter_map(|provider| fallback_needed(provider, usage, now)));
    causes.extend(soon);
    Ok(causes)
}

/// The provider refuses the app: one cause for all its tokens, told and mended on its page.
fn refused(provider: &Provider, usage: &[Usage]) -> Option<Cause> {
    let (title, text) = provider_problem(provider.name.as_str(), &provider.problem_found()?);
    Some(Cause {
        kind: "bad",
        title,
        text,
        hits: Hits::of_provider("Hits", provider, usage),
        since: provider.problem_since,
        href: format!("{}#problem", routes::provider(provider.name.as_str())),
        button: "See the fix",
    })
}

fn ended_sign_in(token: &WaitingToken) -> Cause {
    let problem: Option<Diagnosis> = token.last_error.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let (title, text) = ended_words(token.grant, problem.as_ref());
    Cause {
        kind: "bad",
        title: format!("{}: {}", who(token), lower(&title)),
        text,
        hits: Hits::of_token("Hits", token),
        since: token.since,
        href: routes::token(&token.name),
        button: match token.grant {
            GrantType::AuthorizationCode | GrantType::DeviceCode => "Sign in again",
            GrantType::Password => "Enter the password",
            GrantType::ClientCredentials | GrantType::JwtBearer => "See the fix",
        },
    }
}

/// What tests of mailboxes fail with. The page of one mailbox tells it with the fix; of several, the newest test does.
fn of_mailboxes(problem: MailboxProblem) -> Cause {
    let mailbox = routes::mailbox(&problem.name);
    let list = ListQuery::problem(&problem.title).address(&[]);
    let (hits, href) = match (problem.mailboxes, &problem.run) {
        (1, _) => {
            let hits = Hits {
                words: format!("1 mailbox, {}", problem.name),
                count: 1,
                lead: "Hits",
                href: mailbox.clone(),
            };
            (Some(hits), mailbox)
        }
        (count, Some(run)) => (Hits::of("Hits", count, list), routes::run(run.as_str())),
        (count, None) => (Hits::of("Hits", count, list), mailbox),
    };
    Cause {
        kind: "bad",
        title: problem.title,
        text: String::new(),
        hits,
        since: problem.since,
        href,
        button: "See the fix",
    }
}

fn never_signed_in(token: &WaitingToken) -> Cause {
    Cause {
        kind: "warn",
        title: format!("{} isn't signed in yet", who(token)),
        hits: Hits::of_token("Used by", token),
        href: routes::token(&token.name),
        button: "Get authorization token",
        ..Cause::default()
    }
}

/// The provider refuses what is in use and took what was in use before: it works, until that ends.
fn fallback_needed(provider: &Provider, usage: &[Usage], now: Timestamp) -> Option<Cause> {
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
        hits: Hits::of_provider("Used by", provider, usage),
        since: Some(used_at),
        href: routes::provider(provider.name.as_str()),
        button: "See the fix",
    })
}

/// The end of a secret or certificate, unless the provider's refusal tells of it already.
fn secret_ends(provider: &Provider, usage: &[Usage], now: Timestamp) -> Option<Cause> {
    let date = provider.client_secret_expires.filter(|date| date.days_from(now) <= SOON_DAYS)?;
    let days = date.days_from(now);
    if provider.problem_found().is_some_and(|found| is_about_proof(&found)) {
        return None;
    }
    let noun = provider.proof_noun();
    let page = routes::provider(provider.name.as_str());
    Some(Cause {
        kind: if days < 0 { "bad" } else { "warn" },
        title: secret_title(provider, date, now),
        text: match days {
            ..0 => "Nothing can be renewed until there is a new one. Create it at the provider, then enter it here.",
            _ => "Create a new one at the provider, then enter it here. The old one works until it expires.",
        }
        .to_owned(),
        hits: Hits::of_provider("Used by", provider, usage),
        since: None,
        href: page,
        button: if noun == "certificate" {
            "Replace certificate"
        } else {
            "Replace secret"
        },
    })
}

fn secret_title(provider: &Provider, date: Date, now: Timestamp) -> String {
    let noun = provider.proof_noun();
    match date.days_from(now) {
        ..0 => format!("The {noun} of {} has expired", provider.name),
        0 => format!("The {noun} of {} expires today", provider.name),
        1 => format!("The {noun} of {} expires tomorrow", provider.name),
        days => format!("The {noun} of {} expires in {days} days", provider.name),
    }
}

/// A dated change, however many mailboxes it touches.
pub(super) fn retires(change: &retirements::Change, mailboxes: i64, now: Timestamp) -> Cause {
    let list = ListQuery::change(&change.id).address(&[]);
    Cause {
        kind: "warn",
        title: change.title.clone(),
        text: radar::line(change, now),
        hits: Hits::of("Touches", mailboxes, list.clone()),
        href: list,
        button: "Show them",
        ..Cause::default()
    }
}

fn who(token: &WaitingToken) -> &str {
    if token.account.is_empty() { &token.name } else { &token.account }
}
