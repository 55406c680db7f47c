//! `/providers/{name}/request`: a mail text for whoever runs the provider, and the secret link `/s/{code}` in it, where they enter the
//! client secret, or bring the certificate or key file, themselves, once (`ux.md`, 6.7 and 6.18). What is entered there is tried at the
//! provider and shown to nobody.

use super::consent::view::{Asked, Line, asked, asked_of, line};
use super::links::{no_such_link, word};
use super::providers::certificate;
use super::providers::find;
use crate::actions::links::LinkState;
use crate::actions::provider_links::{self, Brought, Entered, NewLink, SECRETS, asks_for, state};
use crate::actions::providers::credential::New;
use crate::actions::providers::{self, trial};
use crate::actions::{ActionError, consent};
use crate::clock::Timestamp;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::model::template::TemplateKind;
use crate::model::user::Permission;
use crate::oauth::ServiceKey;
use crate::secret::{ClientSecret, KeyFile, Password};
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Layout, Page, Section};
use crate::web::routes::{self, Access, Routes};
use crate::web::upload::Upload;
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
    /// What somebody with a link would enter, with its article; empty: nothing.
    wanted: &'static str,
    path: String,
}

/// What a link asks for, with its article.
fn noun(kind: Option<LinkKind>) -> &'static str {
    match kind {
        Some(LinkKind::Secret) => "a client secret",
        Some(LinkKind::Certificate) => "a certificate",
        Some(LinkKind::ServiceKey) => "a key file",
        Some(LinkKind::Consent) | None => "",
    }
}

fn permission_line(Asked { name, plain }: Asked) -> String {
    let plain = if plain.is_empty() { String::new() } else { format!(" ({plain})") };
    format!("   - {name}{plain}")
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
    if !wanted.app_only || !wanted.people.is_empty() {
        lines.push(format!("   {redirect}"));
    }
    if consent::is_known(provider) {
        lines.push(format!("   {}", consent::return_uri(&web.app, provider).await?));
    }
    if microsoft {
        lines.push("2. API permissions, then Grant admin consent:".to_owned());
        let (own, people) = if wanted.app_only {
            (wanted.permissions.as_slice(), wanted.people.as_slice())
        } else {
            (&[][..], wanted.permissions.as_slice())
        };
        for (kind, names) in [("Application", own), ("Delegated", people)] {
            if !names.is_empty() {
                lines.push(format!("   {kind} permissions:"));
                lines.extend(asked_of(names).map(permission_line));
            }
        }
    } else {
        lines.push("2. Its permissions:".to_owned());
        lines.extend(asked(&wanted).into_iter().map(permission_line));
    }
    if let Some((url, link)) = made {
        let ends = format!("{} ({})", layout.zone.full(link.expires_at), layout.zone.label(&layout.now));
        let (place, bring) = match (link.kind, microsoft) {
            (LinkKind::Certificate, true) => (
                "Certificates & secrets > Certificates > Upload certificate (the .cer). ",
                "Bring the certificate with its private key",
            ),
            (LinkKind::Certificate, false) => (
                "Give the app a certificate (its public half). ",
                "Bring the certificate with its private key",
            ),
            (LinkKind::ServiceKey, _) => ("Service account > Keys > Add key, JSON. ", "Bring the file"),
            (_, true) => (
                "Certificates & secrets > New client secret. ",
                "Enter its value and the day it ends",
            ),
            (_, false) => ("Make a client secret. ", "Enter its value and the day it ends"),
        };
        lines.push(format!("3. {place}{bring} here, not in a mail:"));
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
    let mut links = Vec::new();
    for kind in SECRETS {
        links.extend(web.app.store.provider_links_of(&provider.id, kind).await?);
    }
    links.sort_by_key(|link| std::cmp::Reverse(link.created_at));
    RequestPage {
        layout,
        mail: words.replace("\r\n", "\n").replace('\n', "\r\n"),
        words,
        links: links.into_iter().map(|one| line(one, &provider, now)).collect(),
        wanted: noun(asks_for(&provider)),
        path: format!("{}/request", routes::provider(&name)),
        made,
        provider,
    }
    .show()
}

/// `GET /providers/{name}/request`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    request_page(&web, &user, provider, None).await
}

/// `POST /providers/{name}/request`: makes a secret link and shows it in the text, this once.
pub async fn create(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let Some(kind) = asks_for(&provider) else {
        return Err(PageError::Conflict(
            "This provider proves itself without a client secret, so there is nothing to enter.".to_owned(),
        ));
    };
    let NewLink { link, url } = provider_links::create(&web.app, &user.actor(), &provider, kind).await?;
    request_page(&web, &user, provider, Some((url.expose_secret().to_owned(), link))).await
}

