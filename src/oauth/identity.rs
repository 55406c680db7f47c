//! Who signed in (OAUTH-6): the ID token of the token response, else userinfo (OpenID Connect Core, 3.1.3.7 and 5.3). Nobody named
//! means nobody accepted.
//!
//! The signature of the ID token isn't checked: it came straight from the token endpoint over TLS in answer to our own request, and
//! 3.1.3.7, point 6, lets the server's certificate stand for the signature then. Issuer, audience, end and nonce are checked.

use super::callback::same_issuer;
use super::error::OAuthError;
use super::http::Http;
use super::mask::Mask;
use super::response::{TokenResponse, document, is_deeper, shortened};
use super::{Client, Limits};
use crate::clock::Timestamp;
use crate::model::lint;
use crate::model::provider::Provider;
use crate::model::template::{CONSUMERS_TENANT, TemplateKind};
use crate::model::token::Identity;
use crate::secret::Nonce;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

/// How far may two clocks be apart, in seconds?
const SKEW: i64 = 5 * 60;
/// Longest ID token that is read, in octets.
const LONGEST_ID_TOKEN: usize = 64 * 1024;

/// Who signed in, with what may be believed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// What is stored and shown.
    pub identity: Identity,
    /// Microsoft's `upn`, beside `preferred_username`.
    upn: Option<String>,
    /// Whether the provider vouches for the address; none: it doesn't say.
    email_verified: Option<bool>,
}

/// Why it isn't known who signed in. Nothing may be stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The ID token can't be read.
    #[error("the id token can't be read: {0}")]
    Unreadable(&'static str),
    /// It is from someone else than the provider asked.
    #[error("the id token is from another issuer")]
    Issuer,
    /// It is for another app.
    #[error("the id token is for another app")]
    Audience,
    /// It has run out.
    #[error("the id token has run out")]
    Expired,
    /// It belongs to another sign-in.
    #[error("the id token belongs to another sign-in")]
    Nonce,
    /// Userinfo speaks of somebody else than the ID token.
    #[error("user info and id token name different people")]
    Subject,
    /// Neither names the account.
    #[error("the provider doesn't say who signed in")]
    NotTold,
    /// Userinfo would have been needed and failed.
    #[error("asking who signed in failed: {0}")]
    Userinfo(OAuthError),
}

impl IdentityError {
    /// The catalogue's id; none where the [`evidence`](Self::evidence) tells more.
    pub fn own_id(&self) -> Option<&'static str> {
        match self {
            Self::Issuer => Some("console-issuer-mismatch"),
            Self::NotTold => Some("console-no-identity"),
            Self::Userinfo(error) => error.own_id(),
            _ => Some("console-id-token"),
        }
    }

    /// The text to recognise the cause by.
    pub fn evidence(&self) -> String {
        match self {
            Self::Userinfo(error) => error.evidence(),
            other => other.to_string(),
        }
    }
}

/// Finds out who signed in: from the ID token, and from userinfo where that one is missing or names no account.
pub async fn who(
    http: &Http,
    client: &Client<'_>,
    tokens: &TokenResponse,
    nonce: Option<&Nonce>,
    now: Timestamp,
) -> Result<SignedIn, IdentityError> {
    let from_token = match &tokens.id_token {
        Some(id_token) => {
            let claims = claims(id_token.expose_secret())?;
            // The provider's clock came with the token: with ours a day ahead nobody could sign in any more.
            let now = tokens.date.map_or(now, |date| date.min(now));
            check(&claims, client, nonce, now)?;
            Some(signed_in(&claims))
        }
        None => None,
    };
    if let Some(known) = from_token.as_ref().filter(|s| s.names().next().is_some()) {
        return Ok(known.clone());
    }
    let Some(url) = &client.endpoints.userinfo_url else {
        return Err(IdentityError::NotTold);
    };
    let exchange = http.get(url, Some(&tokens.access_token)).await.map_err(IdentityError::Userinfo)?;
    let mask = Mask::new([tokens.access_token.expose_secret()], client);
    let told = signed_in(&document(&exchange, &mask).map_err(IdentityError::Userinfo)?);
    if told.identity.sub.is_empty() || told.names().next().is_none() {
        return Err(IdentityError::NotTold);
    }
    match from_token {
        // 5.3.2: the two have to agree, or an answer was put in another's place.
        Some(token) if token.identity.sub != told.identity.sub => Err(IdentityError::Subject),
        Some(token) => Ok(SignedIn {
            identity: Identity {
                iss: token.identity.iss,
                oid: token.identity.oid.or(told.identity.oid),
                tid: token.identity.tid.or(told.identity.tid),
                name: told.identity.name.or(token.identity.name),
                ..told.identity
            },
            ..told
        }),
        None => Ok(SignedIn {
            identity: Identity {
                iss: client.endpoints.issuer.clone().unwrap_or_default(),
                ..told.identity
            },
            ..told
        }),
    }
}

