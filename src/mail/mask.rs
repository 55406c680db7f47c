//! Takes known secrets out of what servers say, before anything of it is kept: the secret itself, its disguises, and longer pieces of
//! either, because servers like to quote the beginning of a line they did not understand.

use crate::secret::disguises;
use zeroize::Zeroizing;

/// What stands in place of a secret.
const HIDDEN: &str = "[hidden]";
/// A piece this long of a secret is found wherever it starts.
const WINDOW: usize = 16;
/// Every how many characters is a piece looked for?
const STRIDE: usize = 8;
/// Shorter secrets would hide half the conversation; their disguises are looked for all the same.
const SHORTEST: usize = 4;

/// The secrets of one conversation, in all the forms they may come back in.
#[derive(Default)]
pub struct Masks(Vec<Zeroizing<String>>);

impl Masks {
    /// Looks out for one more secret.
    pub fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.add_form(secret.to_owned());
        self.add_form(secret.replace('\\', "\\\\").replace('"', "\\\""));
        for form in disguises(secret) {
            self.add_form(form.as_str().to_owned());
        }
    }

    fn add_form(&mut self, form: String) {
        if form.len() >= SHORTEST && !self.0.iter().any(|known| **known == form) {
            self.0.push(Zeroizing::new(form));
        }
    }

    /// The text without secrets.
    pub fn apply(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let mut hidden = vec![false; bytes.len()];
        for form in &self.0 {
            for (at, _) in text.match_indices(form.as_str()) {
                hidden[at..at + form.len()].fill(true);
            }
            if form.len() > WINDOW {
                hide_pieces(bytes, form, &mut hidden);
            }
        }
        let mut out = Vec::with_capacity(bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            if !hidden[at] {
                out.push(*byte);
            } else if at == 0 || !hidden[at - 1] {
                out.extend_from_slice(HIDDEN.as_bytes());
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Marks every run that also stands in the form, if it is long enough to hold a window that starts at a multiple of the stride.
fn hide_pieces(text: &[u8], form: &str, hidden: &mut [bool]) {
    let secret = form.as_bytes();
    for at in (0..text.len().saturating_sub(WINDOW - 1)).step_by(STRIDE) {
        let window = &text[at..at + WINDOW];
        let Some(found) = std::str::from_utf8(window).ok().and_then(|w| form.find(w)) else {
            continue;
        };
        let before = text[..at].iter().rev().zip(secret[..found].iter().rev());
        let start = at - before.take_while(|(a, b)| a == b).count();
        let after = text[at + WINDOW..].iter().zip(&secret[found + WINDOW..]);
        let end = at + WINDOW + after.take_while(|(a, b)| a == b).count();
        hidden[start..end].fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

    const TOKEN: &str = "EwBoA8l6BAAU7p9QDpi-secret_token/with+signs.0123456789abcdefghijklmnopqrstuvwxyz";

    fn masks() -> Masks {
        let mut masks = Masks::default();
        masks.add(TOKEN);
        masks
    }

    #[test]
    fn a_token_is_hidden_in_every_form_a_server_may_send_it_back() {
        let sasl = format!("user=support@contoso.test\x01auth=Bearer {TOKEN}\x01\x01");
        for text in [
            format!("500 unknown command: {TOKEN}"),
            format!("BAD {}", STANDARD.encode(&sasl)),
            format!("BAD {}", STANDARD.encode(format!("x{sasl}"))),
            format!("BAD {}", STANDARD.encode(format!("xx{sasl}"))),
            format!("BAD {}", URL_SAFE_NO_PAD.encode(&sasl)),
            format!("500 line too long: {}", &STANDARD.encode(&sasl)[..100]),
            format!("500 …{}", &TOKEN[20..60]),
        ] {
            let shown = masks().apply(&text);
            assert!(shown.contains(HIDDEN), "{text} -> {shown}");
            for piece in TOKEN.as_bytes().windows(WINDOW) {
                let piece = std::str::from_utf8(piece).unwrap();
                assert!(!shown.contains(piece), "{shown}");
            }
            for shift in 0..3 {
                let encoded = STANDARD_NO_PAD.encode([&vec![b' '; shift][..], TOKEN.as_bytes()].concat());
                assert!(!shown.contains(&encoded[8..32]), "{shown}");
            }
        }
    }

    #[test]
    fn a_password_is_hidden_as_it_is_quoted_and_encoded() {
        let mut masks = Masks::default();
        masks.add("p\"ss\\w");
        assert_eq!(masks.apply("BAD LOGIN me p\"ss\\w!"), "BAD LOGIN me [hidden]!");
        assert_eq!(masks.apply("BAD LOGIN me \"p\\\"ss\\\\w\""), "BAD LOGIN me \"[hidden]\"");
        let plain = masks.apply(&STANDARD.encode("\0me\0p\"ss\\w"));
        assert!(plain.contains(HIDDEN), "{plain}");
    }

    #[test]
    fn the_rest_of_the_line_stays_readable() {
        let text = "535-5.7.8 Username and Password not accepted. See https://support.google.com/mail/?p=BadCredentials";
        assert_eq!(masks().apply(text), text);
        assert_eq!(masks().apply("grüße äöü 日本"), "grüße äöü 日本");
        assert_eq!(masks().apply(&format!("ü {TOKEN} ü {TOKEN}.")), "ü [hidden] ü [hidden].");
        assert_eq!(Masks::default().apply(""), "");
    }
}
