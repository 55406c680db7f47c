//! *Test incoming* over IMAP.

mod moving;
mod sign_in;

use super::imap_server::{Imapd, TOKEN};
use super::{Lab, Run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::Stage;

const PASSED: &str = "dns tcp tls greeting capability auth select unread newest junk";

async fn incoming(imapd: Imapd) -> (Lab, Run) {
    let lab = Lab::new();
    let server = imapd.start(lab.identity()).await;
    let run = lab.incoming(&server, Security::Tls).await;
    (lab, run)
}

#[tokio::test]
async fn a_healthy_mailbox_is_read_and_nothing_in_it_is_changed() {
    let lab = Lab::new();
    let server = Imapd::default().start(lab.identity()).await;
    let run = lab.incoming(&server, Security::Tls).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    let facts = &run.report.facts;
    assert_eq!(
        (&facts["messages"], &facts["unread"], &facts["junk"], &facts["junk_unread"]),
        (&3.into(), &2.into(), &2.into(), &1.into())
    );
    assert!(
        run.step(Stage::Tls)
            .detail
            .starts_with("TLS 1.3, localhost, 127.0.0.1, issued by Test authority, valid until ")
    );
    assert_eq!(run.step(Stage::Auth).detail, "OAUTHBEARER as support@contoso.test");
    assert_eq!(run.step(Stage::Select).detail, "3 messages");
    assert_eq!(run.step(Stage::Newest).detail, "newest from 2026-11-21T08:00:03Z; 1 over 25 MB");
    assert_eq!(run.step(Stage::Junk).detail, "2 in Junk, 1 unread, 1 in the last 7 days");

    let found = run.found.as_ref().unwrap();
    assert_eq!(found.newest.len(), 3);
    assert_eq!(found.newest[0].subject, "Grüße");
    assert_eq!(found.newest[0].from, "Ann \"A\" Example <ann@contoso.test>");
    assert_eq!(found.newest[0].size, 30_000_000);
    assert_eq!(found.oversized, found.newest[..1]);
    // Who wrote what is not for everybody who may see a report.
    let everything = run.everything();
    assert!(
        !everything.contains("Grüße") && !everything.contains("ann@contoso.test"),
        "{everything}"
    );

    let heard = server.heard().join("\n");
    assert!(heard.contains("SINCE 14-Nov-2026"), "{heard}");
    for word in [
        "SELECT",
        "STORE",
        "BODY[",
        "RFC822 ",
        "RFC822.TEXT",
        "EXPUNGE",
        "COPY",
        "MOVE",
        "APPEND",
    ] {
        assert!(!heard.contains(word), "{word} in {heard}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn zero_is_a_result() {
    let imapd = Imapd::default()
        .on("EXAMINE \"INBOX\"", "* 0 EXISTS\n{t} OK done")
        .on("STATUS \"INBOX\"", "* STATUS INBOX (MESSAGES 0 UNSEEN 0)\n{t} OK done")
        .on("UID SEARCH LARGER", "* SEARCH\n{t} OK done");
    let (_, run) = incoming(imapd).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    assert_eq!(run.step(Stage::Unread).detail, "0, that's fine");
    assert_eq!(run.step(Stage::Newest).detail, "no messages, that's fine; none over 25 MB");
    assert_eq!(run.report.facts["unread"], 0);
}

#[tokio::test]
async fn starttls_leads_to_the_same_end_and_capabilities_are_asked_again() {
    let lab = Lab::new();
    let imapd = Imapd {
        starttls: lab.identity(),
        ..Imapd::default()
    };
    let server = imapd.start(None).await;
    let run = lab.incoming(&server, Security::Starttls).await;
    assert_eq!(
        run.line(),
        "dns tcp greeting capability starttls tls auth select unread newest junk",
        "{:?}",
        run.failure
    );
    let heard = server.heard();
    let place = |word: &str| heard.iter().position(|line| line.contains(word)).unwrap();
    assert!(place("STARTTLS") < place("AUTHENTICATE"));
    let asked_between = heard[place("STARTTLS")..place("AUTHENTICATE")]
        .iter()
        .any(|line| line.contains("CAPABILITY"));
    assert!(asked_between, "{heard:?}");
}

#[tokio::test]
async fn nothing_secret_is_sent_where_starttls_is_missing() {
    let lab = Lab::new();
    let server = Imapd::default().start(None).await;
    let run = lab.incoming(&server, Security::Starttls).await;
    assert_eq!(run.failed().0, Stage::Starttls);
    assert_eq!(run.cause(), "console-starttls-missing");
    assert!(!server.heard().join("\n").contains("AUTHENTICATE"));
}

#[tokio::test]
async fn a_server_that_claims_we_are_signed_in_can_not_talk_us_out_of_encryption() {
    let lab = Lab::new();
    let imapd = Imapd {
        greeting: "* PREAUTH welcome back".to_owned(),
        starttls: lab.identity(),
        ..Imapd::default()
    };
    let server = imapd.start(None).await;
    let run = lab.incoming(&server, Security::Starttls).await;
    assert_eq!(run.cause(), "console-starttls-missing");
    assert!(!server.heard().join("\n").contains("AUTHENTICATE"));
}

#[tokio::test]
async fn bytes_sent_in_clear_after_the_switch_end_the_connection() {
    let lab = Lab::new();
    let imapd = Imapd {
        starttls: lab.identity(),
        injected: "\n* CAPABILITY IMAP4rev1 AUTH=PLAIN".to_owned(),
        ..Imapd::default()
    };
    let server = imapd.start(None).await;
    let run = lab.incoming(&server, Security::Starttls).await;
    assert_eq!(run.failed().0, Stage::Starttls);
    assert_eq!(run.cause(), "console-protocol-error");
}

#[tokio::test]
async fn a_junk_folder_is_found_by_its_mark_or_by_its_name() {
    let unmarked = "* LIST () \"/\" INBOX\n* LIST () \"/\" Spam\n* LIST (\\Noselect) \"/\" Bulk\n{t} OK done";
    let imapd = Imapd {
        capabilities: "IMAP4rev1 AUTH=XOAUTH2".to_owned(),
        ..Imapd::default()
    };
    let imapd = imapd
        .on("LIST", unmarked)
        .on("EXAMINE \"Spam\"", "* 9 EXISTS\n{t} OK done")
        .on("STATUS \"Spam\"", "* STATUS Spam (MESSAGES 9 UNSEEN 9)\n{t} OK done");
    let (_, run) = incoming(imapd).await;
    assert_eq!(run.step(Stage::Junk).detail, "9 in Spam, 9 unread, 1 in the last 7 days");

    let marked = "* LIST () \"/\" Spam\n* LIST (\\Junk) \".\" {15}\nINBOX.Entw&APw-\n{t} OK done";
    let imapd = Imapd::default()
        .on("LIST", marked)
        .on("EXAMINE \"INBOX.Entw&APw-\"", "{t} NO not now")
        .on(
            "STATUS \"INBOX.Entw&APw-\"",
            "* STATUS INBOX.Entw&APw- (MESSAGES 4 UNSEEN 0)\n{t} OK done",
        );
    let (_, run) = incoming(imapd).await;
    assert_eq!(run.step(Stage::Junk).detail, "4 in INBOX.Entwü, 0 unread");

    let (_, run) = incoming(Imapd::default().on("LIST", "* LIST () \"/\" INBOX\n{t} OK done")).await;
    assert_eq!(run.line(), PASSED);
    assert_eq!(run.step(Stage::Junk).detail, "no junk folder, that's fine");
    assert!(run.report.facts["junk"].is_null());
}

#[tokio::test]
async fn causes_are_named_by_what_the_server_said() {
    let verdict = |text: &str| Imapd {
        verdict: Some(text.to_owned()),
        ..Imapd::default()
    };
    let cases = [
        (
            verdict("{t} NO AUTHENTICATE failed."),
            Stage::Auth,
            "imap-exchange-authenticate-failed",
        ),
        (
            verdict("* NO [ALERT] look\n{t} NO [ALERT] Please log in via your web browser: x (Failure)"),
            Stage::Auth,
            "imap-gmail-web-login-required",
        ),
        (
            verdict("{t} NO [ALERT] Too many simultaneous connections. (Failure)"),
            Stage::Auth,
            "imap-too-many-connections",
        ),
        (
            verdict("* BYE Session invalidated - AccessTokenExpired"),
            Stage::Auth,
            "imap-exchange-token-expired-session",
        ),
        (verdict("close"), Stage::Auth, "network-closed-early"),
        (
            Imapd::default().on("EXAMINE", "{t} BAD User is authenticated but not connected."),
            Stage::Select,
            "imap-exchange-authenticated-not-connected",
        ),
        (
            Imapd::default().on("EXAMINE", "{t} NO [NONEXISTENT] Unknown Mailbox: INBOX"),
            Stage::Select,
            "console-folder-missing",
        ),
        (
            Imapd::default().on("EXAMINE", "{t} BAD Request is throttled. Suggested Backoff Time: 1 ms"),
            Stage::Select,
            "imap-exchange-throttled",
        ),
        (Imapd::default().on("FETCH", "close"), Stage::Newest, "network-closed-early"),
        (
            Imapd {
                greeting: "* BYE [OVERQUOTA] Account exceeded command or bandwidth limits.".to_owned(),
                ..Imapd::default()
            },
            Stage::Greeting,
            "imap-overquota",
        ),
        (
            Imapd {
                capabilities: "IMAP4rev1 AUTH=PLAIN AUTH=LOGIN".to_owned(),
                ..Imapd::default()
            },
            Stage::Auth,
            "console-mechanism-not-offered",
        ),
    ];
    for (imapd, stage, cause) in cases {
        // A server that says goodbye and stays is dealt with by the deadline.
        let mut lab = Lab::new();
        lab.allowance = std::time::Duration::from_secs(2);
        let says_bye = imapd.verdict.as_deref().is_some_and(|v| v.contains("BYE"));
        let imapd = if says_bye {
            Imapd {
                verdict: imapd.verdict.map(|v| v + "\n{t} NO AUTHENTICATE failed"),
                ..imapd
            }
        } else {
            imapd
        };
        let server = imapd.start(lab.identity()).await;
        let run = lab.incoming(&server, Security::Tls).await;
        let (failed, detail, id) = run.failed();
        assert_eq!((failed, id.as_str()), (stage, cause), "{detail}");
        assert!(!server.heard().join("\n").contains(&STANDARD.encode(format!("\0{TOKEN}"))));
    }
}

#[tokio::test]
async fn a_goodbye_in_the_middle_is_shown_as_the_reason() {
    let (_, run) = incoming(Imapd::default().on("STATUS \"INBOX\"", "* BYE Session invalidated - AccessTokenExpired\n{t} BAD x")).await;
    // The status is optional; the search that replaces it works, so the mailbox passes.
    assert_eq!(run.line(), PASSED);
    let (_, run) = incoming(Imapd::default().on("EXAMINE", "* BYE Session invalidated - AccessTokenExpired\n{t} BAD x")).await;
    assert_eq!(run.cause(), "imap-exchange-token-expired-session");
}

#[tokio::test]
async fn servers_that_can_not_do_everything_still_pass() {
    let imapd = Imapd::default()
        .on("STATUS \"INBOX\"", "{t} NO not for the opened folder")
        .on("UID SEARCH UNSEEN", "* SEARCH 101 103\n{t} OK done")
        .on("UID SEARCH LARGER", "{t} BAD no")
        .on("LIST \"\" \"*\" RETURN", "{t} BAD no");
    let (_, run) = incoming(imapd).await;
    assert_eq!(
        run.line(),
        "dns tcp tls greeting capability auth select unread newest? junk",
        "{:?}",
        run.failure
    );
    assert_eq!(run.report.facts["unread"], 2);
}

#[tokio::test]
async fn conversations_are_kept_from_the_greeting_on() {
    let (_, run) = incoming(Imapd::default()).await;
    let said = |stage| {
        let lines = run
            .step(stage)
            .transcript
            .iter()
            .map(|line| format!("{}: {}", line.from, line.text));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(said(Stage::Greeting), ["S: * OK Test server ready."]);
    let auth = said(Stage::Auth);
    assert_eq!(auth[..2], ["C: A0001 AUTHENTICATE OAUTHBEARER", "S: + "]);
    assert!(auth[2].starts_with("C: (OAUTHBEARER as support@contoso.test, 12"), "{}", auth[2]);
    assert_eq!(
        said(Stage::Unread),
        [
            "C: A0004 STATUS \"INBOX\" (MESSAGES UNSEEN)",
            "S: * STATUS INBOX (MESSAGES 3 UNSEEN 2)",
            "S: A0004 OK done"
        ]
    );
}
