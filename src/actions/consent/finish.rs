//! A return from the provider's consent page, and what it is worth.

use super::wanted::{Look, Wanted, lacking, look, wanted};
use super::{Outcome, audit};
use crate::actions::links::LinkState;
use crate::actions::{ActionError, notices, provider_links};
use crate::app::App;
use crate::diagnosis::{Evidence as Clue, diagnose};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::consent::{self as model, Consent};
use crate::model::lint::is_guid;
use crate::model::provider::Provider;
use crate::model::scopes;
use crate::model::{Name, UserId};
use crate::oauth::{ConsentParams, Declined, DiscoveryError, discovery};
use crate::store::{StoreError, StoreResult};
use crate::vault::sha256;
use subtle::ConstantTimeEq;

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
        let (name, path) = (self.provider.name.as_str(), format!("/providers/{}/consent", self.provider.name));
        if let (Some(link), Outcome::Granted { .. } | Outcome::Unproved { .. }) = (&self.consent.link_id, &outcome) {
            tx.use_provider_link(link, self.app.clock.now()).await?;
            notices::link_used(&self.app, &mut tx, "consent link", name, path.clone()).await?;
        }
        if matches!(outcome, Outcome::Granted { .. } | Outcome::Unproved { .. }) {
            notices::consented(&self.app, &mut tx, &self.actor.name, name, path).await?;
            tx.retry_unconsented(&self.provider.id).await?;
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
pub(super) async fn prove(app: &App, provider: &Provider, wanted: &Wanted, tenant: Option<String>) -> Result<Outcome, ActionError> {
    Ok(match look(app, provider, wanted).await? {
        Look::Dark(diagnosis, said) => Outcome::Unproved { tenant, diagnosis, said },
        Look::Roles(roles) => {
            let missing = lacking(&wanted.needed, &roles);
            if missing.is_empty() {
                Outcome::Granted { tenant, roles }
            } else {
                Outcome::Missing { tenant, missing }
            }
        }
    })
}
