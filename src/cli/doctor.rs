//! `mailgrant doctor`.

use super::answer::{Answer, Outcome, print, print_json};
use crate::actions::doctor::{Verdict, examine};
use crate::app::App;

/// Checks the installation; the answer is no if a check failed.
pub async fn run(app: &App, json: bool) -> Outcome {
    let checks = examine(app).await?;
    if json {
        print_json(&checks)?;
    } else {
        for check in &checks {
            let mark = match check.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED ",
            };
            print(format!("{mark} {}: {}", check.name, super::answer::one_line(&check.detail)))?;
            if !check.help.is_empty() {
                print(format!("        help: {}", super::answer::one_line(&check.help)))?;
            }
        }
    }
    Ok(if checks.iter().any(|check| check.verdict == Verdict::Failed) {
        Answer::No
    } else {
        Answer::Yes
    })
}
