//! Sides of mailboxes whose password was refused: each is left in peace for a while by itself, because trying again and again locks accounts.
//! A save of other settings, turning the mailbox on ([`Tx::update_mailbox`]) and a test that passes ([`Tx::record_side`]) end that; what waits
//! to be mailed through the mailbox is tried at once then.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::report::Direction;

/// A side that is left in peace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Which side.
    pub direction: Direction,
    /// How often in a row its password was refused.
    pub refused: i64,
    /// Until when.
    pub until: Timestamp,
}

impl Store {
    /// The sides of a mailbox whose password was refused when it was last tried.
    pub async fn rests(&self, id: &MailboxId) -> StoreResult<Vec<Rest>> {
        let rows = sqlx::query("SELECT direction, refused, rests_until FROM rests WHERE mailbox_id = $1")
            .bind(id.as_str())
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Rest {
                    direction: row.word("direction", Direction::parse)?,
                    refused: row.int("refused")?,
                    until: row.time("rests_until")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// Leaves a side in peace.
    pub async fn put_rest(&mut self, id: &MailboxId, rest: Rest) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO rests (mailbox_id, direction, refused, rests_until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (mailbox_id, direction) DO UPDATE SET refused = excluded.refused, rests_until = excluded.rests_until",
        )
        .bind(id.as_str())
        .bind(rest.direction.as_str())
        .bind(rest.refused)
        .bind(rest.until.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// A side let somebody in: nothing is left in peace there.
    pub async fn end_rest(&mut self, id: &MailboxId, direction: Direction) -> StoreResult<()> {
        let ended = sqlx::query("DELETE FROM rests WHERE mailbox_id = $1 AND direction = $2")
            .bind(id.as_str())
            .bind(direction.as_str())
            .write(self)
            .await?;
        self.rest_ended(id, direction, ended).await
    }

    /// Ends what rests of a mailbox that is about to have other settings, changed at this moment, or to be turned on.
    pub(super) async fn end_rests_before(&mut self, id: &MailboxId, changed_at: Timestamp, enabled: bool) -> StoreResult<()> {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            let ended = sqlx::query(
                "DELETE FROM rests WHERE mailbox_id = $1 AND direction = $4
                 AND EXISTS (SELECT 1 FROM mailboxes m WHERE m.id = $1 AND (m.changed_at <> $2 OR m.enabled < $3))",
            )
            .bind(id.as_str())
            .bind(changed_at.0)
            .bind(i64::from(enabled))
            .bind(direction.as_str())
            .write(self)
            .await?;
            self.rest_ended(id, direction, ended).await?;
        }
        Ok(())
    }

    /// If that of sending has ended, of the mailbox that sends notices, they wait no longer.
    async fn rest_ended(&mut self, id: &MailboxId, direction: Direction, ended: u64) -> StoreResult<()> {
        if ended > 0 && direction == Direction::Outgoing {
            sqlx::query(
                "UPDATE deliveries SET next_at = created_at WHERE channel = 'mail' AND state = 'waiting'
                 AND EXISTS (SELECT 1 FROM notice_channels c WHERE c.channels LIKE '%\"' || $1 || '\"%')",
            )
            .bind(id.as_str())
            .write(self)
            .await?;
        }
        Ok(())
    }
}
