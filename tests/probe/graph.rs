//! *Test incoming* and *Test outgoing* through Microsoft Graph, against servers that behave and servers that don't.

mod moving;
mod outgoing;

use super::graph_server::{Graphd, error};
use super::imap_server::TOKEN;
use super::server::{Authority, Server};
use super::{Lab, Run, plan, with_password, with_token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::gate::Gate;
use mailgrant::mail::Connector;
use mailgrant::mail::graph::{Base, Whose};
use mailgrant::model::mailbox::Protocol;
use mailgrant::model::report::{Direction, Stage};
use mailgrant::probe::{self, Expected, GraphReading, GraphSending, GraphTarget, Plan};
use outgoing::sending;
use serde_json::{Value, json};

const READ: &str = "claims dns tcp tls inbox newest junk";

fn target(server: &Server, scheme: &str) -> GraphTarget {
    let graph_url = format!("{scheme}://127.0.0.1:{}", server.port);
    GraphTarget {
        base: Base::parse(&graph_url).unwrap(),
        login: with_token(TOKEN),
        whose: Whose::Me,
        expected: Expected {
            microsoft: true,
            graph_url,
            tenant: None,
            client_id: "client".to_owned(),
            user: Some("support@contoso.test".to_owned()),
            mailbox: "support@contoso.test".to_owned(),
        },
        request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
    }
}

fn reading() -> GraphReading {
    GraphReading {
        folder: "INBOX".to_owned(),
        newest: 5,
        oversized_over: 25_000_000,
        junk_days: 7,
    }
}

impl Lab {
    async fn read_graph(&self, target: &GraphTarget, reading: &GraphReading) -> Run {
        let planned = probe::planned(plan(Direction::Incoming, Protocol::Graph, target.base.endpoint.security));
        let (mut steps, _watcher) = self.steps(Direction::Incoming, planned);
        let found = probe::graph(&self.connector, target, reading, &mut steps).await.ok();
        let (report, failure) = steps.finish();
        Run { report, failure, found }
    }

    async fn send_graph(&self, target: &GraphTarget, sending: &GraphSending) -> Run {
        let planned = probe::planned(Plan {
            login_only: sending.login_only,
            ..plan(Direction::Outgoing, Protocol::Graph, target.base.endpoint.security)
        });
        let (mut steps, _watcher) = self.steps(Direction::Outgoing, planned);
        let _ = probe::graph_send(&self.connector, target, sending, &mut steps).await;
        let (report, failure) = steps.finish();
        Run {
            report,
            failure,
            found: None,
        }
    }
}

async fn read(graphd: Graphd) -> Run {
    let lab = Lab::new();
    let server = graphd.start(lab.identity()).await;
    lab.read_graph(&target(&server, "https"), &reading()).await
}

#[tokio::test]
async fn a_healthy_mailbox_is_read_and_nothing_in_it_is_changed() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let run = lab.read_graph(&target(&server, "https"), &reading()).await;
    assert_eq!(run.line(), READ, "{:?}", run.failure);
    let facts = &run.report.facts;
    assert_eq!(
        (&facts["messages"], &facts["unread"], &facts["junk"], &facts["junk_unread"]),
        (&3.into(), &2.into(), &9.into(), &4.into())
    );
    assert!(run.step(Stage::Tls).detail.starts_with("TLS 1.3, localhost"));
    assert!(run.step(Stage::Claims).detail.starts_with("the token is opaque"));
    assert_eq!(run.step(Stage::Inbox).detail, "3 messages, 2 unread");
    assert_eq!(run.step(Stage::Inbox).facts["request_id"], "r-200");
    assert_eq!(
        run.step(Stage::Inbox).facts["client_request_id"],
        "00000000-0000-4000-8000-000000000001"
    );
    assert_eq!(run.step(Stage::Newest).detail, "newest from 2026-11-21T08:00:03Z; 1 over 25 MB");
    assert_eq!(run.step(Stage::Junk).detail, "9 in Junk Email, 4 unread, 2 in the last 7 days");
    let found = run.found.as_ref().unwrap();
    assert_eq!(found.newest[0].from, "Ann <ann@contoso.test>");
    assert_eq!(
        (found.newest.len(), found.newest[0].size, found.oversized.len()),
        (3, 30_000_000, 1)
    );

    let everything = run.everything();
    assert!(
        !everything.contains("Grüße") && !everything.contains("ann@contoso.test"),
        "{everything}"
    );
    let asked = graphd.asked();
    assert!(asked.iter().all(|asked| asked.method == "GET"), "a test reads only");
    assert!(asked.iter().all(|asked| asked.target.starts_with("/v1.0/me/mailFolders")));
    assert_eq!(asked[0].header("host"), format!("127.0.0.1:{}", server.port));
    assert!(
        asked
            .iter()
            .any(|asked| asked.target.contains("receivedDateTime%20ge%202026-11-14T08%3A14%3A02Z"))
    );
    assert_eq!(server.connections(), 1, "one connection for all of it");
}

