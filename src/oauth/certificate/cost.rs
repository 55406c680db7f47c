//! What a PKCS#12 file asks for before it can be opened: whoever wrote it chose how long that takes (RFC 7292, RFC 8018).
//!
//! The key derivations that stand in it in the open are added up. Those inside encrypted parts show only once those are open; they are
//! kept at bay by one file at a time being opened.

/// How many rounds of key derivation are borne in all?
const MOST_ROUNDS: u64 = 2_000_000;
/// In how many places?
const MOST_PLACES: usize = 8;
/// How deep do structures nest?
const DEPTH: usize = 24;

/// PBKDF2: 1.2.840.113549.1.5.12.
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// The old ways of PKCS#12: 1.2.840.113549.1.12.1.x.
const PKCS12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
/// scrypt: 1.3.6.1.4.1.11591.4.11. Nobody's certificate store writes it into PKCS#12, and it is made to cost memory.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// Whether what the file asks for can be borne.
pub(super) fn is_bearable(file: &[u8]) -> bool {
    let mut asked = Asked::default();
    asked.walk(file, 0);
    !asked.too_much && asked.rounds <= MOST_ROUNDS && asked.places <= MOST_PLACES
}

#[derive(Default)]
struct Asked {
    rounds: u64,
    places: usize,
    too_much: bool,
}

impl Asked {
    /// Goes through everything that is made of parts, and through octet strings that hold such a thing.
    fn walk(&mut self, mut input: &[u8], depth: usize) {
        if depth > DEPTH {
            self.too_much = true;
            return;
        }
        while let Some((tag, value, rest)) = element(input) {
            if self.too_much {
                return;
            }
            if tag == 0x30 {
                self.derivation(value);
            }
            let made_of_parts = tag & 0x20 != 0;
            // Octet strings, plain or as the encrypted content of CMS, may hold a structure of their own.
            if made_of_parts || (matches!(tag, 0x04 | 0x80) && value.first() == Some(&0x30)) {
                self.walk(value, depth + 1);
            }
            input = rest;
        }
    }

    /// An algorithm with its parameters, if it derives a key.
    fn derivation(&mut self, sequence: &[u8]) {
        let Some((0x06, oid, rest)) = element(sequence) else { return };
        if oid == SCRYPT {
            self.too_much = true;
        } else if oid == PBKDF2 || (oid.starts_with(PKCS12_PBE) && oid.len() == PKCS12_PBE.len() + 1) {
            self.places += 1;
            let rounds = element(rest).and_then(|(_, parameters, _)| {
                let (_, _, after_salt) = element(parameters)?;
                let (tag, number, _) = element(after_salt)?;
                (tag == 0x02 && number.len() <= 8).then(|| number.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
            });
            match rounds {
                Some(rounds) => self.rounds = self.rounds.saturating_add(rounds),
                None => self.too_much = true,
            }
        }
    }
}

/// The tag, the value and what follows it; none at the end, and where the input is no DER. Indefinite lengths (BER) end the walk as
/// something that can't be judged does: the reader of the file takes none.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        out.extend(value);
        out
    }

    fn derivation(oid: &[u8], rounds: u32) -> Vec<u8> {
        let parameters = tlv(0x30, &[tlv(0x04, b"saltsalt"), tlv(0x02, &rounds.to_be_bytes())].concat());
        tlv(0x30, &[tlv(0x06, oid), parameters].concat())
    }

    /// As in a file: within an octet string within a structure.
    fn file(parts: &[Vec<u8>]) -> Vec<u8> {
        tlv(0x30, &tlv(0xa0, &tlv(0x04, &tlv(0x30, &parts.concat()))))
    }

    #[test]
    fn what_would_take_minutes_or_memory_is_not_even_begun() {
        assert!(is_bearable(&file(&[derivation(PBKDF2, 600_000), derivation(PBKDF2, 600_000)])));
        assert!(is_bearable(&file(&[])));
        assert!(!is_bearable(&file(&[derivation(PBKDF2, 2_000_001)])));
        assert!(!is_bearable(&file(&vec![derivation(PBKDF2, 1_000_000); 3])), "the sum counts");
        assert!(!is_bearable(&file(&vec![derivation(PBKDF2, 1); 9])), "and the number");
        assert!(!is_bearable(&file(&[derivation(SCRYPT, 1)])));
        let old = [PKCS12_PBE, &[3]].concat();
        assert!(!is_bearable(&file(&[derivation(&old, 3_000_000)])));
        assert!(
            !is_bearable(&file(&[tlv(0x30, &tlv(0x06, PBKDF2))])),
            "without a number it can't be judged"
        );
    }

    #[test]
    fn no_input_is_too_odd_to_walk() {
        let deep = (0..60).fold(vec![], |inner, _| tlv(0x30, &inner));
        assert!(!is_bearable(&deep));
        for odd in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x04, 0x01],
        ] {
            is_bearable(odd);
        }
    }
}
