//! Mail protocols, client side: how we sign in, and the stream every protocol speaks over.
//!
//! The stages up to the encrypted connection are in [`net`]; from there [`imap`] (RFC 3501), [`pop3`] (RFC 1939) and [`smtp`]
//! (RFC 5321) speak over a [`stream::Recorded`], which keeps the conversation without secrets and holds the server to limits. [`graph`] is
//! Microsoft's way over HTTP.

pub mod error;
pub mod folder;
pub mod graph;
pub mod imap;
pub mod messages;
pub mod net;
pub mod pop3;
pub mod record;
mod replies;
pub mod sasl;
pub mod smtp;
pub mod stream;
pub mod tls;

pub use error::MailError;
pub use net::Connector;

use crate::secret::{AccessToken, Password};
use record::Recorder;

/// How to sign in.
#[derive(Debug, Clone)]
pub enum Login {
    /// With an access token.
    OAuth2 {
        /// Whose mailbox.
        user: String,
        /// The token.
        token: AccessToken,
    },
    /// With a password.
    Password {
        /// Whose mailbox.
        user: String,
        /// The password.
        password: Password,
    },
    /// Not at all; SMTP only.
    None,
}

impl Login {
    /// The name to sign in with.
    pub fn user(&self) -> &str {
        match self {
            Self::OAuth2 { user, .. } | Self::Password { user, .. } => user,
            Self::None => "",
        }
    }

    /// Keeps the secret out of what is recorded, from the first line on: a server may know it from another time.
    pub(crate) fn hide(&self, recorder: &Recorder) {
        match self {
            Self::OAuth2 { token, .. } => recorder.hide(token.expose_secret()),
            Self::Password { password, .. } => recorder.hide(password.expose_secret()),
            Self::None => {}
        }
    }
}

/// The text, if it may stand in a command: something, and no control characters (INJ-2).
fn checked<'a>(what: &'static str, text: &'a str) -> Result<&'a str, MailError> {
    if text.is_empty() || text.chars().any(char::is_control) {
        Err(MailError::Unsendable { what })
    } else {
        Ok(text)
    }
}
