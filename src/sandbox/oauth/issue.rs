//! Tokens: access tokens as each house writes them, ID tokens, refresh tokens.

use super::json_answer;
use super::scopes::{self, GRAPH, IDENTITY};
use crate::sandbox::fault::Fault;
use crate::sandbox::state::{Access, Grant, House, Shared, TENANT};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

/// What goes into an answer of the token endpoint.
pub(super) struct Issue {
    pub house: House,
    /// All that was agreed to.
    pub grant: Grant,
    /// What the access token may do: scopes, or roles without a user.
    pub permissions: Vec<String>,
    /// The resource of the access token.
    pub audience: String,
    /// Give a refresh token along.
    pub refresh: Option<String>,
    pub nonce: Option<String>,
    /// How the client proved itself: 0 not at all, 1 secret, 2 certificate.
    pub proof: u8,
}

/// Writes the tokens down and answers with them.
pub(super) fn answer(shared: &Shared, issue: Issue) -> Response {
    let Issue { house, mut grant, .. } = issue;
    let life = shared.settings().access_life;
    let now = shared.now();
    let mut permissions = issue.permissions;
    if grant.user.is_some() && shared.faults().hits(Fault::MissingScope) {
        let sends = |scope: &String| scope.ends_with("SMTP.Send") || scope.ends_with("Mail.Send");
        let before = permissions.len();
        permissions.retain(|scope| !sends(scope));
        if permissions.len() == before {
            permissions.retain(|scope| IDENTITY.contains(&scope.as_str()));
        }
    }
    let token = match house {
        House::Microsoft => readable(shared, &grant, &permissions, &issue.audience, issue.proof, life),
        House::Google => format!("ya29.{}", shared.opaque(160)),
        House::Open => shared.opaque(32),
    };
    let mut document = json!({"token_type": "Bearer", "access_token": token, "expires_in": life});
    if house == House::Microsoft {
        document["ext_expires_in"] = life.into();
    }
    if grant.user.is_some() {
        let told: Vec<String> = match house {
            House::Google => permissions.iter().map(|scope| google_name(scope)).collect(),
            _ => permissions.clone(),
        };
        document["scope"] = told.join(" ").into();
    }
    if let Some(refresh) = issue.refresh.filter(|_| !shared.faults().is_on(Fault::NoRefreshToken)) {
        document["refresh_token"] = refresh.into();
    }
    let asked_identity = grant.scopes.iter().any(|scope| scope == "openid");
    if let Some(user) = grant.user.clone().filter(|_| asked_identity)
        && let Some(id_token) = identity(shared, house, &grant.client, &user, issue.nonce.as_deref(), life)
    {
        document["id_token"] = id_token.into();
    }
    grant.scopes = permissions;
    let access = Access {
        grant,
        audience: issue.audience,
        ends: now.plus(life),
    };
    shared.world().access.insert(token, access);
    json_answer(StatusCode::OK, &document)
}

/// Google answers with the long names.
fn google_name(scope: &str) -> String {
    match scope {
        "email" | "profile" => format!("https://www.googleapis.com/auth/userinfo.{scope}"),
        other => other.to_owned(),
    }
}

/// A new refresh token for a grant.
pub fn refresh_token(shared: &Shared, house: House, grant: &Grant) -> String {
    let token = match house {
        House::Microsoft => format!("1.AXkA{}", shared.opaque(420)),
        House::Google => format!("1//0{}", shared.opaque(70)),
        House::Open => shared.opaque(40),
    };
    shared.world().refresh.insert(token.clone(), grant.clone());
    token
}

/// Entra's access token in its v1 form, which Exchange and Graph take.
fn readable(shared: &Shared, grant: &Grant, permissions: &[String], audience: &str, proof: u8, life: i64) -> String {
    let now = shared.now();
    let mut claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now.0, "nbf": now.0, "exp": now.0 + life,
        "appid": grant.client, "appidacr": proof.to_string(), "tid": TENANT, "ver": "1.0", "uti": shared.opaque(16),
    });
    let (app_name, app_oid) = {
        let world = shared.world();
        let client = world.client(&grant.client);
        client.map(|client| (client.name.clone(), client.oid.clone())).unwrap_or_default()
    };
    claims["app_displayname"] = app_name.into();
    let names: Vec<&str> = permissions
        .iter()
        .filter_map(|scope| scopes::split(shared, scope).ok())
        .map(|(_, name)| name)
        .collect();
    match &grant.user {
        Some(user) => {
            let person = shared.world().person(user).cloned();
            let (oid, name) = person.map(|person| (person.oid, person.name)).unwrap_or_default();
            claims["idtyp"] = "user".into();
            claims["oid"] = oid.clone().into();
            claims["sub"] = oid.into();
            claims["upn"] = user.as_str().into();
            claims["unique_name"] = user.as_str().into();
            claims["name"] = name.into();
            claims["amr"] = json!(["pwd"]);
            claims["scp"] = names.join(" ").into();
        }
        None => {
            claims["idtyp"] = "app".into();
            claims["oid"] = app_oid.clone().into();
            claims["sub"] = app_oid.into();
            if !permissions.is_empty() {
                claims["roles"] = json!(permissions);
            }
        }
    }
    // Real ones are this long, which is what breaks short lines.
    let size = claims.to_string().len() * 4 / 3 + 450;
    let missing = shared.settings().token_size.saturating_sub(size);
    claims["aio"] = shared.opaque(missing * 9 / 16).into();
    shared.keys().sign(&claims)
}

fn identity(shared: &Shared, house: House, client: &str, user: &str, nonce: Option<&str>, life: i64) -> Option<String> {
    let now = shared.now();
    let person = shared.world().person(user).cloned()?;
    let mut claims = json!({
        "iss": shared.issuer(house), "aud": client, "sub": person.oid, "iat": now.0, "exp": now.0 + life,
        "email": person.address, "name": person.name,
    });
    let more = match house {
        House::Microsoft => json!({"oid": person.oid, "tid": TENANT, "preferred_username": person.address, "ver": "2.0", "nbf": now.0}),
        House::Google => json!({"azp": client, "email_verified": true, "hd": person.address.rsplit('@').next()}),
        House::Open => json!({"email_verified": true, "preferred_username": person.address}),
    };
    if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
        claims.extend(more);
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
    }
    Some(shared.keys().sign(&claims))
}

/// The audience of tokens for a house without resources.
pub(super) fn audience(house: House, resource: Option<&'static str>) -> String {
    match house {
        House::Microsoft => resource.unwrap_or(GRAPH).to_owned(),
        _ => String::new(),
    }
}