/// The claims of an ID token.
fn claims(id_token: &str) -> Result<Map<String, Value>, IdentityError> {
    let mut parts = id_token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(IdentityError::Unreadable("it doesn't have three parts"));
    };
    if id_token.len() > LONGEST_ID_TOKEN {
        return Err(IdentityError::Unreadable("it is longer than 64 KiB"));
    }
    let payload = URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .map_err(|_| IdentityError::Unreadable("its middle part isn't base64url"))?;
    if is_deeper(&payload, Limits::default().depth) {
        return Err(IdentityError::Unreadable("its claims nest too deep"));
    }
    match serde_json::from_slice(&payload) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(IdentityError::Unreadable("its claims aren't a JSON object")),
    }
}

/// The checks of 3.1.3.7 that TLS doesn't make.
fn check(claims: &Map<String, Value>, client: &Client<'_>, nonce: Option<&Nonce>, now: Timestamp) -> Result<(), IdentityError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("sub").is_empty() {
        return Err(IdentityError::Unreadable("it has no subject"));
    }
    if let Some(expected) = &client.endpoints.issuer {
        let told = text("iss");
        // Google's older form has no scheme.
        let google = expected == "https://accounts.google.com" && told == "accounts.google.com";
        // Where the directory id is part of the issuer, it has to be the one the token names.
        let expected = match claims.get("tid").and_then(Value::as_str).filter(|tid| lint::is_guid(tid)) {
            Some(tid) => expected.replace("{tenantid}", tid),
            None => expected.clone(),
        };
        if !google && !same_issuer(&expected, told) {
            return Err(IdentityError::Issuer);
        }
    }
    let id = client.provider.client_id.as_str();
    let for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == id,
        // Nobody else is trusted to see our tokens, so nobody else may be an audience.
        Some(Value::Array(all)) => !all.is_empty() && all.iter().all(|a| a.as_str() == Some(id)),
        _ => false,
    };
    if !for_us || claims.get("azp").is_some_and(|azp| azp.as_str() != Some(id)) {
        return Err(IdentityError::Audience);
    }
    let ends = claims.get("exp").and_then(Value::as_f64).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below the limit")]
    if ends + SKEW as f64 <= now.0 as f64 {
        return Err(IdentityError::Expired);
    }
    let same = |nonce: &Nonce| bool::from(nonce.expose_secret().as_bytes().ct_eq(text("nonce").as_bytes()));
    if nonce.is_some_and(|nonce| !same(nonce)) {
        return Err(IdentityError::Nonce);
    }
    Ok(())
}

fn signed_in(claims: &Map<String, Value>) -> SignedIn {
    let text = |name: &str| {
        let text = claims.get(name).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty())?;
        Some(shortened(text, 320))
    };
    let username = text("preferred_username");
    let upn = text("upn");
    SignedIn {
        identity: Identity {
            iss: text("iss").unwrap_or_default(),
            sub: text("sub").unwrap_or_default(),
            oid: text("oid"),
            tid: text("tid"),
            email: text("email"),
            username: username.or_else(|| upn.clone()),
            name: text("name"),
        },
        upn,
        email_verified: match claims.get("email_verified") {
            Some(Value::Bool(verified)) => Some(*verified),
            // Some write it as a text.
            Some(Value::String(verified)) => Some(verified == "true"),
            _ => None,
        },
    }
}

impl SignedIn {
    fn names(&self) -> impl Iterator<Item = &str> {
        let all = [
            self.identity.username.as_deref(),
            self.upn.as_deref(),
            self.identity.email.as_deref(),
        ];
        all.into_iter().flatten()
    }

    /// The names that prove something. An address the provider doesn't vouch for proves nothing, under whatever claim it comes; where
    /// it doesn't say whether it does, it is believed: many providers never say, and it was chosen by who runs this console. At
    /// Microsoft the claim `email` holds whatever the account's own directory put there, and `preferred_username` is the directory's;
    /// elsewhere people may choose their user name (OpenID Connect Core, 5.7), so it counts only where no address is told.
    fn proven_names(&self, provider: &Provider) -> impl Iterator<Item = &str> {
        let microsoft = provider.template == TemplateKind::Microsoft;
        let anybodys = microsoft && is_any_organisation(provider.tenant.as_deref());
        let email = self.identity.email.as_deref();
        let username = self.identity.username.as_deref().filter(|_| microsoft || email.is_none());
        let unverified = email.filter(|_| self.email_verified == Some(false));
        let email = email.filter(|_| !anybodys);
        [username, self.upn.as_deref(), email]
            .into_iter()
            .flatten()
            .filter(move |name| unverified.is_none_or(|u| !same_name(u, name)))
    }
}

fn is_any_organisation(tenant: Option<&str>) -> bool {
    tenant.is_none_or(|t| t.is_empty() || t.eq_ignore_ascii_case("common") || t.eq_ignore_ascii_case("organizations"))
}

