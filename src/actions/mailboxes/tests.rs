use super::*;
use crate::clock::{Clock, MockClock, Timestamp};
use crate::config::{Config, Flags};
use crate::model::mailbox::{Auth, MailboxState, SideState};
use crate::model::report::{Direction, Outcome};
use crate::random::SeededRandom;
use crate::secret::Password;
use std::sync::Arc;

pub(in crate::actions) struct House {
    pub app: App,
    clock: MockClock,
    _dir: tempfile::TempDir,
}

pub(in crate::actions) async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let flags = Flags {
        data_dir: Some(dir.path().join("data")),
        ..Flags::default()
    };
    let config = Config::load(&flags, |_| None).unwrap();
    let clock = MockClock::at(Timestamp(1_795_248_842));
    let app = App::open(config, Arc::new(clock.clone()), Arc::new(SeededRandom::new(1)))
        .await
        .unwrap();
    House { app, clock, _dir: dir }
}

fn input(host: &str, password: Option<&str>) -> MailboxInput {
    MailboxInput {
        address: "support@example.com".into(),
        incoming: Some(SideInput {
            protocol: "imap".into(),
            host: host.into(),
            auth: "password".into(),
            password: password.map(Password::new),
            ..SideInput::default()
        }),
        ..MailboxInput::default()
    }
}

impl House {
    fn edit(&self, input: &MailboxInput) -> MailboxEdit {
        check_mailbox(input, &self.app.gate).unwrap()
    }

    async fn add(&self, input: &MailboxInput) -> Mailbox {
        create(&self.app, &Actor::console(), self.edit(input)).await.unwrap()
    }

    async fn change(&self, old: &Mailbox, input: &MailboxInput) -> Result<bool, MailboxError> {
        update(&self.app, &Actor::console(), &old.name, old.version, self.edit(input)).await
    }

    async fn stored(&self, old: &Mailbox) -> Mailbox {
        self.app.store.mailbox(&old.name).await.unwrap().unwrap()
    }

    fn password(&self, mailbox: &Mailbox) -> String {
        let side = mailbox.incoming.as_ref().unwrap();
        let Auth::Password {
            password: Some((sealed, version)),
        } = &side.auth
        else {
            panic!("no password");
        };
        let destination = side.server.destination();
        let place = password_place(Direction::Incoming, &mailbox.id, *version, &destination);
        self.app.vault.open(&place, sealed).unwrap().to_string()
    }
}

fn messages(result: Result<bool, MailboxError>) -> String {
    match result {
        Err(MailboxError::Fields(problems)) => problems[0].message.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_password_stays_with_its_server_and_is_wanted_again_for_another() {
    let house = house().await;
    let first = house.add(&input("imap.example.com", Some("canary-1"))).await;
    assert_eq!(house.password(&house.stored(&first).await), "canary-1");
    for host in ["imap.example.net", "imap.example.com:1"] {
        let mut other = input("imap.example.com", None);
        let side = other.incoming.as_mut().unwrap();
        match host.split_once(':') {
            Some((_, port)) => side.port = port.into(),
            None => side.host = host.into(),
        }
        let message = messages(house.change(&first, &other).await);
        assert_eq!(message, "Enter the password again, because the server it is sent to changes");
    }
    assert_eq!(house.password(&house.stored(&first).await), "canary-1");
    // Another user name is no other destination; a new password goes to the new server.
    let mut same = input("imap.example.com", None);
    same.incoming.as_mut().unwrap().username = "login".into();
    assert!(house.change(&first, &same).await.unwrap());
    let second = house.stored(&first).await;
    assert_eq!(house.password(&second), "canary-1");
    assert!(house.change(&second, &input("imap.example.net", Some("canary-2"))).await.unwrap());
    assert_eq!(house.password(&house.stored(&first).await), "canary-2");
    let audit = format!("{:?}", house.app.store.audit_rows(10).await.unwrap());
    assert!(audit.contains("mailbox.update") && !audit.contains("canary"), "{audit}");
}

#[tokio::test]
async fn a_change_takes_back_what_was_tested_and_the_same_again_does_not() {
    let house = house().await;
    let first = house.add(&input("imap.example.com", Some("x"))).await;
    let passed = SideState {
        outcome: Some(Outcome::Passed),
        ..SideState::default()
    };
    let now = house.clock.now();
    let mut tx = house.app.store.begin().await.unwrap();
    let noted = tx.record_side(&first.id, first.changed_at, Direction::Incoming, passed, now).await;
    assert!(noted.unwrap());
    tx.commit().await.unwrap();
    assert!(!house.change(&first, &input("imap.example.com", None)).await.unwrap());
    turn_on(&house.app, &Actor::console(), &first.name).await.unwrap();
    let on = house.stored(&first).await;
    assert_eq!((on.state, on.enabled), (MailboxState::Working, true));
    let renamed = MailboxInput {
        display_name: "Support".into(),
        enabled: true,
        ..input("imap.example.com", None)
    };
    assert!(house.change(&on, &renamed).await.unwrap());
    let after = house.stored(&first).await;
    assert_eq!(after.state, MailboxState::NotTested);
    assert!(
        after.changed_at > first.changed_at,
        "a test of the old settings could count for the new ones"
    );
}

#[tokio::test]
async fn two_people_at_once_do_not_overwrite_each_other() {
    let house = house().await;
    let first = house.add(&input("imap.example.com", Some("x"))).await;
    assert!(house.change(&first, &input("imap.example.net", Some("y"))).await.unwrap());
    let late = house.change(&first, &input("imap.example.org", Some("z"))).await;
    assert!(matches!(late, Err(MailboxError::Stale(now)) if now.incoming.as_ref().unwrap().server.host() == "imap.example.net"));
    let twice = create(&house.app, &Actor::console(), house.edit(&input("x.example", None))).await;
    let Err(MailboxError::Fields(problems)) = twice else {
        panic!("a name given twice");
    };
    assert_eq!(problems[0].message, "Name is already used by support@example.com");
}

#[tokio::test]
async fn pausing_says_who_and_why_and_deleting_leaves_nothing_sealed() {
    let house = house().await;
    let first = house.add(&input("imap.example.com", Some("x"))).await;
    turn_on(&house.app, &Actor::console(), &first.name).await.unwrap();
    pause(
        &house.app,
        &Actor::console(),
        &first.name,
        " moving
house ",
    )
    .await
    .unwrap();
    let paused = house.stored(&first).await;
    assert_eq!(paused.state, MailboxState::Paused);
    assert_eq!(
        paused.paused.map(|p| (p.by, p.reason)),
        Some(("the console".into(), "movinghouse".into()))
    );
    delete(&house.app, &Actor::console(), &first.name).await.unwrap();
    assert!(house.app.store.mailbox(&first.name).await.unwrap().is_none());
    let gone = pause(&house.app, &Actor::console(), &first.name, "").await;
    assert!(matches!(gone, Err(MailboxError::NotFound)));
}
