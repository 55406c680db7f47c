//! `/settings/notifications/deliveries`: the messages that were sent, with what was said, and *Send again*.

use super::PATH;
use crate::actions::judgement;
use crate::actions::notices::again::{self, Again};
use crate::actions::notices::channels::sending_mailbox;
use crate::actions::notices::waits::{Waits, waits};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::ways::Scene;
use crate::model::Name;
use crate::model::notices::{Channel, Delivery, DeliveryState};
use crate::model::report::{Diagnosis, Direction};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use std::time::Duration;
use url::form_urlencoded::Serializer;

const LIST: &str = "/settings/notifications/deliveries";
/// Rows on a page.
const ROWS: usize = 50;
/// How long does sending again keep its page waiting?
const WAIT: Duration = Duration::from_secs(22);

/// A delivery as pages show it.
pub(super) struct DeliveryView {
    pub row: Delivery,
    pub kind: &'static str,
    pub words: &'static str,
    pub diagnosis: Option<DiagnosisView>,
}

/// With the cause where it failed, and the buttons this person may press.
pub(super) async fn view(app: &App, user: &CurrentUser, row: Delivery) -> Result<DeliveryView, PageError> {
    let (kind, words) = row.state.shown();
    let found: Option<Diagnosis> = row.problem.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let diagnosis = match found.filter(|_| row.state != DeliveryState::Delivered) {
        Some(found) => {
            let scene = scene(app, &row).await?;
            let key = format!("d{}", row.id);
            Some(DiagnosisView::new(user, &key, &found, &scene).await)
        }
        None => None,
    };
    Ok(DeliveryView {
        row,
        kind,
        words,
        diagnosis,
    })
}

/// What the diagnosis is about: the mailbox it was sent through.
async fn scene(app: &App, row: &Delivery) -> Result<Scene, PageError> {
    let stored = app.store.notice_channels().await?;
    let name = sending_mailbox(app, &stored.channels).await?;
    let through = row.channel == Channel::Mail && row.via == format!("the mailbox {name}");
    let mailbox = match Name::parse(&name) {
        Ok(name) if through => app.store.mailbox(&name).await?,
        _ => None,
    };
    Ok(match mailbox {
        Some(mailbox) => judgement::scene_of_mailbox(app, &mailbox, Direction::Outgoing).await?,
        None => Scene::default(),
    })
}

/// What the address of the list asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    state: String,
    after: String,
}

impl ListQuery {
    /// The last delivery of the page before: its moment and its id.
    fn after(&self) -> Option<(Timestamp, &str)> {
        let (at, id) = self.after.split_once('.')?;
        Some((Timestamp(at.parse().ok()?), id))
    }
}

#[derive(Template)]
#[template(path = "notifications/deliveries.html")]
struct ListPage {
    layout: Layout,
    query: ListQuery,
    rows: Vec<DeliveryView>,
    next: String,
    /// What waits to become a message.
    waits: Option<Waits>,
    states: [(&'static str, &'static str); 5],
}

/// `GET /settings/notifications/deliveries`: the newest first.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<ListQuery>) -> Result<Response, PageError> {
    let state = DeliveryState::parse(&query.state);
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut found = web.app.store.deliveries(state, query.after(), limit).await?;
    let more = found.len() > ROWS;
    found.truncate(ROWS);
    let next = match found.last().filter(|_| more) {
        Some(last) => {
            let after = format!("{}.{}", last.created_at.0, last.id);
            let mut address = Serializer::new(format!("{LIST}?"));
            if state.is_some() {
                address.append_pair("state", &query.state);
            }
            address.append_pair("after", &after).finish()
        }
        None => String::new(),
    };
    let rows = found.into_iter().map(|row| {
        let (kind, words) = row.state.shown();
        DeliveryView {
            row,
            kind,
            words,
            diagnosis: None,
        }
    });
    ListPage {
        layout: user
            .layout(Section::Settings, "Deliveries")
            .await
            .crumb("Settings", "/settings")
            .crumb("Notifications", PATH),
        rows: rows.collect(),
        query,
        next,
        waits: waits(&web.app).await?,
        states: [
            ("waiting", "Waiting"),
            ("delivered", "Delivered"),
            ("failed", "Failed"),
            ("unknown", "Not known"),
            ("dropped", "Not sent"),
        ],
    }
    .show()
}

#[derive(Template)]
#[template(path = "notifications/delivery.html")]
struct ShowPage {
    layout: Layout,
    one: DeliveryView,
    /// Why it can't be sent again; none: it can.
    refusal: Option<String>,
    cannot: Option<String>,
}

fn missing() -> PageError {
    PageError::Missing("There is no such delivery. They are kept for 30 days.".to_owned())
}

/// `GET /settings/notifications/deliveries/{id}`: what was sent and what was answered.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let row = web.app.store.delivery(&id).await?.ok_or_else(missing)?;
    let stored = web.app.store.notice_channels().await?;
    ShowPage {
        refusal: again::refusal(&stored, &row),
        layout: user
            .layout(Section::Settings, "Delivery")
            .await
            .crumb("Settings", "/settings")
            .crumb("Notifications", PATH)
            .crumb("Deliveries", LIST),
        one: view(&web.app, &user, row).await?,
        cannot: user.cannot(Permission::SettingsEdit).await,
    }
    .show()
}

/// `POST /settings/notifications/deliveries/{id}/again`: the same message to the same recipient, now; where it was given up.
pub async fn again(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let app = &web.app;
    let row = app.store.delivery(&id).await?.ok_or_else(missing)?;
    let stored = app.store.notice_channels().await?;
    let path = format!("{LIST}/{id}");
    if row.state.is_given_up()
        && let Some(why) = super::missing(&stored, row.channel)
    {
        return user.redirect_with(&path, Flash::bad(why)).await;
    }
    let actor = user.actor();
    let trying = Box::pin(again::again(app, &actor, &stored, &id));
    let flash = match tokio::time::timeout(WAIT, trying).await {
        Err(_) => Flash::info("It is being sent again."),
        Ok(done) => match done? {
            Again::Missing => return Err(missing()),
            Again::Refused(why) => Flash::warn(&format!("Nothing was sent. {why}")),
            Again::Tried(one) => match one.state {
                DeliveryState::Delivered => Flash::ok("Sent again, and delivered."),
                DeliveryState::Unknown => Flash::warn("It was handed over again, and again no answer came."),
                DeliveryState::Waiting => Flash::bad("It was sent again, and didn't get through. It is tried again by itself."),
                _ => Flash::bad("It was sent again, and didn't get through."),
            },
        },
    };
    user.redirect_with(&path, flash).await
}
