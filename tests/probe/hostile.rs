//! Servers that mean harm, and places we don't go.

use super::imap_server::Imapd;
use super::server::{Gone, Peer, Server};
use super::smtp_server::Smtpd;
use super::{Lab, Run, endpoint, imap_target, smtp_target};
use mailgrant::gate::Gate;
use mailgrant::mail::Connector;
use mailgrant::model::mailbox::Security;
use mailgrant::model::report::{Direction, Stage};
use mailgrant::probe;
use std::time::Duration;

/// A server in clear that plays this.
async fn bare<F, W>(script: F) -> Server
where
    F: Fn(Peer) -> W + Send + Sync + 'static,
    W: Future<Output = Result<(), Gone>> + Send + 'static,
{
    Server::start(None, script).await
}

/// What becomes of both tests against a server in clear.
async fn both(lab: &Lab, server: &Server) -> [Run; 2] {
    [
        lab.incoming(server, Security::None).await,
        lab.outgoing(server, Security::None).await,
    ]
}

fn assert_failed(run: &Run, stage: Stage, cause: &str) {
    let (failed, detail, id) = run.failed();
    assert_eq!((failed, id.as_str()), (stage, cause), "{detail}");
}

#[tokio::test]
async fn bytes_that_dribble_in_do_not_renew_the_deadline() {
    let lab = Lab::impatient();
    let server = bare(|mut peer| async move { peer.dribble("* OK 220-x ").await }).await;
    for run in both(&lab, &server).await {
        assert_failed(&run, Stage::Greeting, "console-no-greeting");
        assert!(run.report.duration_ms < 2000, "{}", run.report.duration_ms);
    }
    let greets = Imapd::default().on("CAPABILITY", "* CAPABILITY IMAP4rev1");
    let server = greets.start(None).await;
    assert_failed(&lab.incoming(&server, Security::None).await, Stage::Capability, "console-deadline");
}

#[tokio::test]
async fn a_tarpit_holds_up_nobody_else() {
    let lab = Lab::new();
    let impatient = Lab::impatient();
    let tarpit = bare(|mut peer| async move {
        peer.say("220 welcome").await?;
        peer.line().await?;
        peer.dribble("250-x\r\n").await
    })
    .await;
    let good = Smtpd::default().start(lab.identity()).await;
    let (stuck, sent) = tokio::join!(impatient.outgoing(&tarpit, Security::None), lab.outgoing(&good, Security::Tls));
    assert_failed(&stuck, Stage::Ehlo, "console-deadline");
    assert!(sent.failure.is_none(), "{:?}", sent.failure);
}

