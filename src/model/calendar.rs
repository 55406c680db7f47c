//! A calendar file (RFC 5545): days on which something ends, each with its reminders.

use super::Date;
use crate::clock::Timestamp;

/// How many days before the day calendars remind of it.
pub const REMINDERS: [i64; 4] = [30, 14, 7, 1];
/// The longest line, in octets without its end.
const LINE: usize = 75;

/// A day to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same for the same thing in every file, and in no other console's: a calendar moves what it knows instead of doubling it.
    pub uid: String,
    /// The day.
    pub day: Date,
    /// What happens.
    pub summary: String,
    /// What hangs on it, and what to do; may have line breaks.
    pub description: String,
    /// Where that is done.
    pub url: String,
}

/// The beginning of the file. `name`: what the calendar is called.
pub fn begin(name: &str) -> String {
    let mut file = File(String::new());
    file.line("BEGIN:VCALENDAR");
    file.line("VERSION:2.0");
    file.line("PRODID:-//Mailgrant//Dates//EN");
    file.line("METHOD:PUBLISH");
    file.text("X-WR-CALNAME", name);
    file.0
}

/// Its end, after the events.
pub const END: &str = "END:VCALENDAR\r\n";

/// A day in the file; `now`: when the file is made.
pub fn event(event: &Event, now: Timestamp) -> String {
    let mut file = File(String::new());
    let stamp: String = now.to_rfc3339().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    file.line("BEGIN:VEVENT");
    file.text("UID", &event.uid);
    file.line(&format!("DTSTAMP:{stamp}"));
    file.line(&format!("DTSTART;VALUE=DATE:{}", digits(event.day)));
    if let Some(next) = event.day.0.next_day() {
        file.line(&format!("DTEND;VALUE=DATE:{}", digits(Date(next))));
    }
    file.text("SUMMARY", &event.summary);
    if !event.description.is_empty() {
        file.text("DESCRIPTION", &event.description);
    }
    file.line(&format!("URL:{}", printable(&event.url)));
    // Nobody is busy because something ends.
    file.line("TRANSP:TRANSPARENT");
    for days in REMINDERS {
        file.line("BEGIN:VALARM");
        file.line("ACTION:DISPLAY");
        file.text("DESCRIPTION", &event.summary);
        file.line(&format!("TRIGGER:-P{days}D"));
        file.line("END:VALARM");
    }
    file.line("END:VEVENT");
    file.0
}

/// `20261203`.
fn digits(day: Date) -> String {
    day.to_string().replace('-', "")
}

/// Without what could end a line.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

struct File(String);

impl File {
    /// A property whose value is text: what has a meaning there is marked (3.3.11).
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for c in value.replace("\r\n", "\n").chars() {
            match c {
                '\\' => line.push_str("\\\\"),
                ';' => line.push_str("\\;"),
                ',' => line.push_str("\\,"),
                '\n' => line.push_str("\\n"),
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.line(&line);
    }

    /// A line, folded where it is too long, never inside a character (3.1).
    fn line(&mut self, line: &str) {
        let mut width = 0;
        for c in line.chars() {
            if width + c.len_utf8() > LINE {
                self.0.push_str("\r\n ");
                width = 1;
            }
            self.0.push(c);
            width += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(summary: &str, description: &str, now: Timestamp) -> String {
        let day = Event {
            uid: "client-secret-contoso@console.test".into(),
            day: Date::parse("2026-12-31").unwrap(),
            summary: summary.into(),
            description: description.into(),
            url: "https://console.test/providers/contoso/secret".into(),
        };
        format!("{}{}{END}", begin("Mailgrant"), event(&day, now))
    }

    #[test]
    fn a_day_is_a_whole_day_with_four_reminders() {
        let file = calendar("It ends", "", Timestamp(1_795_248_842));
        for line in [
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n",
            "\r\nDTSTAMP:20261121T081402Z\r\n",
            "\r\nDTSTART;VALUE=DATE:20261231\r\nDTEND;VALUE=DATE:20270101\r\n",
            "\r\nTRIGGER:-P30D\r\n",
            "\r\nTRIGGER:-P1D\r\n",
            "END:VEVENT\r\nEND:VCALENDAR\r\n",
        ] {
            assert!(file.contains(line), "{line:?} is missing in\n{file}");
        }
        assert_eq!(file.matches("BEGIN:VALARM").count(), 4);
    }

    #[test]
    fn no_text_ends_a_line_or_a_value_and_no_line_is_too_long() {
        let odd = "a\\b;c,d\r\nEND:VEVENT\nö\u{1F4EC}".repeat(20);
        let file = calendar(&odd, &odd, Timestamp(0));
        assert!(file.split("\r\n").all(|line| line.len() <= LINE && !line.contains(['\r', '\n'])));
        assert_eq!(file.matches("\r\nEND:VEVENT").count(), 1, "a text is no line of its own");
        let unfolded = file.replace("\r\n ", "");
        let summary = unfolded.lines().find_map(|line| line.strip_prefix("SUMMARY:")).unwrap();
        let read = summary
            .replace("\\n", "\n")
            .replace("\\,", ",")
            .replace("\\;", ";")
            .replace("\\\\", "\\");
        assert_eq!(read, odd.replace("\r\n", "\n"));
    }
}
