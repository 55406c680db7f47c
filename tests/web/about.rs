//! `/about`: what goes on by itself, and whether the installation is sound.

use crate::support::app::TestApp;
use crate::support::provider::Provider;
use crate::support::records;
use axum::http::StatusCode;
use mailgrant::actions::doctor::{self, Verdict};
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::worker::{self, instances, monitor};

#[tokio::test]
async fn the_checks_of_the_doctor_run_when_somebody_asks_and_their_findings_stay() {
    let t = TestApp::start().await;
    instances::tick(&t.app).await.unwrap();
    monitor::tick(&t.app).await.unwrap();
    let mut operator = t.operator();
    let page = operator.get("/about").await;
    assert!(
        page.words().contains("They have not run since the console started"),
        "{}",
        page.words()
    );
    assert!(page.words().contains("Process"), "an instance that lives is listed");
    assert!(page.has("[data-clock]"), "the browser's clock is compared without any check");
    let answer = operator.submit("/about/check", &[]).await;
    assert!(answer.words().contains("Everything was looked at."), "{}", answer.words());
    // Somebody else sees what was found.
    let mut viewer = t.viewer();
    let page = viewer.get("/about").await;
    let words = page.words();
    for part in ["audit chain", "master key", "database", "work by itself", "clock"] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    let directory = t.data_dir().display().to_string();
    assert!(
        answer.words().contains("What to do:") && answer.words().contains(&directory),
        "{}",
        answer.words()
    );
    assert!(
        !words.contains("What to do:") && !words.contains(&directory),
        "where things lie is for those who work here: {words}"
    );
    let again = operator.submit("/about/check", &[]).await;
    assert!(again.words().contains("less than a minute ago"), "{}", again.words());
    assert!(
        !page.has("form[action='/about/check']") && words.contains("Run the checks: Only people"),
        "{words}"
    );
    let support = page.text("#support");
    assert!(support.contains("worker") || support.contains("sound:"), "{support}");
    assert!(!support.contains('@') && !support.contains("127.0.0.1"), "{support}");
    let refused = viewer.submit("/about/check", &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let rows = t.app.store.audit_rows(5).await.unwrap();
    assert!(rows.iter().any(|row| row.action == "console.check" && row.outcome == "ok"));
}

#[tokio::test]
async fn it_says_to_whom_metrics_are_open() {
    let t = TestApp::start().await;
    assert!(
        t.viewer()
            .get("/about")
            .await
            .words()
            .contains("closed; the settings metrics_listen and metrics_networks open it")
    );
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "192.0.2.0/24")]).await;
    let words = t.viewer().get("/about").await.words();
    assert!(
        words.contains("open to callers from metrics_networks") && !words.contains("192.0.2"),
        "{words}"
    );
}

/// Whoever sets up a watch sees on the page what it will be told, also while the console says that it can't.
#[tokio::test]
async fn it_says_what_machines_that_watch_are_told() {
    let t = TestApp::start().await;
    let told = async |t: &TestApp| {
        let page = t.viewer().get("/about").await;
        let all = page.text("section dd");
        let html = scraper::Html::parse_document(&page.body);
        let terms = scraper::Selector::parse("dt code").unwrap();
        let paths: Vec<String> = html.select(&terms).map(|term| term.text().collect()).collect();
        assert_eq!(paths, ["/health/live", "/health/ready", "/metrics"]);
        all
    };
    assert_eq!(told(&t).await.matches("Says ok").count(), 2);
    t.app.stopping.cancel();
    let ready = t.anonymous().get("/health/ready").await;
    assert!(ready.body.contains("[\"stopping\"]"), "{}", ready.body);
    assert!(told(&t).await.contains("Says unavailable: stopping"));
}

/// Sets the console's clock so many seconds ahead of the true time.
fn set_ahead(t: &TestApp, seconds: i64) {
    let (real, ours) = (SystemClock.now(), t.app.clock.now());
    t.clock.set_by(real.since(ours) + seconds);
}

