//! What a request says: the values and steps that this provider has use for, and nothing else.

use super::{FRESH, PAGE, enter, house, link_of, make};
use crate::support::app::TestApp;
use crate::web::consent::{change, provider};
use crate::web::providers::send;
use axum::http::StatusCode;
use mailgrant::model::consent::LinkKind;
use mailgrant::model::provider::ClientAuth;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantType;
use mailgrant::sandbox::{AppCertificate, MICROSOFT_APP, TENANT};

const GRAPH: &str = "https://graph.microsoft.com/.default";
const EXCHANGE: &str = "https://outlook.office365.com/.default";

async fn words(t: &TestApp) -> String {
    t.admin().get(PAGE).await.text("#words")
}

#[tokio::test]
async fn an_app_only_request_asks_for_what_the_card_names_and_has_no_redirect_address() {
    let (t, _play) = house().await;
    for (scope, there, missing) in [
        (
            GRAPH,
            &["Mail.ReadWrite", "Mail.Send", "Microsoft Graph > Application permissions:"][..],
            "AsApp",
        ),
        (
            EXCHANGE,
            &[
                "IMAP.AccessAsApp",
                "POP.AccessAsApp",
                "SMTP.SendAsApp",
                "Office 365 Exchange Online",
            ],
            "Mail.",
        ),
    ] {
        change(&t, |provider| {
            provider.grant = GrantType::ClientCredentials;
            provider.scopes = vec![scope.into()];
        })
        .await;
        let words = words(&t).await;
        for value in there.iter().chain(&[MICROSOFT_APP.0, TENANT]) {
            assert!(words.contains(value), "{value}: {words}");
        }
        assert!(
            !words.contains(missing) && !words.contains("/oauth/") && !words.contains("- Mail.Read "),
            "{words}"
        );
        let page = t.admin().get("/providers/contoso/consent").await.text("[aria-labelledby=pe]");
        assert!(page.contains(there[0]) && page.contains(there[1]), "{page}");
    }
}

#[tokio::test]
async fn a_request_for_username_and_password_names_the_switch_and_no_redirect_address() {
    let (t, _play) = house().await;
    change(&t, |provider| {
        provider.grant = GrantType::Password;
        provider.client_auth = ClientAuth::None;
        provider.client_secret = None;
    })
    .await;
    let words = words(&t).await;
    for value in [
        "set Allow public client flows to Yes",
        "IMAP.AccessAsUser.All",
        MICROSOFT_APP.0,
        TENANT,
    ] {
        assert!(words.contains(value), "{value}: {words}");
    }
    assert!(!words.contains("/oauth/"), "{words}");
}

