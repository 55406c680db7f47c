//! Walkthroughs: who may do what, what somebody else finds when they go on, and what no form of yesterday overwrites.

use super::providers::send;
use crate::support::app::{Browser, Page, TestApp};
use axum::http::StatusCode;
use mailgrant::model::user::Role;

/// Starts one as the admin; its address.
pub async fn start(t: &TestApp, kind: &str) -> String {
    let mut admin = t.admin();
    let page = admin.get(format!("/walkthroughs/new?template={kind}")).await;
    let over = [("address", "support@contoso.test"), ("account", "maija@contoso.test")];
    let page = send(&mut admin, &page, "/walkthroughs/new", &over).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    page.location().unwrap()
}

pub fn version(page: &Page) -> String {
    page.attribute("input[name=version]", "value").unwrap()
}

async fn press(browser: &mut Browser, path: &str, step: &str, act: &str, number: usize) -> Page {
    let page = browser.get(format!("{path}?step={number}")).await;
    let version = version(&page);
    browser
        .submit(&format!("{path}/steps/{step}/{act}"), &[("version", &version)])
        .await
}

#[tokio::test]
async fn what_can_be_started_is_listed_and_only_those_who_may_start_it() {
    let t = TestApp::start().await;
    let page = t.admin().get("/walkthroughs").await;
    assert_eq!(page.text(".choices a").lines().count(), 10, "{}", page.text(".choices"));
    assert!(page.text("#main").contains("None is in progress"));
    let page = t.viewer().get("/walkthroughs").await;
    assert!(
        !page.has(".choices a")
            && page
                .text("#main")
                .contains("Only people with permission to change providers can start one")
    );
    let page = t.operator().get("/walkthroughs/new?template=yahoo").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(t.admin().get("/walkthroughs/new?template=x").await.status, StatusCode::NOT_FOUND);
    for kind in mailgrant::model::walkthrough::templates() {
        let path = start(&t, &kind.id).await;
        let page = t.viewer().get(&path).await;
        assert_eq!(page.text("h1"), kind.heading);
        assert!(!page.has(".inner form") && page.words().contains("Only people with permission to change providers can go on"));
        assert!(t.admin().get(&path).await.has(".open .inner a[href='/explain']"), "{}", kind.id);
    }
    let page = t.viewer().get("/walkthroughs").await;
    assert_eq!(page.text(".tasks b").lines().count(), 10);
    assert!(page.text(".tasks small").contains("Last touched by Maija Korhonen"));
}

#[tokio::test]
async fn what_was_typed_stays_and_every_mistake_is_named() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/walkthroughs/new?template=shared-mailbox").await;
    let over = [
        ("address", "info at contoso"),
        ("account", "maija@contoso.test"),
        ("name", "Not A Name"),
    ];
    let page = send(&mut admin, &page, "/walkthroughs/new", &over).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("title").starts_with("Error: "), "{}", page.text("title"));
    assert_eq!(page.text(".summary li").lines().count(), 2, "{}", page.text(".summary"));
    assert_eq!(page.attribute("#address", "value").as_deref(), Some("info at contoso"));
    assert_eq!(page.attribute("#account", "value").as_deref(), Some("maija@contoso.test"));
    assert_eq!(t.count("SELECT COUNT(*) FROM walkthroughs").await, 0);
}

#[tokio::test]
async fn another_person_goes_on_where_the_first_one_stopped() {
    let t = TestApp::start().await;
    let path = start(&t, "google-user").await;
    press(&mut t.admin(), &path, "google-project", "done", 1).await;
    t.clock.advance(600);
    let other = t.add_user(Role::Admin, "Aino Virtanen").await;
    let mut other = t.browser_with(&other);
    let page = other.get(&path).await;
    assert!(
        page.text(".task").contains("Maija Korhonen says it's done"),
        "{}",
        page.text(".task")
    );
    assert_eq!(page.text(".open b"), "2. Set up the consent screen", "the next one is open");
    // Any step that can be begun may be: also one further down.
    let page = press(&mut other, &path, "google-imap", "done", 7).await;
    assert!(
        page.text(".flash").contains("step 7 is done, as you say"),
        "{}",
        page.text(".flash")
    );
    assert!(page.text(".task").contains("Aino Virtanen says it's done"));
    let page = t.viewer().get("/walkthroughs").await;
    assert!(page.text(".tasks").contains("2 of 10") && page.text(".tasks").contains("Last touched by Aino Virtanen"));
    let said = t
        .count("SELECT COUNT(*) FROM audit WHERE action = 'walkthrough.step' AND actor = 'user:aino.virtanen@contoso.test'")
        .await;
    assert_eq!(said, 1, "who did it is in the audit");
    // It can be taken back, and then it is open again.
    let page = press(&mut other, &path, "google-imap", "undone", 7).await;
    assert!(page.text(".open .st").contains("Not started"), "{}", page.text(".open"));
}

