//! What needs somebody: one row for each cause, however many mailboxes it hits, with the way to where its fix is.

mod found;
mod near;
mod own;
mod sign_ins;

use super::checks::Standing;
use crate::actions::judgement;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::catalogue;
use crate::diagnosis::ways::{Act, ways};
use crate::model::batch::Group;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::retirements;
use crate::model::token::{GrantState, GrantType};
use crate::model::user::Permission;
use crate::model::{ProviderId, TokenId};
use crate::store::StoreResult;
use crate::store::causes::MailboxProblem;
use crate::store::overview::WaitingToken;
use crate::store::providers::Usage;
use crate::web::guard::CurrentUser;
use crate::web::pages::expiry::DateRow;
use crate::web::pages::mailboxes::list::{ListQuery, used_words};
use crate::web::pages::radar;
use crate::web::pages::tokens::verdict::provider_problem;
use crate::web::routes;
use crate::web::time::date_words;
use std::cmp::Reverse;

/// How many causes are looked for.
pub(super) const LOOKED_FOR: usize = 50;
/// The same for the database.
const LOOKED_FOR_ROWS: i64 = 50;
/// A date this near needs somebody.
pub(super) const SOON_DAYS: i64 = 14;
/// For how long is it shown that a fallback was needed, in seconds? Longer than it takes to be noted again while it is.
const FALLBACK_SHOWN: i64 = 2 * 86_400;

/// What was read for other blocks already.
pub(super) struct Facts<'a> {
    /// Every provider.
    pub providers: &'a [Provider],
    /// What hangs on them.
    pub usage: &'a [Usage],
    /// Dates that are near or past, as this person sees them; the sign-ins of a provider as one.
    pub dates: &'a [DateRow],
    /// How the worker that checks does.
    pub standing: &'a Standing,
    /// Dated changes, each with the mailboxes it touches.
    pub touching: &'a [(&'static retirements::Change, i64)],
}

/// One cause, however many mailboxes it hits.
#[derive(Clone, Default)]
pub(in crate::web::pages) struct Cause {
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
    /// The code that people look it up by; empty where it has none.
    pub code: String,
    /// Where it is mended.
    pub href: String,
    /// What its button says.
    pub button: String,
    /// What whoever may not do that is shown instead.
    pub otherwise: Option<Otherwise>,
}

/// A button for people without a permission.
#[derive(Clone)]
pub(in crate::web::pages) struct Otherwise {
    /// What the other one takes.
    permission: Permission,
    href: String,
    button: &'static str,
}

/// The mailboxes that a cause hits, as a link to exactly them.
#[derive(Clone)]
pub(in crate::web::pages) struct Hits {
    count: i64,
    /// Before the number: `Hits`.
    pub lead: &'static str,
    /// The number in words.
    pub words: String,
    /// The list, or the page of the only one; empty where there is no list of exactly them.
    pub href: String,
}

impl Hits {
    /// None where it hits none. Those that are turned off are told apart, and don't make it more urgent.
    fn of(lead: &'static str, (mailboxes, turned_off): (i64, i64), href: String) -> Option<Self> {
        (mailboxes > 0).then(|| Self {
            count: (mailboxes - turned_off).max(0),
            lead,
            words: used_words(mailboxes, turned_off),
            href,
        })
    }

    fn of_provider(lead: &'static str, provider: &Provider, usage: &[Usage]) -> Option<Self> {
        let used = usage.iter().find(|used| used.provider == provider.id);
        let list = ListQuery::provider(provider.name.as_str());
        Self::of(
            lead,
            used.map_or((0, 0), |used| (used.mailboxes, used.turned_off)),
            list.address(&[]),
        )
    }

    fn of_token(lead: &'static str, token: &WaitingToken) -> Option<Self> {
        let list = ListQuery::token(&token.name);
        Self::of(lead, (token.mailboxes, token.turned_off), list.address(&[]))
    }
}

impl Cause {
    fn hit(&self) -> i64 {
        self.hits.as_ref().map_or(0, |hits| hits.count)
    }

