//! The fields of the form, as text, and the way from and to what actions take.

use super::kept::Passwords;
use crate::actions::FieldProblem;
use crate::actions::mailboxes::{MailboxInput, SideInput, split_list};
use crate::model::Name;
use crate::model::mailbox::{Auth, Mailbox, Security, Server, Side};
use crate::secret::Password;
use crate::web::form::FieldErrors;
use crate::web::pages::mailboxes::suggest::Suggestion;
use serde::Deserialize;

/// The form as it was sent. Holds passwords: no `Debug`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct MailboxForm {
    pub address: String,
    pub name: String,
    pub display_name: String,
    pub tags: String,
    pub enabled: String,
    pub incoming: String,
    pub incoming_host: String,
    pub incoming_port: String,
    pub incoming_security: String,
    pub folder: String,
    pub outgoing: String,
    pub outgoing_host: String,
    pub outgoing_port: String,
    pub outgoing_security: String,
    pub separate: String,
    pub auth: String,
    pub token: String,
    pub username: String,
    pub password: String,
    pub outgoing_auth: String,
    pub outgoing_token: String,
    pub outgoing_username: String,
    pub outgoing_password: String,
    pub from: String,
    pub bcc: String,
    pub round_trip_hours: String,
    pub version: String,
    pub kept: String,
    pub act: String,
    pub once: String,
    pub script: String,
    pub back: String,
}

/// Whether a side has a stored password.
pub fn has_password(side: Option<&Side>) -> bool {
    side.is_some_and(|side| matches!(side.auth, Auth::Password { password: Some(_) }))
}

/// Fields with a label: those two people can set differently.
pub const fn labels() -> &'static [(&'static str, &'static str)] {
    &[
        ("address", "Email address"),
        ("display_name", "Display name"),
        ("tags", "Tags"),
        ("enabled", "Turned on"),
        ("incoming", "Read mail with"),
        ("incoming_host", "Incoming server"),
        ("incoming_port", "Incoming port"),
        ("incoming_security", "Incoming encryption"),
        ("folder", "Folder"),
        ("outgoing", "Send mail with"),
        ("outgoing_host", "Outgoing server"),
        ("outgoing_port", "Outgoing port"),
        ("outgoing_security", "Outgoing encryption"),
        ("separate", "Sign-in set separately"),
        ("auth", "Sign in with"),
        ("token", "Token"),
        ("username", "User name"),
        ("outgoing_auth", "Sign in with, for sending"),
        ("outgoing_token", "Token, for sending"),
        ("outgoing_username", "User name, for sending"),
        ("from", "Default From"),
        ("bcc", "Default Bcc"),
        ("round_trip_hours", "Send a message to itself"),
    ]
}

/// The sign-in of a side: kind, token, user name.
type SignIn = (String, String, String);

fn sign_in(side: &Side) -> SignIn {
    let token = match &side.auth {
        Auth::OAuth2 { token, .. } => token.to_string(),
        _ => String::new(),
    };
    (side.auth.kind().to_string(), token, side.username.clone().unwrap_or_default())
}

impl MailboxForm {
    /// Whether the two sides sign in differently.
    pub fn is_separate(&self) -> bool {
        self.separate == "1"
    }

