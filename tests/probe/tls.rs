//! Certificates: what is wrong with one is said in words, with dates and issuer, and nobody can go on regardless.

use super::imap_server::Imapd;
use super::server::{Authority, Identity};
use super::{Lab, imap_target};
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::Stage;

/// What the step says about a server with this certificate, and the cause the catalogue names.
async fn refused(lab: &Lab, identity: Identity) -> (String, String) {
    let server = Imapd::default().start(Some(identity)).await;
    let run = lab.incoming(&server, Security::Tls).await;
    let (stage, detail, cause) = run.failed();
    assert_eq!(stage, Stage::Tls);
    assert!(run.step(Stage::Tls).facts["not_after"].is_string());
    assert!(server.heard().is_empty());
    (detail.to_owned(), cause)
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let lab = Lab::new();
    let expired = lab.authority.identity(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    assert_eq!(
        refused(&lab, expired).await,
        (
            "the certificate ran out on 2021-01-01 (issued by Test authority, valid 2020-01-01 to 2021-01-01)".to_owned(),
            "tls-cert-expired".to_owned()
        )
    );
    let early = lab.authority.identity(|params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let (detail, cause) = refused(&lab, early).await;
    assert!(
        detail.starts_with("the certificate is valid from 2090-01-01 only (issued by Test authority"),
        "{detail}"
    );
    assert_eq!(cause, "tls-cert-not-yet-valid");

    let elsewhere = lab.authority.identity(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("mail.elsewhere.test".try_into().unwrap())];
    });
    let (detail, cause) = refused(&lab, elsewhere).await;
    assert!(
        detail.starts_with("the certificate is for mail.elsewhere.test, not for 127.0.0.1 (issued by"),
        "{detail}"
    );
    assert_eq!(cause, "tls-cert-hostname");

    let (detail, cause) = refused(&lab, Identity::self_signed()).await;
    assert!(
        detail.starts_with("the certificate is signed by itself (rcgen self signed cert, valid until"),
        "{detail}"
    );
    assert_eq!(cause, "tls-cert-unknown-issuer");

    let strangers = Authority::named("A stranger").identity(|_| {});
    let (detail, cause) = refused(&lab, strangers).await;
    assert!(
        detail.starts_with("the certificate's issuer is not trusted here (issued by A stranger"),
        "{detail}"
    );
    assert_eq!(cause, "tls-cert-unknown-issuer");

    let (detail, cause) = refused(&lab, lab.authority.as_server()).await;
    assert!(
        detail.starts_with("the certificate is one of an authority, used as if it were a server's"),
        "{detail}"
    );
    assert_eq!(cause, "tls-cert-self-signed-ca");
}

#[tokio::test]
async fn a_certificate_is_checked_after_starttls_too() {
    let lab = Lab::new();
    let imapd = Imapd {
        starttls: Some(Identity::self_signed()),
        ..Imapd::default()
    };
    let server = imapd.start(None).await;
    let run = lab.incoming(&server, Security::Starttls).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Tls, "tls-cert-unknown-issuer"));
    assert!(!server.heard().join("\n").contains("AUTHENTICATE"));
}

#[tokio::test]
async fn names_are_checked_as_people_wrote_them() {
    let lab = Lab::new();
    let server = Imapd::default().start(lab.identity()).await;
    let mut target = imap_target(&server, Security::Tls);
    target.endpoint.host = "localhost".to_owned();
    let run = lab.read(&target).await;
    assert!(run.failure.is_none(), "{:?}", run.failure);
}

#[test]
fn a_file_of_authorities_without_one_is_refused() {
    use mailgrant::gate::Gate;
    use mailgrant::mail::Connector;
    for bad in [
        "",
        "no PEM at all",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(Connector::new(Gate::new(vec![], vec![]), Some(bad.as_bytes())).is_err(), "{bad}");
    }
}
