//! The one outbound gate: every connection of the program, to mail servers and to providers alike, goes to an address that was
//! looked up once and checked here. Public addresses pass; loopback and private networks pass only where the setting
//! `allow_networks` names them; link-local and metadata addresses never do.

mod address;

use crate::model::mailbox::Endpoint;
use address::{Class, classify};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long may the name service take?
const LOOKUP_TIME: Duration = Duration::from_secs(5);
/// How many look-ups run at once? A hanging name server holds a thread for each.
const LOOKUPS_AT_ONCE: usize = 32;
/// How many addresses of a name are worth trying?
const MOST_ADDRESSES: usize = 16;
/// Mail and https.
const PORTS: [u16; 9] = [25, 110, 143, 443, 465, 587, 993, 995, 2525];

/// A value of the setting `allow_networks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowNetwork {
    /// This machine.
    Loopback,
    /// RFC 1918 and unique local addresses.
    Private,
    /// A network, also one of the reserved ones.
    Cidr(IpNet),
    /// Whatever this name stands for.
    Host(String),
}

impl FromStr for AllowNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        match text {
            "loopback" => return Ok(Self::Loopback),
            "private" => return Ok(Self::Private),
            _ => {}
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Cidr(net.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Cidr(address.into()));
        }
        Endpoint::check_host(text)
            .map(Self::Host)
            .map_err(|_| format!("\"{text}\" is not loopback, private, a network like 10.1.0.0/16, or a host name"))
    }
}

impl fmt::Display for AllowNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Private => f.write_str("private"),
            Self::Cidr(net) => write!(f, "{net}"),
            Self::Host(host) => f.write_str(host),
        }
    }
}

/// Why a destination can't be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The name service knows no address.
    #[error("{host}: name or service not known")]
    NotFound {
        /// What was asked for.
        host: String,
    },
    /// The name service has trouble of its own; trying again may help.
    #[error("{host}: temporary failure in name resolution")]
    NameServer {
        /// What was asked for.
        host: String,
    },
    /// The name service did not answer in time.
    #[error("{host}: temporary failure in name resolution (the name server timed out after {} s)", LOOKUP_TIME.as_secs())]
    Timeout {
        /// What was asked for.
        host: String,
    },
    /// The address is in a network that is not allowed.
    #[error("{}", forbidden(.host, .add.as_deref()))]
    Forbidden {
        /// What was asked for.
        host: String,
        /// What would have to be added to `allow_networks`; none where nothing helps.
        add: Option<String>,
    },
    /// The demo contacts nothing outside this machine.
    #[error("{host} is not on this machine, and the demo contacts nothing else")]
    Outside {
        /// What was asked for.
        host: String,
    },
    /// The port is none of mail or https.
    #[error("port {port} is not allowed; if it is right, add {port} to the setting allow_ports (MAILGRANT_ALLOW_PORTS)")]
    PortForbidden {
        /// The port.
        port: u16,
    },
}

fn forbidden(host: &str, add: Option<&str>) -> String {
    match add {
        Some(add) => format!(
            "{host} is in a network that is not allowed; if it is right, add {add} to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)"
        ),
        None => format!("{host} stands for an address that is never allowed (link-local, metadata service or not a single machine)"),
    }
}

impl GateError {
    /// Whether trying again may help without a change.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NameServer { .. } | Self::Timeout { .. })
    }
}

/// Checks destinations. Cheap to clone; all clones share the limit on look-ups.
#[derive(Clone)]
pub struct Gate(Arc<Rules>);

struct Rules {
    networks: Vec<AllowNetwork>,
    ports: Vec<u16>,
    /// Nothing but loopback, and no name is looked up.
    this_machine_only: bool,
    lookups: Arc<Semaphore>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("networks", &self.0.networks)
            .field("ports", &self.0.ports)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate with these additions to public addresses and to the usual ports.
    pub fn new(networks: Vec<AllowNetwork>, ports: Vec<u16>) -> Self {
        Self(Arc::new(Rules {
            networks,
            ports,
            this_machine_only: false,
            lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
        }))
    }

