//! The list of mailboxes: filtered, sorted and in keyset pages, so that the last page costs what the first does; and what is counted
//! of them.

use super::changes::{bind_change, touched};
use super::mailbox_row::Query;
use super::{Columns, Store, StoreResult};
use crate::clock::Timestamp;
use crate::model::MailboxId;
use crate::model::mailbox::MailboxState;
use crate::model::report::Direction;
use crate::model::round_trip::Trouble;
use sqlx::Row;
use sqlx::any::AnyRow;

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
    /// Only those that came or changed in this import (its id).
    pub imported: String,
    /// Only those touched by this dated change (its id, see [`crate::model::retirements`]).
    pub change: String,
    /// Only those that fail with this problem (its title), in either direction; or whose last message to itself did ([`Trouble::words`]).
    pub problem: String,
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
    /// The side that passed its test while the other one was not tested; none where it isn't so.
    pub half: Option<Direction>,
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

/// The filter, as a condition on parameters $1 to $15. Every part is off when its parameter is empty.
macro_rules! filtered {
    () => {
        concat!(
            "($1 = '' OR m.address LIKE $1 ESCAPE '!' OR m.name LIKE $1 ESCAPE '!' OR LOWER(m.display_name) LIKE $1 ESCAPE '!')
         AND ($2 = -1 OR m.state = $2)
         AND ($3 = '' OR EXISTS (SELECT 1 FROM tokens t JOIN providers p ON p.id = t.provider_id
                                 WHERE p.name = LOWER($3) AND t.id IN (m.incoming_token_id, m.outgoing_token_id)))
         AND ($4 = '' OR EXISTS (SELECT 1 FROM tokens t WHERE t.name = $4 AND t.id IN (m.incoming_token_id, m.outgoing_token_id)))
         AND ($5 = '' OR EXISTS (SELECT 1 FROM mailbox_tags g WHERE g.tag = $5 AND g.mailbox_id = m.id))
         AND ($6 = '' OR m.incoming_auth = $6 OR m.outgoing_auth = $6)
         AND ($7 = -1 OR m.enabled = $7)
         AND ($8 = '' OR EXISTS (SELECT 1 FROM imported_mailboxes i WHERE i.import_id = $8 AND i.mailbox_id = m.id))
         AND (($9 = '' AND $10 = '' AND $11 = '' AND $13 = '' AND $14 = '') OR ",
            touched!("incoming"),
            " OR ",
            touched!("outgoing"),
            ") AND ($15 = '' OR (m.state IN (0, 1) AND (m.incoming_problem = $15 OR m.outgoing_problem = $15)) OR ",
            "($15 LIKE 'trip:%' AND EXISTS (SELECT 1 FROM round_trips r WHERE ",
            $crate::store::round_trips::last!(),
            " AND $15 = 'trip:' || r.outcome || ':' || r.problem AND (r.outcome <> 'arrived' OR r.seconds > ",
            $crate::store::round_trips::slow!(),
            "))))"
        )
    };
}
pub(super) use filtered;

/// The side that passed its test while the other one was not tested, as its word; empty where it isn't so.
macro_rules! half {
    () => {
        "CASE WHEN m.state <> 2 OR m.incoming_protocol IS NULL OR m.outgoing_protocol IS NULL THEN ''
              WHEN m.incoming_outcome IN ('passed', 'warning') AND m.outgoing_outcome = '' THEN 'incoming'
              WHEN m.outgoing_outcome IN ('passed', 'warning') AND m.incoming_outcome = '' THEN 'outgoing' ELSE '' END"
    };
}

/// One page in one order; every column is copied twice on its way, so there is none that no page shows. $16 and $17 are the number and the address of the key, $18 its id, $19 the limit.
macro_rules! page {
    ($condition:literal, $order:literal) => {
        concat!(
            "SELECT m.id AS id, m.name AS name, m.address AS address, m.display_name AS display_name, m.tags AS tags, ",
            "m.incoming_protocol AS incoming_protocol, m.outgoing_protocol AS outgoing_protocol, m.state AS state, ",
            half!(),
            " AS half, COALESCE(m.incoming_problem, m.outgoing_problem) AS problem, m.checked_at AS checked_at, m.created_at AS created_at, ",
            "(SELECT p.name FROM tokens t JOIN providers p ON p.id = t.provider_id ",
            " WHERE t.id = COALESCE(m.incoming_token_id, m.outgoing_token_id)) AS provider ",
            "FROM mailboxes m WHERE ",
            $condition,
            " AND ",
            filtered!(),
            " ORDER BY ",
            $order,
            " LIMIT $19"
        )
    };
}

fn page_sql(sort: MailboxSort, descending: bool) -> &'static str {
    match (sort, descending) {
        (MailboxSort::State, false) => page!("(m.state, m.address, m.id) > ($16, $17, $18)", "m.state, m.address, m.id"),
        (MailboxSort::State, true) => page!(
            "(m.state, m.address, m.id) < ($16, $17, $18)",
            "m.state DESC, m.address DESC, m.id DESC"
        ),
        (MailboxSort::Address, false) => page!("$16 = $16 AND (m.address, m.id) > ($17, $18)", "m.address, m.id"),
        (MailboxSort::Address, true) => page!("$16 = $16 AND (m.address, m.id) < ($17, $18)", "m.address DESC, m.id DESC"),
        (MailboxSort::Checked, false) => page!("$17 = $17 AND (m.checked_at, m.id) > ($16, $18)", "m.checked_at, m.id"),
        (MailboxSort::Checked, true) => page!("$17 = $17 AND (m.checked_at, m.id) < ($16, $18)", "m.checked_at DESC, m.id DESC"),
        (MailboxSort::Added, false) => page!("$17 = $17 AND (m.created_at, m.id) > ($16, $18)", "m.created_at, m.id"),
        (MailboxSort::Added, true) => page!("$17 = $17 AND (m.created_at, m.id) < ($16, $18)", "m.created_at DESC, m.id DESC"),
    }
}

