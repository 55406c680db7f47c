//! From what was typed to what may be saved: the rules of a mailbox (`ux.md`, 6.4), the same for the form and for `config apply`.

mod server;

pub use server::{gate_message, port_misfit};

use super::input::{AuthEdit, MailboxEdit, MailboxInput, SideEdit, SideInput};
use crate::actions::{FieldProblem, Problems};
use crate::gate::Gate;
use crate::model::Name;
use crate::model::mailbox::{AuthKind, Protocol, Server, check_address};
use crate::model::report::Direction;
use crate::model::round_trip::CHOICES;

/// How long may a name, a user name or a folder be?
const LONGEST: usize = 200;
/// How long may a password be? An access token has room in it.
const LONGEST_PASSWORD: usize = 4096;
/// How many tags or addresses for copies?
pub(super) const MOST_ITEMS: usize = 20;

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
    let round_trip_hours = check.round_trip(input);
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
            round_trip_hours,
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

    /// A message to itself has to go out and to be found.
    fn round_trip(&mut self, input: &MailboxInput) -> i64 {
        let text = trimmed(&input.round_trip_hours);
        let hours = if text.is_empty() { Some(0) } else { text.parse().ok() };
        let Some(hours) = hours.filter(|hours| CHOICES.contains(hours)) else {
            self.add(
                "round_trip_hours",
                "Send a message to itself must be 0 (not at all), 1, 6 or 24 hours",
            );
            return 0;
        };
        let speaks = |side: &Option<SideInput>, protocol| side.as_ref().is_some_and(|side| trimmed(&side.protocol) == protocol);
        if hours > 0 && !(speaks(&input.outgoing, "smtp") && speaks(&input.incoming, "imap")) {
            self.add(
                "round_trip_hours",
                "A message to itself is sent with SMTP and looked for with IMAP. Choose these, or leave it off",
            );
        }
        hours
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
}

/// So much of a text as a message has room for.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests;
