//! A failure with everything the console knows besides the other side's text.
//!
//! Plain data, nothing of it secret: whoever saw the failure fills in what they know and leaves out the rest.

use super::Evidence;
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::{ClientAuth, Cloud, ConsentScreen};
use crate::model::report::{Direction, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;

/// A failure and its circumstances.
#[derive(Debug, Clone, Default)]
pub struct Case<'a> {
    /// What was noticed here, and what the other side said.
    pub evidence: Evidence<'a>,
    /// The step that failed; none outside tests.
    pub step: Option<Stage>,
    /// The steps that passed before it.
    pub passed: Vec<Stage>,
    /// Whether whoever saw it thinks that trying again may help.
    pub transient: bool,
    /// The side of the mailbox that was tried.
    pub side: Option<Aim>,
    /// The token in use, where there is one.
    pub token: Option<Held>,
    /// The provider it is from.
    pub provider: Option<Provider>,
    /// By how many seconds this server's clock is ahead of another one; none where nothing was compared.
    pub clock_ahead: Option<i64>,
}

/// What was tried: the server and the mailbox.
#[derive(Debug, Clone)]
pub struct Aim {
    /// What is spoken.
    pub protocol: Protocol,
    /// Reading or sending.
    pub direction: Direction,
    /// Host; empty for Graph.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption.
    pub security: Security,
    /// Whether a password is used in place of a token.
    pub password: bool,
    /// The mailbox.
    pub address: String,
    /// The user name the server is told.
    pub user_name: String,
}

#[cfg(test)]
impl Aim {
    /// A side of a mailbox of this address, for tests: what sends is SMTP.
    pub fn sample(protocol: Protocol, host: &str, port: u16, security: Security, address: &str) -> Self {
        Self {
            protocol,
            direction: if protocol == Protocol::Smtp {
                Direction::Outgoing
            } else {
                Direction::Incoming
            },
            host: host.to_owned(),
            port,
            security,
            password: false,
            address: address.to_owned(),
            user_name: address.to_owned(),
        }
    }
}

/// What is known of the access token.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// How it was got.
    pub grant: Option<GrantType>,
    /// Who signed in; none for the app itself.
    pub account: Option<String>,
    /// Whether it may open mailboxes of other addresses.
    pub shared: bool,
    /// What it says it is for; empty where it is opaque.
    pub audience: String,
    /// Whether it is sure to be for another service than the one that was asked.
    pub other_audience: bool,
    /// The permissions in it, or those the provider said it granted.
    pub permissions: Vec<String>,
    /// What this side needs and the token lacks.
    pub missing: Vec<String>,
    /// How long it is still good, in seconds.
    pub expires_in: Option<i64>,
    /// Whether the provider handed it out for this very try.
    pub renewed: bool,
    /// Object id in it: of the person, or of the service principal.
    pub object_id: Option<String>,
}

/// What is known of the provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What it was made from.
    pub template: TemplateKind,
    /// Its label, such as `Microsoft`.
    pub label: &'static str,
    /// Which Microsoft cloud.
    pub cloud: Cloud,
    /// Directory id or domain.
    pub tenant: Option<String>,
    /// Client identifier.
    pub client_id: String,
    /// How the app proves itself.
    pub client_auth: ClientAuth,
    /// Google's consent screen.
    pub consent_screen: Option<ConsentScreen>,
    /// Whether the stored secret has the shape of an ID.
    pub secret_is_id: bool,
    /// How many days ago the secret or certificate ended by the date that was entered; negative: it ends in the future.
    pub secret_ended_days: Option<i64>,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// How long ago somebody signed in, in days.
    pub signed_in_days: Option<i64>,
    /// How long ago the sign-in was last used, in days.
    pub used_days: Option<i64>,
}

impl Case<'_> {
    /// Whether this step passed.
    pub fn passed(&self, step: Stage) -> bool {
        self.passed.contains(&step)
    }

    /// Whether somebody was let in or kept out: the sign-in itself, or the first thing asked of the mailbox.
    pub fn at_the_mailbox(&self) -> bool {
        let steps = [
            Stage::Auth,
            Stage::Select,
            Stage::Inbox,
            Stage::Unread,
            Stage::Newest,
            Stage::Junk,
            Stage::Send,
            Stage::Claims,
        ];
        self.step.is_some_and(|step| steps.contains(&step))
    }
}
