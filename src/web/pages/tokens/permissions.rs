//! Permissions of a token: required by the mailboxes that use it against granted (`ux.md`, 6.8).

use crate::model::mailbox::{Auth, Mailbox, Protocol, Side};
use crate::model::provider::Provider;
use crate::model::report::Direction;
use crate::model::scopes::missing_scopes;
use crate::model::template;
use crate::model::token::{Grant, Token};
use crate::web::pages::providers::form::short_scope;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The scope as people know it.
    pub scope: String,
    /// Mark.
    pub kind: &'static str,
    /// Whether it was granted.
    pub granted: &'static str,
    /// What it is for.
    pub needed_for: String,
}

fn row(scope: &str, granted: Option<bool>, needed_for: impl Into<String>) -> Permission {
    let (kind, words) = match granted {
        Some(true) => ("ok", "Yes"),
        Some(false) => ("bad", "No"),
        None => ("todo", "Not known yet"),
    };
    Permission {
        scope: short_scope(scope).to_owned(),
        kind,
        granted: words,
        needed_for: needed_for.into(),
    }
}

fn plural(count: usize, reading: bool) -> String {
    let (verb, noun) = match (reading, count) {
        (true, 1) => ("Reading mail in", "mailbox"),
        (true, _) => ("Reading mail in", "mailboxes"),
        (false, 1) => ("Sending mail from", "mailbox"),
        (false, _) => ("Sending mail from", "mailboxes"),
    };
    format!("{verb} {count} {noun}")
}

/// How many mailboxes read or send with the token, by protocol.
fn uses(token: &Token, mailboxes: &[Mailbox]) -> Vec<(Direction, Protocol, usize)> {
    let mut found = Vec::new();
    for direction in [Direction::Incoming, Direction::Outgoing] {
        for protocol in Protocol::of(direction) {
            let with = |side: &&Side| {
                side.server.protocol() == *protocol && matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id)
            };
            let sides = mailboxes.iter().filter_map(|mailbox| match direction {
                Direction::Incoming => mailbox.incoming.as_ref(),
                Direction::Outgoing => mailbox.outgoing.as_ref(),
            });
            match sides.filter(with).count() {
                0 => {}
                count => found.push((direction, *protocol, count)),
            }
        }
    }
    found
}

/// The table: what is asked for or needed, then what was granted besides.
pub fn permissions(token: &Token, provider: &Provider, grant: Option<&Grant>, mailboxes: &[Mailbox]) -> Vec<Permission> {
    let kind = provider.template;
    let uses = uses(token, mailboxes);
    let known = grant.filter(|grant| !grant.granted_scopes.is_empty());
    let has = |scope: &str| match (grant, known) {
        (None, _) => Some(false),
        (Some(_), None) => None,
        (_, Some(known)) => Some(missing_scopes(kind, &[scope.to_owned()], &known.granted_scopes).is_empty()),
    };
    let mut rows = Vec::new();
    let mut listed: Vec<String> = Vec::new();
    let protocol = ["openid", "email", "profile", "offline_access"];
    let mail: Vec<&String> = token.scopes.iter().filter(|s| !protocol.contains(&s.as_str())).collect();
    let needed_for = |direction, protocol, scope: &str| {
        let needed = template::needed_by(token.grant, kind, provider.cloud, direction, protocol);
        needed
            .iter()
            .any(|known| missing_scopes(kind, std::slice::from_ref(known), &[scope.to_owned()]).is_empty())
    };
    for scope in mail {
        // A scope that serves several protocols is needed once for reading and once for sending.
        let reasons: Vec<String> = [Direction::Incoming, Direction::Outgoing]
            .into_iter()
            .filter_map(|wanted| {
                let served = uses
                    .iter()
                    .filter(|(d, protocol, _)| *d == wanted && needed_for(*d, *protocol, scope));
                let count: usize = served.map(|(.., count)| count).sum();
                (count > 0).then(|| plural(count, wanted == Direction::Incoming))
            })
            .collect();
        let needed = if reasons.is_empty() {
            "Asked for by this token".to_owned()
        } else {
            reasons.join(", ")
        };
        listed.push(scope.clone());
        rows.push(row(scope, has(scope), needed));
    }
    for (direction, protocol, count) in &uses {
        for scope in template::needed_by(token.grant, kind, provider.cloud, *direction, *protocol) {
            if !missing_scopes(kind, std::slice::from_ref(&scope), &listed).is_empty() {
                let text = format!(
                    "{}. This token doesn't ask for it yet",
                    plural(*count, *direction == Direction::Incoming)
                );
                rows.push(row(&scope, has(&scope), text));
                listed.push(scope);
            }
        }
    }
    let asks_to_stay = token.scopes.iter().any(|scope| scope == "offline_access");
    if asks_to_stay || grant.is_some_and(|grant| grant.rt_current.is_some()) {
        let stays = grant.is_some_and(|grant| grant.rt_current.is_some());
        rows.push(row("offline_access", Some(stays), "Renewing without a new sign-in"));
    }
    if token.grant.needs_person() {
        let told = grant.map(|grant| !grant.identity.sub.is_empty());
        let told = if told == Some(false) { None } else { Some(told == Some(true)) };
        rows.push(row("openid, email", told, "Checking who signed in"));
    }
    for scope in known.map_or(&[][..], |known| &known.granted_scopes) {
        let extra = !protocol.contains(&scope.as_str()) && !missing_scopes(kind, std::slice::from_ref(scope), &listed).is_empty();
        if extra {
            rows.push(Permission {
                scope: short_scope(scope).to_owned(),
                kind: "skip",
                granted: "Extra",
                needed_for: "Nothing here. Granted but unused".to_owned(),
            });
        }
    }
    rows
}
