//! Messages on their way: claimed by one instance, with the attempt written down before anything is sent. Also whom to tell, and how.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write, to_json};
use crate::clock::Timestamp;
use crate::model::Sealed;
use crate::model::notices::{Channel, Channels, Delivery, DeliveryState, Event};
use sqlx::any::AnyRow;

/// A moment further ahead than any pause lasts: the clock was set back since.
const TOO_FAR: i64 = 7 * 3600;

/// Whom to tell, with the sealed secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredChannels {
    /// Counts saves.
    pub version: i64,
    /// Everything but the secrets.
    pub channels: Channels,
    /// Password of the fallback server.
    pub smtp_password: Option<Sealed>,
    /// What webhooks are signed with.
    pub webhook_secret: Option<Sealed>,
    /// The webhook's whole address.
    pub webhook_address: Option<Sealed>,
}

macro_rules! columns {
    () => {
        "id, message, event, channel, recipient, subject, content, state, owner, attempts, created_at, next_at, tried_at, via, request, reply, problem, why"
    };
}

impl Store {
    /// Whom to tell, and how; what counts where nobody has saved anything is empty.
    pub async fn notice_channels(&self) -> StoreResult<StoredChannels> {
        let row = sqlx::query("SELECT version, channels, smtp_password, webhook_secret, webhook_address FROM notice_channels WHERE id = 1")
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else {
            return Ok(StoredChannels::default());
        };
        Ok(StoredChannels {
            version: row.int("version")?,
            channels: row.json("channels")?,
            smtp_password: row.maybe_text("smtp_password")?.map(Sealed),
            webhook_secret: row.maybe_text("webhook_secret")?.map(Sealed),
            webhook_address: row.maybe_text("webhook_address")?.map(Sealed),
        })
    }

    /// So many deliveries of a channel whose time has come, the oldest first.
    pub async fn due_deliveries(&self, channel: Channel, now: Timestamp, most: usize) -> StoreResult<Vec<Delivery>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deliveries WHERE state = 'waiting' AND (next_at <= $1 OR next_at > $2) AND channel = $4 ORDER BY created_at, id LIMIT $3"
        ))
        .bind(now.0)
        .bind(now.plus(TOO_FAR).0)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .bind(channel.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// Deliveries of a channel that somebody is at, or was when it died.
    pub async fn deliveries_under_way(&self, channel: Channel) -> StoreResult<Vec<Delivery>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deliveries WHERE state IN ('sending', 'handing') AND channel = $1 ORDER BY id"
        ))
        .bind(channel.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// A page of deliveries, the newest first; `after` is the last one of the page before. One more than asked for shows that there are more.
    pub async fn deliveries(
        &self,
        state: Option<DeliveryState>,
        after: Option<(Timestamp, &str)>,
        limit: i64,
    ) -> StoreResult<Vec<Delivery>> {
        let (at, id) = after.map_or((i64::MAX, ""), |(at, id)| (at.0, id));
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deliveries WHERE ($1 = '' OR state = $1) AND (created_at < $2 OR (created_at = $2 AND id < $3)) ORDER BY created_at DESC, id DESC LIMIT $4"
        ))
        .bind(state.map_or("", DeliveryState::as_str))
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// The deliveries of one message, the oldest first.
    pub async fn deliveries_of(&self, message: &str) -> StoreResult<Vec<Delivery>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM deliveries WHERE message = $1 ORDER BY created_at, id LIMIT 100"
        ))
        .bind(message)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// One delivery.
    pub async fn delivery(&self, id: &str) -> StoreResult<Option<Delivery>> {
        let row = sqlx::query(concat!("SELECT ", columns!(), " FROM deliveries WHERE id = $1"))
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(delivery).transpose()
    }

    /// When messages were made between two moments, the oldest first; tests, what somebody sent again and what went to nobody don't count.
    pub async fn messages_made(&self, from: Timestamp, until: Timestamp) -> StoreResult<Vec<Timestamp>> {
        let made: Vec<i64> = sqlx::query_scalar(
            "SELECT MAX(created_at) AS made FROM deliveries WHERE created_at > $1 AND created_at <= $2 AND event <> 'test' AND state <> 'dropped'
             GROUP BY message ORDER BY made",
        )
        .bind(from.0)
        .bind(until.0)
        .fetch_all(self.pool())
        .await?;
        Ok(made.into_iter().map(Timestamp).collect())
    }

    /// The instances that live, by name.
    pub async fn living(&self) -> StoreResult<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM instances").fetch_all(self.pool()).await?)
    }
}

