//! An outbound token: provider, grant, user, scopes and prompt, and the grant (the sealed token set) it yields.

pub use super::authorization::{Authorization, Device, Link};

use super::scopes::Resource;
use super::{Name, ProviderId, Sealed, TokenId, words};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

words!(
    /// How a token is got (RFC 6749, 1.3).
    GrantType {
        /// Someone signs in at the provider's page.
        AuthorizationCode = "authorization_code",
        /// The app itself, as itself (RFC 6749, 4.4).
        ClientCredentials = "client_credentials",
        /// With a user name and a password (RFC 6749, 4.3): the last resort.
        Password = "password",
        /// Someone signs in on another device (RFC 8628).
        DeviceCode = "device_code",
        /// A service account acts for an account (RFC 7523, 2.1).
        JwtBearer = "jwt_bearer",
    }
);

impl GrantType {
    /// Whether somebody has to sign in; the others are got without a person, at first use.
    pub const fn needs_person(self) -> bool {
        match self {
            Self::AuthorizationCode | Self::DeviceCode => true,
            Self::ClientCredentials | Self::Password | Self::JwtBearer => false,
        }
    }
}

words!(
    /// The `prompt` of the authorization request (OpenID Connect Core, 3.1.2.1).
    Prompt {
        /// No page at all: succeeds only if someone is signed in already.
        None = "none",
        /// Credentials are asked for again.
        Login = "login",
        /// The consent page appears even if consent was given.
        Consent = "consent",
        /// The account picker appears.
        SelectAccount = "select_account",
        /// The parameter is not sent: the provider decides.
        Unsent = "",
    }
);

words!(
    /// State of a token as reports and pages name it.
    TokenState {
        /// Nobody has signed in yet.
        Unauthorized = "unauthorized",
        /// A sign-in is under way.
        Authorizing = "authorizing",
        /// Works.
        Active = "active",
        /// The access token has run out; renewing it is due and nothing speaks against it.
        Expired = "expired",
        /// Renewing fails for now, or the provider refuses the app itself; no new sign-in needed.
        Failing = "failing",
        /// A person must sign in or consent again.
        Revoked = "revoked",
    }
);

/// An outbound token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Row id.
    pub id: TokenId,
    /// Handle.
    pub name: Name,
    /// Its provider.
    pub provider_id: ProviderId,
    /// The provider's handle.
    pub provider: Name,
    /// How it is got.
    pub grant: GrantType,
    /// Who must sign in; anyone else is refused, always.
    pub user: Option<String>,
    /// Scopes asked for; `openid`, `email` and `profile` are added when sending.
    pub scopes: Vec<String>,
    /// Its own prompt; none: the provider's.
    pub prompt: Option<Prompt>,
    /// May open mailboxes of other addresses.
    pub shared: bool,
    /// Counts saves.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

/// Who signed in, as the provider's ID token or userinfo says (OAUTH-6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Issuer.
    pub iss: String,
    /// Subject: stable within the issuer.
    pub sub: String,
    /// Microsoft's object id of the user.
    pub oid: Option<String>,
    /// Microsoft's tenant id.
    pub tid: Option<String>,
    /// Mail address as claimed.
    pub email: Option<String>,
    /// `preferred_username` or `upn`.
    pub username: Option<String>,
    /// Display name.
    pub name: Option<String>,
}

impl Identity {
    /// The name a person knows the account by: user name, else address, else subject.
    pub fn account(&self) -> &str {
        self.username.as_deref().or(self.email.as_deref()).unwrap_or(&self.sub)
    }
}

/// The stored state of a grant: [`TokenState`] without what follows from time and open attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// Usable.
    Active,
    /// Renewing fails; tried again at `retry_at`.
    Failing,
    /// A person must act. The ciphertexts stay until the new consent.
    Revoked,
}

impl GrantState {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Revoked => "revoked",
        }
    }

    /// The value of a word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "active" => Some(Self::Active),
            "failing" => Some(Self::Failing),
            "revoked" => Some(Self::Revoked),
            _ => None,
        }
    }
}

/// An access token for another resource than the grant's own, got with the same refresh token: Graph's beside Outlook's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherToken {
    /// For which.
    pub resource: Resource,
    /// The sealed token.
    pub sealed: String,
    /// What its seal is bound to.
    pub version: i64,
    /// When it was received.
    pub issued_at: Timestamp,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// Scopes the provider granted for it.
    pub scopes: Vec<String>,
}

