//! What a diagnosis or a warning proposes to change in a mailbox, put into its form: `?fix=tls&side=incoming` on the way in, a button
//! `fix:tls:incoming` within. A link says which proposal it is and no more: what is put in follows from the form itself, by the rules of the
//! diagnosis, and nothing is saved before a person does.

use super::MailboxForm;
use crate::app::App;
use crate::diagnosis::ahead::host_meant;
use crate::diagnosis::case::Aim;
use crate::diagnosis::ways::act::Fix;
use crate::model::Name;
use crate::model::mailbox::{AuthKind, Protocol, Security};
use crate::model::report::Direction;
use crate::web::error::PageError;
use crate::web::form::clean;
use serde::Deserialize;

/// What the address of the form asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FixQuery {
    fix: String,
    side: String,
}

impl FixQuery {
    /// The proposal, and whether it is about sending.
    pub(super) fn wanted(&self) -> Option<(Fix, Direction)> {
        let side = Direction::parse(&self.side).unwrap_or(Direction::Incoming);
        Fix::parse(&self.fix).map(|fix| (fix, side))
    }
}

/// What the address of a proposal ends in.
pub(in crate::web::pages::mailboxes) fn query((fix, side): (Fix, Direction)) -> String {
    format!("fix={fix}&side={side}")
}

/// What the button of a proposal sends.
pub(super) fn act((fix, side): (Fix, Direction)) -> String {
    format!("fix:{fix}:{side}")
}

/// The proposal behind a button.
pub(super) fn of_act(act: &str) -> Option<(Fix, Direction)> {
    let (fix, side) = act.strip_prefix("fix:")?.split_once(':')?;
    Fix::parse(fix).zip(Direction::parse(side))
}

/// A field that a proposal changed, and what was in it, for its mark.
pub(super) type PutIn = (String, String);

/// Fields that differ now.
pub(super) fn put_in(before: &MailboxForm, after: &MailboxForm) -> Vec<PutIn> {
    let all = before.pairs(false).into_iter().zip(after.pairs(false));
    all.filter(|((_, old), (_, new))| old != new).map(|(old, _)| old).collect()
}

/// A value as the form calls it.
pub(super) fn told(field: &str, value: &str) -> String {
    let security = Security::parse(value).filter(|_| field.ends_with("security"));
    let protocol = Protocol::parse(value).filter(|_| matches!(field, "incoming" | "outgoing"));
    let auth = AuthKind::parse(value).filter(|_| field.ends_with("auth"));
    match (security, protocol, auth) {
        (Some(Security::Tls), ..) => "TLS from the start".to_owned(),
        (Some(Security::Starttls), ..) => "STARTTLS".to_owned(),
        (Some(Security::None), ..) => "no encryption".to_owned(),
        (_, Some(protocol), _) => protocol.label().to_owned(),
        (.., Some(AuthKind::OAuth2)) => "a token".to_owned(),
        (.., Some(AuthKind::Password)) => "a password".to_owned(),
        _ if field == "separate" && value.is_empty() => "off".to_owned(),
        _ if value.is_empty() => "empty".to_owned(),
        _ => value.to_owned(),
    }
}

/// The fields of one side. Where both sides sign in alike, those of the sign-in are the same for both.
struct Side<'a> {
    protocol: &'a mut String,
    host: &'a mut String,
    port: &'a mut String,
    security: &'a mut String,
    auth: &'a mut String,
    token: &'a mut String,
    username: &'a mut String,
}

impl MailboxForm {
    fn side(&mut self, side: Direction) -> Side<'_> {
        let separate = self.is_separate();
        let (auth, token, username) = if side == Direction::Outgoing && separate {
            (&mut self.outgoing_auth, &mut self.outgoing_token, &mut self.outgoing_username)
        } else {
            (&mut self.auth, &mut self.token, &mut self.username)
        };
        let (protocol, host, port, security) = match side {
            Direction::Incoming => (
                &mut self.incoming,
                &mut self.incoming_host,
                &mut self.incoming_port,
                &mut self.incoming_security,
            ),
            Direction::Outgoing => (
                &mut self.outgoing,
                &mut self.outgoing_host,
                &mut self.outgoing_port,
                &mut self.outgoing_security,
            ),
        };
        Side {
            protocol,
            host,
            port,
            security,
            auth,
            token,
            username,
        }
    }

    /// Lets a side sign in by itself where what both share won't do for it any more.
    fn separate_from(&mut self, side: Direction) {
        let other = match side {
            Direction::Incoming => &self.outgoing,
            Direction::Outgoing => &self.incoming,
        };
        if self.is_separate() || matches!(other.as_str(), "none" | "graph") {
            return;
        }
        "1".clone_into(&mut self.separate);
        self.outgoing_auth.clone_from(&self.auth);
        self.outgoing_token.clone_from(&self.token);
        self.outgoing_username.clone_from(&self.username);
    }
}