    /// With this button for whoever may, and another one for everybody else.
    fn mended(mut self, permission: Permission, (button, href): (&str, String), (other, other_href): (&'static str, String)) -> Self {
        (self.button, self.href) = (button.to_owned(), href);
        self.otherwise = Some(Otherwise {
            permission,
            href: other_href,
            button: other,
        });
        self
    }

    /// With a button that this person may press.
    pub fn for_user(mut self, user: &CurrentUser) -> Self {
        if let Some(other) = self.otherwise.take().filter(|other| !user.may(other.permission)) {
            (self.button, self.href) = (other.button.to_owned(), other.href);
        }
        self
    }
}

fn code(id: &str, said: &str) -> String {
    catalogue::code(id, said).unwrap_or_default()
}

/// Everything that needs somebody, most urgent first (`ux.md` 6.3): nobody checks; what fails, by mailboxes hit and then by age; what works
/// in part; what waits for a first sign-in; dates that are near; what waits for somebody else; what checks found besides.
pub(super) async fn causes(app: &App, facts: &Facts<'_>) -> StoreResult<Vec<Cause>> {
    let now = app.clock.now();
    let (providers, usage) = (facts.providers, facts.usage);
    let waiting = app.store.waiting_tokens(sign_ins::LOOKED_FOR).await?;
    let (ended, never): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|token| token.had_grant);
    let problems = app.store.mailbox_problems(LOOKED_FOR_ROWS).await?;
    let mut all_refused = Vec::new();
    for provider in providers.iter().filter(|provider| provider.problem.is_some()).take(LOOKED_FOR) {
        all_refused.extend(refused(app, provider, usage).await?);
    }
    let (over, soon): (Vec<_>, Vec<_>) = near::near(facts.dates, providers)
        .into_iter()
        .partition(|cause| cause.kind == "bad");
    let (partly, failing): (Vec<_>, Vec<_>) = problems.into_iter().map(of_mailboxes).partition(|cause| cause.kind == "warn");
    let mut failing: Vec<Cause> = all_refused
        .into_iter()
        .chain(sign_ins::ended(&ended))
        .chain(failing)
        .chain(over)
        .collect();
    failing.sort_by_key(|cause| (Reverse(cause.hit()), cause.since.is_none(), cause.since));

    let mut causes: Vec<Cause> = Vec::new();
    if let Standing::Still { since } = facts.standing {
        causes.push(own::still(*since));
    }
    causes.extend(own::chain(app).await?);
    causes.extend(own::notifications(app).await?);
    causes.extend(failing);
    causes.extend(partly);
    causes.extend(found::round_trips(app).await?);
    causes.extend(never.iter().take(LOOKED_FOR).map(sign_ins::never));
    causes.extend(providers.iter().filter_map(|provider| fallback_needed(provider, usage, now)));
    causes.extend(soon);
    causes.extend(facts.touching.iter().map(|(change, count)| retires(change, *count, now)));
    causes.extend(own::waiting(app).await?);
    causes.extend(found::weekly(app).await?);
    Ok(causes)
}

/// The provider refuses the app: one cause for all its tokens, mended where its first way leads, and told on its page.
async fn refused(app: &App, provider: &Provider, usage: &[Usage]) -> StoreResult<Option<Cause>> {
    let Some(found) = provider.problem_found() else {
        return Ok(None);
    };
    let (title, text) = provider_problem(provider.name.as_str(), &found);
    let page = routes::provider(provider.name.as_str());
    let told = format!("{page}#problem");
    let cause = Cause {
        kind: "bad",
        title,
        text,
        hits: Hits::of_provider("Hits", provider, usage),
        since: provider.problem_since,
        code: code(&found.id, &found.said),
        href: told.clone(),
        button: "See the fix".to_owned(),
        ..Cause::default()
    };
    let scene = judgement::scene_of_provider(app, provider).await?;
    let all: Vec<Act> = ways(&found, &scene).into_iter().flat_map(|way| way.acts).collect();
    // What is sent with a form has its button on the page; and who can do it here need not ask somebody for it.
    let first = |asks: bool| {
        let mut acts = all.iter().filter(|act| act.makes_link() == asks);
        acts.find_map(|act| act.lead(&scene).filter(|lead| lead.fields.is_none()))
    };
    let lead = first(false).or_else(|| first(true));
    Ok(Some(match lead {
        Some(lead) => cause.mended(lead.permission, (&lead.words, lead.href), ("Open the provider", told)),
        None => cause,
    }))
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
        (count, Some(run)) => (Hits::of("Hits", (count, 0), list), routes::run(run.as_str())),
        (count, None) => (Hits::of("Hits", (count, 0), list), mailbox),
    };
    let entry = problem.diagnosis.as_deref().and_then(catalogue::entry);
    Cause {
        kind: if problem.partly { "warn" } else { "bad" },
        title: problem.title,
        text: entry.map(|entry| entry.meaning.clone()).unwrap_or_default(),
        hits,
        since: problem.since,
        code: entry.map(|entry| code(&entry.id, "")).unwrap_or_default(),
        href,
        button: "See the fix".to_owned(),
        ..Cause::default()
    }
}

