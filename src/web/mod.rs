//! The console: every route in one list, then the layers every request goes through.
//!
//! From outside in: request id and log span, security headers, the page of an error, panics, the 30-second limit, the session, and
//! the gate ([`csrf`]), which finds out who is asking and lets no form pass that a page of ours did not send. Each route then has
//! its own check ([`routes`]).
//!
//! # A section's pages
//!
//! A file in [`pages`] has `pub fn routes() -> Routes`, handlers, forms and page structs. A form page fills itself again when its
//! sender's session ended meanwhile (`ux.md` 8.7):
//!
//! ```ignore
//! pub async fn new(user: CurrentUser) -> Result<Response, PageError> {
//!     let form = match user.take_draft("/providers/new").await {      // the path the form posts to
//!         Some(fields) => form::refill(&fields).await.unwrap_or_default(),
//!         None => ProviderForm::default(),
//!     };
//!     let layout = user.layout(Section::Providers, "Add provider").await.crumb("Providers", "/providers");
//!     NewPage { layout, form, errors: FieldErrors::default() }.show()
//! }
//! ```
//!
//! The frame then says "Nothing is saved yet" by itself.

pub mod assets;
pub mod back;
mod body;
pub mod csrf;
pub mod draft;
pub mod error;
pub mod flash;
pub mod form;
pub mod guard;
pub mod headers;
mod kept;
pub mod page;
pub mod pages;
pub mod progress;
pub mod request;
pub mod routes;
pub mod server;
pub mod session;
pub mod shares;
mod standing;
pub mod time;
pub mod upload;
mod visit;

use crate::app::App;
use crate::auth::password::Passwords;
use crate::sandbox::Sandbox;
use crate::store::sessions::Sessions;
use crate::store::{Engine, StoreResult};
use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use page::CountsCache;
pub use request::{ClientAddress, Peer, RequestId};
use routes::Routes;
use session::CookieNames;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use time::Zone;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use url::Url;

/// What the pages share. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    /// The application.
    pub app: App,
    /// Hashes passwords, two at once.
    pub passwords: Passwords,
    /// Names of the cookies.
    pub cookies: CookieNames,
    /// The server's time zone; see [`Self::default_zone`].
    pub zone: Zone,
    /// The sandbox of the demo.
    pub sandbox: Option<Sandbox>,
    pub(crate) csrf_key: hmac::Key,
    pub(crate) lists: Arc<pages::mailboxes::list::ListCache>,
    /// Imports that are being applied.
    pub(crate) imports: Arc<crate::actions::transfer::Running>,
    /// Forms that are arriving.
    pub(crate) arriving: body::Arriving,
    /// Room for error texts that are being explained: two at once.
    pub(crate) explaining: Arc<tokio::sync::Semaphore>,
    /// What the health page found when somebody last asked.
    pub(crate) last_checks: Arc<pages::about::LastChecks>,
    /// What the pages of settings counted when somebody last asked.
    pub(crate) counted: pages::settings::Counted,
    /// Bulk tests that somebody watches.
    pub(crate) batches: Arc<pages::batches::Watched>,
    counts: Arc<CountsCache>,
    base_url: Arc<RwLock<Url>>,
    /// Whether somebody chose the public address; else it is a guess from the listen address.
    address_chosen: Arc<AtomicBool>,
}

impl WebState {
    /// Reads what the pages need before the first request.
    pub async fn new(app: App) -> StoreResult<Self> {
        crate::actions::settings::take_over(&app).await?;
        let base_url = crate::actions::settings::base_url(&app).await?;
        let address_chosen = crate::actions::settings::base_url_is_chosen(&app).await?;
        Ok(Self {
            passwords: Passwords::new(Arc::clone(&app.random)),
            cookies: CookieNames::new(base_url.scheme() == "https"),
            zone: Zone::system(),
            sandbox: None,
            csrf_key: app.vault.derived("csrf"),
            lists: Arc::default(),
            imports: Arc::default(),
            arriving: body::Arriving::default(),
            explaining: Arc::new(tokio::sync::Semaphore::new(2)),
            last_checks: Arc::default(),
            counted: pages::settings::Counted::default(),
            batches: Arc::default(),
            counts: Arc::default(),
            base_url: Arc::new(RwLock::new(base_url)),
            address_chosen: Arc::new(AtomicBool::new(address_chosen)),
            app,
        })
    }

