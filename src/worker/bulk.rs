//! Acts on many mailboxes that a stop has cut off, or an error: whoever finds them goes on with them ([`crate::actions::mailboxes::bulk`]).

use super::locked;
use crate::actions::mailboxes::bulk;
use crate::app::App;
use crate::store::StoreResult;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long between two looks?
pub const EVERY: Duration = Duration::from_secs(5);

/// The acts this process is at.
#[derive(Clone, Default)]
pub(super) struct Acts(Arc<Mutex<HashSet<String>>>);

impl Acts {
    /// The right to work on an act, until it is dropped; none where this process is at it already.
    pub(super) fn take(&self, id: &str) -> Option<Turn> {
        let new = locked(&self.0).insert(id.to_owned());
        new.then(|| Turn(self.clone(), id.to_owned()))
    }
}

/// An act that this process is at.
pub struct Turn(Acts, String);

impl Drop for Turn {
    fn drop(&mut self) {
        locked(&self.0.0).remove(&self.1);
    }
}

/// Goes on with what nobody is at: what this instance had to leave, and what others had that are gone.
pub async fn tick(app: &App) -> StoreResult<()> {
    let owner = app.flights.owner(app).as_str();
    for (id, from) in app.store.left_bulk_acts(owner).await? {
        if from != owner {
            let mut tx = app.store.begin().await?;
            let taken = tx.take_bulk_act(&id, &from, owner).await?;
            tx.commit().await?;
            if !taken {
                continue;
            }
        }
        let app = app.clone();
        app.tasks.clone().spawn(async move {
            if let Err(error) = bulk::go_on(&app, &id).await {
                tracing::warn!(act.id = %id, %error, "Work on many mailboxes can't go on yet: {error}");
            }
        });
    }
    Ok(())
}
