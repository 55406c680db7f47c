//! `/providers/new` and `/providers/{name}/edit`: handlers and the page.

use super::cards::Card;
use super::form::{CLOUDS, ProviderForm};
use super::form_page::FormPage;
use super::moving::Moving;
use super::{again, certificate, conflict, find};
use crate::actions::providers::{ProviderEdit, trial};
use crate::actions::walkthroughs::Chosen;
use crate::actions::{ActionError, providers};
use crate::model::provider::{ClientAuth, Cloud, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::Token;
use crate::model::user::Permission;
use crate::oauth::KeyedCertificate;
use crate::secret::Password;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::back::{Back, BackForm};
use crate::web::error::PageError;
use crate::web::form::{FieldErrors, UploadForm, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page};
use crate::web::routes;
use crate::web::time::date_words;
use crate::web::upload::Upload;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

/// `?template=…&from=…`
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Start {
    template: String,
    card: String,
    from: String,
    name: String,
    account: String,
    later: String,
    back: String,
}

/// "Set, last changed 4 Mar 2025 by Maija Korhonen, expires 2 Dec 2025": what may be said of a secret (8.5).
pub(in crate::web::pages) fn secret_words(
    secret: &crate::model::provider::StoredSecret,
    provider: Option<&Provider>,
    layout: &Layout,
) -> String {
    let expires = provider
        .and_then(|provider| provider.client_secret_expires)
        .map(|date| format!(", expires {}", date_words(date)))
        .unwrap_or_default();
    let hint = secret
        .hint
        .split_once(' ')
        .map(|(_, last)| format!(", its last characters are {last}"))
        .unwrap_or_default();
    format!(
        "Set, last changed {} by {}{expires}{hint}",
        layout.zone.full(secret.set_at),
        secret.set_by
    )
}

/// `GET /providers/new`.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(start): Query<Start>) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    let from = match crate::model::Name::parse(&start.from) {
        Ok(name) => web.app.store.provider(&name).await?,
        Err(_) => None,
    };
    let form = match (user.take_draft("/providers/new").await, from) {
        (Some(fields), _) => refill(&fields).await.unwrap_or_default(),
        (None, Some(like)) => ProviderForm {
            name: String::new(),
            version: 0,
            ..ProviderForm::of(&like)
        },
        (None, None) => {
            let wanted = if start.template.is_empty() { &start.card } else { &start.template };
            let kind = TemplateKind::parse(wanted);
            let card = Card::parse(wanted).or(kind.map(Card::of_kind)).unwrap_or(Card::Microsoft);
            ProviderForm {
                name: start.name,
                first_account: start.account,
                secret_later: if start.later.is_empty() { String::new() } else { "yes".to_owned() },
                back: start.back,
                ..ProviderForm::of_template(card, card.kind().or(kind).unwrap_or(TemplateKind::Yahoo))
            }
        }
    };
    FormPage::new(&web, &user, form, None, FieldErrors::default()).await?.show()
}

/// `POST /providers/new`: another template, the description of an issuer, or a new provider.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    UploadForm(mut form, upload): UploadForm<ProviderForm>,
) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    let (card, kind) = (form.card(), form.kind());
    if form.act == "template" {
        if form.name == form.suggested {
            form.name.clear();
        }
        form.choose(card, kind);
        return FormPage::new(&web, &user, form, None, FieldErrors::default()).await?.show();
    }
    if form.act == "read" || form.wants_reading() {
        return read(&web, &user, form, None).await;
    }
    if let Some(upload) = &upload {
        form.take_files(upload);
    }
    let mut errors = FieldErrors::default();
    let certificate = new_certificate(&web, &form, upload.as_ref(), &mut errors).await?;
    let input = form.input(None, &mut errors);
    let made = match providers::check_provider(&web.app, &input, None) {
        Ok(edit) if errors.is_empty() => add(&web, &user, &form, edit, certificate).await?,
        Ok(_) => Err(ActionError::Fields(Vec::new())),
        Err(problems) => Err(ActionError::Fields(problems)),
    };
    match made {
        Ok((provider, token)) => {
            let noun = match token {
                Some(_) => format!("Provider {} and its token", provider.name),
                None => format!("Provider {}", provider.name),
            };
            if let Some(back) = Back::parse(&form.back) {
                return saved_for(&web, &user, &provider, &noun, form.act == "check", &back).await;
            }
            if card == Card::MicrosoftCertificate && form.certificate_how != "upload" && form.act != "request" {
                let words = format!("{noun} saved. Now give the public half of its certificate to Microsoft, then check.");
                let path = routes::provider(provider.name.as_str());
                return user.redirect_with(&format!("{path}/certificate"), Flash::ok(&words)).await;
            }
            saved(&web, &user, &provider, &noun, &form.act).await
        }
        Err(ActionError::Fields(problems)) => {
            extend(&mut errors, problems);
            again::ask(&form, upload.as_ref(), &mut errors);
            FormPage::new(&web, &user, form, None, errors).await?.refused()
        }
        Err(error) => Err(error.into()),
    }
}

