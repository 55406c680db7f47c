//! What it takes to undo a part of an import: how everything was before, and how the import left it. Sealed, for a day.

use super::TransferError;
use crate::actions::config::plan::Plan;
use crate::actions::config::{Change, What, mailbox_table, provider_table, push, token_table};
use crate::app::App;
use crate::model::mailbox::{Auth, Side};
use crate::model::{MailboxId, Name, ProviderId, Sealed, TokenId};
use crate::store::imports::{EntryId, ImportRow};
use crate::store::{StoreError, Tx};
use crate::vault::Place;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use zeroize::Zeroizing;

/// One entry as a part of an import left it.
#[derive(Serialize, Deserialize)]
pub(super) struct Was {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) version: i64,
    /// For tokens: the generation of what is stored, if anything is.
    pub(super) grant: Option<i64>,
    /// The version of what is stored beside it: a token's password, a provider's service account.
    #[serde(default)]
    pub(super) secret: Option<i64>,
    pub(super) is_new: bool,
}

/// What it takes to undo a part of an import.
#[derive(Serialize, Deserialize)]
pub(super) struct Undo {
    /// What is changed, as it was: a configuration file with its secrets.
    pub(super) before: String,
    /// Names of mailboxes that had no side of a kind, of tokens that had no prompt of their own or no password, and of providers that
    /// had no secret or service account.
    pub(super) lacked: Vec<(String, String)>,
    /// Of each token, by its name: where the secrets it had were to go.
    #[serde(default)]
    pub(super) towards: Vec<(String, String)>,
    pub(super) left: Vec<Was>,
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

    pub(super) fn open(app: &App, row: &ImportRow, part: i64, sealed: &Sealed) -> Result<Self, TransferError> {
        let text = app.vault.open(&place(row, part), sealed);
        let text = text.map_err(|error| TransferError::Action(format!("This import can't be opened: {error}")))?;
        serde_json::from_str(&text).map_err(|error| TransferError::Store(StoreError::Row("import", error.to_string())))
    }

    pub(super) fn lacked(&self, what: &str, name: &Name) -> bool {
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
pub(super) async fn now(tx: &mut Tx, kind: &str, id: &str) -> Result<Option<(i64, Option<i64>, Option<i64>)>, StoreError> {
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
