//! Everything that changes something: who acts goes in, what came of it comes out, and the audit entry is written with the change.

pub mod access_token;
pub mod ahead;
pub mod authorize;
pub mod batches;
pub mod bundle;
pub mod checks;
pub mod config;
pub mod consent;
pub mod console_certificate;
pub mod demo;
pub mod doctor;
pub mod expiry;
pub mod findings;
pub mod judgement;
pub mod links;
pub mod mailboxes;
pub mod notices;
pub mod place;
pub mod probe;
pub mod provider_links;
pub mod providers;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod tokens;
pub mod transfer;
pub mod users;
pub mod walkthroughs;

use crate::store::StoreError;
use crate::vault::VaultError;

/// What is wrong with one value of a form or a configuration file, in the words of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Name of the field; keys of the configuration file have the same names.
    pub field: &'static str,
    /// A sentence without a full stop (`ux.md`, section 9).
    pub message: String,
}

/// Collects what is wrong while the values are turned into types, so that everything is told at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Notes a problem.
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push(FieldProblem {
            field,
            message: message.into(),
        });
    }

    /// Notes a problem if there is one.
    pub fn note<M: Into<String>>(&mut self, field: &'static str, message: Option<M>) {
        if let Some(message) = message {
            self.add(field, message);
        }
    }

    /// The value, or its problem is noted and nothing comes back.
    pub fn take<T, E: std::fmt::Display>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Whether this field has a problem already.
    pub fn has(&self, field: &str) -> bool {
        self.0.iter().any(|problem| problem.field == field)
    }

    /// All of them, as an error if there are any.
    pub fn check(self) -> Result<(), Vec<FieldProblem>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<FieldProblem> {
        self.0
    }
}

/// Why an action did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// What it is about isn't there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Values that can't be taken as they are.
    #[error("{} can't be used as it is", .0.first().map_or("a value", |problem| problem.field))]
    Fields(Vec<FieldProblem>),
    /// The database said no; [`StoreError::Stale`] when somebody else saved first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored secret can't be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl ActionError {
    /// One problem with one field.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self::Fields(vec![FieldProblem {
            field,
            message: message.into(),
        }])
    }
}
