//! Import and export (`ux.md`, 6.15): what people bring along is read, looked at, and then applied as a configuration file is, in parts
//! of [`MANY`] entries, each all or nothing; for a day it can be undone. What there is goes out as a configuration file or as a table.

mod before;
mod export;
mod part;
mod rows;
mod running;
mod survey;
mod undo;
mod values;
mod warn;

pub use export::{mailboxes_csv, mailboxes_toml, template_csv};
pub use part::{apply, go_on};
pub use rows::Row;
pub use running::{Progress, Running};
pub use survey::{Existing, Survey, survey};
pub use undo::undo;

use super::config::ApplyError;
use super::{ActionError, providers, settings};
use crate::app::App;
use crate::model::config_file::{ConfigFile, Entry, Field, Value};
use crate::model::import::{self, Brought, Document, Fault, Place as At};
use crate::model::settings::KEEP_PREVIEWS;
use crate::model::template::TemplateKind;
use crate::model::{Name, Sealed, UserId};
use crate::store::StoreError;
use crate::store::imports::ImportRow;
use crate::vault::Place;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// For how many seconds can what was applied be undone?
pub const KEPT: i64 = 24 * 3600;
/// How many entries are written at once? With more than that an import is applied in the background.
pub const MANY: usize = 200;
/// How many providers of one import may have addresses that have to be asked for?
const MOST_DISCOVERIES: usize = 3;

/// Why an import was not applied or undone. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It is over, or was never this person's.
    #[error("This import is over. A preview waits for a while only: bring the file again")]
    Gone,
    /// Somebody changed something the preview speaks of.
    #[error("Something changed here since this preview was shown. Look at it again")]
    Moved,
    /// It was applied before.
    #[error("This import was applied already")]
    Applied,
    /// It was undone before.
    #[error("This import was undone already")]
    Undone,
    /// Another process is at it.
    #[error("Another process is at this import")]
    Elsewhere,
    /// The console stops.
    #[error("The console was stopped")]
    Stopping,
    /// A stored secret or setting stands in the way.
    #[error("{0}")]
    Action(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ApplyError> for TransferError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Store(error) => error.into(),
            other => Self::Action(other.to_string()),
        }
    }
}

/// An entry that was left as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// `provider`, `token` or `mailbox`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Why: a sentence without its full stop.
    pub why: String,
}

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// How many entries were to be written.
    pub total: usize,
    /// What was to be written and was not, because something changed meanwhile.
    pub missed: Vec<Left>,
    /// What was not undone.
    pub kept: Vec<Left>,
    /// How many entries undoing it is through with.
    pub undone: usize,
    /// Kind and name of what is new.
    pub created: Vec<(String, String)>,
    /// Kind and name of what was changed.
    pub updated: Vec<(String, String)>,
    /// How many were the same already.
    pub unchanged: usize,
    /// How many were here already and left as they are.
    pub skipped: usize,
    /// How many could not be taken.
    pub faulty: usize,
}

/// Where what was brought along is sealed: bound to its row and to whoever brought it.
fn place<'a>(id: &'a str, user: &'a UserId, version: i64) -> Place<'a> {
    Place {
        table: "imports",
        column: "sealed",
        row: id,
        version,
        destination: user.as_str(),
    }
}

fn sealed(app: &App, id: &str, user: &UserId, version: i64, value: &impl Serialize) -> Sealed {
    let text = Zeroizing::new(serde_json::to_string(value).unwrap_or_default());
    app.vault.seal(&place(id, user, version), &text)
}