/// `POST /providers/{name}/request/{id}/withdraw`.
pub async fn withdraw(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    provider_links::withdraw(&web.app, &user.actor(), &provider, &SECRETS, &id).await?;
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
    /// `secret`, `certificate` or `service_key`.
    kind: &'static str,
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
        let noun = noun(Some(link.kind));
        let verb = if link.kind == LinkKind::Secret { "Enter" } else { "Bring" };
        let layout = visit.layout(&format!("{verb} {noun}"));
        let state = state(link, provider, web.app.clock.now());
        Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            refusal: None,
            kind: link.kind.as_str(),
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
    provider_links::find(&web.app, &SECRETS, code).await?.ok_or_else(no_such_link)
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

/// What was sent, read; or a field, and what is wrong with it.
async fn read(
    web: &WebState,
    (link, provider): (&ProviderLink, &Provider),
    upload: Option<&Upload>,
    form: &SecretForm,
) -> Result<Result<Brought, FieldErrors>, PageError> {
    let wrong = |field: &str, message: &str| {
        let mut errors = FieldErrors::default();
        errors.add(field, message);
        errors
    };
    Ok(match (link.kind, upload) {
        (LinkKind::Certificate, Some(upload)) => certificate::read(web, upload.file("file"), Password::new(upload.text("passphrase")))
            .await?
            .map(|certificate| Brought::Credential(New::Certificate(certificate)))
            .map_err(|(field, message)| wrong(field, &message)),
        (LinkKind::Certificate, None) => Err(wrong("file", "Choose a file: a PFX, or a PEM with certificate and private key")),
        (LinkKind::ServiceKey, upload) => match upload.and_then(|upload| upload.file("file")) {
            None => Err(wrong("file", "Choose the key file that the provider hands out (JSON)")),
            Some(file) => match std::str::from_utf8(file) {
                Ok(text) => ServiceKey::read(text)
                    .map(|key| Brought::Key(key, KeyFile::new(text)))
                    .map_err(|message| wrong("file", message)),
                Err(_) => Err(wrong("file", "Key JSON can't be read. Choose the file that was downloaded")),
            },
        },
        (LinkKind::Secret | LinkKind::Consent, _) => {
            let typed = ClientSecret::new(form.client_secret.as_str());
            providers::check_secret(&web.app, provider, &typed, &form.client_secret_expires)
                .map(|(secret, expires)| Brought::Credential(New::Secret(secret, expires)))
                .map_err(Into::into)
        }
    })
}

/// `POST /s/{code}`: tries what was entered at the provider, and stores it only if it is taken there.
pub async fn enter(
    State(web): State<WebState>,
    visit: Visit,
    Path(code): Path<String>,
    upload: Result<Upload, PageError>,
    form: Result<CsrfForm<SecretForm>, PageError>,
) -> Result<Response, PageError> {
    // A form with a file, or one without.
    let (upload, form) = match (upload, form) {
        (Ok(upload), _) => (Some(upload), SecretForm::default()),
        (Err(_), form) => (None, form?.0),
    };
    let (link, provider) = find_link(&web, &code).await?;
    let page = |errors: FieldErrors| OpenPage {
        expires: form.client_secret_expires.clone(),
        ..OpenPage::new(&web, &visit, &code, &link, &provider, errors)
    };
    if page(FieldErrors::default()).state != word(LinkState::Ready) {
        return page(FieldErrors::default()).show();
    }
    let tell = &link.created_by;
    // A passphrase costs time to try, so a file counts before it is read.
    if upload.is_some() {
        counted(&web, &link).await?;
    }
    let brought = match read(&web, (&link, &provider), upload.as_ref(), &form).await? {
        Ok(brought) => brought,
        Err(errors) => return page(errors).refused(),
    };
    if upload.is_none() {
        counted(&web, &link).await?;
    }
    let actor = visit.actor(&format!("link:{}", link.id), "Someone with the secret link");
    let (field, what) = match link.kind {
        LinkKind::Certificate => ("file", "Certificate"),
        LinkKind::ServiceKey => ("file", "Key"),
        LinkKind::Secret | LinkKind::Consent => ("client_secret", "Client secret"),
    };
    let mut errors = FieldErrors::default();
    match provider_links::enter(&web.app, &actor, &link, &provider, brought).await {
        Ok(Entered::Done) => Ok(Redirect::to(&format!("/s/{code}/done")).into_response()),
        Ok(Entered::Over) => Ok(Redirect::to(&format!("/s/{code}")).into_response()),
        Ok(Entered::Refused(diagnosis)) => {
            errors.add(field, format!("{what} was refused by the provider. Nothing was stored"));
            OpenPage {
                refusal: Some(diagnosis),
                ..page(errors)
            }
            .refused()
        }
        Ok(Entered::Untried) => {
            let words = format!("{what} couldn't be tried at the provider, so nothing was stored. Try again later, or tell {tell}");
            errors.add(field, words);
            page(errors).refused()
        }
        Err(ActionError::Store(StoreError::Stale)) => Err(PageError::Conflict(
            "Somebody changed the provider while this was tried. Nothing was stored. Open the link again.".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// Counts a press of the button; it is refused after too many.
async fn counted(web: &WebState, link: &ProviderLink) -> Result<(), PageError> {
    if provider_links::count_try(&web.app, link).await? {
        return Ok(());
    }
    Err(PageError::Conflict(format!(
        "This link was tried too often. Ask {} for a new one.",
        link.created_by
    )))
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
            "The provider takes what you sent, and it is stored sealed. Nobody can read it here, also not {}. You can close this window.",
            link.created_by
        ),
        list: Vec::new(),
    }
    .show()
}
