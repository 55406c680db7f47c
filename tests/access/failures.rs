//! Renewals that fail: what is transient destroys nothing, what a person must do is told once, and a broken app is one alarm.

use super::simulator::{Fault, Rotation};
use super::{House, sealed};
use mailgrant::actions::access_token::{AccessError, How, forget_previous, refresh_now};
use mailgrant::actions::place;
use mailgrant::clock::{Clock, Timestamp};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token, TokenEventKind};
use serde_json::json;

const CUSTOM: TemplateKind = TemplateKind::Custom;
const KEEPS: TemplateKind = TemplateKind::Microsoft;

fn says(status: u16, body: &str) -> Fault {
    Fault::Says(status, "x-none", "none", body.to_owned())
}

#[tokio::test]
async fn nothing_transient_costs_a_token() {
    let faults = [
        (
            "web page",
            says(200, "<html>Sign in to the guest network</html>"),
            "console-provider-html",
        ),
        ("nothing", says(200, ""), "console-provider-empty"),
        (
            "a redirect",
            Fault::Says(302, "location", "https://elsewhere.example/", String::new()),
            "console-provider-redirect",
        ),
        ("an error under 200", says(200, r#"{"error":"temporarily_unavailable"}"#), ""),
        ("an error nobody knows", says(400, r#"{"error":"INVALID_GRANT_OR_SO"}"#), ""),
        ("broken inside", says(500, r#"{"error":"server_error"}"#), ""),
        ("JSON of another kind", says(200, r#"{"ok":true}"#), "console-provider-malformed"),
        (
            "a token with a line break",
            Fault::But(json!({"access_token": "a\r\nb", "refresh_token": null})),
            "console-provider-malformed",
        ),
        (
            "an empty token",
            Fault::But(json!({"access_token": "", "refresh_token": null})),
            "console-provider-malformed",
        ),
        ("a connection that breaks", Fault::LostBefore, "console-provider-unreachable"),
    ];
    for (what, fault, id) in faults {
        let house = House::new(KEEPS, Rotation::Keep).await;
        let token = house.signed_in("support").await;
        let before = house.grant(&token).await;
        house.sim.always(Some(fault));
        house.clock.advance(3550);
        let handed = house.get(&token).await;
        assert_eq!(
            handed.unwrap().expires_in,
            50,
            "{what}: the stored one is served until it really ends"
        );
        let grant = house.grant(&token).await;
        assert_eq!((grant.state, sealed(&grant)), (GrantState::Failing, sealed(&before)), "{what}");
        assert!(grant.retry_at > Some(house.clock.now()), "{what}");
        let asked = house.sim.count();
        house.get(&token).await.unwrap();
        assert_eq!(house.sim.count(), asked, "{what}: asked again before the pause was over");

        house.clock.advance(50);
        let error = house.get(&token).await.unwrap_err();
        assert!(
            matches!(error, AccessError::Transient { retry_at: Some(_), .. }) && error.is_transient(),
            "{what}: {error:?}"
        );
        if !id.is_empty() {
            assert_eq!(error.diagnosis().id, id, "{what}");
        }
        assert_eq!(sealed(&house.grant(&token).await), sealed(&before), "{what}");
        assert_eq!(house.audited("token.refresh").await.len(), 1, "{what}: told once");

        house.sim.always(None);
        super::until("it works again", async || {
            house.clock.advance(5);
            house.get(&token).await.is_ok()
        })
        .await;
        assert_eq!(house.grant(&token).await.state, GrantState::Active, "{what}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_comes_with_a_useless_access_token_is_kept_and_the_old_one_not_used_again() {
    for members in [
        json!({"access_token": "a\r\nb"}),
        json!({"access_token": null}),
        json!({"token_type": "mac"}),
    ] {
        let house = House::new(CUSTOM, Rotation::Strict).await;
        let token = house.signed_in("support").await;
        let before = house.grant(&token).await;
        house.clock.advance(3600);
        house.sim.next([Fault::But(members.clone())]);
        let error = house.get(&token).await.unwrap_err();
        assert!(
            error.is_transient() && error.diagnosis().id == "console-provider-malformed",
            "{members}: {error:?}"
        );
        let grant = house.grant(&token).await;
        assert_eq!((grant.state, house.sim.count()), (GrantState::Failing, 1), "{members}");
        assert_eq!(
            (&grant.rt_previous, &grant.access_token),
            (&before.rt_current, &before.access_token),
            "{members}"
        );
        house.clock.advance(5);
        let handed = house.get(&token).await;
        assert_eq!(handed.unwrap().how, How::Refreshed, "{members}: it was no reuse to the provider");
    }
}

#[tokio::test]
async fn pauses_grow_to_a_quarter_of_an_hour_and_a_provider_may_ask_for_an_hour() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    house.sim.always(Some(says(400, r#"{"error":"temporarily_unavailable"}"#)));
    let mut pauses = Vec::new();
    for _ in 0..14 {
        house.get(&token).await.unwrap_err();
        let pause = house.grant(&token).await.retry_at.unwrap().since(house.clock.now());
        house.clock.advance(pause);
        pauses.push(pause);
    }
    assert_eq!(house.sim.count(), 14);
    for (n, pause) in pauses.iter().enumerate() {
        let usual = (1_i64 << n.min(10)).min(900);
        assert!((usual * 8 / 10..=(usual * 12 / 10 + 1).min(900)).contains(pause), "{pauses:?}");
    }
    for (asked, pause) in [("60", 900), ("1800", 1800), ("999999", 3600)] {
        let body = r#"{"error":"slow_down"}"#.to_owned();
        house.sim.always(Some(Fault::Says(429, "retry-after", asked, body)));
        refresh_now(&house.app, &token).await.unwrap_err();
        let waited = house.grant(&token).await.retry_at.unwrap().since(house.clock.now());
        assert!((pause * 8 / 10..=pause).contains(&waited), "asked for {asked}, waits {waited}");
        let count = house.sim.count();
        house.clock.advance(waited - 1);
        house.get(&token).await.unwrap_err();
        assert_eq!(house.sim.count(), count, "before it is over");
    }
}

#[tokio::test]
async fn a_refused_grant_asks_for_a_person_once_and_keeps_what_it_had() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        refresh_now(&house.app, &token).await.unwrap();
        let before = house.grant(&token).await;
        assert!(before.rt_previous.is_some() && !before.rt_current_proven);
        house.clock.advance(3600);
        let sent = house.sim.count();
        house.sim.always(Some(says(
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant has expired","error_codes":[50173]}"#,
        )));
        for _ in 0..3 {
            let error = house.get(&token).await.unwrap_err();
            assert!(matches!(error, AccessError::NeedsSignIn(_)), "{error:?}");
            assert_eq!(error.diagnosis().id, "entra-50173-grant-revoked", "in the provider's own words");
            assert!(!error.is_transient());
        }
        assert!(refresh_now(&house.app, &token).await.is_err());
        assert_eq!(house.sim.count(), sent + 1, "the old refresh token would look like theft");
        let after = house.grant(&token).await;
        assert_eq!((after.state, sealed(&after)), (GrantState::Revoked, sealed(&before)));
        let told = house.audited("token.refresh").await;
        assert_eq!(told.len(), 2, "one renewal, one refusal: {told:?}");
        let history = house.app.store.token_events(&token.id, 10).await.unwrap();
        assert_eq!(history[0].kind, TokenEventKind::Revoked);

        house.sim.always(None);
        house.sign_in(&token).await;
        assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
    }
}

/// A grant whose newest refresh token never worked, at a provider that lets old ones live.
async fn with_previous(house: &House) -> (Token, String, String) {
    let token = house.signed_in("support").await;
    let first = house.refresh_token(&token).await;
    refresh_now(&house.app, &token).await.unwrap();
    let second = house.refresh_token(&token).await;
    house.sim.revoke(&second);
    house.clock.advance(3600);
    (token, first, second)
}

#[tokio::test]
async fn where_old_refresh_tokens_live_the_previous_one_gets_one_try() {
    for house in House::on_each(KEEPS, Rotation::Keep).await {
        let (token, first, second) = with_previous(&house).await;
        assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
        assert_eq!(house.sim.sent()[1..], [second, first.clone()]);
        let third = house.refresh_token(&token).await;
        assert!(house.sim.is_good(&third));

        // All of them refused: two tries, and then a person.
        house.sim.revoke(&third);
        house.sim.revoke(&first);
        house.clock.advance(3600);
        let before = house.grant(&token).await;
        assert!(matches!(house.get(&token).await, Err(AccessError::NeedsSignIn(_))));
        assert!(matches!(house.get(&token).await, Err(AccessError::NeedsSignIn(_))));
        assert_eq!(house.sim.sent()[3..], [third, first]);
        assert_eq!(sealed(&house.grant(&token).await), sealed(&before));
    }
}

#[tokio::test]
async fn a_try_with_the_previous_token_that_gets_no_answer_settles_nothing() {
    let house = House::new(KEEPS, Rotation::Keep).await;
    let (token, ..) = with_previous(&house).await;
    house.sim.next([Fault::refuses("invalid_grant"), says(503, "")]);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Transient { .. }), "{error:?}");
    assert_eq!(house.grant(&token).await.state, GrantState::Failing);
    super::until("it is settled", async || {
        house.clock.advance(5);
        house.get(&token).await.is_ok()
    })
    .await;
    assert_eq!(house.grant(&token).await.state, GrantState::Active);
}

#[tokio::test]
async fn a_proven_refresh_token_leaves_no_previous_one_behind() {
    for house in House::on_each(KEEPS, Rotation::Keep).await {
        let token = house.signed_in("support").await;
        let (first, _) = house.grant(&token).await.rt_current.unwrap();
        refresh_now(&house.app, &token).await.unwrap();
        assert_eq!(house.grant(&token).await.rt_previous.unwrap().0, first);
        // The second one works: the first is gone.
        let (second, _) = house.grant(&token).await.rt_current.unwrap();
        refresh_now(&house.app, &token).await.unwrap();
        assert_eq!(house.grant(&token).await.rt_previous.unwrap().0, second);
        // A provider that answers without one, or with the same one, has rotated nothing.
        let now = house.refresh_token(&token).await;
        for members in [
            json!({"refresh_token": null}),
            json!({"refresh_token": ""}),
            json!({"refresh_token": now}),
        ] {
            house.sim.next([Fault::But(members)]);
            refresh_now(&house.app, &token).await.unwrap();
            let grant = house.grant(&token).await;
            assert_eq!((grant.rt_previous, grant.rt_current_proven), (None, true));
            assert_eq!(house.refresh_token(&token).await, now);
        }
        // And at the latest after a day.
        refresh_now(&house.app, &token).await.unwrap();
        house.clock.advance(86_400);
        forget_previous(&house.app).await.unwrap();
        assert!(house.grant(&token).await.rt_previous.is_some());
        house.clock.advance(1);
        forget_previous(&house.app).await.unwrap();
        assert_eq!(house.grant(&token).await.rt_previous, None);
    }
}

#[tokio::test]
async fn a_provider_that_never_rotates_keeps_its_one_refresh_token() {
    let house = House::new(TemplateKind::Google, Rotation::Never).await;
    let token = house.signed_in("support").await;
    let refresh_token = house.grant(&token).await.rt_current;
    for _ in 0..3 {
        refresh_now(&house.app, &token).await.unwrap();
        assert_eq!(house.grant(&token).await.rt_current, refresh_token);
    }
}

#[tokio::test]
async fn a_broken_app_is_one_alarm_however_many_tokens_hang_on_it() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let mut tokens = Vec::new();
        for n in 0..41 {
            tokens.push(house.signed_in(&format!("t{n}")).await);
        }
        house.clock.advance(3600);
        house.sim.always(Some(says(401, r#"{"error":"invalid_client"}"#)));
        for token in &tokens {
            let before = sealed(&house.grant(token).await);
            for _ in 0..2 {
                let error = house.get(token).await.unwrap_err();
                assert!(matches!(error, AccessError::AppProblem(_)), "{error:?}");
            }
            let grant = house.grant(token).await;
            assert_eq!((grant.state, sealed(&grant)), (GrantState::Failing, before));
        }
        assert_eq!(house.sim.count(), 41);
        assert_eq!(house.audited("provider.problem").await.len(), 1);
        assert!(house.audited("token.refresh").await.is_empty(), "not one for each");
        let provider = house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
        assert_eq!(provider.problem_since, Some(house.clock.now()));

        // Mended over there: the first success ends the alarm and everybody's pause.
        house.sim.always(None);
        house.clock.advance(2);
        for token in &tokens {
            assert_eq!(house.get(token).await.unwrap().how, How::Refreshed);
        }
        let provider = house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
        assert_eq!(provider.problem, None);
        assert_eq!(house.audited("provider.recovered").await.len(), 1);
    }
}

#[tokio::test]
async fn a_missing_client_secret_is_the_apps_problem_too_and_nothing_is_sent() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let tokens = [house.signed_in("one").await, house.signed_in("two").await];
    house.clock.advance(3600);
    let with_secret = async |there: bool| {
        let mut current = house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
        current.client_secret = house.provider.client_secret.clone().filter(|_| there);
        let mut tx = house.app.store.begin().await.unwrap();
        tx.update_provider(&current).await.unwrap();
        tx.commit().await.unwrap();
    };
    with_secret(false).await;
    for token in &tokens {
        for _ in 0..3 {
            let error = house.get(token).await.unwrap_err();
            assert!(matches!(error, AccessError::AppProblem(_)), "{error:?}");
            assert_eq!(error.diagnosis().id, "console-secret-missing");
        }
    }
    assert_eq!((house.sim.count(), house.audited("provider.problem").await.len()), (0, 1));
    with_secret(true).await;
    for token in &tokens {
        assert_eq!(house.get(token).await.unwrap().how, How::Refreshed);
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_stormed_by_its_tokens() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let mut tokens = Vec::new();
    for n in 0..41 {
        tokens.push(house.signed_in(&format!("t{n}")).await);
    }
    house.clock.advance(3600);
    house.sim.always(Some(says(503, "")));
    for token in &tokens {
        let error = house.get(token).await.unwrap_err();
        assert!(matches!(error, AccessError::Transient { .. }), "{error:?}");
    }
    // The first, and again because it may have done something; seconds may pass on a slow machine.
    assert!(house.sim.count() <= 8, "{} requests", house.sim.count());
    house.sim.always(None);
    super::until("it is noticed that the provider is back", async || {
        house.clock.advance(1);
        house.get(&tokens[40]).await.is_ok()
    })
    .await;
    for token in &tokens {
        house.clock.advance(5);
        assert!(house.get(token).await.is_ok());
    }
    assert!(house.sim.count() >= 41, "each its own");
}

#[tokio::test]
async fn the_history_stays_short_and_the_audit_log_whole() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        for _ in 0..35 {
            refresh_now(&house.app, &token).await.unwrap();
        }
        let history = house.app.store.token_events(&token.id, 100).await.unwrap();
        assert_eq!(history.len(), 30);
        assert_eq!(history[0].text, "Valid for 60 minutes.");
        let audited = house.audited("token.refresh").await;
        assert_eq!((audited.len(), audited[34].1.as_str()), (35, "generation 36"));
        assert_eq!(house.app.store.verify_audit().await.unwrap(), Ok(35));
    }
}

#[tokio::test]
async fn values_sealed_for_one_generation_open_in_no_other() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    let old = house.grant(&token).await;
    refresh_now(&house.app, &token).await.unwrap();
    let mut new = house.grant(&token).await;
    let ((sealed, _), (_, version)) = (old.access_token.unwrap(), new.access_token.clone().unwrap());
    let place = place::access_token(&token.id, version, &new.destination);
    assert!(house.app.vault.open(&place, &sealed).is_err());
    new.access_token = Some((sealed, version));
    new.expires_at = Some(Timestamp(house.clock.now().0 + 3600));
    house.put(&new).await;
    assert!(matches!(house.get(&token).await, Err(AccessError::Damaged(_))));
}
