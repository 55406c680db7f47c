//! What the search and *Explain an error* look for beyond the lists: runs by their number, and what shows a diagnosis now.

use super::{Columns, Store, StoreResult};
use crate::model::RunId;

impl Store {
    /// Runs whose id begins so, newest first: id and address of the mailbox.
    pub async fn runs_beginning(&self, start: &str, limit: i64) -> StoreResult<Vec<(RunId, String)>> {
        let rows = sqlx::query("SELECT id, address FROM runs WHERE id >= $1 AND id < $2 ORDER BY id DESC LIMIT $3")
            .bind(start)
            // Ids are hexadecimal: every one that begins so comes before this in every collation.
            .bind(format!("{start}g"))
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((RunId(row.text("id")?), row.text("address")?))).collect()
    }

    /// Mailboxes one of whose sides fails now with this diagnosis: name and address.
    pub async fn mailboxes_showing(&self, diagnosis: &str, limit: i64) -> StoreResult<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT name, address FROM mailboxes m
             WHERE (m.incoming_problem IS NOT NULL AND EXISTS (SELECT 1 FROM runs r WHERE r.id = m.incoming_run AND r.diagnosis_id = $1))
                OR (m.outgoing_problem IS NOT NULL AND EXISTS (SELECT 1 FROM runs r WHERE r.id = m.outgoing_run AND r.diagnosis_id = $1))
             ORDER BY address, name LIMIT $2",
        )
        .bind(diagnosis)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.text("address")?))).collect()
    }

    /// Tokens whose last renewal failed with this diagnosis: name and account.
    pub async fn tokens_showing(&self, diagnosis: &str, limit: i64) -> StoreResult<Vec<(String, String)>> {
        let rows = sqlx::query(
            "SELECT t.name AS name, COALESCE(t.account, t.name) AS account FROM tokens t JOIN grants g ON g.token_id = t.id
             WHERE g.state <> 'active' AND g.last_error LIKE $1 ESCAPE '!' ORDER BY t.name LIMIT $2",
        )
        .bind(with_id(diagnosis))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.text("name")?, row.text("account")?))).collect()
    }

    /// Providers whose app has this problem, by name.
    pub async fn providers_showing(&self, diagnosis: &str, limit: i64) -> StoreResult<Vec<String>> {
        let rows = sqlx::query("SELECT name FROM providers WHERE problem LIKE $1 ESCAPE '!' ORDER BY name LIMIT $2")
            .bind(with_id(diagnosis))
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| row.text("name")).collect()
    }
}

/// The beginning of a diagnosis as it is stored.
fn with_id(diagnosis: &str) -> String {
    let id = diagnosis.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("{{\"id\":\"{id}\"%")
}
