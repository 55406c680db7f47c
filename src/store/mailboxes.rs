//! Mailboxes one by one, and their states. Their lists are in `mailbox_list`.

use super::changes::touched;
pub use super::mailbox_list::{MailboxFilter, MailboxKey, MailboxRow, MailboxSort, Page};
use super::mailbox_list::{bind_filter, filtered};
use super::mailbox_row::{bind, mailbox};
use super::{Columns, Store, StoreError, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::mailbox::{Mailbox, MailboxState, Protocol, SideState};
use crate::model::report::{Direction, Outcome};
use crate::model::{MailboxId, Name, ProviderId, RunId, TokenId};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.id AS id, m.name AS name, m.address AS address, m.display_name AS display_name, m.enabled AS enabled, m.paused_by AS paused_by, ",
            "m.paused_at AS paused_at, m.paused_reason AS paused_reason, m.tags AS tags, ",
            "m.incoming_protocol AS incoming_protocol, m.incoming_host AS incoming_host, m.incoming_port AS incoming_port, ",
            "m.incoming_security AS incoming_security, m.incoming_auth AS incoming_auth, m.incoming_token_id AS incoming_token_id, ",
            "ti.name AS incoming_token, m.incoming_username AS incoming_username, m.incoming_password AS incoming_password, ",
            "m.incoming_password_version AS incoming_password_version, m.incoming_folder AS incoming_folder, ",
            "m.outgoing_protocol AS outgoing_protocol, m.outgoing_host AS outgoing_host, m.outgoing_port AS outgoing_port, ",
            "m.outgoing_security AS outgoing_security, m.outgoing_auth AS outgoing_auth, m.outgoing_token_id AS outgoing_token_id, ",
            "tt.name AS outgoing_token, m.outgoing_username AS outgoing_username, m.outgoing_password AS outgoing_password, ",
            "m.outgoing_password_version AS outgoing_password_version, m.sender AS sender, m.bcc AS bcc, m.state AS state, ",
            "m.incoming_outcome AS incoming_outcome, m.incoming_problem AS incoming_problem, m.incoming_run AS incoming_run, ",
            "m.incoming_tested_at AS incoming_tested_at, m.outgoing_outcome AS outgoing_outcome, m.outgoing_problem AS outgoing_problem, ",
            "m.outgoing_run AS outgoing_run, m.outgoing_tested_at AS outgoing_tested_at, m.checked_at AS checked_at, ",
            "m.failing_since AS failing_since, m.changed_at AS changed_at, m.version AS version, m.created_at AS created_at, ",
            "m.round_trip_hours AS round_trip_hours ",
            "FROM mailboxes m LEFT JOIN tokens ti ON ti.id = m.incoming_token_id LEFT JOIN tokens tt ON tt.id = m.outgoing_token_id ",
            $rest
        )
    };
}

impl Store {
    /// A mailbox by its name.
    pub async fn mailbox(&self, name: &Name) -> StoreResult<Option<Mailbox>> {
        let row = sqlx::query(select!("WHERE m.name = $1"))
            .bind(name.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(mailbox).transpose()
    }

    /// Mailboxes with this name or this address, in whatever case the address is written; at most `limit`.
    pub async fn mailboxes_called(&self, text: &str, limit: i64) -> StoreResult<Vec<MailboxId>> {
        let rows = sqlx::query("SELECT id FROM mailboxes WHERE name = $1 OR LOWER(address) = LOWER($1) ORDER BY id LIMIT $2")
            .bind(text)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(MailboxId(row.text("id")?))).collect()
    }

