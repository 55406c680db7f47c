//! The grants of the token endpoint; the device code is in a file of its own.

use super::client_auth::{Assertion, Proved};
use super::error::{self, Refusal};
use super::issue::{self, Issue};
use super::scopes::{self, IDENTITY};
use super::token::Asked;
use crate::sandbox::fault::Fault;
use crate::sandbox::state::{Grant, House};
use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// RFC 8628.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 7523.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Answers for somebody: checks the scopes of the request against what was agreed to.
pub(super) fn for_user(
    asked: &Asked<'_>,
    proved: &Proved,
    grant: Grant,
    nonce: Option<String>,
    refresh: Option<String>,
) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    if shared.faults().hits(Fault::PolicyBlocks) {
        return Err(error::policy_blocks(house));
    }
    let wanted = scopes::parse(shared, house, asked.field("scope"))?;
    let (permissions, audience) = if house == House::Microsoft {
        let named = scopes::one_resource(shared, &wanted)?;
        // Without a wish the first resource of the sign-in is meant.
        let first = grant.scopes.iter().find(|scope| !IDENTITY.contains(&scope.as_str()));
        let resource = match (named, first) {
            (Some(resource), _) => resource,
            (None, Some(scope)) => scopes::split(shared, scope)?.0,
            (None, None) => scopes::GRAPH,
        };
        let granted = scopes::of_resource(shared, &grant.scopes, resource);
        let wanted = scopes::of_resource(shared, &wanted, resource);
        let same = |a: &str, b: &str| {
            let name = |scope: &str| {
                scopes::split(shared, scope)
                    .map(|(_, name)| name.to_ascii_lowercase())
                    .unwrap_or_default()
            };
            name(a) == name(b)
        };
        if wanted.iter().any(|wanted| !granted.iter().any(|granted| same(granted, wanted))) {
            return Err(error::consent_missing(house, &proved.client.id, &proved.client.name));
        }
        let kept = if wanted.is_empty() { granted } else { wanted };
        (kept, issue::audience(house, Some(resource)))
    } else {
        if wanted.iter().any(|wanted| !grant.scopes.contains(wanted)) {
            let text = "The requested scope exceeds what was granted.";
            return Err(Refusal::plain("invalid_scope", text));
        }
        let kept = if wanted.is_empty() { grant.scopes.clone() } else { wanted };
        (kept, String::new())
    };
    let issue = Issue {
        house,
        grant,
        permissions,
        audience,
        refresh,
        nonce,
        proof: proved.proof,
    };
    Ok(issue::answer(shared, issue))
}

/// RFC 6749, 4.1.3, with PKCE.
pub(super) fn code(asked: &Asked<'_>, proved: Proved) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    let text = asked.needed("code")?;
    let redirect_uri = asked.needed("redirect_uri")?;
    let code = {
        let mut world = shared.world();
        let now = shared.now();
        let code = world.codes.get_mut(text).ok_or_else(|| error::code_unknown(house))?;
        if code.is_used {
            // Somebody has a copy: what came of the first one ends too (RFC 6749, 4.1.2).
            let family = code.grant.family;
            if house != House::Microsoft {
                world.end_family(family);
            }
            return Err(error::code_redeemed(house));
        }
        if code.ends <= now || code.grant.client != proved.client.id {
            return Err(error::code_unknown(house));
        }
        if code.redirect_uri != redirect_uri {
            return Err(error::redirect_differs(house, redirect_uri, &proved.client.id));
        }
        let verifier = URL_SAFE_NO_PAD.encode(digest(&SHA256, asked.field("code_verifier").as_bytes()));
        if code.challenge.as_ref().is_some_and(|challenge| *challenge != verifier) {
            return Err(error::verifier_differs(house));
        }
        code.is_used = true;
        code.clone()
    };
    let refresh = code.offline.then(|| issue::refresh_token(shared, house, &code.grant));
    for_user(asked, &proved, code.grant, code.nonce, refresh)
}

