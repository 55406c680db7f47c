//! `/about`: what goes on by itself, and whether the installation is sound.

use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::worker::{instances, monitor};

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
    let answer = operator.submit("/about/check", &[]).await;
    assert!(answer.words().contains("Everything was looked at."), "{}", answer.words());
    // Somebody else sees what was found.
    let mut viewer = t.viewer();
    let page = viewer.get("/about").await;
    let words = page.words();
    for part in ["audit chain", "master key", "database"] {
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
