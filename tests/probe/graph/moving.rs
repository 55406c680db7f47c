//! A message is moved through Graph; and what is known where no answer comes.

use super::super::Lab;
use super::super::graph_server::{Graphd, error};
use super::target;
use mailgrant::mail::imap::Moved;
use mailgrant::model::report::{Direction, MessageSummary, Spot};
use mailgrant::probe;
use serde_json::json;

const AT: &str = "2026-11-21T08:00:03Z";

async fn moved(graphd: &Graphd) -> Result<Moved, String> {
    let lab = Lab::new();
    let server = graphd.start(lab.identity()).await;
    let message = MessageSummary {
        from: String::new(),
        subject: String::new(),
        date: AT.to_owned(),
        size: 700,
        spot: Some(Spot::Graph {
            folder: "Junk Email".to_owned(),
            id: "M1".to_owned(),
            message_id: "<1@contoso.test>".to_owned(),
        }),
    };
    let (mut steps, _watcher) = lab.steps(Direction::Incoming, Vec::new());
    let moved = probe::graph_moves(&lab.connector, &target(&server, "https"), &message, "inbox", &mut steps).await;
    let (report, failure) = steps.finish();
    moved.map_err(|_| format!("{failure:?} {report:?}"))
}

/// The message is in junk, and the inbox holds these.
fn graphd(inbox: &[&str]) -> Graphd {
    let inbox: Vec<_> = inbox.iter().map(|id| json!({ "internetMessageId": id })).collect();
    Graphd::default()
        .on("/mailFolders/inbox/messages", 200, "", json!({ "value": inbox }))
        .on(
            "/messages/M1?",
            200,
            "",
            json!({ "internetMessageId": "<1@contoso.test>", "receivedDateTime": AT }),
        )
}

#[tokio::test]
async fn an_answer_counts_and_where_none_comes_it_is_looked_again() {
    let moves = |graphd: Graphd, status, body: &str| graphd.on("/messages/M1/move", status, "", body);
    assert_eq!(moved(&moves(graphd(&[]), 201, "{\"id\":\"M2\"}")).await, Ok(Moved::Done));
    // Refused is refused.
    let refused = error("ErrorAccessDenied", "Access is denied.").to_string();
    assert!(
        moved(&moves(graphd(&[]), 403, &refused))
            .await
            .unwrap_err()
            .contains("Access is denied")
    );
    // The connection ends, something between gives up, or nonsense comes with a good status.
    for (status, body) in [(200, "close"), (504, "<html>gave up</html>"), (201, "nonsense")] {
        assert_eq!(moved(&moves(graphd(&[]), status, body)).await, Ok(Moved::Kept), "{status} {body}");
        let both = graphd(&["<1@contoso.test>"]);
        assert_eq!(moved(&moves(both, status, body)).await, Ok(Moved::Copied), "{status} {body}");
    }
}
