//! `/tests` and *Test incoming*, *Test outgoing* of a mailbox: the short form before a run, and the run itself, live or ended.

mod list;
mod moving;
pub mod start;
pub mod verdict;
pub mod view;

use crate::actions::judgement;
use crate::actions::probe::{self, Live, Messages, open_messages, settings_of, stored_settings};
use crate::app::App;
use crate::diagnosis::ways::Scene;
use crate::model::audit::AuditEntry;
use crate::model::limits::{self, Limit, Service};
use crate::model::mailbox::{Mailbox, Protocol};
use crate::model::report::{Direction, Report, Stage};
use crate::model::user::Permission;
use crate::model::{Name, RunId};
use crate::store::reports::{Run, RunFilter};
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::diagnosis::Again;
use crate::web::pages::mailboxes::former::{self, FormerView};
use crate::web::routes::{self, Access, Routes};
use crate::web::{WebState, progress};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use list::index;
use moving::{MovedRow, moved_rows, moved_words};
use view::{LastRun, RunView, outcome_kind, outcome_words};

/// How many older results beside a run?
const LAST: i64 = 4;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let test = Access::Permission(Permission::MailboxTest);
    Routes::new()
        .get("/tests", view, index)
        .get("/tests/{run}", view, show)
        .get("/tests/{run}/events", view, progress::events)
        .get("/tests/{run}/messages", Access::Permission(Permission::MailboxPeek), messages)
        .get(
            "/tests/{run}/move/{list}/{number}",
            Access::Permission(Permission::MailboxAct),
            moving::ask,
        )
        .post(
            "/tests/{run}/move/{list}/{number}",
            Access::Permission(Permission::MailboxAct),
            moving::act,
        )
        .post("/tests/{run}/stop", test, stop)
        .get("/mailboxes/{name}/test/{direction}", test, start::new)
        .post("/mailboxes/{name}/test/{direction}", test, start::create)
}

/// What a person may do on the page of a run.
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    /// Start and stop tests.
    pub test: bool,
    /// Change the mailbox.
    pub edit: bool,
    /// See senders and subjects.
    pub peek: bool,
    /// Read transcripts.
    pub log: bool,
}

impl Rights {
    /// Those of a person.
    pub fn of(user: &CurrentUser) -> Self {
        Self {
            test: user.may(Permission::MailboxTest),
            edit: user.may(Permission::MailboxEdit),
            peek: user.may(Permission::MailboxPeek),
            log: user.may(Permission::LogRead),
        }
    }
}

/// The mailbox of a run, as it is now.
#[derive(Debug, Clone)]
pub struct Now {
    /// Handle.
    pub name: Name,
    /// Whether it is turned on.
    pub enabled: bool,
    /// Whether it has the other side, and which that is.
    pub other: Option<&'static str>,
    /// The tokens it had before.
    pub formers: Vec<FormerView>,
}

/// The page of a run. Its main part alone is what live pages get.
#[derive(Template)]
#[template(path = "tests/run.html")]
struct RunPage {
    layout: Layout,
    view: RunView,
    may: Rights,
    now: Option<Now>,
    /// Who may test again, for somebody who may not.
    cannot: Option<String>,
    once: String,
}

/// The main part of the page of a run.
#[derive(Template)]
#[template(path = "tests/part.html")]
pub struct RunMain {
    layout: Layout,
    view: RunView,
    may: Rights,
    now: Option<Now>,
    /// Who may test again, for somebody who may not.
    cannot: Option<String>,
    once: String,
}

/// A run by the text in its address.
pub async fn find(app: &App, id: &str) -> Result<Run, PageError> {
    let found = app.store.run(&RunId(id.to_owned())).await?;
    found.ok_or_else(|| PageError::Missing("There is no such test run. It may be too long ago.".to_owned()))
}

async fn mailbox_of(app: &App, run: &Run) -> Result<Option<Mailbox>, PageError> {
    Ok(match &run.mailbox_id {
        Some(id) => app.store.mailbox_by_id(id).await?,
        None => None,
    })
}

