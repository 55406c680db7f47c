//! What became of the items of bulk tests, in words and in the database.

use crate::actions::probe::{self, Checked};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence, diagnose, own};
use crate::model::batch::{Item, ItemState};
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::report::Stage;
use crate::model::token::{GrantState, GrantType};
use crate::model::{BatchId, MailboxId};
use crate::store::batch_work::Settled;
use crate::store::{StoreResult, Tx};
use std::collections::BTreeSet;

/// How often is an item tried that the console's own database keeps from being tested?
const MOST_TRIES: i64 = 4;

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
    let side = probe::side(mailbox, checked.direction);
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
    // Mailboxes first, as checks on schedule take them too.
    let mailboxes: BTreeSet<&str> = all.iter().filter_map(|looked| Some(looked.found.as_ref()?.0.id.as_str())).collect();
    for id in mailboxes {
        tx.mailbox_by_id(&MailboxId(id.to_owned())).await?;
    }
    let mut recorded = Vec::new();
    for looked in &all {
        if record_one(&mut tx, looked, now).await? {
            recorded.extend(looked.found.as_ref());
        }
    }
    let mut last: Option<&BatchId> = None;
    for looked in &all {
        if last != Some(&looked.item.batch) {
            tx.close_batch(&looked.item.batch, now).await?;
        }
        last = Some(&looked.item.batch);
    }
    tx.commit().await?;
    for (mailbox, checked) in recorded {
        probe::tell(mailbox, checked.direction, &checked.state, &checked.run);
    }
    Ok(())
}

/// Whether it tells how the mailbox stands now.
async fn record_one(tx: &mut Tx, looked: &Looked, now: Timestamp) -> StoreResult<bool> {
    if !tx.settle_item(&looked.item, &looked.owner, &looked.settled, now).await? {
        return Ok(false);
    }
    let Some((mailbox, checked)) = &looked.found else {
        return Ok(false);
    };
    if tx.mailbox_by_id(&mailbox.id).await?.is_none() {
        let mut run = checked.run.clone();
        run.mailbox_id = None;
        tx.insert_run(&run).await?;
        return Ok(false);
    }
    tx.insert_run(&checked.run).await?;
    tx.prune_runs(Some(&mailbox.id)).await?;
    tx.record_side(&mailbox.id, mailbox.changed_at, checked.direction, checked.state.clone(), now)
        .await
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