/// The certificate a form brings; none: it brings none, or one is made once all the rest is right.
async fn new_certificate(
    web: &WebState,
    form: &ProviderForm,
    upload: Option<&Upload>,
    errors: &mut FieldErrors,
) -> Result<Option<KeyedCertificate>, PageError> {
    if form.card() != Card::MicrosoftCertificate {
        return Ok(None);
    }
    if form.certificate_how == "upload" {
        let file = upload.and_then(|upload| upload.file("file"));
        let read = certificate::read(web, file, Password::new(form.passphrase.as_str())).await?;
        return Ok(match read {
            Ok(certificate) => Some(certificate),
            Err((field, message)) => {
                errors.add(field, message);
                None
            }
        });
    }
    if certificate::days(&form.lasts).is_none() {
        errors.add("lasts", "Choose how long the certificate lasts");
    }
    Ok(None)
}

/// Adds what was checked, with its certificate and its first token.
async fn add(
    web: &WebState,
    user: &CurrentUser,
    form: &ProviderForm,
    mut edit: ProviderEdit,
    certificate: Option<KeyedCertificate>,
) -> Result<Result<(Provider, Option<Token>), ActionError>, PageError> {
    edit.certificate = match certificate::days(&form.lasts) {
        Some(days) if form.card() == Card::MicrosoftCertificate && certificate.is_none() => {
            Some(certificate::make_one(web, edit.name.to_string(), days).await?)
        }
        _ => certificate,
    };
    let account = match form.card() {
        Card::GoogleService => form.first_account.as_str(),
        _ => "",
    };
    let makes = !form.make_token.is_empty() && (form.card().is_app_only() || form.card() == Card::GoogleService);
    if makes {
        user.require(Permission::TokenEdit).await?;
    }
    Ok(providers::create_with(&web.app, &user.actor(), edit, makes.then_some(account)).await)
}

fn extend(errors: &mut FieldErrors, problems: Vec<crate::actions::FieldProblem>) {
    for problem in problems {
        errors.add(problem.field, problem.message);
    }
}

/// *Read it*: shows what the issuer says before anything is saved (OAUTH-12).
async fn read(web: &WebState, user: &CurrentUser, mut form: ProviderForm, current: Option<&Provider>) -> Result<Response, PageError> {
    match providers::discover(&web.app, &form.issuer).await {
        Ok(found) => {
            let changed = form.take(&found);
            let mut page = FormPage::new(web, user, form, current, FieldErrors::default()).await?;
            page.found = Some(found);
            page.changed = changed;
            page.show()
        }
        Err(problem) => {
            let errors = FieldErrors::from(vec![problem]);
            FormPage::new(web, user, form, current, errors).await?.refused()
        }
    }
}

/// After saving: the check or the request if one is wanted, then the provider's page.
async fn saved(web: &WebState, user: &CurrentUser, provider: &Provider, noun: &str, act: &str) -> Result<Response, PageError> {
    let path = routes::provider(provider.name.as_str());
    if act == "request" {
        let words = format!("{noun} saved. Now send this to whoever runs it.");
        return user.redirect(&format!("{path}/request"), &words).await;
    }
    if provider.client_auth == ClientAuth::Certificate && provider.credentials.certificate.is_none() {
        let words = format!("Provider {} saved. Now create its certificate, or upload one.", provider.name);
        return user.redirect_with(&format!("{path}/certificate"), Flash::ok(&words)).await;
    }
    // Without its secret there is nothing to check yet; somebody has to be asked for it.
    if provider.client_secret.is_none()
        && !provider.client_id.is_empty()
        && matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic)
        && user.may(Permission::SecretSet)
    {
        let words = format!("{noun} saved. Now ask for its client secret.");
        return user.redirect(&format!("{path}/request"), &words).await;
    }
    if act != "check" {
        return user.redirect(&path, &format!("{noun} saved. Not checked.")).await;
    }
    let flash = match trial::check(&web.app, &user.actor(), provider).await {
        Ok(check) if check.failed() => Flash::bad(&format!("{noun} saved. The check found a problem.")),
        Ok(_) => Flash::ok(&format!("{noun} saved and checked.")),
        Err(error) => {
            tracing::warn!(provider.name = %provider.name, error = %error, "Provider {} could not be checked: {error}", provider.name);
            Flash::warn(&format!("{noun} saved. The check could not be run."))
        }
    };
    user.redirect_with(&path, flash).await
}

