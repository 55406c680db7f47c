//! Two people at once (`ux.md`, 8.8): theirs and ours, field by field, with a choice each. Used by providers and tokens.

use super::form::ProviderForm;
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::scopes::parse_scopes;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::routes;
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

/// How far back is looked for who changed it?
const AUDIT_ROWS: i64 = 300;

/// A field that both changed.
pub struct Difference {
    /// Name of the field.
    pub field: &'static str,
    /// Its label.
    pub label: &'static str,
    /// What is stored.
    pub theirs: String,
    /// What was typed here.
    pub yours: String,
}

#[derive(Template)]
#[template(path = "providers/conflict.html")]
struct ConflictPage {
    layout: Layout,
    heading: String,
    ago: crate::web::time::Html,
    action: String,
    back: String,
    version: i64,
    differences: Vec<Difference>,
    same: Vec<(&'static str, String)>,
    secret: bool,
}

/// A page of theirs and yours. `fields` are (field, label, theirs, yours); an empty label: not shown, yours is kept.
pub async fn show(
    app: &App,
    layout: Layout,
    target: &str,
    path: &str,
    changed: (crate::clock::Timestamp, i64),
    fields: Vec<(&'static str, &'static str, String, String)>,
    secret: bool,
) -> Result<Response, PageError> {
    let who = who_changed(app, target).await?;
    let (differences, same): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .partition(|(_, label, theirs, yours)| !label.is_empty() && theirs != yours);
    ConflictPage {
        heading: format!("{who} changed this in the meantime"),
        ago: layout.ago(changed.0),
        action: format!("{path}/edit"),
        back: path.to_owned(),
        version: changed.1,
        differences: differences
            .into_iter()
            .map(|(field, label, theirs, yours)| Difference {
                field,
                label,
                theirs,
                yours,
            })
            .collect(),
        same: same.into_iter().map(|(field, _, _, yours)| (field, yours)).collect(),
        secret,
        layout,
    }
    .with_status(StatusCode::CONFLICT)
}

/// The person who changed something last, as the audit has it.
async fn who_changed(app: &App, target: &str) -> Result<String, StoreError> {
    let rows = app.store.audit_rows(AUDIT_ROWS).await?;
    let row = rows.into_iter().find(|row| row.target == target && row.action.ends_with(".update"));
    let Some(row) = row else {
        return Ok("Somebody else".to_owned());
    };
    let email = row.actor.strip_prefix("user:").unwrap_or_default().to_owned();
    match app.store.user_by_email(&email).await? {
        Some(user) => Ok(user.name),
        None if row.actor == "command line" => Ok("The command line".to_owned()),
        None => Ok("Somebody else".to_owned()),
    }
}

/// The page for a provider.
pub(super) async fn of_provider(
    web: &WebState,
    user: &CurrentUser,
    form: &ProviderForm,
    provider: &Provider,
) -> Result<Response, PageError> {
    let theirs = ProviderForm::of(provider);
    let scopes = |form: &ProviderForm| parse_scopes(&form.all_scopes()).unwrap_or_default().join("\n");
    let pair = |field, label, get: fn(&ProviderForm) -> String| (field, label, get(&theirs), get(form));
    let fields = vec![
        ("act", "", String::new(), "check".to_owned()),
        ("card", "", String::new(), form.card.clone()),
        ("which", "", String::new(), form.which.clone()),
        ("name", "", String::new(), provider.name.to_string()),
        ("iss_announced", "", String::new(), form.iss_announced.clone()),
        ("discovered_at", "", String::new(), form.discovered_at.clone()),
        ("last_resort", "", String::new(), form.last_resort.clone()),
        pair("tenant", "Directory (tenant) ID", |f| f.tenant.clone()),
        pair("domain", "Domain", |f| f.domain.clone()),
        pair("cloud", "Cloud", |f| f.cloud().to_string()),
        pair("client_id", "Client ID", |f| f.client_id.clone()),
        pair("client_auth", "How the client proves itself", |f| f.client_auth.clone()),
        pair("assertion_alg", "Assertions are signed with", |f| f.assertion_alg.clone()),
        pair("client_secret_expires", "Secret expires on", |f| f.client_secret_expires.clone()),
        pair("consent_screen", "Consent screen", |f| f.consent_screen.clone()),
        if form.card().is_app_only() {
            pair("app_resource", "What the app may use", |f| f.app_resource.clone())
        } else {
            ("scopes", "Permissions", scopes(&theirs), scopes(form))
        },
        pair("prompt", "Prompt", |f| f.prompt.clone()),
        pair("login_hint", "Login hint", |f| f.login_hint.clone()),
        pair("pkce", "PKCE", |f| f.pkce.clone()),
        pair("authority", "Server address", |f| f.authority.clone()),
        pair("issuer", "Issuer", |f| f.issuer.clone()),
        pair("authorize_url", "Authorize address", |f| f.authorize_url.clone()),
        pair("token_url", "Token address", |f| f.token_url.clone()),
        pair("revocation_url", "Revoke address", |f| f.revocation_url.clone()),
        pair("device_authorization_url", "Device address", |f| f.device_authorization_url.clone()),
        pair("userinfo_url", "User info address", |f| f.userinfo_url.clone()),
        (
            "extra_authorize_params",
            "Extra parameters",
            theirs.extra_authorize_params.clone(),
            {
                let typed: Vec<&str> = form
                    .extra_authorize_params
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .collect();
                typed.join("\n")
            },
        ),
    ];
    let path = routes::provider(provider.name.as_str());
    let layout = user.layout(Section::Providers, "Changed by somebody else").await;
    let layout = layout.crumb("Providers", "/providers").crumb(provider.name.as_str(), &path).error();
    let target = format!("provider:{}", provider.name);
    let changed = (provider.updated_at, provider.version);
    show(&web.app, layout, &target, &path, changed, fields, !form.client_secret.is_empty()).await
}
