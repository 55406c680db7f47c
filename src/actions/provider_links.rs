//! Links about a provider for people without an account (`ux.md`, 6.18): `/c/{code}` to consent for an organisation, `/s/{code}` to
//! enter what the app proves itself with: its client secret, its certificate, or the key of its service account. A link is for one thing at one provider, once, for 72 hours at most; it can be taken back, and ends
//! by itself when the provider becomes another app or goes elsewhere.

use super::links::{LONGEST, LinkState};
use super::providers::credential::{self, New};
use super::providers::trial::{self, Trial};
use super::providers::{self, service_account};
use super::{ActionError, notices, place, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::consent::{self as model, LinkKind, ProviderLink};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::Diagnosis;
use crate::model::token::GrantType;
use crate::oauth::{Client, ServiceKey};
use crate::secret::{KeyFile, Nonce};
use crate::store::{StoreError, StoreResult, Tx};
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
    } else if now > link.expires_at || link.app != model::app(provider) || !is_asked_for(link.kind, provider) {
        LinkState::Ended
    } else {
        LinkState::Ready
    }
}

/// What a link `/s/{code}` to this provider asks for; none where the provider proves itself without a secret.
pub fn asks_for(provider: &Provider) -> Option<LinkKind> {
    match (provider.grant, provider.client_auth) {
        (GrantType::JwtBearer, _) => Some(LinkKind::ServiceKey),
        // It waits until the provider has its public half.
        _ if provider.credentials.next.is_some() => Some(LinkKind::Certificate),
        (_, ClientAuth::SecretPost | ClientAuth::SecretBasic) => Some(LinkKind::Secret),
        (_, ClientAuth::Certificate) => Some(LinkKind::Certificate),
        (_, ClientAuth::None) => None,
    }
}

/// A link is for what it was made for, also where the provider wants something else now.
fn is_asked_for(kind: LinkKind, provider: &Provider) -> bool {
    kind == LinkKind::Consent || asks_for(provider) == Some(kind)
}

const fn path(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Consent => "/c/",
        LinkKind::Secret | LinkKind::Certificate | LinkKind::ServiceKey => "/s/",
    }
}

/// The kinds of links behind `/s/{code}`.
pub const SECRETS: [LinkKind; 3] = [LinkKind::Secret, LinkKind::Certificate, LinkKind::ServiceKey];

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

/// The link of a code, with its provider, if it is of one of these kinds.
pub async fn find(app: &App, kinds: &[LinkKind], code: &str) -> StoreResult<Option<(ProviderLink, Provider)>> {
    // Longer than any code is: not worth a look.
    if code.len() > 100 {
        return Ok(None);
    }
    let found = app.store.provider_link_by_code(&sha256(code)).await?;
    let Some(link) = found.filter(|link| kinds.contains(&link.kind)) else {
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
pub async fn withdraw(app: &App, actor: &Actor, provider: &Provider, kinds: &[LinkKind], id: &str) -> Result<(), ActionError> {
    let link = app.store.provider_link(id).await?;
    let own = link.filter(|link| link.provider_id == provider.id && kinds.contains(&link.kind));
    let link = own.ok_or(ActionError::NotFound("link"))?;
    let mut tx = app.store.begin().await?;
    if tx.withdraw_provider_link(id).await? {
        audit(app, &mut tx, actor, "link.withdraw", provider, format!("{} link", link.kind)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What was entered through a link.
#[derive(Debug, Clone)]
pub enum Brought {
    /// A client secret or a certificate.
    Credential(New),
    /// The key of a service account, and its file.
    Key(ServiceKey, KeyFile),
    /// Nothing: the provider was given the public half of the certificate that is here already.
    Uploaded,
}

impl Brought {
    const fn kind(&self) -> LinkKind {
        match self {
            Self::Credential(New::Secret(..)) => LinkKind::Secret,
            Self::Credential(New::Certificate(_) | New::Waiting) | Self::Uploaded => LinkKind::Certificate,
            Self::Key(..) => LinkKind::ServiceKey,
        }
    }
}

/// What became of what was entered through a link.
#[derive(Debug, Clone, PartialEq)]
pub enum Entered {
    /// The provider takes it, and it is in use.
    Done,
    /// The provider refuses it; nothing was stored.
    Refused(Diagnosis),
    /// It couldn't be tried, or the answer doesn't tell; nothing was stored.
    Untried,
    /// The link was used, withdrawn or ended meanwhile, or is for something else; nothing was stored.
    Over,
}

/// Takes in what was entered through a link: it is tried at the provider first, and only what is taken there is stored and uses the link
/// up. Nobody here could say "save it all the same" for a stranger. Both happen in one transaction: whatever stops the program in between
/// leaves a link that still works.
pub async fn enter(app: &App, actor: &Actor, link: &ProviderLink, provider: &Provider, brought: Brought) -> Result<Entered, ActionError> {
    let key_before = app.store.service_account(&provider.id).await?.map(|stored| stored.version);
    let (trial, candidate) = match &brought {
        Brought::Credential(new) => {
            let candidate = credential::candidate(app, actor, provider, new)?;
            let held = candidate.held().ok_or(StoreError::Stale)?;
            let client = Client::with(&candidate, place::credential(app, &candidate, &held)?);
            (trial::try_client(app, &client).await, Some(candidate))
        }
        Brought::Uploaded => {
            let candidate = match provider.credentials.next {
                Some(_) => Some(credential::candidate(app, actor, provider, &New::Waiting)?),
                None => None,
            };
            let used = candidate.as_ref().unwrap_or(provider);
            let held = used.held().ok_or(StoreError::Stale)?;
            let client = Client::with(used, place::credential(app, used, &held)?);
            (trial::try_client(app, &client).await, candidate)
        }
        Brought::Key(key, _) => {
            let trial = match trial::acting(app, provider).await? {
                Some(token) => trial::try_key(app, provider, key, &token).await,
                None => trial::try_service_key(app, provider, key).await,
            };
            (trial, None)
        }
    };
    let entered = match trial {
        Trial::Accepted(_) => Entered::Done,
        Trial::Refused(diagnosis, _) => Entered::Refused(diagnosis),
        Trial::Unclear(_) | Trial::Unreachable(..) => Entered::Untried,
    };
    let now = app.clock.now();
    let is_same = link.kind == brought.kind()
        && link.provider_id == provider.id
        && link.app == model::app(provider)
        && is_asked_for(link.kind, provider);
    let mut tx = app.store.begin().await?;
    // Of two that come at once one is too late.
    let claimed = entered == Entered::Done && is_same && tx.use_provider_link(&link.id, now).await?;
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
    tx.audit(now, actor, entry).await?;
    if claimed {
        let path = format!("/providers/{}", provider.name);
        notices::link_used(app, &mut tx, "secret link", provider.name.as_str(), path).await?;
        if let Some(candidate) = candidate {
            providers::save(app, &mut tx, actor, provider, candidate).await?;
        }
        if let Brought::Key(key, file) = &brought {
            service_account::unchanged(&mut tx, provider, key_before).await?;
            service_account::set(app, &mut tx, actor, provider, key, file).await?;
        }
    }
    tx.commit().await?;
    if entered == Entered::Done && !claimed {
        return Ok(Entered::Over);
    }
    // So that the provider's page doesn't show the check of the old one beside it.
    if claimed
        && let Some(now) = app.store.provider_by_id(&provider.id).await?
        && let Err(error) = trial::check(app, actor, &now).await
    {
        tracing::warn!(provider.name = %provider.name, error = %error, "Provider {} could not be checked: {error}", provider.name);
    }
    Ok(entered)
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
