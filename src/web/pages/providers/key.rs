//! `/providers/{name}/key`: the key of a service account goes in, is tried, and takes the place of the stored one. It never comes out.

use super::certificate::{blocking, explained};
use super::find;
use super::secret::Refusal;
use crate::actions::providers::service_account::{self, Replaced};
use crate::actions::providers::trial;
use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::model::token::StoredServiceAccount;
use crate::oauth::ServiceKey;
use crate::secret::KeyFile;
use crate::web::WebState;
use crate::web::back::{Back, BackForm};
use crate::web::error::PageError;
use crate::web::form::{FieldErrors, UploadForm};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What may be said of a stored key.
pub(super) struct KeyFacts {
    /// The service account's address.
    pub email: String,
    /// Its number, which Google Admin wants.
    pub client_id: String,
    /// The key's id.
    pub key_id: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// By whom.
    pub by: String,
    /// Its age in words.
    pub age: String,
    /// Whether it may go where the provider is now.
    pub fits: bool,
    /// Scopes as Google Admin takes them.
    pub scopes: String,
}

impl KeyFacts {
    pub fn of(provider: &Provider, stored: &StoredServiceAccount, layout: &Layout) -> Self {
        let days = layout.now.since(stored.set_at) / 86_400;
        Self {
            email: stored.account.client_email.clone(),
            client_id: stored.account.client_id.clone(),
            key_id: stored.account.key_id.clone(),
            stored_at: stored.set_at,
            by: stored.set_by.clone(),
            age: match days {
                i64::MIN..=0 => "less than a day".to_owned(),
                1 => "1 day".to_owned(),
                days => format!("{days} days"),
            },
            fits: stored.destination == provider.destination(),
            scopes: provider.scopes.join(","),
        }
    }
}

/// What was typed. No `Debug`: it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct KeyForm {
    service_account: String,
    untried: String,
    back: String,
}

#[derive(Template)]
#[template(path = "providers/key.html")]
struct KeyPage {
    layout: Layout,
    errors: FieldErrors,
    path: String,
    key: Option<KeyFacts>,
    untried: bool,
    back: String,
    refusal: Refusal,
    provider: Provider,
}

impl KeyPage {
    async fn new(web: &WebState, user: &CurrentUser, provider: Provider, form: &KeyForm, errors: FieldErrors) -> Result<Self, PageError> {
        let path = routes::provider(provider.name.as_str());
        let stored = web.app.store.service_account(&provider.id).await?;
        let title = if stored.is_some() { "Replace key" } else { "Add key" };
        let layout = user.layout(Section::Providers, title).await;
        let layout = layout.crumb("Providers", "/providers").crumb(provider.name.as_str(), &path);
        let layout = if errors.is_empty() { layout } else { layout.error() };
        Ok(Self {
            key: stored.map(|stored| KeyFacts::of(&provider, &stored, &layout)),
            untried: !form.untried.is_empty(),
            back: form.back.clone(),
            refusal: Refusal::None,
            layout,
            errors,
            path,
            provider,
        })
    }
}

/// A provider that can have a service account.
async fn google(web: &WebState, name: &str) -> Result<Provider, PageError> {
    let provider = find(&web.app, name).await?;
    if provider.template != TemplateKind::Google {
        return Err(PageError::Missing("Only Google has service accounts of this kind.".to_owned()));
    }
    Ok(provider)
}

/// `GET /providers/{name}/key`.
pub async fn edit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(from): Query<BackForm>,
) -> Result<Response, PageError> {
    let provider = google(&web, &name).await?;
    // Neither a file nor a key comes back from a draft: it has to be chosen once more.
    user.drop_draft(&format!("/providers/{name}/key")).await;
    let form = KeyForm {
        back: from.back,
        ..KeyForm::default()
    };
    KeyPage::new(&web, &user, provider, &form, FieldErrors::default()).await?.show()
}

/// `POST /providers/{name}/key`: the new one is tried, and takes the old one's place only when it works, or can't be tried and the box
/// is ticked.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    UploadForm(form, upload): UploadForm<KeyForm>,
) -> Result<Response, PageError> {
    let provider = google(&web, &name).await?;
    let file = upload.as_ref().and_then(|upload| upload.file("service_account_file"));
    let text = Zeroizing::new(match file {
        Some(file) => String::from_utf8_lossy(file).into_owned(),
        None => form.service_account.clone(),
    });
    let mut errors = FieldErrors::default();
    if text.trim().is_empty() {
        errors.add("service_account", "Paste the key JSON of the service account, or choose its file");
        return KeyPage::new(&web, &user, provider, &form, errors).await?.refused();
    }
    let file = KeyFile::new(text.as_str());
    let key = match blocking(move || ServiceKey::read(&text)).await? {
        Ok(key) => key,
        Err(message) => {
            errors.add("service_account", message);
            return KeyPage::new(&web, &user, provider, &form, errors).await?.refused();
        }
    };
    let done = service_account::replace(&web.app, &user.actor(), &provider, &key, &file, !form.untried.is_empty()).await;
    let (refusal, message) = match done.map_err(explained)? {
        Replaced::Done { proved } => {
            let provider = find(&web.app, &name).await?;
            if let Err(error) = trial::check(&web.app, &user.actor(), &provider).await {
                tracing::warn!(provider.name = %name, error = %error, "Provider {name} could not be checked: {error}");
            }
            let words = match proved {
                Some(account) => format!("Key of {name} stored. It acts for {account}."),
                None => format!("Key of {name} stored. It was not tried."),
            };
            return match Back::parse(&form.back) {
                Some(back) => back.arrive(&user, None, Flash::ok(&words)).await,
                None => user.redirect(&routes::provider(&name), &words).await,
            };
        }
        Replaced::Refused(diagnosis, said) => (
            Refusal::refused(&web.app, &provider, &diagnosis, said).await?,
            "Key was refused by the provider. The old one stays",
        ),
        Replaced::Unclear(said) => (
            Refusal::Unclear(said),
            "Key couldn't be tried, so the old one stays. Tick the box below to store it all the same",
        ),
    };
    errors.add("service_account", message);
    let mut page = KeyPage::new(&web, &user, provider, &form, errors).await?;
    page.refusal = refusal;
    page.refused()
}
