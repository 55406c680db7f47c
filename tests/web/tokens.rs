//! Tokens: list, form, page, logging out.

use super::authorize::{SUPPORT, begin, come_back, grant, house, signed_in, token};
use super::providers::{make_provider, send};
use crate::support::app::TestApp;
use crate::support::provider::{Lie, Provider};
use axum::http::StatusCode;
use mailgrant::model::token::TokenState;

#[tokio::test]
async fn the_form_names_mistakes_and_takes_pasted_scopes_apart() {
    let (t, _provider) = house().await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    let over = [
        ("user", ""),
        ("name", "a\r\nb"),
        ("scopes", "mail.read\\"),
        ("refresh_token", "canary one two"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    insta::assert_snapshot!(page.text(".summary li"), @r"
    Enter the account that must sign in
    Name can have a–z, 0–9, dot, hyphen and underscore
    Permissions can't contain a backslash. Separate them with blanks, commas or line breaks
    Refresh token has a line break, a blank or another character no token has. Copy it again
    ");
    assert!(!page.body.contains("canary"));
    let over = [("user", SUPPORT), ("name", "support"), ("scopes", "mail.read"), ("act", "save")];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.text(".summary li"), "Name support is already used by another token");
    let over = [("name", "second"), ("scopes", "mail.read,mail.send\r\n mail.read"), ("act", "save")];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Token second saved.");
    // Without offline_access a sign-in wouldn't last: said, and mended by one link.
    assert!(
        page.text(".note.warn")
            .contains("offline_access is missing, so this sign-in would end after about an hour. Add it")
    );
    let page = admin.get("/tokens/second/edit?add=offline_access").await;
    assert_eq!(page.text("textarea#scopes"), "mail.read mail.send offline_access");
}

#[tokio::test]
async fn the_list_filters_by_what_the_address_says() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    send(&mut admin, &page, "/tokens/new", &[("user", "hr@contoso.test"), ("act", "save")]).await;
    let page = admin.get("/tokens").await;
    assert_eq!(page.text("tbody td:nth-child(2) a"), "hr@contoso.test\nsupport@contoso.test");
    assert_eq!(page.text("tbody td:first-child"), "Nobody has signed in yet\nWorks");
    assert!(page.text(".pager").contains("2 tokens"));
    for (query, found) in [
        ("state=active", SUPPORT),
        ("state=unauthorized", "hr@contoso.test"),
        ("q=HR@", "hr@contoso.test"),
        ("provider=rig&q=support", SUPPORT),
        ("provider=none", ""),
        ("missing=1", ""),
        ("ends=14", ""),
    ] {
        let page = admin.get(format!("/tokens?{query}")).await;
        assert_eq!(page.text("tbody td:nth-child(2) a"), found, "{query}");
        assert!(page.words().contains("Clear filters"), "{query}");
    }
    provider.lies(&[Lie::Without("mail.send")]);
    let page = admin.get("/tokens/hr").await;
    assert_eq!(page.status, StatusCode::OK);
    let page = admin.post("/tokens/hr/authorize", &[]).await;
    let page = admin.follow(page).await;
    let leave = page.attribute("a#continue", "href").unwrap();
    come_back(&mut admin, &provider.sign_in(&leave, "hr@contoso.test")).await;
    let page = admin.get("/tokens?missing=1").await;
    assert_eq!(page.text("tbody td:first-child"), "Works, but permissions are missing");
    assert_eq!(page.text("tbody td:nth-child(4)"), "mail.send");
}

#[tokio::test]
async fn pages_of_the_list_lead_on_and_back() {
    let (t, _provider) = house().await;
    let like = token(&t).await;
    let mut tx = t.app.store.begin().await.unwrap();
    for number in 0..119 {
        let name = mailgrant::model::Name::parse(&format!("t{number:03}")).unwrap();
        let id = mailgrant::model::TokenId(format!("t{number:03}"));
        tx.insert_token(&mailgrant::model::token::Token { id, name, ..like.clone() })
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut admin = t.admin();
    let mut seen = Vec::new();
    let mut path = "/tokens?q=contoso".to_owned();
    loop {
        let page = admin.get(&path).await;
        seen.extend(page.text("tbody td:nth-child(2) small").lines().map(str::to_owned));
        match page.attribute("a[rel=next]", "href") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 120);
    assert!(seen.is_sorted() && path.contains("q=contoso"));
    let page = admin.get(&path).await;
    let back = page.attribute("a[rel=prev]", "href").unwrap();
    let page = admin.get(&back).await;
    assert_eq!(page.text("tbody td:nth-child(2) small").lines().count(), 50);
    assert_eq!(page.text("tbody td:nth-child(2) small").lines().last().unwrap(), seen[99]);
}

#[tokio::test]
async fn renewing_and_testing_by_hand_tell_what_came_of_it() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut operator = t.operator();
    operator.get("/tokens/support").await;
    t.clock.advance(100);
    let page = operator.submit("/tokens/support/renew", &[]).await;
    assert_eq!(page.text(".flash"), "Renewed. Valid for 60 minutes.");
    // Providers count renewals: pressing again at once asks for none, and says why.
    let renewed = grant(&t).await.unwrap().generation;
    t.clock.advance(12);
    let page = operator.submit("/tokens/support/renew", &[]).await;
    let flash = page.text(".flash");
    assert!(
        flash.starts_with("Not renewed again: the last renewal was 12 seconds ago, ") && flash.ends_with("Renew again in 18 seconds."),
        "{flash}"
    );
    let page = operator.submit("/tokens/support/test", &[]).await;
    assert_eq!(page.text(".flash"), "Fresh already, valid for 59 minutes.");
    assert_eq!(grant(&t).await.unwrap().generation, renewed);
    t.clock.advance(100);
    let page = operator.submit("/tokens/support/test", &[]).await;
    assert_eq!(page.text(".flash"), "Renewed, valid for 60 minutes.");
    assert!(!page.body.contains("canary-"));
    assert!(page.text(".feed").contains("Renewed"));
    provider.lies(&[Lie::WebPage]);
    t.clock.advance(100);
    let page = operator.submit("/tokens/support/renew", &[]).await;
    assert!(page.text(".flash").starts_with("Not renewed: "), "{}", page.words());
    assert_eq!(operator.get("/tokens/support/renew").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(t.viewer().post("/tokens/support/renew", &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn logging_out_revokes_there_and_deletes_here() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/support/remove").await;
    assert!(page.words().contains("is told at once to revoke it"), "{}", page.words());
    let page = admin.post("/tokens/support/remove", &[("confirm", "nobody@contoso.test")]).await;
    assert_eq!(page.text(".summary li"), "Account doesn't match. Type support@contoso.test");
    assert!(grant(&t).await.is_some() && provider.revoked().is_empty());
    let page = admin
        .submit("/tokens/support/remove", &[("confirm", " SUPPORT@contoso.test ")])
        .await;
    assert!(
        page.text(".flash")
            .starts_with("support@contoso.test is logged out. The provider revoked the token."),
        "{}",
        page.text(".flash")
    );
    assert_eq!(grant(&t).await, None);
    assert_eq!(provider.revoked().len(), 2);
    assert!(page.text(".feed").contains("Logged out and removed."));
}

#[tokio::test]
async fn a_failed_revocation_is_shown_and_the_token_goes_all_the_same() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    provider.lies(&[Lie::RevocationFails]);
    let mut admin = t.admin();
    admin.get("/tokens/support/remove").await;
    let page = admin.submit("/tokens/support/remove", &[("confirm", SUPPORT)]).await;
    assert!(page.text(".flash.warn").contains("was not told"), "{}", page.words());
    assert_eq!(grant(&t).await, None);
    let audit = t.app.store.audit_rows(1).await.unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].outcome.as_str()), ("token.remove", "failed"));
}

