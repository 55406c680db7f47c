//! Dates that are near or past, as causes: one for a secret, one for all sign-ins of a provider that end the same way.

use super::{Cause, Hits, SOON_DAYS};
use crate::model::provider::Provider;
use crate::web::pages::expiry::DateRow;
use crate::web::pages::mailboxes::list::grouped;
use crate::web::pages::providers::is_about_proof;
use crate::web::routes::EXPIRY;

/// What ends within two weeks or has ended, except what the provider's refusal tells of already.
pub(super) fn near(rows: &[DateRow], providers: &[Provider]) -> Vec<Cause> {
    let near = || rows.iter().filter(|row| row.ended || row.days <= SOON_DAYS);
    let told = |row: &DateRow| {
        let provider = providers.iter().find(|provider| provider.name.as_str() == row.provider);
        let problem = provider.and_then(Provider::problem_found);
        problem.is_some_and(|found| is_about_proof(&found))
    };
    let mut causes: Vec<(i64, Cause)> = Vec::new();
    for row in near().filter(|row| matches!(row.word, "client-secret" | "certificate") && !told(row)) {
        causes.push((row.days, proof(row)));
    }
    for row in near().filter(|row| row.word == "service-account-key") {
        causes.push((row.days, key(row)));
    }
    for row in near().filter(|row| matches!(row.word, "sign-in" | "fixed-sign-in")) {
        causes.push((row.days, sign_ins(row)));
    }
    for row in near().filter(|row| row.word == "console-certificate") {
        causes.push((row.days, own_certificate(row)));
    }
    causes.sort_by_key(|(days, _)| *days);
    causes.into_iter().map(|(_, cause)| cause).collect()
}

fn hits(row: &DateRow) -> Option<Hits> {
    Hits::of("Used by", (row.hit, row.turned_off), row.list.clone())
}

fn proof(row: &DateRow) -> Cause {
    let noun = if row.word == "certificate" {
        "certificate"
    } else {
        "client secret"
    };
    let (name, days) = (&row.provider, row.days);
    Cause {
        kind: if row.ended { "bad" } else { "warn" },
        title: match days {
            _ if row.ended => format!("The {noun} of {name} has expired"),
            ..=1 => format!("The {noun} of {name} expires tomorrow"),
            days => format!("The {noun} of {name} expires in {days} days"),
        },
        text: if row.ended {
            "Nothing can be renewed until there is a new one. Create it at the provider, then enter it here."
        } else {
            "Create a new one at the provider, then enter it here. The old one works until it expires."
        }
        .to_owned(),
        hits: hits(row),
        href: row.fix.clone(),
        button: row.button.to_owned(),
        ..Cause::default()
    }
}

fn own_certificate(row: &DateRow) -> Cause {
    Cause {
        kind: if row.ended { "bad" } else { "warn" },
        title: match row.days {
            _ if row.ended => "The certificate of this console has expired".to_owned(),
            ..=0 => "The certificate of this console expires today".to_owned(),
            1 => "The certificate of this console expires tomorrow".to_owned(),
            days => format!("The certificate of this console expires in {days} days"),
        },
        text: if row.ended {
            "Sign-ins at providers can't come back. Renew it where https is set up for the console, usually in the web server in front."
        } else {
            "Renew it where https is set up for the console, usually in the web server in front. Sign-ins at providers can't come back once it \
             has expired."
        }
        .to_owned(),
        href: row.fix.clone(),
        button: row.button.to_owned(),
        ..Cause::default()
    }
}

fn key(row: &DateRow) -> Cause {
    Cause {
        kind: "warn",
        title: match row.days {
            _ if row.ended => format!("The service-account key of {} is older than it should get", row.provider),
            0 => format!("The service-account key of {} should be replaced today", row.provider),
            1 => format!("The service-account key of {} should be replaced by tomorrow", row.provider),
            days => format!("The service-account key of {} should be replaced within {days} days", row.provider),
        },
        text: "It goes on working. Make a new key at the provider, put it in here, then delete the old one there.".to_owned(),
        hits: hits(row),
        href: row.fix.clone(),
        button: row.button.to_owned(),
        ..Cause::default()
    }
}

fn sign_ins(first: &DateRow) -> Cause {
    let ends = match (first.word, first.ended) {
        ("fixed-sign-in", false) => "ends",
        (_, false) => "lapses",
        ("fixed-sign-in", true) => "should have ended",
        (_, true) => "should have lapsed",
    };
    let when = match (first.ended, first.days) {
        (true, _) => String::new(),
        (_, 0) => " today".to_owned(),
        (_, 1) => " tomorrow".to_owned(),
        (_, days) => format!(" in {days} days"),
    };
    let text = match first.word {
        "fixed-sign-in" => "Using it doesn't keep it. Somebody has to sign in again, unless the app is published at the provider.",
        _ => "Nothing has renewed it for a while. Renewing it keeps it; the page of the token says why that didn't happen.",
    };
    if first.count == 1 {
        return Cause {
            kind: "warn",
            title: format!("{} {ends}{when}", first.title),
            text: text.to_owned(),
            hits: hits(first),
            href: first.fix.clone(),
            button: first.button.to_owned(),
            ..Cause::default()
        };
    }
    let count = grouped(first.count);
    Cause {
        kind: "warn",
        title: format!(
            "{count} sign-ins of {} end, the first{}",
            first.provider,
            if when.is_empty() { " any time now" } else { &when }
        ),
        text: text.to_owned(),
        hits: Hits::of("Used by", (first.hit, first.turned_off), first.provider_list()),
        href: format!("{EXPIRY}?kind={}", first.word),
        button: "Show them".to_owned(),
        ..Cause::default()
    }
}
