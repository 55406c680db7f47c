//! The whole console in process: temporary data directory, frozen clock, seeded randomness, the gate open to loopback, three people
//! with a session each, and [`Browser`]s with a cookie jar that go through the real router.

use super::databases::{NOW, config};
pub use super::page::Page;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mailgrant::app::App;
use mailgrant::clock::MockClock;
use mailgrant::model::UserId;
use mailgrant::model::user::{Role, Theme, User};
use mailgrant::random::SeededRandom;
use mailgrant::sandbox::Sandbox;
use mailgrant::store::sessions::Sessions;
use mailgrant::web::{Peer, WebState, router};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

/// What the three people sign in with.
pub const PASSWORD: &str = "correct horse battery staple";
/// [`PASSWORD`], hashed cheaply: the first sign-in makes it dear.
const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$";

/// A console for one test.
pub struct TestApp {
    pub app: App,
    pub web: WebState,
    pub clock: MockClock,
    pub router: Router,
    sessions: BTreeMap<&'static str, String>,
    directory: Arc<TempDir>,
    settings: Vec<(String, String)>,
}

impl TestApp {
    /// With an admin (Maija Korhonen), an operator (Ossi Lahti) and a viewer (Vera Salo) @contoso.test.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings, as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut t = Self::fresh_with(settings).await;
        for (role, name) in [
            (Role::Admin, "Maija Korhonen"),
            (Role::Operator, "Ossi Lahti"),
            (Role::Viewer, "Vera Salo"),
        ] {
            let session = t.add_user(role, name).await;
            t.sessions.insert(role.as_str(), session);
        }
        t
    }

    /// A console at its very first start: nobody has an account.
    pub async fn fresh() -> Self {
        Self::fresh_with(&[]).await
    }

    /// The same with settings.
    pub async fn fresh_with(settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Self::open(Arc::new(TempDir::new().unwrap()), settings, MockClock::at(NOW), 1).await
    }

    async fn open(directory: Arc<TempDir>, settings: Vec<(String, String)>, clock: MockClock, seed: u64) -> Self {
        let mut all = vec![("MAILGRANT_ALLOW_NETWORKS", "loopback")];
        all.extend(settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let config = config(&directory.path().join("data"), &all);
        let app = App::open(config, Arc::new(clock.clone()), Arc::new(SeededRandom::new(seed)))
            .await
            .unwrap();
        let mut web = WebState::new(app.clone()).await.unwrap();
        web.zone = mailgrant::web::time::Zone::utc();
        Self {
            router: router(web.clone()),
            web,
            app,
            clock,
            sessions: BTreeMap::new(),
            directory,
            settings,
        }
    }

    /// As `mailgrant demo` runs it: with this sandbox beside it.
    pub fn attach(&mut self, sandbox: Sandbox) {
        self.web.sandbox = Some(sandbox);
        self.router = router(self.web.clone());
    }

    /// The same data directory in a new process, so to speak.
    pub async fn restart(self) -> Self {
        self.app.store.close().await;
        let seed = u64::from(self.app.random.id().as_bytes()[0]) + 2;
        let mut t = Self::open(Arc::clone(&self.directory), self.settings.clone(), self.clock.clone(), seed).await;
        t.sessions = self.sessions;
        t
    }

    /// An account with a session; returns the session's id.
    pub async fn add_user(&self, role: Role, name: &str) -> String {
        let hash = argon2::PasswordHasher::hash_password_with_salt(
            &argon2::Argon2::new(
                argon2::Algorithm::Argon2id,
                argon2::Version::V0x13,
                argon2::Params::new(8, 1, 1, None).unwrap(),
            ),
            PASSWORD.as_bytes(),
            b"0123456789abcdef",
        );
        let hash: argon2::password_hash::phc::PasswordHash = hash.unwrap();
        assert!(hash.to_string().starts_with(HASH));
        let user = User {
            id: UserId(self.app.new_id()),
            email: format!("{}@contoso.test", name.to_lowercase().replace(' ', ".")),
            name: name.to_owned(),
            role,
            password_hash: hash.to_string(),
            disabled: false,
            theme: Theme::System,
            time_zone: String::new(),
            created_at: self.app.clock.now(),
            last_seen_at: None,
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_user(&user).await.unwrap();
        tx.commit().await.unwrap();
        self.session_for(&user.id).await
    }

    /// A new session of somebody, as signing in makes one.
    pub async fn session_for(&self, user: &UserId) -> String {
        let store = Sessions::new(self.app.store.clone(), Arc::clone(&self.app.clock), Arc::clone(&self.app.random));
        let mut record = Record {
            id: Id(0),
            data: [("user".to_owned(), user.as_str().into())].into(),
            expiry_date: time::OffsetDateTime::UNIX_EPOCH,
        };
        store.create(&mut record).await.unwrap();
        record.id.to_string()
    }

    /// A browser with the admin's session.
    pub fn admin(&self) -> Browser {
        self.signed_in("admin")
    }

    /// A browser with the operator's session.
    pub fn operator(&self) -> Browser {
        self.signed_in("operator")
    }

    /// A browser with the viewer's session.
    pub fn viewer(&self) -> Browser {
        self.signed_in("viewer")
    }

    /// By the role's word.
    pub fn signed_in(&self, role: &str) -> Browser {
        self.browser_with(&self.sessions[role])
    }

    /// A browser with the session of this id.
    pub fn browser_with(&self, session: &str) -> Browser {
        let mut browser = self.anonymous();
        browser.cookies.insert(self.web.cookies.session.to_owned(), session.to_owned());
        browser
    }

    /// A browser that was never here.
    pub fn anonymous(&self) -> Browser {
        Browser::at(self.router.clone(), &self.web.base_url())
    }

    /// Numbers of rows the text of SQL statements counts; for looking at the database from outside.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.app.store.raw_pool()).await.unwrap()
    }

    /// The data directory.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }
}

