//! `/log`: filters, pages, files, and what came meanwhile.

use crate::store::log::entry;
use crate::support::app::{Page, TestApp};
use crate::support::databases::NOW;
use axum::http::StatusCode;
use mailgrant::model::log::{Area, Level, LogEntry, first_number};

/// Entry `n` of so many, the newest of them a minute old.
fn past(n: i64, count: i64) -> LogEntry {
    let at = NOW.plus(60 * (n - count - 1));
    LogEntry {
        id: first_number(at) + n,
        at,
        ..entry(n)
    }
}

/// A console whose log has so many entries.
async fn with_log(count: i64) -> (TestApp, Vec<LogEntry>) {
    let t = TestApp::start().await;
    let entries: Vec<LogEntry> = (1..=count).map(|n| past(n, count)).collect();
    t.app.store.insert_log(&entries).await.unwrap();
    (t, entries)
}

/// The messages on a page.
fn messages(page: &Page) -> Vec<String> {
    let all = page.text("#entries tbody td:last-child > details > summary");
    all.lines().map(str::to_owned).collect()
}

fn link(page: &Page, words: &str) -> Option<String> {
    let html = scraper::Html::parse_document(&page.body);
    let links = scraper::Selector::parse("#entries a, .acts a").unwrap();
    let found = html.select(&links).find(|link| link.text().collect::<String>().trim() == words);
    found.and_then(|link| link.attr("href").map(str::to_owned))
}

#[tokio::test]
async fn an_empty_log_says_what_will_be_there() {
    let t = TestApp::start().await;
    let page = t.viewer().get("/log").await;
    assert_eq!(
        (page.text("h1"), page.text(".empty h2")),
        ("System log".into(), "Nothing was noticed yet".into())
    );
    assert_eq!(page.text("nav [aria-current]"), "System log");
    let page = t.viewer().get("/log?level=error").await;
    assert_eq!(page.text(".empty h2"), "No entry matches");
}

#[tokio::test]
async fn pages_go_back_in_time_and_forth_without_gaps_while_more_is_noticed() {
    let (t, entries) = with_log(120).await;
    let mut viewer = t.viewer();
    let names: Vec<String> = entries.iter().rev().map(|entry| entry.message.clone()).collect();
    let first = viewer.get("/log?size=50").await;
    assert_eq!(messages(&first), names[..50]);
    assert_eq!((link(&first, "Newest"), link(&first, "Newer")), (None, None));
    let second = viewer.get(link(&first, "Older").unwrap()).await;
    assert_eq!(messages(&second), names[50..100]);
    t.app.store.insert_log(&[entry(121)]).await.unwrap();
    let third = viewer.get(link(&second, "Older").unwrap()).await;
    assert_eq!(messages(&third), names[100..]);
    assert_eq!(link(&third, "Older"), None);
    let back = viewer.get(link(&third, "Newer").unwrap()).await;
    assert_eq!(messages(&back), names[50..100]);
    let start = viewer.get(link(&back, "Newer").unwrap()).await;
    assert_eq!(messages(&start), names[..50], "the page beside it, not the newest entry");
    let newest = viewer.get(link(&back, "Newest").unwrap()).await;
    assert_eq!(messages(&newest)[0], "Number 121, 100% of it");
}

#[tokio::test]
async fn every_filter_of_the_page_is_in_its_address_and_shown_again() {
    let (t, entries) = with_log(100).await;
    let mut viewer = t.viewer();
    type Fits = fn(&LogEntry) -> bool;
    let cases: [(&str, &str, &str, Fits); 10] = [
        ("level", "warn", "#level", |e| e.level != Level::Info),
        ("level", "error", "#level", |e| e.level == Level::Error),
        ("area", "token", "#area", |e| e.area == Area::Token),
        ("mailbox", "hr", "#mailbox", |e| e.subject == "mailbox:hr"),
        ("token", "Support", "#token", |e| e.subject == "token:support"),
        ("run", "run10", "#run", |e| e.run == "run10"),
        ("q", "number 9", "#q", |e| e.message.contains("Number 9")),
        ("range", "hour", "#range", |e| e.at >= NOW.plus(-3600)),
        ("from", "2026-11-21 07:00", "#from", |e| e.at >= NOW.plus(-3600)),
        ("until", "21.11.2026 06:30", "#until", |e| e.at < NOW.plus(-5400)),
    ];
    for (name, value, field, fits) in cases {
        let query = serde_urlencoded::to_string([(name, value), ("size", "200")]).unwrap();
        let page = viewer.get(format!("/log?{query}")).await;
        let expected: Vec<String> = entries
            .iter()
            .rev()
            .filter(|entry| fits(entry))
            .map(|entry| entry.message.clone())
            .collect();
        assert!(!expected.is_empty() && expected.len() < 100, "{name}");
        assert_eq!(messages(&page), expected, "{query}");
        let shown = match field {
            "#level" | "#area" | "#range" => page.attribute(&format!("{field} option[selected]"), "value"),
            field => page.attribute(field, "value"),
        };
        assert_eq!(shown.as_deref(), Some(value), "{query}");
    }
    let wrong = viewer.get("/log?from=yesterday").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong.text("#from-e").contains("From must be like") && wrong.text("title").starts_with("Error: "),
        "{}",
        wrong.words()
    );
    assert_eq!(wrong.attribute("#from", "value").as_deref(), Some("yesterday"));
}

