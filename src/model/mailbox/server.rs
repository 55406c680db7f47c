//! Where a side reads or sends: protocol, server, port and encryption.

use crate::model::report::Direction;
use crate::model::words;

words!(
    /// Encryption of a mail connection.
    Security {
        /// TLS from the start.
        Tls = "tls",
        /// STARTTLS, required.
        Starttls = "starttls",
        /// None: loopback only.
        None = "none",
    }
);

words!(
    /// What a side speaks.
    Protocol {
        /// IMAP4rev1: reading.
        Imap = "imap",
        /// POP3: reading, the inbox only.
        Pop3 = "pop3",
        /// SMTP submission: sending.
        Smtp = "smtp",
        /// Microsoft Graph: both.
        Graph = "graph",
    }
);

impl Protocol {
    /// Those a direction can use, in the order of the form.
    pub const fn of(direction: Direction) -> &'static [Self] {
        match direction {
            Direction::Incoming => &[Self::Graph, Self::Imap, Self::Pop3],
            Direction::Outgoing => &[Self::Graph, Self::Smtp],
        }
    }

    /// The name people know.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop3 => "POP",
            Self::Smtp => "SMTP",
            Self::Graph => "Microsoft Graph",
        }
    }

    /// The usual ports: TLS from the start, and STARTTLS.
    pub const fn ports(self) -> (u16, u16) {
        match self {
            Self::Imap => (993, 143),
            Self::Pop3 => (995, 110),
            Self::Smtp => (465, 587),
            Self::Graph => (443, 443),
        }
    }

    /// What a server speaks that has such an endpoint.
    pub fn at(self, endpoint: Endpoint) -> Server {
        match self {
            Self::Imap => Server::Imap(endpoint),
            Self::Pop3 => Server::Pop3(endpoint),
            Self::Smtp => Server::Smtp(endpoint),
            Self::Graph => Server::Graph,
        }
    }
}

/// A mail server. The host is checked: no blanks, no control characters, no scheme, no path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub security: Security,
}

impl Endpoint {
    /// What a password for this server is bound to (SEC-2, SEC-8).
    pub fn destination(&self) -> String {
        format!("{}:{}/{}", self.host.to_ascii_lowercase(), self.port, self.security)
    }

    /// Checks a host as people paste it: a name or an address, nothing else.
    pub fn check_host(text: &str) -> Result<String, HostError> {
        let text = text.trim().trim_end_matches('.');
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Ok(text.to_owned());
        }
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.contains("://") || text.contains('/') {
            return Err(HostError::Url);
        }
        let has_port = |(_, port): (&str, &str)| port.parse::<u16>().is_ok();
        if text.rsplit_once(':').is_some_and(has_port) {
            return Err(HostError::Port);
        }
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(HostError::NotAHost);
        }
        Ok(text.to_ascii_lowercase())
    }
}

/// Why a text is no server name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("Enter a server name, like imap.example.com")]
    Empty,
    /// An address of a web page.
    #[error("Enter a server name without https:// or a path")]
    Url,
    /// The port along with the name.
    #[error("Put the port into Port, and the server's name alone here")]
    Port,
    /// Anything else.
    #[error("Server must be a host name or an IP address")]
    NotAHost,
}

/// Where a side reads or sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// An IMAP server.
    Imap(Endpoint),
    /// A POP3 server.
    Pop3(Endpoint),
    /// An SMTP server.
    Smtp(Endpoint),
    /// Microsoft Graph, where the token's provider has it.
    Graph,
}

impl Server {
    /// What it speaks.
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Imap(_) => Protocol::Imap,
            Self::Pop3(_) => Protocol::Pop3,
            Self::Smtp(_) => Protocol::Smtp,
            Self::Graph => Protocol::Graph,
        }
    }

    /// The mail server; none for Graph.
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Imap(endpoint) | Self::Pop3(endpoint) | Self::Smtp(endpoint) => Some(endpoint),
            Self::Graph => None,
        }
    }

    /// Host name of the mail server; empty for Graph.
    pub fn host(&self) -> &str {
        self.endpoint().map_or("", |endpoint| endpoint.host.as_str())
    }

    /// What a password for this server is bound to; Graph takes none.
    pub fn destination(&self) -> String {
        self.endpoint().map_or_else(|| Protocol::Graph.to_string(), Endpoint::destination)
    }
}
