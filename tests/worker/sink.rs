//! Where notices go in tests: a webhook that counts and remembers, and a console that is told whom to tell.

use crate::support::databases::{NOW, console, new_postgres};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use mailgrant::actions::notices::channels::{self, ChannelsInput};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::audit::Actor;
use mailgrant::model::notices::{Channel, Event};
use mailgrant::worker::{deliveries, instances, notices};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// What a webhook got.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it was posted: path and query.
    pub at: String,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub fn subject(&self) -> String {
        self.json()["data"]["subject"].as_str().unwrap().to_owned()
    }
}

/// A receiver of webhooks.
#[derive(Clone)]
pub struct Hook {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    /// What it answers: status and text.
    answer: Arc<Mutex<(u16, String)>>,
}

impl Hook {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = Self {
            url: format!("http://{}/hooks/canary-path-of-the-webhook", listener.local_addr().unwrap()),
            calls: Arc::default(),
            answer: Arc::new(Mutex::new((204, String::new()))),
        };
        let router = Router::new().fallback(take).with_state(hook.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        hook
    }

    /// What came since the last time somebody asked.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    pub fn answers(&self, status: u16, text: &str) {
        *self.answer.lock().unwrap() = (status, text.to_owned());
    }
}

async fn take(State(hook): State<Hook>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    hook.calls.lock().unwrap().push(Call {
        at: uri.to_string(),
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let (status, text) = hook.answer.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap(), text)
}

/// A console with a clock that is moved by hand.
pub struct House {
    pub app: App,
    pub clock: MockClock,
    pub dir: Arc<TempDir>,
    pub url: Option<String>,
}

impl House {
    pub async fn new() -> Self {
        Self::on(None).await
    }

    pub async fn on(url: Option<String>) -> Self {
        let (dir, clock) = (Arc::new(TempDir::new().unwrap()), MockClock::at(NOW));
        let app = console(&dir.path().join("data"), url.as_deref(), Arc::new(clock.clone())).await;
        instances::tick(&app).await.unwrap();
        Self { app, clock, dir, url }
    }

    /// One on each engine there is.
    pub async fn on_each() -> Vec<Self> {
        let mut houses = vec![Self::new().await];
        match new_postgres().await {
            Some(url) => houses.push(Self::on(Some(url)).await),
            None => eprintln!("PostgreSQL not tried: start with tests/run"),
        }
        houses
    }

    /// Another process on the same data, so to speak.
    pub async fn another(&self) -> App {
        let app = console(&self.dir.path().join("data"), self.url.as_deref(), Arc::new(self.clock.clone())).await;
        instances::tick(&app).await.unwrap();
        app
    }

    /// Lets time pass, then the workers make one pass.
    pub async fn after(&self, seconds: i64) {
        self.clock.advance(seconds);
        looked_and_sent(&self.app).await;
    }

    /// Everything there is to tell, to this webhook.
    pub async fn hook(&self) -> Hook {
        self.quiet_hook("", "").await
    }

    /// The same, but for these hours.
    pub async fn quiet_hook(&self, from: &str, until: &str) -> Hook {
        let hook = Hook::start().await;
        let input = ChannelsInput {
            webhook: hook.url.clone(),
            quiet_from: from.into(),
            quiet_until: until.into(),
            ..all()
        };
        save(&self.app, &input).await;
        hook
    }

    /// Does this to rows.
    pub async fn sql(&self, statement: impl Into<String>) {
        sqlx::query(sqlx::AssertSqlSafe(statement.into()))
            .execute(self.app.store.raw_pool())
            .await
            .unwrap();
    }

    /// The states of deliveries, oldest first: channel and state.
    pub async fn states(&self) -> Vec<(String, String)> {
        let mut all = self.app.store.deliveries(None, None, 1000).await.unwrap();
        all.reverse();
        all.iter()
            .map(|one| (one.channel.as_str().to_owned(), one.state.as_str().to_owned()))
            .collect()
    }

    pub fn now(&self) -> i64 {
        self.clock.now().0
    }
}

/// Lets an instance send what is due.
pub async fn sent(app: &App) {
    for channel in Channel::ALL.iter().copied() {
        deliveries::tick(app, channel).await.unwrap();
    }
}

/// Lets an instance look what there is to tell, and send it.
pub async fn looked_and_sent(app: &App) {
    notices::tick(app).await.unwrap();
    sent(app).await;
}

/// Every event, nothing else.
pub fn all() -> ChannelsInput {
    let words: Vec<String> = Event::CHOSEN.iter().map(|event| event.as_str().to_owned()).collect();
    ChannelsInput {
        mail_events: words.clone(),
        webhook_events: words,
        zone: "UTC".into(),
        failing_after: "2".into(),
        ..ChannelsInput::default()
    }
}

/// Saves whom to tell; the secret of the webhook where one was made.
pub async fn save(app: &App, input: &ChannelsInput) -> Option<String> {
    let version = app.store.notice_channels().await.unwrap().version;
    let input = ChannelsInput {
        version,
        recipients: input.recipients.clone(),
        mailbox: input.mailbox.clone(),
        host: input.host.clone(),
        port: input.port.clone(),
        security: input.security.clone(),
        user: input.user.clone(),
        from: input.from.clone(),
        password: input.password.clone(),
        webhook: input.webhook.clone(),
        secret: input.secret.clone(),
        new_secret: input.new_secret,
        turn_on: input.turn_on,
        mail_events: input.mail_events.clone(),
        webhook_events: input.webhook_events.clone(),
        quiet_from: input.quiet_from.clone(),
        quiet_until: input.quiet_until.clone(),
        zone: input.zone.clone(),
        failing_after: input.failing_after.clone(),
    };
    let saved = channels::save(app, &Actor::console(), &input).await;
    saved.unwrap().map(|secret| secret.as_str().to_owned())
}
