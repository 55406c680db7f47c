//! Permissions of a token: required by the mailboxes that use it against granted (`ux.md`, 6.8).

use crate::model::mailbox::{Auth, Mailbox, Side};
use crate::model::provider::Provider;
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

fn uses(side: Option<&Side>, token: &Token) -> bool {
    side.is_some_and(|side| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id))
}

/// The table: what is asked for or needed, then what was granted besides.
pub fn permissions(token: &Token, provider: &Provider, grant: Option<&Grant>, mailboxes: &[Mailbox]) -> Vec<Permission> {
    let kind = provider.template;
    let reading = mailboxes.iter().filter(|m| uses(m.incoming.as_ref(), token)).count();
    let sending = mailboxes.iter().filter(|m| uses(m.outgoing.as_ref(), token)).count();
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
    let of = |purpose: &str, scope: &str| {
        let found = template::purposes(kind, provider.cloud).iter().find(|p| p.key == purpose);
        found.is_some_and(|p| {
            p.scopes
                .iter()
                .any(|known| missing_scopes(kind, &[scope.to_owned()], &[(*known).to_owned()]).is_empty())
        })
    };
    for scope in mail {
        let mut reasons = Vec::new();
        if reading > 0 && of("imap", scope) {
            reasons.push(plural(reading, true));
        }
        if sending > 0 && of("smtp", scope) {
            reasons.push(plural(sending, false));
        }
        let needed = if reasons.is_empty() {
            "Asked for by this token".to_owned()
        } else {
            reasons.join(", ")
        };
        listed.push(scope.clone());
        rows.push(row(scope, has(scope), needed));
    }
    for (purpose, count, reads) in [("imap", reading, true), ("smtp", sending, false)] {
        let needed = template::purposes(kind, provider.cloud)
            .iter()
            .find(|p| p.key == purpose && count > 0);
        for scope in needed.map_or(&[][..], |p| p.scopes) {
            if !missing_scopes(kind, &[(*scope).to_owned()], &listed).is_empty() {
                listed.push((*scope).to_owned());
                let text = format!("{}. This token doesn't ask for it yet", plural(count, reads));
                rows.push(row(scope, has(scope), text));
            }
        }
    }
    let asks_to_stay = token.scopes.iter().any(|scope| scope == "offline_access");
    if asks_to_stay || grant.is_some_and(|grant| grant.rt_current.is_some()) {
        let stays = grant.is_some_and(|grant| grant.rt_current.is_some());
        rows.push(row("offline_access", Some(stays), "Renewing without a new sign-in"));
    }
    let told = grant.map(|grant| !grant.identity.sub.is_empty());
    let told = if told == Some(false) { None } else { Some(told == Some(true)) };
    rows.push(row("openid, email", told, "Checking who signed in"));
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
