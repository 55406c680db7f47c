//! What a diagnosis proposes to change in a mailbox, put into its form: `?fix=tls&side=incoming`. Nothing of the address itself gets
//! into a field, and nothing is saved before a person does.

use super::MailboxForm;
use crate::app::App;
use crate::diagnosis::ways::act::{Fix, meant};
use crate::model::Name;
use crate::model::mailbox::{AuthKind, Protocol, Security};
use crate::web::error::PageError;
use serde::Deserialize;

/// What the address of the form asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FixQuery {
    fix: String,
    side: String,
}

/// Puts the change into the form, and says what was put in; none where nothing is asked for.
pub(super) async fn apply(app: &App, query: &FixQuery, form: &mut MailboxForm) -> Result<Option<String>, PageError> {
    let Some(fix) = Fix::parse(&query.fix) else {
        return Ok(None);
    };
    let outgoing = query.side == "outgoing";
    let own_sign_in = outgoing && form.is_separate();
    let protocol = Protocol::parse(if outgoing { &form.outgoing } else { &form.incoming });
    let server = protocol.filter(|protocol| *protocol != Protocol::Graph);
    let what = match (fix, server) {
        (Fix::Tls, Some(protocol)) => {
            let port = protocol.ports().0;
            form.set_port(outgoing, port, Security::Tls);
            format!("port {port} with TLS from the start")
        }
        (Fix::Starttls, Some(protocol)) => {
            let port = protocol.ports().1;
            form.set_port(outgoing, port, Security::Starttls);
            format!("port {port} with STARTTLS")
        }
        (Fix::Host, Some(_)) => {
            let host = if outgoing {
                &mut form.outgoing_host
            } else {
                &mut form.incoming_host
            };
            let Some(known) = meant(host) else {
                return Ok(None);
            };
            known.clone_into(host);
            format!("the server {known}")
        }
        (Fix::UserName, _) => {
            let token = if own_sign_in { &form.outgoing_token } else { &form.token };
            let name = user_name(app, token, &form.address).await?;
            let field = if own_sign_in {
                &mut form.outgoing_username
            } else {
                &mut form.username
            };
            let words = if name.is_empty() {
                "the mailbox's own address as user name".to_owned()
            } else {
                format!("the user name {name}")
            };
            *field = name;
            words
        }
        (Fix::OAuth, _) => {
            let auth = if own_sign_in { &mut form.outgoing_auth } else { &mut form.auth };
            *auth = AuthKind::OAuth2.to_string();
            "a token in place of the password. Choose it below, or get one for this mailbox".to_owned()
        }
        (Fix::Graph, _) => {
            let field = if outgoing { &mut form.outgoing } else { &mut form.incoming };
            *field = Protocol::Graph.to_string();
            "Microsoft Graph. Its token has to allow it; a test shows whether it does".to_owned()
        }
        (Fix::Sender, _) => {
            form.from.clear();
            "the mailbox's own address as sender".to_owned()
        }
        (Fix::Token, _) => {
            let token = if own_sign_in { &mut form.outgoing_token } else { &mut form.token };
            token.clear();
            "no token. Choose one that belongs to this mailbox, or get one for it".to_owned()
        }
        (Fix::Tls | Fix::Starttls | Fix::Host, None) => return Ok(None),
    };
    Ok(Some(format!("Put in for you: {what}. Nothing is saved yet.")))
}

/// The user name that fits a token: the account's, or empty for the mailbox's own address.
async fn user_name(app: &App, token: &str, address: &str) -> Result<String, PageError> {
    let Ok(name) = Name::parse(token) else {
        return Ok(String::new());
    };
    let Some(token) = app.store.token(&name).await?.filter(|token| !token.shared) else {
        return Ok(String::new());
    };
    let signed_in = app.store.grant(&token.id).await?.map(|grant| grant.identity.account().to_owned());
    let account = signed_in.filter(|account| account.contains('@')).or(token.user).unwrap_or_default();
    Ok(if account.eq_ignore_ascii_case(address) {
        String::new()
    } else {
        account
    })
}
