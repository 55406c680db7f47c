//! A bulk test as server-sent events: the main part of its page, every two seconds until it ends (`ux.md` 8.1).

use super::{BatchMain, BatchView, find};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::progress::{LONGEST, Sender, is_still_in, layout, stream};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::Event;
use std::time::Duration;

/// How often does a page hear of it?
const EVERY: Duration = Duration::from_secs(2);

/// `GET /tests/batches/{id}/events`.
pub async fn events(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    find(&web.app, &id).await?;
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        let stopping = web.app.stopping.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            _ = tokio::time::timeout(LONGEST, watch(&web, &user, &id, sender)) => {}
        }
    });
    Ok(stream(receiver))
}

/// Sends the main part again and again. What it tells is read once for all who watch. Ends with the batch, the session or the browser.
async fn watch(web: &WebState, user: &CurrentUser, id: &str, sender: Sender) {
    let cannot = user.cannot(Permission::MailboxTest).await;
    let mut began = None;
    while is_still_in(web, user).await {
        let Ok(Some(facts)) = web.batches.facts(&web.app, id).await else {
            return;
        };
        let moved = *began.get_or_insert(facts.batch.state) != facts.batch.state;
        let open = facts.batch.is_open();
        let view = BatchView::shown(&web.app, user, &facts);
        let main = BatchMain {
            layout: layout(user),
            view,
            cannot: cannot.clone(),
            once: web.app.random.base64url(12),
            moved,
        };
        let Ok(html) = main.render() else { return };
        let event = if open { Event::default() } else { Event::default().event("end") }.data(html);
        if sender.send(Ok(event)).await.is_err() || !open {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
