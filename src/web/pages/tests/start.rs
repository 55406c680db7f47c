//! The short form before a test: what will be done, and options (`ux.md` 6.5).

use super::view::what;
use crate::actions::mailboxes::trimmed;
use crate::actions::probe::{self, Options, Order, ProbeError, side};
use crate::model::Name;
use crate::model::mailbox::{Mailbox, check_address};
use crate::model::report::Direction;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::time::Duration;

/// How long does a form without script wait for the end of its run?
pub const WAIT: Duration = Duration::from_secs(8);

/// The form as it was sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TestForm {
    newest: String,
    oversized: String,
    junk_days: String,
    from: String,
    to: String,
    bcc: String,
    wait: String,
    subject: String,
    login_only: String,
    /// `1`: as the defaults are, without asking.
    defaults: String,
    /// What makes two presses of one button one test.
    once: String,
    /// `1`: a script watches the run, so the answer need not wait.
    script: String,
}

impl TestForm {
    fn new(mailbox: &Mailbox, subject: String, usual: &Options) -> Self {
        Self {
            newest: "5".into(),
            oversized: (usual.oversized_over / 1_000_000).to_string(),
            junk_days: usual.junk_days.to_string(),
            from: mailbox.sender().to_owned(),
            to: mailbox.address.clone(),
            wait: if probe::may_arrive(mailbox) { "1".into() } else { String::new() },
            subject,
            ..Self::default()
        }
    }

    fn check(&self, direction: Direction, usual: Options) -> Result<Options, FieldErrors> {
        if self.defaults == "1" {
            return Ok(usual);
        }
        let mut errors = FieldErrors::default();
        let mut options = usual;
        match direction {
            Direction::Incoming => {
                let mut number = |field: &str, text: &str, label: &str, least: u64, most: u64| {
                    let number = trimmed(text).parse().ok().filter(|n| (least..=most).contains(n));
                    if number.is_none() {
                        errors.add(field, format!("{label} must be between {least} and {most}"));
                    }
                    number.unwrap_or(least)
                };
                options.newest = number("newest", &self.newest, "Newest messages to read", 0, 50);
                options.oversized_over = number("oversized", &self.oversized, "Look for messages over", 1, 1000) * 1_000_000;
                let days = number("junk_days", &self.junk_days, "Count junk of the last", 1, 365);
                options.junk_days = u16::try_from(days).unwrap_or(7);
            }
            Direction::Outgoing => {
                for (field, text, slot) in [("from", &self.from, &mut options.from), ("to", &self.to, &mut options.to)] {
                    match check_address(trimmed(text)) {
                        Some(address) => *slot = Some(address),
                        None => errors.add(field, "Enter an email address like support@example.com"),
                    }
                }
                let subject = trimmed(&self.subject);
                if subject.chars().any(char::is_control) || subject.chars().count() > 200 {
                    errors.add("subject", "Subject must be one line of 200 characters or fewer");
                }
                options.subject = Some(subject.to_owned()).filter(|text| !text.is_empty());
                options.bcc = self.bcc == "1";
                options.login_only = self.login_only == "1";
                options.wait = options.wait.filter(|_| self.wait == "1");
            }
        }
        errors.check().map(|()| options)
    }
}

#[derive(Template)]
#[template(path = "tests/new.html")]
struct NewPage {
    layout: Layout,
    errors: FieldErrors,
    form: TestForm,
    mailbox: Mailbox,
    incoming: bool,
    what: &'static str,
    host: String,
}

impl NewPage {
    fn may_arrive(&self) -> bool {
        probe::may_arrive(&self.mailbox)
    }
}

/// A mailbox, and the side of it that the address names.
async fn asked_for(web: &WebState, name: &str, direction: &str) -> Result<(Mailbox, Direction), PageError> {
    let direction = Direction::parse(direction).ok_or(PageError::NotFound)?;
    let mailbox = super::super::mailboxes::find(&web.app, name).await?;
    match side(&mailbox, direction) {
        Some(_) => Ok((mailbox, direction)),
        None => Err(PageError::Missing(format!(
            "{} isn't set up for that: it has no {direction} side.",
            mailbox.address
        ))),
    }
}

async fn page(user: &CurrentUser, mailbox: Mailbox, direction: Direction, form: TestForm, errors: FieldErrors) -> NewPage {
    let what = what(direction);
    let layout = user
        .layout(Section::Mailboxes, &format!("{what}: {}", mailbox.address))
        .await
        .crumb("Mailboxes", "/mailboxes")
        .crumb(&mailbox.address, &routes::mailbox(mailbox.name.as_str()));
    NewPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        form,
        incoming: direction == Direction::Incoming,
        what,
        host: side(&mailbox, direction)
            .map(|side| {
                side.server
                    .endpoint()
                    .map_or("Microsoft Graph", |endpoint| &endpoint.host)
                    .to_owned()
            })
            .unwrap_or_default(),
        mailbox,
    }
}

