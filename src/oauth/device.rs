//! Signing in at another device (RFC 8628): a pair of codes, one for a person to type in and one to ask with whether they did.

use super::error::{Incomplete, MalformedKind, OAuthError};
use super::exchange::Exchange;
use super::http::{Http, check_url};
use super::mask::Mask;
use super::response::{document, seconds, visible};
use super::{Client, TokenResponse, client_auth, token_request};
use crate::model::template::TemplateKind;
use crate::secret::Nonce;
use serde_json::{Map, Value};
use url::Url;

/// The grant type at the token endpoint.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Longest life of a code we believe, and the one where the provider names none we can use, in seconds.
const LONGEST_LIFE: i64 = 3600;
const ASSUMED_LIFE: i64 = 300;
/// Pause between two questions where the provider names none (RFC 8628, 3.2), and the longest we believe, in seconds.
pub const USUAL_PAUSE: i64 = 5;
const LONGEST_PAUSE: i64 = 300;
/// Longest code a person could be asked to type in, and longest address, in characters.
const LONGEST_USER_CODE: usize = 64;
const LONGEST_ADDRESS: usize = 2000;

/// What a device sign-in begins with.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    /// What to ask with.
    pub device_code: Nonce,
    /// What the person types in: visible ASCII.
    pub user_code: String,
    /// Where they do.
    pub verification_uri: String,
    /// The same with the code filled in, on the same server.
    pub complete: Option<String>,
    /// Seconds from receipt to its end.
    pub expires_in: i64,
    /// Seconds between two questions.
    pub pause: i64,
}

/// What a question yielded.
#[derive(Debug)]
pub enum Polled {
    /// Somebody signed in.
    SignedIn(Box<TokenResponse>),
    /// Nobody has decided yet.
    Pending,
    /// The same, and from now on every pause is 5 seconds longer.
    SlowDown,
    /// The person said no.
    Declined(OAuthError),
    /// The code has run out.
    Expired,
    /// No usable answer this time.
    NoAnswer(OAuthError),
    /// The provider refuses for good.
    Refused(OAuthError),
}

/// Asks for a pair of codes (RFC 8628, 3.1). The client proves itself as at the token endpoint; Microsoft wants its id alone.
pub async fn begin(http: &Http, client: &Client<'_>, scopes: &[String]) -> Result<DeviceCode, OAuthError> {
    let url = client.endpoints.device_authorization_url.clone();
    let url = url.ok_or(OAuthError::Incomplete(Incomplete::DeviceUrl))?;
    let mut form = vec![("scope", client.join_scopes(scopes))];
    let id = &client.provider.client_id;
    let proof = match client.kind() {
        TemplateKind::Microsoft if !id.is_empty() => None,
        _ => client_auth::prove(client, &mut form)?,
    };
    // Asked for where nothing else says who asks, and taken everywhere (RFC 8628, 3.1).
    if !form.iter().any(|(name, _)| *name == "client_id") {
        form.push(("client_id", id.clone()));
    }
    let mask = Mask::new([], client);
    let exchange = http.post_form(&url, &form, proof).await?;
    let document = document(&exchange, &mask)?;
    let plain = client.token_url()?.starts_with("http://");
    read(&document, plain).map_err(|(member, why)| unusable(&exchange, member, why))
}

fn unusable(exchange: &Exchange, member: &'static str, why: &'static str) -> OAuthError {
    exchange.malformed(MalformedKind::Member(member, why))
}

/// Asks once whether somebody signed in (RFC 8628, 3.4 and 3.5).
pub async fn poll(http: &Http, client: &Client<'_>, device_code: &Nonce) -> Polled {
    let code = device_code.expose_secret();
    let form = vec![("grant_type", GRANT.to_owned()), ("device_code", code.to_owned())];
    match token_request(http, client, form, &[code]).await {
        Ok(tokens) => Polled::SignedIn(Box::new(tokens)),
        Err(error) => weigh(error),
    }
}

/// What it means that no tokens came. Only what the provider says for good ends the waiting.
fn weigh(error: OAuthError) -> Polled {
    let said = match &error {
        OAuthError::Refused(refused) => refused.error.as_str(),
        OAuthError::Unreachable(_) | OAuthError::Malformed(_) => return Polled::NoAnswer(error),
        _ => return Polled::Refused(error),
    };
    match said {
        "authorization_pending" => Polled::Pending,
        "slow_down" => Polled::SlowDown,
        // The second is Microsoft's.
        "access_denied" | "authorization_declined" => Polled::Declined(error),
        "expired_token" | "code_expired" => Polled::Expired,
        "temporarily_unavailable" | "server_error" => Polled::NoAnswer(error),
        _ if error.is_of_the_server() => Polled::NoAnswer(error),
        _ => Polled::Refused(error),
    }
}

type Unusable = (&'static str, &'static str);

fn read(document: &Map<String, Value>, plain: bool) -> Result<DeviceCode, Unusable> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let device_code = visible("device_code", text("device_code").unwrap_or_default())?;
    // Google's older name.
    let address = text("verification_uri").or_else(|| text("verification_url")).unwrap_or_default();
    let page = address_of(address, plain).ok_or(("verification_uri", "is not an address to open"))?;
    let complete = text("verification_uri_complete").and_then(|address| address_of(address, plain));
    Ok(DeviceCode {
        device_code: Nonce::new(device_code),
        user_code: user_code(text("user_code").unwrap_or_default())?,
        complete: complete.filter(|url| url.origin() == page.origin()).map(String::from),
        verification_uri: page.into(),
        expires_in: seconds(document.get("expires_in")).map_or(ASSUMED_LIFE, |told| told.min(LONGEST_LIFE)),
        pause: seconds(document.get("interval")).map_or(USUAL_PAUSE, |told| told.min(LONGEST_PAUSE)),
    })
}

