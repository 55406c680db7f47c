//! `/settings/notifications`: whom to tell, how, and of what; tests of both ways; and the messages that were sent.

mod deliveries;
mod form;

use crate::actions::notices::channels::{self, sending_mailbox};
use crate::actions::notices::{self, dead, send, webhook_dead};
use crate::actions::{ActionError, settings};
use crate::model::audit::{AuditEntry, AuditRow};
use crate::model::notices::{Channel, Channels, Event, Quiet, Stamp};
use crate::model::settings::FAILING_AFTER;
use crate::model::user::Permission;
use crate::store::StoreError;
use crate::store::deliveries::StoredChannels;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::changes::Names;
use crate::web::pages::entries::Entries;
use crate::web::routes::{Access, Routes};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use deliveries::{DeliveryView, view};
use form::ChannelsForm;
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

const PATH: &str = "/settings/notifications";
/// What entries of the audit log about these settings are about.
const TARGET: &str = "setting:notifications";
/// How many changes of others are told at most?
const TOLD: i64 = 20;
/// How many mailboxes are offered in a list?
const OFFERED: i64 = 200;
/// How long does a test keep its page waiting?
const WAIT: Duration = Duration::from_secs(22);

/// The routes of this section.
pub fn routes() -> Routes {
    let (view, edit) = (Access::Permission(Permission::View), Access::Permission(Permission::SettingsEdit));
    Routes::new()
        .get("/settings/notifications", view, show)
        .post("/settings/notifications", edit, save)
        .post("/settings/notifications/test/{channel}", edit, test)
        .get("/settings/notifications/deliveries", view, deliveries::index)
        .get("/settings/notifications/deliveries/{id}", view, deliveries::show)
        .post("/settings/notifications/deliveries/{id}/again", edit, deliveries::again)
}

/// Which test was just made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ShowQuery {
    tested: String,
}

/// An event with its two ticks.
struct EventRow {
    word: &'static str,
    label: &'static str,
    by_mail: bool,
    by_webhook: bool,
    mail: bool,
    webhook: bool,
}

#[derive(Template)]
#[template(path = "notifications/index.html")]
struct IndexPage {
    layout: Layout,
    errors: FieldErrors,
    form: ChannelsForm,
    /// As it is stored.
    channels: Channels,
    /// The mailbox that sends, by its handle.
    mailbox: String,
    mailboxes: Vec<(String, String)>,
    events: Vec<EventRow>,
    password_set: String,
    secret_set: String,
    zone: String,
    quiet: String,
    failing_after: i64,
    dead: Option<notices::Dead>,
    webhook_dead: Option<notices::Dead>,
    tested: Vec<DeliveryView>,
    /// What others changed while the form was open: who, and what.
    meanwhile: Vec<(String, String)>,
    cannot: Option<String>,
}

