//! Runs of *Test incoming* and *Test outgoing*: what is stored, shown, limited, stopped and kept secret.

mod limits;
mod messages;
mod tokens;

use super::{House, input};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::pop3_server::Popd;
use crate::probe::server::{Peer, Server};
use crate::probe::smtp_server::Smtpd;
use mailgrant::actions::mailboxes::{self, MailboxError, MailboxInput, SideInput, check_mailbox};
use mailgrant::actions::probe::{self, Ended, Options, Order};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::secret::Password;
use std::sync::Arc;
use std::time::Duration;

fn order(mailbox: &Mailbox, direction: Direction) -> Order {
    Order {
        mailbox: mailbox.clone(),
        draft: false,
        direction,
        options: Options::default(),
        user: None,
    }
}

impl House {
    async fn run(&self, order: Order) -> Arc<Ended> {
        probe::run_to_end(&self.app, &Actor::console(), order).await.unwrap()
    }

    /// What the audit log says of tests that were refused.
    async fn refusals(&self) -> Vec<String> {
        let rows = self.app.store.audit_rows(1000).await.unwrap();
        let refused = rows
            .into_iter()
            .filter(|row| (row.action.as_str(), row.outcome.as_str()) == ("mailbox.test", "refused"));
        refused.map(|row| row.detail).collect()
    }

    /// Everything the database file and its log hold, as text.
    fn files(&self) -> String {
        let dir = self.dir.path().join("data");
        std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

/// Waits until something is so.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// A server that greets and then says nothing more.
async fn silent(greeting: &'static str) -> Server {
    Server::start(None, move |mut peer: Peer| async move {
        peer.say(greeting).await?;
        peer.wait().await
    })
    .await
}

#[tokio::test]
async fn a_passed_run_is_kept_with_its_settings_and_senders_stay_sealed() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    assert_eq!((ended.messages.newest.len(), ended.messages.oversized.len()), (3, 1));

    let stored = house.app.store.run(&ended.run.id).await.unwrap().unwrap();
    assert_eq!((stored.outcome.as_str(), stored.finished_at.is_some()), ("passed", true));
    assert!(!stored.report.contains("Grüße") && !stored.report.contains("ann@contoso.test"));
    assert_eq!(probe::open_messages(&house.app, &stored).unwrap(), ended.messages);
    let settings = probe::stored_settings(&stored);
    assert_eq!(settings.get("Incoming sign-in"), Some("password, set once"));
    let now = probe::settings_of(&house.app, &mailbox, Direction::Incoming).await.unwrap();
    assert_eq!(settings.changes(&now), []);

    let whole = ended.whole_report();
    assert_eq!(whole.facts["newest"][0]["subject"], "Grüße");
    let after = house.stored(&mailbox).await;
    assert_eq!(
        (after.state, after.incoming_state.run.as_ref()),
        (MailboxState::Working, Some(&ended.run.id))
    );
    assert_eq!(house.app.probes.count(), 0);

    let everything = format!(
        "{}{:?}{}",
        stored.report,
        house.app.store.audit_rows(20).await.unwrap(),
        house.files()
    );
    for secret in [PASSWORD, "Grüße"] {
        assert!(!everything.contains(secret), "{secret} is in the clear somewhere");
    }
}

#[tokio::test]
async fn a_failed_run_says_why_in_the_mailbox_too() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&server), None, "wrong").await;
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(
        (ended.run.outcome.as_str(), ended.run.failed_step.as_deref()),
        ("failed", Some("auth"))
    );
    let diagnosis = ended.report.diagnosis.clone().unwrap();
    let after = house.stored(&mailbox).await;
    assert_eq!(after.state, MailboxState::Failing);
    assert_eq!(after.incoming_state.problem.as_deref(), Some(diagnosis.title.as_str()));
    assert!(after.failing_since.is_some());
    assert!(!serde_json::to_string(&ended.report).unwrap().contains("wrong\""));
}

