//! Who signed in, and whether it is who should have.

use super::server::{Server, answer};
use super::{NOW, client, http, provider};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::model::provider::{Endpoints, Provider};
use mailgrant::model::template::{CONSUMERS_TENANT, TemplateKind};
use mailgrant::model::token::Identity;
use mailgrant::oauth::authorization::exchange;
use mailgrant::oauth::identity::{is_personal, matches, same_person, who};
use mailgrant::oauth::{IdentityError, Match, SignedIn};
use mailgrant::secret::Nonce;
use serde_json::{Value, json};

const TENANT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";

fn jwt(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", part("{\"alg\":\"RS256\"}"), part(&claims.to_string()))
}

/// Claims of a sound ID token of `issuer`, with some replaced, or removed by `null`.
fn claims(issuer: &str, changes: Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "subject-1", "aud": "mailgrant-app", "exp": NOW.0 + 3600, "iat": NOW.0, "nonce": "the-nonce",
        "preferred_username": "support@contoso.com"
    });
    let map = claims.as_object_mut().unwrap();
    map.extend(changes.as_object().unwrap().clone());
    map.retain(|_, value| !value.is_null());
    claims
}

/// Exchanges a code at a server that hands out this ID token and says this under userinfo, and asks who it was.
async fn sign_in(id_token: Option<String>, userinfo: Option<Value>, set_up: impl Fn(&mut Provider)) -> Result<SignedIn, IdentityError> {
    let server = Server::start(move |asked| match (asked.path.as_str(), &userinfo) {
        ("/userinfo", Some(told)) => {
            assert_eq!(asked.header("authorization"), Some("Bearer the-access-token"));
            answer(200, "application/json", told.to_string())
        }
        ("/userinfo", None) => answer(401, "text/plain", ""),
        _ => {
            let document = json!({"access_token": "the-access-token", "token_type": "Bearer", "id_token": id_token});
            let mut response = answer(200, "application/json", document.to_string());
            response
                .headers_mut()
                .insert("date", "Sat, 21 Nov 2026 08:14:02 GMT".parse().unwrap());
            response
        }
    })
    .await;
    let mut provider = provider(&server.url);
    provider.overrides.issuer = Some("https://login.example".into());
    set_up(&mut provider);
    let client = client(&provider);
    let tokens = exchange(&http(), &client, &Nonce::new("code"), None, "https://console.example/cb")
        .await
        .unwrap();
    who(&http(), &client, &tokens, Some(&Nonce::new("the-nonce")), NOW).await
}

async fn with_claims(changes: Value) -> Result<SignedIn, IdentityError> {
    sign_in(Some(jwt(&claims("https://login.example", changes))), None, |_| {}).await
}

#[tokio::test]
async fn an_id_token_counts_only_if_it_is_for_this_sign_in() {
    let good = with_claims(json!({"email": "support@contoso.com", "name": "Support"}))
        .await
        .unwrap();
    assert_eq!(
        (good.identity.sub.as_str(), good.identity.account()),
        ("subject-1", "support@contoso.com")
    );
    assert!(with_claims(json!({"aud": ["mailgrant-app"], "azp": "mailgrant-app"})).await.is_ok());
    assert!(
        with_claims(json!({"exp": NOW.0 - 60})).await.is_ok(),
        "a minute of skew is no reason to refuse"
    );
    for (changes, error) in [
        (json!({"nonce": "another"}), IdentityError::Nonce),
        (json!({"nonce": null}), IdentityError::Nonce),
        (json!({"aud": "another-app"}), IdentityError::Audience),
        (json!({"aud": []}), IdentityError::Audience),
        (json!({"aud": null}), IdentityError::Audience),
        (
            json!({"aud": ["mailgrant-app", "another-app"], "azp": "mailgrant-app"}),
            IdentityError::Audience,
        ),
        (json!({"azp": "another-app"}), IdentityError::Audience),
        (json!({"exp": NOW.0 - 3600}), IdentityError::Expired),
        (json!({"exp": null}), IdentityError::Expired),
        (json!({"exp": "soon"}), IdentityError::Expired),
        (json!({"iss": "https://evil.example"}), IdentityError::Issuer),
        (json!({"iss": null}), IdentityError::Issuer),
        (json!({"sub": ""}), IdentityError::Unreadable("it has no subject")),
    ] {
        assert_eq!(with_claims(changes.clone()).await, Err(error), "{changes}");
    }
}

