//! What entries say: names where they have ids, and nothing of what only the program counts.

use super::act;
use crate::support::app::TestApp;
use mailgrant::model::audit::Actor;

/// What the program counts and calls by ids tells people nothing; the entries keep it.
#[tokio::test]
async fn entries_are_told_by_names_and_as_written_where_that_differs() {
    let t = TestApp::start().await;
    t.add_mailbox("hr", Some(1143), None).await;
    let mailbox = t.mailbox("hr").await;
    let console = Actor::console();
    let link = Actor {
        id: "link:00006b0121c80123456789abcdef0123".into(),
        ..Actor::console()
    };
    act(&t, &console, "token.refresh", "token:support", "generation 4711").await;
    act(&t, &console, "mailbox.update", "mailbox:hr", "Message to itself:  → every hour").await;
    act(&t, &link, "link.secret", "provider:contoso", "the provider takes it").await;
    act(
        &t,
        &console,
        "settings.change",
        "setting:checks.interval_minutes",
        "15 minutes → 30 minutes",
    )
    .await;
    let detail = format!(
        "mailbox \"\" → \"{}\"; posted \"recovered\" → \"recovered report.weekly\"",
        mailbox.id
    );
    act(&t, &console, "settings.change", "setting:notifications", &detail).await;
    act(&t, &console, "batch.stop", "batch:00006b0121c80123456789abcdef0124", "").await;
    act(
        &t,
        &console,
        "mailbox.test",
        "mailbox:hr",
        "incoming, run 00006b0121c80123456789abcdef0125",
    )
    .await;
    let page = t.viewer().get("/audit").await;
    let html = scraper::Html::parse_document(&page.body);
    let cell = scraper::Selector::parse("main tbody td").unwrap();
    let fold = scraper::Selector::parse("details").unwrap();
    // Without what is folded away.
    let shown: String = html
        .select(&cell)
        .map(|cell| {
            let all: String = cell.text().collect();
            let folded: String = cell.select(&fold).flat_map(|fold| fold.text()).collect();
            all.replace(&folded, "") + "\n"
        })
        .collect();
    for hidden in ["4711", "00006b01", mailbox.id.as_str(), "interval_minutes", "report.weekly", ":  →"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
        assert!(page.body.contains(hidden), "{hidden} is kept as it was written");
    }
    for told in [
        "Message to itself: none → every hour",
        "Someone with a link",
        "15 minutes → 30 minutes",
        "mailbox none → \"hr\"; posted: added Weekly report",
        "bulk test one that was deleted",
        "incoming Open the test",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(page.body.contains("href=\"/tests/00006b0121c80123456789abcdef0125\""));
    assert!(t.app.store.verify_audit().await.unwrap().is_ok(), "and the chain is as it was");
}