/// RFC 6749, 6. Microsoft hands out a new refresh token and lets the old one live, Google none, the strict house a new one only.
pub(super) fn refresh(asked: &Asked<'_>, proved: Proved) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    let token = asked.needed("refresh_token")?;
    let faults = shared.faults();
    if faults.hits(Fault::RefreshRevoked) {
        return Err(error::revoked(house));
    }
    if faults.hits(Fault::ConsentMissing) {
        return Err(error::consent_missing(house, &proved.client.id, &proved.client.name));
    }
    let grant = {
        let mut world = shared.world();
        if let Some(family) = world.spent.get(token).copied() {
            world.end_family(family);
            return Err(error::revoked(house));
        }
        let found = world.refresh.get(token).filter(|grant| grant.client == proved.client.id).cloned();
        found.ok_or_else(|| match house {
            House::Microsoft => {
                let text = "The user could not be authenticated as the grant is expired. The user must sign in again.";
                Refusal::entra("invalid_grant", 70000, text)
            }
            _ => error::revoked(house),
        })?
    };
    let response = |refresh| for_user(asked, &proved, grant.clone(), None, refresh);
    match house {
        House::Google => response(None),
        House::Microsoft => response(Some(issue::refresh_token(shared, house, &grant))),
        House::Open => {
            let answer = response(Some(issue::refresh_token(shared, house, &grant)))?;
            let mut world = shared.world();
            world.refresh.remove(token);
            world.spent.insert(token.to_owned(), grant.family);
            Ok(answer)
        }
    }
}

/// RFC 6749, 4.4.
pub(super) fn client_credentials(asked: &Asked<'_>, proved: Proved) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    if house == House::Google {
        return Err(error::grant_unsupported(house, "client_credentials"));
    }
    let grant = |scopes: Vec<String>| Grant {
        client: proved.client.id.clone(),
        user: None,
        scopes,
        family: shared.world().new_family(),
    };
    let (permissions, audience) = if house == House::Microsoft {
        if asked.tenant.is_some_and(|tenant| ["common", "organizations"].contains(&tenant)) {
            let text = "No tenant-identifying information found in either the request or implied by any provided credentials.";
            return Err(Refusal::entra("invalid_request", 50059, text));
        }
        let scope = asked.needed("scope")?;
        let one = scope.split(' ').filter(|scope| !scope.is_empty()).collect::<Vec<_>>();
        let [scope] = one.as_slice() else {
            return Err(default_only(scope));
        };
        let (resource, name) = scopes::split(shared, scope)?;
        if name != ".default" {
            return Err(default_only(scope));
        }
        let is_outlook = resource == scopes::OUTLOOK;
        let protocol = |role: &&String| role.ends_with("AsApp") == is_outlook;
        let roles = proved.client.roles.iter().filter(protocol).cloned().collect();
        let audience = if is_outlook { "https://outlook.office365.com" } else { resource };
        (roles, audience.to_owned())
    } else {
        (scopes::parse(shared, house, asked.field("scope"))?, String::new())
    };
    let issue = Issue {
        house,
        grant: grant(permissions.clone()),
        permissions,
        audience,
        refresh: None,
        nonce: None,
        proof: proved.proof,
    };
    Ok(issue::answer(shared, issue))
}

fn default_only(scope: &str) -> Refusal {
    let text = format!(
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the \
         resource identifier (application ID URI)."
    );
    Refusal::entra("invalid_scope", 1_002_012, text)
}

