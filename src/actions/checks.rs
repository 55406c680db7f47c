//! What comes of checks on schedule: the mailbox's state, the counts of the history, and a run where there is something to read.

use crate::actions::probe::{self, Checked};
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::own;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Mailbox, SideState};
use crate::model::report::{Direction, Outcome, Stage};
use crate::model::settings::CHECK_INTERVAL;
use crate::model::{MailboxId, ProviderId};
use crate::store::checks::CountKind;
use crate::store::rests::Rest;
use crate::store::turns::Turn;
use crate::store::{StoreResult, Tx};
use std::collections::BTreeMap;

/// For how long is a side left in peace at most whose password was refused, in seconds?
const LONGEST_PAUSE: i64 = 6 * 3600;
/// For how long does a run that says the same stand for the checks after it, in seconds?
const RUN_STANDS: i64 = 6 * 3600;
/// After how many intervals does a check that is due show that nobody checks?
const STILL_AFTER: i64 = 2;
/// How soon is a mailbox looked at again that changed while it was being checked, or whose check brought nothing, in seconds?
pub const AGAIN: i64 = 30;

/// A check of a mailbox that ended.
#[derive(Debug)]
pub struct Ended {
    /// The mailbox as it was read.
    pub mailbox: Mailbox,
    /// The provider of its token, or none.
    pub provider: Option<ProviderId>,
    /// In whose name it was claimed.
    pub owner: String,
    /// When the next one is due.
    pub next: Timestamp,
    /// What was found at each side that was looked at.
    pub sides: Vec<Checked>,
    /// Sides whose password was refused: to be left in peace.
    pub rests: Vec<Rest>,
    /// Whether a side was left in peace this time; it fails as it did.
    pub is_one_left: bool,
}

/// Writes down how checks ended, in one transaction.
///
/// A check that passes as the one before did leaves no run and no audit entry, only a count: there are tens of thousands a day. A change
/// leaves both; what goes on failing the same way leaves a run every six hours.
pub async fn record(app: &App, all: &[Ended]) -> StoreResult<()> {
    if all.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    // Always in the same order, and what all share last, so that two instances don't wait for each other.
    let mut all: Vec<&Ended> = all.iter().collect();
    all.sort_by(|one, other| one.mailbox.id.as_str().cmp(other.mailbox.id.as_str()));
    let mut providers: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut tx = app.store.begin().await?;
    let mut recorded = Vec::new();
    for ended in all {
        if let Some(failed) = record_one(&mut tx, ended, now).await? {
            recorded.push(ended);
            let provider = ended.provider.as_ref().map_or("", ProviderId::as_str);
            let (good, bad) = providers.entry(provider).or_default();
            *(if failed { bad } else { good }) += 1;
        }
    }
    for (provider, counts) in providers {
        tx.count_checks(CountKind::ProviderHour, provider, now, counts).await?;
    }
    tx.commit().await?;
    for ended in recorded {
        for found in &ended.sides {
            probe::tell(&ended.mailbox, found.direction, &found.state, &found.run);
        }
    }
    Ok(())
}

/// Whether the mailbox failed; none where nothing is counted.
async fn record_one(tx: &mut Tx, ended: &Ended, now: Timestamp) -> StoreResult<Option<bool>> {
    let mailbox = &ended.mailbox;
    let stored = tx.mailbox_by_id(&mailbox.id).await?;
    // Whoever changed it, or turned it off, wants to know of the new settings and not of these.
    let current = stored
        .as_ref()
        .filter(|stored| stored.changed_at == mailbox.changed_at && stored.enabled);
    let Some(current) = current else {
        tx.release_turn(Turn::Check, &mailbox.id, &ended.owner, now.plus(AGAIN)).await?;
        return Ok(None);
    };
    if !tx.release_turn(Turn::Check, &mailbox.id, &ended.owner, ended.next).await? {
        return Ok(None);
    }
    for side in &ended.sides {
        let before = match side.direction {
            Direction::Incoming => &current.incoming_state,
            Direction::Outgoing => &current.outgoing_state,
        };
        let mut state = side.state.clone();
        if says_the_same(before, &state, now) {
            state.run.clone_from(&before.run);
        } else {
            tx.insert_run(&side.run).await?;
            tx.prune_runs(Some(&mailbox.id)).await?;
        }
        if before.outcome.is_some() && before.outcome != state.outcome {
            let (detail, outcome) = match (side.passed, &state.problem) {
                (true, _) => (format!("{}: works again", side.direction), "ok"),
                (false, problem) => (format!("{}: {}", side.direction, problem.as_deref().unwrap_or("fails")), "failed"),
            };
            let entry = AuditEntry {
                action: "mailbox.check",
                target: format!("mailbox:{}", mailbox.name),
                detail,
                outcome,
            };
            tx.audit(now, &Actor::console(), entry).await?;
        }
        tx.record_side(&mailbox.id, mailbox.changed_at, side.direction, state, now).await?;
    }
    for rest in &ended.rests {
        tx.put_rest(&mailbox.id, *rest).await?;
    }
    if ended.sides.is_empty() {
        return Ok(None);
    }
    let failed = ended.is_one_left || ended.sides.iter().any(|side| !side.passed);
    tx.count_failed(&mailbox.id, failed).await?;
    let counts = (i64::from(!failed), i64::from(failed));
    tx.count_checks(CountKind::MailboxDay, mailbox.id.as_str(), now, counts).await?;
    Ok(Some(failed))
}