    /// The form of a mailbox as it is stored.
    pub fn of(mailbox: &Mailbox) -> Self {
        let mut form = Self {
            address: mailbox.address.clone(),
            name: mailbox.name.to_string(),
            display_name: mailbox.display_name.clone(),
            tags: mailbox.tags.join(", "),
            enabled: if mailbox.enabled { "1".into() } else { String::new() },
            // What a side would start with that is not there yet.
            incoming: "none".into(),
            incoming_port: "993".into(),
            incoming_security: Security::Tls.to_string(),
            folder: mailbox.folder.clone(),
            outgoing: "none".into(),
            outgoing_port: "587".into(),
            outgoing_security: Security::Starttls.to_string(),
            from: mailbox.from.clone().unwrap_or_default(),
            bcc: mailbox.bcc.join(", "),
            round_trip_hours: mailbox.round_trip_hours.to_string(),
            version: mailbox.version.to_string(),
            ..Self::default()
        };
        if let Some(side) = &mailbox.incoming {
            form.incoming = side.server.protocol().to_string();
            (form.incoming_host, form.incoming_port, form.incoming_security) = endpoint(&side.server);
            (form.auth, form.token, form.username) = sign_in(side);
        }
        if let Some(side) = &mailbox.outgoing {
            form.outgoing = side.server.protocol().to_string();
            (form.outgoing_host, form.outgoing_port, form.outgoing_security) = endpoint(&side.server);
            let outgoing = sign_in(side);
            match &mailbox.incoming {
                Some(incoming) if sign_in(incoming) == outgoing => {}
                Some(_) => {
                    form.separate = "1".into();
                    (form.outgoing_auth, form.outgoing_token, form.outgoing_username) = outgoing;
                }
                None => (form.auth, form.token, form.username) = outgoing,
            }
        }
        form
    }

    /// The form of a new mailbox like another one.
    pub fn copy_of(mailbox: &Mailbox) -> Self {
        Self {
            address: String::new(),
            name: String::new(),
            display_name: String::new(),
            enabled: String::new(),
            version: String::new(),
            from: String::new(),
            round_trip_hours: String::new(),
            ..Self::of(mailbox)
        }
    }

    /// The form of a new mailbox, nothing known.
    pub fn by_hand(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            name: Name::suggest(address).map(|name| name.to_string()).unwrap_or_default(),
            incoming: "imap".into(),
            incoming_port: "993".into(),
            incoming_security: Security::Tls.to_string(),
            folder: "INBOX".into(),
            outgoing: "smtp".into(),
            outgoing_port: "587".into(),
            outgoing_security: Security::Starttls.to_string(),
            auth: "oauth2".into(),
            ..Self::default()
        }
    }

    /// The form of a new mailbox where servers and token are suggested.
    pub fn suggested(address: &str, suggestion: &Suggestion) -> Self {
        let mut form = Self::by_hand(address);
        form.incoming = "none".into();
        if let Some(server) = &suggestion.incoming {
            form.incoming = server.protocol().to_string();
            (form.incoming_host, form.incoming_port, form.incoming_security) = endpoint(server);
        }
        form.outgoing = "none".into();
        if let Some(server) = &suggestion.outgoing {
            form.outgoing = server.protocol().to_string();
            (form.outgoing_host, form.outgoing_port, form.outgoing_security) = endpoint(server);
        }
        form.auth = if suggestion.password { "password".into() } else { "oauth2".into() };
        form.token = suggestion.token.clone().unwrap_or_default();
        form
    }

    /// What actions take. A password that was not typed anew is the one that was kept from the time before.
    pub fn input(&self, kept: &Passwords) -> MailboxInput {
        let typed = |text: &str, kept: &Option<Password>| match text {
            "" => kept.clone(),
            text => Some(Password::new(text)),
        };
        let password = typed(&self.password, &kept.password);
        let shared = || (self.auth.clone(), self.token.clone(), self.username.clone(), password.clone());
        let incoming = (self.incoming != "none").then(|| {
            let (auth, token, username, password) = shared();
            SideInput {
                protocol: self.incoming.clone(),
                host: self.incoming_host.clone(),
                port: self.incoming_port.clone(),
                security: self.incoming_security.clone(),
                auth,
                token,
                username,
                password,
            }
        });
        let outgoing = (self.outgoing != "none").then(|| {
            let (auth, token, username, password) = if self.is_separate() {
                (
                    self.outgoing_auth.clone(),
                    self.outgoing_token.clone(),
                    self.outgoing_username.clone(),
                    typed(&self.outgoing_password, &kept.outgoing_password),
                )
            } else {
                shared()
            };
            SideInput {
                protocol: self.outgoing.clone(),
                host: self.outgoing_host.clone(),
                port: self.outgoing_port.clone(),
                security: self.outgoing_security.clone(),
                auth,
                token,
                username,
                password,
            }
        });
        MailboxInput {
            name: self.name.clone(),
            address: self.address.clone(),
            display_name: self.display_name.clone(),
            enabled: self.enabled == "1",
            tags: split_list(&self.tags),
            incoming,
            folder: self.folder.clone(),
            outgoing,
            from: self.from.clone(),
            bcc: split_list(&self.bcc),
            round_trip_hours: self.round_trip_hours.clone(),
        }
    }

    /// Fields and values, passwords only where they are kept sealed.
    pub fn pairs(&self, with_passwords: bool) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("address", &self.address),
            ("name", &self.name),
            ("display_name", &self.display_name),
            ("tags", &self.tags),
            ("enabled", &self.enabled),
            ("incoming", &self.incoming),
            ("incoming_host", &self.incoming_host),
            ("incoming_port", &self.incoming_port),
            ("incoming_security", &self.incoming_security),
            ("folder", &self.folder),
            ("outgoing", &self.outgoing),
            ("outgoing_host", &self.outgoing_host),
            ("outgoing_port", &self.outgoing_port),
            ("outgoing_security", &self.outgoing_security),
            ("separate", &self.separate),
            ("auth", &self.auth),
            ("token", &self.token),
            ("username", &self.username),
            ("outgoing_auth", &self.outgoing_auth),
            ("outgoing_token", &self.outgoing_token),
            ("outgoing_username", &self.outgoing_username),
            ("from", &self.from),
            ("bcc", &self.bcc),
            ("round_trip_hours", &self.round_trip_hours),
            ("back", &self.back),
        ];
        if with_passwords {
            pairs.extend([
                ("password", &self.password),
                ("outgoing_password", &self.outgoing_password),
                ("kept", &self.kept),
                ("version", &self.version),
            ]);
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}

