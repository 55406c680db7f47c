//! What is stored, as the file that `config apply` takes.

use crate::actions::providers::service_account::{self, OpenError};
use crate::actions::{mailboxes, place, providers};
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Mailbox, Server, Side};
use crate::model::provider::Provider;
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::store::StoreError;
use crate::vault::VaultError;
use toml::{Table, Value};
use zeroize::Zeroizing;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored secret can't be opened.
    #[error("the {0} can't be opened: {1}")]
    Vault(String, VaultError),
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Providers, tokens and mailboxes.
    Everything,
    /// Providers and tokens.
    Settings,
}

/// Everything that is stored, as TOML. With `secrets` it opens every mailbox in it; the audit says who made it.
pub async fn export(app: &App, actor: &Actor, secrets: bool) -> Result<Zeroizing<String>, ExportError> {
    export_part(app, actor, Part::Everything, secrets).await
}

/// As [`export`], a part of it.
pub async fn export_part(app: &App, actor: &Actor, part: Part, secrets: bool) -> Result<Zeroizing<String>, ExportError> {
    let mut text = Zeroizing::new(String::new());
    for provider in app.store.providers().await? {
        push(&mut text, "provider", provider_table(app, &provider, secrets).await?);
    }
    for token in app.store.tokens().await? {
        push(&mut text, "token", token_table(app, &token, secrets).await?);
    }
    let mailboxes = match part {
        Part::Everything => app.store.mailboxes().await?,
        Part::Settings => Vec::new(),
    };
    for mailbox in mailboxes {
        push(&mut text, "mailbox", mailbox_table(app, &mailbox, secrets)?);
    }
    let entry = AuditEntry {
        action: "config.export",
        target: "configuration".into(),
        detail: if secrets { "with secrets" } else { "without secrets" }.into(),
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await?;
    Ok(text)
}

pub(in crate::actions) fn push(text: &mut String, kind: &str, table: Table) {
    let whole = Table::from_iter([(kind.to_owned(), Value::Array(vec![Value::Table(table)]))]);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&toml::to_string(&whole).unwrap_or_default());
}

/// Puts values into a table, in order, leaving out what is not set.
struct Writer(Table);

impl Writer {
    fn text(&mut self, key: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            self.0.insert(key.into(), Value::String(value));
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.0.insert(key.into(), Value::Boolean(value));
    }

    fn list(&mut self, key: &str, values: &[String]) {
        self.0
            .insert(key.into(), Value::Array(values.iter().cloned().map(Value::String).collect()));
    }
}

pub(in crate::actions) async fn provider_table(app: &App, provider: &Provider, secrets: bool) -> Result<Table, ExportError> {
    let mut out = Writer(Table::new());
    out.text("name", provider.name.to_string());
    out.text("template", provider.template.to_string());
    out.text("tenant", provider.tenant.clone());
    if provider.template == crate::model::template::TemplateKind::Microsoft {
        out.text("cloud", provider.cloud.to_string());
    }
    out.text("client_id", provider.client_id.clone());
    out.text("client_auth", provider.client_auth.to_string());
    if secrets {
        let secret = place::open_client_secret(app, provider)
            .map_err(|error| ExportError::Vault(format!("client secret of provider {}", provider.name), error))?;
        out.text("client_secret", secret.map(|secret| secret.expose_secret().to_owned()));
        let account = service_account::open(app, provider).await.map_err(|error| match error {
            OpenError::Store(error) => ExportError::from(error),
            OpenError::Vault(error) => ExportError::Vault(format!("service account of provider {}", provider.name), error),
        })?;
        out.text("service_account", account.map(|file| file.expose_secret().to_owned()));
    }
    let expires = providers::check::secret_expires(provider);
    out.text("client_secret_expires", expires.map(|date| date.to_string()));
    if let Some(stored) = provider.credentials.certificate.as_ref() {
        if secrets {
            let certificate = place::open_certificate(app, provider, stored)
                .map_err(|error| ExportError::Vault(format!("certificate of provider {}", provider.name), error))?;
            out.text("certificate", certificate.pem().expose_secret().to_owned());
        }
        out.text("assertion_alg", provider.credentials.alg.to_string());
    }
    out.text("consent_screen", provider.consent_screen.map(|screen| screen.to_string()));
    out.text("grant", provider.grant.to_string());
    out.list("scopes", &provider.scopes);
    out.text("prompt", provider.prompt.to_string());
    out.flag("login_hint", provider.login_hint);
    out.flag("pkce", provider.pkce);
    let own = &provider.overrides;
    for (key, value) in [
        ("authority", &own.authority),
        ("graph_url", &own.graph_url),
        ("issuer", &own.issuer),
        ("authorize_url", &own.authorize_url),
        ("token_url", &own.token_url),
        ("device_authorization_url", &own.device_authorization_url),
        ("revocation_url", &own.revocation_url),
        ("admin_consent_url", &own.admin_consent_url),
        ("userinfo_url", &own.userinfo_url),
    ] {
        out.text(key, value.clone());
    }
    if own.iss_announced {
        out.flag("iss_required", true);
    }
    let pairs = provider
        .extra_authorize_params
        .iter()
        .map(|(key, value)| (key.clone(), Value::String(value.clone())))
        .collect::<Table>();
    out.0.insert("extra_authorize_params".into(), Value::Table(pairs));
    Ok(out.0)
}

