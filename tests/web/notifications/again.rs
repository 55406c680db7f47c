//! *Send again*: only what was given up, once however often it is pressed, and as the same message.

use super::{LIST, save};
use crate::probe::smtp_server::Smtpd;
use crate::support::app::TestApp;
use crate::worker::sink::Hook;
use mailgrant::model::notices::DeliveryState;
use mailgrant::model::user::Role;

async fn newest(t: &TestApp) -> (String, DeliveryState) {
    let one = t.app.store.deliveries(None, None, 1).await.unwrap().remove(0);
    (one.id, one.state)
}

/// A test that the webhook refused: its page.
async fn refused(t: &TestApp, hook: &Hook) -> String {
    save(t, &[("webhook", &hook.url), ("recipients", "ann@contoso.test")]).await;
    hook.answers(401, "no");
    t.admin().submit("/settings/notifications/test/webhook", &[]).await;
    hook.take();
    format!("{LIST}/{}", newest(t).await.0)
}

#[tokio::test]
async fn pressed_twice_or_on_an_old_page_it_is_sent_once() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    let path = refused(&t, &hook).await;
    assert!(t.admin().get(&path).await.has("form[action$='/again']"));
    hook.answers(204, "");
    // Two people: what is told once is told to a session.
    let (mut one, mut other) = (t.admin(), t.browser_with(&t.add_user(Role::Admin, "Second").await));
    one.get(&path).await;
    other.get(&path).await;
    let again = format!("{path}/again");
    let (first, second) = tokio::join!(one.submit(&again, &[]), other.submit(&again, &[]));
    let flashes = [first.text(".flash"), second.text(".flash")];
    assert_eq!(hook.take().len(), 1, "{flashes:?}");
    assert!(
        flashes.iter().any(|flash| flash.contains("Sent again, and delivered")),
        "{flashes:?}"
    );
    assert!(flashes.iter().any(|flash| flash.contains("Nothing was sent. It ")), "{flashes:?}");
    let old = t.admin().submit(&again, &[]).await;
    assert!(
        old.text(".flash")
            .contains("Nothing was sent. It was delivered, so it isn't sent again."),
        "{}",
        old.words()
    );
    assert!(!old.has("form[action$='/again']") && old.words().contains("It was delivered"));
    assert!(hook.take().is_empty());
    assert_eq!(
        t.app.store.deliveries(None, None, 10).await.unwrap().len(),
        1,
        "it stays one delivery"
    );
    assert_eq!(t.count("SELECT COUNT(*) FROM audit WHERE action = 'notice.send_again'").await, 1);
}

#[tokio::test]
async fn what_waits_or_is_under_way_is_not_sent_beside_itself() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    let path = refused(&t, &hook).await;
    for (state, words) in [
        ("waiting", "waiting for its next try"),
        ("sending", "being sent already"),
        ("handing", "being sent already"),
        ("delivered", "It was delivered"),
    ] {
        let sql = format!("UPDATE deliveries SET state = '{state}'");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(t.app.store.raw_pool()).await.unwrap();
        let page = t.admin().submit(format!("{path}/again"), &[]).await;
        assert!(page.text(".flash").contains(words), "{state}: {}", page.words());
        assert!(!page.has("form[action$='/again']"), "{state}");
        assert_eq!(newest(&t).await.1.as_str(), state);
    }
    assert!(hook.take().is_empty());
    assert_eq!(t.count("SELECT COUNT(*) FROM audit WHERE action = 'notice.send_again'").await, 0);
}

/// Whoever has it already can know it: the Message-ID is what mail programs and lists look at.
#[tokio::test]
async fn a_mail_whose_fate_is_unknown_is_sent_again_as_the_same_message() {
    let t = TestApp::start().await;
    let smtpd = Smtpd {
        taken: "close".into(),
        ..Smtpd::default()
    };
    let messages = smtpd.messages.clone();
    let server = smtpd.start(None).await;
    let port = server.port.to_string();
    let mut with = vec![
        ("recipients", "ann@contoso.test"),
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("from", "console@contoso.test"),
    ];
    save(&t, &with).await;
    t.admin().submit("/settings/notifications/test/mail", &[]).await;
    let (id, state) = newest(&t).await;
    assert_eq!(state, DeliveryState::Unknown);
    let path = format!("{LIST}/{id}");
    assert!(t.admin().get(&path).await.words().contains("It may have arrived"));
    let page = t.admin().submit(format!("{path}/again"), &[]).await;
    assert!(page.text(".flash").contains("again no answer came"), "{}", page.words());
    let got = messages.lock().unwrap().clone();
    let ids: Vec<&str> = got
        .iter()
        .filter_map(|mail| mail.lines().find(|line| line.starts_with("Message-ID: ")))
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);

    // Who was removed gets it only after being put back.
    with[0].1 = "bob@contoso.test";
    save(&t, &with).await;
    let page = t.admin().submit(format!("{path}/again"), &[]).await;
    assert!(
        page.text(".flash")
            .contains("To send it again, add ann@contoso.test under Recipients first."),
        "{}",
        page.words()
    );
    assert_eq!(messages.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_dropped_says_why_in_the_list_and_on_its_page() {
    let t = TestApp::start().await;
    let hook = Hook::start().await;
    let path = refused(&t, &hook).await;
    sqlx::query("UPDATE deliveries SET state = 'waiting'")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    save(&t, &[("webhook", "")]).await;
    for page in [t.viewer().get(LIST).await, t.viewer().get(&path).await] {
        assert!(page.words().contains("The webhook was removed."), "{}", page.words());
    }
    let page = t.admin().submit(format!("{path}/again"), &[]).await;
    assert!(page.text(".flash").contains("There is no webhook"), "{}", page.words());
}
