//! What a text means that somebody pastes or pipes in: an error message, a web page, a piece of a log. Nothing is known besides.
//!
//! The answer holds words of the catalogue and numbers only, nothing of the text: whoever pastes a token doesn't get it back.

use super::case::Case;
use super::catalogue::{self, Entry, entry};
use super::signal::{MOST, Signals};
use super::{Evidence, judge, own, page};
use crate::model::report::Diagnosis;
use serde::Serialize;

/// The longest text that is read, in bytes: a whole web page with its scripts.
pub const LONGEST: usize = 1024 * 1024;

/// By how much parts of a long text overlap, so that nothing is cut in two.
const OVERLAP: usize = 2048;
/// How much of what was recognised is worth naming?
const MOST_RECOGNISED: usize = 4;
/// A text of so many characters is a message by itself; what people write about their day is longer.
const MESSAGE: usize = 80;

/// What a text means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The cause as far as a text alone tells it, or "We don't know this one".
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// By what it was recognised: `AADSTS50011`, `535 5.7.139`, `invalid_grant`, or a text of the catalogue. Empty where nothing was.
    pub recognised: Vec<String>,
}

impl Explanation {
    /// Whether there is more to say than that nobody knows.
    pub fn is_known(&self) -> bool {
        self.diagnosis.id != own::UNKNOWN
    }
}

/// What a pasted text means; of text beyond [`LONGEST`] the end is read.
pub fn explain(text: &str) -> Explanation {
    let text = end_of(text, LONGEST);
    if let Some(code) = typed_code(text) {
        let found = explain_plain(&code);
        // Any number may be typed; one that nobody knows is no error for that.
        if found.diagnosis.id != own::ENTRA_OTHER {
            return found;
        }
    }
    if page::is_page(text) {
        let read = explain_plain(&page::reduce(text));
        // A page that came where an answer was due tells by being one; a page that somebody copied from the browser doesn't.
        if read.is_known() || !text.trim_start().to_ascii_lowercase().starts_with("http/") {
            return read;
        }
    }
    explain_plain(text)
}

