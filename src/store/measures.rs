//! Counts for those who watch the console from outside.

use super::{Columns, Store, StoreResult};

/// How many tokens of a provider are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCount {
    /// The provider's handle.
    pub provider: String,
    /// `active`, `failing` or `revoked` as stored, or `unauthorized` where nobody has signed in.
    pub state: String,
    /// How many.
    pub count: i64,
}

impl Store {
    /// Tokens by provider and stored state.
    pub async fn token_counts(&self) -> StoreResult<Vec<TokenCount>> {
        let rows = sqlx::query(
            "SELECT p.name AS provider, COALESCE(g.state, 'unauthorized') AS state, COUNT(*) AS n
             FROM tokens t JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id
             GROUP BY p.name, COALESCE(g.state, 'unauthorized') ORDER BY 1, 2",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TokenCount {
                    provider: row.text("provider")?,
                    state: row.text("state")?,
                    count: row.int("n")?,
                })
            })
            .collect()
    }
}
