//! Dates of many sign-ins: each is on one page, and pages stay quick.

use super::{ends_on, furnished, read};
use crate::support::app::TestApp;
use crate::support::databases::new_postgres;
use crate::support::page::Page;
use axum::http::StatusCode;
use jiff::tz::TimeZone;
use mailgrant::actions::expiry::{Apps, expiring_together};
use std::time::Instant;

/// Tokens of an app in testing with a mailbox each, from 0 to `$1`; every three of them were signed in for in the same second, six days ago
/// and less.
const TOKENS: &str =
    "INSERT INTO tokens (id, name, provider_id, grant_type, account, scopes, prompt, shared, version, created_at, updated_at)
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
    SELECT 'id' || i, 'box-' || i, provider_id, grant_type, 'box-' || i || '@contoso.test', scopes, prompt, 0, 1, created_at, updated_at
    FROM n, tokens WHERE tokens.name = 'support'";
const GRANTS: &str = "INSERT INTO grants (token_id, state, generation, rt_current, authorized_at)
    SELECT id, 'active', 1, 'sealed', 1794729600 + CAST(SUBSTR(name, 5) AS BIGINT) / 3 FROM tokens WHERE name LIKE 'box-%'";
const MAILBOXES: &str =
    "INSERT INTO mailboxes (id, name, address, display_name, enabled, tags, bcc, state, changed_at, version, created_at,
                                               incoming_protocol, incoming_token_id, checked_at)
    SELECT id, name, account, '', CASE WHEN id LIKE '%7' THEN 0 ELSE 1 END, '[]', '[]', CASE WHEN id LIKE '%7' THEN 4 ELSE 3 END, 1, 1, 1,
           'imap', id, 1 FROM tokens WHERE name LIKE 'box-%'";

async fn with_many(t: &TestApp, many: i64) {
    sqlx::query(TOKENS).bind(many).execute(t.app.store.raw_pool()).await.unwrap();
    for sql in [GRANTS, MAILBOXES] {
        sqlx::query(sql).execute(t.app.store.raw_pool()).await.unwrap();
    }
}

/// Every row from the first page to the last, and back again.
async fn walked(t: &TestApp, path: &str) -> Vec<String> {
    let mut viewer = t.viewer();
    let titles = |page: &Page| {
        page.text("tbody tr td:first-child a")
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (mut all, mut pages) = (Vec::new(), Vec::new());
    let mut page = viewer.get(path).await;
    loop {
        all.extend(titles(&page));
        pages.push((titles(&page), page.text(".pager span")));
        match page.attribute(".pager a[rel=next]", "href") {
            Some(next) => page = viewer.get(&next).await,
            None => break,
        }
    }
    pages.pop();
    while let Some(earlier) = pages.pop() {
        page = viewer.get(&page.attribute(".pager a[rel=prev]", "href").unwrap()).await;
        assert_eq!((titles(&page), page.text(".pager span")), earlier, "back again it is the same page");
    }
    assert!(!page.has(".pager a[rel=prev]"));
    all
}

#[tokio::test]
async fn however_many_dates_each_is_on_one_page_and_in_the_files() {
    let t = furnished().await;
    with_many(&t, 130).await;
    let all = walked(&t, "/expiry").await;
    let mut each = all.clone();
    each.sort();
    each.dedup();
    assert_eq!((all.len(), each.len()), (133, 133), "130 sign-ins, a secret and two links");
    for row in [
        "Sign-in of box-0@contoso.test",
        "Sign-in of box-129@contoso.test",
        "Client secret of contoso",
        "Secret link of contoso",
    ] {
        assert!(each.iter().any(|title| title == row), "{row}");
    }
    let last = t.viewer().get("/expiry?after=9999999999.0.x&n=51").await;
    assert_eq!(last.location().as_deref(), Some("/expiry"), "what was there is gone");
    let only = walked(&t, "/expiry?kind=fixed-sign-in&within=7").await;
    assert_eq!(only.len(), 130);
    assert!(only.iter().all(|title| title.starts_with("Sign-in of ")));
    let csv = t.viewer().post("/expiry/dates.csv", &[]).await.body;
    assert_eq!(csv.lines().count(), 134, "a head and every date");
    assert!(
        csv.contains("Sign-in of box-7@contoso.test,fixed-sign-in,contoso,box-7,box-7@contoso.test,1,2026-11-22,"),
        "{csv}"
    );
    assert!(
        csv.lines().filter(|line| line.ends_with(",1,1")).count() == 13,
        "those that are turned off are told apart"
    );
    assert_eq!(read(&t.viewer().post("/expiry/calendar.ics", &[]).await.body).len(), 133);
    // The overview names the group, and counts what is turned off apart.
    let overview = t.viewer().get("/").await;
    assert_eq!(overview.text("#o-dates .more"), "All 133 dates");
    assert_eq!(overview.text(".runway li").lines().count(), 6);
    let cause = overview.text(".todo li");
    assert!(
        cause.contains("130 sign-ins of contoso end, the first tomorrow") && cause.contains("Used by 130 mailboxes, 13 turned off."),
        "{cause}"
    );
    let apps = Apps::read(&t.app).await.unwrap();
    let metrics = expiring_together(&t.app, &apps, 90, &TimeZone::UTC).await.unwrap();
    assert_eq!(metrics.len(), 2, "few, however many sign-ins there are: {metrics:?}");
}

/// Ten thousand tokens with a mailbox each. Prints times:
/// `cargo test --test main web::expiry::many -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "prints times"]
async fn pages_of_ten_thousand_dates_and_findings() {
    for url in [None, new_postgres().await] {
        let settings: Vec<(&str, &str)> = url.as_deref().map(|url| ("MAILGRANT_DATABASE_URL", url)).into_iter().collect();
        let t = TestApp::start_with(&settings).await;
        t.add_token(true).await;
        ends_on(&t, "2026-12-03").await;
        with_many(&t, 10_000).await;
        for sql in [
            "UPDATE providers SET template = 'google', consent_screen = 'testing'",
            "INSERT INTO findings (mailbox_id, found_at, messages, junk, junk_days, oversized, limit_mb)
             SELECT id, 1795248000, 1234, 3, 7, LENGTH(name), 25 FROM mailboxes",
            "ANALYZE",
        ] {
            sqlx::query(sql).execute(t.app.store.raw_pool()).await.unwrap();
        }
        let mut viewer = t.viewer();
        let page = viewer.get("/expiry").await;
        let next = page.attribute(".pager a[rel=next]", "href").unwrap();
        let late = "/expiry?after=1795337400.3.box-9000&n=9001";
        let findings = viewer.get("/findings").await.attribute(".pager a[rel=next]", "href").unwrap();
        for path in [
            "/expiry",
            &next,
            late,
            "/expiry?within=7",
            "/expiry?kind=sign-in",
            "/expiry/dates.csv",
            "/expiry/calendar.ics",
            "/findings",
            &findings,
            "/",
        ] {
            let mut times = Vec::new();
            for _ in 0..3 {
                let began = Instant::now();
                let page = match path.split_once('.') {
                    Some((_, "csv" | "ics")) => viewer.post(path, &[]).await,
                    _ => viewer.get(path).await,
                };
                times.push(began.elapsed().as_millis());
                assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.words());
            }
            println!("{:?} {:>5} ms first, {:>5} then  {path}", t.app.store.engine(), times[0], times[2]);
        }
    }
}
