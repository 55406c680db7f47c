//! What this process is at, by id: what was begun and isn't held any more was cut off, and nothing is begun twice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ids of what this process is at.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<HashSet<String>>>);

impl Held {
    /// Notes that this process is at something, until what is returned is dropped. None where it is at it already.
    pub fn take(&self, id: &str) -> Option<Hold> {
        self.locked().insert(id.to_owned()).then(|| Hold {
            all: self.clone(),
            id: id.to_owned(),
        })
    }

    /// Whether this process is at it.
    pub fn has(&self, id: &str) -> bool {
        self.locked().contains(id)
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that this process is at.
pub struct Hold {
    all: Held,
    id: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.locked().remove(&self.id);
    }
}
