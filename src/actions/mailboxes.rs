//! Mailboxes: add, change, pause, turn on, delete. Every change makes what was tested before "not tested, since the change".

mod build;
mod check;
mod describe;

pub use build::{build, password_place};
pub use check::{AuthEdit, MailboxEdit, MailboxInput, SideEdit, SideInput, check_mailbox, gate_message, split_list, trimmed};

pub use describe::{Change, changes, describe, describe_side};

use super::FieldProblem;
use crate::app::App;
use crate::model::Name;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Mailbox, Pause};
use crate::model::token::Token;
use crate::store::{StoreError, Tx};

/// Why a change of a mailbox was not made.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// Fields that don't fit.
    #[error("{}", .0.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect::<Vec<_>>().join("; "))]
    Fields(Vec<FieldProblem>),
    /// There is no such mailbox.
    #[error("there is no mailbox of this name")]
    NotFound,
    /// Somebody changed it since the form was shown; here it is as it stands now.
    #[error("somebody else changed it meanwhile")]
    Stale(Box<Mailbox>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn problem(field: &'static str, message: impl Into<String>) -> FieldProblem {
    FieldProblem {
        field,
        message: message.into(),
    }
}

/// The stored tokens an edit names.
async fn tokens_of(app: &App, edit: &MailboxEdit) -> Result<Vec<Token>, StoreError> {
    let mut tokens: Vec<Token> = Vec::new();
    for side in [&edit.incoming, &edit.outgoing].into_iter().flatten() {
        if let AuthEdit::OAuth2(name) = &side.auth
            && !tokens.iter().any(|token| token.name == *name)
            && let Some(token) = app.store.token(name).await?
        {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// Puts an edit and what is stored together, with the tokens of the database. Writes nothing.
pub async fn prepare(app: &App, edit: MailboxEdit, existing: Option<&Mailbox>) -> Result<Mailbox, MailboxError> {
    let tokens = tokens_of(app, &edit).await?;
    let find = |name: &Name| tokens.iter().find(|token| token.name == *name).cloned();
    build(app, edit, existing, &find).map_err(MailboxError::Fields)
}

/// Adds a mailbox.
pub async fn create(app: &App, actor: &Actor, edit: MailboxEdit) -> Result<Mailbox, MailboxError> {
    let name = edit.name.clone();
    let mailbox = prepare(app, edit, None).await?;
    let mut tx = app.store.begin().await?;
    match insert(app, &mut tx, actor, &mailbox).await {
        Ok(()) => tx.commit().await?,
        Err(StoreError::Taken) => {
            drop(tx);
            return Err(MailboxError::Fields(vec![name_taken(app, &name).await?]));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(mailbox)
}

async fn name_taken(app: &App, name: &Name) -> Result<FieldProblem, StoreError> {
    let address = app.store.mailbox(name).await?.map(|other| other.address);
    Ok(problem(
        "name",
        format!("Name is already used by {}", address.as_deref().unwrap_or("another mailbox")),
    ))
}

/// The mailbox an address already has here; `except` is one that may have it. The form refuses a second one; the file may want it,
/// for another folder.
pub async fn address_taken(app: &App, address: &str, except: Option<&Mailbox>) -> Result<Option<Name>, StoreError> {
    if except.is_some_and(|mailbox| mailbox.address.eq_ignore_ascii_case(address)) {
        return Ok(None);
    }
    let names = app.store.mailboxes_with_address(address).await?;
    Ok(names.iter().find_map(|name| Name::parse(name).ok()))
}

/// Writes a new mailbox and its audit entry. [`StoreError::Taken`] when the name is.
pub async fn insert(app: &App, tx: &mut Tx, actor: &Actor, mailbox: &Mailbox) -> Result<(), StoreError> {
    tx.insert_mailbox(mailbox).await?;
    let detail = describe(mailbox)
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label}: {value}"))
        .collect::<Vec<_>>()
        .join("; ");
    audit(app, tx, actor, "mailbox.create", &mailbox.name, detail).await
}

/// Writes a changed mailbox and its audit entry; says whether anything differs. Nothing is written where nothing does, and so results
/// of tests stay. [`StoreError::Stale`] if somebody saved it since `old` was read.
pub async fn save(app: &App, tx: &mut Tx, actor: &Actor, old: &Mailbox, new: &Mailbox) -> Result<bool, StoreError> {
    let changes = changes(&describe(old), &describe(new));
    if changes.is_empty() {
        return Ok(false);
    }
    tx.update_mailbox(new).await?;
    let detail = changes
        .into_iter()
        .map(|(label, old, new)| format!("{label}: {old} → {new}"))
        .collect::<Vec<_>>()
        .join("; ");
    audit(app, tx, actor, "mailbox.update", &new.name, detail).await?;
    Ok(true)
}

/// Changes a mailbox that was shown at `version`; says whether anything differs.
pub async fn update(app: &App, actor: &Actor, name: &Name, version: i64, edit: MailboxEdit) -> Result<bool, MailboxError> {
    let old = app.store.mailbox(name).await?.ok_or(MailboxError::NotFound)?;
    if old.version != version {
        return Err(MailboxError::Stale(Box::new(old)));
    }
    let mut new = prepare(app, edit, Some(&old)).await?;
    if old.enabled && !new.enabled {
        new.paused = Some(pause_by(app, actor, String::new()));
        new.state = new.derive_state();
    }
    let mut tx = app.store.begin().await?;
    match save(app, &mut tx, actor, &old, &new).await {
        Ok(changed) => {
            tx.commit().await?;
            Ok(changed)
        }
        Err(StoreError::Stale) => {
            drop(tx);
            let now = app.store.mailbox(name).await?.ok_or(MailboxError::NotFound)?;
            Err(MailboxError::Stale(Box::new(now)))
        }
        Err(error) => Err(error.into()),
    }
}

fn pause_by(app: &App, actor: &Actor, reason: String) -> Pause {
    Pause {
        by: actor.name.clone(),
        at: app.clock.now(),
        reason,
    }
}

/// Turns a mailbox off, with a reason that may be empty.
pub async fn pause(app: &App, actor: &Actor, name: &Name, reason: &str) -> Result<(), MailboxError> {
    let reason: String = reason.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    let pause = pause_by(app, actor, reason.clone());
    switch(app, actor, name, "mailbox.pause", reason, |mailbox| {
        mailbox.enabled = false;
        mailbox.paused = Some(pause);
    })
    .await
}

/// Turns a mailbox on.
pub async fn turn_on(app: &App, actor: &Actor, name: &Name) -> Result<(), MailboxError> {
    switch(app, actor, name, "mailbox.turn_on", String::new(), |mailbox| {
        mailbox.enabled = true;
        mailbox.paused = None;
    })
    .await
}

/// Turning on and off is no change of the settings: results stay, and whoever saved meanwhile isn't in the way.
async fn switch(
    app: &App,
    actor: &Actor,
    name: &Name,
    action: &'static str,
    detail: String,
    change: impl FnOnce(&mut Mailbox),
) -> Result<(), MailboxError> {
    let id = app.store.mailbox(name).await?.ok_or(MailboxError::NotFound)?.id;
    let mut tx = app.store.begin().await?;
    let mut mailbox = tx.mailbox_by_id(&id).await?.ok_or(MailboxError::NotFound)?;
    let before = (mailbox.enabled, mailbox.paused.is_some());
    change(&mut mailbox);
    if before == (mailbox.enabled, mailbox.paused.is_some()) {
        return Ok(());
    }
    mailbox.state = mailbox.derive_state();
    tx.update_mailbox(&mailbox).await?;
    audit(app, &mut tx, actor, action, name, detail).await?;
    Ok(tx.commit().await?)
}

/// Deletes a mailbox. Its runs stay readable, its token stays.
pub async fn delete(app: &App, actor: &Actor, name: &Name) -> Result<Mailbox, MailboxError> {
    let mailbox = app.store.mailbox(name).await?.ok_or(MailboxError::NotFound)?;
    let mut tx = app.store.begin().await?;
    tx.delete_mailbox(&mailbox.id).await?;
    audit(app, &mut tx, actor, "mailbox.delete", name, mailbox.address.clone()).await?;
    tx.commit().await?;
    Ok(mailbox)
}

async fn audit(app: &App, tx: &mut Tx, actor: &Actor, action: &'static str, name: &Name, detail: String) -> Result<(), StoreError> {
    let entry = AuditEntry {
        action,
        target: format!("mailbox:{name}"),
        detail,
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}

#[cfg(test)]
pub(super) mod tests {
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
}
