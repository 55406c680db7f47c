//! Setups in progress: walkthroughs that somebody began and nobody finished.

use crate::actions::ActionError;
use crate::actions::walkthroughs::{self, Stand};
use crate::app::App;
use crate::model::walkthrough::StepState;

/// How many are shown?
const SHOWN: usize = 3;

/// A setup that isn't finished.
pub(super) struct Setup {
    /// Its walkthrough.
    pub id: String,
    /// What it sets up.
    pub title: &'static str,
    /// For which mailbox; may be empty.
    pub address: String,
    /// How many steps are over.
    pub over: usize,
    /// Of how many.
    pub of: usize,
    /// Mark of what is most urgent.
    pub kind: &'static str,
    /// What is next, or who is waited for.
    pub words: String,
}

/// The last touched ones, and whether there are more.
pub(super) async fn setups(app: &App) -> Result<(Vec<Setup>, bool), ActionError> {
    let rows = app.store.walkthroughs(false, i64::try_from(SHOWN + 1).unwrap_or(4)).await?;
    let more = rows.len() > SHOWN;
    let mut setups = Vec::new();
    for row in rows.into_iter().take(SHOWN) {
        let Some(walk) = walkthroughs::of(app, row).await? else { continue };
        let stands = walk.stands(app).await?;
        let (kind, words) = most_urgent(&stands);
        setups.push(Setup {
            title: &walk.template.title,
            over: stands.iter().filter(|stand| stand.state.is_over()).count(),
            of: stands.len(),
            id: walk.row.id,
            address: walk.row.address,
            kind,
            words,
        });
    }
    Ok((setups, more))
}

/// A problem comes before somebody who is waited for, and that before what is next.
fn most_urgent(stands: &[Stand]) -> (&'static str, String) {
    let first = |state: StepState| stands.iter().find(|stand| stand.state == state);
    if let Some(stand) = first(StepState::Problem) {
        return ("bad", format!("There is a problem with step {}", stand.number));
    }
    if let Some(stand) = first(StepState::Waiting) {
        let sent = stand.sent.as_ref().map(|sent| sent.to.as_str()).filter(|to| !to.is_empty());
        return ("warn", format!("Waiting for {}", sent.unwrap_or(&stand.step.to)));
    }
    match stands.iter().find(|stand| !stand.state.is_over()) {
        Some(stand) => ("todo", format!("Next: {}", stand.step.title)),
        None => ("ok", "Every step is done".to_owned()),
    }
}
