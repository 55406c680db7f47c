//! Notices: what somebody is told, once for each cause. [`find`] says what is wrong now, [`causes`] opens and closes a notice for it,
//! [`tell`] makes messages of what is to be told (quiet hours, a bound on messages an hour), [`send`] sends them, [`waits`] says what is
//! held back and until when, and [`channels`] keeps whom to tell and how. [`crate::worker::notices`] looks,
//! [`crate::worker::deliveries`] sends, and [`again`] sends once more what was given up.

pub mod again;
pub mod causes;
pub mod channels;
mod dead;
mod expiries;
pub mod find;
mod mail;
pub mod send;
mod still;
pub mod tell;
pub mod waits;
mod webhook;
pub mod weekly;
mod words;

pub use dead::{Dead, dead, webhook_dead};
pub use tell::test;
pub use webhook::{sign, test_secret};

use crate::actions::expiry::Expiring;
use crate::app::App;
use crate::model::notices::{Event, Local, Notice, State, Words, clean};
use crate::model::settings::TIME_ZONE;
use crate::store::{StoreResult, Tx};

/// How long may a name from elsewhere be in a message?
const NAME: usize = 120;

/// The zone of quiet hours and of the times in messages: the notices' own, else the instance's, else the machine's.
pub async fn local(app: &App, zone: &str) -> StoreResult<Local> {
    if !zone.is_empty() {
        return Ok(Local::named(zone));
    }
    let instance = app.store.setting(TIME_ZONE).await?;
    Ok(Local::named(instance.as_deref().unwrap_or_default()))
}

/// Looks what is wrong, what is over, what ends (`ending` has it) and whether it is Monday morning, and makes messages of it.
pub async fn look(app: &App, ending: &[Expiring]) -> StoreResult<()> {
    let stored = channels::sealed_channels(app).await?;
    let desk = words::Desk {
        local: local(app, &stored.channels.zone).await?,
        now: app.clock.now(),
    };
    // Each by itself: what fails at one must not silence the others. The first failure is told.
    let failing = async {
        let groups = find::groups(app, &stored, ending).await?;
        let gone = find::gone(app, &stored.channels, &groups).await?;
        causes::look(app, &groups, &gone, &desk).await
    };
    let failing = failing.await;
    let ends = expiries::look(app, ending).await;
    let report = weekly::look(app, &stored).await;
    let told = tell::tell(app, &stored).await;
    failing.and(ends).and(report).and(told)
}

/// Notes that something happened that is told once and isn't over later: in the transaction of what happened. `cause` names it alone.
pub async fn happened(app: &App, tx: &mut Tx, event: Event, cause: String, words: Words) -> StoreResult<()> {
    tx.insert_notice(&noted(app, event, cause, words)).await.map(|_| ())
}

/// A notice of something that is told once.
fn noted(app: &App, event: Event, cause: String, words: Words) -> Notice {
    let now = app.clock.now();
    Notice {
        id: app.new_id(),
        event,
        cause,
        state: State::New,
        opened_at: now,
        closed_at: Some(now),
        words,
    }
}

/// Somebody signed in for a token, or an admin consented for a provider.
pub async fn consented(app: &App, tx: &mut Tx, who: &str, what: &str, path: String) -> StoreResult<()> {
    let (who, what) = (clean(who, NAME), clean(what, NAME));
    let words = Words {
        subject: format!("Consent given for {what}"),
        text: vec![
            format!("It was given as {who}."),
            "What to do: Nothing, if you know of it. If not, the page below says who did it, and can take it back.".to_owned(),
        ],
        path,
        ..Words::default()
    };
    happened(app, tx, Event::ConsentGiven, format!("consent:{}", app.new_id()), words).await
}

/// Somebody used a one-time link.
pub async fn link_used(app: &App, tx: &mut Tx, kind: &str, what: &str, path: String) -> StoreResult<()> {
    let what = clean(what, NAME);
    let words = Words {
        subject: format!("A {kind} for {what} was used"),
        text: vec![
            format!("Somebody used the {kind} for {what}. It works once only, so nobody can use it again."),
            "What to do: Nothing, if it was who you sent it to. If not, the page below says what was changed.".to_owned(),
        ],
        path,
        ..Words::default()
    };
    happened(app, tx, Event::LinkUsed, format!("link:{}", app.new_id()), words).await
}

/// A backup failed: for whatever makes backups. `why` is a sentence.
pub async fn backup_failed(app: &App, tx: &mut Tx, why: &str) -> StoreResult<()> {
    let words = Words {
        subject: "The backup failed".to_owned(),
        text: vec![
            "There is no new copy of the database.".to_owned(),
            format!("Cause: {}", clean(why, 400)),
        ],
        path: "/about".to_owned(),
        ..Words::default()
    };
    happened(app, tx, Event::BackupFailed, format!("backup:{}", app.new_id()), words).await
}
