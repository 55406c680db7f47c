//! Admin consent (`ux.md`, 6.9): somebody who may allows the app for their organisation, once. They go to the provider's page from here
//! or through a link `/c/{code}`, and come back to `/oauth/admin-consent/{provider}`. What comes back is a claim of their browser: it
//! is shown and changes no token. The proof is the app's own token, or the next sign-in.

mod outcome;
mod wanted;

pub use outcome::Outcome;
pub use wanted::{Wanted, plain, wanted};

use super::links::LinkState;
use super::{ActionError, place, provider_links, settings};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence as Clue, diagnose};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::consent::{self as model, Consent, ProviderLink};
use crate::model::lint::is_guid;
use crate::model::provider::Provider;
use crate::model::scopes;
use crate::model::{Name, Sealed, UserId};
use crate::oauth::{Client, ConsentParams, Declined, DiscoveryError, OAuthError, admin_consent, discovery};
use crate::secret::Nonce;
use crate::store::{StoreError, StoreResult, Tx};
use crate::vault::sha256;
use subtle::ConstantTimeEq;
use wanted::{Look, lacking, look};

/// How long may it take, in seconds? As long as a sign-in.
pub const LIFETIME: i64 = 10 * 60;
/// For how long are those kept that nobody came back from, in seconds?
const KEPT: i64 = 7 * 86_400;
/// How many random octets are in a state?
const STATE_OCTETS: usize = 32;

/// Whether this provider has a page where admins consent for everybody.
pub fn is_known(provider: &Provider) -> bool {
    provider.endpoints().admin_consent_url.is_some()
}

/// Where a provider sends an admin back to: registered there beside the redirect address.
pub async fn return_uri(app: &App, provider: &Provider) -> StoreResult<String> {
    settings::url(app, &format!("/oauth/admin-consent/{}", provider.name)).await
}

/// Where a consent has to come back.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// In the session and browser it was started in.
    Browser {
        /// The person.
        user: &'a UserId,
        /// SHA-256 of their session's id.
        session_hash: &'a str,
    },
    /// In the browser that opened the link.
    Link(&'a ProviderLink),
}

/// Why nobody can be sent to the provider.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The provider's record lacks something.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// The link was started too often, or can't be used any more.
    #[error("this link can't be used any more")]
    LinkWornOut,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A consent that can go to the provider.
#[derive(Debug)]
pub struct Begun {
    /// The attempt.
    pub consent: Consent,
    /// The value of the flow cookie (OAUTH-2).
    pub flow: Nonce,
}

/// Begins a consent: ten minutes, one return, one browser.
pub async fn begin(app: &App, actor: &Actor, provider: &Provider, mode: Mode<'_>) -> Result<Begun, BeginError> {
    let now = app.clock.now();
    let wanted = wanted(app, provider).await?;
    let state = Nonce::new(app.random.base64url(STATE_OCTETS));
    let flow = Nonce::new(app.random.base64url(STATE_OCTETS));
    let client = Client::new(provider, None);
    let url = admin_consent::address(&client, &wanted.scopes, &return_uri(app, provider).await?, &state)?;
    let mut consent = row(app, actor, provider);
    consent.sealed = app.vault.seal(&place::consent(&consent.id, &consent.app), &url);
    consent.state_hash = Some(sha256(state.expose_secret()));
    consent.flow_hash = Some(sha256(flow.expose_secret()));
    consent.scopes = wanted.permissions;
    consent.expires_at = now.plus(LIFETIME);
    match mode {
        Mode::Browser { user, session_hash } => {
            (consent.user_id, consent.session_hash) = (Some(user.clone()), Some(session_hash.to_owned()));
        }
        Mode::Link(link) => consent.link_id = Some(link.id.clone()),
    }
    let mut tx = app.store.begin().await?;
    tx.delete_old_consents(now.plus(-KEPT)).await?;
    if let Mode::Link(link) = mode
        && !tx.try_provider_link(&link.id, provider_links::TRIES).await?
    {
        return Err(BeginError::LinkWornOut);
    }
    tx.insert_consent(&consent).await?;
    audit(app, &mut tx, actor, "provider.consent.begin", provider, String::new(), "ok").await?;
    tx.commit().await?;
    Ok(Begun { consent, flow })
}

