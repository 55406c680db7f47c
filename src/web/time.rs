//! Times as pages show them (`ux.md` 8.10): in the person's zone, in words where that is shorter, always with the full moment in
//! `<time datetime>`.

use crate::clock::Timestamp;
use crate::model::Date;
use askama::FastWritable;
use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, Zoned};
use std::fmt;

/// Markup made here from parts that need no escaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FastWritable for Html {
    fn write_into(&self, to: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(to.write_str(&self.0)?)
    }
}

impl HtmlSafe for Html {}

/// A time zone with its name.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self {
            zone: TimeZone::UTC,
            name: "UTC".into(),
        }
    }

    /// The machine's zone.
    pub fn system() -> Self {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        let name = match zone.iana_name() {
            None | Some("Etc/UTC" | "Etc/UCT" | "UCT" | "Zulu" | "Etc/Zulu") => "UTC",
            Some(name) => name,
        };
        Self {
            name: name.to_owned(),
            zone,
        }
    }

    /// A zone by its IANA name, `Europe/Helsinki`; none if there is no such zone.
    pub fn named(name: &str) -> Option<Self> {
        if name.is_empty() || name.len() > 64 {
            return None;
        }
        let zone = TimeZone::get(name).ok()?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Some(Self { zone, name })
    }

    /// Every name of a place there is, for the choice.
    pub fn all() -> Vec<String> {
        let mut names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        names.retain(|name| name == "UTC" || (name.contains('/') && !name.starts_with("Etc/")));
        names.sort();
        names
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `Europe/Helsinki (EET, UTC+2)` at a moment.
    pub fn label(&self, now: &Timestamp) -> String {
        let Some(zoned) = self.at(*now) else { return self.name.clone() };
        let short = zoned.strftime("%Z").to_string();
        let offset = zoned.offset().seconds();
        if self.name == "UTC" {
            return "UTC".into();
        }
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
        let offset = match (minutes / 60, minutes % 60) {
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
        };
        if short.starts_with(['+', '-']) {
            format!("{} ({offset})", self.name)
        } else {
            format!("{} ({short}, {offset})", self.name)
        }
    }

    fn at(&self, at: Timestamp) -> Option<Zoned> {
        Moment::from_second(at.0).ok().map(|moment| moment.to_zoned(self.zone.clone()))
    }

    /// The day that a moment falls on here.
    pub fn today(&self, at: Timestamp) -> Date {
        Date::of(at, &self.zone)
    }

    /// Its rules.
    pub fn rules(&self) -> &TimeZone {
        &self.zone
    }

    /// `20 Nov 2025, 15:29`.
    pub fn full(&self, at: Timestamp) -> String {
        self.at(at)
            .map_or_else(|| at.to_rfc3339(), |zoned| zoned.strftime("%-d %b %Y, %H:%M").to_string())
    }

    fn tag(&self, at: Timestamp, words: &str) -> Html {
        Html(format!(
            "<time datetime=\"{}\" title=\"{}\">{words}</time>",
            at.to_rfc3339(),
            self.full(at)
        ))
    }

    /// `15:29 today`, `yesterday 15:29`, `20 Nov 2025, 15:29`, where there can be no element.
    pub fn words(&self, at: Timestamp, now: Timestamp) -> String {
        let (Some(then), Some(today)) = (self.at(at), self.at(now)) else {
            return self.full(at);
        };
        let clock = then.strftime("%H:%M");
        let days = (today.date() - then.date()).get_days();
        match days {
            0 => format!("{clock} today"),
            1 => format!("yesterday {clock}"),
            -1 => format!("tomorrow {clock}"),
            _ => self.full(at),
        }
    }

    /// `15:29 today`, `yesterday 15:29`, `20 Nov 2025, 15:29`.
    pub fn time(&self, at: Timestamp, now: Timestamp) -> Html {
        self.tag(at, &self.words(at, now))
    }

    /// `15:29`, of a moment within a day from now.
    pub fn clock(&self, at: &Timestamp) -> Html {
        let words = self
            .at(*at)
            .map_or_else(|| at.to_rfc3339(), |zoned| zoned.strftime("%H:%M").to_string());
        self.tag(*at, &words)
    }

    /// `15:29:02 today`, `20 Nov 2025, 15:29:02`: for logs, to the second.
    pub fn seconds(&self, at: Timestamp, now: Timestamp) -> Html {
        let words = match (self.at(at), self.at(now)) {
            (Some(then), Some(today)) if then.date() == today.date() => then.strftime("%H:%M:%S today").to_string(),
            (Some(then), _) => then.strftime("%-d %b %Y, %H:%M:%S").to_string(),
            _ => at.to_rfc3339(),
        };
        self.tag(at, &words)
    }

    /// The moment somebody here means by a date, or by a date and a time of day: `2026-11-21`, `21.11.2026 14:30`. A date alone is its
    /// first second, and with `to_end` the first one after it.
    pub fn moment(&self, text: &str, to_end: bool) -> Option<Timestamp> {
        let text = text.trim();
        // As machines write it.
        let text = match text.as_bytes().get(10) {
            Some(b'T') => text.replacen('T', " ", 1),
            _ => text.to_owned(),
        };
        let (date, clock) = match text.rsplit_once([' ', ',']) {
            Some((date, clock)) if clock.contains(':') => (date.trim_end_matches([' ', ',']), Some(clock)),
            _ => (text.as_str(), None),
        };
        let date = Date::parse(date)?;
        let date = jiff::civil::Date::new(
            i16::try_from(date.0.year()).ok()?,
            i8::try_from(u8::from(date.0.month())).ok()?,
            i8::try_from(date.0.day()).ok()?,
        );
        let mut date = date.ok()?;
        let time = match clock {
            Some(clock) => clock.parse::<jiff::civil::Time>().ok()?,
            None => jiff::civil::Time::midnight(),
        };
        if to_end && clock.is_none() {
            date = date.tomorrow().ok()?;
        }
        let moment = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp(moment.timestamp().as_second()))
    }

    /// A text whose words that are times (RFC 3339) or dates (`2026-12-21`) are told as [`Self::time`] and `21 Dec 2026`.
    pub fn told(&self, text: &str, now: Timestamp) -> Html {
        let words: Vec<String> = text
            .split(' ')
            .map(|word| {
                let bare = word.trim_end_matches([',', ';', '.']);
                let shown = if let Ok(at) = bare.parse::<Moment>() {
                    self.time(Timestamp(at.as_second()), now).0
                } else if let Some(date) = Date::parse(bare).filter(|_| bare.len() == 10) {
                    format!("<time datetime=\"{date}\">{}</time>", date_words(date))
                } else {
                    escaped(bare)
                };
                shown + &word[bare.len()..]
            })
            .collect();
        Html(words.join(" "))
    }

    /// `4 minutes ago` within the hour, then as [`Self::time`].
    pub fn ago(&self, at: Timestamp, now: Timestamp) -> Html {
        let words = match now.since(at) {
            0..60 => "just now".into(),
            60..120 => "1 minute ago".into(),
            seconds @ 120..3600 => format!("{} minutes ago", seconds / 60),
            _ => self.words(at, now),
        };
        self.tag(at, &words)
    }

    /// `15:29 today, 34 minutes ago`: since when something is wrong.
    pub fn since(&self, at: Timestamp, now: Timestamp) -> Html {
        let words = self.words(at, now);
        let ago = match now.since(at) {
            ..60 => "just now".to_owned(),
            60..120 => "1 minute ago".to_owned(),
            seconds @ 120..5400 => format!("{} minutes ago", seconds / 60),
            seconds @ 5400..172_800 => format!("{} hours ago", (seconds + 1800) / 3600),
            seconds => format!("{} ago", count_days(seconds / 86_400)),
        };
        self.tag(at, &format!("{words}, {ago}"))
    }

    /// `in 34 minutes, 16:20`, `in 5 hours, 21:10`, `in 12 days, 2 Dec 2025`; the past as [`Self::time`].
    pub fn until(&self, at: Timestamp, now: Timestamp) -> Html {
        let Some(then) = self.at(at) else { return self.time(at, now) };
        let clock = then.strftime("%H:%M");
        let words = match at.since(now) {
            ..0 => self.words(at, now),
            0..90 => format!("in 1 minute, {clock}"),
            seconds @ 90..5400 => format!("in {} minutes, {clock}", (seconds + 30) / 60),
            seconds @ 5400..86_400 => format!("in {} hours, {clock}", (seconds + 1800) / 3600),
            seconds => format!("in {}, {}", count_days(seconds / 86_400), then.strftime("%-d %b %Y")),
        };
        self.tag(at, &words)
    }

    /// `in 12 days, 2 Dec 2025`, `today, 2 Dec 2025`, `12 days ago, 2 Dec 2025`.
    pub fn date(&self, date: Date, now: Timestamp) -> Html {
        let shown = date_words(date);
        let words = match date.days_after(self.today(now)) {
            0 => format!("today, {shown}"),
            days @ 1.. => format!("in {}, {shown}", count_days(days)),
            days => format!("{} ago, {shown}", count_days(-days)),
        };
        Html(format!("<time datetime=\"{date}\">{words}</time>"))
    }
}

