//! A valid access token: the stored one while it lives, else a new one by a protocol that never loses the only refresh token
//! (`security.md`, section 3).
//!
//! One process renews a grant once for all who ask ([`flight`]); several processes agree through a lease in the grant's row
//! ([`lease`]). The attempt is durable before anything is sent, the answer before anyone is answered; what can't be stored for now is
//! kept beside the database (`recovery`, with `ballast` so that it rarely comes to that). What was left open by a process that died is
//! settled first thing ([`settle`]).

mod anew;
mod ballast;
pub mod first;
pub mod flight;
mod hold;
pub mod lease;
mod outcome;
mod read;
mod recovery;
mod renew;
pub mod settle;
pub mod state;

pub use first::{NewGrant, store_first_grant};
pub use read::{ReadToken, read_claims};
pub use settle::{forget_previous, settle_unanswered};
pub use state::{missing_scopes, not_granted, other_needed, required_scopes, side_scopes, state};

use super::place;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{self, Evidence, own};
use crate::model::Sealed;
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::scopes::{self, Resource};
use crate::model::template::TemplateKind;
use crate::model::token::{Grant, GrantState, OtherToken, Token};
use crate::oauth::Class;
use crate::secret::AccessToken;
use crate::store::StoreError;
use renew::MAX_LEASE;
use std::sync::Arc;
use std::time::Duration;

/// How long must a token that is handed out still live, in seconds?
const MIN_LIFETIME: i64 = 60;
/// Tokens shorter than this, in seconds, are handed out until a fifth of their life is left.
const SHORT_LIFETIME: i64 = 300;
/// How far ahead can the next try be at most, in seconds? What lies further ahead was written by a clock that was wrong.
const LONGEST_PAUSE: i64 = 3600;
/// How far may two clocks be apart, in seconds, before the age of a token is taken for unknown?
const SKEW: i64 = 300;
/// How long may asking again for a lost answer hold up who only wants the stored token?
const SETTLE: Duration = Duration::from_secs(2);
/// How soon may a grant be renewed again, in seconds, while its last token lives? Against loops with odd lifetimes (F6).
const BETWEEN_RENEWALS: i64 = 30;

/// Where a handed-out token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was stored and lives long enough.
    Stored,
    /// It was got from the provider just now.
    Refreshed,
}

/// An access token as it is handed out.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The token.
    pub access_token: AccessToken,
    /// `Bearer`.
    pub token_type: String,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// Seconds until then.
    pub expires_in: i64,
    /// Scopes granted.
    pub scopes: Vec<String>,
    /// The account it acts for.
    pub user: Option<String>,
    /// Stored or new.
    pub how: How,
}

/// Why there is no access token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccessError {
    /// Nobody has signed in yet.
    #[error("{}", .0.title)]
    NotAuthorized(Box<Diagnosis>),
    /// A person must sign in or consent again.
    #[error("{}", .0.title)]
    NeedsSignIn(Box<Diagnosis>),
    /// The provider refuses the app itself, or its secret is missing: one problem for all tokens of the provider.
    #[error("{}", .0.title)]
    AppProblem(Box<Diagnosis>),
    /// Not now; tried again by itself.
    #[error("{}", .diagnosis.title)]
    Transient {
        /// What happened.
        diagnosis: Box<Diagnosis>,
        /// Not before.
        retry_at: Option<Timestamp>,
    },
    /// The database takes no writes: nothing was sent.
    #[error("{}", .0.title)]
    Busy(Box<Diagnosis>),
    /// Too many wait for the same renewal already.
    #[error("{}", .0.title)]
    TooMany(Box<Diagnosis>),
    /// A stored secret of this token can't be opened.
    #[error("{}", .0.title)]
    Damaged(Box<Diagnosis>),
    /// The database.
    #[error("{0}")]
    Store(String),
}

impl AccessError {
    /// What it means and what to do.
    pub fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::NotAuthorized(diagnosis)
            | Self::NeedsSignIn(diagnosis)
            | Self::AppProblem(diagnosis)
            | Self::Busy(diagnosis)
            | Self::TooMany(diagnosis)
            | Self::Damaged(diagnosis)
            | Self::Transient { diagnosis, .. } => (**diagnosis).clone(),
            Self::Store(text) => diagnosis::diagnose(&Evidence { own_id: None, text }),
        }
    }

    /// Whether asking again later may help without a person.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Busy(_) | Self::TooMany(_) | Self::Store(_))
    }

    fn own(make: fn(Box<Diagnosis>) -> Self, id: &str) -> Self {
        make(Box::new(diagnosis::diagnose(&Evidence::own(id))))
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(text) if text.contains("full") || text.contains("space") => Self::own(Self::Busy, own::DISK_FULL),
            StoreError::Busy(_) => Self::own(Self::Busy, own::DATABASE_BUSY),
            other => Self::Store(other.to_string()),
        }
    }
}

