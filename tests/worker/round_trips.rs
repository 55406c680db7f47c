//! Messages of mailboxes to themselves: sent once in their turn, waited for, and never a second one while the fate of the first isn't
//! known.

use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use crate::support::databases::{NOW, console};
use crate::support::records;
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::Direction;
use mailgrant::model::round_trip::{Outcome, RoundTrip};
use mailgrant::store::rests::Rest;
use mailgrant::store::turns::Turn;
use mailgrant::worker::{instances, round_trips, turns};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A console with one mailbox that sends itself a message every hour.
struct House {
    app: App,
    clock: MockClock,
    mailbox: Mailbox,
    /// What the server for sending has taken.
    taken: Arc<Mutex<Vec<String>>>,
    /// Whether it can be found in the mailbox.
    arrived: Arc<AtomicBool>,
    _servers: (Server, Server),
    _dir: TempDir,
}

impl House {
    async fn with(smtp: Smtpd) -> Self {
        // What a server says of the time a message came in counts only where it can be.
        Self::with_date(smtp, "20-Nov-2026 08:00:00 +0000").await
    }

    /// With a server for reading that says that messages came in then.
    async fn with_date(smtp: Smtpd, came_in: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = MockClock::at(NOW);
        let app = console(&dir.path().join("data"), None, Arc::new(clock.clone())).await;
        instances::tick(&app).await.unwrap();
        let mut tx = app.store.begin().await.unwrap();
        tx.put_setting("checks.timeout_seconds", "3").await.unwrap();
        tx.commit().await.unwrap();
        let found = format!("* 3 FETCH (UID 103 INTERNALDATE \"{came_in}\")\n{{t}} OK done");
        let imap = Imapd::default()
            .on("UID SEARCH HEADER", "* SEARCH\n{t} OK done")
            .on("UID FETCH 103 ", &found);
        let (taken, arrived) = (Arc::clone(&smtp.messages), Arc::clone(&imap.arrived));
        let servers = (imap.start(None).await, smtp.start(None).await);
        let input = MailboxInput {
            enabled: true,
            round_trip_hours: "1".into(),
            ..records::mailbox("support", Some(servers.0.port), Some(servers.1.port), PASSWORD)
        };
        let edit = check_mailbox(&input, &app.gate).unwrap();
        let mailbox = mailboxes::create(&app, &Actor::console(), edit).await.unwrap();
        Self {
            app,
            clock,
            mailbox,
            taken,
            arrived,
            _servers: servers,
            _dir: dir,
        }
    }

