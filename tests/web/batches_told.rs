//! What the page of a bulk test tells, and how: through proxies, to many at once, after a pause, and where nothing was tested.

use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use mailgrant::worker::{batches, instances};
use std::time::Duration;
use tower::ServiceExt;

/// A bulk test of all that are turned on, which nobody works on yet; its address.
async fn started(t: &TestApp, mailboxes: usize) -> String {
    for number in 0..mailboxes {
        t.add_mailbox(&format!("m{number}"), Some(1), None).await;
    }
    sqlx::query("UPDATE mailboxes SET enabled = 1")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    let mut operator = t.operator();
    let page = operator.get("/tests/new?which=on").await;
    let mut fields = page.form("/tests/new");
    fields.push(("act".into(), "start".into()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = operator.post_raw("/tests/new", &fields).await;
    answer.location().unwrap_or_else(|| panic!("{}", answer.words()))
}

async fn set(t: &TestApp, sql: &'static str) {
    sqlx::query(sql).execute(t.app.store.raw_pool()).await.unwrap();
}

async fn stream(t: &TestApp, path: &str) -> Response {
    let browser = t.viewer();
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = Request::get(format!("{path}/events"))
        .header(header::HOST, &browser.host)
        .header(header::COOKIE, cookies.join("; "))
        .body(Body::empty())
        .unwrap();
    let response = t.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response
}

/// What a stream tells first.
async fn first(response: &mut Response) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(5), response.body_mut().frame())
        .await
        .unwrap();
    String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
}

/// A batch that hundreds look at must not cost hundreds of times the queries; and a proxy must not keep it back.
#[tokio::test]
async fn who_watches_a_bulk_test_hears_it_through_proxies_and_all_hear_the_same_reading() {
    let t = TestApp::start().await;
    let path = started(&t, 2).await;
    let mut one = stream(&t, &path).await;
    assert_eq!(one.headers()["x-accel-buffering"], "no");
    assert!(first(&mut one).await.contains("Running, 0 of 2 tests done"));
    set(&t, "UPDATE batches SET passed = 1").await;
    let mut other = stream(&t, &path).await;
    assert!(
        first(&mut other).await.contains("Running, 0 of 2 tests done"),
        "it was read for both"
    );
    // Not more often than every two seconds.
    let began = tokio::time::Instant::now();
    assert!(first(&mut one).await.contains("Running, 1 of 2 tests done"));
    assert!(began.elapsed() > Duration::from_millis(1200), "{:?}", began.elapsed());
    assert!(
        t.viewer().get(&path).await.words().contains("1 of 2"),
        "a page that is opened is never old"
    );
}

#[tokio::test]
async fn what_is_left_is_reckoned_without_the_time_it_was_held() {
    let t = TestApp::start().await;
    let path = started(&t, 10).await;
    let mut operator = t.operator();
    t.clock.advance(120);
    set(&t, "UPDATE batches SET passed = 5").await;
    assert_eq!(operator.get(&path).await.text("#batch-time"), "about 2 minutes left");
    operator.post(format!("{path}/pause"), &[]).await;
    t.clock.advance(20 * 60);
    operator.post(format!("{path}/go-on"), &[]).await;
    assert_eq!(operator.get(&path).await.text("#batch-time"), "about 2 minutes left");
}

