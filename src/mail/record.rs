//! What is kept of a conversation with a mail server, and what of it may reach the parsers.
//!
//! Servers are strangers: what they send is counted against limits, cut into lines, freed of secrets and control characters, and
//! only then kept for the transcript. The parsers behind get whole lines, of the kinds we asked for, without the shapes that are
//! known to hurt them. POP3 (RFC 1939) and SMTP (RFC 5321) have lines only; IMAP (RFC 3501) has lines with literals. Of Graph's
//! requests and answers a note is made for each.

mod state;

pub(super) use state::printable;

use super::replies::Replies;
use crate::mask::Masks;
use crate::model::report::{Line, MessageSummary};
use state::{HIDDEN, State};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Which rules the lines follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 3501.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 5321.
    Smtp,
    /// Requests and answers of Microsoft Graph, which are noted whole.
    Graph,
}

impl Protocol {
    /// The name people know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop3 => "POP",
            Self::Smtp => "SMTP",
            Self::Graph => "Microsoft Graph",
        }
    }

    /// How many octets of a server's line are the protocol's own: tag and status of IMAP, code of SMTP, status of POP3.
    fn own(self, line: &str) -> usize {
        let after = |text: &str| line.len() - text.len();
        let word = |text: &'_ str| text.find(' ').map_or(text.len(), |at| at + 1);
        match self {
            Self::Imap => {
                let first = word(line);
                let rest = &line[first..];
                let status = &rest[..word(rest)];
                let is_status = ["OK", "NO", "BAD", "BYE", "PREAUTH"].contains(&status.trim_end().to_ascii_uppercase().as_str());
                match &line[..first] {
                    "* " | "+ " if is_status => first + status.len(),
                    "* " | "+ " => first,
                    tag if is_status && tag.len() <= 9 => first + status.len(),
                    _ => 0,
                }
            }
            Self::Smtp => {
                let code = line.trim_start_matches(|c: char| c.is_ascii_digit());
                let rest = match (after(code), code.strip_prefix(['-', ' '])) {
                    (3, Some(rest)) => rest,
                    _ => return 0,
                };
                // An enhanced status code (RFC 3463) comes next, if one does.
                let text = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                let enhanced = rest[..rest.len() - text.len()].matches('.').count() == 2 && text.starts_with(' ');
                after(if enhanced { text } else { rest })
            }
            Self::Pop3 if line.starts_with(['+', '-']) => word(line),
            Self::Pop3 | Self::Graph => 0,
        }
    }
}

/// Why reading was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// More than the limits allow; the text says which.
    TooMuch(&'static str),
    /// A shape no server needs.
    Malformed(&'static str),
}

impl Violation {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooMuch(text) | Self::Malformed(text) => text,
        }
    }
}

