//! `/providers/{name}/secret`: a new client secret, tried before the old one goes.

use super::{edit, find};
use crate::actions::ActionError;
use crate::actions::providers::{self, trial};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::Diagnosis;
use crate::oauth::Client;
use crate::secret::ClientSecret;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use trial::Trial;

/// What was typed. No `Debug`: it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecretForm {
    client_secret: String,
    client_secret_expires: String,
    untried: String,
}

#[derive(Template)]
#[template(path = "providers/secret.html")]
struct SecretPage {
    layout: Layout,
    errors: FieldErrors,
    provider: Provider,
    path: String,
    set: String,
    expires: String,
    untried: bool,
    refusal: Option<(Diagnosis, String)>,
    unclear: Option<String>,
}

impl SecretPage {
    async fn new(user: &CurrentUser, provider: Provider, form: &SecretForm, errors: FieldErrors) -> Self {
        let path = routes::provider(provider.name.as_str());
        let layout = user.layout(Section::Providers, "Replace secret").await;
        let layout = layout.crumb("Providers", "/providers").crumb(provider.name.as_str(), &path);
        let layout = if errors.is_empty() { layout } else { layout.error() };
        Self {
            set: provider
                .client_secret
                .as_ref()
                .map(|secret| edit::secret_words(secret, Some(&provider), &layout))
                .unwrap_or_default(),
            expires: form.client_secret_expires.clone(),
            untried: !form.untried.is_empty(),
            refusal: None,
            unclear: None,
            layout,
            errors,
            provider,
            path,
        }
    }
}

async fn with_secret(web: &WebState, name: &str) -> Result<Provider, PageError> {
    let provider = find(&web.app, name).await?;
    if !matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic) {
        return Err(PageError::Missing("This provider is a public client and has no secret.".to_owned()));
    }
    Ok(provider)
}

/// `GET /providers/{name}/secret`.
pub async fn edit(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = with_secret(&web, &name).await?;
    let form = match user.take_draft(&format!("/providers/{name}/secret")).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => SecretForm::default(),
    };
    SecretPage::new(&user, provider, &form, FieldErrors::default()).await.show()
}

/// `POST /providers/{name}/secret`: the new one is tried, and takes the old one's place only when it works or the provider can't tell.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<SecretForm>,
) -> Result<Response, PageError> {
    let provider = with_secret(&web, &name).await?;
    let typed = ClientSecret::new(form.client_secret.as_str());
    let (secret, expires) = match providers::check_secret(&web.app, &provider, &typed, &form.client_secret_expires) {
        Ok(checked) => checked,
        Err(problems) => return SecretPage::new(&user, provider, &form, problems.into()).await.refused(),
    };
    let mut errors = FieldErrors::default();
    let words = match trial::try_client(&web.app, &Client::new(&provider, Some(secret.clone()))).await {
        Trial::Accepted(_) => format!("Client secret of {} replaced. The provider accepts it.", provider.name),
        Trial::Refused(diagnosis, said) => {
            errors.add("client_secret", "Client secret was refused by the provider. The old one stays");
            let mut page = SecretPage::new(&user, provider, &form, errors).await;
            page.refusal = Some((diagnosis, said));
            return page.refused();
        }
        Trial::Unclear(_) | Trial::Unreachable(..) if !form.untried.is_empty() => {
            format!("Client secret of {} replaced. It could not be tried.", provider.name)
        }
        Trial::Unclear(said) | Trial::Unreachable(_, said) => {
            errors.add(
                "client_secret",
                "Client secret couldn't be tried, so the old one stays. Tick the box below to save it all the same",
            );
            let mut page = SecretPage::new(&user, provider, &form, errors).await;
            page.unclear = Some(said);
            return page.refused();
        }
    };
    match providers::replace_secret(&web.app, &user.actor(), &provider, &secret, expires).await {
        Ok(_) => {
            // So that the page doesn't show the check of the old one beside it.
            let provider = find(&web.app, &name).await?;
            if let Err(error) = trial::check(&web.app, &user.actor(), &provider).await {
                tracing::warn!(error = %error, "Provider {name} could not be checked: {error}");
            }
            user.redirect(&routes::provider(&name), &words).await
        }
        Err(ActionError::Store(StoreError::Stale)) => Err(PageError::Conflict(
            "Somebody else changed this provider while the secret was tried. Nothing was changed. Open the page again.".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}
