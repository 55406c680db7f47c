//! The one outbound gate: every connection of the program, to mail servers and to providers alike, goes to an address that was
//! looked up once and checked here. Public addresses pass; loopback and private networks pass only where the setting
//! `allow_networks` names them; link-local and metadata addresses never do.

use crate::model::mailbox::Endpoint;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
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

/// What kind of network an address is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    Loopback,
    Private,
    /// Reserved for something: allowed by a network or name only.
    Special,
    /// Never a mail server or provider, and dangerous to ask.
    Never,
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

/// The class of an address, and the address it really is where one is wrapped in another.
fn classify(address: IpAddr) -> (Class, IpAddr) {
    match address {
        IpAddr::V4(v4) => (class_v4(v4), address),
        IpAddr::V6(v6) => match unwrap_v4(v6) {
            Some(v4) => (class_v4(v4), v4.into()),
            None => (class_v6(v6), address),
        },
    }
}

/// The IPv4 address inside a mapped, compatible, translated (RFC 6052, RFC 2765) or 6to4 (RFC 3056) IPv6 address.
fn unwrap_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            v4(high, low)
        }
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

fn class_v4(v4: Ipv4Addr) -> Class {
    match v4.octets() {
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        // This network, link-local, multicast, broadcast.
        [0, ..] | [169, 254, ..] | [224..=239, ..] | [255, 255, 255, 255] => Class::Never,
        // Metadata and host services of clouds that sit outside the link-local network.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Never,
        // Carrier NAT, protocol assignments, documentation, 6to4 relays, benchmarks, the reserved rest.
        [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(v6: Ipv6Addr) -> Class {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] => Class::Never,
        // Metadata services with addresses of their own.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Class::Never,
        // Teredo (RFC 4380) and local-use translation (RFC 8215) hide an IPv4 address we can't read.
        [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => Class::Never,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Protocol assignments and documentation inside the global range.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(networks: &[&str]) -> Gate {
        Gate::new(networks.iter().map(|n| n.parse().unwrap()).collect(), vec![])
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn check(networks: &[&str], address: &str) -> Result<(), GateError> {
        gate(networks).check("mail.example", 993, &[ip(address)])
    }

    /// What the refusal says has to be added.
    fn to_add(address: &str) -> Option<String> {
        match check(&[], address) {
            Err(GateError::Forbidden { add, .. }) => add,
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn public_addresses_pass_also_wrapped_in_other_forms() {
        for address in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "2a00:1450:4001::6d",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert_eq!(check(&[], address), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_refusal_names_what_to_add_and_adding_it_helps() {
        for (address, add) in [
            ("127.0.0.1", "loopback"),
            ("127.9.9.9", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:0:127.0.0.1", "loopback"),
            ("::127.0.0.1", "loopback"),
            ("64:ff9b::7f00:1", "loopback"),
            ("2002:7f00:1::1", "loopback"),
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("fc00::1", "private"),
            ("fd12:3456::1", "private"),
            ("::ffff:10.0.0.1", "private"),
            ("64:ff9b::a00:1", "private"),
            ("2002:c0a8:101::1", "private"),
            ("100.64.0.1", "100.64.0.1/32"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("198.18.0.1", "198.18.0.1/32"),
            ("198.51.100.7", "198.51.100.7/32"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("240.0.0.1", "240.0.0.1/32"),
            ("192.88.99.1", "192.88.99.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("3fff::1", "3fff::1/128"),
            ("100::1", "100::1/128"),
            ("fec0::1", "fec0::1/128"),
            ("4000::1", "4000::1/128"),
        ] {
            assert_eq!(to_add(address).as_deref(), Some(add), "{address}");
            assert_eq!(check(&[add], address), Ok(()), "{address} with {add}");
        }
    }

    #[test]
    fn link_local_metadata_and_group_addresses_never_pass() {
        let everything = ["loopback", "private", "0.0.0.0/0", "::/0", "mail.example"];
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "febf::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "ff02::1",
            "2001:0:7f00:1::1",
        ] {
            assert_eq!(to_add(address), None, "{address}");
            assert!(check(&everything, address).is_err(), "{address}");
        }
    }

    #[test]
    fn one_forbidden_address_is_enough_to_refuse_a_name() {
        let addresses = [ip("8.8.8.8"), ip("127.0.0.1")];
        assert!(gate(&[]).check("rebind.example", 993, &addresses).is_err());
        assert!(gate(&["private"]).check("rebind.example", 993, &addresses).is_err());
        assert!(gate(&[]).check("nothing.example", 993, &[]).is_err());
    }

    #[test]
    fn the_refusal_is_the_same_whatever_the_port() {
        let text = |port| gate(&[]).check("inside.example", port, &[ip("10.0.0.1")]).unwrap_err().to_string();
        assert_eq!(text(993), text(22));
        assert_eq!(
            text(993),
            "inside.example is in a network that is not allowed; if it is right, add private to the setting allow_networks \
             (MAILGRANT_ALLOW_NETWORKS)"
        );
    }

    #[test]
    fn ports_are_those_of_mail_and_any_where_the_destination_is_named() {
        let public = [ip("8.8.8.8")];
        for port in PORTS {
            assert_eq!(gate(&[]).check("mail.example", port, &public), Ok(()));
        }
        for port in [22, 80, 8080, 6379, 1] {
            assert_eq!(
                gate(&["loopback"]).check("mail.example", port, &public),
                Err(GateError::PortForbidden { port })
            );
            assert_eq!(gate(&["mail.example"]).check("MAIL.example.", port, &public), Ok(()));
            assert_eq!(gate(&["8.8.8.0/24"]).check("mail.example", port, &public), Ok(()));
            assert_eq!(gate(&["loopback"]).check("localhost", port, &[ip("127.0.0.1")]), Ok(()));
            let mixed = [ip("8.8.8.8"), ip("9.9.9.9")];
            assert!(gate(&["8.8.8.8"]).check("mail.example", port, &mixed).is_err());
        }
        assert_eq!(Gate::new(vec![], vec![8143]).check("mail.example", 8143, &public), Ok(()));
        let text = gate(&[]).check("mail.example", 22, &public).unwrap_err().to_string();
        assert!(text.contains("add 22 to the setting allow_ports (MAILGRANT_ALLOW_PORTS)"), "{text}");
    }

    #[test]
    fn a_host_entry_counts_for_that_name_alone() {
        let gate = gate(&["mail.corp.example"]);
        assert_eq!(gate.check("Mail.Corp.Example", 993, &[ip("10.0.0.1")]), Ok(()));
        assert!(gate.check("other.corp.example", 993, &[ip("10.0.0.1")]).is_err());
        assert!(gate.check("x.mail.corp.example", 993, &[ip("10.0.0.1")]).is_err());
    }

    #[test]
    fn clear_text_is_for_loopback_alone() {
        let loopback = [ip("127.0.0.1"), ip("::1")];
        assert!(gate(&["loopback"]).allows_plain("localhost", &loopback));
        assert!(gate(&["127.0.0.0/8"]).allows_plain("localhost", &loopback[..1]));
        assert!(gate(&["localhost"]).allows_plain("localhost", &loopback));
        assert!(!gate(&[]).allows_plain("localhost", &loopback));
        assert!(!gate(&["private"]).allows_plain("mail.example", &[ip("10.0.0.1")]));
        assert!(!gate(&["mail.example"]).allows_plain("mail.example", &[ip("8.8.8.8")]));
        assert!(!gate(&["loopback"]).allows_plain("mixed.example", &[ip("127.0.0.1"), ip("8.8.8.8")]));
        assert!(!gate(&["loopback"]).allows_plain("nothing.example", &[]));
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        for (text, shown) in [
            ("loopback", "loopback"),
            (" private ", "private"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("192.168.7.9", "192.168.7.9/32"),
            ("fd00::/8", "fd00::/8"),
            ("Mail.Corp.example", "mail.corp.example"),
        ] {
            assert_eq!(text.parse::<AllowNetwork>().unwrap().to_string(), shown);
        }
        for bad in ["", "http://x", "10.0.0.0/33", "a b"] {
            assert!(bad.parse::<AllowNetwork>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn literals_and_odd_spellings_of_loopback_are_caught() {
        for host in [
            "127.0.0.1",
            "[::1]",
            "::1",
            "localhost",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::ffff:127.0.0.1]",
        ] {
            match gate(&[]).resolve(host, 993).await {
                Err(GateError::Forbidden { add, .. }) => assert_eq!(add.as_deref(), Some("loopback"), "{host}"),
                Err(GateError::NotFound { .. } | GateError::NameServer { .. }) => {
                    assert!(host.starts_with("0x") || host.starts_with('2'), "{host}");
                }
                other => panic!("{host}: {other:?}"),
            }
        }
        let found = gate(&["loopback"]).resolve("[::ffff:127.0.0.1]", 143).await.unwrap();
        assert_eq!(found, ["127.0.0.1:143".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_nobody_has_is_not_found_or_not_answered() {
        let error = gate(&[]).resolve("no-such-name.invalid", 993).await.unwrap_err();
        assert!(
            matches!(
                error,
                GateError::NotFound { .. } | GateError::NameServer { .. } | GateError::Timeout { .. }
            ),
            "{error:?}"
        );
        assert!(is_temporary(
            "failed to lookup address information: Temporary failure in name resolution"
        ));
        assert!(!is_temporary("failed to lookup address information: Name or service not known"));
    }

    #[tokio::test]
    async fn the_demo_leads_to_this_machine_only_and_asks_nobody_for_names() {
        let gate = Gate::this_machine();
        for host in ["127.0.0.1", "::1", "[::1]", "localhost"] {
            assert!(gate.resolve(host, 4711).await.is_ok(), "{host}");
        }
        for host in [
            "8.8.8.8",
            "10.0.0.1",
            "169.254.169.254",
            "login.microsoftonline.com",
            "no-such-name.invalid",
        ] {
            let outside = GateError::Outside { host: host.to_owned() };
            assert_eq!(gate.resolve(host, 443).await, Err(outside), "{host}");
        }
    }
}
