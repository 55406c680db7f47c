//! What was told in the year.

use super::super::sink::Call;
use super::super::world::DAY;
use super::Year;

impl Year {
    /// Every loss and every end was told in time, once.
    pub(super) fn check_told(&self) {
        let of = |kind: &str, what: &str| -> Vec<i64> {
            let fits = |call: &Call| call.kind() == kind && call.body.contains(what);
            self.told.iter().filter(|(_, call)| fits(call)).map(|(at, _)| at / DAY).collect()
        };
        // Day 0 is 21 November; the secret ends on 11 December, in 20 days.
        // The new one ends on 1 January 2028: 60 days before is still within the year.
        let told = of("expiring", "client secret of microsoft");
        assert_eq!(told.len(), 5, "30, 14, 7 days and 1 day, and 60 of the next: {told:?}");
        assert_eq!(
            of("provider.problem", "\"microsoft: ").len() + of("expired", "secret of microsoft ").len(),
            1,
            "refused, or past its date: one cause"
        );
        assert_eq!(of("provider.problem", "\"google: ").len(), 1);
        // Days begin at eight in the morning here: 11 December begins late on day 19.
        assert!((19..=21).contains(&[of("provider.problem", "\"microsoft: "), of("expired", "secret of microsoft ")].concat()[0]));
        assert!((210..=211).contains(&of("provider.problem", "\"google: ")[0]));
        assert_eq!(of("recovered", "\"microsoft ").len(), 1);
        assert_eq!(of("recovered", "\"google ").len(), 1);
        // Each sign-in that was lost is in a message, and in one only: as one of its names, or as one of how many.
        let lost: usize = self
            .told
            .iter()
            .filter(|(_, call)| call.kind() == "token.sign_in_needed")
            .map(|(_, call)| {
                let subject = call.subject();
                let first = subject.split(' ').next().unwrap_or_default();
                first.parse::<usize>().unwrap_or(1)
            })
            .sum();
        let messages = of("token.sign_in_needed", "").len();
        let weekly = of("report.weekly", "").len();
        let ended = self.mailboxes.iter().filter(|mailbox| mailbox.told).count();
        eprintln!(
            "{} messages in a year, {messages} of {ended} losses that name {lost}, {weekly} weekly reports",
            self.told.len()
        );
        // One of them signed in again, and lives.
        assert_eq!(lost, ended + 1);
        assert!((49..=53).contains(&weekly), "{weekly}");
        let mut subjects: Vec<String> = Vec::new();
        for (_, call) in &self.told {
            let told_again = ["report.weekly", "recovered", "token.sign_in_needed"].contains(&call.kind().as_str());
            if !told_again {
                assert!(!subjects.contains(&call.subject()), "told twice: {}", call.subject());
                subjects.push(call.subject());
            }
        }
    }
}
