//! Proofs of least privilege.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::model::TokenId;
use crate::model::proof::{Proof, ProofOutcome};

/// How many of a token are kept?
const KEPT: i64 = 20;

impl Store {
    /// The newest proofs of a token, newest first.
    pub async fn proofs_of(&self, token: &TokenId, most: i64) -> StoreResult<Vec<Proof>> {
        let rows = sqlx::query(
            "SELECT id, token_id, address, outcome, detail, proved_at, proved_by FROM proofs
             WHERE token_id = $1 ORDER BY proved_at DESC, id DESC LIMIT $2",
        )
        .bind(token.as_str())
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Proof {
                    id: row.text("id")?,
                    token_id: TokenId(row.text("token_id")?),
                    address: row.text("address")?,
                    outcome: row.word("outcome", ProofOutcome::parse)?,
                    detail: row.text("detail")?,
                    at: row.time("proved_at")?,
                    by: row.text("proved_by")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// Keeps a proof; the oldest of its token go.
    pub async fn insert_proof(&mut self, proof: &Proof) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO proofs (id, token_id, address, outcome, detail, proved_at, proved_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&proof.id)
        .bind(proof.token_id.as_str())
        .bind(&proof.address)
        .bind(proof.outcome.as_str())
        .bind(&proof.detail)
        .bind(proof.at.0)
        .bind(&proof.by)
        .write(self)
        .await?;
        sqlx::query(
            "DELETE FROM proofs WHERE token_id = $1 AND id NOT IN
             (SELECT id FROM proofs WHERE token_id = $1 ORDER BY proved_at DESC, id DESC LIMIT $2)",
        )
        .bind(proof.token_id.as_str())
        .bind(KEPT)
        .write(self)
        .await?;
        Ok(())
    }
}
