//! Certificates on the pages: made here or uploaded, their public half given away, and put in use beside or after a secret.

use super::providers::{make_provider, send};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::certificates::{FILE, SHA1};
use crate::support::databases::NOW;
use crate::support::provider::{Lie, Provider};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::model::Name;
use mailgrant::model::provider::ClientAuth;
use serde_json::{Value, json};

const PAGE: &str = "/providers/rig/certificate";

async fn stored(t: &TestApp) -> mailgrant::model::provider::Provider {
    t.app.store.provider(&Name::parse("rig").unwrap()).await.unwrap().unwrap()
}

/// Sends the upload form as a browser does.
async fn upload(browser: &mut Browser, path: &str, file: &[u8], passphrase: &str) -> Page {
    browser.get("/me").await;
    send_file(browser, path, file, passphrase).await
}

/// The same from a page that was looked at before.
pub async fn send_file(browser: &mut Browser, path: &str, file: &[u8], passphrase: &str) -> Page {
    let token = browser.csrf.clone().unwrap();
    let mut body = Vec::new();
    for (name, value) in [("csrf_token", token.as_str()), ("passphrase", passphrase)] {
        let part = format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"app.pfx\"\r\n");
    body.extend_from_slice(b"Content-Type: application/octet-stream\r\n\r\n");
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--X--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=X")];
    browser.send(Method::POST, path, &headers, Body::from(body)).await
}