/// Cookies, the last token seen in a form, and where it came from.
#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
    pub csrf: Option<String>,
    at: Option<String>,
    /// Sent with every POST; `sec-fetch-site: same-origin` to begin with.
    pub headers: Vec<(String, String)>,
    pub host: String,
    pub origin: String,
    pub peer: SocketAddr,
}

impl Browser {
    /// One that was never at this address before.
    pub fn at(router: Router, base_url: &url::Url) -> Self {
        Self {
            router,
            cookies: BTreeMap::new(),
            csrf: None,
            at: None,
            headers: vec![("sec-fetch-site".into(), "same-origin".into())],
            host: base_url.authority().to_owned(),
            origin: base_url.origin().ascii_serialization(),
            peer: "127.0.0.1:40000".parse().unwrap(),
        }
    }

    /// Goes to another service from now on.
    pub fn set_router(&mut self, router: Router) {
        self.router = router;
    }

    /// Asks for a page; follows no redirect.
    pub async fn get(&mut self, path: impl AsRef<str>) -> Page {
        let page = self.send(Method::GET, path.as_ref(), &[], Body::empty()).await;
        if page.status == StatusCode::OK {
            self.at = Some(path.as_ref().to_owned());
        }
        page
    }

    /// Asks for a page and follows redirects within the console.
    pub async fn visit(&mut self, path: impl AsRef<str>) -> Page {
        let page = self.get(path).await;
        self.follow(page).await
    }

    /// Where an answer leads.
    pub async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..5 {
            match page.location() {
                Some(location) if page.status.is_redirection() && location.starts_with('/') => page = self.get(&location).await,
                _ => break,
            }
        }
        page
    }

    /// Sends a form with the token of the last page; without one a page is asked for first. Follows no redirect.
    pub async fn post(&mut self, path: impl AsRef<str>, fields: &[(&str, &str)]) -> Page {
        if self.csrf.is_none() {
            let known = if self.cookies.keys().any(|name| name.ends_with("session")) {
                "/me"
            } else {
                "/login"
            };
            self.visit(known).await;
        }
        let token = self.csrf.clone().unwrap_or_default();
        let mut all = vec![("csrf_token", token.as_str())];
        all.extend_from_slice(fields);
        self.post_raw(path, &all).await
    }

    /// Sends a form and follows.
    pub async fn submit(&mut self, path: impl AsRef<str>, fields: &[(&str, &str)]) -> Page {
        let page = self.post(path, fields).await;
        self.follow(page).await
    }

    /// Sends exactly these fields.
    pub async fn post_raw(&mut self, path: impl AsRef<str>, fields: &[(&str, &str)]) -> Page {
        let body = serde_urlencoded::to_string(fields).unwrap();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, path.as_ref(), &headers, Body::from(body)).await
    }

    /// Sends anything.
    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Page {
        let mut request = Request::builder().method(method.clone()).uri(path).header(header::HOST, &self.host);
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if method == Method::POST {
            for (name, value) in &self.headers {
                request = request.header(name.as_str(), value.as_str());
            }
        }
        if let Some(at) = &self.at {
            request = request.header(header::REFERER, format!("{}{at}", self.origin));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Peer(self.peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() || cookie.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let body = body.collect().await.unwrap().to_bytes();
        let page = Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        if let Some(token) = page.attribute("input[name=csrf_token]", "value") {
            self.csrf = Some(token);
        }
        page
    }
}
