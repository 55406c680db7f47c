//! Messages of a mailbox to itself as its page shows them: a bar each, a sentence, a table.

use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::Mailbox;
use crate::model::round_trip::{Outcome, RoundTrip};
use crate::store::StoreResult;
use crate::web::pages::history::Bar;
use crate::web::pages::mailboxes::list::counted;

/// How many are shown?
const SHOWN: i64 = 30;
/// How high is the tallest bar?
const HIGH: i64 = 26;

/// One message as a row of the table.
pub struct TripRow {
    /// When it was sent.
    pub at: Timestamp,
    /// Mark.
    pub kind: &'static str,
    /// What became of it.
    pub words: String,
}

/// The last messages.
pub struct Trips {
    /// A bar each, the oldest first.
    pub bars: Vec<Bar>,
    /// What the bars say, in a sentence.
    pub label: String,
    /// The newest first.
    pub rows: Vec<TripRow>,
    /// What is wrong with the last one; empty where nothing is.
    pub problem: String,
    /// How often one is sent; empty where it was turned off.
    pub every: String,
}

/// The last messages of a mailbox; none where it sends none and never has.
pub async fn trips(app: &App, mailbox: &Mailbox) -> StoreResult<Option<Trips>> {
    let now = app.clock.now();
    let all = app.store.round_trips(&mailbox.id, SHOWN).await?;
    if all.is_empty() && mailbox.round_trip_hours == 0 {
        return Ok(None);
    }
    let on = mailbox.enabled && mailbox.round_trip_hours > 0;
    let problem = all.first().filter(|trip| on && trip.is_trouble(now)).map(words);
    Ok(Some(Trips {
        label: sentence(&all),
        bars: bars(&all, now),
        problem: problem.unwrap_or_default(),
        every: match mailbox.round_trip_hours {
            0 => String::new(),
            1 => "every hour".to_owned(),
            24 => "every day".to_owned(),
            hours => format!("every {hours} hours"),
        },
        rows: all
            .iter()
            .map(|trip| TripRow {
                at: trip.sent_at,
                kind: match trip.outcome {
                    _ if trip.is_trouble(now) => "warn",
                    Outcome::Begun | Outcome::Sent => "run",
                    _ => "ok",
                },
                words: words(trip),
            })
            .collect(),
    }))
}

/// `48 s`, `7 minutes`, `3 hours`.
fn took(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3600),
    }
}

fn words(trip: &RoundTrip) -> String {
    match (trip.outcome, trip.seconds) {
        (Outcome::Arrived, Some(seconds)) if trip.place == "junk" => format!("In the junk folder after {}", took(seconds)),
        (Outcome::Arrived, seconds) => format!("There after {}", took(seconds.unwrap_or(0))),
        (Outcome::Sent, _) => "Sent, not there yet".to_owned(),
        (Outcome::Begun, _) => "It isn't known whether it was sent".to_owned(),
        (Outcome::Lost, _) => "Never came".to_owned(),
        (Outcome::Refused, _) => format!("Not sent: {}", trip.problem),
    }
}

fn sentence(all: &[RoundTrip]) -> String {
    let messages = |count: usize| counted(i64::try_from(count).unwrap_or(i64::MAX), "message", "messages");
    let arrived: Vec<i64> = all.iter().filter_map(|trip| trip.seconds).collect();
    let over = all.iter().filter(|trip| !trip.is_open()).count();
    match (over, arrived.iter().max()) {
        (0, _) => "No message has come to its end yet".to_owned(),
        (over, None) => format!("None of {} arrived", messages(over)),
        (over, Some(slowest)) if over == arrived.len() => format!("{} arrived, the slowest after {}", messages(over), took(*slowest)),
        (over, Some(slowest)) => format!(
            "{} of {} arrived, the slowest after {}",
            arrived.len(),
            messages(over),
            took(*slowest)
        ),
    }
}

/// Half height at most where a message came in time, full height where it didn't, a stub where nobody knows yet.
fn bars(all: &[RoundTrip], now: Timestamp) -> Vec<Bar> {
    let percent = |hundredths: i64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let from = SHOWN - i64::try_from(all.len()).unwrap_or(SHOWN);
    (from..)
        .zip(all.iter().rev())
        .map(|(slot, trip)| {
            let (kind, height) = match trip.seconds {
                _ if trip.is_trouble(now) => ("bad", HIGH),
                None => ("off", 3),
                Some(seconds) => ("ok", 4 + (HIGH / 2 - 4) * seconds / RoundTrip::SLOW),
            };
            Bar {
                kind,
                x: percent(slot * 10_000 / SHOWN),
                width: percent(7200 / SHOWN),
                y: HIGH - height,
                height,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MailboxId;

    fn trip(outcome: Outcome, seconds: Option<i64>) -> RoundTrip {
        RoundTrip {
            id: "1".into(),
            mailbox_id: MailboxId("m".into()),
            message_id: "<a@b>".into(),
            sent_at: Timestamp(1000),
            outcome,
            seconds,
            place: "inbox".into(),
            problem: String::new(),
        }
    }

    #[test]
    fn a_sentence_and_heights_say_what_became_of_them() {
        let all = [
            trip(Outcome::Sent, None),
            trip(Outcome::Lost, None),
            trip(Outcome::Arrived, Some(301)),
            trip(Outcome::Arrived, Some(48)),
        ];
        assert_eq!(sentence(&all), "2 of 3 messages arrived, the slowest after 5 minutes");
        assert_eq!(sentence(&all[3..]), "1 message arrived, the slowest after 48 s");
        assert_eq!(sentence(&all[..1]), "No message has come to its end yet");
        let heights = |now| {
            bars(&all, Timestamp(now))
                .iter()
                .map(|bar| (bar.kind, bar.height))
                .collect::<Vec<_>>()
        };
        assert_eq!(heights(1100), [("ok", 5), ("bad", 26), ("bad", 26), ("off", 3)]);
        assert_eq!(heights(1000 + 301)[3], ("bad", 26), "what isn't there after five minutes is late");
        let right = bars(&all, Timestamp(0))
            .iter()
            .map(|bar| bar.x.parse::<f64>().unwrap())
            .fold(0.0, f64::max);
        assert!(right < 97.0 + 0.1, "{right}");
    }
}