    /// A mailbox by its id.
    pub async fn mailbox_by_id(&self, id: &MailboxId) -> StoreResult<Option<Mailbox>> {
        let row = sqlx::query(select!("WHERE m.id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(mailbox).transpose()
    }

    /// Names of the mailboxes with an address (case-folded).
    pub async fn mailboxes_with_address(&self, address: &str) -> StoreResult<Vec<String>> {
        Ok(
            sqlx::query_scalar("SELECT name FROM mailboxes WHERE LOWER(address) = $1 ORDER BY name LIMIT 10")
                .bind(address.to_lowercase())
                .fetch_all(self.pool())
                .await?,
        )
    }

    /// Name and address of every mailbox, by name.
    pub async fn mailbox_addresses(&self) -> StoreResult<Vec<(String, String)>> {
        Ok(sqlx::query_as("SELECT name, address FROM mailboxes ORDER BY name")
            .fetch_all(self.pool())
            .await?)
    }

    /// Every mailbox, by name.
    pub async fn mailboxes(&self) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!("ORDER BY m.name")).fetch_all(self.pool()).await?;
        rows.iter().map(mailbox).collect()
    }

    /// The mailboxes that pass a filter, by name.
    pub async fn mailboxes_filtered(&self, filter: &MailboxFilter) -> StoreResult<Vec<Mailbox>> {
        let sql = concat!(select!("WHERE "), filtered!(), " ORDER BY m.name");
        let rows = bind_filter(sqlx::query(sql), filter).fetch_all(self.pool()).await?;
        rows.iter().map(mailbox).collect()
    }

    /// The mailboxes that use a token, by address.
    pub async fn mailboxes_of_token(&self, token: &TokenId) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!(
            "WHERE m.incoming_token_id = $1 OR m.outgoing_token_id = $1 ORDER BY m.address"
        ))
        .bind(token.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(mailbox).collect()
    }

    /// Some of the mailboxes that use a token, by address: at most `limit`.
    pub async fn some_mailboxes_of_token(&self, token: &TokenId, limit: i64) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!(
            "WHERE m.incoming_token_id = $1 OR m.outgoing_token_id = $1 ORDER BY m.address LIMIT $2"
        ))
        .bind(token.as_str())
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(mailbox).collect()
    }

    /// How many mailboxes use a token?
    pub async fn count_mailboxes_of_token(&self, token: &TokenId) -> StoreResult<i64> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE incoming_token_id = $1 OR outgoing_token_id = $1")
                .bind(token.as_str())
                .fetch_one(self.pool())
                .await?,
        )
    }

    /// By which protocols mailboxes use a token, and whether to read with them; each pair once.
    pub async fn protocols_of_token(&self, token: &TokenId) -> StoreResult<Vec<(Protocol, bool)>> {
        let mut all = Vec::new();
        for (reads, sql) in [
            (
                true,
                "SELECT DISTINCT incoming_protocol AS protocol FROM mailboxes WHERE incoming_token_id = $1",
            ),
            (
                false,
                "SELECT DISTINCT outgoing_protocol AS protocol FROM mailboxes WHERE outgoing_token_id = $1",
            ),
        ] {
            let rows = sqlx::query(sql).bind(token.as_str()).fetch_all(self.pool()).await?;
            for row in rows {
                all.push((row.word("protocol", Protocol::parse)?, reads));
            }
        }
        Ok(all)
    }

    /// The mailboxes that used a token before, by address; at most 200.
    pub async fn mailboxes_formerly_of_token(&self, token: &TokenId) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!(
            "WHERE m.id IN (SELECT mailbox_id FROM former_tokens WHERE token_id = $1) ORDER BY m.address LIMIT 200"
        ))
        .bind(token.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(mailbox).collect()
    }
}