fn open<T: serde::de::DeserializeOwned>(app: &App, row: &ImportRow, version: i64) -> Result<T, TransferError> {
    let text = app
        .vault
        .open(&place(&row.id, &row.user_id, version), &row.sealed)
        .map_err(|error| TransferError::Action(format!("This import can't be opened: {error}")))?;
    serde_json::from_str(&text).map_err(|error| TransferError::Store(StoreError::Row("import", error.to_string())))
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing of it can be read.
    #[error("nothing of it can be read")]
    Faults(Vec<Fault>),
    /// It brings secrets, and whoever brings it may not set any.
    #[error("it holds secrets")]
    Secrets,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads what was brought along and keeps it, sealed, for as long as the settings say; returns the id of its preview. Nothing else is written.
pub async fn receive(app: &App, user: &UserId, brought: Brought, secrets: bool) -> Result<String, ReadError> {
    let text = brought.text;
    let read = tokio::task::spawn_blocking(move || import::read(&text)).await;
    let mut document = read.unwrap_or_else(|_| Err(vec![unreadable()])).map_err(ReadError::Faults)?;
    document.notes.extend(brought.note);
    if document.has_secrets() && !secrets {
        return Err(ReadError::Secrets);
    }
    discover(app, &mut document).await?;
    let now = app.clock.now();
    let id = app.new_id();
    let row = ImportRow {
        sealed: sealed(app, &id, user, 1, &document),
        user_id: user.clone(),
        created_at: now,
        expires_at: now.plus(settings::number(app, &KEEP_PREVIEWS).await?.saturating_mul(3600)),
        begun_at: None,
        done: 0,
        applied_at: None,
        undone_at: None,
        report: document.format.to_string(),
        id,
    };
    app.store.insert_import(&row).await?;
    Ok(row.id)
}

fn unreadable() -> Fault {
    Fault {
        place: At::default(),
        message: "This can't be read".to_owned(),
        help: None,
    }
}

/// Asks for the addresses of providers that name only their issuer, now: a preview that is looked at asks nobody.
async fn discover(app: &App, document: &mut Document) -> Result<(), StoreError> {
    let mut asked = 0;
    let mut kept = Vec::new();
    for mut entry in std::mem::take(&mut document.file.providers) {
        let blank = |entry: &Entry, key: &str| entry.text(key).is_none_or(|text| text.trim().is_empty());
        let lacks = blank(&entry, "authorize_url") || blank(&entry, "token_url");
        let issuer = entry
            .text("issuer")
            .filter(|issuer| lacks && !issuer.trim().is_empty())
            .map(str::to_owned);
        let is_custom = entry.text("template").and_then(TemplateKind::parse) == Some(TemplateKind::Custom);
        let Some(issuer) = issuer.filter(|_| is_custom) else {
            kept.push(entry);
            continue;
        };
        let stored = match entry.text("name").map(Name::parse) {
            Some(Ok(name)) => app.store.provider(&name).await?,
            _ => None,
        };
        let is_stored = stored
            .is_some_and(|stored| stored.overrides.issuer.as_deref() == Some(issuer.trim()) && stored.overrides.discovered_at.is_some());
        if is_stored {
            kept.push(entry);
            continue;
        }
        asked += 1;
        let line = entry.line_of("issuer");
        let found = if asked > MOST_DISCOVERIES {
            Err("Only 3 issuers can be asked in one import. Write authorize_url and token_url beside the others".to_owned())
        } else {
            providers::discover(app, &issuer).await.map_err(|problem| problem.message)
        };
        match found {
            Ok(found) => {
                let e = found.endpoints;
                for (key, value) in [
                    ("issuer", e.issuer),
                    ("authorize_url", e.authorize_url),
                    ("token_url", e.token_url),
                    ("device_authorization_url", e.device_authorization_url),
                    ("revocation_url", e.revocation_url),
                    ("userinfo_url", e.userinfo_url),
                ] {
                    if let Some(value) = value.filter(|_| key == "issuer" || blank(&entry, key)) {
                        let value = Value::Text(value);
                        entry.fields.insert(key.to_owned(), Field { line, value });
                    }
                }
                if e.iss_announced {
                    let value = Value::Flag(true);
                    entry.fields.insert("iss_required".to_owned(), Field { line, value });
                }
                kept.push(entry);
            }
            Err(message) => {
                document.faulty += 1;
                document.faults.push(Fault {
                    place: document.place(line),
                    message,
                    help: None,
                });
            }
        }
    }
    document.file.providers = kept;
    Ok(())
}

/// An import that waits, of this person; none if it is over or was applied.
pub fn waiting(app: &App, row: &ImportRow) -> Result<Document, TransferError> {
    if row.begun_at.is_some() || row.applied_at.is_some() {
        return Err(TransferError::Applied);
    }
    if row.expires_at <= app.clock.now() {
        return Err(TransferError::Gone);
    }
    open(app, row, 1)
}

impl From<ActionError> for TransferError {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Store(error) => error.into(),
            other => Self::Action(other.to_string()),
        }
    }
}

/// No file of the server and nothing of its environment is there for what was brought along.
fn nowhere() -> super::config::Sources<'static> {
    super::config::Sources {
        directory: "/nonexistent".into(),
        env: &|_| None,
    }
}

/// How many entries a file has.
fn count(file: &ConfigFile) -> usize {
    file.kinds().iter().map(|(_, entries)| entries.len()).sum()
}
