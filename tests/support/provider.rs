//! An OpenID provider in the test's own process: honest by default, and told to lie where a test wants that. The test plays the
//! browser and the person: [`Provider::sign_in`] takes the address the console leads to and gives the one the browser comes back to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mailgrant::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The app's secret at this provider.
pub const SECRET: &str = "canary-client-secret-of-the-app";
/// The app's id at this provider.
pub const CLIENT: &str = "console";

/// What this provider does other than it should.
#[derive(Debug, Clone, PartialEq)]
pub enum Lie {
    /// No refresh token.
    NoRefreshToken,
    /// This scope isn't granted.
    Without(&'static str),
    /// No ID token.
    NoIdToken,
    /// An ID token with another value in a claim.
    Claim(&'static str, Value),
    /// The token endpoint says no.
    Refuses(u16, Value),
    /// The token endpoint shows a web page.
    WebPage,
    /// The token endpoint sends the request elsewhere.
    Redirects,
    /// An access token with a line break.
    BrokenToken,
    /// The revocation endpoint fails.
    RevocationFails,
    /// The token endpoint says no and throws back what it was sent.
    Echoes,
    /// A renewal gives a new refresh token too.
    Rotates,
}

struct Code {
    redirect_uri: String,
    challenge: String,
    nonce: String,
    scope: String,
    account: String,
}

#[derive(Default)]
struct Shared {
    codes: HashMap<String, Code>,
    /// By what is asked with; whoever decides gives it an account.
    devices: HashMap<String, Code>,
    lies: Vec<Lie>,
    refresh_tokens: HashSet<String>,
    exchanges: usize,
    heard: Vec<String>,
    id_tokens: Vec<String>,
    revoked: Vec<String>,
    made: usize,
    secret: String,
    now: i64,
}

/// The provider.
pub struct Provider {
    /// Its issuer and base address.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The value of a parameter in an address.
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(address).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

impl Provider {
    /// Starts one whose clock stands at `now`.
    pub async fn start(now: Timestamp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            secret: SECRET.to_owned(),
            now: now.0,
            ..Shared::default()
        }));
        let router = Router::new().fallback(answer).with_state((url.clone(), shared.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// From now on it lies like this, and in no other way.
    pub fn lies(&self, lies: &[Lie]) {
        self.shared.lock().unwrap().lies = lies.to_vec();
    }

    /// Only this secret is accepted from now on.
    pub fn takes_secret(&self, secret: &str) {
        secret.clone_into(&mut self.shared.lock().unwrap().secret);
    }

    /// How often a code was redeemed, or was tried to be.
    pub fn exchanges(&self) -> usize {
        self.shared.lock().unwrap().exchanges
    }

    /// The bodies of all requests to the token endpoint.
    pub fn heard(&self) -> Vec<String> {
        self.shared.lock().unwrap().heard.clone()
    }

    /// ID tokens it gave.
    pub fn id_tokens(&self) -> Vec<String> {
        self.shared.lock().unwrap().id_tokens.clone()
    }

    /// Tokens that were revoked.
    pub fn revoked(&self) -> Vec<String> {
        self.shared.lock().unwrap().revoked.clone()
    }

    /// Somebody signs in with `account` at the address the console led to, and allows what is asked. Gives the address the browser
    /// is sent back to.
    pub fn sign_in(&self, leave: &str, account: &str) -> String {
        assert!(leave.starts_with(&self.url), "led to {leave}");
        let ask = |name: &str| parameter(leave, name).unwrap_or_default();
        assert_eq!(ask("code_challenge_method"), "S256");
        assert_eq!(ask("client_id"), CLIENT);
        let mut shared = self.shared.lock().unwrap();
        shared.made += 1;
        let code = format!("canary-code-{}", shared.made);
        let made = Code {
            redirect_uri: ask("redirect_uri"),
            challenge: ask("code_challenge"),
            nonce: ask("nonce"),
            scope: ask("scope"),
            account: account.to_owned(),
        };
        shared.codes.insert(code.clone(), made);
        self.back(leave, &[("code", &code), ("iss", &self.url)])
    }

    /// Somebody types this code in at another device, as `account`.
    pub fn decide(&self, user_code: &str, account: &str) {
        let mut shared = self.shared.lock().unwrap();
        let waiting = shared.devices.get_mut(&format!("canary-device-{user_code}")).unwrap();
        account.clone_into(&mut waiting.account);
    }

    /// The address the browser is sent back to, with these parameters and the right `state`.
    pub fn back(&self, leave: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = url::Url::parse(&parameter(leave, "redirect_uri").unwrap()).unwrap();
        url.query_pairs_mut()
            .append_pair("state", &parameter(leave, "state").unwrap())
            .extend_pairs(parameters);
        url.into()
    }
}

type Shares = (String, Arc<Mutex<Shared>>);

async fn answer(State((url, shared)): State<Shares>, OriginalUri(uri): OriginalUri, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let mut shared = shared.lock().unwrap();
    match uri.path() {
        path if path.ends_with("/.well-known/openid-configuration") => json_answer(
            200,
            json!({
                "issuer": url,
                "authorization_endpoint": format!("{url}/auth"),
                "token_endpoint": format!("{url}/token"),
                "revocation_endpoint": format!("{url}/revoke"),
                "device_authorization_endpoint": format!("{url}/device"),
                "userinfo_endpoint": format!("{url}/me"),
                "scopes_supported": ["openid", "offline_access", "mail.read", "mail.send"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "authorization_response_iss_parameter_supported": true,
            }),
        ),
        path if path.ends_with("/token") => {
            shared.heard.push(String::from_utf8_lossy(&body).into_owned());
            token(&url, &mut shared, &headers, &form)
        }
        "/device" if shared.lies.contains(&Lie::Echoes) => json_answer(400, echo(&headers, &form)),
        "/device" => {
            shared.made += 1;
            let number = shared.made;
            let code = Code {
                redirect_uri: String::new(),
                challenge: String::new(),
                nonce: String::new(),
                scope: form.get("scope").cloned().unwrap_or_default(),
                account: String::new(),
            };
            shared.devices.insert(format!("canary-device-{number}"), code);
            json_answer(
                200,
                json!({
                    "device_code": format!("canary-device-{number}"), "user_code": number.to_string(),
                    "verification_uri": format!("{url}/activate"), "expires_in": 600, "interval": 1,
                }),
            )
        }
        "/revoke" => {
            if shared.lies.contains(&Lie::RevocationFails) {
                return json_answer(503, json!({"error": "temporarily_unavailable"}));
            }
            shared.revoked.push(form.get("token").cloned().unwrap_or_default());
            StatusCode::OK.into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn token(url: &str, shared: &mut Shared, headers: &HeaderMap, form: &HashMap<String, String>) -> Response {
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    if field("grant_type") == "authorization_code" {
        shared.exchanges += 1;
    }
    let lies = shared.lies.clone();
    for lie in &lies {
        match lie {
            Lie::Refuses(status, document) => return json_answer(*status, document.clone()),
            Lie::WebPage => return ([(header::CONTENT_TYPE, "text/html")], "<h1>canary portal</h1>").into_response(),
            Lie::Echoes => return json_answer(400, echo(headers, form)),
            Lie::Redirects => return (StatusCode::FOUND, [(header::LOCATION, "https://elsewhere.example/")]).into_response(),
            _ => {}
        }
    }
    // A service account proves itself with what it asks with.
    if field("grant_type").ends_with(":jwt-bearer") {
        return anew(shared, &lies);
    }
    if !proved(shared, headers, form) {
        return json_answer(
            401,
            json!({"error": "invalid_client", "error_description": "client authentication failed"}),
        );
    }
    match field("grant_type").as_str() {
        "authorization_code" => {
            let Some(code) = shared.codes.remove(&field("code")) else {
                return json_answer(400, json!({"error": "invalid_grant", "error_description": "code is unknown"}));
            };
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, field("code_verifier").as_bytes());
            if URL_SAFE_NO_PAD.encode(digest) != code.challenge || field("redirect_uri") != code.redirect_uri {
                return json_answer(
                    400,
                    json!({"error": "invalid_grant", "error_description": "verifier or redirect differs"}),
                );
            }
            issue(url, shared, &lies, &code)
        }
        "urn:ietf:params:oauth:grant-type:device_code" => match shared.devices.get(&field("device_code")) {
            None => json_answer(400, json!({"error": "invalid_grant"})),
            Some(code) if code.account.is_empty() => json_answer(400, json!({"error": "authorization_pending"})),
            Some(_) => match shared.devices.remove(&field("device_code")) {
                Some(code) => issue(url, shared, &lies, &code),
                None => json_answer(400, json!({"error": "invalid_grant"})),
            },
        },
        "refresh_token" => {
            if !shared.refresh_tokens.contains(&field("refresh_token")) {
                return json_answer(400, json!({"error": "invalid_grant"}));
            }
            shared.made += 1;
            let mut document =
                json!({"access_token": format!("canary-access-{}", shared.made), "token_type": "Bearer", "expires_in": 3600});
            if lies.contains(&Lie::Rotates) {
                let refresh = format!("canary-refresh-{}", shared.made);
                shared.refresh_tokens.insert(refresh.clone());
                document["refresh_token"] = refresh.into();
            }
            json_answer(200, document)
        }
        "password" | "client_credentials" => anew(shared, &lies),
        _ => json_answer(400, json!({"error": "unsupported_grant_type"})),
    }
}

/// A token that nobody signed in for.
fn anew(shared: &mut Shared, lies: &[Lie]) -> Response {
    shared.made += 1;
    let broken = if lies.contains(&Lie::BrokenToken) { "\r\nX" } else { "" };
    json_answer(
        200,
        json!({"access_token": format!("canary-access-{}{broken}", shared.made), "token_type": "Bearer", "expires_in": 3600}),
    )
}

fn proved(shared: &Shared, headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic ").map(str::to_owned))
        .and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let in_form = format!(
        "{}:{}",
        form.get("client_id").cloned().unwrap_or_default(),
        form.get("client_secret").cloned().unwrap_or_default()
    );
    basic.unwrap_or(in_form) == format!("{CLIENT}:{}", shared.secret)
}

fn issue(url: &str, shared: &mut Shared, lies: &[Lie], code: &Code) -> Response {
    shared.made += 1;
    let number = shared.made;
    let mut claims = json!({
        "iss": url, "sub": format!("sub-{}", code.account), "aud": CLIENT, "exp": shared.now + 3600, "iat": shared.now,
        "nonce": code.nonce, "email": code.account, "email_verified": true, "preferred_username": code.account, "name": "Canary Name",
    });
    let mut scope: Vec<&str> = code.scope.split(' ').collect();
    let mut refresh = Some(format!("canary-refresh-{number}"));
    let mut access = format!("canary-access-{number}");
    let mut id_token = true;
    for lie in lies {
        match lie {
            Lie::NoRefreshToken => refresh = None,
            Lie::Without(left_out) => scope.retain(|scope| scope != left_out),
            Lie::NoIdToken => id_token = false,
            Lie::Claim(name, value) => claims[*name] = value.clone(),
            Lie::BrokenToken => access.push_str("\r\nX"),
            _ => {}
        }
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut document = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600, "scope": scope.join(" ")});
    if id_token {
        let id_token = format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(&claims));
        shared.id_tokens.push(id_token.clone());
        document["id_token"] = id_token.into();
    }
    if let Some(refresh) = refresh {
        shared.refresh_tokens.insert(refresh.clone());
        document["refresh_token"] = refresh.into();
    }
    json_answer(200, document)
}

/// A refusal with everything that was sent, as it came and decoded.
fn echo(headers: &HeaderMap, form: &HashMap<String, String>) -> Value {
    let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let decoded = header
        .as_deref()
        .and_then(|value| String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok());
    let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name} is {value}")).collect();
    let encoded: Vec<String> = form.values().map(|value| STANDARD.encode(value)).collect();
    let all = format!("{decoded:?} {header:?} {} {}", encoded.join(" "), fields.join(" "));
    json!({"error": "server_error", "error_description": all, "error_uri": all, "trace_id": all})
}

fn json_answer(status: u16, document: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
