//! The tokens mailboxes had before the ones they have.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write, name, to_json};
use crate::clock::Timestamp;
use crate::model::mailbox::{Auth, Endpoint, Protocol, Security, Server, Side};
use crate::model::report::Direction;
use crate::model::{MailboxId, TokenId};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

/// A side of a mailbox as it was while it used another token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSide {
    /// The mailbox.
    pub mailbox_id: MailboxId,
    /// Which side.
    pub direction: Direction,
    /// What it was set to, with that token.
    pub side: Side,
    /// The folder it read; empty for the outgoing side.
    pub folder: String,
    /// Since when it is set to something else.
    pub since: Timestamp,
}

/// The part of it that is stored as JSON.
#[derive(Serialize, Deserialize)]
struct Settings {
    protocol: String,
    endpoint: Option<(String, u16, String)>,
    username: Option<String>,
    folder: String,
}

impl Store {
    /// What the sides of a mailbox were set to before, the latest first.
    pub async fn former_sides(&self, mailbox: &MailboxId) -> StoreResult<Vec<FormerSide>> {
        let rows = sqlx::query(
            "SELECT f.mailbox_id AS mailbox_id, f.direction AS direction, f.token_id AS token_id, t.name AS token, f.settings AS settings,
             f.since AS since FROM former_tokens f JOIN tokens t ON t.id = f.token_id WHERE f.mailbox_id = $1
             ORDER BY f.since DESC, t.name, f.direction",
        )
        .bind(mailbox.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(former).collect()
    }
}

impl Tx {
    /// Notes what a side was set to before it got another token.
    pub async fn note_former(&mut self, former: &FormerSide) -> StoreResult<()> {
        let Auth::OAuth2 { token_id, .. } = &former.side.auth else {
            return Ok(());
        };
        let server = &former.side.server;
        let settings = Settings {
            protocol: server.protocol().as_str().to_owned(),
            endpoint: server
                .endpoint()
                .map(|at| (at.host.clone(), at.port, at.security.as_str().to_owned())),
            username: former.side.username.clone(),
            folder: former.folder.clone(),
        };
        sqlx::query(
            "INSERT INTO former_tokens (mailbox_id, direction, token_id, settings, since) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (mailbox_id, direction, token_id) DO UPDATE SET settings = excluded.settings, since = excluded.since",
        )
        .bind(former.mailbox_id.as_str())
        .bind(former.direction.as_str())
        .bind(token_id.as_str())
        .bind(to_json(&settings))
        .bind(former.since.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// Forgets that a side used a token before: it uses it again.
    pub async fn forget_former(&mut self, mailbox: &MailboxId, direction: Direction, token: &TokenId) -> StoreResult<()> {
        sqlx::query("DELETE FROM former_tokens WHERE mailbox_id = $1 AND direction = $2 AND token_id = $3")
            .bind(mailbox.as_str())
            .bind(direction.as_str())
            .bind(token.as_str())
            .write(self)
            .await?;
        Ok(())
    }

    /// Forgets of every mailbox that it used a token before; says how many sides that were.
    pub async fn forget_former_token(&mut self, token: &TokenId) -> StoreResult<u64> {
        let done = sqlx::query("DELETE FROM former_tokens WHERE token_id = $1")
            .bind(token.as_str())
            .write(self)
            .await?;
        Ok(done)
    }
}

fn former(row: &AnyRow) -> StoreResult<FormerSide> {
    let settings: Settings = row.json("settings")?;
    let bad = |what: &str| StoreError::Row("settings", format!("not {what}"));
    let server = match settings.endpoint {
        None => Server::Graph,
        Some((host, port, security)) => {
            let security = Security::parse(&security).ok_or_else(|| bad("an encryption"))?;
            let protocol = Protocol::parse(&settings.protocol).ok_or_else(|| bad("a protocol"))?;
            protocol.at(Endpoint { host, port, security })
        }
    };
    Ok(FormerSide {
        mailbox_id: MailboxId(row.text("mailbox_id")?),
        direction: row.word("direction", Direction::parse)?,
        side: Side {
            server,
            auth: Auth::OAuth2 {
                token_id: TokenId(row.text("token_id")?),
                token: name(row, "token")?,
            },
            username: settings.username,
        },
        folder: settings.folder,
        since: row.time("since")?,
    })
}
