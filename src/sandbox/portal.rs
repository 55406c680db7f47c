//! What an admin of the provider does in its own console: an app registered, addresses, secrets and certificates given to it, and, as in
//! Exchange, mailboxes opened to it. Plain forms, for the demo and for tests that play such an admin.

use super::keys::{AppCertificate, service_account_key};
use super::state::{AppClient, AppSecret, House, Person, Shared};
use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

/// Nothing but the one style sheet, and forms to itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "sandbox/portal.html")]
struct Portal {
    title: &'static str,
    house: &'static str,
    clients: Vec<(String, String)>,
    done: String,
    /// What was made, to be copied.
    made: String,
}

/// Its one page.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/sandbox/portal", get(show).post(act))
}

fn page(shared: &Shared, status: StatusCode, done: &str, made: String) -> Response {
    let clients = shared
        .world()
        .clients
        .iter()
        .map(|one| (one.id.clone(), one.name.clone()))
        .collect();
    let portal = Portal {
        title: "Sandbox portal",
        house: "of all three",
        clients,
        done: done.to_owned(),
        made,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match portal.render() {
        Ok(text) => (status, headers, text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn show(State(shared): State<Shared>) -> Response {
    page(&shared, StatusCode::OK, "", String::new())
}

async fn act(State(shared): State<Shared>, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let take = |name: &str| form.get(name).map(|text| text.trim()).unwrap_or_default().to_owned();
    match perform(&shared, take) {
        Ok((done, made)) => page(&shared, StatusCode::OK, done, made),
        Err(why) => page(&shared, StatusCode::UNPROCESSABLE_ENTITY, why, String::new()),
    }
}

fn perform(shared: &Shared, take: impl Fn(&str) -> String) -> Result<(&'static str, String), &'static str> {
    let id = take("client");
    let value = take("value");
    let done = match take("act").as_str() {
        "register" => {
            let (house, id) = match take("house").as_str() {
                "google" => (House::Google, format!("{}.apps.googleusercontent.com", shared.guid())),
                "open" => (House::Open, format!("client-{}", shared.guid())),
                _ => (House::Microsoft, shared.guid()),
            };
            let mut client = AppClient::new(house, &id, "Mail Console", "");
            client.secrets.clear();
            shared.world().clients.push(client);
            return Ok(("The app is registered.", id));
        }
        "service" => {
            let key_id = shared.guid().replace('-', "");
            let (pem, certificate) = service_account_key(&key_id).map_err(|_| "No key could be made.")?;
            let email = format!("console-{}@sandbox.iam.gserviceaccount.com", &key_id[..6]);
            let number: String = key_id.bytes().take(21).map(|octet| char::from(b'0' + octet % 10)).collect();
            let mut client = AppClient::new(House::Google, &number, "Service account", "");
            client.secrets.clear();
            client.certificates.push(certificate);
            client.service_account = Some(email.clone());
            shared.world().clients.push(client);
            let file = serde_json::json!({
                "type": "service_account", "project_id": "sandbox", "private_key_id": key_id, "private_key": pem, "client_email": email,
                "client_id": number, "token_uri": format!("{}/google/token", shared.base()), "universe_domain": "googleapis.com",
            });
            return Ok(("The service account is made.", file.to_string()));
        }
        "account" | "shared" => {
            let house = match take("house").as_str() {
                "google" => House::Google,
                "open" => House::Open,
                _ => House::Microsoft,
            };
            let mut person = Person::new(house, &take("mailbox"), "Somebody new");
            person.is_shared = take("act") == "shared";
            let mut world = shared.world();
            world.mail.create(&person.address);
            world.people.push(person);
            return Ok(("The account is opened.", String::new()));
        }
        "secret" => {
            let text = format!("made.{}", shared.opaque(24));
            let mut world = shared.world();
            let client = world.client_mut(&id).ok_or("There is no such app.")?;
            client.secrets.push(AppSecret {
                value: text.clone(),
                ends: None,
            });
            return Ok(("The secret is made.", text));
        }
        "delegate" | "open" => {
            let mailbox = take("mailbox");
            let mut world = shared.world();
            let person = world.people.iter_mut().find(|person| person.address.eq_ignore_ascii_case(&mailbox));
            let person = person.ok_or("There is no such mailbox.")?;
            match take("act").as_str() {
                "open" => person.apps.push(id),
                _ => person.delegates.push(value),
            }
            "The mailbox is opened."
        }
        other => {
            let certificate = match other {
                "certificate" => Some(certificate(&value).ok_or("That is no certificate.")?),
                _ => None,
            };
            let mut world = shared.world();
            let client = world.client_mut(&id).ok_or("There is no such app.")?;
            match other {
                "redirect" => client.redirect_uris.push(value),
                "unredirect" => client.redirect_uris.retain(|known| *known != value),
                "certificate" => client.certificates.extend(certificate),
                "unsecret" => client.secrets.retain(|known| known.value != value),
                "roles" => client.roles = value.split([' ', ',']).filter(|one| !one.is_empty()).map(str::to_owned).collect(),
                "public" => client.is_public = value == "yes",
                _ => return Err("That can't be done here."),
            }
            "The app is changed."
        }
    };
    Ok((done, String::new()))
}

/// A certificate in PEM, or in DER as base64.
fn certificate(text: &str) -> Option<AppCertificate> {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    AppCertificate::from_der(&STANDARD.decode(body).ok()?)
}
