//! What a mailbox is set to, in words, for people who compare.

use crate::model::mailbox::{Auth, Mailbox, Server, Side};
use crate::model::report::Direction;

/// The label of the one setting that has nothing to do with connections.
pub(super) const TURNED_ON: &str = "Turned on";

/// The label of messages to itself: no setting of a connection either.
pub(super) const TO_ITSELF: &str = "Message to itself";

/// What a mailbox is set to, as label and value: what audit entries, "Show what changed" and conflicts compare. Without secrets.
pub fn describe(mailbox: &Mailbox) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Email address", mailbox.address.clone()),
        ("Display name", mailbox.display_name.clone()),
        ("Tags", mailbox.tags.join(", ")),
        (TURNED_ON, if mailbox.enabled { "yes" } else { "no" }.to_owned()),
    ];
    for (direction, side) in [(Direction::Incoming, &mailbox.incoming), (Direction::Outgoing, &mailbox.outgoing)] {
        lines.extend(describe_side(mailbox, direction, side.as_ref()));
    }
    let to_itself = match mailbox.round_trip_hours {
        0 => String::new(),
        1 => "every hour".to_owned(),
        hours => format!("every {hours} hours"),
    };
    lines.push((TO_ITSELF, to_itself));
    lines
}

/// The part of [`describe`] that one side is about.
pub fn describe_side(mailbox: &Mailbox, direction: Direction, side: Option<&Side>) -> Vec<(&'static str, String)> {
    let incoming = direction == Direction::Incoming;
    let pick = |a: &'static str, b: &'static str| if incoming { a } else { b };
    let mut lines = vec![(
        pick("Read mail with", "Send mail with"),
        match (side, incoming) {
            (None, _) => "nothing".to_owned(),
            (Some(side), _) => side.server.protocol().label().to_owned(),
        },
    )];
    let Some(side) = side else {
        return lines;
    };
    let sign_in = match &side.auth {
        Auth::OAuth2 { token, .. } => format!("token {token}"),
        Auth::Password { password: None } => "password, not set".to_owned(),
        Auth::Password {
            password: Some((_, version)),
        } => format!("password, set {}", times(*version)),
        Auth::None => "nothing".to_owned(),
    };
    if let Some(endpoint) = side.server.endpoint() {
        lines.push((pick("Incoming server", "Outgoing server"), endpoint.destination()));
    }
    lines.push((pick("Incoming sign-in", "Outgoing sign-in"), sign_in));
    lines.push((pick("Incoming user name", "Outgoing user name"), mailbox.login(side).to_owned()));
    if incoming {
        if !matches!(side.server, Server::Pop3(_)) {
            lines.push(("Folder", mailbox.folder.clone()));
        }
    } else {
        lines.push(("Default From", mailbox.sender().to_owned()));
        lines.push(("Default Bcc", mailbox.bcc.join(", ")));
    }
    lines
}

fn times(version: i64) -> String {
    if version == 1 {
        "once".to_owned()
    } else {
        format!("{version} times")
    }
}

/// A difference between two descriptions: label, before, after.
pub type Change = (String, String, String);

/// What differs between two descriptions.
pub fn changes<A: AsRef<str>, B: AsRef<str>>(before: &[(A, String)], after: &[(B, String)]) -> Vec<Change> {
    let value = |lines: &[(B, String)], label: &str| lines.iter().find(|(l, _)| l.as_ref() == label).map(|(_, v)| v.clone());
    let mut changes: Vec<Change> = before
        .iter()
        .map(|(label, old)| {
            let label = label.as_ref();
            (label.to_owned(), old.clone(), value(after, label).unwrap_or_default())
        })
        .filter(|(_, old, new)| old != new)
        .collect();
    let is_new = |label: &str| !before.iter().any(|(l, _)| l.as_ref() == label);
    changes.extend(
        after
            .iter()
            .filter(|(label, new)| is_new(label.as_ref()) && !new.is_empty())
            .map(|(label, new)| (label.as_ref().to_owned(), String::new(), new.clone())),
    );
    changes
}
