//! Acts on many mailboxes at once: turned on, paused, a tag added or removed. Each mailbox is looked at by itself and has its audit entry;
//! what was changed is noted, so that it can be undone. Which mailboxes are left stands in the database and goes piece by piece with their
//! change, so an act that a stop cuts off goes on where it was ([`crate::worker::bulk`]), and so does undoing it.

use super::audit;
use super::check::MOST_ITEMS;
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::mailbox::{Mailbox, Pause};
use crate::model::user::Permission;
use crate::model::{MailboxId, UserId, words};
use crate::store::batches::Chosen;
use crate::store::bulk::{BulkAct, BulkCounts};
use crate::store::{StoreError, StoreResult, Tx};
use serde::{Deserialize, Serialize};

/// How many mailboxes go in one transaction? Others want to write too.
pub const STEP: i64 = 25;

words!(
    /// What is done to each.
    Act {
        /// Checked on schedule from now on.
        TurnOn = "turn-on",
        /// Not any more.
        Pause = "pause",
        /// Has a tag more.
        AddTag = "add-tag",
        /// Has a tag less.
        RemoveTag = "remove-tag",
    }
);

impl Act {
    /// What undoes it.
    fn reverse(self) -> Self {
        match self {
            Self::TurnOn => Self::Pause,
            Self::Pause => Self::TurnOn,
            Self::AddTag => Self::RemoveTag,
            Self::RemoveTag => Self::AddTag,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::TurnOn => "mailbox.turn_on",
            Self::Pause => "mailbox.pause",
            Self::AddTag | Self::RemoveTag => "mailbox.update",
        }
    }
}

/// A tag as it is stored; none where it can't be one.
pub fn tag(text: &str) -> Option<String> {
    let tag = super::trimmed(text).to_lowercase();
    let fine = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (!tag.is_empty() && tag.chars().count() <= 50 && tag.chars().all(fine)).then_some(tag)
}

/// Who asked for an act, as it is kept with it.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    id: String,
    name: String,
    address: String,
    request_id: String,
    session: String,
}

impl Asked {
    fn write(actor: &Actor) -> String {
        let asked = Self {
            id: actor.id.clone(),
            name: actor.name.clone(),
            address: actor.address.clone(),
            request_id: actor.request_id.clone(),
            session: actor.session.clone(),
        };
        serde_json::to_string(&asked).unwrap_or_default()
    }

    fn read(text: &str) -> Actor {
        match serde_json::from_str::<Self>(text) {
            Ok(asked) => Actor {
                id: asked.id,
                name: asked.name,
                address: asked.address,
                request_id: asked.request_id,
                session: asked.session,
            },
            Err(_) => Actor::console(),
        }
    }
}

type Paused = Option<(String, i64, String)>;

/// What a mailbox was before, and how the act left it, as far as an act changes it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Before {
    enabled: bool,
    pause: Paused,
    /// The pause that the act wrote; none: it wrote none, or an older version did not note it.
    #[serde(default)]
    left: Paused,
}

impl Before {
    fn of(mailbox: &Mailbox) -> Self {
        Self {
            enabled: mailbox.enabled,
            pause: paused(mailbox),
            left: None,
        }
    }
}

fn paused(mailbox: &Mailbox) -> Paused {
    let pause = mailbox.paused.as_ref();
    pause.map(|pause| (pause.by.clone(), pause.at.0, pause.reason.clone()))
}

/// Begins an act on the chosen mailboxes: they are left to [`go_on`], whatever becomes of this process. Says which act it is.
pub async fn begin(app: &App, actor: &Actor, user: &UserId, act: Act, tag: &str, chosen: &Chosen) -> StoreResult<String> {
    let row = BulkAct {
        id: app.new_id(),
        act: act.to_string(),
        tag: tag.to_owned(),
        user_id: user.clone(),
        actor: Asked::write(actor),
        undo_actor: None,
        started_at: app.clock.now(),
        finished_at: None,
        undone_at: None,
        mailboxes: 0,
        changed: 0,
        undone: 0,
        kept: 0,
        unread: 0,
    };
    let mut tx = app.store.begin().await?;
    tx.insert_bulk_act(&row, chosen, app.flights.owner(app).as_str()).await?;
    tx.commit().await?;
    Ok(row.id)
}

/// Begins to undo an act that is through and has changed `changed` mailboxes; `false` where it isn't so any more.
pub async fn begin_undo(app: &App, actor: &Actor, id: &str, changed: i64) -> StoreResult<bool> {
    let mut tx = app.store.begin().await?;
    let owner = app.flights.owner(app).as_str();
    let wanted = tx.want_bulk_undone(id, changed, &Asked::write(actor), owner).await?;
    tx.commit().await?;
    Ok(wanted)
}

