//! Bulk tests: started, held, gone on with and stopped by people; tested by [`crate::worker::batches`], which writes down here what came of
//! each item.

use crate::actions::probe::Checked;
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::batch::{Batch, BatchState, Item, ItemState, Turn, What};
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::report::{Direction, Stage};
use crate::model::settings::PARALLEL;
use crate::model::token::{GrantState, GrantType};
use crate::model::{BatchId, UserId};
use crate::store::batch_work::Settled;
use crate::store::batches::{Chosen, Lane};
use crate::store::{StoreError, StoreResult, Tx};

/// How many seconds does a test take, where none was made yet?
const USUAL_SECONDS: i64 = 4;
/// How often is an item tried that the console's own database keeps from being tested?
const MOST_TRIES: i64 = 4;
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
pub async fn turn(app: &App, actor: &Actor, id: &BatchId, turn: Turn) -> Result<(), BatchError> {
    let (action, from, to): (_, &[BatchState], _) = match turn {
        Turn::Pause => ("batch.pause", &[BatchState::Running], BatchState::Paused),
        Turn::GoOn => ("batch.go_on", &[BatchState::Paused], BatchState::Running),
        Turn::Stop => ("batch.stop", &[BatchState::Running, BatchState::Paused], BatchState::Stopped),
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

/// An item that was looked at.
#[derive(Debug)]
pub struct Looked {
    /// Which.
    pub item: Item,
    /// In whose name it was claimed.
    pub owner: String,
    /// The mailbox as it was read, and what was found; none where it is gone.
    pub found: Option<(Mailbox, Checked)>,
    /// How it ended.
    pub settled: Settled,
}

/// What an item is that found no mailbox, or no such side of it.
pub fn skipped() -> Settled {
    Settled {
        state: ItemState::Skipped,
        run: None,
        cause: String::new(),
        problem: String::new(),
    }
}

/// What an item is that was given up after several tries: the console's own database was in the way of its test.
pub fn untested() -> Settled {
    in_the_way(
        "untested",
        "Couldn't be tested: the console can't read or write its own records of it",
    )
}

/// What an item is that was tested, where the database takes no more than that.
pub fn unrecorded() -> Settled {
    in_the_way("unrecorded", "Tested, but the result couldn't be written down")
}

fn in_the_way(cause: &str, title: &str) -> Settled {
    Settled {
        state: ItemState::Failed,
        run: None,
        cause: format!("console:{cause}"),
        problem: title.to_owned(),
    }
}

/// How many seconds an item rests that the database kept from being tested for the `tries`th time; none: it is given up.
pub fn rest(tries: i64) -> Option<i64> {
    match tries {
        MOST_TRIES.. => None,
        1 => Some(2),
        2 => Some(10),
        _ => Some(60),
    }
}

/// What an item is whose message may have been sent when its process ended.
pub fn unknown() -> Settled {
    let title = diagnose(&Evidence::own(own::SEND_UNKNOWN)).title;
    Settled {
        state: ItemState::Failed,
        run: None,
        cause: format!("problem:{title}"),
        problem: title,
    }
}

/// How an item ended whose test did. What it fails with is told as the overview tells it: for want of a token that the provider refuses the
/// app, that has ended, or that nobody has signed in for yet, the provider or the token is the cause.
pub async fn settled(app: &App, mailbox: &Mailbox, checked: &Checked) -> Settled {
    let run = Some(checked.run.id.clone());
    if checked.passed {
        return Settled {
            state: ItemState::Passed,
            run,
            ..skipped()
        };
    }
    let problem = checked.state.problem.clone().unwrap_or_else(|| "The test failed".to_owned());
    // What came of the test counts, also where its cause can't be looked up.
    let cause = cause(app, mailbox, checked).await.unwrap_or_else(|error| {
        tracing::warn!(mailbox.name = %mailbox.name, %error, "The cause of a failed test can't be looked up: {error}");
        None
    });
    Settled {
        state: ItemState::Failed,
        run,
        cause: cause.unwrap_or_else(|| format!("problem:{problem}")),
        problem,
    }
}

/// The provider or the token that a failed test is due to, if one is.
async fn cause(app: &App, mailbox: &Mailbox, checked: &Checked) -> StoreResult<Option<String>> {
    let side = crate::actions::probe::side(mailbox, checked.direction);
    let (Some(step), Some(Auth::OAuth2 { token_id, .. })) = (checked.run.failed_step.as_deref(), side.map(|side| &side.auth)) else {
        return Ok(None);
    };
    if step != Stage::Token.as_str() {
        return Ok(None);
    }
    let Some(token) = app.store.token_by_id(token_id).await? else {
        return Ok(None);
    };
    let provider = app.store.provider_by_id(&token.provider_id).await?;
    if provider.is_some_and(|provider| provider.problem.is_some()) {
        return Ok(Some(format!("provider:{}", token.provider_id)));
    }
    let grant = app.store.grant(token_id).await?;
    let nobody = matches!(token.grant, GrantType::AuthorizationCode | GrantType::DeviceCode);
    let ended = grant.map_or(nobody, |grant| grant.state == GrantState::Revoked);
    Ok(ended.then(|| format!("token:{token_id}")))
}

/// Ends an item without a run, whatever was found: where the whole can't be written down.
pub async fn give_up(app: &App, item: &Item, owner: &str, settled: &Settled) -> StoreResult<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.settle_item(item, owner, settled, now).await?;
    tx.close_batch(&item.batch, now).await?;
    tx.commit().await
}

/// Gives an item back that brought nothing: it was tried so often, and rests for so many seconds.
pub async fn give_back(app: &App, item: &Item, owner: &str, tries: i64, rest: i64) -> StoreResult<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.give_back_item(item, owner, tries, now.plus(rest)).await?;
    tx.close_batch(&item.batch, now).await?;
    tx.commit().await
}