/// After saving for a walkthrough: the check if one is wanted, then back there.
async fn saved_for(
    web: &WebState,
    user: &CurrentUser,
    provider: &Provider,
    noun: &str,
    check: bool,
    back: &Back,
) -> Result<Response, PageError> {
    // What isn't there yet can't be checked; the walkthrough says what is missing.
    if check
        && provider.held().is_some()
        && let Err(error) = trial::check(&web.app, &user.actor(), provider).await
    {
        tracing::warn!(provider.name = %provider.name, error = %error, "Provider {} could not be checked: {error}", provider.name);
    }
    let chosen = Chosen::Provider(provider.id.clone(), provider.name.clone());
    back.arrive(user, Some(chosen), Flash::ok(&format!("{noun} saved."))).await
}

/// `GET /providers/{name}/edit`.
pub async fn edit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(from): Query<BackForm>,
) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    let provider = find(&web.app, &name).await?;
    let form = match user.take_draft(&format!("/providers/{name}/edit")).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => ProviderForm {
            back: from.back,
            ..ProviderForm::of(&provider)
        },
    };
    FormPage::new(&web, &user, form, Some(&provider), FieldErrors::default())
        .await?
        .show()
}

/// `POST /providers/{name}/edit`: saves, reads the issuer again, or says that somebody else was faster.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    UploadForm(mut form, upload): UploadForm<ProviderForm>,
) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    if let Some(upload) = &upload {
        form.take_files(upload);
    }
    let provider = find(&web.app, &name).await?;
    if form.act == "read" || form.wants_reading() {
        return read(&web, &user, form, Some(&provider)).await;
    }
    if form.version != provider.version {
        return conflict::of_provider(&web, &user, &form, &provider).await;
    }
    let mut errors = FieldErrors::default();
    let mut input = form.input(Some(&provider), &mut errors);
    input.has_service_account = web.app.store.service_account(&provider.id).await?.is_some();
    let moving = if providers::check::moves(&input, &provider) {
        Moving::of(&web, &provider).await?
    } else {
        None
    };
    let loses = moving.as_ref().is_some_and(|moving| moving.people + moving.passwords > 0);
    if loses && form.confirm_move.is_empty() {
        errors.add(
            "confirm_move",
            "Tick that every token needs a new sign-in, or leave the addresses as they are",
        );
    }
    let saved_now = match providers::check_provider(&web.app, &input, Some(&provider)) {
        Ok(edit) if errors.is_empty() => providers::update(&web.app, &user.actor(), &provider, edit).await,
        Ok(_) => Err(ActionError::Fields(Vec::new())),
        Err(problems) => Err(ActionError::Fields(problems)),
    };
    match saved_now {
        Ok(done) => {
            let noun = format!("Provider {}", done.provider.name);
            if let Some(back) = Back::parse(&form.back) {
                return saved_for(&web, &user, &done.provider, &noun, form.act == "check", &back).await;
            }
            saved(&web, &user, &done.provider, &noun, &form.act).await
        }
        Err(ActionError::Fields(problems)) => {
            extend(&mut errors, problems);
            again::ask(&form, upload.as_ref(), &mut errors);
            let mut page = FormPage::new(&web, &user, form, Some(&provider), errors).await?;
            page.moving = moving;
            page.refused()
        }
        Err(ActionError::Store(StoreError::Stale)) => {
            let provider = find(&web.app, &name).await?;
            conflict::of_provider(&web, &user, &form, &provider).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The label of a cloud.
pub(super) fn cloud_label(cloud: Cloud) -> &'static str {
    CLOUDS
        .iter()
        .find(|(word, _)| *word == cloud.as_str())
        .map_or("", |(_, label)| label)
}
