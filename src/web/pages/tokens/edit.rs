//! `/tokens/new` and `/tokens/{name}/edit`.

use super::conflict::somebody_was_faster;
use super::find;
use super::fix::{Start, put_in};
use super::saved::saved;
use super::ways::{Missing, Way, ways};
use crate::actions::tokens::{self, TokenEdit, TokenInput, again, check_token};
use crate::actions::{ActionError, FieldProblem};
use crate::app::App;
use crate::model::mailbox::Protocol;
use crate::model::provider::Provider;
use crate::model::scopes::{self, Resource, parse_scopes};
use crate::model::template::{TemplateKind, app_only_scope};
use crate::model::token::{Grant, GrantType, Token};
use crate::secret::{Password, RefreshToken};
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::mailboxes::fitting;
use crate::web::pages::providers;
use crate::web::pages::providers::form::{PROMPTS, Tick, all_scopes, apart, ticks};
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

/// The value of the prompt field for "as the provider has it".
const INHERIT: &str = "provider";

/// What was typed. No `Debug`: it holds a secret.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct TokenForm {
    pub(super) act: String,
    pub(super) provider: String,
    pub(super) name: String,
    pub(super) grant: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) last_resort: String,
    pub(super) shared: String,
    pub(super) purposes: Vec<String>,
    pub(super) scopes: String,
    pub(super) prompt: String,
    pub(super) refresh_token: String,
    pub(super) forget: String,
    pub(super) version: i64,
    pub(super) back: String,
}

impl TokenForm {
    fn of_provider(provider: &Provider) -> Self {
        let (purposes, scopes) = apart(provider.template, provider.cloud, &provider.scopes);
        Self {
            provider: provider.name.to_string(),
            grant: provider.grant.to_string(),
            purposes,
            scopes,
            prompt: INHERIT.to_owned(),
            ..Self::default()
        }
    }

    /// A stored token, to be edited.
    pub(super) fn of(token: &Token, provider: &Provider) -> Self {
        let (purposes, scopes) = apart(provider.template, provider.cloud, &token.scopes);
        Self {
            provider: provider.name.to_string(),
            name: token.name.to_string(),
            grant: token.grant.to_string(),
            last_resort: if token.grant == GrantType::Password {
                "on".to_owned()
            } else {
                String::new()
            },
            user: token.user.clone().unwrap_or_default(),
            shared: if token.shared { "on".to_owned() } else { String::new() },
            purposes,
            scopes,
            prompt: token.prompt.map_or_else(|| INHERIT.to_owned(), |prompt| prompt.to_string()),
            version: token.version,
            ..Self::default()
        }
    }

    /// All scopes: those of the ticks and the further ones.
    pub(super) fn all_scopes(&self, provider: &Provider) -> String {
        let all = all_scopes(provider.template, provider.cloud, &self.purposes, &self.scopes);
        let own = self.grant == GrantType::ClientCredentials.as_str() && provider.template == TemplateKind::Microsoft;
        if own && !all.contains("/.default") {
            // The ticks are for people; of the app itself only the server is asked for.
            let ticked = parse_scopes(&all).unwrap_or_default();
            let graph = scopes::resource_of(provider.template, &ticked) == Some(Resource::Graph);
            let protocol = if graph { Protocol::Graph } else { Protocol::Imap };
            return app_only_scope(provider.cloud, protocol);
        }
        all
    }

    /// What only the form asks: whether a password is really wanted.
    fn problems(&self) -> Vec<FieldProblem> {
        let wanted = self.grant == GrantType::Password.as_str() && self.last_resort.is_empty();
        let problem = FieldProblem {
            field: "last_resort",
            message: "Tick \u{201c}I know this is the last resort\u{201d}, or choose another way".to_owned(),
        };
        Some(problem).filter(|_| wanted).into_iter().collect()
    }

    async fn input(&self, app: &App, provider: &Provider, token: Option<&Token>) -> Result<TokenInput, StoreError> {
        let has_password = match token {
            Some(token) => tokens::has_password(app, token, provider).await?,
            None => false,
        };
        Ok(TokenInput {
            name: self.name.clone(),
            grant: self.grant.clone(),
            user: self.user.clone(),
            scopes: Some(self.all_scopes(provider)),
            prompt: Some(self.prompt.clone()).filter(|prompt| prompt != INHERIT),
            shared: !self.shared.is_empty(),
            refresh_token: Some(RefreshToken::new(self.refresh_token.as_str())),
            password: Some(Password::new(self.password.as_str())),
            has_password,
            forget: !self.forget.is_empty(),
        })
    }

