//! What ends, and when: the page, its files, and the same on the overview.

mod many;

use super::providers::send;
use crate::support::app::TestApp;
use crate::support::page::Page;
use axum::http::StatusCode;
use jiff::tz::TimeZone;
use mailgrant::actions::expiry::expiring;
use mailgrant::actions::{doctor, links, provider_links};
use mailgrant::clock::Clock;
use mailgrant::model::audit::Actor;
use mailgrant::model::consent::LinkKind;
use mailgrant::model::provider::{ClientAuth, ConsentScreen, StoredSecret};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Prompt;
use mailgrant::model::{Date, Name, Sealed};

const DAY: i64 = 86_400;

/// A provider whose secret ends on a day.
async fn ends_on(t: &TestApp, date: &str) {
    let mut provider = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    provider.client_secret_expires = Date::parse(date);
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
}

/// A secret with twelve days left, a sign-in of a test app, and two links.
async fn furnished() -> TestApp {
    let t = TestApp::start().await;
    t.add_token(true).await;
    ends_on(&t, "2026-12-03").await;
    let mut provider = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    let token = t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    links::create(&t.app, &Actor::console(), &token, Prompt::Consent, 3 * DAY)
        .await
        .unwrap();
    provider_links::create(&t.app, &Actor::console(), &provider, LinkKind::Secret)
        .await
        .unwrap();
    provider = t.app.store.provider(&provider.name).await.unwrap().unwrap();
    provider.template = TemplateKind::Google;
    provider.consent_screen = Some(ConsentScreen::Testing);
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    t
}

#[tokio::test]
async fn nothing_that_ends_is_said_and_so_is_a_filter_that_leaves_nothing() {
    let t = TestApp::start().await;
    let page = t.viewer().get("/expiry").await;
    assert_eq!(page.text(".empty h2"), "Nothing ends by itself");
    assert!(!page.has("a[download]"));
    t.add_token(true).await;
    ends_on(&t, "2026-12-03").await;
    let page = t.viewer().get("/expiry?kind=link").await;
    assert_eq!(page.text(".empty h2"), "No date matches");
    let page = t.viewer().get("/expiry?kind=nonsense&within=soon&page=99").await;
    assert_eq!((page.status, page.text(".empty h2").as_str()), (StatusCode::OK, "No date matches"));
}

#[tokio::test]
async fn every_date_has_its_days_its_date_what_hangs_on_it_and_one_way_out() {
    let t = furnished().await;
    let mut admin = t.admin();
    let form = admin.get("/mailboxes/new?address=hr@contoso.test&with=suggested").await;
    let over = [("auth", "oauth2"), ("token", "support"), ("act", "save")];
    assert_eq!(send(&mut admin, &form, "/mailboxes/new", &over).await.status, StatusCode::SEE_OTHER);
    let page = admin.get("/expiry").await;
    let rows = page.text("tbody tr");
    let secret = rows
        .lines()
        .find(|row| row.contains("Client secret of contoso"))
        .unwrap_or_else(|| panic!("{rows}"));
    for words in ["12 days", "3 Dec 2026", "1 mailbox", "Replace secret"] {
        assert!(secret.contains(words), "{words}: {secret}");
    }
    assert!(
        rows.contains("Secret link of contoso") && rows.contains("Sign-in link for support@contoso.test"),
        "{rows}"
    );
    assert_eq!(
        page.attribute("tbody tr td a.btn[href$='/secret']", "href").as_deref(),
        Some("/providers/contoso/secret")
    );
    assert_eq!(
        page.attribute("tbody time[datetime='2026-12-03']", "datetime").as_deref(),
        Some("2026-12-03")
    );
    // Who may not press a button is led to the page that says so.
    assert!(!t.viewer().get("/expiry").await.text("tbody").contains("Replace secret"));
    let only = admin.get("/expiry?kind=client-secret&within=14").await;
    assert_eq!(only.text("tbody tr").lines().count(), 1, "{}", only.text("tbody tr"));
    assert_eq!(
        only.attribute(".acts form[action^='/expiry/']", "action").as_deref(),
        Some("/expiry/calendar.ics?kind=client-secret&within=14"),
        "a file is of what is shown"
    );
    assert!(!admin.get("/expiry?within=7").await.text("tbody").contains("Client secret"));
}

/// `security.md` F35: on the day it has expired, whatever hour it is.
#[tokio::test]
async fn on_its_day_a_secret_has_expired_here_and_on_the_overview() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    t.add_mailbox("m", Some(1143), None).await;
    for (date, when, cause) in [
        ("2026-11-22", "1 day", "The client secret of contoso expires tomorrow"),
        ("2026-11-21", "expired", "The client secret of contoso has expired"),
        ("2026-11-20", "expired yesterday", "The client secret of contoso has expired"),
        ("2026-11-01", "expired 20 days ago", "The client secret of contoso has expired"),
    ] {
        ends_on(&t, date).await;
        assert_eq!(t.viewer().get("/expiry").await.text("tbody .state"), when);
        let overview = t.viewer().get("/").await;
        assert_eq!(
            (overview.text(".runway .when b").as_str(), overview.text(".todo h3").lines().next()),
            (when, Some(cause))
        );
        let ended = t.viewer().get("/expiry?within=ended").await.has("tbody");
        assert_eq!(ended, date != "2026-11-22", "{date}");
    }
}

