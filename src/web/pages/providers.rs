//! `/providers`: list, page of one, its check, its secret, and deleting it. The form is in [`edit`].

mod again;
pub mod cards;
pub mod certificate;
pub mod conflict;
pub mod edit;
pub mod form;
mod form_page;
pub mod key;
pub(super) mod limit;
mod moving;
pub mod secret;
mod view;

use super::consent::view::{self as consents, ConsentCard};
use super::records::zone;
use crate::actions::ActionError;
use crate::actions::providers::{self, Warning, trial};
use crate::actions::tokens::again::{Asked, asked};
use crate::app::App;
use crate::model::Name;
use crate::model::credential::{Fallback, StoredCertificate};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::retirements;
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, TokenState};
use crate::model::user::Permission;
use crate::store::StoreError;
use crate::store::mailboxes::MailboxFilter;
use crate::store::token_list::{TokenFilter, TokenRow};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::pages::mailboxes::list::used_words;
use crate::web::pages::radar::Retiring;
use crate::web::pages::tokens::in_a_row;
use crate::web::routes::{self, Access, Routes};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use cards::Card;
use key::KeyFacts;
use limit::Limit;
use serde::Deserialize;
use trial::Check;
pub(super) use view::is_about_proof;
use view::{Standing, diagnoses, standing};

/// How many tokens a provider's page lists.
const TOKENS_SHOWN: i64 = 50;

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    let change = Access::Permission(Permission::ProviderEdit);
    let secret = Access::Permission(Permission::SecretSet);
    Routes::new()
        .get("/providers", view, index)
        .get("/providers/new", change, edit::new)
        .post("/providers/new", change, edit::create)
        .get("/providers/{name}", view, show)
        .get("/providers/{name}/edit", change, edit::edit)
        .post("/providers/{name}/edit", change, edit::update)
        .post("/providers/{name}/check", change, check)
        .get("/providers/{name}/secret", secret, secret::edit)
        .post("/providers/{name}/secret", secret, secret::update)
        .get("/providers/{name}/key", secret, key::edit)
        .post("/providers/{name}/key", secret, key::update)
        .get("/providers/{name}/certificate", secret, certificate::show)
        .post("/providers/{name}/certificate", secret, certificate::upload)
        .post("/providers/{name}/certificate/make", secret, certificate::make)
        .post("/providers/{name}/certificate/use", secret, certificate::adopt)
        .post("/providers/{name}/certificate/discard", secret, certificate::discard)
        .get("/providers/{name}/certificate/{file}", view, certificate::download)
        .post("/providers/{name}/fallback/drop", secret, certificate::drop_fallback)
        .get("/providers/{name}/delete", change, confirm)
        .post("/providers/{name}/delete", change, delete)
}

/// The provider of an address, or 404.
pub(super) async fn find(app: &App, name: &str) -> Result<Provider, PageError> {
    let missing = || PageError::Missing("There is no such provider. It may have been deleted.".to_owned());
    let name = Name::parse(name).map_err(|_| missing())?;
    app.store.provider(&name).await?.ok_or_else(missing)
}

struct Row {
    provider: Provider,
    kind: String,
    standing: Standing,
    tokens: i64,
    mailboxes: i64,
    turned_off: i64,
}

#[derive(Template)]
#[template(path = "providers/index.html")]
struct IndexPage {
    layout: Layout,
    rows: Vec<Row>,
}

/// `GET /providers`.
pub async fn index(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let usage = web.app.store.provider_usage().await?;
    let successes = web.app.store.provider_successes().await?;
    let today = zone(&web, &user).today(web.app.clock.now());
    let mut rows = Vec::new();
    for provider in web.app.store.providers().await? {
        let check = trial::last(&web.app, &provider.id).await?;
        let used = usage.iter().find(|usage| usage.provider == provider.id);
        let proved = successes.iter().any(|(id, at)| *id == provider.id && *at > provider.updated_at);
        rows.push(Row {
            standing: standing(&provider, check.as_ref(), proved, today),
            tokens: used.map_or(0, |usage| usage.tokens),
            mailboxes: used.map_or(0, |usage| usage.mailboxes),
            turned_off: used.map_or(0, |usage| usage.turned_off),
            kind: Card::of(&provider).title(provider.template),
            provider,
        });
    }
    let layout = user.layout(Section::Providers, "Providers").await;
    IndexPage { layout, rows }.show()
}