pub(in crate::actions) async fn token_table(app: &App, token: &Token, secrets: bool) -> Result<Table, ExportError> {
    let mut out = Writer(Table::new());
    out.text("name", token.name.to_string());
    out.text("provider", token.provider.to_string());
    out.text("grant", token.grant.to_string());
    out.text("user", token.user.clone());
    out.list("scopes", &token.scopes);
    out.text("prompt", token.prompt.map(|prompt| prompt.to_string()));
    out.flag("shared", token.shared);
    if secrets
        && let Some(stored) = app.store.token_password(&token.id).await?
        && let Some(sealed) = &stored.sealed
    {
        let place = place::token_password(&token.id, stored.version, &stored.destination);
        let text = app
            .vault
            .open(&place, sealed)
            .map_err(|error| ExportError::Vault(format!("password of token {}", token.name), error))?;
        out.text("password", text.to_string());
    }
    if secrets
        && let Some(grant) = app.store.grant(&token.id).await?
        && let Some((sealed, version)) = &grant.rt_current
    {
        let place = place::refresh_token(&token.id, *version, &grant.destination);
        let text = app
            .vault
            .open(&place, sealed)
            .map_err(|error| ExportError::Vault(format!("refresh token of {}", token.name), error))?;
        out.text("refresh_token", text.to_string());
    }
    Ok(out.0)
}

pub(in crate::actions) fn mailbox_table(app: &App, mailbox: &Mailbox, secrets: bool) -> Result<Table, ExportError> {
    let mut out = Writer(Table::new());
    out.text("name", mailbox.name.to_string());
    out.text("address", mailbox.address.clone());
    out.text("display_name", mailbox.display_name.clone());
    out.flag("enabled", mailbox.enabled);
    out.list("tags", &mailbox.tags);
    if mailbox.round_trip_hours != 0 {
        out.0.insert("round_trip_hours".into(), Value::Integer(mailbox.round_trip_hours));
    }
    if let Some(side) = &mailbox.incoming {
        let mut table = side_table(app, mailbox, Direction::Incoming, side, secrets)?;
        if !matches!(side.server, Server::Pop3(_)) {
            table.text("folder", mailbox.folder.clone());
        }
        out.0.insert("incoming".into(), Value::Table(table.0));
    }
    if let Some(side) = &mailbox.outgoing {
        let mut table = side_table(app, mailbox, Direction::Outgoing, side, secrets)?;
        table.text("from", mailbox.from.clone());
        table.list("bcc", &mailbox.bcc);
        out.0.insert("outgoing".into(), Value::Table(table.0));
    }
    Ok(out.0)
}

fn side_table(app: &App, mailbox: &Mailbox, direction: Direction, side: &Side, secrets: bool) -> Result<Writer, ExportError> {
    let mut out = Writer(Table::new());
    out.text("protocol", side.server.protocol().to_string());
    if let Some(endpoint) = side.server.endpoint() {
        out.text("host", endpoint.host.clone());
        out.0.insert("port".into(), Value::Integer(endpoint.port.into()));
        out.text("security", endpoint.security.to_string());
    }
    out.text("auth", side.auth.kind().to_string());
    out.text("username", side.username.clone());
    match &side.auth {
        Auth::OAuth2 { token, .. } => out.text("token", token.to_string()),
        Auth::Password {
            password: Some((sealed, version)),
        } if secrets => {
            let destination = side.server.destination();
            let place = mailboxes::password_place(direction, &mailbox.id, *version, &destination);
            let text = app
                .vault
                .open(&place, sealed)
                .map_err(|error| ExportError::Vault(format!("password of mailbox {}", mailbox.name), error))?;
            out.text("password", text.to_string());
        }
        _ => {}
    }
    Ok(out)
}
