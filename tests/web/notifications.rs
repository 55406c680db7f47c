//! `/settings/notifications`: whom to tell, tests of both ways, and what was sent.

use crate::probe::imap_server::PASSWORD;
use crate::probe::smtp_server::Smtpd;
use crate::support::app::{Page, TestApp};
use crate::worker::sink::Hook;
use axum::http::StatusCode;
use mailgrant::app::App;
use mailgrant::model::notices::{Channel, Delivery, DeliveryState, Event};

const PATH: &str = "/settings/notifications";
const LIST: &str = "/settings/notifications/deliveries";

mod again;
mod conflict;
mod dead;
mod waits;

/// The id of a delivery that is there.
pub async fn delivered(app: &App) -> String {
    let now = mailgrant::clock::Clock::now(&*app.clock);
    let one = Delivery {
        id: app.new_id(),
        message: "m1".into(),
        event: Event::Failing,
        channel: Channel::Mail,
        recipient: "ann@contoso.test".into(),
        subject: "hr@contoso.test can't be read since 08:00".into(),
        content: "Mail that arrives isn't fetched.".into(),
        state: DeliveryState::Delivered,
        owner: None,
        attempts: 1,
        created_at: now,
        next_at: now,
        tried_at: Some(now),
        via: "the mailbox support".into(),
        request: "C: EHLO <script>alert(1)</script>".into(),
        reply: "Message: 250 queued".into(),
        problem: None,
        why: String::new(),
    };
    let mut tx = app.store.begin().await.unwrap();
    tx.insert_delivery(&one).await.unwrap();
    tx.commit().await.unwrap();
    one.id
}

/// What a browser sends of the page's form.
fn filled<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("failing_after", "2"), ("security", "none")];
    for event in ["mailbox.failing", "recovered"] {
        fields.extend([("mail_events", event), ("webhook_events", event)]);
    }
    fields.extend_from_slice(more);
    fields
}

async fn version(t: &TestApp) -> String {
    t.app.store.notice_channels().await.unwrap().version.to_string()
}

async fn save(t: &TestApp, more: &[(&str, &str)]) -> Page {
    let version = version(t).await;
    let mut fields = filled(more);
    fields.push(("version", &version));
    t.admin().submit(PATH, &fields).await
}

/// Recipients without anything that sends: nobody would ever hear a word, and everything looks set up.
#[tokio::test]
async fn who_would_get_no_mail_is_told_so_when_it_is_saved_and_a_second_press_is_no_conflict() {
    let t = TestApp::start().await;
    let alone = [("recipients", "ann@contoso.test")];
    let page = save(&t, &alone).await;
    assert!(
        page.text(".flash").contains("Nobody gets mail yet: choose a mailbox that sends"),
        "{}",
        page.words()
    );
    // The same form again, as a double press sends it.
    let mut fields = filled(&alone);
    fields.push(("version", "0"));
    let page = t.admin().submit(PATH, &fields).await;
    assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
    assert_eq!(version(&t).await, "1", "saved once");
    fields.push(("webhook", "https://hooks.example/x"));
    assert_eq!(
        t.admin().post(PATH, &fields).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "an old form with another wish"
    );
    let page = save(&t, &[("recipients", "ann@contoso.test"), ("password", "canary-typed-password")]).await;
    assert!(
        page.words().contains("Enter the server that this password is for"),
        "{}",
        page.words()
    );
}

/// What can't work is said while somebody looks at it, and not on the day that the fallback is needed.
#[tokio::test]
async fn what_could_never_work_is_refused() {
    let t = TestApp::start().await;
    let fallback = [("host", "mail.contoso.test"), ("from", "mg@contoso.test")];
    for (security, port, says) in [
        ("starttls", "465", "Port 465 expects TLS from the start"),
        ("tls", "587", "Port 587 expects STARTTLS"),
    ] {
        let mut fields = filled(&fallback);
        fields.retain(|(name, _)| *name != "security");
        let version = version(&t).await;
        fields.extend([("security", security), ("port", port), ("version", version.as_str())]);
        let page = t.admin().post(PATH, &fields).await;
        assert!(page.text(".summary").contains(says), "{}", page.words());
    }
    for webhook in ["https://.", "https://a..b/x", "https://-a.example/x"] {
        let page = save(&t, &[("webhook", webhook)]).await;
        assert!(
            page.text(".summary").contains("Webhook address can't be used"),
            "{webhook}: {}",
            page.words()
        );
    }
    assert!(t.app.store.notice_channels().await.unwrap().channels.webhook.is_empty());
}