    /// A gate that leads to this machine only, by its addresses or as `localhost`: the demo's. Name servers are not asked either.
    pub fn this_machine() -> Self {
        Self(Arc::new(Rules {
            networks: vec![AllowNetwork::Loopback],
            ports: Vec::new(),
            this_machine_only: true,
            lookups: Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)),
        }))
    }

    /// The addresses of a host, looked up once and all of them allowed. Connect to these and look nothing up again.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, GateError> {
        let host = bare(host);
        let ips = match host.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) if self.0.this_machine_only && host.eq_ignore_ascii_case("localhost") => vec![Ipv4Addr::LOCALHOST.into()],
            Err(_) if self.0.this_machine_only => return Err(GateError::Outside { host: host.to_owned() }),
            Err(_) => tokio::time::timeout(LOOKUP_TIME, self.look_up(host))
                .await
                .unwrap_or_else(|_| Err(GateError::Timeout { host: host.to_owned() }))?,
        };
        self.check(host, port, &ips)?;
        Ok(ips
            .into_iter()
            .take(MOST_ADDRESSES)
            .map(|ip| SocketAddr::new(ip.to_canonical(), port))
            .collect())
    }

    /// Whether a host with these addresses may be connected to on this port: refused if any of the addresses is.
    pub fn check(&self, host: &str, port: u16, addresses: &[IpAddr]) -> Result<(), GateError> {
        let host = bare(host);
        if addresses.is_empty() {
            return Err(GateError::NotFound { host: host.to_owned() });
        }
        let mut all_named = true;
        for address in addresses {
            let (class, inner) = classify(*address);
            let named = class != Class::Never && self.names(host, class, *address, inner);
            all_named &= named;
            if self.0.this_machine_only && class != Class::Loopback {
                return Err(GateError::Outside { host: host.to_owned() });
            }
            if class != Class::Public && !named {
                return Err(GateError::Forbidden {
                    host: host.to_owned(),
                    add: match class {
                        Class::Loopback => Some("loopback".to_owned()),
                        Class::Private => Some("private".to_owned()),
                        Class::Special => Some(IpNet::from(inner).to_string()),
                        Class::Public | Class::Never => None,
                    },
                });
            }
        }
        if all_named || PORTS.contains(&port) || self.0.ports.contains(&port) {
            Ok(())
        } else {
            Err(GateError::PortForbidden { port })
        }
    }

    /// Whether `http://` and unencrypted mail may be spoken there: on this machine, where `allow_networks` has it.
    pub fn allows_plain(&self, host: &str, addresses: &[IpAddr]) -> bool {
        let host = bare(host);
        !addresses.is_empty()
            && addresses.iter().all(|address| {
                let (class, inner) = classify(*address);
                class == Class::Loopback && self.names(host, class, *address, inner)
            })
    }

    /// Whether an entry of `allow_networks` covers the address.
    fn names(&self, host: &str, class: Class, address: IpAddr, inner: IpAddr) -> bool {
        self.0.networks.iter().any(|entry| match entry {
            AllowNetwork::Loopback => class == Class::Loopback,
            AllowNetwork::Private => class == Class::Private,
            AllowNetwork::Cidr(net) => net.contains(&inner) || net.contains(&address),
            AllowNetwork::Host(name) => name.eq_ignore_ascii_case(host),
        })
    }

    /// Asks the system's resolver on a thread that may block; the permit stays with the thread, not with whoever waits for it.
    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, GateError> {
        let name_server = |host: &str| GateError::NameServer { host: host.to_owned() };
        let permit = Arc::clone(&self.0.lookups).acquire_owned().await.map_err(|_| name_server(host))?;
        let name = host.to_owned();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)
        })
        .await
        .map_err(|_| name_server(host))?;
        match answer {
            Ok(found) => {
                let mut ips: Vec<IpAddr> = Vec::with_capacity(found.len());
                for ip in found.into_iter().map(|address| address.ip()) {
                    if !ips.contains(&ip) {
                        ips.push(ip);
                    }
                }
                Ok(ips)
            }
            Err(error) if is_temporary(&error.to_string()) => Err(name_server(host)),
            Err(_) => Err(GateError::NotFound { host: host.to_owned() }),
        }
    }
}

/// The resolver's code is lost in the standard library; its text is what the C libraries make of `EAI_AGAIN` and `EAI_FAIL`.
fn is_temporary(text: &str) -> bool {
    [
        "Temporary failure",
        "Try again",
        "Non-recoverable",
        "No file descriptors",
        "System error",
    ]
    .iter()
    .any(|known| text.contains(known))
}

/// A host as URLs and people write it, without brackets and the dot at the end.
fn bare(host: &str) -> &str {
    let host = host.trim_end_matches('.');
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests;