/// A valid access token of `token`.
///
/// `min_lifetime` is how many seconds it must still live; none: 60, or a fifth of the lifetime of tokens shorter than 5 minutes. A new
/// token that lives shorter than asked is handed out all the same. While renewing fails for now, the stored token is served until it
/// really runs out.
pub async fn access_token(app: &App, token: &Token, min_lifetime: Option<i64>) -> Result<Handed, AccessError> {
    let grant = current_grant(app, token).await?;
    let now = app.clock.now();
    if long_enough(&grant, min_lifetime, now) {
        if may_renew_at_all(&grant) && lease::is_abandoned(app, &grant, now) {
            let asking = flight::renew(app, token, Wanted::Newer(grant.generation));
            if let Ok(Ok(handed)) = tokio::time::timeout(SETTLE, asking).await {
                return Ok(handed);
            }
        }
        return give(app, token, &grant).await;
    }
    let problem = match may_renew(app, token, &grant, now) {
        Err(problem) => problem,
        Ok(()) => match flight::renew(app, token, Wanted::Lifetime(min_lifetime)).await {
            Ok(handed) => return Ok(handed),
            Err(problem) => problem,
        },
    };
    // Time has passed, and others may have changed the grant: what is there now counts.
    let grant = match app.store.grant(&token.id).await {
        Ok(Some(grant)) => grant,
        Ok(None) => return Err(problem),
        Err(_) => grant,
    };
    if lives(&grant, app.clock.now()) && check_destination(app, token, &grant).await.is_ok() {
        give(app, token, &grant).await.map_err(|_| problem)
    } else {
        Err(problem)
    }
}

/// The grant of a token, if it was stored for where its provider is now.
async fn current_grant(app: &App, token: &Token) -> Result<Grant, AccessError> {
    let grant = anew::grant_of(app, token).await?;
    check_destination(app, token, &grant).await?;
    Ok(grant)
}

/// Keeps back what was stored for where the provider no longer is (SEC-8): whoever gets a token takes it where the provider says.
async fn check_destination(app: &App, token: &Token, grant: &Grant) -> Result<(), AccessError> {
    let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
        return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
    };
    if place::is_current(grant, &provider) {
        return Ok(());
    }
    if grant.state == GrantState::Revoked {
        return Err(AccessError::own(AccessError::NeedsSignIn, own::DESTINATION_CHANGED));
    }
    let failure = outcome::Failure::here(Class::UserMustAct, own::DESTINATION_CHANGED);
    Err(outcome::refused(app, token, &provider, grant, failure).await)
}

/// Renews now, whether or not it is due; waits for a renewal that is under way instead of starting another.
pub async fn refresh_now(app: &App, token: &Token) -> Result<Handed, AccessError> {
    let grant = anew::once_more(app, token, anew::grant_of(app, token).await?).await?;
    if !may_renew_at_all(&grant) {
        return Err(last_error(&grant));
    }
    flight::renew(app, token, Wanted::Newer(grant.generation)).await
}

/// What came of *Renew now*.
#[derive(Debug)]
pub enum Pressed {
    /// A new token.
    Renewed(Handed),
    /// The last renewal was at this moment, less than half a minute ago: nothing was asked for.
    JustNow(Timestamp),
}

/// [`refresh_now`] for a button that can be pressed often: providers count renewals, and some end a grant over many (F6).
///
/// Only a renewal that succeeded stands in the way. The command line goes without: whoever may run it holds the keys anyway.
pub async fn press_renew(app: &App, token: &Token) -> Result<Pressed, AccessError> {
    let now = app.clock.now();
    if let Some(grant) = app.store.grant(&token.id).await?
        && let Some(last) = grant.refreshed_at
        && (0..BETWEEN_RENEWALS).contains(&now.since(last))
        && grant.state == GrantState::Active
        && lives(&grant, now)
    {
        return Ok(Pressed::JustNow(last));
    }
    refresh_now(app, token).await.map(Pressed::Renewed)
}

/// How many seconds after this renewal may a button ask for the next one?
pub fn next_press(last: Timestamp, now: Timestamp) -> i64 {
    (BETWEEN_RENEWALS - now.since(last)).clamp(1, BETWEEN_RENEWALS)
}