/// Puts the change into the form, and says what was put in; none where there is nothing to put in.
pub(super) async fn apply(app: &App, (fix, direction): (Fix, Direction), form: &mut MailboxForm) -> Result<Option<String>, PageError> {
    let address = clean(&form.address).to_owned();
    let side = form.side(direction);
    let server = Protocol::parse(side.protocol).filter(|protocol| *protocol != Protocol::Graph);
    let what = match (fix, server) {
        (Fix::Tls, Some(protocol)) => {
            let port = protocol.ports().0;
            (*side.port, *side.security) = (port.to_string(), Security::Tls.to_string());
            format!("port {port} with TLS from the start")
        }
        (Fix::Starttls, Some(protocol)) => {
            let port = protocol.ports().1;
            (*side.port, *side.security) = (port.to_string(), Security::Starttls.to_string());
            format!("port {port} with STARTTLS")
        }
        (Fix::Host, Some(protocol)) => {
            let aim = Aim {
                protocol,
                direction,
                host: clean(side.host).to_ascii_lowercase(),
                port: clean(side.port).parse().unwrap_or_default(),
                security: Security::parse(side.security).unwrap_or(Security::Tls),
                password: false,
                user_name: address.clone(),
                address,
            };
            let Some(host) = host_meant(&aim) else {
                return Ok(None);
            };
            host.clone_into(side.host);
            format!("the server {host}")
        }
        (Fix::UserName, _) => {
            let name = user_name(app, side.token, &address).await?;
            name.clone_into(side.username);
            if name.is_empty() {
                "the mailbox's own address as user name".to_owned()
            } else {
                format!("the user name {name}")
            }
        }
        (Fix::OAuth, _) => {
            AuthKind::OAuth2.to_string().clone_into(side.auth);
            with_own_token(app, &address, side.token, "in place of the password").await?
        }
        (Fix::Token, _) => {
            let former = std::mem::take(side.token);
            match own_token(app, &address, &former).await? {
                Some(own) => {
                    *side.token = own;
                    format!("token {}, which is for {address}", side.token)
                }
                None => "no token. Choose one that belongs to this mailbox, or get one for it".to_owned(),
            }
        }
        (Fix::Graph, _) => {
            Protocol::Graph.to_string().clone_into(side.protocol);
            let mut words = "Microsoft Graph. Its token has to allow it; a test shows whether it does".to_owned();
            if AuthKind::parse(side.auth) != Some(AuthKind::OAuth2) {
                form.separate_from(direction);
                let side = form.side(direction);
                AuthKind::OAuth2.to_string().clone_into(side.auth);
                let token = with_own_token(app, &address, side.token, "in place of the password").await?;
                words = format!("Microsoft Graph, and {token}");
            }
            words
        }
        (Fix::Sender, _) => {
            form.from.clear();
            "the mailbox's own address as sender".to_owned()
        }
        (Fix::Tls | Fix::Starttls | Fix::Host, None) => return Ok(None),
    };
    Ok(Some(format!("Put in for you: {what}. Nothing is saved yet.")))
}

/// Chooses the mailbox's own token where there is one; in words.
async fn with_own_token(app: &App, address: &str, token: &mut String, then: &str) -> Result<String, PageError> {
    if token.is_empty()
        && let Some(own) = own_token(app, address, "").await?
    {
        *token = own;
    }
    Ok(match token.as_str() {
        "" => format!("a token {then}. Choose it below, or get one for this mailbox"),
        token => format!("token {token} {then}"),
    })
}

/// The token of this very address, other than one.
pub(super) async fn own_token(app: &App, address: &str, other_than: &str) -> Result<Option<String>, PageError> {
    let tokens = app.store.tokens().await?;
    let is_own = |user: &str| user.eq_ignore_ascii_case(address);
    let mut own = tokens.iter().filter(|token| token.user.as_deref().is_some_and(is_own));
    Ok(own
        .find(|token| token.name.as_str() != other_than)
        .map(|token| token.name.to_string()))
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
