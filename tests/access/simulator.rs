//! A token endpoint that rotates refresh tokens as providers do, fails as they do, and remembers what it was asked.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// What becomes of a refresh token once it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// A new one each time; the old one is good for so long after its first use, then using it ends everything.
    Grace(Duration),
    /// A new one each time; using an old one ends everything.
    Strict,
    /// A new one each time; old ones stay good.
    Keep,
    /// The same one stays.
    Never,
}

/// What happens instead of an orderly answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection breaks before anything was done.
    LostBefore,
    /// The token is rotated, then the connection breaks.
    LostAfter,
    /// Nothing ever comes.
    Hangs,
    /// This comes, whatever was asked: status, a header, body.
    Says(u16, &'static str, &'static str, String),
    /// An orderly answer, but for these members.
    But(Value),
    /// An orderly answer, after so long.
    Slow(Duration),
}

impl Fault {
    /// A refusal as RFC 6749, 5.2, has it.
    pub fn refuses(error: &str) -> Self {
        Self::Says(400, "x-none", "none", json!({ "error": error }).to_string())
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub form: HashMap<String, String>,
    pub body: String,
    pub authorization: Option<String>,
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has arrived.
    Arrived,
    /// The refresh token is rotated; the answer is on its way after this.
    Rotated,
}

struct Refresh {
    family: usize,
    used: Option<Instant>,
}

struct State {
    rotation: Rotation,
    families: Vec<bool>,
    refresh: HashMap<String, Refresh>,
    revoked: HashSet<String>,
    made: usize,
    lifetime: Value,
    next: VecDeque<Fault>,
    always: Option<Fault>,
    delays: (Duration, Duration),
    asked: Vec<Asked>,
    taken_back: Vec<String>,
    gate: Option<Arc<Semaphore>>,
    phases: Option<UnboundedSender<Phase>>,
    takes: Option<HashSet<String>>,
}

impl State {
    fn issue(&mut self, family: usize) -> String {
        self.made += 1;
        let token = format!("canary-rt-{}-{}", family, self.made);
        self.refresh.insert(token.clone(), Refresh { family, used: None });
        token
    }

    /// The members of the answer to a grant that brings no refresh token.
    fn anew(&mut self) -> Value {
        self.made += 1;
        json!({"access_token": format!("canary-anew-{}", self.made), "token_type": "Bearer", "expires_in": self.lifetime})
    }

    /// The members of the answer to this refresh token; none: `invalid_grant`.
    fn redeem(&mut self, token: &str) -> Option<Value> {
        let now = Instant::now();
        let rotation = self.rotation;
        let refresh = self.refresh.get_mut(token)?;
        let family = refresh.family;
        let first = *refresh.used.get_or_insert(now);
        let again = first != now;
        let reuse = match rotation {
            Rotation::Grace(grace) => again && now - first > grace,
            Rotation::Strict => again,
            Rotation::Keep | Rotation::Never => false,
        };
        if reuse {
            self.families[family] = false;
        }
        if !self.families[family] || self.revoked.contains(token) {
            return None;
        }
        self.made += 1;
        let mut answer = json!({
            "access_token": format!("canary-at-{}-{}", family, self.made),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        });
        if rotation != Rotation::Never {
            answer["refresh_token"] = self.issue(family).into();
        }
        Some(answer)
    }
}

pub struct Simulator {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Simulator {
    pub async fn start(rotation: Rotation) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            rotation,
            families: Vec::new(),
            refresh: HashMap::new(),
            revoked: HashSet::new(),
            made: 0,
            lifetime: json!(3600),
            next: VecDeque::new(),
            always: None,
            delays: (Duration::ZERO, Duration::ZERO),
            asked: Vec::new(),
            taken_back: Vec::new(),
            gate: None,
            phases: None,
            takes: None,
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, task }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Somebody signed in: the first refresh token of a grant.
    pub fn sign_in(&self) -> String {
        let mut state = self.state();
        state.families.push(true);
        let family = state.families.len() - 1;
        state.issue(family)
    }

    /// Whether the grant this refresh token belongs to still lives, and this token would work once more.
    pub fn is_good(&self, token: &str) -> bool {
        let state = self.state();
        let Some(refresh) = state.refresh.get(token) else { return false };
        let usable = match state.rotation {
            Rotation::Grace(grace) => refresh.used.is_none_or(|used| used.elapsed() < grace),
            Rotation::Strict => refresh.used.is_none(),
            Rotation::Keep | Rotation::Never => true,
        };
        usable && state.families[refresh.family] && !state.revoked.contains(token)
    }

    /// This token is refused from now on; the others of its grant are not.
    /// Forgets that this one was revoked.
    pub fn allow(&self, token: &str) {
        self.state().revoked.remove(token);
    }

    pub fn revoke(&self, token: &str) {
        self.state().revoked.insert(token.to_owned());
    }

    pub fn lifetime(&self, expires_in: Value) {
        self.state().lifetime = expires_in;
    }

    /// What happens at the next requests, one after the other.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().next.extend(faults);
    }

