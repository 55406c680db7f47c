//! The rules of a server's name, port and encryption, and whether the console may connect there.

use super::trimmed;
use super::{Check, SideFields};
use crate::actions::mailboxes::SideInput;
use crate::gate::GateError;
use crate::model::mailbox::{Endpoint, HostError, Protocol, Security};
use crate::model::report::Direction;
use std::net::{IpAddr, Ipv4Addr};

impl Check<'_> {
    pub(super) fn endpoint(&mut self, input: &SideInput, fields: &SideFields, protocol: Protocol) -> Option<Endpoint> {
        let host = Endpoint::check_host(trimmed(&input.host)).map_err(|error| match (error, fields.direction) {
            (HostError::Empty, Direction::Outgoing) => "Enter a server name, like smtp.example.com".to_owned(),
            (error, _) => error.to_string(),
        });
        let host = self.problems.take(fields.host, host);
        let security = match trimmed(&input.security) {
            "" if fields.direction == Direction::Incoming => Some(Security::Tls),
            "" => Some(Security::Starttls),
            text => Security::parse(text),
        };
        if security.is_none() {
            self.add(fields.security, "Encryption must be tls (TLS from the start), starttls or none");
        }
        let (tls_port, starttls_port) = protocol.ports();
        let port = match (trimmed(&input.port), security) {
            ("", Some(Security::Tls)) => Some(tls_port),
            ("", _) => Some(starttls_port),
            (text, _) => text.parse::<u16>().ok().filter(|port| *port > 0),
        };
        if port.is_none() {
            self.add(fields.port, "Port must be between 1 and 65535");
        }
        let (host, security, port) = (host?, security?, port?);
        let endpoint = Endpoint { host, port, security };
        self.reachable(&endpoint, fields);
        self.port_fits(&endpoint, fields, protocol);
        Some(endpoint)
    }

    /// Refuses what the gate would refuse, as far as that is known without asking the name service; names are looked up by the test.
    fn reachable(&mut self, endpoint: &Endpoint, fields: &SideFields) {
        let addresses = known_addresses(&endpoint.host);
        if !addresses.is_empty() {
            match self.gate.check(&endpoint.host, endpoint.port, &addresses) {
                Ok(()) => {}
                Err(error @ GateError::PortForbidden { .. }) => self.add(fields.port, gate_message(&error)),
                Err(error) => {
                    self.add(fields.host, gate_message(&error));
                    return;
                }
            }
        }
        if endpoint.security == Security::None && !self.gate.allows_plain(&endpoint.host, &addresses) {
            self.add(fields.security, "Unencrypted mail is allowed to this machine only");
        }
    }

    fn port_fits(&mut self, endpoint: &Endpoint, fields: &SideFields, protocol: Protocol) {
        let (port, (tls, starttls)) = (endpoint.port, protocol.ports());
        let other = match protocol {
            Protocol::Pop3 => Protocol::Imap,
            _ => Protocol::Pop3,
        };
        if fields.direction == Direction::Incoming && [other.ports().0, other.ports().1].contains(&port) {
            let usual = if endpoint.security == Security::Tls { tls } else { starttls };
            self.add(
                fields.port,
                format!(
                    "Port {port} is for {}. Choose that, or port {usual} for {}",
                    other.label(),
                    protocol.label()
                ),
            );
            return;
        }
        if let Some(problem) = port_misfit(port, endpoint.security, protocol) {
            self.add(fields.port, problem);
        }
    }
}

/// Why a port doesn't go with an encryption, as a sentence for a field; none: it does, or nobody knows.
pub fn port_misfit(port: u16, security: Security, protocol: Protocol) -> Option<String> {
    let (tls, starttls) = protocol.ports();
    match security {
        Security::Starttls | Security::None if port == tls => Some(format!(
            "Port {tls} expects TLS from the start. Choose that, or port {starttls} for STARTTLS"
        )),
        Security::Tls if port == starttls || port == 25 => Some(format!(
            "Port {port} expects STARTTLS. Choose that, or port {tls} for TLS from the start"
        )),
        _ => None,
    }
}

/// The addresses of a host that is one, or is this machine by definition (RFC 6761, 6.3).
fn known_addresses(host: &str) -> Vec<IpAddr> {
    match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if host == "localhost" || host.ends_with(".localhost") => vec![Ipv4Addr::LOCALHOST.into()],
        Err(_) => Vec::new(),
    }
}

/// The gate's refusal as a sentence for a field.
pub fn gate_message(error: &GateError) -> String {
    let text = error.to_string().replace("; if it is right, ", ". If it is right, ");
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if text.starts_with("port ") => first.to_uppercase().chain(chars).collect(),
        _ => text,
    }
}