/// Writes down how items ended, in one transaction.
pub async fn record(app: &App, all: impl Iterator<Item = &Looked>) -> StoreResult<()> {
    // Always in the same order, so that two instances don't wait for each other.
    let mut all: Vec<&Looked> = all.collect();
    all.sort_by_key(|looked| (looked.item.batch.as_str(), looked.item.position));
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    for looked in &all {
        record_one(&mut tx, looked, now).await?;
    }
    let mut last: Option<&BatchId> = None;
    for looked in &all {
        if last != Some(&looked.item.batch) {
            tx.close_batch(&looked.item.batch, now).await?;
        }
        last = Some(&looked.item.batch);
    }
    tx.commit().await
}

async fn record_one(tx: &mut Tx, looked: &Looked, now: Timestamp) -> StoreResult<()> {
    if !tx.settle_item(&looked.item, &looked.owner, &looked.settled, now).await? {
        return Ok(());
    }
    let Some((mailbox, checked)) = &looked.found else {
        return Ok(());
    };
    if tx.mailbox_by_id(&mailbox.id).await?.is_none() {
        let mut run = checked.run.clone();
        run.mailbox_id = None;
        return tx.insert_run(&run).await;
    }
    tx.insert_run(&checked.run).await?;
    tx.prune_runs(Some(&mailbox.id)).await?;
    tx.record_side(&mailbox.id, mailbox.changed_at, checked.direction, checked.state.clone(), now)
        .await?;
    Ok(())
}

/// Takes over what instances had that are gone.
pub async fn adopt(app: &App) -> StoreResult<()> {
    let orphans = app.store.orphaned_items().await?;
    if orphans.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let unknown = unknown();
    let mut tx = app.store.begin().await?;
    for item in &orphans {
        if tx.adopt_item(item, &unknown, now).await? {
            tx.close_batch(&item.batch, now).await?;
        }
    }
    tx.commit().await
}
