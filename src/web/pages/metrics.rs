//! `/metrics`: what a Prometheus server reads. Closed unless the settings open it: on an address of its own (`metrics_listen`), or for
//! callers from networks that are named (`metrics_networks`). There are no names of people or mailboxes in it.

use crate::app::App;
use crate::metrics::Exposition;
use crate::store::StoreResult;
use crate::web::error::PageError;
use crate::web::routes::{Access, Routes};
use crate::web::{ClientAddress, WebState};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use ipnet::IpNet;

/// The route on the console's own address.
pub fn routes() -> Routes {
    Routes::new().get("/metrics", Access::Public, show)
}

/// What `metrics_listen` serves: this page and nothing else.
pub fn alone(app: App) -> Router {
    Router::new().route("/metrics", get(serve)).with_state(app)
}

/// `GET /metrics`: for others than those named there is no such page.
pub async fn show(State(web): State<WebState>, client: Option<Extension<ClientAddress>>) -> Result<Response, PageError> {
    let config = &web.app.config;
    // A proxy that does not say for whom it asks is nobody: else its own address would open this to everybody behind it.
    let allowed = client.is_some_and(|Extension(client)| {
        let within = |networks: &[IpNet]| networks.iter().any(|net| net.contains(&client.0));
        within(&config.metrics_networks) && !within(&config.trusted_proxies)
    });
    if !allowed {
        return Err(PageError::NotFound);
    }
    Ok(serve(State(web.app)).await)
}

async fn serve(State(app): State<App>) -> Response {
    match text(&app).await {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "The metrics could not be gathered: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.\n").into_response()
        }
    }
}

/// Everything, in the exposition format.
async fn text(app: &App) -> StoreResult<String> {
    let now = app.clock.now();
    let mut text = Exposition::default();
    text.family("mailgrant_build_info", "gauge", "The version that runs.");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.family("mailgrant_mailboxes", "gauge", "Mailboxes by state.");
    for (state, count) in app.store.mailbox_states().await? {
        text.sample(&[("state", state.as_str())], count as f64);
    }
    text.family("mailgrant_tokens", "gauge", "Tokens by provider and stored state.");
    for tokens in app.store.token_counts().await? {
        text.sample(&[("provider", &tokens.provider), ("state", &tokens.state)], tokens.count as f64);
    }
    text.family(
        "mailgrant_credential_expires_days",
        "gauge",
        "Days until the client secret or certificate of a provider ends; negative once it has.",
    );
    for provider in app.store.providers().await? {
        if let Some(date) = provider.client_secret_expires {
            let labels = [("provider", provider.name.as_str()), ("kind", provider.proof_noun())];
            text.sample(&labels, date.days_from(now) as f64);
        }
    }
    let (due, first) = app.store.overdue_checks(now).await?;
    text.family("mailgrant_checks_due", "gauge", "Mailboxes whose check is due and has not ended.");
    text.sample(&[], due as f64);
    text.family(
        "mailgrant_checks_oldest_due_seconds",
        "gauge",
        "For how long the oldest of them has been due.",
    );
    text.sample(&[], first.map_or(0, |first| now.since(first).max(0)) as f64);
    text.family(
        "mailgrant_tests_running",
        "gauge",
        "Tests that people started and that go on in this process.",
    );
    text.sample(&[], app.probes.count() as f64);
    text.family("mailgrant_instances", "gauge", "Processes that serve this database.");
    text.sample(&[], app.store.instances().await?.len() as f64);
    text.family(
        "mailgrant_worker_last_pass_seconds",
        "gauge",
        "How long ago the last pass of a worker of this process ended.",
    );
    let passes = app.workers.passes();
    for (worker, pass) in &passes {
        text.sample(&[("worker", worker)], now.since(pass.ended_at).max(0) as f64);
    }
    text.family(
        "mailgrant_worker_failed",
        "gauge",
        "Whether the last pass of a worker of this process failed.",
    );
    for (worker, pass) in &passes {
        text.sample(&[("worker", worker)], if pass.problem.is_some() { 1.0 } else { 0.0 });
    }
    app.counters.write(&mut text);
    Ok(text.into_text())
}
