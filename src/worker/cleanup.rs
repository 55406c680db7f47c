//! What nobody needs any more: ended sessions, old forms, counted tries, replaced refresh tokens, credentials that were kept for a while,
//! old entries of the system log.

use crate::actions::ActionError;
use crate::actions::access_token;
use crate::actions::providers::credential;
use crate::actions::settings;
use crate::app::App;
use crate::model::settings::KEEP_LOG;
use crate::store::StoreResult;
use crate::store::checks::CountKind;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(600);
/// For how many days are the counts of each mailbox kept, a count a day?
const DAYS_KEPT: i64 = 90;
/// For how many days are the counts of each provider kept, a count an hour?
const HOURS_KEPT: i64 = 8;
/// How many rows go in one transaction, about?
const PRUNED_AT_ONCE: i64 = 500;
/// How many entries of the system log go at once, how often in one pass, and with what rest between?
const STEP: i64 = 500;
const STEPS: u32 = 200;
const REST: Duration = Duration::from_millis(50);

/// Sweeps. What fails does not keep the rest from being swept; the first failure is told.
pub async fn tick(app: &App) -> Result<(), ActionError> {
    let sessions = app.store.clean_sessions(app.clock.now()).await;
    let tokens = access_token::forget_previous(app).await;
    let credentials = credential::forget_outdated(app).await;
    let counts = prune_counts(app).await;
    let log = prune_log(app).await;
    sessions
        .and(counts)
        .and(tokens)
        .and(log)
        .map_err(ActionError::from)
        .and(credentials)
}

/// Counts of checks go step by step, so that nobody waits long for the database.
async fn prune_counts(app: &App) -> StoreResult<()> {
    for (kind, days) in [(CountKind::MailboxDay, DAYS_KEPT), (CountKind::ProviderHour, HOURS_KEPT)] {
        let before = app.clock.now().plus(-days * 86_400);
        loop {
            let mut tx = app.store.begin().await?;
            let gone = tx.prune_check_counts(kind, before, PRUNED_AT_ONCE).await?;
            tx.commit().await?;
            if gone == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Deletes entries of the system log that need not be kept any more, in small steps: others write in between.
pub async fn prune_log(app: &App) -> StoreResult<()> {
    let days = settings::number(app, &KEEP_LOG).await?;
    let before = app.clock.now().plus(-days * 86_400);
    for _ in 0..STEPS {
        let gone = app.store.prune_log(before, STEP).await?;
        if i64::try_from(gone).unwrap_or(0) < STEP || app.stopping.is_cancelled() {
            break;
        }
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
