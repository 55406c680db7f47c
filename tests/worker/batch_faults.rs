//! Bulk tests when the console's own database is in the way of one item: it rests, it is told, and the others don't wait for it. And how
//! long many take.

use super::batches::{pass, start, stored};
use super::checks::{House, silent};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::support::databases::console;
use mailgrant::app::App;
use mailgrant::clock::SystemClock;
use mailgrant::model::BatchId;
use mailgrant::model::batch::{BatchState, Item, ItemState, What};
use mailgrant::model::report::Direction;
use mailgrant::store::batches::ItemFilter;
use mailgrant::worker::batches::{EVERY, tick};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

async fn sql(app: &App, text: &'static str) {
    sqlx::query(text).execute(app.store.raw_pool()).await.unwrap();
}

/// The item of a mailbox.
async fn item(app: &App, id: &BatchId, name: &str) -> Item {
    let all = app.store.batch_items(id, &ItemFilter::default(), 0, 1000).await.unwrap();
    all.into_iter().find(|item| item.name == name).unwrap()
}

/// Passes until so many have passed their test.
async fn until_passed(app: &App, id: &BatchId, wanted: i64) {
    for _ in 0..4000 {
        tick(app).await.unwrap();
        if stored(app, id).await.passed == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the others wait: {:?}", stored(app, id).await);
}

/// What a hundred passes do.
async fn passes(app: &App) {
    for _ in 0..100 {
        tick(app).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// It is not taken again and again, and it ends with words that are true.
#[tokio::test]
async fn an_item_that_cant_be_read_rests_longer_and_longer_and_is_given_up_and_the_others_go_on() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..30 {
        house.mailbox(&format!("m{number:02}"), &server, PASSWORD).await;
    }
    sql(&house.app, "UPDATE mailboxes SET incoming_security = 'nonsense' WHERE name = 'm02'").await;
    let id = start(&house.app, What::Incoming).await;
    until_passed(&house.app, &id, 29).await;
    assert_eq!(stored(&house.app, &id).await.failed, 0, "not yet");
    let mut tried = Vec::new();
    for seconds in [0, 1, 1, 9, 1, 59] {
        house.clock.advance(seconds);
        passes(&house.app).await;
        let item = item(&house.app, &id, "m02").await;
        assert_eq!(item.state, ItemState::Waiting);
        tried.push(item.tries);
    }
    assert_eq!(tried, [1, 1, 2, 2, 3, 3], "after two, ten and sixty seconds");
    house.clock.advance(1);
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.state, batch.passed, batch.failed), (BatchState::Done, 29, 1));
    let item = item(&house.app, &id, "m02").await;
    assert_eq!((item.state, item.run), (ItemState::Failed, None));
    assert!(
        item.problem.starts_with("Couldn't be tested: the console can't read"),
        "{}",
        item.problem
    );
    let groups = house.app.store.batch_groups(&id, 5).await.unwrap();
    assert_eq!((groups.len(), groups[0].cause.as_str()), (1, "console:untested"));
}

#[tokio::test]
async fn a_result_that_cant_be_written_down_stops_no_other_and_the_mailbox_is_asked_once() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..30 {
        house.mailbox(&format!("m{number:02}"), &server, PASSWORD).await;
    }
    sql(
        &house.app,
        "CREATE TRIGGER planted BEFORE INSERT ON runs WHEN NEW.mailbox_name = 'm02' BEGIN SELECT RAISE(ABORT, 'planted'); END",
    )
    .await;
    let id = start(&house.app, What::Incoming).await;
    until_passed(&house.app, &id, 29).await;
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.state, batch.passed, batch.failed), (BatchState::Done, 29, 1));
    let item = item(&house.app, &id, "m02").await;
    assert_eq!(
        (item.state, item.problem.as_str()),
        (ItemState::Failed, "Tested, but the result couldn't be written down")
    );
    assert_eq!(server.connections(), 30, "each once");
}

/// Where it only takes a while, nothing is lost.
#[tokio::test]
async fn a_result_that_can_be_written_down_later_is() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    house.mailbox("m", &server, PASSWORD).await;
    sql(
        &house.app,
        "CREATE TRIGGER planted BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'planted'); END",
    )
    .await;
    let id = start(&house.app, What::Incoming).await;
    passes(&house.app).await;
    assert_eq!(stored(&house.app, &id).await.over(), 0);
    sql(&house.app, "DROP TRIGGER planted").await;
    let batch = pass(&[&house.app], &id).await;
    assert_eq!((batch.passed, batch.failed, server.connections()), (1, 0, 1));
    assert!(item(&house.app, &id, "m").await.run.is_some());
}

/// Somebody tests one of them by hand just then: that one waits a little, and comes once the other test is over.
#[tokio::test]
async fn a_mailbox_that_somebody_tests_just_now_is_not_asked_for_four_times_a_second() {
    use mailgrant::actions::probe::{Options, Order, run_to_end};
    let house = House::new().await;
    let server = silent().await;
    let mailbox = house.mailbox("m", &server, PASSWORD).await;
    let order = Order {
        mailbox,
        draft: false,
        direction: Direction::Incoming,
        options: Options::default(),
        user: None,
    };
    let app = house.app.clone();
    let by_hand = tokio::spawn(async move { run_to_end(&app, &mailgrant::model::audit::Actor::console(), order).await });
    while server.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let id = start(&house.app, What::Incoming).await;
    passes(&house.app).await;
    let waits = item(&house.app, &id, "m").await;
    assert_eq!((waits.state, waits.tries), (ItemState::Waiting, 0), "that is no failure of its own");
    let rests: i64 = sqlx::query_scalar("SELECT not_before FROM batch_items")
        .fetch_one(house.app.store.raw_pool())
        .await
        .unwrap();
    assert_eq!(rests, crate::support::databases::NOW.0 + 2);
    by_hand.abort();
    house.app.stopping.cancel();
}

/// How long two thousand take with eight places, as the console works. Run by hand:
/// `cargo test --test main worker::batch_faults::two_thousand -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and prints times"]
async fn two_thousand_tests_go_as_fast_as_their_places() {
    const MANY: i64 = 2000;
    let directory = TempDir::new().unwrap();
    let app = console(&directory.path().join("data"), None, Arc::new(SystemClock)).await;
    let server = Imapd::default().start(None).await;
    for number in 0..MANY {
        let input = crate::support::records::mailbox(&format!("m{number}"), Some(server.port), None, PASSWORD);
        let edit = mailgrant::actions::mailboxes::check_mailbox(&input, &app.gate).unwrap();
        let console = mailgrant::model::audit::Actor::console();
        mailgrant::actions::mailboxes::create(&app, &console, edit).await.unwrap();
    }
    mailgrant::worker::start(&app).await;
    let began = Instant::now();
    let id = start(&app, What::Incoming).await;
    while stored(&app, &id).await.is_open() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (took, batch) = (began.elapsed(), stored(&app, &id).await);
    assert_eq!(batch.passed, MANY, "{batch:?}");
    println!(
        "{MANY} tests, 8 at once, in {:.1} s: {:.0} a second; at 8 every {} ms it would be {:.1} s",
        took.as_secs_f64(),
        2000.0 / took.as_secs_f64(),
        EVERY.as_millis(),
        2000.0 / 8.0 * EVERY.as_secs_f64()
    );
    app.stopping.cancel();
}
