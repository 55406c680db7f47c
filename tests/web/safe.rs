//! Looking changes nothing, however one looks.

use super::real_things::Things;
use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::Method;
use sqlx::{Column, Row};
use std::collections::BTreeSet;

/// What looking may change: when a session was last used, and the entry that says who looked into a mailbox. (That a link was opened
/// is noted with the link; it is used up by its button alone.)
const MAY_CHANGE: [&str; 4] = ["sessions", "audit", "audit_head", "users"];

/// Every row of every other table.
pub async fn rows(t: &TestApp) -> BTreeSet<String> {
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
    let things = Things::make().await;
    let Things { t, provider, server, .. } = &things;
    let admin = t.admin();
    let before = rows(t).await;
    assert!(before.len() > 12, "{before:#?}");
    let asked = (provider.heard().len(), server.connections());
    for route in mailgrant::web::all().list() {
        if route.method != Method::GET {
            continue;
        }
        let path = things.address(route.path);
        let name = path.split('/').nth(2).unwrap_or_default();
        for method in [Method::GET, Method::HEAD] {
            for mut browser in [admin.clone(), t.anonymous()] {
                // As somebody would who hopes that a link does it.
                let address = format!("{path}?act=save&confirm=1&name={name}&defaults=1&login_only=1");
                browser.send(method.clone(), &address, &[], Body::empty()).await;
                let after = rows(t).await;
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
