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
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const HIDDEN: &str = "[hidden]";
    const TOKEN: &str = "EwBoA8l6BAAU7p9QDpi-secret_token/with+signs.0123456789abcdefghijklmnopqrstuvwxyz";

    fn masks() -> Masks {
        let mut masks = Masks::default();
        masks.add(TOKEN);
        masks
    }

    #[test]
    fn a_token_is_hidden_in_every_form_a_server_may_send_it_back() {
        let sasl = format!("user=support@contoso.test\x01auth=Bearer {TOKEN}\x01\x01");
        for text in [
            format!("500 unknown command: {TOKEN}"),
            format!("BAD {}", STANDARD.encode(&sasl)),
            format!("BAD {}", STANDARD.encode(format!("x{sasl}"))),
            format!("BAD {}", STANDARD.encode(format!("xx{sasl}"))),
            format!("BAD {}", URL_SAFE_NO_PAD.encode(&sasl)),
            format!("500 line too long: {}", &STANDARD.encode(&sasl)[..100]),
            format!("500 …{}", &TOKEN[20..60]),
        ] {
            let shown = masks().apply(&text, HIDDEN);
            assert!(shown.contains(HIDDEN), "{text} -> {shown}");
            for piece in TOKEN.as_bytes().windows(WINDOW) {
                let piece = std::str::from_utf8(piece).unwrap();
                assert!(!shown.contains(piece), "{shown}");
            }
            for shift in 0..3 {
                let encoded = STANDARD_NO_PAD.encode([&vec![b' '; shift][..], TOKEN.as_bytes()].concat());
                assert!(!shown.contains(&encoded[8..32]), "{shown}");
            }
        }
    }

    #[test]
    fn a_password_is_hidden_as_it_is_quoted_and_encoded() {
        let mut masks = Masks::default();
        masks.add("p\"ss\\w");
        assert_eq!(masks.apply("BAD LOGIN me p\"ss\\w!", HIDDEN), "BAD LOGIN me [hidden]!");
        assert_eq!(masks.apply("BAD LOGIN me \"p\\\"ss\\\\w\"", HIDDEN), "BAD LOGIN me \"[hidden]\"");
        let plain = masks.apply(&STANDARD.encode("\0me\0p\"ss\\w"), HIDDEN);
        assert!(plain.contains(HIDDEN), "{plain}");
    }

    #[test]
    fn the_rest_of_the_line_stays_readable() {
        let text = "535-5.7.8 Username and Password not accepted. See https://support.google.com/mail/?p=BadCredentials";
        assert_eq!(masks().apply(text, HIDDEN), text);
        assert_eq!(masks().apply("grüße äöü 日本", HIDDEN), "grüße äöü 日本");
        assert_eq!(masks().apply(&format!("ü {TOKEN} ü {TOKEN}."), HIDDEN), "ü [hidden] ü [hidden].");
        assert_eq!(Masks::default().apply("", HIDDEN), "");
    }

    #[test]
    fn no_encoding_hides_a_token() {
        let every = |write: fn(u8) -> String| TOKEN.bytes().map(write).collect::<String>();
        let form: String = url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect();
        assert_ne!(form, TOKEN);
        let base64 = STANDARD.encode(format!("\0{TOKEN}")).replace('+', "%2b").replace('/', "%2F");
        for text in [
            form.clone(),
            form.to_lowercase().replace(&TOKEN.to_lowercase()[..20], &TOKEN[..20]),
            every(|byte| format!("%{byte:02X}")),
            every(|byte| format!("{byte:02x}")),
            format!("a{}", every(|byte| format!("{byte:02X}"))),
            every(|byte| format!("{byte:02x}:")),
            every(|byte| format!("\\x{byte:02x}")),
            every(|byte| format!("\\u{byte:04x}")),
            TOKEN.replace('/', "\\/"),
            base64,
        ] {
            let shown = masks().apply(&format!("500 >{text}< unknown"), HIDDEN);
            assert!(shown.starts_with("500 >") && shown.ends_with("< unknown"), "{shown}");
            assert!(shown.contains(HIDDEN) && shown.len() <= text.len() / 4 + 30, "{text} -> {shown}");
        }
        let mut masks = Masks::default();
        masks.add("sesame & more");
        for text in ["sesame+%26+more", "sesame%20%26%20more", "736573616d652026206d6f7265"] {
            assert_eq!(masks.apply(text, HIDDEN), HIDDEN);
        }
    }

    #[test]
    fn what_is_spread_over_lines_or_changed_in_case_is_found_and_the_protocol_stays() {
        let pieces: Vec<String> = TOKEN
            .as_bytes()
            .chunks(5)
            .map(|piece| format!("* OK {}", String::from_utf8_lossy(piece)))
            .collect();
        let lines: Vec<(usize, &str)> = pieces.iter().map(|line| (5, line.as_str())).collect();
        for line in masks().apply_all(&lines, HIDDEN) {
            let left = line.strip_prefix("* OK ").unwrap().replace(HIDDEN, "");
            assert!(line.contains(HIDDEN) && !left.contains(char::is_alphanumeric), "{line}");
        }
        let spaced: String = TOKEN.chars().flat_map(|c| [c, ' ']).collect();
        for text in [spaced, TOKEN.to_uppercase(), STANDARD.encode(TOKEN).to_lowercase()] {
            let shown = masks().apply(&text, HIDDEN);
            assert!(shown.starts_with(HIDDEN) && shown.len() <= 30, "{text} -> {shown}");
        }
        // Letters that come together by chance are nobody's secret.
        let mut masks = Masks::default();
        masks.add("a.b.c-d");
        assert_eq!(masks.apply("a b c d", HIDDEN), "a b c d");
        assert_eq!(masks.apply("as a.b.c-d", HIDDEN), "as [hidden]");
    }

    #[test]
    fn a_message_that_may_be_shown_is_hidden_where_it_is_encoded() {
        let mut masks = Masks::default();
        let message = "user=support@contoso.test\x01auth=Bearer x\x01\x01";
        masks.add_encoded(message);
        assert_eq!(masks.apply("user=support@contoso.test", HIDDEN), "user=support@contoso.test");
        assert_eq!(
            masks.apply(&format!("BAD {}", STANDARD_NO_PAD.encode(message)), HIDDEN),
            "BAD [hidden]E"
        );
    }

    #[test]
    fn a_long_token_and_much_text_cost_their_sum_and_not_their_product() {
        // What this thread was busy for: others who want the processor don't count.
        let busy = || -> u64 {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        };
        let mut state = 1_u32;
        let token: String = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from((state >> 16) % 26).unwrap())
        })
        .take(60_000)
        .collect();
        // A provider and a mail server of one mind: all that is said is made of pieces of the token.
        let lines: Vec<String> = (0..900)
            .map(|line| (0..130).map(|n| &token[(line * 61 + n * 97) % 59_000..][..15]).collect())
            .collect();
        let began = busy();
        let mut masks = Masks::default();
        masks.add(&token);
        for line in &lines {
            masks.apply(line, HIDDEN);
        }
        let took = busy() - began;
        assert!(took < 10_000_000_000, "{took} ns");
    }
}
