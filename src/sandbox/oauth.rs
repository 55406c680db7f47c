//! The authorization server of each house: Microsoft-like below `/{tenant}`, Google-like below `/google`, and an OpenID provider at
//! the root.

mod authorize;
mod client_auth;
mod consent;
mod device;
mod error;
mod flow;
mod grants;
mod issue;
mod pages;
mod scopes;
mod token;

pub(super) use issue::refresh_token;

use super::state::{House, Shared, TENANT, TENANT_DOMAIN};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;

/// Fields of a form or query. Of one that comes twice the last counts.
type Fields = BTreeMap<String, String>;

fn fields(text: &[u8]) -> Fields {
    url::form_urlencoded::parse(text)
        .into_owned()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn take<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}

/// Where the endpoints of a house are.
struct Paths {
    base: String,
    tenant: Option<String>,
}

impl Paths {
    fn document(&self, shared: &Shared, house: House) -> Value {
        let base = &self.base;
        let mut document = json!({
            "issuer": shared.issuer(house),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["pairwise", "public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt", "none"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "email", "name", "preferred_username"],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
        });
        let more = match house {
            House::Microsoft => {
                let tenant = self.tenant.as_deref().unwrap_or(TENANT);
                let root = format!("{base}/{tenant}");
                json!({
                    "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
                    "token_endpoint": format!("{root}/oauth2/v2.0/token"),
                    "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
                    "end_session_endpoint": format!("{root}/oauth2/v2.0/logout"),
                    "jwks_uri": format!("{root}/discovery/v2.0/keys"),
                    "scopes_supported": ["openid", "profile", "email", "offline_access"],
                    "tenant_region_scope": "EU", "cloud_instance_name": "sandbox",
                })
            }
            House::Google => json!({
                "authorization_endpoint": format!("{base}/google/o/oauth2/v2/auth"),
                "token_endpoint": format!("{base}/google/token"),
                "device_authorization_endpoint": format!("{base}/google/device/code"),
                "revocation_endpoint": format!("{base}/google/revoke"),
                "userinfo_endpoint": format!("{base}/google/v1/userinfo"),
                "jwks_uri": format!("{base}/google/oauth2/v3/certs"),
                "scopes_supported": ["openid", "email", "profile"],
                "authorization_response_iss_parameter_supported": true,
            }),
            House::Open => json!({
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "device_authorization_endpoint": format!("{base}/device_authorization"),
                "revocation_endpoint": format!("{base}/revoke"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "jwks_uri": format!("{base}/jwks"),
                "scopes_supported": ["openid", "profile", "email", "offline_access", "mail"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "password",
                    "urn:ietf:params:oauth:grant-type:device_code"],
                "authorization_response_iss_parameter_supported": true,
            }),
        };
        if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
            document.extend(more);
        }
        document
    }
}

/// Every route of the three.
pub(super) fn routes() -> Router<Shared> {
    use House::{Google, Open};
    let microsoft = Router::new()
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(tenant_discovery))
        .route("/{tenant}/discovery/v2.0/keys", get(keys))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::tenant))
        .route("/{tenant}/oauth2/v2.0/token", post(token::tenant))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device::tenant))
        .route("/{tenant}/oauth2/v2.0/logout", get(flow::sign_out))
        .route("/{tenant}/v2.0/adminconsent", get(consent::show))
        .route("/{tenant}/adminconsent", get(consent::show))
        .route("/error", get(explain));
    let google = Router::new()
        .route("/google/.well-known/openid-configuration", get(|s| discovery(s, Google)))
        .route("/google/oauth2/v3/certs", get(keys))
        .route("/google/o/oauth2/v2/auth", get(|s, q, h| authorize::begin(s, q, h, Google, None)))
        .route("/google/token", post(|s, h, b| token::answer(s, h, b, Google, None)))
        .route("/google/device/code", post(|s, b| device::begin(s, b, Google)))
        .route("/google/revoke", post(|s, h, b| revoke(s, h, b, Google)))
        .route("/google/v1/userinfo", get(userinfo))
        .route("/google/tokeninfo", get(tokeninfo));
    let open = Router::new()
        .route("/.well-known/openid-configuration", get(|s| discovery(s, Open)))
        .route("/.well-known/oauth-authorization-server", get(|s| discovery(s, Open)))
        .route("/jwks", get(keys))
        .route("/authorize", get(|s, q, h| authorize::begin(s, q, h, Open, None)))
        .route("/token", post(|s, h, b| token::answer(s, h, b, Open, None)))
        .route("/device_authorization", post(|s, b| device::begin(s, b, Open)))
        .route("/revoke", post(|s, h, b| revoke(s, h, b, Open)))
        .route("/userinfo", get(userinfo));
    let pages = Router::new()
        .route("/sandbox/account", get(flow::pick).post(flow::picked))
        .route("/sandbox/login", get(flow::login).post(flow::logged_in))
        .route("/sandbox/consent", get(flow::consent).post(flow::consented))
        .route("/sandbox/adminconsent", post(consent::decided))
        .route("/devicelogin", get(device::page).post(device::decided))
        .route("/sandbox.css", get(pages::style));
    microsoft.merge(google).merge(open).merge(pages)
}

