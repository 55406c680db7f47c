//! Consent through a link, by an admin without an account.

use super::{ADMIN, PAGE, change, come_back, decide, house_of, link, make, press, verdict};
use crate::support::provider::parameter;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::sandbox::{MICROSOFT_APP, TENANT};

#[tokio::test]
async fn an_admin_without_an_account_consents_through_a_link_once() {
    let (t, play) = house_of(TENANT).await;
    assert_eq!(verdict(&t).await, "Nobody has consented yet");
    let path = make(&t).await;
    // Whoever asked sees that nobody has answered, and the pages look again by themselves until somebody has.
    for at in ["/providers/contoso", PAGE, "/"] {
        let page = t.operator().get(at).await;
        assert!(page.text("[data-wait]").contains("not opened yet"), "{at}: {}", page.words());
    }
    assert!(
        t.viewer()
            .get("/providers/contoso")
            .await
            .text("#consent")
            .contains("each mailbox still needs its own sign-in")
    );
    let mut stranger = t.anonymous();
    // A mail scanner looks first.
    stranger.send(Method::HEAD, &path, &[], Body::empty()).await;
    assert_eq!(link(&t).await.opened_at, None);
    for _ in 0..3 {
        stranger.get(&path).await;
    }
    let page = stranger.get(&path).await;
    assert_eq!(page.text("h1"), "Allow an app for your organisation");
    let words = page.words();
    assert!(
        words.contains("Ossi Lahti asks for this. They set up the mail console at 127.0.0.1, a program"),
        "{words}"
    );
    assert!(words.contains("with IMAP") && words.contains("IMAP.AccessAsUser.All"), "{words}");
    assert!(
        !page.has("nav") && !page.has("a[href^='/providers']") && !words.contains("contoso"),
        "nothing else of the console: {words}"
    );
    assert_eq!(page.header("cache-control"), "no-store");
    let seen = link(&t).await;
    assert!(seen.opened_at.is_some() && seen.used_at.is_none() && seen.tries == 0);
    assert!(
        t.viewer()
            .get(PAGE)
            .await
            .text("aside")
            .contains("Opened made just now by Ossi Lahti")
    );

    let leave = press(&mut stranger, &path).await;
    assert!(leave.contains(&format!("/{TENANT}/v2.0/adminconsent?")), "{leave}");
    let back = "http://127.0.0.1:8080/oauth/admin-consent/contoso";
    assert_eq!(parameter(&leave, "redirect_uri").as_deref(), Some(back));
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let page = come_back(&mut stranger, &back).await;
    assert_eq!(page.text("h1"), "Thank you", "{}", page.words());
    assert!(
        page.words()
            .contains("Your organisation allows this app now. You can close this window.")
    );
    assert!(!stranger.cookies.keys().any(|name| name == "session" || name.starts_with("flow-")));
    assert_eq!(stranger.get("/providers").await.status, StatusCode::SEE_OTHER, "no console session");

    assert_eq!(stranger.get(&path).await.text("h1"), "This link was used");
    assert_eq!(stranger.post(&path, &[]).await.text("h1"), "This link was used");
    assert_eq!(
        come_back(&mut stranger, &back).await.text("h1"),
        "This consent is too old",
        "one return"
    );
    let page = t.viewer().get(PAGE).await;
    assert_eq!(page.text(".verdict h2"), "The organisation allows this app");
    assert!(page.text(".verdict").contains("The next sign-in proves it."), "{}", page.words());
    assert!(page.text(".verdict").contains(&format!("through a consent link, tenant {TENANT}")));
    assert!(page.text("aside").contains("Used made just now by Ossi Lahti"));
    assert!(
        t.viewer()
            .get("/providers/contoso")
            .await
            .text("#co + *, section")
            .contains("The organisation allows this app")
    );
    for at in ["/providers/contoso", "/"] {
        let page = t.operator().get(at).await;
        assert!(
            page.text("section").contains("Consent given through a consent link"),
            "{at}: {}",
            page.words()
        );
        assert!(!page.has("[data-wait]"), "{at}: nobody is waited for any more");
    }
    let audit = t.app.store.audit_rows(10).await.unwrap();
    let by_link = format!("link:{}", link(&t).await.id);
    assert!(
        audit
            .iter()
            .any(|row| row.actor == by_link && row.action == "provider.consent.finish" && row.detail.starts_with("granted")),
        "{audit:#?}"
    );
    let code = path.rsplit('/').next().unwrap();
    assert!(code.len() >= 32 && !format!("{audit:?}").contains(code));
    let hashes: Vec<String> = sqlx::query_scalar("SELECT code_hash FROM provider_links")
        .fetch_all(t.app.store.raw_pool())
        .await
        .unwrap();
    assert!(!hashes.concat().contains(code));
}

#[tokio::test]
async fn a_link_ends_when_withdrawn_over_or_for_an_app_that_is_another_now() {
    let (t, play) = house_of(TENANT).await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let mut operator = t.operator();
    operator.get(PAGE).await;
    let id = link(&t).await.id;
    let page = operator.submit(format!("{PAGE}/links/{id}/withdraw"), &[]).await;
    assert_eq!(page.text(".flash"), "Consent link withdrawn. It doesn't work any more.");
    assert_eq!(come_back(&mut stranger, &back).await.text("h1"), "This came back too late");
    assert_eq!(stranger.get(&path).await.text("h1"), "This link was withdrawn");
    assert_eq!(stranger.post(&path, &[]).await.text("h1"), "This link was withdrawn");
    assert_eq!(verdict(&t).await, "Nobody has consented yet");

    t.clock.advance(1);
    let path = make(&t).await;
    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    change(&t, |provider| provider.client_id = "99992222-bbbb-3333-cccc-4444dddd5555".into()).await;
    assert_eq!(stranger.get(&path).await.text("h1"), "This link has ended");
    assert_eq!(come_back(&mut stranger, &back).await.text("h1"), "This came back too late");
    change(&t, |provider| provider.client_id = MICROSOFT_APP.0.into()).await;
    assert_eq!(stranger.get(&path).await.text("h1"), "Allow an app for your organisation");
    t.clock.advance(72 * 3600 + 1);
    assert_eq!(stranger.get(&path).await.text("h1"), "This link has ended");
    assert_eq!(stranger.post(&path, &[]).await.text("h1"), "This link has ended");
    for wrong in ["/c/nobody-knows-this-code", "/l/", "/s/"] {
        let code = path.rsplit('/').next().unwrap();
        let other = if wrong.ends_with('/') {
            format!("{wrong}{code}")
        } else {
            wrong.to_owned()
        };
        assert_eq!(stranger.get(&other).await.status, StatusCode::NOT_FOUND, "{other}");
    }
}

#[tokio::test]
async fn a_consent_link_wears_out_before_it_fills_the_disk() {
    let (t, _play) = house_of(TENANT).await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    stranger.get(&path).await;
    for _ in 0..20 {
        assert_eq!(stranger.post(&path, &[]).await.status, StatusCode::SEE_OTHER);
    }
    let page = stranger.post(&path, &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(
        page.words()
            .contains("This link was started too often. Ask Ossi Lahti for a new one.")
    );
}
