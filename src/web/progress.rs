//! A run as server-sent events: the main part of its page, again and again until it ends (`ux.md` 8.1).

use super::WebState;
use super::error::PageError;
use super::guard::CurrentUser;
use super::page::Layout;
use super::pages::tests::{find, main_part};
use super::time::Zone;
use crate::model::RunId;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use std::convert::Infallible;
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;

/// How often does a page hear of a run in which nothing happens, and of one in another process?
const TICK: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(1);
/// How long does a page rest between two events, however much happens?
const REST: Duration = Duration::from_millis(100);
/// How long does a stream live? The browser comes back by itself.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// `GET /tests/{run}/events`.
pub async fn events(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let run = find(&web.app, &id).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        let stopping = web.app.stopping.clone();
        let watching = watch(&web, &user, &run.id, sender);
        tokio::select! {
            () = stopping.cancelled() => {}
            _ = tokio::time::timeout(LONGEST, watching) => {}
        }
    });
    Ok(stream(receiver))
}

/// The answer that sends what comes.
pub(super) fn stream(receiver: tokio::sync::mpsc::Receiver<Result<Event, Infallible>>) -> Response {
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)));
    let mut answer = events.into_response();
    // A proxy in between passes each event on as it comes.
    answer.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

pub(super) type Sender = tokio::sync::mpsc::Sender<Result<Event, Infallible>>;

/// Sends the main part whenever something changed. Ends with the run or with the browser.
async fn watch(web: &WebState, user: &CurrentUser, run: &RunId, sender: Sender) {
    loop {
        let mut live = web.app.probes.live(run);
        if let Some(live) = &mut live {
            // What is shown next holds everything up to now.
            live.progress.mark_unchanged();
        }
        if !is_still_in(web, user).await {
            return;
        }
        let Ok((main, running)) = Box::pin(main_part(&web.app, user, layout(user), run.as_str())).await else {
            return;
        };
        let Ok(html) = main.render() else {
            return;
        };
        let event = if running { Event::default() } else { Event::default().event("end") }.data(html);
        if sender.send(Ok(event)).await.is_err() || !running {
            return;
        }
        let wait = async {
            match live {
                Some(mut live) => {
                    tokio::select! {
                        _ = live.progress.changed() => {}
                        _ = live.ended.wait_for(Option::is_some) => {}
                        () = tokio::time::sleep(TICK) => {}
                    }
                }
                None => tokio::time::sleep(ELSEWHERE).await,
            }
        };
        tokio::select! {
            () = sender.closed() => return,
            () = async { tokio::join!(wait, tokio::time::sleep(REST)); } => {}
        }
    }
}

/// Whether whoever watches would still be let in: a stream outlives no session and no account.
pub(super) async fn is_still_in(web: &WebState, user: &CurrentUser) -> bool {
    match web.app.store.session_with_user(user.session_hash()).await {
        Ok(Some((session, now))) => session.lives(web.app.clock.now()) && !now.disabled && now.role == user.user().role,
        _ => false,
    }
}

/// A frame for parts of pages: it takes no message that waits for a whole one.
pub(super) fn layout(user: &CurrentUser) -> Layout {
    let mut layout = user.visit.layout("Test");
    if let Some(zone) = Zone::named(&user.user().time_zone) {
        layout.zone = zone;
    }
    layout
}
