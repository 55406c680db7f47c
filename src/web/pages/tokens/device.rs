//! A sign-in at another device, as the token's page shows it: while it waits, and what came of it (`ux.md`, 6.8).

use super::super::authorize::view::view;
use super::super::authorize::{attempt_path, outcome_of};
use super::prompts;
use crate::actions::authorize::{Outcome, device};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::model::token::{Authorization, Grant, Token};
use crate::model::user::Permission;
use crate::web::guard::CurrentUser;

/// A sign-in that waits.
pub struct Device {
    /// Its id.
    pub attempt: String,
    /// Until when the code works.
    pub ends: Timestamp,
    /// What to type in and where; only for those who may start sign-ins.
    pub codes: Option<device::Codes>,
}

impl Device {
    /// As this person may see it.
    pub fn new(app: &App, user: &CurrentUser, provider: &Provider, attempt: &Authorization) -> Self {
        let codes = user.may(Permission::TokenAuthorize).then(|| device::codes(app, provider, attempt));
        Self {
            attempt: attempt.id.clone(),
            ends: attempt.expires_at,
            codes: codes.flatten(),
        }
    }
}

/// How the last sign-in at another device ended, where it changed nothing.
pub struct Ended {
    /// Mark.
    pub kind: &'static str,
    /// Tone of the note.
    pub tone: &'static str,
    /// Verdict.
    pub heading: String,
    /// Sentence.
    pub text: String,
    /// The page that says more.
    pub path: String,
}

impl Ended {
    /// None where there is nothing to tell: it worked, it was stopped on purpose, or somebody signed in since.
    pub fn new(attempt: &Authorization, token: &Token, provider: &Provider, grant: Option<&Grant>, now: Timestamp) -> Option<Self> {
        let since = grant.and_then(|grant| grant.authorized_at);
        if !attempt.at_device() || since.is_some_and(|at| at > attempt.started_at) {
            return None;
        }
        let outcome = match outcome_of(attempt, now)? {
            Outcome::Withdrawn | Outcome::Working => return None,
            outcome if outcome.stored() => return None,
            Outcome::TooOld if attempt.outcome.is_empty() => Outcome::CodeExpired,
            outcome => outcome,
        };
        let view = view(&outcome, token, provider, grant.is_some(), &prompts(provider));
        Some(Self {
            kind: view.kind,
            tone: if view.kind == "off" { "" } else { view.kind },
            heading: view.heading,
            text: view.text.into_iter().next().unwrap_or_default(),
            path: attempt_path(&token.name, &attempt.id),
        })
    }
}