    /// What happens at every request; none: orderly answers.
    pub fn always(&self, fault: Option<Fault>) {
        self.state().always = fault;
    }

    /// How long it takes before and after the rotation.
    pub fn delays(&self, before: Duration, after: Duration) {
        self.state().delays = (before, after);
    }

    /// Tells where the requests from now on are.
    pub fn phases(&self) -> UnboundedReceiver<Phase> {
        let (sender, receiver) = unbounded_channel();
        self.state().phases = Some(sender);
        receiver
    }

    /// The app proves itself with one of these or is refused: a secret, or the thumbprint of a certificate (`x5t#S256`).
    pub fn takes(&self, proofs: &[&str]) {
        self.state().takes = Some(proofs.iter().map(|proof| (*proof).to_owned()).collect());
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn count(&self) -> usize {
        self.state().asked.len()
    }

    /// The tokens somebody wanted to be revoked, in order.
    pub fn taken_back(&self) -> Vec<String> {
        self.state().taken_back.clone()
    }

    /// Answers no revocation before there is a permit.
    pub fn holds_revocations(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.state().gate = Some(Arc::clone(&gate));
        gate
    }

    /// The refresh tokens that were sent, in order.
    pub fn sent(&self) -> Vec<String> {
        self.state().asked.iter().map(|asked| asked.form["refresh_token"].clone()).collect()
    }
}

fn json_answer(status: u16, document: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Body::from(document.to_string())).unwrap()
}

/// A body that promises more than it gives: the connection ends in the middle.
fn lost() -> Response<Body> {
    let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    Response::builder()
        .header("content-type", "application/json")
        .header("content-length", "500")
        .body(Body::from_stream(broken))
        .unwrap()
}

/// What the app proved itself with.
pub fn proof(form: &HashMap<String, String>) -> String {
    let Some(assertion) = form.get("client_assertion") else {
        return form.get("client_secret").cloned().unwrap_or_default();
    };
    let header = URL_SAFE_NO_PAD.decode(assertion.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["x5t#S256"].as_str().unwrap_or_default().to_owned()
}

/// What has arrived is done, though the other side hangs up.
async fn answer(Shared(state): Shared<Arc<Mutex<State>>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    tokio::spawn(work(state, headers, body)).await.unwrap()
}

async fn work(state: Arc<Mutex<State>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    if let Some(token) = form.get("token") {
        let gate = {
            let mut state = state.lock().unwrap();
            state.taken_back.push(token.clone());
            state.revoked.insert(token.clone());
            state.gate.clone()
        };
        if let Some(gate) = gate {
            let _permit = gate.acquire().await.unwrap();
        }
        return json_answer(200, &json!({}));
    }
    let (fault, delays, phases) = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked {
            form: form.clone(),
            body: String::from_utf8(body.to_vec()).unwrap(),
            authorization: headers
                .get("authorization")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        });
        let fault = state.next.pop_front().or_else(|| state.always.clone());
        (fault, state.delays, state.phases.clone())
    };
    let tell = |phase| phases.as_ref().map(|phases| phases.send(phase));
    tell(Phase::Arrived);
    tokio::time::sleep(delays.0).await;
    let mut but = json!({});
    match &fault {
        Some(Fault::LostBefore) => return lost(),
        Some(Fault::Hangs) => std::future::pending().await,
        Some(Fault::Says(status, name, value, body)) => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
            let response = Response::builder()
                .status(*status)
                .header("content-type", kind)
                .header(*name, *value);
            return response.body(Body::from(body.clone())).unwrap();
        }
        Some(Fault::But(members)) => but = members.clone(),
        Some(Fault::Slow(time)) => tokio::time::sleep(*time).await,
        Some(Fault::LostAfter) | None => {}
    }
    let sent = match headers.get("authorization") {
        Some(basic) => {
            let basic = STANDARD.decode(basic.to_str().unwrap().trim_start_matches("Basic ")).unwrap();
            String::from_utf8(basic).unwrap().rsplit_once(':').unwrap().1.to_owned()
        }
        None => proof(&form),
    };
    let refused = state.lock().unwrap().takes.as_ref().is_some_and(|takes| !takes.contains(&sent));
    if refused {
        return json_answer(
            401,
            &json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}),
        );
    }
    let redeemed = {
        let mut state = state.lock().unwrap();
        match form.get("grant_type").map(String::as_str) {
            // Nobody signed in, and nothing is there to be renewed: the same question again.
            Some("client_credentials" | "password" | "urn:ietf:params:oauth:grant-type:jwt-bearer") => Some(state.anew()),
            _ => state.redeem(form.get("refresh_token").map(String::as_str).unwrap_or_default()),
        }
    };
    tell(Phase::Rotated);
    tokio::time::sleep(delays.1).await;
    let Some(mut document) = redeemed else {
        return json_answer(
            400,
            &json!({"error": "invalid_grant", "error_description": "the refresh token was used before"}),
        );
    };
    if matches!(fault, Some(Fault::LostAfter)) {
        return lost();
    }
    for (name, value) in but.as_object().unwrap() {
        document[name] = value.clone();
    }
    json_answer(200, &document)
}
