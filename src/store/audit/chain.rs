//! The chain as a whole: looking through it, comparing it with anchors, and cutting its old end without losing the proof of the rest
//! (AUD-3 to AUD-5).

use super::{COLUMNS_FROM, DELETE_GUARD, audit_row, link};
use crate::clock::Timestamp;
use crate::model::audit::{Actor, Anchor, AuditEntry, AuditRow, Break, Chain, Checked};
use crate::random::hex;
use crate::store::{Columns, Engine, Store, StoreError, StoreResult, Tx, Write};
use aws_lc_rs::hmac;
use sqlx::any::AnyRow;
use std::time::Duration;

/// Setting that holds what the last look through the chain found.
const CHECKED: &str = "audit.checked";
/// Rows that are looked at with one statement.
const STEP: i64 = 1000;
/// How often is a look begun again because retention cut meanwhile?
const AGAIN: u32 = 5;

/// Where the chain begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Cut {
    /// The last entry that was cut; 0 before the first cut.
    sequence: i64,
    /// Its hash.
    hash: String,
    /// Whether the seal is ours.
    sealed: bool,
}

/// What became of one step of retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Nothing is old enough.
    Nothing,
    /// So many entries went.
    Cut(i64),
    /// The chain breaks at this entry, among those that would go: they stay, as evidence.
    Broken(i64),
}

/// What an anchor says of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The entry is there, with the same hash.
    Yes,
    /// Retention cut it: nothing can be said.
    Cut,
    /// The entry isn't there, or it is another one.
    No,
}

impl Store {
    fn chain_key(&self) -> StoreResult<hmac::Key> {
        let key = self.audit_key.get().cloned();
        key.ok_or_else(|| StoreError::Unusable("the audit key is not loaded".into()))
    }

    /// What the last look through the chain found; none before the first.
    pub async fn audit_checked(&self) -> StoreResult<Option<Checked>> {
        let stored = self.setting(CHECKED).await?;
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Looks through the whole chain, with a rest between two steps so that others get their turn.
    pub async fn check_audit(&self, rest: Duration) -> StoreResult<Chain> {
        let mut again = 0;
        loop {
            let cut = self.audit_cut().await?;
            let chain = self.look_through(&cut, rest).await?;
            again += 1;
            // What seems to be missing may have been cut while we looked.
            if chain.broken.is_none() || again >= AGAIN || self.audit_cut().await? == cut {
                return Ok(chain);
            }
        }
    }

    async fn look_through(&self, cut: &Cut, rest: Duration) -> StoreResult<Chain> {
        let key = self.chain_key()?;
        // What is appended from here on is no matter of this look.
        let known = self.head().await?;
        let head = known.clone().unwrap_or_default();
        let mut chain = Chain {
            first: cut.sequence + 1,
            last: head.sequence,
            head: head.hash.clone(),
            broken: None,
        };
        let broken = |sequence: i64, what: &str| {
            Some(Break {
                sequence,
                what: what.to_owned(),
            })
        };
        if known.is_none() {
            chain.broken = broken(chain.first, "The marker of the newest entry is missing or was changed");
            return Ok(chain);
        }
        if !cut.sealed {
            chain.broken = broken(chain.first, "The marker of where old entries were cut was changed");
            return Ok(chain);
        }
        let (mut expected, mut previous) = (chain.first, cut.hash.clone());
        while expected <= head.sequence {
            let rows = sqlx::query(concat!(
                "SELECT sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash",
                " FROM audit WHERE sequence >= $1 AND sequence <= $2 ORDER BY sequence LIMIT $3"
            ))
            .bind(expected)
            .bind(head.sequence)
            .bind(STEP)
            .fetch_all(self.pool())
            .await?;
            if rows.is_empty() {
                chain.broken = broken(expected, "This entry and those after it are missing");
                return Ok(chain);
            }
            for row in &rows {
                // What has another type than a column can have by itself was not written by the console.
                let Ok(row) = audit_row(row) else {
                    chain.broken = broken(expected, "This entry can't be read");
                    return Ok(chain);
                };
                if row.sequence != expected {
                    chain.broken = broken(expected, "This entry is missing");
                    return Ok(chain);
                }
                if row.hash != link(&key, &previous, &row) {
                    chain.broken = broken(expected, "This entry isn't as it was written");
                    return Ok(chain);
                }
                previous = row.hash;
                expected += 1;
            }
            tokio::time::sleep(rest).await;
        }
        if previous != head.hash {
            chain.broken = broken(expected, "The end of the chain was changed");
        } else if let Some(stray) = self.stray_entry(cut).await? {
            chain.broken = broken(stray, "This entry is outside the chain: the console didn't write it");
        }
        Ok(chain)
    }

    /// The first entry before the chain or behind its head, which was put past the console; seen with the head in one statement, so that
    /// what is appended meanwhile is none.
    async fn stray_entry(&self, cut: &Cut) -> StoreResult<Option<i64>> {
        let statement = "SELECT MIN(s.first) AS stray FROM (SELECT MIN(sequence) AS first FROM audit WHERE sequence <= $1
             UNION ALL SELECT MIN(sequence) AS first FROM audit WHERE sequence > (SELECT sequence FROM audit_head WHERE id = 1)
             UNION ALL SELECT MIN(0) AS first FROM audit WHERE sequence IS NULL) s";
        let row = sqlx::query(statement).bind(cut.sequence).fetch_one(self.pool()).await?;
        // SQLite takes any text where a number belongs: one that can't be read has no number.
        Ok(row.maybe_int("stray").unwrap_or(Some(0)))
    }

