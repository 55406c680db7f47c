//! Secret links: somebody without an account enters the client secret, once, of one app, and learns nothing else.

mod requests;

use super::certificate::send_file;
use super::consent::{change, house_of, provider};
use super::providers::send;
use crate::sandbox::Play;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::certificates::{DER, SHA1};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::actions::place;
use mailgrant::model::consent::{LinkKind, ProviderLink};
use mailgrant::model::provider::ClientAuth;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantType;
use mailgrant::sandbox::{AppCertificate, AppSecret, Fault, MICROSOFT_APP, TENANT};

const PAGE: &str = "/providers/contoso/request";
/// A new secret at the provider.
const FRESH: &str = "canary8Q~a-fresh-secret-0123456789abcdef";

async fn house() -> (TestApp, Play) {
    let (t, play) = house_of(TENANT).await;
    let mut client = play.sandbox.client(MICROSOFT_APP.0).unwrap();
    client.secrets.push(AppSecret {
        value: FRESH.to_owned(),
        ends: None,
    });
    play.sandbox.set_client(client);
    (t, play)
}

/// Makes a link as the page does; gives its path.
async fn make(t: &TestApp) -> String {
    let mut admin = t.admin();
    admin.get(PAGE).await;
    let page = admin.post(PAGE, &[]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let url = page.text("#link");
    assert!(page.text("#words").contains(&url));
    url.strip_prefix("http://127.0.0.1:8080").unwrap().to_owned()
}

async fn link(t: &TestApp) -> ProviderLink {
    let links = t
        .app
        .store
        .provider_links_of(&provider(t).await.id, LinkKind::Secret)
        .await
        .unwrap();
    links.into_iter().next().unwrap()
}

async fn stored(t: &TestApp) -> String {
    let secret = place::open_client_secret(&t.app, &provider(t).await).unwrap().unwrap();
    secret.expose_secret().to_owned()
}

async fn enter(browser: &mut Browser, path: &str, secret: &str, expires: &str) -> Page {
    browser.get(path).await;
    let page = browser
        .post(path, &[("client_secret", secret), ("client_secret_expires", expires)])
        .await;
    assert!(!page.body.contains("canary") && !page.body.contains(MICROSOFT_APP.1));
    page
}

#[tokio::test]
async fn somebody_without_an_account_enters_the_secret_once() {
    let (t, _play) = house().await;
    let page = t.admin().get(PAGE).await;
    let words = page.text("#words");
    for value in [
        MICROSOFT_APP.0,
        "http://127.0.0.1:8080/oauth/callback/contoso",
        "http://127.0.0.1:8080/oauth/admin-consent/contoso",
        "IMAP.AccessAsUser.All",
        "SMTP.Send",
    ] {
        assert!(words.contains(value), "{value}: {words}");
    }
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    stranger.send(Method::HEAD, &path, &[], Body::empty()).await;
    assert_eq!(link(&t).await.opened_at, None);
    let page = stranger.get(&path).await;
    assert_eq!(page.text("h1"), "Enter a client secret");
    let words = page.words();
    assert!(
        words.contains("Maija Korhonen asks for this") && words.contains(MICROSOFT_APP.0),
        "{words}"
    );
    assert!(
        !page.has("nav") && !words.contains("contoso") && !words.contains("last changed"),
        "{words}"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(link(&t).await.opened_at.is_some() && link(&t).await.used_at.is_none());

    let page = enter(&mut stranger, &path, FRESH, "2027-11-20").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    assert!(stranger.follow(page).await.words().contains("You can close this window."));
    assert_eq!(stored(&t).await, FRESH);
    let now = provider(&t).await;
    assert_eq!(now.client_secret_expires.unwrap().to_string(), "2027-11-20");
    assert_eq!(now.client_secret.unwrap().set_by, "Someone with the secret link");

    for page in [stranger.get(&path).await, enter(&mut stranger, &path, MICROSOFT_APP.1, "").await] {
        assert_eq!(page.text("h1"), "This link was used");
    }
    assert_eq!(stored(&t).await, FRESH);
    assert!(
        t.admin()
            .get(PAGE)
            .await
            .text("aside")
            .contains("Used made just now by Maija Korhonen")
    );
    let code = path.rsplit('/').next().unwrap();
    let audit = t.app.store.audit_rows(10).await.unwrap();
    let by_link = format!("link:{}", link(&t).await.id);
    for action in ["link.secret", "provider.update"] {
        assert!(
            audit.iter().any(|row| row.actor == by_link && row.action == action),
            "{action}: {audit:#?}"
        );
    }
    assert!(!format!("{audit:?}").contains("canary") && !format!("{audit:?}").contains(code));
    assert!(
        t.viewer().get(PAGE).await.status == StatusCode::FORBIDDEN && t.operator().post(PAGE, &[]).await.status == StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_provider_for_people_and_for_the_app_itself_asks_for_both() {
    let (t, _play) = house().await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new?provider=contoso").await;
    let over = [("name", "app"), ("grant", "client_credentials"), ("user", ""), ("act", "save")];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let words = admin.get(PAGE).await.text("#words");
    for value in [
        "http://127.0.0.1:8080/oauth/callback/contoso",
        "http://127.0.0.1:8080/oauth/admin-consent/contoso",
        "Application permissions:",
        "IMAP.AccessAsApp",
        "Delegated permissions:",
        "IMAP.AccessAsUser.All",
    ] {
        assert!(words.contains(value), "{value}: {words}");
    }
    let words = admin.get("/providers/contoso/consent").await.words();
    assert!(
        words.contains("People who sign in through the same app open their own mailboxes only."),
        "{words}"
    );
}

#[tokio::test]
async fn a_secret_that_is_refused_or_not_tried_changes_nothing_and_uses_nothing_up() {
    let (t, play) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    for (secret, words) in [
        ("", "Enter the client secret"),
        (
            "99990000-ffff-1111-aaaa-2222bbbb3333-canary-wrong",
            "Client secret was refused by Microsoft. Nothing was stored",
        ),
    ] {
        let page = enter(&mut stranger, &path, secret, "").await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(page.text(".summary li"), words);
    }
    play.sandbox.faults().set(&[Fault::TokenUnavailable]);
    let page = enter(&mut stranger, &path, FRESH, "2027-11-20").await;
    assert!(
        page.text(".summary li").starts_with("Client secret couldn't be tried at Microsoft"),
        "{}",
        page.words()
    );
    assert_eq!(page.attribute("#client_secret_expires", "value").as_deref(), Some("2027-11-20"));
    assert_eq!(stored(&t).await, MICROSOFT_APP.1);
    assert_eq!(link(&t).await.used_at, None);
    play.sandbox.faults().set(&[]);
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(stored(&t).await, FRESH);
}

#[tokio::test]
async fn a_link_sets_only_the_secret_it_was_made_for_while_it_may() {
    let (t, _play) = house().await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    // It goes elsewhere now: whoever has the link must not feed that.
    change(&t, |provider| provider.tenant = Some("fabrikam.onmicrosoft.com".into())).await;
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.text("h1"), "This link has ended");
    assert_eq!(stranger.get(&path).await.text("h1"), "This link has ended");
    change(&t, |provider| provider.tenant = Some(TENANT.into())).await;
    assert_eq!(stored(&t).await, MICROSOFT_APP.1);

    let id = link(&t).await.id;
    let mut admin = t.admin();
    admin.get(PAGE).await;
    let other = admin.post(format!("/providers/contoso/consent/links/{id}/withdraw"), &[]).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "not a consent link");
    let page = admin.submit(format!("{PAGE}/{id}/withdraw"), &[]).await;
    assert_eq!(page.text(".flash"), "Secret link withdrawn. It doesn't work any more.");
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.text("h1"), "This link was withdrawn");

    t.clock.advance(1);
    let path = make(&t).await;
    let code = path.rsplit('/').next().unwrap();
    for other in [format!("/c/{code}"), format!("/l/{code}"), "/s/nobody-knows-this-code".to_owned()] {
        assert_eq!(stranger.get(&other).await.status, StatusCode::NOT_FOUND, "{other}");
    }
    let page = stranger.get(format!("{path}/done")).await;
    assert_eq!(page.location().as_deref(), Some(path.as_str()), "nothing is done yet");
    for _ in 0..20 {
        enter(&mut stranger, &path, "canary-a-wrong-one-0123456789abcdefghijk", "").await;
    }
    let page = enter(&mut stranger, &path, FRESH, "").await;
    assert_eq!(page.status, StatusCode::CONFLICT, "guesses have an end");
    t.clock.advance(72 * 3600 + 1);
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.text("h1"), "This link has ended");
    assert_eq!(stored(&t).await, MICROSOFT_APP.1);
}

