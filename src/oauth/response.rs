//! The token response (RFC 6749, 5.1 and 5.2), taken for what it is: providers answer with numbers as text, with errors under 200, with
//! web pages, with nothing (OAUTH-10).

use super::error::{MalformedKind, OAuthError, Refused, Salvage};
use super::exchange::Exchange;
use super::mask::Mask;
use crate::clock::Timestamp;
use crate::secret::{AccessToken, Nonce, RefreshToken};
use serde_json::{Map, Value};

/// Longest lifetime we believe, in seconds.
const LONGEST_LIFE: i64 = 24 * 3600;
/// Lifetime where the provider names none we can use, in seconds.
const ASSUMED_LIFE: i64 = 5 * 60;
/// More seconds than anybody means.
const MOST_SECONDS: f64 = 1e9;
/// Longest token we take, in octets.
const LONGEST_TOKEN: usize = 64 * 1024;
/// How much of an error document is kept, in octets.
const LONGEST_DOCUMENT: usize = 8 * 1024;

/// What a token endpoint handed out.
#[derive(Debug, Clone)]
pub struct TokenResponse {
    /// The access token: visible ASCII, at most 64 KiB.
    pub access_token: AccessToken,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds from receipt to its end: 1 to 86,400.
    pub expires_in: i64,
    /// A new refresh token. None: **the old one stays**.
    pub refresh_token: Option<RefreshToken>,
    /// What was granted, as far as the provider says so. None: what was asked for.
    pub scopes: Option<Vec<String>>,
    /// The ID token, unread.
    pub id_token: Option<Nonce>,
    /// The provider's clock when it answered.
    pub date: Option<Timestamp>,
}

impl TokenResponse {
    /// The granted scopes, given what was asked for (RFC 6749, 5.1: left out means identical).
    pub fn granted(&self, requested: &[String]) -> Vec<String> {
        self.scopes.clone().unwrap_or_else(|| requested.to_vec())
    }
}

/// Reads the answer of a token endpoint.
pub(super) fn read(exchange: &Exchange, mask: &Mask) -> Result<TokenResponse, OAuthError> {
    let document = document(exchange, mask)?;
    token(&document, exchange.date).map_err(|(member, why)| {
        let mut error = exchange.malformed(MalformedKind::Member(member, why));
        if let OAuthError::Malformed(malformed) = &mut error {
            malformed.salvage = refresh_token(&document).ok().flatten().map(Salvage);
        }
        error
    })
}

/// The JSON object of a successful answer. An error document is an error whatever the status (F4), and a redirect is never followed.
pub(super) fn document(exchange: &Exchange, mask: &Mask) -> Result<Map<String, Value>, OAuthError> {
    if (300..400).contains(&exchange.status) {
        let host = exchange.location.clone().unwrap_or_else(|| "nowhere".to_owned());
        return Err(exchange.malformed(MalformedKind::Redirect(host)));
    }
    let document = json(exchange).map_err(|kind| exchange.malformed(kind))?;
    if let Some(refused) = refusal(&document, exchange, mask) {
        return Err(OAuthError::Refused(Box::new(refused)));
    }
    if !(200..300).contains(&exchange.status) {
        return Err(exchange.malformed(MalformedKind::NoDocument));
    }
    Ok(document)
}

fn json(exchange: &Exchange) -> Result<Map<String, Value>, MalformedKind> {
    let body = exchange.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&exchange.body).trim_ascii();
    if body.is_empty() {
        return Err(MalformedKind::Empty);
    }
    if is_deeper(body, exchange.depth) {
        return Err(MalformedKind::TooDeep);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(document)) => Ok(document),
        _ if body.starts_with(b"<") || exchange.content_type.starts_with("text/html") => Err(MalformedKind::Html),
        _ => Err(MalformedKind::NotJson),
    }
}

