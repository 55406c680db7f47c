//! Many who ask at once, in one process and in several: the provider is asked once, and nobody's going or dying does harm.

use super::simulator::{Fault, Phase, Rotation};
use super::{House, random_id, until};
use mailgrant::actions::access_token::{AccessError, How, access_token, refresh_now};
use mailgrant::actions::tokens::log_out;
use mailgrant::app::App;
use mailgrant::clock::Timestamp;
use mailgrant::model::Sealed;
use mailgrant::model::audit::Actor;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, Token};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const CUSTOM: TemplateKind = TemplateKind::Custom;
/// Far less than the sixty seconds a claim holds.
const AT_ONCE: Duration = Duration::from_secs(20);

type Asking = JoinHandle<Result<mailgrant::actions::access_token::Handed, AccessError>>;

fn ask(app: &App, token: &Token) -> Asking {
    let (app, token) = (app.clone(), token.clone());
    tokio::spawn(async move { access_token(&app, &token, None).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_in_two_processes_are_one_request() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        house.sim.delays(Duration::from_millis(200), Duration::from_millis(200));
        let other = house.another().await;
        let asking: Vec<_> = (0..50).map(|n| ask(if n % 2 == 0 { &house.app } else { &other }, &token)).collect();
        let mut given = HashSet::new();
        for asking in asking {
            let handed = asking.await.unwrap().unwrap();
            given.insert(handed.access_token.expose_secret().to_owned());
        }
        assert_eq!((house.sim.count(), given.len()), (1, 1));
        assert!(house.sim.is_good(&house.refresh_token(&token).await));
    }
}

#[tokio::test]
async fn who_leaves_does_not_cancel_the_renewal() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    house.sim.next([Fault::Slow(Duration::from_millis(300))]);
    let mut phases = house.sim.phases();
    let asking = ask(&house.app, &token);
    assert_eq!(phases.recv().await, Some(Phase::Arrived));
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    // What a stop of the program waits for.
    house.app.tasks.close();
    house.app.tasks.wait().await;
    let handed = house.get(&token).await.unwrap();
    assert_eq!((handed.how, house.sim.count()), (How::Stored, 1));
}

#[tokio::test]
async fn so_many_may_wait_and_the_rest_is_told_at_once() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    let mut phases = house.sim.phases();
    house.sim.next([Fault::Slow(Duration::from_secs(1))]);
    let asking: Vec<_> = (0..300).map(|_| ask(&house.app, &token)).collect();
    assert_eq!(phases.recv().await, Some(Phase::Arrived));
    let (mut served, mut refused) = (0, 0);
    for asking in asking {
        match asking.await.unwrap() {
            Ok(_) => served += 1,
            Err(error) => {
                assert!(matches!(error, AccessError::TooMany(_)) && error.is_transient(), "{error:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((served, refused, house.sim.count()), (256, 44, 1));
}

#[tokio::test]
async fn the_claim_of_a_dead_process_is_taken_over_at_once() {
    for house in House::on_each(CUSTOM, Rotation::Grace(Duration::from_secs(10))).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        house.abandon(&token).await;
        let handed = timeout(AT_ONCE, house.get(&token)).await.unwrap().unwrap();
        assert_eq!((handed.how, house.sim.count()), (How::Refreshed, 1));
    }
}

/// Claims as a process of another machine does, of which nothing can be known here.
async fn claim_elsewhere(house: &House, token: &Token) -> Grant {
    let (now, owner) = (house.app.clock.now(), format!("another-host/pid/boot/7/7/{}", random_id()));
    let generation = house.grant(token).await.generation;
    let claim = house
        .app
        .store
        .claim_grant(&token.id, generation, &owner, None, "theirs", now, now.plus(60));
    assert!(claim.await.unwrap());
    house.grant(token).await
}

#[tokio::test]
async fn another_machines_renewal_is_waited_for_and_used() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        let claimed = claim_elsewhere(&house, &token).await;
        let asking = ask(&house.app, &token);
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!asking.is_finished() && house.sim.count() == 0);

        // They are done: a new generation, sealed with the same keys.
        let place = mailgrant::actions::place::access_token(&token.id, 2, &claimed.destination);
        let now = house.app.clock.now();
        let theirs = Grant {
            generation: 2,
            access_token: Some((house.app.vault.seal(&place, "canary-theirs"), 2)),
            issued_at: Some(now),
            expires_at: Some(now.plus(3600)),
            lease_owner: None,
            lease_until: None,
            outcome: "ok".into(),
            ..claimed
        };
        house.put(&theirs).await;
        let handed = timeout(AT_ONCE, asking).await.unwrap().unwrap().unwrap();
        assert_eq!((handed.access_token.expose_secret(), house.sim.count()), ("canary-theirs", 0));
    }
}

