//! Signing in at the provider (`ux.md`, section 7): the page before leaving, the return, and a page for every way it can end.

mod returned;
pub(super) mod view;

pub(super) use returned::clean_redirect;

use super::tokens::{STUCK, alone, find, prompts};
use crate::actions::authorize::{self, BeginError, LIFETIME, Mode, Outcome, device, leave_url};
use crate::actions::judgement;
use crate::diagnosis::ways::Scene;
use crate::model::Name;
use crate::model::provider::Provider;
use crate::model::report::Stage;
use crate::model::token::{Authorization, GrantType, Prompt, Token};
use crate::model::user::Permission;
use crate::oauth::OAuthError;
use crate::web::WebState;
use crate::web::back::Back;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::pages::providers::form::{PROMPTS, short_scope};
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use view::{Act, View, view};

/// Flow cookies a browser keeps at once; with more the oldest go, so that a button that is pressed often can't fill its headers.
const FLOWS_KEPT: usize = 4;

/// The routes of this section.
pub fn routes() -> Routes {
    let start = Access::Permission(Permission::TokenAuthorize);
    Routes::new()
        .post("/tokens/{name}/authorize", start, create)
        .get("/tokens/{name}/authorize/{attempt}", Access::Permission(Permission::View), show)
        .post("/tokens/{name}/authorize/{attempt}/cancel", start, cancel)
        .get("/oauth/callback/{provider}", Access::Public, returned::callback)
        .get("/oauth/returned/{how}", Access::Public, returned::returned)
}

/// The name of an attempt's flow cookie (OAUTH-2).
fn flow_cookie(web: &WebState, attempt: &str) -> String {
    let prefix = if web.cookies.secure { "__Host-flow-" } else { "flow-" };
    format!("{prefix}{attempt}")
}

/// Gives the browser the flow cookie of an attempt, and takes away those it has too many of. Ids sort by time.
pub(super) fn set_flow_cookie(web: &WebState, visit: &Visit, attempt: &str, value: &str) {
    let mut old = visit.cookie_names(&flow_cookie(web, ""));
    old.sort();
    for name in old.iter().take(old.len().saturating_sub(FLOWS_KEPT - 1)) {
        visit.set_cookie(&web.cookies.build(name, "", Some(0)));
    }
    visit.set_cookie(&web.cookies.build(&flow_cookie(web, attempt), value, Some(LIFETIME)));
}

/// Takes the flow cookie of an attempt away.
pub(super) fn clear_flow_cookie(web: &WebState, visit: &Visit, attempt: &str) {
    visit.set_cookie(&web.cookies.build(&flow_cookie(web, attempt), "", Some(0)));
}

/// The flow cookie of an attempt, if this browser has it.
pub(super) fn flow(web: &WebState, visit: &Visit, attempt: &str) -> Option<String> {
    visit.cookie(&flow_cookie(web, attempt))
}

pub(super) fn attempt_path(token: &Name, attempt: &str) -> String {
    format!("{}/authorize/{attempt}", routes::token(token.as_str()))
}

/// The prompt for this once.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct PromptForm {
    prompt: Option<String>,
    back: String,
}

impl PromptForm {
    /// The prompt that was chosen; none: the token's own.
    pub fn prompt(&self) -> Option<Prompt> {
        self.prompt.as_deref().and_then(Prompt::parse)
    }
}

/// `POST /tokens/{name}/authorize`: makes an attempt, and leads to the page before leaving.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<PromptForm>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    if let Some(back) = Back::parse(&form.back) {
        back.keep(&user, &format!("token:{}", token.name)).await?;
    }
    leave(&web, &user, &token, &provider, form.prompt()).await
}

/// Begins a sign-in in this browser.
pub(super) async fn leave(
    web: &WebState,
    user: &CurrentUser,
    token: &Token,
    provider: &Provider,
    prompt: Option<Prompt>,
) -> Result<Response, PageError> {
    if token.grant == GrantType::DeviceCode {
        return start_at_device(web, user, token, provider).await;
    }
    if !token.grant.needs_person() {
        return alone::got(web, user, token).await;
    }
    let mode = Mode::Browser {
        user: &user.user().id,
        session_hash: user.session_hash(),
    };
    match authorize::begin(&web.app, &user.actor(), token, provider, prompt, mode).await {
        Ok(begun) => {
            set_flow_cookie(web, &user.visit, &begun.authorization.id, begun.flow.expose_secret());
            Ok(Redirect::to(&attempt_path(&token.name, &begun.authorization.id)).into_response())
        }
        Err(BeginError::OAuth(error)) => not_begun(user, token, provider, &error).await,
        // Only a link wears out, and only devices are counted.
        Err(error @ (BeginError::LinkWornOut | BeginError::TooManyOpen(_))) => Err(PageError::internal(error)),
        Err(BeginError::Store(error)) => Err(error.into()),
    }
}

async fn not_begun(user: &CurrentUser, token: &Token, provider: &Provider, error: &OAuthError) -> Result<Response, PageError> {
    let flash =
        Flash::bad(&format!("The sign-in can't begin: {error}.")).link(&routes::provider(provider.name.as_str()), "Open the provider");
    user.redirect_with(&routes::token(token.name.as_str()), flash).await
}

/// Begins a sign-in at another device: its code stands on the token's page; where the provider gave none, the attempt's page says why.
async fn start_at_device(web: &WebState, user: &CurrentUser, token: &Token, provider: &Provider) -> Result<Response, PageError> {
    match device::start(&web.app, &user.actor(), Some(&user.user().id), token, provider).await {
        Ok(started) if started.attempt.outcome.is_empty() => Ok(Redirect::to(&routes::token(token.name.as_str())).into_response()),
        Ok(started) => Ok(Redirect::to(&attempt_path(&token.name, &started.attempt.id)).into_response()),
        Err(BeginError::OAuth(error)) => not_begun(user, token, provider, &error).await,
        Err(BeginError::TooManyOpen(words)) => {
            let flash = Flash::bad(&format!("{words}.")).link("/tokens?state=authorizing", "Show them");
            user.redirect_with(&routes::token(token.name.as_str()), flash).await
        }
        Err(error @ BeginError::LinkWornOut) => Err(PageError::internal(error)),
        Err(BeginError::Store(error)) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "authorize/leave.html")]