impl IndexPage {
    async fn new(
        web: &WebState,
        user: &CurrentUser,
        form: Option<ChannelsForm>,
        mut errors: FieldErrors,
        tested: &str,
    ) -> Result<Self, PageError> {
        let form = form.map(|form| form.without_secrets(&mut errors));
        let app = &web.app;
        let stored = app.store.notice_channels().await?;
        let channels = &stored.channels;
        let layout = user.layout(Section::Settings, "Notifications").await.crumb("Settings", "/settings");
        let mut layout = if errors.is_empty() { layout } else { layout.error() };
        // This page says it with its cause.
        (layout.counts.mail_dead, layout.counts.webhook_dead) = (None, None);
        let mailbox = sending_mailbox(app, channels).await?;
        let failing_after = settings::number(app, &FAILING_AFTER).await?;
        let form = match form {
            Some(form) => form,
            None => {
                let newest = app.store.audit_rows_of(TARGET, 1).await?;
                let seen = newest.first().map_or(0, |row| row.sequence);
                let address = channels::address(app, &stored).unwrap_or_else(|error| {
                    tracing::error!(%error, "The address of the webhook can't be opened");
                    errors.add("webhook", "Enter the address again: the stored one can't be opened");
                    Zeroizing::default()
                });
                ChannelsForm::of(&stored, &address, &mailbox, failing_after).over(&stored, seen)
            }
        };
        let ticked = |list: &[String], event: Event| list.iter().any(|word| word == event.as_str());
        let events = Event::CHOSEN.into_iter().map(|event| EventRow {
            word: event.as_str(),
            label: event.label(),
            by_mail: event.by_mail(),
            by_webhook: event.by_webhook(),
            mail: ticked(&form.mail_events, event),
            webhook: ticked(&form.webhook_events, event),
        });
        let mut mailboxes: Vec<(String, String)> = app
            .store
            .sending_mailboxes(OFFERED + 1)
            .await?
            .into_iter()
            .map(|(name, address)| {
                let words = if name == address { address } else { format!("{address} ({name})") };
                (name, words)
            })
            .collect();
        if i64::try_from(mailboxes.len()).unwrap_or(0) > OFFERED {
            mailboxes.clear();
        } else {
            mailboxes.insert(0, (String::new(), "None".to_owned()));
        }
        let mut seen = Vec::new();
        if !tested.is_empty() {
            for one in app.store.deliveries_of(tested).await? {
                seen.push(view(app, user, one).await?);
            }
        }
        let set = |stamp: Option<&Stamp>| {
            stamp
                .map(|stamp| format!("Set, last changed {} by {}", layout.full(stamp.at), stamp.by))
                .unwrap_or_default()
        };
        Ok(Self {
            password_set: set(channels.password_set.as_ref().filter(|_| stored.smtp_password.is_some())),
            secret_set: set(channels.secret_set.as_ref().filter(|_| stored.webhook_secret.is_some())),
            zone: notices::local(app, &channels.zone).await?.name().to_owned(),
            quiet: channels
                .quiet
                .map(|quiet| format!("{} to {}", Quiet::clock(quiet.from), Quiet::clock(quiet.until)))
                .unwrap_or_default(),
            dead: dead(app, &stored).await?,
            webhook_dead: webhook_dead(app, &stored).await?,
            cannot: user.cannot(Permission::SettingsEdit).await,
            events: events.collect(),
            tested: seen,
            meanwhile: Vec::new(),
            mailbox,
            mailboxes,
            failing_after,
            errors,
            form,
            layout,
            channels: stored.channels,
        })
    }

    fn tested_words(&self) -> &'static str {
        if self.tested.iter().any(|one| one.kind == "bad") {
            "The test didn't get through"
        } else if self.tested.iter().any(|one| one.kind != "ok") {
            "The test isn't finished"
        } else {
            "The test was delivered"
        }
    }

    fn tested_kind(&self) -> &'static str {
        match self.tested_words() {
            "The test was delivered" => "ok",
            "The test isn't finished" => "run",
            _ => "bad",
        }
    }
}

/// `GET /settings/notifications`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Query(query): Query<ShowQuery>) -> Result<Response, PageError> {
    let kept = match user.take_draft(PATH).await {
        Some(fields) => refill(&fields).await,
        None => None,
    };
    IndexPage::new(&web, &user, kept, FieldErrors::default(), &query.tested)
        .await?
        .show()
}

#[derive(Template)]
#[template(path = "notifications/secret.html")]
struct SecretPage {
    layout: Layout,
    secret: String,
}

