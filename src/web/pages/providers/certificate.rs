//! `/providers/{name}/certificate`: makes or takes in a certificate, gives its public half away, and puts it in the place of what is in
//! use once the provider knows it. The private key goes in, or is made here, and never comes out.

use super::find;
use super::secret::{Refusal, keep_until};
use crate::actions::ActionError;
use crate::actions::providers::credential::{self, New, Replaced, Terms};
use crate::actions::providers::trial;
use crate::model::credential::StoredCertificate;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::template::TemplateKind;
use crate::oauth::certificate::{self, CertificateError, KeyedCertificate};
use crate::secret::Password;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes;
use crate::web::upload::Upload;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::sync::Semaphore;

/// How long a certificate made here may last: days, and words.
pub(super) const LASTS: [(&str, &str); 3] = [("183", "6 months"), ("365", "1 year"), ("730", "2 years")];

/// Which buttons and fields of the page were used.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CertificateForm {
    lasts: String,
    keep_until: String,
    untried: String,
}

#[derive(Template)]
#[template(path = "providers/certificate.html")]
struct CertificatePage {
    layout: Layout,
    errors: FieldErrors,
    path: String,
    microsoft: bool,
    current: Option<StoredCertificate>,
    next: Option<StoredCertificate>,
    /// What is in use, in words; empty: nothing is.
    in_use: &'static str,
    lasts: [(&'static str, &'static str); 3],
    chosen: String,
    keep_until: String,
    untried: bool,
    refusal: Refusal,
    provider: Provider,
}

impl CertificatePage {
    async fn new(user: &CurrentUser, provider: Provider, form: &CertificateForm, errors: FieldErrors) -> Self {
        let path = routes::provider(provider.name.as_str());
        let layout = user.layout(Section::Providers, "Certificate").await;
        let layout = layout.crumb("Providers", "/providers").crumb(provider.name.as_str(), &path);
        Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            path,
            microsoft: provider.template == TemplateKind::Microsoft,
            current: provider.credentials.certificate.clone(),
            next: provider.credentials.next.clone(),
            in_use: provider.held().map_or("", |held| held.noun()),
            lasts: LASTS,
            chosen: if form.lasts.is_empty() {
                "365".to_owned()
            } else {
                form.lasts.clone()
            },
            keep_until: form.keep_until.clone(),
            untried: !form.untried.is_empty(),
            refusal: Refusal::default(),
            provider,
        }
    }
}

/// `GET /providers/{name}/certificate`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    // A file doesn't come back from a draft: it has to be chosen once more.
    user.drop_draft(&format!("/providers/{name}/certificate")).await;
    let provider = find(&web.app, &name).await?;
    CertificatePage::new(&user, provider, &CertificateForm::default(), FieldErrors::default())
        .await
        .show()
}

/// `POST /providers/{name}/certificate`: an uploaded file.
pub async fn upload(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    upload: Upload,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let passphrase = Password::new(upload.text("passphrase"));
    match read(&web, upload.file("file"), passphrase).await? {
        Ok(certificate) => taken(&web, &user, &provider, &certificate, "Certificate saved.").await,
        Err((field, message)) => {
            let mut errors = FieldErrors::default();
            errors.add(field, message);
            CertificatePage::new(&user, provider, &CertificateForm::default(), errors)
                .await
                .refused()
        }
    }
}

/// The field that a problem with a file belongs to.
pub(super) fn field_of(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Passphrase | CertificateError::PassphraseMissing => "passphrase",
        _ => "file",
    }
}

/// One file is opened at a time, and few wait: whoever wrote a file chose how long opening it takes.
static PLACE: Semaphore = Semaphore::const_new(1);
static QUEUE: Semaphore = Semaphore::const_new(8);

/// Work that takes a moment, off the threads that answer.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PageError> {
    let waiting = QUEUE.try_acquire().map_err(|_| PageError::Busy(crate::auth::password::BUSY))?;
    let place = PLACE.acquire().await.map_err(PageError::internal)?;
    // The task owns both: a client that hangs up frees no place before the work is done.
    let task = tokio::task::spawn_blocking(move || {
        let result = work();
        drop((place, waiting));
        result
    });
    task.await.map_err(PageError::internal)
}

/// `POST /providers/{name}/certificate/make`: a key and a certificate made here.
pub async fn make(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<CertificateForm>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let Some(days) = days(&form.lasts) else {
        let mut errors = FieldErrors::default();
        errors.add("lasts", "Choose how long the certificate lasts");
        return CertificatePage::new(&user, provider, &form, errors).await.refused();
    };
    let made = make_one(&web, provider.name.to_string(), days).await?;
    taken(
        &web,
        &user,
        &provider,
        &made,
        "Key and certificate made. Download the public half and give it to the provider.",
    )
    .await
}

/// The days of a choice.
pub(super) fn days(lasts: &str) -> Option<i64> {
    let known = LASTS.iter().find(|(days, _)| *days == lasts)?;
    known.0.parse().ok()
}

/// Makes a key and a certificate.
pub(super) async fn make_one(web: &WebState, subject: String, days: i64) -> Result<KeyedCertificate, PageError> {
    let app = web.app.clone();
    blocking(move || KeyedCertificate::make(&subject, days * 86_400, app.clock.now(), &*app.random))
        .await?
        .map_err(PageError::internal)
}

