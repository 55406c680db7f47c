//! The sealed form `v1.<data-key-id>.gcmsiv.<nonce>.<ciphertext>`, base64url without padding. Every version that was ever written is
//! read for ever (UPG-2).

use crate::model::Sealed;
use crate::random::Random;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Where a sealed value lives; it opens nowhere else (SEC-2).
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Table.
    pub table: &'a str,
    /// Column.
    pub column: &'a str,
    /// Row id.
    pub row: &'a str,
    /// Counts the values the place has held: an older one does not open.
    pub version: i64,
    /// Where the secret may be sent; empty if it is sent nowhere.
    pub destination: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let version = self.version.to_string();
        let mut data = Vec::new();
        for part in ["mailgrant", self.table, self.column, self.row, &version, self.destination] {
            // Lengths first, so that no two places have the same bytes.
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Not in the sealed form, or of a version this program does not know.
    #[error("the stored value is not sealed in a form this version knows")]
    Form,
    /// Its data key is gone.
    #[error("the stored value needs data key {0}, which is not here")]
    UnknownKey(String),
    /// Changed, moved, rolled back, or sealed for another destination.
    #[error("the stored value is damaged or does not belong here")]
    Damaged,
}

pub(super) struct Parts<'a> {
    pub key_id: &'a str,
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

pub(super) fn parse(sealed: &Sealed) -> Result<Parts<'_>, VaultError> {
    let mut fields = sealed.0.split('.');
    let (Some("v1"), Some(key_id), Some("gcmsiv"), Some(nonce), Some(text), None) = (
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
    ) else {
        return Err(VaultError::Form);
    };
    let nonce = URL_SAFE_NO_PAD
        .decode(nonce)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(VaultError::Form)?;
    let ciphertext = URL_SAFE_NO_PAD.decode(text).map_err(|_| VaultError::Form)?;
    Ok(Parts { key_id, nonce, ciphertext })
}

pub(super) fn key(bytes: &[u8; 32]) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "the length is in the type")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, bytes).expect("32 bytes make a key"))
}

pub(super) fn seal(key_id: &str, key: &LessSafeKey, random: &dyn Random, place: &Place<'_>, content: &[u8]) -> Sealed {
    let mut nonce = [0; 12];
    random.fill(&mut nonce);
    let mut buffer = content.to_vec();
    #[expect(clippy::expect_used, reason = "only lengths beyond 64 GiB fail")]
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.associated_data()), &mut buffer)
        .expect("secrets are short");
    Sealed(format!(
        "v1.{key_id}.gcmsiv.{}.{}",
        URL_SAFE_NO_PAD.encode(nonce),
        URL_SAFE_NO_PAD.encode(buffer)
    ))
}

pub(super) fn open_bytes(key: &LessSafeKey, place: &Place<'_>, parts: &Parts<'_>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut buffer = Zeroizing::new(parts.ciphertext.clone());
    let length = key
        .open_in_place(
            Nonce::assume_unique_for_key(parts.nonce),
            Aad::from(place.associated_data()),
            &mut buffer,
        )
        .map_err(|_| VaultError::Damaged)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

pub(super) fn open(key: &LessSafeKey, place: &Place<'_>, parts: &Parts<'_>) -> Result<Zeroizing<String>, VaultError> {
    let bytes = open_bytes(key, place, parts)?;
    std::str::from_utf8(&bytes)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| VaultError::Damaged)
}
