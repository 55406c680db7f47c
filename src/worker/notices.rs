//! Notices: one instance for all looks what is wrong, what is over and what ends, and makes messages of it, which [`super::deliveries`]
//! sends. Nothing is kept here but when it last looked: a process that starts goes on where another one died.

use super::locked;
use crate::actions::expiry::{Expiring, expiring};
use crate::actions::notices;
use crate::app::App;
use crate::store::StoreResult;
use std::sync::Mutex;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(15);
/// Name of the duty.
const DUTY: &str = "notices";
/// How long does a look at what ends count?
const ENDS_COUNT: Duration = Duration::from_secs(60);
/// How many days ahead is looked?
const DAYS: i64 = 60;

/// What this process knows of its notices.
#[derive(Default)]
pub(crate) struct Notices {
    /// When it looked what ends, and what it found.
    ending: Mutex<Option<(Duration, Vec<Expiring>)>>,
}

/// One pass.
pub async fn tick(app: &App) -> StoreResult<()> {
    if !super::has_duty(app, DUTY).await? {
        return Ok(());
    }
    let ending = ending(app).await?;
    notices::look(app, &ending).await
}

/// What ends, looked up now and then.
async fn ending(app: &App) -> StoreResult<Vec<Expiring>> {
    let now = app.clock.running();
    if let Some((at, found)) = &*locked(&app.workers.notices().ending)
        && now.saturating_sub(*at) < ENDS_COUNT
    {
        return Ok(found.clone());
    }
    let zone = app.store.notice_channels().await?.channels.zone;
    let found = expiring(app, DAYS, notices::local(app, &zone).await?.zone()).await?;
    *locked(&app.workers.notices().ending) = Some((now, found.clone()));
    Ok(found)
}
