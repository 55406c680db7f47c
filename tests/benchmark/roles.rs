//! What this program does when it is started again: the bare servers that Mailgrant is compared with, and the hand-out of access tokens
//! without the console around it.

use crate::process::{Process, free_address};
use crate::seed;
use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use mailgrant::actions::access_token::access_token;
use mailgrant::app::App;
use mailgrant::model::Name;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};
use std::fmt::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path as FilePath;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Says in a started program's environment what it is: role, address and data.
const ROLE: &str = "BENCHMARK_ROLE";
/// How many bytes of HTML does the bare list write?
const PAGE: usize = 10_000;

/// Lists 50 rows.
pub const LIST: &str = "list";
/// Reads one row by its index.
pub const ROW: &str = "row";
/// Hands out access tokens with all their checks.
pub const TOKEN: &str = "token";

/// A part to play.
pub struct Role {
    name: String,
    address: SocketAddr,
    data: std::path::PathBuf,
}

/// The part this process was started for, if any.
pub fn asked_for() -> Option<Role> {
    let text = std::env::var(ROLE).ok()?;
    let mut words = text.splitn(3, ' ');
    Some(Role {
        name: words.next()?.to_owned(),
        address: words.next()?.parse().ok()?,
        data: words.next()?.into(),
    })
}

/// Starts a process that plays a part, and waits until it listens.
pub fn start(role: &str, data: &FilePath) -> Result<(Process, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env(ROLE, format!("{role} {address} {}", data.display()))
        .stdin(Stdio::null());
    let mut process = Process::start(&mut command)?;
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if process.has_ended() || began.elapsed() > Duration::from_secs(30) {
            bail!("the bare server \"{role}\" does not start");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok((process, address))
}

/// Plays it, until the process is stopped.
#[tokio::main]
pub async fn play(role: &Role) -> Result<()> {
    let router = match role.name.as_str() {
        LIST => Router::new().route("/", get(list)).with_state(bare_pool(&role.data).await?),
        ROW => Router::new().route("/{name}", get(row)).with_state(bare_pool(&role.data).await?),
        TOKEN => Router::new().route("/{name}", get(token)).with_state(seed::open(&role.data).await?),
        other => bail!("no such part: {other}"),
    };
    let listener = tokio::net::TcpListener::bind(role.address).await?;
    axum::serve(listener, router).await.context("the bare server stopped")
}

async fn bare_pool(file: &FilePath) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Wal);
    Ok(SqlitePoolOptions::new().max_connections(8).connect_with(options).await?)
}

/// Any failure is a 500, which ends the benchmark.
struct Failed;

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        eprintln!("{error}");
        Self
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

/// 50 rows as 10 KB of HTML.
async fn list(State(pool): State<SqlitePool>) -> Result<Html<String>, Failed> {
    let rows = sqlx::query(
        "SELECT id, name, address, display_name, state, provider, problem, checked_at FROM mailboxes
         WHERE (address, id) > ($1, $2) ORDER BY address, id LIMIT 50",
    )
    .bind("box-1")
    .bind("")
    .fetch_all(&pool)
    .await?;
    let mut page = String::with_capacity(PAGE + 500);
    page.push_str("<!doctype html><title>Mailboxes</title><table>");
    for row in rows {
        let (name, address): (&str, &str) = (row.try_get("name")?, row.try_get("address")?);
        let (display_name, provider): (&str, Option<&str>) = (row.try_get("display_name")?, row.try_get("provider")?);
        let (state, checked_at): (i64, i64) = (row.try_get("state")?, row.try_get("checked_at")?);
        write!(
            page,
            "<tr><td><a href=\"/mailboxes/{name}\">{address}</a><td>{display_name}<td>{state}<td>{}<td>{checked_at}",
            provider.unwrap_or("-"),
        )?;
    }
    page.push_str("</table>");
    while page.len() < PAGE {
        page.push_str("<p>Text up to the size that was agreed.");
    }
    page.truncate(PAGE);
    Ok(Html(page))
}

/// One row by its index.
async fn row(State(pool): State<SqlitePool>, Path(name): Path<String>) -> Result<Response, Failed> {
    let row = sqlx::query("SELECT access_token, expires_at FROM tokens WHERE name = $1")
        .bind(name)
        .fetch_one(&pool)
        .await?;
    let (access_token, expires_at): (&str, i64) = (row.try_get("access_token")?, row.try_get("expires_at")?);
    Ok(json(access_token, expires_at))
}

/// An access token from the store: found by its name, checked, opened.
async fn token(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Failed> {
    let name = Name::parse(&name)?;
    let Some(token) = app.store.token(&name).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let handed = access_token(&app, &token, None).await?;
    Ok(json(handed.access_token.expose_secret(), handed.expires_at.0))
}

fn json(access_token: &str, expires_at: i64) -> Response {
    let body = serde_json::json!({ "access_token": access_token, "expires_at": expires_at });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
