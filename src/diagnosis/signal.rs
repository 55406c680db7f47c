//! What can be recognised in an error: Entra's numbers, and text in the forms it travels in.
//!
//! The same words arrive in JSON, in a redirect's query, in an HTML page, or as an SMTP reply over several lines (RFC 5321, 4.2.1).
//! Each form is brought to plain lower-case text with single blanks, once, before anything is looked for.

use std::borrow::Cow;

/// How much of a text do we look at, in bytes? Real errors come within the first few kilobytes.
const MOST: usize = 64 * 1024;

/// How many numbers do we keep? Entra sends one or two.
const MOST_CODES: usize = 32;

/// How often may a text have been URL-encoded? A redirect pasted from another redirect is encoded twice.
const ROUNDS: usize = 3;

/// What a text gives away.
pub struct Signals {
    codes: Vec<u32>,
    texts: Vec<String>,
}

impl Signals {
    /// Reads a text of any size and origin.
    pub fn read(text: &str) -> Self {
        let text = cut(text);
        let plain = unescape(text);
        let mut texts = Vec::new();
        for form in [Cow::Borrowed(text), Cow::Borrowed(plain.as_str()), Cow::Owned(url_decode(&plain))] {
            for form in [collapse(&form), collapse(&join_replies(&form))] {
                if !texts.contains(&form) {
                    texts.push(form);
                }
            }
        }
        let mut codes = Vec::new();
        for text in &texts {
            for code in aadsts_numbers(text).chain(error_codes(text)) {
                if codes.len() < MOST_CODES && !codes.contains(&code) {
                    codes.push(code);
                }
            }
        }
        Self { codes, texts }
    }

    /// Entra's numbers in the text, in the order in which they stand there.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The code and the enhanced status of the SMTP reply in the text (RFC 5321, 4.2; RFC 3463): of the last one that is a refusal.
    pub fn smtp_status(&self) -> Option<(u16, Option<String>)> {
        self.texts.iter().rev().find_map(|text| {
            let reply = Reply::parse(text.strip_prefix("s: ").unwrap_or(text))?;
            let code = reply.code.parse().ok().filter(|code| (400..600).contains(code))?;
            let status = reply.status();
            Some((code, (!status.is_empty()).then(|| status.to_owned())))
        })
    }

    /// Whether the text holds what the needle stands for.
    pub fn has(&self, needle: &Needle) -> bool {
        match needle {
            Needle::Aadsts(code) => self.codes.contains(code),
            Needle::Text(needle) => self.texts.iter().any(|text| holds(text, needle)),
        }
    }
}

/// Something to look for, prepared once.
pub enum Needle {
    /// An Entra number, compared as a number: 50011 is not 500113.
    Aadsts(u32),
    /// A piece of text, lower case, with single blanks.
    Text(String),
}

impl Needle {
    /// Prepares a text of the catalogue; `AADSTS50011:` stands for the number.
    pub fn new(text: &str) -> Self {
        let code = text
            .strip_prefix("AADSTS")
            .and_then(|rest| rest.strip_suffix(':'))
            .and_then(|code| code.parse().ok());
        code.map_or_else(|| Self::Text(collapse(text)), Self::Aadsts)
    }
}

/// The start of a text, cut between two characters.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Lower case, blanks and control characters as one blank, typographic quotes as plain ones.
fn collapse(text: &str) -> String {
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
    let mut text = text.replace('+', " ");
    for _ in 0..ROUNDS {
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

/// Makes one line of an SMTP reply over several: code and status stay at the first line and go from the others.
fn join_replies(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<Reply<'_>> = None;
    for line in text.lines().flat_map(reply_lines) {
        match (open, Reply::parse(line)) {
            (Some(first), Some(next)) if first.code == next.code => {
                out.push(' ');
                out.push_str(next.text.strip_prefix(first.status()).unwrap_or(next.text));
                open = next.more.then_some(first);
            }
            (_, Some(reply)) => {
                out.extend(["\n", reply.code, " ", reply.text]);
                open = reply.more.then_some(reply);
            }
            (_, None) => {
                out.extend(["\n", line]);
                open = None;
            }
        }
    }
    out
}

/// A line without the mark of a transcript; taken apart where it holds a reply's lines one after the other.
fn reply_lines(line: &str) -> impl Iterator<Item = &str> {
    let line = ["S: ", "< "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    let mut cuts = vec![0];
    if let Some(first) = Reply::parse(line).filter(|reply| reply.more) {
        cuts.extend(line.match_indices(first.code).map(|(at, _)| at).filter(|at| {
            let before = line[..*at].ends_with(' ');
            before && line[at + first.code.len()..].starts_with(['-', ' '])
        }));
    }
    cuts.push(line.len());
    (1..cuts.len()).filter_map(move |at| Some(line.get(*cuts.get(at - 1)?..*cuts.get(at)?)?.trim_end()))
}

/// One line of an SMTP reply.
#[derive(Clone, Copy)]
struct Reply<'a> {
    code: &'a str,
    more: bool,
    text: &'a str,
}

impl<'a> Reply<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let more = rest.starts_with('-');
        let text = rest.strip_prefix(['-', ' '])?;
        code.bytes().all(|byte| byte.is_ascii_digit()).then_some(Self { code, more, text })
    }

    /// The enhanced status (RFC 3463) at the start of the text, such as `5.7.8`; empty without one.
    fn status(&self) -> &'a str {
        let word = self.text.split(' ').next().unwrap_or_default();
        let numbers = word.split('.').filter(|number| number.parse::<u16>().is_ok()).count();
        if numbers == 3 && word.split('.').count() == 3 { word } else { "" }
    }
}

