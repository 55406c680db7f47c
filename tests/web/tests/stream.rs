//! The stream a page watches a run through.

use super::{begin, silent, until};
use crate::probe::imap_server::PASSWORD;
use crate::probe::server::{Peer, Server};
use crate::support::app::TestApp;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mailgrant::actions::users;
use mailgrant::model::audit::Actor;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// The events of a run: everything until the stream ends.
pub(super) async fn events(t: &TestApp, role: &str, run: &str) -> tokio::task::JoinHandle<String> {
    let browser = t.signed_in(role);
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("/tests/{run}/events"))
        .header(header::HOST, &browser.host)
        .header(header::COOKIE, cookies.join("; "))
        .body(Body::empty())
        .unwrap();
    let response = t.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(
        response.headers()["x-accel-buffering"],
        "no",
        "a proxy in between would keep it back"
    );
    tokio::spawn(async move { String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap() })
}

#[tokio::test]
async fn a_page_that_watches_hears_every_step_and_then_the_verdict() {
    let t = TestApp::start().await;
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let told = Arc::clone(&go_on);
    let server = Server::start(None, move |mut peer: Peer| {
        let told = Arc::clone(&told);
        async move {
            peer.say("* OK ready").await?;
            let line = peer.line().await?;
            told.acquire().await.unwrap().forget();
            let tag = line.split(' ').next().unwrap_or_default().to_owned();
            peer.say(&format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN\n{tag} OK done")).await?;
            Ok(())
        }
    })
    .await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let run = begin(&t, "hr", "incoming").await;
    until("connected", || server.open() == 1).await;
    let watching = events(&t, "viewer", &run).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    go_on.add_permits(1);
    let heard = watching.await.unwrap();
    assert!(heard.contains("data: <title>Testing incoming, hr@contoso.test"), "{heard:?}");
    assert!(heard.contains("Running, step 4 of 9"), "{heard:?}");
    let end = heard.split("event: end").nth(1).expect("the end is told");
    assert!(
        end.contains("<title>Failed: test incoming, hr@contoso.test") && end.contains("id=\"verdict\""),
        "{end}"
    );
    // Somebody who comes late hears the end at once.
    let heard = events(&t, "viewer", &run).await.await.unwrap();
    assert!(heard.starts_with("event: end"), "{heard}");
    assert!(!heard.contains(PASSWORD));
}

/// While nothing happens, the page hears once a second, not as fast as the machine can; and not a word once its reader is shut out.
#[tokio::test]
async fn a_stream_rests_while_nothing_happens_and_ends_with_the_account() {
    let t = TestApp::start().await;
    let server = silent().await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let run = begin(&t, "hr", "incoming").await;
    until("connected", || server.open() == 1).await;
    let watching = events(&t, "operator", &run).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    users::disable(&t.app, &Actor::command_line(), "ossi.lahti@contoso.test")
        .await
        .unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), watching).await.unwrap().unwrap();
    let events = heard.matches("\n\n").count();
    assert!((1..=6).contains(&events), "{events} events");
    assert!(!heard.contains("event: end"), "the test goes on without them");
}

#[tokio::test]
async fn a_stream_ends_when_the_console_stops() {
    let t = TestApp::start().await;
    let server = silent().await;
    t.add_mailbox("hr", Some(server.port), None).await;
    let run = begin(&t, "hr", "incoming").await;
    let watching = events(&t, "viewer", &run).await;
    t.app.stopping.cancel();
    tokio::time::timeout(Duration::from_secs(5), watching).await.unwrap().unwrap();
    t.app.tasks.close();
    tokio::time::timeout(Duration::from_secs(5), t.app.tasks.wait()).await.unwrap();
}
