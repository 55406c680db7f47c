//! `/audit`: filters, pages, files, the state of the chain, and that refusals are entries.

use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use axum::http::StatusCode;
use mailgrant::model::audit::{Actor, AuditEntry};
use mailgrant::model::log::{LogEntry, first_number};
use mailgrant::worker;

mod told;

/// Fields of the form that filters.
type Filter = &'static [(&'static str, &'static str)];
/// A filter, and which entries it finds by their number.
type Case = (Filter, fn(i64) -> bool);

async fn act(t: &TestApp, actor: &Actor, action: &'static str, target: &str, detail: &str) {
    let entry = AuditEntry {
        action,
        target: target.into(),
        detail: detail.into(),
        outcome: "ok",
    };
    t.app.store.audit(t.app.clock.now(), actor, entry).await.unwrap();
}

/// So many entries of several people, a minute apart, the last one now.
async fn with_entries(count: i64) -> TestApp {
    let t = TestApp::start().await;
    for n in 1..=count {
        let actor = Actor {
            id: if n % 3 == 0 {
                "user:ossi.lahti@contoso.test".into()
            } else {
                "console".into()
            },
            address: if n % 4 == 0 { "192.0.2.7".into() } else { String::new() },
            session: if n % 4 == 0 { "0123456789ab".into() } else { String::new() },
            ..Actor::console()
        };
        let action = if n % 5 == 0 { "mailbox.update" } else { "token.refresh" };
        let entry = AuditEntry {
            action,
            target: if n % 5 == 0 { "mailbox:hr" } else { "token:support" }.into(),
            detail: format!("folder: {n} → {}", n + 1),
            outcome: "ok",
        };
        t.app.store.audit(NOW.plus(60 * (n - count)), &actor, entry).await.unwrap();
    }
    t
}

/// The viewer in a session that begins now.
async fn viewer(t: &TestApp) -> Browser {
    let vera = t.app.store.user_by_email("vera.salo@contoso.test").await.unwrap().unwrap();
    t.browser_with(&t.session_for(&vera.id).await)
}

/// What the rows of a page say changed.
fn changes(page: &Page) -> Vec<i64> {
    let cells = page.text("main tbody td:nth-child(5)");
    let numbers = cells
        .lines()
        .filter_map(|cell| cell.strip_prefix("folder: ")?.split(' ').next()?.parse().ok());
    numbers.collect()
}

fn link(page: &Page, words: &str) -> Option<String> {
    let html = scraper::Html::parse_document(&page.body);
    let links = scraper::Selector::parse("main a").unwrap();
    let found = html.select(&links).find(|link| link.text().collect::<String>().trim() == words);
    found.and_then(|link| link.attr("href").map(str::to_owned))
}

#[tokio::test]
async fn a_row_says_who_did_what_to_what_from_where_and_what_changed() {
    let t = with_entries(60).await;
    let page = t.viewer().get("/audit?size=200").await;
    assert_eq!(
        (page.text("h1"), page.text("nav.side [aria-current]")),
        ("Audit log".into(), "Audit log".into())
    );
    let row = page.text("main tbody tr:first-child td");
    let cells: Vec<&str> = row.lines().collect();
    assert_eq!(
        cells[..4],
        [
            "08:00:00 today",
            "Ossi Lahti ossi.lahti@contoso.test",
            "Changed a mailbox",
            "mailbox hr"
        ]
    );
    assert!(
        cells[4].starts_with("folder: 60 → 61") && cells[4].contains("0123456789ab"),
        "{row}"
    );
    assert_eq!(cells[5], "192.0.2.7");
    assert_eq!(
        page.attribute("main tbody tr:first-child td a", "href").as_deref(),
        Some("/mailboxes/hr")
    );
    let hash = t.app.store.audit_rows(1).await.unwrap().remove(0).hash;
    assert!(cells[4].contains(&hash), "{row}");
}

