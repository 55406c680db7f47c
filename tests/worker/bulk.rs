//! Acts on many mailboxes: what a stop cuts off, in doing it or in undoing it, somebody goes on with, each mailbox once, in the name of
//! whoever asked for it.

use super::checks::{House, add};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::support::consoles::Pair;
use crate::support::databases::NOW;
use mailgrant::actions::mailboxes;
use mailgrant::actions::mailboxes::bulk::{Act, STEP, begin, begin_undo, go_on, step};
use mailgrant::app::App;
use mailgrant::model::UserId;
use mailgrant::model::audit::Actor;
use mailgrant::model::user::{Role, Theme, User};
use mailgrant::store::batches::Chosen;
use mailgrant::store::bulk::BulkAct;
use mailgrant::worker::{bulk, instances};
use std::time::{Duration, Instant};

const MANY: i64 = 60;

fn maija() -> Actor {
    Actor {
        id: "user:maija@contoso.test".into(),
        name: "Maija".into(),
        ..Actor::console()
    }
}

async fn count(app: &App, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(app.store.raw_pool()).await.unwrap()
}

const TAGGED: &str = "SELECT COUNT(*) FROM mailbox_tags WHERE tag = 'nordic'";
const TOLD: &str = "SELECT COUNT(*) FROM audit WHERE action = 'mailbox.update' AND actor = 'user:maija@contoso.test'";
const TARGETS: &str = "SELECT COUNT(DISTINCT target) FROM audit WHERE action = 'mailbox.update'";

async fn tag_all(app: &App) -> String {
    let user = UserId("u".into());
    begin(app, &maija(), &user, Act::AddTag, "nordic", &Chosen::default())
        .await
        .unwrap()
}

