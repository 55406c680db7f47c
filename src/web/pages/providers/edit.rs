//! `/providers/new` and `/providers/{name}/edit`: handlers and the page.

use super::form::{ASSERTION_ALGS, CLIENT_AUTH, CLOUDS, CONSENT_SCREENS, MICROSOFT_AUTH, PROMPTS, ProviderForm, Tick, suggested_name};
use super::{conflict, find};
use crate::actions::providers::trial;
use crate::actions::{ActionError, providers};
use crate::model::provider::{ClientAuth, Cloud, Provider};
use crate::model::template::{self, HelpStep, TemplateKind, ZOHO_DATA_CENTRES};
use crate::model::user::Permission;
use crate::oauth::Discovery;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes;
use crate::web::time::date_words;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

/// What to do with the redirect address.
fn redirect_hint(kind: TemplateKind, is_new: bool) -> String {
    let first = if is_new {
        "Its end is the name above; choose that first. "
    } else {
        ""
    };
    let then = match kind {
        TemplateKind::Microsoft => "Add this in Entra under Authentication, platform Web.".to_owned(),
        TemplateKind::Custom => "Register this at the provider.".to_owned(),
        _ => format!("Register this at {}.", kind.short_name()),
    };
    format!("{first}{then} It must match exactly.")
}

/// `?template=…&from=…`
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Start {
    template: String,
    card: String,
    from: String,
}

#[derive(Template)]
#[template(path = "providers/form.html")]
struct FormPage {
    layout: Layout,
    errors: FieldErrors,
    form: ProviderForm,
    kind: String,
    action: String,
    back: String,
    heading: String,
    is_new: bool,
    redirect: String,
    redirect_hint: String,
    client_label: &'static str,
    secret_set: String,
    secret_hint: String,
    expires_label: &'static str,
    expires_hint: String,
    known: [(&'static str, &'static str); 3],
    centres: Vec<(&'static str, &'static str)>,
    auths: [(&'static str, &'static str); 4],
    microsoft_auths: [(&'static str, &'static str); 2],
    algs: [(&'static str, &'static str); 2],
    clouds: [(&'static str, &'static str); 4],
    screens: Vec<(&'static str, &'static str, String)>,
    prompts: [(&'static str, &'static str); 5],
    ticks: Vec<Tick>,
    always: &'static [&'static str],
    steps: &'static [HelpStep],
    portal: (&'static str, &'static str),
    fold_open: bool,
    moving: Option<i64>,
    found: Option<Discovery>,
    changed: Vec<(&'static str, String, String)>,
}

/// Fields that stand in the folded part.
const FOLDED: [&str; 10] = [
    "assertion_alg",
    "prompt",
    "pkce",
    "authority",
    "authorize_url",
    "token_url",
    "revocation_url",
    "device_authorization_url",
    "userinfo_url",
    "extra_authorize_params",
];

