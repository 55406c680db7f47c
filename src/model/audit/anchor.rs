//! Anchors (AUD-4): the number and hash of the newest entry, written where whoever changes the database can't change it. The chain alone
//! can't show that its end was cut off; an anchor can.

use std::fmt;

/// How an anchor begins, wherever it stands.
const MARK: &str = "mailgrant-audit:";
/// Digits of a hash.
const DIGITS: usize = 64;

/// What the chain was at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Anchor {
    /// Number of the newest entry then.
    pub sequence: i64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}:{}", self.sequence, self.hash)
    }
}

impl Anchor {
    /// Every anchor in a text, whatever stands around them: a line of the log, or all of it.
    pub fn all(text: &str) -> Vec<Self> {
        text.split(MARK).skip(1).filter_map(Self::read).collect()
    }

    fn read(rest: &str) -> Option<Self> {
        let (sequence, rest) = rest.split_once(':')?;
        let hash = rest.get(..DIGITS)?;
        let goes_on = rest[DIGITS..].starts_with(|c: char| c.is_ascii_alphanumeric());
        let is_hash = !goes_on && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let sequence = sequence.parse().ok().filter(|sequence| *sequence >= 0)?;
        is_hash.then(|| Self {
            sequence,
            hash: hash.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_found_in_lines_of_any_log() {
        let hash = "0f".repeat(32);
        let anchor = Anchor {
            sequence: 1234,
            hash: hash.clone(),
        };
        for text in [
            anchor.to_string(),
            format!("Nov 21 08:00:00 host mailgrant[7]: 2026-11-21T08:00:00.000Z  INFO Audit anchor {anchor}\n"),
            format!("{{\"message\":\"Audit anchor {anchor}\"}}"),
        ] {
            assert_eq!(Anchor::all(&text), std::slice::from_ref(&anchor), "{text}");
        }
        let cut = format!(
            "mailgrant-audit:1:{} mailgrant-audit:x:{hash} mailgrant-audit:-1:{hash} mailgrant-audit:1:{hash}0 ü",
            &hash[..60]
        );
        assert!(Anchor::all(&cut).is_empty());
        assert_eq!(Anchor::all(&format!("{anchor} and {anchor}")).len(), 2);
    }
}
