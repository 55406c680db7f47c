//! An import undone, within a day: what was new goes, what was changed becomes as it was, and what somebody changed since stays.

use super::before::{Undo, Was, now};
use super::survey::destinations;
use super::{KEPT, Left, Report, TransferError, nowhere};
use crate::actions::config::plan::{Plan, plan};
use crate::actions::config::{ApplyError, parse, write};
use crate::actions::providers::trial;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::config_file::{Field, Value as Entered};
use crate::model::mailbox::{Auth, Side};
use crate::model::{MailboxId, Name, ProviderId, TokenId};
use crate::store::imports::{EntryId, ImportRow};
use crate::store::{StoreError, Tx};
use std::collections::HashSet;

/// How often is a part tried again, when others are faster?
const TRIES: usize = 5;

/// Undoes an import, the last part first, each part all or nothing: what is new goes, what was changed becomes as it was. What somebody
/// changed since stays as it is, and what that needs; the report names it. `progress` hears how many entries are done.
pub async fn undo(app: &App, actor: &Actor, row: &ImportRow, progress: &(dyn Fn(usize) + Sync)) -> Result<Report, TransferError> {
    match (row.begun_at, row.applied_at, row.undone_at) {
        (_, _, Some(_)) => return Err(TransferError::Undone),
        (Some(begun), applied, None) if app.clock.now() < applied.unwrap_or(begun).plus(KEPT) => {}
        _ => return Err(TransferError::Gone),
    }
    let mut report: Report = serde_json::from_str(&row.report).unwrap_or_default();
    let mut tries = 0;
    while let Some((number, sealed)) = app.store.last_part(&row.id).await? {
        progress(report.undone);
        if app.stopping.is_cancelled() {
            return Err(TransferError::Stopping);
        }
        let part = Undo::open(app, row, number, &sealed)?;
        match Box::pin(undo_part(app, actor, row, number, &part, report.clone())).await {
            Ok(after) => {
                report = after;
                tries = 0;
            }
            Err(TransferError::Moved) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.undone_import(&row.id, now).await? {
        return Err(TransferError::Undone);
    }
    let entry = AuditEntry {
        action: "config.undo",
        target: "configuration".into(),
        detail: format!(
            "an import of {} entries, {} left",
            report.created.len() + report.updated.len(),
            report.kept.len()
        ),
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    Ok(report)
}

async fn undo_part(
    app: &App,
    actor: &Actor,
    row: &ImportRow,
    number: i64,
    part: &Undo,
    mut report: Report,
) -> Result<Report, TransferError> {
    let mut back = back(app, actor, part).await?;
    let mut tx = app.store.begin().await?;
    let mut stays: HashSet<(&str, &str)> = HashSet::new();
    let keep = |report: &mut Report, was: &Was, why: &str| {
        report.kept.push(Left {
            kind: was.kind.clone(),
            name: was.name.clone(),
            why: why.to_owned(),
        });
    };
    for was in &part.left {
        match now(&mut tx, &was.kind, &was.id).await? {
            Some(found) if found == (was.version, was.grant, was.secret) => {}
            Some((version, ..)) => {
                stays.insert((&was.kind, &was.name));
                let why = if version == was.version {
                    "Its sign-in or secret was renewed since"
                } else {
                    "It was changed since"
                };
                keep(&mut report, was, why);
            }
            None => {
                stays.insert((&was.kind, &was.name));
            }
        }
    }
    back.providers.retain(|(_, new)| !stays.contains(&("provider", new.name.as_str())));
    back.tokens.retain(|(_, new, _)| !stays.contains(&("token", new.name.as_str())));
    back.mailboxes.retain(|(_, new)| !stays.contains(&("mailbox", new.name.as_str())));
    // What a token had was for its provider as it was: it follows that one nowhere else (SEC-8).
    let towards = destinations(app, &back).await?;
    let elsewhere = |name: &str| {
        let was = part.towards.iter().find(|(of, _)| of == name);
        was.is_some_and(|(_, was)| towards.get(name) != Some(was))
    };
    for was in part.left.iter().filter(|was| was.kind == "token" && elsewhere(&was.name)) {
        if stays.insert((&was.kind, &was.name)) {
            keep(&mut report, was, "Its provider leads elsewhere since");
        }
    }
    back.tokens.retain(|(_, new, _)| !stays.contains(&("token", new.name.as_str())));
    match Box::pin(write(app, &mut tx, actor, &back, &|_| {})).await {
        Err(StoreError::Stale | StoreError::Taken | StoreError::InUse) => return Err(TransferError::Moved),
        other => drop(other?),
    }
    for (_, provider) in back.providers.iter().filter(|(_, new)| part.lacked("service_account", &new.name)) {
        tx.delete_service_account(&provider.id).await?;
    }
    for (_, token, _) in back.tokens.iter().filter(|(_, new, _)| part.lacked("password", &new.name)) {
        tx.drop_token_password(&token.id).await?;
    }
    // Mailboxes first, then the tokens they used, then the providers of those.
    for was in part.left.iter().rev().filter(|was| was.is_new) {
        if stays.contains(&(was.kind.as_str(), was.name.as_str())) {
            continue;
        }
        if !remove(app, &mut tx, actor, was).await? {
            let why = if was.kind == "token" {
                "A mailbox uses it"
            } else {
                "A token is of it"
            };
            keep(&mut report, was, why);
        }
    }
    report.undone += part.left.len();
    let text = serde_json::to_string(&report).unwrap_or_default();
    if !tx.take_part(&row.id, number, &text).await? {
        return Err(TransferError::Elsewhere);
    }
    tx.commit().await?;
    Ok(report)
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
    // What had no secret needs none to go back; the word in its place is taken out again below.
    for entry in &mut file.providers {
        let lacked = Name::parse(entry.text("name").unwrap_or_default()).is_ok_and(|name| undo.lacked("client_secret", &name));
        if lacked && entry.text("client_secret").is_none() {
            let (line, value) = (entry.line, Entered::Text("none".to_owned()));
            entry.fields.insert("client_secret".to_owned(), Field { line, value });
        }
    }
    let mut back = Box::pin(plan(app, actor, &file, &nowhere())).await.map_err(told)?;
    for (_, provider) in &mut back.providers {
        if undo.lacked("client_secret", &provider.name) {
            provider.client_secret = None;
        }
        if undo.lacked("certificate", &provider.name) {
            provider.credentials.certificate = None;
        }
    }
    for (_, mailbox) in &mut back.mailboxes {
        for (what, side) in [
            ("incoming.password", &mut mailbox.incoming),
            ("outgoing.password", &mut mailbox.outgoing),
        ] {
            if let Some(Side {
                auth: Auth::Password { password },
                ..
            }) = side
                && undo.lacked(what, &mailbox.name)
            {
                *password = None;
            }
        }
        if undo.lacked("incoming", &mailbox.name) {
            mailbox.incoming = None;
        }
        if undo.lacked("outgoing", &mailbox.name) {
            mailbox.outgoing = None;
        }
        mailbox.state = mailbox.derive_state();
    }
    for (_, token, _) in &mut back.tokens {
        if undo.lacked("prompt", &token.name) {
            token.prompt = None;
        }
    }
    Ok(back)
}

/// Removes what an import made; false if something hangs on it.
async fn remove(app: &App, tx: &mut Tx, actor: &Actor, was: &Was) -> Result<bool, StoreError> {
    let action = match was.kind.as_str() {
        "provider" => {
            let id = ProviderId(was.id.clone());
            if tx.is_used(EntryId::Provider(&id)).await? {
                return Ok(false);
            }
            tx.delete_provider(&id).await?;
            tx.remove_setting(&trial::setting(&id)).await?;
            "provider.delete"
        }
        "token" => {
            let id = TokenId(was.id.clone());
            if tx.is_used(EntryId::Token(&id)).await? {
                return Ok(false);
            }
            tx.delete_token(&id).await?;
            "token.delete"
        }
        _ => {
            tx.delete_mailbox(&MailboxId(was.id.clone())).await?;
            "mailbox.delete"
        }
    };
    let entry = AuditEntry {
        action,
        target: format!("{}:{}", was.kind, was.name),
        detail: "an import was undone".into(),
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await?;
    Ok(true)
}