/// Keeps a conversation. Clones share it: the stream writes, the steps read.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<State>>);

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// Nothing kept yet.
    pub fn new(protocol: Protocol) -> Self {
        Self(Arc::new(Mutex::new(State {
            protocol,
            masks: Masks::default(),
            transcript: Vec::new(),
            greeted: false,
            signed_in: false,
            reply: Vec::new(),
            reply_lines: 0,
            total: 0,
            violation: None,
            line: Vec::new(),
            imap: Replies::default(),
            ours: Vec::new(),
            instead: None,
            body: false,
            handed_over: false,
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which rules the lines follow.
    pub fn protocol(&self) -> Protocol {
        self.with(|state| state.protocol)
    }

    /// Looks out for this secret in all that is kept from now on.
    pub fn hide(&self, secret: &str) {
        self.with(|state| state.masks.add(secret));
    }

    /// Looks out for the message of a sign-in: what it says beside its secret may be shown, its base64 may not.
    pub fn hide_encoded(&self, message: &[u8]) {
        if let Ok(text) = std::str::from_utf8(message) {
            self.with(|state| state.masks.add_encoded(text));
        }
    }

    /// Looks out for who sent messages and what about: a server may speak of them wherever it likes.
    pub fn hide_messages(&self, messages: &[MessageSummary]) {
        let texts = messages.iter().flat_map(MessageSummary::private);
        self.with(|state| texts.for_each(|text| state.masks.add(text)));
    }

    /// Shows this text in place of the next line we send.
    pub fn instead(&self, text: String) {
        self.with(|state| state.instead = Some(text));
    }

    /// From here on the conversation is shown: the greeting was one of the protocol (SSRF-4).
    pub fn greeted(&self) {
        self.with(|state| state.greeted = true);
    }

    /// From here on the server may send more.
    pub fn signed_in(&self) {
        self.with(|state| {
            state.signed_in = true;
            state.total = 0;
        });
    }

    /// Makes a note of something we said or heard in whole.
    pub fn note(&self, from: char, text: &str) {
        self.with(|state| {
            if from == 'C' {
                state.begin_ours();
                state.keep(from, text);
            } else {
                state.said(text);
            }
        });
    }

    /// Whether data of messages is expected; nobody else's mail is kept or read otherwise.
    pub fn want_messages(&self, wanted: bool) {
        self.with(|state| state.imap.messages_wanted = wanted);
    }

    /// During AUTHENTICATE the parser takes untagged lines for the end of it and questions for base64, so it sees neither.
    pub fn authenticating(&self, on: bool) {
        self.with(|state| state.imap.authenticating = on);
    }

    /// What follows is the body of a message: counted and not kept, and its final dot is noticed.
    pub fn body(&self, text: String) {
        self.with(|state| {
            state.begin_ours();
            state.keep('C', &text);
            state.body = true;
        });
    }

    /// What follows is commands again.
    pub fn body_ended(&self) {
        self.with(|state| state.body = false);
    }

    /// Whether a message was handed over completely: its fate is the server's from then on.
    pub fn handed_over(&self) -> bool {
        self.with(|state| state.handed_over)
    }

    /// A message is on its way as a whole.
    pub fn hand_over(&self) {
        self.with(|state| state.handed_over = true);
    }

    /// It turned out that nothing of it was sent.
    pub fn take_back(&self) {
        self.with(|state| state.handed_over = false);
    }

    /// A text of the server without secrets.
    pub fn masked(&self, text: &str) -> String {
        self.with(|state| state.masks.apply(text, HIDDEN))
    }

    /// What the server said since our last line, secrets removed; nothing before it has greeted.
    pub fn reply(&self) -> Vec<String> {
        self.with(|state| match state.greeted {
            true => state.clean(state.reply.iter().map(|line| line.as_str())),
            false => Vec::new(),
        })
    }

    /// Why reading was given up.
    pub fn violation(&self) -> Option<Violation> {
        self.with(|state| state.violation)
    }

    /// The conversation since the last call.
    pub fn take(&self) -> Vec<Line> {
        self.with(|state| {
            let lines = state.take();
            if state.greeted { lines } else { Vec::new() }
        })
    }

    /// Takes bytes of the server and adds to `out` what may be parsed.
    pub(super) fn received(&self, bytes: &[u8], out: &mut VecDeque<u8>) -> Result<(), Violation> {
        self.with(|state| {
            let result = state.received(bytes, out);
            if let Err(violation) = result {
                state.violation = Some(violation);
                state.line = Vec::new();
            }
            result
        })
    }

    /// Takes bytes that were sent.
    pub(super) fn sent(&self, bytes: &[u8]) {
        self.with(|state| state.sent(bytes));
    }

    /// Takes bytes that are about to be sent: once the end of a message may be on its way, it is too late to take it back.
    pub(super) fn sending(&self, bytes: &[u8]) {
        self.with(|state| state.handed_over |= state.body && bytes.ends_with(b"\r\n.\r\n"));
    }

    /// Whether the server has begun a line that it did not finish.
    pub(super) fn in_line(&self) -> bool {
        self.with(|state| !state.line.is_empty())
    }
}

#[cfg(test)]
mod tests;
