//! The authorization endpoints: pages, prompts, codes, and what comes of them.

mod person;

pub use person::Person;

use super::{BACK, GOOGLE_APP, IMAP, MICROSOFT_APP, Play, SMTP, SUPPORT, app, claims};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mailgrant::clock::{MockClock, Timestamp};
use mailgrant::sandbox::{Fault, House, TENANT};
use person::{VERIFIER, flow};
use serde_json::Value;

fn somebody(house: House) -> &'static str {
    match house {
        House::Microsoft => SUPPORT,
        House::Google => "help@fabrikam.test",
        House::Open => "post@tailspin.test",
    }
}

#[tokio::test]
async fn id_tokens_verify_with_the_published_key_in_another_implementation() {
    let play = Play::start().await;
    for house in House::ALL {
        let discovery = match house {
            House::Microsoft => format!("{}/{TENANT}/v2.0", play.sandbox.url()),
            other => play.sandbox.issuer(other),
        };
        let discovery = play.get_json(&format!("{discovery}/.well-known/openid-configuration")).await;
        assert_eq!(discovery["issuer"], play.sandbox.issuer(house), "{house:?}");
        let key = play.get_json(discovery["jwks_uri"].as_str().unwrap()).await["keys"][0].clone();
        let key = DecodingKey::from_rsa_components(key["n"].as_str().unwrap(), key["e"].as_str().unwrap()).unwrap();

        let mut person = Person::new(&play, house);
        let back = person.sign_in(somebody(house), &[]).await;
        assert_eq!(back["state"], "a state & more");
        assert_eq!(back.contains_key("iss"), house != House::Microsoft, "{back:?}");
        let answer = person.exchange(&back["code"]).await.ok();
        assert!(!answer.text("refresh_token").is_empty(), "{answer:?}");

        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[app(house).0]);
        validation.set_issuer(&[discovery["issuer"].as_str().unwrap()]);
        let verified = jsonwebtoken::decode::<Value>(answer.text("id_token"), &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(
            (&verified["nonce"], &verified["email"]),
            (&"a-nonce".into(), &somebody(house).into())
        );
        if house == House::Microsoft {
            assert!(
                jsonwebtoken::decode::<Value>(answer.text("access_token"), &key, &{
                    validation.set_audience(&["https://outlook.office.com"]);
                    validation.iss = None;
                    validation
                })
                .is_ok()
            );
            assert!(answer.text("access_token").len() > 1500, "as long as real ones");
        }
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_only_with_its_verifier_and_address() {
    let clock = MockClock::at(Timestamp(1_795_248_000));
    let play = Play::start_at(&clock).await;
    for (house, verifier, redeemed) in [
        (House::Microsoft, "AADSTS501481:", "AADSTS54005:"),
        (House::Google, "Invalid code verifier", "Bad Request"),
        (House::Open, "PKCE", "used already"),
    ] {
        let mut person = Person::new(&play, house);
        let code = person.sign_in(somebody(house), &[]).await["code"].clone();
        let form = |verifier, uri| {
            [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", uri),
                ("code_verifier", verifier),
            ]
        };
        play.token(house, &form("another", BACK)).await.refused("invalid_grant", verifier);
        let elsewhere = play.token(house, &form(VERIFIER, "http://localhost:7777/elsewhere")).await;
        elsewhere.refused("invalid_request", "redirect");
        let first = person.exchange(&code).await.ok();
        person.exchange(&code).await.refused("invalid_grant", redeemed);
        // The strict ones end what came of it: somebody has a copy.
        let refresh = play
            .token(
                house,
                &[("grant_type", "refresh_token"), ("refresh_token", first.text("refresh_token"))],
            )
            .await;
        assert_eq!(refresh.status == 200, house == House::Microsoft, "{house:?} {refresh:?}");

        let late = person.sign_in(somebody(house), &[("prompt", "select_account")]).await["code"].clone();
        clock.advance(601);
        assert_eq!(person.exchange(&late).await.text("error"), "invalid_grant");
    }
}

#[tokio::test]
async fn prompts_decide_which_pages_are_shown() {
    let play = Play::start().await;
    let mut person = Person::new(&play, House::Microsoft);
    let back = person.visit(&[("prompt", "none")]).await.back();
    assert_eq!(back["error"], "login_required");
    assert!(back["error_description"].starts_with("AADSTS50058:"), "{back:?}");

    let page = person.visit(&[("prompt", "login")]).await.page();
    assert!(page.contains("name=\"password\""), "{page}");
    let wrong = person
        .send(
            "/sandbox/login",
            &[("flow", &flow(&page)), ("account", SUPPORT), ("password", "no")],
        )
        .await
        .page();
    assert!(wrong.contains("incorrect"));
    let page = person
        .send(
            "/sandbox/login",
            &[("flow", &flow(&page)), ("account", SUPPORT), ("password", "sandbox")],
        )
        .await
        .page();
    assert!(
        page.contains("Permissions requested") && page.contains("Send mail as you by SMTP"),
        "{page}"
    );
    let back = person.visit(&[("prompt", "none")]).await.back();
    assert_eq!(back["error"], "consent_required", "signed in, not agreed: {back:?}");
    let declined = person
        .send("/sandbox/consent", &[("flow", &flow(&page)), ("decision", "deny")])
        .await
        .back();
    assert!(declined["error_description"].starts_with("AADSTS65004:"), "{declined:?}");

    person.sign_in(SUPPORT, &[("prompt", "select_account")]).await;
    // Agreed and signed in: no page any more, but where one is asked for.
    assert!(person.visit(&[]).await.back().contains_key("code"));
    assert!(person.visit(&[("prompt", "none")]).await.back().contains_key("code"));
    assert!(
        person
            .visit(&[("prompt", "consent")])
            .await
            .page()
            .contains("Permissions requested")
    );
    assert!(person.visit(&[("prompt", "select_account")]).await.page().contains("signed in"));
    let back = person.visit(&[("prompt", "create")]).await.back();
    assert_eq!(back["error"], "invalid_request");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let play = Play::start().await;
    for (house, words) in [
        (House::Microsoft, "AADSTS50011:"),
        (House::Google, "redirect_uri_mismatch"),
        (House::Open, "redirect_uri"),
    ] {
        let mut person = Person::new(&play, house);
        for uri in ["https://evil.example/", &format!("{BACK}/more"), &format!("{BACK}?x"), ""] {
            let page = person.visit(&[("redirect_uri", uri)]).await.page();
            assert!(page.contains(words), "{house:?} {uri}: {page}");
        }
    }
    // The port of this machine doesn't count where Microsoft's doesn't.
    let mut person = Person::new(&play, House::Microsoft);
    let page = person
        .visit(&[("redirect_uri", "http://localhost:1/oauth/callback/x")])
        .await
        .page();
    assert!(page.contains("Pick an account"), "{page}");
}

#[tokio::test]
async fn a_wrong_account_a_missing_refresh_token_and_admins_who_have_to_agree() {
    let play = Play::start().await;
    let faults = play.sandbox.faults();
    let mut person = Person::new(&play, House::Microsoft);
    faults.turn_on(Fault::WrongAccount);
    let back = person.sign_in(SUPPORT, &[]).await;
    let answer = person.exchange(&back["code"]).await.ok();
    assert_ne!(claims(answer.text("id_token"))["preferred_username"], SUPPORT);
    faults.set(&[Fault::NoRefreshToken, Fault::MissingScope]);
    let back = person.sign_in(SUPPORT, &[("prompt", "select_account")]).await;
    let answer = person.exchange(&back["code"]).await.ok();
    assert_eq!((answer.text("refresh_token"), answer.text("scope")), ("", IMAP));

    faults.set(&[Fault::AdminConsentNeeded]);
    let page = person.visit(&[]).await.page();
    assert!(page.contains("Need admin approval"), "{page}");
    let back = person
        .send("/sandbox/consent", &[("flow", &flow(&page)), ("decision", "blocked")])
        .await
        .back();
    assert_eq!(back["error"], "access_denied");
    assert!(back["error_description"].starts_with("AADSTS90094:"), "{back:?}");
}

#[tokio::test]
async fn an_admin_agrees_for_everybody_and_a_refusal_carries_the_flag_all_the_same() {
    let play = Play::start().await;
    let mut person = Person::new(&play, House::Microsoft);
    let scope = format!("{IMAP} {SMTP}");
    let query = [
        ("client_id", MICROSOFT_APP.0),
        ("redirect_uri", BACK),
        ("state", "s"),
        ("scope", &scope),
    ];
    let decide = |account: &'static str, decision: &'static str| {
        let mut form = query.to_vec();
        form.extend([("account", account), ("decision", decision)]);
        form
    };
    for (account, decision, code) in [("admin@contoso.test", "deny", "AADSTS65004:"), (SUPPORT, "allow", "AADSTS90094:")] {
        let back = person.send("/sandbox/adminconsent", &decide(account, decision)).await.back();
        assert_eq!((back["admin_consent"].as_str(), back["error"].as_str()), ("True", "access_denied"));
        assert!(back["error_description"].starts_with(code), "{back:?}");
    }
    let back = person
        .send("/sandbox/adminconsent", &decide("admin@contoso.test", "allow"))
        .await
        .back();
    assert_eq!(
        (back["tenant"].as_str(), back["state"].as_str(), back.get("error")),
        (TENANT, "s", None)
    );
    // Nobody is asked any more.
    let page = person.visit(&[]).await.page();
    let back = person
        .send("/sandbox/account", &[("flow", &flow(&page)), ("account", "sales@contoso.test")])
        .await;
    assert!(back.back().contains_key("code"));
}

#[tokio::test]
async fn google_lets_people_untick_a_permission() {
    let play = Play::start().await;
    let mut person = Person::new(&play, House::Google);
    let page = person.visit(&[]).await.page();
    let page = person
        .send("/sandbox/account", &[("flow", &flow(&page)), ("account", "help@fabrikam.test")])
        .await
        .page();
    assert!(page.contains("name=\"scope https:"), "{page}");
    let back = person
        .send("/sandbox/consent", &[("flow", &flow(&page)), ("decision", "allow")])
        .await
        .back();
    let answer = person.exchange(&back["code"]).await.ok();
    assert!(!answer.text("scope").contains("mail.google.com"), "{answer:?}");
    assert!(answer.text("access_token").starts_with("ya29."));
    let info = play
        .get_json(&format!(
            "{}/google/tokeninfo?access_token={}",
            play.sandbox.url(),
            answer.text("access_token")
        ))
        .await;
    assert_eq!((&info["email"], &info["aud"]), (&"help@fabrikam.test".into(), &GOOGLE_APP.0.into()));
}
