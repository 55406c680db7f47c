//! Dates in pages: each kind comes from the database in the order of its ends, begun beside the place of a row; here they are laid together.
//! So the last page costs what the first does, and nothing is left out or shown twice.

use super::{Apps, Expiring, Kind, kind_of, of_apps, of_link, of_sign_in, rules};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Date;
use crate::store::StoreResult;
use crate::store::expiry::Range;
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::fmt;

/// Where what ends of providers themselves stands among dates of the same moment, and where links do; the rules of sign-ins are between.
const APPS: usize = 0;
const LINKS: usize = 99;

/// Which dates. Days are counted in a zone: a part of a list is what ends before a moment there, so whoever reads asks for exactly that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Only of this kind, by its word; empty: of every kind.
    pub kind: String,
    /// Where days are counted.
    zone: TimeZone,
    /// Of what ends at a moment: only what ends before this one.
    until: Timestamp,
    /// Of what ends on a day: only what ends before this one.
    until_day: Date,
}

impl Wanted {
    /// Of every kind, within so many days of the calendar in a zone: 0 is today.
    pub fn within(days: i64, now: Timestamp, zone: &TimeZone) -> Self {
        let day = Date::of(now, zone).plus(days.saturating_add(1));
        Self {
            kind: String::new(),
            until: day.begins(zone),
            until_day: day,
            zone: zone.clone(),
        }
    }

    /// What has ended where it is this day: by the rule that [`Expiring::ended`] goes by.
    pub fn ended(now: Timestamp, zone: &TimeZone) -> Self {
        Self {
            until: now.plus(1),
            ..Self::within(0, now, zone)
        }
    }

    /// What is wanted of a kind ends before this moment, as [`Expiring::at`] has it.
    pub(super) fn bound(&self, kind: Kind) -> Timestamp {
        if kind.is_day() {
            self.until_day.begins(&TimeZone::UTC)
        } else {
            self.until
        }
    }

    fn takes(&self, word: &str) -> bool {
        self.kind.is_empty() || self.kind == word
    }
}

/// The place of a row, which no other row has. As text it goes into addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    at: Timestamp,
    /// Where it comes from; of the same moment the lower one is first.
    source: usize,
    /// What makes it the only one.
    text: String,
}

impl Spot {
    /// What [`Spot`] wrote as text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        Some(Self {
            at: Timestamp(parts.next()?.parse().ok()?),
            source: parts.next()?.parse().ok()?,
            text: parts.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at.0, self.source, self.text)
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// With the nearest.
    #[default]
    First,
    /// After a row.
    After(Spot),
    /// The page that ends before a row.
    Before(Spot),
}

impl Place {
    /// The part of a source that lies beyond the place.
    fn range(&self, source: usize, wanted: &Wanted, limit: i64) -> Range {
        let range = |at: i64, text: &str, down| Range {
            until: wanted.until,
            at: Timestamp(at),
            text: text.to_owned(),
            down,
            limit,
        };
        match self {
            Self::First => range(i64::MIN, "", false),
            Self::After(spot) if source == spot.source => range(spot.at.0, &spot.text, false),
            Self::After(spot) if source > spot.source => range(spot.at.0, "", false),
            Self::After(spot) => range(spot.at.0.saturating_add(1), "", false),
            Self::Before(spot) if source == spot.source => range(spot.at.0, &spot.text, true),
            Self::Before(spot) if source < spot.source => range(spot.at.0.saturating_add(1), "", true),
            Self::Before(spot) => range(spot.at.0, "", true),
        }
    }
}