#[tokio::test]
async fn a_refused_form_names_the_fields_and_keeps_what_was_typed_but_no_secret() {
    let t = TestApp::start().await;
    let page = save(
        &t,
        &[
            ("recipients", "ann@contoso.test\nnobody"),
            ("host", "169.254.169.254"),
            ("port", "99999"),
            ("from", "x"),
            ("user", "console"),
            ("password", "canary-typed-password"),
            ("webhook", "http://hooks.example/canary-path"),
            ("secret", "canary-typed-secret"),
            ("quiet_from", "25:00"),
            ("quiet_until", "6:00"),
            ("zone", "Mars/Olympus"),
        ],
    )
    .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("title").starts_with("Error: "), "{}", page.text("title"));
    let summary = page.text(".summary");
    for expected in [
        "nobody isn't one",
        "Port must be between 1 and 65535",
        "must start with https://",
        "like 22:00",
        "Time zone must be a name like Europe/Helsinki",
    ] {
        assert!(summary.contains(expected), "{expected}: {summary}");
    }
    assert!(page.text("#recipients").contains("ann@contoso.test"));
    assert_eq!(page.attribute("#host", "value").as_deref(), Some("169.254.169.254"));
    assert!(!page.body.contains("canary-typed"), "a secret came back");
    assert_eq!(version(&t).await, "0", "nothing is saved");
}

#[tokio::test]
async fn the_secret_is_shown_once_and_then_nowhere() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    let page = save(&t, &[("webhook", &hook.url), ("recipients", "ann@contoso.test")]).await;
    let secret = page.text("#value");
    assert!(secret.starts_with("whsec_"), "{}", page.words());
    let admin = t.admin().get(PATH).await;
    assert!(admin.body.contains("Set, last changed") && !admin.body.contains(&secret[6..]));
    assert_eq!(admin.attribute("#webhook", "value").as_deref(), Some(hook.url.as_str()));
    // Whoever only looks sees where, and not the whole address; and who could change it.
    for mut other in [t.operator(), t.viewer()] {
        let page = other.get(PATH).await;
        assert!(
            !page.body.contains("canary-path-of-the-webhook") && page.body.contains("127.0.0.1"),
            "{}",
            page.words()
        );
        assert!(
            page.words().contains("Ask Maija Korhonen") && page.body.contains("ann@contoso.test"),
            "{}",
            page.words()
        );
        assert!(!page.body.contains("action=\"/settings"), "no form that would be refused");
    }
    let audit = t.admin().get("/audit").await;
    assert!(audit.words().contains("webhook secret changed"), "{}", audit.words());
    assert!(!audit.body.contains("canary-path-of-the-webhook") && !audit.body.contains(&secret[6..]));
    // Another path is another destination.
    let page = save(&t, &[("webhook", &format!("{}/other", hook.url))]).await;
    assert!(page.text("#value").starts_with("whsec_") && page.text("#value") != secret);
}

#[tokio::test]
async fn two_people_at_once_dont_overwrite_each_other() {
    let t = TestApp::start().await;
    save(&t, &[("recipients", "ann@contoso.test")]).await;
    let mut fields = filled(&[("recipients", "bob@contoso.test")]);
    fields.push(("version", "0"));
    let page = t.admin().submit(PATH, &fields).await;
    assert!(page.text(".summary").contains("were changed meanwhile"), "{}", page.words());
    assert!(page.text("#recipients").contains("bob@"));
    assert_eq!(
        t.app.store.notice_channels().await.unwrap().channels.recipients,
        ["ann@contoso.test"]
    );
}

