//! The text of a file that somebody chose: UTF-8, UTF-16 as spreadsheets write it, or Windows-1252, which older programs mean when they
//! say nothing.

use super::looks::{self, ACCEPTED};
use super::{Fault, LONGEST, fault};
use zeroize::Zeroizing;

/// What was brought along, before it is read.
#[derive(Default)]
pub struct Brought {
    /// The text. May hold secrets.
    pub text: Zeroizing<String>,
    /// What should be known about how it became text.
    pub note: Option<Fault>,
}

impl Brought {
    /// A text that was pasted.
    pub fn pasted(text: Zeroizing<String>) -> Self {
        Self { text, note: None }
    }

    /// The text of a file; an error is a sentence for whoever chose it.
    pub fn file(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("The file is empty".to_owned());
        }
        if let Some(told) = known_as_other(bytes) {
            return Err(told);
        }
        let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
            let (pairs, left) = rest.as_chunks::<2>();
            let units = pairs.iter().map(|pair| unit(*pair));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            match text {
                Ok(text) if left.is_empty() => plain(text),
                _ => Err("The file is damaged: its text (UTF-16) ends in the middle. Save it once more".to_owned()),
            }
        };
        match bytes {
            [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
            _ => {}
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => plain(text.to_owned()),
            Err(error) => windows(bytes, error.valid_up_to()),
        }
    }
}

/// Text it is, and nothing else.
fn plain(text: String) -> Result<Brought, String> {
    let text = Zeroizing::new(text);
    if text.chars().any(|c| c.is_control() && !"\t\r\n\u{c}\u{1a}".contains(c)) {
        return Err(no_text());
    }
    if text.len() > LONGEST {
        return Err("The file is longer than 1 MiB. Bring it in several parts".to_owned());
    }
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err("There's nothing in the file".to_owned());
    }
    Ok(Brought::pasted(text))
}

fn no_text() -> String {
    format!("This isn't a text file. {ACCEPTED}")
}

fn known_as_other(bytes: &[u8]) -> Option<String> {
    let what = looks::by_beginning(bytes)?;
    Some(if bytes.starts_with(b"PK") || bytes.starts_with(b"\xd0\xcf") {
        format!("This looks like {what}. In the spreadsheet, save the table as CSV UTF-8, and choose that")
    } else {
        format!("This looks like {what}. {ACCEPTED}")
    })
}

/// What the octets from 128 to 159 mean there; 0: nothing.
const WINDOWS: [u32; 32] = [
    0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0, 0x17d, 0, 0, 0x2018, 0x2019, 0x201c,
    0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178,
];

fn windows(bytes: &[u8], at: usize) -> Result<Brought, String> {
    let one = |byte: &u8| match byte {
        0x80..=0x9f => char::from_u32(WINDOWS[usize::from(byte - 0x80)]).filter(|c| *c != '\0'),
        byte => Some(char::from(*byte)),
    };
    let text: String = bytes.iter().map(one).collect::<Option<_>>().ok_or_else(no_text)?;
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let message = "The file isn't UTF-8, so it was read as Windows-1252 (Western European): look at names and other texts with accents. \
                   Passwords with such letters may come out wrong without being seen";
    let help = "If something looks wrong, save the file as UTF-8 and choose it again";
    Ok(Brought {
        note: Some(fault(line, "", message, Some(help))),
        ..plain(text)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let brought = Brought::file(bytes).unwrap_or_else(|told| panic!("{told}"));
        brought.text.to_string()
    }

    #[test]
    fn what_spreadsheets_and_old_programs_write_is_read() {
        let little: Vec<u8> = "\u{feff}name\täöü 😀\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}name\täöü 😀\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!((text(&little), text(&big)), ("name\täöü 😀\r\n".into(), "name\täöü 😀\r\n".into()));
        assert_eq!(text("\u{feff}a,b\r\n".as_bytes()), "\u{feff}a,b\r\n");
        let old = Brought::file(b"a=1\nname=J\xe4rvi \x80\n").ok().unwrap();
        assert_eq!(old.text.as_str(), "a=1\nname=Järvi €\n");
        let note = old.note.unwrap();
        assert!(note.place.line == 2 && note.message.contains("Windows-1252"), "{note:?}");
    }

    #[test]
    fn what_is_no_text_is_told_as_what_it_is() {
        let long = vec![b'a'; LONGEST + 1];
        for (bytes, told) in [
            (&b""[..], "is empty"),
            (b"\xef\xbb\xbf \r\n", "nothing in the file"),
            (b"PK\x03\x04 and so on", "save the table as CSV"),
            (b"\xd0\xcf\x11\xe0\xa1", "save the table as CSV"),
            (b"-----BEGIN PRIVATE KEY-----\n", "looks like a certificate or a key (PEM). Bring"),
            (b"\xef\xbb\xbf\r\n%PDF-1.7\n", "looks like a PDF document. Bring"),
            (b"\x7fELF\x02\x01\0\0", "looks like a program"),
            (b"\x89PNG\r\n\x1a\n\0", "looks like a picture"),
            (b"a\0b", "isn't a text file"),
            (b"a\xe4\x81", "isn't a text file"),
            (b"\xff\xfea\0b", "ends in the middle"),
            (b"\xff\xfe\0\xd8a\0", "ends in the middle"),
            (&long, "longer than 1 MiB"),
        ] {
            let found = Brought::file(bytes).err().unwrap_or_default();
            assert!(found.contains(told), "{told}: {found}");
        }
    }
}
