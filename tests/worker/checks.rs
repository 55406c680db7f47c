//! Checks on schedule: every mailbox in its turn, once, whatever the others do; and what is written down of them.

use super::pair::Pair;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::{Peer, Server};
use crate::support::databases::{NOW, console};
use crate::support::logs::Logs;
use crate::support::records;
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, Timestamp};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, MailboxState};
use mailgrant::store::checks::CountKind;
use mailgrant::store::reports::RunFilter;
use mailgrant::store::turns::Turn;
use mailgrant::worker::{instances, monitor};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const INTERVAL: i64 = 15 * 60;

/// A console with a clock that is moved by hand.
pub struct House {
    pub app: App,
    pub clock: MockClock,
    _dir: Arc<TempDir>,
}

impl House {
    pub async fn new() -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let clock = MockClock::at(NOW);
        let app = open(&dir, None, &clock).await;
        instances::tick(&app).await.unwrap();
        Self { app, clock, _dir: dir }
    }

    pub async fn mailbox(&self, name: &str, server: &Server, password: &str) -> Mailbox {
        add(&self.app, name, ("127.0.0.1", server), password).await
    }

    pub async fn stored(&self, mailbox: &Mailbox) -> Mailbox {
        self.app.store.mailbox(&mailbox.name).await.unwrap().unwrap()
    }

    /// Lets time pass and everything be checked that is due then.
    async fn after(&self, seconds: i64) {
        self.clock.advance(seconds);
        pass(&self.app).await;
    }

    pub async fn runs(&self, mailbox: &Mailbox) -> usize {
        let filter = RunFilter {
            mailbox: Some(mailbox.id.clone()),
            limit: 100,
            ..RunFilter::default()
        };
        self.app.store.runs(&filter).await.unwrap().len()
    }
}

pub async fn open(dir: &TempDir, url: Option<&str>, clock: &MockClock) -> App {
    console(&dir.path().join("data"), url, Arc::new(clock.clone())).await
}

pub async fn add(app: &App, name: &str, (host, server): (&str, &Server), password: &str) -> Mailbox {
    let mut input = MailboxInput {
        enabled: true,
        ..records::mailbox(name, Some(server.port), None, password)
    };
    if let Some(incoming) = &mut input.incoming {
        incoming.host = host.into();
    }
    let edit = check_mailbox(&input, &app.gate).unwrap();
    mailboxes::create(app, &Actor::console(), edit).await.unwrap()
}

/// A mailbox that reads and sends.
pub(super) async fn whole(app: &App, name: &str, (imap, smtp): (&Server, &Server), password: &str) -> Mailbox {
    let input = MailboxInput {
        enabled: true,
        ..records::mailbox(name, Some(imap.port), Some(smtp.port), password)
    };
    let edit = check_mailbox(&input, &app.gate).unwrap();
    mailboxes::create(app, &Actor::console(), edit).await.unwrap()
}

/// Passes of the worker until nothing goes on any more.
pub(super) async fn pass(app: &App) {
    for _ in 0..2000 {
        monitor::tick(app).await.unwrap();
        if monitor::busy(app) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("checks never end");
}

/// A server that greets and then says nothing more.
pub async fn silent() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("* OK ready").await?;
        peer.wait().await
    })
    .await
}