#[tokio::test]
async fn a_clock_that_is_a_day_ahead_does_not_stop_everybody_from_signing_in() {
    let token = jwt(&claims("https://login.example", json!({})));
    let server = Server::start(move |_| {
        let document = json!({"access_token": "a", "id_token": token});
        let mut response = answer(200, "application/json", document.to_string());
        response
            .headers_mut()
            .insert("date", "Sat, 21 Nov 2026 08:14:02 GMT".parse().unwrap());
        response
    })
    .await;
    let mut provider = provider(&server.url);
    provider.overrides.issuer = Some("https://login.example".into());
    let client = client(&provider);
    let tokens = exchange(&http(), &client, &Nonce::new("code"), None, "https://console.example/cb")
        .await
        .unwrap();
    assert!(who(&http(), &client, &tokens, None, NOW.plus(86_400)).await.is_ok());
}

#[tokio::test]
async fn what_is_no_id_token_is_not_read_as_one() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(50), "]".repeat(50));
    for token in [
        "x".to_owned(),
        "a.b".to_owned(),
        "a.b.c.d.e".to_owned(),
        "a.!!.c".to_owned(),
        format!("a.{}.c", URL_SAFE_NO_PAD.encode("[]")),
        format!("a.{}.c", URL_SAFE_NO_PAD.encode(deep)),
        format!("a.{}.c", URL_SAFE_NO_PAD.encode("{\"sub\":")),
    ] {
        let answer = sign_in(
            Some(token.clone()),
            Some(json!({"sub": "s", "email": "support@contoso.com"})),
            |_| {},
        )
        .await;
        assert!(matches!(answer, Err(IdentityError::Unreadable(_))), "{token}: {answer:?}");
    }
}

#[tokio::test]
async fn userinfo_fills_in_and_may_not_speak_of_somebody_else() {
    let nameless = || jwt(&claims("https://login.example", json!({"preferred_username": null})));
    let told = json!({"sub": "subject-1", "email": "support@contoso.com", "email_verified": true});
    let found = sign_in(Some(nameless()), Some(told.clone()), |_| {}).await.unwrap();
    assert_eq!(
        (found.identity.iss.as_str(), found.identity.account()),
        ("https://login.example", "support@contoso.com")
    );
    let found = sign_in(None, Some(told.clone()), |_| {}).await.unwrap();
    assert_eq!(found.identity.sub, "subject-1");
    let other = json!({"sub": "subject-2", "email": "support@contoso.com"});
    assert_eq!(sign_in(Some(nameless()), Some(other), |_| {}).await, Err(IdentityError::Subject));
    for told in [json!({"sub": "subject-1"}), json!({"email": "support@contoso.com"})] {
        assert_eq!(sign_in(None, Some(told), |_| {}).await, Err(IdentityError::NotTold));
    }
    let nobody = sign_in(None, Some(told), |p| p.overrides.userinfo_url = None).await;
    assert_eq!(nobody, Err(IdentityError::NotTold), "nobody named, nobody accepted");
    assert!(matches!(sign_in(None, None, |_| {}).await, Err(IdentityError::Userinfo(_))));
}

/// Signs in at a Microsoft provider of this tenant.
async fn at_microsoft(tenant: &str, issuer_tenant: &str, changes: Value) -> Result<(SignedIn, Provider), IdentityError> {
    let issuer = format!("https://login.microsoftonline.com/{issuer_tenant}/v2.0");
    let mut with_tenant = json!({"tid": issuer_tenant, "oid": "object-1"});
    with_tenant.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let token = jwt(&claims(&issuer, with_tenant));
    let set_up = |provider: &mut Provider| {
        provider.template = TemplateKind::Microsoft;
        provider.tenant = Some(tenant.to_owned());
        provider.overrides = Endpoints {
            token_url: provider.overrides.token_url.clone(),
            ..Endpoints::default()
        };
    };
    let found = sign_in(Some(token), None, set_up).await?;
    let mut provider = provider("https://login.microsoftonline.com");
    set_up(&mut provider);
    Ok((found, provider))
}

async fn compared(tenant: &str, issuer_tenant: &str, changes: Value) -> Match {
    let (found, provider) = at_microsoft(tenant, issuer_tenant, changes).await.unwrap();
    matches("Support@Contoso.com", &found, &provider)
}

