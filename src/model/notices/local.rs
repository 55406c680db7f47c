//! Times in the zone of the notices: quiet hours, Monday morning, and how a message says when.

use super::Quiet;
use crate::clock::Timestamp;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, Zoned};

/// A time zone.
#[derive(Debug, Clone)]
pub struct Local(TimeZone);

impl Local {
    /// A zone by its name; the machine's own where there is none with this name.
    pub fn named(name: &str) -> Self {
        let named = (!name.is_empty() && name.len() <= 64).then(|| TimeZone::get(name).ok()).flatten();
        Self(named.or_else(|| TimeZone::try_system().ok()).unwrap_or(TimeZone::UTC))
    }

    /// Whether there is a zone with this name.
    pub fn exists(name: &str) -> bool {
        name.len() <= 64 && TimeZone::get(name).is_ok()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self.0.iana_name() {
            None | Some("Etc/UTC" | "Etc/UCT" | "UCT" | "Zulu" | "Etc/Zulu") => "UTC",
            Some(name) => name,
        }
    }

    /// Its rules.
    pub fn zone(&self) -> &TimeZone {
        &self.0
    }

    fn at(&self, at: Timestamp) -> Option<Zoned> {
        Moment::from_second(at.0).ok().map(|moment| moment.to_zoned(self.0.clone()))
    }

    /// Whether a moment is within quiet hours.
    pub fn is_quiet(&self, quiet: Quiet, at: Timestamp) -> bool {
        self.at(at)
            .is_some_and(|zoned| quiet.holds(i64::from(zoned.hour()) * 60 + i64::from(zoned.minute())))
    }

    /// When the quiet hours end that a moment is within; none: it isn't within any.
    pub fn quiet_until(&self, quiet: Quiet, at: Timestamp) -> Option<Timestamp> {
        let zoned = self.at(at).filter(|_| self.is_quiet(quiet, at))?;
        let minute = i64::from(zoned.hour()) * 60 + i64::from(zoned.minute());
        let day = if quiet.until > minute {
            zoned.date()
        } else {
            zoned.date().tomorrow().ok()?
        };
        let (hour, minute) = (i8::try_from(quiet.until / 60).ok()?, i8::try_from(quiet.until % 60).ok()?);
        let end = day.at(hour, minute, 0, 0).to_zoned(self.0.clone()).ok()?;
        Some(Timestamp(end.timestamp().as_second()))
    }

    /// `13:42`, `13:42 on 20 Nov`, for a subject.
    pub fn short(&self, at: Timestamp, now: Timestamp) -> String {
        match (self.at(at), self.at(now)) {
            (Some(then), Some(today)) if then.date() == today.date() => then.strftime("%H:%M").to_string(),
            (Some(then), _) => then.strftime("%H:%M on %-d %b").to_string(),
            _ => at.to_rfc3339(),
        }
    }

    /// `20 Nov 2025, 13:42 (Europe/Helsinki)`.
    pub fn full(&self, at: Timestamp) -> String {
        self.at(at).map_or_else(
            || at.to_rfc3339(),
            |zoned| format!("{} ({})", zoned.strftime("%-d %b %Y, %H:%M"), self.name()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday, 21 November 2026, 08:14:02 UTC.
    const NOW: Timestamp = Timestamp(1_795_248_842);

    #[test]
    fn times_and_quiet_hours_are_those_of_the_zone() {
        let helsinki = Local::named("Europe/Helsinki");
        assert_eq!(helsinki.short(NOW, NOW), "10:14");
        assert_eq!(helsinki.short(NOW.plus(-86_400), NOW), "10:14 on 20 Nov");
        assert_eq!(helsinki.full(NOW), "21 Nov 2026, 10:14 (Europe/Helsinki)");
        let quiet = Quiet { from: 600, until: 660 };
        assert!(helsinki.is_quiet(quiet, NOW) && !Local::named("UTC").is_quiet(quiet, NOW));
        assert_eq!(Local::named("UTC").quiet_until(quiet, NOW), None);
        // 11:00 of the same day, and of the next one.
        assert_eq!(helsinki.quiet_until(quiet, NOW), Some(Timestamp(1_795_251_600)));
        let night = Quiet { from: 600, until: 540 };
        assert_eq!(helsinki.quiet_until(night, NOW), Some(Timestamp(1_795_330_800)));
    }
}
