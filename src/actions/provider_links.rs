//! Links about a provider for people without an account (`ux.md`, 6.18): `/c/{code}` to consent for an organisation, `/s/{code}` to
//! enter the app's client secret. A link is for one thing at one provider, once, for 72 hours at most; it can be taken back, and ends
//! by itself when the provider becomes another app or goes elsewhere.

use super::links::{LONGEST, LinkState};
use super::providers::trial::{self, Trial};
use super::{ActionError, providers, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Date;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::consent::{self as model, LinkKind, ProviderLink};
use crate::model::provider::Provider;
use crate::model::report::Diagnosis;
use crate::oauth::Client;
use crate::secret::{ClientSecret, Nonce};
use crate::store::{StoreResult, Tx};
use crate::vault::sha256;

/// How often may the button behind a link be pressed?
pub const TRIES: i64 = 20;
/// How many octets a code is made of.
const CODE_OCTETS: usize = 24;

/// The state of a link to this provider.
pub fn state(link: &ProviderLink, provider: &Provider, now: Timestamp) -> LinkState {
    if link.used_at.is_some() {
        LinkState::Used
    } else if link.withdrawn {
        LinkState::Withdrawn
    } else if now > link.expires_at || link.app != model::app(provider) {
        LinkState::Ended
    } else {
        LinkState::Ready
    }
}

const fn path(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Consent => "/c/",
        LinkKind::Secret => "/s/",
    }
}

/// A new link.
#[derive(Debug)]
pub struct NewLink {
    /// As it is stored.
    pub link: ProviderLink,
    /// Its address. Holds the code, which nothing else does: shown once.
    pub url: Nonce,
}

/// Makes a link.
pub async fn create(app: &App, actor: &Actor, provider: &Provider, kind: LinkKind) -> StoreResult<NewLink> {
    let now = app.clock.now();
    let code = app.random.base64url(CODE_OCTETS);
    let link = ProviderLink {
        id: app.new_id(),
        code_hash: sha256(&code),
        kind,
        provider_id: provider.id.clone(),
        app: model::app(provider),
        created_by: actor.name.clone(),
        created_at: now,
        expires_at: now.plus(LONGEST),
        opened_at: None,
        used_at: None,
        withdrawn: false,
        tries: 0,
    };
    let mut tx = app.store.begin().await?;
    tx.insert_provider_link(&link).await?;
    let detail = format!("{kind} link, ends {}", link.expires_at.to_rfc3339());
    audit(app, &mut tx, actor, "link.create", provider, detail).await?;
    tx.commit().await?;
    Ok(NewLink {
        link,
        url: Nonce::new(settings::url(app, &format!("{}{code}", path(kind))).await?),
    })
}

/// The link of a code, with its provider.
pub async fn find(app: &App, kind: LinkKind, code: &str) -> StoreResult<Option<(ProviderLink, Provider)>> {
    // Longer than any code is: not worth a look.
    if code.len() > 100 {
        return Ok(None);
    }
    let Some(link) = app.store.provider_link_by_code(kind, &sha256(code)).await? else {
        return Ok(None);
    };
    let provider = app.store.provider_by_id(&link.provider_id).await?;
    Ok(provider.map(|provider| (link, provider)))
}

/// Notes that a link was opened, for whoever sent it. It isn't used up by that: mail scanners open links too.
pub async fn opened(app: &App, link: &ProviderLink, provider: &Provider) -> StoreResult<()> {
    let now = app.clock.now();
    if link.opened_at.is_some() || state(link, provider, now) != LinkState::Ready {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    tx.mark_provider_link_opened(&link.id, now).await?;
    tx.commit().await
}

/// Counts a press of the button; false: it was pressed too often, or the link is over.
pub async fn count_try(app: &App, link: &ProviderLink) -> StoreResult<bool> {
    let mut tx = app.store.begin().await?;
    let counted = tx.try_provider_link(&link.id, TRIES).await?;
    tx.commit().await?;
    Ok(counted)
}

/// Takes a link back.
pub async fn withdraw(app: &App, actor: &Actor, provider: &Provider, kind: LinkKind, id: &str) -> Result<(), ActionError> {
    let link = app.store.provider_link(id).await?;
    if !link.is_some_and(|link| link.provider_id == provider.id && link.kind == kind) {
        return Err(ActionError::NotFound("link"));
    }
    let mut tx = app.store.begin().await?;
    if tx.withdraw_provider_link(id).await? {
        audit(app, &mut tx, actor, "link.withdraw", provider, format!("{kind} link")).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What became of a client secret that was entered through a link.
#[derive(Debug, Clone, PartialEq)]
pub enum Entered {
    /// The provider takes it, and it is in use.
    Done,
    /// The provider refuses it; nothing was stored.
    Refused(Diagnosis),
    /// It couldn't be tried, or the answer doesn't tell; nothing was stored.
    Untried,
    /// The link was used, withdrawn or ended meanwhile; nothing was stored.
    Over,
}

/// Enters a client secret through a link: it is tried at the provider first, and only one that is taken there is stored and uses the
/// link up. Nobody here could say "save it all the same" for a stranger.
pub async fn enter_secret(
    app: &App,
    actor: &Actor,
    link: &ProviderLink,
    provider: &Provider,
    secret: &ClientSecret,
    expires: Option<Date>,
) -> Result<Entered, ActionError> {
    let entered = match trial::try_client(app, &Client::new(provider, Some(secret.clone()))).await {
        Trial::Accepted(_) => Entered::Done,
        Trial::Refused(diagnosis, _) => Entered::Refused(diagnosis),
        Trial::Unclear(_) | Trial::Unreachable(..) => Entered::Untried,
    };
    let is_same = link.kind == LinkKind::Secret && link.provider_id == provider.id && link.app == model::app(provider);
    // Claimed before anything is stored: of two that come at once one is too late.
    let mut tx = app.store.begin().await?;
    let claimed = entered == Entered::Done && is_same && tx.use_provider_link(&link.id, app.clock.now()).await?;
    let detail = match (&entered, claimed) {
        (Entered::Refused(diagnosis), _) => format!("refused: {}", diagnosis.title),
        (Entered::Done, true) => "the provider takes it".to_owned(),
        (Entered::Done, false) => "the link is over".to_owned(),
        _ => "it couldn't be tried".to_owned(),
    };
    let entry = AuditEntry {
        action: "link.secret",
        target: format!("provider:{}", provider.name),
        detail,
        outcome: if claimed { "ok" } else { "refused" },
    };
    tx.audit(app.clock.now(), actor, entry).await?;
    tx.commit().await?;
    match entered {
        Entered::Done if !claimed => return Ok(Entered::Over),
        Entered::Done => {}
        other => return Ok(other),
    }
    if let Err(error) = providers::replace_secret(app, actor, provider, secret, expires).await {
        // Nothing was stored, so nothing was used up.
        let mut tx = app.store.begin().await?;
        tx.reopen_provider_link(&link.id).await?;
        tx.commit().await?;
        return Err(error);
    }
    // So that the provider's page doesn't show the check of the old one beside it.
    if let Some(now) = app.store.provider_by_id(&provider.id).await?
        && let Err(error) = trial::check(app, actor, &now).await
    {
        tracing::warn!(error = %error, "Provider {} could not be checked: {error}", provider.name);
    }
    Ok(Entered::Done)
}

async fn audit(app: &App, tx: &mut Tx, actor: &Actor, action: &'static str, provider: &Provider, detail: String) -> StoreResult<()> {
    let entry = AuditEntry {
        action,
        target: format!("provider:{}", provider.name),
        detail,
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}
