//! TLS towards mail servers: always verified, and whatever comes of it told in words: who the certificate is for, who signed it,
//! until when, and why it was not accepted.

use crate::clock::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Why no encryption came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct TlsError {
    /// For people.
    pub words: String,
    /// What the TLS library or the system said, for the catalogue.
    pub evidence: String,
    /// The server's certificate, if it showed one.
    pub certificate: Option<Certificate>,
}

/// Why the trusted certificate authorities can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file is not what it should be.
    #[error("the file with extra certificate authorities has no usable PEM certificate: {0}")]
    Extra(String),
    /// Nothing is trusted.
    #[error("no certificate authorities: {0}; install the package ca-certificates")]
    System(String),
}

/// A certificate as the report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who it is for.
    pub names: Vec<String>,
    /// Whether that is the server that was asked for.
    pub fits: bool,
    /// Whether it was accepted here.
    pub accepted: bool,
    /// Who signed it.
    pub issuer: String,
    /// Signed by itself.
    pub self_signed: bool,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Certificate {
    fn read(der: &CertificateDer<'_>, server: &ServerName<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let parsed = ParsedCertificate::try_from(der).ok();
        let text = |name: &x509_parser::x509::X509Name<'_>| {
            let part = name
                .iter_common_name()
                .chain(name.iter_organization())
                .find_map(|part| part.as_str().ok());
            printable(part.unwrap_or("unnamed"))
        };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let mut names: Vec<String> = alternatives
            .map(|names| names.value.general_names.iter().filter_map(general_name).take(20).collect())
            .unwrap_or_default();
        if names.is_empty() {
            names.push(text(certificate.subject()));
        }
        Some(Self {
            names,
            fits: parsed.is_some_and(|parsed| verify_server_name(&parsed, server).is_ok()),
            accepted: false,
            issuer: text(certificate.issuer()),
            self_signed: certificate.subject() == certificate.issuer(),
            not_before: Timestamp(certificate.validity().not_before.timestamp()),
            not_after: Timestamp(certificate.validity().not_after.timestamp()),
        })
    }

    /// The first names, and how many there are more.
    pub fn named(&self) -> String {
        let shown = self.names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        match self.names.len() {
            0..=3 => shown,
            more => format!("{shown} and {} more", more - 3),
        }
    }
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::Ipv4Addr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::Ipv6Addr::from(b).to_string()),
        },
        _ => None,
    }
}

fn printable(text: &str) -> String {
    text.chars().take(200).map(super::record::printable).collect()
}

/// A day, as people read it.
pub fn day(at: Timestamp) -> String {
    at.to_rfc3339().chars().take(10).collect()
}

/// What an encrypted connection is like.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// `TLS 1.3`.
    pub version: &'static str,
    /// The server's certificate.
    pub certificate: Option<Certificate>,
}

/// The certificate authorities we trust: the system's and the extra ones.
#[derive(Clone)]
pub struct Roots {
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Roots {
    /// Reads the system's authorities, and the extra ones from PEM.
    pub fn load(extra: Option<&[u8]>) -> Result<Self, RootsError> {
        let extra = match extra {
            Some(pem) => {
                let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
                let certificates = certificates.map_err(|error| RootsError::Extra(error.to_string()))?;
                if certificates.is_empty() {
                    return Err(RootsError::Extra("there is none".to_owned()));
                }
                certificates
            }
            None => Vec::new(),
        };
        for certificate in &extra {
            let usable = rustls::RootCertStore::empty().add(certificate.clone());
            usable.map_err(|error| RootsError::Extra(error.to_string()))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
            .map_err(|error| RootsError::System(error.to_string()))?;
        Ok(Self {
            verifier: Arc::new(verifier),
            provider,
        })
    }

    /// Settings for a client of another protocol that is to trust the same authorities.
    pub fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        Ok(ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier))
            .with_no_client_auth())
    }

    /// Encrypts a connection and checks who is at the other end.
    pub async fn encrypt(&self, tcp: TcpStream, host: &str) -> Result<(TlsStream<TcpStream>, Encryption), TlsError> {
        let witness = Arc::new(Witness {
            inner: Arc::clone(&self.verifier),
            shown: Mutex::new(None),
        });
        let failed = |error: &io::Error| explain(error, host, witness.certificate());
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&io::Error::other(error)))?;
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        // A resumed session shows no certificate, and every test is to see one.
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&io::Error::other(error)))?;
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
        let stream = stream.map_err(|error| failed(&error))?;
        let version = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let certificate = witness.certificate();
        Ok((stream, Encryption { version, certificate }))
    }
}

/// Asks the real verifier, and remembers what the server showed.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    shown: Mutex<Option<Certificate>>,
}

impl Witness {
    fn certificate(&self) -> Option<Certificate> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let shown = Certificate::read(end_entity, server_name).map(|certificate| Certificate {
            accepted: verified.is_ok(),
            ..certificate
        });
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What a failed handshake means.
fn explain(error: &io::Error, host: &str, certificate: Option<Certificate>) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (words, evidence) = match (inner, &certificate) {
        (Some(rustls::Error::InvalidCertificate(problem)), Some(certificate)) => {
            (certificate_words(problem, host, certificate), error.to_string())
        }
        (Some(rustls::Error::InvalidMessage(_)), _) => (
            "what answers does not speak TLS on this port".to_owned(),
            format!("{error} (first record does not look like a TLS handshake)"),
        ),
        (Some(_), _) => (format!("no common way of encryption: {error}"), error.to_string()),
        (None, _) if error.kind() == io::ErrorKind::UnexpectedEof => (
            "the server closed the connection instead of encrypting it".to_owned(),
            format!("unexpected end of file: {error}"),
        ),
        (None, _) => (format!("the connection broke: {error}"), error.to_string()),
    };
    TlsError {
        words,
        evidence,
        certificate,
    }
}

/// Why a certificate was not accepted: reason, dates, issuer.
fn certificate_words(problem: &CertificateError, host: &str, certificate: &Certificate) -> String {
    let issuer = &certificate.issuer;
    let (from, until) = (day(certificate.not_before), day(certificate.not_after));
    let reason = match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!("the certificate ran out on {until}"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate is valid from {from} only")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is for {}, not for {host}", certificate.named())
        }
        CertificateError::UnknownIssuer if certificate.self_signed => {
            return format!("the certificate is signed by itself ({issuer}, valid until {until}); nobody vouches for it");
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not trusted here".to_owned(),
        CertificateError::BadSignature => "the certificate was not signed by the issuer it names".to_owned(),
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the certificate is one of an authority, used as if it were a server's".to_owned()
        }
        other => format!("the certificate was not accepted ({other})"),
    };
    format!("{reason} (issued by {issuer}, valid {from} to {until})")
}
