//! `/walkthroughs`: those in progress, those that are finished, and what can be started (`ux.md`, 6.10); `/walkthroughs/{id}`: the
//! checklist. What a step does is in `acts`, what is copied from it in `values`.

mod acts;
mod doing;
pub(in crate::web) mod fit;
mod problem;
mod send;
mod start;
mod values;

use crate::actions::walkthroughs::{self, Seen, Stand, Walk};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::user::Permission;
use crate::model::walkthrough::{Group, Step, StepState, Sure, Template as Kind, templates};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::routes::{Access, Routes};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use doing::Doing;
use serde::Deserialize;
use values::Shown;

/// How many are listed, of those in progress and of those that are finished.
const LISTED: i64 = 50;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let change = Access::Permission(Permission::ProviderEdit);
    Routes::new()
        .get("/walkthroughs", view, index)
        .get("/walkthroughs/new", change, start::new)
        .post("/walkthroughs/new", change, start::create)
        .get("/walkthroughs/{id}", view, show)
        .post("/walkthroughs/{id}/check", change, acts::check_all)
        .post("/walkthroughs/{id}/choose", change, acts::choose)
        .post("/walkthroughs/{id}/turn-on", change, acts::turn_on)
        .get("/walkthroughs/{id}/delete", change, acts::ask_delete)
        .post("/walkthroughs/{id}/delete", change, acts::delete)
        .post("/walkthroughs/{id}/steps/{step}/check", change, acts::check)
        .post("/walkthroughs/{id}/steps/{step}/done", change, acts::done)
        .post("/walkthroughs/{id}/steps/{step}/undone", change, acts::undone)
        .post("/walkthroughs/{id}/steps/{step}/send", change, send::send)
        .post("/walkthroughs/{id}/steps/{step}/back", change, acts::take_back)
}

/// The walkthrough of an address, or 404.
async fn find(app: &App, id: &str) -> Result<Walk, PageError> {
    let found = walkthroughs::load(app, id).await?;
    found.ok_or_else(|| PageError::Missing("There is no such walkthrough. It may have been deleted.".to_owned()))
}

/// The step of an address, or 404.
fn step_of(walk: &Walk, id: &str) -> Result<(usize, &'static Step), PageError> {
    let found = walk.template.steps().enumerate().find(|(_, step)| step.id == id);
    let found = found.map(|(at, step)| (at + 1, step));
    found.ok_or_else(|| PageError::Missing("This walkthrough has no such step.".to_owned()))
}

/// Mark, words and class of a state.
fn state_words(stand: &Stand) -> (&'static str, &'static str, &'static str) {
    match (stand.state, stand.waits_for) {
        (StepState::Done, _) => ("ok", "Done", ""),
        (StepState::Confirmed, _) => ("said", "Confirmed", ""),
        (StepState::Waiting, _) => ("warn", "Waiting for someone else", "warn"),
        (StepState::Problem, _) => ("bad", "There is a problem", "bad"),
        (StepState::Open, Some(_)) => ("todo", "Can't start yet", ""),
        (StepState::Open, None) => ("todo", "Not started", ""),
    }
}

/// A walkthrough in a list.
pub(super) struct Row {
    pub id: String,
    pub title: &'static str,
    pub address: String,
    pub over: usize,
    pub of: usize,
    /// Mark and words of what is most urgent.
    pub kind: &'static str,
    pub words: String,
    touched_by: String,
    touched_at: Timestamp,
}

/// The last touched ones, at most so many.
pub(super) async fn rows(app: &App, finished: bool, most: i64) -> Result<Vec<Row>, PageError> {
    let (mut rows, mut seen) = (Vec::new(), Seen::default());
    for row in app.store.walkthroughs(finished, most).await? {
        let Some(walk) = walkthroughs::of(app, row).await? else { continue };
        let stands = walk.stands(app, &mut seen).await?;
        let of = |state: StepState| stands.iter().find(|stand| stand.state == state);
        let (kind, words) = match (of(StepState::Problem), of(StepState::Waiting)) {
            (Some(stand), _) => ("bad", format!("There is a problem with step {}", stand.number)),
            (_, Some(stand)) => {
                let to = stand.sent.as_ref().map(|sent| sent.to.as_str()).filter(|to| !to.is_empty());
                ("warn", format!("Waiting for {}", to.unwrap_or(&stand.step.to)))
            }
            _ => match stands.iter().find(|stand| !stand.state.is_over()) {
                Some(stand) => ("todo", format!("Next: {}", stand.step.title)),
                None => ("ok", "Finished".to_owned()),
            },
        };
        rows.push(Row {
            title: &walk.template.title,
            over: stands.iter().filter(|stand| stand.state.is_over()).count(),
            of: stands.len(),
            kind,
            words,
            id: walk.row.id,
            address: walk.row.address,
            touched_by: walk.row.touched_by,
            touched_at: walk.row.touched_at,
        });
    }
    Ok(rows)
}

#[derive(Template)]
#[template(path = "walkthroughs/index.html")]
struct IndexPage {
    layout: Layout,
    running: Vec<Row>,
    finished: Vec<Row>,
    families: Vec<(&'static str, Vec<&'static Kind>)>,
}

