//! *Explain an error* (`ux.md` 6.6): what a pasted code or text means, and who shows it now. Nothing of the text is stored or logged, and it is
//! shown again without what looks secret.

use super::diagnosis::DiagnosisView;
use crate::actions::judgement::scene_of_console;
use crate::actions::mailboxes::trimmed;
use crate::diagnosis::{LONGEST, explain};
use crate::model::bundle::{Piece, without_secrets};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{Access, EXPLAIN, Routes};
use crate::web::upload::Upload;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// How many characters of a text are shown again?
const SHOWN: usize = 40_000;
/// How many more are looked at for secrets that begin before that? No token or key is longer.
const EDGE: usize = 16_000;
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
    /// How many characters of it aren't shown.
    more: usize,
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
    let text = text.to_owned();
    // Held until the work has ended, also where nobody waits for it any more: it can't be stopped half-way.
    let place = Arc::clone(&web.explaining).try_acquire_owned();
    let place = place.map_err(|_| PageError::Busy(5))?;
    // A whole page of text takes a while, in which other pages are answered.
    let read = tokio::task::spawn_blocking(move || {
        // What isn't shown needs no cleaning, but for what reaches over the edge.
        let end = text.char_indices().nth(SHOWN + EDGE).map_or(text.len(), |(at, _)| at);
        let (near, far) = text.split_at(end);
        let shown = without_secrets(near);
        let read = (explain(&text), shown.removed(), shown.pieces(), far.chars().count());
        drop(place);
        read
    });
    let (explanation, removed, pieces, far) = read.await.map_err(PageError::internal)?;
    let known = explanation.is_known();
    let id = &explanation.diagnosis.id;
    let mut showing = Showing::default();
    if known {
        let store = &web.app.store;
        showing.mailboxes = store.mailboxes_showing(id, LISTED).await?;
        showing.tokens = store.tokens_showing(id, LISTED).await?;
        showing.providers = store.providers_showing(id, LISTED).await?;
    }
    let (pieces, more) = beginning(pieces, SHOWN);
    Ok(Answer {
        known,
        diagnosis: DiagnosisView::plain("answer", &explanation.diagnosis, &scene_of_console(&web.app).await?),
        recognised: explanation.recognised.join(", "),
        removed,
        pieces,
        more: more + far,
        showing,
    })
}

/// As many pieces as have so many characters, and how many characters the others have.
fn beginning(pieces: Vec<Piece>, most: usize) -> (Vec<Piece>, usize) {
    let (mut shown, mut count, mut more) = (Vec::new(), 0, 0);
    for piece in pieces {
        let length = piece.text.chars().count();
        let kept = length.min(most - count);
        count += kept;
        more += length - kept;
        if kept == length {
            shown.push(piece);
        } else if kept > 0 {
            let text = piece.text.chars().take(kept).collect();
            shown.push(Piece { text, ..piece });
        }
    }
    (shown, more)
}

/// The page with an answer, for a text that came some other way than by its form.
pub(super) async fn answered(web: &WebState, user: &CurrentUser, text: &str) -> Result<Response, PageError> {
    let answer = explained(web, text).await?;
    page(user, ExplainForm::default(), FieldErrors::default(), Some(answer))
        .await
        .show()
}

/// `GET /explain`; with `?text=` of the search it answers at once.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Query(form): Query<ExplainForm>) -> Result<Response, PageError> {
    match trimmed(&form.text) {
        "" => page(&user, ExplainForm::default(), FieldErrors::default(), None).await.show(),
        text => answered(&web, &user, text).await,
    }
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

/// `POST` of the same. The page sends it in parts, so that a text takes no more room than it has.
pub async fn answer(
    State(web): State<WebState>,
    user: CurrentUser,
    upload: Result<Upload, PageError>,
    form: Result<CsrfForm<ExplainForm>, PageError>,
) -> Result<Response, PageError> {
    let text = match &upload {
        Ok(upload) => trimmed(upload.text("text")).to_owned(),
        Err(_) => trimmed(&form?.0.text).to_owned(),
    };
    let mut errors = FieldErrors::default();
    let mut kept = String::new();
    if text.is_empty() {
        errors.add("text", "Enter a code or text");
    } else if text.len() > LONGEST {
        errors.add("text", "Code or text must be 1 MiB or less. Paste the lines around the error only");
        // As much of it as is shown, so that its end can be cut off where that belongs.
        let cut: String = text.chars().take(SHOWN).collect();
        kept = without_secrets(&cut).plain();
    }
    if !errors.is_empty() {
        return page(&user, ExplainForm { text: kept }, errors, None).await.refused();
    }
    answered(&web, &user, &text).await
}
