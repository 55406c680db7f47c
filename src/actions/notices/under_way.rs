//! Deliveries that this process is at: what it has begun and isn't at any more was cut off.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ids of the deliveries that this process is at.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<String>>>);

impl UnderWay {
    /// Notes that this process is at a delivery, until what is returned is dropped. None where it is at it already.
    pub(super) fn begin(&self, id: &str) -> Option<Running> {
        self.locked().insert(id.to_owned()).then(|| Running {
            all: self.clone(),
            id: id.to_owned(),
        })
    }

    /// Whether this process is at a delivery.
    pub(super) fn has(&self, id: &str) -> bool {
        self.locked().contains(id)
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery that this process is at.
pub(super) struct Running {
    all: UnderWay,
    id: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.locked().remove(&self.id);
    }
}
