//! Whether notices get out at all: a way that is dead is told on every page, and by the other one.

use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::mailbox::Mailbox;
use crate::model::notices::{Channel, clean};
use crate::model::report::{Diagnosis, Outcome};
use crate::model::settings::FAILING_AFTER;
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreError, StoreResult, Tx, to_json};
use serde::{Deserialize, Serialize};

/// Setting: since when no mail was taken, and why; written where mail is sent.
const FAILED: &str = "notices.mail_failed";
/// Setting: since when the webhook took nothing, and why; written where it is called.
const WEBHOOK_FAILED: &str = "notices.webhook_failed";

/// Setting: through which mailbox that is turned off something was last sent, and when.
const SENT: &str = "notices.sent_through";

/// For how many seconds may mail fail before that is told? The second attempt comes after a minute.
const GRACE: i64 = 90;
/// The same for the webhook, whose server may be starting anew: the third attempt comes after six minutes.
const WEBHOOK_GRACE: i64 = 300;
/// For how many seconds has nothing got through a way that was cut off, and not only asked for pauses?
const CUT_OFF: i64 = 300;
/// How often must it have failed for that?
const WEBHOOK_FAILURES: i64 = 2;

/// What is said of a mailbox whose row can't be read.
pub(super) const UNREADABLE: &str = "The mailbox that sends can't be read from the database.";

/// Since when nothing goes out one way, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// Since when.
    pub since: Timestamp,
    /// A sentence or two.
    pub why: String,
    /// What to do about it, a sentence; empty where that depends.
    #[serde(default)]
    pub fix: String,
}

/// Failures of the webhook since it last worked.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Failing {
    /// The last one.
    dead: Dead,
    /// How many there were.
    times: i64,
    /// It was dead before somebody changed it, and is until something gets through.
    was_dead: bool,
}

/// Whether the way of the mails is dead, though somebody is to get them: the last one was taken nowhere, or the mailbox that sends
/// fails its checks, sends no more or is gone, and there is no other server.
pub async fn dead(app: &App, stored: &StoredChannels) -> StoreResult<Option<Dead>> {
    let channels = &stored.channels;
    if !channels.mails() {
        return Ok(None);
    }
    let failed = app.store.setting(FAILED).await?;
    let failed: Option<Dead> = failed.and_then(|text| serde_json::from_str(&text).ok());
    if let Some(found) = failed.filter(|found| app.clock.now().since(found.since) >= GRACE) {
        return Ok(Some(found));
    }
    if channels.fallback.is_some() {
        return Ok(None);
    }
    let now = app.clock.now();
    let found = |since: Timestamp, why: String| Dead {
        since,
        why,
        fix: String::new(),
    };
    let mailbox = match app.store.mailbox_by_id(&MailboxId(channels.mailbox.clone())).await {
        // Nothing is sent through it, and everything else is looked at all the same.
        Err(StoreError::Row(..)) => return Ok(Some(found(now, UNREADABLE.to_owned()))),
        read => read?,
    };
    Ok(match mailbox {
        None => Some(found(now, "The mailbox that sends was deleted.".to_owned())),
        Some(mailbox) if mailbox.outgoing.is_none() => {
            let why = format!("The mailbox {} sends no mail any more.", mailbox.name);
            Some(found(mailbox.changed_at, why))
        }
        Some(mailbox) if mailbox.outgoing_state.outcome == Some(Outcome::Failed) && fails_still(app, &mailbox).await? => {
            let problem = mailbox.outgoing_state.problem.unwrap_or_else(|| "its last test failed".to_owned());
            let why = format!("The mailbox {} can't send: {problem}.", mailbox.name);
            Some(found(mailbox.failing_since.unwrap_or(now), why))
        }
        Some(_) => None,
    })
}

/// Whether a mailbox whose last test failed counts as one that can't send: once as many checks have failed as for any other. One that is
/// turned off isn't checked any more, and is used all the same: it can't until something was sent through it since that test.
async fn fails_still(app: &App, mailbox: &Mailbox) -> StoreResult<bool> {
    if mailbox.enabled {
        return Ok(app.store.failed_checks(&mailbox.id).await? >= settings::number(app, &FAILING_AFTER).await?);
    }
    let sent = app.store.setting(SENT).await?;
    let sent: Option<(MailboxId, Timestamp)> = sent.and_then(|text| serde_json::from_str(&text).ok());
    Ok(!sent.is_some_and(|(id, at)| id == mailbox.id && mailbox.outgoing_state.tested_at.is_none_or(|tested| at > tested)))
}

/// Notes that a mail was taken through a mailbox: of one that nobody checks any more.
pub(super) async fn mailbox_sent(app: &App, mailbox: &Mailbox) -> StoreResult<()> {
    if mailbox.enabled || mailbox.outgoing_state.outcome != Some(Outcome::Failed) {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.put_setting(SENT, &to_json(&(&mailbox.id, app.clock.now()))).await?;
    tx.commit().await
}

/// Notes that a mail was taken by a server.
pub(super) async fn mail_works(app: &App) -> StoreResult<()> {
    works(app, FAILED, Channel::Mail).await
}

/// A way works. Where nothing got through for a while, what waits for its next try need not wait any longer; a server that only wants
/// fewer messages at once is left its pauses.
async fn works(app: &App, key: &'static str, channel: Channel) -> StoreResult<()> {
    let Some(text) = app.store.setting(key).await? else {
        return Ok(());
    };
    let since = match channel {
        Channel::Mail => serde_json::from_str::<Dead>(&text).ok().map(|dead| dead.since),
        Channel::Webhook => serde_json::from_str::<Failing>(&text).ok().map(|failing| failing.dead.since),
    };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.remove_setting(key).await?;
    if since.is_some_and(|since| now.since(since) >= CUT_OFF) {
        tx.hurry_deliveries(channel, now).await?;
    }
    tx.commit().await
}

/// Notes that no server took a mail: why the last one wasn't, and since when.
pub(super) async fn mail_fails(app: &App, why: String) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    let before: Option<Dead> = tx.setting(FAILED).await?.and_then(|text| serde_json::from_str(&text).ok());
    let found = Dead {
        since: before.map_or_else(|| app.clock.now(), |before| before.since),
        why,
        fix: String::new(),
    };
    tx.put_setting(FAILED, &to_json(&found)).await?;
    tx.commit().await
}

