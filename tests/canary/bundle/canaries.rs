//! What is looked for, in every form it may come out in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;

/// Pieces into which the servers here cut what they throw back: shorter than what is looked for as a whole.
pub const PIECE: usize = 13;

/// Secrets, which never come out, and names, which don't where they are hidden.
#[derive(Default)]
pub struct Canaries(Vec<Canary>);

struct Canary {
    what: &'static str,
    name: bool,
    text: String,
    forms: Vec<(&'static str, String)>,
}

impl Canaries {
    pub fn secret(&mut self, what: &'static str, text: &str) {
        self.add(what, text, false);
    }

    pub fn name(&mut self, what: &'static str, text: &str) {
        self.add(what, text, true);
    }

    fn add(&mut self, what: &'static str, text: &str, name: bool) {
        assert!(text.len() >= 8, "{what} is too short to be looked for");
        let bytes = text.as_bytes();
        let each = |form: fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
        let mut forms = vec![
            ("as it is", text.to_owned()),
            ("hex", each(|byte| format!("{byte:02x}"))),
            ("percent-encoded", each(|byte| format!("%{byte:02X}"))),
            ("escaped", each(|byte| format!("\\x{byte:02x}"))),
        ];
        for skipped in 0..3 {
            let once = core(&STANDARD_NO_PAD, bytes, skipped);
            for again in 0..3 {
                forms.push(("base64 twice", core(&STANDARD_NO_PAD, once.as_bytes(), again)));
            }
            forms.push(("base64", once));
            forms.push(("base64", core(&URL_SAFE_NO_PAD, bytes, skipped)));
        }
        // Long ones are recognised by their beginnings: a line is cut somewhere.
        for (_, form) in &mut forms {
            form.truncate(form.floor_char_boundary(120));
        }
        self.0.push(Canary {
            what,
            name,
            text: text.to_owned(),
            forms,
        });
    }

    /// What is in there: `access token, base64`. Names count only where they are hidden.
    pub fn found(&self, text: &str, hidden: bool) -> BTreeSet<String> {
        let capitals = text.to_uppercase();
        let together = together(text);
        let mut found = BTreeSet::new();
        for canary in self.0.iter().filter(|canary| hidden || !canary.name) {
            let mut note = |form: &str| {
                found.insert(format!("{}, {form}", canary.what));
            };
            for (form, needle) in &canary.forms {
                if text.contains(needle.as_str()) {
                    note(form);
                }
            }
            if capitals.contains(&canary.text.to_uppercase()) && canary.text.to_uppercase() != canary.text {
                note("in capitals");
            }
            let spaced: String = canary.text.chars().take(20).flat_map(|c| [c, ' ']).collect();
            if text.contains(spaced.trim_end()) {
                note("blanks between");
            }
            let squeezed: String = letters(&canary.text).chars().take(60).collect();
            if together.contains(&squeezed) {
                note("in pieces");
            }
        }
        found
    }
}

/// What every base64 of something has in common that has the secret in it, with so many bytes of a group before it.
fn core(engine: &impl Engine, secret: &[u8], skipped: usize) -> String {
    let whole = [&vec![0; skipped], secret].concat();
    let groups = engine.encode(&whole[..whole.len() - whole.len() % 3]);
    groups[[0, 2, 3][skipped]..].to_owned()
}

/// Letters and digits of all the lines, without what begins each: `S * OK`, `S 535-5.7.8`.
fn together(text: &str) -> String {
    let said = |line: &str| {
        let line = line.trim_start().trim_start_matches("S ").trim_start_matches("* OK ");
        let line = line.trim_start_matches("535-5.7.8 ").trim_start_matches("554-5.7.1 ");
        letters(line)
    };
    text.lines().map(said).collect()
}

fn letters(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[test]
fn what_is_planted_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    canaries.secret("it", "canary-of-one, 4711");
    canaries.name("name", "zaunkoenig@kanarienvogel.test");
    for line in super::hostile::odd("canary-of-one, 4711") {
        assert!(!canaries.found(&line, false).is_empty() || line.len() <= PIECE, "{line}");
    }
    let pieces: String = super::hostile::pieces("canary-of-one, 4711")
        .iter()
        .map(|line| format!("    S * OK {line}\n"))
        .collect();
    assert_eq!(canaries.found(&pieces, false), BTreeSet::from(["it, in pieces".to_owned()]));
    assert!(canaries.found("zaunkoenig@kanarienvogel.test", false).is_empty());
    assert!(!canaries.found("ZAUNKOENIG@KANARIENVOGEL.TEST", true).is_empty());
    assert!(canaries.found("a canary, and nothing that anybody had to hide", true).is_empty());
}