/// One rule: whoever says that it has expired says so from the same day on.
#[tokio::test]
async fn everybody_says_from_the_same_day_on_that_it_has_expired() {
    let t = TestApp::start_with(&[("MAILGRANT_METRICS_NETWORKS", "127.0.0.0/8,192.0.2.0/24,203.0.113.0/24")]).await;
    t.add_token(true).await;
    let mut provider = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    provider.client_auth = ClientAuth::SecretPost;
    provider.client_secret = Some(StoredSecret {
        sealed: Sealed("v1.secret".into()),
        version: 1,
        set_at: t.clock.now(),
        set_by: "Maija".into(),
        hint: String::new(),
    });
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
    for (date, ended) in [("2026-11-22", false), ("2026-11-21", true), ("2026-11-20", true)] {
        ends_on(&t, date).await;
        let page = t.admin().get("/providers/contoso").await;
        assert_eq!(page.words().contains("Client secret has ended"), ended, "{date}: {}", page.words());
        let checks = doctor::examine(&t.app).await.unwrap();
        let check = checks.iter().find(|check| check.name == "provider contoso").unwrap();
        assert_eq!(
            check.detail.contains("its client secret has ended"),
            ended,
            "{date}: {}",
            check.detail
        );
        assert_eq!(check.detail.contains("ends tomorrow"), !ended, "{date}: {}", check.detail);
        // They are the same for a few seconds.
        t.clock.advance(10);
        let metrics = t.anonymous().get("/metrics").await.body;
        for family in ["mailgrant_expiry_days{", "mailgrant_credential_expires_days{"] {
            let line = metrics.lines().find(|line| line.starts_with(family)).unwrap();
            let days: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert_eq!(days <= 0, ended, "{date}: {line}");
        }
        let found = expiring(&t.app, 60, &TimeZone::UTC).await.unwrap();
        assert_eq!(found[0].ended, ended, "{date}");
    }
}

/// Days are counted in the zone that the date beside them is told in.
#[tokio::test]
async fn days_are_those_of_who_reads() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    let token = t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    // At 23:00 in UTC, which is tomorrow at 01:00 in Helsinki.
    links::create(&t.app, &Actor::console(), &token, Prompt::Consent, 15 * 3600)
        .await
        .unwrap();
    let mut admin = t.admin();
    let row = admin.get("/expiry").await.text("tbody tr");
    assert!(row.contains("today") && row.contains("21 Nov 2026"), "{row}");
    assert!(admin.get("/expiry?within=0").await.has("tbody"));
    let fields = [("name", "Maija K"), ("theme", "dark"), ("time_zone", "Europe/Helsinki")];
    admin.post("/me/profile", &fields).await;
    let row = admin.get("/expiry").await.text("tbody tr");
    assert!(row.contains("1 day") && row.contains("22 Nov 2026"), "{row}");
    assert!(!admin.get("/expiry?within=0").await.has("tbody"), "it is tomorrow here");
    assert!(admin.get("/expiry?within=1").await.has("tbody"));
    // A day that was entered is that day everywhere; what has ended is what is said to have.
    for (date, ended) in [("2026-11-22", false), ("2026-11-21", true)] {
        ends_on(&t, date).await;
        let list = |page: Page| page.text("tbody tr").contains("Client secret");
        assert_eq!(list(admin.get("/expiry?within=0").await), ended, "{date}");
        assert!(list(admin.get("/expiry?within=1").await), "{date}");
        assert_eq!(list(admin.get("/expiry?within=ended").await), ended, "{date}");
    }
    assert!(
        admin
            .post("/expiry/dates.csv", &[])
            .await
            .body
            .contains(",1,2026-11-22,2026-11-21T23:00:00Z,")
    );
}

#[tokio::test]
async fn the_overview_tells_the_same_dates_and_how_many_there_are() {
    let t = furnished().await;
    t.add_mailbox("m", Some(1143), None).await;
    let all = t.viewer().get("/expiry").await.text("tbody tr").lines().count();
    let overview = t.viewer().get("/").await;
    assert_eq!(overview.text(".runway li").lines().count(), all);
    assert_eq!(overview.text("#o-dates .more"), format!("All {all} dates"));
    assert_eq!(overview.attribute("#o-dates .more", "href").as_deref(), Some("/expiry"));
    let label = overview.attribute(".runway li:last-child svg", "aria-label");
    assert_eq!(label.as_deref(), Some("12 days left of 90"));
}

