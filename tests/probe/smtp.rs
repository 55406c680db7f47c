//! *Test outgoing* over SMTP, and whether the message arrives.

use super::imap_server::{Imapd, PASSWORD, TOKEN};
use super::smtp_server::Smtpd;
use super::{Lab, Run, imap_target, smtp_target, with_password, with_token};
use mailgrant::mail::Login;
use mailgrant::model::mailbox::{Protocol, Security};
use mailgrant::model::report::{Direction, Stage};
use mailgrant::probe;
use std::time::Duration;

const PASSED: &str = "dns tcp tls greeting ehlo auth mail_from rcpt_to data";

async fn outgoing(smtpd: Smtpd) -> Run {
    let lab = Lab::new();
    let server = smtpd.start(lab.identity()).await;
    lab.outgoing(&server, Security::Tls).await
}

#[tokio::test]
async fn a_message_is_sent_once_and_its_queue_id_kept() {
    let lab = Lab::new();
    let smtpd = Smtpd::default();
    let messages = smtpd.messages.clone();
    let server = smtpd.start(lab.identity()).await;
    let run = lab.outgoing(&server, Security::Tls).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    assert_eq!(run.step(Stage::Greeting).detail, "220-mail.test ESMTP");
    assert_eq!(
        run.step(Stage::Ehlo).detail,
        "signs in with LOGIN, PLAIN, XOAUTH2, OAUTHBEARER; messages up to 36 MB"
    );
    assert_eq!(run.step(Stage::Data).detail, "250 2.0.0 Ok: queued as 4Xb1Qk");
    assert_eq!(run.step(Stage::Data).facts["queue_id"], "4Xb1Qk");
    let messages = messages.lock().unwrap();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains("Subject: Test 7F3K from Mailgrant\n"), "{}", messages[0]);
    assert!(!messages[0].contains("archive@"), "a hidden copy is hidden");
    let heard = server.heard();
    assert!(heard.contains(&"RCPT TO:<archive@contoso.test>".to_owned()), "{heard:?}");
    assert!(heard.contains(&"EHLO mailgrant.test".to_owned()), "{heard:?}");
    run.everything();
}

#[tokio::test]
async fn starttls_leads_to_the_same_end_and_the_server_is_greeted_again() {
    let lab = Lab::new();
    let smtpd = Smtpd {
        starttls: lab.identity(),
        ..Smtpd::default()
    };
    let server = smtpd.start(None).await;
    let run = lab.outgoing(&server, Security::Starttls).await;
    assert_eq!(
        run.line(),
        "dns tcp greeting ehlo starttls tls auth mail_from rcpt_to data",
        "{:?}",
        run.failure
    );
    let hellos = server.heard().iter().filter(|line| line.starts_with("EHLO")).count();
    assert_eq!(hellos, 2);
}

#[tokio::test]
async fn nothing_secret_is_sent_where_starttls_is_missing_or_meddled_with() {
    let lab = Lab::new();
    let server = Smtpd::default().start(None).await;
    let run = lab.outgoing(&server, Security::Starttls).await;
    assert_eq!(
        (run.failed().0, run.cause().as_str()),
        (Stage::Starttls, "console-starttls-missing")
    );
    assert!(!server.heard().join("\n").contains("AUTH"));

    let smtpd = Smtpd {
        starttls: lab.identity(),
        injected: "\n250 AUTH LOGIN".to_owned(),
        ..Smtpd::default()
    };
    let server = smtpd.start(None).await;
    let run = lab.outgoing(&server, Security::Starttls).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Starttls, "console-protocol-error"));
}

#[tokio::test]
async fn a_refused_token_keeps_the_document_and_the_535_behind_it() {
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        let lab = Lab::new();
        let smtpd = Smtpd {
            mechanisms: mechanism.to_owned(),
            ..Smtpd::default()
        };
        let server = smtpd.start(lab.identity()).await;
        let mut target = smtp_target(&server, Security::Tls);
        target.login = with_token("another-token-that-nobody-likes-0123456789");
        let run = lab.send(&target).await;
        assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Auth, "smtp-gmail-bad-credentials"));
        let evidence = &run.failure.as_ref().unwrap().evidence;
        assert!(evidence.starts_with("535-5.7.8 Username and Password not accepted."), "{evidence}");
        assert!(evidence.contains("go to 535 5.7.8 "), "lines are joined: {evidence}");
        assert!(evidence.ends_with("\"scope\":\"https://mail.google.com/\"}"), "{evidence}");
    }
}

