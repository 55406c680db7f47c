//! Mail servers that refuse in odd words, break off, talk too much, or aren't mail servers: the console's own test against each.

use super::score::Score;
use crate::actions::House;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::pop3_server::Popd;
use crate::probe::server::{Peer, Server};
use crate::probe::smtp_server::Smtpd;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, SideInput, check_mailbox};
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::diagnosis::{by_id, own};
use mailgrant::model::audit::Actor;
use mailgrant::model::report::Direction;
use mailgrant::secret::Password;

/// A test of one side of a mailbox at this server, with a password.
async fn ask(house: &House, score: &mut Score, protocol: &str, what: &str, server: &Server, expected: &str) {
    let side = SideInput {
        protocol: protocol.into(),
        host: "127.0.0.1".into(),
        port: server.port.to_string(),
        security: "none".into(),
        auth: "password".into(),
        password: Some(Password::new(PASSWORD)),
        ..SideInput::default()
    };
    let name = format!("m{}", score.all());
    let mut asked = records::mailbox(&name, None, None, PASSWORD);
    let direction = if protocol == "smtp" {
        asked.outgoing = Some(side);
        Direction::Outgoing
    } else {
        asked.incoming = Some(side);
        Direction::Incoming
    };
    let edit = check_mailbox(&asked, &house.app.gate).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let order = Order {
        mailbox,
        draft: false,
        direction,
        options: Options::default(),
        user: None,
    };
    let ended = probe::run_to_end(&house.app, &Actor::console(), order).await.unwrap();
    let found = ended.report.diagnosis.clone().or_else(|| by_id(own::UNKNOWN)).unwrap();
    score.add(&format!("{protocol}: {what}"), expected, &found, &[]);
}

const IMAP: [(&str, &str, &str); 25] = [
    (
        "AUTHENTICATE",
        "{t} NO [AUTHENTICATIONFAILED] Authentication failed.",
        "console-password-refused",
    ),
    ("AUTHENTICATE", "{t} NO Login incorrect", "console-password-refused"),
    (
        "AUTHENTICATE",
        "{t} NO [UNAVAILABLE] Temporary authentication failure.",
        "imap-unavailable",
    ),
    ("AUTHENTICATE", "{t} NO [INUSE] Locked", "imap-in-use"),
    ("AUTHENTICATE", "{t} NO [LIMIT] Rate limit hit", "imap-limit"),
    ("AUTHENTICATE", "{t} NO [LIMIT] Too many connections", "imap-too-many-connections"),
    ("AUTHENTICATE", "{t} NO [CONTACTADMIN] Account suspended", "imap-contactadmin"),
    ("AUTHENTICATE", "{t} NO [EXPIRED] Password expired", "imap-expired"),
    ("AUTHENTICATE", "{t} NO [AUTHORIZATIONFAILED] No", "imap-authorizationfailed"),
    ("AUTHENTICATE", "{t} NO [PRIVACYREQUIRED] Encrypt", "imap-logindisabled"),
    ("AUTHENTICATE", "{t} NO [OVERQUOTA] Full", "imap-overquota"),
    (
        "AUTHENTICATE",
        "{t} NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
        "imap-gmail-app-password",
    ),
    (
        "AUTHENTICATE",
        "* NO [WEBALERT https://accounts.google.com/signin/continue] Web login required.\n{t} NO [ALERT] Please log in via your web browser (Failure)",
        "imap-gmail-web-login-required",
    ),
    ("AUTHENTICATE", "{t} NO LOGIN failed.", "console-password-refused"),
    ("AUTHENTICATE", "close", "network-closed-early"),
    ("CAPABILITY", "{t} NO Please log in first", "console-after-login-only"),
    (
        "CAPABILITY",
        "{t} BAD Not in this state, login required",
        "console-after-login-only",
    ),
    (
        "CAPABILITY",
        "* CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS\n{t} OK done",
        "console-mechanism-not-offered",
    ),
    ("CAPABILITY", "close", "network-closed-early"),
    (
        "EXAMINE",
        "{t} NO [NONEXISTENT] Mailbox doesn't exist: INBOX",
        "console-folder-missing",
    ),
    ("EXAMINE", "{t} NO [NOPERM] Permission denied", "imap-noperm"),
    ("EXAMINE", "{t} NO The store is being mended", "console-folder-refused"),
    ("EXAMINE", "* 99999999999999999999 EXISTS\n{t} OK done", "console-protocol-error"),
    ("EXAMINE", "close", "network-closed-early"),
    ("EXAMINE", "* LIST () \"/\" {4000000000}", "console-too-much-data"),
];

