//! Takes known secrets out of what servers say, before anything of it is kept: the secret itself, its base64 forms, and longer
//! pieces of either, because servers like to quote the beginning of a line they did not understand. Percent-encoding, JSON's escapes
//! and hexadecimal digits hide nothing from it.
//!
//! Servers choose what they say and providers how long a token is, so the work grows with their sum and not with their product.

mod named;

pub use named::hide_values;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use zeroize::Zeroizing;

/// A piece this long of a secret is looked for.
const WINDOW: usize = 16;
/// Of every how many characters of a secret does a piece start at one?
const STRIDE: usize = 8;
/// Secrets up to this length are looked for as a whole as well.
const SHORT: usize = WINDOW + STRIDE;
/// Shorter secrets would hide half the conversation; their base64 forms are looked for all the same.
const SHORTEST: usize = 4;
/// Shorter ones are not looked for across blanks and lines: they would be found where nobody wrote them.
const SHORTEST_SCATTERED: usize = 8;

/// The secrets of one conversation, in all the forms they may come back in.
#[derive(Default)]
pub struct Masks {
    /// As they are written.
    exact: Forms,
    /// Their letters and digits alone, in lower case.
    scattered: Forms,
}

/// Texts to look for.
#[derive(Default)]
struct Forms {
    forms: Vec<Zeroizing<String>>,
    /// Where pieces stand, by their hash: which form, and where in it. A hash, so that no copy of a secret lies about.
    pieces: HashMap<u64, (usize, usize)>,
    hasher: RandomState,
}

impl Masks {
    /// Looks out for one more secret.
    pub fn add(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.add_form(secret.to_owned());
        self.add_form(secret.replace('\\', "\\\\").replace('"', "\\\""));
        // As forms write it; what stands for other characters is read before it is compared.
        self.add_form(secret.replace(' ', "+"));
        self.add_encoded(secret);
    }

    /// Looks out for the base64 forms of a text that may be shown as it is.
    pub fn add_encoded(&mut self, secret: &str) {
        for shift in 0..3 {
            let mut bytes = Zeroizing::new(vec![0; shift]);
            bytes.extend_from_slice(secret.as_bytes());
            // Only the digits that the secret alone decides: its neighbours share the first and the last.
            let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
            for encoded in [STANDARD_NO_PAD.encode(&*bytes), URL_SAFE_NO_PAD.encode(&*bytes)] {
                self.add_form(encoded.get(from..to).unwrap_or_default().to_owned());
            }
        }
    }

    fn add_form(&mut self, form: String) {
        let scattered = squeezed(&form);
        if scattered.len() >= SHORTEST_SCATTERED {
            self.scattered.add(scattered);
        }
        self.exact.add(form);
    }

    /// The text without secrets: `instead` stands in place of each.
    pub fn apply(&self, text: &str, instead: &str) -> String {
        self.apply_all(&[(0, text)], instead).concat()
    }

    /// The lines without secrets, and without those that are spread over several. Before each line stands how many of its octets are
    /// the protocol's own.
    pub fn apply_all(&self, lines: &[(usize, &str)], instead: &str) -> Vec<String> {
        let mut hidden: Vec<Vec<bool>> = lines.iter().map(|(_, line)| vec![false; line.len()]).collect();
        for ((_, line), hidden) in lines.iter().zip(&mut hidden) {
            self.exact.mark(line.as_bytes(), hidden);
        }
        self.mark_scattered(lines, &mut hidden);
        lines
            .iter()
            .zip(&hidden)
            .map(|((_, line), hidden)| without(line, hidden, instead))
            .collect()
    }

    fn mark_scattered(&self, lines: &[(usize, &str)], hidden: &mut [Vec<bool>]) {
        if self.scattered.forms.is_empty() {
            return;
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let mut from = Vec::new();
        for (number, (start, line)) in lines.iter().enumerate() {
            for (at, byte) in line
                .bytes()
                .enumerate()
                .skip(*start)
                .filter(|(_, byte)| byte.is_ascii_alphanumeric())
            {
                bytes.push(byte.to_ascii_lowercase());
                from.push((number, at));
            }
        }
        self.scattered.find(&bytes, |found| {
            let places = &from[found];
            for (place, next) in places.iter().zip(places.iter().skip(1).chain(places.last())) {
                let end = if place.0 == next.0 { next.1.max(place.1 + 1) } else { place.1 + 1 };
                hidden[place.0][place.1..end].fill(true);
            }
        });
    }
}

/// The letters and digits of a text, in lower case.
fn squeezed(text: &str) -> String {
    let plain = text.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|c| c.to_ascii_lowercase()).collect()
}

