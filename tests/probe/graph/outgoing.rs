//! *Test outgoing* through Microsoft Graph.

use super::super::graph_server::{Graphd, error};
use super::super::{Lab, Run};
use super::target;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::mail::graph::{Format, LARGEST_REQUEST, Outbound};
use mailgrant::model::report::{Outcome, Stage};
use mailgrant::probe::GraphSending;
use serde_json::{Value, json};

pub(super) const SENT: &str = "claims dns tcp tls send";

pub(super) fn sending() -> GraphSending {
    GraphSending {
        from: "support@contoso.test".to_owned(),
        to: "support@contoso.test".to_owned(),
        bcc: Vec::new(),
        subject: "Test 7F3K from Mailgrant".to_owned(),
        message_id: "<7f3k@contoso.test>".to_owned(),
        to_itself: true,
        login_only: false,
    }
}

pub(super) async fn send(graphd: Graphd) -> Run {
    let lab = Lab::new();
    let server = graphd.start(lab.identity()).await;
    lab.send_graph(&target(&server, "https"), &sending()).await
}

#[tokio::test]
async fn a_message_to_itself_goes_as_a_document() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let run = lab.send_graph(&target(&server, "https"), &sending()).await;
    assert_eq!(run.line(), SENT, "{:?}", run.failure);
    assert!(run.step(Stage::Send).detail.starts_with("accepted (HTTP 202)"));
    let facts = &run.step(Stage::Send).facts;
    assert_eq!((&facts["format"], &facts["to"]), (&json!("json"), &json!("support@contoso.test")));
    assert_eq!(facts["request_id"], "r-202");
    let asked = graphd.asked();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/v1.0/me/sendMail"));
    assert_eq!(asked[0].header("content-type"), "application/json");
    let document: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(
        document["message"]["toRecipients"][0]["emailAddress"]["address"],
        "support@contoso.test"
    );
    assert_eq!(document["message"]["subject"], "Test 7F3K from Mailgrant");
    assert_eq!(document["saveToSentItems"], false);
}

#[tokio::test]
async fn a_message_to_others_goes_in_mime_with_the_mark_that_no_machine_answers() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let sending = GraphSending {
        to: "admin@contoso.test".to_owned(),
        bcc: vec!["archive@contoso.test".to_owned()],
        to_itself: false,
        ..sending()
    };
    let run = lab.send_graph(&target(&server, "https"), &sending).await;
    assert_eq!(run.line(), SENT, "{:?}", run.failure);
    assert_eq!(run.step(Stage::Send).facts["format"], "mime");
    let asked = graphd.asked();
    assert_eq!(asked[0].header("content-type"), "text/plain");
    let message = String::from_utf8(STANDARD.decode(&asked[0].body).unwrap()).unwrap();
    for line in [
        "Auto-Submitted: auto-generated\r\n",
        "To: admin@contoso.test\r\n",
        "Bcc: archive@contoso.test\r\n",
        "Message-ID: <7f3k@contoso.test>\r\n",
    ] {
        assert!(message.contains(line), "{message}");
    }
    assert!(!run.everything().contains("test message"), "what is sent is not kept");
}

#[tokio::test]
async fn what_keeps_graph_from_sending_is_named() {
    let cases = [
        (
            403,
            error("ErrorSendAsDenied", "no right to send on behalf"),
            "graph-send-as-denied",
        ),
        (
            413,
            error("RequestBodyTooLarge", "The request body is too large."),
            "graph-message-too-large",
        ),
        (
            400,
            error("ErrorInvalidRecipients", "At least one recipient isn't valid."),
            "graph-invalid-recipients",
        ),
        (429, error("ApplicationThrottled", "slow down"), "graph-throttled"),
    ];
    for (status, body, cause) in cases {
        let graphd = Graphd::default().on("/sendMail", status, "", body);
        let run = send(graphd.clone()).await;
        assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Send, cause));
        assert_eq!(graphd.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_fate_is_said_to_be_unknown_and_nothing_is_sent_twice() {
    for graphd in [
        Graphd::default().on("/sendMail", 200, "", "close"),
        Graphd::default().on("/sendMail", 504, "", "<html>"),
        // Only 202 means accepted; of others that sound like it nobody knows, nor of a 202 with more than is read.
        Graphd::default().on("/sendMail", 200, "", "{}"),
        Graphd::default().on("/sendMail", 200, "", "<html>"),
        Graphd::default().on("/sendMail", 204, "", ""),
        Graphd::default().on("/sendMail", 202, "", "x".repeat(3 * 1024 * 1024)),
        Graphd {
            raw: Some("nonsense\r\n".to_owned()),
            ..Graphd::default()
        },
    ] {
        let run = send(graphd.clone()).await;
        assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Send, "console-send-unknown"));
        assert_eq!(graphd.asked().len(), 1);
    }
    let lab = Lab::impatient();
    let server = Graphd::default().on("/sendMail", 202, "", "silence").start(lab.identity()).await;
    let run = lab.send_graph(&target(&server, "https"), &sending()).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Send, "console-send-unknown"));
}

#[tokio::test]
async fn a_login_only_test_sends_nothing() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let sending = GraphSending {
        login_only: true,
        ..sending()
    };
    let run = lab.send_graph(&target(&server, "https"), &sending).await;
    assert_eq!(run.line(), "claims dns tcp tls", "{:?}", run.failure);
    assert!(graphd.asked().is_empty());
    assert!(run.report.steps.iter().all(|step| step.outcome == Outcome::Passed));
}

#[test]
fn a_message_beyond_graphs_limit_is_not_even_sent() {
    assert!(Outbound::limited(Format::Mime, vec![b'x'; LARGEST_REQUEST]).is_ok());
    let Err(error) = Outbound::limited(Format::Mime, vec![b'x'; LARGEST_REQUEST + 1]) else {
        panic!("too long");
    };
    let evidence = Evidence {
        own_id: error.own_id(),
        text: &error.evidence(),
    };
    assert_eq!(diagnose(&evidence).id, "graph-message-too-large");
}
