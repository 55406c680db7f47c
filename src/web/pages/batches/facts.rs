//! What everybody sees of a bulk test, read once for all who watch it.

use crate::app::App;
use crate::model::BatchId;
use crate::model::batch::{Batch, Group};
use crate::store::StoreResult;
use crate::web::pages::overview::causes::{Cause, of_group};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old may it be for those who watch?
const FRESH: Duration = Duration::from_millis(1500);
/// How many causes does the page show?
const SHOWN: i64 = 50;
/// From how many batches on are those forgotten that nobody watches?
const MOST: usize = 32;

/// How a batch stands.
pub(super) struct Facts {
    pub batch: Batch,
    /// How many items run.
    pub running: i64,
    /// What items failed with, and what that is now.
    pub groups: Vec<(Group, Cause)>,
    /// Whether there are more causes than these.
    pub more: bool,
}

impl Facts {
    pub async fn of(app: &App, batch: Batch) -> StoreResult<Self> {
        let running = if batch.is_open() {
            app.store.running_items(&batch.id).await?
        } else {
            0
        };
        let mut found = app.store.batch_groups(&batch.id, SHOWN + 1).await?;
        let shown = usize::try_from(SHOWN).unwrap_or(50);
        let more = found.len() > shown;
        found.truncate(shown);
        let mut groups = Vec::new();
        for group in found {
            let cause = of_group(app, &group).await?;
            groups.push((group, cause));
        }
        Ok(Self {
            batch,
            running,
            groups,
            more,
        })
    }
}

/// What was read last of a batch, and when.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Facts>)>>>;

/// The batches that are watched, by id.
#[derive(Default)]
pub struct Watched(Mutex<HashMap<String, Slot>>);

impl Watched {
    fn slot(&self, id: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(id.to_owned()).or_default())
    }

    /// How a batch stood a moment ago; none where it is gone. Who asks meanwhile waits for the same.
    pub(super) async fn facts(&self, app: &App, id: &str) -> StoreResult<Option<Arc<Facts>>> {
        let slot = self.slot(id);
        let mut kept = slot.lock().await;
        if let Some((at, facts)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(Some(Arc::clone(facts)));
        }
        let Some(batch) = app.store.batch(&BatchId(id.to_owned())).await? else {
            return Ok(None);
        };
        let facts = Arc::new(Facts::of(app, batch).await?);
        *kept = Some((Instant::now(), Arc::clone(&facts)));
        Ok(Some(facts))
    }
}
