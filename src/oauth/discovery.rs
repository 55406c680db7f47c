//! A provider's description of itself: OpenID Connect Discovery 1.0, else RFC 8414. What it says is shown before it is used: the
//! issuer must be the one asked for to the letter, and an admin confirms the hosts (OAUTH-12).

use super::error::{MalformedKind, OAuthError, Unreachable, Unreached};
use super::exchange::Exchange;
use super::http::{Http, check_url};
use super::mask::Mask;
use super::response::document;
use crate::clock::Timestamp;
use crate::model::provider::{ClientAuth, Endpoints};
use serde_json::{Map, Value};
use url::{Host, Url};

const OPENID: &str = "/.well-known/openid-configuration";
const RFC8414: &str = "/.well-known/oauth-authorization-server";

/// What a provider says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Where it was read.
    pub source: String,
    /// Its endpoints; `discovered_at` is set.
    pub endpoints: Endpoints,
    /// The hosts of the endpoints, each once: what the admin confirms.
    pub hosts: Vec<String>,
    /// Scopes it names; empty where it names none.
    pub scopes: Vec<String>,
    /// `grant_types_supported`.
    pub grants: Vec<String>,
    /// `token_endpoint_auth_methods_supported`.
    pub client_auth: Vec<String>,
    /// `code_challenge_methods_supported`. S256 is sent whatever it says.
    pub pkce: Vec<String>,
    /// `prompt_values_supported`.
    pub prompts: Vec<String>,
}

impl Discovery {
    /// The way to prove the client that the server takes and we know, the default of RFC 8414 where it names none.
    pub fn preferred_client_auth(&self) -> ClientAuth {
        let offers = |method: &str| self.client_auth.iter().any(|m| m == method);
        if self.client_auth.is_empty() || offers("client_secret_basic") {
            ClientAuth::SecretBasic
        } else if offers("client_secret_post") {
            ClientAuth::SecretPost
        } else if offers("none") {
            ClientAuth::None
        } else {
            ClientAuth::SecretBasic
        }
    }
}

/// Why there is no description. The texts are those of the form field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The address can't be one.
    #[error("Issuer or discovery address can't be used: {0}")]
    Address(&'static str),
    /// Something answered, but not with a description.
    #[error("Discovery address didn't answer with a provider description (HTTP {0})")]
    NotADescription(u16),
    /// It pointed elsewhere.
    #[error("Discovery address leads to {0}. Enter the address there")]
    Redirect(String),
    /// The description is of another issuer.
    #[error("Discovery address describes the issuer {0}. Enter exactly that, or check the address")]
    OtherIssuer(String),
    /// An endpoint is missing from the description.
    #[error("The provider's description has no {0}")]
    Missing(&'static str),
    /// An endpoint can't be used.
    #[error("The provider's description has an address that can't be used: {0}")]
    BadEndpoint(&'static str),
    /// What answers speaks no TLS.
    #[error("That server doesn't speak TLS on this port. Check the port; for a server on this machine the address may begin with http://")]
    NotTls,
    /// Nobody answered.
    #[error("Discovery address wasn't reached: {0}")]
    Failed(OAuthError),
}

/// Reads the description of an issuer, or the one at a full discovery address.
pub async fn discover(http: &Http, address: &str, now: Timestamp) -> Result<Discovery, DiscoveryError> {
    let address = address.trim();
    check_url(address).map_err(DiscoveryError::Address)?;
    let mut first = None;
    for candidate in candidates(address).ok_or(DiscoveryError::Address("it isn't an address"))? {
        let exchange = match http.get(&candidate.url, None).await {
            Ok(exchange) => exchange,
            Err(OAuthError::Malformed(answer)) => {
                first.get_or_insert(DiscoveryError::NotADescription(answer.status));
                continue;
            }
            Err(OAuthError::Unreachable(Unreachable {
                how: Unreached::NotTls, ..
            })) => return Err(DiscoveryError::NotTls),
            // The other place is on the same host.
            Err(error) => return Err(DiscoveryError::Failed(error)),
        };
        match description(&exchange) {
            Ok(document) => return read(&document, candidate, now),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or(DiscoveryError::NotADescription(0)))
}

/// A place to look, and the issuers its document may name.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    url: String,
    issuers: Vec<String>,
}

fn candidates(address: &str) -> Option<Vec<Candidate>> {
    let url = Url::parse(address).ok()?;
    for known in [OPENID, RFC8414] {
        if let Some((before, after)) = address.split_once(known) {
            // The well-known part stands at the end (OpenID) or before the issuer's path (RFC 8414). A slash at the issuer's end is
            // lost on the way, so both forms may be meant.
            let issuer = format!("{before}{after}");
            let issuer = issuer.trim_end_matches('/').to_owned();
            return Some(vec![Candidate {
                url: address.to_owned(),
                issuers: vec![format!("{issuer}/"), issuer],
            }]);
        }
    }
    let base = address.trim_end_matches('/');
    let path = url.path().trim_end_matches('/');
    let origin = url.origin().ascii_serialization();
    let at = |url: String| Candidate {
        url,
        issuers: vec![address.to_owned()],
    };
    Some(vec![at(format!("{base}{OPENID}")), at(format!("{origin}{RFC8414}{path}"))])
}

fn description(exchange: &Exchange) -> Result<Map<String, Value>, DiscoveryError> {
    document(exchange, &Mask::nothing()).map_err(|error| match error {
        OAuthError::Malformed(answer) => match answer.kind {
            MalformedKind::Redirect(host) => DiscoveryError::Redirect(host),
            _ => DiscoveryError::NotADescription(answer.status),
        },
        _ => DiscoveryError::NotADescription(exchange.status),
    })
}

fn read(document: &Map<String, Value>, candidate: Candidate, now: Timestamp) -> Result<Discovery, DiscoveryError> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let issuer = text("issuer").ok_or(DiscoveryError::Missing("issuer"))?;
    if !candidate.issuers.iter().any(|expected| expected == issuer) {
        return Err(DiscoveryError::OtherIssuer(super::response::shortened(issuer, 200)));
    }
    let mut hosts = Vec::new();
    let mut endpoint = |name: &'static str| match text(name) {
        None => Ok(None),
        Some(address) => {
            let url = check_url(address).ok().filter(is_safe).ok_or(DiscoveryError::BadEndpoint(name))?;
            let host = url.host_str().unwrap_or_default().to_owned();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
            Ok(Some(address.to_owned()))
        }
    };
    let endpoints = Endpoints {
        issuer: Some(issuer.to_owned()),
        authorize_url: endpoint("authorization_endpoint")?,
        token_url: endpoint("token_endpoint")?,
        device_authorization_url: endpoint("device_authorization_endpoint")?,
        revocation_url: endpoint("revocation_endpoint")?,
        userinfo_url: endpoint("userinfo_endpoint")?,
        iss_announced: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        discovered_at: Some(now.0),
        ..Endpoints::default()
    };
    if endpoints.authorize_url.is_none() {
        return Err(DiscoveryError::Missing("authorization_endpoint"));
    }
    if endpoints.token_url.is_none() {
        return Err(DiscoveryError::Missing("token_endpoint"));
    }
    let list = |name: &str| {
        let all = document.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        all.iter()
            .filter_map(Value::as_str)
            .take(256)
            .map(|t| super::response::shortened(t, 512))
            .collect()
    };
    Ok(Discovery {
        source: candidate.url,
        hosts,
        scopes: list("scopes_supported"),
        grants: list("grant_types_supported"),
        client_auth: list("token_endpoint_auth_methods_supported"),
        pkce: list("code_challenge_methods_supported"),
        prompts: list("prompt_values_supported"),
        endpoints,
    })
}

