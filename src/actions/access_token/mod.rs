//! A valid access token: the stored one while it lives, else a new one by a protocol that never loses the only refresh token
//! (`security.md`, section 3).
//!
//! One process renews a grant once for all who ask ([`flight`]); several processes agree through a lease in the grant's row
//! ([`lease`]). The attempt is durable before anything is sent, the answer before anyone is answered; what can't be stored for now is
//! kept beside the database ([`recovery`]).

pub mod first;
pub mod flight;
pub mod lease;
mod outcome;
pub mod recovery;
mod renew;
pub mod state;

pub use first::{NewGrant, store_first_grant};
pub use recovery::settle_unanswered;
pub use state::{missing_scopes, state};

use super::place;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{self, Evidence, own};
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantState, Token};
use crate::secret::AccessToken;
use crate::store::StoreError;

/// How long must a token that is handed out still live, in seconds?
const MIN_LIFETIME: i64 = 60;
/// Tokens shorter than this, in seconds, are handed out until a fifth of their life is left.
const SHORT_LIFETIME: i64 = 300;
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
    /// The database takes no writes, or too many wait: nothing was sent.
    #[error("{}", .0.title)]
    Busy(Box<Diagnosis>),
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
            | Self::Damaged(diagnosis)
            | Self::Transient { diagnosis, .. } => (**diagnosis).clone(),
            Self::Store(text) => diagnosis::diagnose(&Evidence { own_id: None, text }),
        }
    }

    /// Whether asking again later may help without a person.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Busy(_) | Self::Store(_))
    }

    fn own(make: fn(Box<Diagnosis>) -> Self, id: &str) -> Self {
        make(Box::new(diagnosis::diagnose(&Evidence::own(id))))
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(_) => Self::own(Self::Busy, own::DISK_FULL),
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
    let grant = app.store.grant(&token.id).await?;
    let Some(grant) = grant else {
        return Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED));
    };
    let now = app.clock.now();
    if long_enough(&grant, min_lifetime, now) {
        return hand(app, token, &grant, How::Stored);
    }
    let renewed = if may_renew(&grant, now) {
        flight::renew(app, token, Wanted::Lifetime(min_lifetime)).await
    } else {
        Err(last_error(&grant))
    };
    match renewed {
        Err(error) if lives(&grant, now) && !matches!(error, AccessError::Damaged(_)) => {
            hand(app, token, &grant, How::Stored).map_err(|_| error)
        }
        other => other,
    }
}

/// Renews now, whether or not it is due; waits for a renewal that is under way instead of starting another.
pub async fn refresh_now(app: &App, token: &Token) -> Result<Handed, AccessError> {
    match app.store.grant(&token.id).await? {
        None => Err(AccessError::own(AccessError::NotAuthorized, own::NOT_AUTHORIZED)),
        Some(grant) if grant.state == GrantState::Revoked => Err(last_error(&grant)),
        Some(grant) => flight::renew(app, token, Wanted::Newer(grant.generation)).await,
    }
}

/// What a renewal is for: it is done when the grant has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// A token that lives so long (see [`access_token`]).
    Lifetime(Option<i64>),
    /// Any generation after this one.
    Newer(i64),
}

impl Wanted {
    fn is_met(self, grant: &Grant, now: Timestamp) -> bool {
        match self {
            Self::Lifetime(min_lifetime) => long_enough(grant, min_lifetime, now),
            Self::Newer(generation) => grant.generation > generation && lives(grant, now),
        }
    }
}

fn lives(grant: &Grant, now: Timestamp) -> bool {
    grant.access_token.is_some() && grant.expires_at.is_some_and(|end| end > now)
}

/// Whether the stored token will do. A clock that stands before the moment of issue says nothing about the token's age, so the
/// remaining life is never taken to be longer than the whole.
fn long_enough(grant: &Grant, min_lifetime: Option<i64>, now: Timestamp) -> bool {
    let (Some(_), Some(issued), Some(end)) = (&grant.access_token, grant.issued_at, grant.expires_at) else {
        return false;
    };
    let whole = end.since(issued);
    let left = end.since(now).min(whole);
    let wanted = min_lifetime
        .unwrap_or(if whole < SHORT_LIFETIME {
            (whole / 5).min(MIN_LIFETIME)
        } else {
            MIN_LIFETIME
        })
        .max(1);
    let just_renewed = now.since(issued).abs() < BETWEEN_RENEWALS && left > 0;
    left >= wanted || just_renewed
}

fn may_renew(grant: &Grant, now: Timestamp) -> bool {
    match grant.state {
        GrantState::Active => true,
        GrantState::Failing => grant.retry_at.is_none_or(|at| at <= now || at.since(now) > 3600),
        GrantState::Revoked => false,
    }
}

/// The stored reason why a grant can't be renewed now.
fn last_error(grant: &Grant) -> AccessError {
    let stored = grant
        .last_error
        .as_deref()
        .and_then(|text| serde_json::from_str::<Diagnosis>(text).ok());
    let diagnosis = Box::new(stored.unwrap_or_else(|| diagnosis::diagnose(&Evidence::own(own::NEEDS_SIGN_IN))));
    match grant.state {
        GrantState::Revoked => AccessError::NeedsSignIn(diagnosis),
        _ => AccessError::Transient {
            diagnosis,
            retry_at: grant.retry_at,
        },
    }
}

fn hand(app: &App, token: &Token, grant: &Grant, how: How) -> Result<Handed, AccessError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenId;
    use crate::model::{Sealed, token::Identity};

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
        assert!(
            at(3600, None, -90_000),
            "a clock that jumped back neither kills a token nor storms the provider"
        );
    }
}
