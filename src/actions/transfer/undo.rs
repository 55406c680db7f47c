//! An import undone, within a day and while nothing it made or changed was changed again: what was new goes, what was changed becomes
//! as it was.

use super::{KEPT, TransferError, nowhere, open};
use crate::actions::config::plan::{Plan, plan};
use crate::actions::config::{ApplyError, Change, What, mailbox_table, parse, provider_table, push, token_table, write};
use crate::actions::providers::trial;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::{MailboxId, Name, ProviderId, TokenId};
use crate::store::imports::ImportRow;
use crate::store::{StoreError, Tx};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// One entry as the import left it.
#[derive(Serialize, Deserialize)]
struct Left {
    kind: String,
    name: String,
    id: String,
    version: i64,
    /// For tokens: the generation of what is stored, if anything is.
    grant: Option<i64>,
    is_new: bool,
}

/// What it takes to undo an import.
#[derive(Serialize, Deserialize)]
pub(super) struct Undo {
    /// What is changed, as it was: a configuration file with its secrets.
    before: String,
    /// Names of mailboxes that had no side of a kind, and of tokens that had no prompt of their own.
    lacked: Vec<(String, String)>,
    left: Vec<Left>,
}

impl Undo {
    /// Notes how everything is that a plan would change.
    pub(super) async fn before(app: &App, plan: &Plan) -> Result<Self, TransferError> {
        let unreadable = |error: crate::actions::config::ExportError| TransferError::Action(error.to_string());
        let mut undo = Self {
            before: String::new(),
            lacked: Vec::new(),
            left: Vec::new(),
        };
        for (old, new) in &plan.providers {
            let Some(old) = old else { continue };
            let mut table = provider_table(app, old, true).await.map_err(unreadable)?;
            blanks(&mut table, &provider_table(app, new, false).await.map_err(unreadable)?);
            push(&mut undo.before, "provider", table);
        }
        for (old, _, _) in &plan.tokens {
            let Some(old) = old else { continue };
            if old.prompt.is_none() {
                undo.lacked.push(("prompt".to_owned(), old.name.to_string()));
            }
            push(&mut undo.before, "token", token_table(app, old, true).await.map_err(unreadable)?);
        }
        for (old, new) in &plan.mailboxes {
            let Some(old) = old else { continue };
            for (side, had) in [("incoming", old.incoming.is_some()), ("outgoing", old.outgoing.is_some())] {
                if !had {
                    undo.lacked.push((side.to_owned(), old.name.to_string()));
                }
            }
            let mut table = mailbox_table(app, old, true).map_err(unreadable)?;
            let after = mailbox_table(app, new, false).map_err(unreadable)?;
            for side in ["incoming", "outgoing"] {
                if let (Some(Value::Table(mine)), Some(Value::Table(theirs))) = (table.get_mut(side), after.get(side)) {
                    blanks(mine, theirs);
                }
            }
            push(&mut undo.before, "mailbox", table);
        }
        Ok(undo)
    }

    /// Notes what the plan left.
    pub(super) async fn after(&mut self, tx: &mut Tx, plan: &Plan, changes: &[Change]) -> Result<(), StoreError> {
        let providers = plan
            .providers
            .iter()
            .map(|(old, new)| (new.id.as_str(), old.as_ref().map(|old| old.version)));
        let tokens = plan
            .tokens
            .iter()
            .map(|(old, new, _)| (new.id.as_str(), old.as_ref().map(|old| old.version)));
        let mailboxes = plan
            .mailboxes
            .iter()
            .map(|(old, new)| (new.id.as_str(), old.as_ref().map(|old| old.version)));
        for ((id, version), change) in providers.chain(tokens).chain(mailboxes).zip(changes) {
            if change.what == What::Unchanged {
                continue;
            }
            let is_token = change.kind == "token";
            let grant = if is_token { tx.grant(&TokenId(id.to_owned())).await? } else { None };
            self.left.push(Left {
                kind: change.kind.to_owned(),
                name: change.name.clone(),
                id: id.to_owned(),
                version: version.map_or(1, |version| version + 1),
                grant: grant.map(|grant| grant.generation),
                is_new: version.is_none(),
            });
        }
        Ok(())
    }
}

/// Keys the other table has and this one lacks, as empty ones: they were not set.
fn blanks(table: &mut Table, other: &Table) {
    for (key, value) in other {
        if value.is_str() && !table.contains_key(key) && !["token", "prompt"].contains(&key.as_str()) {
            table.insert(key.clone(), Value::String(String::new()));
        }
    }
}