    /// Looks through the whole chain. `Ok(n)`: n entries, all intact. `Err` holds the number of the first bad one.
    pub async fn verify_audit(&self) -> StoreResult<Result<i64, i64>> {
        let chain = self.check_audit(Duration::ZERO).await?;
        let entries = chain.entries();
        Ok(chain.broken.map_or(Ok(entries), |broken| Err(broken.sequence)))
    }

    /// The newest entry, as an anchor; number 0 before the first.
    pub async fn audit_head(&self) -> StoreResult<Anchor> {
        let head = self.head().await?;
        head.ok_or_else(|| StoreError::Row("audit_head", "the marker of the newest entry is missing or was changed".to_owned()))
    }

    /// The newest entry; none where what says it is gone or can't be read.
    async fn head(&self) -> StoreResult<Option<Anchor>> {
        let row = sqlx::query("SELECT sequence, hash FROM audit_head WHERE id = 1")
            .fetch_optional(self.pool())
            .await?;
        let anchor = |row: AnyRow| {
            Ok::<_, StoreError>(Anchor {
                sequence: row.int("sequence")?,
                hash: row.text("hash")?,
            })
        };
        Ok(row.and_then(|row| anchor(row).ok()))
    }

    /// Whether the chain still contains what an anchor says.
    pub async fn holds_anchor(&self, anchor: &Anchor) -> StoreResult<Held> {
        let cut = self.audit_cut().await?;
        let (hash, start) = if anchor.sequence == cut.sequence {
            (Some(cut.hash), true)
        } else {
            let hash: Option<String> = sqlx::query_scalar("SELECT hash FROM audit WHERE sequence = $1")
                .bind(anchor.sequence)
                .fetch_optional(self.pool())
                .await?;
            (hash, false)
        };
        Ok(match hash {
            Some(hash) if hash == anchor.hash => Held::Yes,
            None if !start && anchor.sequence < cut.sequence => Held::Cut,
            _ => Held::No,
        })
    }

    async fn audit_cut(&self) -> StoreResult<Cut> {
        let row = sqlx::query("SELECT sequence, hash, at, seal FROM audit_cut WHERE id = 1")
            .fetch_optional(self.pool())
            .await?;
        read_cut(&self.chain_key()?, row.as_ref())
    }

