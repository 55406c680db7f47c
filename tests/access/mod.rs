//! Access tokens: what programs and tests get handed, and what becomes of the only refresh token when things go wrong.

mod alone;
mod disk;
mod failures;
mod handing;
pub mod kills;
mod overlap;
mod resources;
mod sharing;
pub mod simulator;
mod takeover;
mod unanswered;

use crate::support::databases::{NOW, impatient_console, new_postgres};
use crate::support::records;
use mailgrant::actions::access_token::{AccessError, Handed, NewGrant, access_token, store_first_grant};
use mailgrant::actions::place;
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::provider::{Provider, StoredSecret};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, Identity, Token};
use mailgrant::model::{Name, Sealed, TokenId};
use mailgrant::oauth::TokenResponse;
use mailgrant::random::{Random, SystemRandom};
use mailgrant::secret::{AccessToken, RefreshToken};
use simulator::{Rotation, Simulator};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const SECRET: &str = "canary-client-secret";

/// A database with one provider, and the provider itself.
pub struct House {
    pub app: App,
    pub clock: MockClock,
    pub sim: Simulator,
    provider: Provider,
    url: Option<String>,
    pub dir: Arc<TempDir>,
}

impl House {
    /// On SQLite, with a provider made from this template that rotates like this.
    async fn new(kind: TemplateKind, rotation: Rotation) -> Self {
        Self::on(None, kind, rotation).await
    }

    /// One on each engine there is.
    async fn on_each(kind: TemplateKind, rotation: Rotation) -> Vec<Self> {
        let mut houses = vec![Self::on(None, kind, rotation).await];
        match new_postgres().await {
            Some(url) => houses.push(Self::on(Some(url), kind, rotation).await),
            None => eprintln!("PostgreSQL not tried: start with tests/run"),
        }
        houses
    }

    pub async fn on(url: Option<String>, kind: TemplateKind, rotation: Rotation) -> Self {
        let sim = Simulator::start(rotation).await;
        let (clock, dir) = (MockClock::at(NOW), Arc::new(TempDir::new().unwrap()));
        let app = open(&dir, url.as_deref(), Arc::new(clock.clone())).await;
        let provider = provider(&app, kind, &sim.url);
        let mut tx = app.store.begin().await.unwrap();
        tx.insert_provider(&provider).await.unwrap();
        tx.commit().await.unwrap();
        Self {
            app,
            clock,
            sim,
            provider,
            url,
            dir,
        }
    }

    /// Another process on the same data, so to speak.
    async fn another(&self) -> App {
        open(&self.dir, self.url.as_deref(), Arc::new(self.clock.clone())).await
    }

