//! What ends by itself, and when: secrets, certificates, keys by their age, sign-ins, one-time links. For the page of dates, for notices,
//! for whoever wants to know before it happens. Reads only.

use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::consent::LinkKind;
use crate::model::due::KEEP_ALIVE;
use crate::model::idle::{self, From};
use crate::model::provider::{ClientAuth, Provider};
use crate::store::StoreResult;
use crate::store::expiry::SignInRow;

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
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// What it is.
    pub kind: Kind,
    /// The provider it belongs to; none for the link of a token.
    pub provider: Option<Name>,
    /// The token it belongs to.
    pub token: Option<Name>,
    /// The account it is about; may be empty.
    pub account: String,
    /// When it ends; of a date, the beginning of that day in UTC.
    pub at: Timestamp,
    /// Days until then: 0 today, negative when it is past.
    pub days: i64,
    /// How many mailboxes hang on it.
    pub mailboxes: i64,
}

/// Everything that ends within so many days from now or has ended, the nearest first. A sign-in that is renewed as it should be is not
/// among them, nor one that has ended: somebody has to sign in already.
pub async fn expiring(app: &App, within: i64) -> StoreResult<Vec<Expiring>> {
    let now = app.clock.now();
    let usage = app.store.provider_usage().await?;
    let mut found = Vec::new();
    for provider in app.store.providers().await? {
        let mailboxes = usage
            .iter()
            .find(|usage| usage.provider == provider.id)
            .map_or(0, |usage| usage.mailboxes);
        found.extend(of_app(&provider, mailboxes));
        if let (Some(stored), Some(age)) = (app.store.service_account(&provider.id).await?, idle::service_account_key()) {
            found.push(Expiring {
                kind: Kind::ServiceAccountKey,
                account: stored.account.client_email,
                at: stored.set_at.plus(age.days * DAY),
                ..blank(Some(provider.name), None, mailboxes)
            });
        }
    }
    for row in app.store.ending_sign_ins(now.plus(-UNUSED)).await? {
        found.extend(of_sign_in(row, now));
    }
    for link in app.store.ending_links(now, now.plus(within.saturating_mul(DAY))).await? {
        let (provider, token) = match link.kind {
            Some(_) => (Some(link.about), None),
            None => (None, Some(link.about)),
        };
        found.push(Expiring {
            kind: Kind::Link(link.kind),
            account: link.account,
            at: link.expires_at,
            ..blank(provider, token, 0)
        });
    }
    for one in &mut found {
        one.days = one.at.0.div_euclid(DAY) - now.0.div_euclid(DAY);
    }
    found.retain(|one| one.days <= within);
    found.sort_by(|a, b| (a.at, &a.provider, &a.token).cmp(&(b.at, &b.provider, &b.token)));
    Ok(found)
}

fn blank(provider: Option<Name>, token: Option<Name>, mailboxes: i64) -> Expiring {
    Expiring {
        kind: Kind::SignIn,
        provider,
        token,
        account: String::new(),
        at: Timestamp(0),
        days: 0,
        mailboxes,
    }
}

/// The secret or certificate of an app.
fn of_app(provider: &Provider, mailboxes: i64) -> Option<Expiring> {
    let date = provider.client_secret_expires?;
    Some(Expiring {
        kind: match provider.client_auth {
            ClientAuth::Certificate => Kind::Certificate,
            _ => Kind::ClientSecret,
        },
        at: Timestamp(date.days_from(Timestamp(0)) * DAY),
        ..blank(Some(provider.name.clone()), None, mailboxes)
    })
}

/// A sign-in, where it is known how long the provider keeps it.
fn of_sign_in(row: SignInRow, now: Timestamp) -> Option<Expiring> {
    let profile = idle::profile(row.template, row.consent_screen)?;
    let last = row.refreshed_at.max(row.authorized_at)?;
    let kind = match profile.from {
        From::SignIn => Kind::FixedSignIn,
        From::Use if now.since(last) > UNUSED => Kind::SignIn,
        From::Use => return None,
    };
    Some(Expiring {
        kind,
        account: row.account,
        at: profile.lapses_at(row.authorized_at, row.refreshed_at)?,
        ..blank(Some(row.provider), Some(row.token), row.mailboxes)
    })
}
