//! The overview: the verdict, one item for each cause, and where to begin.

use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::clock::Clock;
use mailgrant::model::report::Outcome;
use mailgrant::model::{Date, Name};
use mailgrant::store::checks::CountKind;

#[tokio::test]
async fn an_empty_console_says_where_to_begin() {
    let t = TestApp::start().await;
    let page = t.admin().get("/").await;
    assert_eq!(page.text("h1"), "Let's connect the first mailbox");
    assert_eq!(page.text(".choices b").lines().count(), 4);
    for n in 1..=4 {
        let choice = page.attribute(&format!(".choices li:nth-child({n}) a"), "href").unwrap();
        let begun = t.admin().get(&choice).await;
        assert!(
            choice.starts_with("/walkthroughs/new?") && begun.has("form[action='/walkthroughs/new']"),
            "{choice}"
        );
    }
    let page = t.viewer().get("/").await;
    assert!(!page.has(".choices"));
    assert!(page.words().contains("Only people who may change mailboxes can do that"));
}

#[tokio::test]
async fn every_link_of_the_overview_leads_somewhere() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let failing = t.add_mailbox("hr", Some(1143), None).await;
    t.note(&failing, Outcome::Failed, Some("It is broken")).await;
    for role in ["admin", "viewer"] {
        let mut browser = t.signed_in(role);
        let page = browser.get("/").await;
        let html = scraper::Html::parse_document(&page.body);
        let links: Vec<String> = html
            .select(&scraper::Selector::parse("main a[href]").unwrap())
            .filter_map(|link| link.attr("href").map(str::to_owned))
            .collect();
        assert!(!links.is_empty());
        for link in links {
            let page = browser.get(&link).await;
            assert!(page.status.is_success(), "{role} {link}: {}", page.status);
        }
    }
}

#[tokio::test]
async fn one_cause_is_one_item_however_many_mailboxes_it_hits() {
    let t = TestApp::start().await;
    for n in 0..12 {
        let mailbox = t.add_mailbox(&format!("m{n}"), Some(1143), None).await;
        match n {
            0..5 => t.note(&mailbox, Outcome::Failed, Some("The secret of the app has expired")).await,
            5 => t.note(&mailbox, Outcome::Failed, Some("The server took too long")).await,
            _ => t.note(&mailbox, Outcome::Passed, None).await,
        }
    }
    let page = t.viewer().get("/").await;
    assert_eq!(page.text("h1"), "2 things need you");
    assert!(
        page.text(".head p").starts_with("6 of 12 mailboxes work. Last checked just now."),
        "{}",
        page.text(".head p")
    );
    assert_eq!(page.text(".todo h3"), "The secret of the app has expired\nThe server took too long");
    assert!(page.text(".todo li").contains("5 mailboxes."));
    assert_eq!(
        page.text(".todo .btn.primary").lines().count(),
        1,
        "only the first is the next action"
    );
    assert_eq!(
        page.attribute(".todo li:nth-child(2) .btn", "href").as_deref(),
        Some("/mailboxes/m5")
    );
    assert_eq!(page.text(".legend-rows li"), "Working6\nFailing6");
}

#[tokio::test]
async fn a_check_of_one_mailbox_says_nothing_of_those_that_never_were() {
    let t = TestApp::start().await;
    for n in 0..3 {
        t.add_mailbox(&format!("m{n}"), Some(1143), None).await;
    }
    let mailbox = t.mailbox("m0").await;
    t.note(&mailbox, Outcome::Passed, None).await;
    let page = t.viewer().get("/").await;
    assert_eq!(page.text(".head p"), "1 of 3 mailboxes work. Last checked just now, 2 never.");
}

#[tokio::test]
async fn secrets_near_their_end_and_tokens_nobody_signed_in_for_are_listed() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    let name = Name::parse("contoso").unwrap();
    let expires = async |date: &str| {
        let mut provider = t.app.store.provider(&name).await.unwrap().unwrap();
        provider.client_secret_expires = Date::parse(date);
        let mut tx = t.app.store.begin().await.unwrap();
        tx.update_provider(&provider).await.unwrap();
        tx.commit().await.unwrap();
    };
    // 2026-11-21 is today.
    expires("2026-12-03").await;
    let mut admin = t.admin();
    let form = admin.get("/mailboxes/new?address=hr@contoso.test&with=suggested").await;
    let over = [("auth", "oauth2"), ("token", "support"), ("act", "save")];
    let page = super::providers::send(&mut admin, &form, "/mailboxes/new", &over).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let page = admin.get("/").await;
    assert_eq!(
        page.text(".todo h3"),
        "support@contoso.test isn't signed in yet\nThe client secret of contoso expires in 12 days"
    );
    assert_eq!(page.text(".runway b").lines().next(), Some("Client secret of contoso"));
    assert!(page.text(".runway").contains("12 days3 Dec 2026"), "{}", page.text(".runway"));
    assert_eq!(page.attribute(".runway circle", "cx").as_deref(), Some("13.3%"));
    assert!(!page.body.contains("style="));
    let asked = t.viewer().get("/").await.text(".todo .acts a");
    assert!(
        asked.starts_with("Open the token: ") && asked.contains("Open the provider: "),
        "{asked}"
    );
    expires("2026-11-20").await;
    let page = admin.get("/").await;
    assert!(page.text(".todo h3").contains("The client secret of contoso has expired"));
    expires("2027-11-20").await;
    let page = admin.get("/").await;
    assert!(!page.has(".runway"));
    assert!(
        page.text("aside, .feed").contains("Maija Korhonen added mailbox hr"),
        "{}",
        page.text(".feed")
    );
}

