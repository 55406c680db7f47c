//! Pausing, turning on and deleting a mailbox.

use super::find;
use crate::actions::mailboxes;
use crate::model::mailbox::{Auth, Mailbox};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, Nothing, clean};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// Why it is paused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PauseForm {
    reason: String,
}

#[derive(Template)]
#[template(path = "mailboxes/pause.html")]
struct PausePage {
    layout: Layout,
    errors: FieldErrors,
    form: PauseForm,
    mailbox: Mailbox,
}

async fn layout(user: &CurrentUser, mailbox: &Mailbox, title: &str) -> Layout {
    let layout = user.layout(Section::Mailboxes, &format!("{title} {}", mailbox.address)).await;
    layout
        .crumb("Mailboxes", "/mailboxes")
        .crumb(&mailbox.address, &routes::mailbox(mailbox.name.as_str()))
}

/// `GET /mailboxes/{name}/pause`.
pub async fn ask_pause(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    PausePage {
        layout: layout(&user, &mailbox, "Pause").await,
        errors: FieldErrors::default(),
        form: PauseForm::default(),
        mailbox,
    }
    .show()
}

/// `POST /mailboxes/{name}/pause`.
pub async fn pause(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<PauseForm>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    mailboxes::pause(&web.app, &user.actor(), &mailbox.name, &form.reason).await?;
    let path = routes::mailbox(mailbox.name.as_str());
    user.redirect(&path, &format!("{} is paused.", mailbox.address)).await
}

/// `POST /mailboxes/{name}/turn-on`.
pub async fn turn_on(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    mailboxes::turn_on(&web.app, &user.actor(), &mailbox.name).await?;
    let path = routes::mailbox(mailbox.name.as_str());
    let flash = Flash::ok(&format!("{} is turned on.", mailbox.address)).link(&format!("{path}/pause"), "Pause it again");
    user.redirect_with(&path, flash).await
}

/// What was typed to confirm.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DeleteForm {
    confirm: String,
}

/// A token of the mailbox, and how many other mailboxes use it.
struct TokenUse {
    name: String,
    others: usize,
}

#[derive(Template)]
#[template(path = "mailboxes/delete.html")]
struct DeletePage {
    layout: Layout,
    errors: FieldErrors,
    mailbox: Mailbox,
    tokens: Vec<TokenUse>,
}

impl DeletePage {
    fn action(&self) -> String {
        format!("{}/delete", self.back())
    }

    fn back(&self) -> String {
        routes::mailbox(self.mailbox.name.as_str())
    }

    fn button(&self) -> String {
        format!("Delete {}", self.mailbox.address)
    }
}

async fn delete_page(web: &WebState, user: &CurrentUser, mailbox: Mailbox, errors: FieldErrors) -> Result<DeletePage, PageError> {
    let mut tokens: Vec<TokenUse> = Vec::new();
    for side in [&mailbox.incoming, &mailbox.outgoing].into_iter().flatten() {
        if let Auth::OAuth2 { token_id, token } = &side.auth
            && !tokens.iter().any(|known| known.name == token.as_str())
        {
            let users = web.app.store.mailboxes_of_token(token_id).await?;
            tokens.push(TokenUse {
                name: token.to_string(),
                others: users.iter().filter(|other| other.id != mailbox.id).count(),
            });
        }
    }
    let layout = layout(user, &mailbox, "Delete").await;
    Ok(DeletePage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        mailbox,
        tokens,
    })
}

/// `GET /mailboxes/{name}/delete`.
pub async fn ask_delete(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    delete_page(&web, &user, mailbox, FieldErrors::default()).await?.show()
}

/// `POST /mailboxes/{name}/delete`: the address has to be typed; case and blanks are forgiven.
pub async fn delete(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<DeleteForm>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    let typed = clean(&form.confirm);
    if !typed.eq_ignore_ascii_case(&mailbox.address) && typed.to_lowercase() != mailbox.address.to_lowercase() {
        let mut errors = FieldErrors::default();
        errors.add("confirm", format!("Type {} to confirm", mailbox.address));
        return delete_page(&web, &user, mailbox, errors).await?.refused();
    }
    let deleted = mailboxes::delete(&web.app, &user.actor(), &mailbox.name).await?;
    user.redirect("/mailboxes", &format!("{} was deleted.", deleted.address)).await
}
