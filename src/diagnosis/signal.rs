//! What can be recognised in an error: Entra's numbers, codes of mail servers, and text in the forms it travels in.
//!
//! The same words arrive in JSON, in a redirect's query, in an HTML page, in base64, in a log, or as an SMTP reply over several lines
//! (RFC 5321, 4.2.1). Each form is brought to plain lower-case text with single blanks, once, before anything is looked for.

mod forms;
mod replies;

use forms::collapse;
pub(super) use forms::tag_end;

/// How much of a text do we look at, in bytes? Real errors come within the first few kilobytes.
pub const MOST: usize = 64 * 1024;

/// How many numbers do we keep? Entra sends one or two.
const MOST_CODES: usize = 32;

/// What a text gives away.
pub struct Signals {
    codes: Vec<u32>,
    smtp: Option<(u16, Option<String>)>,
    http: Option<u16>,
    texts: Vec<String>,
}

impl Signals {
    /// Reads a text of any size and origin.
    pub fn read(text: &str) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut refusals = Vec::new();
        for form in forms::of(cut(text)) {
            let joined = replies::join(&form);
            refusals.extend(replies::of(&joined).into_iter().filter(|(code, _)| (400..600).contains(code)));
            for form in [collapse(&form), collapse(&joined)] {
                if !texts.contains(&form) {
                    texts.push(form);
                }
            }
        }
        let mut codes = Vec::new();
        for text in &texts {
            for code in aadsts_numbers(text).chain(error_codes(text)).chain(linked_numbers(text)) {
                if codes.len() < MOST_CODES && !codes.contains(&code) {
                    codes.push(code);
                }
            }
        }
        // One with a status says more than one without; of those, the last is what it came to.
        let smtp = refusals.iter().rfind(|(_, status)| status.is_some()).or(refusals.last()).cloned();
        let http = texts.iter().find_map(|text| http_status(text));
        Self { codes, smtp, http, texts }
    }

    /// Entra's numbers in the text, in the order in which they stand there.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The code and the enhanced status of the SMTP reply in the text (RFC 5321, 4.2; RFC 3463): of the last one that is a refusal.
    pub fn smtp_status(&self) -> Option<(u16, Option<String>)> {
        self.smtp.clone()
    }

    /// The status of the HTTP answer that the text begins with.
    pub const fn http_status(&self) -> Option<u16> {
        self.http
    }

    /// Whether a mail server of IMAP or POP says no: a tagged `NO` or `BAD` (RFC 9051, 7.1), or `-ERR` (RFC 1939, 3).
    pub fn is_refusal(&self) -> bool {
        let is_tag = |word: &str| word == "*" || (word.len() < 12 && word.contains(|c: char| c.is_ascii_digit()));
        let no = |word: &str| matches!(word, "no" | "bad" | "bye");
        self.texts.iter().any(|text| {
            let words: Vec<&str> = text.split(' ').take(400).collect();
            let tagged = words.windows(2).any(|pair| is_tag(pair[0]) && no(pair[1]));
            let code = words.len() > 1 && no(words[0]) && words[1].starts_with('[');
            tagged || code || words.contains(&"-err")
        })
    }

    /// Whether the text holds what the needle stands for.
    pub fn has(&self, needle: &Needle) -> bool {
        match needle {
            Needle::Aadsts(code) => self.codes.contains(code),
            Needle::Text(needle) => self.texts.iter().any(|text| holds(text, needle)),
        }
    }

    /// Whether the text holds one of these words, each in lower case.
    pub fn has_any(&self, words: &[&str]) -> bool {
        self.texts.iter().any(|text| words.iter().any(|word| text.contains(word)))
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

/// The numbers that follow `AADSTS`, in text that is lower case already.
fn aadsts_numbers(text: &str) -> impl Iterator<Item = u32> {
    text.match_indices("aadsts")
        .filter_map(|(at, word)| leading_number(text.get(at + word.len()..)?.trim_start()))
}

/// The numbers of `"error_codes":[…]`, in text that is lower case already.
fn error_codes(text: &str) -> impl Iterator<Item = u32> {
    text.match_indices("error_codes").flat_map(|(at, word)| {
        let list = text
            .get(at + word.len()..)
            .unwrap_or_default()
            .trim_start_matches([':', ' ', '[', '"', '\'', '=', '>']);
        list.split(',').map_while(|number| leading_number(number.trim())).take(MOST_CODES)
    })
}

/// Entra's numbers without their word: in the address of its page about them, in its own error page, and in its sign-in logs.
fn linked_numbers(text: &str) -> impl Iterator<Item = u32> {
    const MARKS: [&str; 5] = [
        "microsoftonline.com/error?code=",
        "\"serrorcode\":",
        "sign-in error code",
        "\"errorcode\":",
        "error code:",
    ];
    MARKS.iter().flat_map(move |mark| {
        text.match_indices(mark).filter_map(move |(at, _)| {
            let number = text.get(at + mark.len()..)?.trim_start_matches([' ', ':', '"', '\'']);
            // Theirs have five to seven digits; other people's error codes are shorter.
            leading_number(number).filter(|number| (16_000..10_000_000).contains(number))
        })
    })
}

/// The status of an HTTP answer a text begins with, in text that is lower case already.
fn http_status(text: &str) -> Option<u16> {
    let rest = text.strip_prefix("http/")?;
    let (_, rest) = rest.split_once(' ')?;
    rest.get(..3)?.parse().ok().filter(|status| (100..600).contains(status))
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
mod tests;