/// What items of a bulk test failed with, as it stands now: told and mended where the overview tells and mends it. What is over by now is
/// told by its newest test.
pub(in crate::web::pages) async fn of_group(app: &App, group: &Group) -> StoreResult<Cause> {
    let known = match group.cause.split_once(':') {
        Some(("provider", id)) => of_its_provider(app, &ProviderId(id.to_owned())).await?,
        Some(("token", id)) => of_its_token(app, &TokenId(id.to_owned())).await?,
        Some(("console", _)) => Some(own::records(&group.title)),
        _ => None,
    };
    let href = match (group.items, &group.run) {
        (2.., Some(run)) => routes::run(run.as_str()),
        _ => routes::mailbox(&group.name),
    };
    Ok(known.unwrap_or_else(|| Cause {
        kind: "bad",
        title: group.title.clone(),
        href,
        button: "See the fix".to_owned(),
        ..Cause::default()
    }))
}

async fn of_its_provider(app: &App, id: &ProviderId) -> StoreResult<Option<Cause>> {
    let Some(provider) = app.store.provider_by_id(id).await? else {
        return Ok(None);
    };
    refused(app, &provider, &[]).await
}

async fn of_its_token(app: &App, id: &TokenId) -> StoreResult<Option<Cause>> {
    let Some(token) = app.store.token_by_id(id).await? else {
        return Ok(None);
    };
    let grant = app.store.grant(id).await?;
    let waiting = WaitingToken {
        name: token.name.to_string(),
        account: token.user.clone().unwrap_or_default(),
        provider: String::new(),
        grant: token.grant,
        had_grant: grant.is_some(),
        last_error: grant.as_ref().and_then(|grant| grant.last_error.clone()),
        since: grant.as_ref().and_then(|grant| grant.last_error_at),
        mailboxes: 0,
        turned_off: 0,
    };
    Ok(match grant {
        None if matches!(token.grant, GrantType::AuthorizationCode | GrantType::DeviceCode) => Some(sign_ins::never(&waiting)),
        Some(grant) if grant.state == GrantState::Revoked => Some(sign_ins::ended_one(&waiting)),
        _ => None,
    })
}

/// The provider refuses what is in use and took what was in use before: it works, until that ends.
fn fallback_needed(provider: &Provider, usage: &[Usage], now: Timestamp) -> Option<Cause> {
    let fallback = provider.credentials.fallback.as_ref()?;
    let used_at = fallback
        .used_at
        .filter(|at| fallback.counts(now) && now.since(*at) < FALLBACK_SHOWN)?;
    let noun = provider.proof_noun();
    let page = routes::provider(provider.name.as_str());
    let mended = match provider.client_auth {
        ClientAuth::Certificate => ("Replace certificate", format!("{page}/certificate")),
        _ => ("Replace secret", format!("{page}/secret")),
    };
    let cause = Cause {
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
        ..Cause::default()
    };
    Some(cause.mended(Permission::SecretSet, mended, ("Open the provider", page)))
}

/// A dated change, however many mailboxes it touches.
fn retires(change: &retirements::Change, mailboxes: i64, now: Timestamp) -> Cause {
    let list = ListQuery::change(&change.id).address(&[]);
    Cause {
        kind: "warn",
        title: change.title.clone(),
        text: radar::line(change, now),
        hits: Hits::of("Touches", (mailboxes, 0), list.clone()),
        href: list,
        button: "Show them".to_owned(),
        ..Cause::default()
    }
}
