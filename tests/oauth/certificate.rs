//! Certificates: read from the files people have, made here, and the assertions signed with them, verified by another implementation.

use super::server::{Server, answer};
use super::{NOW, http, provider};
use crate::support::certificates::{DER, FILE, SHA1, SHA256_HEX, thumbprint};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mailgrant::clock::{Clock, MockClock, Timestamp};
use mailgrant::model::provider::AssertionAlg;
use mailgrant::oauth::certificate::{self, CertificateError, KeyedCertificate};
use mailgrant::oauth::{Client, Credential, Fallback, Signer, refresh};
use mailgrant::random::SeededRandom;
use mailgrant::secret::{ClientSecret, Password, RefreshToken};
use serde_json::{Value, json};
use std::sync::Arc;

fn read(file: &[u8], passphrase: &str) -> Result<KeyedCertificate, CertificateError> {
    KeyedCertificate::read(file, &Password::new(passphrase), NOW)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn signer(certificate: &KeyedCertificate, alg: AssertionAlg) -> Signer {
    let clock: Arc<dyn Clock> = Arc::new(MockClock::at(NOW));
    Signer::new(
        &certificate.key,
        &certificate.certificate,
        alg,
        clock,
        Arc::new(SeededRandom::new(1)),
    )
    .unwrap()
}

#[test]
fn the_files_people_have_are_read() {
    for (name, passphrase) in [
        ("pkcs8.pem", ""),
        ("pkcs1.pem", ""),
        ("encrypted.pem", "opensesame"),
        ("modern.pfx", "opensesame"),
        ("legacy.pfx", "opensesame"),
    ] {
        let found = read(&file(name), passphrase).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.certificate, DER, "{name}");
        assert_eq!(
            (found.facts.sha1.as_str(), found.facts.sha256.as_str()),
            (SHA1, SHA256_HEX),
            "{name}"
        );
        assert_eq!(found.facts.subject, "CN=Mailgrant test, O=Contoso");
        // Out as PEM and in again: it is the same.
        let again = KeyedCertificate::read_pem(found.pem().expose_secret().as_bytes(), NOW).unwrap();
        assert_eq!(again.facts, found.facts);
    }
}

#[test]
fn each_mistake_with_a_file_is_told_apart() {
    for (name, passphrase, error) in [
        ("cert.pem", "", CertificateError::NoKey),
        ("cert.cer", "", CertificateError::NoKey),
        ("nokey.pfx", "opensesame", CertificateError::NoKey),
        ("modern.pfx", "wrong", CertificateError::Passphrase),
        ("modern.pfx", "", CertificateError::Passphrase),
        ("legacy.pfx", "wrong", CertificateError::Passphrase),
        ("encrypted.pem", "", CertificateError::PassphraseMissing),
        ("encrypted.pem", "open sesame", CertificateError::Passphrase),
        ("ec.pem", "", CertificateError::NotRsa),
        ("ec.pfx", "opensesame", CertificateError::NotRsa),
        ("weak.pem", "", CertificateError::Short(1024)),
        ("mismatch.pem", "", CertificateError::Mismatch),
    ] {
        assert_eq!(read(&file(name), passphrase).unwrap_err(), error, "{name}");
    }
    let key = FILE.split_once("-----END CERTIFICATE-----\n").unwrap().1;
    assert_eq!(read(key.as_bytes(), "").unwrap_err(), CertificateError::NoCertificate);
    assert_eq!(read(b"{}", "").unwrap_err(), CertificateError::Form);
    assert_eq!(read(b"", "").unwrap_err(), CertificateError::Form);
    assert_eq!(read(&[0x30, 0x82, 0xff], "x").unwrap_err(), CertificateError::Form);
    assert_eq!(read(&vec![b'-'; 64 * 1024 + 1], "").unwrap_err(), CertificateError::TooLarge);
    // Cut off anywhere, it is an error and nothing worse.
    for name in ["modern.pfx", "pkcs8.pem"] {
        let whole = file(name);
        for length in (0..whole.len() - 30).step_by(97) {
            assert!(read(&whole[..length], "opensesame").is_err(), "{name} {length}");
        }
    }
}

#[test]
fn one_made_here_is_an_rsa_key_for_so_long_and_ends() {
    let made = KeyedCertificate::make("contoso", 365 * 86_400, NOW, &SeededRandom::new(1)).unwrap();
    assert_eq!(made.facts.ends, NOW.plus(365 * 86_400));
    assert_eq!(made.facts.subject, "CN=Mailgrant contoso");
    assert_eq!(certificate::facts(&made.certificate), Some(made.facts.clone()));
    let later = NOW.plus(366 * 86_400);
    let over = KeyedCertificate::read_pem(made.pem().expose_secret().as_bytes(), later).unwrap_err();
    assert_eq!(over.to_string(), "Certificate ended on 21 November 2027");
    let public = certificate::pem(&made.certificate);
    assert!(public.contains("BEGIN CERTIFICATE") && !public.contains("PRIVATE"));
    assert!(!format!("{made:?}").contains("BEGIN"));
}

