//! Data keys by id, each wrapped by the master key, one of them active; and the instance secret other keys are derived from.

use super::envelope::{self, Place};
use crate::model::Sealed;
use crate::random::{Random, hex};
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Row id of the instance secret among the data keys.
const INSTANCE: &str = "instance";

/// The key that wraps the data keys: 32 bytes from a file or the environment.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why there is no usable master key (SEC-4).
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is not there.
    #[error("master key file {0} is missing")]
    Missing(String),
    /// Others may read it.
    #[error("master key file {0} can be read by others (mode {1:o})")]
    Exposed(String, u32),
    /// Not 32 bytes in base64.
    #[error("master key in {0} is not 32 bytes in base64")]
    Malformed(String),
    /// It is a key, but not the one this database was made with.
    #[error("this master key is not the one the database was made with")]
    Wrong,
    /// The right key, and yet a data key does not open.
    #[error("data key {0} in the database is damaged")]
    Damaged(String),
    /// The file could not be read or written.
    #[error("master key file {0}: {1}")]
    Io(String, std::io::Error),
}

impl MasterKey {
    /// A new random key.
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// Reads base64 of 32 bytes, padded or not, of either alphabet. `from` names the source in the error.
    pub fn from_base64(text: &str, from: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
            .into_iter()
            .find_map(|engine| engine.decode(text).ok().map(Zeroizing::new))
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok())
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .ok_or_else(|| MasterKeyError::Malformed(from.to_owned()))
    }

    /// Reads a key file; others must not be able to read it.
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let shown = path.display().to_string();
        let mut file = std::fs::File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => MasterKeyError::Missing(shown.clone()),
            _ => MasterKeyError::Io(shown.clone(), error),
        })?;
        let mode = file.metadata().map_err(|error| MasterKeyError::Io(shown.clone(), error))?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Exposed(shown, mode));
        }
        let mut text = Zeroizing::new(String::new());
        (&mut file)
            .take(4096)
            .read_to_string(&mut text)
            .map_err(|error| MasterKeyError::Io(shown.clone(), error))?;
        let key = Self::from_base64(&text, &shown)?;
        remove_other_name(path, &file);
        Ok(key)
    }

    /// Writes the key to a new file of mode 0600, synced; an existing file is never touched. It is there as a whole or not at all.
    pub fn write_new(&self, path: &Path) -> Result<(), MasterKeyError> {
        let io = |error| MasterKeyError::Io(path.display().to_string(), error);
        let made = made_at(path);
        // What a start that was killed left half-written.
        let _ = std::fs::remove_file(&made);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&made)
            .map_err(io)?;
        let text = Zeroizing::new(STANDARD.encode(self.0.as_slice()) + "\n");
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        // A link, not a new name: that would replace a file that is there.
        match std::fs::hard_link(&made, path) {
            // Whoever read the key meanwhile may have removed it.
            Ok(()) => match std::fs::remove_file(&made) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
                _ => {}
            },
            // Some file systems know no links.
            Err(_) if !path.exists() => std::fs::rename(&made, path).map_err(io)?,
            Err(error) => {
                let _ = std::fs::remove_file(&made);
                return Err(io(error));
            }
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(io)
    }

    /// A value the database keeps to tell a wrong key from damage; it gives nothing of the key away.
    pub fn check_value(&self) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()), b"mailgrant master key check");
        hex(&tag.as_ref()[..16])
    }

    fn wrap(&self, random: &dyn Random, id: &str, bytes: &[u8; 32]) -> String {
        envelope::seal("master", &envelope::key(&self.0), random, &place(id), bytes).0
    }

    fn unwrap(&self, row: &KeyRow) -> Option<Zeroizing<[u8; 32]>> {
        let sealed = Sealed(row.wrapped.clone());
        let parts = envelope::parse(&sealed).ok()?;
        let bytes = envelope::open_bytes(&envelope::key(&self.0), &place(&row.id), &parts).ok()?;
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(Zeroizing::new)
    }
}

