//! The assertion an app proves itself with in place of a secret (RFC 7521, RFC 7523; OpenID Connect Core, 9: `private_key_jwt`): a JWT
//! signed with the key of a certificate that the provider knows. Each one is made for one request.

use super::certificate::pkcs8;
use super::error::{Incomplete, OAuthError};
use crate::clock::Clock;
use crate::model::provider::AssertionAlg;
use crate::random::Random;
use crate::secret::PrivateKey;
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// `client_assertion_type` (RFC 7523, 2.2).
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far back does an assertion begin, in seconds? The provider's clock may be behind ours.
const EARLIER: i64 = 60;
/// How long does it last from now, in seconds? Long enough for a clock that is ahead, short enough to be of no use to a thief.
const LATER: i64 = 480;

/// The key of a certificate, able to sign assertions. Its `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct Signer {
    key: Arc<RsaKeyPair>,
    alg: AssertionAlg,
    sha1: String,
    sha256: String,
    key_id: Option<String>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// Signs with this key for this certificate (DER). `None`: it is no RSA key of 2048 bits or more.
    pub fn new(key: &PrivateKey, certificate: &[u8], alg: AssertionAlg, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Option<Self> {
        let key = RsaKeyPair::from_pkcs8(&pkcs8(key)?).ok()?;
        let fingerprint = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, certificate));
        Some(Self {
            key: Arc::new(key),
            alg,
            sha1: fingerprint(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: fingerprint(&digest::SHA256),
            key_id: None,
            clock,
            random,
        })
    }

    /// Names the key in the header: servers that know keys by id (a JWK Set) look for it there. Microsoft goes by the thumbprint.
    pub fn naming(mut self, key_id: String) -> Self {
        self.key_id = Some(key_id);
        self
    }

    /// An assertion that this app speaks to this address.
    pub fn sign(&self, client_id: &str, audience: &str) -> Result<String, OAuthError> {
        let now = self.clock.now();
        let mut header = match self.alg {
            AssertionAlg::Ps256 => json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.sha256}),
            AssertionAlg::Rs256 => json!({"alg": "RS256", "typ": "JWT", "x5t": self.sha1}),
        };
        if let Some(key_id) = &self.key_id {
            header["kid"] = key_id.as_str().into();
        }
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": self.random.base64url(24),
            "nbf": now.plus(-EARLIER).0,
            "iat": now.0,
            "exp": now.plus(LATER).0,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match self.alg {
            AssertionAlg::Ps256 => &RSA_PSS_SHA256,
            AssertionAlg::Rs256 => &RSA_PKCS1_SHA256,
        };
        // The library takes the salt from the operating system itself.
        self.key
            .sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| OAuthError::Incomplete(Incomplete::Secret))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
