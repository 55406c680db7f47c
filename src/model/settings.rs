//! Settings of the instance that people change on the pages, as data: the key they are stored under, what counts where nobody chose,
//! what may be chosen, and on which page they stand (`ux.md` 6.14).

/// A setting that is a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its key in the database.
    pub key: &'static str,
    /// What counts where nobody chose.
    pub default: i64,
    /// The least that may be chosen.
    pub least: i64,
    /// The most.
    pub most: i64,
}

impl Number {
    const fn new(key: &'static str, default: i64, least: i64, most: i64) -> Self {
        Self { key, default, least, most }
    }

    /// What a stored text means: what can't be read counts as not chosen.
    pub fn of(&self, stored: Option<&str>) -> i64 {
        self.chosen(stored).unwrap_or(self.default)
    }

    /// The same; none where nobody chose. Somebody may choose what the default is.
    pub fn chosen(&self, stored: Option<&str>) -> Option<i64> {
        let chosen = stored.and_then(|text| text.parse::<i64>().ok());
        chosen.map(|number| number.clamp(self.least, self.most))
    }
}

/// Minutes between two checks of a mailbox.
pub const CHECK_INTERVAL: Number = Number::new("checks.interval_minutes", 15, 1, 1440);
/// Seconds a conversation with a server may take (`security.md` SSRF-5).
pub const CHECK_TIMEOUT: Number = Number::new("checks.timeout_seconds", 15, 3, 120);
/// Tests and checks of one provider's mailboxes at the same time. Where nobody chose there are more of them for many mailboxes
/// ([`crate::actions::probe::places`]).
pub const PARALLEL: Number = Number::new("checks.parallel_per_provider", 8, 1, 1000);
/// Megabytes from which on a message is oversized.
pub const LARGEST_MESSAGE: Number = Number::new("checks.largest_message_mb", 25, 1, 1024);
/// The day of the weekly report: 1 is Monday, 7 is Sunday; 0: there is none.
pub const WEEKLY_DAY: Number = Number::new("checks.weekly_day", 1, 0, 7);
/// The hour of that day, in the zone of [`TIME_ZONE`].
pub const WEEKLY_HOUR: Number = Number::new("checks.weekly_hour", 8, 0, 23);
/// Days of junk that are counted.
pub const JUNK_DAYS: Number = Number::new("checks.junk_days", 7, 1, 90);
/// Checks in a row that fail before somebody is told.
pub const FAILING_AFTER: Number = Number::new("notifications.failing_after", 2, 1, 20);
/// Days that test results are kept.
pub const KEEP_RUNS: Number = Number::new("retention.runs_days", 90, 1, 3650);
/// Days that the system log is kept.
pub const KEEP_LOG: Number = Number::new("retention.log_days", 30, 1, 3650);
/// Days that audit entries are kept.
pub const KEEP_AUDIT: Number = Number::new("retention.audit_days", 730, 90, 3650);
/// Hours that the preview of an import is kept.
pub const KEEP_PREVIEWS: Number = Number::new("retention.previews_hours", 24, 1, 168);
/// Days that closed links are kept.
pub const KEEP_LINKS: Number = Number::new("retention.links_days", 30, 1, 365);
/// Minutes without a request after which a session ends (`security.md` SESS-3).
pub const SESSION_IDLE: Number = Number::new("sessions.idle_minutes", 30, 5, 1440);
/// Hours after which a session ends in any case (SESS-3).
pub const SESSION_LONGEST: Number = Number::new("sessions.longest_hours", 12, 1, 720);

/// Key of the instance's name, a text.
pub const INSTANCE_NAME: &str = "instance.name";
/// Key of the time zone of people who chose none, and of everything that goes by the clock: an IANA name, or empty for the server's.
pub const TIME_ZONE: &str = "time_zone";
/// Letters an instance's name may have.
const LONGEST_NAME: usize = 60;

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of a unit, one of it and several: `("minute", "minutes")`.
    Number(Number, (&'static str, &'static str)),
    /// The same, or nothing: then it is chosen from case to case, which these words tell.
    Free(Number, (&'static str, &'static str), &'static str),
    /// A line of text, which may be empty, with so many letters at most.
    Text(usize),
    /// A time zone, or the server's.
    Zone,
    /// One of a list, as numbers with their words.
    Choice(Number, &'static [(&'static str, &'static str)]),
}

/// A setting, as a page offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its key in the database.
    pub key: &'static str,
    /// Its label.
    pub label: &'static str,
    /// What to know before choosing.
    pub hint: &'static str,
    /// What it takes.
    pub kind: Kind,
}

impl Field {
    const fn number(number: Number, unit: (&'static str, &'static str), label: &'static str, hint: &'static str) -> Self {
        Self {
            key: number.key,
            label,
            hint,
            kind: Kind::Number(number, unit),
        }
    }

