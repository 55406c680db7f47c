//! Are tokens renewed? What the refresher of this process says, where it is one that has one, and what the database says of it.

use super::{Check, Verdict, bad, ok};
use crate::app::App;
use crate::store::StoreResult;
use crate::worker::Pass;

/// The name of the worker that renews.
const WORKER: &str = "refresher";
/// How long after its last pass does a worker stand still, in seconds? The longest pause between two is a quarter of this.
const STILL: i64 = 60;
/// How long may a renewal wait, in seconds, where nothing speaks against it?
const WAITS: i64 = 600;

pub(super) async fn check(app: &App) -> StoreResult<Check> {
    let now = app.clock.now();
    let waiting = app.store.overdue_grants(now.plus(-WAITS)).await?;
    let pass = app.workers.passes().remove(WORKER);
    let help = "see the log; `mailgrant serve` renews tokens as long as it runs";
    Ok(match pass {
        Some(Pass { ended_at, .. }) if now.since(ended_at) > STILL => bad(
            Verdict::Failed,
            "renewals",
            format!(
                "nothing was renewed for {} minutes: the refresher stands still",
                now.since(ended_at) / 60
            ),
            "start Mailgrant anew, and keep its log",
        ),
        Some(Pass {
            problem: Some(problem), ..
        }) => bad(Verdict::Warning, "renewals", problem, help),
        _ if waiting > 0 => bad(
            Verdict::Warning,
            "renewals",
            match waiting {
                1 => "1 token has been waiting for its renewal for more than 10 minutes".to_owned(),
                _ => format!("{waiting} tokens have been waiting for their renewal for more than 10 minutes"),
            },
            help,
        ),
        _ => ok("renewals", "no token waits"),
    })
}
