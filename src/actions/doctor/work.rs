//! Does what goes on by itself go on? The workers of this process, where it is one that has some; else which processes serve the database.

use super::{Check, Verdict, bad, ok};
use crate::app::App;
use crate::store::StoreResult;

const NAME: &str = "work by itself";

pub(super) async fn check(app: &App) -> StoreResult<Check> {
    let passes = app.workers.passes();
    if passes.is_empty() {
        let serving = app.store.instances().await?.len();
        return Ok(ok(
            NAME,
            match serving {
                0 => "no process serves this database now".to_owned(),
                1 => "1 process serves this database".to_owned(),
                several => format!("{several} processes serve this database"),
            },
        ));
    }
    let stuck = app.workers.stuck();
    if !stuck.is_empty() {
        let names = stuck.join(", ");
        return Ok(bad(
            Verdict::Failed,
            NAME,
            format!("stands still: {names}"),
            "start Mailgrant anew, and keep its log",
        ));
    }
    let failed: Vec<String> = passes
        .iter()
        .filter_map(|(name, pass)| Some(format!("{name}: {}", pass.problem.as_ref()?)))
        .collect();
    Ok(match failed.as_slice() {
        [] => ok(NAME, format!("{} workers of this process do their work", passes.len())),
        failed => bad(
            Verdict::Warning,
            NAME,
            failed.join("; "),
            "see the log; it is tried again by itself",
        ),
    })
}
