//! Signing in with a second device (RFC 8628).

use super::client_auth::Proved;
use super::error::{self, Refusal};
use super::pages::{self, Choice};
use super::token::Asked;
use super::{Fields, check_tenant, fields, grants, issue, json_answer, scopes, take};
use crate::sandbox::state::{Device, Grant, House, Shared};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// No vowels, and nothing that looks like something else.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
pub(super) async fn tenant(State(shared): State<Shared>, Path(tenant): Path<String>, body: Bytes) -> Response {
    match check_tenant(&tenant) {
        Ok(()) => begin(State(shared), body, House::Microsoft).await,
        Err(refusal) => refusal.answer(&shared),
    }
}

/// Hands out a pair of codes.
pub(super) async fn begin(State(shared): State<Shared>, body: Bytes, house: House) -> Response {
    start(&shared, &fields(&body), house).unwrap_or_else(|refusal| refusal.answer(&shared))
}

fn start(shared: &Shared, form: &Fields, house: House) -> Result<Response, Refusal> {
    let id = take(form, "client_id");
    if id.is_empty() {
        return Err(error::parameter_missing(house, "client_id"));
    }
    let known = shared.world().client(id).is_some_and(|client| client.house == house);
    if !known {
        return Err(error::client_unknown(house, id));
    }
    let scopes = scopes::parse(shared, house, take(form, "scope"))?;
    if house == House::Google
        && let Some(scope) = scopes
            .iter()
            .find(|scope| !["openid", "email", "profile"].contains(&scope.as_str()))
    {
        return Err(Refusal::plain("invalid_scope", format!("Invalid device flow scope: {scope}")));
    }
    let mut octets = [0; 9];
    shared.fill(&mut octets);
    let user_code: String = octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 20)])).collect();
    let (code, settings) = (shared.opaque(32), shared.settings());
    let grant = Grant {
        client: id.to_owned(),
        user: None,
        scopes,
        family: shared.world().new_family(),
    };
    let device = Device {
        user_code: user_code.clone(),
        grant,
        ends: shared.now().plus(settings.device_life),
        interval: settings.device_interval,
        asked_at: None,
        decided: None,
    };
    shared.world().devices.insert(code.clone(), device);
    let page = format!("{}/devicelogin", shared.base());
    let mut document = json!({
        "device_code": code, "user_code": user_code, "expires_in": settings.device_life, "interval": settings.device_interval,
    });
    match house {
        House::Google => document["verification_url"] = page.into(),
        House::Microsoft => {
            let text = format!("To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate.");
            document["message"] = text.into();
            document["verification_uri"] = page.into();
        }
        House::Open => {
            document["verification_uri_complete"] = format!("{page}?code={user_code}").into();
            document["verification_uri"] = page.into();
        }
    }
    Ok(json_answer(StatusCode::OK, &document))
}

/// The token endpoint's half: has somebody decided?
pub(super) fn exchange(asked: &Asked<'_>, proved: Proved) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    let code = asked.needed("device_code")?;
    let now = shared.now();
    let expired = || {
        let text = "The provided value for the input parameter 'device_code' is not valid. This device code has expired.";
        let plain = "The device code has expired.";
        Refusal::of(house, "expired_token", (70020, text.to_owned()), plain, plain)
    };
    let grant = {
        let mut world = shared.world();
        let device = world.devices.get_mut(code).filter(|device| device.grant.client == proved.client.id);
        let Some(device) = device else {
            let text = "The provided value for the input parameter 'device_code' is not valid.";
            return Err(Refusal::of(house, "invalid_grant", (70018, text.to_owned()), text, text));
        };
        if device.ends <= now {
            return Err(expired());
        }
        let too_soon = device.asked_at.is_some_and(|last| now.since(last) < device.interval);
        device.asked_at = Some(now);
        match device.decided {
            Some(true) => {}
            Some(false) if house == House::Microsoft => {
                return Err(Refusal::plain(
                    "authorization_declined",
                    "The end user denied the authorization request.",
                ));
            }
            Some(false) => return Err(Refusal::plain("access_denied", "The resource owner denied the request.")),
            None if too_soon => {
                device.interval += 5;
                return Err(Refusal::plain("slow_down", "You are polling too quickly."));
            }
            None => {
                let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
                let plain = "The authorization request is still pending.";
                return Err(Refusal::of(house, "authorization_pending", (70016, text.to_owned()), plain, plain));
            }
        }
        let grant = device.grant.clone();
        world.devices.remove(code);
        grant
    };
    let offline = house == House::Google || grant.scopes.iter().any(|scope| scope == "offline_access");
    let refresh = offline.then(|| issue::refresh_token(shared, house, &grant));
    grants::for_user(asked, &proved, grant, None, refresh)
}

/// `GET /devicelogin`: asks for the code, or shows what it is for.
pub(super) async fn page(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = fields(query.unwrap_or_default().as_bytes());
    match take(&query, "code") {
        "" => pages::device(""),
        code => show(&shared, code),
    }
}

fn show(shared: &Shared, code: &str) -> Response {
    let typed: String = code.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_uppercase();
    let now = shared.now();
    let world = shared.world();
    let waits = |device: &&Device| device.user_code == typed && device.ends > now && device.decided.is_none();
    let device = world.devices.values().find(waits);
    let Some((device, client)) = device.and_then(|device| Some((device, world.client(&device.grant.client)?))) else {
        return pages::device("That code didn't work. Check the code and try again.");
    };
    let people: Vec<Choice> = world
        .people
        .iter()
        .filter(|person| person.house == client.house && !person.is_shared)
        .map(|person| Choice::new(person, false))
        .collect();
    pages::device_consent(client.house, &client.name, &typed, &device.grant.scopes, people)
}

/// `POST /devicelogin`: the code, then who and whether.
pub(super) async fn decided(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = fields(&body);
    let code = take(&form, "code").to_owned();
    let decision = take(&form, "decision");
    if decision.is_empty() {
        return show(&shared, &code);
    }
    let now = shared.now();
    let mut world = shared.world();
    let user = world
        .person(take(&form, "account"))
        .filter(|person| !person.is_shared)
        .map(|person| (person.address.clone(), person.house));
    let waits = |device: &&mut Device| device.user_code == code && device.ends > now && device.decided.is_none();
    let Some(device) = world.devices.values_mut().find(waits) else {
        return pages::device("That code didn't work. Check the code and try again.");
    };
    let (client, scopes) = (device.grant.client.clone(), device.grant.scopes.clone());
    match (decision, user) {
        ("allow", Some((address, _))) => {
            device.decided = Some(true);
            device.grant.user = Some(address.clone());
            for scope in scopes {
                world.consents.insert((client.clone(), address.clone(), scope));
            }
            pages::said("You have signed in", "Go back to the other device; this page can be closed.")
        }
        ("allow", None) => pages::device("Choose an account."),
        _ => {
            device.decided = Some(false);
            pages::said(
                "Sign-in was cancelled",
                "The other device will hear of it; this page can be closed.",
            )
        }
    }
}
