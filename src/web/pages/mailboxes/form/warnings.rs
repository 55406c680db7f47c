//! A token that is for something else than what a side of the mailbox wants of it. It is said where the token is chosen, and keeps nobody
//! from saving: one sign-in may well do for two services.

use super::MailboxForm;
use crate::actions::access_token::side_scopes;
use crate::app::App;
use crate::model::Name;
use crate::model::mailbox::Protocol;
use crate::model::report::Direction;
use crate::model::scopes::{Resource, missing_scopes, resource_of};
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, Token};
use crate::store::StoreResult;
use crate::web::form::clean;
use crate::web::pages::providers::form::short_scope;

/// A warning, and the token it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenWarning {
    pub(super) token: Name,
    pub(super) text: String,
}

/// What there is to say of the tokens chosen in a form.
pub(super) async fn of(app: &App, form: &MailboxForm) -> StoreResult<Vec<TokenWarning>> {
    let outgoing = if form.is_separate() {
        (&form.outgoing_auth, &form.outgoing_token)
    } else {
        (&form.auth, &form.token)
    };
    let mut warnings = Vec::new();
    for (direction, protocol, (auth, token)) in [
        (Direction::Incoming, &form.incoming, (&form.auth, &form.token)),
        (Direction::Outgoing, &form.outgoing, outgoing),
    ] {
        let protocol = Protocol::parse(clean(protocol)).filter(|protocol| Protocol::of(direction).contains(protocol));
        let name = Name::parse(clean(token)).ok().filter(|_| auth == "oauth2");
        let (Some(protocol), Some(name)) = (protocol, name) else {
            continue;
        };
        let Some(token) = app.store.token(&name).await? else {
            continue;
        };
        if let Some(text) = warning(app, &token, direction, protocol).await?
            && !warnings.iter().any(|known: &TokenWarning| known.text == text)
        {
            warnings.push(TokenWarning { token: name, text });
        }
    }
    Ok(warnings)
}

async fn warning(app: &App, token: &Token, direction: Direction, protocol: Protocol) -> StoreResult<Option<String>> {
    let Some(provider) = app.store.provider_by_id(&token.provider_id).await? else {
        return Ok(None);
    };
    let (kind, name, wants) = (provider.template, &token.name, protocol.label());
    if protocol == Protocol::Graph && kind != TemplateKind::Microsoft && kind != TemplateKind::Custom {
        return Ok(Some(format!(
            "Token {name} is for {}, and Microsoft Graph takes tokens of Microsoft 365 only. Choose another token, or IMAP and SMTP.",
            kind.short_name()
        )));
    }
    // The app's own token is got for each service as it is needed.
    if token.grant == GrantType::ClientCredentials {
        return Ok(None);
    }
    let needed = side_scopes(token, &provider, direction, protocol);
    let mut missing = missing_scopes(kind, &needed, &token.scopes);
    if let Some(grant) = app.store.grant(&token.id).await? {
        let others = grant.others.iter().flat_map(|other| &other.scopes);
        let granted: Vec<String> = grant.granted_scopes.iter().chain(others).cloned().collect();
        missing = missing_scopes(kind, &missing, &granted);
    }
    if missing.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = missing.iter().map(|scope| short_scope(scope)).collect();
    let names = names.join(", ");
    let again = if token.grant.needs_person() {
        "then press Get authorization token there"
    } else {
        "and let an admin consent"
    };
    let is_for = match resource_of(kind, &token.scopes) {
        Some(Resource::Graph) => "Microsoft Graph",
        Some(Resource::Outlook) => "IMAP, POP and SMTP",
        _ => "",
    };
    Ok(Some(
        if !is_for.is_empty() && resource_of(kind, &missing) != resource_of(kind, &token.scopes) {
            let next = if token.grant.needs_person() {
                "Its next sign-in asks for that too: save, then press Get authorization token on the token's page."
            } else {
                "Save, then let an admin consent to that too."
            };
            format!("Token {name} is for {is_for}; {wants} needs {names} besides. {next} Or choose a token that is for {wants}.")
        } else {
            format!("Token {name} doesn't ask for {names}, which {wants} needs. Add it on the token's page, {again}.")
        },
    ))
}
