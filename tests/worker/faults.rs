//! The refresher when things go wrong: providers that are down, slow, throttled or refuse the app; a disk that takes nothing; a clock that
//! is set. Numbers are those of the fault matrix.

use super::world::{DAY, HOUR, Rotation, Rules, Trouble, World};
use mailgrant::clock::{Clock, Timestamp};
use mailgrant::model::report::Diagnosis;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantState, Token};
use mailgrant::worker::refresher;
use std::time::Duration;

const CUSTOM: TemplateKind = TemplateKind::Custom;

fn hourly() -> Rules {
    Rules::new(CUSTOM, Rotation::Grace(10), HOUR)
}

/// A world with two providers, `one` and `two`, and so many tokens at each.
async fn two_providers(count: usize) -> (World, Vec<Token>, Vec<Token>) {
    let world = World::new().await;
    let (one, two) = (world.provider("one", hourly()).await, world.provider("two", hourly()).await);
    let tokens = (world.tokens(&one, count).await, world.tokens(&two, count).await);
    (world, tokens.0, tokens.1)
}

async fn generations(world: &World, tokens: &[Token]) -> Vec<i64> {
    let mut all = Vec::new();
    for token in tokens {
        all.push(world.grant(token).await.generation);
    }
    all
}

fn reason(grant: &Grant) -> String {
    let told = grant.last_error.as_deref().unwrap_or("{}");
    serde_json::from_str::<Diagnosis>(told).map_or(String::new(), |found| found.id)
}

#[tokio::test]
async fn tokens_are_renewed_before_they_run_out_and_not_all_in_the_same_minute() {
    let (world, one, _) = two_providers(40).await;
    assert_eq!(world.pass(2690).await, 1);
    assert_eq!(world.asked("one").len(), 0, "nothing is due before three quarters of the life");
    let mut minutes = Vec::new();
    for _ in 0..7 {
        let before = world.asked("one").len();
        world.pass(60).await;
        minutes.push(world.asked("one").len() - before);
    }
    assert_eq!(minutes.iter().sum::<usize>(), 40, "{minutes:?}");
    assert!(minutes.iter().all(|count| *count < 20), "spread: {minutes:?}");
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
    world.rounds().await;
    assert_eq!(world.asked("one").len(), 40, "and once each");
}

/// F1, and what comes after it.
#[tokio::test]
async fn a_provider_that_is_down_hears_little_and_all_is_well_a_minute_after_its_return() {
    let (world, one, two) = two_providers(40).await;
    world.trouble("one", Some(Trouble::Down));
    world.clock.advance(HOUR);
    // An hour, looked at every second for a minute, then every ten.
    for second in 0..60 + 354 {
        refresher::round(&world.app).await.unwrap();
        refresher::quiet(&world.app).await;
        world.clock.advance(if second < 60 { 1 } else { 10 });
    }
    assert!(
        generations(&world, &two).await.iter().all(|generation| *generation >= 2),
        "the other one goes on"
    );
    let asked = world.asked("one").len();
    assert!((60..200).contains(&asked), "{asked} in an hour");
    assert!(world.most_a_second("one") <= 8, "what had begun before it was known");
    let mut failing = 0;
    for token in &one {
        let grant = world.grant(token).await;
        assert!(grant.state != GrantState::Revoked && grant.generation == 1);
        failing += usize::from(grant.state == GrantState::Failing);
    }
    assert!(failing > 0);
    assert_eq!(world.audited("provider.problem").await, [], "no alarm about the app");

    world.trouble("one", None);
    for _ in 0..60 {
        world.pass(1).await;
    }
    assert!(
        generations(&world, &one).await.iter().all(|generation| *generation == 2),
        "{:?}",
        generations(&world, &one).await
    );
}