/// A number as people type it into a search: one of Microsoft's without its letters or with some of them, or an enhanced status code.
fn typed_code(text: &str) -> Option<String> {
    let text = text.trim();
    let numbers: Vec<&str> = text.split('.').collect();
    let is_status = matches!(numbers.as_slice(), ["4" | "5", subject, detail] if [subject, detail]
        .into_iter()
        .all(|number| (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())));
    if is_status {
        // An enhanced status code comes behind a reply code (RFC 2034); whoever types it alone leaves that out.
        return Some(format!("{}50 {text}", numbers[0]));
    }
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start();
    let letters = text[..text.len() - digits.len()].trim_end().to_ascii_uppercase();
    let is_number = (5..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_theirs = letters.is_empty() || (letters.len() <= 8 && letters.starts_with("AAD"));
    (is_number && is_theirs).then(|| format!("AADSTS{digits}:"))
}

fn explain_plain(text: &str) -> Explanation {
    let mut best: Option<(bool, Explanation)> = None;
    for part in parts(text) {
        let Some((special, found)) = explain_part(part) else {
            continue;
        };
        if special {
            return found;
        }
        best.get_or_insert((special, found));
    }
    best.map_or_else(
        || Explanation {
            diagnosis: judge(&Case::default()),
            recognised: Vec::new(),
        },
        |(_, found)| found,
    )
}

/// What a part of the text means, and whether that leaves nothing open; none where it says nothing.
fn explain_part(text: &str) -> Option<(bool, Explanation)> {
    let signals = Signals::read(text);
    let named = named(text);
    let hits: Vec<&'static Entry> = catalogue::recognise_all(&signals).collect();
    let counts = |entry: &&'static Entry| !is_everyday(entry, &signals) || is_message(text, &signals);
    if named.is_none() {
        let by_class = hits.is_empty() && signals.codes().is_empty() && signals.smtp_status().is_some_and(|(_, status)| status.is_none());
        if !hits.is_empty() && !hits.iter().any(counts) || by_class && !is_of_mail(&signals) {
            return None;
        }
    }
    let diagnosis = judge(&Case {
        evidence: Evidence {
            own_id: named.map(|entry| entry.id.as_str()),
            text,
        },
        ..Case::default()
    });
    if diagnosis.id == own::UNKNOWN {
        return None;
    }
    let found = entry(&diagnosis.id);
    let special = found.is_some_and(|entry| !entry.general);
    let recognised = recognised(&signals, found, named);
    Some((special, Explanation { diagnosis, recognised }))
}

/// By what it was recognised: numbers and codes first; a text of the catalogue where there are none.
fn recognised(signals: &Signals, found: Option<&'static Entry>, named: Option<&'static Entry>) -> Vec<String> {
    let mut out: Vec<String> = signals.codes().iter().map(|code| format!("AADSTS{code}")).collect();
    if let Some((code, Some(status))) = signals.smtp_status() {
        out.push(format!("{code} {status}"));
    }
    let is_code = |text: &&String| !text.contains([' ', '=']) && text.chars().any(|c| c.is_ascii_uppercase() || c == '_');
    let hits = |entry: &'static Entry| catalogue::hits(entry, signals);
    out.extend(catalogue::recognise_all(signals).flat_map(hits).filter(is_code).filter_map(|code| {
        let code = code.trim_matches('"');
        (!code.starts_with("AADSTS")).then(|| code.to_owned())
    }));
    out.extend(named.map(|entry| entry.id.clone()));
    if out.is_empty() {
        out.extend(found.and_then(|entry| hits(entry).next()).cloned());
    }
    if out.is_empty() {
        out.extend(signals.smtp_status().map(|(code, _)| code.to_string()));
    }
    let mut seen = Vec::new();
    out.retain(|text| {
        let new = !seen.contains(text);
        seen.push(text.clone());
        new
    });
    out.truncate(MOST_RECOGNISED);
    out
}

/// The entry whose id stands in the text, as reports have it.
fn named(text: &str) -> Option<&'static Entry> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let id = words.filter(|word| word.len() > 8 && word.contains('-')).find_map(entry);
    id.filter(|entry| entry.id != own::UNKNOWN)
}

/// Whether people use the words for other things too: calls time out, pipes break.
fn is_everyday(entry: &'static Entry, signals: &Signals) -> bool {
    ["network", "tls"].contains(&entry.source.as_str()) && catalogue::hits(entry, signals).all(|text| text.contains(' '))
}

/// Whether a text is a message of a program, and not somebody's words.
fn is_message(text: &str, signals: &Signals) -> bool {
    const SIGNS: [&str; 33] = [
        "error",
        "exception",
        "errno",
        "econn",
        "etimedout",
        "tcp",
        "ssl",
        "tls",
        "socket",
        "imap",
        "smtp",
        "pop3",
        "http",
        "handshake",
        "certificate:",
        "(os ",
        "curl",
        "java.",
        "dns",
        "getaddrinfo",
        "lookup",
        ":993",
        ":587",
        ":465",
        ":443",
        "]:25",
        "alert",
        "end of file",
        "x509",
        "i/o timeout",
        "status=",
        "connect to",
        "verify return",
    ];
    text.trim().chars().count() <= MESSAGE || signals.has_any(&SIGNS)
}

/// Whether a number at the start of a line may be a mail server's: "450 people came" isn't.
fn is_of_mail(signals: &Signals) -> bool {
    signals.has_any(&[
        "smtp",
        "mail",
        "relay",
        "recipient",
        "sender",
        "server",
        "reject",
        "denied",
        "refused",
        "spam",
        "blocked",
        "policy",
        "login",
        "authenticat",
        "said:",
    ])
}

