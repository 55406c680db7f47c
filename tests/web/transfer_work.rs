//! Imports at work: what becomes of one whose sender left, and of the reason why one stopped.

use super::transfer::{apply, preview};
use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::Method;
use std::time::Duration;

const TABLE: &str = "address;incoming.host;incoming.auth\ninfo@contoso.com;imap.contoso.com;password\n";

/// A browser that was closed in the wrong moment must not leave an import that nobody can go on with until the console starts again.
#[tokio::test]
async fn an_import_whose_sender_left_is_not_under_way_for_ever() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (address, page) = preview(&mut admin, TABLE, "skip").await;
    let fields = page.form(&format!("{address}/apply"));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // The database is busy, and the browser doesn't wait for it.
    let busy = t.app.store.begin().await.unwrap();
    let sent = tokio::time::timeout(Duration::from_millis(400), admin.post_raw(format!("{address}/apply"), &fields)).await;
    assert!(sent.is_err(), "it waits for the database");
    drop(busy);
    t.app.tasks.close();
    t.app.tasks.wait().await;
    let page = admin.get(&address).await;
    assert!(page.words().contains("What was imported"), "{}", page.words());
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 1);
    assert_eq!(t.count("SELECT COUNT(*) FROM imports WHERE owner IS NOT NULL").await, 0);
}

/// Whoever comes to see why it stopped may be the second who looks: a prefetch or another tab was there before.
#[tokio::test]
async fn why_an_import_stopped_stays_until_somebody_begins_anew() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (address, _) = preview(&mut admin, TABLE, "skip").await;
    sqlx::query("UPDATE imports SET failed = 'the disk is full'")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    admin.send(Method::HEAD, &address, &[], Body::empty()).await;
    for _ in 0..2 {
        let page = admin.get(&address).await;
        assert!(page.text(".flash").contains("the disk is full"), "{}", page.words());
    }
    let page = admin.get(&address).await;
    let done = apply(&mut admin, &address, &page).await;
    assert!(!done.words().contains("the disk is full"), "{}", done.words());
    assert!(!admin.get(&address).await.words().contains("the disk is full"));
}
