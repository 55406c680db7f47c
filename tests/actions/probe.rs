//! Runs of *Test incoming* and *Test outgoing*: what is stored, shown, limited, stopped and kept secret.

use super::{House, input};
use crate::probe::graph_server::Graphd;
use crate::probe::imap_server::{Imapd, PASSWORD, TOKEN};
use crate::probe::pop3_server::Popd;
use crate::probe::server::{Peer, Server};
use crate::probe::smtp_server::Smtpd;
use mailgrant::actions::access_token::{NewGrant, store_first_grant};
use mailgrant::actions::mailboxes::{self, MailboxError, MailboxInput, SideInput, check_mailbox};
use mailgrant::actions::probe::{self, Ended, Options, Order, ProbeError};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState, SideState};
use mailgrant::model::provider::{Endpoints, Provider};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Identity;
use mailgrant::model::{Name, ProviderId, RunId, TokenId, UserId};
use mailgrant::oauth::TokenResponse;
use mailgrant::secret::{AccessToken, Password};
use mailgrant::store::reports::{Run, RunFilter};
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
        ("c", "RCPT", "450 4.2.99 come back later", "console-recipient-refused", true),
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
async fn only_so_many_run_at_once_for_one_server_and_the_setting_counts() {
    let house = House::new().await;
    let mut tx = house.app.store.begin().await.unwrap();
    tx.put_setting(probe::PARALLEL_SETTING, "2").await.unwrap();
    tx.commit().await.unwrap();
    let server = silent("* OK ready").await;
    let mut runs = Vec::new();
    for n in 0..5 {
        let mailbox = house.mailbox(&format!("m{n}"), Some(&server), None, PASSWORD).await;
        runs.push(
            probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
                .await
                .unwrap(),
        );
    }
    until("two run", || server.open() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.connections(), 2);
    assert!(house.app.probes.live(&runs[4]).unwrap().progress.borrow().waiting);
    probe::stop(&house.app, &runs[0]);
    until("the next follows", || server.connections() == 3).await;
    // One that still waits can be stopped as well.
    let waiting = house.app.probes.live(&runs[4]).unwrap();
    probe::stop(&house.app, &runs[4]);
    assert_eq!(waiting.end().await.unwrap().run.outcome, "stopped");
    house.app.stopping.cancel();
    house.app.tasks.close();
    house.app.tasks.wait().await;
    assert_eq!(house.app.probes.count(), 0, "a stopping process leaves no test behind");
    for run in &runs {
        let outcome = house.app.store.run(run).await.unwrap().unwrap().outcome;
        assert_eq!(outcome, "stopped");
    }
}

/// Unsaved settings go wherever somebody types: four of them at once for the whole console, whoever asks.
#[tokio::test]
async fn only_four_unsaved_settings_are_tested_at_once() {
    let house = House::new().await;
    let server = silent("* OK ready").await;
    for n in 0..6 {
        let mailbox = house.mailbox(&format!("m{n}"), Some(&server), None, PASSWORD).await;
        let unsaved = Order {
            draft: true,
            ..order(&mailbox, Direction::Incoming)
        };
        probe::start(&house.app, &Actor::console(), unsaved).await.unwrap();
    }
    until("four run", || server.open() == 4).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.connections(), 4);
    house.app.stopping.cancel();
    house.app.tasks.close();
    house.app.tasks.wait().await;
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
async fn a_token_goes_to_servers_of_its_provider_and_to_saved_ones_only() {
    let house = House::new().await;
    let (provider, token) = with_token(&house).await;
    let server = Imapd::default().start(None).await;
    let mut input = input("support", Some(&server), None, PASSWORD);
    let side = input.incoming.as_mut().unwrap();
    side.auth = "oauth2".into();
    side.token = token.to_string();
    side.password = None;
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    let draft = mailboxes::prepare(&house.app, edit.clone(), None).await.unwrap();
    let asked = Order {
        draft: true,
        ..order(&draft, Direction::Incoming)
    };
    let refused = probe::start(&house.app, &Actor::console(), asked.clone()).await;
    assert!(matches!(refused, Err(ProbeError::UnknownServer(Direction::Incoming))), "{provider}");
    assert_eq!(server.connections(), 0);
    // Once somebody has saved it, that server may have the token.
    mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(asked).await;
    assert_eq!(ended.run.failed_step.as_deref(), Some("token"));
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-not-authorized"));
}

