//! The gate every request passes: who it is, and for everything that is not a plain GET whether a page of ours sent it (SESS-5,
//! SESS-6). A form needs the token bound to its session, or for people without one to their visitor cookie, and must come from our
//! own origin. There are no exceptions by path but files and health, which take no forms.

use super::error::PageError;
use super::guard::{SignedIn, Visit};
use super::shares::{Share, Shares};
use super::upload::Upload;
use super::{ClientAddress, RequestId, WebState, draft, session};
use crate::model::UserId;
use crate::vault::sha256;
use aws_lc_rs::hmac;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_sessions::Session;

/// Name of the form field.
pub const FIELD: &str = "csrf_token";
/// Name of the header a script may use instead.
pub const HEADER: &str = "x-csrf-token";
/// How many bytes may a form have?
const BODY_LIMIT: usize = 64 * 1024;
/// And the form that brings settings along, from somebody who is signed in? The text of it may be escaped.
const LARGE_LIMIT: usize = 2 * crate::model::import::LONGEST;
/// The path of that form.
const LARGE: &str = "/transfer/import";
/// How many of those may arrive at the same time?
const ARRIVING_LARGE: usize = 4;
/// How many fields may a form have?
pub(super) const FIELD_LIMIT: usize = 200;
/// How long may a body take to arrive?
const BODY_TIME: Duration = Duration::from_secs(30);

/// How many forms may arrive at the same time, in all and from one address? With [`BODY_LIMIT`] this is the memory they take, however
/// slowly somebody sends (DOS-1).
const ARRIVING: usize = 512;
/// See [`ARRIVING`].
const ARRIVING_PER_ADDRESS: usize = 32;

/// The forms that are arriving.
#[derive(Clone)]
pub(crate) struct Arriving {
    all: Arc<Semaphore>,
    large: Arc<Semaphore>,
    shares: Shares,
}

impl Default for Arriving {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ARRIVING)),
            large: Arc::new(Semaphore::new(ARRIVING_LARGE)),
            shares: Shares::default(),
        }
    }
}

impl Arriving {
    /// One more, until what comes back is dropped.
    fn take(&self, address: Option<IpAddr>) -> Result<(OwnedSemaphorePermit, Share), PageError> {
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let share = self.shares.take(address, ARRIVING_PER_ADDRESS).ok_or(PageError::TooMany(5))?;
        let place = Arc::clone(&self.all).try_acquire_owned().map_err(|_| PageError::Busy(5))?;
        Ok((place, share))
    }
}

/// Says that the body was checked; [`super::form::CsrfForm`] reads no other.
#[derive(Clone, Copy)]
pub(super) struct Checked;

/// The token for the forms of one session or visitor.
fn token(web: &WebState, kind: &str, id: &str) -> String {
    let tag = hmac::sign(&web.csrf_key, format!("{kind} {id}").as_bytes());
    URL_SAFE_NO_PAD.encode(tag.as_ref())
}

/// Says whose browser it is, for a form that comes after the session's own cookie is gone.
pub(super) fn owner_mark(web: &WebState, user: &str) -> String {
    format!("{user}.{}", token(web, "owner", user))
}

fn owner(web: &WebState, visit: &Visit) -> Option<UserId> {
    let mark = visit.cookie(web.cookies.owner)?;
    let (user, _) = mark.rsplit_once('.')?;
    same(&mark, &owner_mark(web, user)).then(|| UserId(user.to_owned()))
}

fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && bool::from(a.as_bytes().ct_eq(b.as_bytes()))
}

/// Where a request says it comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// From a page of ours, as the browser assures.
    Own,
    /// It does not say: the token alone must hold.
    Unsaid,
    /// From elsewhere.
    Other(String),
}