#[tokio::test]
async fn a_certificate_made_here_waits_is_compared_and_takes_over_when_the_provider_knows_it() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/providers/rig").await;
    assert!(page.words().contains("Use a certificate"), "{}", page.words());
    let page = admin.get(PAGE).await;
    let page = send(&mut admin, &page, "/providers/rig/certificate/make", &[]).await;
    let page = admin.follow(page).await;
    let now = stored(&t).await;
    let waits = now.credentials.next.clone().unwrap();
    assert_eq!(
        (now.client_auth, page.text("#next-sha1")),
        (ClientAuth::SecretBasic, waits.facts.sha1.clone())
    );
    assert_eq!(waits.facts.ends, NOW.plus(365 * 86_400));

    // The public half in three forms, for whoever may look; the private key in none.
    for (file, kind, start) in [
        ("next.pem", "application/x-pem-file", "-----BEGIN CERTIFICATE-----"),
        ("next.cer", "application/pkix-cert", "0"),
        ("next.json", "application/jwk-set+json", "{"),
    ] {
        let page = t.viewer().get(format!("{PAGE}/{file}")).await;
        assert_eq!((page.status, page.header("content-type").as_str()), (StatusCode::OK, kind));
        assert!(page.body.starts_with(start) && !page.body.contains("PRIVATE"), "{file}");
        assert!(page.header("content-disposition").contains("attachment; filename=\"rig."));
    }
    let set: Value = serde_json::from_str(&admin.get(format!("{PAGE}/next.json")).await.body).unwrap();
    assert_eq!(
        (set["keys"][0]["kid"].as_str(), &set["keys"][0]["d"]),
        (Some(waits.facts.key_id.as_str()), &Value::Null)
    );
    for gone in ["current.cer", "next.key", "next", "x.pem"] {
        assert_eq!(admin.get(format!("{PAGE}/{gone}")).await.status, StatusCode::NOT_FOUND, "{gone}");
    }

    // The provider doesn't know it yet.
    provider.lies(&[Lie::Refuses(401, json!({"error": "invalid_client"}))]);
    let page = admin.get(PAGE).await;
    let action = "/providers/rig/certificate/use";
    let page = send(&mut admin, &page, action, &[("keep_until", "yesterday")]).await;
    assert!(page.text(".summary li").contains("date after today"), "{}", page.words());
    let page = send(&mut admin, &page, action, &[("keep_until", "2026-12-02")]).await;
    assert!(page.text(".summary li").contains("refused by the provider"), "{}", page.words());
    assert_eq!(stored(&t).await, now);

    // Now it does: the answer to the made-up code is the one that proves it.
    provider.lies(&[Lie::Refuses(400, json!({"error": "invalid_grant"}))]);
    let page = send(&mut admin, &page, action, &[("keep_until", "2026-12-02")]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Certificate of rig is in use. The provider accepts it.");
    assert!(
        page.words().contains("The client secret before the one in use counts until"),
        "{}",
        page.words()
    );
    let now = stored(&t).await;
    assert_eq!(
        (now.client_auth, now.credentials.fallback.is_some()),
        (ClientAuth::Certificate, true)
    );
    assert_eq!(now.client_secret_expires.unwrap().to_string(), "2027-11-21");
    // While it is what the provider takes, it is not forgotten: nothing else would work, and it can't be had back.
    let kept = now.credentials.fallback.clone().unwrap();
    let mut tx = t.app.store.begin().await.unwrap();
    assert!(tx.note_fallback(&now.id, &kept, NOW.plus(60)).await.unwrap());
    tx.commit().await.unwrap();
    let page = admin.submit("/providers/rig/fallback/drop", &[]).await;
    assert!(page.text(".flash").contains("so it can't be forgotten"), "{}", page.words());
    let mut needed = stored(&t).await;
    let kept = needed.credentials.fallback.as_mut().unwrap();
    kept.used_at = None;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&needed).await.unwrap();
    tx.commit().await.unwrap();
    let page = admin.submit("/providers/rig/fallback/drop", &[]).await;
    assert!(!page.words().contains("Fallback"), "{}", page.words());
    assert_eq!(stored(&t).await.credentials.fallback, None);
    let page = admin.get("/providers/rig/certificate/current.cer").await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn each_mistake_with_an_upload_is_told_at_its_field_and_nothing_of_it_stays() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let before = stored(&t).await;
    let mut admin = t.admin();
    let file = |name: &str| std::fs::read(format!("{}/tests/data/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (content, passphrase, at, said) in [
        (
            file("cert.cer"),
            "",
            "#file-e",
            "Certificate has no private key. Upload the PFX, or the PEM with both parts",
        ),
        (
            file("modern.pfx"),
            "canary-passphrase",
            "#passphrase-e",
            "Passphrase doesn't open this file",
        ),
        (file("ec.pfx"), "opensesame", "#file-e", "RSA keys only"),
        (b"<html>".to_vec(), "", "#file-e", "This is no certificate file"),
        (Vec::new(), "", "#file-e", "Choose a file"),
    ] {
        let page = upload(&mut admin, PAGE, &content, passphrase).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text(at).contains(said), "{said}: {}", page.words());
        assert!(!page.body.contains("canary") && !page.body.contains("PRIVATE"));
    }
    let page = upload(&mut admin, PAGE, &vec![b'x'; 65 * 1024], "").await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(stored(&t).await, before);
    // Without the token of the page nothing is read; not by people who may not either.
    let mut operator = t.operator();
    assert_eq!(upload(&mut operator, PAGE, FILE.as_bytes(), "").await.status, StatusCode::FORBIDDEN);
    let headers = [("content-type", "multipart/form-data; boundary=X")];
    let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n--X--\r\n";
    let page = admin.send(Method::POST, PAGE, &headers, Body::from(body)).await;
    assert!(page.status != StatusCode::OK && stored(&t).await == before, "{}", page.status);

    // And the right one, by its passphrase.
    let page = upload(&mut admin, PAGE, &file("modern.pfx"), "opensesame").await;
    let page = admin.follow(page).await;
    assert_eq!(page.text("#next-sha1"), SHA1);
    let page = admin.submit("/providers/rig/certificate/discard", &[]).await;
    assert!(!page.has("#next-sha1"));
    assert_eq!(stored(&t).await.credentials.next, None);
}

#[tokio::test]
async fn a_new_provider_that_proves_itself_by_certificate_is_led_to_it() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=microsoft").await;
    let over = [
        ("name", "litware"),
        ("tenant", "litware.onmicrosoft.com"),
        ("client_id", "11112222-bbbb-3333-cccc-4444dddd5555"),
        ("client_auth", "certificate"),
        ("assertion_alg", "RS256"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(
        page.location().as_deref(),
        Some("/providers/litware/certificate"),
        "{}",
        page.words()
    );
    let page = admin.get("/providers/litware").await;
    assert!(page.text(".verdict h2").contains("No certificate yet"), "{}", page.words());
    // Nothing is in use, so it is used at once.
    let page = upload(&mut admin, "/providers/litware/certificate", FILE.as_bytes(), "").await;
    let page = admin.follow(page).await;
    assert_eq!(page.text("#current-sha1"), SHA1);
    let found = t.app.store.provider(&Name::parse("litware").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.credentials.alg.as_str(), "RS256");
    let rows = format!("{:?} {found:?}", t.app.store.audit_rows(50).await.unwrap());
    assert!(rows.contains(SHA1) && !rows.contains("PRIVATE"), "{rows}");
}