struct LeavePage {
    layout: Layout,
    account: String,
    short: &'static str,
    prompt: String,
    prompt_key: &'static str,
    scopes: Vec<String>,
    url: String,
    path: String,
    here: String,
    ends: crate::clock::Timestamp,
    may_send: bool,
}

#[derive(Template)]
#[template(path = "authorize/result.html")]
struct ResultPage {
    layout: Layout,
    view: View,
    /// Why it came to nothing, in place of the view's own words.
    diagnosis: Option<DiagnosisView>,
    token: String,
}

impl ResultPage {
    /// Whether the first way to fix it has a button: then that one is the primary.
    fn has_fix(&self) -> bool {
        let first = self.diagnosis.as_ref().and_then(|told| told.ways.first());
        first.is_some_and(|way| !way.buttons.is_empty())
    }
}

/// What a prompt does, in words.
pub(super) fn prompt_words(prompt: Prompt) -> &'static str {
    PROMPTS
        .iter()
        .find(|(word, _)| *word == prompt.as_str())
        .map_or("", |(_, words)| words)
}

/// What the provider will ask for, without servers.
pub(super) fn asked(token: &Token) -> Vec<String> {
    token.scopes.iter().map(|scope| short_scope(scope).to_owned()).collect()
}

/// The attempt of an address, if it is one of this token.
async fn attempt_of(web: &WebState, token: &Token, id: &str) -> Result<Authorization, PageError> {
    let attempt = web.app.store.authorization(id).await?;
    attempt
        .filter(|attempt| attempt.token_id == token.id)
        .ok_or_else(|| PageError::Missing("There is no such sign-in. It may be too long ago.".to_owned()))
}

/// How an attempt stands for whoever looks at it; none: it is open, and theirs.
pub(super) fn outcome_of(attempt: &Authorization, now: crate::clock::Timestamp) -> Option<Outcome> {
    match Outcome::read(&attempt.outcome, &attempt.detail) {
        Some(Outcome::Working) if attempt.finished_at.is_some_and(|at| now.since(at) > STUCK) => Some(Outcome::TooOld),
        Some(outcome) => Some(outcome),
        None if attempt.expires_at < now => Some(Outcome::TooOld),
        None => None,
    }
}

/// `GET /tokens/{name}/authorize/{attempt}`: the page before leaving; afterwards how it ended.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path((name, id)): Path<(String, String)>) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let attempt = attempt_of(&web, &token, &id).await?;
    let path = routes::token(&name);
    let account = token.user.clone().unwrap_or_else(|| name.clone());
    let now = web.app.clock.now();
    if attempt.at_device() && outcome_of(&attempt, now).is_none() {
        return Ok(Redirect::to(&path).into_response());
    }
    let mine = attempt.session_hash.as_deref() == Some(user.session_hash()) && flow(&web, &user.visit, &id).is_some();
    let outcome = outcome_of(&attempt, now).or_else(|| (!mine).then_some(Outcome::OtherWindow));
    let url = leave_url(&web.app, &provider, &attempt);
    let outcome = outcome.or_else(|| url.is_none().then_some(Outcome::TooOld));
    if let (None, Some(url)) = (&outcome, url) {
        let layout = user.layout(Section::Tokens, &format!("Sign in as {account}")).await;
        return LeavePage {
            layout: layout.crumb("Tokens", "/tokens").crumb(&account, &path),
            short: provider.template.short_name(),
            prompt: prompt_words(attempt.prompt).to_owned(),
            prompt_key: attempt.prompt.as_str(),
            scopes: asked(&token),
            ends: attempt.expires_at,
            may_send: user.may(Permission::TokenAuthorize),
            here: attempt_path(&token.name, &id),
            account,
            url,
            path,
        }
        .show();
    }
    let stored = web.app.store.grant(&token.id).await?.is_some();
    let view = view(&outcome.unwrap_or(Outcome::TooOld), &token, &provider, stored, &prompts(&provider));
    let layout = user.layout(Section::Tokens, &view.heading).await;
    let diagnosis = match &view.diagnosis {
        Some(found) => {
            let scene = Scene {
                step: Some(Stage::Token),
                said: view.said.clone(),
                ..judgement::scene_of_token(&web.app, &token, &provider).await?
            };
            let told = DiagnosisView::new(&user, "diagnosis", found, &scene).await.as_page();
            // The first sentence is the diagnosis' own.
            Some(view.text.iter().skip(1).fold(told, |told, text| told.note(text.as_str())))
        }
        None => None,
    };
    ResultPage {
        diagnosis,
        layout: layout.crumb("Tokens", "/tokens").crumb(&account, &path),
        view: view.for_person(&user),
        token: name,
    }
    .show()
}

/// `POST /tokens/{name}/authorize/{attempt}/cancel`.
pub async fn cancel(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (token, _) = find(&web.app, &name).await?;
    let attempt = attempt_of(&web, &token, &id).await?;
    let was_open = authorize::cancel(&web.app, &user.actor(), &token, &attempt).await?;
    clear_flow_cookie(&web, &user.visit, &id);
    let words = if was_open {
        "Sign-in cancelled. Nothing changed."
    } else {
        "That sign-in was over already."
    };
    user.redirect(&routes::token(&name), words).await
}
