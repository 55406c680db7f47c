//! Turns of mailboxes divided between two consoles, on each engine: each once, whoever has it; what a dead one had claimed the other
//! does; and what could not be given back is given back later.

use super::checks::{add, open, silent, whole};
use super::findings::all_found;
use super::pair::{Pair, set};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use crate::support::databases::NOW;
use crate::support::records;
use mailgrant::actions::findings::next_report;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::Direction;
use mailgrant::model::round_trip::{Outcome, RoundTrip};
use mailgrant::store::Engine;
use mailgrant::store::StoreResult;
use mailgrant::store::turns::Turn;
use mailgrant::worker::{findings, instances, monitor, round_trips, turns};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

const HOUR: i64 = 3600;

async fn tick(app: &App, turn: Turn) -> StoreResult<()> {
    match turn {
        Turn::Check => monitor::tick(app).await,
        Turn::RoundTrip => round_trips::tick(app).await,
        Turn::Finding => findings::tick(app).await,
    }
}

/// How many mailboxes are claimed.
async fn claimed(app: &App, turn: Turn) -> i64 {
    let sql = match turn {
        Turn::Check => "SELECT COUNT(*) FROM mailboxes WHERE check_owner IS NOT NULL",
        Turn::RoundTrip => "SELECT COUNT(*) FROM mailboxes WHERE round_trip_owner IS NOT NULL",
        Turn::Finding => "SELECT COUNT(*) FROM mailboxes WHERE finding_owner IS NOT NULL",
    };
    sqlx::query_scalar(sql).fetch_one(app.store.raw_pool()).await.unwrap()
}

