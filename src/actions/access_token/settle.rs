//! What is done first after a start, and now and then: token sets that waited go into the database, renewals whose answer is not known
//! are asked for again at once (a provider that rotates forgives only for a short while), and old refresh tokens go.

use super::{Wanted, ballast, flight, lease, recovery};
use crate::app::App;
use crate::store::StoreResult;
use futures_util::StreamExt;
use std::time::Duration;
use tracing::info;

/// How long is a previous refresh token kept at the latest, in seconds?
const PREVIOUS_KEPT: i64 = 86_400;
/// How long does a start wait for answers? They go on coming in after that.
const WAIT: Duration = Duration::from_secs(3);
/// How many are asked for at once?
const AT_ONCE: usize = 16;

/// Before anything is served: settles what the last run left open. Waits three seconds for providers at most.
pub async fn settle_unanswered(app: &App) -> StoreResult<()> {
    recovery::take_in_all(app).await;
    ballast::make(app);
    let mut open = Vec::new();
    for grant in app.store.unanswered_grants().await? {
        if lease::is_abandoned(app, &grant, app.clock.now())
            && let Some(token) = app.store.token_by_id(&grant.token_id).await?
        {
            info!(token.id = %token.id, "The answer to a renewal of token {} is not known: asking again", token.name);
            open.push((token, Wanted::Newer(grant.generation)));
        }
    }
    if !open.is_empty() {
        let app = app.clone();
        let asking = app.tasks.clone().spawn(async move {
            futures_util::stream::iter(&open)
                .for_each_concurrent(AT_ONCE, async |(token, wanted)| {
                    let _ = flight::renew(&app, token, wanted.clone()).await;
                })
                .await;
        });
        let _ = tokio::time::timeout(WAIT, asking).await;
    }
    lease::sweep(&lease::directory(app), &app.store.unanswered_grants().await?);
    forget_previous(app).await
}

/// Deletes previous refresh tokens that are a day old, proven successor or not. To be called at least once an hour.
pub async fn forget_previous(app: &App) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    tx.drop_previous_refresh_tokens(app.clock.now().plus(-PREVIOUS_KEPT)).await?;
    tx.commit().await
}