/// `GET /mailboxes/{name}/test/incoming` and `/outgoing`.
pub async fn new(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, direction)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (mailbox, direction) = asked_for(&web, &name, &direction).await?;
    let mut form = TestForm::new(&mailbox, probe::subject(&*web.app.random), &Options::chosen(&web.app).await?);
    form.once = web.app.random.base64url(12);
    page(&user, mailbox, direction, form, FieldErrors::default()).await.show()
}

/// `POST` of the same: starts the run and leads to it.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, direction)): Path<(String, String)>,
    CsrfForm(form): CsrfForm<TestForm>,
) -> Result<Response, PageError> {
    let (mailbox, direction) = asked_for(&web, &name, &direction).await?;
    let options = match form.check(direction, Options::chosen(&web.app).await?) {
        Ok(options) => options,
        Err(errors) => return page(&user, mailbox, direction, form, errors).await.refused(),
    };
    run(&web, &user, mailbox, direction, options, &form.once, form.script == "1").await
}

/// Starts a run of a saved mailbox and leads to its page, once for each form.
pub async fn run(
    web: &WebState,
    user: &CurrentUser,
    mailbox: Mailbox,
    direction: Direction,
    options: Options,
    once: &str,
    script: bool,
) -> Result<Response, PageError> {
    let app = &web.app;
    let form = format!("{} {once}", user.user().id);
    let starting = app.probes.forms().await;
    let started = if once.is_empty() {
        None
    } else {
        app.store.run_of_form(&form).await?
    };
    let run = match started {
        Some(run) => run,
        None => {
            let back = routes::mailbox(mailbox.name.as_str());
            let order = Order {
                mailbox,
                draft: false,
                direction,
                options,
                user: Some(user.user().id.clone()),
            };
            let once = if once.is_empty() { "" } else { form.as_str() };
            match probe::start_once(app, &user.actor(), order, once).await {
                Ok(run) => run,
                // Another instance got the same form, and was quicker.
                Err(ProbeError::Store(StoreError::Taken)) => app.store.run_of_form(&form).await?.ok_or(StoreError::Taken)?,
                Err(ProbeError::Store(error)) => return Err(error.into()),
                Err(ProbeError::Stopping) => return Err(PageError::Busy(10)),
                Err(ProbeError::UnderWay(run)) => {
                    let flash = Flash::info("This test was under way already, so no second one was started.");
                    return user.redirect_with(&routes::run(run.as_str()), flash).await;
                }
                Err(error) => return user.redirect_with(&back, Flash::bad(&refusal(&error))).await,
            }
        }
    };
    drop(starting);
    if !script && let Some(live) = app.probes.live(&run) {
        let _ = tokio::time::timeout(WAIT, live.end()).await;
    }
    Ok(Redirect::to(&routes::run(run.as_str())).into_response())
}

/// Why a test was not started, as a sentence.
pub fn refusal(error: &ProbeError) -> String {
    match error {
        ProbeError::NoSide(direction) => format!("This mailbox has no {direction} side."),
        ProbeError::QueueFull => "Too many tests are waiting. Test again when some have finished.".into(),
        ProbeError::TooOften(seconds) => {
            format!(
                "Too many tests of unsaved settings. Try again in {}.",
                crate::web::error::wait(*seconds)
            )
        }
        ProbeError::TestsTooOften(seconds) => {
            format!("Too many tests. Try again in {}.", crate::web::error::wait(*seconds))
        }
        ProbeError::MessagesTooOften(seconds) => format!(
            "Too many test messages to other addresses. Send the next one in {}, or one to the mailbox itself.",
            crate::web::error::wait(*seconds)
        ),
        ProbeError::UnderWay(_) => "This test is under way already.".into(),
        ProbeError::UnknownServer(direction) => {
            format!("A stored token isn't sent to a server that nobody has saved. Save the mailbox, then test {direction}.")
        }
        ProbeError::Stopping => "The console is stopping.".into(),
        ProbeError::Store(_) => "The database can't be written now.".into(),
    }
}

/// The name of a mailbox in an address.
pub fn name(text: &str) -> Option<Name> {
    Name::parse(text).ok().filter(|name| name.as_str() == text)
}
