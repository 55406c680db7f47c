//! Looks for secrets in whatever came out, in every form a program may write them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// What is looked for.
#[derive(Default)]
pub struct Search {
    /// What it is, the name of the form, the form.
    needles: Vec<(&'static str, &'static str, String)>,
}

impl Search {
    /// Looks for this too. Its beginning is enough where only that is distinctive: what follows may be cut off.
    pub fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 12, "{what} is too short to be looked for: {secret}");
        let (bytes, mut forms) = (secret.as_bytes(), vec![("as it is", secret.to_owned())]);
        for skipped in 0..3 {
            forms.push(("base64", core(&STANDARD_NO_PAD, bytes, skipped)));
            forms.push(("base64url", core(&URL_SAFE_NO_PAD, bytes, skipped)));
        }
        let each = |form: fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
        forms.push(("hex", each(|byte| format!("{byte:02x}"))));
        forms.push(("hex", each(|byte| format!("{byte:02X}"))));
        forms.push(("percent-encoded", each(|byte| format!("%{byte:02x}"))));
        forms.push(("percent-encoded", each(|byte| format!("%{byte:02X}"))));
        forms.push(("form-encoded", url::form_urlencoded::byte_serialize(bytes).collect()));
        forms.push(("a list of bytes", bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")));
        let json = serde_json::Value::from(secret).to_string();
        forms.push(("in JSON", json[1..json.len() - 1].to_owned()));
        let mut known: BTreeSet<String> = self.needles.iter().map(|(.., form)| form.clone()).collect();
        for (name, form) in forms {
            if known.insert(form.clone()) {
                self.needles.push((what, name, form));
            }
        }
    }

    /// What is in there: the secret and its form.
    pub fn find(&self, text: &[u8]) -> BTreeSet<(&'static str, &'static str)> {
        let text = String::from_utf8_lossy(text);
        let found = self.needles.iter().filter(|(.., form)| text.contains(form));
        found.map(|(what, name, _)| (*what, *name)).collect()
    }
}

/// What every base64 of something has in common that has the secret in it, with so many bytes of a group before it.
fn core(engine: &impl Engine, secret: &[u8], skipped: usize) -> String {
    let whole = [&vec![0; skipped], secret].concat();
    let groups = engine.encode(&whole[..whole.len() - whole.len() % 3]);
    groups[[0, 2, 3][skipped]..].to_owned()
}

#[test]
fn the_search_finds_what_was_planted_in_every_form() {
    let secret = "canary?>~ of one";
    let mut search = Search::default();
    search.add("it", secret);
    let xoauth2 = format!("user=support@contoso.test\x01auth=Bearer {secret}\x01\x01");
    let bearer = format!("n,a=support@contoso.test,\x01host=mail.test\x01port=993\x01auth=Bearer {secret}\x01\x01");
    let plain = format!("\0support@contoso.test\0{secret}");
    let basic = format!("console:{secret}");
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut planted = vec![secret.to_owned(), hex.to_uppercase(), hex, format!("{:?}", secret.as_bytes())];
    planted.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    for text in [secret, &xoauth2, &bearer, &plain, &basic] {
        planted.extend([STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
    }
    for text in planted {
        let around = [b"before ", text.as_bytes(), b"\xff\0 after"].concat();
        assert!(!search.find(&around).is_empty(), "{text}");
    }
    assert!(search.find(b"a canary, and nothing that anybody had to hide").is_empty());
}