/// A consent of now, without anything that is on its way.
fn row(app: &App, actor: &Actor, provider: &Provider) -> Consent {
    let now = app.clock.now();
    Consent {
        id: app.new_id(),
        state_hash: None,
        provider_id: provider.id.clone(),
        app: model::app(provider),
        user_id: None,
        session_hash: None,
        flow_hash: None,
        link_id: None,
        scopes: Vec::new(),
        sealed: Sealed(String::new()),
        started_by: actor.name.clone(),
        started_at: now,
        expires_at: now,
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    }
}

/// The address at the provider, for the page before leaving. None once the provider is another app or goes elsewhere.
pub fn leave_url(app: &App, provider: &Provider, consent: &Consent) -> Option<String> {
    let place = place::consent(&consent.id, &consent.app);
    let is_same = consent.app == model::app(provider);
    let text = app.vault.open(&place, &consent.sealed).ok().filter(|_| is_same)?;
    Some(text.as_str().to_owned())
}

/// What the browser that came back can show for itself.
pub struct Evidence<'a> {
    /// Who is signed in to the console there.
    pub user: Option<&'a UserId>,
    /// SHA-256 of that session's id.
    pub session_hash: Option<&'a str>,
    /// The value of the flow cookie of an attempt.
    pub flow: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// Who acts, and from where.
    pub actor: &'a Actor,
}

/// A return from a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Returned {
    /// How it ended, or why it isn't looked at.
    pub outcome: Outcome,
    /// The consent it belongs to, for its own browser only: its id, and whether it came through a link.
    pub consent: Option<(String, bool)>,
}

impl From<Outcome> for Returned {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, consent: None }
    }
}

/// Finishes a consent by what came back. In this order: it is known, of this provider, of this browser, open and in time; then what
/// the provider says; then, where the app acts by itself, its own token.
pub async fn finish(app: &App, provider: &Name, query: &str, evidence: &Evidence<'_>) -> Result<Returned, ActionError> {
    let Some(provider) = app.store.provider(provider).await? else {
        return unknown(app, evidence, "no such provider").await;
    };
    let params = match ConsentParams::parse(query) {
        Ok(params) => params,
        Err(error) => return unknown(app, evidence, &error.to_string()).await,
    };
    let state = sha256(params.state.expose_secret());
    let consent = app.store.consent_by_state(&state).await?;
    let Some(consent) = consent.filter(|consent| consent.provider_id == provider.id) else {
        return unknown(app, evidence, "no such consent").await;
    };
    if let Some(why) = other_window(&consent, evidence) {
        // It stays open: its own browser may still come back.
        let mut tx = app.store.begin().await?;
        let detail = format!("the return came {why}");
        audit(app, &mut tx, evidence.actor, FINISH, &provider, detail, "refused").await?;
        tx.commit().await?;
        return Ok(Outcome::OtherWindow.into());
    }
    let back = Some((consent.id.clone(), consent.link_id.is_some()));
    let now = app.clock.now();
    if !consent.outcome.is_empty() {
        return Ok(Returned {
            outcome: Outcome::Used,
            consent: back,
        });
    }
    let in_time = now <= consent.expires_at && consent.app == model::app(&provider) && link_is_open(app, &provider, &consent).await?;
    let mut tx = app.store.begin().await?;
    let claimed = tx.finish_consent(&consent.id, Outcome::Working.word(), now).await?;
    tx.commit().await?;
    if !claimed {
        return Ok(Returned {
            outcome: Outcome::Used,
            consent: back,
        });
    }
    let flow = Flow {
        app: app.clone(),
        actor: actor_of(&consent, evidence.actor),
        provider,
        consent,
    };
    // The claim is taken: a browser that goes away in the middle must not lose what came of it.
    let finished = app.tasks.spawn(async move { flow.run(&params, in_time).await }).await;
    let outcome = finished.map_err(|error| StoreError::Unusable(format!("the consent was not finished: {error}")))??;
    Ok(Returned { outcome, consent: back })
}

const FINISH: &str = "provider.consent.finish";

async fn link_is_open(app: &App, provider: &Provider, consent: &Consent) -> StoreResult<bool> {
    let Some(id) = &consent.link_id else {
        return Ok(true);
    };
    let link = app.store.provider_link(id).await?;
    Ok(link.is_some_and(|link| provider_links::state(&link, provider, app.clock.now()) == LinkState::Ready))
}

