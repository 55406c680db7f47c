//! Who a request comes from: the session and its person, or a visitor; and whose session it was, where it has ended.

use super::csrf::{same, token};
use super::error::PageError;
use super::guard::{SignedIn, Visit};
use super::{ClientAddress, RequestId, WebState, session};
use crate::model::UserId;
use crate::vault::sha256;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, Method, header};
use axum::response::Response;
use tower_sessions::Session;

/// Says whose browser it is, for a form that comes after the session's own cookie is gone.
pub(super) fn owner_mark(web: &WebState, user: &str) -> String {
    format!("{user}.{}", token(web, "owner", user))
}

fn owner(web: &WebState, visit: &Visit) -> Option<UserId> {
    let mark = visit.cookie(web.cookies.owner)?;
    let (user, _) = mark.rsplit_once('.')?;
    same(&mark, &owner_mark(web, user)).then(|| UserId(user.to_owned()))
}

/// Whether a script asks by itself, to refresh what is on the page. That is no sign of a person.
pub(super) fn is_background(headers: &HeaderMap) -> bool {
    headers.contains_key("x-refresh")
}

/// Somebody whose session has ended, as far as its cookie says.
pub(super) struct Was {
    pub(super) session_token: Option<String>,
    pub(super) user: Option<UserId>,
}

/// The visit of a request, and who it was before.
pub(super) async fn visit(web: &WebState, extensions: &Extensions, host: String, headers: HeaderMap) -> Result<(Visit, Was), PageError> {
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

/// The host the request was sent to.
pub(super) fn host(request: &Request) -> String {
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    header
        .or_else(|| request.uri().authority().map(|a| a.as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// `127.0.0.1` and `localhost` are two hosts to a browser, with cookies of their own: whoever is about to sign in at the wrong one is
/// sent to the console's own, or the return from a provider would find no session.
pub(super) fn elsewhere(visit: &Visit, request: &Request) -> Option<String> {
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

/// Adds the cookies that were set on the way, and how long the session still lives.
pub(super) fn with_cookies(visit: &Visit, mut answer: Response) -> Response {
    if let Some(signed_in) = &visit.signed_in {
        let left = signed_in.session.ends().since(visit.web.app.clock.now());
        answer.headers_mut().insert("x-session-left", left.into());
    }
    for cookie in visit.take_cookies() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}