/// A wrong clock makes renewals late and sign-ins fail far from where the fault is: who can mend it has to see it wherever they are.
#[tokio::test]
async fn a_clock_that_differs_is_told_on_every_page_until_it_is_right() {
    let t = TestApp::start().await;
    let provider = Provider::start(SystemClock.now()).await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&records::provider_at(&provider.url)).await.unwrap();
    tx.commit().await.unwrap();
    let people = t.app.store.users().await.unwrap();
    let person = |name: &str| people.iter().find(|user| user.name.starts_with(name)).unwrap().id.clone();
    let line = async |t: &TestApp, name: &str| {
        let mut browser = t.browser_with(&t.session_for(&person(name)).await);
        browser.get("/mailboxes").await.text(".flash")
    };
    let clock = async |t: &TestApp| {
        let checks = doctor::examine(&t.app).await.unwrap();
        checks.into_iter().find(|check| check.name == "clock").unwrap()
    };

    // Four minutes are nothing.
    set_ahead(&t, 240);
    let found = clock(&t).await;
    assert_eq!((found.verdict, found.detail.as_str()), (Verdict::Ok, "agrees with 127.0.0.1"));
    worker::clock::tick(&t.app).await.unwrap();
    assert_eq!(line(&t, "Maija").await, "");

    // It is set wrong while the console runs.
    set_ahead(&t, -725);
    worker::clock::tick(&t.app).await.unwrap();
    let told = line(&t, "Maija").await;
    let words = "clock differs by 12 minutes: it is behind the one of 127.0.0.1";
    assert!(told.contains(words), "{told}");
    assert_eq!(line(&t, "Vera").await, "", "who can't mend it is not bothered");
    let found = clock(&t).await;
    assert_eq!(found.verdict, Verdict::Warning);
    assert!(found.detail.contains("12 minutes") && found.help.contains("NTP"), "{found:?}");

    // And right again.
    set_ahead(&t, 0);
    worker::clock::tick(&t.app).await.unwrap();
    assert_eq!(line(&t, "Maija").await, "");
}

#[tokio::test]
async fn what_runs_is_named_in_words_with_its_version_and_its_licences() {
    let t = TestApp::start().await;
    let mut viewer = t.viewer();
    let page = viewer.get("/about").await;
    assert!(
        page.text(".head p").contains(&mailgrant::model::build::words()),
        "{}",
        page.text(".head p")
    );
    assert!(page.words().contains("The console makes none by itself"), "{}", page.words());
    let page = viewer.get(page.attribute(".head a", "href").unwrap()).await;
    assert!(
        page.words().contains("tokio") && page.words().contains("SIL Open Font License"),
        "{}",
        page.words()
    );
    // The page and the command have the same checks.
    let found = doctor::examine(&t.app).await.unwrap();
    let clocks = found.iter().filter(|check| check.name == "clock").count();
    assert_eq!(clocks, 1, "once is enough");
    t.operator().submit("/about/check", &[]).await;
    let page = t.operator().get("/about").await.words();
    for check in found {
        assert!(page.contains(&check.name), "{} is missing in {page}", check.name);
    }
}

#[tokio::test]
async fn the_doctor_notices_that_nobody_checks() {
    let t = TestApp::start().await;
    t.add_mailbox("m", Some(1143), None).await;
    let check = async || {
        let found = doctor::examine(&t.app).await.unwrap();
        found.into_iter().find(|check| check.name == "checks of mailboxes").unwrap()
    };
    assert_eq!(check().await.detail, "0 due");
    let due = "UPDATE mailboxes SET enabled = 1, next_check_at = 1795248000 - 7200";
    sqlx::query(due).execute(t.app.store.raw_pool()).await.unwrap();
    let found = check().await;
    assert_eq!(
        (found.verdict, found.detail.as_str()),
        (Verdict::Warning, "1 has been due for 120 minutes")
    );
}