/// Words nobody has seen before still name what they are about: the step tells.
#[tokio::test]
async fn a_refusal_in_unknown_words_is_named_by_its_step() {
    let house = House::new().await;
    for (at, command, answer, cause, retryable) in [
        ("a", "MAIL", "550 5.7.99 Not this one", "console-sender-refused", false),
        (
            "b",
            "RCPT",
            "550 5.7.1 no mail leaves this machine",
            "console-recipient-refused",
            false,
        ),
        ("c", "RCPT", "450 4.2.99 come back later", "console-smtp-later", true),
        ("d", "DATA", "554 5.6.99 moon phase", "console-message-refused", false),
        (
            "e",
            "AUTH",
            "535 5.7.8 Error: authentication failed",
            "console-password-refused",
            false,
        ),
    ] {
        let server = Smtpd::default().on(command, answer).start(None).await;
        let mailbox = house.mailbox(at, None, Some(&server), PASSWORD).await;
        let ended = house.run(order(&mailbox, Direction::Outgoing)).await;
        let diagnosis = ended.report.diagnosis.clone().unwrap();
        assert_eq!(
            (diagnosis.id.as_str(), diagnosis.retryable),
            (cause, retryable),
            "{command} {answer}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_comes_with_the_command_to_try() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let port = server.port;
    drop(server);
    let diagnosis = house
        .run(order(&mailbox, Direction::Incoming))
        .await
        .report
        .diagnosis
        .clone()
        .unwrap();
    let remedies = diagnosis.remedy.join(" ");
    assert!(
        remedies.contains(&format!("127.0.0.1 {port}")) && !remedies.contains('<'),
        "{remedies}"
    );
}

#[tokio::test]
async fn a_password_moved_to_another_mailbox_is_damaged_and_the_other_goes_on() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let one = house.mailbox("one", Some(&server), None, PASSWORD).await;
    let two = house.mailbox("two", Some(&server), None, PASSWORD).await;
    let swap = "UPDATE mailboxes SET incoming_password = (SELECT incoming_password FROM mailboxes WHERE name = 'two') WHERE name = 'one'";
    sqlx::query(swap).execute(house.app.store.raw_pool()).await.unwrap();
    let ended = house.run(order(&house.stored(&one).await, Direction::Incoming)).await;
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-damaged"), "{:?}", ended.report);
    assert_eq!(server.connections(), 0);
    let after = house.stored(&one).await;
    assert_eq!(after.state, MailboxState::Failing);
    assert!(after.incoming_state.problem.is_some());
    let told = house.app.store.audit_rows_of("mailbox:one", 5).await.unwrap();
    assert!(told.iter().any(|row| row.action == "mailbox.test"), "{told:?}");
    let ended = house.run(order(&two, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
}

#[tokio::test]
async fn no_password_is_said_before_anybody_is_connected_to() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mut input = input("support", Some(&server), None, "");
    input.incoming.as_mut().unwrap().password = None;
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    let line: Vec<String> = ended.report.steps.iter().map(|s| format!("{} {}", s.step, s.outcome)).collect();
    assert_eq!(
        line[..5],
        [
            "dns skipped",
            "tcp skipped",
            "greeting skipped",
            "capability skipped",
            "auth failed"
        ]
    );
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-password-missing"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_change_during_the_run_leaves_the_new_settings_untested() {
    let house = House::new().await;
    let hang_up = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&hang_up);
    let server = Server::start(None, move |mut peer: Peer| {
        let told = Arc::clone(&told);
        async move {
            peer.say("* OK ready").await?;
            told.notified().await;
            Ok(())
        }
    })
    .await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
        .await
        .unwrap();
    until("connected", || server.connections() == 1).await;
    let changed = MailboxInput {
        display_name: "Support".into(),
        ..MailboxInput::of(&mailbox)
    };
    let edit = check_mailbox(&changed, &house.app.gate).unwrap();
    assert!(
        mailboxes::update(&house.app, &Actor::console(), &mailbox.name, 1, edit)
            .await
            .unwrap()
    );
    let live = house.app.probes.live(&run).unwrap();
    hang_up.notify_one();
    let ended = live.end().await.unwrap();
    assert_eq!(ended.run.outcome, "failed");
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::NotTested);
}

#[tokio::test]
async fn stopping_frees_the_connection_and_says_nothing_about_the_mailbox() {
    let house = House::new().await;
    let server = silent("* OK ready").await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
        .await
        .unwrap();
    until("connected", || server.open() == 1).await;
    let live = house.app.probes.live(&run).unwrap();
    assert!(probe::stop(&house.app, &run));
    let ended = live.end().await.unwrap();
    assert_eq!(ended.run.outcome, "stopped");
    assert_eq!(ended.report.diagnosis.as_ref().unwrap().id, "console-stopped");
    until("disconnected", || server.open() == 0).await;
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::NotTested);
    assert!(!probe::stop(&house.app, &run), "it runs no more");
}

#[tokio::test]
async fn unsaved_settings_never_get_a_stored_secret_for_another_server() {
    let house = House::new().await;
    let (saved, other) = (Imapd::default().start(None).await, Imapd::default().start(None).await);
    let mailbox = house.mailbox("support", Some(&saved), None, PASSWORD).await;
    let mut changed = MailboxInput::of(&mailbox);
    changed.incoming.as_mut().unwrap().port = other.port.to_string();
    let edit = check_mailbox(&changed, &house.app.gate).unwrap();
    let refused = mailboxes::prepare(&house.app, edit, Some(&mailbox)).await;
    assert!(matches!(refused, Err(MailboxError::Fields(_))));

    // The same server with another folder may have it, and leaves no trace in the mailbox.
    let mut folder = MailboxInput::of(&mailbox);
    folder.folder = "Junk".into();
    let edit = check_mailbox(&folder, &house.app.gate).unwrap();
    let draft = mailboxes::prepare(&house.app, edit, Some(&mailbox)).await.unwrap();
    let ended = house
        .run(Order {
            draft: true,
            ..order(&draft, Direction::Incoming)
        })
        .await;
    let signed_in = ended.report.steps.iter().find(|step| step.step.as_str() == "auth").unwrap();
    assert_eq!(signed_in.outcome, Outcome::Passed, "{:?}", ended.report);
    assert_eq!((ended.run.draft, ended.run.mailbox_id.as_ref()), (true, None));
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::NotTested);
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_mailbox_is_read_over_pop_and_its_protocol_is_kept() {
    let house = House::new().await;
    let server = Popd::default().start(None).await;
    let mut asked = input("support", None, None, PASSWORD);
    asked.incoming = Some(SideInput {
        protocol: "pop3".into(),
        host: "127.0.0.1".into(),
        port: server.port.to_string(),
        security: "none".into(),
        auth: "password".into(),
        password: Some(Password::new(PASSWORD)),
        ..SideInput::default()
    });
    let edit = check_mailbox(&asked, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(
        (ended.run.outcome.as_str(), ended.run.protocol.as_str()),
        ("passed", "pop3"),
        "{:?}",
        ended.report
    );
    assert_eq!(ended.report.protocol, "pop3");
    let whole = ended.whole_report();
    assert_eq!(whole.facts["newest"][0]["subject"], "Grüße");
    assert!(whole.facts["unread"].is_null());
    assert_eq!(probe::stored_settings(&ended.run).get("Read mail with"), Some("POP"));
}