#[tokio::test]
async fn every_filter_of_the_audit_page_finds_what_it_says() {
    let t = with_entries(60).await;
    let mut viewer = t.viewer();
    let cases: [Case; 12] = [
        (&[("person", "ossi.lahti@contoso.test")], |n| n % 3 == 0),
        (&[("person", "Ossi Lahti")], |n| n % 3 == 0),
        (&[("person", "The console")], |n| n % 3 != 0),
        (&[("action", "mailbox.update")], |n| n % 5 == 0),
        (&[("object", "hr")], |n| n % 5 == 0),
        (&[("object", "token:support")], |n| n % 5 != 0),
        (&[("address", "192.0.2.7")], |n| n % 4 == 0),
        (&[("range", "hour")], |n| n >= 1),
        (&[("from", "2026-11-21 07:30")], |n| n >= 30),
        (&[("until", "2026-11-21 07:30")], |n| n < 30),
        (&[("object", "hr"), ("person", "console"), ("address", "192.0.2.7")], |n| {
            n % 5 == 0 && n % 3 != 0 && n % 4 == 0
        }),
        (&[("person", "nobody@else.test")], |_| false),
    ];
    for (fields, fits) in cases {
        let query = serde_urlencoded::to_string([fields, &[("size", "200")]].concat()).unwrap();
        let page = viewer.get(format!("/audit?{query}")).await;
        let expected: Vec<i64> = (1..=60).rev().filter(|n| fits(*n)).collect();
        assert_eq!(changes(&page), expected, "{query}");
        for (name, value) in fields.iter().filter(|(name, _)| !["action", "range"].contains(name)) {
            assert_eq!(page.attribute(&format!("#{name}"), "value").as_deref(), Some(*value), "{query}");
        }
    }
    let page = viewer.get("/audit?until=2020-01-01").await;
    assert_eq!(page.text(".empty h2"), "Nothing in this time");
    assert!(
        page.text(".empty p").starts_with("The oldest entry is from 07:01 today"),
        "{}",
        page.text(".empty")
    );
    assert_eq!(viewer.get("/audit?until=never").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn audit_pages_have_no_gaps() {
    let t = with_entries(60).await;
    let mut viewer = t.viewer();
    let first = viewer.get("/audit?size=25").await;
    assert_eq!(changes(&first), (36..=60).rev().collect::<Vec<_>>());
    let second = viewer.get(link(&first, "Older").unwrap()).await;
    assert_eq!(changes(&second), (11..=35).rev().collect::<Vec<_>>());
    act(&t, &Actor::console(), "token.refresh", "token:support", "folder: 99 → 1").await;
    let third = viewer.get(link(&second, "Older").unwrap()).await;
    assert_eq!(changes(&third), (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(link(&third, "Older"), None);
    let back = viewer.get(link(&third, "Newer").unwrap()).await;
    assert_eq!(changes(&back), changes(&second));
    assert_eq!(changes(&viewer.get(link(&back, "Newest").unwrap()).await)[0], 99);
}

#[tokio::test]
async fn an_audit_file_holds_what_the_page_shows_with_the_hashes() {
    let t = with_entries(30).await;
    act(&t, &Actor::console(), "mailbox.update", "mailbox:hr", "=cmd|' /C calc'!A0").await;
    let mut viewer = t.viewer();
    let page = viewer.get("/audit?action=mailbox.update").await;
    let page = viewer.get(link(&page, "Export these").unwrap()).await;
    assert_eq!(page.text("h1"), "Export: 7 entries");
    let filter = page.attribute("input[name=filter]", "value").unwrap();
    let rows: Vec<_> = t
        .app
        .store
        .audit_rows(100)
        .await
        .unwrap()
        .into_iter()
        .filter(|row| row.action == "mailbox.update")
        .collect();
    let file = viewer.post("/audit/export", &[("filter", &filter), ("format", "csv")]).await;
    let table = mailgrant::model::import::csv::rows(&file.body, ',').unwrap();
    assert_eq!(table.len(), 8);
    for ((_, cells), row) in table[1..].iter().zip(&rows) {
        assert_eq!(
            (cells[0].as_str(), cells[10].as_str()),
            (row.sequence.to_string().as_str(), row.hash.as_str())
        );
        assert_eq!(
            (&cells[2], &cells[4], &cells[7], &cells[8]),
            (&row.actor, &row.target, &row.address, &row.session)
        );
        assert!(!cells[5].starts_with('='), "{cells:?}");
    }
    let file = viewer.post("/audit/export", &[("filter", &filter), ("format", "jsonl")]).await;
    let told: Vec<serde_json::Value> = file.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 7);
    assert_eq!(
        (&told[0]["detail"], &told[0]["hash"]),
        (&rows[0].detail.clone().into(), &rows[0].hash.clone().into())
    );
    let taken = t.app.store.audit_rows(1).await.unwrap().remove(0);
    assert_eq!(
        (taken.action.as_str(), taken.detail.as_str()),
        ("audit.export", "action mailbox.update")
    );
    assert!(!taken.session.is_empty(), "the session is noted");
}

/// Else somebody who mistyped a day would carry away all of it, and the log would say that was wanted.
#[tokio::test]
async fn a_time_that_cant_be_read_gives_no_file() {
    let t = with_entries(3).await;
    let mut viewer = t.viewer();
    for path in ["/audit", "/log"] {
        let filter = "from=yesterday&size=25";
        let answer = viewer.get(&format!("{path}/export?{filter}")).await;
        assert_eq!(answer.location(), Some(format!("{path}?from=yesterday")));
        let answer = viewer
            .post(&format!("{path}/export"), &[("filter", filter), ("format", "csv")])
            .await;
        assert_eq!(answer.location(), Some(format!("{path}?from=yesterday")));
        assert!(viewer.get(&answer.location().unwrap()).await.text("#from-e").contains("2026-11-21"));
    }
    assert_ne!(t.app.store.audit_rows(1).await.unwrap()[0].action, "log.export");
}

#[tokio::test]
async fn the_page_says_that_the_chain_is_intact_or_where_it_breaks() {
    let t = with_entries(20).await;
    let told = async || viewer(&t).await.get("/audit").await.text(".head, #chain-h");
    assert!(told().await.contains("The chain was not checked yet"));
    worker::instances::tick(&t.app).await.unwrap();
    worker::audit::tick(&t.app).await.unwrap();
    assert!(told().await.contains("Chain intact, checked 08:00 today"), "{}", told().await);
    t.clock.advance(3 * 86_400);
    assert!(
        told().await.contains("The chain was not checked lately"),
        "what stands still isn't green"
    );
    let pool = t.app.store.raw_pool();
    sqlx::query("DROP TRIGGER audit_no_update").execute(pool).await.unwrap();
    sqlx::query("UPDATE audit SET detail = 'forged' WHERE sequence = 7")
        .execute(pool)
        .await
        .unwrap();
    worker::audit::tick(&t.app).await.unwrap();
    assert!(told().await.contains("The chain breaks at entry 7"), "{}", told().await);
    assert!(viewer(&t).await.get("/audit").await.has(".panel.bad .verdict"));
}

#[tokio::test]
async fn anchors_are_written_after_a_thousand_entries_or_ten_minutes_of_change() {
    let t = with_entries(3).await;
    let anchor = async || worker::audit::anchor(&t.app).await.unwrap().map(|anchor| anchor.sequence);
    assert_eq!(anchor().await, Some(3), "the first at once");
    assert_eq!(anchor().await, None);
    act(&t, &Actor::console(), "token.refresh", "token:support", "").await;
    t.clock.advance(599);
    assert_eq!(anchor().await, None);
    t.clock.advance(1);
    assert_eq!(anchor().await, Some(4));
    t.clock.advance(3600);
    assert_eq!(anchor().await, None, "nothing changed");
    for _ in 0..1000 {
        act(&t, &Actor::console(), "token.refresh", "token:support", "").await;
    }
    assert_eq!(anchor().await, Some(1004));
}

#[tokio::test]
async fn retention_follows_the_settings() {
    let t = with_entries(20).await;
    let old = |seconds: i64| LogEntry {
        id: first_number(NOW.plus(-seconds)),
        at: NOW.plus(-seconds),
        ..crate::store::log::entry(1)
    };
    t.app.store.insert_log(&[old(1200), old(0)]).await.unwrap();
    worker::instances::tick(&t.app).await.unwrap();
    // Twenty minutes ago are the oldest; 90 days and a bit later the first ten are due.
    t.clock.advance(90 * 86_400 - 10 * 60);
    let mut tx = t.app.store.begin().await.unwrap();
    tx.put_setting("retention.audit_days", "90").await.unwrap();
    tx.put_setting("retention.log_days", "90").await.unwrap();
    tx.commit().await.unwrap();
    worker::audit::tick(&t.app).await.unwrap();
    worker::cleanup::tick(&t.app).await.unwrap();
    assert_eq!(t.count("SELECT MIN(sequence) FROM audit").await, 10);
    assert_eq!(t.app.store.verify_audit().await.unwrap(), Ok(12));
    assert_eq!(t.count("SELECT COUNT(*) FROM log").await, 1);
    assert!(viewer(&t).await.get("/audit").await.words().contains("Cut old audit entries"));
}

#[tokio::test]
async fn refusals_are_entries() {
    let t = TestApp::start().await;
    let newest = async || {
        let row = t.app.store.audit_rows(1).await.unwrap().remove(0);
        (row.actor, row.action, row.target, row.detail, row.outcome)
    };
    let entry = |actor: &str, action: &str, target: &str, detail: &str| {
        (
            actor.to_owned(),
            action.to_owned(),
            target.to_owned(),
            detail.to_owned(),
            "refused".to_owned(),
        )
    };
    let vera = "user:vera.salo@contoso.test";
    t.viewer().post("/mailboxes/hr/delete", &[("confirm", "hr")]).await;
    assert_eq!(
        newest().await,
        entry(vera, "access.refuse", "page:/mailboxes/{name}/delete", "without mailbox.edit")
    );
    // A form that another site sends with this person's cookies.
    let mut cheated = t.viewer();
    cheated.headers = vec![
        ("sec-fetch-site".into(), "cross-site".into()),
        ("origin".into(), "https://evil.test".into()),
    ];
    assert_eq!(cheated.post("/me", &[("name", "x")]).await.status, StatusCode::FORBIDDEN);
    let (actor, action, _, detail, outcome) = newest().await;
    assert_eq!(
        (actor.as_str(), action.as_str(), outcome.as_str()),
        (vera, "form.refuse", "refused")
    );
    assert_eq!(detail, "it came from https://evil.test");
    // One without the token of a page, from nobody.
    let mut stranger = t.anonymous();
    stranger.headers.clear();
    stranger.post_raw("/login", &[("email", "a@b.test"), ("password", "x")]).await;
    assert_eq!(
        newest().await,
        entry("nobody", "form.refuse", "page:/login", "its token belongs to no page of this visit")
    );
    // Wrong passwords, and then too many of them.
    let mut guesser = t.anonymous();
    for n in 0..7 {
        guesser
            .post("/login", &[("email", "vera.salo@contoso.test"), ("password", "wrong wrong wrong")])
            .await;
        let detail = newest().await.3;
        assert_eq!(newest().await.1, "sign_in");
        assert_eq!(detail.starts_with("too many tries"), n >= 5, "{n}: {detail}");
    }
    // However much strangers try, they don't fill the disk.
    let before = t.count("SELECT COUNT(*) FROM audit").await;
    for _ in 0..100 {
        stranger.post_raw("/login", &[]).await;
    }
    assert!(t.count("SELECT COUNT(*) FROM audit").await - before <= 20);
    // A one-time link whose time is over.
    t.add_token(false).await;
    let link = t.admin().post("/tokens/support/links", &[]).await.text("#link");
    t.clock.advance(100 * 86_400);
    let code = link.rsplit('/').next().unwrap();
    t.anonymous().post(format!("/l/{code}"), &[]).await;
    let (actor, action, target, detail, outcome) = newest().await;
    assert!(actor.starts_with("link:"), "{actor}");
    assert_eq!(
        [action.as_str(), &target, &detail, &outcome],
        [
            "link.refuse",
            "token:support",
            "ended; 84 more before it are only in the log",
            "refused"
        ]
    );
}
