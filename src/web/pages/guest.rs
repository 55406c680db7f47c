//! What people without an account see at the end of a one-time link (`ux.md`, 6.18). Of a failure: its cause, and what they themselves can
//! do about it; nothing that only this console knows.

use super::diagnosis::{DiagnosisView, WayView};
use crate::actions::providers::trial::diagnosis_of;
use crate::app::App;
use crate::diagnosis::ways::{self, Scene};
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, FixWhere};
use crate::oauth::OAuthError;
use crate::web::error::PageError;
use crate::web::guard::Visit;
use crate::web::page::{Layout, Page};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

/// Who came through a link: which ways are theirs to go, and what is known to them.
pub(super) struct Guest<'a> {
    /// Where they can do something.
    pub can: FixWhere,
    /// Who sent the link.
    pub sender: &'a str,
    /// The values that they may see.
    pub scene: Scene,
}

impl<'a> Guest<'a> {
    /// Whoever runs the provider: knows the app, its directory and its addresses.
    pub fn admin(scene: Scene, sender: &'a str) -> Self {
        let can = FixWhere::Portal;
        Self { can, sender, scene }
    }

    /// The owner of an account.
    pub fn owner(provider: &Provider, account: &str, sender: &'a str) -> Self {
        Self {
            can: FixWhere::User,
            sender,
            scene: Scene {
                account: account.to_owned(),
                template: Some(provider.template),
                ..Scene::default()
            },
        }
    }

    /// A failure as they see it.
    pub fn told(&self, diagnosis: &Diagnosis) -> DiagnosisView {
        let all = DiagnosisView::plain("wrong", diagnosis, &self.scene);
        let theirs = ways::ways(diagnosis, &self.scene).into_iter().map(|way| way.who == self.can);
        let mut ways: Vec<WayView> = all
            .ways
            .into_iter()
            .zip(theirs)
            .filter_map(|(way, own)| own.then_some(way))
            .collect();
        for way in &mut ways {
            // It is they who would be asked.
            way.request.clear();
            way.link = None;
            way.who = "you";
        }
        if ways.is_empty() {
            ways.push(WayView {
                key: "wrong-1".to_owned(),
                title: format!("Tell {}", self.sender),
                who: "you",
                text: "They see in the console what is wrong, and what helps.".to_owned(),
                buttons: Vec::new(),
                denied: Vec::new(),
                values: Vec::new(),
                command: String::new(),
                shell: "",
                request: String::new(),
                link: None,
            });
        }
        DiagnosisView {
            key: all.key,
            title: all.title,
            text: all.text,
            url: all.url,
            retryable: all.retryable,
            unknown: all.unknown,
            ways,
            ..DiagnosisView::default()
        }
    }
}

/// The last page of a link: done, or what went wrong.
#[derive(Template)]
#[template(path = "links/done.html")]
pub(super) struct DonePage {
    pub layout: Layout,
    pub kind: &'static str,
    pub heading: String,
    pub text: Vec<String>,
    pub list: Vec<String>,
    /// In place of all that.
    pub wrong: Option<DiagnosisView>,
}

impl DonePage {
    /// With a mark and a heading.
    pub fn new(visit: &Visit, kind: &'static str, heading: String, text: Vec<String>) -> Self {
        Self {
            layout: visit.layout(&heading),
            kind,
            heading,
            text,
            list: Vec::new(),
            wrong: None,
        }
    }

    /// With a failure.
    pub fn wrong(visit: &Visit, view: DiagnosisView) -> Self {
        let heading = view.title.clone();
        Self {
            wrong: Some(view.as_page()),
            ..Self::new(visit, "bad", heading, Vec::new())
        }
    }
}

/// What the link leads to can't begin: something about the provider isn't right.
pub(super) fn cant_begin(
    app: &App,
    visit: &Visit,
    provider: &Provider,
    guest: &Guest<'_>,
    error: &OAuthError,
) -> Result<Response, PageError> {
    let view = guest
        .told(&diagnosis_of(app, provider, error))
        .note("It can't begin, and nothing changed.");
    DonePage::wrong(visit, view).with_status(StatusCode::CONFLICT)
}
