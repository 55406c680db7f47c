//! Checks keep their pace on each engine: whatever the clock is set to, whatever interval somebody chooses, after a password was refused on
//! one side, and after a stop.

use super::checks::{add, pass, whole};
use super::pair::{Pair, set};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::actions::probe;
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, Timestamp};
use mailgrant::model::RunId;
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState, SideState};
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::secret::Password;
use mailgrant::store::turns::{Places, Turn};
use mailgrant::store::{StoreResult, Tx};
use std::time::Duration;

const MINUTE: i64 = 60;
const INTERVAL: i64 = 15 * MINUTE;
const DAY: i64 = 86_400;

/// Lets so many intervals pass, in ten steps each, and everything be checked in its time.
async fn intervals(app: &App, clock: &MockClock, number: i64) {
    for _ in 0..10 * number {
        clock.advance(INTERVAL / 10);
        pass(app).await;
    }
}

async fn stored(app: &App, mailbox: &Mailbox) -> Mailbox {
    app.store.mailbox_by_id(&mailbox.id).await.unwrap().unwrap()
}

async fn state(app: &App, mailbox: &Mailbox) -> MailboxState {
    stored(app, mailbox).await.state
}

/// Saves its form with something changed.
async fn edit(app: &App, mailbox: &Mailbox, change: impl FnOnce(&mut MailboxInput)) {
    let old = stored(app, mailbox).await;
    let mut input = MailboxInput::of(&old);
    change(&mut input);
    let edit = check_mailbox(&input, &app.gate).unwrap();
    mailboxes::update(app, &Actor::console(), &old.name, old.version, edit)
        .await
        .unwrap();
}

/// A test of one side by a person, as it is written down.
async fn note(app: &App, mailbox: &Mailbox, direction: Direction, outcome: Outcome) -> StoreResult<bool> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let noted = record(&mut tx, mailbox, direction, outcome, now).await?;
    tx.commit().await?;
    Ok(noted)
}

async fn record(tx: &mut Tx, mailbox: &Mailbox, direction: Direction, outcome: Outcome, now: Timestamp) -> StoreResult<bool> {
    let side = SideState {
        outcome: Some(outcome),
        problem: (outcome == Outcome::Failed).then(|| "Broken".to_owned()),
        run: Some(RunId("r".into())),
        tested_at: Some(now),
    };
    tx.record_side(&mailbox.id, mailbox.changed_at, direction, side, now).await
}

#[tokio::test]
async fn a_clock_that_is_set_stops_no_check_and_nothing_stays_green_unchecked() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        let mailbox = add(app, "support", ("127.0.0.1", &server), PASSWORD).await;
        intervals(app, clock, 3).await;
        assert_eq!(state(app, &mailbox).await, MailboxState::Working);
        for by in [-DAY, DAY, -30 * DAY] {
            clock.set_by(by);
            pass(app).await;
            if by < 0 {
                let found = state(app, &mailbox).await;
                assert_eq!(found, MailboxState::NotTested, "{by}: what was seen tomorrow is nothing to go by");
            }
            let before = server.connections();
            intervals(app, clock, 4).await;
            let checks = server.connections() - before;
            assert!((3..=5).contains(&checks), "{by}: {checks} checks in four intervals");
            assert_eq!(state(app, &mailbox).await, MailboxState::Working, "{by}");
        }
    }
}

#[tokio::test]
async fn an_interval_that_is_shortened_counts_at_once() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        set(app, "checks.interval_minutes", "1440").await;
        let mailbox = add(app, "support", ("127.0.0.1", &server), PASSWORD).await;
        pass(app).await;
        clock.advance(2 * DAY);
        pass(app).await;
        assert_eq!(server.connections(), 1);
        clock.advance(MINUTE);
        set(app, "checks.interval_minutes", "15").await;
        intervals(app, clock, 2).await;
        assert!(server.connections() >= 2, "within an interval and a half, and not within a day");
        intervals(app, clock, 4).await;
        assert!((5..=8).contains(&server.connections()), "{}", server.connections());
        assert_eq!(state(app, &mailbox).await, MailboxState::Working);
    }
}