/// "Passed" with a green mark over mailboxes that nobody looked at is a lie somebody may rely on.
#[tokio::test]
async fn a_bulk_test_of_mailboxes_that_are_gone_did_not_pass() {
    let t = TestApp::start().await;
    let path = started(&t, 1).await;
    set(&t, "DELETE FROM mailboxes").await;
    instances::tick(&t.app).await.unwrap();
    for _ in 0..500 {
        batches::tick(&t.app).await.unwrap();
        if t.count("SELECT COUNT(*) FROM batches WHERE finished_at IS NULL").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let page = t.viewer().get(&path).await;
    assert_eq!(page.text("#bar-h"), "Nothing was tested: no mailbox of it is here any more");
    assert!(
        page.text("title").starts_with("Nothing tested: test of 1 mailbox"),
        "{}",
        page.text("title")
    );
    let list = t.viewer().get("/tests").await;
    assert!(
        list.words().contains("Nothing tested") && !list.words().contains("Passed 1 of 1"),
        "{}",
        list.words()
    );
    assert!(!list.has(&format!("a[href='{path}'] .m-ok")), "{}", list.words());
}

/// The page of a bulk test says that it is kept: it has to be found again when ten newer ones have run.
#[tokio::test]
async fn every_bulk_test_that_is_kept_can_be_found() {
    let t = TestApp::start().await;
    let first = started(&t, 1).await;
    let page = t.viewer().get("/tests").await;
    assert!(!page.has("a[href='/tests/batches']"), "one is there in full");
    let row = t.app.store.batches(None, 1).await.unwrap().remove(0);
    let mut tx = t.app.store.begin().await.unwrap();
    for number in 0..60 {
        let copy = mailgrant::model::batch::Batch {
            id: mailgrant::model::BatchId(format!("copy{number:03}")),
            started_at: row.started_at.plus(number / 3),
            ..row.clone()
        };
        tx.insert_batch(&copy, None).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut viewer = t.viewer();
    let page = viewer.get("/tests").await;
    assert_eq!(page.text("section[aria-labelledby=bulk-h] tbody tr").lines().count(), 10);
    assert!(!page.has(&format!("a[href='{first}']")));
    let page = viewer.get(page.attribute("a[href='/tests/batches']", "href").unwrap()).await;
    let links = |page: &crate::support::app::Page| -> Vec<String> {
        let html = scraper::Html::parse_document(&page.body);
        let all = scraper::Selector::parse("tbody a").unwrap();
        html.select(&all).map(|link| link.attr("href").unwrap().to_owned()).collect()
    };
    let mut seen = links(&page);
    assert_eq!(seen.len(), 50);
    let page = viewer.get(page.attribute(".pager a[rel=next]", "href").unwrap()).await;
    assert!(!page.has(".pager a[rel=next]") && page.has(".pager a[href='/tests/batches']"));
    seen.extend(links(&page));
    seen.sort();
    seen.dedup();
    assert!(seen.len() == 61 && seen.contains(&first), "{seen:?}");
    for odd in ["x", "1.", "-5.copy", "1"] {
        let page = viewer.visit(format!("/tests/batches?after={odd}")).await;
        assert_eq!(page.status, StatusCode::OK, "{odd}");
    }
}

/// Where most mailboxes were like that already, few change: what counts is how many were looked at.
#[tokio::test]
async fn an_act_under_way_says_how_many_it_has_looked_at() {
    use mailgrant::actions::mailboxes::bulk::{self, Act};
    let t = TestApp::start().await;
    for number in 0..3 {
        t.add_mailbox(&format!("m{number}"), Some(1), None).await;
    }
    let user = t.app.store.users().await.unwrap().remove(0);
    let actor = mailgrant::model::audit::Actor::console();
    let chosen = mailgrant::store::batches::Chosen::default();
    let id = bulk::begin(&t.app, &actor, &user.id, Act::Pause, "", &chosen).await.unwrap();
    let page = t.admin().get(format!("/bulk/{id}")).await;
    assert!(page.words().contains("0 of 3 looked at so far"), "{}", page.words());
    let left = t.app.store.bulk_left(&id, 1).await.unwrap().remove(0);
    let mut tx = t.app.store.begin().await.unwrap();
    assert!(tx.take_bulk_left(&id, &left).await.unwrap());
    tx.commit().await.unwrap();
    let page = t.admin().get(format!("/bulk/{id}")).await;
    assert!(page.words().contains("1 of 3 looked at so far"), "{}", page.words());
}
