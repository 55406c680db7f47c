//! Dated changes of providers in words: on the pages of what they touch, in lists and on the overview.

use crate::clock::Timestamp;
use crate::model::retirements::{Change, Day};
use crate::web::time::date_words;

/// A change as a page tells it.
#[derive(Debug, Clone)]
pub struct Retiring {
    /// Its id.
    pub id: &'static str,
    /// What happens, in a line.
    pub title: &'static str,
    /// What it means.
    pub text: &'static str,
    /// The days, each a sentence.
    pub days: Vec<String>,
    /// What to do.
    pub todo: &'static str,
    /// Where it is written.
    pub source: &'static str,
    /// When it was looked up.
    pub as_of: String,
}

impl Retiring {
    /// A change as it stands today.
    pub fn of(change: &'static Change, now: Timestamp) -> Self {
        Self {
            id: &change.id,
            title: &change.title,
            text: &change.text,
            days: change.dates.iter().map(|day| day_words(day, now)).collect(),
            todo: &change.todo,
            source: &change.source,
            as_of: date_words(change.as_of),
        }
    }

    /// These as they stand today, the nearest day first.
    pub fn all(mut changes: Vec<&'static Change>, now: Timestamp) -> Vec<Self> {
        changes.sort_by_key(|change| change.order(now));
        changes.into_iter().map(|change| Self::of(change, now)).collect()
    }
}

/// `From 31 Dec 2026, in 40 days: off for good.`, or `Since 31 Dec 2026: off for good.`
fn day_words(day: &Day, now: Timestamp) -> String {
    let date = date_words(day.on);
    match day.on.days_from(now) {
        ..=0 => format!("Since {date}: {}.", day.what),
        1 => format!("From tomorrow, {date}: {}.", day.what),
        days => format!("From {date}, in {days} days: {}.", day.what),
    }
}

/// `Passwords turned off: from 31 Dec 2026`, for a row of a list.
pub fn short(change: &Change, now: Timestamp) -> String {
    let when = match (change.next(now), change.dates.last()) {
        (Some((day, _)), _) => format!("from {}", date_words(day.on)),
        (None, Some(day)) => format!("since {}", date_words(day.on)),
        (None, None) => return change.mark.clone(),
    };
    format!("{}: {when}", change.mark)
}

/// The days of a change in one line, the next one first.
pub fn line(change: &Change, now: Timestamp) -> String {
    let day = match change.next(now) {
        Some((day, _)) => Some(day),
        None => change.dates.last(),
    };
    day.map(|day| day_words(day, now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::retirements::find;

    #[test]
    fn the_nearest_day_comes_first_and_what_has_passed_last() {
        use crate::model::retirements::all;
        let now = Timestamp(crate::model::Date::parse("2026-11-21").unwrap().days_from(Timestamp(0)) * 86_400);
        let mut changes: Vec<_> = all().iter().collect();
        changes.reverse();
        let ids: Vec<_> = Retiring::all(changes, now).iter().map(|one| one.id).collect();
        let days: Vec<_> = ids
            .iter()
            .map(|id| find(id).unwrap().next(now).map_or(i64::MAX, |(_, days)| days))
            .collect();
        assert!(
            days.is_sorted() && days[0] < i64::MAX && ids.len() == all().len(),
            "{ids:?} {days:?}"
        );
    }

    #[test]
    fn a_day_to_come_is_counted_and_one_that_has_passed_says_so() {
        let change = find("ews").unwrap();
        let at = |date: &str| {
            let date = crate::model::Date::parse(date).unwrap();
            Timestamp(date.days_from(Timestamp(0)) * 86_400 + 3600)
        };
        let before = Retiring::of(change, at("2026-09-30"));
        assert!(
            before.days[0].starts_with("From tomorrow, 1 Oct 2026: blocked"),
            "{:?}",
            before.days
        );
        assert!(
            before.days[1].starts_with("From 1 Apr 2027, in 183 days: gone"),
            "{:?}",
            before.days
        );
        assert_eq!(short(change, at("2026-09-30")), "EWS turned off: from 1 Oct 2026");
        let between = Retiring::of(change, at("2026-11-21"));
        assert!(between.days[0].starts_with("Since 1 Oct 2026: blocked"), "{:?}", between.days);
        assert!(line(change, at("2026-11-21")).starts_with("From 1 Apr 2027"));
        assert_eq!(short(change, at("2027-05-01")), "EWS turned off: since 1 Apr 2027");
        assert!(line(change, at("2027-05-01")).starts_with("Since 1 Apr 2027"));
    }
}