/// A page of dates, the nearest first, each with its place; and whether there are more on the far side.
pub async fn page(app: &App, own: &Apps, wanted: &Wanted, place: &Place, limit: i64) -> StoreResult<(Vec<(Spot, Expiring)>, bool)> {
    let now = app.clock.now();
    let down = matches!(place, Place::Before(_));
    let range = |source| place.range(source, wanted, limit.saturating_add(1));
    let mut found = apps(of_apps(own), wanted, &range(APPS));
    for (number, (profile, rule)) in rules(now).into_iter().enumerate() {
        if !wanted.takes(kind_of(profile).as_str()) {
            continue;
        }
        let source = APPS + 1 + number;
        for row in app.store.ending_sign_ins(&rule, &range(source)).await? {
            let (at, text) = (row.at, row.token.to_string());
            found.push((Spot { at, source, text }, of_sign_in(profile, row)));
        }
    }
    if wanted.takes("link") {
        for row in app.store.ending_links(now, &range(LINKS)).await? {
            let (at, source, text) = (row.expires_at, LINKS, row.id.clone());
            found.push((Spot { at, source, text }, of_link(row)));
        }
    }
    // Those of a source are in order already, as the database compares texts.
    if down {
        found.sort_by_key(|(spot, _)| Reverse((spot.at, spot.source)));
    } else {
        found.sort_by_key(|(spot, _)| (spot.at, spot.source));
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > most;
    found.truncate(most);
    if down {
        found.reverse();
    }
    for (_, one) in &mut found {
        one.count_days(now, &wanted.zone);
    }
    Ok((found, more))
}

/// How many dates there are; counts no further than `most` of each kind.
pub async fn count(app: &App, own: &Apps, wanted: &Wanted, most: i64) -> StoreResult<i64> {
    let now = app.clock.now();
    let range = Place::First.range(APPS, wanted, i64::MAX);
    let mut all = i64::try_from(apps(of_apps(own), wanted, &range).len()).unwrap_or(i64::MAX);
    for (profile, rule) in rules(now) {
        if wanted.takes(kind_of(profile).as_str()) {
            all += app.store.count_ending_sign_ins(&rule, wanted.until, most).await?;
        }
    }
    if wanted.takes("link") {
        all += app.store.count_ending_links(now, wanted.until, most).await?;
    }
    Ok(all)
}

/// Those of providers, as the database would give them.
fn apps(all: Vec<Expiring>, wanted: &Wanted, range: &Range) -> Vec<(Spot, Expiring)> {
    let spot = |one: &Expiring| Spot {
        at: one.at,
        source: APPS,
        text: one.key(),
    };
    let mut all: Vec<(Spot, Expiring)> = all.into_iter().map(|one| (spot(&one), one)).collect();
    let begins = (range.at, range.text.as_str());
    all.retain(|(spot, one)| {
        let place = (spot.at, spot.text.as_str());
        let beyond = if range.down { place < begins } else { place > begins };
        wanted.takes(one.kind.as_str()) && one.at < wanted.bound(one.kind) && beyond
    });
    all.sort_by(|(a, _), (b, _)| (a.at, &a.text).cmp(&(b.at, &b.text)));
    if range.down {
        all.reverse();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the database is asked for is what is within so many days, hour by hour, also where clocks are changed in between.
    #[test]
    fn a_bound_is_the_beginning_of_a_day_of_the_calendar() {
        let now = Timestamp(1_795_248_000);
        for name in ["UTC", "Europe/Helsinki", "Pacific/Auckland", "America/Havana"] {
            let zone = TimeZone::get(name).unwrap();
            for (kind, step) in [(Kind::FixedSignIn, 3600), (Kind::ClientSecret, 86_400)] {
                let ended = Wanted::ended(now, &zone).bound(kind);
                for within in [0, 113, 340] {
                    let bound = Wanted::within(within, now, &zone).bound(kind);
                    for number in -240..400 * 24 {
                        let begin = now.0.div_euclid(86_400) * 86_400;
                        let mut one = Expiring {
                            kind,
                            at: Timestamp(begin + number * step),
                            ..super::super::blank(None, None)
                        };
                        one.count_days(now, &zone);
                        assert_eq!(one.days <= within, one.at < bound, "{name}, {kind:?}: {one:?}");
                        assert_eq!(one.ended, one.at < ended, "{name}, {kind:?}: {one:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_place_survives_its_way_through_an_address() {
        for text in ["1795248000.2.support.team", "-1.0.client-secret-contoso", "5.99."] {
            assert_eq!(Spot::parse(text).unwrap().to_string(), text);
        }
        for odd in ["", "1", "1.2", "x.2.y", "1.-2.y"] {
            assert_eq!(Spot::parse(odd), None, "{odd}");
        }
    }
}
