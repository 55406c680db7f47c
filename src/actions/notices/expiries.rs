//! What ends: each threshold of each thing is told once. What ends on the same day at the same provider is one thing.

use super::words::{named, stop};
use super::{NAME, noted};
use crate::actions::expiry::{Expiring, Kind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::notices::{CERTIFICATE_THRESHOLDS, Event, LINK_THRESHOLDS, THRESHOLDS, Words, clean, threshold};
use crate::store::StoreResult;
use std::collections::{BTreeMap, BTreeSet};

/// Things of one kind that end on the same day.
type Together<'a> = BTreeMap<String, Vec<&'a Expiring>>;

/// How long must a link have been made to last, in seconds, that somebody is told of its last day?
const LASTING: i64 = 86_400;

/// Whether it is told before it ends: not what has ended, nor a link that was made for a day or less.
fn is_told(one: &&Expiring) -> bool {
    let lasts = one.since.is_none_or(|since| one.at.since(since) > LASTING);
    !one.ended && (lasts || !matches!(one.kind, Kind::Link(_)))
}

/// Opens a notice for each threshold that was crossed since the last look.
pub(super) async fn look(app: &App, ending: &[Expiring]) -> StoreResult<()> {
    let mut together = Together::new();
    for one in ending.iter().filter(is_told) {
        together.entry(thing(one)).or_default().push(one);
    }
    let mut new: Vec<(String, i64, Words)> = Vec::new();
    for (thing, all) in together {
        let Some(first) = all.first() else { continue };
        let thresholds: &[i64] = match first.kind {
            Kind::Link(_) => &LINK_THRESHOLDS,
            Kind::ConsoleCertificate => &CERTIFICATE_THRESHOLDS,
            _ => &THRESHOLDS,
        };
        if let Some(threshold) = threshold(thresholds, first.days) {
            new.push((thing, threshold, words(&all, first)));
        }
    }
    refresh(app, &new).await?;
    if new.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<String> = app.store.known_causes(Event::Expiring).await?.into_iter().collect();
    // A clock that was set back finds a larger threshold again.
    new.retain(|(thing, crossed, _)| !THRESHOLDS.iter().any(|one| one <= crossed && known.contains(&cause(thing, *one))));
    if new.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.one_at_a_time(now).await?;
    for (thing, threshold, words) in new {
        let notice = noted(app, Event::Expiring, cause(&thing, threshold), words);
        tx.insert_notice_once(&notice).await?;
    }
    tx.commit().await
}

/// What couldn't be told yet, because there is no way, is kept as it is now; what isn't so any more is forgotten.
async fn refresh(app: &App, found: &[(String, i64, Words)]) -> StoreResult<()> {
    let unheard = app.store.unheard_notices(Event::Expiring).await?;
    if unheard.is_empty() {
        return Ok(());
    }
    let now: BTreeMap<String, &Words> = found
        .iter()
        .map(|(thing, threshold, words)| (cause(thing, *threshold), words))
        .collect();
    let mut tx = app.store.begin().await?;
    for mut notice in unheard {
        match now.get(&notice.cause) {
            None => tx.forget_unheard(&notice.id).await?,
            Some(words) if **words != notice.words => {
                notice.words = Words::clone(words);
                tx.reword_notice(&notice).await?;
            }
            Some(_) => {}
        }
    }
    tx.commit().await
}

fn cause(thing: &str, threshold: i64) -> String {
    format!("{thing}/{threshold}")
}

/// What makes it the same thing. A new secret has a new date.
fn thing(one: &Expiring) -> String {
    let kind = match one.kind {
        Kind::ClientSecret => "secret",
        Kind::Certificate => "certificate",
        Kind::ServiceAccountKey => "key",
        Kind::SignIn => "sign-in",
        Kind::FixedSignIn => "fixed-sign-in",
        Kind::Link(_) => "link",
        Kind::ConsoleCertificate => "console-certificate",
    };
    let provider = one.provider.as_ref().map_or("", |name| name.as_str());
    let token = match one.kind {
        Kind::Link(_) => one.token.as_ref().map_or("", |name| name.as_str()),
        _ => "",
    };
    let at = match one.kind {
        Kind::Link(_) => one.at.0,
        _ => one.day.days_from(Timestamp(0)),
    };
    format!("ends:{kind}:{provider}:{token}:{at}")
}

fn words(all: &[&Expiring], first: &Expiring) -> Words {
    let provider = first.provider.as_ref().map_or("", |name| name.as_str());
    let accounts: Vec<String> = all
        .iter()
        .map(|one| match (&*one.account, &one.token) {
            ("", Some(token)) => token.to_string(),
            (account, _) => clean(account, NAME),
        })
        .collect();
    let who = match all.len() {
        1 => accounts[0].clone(),
        count => format!("{count} accounts of {provider}"),
    };
    let when = match first.days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    };
    let day = first.day.words();
    let page = format!("/providers/{provider}");
    let token_page = match (&first.token, all.len()) {
        (Some(token), 1) => format!("/tokens/{token}"),
        _ => page.clone(),
    };
    let mailboxes: i64 = all.iter().map(|one| one.mailboxes).sum();
    let (subject, fix, path) = match first.kind {
        Kind::ClientSecret => (
            format!("The client secret of {provider} expires {when}, {day}"),
            "Create a new one at the provider and enter it here. The old one works until it expires.",
            page,
        ),
        Kind::Certificate => (
            format!("The certificate of {provider} expires {when}, {day}"),
            "Make a new one here, add it at the provider, and the console changes over. The old one works until it expires.",
            page,
        ),
        Kind::ServiceAccountKey => (
            format!("The service account key of {provider} gets too old {when}, {day}"),
            "Make a new key at the provider and bring it here. Some organisations turn old keys off.",
            page,
        ),
        Kind::SignIn => (
            format!("The sign-in of {who} lapses {when}, {day}, unless it is used"),
            "See why it isn't renewed, or sign in again.",
            token_page,
        ),
        Kind::FixedSignIn => (
            format!("The sign-in of {who} ends {when}, {day}"),
            "Sign in again before that, or publish the app so that sign-ins last.",
            token_page,
        ),
        Kind::ConsoleCertificate => (
            format!("The certificate of this console expires {when}, {day}"),
            "Renew it where https is set up for the console, usually in the web server in front. Once it has expired, sign-ins at providers \
             can't come back.",
            "/about".to_owned(),
        ),
        Kind::Link(kind) => {
            let about = first.token.as_ref().map_or(provider, |name| name.as_str());
            let (noun, path) = match kind {
                None => ("sign-in link", format!("/tokens/{about}")),
                Some(LinkKind::Consent) => ("consent link", format!("/providers/{about}/consent")),
                Some(_) => ("secret link", format!("/providers/{about}")),
            };
            (
                format!("The {noun} for {about} ends {when} and nobody has used it"),
                "Ask whoever has it, or make another one.",
                path,
            )
        }
    };
    let mut text = Vec::new();
    if mailboxes > 0 {
        text.push(format!("{} after that, unless something is done.", stop(mailboxes)));
    }
    if all.len() > 1 {
        text.push(format!("It is about {}.", named(&accounts, accounts.len())));
    }
    text.push(format!("What to do: {fix}"));
    Words {
        subject,
        text,
        path,
        mailboxes,
        names: accounts.into_iter().filter(|name| !name.is_empty()).take(3).collect(),
        ..Words::default()
    }
}
