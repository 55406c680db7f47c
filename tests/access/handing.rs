//! What is handed out, for how long, and what the provider is asked for it.

use super::simulator::{Fault, Rotation};
use super::{House, SECRET, sealed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::actions::access_token::{AccessError, How, access_token, refresh_now};
use mailgrant::clock::Clock;
use mailgrant::model::provider::{ClientAuth, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantState, Identity};
use mailgrant::oauth::TokenResponse;
use mailgrant::secret::AccessToken;
use serde_json::{Value, json};

const CUSTOM: TemplateKind = TemplateKind::Custom;

#[tokio::test]
async fn the_stored_token_is_handed_out_while_it_lives() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        house.clock.advance(3540);
        let handed = house.get(&token).await.unwrap();
        assert_eq!(handed.access_token.expose_secret(), "canary-first-at-support");
        assert_eq!(
            (handed.how, handed.expires_in, handed.token_type.as_str()),
            (How::Stored, 60, "Bearer")
        );
        assert_eq!(
            (handed.scopes, handed.user.as_deref()),
            (token.scopes.clone(), Some("support@contoso.test"))
        );
        assert_eq!(house.sim.count(), 0);

        house.clock.advance(1);
        let handed = house.get(&token).await.unwrap();
        assert_eq!((handed.how, handed.expires_in), (How::Refreshed, 3600));
        assert!(handed.access_token.expose_secret().starts_with("canary-at-"));
        assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
        assert_eq!(house.sim.count(), 1);
        assert_eq!(house.app.store.verify_audit().await.unwrap(), Ok(1));
    }
}

#[tokio::test]
async fn a_program_gets_as_much_life_as_it_asks_for_or_what_there_is() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    let ask = |seconds| access_token(&house.app, &token, Some(seconds));
    house.clock.advance(3000);
    assert_eq!(ask(600).await.unwrap().how, How::Stored);
    assert_eq!(ask(601).await.unwrap().how, How::Refreshed);

    // From now on the provider's tokens are shorter than what is asked for.
    house.sim.lifetime(json!(100));
    house.clock.advance(3599);
    let handed = ask(1000).await.unwrap();
    assert_eq!((handed.how, handed.expires_in), (How::Refreshed, 100), "with its real end");
    let asked = house.sim.count();
    house.clock.advance(29);
    let handed = ask(1000).await.unwrap();
    assert_eq!(
        (handed.how, handed.expires_in),
        (How::Stored, 71),
        "no second renewal within 30 seconds"
    );
    assert_eq!(house.sim.count(), asked);
    house.clock.advance(1);
    assert_eq!(ask(1000).await.unwrap().how, How::Refreshed);

    // Without a wish: a fifth of a short life.
    house.clock.advance(80);
    assert_eq!(house.get(&token).await.unwrap().expires_in, 20);
    house.clock.advance(1);
    assert_eq!(house.get(&token).await.unwrap().expires_in, 100);
    assert_eq!(ask(i64::MAX).await.unwrap().expires_in, 100);
    assert_eq!(ask(i64::MIN).await.unwrap().expires_in, 100);
}

#[tokio::test]
async fn odd_lifetimes_are_clamped_and_never_cost_the_token() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    for (told, seconds) in [
        (json!("3600"), 3600),
        (json!(3599.9), 3599),
        (json!(0), 300),
        (json!(-1), 300),
        (json!(null), 300),
        (json!("soon"), 300),
        (json!([1]), 300),
        (json!(1e300), 86_400),
        (json!(i64::MAX), 86_400),
        (json!("99999999999999999999"), 86_400),
    ] {
        house.sim.lifetime(told.clone());
        let handed = refresh_now(&house.app, &token).await.unwrap();
        assert_eq!(handed.expires_in, seconds, "{told}");
        assert_eq!(handed.expires_at, house.clock.now().plus(seconds));
        let asked = house.sim.count();
        for _ in 0..5 {
            assert_eq!(house.get(&token).await.unwrap().how, How::Stored, "{told}: no loop");
        }
        assert_eq!(house.sim.count(), asked);
    }
    let refresh_token = house.refresh_token(&token).await;
    assert!(house.sim.is_good(&refresh_token));
}

