//! *Proof of least privilege* on the page of an app-only token: a mailbox it must not open.

use super::find;
use crate::actions::probe::{ProofError, prove, ways};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::Mailbox;
use crate::model::proof::{Proof, ProofOutcome};
use crate::model::token::Token;
use crate::web::WebState;
use crate::web::error::{PageError, wait};
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Page};
use crate::web::routes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// How many of the last proofs are shown?
const SHOWN: i64 = 5;

/// The form as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProofForm {
    /// An address that must be refused.
    pub address: String,
}

/// What the section shows.
#[derive(Debug, Default)]
pub struct Proving {
    /// Whether this token is one that can be proved.
    pub offered: bool,
    /// Whether it reads a mailbox, which shows the way.
    pub possible: bool,
    /// The last ones, newest first.
    pub proofs: Vec<Line>,
    /// What was typed.
    pub form: ProofForm,
}

/// A proof that was tried.
#[derive(Debug)]
pub struct Line {
    /// Mark.
    pub kind: &'static str,
    /// In a word.
    pub words: &'static str,
    /// The token was changed after it.
    pub stale: bool,
    /// All of it.
    pub proof: Proof,
}

fn line(proof: Proof, changed_at: Timestamp) -> Line {
    let (kind, words) = match proof.outcome {
        ProofOutcome::Refused => ("ok", "Refused, as it must be"),
        ProofOutcome::Opened => ("bad", "It opened"),
        ProofOutcome::Unclear => ("warn", "Not proved"),
    };
    Line {
        kind,
        words,
        stale: proof.at < changed_at,
        proof,
    }
}

/// The section of a token's page.
pub async fn proving(app: &App, token: &Token, mailboxes: &[Mailbox], form: ProofForm) -> Result<Proving, PageError> {
    if !super::abilities::is_app_only(token) {
        return Ok(Proving::default());
    }
    let proofs = app.store.proofs_of(&token.id, SHOWN).await?;
    Ok(Proving {
        offered: true,
        possible: !ways(&token.id, mailboxes).is_empty(),
        proofs: proofs.into_iter().map(|proof| line(proof, token.updated_at)).collect(),
        form,
    })
}

/// `POST /tokens/{name}/prove`: tries to open a mailbox that must be refused.
pub async fn submit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<ProofForm>,
) -> Result<Response, PageError> {
    let (token, _) = find(&web.app, &name).await?;
    let flash = match prove(&web.app, &user.actor(), &user.user().id, &token, &form.address).await {
        Ok(proof) => match proof.outcome {
            ProofOutcome::Refused => Flash::ok(&format!("{} was refused, as it must be.", proof.address)),
            ProofOutcome::Opened => Flash::bad(&format!("{} opened. The app isn't limited to its mailboxes.", proof.address)),
            ProofOutcome::Unclear => Flash::warn(&format!("Not proved: {}", proof.detail)),
        },
        Err(ProofError::Address(message)) => {
            let mut errors = FieldErrors::default();
            errors.add("address", message);
            return super::page(&web, &user, &name, form, errors).await?.refused();
        }
        Err(ProofError::Store(error)) => return Err(error.into()),
        Err(ProofError::TooOften(seconds)) => Flash::warn(&format!("Too many tests. Try again in {}.", wait(seconds))),
        Err(ProofError::NotAppOnly) => Flash::warn("Only app-only tokens are proved this way: somebody signed in to this one."),
        Err(ProofError::NoWay) => Flash::warn("Add a mailbox that reads with this token first: the proof takes the same way."),
        Err(ProofError::Stopping) => Flash::warn("The console is stopping. Try again in a minute."),
    };
    user.redirect_with(&routes::token(&name), flash).await
}
