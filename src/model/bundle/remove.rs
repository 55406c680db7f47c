//! What is taken out of every text in any case: what looks like a token, a secret, a sign-in, a cookie, a key, or a piece of a message. A second
//! net: what is known to be a secret never gets into a record.

use crate::mask::hide_values;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Stand around what is marked; nobody else can write them.
pub(super) const OPEN: char = '\u{e000}';
pub(super) const CLOSE: char = '\u{e001}';

/// What stands in place of something removed.
pub(super) fn mark(what: &str) -> String {
    format!("{OPEN}[{what}]{CLOSE}")
}

/// What earlier hands left in place of secrets, and what this hand leaves.
const MARKED: [(&str, &str); 13] = [
    ("[hidden]", "secret removed"),
    ("[removed]", "secret removed"),
    ("[secret removed]", "secret removed"),
    ("[token removed]", "token removed"),
    ("[sign-in removed]", "sign-in removed"),
    ("[cookie removed]", "cookie removed"),
    ("[authorization removed]", "authorization removed"),
    ("[key removed]", "key removed"),
    ("[subject removed]", "subject removed"),
    ("[sender removed]", "sender removed"),
    ("[value removed]", "value removed"),
    ("[code removed]", "code removed"),
    ("[encoded text removed]", "encoded text removed"),
];
/// Names whose values go, in JSON and in forms.
const NAMES: [&str; 16] = [
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "code_verifier",
    "device_code",
    "user_code",
    "private_key",
    "password",
    "passwd",
    "session_token",
    "\"subject\"",
    "\"bodyPreview\"",
    "\"body\"",
];
/// Fields of headers whose values go to the end of the line, in any case.
const FIELDS: [(&str, &str); 5] = [
    ("set-cookie:", "cookie removed"),
    ("cookie:", "cookie removed"),
    ("proxy-authorization:", "authorization removed"),
    ("authorization:", "authorization removed"),
    ("x-api-key:", "key removed"),
];
/// Fields of messages, as messages write them.
const MESSAGE: [(&str, &str); 6] = [
    ("Subject:", "subject removed"),
    ("From:", "sender removed"),
    ("Sender:", "sender removed"),
    ("Reply-To:", "sender removed"),
    ("Return-Path:", "sender removed"),
    ("Thread-Topic:", "subject removed"),
];
/// From how many characters on is something without a blank, in small and capital letters and digits, taken for a secret?
const LONG: usize = 24;
/// What a sign-in says once it is decoded.
const SIGN_IN: [&str; 7] = ["auth=", "bearer ", "user=", "n,a=", "\0", "pass", "token"];

/// The lines without what looks secret; as many as there were.
pub(super) fn secrets(lines: &[&str]) -> Vec<String> {
    let mut in_key = false;
    lines
        .iter()
        .map(|line| {
            let begins = line.contains("-----BEGIN ");
            if in_key || begins {
                in_key = !line.rsplit("-----BEGIN ").next().unwrap_or(line).contains("-----END ");
                return mark("key removed");
            }
            secret_free(line)
        })
        .collect()
}

fn secret_free(line: &str) -> String {
    let mut text: String = line.chars().map(shown).collect();
    for (known, what) in MARKED {
        text = replaced(&text, known, &mark(what));
    }
    for (field, what) in FIELDS {
        text = without_rest(&text, find_ignoring_case(&text, field).map(|at| at + field.len()), what);
    }
    for (field, what) in MESSAGE {
        let at = text
            .match_indices(field)
            .find(|(at, _)| starts_word(&text, *at))
            .map(|(at, _)| at + field.len());
        text = without_rest(&text, at, what);
    }
    for name in NAMES {
        text = hide_values(&text, name, &mark("value removed"));
    }
    text = without_codes(&text);
    runs(&text)
}

/// The text with a mark in place of what stands in brackets, where it isn't one already.
fn replaced(text: &str, known: &str, mark: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(known) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        out.push_str(if head.ends_with(OPEN) { known } else { mark });
        rest = &tail[known.len()..];
    }
    out + rest
}