const POP: [(&str, &str, &str); 10] = [
    ("PASS", "-ERR [AUTH] Authentication failed.", "console-password-refused"),
    ("PASS", "-ERR wrong", "console-password-refused"),
    ("PASS", "-ERR [IN-USE] Do you have another POP session running?", "imap-in-use"),
    (
        "PASS",
        "-ERR [LOGIN-DELAY] minimum time between mail checks violation",
        "imap-limit",
    ),
    ("PASS", "-ERR [SYS/TEMP] try later", "imap-unavailable"),
    (
        "PASS",
        "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page",
        "pop-gmail-not-enabled",
    ),
    (
        "PASS",
        "-ERR Logon failure: unknown user name or bad password.",
        "console-password-refused",
    ),
    ("PASS", "close", "network-closed-early"),
    ("STAT", "-ERR The maildrop is on holiday", "console-folder-refused"),
    ("STAT", "+OK lots of them", "console-protocol-error"),
];

const SMTP: [(&str, &str, &str); 26] = [
    ("AUTH", "535 5.7.8 Error: authentication failed", "console-password-refused"),
    (
        "AUTH",
        "535-5.7.8 Username and Password not accepted. For more\n535-5.7.8 information, go to\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials x - gsmtp",
        "smtp-gmail-bad-credentials",
    ),
    (
        "AUTH",
        "534-5.7.9 Application-specific password required. For more information, go to\n534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor x - gsmtp",
        "smtp-gmail-app-password",
    ),
    (
        "AUTH",
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [FR4P281CA0011]",
        "smtp-exchange-basic-disabled",
    ),
    (
        "AUTH",
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "smtp-exchange-basic-retired",
    ),
    (
        "AUTH",
        "454 4.7.0 Temporary authentication failure",
        "smtp-exchange-temp-auth-failure",
    ),
    ("AUTH", "535 5.7.0 (#AUTH005) Too many bad auth attempts.", "smtp-yahoo-auth005"),
    (
        "AUTH",
        "504 5.7.4 Unrecognized authentication type",
        "smtp-exchange-unrecognized-auth",
    ),
    ("AUTH", "535 Not with me", "console-password-refused"),
    ("EHLO", "530 5.7.0 Must issue a STARTTLS command first", "smtp-starttls-required"),
    ("EHLO", "421 4.3.2 Service not available", "smtp-server-busy"),
    ("EHLO", "554 5.7.99 We don't talk to you", "console-smtp-policy"),
    (
        "MAIL",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "smtp-exchange-send-as-5760",
    ),
    (
        "MAIL",
        "553 5.7.1 <support@contoso.test>: Sender address rejected: not owned by user robot",
        "smtp-sender-refused",
    ),
    ("MAIL", "550 5.7.99 Not this one", "console-sender-refused"),
    (
        "MAIL",
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "smtp-message-too-large",
    ),
    ("MAIL", "451 4.3.0 Mail server temporarily rejected message", "console-smtp-later"),
    (
        "RCPT",
        "550 5.1.1 <x@contoso.test>: Recipient address rejected: User unknown in local recipient table",
        "smtp-recipient-unknown",
    ),
    ("RCPT", "554 5.7.1 <x@contoso.test>: Relay access denied", "smtp-relay-denied"),
    ("RCPT", "450 4.7.1 Greylisted, see you in five minutes", "console-smtp-later"),
    ("RCPT", "550 5.7.1 no mail leaves this machine", "console-recipient-refused"),
    ("DATA", "554 5.6.99 moon phase", "console-message-refused"),
    (
        "DATA",
        "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
        "smtp-exchange-low-reputation-ip",
    ),
    (
        "DATA",
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
        "smtp-exchange-concurrent-connections",
    ),
    ("RCPT", "close", "network-closed-early"),
    ("EHLO", "close", "network-closed-early"),
];

