//! What an app proves itself with, opened for one use: a client secret, or the private key of a certificate. Whoever calls the token
//! endpoint takes the [`Client`](super::Client) that `actions::place::client` built and doesn't ask which it is.

use super::assertion::Signer;
use super::client_auth::basic_text;
use crate::model::provider::ClientAuth;
use crate::secret::ClientSecret;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an app proves itself with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing: a public client sends its id alone, whatever is stored.
    Public,
    /// Id and secret in the form body.
    SecretPost(ClientSecret),
    /// Id and secret in an `Authorization: Basic` header.
    SecretBasic(ClientSecret),
    /// An assertion signed with the key of a certificate.
    Certificate(Signer),
    /// The provider's record asks for a secret or a certificate, and none is stored.
    Missing,
}

impl Credential {
    /// The secret of an app that proves itself in this way; a certificate is no secret, so there it is missing.
    pub fn secret(auth: ClientAuth, secret: Option<ClientSecret>) -> Self {
        let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
        match (auth, secret) {
            (ClientAuth::None, _) => Self::Public,
            (ClientAuth::SecretPost, Some(secret)) => Self::SecretPost(secret),
            (ClientAuth::SecretBasic, Some(secret)) => Self::SecretBasic(secret),
            (ClientAuth::Certificate, _) | (_, None) => Self::Missing,
        }
    }

    /// Whether nothing is there that could prove anything, though something should be.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The texts of it that must never be seen again in what a provider says. (An assertion is made for one request, and masked by its
    /// name.)
    pub(super) fn texts(&self, client_id: &str) -> Vec<String> {
        match self {
            Self::SecretPost(secret) | Self::SecretBasic(secret) => {
                let text = secret.expose_secret();
                vec![text.to_owned(), basic_text(client_id, text)]
            }
            Self::Public | Self::Certificate(_) | Self::Missing => Vec::new(),
        }
    }
}

/// The credential that was in use before, for when the provider refuses its successor. Clones share whether it was needed.
#[derive(Debug, Clone)]
pub struct Fallback {
    pub(super) credential: Credential,
    used: Arc<AtomicBool>,
}

impl Fallback {
    /// Stands by.
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            used: Arc::default(),
        }
    }

    /// Whether it has taken over.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn set_used(&self, used: bool) {
        self.used.store(used, Ordering::Relaxed);
    }
}
