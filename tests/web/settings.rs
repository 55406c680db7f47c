//! Settings: what is chosen counts at once, what can't be is refused by its name, and nobody overwrites unseen.

mod address;
mod retention;
mod sessions;

use crate::support::app::{PASSWORD, TestApp};
use axum::http::StatusCode;
use mailgrant::model::settings::CHECK_INTERVAL;

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
