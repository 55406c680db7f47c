//! `/providers/{name}/request`: a mail text for whoever runs the provider, and the secret link `/s/{code}` in it, where they enter the
//! client secret themselves, once (`ux.md`, 6.7 and 6.18). What is typed there is tried at the provider and shown to nobody.

use super::consent::view::{Asked, Line, asked, line};
use super::links::{no_such_link, word};
use super::providers::find;
use crate::actions::links::LinkState;
use crate::actions::provider_links::{self, Entered, NewLink, state};
use crate::actions::providers::{self, trial};
use crate::actions::{ActionError, consent};
use crate::clock::Timestamp;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::Diagnosis;
use crate::model::template::TemplateKind;
use crate::model::user::Permission;
use crate::secret::ClientSecret;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
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
    let secret = Access::Permission(Permission::SecretSet);
    Routes::new()
        .get("/providers/{name}/request", secret, show)
        .post("/providers/{name}/request", secret, create)
        .post("/providers/{name}/request/{id}/withdraw", secret, withdraw)
        .get("/s/{code}", Access::Public, open)
        .post("/s/{code}", Access::Public, enter)
        .get("/s/{code}/done", Access::Public, done)
}

#[derive(Template)]
#[template(path = "secret_links/request.html")]
struct RequestPage {
    layout: Layout,
    provider: Provider,
    /// The link, this once.
    made: Option<(String, ProviderLink)>,
    words: String,
    /// The same for a mail program.
    mail: String,
    links: Vec<Line>,
    takes_secret: bool,
    path: String,
}

/// The text for whoever runs the provider, with every value they need.
async fn words(web: &WebState, layout: &Layout, provider: &Provider, made: Option<&(String, ProviderLink)>) -> Result<String, PageError> {
    let wanted = consent::wanted(&web.app, provider).await?;
    let microsoft = provider.template == TemplateKind::Microsoft;
    let redirect = trial::redirect_uri(&web.app, provider).await?;
    let label = provider.template.label();
    let app = &provider.client_id;
    let mut lines = vec![
        format!("Our mail console uses an app at {label}: {app}."),
        String::new(),
        "1. Its redirect addresses have to be, to the letter:".to_owned(),
    ];
    if microsoft {
        lines[2] = "1. Entra admin center > App registrations > this app > Authentication, platform Web. Its redirect addresses have to be, to the letter:".to_owned();
    }
    if !wanted.app_only {
        lines.push(format!("   {redirect}"));
    }
    if consent::is_known(provider) {
        lines.push(format!("   {}", consent::return_uri(&web.app, provider).await?));
    }
    lines.push(if microsoft {
        let kind = if wanted.app_only { "Application" } else { "Delegated" };
        format!("2. API permissions ({kind} permissions), then Grant admin consent:")
    } else {
        "2. Its permissions:".to_owned()
    });
    for Asked { name, plain } in asked(&wanted) {
        let plain = if plain.is_empty() { String::new() } else { format!(" ({plain})") };
        lines.push(format!("   - {name}{plain}"));
    }
    if let Some((url, link)) = made {
        let ends = format!("{} ({})", layout.zone.full(link.expires_at), layout.zone.label(&layout.now));
        let place = if microsoft {
            "Certificates & secrets > New client secret. "
        } else {
            "Make a client secret. "
        };
        lines.push(format!("3. {place}Enter its value and the day it ends here, not in a mail:"));
        lines.push(String::new());
        lines.push(format!("   {url}"));
        lines.push(String::new());
        lines.push(format!("The link works once, until {ends}. {} asks for it.", link.created_by));
    }
    Ok(lines.join("\n"))
}

async fn request_page(
    web: &WebState,
    user: &CurrentUser,
    provider: Provider,
    made: Option<(String, ProviderLink)>,
) -> Result<Response, PageError> {
    let name = provider.name.as_str().to_owned();
    let layout = user.layout(Section::Providers, "Request to whoever runs the provider").await;
    let layout = layout.crumb("Providers", "/providers").crumb(&name, &routes::provider(&name));
    let words = words(web, &layout, &provider, made.as_ref()).await?;
    let now = web.app.clock.now();
    let links = web.app.store.provider_links_of(&provider.id, LinkKind::Secret).await?;
    RequestPage {
        layout,
        mail: words.replace('\n', "\r\n"),
        words,
        links: links.into_iter().map(|one| line(one, &provider, now)).collect(),
        takes_secret: takes_secret(&provider),
        path: format!("{}/request", routes::provider(&name)),
        made,
        provider,
    }
    .show()
}

fn takes_secret(provider: &Provider) -> bool {
    matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic)
}

/// `GET /providers/{name}/request`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    request_page(&web, &user, provider, None).await
}

/// `POST /providers/{name}/request`: makes a secret link and shows it in the text, this once.
pub async fn create(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    if !takes_secret(&provider) {
        return Err(PageError::Conflict(
            "This provider proves itself without a client secret, so there is nothing to enter.".to_owned(),
        ));
    }
    let NewLink { link, url } = provider_links::create(&web.app, &user.actor(), &provider, LinkKind::Secret).await?;
    request_page(&web, &user, provider, Some((url.expose_secret().to_owned(), link))).await
}

