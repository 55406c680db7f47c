//! Admin consent at a provider, and the one-time links about a provider for people without an account.

use super::provider::Provider;
use super::{ProviderId, Sealed, UserId, words};
use crate::clock::Timestamp;

words!(
    /// What a link about a provider is for.
    LinkKind {
        /// `/c/{code}`: an admin allows the app for their organisation.
        Consent = "consent",
        /// `/s/{code}`: somebody enters the app's client secret.
        Secret = "secret",
        /// `/s/{code}`: somebody brings the app's certificate with its private key.
        Certificate = "certificate",
        /// `/s/{code}`: somebody brings the key file of the service account.
        ServiceKey = "service_key",
    }
);

/// A link about one provider: for one thing, once, until its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderLink {
    /// Row id.
    pub id: String,
    /// SHA-256 of the code, hexadecimal.
    pub code_hash: String,
    /// What it is for.
    pub kind: LinkKind,
    /// The provider it is about.
    pub provider_id: ProviderId,
    /// The [`app`] it was made for.
    pub app: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// First opened.
    pub opened_at: Option<Timestamp>,
    /// Used up.
    pub used_at: Option<Timestamp>,
    /// Taken back.
    pub withdrawn: bool,
    /// How often its button was pressed.
    pub tries: i64,
}

/// An admin consent: on its way, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Row id; part of the flow cookie's name.
    pub id: String,
    /// SHA-256 of the `state` that was sent; none where nobody was sent anywhere.
    pub state_hash: Option<String>,
    /// The provider.
    pub provider_id: ProviderId,
    /// The [`app`] it is for.
    pub app: String,
    /// The person who went there from the console.
    pub user_id: Option<UserId>,
    /// SHA-256 of their session's id.
    pub session_hash: Option<String>,
    /// SHA-256 of the flow cookie.
    pub flow_hash: Option<String>,
    /// The link it came through.
    pub link_id: Option<String>,
    /// What was asked for.
    pub scopes: Vec<String>,
    /// The address at the provider, with the state in it.
    pub sealed: Sealed,
    /// Name of the person, or what started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// Returns after this are too late.
    pub expires_at: Timestamp,
    /// Empty while open; then how it ended.
    pub outcome: String,
    /// What pages need to say about that, as JSON; no secrets.
    pub detail: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What links and consents are bound to: the client id, and where its secrets go. Another app, or one elsewhere, starts over.
pub fn app(provider: &Provider) -> String {
    format!("{} {}", provider.client_id, provider.destination())
}
