//! People who use the console: users, roles and permissions.

use super::{UserId, words};
use crate::clock::Timestamp;

words!(
    /// The three roles. Pages ask for a [`Permission`], never for a role.
    Role {
        /// Everything.
        Admin = "admin",
        /// Tests and sign-ins.
        Operator = "operator",
        /// Reads.
        Viewer = "viewer",
    }
);

words!(
    /// What a route asks for (`ux.md`, section 4).
    Permission {
        /// See everything except message data.
        View = "view",
        /// Read log, transcripts and bundles.
        LogRead = "log.read",
        /// Read the audit log.
        AuditRead = "audit.read",
        /// Run tests.
        MailboxTest = "mailbox.test",
        /// Start sign-ins, send links.
        TokenAuthorize = "token.authorize",
        /// See senders and subjects.
        MailboxPeek = "mailbox.peek",
        /// Move a message of a mailbox.
        MailboxAct = "mailbox.act",
        /// Add, change, pause, delete mailboxes.
        MailboxEdit = "mailbox.edit",
        /// Add, change, delete providers.
        ProviderEdit = "provider.edit",
        /// Add, change, delete tokens; log out and remove.
        TokenEdit = "token.edit",
        /// Write secrets, keys, passwords.
        SecretSet = "secret.set",
        /// Manage people.
        PeopleManage = "people.manage",
        /// Change settings.
        SettingsEdit = "settings.edit",
        /// Change keys, make backups, export with secrets.
        CryptoManage = "crypto.manage",
    }
);

impl Role {
    /// Whether people with this role have a permission.
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => true,
            Self::Operator => matches!(permission, P::View | P::LogRead | P::AuditRead | P::MailboxTest | P::TokenAuthorize),
            Self::Viewer => matches!(permission, P::View | P::LogRead | P::AuditRead),
        }
    }
}

words!(
    /// Theme of the pages, as a person chose it.
    Theme {
        /// As the device.
        System = "system",
        /// Light.
        Light = "light",
        /// Dark.
        Dark = "dark",
    }
);

/// A person with an account here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Row id.
    pub id: UserId,
    /// Address, in lower case: what they sign in with.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Argon2id hash in PHC format.
    pub password_hash: String,
    /// May not sign in; open sessions are dead.
    pub disabled: bool,
    /// Theme.
    pub theme: Theme,
    /// IANA time zone; empty: the server's.
    pub time_zone: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last request.
    pub last_seen_at: Option<Timestamp>,
}