/// Reads an uploaded one; else the field and what to say.
pub(in crate::web::pages) async fn read(
    web: &WebState,
    file: Option<&[u8]>,
    passphrase: Password,
) -> Result<Result<KeyedCertificate, (&'static str, String)>, PageError> {
    let now = web.app.clock.now();
    let Some(file) = file.map(|file| zeroize::Zeroizing::new(file.to_vec())) else {
        let message = "Choose a file: a PFX, or a PEM with certificate and private key";
        return Ok(Err(("file", message.to_owned())));
    };
    let read = blocking(move || KeyedCertificate::read(&file, &passphrase, now)).await?;
    Ok(read.map_err(|error| (field_of(&error), error.to_string())))
}

async fn taken(
    web: &WebState,
    user: &CurrentUser,
    provider: &Provider,
    certificate: &KeyedCertificate,
    words: &str,
) -> Result<Response, PageError> {
    match credential::add(&web.app, &user.actor(), provider, certificate).await {
        Ok(_) => user.redirect(&page(provider.name.as_str()), words).await,
        Err(error) => Err(explained(error)),
    }
}

fn page(name: &str) -> String {
    format!("{}/certificate", routes::provider(name))
}

pub(super) fn explained(error: ActionError) -> PageError {
    match error {
        ActionError::Store(StoreError::Stale) => {
            PageError::Conflict("Somebody else changed this provider meanwhile. Nothing was changed. Open the page again.".to_owned())
        }
        error => error.into(),
    }
}

/// `POST /providers/{name}/certificate/use`: the one that waits is tried, and takes the place of what is in use.
pub async fn adopt(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<CertificateForm>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    if provider.credentials.next.is_none() {
        return Err(PageError::Conflict(
            "No certificate waits to be used. Open the page again.".to_owned(),
        ));
    }
    let mut errors = FieldErrors::default();
    let keep_until = keep_until(&web, &form.keep_until, &mut errors);
    if !errors.is_empty() {
        return CertificatePage::new(&user, provider, &form, errors).await.refused();
    }
    let terms = Terms {
        keep_until,
        even_untried: !form.untried.is_empty(),
    };
    let done = credential::replace(&web.app, &user.actor(), &provider, New::Waiting, terms).await;
    let (refusal, message) = match done.map_err(explained)? {
        Replaced::Done { saved, proved } => {
            if let Err(error) = trial::check(&web.app, &user.actor(), &saved.provider).await {
                tracing::warn!(provider.name = %name, error = %error, "Provider {name} could not be checked: {error}");
            }
            let words = match proved {
                true => format!("Certificate of {name} is in use. The provider accepts it."),
                false => format!("Certificate of {name} is in use. It could not be tried."),
            };
            return user.redirect(&routes::provider(&name), &words).await;
        }
        Replaced::Refused(diagnosis, said) => (
            Refusal::refused(&web.app, &provider, &diagnosis, said).await?,
            "Certificate was refused by the provider. It goes on waiting, and what is in use stays",
        ),
        Replaced::Unclear(said) => (
            Refusal::Unclear(said),
            "Certificate couldn't be tried, so what is in use stays. Tick the box below to use it all the same",
        ),
    };
    errors.add("use", message);
    let mut page = CertificatePage::new(&user, find(&web.app, &name).await?, &form, errors).await;
    page.refusal = refusal;
    page.refused()
}

/// `POST /providers/{name}/certificate/discard`: the one that waits is forgotten.
pub async fn discard(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    credential::discard(&web.app, &user.actor(), &provider).await.map_err(explained)?;
    user.redirect(&page(&name), "The certificate that waited and its key are forgotten.")
        .await
}

/// `POST /providers/{name}/fallback/drop`: what was in use before is forgotten.
pub async fn drop_fallback(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    match credential::drop_fallback(&web.app, &user.actor(), &provider).await {
        Err(ActionError::Fields(problems)) => {
            let why = problems.first().map(|problem| format!("{}.", problem.message)).unwrap_or_default();
            return user.redirect_with(&routes::provider(&name), Flash::bad(&why)).await;
        }
        dropped => dropped.map_err(explained)?,
    };
    user.redirect(&routes::provider(&name), "What was in use before is forgotten.")
        .await
}

/// `GET /providers/{name}/certificate/{file}`: the public half, and nothing else.
pub async fn download(State(web): State<WebState>, Path((name, file)): Path<(String, String)>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let missing = || PageError::Missing("There is no such certificate. It may have been replaced.".to_owned());
    let (which, kind) = file.split_once('.').ok_or_else(missing)?;
    let stored = match which {
        "current" if provider.client_auth == ClientAuth::Certificate => provider.credentials.certificate.as_ref(),
        "next" => provider.credentials.next.as_ref(),
        _ => None,
    };
    let alg = provider.credentials.alg.as_str();
    stored
        .and_then(|stored| public_half(stored, provider.name.as_str(), kind, alg))
        .ok_or_else(missing)
}

/// The public half as a file of this kind: `cer`, `pem`, or `json` for a JWK Set with this algorithm. None: there is no such kind.
pub(in crate::web::pages) fn public_half(stored: &StoredCertificate, name: &str, kind: &str, alg: &str) -> Option<Response> {
    let der = STANDARD.decode(&stored.public).ok()?;
    let (content_type, content) = match kind {
        "cer" => ("application/pkix-cert", der),
        "pem" => ("application/x-pem-file", certificate::pem(&der).into_bytes()),
        "json" => ("application/jwk-set+json", certificate::jwks(&der, alg)?.into_bytes()),
        _ => return None,
    };
    let disposition = format!("attachment; filename=\"{name}.{kind}\"");
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Some((headers, content).into_response())
}
