//! Mailboxes, their lists (keyset pages, so that the last page costs what the first does) and states.

use super::{Columns, Store, StoreError, StoreResult, Tx, name, to_json};
use crate::clock::Timestamp;
use crate::model::mailbox::{Auth, AuthKind, Endpoint, Mailbox, MailboxState, Pause, Protocol, Security, Server, Side, SideState};
use crate::model::report::{Direction, Outcome};
use crate::model::{MailboxId, Name, ProviderId, RunId, Sealed, TokenId};
use sqlx::any::AnyRow;

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
            "m.failing_since AS failing_since, m.changed_at AS changed_at, m.version AS version, m.created_at AS created_at ",
            "FROM mailboxes m LEFT JOIN tokens ti ON ti.id = m.incoming_token_id LEFT JOIN tokens tt ON tt.id = m.outgoing_token_id ",
            $rest
        )
    };
}

/// What a list sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailboxSort {
    /// Worst state first.
    #[default]
    State,
    /// Address.
    Address,
    /// Last checked.
    Checked,
    /// When it was added.
    Added,
}

impl MailboxSort {
    /// All, with their words in addresses.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::State, "state"),
        (Self::Address, "address"),
        (Self::Checked, "checked"),
        (Self::Added, "added"),
    ];

    /// The word in addresses.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(sort, _)| *sort == self).map_or("state", |(_, word)| word)
    }

    /// The value of a word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(sort, _)| *sort)
    }
}

/// Which mailboxes a list shows. Empty text and none: not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MailboxFilter {
    /// Part of the address, name or display name.
    pub text: String,
    /// Only this state.
    pub state: Option<i64>,
    /// Only mailboxes whose token is of this provider (its name).
    pub provider: String,
    /// Only mailboxes that use this token (its name).
    pub token: String,
    /// Only with this tag.
    pub tag: String,
    /// Only with this kind of sign-in: `oauth2`, `password`.
    pub auth: String,
    /// Only turned on (`Some(true)`) or off.
    pub enabled: Option<bool>,
}

/// A place in a list: the sort key of a row. Goes into addresses as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxKey {
    /// State, time of check or time of adding; 0 where the sort is by address.
    pub number: i64,
    /// Address, where the sort uses it.
    pub address: String,
    /// Id, which makes it unique.
    pub id: String,
}

/// Where a page of a list starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Page {
    /// At the beginning.
    #[default]
    First,
    /// After a row.
    After(MailboxKey),
    /// The page that ends before a row.
    Before(MailboxKey),
    /// The last page.
    Last,
}

/// A row of the list.
#[derive(Debug, Clone)]
pub struct MailboxRow {
    /// Row id.
    pub id: MailboxId,
    /// Handle.
    pub name: String,
    /// Address.
    pub address: String,
    /// Display name.
    pub display_name: String,
    /// Tags.
    pub tags: Vec<String>,
    /// `imap`, or none.
    pub incoming: Option<String>,
    /// `smtp`, or none.
    pub outgoing: Option<String>,
    /// Name of its token's provider; none where a password is used.
    pub provider: Option<String>,
    /// State.
    pub state: MailboxState,
    /// Title of what is wrong, incoming first.
    pub problem: Option<String>,
    /// Last check; 0 before the first.
    pub checked_at: Timestamp,
    /// When it was added.
    pub created_at: Timestamp,
}

impl MailboxRow {
    /// Its place in a list sorted by `sort`.
    pub fn key(&self, sort: MailboxSort) -> MailboxKey {
        let number = match sort {
            MailboxSort::State => self.state.rank(),
            MailboxSort::Address => 0,
            MailboxSort::Checked => self.checked_at.0,
            MailboxSort::Added => self.created_at.0,
        };
        let address = match sort {
            MailboxSort::State | MailboxSort::Address => self.address.clone(),
            MailboxSort::Checked | MailboxSort::Added => String::new(),
        };
        MailboxKey {
            number,
            address,
            id: self.id.0.clone(),
        }
    }
}

