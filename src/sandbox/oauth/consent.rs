//! Admin consent, as Microsoft has it: for everybody, and with its odd answers.

use super::error::{self, Refusal};
use super::pages::{self, Choice};
use super::scopes::{self, GRAPH, OUTLOOK};
use super::{check_tenant, fields, take};
use crate::sandbox::state::{House, Shared, TENANT};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// `GET /{tenant}/v2.0/adminconsent`, and the older form without a version.
pub(super) async fn show(State(shared): State<Shared>, Path(tenant): Path<String>, RawQuery(query): RawQuery) -> Response {
    let query = fields(query.unwrap_or_default().as_bytes());
    let refused = |refusal: &Refusal| pages::refused(House::Microsoft, &refusal.description(&shared));
    if let Err(refusal) = check_tenant(&tenant) {
        return refused(&refusal);
    }
    if tenant.eq_ignore_ascii_case("common") {
        let text = "No tenant-identifying information found in either the request or implied by any provided credentials.";
        return refused(&Refusal::entra("invalid_request", 50059, text));
    }
    let id = take(&query, "client_id");
    let Some(client) = shared.world().client(id).filter(|client| client.house == House::Microsoft).cloned() else {
        return refused(&error::client_unknown(House::Microsoft, id));
    };
    let redirect_uri = take(&query, "redirect_uri");
    if !client.redirect_uris.iter().any(|known| known == redirect_uri) {
        return refused(&error::redirect_differs(House::Microsoft, redirect_uri, id));
    }
    let scope = match take(&query, "scope") {
        "" => format!("{GRAPH}/.default"),
        scope => scope.to_owned(),
    };
    let asked = match scopes::parse(&shared, House::Microsoft, &scope) {
        Ok(asked) => asked,
        Err(refusal) => return refused(&refusal),
    };
    let is_default = asked.iter().any(|scope| scope.ends_with("/.default"));
    let mut shown = asked;
    if is_default {
        shown.extend(client.roles.iter().map(|role| format!("{role} (application)")));
    }
    let people: Vec<Choice> = shared
        .world()
        .people
        .iter()
        .filter(|person| person.house == House::Microsoft && !person.is_shared)
        .map(|person| Choice::new(person, false))
        .collect();
    let hidden = [
        ("client_id", id),
        ("redirect_uri", redirect_uri),
        ("state", take(&query, "state")),
        ("scope", &scope),
    ];
    pages::admin_consent(&client.name, &shown, people, &hidden)
}

/// `POST /sandbox/adminconsent`.
pub(super) async fn decided(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = fields(&body);
    let id = take(&form, "client_id");
    let redirect_uri = take(&form, "redirect_uri");
    let Some(client) = shared.world().client(id).cloned() else {
        return pages::said("This page is out of date", "Begin again where you came from.");
    };
    let known = client.redirect_uris.iter().any(|known| known == redirect_uri);
    let Some(mut url) = url::Url::parse(redirect_uri).ok().filter(|_| known) else {
        return pages::said("This page is out of date", "Begin again where you came from.");
    };
    let is_admin = shared.world().person(take(&form, "account")).is_some_and(|person| person.is_admin);
    let scope = take(&form, "scope");
    {
        let mut answer = url.query_pairs_mut();
        if take(&form, "decision") != "allow" {
            // The flag comes along although nothing was consented to.
            let refusal = Refusal::entra("access_denied", 65004, "User declined to consent to access the app.");
            answer.append_pair("error", refusal.error);
            answer.append_pair("error_description", &refusal.description(&shared));
            answer.append_pair("admin_consent", "True");
        } else if !is_admin {
            let refusal = error::admin_needed(&client.name);
            answer.append_pair("error", refusal.error);
            answer.append_pair("error_description", &refusal.description(&shared));
            answer.append_pair("admin_consent", "True");
            answer.append_pair("tenant", TENANT);
        } else {
            grant(&shared, &client.id, scope);
            answer.append_pair("admin_consent", "True");
            answer.append_pair("tenant", TENANT);
            answer.append_pair("scope", scope);
        }
        if !take(&form, "state").is_empty() {
            answer.append_pair("state", take(&form, "state"));
        }
    }
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(value) = HeaderValue::from_str(url.as_str()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Everybody of the organisation has agreed from now on.
fn grant(shared: &Shared, client: &str, scope: &str) {
    let all = |resource: &str, names: &[&str]| names.iter().map(|name| format!("{resource}/{name}")).collect::<Vec<_>>();
    let mut agreed: Vec<String> = Vec::new();
    for one in scope.split(' ').filter(|one| !one.is_empty()) {
        match scopes::split(shared, one) {
            Ok((OUTLOOK, ".default")) => {
                for resource in [OUTLOOK, "https://outlook.office365.com"] {
                    agreed.extend(all(resource, &["IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send"]));
                }
            }
            Ok((_, ".default")) => agreed.extend(all(GRAPH, &["Mail.Read", "Mail.ReadWrite", "Mail.Send", "User.Read"])),
            _ => agreed.push(one.to_owned()),
        }
    }
    let mut world = shared.world();
    for scope in agreed {
        world.consents.insert((client.to_owned(), "*".to_owned(), scope));
    }
}
