//! Are mailboxes checked?

use super::{Check, Verdict, bad, ok};
use crate::actions::checks::stand_still;
use crate::app::App;
use crate::store::StoreResult;
use crate::store::turns::Turn;

const NAME: &str = "checks of mailboxes";

pub(super) async fn check(app: &App) -> StoreResult<Check> {
    let now = app.clock.now();
    let (due, first) = app.store.overdue_turns(Turn::Check, now).await?;
    if !stand_still(app).await? {
        return Ok(ok(NAME, format!("{due} due")));
    }
    let minutes = first.map_or(0, |first| now.since(first)) / 60;
    Ok(bad(
        Verdict::Warning,
        NAME,
        match due {
            1 => format!("1 has been due for {minutes} minutes"),
            due => format!("{due} are due, the first for {minutes} minutes"),
        },
        "`mailgrant serve` makes them as long as it runs; see its log",
    ))
}