/// A valid access token of `token` for a side that needs these scopes. Where they belong to another resource than the token's own, the
/// same refresh token gets a second access token, kept beside the first: one sign-in, two resources.
pub async fn access_token_for(app: &App, token: &Token, provider: &Provider, needed: &[String]) -> Result<Handed, AccessError> {
    let kind = provider.template;
    let (own, other) = (scopes::resource_of(kind, &token.scopes), scopes::resource_of(kind, needed));
    let (Some(own), Some(resource)) = (own, other) else {
        return access_token(app, token, None).await;
    };
    if own == resource {
        return access_token(app, token, None).await;
    }
    let grant = current_grant(app, token).await?;
    let scopes = state::other_scopes(token, provider, &app.store.mailboxes_of_token(&token.id).await?, resource, needed);
    let wanted = Wanted::Other(resource, scopes.into());
    let now = app.clock.now();
    if wanted.is_met(&grant, now) {
        match hand(app, token, &grant, How::Stored, &wanted) {
            // The refresh token gets another one; the renewal writes down what was found (SEC-2).
            Err(AccessError::Damaged(_)) => {}
            handed => return handed,
        }
    }
    may_renew(app, token, &grant, now)?;
    flight::renew(app, token, wanted).await
}

/// What a renewal is for: it is done when the grant has it.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// A token that lives so long (see [`access_token`]).
    Lifetime(Option<i64>),
    /// Any generation after this one.
    Newer(i64),
    /// A token for another resource than the grant's own, with these scopes.
    Other(Resource, Arc<[String]>),
}

impl Wanted {
    fn is_met(&self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Lifetime(min_lifetime) => long_enough(grant, *min_lifetime, now),
            Self::Newer(generation) => {
                let for_other = grant.others.iter().any(|other| other.version == grant.generation);
                grant.generation > *generation && !for_other && lives(grant, now)
            }
            Self::Other(resource, wanted) => other(grant, *resource).is_some_and(|other| {
                let (age, left) = (now.since(other.issued_at), other.expires_at.since(now));
                let all = scopes::missing_scopes(TemplateKind::Microsoft, wanted, &other.scopes).is_empty();
                all && age >= -SKEW && left > 0 && (left >= MIN_LIFETIME || age < BETWEEN_RENEWALS)
            }),
        }
    }

    /// The other resource it is for.
    fn resource(&self) -> Option<Resource> {
        match self {
            Self::Other(resource, _) => Some(*resource),
            Self::Lifetime(_) | Self::Newer(_) => None,
        }
    }
}

/// The access token for another resource.
fn other(grant: &Grant, resource: Resource) -> Option<&OtherToken> {
    grant.others.iter().find(|other| other.resource == resource)
}

fn lives(grant: &Grant, now: Timestamp) -> bool {
    grant.access_token.is_some() && grant.expires_at.is_some_and(|end| end > now)
}

/// Whether the stored token will do. If the clock stands well before the moment of issue it has been set back, or was wrong then: how
/// old the token is nobody knows, so a new one is due, which settles it.
fn long_enough(grant: &Grant, min_lifetime: Option<i64>, now: Timestamp) -> bool {
    let (Some(_), Some(issued), Some(end)) = (&grant.access_token, grant.issued_at, grant.expires_at) else {
        return false;
    };
    let (age, whole, left) = (now.since(issued), end.since(issued), end.since(now));
    if age < -SKEW {
        return false;
    }
    let short = (whole / 5).min(MIN_LIFETIME);
    let usual = if whole < SHORT_LIFETIME { short } else { MIN_LIFETIME };
    let wanted = min_lifetime.unwrap_or(usual).max(1);
    left >= wanted || (left > 0 && age < BETWEEN_RENEWALS)
}

/// Whether a renewal may be tried at all: not once the provider has ended the grant. What only we refused is looked at anew.
fn may_renew_at_all(grant: &Grant) -> bool {
    grant.state != GrantState::Revoked || grant.outcome == outcome::REFUSED
}

/// Whether it may be tried now: not in the pause after a failure, and not while the provider answers nobody.
fn may_renew(app: &App, token: &Token, grant: &Grant, now: Timestamp) -> Result<(), AccessError> {
    let pausing = grant.state == GrantState::Failing && grant.retry_at.is_some_and(|at| at > now && at.since(now) <= LONGEST_PAUSE);
    if pausing || !may_renew_at_all(grant) {
        return Err(last_error(grant));
    }
    match app.flights.holds().check(&token.provider_id, tokio::time::Instant::now()) {
        None => Ok(()),
        Some((diagnosis, left)) => Err(AccessError::Transient {
            diagnosis,
            retry_at: Some(now.plus(i64::try_from(left.as_secs()).unwrap_or(0) + 1)),
        }),
    }
}

