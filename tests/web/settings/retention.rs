//! What is kept how long, how much there is of it, and the password that cutting the audit log wants.

use super::{filled, pairs, resetting};
use crate::store::log::entry;
use crate::support::app::{PASSWORD, Page, TestApp};
use crate::support::databases::NOW;
use crate::web::real_things::Things;
use axum::http::StatusCode;
use mailgrant::model::log::{LogEntry, first_number};
use mailgrant::model::settings::KEEP_LOG;
use mailgrant::worker;

#[tokio::test]
async fn what_is_older_than_chosen_goes_and_the_last_result_of_a_mailbox_stays() {
    let t = TestApp::start().await;
    let old = |days: i64, n: i64| {
        let at = NOW.plus(-days * 86_400);
        LogEntry {
            id: first_number(at) + n,
            at,
            ..entry(n)
        }
    };
    t.app.store.insert_log(&[old(40, 1), old(20, 2), old(5, 3)]).await.unwrap();
    worker::instances::tick(&t.app).await.unwrap();
    worker::cleanup::tick(&t.app).await.unwrap();
    assert_eq!(t.count("SELECT COUNT(*) FROM log").await, 2, "30 days by default");
    let fields = filled(&t, "/settings/retention", &[("log_days", "10")]).await;
    t.admin().submit("/settings/retention", &pairs(&fields)).await;
    assert_eq!(mailgrant::actions::settings::number(&t.app, &KEEP_LOG).await.unwrap(), 10);
    worker::cleanup::tick(&t.app).await.unwrap();
    assert_eq!(t.count("SELECT COUNT(*) FROM log").await, 1);
    // Counting takes long where there is much: the page tells when it was done, and does it again after ten minutes.
    let page = t.admin().get("/settings/retention").await;
    assert!(page.text("aside").contains("2 entries"), "{}", page.text("aside"));
    t.clock.advance(600);
    let page = t.admin().get("/settings/retention").await;
    assert!(page.text("aside").contains("1 entry"), "{}", page.text("aside"));
    assert!(page.text("aside").contains("Counted"), "{}", page.text("aside"));
    let refused = filled(&t, "/settings/retention", &[("audit_days", "30")]).await;
    let page = t.admin().post("/settings/retention", &pairs(&refused)).await;
    assert_eq!(page.text(".summary li"), "Audit log must be a whole number of days from 90 to 3650");
}

#[tokio::test]
async fn cutting_the_audit_log_shorter_wants_the_password_again() {
    let t = TestApp::start().await;
    let stored = || t.count("SELECT COUNT(*) FROM settings WHERE name = 'retention.audit_days'");
    for (password, says) in [
        ("", "Enter your password: another time for the audit log needs it"),
        ("not my password at all", "Your password is wrong"),
    ] {
        let fields = filled(&t, "/settings/retention", &[("audit_days", "90"), ("password", password)]).await;
        let page = t.admin().post("/settings/retention", &pairs(&fields)).await;
        assert_eq!(page.text(".summary li"), says);
        assert!(!page.body.contains("not my password at all"));
        assert_eq!(stored().await, 0);
    }
    let fields = filled(&t, "/settings/retention", &[("audit_days", "90"), ("password", PASSWORD)]).await;
    let page = t.admin().submit("/settings/retention", &pairs(&fields)).await;
    assert_eq!(page.text(".flash"), "Saved. Audit log: 90 days.");
    let fields = resetting(&t, "/settings/retention", "audit_days", &[]).await;
    let page = t.admin().post("/settings/retention", &pairs(&fields)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "no way around");
    assert_eq!(stored().await, 1);
}