fn endpoint(server: &Server) -> (String, String, String) {
    server.endpoint().map_or_else(
        || (String::new(), String::new(), Security::Tls.to_string()),
        |endpoint| (endpoint.host.clone(), endpoint.port.to_string(), endpoint.security.to_string()),
    )
}

/// The field of this form that a field of a mailbox stands in. What both sides share is one field.
pub fn form_field(field: &str, separate: bool) -> &str {
    match (field, separate) {
        ("incoming.protocol", _) => "incoming",
        ("incoming.host", _) => "incoming_host",
        ("incoming.port", _) => "incoming_port",
        ("incoming.security", _) => "incoming_security",
        ("incoming.folder", _) => "folder",
        ("incoming.auth", _) | ("outgoing.auth", false) => "auth",
        ("incoming.token", _) | ("outgoing.token", false) => "token",
        ("incoming.username", _) | ("outgoing.username", false) => "username",
        ("incoming.password", _) | ("outgoing.password", false) => "password",
        ("outgoing.auth", true) => "outgoing_auth",
        ("outgoing.token", true) => "outgoing_token",
        ("outgoing.username", true) => "outgoing_username",
        ("outgoing.password", true) => "outgoing_password",
        ("outgoing.protocol", _) => "outgoing",
        ("outgoing.host", _) => "outgoing_host",
        ("outgoing.port", _) => "outgoing_port",
        ("outgoing.security", _) => "outgoing_security",
        ("outgoing.from", _) => "from",
        ("outgoing.bcc", _) => "bcc",
        (other, _) => other,
    }
}

/// Problems at the fields of this form. What both sides share is said once.
pub fn field_errors(form: &MailboxForm, problems: &[FieldProblem]) -> FieldErrors {
    let mut errors = FieldErrors::default();
    for problem in problems {
        let field = form_field(problem.field, form.is_separate());
        if errors.get(field) != Some(problem.message.as_str()) {
            errors.add(field, problem.message.clone());
        }
    }
    errors
}
