//! Ten thousand tokens due in the same second, after an outage.

use super::world::{HOUR, Rotation, Rules, World};
use mailgrant::clock::Clock;
use mailgrant::model::template::TemplateKind;
use mailgrant::worker::refresher;
use std::time::Instant;

const PROVIDERS: [&str; 4] = ["one", "two", "three", "four"];
const EACH: usize = 2500;

/// F33.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_due_at_once_are_renewed_at_a_pace_the_nearest_lapse_first() {
    let world = World::new().await;
    let began = Instant::now();
    for name in PROVIDERS {
        let rules = Rules::new(TemplateKind::Custom, Rotation::Keep, HOUR);
        let provider = world.provider(name, rules).await;
        world.tokens(&provider, EACH).await;
    }
    world.clock.advance(3 * 24 * HOUR);
    let made = began.elapsed();

    let (began, started) = (Instant::now(), world.clock.running());
    let (mut rounds, mut slowest) = (0, std::time::Duration::ZERO);
    loop {
        let more = refresher::round(&world.app).await.unwrap();
        // Somebody opens a page meanwhile, and saves something.
        if rounds % 20 == 0 {
            let asked = Instant::now();
            world
                .app
                .store
                .tokens_after(&Default::default(), "", 50, world.clock.now())
                .await
                .unwrap();
            world.app.store.begin().await.unwrap().commit().await.unwrap();
            slowest = slowest.max(asked.elapsed());
        }
        refresher::quiet(&world.app).await;
        rounds += 1;
        if !more {
            break;
        }
        world.clock.advance_millis(250);
    }
    let simulated = (world.clock.running() - started).as_secs();
    for name in PROVIDERS {
        let asked = world.asked(name);
        assert_eq!(asked.len(), EACH, "{name}: once each");
        assert!(asked.iter().all(|asked| asked.served));
        assert!(world.most_a_second(name) <= 20, "{name}: {} in a second", world.most_a_second(name));
    }
    let late = world.app.store.overdue_grants(world.clock.now()).await.unwrap();
    assert_eq!(late, 0);
    assert!(simulated < 600, "{simulated} s");
    assert!(slowest.as_millis() < 500, "a page waited {slowest:?}");
    eprintln!(
        "10,000 due at once: {simulated} s by the clock of the test, {rounds} rounds, {:?} here (and {made:?} to make them); slowest page {slowest:?}; most in a second {}",
        began.elapsed(),
        PROVIDERS.iter().map(|name| world.most_a_second(name)).max().unwrap(),
    );
}

#[tokio::test]
async fn what_lapses_first_is_renewed_first() {
    let world = World::new().await;
    let provider = world
        .provider("one", Rules::new(TemplateKind::Microsoft, Rotation::Keep, HOUR))
        .await;
    let tokens = world.tokens(&provider, 100).await;
    // Used one after the other, in an order that is neither that of names nor that of sign-ins.
    for (number, token) in tokens.iter().enumerate() {
        let mut grant = world.grant(token).await;
        let place = i64::try_from((number * 37) % 100).unwrap();
        grant.refreshed_at = Some(world.clock.now().plus(place));
        let mut tx = world.app.store.begin().await.unwrap();
        tx.replace_grant(&grant).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.pass(30 * 24 * HOUR).await;
    let order: Vec<usize> = world.asked("one").iter().map(|asked| (asked.family * 37) % 100).collect();
    assert_eq!(order.len(), 100);
    // At once go as many as may run at once; between these the order is theirs.
    let apart = order.iter().enumerate().map(|(at, place)| at.abs_diff(*place)).max().unwrap();
    assert!(apart < 8, "{order:?}");
}