#[tokio::test]
async fn a_server_that_ends_the_connection_after_each_answer_is_asked_again() {
    let lab = Lab::new();
    let graphd = Graphd {
        hasty: true,
        ..Graphd::default()
    };
    let server = graphd.start(lab.identity()).await;
    let run = lab.read_graph(&target(&server, "https"), &reading()).await;
    assert_eq!(run.line(), READ, "{:?}", run.failure);
    assert_eq!(server.connections(), graphd.asked().len());
}

#[tokio::test]
async fn shared_and_app_only_mailboxes_are_named_in_the_path() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let mut target = target(&server, "https");
    target.whose = Whose::User("o'hr/../x@contoso.test".to_owned());
    let run = lab.read_graph(&target, &reading()).await;
    assert_eq!(run.line(), READ, "{:?}", run.failure);
    lab.send_graph(&target, &sending()).await;
    let asked = graphd.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.target.starts_with("/v1.0/users/o%27hr%2F..%2Fx%40contoso.test/")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn another_folder_is_found_by_its_name_and_a_missing_one_is_named() {
    let lab = Lab::new();
    let server = Graphd::default().start(lab.identity()).await;
    let with = |folder: &str| GraphReading {
        folder: folder.to_owned(),
        ..reading()
    };
    let run = lab.read_graph(&target(&server, "https"), &with("tickets")).await;
    assert_eq!(run.line(), READ, "{:?}", run.failure);
    assert_eq!(run.step(Stage::Inbox).detail, "3 messages, 1 unread");
    let run = lab.read_graph(&target(&server, "https"), &with("Ticket's")).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Inbox, "console-folder-missing"));
}

#[tokio::test]
async fn what_graph_cannot_say_is_said_and_a_missing_junk_folder_is_fine() {
    let graphd = Graphd::default()
        .on("$filter=singleValue", 400, "", error("ErrorInvalidRestriction", "no such filter"))
        .on("/mailFolders/junkemail", 404, "", error("ErrorFolderNotFound", "no junk"));
    let run = read(graphd).await;
    assert_eq!(run.line(), "claims dns tcp tls inbox newest junk", "{:?}", run.failure);
    assert!(
        run.step(Stage::Newest)
            .detail
            .ends_with("Graph can't say which messages are over 25 MB")
    );
    assert_eq!(run.step(Stage::Junk).detail, "no junk folder, that's fine");
    assert!(run.report.facts["junk"].is_null());
    // A server that leaves the filter out makes no message oversized.
    let all = json!({"value": [{"subject": "small", "singleValueExtendedProperties": [{"value": "5"}]}]});
    let run = read(Graphd::default().on("$filter=singleValue", 200, "", all)).await;
    assert!(run.step(Stage::Newest).detail.ends_with("none over 25 MB"));
}

