//! A date as pages, files and calendars tell it: what ends, when, what hangs on it, and the one thing to do about it.

use crate::actions::expiry::{Expiring, Kind};
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::provider::Provider;
use crate::model::user::Permission;
use crate::model::{Date, Name};
use crate::web::pages::mailboxes::list::{ListQuery, grouped, used_words};
use crate::web::routes;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// How far does the track reach, in days?
pub const TRACK_DAYS: i64 = 90;
/// From how many days on is there time?
const NEAR_DAYS: i64 = 30;

/// A date.
pub struct DateRow {
    /// What kind of thing ends, by its word.
    pub word: &'static str,
    /// The same in words.
    pub noun: &'static str,
    /// What ends: `Client secret of contoso`.
    pub title: String,
    /// The page of that.
    pub href: String,
    /// What it belongs to, or why it ends.
    pub text: String,
    /// The mailboxes that hang on it, in words; empty where none do.
    pub mailboxes: String,
    /// The list of them.
    pub list: String,
    /// How many they are, with those that are turned off.
    pub hit: i64,
    /// How many of them are turned off.
    pub turned_off: i64,
    /// How many sign-ins it stands for; else 1.
    pub count: i64,
    /// Mark.
    pub kind: &'static str,
    /// Whether it has ended.
    pub ended: bool,
    /// Days left, negative when it is past.
    pub days: i64,
    /// The same in words.
    pub when: String,
    /// The day.
    pub date: Date,
    /// The day in words.
    pub day: String,
    /// Where it stands on the track, in percent.
    pub place: String,
    /// What the button says.
    pub button: &'static str,
    /// Where it leads.
    pub fix: String,
    /// The same for the same thing each time.
    pub key: String,
    /// The moment it ends.
    pub at: Timestamp,
    /// Names for files.
    pub provider: String,
    /// The token, for files.
    pub token: String,
    /// The account, for files.
    pub account: String,
}

impl DateRow {
    /// The list of the mailboxes of its provider.
    pub fn provider_list(&self) -> String {
        ListQuery::provider(&self.provider).address(&[])
    }
}

/// What a kind is called.
pub fn noun(word: &str) -> &'static str {
    match word {
        "client-secret" => "Client secret",
        "certificate" => "Certificate",
        "service-account-key" => "Service-account key",
        "sign-in" => "Sign-in that lapses unused",
        "fixed-sign-in" => "Sign-in that ends on a day",
        "console-certificate" => "Certificate of this console",
        _ => "One-time link",
    }
}

/// Every kind, by its word.
pub const WORDS: [&str; 7] = [
    "client-secret",
    "certificate",
    "service-account-key",
    "sign-in",
    "fixed-sign-in",
    "link",
    "console-certificate",
];

/// The row of a date, for somebody with these permissions.
pub fn row(one: Expiring, providers: &[Provider], now: Timestamp, may: &dyn Fn(Permission) -> bool) -> DateRow {
    let label = one.provider.as_ref().and_then(|name| {
        let provider = providers.iter().find(|provider| provider.name == *name);
        provider.map(|provider| provider.template.label())
    });
    let name = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
    let (provider, token) = (name(&one.provider), name(&one.token));
    let (page, list) = if one.kind == Kind::ConsoleCertificate {
        ("/about".to_owned(), ListQuery::default())
    } else if token.is_empty() {
        (routes::provider(&provider), ListQuery::provider(&provider))
    } else {
        (routes::token(&token), ListQuery::token(&token))
    };
    let (button, fix) = fix(one.kind, &provider, &page, may);
    let (date, ended) = (one.day, one.ended);
    let place = one.days.clamp(0, TRACK_DAYS) * 1000 / TRACK_DAYS;
    DateRow {
        word: one.kind.as_str(),
        noun: noun(one.kind.as_str()),
        title: title(&one, &provider, &token),
        text: text(&one, label.unwrap_or_default(), now),
        mailboxes: used_words(one.mailboxes, one.turned_off),
        list: list.address(&[]),
        hit: one.mailboxes,
        turned_off: one.turned_off,
        count: one.count,
        kind: match one.days {
            _ if ended => "bad",
            ..=NEAR_DAYS => "warn",
            _ => "ok",
        },
        when: when(one.days, ended),
        day: date.words(),
        place: format!("{}.{}", place / 10, place % 10),
        key: one.key(),
        days: one.days,
        at: one.at,
        account: one.account,
        href: page,
        ended,
        date,
        button,
        fix,
        provider,
        token,
    }
}