impl FormPage {
    async fn new(web: &WebState, user: &CurrentUser, mut form: ProviderForm, current: Option<&Provider>, errors: FieldErrors) -> Self {
        let kind = form.kind();
        let is_new = current.is_none();
        if is_new && form.name.trim().is_empty() && errors.is_empty() {
            form.name = free_name(web, &suggested_name(kind, &form.tenant)).await;
            form.suggested.clone_from(&form.name);
        }
        // Secrets go in, never out: not even back into the form they came from.
        form.client_secret.clear();
        form.client_json.clear();
        let title = if is_new { "Add provider" } else { "Edit provider" };
        let mut layout = user.layout(Section::Providers, title).await.crumb("Providers", "/providers");
        if let Some(current) = current {
            layout = layout.crumb(current.name.as_str(), &routes::provider(current.name.as_str()));
        }
        if !errors.is_empty() {
            layout = layout.error();
        }
        let microsoft = kind == TemplateKind::Microsoft;
        let named = if form.name.trim().is_empty() { "NAME" } else { form.name.trim() };
        let secret = current.and_then(|current| current.client_secret.as_ref());
        let folded = FOLDED.iter().any(|field| errors.has(field)) && kind != TemplateKind::Custom;
        let mut heading = kind.label().to_owned();
        if kind != TemplateKind::Custom {
            heading.push_str(", user sign-in");
        }
        Self {
            action: current.map_or_else(
                || "/providers/new".to_owned(),
                |current| format!("/providers/{}/edit", current.name),
            ),
            back: current.map_or_else(|| "/providers".to_owned(), |current| routes::provider(current.name.as_str())),
            heading,
            is_new,
            redirect: web.url(&format!("/oauth/callback/{named}")),
            redirect_hint: redirect_hint(kind, is_new),
            client_label: if microsoft { "Application (client) ID" } else { "Client ID" },
            secret_set: secret.map(|secret| secret_words(secret, current, &layout)).unwrap_or_default(),
            secret_hint: match kind {
                TemplateKind::Microsoft => "The Value from Certificates and secrets. You can't read it back here after saving.",
                _ => "You can't read it back here after saving.",
            }
            .to_owned(),
            expires_label: if microsoft {
                "Secret expires on"
            } else {
                "Secret expires on (optional)"
            },
            expires_hint: match kind {
                TemplateKind::Microsoft => "Entra shows it beside the secret, like 2027-11-20.",
                _ => "If the provider ends secrets: the day, like 2027-11-20.",
            }
            .to_owned(),
            known: [("yahoo", "Yahoo"), ("zoho", "Zoho"), ("fastmail", "Fastmail")],
            centres: ZOHO_DATA_CENTRES.iter().map(|(label, base, _)| (*base, *label)).collect(),
            auths: CLIENT_AUTH,
            microsoft_auths: MICROSOFT_AUTH,
            algs: ASSERTION_ALGS,
            clouds: CLOUDS,
            screens: CONSENT_SCREENS
                .iter()
                .map(|(value, words, hint)| (*value, *words, (*hint).to_owned()))
                .collect(),
            prompts: PROMPTS,
            ticks: form.ticks(),
            always: kind.template().always,
            steps: template::steps(kind),
            portal: template::portal(kind, form.cloud()),
            fold_open: folded || (errors.has("scopes") && kind != TemplateKind::Custom),
            moving: None,
            found: None,
            changed: Vec::new(),
            kind: kind.to_string(),
            layout,
            errors,
            form,
        }
    }
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

/// A name nobody has yet: `microsoft`, `microsoft-2`.
async fn free_name(web: &WebState, wanted: &str) -> String {
    for number in 1..100 {
        let name = if number == 1 {
            wanted.to_owned()
        } else {
            format!("{wanted}-{number}")
        };
        let Ok(parsed) = crate::model::Name::parse(&name) else {
            return String::new();
        };
        if matches!(web.app.store.provider(&parsed).await, Ok(None)) {
            return name;
        }
    }
    String::new()
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
            let known = (wanted == "known").then_some(TemplateKind::Yahoo);
            let kind = known.or_else(|| TemplateKind::parse(wanted)).unwrap_or(TemplateKind::Microsoft);
            ProviderForm::of_template(kind)
        }
    };
    FormPage::new(&web, &user, form, None, FieldErrors::default()).await.show()
}

/// `POST /providers/new`: another template, the description of an issuer, or a new provider.
pub async fn create(
    State(web): State<WebState>,
    user: CurrentUser,
    CsrfForm(mut form): CsrfForm<ProviderForm>,
) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    if form.act == "template" {
        let kind = form.kind();
        if form.name == form.suggested {
            form.name.clear();
        }
        form.choose(kind);
        return FormPage::new(&web, &user, form, None, FieldErrors::default()).await.show();
    }
    if form.act == "read" || form.wants_reading() {
        return read(&web, &user, form, None).await;
    }
    let mut errors = FieldErrors::default();
    let input = form.input(None, &mut errors);
    let made = match providers::check_provider(&web.app, &input, None) {
        Ok(edit) if errors.is_empty() => providers::create(&web.app, &user.actor(), edit).await,
        Ok(_) => Err(ActionError::Fields(Vec::new())),
        Err(problems) => Err(ActionError::Fields(problems)),
    };
    match made {
        Ok(provider) => saved(&web, &user, &provider, form.act == "check").await,
        Err(ActionError::Fields(problems)) => {
            extend(&mut errors, problems);
            FormPage::new(&web, &user, form, None, errors).await.refused()
        }
        Err(error) => Err(error.into()),
    }
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
            let mut page = FormPage::new(web, user, form, current, FieldErrors::default()).await;
            page.found = Some(found);
            page.changed = changed;
            page.show()
        }
        Err(problem) => {
            let errors = FieldErrors::from(vec![problem]);
            FormPage::new(web, user, form, current, errors).await.refused()
        }
    }
}