/// `POST /settings/notifications`: saves; a secret that was made is shown once.
pub async fn save(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<ChannelsForm>) -> Result<Response, PageError> {
    match channels::save(&web.app, &user.actor(), &form.input()).await {
        Ok(None) => {
            let channels = web.app.store.notice_channels().await?.channels;
            let flash = if channels.recipients.is_empty() || channels.mails() {
                Flash::ok("Notifications saved.")
            } else {
                Flash::warn("Notifications saved. Nobody gets mail yet: choose a mailbox that sends, or enter a fallback server.")
            };
            user.redirect_with(PATH, flash).await
        }
        Ok(Some(secret)) => SecretPage {
            layout: user
                .layout(Section::Settings, "Webhook secret")
                .await
                .crumb("Settings", "/settings")
                .crumb("Notifications", PATH),
            secret: secret.as_str().to_owned(),
        }
        .show(),
        Err(ActionError::Fields(problems)) => IndexPage::new(&web, &user, Some(form), problems.into(), "").await?.refused(),
        Err(ActionError::Store(StoreError::Stale)) => conflict(&web, &user, form).await,
        Err(error) => Err(error.into()),
    }
}

/// The form on top of what is stored now, with what was changed since it was opened.
async fn conflict(web: &WebState, user: &CurrentUser, form: ChannelsForm) -> Result<Response, PageError> {
    let store = &web.app.store;
    // First what the next save counts on: whatever comes between the two is told, and stopped once more.
    let stored = store.notice_channels().await?;
    let rows = store.audit_rows_of(TARGET, TOLD).await?;
    let seen: i64 = form.seen.parse().unwrap_or(0);
    let newer = |row: &&AuditRow| row.sequence > seen && row.action == "settings.change";
    let rows_newer: Vec<AuditRow> = rows.iter().filter(newer).cloned().collect();
    let (people, objects) = (Names::load(&web.app).await?, Entries::load(&web.app, &rows_newer).await?);
    let meanwhile = rows_newer.iter().map(|row| (people.of(&row.actor), objects.detail(row))).collect();
    let mut errors = FieldErrors::default();
    let text = "These settings were changed meanwhile, and nothing of yours is saved. Save again to put yours in place of that";
    errors.add("meanwhile", text);
    let form = form.over(&stored, rows.first().map_or(seen, |row| row.sequence));
    let mut page = IndexPage::new(web, user, Some(form), errors, "").await?;
    page.meanwhile = meanwhile;
    page.refused()
}

/// `POST /settings/notifications/test/{channel}`: sends a test the way that is saved, and says how it went.
pub async fn test(State(web): State<WebState>, user: CurrentUser, Path(channel): Path<String>) -> Result<Response, PageError> {
    let channel = Channel::parse(&channel).ok_or_else(|| PageError::Missing("There is no such way to tell somebody.".to_owned()))?;
    let stored = web.app.store.notice_channels().await?;
    if let Some(missing) = missing(&stored, channel) {
        return user.redirect_with(PATH, Flash::bad(missing)).await;
    }
    let entry = AuditEntry {
        action: "notice.test",
        target: TARGET.to_owned(),
        detail: format!("test by {channel}"),
        outcome: "ok",
    };
    web.app.store.audit(web.app.clock.now(), &user.actor(), entry).await?;
    let all = notices::test(&web.app, &stored, channel).await?;
    let message = all.first().map(|one| one.message.clone()).unwrap_or_default();
    // What takes longer goes on by itself, and the page says that it does.
    if let Ok(sent) = tokio::time::timeout(WAIT, send::send_all_now(&web.app, &stored, all)).await {
        sent?;
    }
    Ok(axum::response::IntoResponse::into_response(axum::response::Redirect::to(&format!(
        "{PATH}?tested={message}#tested"
    ))))
}

/// Why a test can't be sent; none: it can.
fn missing(stored: &StoredChannels, channel: Channel) -> Option<&'static str> {
    let channels = &stored.channels;
    match channel {
        Channel::Mail if channels.recipients.is_empty() => Some("There is nobody to send a test to. Enter a recipient and save first."),
        Channel::Mail if !channels.mails() => {
            Some("There is nothing to send through. Choose a mailbox or enter a fallback server, and save first.")
        }
        Channel::Webhook if channels.webhook.is_empty() => Some("There is no webhook. Enter its address and save first."),
        Channel::Webhook if !channels.posts() => Some("The webhook is turned off. Turn it on again and save first."),
        _ => None,
    }
}
