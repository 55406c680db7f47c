//! What providers allow: how much, how fast, how large. Data, part of the program (`limits.toml`), each line with its source and the day
//! it was looked up. Shown where it matters: at the side of a mailbox, beside the choice of a protocol, behind a refusal.

use super::Date;
use super::mailbox::{Protocol, Server};
use super::report::Direction;
use super::words;
use serde::Deserialize;
use std::sync::OnceLock;

const FILE: &str = include_str!("limits.toml");

words!(
    /// Whose servers they are.
    Service {
        /// Exchange Online: its mail servers and Microsoft Graph.
        Exchange = "exchange",
        /// Gmail and Google Workspace.
        Gmail = "gmail",
        /// Yahoo Mail.
        Yahoo = "yahoo",
        /// Zoho Mail.
        Zoho = "zoho",
        /// Fastmail.
        Fastmail = "fastmail",
    }
);

/// Ends of host names, and whose they are. Outlook.com has servers of its own for sending, and limits nobody publishes.
const HOSTS: &[(&str, Service)] = &[
    ("office365.com", Service::Exchange),
    ("office365.us", Service::Exchange),
    ("partner.outlook.cn", Service::Exchange),
    ("outlook.office.com", Service::Exchange),
    ("gmail.com", Service::Gmail),
    ("googlemail.com", Service::Gmail),
    ("mail.yahoo.com", Service::Yahoo),
    ("zoho.com", Service::Zoho),
    ("zoho.eu", Service::Zoho),
    ("zoho.in", Service::Zoho),
    ("zoho.com.au", Service::Zoho),
    ("zoho.jp", Service::Zoho),
    ("zoho.com.cn", Service::Zoho),
    ("zoho.sa", Service::Zoho),
    ("zoho.uk", Service::Zoho),
    ("zohocloud.ca", Service::Zoho),
    ("fastmail.com", Service::Fastmail),
];

impl Service {
    /// Whose server a host is, where that is known.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let is = |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        HOSTS.iter().find(|(end, _)| is(end)).map(|(_, service)| *service)
    }

    /// Who reads or sends for a side; Microsoft Graph is Exchange's.
    pub fn of(server: &Server) -> Option<Self> {
        match server.endpoint() {
            Some(endpoint) => Self::of_host(&endpoint.host),
            None => Some(Self::Exchange),
        }
    }

    /// The name people know.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Exchange => "Exchange Online",
            Self::Gmail => "Gmail",
            Self::Yahoo => "Yahoo",
            Self::Zoho => "Zoho",
            Self::Fastmail => "Fastmail",
        }
    }
}

/// Something a provider allows no more of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub service: Service,
    /// What is spoken where it counts.
    pub protocols: Vec<Protocol>,
    /// Reading or sending; none: both.
    pub direction: Option<Direction>,
    /// Whether it is about the size of a message.
    #[serde(default)]
    pub size: bool,
    /// Whether it counts for tokens only.
    #[serde(default)]
    pub token: bool,
    /// What is limited: `Recipients`.
    pub name: String,
    /// How much: `10,000 in 24 hours`.
    pub value: String,
    /// What else to know, a sentence; may be empty.
    #[serde(default)]
    pub note: String,
    /// In a few words, for the choice of a protocol; may be empty.
    #[serde(default)]
    pub short: String,
    /// Entries of the diagnosis it stands behind.
    pub causes: Vec<String>,
    /// Where it is written.
    pub source: String,
    /// The day it was looked up.
    pub as_of: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    limit: Vec<Limit>,
}

/// All that is known. A file that can't be read gives an empty list; a test keeps that from happening.
pub fn all() -> &'static [Limit] {
    static LIMITS: OnceLock<Vec<Limit>> = OnceLock::new();
    LIMITS.get_or_init(|| toml::from_str(FILE).map_or_else(|_| Vec::new(), |file: File| file.limit))
}

/// The limits of a side: of this service, with this protocol, in this direction. `with_token`: whether it signs in with one.
pub fn of_side(service: Service, protocol: Protocol, direction: Direction, with_token: bool) -> impl Iterator<Item = &'static Limit> {
    all().iter().filter(move |limit| {
        limit.service == service
            && limit.protocols.contains(&protocol)
            && limit.direction.is_none_or(|wanted| wanted == direction)
            && (with_token || !limit.token)
    })
}