/// https, or http on this machine; whether that is allowed the gate says when it is used.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(address: &str) -> Vec<String> {
        candidates(address).unwrap().into_iter().map(|c| c.url).collect()
    }

    #[test]
    fn a_description_is_looked_for_where_the_two_standards_put_it() {
        assert_eq!(
            places("https://login.example/realms/mail"),
            [
                "https://login.example/realms/mail/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server/realms/mail"
            ]
        );
        assert_eq!(
            places("https://login.example/"),
            [
                "https://login.example/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server"
            ]
        );
        let full = "https://login.example/.well-known/oauth-authorization-server/realms/mail";
        let found = candidates(full).unwrap();
        assert_eq!(found[0].url, full);
        assert!(found[0].issuers.contains(&"https://login.example/realms/mail".to_owned()));
    }

    fn read_as(issuer: &str, document: Value) -> Result<Discovery, DiscoveryError> {
        let Value::Object(document) = document else { unreachable!() };
        let candidate = candidates(issuer).unwrap().remove(0);
        read(&document, candidate, Timestamp(7))
    }

    #[test]
    fn the_issuer_has_to_be_the_one_asked_for_to_the_letter() {
        let says = |issuer: &str| json!({"issuer": issuer, "authorization_endpoint": "https://login.example/a", "token_endpoint": "https://api.example/t"});
        let found = read_as("https://login.example", says("https://login.example")).unwrap();
        assert_eq!(found.hosts, ["login.example", "api.example"]);
        assert_eq!(found.endpoints.discovered_at, Some(7));
        for other in [
            "https://login.example/",
            "https://LOGIN.example",
            "http://login.example",
            "https://evil.example",
        ] {
            assert_eq!(
                read_as("https://login.example", says(other)),
                Err(DiscoveryError::OtherIssuer(other.to_owned()))
            );
        }
    }

    #[test]
    fn endpoints_in_clear_text_or_with_hidden_parts_are_refused() {
        for bad in [
            "http://login.example/t",
            "ftp://login.example/t",
            "https://u:p@login.example/t",
            "https://login.example/t#x",
            "/t",
        ] {
            let document =
                json!({"issuer": "https://login.example", "authorization_endpoint": "https://login.example/a", "token_endpoint": bad});
            assert_eq!(
                read_as("https://login.example", document),
                Err(DiscoveryError::BadEndpoint("token_endpoint")),
                "{bad}"
            );
        }
        let document = json!({"issuer": "http://127.0.0.1:1", "authorization_endpoint": "http://127.0.0.1:1/a", "token_endpoint": "http://127.0.0.1:1/t"});
        assert!(read_as("http://127.0.0.1:1", document).is_ok());
    }

    #[test]
    fn the_client_proves_itself_as_the_server_takes_it() {
        let with = |methods: Value| {
            let document = json!({"issuer": "https://l.example", "authorization_endpoint": "https://l.example/a",
                "token_endpoint": "https://l.example/t", "token_endpoint_auth_methods_supported": methods});
            read_as("https://l.example", document).unwrap().preferred_client_auth()
        };
        assert_eq!(with(json!(null)), ClientAuth::SecretBasic);
        assert_eq!(
            with(json!(["private_key_jwt", "client_secret_post", "none"])),
            ClientAuth::SecretPost
        );
        assert_eq!(with(json!(["none"])), ClientAuth::None);
    }
}