fn discovery(State(shared): State<Shared>, house: House) -> impl Future<Output = Response> {
    let paths = Paths {
        base: shared.base().to_owned(),
        tenant: None,
    };
    std::future::ready(json_answer(StatusCode::OK, &paths.document(&shared, house)))
}

async fn tenant_discovery(State(shared): State<Shared>, Path(tenant): Path<String>) -> Response {
    if let Err(refusal) = check_tenant(&tenant) {
        return refusal.answer(&shared);
    }
    let paths = Paths {
        base: shared.base().to_owned(),
        tenant: Some(tenant),
    };
    json_answer(StatusCode::OK, &paths.document(&shared, House::Microsoft))
}

async fn keys(State(shared): State<Shared>) -> Response {
    json_answer(StatusCode::OK, &shared.keys().jwks())
}

/// The page behind `error_uri`.
async fn explain() -> Response {
    pages::said("Error lookup", "The code and its text are in the answer that named this page.")
}

/// Whether a tenant is ours. `common` and `organizations` are too: that is where our people are found.
fn check_tenant(tenant: &str) -> Result<(), Refusal> {
    let known = [TENANT, TENANT_DOMAIN, "common", "organizations"];
    if known.iter().any(|known| known.eq_ignore_ascii_case(tenant)) {
        return Ok(());
    }
    if tenant.eq_ignore_ascii_case("consumers") || tenant.contains('.') || tenant.len() == 36 {
        return Err(error::tenant_unknown(tenant));
    }
    Err(error::tenant_malformed(tenant))
}

fn json_answer(status: StatusCode, document: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, document.to_string()).into_response()
}

/// RFC 7009; Google says when a token is not known, the others don't.
async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: Bytes, house: House) -> Response {
    let form = fields(&body);
    if house == House::Open
        && let Err(refusal) = client_auth::check(&shared, house, &headers, &form, "revoke")
    {
        return refusal.answer(&shared);
    }
    let token = take(&form, "token");
    let mut world = shared.world();
    let family = world.refresh.get(token).map(|grant| grant.family);
    let family = family.or_else(|| world.access.get(token).map(|access| access.grant.family));
    match family {
        Some(family) => world.end_family(family),
        None if house == House::Google => {
            let document = json!({"error": "invalid_token", "error_description": "Token expired or revoked"});
            return json_answer(StatusCode::BAD_REQUEST, &document);
        }
        None => {}
    }
    json_answer(StatusCode::OK, &json!({}))
}

async fn userinfo(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let world = shared.world();
    let user = token
        .and_then(|token| world.access.get(token))
        .filter(|access| access.ends > shared.now())
        .and_then(|access| access.grant.user.clone());
    let Some(person) = user.and_then(|user| world.person(&user)) else {
        let challenge = "Bearer error=\"invalid_token\", error_description=\"The access token expired\"";
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    };
    let document = json!({
        "sub": person.oid, "email": person.address, "email_verified": true, "name": person.name, "preferred_username": person.address,
    });
    json_answer(StatusCode::OK, &document)
}

async fn tokeninfo(State(shared): State<Shared>, query: axum::extract::RawQuery) -> Response {
    let query = fields(query.0.unwrap_or_default().as_bytes());
    let world = shared.world();
    let now = shared.now();
    let Some(access) = world.access.get(take(&query, "access_token")).filter(|access| access.ends > now) else {
        let document = json!({"error": "invalid_token", "error_description": "Invalid Value"});
        return json_answer(StatusCode::BAD_REQUEST, &document);
    };
    let document = json!({
        "aud": access.grant.client, "azp": access.grant.client, "scope": access.grant.scopes.join(" "),
        "exp": access.ends.0.to_string(), "expires_in": access.ends.since(now).to_string(), "access_type": "offline",
        "email": access.grant.user, "email_verified": "true",
    });
    json_answer(StatusCode::OK, &document)
}
