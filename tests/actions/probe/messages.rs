//! The test message: where it goes, how often, and what is said where its fate is unknown.

use super::super::House;
use super::{order, until};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::smtp_server::Smtpd;
use mailgrant::actions::probe::{self, Options, Order, ProbeError};
use mailgrant::model::audit::Actor;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::{RunId, UserId};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_unknown_send_result_says_so_and_nothing_is_sent_twice() {
    for (taken, stopped) in [("close", false), ("wait", true)] {
        let house = House::new().await;
        let smtpd = Smtpd {
            taken: taken.to_owned(),
            ..Smtpd::default()
        };
        let messages = Arc::clone(&smtpd.messages);
        let server = smtpd.start(None).await;
        let mailbox = house.mailbox("support", None, Some(&server), PASSWORD).await;
        let run = probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Outgoing))
            .await
            .unwrap();
        let live = house.app.probes.live(&run).unwrap();
        if stopped {
            until("handed over", || messages.lock().unwrap().len() == 1).await;
            probe::stop(&house.app, &run);
        }
        let ended = live.end().await.unwrap();
        assert_eq!(
            (
                ended.run.outcome.as_str(),
                ended.run.failed_step.as_deref(),
                ended.run.diagnosis_id.as_deref()
            ),
            ("failed", Some("data"), Some("console-send-unknown")),
            "{taken}"
        );
        assert_eq!((messages.lock().unwrap().len(), server.connections()), (1, 1), "{taken}");
    }
}

#[tokio::test]
async fn the_test_message_goes_to_the_mailbox_itself_and_to_nobody_else() {
    let house = House::new().await;
    let smtpd = Smtpd::default();
    let messages = Arc::clone(&smtpd.messages);
    let server = smtpd.start(None).await;
    let mailbox = house.mailbox("support", None, Some(&server), PASSWORD).await;
    let ended = house.run(order(&mailbox, Direction::Outgoing)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    let heard = server.heard().join("\n");
    assert!(
        heard.contains("RCPT TO:<support@contoso.test>") && !heard.contains("archive"),
        "{heard}"
    );
    let message = messages.lock().unwrap()[0].clone();
    assert!(
        message.contains("Subject: Test ") && message.contains(" from Mailgrant"),
        "{message}"
    );
    let with_copy = Options {
        bcc: true,
        login_only: false,
        ..Options::default()
    };
    house
        .run(Order {
            options: with_copy,
            ..order(&mailbox, Direction::Outgoing)
        })
        .await;
    assert!(server.heard().join("\n").contains("RCPT TO:<archive@contoso.test>"));
    let subjects: Vec<String> = messages
        .lock()
        .unwrap()
        .iter()
        .flat_map(|message| message.lines().find(|line| line.starts_with("Subject: ")).map(str::to_owned))
        .collect();
    assert!(subjects.len() == 2 && subjects[0] != subjects[1], "{subjects:?}");
}

#[tokio::test]
async fn a_sent_message_is_looked_for_in_the_incoming_side() {
    let house = House::new().await;
    let imap = Imapd::default().on("UID SEARCH HEADER", "* SEARCH\n{t} OK done").start(None).await;
    let smtp = Smtpd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&imap), Some(&smtp), PASSWORD).await;
    let options = Options {
        wait: Some(Duration::from_millis(300)),
        ..Options::default()
    };
    let ended = house
        .run(Order {
            options: options.clone(),
            ..order(&mailbox, Direction::Outgoing)
        })
        .await;
    assert_eq!(ended.run.failed_step.as_deref(), Some("arrived"), "{:?}", ended.report);
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-not-arrived"));
    // Mail to somebody else can't be found here, so nobody looks.
    let elsewhere = Options {
        to: Some("other@contoso.test".into()),
        ..options
    };
    let ended = house
        .run(Order {
            options: elsewhere,
            ..order(&mailbox, Direction::Outgoing)
        })
        .await;
    assert_eq!(ended.run.outcome, "passed");
    assert!(ended.report.steps.iter().all(|step| step.step.as_str() != "arrived"));
}

#[tokio::test]
async fn a_login_only_test_sends_nothing() {
    let house = House::new().await;
    let smtpd = Smtpd::default();
    let messages = Arc::clone(&smtpd.messages);
    let server = smtpd.start(None).await;
    let mailbox = house.mailbox("support", None, Some(&server), PASSWORD).await;
    let options = Options {
        login_only: true,
        ..Options::default()
    };
    let ended = house
        .run(Order {
            options,
            ..order(&mailbox, Direction::Outgoing)
        })
        .await;
    assert_eq!(ended.report.outcome, Outcome::Passed);
    assert_eq!(ended.report.steps.last().unwrap().step.as_str(), "auth");
    assert!(messages.lock().unwrap().is_empty() && !server.heard().join("\n").contains("MAIL FROM"));
}

#[tokio::test]
async fn messages_to_others_are_written_down_and_twenty_an_hour() {
    let house = House::new().await;
    let server = Smtpd::default().start(None).await;
    let mailbox = house.mailbox("support", None, Some(&server), PASSWORD).await;
    let to = |to: Option<&str>, user: &str| Order {
        options: Options {
            from: Some("ceo@contoso.test".into()),
            to: to.map(str::to_owned),
            subject: Some("Urgent invoice".into()),
            wait: None,
            ..Options::default()
        },
        user: Some(UserId(user.into())),
        ..order(&mailbox, Direction::Outgoing)
    };
    let elsewhere = Some("victim@elsewhere.test");
    for _ in 0..20 {
        house.run(to(elsewhere, "olli")).await;
    }
    let refused = probe::start(&house.app, &Actor::console(), to(elsewhere, "olli")).await;
    assert!(matches!(refused, Err(ProbeError::MessagesTooOften(3600))), "{refused:?}");
    assert_eq!(
        house.refusals().await,
        ["outgoing: too many test messages to other addresses; the next one can be sent in 3600 seconds"]
    );
    let heard = server.heard().join("\n");
    assert_eq!(heard.matches("RCPT TO:<victim@elsewhere.test>").count(), 20);
    // To the mailbox itself, and for others, as before.
    let ended = house.run(to(None, "olli")).await;
    house.run(to(elsewhere, "maija")).await;
    let rows = house.app.store.audit_rows(1000).await.unwrap();
    let detail = |run: &RunId| {
        let row = rows.iter().find(|row| row.detail.contains(run.as_str()));
        row.unwrap().detail.clone()
    };
    assert_eq!(
        detail(&ended.run.id),
        format!(
            "outgoing, run {}, message from ceo@contoso.test to support@contoso.test, subject: Urgent invoice",
            ended.run.id
        )
    );
    let abroad = "message from ceo@contoso.test to victim@elsewhere.test, subject: Urgent invoice";
    assert_eq!(rows.iter().filter(|row| row.detail.ends_with(abroad)).count(), 21);
}