    /// Its name in a form: the key's last part.
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }

    /// What counts where nobody chose, as text.
    pub fn default(&self) -> String {
        match self.kind {
            Kind::Number(number, _) | Kind::Choice(number, _) => number.default.to_string(),
            Kind::Free(..) | Kind::Text(_) | Kind::Zone => String::new(),
        }
    }

    /// What is in force, as text.
    pub fn in_force(&self, stored: Option<&str>) -> String {
        match self.kind {
            Kind::Number(number, _) | Kind::Choice(number, _) => number.of(stored).to_string(),
            Kind::Free(number, ..) => number.chosen(stored).map(|number| number.to_string()).unwrap_or_default(),
            Kind::Text(_) | Kind::Zone => stored.unwrap_or_default().to_owned(),
        }
    }

    /// A value in words: `15 minutes`.
    pub fn words(&self, value: &str) -> String {
        match self.kind {
            Kind::Free(_, _, nothing) if value.is_empty() => nothing.to_owned(),
            Kind::Number(_, ("", _)) => value.to_owned(),
            Kind::Number(_, (one, _)) | Kind::Free(_, (one, _), _) if value == "1" => format!("1 {one}"),
            Kind::Number(_, (_, several)) | Kind::Free(_, (_, several), _) => format!("{value} {several}"),
            Kind::Text(_) if value.is_empty() => "none".to_owned(),
            Kind::Choice(_, words) => {
                let found = words.iter().find(|(known, _)| *known == value);
                found.map_or(value, |(_, words)| words).to_owned()
            }
            Kind::Zone if value.is_empty() => "the server’s".to_owned(),
            Kind::Text(_) | Kind::Zone => value.to_owned(),
        }
    }

    /// What was typed, as it is stored; else what is wrong, for people. Whether a zone exists is not looked at.
    pub fn read(&self, typed: &str) -> Result<String, String> {
        match self.kind {
            Kind::Free(..) if typed.is_empty() => Ok(String::new()),
            Kind::Number(number, (one, several)) | Kind::Free(number, (one, several), _) => {
                let bare = typed.trim_end_matches(several).trim_end_matches(one).trim();
                let read = bare.parse::<i64>().ok();
                let fits = read.filter(|read| (number.least..=number.most).contains(read));
                fits.map(|read| read.to_string()).ok_or_else(|| {
                    let (least, most) = (number.least, number.most);
                    let label = self.label.trim_end_matches(" (optional)");
                    match several {
                        "" => format!("{label} must be a whole number from {least} to {most}"),
                        several => format!("{label} must be a whole number of {several} from {least} to {most}"),
                    }
                })
            }
            Kind::Choice(_, words) => match words.iter().find(|(known, _)| *known == typed) {
                Some((known, _)) => Ok((*known).to_owned()),
                None => Err(format!("Choose {} from the list", self.label.to_lowercase())),
            },
            Kind::Text(most) if typed.chars().count() > most => Err(format!(
                "{} must have {most} letters or fewer",
                self.label.trim_end_matches(" (optional)")
            )),
            Kind::Text(_) if typed.chars().any(|c| c.is_control() || super::turns_text(c)) => {
                Err(format!("{} must be one line of plain text", self.label))
            }
            Kind::Text(_) | Kind::Zone => Ok(typed.to_owned()),
        }
    }
}

/// Settings that stand on one page and are saved together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Its address below `/settings/`.
    pub path: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it is about, a sentence.
    pub about: &'static str,
    /// Its settings.
    pub fields: &'static [Field],
}

const MINUTES: (&str, &str) = ("minute", "minutes");
const HOURS: (&str, &str) = ("hour", "hours");
const DAYS: (&str, &str) = ("day", "days");
/// Days of the week, and none.
const WEEKDAYS: &[(&str, &str)] = &[
    ("1", "Monday"),
    ("2", "Tuesday"),
    ("3", "Wednesday"),
    ("4", "Thursday"),
    ("5", "Friday"),
    ("6", "Saturday"),
    ("7", "Sunday"),
    ("0", "No weekly report"),
];

