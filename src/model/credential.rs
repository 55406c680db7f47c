//! What a provider's app proves itself with, at rest, beside the client secret in use: certificates, and the credential that goes out of
//! use. Two may live at once, so that one can be replaced without a moment in which none works.

use super::provider::{AssertionAlg, ClientAuth, Provider, StoredSecret};
use super::{Date, Sealed};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// A certificate, its private key sealed beside it, and what may be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCertificate {
    /// The certificate, DER in base64: the public half, as the provider has to have it.
    pub public: String,
    /// The private key, PKCS#8 in PEM, sealed.
    pub sealed: Sealed,
    /// What the seal is bound to; never used twice for a provider.
    pub version: i64,
    /// When it was put in or made, and by whom.
    pub set_at: Timestamp,
    /// The person or command.
    pub set_by: String,
    /// What it says about itself.
    pub facts: CertificateFacts,
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Whose it is, as it says itself: anybody may have written that.
    pub subject: String,
    /// SHA-1 of the certificate in hexadecimal, as Entra shows it under *Thumbprint*.
    pub sha1: String,
    /// SHA-256 of it.
    pub sha256: String,
    /// Name of the key in a JWK Set: SHA-256 of the public key (SPKI), base64url.
    pub key_id: String,
    /// When it ends.
    pub ends: Timestamp,
}

impl CertificateFacts {
    /// The day it ends, in UTC.
    pub fn end_date(&self) -> Option<Date> {
        let at = time::OffsetDateTime::from_unix_timestamp(self.ends.0).ok()?;
        Some(Date(at.date()))
    }
}

/// The credentials of a provider beside its client secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// How assertions are signed.
    pub alg: AssertionAlg,
    /// The certificate in use, where the provider's `client_auth` is `certificate`.
    pub certificate: Option<StoredCertificate>,
    /// A certificate that was made or put in and is not in use: the provider has to know it first.
    pub next: Option<StoredCertificate>,
    /// What was in use before, kept for a while in case the provider refuses what took its place.
    pub fallback: Option<Fallback>,
}

/// A credential that has given way to another and still counts if that one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The last day on which it counts.
    pub until: Date,
    /// What it is.
    pub held: Held,
    /// When it was last needed.
    pub used_at: Option<Timestamp>,
}

/// A secret or a certificate with what is needed to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A client secret.
    Secret {
        /// How it is sent.
        auth: ClientAuth,
        /// It.
        secret: StoredSecret,
        /// The day it ends.
        expires: Option<Date>,
    },
    /// A certificate.
    Certificate {
        /// How its assertions are signed.
        alg: AssertionAlg,
        /// It.
        certificate: StoredCertificate,
    },
}

impl Held {
    /// What it is, in words.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client secret",
            Self::Certificate { .. } => "certificate",
        }
    }

    /// The day it ends.
    pub fn expires(&self) -> Option<Date> {
        match self {
            Self::Secret { expires, .. } => *expires,
            Self::Certificate { certificate, .. } => certificate.facts.end_date(),
        }
    }
}

impl Fallback {
    /// Whether it still counts.
    pub fn counts(&self, now: Timestamp) -> bool {
        self.until.days_from(now) >= 0
    }
}

impl Provider {
    /// Whether the provider took what was in use before, and not what is in use now, when it was last asked.
    pub fn rests_on_fallback(&self, now: Timestamp) -> bool {
        let fallback = self.credentials.fallback.as_ref().filter(|fallback| fallback.counts(now));
        fallback.is_some_and(|fallback| fallback.used_at.is_some() && fallback.used_at >= self.held_since())
    }

    /// What it proves itself with now; none for a public client, and where nothing is stored.
    pub fn held(&self) -> Option<Held> {
        match self.client_auth {
            ClientAuth::None => None,
            auth @ (ClientAuth::SecretPost | ClientAuth::SecretBasic) => self.client_secret.clone().map(|secret| Held::Secret {
                auth,
                secret,
                expires: self.client_secret_expires,
            }),
            ClientAuth::Certificate => self.credentials.certificate.clone().map(|certificate| Held::Certificate {
                alg: self.credentials.alg,
                certificate,
            }),
        }
    }

    /// When what it proves itself with was put in.
    pub fn held_since(&self) -> Option<Timestamp> {
        self.held().map(|held| match held {
            Held::Secret { secret, .. } => secret.set_at,
            Held::Certificate { certificate, .. } => certificate.set_at,
        })
    }

    /// What it proves itself with, in words.
    pub fn proof_noun(&self) -> &'static str {
        match self.client_auth {
            ClientAuth::Certificate => "certificate",
            _ => "client secret",
        }
    }
}
