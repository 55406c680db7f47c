//! The token endpoint: which grant, and the trouble it may have.

use super::client_auth;
use super::error::{self, Refusal};
use super::{Fields, fields, grants, take};
use crate::sandbox::fault::Fault;
use crate::sandbox::state::{House, Shared};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// What a broken proxy or a captive portal puts in the way.
const HTML: &str =
    "<!DOCTYPE html><html><head><title>Sign in to network</title></head><body><h1>Welcome to the guest network</h1></body></html>";

/// A request, for the grants.
pub(super) struct Asked<'a> {
    pub shared: &'a Shared,
    pub house: House,
    pub tenant: Option<&'a str>,
    pub form: &'a Fields,
}

impl Asked<'_> {
    pub fn field(&self, name: &str) -> &str {
        take(self.form, name)
    }

    /// A field that has to be there.
    pub fn needed(&self, name: &str) -> Result<&str, Refusal> {
        match self.field(name) {
            "" => Err(error::parameter_missing(self.house, name)),
            value => Ok(value),
        }
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) async fn tenant(State(shared): State<Shared>, Path(tenant): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    answer(State(shared), headers, body, House::Microsoft, Some(tenant)).await
}

/// The token endpoint of any house.
pub(super) async fn answer(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
    house: House,
    tenant: Option<String>,
) -> Response {
    let faults = shared.faults();
    if faults.hits(Fault::TokenHtml) {
        return Html(HTML).into_response();
    }
    if faults.hits(Fault::TokenUnavailable) {
        let mut response = error::unavailable(house).answer(&shared);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    }
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let form = fields(&body);
    let asked = Asked {
        shared: &shared,
        house,
        tenant: tenant.as_deref(),
        form: &form,
    };
    let outcome = if is_form {
        decide(&asked, &headers)
    } else {
        let text = "Invalid request. Request is malformed or invalid.";
        Err(Refusal::of(house, "invalid_request", (9_002_313, text.to_owned()), text, text))
    };
    outcome.unwrap_or_else(|refusal| refusal.answer(&shared))
}

fn decide(asked: &Asked<'_>, headers: &HeaderMap) -> Result<Response, Refusal> {
    let house = asked.house;
    if let Some(tenant) = asked.tenant {
        super::check_tenant(tenant)?;
    }
    if asked.form.contains_key("resource") && house == House::Microsoft {
        return Err(Refusal::entra(
            "invalid_request",
            901_002,
            "The 'resource' request parameter is not supported.",
        ));
    }
    let grant = asked.needed("grant_type")?.to_owned();
    if grant == grants::JWT_BEARER {
        return grants::jwt_bearer(asked);
    }
    let proved = client_auth::check(asked.shared, house, headers, asked.form, &grant)?;
    match grant.as_str() {
        "authorization_code" => grants::code(asked, proved),
        "refresh_token" => grants::refresh(asked, proved),
        "client_credentials" => grants::client_credentials(asked, proved),
        "password" => grants::password(asked, proved),
        grants::DEVICE_CODE => super::device::exchange(asked, proved),
        other => Err(error::grant_unsupported(house, other)),
    }
}