#[tokio::test]
async fn a_mailbox_is_checked_once_an_interval_and_a_change_leaves_a_run_and_an_entry() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", &server, PASSWORD).await;
    house.after(0).await;
    house.after(INTERVAL / 2 - 1).await;
    assert_eq!(server.connections(), 0, "people test a new mailbox themselves first");
    house.after(INTERVAL).await;
    assert_eq!(
        (server.connections(), house.stored(&mailbox).await.state),
        (1, MailboxState::Working)
    );
    let next = house.app.store.next_check().await.unwrap().unwrap();
    let left = next.since(house.clock.now());
    assert!(
        (1..=INTERVAL).contains(&left),
        "it was late; the next one is at its own time: {left}"
    );
    house.after(left - 1).await;
    assert_eq!(server.connections(), 1, "not before its time");
    house.after(1).await;
    assert_eq!(server.connections(), 2);
    for round in 3..=4 {
        house.after(INTERVAL).await;
        assert_eq!(server.connections(), round, "once an interval");
    }
    assert_eq!(house.runs(&mailbox).await, 1, "what goes on as before leaves no run");
    let read_only = server
        .heard()
        .iter()
        .all(|line| !line.to_uppercase().contains(" SELECT ") && !line.to_uppercase().contains("FETCH"));
    assert!(read_only, "{:?}", server.heard());

    // The password is sealed for another place than this one: it can't be used there.
    let mut tx = house.app.store.begin().await.unwrap();
    sqlx::query("UPDATE mailboxes SET incoming_port = $1")
        .bind(i64::from(server.port) + 1)
        .execute(&mut **tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for round in 1..=3 {
        house.after(INTERVAL).await;
        let stored = house.stored(&mailbox).await;
        assert_eq!(
            (stored.state, house.app.store.failed_checks(&mailbox.id).await.unwrap()),
            (MailboxState::Failing, round)
        );
        assert!(stored.incoming_state.problem.is_some() && stored.failing_since.is_some());
    }
    assert_eq!(house.runs(&mailbox).await, 2, "one for the change, none for more of the same");
    house.after(7 * 3600).await;
    assert_eq!(house.runs(&mailbox).await, 3, "and one again after some hours");

    let mut tx = house.app.store.begin().await.unwrap();
    sqlx::query("UPDATE mailboxes SET incoming_port = $1")
        .bind(i64::from(server.port))
        .execute(&mut **tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    house.after(INTERVAL).await;
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::Working);
    assert_eq!(house.app.store.failed_checks(&mailbox.id).await.unwrap(), 0);
    let told: Vec<_> = house.app.store.audit_rows(50).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .filter(|row| row.action == "mailbox.check")
        .map(|row| row.outcome.as_str())
        .collect();
    assert_eq!(told, ["ok", "failed"], "one entry a change, the newest first");
    let days = house
        .app
        .store
        .check_counts(CountKind::MailboxDay, mailbox.id.as_str(), Timestamp(0))
        .await
        .unwrap();
    let sums = days.iter().fold((0, 0), |(p, f), day| (p + day.passed, f + day.failed));
    assert_eq!(sums, (5, 4));
}

/// Whoever looks for a failure in the system log finds when it began and when it was over, and not each check in between.
#[tokio::test]
async fn the_log_tells_when_checks_begin_to_fail_and_when_they_pass_again() {
    let house = House::new().await;
    let logs = Logs::keep();
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", &server, PASSWORD).await;
    let right = i64::from(server.port);
    let sql = async |port: i64| {
        sqlx::query("UPDATE mailboxes SET incoming_port = $1")
            .bind(port)
            .execute(house.app.store.raw_pool())
            .await
            .unwrap();
    };
    house.after(0).await;
    for port in [right, right + 1, right + 1, right, right] {
        sql(port).await;
        house.after(INTERVAL).await;
    }
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::Working);
    let text = logs.text();
    assert_eq!(text.matches("Test incoming of mailbox support failed: ").count(), 1, "{text}");
    assert_eq!(text.matches("Test incoming of mailbox support passes again").count(), 1, "{text}");
}

