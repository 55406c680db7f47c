//! Settings: what is chosen counts at once, what can't be is refused by its name, and nobody overwrites unseen.

use crate::store::log::entry;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::databases::NOW;
use axum::http::StatusCode;
use mailgrant::model::log::{LogEntry, first_number};
use mailgrant::model::settings::{CHECK_INTERVAL, KEEP_LOG};
use mailgrant::worker;

const CHECKS: &str = "/settings/checks";

/// The fields of a page with their values, as a browser would send them, with some typed over.
async fn filled(t: &TestApp, path: &str, typed: &[(&str, &str)]) -> Vec<(String, String)> {
    let page = t.admin().get(path).await;
    let html = scraper::Html::parse_document(&page.body);
    let inputs = scraper::Selector::parse("main form[data-guard] input[name], main form[data-guard] select[name]").unwrap();
    let chosen = scraper::Selector::parse("option[selected]").unwrap();
    html.select(&inputs)
        .map(|input| {
            let name = input.attr("name").unwrap().to_owned();
            let own = typed.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
            let option = input.select(&chosen).next();
            let stood = option.unwrap_or(input).attr("value").unwrap_or_default().to_owned();
            (name, own.unwrap_or(stood))
        })
        .filter(|(name, _)| name != "csrf_token")
        .collect()
}

/// The same with a button *Reset* pressed.
async fn resetting(t: &TestApp, path: &str, field: &str, typed: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = filled(t, path, typed).await;
    fields.push(("reset".to_owned(), field.to_owned()));
    fields
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn what_is_chosen_counts_is_written_down_and_can_be_taken_back() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/settings").await;
    assert_eq!(page.text("nav [aria-current]"), "Settings");
    let fields = filled(&t, CHECKS, &[("interval_minutes", "30 minutes")]).await;
    let page = admin.submit(CHECKS, &pairs(&fields)).await;
    assert_eq!(page.text(".flash"), "Saved. Interval: 30 minutes.");
    assert_eq!(mailgrant::actions::settings::number(&t.app, &CHECK_INTERVAL).await.unwrap(), 30);
    assert_eq!(
        t.count("SELECT COUNT(*) FROM audit WHERE action = 'settings.change' AND detail = '15 minutes → 30 minutes'")
            .await,
        1
    );
    assert!(admin.get("/settings").await.words().contains("Interval: 30 minutes"));
    let fields = resetting(&t, CHECKS, "interval_minutes", &[]).await;
    let page = admin.submit(CHECKS, &pairs(&fields)).await;
    assert_eq!(page.text(".flash"), "Interval is 15 minutes again.");
    assert_eq!(
        t.count("SELECT COUNT(*) FROM settings WHERE name = 'checks.interval_minutes'")
            .await,
        0,
        "a default that changes with a version counts for who never chose"
    );
    let page = admin.submit(CHECKS, &pairs(&filled(&t, CHECKS, &[]).await)).await;
    assert_eq!(page.text(".flash"), "Nothing was changed.");
}

/// Eight is what counts where nobody chose, and somebody may choose it all the same: then it doesn't grow.
#[tokio::test]
async fn eight_at_once_can_be_chosen_and_given_up_again() {
    let t = TestApp::start().await;
    let stored = || t.count("SELECT COUNT(*) FROM settings WHERE name = 'checks.parallel_per_provider' AND value = '8'");
    let mut admin = t.admin();
    let page = admin.get(CHECKS).await;
    assert_eq!(page.attribute("#parallel_per_provider", "value").as_deref(), Some(""));
    assert!(page.words().contains("it grows by itself, and is 8 now."), "{}", page.words());
    assert!(t.viewer().get(CHECKS).await.words().contains("grows by itself"));
    let eight = [("parallel_per_provider", "8")];
    let page = admin.submit(CHECKS, &pairs(&filled(&t, CHECKS, &eight).await)).await;
    assert_eq!(page.text(".flash"), "Saved. At the same time per provider: 8 mailboxes.");
    assert_eq!(
        (stored().await, page.attribute("#parallel_per_provider", "value").as_deref()),
        (1, Some("8"))
    );
    assert!(!page.words().contains("it grows by itself, and is"), "{}", page.words());
    assert!(
        admin
            .get("/settings")
            .await
            .words()
            .contains("At the same time per provider: 8 mailboxes")
    );
    let fields = resetting(&t, CHECKS, "parallel_per_provider", &[]).await;
    let page = admin.submit(CHECKS, &pairs(&fields)).await;
    assert_eq!(page.text(".flash"), "At the same time per provider grows by itself again.");
    assert_eq!(t.count("SELECT COUNT(*) FROM settings WHERE name LIKE 'checks.%'").await, 0);
    // The same by leaving it empty.
    admin.submit(CHECKS, &pairs(&filled(&t, CHECKS, &eight).await)).await;
    let empty = filled(&t, CHECKS, &[("parallel_per_provider", "")]).await;
    let page = admin.submit(CHECKS, &pairs(&empty)).await;
    assert_eq!(page.text(".flash"), "Saved. At the same time per provider: grows by itself.");
    assert_eq!(t.count("SELECT COUNT(*) FROM settings WHERE name LIKE 'checks.%'").await, 0);
}

