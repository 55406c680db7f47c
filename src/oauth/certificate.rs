//! Certificates with their private keys, for assertions: made here, or read from what people upload (PEM, PKCS#12). RSA keys of 2048 bits
//! or more; Microsoft takes no others.

mod cost;

use crate::clock::Timestamp;
use crate::model::Date;
use crate::model::credential::CertificateFacts;
use crate::random::{Random, hex};
use crate::secret::{Password, PrivateKey};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error as Pkcs12Error;
use pkcs8::pkcs5;
use pkcs8::pkcs5::pbes2::Kdf;
use rcgen::{CertificateParams, DnType, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// How large may a file be? Keys and chains are a few kilobytes (SEC-12).
pub const LONGEST: usize = 64 * 1024;
/// How long may the subject be that is kept?
const LONGEST_SUBJECT: usize = 200;
/// How much work may deriving a key from a passphrase be (PBKDF2), and how much memory and how many lanes may it take (scrypt)?
const MOST_ITERATIONS: u32 = 2_000_000;
const MOST_MEMORY: u64 = 64 * 1024 * 1024;
const MOST_LANES: u16 = 16;
/// How many certificates of a file are looked at?
const MOST_CERTIFICATES: usize = 20;

/// Why a file is no certificate that can be used. The texts are for whoever uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a file of this kind.
    #[error("This is no certificate file. Upload a PFX (.pfx, .p12), or a PEM with certificate and private key")]
    Form,
    /// Too large.
    #[error("File is larger than 64 KiB. A certificate with its key is a few KiB")]
    TooLarge,
    /// The public half alone.
    #[error("Certificate has no private key. Upload the PFX, or the PEM with both parts")]
    NoKey,
    /// The private half alone.
    #[error("This file has a private key and no certificate. Upload the PFX, or the PEM with both parts")]
    NoCertificate,
    /// Two halves of different things.
    #[error("Certificate and private key don't belong together")]
    Mismatch,
    /// A wrong or missing passphrase.
    #[error("Passphrase doesn't open this file")]
    Passphrase,
    /// A PEM whose key is encrypted, and no passphrase.
    #[error("The private key in this file is encrypted. Enter its passphrase")]
    PassphraseMissing,
    /// A PEM whose key is encrypted in a way that is not opened here.
    #[error(
        "The private key in this PEM is encrypted in an old way that isn't opened here. Convert the file and upload the result: openssl pkcs12 -export -in FILE.pem -out FILE.pfx"
    )]
    EncryptedPem,
    /// Opening it would take minutes, or a lot of memory.
    #[error("Opening this file takes more work than is done here. Export it again with the usual settings, or upload a PEM")]
    Costly,
    /// Not RSA.
    #[error("RSA keys only. This certificate has another kind of key (EC or Ed25519), which Microsoft refuses")]
    NotRsa,
    /// Too short.
    #[error("RSA keys of 2048 bits or more only. This one has {0}")]
    Short(usize),
    /// Over.
    #[error("Certificate ended on {0}")]
    Ended(String),
}

/// A certificate with its private key.
#[derive(Debug, Clone)]
pub struct KeyedCertificate {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: PrivateKey,
    /// What it says about itself.
    pub facts: CertificateFacts,
}