/// Where a refused password was left in peace for hours, mending it ends that.
#[tokio::test]
async fn after_a_password_is_mended_checks_go_on_as_before() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        let mut all = Vec::new();
        for name in ["edited", "tested", "turned-on"] {
            all.push(add(app, name, ("127.0.0.1", &server), "not the password").await);
        }
        intervals(app, clock, 20).await;
        let [edited, tested, turned_on] = &all[..] else { unreachable!() };
        for mailbox in &all {
            assert_eq!(state(app, mailbox).await, MailboxState::Failing);
        }
        let before = server.connections();
        intervals(app, clock, 4).await;
        assert_eq!(server.connections(), before, "all are left in peace");

        edit(app, edited, |input| {
            input.incoming.as_mut().unwrap().password = Some(Password::new(PASSWORD));
        })
        .await;
        let mended = stored(app, edited).await;
        note(app, &mended, Direction::Incoming, Outcome::Passed).await.unwrap();
        assert_eq!(app.store.failed_checks(&mended.id).await.unwrap(), 0);
        note(app, tested, Direction::Incoming, Outcome::Passed).await.unwrap();
        mailboxes::pause(app, &Actor::console(), &turned_on.name, "").await.unwrap();
        mailboxes::turn_on(app, &Actor::console(), &turned_on.name).await.unwrap();
        assert_eq!(app.store.failed_checks(&turned_on.id).await.unwrap(), 0);
        intervals(app, clock, 2).await;
        assert!(
            server.connections() >= before + 3,
            "each is checked again: {}",
            server.connections() - before
        );
        for _ in 0..8 {
            intervals(app, clock, 1).await;
            assert_eq!(
                state(app, edited).await,
                MailboxState::Working,
                "and not \"Not tested\" after two intervals"
            );
        }
        assert_eq!(
            state(app, tested).await,
            MailboxState::Failing,
            "its server refuses it all the same"
        );
        assert_eq!(state(app, turned_on).await, MailboxState::Failing);
    }
}

/// One password that is refused must not make the console blind for the other side.
#[tokio::test]
async fn a_password_that_is_refused_for_sending_leaves_reading_checked() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let (imap, smtp) = (
            Imapd::default().start(None).await,
            Smtpd {
                verdict: Some("535 5.7.8 Authentication failed".into()),
                ..Smtpd::default()
            }
            .start(None)
            .await,
        );
        let mailbox = whole(app, "support", (&imap, &smtp), PASSWORD).await;
        intervals(app, clock, 2).await;
        for _ in 0..14 {
            intervals(app, clock, 1).await;
            assert_eq!(state(app, &mailbox).await, MailboxState::Partly);
        }
        assert!((14..=17).contains(&imap.connections()), "reading: {}", imap.connections());
        assert!((4..=5).contains(&smtp.connections()), "sending: {}", smtp.connections());
        // The other side breaks, and that is seen within an interval.
        sqlx::query("UPDATE mailboxes SET incoming_port = incoming_port + 1")
            .execute(app.store.raw_pool())
            .await
            .unwrap();
        intervals(app, clock, 1).await;
        assert_eq!(state(app, &mailbox).await, MailboxState::Failing);
    }
}

/// What was due together after a stop is spread again, so that servers are not asked by all at once for ever.
#[tokio::test]
async fn after_a_stop_each_comes_back_to_its_own_time() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        for number in 0..40 {
            add(app, &format!("m{number}"), ("127.0.0.1", &server), PASSWORD).await;
        }
        intervals(app, clock, 2).await;
        clock.advance(5 * INTERVAL);
        pass(app).await;
        for round in 0..3 {
            let mut each = Vec::new();
            for _ in 0..10 {
                let before = server.connections();
                clock.advance(INTERVAL / 10);
                pass(app).await;
                each.push(server.connections() - before);
            }
            assert_eq!(each.iter().sum::<usize>(), 40, "round {round}: each once: {each:?}");
            assert!(each.iter().all(|checks| *checks <= 12), "round {round}: bunched: {each:?}");
        }
    }
}