fn read(text: Option<String>) -> Option<Failing> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}

/// Whether the webhook is dead: it was turned off because it wants nothing any more, or it has failed for a while.
pub async fn webhook_dead(app: &App, stored: &StoredChannels) -> StoreResult<Option<Dead>> {
    let channels = &stored.channels;
    if channels.webhook.is_empty() {
        return Ok(None);
    }
    if let Some(off) = &channels.webhook_off {
        return Ok(Some(Dead {
            since: off.at,
            why: format!("{} So the console turned it off.", off.why),
            fix: "Make a new webhook where the messages are read and enter its address, or turn this one on again.".to_owned(),
        }));
    }
    let failing = read(app.store.setting(WEBHOOK_FAILED).await?);
    let now = app.clock.now();
    let lasts = |failing: &Failing| failing.times >= WEBHOOK_FAILURES && now.since(failing.dead.since) >= WEBHOOK_GRACE;
    Ok(failing
        .filter(|failing| failing.was_dead || lasts(failing))
        .map(|failing| failing.dead))
}

/// Notes that the webhook took a message.
pub(super) async fn webhook_works(app: &App) -> StoreResult<()> {
    works(app, WEBHOOK_FAILED, Channel::Webhook).await
}

/// Notes that the webhook took nothing; `problem` is a diagnosis as JSON. What was `used` counts as long as it is what is set.
pub(super) async fn webhook_fails(app: &App, used: &StoredChannels, problem: Option<&str>) -> StoreResult<()> {
    let set = app.store.notice_channels().await?.channels;
    if (&set.webhook, &set.secret_set) != (&used.channels.webhook, &used.channels.secret_set) {
        return Ok(());
    }
    let found: Option<Diagnosis> = problem.and_then(|text| serde_json::from_str(text).ok());
    let why = found.as_ref().map_or_else(
        || "It took no message.".to_owned(),
        |found| format!("{}. {}", found.title, found.meaning),
    );
    let fix = found.and_then(|found| found.remedy.into_iter().next()).unwrap_or_default();
    let mut tx = app.store.begin().await?;
    let before = read(tx.setting(WEBHOOK_FAILED).await?);
    let failing = Failing {
        times: before.as_ref().map_or(0, |before| before.times).saturating_add(1),
        was_dead: before.as_ref().is_some_and(|before| before.was_dead),
        dead: Dead {
            since: before.map_or_else(|| app.clock.now(), |before| before.dead.since),
            why: clean(&why, 600),
            fix: clean(&fix, 400),
        },
    };
    tx.put_setting(WEBHOOK_FAILED, &to_json(&failing)).await?;
    tx.commit().await
}

/// What is left of former failures once other channels are saved. A way that was dead and was changed stays so until something gets
/// through, since nobody knows before that whether the change mended it; what waits is tried at once. `dead` is how the webhook was.
pub(super) async fn saved(
    tx: &mut Tx,
    before: &StoredChannels,
    after: &StoredChannels,
    dead: Option<Dead>,
    now: Timestamp,
) -> StoreResult<()> {
    let (old, new) = (&before.channels, &after.channels);
    if !new.mails() {
        tx.remove_setting(FAILED).await?;
    } else if (&old.mailbox, &old.fallback, &old.password_set) != (&new.mailbox, &new.fallback, &new.password_set)
        && let Some(found) = tx.setting(FAILED).await?.and_then(|text| serde_json::from_str::<Dead>(&text).ok())
    {
        let found = Dead {
            why: "It was changed since, and nothing was mailed yet.".to_owned(),
            fix: "Send a test: if it arrives, this is over.".to_owned(),
            ..found
        };
        tx.put_setting(FAILED, &to_json(&found)).await?;
        tx.hurry_deliveries(Channel::Mail, now).await?;
    }
    if new.webhook.is_empty() {
        return tx.remove_setting(WEBHOOK_FAILED).await;
    }
    if (&old.webhook, &old.secret_set, &old.webhook_off) == (&new.webhook, &new.secret_set, &new.webhook_off) {
        return Ok(());
    }
    let Some(dead) = dead else {
        return tx.remove_setting(WEBHOOK_FAILED).await;
    };
    let failing = Failing {
        dead: Dead {
            why: "It was changed since, and has got no message yet.".to_owned(),
            fix: "Send a test to the webhook: if it gets through, this is over.".to_owned(),
            ..dead
        },
        times: 0,
        was_dead: true,
    };
    tx.put_setting(WEBHOOK_FAILED, &to_json(&failing)).await?;
    tx.hurry_deliveries(Channel::Webhook, now).await
}