#[test]
fn another_implementation_verifies_the_assertion_by_the_public_half() {
    let keyed = read(FILE.as_bytes(), "").unwrap();
    let set: Value = serde_json::from_str(&certificate::jwks(&keyed.certificate, "PS256").unwrap()).unwrap();
    let jwk = &set["keys"][0];
    let key = DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap()).unwrap();
    for (alg, algorithm) in [(AssertionAlg::Ps256, Algorithm::PS256), (AssertionAlg::Rs256, Algorithm::RS256)] {
        let signer = signer(&keyed, alg).naming(keyed.facts.key_id.clone());
        let text = signer.sign("the-app", "https://login.example/token").unwrap();
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&["https://login.example/token"]);
        rules.set_issuer(&["the-app"]);
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        let read = jsonwebtoken::decode::<Value>(&text, &key, &rules).unwrap();
        let (header, claims) = (read.header, read.claims);
        assert_eq!(header.kid.as_deref(), jwk["kid"].as_str());
        match alg {
            AssertionAlg::Ps256 => assert_eq!((header.x5t_s256, header.x5t), (Some(thumbprint()), None)),
            AssertionAlg::Rs256 => assert!(header.x5t.is_some() && header.x5t_s256.is_none()),
        }
        assert_eq!(claims["sub"], "the-app");
        let at = |name: &str| claims[name].as_i64().unwrap();
        assert!(at("nbf") < NOW.0 && at("iat") == NOW.0, "{claims}");
        assert!((300..=600).contains(&(at("exp") - NOW.0)), "{claims}");
        let again = signer.sign("the-app", "https://login.example/token").unwrap();
        let again = jsonwebtoken::decode::<Value>(&again, &key, &rules).unwrap().claims;
        assert_ne!(again["jti"], claims["jti"], "a strict server takes each once");
    }
    assert!(!format!("{:?}", signer(&keyed, AssertionAlg::Ps256)).contains("key"));
}

#[tokio::test]
async fn the_assertion_goes_in_the_form_and_no_secret_with_it() {
    let server = Server::gives(json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60})).await;
    let provider = provider(&server.url);
    let keyed = read(FILE.as_bytes(), "").unwrap();
    let client = Client::with(&provider, Credential::Certificate(signer(&keyed, AssertionAlg::Ps256)));
    refresh::refresh(&http(), &client, &RefreshToken::new("canary-rt"), &[])
        .await
        .unwrap();
    let asked = server.asked().remove(0);
    assert_eq!(
        asked.field("client_assertion_type").as_deref(),
        Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
    );
    assert!(asked.field("client_assertion").unwrap().split('.').count() == 3);
    assert_eq!(asked.field("client_id").as_deref(), Some("mailgrant-app"));
    assert!(asked.field("client_secret").is_none() && asked.header("authorization").is_none());
}

#[tokio::test]
async fn a_refused_client_is_tried_once_with_the_credential_before_and_its_secrets_are_masked_too() {
    let server = Server::start(|asked| match asked.field("client_secret").as_deref() {
        Some("canary-old-secret") => answer(
            200,
            "application/json",
            json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60}).to_string(),
        ),
        _ => answer(
            401,
            "application/json",
            json!({"error": "invalid_client", "error_description": "not canary-new-secret but canary-dead-secret"}).to_string(),
        ),
    })
    .await;
    let provider = provider(&server.url);
    let token = RefreshToken::new("canary-rt");
    let with = |old: &str| {
        let mut client = Client::with(&provider, Credential::SecretPost(ClientSecret::new("canary-new-secret")));
        client.fallback = Some(Fallback::new(Credential::SecretPost(ClientSecret::new(old))));
        client
    };
    let client = with("canary-old-secret");
    assert!(refresh::refresh(&http(), &client, &token, &[]).await.is_ok());
    assert!(client.fell_back());
    assert!(refresh::refresh(&http(), &client, &token, &[]).await.is_ok());
    assert_eq!(server.asked().len(), 3, "the one that was refused is not tried again at once");
    let client = with("canary-dead-secret");
    let error = refresh::refresh(&http(), &client, &token, &[]).await.unwrap_err();
    assert!(!client.fell_back() && !error.evidence().contains("canary"), "{}", error.evidence());
}

#[test]
fn a_certificate_from_the_future_of_the_calendar_is_no_crash() {
    let far = KeyedCertificate::make("x", 500 * 365 * 86_400, NOW, &SeededRandom::new(1));
    assert!(far.is_ok_and(|made| made.facts.ends > Timestamp(10_000_000_000)));
}