/// How a run looks now. `live` is what is known of it in this process.
pub async fn look(app: &App, run: &Run, live: Option<&Live>, mailbox: Option<&Mailbox>) -> Result<RunView, PageError> {
    let settings = stored_settings(run);
    if let Some(live) = live {
        let progress = live.progress.borrow().clone();
        return Ok(RunView::live(run, &settings, &live.planned, &progress, live.began));
    }
    if run.outcome == "running" {
        if let Some(there) = probe::elsewhere(app, run).await? {
            return Ok(RunView::live(run, &settings, &there.planned, &there.progress, there.began));
        }
        return Ok(RunView::elsewhere(run, &settings));
    }
    let report: Option<Report> = serde_json::from_str(&run.report).ok();
    let mut view = RunView::ended(run, &settings, report.as_ref());
    if let Some(mailbox) = mailbox {
        let today = settings_of(app, mailbox, run.direction).await?;
        if today.to_json() != run.settings {
            view.changes = settings.changes(&today);
        }
    }
    Ok(view)
}

/// What is known now around a run: its mailbox where that is still there, else its token.
async fn scene_of(app: &App, run: &Run, mailbox: Option<&Mailbox>) -> Result<Scene, PageError> {
    if let Some(mailbox) = mailbox {
        return Ok(judgement::scene_of_mailbox(app, mailbox, run.direction).await?);
    }
    let settings = stored_settings(run);
    let label = match run.direction {
        Direction::Incoming => "Incoming sign-in",
        Direction::Outgoing => "Outgoing sign-in",
    };
    let name = settings.get(label).and_then(|text| text.strip_prefix("token "));
    let Some(token) = (match name.and_then(|name| Name::parse(name).ok()) {
        Some(name) => app.store.token(&name).await?,
        None => None,
    }) else {
        return Ok(Scene::default());
    };
    Ok(match app.store.provider_by_id(&token.provider_id).await? {
        Some(provider) => judgement::scene_of_token(app, &token, &provider).await?,
        None => Scene::default(),
    })
}

/// How a run of this process looks that may have ended meanwhile, for the form it was started from.
pub async fn finished_view(app: &App, user: &CurrentUser, id: &RunId, live: &Live) -> Result<RunView, PageError> {
    let run = find(app, id.as_str()).await?;
    let going_on = live.ended.borrow().is_none();
    let mut view = look(app, &run, Some(live).filter(|_| going_on), None).await?;
    if !view.running {
        // The form is open already: nothing leads away from what was typed.
        let scene = Scene {
            mailbox: None,
            ..scene_of(app, &run, None).await?
        };
        view.explain(user, &run, scene, None).await;
    }
    Ok(view)
}

async fn last_results(app: &App, run: &Run) -> Result<Vec<LastRun>, PageError> {
    let Some(mailbox) = &run.mailbox_id else {
        return Ok(Vec::new());
    };
    let filter = RunFilter {
        mailbox: Some(mailbox.clone()),
        direction: Some(run.direction),
        limit: LAST,
        ..RunFilter::default()
    };
    let runs = app.store.runs(&filter).await?;
    Ok(runs.iter().filter(|other| other.id != run.id).map(last_run).collect())
}

/// An older run in a few words.
pub fn last_run(run: &Run) -> LastRun {
    let step = run.failed_step.as_deref().and_then(Stage::parse);
    LastRun {
        id: run.id.to_string(),
        kind: outcome_kind(&run.outcome),
        words: outcome_words(&run.outcome),
        what: view::what(run.direction),
        step: step.map(|stage| stage.title().to_owned()).unwrap_or_default(),
        at: run.finished_at.unwrap_or(run.started_at),
        by: run.started_by.clone(),
    }
}

impl Now {
    async fn of(app: &App, mailbox: &Mailbox, direction: Direction) -> Result<Self, PageError> {
        Ok(Self {
            formers: former::views(app, mailbox).await?,
            name: mailbox.name.clone(),
            enabled: mailbox.enabled,
            other: match direction {
                Direction::Incoming => mailbox.outgoing.as_ref().map(|_| "outgoing"),
                Direction::Outgoing => mailbox.incoming.as_ref().map(|_| "incoming"),
            },
        })
    }
}

/// The main part of a run's page, for live pages. `layout` is one that shows no message and takes none away.
pub async fn main_part(app: &App, user: &CurrentUser, layout: Layout, id: &str) -> Result<(RunMain, bool), PageError> {
    let live = app.probes.live(&RunId(id.to_owned()));
    let run = find(app, id).await?;
    let mailbox = mailbox_of(app, &run).await?;
    let mut view = look(app, &run, live.as_ref(), mailbox.as_ref()).await?;
    view.last = last_results(app, &run).await?;
    view.moved = moved_words(app, &run.id).await?;
    let running = view.running;
    let once = app.random.base64url(12);
    if !running {
        let again = mailbox
            .as_ref()
            .map(|mailbox| Again::mailbox(mailbox.name.as_str(), run.direction, &once));
        view.explain(user, &run, scene_of(app, &run, mailbox.as_ref()).await?, again).await;
    }
    let main = RunMain {
        layout,
        view,
        may: Rights::of(user),
        now: match &mailbox {
            Some(mailbox) => Some(Now::of(app, mailbox, run.direction).await?),
            None => None,
        },
        cannot: user.cannot(Permission::MailboxTest).await,
        once,
    };
    Ok((main, running))
}

