//! *Test incoming* over POP3, against servers good, odd and hostile.

use super::imap_server::{PASSWORD, TOKEN};
use super::pop3_server::Popd;
use super::server::Server;
use super::{Lab, Run, pop3_target, with_password, with_token};
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::{Outcome, Stage};

const PASSED: &str = "dns tcp tls greeting capability auth unread newest";

async fn incoming(popd: Popd) -> Run {
    let lab = Lab::new();
    let server = popd.start(lab.identity()).await;
    lab.pop(&server, Security::Tls).await
}

fn capable(lines: &str) -> Popd {
    Popd {
        capabilities: Some(lines.to_owned()),
        ..Popd::default()
    }
}

#[tokio::test]
async fn a_healthy_mailbox_is_read_and_nothing_is_deleted_or_fetched_whole() {
    let lab = Lab::new();
    let server = Popd::default().start(lab.identity()).await;
    let run = lab.pop(&server, Security::Tls).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    assert_eq!(run.report.facts["messages"], 3);
    assert!(run.report.facts["unread"].is_null(), "POP can't tell");
    assert!(!run.report.facts.contains_key("junk"));
    assert_eq!(run.step(Stage::Auth).detail, "OAUTHBEARER as support@contoso.test");
    assert_eq!(run.step(Stage::Unread).detail, "3 messages; POP can't tell which are unread");
    assert_eq!(run.step(Stage::Newest).detail, "newest from 2026-11-21T08:00:03Z; 1 over 25 MB");
    let found = run.found.as_ref().unwrap();
    assert_eq!((found.messages, found.unread, found.newest.len()), (3, None, 3));
    assert_eq!(found.newest[0].subject, "Grüße");
    assert_eq!(found.newest[0].from, "Jörg <ann@contoso.test>");
    assert_eq!((found.newest[0].size, found.oversized.len()), (30_000_000, 1));

    // Who wrote what is not for everybody who may see a report.
    let everything = run.everything();
    assert!(
        !everything.contains("ann@contoso.test") && !everything.contains("Gr=C3"),
        "{everything}"
    );
    assert!(everything.contains("(message data, not kept)"));
    let heard = server.heard();
    assert_eq!(heard.last().map(String::as_str), Some("QUIT"));
    for word in ["RETR", "DELE", "RSET"] {
        assert!(!heard.iter().any(|line| line.starts_with(word)), "{heard:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn zero_is_a_result() {
    let run = incoming(Popd::default().on("STAT", "+OK 0 0").on("LIST", "+OK\n.")).await;
    assert_eq!(run.line(), PASSED, "{:?}", run.failure);
    assert_eq!(run.step(Stage::Unread).detail, "0 messages, that's fine");
    assert_eq!(run.step(Stage::Newest).detail, "no messages, that's fine; none over 25 MB");
}

#[tokio::test]
async fn a_list_that_disagrees_with_the_count_is_told_and_one_that_contradicts_itself_fails() {
    use mailgrant::model::report::Outcome;
    for (list, lists) in [("+OK\n1 120\n2 130\n.", 2), ("+OK\n1 120\n2 130\n3 140\n4 150\n.", 4)] {
        let run = incoming(Popd::default().on("LIST", list)).await;
        let step = run.step(Stage::Newest);
        assert_eq!(step.outcome, Outcome::Warning, "{:?}", run.report);
        let words = format!("the server counts 3 messages (STAT) and lists {lists} (LIST); ");
        assert!(step.detail.starts_with(&words), "{}", step.detail);
    }
    for list in ["+OK\n1 120\n1 120\n3 140\n.", "+OK\n0 120\n1 120\n2 140\n."] {
        let run = incoming(Popd::default().on("LIST", list)).await;
        assert_eq!(run.failed().0, Stage::Newest, "{list}");
    }
}

#[tokio::test]
async fn exchange_gets_the_token_on_a_line_of_its_own_and_so_does_every_long_one() {
    let lab = Lab::new();
    let server = capable("TOP\nSASL XOAUTH2").start(lab.identity()).await;
    let run = lab.pop(&server, Security::Tls).await;
    assert_eq!(run.step(Stage::Auth).detail, "XOAUTH2 as support@contoso.test");
    assert!(
        server.heard().iter().any(|line| line.starts_with("AUTH XOAUTH2 ")),
        "a short one goes with the command"
    );

    let mut target = pop3_target(&server, Security::Tls);
    target.login = with_token(&format!("{}{TOKEN}", "x".repeat(300)));
    let run = lab.read_pop(&target).await;
    assert_eq!(run.failed().0, Stage::Auth);
    assert!(server.heard().iter().any(|line| line == "AUTH XOAUTH2"), "{:?}", run.report);
    assert!(!run.everything().contains("xxxxxxxxxxxxxxxxxxxx"));
}

#[tokio::test]
async fn a_refused_token_keeps_the_servers_reason() {
    for (sasl, mechanism) in [("XOAUTH2", "XOAUTH2"), ("XOAUTH2 OAUTHBEARER", "OAUTHBEARER")] {
        let lab = Lab::new();
        let server = capable(&format!("TOP\nSASL {sasl}")).start(lab.identity()).await;
        let mut target = pop3_target(&server, Security::Tls);
        target.login = with_token("some-other-token-that-is-long-enough-to-be-masked");
        let run = lab.read_pop(&target).await;
        assert_eq!(
            run.failed(),
            (Stage::Auth, "-ERR [AUTH] Authentication failed.", "pop-gmail-auth".to_owned())
        );
        let evidence = &run.failure.as_ref().unwrap().evidence;
        assert!(
            evidence.ends_with("\n{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}"),
            "{evidence}"
        );
        assert_eq!(run.line(), "dns tcp tls greeting capability auth! unread- newest-");
        assert!(!run.everything().contains("some-other-token"));
        assert!(server.heard().join("\n").contains(mechanism));
    }
}

#[tokio::test]
async fn passwords_go_with_user_and_pass_and_tokens_never_do() {
    let lab = Lab::new();
    for (popd, how) in [
        (Popd::default(), "USER and PASS"),
        (
            Popd {
                capabilities: None,
                ..Popd::default()
            },
            "USER and PASS",
        ),
        (capable("TOP\nSASL PLAIN"), "PLAIN"),
    ] {
        let server = popd.start(lab.identity()).await;
        let mut target = pop3_target(&server, Security::Tls);
        target.login = with_password(PASSWORD);
        let run = lab.read_pop(&target).await;
        assert_eq!(run.line(), PASSED, "{:?}", run.failure);
        assert_eq!(run.step(Stage::Auth).detail, format!("{how} as support@contoso.test"));
        run.everything();
        target.login = with_password("wrong");
        assert_eq!(lab.read_pop(&target).await.failed().0, Stage::Auth);
    }
    let server = capable("TOP\nUSER\nSASL LOGIN PLAIN").start(lab.identity()).await;
    let run = lab.pop(&server, Security::Tls).await;
    assert_eq!(run.cause(), "console-mechanism-not-offered");
    assert!(!server.heard().join("\n").contains("USER") && !run.everything().contains(TOKEN));
    // Something that would end the line is not sent.
    let mut target = pop3_target(&server, Security::Tls);
    target.login = with_password("x\r\nDELE 1");
    assert_eq!(lab.read_pop(&target).await.cause(), "console-unsendable");
    assert!(!server.heard().join("\n").contains("DELE"));
}

#[tokio::test]
async fn stls_leads_to_the_same_end_and_capabilities_are_asked_again() {
    let lab = Lab::new();
    let popd = Popd {
        stls: lab.identity(),
        ..Popd::default()
    };
    let server = popd.start(None).await;
    let run = lab.pop(&server, Security::Starttls).await;
    assert_eq!(
        run.line(),
        "dns tcp greeting capability starttls tls auth unread newest",
        "{:?}",
        run.failure
    );
    let heard = server.heard();
    let place = |word: &str| heard.iter().position(|line| line.starts_with(word)).unwrap();
    assert!(heard[place("STLS")..place("AUTH")].iter().any(|line| line == "CAPA"), "{heard:?}");
}

#[tokio::test]
async fn nothing_secret_is_sent_where_stls_is_missing_or_something_comes_in_between() {
    let lab = Lab::new();
    let stripped = Popd::default().start(None).await;
    let run = lab.pop(&stripped, Security::Starttls).await;
    assert_eq!(
        (run.failed().0, run.cause().as_str()),
        (Stage::Starttls, "console-starttls-missing")
    );
    let silent = Popd {
        capabilities: None,
        ..Popd::default()
    };
    let silent = silent.start(None).await;
    assert_eq!(lab.pop(&silent, Security::Starttls).await.cause(), "console-starttls-missing");
    let popd = Popd {
        stls: lab.identity(),
        injected: "\n+OK here\nSASL PLAIN\n.".to_owned(),
        ..Popd::default()
    };
    let injected = popd.start(None).await;
    let run = lab.pop(&injected, Security::Starttls).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Starttls, "console-protocol-error"));
    for server in [stripped, silent, injected] {
        assert!(!server.heard().join("\n").contains("AUTH"));
    }
}

