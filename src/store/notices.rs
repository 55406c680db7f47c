//! Notices: which causes are open, what they hit, and what is still to be told of them.

mod failing;

pub use failing::{EndedToken, FailingSide};

use super::{Columns, Store, StoreResult, Tx, Write, to_json};
use crate::clock::Timestamp;
use crate::model::notices::{Event, Member, MemberKind, Notice, State, Words};
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// Setting: when something was last found that is told once. Its row is what instances wait for.
const LAST_LOOK: &str = "notices.last_look";
/// How many notices are told of at once?
const TOLD_AT_ONCE: i64 = 500;

/// How something is that a cause had hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It fails, for whatever cause.
    Fails,
    /// It works.
    Works,
    /// Nobody knows yet.
    Unknown,
    /// It is gone, or nobody looks at it any more.
    Gone,
    /// It worked again, and left: when it fails once more that is news.
    Left,
}

/// Notices, with what follows `FROM notices`.
macro_rules! notices {
    ($rest:literal) => {
        concat!("SELECT id, event, cause, state, opened_at, closed_at, words FROM notices ", $rest)
    };
}

impl Store {
    /// Open notices, the oldest first.
    pub async fn open_notices(&self) -> StoreResult<Vec<Notice>> {
        let rows = sqlx::query(notices!("WHERE closed_at IS NULL ORDER BY opened_at, id"))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(notice).collect()
    }

    /// What open notices hit, by notice, and how that is now.
    pub async fn notice_members(&self) -> StoreResult<BTreeMap<String, Vec<(Member, Standing)>>> {
        let rows = sqlx::query(
            "SELECT nm.notice_id AS notice, nm.kind AS kind, nm.member AS member, CASE
                 WHEN nm.left_at IS NOT NULL THEN 'left'
                 WHEN nm.kind = 'mailbox' THEN CASE
                     WHEN m.id IS NULL OR m.enabled = 0 THEN 'gone'
                     WHEN m.incoming_outcome = 'failed' OR m.outgoing_outcome = 'failed' THEN 'fails'
                     WHEN (m.incoming_protocol IS NOT NULL AND m.incoming_outcome = '') OR (m.outgoing_protocol IS NOT NULL AND m.outgoing_outcome = '') THEN 'unknown'
                     ELSE 'works' END
                 WHEN nm.kind = 'token' THEN CASE
                     WHEN g.token_id IS NULL THEN 'gone'
                     WHEN g.state = 'revoked' THEN 'fails'
                     WHEN g.state = 'active' THEN 'works'
                     ELSE 'unknown' END
                 WHEN nm.kind = 'provider' THEN CASE
                     WHEN p.id IS NULL THEN 'gone'
                     WHEN p.problem IS NOT NULL THEN 'fails'
                     ELSE 'works' END
                 ELSE 'works' END AS standing
             FROM notice_members nm JOIN notices n ON n.id = nm.notice_id
             LEFT JOIN mailboxes m ON m.id = nm.member AND nm.kind = 'mailbox'
             LEFT JOIN grants g ON g.token_id = nm.member AND nm.kind = 'token'
             LEFT JOIN providers p ON p.id = nm.member AND nm.kind = 'provider'
             WHERE n.closed_at IS NULL ORDER BY nm.notice_id, nm.kind, nm.member",
        )
        .fetch_all(self.pool())
        .await?;
        let mut found: BTreeMap<String, Vec<(Member, Standing)>> = BTreeMap::new();
        for row in &rows {
            let member = Member {
                kind: row.word("kind", MemberKind::parse)?,
                id: row.text("member")?,
            };
            let standing = match row.text("standing")?.as_str() {
                "fails" => Standing::Fails,
                "works" => Standing::Works,
                "gone" => Standing::Gone,
                "left" => Standing::Left,
                _ => Standing::Unknown,
            };
            found.entry(row.text("notice")?).or_default().push((member, standing));
        }
        Ok(found)
    }