fn origin(headers: &HeaderMap, own: &url::Url) -> Origin {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    match (text("sec-fetch-site").as_deref(), text("origin")) {
        (Some("same-origin"), _) => Origin::Own,
        (Some(site @ ("same-site" | "cross-site")), origin) => Origin::Other(origin.unwrap_or_else(|| site.to_owned())),
        (_, Some(origin)) if origin == own.origin().ascii_serialization() => Origin::Own,
        (_, Some(origin)) => Origin::Other(origin),
        (Some(site), None) => Origin::Other(site.to_owned()),
        (None, None) => Origin::Unsaid,
    }
}

/// Paths that know no people and take no forms.
fn is_open(path: &str) -> bool {
    path.starts_with("/static/") || path.starts_with("/health/")
}

/// The gate.
pub(super) async fn gate(State(web): State<WebState>, mut request: Request, next: Next) -> Response {
    if ![Method::GET, Method::HEAD, Method::POST].contains(request.method()) {
        // TRACE and everything else nobody needs.
        return PageError::Method.into_response();
    }
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    if request.uri().path_and_query().is_some_and(|path| path.as_str().contains("%00")) {
        return nul().into_response();
    }
    let (host, headers) = (host(&request), request.headers().clone());
    let (visit, was) = match visit(&web, request.extensions(), host, headers).await {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    if let Some(there) = elsewhere(&visit, &request) {
        return Redirect::temporary(&there).into_response();
    }
    request.extensions_mut().insert(visit.clone());
    let answer = if matches!(*request.method(), Method::GET | Method::HEAD) {
        next.run(request).await
    } else {
        match checked(&web, &visit, was, request).await {
            Ok(request) => next.run(request).await,
            Err(answer) => answer,
        }
    };
    with_cookies(&visit, answer)
}

/// Whether a script asks by itself, to refresh what is on the page. That is no sign of a person.
pub(super) fn is_background(headers: &HeaderMap) -> bool {
    headers.contains_key("x-refresh")
}

/// Somebody whose session has ended, as far as its cookie says.
struct Was {
    session_token: Option<String>,
    user: Option<UserId>,
}

async fn visit(web: &WebState, extensions: &Extensions, host: String, headers: HeaderMap) -> Result<(Visit, Was), PageError> {
    let session = extensions
        .get::<Session>()
        .cloned()
        .ok_or_else(|| PageError::internal("no session layer"))?;
    let id = session.id().map(|id| id.to_string());
    let found = match &id {
        Some(id) => web.app.store.session_with_user(&sha256(id)).await?,
        None => None,
    };
    let now = web.app.clock.now();
    let mut was = Was {
        session_token: id.as_ref().map(|id| token(web, "session", id)),
        user: None,
    };
    let signed_in = match found {
        Some((mut session, user)) if session.lives(now) && !user.disabled => {
            if !is_background(&headers)
                && let Err(error) = session::touch(web, &mut session).await
            {
                tracing::warn!(error = %error, "The end of a session could not be moved: {error}");
            }
            Some(SignedIn { user, session })
        }
        Some((_, user)) if !user.disabled => {
            was.user = Some(user.id);
            None
        }
        _ => None,
    };
    let csrf = match (&was.session_token, &signed_in) {
        (Some(token), Some(_)) => token.clone(),
        _ => String::new(),
    };
    let mut visit = Visit::new(
        web.clone(),
        session,
        signed_in,
        extensions.get::<RequestId>().cloned().unwrap_or_default().0,
        extensions
            .get::<ClientAddress>()
            .map(|address| address.0.to_string())
            .unwrap_or_default(),
        csrf,
        host,
        headers,
    );
    if visit.csrf.is_empty() {
        visit.visitor = visitor(web, &visit);
        visit.csrf = token(web, "visitor", &visit.visitor);
    }
    if visit.signed_in.is_none() && was.user.is_none() {
        was.user = owner(web, &visit);
    }
    Ok((visit, was))
}

/// The visitor cookie's value; a new one goes out with the answer.
fn visitor(web: &WebState, visit: &Visit) -> String {
    let names = web.cookies;
    let is_ours = |value: &String| value.len() == 22 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    visit.cookie(names.visitor).filter(is_ours).unwrap_or_else(|| {
        let value = web.app.random.base64url(16);
        set_visitor(web, visit, &value);
        value
    })
}

/// Gives the visitor's browser this value. What proves something must hang on a value that nobody can have planted before.
pub(super) fn set_visitor(web: &WebState, visit: &Visit, value: &str) {
    visit.set_cookie(&web.cookies.build(web.cookies.visitor, value, None));
}

fn host(request: &Request) -> String {
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    header
        .or_else(|| request.uri().authority().map(|a| a.as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// `127.0.0.1` and `localhost` are two hosts to a browser, with cookies of their own: whoever is about to sign in at the wrong one is
/// sent to the console's own, or the return from a provider would find no session.
fn elsewhere(visit: &Visit, request: &Request) -> Option<String> {
    if request.method() != Method::GET
        || request.uri().path() != super::routes::LOGIN
        || visit.signed_in.is_some()
        || !visit.web.address_is_chosen()
    {
        return None;
    }
    let own = visit.web.base_url();
    let (own_host, here) = (own.authority().to_owned(), &visit.host);
    let is_loopback = |host: &str| ["127.0.0.1", "localhost", "[::1]"].contains(&host.rsplit_once(':').map_or(host, |(name, _)| name));
    let same_port = |a: &str, b: &str| a.rsplit_once(':').map(|(_, port)| port) == b.rsplit_once(':').map(|(_, port)| port);
    let other = own_host != *here && is_loopback(&own_host) && is_loopback(here) && same_port(&own_host, here);
    let path = request.uri().path_and_query().map_or("/login", |path| path.as_str());
    other.then(|| format!("{}{path}", own.origin().ascii_serialization()))
}

fn with_cookies(visit: &Visit, mut answer: Response) -> Response {
    if let Some(signed_in) = &visit.signed_in {
        let left = signed_in.session.ends().since(visit.web.app.clock.now());
        answer.headers_mut().insert("x-session-left", left.into());
    }
    for cookie in visit.take_cookies() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// Reads the form and decides; the answer in `Err` if it goes no further.
async fn checked(web: &WebState, visit: &Visit, was: Was, request: Request) -> Result<Request, Response> {
    let from = origin(request.headers(), &web.base_url());
    if let Origin::Other(origin) = from {
        let origin: String = origin.chars().filter(|c| !c.is_control()).take(200).collect();
        tracing::warn!(origin, "Refused a form from {origin}");
        return Err(PageError::CrossSite(format!(
            "It came from {origin}, and this console's address is {}. Nothing was changed. If {origin} is how you reach the console, \
             MAILGRANT_BASE_URL has to say so.",
            web.base_url().origin().ascii_serialization()
        ))
        .into_response());
    }
    let (parts, body) = request.into_parts();
    let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
    let arriving = web.arriving.take(address).map_err(IntoResponse::into_response)?;
    let is_large = parts.uri.path() == LARGE && visit.signed_in.is_some();
    let large = if is_large {
        let place = Arc::clone(&web.arriving.large).try_acquire_owned();
        Some(place.map_err(|_| PageError::Busy(5).into_response())?)
    } else {
        None
    };
    let limit = if is_large { LARGE_LIMIT } else { BODY_LIMIT };
    let sent = read(&parts.headers, body, limit).await.map_err(IntoResponse::into_response)?;
    drop((arriving, large));
    let (fields, bytes, upload) = match sent {
        Sent::Form(bytes) => (serde_urlencoded::from_bytes(&bytes).unwrap_or_default(), bytes, None),
        Sent::Upload(upload) => (upload.fields(), Bytes::new(), Some(upload)),
    };
    if fields.len() > FIELD_LIMIT {
        return Err(PageError::TooLarge.into_response());
    }
    if fields.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(nul().into_response());
    }
    let in_header = parts.headers.get(HEADER).and_then(|value| value.to_str().ok());
    let in_field = fields.iter().find(|(name, _)| name == FIELD).map(|(_, value)| value.as_str());
    let sent = in_header.or(in_field).unwrap_or_default().to_owned();
    let mut request = Request::from_parts(parts, Body::from(bytes));
    if let Some(upload) = upload {
        request.extensions_mut().insert(upload);
    }
    if same(&sent, &visit.csrf) {
        request.extensions_mut().insert(Checked);
        return Ok(request);
    }
    // From a page of ours all the same, of a session that has ended or was replaced: nothing happens, and nothing typed is lost.
    let ours = from == Origin::Own || was.session_token.is_some_and(|token| same(&sent, &token));
    let owner = visit.signed_in.as_ref().map(|signed_in| signed_in.user.id.clone()).or(was.user);
    match owner {
        Some(owner) if ours => Err(draft::answer(visit, &owner, request.uri().path(), fields).await),
        _ => Err(PageError::StaleForm(visit.referer()).into_response()),
    }
}

/// No text of ours has one, and PostgreSQL takes none.
fn nul() -> PageError {
    PageError::Bad("It holds a NUL character. Nothing was changed.".into())
}

/// A form as it came.
#[derive(Debug)]
enum Sent {
    /// Urlencoded, for [`super::form::CsrfForm`].
    Form(Bytes),
    /// With files.
    Upload(Upload),
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Sent, PageError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(PageError::Unsupported);
    }
    if text(header::CONTENT_LENGTH)
        .and_then(|length| length.parse::<usize>().ok())
        .is_some_and(|length| length > limit)
    {
        return Err(PageError::TooLarge);
    }
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, limit)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(PageError::TooLarge),
        Err(_) => return Err(PageError::Bad("The form took too long to arrive. Nothing was changed.".into())),
    };
    // As it was written: the boundary in it knows upper and lower case.
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Sent::Form(bytes)),
        "" if bytes.is_empty() => Ok(Sent::Form(bytes)),
        "multipart/form-data" => Upload::read(kind, bytes).await.map(Sent::Upload),
        _ => Err(PageError::Unsupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_dribble_in_take_a_limited_number_of_places() {
        let arriving = Arriving::default();
        let at = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let held: Vec<_> = (0..ARRIVING_PER_ADDRESS).map(|_| arriving.take(at(1)).unwrap()).collect();
        assert!(matches!(arriving.take(at(1)), Err(PageError::TooMany(_))));
        assert!(arriving.take(at(2)).is_ok(), "another address has its own");
        drop(held);
        let addresses = u8::try_from(ARRIVING / ARRIVING_PER_ADDRESS).unwrap();
        let all: Vec<_> = (0..addresses)
            .flat_map(|n| (0..ARRIVING_PER_ADDRESS).map(move |_| n))
            .map(|n| arriving.take(at(n)).unwrap())
            .collect();
        assert!(matches!(arriving.take(at(200)), Err(PageError::Busy(_))));
        drop(all);
        assert!(arriving.take(at(200)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_after_half_a_minute() {
        let begun = tokio::time::Instant::now();
        let dripping = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"a")), ()))
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let read = read(&headers, Body::from_stream(dripping), BODY_LIMIT).await;
        assert!(matches!(read, Err(PageError::Bad(_))), "{read:?}");
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[test]
    fn only_our_own_origin_passes() {
        let own = url::Url::parse("https://console.example/").unwrap();
        let check = |site: Option<&str>, from: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("sec-fetch-site", site), ("origin", from)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            origin(&headers, &own)
        };
        let ours = Some("https://console.example");
        assert_eq!(check(Some("same-origin"), ours), Origin::Own);
        assert_eq!(check(None, ours), Origin::Own);
        assert_eq!(check(Some("none"), ours), Origin::Own);
        assert_eq!(check(None, None), Origin::Unsaid);
        for (site, from) in [
            (Some("same-site"), Some("https://other.console.example")),
            (Some("same-site"), ours),
            (Some("cross-site"), None),
            (Some("none"), None),
            (None, Some("null")),
            (None, Some("http://console.example")),
            (None, Some("https://console.example:444")),
            (None, Some("https://console.example.evil.example")),
        ] {
            assert!(matches!(check(site, from), Origin::Other(_)), "{site:?} {from:?}");
        }
    }
}