#[tokio::test]
async fn endless_greetings_and_replies_are_cut() {
    let lab = Lab::new();
    let endless_line = bare(|mut peer| async move {
        peer.send("* OK 220-").await?;
        loop {
            peer.send([b'x'; 4096]).await?;
        }
    })
    .await;
    let endless_lines = bare(|mut peer| async move {
        loop {
            peer.say("220-hello").await?;
        }
    })
    .await;
    let endless_data = bare(|mut peer| async move {
        peer.say("* OK ready").await?;
        loop {
            peer.say("* CAPABILITY IMAP4rev1").await?;
        }
    })
    .await;
    for run in both(&lab, &endless_line).await {
        assert_failed(&run, Stage::Greeting, "console-too-much-data");
    }
    assert_failed(
        &lab.outgoing(&endless_lines, Security::None).await,
        Stage::Greeting,
        "console-too-much-data",
    );
    assert_failed(
        &lab.incoming(&endless_data, Security::None).await,
        Stage::Capability,
        "console-too-much-data",
    );
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_is_not_read() {
    let lab = Lab::new();
    let server = bare(|mut peer| async move {
        peer.say("* OK ready").await?;
        peer.line().await?;
        peer.send("* CAPABILITY ").await?;
        for _ in 0..100 {
            peer.send(vec![b'x'; 1024 * 1024]).await?;
        }
        peer.say("\nS1 OK done").await
    })
    .await;
    let run = lab.incoming(&server, Security::None).await;
    assert_failed(&run, Stage::Capability, "console-too-much-data");
    // What the sockets hold is lost; nothing waits for the rest.
    assert!(server.sent() < 20_000_000, "{}", server.sent());
    assert!(serde_json::to_string(&run.report).unwrap().len() < 20_000);
}

#[tokio::test]
async fn announced_literals_are_not_believed() {
    let lab = Lab::new();
    for (command, answer, stage) in [
        ("EXAMINE", "* LIST () \"/\" {4000000000}", Stage::Select),
        ("LIST", "* LIST () \"/\" {99999999999999999999}", Stage::Junk),
        ("FETCH", "* 3 FETCH (BODY[] {400000000}", Stage::Newest),
    ] {
        let server = Imapd::default().on(command, answer).start(lab.identity()).await;
        let run = lab.incoming(&server, Security::Tls).await;
        assert_failed(&run, stage, "console-too-much-data");
    }
    let server = bare(|mut peer| async move {
        peer.say("* OK ready").await?;
        let tag = peer.line().await?;
        peer.say(&format!("* LIST () \"/\" {{70000}}\n{} OK", &tag[..2])).await?;
        peer.wait().await
    })
    .await;
    assert_failed(
        &lab.incoming(&server, Security::None).await,
        Stage::Capability,
        "console-too-much-data",
    );
}

#[tokio::test]
async fn replies_that_break_parsers_fail_the_step_and_nothing_else() {
    let lab = Lab::new();
    let deep = format!("* 3 FETCH (BODYSTRUCTURE {}\n{{t}} OK", "(".repeat(5000));
    for (command, answer, stage) in [
        ("FETCH", deep.as_str(), Stage::Newest),
        ("FETCH", "* 3 FETCH (INTERNALDATE NIL)\n{t} OK", Stage::Newest),
        ("FETCH", "* 3 FETCH (((\n{t} OK", Stage::Newest),
        ("EXAMINE", "* 99999999999999999999 EXISTS\n{t} OK", Stage::Select),
        ("EXAMINE", "not a reply at all", Stage::Select),
        ("EXAMINE", "A9999 OK somebody else's", Stage::Select),
        ("EXAMINE", "+ go on", Stage::Select),
    ] {
        let server = Imapd::default().on(command, answer).start(lab.identity()).await;
        let run = lab.incoming(&server, Security::Tls).await;
        assert_failed(&run, stage, "console-protocol-error");
    }
    let umlaut = Imapd::default().on("EXAMINE", "* OK [ALERT]ü\n* OK [X]\n* ENABLED X\n* 0 EXISTS\n{t} OK [READ-ONLY]ü");
    let server = umlaut.on("FETCH", "{t} OK").start(lab.identity()).await;
    let run = lab.incoming(&server, Security::Tls).await;
    assert!(run.failure.is_none(), "{:?}", run.failure);
    for reply in ["25", "999 what", "hello", "250-a\r\n251 b", "250-"] {
        let server = Smtpd::default().on("MAIL", reply).start(lab.identity()).await;
        let mut impatient = Lab::impatient();
        impatient.connector = lab.connector.clone();
        let run = impatient.outgoing(&server, Security::Tls).await;
        assert_eq!(run.failed().0, Stage::MailFrom, "{reply}");
    }
}

#[tokio::test]
async fn whoever_answers_without_being_a_mail_server_is_told_apart_and_not_quoted() {
    let lab = Lab::new();
    let secret = "HTTP/1.1 200 OK\nServer: internal-secret-service 1.2";
    let web = bare(move |mut peer| async move { peer.say(secret).await }).await;
    let redis = bare(|mut peer| async move { peer.say("-ERR internal-secret-service").await }).await;
    for server in [&web, &redis] {
        for run in both(&lab, server).await {
            assert_failed(&run, Stage::Greeting, "console-not-a-mail-server");
            assert!(!run.everything().contains("secret-service"));
        }
    }
    let pop = bare(|mut peer| async move { peer.say("+OK ready").await }).await;
    assert_failed(
        &lab.incoming(&pop, Security::None).await,
        Stage::Greeting,
        "console-not-a-mail-server",
    );
    let multi = bare(|mut peer| async move { peer.say("220-internal-secret-service").await }).await;
    let run = lab.outgoing(&multi, Security::None).await;
    assert_failed(&run, Stage::Greeting, "network-closed-early");
    assert!(!run.everything().contains("secret-service"));
}

#[tokio::test]
async fn a_wrong_choice_of_encryption_is_recognised() {
    let lab = Lab::impatient();
    let plain = Imapd::default().start(None).await;
    assert_failed(&lab.incoming(&plain, Security::Tls).await, Stage::Tls, "tls-plaintext-port");
    let web = bare(|mut peer| async move {
        peer.line().await.ok();
        peer.say("HTTP/1.1 400 Bad Request").await
    })
    .await;
    assert_failed(&lab.incoming(&web, Security::Tls).await, Stage::Tls, "tls-plaintext-port");
    let encrypted = Imapd::default().start(lab.identity()).await;
    assert_failed(
        &lab.incoming(&encrypted, Security::None).await,
        Stage::Greeting,
        "console-no-greeting",
    );
    let shut = bare(|_| async { Ok(()) }).await;
    assert_failed(&lab.incoming(&shut, Security::None).await, Stage::Greeting, "network-closed-early");
    let run = lab.incoming(&shut, Security::Tls).await;
    assert_eq!(run.failed().0, Stage::Tls);
    // Which of the two depends on how far our first bytes got.
    assert!(
        ["network-closed-early", "network-reset"].contains(&run.cause().as_str()),
        "{}",
        run.cause()
    );
}

#[tokio::test]
async fn a_closed_port_is_refused_and_the_next_address_is_tried() {
    let lab = Lab::new();
    let server = Imapd::default().start(lab.identity()).await;
    let gone = {
        let server = bare(|_| async { Ok(()) }).await;
        imap_target(&server, Security::Tls)
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let run = lab.read(&gone).await;
    assert_failed(&run, Stage::Tcp, "network-refused");

    let addresses = [gone.endpoint.port, server.port].map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let connected = lab.connector.connect(&addresses).await.unwrap();
    assert_eq!(connected.address, addresses[1]);
    assert_eq!(connected.failed_first[0].0, addresses[0]);
}

#[tokio::test]
async fn places_that_are_not_allowed_are_not_gone_to() {
    let mut lab = Lab::new();
    let server = Imapd::default().start(None).await;
    let mut target = imap_target(&server, Security::Tls);

    lab.connector = Connector::new(Gate::new(vec![], vec![]), None).unwrap();
    for host in ["127.0.0.1", "localhost", "::1", "0x7f.1", "[::ffff:127.0.0.1]"] {
        target.endpoint.host = host.to_owned();
        let run = lab.read(&target).await;
        assert_failed(&run, Stage::Dns, "console-destination-refused");
        assert!(
            run.failed()
                .1
                .contains("add loopback to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)")
        );
    }
    target.endpoint.host = "169.254.169.254".to_owned();
    assert_failed(&lab.read(&target).await, Stage::Dns, "console-destination-refused");
    target.endpoint.host = "8.8.8.8".to_owned();
    target.endpoint.port = 22;
    assert_failed(&lab.read(&target).await, Stage::Dns, "console-port-refused");
    target.endpoint.security = Security::None;
    target.endpoint.port = 143;
    assert_failed(&lab.read(&target).await, Stage::Dns, "console-plain-refused");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn stopping_a_test_frees_its_connection() {
    let lab = Lab::new();
    let server = bare(|mut peer| async move { peer.wait().await }).await;
    let target = probe::ImapTarget {
        endpoint: endpoint(&server, Security::None),
        ..imap_target(&server, Security::None)
    };
    let (mut steps, _watcher) = lab.steps(Direction::Incoming, vec![Stage::Dns, Stage::Tcp, Stage::Greeting]);
    tokio::select! {
        _ = probe::imap(&lab.connector, &target, &mut steps) => panic!("nobody answered"),
        () = async { while server.open() == 0 { tokio::time::sleep(Duration::from_millis(10)).await } } => {}
    }
    let (_, failure) = steps.finish();
    let own_id = failure.unwrap().own_id.unwrap();
    assert!(mailgrant::diagnosis::by_id(own_id).is_some(), "{own_id}");
    for _ in 0..500 {
        if server.open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn a_message_in_the_middle_of_a_hang_up_was_not_sent() {
    let lab = Lab::new();
    let server = Smtpd::default().on("RCPT", "close").start(lab.identity()).await;
    let run = lab.send(&smtp_target(&server, Security::Tls)).await;
    assert_failed(&run, Stage::RcptTo, "network-closed-early");
}
