//! Several providers, each with its own rules about sign-ins, on a clock that tests move; and a console with mailboxes at them.

pub use super::places::{Asked, Rotation, Rules, Trouble};
use super::places::{Family, Place, Places, answer, there};
use crate::support::databases::{NOW, impatient_console, new_postgres};
use crate::support::records;
use axum::Router;
use mailgrant::actions::access_token::{NewGrant, store_first_grant};
use mailgrant::actions::place;
use mailgrant::actions::providers::credential::{New, Terms, replace};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, SystemClock, Timestamp};
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{Provider, StoredSecret};
use mailgrant::model::token::{Grant, Identity, Token};
use mailgrant::model::{Date, Name, ProviderId, TokenId};
use mailgrant::oauth::TokenResponse;
use mailgrant::secret::{AccessToken, ClientSecret, RefreshToken};
use mailgrant::store::Tx;
use mailgrant::worker::refresher;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

/// The providers and the console.
pub struct World {
    pub app: App,
    pub clock: MockClock,
    pub dir: Arc<TempDir>,
    pub database: Option<String>,
    url: String,
    places: Places,
    task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    pub async fn new() -> Self {
        Self::on(None).await
    }

    /// One on each engine there is.
    pub async fn on_each() -> Vec<Self> {
        let mut worlds = vec![Self::on(None).await];
        match new_postgres().await {
            Some(url) => worlds.push(Self::on(Some(url)).await),
            None => eprintln!("PostgreSQL not tried: start with tests/run"),
        }
        worlds
    }

