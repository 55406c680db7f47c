//! Notices in trouble of the console's own: a mailbox that fails once, a row that can't be read, a death between two servers, a long list.

use super::sink::{Hook, House, all, save};
use crate::probe::imap_server::PASSWORD;
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::actions::notices::consented;
use mailgrant::model::audit::Actor;
use std::time::Duration;

const HOUR: i64 = 3600;

/// A mailbox that notices go out through.
async fn sender(house: &House, server: &Server) {
    let mut input = records::mailbox("sender", None, Some(server.port), PASSWORD);
    input.enabled = true;
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    house.sql("UPDATE mailboxes SET next_check_at = 9999999999").await;
}

fn through_mailbox() -> ChannelsInput {
    ChannelsInput {
        recipients: "ann@contoso.test".into(),
        mailbox: "sender".into(),
        ..all()
    }
}

async fn happens(house: &House, what: &str) {
    let mut tx = house.app.store.begin().await.unwrap();
    consented(&house.app, &mut tx, "Maija", what, format!("/tokens/{what}"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn kinds(hook: &Hook) -> Vec<String> {
    hook.take().iter().map(|call| call.kind()).collect()
}

/// As often as for any mailbox; and one that nobody checks any more works as soon as a mail goes through it.
#[tokio::test]
async fn one_failed_check_of_the_mailbox_that_sends_is_no_dead_way() {
    let house = House::new().await;
    let hook = Hook::start().await;
    let server = Smtpd::default().start(None).await;
    sender(&house, &server).await;
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        ..through_mailbox()
    };
    save(&house.app, &input).await;
    let now = house.now();
    let failed = |times: i64| {
        format!(
            "UPDATE mailboxes SET outgoing_outcome = 'failed', outgoing_problem = 'The server is not reached', outgoing_tested_at = {now},
             failed_checks = {times}, failing_since = {now}"
        )
    };
    house.sql(failed(1)).await;
    house.after(60).await;
    assert!(kinds(&hook).is_empty(), "one check has failed");
    house.sql(failed(2)).await;
    house.after(60).await;
    assert!(kinds(&hook).contains(&"notices.mail_dead".to_owned()));
    // It is turned off: nobody looks any more, and mail goes through it.
    house.sql("UPDATE mailboxes SET enabled = 0").await;
    house.after(HOUR).await;
    assert!(
        !kinds(&hook).contains(&"recovered".to_owned()),
        "that nobody looks is no proof that it works"
    );
    happens(&house, "support").await;
    house.after(60).await;
    house.after(60).await;
    let told = hook.take();
    assert!(
        told.iter().any(|call| call.subject() == "Notifications are mailed again"),
        "{told:#?}"
    );
}

/// A row that this version can't read keeps no other message from going out, and no look from being made.
#[tokio::test]
async fn a_mailbox_that_cant_be_read_silences_nothing() {
    let house = House::new().await;
    let hook = Hook::start().await;
    let good = Smtpd::default();
    let messages = good.messages.clone();
    let good = good.start(None).await;
    sender(&house, &good).await;
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        ..through_mailbox()
    };
    save(&house.app, &input).await;
    house.sql("UPDATE mailboxes SET outgoing_protocol = 'pigeon'").await;
    for number in 0..9 {
        happens(&house, &format!("thing-{number}")).await;
    }
    for _ in 0..4 {
        house.after(15).await;
    }
    let told = kinds(&hook);
    assert_eq!(told.iter().filter(|kind| *kind == "consent.given").count(), 9, "{told:?}");
    let mails = house.app.store.deliveries(None, None, 100).await.unwrap();
    for mail in mails.iter().filter(|one| one.channel.as_str() == "mail") {
        assert_eq!((mail.state.as_str(), mail.attempts), ("waiting", 1), "{mail:?}");
        assert!(mail.problem.is_some() && mail.next_at.0 > house.now(), "{mail:?}");
    }
    assert!(told.contains(&"notices.mail_dead".to_owned()), "and it is told");
    // Another server takes them, as for any mailbox that fails.
    let input = ChannelsInput {
        webhook: hook.url.clone(),
        host: "127.0.0.1".into(),
        port: good.port.to_string(),
        security: "none".into(),
        from: "console@contoso.test".into(),
        mailbox: String::new(),
        ..through_mailbox()
    };
    save(&house.app, &input).await;
    let with_mailbox = "UPDATE notice_channels SET channels = REPLACE(channels, '\"mailbox\":\"\"', '\"mailbox\":\"' || (SELECT id FROM mailboxes) || '\"')";
    house.sql(with_mailbox).await;
    house.after(HOUR).await;
    assert_eq!(messages.lock().unwrap().len(), 9);
    house.after(60).await;
    let all = messages.lock().unwrap().clone();
    assert!(
        all[9..].iter().any(|mail| mail.contains("Notifications are mailed again")),
        "{all:?}"
    );
}

/// The mailbox's server has refused the message: whoever dies before the other server has it hasn't sent it.
#[tokio::test]
async fn what_the_mailbox_refused_is_still_here_while_the_other_server_is_called() {
    let house = House::new().await;
    let bad = Smtpd {
        taken: "554 5.7.1 no".into(),
        ..Smtpd::default()
    };
    let bad = bad.start(None).await;
    sender(&house, &bad).await;
    // It takes the connection and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let input = ChannelsInput {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port().to_string(),
        security: "none".into(),
        from: "console@contoso.test".into(),
        ..through_mailbox()
    };
    save(&house.app, &input).await;
    happens(&house, "support").await;
    let look = async {
        let called = tokio::time::timeout(Duration::from_secs(20), silent.accept()).await;
        let (connection, _) = called.expect("the other server is called").unwrap();
        let states = house.states().await;
        drop(connection);
        states
    };
    let ((), states) = tokio::join!(house.after(10), look);
    assert_eq!(
        states,
        [("mail".to_owned(), "sending".to_owned())],
        "\"handing\" means that nobody knows"
    );
}