#[tokio::test]
async fn a_clock_that_jumps_a_day_costs_each_token_one_renewal_and_no_more() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let tokens = [house.signed_in("one").await, house.signed_in("two").await];
    for jump in [86_400, -86_400, -86_400, 86_400] {
        let before = house.sim.count();
        house.clock.advance(jump);
        for _ in 0..10 {
            for token in &tokens {
                let handed = house.get(token).await.unwrap();
                assert_eq!(handed.expires_in, 3600, "not longer than it can live: {jump}");
            }
        }
        assert_eq!(house.sim.count() - before, 2, "jump of {jump}");
    }
    // A little is no jump.
    let before = house.sim.count();
    house.clock.advance(-200);
    house.get(&tokens[0]).await.unwrap();
    assert_eq!(house.sim.count(), before);
}

#[tokio::test]
async fn the_request_names_the_scope_and_proves_the_client_as_its_kind_does() {
    let house = House::new(CUSTOM, Rotation::Keep).await;
    let token = house.signed_in("support").await;
    let auth = async |client_auth| {
        let mut tx = house.app.store.begin().await.unwrap();
        let current = house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
        tx.update_provider(&Provider { client_auth, ..current }).await.unwrap();
        tx.commit().await.unwrap();
        refresh_now(&house.app, &token).await.unwrap();
        house.sim.asked().pop().unwrap()
    };
    let asked = auth(ClientAuth::SecretPost).await;
    let field = |name: &str| asked.form.get(name).cloned().unwrap_or_default();
    assert_eq!(
        (field("grant_type"), field("scope")),
        ("refresh_token".into(), "mail.read mail.send".into())
    );
    assert_eq!((field("client_id"), field("client_secret")), ("the-app".into(), SECRET.into()));
    assert_eq!(asked.authorization, None);

    let asked = auth(ClientAuth::SecretBasic).await;
    assert!(!asked.body.contains(SECRET) && asked.authorization.is_some());

    // A public client must not send the secret, though one is stored.
    let asked = auth(ClientAuth::None).await;
    assert!(!asked.body.contains("secret") && asked.authorization.is_none(), "{}", asked.body);
    assert_eq!(asked.form["client_id"], "the-app");
}

#[tokio::test]
async fn after_the_providers_address_changed_nothing_is_sent_there() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.signed_in("support").await;
        let before = house.grant(&token).await;
        let move_to = async |url: &str| {
            let mut current = house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
            current.overrides.token_url = Some(url.to_owned());
            let mut tx = house.app.store.begin().await.unwrap();
            tx.update_provider(&current).await.unwrap();
            tx.commit().await.unwrap();
        };
        move_to(&format!("{}/elsewhere", house.sim.url)).await;
        for seconds in [0, 3601, 0] {
            // Not even while it lives: whoever got it would take it where the provider says.
            house.clock.advance(seconds);
            let error = house.get(&token).await.unwrap_err();
            assert!(matches!(error, AccessError::NeedsSignIn(_)), "{error:?}");
            assert_eq!(error.diagnosis().id, "console-destination-changed");
        }
        let after = house.grant(&token).await;
        assert_eq!((house.sim.count(), sealed(&after)), (0, sealed(&before)));
        assert_eq!(after.state, GrantState::Revoked);
        assert_eq!(house.audited("token.refresh").await.len(), 1, "told once");

        // It was a slip, and is taken back.
        move_to(&format!("{}/token", house.sim.url)).await;
        assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
        assert_eq!(house.grant(&token).await.state, GrantState::Active);
    }
}

#[tokio::test]
async fn a_damaged_value_stops_its_own_token_and_no_other() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let (one, two) = (house.signed_in("one").await, house.signed_in("two").await);
    // The access token of one token put in the place of another's.
    let theirs = house.grant(&two).await;
    let swapped = Grant {
        access_token: theirs.access_token.clone(),
        ..house.grant(&one).await
    };
    house.put(&swapped).await;
    for _ in 0..3 {
        let error = house.get(&one).await.unwrap_err();
        assert!(matches!(error, AccessError::Damaged(_)), "{error:?}");
        assert_eq!(error.diagnosis().id, "console-damaged");
        assert!(!error.is_transient());
    }
    let told = house.audited("token.refresh").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == "token:one" && told[0].1.starts_with("console-damaged"));
    assert_eq!(sealed(&house.grant(&one).await), sealed(&swapped), "nothing is overwritten");
    assert_eq!(house.get(&two).await.unwrap().how, How::Stored);
    assert_eq!(house.sim.count(), 0);
}

