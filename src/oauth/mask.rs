//! Takes secrets out of whatever a provider says before it is kept or shown: those we sent, in the forms they may come back in, and
//! those whose names are known.

use super::Client;
use crate::mask::Masks;

/// What stands where a secret stood.
const REMOVED: &str = "[removed]";

/// Names whose values are secrets wherever they appear.
const NAMES: &[&str] = &[
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "code_verifier",
    "device_code",
    "password",
];

/// Knows the secrets of one exchange.
pub(super) struct Mask(Masks);

impl Mask {
    /// Masks these, in whatever form they come back, and what the client proves itself with.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>, client: &Client<'_>) -> Self {
        let fallback = client.fallback.as_ref().map(|fallback| &fallback.credential);
        let own: Vec<String> = std::iter::once(&client.credential)
            .chain(fallback)
            .flat_map(|credential| credential.texts(&client.provider.client_id))
            .collect();
        let mut masks = Masks::default();
        for secret in secrets.into_iter().filter(|s| s.len() >= 4) {
            masks.add(secret);
        }
        for secret in own.iter().filter(|s| s.len() >= 4) {
            masks.add(secret);
        }
        Self(masks)
    }

    /// Knows no secret of its own; values with known names are masked all the same.
    pub fn nothing() -> Self {
        Self(Masks::default())
    }

    /// The text without secrets.
    pub fn hide(&self, text: &str) -> String {
        let known = self.0.apply(text, REMOVED);
        NAMES.iter().fold(known, |text, name| hide_values(&text, name))
    }
}

/// Masks what follows `name` and a colon or equals sign: a quoted text to its end, anything else to the next separator.
fn hide_values(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, after) = rest.split_at(at + name.len());
        out.push_str(before);
        rest = after;
        let gap = after.len() - after.trim_start_matches(['"', '\'', '\\', ' ', '\t', '\r', '\n']).len();
        if !after[gap..].starts_with([':', '=']) {
            continue;
        }
        let value = after[gap + 1..].trim_start();
        let start = after.len() - value.len();
        let slashes = value.len() - value.trim_start_matches('\\').len();
        let quote = value[slashes..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let (open, length) = match quote {
            Some(quote) if slashes == 0 => (1, quoted_length(&value[1..], quote)),
            // JSON inside a JSON text: the quotes are escaped as well.
            Some(_) => {
                let (delimiter, inner) = value.split_at(slashes + 1);
                (slashes + 1, inner.find(delimiter).unwrap_or(inner.len()))
            }
            None => (
                0,
                value
                    .find([',', '&', '}', '<', '"', '\'', ' ', '\r', '\n', ';'])
                    .unwrap_or(value.len()),
            ),
        };
        if length > 0 {
            out.push_str(&after[..start + open]);
            out.push_str(REMOVED);
            rest = &after[start + open + length..];
        }
    }
    out.push_str(rest);
    out
}

/// How long a quoted text is, up to its closing quote or the end.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_a_secrets_name_are_removed_and_the_rest_stays() {
        let mask = Mask::nothing();
        for (text, expected) in [
            (
                r#"{"access_token":"canary","expires_in":1}"#,
                r#"{"access_token":"[removed]","expires_in":1}"#,
            ),
            (
                r#"{"refresh_token" : "can\"ary" , "x":2}"#,
                r#"{"refresh_token" : "[removed]" , "x":2}"#,
            ),
            ("access_token=canary&scope=a", "access_token=[removed]&scope=a"),
            (r#"{\"id_token\": \"canary"#, r#"{\"id_token\": \"[removed]"#),
            (
                r#"{\"id_token\": \"canary\", \"a\": 1"#,
                r#"{\"id_token\": \"[removed]\", \"a\": 1"#,
            ),
            ("{\"access_token\":\"cana\nry", "{\"access_token\":\"[removed]"),
            (
                "the following parameter: 'client_assertion' or 'client_secret'.",
                "the following parameter: 'client_assertion' or 'client_secret'.",
            ),
            ("password:", "password:"),
        ] {
            assert_eq!(mask.hide(text), expected);
        }
    }
}