    pub async fn on(database: Option<String>) -> Self {
        // In memory, where there is room: a disk's own pace is not what is measured. A container has 64 MB there, which is not enough.
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let memory = mounts
            .lines()
            .any(|line| line.contains(" /dev/shm ") && !line.contains("size=65536k"));
        let dir = if memory { TempDir::new_in("/dev/shm") } else { TempDir::new() };
        // The clock of a database server is the present.
        let now = if database.is_some() { SystemClock.now() } else { NOW };
        let (dir, clock) = (Arc::new(dir.unwrap()), MockClock::at(now));
        let places: Places = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/{place}/token", axum::routing::post(answer))
            .with_state((Arc::clone(&places), clock.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let app = open(&dir, database.as_deref(), &clock).await;
        Self {
            app,
            clock,
            dir,
            database,
            url,
            places,
            task,
        }
    }

    /// Another process on the same data, so to speak.
    pub async fn another(&self) -> App {
        open(&self.dir, self.database.as_deref(), &self.clock).await
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.places.lock().unwrap()
    }

    fn place<T>(&self, name: &str, work: impl FnOnce(&mut Place) -> T) -> T {
        work(self.places().get_mut(name).unwrap())
    }

    /// Adds a provider and its app; the secret is its name.
    pub async fn provider(&self, name: &str, rules: Rules) -> Provider {
        self.places().insert(name.to_owned(), Place::new(name, rules));
        let mut provider = Provider {
            id: ProviderId(format!("id-of-{name}")),
            name: Name::parse(name).unwrap(),
            template: rules.template,
            consent_screen: rules.screen,
            client_id: "the-app".into(),
            ..records::provider_at(&format!("{}/{name}", self.url))
        };
        let destination = provider.destination();
        let sealed = self.app.vault.seal(&place::client_secret(&provider.id, 1, &destination), name);
        provider.client_secret = Some(StoredSecret {
            sealed,
            version: 1,
            set_at: NOW,
            set_by: "Maija".into(),
            hint: String::new(),
        });
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_provider(&provider).await.unwrap();
        tx.commit().await.unwrap();
        provider
    }

    /// Adds so many signed-in tokens of a provider; their first access tokens came just now.
    pub async fn tokens(&self, provider: &Provider, count: usize) -> Vec<Token> {
        let mut tx = self.app.store.begin().await.unwrap();
        let mut made = Vec::new();
        for number in 0..count {
            let name = format!("{}-{number}", provider.name);
            let token = Token {
                id: TokenId(format!("id-of-{name}")),
                provider_id: provider.id.clone(),
                provider: provider.name.clone(),
                user: Some(format!("{name}@contoso.test")),
                name: Name::parse(&name).unwrap(),
                scopes: vec!["mail.read".into()],
                ..records::token()
            };
            tx.insert_token(&token).await.unwrap();
            self.sign_in(&mut tx, provider, &token).await;
            made.push(token);
        }
        tx.commit().await.unwrap();
        made
    }

    /// Somebody signs in.
    pub async fn sign_in(&self, tx: &mut Tx, provider: &Provider, token: &Token) {
        let now = there(&self.clock);
        let (refresh, lifetime) = self.place(provider.name.as_str(), |place| {
            place.families.push(Family {
                signed_in: now,
                used: now,
                ended: None,
            });
            (place.issue(place.families.len() - 1), place.rules.lifetime)
        });
        let response = TokenResponse {
            access_token: AccessToken::new(format!("canary-first-of-{}", token.name)),
            token_type: "Bearer".into(),
            expires_in: lifetime,
            refresh_token: Some(RefreshToken::new(refresh)),
            scopes: Some(token.scopes.clone()),
            id_token: None,
            date: None,
        };
        let identity = Identity {
            sub: format!("sub-of-{}", token.name),
            username: token.user.clone(),
            ..Identity::default()
        };
        let new = NewGrant::SignedIn {
            response: &response,
            identity: &identity,
            by: "Maija",
        };
        store_first_grant(&self.app, tx, token, provider, new).await.unwrap();
    }

    pub fn trouble(&self, name: &str, trouble: Option<Trouble>) {
        self.place(name, |place| place.trouble = trouble);
    }

    /// The provider takes this secret and no other.
    pub fn takes(&self, name: &str, secret: &str) {
        self.place(name, |place| place.secret = secret.to_owned());
    }

    /// So many answers get lost after the provider has done its part.
    pub fn loses(&self, name: &str, answers: usize) {
        self.place(name, |place| place.loses = answers);
    }

    /// A person changes the password, which ends the sign-in.
    pub fn change_password(&self, name: &str, family: usize) {
        let now = there(&self.clock);
        self.place(name, |place| place.end(family, "the password changed", now));
    }

    /// Somebody puts another secret in; it ends on this day.
    pub async fn new_secret(&self, name: &str, secret: &str, ends: Option<Date>) {
        let provider = self.app.store.provider(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let terms = Terms {
            keep_until: None,
            even_untried: true,
        };
        let new = New::Secret(ClientSecret::new(secret), ends);
        replace(&self.app, &Actor::console(), &provider, new, terms).await.unwrap();
    }

    pub fn asked(&self, name: &str) -> Vec<Asked> {
        self.place(name, |place| place.asked.clone())
    }

    /// The most requests within any one second.
    pub fn most_a_second(&self, name: &str) -> usize {
        let all: Vec<Duration> = self.asked(name).iter().map(|asked| asked.at).collect();
        let mut last = 0;
        (0..all.len())
            .map(|first| {
                while last < all.len() && all[last] < all[first] + Duration::from_secs(1) {
                    last += 1;
                }
                last - first
            })
            .max()
            .unwrap_or(0)
    }

    /// Why and when, by the provider's clock, a sign-in has ended; none: it lives.
    pub fn ended(&self, name: &str, family: usize) -> Option<(&'static str, Timestamp)> {
        let now = there(&self.clock);
        self.place(name, |place| {
            place.lapse(family, now);
            place.families[family].ended
        })
    }

    /// What the time is at the providers.
    pub fn there(&self) -> Timestamp {
        there(&self.clock)
    }

    pub async fn grant(&self, token: &Token) -> Grant {
        self.app.store.grant(&token.id).await.unwrap().unwrap()
    }

    /// Rounds of the refresher, a quarter of a second apart, until nothing more may begin; answers with how many.
    pub async fn rounds(&self) -> usize {
        for round in 1..20_000 {
            let more = refresher::round(&self.app).await.unwrap();
            refresher::quiet(&self.app).await;
            if !more {
                return round;
            }
            self.clock.advance_millis(250);
        }
        panic!("it never ends");
    }

    /// Lets time pass, then the refresher work.
    pub async fn pass(&self, seconds: i64) -> usize {
        self.clock.advance(seconds);
        self.rounds().await
    }

    /// Every token is due now.
    pub async fn all_due(&self) {
        sqlx::query("UPDATE grants SET due_at = $1")
            .bind(self.clock.now().0)
            .execute(self.app.store.raw_pool())
            .await
            .unwrap();
    }

    /// Audit entries of this action: target and outcome.
    pub async fn audited(&self, action: &str) -> Vec<(String, String)> {
        let rows = self.app.store.audit_rows(100_000).await.unwrap();
        let rows = rows.into_iter().filter(|row| row.action == action);
        rows.map(|row| (row.target, row.outcome)).collect()
    }
}

async fn open(dir: &TempDir, database: Option<&str>, clock: &MockClock) -> App {
    impatient_console(&dir.path().join("data"), database, Arc::new(clock.clone()), Duration::from_secs(6)).await
}
