//! A valid access token: the stored one while it lives, else a new one by a protocol that never loses the only refresh token
//! (`security.md`, section 3).
//!
//! One process renews a grant once for all who ask ([`flight`]); several processes agree through a lease in the grant's row
//! ([`lease`]). The attempt is durable before anything is sent, the answer before anyone is answered; what can't be stored for now is
//! kept beside the database (`recovery`, with `ballast` so that it rarely comes to that). What was left open by a process that died is
//! settled first thing ([`settle`]).

mod anew;
mod ballast;
mod error;
mod failure;
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
mod wanted;

pub use error::AccessError;
pub use first::{NewGrant, store_first_grant};
pub use hold::Standing;
pub use read::{ReadToken, read_claims};
pub use settle::{forget_previous, settle_unanswered};
pub use state::{missing_scopes, not_granted, other_needed, required_scopes, side_scopes, state};

use super::place;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::Sealed;
use crate::model::provider::Provider;
use crate::model::scopes::{self, Resource};
use crate::model::token::{Grant, GrantState, Token};
use crate::oauth::Class;
use crate::secret::AccessToken;
use crate::store::StoreResult;
use error::last_error;
use std::time::Duration;
use wanted::{BETWEEN_RENEWALS, Wanted, lives, long_enough, other};

/// How far ahead can the next try be at most, in seconds? What lies further ahead was written by a clock that was wrong.
const LONGEST_PAUSE: i64 = 3600;
/// How long may asking again for a lost answer hold up who only wants the stored token?
const SETTLE: Duration = Duration::from_secs(2);

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
    let failure = failure::Failure::here(Class::UserMustAct, own::DESTINATION_CHANGED);
    Err(failure::refused(app, token, &provider, grant, failure).await)
}

/// Renews now, whether or not it is due; waits for a renewal that is under way instead of starting another.
pub async fn refresh_now(app: &App, token: &Token) -> Result<Handed, AccessError> {
    let grant = anew::once_more(app, token, anew::grant_of(app, token).await?).await?;
    if !may_renew_at_all(&grant) {
        return Err(last_error(&grant));
    }
    flight::renew(app, token, Wanted::Newer(grant.generation)).await
}

/// Renews what is due, for nobody who waits: nothing is done where the grant isn't of this generation any more.
pub async fn renew_due(app: &App, token: &Token, generation: i64) -> Result<(), AccessError> {
    let grant = current_grant(app, token).await?;
    if grant.generation != generation {
        return Ok(());
    }
    may_renew(app, token, &grant, app.clock.now())?;
    flight::renew(app, token, Wanted::Newer(generation)).await.map(drop)
}

/// Lets the next request ask the provider again, where it refused for something an admin may have mended meanwhile. Only for people who
/// press a button: what runs by itself stops at a refusal (F11).
pub async fn once_more(app: &App, token: &Token) -> StoreResult<()> {
    if let Some(grant) = app.store.grant(&token.id).await?
        && token.grant.needs_person()
    {
        anew::once_more(app, token, grant).await?;
    }
    Ok(())
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
    let problem = match may_renew(app, token, &grant, now) {
        Err(problem) => problem,
        Ok(()) => match flight::renew(app, token, wanted.clone()).await {
            Ok(handed) => return Ok(handed),
            Err(problem) => problem,
        },
    };
    // As with the token's own: in its last minute it is still one. Time has passed, and what is there now counts.
    let grant = app.store.grant(&token.id).await.ok().flatten().unwrap_or(grant);
    if wanted.still_lives(&grant, app.clock.now()) && check_destination(app, token, &grant).await.is_ok() {
        return hand(app, token, &grant, How::Stored, &wanted).map_err(|_| problem);
    }
    Err(problem)
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
    match app.flights.holds().check(&token.provider_id, app.clock.running()) {
        None => Ok(()),
        Some((diagnosis, left)) => Err(AccessError::Transient {
            diagnosis,
            retry_at: Some(now.plus(i64::try_from(left.as_secs()).unwrap_or(0) + 1)),
        }),
    }
}

/// Hands the stored token out. One that can't be opened is written down (SEC-2): somebody should look.
async fn give(app: &App, token: &Token, grant: &Grant) -> Result<Handed, AccessError> {
    let handed = hand(app, token, grant, How::Stored, &Wanted::Lifetime(None));
    if matches!(handed, Err(AccessError::Damaged(_)))
        && let Ok(Some(provider)) = app.store.provider_by_id(&token.provider_id).await
    {
        let failure = failure::Failure::here(Class::UserMustAct, own::DAMAGED);
        return Err(failure::refused(app, token, &provider, grant, failure).await);
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
