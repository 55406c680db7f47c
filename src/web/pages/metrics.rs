//! `/metrics`: what a Prometheus server reads. Closed unless the settings open it: on an address of its own (`metrics_listen`), or for
//! callers from networks that are named (`metrics_networks`). There are no names of people or mailboxes in it. It costs queries: one at a
//! time gathers it, and for a few seconds everybody gets the same.

use crate::actions::expiry::{Apps, Kind, expiring_together};
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::metrics::Exposition;
use crate::model::Date;
use crate::model::notices::Event;
use crate::store::StoreResult;
use crate::store::turns::Turn;
use crate::web::error::PageError;
use crate::web::routes::{Access, Routes};
use crate::web::{ClientAddress, WebState};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// How far ahead are dates told, in days? Ten years.
const FURTHEST: i64 = 3653;

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
    match app.gathered.text(|| app.clock.running(), text(&app)).await {
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The metrics could not be gathered within 10 seconds.\n",
        )
            .into_response(),
        Some(Ok(text)) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
        Some(Err(error)) => {
            tracing::warn!(%error, "The metrics could not be gathered: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.\n").into_response()
        }
    }
}

/// How many are due of something, and for how long the first of them has been.
fn queue(text: &mut Exposition, names: [&str; 2], help: &str, (due, first): (i64, Option<Timestamp>), now: Timestamp) {
    text.family(names[0], "gauge", help);
    text.sample(&[], due as f64);
    text.family(names[1], "gauge", "For how long the oldest of them has been due.");
    text.sample(&[], first.map_or(0, |first| now.since(first).max(0)) as f64);
}

/// Everything, in the exposition format.
async fn text(app: &App) -> StoreResult<String> {
    let now = app.clock.now();
    let zone = settings::zone(app).await?;
    let today = Date::of(now, &zone);
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
        "Days until the client secret or certificate of a provider ends; 0 or less once it has.",
    );
    let apps = Apps::read(app).await?;
    for provider in &apps.providers {
        if let Some(date) = provider.client_secret_expires {
            let labels = [("provider", provider.name.as_str()), ("kind", provider.proof_noun())];
            text.sample(&labels, date.days_after(today) as f64);
        }
    }
    text.family(
        "mailgrant_expiry_days",
        "gauge",
        "Days until the next thing of a kind ends at a provider, 1 also on its last day; 0 or less once it has ended. A service account key gets \
         too old then, and goes on working. The console's own certificate has no provider.",
    );
    // Tokens are named after people; their providers are not.
    let mut nearest: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    for one in &expiring_together(app, &apps, FURTHEST, &zone).await? {
        let provider = match (&one.provider, one.kind) {
            (Some(provider), _) => provider.as_str(),
            (None, Kind::ConsoleCertificate) => "",
            (None, _) => continue,
        };
        // What ends at a moment of today has not ended yet.
        let left = if one.ended { one.days } else { one.days.max(1) };
        let days = nearest.entry((provider.to_owned(), one.kind.as_str())).or_insert(left);
        *days = left.min(*days);
    }
    for ((provider, kind), days) in &nearest {
        text.sample(&[("provider", provider), ("kind", kind)], *days as f64);
    }
    let store = &app.store;
    queue(
        &mut text,
        ["mailgrant_renewals_due", "mailgrant_renewals_oldest_due_seconds"],
        "Tokens whose renewal is due and has not ended.",
        store.overdue_renewals(now).await?,
        now,
    );
    queue(
        &mut text,
        ["mailgrant_checks_due", "mailgrant_checks_oldest_due_seconds"],
        "Mailboxes whose check is due and has not ended.",
        store.overdue_turns(Turn::Check, now).await?,
        now,
    );
    queue(
        &mut text,
        ["mailgrant_round_trips_due", "mailgrant_round_trips_oldest_due_seconds"],
        "Mailboxes whose message to itself is due and has not ended.",
        store.overdue_turns(Turn::RoundTrip, now).await?,
        now,
    );
    queue(
        &mut text,
        ["mailgrant_deliveries_due", "mailgrant_deliveries_oldest_due_seconds"],
        "Notifications that are due and have not been sent.",
        store.overdue_deliveries(now).await?,
        now,
    );
    queue(
        &mut text,
        ["mailgrant_batch_items_due", "mailgrant_batch_items_oldest_due_seconds"],
        "Tests of bulk tests that are under way, not paused, that have not ended.",
        store.overdue_batch_items().await?,
        now,
    );
    text.family(
        "mailgrant_notification_mail_dead",
        "gauge",
        "Whether notifications can't be mailed by any way there is.",
    );
    let dead = store.dead_since(Event::MailDead).await?.is_some();
    text.sample(&[], if dead { 1.0 } else { 0.0 });
    text.family(
        "mailgrant_round_trip_troubles",
        "gauge",
        "Mailboxes whose last message to itself came late, never, or was not sent, by how it stands.",
    );
    let mut troubles: BTreeMap<&'static str, i64> = BTreeMap::new();
    for trouble in app.store.round_trip_troubles(now).await? {
        *troubles.entry(trouble.outcome.as_str()).or_default() += trouble.mailboxes;
    }
    for (outcome, count) in &troubles {
        text.sample(&[("outcome", outcome)], *count as f64);
    }
    text.family(
        "mailgrant_audit_chain_broken",
        "gauge",
        "Whether the last look through the audit log found its chain broken.",
    );
    let broken = app
        .store
        .audit_checked()
        .await?
        .is_some_and(|checked| checked.chain.broken.is_some());
    text.sample(&[], if broken { 1.0 } else { 0.0 });
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
    let names: Vec<&str> = apps.providers.iter().map(|provider| provider.name.as_str()).collect();
    app.counters.write(&mut text, &names);
    Ok(text.into_text())
}
