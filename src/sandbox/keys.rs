//! Keys and certificates, made at the start: the key that signs tokens, a certificate authority for the mail servers and their
//! certificates, good ones and bad ones.

use super::fault::{Fault, Faults};
use crate::clock::Timestamp;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RsaKeyPair};
use aws_lc_rs::signature::{RsaParameters, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The names every mail server goes by.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The public half of a key pair that an app signs its assertions with.
#[derive(Debug, Clone)]
pub struct AppCertificate {
    /// SHA-1 of the certificate, base64url: `x5t`.
    pub sha1: String,
    /// SHA-256 of the certificate, base64url: `x5t#S256`.
    pub sha256: String,
    /// Google's name for the key: `kid`.
    pub key_id: String,
    /// The key, as RSAPublicKey.
    key: Vec<u8>,
    /// Until when the certificate is good.
    pub ends: Timestamp,
}

impl AppCertificate {
    /// From a certificate in DER.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            sha1: URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, der)),
            sha256: URL_SAFE_NO_PAD.encode(digest(&SHA256, der)),
            key_id: String::new(),
            key: certificate.public_key().subject_public_key.data.to_vec(),
            ends: Timestamp(certificate.validity().not_after.timestamp()),
        })
    }

    /// Whether the key signed `message`, by the algorithm of a JWT's header; none: not an algorithm that is taken.
    pub fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let parameters: &RsaParameters = match algorithm {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "PS256" => &RSA_PSS_2048_8192_SHA256,
            _ => return None,
        };
        let key = UnparsedPublicKey::new(parameters, &self.key);
        Some(key.verify(message, signature).is_ok())
    }
}

/// A service account's key: what its owner downloads, and what the provider keeps.
pub(super) fn service_account_key(key_id: &str) -> io::Result<(String, AppCertificate)> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("no RSA key"))?;
    let der = pair.as_der().map_err(|_| failed("no PKCS#8"))?;
    let lines: Vec<String> = STANDARD
        .encode(der.as_ref())
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let certificate = AppCertificate {
        sha1: String::new(),
        sha256: String::new(),
        key_id: key_id.to_owned(),
        key: pair.public_key().as_ref().to_vec(),
        ends: Timestamp(i64::MAX),
    };
    Ok((pem, certificate))
}

fn failed(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(why.to_string())
}

/// What was made at the start.
pub struct Keys {
    signing: RsaKeyPair,
    key_id: String,
    ca_pem: String,
    good: TlsAcceptor,
    expired: TlsAcceptor,
    misnamed: TlsAcceptor,
    stranger: TlsAcceptor,
}

impl Keys {
    /// Makes all of them.
    pub(super) fn make(now: Timestamp) -> io::Result<Self> {
        let now = OffsetDateTime::from_unix_timestamp(now.0).map_err(failed)?;
        let signing = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed("no RSA key"))?;
        let key_id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, signing.public_key().as_ref()).as_ref()[..12]);
        let (ca_pem, ca) = authority("Sandbox CA", now)?;
        let (_, other) = authority("Somebody's own CA", now)?;
        let (from, until) = (now - Duration::days(30), now + Duration::days(365));
        Ok(Self {
            signing,
            key_id,
            ca_pem,
            good: acceptor(&NAMES, from, until, &ca)?,
            expired: acceptor(&NAMES, from - Duration::days(365), now - Duration::days(1), &ca)?,
            misnamed: acceptor(&["mail.elsewhere.example"], from, until, &ca)?,
            stranger: acceptor(&NAMES, from, until, &other)?,
        })
    }

    /// The certificate authority, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// TLS with the certificate that is to be shown now.
    pub(super) fn acceptor(&self, faults: &Faults) -> TlsAcceptor {
        let chosen = if faults.hits(Fault::CertificateExpired) {
            &self.expired
        } else if faults.hits(Fault::CertificateWrongName) {
            &self.misnamed
        } else if faults.hits(Fault::CertificateUnknown) {
            &self.stranger
        } else {
            &self.good
        };
        chosen.clone()
    }

    /// A JWT, signed RS256.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let head = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.signing.public_modulus_len()];
        // Signing with a key of one's own making fails only without memory; the token is then worth nothing, as it should be.
        let _ = self
            .signing
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), head.as_bytes(), &mut signature);
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public half, as the JWKS of the discovery document.
    pub(super) fn jwks(&self) -> Value {
        let key = self.signing.public_key();
        let part = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id,
            "n": part(key.modulus().big_endian_without_leading_zero()),
            "e": part(key.exponent().big_endian_without_leading_zero()),
        }]})
    }
}

fn authority(name: &str, now: OffsetDateTime) -> io::Result<(String, Issuer<'static, KeyPair>)> {
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (now - Duration::days(3650), now + Duration::days(3650));
    let pem = params.self_signed(&key).map_err(failed)?.pem();
    Ok((pem, Issuer::new(params, key)))
}

fn acceptor(names: &[&str], from: OffsetDateTime, until: OffsetDateTime, issuer: &Issuer<'_, KeyPair>) -> io::Result<TlsAcceptor> {
    let key = KeyPair::generate().map_err(failed)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Sandbox mail server");
    (params.not_before, params.not_after) = (from, until);
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(failed)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
