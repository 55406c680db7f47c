//! A mailbox as it was typed, and as it may be saved.

use crate::model::Name;
use crate::model::mailbox::{Auth, Mailbox, Server, Side};
use crate::secret::Password;

/// One side as text.
#[derive(Debug, Clone, Default)]
pub struct SideInput {
    /// `imap`, `pop3`, `smtp` or `graph`.
    pub protocol: String,
    /// Server; nothing for Graph, like port and encryption.
    pub host: String,
    /// Port; empty: the usual one.
    pub port: String,
    /// `tls`, `starttls` or `none`; empty: the usual one.
    pub security: String,
    /// `oauth2`, `password` or `none`.
    pub auth: String,
    /// Name of the token.
    pub token: String,
    /// Login user; empty: the address.
    pub username: String,
    /// A new password; none: the stored one stays.
    pub password: Option<Password>,
}

/// A mailbox as text.
#[derive(Debug, Clone, Default)]
pub struct MailboxInput {
    /// Handle; empty: made from the address.
    pub name: String,
    /// Address.
    pub address: String,
    /// Display name.
    pub display_name: String,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// Reading; none: not at all.
    pub incoming: Option<SideInput>,
    /// Folder to read; empty: the inbox.
    pub folder: String,
    /// Sending; none: not at all.
    pub outgoing: Option<SideInput>,
    /// Default From; empty: the address.
    pub from: String,
    /// Default Bcc.
    pub bcc: Vec<String>,
    /// Hours between two messages to itself; empty or 0: none.
    pub round_trip_hours: String,
}

impl SideInput {
    fn of(side: &Side) -> Self {
        let token = match &side.auth {
            Auth::OAuth2 { token, .. } => token.to_string(),
            _ => String::new(),
        };
        let endpoint = side.server.endpoint();
        Self {
            protocol: side.server.protocol().to_string(),
            host: side.server.host().to_owned(),
            port: endpoint.map(|endpoint| endpoint.port.to_string()).unwrap_or_default(),
            security: endpoint.map(|endpoint| endpoint.security.to_string()).unwrap_or_default(),
            auth: side.auth.kind().to_string(),
            token,
            username: side.username.clone().unwrap_or_default(),
            password: None,
        }
    }
}

impl MailboxInput {
    /// A stored mailbox as text: what an edit starts from. Passwords stay where they are.
    pub fn of(mailbox: &Mailbox) -> Self {
        Self {
            name: mailbox.name.to_string(),
            address: mailbox.address.clone(),
            display_name: mailbox.display_name.clone(),
            enabled: mailbox.enabled,
            tags: mailbox.tags.clone(),
            incoming: mailbox.incoming.as_ref().map(SideInput::of),
            folder: mailbox.folder.clone(),
            outgoing: mailbox.outgoing.as_ref().map(SideInput::of),
            from: mailbox.from.clone().unwrap_or_default(),
            bcc: mailbox.bcc.clone(),
            round_trip_hours: mailbox.round_trip_hours.to_string(),
        }
    }
}

/// How a side is to sign in.
#[derive(Debug, Clone)]
pub enum AuthEdit {
    /// With this token.
    OAuth2(Name),
    /// With this password, or with the stored one.
    Password(Option<Password>),
    /// Not at all.
    None,
}

/// One side, checked.
#[derive(Debug, Clone)]
pub struct SideEdit {
    /// Server.
    pub server: Server,
    /// Sign-in.
    pub auth: AuthEdit,
    /// Login user; none: the address.
    pub username: Option<String>,
}

/// A mailbox, checked as far as that goes without the database.
#[derive(Debug, Clone)]
pub struct MailboxEdit {
    /// Handle.
    pub name: Name,
    /// Address.
    pub address: String,
    /// Display name.
    pub display_name: String,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Reading.
    pub incoming: Option<SideEdit>,
    /// Folder to read.
    pub folder: String,
    /// Sending.
    pub outgoing: Option<SideEdit>,
    /// Default From; none: the address.
    pub from: Option<String>,
    /// Default Bcc.
    pub bcc: Vec<String>,
    /// Hours between two messages to itself; 0: none.
    pub round_trip_hours: i64,
}