    /// Checked by the rules, and by what only the form asks.
    async fn checked(&self, app: &App, provider: &Provider, current: Option<(&Token, Option<&Grant>)>) -> Result<TokenEdit, ActionError> {
        let input = self.input(app, provider, current.map(|(token, _)| token)).await?;
        let mut problems = self.problems();
        match check_token(&input, provider, current) {
            Ok(edit) if problems.is_empty() => Ok(edit),
            Ok(_) => Err(ActionError::Fields(problems)),
            Err(found) => {
                problems.extend(found);
                Err(ActionError::Fields(problems))
            }
        }
    }
}

#[derive(Template)]
#[template(path = "tokens/choose.html")]
struct ChoosePage {
    layout: Layout,
    errors: FieldErrors,
    providers: Vec<(String, String)>,
    user: String,
}

#[derive(Template)]
#[template(path = "tokens/form.html")]
struct FormPage {
    layout: Layout,
    errors: FieldErrors,
    form: TokenForm,
    provider: Provider,
    ways: Vec<Way>,
    missing: Vec<Missing>,
    password_set: String,
    ticks: Vec<Tick>,
    always: &'static [&'static str],
    prompts: Vec<(String, String)>,
    custom: bool,
    is_new: bool,
    signed_in: Option<String>,
    asks_to_forget: bool,
    fold_open: bool,
    /// What was typed and is not shown again.
    dropped: &'static str,
    action: String,
    back: String,
}

impl FormPage {
    fn has_way(&self, word: &str) -> bool {
        self.ways.iter().any(|way| way.value == word)
    }

    async fn new(
        web: &WebState,
        user: &CurrentUser,
        mut form: TokenForm,
        provider: Provider,
        current: Option<(&Token, Option<&Grant>)>,
        errors: FieldErrors,
    ) -> Result<Self, StoreError> {
        let dropped = match (form.refresh_token.trim().is_empty(), form.password.is_empty()) {
            (true, true) => "",
            (false, true) => "refresh token",
            (true, false) => "password",
            (false, false) => "refresh token and the password",
        };
        form.refresh_token.clear();
        form.password.clear();
        if form.grant.is_empty() {
            form.grant = provider.grant.to_string();
        }
        let stored = current.map(|(token, _)| token.grant);
        let (mut ways, missing) = ways(&web.app, &provider, &form.grant, stored).await?;
        // What new tokens start with may lack something; then the first way that works is it.
        if current.is_none()
            && !ways.iter().any(|way| way.chosen)
            && let Some(first) = ways.first_mut()
        {
            first.chosen = true;
            first.value.clone_into(&mut form.grant);
        }
        let title = if current.is_some() { "Edit token" } else { "Add token" };
        let mut layout = user.layout(Section::Tokens, title).await.crumb("Tokens", "/tokens");
        let path = current.map(|(token, _)| routes::token(token.name.as_str()));
        if let (Some((token, _)), Some(path)) = (current, &path) {
            layout = layout.crumb(token.user.as_deref().unwrap_or(token.name.as_str()), path);
        }
        if !errors.is_empty() {
            layout = layout.error();
        }
        let stored = provider.prompt.as_str();
        let words = PROMPTS.iter().find(|(word, _)| *word == stored).map_or("", |(_, words)| words);
        let mut prompts = vec![(INHERIT.to_owned(), format!("The provider's: {}", words.to_lowercase()))];
        prompts.extend(PROMPTS.iter().map(|(word, words)| ((*word).to_owned(), (*words).to_owned())));
        let grant = current.and_then(|(_, grant)| grant);
        Ok(Self {
            ways,
            missing,
            password_set: match current {
                Some((token, _)) if token.grant == GrantType::Password => "Set, and never shown".to_owned(),
                _ => String::new(),
            },
            ticks: ticks(provider.template, provider.cloud, &form.purposes),
            always: provider.template.template().always,
            custom: provider.template == TemplateKind::Custom,
            is_new: current.is_none(),
            signed_in: grant.map(|grant| grant.identity.account().to_owned()),
            asks_to_forget: grant.is_some()
                && (errors.has("user") || errors.has("grant") || errors.has("refresh_token") || !form.forget.is_empty()),
            fold_open: errors.has("scopes") || errors.has("prompt") || form.grant == GrantType::ClientCredentials.as_str(),
            action: path
                .as_ref()
                .map_or_else(|| "/tokens/new".to_owned(), |path| format!("{path}/edit")),
            back: path.unwrap_or_else(|| "/tokens".to_owned()),
            dropped,
            prompts,
            layout,
            errors,
            form,
            provider,
        })
    }
}

