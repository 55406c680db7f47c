//! The pages of a sign-in, one after the other: account, password, consent, and the way back.

use super::error::{self, Refusal};
use super::pages::{self, Choice};
use super::scopes::IDENTITY;
use super::{Fields, fields, take};
use crate::sandbox::fault::Fault;
use crate::sandbox::state::{Code, Grant, House, Pending, Person, Shared};
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Cookie that tells browsers apart.
const COOKIE: &str = "sandbox_browser";
/// Seconds a code lives.
const CODE_LIFE: i64 = 600;

fn browser(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split("; ")
        .find_map(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('='))
        .map(str::to_owned)
}

/// Who is signed in in this browser, at this house.
fn signed_in(shared: &Shared, headers: &HeaderMap, house: House) -> Vec<String> {
    let world = shared.world();
    let known = browser(headers).and_then(|browser| world.browsers.get(&browser).cloned());
    let of_house = |address: &String| world.person(address).is_some_and(|person| person.house == house);
    known.unwrap_or_default().into_iter().filter(of_house).collect()
}

fn go(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn has(pending: &Pending, word: &str) -> bool {
    pending.prompt.iter().any(|prompt| prompt == word)
}

/// Chooses the first page; with `prompt=none` there is none.
pub(super) fn begin(shared: &Shared, headers: &HeaderMap, mut pending: Pending) -> Response {
    let accounts = signed_in(shared, headers, pending.house);
    let hinted = pending.login_hint.as_ref().and_then(|hint| {
        let mut accounts = accounts.iter();
        accounts.find(|account| account.eq_ignore_ascii_case(hint)).cloned()
    });
    let only = (accounts.len() == 1).then(|| accounts[0].clone());
    let user = hinted.or(only.filter(|_| pending.login_hint.is_none()));
    if has(&pending, "none") {
        let Some(user) = user else {
            let text = "A silent sign-in request was sent but no user is signed in.";
            let refusal = match accounts.len() {
                0 => Refusal::of(pending.house, "login_required", (50058, text.to_owned()), text, text),
                _ => Refusal::of(
                    pending.house,
                    "interaction_required",
                    (
                        16000,
                        "Either multiple user identities are available for the current request or selected account is not supported."
                            .to_owned(),
                    ),
                    text,
                    text,
                ),
            };
            return refuse(shared, &pending, &refusal);
        };
        pending.user = Some(user.clone());
        if needs_consent(shared, &pending, &user) {
            let (client, name) = (pending.client.clone(), app_name(shared, &pending.client));
            let mut refusal = error::consent_missing(House::Microsoft, &client, &name);
            refusal.error = "consent_required";
            if pending.house != House::Microsoft {
                refusal = Refusal::plain("consent_required", "The user has to agree first.");
            }
            return refuse(shared, &pending, &refusal);
        }
        return finish(shared, pending);
    }
    let page = match user {
        Some(user) if !has(&pending, "login") && !has(&pending, "select_account") => {
            pending.user = Some(user);
            "consent"
        }
        _ if has(&pending, "login") => "login",
        _ => "account",
    };
    let id = shared.opaque(18);
    shared.world().pending.insert(id.clone(), pending);
    go(&format!("/sandbox/{page}?flow={id}"))
}

fn app_name(shared: &Shared, client: &str) -> String {
    shared.world().client(client).map(|client| client.name.clone()).unwrap_or_default()
}

/// The request a page belongs to.
fn find(shared: &Shared, form: &Fields) -> Result<(String, Pending), Box<Response>> {
    let id = take(form, "flow").to_owned();
    let found = shared.world().pending.get(&id).cloned();
    found
        .map(|pending| (id, pending))
        .ok_or_else(|| Box::new(pages::said("This sign-in is over", "Begin again where you came from.")))
}

/// The account picker.
pub(super) async fn pick(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (id, pending) = match find(&shared, &fields(query.unwrap_or_default().as_bytes())) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let accounts = signed_in(&shared, &headers, pending.house);
    let world = shared.world();
    let mut people: Vec<Choice> = world
        .people
        .iter()
        .filter(|person| person.house == pending.house && !person.is_shared)
        .map(|person| Choice::new(person, accounts.contains(&person.address)))
        .collect();
    let is_hinted = |choice: &Choice| {
        pending
            .login_hint
            .as_ref()
            .is_some_and(|hint| hint.eq_ignore_ascii_case(&choice.address))
    };
    people.sort_by_key(|choice| (!is_hinted(choice), !choice.signed_in));
    let name = world.client(&pending.client).map(|client| client.name.clone()).unwrap_or_default();
    drop(world);
    pages::pick(pending.house, &name, &id, people)
}

/// An account was picked. Nobody asks for passwords here: this is a sandbox.
pub(super) async fn picked(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let form = fields(&body);
    let (id, pending) = match find(&shared, &form) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let account = take(&form, "account");
    if account.is_empty() {
        return go(&format!("/sandbox/login?flow={id}"));
    }
    let person = shared.world().person(account).cloned();
    match person.filter(|person| person.house == pending.house && !person.is_shared) {
        Some(person) => enter(&shared, &headers, id, pending, &person),
        None => go(&format!("/sandbox/account?flow={id}")),
    }
}

/// The sign-in page with a password.
pub(super) async fn login(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    match find(&shared, &fields(query.unwrap_or_default().as_bytes())) {
        Ok((id, pending)) => pages::login(pending.house, &id, pending.login_hint.as_deref().unwrap_or_default(), ""),
        Err(response) => *response,
    }
}

/// Address and password were typed.
pub(super) async fn logged_in(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let form = fields(&body);
    let (id, pending) = match find(&shared, &form) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let (account, password) = (take(&form, "account"), take(&form, "password"));
    let person = shared.world().person(account.trim()).cloned();
    let right = |person: &Person| person.house == pending.house && !person.is_shared && person.password == password;
    match person.filter(right) {
        Some(person) => enter(&shared, &headers, id, pending, &person),
        None => {
            let text = "Your account or password is incorrect.";
            pages::login(pending.house, &id, account, text)
        }
    }
}

/// Somebody has signed in; on to the consent page.
fn enter(shared: &Shared, headers: &HeaderMap, id: String, mut pending: Pending, person: &Person) -> Response {
    let known = browser(headers);
    let browser = known.clone().unwrap_or_else(|| shared.opaque(18));
    {
        let mut world = shared.world();
        let accounts = world.browsers.entry(browser.clone()).or_default();
        if !accounts.contains(&person.address) {
            accounts.push(person.address.clone());
        }
        pending.user = Some(person.address.clone());
        world.pending.insert(id.clone(), pending);
    }
    let mut response = go(&format!("/sandbox/consent?flow={id}"));
    if known.is_none()
        && let Ok(cookie) = HeaderValue::from_str(&format!("{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax"))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn needs_consent(shared: &Shared, pending: &Pending, user: &str) -> bool {
    let world = shared.world();
    let asks = pending.scopes.iter().filter(|scope| !IDENTITY.contains(&scope.as_str()));
    has(pending, "consent")
        || shared.faults().is_on(Fault::ConsentMissing)
        || shared.faults().is_on(Fault::AdminConsentNeeded)
        || asks.clone().any(|scope| !world.has_consented(&pending.client, user, scope))
}

/// The consent page, if one is needed.
pub(super) async fn consent(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let (id, pending) = match find(&shared, &fields(query.unwrap_or_default().as_bytes())) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let Some(user) = pending.user.clone() else {
        return go(&format!("/sandbox/account?flow={id}"));
    };
    if !needs_consent(&shared, &pending, &user) {
        return finish(&shared, pending);
    }
    let name = app_name(&shared, &pending.client);
    let is_admin = shared.world().person(&user).is_some_and(|person| person.is_admin);
    if shared.faults().hits(Fault::AdminConsentNeeded) && !is_admin {
        return pages::approval_needed(pending.house, &name, &id, &user);
    }
    let scopes: Vec<String> = pending
        .scopes
        .iter()
        .filter(|scope| !["openid"].contains(&scope.as_str()))
        .cloned()
        .collect();
    pages::consent(
        pending.house,
        &name,
        &id,
        &user,
        &scopes,
        is_admin && pending.house == House::Microsoft,
    )
}

/// Yes or no.
pub(super) async fn consented(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = fields(&body);
    let (_, mut pending) = match find(&shared, &form) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let Some(user) = pending.user.clone() else {
        return go(&format!("/sandbox/account?flow={}", take(&form, "flow")));
    };
    if take(&form, "decision") == "blocked" {
        let refusal = match pending.house {
            House::Microsoft => error::admin_needed(&app_name(&shared, &pending.client)),
            House::Google => Refusal::plain("admin_policy_enforced", "Access blocked: Authorization Error"),
            House::Open => Refusal::plain("access_denied", "The resource owner or authorization server denied the request."),
        };
        return refuse(&shared, &pending, &refusal);
    }
    if take(&form, "decision") != "allow" {
        let text = "User declined to consent to access the app.";
        let refusal = match pending.house {
            House::Microsoft => Refusal::entra("consent_required", 65004, text),
            _ => Refusal::plain("access_denied", "The user denied the request."),
        };
        return refuse(&shared, &pending, &refusal);
    }
    // Google lets people untick single permissions.
    let unticked =
        |scope: &String| pending.house == House::Google && scope.contains("://") && !form.contains_key(&format!("scope {scope}"));
    let left_out: Vec<String> = pending.scopes.iter().filter(|scope| unticked(scope)).cloned().collect();
    pending.scopes.retain(|scope| !left_out.contains(scope));
    let who = if form.contains_key("everybody") { "*".to_owned() } else { user };
    {
        let mut world = shared.world();
        for scope in &pending.scopes {
            world.consents.insert((pending.client.clone(), who.clone(), scope.clone()));
        }
    }
    finish(&shared, pending)
}

/// Makes the code and goes back with it.
fn finish(shared: &Shared, pending: Pending) -> Response {
    let mut user = pending.user.clone().unwrap_or_default();
    let mut world = shared.world();
    if shared.faults().hits(Fault::WrongAccount) {
        let other = world.people.iter().find(|person| {
            person.house == pending.house
                && !person.is_shared
                && !person.address.eq_ignore_ascii_case(&user)
                && !person.delegates.contains(&user)
        });
        user = other.map_or(user, |person| person.address.clone());
    }
    let offline = match pending.house {
        House::Google => pending.offline,
        _ => pending.scopes.iter().any(|scope| scope == "offline_access"),
    };
    let code = shared.opaque(48);
    let grant = Grant {
        client: pending.client.clone(),
        user: Some(user),
        scopes: pending.scopes.clone(),
        family: world.new_family(),
    };
    let entry = Code {
        grant,
        redirect_uri: pending.redirect_uri.clone(),
        challenge: pending.challenge.clone(),
        nonce: pending.nonce.clone(),
        offline,
        ends: shared.now().plus(CODE_LIFE),
        is_used: false,
    };
    world.codes.insert(code.clone(), entry);
    // The page is over; its address leads nowhere from now on.
    world
        .pending
        .retain(|_, other| other.state != pending.state || other.client != pending.client);
    drop(world);
    let scope = pending.scopes.join(" ");
    let mut parameters = vec![("code", code)];
    match pending.house {
        House::Microsoft => parameters.push(("session_state", shared.guid())),
        House::Google => parameters.push(("scope", scope)),
        House::Open => {}
    }
    back(shared, &pending, parameters)
}

/// Goes back with a refusal.
pub(super) fn refuse(shared: &Shared, pending: &Pending, refusal: &Refusal) -> Response {
    let text = refusal.description(shared);
    let error = refusal.error.to_owned();
    let mut parameters = vec![("error", error), ("error_description", text)];
    if pending.house == House::Google {
        parameters.pop();
    }
    back(shared, pending, parameters)
}

fn back(shared: &Shared, pending: &Pending, mut parameters: Vec<(&str, String)>) -> Response {
    if let Some(state) = &pending.state {
        parameters.push(("state", state.clone()));
    }
    // RFC 9207; Entra does not.
    if pending.house != House::Microsoft {
        parameters.push(("iss", shared.issuer(pending.house)));
    }
    if pending.form_post {
        return pages::post_back(&pending.redirect_uri, parameters);
    }
    let Ok(mut url) = url::Url::parse(&pending.redirect_uri) else {
        return pages::said("The way back is not an address", &pending.redirect_uri);
    };
    url.query_pairs_mut().extend_pairs(parameters);
    go(url.as_str())
}

/// Forgets who is signed in.
pub(super) async fn sign_out(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Some(browser) = browser(&headers) {
        shared.world().browsers.remove(&browser);
    }
    pages::said("You signed out of your account", "This page can be closed.")
}
