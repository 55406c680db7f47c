//! Sends what waits. An attempt is claimed and written down before anything is sent. What a process that died had begun is tried again
//! where it was still here; a mail that was being handed over isn't, because only the server knows what became of it. Nor is an alarm tried
//! again once its end was told: it would come after the all-clear.

use super::channels::REMOVED;
use super::{dead, mail, webhook};
use crate::app::App;
use crate::held::Hold;
use crate::model::notices::{Channel, Delivery, DeliveryState, Event, MOST_ATTEMPTS, Words, backoff};
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreError, StoreResult};
use futures_util::stream::{self, StreamExt};
use std::time::Duration;

/// How many deliveries go on at once?
const AT_ONCE: usize = 8;
/// How many times some are sent in one pass?
const ROUNDS: usize = 32;
/// After how long does a pass begin no more? What died in the middle is looked for by the next one.
const LONGEST: Duration = Duration::from_secs(60);
/// How often is an end that can't be stored tried again, and how long between?
const STORE_TRIES: u32 = 3;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How an attempt ended.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// What came of it.
    pub ended: Ended,
    /// What it was sent through, in words.
    pub via: String,
    /// What was sent, without secrets.
    pub request: String,
    /// What was answered, without secrets, cut.
    pub reply: String,
    /// Why it failed: a diagnosis as JSON.
    pub problem: Option<String>,
}

/// What came of an attempt.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other side took it.
    Delivered,
    /// Nobody knows whether the other side has it.
    Unknown,
    /// It has not; to be tried again, after so many seconds at least.
    Again(i64),
    /// It has not, and won't take it.
    #[default]
    Refused,
    /// It wants nothing any more, ever.
    Gone,
}

/// Sends everything of a channel whose time has come, some of it at a time.
pub async fn send_due(app: &App, channel: Channel) -> StoreResult<()> {
    recover(app, channel).await?;
    let began = tokio::time::Instant::now();
    for _ in 0..ROUNDS {
        // As they are now: what was changed meanwhile must not go to where it went before.
        let stored = app.store.notice_channels().await?;
        if app.stopping.is_cancelled() || began.elapsed() > LONGEST || !send_some(app, &stored, channel).await? {
            break;
        }
    }
    Ok(())
}