#[tokio::test]
async fn causes_are_named_by_what_the_server_said() {
    let verdict = |text: &str| Popd {
        verdict: Some(text.to_owned()),
        ..Popd::default()
    };
    let greeting = |text: &str| Popd {
        greeting: text.to_owned(),
        ..Popd::default()
    };
    let cases = [
        (
            verdict("-ERR Authentication failure: unknown user name or bad password."),
            Stage::Auth,
            "pop-exchange-auth-failure",
        ),
        (
            verdict("-ERR [SYS/PERM] Your account is not enabled for POP access."),
            Stage::Auth,
            "pop-gmail-not-enabled",
        ),
        (verdict("close"), Stage::Auth, "network-closed-early"),
        (verdict("200 fine"), Stage::Auth, "console-protocol-error"),
        (greeting("* OK IMAP4rev1 ready"), Stage::Greeting, "console-not-a-mail-server"),
        (greeting("HTTP/1.1 400 Bad Request"), Stage::Greeting, "console-not-a-mail-server"),
        (Popd::default().on("STAT", "close"), Stage::Unread, "network-closed-early"),
        (Popd::default().on("STAT", "+OK many"), Stage::Unread, "console-protocol-error"),
        (
            Popd::default().on("STAT", "+OK -1 99999999999999999999"),
            Stage::Unread,
            "console-protocol-error",
        ),
        (Popd::default().on("LIST", "+OK\n1 x\n."), Stage::Newest, "console-protocol-error"),
        (Popd::default().on("TOP", "close"), Stage::Newest, "network-closed-early"),
        (capable("TOP\nSASL PLAIN LOGIN"), Stage::Auth, "console-mechanism-not-offered"),
    ];
    for (popd, stage, cause) in cases {
        let run = incoming(popd).await;
        let (failed, detail, id) = run.failed();
        assert_eq!((failed, id.as_str()), (stage, cause), "{detail}");
    }
}

