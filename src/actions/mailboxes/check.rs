//! From what was typed to what may be saved: the rules of a mailbox (`ux.md`, 6.4), the same for the form and for `config apply`.

use crate::actions::{FieldProblem, Problems};
use crate::gate::{Gate, GateError};
use crate::model::Name;
use crate::model::mailbox::{Auth, AuthKind, Endpoint, HostError, Mailbox, Protocol, Security, Server, Side, check_address};
use crate::model::report::Direction;
use crate::secret::Password;
use std::net::{IpAddr, Ipv4Addr};

/// How long may a name, a user name or a folder be?
const LONGEST: usize = 200;
/// How long may a password be? An access token has room in it.
const LONGEST_PASSWORD: usize = 4096;
/// How many tags or addresses for copies?
const MOST_ITEMS: usize = 20;

/// One side as text.
#[derive(Debug, Clone, Default)]
pub struct SideInput {
    /// `imap`, `pop3`, `smtp` or `graph`.
    pub protocol: String,
    /// Server; nothing for Graph, like port and encryption.
    pub host: String,
    /// Port; empty: the usual one.
    pub port: String,
    /// `tls`, `starttls` or `none`; empty: the usual one.
    pub security: String,
    /// `oauth2`, `password` or `none`.
    pub auth: String,
    /// Name of the token.
    pub token: String,
    /// Login user; empty: the address.
    pub username: String,
    /// A new password; none: the stored one stays.
    pub password: Option<Password>,
}

/// A mailbox as text.
#[derive(Debug, Clone, Default)]
pub struct MailboxInput {
    /// Handle; empty: made from the address.
    pub name: String,
    /// Address.
    pub address: String,
    /// Display name.
    pub display_name: String,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Tags.
    pub tags: Vec<String>,
    /// Reading; none: not at all.
    pub incoming: Option<SideInput>,
    /// Folder to read; empty: the inbox.
    pub folder: String,
    /// Sending; none: not at all.
    pub outgoing: Option<SideInput>,
    /// Default From; empty: the address.
    pub from: String,
    /// Default Bcc.
    pub bcc: Vec<String>,
}

impl SideInput {
    fn of(side: &Side) -> Self {
        let token = match &side.auth {
            Auth::OAuth2 { token, .. } => token.to_string(),
            _ => String::new(),
        };
        let endpoint = side.server.endpoint();
        Self {
            protocol: side.server.protocol().to_string(),
            host: side.server.host().to_owned(),
            port: endpoint.map(|endpoint| endpoint.port.to_string()).unwrap_or_default(),
            security: endpoint.map(|endpoint| endpoint.security.to_string()).unwrap_or_default(),
            auth: side.auth.kind().to_string(),
            token,
            username: side.username.clone().unwrap_or_default(),
            password: None,
        }
    }
}

impl MailboxInput {
    /// A stored mailbox as text: what an edit starts from. Passwords stay where they are.
    pub fn of(mailbox: &Mailbox) -> Self {
        Self {
            name: mailbox.name.to_string(),
            address: mailbox.address.clone(),
            display_name: mailbox.display_name.clone(),
            enabled: mailbox.enabled,
            tags: mailbox.tags.clone(),
            incoming: mailbox.incoming.as_ref().map(SideInput::of),
            folder: mailbox.folder.clone(),
            outgoing: mailbox.outgoing.as_ref().map(SideInput::of),
            from: mailbox.from.clone().unwrap_or_default(),
            bcc: mailbox.bcc.clone(),
        }
    }
}

/// How a side is to sign in.
#[derive(Debug, Clone)]
pub enum AuthEdit {
    /// With this token.
    OAuth2(Name),
    /// With this password, or with the stored one.
    Password(Option<Password>),
    /// Not at all.
    None,
}

/// One side, checked.
#[derive(Debug, Clone)]
pub struct SideEdit {
    /// Server.
    pub server: Server,
    /// Sign-in.
    pub auth: AuthEdit,
    /// Login user; none: the address.
    pub username: Option<String>,
}

/// A mailbox, checked as far as that goes without the database.
#[derive(Debug, Clone)]
pub struct MailboxEdit {
    /// Handle.
    pub name: Name,
    /// Address.
    pub address: String,
    /// Display name.
    pub display_name: String,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Reading.
    pub incoming: Option<SideEdit>,
    /// Folder to read.
    pub folder: String,
    /// Sending.
    pub outgoing: Option<SideEdit>,
    /// Default From; none: the address.
    pub from: Option<String>,
    /// Default Bcc.
    pub bcc: Vec<String>,
}