#[tokio::test]
async fn a_setup_that_nobody_finished_is_there_to_go_on_with() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let form = admin.get("/walkthroughs/new?template=microsoft-user").await;
    let over = [("address", "support@contoso.test"), ("account", "support@contoso.test")];
    let page = super::providers::send(&mut admin, &form, "/walkthroughs/new", &over).await;
    let path = page.location().unwrap();
    let page = t.viewer().get("/").await;
    let setup = page.text("[aria-labelledby=setups] li");
    assert!(
        setup.contains("Microsoft 365, user sign-in, support@contoso.test")
            && setup.contains("0 of 9 steps done")
            && setup.contains("Next: "),
        "{setup}"
    );
    assert_eq!(page.attribute("[aria-labelledby=setups] a", "href"), Some(path));
}

#[tokio::test]
async fn the_same_over_and_over_is_one_change_with_its_number() {
    let t = TestApp::start().await;
    let mailbox = t.add_mailbox("hr", Some(1143), None).await;
    let mut admin = t.admin();
    for _ in 0..3 {
        admin.submit(format!("/mailboxes/{}/pause", mailbox.name), &[("reason", "")]).await;
        admin.submit(format!("/mailboxes/{}/turn-on", mailbox.name), &[]).await;
    }
    let page = admin.get("/").await;
    let feed = page.text("[aria-labelledby=recent] li");
    let paused: Vec<&str> = feed.lines().filter(|line| line.contains("paused")).collect();
    assert!(paused.len() == 1 && paused[0].contains("hr 3 times"), "{feed}");
}

#[tokio::test]
async fn more_causes_than_fit_are_one_press_away() {
    let t = TestApp::start().await;
    for n in 0..9 {
        let mailbox = t.add_mailbox(&format!("m{n}"), Some(1143), None).await;
        t.note(&mailbox, Outcome::Failed, Some(&format!("Cause {n}"))).await;
    }
    let mut viewer = t.viewer();
    let page = viewer.get("/").await;
    assert_eq!(
        (page.text(".todo h3").lines().count(), page.text(".todo + footer").as_str()),
        (7, "2 more")
    );
    let more = page.attribute(".todo + footer a", "href").unwrap();
    assert_eq!(viewer.get(more).await.text(".todo h3").lines().count(), 9);
}

/// A frozen console must never look green, and what was checked is told with its numbers.
#[tokio::test]
async fn checks_that_stand_still_win_over_everything_and_bars_say_how_they_ended() {
    let t = TestApp::start().await;
    let now = t.clock.now();
    let mailbox = t.add_mailbox("support", Some(1143), None).await;
    t.note(&mailbox, Outcome::Passed, None).await;
    let mut tx = t.app.store.begin().await.unwrap();
    sqlx::query("UPDATE mailboxes SET enabled = 1").execute(&mut **tx).await.unwrap();
    tx.schedule_first_check(&mailbox.id, now.plus(60)).await.unwrap();
    for (ago, passed, times) in [(0, true, 3), (3 * 3600, true, 4), (5 * 3600, false, 1)] {
        for _ in 0..times {
            tx.count_check(CountKind::ProviderHour, "", now.plus(-ago), passed).await.unwrap();
            tx.count_check(CountKind::MailboxDay, mailbox.id.as_str(), now.plus(-ago), passed)
                .await
                .unwrap();
        }
    }
    tx.commit().await.unwrap();
    let page = t.admin().get("/").await;
    let text = page.words();
    assert!(text.contains("Next check 08:01 today."), "{text}");
    assert!(
        text.contains("With a password") && text.contains("87.5%") && text.contains("1 failure"),
        "{text}"
    );
    let bars = |page: &str, css: &str| {
        scraper::Html::parse_document(page)
            .select(&scraper::Selector::parse(css).unwrap())
            .count()
    };
    assert_eq!(bars(&page.body, ".hist .bars rect"), 24);
    let label = page.attribute(".hist .bars svg", "aria-label");
    assert_eq!(label.as_deref(), Some("1 of 8 checks failed, in 1 of 24 hours"));
    let shown = t.admin().get("/mailboxes/support").await;
    assert_eq!(bars(&shown.body, ".bars rect"), 30);

    for (late, still) in [(2 * 15 * 60, false), (2 * 15 * 60 + 1, true)] {
        let mut tx = t.app.store.begin().await.unwrap();
        sqlx::query("UPDATE mailboxes SET next_check_at = $1")
            .bind(now.plus(-late).0)
            .execute(&mut **tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let heading = t.admin().get("/").await.text("h1");
        assert!(
            !heading.is_empty() && heading.starts_with("Not checked") == still,
            "{late}: {heading}"
        );
    }
    let page = t.admin().get("/").await;
    assert_eq!(page.text("h1"), "Not checked since 08:00 today");
    assert!(page.words().contains("no process makes them"));
}