impl Store {
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
            " LIMIT $16) AS capped"
        );
        let count = bind_filter(sqlx::query(sql), filter).bind(most).fetch_one(self.pool()).await?;
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

    /// How many mailboxes have one side that passed its test, and one that was not tested.
    pub async fn half_tested(&self) -> StoreResult<i64> {
        let row = sqlx::query(concat!(
            "SELECT COUNT(*) FROM mailboxes m WHERE m.state = 2 AND ",
            half!(),
            " <> ''"
        ))
        .fetch_one(self.pool())
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Every tag with its number of mailboxes.
    pub async fn tags(&self) -> StoreResult<Vec<(String, i64)>> {
        let rows = sqlx::query("SELECT tag, COUNT(*) AS n FROM mailbox_tags GROUP BY tag ORDER BY tag LIMIT 500")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((row.text("tag")?, row.int("n")?))).collect()
    }
}

/// Binds a filter to the first parameters.
pub(super) fn bind_filter<'q>(query: Query<'q>, filter: &'q MailboxFilter) -> Query<'q> {
    let text = filter.text.trim().to_lowercase();
    let pattern = if text.is_empty() {
        text
    } else {
        format!("%{}%", text.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
    };
    let query = query
        .bind(pattern)
        .bind(filter.state.unwrap_or(-1))
        .bind(filter.provider.as_str())
        .bind(filter.token.as_str())
        .bind(filter.tag.as_str())
        .bind(filter.auth.as_str())
        .bind(filter.enabled.map_or(-1, i64::from))
        .bind(filter.imported.as_str());
    let problem = match Trouble::read(&filter.problem) {
        Some((outcome, problem)) => format!("trip:{outcome}:{problem}"),
        None => filter.problem.clone(),
    };
    bind_change(query, &filter.change).bind(problem)
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
        half: Direction::parse(&row.text("half")?),
        problem: row.maybe_text("problem")?,
        checked_at: row.time("checked_at")?,
        created_at: row.time("created_at")?,
    })
}
