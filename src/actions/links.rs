//! Sign-in links `/l/{code}` (OAUTH-15; `ux.md`, 6.18): for people without an account here, for a private window, and for
//! `token authorize`. A link is for one token and one sign-in, ends after 72 hours at the latest, and can be taken back.

use super::authorize::Outcome;
use super::tokens::audit;
use super::{ActionError, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::Actor;
use crate::model::token::{GrantType, Link, Prompt, Token};
use crate::secret::Nonce;
use crate::store::StoreError;
use crate::vault::sha256;

/// The longest life of a link, in seconds.
pub const LONGEST: i64 = 72 * 3600;
/// How many octets a code is made of.
const CODE_OCTETS: usize = 24;

/// What can be done with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It can be used.
    Ready,
    /// Somebody signed in through it.
    Used,
    /// Its time is over.
    Ended,
    /// It was taken back.
    Withdrawn,
}

/// The state of a link.
pub fn state(link: &Link, now: Timestamp) -> LinkState {
    if link.used_at.is_some() {
        LinkState::Used
    } else if link.withdrawn {
        LinkState::Withdrawn
    } else if now > link.expires_at {
        LinkState::Ended
    } else {
        LinkState::Ready
    }
}

/// The prompt of the next sign-in through a link. After another account's, or one that was cancelled because of the account it offered,
/// the provider would hand that one back without asking.
pub fn next_prompt(link: &Link) -> Prompt {
    match Outcome::read(&link.outcome, &link.detail) {
        Some(Outcome::DifferentAccount { .. } | Outcome::DifferentTenant { .. } | Outcome::Cancelled) => Prompt::SelectAccount,
        _ => link.prompt,
    }
}

/// A new link.
#[derive(Debug)]
pub struct NewLink {
    /// As it is stored.
    pub link: Link,
    /// Its address. Holds the code, which nothing else does: shown once.
    pub url: Nonce,
}

/// Why somebody with a link could not sign in for a token like this; none: they can.
fn useless(token: &Token) -> Option<String> {
    let name = &token.name;
    match token.grant {
        GrantType::AuthorizationCode => None,
        GrantType::DeviceCode => Some(format!(
            "A sign-in link is of no use for the token {name}: its sign-in takes a code at another device. Start it on the token's page and send the code"
        )),
        GrantType::ClientCredentials | GrantType::Password | GrantType::JwtBearer => Some(format!(
            "A sign-in link is of no use for the token {name}: nobody signs in for it. Choose Get token on its page"
        )),
    }
}

/// Makes a link. `seconds` is cut to [`LONGEST`]. Refused for a token that nobody can sign in for with one.
pub async fn create(app: &App, actor: &Actor, token: &Token, prompt: Prompt, seconds: i64) -> Result<NewLink, ActionError> {
    if let Some(problem) = useless(token) {
        return Err(ActionError::field("grant", problem));
    }
    let now = app.clock.now();
    let code = app.random.base64url(CODE_OCTETS);
    let link = Link {
        id: app.new_id(),
        code_hash: sha256(&code),
        token_id: token.id.clone(),
        prompt,
        created_by: actor.name.clone(),
        created_at: now,
        expires_at: now.plus(seconds.clamp(60, LONGEST)),
        opened_at: None,
        used_at: None,
        withdrawn: false,
        outcome: String::new(),
        detail: String::new(),
    };
    let mut tx = app.store.begin().await?;
    tx.insert_link(&link).await?;
    let detail = format!("ends {}", link.expires_at.to_rfc3339());
    audit(app, &mut tx, actor, "link.create", token, detail, "ok").await?;
    tx.commit().await?;
    Ok(NewLink {
        link,
        url: Nonce::new(settings::url(app, &format!("/l/{code}")).await?),
    })
}

/// The link of a code, with its token.
pub async fn find(app: &App, code: &str) -> Result<Option<(Link, Token)>, StoreError> {
    // Longer than any code is: not worth a look.
    if code.len() > 100 {
        return Ok(None);
    }
    let Some(link) = app.store.link_by_code(&sha256(code)).await? else {
        return Ok(None);
    };
    Ok(app.store.token_by_id(&link.token_id).await?.map(|token| (link, token)))
}

/// Notes that a link was opened, for whoever sent it. It isn't used up by that: mail scanners open links too.
pub async fn opened(app: &App, link: &Link) -> Result<(), StoreError> {
    if link.opened_at.is_some() || state(link, app.clock.now()) != LinkState::Ready {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.mark_link_opened(&link.id, app.clock.now()).await?;
    tx.commit().await
}

/// Takes a link back.
pub async fn withdraw(app: &App, actor: &Actor, token: &Token, link: &Link) -> Result<(), ActionError> {
    if link.token_id != token.id {
        return Err(ActionError::NotFound("link"));
    }
    let mut tx = app.store.begin().await?;
    tx.withdraw_link(&link.id).await?;
    audit(app, &mut tx, actor, "link.withdraw", token, String::new(), "ok").await?;
    tx.commit().await?;
    Ok(())
}