/// `POST /providers/{name}/request/{id}/withdraw`.
pub async fn withdraw(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    provider_links::withdraw(&web.app, &user.actor(), &provider, LinkKind::Secret, &id).await?;
    let path = format!("{}/request", routes::provider(&name));
    user.redirect(&path, "Secret link withdrawn. It doesn't work any more.").await
}

/// What was typed. No `Debug`: it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecretForm {
    client_secret: String,
    client_secret_expires: String,
}

#[derive(Template)]
#[template(path = "secret_links/open.html")]
struct OpenPage {
    layout: Layout,
    errors: FieldErrors,
    refusal: Option<Diagnosis>,
    label: &'static str,
    instance: String,
    client_id: String,
    sender: String,
    ends: Timestamp,
    used: Option<Timestamp>,
    state: &'static str,
    expires: String,
    action: String,
}

impl OpenPage {
    fn new(web: &WebState, visit: &Visit, code: &str, link: &ProviderLink, provider: &Provider, errors: FieldErrors) -> Self {
        let layout = visit.layout("Enter a client secret");
        let state = match state(link, provider, web.app.clock.now()) {
            LinkState::Ready if !takes_secret(provider) => LinkState::Ended,
            state => state,
        };
        Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            refusal: None,
            label: provider.template.label(),
            instance: web.base_url().host_str().unwrap_or_default().to_owned(),
            client_id: provider.client_id.clone(),
            sender: link.created_by.clone(),
            ends: link.expires_at,
            used: link.used_at,
            state: word(state),
            expires: String::new(),
            action: format!("/s/{code}"),
        }
    }
}

async fn find_link(web: &WebState, code: &str) -> Result<(ProviderLink, Provider), PageError> {
    provider_links::find(&web.app, LinkKind::Secret, code)
        .await?
        .ok_or_else(no_such_link)
}

/// `GET /s/{code}`: what the link is for. Opening it uses nothing up.
pub async fn open(State(web): State<WebState>, visit: Visit, method: Method, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, provider) = find_link(&web, &code).await?;
    if method == Method::GET
        && let Err(error) = provider_links::opened(&web.app, &link, &provider).await
    {
        tracing::warn!(error = %error, "The opening of a link could not be noted: {error}");
    }
    OpenPage::new(&web, &visit, &code, &link, &provider, FieldErrors::default()).show()
}

/// `POST /s/{code}`: tries the secret at the provider, and stores it only if it is taken there.
pub async fn enter(
    State(web): State<WebState>,
    visit: Visit,
    Path(code): Path<String>,
    CsrfForm(form): CsrfForm<SecretForm>,
) -> Result<Response, PageError> {
    let (link, provider) = find_link(&web, &code).await?;
    let page = |errors: FieldErrors| OpenPage {
        expires: form.client_secret_expires.clone(),
        ..OpenPage::new(&web, &visit, &code, &link, &provider, errors)
    };
    if page(FieldErrors::default()).state != word(LinkState::Ready) {
        return page(FieldErrors::default()).show();
    }
    let typed = ClientSecret::new(form.client_secret.as_str());
    let (secret, expires) = match providers::check_secret(&web.app, &provider, &typed, &form.client_secret_expires) {
        Ok(checked) => checked,
        Err(problems) => return page(problems.into()).refused(),
    };
    let tell = &link.created_by;
    if !provider_links::count_try(&web.app, &link).await? {
        return Err(PageError::Conflict(format!(
            "This link was tried too often. Ask {tell} for a new one."
        )));
    }
    let actor = visit.actor(&format!("link:{}", link.id), "Someone with the secret link");
    let mut errors = FieldErrors::default();
    match provider_links::enter_secret(&web.app, &actor, &link, &provider, &secret, expires).await {
        Ok(Entered::Done) => Ok(Redirect::to(&format!("/s/{code}/done")).into_response()),
        Ok(Entered::Over) => Ok(Redirect::to(&format!("/s/{code}")).into_response()),
        Ok(Entered::Refused(diagnosis)) => {
            errors.add("client_secret", "Client secret was refused by the provider. Nothing was stored");
            OpenPage {
                refusal: Some(diagnosis),
                ..page(errors)
            }
            .refused()
        }
        Ok(Entered::Untried) => {
            let words = format!("Client secret couldn't be tried at the provider, so nothing was stored. Try again later, or tell {tell}");
            errors.add("client_secret", words);
            page(errors).refused()
        }
        Err(ActionError::Store(StoreError::Stale)) => Err(PageError::Conflict(
            "Somebody changed the provider while the secret was tried. Nothing was stored. Open the link again.".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "consent/done.html")]
struct DonePage {
    layout: Layout,
    kind: &'static str,
    heading: String,
    text: String,
    list: Vec<String>,
}

/// `GET /s/{code}/done`.
pub async fn done(State(web): State<WebState>, visit: Visit, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, _) = find_link(&web, &code).await?;
    if link.used_at.is_none() {
        return Ok(Redirect::to(&format!("/s/{code}")).into_response());
    }
    DonePage {
        layout: visit.layout("Thank you"),
        kind: "ok",
        heading: "Thank you".to_owned(),
        text: format!(
            "The provider takes the client secret, and it is stored sealed. Nobody can read it here, also not {}. You can close this window.",
            link.created_by
        ),
        list: Vec::new(),
    }
    .show()
}