#[tokio::test]
async fn a_damaged_refresh_token_is_not_sent_and_what_is_left_is_served() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    let mut grant = house.grant(&token).await;
    grant.rt_current.as_mut().unwrap().1 += 1;
    house.put(&grant).await;
    house.clock.advance(3590);
    assert_eq!(house.get(&token).await.unwrap().expires_in, 10, "the access token itself is whole");
    house.clock.advance(10);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Damaged(_)), "{error:?}");
    assert_eq!((house.sim.count(), sealed(&house.grant(&token).await)), (0, sealed(&grant)));
    // A new sign-in puts it right.
    house.sign_in(&token).await;
    assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
}

#[tokio::test]
async fn without_a_sign_in_or_without_a_refresh_token_a_person_is_asked_for() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.token("nobody").await;
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::NotAuthorized(_)), "{error:?}");
    let error = refresh_now(&house.app, &token).await.unwrap_err();
    assert!(matches!(error, AccessError::NotAuthorized(_)), "{error:?}");

    let token = house.token("short").await;
    let response = TokenResponse {
        access_token: AccessToken::new("canary"),
        token_type: "Bearer".into(),
        expires_in: 3600,
        refresh_token: None,
        scopes: None,
        id_token: None,
        date: None,
    };
    house.store(&token, &response).await;
    assert_eq!(house.grant(&token).await.granted_scopes, token.scopes, "left out means: as asked");
    let error = refresh_now(&house.app, &token).await.unwrap_err();
    assert_eq!(error.diagnosis().id, "console-no-refresh-token");
    assert_eq!(
        house.grant(&token).await.state,
        GrantState::Active,
        "it works until it runs out, and pages say so"
    );
    house.clock.advance(3599);
    assert_eq!(house.get(&token).await.unwrap().expires_in, 1);
    house.clock.advance(1);
    assert!(matches!(house.get(&token).await, Err(AccessError::NeedsSignIn(_))));
    assert_eq!(house.sim.count(), 0);
}

fn id_token(house: &House, sub: &str, account: &str) -> Value {
    let claims = json!({
        "iss": house.sim.url, "aud": "the-app", "sub": sub, "preferred_username": account, "email": account, "email_verified": true,
        "exp": house.clock.now().0 + 600,
    });
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode("{}".into()), encode(claims.to_string()), "c2ln").into()
}

#[tokio::test]
async fn a_grant_brought_along_works_at_once_and_names_its_account_when_it_can() {
    for house in House::on_each(CUSTOM, Rotation::Strict).await {
        let token = house.imported("support").await;
        let told = id_token(&house, "s1", "Support@contoso.test");
        house.sim.next([Fault::But(json!({"id_token": told, "scope": "mail.read openid"}))]);
        let handed = house.get(&token).await.unwrap();
        assert_eq!(
            (handed.how, handed.scopes),
            (How::Refreshed, vec!["mail.read".into(), "openid".into()])
        );
        let grant = house.grant(&token).await;
        assert_eq!((grant.identity.sub.as_str(), grant.state), ("s1", GrantState::Active));

        // Of one that says nothing, nothing is known; it works all the same.
        let quiet = house.imported("quiet").await;
        house.get(&quiet).await.unwrap();
        let grant = house.grant(&quiet).await;
        assert_eq!(grant.identity, Identity::default());
        assert_eq!(grant.granted_scopes, quiet.scopes, "left out means: as asked");
    }
}

#[tokio::test]
async fn another_accounts_token_is_never_handed_out() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let brought = house.imported("support").await;
    let changed = house.signed_in("sales").await;
    house.clock.advance(3600);
    for (token, told) in [
        (&brought, id_token(&house, "s2", "boss@contoso.test")),
        (&changed, id_token(&house, "somebody-else", "sales@contoso.test")),
    ] {
        house.sim.next([Fault::But(json!({ "id_token": told }))]);
        let error = house.get(token).await.unwrap_err();
        assert_eq!(error.diagnosis().id, "console-different-account");
        let grant = house.grant(token).await;
        assert_eq!((grant.state, &grant.access_token), (GrantState::Revoked, &None));
        assert!(
            house.sim.is_good(&house.refresh_token(token).await),
            "and yet nothing that was rotated is lost"
        );
        let asked = house.sim.count();
        assert!(matches!(house.get(token).await, Err(AccessError::NeedsSignIn(_))));
        assert_eq!(house.sim.count(), asked);
    }
}
