//! Which lines of an IMAP server may reach the parser (RFC 3501).
//!
//! The parser gives up at the first reply it does not know, and some shapes make it panic or recurse without end. So it sees only
//! kinds of replies we asked for, and texts for people, which nobody has to parse, as plain ASCII.

use super::record::Violation;

/// Data of messages we never ask for, each with the place of its blank: the parser recurses without end over the one and panics over
/// the other. With another character there they are neither, and nothing else is lost.
const HARMFUL: [(&str, usize); 2] = [("BODYSTRUCTURE ", 13), ("INTERNALDATE NIL", 12)];

/// What the current reply is, and so what happens to its continuation after a literal.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Reply {
    /// Text for people: passed on without anything but ASCII.
    #[default]
    Text,
    /// Data in parentheses, maybe with literals: passed on.
    Data,
    /// Data of messages: passed on, and not kept.
    Message,
    /// Nothing we asked for: kept, and not passed on.
    Unasked,
    /// Data of messages we did not ask for: neither passed on nor kept.
    Unwanted,
}

/// How much of a line is kept for the transcript.
pub enum Kept<'a> {
    /// All of it.
    Line,
    /// Its beginning: it is data of a message.
    Head(&'a str),
    /// Nothing: it goes on with data of a message.
    Nothing,
}

/// Where in the server's replies the stream stands.
#[derive(Default)]
pub struct Replies {
    current: Reply,
    literal_left: usize,
    continued: bool,
    /// Whether data of messages was asked for.
    pub messages_wanted: bool,
    /// During AUTHENTICATE the parser takes untagged lines for the end of it and questions for base64, so it sees neither.
    pub authenticating: bool,
}

impl Replies {
    /// If a literal is being sent: what of it may be passed on, and the bytes behind.
    pub fn literal<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (part, rest) = bytes.split_at(self.literal_left.min(bytes.len()));
        self.literal_left -= part.len();
        match self.current {
            _ if part.is_empty() => None,
            Reply::Unasked | Reply::Unwanted => Some((&[], rest)),
            _ => Some((part, rest)),
        }
    }

    /// Takes notice of a whole line, and says what of it is kept.
    pub fn begin<'a>(&mut self, text: &'a str) -> Kept<'a> {
        let begins = !self.continued;
        if begins {
            self.current = match kind_of(text, self.messages_wanted) {
                Reply::Message | Reply::Unwanted if self.authenticating => Reply::Unwanted,
                _ if self.authenticating && text.starts_with("* ") => Reply::Unasked,
                kind => kind,
            };
        }
        match (self.current, begins) {
            (Reply::Message | Reply::Unwanted, true) => Kept::Head(fetch_head(text)),
            (Reply::Message | Reply::Unwanted, false) => Kept::Nothing,
            _ => Kept::Line,
        }
    }

    /// The line as the parser may see it; none if it may not. Literals longer than the limit are not waited for.
    pub fn pass(&mut self, text: &str, longest: usize) -> Result<Option<String>, Violation> {
        if self.current == Reply::Text {
            // The parser cuts off the first byte of such a text, which must then be a character; and believes literals in it.
            let ascii = text.replace(|c: char| !c.is_ascii() || c == '\0' || c == '{', "?");
            let question = ascii == "+" || self.authenticating && ascii.starts_with('+');
            // It may also go on with the data of the line before.
            return Ok(Some(if question { "+ ".to_owned() } else { harmless(&ascii) }));
        }
        self.continued = false;
        if let Some(size) = literal(text) {
            self.literal_left = size
                .ok()
                .filter(|size| *size <= longest)
                .ok_or(Violation::TooMuch("the server announced a literal that is too long"))?;
            self.continued = true;
        }
        let passed = !matches!(self.current, Reply::Unasked | Reply::Unwanted);
        Ok(passed.then(|| harmless(text.trim_end_matches(' '))))
    }
}

/// What the first line of a reply begins.
fn kind_of(text: &str, messages_wanted: bool) -> Reply {
    let Some(rest) = text.strip_prefix("* ") else {
        return Reply::Text;
    };
    let mut words = rest.split(' ').map(str::to_ascii_uppercase);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let numbered = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
    match (first.as_str(), second.as_str()) {
        ("OK" | "NO" | "BAD" | "BYE" | "PREAUTH", _) => Reply::Text,
        ("CAPABILITY" | "SEARCH" | "LIST" | "STATUS", _) => Reply::Data,
        (_, "EXISTS") if numbered => Reply::Data,
        (_, "FETCH") if numbered && messages_wanted => Reply::Message,
        (_, "FETCH") if numbered => Reply::Unwanted,
        _ => Reply::Unasked,
    }
}

fn fetch_head(text: &str) -> &str {
    text.match_indices(' ').nth(2).map_or(text, |(at, _)| &text[..at])
}

/// The size a line announces at its end, `{42}`; an error if that is no number. No quoted string ends like this.
fn literal(text: &str) -> Option<Result<usize, std::num::ParseIntError>> {
    let (_, number) = text.trim_end().strip_suffix('}')?.rsplit_once('{')?;
    Some(number.trim_end_matches('+').parse())
}

/// The line without what hurts the parser.
fn harmless(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    let mut line = text.to_owned();
    for (shape, blank) in HARMFUL {
        for (at, _) in upper.match_indices(shape) {
            line.replace_range(at + blank..=at + blank, "-");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use crate::mail::record::{Protocol, Recorder};
    use crate::random::{Random, SeededRandom};
    use std::collections::VecDeque;

    /// Pieces of replies, as a server out of its mind may put them together.
    const PIECES: [&str; 32] = [
        "* ",
        "A1 ",
        "OK ",
        "NO ",
        "[ALERT]",
        "[",
        "]",
        "CAPABILITY ",
        "IMAP4rev1",
        "12 ",
        "FETCH ",
        "(",
        ")",
        "((((((((((",
        "UID ",
        "1",
        "ENVELOPE ",
        "NIL",
        " ",
        "\"",
        "\\",
        "INTERNALDATE ",
        "BODYSTRUCTURE ",
        "BODY[TEXT] ",
        "{3}\r\nabc",
        "\r\n",
        "LIST ",
        "SEARCH ",
        "ü",
        "+ ",
        "BADCHARSET ",
        "%",
    ];

    #[test]
    fn whatever_a_server_says_the_parser_survives() {
        let random = SeededRandom::new(7);
        for _ in 0..20_000 {
            let mut choices = [0; 16];
            random.fill(&mut choices);
            let begin = ["* 1 FETCH (", "* LIST (", "* OK [", ""][usize::from(choices[0] % 4)];
            let pieces = choices[1..].iter().map(|choice| PIECES[usize::from(choice % 32)]);
            let text = [begin].into_iter().chain(pieces).chain(["\r\n"]).collect::<String>();
            let recorder = Recorder::new(Protocol::Imap);
            recorder.want_messages(true);
            let mut passed = VecDeque::new();
            let _ = recorder.received(text.as_bytes(), &mut passed);
            let mut rest = &*passed.make_contiguous();
            while let Ok((left, _)) = imap_proto::Response::parse(rest) {
                rest = left;
            }
        }
    }
}