/// What a sign-in has to do with the account that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is the expected account.
    Same,
    /// It is another one.
    DifferentAccount,
    /// It is in another tenant, or a personal account where an organisation's was expected.
    DifferentTenant,
    /// The provider names no account it vouches for: refused as well.
    NotTold,
}

impl Match {
    /// The catalogue's id; none for the expected account.
    pub fn own_id(self) -> Option<&'static str> {
        match self {
            Self::Same => None,
            Self::DifferentAccount => Some("console-different-account"),
            Self::DifferentTenant => Some("console-different-tenant"),
            Self::NotTold => Some("console-no-identity"),
        }
    }
}

/// Compares who signed in with who should have: the tenant first, then the names, to the letter but for case.
pub fn matches(expected_user: &str, signed_in: &SignedIn, provider: &Provider) -> Match {
    if provider.template.template().checks_tenant && !tenant_fits(signed_in.identity.tid.as_deref(), provider.tenant.as_deref()) {
        return Match::DifferentTenant;
    }
    let mut told = false;
    for name in signed_in.proven_names(provider) {
        told = true;
        if same_name(expected_user, name) {
            return Match::Same;
        }
    }
    if told { Match::DifferentAccount } else { Match::NotTold }
}

/// Whether this is a personal Microsoft account (Outlook.com, Hotmail).
pub fn is_personal(identity: &Identity) -> bool {
    identity
        .tid
        .as_deref()
        .is_some_and(|tid| tid.eq_ignore_ascii_case(CONSUMERS_TENANT))
}

/// Whether an account of directory `tid` may be what a provider set to `tenant` expects. A domain doesn't show its directory's id;
/// the tenant in the token address keeps others out there.
fn tenant_fits(tid: Option<&str>, tenant: Option<&str>) -> bool {
    let tenant = tenant.unwrap_or_default();
    let Some(tid) = tid else {
        return !lint::is_guid(tenant);
    };
    let personal = tid.eq_ignore_ascii_case(CONSUMERS_TENANT);
    match tenant.to_ascii_lowercase().as_str() {
        "common" => true,
        "consumers" => personal,
        guid if lint::is_guid(guid) => tid.eq_ignore_ascii_case(guid),
        _ => !personal,
    }
}

/// Whether a person whose name at the provider changed is still the one the token was made with: the earlier sign-in had the expected
/// name, and both carry the same unchangeable id.
pub fn same_person(expected_user: &str, known: &Identity, now: &Identity) -> bool {
    let was_expected = [known.username.as_deref(), known.email.as_deref()]
        .into_iter()
        .flatten()
        .any(|name| same_name(expected_user, name));
    let object = known.oid.is_some() && known.oid == now.oid && known.tid.is_some() && known.tid == now.tid;
    let subject = !known.sub.is_empty() && known.sub == now.sub && !known.iss.is_empty() && known.iss == now.iss;
    was_expected && (object || subject)
}

/// Equal but for case. Letter by letter, so that no foreign letter folds into an ASCII one (the Kelvin sign does become a "k").
fn same_name(a: &str, b: &str) -> bool {
    let fold = |c: char| match c {
        c if c.is_ascii() => c.to_ascii_lowercase(),
        c => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) if !one.is_ascii() => one,
                _ => c,
            }
        }
    };
    let (a, b) = (a.trim(), b.trim());
    !a.is_empty() && a.chars().map(fold).eq(b.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_but_for_case_and_nothing_else() {
        assert!(same_name("Support@Contoso.com", " support@contoso.COM "));
        assert!(same_name("JÖRG@contoso.com", "jörg@contoso.com"));
        for other in [
            "support@contoso.co",
            "suppor@contoso.com",
            "",
            "support+x@contoso.com",
            "support@contoso.com.",
        ] {
            assert!(!same_name("support@contoso.com", other), "{other}");
        }
        assert!(!same_name("k@contoso.com", "\u{212a}@contoso.com"), "the Kelvin sign is no k");
        assert!(!same_name("", ""));
    }

    #[test]
    fn a_tenant_fits_exactly_or_not_at_all() {
        let id = "11112222-bbbb-3333-cccc-4444dddd5555";
        let other = "99992222-bbbb-3333-cccc-4444dddd5555";
        for (tid, tenant, fits) in [
            (Some(id), Some(id), true),
            (Some(id), Some("11112222-BBBB-3333-CCCC-4444DDDD5555"), true),
            (Some(other), Some(id), false),
            (None, Some(id), false),
            (Some(CONSUMERS_TENANT), Some(id), false),
            (Some(CONSUMERS_TENANT), Some("organizations"), false),
            (Some(CONSUMERS_TENANT), Some("contoso.com"), false),
            (Some(CONSUMERS_TENANT), Some("common"), true),
            (Some(CONSUMERS_TENANT), Some("consumers"), true),
            (Some(id), Some("consumers"), false),
            (Some(id), Some("contoso.com"), true),
        ] {
            assert_eq!(tenant_fits(tid, tenant), fits, "{tid:?} {tenant:?}");
        }
    }
}