impl Tx {
    /// Saves whom to tell; [`StoreError::Stale`] where somebody else saved meanwhile.
    pub async fn put_notice_channels(&mut self, stored: &StoredChannels) -> StoreResult<()> {
        let done = sqlx::query(
            "INSERT INTO notice_channels (id, version, channels, smtp_password, webhook_secret, webhook_address) VALUES (1, $1 + 1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, channels = excluded.channels, smtp_password = excluded.smtp_password,
             webhook_secret = excluded.webhook_secret, webhook_address = excluded.webhook_address WHERE notice_channels.version = $1",
        )
        .bind(stored.version)
        .bind(to_json(&stored.channels))
        .bind(stored.smtp_password.as_ref().map(|sealed| sealed.0.clone()))
        .bind(stored.webhook_secret.as_ref().map(|sealed| sealed.0.clone()))
        .bind(stored.webhook_address.as_ref().map(|sealed| sealed.0.clone()))
        .write(self)
        .await?;
        if done == 0 { Err(StoreError::Stale) } else { Ok(()) }
    }

    /// Puts an address that was readable in its sealed form: nothing that anybody chose changes. [`StoreError::Stale`] where it was sealed
    /// or saved meanwhile.
    pub async fn seal_notice_channels(&mut self, stored: &StoredChannels) -> StoreResult<()> {
        let done = sqlx::query(
            "UPDATE notice_channels SET channels = $2, webhook_secret = $3, webhook_address = $4 WHERE version = $1 AND webhook_address IS NULL",
        )
        .bind(stored.version)
        .bind(to_json(&stored.channels))
        .bind(stored.webhook_secret.as_ref().map(|sealed| sealed.0.clone()))
        .bind(stored.webhook_address.as_ref().map(|sealed| sealed.0.clone()))
        .write(self)
        .await?;
        if done == 0 { Err(StoreError::Stale) } else { Ok(()) }
    }

    /// Adds a delivery.
    pub async fn insert_delivery(&mut self, one: &Delivery) -> StoreResult<()> {
        sqlx::query(concat!(
            "INSERT INTO deliveries (",
            columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
        ))
        .bind(&one.id)
        .bind(&one.message)
        .bind(one.event.as_str())
        .bind(one.channel.as_str())
        .bind(&one.recipient)
        .bind(&one.subject)
        .bind(&one.content)
        .bind(one.state.as_str())
        .bind(one.owner.as_deref())
        .bind(one.attempts)
        .bind(one.created_at.0)
        .bind(one.next_at.0)
        .bind(one.tried_at.map(|at| at.0))
        .bind(&one.via)
        .bind(&one.request)
        .bind(&one.reply)
        .bind(one.problem.as_deref())
        .bind(&one.why)
        .write(self)
        .await?;
        Ok(())
    }