#[tokio::test]
async fn causes_are_named_by_what_the_server_said() {
    let verdict = |text: &str| Smtpd {
        verdict: Some(text.to_owned()),
        ..Smtpd::default()
    };
    let taken = |text: &str| Smtpd {
        taken: text.to_owned(),
        ..Smtpd::default()
    };
    let cases = [
        (
            verdict("535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]"),
            Stage::Auth,
            "smtp-exchange-auth-unsuccessful",
        ),
        (
            verdict("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit x"),
            Stage::Auth,
            "smtp-exchange-auth-disabled-tenant",
        ),
        (
            verdict("454 4.7.0 Temporary authentication failure. Please try again later."),
            Stage::Auth,
            "smtp-exchange-temp-auth-failure",
        ),
        (
            Smtpd::default().on("AUTH", "504 5.7.4 Unrecognized authentication type [x]"),
            Stage::Auth,
            "smtp-exchange-unrecognized-auth",
        ),
        (
            Smtpd::default().on("MAIL", "530 5.7.57 Client not authenticated to send mail. [x]"),
            Stage::MailFrom,
            "smtp-exchange-not-authenticated",
        ),
        (
            Smtpd::default().on("RCPT", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
            Stage::RcptTo,
            "smtp-relay-denied",
        ),
        (
            taken("554 5.2.252 SendAsDenied; a not allowed to send as b"),
            Stage::Data,
            "smtp-exchange-sendas-denied",
        ),
        (
            Smtpd::default().on("DATA", "432 4.3.2 Concurrent connections limit exceeded. Visit x"),
            Stage::Data,
            "smtp-exchange-concurrent-connections",
        ),
        (Smtpd::default().on("DATA", "close"), Stage::Data, "network-closed-early"),
        (
            Smtpd {
                mechanisms: String::new(),
                ..Smtpd::default()
            },
            Stage::Auth,
            "console-mechanism-not-offered",
        ),
        (
            Smtpd {
                greeting: "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade".to_owned(),
                ..Smtpd::default()
            },
            Stage::Greeting,
            "smtp-exchange-tls-version",
        ),
    ];
    for (smtpd, stage, cause) in cases {
        let run = outgoing(smtpd).await;
        let (failed, detail, id) = run.failed();
        assert_eq!((failed, id.as_str()), (stage, cause), "{detail}");
    }
}

#[tokio::test]
async fn a_message_whose_fate_is_unknown_is_said_to_be_and_not_sent_again() {
    for taken in ["close", "wait"] {
        let mut lab = Lab::new();
        lab.allowance = Duration::from_secs(2);
        let smtpd = Smtpd {
            taken: taken.to_owned(),
            ..Smtpd::default()
        };
        let messages = smtpd.messages.clone();
        let server = smtpd.start(lab.identity()).await;
        let run = lab.outgoing(&server, Security::Tls).await;
        assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Data, "console-send-unknown"));
        assert_eq!((messages.lock().unwrap().len(), server.connections()), (1, 1));
    }
}

#[tokio::test]
async fn a_test_that_is_stopped_after_the_message_was_handed_over_does_not_know_its_fate() {
    let lab = Lab::new();
    let smtpd = Smtpd {
        taken: "wait".to_owned(),
        ..Smtpd::default()
    };
    let messages = smtpd.messages.clone();
    let server = smtpd.start(lab.identity()).await;
    let target = smtp_target(&server, Security::Tls);
    let planned = probe::planned(super::plan(Direction::Outgoing, Protocol::Smtp, Security::Tls));
    let (mut steps, _watcher) = lab.steps(Direction::Outgoing, planned);
    tokio::select! {
        _ = probe::smtp(&lab.connector, &target, &mut steps) => panic!("nobody answered"),
        () = async { while messages.lock().unwrap().is_empty() { tokio::time::sleep(Duration::from_millis(10)).await } } => {}
    }
    let (report, failure) = steps.finish();
    assert_eq!(failure.unwrap().own_id, Some("console-send-unknown"));
    assert_eq!(report.failed_step().unwrap().step, Stage::Data);
}