/// F2.
#[tokio::test]
async fn a_provider_that_hangs_delays_nobody_else() {
    let (world, one, two) = two_providers(30).await;
    world.trouble("one", Some(Trouble::Hangs));
    world.clock.advance(HOUR);
    let began = std::time::Instant::now();
    let second_done = async || generations(&world, &two).await.iter().all(|generation| *generation == 2);
    while !second_done().await {
        assert!(
            began.elapsed() < Duration::from_millis(5900),
            "all of the other one's, before the first one that hangs is given up"
        );
        refresher::round(&world.app).await.unwrap();
        world.clock.advance_millis(250);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.asked("one").len(), 8, "so many at once and no more");
    refresher::quiet(&world.app).await;
    world.trouble("one", None);
    for _ in 0..60 {
        world.pass(1).await;
    }
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
}

/// F10.
#[tokio::test]
async fn a_provider_that_asks_for_peace_gets_it_and_others_go_on() {
    let (world, one, two) = two_providers(30).await;
    world.trouble("one", Some(Trouble::Throttles(1200)));
    world.clock.advance(HOUR);
    for _ in 0..110 {
        world.pass(10).await;
    }
    let asked = world.asked("one").len();
    assert!((1..=8).contains(&asked), "{asked} of 30, before the first answer was read");
    assert!(generations(&world, &two).await.iter().all(|generation| *generation >= 2));
    let waiting = world.grant(&one[0]).await;
    let until = waiting.retry_at.unwrap_or(Timestamp(i64::MAX));
    assert!(
        waiting.state == GrantState::Active || until > world.clock.now(),
        "the page can say when"
    );
    world.trouble("one", None);
    for _ in 0..30 {
        world.pass(10).await;
    }
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
}

/// F11, F12.
#[tokio::test]
async fn a_refused_sign_in_is_told_once_and_not_asked_about_again() {
    let (world, one, _) = two_providers(3).await;
    world.change_password("one", 1);
    world.pass(HOUR).await;
    let grant = world.grant(&one[1]).await;
    assert_eq!((grant.state, grant.due_at()), (GrantState::Revoked, None));
    assert!(grant.rt_current.is_some(), "kept until somebody signs in");
    let asked = |world: &World| world.asked("one").iter().filter(|asked| asked.family == 1).count();
    let before = asked(&world);
    world.pass(DAY).await;
    assert_eq!((before, asked(&world)), (1, 1));
    let refused = world.audited("token.refresh").await;
    assert_eq!(refused.iter().filter(|(_, outcome)| outcome != "ok").count(), 1);
    assert_eq!(generations(&world, &one).await[0], 3, "the others go on");
}

/// F13, F35.
#[tokio::test]
async fn a_secret_that_ended_is_one_alarm_and_a_new_one_mends_all_at_once() {
    let (world, one, two) = two_providers(60).await;
    world.takes("one", "another");
    world.clock.advance(HOUR);
    for _ in 0..30 {
        world.pass(60).await;
    }
    let asked = world.asked("one").len();
    assert!(asked <= 8 + 30, "{asked}: one a minute once it is known");
    assert_eq!(
        world.audited("provider.problem").await,
        [("provider:one".to_owned(), "failed".to_owned())]
    );
    assert!(generations(&world, &two).await.iter().all(|generation| *generation >= 2));
    for token in &one {
        assert_ne!(world.grant(token).await.state, GrantState::Revoked, "nobody has to sign in");
    }
    world.new_secret("one", "another", None).await;
    for _ in 0..15 {
        world.pass(1).await;
    }
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
    let problem = world.app.store.provider(&one[0].provider).await.unwrap().unwrap().problem;
    assert_eq!(problem, None);
}

/// F13: mended where the app is registered, and nobody says so here.
#[tokio::test]
async fn an_app_that_is_let_in_again_is_noticed_within_a_minute() {
    let (world, one, _) = two_providers(20).await;
    world.takes("one", "another");
    world.clock.advance(HOUR);
    for _ in 0..30 {
        world.pass(60).await;
    }
    world.takes("one", "one");
    for _ in 0..70 {
        world.pass(1).await;
    }
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
    assert_eq!(world.audited("provider.recovered").await.len(), 1);
}