/// A provider, and a token of it that nobody has signed in for.
async fn with_token(house: &House) -> (ProviderId, Name) {
    use mailgrant::model::provider::Cloud;
    use mailgrant::model::token::{GrantType, Prompt, Token};
    let name = Name::parse("contoso").unwrap();
    let now = super::NOW;
    let template = TemplateKind::Microsoft.template();
    let provider = Provider {
        id: ProviderId("p1".into()),
        name: name.clone(),
        template: TemplateKind::Microsoft,
        tenant: Some("contoso.test".into()),
        cloud: Cloud::Global,
        client_id: "client".into(),
        client_auth: template.client_auth,
        client_secret: None,
        client_secret_expires: None,
        credentials: Default::default(),
        consent_screen: None,
        grant: GrantType::AuthorizationCode,
        scopes: vec![],
        prompt: Prompt::SelectAccount,
        login_hint: true,
        pkce: true,
        overrides: Endpoints::default(),
        extra_authorize_params: vec![],
        problem: None,
        problem_since: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let token = Token {
        id: TokenId("t1".into()),
        name: Name::parse("support").unwrap(),
        provider_id: provider.id.clone(),
        provider: name,
        grant: GrantType::AuthorizationCode,
        user: Some("support@contoso.test".into()),
        scopes: vec![],
        prompt: None,
        shared: false,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_provider(&provider).await.unwrap();
    tx.insert_token(&token).await.unwrap();
    tx.commit().await.unwrap();
    (provider.id, token.name)
}

#[tokio::test]
async fn what_a_dead_process_left_running_ends_at_the_next_start() {
    let house = House::new().await;
    let server = silent("* OK ready").await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
        .await
        .unwrap();
    until("connected", || server.open() == 1).await;
    let row = house.app.store.run(&run).await.unwrap().unwrap();
    assert_eq!(row.outcome, "running");
    // The clock stands still here, so one more second has to pass for the run to be of before.
    let dead = Run {
        id: RunId("dead".into()),
        started_at: row.started_at.plus(-1),
        ..row
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_run(&dead).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(probe::recover(&house.app).await.unwrap(), 1);
    assert_eq!(house.app.store.run(&dead.id).await.unwrap().unwrap().outcome, "stopped");
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
async fn a_side_is_tested_once_at_a_time_and_by_nobody_more_than_thirty_times_a_minute() {
    let house = House::new().await;
    let (server, quick) = (silent("* OK ready").await, Imapd::default().start(None).await);
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let asked = order(&mailbox, Direction::Incoming);
    let run = probe::start(&house.app, &Actor::console(), asked.clone()).await.unwrap();
    let live = house.app.probes.live(&run).unwrap();
    let second = probe::start(&house.app, &Actor::console(), asked.clone()).await;
    assert!(matches!(&second, Err(ProbeError::UnderWay(other)) if *other == run), "{second:?}");
    probe::stop(&house.app, &run);
    live.end().await.unwrap();
    let third = probe::start(&house.app, &Actor::console(), asked).await.unwrap();
    probe::stop(&house.app, &third);

    let mailbox = house.mailbox("hr", Some(&quick), None, PASSWORD).await;
    let by = |user: &str| Order {
        user: Some(UserId(user.into())),
        options: Options {
            login_only: true,
            ..Options::default()
        },
        ..order(&mailbox, Direction::Incoming)
    };
    for _ in 0..30 {
        house.run(by("olli")).await;
    }
    let refused = probe::start(&house.app, &Actor::console(), by("olli")).await;
    assert!(matches!(refused, Err(ProbeError::TestsTooOften(60))), "{refused:?}");
    assert_eq!(quick.connections(), 30);
    house.run(by("maija")).await;
}

#[tokio::test]
async fn runs_do_not_pile_up_and_what_a_mailbox_shows_stays() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = house.run(order(&mailbox, Direction::Incoming)).await.run.clone();
    let ago = |seconds: i64| run.started_at.plus(-seconds);
    let like = |id: &str, started_at, outcome: &str| Run {
        id: RunId(id.into()),
        started_at,
        outcome: outcome.into(),
        ..run.clone()
    };
    let days = 86_400;
    let mut tx = house.app.store.begin().await.unwrap();
    for n in 0..230 {
        tx.insert_run(&like(&format!("n{n:03}"), ago(1 + n), "passed")).await.unwrap();
    }
    for old in ["old1", "old2", "shown"] {
        tx.insert_run(&like(old, ago(91 * days), "failed")).await.unwrap();
    }
    tx.insert_run(&like("goes-on", ago(91 * days), "running")).await.unwrap();
    let shown = SideState {
        run: Some(RunId("shown".into())),
        ..SideState::default()
    };
    tx.record_side(&mailbox.id, mailbox.changed_at, Direction::Outgoing, shown, ago(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let there = async |id: &str| house.app.store.run(&RunId(id.into())).await.unwrap().is_some();
    house.run(order(&mailbox, Direction::Incoming)).await;
    assert!(!there("old1").await && !there("old2").await, "the oldest go first");
    assert!(there("n211").await && !there("n212").await, "a few at a time");
    for _ in 0..3 {
        house.run(order(&mailbox, Direction::Incoming)).await;
    }
    assert!(there("shown").await && there("goes-on").await);
    let all = RunFilter {
        mailbox: Some(mailbox.id.clone()),
        limit: 1000,
        ..RunFilter::default()
    };
    assert_eq!(house.app.store.runs(&all).await.unwrap().len(), 202);
    assert!(there("n194").await && !there("n195").await, "the newest two hundred stay");
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

#[tokio::test]
async fn a_graph_mailbox_goes_where_its_provider_says_and_nowhere_without_one() {
    let house = House::new().await;
    let (provider_id, token) = with_token(&house).await;
    let graphd = Graphd::default();
    let server = graphd.start(None).await;
    let mut provider = house.app.store.provider_by_id(&provider_id).await.unwrap().unwrap();
    provider.overrides = Endpoints {
        graph_url: Some(format!("http://127.0.0.1:{}", server.port)),
        ..Endpoints::default()
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    first_grant(&house, &provider, &token).await;

    let mut asked = input("support", None, None, PASSWORD);
    let side = SideInput {
        protocol: "graph".into(),
        auth: "oauth2".into(),
        token: token.to_string(),
        ..SideInput::default()
    };
    (asked.incoming, asked.outgoing) = (Some(side.clone()), Some(side));
    asked.bcc.clear();
    let edit = check_mailbox(&asked, &house.app.gate).unwrap();
    // Unsaved settings may be tried: the token goes where its own provider has Graph.
    let draft = mailboxes::prepare(&house.app, edit.clone(), None).await.unwrap();
    let ended = house
        .run(Order {
            draft: true,
            ..order(&draft, Direction::Incoming)
        })
        .await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    let steps: Vec<&str> = ended.report.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["token", "claims", "dns", "tcp", "inbox", "newest", "junk"]);
    assert_eq!(
        (ended.run.outcome.as_str(), ended.report.protocol.as_str()),
        ("passed", "graph"),
        "{:?}",
        ended.report
    );
    let ended = house.run(order(&mailbox, Direction::Outgoing)).await;
    let steps: Vec<&str> = ended.report.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(
        steps,
        ["token", "claims", "dns", "tcp", "send"],
        "a message through Graph is not looked for"
    );
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    let asked = graphd.asked();
    assert!(asked.iter().all(|asked| asked.target.starts_with("/v1.0/me/")));
    let id = asked[0].header("client-request-id");
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");

    // Another address than the account's own is named in the path; a provider without Graph has nowhere to go.
    let mut shared = house.stored(&mailbox).await;
    shared.incoming.as_mut().unwrap().username = Some("hr@contoso.test".into());
    house.run(order(&shared, Direction::Incoming)).await;
    assert!(graphd.asked().last().unwrap().target.starts_with("/v1.0/users/hr%40contoso.test/"));
    provider.template = TemplateKind::Custom;
    provider.overrides.graph_url = None;
    provider.version += 1;
    let mut tx = house.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    first_grant(&house, &provider, &token).await;
    let count = graphd.asked().len();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-graph-missing"));
    assert_eq!(graphd.asked().len(), count);
}

#[tokio::test]
async fn a_stored_token_does_not_follow_its_provider_to_another_graph() {
    let house = House::new().await;
    let (provider_id, token) = with_token(&house).await;
    let (here, elsewhere) = (Graphd::default(), Graphd::default());
    let (here_server, elsewhere_server) = (here.start(None).await, elsewhere.start(None).await);
    let mut provider = house.app.store.provider_by_id(&provider_id).await.unwrap().unwrap();
    let point = async |provider: &mut Provider, server: &Server| {
        provider.overrides.graph_url = Some(format!("http://127.0.0.1:{}", server.port));
        let mut tx = house.app.store.begin().await.unwrap();
        tx.update_provider(provider).await.unwrap();
        tx.commit().await.unwrap();
        provider.version += 1;
    };
    point(&mut provider, &here_server).await;
    first_grant(&house, &provider, &token).await;
    let mut asked = input("support", None, None, PASSWORD);
    let side = SideInput {
        protocol: "graph".into(),
        auth: "oauth2".into(),
        token: token.to_string(),
        ..SideInput::default()
    };
    (asked.incoming, asked.outgoing) = (Some(side.clone()), Some(side));
    asked.bcc.clear();
    let edit = check_mailbox(&asked, &house.app.gate).unwrap();
    let mailbox = mailboxes::create(&house.app, &Actor::console(), edit).await.unwrap();
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);

    point(&mut provider, &elsewhere_server).await;
    for direction in [Direction::Incoming, Direction::Outgoing, Direction::Incoming] {
        let ended = house.run(order(&mailbox, direction)).await;
        assert_eq!(ended.run.diagnosis_id.as_deref(), Some("console-destination-changed"));
    }
    assert_eq!(elsewhere_server.connections(), 0, "the token stays here");

    // Who signs in again says that it may go there.
    first_grant(&house, &provider, &token).await;
    let ended = house.run(order(&mailbox, Direction::Incoming)).await;
    assert_eq!(ended.run.outcome, "passed", "{:?}", ended.report);
    assert!(!elsewhere.asked().is_empty());
}

/// A sign-in for the token, with the access token that the servers of these tests take.
async fn first_grant(house: &House, provider: &Provider, token: &Name) {
    let token = house.app.store.token(token).await.unwrap().unwrap();
    let response = TokenResponse {
        access_token: AccessToken::new(TOKEN),
        token_type: "Bearer".into(),
        expires_in: 3600,
        refresh_token: None,
        scopes: Some(vec!["Mail.ReadWrite".into(), "Mail.Send".into()]),
        id_token: None,
        date: None,
    };
    let identity = Identity {
        email: Some("support@contoso.test".into()),
        ..Identity::default()
    };
    let new = NewGrant::SignedIn {
        response: &response,
        identity: &identity,
        by: "Maija",
    };
    let mut tx = house.app.store.begin().await.unwrap();
    store_first_grant(&house.app, &mut tx, &token, provider, new).await.unwrap();
    tx.commit().await.unwrap();
}
