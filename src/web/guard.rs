//! Who is asking, and whether they may: [`Visit`] is what is known of a request, [`CurrentUser`] the person behind it. Rights are
//! read from the database at each request (ROLE-4).

use super::error::{PageError, ask, who_can};
use super::page::{Flash, Layout, Section};
use super::routes::Access;
use super::{WebState, draft};
use crate::actions::sign_in;
use crate::model::audit::{Actor, SESSION_LENGTH};
use crate::model::user::{Permission, Role, User};
use crate::store::sessions::SessionRow;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tower_sessions::Session;

/// Most names a refusal gives.
const NAMES: i64 = 3;

/// What is known of a request. Cheap to clone; all clones share the answer's cookies.
#[derive(Clone)]
pub struct Visit {
    pub(super) web: WebState,
    pub(super) session: Session,
    pub(super) signed_in: Option<Arc<SignedIn>>,
    /// The same as the answer's `x-request-id`.
    pub request_id: String,
    /// The client's address, behind trusted proxies the one they name.
    pub address: String,
    /// The token for this visitor's forms.
    pub csrf: String,
    /// Value of the visitor cookie; empty while somebody is signed in.
    pub(super) visitor: String,
    /// The host the browser used, for the note that it is not the console's own.
    pub(super) host: String,
    pub(super) headers: Arc<HeaderMap>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cookies: Mutex<Vec<HeaderValue>>,
    form_kept: AtomicBool,
}

/// A person and their session.
pub(super) struct SignedIn {
    pub user: User,
    pub session: SessionRow,
}

impl Visit {
    #[allow(clippy::too_many_arguments, reason = "made in one place")]
    pub(super) fn new(
        web: WebState,
        session: Session,
        signed_in: Option<SignedIn>,
        request_id: String,
        address: String,
        csrf: String,
        host: String,
        headers: HeaderMap,
    ) -> Self {
        Self {
            web,
            session,
            signed_in: signed_in.map(Arc::new),
            request_id,
            address,
            csrf,
            visitor: String::new(),
            host,
            headers: Arc::new(headers),
            shared: Arc::default(),
        }
    }

    /// Adds a `Set-Cookie` to whatever this request is answered with.
    pub fn set_cookie(&self, cookie: &str) {
        if let (Ok(value), Ok(mut cookies)) = (HeaderValue::from_str(cookie), self.shared.cookies.lock()) {
            cookies.push(value);
        }
    }

    pub(super) fn take_cookies(&self) -> Vec<HeaderValue> {
        self.shared
            .cookies
            .lock()
            .map(|mut cookies| std::mem::take(&mut *cookies))
            .unwrap_or_default()
    }

    /// The value of a cookie that came with the request.
    pub fn cookie(&self, name: &str) -> Option<String> {
        cookie(&self.headers, name)
    }

    /// Names of the cookies that came with the request and begin like this.
    pub fn cookie_names(&self, prefix: &str) -> Vec<String> {
        let all = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let names = all
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        names
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    /// SHA-256 of the session's id, which is what the database knows it by; none without a session.
    pub fn session_hash(&self) -> Option<&str> {
        self.signed_in.as_ref().map(|signed_in| signed_in.session.id_hash.as_str())
    }

    /// Who is signed in, on pages that are open to everybody.
    pub fn user(&self) -> Option<CurrentUser> {
        let signed_in = Arc::clone(self.signed_in.as_ref()?);
        Some(CurrentUser {
            signed_in,
            visit: self.clone(),
        })
    }

    /// The frame of a page without navigation: signing in, setup, one-time links.
    pub fn layout(&self, title: &str) -> Layout {
        Layout::public(self, title)
    }

    /// Who acts where nobody is signed in, under an id such as `link:<id>`.
    pub fn actor(&self, id: &str, name: &str) -> Actor {
        Actor {
            id: id.to_owned(),
            name: name.to_owned(),
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            session: self
                .session_hash()
                .and_then(|hash| hash.get(..SESSION_LENGTH))
                .unwrap_or_default()
                .to_owned(),
        }
    }

    pub(super) fn mark_form_kept(&self) {
        self.shared.form_kept.store(true, Ordering::Relaxed);
    }

    pub(super) fn form_kept(&self) -> bool {
        self.shared.form_kept.load(Ordering::Relaxed)
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let visit = parts.extensions.get::<Self>().cloned();
        visit.ok_or_else(|| PageError::internal("the request came past the gate"))
    }
}

/// The signed-in person. As an extractor it needs a route whose [`Access`] is not `Public`.
#[derive(Clone)]
pub struct CurrentUser {
    signed_in: Arc<SignedIn>,
    /// The request.
    pub visit: Visit,
}

impl CurrentUser {
    /// The person.
    pub fn user(&self) -> &User {
        &self.signed_in.user
    }