/// `GET /walkthroughs`.
pub async fn index(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let mut families: Vec<(&str, Vec<&Kind>)> = Vec::new();
    for kind in templates() {
        match families.iter_mut().find(|(family, _)| *family == kind.family) {
            Some((_, kinds)) => kinds.push(kind),
            None => families.push((&kind.family, vec![kind])),
        }
    }
    IndexPage {
        running: rows(&web.app, false, LISTED).await?,
        finished: rows(&web.app, true, LISTED).await?,
        layout: user.layout(Section::Walkthroughs, "Walkthroughs").await,
        families,
    }
    .show()
}

/// Which step is open.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Open {
    step: Option<usize>,
}

/// A step as a row.
struct Line {
    stand: Stand,
    kind: &'static str,
    words: &'static str,
    css: &'static str,
    /// What stands below the title.
    small: String,
    is_open: bool,
}

/// Steps of one place.
struct Place {
    group: &'static Group,
    lines: Vec<Line>,
}

/// What the open step shows.
struct Opened {
    stand: Stand,
    /// What is wrong with it, where that is known.
    problem: Option<DiagnosisView>,
    values: Vec<Shown>,
    permissions: Vec<(String, &'static str)>,
    doing: Doing,
    sure: &'static str,
    path: String,
    /// What *Send to someone* is called, empty where it isn't offered, and why it can't be done yet.
    send: &'static str,
    send_later: &'static str,
    /// The check has a field for an address.
    asks_address: bool,
    /// The day its words were last compared with the documentation.
    verified: String,
}

#[derive(Template)]
#[template(path = "walkthroughs/show.html")]
struct ShowPage {
    layout: Layout,
    errors: FieldErrors,
    walk: Walk,
    places: Vec<Place>,
    open: Option<Opened>,
    over: usize,
    of: usize,
    heading: &'static str,
    path: String,
    may: bool,
    address: String,
}

fn sure_words(sure: Sure) -> &'static str {
    match sure {
        Sure::Proved => "Proved by this console.",
        Sure::Likely => "Likely, not certain.",
        Sure::Late => "Proved late; until then a person's word counts.",
        Sure::Confirmed => "A person's word.",
    }
}

fn line(stand: &Stand, stands: &[Stand], open: Option<usize>) -> Line {
    let (kind, words, css) = state_words(stand);
    let small = match (stand.state, stand.waits_for.and_then(|number| stands.get(number - 1))) {
        (StepState::Open, Some(other)) => format!("{}. Waits for step {}, {}", stand.step.brief, other.number, other.step.title),
        (StepState::Open, None) if stand.evidence.is_empty() => stand.step.brief.clone(),
        (StepState::Confirmed, _) if stand.evidence.is_empty() => format!("{} says it's done", stand.by),
        (StepState::Waiting, _) if stand.sent.as_ref().is_some_and(|sent| sent.outdated) => {
            "The provider changed since you sent this".to_owned()
        }
        (StepState::Waiting, _) => match stand.sent.as_ref().map(|sent| sent.to.as_str()).filter(|to| !to.is_empty()) {
            Some(to) => format!("Sent to {to}"),
            None => format!("Sent to {}", stand.step.to),
        },
        _ => stand.evidence.clone(),
    };
    Line {
        stand: stand.clone(),
        kind,
        words,
        css,
        small,
        is_open: open == Some(stand.number),
    }
}

/// `GET /walkthroughs/{id}`.
pub async fn show(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    Query(open): Query<Open>,
) -> Result<Response, PageError> {
    page(&web, &user, &id, open.step, "", FieldErrors::default()).await?.show()
}

async fn page(
    web: &WebState,
    user: &CurrentUser,
    id: &str,
    wanted: Option<usize>,
    address: &str,
    errors: FieldErrors,
) -> Result<ShowPage, PageError> {
    let walk = find(&web.app, id).await?;
    let stands = walk.stands(&web.app, &mut Seen::default()).await?;
    let may = user.may(Permission::ProviderEdit);
    let next = |stand: &&Stand| !stand.state.is_over() && stand.may_start();
    let shown = match wanted {
        Some(number) => stands.iter().find(|stand| stand.number == number),
        None => stands.iter().find(next),
    };
    let shown = shown.filter(|stand| stand.may_start());
    let opened = match shown {
        Some(stand) => Some(Opened::of(web, user, &walk, stand).await?),
        None => None,
    };
    let number = shown.map(|stand| stand.number);
    let mut at = 0;
    let places = walk.template.groups.iter().map(|group| {
        let lines = stands[at..at + group.steps.len()]
            .iter()
            .map(|stand| line(stand, &stands, number))
            .collect();
        at += group.steps.len();
        Place { group, lines }
    });
    let places = places.collect();
    let layout = user.layout(Section::Walkthroughs, &walk.template.title).await;
    let layout = layout.crumb("Walkthroughs", "/walkthroughs");
    Ok(ShowPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        places,
        open: opened,
        over: stands.iter().filter(|stand| stand.state.is_over()).count(),
        of: stands.len(),
        heading: &walk.template.heading,
        path: format!("/walkthroughs/{}", walk.row.id),
        may,
        address: address.to_owned(),
        walk,
    })
}