#[tokio::test]
async fn a_server_without_top_is_not_made_to_send_whole_messages() {
    let lab = Lab::new();
    let server = capable("SASL XOAUTH2").start(lab.identity()).await;
    let run = lab.pop(&server, Security::Tls).await;
    assert_eq!(run.step(Stage::Newest).outcome, Outcome::Warning);
    assert_eq!(run.step(Stage::Newest).detail, "1 over 25 MB; this server shows no headers (TOP)");
    assert!(!server.heard().join("\n").contains("RETR"));
}

#[tokio::test]
async fn a_very_full_mailbox_is_not_listed_whole() {
    let popd = Popd::default()
        .on("STAT", "+OK 4000000 9")
        .on("LIST 4000000", "+OK 4000000 30000000")
        .on("LIST 39999", "+OK 3999996 5");
    let run = incoming(popd).await;
    assert_eq!(run.step(Stage::Newest).outcome, Outcome::Warning, "{:?}", run.failure);
    assert!(
        run.step(Stage::Newest).detail.contains("too many messages"),
        "{:?}",
        run.step(Stage::Newest)
    );
    assert_eq!(run.report.facts["messages"], 4_000_000);
}

#[tokio::test]
async fn the_largest_number_of_messages_there_can_be_is_a_number_like_any_other() {
    let lab = Lab::new();
    let claims = Popd::default()
        .on("STAT", "+OK 18446744073709551615 9")
        .on("LIST 18446744073709551615", "+OK 18446744073709551615 700")
        .on("TOP 18446744073709551615", "+OK\nSubject: last\n.");
    let server = claims.start(lab.identity()).await;
    for (newest, lists) in [(0, 0), (1, 1)] {
        let mut target = pop3_target(&server, Security::Tls);
        target.newest = newest;
        let run = lab.read_pop(&target).await;
        assert_eq!(run.line(), format!("{PASSED}?"), "{newest}: {:?}", run.failure);
        let listed = server.heard().iter().filter(|line| line.starts_with("LIST")).count();
        assert_eq!((listed, run.report.facts["messages"].as_u64()), (lists, Some(u64::MAX)));
    }
}

#[tokio::test]
async fn endless_servers_are_cut_and_slow_ones_have_a_deadline() {
    let lab = Lab::new();
    let endless = |line: &'static str| {
        Server::start(None, move |mut peer| async move {
            peer.send(line).await?;
            loop {
                peer.send([b'x'; 4096]).await?;
            }
        })
    };
    let run = lab.pop(&endless("+OK ").await, Security::None).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Greeting, "console-too-much-data"));
    let lines = Server::start(None, |mut peer| async move {
        peer.say("+OK ready").await?;
        peer.line().await?;
        peer.say("+OK here").await?;
        loop {
            peer.say("TOP").await?;
        }
    })
    .await;
    let run = lab.pop(&lines, Security::None).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Capability, "console-too-much-data"));
    // After the sign-in too: a header without an end, and a list of one.
    for (command, answer) in [("TOP", "+OK top\n"), ("LIST", "+OK list\n1 2\n")] {
        let flood = format!("{answer}{}", "X-Header: x\n".repeat(200_000));
        let popd = Popd::default().on(command, &flood);
        let server = popd.start(None).await;
        let run = lab.pop(&server, Security::None).await;
        assert_eq!(run.failed().0, Stage::Newest, "{:?}", run.failure);
        assert!(serde_json::to_string(&run.report).unwrap().len() < 60_000);
    }
    let impatient = Lab::impatient();
    let tarpit = Server::start(None, |mut peer| async move { peer.dribble("+OK ").await }).await;
    let run = impatient.pop(&tarpit, Security::None).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Greeting, "console-no-greeting"));
    let never = Popd::default().on("CAPA", "+OK here\nTOP").start(None).await;
    assert_eq!(impatient.pop(&never, Security::None).await.cause(), "console-deadline");
}
