//! Acts on many mailboxes that a stop has cut off, or an error: whoever finds them goes on with them ([`crate::actions::mailboxes::bulk`]).

use crate::actions::mailboxes::bulk;
use crate::app::App;
use crate::store::StoreResult;
use std::time::Duration;

/// How long between two looks?
pub const EVERY: Duration = Duration::from_secs(5);

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
