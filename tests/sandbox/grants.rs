//! The token endpoint: every grant, every way to prove an app, and the words of refusals.

mod people;

use super::{Answer, IMAP, MICROSOFT_APP, OPEN_APP, Play, SMTP, SUPPORT, app, claims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mailgrant::clock::{Clock, MockClock, SystemClock, Timestamp};
use mailgrant::sandbox::{AppCertificate, AppSecret, Fault, House, TENANT};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const JWT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DEFAULT: &str = "https://outlook.office365.com/.default";

/// A certificate of an app, made with another library than the one that checks it.
struct Certificate {
    key: EncodingKey,
    registered: AppCertificate,
}

fn certificate() -> Certificate {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let made = CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
    Certificate {
        key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
        registered: AppCertificate::from_der(made.der()).unwrap(),
    }
}

fn assertion(
    certificate: &Certificate,
    algorithm: Algorithm,
    change: impl Fn(&mut Header, &mut Value),
    audience: &str,
    id: &str,
) -> String {
    let now = SystemClock.now().0;
    let mut header = Header::new(algorithm);
    match algorithm {
        Algorithm::PS256 => header.x5t_s256 = Some(certificate.registered.sha256.clone()),
        _ => header.x5t = Some(certificate.registered.sha1.clone()),
    }
    let mut claims = json!({"aud": audience, "iss": id, "sub": id, "jti": format!("{now}-{:?}", std::time::Instant::now()), "nbf": now - 30, "exp": now + 300});
    change(&mut header, &mut claims);
    jsonwebtoken::encode(&header, &claims, &certificate.key).unwrap()
}

async fn with_assertion(play: &Play, house: House, assertion: &str, scope: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app(house).0),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion),
        ("scope", scope),
    ];
    play.post(&play.token_url(house), &form).await
}

