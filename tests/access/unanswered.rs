//! Requests whose answer never came: the provider may have rotated, so it is asked again at once, with the same refresh token.

use super::simulator::{Fault, Rotation};
use super::{House, sealed};
use mailgrant::actions::access_token::{AccessError, How, refresh_now, settle_unanswered};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantState;
use std::time::Duration;
use tokio::time::timeout;

const CUSTOM: TemplateKind = TemplateKind::Custom;
const GRACE: Rotation = Rotation::Grace(Duration::from_secs(10));

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_within_the_grace() {
    for house in House::on_each(CUSTOM, GRACE).await {
        for fault in [Fault::LostAfter, Fault::LostBefore, Fault::Hangs] {
            let token = house.signed_in(&format!("t{}", house.sim.count())).await;
            let first = house.refresh_token(&token).await;
            house.clock.advance(3600);
            let asked = house.sim.count();
            house.sim.next([fault.clone()]);
            assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed, "{fault:?}");
            assert_eq!(
                house.sim.sent()[asked..],
                [first.clone(), first],
                "{fault:?}: once more, with the same"
            );
            assert!(house.sim.is_good(&house.refresh_token(&token).await));
        }
    }
}

#[tokio::test]
async fn two_lost_answers_leave_the_token_for_the_next_who_asks() {
    let house = House::new(CUSTOM, GRACE).await;
    let token = house.signed_in("support").await;
    let before = house.grant(&token).await;
    house.clock.advance(3600);
    house.sim.next([Fault::LostAfter, Fault::LostBefore]);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Transient { .. }), "{error:?}");
    let grant = house.grant(&token).await;
    assert_eq!((grant.state, grant.outcome.as_str()), (GrantState::Failing, "unknown"));
    assert_eq!(sealed(&grant), sealed(&before));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    house.clock.advance(1);
    assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
}

#[tokio::test]
async fn where_nothing_is_forgiven_the_loss_is_told_in_the_same_breath() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    house.sim.next([Fault::LostAfter]);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::NeedsSignIn(_)), "{error:?}");
    assert_eq!(house.grant(&token).await.state, GrantState::Revoked);
    assert_eq!(house.audited("token.refresh").await.len(), 1);
}

#[tokio::test]
async fn a_start_asks_first_for_what_the_last_run_left_open() {
    for house in House::on_each(CUSTOM, GRACE).await {
        let (left, well) = (house.signed_in("left").await, house.signed_in("well").await);
        house.abandon(&left).await;
        let app = house.another().await;
        settle_unanswered(&app).await.unwrap();
        assert_eq!(house.sim.count(), 1, "the one that was left open, and no other");
        let grant = house.grant(&left).await;
        assert_eq!((grant.generation, grant.outcome.as_str()), (2, "ok"));
        assert_eq!(house.grant(&well).await.generation, 1);
        assert!(!house.data().join("leases/dead0123").exists(), "its file is swept away");
        settle_unanswered(&app).await.unwrap();
        assert_eq!(house.sim.count(), 1);
    }
}

#[tokio::test]
async fn a_start_does_not_wait_for_a_provider_that_hangs() {
    let house = House::new(CUSTOM, GRACE).await;
    for name in ["one", "two", "three"] {
        let token = house.signed_in(name).await;
        house.abandon(&token).await;
        // Each of the dead had a name of its own; here one file stands for all.
    }
    house.sim.always(Some(Fault::Slow(Duration::from_secs(30))));
    timeout(Duration::from_secs(20), settle_unanswered(&house.app))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn who_wants_the_stored_token_settles_what_was_left_open_too() {
    let house = House::new(CUSTOM, GRACE).await;
    let token = house.signed_in("support").await;
    house.abandon(&token).await;
    // The stored one would do. But the refresh token may be used up, and its grace runs.
    let handed = house.get(&token).await.unwrap();
    assert_eq!((handed.how, house.sim.count()), (How::Refreshed, 1));
    assert!(house.sim.is_good(&house.refresh_token(&token).await));

    // If the provider hangs, the stored one is given all the same.
    house.abandon(&token).await;
    house.sim.next([Fault::Hangs, Fault::Hangs]);
    assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
    house.app.tasks.close();
    house.app.tasks.wait().await;
    assert_eq!(house.grant(&token).await.outcome, "unknown");
}

#[tokio::test]
async fn a_renewal_that_nobody_could_write_down_is_tried_again() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    // The answer is a refusal, and the database takes nothing any more.
    let block =
        "CREATE TRIGGER full BEFORE UPDATE ON grants WHEN NEW.outcome <> 'sent' BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    sqlx::query(block).execute(house.app.store.raw_pool()).await.unwrap();
    house.sim.next([Fault::refuses("temporarily_unavailable")]);
    assert!(house.get(&token).await.is_err());
    assert_eq!(house.grant(&token).await.outcome, "sent");
    sqlx::query("DROP TRIGGER full").execute(house.app.store.raw_pool()).await.unwrap();
    let renewed = timeout(Duration::from_secs(20), refresh_now(&house.app, &token));
    assert_eq!(renewed.await.unwrap().unwrap().how, How::Refreshed, "its own claim holds nobody up");
}