/// `12 days`, `today`, `expired`, `expired 3 days ago`.
fn when(days: i64, ended: bool) -> String {
    match (ended, days) {
        (true, -1) => "expired yesterday".to_owned(),
        (true, ..0) => format!("expired {} days ago", grouped(-days)),
        (true, _) => "expired".to_owned(),
        (false, 0) => "today".to_owned(),
        (false, 1) => "1 day".to_owned(),
        (false, days) => format!("{} days", grouped(days)),
    }
}

fn title(one: &Expiring, provider: &str, token: &str) -> String {
    let who = if one.account.is_empty() { token } else { &one.account };
    match one.kind {
        Kind::ClientSecret => format!("Client secret of {provider}"),
        Kind::Certificate => format!("Certificate of {provider}"),
        Kind::ServiceAccountKey => format!("Service-account key of {provider}"),
        Kind::SignIn | Kind::FixedSignIn => format!("Sign-in of {who}"),
        Kind::Link(None) => format!("Sign-in link for {who}"),
        Kind::Link(Some(LinkKind::Consent)) => format!("Consent link of {provider}"),
        Kind::Link(Some(LinkKind::Secret)) => format!("Secret link of {provider}"),
        Kind::Link(Some(LinkKind::Certificate)) => format!("Certificate link of {provider}"),
        Kind::Link(Some(LinkKind::ServiceKey)) => format!("Key link of {provider}"),
        Kind::ConsoleCertificate => "Certificate of this console".to_owned(),
    }
}

fn text(one: &Expiring, label: &str, now: Timestamp) -> String {
    let kept = one.since.map_or(0, |since| one.at.since(since) / DAY);
    let past = one.since.map_or(0, |since| now.since(since).max(0) / DAY);
    let days = |count: i64| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
    match one.kind {
        Kind::ClientSecret | Kind::Certificate => label.to_owned(),
        Kind::ServiceAccountKey => format!("{label}, {} old; to be replaced after {kept}", days(past)),
        Kind::SignIn => format!("{label}, not used for {}; lapses after {kept}", days(past)),
        Kind::FixedSignIn => format!("{label} ends it {} after the sign-in, used or not", days(kept)),
        Kind::Link(_) => "Nobody has used it yet".to_owned(),
        Kind::ConsoleCertificate => format!("{}; sign-ins at providers can't come back without it", one.account),
    }
}

/// The one button, as far as this person may press what it leads to.
fn fix(kind: Kind, provider: &str, page: &str, may: &dyn Fn(Permission) -> bool) -> (&'static str, String) {
    let open = if matches!(kind, Kind::SignIn | Kind::FixedSignIn | Kind::Link(None)) {
        "Open the token"
    } else {
        "Open the provider"
    };
    let own = routes::provider(provider);
    let (permission, button, to) = match kind {
        Kind::ClientSecret => (Permission::SecretSet, "Replace secret", format!("{own}/secret")),
        Kind::Certificate => (Permission::SecretSet, "Replace certificate", format!("{own}/certificate")),
        Kind::ServiceAccountKey => (Permission::SecretSet, "Replace key", format!("{own}/key")),
        Kind::SignIn => (Permission::TokenAuthorize, "Renew now", page.to_owned()),
        Kind::FixedSignIn => (Permission::TokenAuthorize, "Sign in again", page.to_owned()),
        Kind::Link(None) => (Permission::TokenAuthorize, "Send a new link", page.to_owned()),
        Kind::Link(Some(LinkKind::Consent)) => (Permission::TokenAuthorize, "Send a new link", format!("{own}/consent")),
        Kind::Link(Some(_)) => (Permission::SecretSet, "Send a new link", page.to_owned()),
        Kind::ConsoleCertificate => (Permission::View, "See the checks", page.to_owned()),
    };
    if may(permission) { (button, to) } else { (open, page.to_owned()) }
}