/// Two results that are written down together: one for each side, and neither undoes the other. So for what a person saves meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_are_written_down_together_do_not_undo_each_other() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let (imap, smtp): (Server, Server) = (Imapd::default().start(None).await, Smtpd::default().start(None).await);
        // Two tests end together.
        let mailbox = whole(app, "together", (&imap, &smtp), PASSWORD).await;
        let mut tx = app.store.begin().await.unwrap();
        assert!(
            record(&mut tx, &mailbox, Direction::Incoming, Outcome::Passed, clock.now())
                .await
                .unwrap()
        );
        let (other, of) = (app.clone(), mailbox.clone());
        let second = tokio::spawn(async move { note(&other, &of, Direction::Outgoing, Outcome::Failed).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(300)).await;
        tx.commit().await.unwrap();
        assert!(second.await.unwrap());
        let found = stored(app, &mailbox).await;
        assert_eq!(
            (found.incoming_state.outcome, found.outgoing_state.outcome, found.state),
            (Some(Outcome::Passed), Some(Outcome::Failed), MailboxState::Partly)
        );

        // One ends while somebody turns the mailbox off, and another while it is turned on in its form.
        let mailbox = whole(app, "paused", (&imap, &smtp), PASSWORD).await;
        for turn in ["off", "on in the form"] {
            let outcome = if turn == "off" { Outcome::Passed } else { Outcome::Failed };
            let mut tx = app.store.begin().await.unwrap();
            assert!(record(&mut tx, &mailbox, Direction::Incoming, outcome, clock.now()).await.unwrap());
            let (other, of) = (app.clone(), mailbox.clone());
            let second = tokio::spawn(async move {
                match turn {
                    "off" => mailboxes::pause(&other, &Actor::console(), &of.name, "").await.unwrap(),
                    _ => edit(&other, &of, |input| input.enabled = true).await,
                }
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
            tx.commit().await.unwrap();
            second.await.unwrap();
            let found = stored(app, &mailbox).await;
            assert_eq!(
                (found.enabled, found.incoming_state.outcome),
                (turn != "off", Some(outcome)),
                "{turn}"
            );
        }

        // One ends that was made with settings the mailbox has no more.
        let mailbox = whole(app, "changed", (&imap, &smtp), PASSWORD).await;
        let old = stored(app, &mailbox).await;
        let mut input = MailboxInput::of(&old);
        input.incoming.as_mut().unwrap().port = (imap.port + 1).to_string();
        input.incoming.as_mut().unwrap().password = Some(Password::new(PASSWORD));
        let prepared = mailboxes::prepare(app, check_mailbox(&input, &app.gate).unwrap(), Some(&old))
            .await
            .unwrap();
        let mut tx = app.store.begin().await.unwrap();
        assert!(mailboxes::save(app, &mut tx, &Actor::console(), &old, &prepared).await.unwrap());
        let (other, of) = (app.clone(), old.clone());
        let second = tokio::spawn(async move { note(&other, &of, Direction::Incoming, Outcome::Passed).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(300)).await;
        tx.commit().await.unwrap();
        assert!(!second.await.unwrap(), "it says nothing about the new ones");
        let found = stored(app, &mailbox).await;
        assert_eq!((found.incoming_state.outcome, found.state), (None, MailboxState::NotTested));
    }
}

/// A server that wants to be left alone for a while is.
#[tokio::test]
async fn a_server_that_asks_for_a_pause_gets_it_and_others_are_checked() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let throttled = Imapd::default().on(
            "EXAMINE",
            "{t} BAD Request is throttled. Suggested Backoff Time: 2700000 milliseconds",
        );
        let (busy, works) = (throttled.start(None).await, Imapd::default().start(None).await);
        for number in 0..3 {
            add(app, &format!("a{number}"), ("127.0.0.1", &busy), PASSWORD).await;
        }
        add(app, "b", ("localhost", &works), PASSWORD).await;
        intervals(app, clock, 2).await;
        // Three quarters of an hour are three intervals; whoever asked first is heard by all.
        let before = (busy.connections(), works.connections());
        assert!((1..=3).contains(&before.0), "{before:?}");
        intervals(app, clock, 1).await;
        assert_eq!(busy.connections(), before.0, "left alone");
        assert_eq!(works.connections(), before.1 + 1, "the others go on");
        intervals(app, clock, 4).await;
        assert!(busy.connections() > before.0, "and asked again afterwards");
        assert!(busy.connections() <= before.0 + 6, "{}", busy.connections());
    }
}

/// Graph takes few requests at once from one app; mailboxes of the same provider that speak IMAP don't wait for that.
#[tokio::test]
async fn fewer_mailboxes_that_use_graph_are_checked_at_once_unless_somebody_chose() {
    for Pair { first: app, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        for number in 0..20 {
            add(app, &format!("m{number}"), ("127.0.0.1", &server), PASSWORD).await;
        }
        sqlx::query("UPDATE mailboxes SET next_check_at = 1, incoming_protocol = CASE WHEN name < 'm15' THEN 'graph' ELSE 'imap' END")
            .execute(app.store.raw_pool())
            .await
            .unwrap();
        let places = probe::turn_places(app).await.unwrap();
        assert_eq!(places, Places { most: 8, graph: 4 });
        let owner = app.flights.owner(app).as_str();
        for round in 0..3 {
            let due = app.store.due_turns(Turn::Check, clock.now(), places).await.unwrap();
            let graph: Vec<_> = due.iter().filter(|due| due.graph).collect();
            assert_eq!((graph.len(), due.len()), (4 - round, 12 - round), "round {round}");
            let mut tx = app.store.begin().await.unwrap();
            assert!(tx.claim_turn(Turn::Check, graph[0], owner).await.unwrap());
            tx.commit().await.unwrap();
        }
        set(app, "checks.parallel_per_provider", "10").await;
        let places = probe::turn_places(app).await.unwrap();
        assert_eq!(places, Places { most: 10, graph: 10 });
        let due = app.store.due_turns(Turn::Check, clock.now(), places).await.unwrap();
        assert_eq!((due.len(), due.iter().any(|due| due.graph)), (7, false));
    }
}