/// F16, DUR-9.
#[tokio::test]
async fn a_clock_that_is_set_by_a_day_costs_nothing() {
    for by in [DAY, -DAY, 40 * DAY, -40 * DAY] {
        let (world, one, _) = two_providers(30).await;
        world.pass(600).await;
        world.clock.set_by(by);
        world.rounds().await;
        assert_eq!(world.asked("one").len(), 0, "{by}: no storm");
        for token in &one {
            let grant = world.grant(token).await;
            let (now, end) = (world.clock.now(), grant.expires_at.unwrap());
            assert!((2990..=3000).contains(&end.since(now)), "{by}: neither dead nor for ever");
        }
        // Half an hour later nothing is due, and then everything in its time.
        world.pass(1800).await;
        assert_eq!(world.asked("one").len(), 0, "{by}");
        for _ in 0..12 {
            world.pass(60).await;
        }
        assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2), "{by}");
        world.pass(60).await;
        assert_eq!(world.asked("one").len(), 30, "{by}: once each");
    }
}

/// F16: set back while the console was off, so that nobody saw it happen.
#[tokio::test]
async fn a_clock_that_was_set_back_while_the_console_was_off_lets_nothing_die() {
    let (world, one, _) = two_providers(10).await;
    world.clock.set_by(-DAY);
    let rounds = world.rounds().await;
    assert!(
        generations(&world, &one).await.iter().all(|generation| *generation == 2),
        "in {rounds} rounds"
    );
    assert!(world.most_a_second("one") <= 20);
}

/// F17, F18, DUR-4.
#[tokio::test]
async fn while_the_disk_takes_nothing_nothing_is_sent_and_then_it_goes_on() {
    let (world, one, _) = two_providers(20).await;
    let execute = async |sql: &'static str| sqlx::query(sql).execute(world.app.store.raw_pool()).await.unwrap();
    execute("CREATE TRIGGER full BEFORE UPDATE ON grants BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END").await;
    world.clock.advance(HOUR);
    let mut told = 0;
    for _ in 0..20 {
        told += usize::from(refresher::round(&world.app).await.is_err());
        refresher::quiet(&world.app).await;
        world.clock.advance(10);
    }
    assert_eq!(world.asked("one").len() + world.asked("two").len(), 0);
    assert!(told > 5, "the health page can say so");
    execute("DROP TRIGGER full").await;
    let _ = refresher::round(&world.app).await;
    for _ in 0..10 {
        world.pass(10).await;
    }
    assert!(generations(&world, &one).await.iter().all(|generation| *generation == 2));
}

/// F15: the answer is lost after the provider has rotated.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_while_the_provider_forgives() {
    let (world, one, _) = two_providers(4).await;
    world.loses("one", 2);
    world.clock.advance(HOUR);
    for _ in 0..20 {
        world.pass(1).await;
    }
    for (family, token) in one.iter().enumerate() {
        assert_eq!(world.grant(token).await.state, GrantState::Active);
        assert_eq!(world.ended("one", family), None);
    }
}

/// F6: neither an hour too late nor in a circle.
#[tokio::test]
async fn tokens_that_hardly_live_are_not_renewed_in_a_circle() {
    let world = World::new().await;
    let short = Rules::new(CUSTOM, Rotation::Keep, 20);
    let provider = world.provider("short", short).await;
    world.tokens(&provider, 1).await;
    for _ in 0..300 {
        world.pass(1).await;
    }
    let asked = world.asked("short").len();
    assert!((8..=10).contains(&asked), "{asked} in five minutes");
}

#[tokio::test]
async fn what_fails_says_when_it_is_tried_again_and_is() {
    let (world, one, _) = two_providers(1).await;
    world.trouble("one", Some(Trouble::Down));
    world.clock.advance(HOUR);
    for _ in 0..200 {
        refresher::round(&world.app).await.unwrap();
        refresher::quiet(&world.app).await;
        world.clock.advance(10);
    }
    let grant = world.grant(&one[0]).await;
    let until = grant.retry_at.unwrap().since(world.clock.now());
    assert!(grant.failures >= 8 && until <= 900, "{} failures, {until} s", grant.failures);
    assert!(!reason(&grant).is_empty());
    world.trouble("one", None);
    world.pass(until + 31).await;
    assert_eq!(world.grant(&one[0]).await.state, GrantState::Active);
}
