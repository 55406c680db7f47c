//! What is kept of a conversation with a mail server, and what of it may reach the parsers.
//!
//! Servers are strangers: what they send is counted against limits, cut into lines, freed of secrets and control characters, and
//! only then kept for the transcript. The parsers behind get whole lines, of the kinds we asked for, without the shapes that are
//! known to hurt them. POP3 (RFC 1939) and SMTP (RFC 5321) have lines only; IMAP (RFC 3501) has lines with literals. Of Graph's
//! requests and answers a note is made for each.

use super::replies::{Kept, Replies};
use crate::mask::Masks;
use crate::model::report::Line;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// What a server may send before we are signed in: all in all, in a line, and in lines of one reply.
const BEFORE: Limits = Limits {
    total: 64 * 1024,
    line: 8 * 1024,
    lines: 100,
};
/// And after: lists of folders and messages may be long.
const AFTER: Limits = Limits {
    total: 2 * 1024 * 1024,
    line: 512 * 1024,
    lines: 20_000,
};
/// How many lines of a step are shown, and how many characters of each?
const KEPT_LINES: usize = 150;
const KEPT_CHARS: usize = 1000;
/// What stands in place of a secret.
const HIDDEN: &str = "[hidden]";
/// How many lines of one reply count as what the server said?
const REPLY_LINES: usize = 30;

struct Limits {
    total: usize,
    line: usize,
    lines: usize,
}

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

struct State {
    protocol: Protocol,
    masks: Masks,
    /// The steps' conversation; shown only once the server has greeted.
    transcript: Vec<Line>,
    greeted: bool,
    signed_in: bool,
    /// What the server said since our last line.
    reply: Vec<String>,
    reply_lines: usize,
    total: usize,
    violation: Option<Violation>,
    /// Incoming: the line so far, and where in an IMAP reply it stands.
    line: Vec<u8>,
    imap: Replies,
    /// Outgoing: the line so far, what is shown instead of it, and whether it is the body of a message.
    ours: Vec<u8>,
    instead: Option<String>,
    body: bool,
    handed_over: bool,
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
                let text = state.clean(text);
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
            state.keep('C', text);
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
        self.with(|state| if state.greeted { state.reply.clone() } else { Vec::new() })
    }

    /// Why reading was given up.
    pub fn violation(&self) -> Option<Violation> {
        self.with(|state| state.violation)
    }

    /// The conversation since the last call.
    pub fn take(&self) -> Vec<Line> {
        self.with(|state| {
            let lines = std::mem::take(&mut state.transcript);
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

impl State {
    fn limits(&self) -> &'static Limits {
        if self.signed_in { &AFTER } else { &BEFORE }
    }

    /// The line as it may be kept: bounded, without secrets, and without characters that do something instead of showing.
    fn clean(&self, text: &str) -> String {
        // A secret at the end of what is kept is recognised by what follows it.
        let text: String = text.chars().take(2 * KEPT_CHARS).collect();
        shown(&self.masks.apply(&text, HIDDEN))
    }

    fn keep(&mut self, from: char, text: String) {
        if self.transcript.len() < KEPT_LINES {
            self.transcript.push(Line { from, text });
        } else if self.transcript.len() == KEPT_LINES {
            let text = "(more lines, not kept)".to_owned();
            self.transcript.push(Line { from, text });
        }
    }

    /// A new line of ours: what the server says next is its reply.
    fn begin_ours(&mut self) {
        self.reply.clear();
        self.reply_lines = 0;
    }

    fn sent(&mut self, bytes: &[u8]) {
        if self.body {
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.ours);
                    let text = self
                        .instead
                        .take()
                        .unwrap_or_else(|| self.clean(String::from_utf8_lossy(&line).trim_end()));
                    self.begin_ours();
                    self.keep('C', text);
                }
                _ => self.ours.push(*byte),
            }
        }
    }

    fn received(&mut self, mut bytes: &[u8], out: &mut VecDeque<u8>) -> Result<(), Violation> {
        self.total += bytes.len();
        if self.total > self.limits().total {
            return Err(Violation::TooMuch("the server sent more than is read of one conversation"));
        }
        while !bytes.is_empty() {
            if let Some((part, rest)) = self.imap.literal(bytes) {
                out.extend(part);
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|b| *b == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            self.line.extend_from_slice(part);
            bytes = rest;
            if self.line.len() > self.limits().line {
                return Err(Violation::TooMuch("the server sent a line that is too long"));
            }
            if end.is_some() {
                self.line(out)?;
            }
        }
        Ok(())
    }

    /// Takes the finished line apart.
    fn line(&mut self, out: &mut VecDeque<u8>) -> Result<(), Violation> {
        self.reply_lines += 1;
        if self.reply_lines > self.limits().lines {
            return Err(Violation::TooMuch("the server sent a reply with too many lines"));
        }
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match self.protocol {
            Protocol::Pop3 => {
                // The first line says how it went, the rest is somebody's mail.
                if self.reply_lines == 1 || !self.imap.messages_wanted {
                    self.said(text);
                } else if self.reply_lines == 2 {
                    self.keep('S', "(message data, not kept)".to_owned());
                }
                out.extend(text.as_bytes());
                out.extend(b"\r\n");
                Ok(())
            }
            Protocol::Smtp | Protocol::Graph => {
                self.said(text);
                out.extend(text.as_bytes());
                if text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) {
                    out.push_back(b' ');
                }
                out.extend(b"\r\n");
                Ok(())
            }
            Protocol::Imap => {
                match self.imap.begin(text) {
                    Kept::Line => self.said(text),
                    Kept::Head(head) => self.keep('S', format!("{head} (message data, not kept)")),
                    Kept::Nothing => {}
                }
                if let Some(line) = self.imap.pass(text, self.limits().line)? {
                    out.extend(line.as_bytes());
                    out.extend(b"\r\n");
                }
                Ok(())
            }
        }
    }

    fn said(&mut self, text: &str) {
        let replied = self.reply.len() >= REPLY_LINES;
        // What is not kept needs no cleaning, and a server may send a lot of it.
        if replied && self.transcript.len() >= KEPT_LINES {
            self.keep('S', String::new());
            return;
        }
        let text = self.clean(text);
        if !replied {
            self.reply.push(text.clone());
        }
        self.keep('S', text);
    }
}