/// Whether JSON nests deeper than that. Counted before parsing, on anything that starts like JSON.
pub(super) fn is_deeper(body: &[u8], limit: usize) -> bool {
    if !body.starts_with(b"{") && !body.starts_with(b"[") {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The refusal in a document, if it is one.
fn refusal(document: &Map<String, Value>, exchange: &Exchange, mask: &Mask) -> Option<Refused> {
    let text = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
            .map(|t| shortened(&mask.hide(t), 2000))
    };
    let member = document.get("error")?;
    let (error, description) = match member {
        Value::String(error) if !error.is_empty() => (error.clone(), text(document, "error_description")),
        // The form of Google's other interfaces.
        Value::Object(inner) => (
            text(inner, "status")
                .or_else(|| text(inner, "code"))
                .unwrap_or_else(|| "error".to_owned()),
            text(inner, "message"),
        ),
        _ => return None,
    };
    let error_codes = document.get("error_codes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let raw = String::from_utf8_lossy(&exchange.body);
    // Written with escapes, a secret would not be found; written anew it has none.
    let escaped = raw.contains("\\u") || raw.contains("\\/");
    let shown = if escaped {
        Value::from(document.clone()).to_string()
    } else {
        raw.trim().to_owned()
    };
    // A word that decides what happens next stays as it is, even if a careless secret is a part of it.
    let error = if Refused::is_known(&error) {
        error
    } else {
        shortened(&mask.hide(&error), 100)
    };
    Some(Refused {
        host: exchange.host.clone(),
        status: exchange.status,
        error,
        description: description.unwrap_or_default(),
        error_codes: error_codes.iter().filter_map(Value::as_u64).take(16).collect(),
        suberror: text(document, "suberror").or_else(|| text(document, "error_subtype")),
        trace_id: text(document, "trace_id"),
        correlation_id: text(document, "correlation_id"),
        error_uri: text(document, "error_uri"),
        document: cut(&mask.hide(&shown), LONGEST_DOCUMENT).to_owned(),
        retry_after: exchange.retry_after,
    })
}

/// One line of at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

/// The beginning of a text, at most so many octets.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn token(document: &Map<String, Value>, date: Option<Timestamp>) -> Result<TokenResponse, (&'static str, &'static str)> {
    let access_token = match document.get("access_token") {
        Some(Value::String(token)) => visible("access_token", token)?,
        Some(Value::Null) | None => return Err(("access_token", "is missing")),
        Some(_) => return Err(("access_token", "is not a text")),
    };
    match document.get("token_type") {
        // Required by RFC 6749, and yet left out by some; nothing but Bearer can be meant.
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(_) => return Err(("token_type", "is not Bearer")),
    }
    Ok(TokenResponse {
        access_token: AccessToken::new(access_token),
        token_type: "Bearer".to_owned(),
        expires_in: lifetime(document.get("expires_in")),
        refresh_token: refresh_token(document)?,
        scopes: scopes(document.get("scope")),
        id_token: document
            .get("id_token")
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
            .map(Nonce::new),
        date,
    })
}

fn refresh_token(document: &Map<String, Value>) -> Result<Option<RefreshToken>, (&'static str, &'static str)> {
    match document.get("refresh_token") {
        Some(Value::String(token)) if !token.is_empty() => Ok(Some(RefreshToken::new(visible("refresh_token", token)?))),
        Some(Value::String(_) | Value::Null) | None => Ok(None),
        Some(_) => Err(("refresh_token", "is not a text")),
    }
}

/// A token goes into headers and SASL lines: nothing but visible ASCII may be in it.
pub(super) fn visible(member: &'static str, token: &str) -> Result<String, (&'static str, &'static str)> {
    if token.is_empty() {
        Err((member, "is empty"))
    } else if token.len() > LONGEST_TOKEN {
        Err((member, "is longer than 64 KiB"))
    } else if !token.bytes().all(|b| matches!(b, b'!'..=b'~')) {
        Err((member, "has a line break, a blank or another character no token has"))
    } else {
        Ok(token.to_owned())
    }
}

/// `expires_in`: an odd one must not cost the token that came with it.
fn lifetime(member: Option<&Value>) -> i64 {
    seconds(member).map_or(ASSUMED_LIFE, |told| told.min(LONGEST_LIFE))
}

/// At least one second, as a number or a text, never rounded up. None: nothing that could be meant.
pub(super) fn seconds(member: Option<&Value>) -> Option<i64> {
    let told = match member {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    let told = told.filter(|seconds| seconds.is_finite() && *seconds >= 1.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "finite and bounded; cutting the fraction off is meant")]
    let whole = told.min(MOST_SECONDS) as i64;
    Some(whole)
}

/// `scope` as a text or, from some, as a list. Empty says nothing.
fn scopes(member: Option<&Value>) -> Option<Vec<String>> {
    let text = match member? {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    let list: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|s| !s.is_empty() && s.bytes().all(|b| matches!(b, b'!'..=b'~')))
        .take(256)
        .map(str::to_owned)
        .collect();
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn life(value: Value) -> i64 {
        lifetime(Some(&value))
    }

    #[test]
    fn a_lifetime_is_never_rounded_up_and_never_believed_beyond_a_day() {
        for (value, seconds) in [
            (json!(3599), 3599),
            (json!("3599"), 3599),
            (json!(" 3599 "), 3599),
            (json!(3599.9), 3599),
            (json!("3599.9"), 3599),
            (json!(1e12), 86_400),
            (json!("1e300"), 86_400),
            (json!(u64::MAX), 86_400),
            (json!(0), 300),
            (json!(-1), 300),
            (json!("0.5"), 300),
            (json!("soon"), 300),
            (json!("NaN"), 300),
            (json!("inf"), 300),
            (json!(null), 300),
            (json!([3600]), 300),
        ] {
            assert_eq!(life(value.clone()), seconds, "{value}");
        }
        assert_eq!(lifetime(None), 300);
    }

    #[test]
    fn scopes_come_as_text_or_list_and_empty_says_nothing() {
        let read = |value: Value| scopes(Some(&value)).map(|s| s.join("|"));
        assert_eq!(read(json!("a b")).as_deref(), Some("a|b"));
        assert_eq!(read(json!("a,b")).as_deref(), Some("a|b"));
        assert_eq!(read(json!(["a", "b"])).as_deref(), Some("a|b"));
        assert_eq!(read(json!("")), None);
        assert_eq!(read(json!(null)), None);
    }

    #[test]
    fn depth_is_counted_outside_of_texts() {
        assert!(!is_deeper(br#"{"a":"[[[[[[\"[["}"#, 2));
        assert!(is_deeper(b"[[[1]]]", 2));
        assert!(!is_deeper(b"[[1],[2],[3]]", 2));
        assert!(is_deeper("[".repeat(100_000).as_bytes(), 16));
    }
}
