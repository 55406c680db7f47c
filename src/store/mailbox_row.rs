//! A mailbox as its row: the values that go in, in the order of the columns, and what comes out.

use super::{Columns, StoreError, StoreResult, name, to_json};
use crate::model::mailbox::{Auth, AuthKind, Endpoint, Mailbox, MailboxState, Pause, Protocol, Security, Server, Side, SideState};
use crate::model::report::Outcome;
use crate::model::{MailboxId, RunId, Sealed, TokenId};
use sqlx::any::AnyRow;

/// A statement that values are bound to.
pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// Binds every column, from `id` to `round_trip_hours`.
pub(super) fn bind<'q>(query: Query<'q>, m: &'q Mailbox) -> Query<'q> {
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
        .bind(m.round_trip_hours)
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

/// The mailbox of a row.
pub(super) fn mailbox(row: &AnyRow) -> StoreResult<Mailbox> {
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
        round_trip_hours: row.int("round_trip_hours")?,
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