/// Enter in any field presses the first submit button of its form. Were that a Reset, the audit log would be kept for another time while
/// somebody changes another field, with the password that their browser filled in.
#[tokio::test]
async fn enter_saves_and_a_reset_takes_nothing_that_was_typed() {
    let t = TestApp::start().await;
    let path = "/settings/retention";
    let fields = filled(&t, path, &[("audit_days", "100"), ("log_days", "20"), ("password", PASSWORD)]).await;
    t.admin().submit(path, &pairs(&fields)).await;
    let page = t.admin().get(path).await;
    let html = scraper::Html::parse_document(&page.body);
    let buttons = scraper::Selector::parse("main form[data-guard] button[type=submit]").unwrap();
    let first = html.select(&buttons).next().unwrap();
    assert_eq!(first.attr("name"), None, "{}", first.html());
    assert!(page.has("button[name=reset][value=audit_days]"), "{}", page.words());

    let fields = resetting(&t, path, "log_days", &[("runs_days", "33")]).await;
    let page = t.admin().post(path, &pairs(&fields)).await;
    assert_eq!(
        page.text(".flash"),
        "System log is 30 days again. What you typed into the other fields isn\u{2019}t saved yet."
    );
    assert_eq!(page.attribute("#runs_days", "value").as_deref(), Some("33"));
    assert_eq!(page.attribute("#log_days", "value").as_deref(), Some("30"));
    assert_eq!(page.attribute("#audit_days", "value").as_deref(), Some("100"));

    // Whoever resets what somebody else changed meanwhile is shown theirs, and doesn't overwrite it with the next Save.
    let fields = filled(&t, path, &[("log_days", "20")]).await;
    t.admin().submit(path, &pairs(&fields)).await;
    let mine = resetting(&t, path, "log_days", &[]).await;
    let theirs = filled(&t, path, &[("log_days", "25")]).await;
    t.admin().submit(path, &pairs(&theirs)).await;
    let page = t.admin().post(path, &pairs(&mine)).await;
    assert_eq!(
        page.text(".summary li"),
        "Somebody changed this meanwhile. Nothing was changed; this is theirs"
    );
    assert_eq!(page.attribute("#log_days", "value").as_deref(), Some("25"));
    let page = t.admin().post(path, &[("reset", "nothing")]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

/// Whoever resets one field, or mends a mistake, has not chosen the other fields of the page: what somebody else saved there meanwhile stays,
/// and who did choose something is told of it first.
#[tokio::test]
async fn a_form_that_comes_back_takes_nothing_from_whoever_saved_meanwhile() {
    let t = TestApp::start().await;
    let path = "/settings/retention";
    let save = async |typed: &[(&str, &str)]| {
        let fields = filled(&t, path, typed).await;
        let page = t.admin().submit(path, &pairs(&fields)).await;
        assert!(page.text(".flash").starts_with("Saved."), "{}", page.words());
    };
    let again = async |page: &Page| {
        let fields: Vec<(String, String)> = page.form(path).into_iter().filter(|(name, _)| name != "csrf_token").collect();
        t.admin().post(path, &pairs(&fields)).await
    };
    save(&[("log_days", "20")]).await;
    let mine = resetting(&t, path, "log_days", &[("links_days", "33")]).await;
    save(&[("runs_days", "60")]).await;
    let page = t.admin().post(path, &pairs(&mine)).await;
    assert_eq!(page.attribute("#runs_days", "value").as_deref(), Some("60"), "{}", page.words());
    assert_eq!(page.attribute("#links_days", "value").as_deref(), Some("33"));
    assert!(again(&page).await.location().is_some());
    let page = t.admin().get(path).await;
    assert_eq!(page.attribute("#runs_days", "value").as_deref(), Some("60"));
    assert_eq!(page.attribute("#links_days", "value").as_deref(), Some("33"));

    let mine = filled(&t, path, &[("runs_days", "70"), ("log_days", "no")]).await;
    save(&[("runs_days", "61"), ("log_days", "25")]).await;
    let page = t.admin().post(path, &pairs(&mine)).await;
    assert!(
        page.text(".summary").contains("Somebody changed this to 61 days meanwhile"),
        "{}",
        page.words()
    );
    let mut fields: Vec<(String, String)> = page.form(path).into_iter().filter(|(name, _)| name != "csrf_token").collect();
    for (name, value) in &mut fields {
        if name == "log_days" {
            *value = "31".to_owned();
        }
    }
    let page = t.admin().post(path, &pairs(&fields)).await;
    let told: Vec<&str> = page
        .text(".summary")
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("meanwhile"))
        .map(|_| "told")
        .collect();
    assert_eq!(
        told.len(),
        1,
        "the log was told of for the first time, the runs a second time: {}",
        page.words()
    );
    assert!(again(&page).await.location().is_some(), "and then it is mine");
    let page = t.admin().get(path).await;
    assert_eq!(page.attribute("#runs_days", "value").as_deref(), Some("70"));
    assert_eq!(page.attribute("#log_days", "value").as_deref(), Some("31"));
}

/// What can't be chosen here is said, so that nobody looks for it; how much is kept, and sealed with which key, in numbers.
#[tokio::test]
async fn what_cannot_be_chosen_is_said_and_what_is_kept_is_counted() {
    let things = Things::make().await;
    let t = &things.t;
    for (path, told) in [
        ("/settings/general", &["Language", "English"][..]),
        ("/settings/sign-in", &["Trusted proxies", "MAILGRANT_TRUSTED_PROXIES"]),
        ("/settings/network", &["own resolver", "IPv4 and IPv6", "through a proxy"]),
        ("/settings/retention", &["entries, about"]),
    ] {
        let page = t.viewer().get(path).await;
        for words in told {
            assert!(page.words().contains(words), "{path}: {words} is missing in {}", page.words());
        }
    }

    // Every value that is sealed, wherever it is.
    let pool = t.app.store.raw_pool();
    let key = t.app.vault.active_key_id().to_owned();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.type = 'TEXT'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut all = 0;
    for (table, column) in columns {
        let count = format!("SELECT COUNT(*) FROM \"{table}\" WHERE \"{column}\" LIKE '%v1.{key}.gcmsiv.%'");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(pool).await.unwrap();
        all += count;
    }
    assert!(all > 3, "{all}");
    assert_eq!(t.app.store.sealed_with(&key).await.unwrap(), all);
    let page = t.viewer().get("/settings/encryption").await;
    assert!(page.words().contains(&format!("Sealed with data key {key}")), "{}", page.words());
    assert!(
        page.words().contains(&format!("{all} values")) && page.words().contains("Data keys1"),
        "{}",
        page.words()
    );
    // Nobody looks through every sealed value with each look at the page.
    sqlx::query("DELETE FROM kept").execute(pool).await.unwrap();
    sqlx::query("UPDATE runs SET newest = NULL").execute(pool).await.unwrap();
    let left = t.app.store.sealed_with(&key).await.unwrap();
    assert!(left < all);
    let words = t.viewer().get("/settings/encryption").await.words();
    assert!(words.contains(&format!("{all} values")) && words.contains("Counted"), "{words}");
    t.clock.advance(600);
    let words = t.viewer().get("/settings/encryption").await.words();
    assert!(words.contains(&format!("{left} value")), "{words}");
    // The key of this one lies in its data directory; one that is given by value says so.
    assert!(!words.contains("MAILGRANT_MASTER_KEY"), "{words}");
    let own = TestApp::start_with(&[("MAILGRANT_MASTER_KEY", "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXk=")]).await;
    let page = own.viewer().get("/settings/encryption").await;
    assert!(page.words().contains("Set by MAILGRANT_MASTER_KEY or its key"), "{}", page.words());
    assert!(!page.body.contains("Y2FuYXJ5"));
}