    /// Notices of which something is still to be told, the oldest first; those that were found without any way too, where there is one now.
    pub async fn notices_to_tell(&self, has_way: bool) -> StoreResult<Vec<Notice>> {
        let rows = sqlx::query(notices!(
            "WHERE state IN ('new', 'over', $2)
             ORDER BY opened_at, id LIMIT $1"
        ))
        .bind(TOLD_AT_ONCE)
        .bind(if has_way { State::Unheard } else { State::New }.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(notice).collect()
    }

    /// Notices of an event that were found without any way to tell them.
    pub async fn unheard_notices(&self, event: Event) -> StoreResult<Vec<Notice>> {
        let rows = sqlx::query(notices!(
            "WHERE state = 'unheard' AND event = $1
             ORDER BY opened_at, id"
        ))
        .bind(event.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(notice).collect()
    }

    /// How many notices there are of which something is still to be told: by event and state.
    pub async fn untold_notices(&self) -> StoreResult<Vec<(Event, State, i64)>> {
        let rows = sqlx::query(
            "SELECT event, state, COUNT(*) AS number FROM notices WHERE state IN ('new', 'unheard', 'over') GROUP BY event, state",
        )
        .fetch_all(self.pool())
        .await?;
        let counted = |row: &AnyRow| {
            Ok((
                row.word("event", Event::parse)?,
                row.word("state", State::parse)?,
                row.int("number")?,
            ))
        };
        rows.iter().map(counted).collect()
    }

    /// The causes of an event that there were ever notices of, as far back as they are kept.
    pub async fn known_causes(&self, event: Event) -> StoreResult<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT cause FROM notices WHERE event = $1")
            .bind(event.as_str())
            .fetch_all(self.pool())
            .await?)
    }

    /// Notices opened or closed since a moment, for the weekly report: the newest first.
    pub async fn notices_since(&self, since: Timestamp, limit: i64) -> StoreResult<Vec<Notice>> {
        let rows = sqlx::query(notices!(
            "WHERE opened_at >= $1 OR closed_at >= $1
             ORDER BY opened_at DESC, id LIMIT $2"
        ))
        .bind(since.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(notice).collect()
    }

    /// How many mailboxes are turned on, and how many of them work.
    pub async fn working_mailboxes(&self) -> StoreResult<(i64, i64)> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS turned_on, COALESCE(SUM(CASE WHEN state = 3 THEN 1 ELSE 0 END), 0) AS working FROM mailboxes WHERE enabled = 1",
        )
        .fetch_one(self.pool())
        .await?;
        Ok((row.int("turned_on")?, row.int("working")?))
    }

    /// Addresses of some mailboxes that hang on a provider.
    pub async fn addresses_of_provider(&self, provider: &str, limit: i64) -> StoreResult<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT m.address FROM mailboxes m WHERE m.incoming_token_id IN (SELECT id FROM tokens WHERE provider_id = $1)
                 OR m.outgoing_token_id IN (SELECT id FROM tokens WHERE provider_id = $1) ORDER BY m.address LIMIT $2",
        )
        .bind(provider)
        .bind(limit)
        .fetch_all(self.pool())
        .await?)
    }

    /// Handle and address of mailboxes that send.
    pub async fn sending_mailboxes(&self, limit: i64) -> StoreResult<Vec<(String, String)>> {
        let rows = sqlx::query("SELECT name, address FROM mailboxes WHERE outgoing_protocol IS NOT NULL ORDER BY address, name LIMIT $1")
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.text("address")?))).collect()
    }
}

