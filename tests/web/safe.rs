//! Looking changes nothing, however one looks.

use super::authorize::{begin, house, signed_in};
use crate::probe::imap_server::Imapd;
use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::Method;
use sqlx::{Column, Row};
use std::collections::BTreeSet;

/// What looking may change: when a session was last used, and the entry that says who looked into a mailbox. (That a link was opened
/// is noted with the link; it is used up by its button alone.)
const MAY_CHANGE: [&str; 4] = ["sessions", "audit", "audit_head", "users"];

/// Every row of every other table.
async fn rows(t: &TestApp) -> BTreeSet<String> {
    let pool = t.app.store.raw_pool();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_sqlx%' ESCAPE '\\'")
            .fetch_all(pool)
            .await
            .unwrap();
    assert!(tables.contains(&"grants".to_owned()), "{tables:?}");
    let mut all = BTreeSet::new();
    for table in tables.into_iter().filter(|table| !MAY_CHANGE.contains(&table.as_str())) {
        let select = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(select).fetch_all(pool).await.unwrap() {
            let mut text = table.clone();
            for column in row.columns().iter().filter(|column| column.name() != "opened_at") {
                let at = column.ordinal();
                let number = |at| row.try_get::<Option<i64>, _>(at).map(|value| format!("{value:?}"));
                let value = row
                    .try_get::<Option<String>, _>(at)
                    .map(|value| format!("{value:?}"))
                    .or_else(|_| number(at));
                text.push_str(&format!(" {}={}", column.name(), value.unwrap_or_else(|error| error.to_string())));
            }
            all.insert(text);
        }
    }
    all
}

#[tokio::test]
async fn no_page_changes_anything_by_being_looked_at() {
    let (t, provider) = house().await;
    signed_in(&t, &provider).await;
    let server = Imapd::default().start(None).await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let mut admin = t.admin();
    let page = admin.submit("/mailboxes/hr/test/incoming", &[("defaults", "1")]).await;
    assert!(page.text("title").starts_with("Passed"), "{}", page.words());
    let runs: Vec<String> = sqlx::query_scalar("SELECT id FROM runs")
        .fetch_all(t.app.store.raw_pool())
        .await
        .unwrap();
    let (attempt, _) = begin(&mut admin, &[]).await;
    admin.get("/tokens/support").await;
    let page = admin.post("/tokens/support/links", &[]).await;
    let link = page.text("#link").rsplit('/').next().unwrap().to_owned();

    let before = rows(&t).await;
    assert!(before.len() > 8, "{before:#?}");
    let asked = (provider.heard().len(), server.connections());
    for route in mailgrant::web::all().list() {
        if route.method != Method::GET {
            continue;
        }
        let name = match route.path.split('/').nth(1).unwrap_or_default() {
            "providers" => "rig",
            "tokens" => "support",
            _ => "hr",
        };
        let mut path = route.path.to_owned();
        for (parameter, value) in [
            ("{name}", name),
            ("{run}", &runs[0]),
            ("{attempt}", attempt.rsplit('/').next().unwrap()),
            ("{direction}", "incoming"),
            ("{provider}", "rig"),
            ("{code}", &link),
        ] {
            path = path.replace(parameter, value);
        }
        for method in [Method::GET, Method::HEAD] {
            for mut browser in [admin.clone(), t.anonymous()] {
                // As somebody would who hopes that a link does it.
                let address = format!("{path}?act=save&confirm=1&name={name}&defaults=1&login_only=1");
                browser.send(method.clone(), &address, &[], Body::empty()).await;
                let after = rows(&t).await;
                let changed: Vec<_> = after.symmetric_difference(&before).collect();
                assert!(changed.is_empty(), "{method} {path}: {changed:#?}");
            }
        }
    }
    assert_eq!(
        (provider.heard().len(), server.connections()),
        asked,
        "nobody outside is asked either"
    );
}