/// The end of a text, from a character on.
fn end_of(text: &str, most: usize) -> &str {
    let mut from = text.len().saturating_sub(most);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

/// A long text in parts, the last first: in a log, the last word counts.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let part = end_of(all, MOST);
        let before = all.len() - part.len();
        rest = (before > 0).then(|| {
            let mut end = before + OVERLAP.min(part.len());
            while !all.is_char_boundary(end) {
                end += 1;
            }
            all.get(..end).unwrap_or_default()
        });
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_known_however_it_is_typed() {
        for text in ["7000222", " 7000222 ", "AADST7000222", "aadsts 7000222", "AADSTS7000222"] {
            assert_eq!(explain(text).diagnosis.id, "entra-7000222-secret-expired", "{text}");
        }
        for text in ["5.7.139", " 5.7.60 "] {
            assert_eq!(explain(text).diagnosis.id, explain(&format!("550 {text}")).diagnosis.id, "{text}");
            assert!(explain(text).is_known(), "{text}");
        }
        for text in ["12345", "1234567890", "call 7000222", "42", "1.2.3", "5.7", "5.7.1390"] {
            assert!(!explain(text).is_known(), "{text}");
        }
    }

    #[test]
    fn long_texts_are_read_in_parts_from_the_end() {
        let text = "\u{20ac}".repeat(MOST);
        let all: Vec<_> = parts(&text).collect();
        assert!(all.len() >= 3 && all.iter().all(|part| part.len() <= MOST), "{}", all.len());
        assert_eq!(parts("short").collect::<Vec<_>>(), ["short"]);
        let log = format!(
            "a1 NO AUTHENTICATE failed.\n{}\nAADSTS7000222: ended\n{}",
            "ok\n".repeat(90_000),
            "ok\n".repeat(90_000)
        );
        assert_eq!(explain(&log).diagnosis.id, "entra-7000222-secret-expired");
    }

    #[test]
    fn it_is_said_what_was_recognised_and_nothing_is_repeated() {
        for (text, first) in [
            ("AADSTS50011: The redirect URI canary-4711", "AADSTS50011"),
            (
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. canary-4711",
                "535 5.7.139",
            ),
            (r#"{"error":"invalid_grant","error_description":"canary-4711"}"#, "invalid_grant"),
            (
                r#"{"error":{"code":"ErrorAccessDenied","message":"canary-4711"}}"#,
                "ErrorAccessDenied",
            ),
            ("a1 NO [AUTHENTICATIONFAILED] canary-4711", "[AUTHENTICATIONFAILED]"),
            ("canary-4711: Connection refused (os error 111)", "Connection refused"),
            (
                r#"{"diagnosis":{"id":"console-no-greeting","title":"canary-4711"}}"#,
                "console-no-greeting",
            ),
            ("550 5.9.9 canary-4711", "550 5.9.9"),
        ] {
            let found = explain(text);
            assert!(found.is_known(), "{text}");
            assert_eq!(found.recognised.first().map(String::as_str), Some(first), "{text} {found:?}");
            assert!(!serde_json::to_string(&found).unwrap().contains("4711"), "{found:?}");
        }
    }

    #[test]
    fn what_people_write_is_no_error() {
        for text in [
            "",
            "Good morning, the conference call timed out again and half of the team was left in the waiting room until lunch.",
            "450 people came to the open day, and 554 more watched it at home.",
            "The water pipe in the basement is a broken pipe since Monday; the plumber has been told and will come on Wednesday.",
            "<!doctype html><html><head><title>Our canteen</title></head><body><p>Soup of the day: lentils</p></body></html>",
            "Dear support, since yesterday mail doesn't arrive any more. Can somebody look at it? The mailbox is sales@contoso.example.",
            "Release 5.7.3 of the product has 535 changes and is available now.",
        ] {
            let found = explain(text);
            assert!(!found.is_known() && found.recognised.is_empty(), "{text} {found:?}");
        }
    }
}