fn shown(c: char) -> char {
    match c {
        OPEN | CLOSE => '\u{fffd}',
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn find_ignoring_case(text: &str, what: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(what)
}

fn starts_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-')
}

fn without_rest(text: &str, from: Option<usize>, what: &str) -> String {
    match from.map(|at| text.split_at(at)) {
        Some((head, rest)) if !rest.trim().is_empty() => format!("{head} {}", mark(what)),
        _ => text.to_owned(),
    }
}

/// `code=` as addresses and forms have it; errors have codes too, and those stay.
fn without_codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("code=") {
        let (head, value) = rest.split_at(at + "code=".len());
        let length = value.find(['&', ' ', '"', '\'', '<', '>', '#', OPEN]).unwrap_or(value.len());
        out.push_str(head);
        let starts = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if starts && length >= 12 {
            out.push_str(&mark("code removed"));
            rest = &value[length..];
        } else {
            rest = value;
        }
    }
    out + rest
}

/// Looks at every run of characters that tokens are made of.
fn runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let mut marked = false;
    for c in text.chars().chain([' ']) {
        let belongs = c.is_ascii_alphanumeric() || "-._~+/=!*$".contains(c);
        if belongs && !marked {
            run.push(c);
            continue;
        }
        if !run.is_empty() {
            let before = out.trim_end().as_bytes();
            let after_bearer = before.last_chunk::<6>().is_some_and(|word| word.eq_ignore_ascii_case(b"bearer"));
            out.push_str(&judged(&run, after_bearer));
            run.clear();
        }
        marked = (marked || c == OPEN) && c != CLOSE;
        out.push(c);
    }
    out.pop();
    out
}

/// The run, or what stands for it.
fn judged(run: &str, after_bearer: bool) -> String {
    let digits = run.chars().any(|c| c.is_ascii_digit());
    if after_bearer && run.len() >= 12 && (digits || run.len() >= LONG) {
        return mark("token removed");
    }
    // Each part between slashes by itself, so that addresses stay; base64 has slashes too, and is looked at as a whole.
    match decoded(run) {
        Some(text) if is_sign_in(&text) => return mark("sign-in removed"),
        Some(text)
            if ["{\"typ\"", "{\"alg\"", "{\"kid\"", "{\"x5t\"", "{\"nonce\""]
                .iter()
                .any(|head| text.starts_with(head)) =>
        {
            return mark("token removed");
        }
        // Nobody encodes twice without something to hide.
        Some(text) if decoded(&text).is_some() || secret_free(&text).contains(OPEN) => return mark("encoded text removed"),
        Some(_) => return run.to_owned(),
        None => {}
    }
    if run.len() >= 16 && run.starts_with("1//0") {
        return mark("token removed");
    }
    let parts = run.split('/').map(|part| {
        if looks_secret(part) {
            mark("token removed")
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_sign_in(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    !lower.starts_with('{') && SIGN_IN.iter().any(|sign| lower.contains(sign))
}

fn looks_secret(part: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["ya29.", "GOCSPX-", "eyJ", "0.A", "M.C"];
    let mixed = |text: &str| {
        let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
        has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit)
    };
    let known = part.len() >= 16 && BEGINNINGS.iter().any(|beginning| part.starts_with(beginning)) && mixed(part);
    let entra = part.len() >= 30 && part.contains("Q~");
    known || entra || part.split('.').any(|piece| piece.len() >= LONG && mixed(piece))
}

/// What a run of base64 says, wherever it was cut; none where it is none, or says nothing that can be read.
pub(super) fn decoded(run: &str) -> Option<String> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let run = run.trim_end_matches(['=', '.']);
    if run.len() < 16 || run.contains('.') {
        return None;
    }
    let engines = [
        GeneralPurpose::new(&alphabet::STANDARD, LENIENT),
        GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT),
    ];
    for skipped in 0..4 {
        let cut = run.get(skipped..)?;
        let whole = if cut.len() % 4 == 1 { &cut[..cut.len() - 1] } else { cut };
        let bytes = engines.iter().find_map(|engine| engine.decode(whole).ok());
        if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok())
            && text
                .chars()
                .all(|c| !c.is_control() || matches!(c, '\0' | '\u{1}' | '\t' | '\r' | '\n'))
        {
            return Some(text);
        }
    }
    None
}

/// How many octets of a line of a conversation are the server's own words before what it says.
pub(super) fn own(line: &str) -> usize {
    let code = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if code == 3 && line[3..].starts_with(['-', ' ']) {
        return 4;
    }
    if !line.starts_with(['*', '+', '-', 'A']) {
        return 0;
    }
    let mut end = line.find(' ').map_or(0, |at| at + 1);
    for word in ["OK ", "NO ", "BAD ", "BYE "] {
        if line[end..].starts_with(word) {
            end += word.len();
            break;
        }
    }
    end
}
