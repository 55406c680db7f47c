//! Bulk tests in the console: the form that says first what it comes to, the page while it goes on and afterwards, the list's ticks, and who
//! may do what.

use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::records;
use axum::http::StatusCode;
use mailgrant::actions::mailboxes::{self, check_mailbox};
use mailgrant::model::audit::Actor;
use mailgrant::worker::{batches, instances};
use std::time::Duration;

async fn add(t: &TestApp, name: &str, port: u16, password: &str) {
    let input = records::mailbox(name, Some(port), None, password);
    let edit = check_mailbox(&input, &t.app.gate).unwrap();
    mailboxes::create(&t.app, &Actor::console(), edit).await.unwrap();
}

/// What the worker would do meanwhile.
async fn work(t: &TestApp) {
    instances::tick(&t.app).await.unwrap();
    for _ in 0..1000 {
        batches::tick(&t.app).await.unwrap();
        if t.count("SELECT COUNT(*) FROM batches WHERE finished_at IS NULL").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the batch never ends");
}

/// The form as the page shows it, with some of it changed.
async fn send(browser: &mut Browser, page: &Page, change: &[(&str, &str)]) -> Page {
    let mut fields = page.form("/tests/new");
    fields.retain(|(name, _)| !change.iter().any(|(other, _)| other == name));
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend_from_slice(change);
    browser.post_raw("/tests/new", &fields).await
}

/// The form of a page with this action, sent as it stands.
async fn press(browser: &mut Browser, page: &Page, action: &str) -> Page {
    let fields = page.form(action);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = browser.post_raw(action, &fields).await;
    browser.follow(answer).await
}

#[tokio::test]
async fn the_form_says_first_what_it_comes_to_and_starts_what_it_showed() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    for number in 0..3 {
        add(&t, &format!("m{number}"), server.port, PASSWORD).await;
    }
    let mut operator = t.operator();
    let page = operator.get("/tests/new").await;
    assert_eq!(page.text("#found"), "No mailbox matches that.", "none is turned on");
    let refused = send(&mut operator, &page, &[("act", "start")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.text(".summary a"), "No mailbox matches that. Choose others");
    // All that match a filter of the list.
    let page = operator.get("/tests/new?which=filter&q=m").await;
    assert_eq!(page.text("#found"), "3 mailboxes, less than a minute.");
    // Whoever changes the choice sees the new number before anything begins.
    let page = send(
        &mut operator,
        &page,
        &[("parallel", "2"), ("note", "before the move"), ("act", "start")],
    )
    .await;
    assert_eq!((page.status, t.count("SELECT COUNT(*) FROM batches").await), (StatusCode::OK, 0));
    assert_eq!(page.attribute("#note", "value").as_deref(), Some("before the move"));
    let started = send(&mut operator, &page, &[("act", "start")]).await;
    let path = started.location().unwrap();
    // A second press starts no second one.
    let again = send(&mut operator, &page, &[("act", "start")]).await;
    assert_eq!(
        (again.location(), t.count("SELECT COUNT(*) FROM batches").await),
        (Some(path.clone()), 1)
    );
    let wrong = send(&mut operator, &page, &[("parallel", "99"), ("which", "tag"), ("act", "start")]).await;
    assert!(
        wrong.text(".summary").contains("At the same time must be between 1 and 8"),
        "{}",
        wrong.words()
    );

    let page = operator.get(&path).await;
    assert_eq!(page.text("#bar-h"), "Running, 0 of 3 tests done");
    assert!(page.words().contains("before the move") && page.has("noscript"), "{}", page.words());
    assert!(
        page.text(".head p").starts_with("Those with \"m\". Incoming. 2 at the same time"),
        "{}",
        page.words()
    );
    assert_eq!(page.attribute("[data-events]", "data-events"), Some(format!("{path}/events")));
    // Who may only look sees it, and turns nothing.
    let mut viewer = t.viewer();
    let seen = viewer.get(&path).await;
    assert!(seen.status == StatusCode::OK && !seen.has("form[action$='/stop']") && seen.words().contains("Only people with"));
    for act in ["pause", "stop", "go-on", "again"] {
        assert_eq!(viewer.post(format!("{path}/{act}"), &[]).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(viewer.get("/tests/new").await.status, StatusCode::FORBIDDEN);
    let page = operator.submit(format!("{path}/pause"), &[]).await;
    assert!(
        page.has("form[action$='/go-on']") && page.text("#bar-h").starts_with("Paused") && page.has("#batch-bundle:empty"),
        "{}",
        page.words()
    );
    // The page says itself how it stands: no message that outlives that.
    assert!(
        !page.has(".flash") && page.text("#batch-leave").starts_with("Paused: what runs now ends"),
        "{}",
        page.words()
    );
    assert_eq!(operator.post(format!("{path}/nothing"), &[]).await.status, StatusCode::NOT_FOUND);
    operator.submit(format!("{path}/go-on"), &[]).await;
    work(&t).await;
    let page = operator.get(&path).await;
    assert_eq!(page.text("#bar-h"), "All 3 tests passed");
    assert!(!page.has("[data-events]") && page.has("#batch-bundle[data-replace] #bundle"));
    // What watches it hears its end, and has a place for what comes with it; what was said above it then is old.
    let end = operator.get(format!("{path}/events")).await;
    assert!(end.body.starts_with("event: end") && end.body.contains("id=\"batch-bundle\"") && end.body.contains("id=\"flash\""));
    let page = operator.submit(format!("{path}/stop"), &[]).await;
    assert!(page.text(".flash").contains("moved on meanwhile"), "{}", page.words());
    let list = viewer.get("/tests").await;
    assert_eq!(list.attribute("a[href^='/tests/batches/']", "href"), Some(path));
    assert_eq!(t.viewer().get("/tests/batches/none").await.status, StatusCode::NOT_FOUND);
    // What it does is led to from where one wants it.
    assert!(operator.get("/").await.has("a[href='/tests/new']") && !viewer.get("/").await.has("a[href='/tests/new']"));
    // Nobody fills the console with bulk tests that never end.
    let begin = async |operator: &mut Browser| {
        let form = operator.get("/tests/new?which=filter&q=m").await;
        send(operator, &form, &[("act", "start")]).await
    };
    for _ in 0..5 {
        let path = begin(&mut operator).await.location().unwrap();
        operator.submit(format!("{path}/pause"), &[]).await;
    }
    let answer = begin(&mut operator).await;
    let refused = operator.follow(answer).await;
    assert!(
        refused.text(".flash").contains("5 bulk tests have not ended yet"),
        "{}",
        refused.words()
    );
    assert_eq!(t.count("SELECT COUNT(*) FROM batches").await, 6);
}

#[tokio::test]
async fn what_was_ticked_or_matches_is_tested_turned_and_tagged_and_can_be_undone() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    for number in 0..4 {
        add(&t, &format!("m{number}"), server.port, PASSWORD).await;
    }
    let (mut admin, mut operator) = (t.admin(), t.operator());
    let list = operator.get("/mailboxes").await;
    assert!(
        list.text("footer.bulk").contains("Select all 4") && !list.text("footer.bulk").contains("Pause"),
        "{}",
        list.words()
    );
    assert!(!t.viewer().get("/mailboxes").await.has("input[name=id]"));
    let id = list.attribute("input[name=id]", "value").unwrap();
    let page = operator.post("/bulk", &[("id", &id), ("act", "test")]).await;
    assert_eq!(page.text("#found"), "1 mailbox, less than a minute.", "{}", page.words());
    let page = operator.post("/bulk", &[("all", "1"), ("q", "m1"), ("act", "test")]).await;
    assert_eq!(page.location().as_deref(), Some("/tests/new?which=filter&q=m1"));
    let page = operator.post("/bulk", &[("id", &id), ("act", "pause")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "testing is no changing");
    let page = admin.submit("/bulk", &[("act", "pause"), ("back", "/mailboxes?q=m")]).await;
    assert_eq!(
        page.text(".summary a"),
        "Tick mailboxes first, or tick Select all",
        "{}",
        page.words()
    );

    // What no mailbox can be called is nobody, not everybody.
    let page = admin.submit("/bulk", &[("id", "a|b"), ("act", "turn-on")]).await;
    assert_eq!(page.text(".flash"), "No mailbox matches that any more. Nothing was changed.");
    let on = "SELECT COUNT(*) FROM mailboxes WHERE enabled = 1";
    assert_eq!(t.count(on).await, 0);
    let page = admin
        .submit("/bulk", &[("all", "1"), ("q", ""), ("act", "turn-on"), ("back", "/mailboxes?q=m")])
        .await;
    assert!(page.text(".flash").contains("4 mailboxes turned on"), "{}", page.words());
    assert_eq!(t.count(on).await, 4);
    // Where the result stands, one button takes it back; whoever has another result in mind is asked first.
    let undo = page.attribute(".flash form", "action").unwrap();
    assert_eq!(page.text(".flash button"), "Undo");
    for mut other in [t.operator(), t.viewer()] {
        assert_eq!(other.post(&undo, &[("changed", "4")]).await.status, StatusCode::FORBIDDEN);
    }
    let asked = admin.submit(&undo, &[("changed", "3")]).await;
    assert!(asked.text(".flash").contains("Nothing was undone"), "{}", asked.words());
    assert_eq!((t.count(on).await, asked.form(&undo).len()), (4, 2));
    // Somebody turned one off meanwhile, for a reason: that stays.
    admin.post("/mailboxes/m3/pause", &[("reason", "holiday")]).await;
    let page = press(&mut admin, &page, &undo).await;
    assert_eq!(
        page.text(".flash"),
        "Undone: 3 mailboxes are as they were, 1 was changed since and stays as it is."
    );
    let page = press(&mut admin, &asked, &undo).await;
    assert_eq!(page.text(".flash"), "It was undone already.");
    assert_eq!(t.count(on).await, 0);
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes WHERE paused_reason = 'holiday'").await, 1);
    assert_eq!(
        t.count("SELECT COUNT(*) FROM mailboxes WHERE paused_by IS NOT NULL").await,
        1,
        "and were never paused"
    );

    let tagged = "SELECT COUNT(*) FROM mailbox_tags WHERE tag = 'nordic'";
    let page = admin
        .submit(
            "/bulk",
            &[
                ("all", "1"),
                ("q", "m0"),
                ("act", "add-tag"),
                ("tag", " Nordic "),
                ("back", "/mailboxes"),
            ],
        )
        .await;
    assert_eq!((t.count(tagged).await, page.text(".tag")), (1, "nordic".to_owned()));
    let page = admin
        .submit(
            "/bulk",
            &[("all", "1"), ("q", "tag:nordic"), ("act", "remove-tag"), ("tag", "nordic")],
        )
        .await;
    assert_eq!(t.count(tagged).await, 0);
    let undo = page.attribute(".flash form", "action").unwrap();
    press(&mut admin, &page, &undo).await;
    assert_eq!(t.count(tagged).await, 1);
    let told = t.app.store.audit_rows_of("mailbox:m0", 20).await.unwrap();
    let told: Vec<_> = told.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(
        told,
        [
            "mailbox.update",
            "mailbox.update",
            "mailbox.update",
            "mailbox.pause",
            "mailbox.turn_on",
            "mailbox.create"
        ]
    );
}

/// Nothing typed or ticked is lost to a tag that can't be one.
#[tokio::test]
async fn a_tag_that_cant_be_one_comes_back_with_every_tick_and_the_error_at_its_field() {
    let t = TestApp::start().await;
    for number in 0..30 {
        add(&t, &format!("m{number:02}"), 1143, PASSWORD).await;
    }
    let mut admin = t.admin();
    let list = admin.get("/mailboxes?size=25&sort=address&q=m").await;
    let next = list.attribute("a[rel=next]", "href").unwrap();
    let first = list.attribute("input[name=id]", "value").unwrap();
    let page = admin.get(&next).await;
    let (id, back) = (
        page.attribute("tbody tr:nth-child(2) input[name=id]", "value").unwrap(),
        page.attribute("input[name=back]", "value").unwrap(),
    );
    for (tag, says) in [("no way", "A tag can have up to 50 letters, digits, - and _"), (" ", "Enter a tag")] {
        // One of them stands on another page by now.
        let fields = [
            ("id", id.as_str()),
            ("id", first.as_str()),
            ("tag", tag),
            ("back", &back),
            ("act", "remove-tag"),
        ];
        let page = admin.post("/bulk", &fields).await;
        assert_eq!(
            (page.status, page.text(".summary a")),
            (StatusCode::UNPROCESSABLE_ENTITY, says.to_owned())
        );
        assert_eq!(page.attribute(".summary a", "href").as_deref(), Some("#bulk-tag"));
        assert_eq!(page.attribute("#bulk-tag", "value").as_deref(), Some(tag));
        assert!(page.text("#bulk-tag-e").ends_with(says) && page.attribute("#bulk-tag", "aria-invalid").is_some());
        assert!(page.text("title").starts_with("Error: Mailboxes"), "{}", page.text("title"));
        let sent = page.form("/bulk");
        let ticked: Vec<&str> = sent.iter().filter(|(name, _)| name == "id").map(|(_, id)| id.as_str()).collect();
        assert_eq!(ticked, [id.as_str(), first.as_str()]);
        assert!(
            page.text("footer.bulk").contains("m00@contoso.test, not on this page"),
            "{}",
            page.text("footer.bulk")
        );
        assert_eq!(page.text("caption").lines().count(), 1);
        assert!(sent.contains(&("back".to_owned(), back.clone())), "{sent:?}");
    }
    // Where the page is gone there is the first one of all, and all of that is something else than what was ticked.
    let fields = [
        ("all", "1"),
        ("q", "m"),
        ("tag", "a b"),
        ("back", "/mailboxes?q=nothing-has-this"),
        ("act", "add-tag"),
    ];
    let page = admin.post("/bulk", &fields).await;
    assert!(!page.has("#bulk-all[checked]") && page.has("tbody tr"), "{}", page.words());
    assert_eq!(t.count("SELECT COUNT(*) FROM mailbox_tags").await, 0);
}

/// The database of the console is in the way of one mailbox: that is told as what it is, with the way to the log.
#[tokio::test]
async fn what_the_consoles_own_records_are_in_the_way_of_leads_to_the_log() {
    let t = TestApp::start().await;
    let server = Imapd::default().start(None).await;
    for number in 0..2 {
        add(&t, &format!("m{number}"), server.port, PASSWORD).await;
    }
    let mut operator = t.operator();
    let page = operator.get("/tests/new?which=filter&q=m").await;
    let path = send(&mut operator, &page, &[("act", "start")]).await.location().unwrap();
    sqlx::query("UPDATE mailboxes SET incoming_security = 'nonsense' WHERE name = 'm1'")
        .execute(t.app.store.raw_pool())
        .await
        .unwrap();
    instances::tick(&t.app).await.unwrap();
    for _ in 0..500 {
        batches::tick(&t.app).await.unwrap();
        t.clock.advance(1);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut operator = t.operator();
    let page = operator.get(&path).await;
    assert_eq!(page.text("#bar-h"), "1 of 2 tests failed", "{}", page.words());
    assert!(
        page.text(".todo h3").starts_with("1 × Couldn't be tested: the console can't read"),
        "{}",
        page.text(".todo h3")
    );
    assert_eq!(page.attribute(".todo .acts a", "href").as_deref(), Some("/log?level=warn"));
    let log = operator.get("/log?level=warn").await;
    assert_eq!(log.status, StatusCode::OK);
}