#[tokio::test]
async fn causes_are_named_by_what_graph_said_and_its_numbers_are_kept() {
    let cases: [(u16, Value, &str); 7] = [
        (
            401,
            error("InvalidAuthenticationToken", "Access token validation failure. Invalid audience."),
            "graph-token-audience",
        ),
        (
            401,
            error("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
            "graph-token-expired",
        ),
        (
            403,
            error("ErrorAccessDenied", "Access is denied. Check credentials and try again."),
            "graph-access-denied",
        ),
        (
            403,
            error(
                "ErrorAccessDenied",
                "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
            ),
            "graph-access-policy",
        ),
        (
            404,
            error("MailboxNotEnabledForRESTAPI", "The mailbox is inactive"),
            "graph-mailbox-not-enabled",
        ),
        (
            404,
            error("ErrorInvalidUser", "The requested user is invalid."),
            "graph-invalid-user",
        ),
        (
            400,
            error("BadRequest", "/me request is only valid with delegated authentication flow."),
            "graph-me-app-only",
        ),
    ];
    for (status, body, cause) in cases {
        let run = read(Graphd::default().on("/inbox?", status, "", &body)).await;
        let (stage, detail, id) = run.failed();
        assert_eq!((stage, id.as_str()), (Stage::Inbox, cause), "{detail}");
        assert!(detail.ends_with(&format!("(HTTP {status})")), "{detail}");
        let facts = &run.step(Stage::Inbox).facts;
        assert_eq!(
            (&facts["request_id"], &facts["status"]),
            (&json!(format!("r-{status}")), &json!(status))
        );
        assert!(run.failure.as_ref().unwrap().evidence.contains("inner-r"));
        assert_eq!(run.line(), "claims dns tcp tls inbox! newest- junk-");
    }
}

#[tokio::test]
async fn a_wish_to_be_left_alone_is_kept_with_its_seconds() {
    let throttled = error("ApplicationThrottled", "Application is over its MailboxConcurrency limit.");
    let run = read(Graphd::default().on("/inbox?", 429, "Retry-After: 2.5\r\n", throttled)).await;
    assert_eq!(run.cause(), "graph-throttled");
    assert_eq!(run.step(Stage::Inbox).facts["retry_after"], 2.5);
    assert!(
        run.failed().1.ends_with("it wants to be left alone for 2.5 s"),
        "{}",
        run.failed().1
    );
    assert!(run.failure.as_ref().unwrap().transient);
    // Also where what stands before Graph has nothing but a status and a page.
    let run = read(Graphd::default().on("/inbox?", 503, "Retry-After: 30\r\nContent-Type: text/html\r\n", "<html>down")).await;
    assert_eq!(run.cause(), "graph-service-unavailable");
    assert_eq!(run.step(Stage::Inbox).facts["retry_after"], 30.0);
}

#[tokio::test]
async fn what_is_not_graph_is_told_apart_and_not_shown() {
    let page = "<!DOCTYPE html><title>inner secrets of this host</title>";
    let cases = [
        (
            Graphd::default().on("/inbox?", 200, "Content-Type: text/html\r\n", page),
            "console-graph-html",
        ),
        (Graphd::default().on("/inbox?", 403, "", page), "console-graph-html"),
        (
            Graphd::default().on("/inbox?", 302, "Location: http://10.0.0.1/\r\n", ""),
            "console-graph-redirect",
        ),
        (
            Graphd::default().on("/inbox?", 200, "", "inner secrets of this host"),
            "console-graph-malformed",
        ),
        (Graphd::default().on("/inbox?", 200, "", "[1,2,3]"), "console-graph-malformed"),
        (
            Graphd::default().on("/inbox?", 200, "", r#"{"totalItemCount":-3}"#),
            "console-graph-malformed",
        ),
        (
            Graphd::default().on("/inbox?", 401, "", r#"{"error":"inner secrets of this host"}"#),
            "console-graph-malformed",
        ),
        (Graphd::default().on("/inbox?", 200, "", "close"), "network-closed-early"),
        (
            Graphd {
                raw: Some("220 inner secrets of this host\r\n".to_owned()),
                ..Graphd::default()
            },
            "console-graph-malformed",
        ),
        (
            Graphd {
                raw: Some(format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(100_000))),
                ..Graphd::default()
            },
            "console-too-much-data",
        ),
    ];
    for (graphd, cause) in cases {
        let run = read(graphd.clone()).await;
        let (stage, detail, id) = run.failed();
        assert_eq!((stage, id.as_str()), (Stage::Inbox, cause), "{detail}");
        let everything = run.everything();
        assert!(
            !everything.contains("inner secrets") && !everything.contains("10.0.0.1"),
            "{everything}"
        );
        assert_eq!(graphd.asked().len(), 1, "nothing is followed or tried again");
    }
}

#[tokio::test]
async fn a_huge_answer_and_a_slow_one_come_to_an_end() {
    let run = read(Graphd::default().on("/inbox?", 200, "", " ".repeat(20_000_000))).await;
    assert_eq!(run.cause(), "console-too-much-data");
    let deep = format!("{}{}", "{\"a\":".repeat(200_000), "1");
    assert_eq!(
        read(Graphd::default().on("/inbox?", 200, "", deep)).await.cause(),
        "console-graph-malformed"
    );
    let lab = Lab::impatient();
    let server = Graphd::default().on("/inbox?", 200, "", "silence").start(lab.identity()).await;
    let run = lab.read_graph(&target(&server, "https"), &reading()).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Inbox, "console-deadline"));
}