/// The items of a text with commas, semicolons or line breaks between them.
pub fn split_list(text: &str) -> Vec<String> {
    text.split([',', ';', '\n', '\r'])
        .map(|item| trimmed(item).to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

/// The text without blanks, line breaks and one pair of quotes around it: as people paste it.
pub fn trimmed(text: &str) -> &str {
    let text = text.trim();
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    quoted('"').or_else(|| quoted('\'')).map_or(text, str::trim)
}

/// Checks everything that can be checked without the database. All problems at once, in the order of the form.
pub fn check_mailbox(input: &MailboxInput, gate: &Gate) -> Result<MailboxEdit, Vec<FieldProblem>> {
    let mut check = Check {
        problems: Problems::default(),
        gate,
    };
    let address = check.address("address", &input.address);
    let name = check.name(&input.name, &input.address);
    let display_name = check.line("display_name", "Display name", &input.display_name);
    let tags = check.tags(&input.tags);
    if input.incoming.is_none() && input.outgoing.is_none() {
        check.add(
            "incoming.protocol",
            "Choose how to read or to send mail: a mailbox needs one of them",
        );
    }
    let incoming = input.incoming.as_ref().map(|side| check.side(side, &INCOMING));
    let folder = check.line("incoming.folder", "Folder", &input.folder);
    let outgoing = input.outgoing.as_ref().map(|side| check.side(side, &OUTGOING));
    let from = match trimmed(&input.from) {
        "" => None,
        text => check.address("outgoing.from", text),
    };
    let bcc = check.bcc(&input.bcc);
    check.problems.check()?;
    match (address, name, incoming.transpose_side(), outgoing.transpose_side()) {
        (Some(address), Some(name), Some(incoming), Some(outgoing)) => Ok(MailboxEdit {
            display_name,
            enabled: input.enabled,
            tags,
            incoming,
            folder: if folder.is_empty() { "INBOX".into() } else { folder },
            outgoing,
            from: from.filter(|from| !from.eq_ignore_ascii_case(&address)),
            bcc,
            address,
            name,
        }),
        _ => Err(Vec::new()),
    }
}

/// `Some(None)` where a side is missing by choice, `None` where it has problems.
trait Transpose {
    fn transpose_side(self) -> Option<Option<SideEdit>>;
}

impl Transpose for Option<Option<SideEdit>> {
    fn transpose_side(self) -> Option<Option<SideEdit>> {
        match self {
            None => Some(None),
            Some(side) => side.map(Some),
        }
    }
}

/// The fields of a side.
struct SideFields {
    direction: Direction,
    protocol: &'static str,
    host: &'static str,
    port: &'static str,
    security: &'static str,
    auth: &'static str,
    token: &'static str,
    username: &'static str,
    password: &'static str,
}

const INCOMING: SideFields = SideFields {
    direction: Direction::Incoming,
    protocol: "incoming.protocol",
    host: "incoming.host",
    port: "incoming.port",
    security: "incoming.security",
    auth: "incoming.auth",
    token: "incoming.token",
    username: "incoming.username",
    password: "incoming.password",
};

const OUTGOING: SideFields = SideFields {
    direction: Direction::Outgoing,
    protocol: "outgoing.protocol",
    host: "outgoing.host",
    port: "outgoing.port",
    security: "outgoing.security",
    auth: "outgoing.auth",
    token: "outgoing.token",
    username: "outgoing.username",
    password: "outgoing.password",
};

struct Check<'a> {
    problems: Problems,
    gate: &'a Gate,
}

impl Check<'_> {
    fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.problems.add(field, message);
    }

    fn address(&mut self, field: &'static str, text: &str) -> Option<String> {
        let address = check_address(trimmed(text));
        if address.is_none() {
            self.add(field, "Enter an email address like support@example.com");
        }
        address
    }

    fn name(&mut self, text: &str, address: &str) -> Option<Name> {
        let text = trimmed(text);
        if text.is_empty()
            && let Some(name) = Name::suggest(trimmed(address))
        {
            return Some(name);
        }
        self.problems.take("name", Name::parse(text))
    }

    /// One line of text that may be shown or sent.
    fn line(&mut self, field: &'static str, label: &str, text: &str) -> String {
        let text = trimmed(text);
        if text.chars().any(char::is_control) {
            self.add(field, format!("{label} can't have line breaks or control characters"));
        } else if text.chars().count() > LONGEST {
            self.add(field, format!("{label} must be {LONGEST} characters or fewer"));
        }
        text.to_owned()
    }

    fn tags(&mut self, input: &[String]) -> Vec<String> {
        let mut tags: Vec<String> = input
            .iter()
            .map(|tag| trimmed(tag).to_lowercase())
            .filter(|tag| !tag.is_empty())
            .collect();
        tags.sort();
        tags.dedup();
        let good = |tag: &String| tag.chars().count() <= 50 && tag.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
        if !tags.iter().all(good) {
            self.add("tags", "A tag can have letters, digits, - and _");
        } else if tags.len() > MOST_ITEMS {
            self.add("tags", format!("A mailbox can have {MOST_ITEMS} tags at most"));
        }
        tags
    }

    fn bcc(&mut self, input: &[String]) -> Vec<String> {
        let texts: Vec<&str> = input.iter().map(|text| trimmed(text)).filter(|text| !text.is_empty()).collect();
        let addresses: Vec<String> = texts.iter().filter_map(|text| check_address(text)).collect();
        if addresses.len() != texts.len() {
            self.add("outgoing.bcc", "Enter email addresses separated by commas");
        } else if addresses.len() > MOST_ITEMS {
            self.add("outgoing.bcc", format!("Enter {MOST_ITEMS} addresses at most"));
        }
        addresses
    }

    fn side(&mut self, input: &SideInput, fields: &SideFields) -> Option<SideEdit> {
        let protocol = Protocol::parse(trimmed(&input.protocol)).filter(|protocol| Protocol::of(fields.direction).contains(protocol));
        let server = match protocol {
            Some(Protocol::Graph) => Some(Server::Graph),
            Some(protocol) => self.endpoint(input, fields, protocol).map(|endpoint| protocol.at(endpoint)),
            None => {
                let message = match fields.direction {
                    Direction::Incoming => "Read mail with must be Microsoft Graph, IMAP or POP",
                    Direction::Outgoing => "Send mail with must be Microsoft Graph or SMTP",
                };
                self.add(fields.protocol, message);
                None
            }
        };
        let username = self.line(fields.username, "User name", &input.username);
        let auth = self.auth(input, fields);
        if protocol == Some(Protocol::Graph) && matches!(auth, Some(AuthEdit::Password(_) | AuthEdit::None)) {
            self.add(fields.auth, "Microsoft Graph takes a token only");
        }
        Some(SideEdit {
            server: server?,
            auth: auth?,
            username: Some(username).filter(|text| !text.is_empty()),
        })
    }

    fn auth(&mut self, input: &SideInput, fields: &SideFields) -> Option<AuthEdit> {
        match AuthKind::parse(trimmed(&input.auth)) {
            Some(AuthKind::OAuth2) => match trimmed(&input.token) {
                "" => {
                    self.add(fields.token, "Choose a token");
                    None
                }
                text => match Name::parse(text) {
                    Ok(name) => Some(AuthEdit::OAuth2(name)),
                    Err(_) => {
                        self.add(fields.token, format!("There is no token called \"{}\"", short(text)));
                        None
                    }
                },
            },
            Some(AuthKind::Password) => {
                if let Some(password) = &input.password {
                    let text = password.expose_secret();
                    if text.chars().any(char::is_control) {
                        self.add(fields.password, "Password can't have line breaks or control characters");
                    } else if text.is_empty() {
                        self.add(fields.password, "Enter the password");
                    } else if text.len() > LONGEST_PASSWORD {
                        self.add(fields.password, format!("Password must be {LONGEST_PASSWORD} characters or fewer"));
                    }
                }
                Some(AuthEdit::Password(input.password.clone()))
            }
            Some(AuthKind::None) if fields.direction == Direction::Outgoing => Some(AuthEdit::None),
            Some(AuthKind::None) => {
                self.add(fields.auth, "Reading mail needs a sign-in; only sending can do without");
                None
            }
            None => {
                self.add(fields.auth, "Choose how to sign in");
                None
            }
        }
    }

    fn endpoint(&mut self, input: &SideInput, fields: &SideFields, protocol: Protocol) -> Option<Endpoint> {
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
        match endpoint.security {
            Security::Starttls | Security::None if port == tls => self.add(
                fields.port,
                format!("Port {tls} expects TLS from the start. Choose that, or port {starttls} for STARTTLS"),
            ),
            Security::Tls if port == starttls || port == 25 => self.add(
                fields.port,
                format!("Port {port} expects STARTTLS. Choose that, or port {tls} for TLS from the start"),
            ),
            _ => {}
        }
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

/// So much of a text as a message has room for.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(protocol: &str, port: &str, security: &str) -> SideInput {
        SideInput {
            protocol: protocol.into(),
            host: "mail.example.com".into(),
            port: port.into(),
            security: security.into(),
            auth: "oauth2".into(),
            token: "support".into(),
            ..SideInput::default()
        }
    }

    fn input() -> MailboxInput {
        MailboxInput {
            address: "support@example.com".into(),
            incoming: Some(side("imap", "", "")),
            outgoing: Some(side("smtp", "", "")),
            ..MailboxInput::default()
        }
    }

    fn gate(networks: &[&str]) -> Gate {
        Gate::new(networks.iter().map(|net| net.parse().unwrap()).collect(), vec![])
    }

    /// The problems as `field: message`.
    fn problems(input: &MailboxInput) -> Vec<String> {
        match check_mailbox(input, &gate(&[])) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|p| format!("{}: {}", p.field, p.message)).collect(),
        }
    }

    #[test]
    fn the_least_that_is_needed_gets_the_usual_rest() {
        let edit = check_mailbox(&input(), &gate(&[])).unwrap();
        let server = |side: &Option<SideEdit>| side.as_ref().map(|s| s.server.destination()).unwrap();
        assert_eq!((edit.name.as_str(), edit.folder.as_str()), ("support", "INBOX"));
        assert_eq!(server(&edit.incoming), "mail.example.com:993/tls");
        assert_eq!(server(&edit.outgoing), "mail.example.com:587/starttls");
    }

    #[test]
    fn pop_has_its_own_ports_and_graph_has_no_server() {
        let mut input = input();
        input.incoming = Some(side("pop3", "", ""));
        input.outgoing = Some(SideInput {
            host: String::new(),
            ..side("graph", "", "")
        });
        let edit = check_mailbox(&input, &gate(&[])).unwrap();
        assert_eq!(edit.incoming.unwrap().server.destination(), "mail.example.com:995/tls");
        assert_eq!(edit.outgoing.unwrap().server, Server::Graph);
        input.incoming = Some(side("pop3", "", "starttls"));
        let edit = check_mailbox(&input, &gate(&[])).unwrap();
        assert_eq!(edit.incoming.unwrap().server.destination(), "mail.example.com:110/starttls");
    }

    #[test]
    fn every_rule_names_its_field() {
        type Change = fn(&mut MailboxInput);
        let cases: &[(Change, &str)] = &[
            (
                |i| i.address = "support".into(),
                "address: Enter an email address like support@example.com",
            ),
            (
                |i| i.name = "Support Desk".into(),
                "name: Name can have a–z, 0–9, dot, hyphen and underscore",
            ),
            (
                |i| i.display_name = "Support\r\nBcc: x@y.z".into(),
                "display_name: Display name can't have line breaks or control characters",
            ),
            (|i| i.tags = vec!["a b".into()], "tags: A tag can have letters, digits, - and _"),
            (
                |i| (i.incoming, i.outgoing) = (None, None),
                "incoming.protocol: Choose how to read or to send mail: a mailbox needs one of them",
            ),
            (
                |i| i.incoming.as_mut().unwrap().host = "https://x.example/".into(),
                "incoming.host: Enter a server name without https:// or a path",
            ),
            (
                |i| i.incoming.as_mut().unwrap().host = "localhost:993".into(),
                "incoming.host: Put the port into Port, and the server's name alone here",
            ),
            (
                |i| i.outgoing.as_mut().unwrap().host = String::new(),
                "outgoing.host: Enter a server name, like smtp.example.com",
            ),
            (
                |i| i.incoming.as_mut().unwrap().port = "70000".into(),
                "incoming.port: Port must be between 1 and 65535",
            ),
            (
                |i| i.incoming = Some(side("imap", "993", "starttls")),
                "incoming.port: Port 993 expects TLS from the start. Choose that, or port 143 for STARTTLS",
            ),
            (
                |i| i.incoming = Some(side("imap", "143", "tls")),
                "incoming.port: Port 143 expects STARTTLS. Choose that, or port 993 for TLS from the start",
            ),
            (
                |i| i.outgoing = Some(side("smtp", "465", "starttls")),
                "outgoing.port: Port 465 expects TLS from the start. Choose that, or port 587 for STARTTLS",
            ),
            (
                |i| i.incoming = Some(side("imap", "143", "none")),
                "incoming.security: Unencrypted mail is allowed to this machine only",
            ),
            (
                |i| i.incoming.as_mut().unwrap().host = "10.1.2.3".into(),
                "incoming.host: 10.1.2.3 is in a network that is not allowed. If it is right, add private to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)",
            ),
            (
                |i| i.incoming.as_mut().unwrap().host = "localhost".into(),
                "incoming.host: localhost is in a network that is not allowed. If it is right, add loopback to the setting allow_networks (MAILGRANT_ALLOW_NETWORKS)",
            ),
            (
                |i| i.incoming = Some(side("smtp", "", "")),
                "incoming.protocol: Read mail with must be Microsoft Graph, IMAP or POP",
            ),
            (
                |i| i.outgoing = Some(side("pop3", "", "")),
                "outgoing.protocol: Send mail with must be Microsoft Graph or SMTP",
            ),
            (
                |i| i.incoming = Some(side("pop3", "993", "")),
                "incoming.port: Port 993 is for IMAP. Choose that, or port 995 for POP",
            ),
            (
                |i| i.incoming = Some(side("pop3", "995", "starttls")),
                "incoming.port: Port 995 expects TLS from the start. Choose that, or port 110 for STARTTLS",
            ),
            (
                |i| {
                    i.outgoing = Some(SideInput {
                        auth: "none".into(),
                        ..side("graph", "", "")
                    });
                },
                "outgoing.auth: Microsoft Graph takes a token only",
            ),
            (
                |i| i.incoming.as_mut().unwrap().token = String::new(),
                "incoming.token: Choose a token",
            ),
            (
                |i| i.incoming.as_mut().unwrap().auth = "none".into(),
                "incoming.auth: Reading mail needs a sign-in; only sending can do without",
            ),
            (
                |i| i.incoming.as_mut().unwrap().username = "a\u{1}b".into(),
                "incoming.username: User name can't have line breaks or control characters",
            ),
            (
                |i| i.folder = "IN\r\nBOX".into(),
                "incoming.folder: Folder can't have line breaks or control characters",
            ),
            (
                |i| i.bcc = vec!["a@b.example".into(), "nobody".into()],
                "outgoing.bcc: Enter email addresses separated by commas",
            ),
            (
                |i| i.from = "me".into(),
                "outgoing.from: Enter an email address like support@example.com",
            ),
        ];
        for (change, expected) in cases {
            let mut input = input();
            change(&mut input);
            assert_eq!(problems(&input), [*expected]);
        }
    }

    #[test]
    fn clear_text_stays_on_this_machine_where_that_is_allowed() {
        let mut input = input();
        for host in ["localhost", "127.0.0.1", "::1"] {
            input.incoming = Some(SideInput {
                host: host.into(),
                ..side("imap", "1143", "none")
            });
            assert!(check_mailbox(&input, &gate(&["loopback"])).is_ok(), "{host}");
            assert!(check_mailbox(&input, &gate(&[])).is_err(), "{host}");
        }
        input.incoming = Some(SideInput {
            host: "10.0.0.1".into(),
            ..side("imap", "143", "none")
        });
        let problems = check_mailbox(&input, &gate(&["private"])).unwrap_err();
        assert_eq!(problems[0].message, "Unencrypted mail is allowed to this machine only");
    }

    #[test]
    fn pasted_values_lose_their_quotes_and_blanks() {
        assert_eq!(trimmed(" \"imap.example.com\"\r\n"), "imap.example.com");
        assert_eq!(split_list("a@b.c, \"d@e.f\";\n"), ["a@b.c", "d@e.f"]);
    }
}
