//! Which mailboxes a dated change touches ([`retirements`]): decided in the database, so that lists, counts and pages agree.

use super::mailbox_list::{MailboxFilter, bind_filter, filtered};
use super::mailbox_row::Query;
use super::{Store, StoreResult};
use crate::model::mailbox::AuthKind;
use crate::model::{MailboxId, retirements};
use sqlx::Row;

/// Whether a dated change touches a side, as a condition on $9 to $14: how it signs in; protocols and servers, each in a list `|a|b|`; the
/// moment from which on a passed test shows that it doesn't, or -1; part of a scope of its token; part of what the newest proof of its
/// token says. Each is off when it is empty.
macro_rules! touched {
    ($side:literal) => {
        concat!(
            "(m.",
            $side,
            "_protocol IS NOT NULL AND ($10 = '' OR m.",
            $side,
            "_auth = $10) AND ($9 = '' OR REPLACE($9, '|' || m.",
            $side,
            "_protocol || '|', '') <> $9) AND ($11 = '' OR REPLACE($11, '|' || LOWER(m.",
            $side,
            "_host) || '|', '') <> $11) AND ($12 = -1 OR m.",
            $side,
            "_outcome NOT IN ('passed', 'warning') OR COALESCE(m.",
            $side,
            "_tested_at, 0) < $12) AND ($13 = '' OR m.",
            $side,
            "_token_id IN (SELECT c.id FROM tokens c WHERE LOWER(c.scopes) LIKE $13)) AND ($14 = '' OR m.",
            $side,
            "_token_id IN (SELECT f.token_id FROM proofs f WHERE LOWER(f.detail) LIKE $14
                           AND NOT EXISTS (SELECT 1 FROM proofs n WHERE n.token_id = f.token_id AND n.proved_at > f.proved_at))))"
        )
    };
}
pub(super) use touched;

impl Store {
    /// Which dated changes touch a mailbox, in the order of the list.
    pub async fn changes_of(&self, id: &MailboxId) -> StoreResult<Vec<&'static retirements::Change>> {
        let sql = concat!("SELECT COUNT(*) FROM mailboxes m WHERE m.id = $16 AND ", filtered!());
        let mut touching = Vec::new();
        for change in retirements::all() {
            let filter = MailboxFilter {
                change: change.id.clone(),
                ..MailboxFilter::default()
            };
            let row = bind_filter(sqlx::query(sql), &filter)
                .bind(id.as_str())
                .fetch_one(self.pool())
                .await?;
            touching.extend((row.try_get::<i64, _>(0)? > 0).then_some(change));
        }
        Ok(touching)
    }
}

/// Binds what a change touches; for an id that is none, a protocol nobody speaks.
pub(super) fn bind_change<'q>(query: Query<'q>, id: &str) -> Query<'q> {
    let list = |items: &mut dyn Iterator<Item = &str>| {
        let text: String = items.flat_map(|item| [item, "|"]).collect();
        if text.is_empty() { text } else { format!("|{text}") }
    };
    let part = |text: &str| {
        let text = text.replace(['%', '_'], "");
        if text.is_empty() { text } else { format!("%{text}%") }
    };
    match retirements::find(id) {
        Some(change) => query
            .bind(list(&mut change.protocols.iter().map(|protocol| protocol.as_str())))
            .bind(change.auth.map_or("", AuthKind::as_str))
            .bind(list(&mut change.hosts.iter().map(String::as_str)))
            .bind(change.proved_from().map_or(-1, |at| at.0))
            .bind(part(&change.scope))
            .bind(part(&change.proof)),
        None => query
            .bind(if id.is_empty() { "" } else { "|none|" })
            .bind("")
            .bind("")
            .bind(-1_i64)
            .bind("")
            .bind(""),
    }
}