#[tokio::test]
async fn another_account_is_taken_only_with_the_tick_that_forgets_the_sign_in() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    // As the page after a wrong sign-in proposes it.
    let page = admin.get("/tokens/support/edit?user=maija%40contoso.test&shared=1").await;
    assert_eq!(page.attribute("#user", "value").as_deref(), Some("maija@contoso.test"));
    assert!(page.has("#shared[checked]"));
    let action = "/tokens/support/edit";
    let page = send(&mut admin, &page, action, &[("act", "save")]).await;
    assert_eq!(
        page.text(".summary li"),
        "support@contoso.test is signed in. With another account that sign-in is forgotten: tick the box below"
    );
    assert!(grant(&t).await.is_some());
    let page = send(&mut admin, &page, action, &[("forget", "yes"), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
    let now = token(&t).await;
    assert_eq!(
        (now.user.as_deref(), now.shared, grant(&t).await),
        (Some("maija@contoso.test"), true, None)
    );
}

#[tokio::test]
async fn a_provider_that_moves_says_before_saving_what_it_costs() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let action = "/providers/rig/edit";
    let page = admin.get(action).await;
    let elsewhere = format!("{}/other/token", provider.url);
    let page = send(&mut admin, &page, action, &[("token_url", &elsewhere), ("act", "save")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.text(".note.warn")
            .contains("1 signed-in token of this provider needs a new sign-in afterwards"),
        "{}",
        page.words()
    );
    let summary = page.text(".summary li");
    assert!(summary.contains("Tick that every token needs a new sign-in"), "{summary}");
    assert!(summary.contains("Enter the client secret again"), "{summary}");
    let over = [
        ("confirm_move", "yes"),
        ("client_secret", crate::support::provider::SECRET),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, action, &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/rig"), "{}", page.words());
    let page = admin.get("/tokens/support").await;
    assert_eq!(
        page.text("[aria-label=State] h2"),
        "Needs a new sign-in: the provider's addresses changed"
    );
    let listed = t
        .app
        .store
        .tokens_after(&Default::default(), "", 10, t.app.clock.now())
        .await
        .unwrap();
    assert_eq!(listed[0].state, TokenState::Revoked);
}

#[tokio::test]
async fn deleting_a_token_logs_out_first() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    admin.get("/tokens/support/delete").await;
    let page = admin.submit("/tokens/support/delete", &[("confirm", "support")]).await;
    assert_eq!(page.text(".flash"), "Token support deleted.");
    assert_eq!(provider.revoked().len(), 2);
    assert_eq!(admin.get("/tokens/support").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_was_typed_survives_a_session_that_ended() {
    let (t, _provider) = house().await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new").await;
    t.clock.advance(3600);
    let page = send(&mut admin, &page, "/tokens/new", &[("user", "late@contoso.test"), ("act", "save")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(page.location().unwrap().starts_with("/login"));
    admin.visit(&page.location().unwrap()).await;
    let fields = [
        ("email", "maija.korhonen@contoso.test"),
        ("password", crate::support::app::PASSWORD),
        ("next", "/tokens/new"),
    ];
    let page = admin.submit("/login", &fields).await;
    assert_eq!(
        page.attribute("#user", "value").as_deref(),
        Some("late@contoso.test"),
        "{}",
        page.words()
    );
    assert!(page.words().contains("Nothing is saved yet"));
}

#[tokio::test]
async fn no_secret_is_on_any_page_of_a_signed_in_token() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let mut admin = t.admin();
    let (path, _) = begin(&mut admin, &[]).await;
    let pages = [
        "/tokens",
        "/tokens/support",
        "/tokens/support/edit",
        "/tokens/support/remove",
        "/tokens/support/delete",
        "/providers",
        "/providers/rig",
        "/providers/rig/edit",
        "/providers/rig/secret",
        path.as_str(),
    ];
    for path in pages {
        let page = admin.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.body.contains("canary-"), "{path}");
    }
    let rows: Vec<String> = sqlx::query_scalar("SELECT sealed || detail FROM authorizations")
        .fetch_all(t.app.store.raw_pool())
        .await
        .unwrap();
    assert!(rows.iter().all(|row| !row.contains("canary-") && !row.contains("state=")));
    drop(TestApp::restart(t).await);
}

#[tokio::test]
async fn the_form_of_a_token_knows_the_account_and_the_only_provider_that_fits_it() {
    let t = TestApp::start().await;
    let provider = Provider::start(t.app.clock.now()).await;
    make_provider(&t, &provider).await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let page = admin.get("/tokens/new?user=hr%40contoso.test").await;
    assert_eq!(
        (
            page.attribute("input[name=user]", "value"),
            page.attribute("input[name=provider]", "value")
        ),
        (Some("hr@contoso.test".into()), Some("contoso".into())),
        "{}",
        page.words()
    );
    // Where none fits, none is chosen for a person.
    let page = admin.get("/tokens/new?user=hr%40elsewhere.test").await;
    assert_eq!(page.attribute("#provider option", "value").as_deref(), Some(""));
    assert_eq!(page.attribute("input[name=user]", "value").as_deref(), Some("hr@elsewhere.test"));
    let page = admin.get("/tokens/new?user=hr%40elsewhere.test&provider=").await;
    assert_eq!(page.text(".summary a"), "Choose a provider");
}