impl Tx {
    /// Opens a notice; `false` where one with this cause is open.
    pub async fn insert_notice(&mut self, notice: &Notice) -> StoreResult<bool> {
        let done = sqlx::query(
            "INSERT INTO notices (id, event, cause, state, opened_at, closed_at, words) SELECT $1, $2, $3, $4, $5, $6, $7
             WHERE NOT EXISTS (SELECT 1 FROM notices WHERE cause = $3 AND closed_at IS NULL)",
        )
        .bind(&notice.id)
        .bind(notice.event.as_str())
        .bind(&notice.cause)
        .bind(notice.state.as_str())
        .bind(notice.opened_at.0)
        .bind(notice.closed_at.map(|at| at.0))
        .bind(to_json(&notice.words))
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Adds a notice of something that is told once and is over at once; `false` where there ever was one of this cause, as far back as they
    /// are kept. [`Self::one_at_a_time`] before it keeps two instances from each finding none.
    pub async fn insert_notice_once(&mut self, notice: &Notice) -> StoreResult<bool> {
        let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notices WHERE event = $1 AND cause = $2")
            .bind(notice.event.as_str())
            .bind(&notice.cause)
            .fetch_one(&mut ***self)
            .await?;
        if known > 0 {
            return Ok(false);
        }
        self.insert_notice(notice).await
    }

    /// Waits for whoever else is adding notices that are told once, until their transaction has ended, and keeps others waiting.
    pub async fn one_at_a_time(&mut self, now: Timestamp) -> StoreResult<()> {
        self.put_setting(LAST_LOOK, &now.0.to_string()).await
    }

    /// Something more that a notice hits, or hits again.
    pub async fn add_notice_member(&mut self, notice: &str, member: &Member) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO notice_members (notice_id, kind, member) VALUES ($1, $2, $3)
             ON CONFLICT (notice_id, kind, member) DO UPDATE SET left_at = NULL",
        )
        .bind(notice)
        .bind(member.kind.as_str())
        .bind(&member.id)
        .write(self)
        .await?;
        Ok(())
    }

    /// Notes that something a notice hit works again, while it goes on for others.
    pub async fn leave_notice(&mut self, notice: &str, member: &Member, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE notice_members SET left_at = $4 WHERE notice_id = $1 AND kind = $2 AND member = $3")
            .bind(notice)
            .bind(member.kind.as_str())
            .bind(&member.id)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Says a notice in other words, as long as it is open, or waits for a way.
    pub async fn reword_notice(&mut self, notice: &Notice) -> StoreResult<()> {
        sqlx::query("UPDATE notices SET words = $2 WHERE id = $1 AND (closed_at IS NULL OR state = 'unheard')")
            .bind(&notice.id)
            .bind(to_json(&notice.words))
            .write(self)
            .await?;
        Ok(())
    }

    /// Forgets a notice that there was no way to tell, and that isn't true any more.
    pub async fn forget_unheard(&mut self, id: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM notices WHERE id = $1 AND state = 'unheard'")
            .bind(id)
            .write(self)
            .await?;
        Ok(())
    }

    /// Closes a notice: what is still to be told, and in which words.
    pub async fn close_notice(&mut self, notice: &Notice, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE notices SET state = $2, closed_at = $3, words = $4 WHERE id = $1 AND closed_at IS NULL")
            .bind(&notice.id)
            .bind(notice.state.as_str())
            .bind(now.0)
            .bind(to_json(&notice.words))
            .write(self)
            .await?;
        Ok(())
    }

    /// Says that what was to be told is told. `false` where it isn't in that state any more.
    pub async fn told_notice(&mut self, id: &str, from: State, to: State) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE notices SET state = $3 WHERE id = $1 AND state = $2")
            .bind(id)
            .bind(from.as_str())
            .bind(to.as_str())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// What a delivery tells, where all of that is over and its end was told to the same, or is on its way: an end that reached nobody doesn't count.
    /// None: something of it goes on, or it tells of an end itself, or of what isn't over later.
    /// `tells_ends`: whether an end that waits to be told will be told the same way.
    pub async fn over_by_now(&mut self, delivery: &str, tells_ends: bool) -> StoreResult<Option<Vec<Words>>> {
        let rows = sqlx::query(
            "SELECT n.words AS words, CASE WHEN nd.ended = 0 AND n.closed_at IS NOT NULL AND ((n.state = 'over' AND $2 = 1) OR EXISTS (
                 SELECT 1 FROM notice_deliveries e JOIN deliveries d ON d.id = e.delivery_id
                 WHERE e.notice_id = n.id AND e.ended = 1 AND d.state NOT IN ('failed', 'dropped')
                 AND d.channel = own.channel AND (d.channel <> 'mail' OR d.recipient = own.recipient))) THEN 'over' ELSE 'on' END AS standing
             FROM notice_deliveries nd JOIN deliveries own ON own.id = nd.delivery_id JOIN notices n ON n.id = nd.notice_id
             WHERE nd.delivery_id = $1 ORDER BY n.opened_at, n.id",
        )
        .bind(delivery)
        .bind(i64::from(tells_ends))
        .fetch_all(&mut ***self)
        .await?;
        let mut over = Vec::new();
        for row in &rows {
            if row.text("standing")? != "over" {
                return Ok(None);
            }
            over.push(row.json("words")?);
        }
        Ok(Some(over).filter(|over| !over.is_empty()))
    }

    /// Deletes notices that were closed before `before` and need no more telling, at most so many.
    pub async fn prune_notices(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statement = "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE closed_at < $1
             AND state IN ('done', 'dropped', 'told') ORDER BY closed_at LIMIT $2)";
        self.prune(&[statement], before.0, most).await
    }
}

fn notice(row: &AnyRow) -> StoreResult<Notice> {
    Ok(Notice {
        id: row.text("id")?,
        event: row.word("event", Event::parse)?,
        cause: row.text("cause")?,
        state: row.word("state", State::parse)?,
        opened_at: row.time("opened_at")?,
        closed_at: row.maybe_time("closed_at")?,
        words: row.json("words")?,
    })
}
