//! Mailboxes: add, change, pause, turn on, delete. Every change makes what was tested before "not tested, since the change".

mod build;
pub mod bulk;
mod check;
mod describe;
mod input;
pub mod switching;

pub use build::{build, password_place};
pub use check::{check_mailbox, gate_message, port_misfit, split_list, trimmed};

pub use describe::{Change, changes, describe, describe_side};
pub use input::{AuthEdit, MailboxEdit, MailboxInput, SideEdit, SideInput};

use super::FieldProblem;
use crate::app::App;
use crate::model::Name;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{AuthKind, Mailbox, Pause, check_address};
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::store::{StoreError, Tx};
use build::fitting;

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

/// What the stored rows speak against, all of it at once and also where the rest can't be saved yet: a name that is taken, a token that
/// isn't there or belongs to somebody else. [`check_mailbox`] knows nothing of them.
pub async fn check_stored(app: &App, input: &MailboxInput, existing: Option<&Mailbox>) -> Result<Vec<FieldProblem>, StoreError> {
    let mut problems = Vec::new();
    let address = check_address(trimmed(&input.address));
    if existing.is_none()
        && let Ok(name) = Name::parse(trimmed(&input.name))
        && app.store.mailbox(&name).await?.is_some()
    {
        problems.push(name_taken(app, &name).await?);
    }
    for (direction, side) in [(Direction::Incoming, &input.incoming), (Direction::Outgoing, &input.outgoing)] {
        let Some(side) = side else { continue };
        let is_token = AuthKind::parse(trimmed(&side.auth)) == Some(AuthKind::OAuth2);
        let Some(name) = Name::parse(trimmed(&side.token)).ok().filter(|_| is_token) else {
            continue;
        };
        let username = Some(trimmed(&side.username)).filter(|text| !text.is_empty());
        let token = app.store.token(&name).await?;
        problems.extend(fitting(direction, &name, token, address.as_deref(), username).err());
    }
    Ok(problems)
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
    let mut written = new.clone();
    // Read in any case: whoever writes down what a test found takes the mailbox first too.
    let stored = tx.mailbox_by_id(&old.id).await?;
    if let Some(stored) = stored.filter(|_| new.changed_at == old.changed_at) {
        // The settings are as they were, so what a test has found meanwhile stays.
        written.keep_results(stored);
    }
    tx.update_mailbox(&written).await?;
    switching::note(app, tx, old, new).await?;
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
pub(super) mod tests;