impl KeyedCertificate {
    /// Makes a key of 2048 bits and a certificate for it that it signs itself. Slow: for a blocking thread. (The library takes the
    /// randomness for the key from the operating system itself.)
    pub fn make(name: &str, lasts: i64, now: Timestamp, random: &dyn Random) -> Result<Self, CertificateError> {
        let broken = |_| CertificateError::Form;
        let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(broken)?;
        let at = |moment: Timestamp| time::OffsetDateTime::from_unix_timestamp(moment.0).map_err(|_| CertificateError::Form);
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Mailgrant {name}"));
        let mut serial = [0; 16];
        random.fill(&mut serial);
        serial[0] &= 0x7f;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        // An hour ago: the provider's clock may be behind ours.
        params.not_before = at(now.plus(-3600))?;
        params.not_after = at(now.plus(lasts))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).map_err(broken)?;
        Self::join(vec![certificate.der().to_vec()], &PrivateKey::new(key.serialize_pem()), now)
    }

    /// Reads an uploaded file: PEM with both parts, or PKCS#12 with its passphrase. Deriving a key from a passphrase is slow: for a
    /// blocking thread.
    pub fn read(file: &[u8], passphrase: &Password, now: Timestamp) -> Result<Self, CertificateError> {
        if file.len() > LONGEST {
            return Err(CertificateError::TooLarge);
        }
        if file.windows(11).any(|window| window == b"-----BEGIN ") {
            Self::read_pem_with(file, passphrase, now)
        } else {
            Self::read_pkcs12(file, passphrase, now)
        }
    }

    /// Reads a PEM with certificate and private key in clear.
    pub fn read_pem(pem: &[u8], now: Timestamp) -> Result<Self, CertificateError> {
        Self::read_pem_with(pem, &Password::new(""), now)
    }

    /// Reads a PEM with certificate and private key, which this passphrase opens if it is encrypted (PKCS#8, RFC 5958, 3).
    fn read_pem_with(pem: &[u8], passphrase: &Password, now: Timestamp) -> Result<Self, CertificateError> {
        let has = |label: &[u8]| pem.windows(label.len()).any(|window| window == label);
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem)
            .take(MOST_CERTIFICATES)
            .map(|found| found.map(|der| der.to_vec()))
            .collect::<Result<_, _>>()
            .map_err(|_| CertificateError::Form)?;
        if has(b"Proc-Type: 4,ENCRYPTED") {
            return Err(CertificateError::EncryptedPem);
        }
        if let Some(der) = encrypted_key(pem) {
            let first = certificates.first().ok_or(CertificateError::NoCertificate)?;
            let key = pkcs8_pem(&decrypt(&der, passphrase)?, first)?;
            return Self::join(certificates, &key, now);
        }
        let key = match PrivateKeyDer::from_pem_slice(pem) {
            Ok(PrivateKeyDer::Sec1(_)) => return Err(CertificateError::NotRsa),
            Ok(key) => key,
            Err(_) if certificates.is_empty() => return Err(CertificateError::Form),
            Err(_) => return Err(CertificateError::NoKey),
        };
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = pkcs8_pem(key.secret_der(), &certificates[0])?;
        Self::join(certificates, &key, now)
    }

    fn read_pkcs12(file: &[u8], passphrase: &Password, now: Timestamp) -> Result<Self, CertificateError> {
        // The outermost is a SEQUENCE; anything else isn't worth a passphrase.
        if file.first() != Some(&0x30) {
            return Err(CertificateError::Form);
        }
        if X509Certificate::from_der(file).is_ok() {
            return Err(CertificateError::NoKey);
        }
        if !cost::is_bearable(file) {
            return Err(CertificateError::Costly);
        }
        let archive = Pkcs12Archive::from_pkcs12(file, passphrase.expose_secret()).map_err(|error| match error {
            Pkcs12Error::MacError(_) | Pkcs12Error::UnpadError | Pkcs12Error::Pkcs5Error(_) => CertificateError::Passphrase,
            _ => CertificateError::Form,
        })?;
        let certificates: Vec<Vec<u8>> = archive
            .certs
            .iter()
            .take(MOST_CERTIFICATES)
            .map(|found| found.cert.as_der().to_vec())
            .collect();
        let (key, first) = match (archive.keys.first(), certificates.first()) {
            (Some(key), Some(first)) => (key, first),
            (Some(_), None) => return Err(CertificateError::NoCertificate),
            (None, Some(_)) => return Err(CertificateError::NoKey),
            (None, None) => return Err(CertificateError::Form),
        };
        let key = pkcs8_pem(key.key.as_der(), first)?;
        Self::join(certificates, &key, now)
    }

    /// The one of these certificates that belongs to this key.
    fn join(certificates: Vec<Vec<u8>>, key: &PrivateKey, now: Timestamp) -> Result<Self, CertificateError> {
        let pair = open(key).ok_or(CertificateError::NotRsa)?;
        let own = certificates.into_iter().find(|der| {
            X509Certificate::from_der(der)
                .is_ok_and(|(_, parsed)| *parsed.public_key().subject_public_key.data == *pair.public_key().as_ref())
        });
        let certificate = own.ok_or(CertificateError::Mismatch)?;
        let facts = facts(&certificate).ok_or(CertificateError::Form)?;
        if facts.ends <= now {
            let date = facts.end_date().map(long_date).unwrap_or_default();
            return Err(CertificateError::Ended(date));
        }
        Ok(Self {
            certificate,
            key: key.clone(),
            facts,
        })
    }

    /// Both parts in PEM, as [`Self::read_pem`] takes them.
    pub fn pem(&self) -> PrivateKey {
        PrivateKey::new(format!("{}{}", pem(&self.certificate), self.key.expose_secret()))
    }
}

