//! Adds a provider, and where nobody has to sign in for it its first token with it.

use super::{ProviderEdit, audit, build, service_account};
use crate::actions::tokens::{self, TokenInput, check_token};
use crate::actions::{ActionError, FieldProblem};
use crate::app::App;
use crate::model::audit::Actor;
use crate::model::provider::Provider;
use crate::model::token::{GrantType, Token};
use crate::store::{StoreError, Tx};

/// Adds a provider.
pub async fn create(app: &App, actor: &Actor, edit: ProviderEdit) -> Result<Provider, ActionError> {
    create_with(app, actor, edit, None).await.map(|(provider, _)| provider)
}

/// Adds a provider and, in the same transaction, a token of the same name that is got the provider's way. `account`: whom the token is
/// of, empty where it is the app's own; none: no token. Problems of the token come at the fields `first_account`, `name` and `make_token`.
pub async fn create_with(
    app: &App,
    actor: &Actor,
    edit: ProviderEdit,
    account: Option<&str>,
) -> Result<(Provider, Option<Token>), ActionError> {
    let key = edit.service_account.clone();
    let provider = build(app, actor, edit, None)?;
    let token = match account {
        Some(account) => Some(first_token(app, &provider, account)?),
        None => None,
    };
    let mut tx = app.store.begin().await?;
    match insert(app, &mut tx, actor, &provider).await {
        Ok(()) => {}
        Err(StoreError::Taken) => {
            let message = format!("Name {} is already used by another provider", provider.name);
            return Err(problem("name", message));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some((key, file)) = &key {
        service_account::set(app, &mut tx, actor, &provider, key, file).await?;
    }
    if let Some(token) = &token {
        match tokens::insert(app, &mut tx, actor, token).await {
            Ok(()) => {}
            Err(StoreError::Taken) => {
                let message = format!(
                    "Name {} is already used by a token. Choose another, or untick Make the token too",
                    token.name
                );
                return Err(problem("name", message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    tx.commit().await?;
    Ok((provider, token))
}

fn problem(field: &'static str, message: String) -> ActionError {
    ActionError::Fields(vec![FieldProblem { field, message }])
}

/// The token a new provider starts with, by the rules of every token.
fn first_token(app: &App, provider: &Provider, account: &str) -> Result<Token, ActionError> {
    if provider.grant == GrantType::JwtBearer && account.trim().is_empty() {
        let message = "Enter the first account, or untick Make the token too";
        return Err(problem("first_account", message.to_owned()));
    }
    let input = TokenInput {
        name: provider.name.to_string(),
        user: account.to_owned(),
        ..TokenInput::default()
    };
    let edit = check_token(&input, provider, None).map_err(|problems| {
        let moved = problems.into_iter().map(|problem| FieldProblem {
            field: match problem.field {
                "user" => "first_account",
                "name" => "name",
                _ => "make_token",
            },
            message: problem.message.replace("Account that must sign in", "First account"),
        });
        ActionError::Fields(moved.collect())
    })?;
    Ok(tokens::build(app, &edit, None))
}

/// Writes a new provider and its audit entry. [`StoreError::Taken`] when the name is.
pub async fn insert(app: &App, tx: &mut Tx, actor: &Actor, provider: &Provider) -> Result<(), StoreError> {
    tx.insert_provider(provider).await?;
    let secret = match (&provider.client_secret, &provider.credentials.certificate) {
        (Some(_), _) => "; secret set",
        (None, Some(_)) => "; certificate set",
        (None, None) => "",
    };
    let client = if provider.client_id.is_empty() {
        "no client".to_owned()
    } else {
        format!("client {}", provider.client_id)
    };
    let detail = format!(
        "{}, {client}, secrets go to {}{secret}",
        provider.template,
        provider.endpoints().token_url.unwrap_or_default()
    );
    audit(app, tx, actor, "provider.create", provider, detail).await
}