/// AUD-1: whoever changes where notices go can't hide it behind a long list.
#[tokio::test]
async fn every_change_of_where_notices_go_is_in_the_audit_log() {
    let house = House::new().await;
    let hook = Hook::start().await;
    let before = ChannelsInput {
        recipients: (0..20)
            .map(|number| format!("{}-{number}@contoso.test\n", "a".repeat(60)))
            .collect(),
        webhook: hook.url.clone(),
        host: "smtp.contoso.test".into(),
        port: "587".into(),
        security: "starttls".into(),
        from: "console@contoso.test".into(),
        ..all()
    };
    save(&house.app, &before).await;
    let last = house.app.store.audit_rows(1).await.unwrap()[0].sequence;
    let after = ChannelsInput {
        recipients: (0..20)
            .map(|number| format!("{}-{number}@contoso.test\n", "b".repeat(60)))
            .collect(),
        webhook: "https://elsewhere.contoso.test/hook".into(),
        new_secret: true,
        host: "mallory.test".into(),
        mail_events: vec![],
        quiet_from: "00:00".into(),
        quiet_until: "23:59".into(),
        failing_after: "10".into(),
        ..before
    };
    save(&house.app, &after).await;
    let rows = house.app.store.audit_rows(100).await.unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row.sequence > last).rev().collect();
    assert!(
        rows.iter()
            .all(|row| row.action == "settings.change" && row.target == "setting:notifications")
    );
    let all = rows.iter().map(|row| row.detail.as_str()).collect::<Vec<_>>().join("\n");
    for words in [
        "elsewhere.contoso.test",
        "webhook secret changed",
        "mallory.test",
        "quiet hours",
        "failed checks 2 → 10",
        "mailed",
        "20 removed",
        "20 added",
    ] {
        assert!(all.contains(words), "{words} is missing in {all}");
    }
    for number in 0..20 {
        let added = format!("{}-{number}@contoso.test", "b".repeat(60));
        assert!(all.contains(&added), "who is told now is in it: {all}");
    }
    assert!(
        rows[0].detail.contains("elsewhere.contoso.test"),
        "first what says where it goes: {}",
        rows[0].detail
    );
    assert!(rows.iter().all(|row| row.detail.chars().count() < 1000), "nothing is cut");
}
