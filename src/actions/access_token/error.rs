//! Why there is no access token.

use super::{failure, outcome};
use crate::clock::Timestamp;
use crate::diagnosis::{self, Evidence, own};
use crate::model::report::Diagnosis;
use crate::model::token::{Grant, GrantState};
use crate::store::StoreError;

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

    pub(super) fn own(make: fn(Box<Diagnosis>) -> Self, id: &str) -> Self {
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

/// The stored reason why a grant can't be renewed now.
pub(super) fn last_error(grant: &Grant) -> AccessError {
    let found = failure::stored(grant).unwrap_or_else(|| diagnosis::diagnose(&Evidence::own(own::NEEDS_SIGN_IN)));
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
