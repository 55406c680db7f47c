//! A conversation as it is kept: counted, cut into lines, cleaned.

use super::super::replies::{Kept, Replies};
use super::{Protocol, Violation};
use crate::mask::Masks;
use crate::model::report::Line;
use std::collections::VecDeque;
use zeroize::Zeroizing;

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
pub(super) const HIDDEN: &str = "[hidden]";
/// How many lines of one reply count as what the server said?
pub(super) const REPLY_LINES: usize = 30;

struct Limits {
    total: usize,
    line: usize,
    lines: usize,
}

pub(super) struct State {
    pub(super) protocol: Protocol,
    pub(super) masks: Masks,
    /// The steps' conversation, as it was said; shown only once the server has greeted, and cleaned.
    pub(super) transcript: Vec<Said>,
    pub(super) greeted: bool,
    pub(super) signed_in: bool,
    /// What the server said since our last line, as it was said.
    pub(super) reply: Vec<Zeroizing<String>>,
    pub(super) reply_lines: usize,
    pub(super) total: usize,
    pub(super) violation: Option<Violation>,
    /// Incoming: the line so far, and where in an IMAP reply it stands.
    pub(super) line: Vec<u8>,
    pub(super) imap: Replies,
    /// Outgoing: the line so far, what is shown instead of it, and whether it is the body of a message.
    pub(super) ours: Vec<u8>,
    pub(super) instead: Option<String>,
    pub(super) body: bool,
    pub(super) handed_over: bool,
}

/// A line as it was said: secrets are taken out when it is read, because a server may spread one over several lines.
pub(super) struct Said {
    pub(super) from: char,
    pub(super) text: Zeroizing<String>,
}

impl State {
    fn limits(&self) -> &'static Limits {
        if self.signed_in { &AFTER } else { &BEFORE }
    }

    /// The lines as they may be read: bounded, without secrets, and without characters that do something instead of showing.
    pub(super) fn clean<'a>(&self, lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let lines: Vec<(usize, &str)> = lines.into_iter().map(|line| (self.protocol.own(line), line)).collect();
        let masked = self.masks.apply_all(&lines, HIDDEN);
        masked.iter().map(|line| shown(line)).collect()
    }

    /// The conversation since the last call. What the server says is looked at as a whole, and what we say line by line.
    pub(super) fn take(&mut self) -> Vec<Line> {
        let said = std::mem::take(&mut self.transcript);
        let theirs = self.clean(said.iter().filter(|line| line.from == 'S').map(|line| line.text.as_str()));
        let mut theirs = theirs.into_iter();
        said.iter()
            .map(|line| Line {
                from: line.from,
                text: match line.from {
                    'S' => theirs.next().unwrap_or_default(),
                    _ => self.clean([line.text.as_str()]).concat(),
                },
            })
            .collect()
    }

    pub(super) fn keep(&mut self, from: char, text: &str) {
        let text = match self.transcript.len() {
            ..KEPT_LINES => bounded(text),
            KEPT_LINES => "(more lines, not kept)".to_owned(),
            _ => return,
        };
        self.transcript.push(Said {
            from,
            text: Zeroizing::new(text),
        });
    }

    /// A new line of ours: what the server says next is its reply.
    pub(super) fn begin_ours(&mut self) {
        self.reply.clear();
        self.reply_lines = 0;
    }

    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if self.body {
            return;
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.ours);
                    let line = Zeroizing::new(line);
                    let text = Zeroizing::new(match self.instead.take() {
                        Some(instead) => instead,
                        None => String::from_utf8_lossy(&line).trim_end().to_owned(),
                    });
                    self.begin_ours();
                    self.keep('C', &text);
                }
                _ => self.ours.push(*byte),
            }
        }
    }

    pub(super) fn received(&mut self, mut bytes: &[u8], out: &mut VecDeque<u8>) -> Result<(), Violation> {
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
                    self.keep('S', "(message data, not kept)");
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
                    Kept::Head(head) => self.keep('S', &format!("{head} (message data, not kept)")),
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

    pub(super) fn said(&mut self, text: &str) {
        if self.reply.len() < REPLY_LINES {
            self.reply.push(Zeroizing::new(bounded(text)));
        }
        self.keep('S', text);
    }
}

/// As much of a line as is kept. A secret at the end of what is shown is recognised by what follows it.
fn bounded(text: &str) -> String {
    text.chars().take(2 * KEPT_CHARS).collect()
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
pub(in crate::mail) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}