    /// Cuts up to `most` of the entries before a moment. Those that go are looked through first, and what proves the rest is kept: the last
    /// one's number and hash, sealed. The guard against deletion is lifted for this transaction alone.
    pub async fn trim_audit(&self, before: Timestamp, now: Timestamp, most: i64) -> StoreResult<Trim> {
        let key = self.chain_key()?;
        let mut tx = self.begin().await?;
        // Its lock first: nobody appends until the entries are gone.
        sqlx::query("UPDATE audit_head SET sequence = sequence WHERE id = 1")
            .write(&mut tx)
            .await?;
        let row = sqlx::query("SELECT sequence, hash, at, seal FROM audit_cut WHERE id = 1")
            .fetch_optional(&mut **tx)
            .await?;
        let cut = read_cut(&key, row.as_ref())?;
        if !cut.sealed {
            return Ok(Trim::Broken(cut.sequence + 1));
        }
        let rows = sqlx::query(COLUMNS_FROM).bind(cut.sequence).bind(most).fetch_all(&mut **tx).await?;
        let (mut last, mut previous) = (None::<AuditRow>, cut.hash);
        for row in &rows {
            let Ok(row) = audit_row(row) else {
                return Ok(Trim::Broken(last.map_or(cut.sequence, |last| last.sequence) + 1));
            };
            if row.at >= before {
                break;
            }
            let expected = last.as_ref().map_or(cut.sequence, |last| last.sequence) + 1;
            if row.sequence != expected || row.hash != link(&key, &previous, &row) {
                return Ok(Trim::Broken(expected));
            }
            previous.clone_from(&row.hash);
            last = Some(row);
        }
        let Some(last) = last else { return Ok(Trim::Nothing) };
        let gone = last.sequence - cut.sequence;
        tx.lift_guard(self.engine).await?;
        // What is before them doesn't belong there, and stays as evidence.
        sqlx::query("DELETE FROM audit WHERE sequence > $1 AND sequence <= $2")
            .bind(cut.sequence)
            .bind(last.sequence)
            .write(&mut tx)
            .await?;
        tx.put_guard_back(self.engine).await?;
        sqlx::query(
            "INSERT INTO audit_cut (id, sequence, hash, at, seal) VALUES (1, $1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, at = excluded.at, seal = excluded.seal",
        )
        .bind(last.sequence)
        .bind(&last.hash)
        .bind(now.0)
        .bind(seal(&key, last.sequence, &last.hash, now.0))
        .write(&mut tx)
        .await?;
        let entry = AuditEntry {
            action: "audit.cut",
            target: "audit".into(),
            detail: format!(
                "entries {} to {}, the newest of them from {}",
                cut.sequence + 1,
                last.sequence,
                last.at.to_rfc3339()
            ),
            outcome: "ok",
        };
        tx.audit(now, &Actor::console(), entry).await?;
        tx.commit().await?;
        Ok(Trim::Cut(gone))
    }
}

impl Tx {
    /// Keeps what a look through the chain found.
    pub async fn note_audit_checked(&mut self, found: &Checked) -> StoreResult<()> {
        self.put_setting(CHECKED, &crate::store::to_json(found)).await
    }

    async fn lift_guard(&mut self, engine: Engine) -> StoreResult<()> {
        let statement = match engine {
            Engine::Sqlite => "DROP TRIGGER audit_no_delete",
            Engine::Postgres => "ALTER TABLE audit DISABLE TRIGGER audit_no_change",
        };
        sqlx::query(statement).write(self).await?;
        Ok(())
    }

    async fn put_guard_back(&mut self, engine: Engine) -> StoreResult<()> {
        let statement = match engine {
            Engine::Sqlite => DELETE_GUARD,
            Engine::Postgres => "ALTER TABLE audit ENABLE TRIGGER audit_no_change",
        };
        sqlx::query(statement).write(self).await?;
        Ok(())
    }
}

fn read_cut(key: &hmac::Key, row: Option<&AnyRow>) -> StoreResult<Cut> {
    let Some(row) = row else {
        return Ok(Cut {
            sealed: true,
            ..Cut::default()
        });
    };
    let (sequence, hash) = (row.int("sequence")?, row.text("hash")?);
    let sealed = row.text("seal")? == seal(key, sequence, &hash, row.int("at")?);
    Ok(Cut { sequence, hash, sealed })
}

/// What nobody writes who lacks the key of the chain. Begins with a word of its own, so that it is no link of the chain.
fn seal(key: &hmac::Key, sequence: i64, hash: &str, at: i64) -> String {
    hex(hmac::sign(key, format!("audit cut {sequence} {hash} {at}").as_bytes()).as_ref())
}