#[tokio::test]
async fn another_machines_claim_ends_sometime() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    claim_elsewhere(&house, &token).await;
    let asking = ask(&house.app, &token);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!asking.is_finished() && house.sim.count() == 0);
    house.clock.advance(60);
    let handed = timeout(AT_ONCE, asking).await.unwrap().unwrap().unwrap();
    assert_eq!((handed.how, house.sim.count()), (How::Refreshed, 1));
}

#[tokio::test]
async fn an_answer_counts_though_its_claim_was_taken_over() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        let mut phases = house.sim.phases();
        house.sim.delays(Duration::ZERO, Duration::from_millis(400));
        let asking = ask(&house.app, &token);
        while phases.recv().await != Some(Phase::Rotated) {}
        // The machine slept longer than the claim holds, and another one claims the grant.
        house.clock.advance(61);
        claim_elsewhere(&house, &token).await;
        timeout(AT_ONCE, asking).await.unwrap().unwrap().unwrap();
        let refresh_token = house.refresh_token(&token).await;
        assert!(
            house.sim.is_good(&refresh_token),
            "the only refresh token that is left was thrown away"
        );
        assert_eq!(house.sim.count(), 1);
    }
}

#[tokio::test]
async fn a_sign_in_during_a_renewal_wins() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        let mut phases = house.sim.phases();
        house.sim.delays(Duration::ZERO, Duration::from_millis(300));
        let asking = ask(&house.app, &token);
        while phases.recv().await != Some(Phase::Rotated) {}
        house.sign_in(&token).await;
        let signed_in = house.grant(&token).await;
        let handed = asking.await.unwrap().unwrap();
        assert_eq!(handed.access_token.expose_secret(), "canary-first-at-support");
        assert_eq!(house.grant(&token).await, signed_in, "byte for byte");
    }
}