    /// Lets time pass and everything be done that is due then.
    async fn after(&self, seconds: i64) {
        self.clock.advance(seconds);
        for _ in 0..4000 {
            round_trips::tick(&self.app).await.unwrap();
            if turns::busy(&self.app, Turn::RoundTrip) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a message never comes to its end");
    }

    /// The same for one that doesn't arrive: nobody waits half a minute for that here.
    async fn after_without_arrival(&self, seconds: i64) {
        let set = |arrived| self.arrived.store(arrived, Ordering::Relaxed);
        set(false);
        self.after(seconds).await;
    }

    async fn trips(&self) -> Vec<RoundTrip> {
        self.app.store.round_trips(&self.mailbox.id, 100).await.unwrap()
    }

    fn sent(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    /// A message that another process was about to send when it died.
    async fn begun_by_the_dead(&self) -> RoundTrip {
        let trip = RoundTrip {
            id: self.app.new_id(),
            mailbox_id: self.mailbox.id.clone(),
            message_id: "<of-the-dead@contoso.test>".into(),
            sent_at: self.clock.now(),
            outcome: Outcome::Begun,
            seconds: None,
            place: String::new(),
            problem: String::new(),
        };
        let mut tx = self.app.store.begin().await.unwrap();
        sqlx::query("UPDATE mailboxes SET round_trip_owner = 'dead', next_round_trip_at = $1")
            .bind(self.clock.now().0)
            .execute(&mut **tx)
            .await
            .unwrap();
        assert!(tx.begin_round_trip(&trip, "dead").await.unwrap());
        tx.commit().await.unwrap();
        trip
    }
}

#[tokio::test]
async fn a_message_goes_out_once_an_interval_comes_back_and_its_delay_is_kept() {
    let house = House::with(Smtpd::default()).await;
    house.arrived.store(true, Ordering::Relaxed);
    house.after(0).await;
    assert_eq!(house.sent(), 0, "spread over the hour, not at once");
    house.after(HOUR + 1).await;
    house.after(0).await;
    assert_eq!(house.sent(), 1);
    for round in 2..=4 {
        house.after(HOUR + 1).await;
        assert_eq!(house.sent(), round);
    }
    let trips = house.trips().await;
    assert_eq!(trips.len(), 4);
    assert!(
        trips
            .iter()
            .all(|trip| trip.outcome == Outcome::Arrived && trip.seconds.unwrap() < 60 && trip.place == "inbox"),
        "{trips:?}"
    );
    let first = house.taken.lock().unwrap()[0].clone();
    assert!(
        first.contains("Auto-Submitted: auto-generated") && first.contains(&format!("Message-ID: {}", trips[3].message_id)),
        "{first}"
    );
    assert!(house.app.store.round_trip_troubles(house.clock.now()).await.unwrap().is_empty());

    // Off is off, and results of tests are no business of it.
    let mut input = MailboxInput::of(&house.app.store.mailbox(&house.mailbox.name).await.unwrap().unwrap());
    input.round_trip_hours = "0".into();
    let edit = check_mailbox(&input, &house.app.gate).unwrap();
    let version = house.app.store.mailbox(&house.mailbox.name).await.unwrap().unwrap().version;
    mailboxes::update(&house.app, &Actor::console(), &house.mailbox.name, version, edit)
        .await
        .unwrap();
    let stored = house.app.store.mailbox(&house.mailbox.name).await.unwrap().unwrap();
    assert_eq!(stored.changed_at, house.mailbox.changed_at);
    house.after(DAY).await;
    assert_eq!(house.sent(), 4);
}

/// Whoever died may have sent it: it is looked for, and nothing is sent before its fate is known.
#[tokio::test]
async fn after_a_kill_the_message_is_looked_for_and_none_is_sent_a_second_time() {
    let house = House::with(Smtpd::default()).await;
    house.begun_by_the_dead().await;
    house.arrived.store(true, Ordering::Relaxed);
    house.after(400).await;
    let trips = house.trips().await;
    assert_eq!((house.sent(), trips[0].outcome, trips[0].seconds), (0, Outcome::Arrived, Some(400)));
    let told = house.app.store.round_trip_troubles(house.clock.now()).await.unwrap();
    assert_eq!(
        (told.len(), told[0].outcome),
        (1, Outcome::Arrived),
        "later than five minutes is late"
    );
    house.after(HOUR + 1).await;
    assert_eq!(house.sent(), 1, "then it goes on");
    assert!(house.app.store.round_trip_troubles(house.clock.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_never_found_is_lost_after_five_days_and_not_before() {
    let house = House::with(Smtpd::default()).await;
    house.begun_by_the_dead().await;
    for seconds in [400, DAY, 3 * DAY] {
        house.after_without_arrival(seconds).await;
        assert_eq!((house.sent(), house.trips().await[0].outcome), (0, Outcome::Begun));
    }
    house.after_without_arrival(DAY).await;
    let trips = house.trips().await;
    assert_eq!((house.sent(), trips.len(), trips[0].outcome), (0, 1, Outcome::Lost));
    let told = house.app.store.round_trip_troubles(house.clock.now()).await.unwrap();
    assert_eq!(
        (told[0].outcome, told[0].mailboxes, told[0].name.as_str()),
        (Outcome::Lost, 1, "support")
    );
    house.arrived.store(true, Ordering::Relaxed);
    house.after(HOUR + 1).await;
    assert_eq!((house.sent(), house.trips().await[0].outcome), (1, Outcome::Arrived));
}

/// The server has the message and the connection ends before it says so.
#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_fate_open() {
    let lost = Smtpd {
        taken: "close".into(),
        ..Smtpd::default()
    };
    let house = House::with(lost).await;
    house.after(0).await;
    house.after(HOUR + 1).await;
    assert_eq!((house.sent(), house.trips().await[0].outcome), (1, Outcome::Begun));
    for _ in 0..3 {
        house.after_without_arrival(HOUR + 1).await;
    }
    assert_eq!(
        (house.sent(), house.trips().await.len()),
        (1, 1),
        "no second one while nobody knows of the first"
    );
    house.arrived.store(true, Ordering::Relaxed);
    house.after(HOUR).await;
    assert_eq!((house.sent(), house.trips().await[0].outcome), (1, Outcome::Arrived));
}

#[tokio::test]
async fn what_a_server_refuses_was_not_sent_and_is_told_with_its_reason() {
    let house = House::with(Smtpd::default().on("MAIL", "550 5.7.60 SMTP; Client does not have permissions to send as this sender")).await;
    house.after(0).await;
    house.after(HOUR + 1).await;
    let trips = house.trips().await;
    assert_eq!((house.sent(), trips.len(), trips[0].outcome), (0, 1, Outcome::Refused));
    assert!(!trips[0].problem.is_empty());
    house.after(HOUR + 1).await;
    assert_eq!(
        house.trips().await.len(),
        2,
        "what certainly wasn't sent is tried again in its turn"
    );
    let told = house.app.store.round_trip_troubles(house.clock.now()).await.unwrap();
    assert_eq!(told[0].problem, trips[0].problem);
}

/// Whoever has lost the claim must not send, however late it wakes up.
#[tokio::test]
async fn only_who_has_the_claim_may_begin_and_only_one_at_a_time() {
    let house = House::with(Smtpd::default()).await;
    let trip = house.begun_by_the_dead().await;
    let second = RoundTrip {
        id: "2".into(),
        ..trip.clone()
    };
    let mut tx = house.app.store.begin().await.unwrap();
    assert!(!tx.begin_round_trip(&second, "dead").await.unwrap(), "the first is open");
    let over = RoundTrip {
        outcome: Outcome::Lost,
        ..trip
    };
    tx.note_round_trip(&over).await.unwrap();
    assert!(!tx.begin_round_trip(&second, "another").await.unwrap(), "this one has no claim");
    assert!(tx.begin_round_trip(&second, "dead").await.unwrap());
}

/// A message that takes a minute is not slow, though nobody stays connected for so long.
#[tokio::test]
async fn a_message_that_takes_a_minute_is_not_recorded_as_slow() {
    let house = House::with(Smtpd::default()).await;
    house.begun_by_the_dead().await;
    house.after_without_arrival(30).await;
    house.arrived.store(true, Ordering::Relaxed);
    house.after(31).await;
    let trips = house.trips().await;
    assert_eq!((trips[0].outcome, trips[0].seconds), (Outcome::Arrived, Some(61)));
    assert!(house.app.store.round_trip_troubles(house.clock.now()).await.unwrap().is_empty());
}

/// What was found late may have come in early: the server that took it knows.
#[tokio::test]
async fn the_time_at_which_the_server_took_it_counts_where_it_can_be_true() {
    for (came_in, seconds) in [
        ("21-Nov-2026 09:00:42 +0100", 42),
        ("21-Nov-2026 07:59:59 +0000", 400),
        ("21-Nov-2026 08:06:41 +0000", 400),
    ] {
        let house = House::with_date(Smtpd::default(), came_in).await;
        house.begun_by_the_dead().await;
        house.arrived.store(true, Ordering::Relaxed);
        house.after(400).await;
        assert_eq!(house.trips().await[0].seconds, Some(seconds), "{came_in}");
    }
}

/// Signing in every five minutes with a password that is refused locks the account.
#[tokio::test]
async fn a_password_that_the_checks_leave_in_peace_is_not_tried() {
    let house = House::with(Smtpd::default()).await;
    house.begun_by_the_dead().await;
    let mut tx = house.app.store.begin().await.unwrap();
    let rest = Rest {
        direction: Direction::Incoming,
        refused: 1,
        until: house.clock.now().plus(2 * HOUR),
    };
    tx.put_rest(&house.mailbox.id, rest).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query("UPDATE mailboxes SET round_trip_owner = NULL")
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    for _ in 0..11 {
        house.after(600).await;
    }
    assert_eq!((house._servers.0.connections(), house.sent()), (0, 0));
    house.after(1200).await;
    assert_eq!(house._servers.0.connections(), 1, "then it is looked for");
}

/// Reading isn't refused: whether the message came in must not be found out hours late.
#[tokio::test]
async fn what_was_sent_is_looked_for_though_sending_is_left_in_peace() {
    let house = House::with(Smtpd::default()).await;
    house.begun_by_the_dead().await;
    house.arrived.store(true, Ordering::Relaxed);
    let mut tx = house.app.store.begin().await.unwrap();
    let rest = Rest {
        direction: Direction::Outgoing,
        refused: 1,
        until: house.clock.now().plus(6 * HOUR),
    };
    tx.put_rest(&house.mailbox.id, rest).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query("UPDATE mailboxes SET round_trip_owner = NULL")
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    house.after(600).await;
    assert_eq!(house.trips().await[0].outcome, Outcome::Arrived);
    house.after(2 * HOUR).await;
    assert_eq!(house.sent(), 0, "and no next one is sent");
}

/// Nothing was sent, so nobody has to look for it for five days.
#[tokio::test]
async fn a_database_that_is_in_the_way_before_anything_is_sent_leaves_nothing_open() {
    let house = House::with(Smtpd::default()).await;
    house.arrived.store(true, Ordering::Relaxed);
    let sql = async |text: &'static str| {
        sqlx::query(text).execute(house.app.store.raw_pool()).await.unwrap();
    };
    sql("ALTER TABLE settings RENAME TO away").await;
    house.after(2 * HOUR).await;
    assert!(house.trips().await.is_empty(), "{:?}", house.trips().await);
    sql("ALTER TABLE away RENAME TO settings").await;
    house.after(HOUR).await;
    assert_eq!((house.sent(), house.trips().await[0].outcome), (1, Outcome::Arrived));
}