/// Looks of the worker until an act is through.
async fn through(app: &App, id: &str) -> BulkAct {
    for _ in 0..1000 {
        bulk::tick(app).await.unwrap();
        let act = app.store.bulk_act(id).await.unwrap().unwrap();
        if !act.is_open() {
            return act;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never ends: {:?}", app.store.bulk_act(id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_console_had_begun_another_goes_on_with_and_each_mailbox_once() {
    for Pair {
        first, second, clock, url, ..
    } in &Pair::on_each().await
    {
        let server = Imapd::default().start(None).await;
        for number in 0..MANY {
            add(first, &format!("m{number:02}"), ("127.0.0.1", &server), PASSWORD).await;
        }
        let id = tag_all(first).await;
        assert!(step(first, &id).await.unwrap());
        // It lives: nobody else touches it.
        for _ in 0..10 {
            bulk::tick(second).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(count(first, TAGGED).await, STEP, "{url:?}");
        // Killed between two pieces, and found a minute later.
        clock.advance(60);
        instances::leave(first).await.unwrap();
        let act = through(second, &id).await;
        assert_eq!((act.mailboxes, act.changed), (MANY, MANY));
        assert_eq!(count(second, TAGGED).await, MANY);
        assert_eq!((count(second, TOLD).await, count(second, TARGETS).await), (MANY, MANY), "each once");

        // And so with undoing it.
        assert!(
            !begin_undo(second, &maija(), &id, MANY - 1).await.unwrap(),
            "of another number than was seen"
        );
        assert!(begin_undo(second, &maija(), &id, MANY).await.unwrap());
        assert!(!begin_undo(second, &maija(), &id, MANY).await.unwrap(), "twice");
        assert!(step(second, &id).await.unwrap());
        assert_eq!(count(second, TAGGED).await, MANY - STEP);
        instances::leave(second).await.unwrap();
        instances::tick(first).await.unwrap();
        let act = through(first, &id).await;
        assert_eq!((act.undone, act.kept, act.undone_at.is_some()), (MANY, 0, true));
        assert_eq!((count(first, TAGGED).await, count(first, TOLD).await), (0, 2 * MANY));
    }
}

/// A console that is stopped ends between two pieces, and takes its own work up when its worker looks.
#[tokio::test]
async fn what_this_console_could_not_end_it_goes_on_with_by_itself() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..MANY {
        house.mailbox(&format!("m{number:02}"), &server, PASSWORD).await;
    }
    let id = tag_all(&house.app).await;
    // Something is in the way of the second piece.
    let planted = "CREATE TRIGGER planted BEFORE INSERT ON mailbox_tags WHEN (SELECT COUNT(*) FROM mailbox_tags) >= 25 BEGIN SELECT RAISE(ABORT, 'planted'); END";
    sqlx::query(planted).execute(house.app.store.raw_pool()).await.unwrap();
    go_on(&house.app, &id).await.unwrap_err();
    assert_eq!(count(&house.app, TAGGED).await, STEP, "a piece is whole or not there");
    sqlx::query("DROP TRIGGER planted")
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    assert_eq!(through(&house.app, &id).await.changed, MANY);
}

#[tokio::test]
async fn one_that_cant_be_read_is_left_out_and_a_pause_of_somebody_else_is_not_lost() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mut all = Vec::new();
    for number in 0..4 {
        all.push(house.mailbox(&format!("m{number}"), &server, PASSWORD).await);
    }
    let broken = "UPDATE mailboxes SET incoming_security = 'nonsense' WHERE name = 'm0'";
    sqlx::query(broken).execute(house.app.store.raw_pool()).await.unwrap();
    let user = UserId("u".into());
    let id = begin(&house.app, &maija(), &user, Act::Pause, "", &Chosen::default())
        .await
        .unwrap();
    go_on(&house.app, &id).await.unwrap();
    let act = house.app.store.bulk_act(&id).await.unwrap().unwrap();
    assert_eq!((act.changed, act.unread, act.is_open()), (3, 1, false));
    // Turned on again, and paused for a reason.
    house.clock.advance(60);
    mailboxes::turn_on(&house.app, &Actor::console(), &all[2].name).await.unwrap();
    mailboxes::pause(&house.app, &Actor::console(), &all[2].name, "holiday")
        .await
        .unwrap();
    assert!(begin_undo(&house.app, &maija(), &id, 3).await.unwrap());
    go_on(&house.app, &id).await.unwrap();
    let act = house.app.store.bulk_act(&id).await.unwrap().unwrap();
    assert_eq!((act.undone, act.kept), (2, 1));
    assert_eq!(house.stored(&all[2]).await.paused.unwrap().reason, "holiday");
    assert!(house.stored(&all[1]).await.enabled);
}

/// Nobody's rights outlive them.
#[tokio::test]
async fn what_is_left_of_an_act_is_left_alone_once_its_asker_may_not_do_it_any_more() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..MANY {
        house.mailbox(&format!("m{number:02}"), &server, PASSWORD).await;
    }
    let user = User {
        id: UserId("u".into()),
        email: "maija@contoso.test".into(),
        name: "Maija".into(),
        role: Role::Admin,
        password_hash: String::new(),
        disabled: false,
        theme: Theme::System,
        time_zone: String::new(),
        created_at: NOW,
        last_seen_at: None,
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_user(&user).await.unwrap();
    tx.commit().await.unwrap();
    let id = begin(&house.app, &maija(), &user.id, Act::AddTag, "nordic", &Chosen::default())
        .await
        .unwrap();
    assert!(step(&house.app, &id).await.unwrap());
    sqlx::query("UPDATE users SET role = 'operator'")
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
    let act = through(&house.app, &id).await;
    assert_eq!((act.changed, count(&house.app, TAGGED).await), (STEP, STEP));
    assert_eq!(count(&house.app, "SELECT COUNT(*) FROM bulk_left").await, 0);
}

/// How long ten thousand hold the writer. Run by hand: `cargo test --test main worker::bulk::ten_thousand -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and prints times"]
async fn ten_thousand_mailboxes_let_others_write_between() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    for number in 0..10_000 {
        house.mailbox(&format!("m{number}"), &server, PASSWORD).await;
    }
    let began = Instant::now();
    let id = tag_all(&house.app).await;
    println!("10,000 chosen in {:?}", began.elapsed());
    let (app, name) = (house.app.clone(), id.clone());
    let began = Instant::now();
    let working = tokio::spawn(async move { go_on(&app, &name).await });
    let (mut longest, mut times) = (Duration::ZERO, 0);
    while !working.is_finished() {
        let asked = Instant::now();
        house.app.store.begin().await.unwrap().commit().await.unwrap();
        (longest, times) = (longest.max(asked.elapsed()), times + 1);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    working.await.unwrap().unwrap();
    println!(
        "done in {:?}; {times} others wrote meanwhile, and waited {longest:?} at most",
        began.elapsed()
    );
    assert_eq!(count(&house.app, TAGGED).await, 10_000);
}