/// After saving: the check if one is wanted, then the provider's page.
async fn saved(web: &WebState, user: &CurrentUser, provider: &Provider, check: bool) -> Result<Response, PageError> {
    let path = routes::provider(provider.name.as_str());
    if provider.client_auth == ClientAuth::Certificate && provider.credentials.certificate.is_none() {
        let words = format!("Provider {} saved. Now create its certificate, or upload one.", provider.name);
        return user.redirect_with(&format!("{path}/certificate"), Flash::ok(&words)).await;
    }
    // Without its secret there is nothing to check yet; somebody has to be asked for it.
    if provider.client_secret.is_none()
        && matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic)
        && user.may(Permission::SecretSet)
    {
        let words = format!("Provider {} saved. Now ask for its client secret.", provider.name);
        return user.redirect(&format!("{path}/request"), &words).await;
    }
    if !check {
        return user
            .redirect(&path, &format!("Provider {} saved. Not checked.", provider.name))
            .await;
    }
    let flash = match trial::check(&web.app, &user.actor(), provider).await {
        Ok(check) if check.failed() => Flash::bad(&format!("Provider {} saved. The check found a problem.", provider.name)),
        Ok(_) => Flash::ok(&format!("Provider {} saved and checked.", provider.name)),
        Err(error) => {
            tracing::warn!(error = %error, "Provider {} could not be checked: {error}", provider.name);
            Flash::warn(&format!("Provider {} saved. The check could not be run.", provider.name))
        }
    };
    user.redirect_with(&path, flash).await
}

/// `GET /providers/{name}/edit`.
pub async fn edit(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
    let provider = find(&web.app, &name).await?;
    let form = match user.take_draft(&format!("/providers/{name}/edit")).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => ProviderForm::of(&provider),
    };
    FormPage::new(&web, &user, form, Some(&provider), FieldErrors::default())
        .await
        .show()
}

/// `POST /providers/{name}/edit`: saves, reads the issuer again, or says that somebody else was faster.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<ProviderForm>,
) -> Result<Response, PageError> {
    user.require(Permission::SecretSet).await?;
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
    let signed_in = signed_in_tokens(&web, &provider).await?;
    let moving = (signed_in > 0 && providers::check::moves(&input, &provider)).then_some(signed_in);
    if moving.is_some() && form.confirm_move.is_empty() {
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
        Ok(done) => saved(&web, &user, &done.provider, form.act == "check").await,
        Err(ActionError::Fields(problems)) => {
            extend(&mut errors, problems);
            let mut page = FormPage::new(&web, &user, form, Some(&provider), errors).await;
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

/// How many tokens of a provider hold a sign-in that would be lost with a new destination.
async fn signed_in_tokens(web: &WebState, provider: &Provider) -> Result<i64, StoreError> {
    let mut count = 0;
    for token in web.app.store.tokens_of(&provider.id).await? {
        count += i64::from(web.app.store.grant(&token.id).await?.is_some());
    }
    Ok(count)
}

/// The label of a cloud.
pub(super) fn cloud_label(cloud: Cloud) -> &'static str {
    CLOUDS
        .iter()
        .find(|(word, _)| *word == cloud.as_str())
        .map_or("", |(_, label)| label)
}