/// Behind a link nobody is signed in here; the link itself acts.
fn actor_of(consent: &Consent, actor: &Actor) -> Actor {
    match &consent.link_id {
        None => actor.clone(),
        Some(link) => Actor {
            id: format!("link:{link}"),
            name: "Someone with the consent link".to_owned(),
            ..actor.clone()
        },
    }
}

/// Why a return isn't from the browser the consent belongs to (OAUTH-1).
fn other_window(consent: &Consent, evidence: &Evidence<'_>) -> Option<&'static str> {
    let same = |a: Option<&str>, b: Option<&str>| matches!((a, b), (Some(a), Some(b)) if bool::from(a.as_bytes().ct_eq(b.as_bytes())));
    let flow = (evidence.flow)(&consent.id).map(|value| sha256(&value));
    if !same(flow.as_deref(), consent.flow_hash.as_deref()) {
        return Some("in another browser");
    }
    if consent.link_id.is_some() {
        return None;
    }
    if !same(evidence.session_hash, consent.session_hash.as_deref()) {
        return Some("in another session");
    }
    (evidence.user != consent.user_id.as_ref()).then_some("with another person signed in")
}

async fn unknown(app: &App, evidence: &Evidence<'_>, why: &str) -> Result<Returned, ActionError> {
    tracing::warn!(reason = why, "Refused a return from an admin consent: {why}");
    // Anybody can cause this, without an account.
    let Some(left_out) = app.strangers.take(app.clock.now()) else {
        return Ok(Outcome::Unknown.into());
    };
    let detail = match left_out {
        0 => why.to_owned(),
        n => format!("{why}; {n} more before it are only in the log"),
    };
    let entry = AuditEntry {
        action: FINISH,
        target: String::new(),
        detail,
        outcome: "refused",
    };
    app.store.audit(app.clock.now(), evidence.actor, entry).await?;
    Ok(Outcome::Unknown.into())
}

/// A return in its own browser.
struct Flow {
    app: App,
    actor: Actor,
    provider: Provider,
    consent: Consent,
}

impl Flow {
    async fn run(&self, params: &ConsentParams, in_time: bool) -> Result<Outcome, ActionError> {
        let outcome = if in_time { self.judge(params).await? } else { Outcome::TooOld };
        let mut tx = self.app.store.begin().await?;
        tx.amend_consent(&self.consent.id, outcome.word(), &outcome.to_json()).await?;
        // What isn't allowed yet can be allowed through the same link.
        if let (Some(link), Outcome::Granted { .. } | Outcome::Unproved { .. }) = (&self.consent.link_id, &outcome) {
            tx.use_provider_link(link, self.app.clock.now()).await?;
        }
        let result = if outcome.is_result() { "ok" } else { "refused" };
        let detail = format!("{}: {}", outcome.word(), outcome.sentence());
        audit(&self.app, &mut tx, &self.actor, FINISH, &self.provider, detail, result).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    async fn judge(&self, params: &ConsentParams) -> Result<Outcome, ActionError> {
        let said = params.evidence();
        match params.declined() {
            None => {}
            Some(Declined::Cancelled) => return Ok(Outcome::Cancelled),
            Some(Declined::AdminApproval) => return Ok(Outcome::NotAdmin { said }),
            Some(Declined::PageNeeded | Declined::Other) => {
                let diagnosis = diagnose(&Clue::text(&said));
                return Ok(Outcome::Refused { diagnosis, said });
            }
        }
        let tenant = params.tenant.clone();
        if let (Some(tenant), Some(expected)) = (&tenant, expected_tenant(&self.app, &self.provider).await)
            && !tenant.eq_ignore_ascii_case(&expected)
        {
            let expected = self.provider.tenant.clone().unwrap_or(expected);
            return Ok(Outcome::OtherTenant {
                tenant: tenant.clone(),
                expected,
            });
        }
        let wanted = wanted(&self.app, &self.provider).await?;
        if wanted.app_only {
            return prove(&self.app, &self.provider, &wanted, tenant).await;
        }
        let kind = self.provider.template;
        let missing = if params.scopes.is_empty() || params.scopes.iter().any(|scope| scope.ends_with("/.default")) {
            Vec::new()
        } else {
            scopes::missing_scopes(kind, &self.consent.scopes, &params.scopes)
        };
        Ok(if missing.is_empty() {
            Outcome::Granted { tenant, roles: Vec::new() }
        } else {
            Outcome::Missing { tenant, missing }
        })
    }
}

/// The directory id a consent has to be for; none where any will do or nobody can tell.
async fn expected_tenant(app: &App, provider: &Provider) -> Option<String> {
    let tenant = provider.tenant.as_deref().filter(|tenant| !tenant.is_empty())?;
    if is_guid(tenant) {
        return Some(tenant.to_owned());
    }
    if !tenant.contains('.') {
        return None;
    }
    let address = provider.endpoints().authorize_url?;
    let address = address.strip_suffix("/oauth2/v2.0/authorize")?;
    let address = format!("{address}/v2.0/.well-known/openid-configuration");
    // The description names the directory id where its address has a domain.
    match discovery::discover(&app.http, &address, app.clock.now()).await {
        Err(DiscoveryError::OtherIssuer(issuer)) => issuer.split('/').find(|part| is_guid(part)).map(str::to_owned),
        _ => None,
    }
}

/// What the app's own token says.
async fn prove(app: &App, provider: &Provider, wanted: &Wanted, tenant: Option<String>) -> Result<Outcome, ActionError> {
    Ok(match look(app, provider, wanted).await? {
        Look::Dark(diagnosis, said) => Outcome::Unproved { tenant, diagnosis, said },
        Look::Roles(roles) => {
            let missing = lacking(&wanted.permissions, &roles);
            if missing.is_empty() {
                Outcome::Granted { tenant, roles }
            } else {
                Outcome::Missing { tenant, missing }
            }
        }
    })
}

/// *It's already granted*, and *Check now*: the app's own token tells, or else only that somebody says so is noted.
pub async fn check(app: &App, actor: &Actor, provider: &Provider) -> Result<Outcome, ActionError> {
    let wanted = wanted(app, provider).await?;
    let outcome = if wanted.app_only {
        prove(app, provider, &wanted, None).await?
    } else {
        Outcome::Told
    };
    let mut consent = row(app, actor, provider);
    consent.scopes = wanted.permissions;
    outcome.word().clone_into(&mut consent.outcome);
    consent.detail = outcome.to_json();
    consent.finished_at = Some(app.clock.now());
    let mut tx = app.store.begin().await?;
    tx.insert_consent(&consent).await?;
    let detail = format!("{}: {}", outcome.word(), outcome.sentence());
    audit(app, &mut tx, actor, "provider.consent.check", provider, detail, "ok").await?;
    tx.commit().await?;
    Ok(outcome)
}

/// How the consent of a provider's app stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The newest that says what the app may do.
    pub result: Option<(Consent, Outcome)>,
    /// A newer one that changed nothing.
    pub tried: Option<(Consent, Outcome)>,
    /// When somebody signed in after it: the proof where people sign in.
    pub proved_at: Option<Timestamp>,
}

/// How the consent of a provider's app stands.
pub async fn standing(app: &App, provider: &Provider) -> StoreResult<Standing> {
    let rows = app.store.consents_of(&provider.id, &model::app(provider)).await?;
    let mut result = None;
    let mut tried = None;
    for consent in rows {
        let Some(outcome) = Outcome::of(&consent).filter(|outcome| *outcome != Outcome::Working) else {
            continue;
        };
        if outcome.is_result() {
            result = Some((consent, outcome));
            break;
        }
        tried = tried.or(Some((consent, outcome)));
    }
    let since = result.as_ref().and_then(|(consent, _)| consent.finished_at);
    let signed_in = app.store.last_sign_in(&provider.id).await?;
    Ok(Standing {
        proved_at: signed_in.filter(|at| since.is_some_and(|since| *at >= since)),
        result,
        tried,
    })
}

async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    action: &'static str,
    provider: &Provider,
    detail: String,
    outcome: &'static str,
) -> StoreResult<()> {
    let entry = AuditEntry {
        action,
        target: format!("provider:{}", provider.name),
        detail,
        outcome,
    };
    tx.audit(app.clock.now(), actor, entry).await
}