/// A calendar as a program reads it that knows the rules and nothing of ours: unfolds, splits names, parameters and values, and takes
/// nothing that RFC 5545 doesn't allow.
fn read(text: &str) -> Vec<Vec<(String, String)>> {
    assert!(text.ends_with("\r\n"));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a line ends with both");
    assert!(text.split("\r\n").all(|line| line.len() <= 75), "a line is folded");
    let unfolded = text.replace("\r\n ", "").replace("\r\n\t", "");
    let (mut events, mut open) = (Vec::new(), Vec::<String>::new());
    for line in unfolded.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        let name = name.split(';').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'), "{line}");
        match name {
            "BEGIN" => {
                open.push(value.to_owned());
                if value == "VEVENT" {
                    events.push(Vec::new());
                }
            }
            "END" => assert_eq!(open.pop().as_deref(), Some(value)),
            _ => {
                let path = open.join("/");
                assert!(!path.is_empty(), "{line}");
                if path.starts_with("VCALENDAR/VEVENT") {
                    let inner = path.strip_prefix("VCALENDAR/VEVENT").unwrap().trim_start_matches('/');
                    let name = if inner.is_empty() {
                        name.to_owned()
                    } else {
                        format!("{inner}.{name}")
                    };
                    events.last_mut().unwrap().push((name, value.to_owned()));
                }
            }
        }
    }
    assert!(open.is_empty());
    events
}

#[tokio::test]
async fn the_calendar_has_a_day_each_with_reminders_and_is_the_same_tomorrow() {
    let t = furnished().await;
    let answer = t.admin().post("/expiry/calendar.ics", &[]).await;
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert!(answer.header("content-disposition").contains("mailgrant-dates-2026-11-21.ics"));
    let events = read(&answer.body);
    assert_eq!(events.len(), t.viewer().get("/expiry").await.text("tbody tr").lines().count());
    let value = |event: &[(String, String)], name: &str| -> Vec<String> {
        event
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .collect()
    };
    let secret = events
        .iter()
        .find(|event| value(event, "SUMMARY") == ["Client secret of contoso expires"])
        .unwrap();
    assert_eq!(
        (value(secret, "DTSTART"), value(secret, "DTEND")),
        (vec!["20261203".into()], vec!["20261204".into()])
    );
    assert_eq!(value(secret, "VALARM.TRIGGER"), ["-P30D", "-P14D", "-P7D", "-P1D"]);
    assert_eq!(value(secret, "VALARM.ACTION"), ["DISPLAY"; 4]);
    assert!(value(secret, "URL")[0].ends_with("/providers/contoso/secret"));
    let uids = |events: &[Vec<(String, String)>]| events.iter().flat_map(|event| value(event, "UID")).collect::<Vec<_>>();
    let before = uids(&events);
    let mut different = before.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), before.len(), "{before:?}");

    // A new secret moves the day; the calendar keeps one entry for it.
    ends_on(&t, "2027-12-03").await;
    t.clock.advance(60);
    let after = read(&t.admin().post("/expiry/calendar.ics", &[]).await.body);
    let mut moved = uids(&after);
    moved.sort();
    assert_eq!(moved, different);
}

#[tokio::test]
async fn the_table_is_for_other_programs() {
    let t = furnished().await;
    let answer = t.viewer().post("/expiry/dates.csv?kind=client-secret", &[]).await;
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines.len(), 2, "{}", answer.body);
    assert_eq!(
        lines[0],
        "what,kind,provider,token,account,days_left,date,ends_at_utc,mailboxes,mailboxes_turned_off"
    );
    assert_eq!(
        lines[1],
        "Client secret of contoso,client-secret,contoso,,,12,2026-12-03,2026-12-03T00:00:00Z,0,0"
    );
    // Who took what away is known, and no link of somebody else's makes anybody take it.
    let entry = &t.app.store.audit_rows(1).await.unwrap()[0];
    assert_eq!(
        (entry.action.as_str(), entry.detail.as_str()),
        ("expiry.export", "CSV, kind client-secret")
    );
    assert_eq!(t.viewer().get("/expiry/dates.csv").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn more_dates_than_a_page_has_are_on_the_next_one() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    let token = t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    for number in 0..60 {
        links::create(&t.app, &Actor::console(), &token, Prompt::Consent, DAY + number)
            .await
            .unwrap();
    }
    let page = t.viewer().get("/expiry").await;
    assert_eq!(page.text("tbody tr").lines().count(), 50);
    assert!(page.text(".pager").starts_with("1–50 of 60"), "{}", page.text(".pager"));
    let page = t.viewer().get(&page.attribute(".pager a[rel=next]", "href").unwrap()).await;
    assert_eq!(page.text("tbody tr").lines().count(), 10);
    assert!(page.has(".pager a[rel=prev]") && !page.has(".pager a[rel=next]"));
}

#[tokio::test]
async fn searching_for_it_finds_the_page() {
    let t = TestApp::start().await;
    for words in ["expiry", "calendar", "expires next"] {
        let query = format!("/search?q={}", words.replace(' ', "+"));
        assert_eq!(t.viewer().get(&query).await.location().as_deref(), Some("/expiry"), "{words}");
    }
    assert!(t.clock.now().0 > 0);
}
