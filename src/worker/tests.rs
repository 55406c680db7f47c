use super::*;
use crate::clock::SystemClock;
use crate::config::{Config, Flags};
use crate::random::SystemRandom;
use crate::web::pages::health;
use axum::body::to_bytes;
use axum::extract::State;
use axum::http::StatusCode;
use std::sync::atomic::AtomicUsize;

const BRIEF: Every = Every {
    pause: Duration::from_millis(10),
    limit: Duration::from_millis(60),
};

/// A console; the directory is its data.
async fn console(dir: &tempfile::TempDir) -> App {
    let flags = Flags {
        data_dir: Some(dir.path().join("data")),
        ..Flags::default()
    };
    let config = Config::load(&flags, |_| None).unwrap();
    let app = App::open(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    instances::tick(&app).await.unwrap();
    app
}

/// The last pass of a worker, once it is one like this.
async fn pass(app: &App, name: &str, is_it: impl Fn(&Pass) -> bool) -> Pass {
    for _ in 0..1000 {
        if let Some(pass) = app.workers.passes().remove(name).filter(&is_it) {
            return pass;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{name}: {:?}", app.workers.passes());
}

#[tokio::test]
async fn a_pass_that_hangs_is_cut_off_told_and_followed_by_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let app = console(&dir).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    // The third pass and those after it do their work.
    start_one(&app, "slow", BRIEF, move |_| {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let pass = async move {
            if before < 2 {
                std::future::pending::<()>().await;
            }
            Ok::<(), String>(())
        };
        pass.boxed()
    });
    let cut = pass(&app, "slow", |pass| pass.problem.is_some()).await;
    assert!(cut.problem.unwrap().ends_with("and was cut off"));
    assert!(cut.took >= BRIEF.limit, "{:?}", cut.took);
    pass(&app, "slow", |pass| pass.problem.is_none()).await;
    assert!(begun.load(Ordering::Relaxed) >= 3);
    assert!(
        app.workers.stuck().is_empty(),
        "what was cut off is no reason to take this instance away"
    );
    app.stopping.cancel();
}

#[tokio::test]
async fn a_pass_that_fails_or_panics_is_told_and_followed_by_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let app = console(&dir).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    start_one(&app, "unlucky", BRIEF, move |_| {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let pass = async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match before % 3 {
                0 => Err("the disk is full".to_owned()),
                1 => panic!("a defect"),
                _ => Ok(()),
            }
        };
        pass.boxed()
    });
    pass(&app, "unlucky", |pass| pass.problem.as_deref() == Some("the disk is full")).await;
    pass(&app, "unlucky", |pass| {
        pass.problem.as_deref() == Some("something that must not happen did")
    })
    .await;
    pass(&app, "unlucky", |pass| pass.problem.is_none()).await;
    assert!(app.workers.shy_for().is_none(), "only who hangs leaves its duties to others");
    app.stopping.cancel();
}

/// What one does for all goes to another instance when it hangs here, and stays here where there is no other.
#[tokio::test]
async fn whoever_is_cut_off_leaves_its_duties_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let (app, other) = (console(&dir).await, console(&dir).await);
    assert!(has_duty(&app, "sweeping").await.unwrap());
    assert!(!has_duty(&other, "sweeping").await.unwrap(), "only one has it");
    instances::tick(&app).await.unwrap();
    assert_eq!(app.workers.share().1, 2);
    start_one(&app, "slow", BRIEF, |_| std::future::pending::<Result<(), String>>().boxed());
    pass(&app, "slow", |pass| pass.problem.is_some()).await;
    assert!(!has_duty(&app, "sweeping").await.unwrap(), "it leaves it alone for a while");
    assert!(has_duty(&other, "sweeping").await.unwrap());
    app.stopping.cancel();

    // Where all were cut off, somebody has to do it before the others come back.
    let freed = app.store.free_duties(other.flights.owner(&other).as_str());
    freed.await.unwrap();
    *locked(&app.workers.0.shy_since) = Some(Instant::now().checked_sub(FIRST).unwrap());
    assert!(has_duty(&app, "sweeping").await.unwrap(), "nobody else took it up");
    assert!(has_duty(&app, "sweeping").await.unwrap(), "and it keeps it");
    app.store.free_duties(app.flights.owner(&app).as_str()).await.unwrap();

    // Being cut off once more while it waits doesn't make it wait longer.
    app.workers.be_shy();
    assert!(app.workers.shy_for().unwrap() >= FIRST);

    // Alone it has to do it all the same.
    instances::leave(&other).await.unwrap();
    instances::tick(&app).await.unwrap();
    assert!(has_duty(&app, "sweeping").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_stuck_only_when_its_time_and_some_more_is_over() {
    let workers = Workers::default();
    workers.step("checks", Duration::from_secs(60));
    workers.step("cleanup", Duration::from_secs(1800));
    tokio::time::advance(Duration::from_secs(60) + GRACE).await;
    assert!(workers.stuck().is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(workers.stuck(), ["checks"]);
    // It ended after all; now its successor is late.
    workers.step("checks", Duration::from_secs(5));
    assert!(workers.stuck().is_empty());
    tokio::time::advance(Duration::from_secs(6) + GRACE).await;
    assert_eq!(workers.stuck(), ["checks"]);
}

/// A load balancer takes an instance away whose workers can't go on, and only then.
#[tokio::test]
async fn an_instance_with_a_stuck_worker_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let app = console(&dir).await;
    let ready = async || {
        let answer = health::ready(State(app.clone())).await;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        let failing: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (status, failing["failing"].clone())
    };
    app.workers.step("checks", Duration::from_secs(60));
    assert_eq!(ready().await, (StatusCode::OK, serde_json::json!([])));
    // Time passes, and nobody comes back to it. The database's own threads know nothing of a clock that stands still.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61) + GRACE).await;
    tokio::time::resume();
    assert_eq!(ready().await, (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!(["worker"])));
    app.workers.step("checks", monitor::EVERY);
    assert_eq!(ready().await.0, StatusCode::OK);
}

#[test]
fn every_worker_that_is_started_has_words_for_people() {
    let started = include_str!("mod.rs").split("start_one(").skip(1);
    let mut names: Vec<&str> = started.filter_map(|call| call.split('"').nth(1)).collect();
    names.retain(|name| name.len() < 20 && !name.contains(['{', '.']));
    assert!(names.len() >= 9, "{names:?}");
    names.extend(["mails", "webhook"]);
    assert!(names.iter().all(|name| words(name) != *name), "{names:?}");
}
