//! Single settings: from text to what they mean.

use super::ConfigError;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use url::Url;

pub(super) fn flag(value: Option<String>, name: &str) -> Result<Option<bool>, ConfigError> {
    match value.as_deref() {
        None => Ok(None),
        Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
        Some("0" | "false" | "no" | "off") => Ok(Some(false)),
        Some(_) => Err(ConfigError::new(
            format!("{name} must be true or false"),
            "set it to 1, or leave it out",
        )),
    }
}

pub(super) fn each<T: FromStr>(items: &[String], key: &str, known: &str) -> Result<Vec<T>, ConfigError> {
    items
        .iter()
        .map(|item| {
            item.parse()
                .map_err(|_| ConfigError::new(format!("{key} has \"{item}\", which can't be used"), format!("use {known}")))
        })
        .collect()
}

pub(super) fn networks(items: &[String], key: &str) -> Result<Vec<IpNet>, ConfigError> {
    items
        .iter()
        .map(|text| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)))
        .collect::<Result<_, _>>()
        .map_err(|_| {
            ConfigError::new(
                format!("{key} holds something that is no network"),
                "write networks like 10.0.0.0/8",
            )
        })
}

pub(super) fn address(text: &str, key: &str) -> Result<SocketAddr, ConfigError> {
    text.replace("localhost", "127.0.0.1").parse().map_err(|_| {
        ConfigError::new(
            format!("{key} \"{text}\" is not ADDRESS:PORT"),
            "write it like 127.0.0.1:8080 or [::]:8080",
        )
    })
}

pub(super) fn default_base_url(listen: SocketAddr) -> String {
    match listen.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", listen.port()),
        _ => format!("http://{listen}"),
    }
}

/// Checks a public address: `https`, or `http` where that stays on this machine or is asked for by name (TLS-5).
pub fn check_base_url(text: String, insecure_http: bool) -> Result<Url, ConfigError> {
    let bad = |why: &str| {
        ConfigError::new(
            format!("base_url \"{text}\" {why}"),
            "write it like https://mail-console.example.com",
        )
    };
    let url = Url::parse(&text).map_err(|_| bad("is not an address"))?;
    if url.host().is_none() || !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must be a host, without user or password"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not have a path"));
    }
    if !may_exist(&url, &text) {
        return Err(bad("names a host that can't exist"));
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip: Ipv4Addr| ip.is_loopback()),
        None => false,
    };
    // On this machine 0 stands for a port that is free.
    if url.port() == Some(0) && !loopback {
        return Err(bad("has no port: 0 is none"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback || insecure_http => Ok(url),
        "http" => Err(ConfigError::new(
            format!("base_url \"{text}\" is plain http on an address that is not this machine"),
            "put https in front, or start with --insecure-http if you accept that passwords and tokens' pages travel in clear text",
        )),
        _ => Err(bad("must start with https://")),
    }
}

/// Whether the host of an address can be one: a name of labels as the DNS has them (RFC 1035, 2.3.4), or an IP address written out.
fn may_exist(url: &Url, text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(label),
        // A short form like 1.2.3 would become another address unseen.
        Some(url::Host::Ipv4(ip)) => text.contains(&ip.to_string()),
        Some(url::Host::Ipv6(_)) => true,
        None => false,
    }
}
