//! `/metrics`: closed unless it is opened, and for those only who are named.

use crate::support::app::TestApp;
use crate::support::records;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use mailgrant::web::pages::metrics;
use tower::ServiceExt;

/// A file of `docs/`.
fn read(name: &str) -> String {
    std::fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[tokio::test]
async fn metrics_are_no_page_for_strangers_nor_for_people() {
    let t = TestApp::start().await;
    for mut browser in [t.anonymous(), t.admin()] {
        let answer = browser.get("/metrics").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(!answer.body.contains("mailgrant_"));
    }
    let elsewhere = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "10.99.0.0/16")]).await;
    assert_eq!(
        elsewhere.anonymous().get("/metrics").await.status,
        StatusCode::NOT_FOUND,
        "named, but not this one"
    );
}

#[tokio::test]
async fn who_is_named_reads_them_and_they_tell_of_no_person() {
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8,192.0.2.0/24,203.0.113.0/24")]).await;
    let answer = t.anonymous().get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    for name in [
        "mailgrant_build_info{version=",
        "mailgrant_checks_due 0",
        "mailgrant_instances 0",
        "# TYPE mailgrant_tokens gauge",
    ] {
        assert!(answer.body.contains(name), "{name} is missing in\n{}", answer.body);
    }
    assert!(!answer.body.contains('@'), "{}", answer.body);

    // An address of its own serves this and nothing else.
    for (path, status) in [
        ("/metrics", StatusCode::OK),
        ("/login", StatusCode::NOT_FOUND),
        ("/", StatusCode::NOT_FOUND),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = metrics::alone(t.app.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(String::from_utf8_lossy(&body).contains("mailgrant_build_info"), path == "/metrics");
    }
}

/// A dashboard of metrics that nobody gives stays empty, and an alert on them never comes.
#[tokio::test]
async fn what_the_dashboard_and_the_alerts_ask_for_is_given() {
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8,192.0.2.0/24,203.0.113.0/24")]).await;
    let text = t.anonymous().get("/metrics").await.body;
    let given: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let (dashboard, alerts) = (read("dashboards/mailgrant.json"), read("dashboards/alerts.yml"));
    // Such a key goes on working: it has not ended, and nobody has to get up for it.
    let ended = alerts
        .split("- alert: ")
        .find(|alert| alert.starts_with("MailgrantExpired"))
        .unwrap();
    assert!(ended.contains("{kind!=\"service-account-key\"}) <= 0"), "{ended}");
    let document: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(document["panels"].as_array().unwrap().len() > 10);
    let mut asked = 0;
    for file in [&dashboard, &alerts] {
        for word in file
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("mailgrant_"))
        {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word);
            assert!(
                given.contains(&word) || given.contains(&base),
                "{word} is asked for and not given:\n{given:?}"
            );
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    let unused: Vec<_> = given
        .iter()
        .filter(|name| !dashboard.contains(**name) && !alerts.contains(**name))
        .collect();
    assert!(unused.len() <= 2, "given and shown nowhere: {unused:?}");
}

/// Two instances tell the same of one database: added up, one mailbox that fails would be two. And a provider at which nothing was ever
/// renewed since the start has to be seen as one, or nobody hears that nothing is renewed any more.
#[tokio::test]
async fn alerts_count_nothing_twice_and_hear_of_what_never_worked() {
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8,192.0.2.0/24,203.0.113.0/24")]).await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&records::provider()).await.unwrap();
    tx.commit().await.unwrap();
    let text = t.anonymous().get("/metrics").await.body;
    let quiet = "mailgrant_renewals_total{provider=\"contoso\",result=\"ok\"} 0";
    assert!(text.lines().any(|line| line == quiet), "{text}");

    let docs = read("metrics.md");
    let rows: Vec<(Vec<&str>, &str)> = docs
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (
                cells[1].split('`').filter(|part| part.starts_with("mailgrant_")).collect(),
                cells[2],
            )
        })
        .collect();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(rows.iter().any(|(names, _)| names.contains(&name)), "docs/metrics.md has no {name}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboards/mailgrant.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let mut asked: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let alerts = read("dashboards/alerts.yml");
    asked.extend(
        alerts
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expr: "))
            .map(str::to_owned),
    );
    let mut seen = 0;
    for (names, _) in rows.iter().filter(|(_, whose)| *whose == "console") {
        for (expression, at) in names.iter().flat_map(|name| {
            asked
                .iter()
                .flat_map(move |text| text.match_indices(name).map(move |(at, _)| (text, at)))
        }) {
            let before = expression[..at].trim_end_matches("changes(").trim_end_matches('(').trim_end();
            let taken = before.rsplit_once("max").map(|(_, rest)| rest.trim());
            assert!(
                taken.is_some_and(|rest| rest.is_empty() || (rest.starts_with("by (") && rest.ends_with(')'))),
                "{expression}"
            );
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}

/// Each answer costs some twenty queries: whoever asks without end must not take the database away from the console.
#[tokio::test]
async fn metrics_are_gathered_once_in_a_few_seconds() {
    let t = TestApp::start().await;
    let ask = async || {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = metrics::alone(t.app.clone()).oneshot(request).await.unwrap();
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let first = ask().await;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&records::provider()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(ask().await, first);
    t.clock.advance(5);
    assert!(ask().await.contains("contoso"), "then it is gathered anew");
}
