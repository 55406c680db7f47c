//! An import undone, within a day: what was new goes, what was changed becomes as it was, and what somebody changed since stays.

use super::survey::destinations;
use super::{KEPT, Left, Report, TransferError, nowhere};
use crate::actions::config::plan::{Plan, plan};
use crate::actions::config::{ApplyError, Change, What, mailbox_table, parse, provider_table, push, token_table, write};
use crate::actions::providers::trial;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Side};
use crate::model::{MailboxId, Name, ProviderId, Sealed, TokenId};
use crate::store::imports::{EntryId, ImportRow};
use crate::store::{StoreError, Tx};
use crate::vault::Place;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use toml::{Table, Value};
use zeroize::Zeroizing;

/// How often is a part tried again, when others are faster?
const TRIES: usize = 5;

/// One entry as a part of an import left it.
#[derive(Serialize, Deserialize)]
struct Was {
    kind: String,
    name: String,
    id: String,
    version: i64,
    /// For tokens: the generation of what is stored, if anything is.
    grant: Option<i64>,
    /// The version of what is stored beside it: a token's password, a provider's service account.
    #[serde(default)]
    secret: Option<i64>,
    is_new: bool,
}

/// What it takes to undo a part of an import.
#[derive(Serialize, Deserialize)]
pub(super) struct Undo {
    /// What is changed, as it was: a configuration file with its secrets.
    before: String,
    /// Names of mailboxes that had no side of a kind, of tokens that had no prompt of their own or no password, and of providers that
    /// had no secret or service account.
    lacked: Vec<(String, String)>,
    /// Of each token, by its name: where the secrets it had were to go.
    #[serde(default)]
    towards: Vec<(String, String)>,
    left: Vec<Was>,
}

/// Where it is sealed: bound to its import, to its part and to whoever it is of.
fn place<'a>(row: &'a ImportRow, part: i64) -> Place<'a> {
    Place {
        table: "import_parts",
        column: "sealed",
        row: &row.id,
        version: part,
        destination: row.user_id.as_str(),
    }
}

impl Undo {
    /// Sealed as a part of an import.
    pub(super) fn sealed(&self, app: &App, row: &ImportRow, part: i64) -> Sealed {
        let text = Zeroizing::new(serde_json::to_string(self).unwrap_or_default());
        app.vault.seal(&place(row, part), &text)
    }

    fn open(app: &App, row: &ImportRow, part: i64, sealed: &Sealed) -> Result<Self, TransferError> {
        let text = app.vault.open(&place(row, part), sealed);
        let text = text.map_err(|error| TransferError::Action(format!("This import can't be opened: {error}")))?;
        serde_json::from_str(&text).map_err(|error| TransferError::Store(StoreError::Row("import", error.to_string())))
    }

    fn lacked(&self, what: &str, name: &Name) -> bool {
        self.lacked.iter().any(|(lacked, of)| lacked == what && *of == name.as_str())
    }

    /// Notes how everything is that a plan would change.
    pub(super) async fn before(app: &App, plan: &Plan) -> Result<Self, TransferError> {
        let unreadable = |error: crate::actions::config::ExportError| TransferError::Action(error.to_string());
        let mut undo = Self {
            before: String::new(),
            lacked: Vec::new(),
            towards: Vec::new(),
            left: Vec::new(),
        };
        for (old, new) in &plan.providers {
            let Some(old) = old else { continue };
            if app.store.service_account(&old.id).await?.is_none() {
                undo.lacked.push(("service_account".to_owned(), old.name.to_string()));
            }
            for (what, had) in [
                ("client_secret", old.client_secret.is_some()),
                ("certificate", old.credentials.certificate.is_some()),
            ] {
                if !had {
                    undo.lacked.push((what.to_owned(), old.name.to_string()));
                }
            }
            let mut table = provider_table(app, old, true).await.map_err(unreadable)?;
            blanks(&mut table, &provider_table(app, new, false).await.map_err(unreadable)?);
            push(&mut undo.before, "provider", table);
        }
        for (old, _, _) in &plan.tokens {
            let Some(old) = old else { continue };
            let password = app.store.token_password(&old.id).await?.filter(|stored| stored.sealed.is_some());
            let of_password = password.map(|stored| stored.destination);
            let of_grant = app.store.grant(&old.id).await?.map(|grant| grant.destination);
            if let Some(destination) = of_password.or(of_grant) {
                undo.towards.push((old.name.to_string(), destination));
            }
            if app
                .store
                .token_password(&old.id)
                .await?
                .is_none_or(|stored| stored.sealed.is_none())
            {
                undo.lacked.push(("password".to_owned(), old.name.to_string()));
            }
            if old.prompt.is_none() {
                undo.lacked.push(("prompt".to_owned(), old.name.to_string()));
            }
            push(&mut undo.before, "token", token_table(app, old, true).await.map_err(unreadable)?);
        }
        for (old, new) in &plan.mailboxes {
            let Some(old) = old else { continue };
            let no_password = |side: &Option<Side>| {
                side.as_ref()
                    .is_some_and(|side| matches!(side.auth, Auth::Password { password: None }))
            };
            for (side, had) in [
                ("incoming", old.incoming.is_some()),
                ("outgoing", old.outgoing.is_some()),
                ("incoming.password", !no_password(&old.incoming)),
                ("outgoing.password", !no_password(&old.outgoing)),
            ] {
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
        let providers = plan.providers.iter().map(|(old, new)| (new.id.as_str(), old.is_none()));
        let tokens = plan.tokens.iter().map(|(old, new, _)| (new.id.as_str(), old.is_none()));
        let mailboxes = plan.mailboxes.iter().map(|(old, new)| (new.id.as_str(), old.is_none()));
        for ((id, is_new), change) in providers.chain(tokens).chain(mailboxes).zip(changes) {
            if change.what != What::Unchanged
                && let Some((version, grant, secret)) = now(tx, change.kind, id).await?
            {
                self.left.push(Was {
                    kind: change.kind.to_owned(),
                    name: change.name.clone(),
                    id: id.to_owned(),
                    version,
                    grant,
                    secret,
                    is_new,
                });
            }
        }
        Ok(())
    }
}

/// How an entry stands: its version, the generation of its grant, the version of the secret beside it; none if it is gone.
async fn now(tx: &mut Tx, kind: &str, id: &str) -> Result<Option<(i64, Option<i64>, Option<i64>)>, StoreError> {
    let (version, grant, secret) = match kind {
        "provider" => {
            let id = ProviderId(id.to_owned());
            let secret = tx.service_account(&id).await?.map(|stored| stored.version);
            (tx.version_of(EntryId::Provider(&id)).await?, None, secret)
        }
        "token" => {
            let id = TokenId(id.to_owned());
            let secret = tx.token_password(&id).await?.map(|stored| stored.version);
            let grant = tx.grant(&id).await?.map(|grant| grant.generation);
            (tx.version_of(EntryId::Token(&id)).await?, grant, secret)
        }
        _ => (tx.version_of(EntryId::Mailbox(&MailboxId(id.to_owned()))).await?, None, None),
    };
    Ok(version.map(|version| (version, grant, secret)))
}

/// Keys the other table has and this one lacks, as empty ones: they were not set.
fn blanks(table: &mut Table, other: &Table) {
    for (key, value) in other {
        if value.is_str() && !table.contains_key(key) && !["token", "prompt"].contains(&key.as_str()) {
            table.insert(key.clone(), Value::String(String::new()));
        }
    }
}

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