/// Passes of these consoles until nothing is due and nothing goes on any more.
async fn pass(apps: &[&App], turn: Turn) {
    for _ in 0..4000 {
        let mut going = 0;
        for app in apps {
            tick(app, turn).await.unwrap();
            going += turns::busy(app, turn);
        }
        let due = apps[0].store.overdue_turns(turn, apps[0].clock.now()).await.unwrap().0;
        if going == 0 && due == 0 {
            return;
        }
        assert!(claimed(apps[0], turn).await <= 2, "few of one provider at once, together");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never ends");
}

/// A console claims what it may have at once, and does nothing with it any more.
async fn claim(app: &App, turn: Turn) -> Vec<Mailbox> {
    let due = app.store.due_turns(turn, app.clock.now(), 2).await.unwrap();
    assert_eq!(due.len(), 2, "as many as one provider has places, of {turn:?}");
    let owner = app.flights.owner(app).as_str().to_owned();
    let mut tx = app.store.begin().await.unwrap();
    for one in &due {
        assert!(tx.claim_turn(turn, one, &owner).await.unwrap());
        assert!(!tx.claim_turn(turn, one, "another").await.unwrap(), "only one has it");
        assert!(
            !tx.release_turn(turn, &one.id, "another", one.at).await.unwrap(),
            "nor may another give it back"
        );
    }
    tx.commit().await.unwrap();
    let mut mailboxes = Vec::new();
    for one in &due {
        mailboxes.push(app.store.mailbox_by_id(&one.id).await.unwrap().unwrap());
    }
    mailboxes
}

/// A mailbox that sends itself a message every hour.
async fn sends(app: &App, name: &str, (imap, smtp): (&Server, &Server)) -> Mailbox {
    let mut input = records::mailbox(name, Some(imap.port), Some(smtp.port), PASSWORD);
    input.enabled = true;
    input.round_trip_hours = "1".into();
    let edit = check_mailbox(&input, &app.gate).unwrap();
    mailboxes::create(app, &Actor::console(), edit).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consoles_send_one_message_of_each_mailbox_and_look_for_what_a_dead_one_may_have_sent() {
    for pair in Pair::on_each().await {
        let (imapd, smtpd) = (Imapd::default(), Smtpd::default());
        imapd.arrived.store(true, Ordering::Relaxed);
        let sent = smtpd.messages.clone();
        let servers = (imapd.start(None).await, smtpd.start(None).await);
        let mut all = Vec::new();
        for number in 0..8 {
            all.push(sends(&pair.first, &format!("m{number}"), (&servers.0, &servers.1)).await);
        }
        pass(&pair.both(), Turn::RoundTrip).await;
        assert_eq!(sent.lock().unwrap().len(), 0, "spread over the hour, not at once");
        pair.clock.advance(HOUR + 1);
        pass(&pair.both(), Turn::RoundTrip).await;
        assert_eq!(sent.lock().unwrap().len(), 8, "each once");
        for mailbox in &all {
            let trips = pair.second.store.round_trips(&mailbox.id, 10).await.unwrap();
            assert_eq!((trips.len(), trips[0].outcome), (1, Outcome::Arrived), "{}", mailbox.name);
        }

        // One console takes two mailboxes, is about to send for one of them, and dies.
        pair.clock.advance(HOUR + 1);
        let taken = claim(&pair.first, Turn::RoundTrip).await;
        let begun = RoundTrip {
            id: pair.first.new_id(),
            mailbox_id: taken[0].id.clone(),
            message_id: "<of-the-dead@contoso.test>".into(),
            sent_at: pair.clock.now(),
            outcome: Outcome::Begun,
            seconds: None,
            place: String::new(),
            problem: String::new(),
        };
        let owner = pair.first.flights.owner(&pair.first).as_str();
        let mut tx = pair.first.store.begin().await.unwrap();
        assert!(tx.begin_round_trip(&begun, owner).await.unwrap());
        tx.commit().await.unwrap();
        tick(&pair.second, Turn::RoundTrip).await.unwrap();
        assert_eq!(
            turns::busy(&pair.second, Turn::RoundTrip),
            0,
            "its places are taken, wherever it died"
        );
        instances::leave(&pair.first).await.unwrap();
        pair.clock.advance(400);
        pass(&[&pair.second], Turn::RoundTrip).await;
        assert_eq!(sent.lock().unwrap().len(), 8 + 7, "each once, but what may have been sent already");
        let trips = pair.second.store.round_trips(&taken[0].id, 10).await.unwrap();
        assert_eq!((trips.len(), trips[0].outcome, trips[0].seconds), (2, Outcome::Arrived, Some(400)));
        let troubles = pair.second.store.round_trip_troubles(pair.clock.now()).await.unwrap();
        let told: Vec<_> = troubles.iter().map(|trouble| (trouble.outcome, trouble.mailboxes)).collect();
        assert_eq!(told, [(Outcome::Arrived, 1)], "it came late");

        // Longer intervals and shorter ones count from now on.
        pair.clock.advance(HOUR);
        sqlx::query("UPDATE mailboxes SET next_round_trip_at = next_round_trip_at + 86400")
            .execute(pair.second.store.raw_pool())
            .await
            .unwrap();
        pass(&[&pair.second], Turn::RoundTrip).await;
        pair.clock.advance(HOUR + 1);
        pass(&[&pair.second], Turn::RoundTrip).await;
        assert_eq!(sent.lock().unwrap().len(), 15 + 8, "none waits longer than its interval");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consoles_look_through_each_mailbox_once_a_week_and_take_over_from_the_dead() {
    for pair in Pair::on_each().await {
        set(&pair.first, "time_zone", "UTC").await;
        let server = Imapd::default().start(None).await;
        for number in 0..6 {
            let mut input = records::mailbox(&format!("m{number}"), Some(server.port), None, PASSWORD);
            input.enabled = true;
            let edit = check_mailbox(&input, &pair.first.gate).unwrap();
            mailboxes::create(&pair.first, &Actor::console(), edit).await.unwrap();
        }
        // The report after the next one, so that all have their turn before it, whatever day it is.
        let next = next_report(&pair.first, pair.clock.now()).await.unwrap().unwrap();
        pair.clock.advance(next.since(pair.clock.now()));
        pass(&pair.both(), Turn::Finding).await;
        let before = server.connections();
        let report = next_report(&pair.first, pair.clock.now()).await.unwrap().unwrap();
        pair.clock.advance(report.since(pair.clock.now()) - 60);
        pass(&pair.both(), Turn::Finding).await;
        assert_eq!(server.connections() - before, 6, "each once");
        let found = all_found(&pair.second).await;
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(
            found.iter().all(|found| (found.oversized, found.junk) == (1, Some(1))),
            "{found:#?}"
        );

        pair.clock.advance(7 * 24 * HOUR);
        claim(&pair.first, Turn::Finding).await;
        tick(&pair.second, Turn::Finding).await.unwrap();
        assert_eq!(
            turns::busy(&pair.second, Turn::Finding),
            0,
            "its places are taken, wherever it died"
        );
        instances::leave(&pair.first).await.unwrap();
        pass(&[&pair.second], Turn::Finding).await;
        assert_eq!(server.connections() - before, 12);
        let found = all_found(&pair.second).await;
        assert!(
            found.iter().all(|found| pair.clock.now().since(found.found_at) < 60),
            "the new one counts"
        );
    }
}

/// A claim that nobody gives back would keep a mailbox out of its turn for as long as the console runs.
#[tokio::test]
async fn what_can_not_be_given_back_now_is_given_back_later() {
    let (dir, clock) = (TempDir::new().unwrap(), MockClock::at(NOW));
    let app = open(&dir, None, &clock).await;
    instances::tick(&app).await.unwrap();
    set(&app, "time_zone", "UTC").await;
    let (imapd, smtpd) = (Imapd::default(), Smtpd::default());
    imapd.arrived.store(true, Ordering::Relaxed);
    let sent = smtpd.messages.clone();
    let (imap, smtp) = (imapd.start(None).await, smtpd.start(None).await);
    sends(&app, "support", (&imap, &smtp)).await;
    for turn in [Turn::RoundTrip, Turn::Finding] {
        tick(&app, turn).await.unwrap();
    }
    sqlx::query(
        "CREATE TRIGGER no_room BEFORE UPDATE ON mailboxes WHEN (OLD.round_trip_owner IS NOT NULL AND NEW.round_trip_owner IS NULL)
         OR (OLD.finding_owner IS NOT NULL AND NEW.finding_owner IS NULL) BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    )
    .execute(app.store.raw_pool())
    .await
    .unwrap();
    let report = next_report(&app, clock.now()).await.unwrap().unwrap();
    clock.advance(report.since(clock.now()) - 60);
    for turn in [Turn::RoundTrip, Turn::Finding] {
        tick(&app, turn).await.unwrap();
        while turns::busy(&app, turn) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(tick(&app, turn).await.is_err(), "it can't be given back yet");
        assert_eq!(claimed(&app, turn).await, 1);
    }
    sqlx::query("DROP TRIGGER no_room").execute(app.store.raw_pool()).await.unwrap();
    for turn in [Turn::RoundTrip, Turn::Finding] {
        tick(&app, turn).await.unwrap();
        assert_eq!(claimed(&app, turn).await, 0);
    }
    let mails = sent.lock().unwrap().len();
    let looks = all_found(&app).await.len();
    assert_eq!((mails, looks), (1, 0));
    clock.advance(HOUR);
    for turn in [Turn::RoundTrip, Turn::Finding] {
        pass(&[&app], turn).await;
    }
    let mails = sent.lock().unwrap().len();
    let looks = all_found(&app).await.len();
    assert_eq!((mails, looks), (2, 1), "both have their turn again");
}

/// A pass that waits for the database until its time is over leaves nothing behind that takes up room.
#[tokio::test]
async fn a_pass_that_is_cut_off_keeps_no_place_and_no_mailbox() {
    let (dir, clock) = (TempDir::new().unwrap(), MockClock::at(NOW));
    let app = open(&dir, None, &clock).await;
    instances::tick(&app).await.unwrap();
    let (hangs, smtp) = (silent().await, Smtpd::default().start(None).await);
    for number in 0..20 {
        whole(&app, &format!("m{number}"), (&hangs, &smtp), PASSWORD).await;
    }
    set(&app, "time_zone", "UTC").await;
    sqlx::query("UPDATE mailboxes SET round_trip_hours = 1, next_check_at = 1, next_round_trip_at = 1, next_finding_at = 1")
        .execute(app.store.raw_pool())
        .await
        .unwrap();
    for (turn, places) in [(Turn::Check, 8), (Turn::RoundTrip, 2), (Turn::Finding, 2)] {
        let writes = app.store.begin().await.unwrap();
        for _ in 0..3 {
            let cut = tokio::time::timeout(Duration::from_millis(300), tick(&app, turn)).await;
            assert!(cut.is_err(), "it waits for who writes");
        }
        assert_eq!((turns::busy(&app, turn), claimed(&app, turn).await), (0, 0), "{turn:?}");
        drop(writes);
        tick(&app, turn).await.unwrap();
        assert_eq!(turns::busy(&app, turn), places, "{turn:?}: every place is there");
    }
    app.stopping.cancel();
}

/// Two people press *Test* in the same moment, each at another console: a mailbox is tested once, and no message goes out twice. On
/// PostgreSQL both write at once; the head of the audit log is held until both have.
#[tokio::test]
async fn a_mailbox_is_tested_once_however_close_two_consoles_are() {
    for pair in Pair::on_each().await {
        let server = silent().await;
        let mailbox = add(&pair.first, "m", ("localhost", &server), PASSWORD).await;
        let order = || Order {
            mailbox: mailbox.clone(),
            draft: false,
            direction: Direction::Incoming,
            options: Options::default(),
            user: None,
        };
        let mut held = pair.first.store.raw_pool().begin().await.unwrap();
        if pair.first.store.engine() == Engine::Postgres {
            sqlx::query("UPDATE audit_head SET sequence = sequence")
                .execute(&mut *held)
                .await
                .unwrap();
        }
        let freed = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            held.rollback().await.unwrap();
        };
        let actor = Actor::console();
        let [one, other] = pair.both().map(|app| probe::begin(app, &actor, order()));
        let (one, other, ()) = tokio::join!(one, other, freed);
        let begun = [&one, &other].iter().filter(|run| run.is_ok()).count();
        assert_eq!(begun, 1, "{:?}", [one.err(), other.err()]);
        let running = pair.second.store.running_runs().await.unwrap();
        assert_eq!(running.len(), 1);
        for app in pair.both() {
            probe::stop(app, &running[0].0);
        }
    }
}
