//! A certificate with its key, as OpenSSL writes them. It is good for a hundred years, and for tests only.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Both parts in PEM.
pub const FILE: &str = include_str!("../data/certificates/pkcs8.pem");
/// The public half, DER.
pub const DER: &[u8] = include_bytes!("../data/certificates/cert.cer");
/// Its SHA-1 as `openssl x509 -fingerprint` shows it, without the colons.
pub const SHA1: &str = "0B7DB5492367815DCEF6A6090F2196ECF3832F2A";
/// Its SHA-256.
pub const SHA256_HEX: &str = "1E0E3A608DF879466E702470F926176C8EC73AC0D635BA581AEB55BB33DCF110";

/// `x5t#S256` of it.
pub fn thumbprint() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, DER))
}