/// Sends some; says whether there was any.
async fn send_some(app: &App, stored: &StoredChannels, channel: Channel) -> StoreResult<bool> {
    let now = app.clock.now();
    let mut due = app.store.due_deliveries(channel, now, AT_ONCE).await?;
    if due.is_empty() {
        return Ok(false);
    }
    if channel == Channel::Mail && mail::signs_in_with_password(app, stored).await? {
        // Where it is refused, the next one has to see that before it signs in as well.
        due.truncate(1);
    }
    let owner = app.flights.owner(app).as_str().to_owned();
    let mut claimed = Vec::new();
    let tells_ends = stored.channels.wants(channel, Event::Recovered);
    let mut tx = app.store.begin().await?;
    for one in due {
        // It was being made, or under way, when its recipient was removed.
        if one.channel == Channel::Mail && !stored.channels.tells(&one.recipient) {
            tx.drop_delivery(&one.id, REMOVED).await?;
            continue;
        }
        if one.attempts > 0
            && let Some(over) = tx.over_by_now(&one.id, tells_ends).await?
        {
            tx.drop_delivery(&one.id, &late(&over)).await?;
            continue;
        }
        let Some(running) = app.deliveries.take(&one.id) else {
            continue;
        };
        if tx.claim_delivery(&one.id, &owner, now).await? {
            claimed.push((one, running));
        }
    }
    tx.commit().await?;
    let results: Vec<StoreResult<()>> = stream::iter(claimed)
        .map(|(one, running)| async move {
            let result = attempt(app, stored, one).await;
            drop(running);
            result.map(|_| ())
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    results.into_iter().collect::<StoreResult<()>>()?;
    Ok(true)
}

/// Why a message isn't tried again that tells nothing any more but what is over.
fn late(over: &[Words]) -> String {
    let first = over.first().map_or("", |words| words.recovered.as_str());
    match over.len() {
        ..=1 => format!("It is over: {first}, so it isn't sent any more."),
        count => format!("It is over: {first}, and {} more, so it isn't sent any more.", count - 1),
    }
}

/// Makes deliveries for somebody who wants to see at once how they go, and tries them. Where the mailbox that sends has a password, one after
/// the other: what the first finds out holds for the others.
pub async fn send_all_now(app: &App, stored: &StoredChannels, all: Vec<Delivery>) -> StoreResult<()> {
    let mails = all.first().is_some_and(|one| one.channel == Channel::Mail);
    if mails && mail::signs_in_with_password(app, stored).await? {
        for one in all {
            send_now(app, stored, one).await?;
        }
        return Ok(());
    }
    let sending = all.into_iter().map(|one| Box::pin(send_now(app, stored, one)));
    let results = futures_util::future::join_all(sending).await;
    results.into_iter().try_for_each(|result| result.map(|_| ()))
}

/// Makes a delivery for somebody who wants to see at once how it goes, and tries it.
pub async fn send_now(app: &App, stored: &StoredChannels, one: Delivery) -> StoreResult<Delivery> {
    let owner = app.flights.owner(app).as_str().to_owned();
    let running = app.deliveries.take(&one.id);
    let running = running.ok_or_else(|| StoreError::Unusable("this message is being sent already".to_owned()))?;
    let mut tx = app.store.begin().await?;
    tx.insert_delivery(&one).await?;
    tx.claim_delivery(&one.id, &owner, app.clock.now()).await?;
    tx.commit().await?;
    run(app, stored, one, running).await
}

/// Tries a delivery that was claimed, to its end, whoever goes away meanwhile.
pub(super) async fn run(app: &App, stored: &StoredChannels, one: Delivery, running: Hold) -> StoreResult<Delivery> {
    let (task, stored) = (app.clone(), stored.clone());
    let done = app.tasks.spawn(async move {
        let done = attempt(&task, &stored, one).await;
        drop(running);
        done
    });
    done.await
        .map_err(|error| StoreError::Unusable(format!("the message was not sent: {error}")))?
}

/// One attempt at a delivery that was claimed, written down to its end.
async fn attempt(app: &App, stored: &StoredChannels, mut one: Delivery) -> StoreResult<Delivery> {
    let owner = app.flights.owner(app).as_str().to_owned();
    one.attempts += 1;
    let now = app.clock.now();
    one.tried_at = Some(now);
    let attempt = match one.channel {
        Channel::Mail => Box::pin(mail::attempt(app, stored, &one, &owner)).await?,
        Channel::Webhook => Box::pin(webhook::attempt(app, stored, &one)).await?,
    };
    let now = app.clock.now();
    one.state = match attempt.ended {
        Ended::Delivered => DeliveryState::Delivered,
        Ended::Unknown => DeliveryState::Unknown,
        Ended::Refused | Ended::Gone => DeliveryState::Failed,
        // Whoever tests wants to know now.
        Ended::Again(_) if one.event == Event::Test => DeliveryState::Failed,
        Ended::Again(seconds) => {
            let pause = backoff(one.attempts).max(seconds);
            one.next_at = now.plus(pause);
            if one.attempts >= MOST_ATTEMPTS {
                DeliveryState::Failed
            } else {
                DeliveryState::Waiting
            }
        }
    };
    (one.via, one.request, one.reply, one.problem) = (attempt.via, attempt.request, attempt.reply, attempt.problem);
    finish(app, &one, &owner).await?;
    match (one.channel, attempt.ended) {
        (Channel::Mail, Ended::Delivered) => dead::mail_works(app).await?,
        (Channel::Mail, _) => {}
        (Channel::Webhook, Ended::Delivered) => dead::webhook_works(app).await?,
        (Channel::Webhook, Ended::Gone) => super::channels::turn_off_webhook(app, stored).await?,
        (Channel::Webhook, _) => dead::webhook_fails(app, stored, one.problem.as_deref()).await?,
    }
    let (channel, event) = (one.channel.as_str(), one.event.as_str());
    match one.state {
        DeliveryState::Delivered => {
            tracing::info!(delivery.id = %one.id, channel, event, "A notification was delivered by {channel}");
        }
        state => {
            tracing::warn!(area = "console", delivery.id = %one.id, channel, event, state = state.as_str(), "A notification was not delivered by {channel} at attempt {}", one.attempts);
        }
    }
    Ok(one)
}

async fn finish(app: &App, one: &Delivery, owner: &str) -> StoreResult<()> {
    for attempt in 1.. {
        let written = async {
            let mut tx = app.store.begin().await?;
            let ours = tx.finish_delivery(one, Some(owner), None).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(ours)
        };
        match written.await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                tracing::warn!(delivery.id = %one.id, "Somebody else took this instance for dead and has a notification now that it was sending");
                return Ok(());
            }
            Err(error) if attempt >= STORE_TRIES => return Err(error),
            Err(_) => tokio::time::sleep(STORE_PAUSE).await,
        }
    }
    Ok(())
}

/// What nobody is at any more, though it was begun.
async fn recover(app: &App, channel: Channel) -> StoreResult<()> {
    let begun = app.store.deliveries_under_way(channel).await?;
    if begun.is_empty() {
        return Ok(());
    }
    let living = app.store.living().await?;
    let own = app.flights.owner(app).as_str();
    for mut one in begun {
        let owner = one.owner.clone().unwrap_or_default();
        let alive = if owner == own {
            app.deliveries.has(&one.id)
        } else {
            living.contains(&owner)
        };
        if alive {
            continue;
        }
        let from = one.state;
        (one.state, one.next_at) = match (one.channel, one.state) {
            (Channel::Mail, DeliveryState::Handing) => (DeliveryState::Unknown, one.next_at),
            // Who gets a webhook twice knows it by its id.
            _ => (DeliveryState::Waiting, app.clock.now()),
        };
        let mut tx = app.store.begin().await?;
        // As it was read: whoever woke up meanwhile may be handing it over.
        tx.finish_delivery(&one, one.owner.as_deref(), Some(from)).await?;
        tx.commit().await?;
    }
    Ok(())
}
