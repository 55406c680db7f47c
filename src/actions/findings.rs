//! The weekly look at what mailboxes hold that is too large or in the junk folder: when it is due, and what it found.

use super::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::settings::{WEEKLY_DAY, WEEKLY_HOUR};
use crate::store::StoreResult;
pub use crate::store::findings::{Finding, FindingKey, FindingPlace, FindingSums};
use jiff::tz::TimeZone;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// For how long does what was found say something, in seconds? A week, and a day for a report that comes late.
const STANDS: i64 = 8 * DAY;

/// What the last look found in mailboxes that are turned on and hold something, those with the most that is too large first: a page of
/// it, and whether there is more on the far side.
pub async fn page(app: &App, place: &FindingPlace, limit: i64) -> StoreResult<(Vec<Finding>, bool)> {
    app.store.findings(since(app), place, limit).await
}

/// All of it, in numbers.
pub async fn sums(app: &App) -> StoreResult<FindingSums> {
    app.store.finding_sums(since(app)).await
}

fn since(app: &App) -> Timestamp {
    app.clock.now().plus(-STANDS)
}

/// When the report after this moment is due; none where it is turned off.
pub async fn next_report(app: &App, after: Timestamp) -> StoreResult<Option<Timestamp>> {
    Ok(times(app).await?.and_then(|times| times.after(after)))
}

/// When the two reports after this moment are due; none where they are turned off.
pub async fn next_reports(app: &App, after: Timestamp) -> StoreResult<Option<(Timestamp, Timestamp)>> {
    Ok(times(app).await?.and_then(|times| {
        let next = times.after(after)?;
        Some((next, times.after(next)?))
    }))
}

/// When reports are due; none where they are turned off.
pub async fn times(app: &App) -> StoreResult<Option<Times>> {
    let day = settings::number(app, &WEEKLY_DAY).await?;
    let hour = settings::number(app, &WEEKLY_HOUR).await?;
    let zone = settings::zone(app).await?;
    Ok((day > 0).then_some(Times { day, hour, zone }))
}

/// An hour of a day of the week in a zone. A week that the clocks are changed in has an hour more or less, so times are told by the calendar.
#[derive(Debug, Clone)]
pub struct Times {
    /// 1 is Monday.
    day: i64,
    hour: i64,
    zone: TimeZone,
}

impl Times {
    /// The first one after a moment.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        [0, 7]
            .into_iter()
            .find_map(|days| self.near(moment, days).filter(|at| *at > moment))
    }

    /// The last one up to a moment.
    pub fn until(&self, moment: Timestamp) -> Option<Timestamp> {
        [0, -7]
            .into_iter()
            .find_map(|days| self.near(moment, days).filter(|at| *at <= moment))
    }

    /// The day and hour in words that change when they do.
    pub fn words(&self) -> String {
        format!("{} {} {}", self.day, self.hour, self.zone.iana_name().unwrap_or_default())
    }

    /// The one so many days from that within the six days after a moment's day.
    fn near(&self, moment: Timestamp, days: i64) -> Option<Timestamp> {
        let here = jiff::Timestamp::from_second(moment.0).ok()?.to_zoned(self.zone.clone());
        let ahead = (self.day - i64::from(here.weekday().to_monday_one_offset())).rem_euclid(7);
        let date = here.date().checked_add(jiff::Span::new().try_days(ahead + days).ok()?).ok()?;
        let at = date.at(i8::try_from(self.hour).ok()?, 0, 0, 0).to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp(at.timestamp().as_second()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_at_its_hour_of_its_day_in_its_zone() {
        let times = Times {
            day: 1,
            hour: 8,
            zone: TimeZone::get("Europe/Helsinki").unwrap(),
        };
        // Saturday, 21 Nov 2026, 08:14:02 UTC.
        let now = Timestamp(1_795_248_842);
        let text = |moment: Timestamp| times.after(moment).unwrap().to_rfc3339();
        assert_eq!(text(now), "2026-11-23T06:00:00Z");
        let monday = times.after(now).unwrap();
        assert_eq!(text(monday.plus(-1)), "2026-11-23T06:00:00Z");
        assert_eq!(text(monday), "2026-11-30T06:00:00Z", "the next one, once it is that time");
        // Through the change to summer time it stays at eight.
        let march = Timestamp(1_805_500_800);
        assert_eq!(march.to_rfc3339(), "2027-03-20T00:00:00Z");
        assert_eq!(text(march.plus(3 * DAY)), "2027-03-29T05:00:00Z");
        // The last one up to a moment is the last one before the next, hour by hour through both changes.
        for hour in 0..280 * 24 {
            let at = march.plus(hour * 3600);
            let (last, next) = (times.until(at).unwrap(), times.after(at).unwrap());
            assert!(last <= at && at < next, "{at:?}");
            assert_eq!(times.after(last), Some(next), "{at:?}");
            assert!([167, 168, 169].contains(&(next.since(last) / 3600)));
        }
    }
}
