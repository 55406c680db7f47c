//! `/providers/{name}/secret`: a new client secret, tried before the old one goes.

use super::certificate::explained;
use super::{edit, find};
use crate::actions::judgement;
use crate::actions::providers::credential::{self, New, Replaced, Terms};
use crate::actions::providers::{self, trial};
use crate::app::App;
use crate::diagnosis::ways::Scene;
use crate::model::Date;
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Stage};
use crate::secret::ClientSecret;
use crate::web::WebState;
use crate::web::back::{Back, BackForm};
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

/// What was typed. No `Debug`: it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecretForm {
    client_secret: String,
    client_secret_expires: String,
    untried: String,
    keep_until: String,
    back: String,
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
    /// What is in use, in words; empty: nothing is.
    in_use: &'static str,
    keep_until: String,
    back: String,
    refusal: Refusal,
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
            in_use: provider.held().map_or("", |held| held.noun()),
            keep_until: form.keep_until.clone(),
            back: form.back.clone(),
            refusal: Refusal::None,
            layout,
            errors,
            provider,
            path,
        }
    }
}

/// `GET /providers/{name}/secret`.
pub async fn edit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(from): Query<BackForm>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let form = match user.take_draft(&format!("/providers/{name}/secret")).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => SecretForm {
            back: from.back,
            ..SecretForm::default()
        },
    };
    SecretPage::new(&user, provider, &form, FieldErrors::default()).await.show()
}

/// `POST /providers/{name}/secret`: the new one is tried, and takes the old one's place only when it works, or can't be tried and the
/// box is ticked.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<SecretForm>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let typed = ClientSecret::new(form.client_secret.as_str());
    let (secret, expires) = match providers::check_secret(&web.app, &provider, &typed, &form.client_secret_expires) {
        Ok(checked) => checked,
        Err(problems) => return SecretPage::new(&user, provider, &form, problems.into()).await.refused(),
    };
    let mut errors = FieldErrors::default();
    let keep_until = keep_until(&web, &form.keep_until, &mut errors);
    if !errors.is_empty() {
        return SecretPage::new(&user, provider, &form, errors).await.refused();
    }
    let terms = Terms {
        keep_until,
        even_untried: !form.untried.is_empty(),
    };
    let done = credential::replace(&web.app, &user.actor(), &provider, New::Secret(secret, expires), terms).await;
    let (refusal, message) = match done.map_err(explained)? {
        Replaced::Done { saved, proved } => {
            // So that the page doesn't show the check of the old one beside it.
            if let Err(error) = trial::check(&web.app, &user.actor(), &saved.provider).await {
                tracing::warn!(provider.name = %name, error = %error, "Provider {name} could not be checked: {error}");
            }
            let words = match proved {
                true => format!("Client secret of {name} replaced. The provider accepts it."),
                false => format!("Client secret of {name} replaced. It could not be tried."),
            };
            return match Back::parse(&form.back) {
                Some(back) => back.arrive(&user, None, Flash::ok(&words)).await,
                None => user.redirect(&routes::provider(&name), &words).await,
            };
        }
        Replaced::Refused(diagnosis, said) => (
            Refusal::refused(&web.app, &provider, &diagnosis, said).await?,
            "Client secret was refused by the provider. The old one stays",
        ),
        Replaced::Unclear(said) => (
            Refusal::Unclear(said),
            "Client secret couldn't be tried, so the old one stays. Tick the box below to save it all the same",
        ),
    };
    errors.add("client_secret", message);
    let mut page = SecretPage::new(&user, provider, &form, errors).await;
    page.refusal = refusal;
    page.refused()
}

/// The last day on which the old one still counts, as it was typed; none: it goes at once.
pub(super) fn keep_until(web: &WebState, text: &str, errors: &mut FieldErrors) -> Option<Date> {
    let text = clean(text);
    if text.is_empty() {
        return None;
    }
    let date = Date::parse(text).filter(|date| date.days_from(web.app.clock.now()) > 0);
    if date.is_none() {
        errors.add("keep_until", "Keep the old one until must be a date after today, like 2027-11-20");
    }
    date
}

/// Why a new credential was not put in use.
#[derive(Default)]
pub enum Refusal {
    /// It wasn't tried.
    #[default]
    None,
    /// The provider refuses it.
    Refused(Box<DiagnosisView>),
    /// The answer doesn't tell.
    Unclear(String),
}

impl Refusal {
    /// What the provider refused, told for those who are at it: the field to put another one in stands below.
    pub async fn refused(app: &App, provider: &Provider, diagnosis: &Diagnosis, said: String) -> Result<Self, PageError> {
        let scene = Scene {
            step: Some(Stage::Token),
            said,
            ..judgement::scene_of_provider(app, provider).await?
        };
        Ok(Self::Refused(Box::new(DiagnosisView::plain("refusal", diagnosis, &scene))))
    }
}