/// The groups whose settings are kept in the database and changed on a page of fields.
pub const GROUPS: &[Group] = &[
    Group {
        path: "general",
        title: "General",
        about: "What this console is called, and by whose clock it goes.",
        fields: &[
            Field {
                key: INSTANCE_NAME,
                label: "Instance name (optional)",
                hint: "Shown beside the logo and on the pages of one-time links, so that people know whose console it is.",
                kind: Kind::Text(LONGEST_NAME),
            },
            Field {
                key: TIME_ZONE,
                label: "Time zone",
                hint: "For people who chose none under their own account, and for everything that happens at an hour of the day.",
                kind: Kind::Zone,
            },
        ],
    },
    Group {
        path: "sign-in",
        title: "Signing in",
        about: "How long people stay signed in. Sessions that are open go by the new times at once.",
        fields: &[
            Field::number(
                SESSION_IDLE,
                MINUTES,
                "Idle end",
                "A session ends after so long without a request. From 5 minutes to a day.",
            ),
            Field::number(
                SESSION_LONGEST,
                HOURS,
                "Longest session",
                "It ends after so long in any case. From an hour to 30 days.",
            ),
        ],
    },
    Group {
        path: "checks",
        title: "Checks",
        about: "Every mailbox that is turned on is looked at once an interval, and tests go by the same limits.",
        fields: &[
            Field::number(
                CHECK_INTERVAL,
                MINUTES,
                "Interval",
                "Between two checks of a mailbox. A result older than two intervals counts no more.",
            ),
            Field::number(
                CHECK_TIMEOUT,
                ("second", "seconds"),
                "Timeout",
                "For a whole conversation with a server. Only the arrival of a test message is waited for longer.",
            ),
            Field {
                key: PARALLEL.key,
                label: "At the same time per provider (optional)",
                hint: "Too many, and providers close connections. Left empty it grows by itself: 8, and up to 64 where a provider has so many mailboxes that fewer can’t keep the interval. Checks of those that use Graph are 4 at most. A number stays what it is, for all.",
                kind: Kind::Free(PARALLEL, ("mailbox", "mailboxes"), "grows by itself"),
            },
            Field::number(
                LARGEST_MESSAGE,
                ("MB", "MB"),
                "Largest message",
                "Larger ones are named as oversized. Programs that read mail often fail at large messages and stop there.",
            ),
            Field {
                key: WEEKLY_DAY.key,
                label: "Day of the weekly report",
                hint: "What mailboxes hold that is too large or in the junk folder is counted in the hours before it.",
                kind: Kind::Choice(WEEKLY_DAY, WEEKDAYS),
            },
            Field::number(
                WEEKLY_HOUR,
                ("", ""),
                "Hour of the weekly report",
                "From 0 to 23, in the time zone under General.",
            ),
            Field::number(JUNK_DAYS, DAYS, "Junk window", "Older messages in the junk folder are not counted."),
        ],
    },
    Group {
        path: "retention",
        title: "Retention",
        about: "How long records are kept. What is older goes in small steps, a few times an hour.",
        fields: &[
            Field::number(
                KEEP_RUNS,
                DAYS,
                "Test results",
                "The last result of a mailbox stays, however old, and of one mailbox at most the last 200.",
            ),
            Field::number(KEEP_LOG, DAYS, "System log", "What happened here, for looking into a failure."),
            Field::number(
                KEEP_AUDIT,
                DAYS,
                "Audit log",
                "Who did what. Not under 90 days. What is cut leaves a marker, so that the chain can still be verified.",
            ),
            Field::number(
                KEEP_PREVIEWS,
                HOURS,
                "Previews of imports",
                "They hold what was brought along, sealed.",
            ),
            Field::number(
                KEEP_LINKS,
                DAYS,
                "Closed one-time links",
                "Counted from the end of their time, used or not.",
            ),
        ],
    },
];

/// A group by its address.
pub fn group(path: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_by_hand_stays_within_what_may_be_chosen() {
        for (stored, read) in [
            (None, 15),
            (Some("5"), 5),
            (Some("0"), 1),
            (Some("999999"), 1440),
            (Some("often"), 15),
        ] {
            assert_eq!(CHECK_INTERVAL.of(stored), read, "{stored:?}");
        }
    }

    #[test]
    fn a_number_is_read_as_people_write_it_and_refused_with_what_would_do() {
        let field = group("checks").unwrap().fields[0];
        assert_eq!(field.read("30 minutes"), Ok("30".into()));
        assert_eq!(field.read("1 minute"), Ok("1".into()));
        for wrong in ["", "0", "1441", "-5", "1.5", "15 hours", "99999999999999999999"] {
            assert_eq!(
                field.read(wrong),
                Err("Interval must be a whole number of minutes from 1 to 1440".into()),
                "{wrong}"
            );
        }
    }

    #[test]
    fn who_chooses_what_the_default_is_has_chosen() {
        let field = group("checks")
            .unwrap()
            .fields
            .iter()
            .find(|field| field.key == PARALLEL.key)
            .unwrap();
        assert_eq!((field.default(), field.words("")), (String::new(), "grows by itself".into()));
        for (stored, stands) in [(None, ""), (Some("8"), "8"), (Some("12"), "12"), (Some("many"), "")] {
            assert_eq!(field.in_force(stored), stands, "{stored:?}");
        }
        assert_eq!((field.read(""), field.read("8 mailboxes")), (Ok(String::new()), Ok("8".into())));
        assert!(field.read("0").is_err());
    }

    #[test]
    fn names_of_fields_are_told_apart_on_their_page() {
        for group in GROUPS {
            let mut names: Vec<_> = group.fields.iter().map(Field::name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), group.fields.len(), "{}", group.path);
        }
    }
}