#[tokio::test]
async fn the_account_is_compared_to_the_letter_but_for_case() {
    let (found, provider) = at_microsoft(TENANT, TENANT, json!({"preferred_username": "SUPPORT@contoso.com"}))
        .await
        .unwrap();
    assert_eq!(matches("support@contoso.com", &found, &provider), Match::Same);
    assert_eq!(matches("support@contoso.co", &found, &provider), Match::DifferentAccount);
    assert_eq!(matches("", &found, &provider), Match::DifferentAccount);
    let upn = json!({"preferred_username": "alias@contoso.com", "upn": "support@contoso.com"});
    assert_eq!(compared(TENANT, TENANT, upn).await, Match::Same);
}

#[tokio::test]
async fn another_tenant_is_told_apart_from_another_account() {
    let other = "99992222-bbbb-3333-cccc-4444dddd5555";
    assert_eq!(at_microsoft(TENANT, other, json!({})).await.unwrap_err(), IdentityError::Issuer);
    assert_eq!(compared("organizations", other, json!({})).await, Match::Same);
    assert_eq!(compared("organizations", CONSUMERS_TENANT, json!({})).await, Match::DifferentTenant);
    assert_eq!(compared("common", CONSUMERS_TENANT, json!({})).await, Match::Same);
    assert_eq!(compared("consumers", CONSUMERS_TENANT, json!({})).await, Match::Same);
    let (found, _) = at_microsoft("common", CONSUMERS_TENANT, json!({})).await.unwrap();
    assert!(is_personal(&found.identity));
    // The issuer of one tenant and the claim of another don't go together.
    let mixed = at_microsoft("organizations", TENANT, json!({"tid": other})).await;
    assert_eq!(mixed.unwrap_err(), IdentityError::Issuer);
}

#[tokio::test]
async fn an_address_nobody_vouches_for_proves_nothing() {
    let claimed = json!({"preferred_username": "mallory@evil.example", "email": "support@contoso.com"});
    for anybodys in ["common", "organizations"] {
        assert_eq!(
            compared(anybodys, TENANT, claimed.clone()).await,
            Match::DifferentAccount,
            "{anybodys}"
        );
    }
    assert_eq!(
        compared(TENANT, TENANT, claimed).await,
        Match::Same,
        "the own directory decides over its addresses"
    );
    let alone = json!({"preferred_username": null, "email": "support@contoso.com"});
    assert_eq!(compared("common", TENANT, alone).await, Match::NotTold);

    let custom = provider("https://login.example");
    for (verified, answer) in [
        (json!(false), Match::NotTold),
        (json!("false"), Match::NotTold),
        (json!(true), Match::Same),
    ] {
        let changes = json!({"email": "support@contoso.com", "email_verified": verified});
        let found = with_claims(changes).await.unwrap();
        assert_eq!(matches("support@contoso.com", &found, &custom), answer, "{verified}");
    }
    // A user name is what its owner calls himself: it doesn't make somebody else's account the expected one.
    for (changes, answer) in [
        (
            json!({"email": "mallory@evil.example", "email_verified": true}),
            Match::DifferentAccount,
        ),
        (json!({"email": "mallory@evil.example"}), Match::DifferentAccount),
        (json!({"email": "mallory@evil.example", "email_verified": false}), Match::NotTold),
        (
            json!({"email": "support@contoso.com", "preferred_username": "helpdesk"}),
            Match::Same,
        ),
        (json!({}), Match::Same),
    ] {
        let found = with_claims(changes.clone()).await.unwrap();
        assert_eq!(matches("support@contoso.com", &found, &custom), answer, "{changes}");
    }
}

#[test]
fn a_renamed_person_is_known_by_what_cannot_change() {
    let known = Identity {
        iss: "https://login.example".into(),
        sub: "subject-1".into(),
        username: Some("support@contoso.com".into()),
        ..Identity::default()
    };
    let renamed = Identity {
        username: Some("helpdesk@contoso.com".into()),
        ..known.clone()
    };
    assert!(same_person("support@contoso.com", &known, &renamed));
    assert!(
        !same_person("sales@contoso.com", &known, &renamed),
        "the token expects somebody else by now"
    );
    for other in [
        Identity {
            sub: "subject-2".into(),
            ..renamed.clone()
        },
        Identity {
            iss: "https://evil.example".into(),
            ..renamed.clone()
        },
        Identity {
            sub: String::new(),
            ..renamed
        },
    ] {
        assert!(!same_person("support@contoso.com", &known, &other));
    }
}
