//! `/tokens/{name}/remove`: log out and remove; `/tokens/{name}/delete`: the token itself.

use super::find;
use crate::actions::ActionError;
use crate::actions::tokens::{self, LoggedOut, Told};
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::Token;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::capital;
use crate::web::pages::providers::Typed;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// What was typed and ticked.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RemoveForm {
    confirm: String,
    pause: String,
}

#[derive(Template)]
#[template(path = "tokens/remove.html")]
struct RemovePage {
    layout: Layout,
    errors: FieldErrors,
    account: String,
    stored: bool,
    revocable: bool,
    provider_name: String,
    revoke_page: &'static str,
    mailboxes: Vec<Mailbox>,
    pause: bool,
    deleting: bool,
    typed: String,
    label: &'static str,
    button: String,
    action: String,
    keep: String,
}

impl RemovePage {
    async fn new(
        web: &WebState,
        user: &CurrentUser,
        (token, provider): (&Token, &Provider),
        deleting: bool,
        pause: bool,
        errors: FieldErrors,
    ) -> Result<Self, PageError> {
        let keep = routes::token(token.name.as_str());
        let account = token.user.clone().unwrap_or_else(|| token.name.to_string());
        let title = if deleting {
            format!("Delete token {}", token.name)
        } else {
            format!("Log out {account} and remove")
        };
        let layout = user
            .layout(Section::Tokens, &title)
            .await
            .crumb("Tokens", "/tokens")
            .crumb(&account, &keep);
        Ok(Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            stored: web.app.store.grant(&token.id).await?.is_some(),
            revocable: provider.endpoints().revocation_url.is_some(),
            provider_name: capital(provider.template.short_name()),
            revoke_page: provider.template.template().revoke_page,
            mailboxes: web.app.store.mailboxes_of_token(&token.id).await?,
            pause,
            deleting,
            typed: if deleting { token.name.to_string() } else { account.clone() },
            label: if deleting { "Name of the token" } else { "Account" },
            button: if deleting {
                format!("Delete {}", token.name)
            } else {
                format!("Log out {account} and remove")
            },
            action: format!("{keep}/{}", if deleting { "delete" } else { "remove" }),
            account,
            keep,
        })
    }
}

/// `GET /tokens/{name}/remove`.
pub async fn confirm(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    RemovePage::new(&web, &user, (&token, &provider), false, true, FieldErrors::default())
        .await?
        .show()
}

/// `POST /tokens/{name}/remove`: deletes the stored token here, and revokes it where the provider can be told.
pub async fn remove(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<RemoveForm>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let account = token.user.clone().unwrap_or_else(|| token.name.to_string());
    if !(Typed { confirm: form.confirm }).is(&account) {
        let mut errors = FieldErrors::default();
        errors.add("confirm", format!("Account doesn't match. Type {account}"));
        return RemovePage::new(&web, &user, (&token, &provider), false, !form.pause.is_empty(), errors)
            .await?
            .refused();
    }
    let done = tokens::log_out(&web.app, &user.actor(), &token, &provider, !form.pause.is_empty()).await?;
    user.redirect_with(&routes::token(&name), flash(&done, &account, &provider)).await
}

/// What came of it, and where the rest is to be done by hand.
fn flash(done: &LoggedOut, account: &str, provider: &Provider) -> Flash {
    let short = provider.template.short_name();
    let paused = match done.paused {
        0 => String::new(),
        1 => " 1 mailbox is paused.".to_owned(),
        count => format!(" {count} mailboxes are paused."),
    };
    let page = provider.template.template().revoke_page;
    let by_hand = |flash: Flash| {
        if page.is_empty() {
            flash
        } else {
            flash.link(page, "Remove the app there")
        }
    };
    match &done.told {
        Told::Revoked => Flash::ok(&format!("{account} is logged out. {} revoked the token.{paused}", capital(short))),
        Told::Nothing => Flash::ok(&format!("Removed. There was nothing left to revoke at {short}.{paused}")),
        Told::NotOffered => by_hand(Flash::ok(&format!(
            "{account} is logged out here. {} has no call to revoke a token, so the app stays allowed there.{paused}",
            capital(short)
        ))),
        Told::Failed(diagnosis, _) => by_hand(Flash::warn(&format!(
            "{account} is logged out here, but {short} was not told: {}.{paused}",
            diagnosis.title
        ))),
    }
}

/// `GET /tokens/{name}/delete`.
pub async fn confirm_delete(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    RemovePage::new(&web, &user, (&token, &provider), true, false, FieldErrors::default())
        .await?
        .show()
}

/// `POST /tokens/{name}/delete`: logs out, then forgets the token; refused while mailboxes use it.
pub async fn delete(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(typed): CsrfForm<Typed>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let mut errors = FieldErrors::default();
    if !typed.is(token.name.as_str()) {
        errors.add("confirm", format!("Name doesn't match. Type {}", token.name));
    } else if !web.app.store.mailboxes_of_token(&token.id).await?.is_empty() {
        errors.add("confirm", "Mailboxes use this token. Nothing was deleted");
    }
    if !errors.is_empty() {
        return RemovePage::new(&web, &user, (&token, &provider), true, false, errors)
            .await?
            .refused();
    }
    if web.app.store.grant(&token.id).await?.is_some() {
        tokens::log_out(&web.app, &user.actor(), &token, &provider, false).await?;
    }
    match tokens::delete(&web.app, &user.actor(), &token).await {
        Ok(()) => user.redirect("/tokens", &format!("Token {} deleted.", token.name)).await,
        Err(ActionError::Store(StoreError::InUse)) => {
            errors.add("confirm", "Mailboxes use this token. It was logged out and not deleted");
            RemovePage::new(&web, &user, (&token, &provider), true, false, errors)
                .await?
                .refused()
        }
        Err(error) => Err(error.into()),
    }
}