/// Trying a refused password again and again locks the account at many servers.
#[tokio::test]
async fn a_password_that_is_refused_is_tried_less_and_less_often_and_still_counts_as_failing() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", &server, "not the password").await;
    house.after(0).await;
    house.after(2 * INTERVAL).await;
    assert_eq!(server.connections(), 1);
    for _ in 0..8 {
        house.after(INTERVAL).await;
    }
    assert_eq!(server.connections(), 4, "after one, two and four intervals");
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::Failing);
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_mailbox_of_another() {
    let house = House::new().await;
    let (hangs, works) = (silent().await, Imapd::default().start(None).await);
    for number in 0..30 {
        house.mailbox(&format!("a{number}"), &hangs, PASSWORD).await;
    }
    let mut good = Vec::new();
    for number in 0..5 {
        // Servers on this machine have one name: what a provider would be.
        let mailbox = add(&house.app, &format!("b{number}"), ("localhost", &works), PASSWORD).await;
        good.push(mailbox);
    }
    monitor::tick(&house.app).await.unwrap();
    house.clock.advance(2 * INTERVAL);
    let began = std::time::Instant::now();
    loop {
        monitor::tick(&house.app).await.unwrap();
        let mut working = 0;
        for mailbox in &good {
            working += usize::from(house.stored(mailbox).await.state == MailboxState::Working);
        }
        if working == good.len() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{working} of 5");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(hangs.open(), 8, "as many as one server may have at once");
    house.app.stopping.cancel();
}

#[tokio::test]
async fn what_was_changed_while_it_was_checked_is_not_judged_by_the_old_settings() {
    let house = House::new().await;
    let server = silent().await;
    let mailbox = house.mailbox("support", &server, PASSWORD).await;
    let mut tx = house.app.store.begin().await.unwrap();
    tx.put_setting("checks.timeout_seconds", "6").await.unwrap();
    tx.commit().await.unwrap();
    monitor::tick(&house.app).await.unwrap();
    house.clock.advance(2 * INTERVAL);
    monitor::tick(&house.app).await.unwrap();
    assert_eq!(monitor::busy(&house.app), 1);
    let mut tx = house.app.store.begin().await.unwrap();
    sqlx::query("UPDATE mailboxes SET changed_at = changed_at + 1")
        .execute(&mut **tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    pass(&house.app).await;
    let stored = house.stored(&mailbox).await;
    assert_eq!((stored.state, stored.incoming_state.outcome), (MailboxState::NotTested, None));
    assert_eq!(
        house.app.store.next_check().await.unwrap(),
        Some(house.clock.now().plus(30)),
        "soon again"
    );
}

#[tokio::test]
async fn a_result_that_is_two_intervals_old_says_nothing() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", &server, PASSWORD).await;
    house.after(0).await;
    house.after(2 * INTERVAL).await;
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::Working);
    // The worker stands still: somebody else holds the mailbox.
    let other = open(&house._dir, None, &house.clock).await;
    instances::tick(&other).await.unwrap();
    sqlx::query("UPDATE mailboxes SET check_owner = $1")
        .bind(other.flights.owner(&other).as_str())
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    house.after(2 * INTERVAL).await;
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::Working, "not older than that");
    house.after(1).await;
    assert_eq!(house.stored(&mailbox).await.state, MailboxState::NotTested);
}

/// A clock that ran a day ahead for a while must not leave mailboxes unchecked for that day; nor must an interval that was longer.
#[tokio::test]
async fn what_was_planned_by_a_clock_that_was_wrong_is_checked_in_its_time() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    house.mailbox("support", &server, PASSWORD).await;
    let refused = Imapd::default().start(None).await;
    house.mailbox("refused", &refused, "not the password").await;
    house.after(0).await;
    house.clock.set_by(86_400);
    house.after(2 * INTERVAL).await;
    assert_eq!((server.connections(), refused.connections()), (1, 1));
    house.clock.set_by(-86_400);
    house.after(0).await;
    house.after(INTERVAL + INTERVAL / 2).await;
    assert_eq!((server.connections(), refused.connections()), (2, 2), "neither waits for a day");
    // Back again, it is all long due: once is enough.
    house.clock.set_by(86_400);
    house.after(0).await;
    assert_eq!(server.connections(), 3);

    let minutes = async |minutes: &str| {
        let mut tx = house.app.store.begin().await.unwrap();
        tx.put_setting("checks.interval_minutes", minutes).await.unwrap();
        tx.commit().await.unwrap();
    };
    minutes("1440").await;
    house.after(INTERVAL).await;
    assert_eq!(server.connections(), 4);
    minutes("15").await;
    house.after(0).await;
    house.after(INTERVAL + INTERVAL / 2).await;
    assert_eq!(server.connections(), 5, "nobody waits for the day that was chosen before");
}

/// Two consoles share a database: each mailbox is checked once, by one of them; and what one had claimed when it died, the other does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_consoles_divide_the_checks_and_take_over_from_the_dead() {
    for Pair { first, second, clock, .. } in &Pair::on_each().await {
        let server = Imapd::default().start(None).await;
        for number in 0..40 {
            add(first, &format!("m{number}"), ("127.0.0.1", &server), PASSWORD).await;
        }
        monitor::tick(first).await.unwrap();
        clock.advance(2 * INTERVAL);
        tokio::join!(pass(first), pass(second));
        assert_eq!(server.connections(), 40, "each once");

        // The first takes some, and dies.
        clock.advance(INTERVAL);
        let due = first.store.due_turns(Turn::Check, clock.now(), 8).await.unwrap();
        assert_eq!(due.len(), 8);
        let owner = first.flights.owner(first).as_str().to_owned();
        let mut tx = first.store.begin().await.unwrap();
        for one in &due {
            assert!(tx.claim_turn(Turn::Check, one, &owner).await.unwrap());
        }
        tx.commit().await.unwrap();
        pass(second).await;
        let taken = server.connections() - 40;
        assert!(taken <= 32, "what another has is left alone: {taken}");
        instances::leave(first).await.unwrap();
        pass(second).await;
        assert_eq!(server.connections(), 80);
    }
}
