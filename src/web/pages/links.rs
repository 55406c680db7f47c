//! Sign-in links: made and withdrawn by people here, opened at `/l/{code}` by people without an account (`ux.md`, 6.18). What is behind
//! them shows who asks and for which account, and nothing else of the console.

use super::authorize::view::view;
use super::authorize::{PromptForm, asked, flow, prompt_words, set_flow_cookie};
use super::diagnosis::asked_with;
use super::guest::{DonePage, Guest, cant_begin};
use super::tokens::{find, prompts};
use crate::actions::authorize::{self, BeginError, Mode, Outcome, leave_url};
use crate::actions::links::{self, LONGEST, LinkState, state};
use crate::actions::sign_in::refused_link;
use crate::clock::Timestamp;
use crate::diagnosis::ways::{LinkFor, with_link};
use crate::model::token::{Link, Prompt, Token};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// The routes of this section.
pub fn routes() -> Routes {
    let send = Access::Permission(Permission::TokenAuthorize);
    Routes::new()
        .post("/tokens/{name}/links", send, create)
        .post("/tokens/{name}/links/{id}/withdraw", send, withdraw)
        .get("/l/{code}", Access::Public, open)
        .post("/l/{code}", Access::Public, start)
        .get("/l/{code}/{attempt}", Access::Public, leave)
        .get("/l/done/{attempt}", Access::Public, done)
}

#[derive(Template)]
#[template(path = "links/made.html")]
struct MadePage {
    layout: Layout,
    account: String,
    short: &'static str,
    url: String,
    link: Link,
    /// The mail to send, where a diagnosis asks for one.
    words: String,
    path: String,
}

/// What the link is for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct LinkForm {
    prompt: Option<String>,
    /// The request of a diagnosis that the link goes into.
    request: String,
}

/// `POST /tokens/{name}/links`: makes a link and shows it, this once.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<LinkForm>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let prompt = form
        .prompt
        .as_deref()
        .and_then(Prompt::parse)
        .or(token.prompt)
        .unwrap_or(provider.prompt);
    let made = links::create(&web.app, &user.actor(), &token, prompt, LONGEST).await?;
    let path = routes::token(&name);
    let account = token.user.clone().unwrap_or_else(|| name.clone());
    let layout = user.layout(Section::Tokens, "Sign-in link").await;
    let url = made.url.expose_secret().to_owned();
    let ends = format!("{} ({})", layout.zone.full(made.link.expires_at), layout.zone.label(&layout.now));
    let request = asked_with(&form.request);
    MadePage {
        layout: layout.crumb("Tokens", "/tokens").crumb(&account, &path),
        short: provider.template.short_name(),
        words: request.map_or_else(String::new, |request| with_link(&request, LinkFor::SignIn, &url, &ends)),
        url,
        link: made.link,
        account,
        path,
    }
    .show()
}

/// `POST /tokens/{name}/links/{id}/withdraw`.
pub async fn withdraw(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (token, _) = find(&web.app, &name).await?;
    let link = web.app.store.link(&id).await?;
    let link = link.ok_or_else(|| PageError::Missing("There is no such link. It may have been deleted with its token.".to_owned()))?;
    links::withdraw(&web.app, &user.actor(), &token, &link).await?;
    user.redirect(&routes::token(&name), "Sign-in link withdrawn. It doesn't work any more.")
        .await
}

#[derive(Template)]
#[template(path = "links/open.html")]
struct OpenPage {
    layout: Layout,
    account: String,
    short: &'static str,
    instance: String,
    sender: String,
    ends: Timestamp,
    used: Option<Timestamp>,
    state: &'static str,
    scopes: Vec<String>,
    action: String,
}

pub(super) fn no_such_link() -> PageError {
    PageError::Missing("This link isn't known here. Ask for a new one.".to_owned())
}

pub(super) fn word(state: LinkState) -> &'static str {
    match state {
        LinkState::Ready => "ready",
        LinkState::Used => "used",
        LinkState::Ended => "ended",
        LinkState::Withdrawn => "withdrawn",
    }
}

async fn open_page(web: &WebState, visit: &Visit, code: &str, link: &Link, token: &Token) -> Result<Response, PageError> {
    let provider = web.app.store.provider_by_id(&token.provider_id).await?.ok_or_else(no_such_link)?;
    let account = token.user.clone().unwrap_or_default();
    let now = web.app.clock.now();
    OpenPage {
        layout: visit.layout(&format!("Sign in as {account}")),
        short: provider.template.short_name(),
        instance: web.base_url().host_str().unwrap_or_default().to_owned(),
        sender: link.created_by.clone(),
        ends: link.expires_at,
        used: link.used_at,
        state: word(state(link, now)),
        scopes: asked(token),
        action: format!("/l/{code}"),
        account,
    }
    .show()
}

/// `GET /l/{code}`: what the link is for. Opening it uses nothing up.
pub async fn open(State(web): State<WebState>, visit: Visit, method: Method, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, token) = links::find(&web.app, &code).await?.ok_or_else(no_such_link)?;
    if method == Method::GET
        && let Err(error) = links::opened(&web.app, &link).await
    {
        tracing::warn!(error = %error, "The opening of a link could not be noted: {error}");
    }
    open_page(&web, &visit, &code, &link, &token).await
}