/// The filter, as a condition on parameters $1 to $7. Every part is off when its parameter is empty.
macro_rules! filtered {
    () => {
        "($1 = '' OR m.address LIKE $1 ESCAPE '!' OR m.name LIKE $1 ESCAPE '!' OR LOWER(m.display_name) LIKE $1 ESCAPE '!')
         AND ($2 = -1 OR m.state = $2)
         AND ($3 = '' OR EXISTS (SELECT 1 FROM tokens t JOIN providers p ON p.id = t.provider_id
                                 WHERE p.name = $3 AND t.id IN (m.incoming_token_id, m.outgoing_token_id)))
         AND ($4 = '' OR EXISTS (SELECT 1 FROM tokens t WHERE t.name = $4 AND t.id IN (m.incoming_token_id, m.outgoing_token_id)))
         AND ($5 = '' OR EXISTS (SELECT 1 FROM mailbox_tags g WHERE g.tag = $5 AND g.mailbox_id = m.id))
         AND ($6 = '' OR m.incoming_auth = $6 OR m.outgoing_auth = $6)
         AND ($7 = -1 OR m.enabled = $7)"
    };
}

/// One page in one order; every column is copied twice on its way, so there is none that no page shows. $8 and $9 are the number and the address of the key, $10 its id, $11 the limit.
macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT m.id AS id, m.name AS name, m.address AS address, m.display_name AS display_name, m.tags AS tags, ",
            "m.incoming_protocol AS incoming_protocol, m.outgoing_protocol AS outgoing_protocol, m.state AS state, ",
            "COALESCE(m.incoming_problem, m.outgoing_problem) AS problem, m.checked_at AS checked_at, m.created_at AS created_at, ",
            "(SELECT p.name FROM tokens t JOIN providers p ON p.id = t.provider_id ",
            " WHERE t.id = COALESCE(m.incoming_token_id, m.outgoing_token_id)) AS provider ",
            "FROM mailboxes m WHERE ",
            $condition,
            " AND ",
            filtered!(),
            " ORDER BY ",
            $order,
            " LIMIT $11"
        )
    };
}