/// `GET /tests/{run}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let layout = user.layout(Section::Tests, "Test").await;
    let (main, _) = Box::pin(main_part(&web.app, &user, layout, &id)).await?;
    let mut layout = main.layout.clone();
    layout.title = main.view.page_title.clone();
    let layout = match &main.now {
        Some(now) => layout
            .crumb("Mailboxes", "/mailboxes")
            .crumb(&main.view.address, &routes::mailbox(now.name.as_str())),
        None => layout.crumb("Tests", "/tests"),
    };
    RunPage {
        layout,
        view: main.view,
        may: main.may,
        now: main.now,
        cannot: main.cannot,
        once: main.once,
    }
    .show()
}

/// `POST /tests/{run}/stop`.
pub async fn stop(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let run = find(&web.app, &id).await?;
    let path = routes::run(&id);
    if !probe::stop_anywhere(&web.app, &user.actor(), &run).await? {
        return user.redirect_with(&path, Flash::info("This test had ended already.")).await;
    }
    user.redirect(&path, "Stopped.").await
}

#[derive(Template)]
#[template(path = "tests/messages.html")]
struct MessagesPage {
    layout: Layout,
    view: RunView,
    messages: Messages,
    /// Whether they can be moved from here: the mailbox is still there, and read in a way that can.
    movable: bool,
    /// How large a message this provider sends.
    sizes: Vec<String>,
    /// What was moved of them.
    moved: Vec<MovedRow>,
}

/// How large a message may be that goes out again there, where that is known.
fn sizes(view: &RunView) -> Vec<String> {
    let service = match Protocol::Graph.label() == view.protocol {
        true => Some(Service::Exchange),
        false => Service::of_host(&view.host),
    };
    let protocols = |limit: &Limit| {
        let labels: Vec<&str> = limit.protocols.iter().map(|protocol| protocol.label()).collect();
        labels.join(", ")
    };
    let all = limits::all().iter().filter(|limit| limit.size && Some(limit.service) == service);
    all.map(|limit| format!("{} sends by {}: {}.", limit.service.label(), protocols(limit), limit.value))
        .collect()
}

impl MessagesPage {
    fn size(&self, octets: &u64) -> String {
        crate::probe::size(*octets)
    }

    fn moved(&self, list: &str, place: &usize) -> Option<&MovedRow> {
        self.moved.iter().find(|moved| moved.is_of(list, *place))
    }

    fn words(&self, may: &bool, words: &'static str) -> &'static str {
        if *may { words } else { "" }
    }
}

/// Writes down that somebody looks at senders and subjects of a run. Where that can't be, they aren't shown.
async fn note_peek(app: &App, user: &CurrentUser, run: &Run) -> Result<(), PageError> {
    let entry = AuditEntry {
        action: "mailbox.peek",
        target: format!("mailbox:{}", run.mailbox_name),
        detail: format!("senders and subjects of run {}", run.id),
        outcome: "ok",
    };
    Ok(app.store.audit(app.clock.now(), &user.actor(), entry).await?)
}

/// `GET /tests/{run}/messages`: senders and subjects. That somebody looked is written down.
pub async fn messages(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let app = &web.app;
    let run = find(app, &id).await?;
    let missing = || PageError::Missing("This run has no senders and subjects.".to_owned());
    let messages = open_messages(app, &run).ok_or_else(missing)?;
    note_peek(app, &user, &run).await?;
    let view = look(app, &run, None, None).await?;
    let layout = user.layout(Section::Tests, "Senders and subjects").await;
    let layout = layout.crumb("Tests", "/tests").crumb(&run.address, &routes::run(&id));
    let sizes = sizes(&view);
    let movable = mailbox_of(app, &run).await?.is_some() && !run.draft && run.protocol != Protocol::Pop3.as_str();
    MessagesPage {
        moved: moved_rows(app, &run.id).await?,
        movable,
        layout,
        view,
        messages,
        sizes,
    }
    .show()
}
