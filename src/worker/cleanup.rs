//! What nobody needs any more: ended sessions, old forms, counted tries, replaced refresh tokens, credentials that were kept for a while,
//! old messages, test results, closed links and entries of the system log that are older than the settings keep them. And the database
//! looks at logs that have grown much.

use crate::actions::ActionError;
use crate::actions::access_token;
use crate::actions::providers::credential;
use crate::actions::settings;
use crate::app::App;
use crate::model::settings::{KEEP_LINKS, KEEP_LOG, KEEP_RUNS};
use crate::store::StoreResult;
use crate::store::checks::CountKind;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(600);
/// Name of the duty.
const DUTY: &str = "cleanup";
/// For how many days are the counts of each mailbox kept, a count a day?
const DAYS_KEPT: i64 = 90;
/// For how many days are the counts of each provider kept, a count an hour?
const HOURS_KEPT: i64 = 8;
/// For how many days are messages kept that were sent?
const DELIVERIES_KEPT: i64 = 30;
/// For how many days are notices kept that are over? They say which dates were told, some of which are far ahead.
const NOTICES_KEPT: i64 = 400;
/// For how many days can an act on many mailboxes be undone?
const UNDONE_WITHIN: i64 = 7;
/// How many rows of what grows go at once, how often in one pass, and with what rest between?
const STEP: i64 = 500;
const STEPS: u32 = 200;
const REST: Duration = Duration::from_millis(50);

/// Sweeps, one instance for all: two that delete the same rows would stand in each other's way. What fails does not keep the rest from
/// being swept; the first failure is told.
pub async fn tick(app: &App) -> Result<(), ActionError> {
    if !super::has_duty(app, DUTY).await? {
        return Ok(());
    }
    let mut swept = app.store.clean_sessions(app.clock.now()).await;
    swept = swept.and(access_token::forget_previous(app).await);
    for what in Grown::ALL {
        swept = swept.and(prune(app, what).await);
    }
    let looked = app.store.analyze_grown_logs().await.map(|_| ());
    let credentials = credential::forget_outdated(app).await;
    swept.and(looked).map_err(ActionError::from).and(credentials)
}

/// What grows, and goes by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// Entries of the system log.
    Log,
    /// Results of tests.
    Runs,
    /// Bulk tests, which go as their results do.
    Batches,
    /// What could be undone of acts on many mailboxes.
    BulkActs,
    /// One-time links that are over.
    Links,
    /// Counts of checks by mailbox.
    MailboxDays,
    /// Counts of checks by provider.
    ProviderHours,
    /// Messages that were sent.
    Deliveries,
    /// Notices that are over.
    Notices,
}

impl Grown {
    /// All of it.
    pub const ALL: [Self; 9] = [
        Self::Log,
        Self::Runs,
        Self::Batches,
        Self::BulkActs,
        Self::Links,
        Self::MailboxDays,
        Self::ProviderHours,
        Self::Deliveries,
        Self::Notices,
    ];

    /// For how many days it is kept.
    async fn days(self, app: &App) -> StoreResult<i64> {
        match self {
            Self::Log => settings::number(app, &KEEP_LOG).await,
            Self::Runs | Self::Batches => settings::number(app, &KEEP_RUNS).await,
            Self::BulkActs => Ok(UNDONE_WITHIN),
            Self::Links => settings::number(app, &KEEP_LINKS).await,
            Self::MailboxDays => Ok(DAYS_KEPT),
            Self::ProviderHours => Ok(HOURS_KEPT),
            Self::Deliveries => Ok(DELIVERIES_KEPT),
            Self::Notices => Ok(NOTICES_KEPT),
        }
    }
}

/// Deletes what is older than it has to be kept, in small steps with rests in which others write; where there is much of it, the next
/// pass goes on where this one ends.
pub async fn prune(app: &App, what: Grown) -> StoreResult<()> {
    let before = app.clock.now().plus(-what.days(app).await? * 86_400);
    for _ in 0..STEPS {
        let mut tx = app.store.begin().await?;
        let gone = match what {
            Grown::Log => tx.prune_log(before, STEP).await?,
            Grown::Runs => tx.prune_old_runs(before, STEP).await?,
            Grown::Batches => tx.prune_batches(before, STEP).await?,
            Grown::BulkActs => tx.prune_bulk_acts(before, STEP).await?,
            Grown::Links => tx.prune_links(before, STEP).await?,
            Grown::MailboxDays => tx.prune_check_counts(CountKind::MailboxDay, before, STEP).await?,
            Grown::ProviderHours => tx.prune_check_counts(CountKind::ProviderHour, before, STEP).await?,
            Grown::Deliveries => tx.prune_deliveries(before, STEP).await?,
            Grown::Notices => tx.prune_notices(before, STEP).await?,
        };
        tx.commit().await?;
        if gone == 0 || app.stopping.is_cancelled() {
            break;
        }
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
