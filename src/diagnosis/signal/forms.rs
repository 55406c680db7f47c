//! The forms a text travels in: JSON and its escapes, HTML, URL encoding, base64. Each is undone once, before anything is looked for.

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// How often may a text have been encoded? A redirect pasted from another redirect is encoded twice, and a log line wraps JSON in JSON.
const ROUNDS: usize = 3;
/// How many characters of base64 are worth a look, and how many such pieces?
const SHORTEST_PIECE: usize = 24;
const MOST_PIECES: usize = 16;

/// The text, and what it reads as once its wrappings are off; without repetitions.
pub(super) fn of(text: &str) -> Vec<String> {
    let plain = unescape_all(text);
    let decoded = unescape_all(&url_decode(&plain));
    let mut forms = vec![text.to_owned()];
    let mut add = |form: String| {
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    };
    let inside = pieces(&decoded);
    if decoded.contains('<') {
        add(without_tags(&decoded));
    }
    if decoded.contains("': ") || decoded.contains("':'") {
        // Python and Ruby print what was JSON with single quotes.
        add(decoded.replace('\'', "\""));
    }
    add(plain);
    add(decoded);
    inside.into_iter().for_each(add);
    forms
}

/// Lower case, blanks and control characters as one blank, typographic quotes as plain ones.
pub(super) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_whitespace() || c.is_control() => {
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '\u{2018}' | '\u{2019}' => out.push('\''),
            '\u{201c}' | '\u{201d}' => out.push('"'),
            '\u{feff}' | '\u{200b}' => {}
            c => out.extend(c.to_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn unescape_all(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let next = unescape(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Undoes the escapes of JSON strings and HTML text; what is no escape stays.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (with, len) = if rest.starts_with('\\') {
            json_escape(rest)
        } else {
            html_entity(rest)
        };
        out.push(with);
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// The character of the JSON escape a text starts with, and how long the escape is.
fn json_escape(text: &str) -> (char, usize) {
    match text.as_bytes().get(1) {
        Some(b'n' | b'r' | b't') => ('\n', 2),
        Some(c @ (b'"' | b'/' | b'\'' | b'\\')) => (char::from(*c), 2),
        Some(b'u') => {
            let code = text
                .get(2..6)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                .and_then(char::from_u32);
            code.map_or(('\\', 1), |c| (c, 6))
        }
        _ => ('\\', 1),
    }
}

/// The character of the HTML entity a text starts with, and how long the entity is.
fn html_entity(text: &str) -> (char, usize) {
    // "&#x1F4E7;" is the longest kind that matters
    let Some(end) = text.bytes().take(10).position(|byte| byte == b';') else {
        return ('&', 1);
    };
    let c = match text.get(1..end) {
        Some("quot") => Some('"'),
        Some("apos") => Some('\''),
        Some("lt") => Some('<'),
        Some("gt") => Some('>'),
        Some("amp") => Some('&'),
        Some("nbsp") => Some(' '),
        Some("rsquo" | "lsquo") => Some('\''),
        Some(name) => name.strip_prefix('#').and_then(|number| {
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            number.ok().and_then(char::from_u32)
        }),
        None => None,
    };
    c.map_or(('&', 1), |c| (c, end + 1))
}

/// Undoes URL encoding, as often as it was done.
fn url_decode(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        // Blanks of an address within an address come to light with the first round only.
        text = text.replace('+', " ");
        if !text.contains('%') {
            break;
        }
        let mut out = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            let decoded = text
                .get(at + 1..at + 3)
                .filter(|_| byte == b'%')
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            if decoded.is_some() {
                bytes.nth(1);
            }
            out.push(decoded.unwrap_or(byte));
        }
        text = String::from_utf8_lossy(&out).into_owned();
    }
    text
}

/// Where the tag ends that a text begins with; none where its `<` begins none.
pub(in crate::diagnosis) fn tag_end(text: &str) -> Option<usize> {
    /// No tag is longer than this, in octets; a text of nothing but `<` must not be looked through again and again.
    const LONGEST: usize = 4096;
    let is_tag = text
        .get(1..)?
        .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    if !is_tag {
        return None;
    }
    text.as_bytes().iter().take(LONGEST).position(|octet| *octet == b'>')
}

/// Marks of text within a line; any other tag ends the line.
const INLINE: [&str; 11] = ["a", "b", "i", "u", "em", "strong", "span", "font", "code", "wbr", "tt"];

/// HTML without its tags: what people read, a line a block.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = tag_end(rest) else {
            out.push('<');
            rest = &rest[1..];
            continue;
        };
        let name = rest[1..end].trim_start_matches('/');
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline)) {
            out.push('\n');
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

/// What pieces of base64 hold, where that is text: the reason a server gives for refusing a token, or a provider's error in an address.
fn pieces(text: &str) -> Vec<String> {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '=');
    // A token is base64 too, in parts with dots between them, and holds nothing that is looked for.
    text.split(|c: char| !is_digit(c) && c != '.')
        .filter(|piece| !piece.trim_matches('.').contains('.'))
        .map(|piece| piece.trim_matches(['=', '.']))
        .flat_map(|piece| std::iter::once(piece).chain(piece.rsplit_once('=').map(|(_, value)| value)))
        .filter(|piece| piece.len() >= SHORTEST_PIECE)
        .filter_map(decode)
        .take(MOST_PIECES)
        .collect()
}

fn decode(piece: &str) -> Option<String> {
    let engine = |alphabet: &Alphabet| {
        GeneralPurpose::new(
            alphabet,
            GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true),
        )
    };
    let bytes = engine(&STANDARD).decode(piece).or_else(|_| engine(&URL_SAFE).decode(piece)).ok()?;
    let readable = bytes.iter().filter(|byte| (b' '..=b'~').contains(*byte)).count();
    // Text, or records with text in them.
    (readable * 10 >= bytes.len() * 8).then(|| {
        let chars = bytes
            .iter()
            .map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '\n' });
        chars.collect()
    })
}