    /// The public address: from outside, else from setup, else by the listen address. Requests have no influence on it.
    pub fn base_url(&self) -> Url {
        match self.base_url.read() {
            Ok(url) => url.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// The time zone of people who chose none: as the settings say, else the server's.
    pub fn default_zone(&self) -> Zone {
        Zone::named(&self.app.settings.time_zone()).unwrap_or_else(|| self.zone.clone())
    }

    /// An address below the public one: `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url().as_str().trim_end_matches('/'))
    }

    /// Whether somebody chose the public address.
    pub(crate) fn address_is_chosen(&self) -> bool {
        self.address_chosen.load(Ordering::Relaxed)
    }

    /// Whether the console has to be started again: the address changed between http and https, and cookies are named at the start.
    pub(crate) fn must_restart(&self) -> bool {
        self.cookies.secure != (self.base_url().scheme() == "https")
    }

    /// Takes over what another instance changed of the public address. One console alone knows its own changes.
    pub(crate) async fn follow(&self) {
        if self.app.store.engine() != Engine::Postgres || self.app.config.base_url_set {
            return;
        }
        // Where the database doesn't answer, the address stays as it was; the request finds that out by itself.
        if let Ok(Some(url)) = crate::actions::settings::stored_base_url(&self.app).await
            && (!self.address_is_chosen() || url != self.base_url())
        {
            self.set_base_url(url);
        }
    }

    /// Takes over a changed public address.
    pub(crate) fn set_base_url(&self, url: Url) {
        self.address_chosen.store(true, Ordering::Relaxed);
        match self.base_url.write() {
            Ok(mut slot) => *slot = url,
            Err(poisoned) => *poisoned.into_inner() = url,
        }
    }
}

impl FromRef<WebState> for App {
    fn from_ref(web: &WebState) -> Self {
        web.app.clone()
    }
}

/// Every route.
pub fn all() -> Routes {
    use pages as p;
    Routes::new()
        .merge(p::health::routes())
        .merge(p::metrics::routes())
        .merge(p::about::routes())
        .merge(p::setup::routes())
        .merge(p::login::routes())
        .merge(p::me::routes())
        .merge(p::providers::routes())
        .merge(p::overview::routes())
        .merge(p::expiry::routes())
        .merge(p::findings::routes())
        .merge(p::mailboxes::routes())
        .merge(p::tests::routes())
        .merge(p::batches::routes())
        .merge(p::bundle::routes())
        .merge(p::explain::routes())
        .merge(p::search::routes())
        .merge(p::tokens::routes())
        .merge(p::authorize::routes())
        .merge(p::links::routes())
        .merge(p::consent::routes())
        .merge(p::secret_links::routes())
        .merge(p::walkthroughs::routes())
        .merge(p::log::routes())
        .merge(p::audit::routes())
        .merge(p::transfer::routes())
        .merge(p::settings::routes())
        .merge(p::notifications::routes())
        .merge(p::files::routes())
}

/// Every route of this console: the demo has one more.
pub fn routes_of(web: &WebState) -> Routes {
    match web.sandbox {
        Some(_) => all().merge(pages::demo::routes()),
        None => all(),
    }
}

/// The console as a service.
pub fn router(web: WebState) -> Router {
    router_of(routes_of(&web), web)
}

/// The same layers around other routes: tests add one that panics.
pub fn router_of(routes: Routes, web: WebState) -> Router {
    let sessions = Sessions::new(web.app.store.clone(), Arc::clone(&web.app.clock), Arc::clone(&web.app.random));
    // Pages are not compressed: they hold a token beside text from outside (BREACH).
    let compress = SizeAbove::new(1024)
        .and(NotForContentType::const_new("text/html"))
        .and(NotForContentType::const_new("text/event-stream"))
        .and(NotForContentType::const_new("font/"));
    routes
        .into_router()
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn_with_state(web.clone(), csrf::gate))
        .layer(session::layer(sessions, web.cookies))
        .layer(from_fn(request::limit_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(error::render))
        .layer(CompressionLayer::new().compress_when(compress))
        .layer(from_fn_with_state(web.clone(), headers::add))
        .layer(from_fn_with_state(web.clone(), request::begin))
        .with_state(web)
}