/// The line as pages, logs and terminals can take it.
fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(KEPT_CHARS).map(printable).collect();
    if text.chars().nth(KEPT_CHARS).is_some() {
        out.push('…');
    }
    out
}

/// Control characters and those that turn the direction of text around become a visible mark.
pub(super) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(recorder: &Recorder, bytes: &[u8]) -> Result<String, Violation> {
        let mut out = VecDeque::new();
        recorder.received(bytes, &mut out)?;
        Ok(String::from_utf8_lossy(out.make_contiguous()).into_owned())
    }

    fn imap() -> Recorder {
        let recorder = Recorder::new(Protocol::Imap);
        recorder.greeted();
        recorder
    }

    fn transcript(recorder: &Recorder) -> Vec<String> {
        recorder
            .take()
            .into_iter()
            .map(|line| format!("{}: {}", line.from, line.text))
            .collect()
    }

    #[test]
    fn parsers_get_whole_lines_of_the_kinds_we_asked_for() {
        let recorder = imap();
        assert_eq!(feed(&recorder, b"* OK re").unwrap(), "");
        assert_eq!(feed(&recorder, b"ady\r\n* XNEW {3}\r\n((( x\r\n").unwrap(), "* OK ready\r\n");
        assert_eq!(feed(&recorder, b"* 3 FETCH (BODYSTRUCTURE (((\r\n").unwrap(), "");
        assert_eq!(feed(&recorder, b"* FLAGS (\\Seen)\r\n* 4 EXISTS\r\n").unwrap(), "* 4 EXISTS\r\n");
        assert_eq!(feed(&recorder, b"+\r\nA1 OK\n").unwrap(), "+ \r\nA1 OK\r\n");
        assert_eq!(
            feed(&recorder, b"* CAPABILITY IMAP4rev1 \r\n").unwrap(),
            "* CAPABILITY IMAP4rev1\r\n"
        );
        let literal = b"* LIST () \"/\" {5}\r\na\nb\"(\r\nA2 OK x\r\n";
        assert_eq!(feed(&recorder, literal).unwrap().as_bytes(), literal);
    }

    #[test]
    fn shapes_that_hurt_parsers_do_not_reach_them() {
        assert_eq!(
            feed(&imap(), "* OK [ALERT]\u{fc}ber\r\n".as_bytes()).unwrap(),
            "* OK [ALERT]?ber\r\n"
        );
        assert_eq!(
            feed(&imap(), b"A1 NO [BADCHARSET ({400000000}\r\n").unwrap(),
            "A1 NO [BADCHARSET (?400000000}\r\n"
        );
        let recorder = imap();
        recorder.want_messages(true);
        assert_eq!(
            feed(&recorder, b"* 1 FETCH (X a\"b internaldate nil BodyStructure (((((())\r\n").unwrap(),
            "* 1 FETCH (X a\"b internaldate-nil BodyStructure-(((((())\r\n"
        );
        // The parser takes what follows an unknown word for its value, line ends and all.
        assert_eq!(
            feed(&recorder, b"* 1 FETCH (X %\r\nA1 INTERNALDATE NIL\r\n").unwrap(),
            "* 1 FETCH (X %\r\nA1 INTERNALDATE-NIL\r\n"
        );
        for literal in ["{99999999999}", "{99999999999999999999999}", "{9000}", "X a\"b {9000}"] {
            assert!(
                feed(&imap(), format!("* LIST () \"/\" {literal}\r\n").as_bytes()).is_err(),
                "{literal}"
            );
        }
    }

    #[test]
    fn limits_hold_before_sign_in_and_are_wider_after() {
        let long = vec![b'x'; 9000];
        assert!(matches!(feed(&imap(), &long), Err(Violation::TooMuch(_))));
        let recorder = imap();
        recorder.signed_in();
        assert!(feed(&recorder, &long).is_ok());

        let flood = b"* OK x\r\n".repeat(101);
        assert!(feed(&imap(), &flood).is_err());

        let recorder = imap();
        let mut total = 0;
        let result = loop {
            recorder.sent(b"A1 NOOP\r\n");
            total += 4000;
            match feed(&recorder, &[vec![b'x'; 3998], b"\r\n".to_vec()].concat()) {
                Ok(_) if total < 1_000_000 => {}
                other => break other,
            }
        };
        assert!(matches!(result, Err(Violation::TooMuch(_))));
        assert!(total <= 68_000, "{total}");
    }

    #[test]
    fn nothing_is_shown_before_the_greeting_and_no_mail_after_it() {
        let recorder = Recorder::new(Protocol::Imap);
        feed(&recorder, b"secret service, go away\r\n").unwrap();
        assert!(recorder.take().is_empty());
        recorder.greeted();
        recorder.want_messages(true);
        recorder.sent(b"A1 UID FETCH 1 (ENVELOPE)\r\n");
        feed(&recorder, b"* 12 FETCH (ENVELOPE (\"d\" {7}\r\nprivate NIL))\r\nA1 OK done\r\n").unwrap();
        assert_eq!(
            transcript(&recorder),
            [
                "C: A1 UID FETCH 1 (ENVELOPE)",
                "S: * 12 FETCH (message data, not kept)",
                "S: A1 OK done"
            ]
        );
    }

    #[test]
    fn secrets_and_tricks_of_terminals_are_not_kept() {
        let recorder = Recorder::new(Protocol::Smtp);
        recorder.greeted();
        recorder.hide("canary-token-canary-token");
        recorder.instead("(XOAUTH2 as me, 40 characters)".to_owned());
        recorder.sent(b"Y2FuYXJ5LXRva2VuLWNhbmFyeS10b2tlbg==\r\n");
        let line = "501 \x1b[31mcanary-token-canary-token Y2FuYXJ5LXRva2VuLWNhbmFyeS10b2tlbg==\u{202e}\r\n";
        feed(&recorder, line.as_bytes()).unwrap();
        assert_eq!(
            transcript(&recorder),
            [
                "C: (XOAUTH2 as me, 40 characters)",
                "S: 501 \u{fffd}[31m[hidden] [hidden]g==\u{fffd}"
            ]
        );
        assert_eq!(recorder.reply(), ["501 \u{fffd}[31m[hidden] [hidden]g==\u{fffd}"]);
    }

    #[test]
    fn the_end_of_a_message_is_noticed_and_its_text_is_not_kept() {
        let recorder = Recorder::new(Protocol::Smtp);
        recorder.greeted();
        recorder.sending(b"x\r\n.\r\n");
        assert!(!recorder.handed_over());
        recorder.body("(message of 5 octets)".to_owned());
        recorder.sending(b"Subject: x\r\n");
        recorder.sent(b"Subject: x\r\n");
        assert!(!recorder.handed_over());
        recorder.sending(b"\r\n.\r\n");
        recorder.sent(b"\r\n.\r\n");
        assert!(recorder.handed_over());
        feed(&recorder, b"250 queued as 42\r\n").unwrap();
        recorder.body_ended();
        recorder.sent(b"QUIT\r\n");
        assert_eq!(
            transcript(&recorder),
            ["C: (message of 5 octets)", "S: 250 queued as 42", "C: QUIT"]
        );
    }

    #[test]
    fn sloppy_smtp_replies_become_proper_ones() {
        let recorder = Recorder::new(Protocol::Smtp);
        assert_eq!(feed(&recorder, b"334\r\n").unwrap(), "334 \r\n");
        assert_eq!(feed(&recorder, b"250 ok\n").unwrap(), "250 ok\r\n");
        assert_eq!(feed(&recorder, b"250 gr\xfc\xdfe\r\n").unwrap(), "250 gr\u{fffd}\u{fffd}e\r\n");
    }
}