/// What a token yielded: the sealed token set and the durable record of its renewals (`security.md`, section 3). Sealed values
/// are bound to the token's id, their version and [`Grant::destination`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose it is.
    pub token_id: TokenId,
    /// Usable or not.
    pub state: GrantState,
    /// Counts token sets; a write is valid only for the generation it read.
    pub generation: i64,
    /// The refresh token to use, with the version its seal is bound to.
    pub rt_current: Option<(Sealed, i64)>,
    /// Whether it has been used at the provider with success.
    pub rt_current_proven: bool,
    /// The refresh token before it, kept until the current one is proven, at the latest for 24 hours.
    pub rt_previous: Option<(Sealed, i64)>,
    /// When the current one replaced the previous one.
    pub rt_rotated_at: Option<Timestamp>,
    /// The access token, with the version its seal is bound to.
    pub access_token: Option<(Sealed, i64)>,
    /// Access tokens for other resources.
    pub others: Vec<OtherToken>,
    /// `Bearer`.
    pub token_type: String,
    /// When the access token was received.
    pub issued_at: Option<Timestamp>,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
    /// Scopes the provider granted.
    pub granted_scopes: Vec<String>,
    /// Who signed in.
    pub identity: Identity,
    /// The provider's destination when the grant was stored.
    pub destination: String,
    /// When someone signed in, and who pressed the button.
    pub authorized_at: Option<Timestamp>,
    /// Who started that sign-in.
    pub authorized_by: Option<String>,
    /// When it was last renewed.
    pub refreshed_at: Option<Timestamp>,
    /// Who is renewing now: `host/boot id/pid/start/random`.
    pub lease_owner: Option<String>,
    /// Until when that claim holds.
    pub lease_until: Option<Timestamp>,
    /// The running or last attempt.
    pub attempt_id: Option<String>,
    /// When it was sent.
    pub attempt_started: Option<Timestamp>,
    /// `sent` while the answer of the attempt is not known; `ok`, `failed` or empty otherwise.
    pub outcome: String,
    /// Failed attempts in a row.
    pub failures: i64,
    /// Not to be tried before.
    pub retry_at: Option<Timestamp>,
    /// Why the last attempt failed: a diagnosis as JSON.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<Timestamp>,
}

/// A password that a token is got with, at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPassword {
    /// The sealed value; none: it was taken away.
    pub sealed: Option<Sealed>,
    /// Counts the values this place has held; part of what the seal is bound to.
    pub version: i64,
    /// The provider's destination it was entered for.
    pub destination: String,
    /// When it was set, and by whom.
    pub set_at: Timestamp,
    /// The person or command that set it.
    pub set_by: String,
}

/// A service account as its key file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its address: `iss` of assertions.
    pub client_email: String,
    /// Its number: what domain-wide delegation is given to.
    pub client_id: String,
    /// The key's id: `kid` of assertions.
    pub key_id: String,
}

/// A service account with its key at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredServiceAccount {
    /// The sealed key file.
    pub sealed: Sealed,
    /// Counts the values this place has held; part of what the seal is bound to.
    pub version: i64,
    /// The provider's destination it was entered for.
    pub destination: String,
    /// Who it is.
    pub account: ServiceAccount,
    /// When it was set, and by whom.
    pub set_at: Timestamp,
    /// The person or command that set it.
    pub set_by: String,
}

words!(
    /// What happened to a token, in its history.
    TokenEventKind {
        /// Made, changed.
        Changed = "changed",
        /// Someone signed in and the token set was stored.
        Authorized = "authorized",
        /// A sign-in that changed nothing.
        Refused = "refused",
        /// Renewed.
        Renewed = "renewed",
        /// Renewing failed.
        Failed = "failed",
        /// The provider no longer accepts the grant.
        Revoked = "revoked",
        /// Logged out and removed.
        Removed = "removed",
        /// Brought along from another program.
        Imported = "imported",
    }
);

/// A line of a token's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEvent {
    /// What kind.
    pub kind: TokenEventKind,
    /// Who: a person's name, `the console`, `the command line`.
    pub actor: String,
    /// One or two sentences.
    pub text: String,
    /// When.
    pub at: Timestamp,
}