#[tokio::test]
async fn one_wrong_field_keeps_all_of_them_and_is_named() {
    let t = TestApp::start().await;
    let fields = filled(&t, CHECKS, &[("interval_minutes", "5"), ("timeout_seconds", "1000")]).await;
    let page = t.admin().post(CHECKS, &pairs(&fields)).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("title").starts_with("Error: Checks"));
    assert_eq!(page.text(".summary li"), "Timeout must be a whole number of seconds from 3 to 120");
    assert_eq!(page.attribute("#interval_minutes", "value").unwrap(), "5", "what was typed stays");
    assert_eq!(page.attribute("#timeout_seconds", "aria-invalid").unwrap(), "true");
    assert_eq!(
        t.count("SELECT COUNT(*) FROM settings WHERE name LIKE 'checks.%'").await,
        0,
        "all or nothing"
    );
}

#[tokio::test]
async fn what_somebody_else_changed_meanwhile_is_not_overwritten_unseen() {
    let t = TestApp::start().await;
    let mine = filled(&t, CHECKS, &[("interval_minutes", "20")]).await;
    let theirs = filled(&t, CHECKS, &[("interval_minutes", "60"), ("junk_days", "14")]).await;
    t.admin().submit(CHECKS, &pairs(&theirs)).await;
    let page = t.admin().post(CHECKS, &pairs(&mine)).await;
    assert_eq!(
        page.text(".summary li"),
        "Somebody changed this to 60 minutes meanwhile. Save again to put yours in its place"
    );
    // Saved again from the page that came back: mine, and their other field stays.
    let again: Vec<(String, String)> = mine
        .iter()
        .map(|(name, value)| {
            let stands = page.attribute(&format!("input[name={name}]"), "value").unwrap_or_default();
            (name.clone(), if name.ends_with("_was") { stands } else { value.clone() })
        })
        .collect();
    let again: Vec<(String, String)> = again
        .into_iter()
        .map(|(name, value)| if name == "junk_days" { (name, "14".into()) } else { (name, value) })
        .collect();
    let page = t.admin().submit(CHECKS, &pairs(&again)).await;
    assert_eq!(page.text(".flash"), "Saved. Interval: 20 minutes.");
    assert!(t.admin().get("/settings").await.words().contains("Junk window: 14 days"));
}

