//! How an admin consent can end (`ux.md`, 6.9), as it is kept and shown.

use crate::model::consent::Consent;
use crate::model::report::Diagnosis;
use serde::{Deserialize, Serialize};

/// How an admin consent ended, or what was found when its permissions were looked up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The provider says yes. `roles` are what the app's own token holds; empty where only a sign-in can prove it.
    Granted {
        /// The directory, as it came back.
        tenant: Option<String>,
        /// Permissions in the app's own token.
        roles: Vec<String>,
    },
    /// Something that is needed isn't among what was allowed.
    Missing {
        /// The directory, as it came back.
        tenant: Option<String>,
        /// What is missing.
        missing: Vec<String>,
    },
    /// The provider says yes, and the app's own token couldn't be got to look.
    Unproved {
        /// The directory, as it came back.
        tenant: Option<String>,
        /// Why not.
        diagnosis: Diagnosis,
        /// What the provider said.
        said: String,
    },
    /// Somebody here said that it is granted.
    Told,
    /// They came back without consenting.
    Cancelled,
    /// Whoever signed in may not consent for the organisation.
    NotAdmin {
        /// What the provider said.
        said: String,
    },
    /// The provider sent another error.
    Refused {
        /// What it means.
        diagnosis: Diagnosis,
        /// What the provider said.
        said: String,
    },
    /// Somebody consented for another organisation.
    OtherTenant {
        /// Which.
        tenant: String,
        /// The one it should have been.
        expected: String,
    },
    /// Too late, or the provider or the link changed meanwhile.
    TooOld,
    /// This return was taken already.
    Used,
    /// It came back in another window, browser or session.
    OtherWindow,
    /// We know nothing of it.
    Unknown,
    /// The provider is being asked right now.
    Working,
}

impl Outcome {
    /// The word in the database and the audit.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "granted",
            Self::Missing { .. } => "missing",
            Self::Unproved { .. } => "unproved",
            Self::Told => "told",
            Self::Cancelled => "cancelled",
            Self::NotAdmin { .. } => "not_admin",
            Self::Refused { .. } => "refused",
            Self::OtherTenant { .. } => "other_tenant",
            Self::TooOld => "too_old",
            Self::Used => "used",
            Self::OtherWindow => "other_window",
            Self::Unknown => "unknown",
            Self::Working => "working",
        }
    }

    /// Whether it says something about what the app may do now; all others changed nothing.
    pub const fn is_result(&self) -> bool {
        matches!(
            self,
            Self::Granted { .. } | Self::Missing { .. } | Self::Unproved { .. } | Self::Told
        )
    }

    /// As it is kept.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was kept; none while the consent is open.
    pub fn of(consent: &Consent) -> Option<Self> {
        match consent.outcome.as_str() {
            "" => None,
            "working" => Some(Self::Working),
            _ => Some(serde_json::from_str(&consent.detail).unwrap_or(Self::TooOld)),
        }
    }

    /// A sentence for the audit and for lists.
    pub fn sentence(&self) -> String {
        match self {
            Self::Granted { roles, .. } if roles.is_empty() => "Consent was given.".to_owned(),
            Self::Granted { roles, .. } => format!("The app's own token holds {}.", roles.join(", ")),
            Self::Missing { missing, .. } => format!("Not allowed: {}.", missing.join(", ")),
            Self::Unproved { diagnosis, .. } => format!("Consent was given, but the app gets no token: {}.", diagnosis.title),
            Self::Told => "Somebody here said that it is granted.".to_owned(),
            Self::Cancelled => "They came back without consenting. Nothing changed.".to_owned(),
            Self::NotAdmin { .. } => "Whoever signed in may not consent for the organisation. Nothing changed.".to_owned(),
            Self::Refused { diagnosis, .. } => format!("{}. Nothing changed.", diagnosis.title),
            Self::OtherTenant { tenant, expected } => format!("Consent was given for {tenant}; this provider is for {expected}."),
            Self::TooOld => "It came back too late. Nothing changed.".to_owned(),
            Self::Used => "This return was taken already.".to_owned(),
            Self::OtherWindow => "It came back in another window. Nothing changed.".to_owned(),
            Self::Unknown => "We didn't start this.".to_owned(),
            Self::Working => "The provider is being asked.".to_owned(),
        }
    }
}