#[tokio::test]
async fn what_was_logged_out_during_a_renewal_stays_logged_out() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    let mut phases = house.sim.phases();
    house.sim.delays(Duration::ZERO, Duration::from_millis(300));
    let asking = ask(&house.app, &token);
    while phases.recv().await != Some(Phase::Rotated) {}
    let mut tx = house.app.store.begin().await.unwrap();
    tx.delete_grant(&token.id).await.unwrap();
    tx.commit().await.unwrap();
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, AccessError::NotAuthorized(_)), "{error:?}");
    assert_eq!(house.app.store.grant(&token.id).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_renewal_brings_after_the_sign_out_is_taken_back_as_well() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3600);
        let mut phases = house.sim.phases();
        house.sim.delays(Duration::ZERO, Duration::from_secs(1));
        let asking = ask(&house.app, &token);
        while phases.recv().await != Some(Phase::Rotated) {}
        log_out(&house.app, &Actor::console(), &token, &house.provider, false)
            .await
            .unwrap();
        asking.await.unwrap().unwrap_err();
        until("it is written down", async || house.audited("token.remove").await.len() == 2).await;
        let mut taken_back = house.sim.taken_back();
        taken_back.retain(|token| token.starts_with("canary-rt-"));
        taken_back.dedup();
        assert_eq!(taken_back.len(), 2, "the one that was on its way lives on: {taken_back:?}");
        let (target, detail) = &house.audited("token.remove").await[1];
        assert_eq!(target, "token:support");
        assert!(detail.ends_with("The provider took it back."), "{detail}");
        assert_eq!(house.app.store.grant(&token.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_sign_out_takes_back_what_was_renewed_while_it_told_the_provider() {
    for house in House::on_each(CUSTOM, Rotation::Keep).await {
        let token = house.signed_in("support").await;
        let gate = house.sim.holds_revocations();
        let leaving = tokio::spawn({
            let (app, token, provider) = (house.app.clone(), token.clone(), house.provider.clone());
            async move { log_out(&app, &Actor::console(), &token, &provider, false).await }
        });
        until("the provider is told", async || house.sim.taken_back().len() == 1).await;
        // Another token of the same family, so that the first one's end does not matter.
        let before = house.refresh_token(&token).await;
        house.sim.allow(&before);
        refresh_now(&house.app, &token).await.unwrap();
        let renewed = house.refresh_token(&token).await;
        assert_ne!(renewed, before);
        gate.add_permits(100);
        leaving.await.unwrap().unwrap();
        assert!(house.sim.taken_back().contains(&renewed), "{:?}", house.sim.taken_back());
        assert_eq!(house.app.store.grant(&token.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn renew_now_joins_a_renewal_that_is_under_way() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.sim.delays(Duration::from_millis(100), Duration::from_millis(100));
    // A double click.
    let (one, two) = tokio::join!(refresh_now(&house.app, &token), refresh_now(&house.app, &token));
    assert_eq!(one.unwrap().access_token.expose_secret(), two.unwrap().access_token.expose_secret());
    assert_eq!(house.sim.count(), 1);
    // And again, though the token is fresh: a person wants to see it work.
    assert_eq!(refresh_now(&house.app, &token).await.unwrap().how, How::Refreshed);
    assert_eq!(house.sim.count(), 2);
}

#[tokio::test]
async fn while_another_process_renews_the_stored_token_is_served() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    let other = house.another().await;
    let mut phases = house.sim.phases();
    house.sim.delays(Duration::ZERO, Duration::from_millis(500));
    let renewing = tokio::spawn({
        let token = token.clone();
        async move { refresh_now(&other, &token).await }
    });
    while phases.recv().await != Some(Phase::Rotated) {}
    let handed = house.get(&token).await.unwrap();
    assert_eq!((handed.how, renewing.is_finished()), (How::Stored, false));
    renewing.await.unwrap().unwrap();
    assert_eq!(house.sim.count(), 1);
}

#[tokio::test]
async fn a_claim_from_a_clock_that_was_ahead_blocks_nobody_for_a_day() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(86_400);
    house.abandon(&token).await;
    house.clock.advance(-86_400 + 3600);
    let handed = timeout(AT_ONCE, house.get(&token)).await.unwrap().unwrap();
    assert_eq!(handed.how, How::Refreshed);
    // A pause that lies further ahead than any pause can: the same clock.
    let mut grant = house.grant(&token).await;
    grant.state = mailgrant::model::token::GrantState::Failing;
    grant.retry_at = Some(Timestamp(house.app.clock.now().0 + 86_400));
    grant.expires_at = Some(house.app.clock.now());
    grant.last_error = None;
    house.put(&grant).await;
    until("the renewal goes on", async || house.get(&token).await.is_ok()).await;
}

#[tokio::test]
async fn the_lease_is_durable_before_the_request_and_names_this_process() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    let mut phases = house.sim.phases();
    house.sim.delays(Duration::from_millis(300), Duration::ZERO);
    let asking = ask(&house.app, &token);
    assert_eq!(phases.recv().await, Some(Phase::Arrived));
    let grant = house.grant(&token).await;
    let owner = grant.lease_owner.clone().unwrap();
    assert!(owner.contains(&format!("/{}/", std::process::id())), "{owner}");
    assert_eq!(grant.outcome, "sent");
    assert_eq!(grant.lease_until, Some(house.app.clock.now().plus(60)));
    assert!(
        matches!(&grant.rt_current, Some((Sealed(_), 1))),
        "and the refresh token is untouched"
    );
    asking.await.unwrap().unwrap();
    let grant = house.grant(&token).await;
    assert_eq!((grant.lease_owner, grant.outcome.as_str()), (None, "ok"));
}

#[tokio::test]
async fn a_stop_waits_for_the_renewal_under_way() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    let mut phases = house.sim.phases();
    house.sim.delays(Duration::ZERO, Duration::from_millis(300));
    let asking = ask(&house.app, &token);
    while phases.recv().await != Some(Phase::Rotated) {}
    // The provider has given a new token and it is on its way: whoever asked has gone, and the console stops.
    asking.abort();
    house.app.stopping.cancel();
    house.app.tasks.close();
    timeout(Duration::from_secs(20), house.app.tasks.wait()).await.unwrap();
    assert_eq!(house.grant(&token).await.generation, 2);
    assert!(house.sim.is_good(&house.refresh_token(&token).await), "the only good token is lost");
}
