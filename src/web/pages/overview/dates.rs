//! What expires next, on a track of 90 days.

use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::store::providers::Usage;
use crate::web::pages::mailboxes::list::grouped;
use crate::web::routes;
use crate::web::time::date_words;

/// How far does the track reach?
const TRACK_DAYS: i64 = 90;

/// A date on the track.
pub(super) struct Track {
    /// What ends.
    pub title: String,
    /// What hangs on it.
    pub text: String,
    /// Days left.
    pub days: i64,
    /// The same in words.
    pub when: String,
    /// The day.
    pub date: String,
    /// Where it stands on the track, in percent.
    pub place: String,
    /// Mark.
    pub kind: &'static str,
    /// Its page.
    pub href: String,
}

/// The dates of all providers that are near enough, the nearest first.
pub(super) fn tracks(providers: &[Provider], usage: &[Usage], now: Timestamp) -> Vec<Track> {
    let mailboxes = |provider: &Provider| {
        let used = usage.iter().find(|used| used.provider == provider.id);
        used.map_or(0, |used| used.mailboxes)
    };
    let mut tracks: Vec<Track> = providers
        .iter()
        .filter_map(|provider| track(provider, mailboxes(provider), now))
        .collect();
    tracks.sort_by_key(|track| track.days);
    tracks
}

fn track(provider: &Provider, mailboxes: i64, now: Timestamp) -> Option<Track> {
    let date = provider.client_secret_expires?;
    let days = date.days_from(now);
    if days > TRACK_DAYS {
        return None;
    }
    let place = days.clamp(0, TRACK_DAYS) * 1000 / TRACK_DAYS;
    let unit = if mailboxes == 1 { "mailbox" } else { "mailboxes" };
    Some(Track {
        title: match provider.proof_noun() {
            "certificate" => format!("Certificate of {}", provider.name),
            _ => format!("Client secret of {}", provider.name),
        },
        text: format!("{}, {} {unit}", provider.template.label(), grouped(mailboxes)),
        when: match days {
            ..0 => "expired".to_owned(),
            0 => "today".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        },
        date: date_words(date),
        place: format!("{}.{}", place / 10, place % 10),
        kind: match days {
            ..0 => "bad",
            0..=30 => "warn",
            _ => "ok",
        },
        href: routes::provider(provider.name.as_str()),
        days,
    })
}
