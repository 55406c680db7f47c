//! `/health/live`: the process answers. `/health/ready`: it can do its work, the database answers and the disk takes writes.
//!
//! Only what this process itself can't do counts. A provider or mail server that is down, a pass of a worker that failed or was cut off
//! because something else hung: those meet every instance, and a load balancer would be left with none. They are told on `/about` and in
//! the log.

use crate::app::App;
use crate::web::routes::{Access, Routes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// How long may the checks take?
const LIMIT: Duration = Duration::from_secs(5);

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
        .get("/health/live", Access::Public, live)
        .get("/health/ready", Access::Public, ready)
}

/// `GET /health/live`: 200 as long as requests are answered.
pub async fn live() -> Response {
    answer(StatusCode::OK, &[])
}

/// `GET /health/ready`: 200, or 503 with what is wrong, in one word each.
pub async fn ready(State(app): State<App>) -> Response {
    let wrong = failing(&app).await;
    let status = if wrong.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer(status, &wrong)
}

/// What this process can't do, in one word each; none: it is ready.
pub(super) async fn failing(app: &App) -> Vec<&'static str> {
    let database = tokio::time::timeout(LIMIT, app.store.ping()).await;
    let disk = tokio::time::timeout(LIMIT, writes(app)).await;
    let mut wrong = Vec::new();
    if !matches!(database, Ok(Ok(()))) {
        wrong.push("database");
    }
    if !matches!(disk, Ok(true)) {
        wrong.push("disk");
    }
    if !app.workers.stuck().is_empty() {
        wrong.push("worker");
    }
    if app.stopping.is_cancelled() {
        wrong.push("stopping");
    }
    wrong
}

/// Whether the data directory takes a file, of its own for each who asks.
async fn writes(app: &App) -> bool {
    let path = app.config.data_dir.join(format!("ready-{}.check", app.new_id()));
    let written = tokio::fs::write(&path, b"ready\n").await.is_ok();
    tokio::fs::remove_file(&path).await.is_ok() && written
}

fn answer(status: StatusCode, wrong: &[&str]) -> Response {
    let word = if status == StatusCode::OK { "ok" } else { "unavailable" };
    let body = serde_json::json!({ "status": word, "failing": wrong });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
