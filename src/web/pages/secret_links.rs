//! `/providers/{name}/request`: a mail text for whoever runs the provider, and the secret link `/s/{code}` in it, where they enter the
//! client secret, or bring the certificate or key file, themselves, once (`ux.md`, 6.7 and 6.18). What is entered there is tried at the
//! provider and shown to nobody.

mod request;
mod words;

use super::diagnosis::DiagnosisView;
use super::guest::{DonePage, Guest};
use super::links::{no_such_link, word};
use super::providers::certificate;
use crate::actions::ActionError;
use crate::actions::judgement::scene_of_provider;
use crate::actions::links::LinkState;
use crate::actions::provider_links::{self, Brought, Entered, SECRETS, state};
use crate::actions::providers;
use crate::actions::providers::credential::New;
use crate::actions::sign_in::refused_link;
use crate::clock::Timestamp;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::credential::CertificateFacts;
use crate::model::lint::is_guid;
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::model::user::Permission;
use crate::oauth::ServiceKey;
use crate::secret::{ClientSecret, KeyFile, Password};
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::Visit;
use crate::web::page::{Layout, Page};
use crate::web::routes::{Access, Routes};
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
        .get("/providers/{name}/request", secret, request::show)
        .post("/providers/{name}/request", secret, request::create)
        .post("/providers/{name}/request/{id}/withdraw", secret, request::withdraw)
        .get("/s/{code}", Access::Public, open)
        .post("/s/{code}", Access::Public, enter)
        .get("/s/{code}/done", Access::Public, done)
        .get("/s/{code}/certificate/{file}", Access::Public, public_half)
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

/// What was typed. No `Debug`: it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecretForm {
    client_secret: String,
    client_secret_expires: String,
    /// Set: the provider has the public half of the certificate that is here.
    uploaded: String,
}

#[derive(Template)]
#[template(path = "secret_links/open.html")]
struct OpenPage {
    layout: Layout,
    errors: FieldErrors,
    /// What the provider says against it.
    refusal: Option<DiagnosisView>,
    /// `secret`, `certificate` or `service_key`.
    kind: &'static str,
    short: &'static str,
    microsoft: bool,
    instance: String,
    /// The directory, where the provider has directories.
    tenant: Option<String>,
    /// The certificate whose public half goes to the provider.
    own: Option<CertificateFacts>,
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
        let own = words::own_certificate(provider).filter(|_| link.kind == LinkKind::Certificate);
        let verb = match (link.kind, own) {
            (LinkKind::Secret, _) => "Enter",
            (_, Some(_)) => "Upload",
            _ => "Bring",
        };
        let microsoft = provider.template == TemplateKind::Microsoft;
        let layout = visit.layout(&format!("{verb} {noun}"));
        let state = state(link, provider, web.app.clock.now());
        Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            refusal: None,
            kind: link.kind.as_str(),
            short: provider.template.short_name(),
            microsoft,
            tenant: provider.tenant.clone().filter(|_| microsoft),
            own: own.map(|stored| stored.facts.clone()),
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

/// `GET /s/{code}/certificate/{file}`: the public half of the certificate that the provider is to get, and nothing else. No secret, but
/// only while the link works.
pub async fn public_half(State(web): State<WebState>, Path((code, file)): Path<(String, String)>) -> Result<Response, PageError> {
    let (link, provider) = find_link(&web, &code).await?;
    let ready = state(&link, &provider, web.app.clock.now()) == LinkState::Ready && link.kind == LinkKind::Certificate;
    let stored = words::own_certificate(&provider).filter(|_| ready);
    let kind = file.strip_prefix("certificate.").filter(|kind| ["cer", "pem"].contains(kind));
    stored
        .zip(kind)
        .and_then(|(stored, kind)| certificate::public_half(stored, "certificate", kind, ""))
        .ok_or_else(no_such_link)
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
        (LinkKind::Certificate, None) if !form.uploaded.is_empty() && words::own_certificate(provider).is_some() => Ok(Brought::Uploaded),
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
    let state = page(FieldErrors::default()).state;
    if state != word(LinkState::Ready) {
        let actor = visit.actor(&format!("link:{}", link.id), "Someone with the secret link");
        refused_link(&web.app, &actor, format!("provider:{}", provider.name), state).await?;
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
    let uploaded = matches!(brought, Brought::Uploaded);
    let looks_like_id = provider.template == TemplateKind::Microsoft && is_guid(clean(&form.client_secret));
    let (field, what) = match link.kind {
        LinkKind::Certificate if uploaded => ("uploaded", "Certificate"),
        LinkKind::Certificate => ("file", "Certificate"),
        LinkKind::ServiceKey => ("file", "Key"),
        LinkKind::Secret | LinkKind::Consent => ("client_secret", "Client secret"),
    };
    let mut errors = FieldErrors::default();
    match provider_links::enter(&web.app, &actor, &link, &provider, brought).await {
        Ok(Entered::Done) => Ok(Redirect::to(&format!("/s/{code}/done")).into_response()),
        Ok(Entered::Over) => Ok(Redirect::to(&format!("/s/{code}")).into_response()),
        Ok(Entered::Refused(diagnosis)) => {
            let short = provider.template.short_name();
            errors.add(
                field,
                match what {
                    _ if uploaded => format!(
                        "{short} doesn't take the certificate yet, so nothing was changed. Compare the thumbprints, wait a few minutes, and press it again"
                    ),
                    _ if looks_like_id => format!(
                        "{what} was refused by {short}, and looks like the secret's ID. Paste the Value column instead. Nothing was stored"
                    ),
                    _ => format!("{what} was refused by {short}. Nothing was stored"),
                },
            );
            let guest = Guest::admin(scene_of_provider(&web.app, &provider).await?, tell);
            OpenPage {
                refusal: Some(guest.told(&diagnosis)),
                ..page(errors)
            }
            .refused()
        }
        Ok(Entered::Untried) => {
            let short = provider.template.short_name();
            let words = format!("{what} couldn't be tried at {short}, so nothing was stored. Try again later, or tell {tell}");
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

/// `GET /s/{code}/done`.
pub async fn done(State(web): State<WebState>, visit: Visit, Path(code): Path<String>) -> Result<Response, PageError> {
    let (link, provider) = find_link(&web, &code).await?;
    if link.used_at.is_none() {
        return Ok(Redirect::to(&format!("/s/{code}")).into_response());
    }
    let text = format!(
        "{} takes it. What you sent is stored encrypted: nobody can read it here, {} can't either. You can close this window.",
        provider.template.short_name(),
        link.created_by
    );
    DonePage::new(&visit, "ok", "Thank you".to_owned(), vec![text]).show()
}
