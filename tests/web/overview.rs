//! The overview: the verdict, one item for each cause, and where to begin.

mod broken;
mod causes;

use crate::support::app::TestApp;
use axum::http::StatusCode;
use mailgrant::clock::Clock;
use mailgrant::model::report::Outcome;
use mailgrant::model::{Date, Name};
use mailgrant::store::turns::Turn;

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

/// One direction that passed is told as that, not as nothing.
#[tokio::test]
async fn what_is_tested_in_one_direction_is_told_and_counted_as_that() {
    let t = TestApp::start().await;
    for n in 0..3 {
        let mailbox = t.add_mailbox(&format!("m{n}"), Some(1143), Some(1587)).await;
        if n < 2 {
            t.note(&mailbox, Outcome::Passed, None).await;
        }
    }
    let mut viewer = t.viewer();
    let page = viewer.get("/").await;
    assert_eq!(
        page.text(".head p"),
        "0 of 3 mailboxes work in full. 2 work in one direction, the other isn't tested. Last checked just now, 1 never."
    );
    assert_eq!(page.text("h1"), "1 mailbox isn't tested yet");
    assert_eq!(page.text(".big"), "0 of 3 working, 2 in one direction");
    let list = viewer.get("/mailboxes?sort=address").await;
    assert_eq!(
        list.text("td .state"),
        "Incoming works, outgoing not tested\nIncoming works, outgoing not tested\nNot tested"
    );
    let shown = viewer.get("/mailboxes/m0").await;
    assert!(
        shown
            .text(".head p")
            .starts_with("Incoming works, outgoing not tested, checked just now"),
        "{}",
        shown.text(".head p")
    );
    let mailbox = t.mailbox("m2").await;
    t.note(&mailbox, Outcome::Passed, None).await;
    let page = t.viewer().get("/").await;
    assert_eq!(page.text("h1"), "3 mailboxes are tested in one direction only");
    // With one side that is all there is.
    let t = TestApp::start().await;
    let mailbox = t.add_mailbox("m", Some(1143), None).await;
    t.note(&mailbox, Outcome::Passed, None).await;
    assert_eq!(
        t.viewer().get("/").await.text(".head p"),
        "Your mailbox works. Last checked just now."
    );
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

#[tokio::test]
async fn causes_come_in_the_order_of_their_urgency() {
    let t = TestApp::start().await;
    t.add_token(true).await;
    let mut admin = t.admin();
    let form = admin.get("/mailboxes/new?address=info@contoso.test&with=suggested").await;
    let over = [("auth", "oauth2"), ("token", "support"), ("act", "save")];
    super::providers::send(&mut admin, &form, "/mailboxes/new", &over).await;
    let partly = t.add_mailbox("partly", Some(1143), Some(1025)).await;
    let read = t.app.store.mailbox(&partly.name).await.unwrap().unwrap();
    let state = |outcome, problem: Option<&str>| mailgrant::model::mailbox::SideState {
        outcome: Some(outcome),
        problem: problem.map(str::to_owned),
        run: None,
        tested_at: Some(t.clock.now()),
    };
    let mut tx = t.app.store.begin().await.unwrap();
    use mailgrant::model::report::Direction;
    for (direction, state) in [
        (Direction::Incoming, state(Outcome::Passed, None)),
        (Direction::Outgoing, state(Outcome::Failed, Some("It can't send"))),
    ] {
        tx.record_side(&read.id, read.changed_at, direction, state, t.clock.now())
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let failing = t.add_mailbox("hr", Some(1143), None).await;
    t.note(&failing, Outcome::Failed, Some("It is broken")).await;
    let token = t.app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
    let prompt = mailgrant::model::token::Prompt::Consent;
    mailgrant::actions::links::create(&t.app, &mailgrant::model::audit::Actor::console(), &token, prompt, 9 * 86_400)
        .await
        .unwrap();
    let mut provider = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    provider.client_secret_expires = Date::parse("2026-12-03");
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    sqlx::query("UPDATE mailboxes SET enabled = 1").execute(&mut **tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(
        !t.viewer().get("/").await.words().contains("hasn't used"),
        "three days are no long time"
    );
    let mut tx = t.app.store.begin().await.unwrap();
    sqlx::query("UPDATE links SET created_at = created_at - 3 * 86400 - 1")
        .execute(&mut **tx)
        .await
        .unwrap();
    let long_due = t.clock.now().plus(-86_400);
    tx.plan_turn(Turn::Check, &read.id, long_due).await.unwrap();
    tx.commit().await.unwrap();
    let page = t.viewer().get("/").await;
    assert_eq!(
        page.text(".todo h3").lines().collect::<Vec<_>>(),
        [
            "Mailboxes aren't checked",
            "It is broken",
            "It can't send",
            "support@contoso.test isn't signed in yet",
            "The client secret of contoso expires in 12 days",
            "support@contoso.test hasn't used their sign-in link",
        ]
    );
    assert!(page.has(".todo li:nth-child(3) .m-warn"), "what works in part is no square");
    assert!(page.text("h1").starts_with("Not checked since"), "and this wins over everything");
}

/// A console with many tokens renews one every few seconds.
#[tokio::test]
async fn recent_changes_are_what_people_did_however_much_is_renewed() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let before = t.viewer().get("/").await.text("#o-changes li").lines().count();
    assert!(before > 0);
    let renewals = "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        SELECT 1000 + i, 1795248000, 'console', 'token.refresh', 'token:support', 'generation ' || i, 'ok', '', '', '', '' FROM n";
    sqlx::query(renewals).execute(t.app.store.raw_pool()).await.unwrap();
    let page = t.viewer().get("/").await;
    let told = page.text("#o-changes li");
    assert_eq!(told.lines().count(), before, "{told}");
    assert!(!told.contains("renewed"), "{told}");
}