/// The limits behind an entry of the diagnosis, where something of this service was asked with this protocol; without a service, those
/// that only one service can mean.
pub fn behind(cause: &str, service: Option<Service>, protocol: Option<Protocol>) -> Vec<&'static Limit> {
    let mut found: Vec<&Limit> = all().iter().filter(|limit| limit.causes.iter().any(|id| id == cause)).collect();
    match service {
        Some(service) => found.retain(|limit| limit.service == service),
        None if found.iter().any(|limit| limit.service != found[0].service) => found.clear(),
        None => {}
    }
    if let Some(protocol) = protocol {
        found.retain(|limit| limit.protocols.contains(&protocol));
    }
    found
}

/// What a protocol is limited to, in a few words for the choice of it: `With Exchange Online: 30 messages a minute`. Empty where nothing
/// short is known.
pub fn hint(service: Service, protocol: Protocol, direction: Direction) -> String {
    let short: Vec<&str> = of_side(service, protocol, direction, true)
        .map(|limit| limit.short.as_str())
        .filter(|short| !short.is_empty())
        .collect();
    if short.is_empty() {
        return String::new();
    }
    format!("With {}: {}", service.label(), short.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_limit_says_where_it_is_written_and_since_when_it_is_known() {
        let mut ids = HashSet::new();
        assert!(
            all().len() >= 18,
            "the file can't be read: {:?}",
            toml::from_str::<File>(FILE).err()
        );
        for limit in all() {
            assert!(ids.insert(&limit.id), "{} twice", limit.id);
            assert!(limit.source.starts_with("https://"), "{}", limit.id);
            assert!(
                !limit.name.is_empty() && !limit.value.is_empty() && !limit.protocols.is_empty(),
                "{}",
                limit.id
            );
            assert!(limit.note.is_empty() || limit.note.ends_with('.'), "{}: {}", limit.id, limit.note);
            assert!(!limit.short.ends_with('.'), "{}", limit.id);
        }
    }

    #[test]
    fn hosts_belong_to_whom_they_belong_and_nobody_else() {
        for (host, service) in [
            ("smtp.office365.com", Some(Service::Exchange)),
            ("outlook.office365.us", Some(Service::Exchange)),
            ("SMTP.gmail.com", Some(Service::Gmail)),
            ("imap.zoho.com.au", Some(Service::Zoho)),
            ("notoffice365.com", None),
            ("office365.com.example.net", None),
            ("smtp-mail.outlook.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(Service::of_host(host), service, "{host}");
        }
        assert_eq!(Service::of(&Server::Graph), Some(Service::Exchange));
    }

    #[test]
    fn the_hint_beside_a_protocol_is_what_an_admin_plans_with() {
        let hint = |service, protocol, direction| hint(service, protocol, direction);
        assert_eq!(
            hint(Service::Exchange, Protocol::Smtp, Direction::Outgoing),
            "With Exchange Online: 30 messages a minute, 10,000 recipients a day"
        );
        assert_eq!(
            hint(Service::Exchange, Protocol::Graph, Direction::Incoming),
            "With Exchange Online: 4 requests at once"
        );
        assert_eq!(hint(Service::Fastmail, Protocol::Smtp, Direction::Outgoing), "");
    }

    #[test]
    fn a_refusal_names_the_limit_of_whoever_refused() {
        let values = |cause, service, protocol| {
            let limits = behind(cause, service, protocol);
            limits.iter().map(|limit| limit.id.as_str()).collect::<Vec<_>>().join(" ")
        };
        let smtp = Some(Protocol::Smtp);
        assert_eq!(values("smtp-message-too-large", Some(Service::Gmail), smtp), "gmail-size");
        assert_eq!(
            values("smtp-message-too-large", Some(Service::Exchange), smtp),
            "exchange-smtp-size"
        );
        assert_eq!(
            values("smtp-message-too-large", None, smtp),
            "",
            "nobody knows whose server that is"
        );
        assert_eq!(values("smtp-exchange-terrl", None, None), "exchange-external-recipients");
        assert_eq!(
            values("graph-throttled", None, Some(Protocol::Graph)),
            "graph-at-once graph-requests"
        );
        assert_eq!(values("network-refused", None, None), "");
    }
}