/// RFC 6749, 4.3: nobody is asked, so somebody has to have agreed before.
pub(super) fn password(asked: &Asked<'_>, proved: Proved) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    if house == House::Google {
        return Err(error::grant_unsupported(house, "password"));
    }
    if asked.tenant.is_some_and(|tenant| tenant == "common") {
        let text = "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or \
                    tenant-specific endpoint.";
        return Err(Refusal::entra("invalid_request", 9_001_023, text));
    }
    let (user, password) = (asked.needed("username")?, asked.needed("password")?);
    let scopes = scopes::parse(shared, house, asked.field("scope"))?;
    let person = shared.world().person(user).filter(|person| person.house == house).cloned();
    let person = person.ok_or_else(|| error::user_unknown(house))?;
    if person.is_shared || person.password != password {
        return Err(error::password_wrong(house));
    }
    let client = &proved.client;
    let agreed = {
        let world = shared.world();
        let asks = scopes.iter().filter(|scope| !IDENTITY.contains(&scope.as_str()));
        asks.clone().all(|scope| world.has_consented(&client.id, &person.address, scope))
    };
    if house == House::Microsoft && !agreed {
        return Err(error::consent_missing(house, &client.id, &client.name));
    }
    let grant = Grant {
        client: client.id.clone(),
        user: Some(person.address),
        family: shared.world().new_family(),
        scopes,
    };
    let offline = grant.scopes.iter().any(|scope| scope == "offline_access");
    let refresh = offline.then(|| issue::refresh_token(shared, house, &grant));
    for_user(asked, &proved, grant, None, refresh)
}

/// A service account acts for somebody of its domain (RFC 7523, 2.1; domain-wide delegation).
pub(super) fn jwt_bearer(asked: &Asked<'_>) -> Result<Response, Refusal> {
    let Asked { shared, house, .. } = *asked;
    if house != House::Google {
        return Err(error::grant_unsupported(house, JWT_BEARER));
    }
    let refused = |text: &str| Refusal::plain("invalid_grant", text);
    let assertion = Assertion::parse(asked.needed("assertion")?).ok_or_else(|| refused("Invalid JWT: Failed to parse."))?;
    let account = assertion.claim("iss").to_owned();
    let found = {
        let world = shared.world();
        let mut clients = world.clients.iter();
        clients.find(|client| client.service_account.as_deref() == Some(&account)).cloned()
    };
    let client = found.ok_or_else(|| refused("Invalid grant: account not found"))?;
    let key_id = assertion.head("kid");
    let signed = client
        .certificates
        .iter()
        .filter(|key| key_id.is_empty() || key.key_id == key_id)
        .any(|key| {
            assertion.head("alg") == "RS256" && key.has_signed("RS256", assertion.signed.as_bytes(), &assertion.signature) == Some(true)
        });
    if !signed {
        return Err(refused("Invalid JWT Signature."));
    }
    let (from, until, now) = (assertion.seconds("iat"), assertion.seconds("exp"), shared.now().0);
    let in_time = from
        .zip(until)
        .is_some_and(|(from, until)| until > now && from <= now + 300 && until - from <= 3600 && from > now - 3600);
    if !in_time {
        let text = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values \
                    in the JWT claim.";
        return Err(refused(text));
    }
    let endpoint = format!("{}/google/token", shared.base());
    if ![endpoint.as_str(), "https://oauth2.googleapis.com/token"].contains(&assertion.claim("aud")) {
        return Err(refused("Invalid JWT: Failed audience check."));
    }
    let scopes = scopes::parse(shared, house, assertion.claim("scope"))?;
    if scopes.is_empty() {
        return Err(Refusal::plain("invalid_scope", "Empty or missing scope not allowed."));
    }
    let user = match assertion.claim("sub") {
        "" => None,
        sub => {
            let person = shared.world().person(sub).filter(|person| person.house == house).cloned();
            Some(person.ok_or_else(|| error::user_unknown(house))?.address)
        }
    };
    if scopes.iter().any(|scope| !client.roles.contains(scope)) {
        let text = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes \
                    requested.";
        return Err(Refusal::plain("unauthorized_client", text));
    }
    let grant = Grant {
        client: client.id,
        user,
        scopes: scopes.clone(),
        family: shared.world().new_family(),
    };
    let issue = Issue {
        house,
        grant,
        permissions: scopes,
        audience: String::new(),
        refresh: None,
        nonce: None,
        proof: 2,
    };
    Ok(issue::answer(shared, issue))
}
