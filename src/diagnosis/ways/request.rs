//! The mail to whoever can fix it, with every value they need.

use super::{Scene, Way};
use crate::model::report::{Diagnosis, Direction, FixWhere};
use crate::model::token::GrantType;

/// How much of what the other side said goes along, in characters?
const SAID: usize = 600;

/// A mail that asks for this way.
pub(super) fn request(diagnosis: &Diagnosis, way: &Way, scene: &Scene) -> String {
    let what = match (scene.direction, scene.address.is_empty()) {
        (Some(Direction::Incoming), false) => format!("can't read the mail of {}", scene.address),
        (Some(Direction::Outgoing), false) => format!("can't send mail as {}", scene.address),
        (_, false) => format!("can't open the mailbox {}", scene.address),
        (_, true) if !scene.account.is_empty() => format!("has no working sign-in for {}", scene.account),
        (_, true) => "can't get at our mail".to_owned(),
    };
    let mut lines = vec![
        format!("Subject: {}: what we need from you", diagnosis.title),
        String::new(),
        "Hello,".to_owned(),
        String::new(),
        format!("our mail console Mailgrant {what}. The cause: {}.", diagnosis.title),
        diagnosis.meaning.clone(),
        String::new(),
        "What would fix it:".to_owned(),
    ];
    lines.extend([&way.title, &way.text].into_iter().filter(|text| !text.is_empty()).cloned());
    if let Some(shell) = way.shell {
        lines.extend([String::new(), format!("{}:", shell.hint()), way.command.clone()]);
    }
    let values = values(way.who, scene);
    if !values.is_empty() {
        lines.extend([String::new(), "The values:".to_owned()]);
        lines.extend(values.into_iter().map(|(label, value)| format!("- {label}: {value}")));
    }
    let said: String = scene.said.trim().chars().take(SAID).collect();
    if !said.is_empty() {
        lines.extend([String::new(), "What the other side said:".to_owned(), said]);
    }
    if !diagnosis.url.is_empty() {
        lines.extend([String::new(), format!("More about it: {}", diagnosis.url)]);
    }
    lines.extend([String::new(), "Thank you".to_owned()]);
    lines.join("\n")
}

/// What whoever fixes it there has to know; what isn't known here is left out.
fn values(who: FixWhere, scene: &Scene) -> Vec<(String, String)> {
    let (host, port) = scene.server();
    let of = |label: &str, place: &str| (label.to_owned(), scene.value(place));
    let mut values = match who {
        FixWhere::Portal => {
            let mut values = vec![
                of("Directory (tenant) ID", "tenant"),
                of("Application (client) ID", "client id"),
                of("Client ID of the service account", "service account's client id"),
                of("Permissions", "scopes"),
                of("Account", "account"),
                of("Mailbox", "mailbox"),
            ];
            if scene.grant.is_none_or(GrantType::needs_person) {
                values.push(of("Redirect address", "redirect address"));
                values.push(of("Return address of admin consent", "consent return address"));
            }
            values.extend(
                scene
                    .thumbprints
                    .iter()
                    .map(|(kind, text)| (format!("Thumbprint of the certificate, {kind}"), text.clone())),
            );
            values
        }
        FixWhere::Exchange => vec![
            of("Mailbox", "mailbox"),
            of("Sender", "from address"),
            of("Account that opens it", "account"),
            of("Application (client) ID", "client id"),
            of("Object ID of the enterprise application", "enterprise object id"),
            of("Directory (tenant) ID", "tenant"),
        ],
        FixWhere::Network => vec![
            ("Direction".to_owned(), "outgoing, from this console to the server".to_owned()),
            of("From", "this server"),
            ("To host".to_owned(), host.to_owned()),
            ("To port".to_owned(), if port > 0 { format!("TCP {port}") } else { String::new() }),
            of("Protocol", "protocol"),
        ],
        FixWhere::User => vec![
            of("Mailbox", "mailbox"),
            of("Account", "account"),
            ("Console".to_owned(), scene.console.clone()),
        ],
        FixWhere::Console => Vec::new(),
    };
    values.retain(|(_, value)| !value.is_empty());
    values
}