/// The encrypted private key of a PEM, DER; none where it has none.
fn encrypted_key(pem: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let (_, rest) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    STANDARD.decode(body).ok()
}

/// Opens an encrypted private key; what it is encrypted with says how long that takes, so that has limits.
fn decrypt(der: &[u8], passphrase: &Password) -> Result<zeroize::Zeroizing<Vec<u8>>, CertificateError> {
    let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| CertificateError::EncryptedPem)?;
    let parameters = info.encryption_algorithm.pbes2().ok_or(CertificateError::EncryptedPem)?;
    let bearable = match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MOST_ITERATIONS,
        Kdf::Scrypt(scrypt) => {
            // Its own table and that of its lanes. A cost that is no power of two above one is none (RFC 7914, section 2).
            let blocks = scrypt.cost_parameter.saturating_add(u64::from(scrypt.parallelization));
            let memory = blocks.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
            let is_cost = scrypt.cost_parameter > 1 && scrypt.cost_parameter.is_power_of_two();
            is_cost && memory <= MOST_MEMORY && (1..=MOST_LANES).contains(&scrypt.parallelization)
        }
        _ => false,
    };
    if !bearable {
        return Err(CertificateError::Costly);
    }
    if passphrase.expose_secret().is_empty() {
        return Err(CertificateError::PassphraseMissing);
    }
    match info.decrypt(passphrase.expose_secret().as_bytes()) {
        Ok(document) => Ok(zeroize::Zeroizing::new(document.as_bytes().to_vec())),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. })) => Err(CertificateError::EncryptedPem),
        Err(_) => Err(CertificateError::Passphrase),
    }
}

/// The private key as PKCS#8 in PEM, or why it won't do; `certificate` tells what kind of key it is.
fn pkcs8_pem(der: &[u8], certificate: &[u8]) -> Result<PrivateKey, CertificateError> {
    let refused = || match X509Certificate::from_der(certificate).map(|(_, parsed)| {
        parsed.public_key().parsed().map(|key| match key {
            PublicKey::RSA(key) => Some(key.key_size()),
            _ => None,
        })
    }) {
        Ok(Ok(Some(bits))) if bits < 2048 => CertificateError::Short(bits),
        Ok(Ok(Some(_))) => CertificateError::Form,
        Ok(_) => CertificateError::NotRsa,
        Err(_) => CertificateError::Form,
    };
    let pair = RsaKeyPair::from_pkcs8(der)
        .or_else(|_| RsaKeyPair::from_der(der))
        .map_err(|_| refused())?;
    let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| CertificateError::Form)?;
    Ok(PrivateKey::new(armor("PRIVATE KEY", der.as_ref())))
}

fn open(key: &PrivateKey) -> Option<RsaKeyPair> {
    RsaKeyPair::from_pkcs8(&pkcs8(key)?).ok()
}

/// A stored private key, DER.
pub(super) fn pkcs8(key: &PrivateKey) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let der = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).ok()?;
    Some(zeroize::Zeroizing::new(der.secret_der().to_vec()))
}

/// What a certificate says about itself.
pub fn facts(der: &[u8]) -> Option<CertificateFacts> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let upper = |algorithm| hex(digest::digest(algorithm, der).as_ref()).to_uppercase();
    Some(CertificateFacts {
        subject: parsed
            .subject()
            .to_string()
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_SUBJECT)
            .collect(),
        sha1: upper(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        sha256: upper(&digest::SHA256),
        key_id: URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, parsed.public_key().raw)),
        ends: Timestamp(parsed.validity().not_after.timestamp()),
    })
}

/// A certificate in PEM: the public half.
pub fn pem(der: &[u8]) -> String {
    armor("CERTIFICATE", der)
}

/// The public key as a JWK Set (RFC 7517), as servers take it that know a client's keys by id.
pub fn jwks(der: &[u8], alg: &str) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let PublicKey::RSA(key) = parsed.public_key().parsed().ok()? else {
        return None;
    };
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        URL_SAFE_NO_PAD.encode(&bytes[start..])
    };
    let key = serde_json::json!({"keys": [{
        "kty": "RSA", "use": "sig", "alg": alg, "kid": facts(der)?.key_id, "n": number(key.modulus), "e": number(key.exponent),
        "x5c": [STANDARD.encode(der)],
    }]});
    serde_json::to_string_pretty(&key).ok()
}

fn armor(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// `3 May 2025`.
fn long_date(date: Date) -> String {
    let month = date.0.month().to_string();
    format!("{} {month} {}", date.0.day(), date.0.year())
}