#[derive(Template)]
#[template(path = "providers/show.html")]
struct ShowPage {
    layout: Layout,
    standing: Standing,
    /// Whether the diagnoses say all that this would.
    is_told: bool,
    /// What the provider refused last, and what the last check found.
    diagnoses: Vec<DiagnosisView>,
    warnings: Vec<Warning>,
    retiring: Vec<Retiring>,
    /// How its tokens take a change of permissions.
    asked: Asked,
    check: Option<Check>,
    unproved: (&'static [&'static str], &'static str),
    heading: String,
    /// Whether somebody comes back from the provider's pages.
    has_person: bool,
    /// Whether it may have a service account.
    google: bool,
    key: Option<KeyFacts>,
    /// How an app-only provider is limited to its mailboxes.
    limit: Option<Limit>,
    redirect: String,
    /// The admin consent, where the provider knows one.
    consent: Option<ConsentCard>,
    secret_set: String,
    path: String,
    /// Whether the app proves itself with a certificate.
    by_certificate: bool,
    certificate: Option<StoredCertificate>,
    /// Whether it could.
    certificates: bool,
    fallback: Option<Fallback>,
    fallback_counts: bool,
    /// Whether it is what works.
    fallback_needed: bool,
    cloud: &'static str,
    microsoft: bool,
    tokens: Vec<(TokenRow, &'static str, &'static str)>,
    more_tokens: i64,
    /// The mailboxes that use it, in words; empty where none do.
    mailboxes: String,
    provider: Provider,
}

/// `GET /providers/{name}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let now = web.app.clock.now();
    let filter = TokenFilter {
        provider: provider.name.to_string(),
        ..TokenFilter::default()
    };
    let tokens = web.app.store.tokens_after(&filter, "", TOKENS_SHOWN, now).await?;
    let usage = web.app.store.provider_usage().await?;
    let used = usage.into_iter().find(|usage| usage.provider == provider.id);
    let count = used.as_ref().map_or(0, |usage| usage.tokens);
    let mailboxes = used
        .as_ref()
        .map_or_else(String::new, |used| used_words(used.mailboxes, used.turned_off));
    let proved = web.app.store.provider_succeeded_at(&provider.id).await? > Some(provider.updated_at);
    let check = trial::last(&web.app, &provider.id).await?;
    let card = Card::of(&provider);
    let standing = standing(&provider, check.as_ref(), proved, zone(&web, &user).today(now));
    let diagnoses = diagnoses(&user, &web.app, &provider, check.as_ref()).await?;
    let mut warnings = providers::lint(&web.app, &provider).await?;
    // The verdict or the diagnosis says that already.
    warnings.retain(|warning| !(standing.replace && ["client_secret_expires", "certificate"].contains(&warning.field)));
    let layout = user
        .layout(Section::Providers, provider.name.as_str())
        .await
        .crumb("Providers", "/providers");
    ShowPage {
        is_told: standing.kind == "bad" && !diagnoses.is_empty() && diagnoses.iter().all(|found| !found.ways.is_empty()),
        standing,
        diagnoses,
        warnings,
        retiring: retiring(&web.app, &provider, &tokens).await?,
        asked: asked(&web.app, &provider).await?,
        check,
        unproved: trial::unproved(provider.grant),
        heading: card.title(provider.template),
        has_person: card.has_person(),
        google: provider.template == TemplateKind::Google,
        key: web
            .app
            .store
            .service_account(&provider.id)
            .await?
            .map(|stored| KeyFacts::of(&provider, &stored, &layout)),
        limit: card.is_app_only().then(|| limit::of(&provider)),
        redirect: trial::redirect_uri(&web.app, &provider).await?,
        consent: consents::card(&web.app, &provider).await?,
        secret_set: provider
            .client_secret
            .as_ref()
            .map(|secret| edit::secret_words(secret, Some(&provider), &layout))
            .unwrap_or_default(),
        path: routes::provider(&name),
        by_certificate: provider.client_auth == ClientAuth::Certificate,
        certificate: provider.credentials.certificate.clone(),
        certificates: matches!(provider.template, TemplateKind::Microsoft | TemplateKind::Custom),
        fallback_needed: provider.rests_on_fallback(now),
        fallback_counts: provider.credentials.fallback.as_ref().is_some_and(|kept| kept.counts(now)),
        fallback: provider.credentials.fallback.clone(),
        cloud: edit::cloud_label(provider.cloud),
        microsoft: provider.template == TemplateKind::Microsoft,
        more_tokens: count - i64::try_from(tokens.len()).unwrap_or(0),
        tokens: tokens
            .into_iter()
            .map(|row| {
                let (kind, words, _) = in_a_row(&row);
                (row, kind, words)
            })
            .collect(),
        mailboxes,
        layout,
        provider,
    }
    .show()
}

