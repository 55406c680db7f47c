//! Messages on their way: to a mail server and to a webhook, through trouble of either, and through the death of who sends them.

use super::sink::{Hook, House, all, looked_and_sent, save, sent};
use crate::probe::imap_server::PASSWORD;
use crate::probe::smtp_server::Smtpd;
use crate::support::records;
use mailgrant::actions::ActionError;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::actions::notices::channels::{self, ChannelsInput};
use mailgrant::actions::notices::{consented, sign};
use mailgrant::clock::Timestamp;
use mailgrant::model::audit::Actor;
use mailgrant::secret::Password;
use mailgrant::vault::Place;
use mailgrant::worker::cleanup::{self, Grown};

const HOUR: i64 = 3600;

/// Mail through a server on this port.
pub fn by_mail(port: u16) -> ChannelsInput {
    ChannelsInput {
        recipients: "ann@contoso.test\nbob@contoso.test".into(),
        host: "127.0.0.1".into(),
        port: port.to_string(),
        security: "none".into(),
        from: "console@contoso.test".into(),
        ..all()
    }
}

/// Something to tell.
pub async fn happens(house: &House, what: &str) {
    let mut tx = house.app.store.begin().await.unwrap();
    consented(&house.app, &mut tx, "Maija", what, format!("/tokens/{what}"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

pub fn times(states: &[(String, String)], state: &str) -> usize {
    states.iter().filter(|(_, other)| other == state).count()
}

#[tokio::test]
async fn each_recipient_gets_a_mail_that_no_machine_answers() {
    let house = House::new().await;
    let smtpd = Smtpd::default();
    let messages = smtpd.messages.clone();
    let server = smtpd.start(None).await;
    save(&house.app, &by_mail(server.port)).await;
    happens(&house, "support").await;
    house.after(10).await;
    assert_eq!(times(&house.states().await, "delivered"), 2);
    let got = messages.lock().unwrap().clone();
    assert_eq!(got.len(), 2);
    for (mail, to) in got.iter().zip(["ann@", "bob@"]) {
        let other = if to == "ann@" { "bob@" } else { "ann@" };
        assert!(got.iter().any(|mail| mail.contains(&format!("To: {to}"))), "{got:?}");
        assert!(
            mail.contains("Auto-Submitted: auto-generated\n") && mail.contains("From: console@contoso.test\n"),
            "{mail}"
        );
        assert!(mail.contains("Subject: Consent given for support\n"), "{mail}");
        assert!(mail.contains("/tokens/support"), "{mail}");
        assert!(
            !(mail.contains(to) && mail.contains(other)),
            "nobody reads who else gets it: {mail}"
        );
    }
    for (days, left) in [(29, 2), (2, 0)] {
        house.clock.advance(days * 24 * HOUR);
        for what in [Grown::Deliveries, Grown::Notices] {
            cleanup::prune(&house.app, what).await.unwrap();
        }
        assert_eq!(house.states().await.len(), left);
    }
}

/// F28: a server that takes the message and says nothing may have sent it.
#[tokio::test]
async fn a_mail_whose_fate_is_unknown_is_never_sent_again() {
    let house = House::new().await;
    let smtpd = Smtpd {
        taken: "close".into(),
        ..Smtpd::default()
    };
    let messages = smtpd.messages.clone();
    let server = smtpd.start(None).await;
    let mut input = by_mail(server.port);
    input.recipients = "ann@contoso.test".into();
    save(&house.app, &input).await;
    happens(&house, "support").await;
    for _ in 0..30 {
        house.after(HOUR).await;
    }
    assert_eq!(messages.lock().unwrap().len(), 1);
    assert_eq!(house.states().await, [("mail".to_owned(), "unknown".to_owned())]);
}

/// One mistyped recipient is told as that, with the place where it is mended, and not as a test of a mailbox that went wrong.
#[tokio::test]
async fn a_recipient_that_is_refused_is_named_with_where_it_is_mended() {
    let house = House::new().await;
    let server = Smtpd::default().on("RCPT", "550 5.1.1 no such user").start(None).await;
    let mut input = by_mail(server.port);
    input.recipients = "anm@contoso.test".into();
    save(&house.app, &input).await;
    happens(&house, "one").await;
    house.after(10).await;
    let one = house.app.store.deliveries(None, None, 10).await.unwrap().remove(0);
    let problem = one.problem.unwrap();
    assert!(
        problem.contains("Mail for anm@contoso.test isn't taken") && problem.contains("under Recipients"),
        "{problem}"
    );
    assert!(
        !problem.contains("Bcc") && one.reply.contains("550 5.1.1 no such user"),
        "{problem} {}",
        one.reply
    );
}

#[tokio::test]
async fn a_mailbox_that_cant_send_is_no_reason_to_say_nothing() {
    let house = House::new().await;
    let good = Smtpd::default();
    let messages = good.messages.clone();
    let (good, bad) = (
        good.start(None).await,
        Smtpd::default().on("AUTH", "535 5.7.8 no").start(None).await,
    );
    let hook = Hook::start().await;
    let edit = check_mailbox(&records::mailbox("sender", None, Some(bad.port), PASSWORD), &house.app.gate).unwrap();
    mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let mut input = ChannelsInput {
        mailbox: "sender".into(),
        webhook: hook.url.clone(),
        ..by_mail(good.port)
    };
    input.recipients = "ann@contoso.test".into();
    save(&house.app, &input).await;
    happens(&house, "one").await;
    house.after(10).await;
    assert_eq!(messages.lock().unwrap().len(), 1, "through the fallback");
    assert_eq!(hook.take().len(), 1);
    assert_eq!(house.app.store.attention(Timestamp(house.now())).await.unwrap().mail_dead, None);

    // Without a fallback nothing gets out: told on every page, and by the other way.
    input.host = String::new();
    save(&house.app, &input).await;
    happens(&house, "two").await;
    house.after(10).await;
    house.after(100).await;
    let told: Vec<String> = hook.take().iter().map(|call| call.kind()).collect();
    assert_eq!(told, ["consent.given", "notices.mail_dead"]);
    assert!(house.app.store.attention(Timestamp(house.now())).await.unwrap().mail_dead.is_some());
    for _ in 0..5 {
        house.after(600).await;
    }
    assert!(hook.take().is_empty(), "once");

    // It waited, and goes out as soon as there is a way.
    input.host = "127.0.0.1".into();
    save(&house.app, &input).await;
    house.after(4 * HOUR).await;
    house.after(10).await;
    let got = messages.lock().unwrap().clone();
    assert_eq!(got.len(), 3, "the one that waited, and that it works again: {got:?}");
    assert!(got[1].contains("Subject: Consent given for two\n"), "{got:?}");
    assert_eq!(hook.take().last().unwrap().subject(), "Notifications are mailed again");
    assert_eq!(house.app.store.attention(Timestamp(house.now())).await.unwrap().mail_dead, None);
}

#[tokio::test]
async fn a_webhook_is_signed_tried_for_a_day_under_one_id_and_masked_where_it_is_shown() {
    let house = House::new().await;
    let hook = Hook::start().await;
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        ..all()
    };
    let secret = save(&house.app, &input).await.expect("one is made");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(save(&house.app, &input).await, None, "and shown once");
    hook.answers(
        503,
        &format!("canary: you sent {secret} to {}\u{1b}[31m{}", hook.url, "x".repeat(9000)),
    );
    happens(&house, "support").await;
    for _ in 0..40 {
        house.after(HOUR).await;
    }
    let calls = hook.take();
    assert!((6..=12).contains(&calls.len()), "{} attempts in a day", calls.len());
    assert!(calls.iter().all(|call| call.id == calls[0].id && call.body == calls[0].body));
    for call in &calls {
        let at = Timestamp(call.timestamp.parse().unwrap());
        assert_eq!(sign(&secret, &call.id, at, &call.body).unwrap(), call.signature);
    }
    assert_eq!(house.states().await, [("webhook".to_owned(), "failed".to_owned())]);
    let one = house.app.store.deliveries(None, None, 1).await.unwrap().remove(0);
    let shown = format!("{one:?}");
    for hidden in [&secret[6..30], "canary-path-of-the-webhook", "\u{1b}"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    assert!(one.reply.len() <= 4200 && one.reply.starts_with("HTTP 503"), "{}", one.reply);
}

#[tokio::test]
async fn a_webhook_that_wants_no_more_is_turned_off_until_somebody_turns_it_on() {
    let house = House::new().await;
    let hook = house.hook().await;
    hook.answers(410, "gone");
    happens(&house, "one").await;
    house.after(10).await;
    hook.answers(204, "");
    happens(&house, "two").await;
    house.after(HOUR).await;
    assert_eq!(hook.take().len(), 1);
    let stored = house.app.store.notice_channels().await.unwrap();
    assert!(stored.channels.webhook_off.is_some());
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        turn_on: true,
        ..all()
    };
    save(&house.app, &input).await;
    happens(&house, "three").await;
    house.after(10).await;
    assert_eq!(hook.take().len(), 1);
}

/// A redirect could lead anywhere, with what was meant for one address.
#[tokio::test]
async fn a_webhook_follows_no_redirect() {
    let house = House::new().await;
    let hook = house.hook().await;
    hook.answers(307, "");
    happens(&house, "one").await;
    house.after(10).await;
    assert_eq!(hook.take().len(), 1);
    assert_eq!(house.states().await, [("webhook".to_owned(), "waiting".to_owned())]);
}

/// SSRF-1, SSRF-2, SSRF-6.
#[tokio::test]
async fn nothing_is_posted_or_mailed_to_where_connections_may_not_go() {
    let house = House::new().await;
    for bad in [
        "http://hooks.example/x",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://user:pw@hooks.example/x",
        "https://hooks.example/x#y",
        "https://8.8.8.8:22/x",
        "file:///etc/passwd",
    ] {
        let input = ChannelsInput {
            webhook: bad.into(),
            ..all()
        };
        let refused = channels::save(&house.app, &Actor::console(), &input).await;
        assert!(
            matches!(&refused, Err(ActionError::Fields(all)) if all[0].field == "webhook"),
            "{bad}: {:?}",
            refused.err()
        );
    }
    for (host, port) in [("169.254.169.254", "587"), ("10.0.0.1", "587"), ("8.8.8.8", "22")] {
        let input = ChannelsInput {
            host: host.into(),
            port: port.into(),
            security: "starttls".into(),
            from: "a@contoso.test".into(),
            ..all()
        };
        assert!(channels::save(&house.app, &Actor::console(), &input).await.is_err(), "{host}");
    }
    // Where a row says otherwise, the gate does.
    let hook = house.hook().await;
    house
        .sql("UPDATE notice_channels SET channels = REPLACE(channels, '127.0.0.1', '169.254.169.254')")
        .await;
    happens(&house, "one").await;
    house.after(10).await;
    assert!(hook.take().is_empty());
    assert_ne!(house.states().await[0].1, "delivered");
}

/// SEC-2, SEC-8.
#[tokio::test]
async fn a_secret_goes_nowhere_but_where_it_was_entered_for() {
    let house = House::new().await;
    let smtpd = Smtpd::default().start(None).await;
    let mut input = ChannelsInput {
        user: "console".into(),
        password: Some(Password::new(PASSWORD)),
        webhook: "https://hooks.example/one".into(),
        secret: Some(Password::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        ..by_mail(smtpd.port)
    };
    assert_eq!(save(&house.app, &input).await, None, "it was given");
    (input.password, input.secret) = (None, None);
    assert_eq!(save(&house.app, &input).await, None, "nothing changed");
    let stored = house.app.store.notice_channels().await.unwrap();
    assert!(stored.smtp_password.is_some() && stored.webhook_secret.is_some());
    input.webhook = "https://hooks.example/two".into();
    let made = save(&house.app, &input).await.expect("another address, another secret");
    assert_ne!(made, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    for change in [
        |input: &mut ChannelsInput| input.host = "localhost".into(),
        |input: &mut ChannelsInput| input.port = "1587".into(),
        |input: &mut ChannelsInput| input.user = "somebody".into(),
    ] {
        let mut changed = ChannelsInput {
            version: house.app.store.notice_channels().await.unwrap().version,
            recipients: input.recipients.clone(),
            host: input.host.clone(),
            port: input.port.clone(),
            security: input.security.clone(),
            user: input.user.clone(),
            from: input.from.clone(),
            webhook: input.webhook.clone(),
            ..all()
        };
        change(&mut changed);
        let refused = channels::save(&house.app, &Actor::console(), &changed).await;
        let Err(ActionError::Fields(problems)) = refused else {
            panic!("it was taken")
        };
        assert_eq!(problems[0].field, "password");
    }
    // A row that was changed past the console opens nothing.
    house
        .sql("UPDATE notice_channels SET channels = REPLACE(channels, 'hooks.example/#', 'evil.example/#')")
        .await;
    happens(&house, "one").await;
    house.after(10).await;
    let all = house.app.store.deliveries(None, None, 10).await.unwrap();
    let hook = all.iter().find(|one| one.channel.as_str() == "webhook").unwrap();
    assert!(hook.problem.as_deref().unwrap().contains("console-damaged"), "{hook:?}");
}

/// Whoever knows the address of a webhook may post there at most services: it stands nowhere in what a backup or a thief takes along, also
/// where it was saved before that was so.
#[tokio::test]
async fn the_address_of_the_webhook_is_sealed_and_one_from_before_is_sealed_too() {
    let house = House::new().await;
    let hook = Hook::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let plain = format!("{}/canary-in-the-path?key=canary-in-the-query", hook.url);
    let input = ChannelsInput {
        webhook: plain.clone(),
        secret: Some(Password::new(secret)),
        ..all()
    };
    save(&house.app, &input).await;
    let readable = async || {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT channels || COALESCE(webhook_address, '') || COALESCE(webhook_secret, '') FROM notice_channels")
                .fetch_all(house.app.store.raw_pool())
                .await
                .unwrap();
        rows.concat()
    };
    assert!(!readable().await.contains("canary-in"), "{}", readable().await);
    let now = house.app.store.notice_channels().await.unwrap();

    // As it was before.
    let place = Place {
        table: "notice_channels",
        column: "webhook_secret",
        row: "1",
        version: now.channels.secret_set.as_ref().unwrap().version,
        destination: &plain,
    };
    let (mark, sealed) = (&now.channels.webhook, house.app.vault.seal(&place, secret).0);
    let (before, after) = (mark.clone(), plain.clone());
    sqlx::query("UPDATE notice_channels SET channels = REPLACE(channels, $1, $2), webhook_secret = $3, webhook_address = NULL")
        .bind(before)
        .bind(after)
        .bind(sealed)
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    assert!(readable().await.contains("canary-in-the-path"));
    happens(&house, "one").await;
    house.after(10).await;
    let call = hook.take().remove(0);
    assert!(call.at.contains("canary-in-the-path?key=canary-in-the-query"), "{call:?}");
    assert_eq!(house.app.store.notice_channels().await.unwrap().channels, now.channels);
    assert!(!readable().await.contains("canary-in"), "{}", readable().await);
    // And its secret is the same.
    happens(&house, "two").await;
    house.after(10).await;
    assert_eq!(house.states().await.iter().filter(|(_, state)| state == "delivered").count(), 2);
}

/// F30: who died in the middle is followed by who knows what may have gone out and what has not.
#[tokio::test]
async fn what_a_dead_instance_had_begun_is_sent_unless_it_may_have_been() {
    for house in House::on_each().await {
        let smtpd = Smtpd::default();
        let messages = smtpd.messages.clone();
        let (server, hook) = (smtpd.start(None).await, Hook::start().await);
        let input = ChannelsInput {
            webhook: hook.url.clone(),
            ..by_mail(server.port)
        };
        save(&house.app, &input).await;
        // Nothing goes out yet: somebody else is said to be at it.
        for what in ["one", "two"] {
            happens(&house, what).await;
        }
        mailgrant::actions::notices::look(&house.app, &[]).await.unwrap();
        let waiting = house.app.store.deliveries(None, None, 100).await.unwrap();
        assert_eq!(waiting.len(), 6);
        house
            .sql("UPDATE deliveries SET state = 'sending', owner = 'a dead one', attempts = 1")
            .await;
        house
            .sql("UPDATE deliveries SET state = 'handing' WHERE recipient = 'ann@contoso.test'")
            .await;
        sent(&house.app).await;
        for _ in 0..3 {
            house.after(60).await;
        }
        let states = house.states().await;
        assert_eq!((times(&states, "unknown"), times(&states, "delivered")), (2, 4), "{states:?}");
        let got = messages.lock().unwrap().clone();
        assert_eq!(got.len(), 2, "{got:?}");
        assert!(got.iter().all(|mail| mail.contains("To: bob@")), "{got:?}");
        assert_eq!(hook.take().len(), 2);
        looked_and_sent(&house.another().await).await;
        assert_eq!(messages.lock().unwrap().len(), 2);
    }
}