    /// A token nobody has signed in for.
    async fn token(&self, name: &str) -> Token {
        let token = Token {
            id: TokenId(format!("id-of-{name}")),
            name: Name::parse(name).unwrap(),
            user: Some(format!("{name}@contoso.test")),
            scopes: vec!["mail.read".into(), "mail.send".into()],
            ..records::token()
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_token(&token).await.unwrap();
        tx.commit().await.unwrap();
        token
    }

    /// A token somebody signed in for just now; its access token lives an hour.
    pub async fn signed_in(&self, name: &str) -> Token {
        let token = self.token(name).await;
        self.sign_in(&token).await;
        token
    }

    async fn sign_in(&self, token: &Token) {
        let response = TokenResponse {
            access_token: AccessToken::new(format!("canary-first-at-{}", token.name)),
            token_type: "Bearer".into(),
            expires_in: 3600,
            refresh_token: Some(RefreshToken::new(self.sim.sign_in())),
            scopes: Some(token.scopes.clone()),
            id_token: None,
            date: None,
        };
        self.store(token, &response).await;
    }

    async fn store(&self, token: &Token, response: &TokenResponse) {
        let identity = Identity {
            sub: format!("sub-of-{}", token.name),
            username: token.user.clone(),
            ..Identity::default()
        };
        let new = NewGrant::SignedIn {
            response,
            identity: &identity,
            by: "Maija",
        };
        let mut tx = self.app.store.begin().await.unwrap();
        store_first_grant(&self.app, &mut tx, token, &self.provider, new).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A refresh token of another program, brought along.
    async fn imported(&self, name: &str) -> Token {
        let token = self.token(name).await;
        let refresh_token = RefreshToken::new(self.sim.sign_in());
        let new = NewGrant::Imported {
            refresh_token: &refresh_token,
            by: "Maija",
        };
        let mut tx = self.app.store.begin().await.unwrap();
        store_first_grant(&self.app, &mut tx, &token, &self.provider, new).await.unwrap();
        tx.commit().await.unwrap();
        token
    }

    async fn get(&self, token: &Token) -> Result<Handed, AccessError> {
        access_token(&self.app, token, None).await
    }

    pub async fn grant(&self, token: &Token) -> Grant {
        self.app.store.grant(&token.id).await.unwrap().unwrap()
    }

    /// The current refresh token, opened.
    pub async fn refresh_token(&self, token: &Token) -> String {
        let grant = self.grant(token).await;
        let (sealed, version) = grant.rt_current.as_ref().unwrap();
        let place = place::refresh_token(&token.id, *version, &grant.destination);
        self.app.vault.open(&place, sealed).unwrap().to_string()
    }

    /// Writes a grant as it is, whatever stands there.
    async fn put(&self, grant: &Grant) {
        let mut tx = self.app.store.begin().await.unwrap();
        tx.replace_grant(grant).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A process claimed the grant, sent the request and died: so the row and its lock file look afterwards.
    async fn abandon(&self, token: &Token) {
        let now = self.app.clock.now();
        let owner = "some-host/pid/boot/1/1/dead0123";
        let leases = self.dir.path().join("data/leases");
        std::fs::create_dir_all(&leases).unwrap();
        std::fs::write(leases.join("dead0123"), "").unwrap();
        let generation = self.grant(token).await.generation;
        let claim = self
            .app
            .store
            .claim_grant(&token.id, generation, owner, None, "attempt-of-the-dead", now, now.plus(60));
        assert!(claim.await.unwrap());
    }

    /// Audit entries of this action, oldest first: target and detail.
    async fn audited(&self, action: &str) -> Vec<(String, String)> {
        let mut rows = self.app.store.audit_rows(1000).await.unwrap();
        rows.reverse();
        let rows = rows.into_iter().filter(|row| row.action == action);
        rows.map(|row| (row.target, row.detail)).collect()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

async fn open(dir: &TempDir, url: Option<&str>, clock: Arc<dyn Clock>) -> App {
    open_at(&dir.path().join("data"), url, clock).await
}

async fn open_at(data: &Path, url: Option<&str>, clock: Arc<dyn Clock>) -> App {
    impatient_console(data, url, clock, Duration::from_millis(1500)).await
}

fn provider(app: &App, kind: TemplateKind, url: &str) -> Provider {
    let mut provider = Provider {
        template: kind,
        client_id: "the-app".into(),
        ..records::provider_at(url)
    };
    let destination = provider.destination();
    let sealed = app.vault.seal(&place::client_secret(&provider.id, 1, &destination), SECRET);
    provider.client_secret = Some(StoredSecret {
        sealed,
        version: 1,
        set_at: NOW,
        set_by: "Maija".into(),
        hint: String::new(),
    });
    provider
}

/// The sealed values of a grant, as they lie in the row.
fn sealed(grant: &Grant) -> Vec<Option<(Sealed, i64)>> {
    vec![grant.rt_current.clone(), grant.rt_previous.clone(), grant.access_token.clone()]
}

fn random_id() -> String {
    (&SystemRandom as &dyn Random).id()
}

/// Waits until it holds; the rest of the test would make no sense without.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within ten seconds: {what}");
}
