//! What was told in the year.

use super::super::sink::Call;
use super::super::world::DAY;
use super::Year;

impl Year {
    /// Every loss and every end was told in time, once.
    pub(super) async fn check_told(&self) {
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
        // Each sign-in that was lost is in a message, and in one only: as one of its names, or as one of how many; or it ended with those
        // of a message for the same reason, and was found within the day after it, as its access token ran out.
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
        let hit: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM notice_members nm JOIN notices n ON n.id = nm.notice_id
             WHERE n.event = 'token.sign_in_needed' AND n.state NOT IN ('new', 'unheard', 'dropped')",
        )
        .fetch_one(self.world.app.store.raw_pool())
        .await
        .unwrap();
        let hit = usize::try_from(hit).unwrap();
        let messages = of("token.sign_in_needed", "").len();
        let weekly = of("report.weekly", "").len();
        let ended = self.mailboxes.iter().filter(|mailbox| mailbox.told).count();
        eprintln!(
            "{} messages in a year, {messages} of {ended} losses that name {lost} of {hit}, {weekly} weekly reports",
            self.told.len()
        );
        // One of them signed in again, and lives.
        assert_eq!(hit, ended + 1);
        assert!(lost <= hit, "{lost} of {hit}");
        // Whoever was told of some reads on Monday how many they came to.
        let reports = self.told.iter().filter(|(_, call)| call.kind() == "report.weekly");
        let on_mondays: usize = reports
            .flat_map(|(_, call)| {
                let parts: Vec<&str> = call.body.split(" accounts of testing have to sign in again").collect();
                let several = parts.iter().rev().skip(1).map(|before| {
                    let number = before.rsplit(|c: char| !c.is_ascii_digit()).next();
                    number.and_then(|number| number.parse().ok()).unwrap_or(0)
                });
                let one = call
                    .body
                    .split(": testing-")
                    .skip(1)
                    .filter(|rest| rest.contains("has to sign in again"));
                several.chain(one.map(|_| 1)).collect::<Vec<usize>>()
            })
            .sum();
        assert_eq!(on_mondays, super::counts()[3].1);
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
