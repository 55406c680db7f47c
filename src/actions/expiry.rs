//! What ends by itself, and when: secrets, certificates, keys by their age, sign-ins, one-time links, the console's own certificate. For
//! the page of dates, for notices, for whoever wants to know before it happens. Reads only.

mod page;

pub use page::{Place, Spot, Wanted, count, page};

use crate::actions::console_certificate::{self, Seen};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::consent::LinkKind;
use crate::model::due::KEEP_ALIVE;
use crate::model::idle::{self, From, Profile};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::{Date, Name};
use crate::store::StoreResult;
use crate::store::expiry::{KeyRow, LinkRow, Rule, SignInRow};
use crate::store::providers::Usage;
use jiff::tz::TimeZone;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// How long may a sign-in be unused, in seconds, before it counts as one that may lapse? Twice as long as none is that is renewed.
const UNUSED: i64 = 2 * KEEP_ALIVE;

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A provider's client secret.
    ClientSecret,
    /// A provider's certificate.
    Certificate,
    /// The key of a service account. It has no end; it gets as old as its provider wants it to get.
    ServiceAccountKey,
    /// A sign-in that nothing has used for a while: using it keeps it.
    SignIn,
    /// A sign-in that ends whatever is done.
    FixedSignIn,
    /// A one-time link: none, somebody signs in through it.
    Link(Option<LinkKind>),
    /// The certificate that is served at the console's own address.
    ConsoleCertificate,
}

impl Kind {
    /// Its word, in addresses, files and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::Certificate => "certificate",
            Self::ServiceAccountKey => "service-account-key",
            Self::SignIn => "sign-in",
            Self::FixedSignIn => "fixed-sign-in",
            Self::Link(_) => "link",
            Self::ConsoleCertificate => "console-certificate",
        }
    }

    /// Whether its end is a day, as somebody entered it, and not a moment.
    pub const fn is_day(self) -> bool {
        matches!(self, Self::ClientSecret | Self::Certificate)
    }
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// What it is.
    pub kind: Kind,
    /// The provider it belongs to; none for the link of a token, and for what is the console's own.
    pub provider: Option<Name>,
    /// The token it belongs to.
    pub token: Option<Name>,
    /// The account it is about, or the console's own address; may be empty.
    pub account: String,
    /// From when on its time counts, where that is known: when a sign-in was last used or made, when a key was put in, when a
    /// link was made.
    pub since: Option<Timestamp>,
    /// When it ends; of a date, the beginning of that day in UTC.
    pub at: Timestamp,
    /// The day it ends: as it was entered, or that of the moment in the zone of who asks.
    pub day: Date,
    /// Days from today, there, until that day: 0 today, negative when it is past.
    pub days: i64,
    /// Whether it has ended: at its moment, or as soon as its day begins. Everybody who says "expired" goes by this.
    pub ended: bool,
    /// How many mailboxes hang on it, with those that are turned off.
    pub mailboxes: i64,
    /// How many of them are turned off.
    pub turned_off: i64,
    /// How many of the kind this stands for: 1, but for sign-ins of a provider that are told as one.
    pub count: i64,
}

impl Expiring {
    /// What it is called, the same each time somebody asks: for files and notices that are compared with earlier ones.
    pub fn key(&self) -> String {
        let name = self.token.as_ref().or(self.provider.as_ref()).map_or("", Name::as_str);
        match self.kind {
            Kind::ConsoleCertificate => self.kind.as_str().to_owned(),
            // There may be several at once, each with its own end.
            Kind::Link(kind) => format!("{}-link-{name}-{}", kind.map_or("sign-in", LinkKind::as_str), self.at.0),
            kind => format!("{}-{name}", kind.as_str()),
        }
    }

    /// Counts its days in a zone, and by them whether it has ended.
    fn count_days(&mut self, now: Timestamp, zone: &TimeZone) {
        let today = Date::of(now, zone);
        let is_day = self.kind.is_day();
        self.day = if is_day {
            Date::of(self.at, &TimeZone::UTC)
        } else {
            Date::of(self.at, zone)
        };
        self.days = self.day.days_after(today);
        self.ended = if is_day { self.day.has_ended(today) } else { self.at <= now };
    }
}

/// What the dates of providers themselves and of the console are told from, read once for whoever asks in several ways.
#[derive(Debug, Default)]
pub struct Apps {
    /// Every provider.
    pub providers: Vec<Provider>,
    /// What hangs on them.
    pub usage: Vec<Usage>,
    /// Since when they have keys of service accounts.
    keys: Vec<KeyRow>,
    /// The certificate of the console.
    console: Option<Seen>,
}

impl Apps {
    /// Reads them.
    pub async fn read(app: &App) -> StoreResult<Self> {
        Ok(Self {
            providers: app.store.providers().await?,
            usage: app.store.provider_usage().await?,
            keys: app.store.service_account_keys().await?,
            console: console_certificate::seen(app).await?,
        })
    }
}

