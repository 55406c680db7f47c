//! Told once, by one, and not again for nothing: what is sent once more by a person, what fails in several ways, what is changed.

use super::notices::{fail, mailboxes, work};
use super::notices_send::{by_mail, happens};
use super::sink::{House, all, save};
use crate::probe::imap_server::PASSWORD;
use crate::probe::smtp_server::Smtpd;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::actions::notices::again::{Again, again};
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::actions::notices::{send, test};
use mailgrant::clock::Timestamp;
use mailgrant::model::audit::{Actor, Break, Chain, Checked};
use mailgrant::model::notices::Channel;
use mailgrant::model::report::Direction;
use mailgrant::store::rests::Rest;
use mailgrant::worker::{deliveries, notices};
use tokio::net::TcpListener;

const HOUR: i64 = 3600;

/// A button that is pressed twice: both would send the same mail.
#[tokio::test]
async fn send_again_pressed_twice_sends_once_whatever_else_is_being_sent() {
    let house = House::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut input = by_mail(listener.local_addr().unwrap().port());
    input.recipients = "ann@contoso.test".into();
    save(&house.app, &input).await;
    happens(&house, "one").await;
    notices::tick(&house.app).await.unwrap();
    house.sql("UPDATE deliveries SET state = 'failed', attempts = 3").await;
    let stored = house.app.store.notice_channels().await.unwrap();
    let id = house.app.store.deliveries(None, None, 1).await.unwrap().remove(0).id;

    let (app, its, of) = (house.app.clone(), stored.clone(), id.clone());
    let first = tokio::spawn(async move { again(&app, &Actor::console(), &its, &of).await });
    let hangs = listener.accept().await.unwrap();
    // The second press was on its way when the first one came: it looks at the row it read before.
    house.sql("UPDATE deliveries SET state = 'failed'").await;
    let second = again(&house.app, &Actor::console(), &stored, &id).await.unwrap();
    assert!(matches!(&second, Again::Refused(why) if why == "It is being sent already."));
    house.sql("UPDATE deliveries SET state = 'sending'").await;
    for _ in 0..2 {
        deliveries::tick(&house.app, Channel::Mail).await.unwrap();
    }
    let one = house.app.store.delivery(&id).await.unwrap().unwrap();
    assert_eq!(
        (one.state.as_str(), one.attempts),
        ("sending", 4),
        "nobody takes it from who sends it"
    );
    first.abort();
    drop(hangs);
}

/// A server that is away times out, then refuses, then sends nonsense: that is no news each time.
#[tokio::test]
async fn a_server_that_fails_in_changing_ways_is_one_cause() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 3).await;
    let mut told = Vec::new();
    for (title, step) in [
        ("The server does not answer", "tcp"),
        ("The server refuses connections", "tcp"),
        ("No secure connection", "tls"),
        ("The server does not answer", "tcp"),
    ] {
        fail(&house, "1 = 1", title, step, 4).await;
        house.after(900).await;
        told.extend(hook.take().iter().map(|call| (call.kind(), call.subject())));
    }
    let expected = "3 mailboxes can't be read since 08:00: the server does not answer".to_owned();
    assert_eq!(told, [("mailbox.failing".to_owned(), expected)]);
    // What one account's server says of its password is another cause.
    fail(&house, "name = 'box-1'", "The password is wrong", "auth", 4).await;
    house.after(60).await;
    assert_eq!(hook.take().len(), 1);
    work(&house, "1 = 1").await;
    house.after(60).await;
    let calls = hook.take();
    assert_eq!(calls.len(), 2, "{calls:?}");
    let text = calls.iter().map(|call| call.body.as_str()).collect::<String>();
    assert!(
        text.contains("3 mailboxes can be read again: box-0@contoso.test, box-1@contoso.test and box-2@contoso.test."),
        "{text}"
    );
    assert!(
        text.contains("It was: 3 mailboxes can't be read since 08:00: the server does not answer."),
        "{text}"
    );
}

/// One account whose token can't be had was told days ago, and nobody mended it. That the provider is down now is something else.
#[tokio::test]
async fn an_outage_is_told_though_something_small_at_the_same_server_was_told_before() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 40).await;
    fail(&house, "name = 'box-0'", "The app may not read this mailbox", "claims", 4).await;
    house.after(60).await;
    assert_eq!(hook.take().len(), 1);
    house.after(72 * HOUR).await;
    hook.take();
    fail(&house, "name IN ('box-1', 'box-2', 'box-3')", "The provider is down", "claims", 4).await;
    house.after(60).await;
    let told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("3 mailboxes can't be read") && told[0].ends_with("the provider is down"),
        "{told:?}"
    );
    // Those that are found hours later are hit by the same.
    house.after(5 * HOUR).await;
    hook.take();
    fail(&house, "name <> 'box-0'", "The provider is down", "claims", 4).await;
    house.after(60).await;
    let told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
    assert!(told.is_empty(), "{told:?}");
}

