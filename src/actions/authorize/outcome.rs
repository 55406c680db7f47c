//! How a sign-in can end (`ux.md`, 7.2), as it is kept with the attempt and shown on its page.

use crate::model::report::Diagnosis;
use serde::{Deserialize, Serialize};

/// How a sign-in ended. The stored token is replaced by the first two only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The right account, with every permission. Stored.
    SignedIn {
        /// Who signed in.
        account: String,
        /// The test of a mailbox that was started.
        run: Option<String>,
    },
    /// The right account, and permissions are missing.
    SignedInMissing {
        /// Who signed in.
        account: String,
        /// What was asked for and not granted.
        missing: Vec<String>,
        /// Whether it was stored; not if the older sign-in allows more.
        stored: bool,
        /// The test of a mailbox that was started.
        run: Option<String>,
    },
    /// Somebody else signed in.
    DifferentAccount {
        /// Who.
        account: String,
        /// Who should have.
        expected: String,
        /// Whether consent was asked for: then it may count although the account doesn't.
        consented: bool,
    },
    /// The account belongs to another tenant, or is a personal one.
    DifferentTenant {
        /// Who.
        account: String,
        /// Whether it is a personal account.
        personal: bool,
    },
    /// They came back without signing in.
    Cancelled,
    /// The organisation lets only admins allow apps.
    AdminApproval {
        /// What the provider said.
        said: String,
    },
    /// Prompt `none`, and a page would have been needed.
    PageNeeded {
        /// What the provider said.
        said: String,
    },
    /// The provider sent an error.
    Declined {
        /// What it means.
        diagnosis: Diagnosis,
        /// What the provider said.
        said: String,
    },
    /// An access token only: it would be over in an hour.
    NoLastingToken {
        /// Who signed in.
        account: String,
    },
    /// Later than ten minutes, or the provider, the token or the link was changed meanwhile.
    TooOld,
    /// The code for another device ran out before anybody signed in.
    CodeExpired,
    /// The token or its provider was changed while somebody was expected at another device.
    Changed,
    /// This return was taken already.
    Used,
    /// It came back in another window, browser or session.
    OtherWindow,
    /// We know nothing of it.
    Unknown,
    /// The code couldn't be exchanged.
    ExchangeFailed {
        /// What it means.
        diagnosis: Diagnosis,
        /// What the provider said.
        said: String,
    },
    /// Nothing says for certain who signed in.
    NoIdentity {
        /// What it means.
        diagnosis: Diagnosis,
        /// What was wrong.
        said: String,
    },
    /// The answer names another issuer than the one asked.
    IssuerMismatch {
        /// What was wrong.
        said: String,
    },
    /// Taken back here before anybody returned.
    Withdrawn,
    /// The code is being exchanged right now.
    Working,
}

impl Outcome {
    /// The word in the database and the audit.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::SignedIn { .. } => "signed_in",
            Self::SignedInMissing { .. } => "signed_in_missing",
            Self::DifferentAccount { .. } => "different_account",
            Self::DifferentTenant { .. } => "different_tenant",
            Self::Cancelled => "cancelled",
            Self::AdminApproval { .. } => "admin_approval",
            Self::PageNeeded { .. } => "page_needed",
            Self::Declined { .. } => "declined",
            Self::NoLastingToken { .. } => "no_lasting_token",
            Self::TooOld => "too_old",
            Self::CodeExpired => "code_expired",
            Self::Changed => "changed",
            Self::Used => "used",
            Self::OtherWindow => "other_window",
            Self::Unknown => "unknown",
            Self::ExchangeFailed { .. } => "exchange_failed",
            Self::NoIdentity { .. } => "no_identity",
            Self::IssuerMismatch { .. } => "issuer_mismatch",
            Self::Withdrawn => "withdrawn",
            Self::Working => "working",
        }
    }

    /// Whether the token set was replaced.
    pub const fn stored(&self) -> bool {
        matches!(self, Self::SignedIn { .. } | Self::SignedInMissing { stored: true, .. })
    }

    /// As it is kept.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it was kept; none while the attempt is open.
    pub fn read(word: &str, detail: &str) -> Option<Self> {
        match word {
            "" => None,
            "working" => Some(Self::Working),
            _ => Some(serde_json::from_str(detail).unwrap_or(Self::TooOld)),
        }
    }

    /// A sentence for the token's history; none where there is nothing to tell about the token.
    pub fn history(&self, who: &str) -> Option<String> {
        Some(match self {
            Self::SignedIn { account, .. } => format!("{account} signed in."),
            Self::SignedInMissing {
                account, missing, stored, ..
            } => {
                let end = if *stored { "" } else { " The older sign-in allows more and stays." };
                format!("{account} signed in without {}.{end}", missing.join(", "))
            }
            Self::DifferentAccount { account, expected, .. } => {
                format!("{who} came back as {account}, expected {expected}. Token unchanged.")
            }
            Self::DifferentTenant { account, .. } => {
                format!("{who} came back as {account}, which belongs elsewhere. Token unchanged.")
            }
            Self::Cancelled => format!("{who} came back without signing in. Token unchanged."),
            Self::AdminApproval { .. } => "The organisation lets only admins allow apps. Token unchanged.".to_owned(),
            Self::PageNeeded { .. } => "The provider would have had to show a page. Token unchanged.".to_owned(),
            Self::Declined { diagnosis, .. } | Self::ExchangeFailed { diagnosis, .. } => format!("{}. Token unchanged.", diagnosis.title),
            Self::NoIdentity { diagnosis, .. } => format!("{}. Token unchanged.", diagnosis.title),
            Self::NoLastingToken { account } => {
                format!("{account} signed in, and the provider gave no lasting token. Token unchanged.")
            }
            Self::IssuerMismatch { .. } => "The answer came from another issuer than the one asked. Token unchanged.".to_owned(),
            Self::TooOld => "The sign-in came back too late. Token unchanged.".to_owned(),
            Self::CodeExpired => "The code ran out before anybody signed in. Token unchanged.".to_owned(),
            Self::Changed => "The token or its provider was changed while a sign-in waited, which ended that.".to_owned(),
            Self::Withdrawn | Self::Used | Self::OtherWindow | Self::Unknown | Self::Working => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_comes_back_as_it_was_kept() {
        let outcome = Outcome::SignedInMissing {
            account: "support@contoso.example".into(),
            missing: vec!["SMTP.Send".into()],
            stored: false,
            run: None,
        };
        assert_eq!(Outcome::read(outcome.word(), &outcome.to_json()), Some(outcome));
        assert_eq!(Outcome::read("", ""), None);
        assert_eq!(Outcome::read("working", ""), Some(Outcome::Working));
        assert_eq!(Outcome::read("of a later version", "{}"), Some(Outcome::TooOld));
    }
}