/// `POST /l/{code}`: begins the sign-in in this browser.
pub async fn start(
    State(web): State<WebState>,
    visit: Visit,
    Path(code): Path<String>,
    CsrfForm(_): CsrfForm<PromptForm>,
) -> Result<Response, PageError> {
    let (link, token) = links::find(&web.app, &code).await?.ok_or_else(no_such_link)?;
    let state = state(&link, web.app.clock.now());
    let actor = visit.actor(&format!("link:{}", link.id), "Someone with the sign-in link");
    let target = || format!("token:{}", token.name);
    if state != LinkState::Ready {
        refused_link(&web.app, &actor, target(), word(state)).await?;
        return open_page(&web, &visit, &code, &link, &token).await;
    }
    let provider = web.app.store.provider_by_id(&token.provider_id).await?.ok_or_else(no_such_link)?;
    match authorize::begin(
        &web.app,
        &actor,
        &token,
        &provider,
        Some(links::next_prompt(&link)),
        Mode::Link(&link),
    )
    .await
    {
        Ok(begun) => {
            set_flow_cookie(&web, &visit, &begun.authorization.id, begun.flow.expose_secret());
            Ok(Redirect::to(&format!("/l/{code}/{}", begun.authorization.id)).into_response())
        }
        Err(BeginError::OAuth(error)) => {
            tracing::warn!(error = %error, "A sign-in by link can't begin: {error}");
            let guest = Guest::owner(&provider, token.user.as_deref().unwrap_or_default(), &link.created_by);
            cant_begin(&web.app, &visit, &provider, &guest, &error)
        }
        Err(BeginError::LinkWornOut) => {
            refused_link(&web.app, &actor, target(), "started too often").await?;
            let text = format!("This link was started too often. Ask {} for a new one.", link.created_by);
            Err(PageError::Conflict(text))
        }
        Err(error @ BeginError::TooManyOpen(_)) => Err(PageError::internal(error)),
        Err(BeginError::Store(error)) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "links/leave.html")]
struct LeavePage {
    layout: Layout,
    account: String,
    short: &'static str,
    prompt: &'static str,
    url: String,
    back: String,
    ends: Timestamp,
}

/// `GET /l/{code}/{attempt}`: the page before leaving, in the browser that opened the link.
pub async fn leave(State(web): State<WebState>, visit: Visit, Path((code, id)): Path<(String, String)>) -> Result<Response, PageError> {
    let (link, token) = links::find(&web.app, &code).await?.ok_or_else(no_such_link)?;
    let back = format!("/l/{code}");
    let attempt = web.app.store.authorization(&id).await?;
    let attempt = attempt.filter(|attempt| attempt.link_id.as_deref() == Some(&link.id) && flow(&web, &visit, &id).is_some());
    let now = web.app.clock.now();
    let open = |attempt: &crate::model::token::Authorization| attempt.outcome.is_empty() && attempt.expires_at >= now;
    let Some(attempt) = attempt.filter(open) else {
        return Ok(Redirect::to(&back).into_response());
    };
    let provider = web.app.store.provider_by_id(&token.provider_id).await?.ok_or_else(no_such_link)?;
    let Some(url) = leave_url(&web.app, &provider, &attempt) else {
        return Ok(Redirect::to(&back).into_response());
    };
    let account = token.user.clone().unwrap_or_default();
    LeavePage {
        layout: visit.layout(&format!("Sign in as {account}")),
        short: provider.template.short_name(),
        prompt: prompt_words(attempt.prompt),
        ends: attempt.expires_at,
        account,
        url,
        back,
    }
    .show()
}

/// `GET /l/done/{attempt}`: done, or what went wrong.
pub async fn done(State(web): State<WebState>, visit: Visit, Path(id): Path<String>) -> Result<Response, PageError> {
    let missing = || PageError::Missing("There is no such sign-in. It may be too long ago.".to_owned());
    let app = &web.app;
    let attempt = app.store.authorization(&id).await?.filter(|attempt| attempt.link_id.is_some());
    let attempt = attempt.ok_or_else(missing)?;
    let outcome = Outcome::read(&attempt.outcome, &attempt.detail).ok_or_else(missing)?;
    let token = app.store.token_by_id(&attempt.token_id).await?.ok_or_else(missing)?;
    let provider = app.store.provider_by_id(&token.provider_id).await?.ok_or_else(missing)?;
    let shown = view(&outcome, &token, &provider, true, &prompts(&provider));
    let again = "Open the link again to try once more.";
    if let Some(diagnosis) = &shown.diagnosis {
        let link = app.store.link(attempt.link_id.as_deref().unwrap_or_default()).await?;
        let sender = link.map(|link| link.created_by).unwrap_or_default();
        let guest = Guest::owner(&provider, token.user.as_deref().unwrap_or_default(), &sender);
        return DonePage::wrong(&visit, guest.told(diagnosis).note(format!("Nothing changed. {again}"))).show();
    }
    let good = outcome.stored();
    // Who was expected and who came is all a stranger needs to know; what the provider said to the console stays here.
    let (heading, mut text) = match &outcome {
        Outcome::SignedIn { account, .. } => (
            "Done".to_owned(),
            vec![format!("{account} is signed in. You can close this window.")],
        ),
        Outcome::DifferentAccount { account, expected, .. } => (
            format!("You signed in as {account}"),
            vec![format!(
                "This link is for {expected}, so nothing changed. Open the link again and choose {expected}."
            )],
        ),
        _ => (shown.heading, shown.text.into_iter().take(1).collect()),
    };
    if !good {
        text.push(again.to_owned());
    }
    let is_listed = good && !matches!(outcome, Outcome::SignedIn { .. });
    DonePage {
        list: if is_listed { shown.list } else { Vec::new() },
        ..DonePage::new(&visit, shown.kind, heading, text)
    }
    .show()
}