impl Tx {
    /// Adds a mailbox. [`StoreError::Taken`] when the name is.
    pub async fn insert_mailbox(&mut self, mailbox: &Mailbox) -> StoreResult<()> {
        let query = sqlx::query(
            "INSERT INTO mailboxes (id, version, name, created_at, address, display_name, enabled, paused_by, paused_at, paused_reason, tags,
             incoming_protocol, incoming_host, incoming_port, incoming_security, incoming_auth, incoming_token_id, incoming_username, incoming_password,
             incoming_password_version, incoming_folder, outgoing_protocol, outgoing_host, outgoing_port, outgoing_security, outgoing_auth,
             outgoing_token_id, outgoing_username, outgoing_password, outgoing_password_version, sender, bcc, state, incoming_outcome, incoming_problem,
             incoming_run, incoming_tested_at, outgoing_outcome, outgoing_problem, outgoing_run, outgoing_tested_at, checked_at, failing_since, changed_at,
             round_trip_hours)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
             $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45)",
        );
        bind(query, mailbox).write(self).await?;
        self.put_tags(mailbox).await
    }

    /// Saves a mailbox that was read at `mailbox.version`; [`StoreError::Stale`] if somebody saved it since. With other settings, or turned
    /// on, it is checked as if it had never failed.
    pub async fn update_mailbox(&mut self, mailbox: &Mailbox) -> StoreResult<()> {
        self.end_rests_before(&mailbox.id, mailbox.changed_at, mailbox.enabled).await?;
        let query = sqlx::query(
            "UPDATE mailboxes SET version = $2 + 1, name = $3, created_at = $4, address = $5, display_name = $6, enabled = $7, paused_by = $8,
             paused_at = $9, paused_reason = $10, tags = $11, incoming_protocol = $12, incoming_host = $13, incoming_port = $14, incoming_security = $15,
             incoming_auth = $16, incoming_token_id = $17, incoming_username = $18, incoming_password = $19, incoming_password_version = $20,
             incoming_folder = $21, outgoing_protocol = $22, outgoing_host = $23, outgoing_port = $24, outgoing_security = $25, outgoing_auth = $26,
             outgoing_token_id = $27, outgoing_username = $28, outgoing_password = $29, outgoing_password_version = $30, sender = $31, bcc = $32,
             state = $33, incoming_outcome = $34, incoming_problem = $35, incoming_run = $36, incoming_tested_at = $37, outgoing_outcome = $38,
             outgoing_problem = $39, outgoing_run = $40, outgoing_tested_at = $41, checked_at = $42, failing_since = $43, changed_at = $44,
             round_trip_hours = $45, failed_checks = CASE WHEN changed_at <> $44 OR enabled < $7 THEN 0 ELSE failed_checks END,
             next_check_at = CASE WHEN enabled < $7 THEN 0 ELSE next_check_at END
             WHERE id = $1 AND version = $2",
        );
        let done = bind(query, mailbox).write(self).await?;
        if done == 0 {
            return Err(StoreError::Stale);
        }
        sqlx::query("DELETE FROM mailbox_tags WHERE mailbox_id = $1")
            .bind(mailbox.id.as_str())
            .write(self)
            .await?;
        self.put_tags(mailbox).await
    }

    async fn put_tags(&mut self, mailbox: &Mailbox) -> StoreResult<()> {
        for tag in &mailbox.tags {
            sqlx::query("INSERT INTO mailbox_tags (tag, mailbox_id) VALUES ($1, $2) ON CONFLICT (tag, mailbox_id) DO NOTHING")
                .bind(tag)
                .bind(mailbox.id.as_str())
                .write(self)
                .await?;
        }
        Ok(())
    }

    /// A mailbox as it stands, and stays for others until the end of the transaction: whoever changes it has read what is there.
    pub async fn mailbox_by_id(&mut self, id: &MailboxId) -> StoreResult<Option<Mailbox>> {
        let sql = match self.has_others_beside() {
            true => select!("WHERE m.id = $1 FOR UPDATE OF m"),
            false => select!("WHERE m.id = $1"),
        };
        let row = sqlx::query(sql).bind(id.as_str()).fetch_optional(&mut ***self).await;
        row.map_err(StoreError::from_write)?.as_ref().map(mailbox).transpose()
    }

    /// Notes how a test of one side ended, if the mailbox has not changed since the test read it (`changed_at`); derives its state. What
    /// passes is checked as if it had never failed.
    pub async fn record_side(
        &mut self,
        id: &MailboxId,
        changed_at: Timestamp,
        direction: Direction,
        side: SideState,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let Some(mut mailbox) = self.mailbox_by_id(id).await? else {
            return Ok(false);
        };
        if mailbox.changed_at != changed_at {
            return Ok(false);
        }
        if side.outcome == Some(Outcome::Passed) {
            self.end_rest(id, direction).await?;
        }
        match direction {
            Direction::Incoming => mailbox.incoming_state = side,
            Direction::Outgoing => mailbox.outgoing_state = side,
        }
        mailbox.checked_at = now;
        mailbox.state = mailbox.derive_state();
        mailbox.failing_since = match mailbox.state {
            MailboxState::Failing | MailboxState::Partly => mailbox.failing_since.or(Some(now)),
            _ => None,
        };
        let (incoming, outgoing) = (&mailbox.incoming_state, &mailbox.outgoing_state);
        sqlx::query(
            "UPDATE mailboxes SET state = $2, incoming_outcome = $3, incoming_problem = $4, incoming_run = $5, incoming_tested_at = $6,
             outgoing_outcome = $7, outgoing_problem = $8, outgoing_run = $9, outgoing_tested_at = $10, checked_at = $11, failing_since = $12,
             failed_checks = failed_checks * $13 WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(mailbox.state.rank())
        .bind(incoming.outcome.map_or("", Outcome::as_str))
        .bind(incoming.problem.as_deref())
        .bind(incoming.run.as_ref().map(RunId::as_str))
        .bind(incoming.tested_at.map(|at| at.0))
        .bind(outgoing.outcome.map_or("", Outcome::as_str))
        .bind(outgoing.problem.as_deref())
        .bind(outgoing.run.as_ref().map(RunId::as_str))
        .bind(outgoing.tested_at.map(|at| at.0))
        .bind(mailbox.checked_at.0)
        .bind(mailbox.failing_since.map(|at| at.0))
        .bind(i64::from(mailbox.failing_since.is_some()))
        .write(self)
        .await?;
        Ok(true)
    }

    /// After a change of a token: every mailbox that uses it is not tested since. Paused ones stay paused. Old runs stay readable.
    pub async fn reset_mailboxes_of_token(&mut self, token: &TokenId, now: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query(
            "UPDATE mailboxes SET incoming_outcome = '', incoming_problem = NULL, outgoing_outcome = '', outgoing_problem = NULL, failing_since = NULL,
             changed_at = $2, state = CASE WHEN state = 4 THEN 4 ELSE 2 END WHERE incoming_token_id = $1 OR outgoing_token_id = $1",
        )
        .bind(token.as_str())
        .bind(now.0)
        .write(self)
        .await?;
        Ok(done)
    }

    /// After a change of a provider: the same for all its tokens.
    pub async fn reset_mailboxes_of_provider(&mut self, provider: &ProviderId, now: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query(
            "UPDATE mailboxes SET incoming_outcome = '', incoming_problem = NULL, outgoing_outcome = '', outgoing_problem = NULL, failing_since = NULL,
             changed_at = $2, state = CASE WHEN state = 4 THEN 4 ELSE 2 END
             WHERE incoming_token_id IN (SELECT id FROM tokens WHERE provider_id = $1) OR outgoing_token_id IN (SELECT id FROM tokens WHERE provider_id = $1)",
        )
        .bind(provider.as_str())
        .bind(now.0)
        .write(self)
        .await?;
        Ok(done)
    }

    /// Deletes a mailbox; its runs stay, without it.
    pub async fn delete_mailbox(&mut self, id: &MailboxId) -> StoreResult<()> {
        if self.has_others_beside() {
            // Whoever writes down what a test found takes the mailbox first too, and its runs after it.
            sqlx::query("SELECT 1 FROM mailboxes WHERE id = $1 FOR UPDATE")
                .bind(id.as_str())
                .write(self)
                .await?;
        }
        sqlx::query("UPDATE runs SET mailbox_id = NULL WHERE mailbox_id = $1")
            .bind(id.as_str())
            .write(self)
            .await?;
        sqlx::query("DELETE FROM mailboxes WHERE id = $1")
            .bind(id.as_str())
            .write(self)
            .await?;
        Ok(())
    }
}