#[tokio::test]
async fn a_test_says_on_the_page_how_it_went_with_the_cause_where_it_failed() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.submit("/settings/notifications/test/mail", &[]).await;
    assert!(
        page.text(".flash").contains("There is nobody to send a test to"),
        "{}",
        page.words()
    );
    let bad = Smtpd::default().start(None).await;
    let hook = Hook::start().await;
    let port = bad.port.to_string();
    let mut with = vec![
        ("recipients", "ann@contoso.test"),
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("from", "console@contoso.test"),
        ("user", "console"),
        ("password", "canary-wrong-password"),
        ("webhook", hook.url.as_str()),
    ];
    save(&t, &with).await;
    let page = admin.submit("/settings/notifications/test/mail", &[]).await;
    assert_eq!(page.text("#tested-h"), "The test didn't get through");
    assert!(page.has(".diagnosis"), "{}", page.words());
    assert!(!page.body.contains("canary-wrong-password"));
    with[5].1 = PASSWORD;
    save(&t, &with).await;
    let page = admin.submit("/settings/notifications/test/mail", &[]).await;
    assert_eq!(page.text("#tested-h"), "The test was delivered", "{}", page.words());
    t.clock.advance(1);
    let page = admin.submit("/settings/notifications/test/webhook", &[]).await;
    assert_eq!(page.text("#tested-h"), "The test was delivered");
    assert_eq!(hook.take().len(), 1);
    hook.answers(401, "who are you? <b>canary</b>");
    t.clock.advance(1);
    let page = admin.submit("/settings/notifications/test/webhook", &[]).await;
    assert!(
        page.text(".diagnosis").contains("The webhook refuses the message"),
        "{}",
        page.words()
    );
    assert!(!page.body.contains("<b>canary"), "what the other side said is text");

    // Each is in the list, opens, and can be sent again.
    let list = admin.get(LIST).await;
    assert_eq!(list.body.matches("Test from Mailgrant").count(), 4, "{}", list.words());
    let failed = admin.get(format!("{LIST}?state=failed")).await;
    assert_eq!(failed.body.matches("Test from Mailgrant").count(), 2);
    let href = list.attribute("tbody a", "href").unwrap();
    let one = admin.get(&href).await;
    assert!(
        one.words().contains("HTTP 401") && one.words().contains("webhook-id: msg_"),
        "{}",
        one.words()
    );
    hook.answers(200, "ok");
    let again = admin.submit(format!("{href}/again"), &[]).await;
    assert!(again.text(".flash").contains("Sent again, and delivered"), "{}", again.words());
    let calls = hook.take();
    assert_eq!(calls[0].id, calls[1].id, "who has it already knows it by its id");
    let audit = admin.get("/audit").await;
    assert!(audit.words().contains("Sent a notification again") && audit.words().contains("Sent a test notification"));
}

#[tokio::test]
async fn deliveries_are_paged_and_what_is_in_them_is_text() {
    let t = TestApp::start().await;
    let empty = t.viewer().get(LIST).await;
    assert!(empty.words().contains("Nothing was sent yet"));
    let mut id = String::new();
    for _ in 0..53 {
        id = delivered(&t.app).await;
    }
    let page = t.viewer().get(LIST).await;
    assert_eq!(page.body.matches("<tr><td").count(), 50);
    let next = page.attribute("a[rel=next]", "href").unwrap();
    assert_eq!(t.viewer().get(&next).await.body.matches("<tr><td").count(), 3);
    // One that could be sent again, by somebody else.
    save(&t, &[("recipients", "ann@contoso.test")]).await;
    sqlx::query("UPDATE deliveries SET state = 'failed'")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let one = t.viewer().get(format!("{LIST}/{id}")).await;
    assert!(!one.body.contains("<script>alert") && one.words().contains("EHLO"));
    assert!(one.words().contains("Ask Maija Korhonen"), "{}", one.words());
    assert_eq!(t.viewer().get(format!("{LIST}/none")).await.status, StatusCode::NOT_FOUND);
}