/// All but one came back, so the message stayed open for that one. The next outage is news for the others all the same.
#[tokio::test]
async fn a_second_outage_is_told_though_one_never_recovered_from_the_first() {
    let house = House::new().await;
    let hook = house.hook().await;
    mailboxes(&house, 20).await;
    let others = "name <> 'box-0'";
    let mut told = Vec::new();
    fail(&house, "1 = 1", "The server does not answer", "tcp", 4).await;
    house.after(60).await;
    told.push(hook.take().len());
    fail(&house, "name = 'box-0'", "The app may not read this mailbox", "claims", 5).await;
    work(&house, others).await;
    house.after(900).await;
    told.push(hook.take().len());
    house.after(72 * HOUR).await;
    hook.take();
    fail(&house, others, "The server does not answer", "tcp", 4).await;
    house.after(60).await;
    let again: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
    assert_eq!(told, [1, 0]);
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0].starts_with("19 mailboxes can't be read"), "{again:?}");
}

/// A log that is mended at one entry and broken at another isn't intact.
#[tokio::test]
async fn another_bad_entry_in_the_audit_log_is_no_all_clear() {
    let house = House::new().await;
    let hook = house.hook().await;
    let mut told = Vec::new();
    for broken in [Some(510), Some(500), None] {
        let found = Checked {
            at: Timestamp(house.now()),
            chain: Chain {
                first: 1,
                last: 900,
                head: String::new(),
                broken: broken.map(|sequence| Break {
                    sequence,
                    what: "it was changed".to_owned(),
                }),
            },
        };
        let mut tx = house.app.store.begin().await.unwrap();
        tx.note_audit_checked(&found).await.unwrap();
        tx.commit().await.unwrap();
        house.after(60).await;
        told.push(hook.take().iter().map(|call| call.subject()).collect::<Vec<_>>());
    }
    assert_eq!(
        told,
        [
            ["The audit log can't be trusted from entry 510 on"],
            ["The audit log can't be trusted from entry 500 on"],
            ["The audit log is intact again"]
        ]
    );
}