/// `GET /tokens/new`: the form; before it the choice of a provider where there are several.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(start): Query<Start>) -> Result<Response, PageError> {
    if let Some(fields) = user.take_draft("/tokens/new").await {
        let form: TokenForm = refill(&fields).await.unwrap_or_default();
        let provider = providers::find(&web.app, &form.provider).await?;
        return FormPage::new(&web, &user, form, provider, None, FieldErrors::default())
            .await?
            .show();
    }
    let all = web.app.store.providers().await?;
    let chosen = match start.provider.as_deref() {
        Some(name) => all.iter().find(|provider| provider.name.as_str() == name),
        None => fitting(&web.app, &all, &start.user).await?,
    };
    let only = if all.len() == 1 { all.first() } else { None };
    let Some(provider) = chosen.or(only) else {
        return choose(&user, &all, start).await;
    };
    let mut form = TokenForm {
        user: start.user,
        name: start.name,
        shared: if start.shared == "1" { "on".to_owned() } else { String::new() },
        back: start.back,
        ..TokenForm::of_provider(provider)
    };
    if GrantType::parse(&start.grant).is_some() {
        form.grant = start.grant;
    }
    FormPage::new(&web, &user, form, provider.clone(), None, FieldErrors::default())
        .await?
        .show()
}

/// The choice of a provider. None is chosen for a person: the first of the alphabet is not likelier than another.
async fn choose(user: &CurrentUser, all: &[Provider], start: Start) -> Result<Response, PageError> {
    let mut layout = user.layout(Section::Tokens, "Add token").await.crumb("Tokens", "/tokens");
    let mut errors = FieldErrors::default();
    if start.provider.is_some() && !all.is_empty() {
        errors.add("provider", "Choose a provider");
        layout = layout.error();
    }
    let providers = all
        .iter()
        .map(|p| (p.name.to_string(), format!("{}, {}", p.name, p.template.label())));
    let page = ChoosePage {
        layout,
        providers: providers.collect(),
        user: start.user,
        errors,
    };
    if page.errors.is_empty() { page.show() } else { page.refused() }
}

/// `POST /tokens/new`: adds a token, and begins its sign-in if that is the button.
pub async fn create(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<TokenForm>) -> Result<Response, PageError> {
    let provider = providers::find(&web.app, &form.provider).await?;
    let made = match form.checked(&web.app, &provider, None).await {
        Ok(edit) => tokens::create(&web.app, &user.actor(), edit, &provider).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(token) => saved(&web, &user, &token, &provider, &form).await,
        Err(ActionError::Fields(problems)) => FormPage::new(&web, &user, form, provider, None, problems.into()).await?.refused(),
        Err(error) => Err(error.into()),
    }
}

/// `GET /tokens/{name}/edit`.
pub async fn edit(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    Query(start): Query<Start>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let grant = web.app.store.grant(&token.id).await?;
    let mut form = match user.take_draft(&format!("/tokens/{name}/edit")).await {
        Some(fields) => refill(&fields).await.unwrap_or_default(),
        None => TokenForm::of(&token, &provider),
    };
    let put_in = put_in(&mut form, start, &provider);
    let mut page = FormPage::new(&web, &user, form, provider, Some((&token, grant.as_ref())), FieldErrors::default()).await?;
    if !put_in.is_empty() {
        let words = format!("Put in for you: {}. Look it over, then save", put_in.join(", "));
        page.layout.flash = Some(Flash::info(&words));
    }
    page.show()
}

/// `POST /tokens/{name}/edit`.
pub async fn update(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<TokenForm>,
) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    if form.version != token.version {
        return somebody_was_faster(&web, &user, &form, &token, &provider).await;
    }
    let grant = web.app.store.grant(&token.id).await?;
    let current = Some((&token, grant.as_ref()));
    let brings = !form.refresh_token.trim().is_empty();
    let old = token.clone();
    let made = match form.checked(&web.app, &provider, current).await {
        Ok(_) if brings && grant.is_some() && form.forget.is_empty() => Err(ActionError::Fields(vec![FieldProblem {
            field: "refresh_token",
            message: "Somebody is signed in. With this refresh token that sign-in is forgotten: tick the box below".to_owned(),
        }])),
        Ok(edit) => tokens::update(&web.app, &user.actor(), &token, edit, &provider).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(token) if form.act != "authorize" && form.back.is_empty() => {
            let grant = web.app.store.grant(&token.id).await?;
            let words = format!("Token {} saved.", token.name);
            let flash = match again::after_change(&old, &token, &provider, grant.as_ref()) {
                Some(then) => Flash::info(&format!("{words} {then}")),
                None => Flash::ok(&words),
            };
            user.redirect_with(&routes::token(token.name.as_str()), flash).await
        }
        Ok(token) => saved(&web, &user, &token, &provider, &form).await,
        Err(ActionError::Fields(problems)) => FormPage::new(&web, &user, form, provider, current, problems.into())
            .await?
            .refused(),
        Err(ActionError::Store(StoreError::Stale)) => {
            let (token, provider) = find(&web.app, &name).await?;
            somebody_was_faster(&web, &user, &form, &token, &provider).await
        }
        Err(error) => Err(error.into()),
    }
}
