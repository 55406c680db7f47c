//! Signing in over IMAP: with tokens and passwords, and without giving either away.

use super::super::imap_server::{Imapd, PASSWORD, TOKEN};
use super::super::{Lab, imap_target, with_password, with_token};
use super::{PASSED, incoming};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::Stage;

#[tokio::test]
async fn a_refused_token_keeps_the_servers_reason() {
    for (capabilities, mechanism) in [("IMAP4rev1 AUTH=XOAUTH2", "XOAUTH2"), ("IMAP4rev1 AUTH=OAUTHBEARER", "OAUTHBEARER")] {
        let lab = Lab::new();
        let imapd = Imapd {
            capabilities: capabilities.to_owned(),
            ..Imapd::default()
        };
        let server = imapd.start(lab.identity()).await;
        let mut target = imap_target(&server, Security::Tls);
        target.login = with_token("some-other-token-that-is-long-enough-to-be-masked");
        let run = lab.read(&target).await;
        assert_eq!(
            run.failed(),
            (
                Stage::Auth,
                "NO [AUTHENTICATIONFAILED] Authentication failed.",
                "imap-authenticationfailed-generic".to_owned()
            )
        );
        let evidence = &run.failure.as_ref().unwrap().evidence;
        assert!(
            evidence.ends_with("\n{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}"),
            "{evidence}"
        );
        assert_eq!(run.line(), "dns tcp tls greeting capability auth! select- unread- newest- junk-");
        assert!(!run.everything().contains("some-other-token"));
        assert!(server.heard().join("\n").contains(mechanism));
    }
}

#[tokio::test]
async fn a_token_is_never_sent_as_a_password() {
    let lab = Lab::new();
    let imapd = Imapd {
        capabilities: "IMAP4rev1 AUTH=PLAIN".to_owned(),
        ..Imapd::default()
    };
    let server = imapd.start(lab.identity()).await;
    let run = lab.incoming(&server, Security::Tls).await;
    assert_eq!(run.failed().1, "AUTH=XOAUTH2 not offered; it offers: PLAIN LOGIN");
    assert_eq!(server.heard().len(), 1, "{:?}", server.heard());
}

#[tokio::test]
async fn passwords_go_by_plain_or_by_login_and_not_where_that_is_forbidden() {
    for (capabilities, command) in [
        ("IMAP4rev1 AUTH=PLAIN", "AUTHENTICATE PLAIN"),
        ("IMAP4rev1", "LOGIN \"support@contoso.test\""),
    ] {
        let lab = Lab::new();
        let imapd = Imapd {
            capabilities: capabilities.to_owned(),
            ..Imapd::default()
        };
        let server = imapd.start(lab.identity()).await;
        let mut target = imap_target(&server, Security::Tls);
        target.login = with_password(PASSWORD);
        let run = lab.read(&target).await;
        assert_eq!(run.line(), PASSED, "{:?}", run.failure);
        assert!(server.heard().join("\n").contains(command));
        let everything = run.everything();
        assert!(!everything.contains(&STANDARD.encode(PASSWORD)[..12]), "{everything}");
    }
    let lab = Lab::new();
    let imapd = Imapd {
        capabilities: "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2".to_owned(),
        ..Imapd::default()
    };
    let server = imapd.start(lab.identity()).await;
    let mut target = imap_target(&server, Security::Tls);
    target.login = with_password(PASSWORD);
    let run = lab.read(&target).await;
    assert_eq!(run.cause(), "console-mechanism-not-offered");
    assert!(!server.heard().join("\n").contains("LOGIN"));
}

#[tokio::test]
async fn long_tokens_arrive_whole() {
    let token = "x".repeat(4000);
    let lab = Lab::new();
    let imapd = Imapd {
        verdict: Some("{t} OK signed in".to_owned()),
        capabilities: "IMAP4rev1 AUTH=XOAUTH2".to_owned(),
        ..Imapd::default()
    };
    let server = imapd.start(lab.identity()).await;
    let mut target = imap_target(&server, Security::Tls);
    target.login = with_token(&token);
    let run = lab.read(&target).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    let message = STANDARD.encode(format!("user=support@contoso.test\x01auth=Bearer {token}\x01\x01"));
    assert!(server.heard().contains(&message));
}

#[tokio::test]
async fn a_server_that_quotes_our_sign_in_gives_no_secret_away() {
    let sasl = STANDARD.encode(format!(
        "n,a=support@contoso.test,\x01host=127.0.0.1\x01auth=Bearer {TOKEN}\x01\x01"
    ));
    for verdict in [
        format!("* NO you said {sasl}\n{{t}} NO really: {TOKEN}"),
        format!("{{t}} BAD line too long: {}", &sasl[..90]),
    ] {
        let imapd = Imapd {
            verdict: Some(verdict),
            ..Imapd::default()
        };
        let (_, run) = incoming(imapd).await;
        assert_eq!(run.failed().0, Stage::Auth);
        let everything = run.everything();
        assert!(everything.contains("[hidden]"), "{everything}");
        for shift in 0..3 {
            let coded = STANDARD.encode([&vec![b'.'; shift], TOKEN.as_bytes()].concat());
            assert!(!everything.contains(&coded[4..28]), "{everything}");
        }
    }
}

#[tokio::test]
async fn chatter_before_the_question_does_not_confuse_the_sign_in() {
    let imapd = Imapd {
        before_question: "* OK [ALERT] maintenance tonight\n* CAPABILITY IMAP4rev1\n".to_owned(),
        ..Imapd::default()
    };
    let (_, run) = incoming(imapd).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
}