#[tokio::test]
async fn assertions_by_another_implementation_are_taken_and_each_mistake_is_told_apart() {
    let play = Play::start().await;
    let (good, stranger) = (certificate(), certificate());
    for (id, _) in [MICROSOFT_APP, OPEN_APP] {
        let mut client = play.sandbox.client(id).unwrap();
        client.certificates.push(good.registered.clone());
        play.sandbox.set_client(client);
    }
    let url = play.token_url(House::Microsoft);
    let id = MICROSOFT_APP.0;
    for algorithm in [Algorithm::PS256, Algorithm::RS256] {
        let text = assertion(&good, algorithm, |_, _| {}, &url, id);
        let answer = with_assertion(&play, House::Microsoft, &text, DEFAULT).await.ok();
        let claims = claims(answer.text("access_token"));
        assert_eq!((&claims["appidacr"], &claims["idtyp"]), (&"2".into(), &"app".into()));
        assert_eq!(claims["roles"], json!(["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]));
        assert!(claims.get("upn").is_none() && answer.text("refresh_token").is_empty());

        let refused = async |text: String, words: &str| {
            with_assertion(&play, House::Microsoft, &text, DEFAULT)
                .await
                .refused("invalid_client", words);
        };
        let make = |change: &dyn Fn(&mut Header, &mut Value)| assertion(&good, algorithm, change, &url, id);
        refused(
            make(&|h, _| (h.x5t, h.x5t_s256) = (Some("AAAA".into()), None)),
            "AADSTS700027: Client assertion contains an invalid signature. [Reason - The key was not found.",
        )
        .await;
        refused(
            make(&|_, c| c["aud"] = "https://login.microsoftonline.com/x".into()),
            "AADSTS700023:",
        )
        .await;
        refused(make(&|_, c| c["exp"] = (SystemClock.now().0 - 3600).into()), "AADSTS700024:").await;
        refused(make(&|_, c| c["nbf"] = (SystemClock.now().0 + 3600).into()), "AADSTS700024:").await;
        refused(make(&|_, c| c["sub"] = "somebody".into()), "AADSTS700021:").await;
        let forged = Certificate {
            key: stranger.key.clone(),
            registered: good.registered.clone(),
        };
        refused(assertion(&forged, algorithm, |_, _| {}, &url, id), "verify the signature failed").await;
    }
    // Another house: by issuer or endpoint, and each assertion once.
    let text = assertion(&good, Algorithm::RS256, |_, _| {}, &play.sandbox.issuer(House::Open), OPEN_APP.0);
    with_assertion(&play, House::Open, &text, "mail").await.ok();
    with_assertion(&play, House::Open, &text, "mail")
        .await
        .refused("invalid_client", "used already");

    let mut client = play.sandbox.client(id).unwrap();
    client.certificates[0].ends = Timestamp(1);
    play.sandbox.set_client(client);
    let text = assertion(&good, Algorithm::PS256, |_, _| {}, &url, id);
    with_assertion(&play, House::Microsoft, &text, DEFAULT)
        .await
        .refused("invalid_client", "is expired on application");
}

#[tokio::test]
async fn secrets_in_the_form_or_the_header_wrong_expired_and_missing_ones() {
    let play = Play::start().await;
    let grant = [("grant_type", "client_credentials"), ("scope", DEFAULT)];
    play.token(House::Microsoft, &grant).await.ok();
    let (id, secret) = MICROSOFT_APP;
    let basic = |secret: &str| {
        play.http
            .post(play.token_url(House::Microsoft))
            .basic_auth(id, Some(secret))
            .form(&grant)
    };
    assert_eq!(basic(secret).send().await.unwrap().status(), 200);
    assert_eq!(basic("wrong").send().await.unwrap().status(), 401);
    let wrong = async |house, more: &[(&str, &str)]| {
        let mut form = vec![
            ("client_id", app(house).0),
            ("grant_type", "client_credentials"),
            ("scope", DEFAULT),
        ];
        form.extend_from_slice(more);
        play.post(&play.token_url(house), &form).await
    };
    let answer = wrong(House::Microsoft, &[("client_secret", "wrong")]).await;
    answer.refused("invalid_client", "AADSTS7000215: Invalid client secret provided.");
    assert_eq!(answer.document["error_codes"], json!([7_000_215]));
    assert_eq!(answer.text("trace_id").len(), 36);
    wrong(House::Microsoft, &[]).await.refused("invalid_client", "AADSTS7000216:");
    wrong(House::Google, &[("client_secret", "wrong")])
        .await
        .refused("invalid_client", "The provided client secret is invalid.");
    wrong(House::Open, &[("client_secret", "wrong")])
        .await
        .refused("invalid_client", "Client authentication failed");

    // Two live at once; the expired one is named as that.
    let mut client = play.sandbox.client(id).unwrap();
    client.secrets[0].ends = Some(Timestamp(1));
    client.secrets.push(AppSecret {
        value: "the-new-one".to_owned(),
        ends: None,
    });
    play.sandbox.set_client(client);
    play.token(House::Microsoft, &grant)
        .await
        .refused("invalid_client", "AADSTS7000222:");
    wrong(House::Microsoft, &[("client_secret", "the-new-one")]).await.ok();
    let unknown = [
        ("client_id", "nobody"),
        ("grant_type", "client_credentials"),
        ("client_secret", "x"),
    ];
    play.post(&play.token_url(House::Microsoft), &unknown)
        .await
        .refused("unauthorized_client", "AADSTS700016:");
    let elsewhere = format!("{}/fabrikam.example/oauth2/v2.0/token", play.sandbox.url());
    play.post(&elsewhere, &unknown).await.refused("invalid_request", "AADSTS90002:");
}

#[tokio::test]
async fn refresh_tokens_are_replaced_kept_or_good_once_as_each_house_does() {
    let play = Play::start().await;
    let refresh = async |house, token: &str, more: &[(&str, &str)]| {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        form.extend_from_slice(more);
        play.token(house, &form).await
    };
    let first = play.sandbox.sign_in(
        MICROSOFT_APP.0,
        SUPPORT,
        &["openid", "offline_access", IMAP, SMTP, "https://graph.microsoft.com/Mail.Read"],
    );
    let answer = refresh(House::Microsoft, &first, &[]).await.ok();
    assert_eq!(answer.text("scope"), format!("{IMAP} {SMTP}"));
    assert_ne!(answer.text("refresh_token"), first);
    // The old one lives on, and serves another resource too.
    let graph = refresh(House::Microsoft, &first, &[("scope", "https://graph.microsoft.com/Mail.Read")])
        .await
        .ok();
    assert_eq!(claims(graph.text("access_token"))["aud"], "https://graph.microsoft.com");
    let both = format!("{IMAP} https://graph.microsoft.com/Mail.Read");
    refresh(House::Microsoft, &first, &[("scope", &both)])
        .await
        .refused("invalid_scope", "AADSTS28000:");
    refresh(House::Microsoft, &first, &[("scope", "https://graph.microsoft.com/Mail.Send")])
        .await
        .refused("invalid_grant", "AADSTS65001:");
    let commas = format!("{IMAP},{SMTP}");
    refresh(House::Microsoft, &first, &[("scope", &commas)])
        .await
        .refused("invalid_scope", "AADSTS70011:");

    let google = play
        .sandbox
        .sign_in(super::GOOGLE_APP.0, "help@fabrikam.test", &["https://mail.google.com/"]);
    let answer = refresh(House::Google, &google, &[]).await.ok();
    assert_eq!(answer.text("refresh_token"), "");
    refresh(House::Google, &google, &[]).await.ok();
    let revoke = format!("{}/google/revoke", play.sandbox.url());
    play.post(&revoke, &[("token", &google)]).await.ok();
    play.post(&revoke, &[("token", &google)]).await.refused("invalid_token", "revoked");
    refresh(House::Google, &google, &[])
        .await
        .refused("invalid_grant", "Token has been expired or revoked.");

    let open = play.sandbox.sign_in(OPEN_APP.0, "post@tailspin.test", &["offline_access", "mail"]);
    let second = refresh(House::Open, &open, &[]).await.ok();
    let third = refresh(House::Open, second.text("refresh_token"), &[]).await.ok();
    // Whoever shows an old one ends all: it may be stolen.
    refresh(House::Open, &open, &[])
        .await
        .refused("invalid_grant", "grant request is invalid");
    refresh(House::Open, third.text("refresh_token"), &[])
        .await
        .refused("invalid_grant", "");
}

#[tokio::test]
async fn scopes_of_apps_and_the_faults_of_the_token_endpoint_in_each_wording() {
    let play = Play::start().await;
    let ask = async |scope: &str| {
        play.token(House::Microsoft, &[("grant_type", "client_credentials"), ("scope", scope)])
            .await
    };
    ask("https://graph.microsoft.com/Mail.Read")
        .await
        .refused("invalid_scope", "AADSTS1002012:");
    ask("https://outlook.office.example/.default")
        .await
        .refused("invalid_resource", "AADSTS500011:");
    ask("").await.refused("invalid_request", "AADSTS900144:");
    let graph = ask("https://graph.microsoft.com/.default").await.ok();
    assert_eq!(claims(graph.text("access_token"))["roles"], json!(["Mail.ReadWrite", "Mail.Send"]));

    let faults = play.sandbox.faults();
    for (fault, microsoft, google) in [
        (Fault::SecretExpired, "AADSTS7000222:", "The provided client secret is invalid."),
        (Fault::SecretWrong, "AADSTS7000215:", "The provided client secret is invalid."),
        (Fault::RefreshRevoked, "AADSTS50173:", "Token has been expired or revoked."),
        (Fault::ConsentMissing, "AADSTS65001:", "Token has been expired or revoked."),
        (Fault::PolicyBlocks, "AADSTS53003:", "invalid_rapt"),
        (Fault::TokenUnavailable, "AADSTS90033:", "temporarily unavailable"),
    ] {
        faults.set(&[]);
        for (house, user, scope, words) in [
            (House::Microsoft, SUPPORT, IMAP, microsoft),
            (House::Google, "help@fabrikam.test", "https://mail.google.com/", google),
        ] {
            let refresh = play.sandbox.sign_in(app(house).0, user, &[scope]);
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
            faults.next(fault, 1);
            let answer = play.token(house, &form).await;
            assert!(answer.text("error_description").contains(words), "{fault}: {answer:?}");
            assert_eq!(play.token(house, &form).await.status, 200, "{fault} is over after one");
        }
    }
    faults.turn_on(Fault::TokenHtml);
    let answer = ask(DEFAULT).await;
    assert_eq!(answer.status, 200);
    assert!(answer.document.as_str().unwrap().starts_with("<!DOCTYPE html>"));
}
