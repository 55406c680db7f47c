//! Secrets at rest (SEC-1 to SEC-6): data keys wrapped by a master key, values sealed with AES-256-GCM-SIV (RFC 8452) and bound to
//! their place, version and destination. There is no way around it: a value without the prefix is an error.

pub mod envelope;
pub mod keyring;

use crate::model::Sealed;
use crate::random::{Random, hex};
use aws_lc_rs::{digest, hmac};
pub use envelope::{Place, VaultError};
use keyring::Keyring;
pub use keyring::{KeyRow, MasterKey, MasterKeyError};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Seals and opens values. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keyring: Arc<Keyring>,
    random: Arc<dyn Random>,
}

impl Vault {
    /// A vault over an opened key ring.
    pub fn new(keyring: Keyring, random: Arc<dyn Random>) -> Self {
        Self {
            keyring: Arc::new(keyring),
            random,
        }
    }

    /// Seals `text` for one place, with the active data key.
    pub fn seal(&self, place: &Place<'_>, text: &str) -> Sealed {
        let (id, key) = self.keyring.active();
        envelope::seal(id, key, &*self.random, place, text.as_bytes())
    }

    /// Opens a value of one place. Moved, swapped, rolled back, re-targeted or damaged values are errors, never text.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<String>, VaultError> {
        let parts = envelope::parse(sealed)?;
        let key = self
            .keyring
            .key(parts.key_id)
            .ok_or_else(|| VaultError::UnknownKey(parts.key_id.to_owned()))?;
        envelope::open(key, place, &parts)
    }

    /// What may be shown of a secret: 8 hexadecimal digits of an HMAC, and its last 4 characters where it is long enough for that.
    pub fn hint(&self, secret: &str) -> String {
        let tag = hmac::sign(&self.derived("fingerprint"), secret.as_bytes());
        let count = secret.chars().count();
        let last: String = if count >= 16 {
            secret.chars().skip(count - 4).collect()
        } else {
            String::new()
        };
        format!("{} {last}", hex(&tag.as_ref()[..4])).trim_end().to_owned()
    }

    /// An HMAC-SHA-256 key for one purpose, derived from the instance secret (which outlives changes of the master key).
    pub fn derived(&self, purpose: &str) -> hmac::Key {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, self.keyring.instance_secret()),
            purpose.as_bytes(),
        );
        hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
    }

    /// Whether this is the id of a data key that is here.
    pub fn is_data_key(&self, id: &str) -> bool {
        self.keyring.key(id).is_some()
    }

    /// Id of the active data key.
    pub fn active_key_id(&self) -> &str {
        self.keyring.active().0
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// SHA-256 of a code that only its owner knows, in hexadecimal: what the database keeps of session ids, states and link codes.
pub fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn vault(seed: u64) -> Vault {
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
        let master = MasterKey::generate(&*random);
        let rows = Keyring::first_rows(&master, &*random);
        Vault::new(Keyring::open(&master, &rows).unwrap(), random)
    }

    const PLACE: Place<'_> = Place {
        table: "providers",
        column: "client_secret",
        row: "p1",
        version: 3,
        destination: "https://login.example/token",
    };

    #[test]
    fn a_sealed_value_opens_only_in_its_own_place() {
        let vault = vault(1);
        let sealed = vault.seal(&PLACE, "canary-secret");
        assert_eq!(vault.open(&PLACE, &sealed).unwrap().as_str(), "canary-secret");
        assert!(sealed.0.starts_with("v1.") && !sealed.0.contains("canary"));
        for other in [
            Place { table: "tokens", ..PLACE },
            Place { column: "other", ..PLACE },
            Place { row: "p2", ..PLACE },
            Place { version: 2, ..PLACE },
            Place {
                destination: "https://evil.example/token",
                ..PLACE
            },
        ] {
            assert!(matches!(vault.open(&other, &sealed), Err(VaultError::Damaged)), "{other:?}");
        }
    }

    #[test]
    fn plain_text_and_strange_forms_are_errors() {
        let vault = vault(1);
        for text in [
            "",
            "canary",
            "v1.a.b",
            "v2.k.gcmsiv.AAAA.AAAA",
            "v1.nokey.gcmsiv.AAAAAAAAAAAAAAAA.AAAA",
            "v1....",
        ] {
            assert!(vault.open(&PLACE, &Sealed(text.into())).is_err(), "{text}");
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let vault = vault(1);
        let sealed = vault.seal(&PLACE, "x");
        for i in 0..sealed.0.len() {
            let mut bytes = sealed.0.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(vault.open(&PLACE, &Sealed(text)).is_err(), "position {i}");
        }
    }

    /// Made by the first version, and never to be changed: databases out there hold values like these (UPG-2).
    #[test]
    fn what_the_first_version_sealed_opens_for_ever() {
        let row = |id: &str, wrapped: &str, active| KeyRow {
            id: id.into(),
            wrapped: wrapped.into(),
            active,
        };
        let rows = [
            row(
                "instance",
                "v1.master.gcmsiv.0vSXmKsN6yyK3lq-.CK51MC9W4wngKOSLgN5rdDk90yBC4fN5JZ6lb21BYXn9FvFLuWZZQru_P-J2UjxK",
                false,
            ),
            row(
                "befba86a",
                "v1.master.gcmsiv.tcdHBdh83heHasUV.ajglHYSPJGsxF3-CaeHaON9qZZX8iZOdrji4M2uRYDUGYIbvrB-YKZJfAVVQKnv8",
                true,
            ),
        ];
        let master = MasterKey::from_base64("Z29sZGVuLWtleS1nb2xkZW4ta2V5LWdvbGRlbi1rZXk=", "here").unwrap();
        assert_eq!(master.check_value(), "b0ed183a59730fac9b7fbb9fdfd625c2");
        let vault = Vault::new(Keyring::open(&master, &rows).unwrap(), Arc::new(SeededRandom::new(1)));
        let sealed = Sealed("v1.befba86a.gcmsiv.zyY-UXdvt18p-ChI.qtAm7-RuM2Xh-huojOQxdpDeZCusbM6Shva9rI0".into());
        assert_eq!(vault.open(&PLACE, &sealed).unwrap().as_str(), "canary-secret");
        assert_eq!(vault.hint("a-long-secret-value-wxyz"), "29c93282 wxyz");
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let random = SeededRandom::new(1);
        let (mine, other) = (MasterKey::generate(&random), MasterKey::generate(&random));
        let rows = Keyring::first_rows(&mine, &random);
        assert!(matches!(Keyring::open(&other, &rows), Err(MasterKeyError::Wrong)));
        assert_ne!(mine.check_value(), other.check_value());
    }

    #[test]
    fn a_hint_does_not_give_short_secrets_away() {
        let vault = vault(1);
        assert_eq!(vault.hint("short-one").len(), 8);
        assert!(vault.hint("a-long-secret-value-wxyz").ends_with(" wxyz"));
    }
}