fn page_sql(sort: MailboxSort, descending: bool) -> &'static str {
    match (sort, descending) {
        (MailboxSort::State, false) => page!("(m.state, m.address, m.id) > ($8, $9, $10)", "m.state, m.address, m.id"),
        (MailboxSort::State, true) => page!(
            "(m.state, m.address, m.id) < ($8, $9, $10)",
            "m.state DESC, m.address DESC, m.id DESC"
        ),
        (MailboxSort::Address, false) => page!("$8 = $8 AND (m.address, m.id) > ($9, $10)", "m.address, m.id"),
        (MailboxSort::Address, true) => page!("$8 = $8 AND (m.address, m.id) < ($9, $10)", "m.address DESC, m.id DESC"),
        (MailboxSort::Checked, false) => page!("$9 = $9 AND (m.checked_at, m.id) > ($8, $10)", "m.checked_at, m.id"),
        (MailboxSort::Checked, true) => page!("$9 = $9 AND (m.checked_at, m.id) < ($8, $10)", "m.checked_at DESC, m.id DESC"),
        (MailboxSort::Added, false) => page!("$9 = $9 AND (m.created_at, m.id) > ($8, $10)", "m.created_at, m.id"),
        (MailboxSort::Added, true) => page!("$9 = $9 AND (m.created_at, m.id) < ($8, $10)", "m.created_at DESC, m.id DESC"),
    }
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

    /// Every mailbox, by name.
    pub async fn mailboxes(&self) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!("ORDER BY m.name")).fetch_all(self.pool()).await?;
        rows.iter().map(mailbox).collect()
    }

    /// The mailboxes that use a token, by address; at most 200.
    pub async fn mailboxes_of_token(&self, token: &TokenId) -> StoreResult<Vec<Mailbox>> {
        let rows = sqlx::query(select!(
            "WHERE m.incoming_token_id = $1 OR m.outgoing_token_id = $1 ORDER BY m.address LIMIT 200"
        ))
        .bind(token.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(mailbox).collect()
    }

    /// One page of the list, and whether there is more on its far side. `descending` turns the sort's order around; for
    /// [`MailboxSort::Checked`] and [`MailboxSort::Added`] pages usually want the newest first.
    pub async fn mailbox_page(
        &self,
        filter: &MailboxFilter,
        sort: MailboxSort,
        descending: bool,
        page: &Page,
        limit: usize,
    ) -> StoreResult<(Vec<MailboxRow>, bool)> {
        let backwards = matches!(page, Page::Before(_) | Page::Last);
        let downwards = descending != backwards;
        // The key beyond every row on the side the page starts from.
        let end = if downwards {
            MailboxKey {
                number: i64::MAX,
                address: "\u{10ffff}".into(),
                id: "\u{10ffff}".into(),
            }
        } else {
            MailboxKey {
                number: i64::MIN,
                address: String::new(),
                id: String::new(),
            }
        };
        let key = match page {
            Page::First | Page::Last => &end,
            Page::After(key) | Page::Before(key) => key,
        };
        let rows = bind_filter(sqlx::query(page_sql(sort, downwards)), filter)
            .bind(key.number)
            .bind(&key.address)
            .bind(&key.id)
            .bind(i64::try_from(limit).unwrap_or(200) + 1)
            .fetch_all(self.pool())
            .await?;
        let mut rows = rows.iter().map(mailbox_row).collect::<StoreResult<Vec<_>>>()?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        if backwards {
            rows.reverse();
        }
        Ok((rows, more))
    }

    /// How many mailboxes pass a filter; counts no further than `most`.
    pub async fn count_mailboxes(&self, filter: &MailboxFilter, most: i64) -> StoreResult<i64> {
        let sql = concat!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM mailboxes m WHERE ",
            filtered!(),
            " LIMIT $8) AS capped"
        );
        let count = bind_filter(sqlx::query(sql), filter).bind(most).fetch_one(self.pool()).await?;
        use sqlx::Row;
        Ok(count.try_get(0)?)
    }

    /// Numbers of mailboxes by state.
    pub async fn mailbox_states(&self) -> StoreResult<Vec<(MailboxState, i64)>> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS n FROM mailboxes GROUP BY state ORDER BY state")
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((MailboxState::from_rank(row.int("state")?), row.int("n")?)))
            .collect()
    }

    /// Causes of failures, by the title of their diagnosis: (title, mailboxes, since, one of their names), most mailboxes first.
    pub async fn mailbox_problems(&self, limit: i64) -> StoreResult<Vec<(String, i64, Option<Timestamp>, String)>> {
        let rows = sqlx::query(
            "SELECT COALESCE(incoming_problem, outgoing_problem) AS problem, COUNT(*) AS n, MIN(failing_since) AS since, MIN(name) AS name
             FROM mailboxes WHERE state IN (0, 1) AND COALESCE(incoming_problem, outgoing_problem) IS NOT NULL
             GROUP BY COALESCE(incoming_problem, outgoing_problem) ORDER BY COUNT(*) DESC, COALESCE(incoming_problem, outgoing_problem) LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((row.text("problem")?, row.int("n")?, row.maybe_time("since")?, row.text("name")?)))
            .collect()
    }

    /// Every tag with its number of mailboxes.
    pub async fn tags(&self) -> StoreResult<Vec<(String, i64)>> {
        let rows = sqlx::query("SELECT tag, COUNT(*) AS n FROM mailbox_tags GROUP BY tag ORDER BY tag LIMIT 500")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((row.text("tag")?, row.int("n")?))).collect()
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
             incoming_run, incoming_tested_at, outgoing_outcome, outgoing_problem, outgoing_run, outgoing_tested_at, checked_at, failing_since, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
             $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44)",
        );
        bind(query, mailbox).execute(&mut ***self).await.map_err(StoreError::from_write)?;
        self.put_tags(mailbox).await
    }

    /// Saves a mailbox that was read at `mailbox.version`; [`StoreError::Stale`] if somebody saved it since.
    pub async fn update_mailbox(&mut self, mailbox: &Mailbox) -> StoreResult<()> {
        let query = sqlx::query(
            "UPDATE mailboxes SET version = $2 + 1, name = $3, created_at = $4, address = $5, display_name = $6, enabled = $7, paused_by = $8,
             paused_at = $9, paused_reason = $10, tags = $11, incoming_protocol = $12, incoming_host = $13, incoming_port = $14, incoming_security = $15,
             incoming_auth = $16, incoming_token_id = $17, incoming_username = $18, incoming_password = $19, incoming_password_version = $20,
             incoming_folder = $21, outgoing_protocol = $22, outgoing_host = $23, outgoing_port = $24, outgoing_security = $25, outgoing_auth = $26,
             outgoing_token_id = $27, outgoing_username = $28, outgoing_password = $29, outgoing_password_version = $30, sender = $31, bcc = $32,
             state = $33, incoming_outcome = $34, incoming_problem = $35, incoming_run = $36, incoming_tested_at = $37, outgoing_outcome = $38,
             outgoing_problem = $39, outgoing_run = $40, outgoing_tested_at = $41, checked_at = $42, failing_since = $43, changed_at = $44
             WHERE id = $1 AND version = $2",
        );
        let done = bind(query, mailbox).execute(&mut ***self).await.map_err(StoreError::from_write)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale);
        }
        sqlx::query("DELETE FROM mailbox_tags WHERE mailbox_id = $1")
            .bind(mailbox.id.as_str())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        self.put_tags(mailbox).await
    }

    async fn put_tags(&mut self, mailbox: &Mailbox) -> StoreResult<()> {
        for tag in &mailbox.tags {
            sqlx::query("INSERT INTO mailbox_tags (tag, mailbox_id) VALUES ($1, $2) ON CONFLICT (tag, mailbox_id) DO NOTHING")
                .bind(tag)
                .bind(mailbox.id.as_str())
                .execute(&mut ***self)
                .await
                .map_err(StoreError::from_write)?;
        }
        Ok(())
    }

    /// A mailbox as it stands within the transaction.
    pub async fn mailbox_by_id(&mut self, id: &MailboxId) -> StoreResult<Option<Mailbox>> {
        let row = sqlx::query(select!("WHERE m.id = $1"))
            .bind(id.as_str())
            .fetch_optional(&mut ***self)
            .await?;
        row.as_ref().map(mailbox).transpose()
    }

    /// Notes how a test of one side ended, if the mailbox has not changed since the test read it (`changed_at`); derives its state.
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
             outgoing_outcome = $7, outgoing_problem = $8, outgoing_run = $9, outgoing_tested_at = $10, checked_at = $11, failing_since = $12
             WHERE id = $1",
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
    }

    /// Deletes a mailbox; its runs stay, without it.
    pub async fn delete_mailbox(&mut self, id: &MailboxId) -> StoreResult<()> {
        sqlx::query("UPDATE runs SET mailbox_id = NULL WHERE mailbox_id = $1")
            .bind(id.as_str())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        sqlx::query("DELETE FROM mailboxes WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind_filter<'q>(query: Query<'q>, filter: &'q MailboxFilter) -> Query<'q> {
    let text = filter.text.trim().to_lowercase();
    let pattern = if text.is_empty() {
        text
    } else {
        format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
    };
    query
        .bind(pattern)
        .bind(filter.state.unwrap_or(-1))
        .bind(filter.provider.as_str())
        .bind(filter.token.as_str())
        .bind(filter.tag.as_str())
        .bind(filter.auth.as_str())
        .bind(filter.enabled.map_or(-1, i64::from))
}

fn bind<'q>(query: Query<'q>, m: &'q Mailbox) -> Query<'q> {
    let query = query
        .bind(m.id.as_str())
        .bind(m.version)
        .bind(m.name.as_str())
        .bind(m.created_at.0)
        .bind(m.address.as_str())
        .bind(m.display_name.as_str())
        .bind(i64::from(m.enabled))
        .bind(m.paused.as_ref().map(|pause| pause.by.as_str()))
        .bind(m.paused.as_ref().map(|pause| pause.at.0))
        .bind(m.paused.as_ref().map(|pause| pause.reason.as_str()))
        .bind(to_json(&m.tags));
    let query = bind_side(query, m.incoming.as_ref()).bind(m.incoming.as_ref().map(|_| m.folder.as_str()));
    let query = bind_side(query, m.outgoing.as_ref());
    query
        .bind(m.from.as_deref())
        .bind(to_json(&m.bcc))
        .bind(m.state.rank())
        .bind(m.incoming_state.outcome.map_or("", Outcome::as_str))
        .bind(m.incoming_state.problem.as_deref())
        .bind(m.incoming_state.run.as_ref().map(RunId::as_str))
        .bind(m.incoming_state.tested_at.map(|at| at.0))
        .bind(m.outgoing_state.outcome.map_or("", Outcome::as_str))
        .bind(m.outgoing_state.problem.as_deref())
        .bind(m.outgoing_state.run.as_ref().map(RunId::as_str))
        .bind(m.outgoing_state.tested_at.map(|at| at.0))
        .bind(m.checked_at.0)
        .bind(m.failing_since.map(|at| at.0))
        .bind(m.changed_at.0)
}

fn bind_side<'q>(query: Query<'q>, side: Option<&'q Side>) -> Query<'q> {
    let token = side.and_then(|side| match &side.auth {
        Auth::OAuth2 { token_id, .. } => Some(token_id.as_str()),
        _ => None,
    });
    let password = side.and_then(|side| match &side.auth {
        Auth::Password { password } => password.as_ref(),
        _ => None,
    });
    let endpoint = side.and_then(|side| side.server.endpoint());
    query
        .bind(side.map(|side| side.server.protocol().as_str()))
        .bind(endpoint.map(|endpoint| endpoint.host.as_str()))
        .bind(endpoint.map(|endpoint| i64::from(endpoint.port)))
        .bind(endpoint.map(|endpoint| endpoint.security.as_str()))
        .bind(side.map(|side| side.auth.kind().as_str()))
        .bind(token)
        .bind(side.and_then(|side| side.username.as_deref()))
        .bind(password.map(|(sealed, _)| sealed.0.as_str()))
        .bind(password.map_or(0, |(_, version)| *version))
}

struct SideColumns {
    protocol: &'static str,
    host: &'static str,
    port: &'static str,
    security: &'static str,
    auth: &'static str,
    token_id: &'static str,
    token: &'static str,
    username: &'static str,
    password: &'static str,
    password_version: &'static str,
    outcome: &'static str,
    problem: &'static str,
    run: &'static str,
    tested_at: &'static str,
}

macro_rules! side_columns {
    ($side:literal) => {
        SideColumns {
            protocol: concat!($side, "_protocol"),
            host: concat!($side, "_host"),
            port: concat!($side, "_port"),
            security: concat!($side, "_security"),
            auth: concat!($side, "_auth"),
            token_id: concat!($side, "_token_id"),
            token: concat!($side, "_token"),
            username: concat!($side, "_username"),
            password: concat!($side, "_password"),
            password_version: concat!($side, "_password_version"),
            outcome: concat!($side, "_outcome"),
            problem: concat!($side, "_problem"),
            run: concat!($side, "_run"),
            tested_at: concat!($side, "_tested_at"),
        }
    };
}

const INCOMING: SideColumns = side_columns!("incoming");
const OUTGOING: SideColumns = side_columns!("outgoing");

fn side(row: &AnyRow, columns: &SideColumns) -> StoreResult<Option<Side>> {
    if row.maybe_text(columns.protocol)?.is_none() {
        return Ok(None);
    }
    let server = match row.word(columns.protocol, Protocol::parse)? {
        Protocol::Graph => Server::Graph,
        protocol => {
            let port = row.maybe_int(columns.port)?.and_then(|port| u16::try_from(port).ok());
            protocol.at(Endpoint {
                host: row.text(columns.host)?,
                port: port.ok_or_else(|| StoreError::Row(columns.port, "not a port".into()))?,
                security: row.word(columns.security, Security::parse)?,
            })
        }
    };
    let auth = match row.word(columns.auth, AuthKind::parse)? {
        AuthKind::OAuth2 => Auth::OAuth2 {
            token_id: TokenId(
                row.maybe_text(columns.token_id)?
                    .ok_or_else(|| StoreError::Row(columns.token_id, "missing".into()))?,
            ),
            token: name(row, columns.token)?,
        },
        AuthKind::Password => {
            let version = row.int(columns.password_version)?;
            Auth::Password {
                password: row.maybe_text(columns.password)?.map(|sealed| (Sealed(sealed), version)),
            }
        }
        AuthKind::None => Auth::None,
    };
    Ok(Some(Side {
        server,
        auth,
        username: row.maybe_text(columns.username)?,
    }))
}

fn side_state(row: &AnyRow, columns: &SideColumns) -> StoreResult<SideState> {
    Ok(SideState {
        outcome: Outcome::parse(&row.text(columns.outcome)?),
        problem: row.maybe_text(columns.problem)?,
        run: row.maybe_text(columns.run)?.map(RunId),
        tested_at: row.maybe_time(columns.tested_at)?,
    })
}

fn mailbox(row: &AnyRow) -> StoreResult<Mailbox> {
    let paused = match (row.maybe_text("paused_by")?, row.maybe_time("paused_at")?) {
        (Some(by), Some(at)) => Some(Pause {
            by,
            at,
            reason: row.maybe_text("paused_reason")?.unwrap_or_default(),
        }),
        _ => None,
    };
    Ok(Mailbox {
        id: MailboxId(row.text("id")?),
        name: name(row, "name")?,
        address: row.text("address")?,
        display_name: row.text("display_name")?,
        enabled: row.flag("enabled")?,
        paused,
        tags: row.json("tags")?,
        incoming: side(row, &INCOMING)?,
        folder: row.maybe_text("incoming_folder")?.unwrap_or_else(|| "INBOX".into()),
        outgoing: side(row, &OUTGOING)?,
        from: row.maybe_text("sender")?,
        bcc: row.json("bcc")?,
        state: MailboxState::from_rank(row.int("state")?),
        incoming_state: side_state(row, &INCOMING)?,
        outgoing_state: side_state(row, &OUTGOING)?,
        checked_at: row.time("checked_at")?,
        failing_since: row.maybe_time("failing_since")?,
        changed_at: row.time("changed_at")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
    })
}

fn mailbox_row(row: &AnyRow) -> StoreResult<MailboxRow> {
    Ok(MailboxRow {
        id: MailboxId(row.text("id")?),
        name: row.text("name")?,
        address: row.text("address")?,
        display_name: row.text("display_name")?,
        tags: row.json("tags")?,
        incoming: row.maybe_text("incoming_protocol")?,
        outgoing: row.maybe_text("outgoing_protocol")?,
        provider: row.maybe_text("provider")?,
        state: MailboxState::from_rank(row.int("state")?),
        problem: row.maybe_text("problem")?,
        checked_at: row.time("checked_at")?,
        created_at: row.time("created_at")?,
    })
}