#[tokio::test]
async fn a_server_that_quotes_the_token_gets_it_into_no_report() {
    let body = error("InvalidAuthenticationToken", &format!("what is {TOKEN}?"));
    let run = read(Graphd::default().on("/inbox?", 401, &format!("x-echo: {TOKEN}\r\n"), body)).await;
    assert_eq!(run.failed().0, Stage::Inbox);
    run.everything();
}

#[tokio::test]
async fn the_same_rules_of_encryption_and_destination_hold_as_for_mail_servers() {
    let lab = Lab::new();
    let server = Graphd::default().start(Some(Authority::named("Stranger").identity(|_| {}))).await;
    let run = lab.read_graph(&target(&server, "https"), &reading()).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Tls, "tls-cert-unknown-issuer"));
    assert!(server.heard().is_empty(), "nothing is sent to a stranger");

    let graphd = Graphd::default();
    let plain = graphd.start(None).await;
    let run = lab.read_graph(&target(&plain, "http"), &reading()).await;
    assert_eq!(run.line(), "claims dns tcp inbox newest junk", "{:?}", run.failure);
    let closed = Connector::new(Gate::new(Vec::new(), Vec::new()), None).unwrap();
    let mut strict = Lab::new();
    strict.connector = closed;
    let asked = graphd.asked().len();
    let run = strict.read_graph(&target(&plain, "http"), &reading()).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Dns, "console-destination-refused"));
    assert_eq!(graphd.asked().len(), asked);
}

#[tokio::test]
async fn a_token_for_exchange_never_leaves_for_graph_and_a_password_neither() {
    let lab = Lab::new();
    let graphd = Graphd::default();
    let server = graphd.start(lab.identity()).await;
    let mut target = target(&server, "https");
    let payload = json!({"aud": "https://outlook.office.com", "scp": "IMAP.AccessAsUser.All"});
    target.login = with_token(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload.to_string())));
    let run = lab.read_graph(&target, &reading()).await;
    assert_eq!((run.failed().0, run.cause().as_str()), (Stage::Claims, "graph-token-audience"));
    target.login = with_password("x");
    assert_eq!(lab.send_graph(&target, &sending()).await.failed().0, Stage::Claims);
    assert_eq!((server.connections(), graphd.asked().len()), (0, 0));
}
