//! A service account that acts for an account of its domain (RFC 7523, 2.1; Google's domain-wide delegation): an assertion signed with
//! the account's key is the grant, and no client takes part.

use super::error::{Incomplete, OAuthError};
use super::http::Http;
use super::{Client, TokenResponse, send};
use crate::clock::Timestamp;
use crate::model::token::ServiceAccount;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// `grant_type` (RFC 7523, 2.1).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How far back does an assertion begin, in seconds? The provider's clock may be behind ours.
const EARLIER: i64 = 60;
/// How long does it last from now, in seconds? The provider takes an hour in all.
const LATER: i64 = 480;
/// Longest key file that is read, in octets.
const LONGEST: usize = 16 * 1024;
/// Longest of the names in it, in octets.
const LONGEST_NAME: usize = 320;

/// The key of a service account, able to sign. Its `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct ServiceKey {
    /// Whose key it is.
    pub account: ServiceAccount,
    key: Arc<RsaKeyPair>,
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey")
    }
}

impl ServiceKey {
    /// Reads the key file that the provider hands out. `Err`: what is wrong with it, as the message at the field; nothing of the file is
    /// repeated there.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("Key JSON is longer than a key file is. Paste the file that was downloaded, and nothing else");
        }
        let Ok(file) = serde_json::from_str::<Value>(text.trim().trim_start_matches('\u{feff}')) else {
            return Err("Key JSON can't be read. Paste the whole file, from the first { to the last }");
        };
        let member = |name: &str| {
            let text = file.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
            Some(text).filter(|text| !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control))
        };
        match member("type") {
            Some("service_account") => {}
            Some("authorized_user") => {
                return Err("Key JSON is of type authorized_user, which gcloud makes for a person. Paste the key of a service account");
            }
            None if file.get("installed").or_else(|| file.get("web")).is_some() => {
                return Err("This is the JSON of an OAuth client, for people who sign in. A service account has a key JSON of its own");
            }
            _ => return Err("Key JSON has no \"type\": \"service_account\", so it isn't the key of a service account"),
        }
        let (Some(client_email), Some(client_id), Some(key_id)) = (member("client_email"), member("client_id"), member("private_key_id"))
        else {
            return Err("Key JSON lacks client_email, client_id or private_key_id. Paste the whole file");
        };
        let Some(pem) = file.get("private_key").and_then(Value::as_str).filter(|pem| !pem.trim().is_empty()) else {
            return Err(
                "Key JSON has no private_key. Google shows it once, in the file that downloads when the key is made. Make another key",
            );
        };
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => None,
        };
        let Some(key) = key else {
            return Err("The private_key in the key JSON is damaged, or no RSA key. Download the key again and paste the whole file");
        };
        Ok(Self {
            account: ServiceAccount {
                client_email: client_email.to_owned(),
                client_id: client_id.to_owned(),
                key_id: key_id.to_owned(),
            },
            key: Arc::new(key),
        })
    }

    /// An assertion that this account acts for `user`, or without one for itself, to this address.
    fn sign(&self, user: Option<&str>, scope: &str, audience: &str, now: Timestamp) -> Result<String, OAuthError> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.account.key_id});
        let mut claims = json!({
            "iss": self.account.client_email,
            "scope": scope,
            "aud": audience,
            "iat": now.plus(-EARLIER).0,
            "exp": now.plus(LATER).0,
        });
        if let Some(user) = user {
            claims["sub"] = json!(user);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| OAuthError::Incomplete(Incomplete::Secret))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Asks for an access token with which the service account acts for `user`.
pub async fn acting_for(
    http: &Http,
    client: &Client<'_>,
    key: &ServiceKey,
    user: &str,
    scopes: &[String],
    now: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let assertion = key.sign(Some(user), &client.join_scopes(scopes), client.token_url()?, now)?;
    let form = vec![("grant_type", GRANT.to_owned()), ("assertion", assertion.clone())];
    send(http, client, form, None, &[&assertion]).await
}

/// Asks for an access token for the service account itself: whether the provider knows its key. Throws the token away.
pub async fn prove(http: &Http, client: &Client<'_>, key: &ServiceKey, scopes: &[String], now: Timestamp) -> Result<(), OAuthError> {
    let assertion = key.sign(None, &client.join_scopes(scopes), client.token_url()?, now)?;
    let form = vec![("grant_type", GRANT.to_owned()), ("assertion", assertion.clone())];
    send(http, client, form, None, &[&assertion]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_is_taken_in_either_form_and_no_other_key() {
        let read = |pem: &str| {
            let file =
                json!({"type": "service_account", "client_email": "a@b", "client_id": "1", "private_key_id": "k", "private_key": pem});
            ServiceKey::read(&file.to_string()).map(|key| key.account.key_id)
        };
        for pem in [
            include_str!("../../tests/data/certificates/pkcs1.pem"),
            include_str!("../../tests/data/certificates/pkcs8.pem"),
        ] {
            assert_eq!(read(pem).as_deref(), Ok("k"));
        }
        let refused = read(include_str!("../../tests/data/certificates/ec.pem")).unwrap_err();
        assert!(refused.contains("no RSA key"), "{refused}");
    }

    #[test]
    fn what_is_no_key_file_is_told_apart_without_repeating_it() {
        let says = |text: &str| ServiceKey::read(text).err().unwrap_or_default();
        assert!(says("canary").contains("can't be read"));
        assert!(says(r#"{"web": {"client_id": "canary", "client_secret": "canary"}}"#).contains("OAuth client"));
        assert!(says(r#"{"type": "service_account"}"#).contains("client_email"));
        let no_key =
            r#"{"type": "service_account", "client_email": "a@b", "client_id": "1", "private_key_id": "k", "private_key": "canary"}"#;
        assert!(says(no_key).contains("private_key") && says(no_key).contains("damaged"));
        assert!(!says(no_key).contains("canary"));
        assert!(says(&no_key.replace(", \"private_key\": \"canary\"", "")).contains("has no private_key"));
        assert!(says(r#"{"type": "authorized_user", "client_id": "canary"}"#).contains("authorized_user"));
        assert!(says(r#"{"type": "external_account"}"#).contains("isn't the key of a service account"));
        assert!(says(&"x".repeat(LONGEST + 1)).contains("longer"));
    }
}
