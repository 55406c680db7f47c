//! Sign-ins that have ended, and those that nobody has made yet.

use super::{Cause, Hits, code};
use crate::model::report::Diagnosis;
use crate::model::token::{GrantType, TokenState};
use crate::model::user::Permission;
use crate::store::overview::WaitingToken;
use crate::web::pages::mailboxes::list::grouped;
use crate::web::pages::tokens::list::of_provider;
use crate::web::pages::tokens::verdict::{ended as words_of_ended, lower};
use crate::web::routes;
use std::collections::BTreeMap;

/// How many are looked for.
pub(super) const LOOKED_FOR: i64 = 500;
/// From how many on are those of one provider, ended for one reason, one cause?
const TOGETHER: usize = 3;

/// Those that have ended: many of one provider for one reason as one, with the list of them.
pub(super) fn ended(tokens: &[WaitingToken]) -> Vec<Cause> {
    let mut alike: BTreeMap<(&str, &str, String), Vec<&WaitingToken>> = BTreeMap::new();
    for token in tokens {
        let why = problem(token).map(|found| found.id).unwrap_or_default();
        alike.entry((&token.provider, token.grant.as_str(), why)).or_default().push(token);
    }
    let are_all = i64::try_from(tokens.len()).is_ok_and(|found| found < LOOKED_FOR);
    let causes = alike.into_values().flat_map(|tokens| match tokens.as_slice() {
        [first, rest @ ..] if rest.len() + 1 >= TOGETHER => vec![ended_together(first, &tokens, are_all)],
        few => few.iter().map(|token| ended_one(token)).collect(),
    });
    causes.collect()
}

fn problem(token: &WaitingToken) -> Option<Diagnosis> {
    serde_json::from_str(token.last_error.as_deref()?).ok()
}

fn ended_together(first: &WaitingToken, tokens: &[&WaitingToken], are_all: bool) -> Cause {
    let found = problem(first);
    let what = match first.grant {
        GrantType::AuthorizationCode | GrantType::DeviceCode => "need a new sign-in",
        GrantType::Password => "have a password that doesn't get a token any more",
        GrantType::ClientCredentials => "are refused, which are the app's own",
        GrantType::JwtBearer => "have a service account that is refused",
    };
    let number = grouped(i64::try_from(tokens.len()).unwrap_or(i64::MAX));
    let (_, text) = words_of_ended(first.grant, found.as_ref());
    let sum = |of: fn(&WaitingToken) -> i64| tokens.iter().map(|token| of(token)).sum::<i64>();
    let (mailboxes, turned_off) = (sum(|token| token.mailboxes), sum(|token| token.turned_off));
    Cause {
        kind: "bad",
        title: format!(
            "{}{number} tokens of {} {what}{}",
            if are_all { "" } else { "At least " },
            first.provider,
            found.as_ref().map(|found| format!(": {}", lower(&found.title))).unwrap_or_default()
        ),
        text,
        hits: Hits::of("Hits", (mailboxes, turned_off), String::new()),
        since: tokens.iter().filter_map(|token| token.since).min(),
        code: found.map(|found| code(&found.id, &found.said)).unwrap_or_default(),
        href: of_provider(&first.provider, TokenState::Revoked),
        button: "Show them".to_owned(),
        ..Cause::default()
    }
}

/// The sign-in of a token has ended, or what stands for one is refused.
pub(super) fn ended_one(token: &WaitingToken) -> Cause {
    let problem = problem(token);
    let (title, text) = words_of_ended(token.grant, problem.as_ref());
    let page = routes::token(&token.name);
    let open = ("Open the token", page.clone());
    let cause = Cause {
        kind: "bad",
        title: format!("{}: {}", who(token), lower(&title)),
        text,
        hits: Hits::of_token("Hits", token),
        since: token.since,
        code: problem.as_ref().map(|found| code(&found.id, &found.said)).unwrap_or_default(),
        ..Cause::default()
    };
    match token.grant {
        GrantType::AuthorizationCode | GrantType::DeviceCode => cause.mended(Permission::TokenAuthorize, ("Sign in again", page), open),
        GrantType::Password => cause.mended(Permission::TokenEdit, ("Enter the password", format!("{page}/edit#password")), open),
        GrantType::ClientCredentials | GrantType::JwtBearer => Cause {
            href: page,
            button: "See the fix".to_owned(),
            ..cause
        },
    }
}

/// Mailboxes use a token for which nobody has signed in.
pub(super) fn never(token: &WaitingToken) -> Cause {
    let page = routes::token(&token.name);
    let cause = Cause {
        kind: "warn",
        title: format!("{} isn't signed in yet", who(token)),
        hits: Hits::of_token("Used by", token),
        ..Cause::default()
    };
    let open = ("Open the token", page.clone());
    cause.mended(Permission::TokenAuthorize, ("Get authorization token", page), open)
}

fn who(token: &WaitingToken) -> &str {
    if token.account.is_empty() { &token.name } else { &token.account }
}
