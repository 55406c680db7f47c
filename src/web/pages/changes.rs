//! Entries of the audit as pages tell them: "Maija Korhonen paused it".

use super::{capital, entries};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::AuditRow;
use crate::store::StoreError;
use std::collections::HashMap;

/// The longest detail that stands in the line itself; longer ones are folded.
const SHORT: usize = 90;

/// A line of what happened to something.
pub struct ChangeLine {
    /// Who.
    pub who: String,
    /// What, as a verb.
    pub what: &'static str,
    /// In detail, where that is short.
    pub detail: String,
    /// In detail, part by part, where it is long.
    pub parts: Vec<String>,
    /// When.
    pub at: Timestamp,
}

/// The names of those who act, by address.
pub struct Names(HashMap<String, String>);

impl Names {
    /// Everybody's.
    pub async fn load(app: &App) -> Result<Self, StoreError> {
        let users = app.store.users().await?;
        Ok(Self(users.into_iter().map(|user| (user.email, user.name)).collect()))
    }

    /// Who an entry speaks of. Whoever has no account any more is called by the address.
    pub fn of(&self, actor: &str) -> String {
        match actor.split_once(':') {
            Some(("user", email)) => self.0.get(email).cloned().unwrap_or_else(|| email.to_owned()),
            Some(("link", _)) => "Someone with a link".to_owned(),
            _ if matches!(actor, "command line" | "console") => format!("The {actor}"),
            _ => "Somebody".to_owned(),
        }
    }

    /// An entry as a line.
    pub fn line(&self, row: AuditRow) -> ChangeLine {
        let plain = entries::plain(&row);
        let detail = match row.action.as_str() {
            "mailbox.peek" => "",
            _ => &plain,
        };
        let long = detail.chars().count() > SHORT;
        ChangeLine {
            who: self.of(&row.actor),
            what: action_words(&row.action, &row.outcome),
            detail: if long { String::new() } else { capital(detail) },
            parts: if long {
                detail.split("; ").map(str::to_owned).collect()
            } else {
                Vec::new()
            },
            at: row.at,
        }
    }
}

/// An action as a verb: `mailbox.create` is "added".
pub fn action_words(action: &str, outcome: &str) -> &'static str {
    let (noun, verb) = action.split_once('.').unwrap_or(("", action));
    match (verb, outcome) {
        ("create", _) if noun == "link" => "made a link for",
        ("withdraw", _) => "withdrew a link of",
        ("secret", "ok") => "sent what was asked for of",
        ("secret", _) => "sent something through a link that changed nothing for",
        ("consent.begin", _) => "went to consent for",
        ("consent.finish", "ok") => "came back from the consent for",
        ("consent.finish", _) => "came back from a consent that changed nothing for",
        ("consent.check", _) => "looked up the consent for",
        ("fallback", _) => "needed the former secret or certificate of",
        ("create", _) if noun == "walkthrough" => "started",
        ("step", _) => "went on with",
        ("choose", _) => "chose something for",
        ("create", _) => "added",
        ("update", _) => "changed",
        ("delete", _) => "deleted",
        ("pause", _) => "paused",
        ("turn_on", _) => "turned on",
        ("keep_token", _) => "kept the former token of",
        ("test", _) => "tested",
        ("test_stop", _) => "stopped a test of",
        ("start", _) => "started",
        ("go_on", _) => "went on with",
        ("stop", _) => "stopped",
        ("move", "ok") => "moved a message of",
        ("move", _) => "could not move a message of",
        ("peek", _) => "looked at senders and subjects of",
        ("check", _) => "checked",
        ("problem", _) => "saw a problem with",
        ("recovered", _) => "saw the end of a problem with",
        ("authorize.begin", _) => "started a sign-in for",
        ("authorize.cancel", _) => "cancelled a sign-in for",
        ("authorize.finish", "ok") => "signed in for",
        ("authorize.finish", _) => "came back from a sign-in that changed nothing for",
        ("authorize.late", _) => "threw away a sign-in that came too late for",
        ("refresh", "ok") => "renewed",
        ("refresh", _) => "could not renew",
        ("import", _) => "brought along a sign-in for",
        ("remove", _) => "logged out and removed",
        ("service_account", _) => "stored a key for",
        ("get", "ok") => "got an access token for",
        ("get", _) => "could not get an access token for",
        ("prove", _) => "tried the least privilege of",
        ("undo", _) => "undid an import into",
        ("apply", _) => "brought settings into",
        ("export", _) => "exported",
        ("hand_out", _) => "handed out an access token of",
        _ => "did something with",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(actor: &str, action: &str, detail: &str) -> AuditRow {
        AuditRow {
            sequence: 1,
            at: Timestamp(0),
            actor: actor.to_owned(),
            action: action.to_owned(),
            target: "mailbox:hr".to_owned(),
            detail: detail.to_owned(),
            outcome: "ok".to_owned(),
            address: String::new(),
            request_id: String::new(),
            session: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn entries_are_told_in_words() {
        let names = Names(HashMap::from([("maija@contoso.test".to_owned(), "Maija Korhonen".to_owned())]));
        let told = |actor: &str, action: &str, detail: &str| {
            let line = names.line(row(actor, action, detail));
            format!("{} {} it. {}|{}", line.who, line.what, line.detail, line.parts.len())
        };
        assert_eq!(
            told(
                "user:maija@contoso.test",
                "mailbox.test",
                "incoming, run 00006b0121c80123456789abcdef0123"
            ),
            "Maija Korhonen tested it. Incoming|0"
        );
        assert_eq!(
            told("user:gone@contoso.test", "mailbox.pause", ""),
            "gone@contoso.test paused it. |0"
        );
        assert_eq!(
            told("link:00ff", "token.authorize.begin", ""),
            "Someone with a link started a sign-in for it. |0"
        );
        let long = "Display name: Contoso; ".repeat(8);
        assert_eq!(
            told("command line", "mailbox.create", long.trim_end_matches("; ")),
            "The command line added it. |8"
        );
    }
}
