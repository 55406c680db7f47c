//! The imports that are being written or undone: those of this process, and those of other instances on the same database.

use super::Report;
use crate::app::App;
use crate::store::StoreResult;
use crate::store::imports::{AtWork, ImportRow};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

/// How far an import in the background is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it is being undone.
    pub is_undo: bool,
    /// How many are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// The imports this process applies now, by id.
#[derive(Default)]
pub struct Running(Mutex<HashMap<String, Progress>>);

impl Running {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Progress>) -> T) -> T {
        match self.0.lock() {
            Ok(mut map) => act(&mut map),
            Err(poisoned) => act(&mut poisoned.into_inner()),
        }
    }

    /// Begins one, or undoing it; false if it is under way already, here or at another instance.
    pub async fn begin(&self, app: &App, id: &str, total: usize, is_undo: bool) -> StoreResult<bool> {
        let progress = Progress { is_undo, done: 0, total };
        let is_new = self.with(|map| match map.entry(id.to_owned()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(progress);
                true
            }
        });
        if !is_new {
            return Ok(false);
        }
        let work = AtWork {
            owner: app.flights.owner(app).as_str().to_owned(),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            is_undo,
        };
        let taken = app.store.take_import(id, &work).await;
        if !matches!(taken, Ok(true)) {
            self.with(|map| map.remove(id));
        }
        taken
    }

    /// Notes how many are done.
    pub fn note(&self, id: &str, done: usize) {
        self.with(|map| {
            if let Some(progress) = map.get_mut(id) {
                progress.done = done;
            }
        });
    }

    /// Ends one, with the reason where not all was done.
    pub async fn end(&self, app: &App, id: &str, failed: Option<&str>) {
        let left = app.store.leave_import(id, app.flights.owner(app).as_str(), failed).await;
        if let Err(error) = left {
            tracing::warn!(%error, "That an import ended can't be written down: {error}");
        }
        self.with(|map| map.remove(id));
    }

    /// How far one is; none where nobody is at it.
    pub async fn look(&self, app: &App, row: &ImportRow) -> StoreResult<Option<Progress>> {
        if let Some(progress) = self.with(|map| map.get(&row.id).cloned()) {
            return Ok(Some(progress));
        }
        let own = app.flights.owner(app).as_str();
        let Some(work) = app.store.import_at_work(&row.id, own).await?.filter(|work| work.owner != own) else {
            return Ok(None);
        };
        let report: Report = serde_json::from_str(&row.report).unwrap_or_default();
        let done = if work.is_undo {
            report.undone
        } else {
            usize::try_from(row.done).unwrap_or_default()
        };
        Ok(Some(Progress {
            is_undo: work.is_undo,
            done,
            total: usize::try_from(work.total).unwrap_or_default(),
        }))
    }
}