#[tokio::test]
async fn causes_are_named_against_servers_that_misbehave() {
    let (house, mut score) = (House::new().await, Score::default());
    score.part("hostile servers");
    for (command, answer, expected) in IMAP {
        let server = Imapd::default().on(command, answer).start(None).await;
        ask(&house, &mut score, "imap", &format!("{command} -> {answer}"), &server, expected).await;
    }
    for (command, answer, expected) in POP {
        let server = Popd::default().on(command, answer).start(None).await;
        ask(&house, &mut score, "pop3", &format!("{command} -> {answer}"), &server, expected).await;
    }
    for (command, answer, expected) in SMTP {
        let server = Smtpd::default().on(command, answer).start(None).await;
        ask(&house, &mut score, "smtp", &format!("{command} -> {answer}"), &server, expected).await;
    }
    // After the whole message nobody knows whether it was taken.
    let gone = Smtpd {
        taken: "close".to_owned(),
        ..Smtpd::default()
    };
    ask(
        &house,
        &mut score,
        "smtp",
        "hangs up after the message",
        &gone.start(None).await,
        "console-send-unknown",
    )
    .await;
    for (protocol, greeting, expected) in [
        ("imap", "220 mail.test ESMTP", "console-not-a-mail-server"),
        ("imap", "HTTP/1.1 400 Bad Request", "console-not-a-mail-server"),
        ("imap", "* BYE Too many connections", "imap-too-many-connections"),
        ("imap", "* BYE We are closed on Saturdays", "console-turned-away"),
        ("pop3", "-ERR We are closed on Saturdays", "console-turned-away"),
        ("smtp", "* OK IMAP4rev1 ready", "console-not-a-mail-server"),
        ("smtp", "554 5.7.1 Service unavailable; client host blocked", "console-smtp-policy"),
        ("smtp", "421 4.3.2 Service not available", "smtp-server-busy"),
        ("pop3", "220 mail.test ESMTP", "console-not-a-mail-server"),
        ("pop3", "SSH-2.0-OpenSSH_9.2", "console-not-a-mail-server"),
    ] {
        let server = Server::start(None, move |mut peer: Peer| async move { peer.say(greeting).await }).await;
        ask(&house, &mut score, protocol, &format!("greets {greeting}"), &server, expected).await;
    }
    let endless = Server::start(None, |mut peer: Peer| async move {
        peer.send("* OK ").await?;
        loop {
            peer.send([b'x'; 4096]).await?;
        }
    })
    .await;
    ask(&house, &mut score, "imap", "greets without end", &endless, "console-too-much-data").await;
    let full = Server::start(None, |mut peer: Peer| async move {
        peer.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready").await?;
        loop {
            let line = peer.line().await?;
            let (tag, command) = line.split_once(' ').unwrap_or_default();
            if command != "CAPABILITY" {
                return peer.say("* BYE Too many simultaneous connections").await;
            }
            peer.say(&format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN\n{tag} OK done")).await?;
        }
    })
    .await;
    ask(
        &house,
        &mut score,
        "imap",
        "says BYE at the sign-in",
        &full,
        "imap-too-many-connections",
    )
    .await;
    let shut = Server::start(None, |_| async { Ok(()) }).await;
    ask(
        &house,
        &mut score,
        "imap",
        "takes the connection and hangs up",
        &shut,
        "network-closed-early",
    )
    .await;
    score.end(70);
}
