//! The addresses of a provider: where requests may go, and which of them differ from the template's.

use super::clean;
use crate::actions::Problems;
use crate::gate::Gate;
use crate::model::provider::Endpoints;
use crate::oauth::http::check_url;
use std::net::{IpAddr, Ipv4Addr};
use url::{Host, Url};

/// How long may an address be?
const LONGEST_URL: usize = 2048;

fn label(field: &str) -> &'static str {
    match field {
        "authority" => "Server address",
        "graph_url" => "Graph address",
        "issuer" => "Issuer",
        "authorize_url" => "Authorize address",
        "token_url" => "Token address",
        "device_authorization_url" => "Device address",
        "revocation_url" => "Revoke address",
        "admin_consent_url" => "Admin consent address",
        _ => "User info address",
    }
}

/// An address requests may go to: https, or http on this machine where the settings allow that.
pub(super) fn address(problems: &mut Problems, gate: &Gate, field: &'static str, text: Option<&str>) -> Option<String> {
    let text = clean(text?);
    if text.is_empty() {
        return None;
    }
    let label = label(field);
    if text.len() > LONGEST_URL {
        problems.add(field, format!("{label} must be {LONGEST_URL} characters or fewer"));
        return None;
    }
    match check_url(&text) {
        Err(why) => problems.add(field, format!("{label} can't be used: {why}")),
        Ok(url) if url.scheme() == "http" && !plain_allowed(gate, &url) => {
            let text = match is_this_machine(&url) {
                Some(_) => format!("{label} may start with http:// only where the setting allow_networks has loopback"),
                None => format!("{label} must start with https://. http:// is for this machine only"),
            };
            problems.add(field, text);
        }
        Ok(_) => return Some(text),
    }
    None
}

fn is_this_machine(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Host::Domain(_) => None,
        Host::Ipv4(ip) => ip.is_loopback().then_some(ip.into()),
        Host::Ipv6(ip) => ip.is_loopback().then_some(ip.into()),
    }
}

fn plain_allowed(gate: &Gate, url: &Url) -> bool {
    is_this_machine(url).is_some_and(|ip| gate.allows_plain(url.host_str().unwrap_or_default(), &[ip]))
}

/// An issuer is compared, not called (discovery has its own check), and Microsoft's holds a pattern no URL has.
pub(super) fn issuer(problems: &mut Problems, text: Option<&str>) -> Option<String> {
    let text = clean(text?);
    if text.is_empty() {
        return None;
    }
    if text.len() > LONGEST_URL || !text.chars().all(|c| c.is_ascii_graphic()) || !text.contains("://") {
        problems.add("issuer", "Issuer must be an address like https://login.example.com");
        return None;
    }
    Some(text)
}

/// Only what differs from the template is kept, so that a form that shows the template's addresses doesn't pin them.
pub(super) fn differing(given: Endpoints, defaults: &Endpoints, home: &Endpoints) -> Endpoints {
    let unless = |own: Option<String>, default: &Option<String>| own.filter(|own| default.as_ref() != Some(own));
    Endpoints {
        authority: unless(given.authority, &home.authority),
        graph_url: unless(given.graph_url, &defaults.graph_url),
        issuer: unless(given.issuer, &defaults.issuer),
        authorize_url: unless(given.authorize_url, &defaults.authorize_url),
        token_url: unless(given.token_url, &defaults.token_url),
        device_authorization_url: unless(given.device_authorization_url, &defaults.device_authorization_url),
        revocation_url: unless(given.revocation_url, &defaults.revocation_url),
        admin_consent_url: unless(given.admin_consent_url, &defaults.admin_consent_url),
        userinfo_url: unless(given.userinfo_url, &defaults.userinfo_url),
        iss_announced: given.iss_announced && !defaults.iss_announced,
        discovered_at: given.discovered_at,
    }
}
