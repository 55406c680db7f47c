//! `/c/{code}`: an admin without an account here allows the app for their organisation (`ux.md`, 6.18). Shows who asks and for what,
//! and nothing else of the console.

use super::view::{Group, asked, organisation};
use super::{flow, set_flow_cookie};
use crate::actions::consent::{self, BeginError, Mode, Outcome};
use crate::actions::judgement::scene_of_provider;
use crate::actions::links::LinkState;
use crate::actions::provider_links::{self, state};
use crate::actions::sign_in::refused_link;
use crate::clock::Timestamp;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::Visit;
use crate::web::page::{Layout, Page};
use crate::web::pages::guest::{DonePage, Guest, cant_begin};
use crate::web::pages::links::{no_such_link, word};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};

#[derive(Template)]
#[template(path = "consent/open.html")]
struct OpenPage {
    layout: Layout,
    short: &'static str,
    instance: String,
    organisation: String,
    client_id: String,
    /// The directory, where the provider has directories.
    tenant: Option<String>,
    microsoft: bool,
    sender: String,
    ends: Timestamp,
    used: Option<Timestamp>,
    state: &'static str,
    asked: Vec<Group>,
    action: String,
}

async fn find(web: &WebState, code: &str) -> Result<(ProviderLink, Provider), PageError> {
    provider_links::find(&web.app, &[LinkKind::Consent], code)
        .await?
        .ok_or_else(no_such_link)
}

async fn open_page(web: &WebState, visit: &Visit, code: &str, link: &ProviderLink, provider: &Provider) -> Result<Response, PageError> {
    let wanted = consent::wanted(&web.app, provider).await?;
    OpenPage {
        layout: visit.layout("Allow an app for your organisation"),
        short: provider.template.short_name(),
        instance: web.base_url().host_str().unwrap_or_default().to_owned(),
        organisation: organisation(provider, "your organisation"),
        client_id: provider.client_id.clone(),
        tenant: provider.tenant.clone(),
        microsoft: provider.template == TemplateKind::Microsoft,
        sender: link.created_by.clone(),
        ends: link.expires_at,
        used: link.used_at,
        state: word(state(link, provider, web.app.clock.now())),
        asked: asked(&wanted),
        action: format!("/c/{code}"),
    }
    .show()
}

/// `GET /c/{code}`: what the link is for. Opening it uses nothing up.
pub async fn open(State(web): State<WebState>, visit: Visit, method: Method, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, provider) = find(&web, &code).await?;
    if method == Method::GET
        && let Err(error) = provider_links::opened(&web.app, &link, &provider).await
    {
        tracing::warn!(error = %error, "The opening of a link could not be noted: {error}");
    }
    open_page(&web, &visit, &code, &link, &provider).await
}

/// `POST /c/{code}`: begins in this browser.
pub async fn start(State(web): State<WebState>, visit: Visit, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, provider) = find(&web, &code).await?;
    let state = state(&link, &provider, web.app.clock.now());
    let actor = visit.actor(&format!("link:{}", link.id), "Someone with the consent link");
    let target = || format!("provider:{}", provider.name);
    if state != LinkState::Ready {
        refused_link(&web.app, &actor, target(), word(state)).await?;
        return open_page(&web, &visit, &code, &link, &provider).await;
    }
    match consent::begin(&web.app, &actor, &provider, Mode::Link(&link)).await {
        Ok(begun) => {
            set_flow_cookie(&web, &visit, &begun.consent.id, begun.flow.expose_secret());
            Ok(Redirect::to(&format!("/c/{code}/{}", begun.consent.id)).into_response())
        }
        Err(BeginError::OAuth(error)) => {
            tracing::warn!(error = %error, "A consent by link can't begin: {error}");
            let guest = Guest::admin(scene_of_provider(&web.app, &provider).await?, &link.created_by);
            cant_begin(&web.app, &visit, &provider, &guest, &error)
        }
        Err(BeginError::LinkWornOut) => {
            refused_link(&web.app, &actor, target(), "started too often").await?;
            let text = format!("This link was started too often. Ask {} for a new one.", link.created_by);
            Err(PageError::Conflict(text))
        }
        Err(BeginError::Store(error)) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "consent/link_leave.html")]
struct LeavePage {
    layout: Layout,
    short: &'static str,
    organisation: String,
    url: String,
    back: String,
    ends: Timestamp,
}