/// The stored reason why a grant can't be renewed now.
fn last_error(grant: &Grant) -> AccessError {
    let found = outcome::stored(grant).unwrap_or_else(|| diagnosis::diagnose(&Evidence::own(own::NEEDS_SIGN_IN)));
    let diagnosis = Box::new(found);
    match grant.state {
        GrantState::Revoked if diagnosis.id == own::DAMAGED => AccessError::Damaged(diagnosis),
        GrantState::Revoked => AccessError::NeedsSignIn(diagnosis),
        _ if grant.outcome == outcome::APP => AccessError::AppProblem(diagnosis),
        _ => AccessError::Transient {
            diagnosis,
            retry_at: grant.retry_at,
        },
    }
}

/// Hands the stored token out. One that can't be opened is written down (SEC-2): somebody should look.
async fn give(app: &App, token: &Token, grant: &Grant) -> Result<Handed, AccessError> {
    let handed = hand(app, token, grant, How::Stored, &Wanted::Lifetime(None));
    if matches!(handed, Err(AccessError::Damaged(_)))
        && let Ok(Some(provider)) = app.store.provider_by_id(&token.provider_id).await
    {
        let failure = outcome::Failure::here(Class::UserMustAct, own::DAMAGED);
        return Err(outcome::refused(app, token, &provider, grant, failure).await);
    }
    handed
}

fn hand(app: &App, token: &Token, grant: &Grant, how: How, wanted: &Wanted) -> Result<Handed, AccessError> {
    if let Some(resource) = wanted.resource() {
        return hand_other(app, token, grant, how, resource);
    }
    let (Some((sealed, version)), Some(expires_at)) = (&grant.access_token, grant.expires_at) else {
        return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
    };
    let text = app
        .vault
        .open(&place::access_token(&token.id, *version, &grant.destination), sealed)
        .map_err(|_| AccessError::own(AccessError::Damaged, own::DAMAGED))?;
    Ok(Handed {
        access_token: AccessToken::new(text.as_str()),
        token_type: grant.token_type.clone(),
        expires_at,
        expires_in: expires_at.since(app.clock.now()).max(0),
        scopes: grant.granted_scopes.clone(),
        user: token.user.clone(),
        how,
    })
}

fn hand_other(app: &App, token: &Token, grant: &Grant, how: How, resource: Resource) -> Result<Handed, AccessError> {
    let Some(other) = other(grant, resource) else {
        return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
    };
    let place = place::other_token(&token.id, other.version, &grant.destination);
    let text = app
        .vault
        .open(&place, &Sealed(other.sealed.clone()))
        .map_err(|_| AccessError::own(AccessError::Damaged, own::DAMAGED))?;
    Ok(Handed {
        access_token: AccessToken::new(text.as_str()),
        token_type: grant.token_type.clone(),
        expires_at: other.expires_at,
        expires_in: other.expires_at.since(app.clock.now()).max(0),
        scopes: other.scopes.clone(),
        user: token.user.clone(),
        how,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenId;
    use crate::model::token::Identity;

    pub fn grant(lifetime: i64) -> Grant {
        Grant {
            token_id: TokenId("t".into()),
            state: GrantState::Active,
            generation: 1,
            rt_current: None,
            rt_current_proven: false,
            rt_previous: None,
            rt_rotated_at: None,
            access_token: Some((Sealed("x".into()), 1)),
            others: Vec::new(),
            token_type: "Bearer".into(),
            issued_at: Some(Timestamp(1000)),
            expires_at: Some(Timestamp(1000 + lifetime)),
            granted_scopes: Vec::new(),
            identity: Identity::default(),
            destination: String::new(),
            authorized_at: None,
            authorized_by: None,
            refreshed_at: None,
            lease_owner: None,
            lease_until: None,
            attempt_id: None,
            attempt_started: None,
            outcome: String::new(),
            failures: 0,
            retry_at: None,
            last_error: None,
            last_error_at: None,
        }
    }

    #[test]
    fn a_token_is_handed_out_while_it_lives_long_enough() {
        let at = |lifetime, min, now| long_enough(&grant(lifetime), min, Timestamp(now));
        assert!(at(3600, None, 4540) && !at(3600, None, 4541), "60 seconds");
        assert!(at(100, None, 1080) && !at(100, None, 1081), "a fifth of a short life");
        assert!(at(3600, Some(600), 4000) && !at(3600, Some(600), 4001), "as asked");
        assert!(
            at(20, Some(600), 1010),
            "a fresh token that lives shorter than asked is not renewed in a loop"
        );
        assert!(!at(20, Some(600), 1021), "but a dead one is");
        assert!(!at(3600, None, 1_000_000), "a clock that jumped ahead");
        assert!(at(3600, None, 900), "the clocks of two machines differ");
        assert!(!at(3600, None, -90_000), "set back by a day: how old it is nobody knows");
        assert!(
            !at(3600, Some(i64::MAX), 2000) && at(3600, Some(i64::MIN), 2000),
            "odd wishes do no harm"
        );
    }
}
