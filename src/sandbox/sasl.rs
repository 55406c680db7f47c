//! Sign-ins at the mail servers: what the client's message says, and whether its token opens the mailbox.

use super::fault::Fault;
use super::state::{House, Shared};
use super::wire::Service;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    XOAuth2,
    OAuthBearer,
    Plain,
}

impl Mechanism {
    /// By its name, if this house has it.
    pub fn find(name: &str, house: House) -> Option<Self> {
        let found = match name.to_ascii_uppercase().as_str() {
            "XOAUTH2" => Self::XOAuth2,
            "OAUTHBEARER" => Self::OAuthBearer,
            "PLAIN" => Self::Plain,
            _ => return None,
        };
        (found != Self::OAuthBearer || house != House::Microsoft).then_some(found)
    }
}

/// Why a sign-in fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// Not base64, or not in the form of the mechanism.
    Malformed,
    /// A password, which is taken no more.
    Password,
    /// The token is unknown, has run out, or is for another resource.
    Token,
    /// The token lacks the permission for this protocol.
    Scope,
    /// The token is good, but not for this mailbox.
    Mailbox,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// The mailbox.
    pub mailbox: String,
    /// Who signed in, or which app.
    pub by: String,
}

/// What a client's message says.
struct Credentials {
    user: String,
    /// None: a password was sent.
    token: Option<String>,
}

fn read(mechanism: Mechanism, message: &[u8]) -> Option<Credentials> {
    let text = std::str::from_utf8(message).ok()?;
    match mechanism {
        Mechanism::Plain => {
            let mut parts = text.split('\0');
            let (_, user, _) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next().is_none().then(|| Credentials {
                user: user.to_owned(),
                token: None,
            })
        }
        Mechanism::XOAuth2 => {
            let rest = text.strip_prefix("user=")?;
            let (user, rest) = rest.split_once('\x01')?;
            let token = rest.strip_prefix("auth=Bearer ")?.strip_suffix("\x01\x01")?;
            fine(user, token)
        }
        Mechanism::OAuthBearer => {
            let (header, rest) = text.split_once('\x01')?;
            let name = header.strip_prefix("n,a=")?.strip_suffix(',')?;
            let fields = rest.strip_suffix("\x01\x01")?;
            let token = fields.split('\x01').find_map(|field| field.strip_prefix("auth=Bearer "))?;
            fine(&name.replace("=2C", ",").replace("=3D", "="), token)
        }
    }
}

fn fine(user: &str, token: &str) -> Option<Credentials> {
    let plain = !user.is_empty() && !user.chars().any(char::is_control);
    let bearer = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    (plain && bearer).then(|| Credentials {
        user: user.to_owned(),
        token: Some(token.to_owned()),
    })
}

/// The error document of the mechanism, for the houses that send one; in base64.
pub(super) fn challenge(mechanism: Mechanism, house: House, denial: Denial, shared: &Shared) -> Option<String> {
    if house == House::Microsoft || mechanism == Mechanism::Plain || denial == Denial::Malformed {
        return None;
    }
    let scope = match house {
        House::Google => "https://mail.google.com/",
        _ => "mail",
    };
    let document = match (mechanism, denial) {
        (Mechanism::OAuthBearer, Denial::Scope) => json!({"status": "insufficient_scope", "scope": scope}),
        (Mechanism::OAuthBearer, _) => json!({
            "status": "invalid_token", "scope": scope,
            "openid-configuration": format!("{}/.well-known/openid-configuration", shared.issuer(house)),
        }),
        (_, Denial::Scope) => json!({"status": "403", "schemes": "Bearer", "scope": scope}),
        _ => json!({"status": "400", "schemes": "Bearer", "scope": scope}),
    };
    Some(STANDARD.encode(document.to_string()))
}

/// Decides a sign-in from the client's message, in base64.
pub(super) fn decide(shared: &Shared, house: House, service: Service, mechanism: Mechanism, message: &str) -> Result<Opened, Denial> {
    let message = STANDARD.decode(message.trim()).map_err(|_| Denial::Malformed)?;
    let credentials = read(mechanism, &message).ok_or(Denial::Malformed)?;
    let Some(token) = credentials.token else {
        return Err(Denial::Password);
    };
    if shared.faults().hits(Fault::TokenRefused) {
        return Err(Denial::Token);
    }
    let (delegated, app) = match service {
        Service::Imap => ("IMAP.AccessAsUser.All", "IMAP.AccessAsApp"),
        Service::Pop3 => ("POP.AccessAsUser.All", "POP.AccessAsApp"),
        Service::Smtp => ("SMTP.Send", "SMTP.SendAsApp"),
    };
    let wanted = |user: bool| match house {
        House::Microsoft if user => delegated,
        House::Microsoft => app,
        House::Google => "https://mail.google.com/",
        House::Open => "mail",
    };
    may_open(shared, house, &token, &credentials.user, |scopes, user| {
        let fits = |scope: &String| short(scope).eq_ignore_ascii_case(wanted(user)) || (house == House::Open && scope == "mail-w");
        scopes.iter().any(fits)
    })
}

/// A scope without its resource.
pub(super) fn short(scope: &str) -> &str {
    match scope.strip_prefix("https://outlook.") {
        Some(rest) => rest.split_once('/').map_or(scope, |(_, name)| name),
        None => scope,
    }
}

/// Whether a token opens a mailbox: it is alive, for Outlook, has the permission, and its owner may.
fn may_open(
    shared: &Shared,
    house: House,
    token: &str,
    mailbox: &str,
    permits: impl Fn(&[String], bool) -> bool,
) -> Result<Opened, Denial> {
    let now = shared.now();
    let world = shared.world();
    let access = world.access.get(token).ok_or(Denial::Token)?;
    if access.ends <= now || (house == House::Microsoft && !access.audience.contains("outlook.office")) {
        return Err(Denial::Token);
    }
    let of_house = world.client(&access.grant.client).is_some_and(|client| client.house == house);
    if !of_house {
        return Err(Denial::Token);
    }
    if !permits(&access.grant.scopes, access.grant.user.is_some()) {
        return Err(Denial::Scope);
    }
    let person = world
        .person(mailbox)
        .filter(|person| person.house == house)
        .ok_or(Denial::Mailbox)?;
    let (by, may) = match &access.grant.user {
        Some(user) => (
            user.clone(),
            user.eq_ignore_ascii_case(&person.address) || person.delegates.iter().any(|d| d.eq_ignore_ascii_case(user)),
        ),
        None => (access.grant.client.clone(), person.apps.contains(&access.grant.client)),
    };
    may.then(|| Opened {
        mailbox: person.address.clone(),
        by,
    })
    .ok_or(Denial::Mailbox)
}