/// The line with `instead` in place of what is hidden.
fn without(line: &str, hidden: &[bool], instead: &str) -> String {
    let mut out = Vec::with_capacity(line.len());
    for (at, byte) in line.bytes().enumerate() {
        if !hidden[at] {
            out.push(byte);
        } else if at == 0 || !hidden[at - 1] {
            out.extend_from_slice(instead.as_bytes());
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Forms {
    fn add(&mut self, form: String) {
        if form.len() < SHORTEST || self.forms.iter().any(|known| **known == form) {
            return;
        }
        if let Some(last) = form.len().checked_sub(WINDOW) {
            for at in (0..last).step_by(STRIDE).chain([last]) {
                let hash = self.hasher.hash_one(&form.as_bytes()[at..at + WINDOW]);
                self.pieces.entry(hash).or_insert((self.forms.len(), at));
            }
        }
        self.forms.push(Zeroizing::new(form));
    }

    /// Marks what is found in a line, whatever it is written in.
    fn mark(&self, bytes: &[u8], hidden: &mut [bool]) {
        self.find(bytes, |found| hidden[found].fill(true));
        for view in [unescaped(bytes), from_hex(bytes, 0), from_hex(bytes, 1)].into_iter().flatten() {
            self.find(&view.bytes, |found| {
                let (start, end) = (view.from[found.start].start, view.from[found.end - 1].end);
                hidden[start..end].fill(true);
            });
        }
    }

    /// Every run that also stands in a form.
    fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        for form in self.forms.iter().filter(|form| form.len() <= SHORT) {
            for (at, piece) in text.windows(form.len()).enumerate() {
                if piece == form.as_bytes() {
                    found(at..at + form.len());
                }
            }
        }
        let mut at = 0;
        while let Some(window) = text.get(at..at + WINDOW) {
            let run = self.run(text, at, window);
            at = match run {
                // What was compared is not compared again, but for the window that may begin another piece.
                Some(run) => {
                    let next = run.end - WINDOW + 1;
                    found(run);
                    next
                }
                None => at + 1,
            };
        }
    }

    /// The run around a window that is a piece of a form.
    fn run(&self, text: &[u8], at: usize, window: &[u8]) -> Option<Range<usize>> {
        let (form, start) = *self.pieces.get(&self.hasher.hash_one(window))?;
        let secret = self.forms[form].as_bytes();
        if &secret[start..start + WINDOW] != window {
            return None;
        }
        // A longer run had a piece further ahead.
        let before = text[..at].iter().rev().zip(secret[..start].iter().rev()).take(STRIDE);
        let from = at - before.take_while(|(a, b)| a == b).count();
        let after = text[at + WINDOW..].iter().zip(&secret[start + WINDOW..]);
        Some(from..at + WINDOW + after.take_while(|(a, b)| a == b).count())
    }
}

/// A text as it reads decoded, and where each byte of it came from.
#[derive(Default)]
struct View {
    bytes: Zeroizing<Vec<u8>>,
    from: Vec<Range<usize>>,
}

impl View {
    fn push(&mut self, byte: u8, from: Range<usize>) {
        self.bytes.push(byte);
        self.from.push(from);
    }
}

/// With `%2B`, `\x2b`, `\u002b` and `\/` read as what they stand for; none where nothing is written so.
fn unescaped(text: &[u8]) -> Option<View> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'\\')) {
        return None;
    }
    let mut view = View::default();
    let mut at = 0;
    while at < text.len() {
        let (byte, length) = match &text[at..] {
            [b'%', a, b, ..] => pair(*a, *b).map(|byte| (byte, 3)),
            [b'\\', b'x' | b'X', a, b, ..] => pair(*a, *b).map(|byte| (byte, 4)),
            [b'\\', b'u' | b'U', b'0', b'0', a, b, ..] => pair(*a, *b).map(|byte| (byte, 6)),
            [b'\\', byte @ (b'/' | b'"' | b'\\'), ..] => Some((*byte, 2)),
            _ => None,
        }
        .unwrap_or((text[at], 1));
        view.push(byte, at..at + length);
        at += length;
    }
    Some(view)
}

/// With pairs of hexadecimal digits read as the bytes they stand for, one character between pairs left out (`2b:2f`, `2b 2f`); none
/// where no secret could be written so. Where a row of digits begins is anybody's guess: `skip` of its digits are left out.
fn from_hex(text: &[u8], skip: usize) -> Option<View> {
    let mut view = View::default();
    let mut at = 0;
    let mut first = true;
    while at < text.len() {
        if first && text[at].is_ascii_hexdigit() {
            (at, first) = (at + skip, false);
            continue;
        }
        let digits = |at: usize| pair(*text.get(at)?, *text.get(at + 1)?);
        if let Some(byte) = digits(at) {
            view.push(byte, at..at + 2);
            at += 2;
            let between = matches!(text.get(at), Some(b' ' | b':' | b'-' | b',' | b'.'));
            if between && digits(at + 1).is_some() {
                at += 1;
            }
        } else {
            // Nothing that is looked for holds it, so nothing is found across.
            view.push(0, at..at + 1);
            (at, first) = (at + 1, true);
        }
    }
    view.bytes.split(|byte| *byte == 0).any(|row| row.len() >= SHORTEST).then_some(view)
}

/// The byte that two hexadecimal digits stand for.
fn pair(a: u8, b: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(a)? * 16 + digit(b)?)
}

#[cfg(test)]
mod tests;