/// No side is left in peace for longer, in seconds. What says so was written before somebody set the clock back.
pub fn longest_rest(interval: i64) -> i64 {
    interval.max(LONGEST_PAUSE)
}

/// Whether a side is to be left in peace now. `interval` is that of the checks, in seconds.
pub fn is_left(rest: &Rest, now: Timestamp, interval: i64) -> bool {
    rest.until > now && rest.until <= now.plus(longest_rest(interval))
}

/// Whether a server refused a password. Trying it again and again locks accounts. `step` is the one that failed, `problem` the diagnosis.
pub fn is_password_refused(mailbox: &Mailbox, direction: Direction, step: Option<&str>, problem: Option<&str>) -> bool {
    let password = probe::side(mailbox, direction).is_some_and(|side| matches!(side.auth, Auth::Password { .. }));
    // What can't be opened here was never tried there.
    let ours = [own::DAMAGED, own::PASSWORD_MISSING];
    password && step == Some(Stage::Auth.as_str()) && problem.is_none_or(|id| !ours.contains(&id))
}

/// How long a side is left in peace whose password was refused once more: twice as long each time, six hours at most, an interval at least.
pub fn rest_after(before: Option<&Rest>, direction: Direction, now: Timestamp, interval: i64) -> Rest {
    let refused = before.map_or(0, |rest| rest.refused);
    let pause = interval.saturating_mul(1 << refused.clamp(0, 10)).min(longest_rest(interval));
    Rest {
        direction,
        refused: refused + 1,
        // The turn that is nearest to the end of it counts.
        until: now.plus(pause - interval / 2),
    }
}

/// Notes how it went where a side was signed in to for something else than a check or a test: after a refused password it is left in peace,
/// and where it was and isn't refused any more, that ends.
pub async fn note_sign_in(app: &App, mailbox: &Mailbox, direction: Direction, is_refused: bool) -> StoreResult<()> {
    let before = app.store.rests(&mailbox.id).await?;
    let before = before.iter().find(|rest| rest.direction == direction);
    // Several that were under way at once are one refusal.
    if before.map_or(!is_refused, |rest| is_refused && rest.until > app.clock.now()) {
        return Ok(());
    }
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    let mut tx = app.store.begin().await?;
    let stored = tx.mailbox_by_id(&mailbox.id).await?;
    if stored.is_none_or(|stored| stored.changed_at != mailbox.changed_at) {
        // It has other settings by now.
        return Ok(());
    }
    if is_refused {
        tx.put_rest(&mailbox.id, rest_after(before, direction, app.clock.now(), interval))
            .await?;
    } else {
        tx.end_rest(&mailbox.id, direction).await?;
    }
    tx.commit().await
}

/// The sides of a mailbox that are to be left in peace now, because their password was refused.
pub async fn left_in_peace(app: &App, id: &MailboxId) -> StoreResult<Vec<Rest>> {
    let mut rests = app.store.rests(id).await?;
    if !rests.is_empty() {
        let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
        rests.retain(|rest| is_left(rest, app.clock.now(), interval));
    }
    Ok(rests)
}

/// Whether the result before this one tells all that this one does.
fn says_the_same(before: &SideState, state: &SideState, now: Timestamp) -> bool {
    let as_before = before.run.is_some() && before.outcome == state.outcome && before.problem == state.problem;
    let stands = match state.outcome {
        Some(Outcome::Failed) => before
            .run
            .as_ref()
            .and_then(|run| made_at(run.as_str()))
            .is_some_and(|at| now.since(at) < RUN_STANDS),
        _ => true,
    };
    as_before && stands
}

/// Whether nobody checks though something is due: since two intervals for the mailbox that waits longest, and no check has ended since then
/// either, because that would have planned a next one. A server that hangs delays its own mailboxes only. Seen from what is planned, so
/// that it is true whatever process asks.
pub async fn stand_still(app: &App) -> StoreResult<bool> {
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    let (first, last) = (app.store.next_check().await?, app.store.last_planned_check().await?);
    let since = |at: Option<Timestamp>| at.map_or(0, |at| app.clock.now().since(at));
    Ok(since(first) > STILL_AFTER * interval && since(last) > interval)
}

/// The moment in an id ([`App::new_id`]).
fn made_at(id: &str) -> Option<Timestamp> {
    i64::from_str_radix(id.get(..12)?, 16).ok().map(Timestamp)
}

/// The token whose provider a mailbox is counted with.
pub fn token_of(mailbox: &Mailbox) -> Option<&crate::model::TokenId> {
    [&mailbox.incoming, &mailbox.outgoing]
        .into_iter()
        .flatten()
        .find_map(|side| match &side.auth {
            Auth::OAuth2 { token_id, .. } => Some(token_id),
            _ => None,
        })
}