#[tokio::test]
async fn a_viewer_sees_what_counts_and_who_could_change_it() {
    let t = TestApp::start().await;
    for path in [
        CHECKS,
        "/settings/general",
        "/settings/retention",
        "/settings/network",
        "/settings/encryption",
    ] {
        let page = t.viewer().get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(!page.has("main form button.primary"), "{path}");
    }
    let page = t.viewer().get(CHECKS).await;
    assert!(page.words().contains("Interval15 minutes"), "{}", page.words());
    assert!(
        page.words()
            .contains("Only people with permission to change settings can do this. Ask Maija Korhonen.")
    );
    assert_eq!(
        t.viewer().post(CHECKS, &[("interval_minutes", "1")]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(t.admin().get("/settings/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_instance_name_and_time_zone_are_on_every_page_at_once() {
    let t = TestApp::start().await;
    let fields = filled(&t, "/settings/general", &[("name", "Contoso <mail>"), ("time_zone", "Asia/Tokyo")]).await;
    let page = t.admin().submit("/settings/general", &pairs(&fields)).await;
    assert_eq!(page.text("nav .brand small"), "Contoso <mail>");
    assert!(page.text("footer.foot").contains("Asia/Tokyo"));
    let fields = filled(&t, "/settings/general", &[("time_zone", "Mars/Olympus")]).await;
    let page = t.admin().post("/settings/general", &pairs(&fields)).await;
    assert_eq!(page.text(".summary li"), "Choose a time zone from the list");
}

#[tokio::test]
async fn open_sessions_go_by_the_new_times() {
    let t = TestApp::start().await;
    let mut other = t.operator();
    assert_eq!(other.get("/me").await.status, StatusCode::OK);
    let fields = filled(&t, "/settings/sign-in", &[("idle_minutes", "10")]).await;
    t.admin().submit("/settings/sign-in", &pairs(&fields)).await;
    t.clock.advance(9 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::OK);
    t.clock.advance(11 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::SEE_OTHER, "idle for longer than chosen");
    let t = TestApp::start().await;
    let mut other = t.operator();
    let fields = filled(&t, "/settings/sign-in", &[("idle_minutes", "120"), ("longest_hours", "1")]).await;
    t.admin().submit("/settings/sign-in", &pairs(&fields)).await;
    t.clock.advance(50 * 60);
    assert_eq!(other.get("/me").await.status, StatusCode::OK, "longer idle than by default");
    t.clock.advance(15 * 60);
    assert_eq!(
        other.get("/me").await.status,
        StatusCode::SEE_OTHER,
        "longer than a session may last"
    );
}

/// Sessions end by the limits of their time: whoever lets others last longer must not open again what was left open yesterday.
#[tokio::test]
async fn longer_times_bring_no_ended_session_back() {
    for (change, used) in [
        (&[("idle_minutes", "600")][..], 0),
        (&[("longest_hours", "48")][..], 25),
        (&[("idle_minutes", "600"), ("longest_hours", "48")][..], 0),
    ] {
        let t = TestApp::start().await;
        let mut left = t.operator();
        let mut kept = t.viewer();
        // One is used every half hour until its twelve hours are over, or not at all.
        for _ in 0..used {
            t.clock.advance(29 * 60);
            left.get("/me").await;
        }
        t.clock.advance(31 * 60);
        assert_eq!(left.get("/me").await.status, StatusCode::SEE_OTHER, "{change:?}: it ended");
        // Somebody else signs in, and then the times are changed.
        let admin = t.app.store.users().await.unwrap().remove(0);
        kept.cookies
            .insert(t.web.cookies.session.to_owned(), t.session_for(&admin.id).await);
        let mut changer = t.browser_with(&t.session_for(&admin.id).await);
        let mut fields = changer.get("/settings/sign-in").await.form("/settings/sign-in");
        for (name, value) in change {
            fields.iter_mut().find(|(field, _)| field == name).unwrap().1 = (*value).to_owned();
        }
        changer.post_raw("/settings/sign-in", &pairs(&fields)).await;
        assert_eq!(left.get("/me").await.status, StatusCode::SEE_OTHER, "{change:?}: ended is ended");
        assert_eq!(kept.get("/me").await.status, StatusCode::OK, "{change:?}: what was open stays open");
        assert_eq!(changer.get("/me").await.status, StatusCode::OK, "{change:?}");
        assert_eq!(t.count("SELECT COUNT(*) FROM sessions").await, 2, "{change:?}: ended rows are gone");
    }
}

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
    let page = t.admin().get("/settings/retention").await;
    assert!(page.text("aside").contains("1 entry"), "{}", page.text("aside"));
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

#[tokio::test]
async fn another_address_is_confirmed_after_the_providers_are_named() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/settings/general/address?to=http://mail.example.com").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text(".summary li").starts_with("Base URL must be like https://"));
    let page = admin.get("/settings/general/address?to=https://mail.example.com").await;
    assert!(page.text("h1").contains("https://mail.example.com"));
    let change = "/settings/general/address";
    let page = admin
        .post(change, &[("to", "https://mail.example.com"), ("confirm", "example.com")])
        .await;
    assert_eq!(page.text(".summary li"), "Type mail.example.com to confirm");
    let before = t.app.config.base_url.clone();
    assert_eq!(mailgrant::actions::settings::base_url(&t.app).await.unwrap(), before);
    let page = admin
        .post(change, &[("to", "https://mail.example.com"), ("confirm", " Mail.Example.com ")])
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let now = mailgrant::actions::settings::base_url(&t.app).await.unwrap();
    assert_eq!(now.as_str(), "https://mail.example.com/");
    let set = TestApp::start_with(&[("MAILGRANT_BASE_URL", "http://localhost:8080")]).await;
    let page = set.admin().get(change).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "what is set outside is changed there");
}

/// Whatever is changed from its default can go back to it with one press: also an hour, which has no unit, a text, and what wants the
/// password.
#[tokio::test]
async fn every_setting_that_was_changed_can_be_taken_back_on_its_page() {
    let t = TestApp::start().await;
    for (path, field, other, words) in [
        (CHECKS, "weekly_hour", "5", "Reset to 8 (Hour of the weekly report)"),
        ("/settings/general", "name", "Contoso", "Reset to none (Instance name (optional))"),
    ] {
        let page = t.admin().get(path).await;
        assert!(!page.has(&format!("button[value={field}]")), "{field} is as it was");
        let fields = filled(&t, path, &[(field, other)]).await;
        let page = t.admin().submit(path, &pairs(&fields)).await;
        assert_eq!(page.text(&format!("button[name=reset][value={field}]")), words);
        let fields = resetting(&t, path, field, &[]).await;
        let page = t.admin().submit(path, &pairs(&fields)).await;
        assert!(page.text(".flash").ends_with("again."), "{}", page.text(".flash"));
        assert!(!page.has(&format!("button[value={field}]")), "{}", page.words());
    }

    let path = "/settings/retention";
    let fields = filled(&t, path, &[("audit_days", "100"), ("password", PASSWORD)]).await;
    t.admin().submit(path, &pairs(&fields)).await;
    let page = t.admin().get(path).await;
    assert!(page.text("button[name=reset]").starts_with("Reset to 730 days"), "{}", page.words());
    let mut fields = filled(&t, path, &[("log_days", "12")]).await;
    fields.push(("reset".into(), "audit_days".into()));
    let refused = t.admin().post(path, &pairs(&fields)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "not without the password");
    fields.iter_mut().find(|(name, _)| name == "password").unwrap().1 = PASSWORD.into();
    let page = t.admin().submit(path, &pairs(&fields)).await;
    assert!(page.text(".flash").starts_with("Audit log is 730 days again."), "{}", page.words());
    assert_eq!(page.attribute("#log_days", "value").as_deref(), Some("12"), "typed, and not saved");
    assert_eq!(
        t.count("SELECT COUNT(*) FROM settings WHERE name LIKE 'retention.%'").await,
        0,
        "and nothing else"
    );
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
    assert_eq!(page.text(".summary li"), "Somebody changed this meanwhile. Nothing was changed; this is theirs");
    assert_eq!(page.attribute("#log_days", "value").as_deref(), Some("25"));
    let page = t.admin().post(path, &[("reset", "nothing")]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

/// What can't be chosen here is said, so that nobody looks for it; how much is kept, and sealed with which key, in numbers.
#[tokio::test]
async fn what_cannot_be_chosen_is_said_and_what_is_kept_is_counted() {
    let things = super::real_things::Things::make().await;
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
}

/// Cookies are named at the start: until the console is started again after a change between http and https, people may be signed out at
/// any time, and whoever made the change has long forgotten the sentence on the page before.
#[tokio::test]
async fn until_it_is_started_again_a_line_says_so_on_every_page() {
    let t = TestApp::start().await;
    let line = async |t: &TestApp| t.admin().get("/mailboxes").await.text(".note.warn");
    assert!(!line(&t).await.contains("Start it again"));
    let fields = [("to", "https://mail.contoso.test"), ("confirm", "mail.contoso.test")];
    let answer = t.admin().post("/settings/general/address", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.words());
    let told = line(&t).await;
    assert!(
        told.contains("starts with https:// now") && told.contains("Start it again"),
        "{told}"
    );
    assert!(!t.viewer().get("/mailboxes").await.text(".note.warn").contains("Start it again"));
    let t = t.restart().await;
    let mut admin = t.browser_with(&t.session_for(&t.app.store.users().await.unwrap()[0].id).await);
    assert!(!admin.get("/mailboxes").await.words().contains("Start it again"));
}