/// Does what is left of an act, or undoes it, until it is through or the console stops; nothing where this process is at it already.
pub async fn go_on(app: &App, id: &str) -> StoreResult<()> {
    let Some(_turn) = app.workers.take_act(id) else {
        return Ok(());
    };
    while !app.stopping.is_cancelled() {
        match step(app, id).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => break,
            // Somebody changed one of them in this moment: they are read again.
            Err(StoreError::Stale) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The next piece of an act, or of undoing it, in one transaction; `false` where nothing is left.
pub async fn step(app: &App, id: &str) -> StoreResult<bool> {
    let Some(row) = app.store.bulk_act(id).await?.filter(BulkAct::is_open) else {
        return Ok(false);
    };
    match Act::parse(&row.act) {
        Some(act) if may_still(app, &row.user_id).await? => match row.finished_at {
            None => do_some(app, &row, act).await,
            Some(_) => undo_some(app, &row, act).await,
        },
        _ => {
            tracing::warn!(act.id = %row.id, "Work on many mailboxes ends here: whoever asked for it may not change mailboxes any more");
            let mut tx = app.store.begin().await?;
            tx.drop_bulk_left(&row.id).await?;
            end(app, tx, &row).await
        }
    }
}

/// Nothing goes on in the name of somebody who may not do it any more (ROLE-4).
async fn may_still(app: &App, user: &UserId) -> StoreResult<bool> {
    let user = app.store.user_by_id(user).await?;
    Ok(user.is_none_or(|user| !user.disabled && user.role.may(Permission::MailboxEdit)))
}

/// Notes that an act is through, or undone.
async fn end(app: &App, mut tx: Tx, row: &BulkAct) -> StoreResult<bool> {
    let now = app.clock.now();
    match row.finished_at {
        None => tx.finish_bulk_act(&row.id, now).await?,
        Some(_) => tx.finish_bulk_undo(&row.id, now).await?,
    }
    tx.commit().await?;
    Ok(false)
}

async fn do_some(app: &App, row: &BulkAct, act: Act) -> StoreResult<bool> {
    let left = app.store.bulk_left(&row.id, STEP).await?;
    let mut tx = app.store.begin().await?;
    if left.is_empty() {
        return end(app, tx, row).await;
    }
    let (actor, mut counts) = (Asked::read(&row.actor), BulkCounts::default());
    for id in &left {
        if !tx.take_bulk_left(&row.id, id).await? {
            continue;
        }
        let Some(mailbox) = read(&mut tx, id, &mut counts).await? else {
            continue;
        };
        let mut before = Before::of(&mailbox);
        if let Some(changed) = change(app, &mut tx, &actor, mailbox, act, &row.tag, None).await? {
            before.left = paused(&changed);
            let before = serde_json::to_string(&before).unwrap_or_default();
            tx.note_bulk_change(&row.id, id, &before).await?;
            counts.changed += 1;
        }
    }
    tx.count_bulk(&row.id, counts).await?;
    tx.commit().await?;
    Ok(true)
}

/// What an act changed becomes as it was, where nobody changed it since.
async fn undo_some(app: &App, row: &BulkAct, act: Act) -> StoreResult<bool> {
    let some = app.store.bulk_changed(&row.id, STEP).await?;
    let mut tx = app.store.begin().await?;
    if some.is_empty() {
        return end(app, tx, row).await;
    }
    let actor = Asked::read(row.undo_actor.as_deref().unwrap_or_default());
    let mut counts = BulkCounts::default();
    for (id, before) in &some {
        if !tx.drop_bulk_change(&row.id, id).await? {
            continue;
        }
        let Some(mailbox) = read(&mut tx, id, &mut counts).await? else {
            continue;
        };
        let before: Before = serde_json::from_str(before).unwrap_or_default();
        // A pause of somebody else, with its reason, is not lost.
        let is_another = act == Act::Pause && before.left.is_some() && before.left != paused(&mailbox);
        let undone = !is_another
            && change(app, &mut tx, &actor, mailbox, act.reverse(), &row.tag, Some(before))
                .await?
                .is_some();
        counts.undone += i64::from(undone);
        counts.kept += i64::from(!undone);
    }
    tx.count_bulk(&row.id, counts).await?;
    tx.commit().await?;
    Ok(true)
}

/// A mailbox of an act; none where it is gone, or its row can't be read: that is counted, and the others go on.
async fn read(tx: &mut Tx, id: &MailboxId, counts: &mut BulkCounts) -> StoreResult<Option<Mailbox>> {
    match tx.mailbox_by_id(id).await {
        Err(error) if !error.is_away() => {
            tracing::warn!(mailbox.id = %id, %error, "A mailbox is left out of work on many: it can't be read: {error}");
            counts.unread += 1;
            Ok(None)
        }
        result => result,
    }
}

/// Does it to one mailbox; none where that changes nothing.
async fn change(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    mut mailbox: Mailbox,
    act: Act,
    tag: &str,
    back: Option<Before>,
) -> StoreResult<Option<Mailbox>> {
    let has = mailbox.tags.iter().any(|known| known == tag);
    let before = mailbox.tags.join(", ");
    match act {
        Act::TurnOn if mailbox.enabled => return Ok(None),
        // One that was never turned on is not paused by turning it off.
        Act::Pause if !mailbox.enabled => return Ok(None),
        Act::AddTag if has || mailbox.tags.len() >= MOST_ITEMS => return Ok(None),
        Act::RemoveTag if !has => return Ok(None),
        Act::TurnOn => (mailbox.enabled, mailbox.paused) = (true, None),
        Act::Pause => {
            mailbox.enabled = false;
            mailbox.paused = match back {
                Some(before) => before.pause.map(|(by, at, reason)| Pause {
                    by,
                    at: crate::clock::Timestamp(at),
                    reason,
                }),
                None => Some(super::pause_by(app, actor, String::new())),
            };
        }
        Act::AddTag => {
            mailbox.tags.push(tag.to_owned());
            mailbox.tags.sort();
        }
        Act::RemoveTag => mailbox.tags.retain(|known| known != tag),
    }
    mailbox.state = mailbox.derive_state();
    tx.update_mailbox(&mailbox).await?;
    let detail = match act {
        Act::AddTag | Act::RemoveTag => format!("Tags: {before} → {}", mailbox.tags.join(", ")),
        Act::TurnOn | Act::Pause => String::new(),
    };
    audit(app, tx, actor, act.action(), &mailbox.name, detail).await?;
    Ok(Some(mailbox))
}
