//! The imports this process is at.

use std::collections::HashMap;
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
    /// Why it ended before all was done.
    pub failed: Option<String>,
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

    /// Begins one, or undoing it; false if it is under way already.
    pub fn begin(&self, id: &str, total: usize, is_undo: bool) -> bool {
        self.with(|map| {
            if map.get(id).is_some_and(|progress| progress.failed.is_none()) {
                return false;
            }
            let progress = Progress {
                total,
                is_undo,
                ..Progress::default()
            };
            map.insert(id.to_owned(), progress);
            true
        })
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
    pub fn end(&self, id: &str, failed: Option<String>) {
        self.with(|map| match failed {
            None => drop(map.remove(id)),
            Some(_) => {
                if let Some(progress) = map.get_mut(id) {
                    progress.failed = failed;
                }
            }
        });
    }

    /// How far one is. The reason of a failure is given once.
    pub fn look(&self, id: &str) -> Option<Progress> {
        self.with(|map| {
            let progress = map.get(id).cloned();
            if progress.as_ref().is_some_and(|progress| progress.failed.is_some()) {
                map.remove(id);
            }
            progress
        })
    }
}