#[tokio::test]
async fn a_request_for_a_service_account_leads_to_domain_wide_delegation() {
    let (t, play) = house().await;
    let scope = "https://mail.google.com/";
    let url = play.sandbox.url().to_owned();
    change(&t, |provider| {
        provider.template = TemplateKind::Google;
        provider.grant = GrantType::JwtBearer;
        provider.client_auth = ClientAuth::None;
        provider.client_secret = None;
        provider.client_id = String::new();
        provider.scopes = vec![scope.into()];
        provider.overrides.token_url = Some(format!("{url}/google/token"));
    })
    .await;
    let before = words(&t).await;
    for value in [
        "Manage Domain Wide Delegation",
        "the Unique ID of the service account",
        &format!("Scopes: {scope}"),
    ] {
        assert!(before.contains(value), "{value}: {before}");
    }
    assert!(!before.contains("/oauth/"), "{before}");
    let key = play.sandbox.add_service_account("robot@fabrikam.test", &[scope]).unwrap();
    let number: serde_json::Value = serde_json::from_str(&key).unwrap();
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    stranger.get(&path).await;
    let page = super::send_file(&mut stranger, &path, key.as_bytes(), "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let after = words(&t).await;
    let id = format!("Client ID: {}", number["client_id"].as_str().unwrap());
    assert!(after.contains(&id) && after.contains("robot@fabrikam.test"), "{after}");
}

#[tokio::test]
async fn the_public_half_of_a_certificate_made_here_is_given_away_compared_and_tried() {
    let (t, play) = house().await;
    let mut admin = t.admin();
    let page = admin.get("/providers/contoso/certificate").await;
    send(&mut admin, &page, "/providers/contoso/certificate/make", &[("lasts", "365")]).await;
    let waits = provider(&t).await.credentials.next.unwrap();
    let without = admin.get(PAGE).await;
    assert!(without.has("a[href$='/certificate/next.cer']"), "{}", without.words());
    let path = make(&t).await;
    admin.get(PAGE).await;
    let words = admin.post(PAGE, &[]).await.text("#words");
    for value in [&waits.facts.sha1, &waits.facts.sha256, "Upload certificate", ".cer"] {
        assert!(words.contains(value), "{value}: {words}");
    }
    assert!(!words.contains("with its private key"), "{words}");

    let mut stranger = t.anonymous();
    let page = stranger.get(&path).await;
    assert_eq!(page.text("h1"), "Upload a certificate");
    assert_eq!(
        (page.text("#sha1"), page.text("#sha256")),
        (waits.facts.sha1.clone(), waits.facts.sha256.clone())
    );
    let pem = stranger.get(format!("{path}/certificate/certificate.pem")).await;
    assert!(pem.body.starts_with("-----BEGIN CERTIFICATE") && !pem.body.contains("PRIVATE"));
    for other in ["certificate.json", "next.cer", "key.pem"] {
        assert_eq!(
            stranger.get(format!("{path}/certificate/{other}")).await.status,
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(link_of(&t, LinkKind::Certificate).await.used_at, None, "looking uses nothing up");

    // Nobody has uploaded it: nothing changes, and the link goes on working.
    stranger.get(&path).await;
    let page = stranger.post(&path, &[("uploaded", "yes")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.words());
    assert!(
        page.text("#uploaded-e").contains("Microsoft doesn't take the certificate yet"),
        "{}",
        page.words()
    );
    let now = provider(&t).await;
    assert!(now.client_auth == ClientAuth::SecretPost && now.credentials.next.is_some());

    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &waits.public).unwrap();
    let mut client = play.sandbox.client(MICROSOFT_APP.0).unwrap();
    client.certificates.push(AppCertificate::from_der(&der).unwrap());
    play.sandbox.set_client(client);
    let page = stranger.post(&path, &[("uploaded", "yes")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let now = provider(&t).await;
    assert_eq!(now.client_auth, ClientAuth::Certificate);
    assert_eq!(now.credentials.certificate.unwrap().facts.sha1, waits.facts.sha1);
    assert_eq!(stranger.get(&path).await.text("h1"), "This link was used");
    let gone = stranger.get(format!("{path}/certificate/certificate.cer")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_secret_link_tells_an_id_from_a_value() {
    let (t, _play) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    let page = enter(&mut stranger, &path, "99990000-ffff-1111-aaaa-2222bbbb3333", "").await;
    assert!(
        page.text(".summary li")
            .contains("looks like the secret's ID. Paste the Value column instead"),
        "{}",
        page.words()
    );
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_the_app_does_and_what_people_do_are_two_lists_without_duplicates() {
    let (t, _play) = house().await;
    change(&t, |provider| {
        provider.scopes = [
            "https://graph.microsoft.com/Mail.Send",
            "https://outlook.office.com/SMTP.Send",
            "https://outlook.office365.com/SMTP.Send",
        ]
        .map(str::to_owned)
        .to_vec();
    })
    .await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new?provider=contoso").await;
    let over = [
        ("name", "app"),
        ("grant", "client_credentials"),
        ("user", ""),
        ("purposes", ""),
        ("scopes", GRAPH),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let page = admin.get("/providers/contoso/consent").await;
    assert_eq!(
        page.text("[aria-labelledby=pe] h3"),
        "For the app itself (application permissions)\nFor people who sign in (delegated permissions)"
    );
    let names = page.text("[aria-labelledby=pe] li code");
    let count = |name: &str| names.lines().filter(|line| *line == name).count();
    assert_eq!(
        (count("SMTP.Send"), count("Mail.Send"), count("Mail.ReadWrite")),
        (1, 2, 1),
        "{names}"
    );
}