    /// Notes which notice a delivery tells: its end, or its beginning.
    pub async fn link_delivery(&mut self, notice: &str, delivery: &str, ended: bool) -> StoreResult<()> {
        sqlx::query("INSERT INTO notice_deliveries (notice_id, delivery_id, ended) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(notice)
            .bind(delivery)
            .bind(i64::from(ended))
            .write(self)
            .await?;
        Ok(())
    }

    /// Takes a delivery that waits, in the name of an instance, and counts the attempt; `false` where another was quicker.
    pub async fn claim_delivery(&mut self, id: &str, owner: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'sending', owner = $2, attempts = attempts + 1, tried_at = $3 WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(owner)
        .bind(now.0)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Notes that a message is about to be handed over; `false` where it isn't this instance's any more: then it must not be.
    pub async fn handing_delivery(&mut self, id: &str, owner: &str) -> StoreResult<bool> {
        self.mark_delivery(id, owner, DeliveryState::Handing).await
    }

    /// Notes that a message wasn't handed over after all, and is still here; `false` where it isn't this instance's any more.
    pub async fn kept_delivery(&mut self, id: &str, owner: &str) -> StoreResult<bool> {
        self.mark_delivery(id, owner, DeliveryState::Sending).await
    }

    async fn mark_delivery(&mut self, id: &str, owner: &str, state: DeliveryState) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE deliveries SET state = $3 WHERE id = $1 AND owner = $2 AND state IN ('sending', 'handing')")
            .bind(id)
            .bind(owner)
            .bind(state.as_str())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Writes down how an attempt ended; only where the row is still this owner's, and in the state `from` where one is given. `false`
    /// where it isn't.
    pub async fn finish_delivery(&mut self, one: &Delivery, owner: Option<&str>, from: Option<DeliveryState>) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = $2, owner = NULL, next_at = $3, via = $4, request = $5, reply = $6, problem = $7
             WHERE id = $1 AND state IN ('sending', 'handing') AND ($8 = '' OR owner = $8) AND ($9 = '' OR state = $9)",
        )
        .bind(&one.id)
        .bind(one.state.as_str())
        .bind(one.next_at.0)
        .bind(&one.via)
        .bind(&one.request)
        .bind(&one.reply)
        .bind(one.problem.as_deref())
        .bind(owner.unwrap_or_default())
        .bind(from.map(DeliveryState::as_str).unwrap_or_default())
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Takes a delivery that was given up, as a person asks for, and counts the attempt. It stays the same message, so that who has it
    /// already knows it; `recipient` is where it goes now. `false` where it isn't given up, or not any more: somebody was quicker.
    pub async fn take_up_delivery(&mut self, id: &str, owner: &str, recipient: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'sending', owner = $2, recipient = $3, attempts = attempts + 1, tried_at = $4, why = ''
             WHERE id = $1 AND state IN ('failed', 'unknown', 'dropped')",
        )
        .bind(id)
        .bind(owner)
        .bind(recipient)
        .bind(now.0)
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Gives up what waits for a channel that was turned off, and says why.
    pub async fn drop_deliveries(&mut self, channel: Channel, why: &str) -> StoreResult<()> {
        sqlx::query("UPDATE deliveries SET state = 'dropped', why = $2 WHERE channel = $1 AND state = 'waiting'")
            .bind(channel.as_str())
            .bind(why)
            .write(self)
            .await?;
        Ok(())
    }

    /// Gives up the mails that wait for anybody but these, and says why.
    pub async fn drop_mails_but(&mut self, recipients: &[String], why: &str) -> StoreResult<()> {
        let waiting: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT recipient FROM deliveries WHERE channel = 'mail' AND state = 'waiting' ORDER BY recipient")
                .fetch_all(&mut ***self)
                .await?;
        let kept = |one: &String| recipients.iter().any(|known| known.eq_ignore_ascii_case(one));
        for removed in waiting.iter().filter(|one| !kept(one)) {
            sqlx::query(
                "UPDATE deliveries SET state = 'dropped', why = $2 WHERE channel = 'mail' AND state = 'waiting' AND recipient = $1",
            )
            .bind(removed)
            .bind(why)
            .write(self)
            .await?;
        }
        Ok(())
    }

    /// Gives up one delivery that waits, and says why.
    pub async fn drop_delivery(&mut self, id: &str, why: &str) -> StoreResult<()> {
        sqlx::query("UPDATE deliveries SET state = 'dropped', why = $2 WHERE id = $1 AND state = 'waiting'")
            .bind(id)
            .bind(why)
            .write(self)
            .await?;
        Ok(())
    }

    /// What waits for the webhook goes to another one.
    pub async fn redirect_deliveries(&mut self, recipient: &str) -> StoreResult<()> {
        sqlx::query("UPDATE deliveries SET recipient = $1 WHERE channel = 'webhook' AND state = 'waiting'")
            .bind(recipient)
            .write(self)
            .await?;
        Ok(())
    }

    /// Lets what waits for its next try over a channel wait no longer.
    pub async fn hurry_deliveries(&mut self, channel: Channel, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE deliveries SET next_at = $2 WHERE channel = $1 AND state = 'waiting' AND next_at > $2")
            .bind(channel.as_str())
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Deletes deliveries that ended and were made before `before`, at most so many; says how many went.
    pub async fn prune_deliveries(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statement = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE created_at < $1
             AND state NOT IN ('waiting', 'sending', 'handing') ORDER BY created_at LIMIT $2)";
        self.prune(&[statement], before.0, most).await
    }
}

fn delivery(row: &AnyRow) -> StoreResult<Delivery> {
    Ok(Delivery {
        id: row.text("id")?,
        message: row.text("message")?,
        event: row.word("event", Event::parse)?,
        channel: row.word("channel", Channel::parse)?,
        recipient: row.text("recipient")?,
        subject: row.text("subject")?,
        content: row.text("content")?,
        state: row.word("state", DeliveryState::parse)?,
        owner: row.maybe_text("owner")?,
        attempts: row.int("attempts")?,
        created_at: row.time("created_at")?,
        next_at: row.time("next_at")?,
        tried_at: row.maybe_time("tried_at")?,
        via: row.text("via")?,
        request: row.text("request")?,
        reply: row.text("reply")?,
        problem: row.maybe_text("problem")?,
        why: row.text("why")?,
    })
}