#[tokio::test]
async fn signing_in_alone_sends_nothing_and_some_servers_want_no_sign_in() {
    let lab = Lab::new();
    let smtpd = Smtpd::default();
    let messages = smtpd.messages.clone();
    let server = smtpd.start(lab.identity()).await;
    let mut target = smtp_target(&server, Security::Tls);
    target.login_only = true;
    let run = lab.send(&target).await;
    assert_eq!(run.line(), "dns tcp tls greeting ehlo auth", "{:?}", run.failure);
    assert!(messages.lock().unwrap().is_empty());

    let relay = Smtpd {
        mechanisms: String::new(),
        ..Smtpd::default()
    };
    let server = relay.start(lab.identity()).await;
    let mut target = smtp_target(&server, Security::Tls);
    target.login = Login::None;
    let run = lab.send(&target).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
}

#[tokio::test]
async fn passwords_go_by_plain_or_by_login() {
    for mechanisms in ["LOGIN", "PLAIN LOGIN"] {
        let lab = Lab::new();
        let smtpd = Smtpd {
            mechanisms: mechanisms.to_owned(),
            ..Smtpd::default()
        };
        let server = smtpd.start(lab.identity()).await;
        let mut target = smtp_target(&server, Security::Tls);
        target.login = with_password(PASSWORD);
        let run = lab.send(&target).await;
        assert_eq!(run.line(), PASSED, "{:?}", run.failure);
        run.everything();
    }
}

#[tokio::test]
async fn a_server_that_quotes_our_sign_in_gives_no_secret_away() {
    let smtpd = Smtpd {
        verdict: Some(format!("501-5.5.4 you sent {TOKEN}\n501 5.5.4 did you?")),
        ..Smtpd::default()
    };
    let run = outgoing(smtpd).await;
    assert_eq!(run.failed().1, "501-5.5.4 you sent [hidden] 501 5.5.4 did you?");
    run.everything();
}

#[tokio::test]
async fn control_characters_never_reach_the_server() {
    let lab = Lab::new();
    let server = Smtpd::default().start(lab.identity()).await;
    let mut target = smtp_target(&server, Security::Tls);
    target.subject = "x\r\nBcc: victim@x.test".to_owned();
    let run = lab.send(&target).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::MailFrom, "console-unsendable"));
    target.hello_name = "x\r\nRSET".to_owned();
    let run = lab.send(&target).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Ehlo, "console-unsendable"));
    assert!(!server.heard().join("\n").contains("victim"));
}

/// Sends nothing and looks for the message at the incoming side.
async fn look(imapd: Imapd, wait: Duration) -> Run {
    let lab = Lab::new();
    let server = imapd.start(lab.identity()).await;
    let target = imap_target(&server, Security::Tls);
    let (mut steps, _watcher) = lab.steps(Direction::Outgoing, vec![Stage::Arrived]);
    let _ = probe::arrived(&lab.connector, &target, "<7f3k@mailgrant.test>", wait, &mut steps).await;
    let (report, failure) = steps.finish();
    Run {
        report,
        failure,
        found: None,
    }
}

#[tokio::test]
async fn a_message_is_found_in_the_inbox_with_what_the_receiver_thinks_of_it() {
    let header = "Authentication-Results: mx.test;\n spf=pass x; dkim=pass;\n dmarc=pass\n\n";
    let octets = header.replace('\n', "\r\n").len();
    let fetched =
        format!("* 3 FETCH (UID 103 BODY[HEADER.FIELDS (AUTHENTICATION-RESULTS RECEIVED-SPF)] {{{octets}}}\n{header})\n{{t}} OK done");
    let imapd = Imapd::default()
        .on(
            "UID SEARCH HEADER Message-ID \"<7f3k@mailgrant.test>\"",
            "* SEARCH 103\n{t} OK done",
        )
        .on("UID FETCH 103 (BODY.PEEK[HEADER.FIELDS", &fetched);
    let run = look(imapd, Duration::from_secs(5)).await;
    assert_eq!(run.line(), "arrived", "{:?}", run.failure);
    assert_eq!(
        run.step(Stage::Arrived).detail,
        "in the inbox after 0 s; SPF pass, DKIM pass, DMARC pass"
    );
    assert_eq!(run.step(Stage::Arrived).facts["dmarc"], "pass");
}

#[tokio::test]
async fn a_message_that_does_not_come_is_missed_after_the_wait() {
    let run = look(Imapd::default(), Duration::from_secs(1)).await;
    assert_eq!((run.line().as_str(), run.cause().as_str()), ("arrived!", "console-not-arrived"));
    let refused = Imapd {
        verdict: Some("{t} NO AUTHENTICATE failed.".to_owned()),
        ..Imapd::default()
    };
    let run = look(refused, Duration::from_secs(30)).await;
    assert_eq!(run.cause(), "imap-exchange-authenticate-failed");
}
