//! How many runs at once, how often, and how many are kept.

use super::super::House;
use super::{order, silent, until};
use crate::probe::imap_server::{Imapd, PASSWORD};
use mailgrant::actions::probe::{self, Options, Order, ProbeError};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::SideState;
use mailgrant::model::report::Direction;
use mailgrant::model::settings::PARALLEL;
use mailgrant::model::{RunId, UserId};
use mailgrant::store::reports::{Run, RunFilter};
use std::time::Duration;

#[tokio::test]
async fn only_so_many_run_at_once_for_one_server_and_the_setting_counts() {
    let house = House::new().await;
    let mut tx = house.app.store.begin().await.unwrap();
    tx.put_setting(PARALLEL.key, "2").await.unwrap();
    tx.commit().await.unwrap();
    let server = silent("* OK ready").await;
    let mut runs = Vec::new();
    for n in 0..5 {
        let mailbox = house.mailbox(&format!("m{n}"), Some(&server), None, PASSWORD).await;
        runs.push(
            probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
                .await
                .unwrap(),
        );
    }
    until("two run", || server.open() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.connections(), 2);
    assert!(house.app.probes.live(&runs[4]).unwrap().progress.borrow().waiting);
    probe::stop(&house.app, &runs[0]);
    until("the next follows", || server.connections() == 3).await;
    // One that still waits can be stopped as well.
    let waiting = house.app.probes.live(&runs[4]).unwrap();
    probe::stop(&house.app, &runs[4]);
    assert_eq!(waiting.end().await.unwrap().run.outcome, "stopped");
    house.app.stopping.cancel();
    house.app.tasks.close();
    house.app.tasks.wait().await;
    assert_eq!(house.app.probes.count(), 0, "a stopping process leaves no test behind");
    for run in &runs {
        let outcome = house.app.store.run(run).await.unwrap().unwrap().outcome;
        assert_eq!(outcome, "stopped");
    }
}

/// Unsaved settings go wherever somebody types: four of them at once for the whole console, whoever asks.
#[tokio::test]
async fn only_four_unsaved_settings_are_tested_at_once() {
    let house = House::new().await;
    let server = silent("* OK ready").await;
    for n in 0..6 {
        let mailbox = house.mailbox(&format!("m{n}"), Some(&server), None, PASSWORD).await;
        let unsaved = Order {
            draft: true,
            ..order(&mailbox, Direction::Incoming)
        };
        probe::start(&house.app, &Actor::console(), unsaved).await.unwrap();
    }
    until("four run", || server.open() == 4).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.connections(), 4);
    house.app.stopping.cancel();
    house.app.tasks.close();
    house.app.tasks.wait().await;
}

#[tokio::test]
async fn a_side_is_tested_once_at_a_time_and_by_nobody_more_than_thirty_times_a_minute() {
    let house = House::new().await;
    let (server, quick) = (silent("* OK ready").await, Imapd::default().start(None).await);
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let asked = order(&mailbox, Direction::Incoming);
    let run = probe::start(&house.app, &Actor::console(), asked.clone()).await.unwrap();
    let live = house.app.probes.live(&run).unwrap();
    let second = probe::start(&house.app, &Actor::console(), asked.clone()).await;
    assert!(matches!(&second, Err(ProbeError::UnderWay(other)) if *other == run), "{second:?}");
    probe::stop(&house.app, &run);
    live.end().await.unwrap();
    let third = probe::start(&house.app, &Actor::console(), asked).await.unwrap();
    probe::stop(&house.app, &third);

    let mailbox = house.mailbox("hr", Some(&quick), None, PASSWORD).await;
    let by = |user: &str| Order {
        user: Some(UserId(user.into())),
        options: Options {
            login_only: true,
            ..Options::default()
        },
        ..order(&mailbox, Direction::Incoming)
    };
    for _ in 0..30 {
        house.run(by("olli")).await;
    }
    let refused = probe::start(&house.app, &Actor::console(), by("olli")).await;
    assert!(matches!(refused, Err(ProbeError::TestsTooOften(60))), "{refused:?}");
    probe::start(&house.app, &Actor::console(), by("olli")).await.unwrap_err();
    assert_eq!(
        house.refusals().await,
        ["incoming: too many tests; try again in 60 seconds"],
        "once a minute"
    );
    assert_eq!(quick.connections(), 30);
    house.run(by("maija")).await;
}

#[tokio::test]
async fn runs_do_not_pile_up_and_what_a_mailbox_shows_stays() {
    let house = House::new().await;
    let server = Imapd::default().start(None).await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = house.run(order(&mailbox, Direction::Incoming)).await.run.clone();
    let ago = |seconds: i64| run.started_at.plus(-seconds);
    let like = |id: &str, started_at, outcome: &str| Run {
        id: RunId(id.into()),
        started_at,
        outcome: outcome.into(),
        ..run.clone()
    };
    let days = 86_400;
    let mut tx = house.app.store.begin().await.unwrap();
    for n in 0..230 {
        tx.insert_run(&like(&format!("n{n:03}"), ago(1 + n), "passed")).await.unwrap();
    }
    for old in ["old1", "old2", "shown"] {
        tx.insert_run(&like(old, ago(91 * days), "failed")).await.unwrap();
    }
    tx.insert_run(&like("goes-on", ago(91 * days), "running")).await.unwrap();
    let shown = SideState {
        run: Some(RunId("shown".into())),
        ..SideState::default()
    };
    tx.record_side(&mailbox.id, mailbox.changed_at, Direction::Outgoing, shown, ago(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let there = async |id: &str| house.app.store.run(&RunId(id.into())).await.unwrap().is_some();
    house.run(order(&mailbox, Direction::Incoming)).await;
    assert!(!there("old1").await && !there("old2").await, "the oldest go first");
    assert!(there("n211").await && !there("n212").await, "a few at a time");
    for _ in 0..3 {
        house.run(order(&mailbox, Direction::Incoming)).await;
    }
    assert!(there("shown").await && there("goes-on").await);
    let all = RunFilter {
        mailbox: Some(mailbox.id.clone()),
        limit: 1000,
        ..RunFilter::default()
    };
    assert_eq!(house.app.store.runs(&all).await.unwrap().len(), 202);
    assert!(there("n194").await && !there("n195").await, "the newest two hundred stay");
}

#[tokio::test]
async fn what_a_dead_process_left_running_ends_at_the_next_start() {
    let house = House::new().await;
    let server = silent("* OK ready").await;
    let mailbox = house.mailbox("support", Some(&server), None, PASSWORD).await;
    let run = probe::start(&house.app, &Actor::console(), order(&mailbox, Direction::Incoming))
        .await
        .unwrap();
    until("connected", || server.open() == 1).await;
    let row = house.app.store.run(&run).await.unwrap().unwrap();
    assert_eq!(row.outcome, "running");
    // The clock stands still here, so one more second has to pass for the run to be of before.
    let dead = Run {
        id: RunId("dead".into()),
        started_at: row.started_at.plus(-1),
        ..row
    };
    let mut tx = house.app.store.begin().await.unwrap();
    tx.insert_run(&dead).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(probe::recover(&house.app).await.unwrap(), 1);
    assert_eq!(house.app.store.run(&dead.id).await.unwrap().unwrap().outcome, "stopped");
}