/// `2 Dec 2025`.
pub fn date_words(date: Date) -> String {
    date.words()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn count_days(days: i64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

/// The time zones of a list to choose from, as (value, words): none of its own with its words, every one by its name, and the one that
/// was chosen where the list lacks it.
pub fn zone_choices(none: String, chosen: &str) -> Vec<(String, String)> {
    let mut zones = vec![(String::new(), none)];
    zones.extend(Zone::all().into_iter().map(|name| (name.clone(), name)));
    if !zones.iter().any(|(name, _)| name == chosen) && Zone::named(chosen).is_some() {
        zones.push((chosen.to_owned(), chosen.to_owned()));
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_248_842);

    #[test]
    fn times_are_said_as_people_say_them() {
        let zone = Zone::named("Europe/Helsinki").unwrap();
        let words = |html: Html| html.0.split(['>', '<']).nth(2).unwrap().to_owned();
        assert_eq!(zone.full(NOW), "21 Nov 2026, 10:14");
        assert_eq!(zone.label(&NOW), "Europe/Helsinki (EET, UTC+2)");
        assert_eq!(words(zone.time(NOW, NOW)), "10:14 today");
        assert_eq!(words(zone.time(NOW.plus(-43_200), NOW)), "yesterday 22:14");
        assert_eq!(words(zone.ago(NOW.plus(-250), NOW)), "4 minutes ago");
        assert_eq!(words(zone.ago(NOW.plus(-86_400 * 3), NOW)), "18 Nov 2026, 10:14");
        assert_eq!(words(zone.until(NOW.plus(2040), NOW)), "in 34 minutes, 10:48");
        assert_eq!(words(zone.until(NOW.plus(86_400 * 12), NOW)), "in 12 days, 3 Dec 2026");
        let date = |text: &str| words(zone.date(Date::parse(text).unwrap(), NOW));
        assert_eq!(date("2026-11-21"), "today, 21 Nov 2026");
        assert_eq!(date("2026-11-20"), "1 day ago, 20 Nov 2026");
        assert!(
            zone.time(NOW, NOW)
                .0
                .contains("datetime=\"2026-11-21T08:14:02Z\" title=\"21 Nov 2026, 10:14\"")
        );
    }

    #[test]
    fn times_inside_a_sentence_are_told_and_the_rest_is_escaped() {
        let zone = Zone::named("Europe/Helsinki").unwrap();
        let told = |text: &str| zone.told(text, NOW).0;
        assert_eq!(
            told("newest from 2026-11-21T08:14:02Z; none over 25 MB"),
            "newest from <time datetime=\"2026-11-21T08:14:02Z\" title=\"21 Nov 2026, 10:14\">10:14 today</time>; none over 25 MB"
        );
        assert_eq!(
            told("issued by <CA & Sons>, valid until 2026-12-21"),
            "issued by &lt;CA &amp; Sons&gt;, valid until <time datetime=\"2026-12-21\">21 Dec 2026</time>"
        );
    }

    #[test]
    fn a_typed_moment_is_meant_in_the_zone_of_who_types() {
        let zone = Zone::named("Europe/Helsinki").unwrap();
        let moment = |text: &str, to_end| zone.moment(text, to_end).map(|at| at.to_rfc3339());
        for text in ["2026-11-21", "21.11.2026", "21 Nov 2026", " 2026-11-21 00:00 "] {
            assert_eq!(moment(text, false).as_deref(), Some("2026-11-20T22:00:00Z"), "{text}");
        }
        assert_eq!(moment("2026-11-21", true).as_deref(), Some("2026-11-21T22:00:00Z"));
        for text in ["2026-11-21 14:30", "21.11.2026, 14:30", "2026-11-21T14:30", "21 Nov 2026 14:30:00"] {
            assert_eq!(moment(text, true).as_deref(), Some("2026-11-21T12:30:00Z"), "{text}");
        }
        for text in ["", "soon", "2026-13-01", "14:30", "2026-11-21 25:00"] {
            assert_eq!(moment(text, false), None, "{text}");
        }
        let words = |html: Html| html.0.split(['>', '<']).nth(2).unwrap().to_owned();
        assert_eq!(words(zone.seconds(NOW, NOW)), "10:14:02 today");
        assert_eq!(words(zone.seconds(NOW.plus(-86_400), NOW)), "20 Nov 2026, 10:14:02");
    }

    #[test]
    fn unknown_zones_are_not_taken() {
        assert!(Zone::named("Mars/Olympus").is_none() && Zone::named("").is_none());
        assert!(Zone::all().iter().any(|name| name == "Europe/Helsinki"));
    }
}
