//! Microsoft Graph, as far as mail goes: `/me` and `/users/{address}` with folders, messages and sendMail.

mod messages;
mod send;

use super::fault::Fault;
use super::mailboxes::Folder;
use super::state::{Access, House, Shared};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent::decoded;
use serde_json::{Value, json};
use std::collections::BTreeMap;

mod percent {
    /// A path segment or query as it was meant.
    pub fn decoded(text: &str) -> String {
        url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// Largest request body: what Graph itself takes, about.
const LARGEST: usize = 4_000_000;

/// The routes, below `/v1.0`.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1.0/{*call}", any(call))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

/// An error in Graph's shape.
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u32>,
}

impl Refused {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    fn token(message: impl Into<String>) -> Self {
        Self::new(401, "InvalidAuthenticationToken", message)
    }

    fn denied() -> Self {
        Self::new(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    }

    fn item() -> Self {
        Self::new(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    }
}

/// One call, taken apart.
struct Call {
    method: Method,
    /// Segments behind `/me` or `/users/{address}`.
    path: Vec<String>,
    query: BTreeMap<String, String>,
    mailbox: String,
    scopes: Vec<String>,
    body: Bytes,
    content_type: String,
}

impl Call {
    /// Whether one of these permissions was given.
    fn permits(&self, wanted: &[&str]) -> Result<(), Refused> {
        let has = |scope: &String| {
            let name = scope.rsplit('/').next().unwrap_or(scope);
            wanted
                .iter()
                .any(|wanted| name.strip_suffix(".Shared").unwrap_or(name).eq_ignore_ascii_case(wanted))
        };
        if self.scopes.iter().any(has) {
            Ok(())
        } else {
            Err(Refused::denied())
        }
    }

    fn is(&self, method: &Method, path: &[&str]) -> bool {
        self.method == *method
            && self
                .path
                .iter()
                .map(|segment| segment.to_ascii_lowercase())
                .eq(path.iter().copied())
    }
}

async fn call(
    State(shared): State<Shared>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let request_id = shared.guid();
    let client_id = headers
        .get("client-request-id")
        .and_then(|value| value.to_str().ok())
        .map_or_else(|| request_id.clone(), str::to_owned);
    let outcome = match body {
        Ok(body) if body.len() > LARGEST => Err(Refused::new(413, "RequestBodyTooLarge", "The request body is too large.")),
        Ok(body) => answer(&shared, uri.path(), uri.query().unwrap_or_default(), method, &headers, body),
        Err(_) => Err(Refused::new(400, "BadRequest", "Unable to read the request body.")),
    };
    let mut response = match outcome {
        Ok(Answer::Nothing(status)) => status.into_response(),
        Ok(Answer::Json(value)) => (
            [(header::CONTENT_TYPE, "application/json;odata.metadata=minimal")],
            value.to_string(),
        )
            .into_response(),
        Ok(Answer::Mime(octets)) => ([(header::CONTENT_TYPE, "text/plain")], octets).into_response(),
        Err(refused) => {
            let document = json!({"error": {"code": refused.code, "message": refused.message, "innerError": {
                "date": shared.now().to_rfc3339().trim_end_matches('Z'), "request-id": request_id, "client-request-id": client_id,
            }}});
            let mut response = (refused.status, [(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response();
            if let Some(seconds) = refused.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            if refused.status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Bearer realm=\"\", error=\"invalid_token\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    };
    for (name, value) in [("request-id", request_id), ("client-request-id", client_id)] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What a call is answered with.
enum Answer {
    Nothing(StatusCode),
    Json(Value),
    Mime(Vec<u8>),
}

fn answer(shared: &Shared, path: &str, query: &str, method: Method, headers: &HeaderMap, body: Bytes) -> Result<Answer, Refused> {
    let access = bearer(shared, headers)?;
    if shared.faults().hits(Fault::Throttled) {
        let mut refused = Refused::new(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.");
        refused.retry_after = Some(10);
        return Err(refused);
    }
    if shared.faults().hits(Fault::ServerUnavailable) {
        let text = "The service is temporarily unavailable. Please try again later.";
        let mut refused = Refused::new(503, "ServiceUnavailable", text);
        refused.retry_after = Some(30);
        return Err(refused);
    }
    let mut path: Vec<String> = path.trim_start_matches("/v1.0/").split('/').map(decoded).collect();
    let whose = match path.first().map(|first| first.to_ascii_lowercase()).as_deref() {
        Some("me") => {
            path.remove(0);
            let only = "/me request is only valid with delegated authentication flow.";
            access.grant.user.clone().ok_or_else(|| Refused::new(400, "BadRequest", only))?
        }
        Some("users") if path.len() > 1 => path.drain(..2).nth(1).unwrap_or_default(),
        _ => return Err(Refused::new(400, "BadRequest", "Resource not found for the segment.")),
    };
    let mailbox = mailbox(shared, &access, &whose)?;
    if path.is_empty() || path == [""] {
        return profile(shared, &mailbox);
    }
    let faults = shared.faults();
    if faults.hits(Fault::MailboxDisabled) {
        let text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
        return Err(Refused::new(404, "MailboxNotEnabledForRESTAPI", text));
    }
    if faults.hits(Fault::GraphPolicy) {
        let text = "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.";
        return Err(Refused::new(403, "ErrorAccessDenied", text));
    }
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let call = Call {
        method,
        path,
        query,
        mailbox,
        scopes: access.grant.scopes,
        body,
        content_type: headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
    };
    if call.is(&Method::POST, &["sendmail"]) {
        call.permits(&["Mail.Send"])?;
        return send::mail(shared, &call);
    }
    messages::answer(shared, &call)
}

/// The token, if it is one for Graph that lives.
fn bearer(shared: &Shared, headers: &HeaderMap) -> Result<Access, Refused> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or_else(|| Refused::token("Access token is empty."))?;
    if !token.contains('.') {
        let text = "IDX14100: JWT is not well formed, there are no dots (.).\nThe token needs to be in JWS or JWE Compact Serialization \
                    Format. (JWS): 'EncodedHeader.EndcodedPayload.EncodedSignature'.";
        return Err(Refused::token(text));
    }
    if shared.faults().hits(Fault::TokenRefused) {
        return Err(Refused::token("Access token validation failure."));
    }
    let world = shared.world();
    let access = world
        .access
        .get(token)
        .ok_or_else(|| Refused::token("Access token validation failure."))?;
    if !access.audience.contains("graph") {
        return Err(Refused::token("Access token validation failure. Invalid audience."));
    }
    if access.ends <= shared.now() {
        return Err(Refused::token("Lifetime validation failed, the token is expired."));
    }
    Ok(access.clone())
}

/// The mailbox that is meant, if the token's owner may open it.
fn mailbox(shared: &Shared, access: &Access, whose: &str) -> Result<String, Refused> {
    let world = shared.world();
    let person = world
        .people
        .iter()
        .find(|person| person.house == House::Microsoft && (person.address.eq_ignore_ascii_case(whose) || person.oid == whose))
        .ok_or_else(|| Refused::new(404, "ErrorInvalidUser", format!("The requested user '{whose}' is invalid.")))?;
    match &access.grant.user {
        Some(user) if person.address.eq_ignore_ascii_case(user) => {}
        Some(user) if person.delegates.iter().any(|delegate| delegate.eq_ignore_ascii_case(user)) => {
            let shared_scope = |scope: &String| scope.ends_with(".Shared");
            if !access.grant.scopes.iter().any(shared_scope) {
                return Err(Refused::denied());
            }
        }
        Some(_) => {
            let text = "The specified object was not found in the store., Default folder Inbox not found.";
            return Err(Refused::new(404, "ErrorItemNotFound", text));
        }
        None if person.apps.contains(&access.grant.client) => {}
        None => return Err(Refused::denied()),
    }
    Ok(person.address.clone())
}

fn profile(shared: &Shared, address: &str) -> Result<Answer, Refused> {
    let world = shared.world();
    let person = world.person(address).ok_or_else(Refused::item)?;
    Ok(Answer::Json(json!({
        "@odata.context": format!("{}/v1.0/$metadata#users/$entity", shared.base()),
        "id": person.oid, "displayName": person.name, "mail": person.address, "userPrincipalName": person.address,
    })))
}

fn folder_of(text: &str) -> Option<Folder> {
    Folder::ALL.into_iter().find(|folder| {
        let (well_known, _) = folder.graph_names();
        well_known.eq_ignore_ascii_case(text) || folder_id(*folder) == text
    })
}

fn folder_id(folder: Folder) -> String {
    STANDARD.encode(format!("sandbox folder {}", folder.graph_names().0))
}
