//! The authorization endpoint: the request checked, and the first page of the sign-in chosen by `prompt`.

use super::error::{self, Refusal};
use super::flow;
use super::{check_tenant, fields, pages, scopes, take};
use crate::sandbox::state::{AppClient, House, Pending, Shared};
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

/// `GET /{tenant}/oauth2/v2.0/authorize`.
pub(super) async fn tenant(State(shared): State<Shared>, Path(tenant): Path<String>, query: RawQuery, headers: HeaderMap) -> Response {
    begin(State(shared), query, headers, House::Microsoft, Some(tenant)).await
}

/// The authorization endpoint of any house.
pub(super) async fn begin(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    house: House,
    tenant: Option<String>,
) -> Response {
    let query = fields(query.unwrap_or_default().as_bytes());
    if let Some(Err(refusal)) = tenant.map(|tenant| check_tenant(&tenant)) {
        return pages::refused(house, &refusal.description(&shared));
    }
    let id = take(&query, "client_id");
    let found = shared.world().client(id).filter(|client| client.house == house).cloned();
    let Some(client) = found else {
        let text = match house {
            House::Google => "Error 401: deleted_client\r\nThe OAuth client was deleted.".to_owned(),
            _ => error::client_unknown(house, id).description(&shared),
        };
        return pages::refused(house, &text);
    };
    let redirect_uri = take(&query, "redirect_uri");
    if !is_registered(&client, redirect_uri) {
        // Never back to an address nobody vouched for.
        let text = match client.redirect_uris.is_empty() {
            true if house == House::Microsoft => {
                Refusal::entra("invalid_request", 500_113, "No reply address is registered for the application.").description(&shared)
            }
            _ => error::redirect_differs(house, redirect_uri, id).description(&shared),
        };
        return pages::refused(house, &text);
    }
    let text = |name: &str| query.get(name).cloned();
    let mut pending = Pending {
        house,
        client: client.id,
        redirect_uri: redirect_uri.to_owned(),
        scopes: Vec::new(),
        state: text("state"),
        nonce: text("nonce"),
        challenge: text("code_challenge"),
        prompt: take(&query, "prompt")
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
        login_hint: text("login_hint"),
        offline: take(&query, "access_type") == "offline",
        form_post: take(&query, "response_mode") == "form_post",
        user: None,
    };
    match check(&shared, house, &query, &mut pending) {
        Ok(()) => flow::begin(&shared, &headers, pending),
        Err(refusal) => flow::refuse(&shared, &pending, &refusal),
    }
}

/// Exactly, but for the port of this machine where Microsoft's house ignores it.
fn is_registered(client: &AppClient, uri: &str) -> bool {
    let without_port = |text: &str| {
        let mut url = url::Url::parse(text).ok()?;
        (url.host_str() == Some("localhost") && url.set_port(None).is_ok()).then(|| url.to_string())
    };
    let same = |known: &String| {
        known == uri || (client.house == House::Microsoft && without_port(known).is_some_and(|known| Some(known) == without_port(uri)))
    };
    !uri.is_empty() && client.redirect_uris.iter().any(same)
}

fn check(shared: &Shared, house: House, query: &super::Fields, pending: &mut Pending) -> Result<(), Refusal> {
    if take(query, "response_type") != "code" {
        let text = "The authorization server does not support this response type.";
        return Err(Refusal::plain("unsupported_response_type", text));
    }
    if pending.challenge.is_some() && take(query, "code_challenge_method") != "S256" {
        let text = "code_challenge_method has to be S256.";
        return Err(Refusal::of(house, "invalid_request", (501_491, text.to_owned()), text, text));
    }
    if pending.challenge.is_none() && house == House::Open {
        return Err(Refusal::plain(
            "invalid_request",
            "Authorization Server policy requires PKCE to be used for this request",
        ));
    }
    let known: &[&str] = match house {
        House::Google => &["none", "consent", "select_account"],
        _ => &["none", "login", "consent", "select_account"],
    };
    if let Some(unknown) = pending.prompt.iter().find(|word| !known.contains(&word.as_str())) {
        let text = format!("Unsupported 'prompt' value '{unknown}'.");
        return Err(Refusal::of(house, "invalid_request", (90023, text.clone()), &text, &text));
    }
    if pending.prompt.len() > 1 && (house == House::Microsoft || pending.prompt.iter().any(|word| word == "none")) {
        let text = "The value of 'prompt' is not valid.";
        return Err(Refusal::of(house, "invalid_request", (90023, text.to_owned()), text, text));
    }
    let scope = take(query, "scope");
    if scope.is_empty() {
        return Err(error::parameter_missing(house, "scope"));
    }
    pending.scopes = scopes::parse(shared, house, scope)?;
    Ok(())
}
