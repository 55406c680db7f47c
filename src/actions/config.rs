//! `config apply` and `config export`: the configuration file in, all of it or nothing; the same format out.
//!
//! What the file names is created or updated, what it does not name stays: entries, and keys within an entry. The rules are those of
//! the forms; a problem names the line.

mod export;
pub(in crate::actions) mod plan;

pub use export::{ExportError, Part, export, export_part};
pub(in crate::actions) use export::{mailbox_table, provider_table, push, token_table};

use self::plan::{Plan, plan};
use super::providers::service_account;
use super::{ActionError, mailboxes, providers, tokens};
use crate::app::App;
use crate::model::Date;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::config_file;
use crate::model::config_file::{ConfigFile, Problem};
use crate::model::credential::Fallback;
use crate::model::provider::Provider;
use crate::model::token::Token;
use crate::store::{StoreError, Tx};
use serde::Serialize;
use std::path::PathBuf;

/// Where `…_file` and `…_env` look.
pub struct Sources<'a> {
    /// Relative paths start here: the folder of the configuration file.
    pub directory: PathBuf,
    /// Looks an environment variable up.
    pub env: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is new.
    Created,
    /// It differs from what was stored.
    Updated,
    /// It was as the file has it.
    Unchanged,
}

/// An entry and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `provider`, `token` or `mailbox`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub what: What,
    /// What whoever applied it should know; mostly empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file.
    #[error("{} in the file", match .0.len() { 1 => "1 problem".to_owned(), n => format!("{n} problems") })]
    File(Vec<Problem>),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored secret can't be opened.
    #[error("{0}")]
    Action(String),
}

impl From<ActionError> for ApplyError {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Store(error) => Self::Store(error),
            other => Self::Action(other.to_string()),
        }
    }
}

/// Applies a file, or with `dry_run` says what applying it would do. All or nothing.
pub async fn apply(app: &App, actor: &Actor, file: &ConfigFile, sources: &Sources<'_>, dry_run: bool) -> Result<Vec<Change>, ApplyError> {
    let mut plan = plan(app, actor, file, sources).await?;
    for (old, new) in &mut plan.providers {
        if let Some(old) = old {
            keep_former(app, old, new);
        }
    }
    let mut tx = app.store.begin().await?;
    let changes = write(app, &mut tx, actor, &plan, &|_| {}).await?;
    if dry_run {
        return Ok(changes);
    }
    if changes.iter().any(|change| change.what != What::Unchanged) {
        tx.commit().await?;
    }
    Ok(changes)
}

/// For how long does what a file replaces stay as fallback, in seconds? Nobody tries what a file brings before it is in use.
const KEPT_FOR: i64 = 14 * 86_400;

/// Keeps what the app proves itself with now as fallback, where the file brings another credential for the same app at the same place.
fn keep_former(app: &App, old: &Provider, new: &mut Provider) {
    let same_app = (&old.client_id, old.destination()) == (&new.client_id, new.destination());
    if !same_app || old.held() == new.held() || new.held().is_none() {
        return;
    }
    let until = time::OffsetDateTime::from_unix_timestamp(app.clock.now().plus(KEPT_FOR).0);
    if let (Some(held), Ok(until)) = (old.held(), until) {
        new.credentials.fallback = Some(Fallback {
            until: Date(until.date()),
            held,
            used_at: None,
        });
    }
}

/// That a credential was not tried, and what stands by.
fn untried(old: &Provider, new: &Provider) -> String {
    if old.held() == new.held() || new.held().is_none() || old.held().is_none() {
        return String::new();
    }
    let noun = new.proof_noun();
    match &new.credentials.fallback {
        Some(fallback) => format!(
            "the new {noun} was not tried at the provider; the {} before it stays as fallback until {}",
            fallback.held.noun(),
            fallback.until
        ),
        None => format!("the new {noun} was not tried at the provider"),
    }
}

/// Writes a plan with its audit entries and says what became of each entry, in the plan's order; `progress` hears how many are done.
pub(in crate::actions) async fn write(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    plan: &Plan,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for (old, new) in &plan.providers {
        let mut what = match old {
            None => {
                providers::insert(app, tx, actor, new).await?;
                What::Created
            }
            Some(old) => updated(!providers::save(app, tx, actor, old, new.clone()).await?.changes.is_empty()),
        };
        for (_, key, file) in plan.service_accounts.iter().filter(|(of, ..)| *of == new.id) {
            if service_account::set(app, tx, actor, new, key, file).await? && what == What::Unchanged {
                what = What::Updated;
            }
        }
        changes.push(Change {
            kind: "provider",
            name: new.name.to_string(),
            what,
            note: old.as_ref().map(|old| untried(old, new)).unwrap_or_default(),
        });
        progress(changes.len());
    }
    for (old, new, refresh_token) in &plan.tokens {
        let mut what = match old {
            None => {
                tokens::insert(app, tx, actor, new).await?;
                What::Created
            }
            Some(old) => updated(!tokens::save(app, tx, actor, old, new.clone()).await?.1.is_empty()),
        };
        let password = plan.passwords.iter().find(|(of, _)| *of == new.id);
        if let Some((_, password)) = password
            && let Some(provider) = find_provider(app, plan, new).await?
            && tokens::set_password(app, tx, actor, new, &provider, password).await?
            && what == What::Unchanged
        {
            what = What::Updated;
        }
        if let Some(refresh_token) = refresh_token
            && let Some(provider) = find_provider(app, plan, new).await?
            && tokens::bring_along(app, tx, actor, new, &provider, refresh_token, false).await?
            && what == What::Unchanged
        {
            what = What::Updated;
        }
        changes.push(Change {
            kind: "token",
            name: new.name.to_string(),
            what,
            note: String::new(),
        });
        progress(changes.len());
    }
    for (old, new) in &plan.mailboxes {
        let what = match old {
            None => {
                mailboxes::insert(app, tx, actor, new).await?;
                What::Created
            }
            Some(old) => updated(mailboxes::save(app, tx, actor, old, new).await?),
        };
        changes.push(Change {
            kind: "mailbox",
            name: new.name.to_string(),
            what,
            note: String::new(),
        });
        progress(changes.len());
    }
    if changes.iter().any(|change| change.what != What::Unchanged) {
        summary(app, tx, actor, &changes).await?;
    }
    Ok(changes)
}

fn updated(changed: bool) -> What {
    if changed { What::Updated } else { What::Unchanged }
}

async fn find_provider(app: &App, plan: &Plan, token: &Token) -> Result<Option<Provider>, StoreError> {
    match plan.providers.iter().find(|(_, provider)| provider.id == token.provider_id) {
        Some((_, provider)) => Ok(Some(provider.clone())),
        None => app.store.provider_by_id(&token.provider_id).await,
    }
}

async fn summary(app: &App, tx: &mut Tx, actor: &Actor, changes: &[Change]) -> Result<(), StoreError> {
    let count = |what| changes.iter().filter(|change| change.what == what).count();
    let entry = AuditEntry {
        action: "config.apply",
        target: "configuration".into(),
        detail: format!(
            "{} created, {} updated, {} unchanged",
            count(What::Created),
            count(What::Updated),
            count(What::Unchanged)
        ),
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}

/// Reads and checks a file without a database: for the editor's save hook.
pub fn parse(text: &str) -> Result<ConfigFile, ApplyError> {
    config_file::parse(text).map_err(ApplyError::File)
}
