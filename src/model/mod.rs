//! Plain data every part may use: what providers, tokens, mailboxes, runs and people are. No I/O here.

pub mod audit;
pub mod authorization;
pub mod batch;
pub mod build;
pub mod bundle;
pub mod calendar;
pub mod config_file;
pub mod consent;
pub mod credential;
pub mod due;
pub mod idle;
pub mod import;
pub mod limits;
pub mod lint;
pub mod log;
pub mod mailbox;
pub mod notices;
pub mod proof;
pub mod provider;
pub mod report;
pub mod retirements;
pub mod round_trip;
pub mod scopes;
pub mod settings;
pub mod template;
pub mod token;
pub mod user;
pub mod walkthrough;

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as the database has it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Row id of a [`provider::Provider`].
    ProviderId
);
id!(
    /// Row id of a [`token::Token`].
    TokenId
);
id!(
    /// Row id of a [`mailbox::Mailbox`].
    MailboxId
);
id!(
    /// Row id of a [`user::User`].
    UserId
);
id!(
    /// Id of a run of *Test incoming* or *Test outgoing*.
    RunId
);
id!(
    /// Id of a bulk test ([`batch::Batch`]).
    BatchId
);

/// The handle of a provider, token or mailbox in commands, files and URLs: 1–64 of `a-z 0-9 . _ -`, first and last a letter or
/// digit, not `new`. Chosen once; it stays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("Enter a name")]
    Empty,
    /// More than 64 characters.
    #[error("Name must be 64 characters or fewer")]
    TooLong,
    /// A character outside the set.
    #[error("Name can have a–z, 0–9, dot, hyphen and underscore")]
    Character,
    /// Starts or ends with a mark.
    #[error("Name must start and end with a letter or digit")]
    Ends,
    /// `new` is the address of the form.
    #[error("Name can't be \"new\"")]
    Reserved,
}

impl Name {
    /// Takes a text that fits the rule as it stands; blanks around it are forgiven.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        match text {
            "" => Err(NameError::Empty),
            _ if text.len() > 64 => Err(NameError::TooLong),
            _ if !text.chars().all(|c| good(c) || "._-".contains(c)) => Err(NameError::Character),
            _ if !text.starts_with(good) || !text.ends_with(good) => Err(NameError::Ends),
            "new" => Err(NameError::Reserved),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// A name made from an address or other text: `Support@Contoso.com` becomes `support`.
    pub fn suggest(text: &str) -> Option<Self> {
        let local = text.split('@').next().unwrap_or_default().to_lowercase();
        let cleaned: String = local
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(64)
            .collect();
        Self::parse(cleaned.trim_matches(['.', '_', '-'])).ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A sealed value as the database has it, `v1.<data-key-id>.<alg>.<nonce>.<ciphertext>`: only [`crate::vault::Vault`] opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

/// A calendar date, `2027-05-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub time::Date);

impl Date {
    /// Takes `2027-11-20`, `20.11.2027` and `20 Nov 2027`.
    pub fn parse(text: &str) -> Option<Self> {
        use time::macros::format_description as f;
        let text = text.trim();
        time::Date::parse(text, f!("[year]-[month]-[day]"))
            .or_else(|_| time::Date::parse(text, f!("[day padding:none].[month padding:none].[year]")))
            .or_else(|_| time::Date::parse(text, f!("[day padding:none] [month repr:short case_sensitive:false] [year]")))
            .ok()
            .map(Self)
    }

    /// The day of a moment in a zone.
    pub fn of(at: crate::clock::Timestamp, zone: &jiff::tz::TimeZone) -> Self {
        let moment = jiff::Timestamp::from_second(at.0).unwrap_or_default();
        let day = moment.to_zoned(zone.clone()).date();
        let date = |month| time::Date::from_calendar_date(day.year().into(), month, day.day().unsigned_abs()).ok();
        let month = time::Month::try_from(day.month().unsigned_abs()).ok();
        Self(month.and_then(date).unwrap_or(time::Date::MIN))
    }

    /// So many days after it; the first or last date there is where there is none.
    pub fn plus(self, days: i64) -> Self {
        let day = i64::from(self.0.to_julian_day()).saturating_add(days);
        let end = if days < 0 { time::Date::MIN } else { time::Date::MAX };
        let day = i32::try_from(day).ok().and_then(|day| time::Date::from_julian_day(day).ok());
        Self(day.unwrap_or(end))
    }

    /// The moment it begins in a zone.
    pub fn begins(self, zone: &jiff::tz::TimeZone) -> crate::clock::Timestamp {
        let (year, month) = (i16::try_from(self.0.year()).ok(), i8::try_from(u8::from(self.0.month())).ok());
        let day = i8::try_from(self.0.day()).ok();
        let civil = year.zip(month).zip(day);
        let date = civil.and_then(|((year, month), day)| jiff::civil::Date::new(year, month, day).ok());
        let begins = date.and_then(|date| date.to_zoned(zone.clone()).ok());
        let in_utc = self.days_from(crate::clock::Timestamp(0)) * 86_400;
        crate::clock::Timestamp(begins.map_or(in_utc, |begins| begins.timestamp().as_second()))
    }

    /// Days from another date until this one; negative when it is before.
    pub fn days_after(self, other: Self) -> i64 {
        i64::from(self.0.to_julian_day()) - i64::from(other.0.to_julian_day())
    }

    /// Whether what ends on this day has ended, where it is `today`: a provider takes it no more at some hour of the day, so it has as soon
    /// as the day begins (F35).
    pub fn has_ended(self, today: Self) -> bool {
        self <= today
    }

    /// `2 Dec 2025`.
    pub fn words(self) -> String {
        let month = self.0.month().to_string();
        format!("{} {} {}", self.0.day(), &month[..3], self.0.year())
    }

    /// Days from the UTC day of `now` until this date; negative when it is past.
    pub fn days_from(self, now: crate::clock::Timestamp) -> i64 {
        i64::from(self.0.to_julian_day()) - (now.0.div_euclid(86_400) + 2_440_588)
    }
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a date"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

/// An enum whose values have one text each, in the file, the database and on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in the file, the database and reports.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of a word; none if the word is unknown.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| {
                    let known = [$($text),+].join(", ");
                    serde::de::Error::custom(format!("\"{text}\" is not one of: {known}"))
                })
            }
        }
    };
}
pub(crate) use words;