/// `GET /c/{code}/{attempt}`: the page before leaving, in the browser that opened the link.
pub async fn leave(State(web): State<WebState>, visit: Visit, Path((code, id)): Path<(String, String)>) -> Result<Response, PageError> {
    let (link, provider) = find(&web, &code).await?;
    let back = format!("/c/{code}");
    let now = web.app.clock.now();
    let attempt = web.app.store.consent(&id).await?.filter(|one| {
        one.link_id.as_deref() == Some(&link.id)
            && one.outcome.is_empty()
            && one.expires_at >= now
            && flow(&web, &visit, &id).is_some()
            && state(&link, &provider, now) == LinkState::Ready
    });
    let found = attempt.and_then(|one| Some((consent::leave_url(&web.app, &provider, &one)?, one.expires_at)));
    let Some((url, ends)) = found else {
        return Ok(Redirect::to(&back).into_response());
    };
    LeavePage {
        layout: visit.layout("Allow an app for your organisation"),
        short: provider.template.short_name(),
        organisation: organisation(&provider, "your organisation"),
        ends,
        url,
        back,
    }
    .show()
}

/// `GET /c/done/{attempt}`: done, or what went wrong.
pub async fn done(State(web): State<WebState>, visit: Visit, Path(id): Path<String>) -> Result<Response, PageError> {
    let missing = || PageError::Missing("There is no such consent. It may be too long ago.".to_owned());
    let attempt = web
        .app
        .store
        .consent(&id)
        .await?
        .filter(|one| one.link_id.is_some())
        .ok_or_else(missing)?;
    let outcome = Outcome::of(&attempt).ok_or_else(missing)?;
    let provider = web.app.store.provider_by_id(&attempt.provider_id).await?.ok_or_else(missing)?;
    let link = web.app.store.provider_link(attempt.link_id.as_deref().unwrap_or_default()).await?;
    let sender = link.map(|link| link.created_by).unwrap_or_default();
    let who = organisation(&provider, "Your organisation");
    let again = "Open the link again to try once more.";
    // What the provider said to the console stays here; whoever has the link needs to know what to do.
    if let Outcome::Refused { diagnosis, .. } = &outcome {
        let guest = Guest::admin(scene_of_provider(&web.app, &provider).await?, &sender);
        return DonePage::wrong(&visit, guest.told(diagnosis).note(format!("Nothing changed. {again}"))).show();
    }
    let (kind, heading, text) = match &outcome {
        Outcome::Granted { .. } => (
            "ok",
            "Thank you".to_owned(),
            format!("{who} allows this app now. You can close this window."),
        ),
        Outcome::Unproved { .. } | Outcome::Told => (
            "ok",
            "Thank you".to_owned(),
            format!("Your consent arrived. {sender} does the rest. You can close this window."),
        ),
        Outcome::Missing { .. } => (
            "warn",
            "Thank you, but permissions are missing".to_owned(),
            format!("Not all that is needed was allowed. Tell {sender}: the app's registration may lack these."),
        ),
        Outcome::Cancelled => (
            "off",
            "You came back without consenting".to_owned(),
            format!("Nothing changed. {again}"),
        ),
        Outcome::NotAdmin { .. } => (
            "warn",
            "This account may not consent for the organisation".to_owned(),
            format!("Nothing changed. Sign in as an admin, or give this link to one. {again}"),
        ),
        Outcome::OtherTenant { tenant, expected } => (
            "bad",
            format!("You consented for {tenant}"),
            format!("This provider is for {expected}, so nothing changed here. Sign in as an admin of {expected}. {again}"),
        ),
        Outcome::Working => (
            "run",
            "One moment".to_owned(),
            "The provider is being asked. Load this page again.".to_owned(),
        ),
        Outcome::Refused { .. } | Outcome::TooOld | Outcome::Used | Outcome::OtherWindow | Outcome::Unknown => (
            "off",
            "This came back too late".to_owned(),
            format!("It must come back within 10 minutes, in the window it was started in, while the link works. Nothing changed. {again}"),
        ),
    };
    DonePage {
        list: match outcome {
            Outcome::Missing { missing, .. } => missing,
            _ => Vec::new(),
        },
        ..DonePage::new(&visit, kind, heading, vec![text])
    }
    .show()
}
