//! Takes secrets out of whatever a provider says before it is kept or shown: those we sent, in the forms they may come back in, and
//! those whose names are known.

use super::Client;
use crate::mask::{Masks, hide_values};

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
        NAMES.iter().fold(known, |text, name| hide_values(&text, name, REMOVED))
    }
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