/// The numbers that follow `AADSTS`, in text that is lower case already.
fn aadsts_numbers(text: &str) -> impl Iterator<Item = u32> {
    text.match_indices("aadsts")
        .filter_map(|(at, word)| leading_number(text.get(at + word.len()..)?.trim_start()))
}

/// The numbers of `"error_codes":[…]`, in text that is lower case already.
fn error_codes(text: &str) -> impl Iterator<Item = u32> {
    text.match_indices("\"error_codes\"").flat_map(|(at, word)| {
        let list = text.get(at + word.len()..).unwrap_or_default().trim_start_matches([':', ' ', '[']);
        list.split(',').map_while(|number| leading_number(number.trim())).take(MOST_CODES)
    })
}

/// The number at the start of a text; none if it is no number that Entra could use.
fn leading_number(text: &str) -> Option<u32> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// Whether a text holds a needle that isn't part of something longer: a status inside an address, a code inside another one.
fn holds(text: &str, needle: &str) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + needle.len()..].chars();
        let (next, second) = (after.next(), after.next());
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        if needle.contains('_') && needle.bytes().all(is_word) {
            let word = |c: Option<char>| c.is_some_and(|c| u8::try_from(c).is_ok_and(is_word));
            return !word(before) && !word(next);
        }
        let starts = !needle.starts_with(|c: char| c.is_ascii_digit()) || !(digit(before) || before == Some('.'));
        let ends = !needle.ends_with(|c: char| c.is_ascii_digit()) || !(digit(next) || (next == Some('.') && digit(second)));
        starts && ends
    })
}

/// Whether a byte may be part of a code such as `invalid_grant`.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, needle: &str) -> bool {
        Signals::read(text).has(&Needle::new(needle))
    }

    #[test]
    fn an_entra_number_is_found_in_every_form_and_never_as_part_of_another() {
        for text in [
            "AADSTS50011: The redirect URI",
            "Sorry, aadsts50011 came back",
            "error_description=AADSTS50011%3a+The+redirect+URI",
            "https://a.example/?next=https%3A%2F%2Fb.example%2F%3Ferror_description%3DAADSTS50011%253A%2BThe",
            r#"{"error":"invalid_request","error_codes":[90094, 50011]}"#,
            r#"{"body":"{\"error_codes\":[50011]}"}"#,
        ] {
            assert!(Signals::read(text).codes().contains(&50011), "{text}");
            assert!(has(text, "AADSTS50011:"), "{text}");
        }
        for text in [
            "AADSTS500113: No reply address",
            r#"{"error_codes":[500113]}"#,
            "50011",
            "AADSTS: 50011",
        ] {
            assert!(!has(text, "AADSTS50011:"), "{text}");
        }
    }

    #[test]
    fn a_reply_over_several_lines_reads_as_one() {
        let folded = "535-5.7.8 Username and Password\r\n535-5.7.8 not accepted. For more\r\n535 5.7.8 information";
        assert!(has(folded, "5.7.8 Username and Password not accepted. For more information"));
        assert!(has(folded, "535 5.7.8 Username"));
        assert!(has(
            "S: 535-5.7.8 Username and\nS: 535 5.7.8 Password not accepted",
            "username and password not accepted"
        ));
        assert!(
            !has("535 5.7.8 Username and\n250 2.0.0 Password", "Username and Password"),
            "two replies"
        );
    }

    #[test]
    fn escapes_of_json_html_and_addresses_are_undone() {
        assert!(has(r#"{\"code\":\"ResourceNotFound\"}"#, "\"ResourceNotFound\""));
        assert!(has(r"doesn\u0027t comply", "doesn't comply"));
        assert!(has("doesn&#39;t&nbsp;comply &lt;", "doesn't comply <"));
        assert!(has("doesn\u{2019}t\u{a0}\r\n  comply", "doesn't comply"));
        assert!(has("?error=invalid_scope&error_description=Bad%20scope%3A+a", "bad scope: a"));
        assert!(
            has("100 % of C:\\new & old &#; %zz", "100 % of c:\\new & old &#; %zz"),
            "what is no escape stays"
        );
    }

    #[test]
    fn a_code_inside_something_longer_is_not_that_code() {
        assert!(has("550 5.7.705. Access denied", "5.7.705"));
        assert!(!has("connecting to 15.7.705.1", "5.7.705"));
        assert!(!has("to 5.7.705.12", "5.7.705"));
        assert!(!has("os error 1104", "os error 110"));
        assert!(!has("invalid_request_object", "invalid_request"));
        assert!(has("SubmissionQuotaExceededException", "SubmissionQuotaExceeded"));
    }

    #[test]
    fn texts_of_any_shape_and_size_are_read() {
        for text in [
            "",
            "%",
            "%%%%",
            "%e2%82",
            "\\",
            "\\u12",
            "&#xffffffff;",
            "&",
            "535",
            "535-",
            "\u{0}\u{1f4e7}",
            "AADSTS99999999999999",
        ] {
            assert!(Signals::read(text).codes().is_empty(), "{text}");
        }
        let huge = "\u{20ac}%25\\n&amp;".repeat(1_000_000);
        let read = Signals::read(&huge);
        assert!(read.texts.iter().all(|text| text.len() <= 2 * MOST));
        // beyond the limit nothing is looked at
        assert!(!has(&format!("{huge} AADSTS50011:"), "AADSTS50011:"));
    }
}