    /// Whether they have a permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.user().role.may(permission)
    }

    /// Refuses with a page that names who can, where they have not.
    pub async fn require(&self, permission: Permission) -> Result<(), PageError> {
        if self.may(permission) {
            return Ok(());
        }
        Err(self.refuse(permission, "-").await)
    }

    /// Writes a refusal down and says who could.
    async fn refuse(&self, permission: Permission, path: &str) -> PageError {
        let app = &self.visit.web.app;
        if let Err(error) = sign_in::refused(app, &self.actor(), permission, path).await {
            tracing::warn!(error = %error, "A refusal could not be written to the audit: {error}");
        }
        let names = self.who_has(permission).await;
        PageError::Forbidden { permission, names }
    }

    /// The names of some who have a permission.
    async fn who_has(&self, permission: Permission) -> Vec<String> {
        let roles: Vec<Role> = Role::ALL.iter().copied().filter(|role| role.may(permission)).collect();
        self.visit.web.app.store.names_with(&roles, NAMES).await.unwrap_or_default()
    }

    /// "Only people with … can do this. Ask …", in place of a button; none where the person may.
    pub async fn cannot(&self, permission: Permission) -> Option<String> {
        if self.may(permission) {
            return None;
        }
        Some(format!("{} {}", who_can(permission), ask(&self.who_has(permission).await)))
    }

    /// Who acts, for actions and the audit.
    pub fn actor(&self) -> Actor {
        self.visit.actor(&format!("user:{}", self.user().email), &self.user().name)
    }

    /// SHA-256 of the session's id.
    pub fn session_hash(&self) -> &str {
        &self.signed_in.session.id_hash
    }

    pub(super) fn session_row(&self) -> &SessionRow {
        &self.signed_in.session
    }

    /// The frame of a page: navigation with its counts, crumbs, the flash message (which is gone afterwards).
    pub async fn layout(&self, section: Section, title: &str) -> Layout {
        Layout::signed_in(self, section, title).await
    }

    /// `303 See Other` to a path of our own, where `text` stands above the heading once.
    pub async fn redirect(&self, path: &str, text: &str) -> Result<Response, PageError> {
        self.redirect_with(path, Flash::ok(text)).await
    }

    /// As [`Self::redirect`], with a message of any kind.
    pub async fn redirect_with(&self, path: &str, flash: Flash) -> Result<Response, PageError> {
        self.visit
            .session
            .insert(super::session::FLASH, flash)
            .await
            .map_err(PageError::internal)?;
        Ok(Redirect::to(path).into_response())
    }

    /// What this person had typed into the form of `path` when their session ended (`ux.md` 8.7), once: the fields as they were
    /// sent, secrets included. The page then says "Nothing is saved yet" by itself. Turn them into the form with
    /// [`super::form::refill`].
    pub async fn take_draft(&self, path: &str) -> Option<Vec<(String, String)>> {
        draft::take(self, path).await
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let user = parts.extensions.get::<Visit>().and_then(Visit::user);
        user.ok_or(PageError::SignIn)
    }
}

/// The check every route is wrapped in.
pub(super) async fn check(access: Access, request: Request, next: Next) -> Response {
    let Some(visit) = request.extensions().get::<Visit>().cloned() else {
        return match access {
            Access::Public => next.run(request).await,
            _ => PageError::internal("the request came past the gate").into_response(),
        };
    };
    let user = match (access, visit.user()) {
        (Access::Public, _) => return next.run(request).await,
        (_, None) => return sign_in_first(&visit, &request),
        (_, Some(user)) => user,
    };
    if let Access::Permission(permission) = access
        && !user.may(permission)
    {
        let path = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("-", MatchedPath::as_str)
            .to_owned();
        return user.refuse(permission, &path).await.into_response();
    }
    next.run(request).await
}

/// To the sign-in page and back. A form of somebody whose session ended never gets here: the gate has kept it.
fn sign_in_first(visit: &Visit, request: &Request) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        draft::to_login(request.uri().path_and_query().map(|path| path.as_str()))
    } else {
        draft::to_login(visit.referer().as_deref())
    }
}

/// The value of a cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}