/// Where a new key file is written before it gets its name.
fn made_at(path: &Path) -> PathBuf {
    path.with_extension("key.new")
}

/// Removes the name a key file was written under, where a start was killed before it did: else the key would be there twice, for ever.
fn remove_other_name(path: &Path, file: &std::fs::File) {
    let made = made_at(path);
    let is_same = |other: std::fs::Metadata| {
        let own = file.metadata().map(|own| (own.dev(), own.ino()));
        made != path && own.is_ok_and(|own| own == (other.dev(), other.ino()))
    };
    if std::fs::symlink_metadata(&made).is_ok_and(is_same) {
        let _ = std::fs::remove_file(&made);
    }
}

fn place(id: &str) -> Place<'_> {
    Place {
        table: "data_keys",
        column: "wrapped",
        row: id,
        version: 0,
        destination: "",
    }
}

/// A row of the table `data_keys`.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Id, part of every value sealed with it.
    pub id: String,
    /// The key, sealed by the master key.
    pub wrapped: String,
    /// New values are sealed with this one.
    pub active: bool,
}

/// The opened data keys.
pub struct Keyring {
    keys: HashMap<String, LessSafeKey>,
    active: String,
    instance: Zeroizing<[u8; 32]>,
}

impl Keyring {
    /// The rows of a new installation: the instance secret and a first, active data key.
    pub fn first_rows(master: &MasterKey, random: &dyn Random) -> Vec<KeyRow> {
        let fresh = || {
            let mut bytes = Zeroizing::new([0; 32]);
            random.fill(bytes.as_mut_slice());
            bytes
        };
        let id = random.id()[..8].to_owned();
        vec![
            KeyRow {
                id: INSTANCE.into(),
                wrapped: master.wrap(random, INSTANCE, &fresh()),
                active: false,
            },
            KeyRow {
                wrapped: master.wrap(random, &id, &fresh()),
                id,
                active: true,
            },
        ]
    }

    /// Opens all rows. None opens: the key is wrong; some do: the others are damaged.
    pub fn open(master: &MasterKey, rows: &[KeyRow]) -> Result<Self, MasterKeyError> {
        let mut keys = HashMap::new();
        let mut active = None;
        let mut instance = None;
        let mut damaged = None;
        for row in rows {
            match master.unwrap(row) {
                Some(bytes) if row.id == INSTANCE => instance = Some(bytes),
                Some(bytes) => {
                    keys.insert(row.id.clone(), envelope::key(&bytes));
                    if row.active {
                        active = Some(row.id.clone());
                    }
                }
                None => damaged = Some(row.id.clone()),
            }
        }
        match (damaged, active, instance) {
            (Some(_), None, None) => Err(MasterKeyError::Wrong),
            (Some(id), _, _) => Err(MasterKeyError::Damaged(id)),
            (None, Some(active), Some(instance)) => Ok(Self { keys, active, instance }),
            (None, _, _) => Err(MasterKeyError::Damaged("(none found)".into())),
        }
    }

    pub(super) fn active(&self) -> (&str, &LessSafeKey) {
        (&self.active, &self.keys[&self.active])
    }

    pub(super) fn key(&self, id: &str) -> Option<&LessSafeKey> {
        self.keys.get(id)
    }

    pub(super) fn instance_secret(&self) -> &[u8] {
        self.instance.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_start_that_was_killed_leaves_no_second_copy_of_the_key() {
        let directory = tempfile::TempDir::new().unwrap();
        let (path, made) = (directory.path().join("master.key"), directory.path().join("master.key.new"));
        let key = MasterKey::generate(&SeededRandom::new(1));
        key.write_new(&path).unwrap();
        assert!(!made.exists());
        // Killed between the link and the end of the first name.
        std::fs::hard_link(&path, &made).unwrap();
        assert_eq!(MasterKey::from_file(&path).unwrap().check_value(), key.check_value());
        assert!(!made.exists() && path.exists());
        // Another file is somebody else's.
        std::fs::write(&made, "other").unwrap();
        MasterKey::from_file(&path).unwrap();
        assert!(made.exists());
    }
}
