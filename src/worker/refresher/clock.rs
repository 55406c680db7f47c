//! The machine's clock may be set while tokens live by it (DUR-9, F16). What counts is how long they have lived: when the clock jumps, the
//! moments in the database jump along, so that nothing is taken for dead and nothing is renewed too late or all at once.
//!
//! Only where this instance is alone: of several, the one whose clock differs from the database's leaves the work to the others.

use crate::actions::ActionError;
use crate::app::App;
use crate::clock::Timestamp;
use crate::store::StoreError;
use std::time::Duration;

/// How far may two clocks be apart, in seconds, before it matters?
const SKEW: i64 = 300;

/// When the clock was last looked at: what it had run, and what it said.
#[derive(Default)]
pub(super) struct Steps(Option<(Duration, Timestamp)>);

impl Steps {
    /// By how many seconds the clock was set since the last look, and what it said then; none the first time.
    fn step(&mut self, running: Duration, now: Timestamp) -> Option<(i64, Timestamp)> {
        let (at, said) = self.0.replace((running, now))?;
        let passed = i64::try_from(running.saturating_sub(at).as_secs()).unwrap_or(i64::MAX);
        Some((now.since(said).saturating_sub(passed), said))
    }
}

/// Looks at the clock. `Err`: it differs from the others', and this instance renews nothing by itself.
pub(super) async fn heed(app: &App) -> Result<(), ActionError> {
    let now = app.clock.now();
    let step = app.workers.refresher().state().clock.step(app.clock.running(), now);
    let (_, instances) = app.workers.share();
    match step {
        None => {
            let found = app.store.heed_grants_of_the_future(now, SKEW).await?;
            if found > 0 {
                tracing::warn!(
                    "The clock was set back while the console was off: {found} tokens are renewed, for how old they are nobody knows"
                );
            }
        }
        Some((by, said)) if by.abs() > SKEW && instances == 1 => {
            let moved = app.store.move_grants(by, said.plus(by).plus(-1), now).await?;
            tracing::warn!(
                seconds = by,
                "The clock was set by {by} s; the moments of {moved} tokens moved along"
            );
        }
        Some(_) => {}
    }
    if instances > 1
        && let Some(theirs) = app.store.server_clock().await?
        && now.since(theirs).abs() > SKEW
    {
        let apart = now.since(theirs);
        let text = format!("this machine's clock and the database's differ by {apart} s; the other instances renew tokens meanwhile");
        return Err(StoreError::Unusable(text).into());
    }
    Ok(())
}