#[tokio::test]
async fn a_step_that_waits_names_what_for_and_is_no_link() {
    let t = TestApp::start().await;
    let path = start(&t, "microsoft-user").await;
    let page = t.admin().get(&path).await;
    let later = page.text(".task.later");
    assert!(
        later.contains("Waits for step 1, Register the app") && later.contains("Can't start yet"),
        "{later}"
    );
    assert!(!page.has(&format!("a[href='{path}?step=7']")));
    assert!(
        !t.admin().get(format!("{path}?step=7")).await.has(".inner"),
        "nor opened by its address"
    );
    assert!(
        page.text("#redirect").ends_with("/oauth/callback/microsoft"),
        "{}",
        page.text("#redirect")
    );
}

#[tokio::test]
async fn a_form_of_an_earlier_state_changes_nothing() {
    let t = TestApp::start().await;
    let path = start(&t, "google-user").await;
    let mut admin = t.admin();
    let seen = version(&admin.get(&path).await);
    press(&mut t.admin(), &path, "google-imap", "done", 7).await;
    let rows = super::safe::rows(&t).await;
    for (act, more) in [("done", vec![]), ("undone", vec![]), ("send", vec![("to", "it@contoso.test")])] {
        let mut fields = vec![("version", seen.as_str())];
        fields.extend(more);
        let page = admin.submit(&format!("{path}/steps/google-project/{act}"), &fields).await;
        assert!(
            page.text(".flash").contains("Maija Korhonen changed this walkthrough meanwhile"),
            "{act}: {}",
            page.words()
        );
    }
    assert_eq!(super::safe::rows(&t).await, rows);
}

#[tokio::test]
async fn nobodys_word_is_taken_for_what_the_console_can_prove() {
    let t = TestApp::start().await;
    let path = start(&t, "microsoft-user").await;
    let page = t.admin().get(&path).await;
    assert!(!page.has("form[action$='/register/done']"));
    let version = version(&page);
    let page = t
        .admin()
        .submit(&format!("{path}/steps/register/done"), &[("version", &version)])
        .await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    let page = t.admin().submit(&format!("{path}/steps/register/check"), &[]).await;
    assert!(
        page.text(".flash").contains("There is no provider here yet"),
        "{}",
        page.text(".flash")
    );
    assert!(t.admin().get(&path).await.text(".open .st").contains("Not started"));
}