#[tokio::test]
async fn an_entry_opens_in_place_with_its_details_and_leads_to_its_run_and_its_mailbox() {
    let (t, _) = with_log(10).await;
    let page = t.viewer().get("/log?run=run10").await;
    assert_eq!(page.attribute("tbody details a", "href").as_deref(), Some("/tests/run10"));
    assert!(page.text("tbody dl").contains("tries"), "{}", page.text("tbody"));
    assert_eq!(page.attribute("tbody td a", "href").as_deref(), Some("/mailboxes/hr"));
    assert!(page.has("tbody details[id]:not([open])"));
}

#[tokio::test]
async fn a_time_with_nothing_in_it_says_from_when_the_oldest_is() {
    let (t, _) = with_log(10).await;
    let page = t.viewer().get("/log?until=2026-11-20").await;
    assert_eq!(page.text(".empty h2"), "Nothing in this time");
    assert!(
        page.text(".empty p").contains("The oldest entry is from 07:50 today"),
        "{}",
        page.text(".empty")
    );
}

#[tokio::test]
async fn what_came_meanwhile_is_counted_and_live_shows_it() {
    let (t, _) = with_log(20).await;
    let mut viewer = t.viewer();
    let page = viewer.get("/log?area=token").await;
    let poll = page.attribute("[data-poll]", "data-poll").unwrap();
    assert_eq!(viewer.get(&poll).await.text("#newer"), "");
    let more: Vec<LogEntry> = (21..=44).map(entry).collect();
    t.app.store.insert_log(&more).await.unwrap();
    let newer = viewer.get(&poll).await;
    assert_eq!(newer.text("#newer a"), "Newer entries (12)");
    assert_eq!(newer.attribute("#newer a", "href").as_deref(), Some("/log?area=token"));
    assert!(!page.has("[data-refresh]"));
    let live = viewer.get(link(&page, "Live").unwrap()).await;
    assert!(live.has("#entries[data-refresh]") && !live.has("[data-poll]"));
    assert_eq!(link(&live, "Stop live").as_deref(), Some("/log?area=token"));
    assert!(page.has("noscript"), "without script there is a link instead");
}

#[tokio::test]
async fn a_file_holds_what_the_page_shows_and_no_formula() {
    let (t, entries) = with_log(700).await;
    let nasty = LogEntry {
        message: "=HYPERLINK(\"http://evil.test\",\"x\"), said \"the\" server".into(),
        ..entry(3)
    };
    t.app.store.insert_log(std::slice::from_ref(&nasty)).await.unwrap();
    let mut viewer = t.viewer();
    let page = viewer.get("/log?level=warn").await;
    let page = viewer.get(link(&page, "Export these").unwrap()).await;
    let mut expected: Vec<&LogEntry> = entries.iter().chain([&nasty]).filter(|entry| entry.level != Level::Info).collect();
    expected.sort_by_key(|entry| -entry.id);
    assert_eq!(page.text("h1"), format!("Export: {} entries", expected.len()));
    for format in ["csv", "jsonl"] {
        let mut form = page.form("/log/export");
        form.retain(|(name, _)| name != "csrf_token" && name != "format");
        form.push(("format".into(), format.into()));
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let file = viewer.post("/log/export", &fields).await;
        assert_eq!(file.status, StatusCode::OK);
        assert!(
            file.header("content-disposition")
                .ends_with(&format!("mailgrant-log-2026-11-21.{format}\""))
        );
        let told: Vec<String> = if format == "csv" {
            assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
            let rows = mailgrant::model::import::csv::rows(&file.body, ',').unwrap();
            assert_eq!(rows[0].1, ["time", "level", "area", "about", "message", "details", "run"]);
            for (_, cells) in &rows {
                assert!(cells.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{cells:?}");
            }
            rows[1..]
                .iter()
                .map(|(_, cells)| cells[4].trim_start_matches('\'').to_owned())
                .collect()
        } else {
            let lines = file
                .body
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|value| value["message"].as_str().unwrap().to_owned()).collect()
        };
        let messages: Vec<&str> = expected.iter().map(|entry| entry.message.as_str()).collect();
        assert_eq!(told, messages, "{format}");
    }
    let taken = t.app.store.audit_rows(1).await.unwrap().remove(0);
    assert_eq!((taken.action.as_str(), taken.detail.as_str()), ("log.export", "level warn"));
    assert_eq!(taken.actor, "user:vera.salo@contoso.test");
}

#[tokio::test]
async fn texts_from_outside_are_text_and_nothing_else() {
    let t = TestApp::start().await;
    let nasty = LogEntry {
        message: "<script>alert(1)</script>".into(),
        subject: "mailbox:\"><img src=x>".into(),
        details: serde_json::Map::from_iter([("<b>".to_owned(), "<i>".into())]),
        ..entry(1)
    };
    t.app.store.insert_log(&[nasty]).await.unwrap();
    let page = t.viewer().get("/log?q=%22%3E%3Cscript%3E").await;
    assert!(!page.body.contains("<script>alert") && !page.body.contains("\"><script>"));
    let page = t.viewer().get("/log").await;
    assert!(!page.body.contains("<script>alert") && !page.has("main img") && !page.has("tbody b") && !page.has("tbody i"));
    assert_eq!(messages(&page), ["<script>alert(1)</script>"]);
}
