//! Folder names on the wire: modified UTF-7 (RFC 3501, 5.1.3).

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

/// Base64 with a comma for the slash and without padding.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The name as servers want it: `Entwürfe` becomes `Entw&APw-rfe`.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let plain = matches!(first, ' '..='~');
        let end = rest.find(|c| matches!(c, ' '..='~') != plain).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        if plain {
            out.push_str(&run.replace('&', "&-"));
        } else {
            let utf16: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            out.push('&');
            MODIFIED.encode_string(utf16, &mut out);
            out.push('-');
        }
        rest = tail;
    }
    out
}

/// The name as people read it; what is not encoded rightly stays as it came.
pub fn decode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        let Some((coded, tail)) = after.split_once('-') else {
            out.push('&');
            rest = after;
            continue;
        };
        match coded {
            "" => out.push('&'),
            _ => match decode_run(coded) {
                Some(run) => out.push_str(&run),
                None => out.push_str(&format!("&{coded}-")),
            },
        }
        rest = tail;
    }
    out + rest
}

fn decode_run(coded: &str) -> Option<String> {
    let bytes = MODIFIED.decode(coded).ok()?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    let utf16: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    if odd.is_empty() { String::from_utf16(&utf16).ok() } else { None }
}

/// What a folder is for, in the order people look for one to put a message into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Where mail comes in.
    Inbox,
    /// What is done with.
    Archive,
    /// What was sent.
    Sent,
    /// What is being written.
    Drafts,
    /// A view of messages that are in other folders.
    View,
    /// Anything else.
    Other,
    /// Junk.
    Junk,
    /// What was deleted.
    Deleted,
}

impl Use {
    /// By the names such folders usually have, where the server doesn't say.
    pub fn by_name(name: &str) -> Self {
        let last = name.strip_prefix("[Gmail]/").unwrap_or(name).to_lowercase();
        match last.as_str() {
            "inbox" => Self::Inbox,
            "archive" | "archives" => Self::Archive,
            "sent" | "sent items" | "sent mail" | "sent messages" => Self::Sent,
            "drafts" => Self::Drafts,
            "all mail" | "starred" | "important" if name.len() > last.len() => Self::View,
            "junk" | "junk email" | "junk e-mail" | "spam" | "bulk" => Self::Junk,
            "trash" | "bin" | "deleted" | "deleted items" | "deleted messages" => Self::Deleted,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("台北/日本語", "&U,BTFw-/&ZeVnLIqe-"),
            ("Юнк", "&BC4EPQQ6-"),
            ("a😀b", "a&2D3eAA-b"),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire), name);
        }
    }

    #[test]
    fn what_is_not_encoded_rightly_stays_as_it_came() {
        for odd in ["a&b", "&!!-x", "&AA-", "&2D0-"] {
            assert_eq!(decode(odd), odd);
        }
    }

    #[test]
    fn where_people_look_first_is_first_and_the_bin_is_last() {
        let mut names = [
            "Deleted Items",
            "Spam",
            "invoices",
            "[Gmail]/Important",
            "Zoo",
            "Drafts",
            "Important",
            "INBOX",
            "Archive",
        ];
        names.sort_by_key(|name| (Use::by_name(name), name.to_lowercase()));
        assert_eq!(
            names,
            [
                "INBOX",
                "Archive",
                "Drafts",
                "[Gmail]/Important",
                "Important",
                "invoices",
                "Zoo",
                "Spam",
                "Deleted Items"
            ]
        );
    }
}
