//! Bulk tests: started, held, gone on with and stopped by people; tested by [`crate::worker::batches`], which writes down what came of each
//! item.

mod items;

pub use items::{Looked, adopt, give_back, give_up, record, rest, settled, skipped, unknown, unrecorded, untested};

use crate::actions::settings;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::batch::{Batch, BatchState, Command, Item, What};
use crate::model::report::Direction;
use crate::model::settings::PARALLEL;
use crate::model::{BatchId, UserId};
use crate::store::batches::{Chosen, Lane};
use crate::store::{StoreError, StoreResult};

/// How many seconds does a test take, where none was made yet?
const USUAL_SECONDS: i64 = 4;
/// How many characters may a note have?
pub const LONGEST_NOTE: usize = 200;

/// Which mailboxes a batch is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those of a choice.
    Chosen(Box<Chosen>),
    /// What failed in another batch.
    FailedOf(BatchId),
}

/// A batch that is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which mailboxes.
    pub which: Which,
    /// The same in words.
    pub words: String,
    /// Which sides.
    pub what: What,
    /// How many tests of one provider's mailboxes at the same time.
    pub parallel: i64,
    /// A note beside it.
    pub note: String,
}

/// What a batch would come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many mailboxes.
    pub mailboxes: i64,
    /// How many tests.
    pub tests: i64,
    /// How long it would take about, in seconds.
    pub seconds: i64,
}

/// Why a batch was not started or turned.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// No mailbox is meant.
    #[error("no mailbox is meant")]
    Nobody,
    /// It is over, or stands already as it should.
    #[error("it does not stand that way any more")]
    Moved,
    /// So many of this person, or of everybody, go on or are paused.
    #[error("{0} bulk tests have not ended yet")]
    TooMany(usize),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many bulk tests of one person may go on or be paused, and how many of everybody: each wants its rows looked at in every pass.
const MOST_OF_ONE: usize = 5;
const MOST_OF_ALL: usize = 20;

/// How many tests at the same time a provider gets: as many as the settings allow, or fewer.
pub async fn most_parallel(app: &App) -> StoreResult<i64> {
    settings::number(app, &PARALLEL).await
}

/// What a wish comes to: providers are tested beside each other, so the longest lane counts.
pub async fn survey(app: &App, which: &Which, what: What, parallel: i64) -> StoreResult<Survey> {
    let lanes = match which {
        Which::Chosen(chosen) => app.store.chosen_lanes(chosen).await?,
        Which::FailedOf(batch) => app.store.failed_lanes(batch).await?,
    };
    let mut each = [0; 2];
    for (slot, direction) in each.iter_mut().zip([Direction::Incoming, Direction::Outgoing]) {
        let (seconds, tests) = app.store.recent_seconds(direction).await?;
        *slot = if tests == 0 { USUAL_SECONDS } else { (seconds / tests).max(1) };
    }
    let wants = |direction| i64::from(what.directions().contains(&direction));
    let counts = |lane: &Lane| {
        (
            lane.incoming * wants(Direction::Incoming),
            lane.outgoing * wants(Direction::Outgoing),
        )
    };
    let mailboxes = |lane: &Lane| match (what, which) {
        (What::Incoming, Which::Chosen(_)) => lane.incoming,
        (What::Outgoing, Which::Chosen(_)) => lane.outgoing,
        _ => lane.mailboxes,
    };
    let work = lanes.iter().map(|lane| {
        let (incoming, outgoing) = counts(lane);
        (incoming * each[0] + outgoing * each[1] + parallel - 1) / parallel.max(1)
    });
    Ok(Survey {
        mailboxes: lanes.iter().map(mailboxes).sum(),
        tests: lanes.iter().map(counts).map(|(incoming, outgoing)| incoming + outgoing).sum(),
        seconds: work.max().unwrap_or(0),
    })
}

/// Starts a batch: its items wait from now on, whatever becomes of this process. A `form` that started one before leads to that one.
pub async fn start(app: &App, actor: &Actor, user: &UserId, wish: Wish, form: Option<&str>) -> Result<BatchId, BatchError> {
    let now = app.clock.now();
    let batch = Batch {
        id: BatchId(app.new_id()),
        which: wish.words,
        what: wish.what,
        parallel: wish.parallel.clamp(1, most_parallel(app).await?),
        note: wish.note,
        state: BatchState::Running,
        user_id: Some(user.clone()),
        started_by: actor.name.clone(),
        started_at: now,
        finished_at: None,
        mailboxes: 0,
        total: 0,
        passed: 0,
        failed: 0,
        skipped: 0,
        paused_seconds: 0,
    };
    let open = app.store.open_batches().await?;
    let own = open.iter().filter(|other| other.user_id.as_ref() == Some(user)).count();
    if own >= MOST_OF_ONE || open.len() >= MOST_OF_ALL {
        return Err(BatchError::TooMany(if own >= MOST_OF_ONE { own } else { open.len() }));
    }
    let mut tx = app.store.begin().await?;
    if let Err(error) = tx.insert_batch(&batch, form).await {
        drop(tx);
        // Another instance got the same form, and was quicker.
        let before = match (form, &error) {
            (Some(form), StoreError::Taken) => app.store.batch_of_form(form).await?,
            _ => None,
        };
        return before.ok_or_else(|| error.into());
    }
    let mut items = 0;
    match &wish.which {
        Which::Chosen(chosen) => {
            for direction in batch.what.directions() {
                items += tx.add_batch_items(&batch.id, chosen, *direction, items).await?;
            }
        }
        Which::FailedOf(other) => items = tx.add_failed_items(&batch.id, other).await?,
    }
    if items == 0 {
        return Err(BatchError::Nobody);
    }
    tx.size_batch(&batch.id).await?;
    let detail = format!(
        "{}, {}: {items} tests, {} at the same time",
        batch.which, batch.what, batch.parallel
    );
    tx.audit(now, actor, entry("batch.start", &batch.id, detail)).await?;
    tx.commit().await?;
    Ok(batch.id)
}

fn entry(action: &'static str, id: &BatchId, detail: String) -> AuditEntry {
    AuditEntry {
        action,
        target: format!("batch:{id}"),
        detail,
        outcome: "ok",
    }
}

/// That a mailbox is tested in a bulk test, for the audit log: whoever starts one says which mailboxes, and that may mean others tomorrow.
pub fn tested_entry(item: &Item, batch: &Batch) -> AuditEntry {
    AuditEntry {
        target: format!("mailbox:{}", item.name),
        ..entry("batch.test", &batch.id, format!("{}, {}", item.direction, batch.which))
    }
}

/// Holds a batch, goes on with it or ends it.
pub async fn turn(app: &App, actor: &Actor, id: &BatchId, turn: Command) -> Result<(), BatchError> {
    let (action, from, to): (_, &[BatchState], _) = match turn {
        Command::Pause => ("batch.pause", &[BatchState::Running], BatchState::Paused),
        Command::GoOn => ("batch.go_on", &[BatchState::Paused], BatchState::Running),
        Command::Stop => ("batch.stop", &[BatchState::Running, BatchState::Paused], BatchState::Stopped),
    };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.turn_batch(id, from, to, now).await? {
        return Err(BatchError::Moved);
    }
    tx.close_batch(id, now).await?;
    tx.audit(now, actor, entry(action, id, String::new())).await?;
    Ok(tx.commit().await?)
}