/// Undoes an import. All or nothing.
pub async fn undo(app: &App, actor: &Actor, row: &ImportRow) -> Result<(), TransferError> {
    let now = app.clock.now();
    match (row.applied_at, row.undone_at) {
        (_, Some(_)) => return Err(TransferError::Undone),
        (Some(at), None) if now < at.plus(KEPT) => {}
        _ => return Err(TransferError::Gone),
    }
    let undo: Undo = open(app, row, 2)?;
    let mut changed = Vec::new();
    for left in &undo.left {
        if !is_as_left(app, left).await? {
            changed.push(format!("{} {}", left.kind, left.name));
        }
    }
    if !changed.is_empty() {
        return Err(TransferError::Changed(changed));
    }
    let mut back = back(app, actor, &undo).await?;
    for (_, mailbox) in &mut back.mailboxes {
        let lacked = |side: &str| {
            undo.lacked
                .iter()
                .any(|(what, name)| what == side && *name == mailbox.name.as_str())
        };
        if lacked("incoming") {
            mailbox.incoming = None;
        }
        if lacked("outgoing") {
            mailbox.outgoing = None;
        }
        mailbox.state = mailbox.derive_state();
    }
    for (_, token, _) in &mut back.tokens {
        if undo
            .lacked
            .iter()
            .any(|(what, name)| what == "prompt" && *name == token.name.as_str())
        {
            token.prompt = None;
        }
    }
    let mut tx = app.store.begin().await?;
    if !tx.undo_import(&row.id, now).await? {
        return Err(TransferError::Undone);
    }
    let written = Box::pin(write(app, &mut tx, actor, &back, &|_| {})).await;
    written.map_err(|error| moved(error, &undo))?;
    // Mailboxes first, then the tokens they used, then the providers of those.
    for left in undo.left.iter().rev().filter(|left| left.is_new) {
        remove(app, &mut tx, actor, left).await.map_err(|error| moved(error, &undo))?;
    }
    let entry = AuditEntry {
        action: "config.undo",
        target: "configuration".into(),
        detail: format!("an import of {} entries", undo.left.len()),
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    Ok(())
}

fn moved(error: StoreError, undo: &Undo) -> TransferError {
    match error {
        StoreError::Stale | StoreError::Taken | StoreError::InUse => {
            let some = undo
                .left
                .first()
                .map(|left| format!("Something that uses {} {}", left.kind, left.name));
            TransferError::Changed(some.into_iter().collect())
        }
        other => other.into(),
    }
}

async fn is_as_left(app: &App, left: &Left) -> Result<bool, StoreError> {
    let Ok(name) = Name::parse(&left.name) else { return Ok(false) };
    let (id, version) = match left.kind.as_str() {
        "provider" => app.store.provider(&name).await?.map(|found| (found.id.0, found.version)),
        "token" => app.store.token(&name).await?.map(|found| (found.id.0, found.version)),
        _ => app.store.mailbox(&name).await?.map(|found| (found.id.0, found.version)),
    }
    .unzip();
    // A sign-in brought along without any other change leaves the version as it was.
    let fits = version.is_some_and(|version| version == left.version || (left.grant.is_some() && version + 1 == left.version));
    if id.as_deref() != Some(left.id.as_str()) || !fits {
        return Ok(false);
    }
    if left.kind != "token" {
        return Ok(true);
    }
    let grant = app.store.grant(&TokenId(left.id.clone())).await?;
    Ok(grant.map(|grant| grant.generation) == left.grant)
}

/// The plan that makes what was changed as it was.
async fn back(app: &App, actor: &Actor, undo: &Undo) -> Result<Plan, TransferError> {
    let told = |error: ApplyError| match error {
        ApplyError::File(problems) => {
            let first = problems.into_iter().next().map(|problem| problem.message).unwrap_or_default();
            TransferError::Action(format!("What was here before can't be put back: {first}"))
        }
        other => other.into(),
    };
    let mut file = parse(&undo.before).map_err(told)?;
    // Only what the import changed; the rest of its file was the same already.
    for (kind, entries) in file.kinds_mut() {
        entries.retain(|entry| {
            undo.left
                .iter()
                .any(|left| left.kind == kind && entry.text("name") == Some(left.name.as_str()))
        });
    }
    Box::pin(plan(app, actor, &file, &nowhere())).await.map_err(told)
}

async fn remove(app: &App, tx: &mut Tx, actor: &Actor, left: &Left) -> Result<(), StoreError> {
    let (action, target) = match left.kind.as_str() {
        "provider" => {
            let id = ProviderId(left.id.clone());
            tx.delete_provider(&id).await?;
            tx.remove_setting(&trial::setting(&id)).await?;
            ("provider.delete", format!("provider:{}", left.name))
        }
        "token" => {
            tx.delete_token(&TokenId(left.id.clone())).await?;
            ("token.delete", format!("token:{}", left.name))
        }
        _ => {
            tx.delete_mailbox(&MailboxId(left.id.clone())).await?;
            ("mailbox.delete", format!("mailbox:{}", left.name))
        }
    };
    let entry = AuditEntry {
        action,
        target,
        detail: "an import was undone".into(),
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}
