//! Texts that are written in another way: percent-encoded, in base64, in hexadecimal digits, as encoded words of mail.

use super::remove::{CLOSE, OPEN, decoded, mark};

pub(super) fn percent_decoded(text: &str) -> String {
    percent(text).unwrap_or_else(|| text.to_owned())
}

fn percent(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.chars().filter(|c| !c.is_control() && *c != OPEN && *c != CLOSE).collect())
}

/// What is encoded and says something: nobody can tell whom it names.
pub(super) fn without_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || "+/=_-?".contains(c) {
            run.push(c);
            continue;
        }
        if !run.is_empty() {
            let word = run.starts_with("=?") && run.ends_with("?=");
            let says = word || decoded(&run).is_some() || from_hex(&run).is_some();
            out.push_str(&if says { mark("encoded text removed") } else { run.clone() });
            run.clear();
        }
        out.push(c);
    }
    out.pop();
    out
}

/// What pairs of hexadecimal digits say, if they say something.
fn from_hex(run: &str) -> Option<String> {
    if run.len() < 12 || !run.len().is_multiple_of(2) || !run.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..run.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&run[at..at + 2], 16).ok())
        .collect();
    let text = String::from_utf8(bytes?).ok()?;
    text.chars().all(|c| !c.is_control()).then_some(text)
}