/// "a", "a or b", "a, b or c".
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// Whether a character turns the direction of text, or can't be seen: names with it look like other names.
pub(crate) fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_rule() {
        for good in ["a", "support", "a.b_c-9", " padded "] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("Support", NameError::Character),
            ("-a", NameError::Ends),
            ("a.", NameError::Ends),
            ("new", NameError::Reserved),
            ("a\r\nb", NameError::Character),
        ] {
            assert_eq!(Name::parse(bad), Err(why), "{bad}");
        }
        assert_eq!(Name::parse(&"a".repeat(65)), Err(NameError::TooLong));
        assert_eq!(Name::suggest("Support+EU@contoso.com").unwrap().as_str(), "support-eu");
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        for text in ["2027-11-20", "20.11.2027", "20 Nov 2027"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), "2027-11-20", "{text}");
        }
        assert_eq!(Date::parse("1970-01-03").unwrap().days_from(crate::clock::Timestamp(3600)), 2);
        assert!(Date::parse("2027-02-30").is_none());
    }

    #[test]
    fn a_day_is_that_of_the_zone_and_what_ends_on_it_has_ended_when_it_begins() {
        let zone = |name| jiff::tz::TimeZone::get(name).unwrap();
        // 21 November 2026, 08:14:02 UTC.
        let now = crate::clock::Timestamp(1_795_248_842);
        let day = |name| Date::of(now, &zone(name)).to_string();
        assert_eq!((day("UTC"), day("Pacific/Honolulu")), ("2026-11-21".into(), "2026-11-20".into()));
        assert_eq!(Date::of(now.plus(57_600), &zone("UTC")).words(), "22 Nov 2026");
        let end = Date::parse("2026-11-21").unwrap();
        let today = |name| Date::of(now, &zone(name));
        assert!(end.has_ended(today("UTC")) && !end.has_ended(today("Pacific/Honolulu")));
        assert_eq!((end.days_after(today("UTC")), end.days_after(today("Pacific/Honolulu"))), (0, 1));
    }
}