/// Everything that ends within so many days from today in a zone or has ended, the nearest first. A sign-in that is renewed as it should be
/// is not among them, nor one that has ended: somebody has to sign in already. It is all read at once: pages ask for a [`page()`].
pub async fn expiring(app: &App, within: i64, zone: &TimeZone) -> StoreResult<Vec<Expiring>> {
    let wanted = Wanted::within(within, app.clock.now(), zone);
    let (all, _) = page(app, &Apps::read(app).await?, &wanted, &Place::First, i64::MAX).await?;
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

/// The same without links, the sign-ins of a provider that end by the same rule as one: its `at` is that of the first, its `token` any
/// of them. However many there are, there are few of these.
pub async fn expiring_together(app: &App, apps: &Apps, within: i64, zone: &TimeZone) -> StoreResult<Vec<Expiring>> {
    let now = app.clock.now();
    let wanted = Wanted::within(within, now, zone);
    let mut found = of_apps(apps);
    found.retain(|one| one.at < wanted.bound(one.kind));
    for (profile, rule) in rules(now) {
        let rows = app
            .store
            .ending_sign_ins_of_providers(&rule, wanted.bound(kind_of(profile)))
            .await?;
        found.extend(rows.into_iter().map(|row| of_sign_in(profile, row)));
    }
    for one in &mut found {
        one.count_days(now, zone);
    }
    found.sort_by(|a, b| (a.at, &a.provider, &a.token).cmp(&(b.at, &b.provider, &b.token)));
    Ok(found)
}

/// What ends of the providers themselves: secrets, certificates, and keys by their age; and the certificate of the console.
fn of_apps(apps: &Apps) -> Vec<Expiring> {
    let mut found = Vec::new();
    for provider in &apps.providers {
        let used = apps.usage.iter().find(|usage| usage.provider == provider.id);
        let (mailboxes, turned_off) = used.map_or((0, 0), |used| (used.mailboxes, used.turned_off));
        let hanging = Expiring {
            mailboxes,
            turned_off,
            ..blank(Some(provider.name.clone()), None)
        };
        found.extend(of_app(provider, hanging.clone()));
        let key = apps.keys.iter().find(|key| key.provider == provider.id);
        if let (Some(key), Some(age)) = (key, idle::service_account_key()) {
            found.push(Expiring {
                kind: Kind::ServiceAccountKey,
                account: key.client_email.clone(),
                since: Some(key.set_at),
                at: key.set_at.plus(age.days * DAY),
                ..hanging
            });
        }
    }
    found.extend(apps.console.as_ref().map(|seen| Expiring {
        kind: Kind::ConsoleCertificate,
        account: seen.server.clone(),
        at: seen.until,
        ..blank(None, None)
    }));
    found
}

fn blank(provider: Option<Name>, token: Option<Name>) -> Expiring {
    Expiring {
        kind: Kind::SignIn,
        provider,
        token,
        account: String::new(),
        since: None,
        at: Timestamp(0),
        day: Date::of(Timestamp(0), &TimeZone::UTC),
        days: 0,
        ended: false,
        mailboxes: 0,
        turned_off: 0,
        count: 1,
    }
}

/// The secret or certificate of an app.
fn of_app(provider: &Provider, hanging: Expiring) -> Option<Expiring> {
    let date = provider.client_secret_expires?;
    Some(Expiring {
        kind: match provider.client_auth {
            ClientAuth::Certificate => Kind::Certificate,
            _ => Kind::ClientSecret,
        },
        at: Timestamp(date.days_from(Timestamp(0)) * DAY),
        ..hanging
    })
}

/// The rules that are known, as the database is asked for them. A sign-in that is used often enough is left out.
fn rules(now: Timestamp) -> Vec<(&'static Profile, Rule)> {
    let of = |profile: &&Profile| profile.refusal.is_none();
    let rule = |profile: &'static Profile| {
        let named = idle::all().iter().filter(of);
        let named = named.filter(|other| profile.consent_screen.is_none() && other.template == profile.template);
        let but: String = named
            .filter_map(|other| Some(format!("{},", other.consent_screen?.as_str())))
            .collect();
        let rule = Rule {
            template: profile.template,
            consent_screen: profile.consent_screen,
            but: format!(",{but}"),
            seconds: profile.seconds(),
            unused_since: (profile.from == From::Use).then(|| now.plus(-UNUSED)),
        };
        (profile, rule)
    };
    idle::all().iter().filter(of).map(rule).collect()
}

fn kind_of(profile: &Profile) -> Kind {
    match profile.from {
        From::SignIn => Kind::FixedSignIn,
        From::Use => Kind::SignIn,
    }
}

/// A sign-in that ends by a rule.
fn of_sign_in(profile: &Profile, row: SignInRow) -> Expiring {
    Expiring {
        kind: kind_of(profile),
        account: row.account,
        since: match profile.from {
            From::SignIn => row.authorized_at,
            From::Use => row.refreshed_at.max(row.authorized_at),
        },
        at: row.at,
        mailboxes: row.mailboxes,
        turned_off: row.turned_off,
        count: row.count,
        ..blank(Some(row.provider), Some(row.token))
    }
}

fn of_link(link: LinkRow) -> Expiring {
    let (provider, token) = match link.kind {
        Some(_) => (Some(link.about), None),
        None => (None, Some(link.about)),
    };
    Expiring {
        kind: Kind::Link(link.kind),
        account: link.account,
        since: Some(link.created_at),
        at: link.expires_at,
        ..blank(provider, token)
    }
}