/// Signing in again and again with a password that is refused locks the account. Who tests wants to know all the same.
#[tokio::test]
async fn notices_dont_try_a_password_that_the_checks_leave_in_peace() {
    let house = House::new().await;
    let smtpd = Smtpd::default();
    let mails = smtpd.messages.clone();
    let server = smtpd.start(None).await;
    let mut mailbox = records::mailbox("sender", None, Some(server.port), PASSWORD);
    mailbox.enabled = true;
    let edit = check_mailbox(&mailbox, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    house.sql("UPDATE mailboxes SET next_check_at = 9999999999").await;
    let input = ChannelsInput {
        recipients: "ann@contoso.test".into(),
        mailbox: "sender".into(),
        ..all()
    };
    save(&house.app, &input).await;
    let mut tx = house.app.store.begin().await.unwrap();
    let rest = Rest {
        direction: Direction::Outgoing,
        refused: 1,
        until: Timestamp(house.now() + HOUR),
    };
    tx.put_rest(&mailbox.id, rest).await.unwrap();
    tx.commit().await.unwrap();
    happens(&house, "one").await;
    for _ in 0..5 {
        house.after(600).await;
    }
    assert_eq!(server.connections(), 0);
    let one = house.app.store.deliveries(None, None, 10).await.unwrap().remove(0);
    assert_eq!(one.state.as_str(), "waiting", "{one:?}");
    assert!(one.reply.contains("refused the password"), "{one:?}");

    let stored = house.app.store.notice_channels().await.unwrap();
    let wanted = test(&house.app, &stored, Channel::Mail).await.unwrap().remove(0);
    let tested = send::send_now(&house.app, &stored, wanted).await.unwrap();
    assert_eq!(tested.state.as_str(), "delivered");
    // The password is taken again, so the rest need not wait.
    house.after(10).await;
    let mails = mails.lock().unwrap().concat();
    assert!(mails.contains("Subject: Consent given for one\n"), "{mails}");
}

/// A mailbox that is turned off is checked by nobody, so it is the notices that find out that its password is refused: one of them, and not
/// each for each recipient.
#[tokio::test]
async fn a_refused_password_is_tried_once_by_notices_too_and_once_more_when_it_was_mended() {
    let house = House::new().await;
    house
        .sql("INSERT INTO settings (name, value) VALUES ('checks.interval_minutes', '1440')")
        .await;
    let server = Smtpd::default().on("AUTH", "535 5.7.8 no").start(None).await;
    let input = records::mailbox("sender", None, Some(server.port), PASSWORD);
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let channels = ChannelsInput {
        recipients: "ann@contoso.test\nbob@contoso.test\ncleo@contoso.test".into(),
        mailbox: "sender".into(),
        ..all()
    };
    save(&house.app, &channels).await;
    happens(&house, "one").await;
    for _ in 0..5 {
        house.after(3600).await;
    }
    assert_eq!(server.connections(), 1);
    let waiting = house.app.store.deliveries(None, None, 10).await.unwrap();
    assert!(
        waiting.iter().all(|one| one.state.as_str() == "waiting" && one.attempts < 9),
        "{waiting:?}"
    );

    let good = Smtpd::default();
    let mails = good.messages.clone();
    let good = good.start(None).await;
    let input = records::mailbox("sender", None, Some(good.port), PASSWORD);
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    assert!(
        mailboxes::update(&house.app, &Actor::console(), &mailbox.name, mailbox.version, edit)
            .await
            .unwrap()
    );
    house.after(10).await;
    assert_eq!(mails.lock().unwrap().len(), 3, "what waited doesn't wait for hours");
}

/// A test with a password that is refused signs in once, and reaches everybody through the server to fall back on.
#[tokio::test]
async fn a_test_tries_a_refused_password_once_and_goes_the_other_way_for_all() {
    let house = House::new().await;
    let (bad, good) = (Smtpd::default().on("AUTH", "535 5.7.8 no"), Smtpd::default());
    let mails = good.messages.clone();
    let (bad, good) = (bad.start(None).await, good.start(None).await);
    let input = records::mailbox("sender", None, Some(bad.port), PASSWORD);
    mailboxes::create(&house.app, &Actor::console(), check_mailbox(&input, &house.app.gate).unwrap())
        .await
        .unwrap();
    let mut channels = by_mail(good.port);
    channels.mailbox = "sender".into();
    channels.recipients = "ann@contoso.test\nbob@contoso.test\ncleo@contoso.test".into();
    save(&house.app, &channels).await;
    let stored = house.app.store.notice_channels().await.unwrap();
    let all = test(&house.app, &stored, Channel::Mail).await.unwrap();
    send::send_all_now(&house.app, &stored, all).await.unwrap();
    assert_eq!((bad.connections(), mails.lock().unwrap().len()), (1, 3));
}

/// Whoever mends the way of the mails doesn't wait for hours to see whether it works.
#[tokio::test]
async fn what_waits_is_tried_at_once_when_the_way_of_the_mails_is_changed() {
    let house = House::new().await;
    let (bad, good) = (Smtpd::default().on("MAIL", "451 4.3.0 later"), Smtpd::default());
    let mails = good.messages.clone();
    let (bad, good) = (bad.start(None).await, good.start(None).await);
    let mut input = by_mail(bad.port);
    input.recipients = "ann@contoso.test".into();
    save(&house.app, &input).await;
    happens(&house, "one").await;
    for _ in 0..6 {
        house.after(3 * HOUR).await;
    }
    let waits = house.app.store.deliveries(None, None, 10).await.unwrap().remove(0);
    assert!(waits.next_at.0 > house.now() + HOUR, "{waits:?}");
    input.port = good.port.to_string();
    save(&house.app, &input).await;
    house.after(10).await;
    assert_eq!(mails.lock().unwrap().len(), 1);
    let stored = house.app.store.notice_channels().await.unwrap();
    let dead = mailgrant::actions::notices::dead(&house.app, &stored).await.unwrap();
    assert!(dead.is_none(), "{dead:?}");
}

/// A receiver that takes one message and wants a pause before the next must get that pause, or the next ones are given up.
#[tokio::test]
async fn a_webhook_that_wants_fewer_messages_is_left_its_pauses() {
    let house = House::new().await;
    let hook = house.hook().await;
    for what in ["one", "two"] {
        hook.answers(429, "slower");
        happens(&house, what).await;
        house.after(1).await;
        assert!(!hook.take().is_empty());
        hook.answers(204, "");
        happens(&house, &format!("{what} more")).await;
        house.after(1).await;
        let told: Vec<String> = hook.take().iter().map(|call| call.subject()).collect();
        assert_eq!(told, [format!("Consent given for {what} more")]);
    }
    house.after(120).await;
    assert_eq!(hook.take().len(), 2);
}