/// A code goes on a page and a terminal, and a person types it in.
fn user_code(text: &str) -> Result<String, Unusable> {
    let text = text.trim();
    if text.is_empty() {
        Err(("user_code", "is missing"))
    } else if text.chars().count() > LONGEST_USER_CODE {
        Err(("user_code", "is too long to type in"))
    } else if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        Err(("user_code", "has characters that can't be typed in"))
    } else {
        Ok(text.to_owned())
    }
}

/// An address a person may be sent to: https, or as plain as the token endpoint is.
fn address_of(text: &str, plain: bool) -> Option<Url> {
    let url = check_url(text).ok()?;
    let fits = url.scheme() == "https" || plain;
    (fits && text.len() <= LONGEST_ADDRESS).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::super::error::Refused;
    use super::*;
    use serde_json::json;

    fn from(changes: &Value) -> Result<DeviceCode, Unusable> {
        let mut document = json!({
            "device_code": "canary-device", "user_code": "BCDF-GHJK", "verification_uri": "https://login.example/device",
            "expires_in": 900, "interval": 5,
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        read(document.as_object().unwrap(), false)
    }

    #[test]
    fn an_answer_is_taken_for_what_it_is() {
        let good = from(&json!({})).unwrap();
        assert_eq!((good.user_code.as_str(), good.expires_in, good.pause), ("BCDF-GHJK", 900, 5));
        assert_eq!(good.verification_uri, "https://login.example/device");
        assert!(!format!("{good:?}").contains("canary-device"));
        let google = from(&json!({ "verification_uri": null, "verification_url": "https://google.example/device" })).unwrap();
        assert_eq!(google.verification_uri, "https://google.example/device");
        for (changes, expires_in, pause) in [
            (json!({ "expires_in": null, "interval": null }), 300, 5),
            (json!({ "expires_in": "600", "interval": "7" }), 600, 7),
            (json!({ "expires_in": 1e9, "interval": 1e9 }), 3600, 300),
            (json!({ "expires_in": -1, "interval": 0 }), 300, 5),
            (json!({ "expires_in": [1], "interval": "soon" }), 300, 5),
            (json!({ "expires_in": 1.9, "interval": 1.9 }), 1, 1),
        ] {
            let read = from(&changes).unwrap();
            assert_eq!((read.expires_in, read.pause), (expires_in, pause), "{changes}");
        }
    }

    #[test]
    fn nothing_is_shown_that_a_person_could_not_or_should_not_use() {
        for (changes, member) in [
            (json!({ "device_code": "" }), "device_code"),
            (json!({ "device_code": "a\nb" }), "device_code"),
            (json!({ "device_code": 7 }), "device_code"),
            (json!({ "user_code": null }), "user_code"),
            (json!({ "user_code": "A\u{202e}B" }), "user_code"),
            (json!({ "user_code": "\u{1b}[2J" }), "user_code"),
            (json!({ "user_code": "A".repeat(65) }), "user_code"),
            (json!({ "verification_uri": "javascript:alert(1)" }), "verification_uri"),
            (json!({ "verification_uri": "http://login.example/device" }), "verification_uri"),
            (
                json!({ "verification_uri": "https://login.example@evil.example/" }),
                "verification_uri",
            ),
            (json!({ "verification_uri": 1 }), "verification_uri"),
        ] {
            assert_eq!(from(&changes).unwrap_err().0, member, "{changes}");
        }
        for elsewhere in ["https://evil.example/?code=x", "http://login.example/?code=x", "x"] {
            assert_eq!(from(&json!({ "verification_uri_complete": elsewhere })).unwrap().complete, None);
        }
        let complete = "https://login.example/device?code=x";
        let read = from(&json!({ "verification_uri_complete": complete })).unwrap();
        assert_eq!(read.complete.as_deref(), Some(complete));
    }

    #[test]
    fn only_what_the_provider_says_for_good_ends_the_waiting() {
        let said = |error: &str, status| {
            let refused = Refused {
                host: "login.example".into(),
                status,
                error: error.into(),
                description: String::new(),
                error_codes: Vec::new(),
                suberror: None,
                trace_id: None,
                correlation_id: None,
                error_uri: None,
                document: String::new(),
                retry_after: None,
            };
            weigh(OAuthError::Refused(Box::new(refused)))
        };
        assert!(matches!(said("authorization_pending", 428), Polled::Pending));
        assert!(matches!(said("slow_down", 429), Polled::SlowDown));
        for word in ["access_denied", "authorization_declined"] {
            assert!(matches!(said(word, 400), Polled::Declined(_)), "{word}");
        }
        assert!(matches!(said("expired_token", 400), Polled::Expired));
        for (word, status) in [
            ("server_error", 400),
            ("temporarily_unavailable", 400),
            ("busy", 503),
            ("busy", 429),
        ] {
            assert!(matches!(said(word, status), Polled::NoAnswer(_)), "{word} {status}");
        }
        for word in ["invalid_grant", "invalid_client", "unsupported_grant_type", "anything"] {
            assert!(matches!(said(word, 400), Polled::Refused(_)), "{word}");
        }
    }
}