#[tokio::test]
async fn a_step_is_sent_with_every_value_and_waits_until_it_is_taken_back() {
    let t = TestApp::start().await;
    let path = start(&t, "shared-mailbox").await;
    let mut admin = t.admin();
    let seen = version(&admin.get(format!("{path}?step=2")).await);
    let fields = [("version", seen.as_str()), ("to", "exchange@contoso.test")];
    let page = admin.post(&format!("{path}/steps/delegate/send"), &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let words = page.text("#words");
    for said in [
        "Maija Korhonen sets up our mail console",
        "You need no account there",
        "Add-MailboxPermission -Identity 'support@contoso.test' -User 'maija@contoso.test' -AccessRights FullAccess",
        "When it is done, tell Maija Korhonen",
    ] {
        assert!(words.contains(said), "{words}");
    }
    let mail = page.attribute("a[href^='mailto:']", "href").unwrap();
    assert!(mail.starts_with("mailto:exchange%40contoso.test?subject="), "{mail}");
    let page = admin.get(format!("{path}?step=2")).await;
    assert!(page.text(".open .st").contains("Waiting for someone else"));
    assert!(
        page.text(".open .note").contains("Sent to exchange@contoso.test"),
        "{}",
        page.text(".open .note")
    );
    assert!(
        t.viewer()
            .get("/walkthroughs")
            .await
            .text(".tasks")
            .contains("Waiting for exchange@contoso.test")
    );
    let page = press(&mut admin, &path, "delegate", "back", 2).await;
    assert!(page.text(".open .st").contains("Not started"), "{}", page.text(".open"));
}

#[tokio::test]
async fn forms_come_back_to_the_walkthrough_and_to_nowhere_else() {
    let t = TestApp::start().await;
    let path = start(&t, "other").await;
    let mut admin = t.admin();
    let page = admin.get(&path).await;
    let form = page.attribute(".open a[href^='/providers/new?']", "href").unwrap();
    for (name, back, to) in [
        ("mail", "", Some(format!("{path}?step=1"))),
        ("evil", "https://evil.example/", Some("/providers/evil".to_owned())),
        (
            "evil-2",
            "//evil.example/walkthroughs/x?step=1",
            Some("/providers/evil-2".to_owned()),
        ),
    ] {
        let page = admin.get(&form).await;
        let mut over = vec![
            ("name", name),
            ("client_id", "console"),
            ("client_secret", "canary-client-secret-of-the-app"),
            ("authorize_url", "http://127.0.0.1:9/authorize"),
            ("token_url", "http://127.0.0.1:9/token"),
            ("act", "save"),
        ];
        if !back.is_empty() {
            over.push(("back", back));
        }
        let page = send(&mut admin, &page, "/providers/new", &over).await;
        assert_eq!(page.location(), to, "{}", page.words());
    }
    let page = admin.get(&path).await;
    assert!(
        page.has("dl.kv a[href='/providers/mail']"),
        "the provider was taken: {}",
        page.text("dl.kv")
    );
}

#[tokio::test]
async fn a_deleted_provider_shows_and_a_deleted_walkthrough_takes_nothing_along() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let name = t.app.store.provider_names().await.unwrap().remove(0);
    let fields = [("template", "replace-secret"), ("provider", name.as_str())];
    let kept = admin.post("/walkthroughs/new", &fields).await.location().unwrap();
    let path = admin.post("/walkthroughs/new", &fields).await.location().unwrap();
    assert!(admin.get(&path).await.text(".task").contains(&format!("Provider {name}")));
    let page = admin.submit(&format!("{kept}/delete"), &[]).await;
    assert!(page.text(".flash").contains("What came of it stays"), "{}", page.words());
    assert_eq!(admin.get(&kept).await.status, StatusCode::NOT_FOUND);
    assert_eq!(t.count("SELECT COUNT(*) FROM providers").await, 1);

    let provider = t.app.store.providers().await.unwrap().remove(0);
    let mut tx = t.app.store.begin().await.unwrap();
    for token in t.app.store.tokens_of(&provider.id).await.unwrap() {
        tx.delete_token(&token.id).await.unwrap();
    }
    tx.delete_provider(&provider.id).await.unwrap();
    tx.commit().await.unwrap();
    let page = t.viewer().get(format!("{path}?step=1")).await;
    assert!(page.text(".open .st").contains("There is a problem"), "{}", page.text(".open"));
    assert!(page.text(".open .note").contains("It was last true"), "{}", page.text(".open"));
}

#[tokio::test]
async fn the_way_to_a_walkthrough_stands_where_people_begin() {
    let t = TestApp::start().await;
    assert!(t.admin().get("/providers").await.has("main a[href='/walkthroughs']"));
    for (card, template) in [
        ("microsoft", "microsoft-user"),
        ("microsoft-certificate", "microsoft-certificate"),
        ("google-service", "google-service"),
        ("custom", "other"),
    ] {
        let page = t.admin().get(format!("/providers/new?card={card}")).await;
        let link = format!("a[href='/walkthroughs/new?template={template}']");
        assert_eq!(page.text(&link), "Do this step by step instead", "{card}");
    }
}
