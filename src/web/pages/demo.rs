//! `/demo`: what goes wrong next in the sandbox. There only in `mailgrant demo`.

use crate::actions;
use crate::model::user::Permission;
use crate::sandbox::{Fault, Faults, Place};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{Access, Routes};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

/// Where it is.
const DEMO: &str = "/demo";

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
        .get(DEMO, Access::SignedIn, index)
        .post(DEMO, Access::Permission(Permission::MailboxTest), update)
}

/// The faults that show at one place.
struct Group {
    id: &'static str,
    title: &'static str,
    faults: Vec<Line>,
}

struct Line {
    fault: Fault,
    on: bool,
}

#[derive(Template)]
#[template(path = "demo/index.html")]
struct DemoPage {
    layout: Layout,
    groups: Vec<Group>,
    any: bool,
    /// The sandbox's own address, for other programs.
    url: String,
    password: &'static str,
}

/// The form as it was sent: the words of the ticked faults.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FaultsForm {
    fault: Vec<String>,
    none: String,
}

fn groups(faults: &Faults) -> Vec<Group> {
    let group = |place: Place| Group {
        id: match place {
            Place::SignIn => "signin",
            Place::Token => "token",
            Place::Connection => "connection",
            Place::Reading => "reading",
            Place::Sending => "sending",
        },
        title: place.title(),
        faults: Fault::ALL
            .iter()
            .copied()
            .filter(|fault| fault.place() == place)
            .map(|fault| Line {
                fault,
                on: faults.is_on(fault),
            })
            .collect(),
    };
    Place::ALL.into_iter().map(group).collect()
}

/// `GET /demo`.
pub async fn index(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let sandbox = web.sandbox.as_ref().ok_or(PageError::NotFound)?;
    let page = DemoPage {
        layout: user.layout(Section::Demo, "Let something go wrong").await,
        groups: groups(sandbox.faults()),
        any: !sandbox.faults().all().is_empty(),
        url: sandbox.url().to_owned(),
        password: crate::sandbox::PASSWORD,
    };
    page.show()
}

/// `POST /demo`.
pub async fn update(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<FaultsForm>) -> Result<Response, PageError> {
    let sandbox = web.sandbox.as_ref().ok_or(PageError::NotFound)?;
    let chosen: Vec<Fault> = if form.none.is_empty() {
        form.fault.iter().filter_map(|word| Fault::parse(word)).collect()
    } else {
        Vec::new()
    };
    actions::demo::choose_faults(&web.app, &user.actor(), sandbox.faults(), &chosen).await?;
    let text = match chosen.as_slice() {
        [] => "Everything goes well again.".to_owned(),
        [one] => format!("From now on: {}. Run a test to see it.", one.title()),
        more => format!("From now on {} things go wrong. Run a test to see them.", more.len()),
    };
    user.redirect(DEMO, &text).await
}
