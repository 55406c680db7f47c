//! Checks a step or all of them, and writes down how every step stands.

use super::checks::{Finding, Request, check};
use super::seen::Seen;
use super::stand::{Stand, stands};
use super::{Walk, audit, blank, load, touch};
use crate::actions::ActionError;
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::walkthrough::{StepRow, StepState};
use crate::store::StoreError;

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The step stands so now; what that rests on.
    Stands(StepState, String),
    /// It can't be told; why.
    Untold(String),
}

/// Checks one step of a walkthrough, by its number. `address`: one that must stay closed, where the check is about that.
pub async fn check_one(app: &App, actor: &Actor, request: &Request<'_>, id: &str, number: usize) -> Result<Checked, ActionError> {
    let walk = load(app, id).await?.ok_or(ActionError::NotFound("walkthrough"))?;
    let all = stands(app, &walk, &mut Seen::default()).await?;
    let stand = all.get(number.wrapping_sub(1)).ok_or(ActionError::NotFound("step"))?;
    let finding = check(app, actor, request, &walk, stand.step).await?;
    if let Finding::Untold(why) = finding {
        settle(app, actor, id, None).await?;
        return Ok(Checked::Untold(why));
    }
    let all = settle(app, actor, id, Some((stand.step.id.as_str(), finding))).await?;
    let now = all.into_iter().nth(number - 1).ok_or(ActionError::NotFound("step"))?;
    Ok(Checked::Stands(now.state, now.evidence))
}

/// Checks every step that can be checked, one after the other, and notes each; how many were looked at, and the numbers of those that
/// were so and aren't any more.
pub async fn check_all(app: &App, actor: &Actor, request: &Request<'_>, id: &str) -> Result<(usize, Vec<usize>), ActionError> {
    let walk = load(app, id).await?.ok_or(ActionError::NotFound("walkthrough"))?;
    let before = stands(app, &walk, &mut Seen::default()).await?;
    let mut looked = 0;
    for stand in before.iter().filter(|stand| stand.can_check() && stand.may_start()) {
        // What one check found out may be what the next one starts from.
        let walk = load(app, id).await?.ok_or(ActionError::NotFound("walkthrough"))?;
        let finding = check(app, actor, request, &walk, stand.step).await?;
        if matches!(finding, Finding::Untold(_)) {
            continue;
        }
        looked += 1;
        settle(app, actor, id, Some((stand.step.id.as_str(), finding))).await?;
    }
    let after = settle(app, actor, id, None).await?;
    let lost = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before.state.is_over() && after.state == StepState::Problem);
    Ok((looked, lost.map(|(_, after)| after.number).collect()))
}

/// Writes down how every step stands now, with what a check has found; gives that back.
pub async fn settle(app: &App, actor: &Actor, id: &str, found: Option<(&str, Finding)>) -> Result<Vec<Stand>, ActionError> {
    for last in [false, false, true] {
        match try_settle(app, actor, id, found.as_ref()).await {
            // Somebody else was a moment faster: what they wrote is looked at first.
            Err(ActionError::Store(StoreError::Stale)) if !last => {}
            other => return other,
        }
    }
    Err(StoreError::Stale.into())
}

async fn try_settle(app: &App, actor: &Actor, id: &str, found: Option<&(&str, Finding)>) -> Result<Vec<Stand>, ActionError> {
    let mut walk = load(app, id).await?.ok_or(ActionError::NotFound("walkthrough"))?;
    let now = app.clock.now();
    let stored = walk.rows.clone();
    if let Some((step, finding)) = found {
        note(&mut walk, app, actor, step, finding);
    }
    let all = stands(app, &walk, &mut Seen::default()).await?;
    let mut changed: Vec<(String, StepRow)> = Vec::new();
    for stand in &all {
        let old = stored.iter().find(|row| row.step == stand.step.id);
        let looked = found.is_some_and(|(step, _)| *step == stand.step.id);
        let same = old.map_or(stand.state == StepState::Open, |old| old.state == stand.state);
        if same && !looked {
            continue;
        }
        let kept = walk
            .rows
            .iter()
            .find(|row| row.step == stand.step.id && stand.state == StepState::Waiting);
        let row = StepRow {
            state: stand.state,
            evidence: stand.evidence.clone(),
            problem: stand.problem.clone(),
            changed_at: match old.filter(|_| same) {
                Some(old) => old.changed_at,
                None if looked => now,
                None => stand.at.unwrap_or(now),
            },
            changed_by: match old.filter(|_| same) {
                Some(old) => old.changed_by.clone(),
                None if stand.by.is_empty() => actor.name.clone(),
                None => stand.by.clone(),
            },
            held_at: stand.held_at.or_else(|| (stand.state == StepState::Done).then_some(now)),
            sent_to: kept.map(|row| row.sent_to.clone()).unwrap_or_default(),
            link_id: kept.map(|row| row.link_id.clone()).unwrap_or_default(),
            ..blank(stand.step, now, actor)
        };
        let before = old.map_or(StepState::Open, |old| old.state);
        let words = match (same, stand.evidence.as_str()) {
            (true, _) => String::new(),
            (false, "") => format!("{}: {} → {}", stand.step.title, word(before), word(stand.state)),
            (false, evidence) => format!("{}: {} → {}, {evidence}", stand.step.title, word(before), word(stand.state)),
        };
        changed.push((words, row));
    }
    let finished = all.iter().all(|stand| stand.state.is_over());
    let is_news = finished != walk.row.finished_at.is_some();
    if changed.is_empty() && !is_news {
        return Ok(all);
    }
    let mut row = walk.row.clone();
    row.finished_at = finished.then(|| row.finished_at.unwrap_or(now));
    touch(app, actor, &mut row);
    let mut tx = app.store.begin().await?;
    tx.update_walkthrough(&row).await?;
    for (words, step) in changed {
        tx.put_walkthrough_step(id, &step).await?;
        if !words.is_empty() {
            audit(app, &mut tx, actor, "walkthrough.step", &row, words).await?;
        }
    }
    tx.commit().await?;
    Ok(all)
}

const fn word(state: StepState) -> &'static str {
    match state {
        StepState::Open => "not started",
        other => other.as_str(),
    }
}

/// What a check found, as if it were stored already.
fn note(walk: &mut Walk, app: &App, actor: &Actor, step: &str, finding: &Finding) {
    let now = app.clock.now();
    let Some(step) = walk.template.steps().find(|known| known.id == step) else {
        return;
    };
    let old = walk.rows.iter().find(|row| row.step == step.id).cloned();
    let held = old
        .as_ref()
        .and_then(|old| old.held_at.or_else(|| old.state.is_over().then_some(old.changed_at)));
    let (state, evidence, problem, held_at) = match finding {
        Finding::Holds(text) => (StepState::Done, text.clone(), None, Some(now)),
        Finding::Wrong(problem, text) => (StepState::Problem, text.clone(), problem.clone(), held),
        Finding::Look | Finding::Untold(_) => return,
    };
    walk.rows.retain(|row| row.step != step.id);
    walk.rows.push(StepRow {
        state,
        evidence,
        problem,
        held_at,
        ..blank(step, now, actor)
    });
}
