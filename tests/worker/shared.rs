//! Several instances on one database: the work is divided, no call is doubled, and who is gone is replaced.

use super::world::{HOUR, Rotation, Rules, World};
use mailgrant::clock::Clock;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantState;
use mailgrant::store::instances::Instance;
use mailgrant::worker::{instances, refresher};
use std::collections::HashMap;

fn rules() -> Rules {
    // Whoever uses a refresh token twice loses the sign-in.
    Rules::new(TemplateKind::Custom, Rotation::Grace(0), HOUR)
}

/// F29, MULTI-1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_divide_what_is_due_and_double_no_call() {
    for world in World::on_each().await {
        let provider = world.provider("one", rules()).await;
        let tokens = world.tokens(&provider, 60).await;
        let other = world.another().await;
        for app in [&world.app, &other, &world.app] {
            instances::tick(app).await.unwrap();
        }
        let shares = [world.app.workers.share(), other.workers.share()];
        assert!(shares.contains(&(0, 2)) && shares.contains(&(1, 2)), "{shares:?}");
        // The clock has to agree with the database's, or the two leave the work to each other.
        world.clock.advance(60);
        world.all_due().await;
        for _ in 0..60 {
            let (one, two) = tokio::join!(refresher::round(&world.app), refresher::round(&other));
            one.and(two).unwrap();
            tokio::join!(refresher::quiet(&world.app), refresher::quiet(&other));
            world.clock.advance_millis(250);
        }
        let mut asked: HashMap<usize, usize> = HashMap::new();
        for one in world.asked("one") {
            *asked.entry(one.family).or_default() += 1;
        }
        assert_eq!(asked.len(), 60);
        assert!(asked.values().all(|count| *count == 1), "{asked:?}");
        assert!(world.most_a_second("one") <= 20, "together no faster than one");
        for (family, token) in tokens.iter().enumerate() {
            let grant = world.grant(token).await;
            assert_eq!((grant.state, grant.generation), (GrantState::Active, 2));
            assert_eq!(world.ended("one", family), None);
        }
    }
}

/// However they collide: without a word to each other about who takes what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_want_the_same_at_once_are_one_request() {
    for world in World::on_each().await {
        let provider = world.provider("one", rules()).await;
        let tokens = world.tokens(&provider, 24).await;
        let other = world.another().await;
        world.clock.advance(HOUR);
        for _ in 0..20 {
            let (one, two) = tokio::join!(refresher::round(&world.app), refresher::round(&other));
            one.and(two).unwrap();
            tokio::join!(refresher::quiet(&world.app), refresher::quiet(&other));
            world.clock.advance_millis(250);
        }
        assert_eq!(world.asked("one").len(), tokens.len());
    }
}

/// F30, MULTI-3: what an instance on another machine had begun when it died, of which nothing is left here to look at.
#[tokio::test]
async fn what_an_instance_elsewhere_had_begun_goes_on_within_half_a_minute() {
    for world in World::on_each().await {
        let provider = world.provider("one", rules()).await;
        let tokens = world.tokens(&provider, 2).await;
        let gone = Instance {
            id: "other-host/ns/boot/1/1/ab".into(),
            host: "other-host".into(),
            version: "1".into(),
            started_at: world.clock.now(),
            seen_at: world.clock.now(),
            beat: 0,
        };
        let store = &world.app.store;
        store.beat(&gone).await.unwrap();
        world.clock.advance(HOUR);
        let now = world.clock.now();
        assert!(
            store
                .claim_grant(&tokens[0].id, 1, &gone.id, None, "attempt", now, now.plus(60))
                .await
                .unwrap()
        );
        for _ in 0..4 {
            world.pass(5).await;
        }
        assert_eq!(world.asked("one").len(), 1, "the other one alone: somebody may still be at it");
        // It has kept still for twenty seconds.
        assert!(store.remove_instance(&gone.id, 1).await.unwrap());
        world.pass(5).await;
        world.pass(1).await;
        assert_eq!(world.asked("one").len(), 2);
        assert!(world.clock.now().since(now) <= 30);
        assert_eq!(world.grant(&tokens[0]).await.generation, 2);
    }
}

#[tokio::test]
async fn what_another_instance_should_have_done_is_done_after_a_minute() {
    let world = World::new().await;
    let provider = world.provider("one", rules()).await;
    world.tokens(&provider, 20).await;
    let idle = world.another().await;
    for app in [&world.app, &idle, &world.app] {
        instances::tick(app).await.unwrap();
    }
    world.clock.advance(HOUR);
    world.pass(1).await;
    // All have been due for longer than that: those of the other one come after the own ones.
    for _ in 0..20 {
        world.pass(5).await;
    }
    assert_eq!(world.asked("one").len(), 20);
}