/// The dated changes that are about this app: by the permissions it or its tokens ask for, and by what touches its mailboxes.
async fn retiring(app: &App, provider: &Provider, tokens: &[TokenRow]) -> Result<Vec<Retiring>, StoreError> {
    let mut found = Vec::new();
    for change in retirements::all().iter().filter(|change| change.about_app) {
        let asks = |scopes: &[String]| !change.scope.is_empty() && scopes.iter().any(|scope| scope.to_lowercase().contains(&change.scope));
        let filter = MailboxFilter {
            provider: provider.name.to_string(),
            change: change.id.clone(),
            ..MailboxFilter::default()
        };
        if asks(&provider.scopes) || tokens.iter().any(|row| asks(&row.scopes)) || app.store.count_mailboxes(&filter, 1).await? > 0 {
            found.push(change);
        }
    }
    Ok(Retiring::all(found, app.clock.now()))
}

/// Mark and words of a token's state, in lists.
pub(super) fn state_kind(state: TokenState) -> (&'static str, &'static str) {
    match state {
        TokenState::Unauthorized => ("todo", "Nobody has signed in yet"),
        TokenState::Authorizing => ("run", "Sign-in started"),
        TokenState::Active => ("ok", "Works"),
        TokenState::Expired => ("run", "Renewing"),
        TokenState::Failing => ("warn", "Renewal fails"),
        TokenState::Revoked => ("bad", "Needs a new sign-in"),
    }
}

/// What a token that nobody signs in for needs once the provider has refused it.
pub(super) fn refused_words(grant: GrantType) -> &'static str {
    match grant {
        GrantType::AuthorizationCode | GrantType::DeviceCode => "Needs a new sign-in",
        GrantType::Password => "Needs its password again",
        GrantType::ClientCredentials => "Refused for the app",
        GrantType::JwtBearer => "Refused for the service account",
    }
}

/// `POST /providers/{name}/check`.
pub async fn check(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let path = format!("{}#check", routes::provider(&name));
    let flash = match trial::check(&web.app, &user.actor(), &provider).await {
        Ok(check) if check.failed() => Flash::bad("The check found a problem."),
        Ok(_) => Flash::ok("Checked."),
        // The rest of the page says what that means.
        Err(ActionError::Vault(_)) => Flash::bad("The stored client secret or certificate can't be opened. Replace it."),
        Err(error) => return Err(error.into()),
    };
    user.redirect_with(&path, flash).await
}

#[derive(Template)]
#[template(path = "providers/delete.html")]
struct DeletePage {
    layout: Layout,
    errors: FieldErrors,
    provider: Provider,
    tokens: Vec<TokenRow>,
    button: String,
    action: String,
    keep: String,
}

impl DeletePage {
    async fn new(web: &WebState, user: &CurrentUser, provider: Provider, errors: FieldErrors) -> Result<Self, PageError> {
        let filter = TokenFilter {
            provider: provider.name.to_string(),
            ..TokenFilter::default()
        };
        let path = routes::provider(provider.name.as_str());
        let layout = user.layout(Section::Providers, &format!("Delete {}", provider.name)).await;
        let layout = layout.crumb("Providers", "/providers").crumb(provider.name.as_str(), &path);
        Ok(Self {
            tokens: web.app.store.tokens_after(&filter, "", TOKENS_SHOWN, web.app.clock.now()).await?,
            layout: if errors.is_empty() { layout } else { layout.error() },
            button: format!("Delete {}", provider.name),
            action: format!("{path}/delete"),
            keep: path,
            provider,
            errors,
        })
    }
}

/// `GET /providers/{name}/delete`.
pub async fn confirm(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    DeletePage::new(&web, &user, provider, FieldErrors::default()).await?.show()
}

/// What has to be typed before something goes.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Typed {
    /// The name, or the account.
    pub confirm: String,
}

impl Typed {
    /// Whether it is the expected text; case and blanks are forgiven (8.3).
    pub fn is(&self, expected: &str) -> bool {
        let plain = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
        plain(&self.confirm) == plain(expected)
    }
}

/// `POST /providers/{name}/delete`.
pub async fn delete(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(typed): CsrfForm<Typed>,
) -> Result<Response, PageError> {
    let provider = find(&web.app, &name).await?;
    let mut errors = FieldErrors::default();
    if !typed.is(provider.name.as_str()) {
        errors.add("confirm", format!("Name doesn't match. Type {}", provider.name));
        return DeletePage::new(&web, &user, provider, errors).await?.refused();
    }
    match providers::delete(&web.app, &user.actor(), &provider).await {
        Ok(()) => user.redirect("/providers", &format!("Provider {} deleted.", provider.name)).await,
        Err(ActionError::Store(StoreError::InUse)) => {
            errors.add("confirm", "Tokens of this provider are still there. Nothing was deleted");
            DeletePage::new(&web, &user, provider, errors).await?.refused()
        }
        Err(error) => Err(error.into()),
    }
}