#[tokio::test]
async fn two_who_send_at_once_are_not_both_right() {
    let (t, _play) = house().await;
    let path = make(&t).await;
    let (mut a, mut b) = (t.anonymous(), t.anonymous());
    a.get(&path).await;
    b.get(&path).await;
    let (first, second) = tokio::join!(
        a.post(&path, &[("client_secret", FRESH)]),
        b.post(&path, &[("client_secret", FRESH)])
    );
    let done = [&first, &second]
        .into_iter()
        .filter(|page| page.location().is_some_and(|to| to.ends_with("/done")));
    assert_eq!(done.count(), 1, "{} {}", first.status, second.status);
}

#[tokio::test]
async fn a_provider_can_be_saved_before_anybody_here_knows_its_secret() {
    let (t, _play) = house().await;
    change(&t, |provider| provider.client_secret = None).await;
    let mut admin = t.admin();
    let page = admin.get("/providers/contoso/edit").await;
    let refused = send(&mut admin, &page, "/providers/contoso/edit", &[("tenant", TENANT)]).await;
    assert_eq!(refused.text(".summary li"), "Enter the client secret");
    let page = send(
        &mut admin,
        &page,
        "/providers/contoso/edit",
        &[("secret_later", "yes"), ("act", "check")],
    )
    .await;
    assert_eq!(page.location().as_deref(), Some(PAGE), "{}", page.words());
    assert_eq!(
        admin.follow(page).await.text(".flash"),
        "Provider contoso saved. Now ask for its client secret."
    );
    let path = make(&t).await;
    assert_eq!(enter(&mut t.anonymous(), &path, FRESH, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(stored(&t).await, FRESH);
    assert!(!t.admin().get("/providers/contoso/edit").await.has("#secret_later"));
}

async fn link_of(t: &TestApp, kind: LinkKind) -> ProviderLink {
    let links = t.app.store.provider_links_of(&provider(t).await.id, kind).await.unwrap();
    links.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_certificate_is_brought_through_a_link_once_and_only_if_the_provider_takes_it() {
    let (t, play) = house().await;
    let old = make(&t).await;
    change(&t, |provider| provider.client_auth = ClientAuth::Certificate).await;
    let mut stranger = t.anonymous();
    // A link for a secret is none for a certificate.
    assert_eq!(stranger.get(&old).await.text("h1"), "This link has ended");

    let path = make(&t).await;
    stranger.send(Method::HEAD, &path, &[], Body::empty()).await;
    assert_eq!(link_of(&t, LinkKind::Certificate).await.opened_at, None);
    let page = stranger.get(&path).await;
    assert_eq!(page.text("h1"), "Bring a certificate");
    assert!(!page.words().contains("contoso"), "{}", page.words());
    let pfx = std::fs::read(format!("{}/tests/data/certificates/modern.pfx", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (file, passphrase, at, words) in [
        (pfx.as_slice(), "canary-wrong", "#passphrase-e", "Passphrase doesn't open this file"),
        (b"", "", "#file-e", "Choose a file"),
        (b"<html>", "", "#file-e", "This is no certificate file"),
        (
            &pfx,
            "opensesame",
            "#file-e",
            "Certificate was refused by Microsoft. Nothing was stored",
        ),
    ] {
        let page = send_file(&mut stranger, &path, file, passphrase).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        assert!(page.text(at).contains(words), "{words}: {}", page.words());
        assert!(!page.body.contains("canary") && !page.body.contains("PRIVATE"));
    }
    let page = enter(&mut stranger, &path, FRESH, "").await;
    assert!(page.text("#file-e").contains("Choose a file"), "a secret is not what it asks for");
    let now = provider(&t).await;
    assert!(now.credentials.certificate.is_none() && now.credentials.next.is_none());
    assert_eq!(link_of(&t, LinkKind::Certificate).await.used_at, None);

    let mut client = play.sandbox.client(MICROSOFT_APP.0).unwrap();
    client.certificates.push(AppCertificate::from_der(DER).unwrap());
    play.sandbox.set_client(client);
    let page = send_file(&mut stranger, &path, &pfx, "opensesame").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    assert!(stranger.follow(page).await.words().contains("You can close this window."));
    let stored = provider(&t).await.credentials.certificate.unwrap();
    assert_eq!(
        (stored.facts.sha1.as_str(), stored.set_by.as_str()),
        (SHA1, "Someone with the secret link")
    );
    let page = send_file(&mut stranger, &path, &pfx, "opensesame").await;
    assert_eq!(page.text("h1"), "This link was used");
    let rows = format!("{:?}", t.app.store.audit_rows(20).await.unwrap());
    assert!(rows.contains(SHA1) && !rows.contains("PRIVATE") && !rows.contains("opensesame"));
}

#[tokio::test]
async fn the_key_of_a_service_account_is_brought_through_a_link() {
    let (t, play) = house().await;
    let url = play.sandbox.url().to_owned();
    change(&t, |provider| {
        provider.template = TemplateKind::Google;
        provider.grant = GrantType::JwtBearer;
        provider.client_auth = ClientAuth::None;
        provider.client_secret = None;
        provider.scopes = vec!["https://mail.google.com/".into()];
        provider.overrides.token_url = Some(format!("{url}/google/token"));
    })
    .await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    assert_eq!(stranger.get(&path).await.text("h1"), "Bring a key file");
    let scope = "https://mail.google.com/";
    let older = play.sandbox.add_service_account("robot@fabrikam.test", &[scope]).unwrap();
    // A newer key takes its place at the provider, which doesn't know the older one any more.
    let key = play.sandbox.add_service_account("robot@fabrikam.test", &[scope]).unwrap();
    for (file, words) in [
        ("{\"canary\": 1}", "isn't the key of a service account"),
        (older.as_str(), "Key was refused by Google. Nothing was stored"),
    ] {
        let page = send_file(&mut stranger, &path, file.as_bytes(), "").await;
        assert!(page.text("#file-e").contains(words), "{words}: {}", page.words());
        assert!(!page.body.contains("canary") && !page.body.contains("PRIVATE"));
    }
    assert!(t.app.store.service_account(&provider(&t).await.id).await.unwrap().is_none());
    let page = send_file(&mut stranger, &path, key.as_bytes(), "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let stored = t.app.store.service_account(&provider(&t).await.id).await.unwrap().unwrap();
    assert_eq!(stored.account.client_email, "robot@fabrikam.test");
    assert_eq!(stranger.get(&path).await.text("h1"), "This link was used");
}

#[tokio::test]
async fn a_program_that_stops_between_link_and_secret_leaves_a_link_that_works() {
    let (t, _play) = house().await;
    let path = make(&t).await;
    let pool = t.app.store.raw_pool();
    // Whatever is written to the provider fails from here on, and so does putting the link back: as if the program had stopped there.
    for sql in [
        "CREATE TRIGGER stop_secret BEFORE UPDATE ON providers BEGIN SELECT RAISE(ABORT, 'stopped'); END",
        "CREATE TRIGGER stop_link BEFORE UPDATE OF used_at ON provider_links WHEN NEW.used_at IS NULL BEGIN SELECT RAISE(ABORT, 'stopped'); END",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
    let mut stranger = t.anonymous();
    let page = enter(&mut stranger, &path, FRESH, "").await;
    assert!(page.status.is_server_error(), "{}", page.status);
    assert_eq!((link(&t).await.used_at, stored(&t).await.as_str()), (None, MICROSOFT_APP.1));
    for sql in ["DROP TRIGGER stop_secret", "DROP TRIGGER stop_link"] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
    assert_eq!(enter(&mut stranger, &path, FRESH, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(stored(&t).await, FRESH);
}
