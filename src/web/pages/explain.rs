//! *Explain an error* (`ux.md` 6.6): what a pasted code or text means, and who shows it now. Nothing of the text is stored or logged, and it is
//! shown again without what looks secret.

use super::diagnosis::DiagnosisView;
use crate::actions::judgement::scene_of_console;
use crate::actions::mailboxes::trimmed;
use crate::diagnosis::explain;
use crate::model::bundle::{Piece, without_secrets};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{Access, EXPLAIN, Routes};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// How many characters of a text are read?
const LONGEST: usize = 40_000;
/// How many of each that show it now?
const LISTED: i64 = 50;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    Routes::new().get(EXPLAIN, view, show).post(EXPLAIN, view, answer)
}

/// What was pasted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ExplainForm {
    text: String,
}

/// Who shows a diagnosis now.
#[derive(Default)]
struct Showing {
    mailboxes: Vec<(String, String)>,
    tokens: Vec<(String, String)>,
    providers: Vec<String>,
}

impl Showing {
    fn is_empty(&self) -> bool {
        self.mailboxes.is_empty() && self.tokens.is_empty() && self.providers.is_empty()
    }
}

/// What came of it.
struct Answer {
    known: bool,
    diagnosis: DiagnosisView,
    /// By what it was recognised.
    recognised: String,
    pieces: Vec<Piece>,
    removed: usize,
    showing: Showing,
}

#[derive(Template)]
#[template(path = "explain/index.html")]
struct ExplainPage {
    layout: Layout,
    errors: FieldErrors,
    form: ExplainForm,
    answer: Option<Answer>,
}

/// Whether a text says something the catalogue knows.
pub fn is_known(text: &str) -> bool {
    explain(text).is_known()
}

async fn explained(web: &WebState, text: &str) -> Result<Answer, PageError> {
    let explanation = explain(text);
    let known = explanation.is_known();
    let id = &explanation.diagnosis.id;
    let mut showing = Showing::default();
    if known {
        let store = &web.app.store;
        showing.mailboxes = store.mailboxes_showing(id, LISTED).await?;
        showing.tokens = store.tokens_showing(id, LISTED).await?;
        showing.providers = store.providers_showing(id, LISTED).await?;
    }
    let shown = without_secrets(text);
    Ok(Answer {
        known,
        diagnosis: DiagnosisView::plain("answer", &explanation.diagnosis, &scene_of_console(&web.app).await?),
        recognised: explanation.recognised.join(", "),
        removed: shown.removed(),
        pieces: shown.pieces(),
        showing,
    })
}

/// `GET /explain`; with `?text=` of the search it answers at once.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Query(form): Query<ExplainForm>) -> Result<Response, PageError> {
    let wanted = trimmed(&form.text).to_owned();
    let answer = match wanted.is_empty() || wanted.chars().count() > LONGEST {
        true => None,
        false => Some(explained(&web, &wanted).await?),
    };
    page(&user, ExplainForm::default(), FieldErrors::default(), answer).await.show()
}

async fn page(user: &CurrentUser, form: ExplainForm, errors: FieldErrors, answer: Option<Answer>) -> ExplainPage {
    let title = match &answer {
        Some(answer) if answer.known => format!("{}: explain an error", answer.diagnosis.title),
        Some(_) => "Not known: explain an error".to_owned(),
        None => "Explain an error".to_owned(),
    };
    let layout = user.layout(Section::Explain, &title).await;
    ExplainPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        form,
        answer,
    }
}

/// `POST` of the same.
pub async fn answer(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<ExplainForm>) -> Result<Response, PageError> {
    let text = trimmed(&form.text).to_owned();
    let mut errors = FieldErrors::default();
    let mut kept = String::new();
    if text.is_empty() {
        errors.add("text", "Enter a code or text");
    } else if text.chars().count() > LONGEST {
        errors.add(
            "text",
            "Code or text must be 40,000 characters or fewer. Paste the lines around the error only",
        );
        // As much of it as will be taken, so that its end can be cut off where that belongs.
        let cut: String = text.chars().take(LONGEST).collect();
        kept = without_secrets(&cut).plain();
    }
    if !errors.is_empty() {
        return page(&user, ExplainForm { text: kept }, errors, None).await.refused();
    }
    let answer = explained(&web, &text).await?;
    page(&user, ExplainForm::default(), FieldErrors::default(), Some(answer))
        .await
        .show()
}
