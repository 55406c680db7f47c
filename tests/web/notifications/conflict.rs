//! Two who change whom to tell at the same time, and the console that does.

use super::{PATH, filled, save};
use crate::support::app::{Page, TestApp};
use crate::worker::sink::Hook;
use axum::http::StatusCode;

/// The form as it came back, sent again.
fn sent(page: &Page) -> Vec<(String, String)> {
    page.form(PATH).into_iter().filter(|(name, _)| name != "csrf_token").collect()
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn what_somebody_else_saved_is_told_and_saving_again_puts_mine_in_its_place() {
    let t = TestApp::start().await;
    save(&t, &[("recipients", "ann@contoso.test")]).await;
    let mine = sent(&t.admin().get(PATH).await);
    save(
        &t,
        &[("recipients", "bob@contoso.test"), ("quiet_from", "22:00"), ("quiet_until", "6:00")],
    )
    .await;
    let mine: Vec<(String, String)> = mine
        .into_iter()
        .map(|(name, value)| {
            if name == "failing_after" {
                (name, "5".into())
            } else {
                (name, value)
            }
        })
        .collect();
    let page = t.admin().post(PATH, &pairs(&mine)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.text(".summary li").ends_with("Save again to put yours in place of that"),
        "{}",
        page.words()
    );
    let told = page.text("#meanwhile");
    assert!(
        told.contains("Maija Korhonen") && told.contains("bob@contoso.test") && told.contains("22:00"),
        "{told}"
    );
    assert_eq!(page.text("#recipients"), "ann@contoso.test", "mine is still there");
    let page = t.admin().submit(PATH, &pairs(&sent(&page))).await;
    assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
    assert_eq!(
        t.app.store.notice_channels().await.unwrap().channels.recipients,
        ["ann@contoso.test"]
    );
    assert_eq!(page.attribute("#failing_after", "value").as_deref(), Some("5"));
}

/// An address that can't be opened can't be shown either. Whoever changes something else must not remove the webhook with it.
#[tokio::test]
async fn an_address_that_cant_be_opened_stays_where_it_is() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    save(&t, &[("webhook", &hook.url)]).await;
    let before = t.app.store.notice_channels().await.unwrap();
    sqlx::query("UPDATE notice_channels SET webhook_address = REPLACE(webhook_address, 'v1.', 'v9.')")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let page = t.admin().get(PATH).await;
    assert!(page.text(".summary").contains("the stored one can't be opened"), "{}", page.words());
    let mut fields = sent(&page);
    for (name, value) in &mut fields {
        if name == "quiet_from" || name == "quiet_until" {
            *value = if name == "quiet_from" { "22:00" } else { "6:00" }.to_owned();
        }
    }
    let page = t.admin().submit(PATH, &pairs(&fields)).await;
    assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
    let after = t.app.store.notice_channels().await.unwrap();
    assert!(after.channels.quiet.is_some());
    assert_eq!(
        (after.channels.webhook, after.webhook_secret),
        (before.channels.webhook, before.webhook_secret)
    );
    assert!(after.webhook_address.is_some());
}

/// Secrets don't come back in a page. Were that not said, the next save would keep the old ones under "Notifications saved".
#[tokio::test]
async fn a_secret_that_was_typed_is_asked_for_again_when_the_form_comes_back() {
    let t = TestApp::start().await;
    let fallback = [
        ("host", "127.0.0.1"),
        ("from", "mg@contoso.test"),
        ("user", "mg"),
        ("password", "canary-old"),
    ];
    let page = save(&t, &fallback).await;
    assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
    let mut mine = sent(&t.admin().get(PATH).await);
    for (name, value) in &mut mine {
        if name == "password" {
            *value = "canary-new".to_owned();
        }
    }
    let mut wrong = mine.clone();
    for (name, value) in &mut wrong {
        if name == "quiet_from" {
            *value = "late".to_owned();
        }
    }
    let mut theirs = fallback.to_vec();
    theirs[3] = ("recipients", "bob@contoso.test");
    save(&t, &theirs).await;
    for fields in [wrong, mine] {
        let page = t.admin().post(PATH, &pairs(&fields)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text(".summary").contains("Enter the password again"), "{}", page.words());
        assert!(
            page.has("details[open] #password") && !page.body.contains("canary-"),
            "{}",
            page.words()
        );
    }
}

/// The number of failed checks is kept elsewhere than the rest: a save of it must not be lost under "saved".
#[tokio::test]
async fn who_changes_only_the_number_of_failed_checks_is_told_too() {
    let t = TestApp::start().await;
    save(&t, &[("recipients", "ann@contoso.test")]).await;
    let mine = sent(&t.admin().get(PATH).await);
    let with = |number: &str| -> Vec<(String, String)> {
        let kept = mine.iter().filter(|(name, _)| name != "failing_after").cloned();
        kept.chain([("failing_after".to_owned(), number.to_owned())]).collect()
    };
    let first = t.admin().submit(PATH, &pairs(&with("5"))).await;
    assert!(first.text(".flash").contains("Notifications saved"), "{}", first.words());
    let again = t.admin().submit(PATH, &pairs(&with("5"))).await;
    assert!(again.text(".flash").contains("Notifications saved"), "pressed twice");
    let other = t.admin().post(PATH, &pairs(&with("8"))).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        other.attribute("#failing_after", "value").as_deref(),
        Some("8"),
        "mine is still there"
    );
}

#[tokio::test]
async fn what_the_console_did_itself_is_not_said_of_somebody_else() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    save(&t, &[("webhook", &hook.url)]).await;
    let mut mine = filled(&[("recipients", "ann@contoso.test"), ("webhook", &hook.url)]);
    let form = t.admin().get(PATH).await;
    let (version, seen) = (
        form.attribute("input[name=version]", "value").unwrap(),
        form.attribute("input[name=seen]", "value").unwrap(),
    );
    mine.extend([("version", version.as_str()), ("seen", seen.as_str())]);
    hook.answers(410, "gone");
    t.admin().submit("/settings/notifications/test/webhook", &[]).await;
    let page = t.admin().post(PATH, &mine).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.text(".summary").contains("omebody"), "{}", page.words());
    assert_eq!(page.text("#meanwhile li b"), "The console");
    assert_eq!(page.text("#meanwhile li p"), "webhook turned off: HTTP 410");
    let page = t.admin().submit(PATH, &pairs(&sent(&page))).await;
    assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
    let channels = t.app.store.notice_channels().await.unwrap().channels;
    assert!(channels.webhook_off.is_some() && channels.recipients == ["ann@contoso.test"]);
}
