//! The gate every request passes: who it is, and for everything that is not a plain GET whether a page of ours sent it (SESS-5,
//! SESS-6). A form needs the token bound to its session, or for people without one to their visitor cookie, and must come from our
//! own origin. There are no exceptions by path but files and health, which take no forms.

use super::body::{BODY_LIMIT, LARGE_LIMIT, Sent, is_large, read};
use super::error::PageError;
use super::guard::Visit;
use super::visit::{Was, elsewhere, host, visit, with_cookies};
use super::{ClientAddress, WebState, draft};
use crate::actions::sign_in;
use aws_lc_rs::hmac;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashSet;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Name of the form field.
pub const FIELD: &str = "csrf_token";
/// Name of the header a script may use instead.
pub const HEADER: &str = "x-csrf-token";
/// How many fields may a form have?
pub(super) const FIELD_LIMIT: usize = 200;
/// And how many values, of all fields together? The ticks of the longest page of a list are one field.
const VALUE_LIMIT: usize = 512;

fn are_too_many(fields: &[(String, String)]) -> bool {
    let names: HashSet<&str> = fields.iter().take(VALUE_LIMIT).map(|(name, _)| name.as_str()).collect();
    fields.len() > VALUE_LIMIT || names.len() > FIELD_LIMIT
}

/// Says that the body was checked; [`super::form::CsrfForm`] reads no other.
#[derive(Clone, Copy)]
pub(super) struct Checked;

/// The token for the forms of one session or visitor.
pub(super) fn token(web: &WebState, kind: &str, id: &str) -> String {
    let tag = hmac::sign(&web.csrf_key, format!("{kind} {id}").as_bytes());
    URL_SAFE_NO_PAD.encode(tag.as_ref())
}

/// Whether two texts are the same, told in the same time wherever they differ.
pub(super) fn same(a: &str, b: &str) -> bool {
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
    web.follow().await;
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

/// Reads the form and decides; the answer in `Err` if it goes no further.
async fn checked(web: &WebState, visit: &Visit, was: Was, request: Request) -> Result<Request, Response> {
    let from = origin(request.headers(), &web.base_url());
    let path = pattern(&request);
    if let Origin::Other(origin) = from {
        let origin: String = origin.chars().filter(|c| !c.is_control()).take(200).collect();
        tracing::warn!(origin, "Refused a form from {origin}");
        note(web, visit, &path, &format!("it came from {origin}")).await;
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
    let is_large = is_large(parts.uri.path(), &parts.headers) && visit.signed_in.is_some();
    let large = if is_large {
        let place = Arc::clone(&web.arriving.large).try_acquire_owned();
        Some(place.map_err(|_| PageError::Busy(5).into_response())?)
    } else {
        None
    };
    let limit = if is_large { LARGE_LIMIT } else { BODY_LIMIT };
    let sent = read(&parts.headers, body, limit).await.map_err(IntoResponse::into_response)?;
    drop((arriving, large));
    let (fields, bytes, upload): (Vec<(String, String)>, _, _) = match sent {
        Sent::Form(bytes) => (serde_urlencoded::from_bytes(&bytes).unwrap_or_default(), bytes, None),
        Sent::Upload(upload) => (upload.fields(), Bytes::new(), Some(upload)),
    };
    if are_too_many(&fields) {
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
        _ => {
            note(web, visit, &path, "its token belongs to no page of this visit").await;
            Err(PageError::StaleForm(visit.referer()).into_response())
        }
    }
}

/// The pattern of the route, never the address.
fn pattern(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    path.unwrap_or("-").to_owned()
}

/// Writes a refusal to the audit log.
async fn note(web: &WebState, visit: &Visit, path: &str, why: &str) {
    let actor = match visit.user() {
        Some(user) => user.actor(),
        None => visit.actor("nobody", "somebody"),
    };
    if let Err(error) = sign_in::refused_form(&web.app, &actor, path, why).await {
        tracing::warn!(error = %error, "A refusal could not be written to the audit: {error}");
    }
}

/// No text of ours has one, and PostgreSQL takes none.
fn nul() -> PageError {
    PageError::Bad("It holds a NUL character. Nothing was changed.".into())
}

#[cfg(test)]
mod tests {
    use super::*;

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
