//! Begins and finishes a sign-in for a token (OAUTH-1 to OAUTH-7; `ux.md`, section 7). A sign-in that isn't by the expected account, in
//! the same browser, in time and for the first time leaves what is stored byte for byte as it was.

mod outcome;

pub use outcome::Outcome;

use super::access_token::{NewGrant, other_needed, store_first_grant};
use super::providers::trial::{diagnosis_of, redirect_uri};
use super::tokens::{audit, event};
use super::{ActionError, place, probe};
use crate::app::App;
use crate::clock::Timestamp;
use crate::diagnosis::{Evidence as Clue, diagnose, own};
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Direction};
use crate::model::scopes;
use crate::model::token::{Authorization, Grant, GrantState, Link, Prompt, Token, TokenEventKind};
use crate::model::{Name, UserId};
use crate::oauth::callback::Declined;
use crate::oauth::{CallbackParams, Class, Client, FlowSecrets, IdentityError, Match, OAuthError, SignIn, SignedIn, TokenResponse};
use crate::oauth::{authorization, identity};
use crate::secret::Nonce;
use crate::store::{StoreError, Tx};
use crate::vault::{VaultError, sha256};
use subtle::ConstantTimeEq;

/// How long may a sign-in take, in seconds?
pub const LIFETIME: i64 = 10 * 60;
/// How often may a sign-in link be started?
const LINK_STARTS: i64 = 20;
/// For how long are ended sign-ins kept, in seconds?
const KEPT: i64 = 7 * 86_400;

/// Where a sign-in has to come back.
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
    Link(&'a Link),
}

/// Why a sign-in can't begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The provider's record lacks something.
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    /// This sign-in link was started too often (OAUTH-15).
    #[error("this link was started {LINK_STARTS} times")]
    LinkWornOut,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A sign-in that can go to the provider.
#[derive(Debug)]
pub struct Begun {
    /// The attempt.
    pub authorization: Authorization,
    /// The value of the flow cookie (OAUTH-2).
    pub flow: Nonce,
}

/// Begins a sign-in: ten minutes, one return, one browser. `prompt` is for this once.
pub async fn begin(
    app: &App,
    actor: &Actor,
    token: &Token,
    provider: &Provider,
    prompt: Option<Prompt>,
    mode: Mode<'_>,
) -> Result<Begun, BeginError> {
    let now = app.clock.now();
    let prompt = prompt.or(token.prompt).unwrap_or(provider.prompt);
    let redirect_uri = redirect_uri(app, provider).await?;
    // The first scope decides whom the token is for; what else the mailboxes need is allowed in the same sign-in.
    let mut scopes = token.scopes.clone();
    scopes.extend(other_needed(token, provider, &app.store.mailboxes_of_token(&token.id).await?));
    let sign_in = SignIn {
        redirect_uri: &redirect_uri,
        scopes: &scopes,
        prompt,
        login_hint: token.user.as_deref(),
    };
    let client = Client::new(provider, None);
    let request = authorization::begin(&client, &sign_in, &*app.random)?;
    let id = app.new_id();
    let flow = Nonce::new(app.random.base64url(32));
    let kept = format!("{}\n{}", request.secrets().to_text().as_str(), request.url);
    let (user_id, session_hash, link_id) = match mode {
        Mode::Browser { user, session_hash } => (Some(user.clone()), Some(session_hash.to_owned()), None),
        Mode::Link(link) => (None, None, Some(link.id.clone())),
    };
    let authorization = Authorization {
        sealed: app.vault.seal(&place::authorization(&id, &provider.destination()), &kept),
        id,
        state_hash: sha256(request.state.expose_secret()),
        token_id: token.id.clone(),
        provider_id: provider.id.clone(),
        user_id,
        session_hash,
        flow_hash: Some(sha256(flow.expose_secret())),
        link_id,
        redirect_uri,
        issuer: client.endpoints.issuer.clone(),
        prompt,
        started_by: actor.name.clone(),
        started_at: now,
        expires_at: now.plus(LIFETIME),
        outcome: String::new(),
        detail: String::new(),
        finished_at: None,
    };
    let mut tx = app.store.begin().await?;
    tx.delete_old_authorizations(now.plus(-KEPT)).await?;
    if let Some(link) = &authorization.link_id
        && tx.count_authorizations_of_link(&token.id, link).await? >= LINK_STARTS
    {
        return Err(BeginError::LinkWornOut);
    }
    tx.insert_authorization(&authorization).await?;
    let detail = format!("prompt {}", if prompt == Prompt::Unsent { "not sent" } else { prompt.as_str() });
    audit(app, &mut tx, actor, "token.authorize.begin", token, detail, "ok").await?;
    tx.commit().await?;
    Ok(Begun { authorization, flow })
}

/// What an open attempt keeps sealed: its secrets, and the address at the provider.
fn kept(app: &App, provider: &Provider, attempt: &Authorization) -> Result<(FlowSecrets, String), VaultError> {
    let text = app
        .vault
        .open(&place::authorization(&attempt.id, &provider.destination()), &attempt.sealed)?;
    let (secrets, url) = text.split_once('\n').ok_or(VaultError::Form)?;
    Ok((FlowSecrets::parse(secrets).ok_or(VaultError::Form)?, url.to_owned()))
}

/// The address at the provider, for the page before leaving. None once the provider goes elsewhere.
pub fn leave_url(app: &App, provider: &Provider, attempt: &Authorization) -> Option<String> {
    kept(app, provider, attempt).ok().map(|(_, url)| url)
}

/// Takes an open sign-in back. Says whether it still was open.
pub async fn cancel(app: &App, actor: &Actor, token: &Token, attempt: &Authorization) -> Result<bool, ActionError> {
    let mut tx = app.store.begin().await?;
    let outcome = Outcome::Withdrawn;
    let was_open = tx
        .finish_authorization(&attempt.id, outcome.word(), &outcome.to_json(), app.clock.now())
        .await?;
    if was_open {
        audit(app, &mut tx, actor, "token.authorize.cancel", token, String::new(), "ok").await?;
    }
    tx.commit().await?;
    Ok(was_open)
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
    /// How the sign-in ended, or why it isn't looked at.
    pub outcome: Outcome,
    /// The attempt it belongs to, for its own browser only.
    pub attempt: Option<Attempt>,
}

/// The attempt a return belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: String,
    /// Name of the token.
    pub token: Name,
    /// Whether it came through a sign-in link.
    pub link: bool,
}

impl From<Outcome> for Returned {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, attempt: None }
    }
}

/// Finishes a sign-in by what came back to a provider's redirect address. In this order: the attempt is known, open and of this
/// browser; the provider's error; the exchange; who signed in; the permissions; a lasting token; only then anything is stored.
pub async fn finish(app: &App, provider: &Name, query: &str, evidence: &Evidence<'_>) -> Result<Returned, ActionError> {
    let Some(provider) = app.store.provider(provider).await? else {
        return unknown(app, evidence, "no such provider").await;
    };
    let params = match CallbackParams::parse(query) {
        Ok(params) => params,
        Err(error) => return unknown(app, evidence, &error.to_string()).await,
    };
    let state = params.state.as_ref().map(|state| sha256(state.expose_secret())).unwrap_or_default();
    let Some(attempt) = app.store.authorization_by_state(&state).await? else {
        return unknown(app, evidence, "no such sign-in").await;
    };
    let Some(token) = app.store.token_by_id(&attempt.token_id).await? else {
        return unknown(app, evidence, "no such token").await;
    };
    if let Some(why) = other_window(&attempt, evidence) {
        // It stays open: its own browser may still come back.
        let detail = format!("the return came {why}");
        refuse(app, evidence.actor, &token, detail).await?;
        return Ok(Outcome::OtherWindow.into());
    }
    let flow = Flow {
        app: app.clone(),
        actor: actor_of(&attempt, evidence.actor),
        provider,
        token,
        attempt,
    };
    let attempt = Attempt {
        id: flow.attempt.id.clone(),
        token: flow.token.name.clone(),
        link: flow.attempt.link_id.is_some(),
    };
    // A browser that goes away in the middle must not cost the grant: the code can be used only once.
    let finished = app.tasks.spawn(async move { flow.run(&params).await }).await;
    let outcome = finished.map_err(|error| StoreError::Unusable(format!("the sign-in was not finished: {error}")))??;
    Ok(Returned {
        outcome,
        attempt: Some(attempt),
    })
}

/// Behind a link nobody is signed in here; the link itself acts.
fn actor_of(attempt: &Authorization, actor: &Actor) -> Actor {
    match &attempt.link_id {
        None => actor.clone(),
        Some(link) => Actor {
            id: format!("link:{link}"),
            name: "Someone with the sign-in link".to_owned(),
            ..actor.clone()
        },
    }
}

/// Why a return isn't from the browser the attempt belongs to (OAUTH-1).
fn other_window(attempt: &Authorization, evidence: &Evidence<'_>) -> Option<&'static str> {
    let same = |a: &str, b: &str| bool::from(a.as_bytes().ct_eq(b.as_bytes()));
    let flow = (evidence.flow)(&attempt.id).map(|value| sha256(&value));
    match (&flow, &attempt.flow_hash) {
        (Some(told), Some(expected)) if same(told, expected) => {}
        _ => return Some("in another browser"),
    }
    if attempt.link_id.is_some() {
        return None;
    }
    match (evidence.session_hash, &attempt.session_hash) {
        (Some(told), Some(expected)) if same(told, expected) => {}
        _ => return Some("in another session"),
    }
    (evidence.user != attempt.user_id.as_ref()).then_some("with another person signed in")
}

async fn unknown(app: &App, evidence: &Evidence<'_>, why: &str) -> Result<Returned, ActionError> {
    tracing::warn!(reason = why, "Refused a return from a sign-in: {why}");
    // Anybody can cause this, without an account.
    let Some(left_out) = app.strangers.take(app.clock.now()) else {
        return Ok(Outcome::Unknown.into());
    };
    let detail = match left_out {
        0 => why.to_owned(),
        n => format!("{why}; {n} more before it are only in the log"),
    };
    let entry = AuditEntry {
        action: "token.authorize.finish",
        target: String::new(),
        detail,
        outcome: "refused",
    };
    app.store.audit(app.clock.now(), evidence.actor, entry).await?;
    Ok(Outcome::Unknown.into())
}

async fn refuse(app: &App, actor: &Actor, token: &Token, detail: String) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    audit(app, &mut tx, actor, "token.authorize.finish", token, detail, "refused").await?;
    tx.commit().await
}

/// A return in its own browser.
struct Flow {
    app: App,
    actor: Actor,
    provider: Provider,
    token: Token,
    attempt: Authorization,
}

/// What a sign-in yielded, checked and ready to be stored.
struct Yield {
    tokens: TokenResponse,
    signed_in: SignedIn,
    missing: Vec<String>,
}

impl Flow {
    async fn run(&self, params: &CallbackParams) -> Result<Outcome, ActionError> {
        let now = self.app.clock.now();
        if !self.attempt.outcome.is_empty() {
            return Ok(Outcome::Used);
        }
        let mut early = None;
        if now > self.attempt.expires_at || !self.link_is_open(now).await? {
            early = Some(Outcome::TooOld);
        } else if self.attempt.provider_id != self.provider.id {
            early = Some(Outcome::IssuerMismatch {
                said: format!("the sign-in was sent to another provider than {}", self.provider.name),
            });
        }
        // The issuer of the answer counts for errors too (OAUTH-4).
        let issuer = params.check_issuer(&self.provider.endpoints()).err();
        let early = early.or(issuer.map(|error| Outcome::IssuerMismatch { said: error.to_string() }));
        // From here on it is this call's alone: a second return with the same state finds it taken.
        let mut tx = self.app.store.begin().await?;
        let claimed = tx.finish_authorization(&self.attempt.id, Outcome::Working.word(), "", now).await?;
        tx.commit().await?;
        if !claimed {
            return Ok(Outcome::Used);
        }
        let reached = match early {
            Some(outcome) => Err(outcome),
            None => self.look(params).await,
        };
        match reached {
            Ok(found) => self.store(found).await,
            Err(outcome) => {
                self.end(&outcome).await?;
                Ok(outcome)
            }
        }
    }

    async fn link_is_open(&self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(id) = &self.attempt.link_id else {
            return Ok(true);
        };
        let link = self.app.store.link(id).await?;
        Ok(link.is_some_and(|link| super::links::state(&link, now) == super::links::LinkState::Ready))
    }

    /// From the provider's answer to tokens of the right account; everything else is an outcome.
    async fn look(&self, params: &CallbackParams) -> Result<Yield, Outcome> {
        let said = params.evidence();
        match params.declined(self.attempt.prompt == Prompt::None) {
            Some(Declined::Cancelled) => return Err(Outcome::Cancelled),
            Some(Declined::AdminApproval) => return Err(Outcome::AdminApproval { said }),
            Some(Declined::PageNeeded) => return Err(Outcome::PageNeeded { said }),
            Some(Declined::Other) => {
                let diagnosis = diagnose(&Clue::text(&said));
                return Err(Outcome::Declined { diagnosis, said });
            }
            None => {}
        }
        let Some(code) = &params.code else {
            return Err(Outcome::TooOld);
        };
        // A provider that goes elsewhere since, or a value that was tampered with: nothing is sent anywhere.
        let Ok((secrets, _)) = kept(&self.app, &self.provider, &self.attempt) else {
            return Err(Outcome::TooOld);
        };
        let client = match place::client(&self.app, &self.provider) {
            Ok(client) => client,
            Err(error) => {
                return Err(Outcome::ExchangeFailed {
                    diagnosis: diagnose(&Clue::own(own::DAMAGED)),
                    said: error.to_string(),
                });
            }
        };
        let verifier = secrets.verifier.as_ref();
        let exchanged = authorization::exchange(&self.app.http, &client, code, verifier, &self.attempt.redirect_uri).await;
        let tokens = match exchanged {
            Ok(tokens) => tokens,
            Err(error) => {
                let diagnosis = diagnosis_of(&error);
                self.note_app_problem(&error, &diagnosis).await;
                return Err(Outcome::ExchangeFailed {
                    diagnosis,
                    said: error.evidence(),
                });
            }
        };
        let now = self.app.clock.now();
        let signed_in = match identity::who(&self.app.http, &client, &tokens, Some(&secrets.nonce), now).await {
            Ok(signed_in) => signed_in,
            Err(IdentityError::Issuer) => {
                return Err(Outcome::IssuerMismatch {
                    said: IdentityError::Issuer.to_string(),
                });
            }
            Err(error) => return Err(no_identity(error.own_id(), error.evidence())),
        };
        self.is_expected(&signed_in).await?;
        let requested = scopes::with_identity(self.provider.template, &self.token.scopes);
        let granted = tokens.granted(&requested);
        let missing = scopes::missing_scopes(self.provider.template, &self.token.scopes, &granted);
        if tokens.refresh_token.is_none() {
            return Err(Outcome::NoLastingToken {
                account: signed_in.identity.account().to_owned(),
            });
        }
        Ok(Yield {
            tokens,
            signed_in,
            missing,
        })
    }

    /// Whether it is the expected account; one whose name changed is recognised by the id it had when it signed in before.
    async fn is_expected(&self, signed_in: &SignedIn) -> Result<(), Outcome> {
        let account = signed_in.identity.account().to_owned();
        // No expectation is no permission: nobody fits.
        let Some(expected) = self.token.user.as_deref() else {
            return Err(no_identity(Some(own::NO_IDENTITY), "the token names no account".to_owned()));
        };
        match identity::matches(expected, signed_in, &self.provider) {
            Match::Same => Ok(()),
            Match::DifferentTenant => Err(Outcome::DifferentTenant {
                account,
                personal: identity::is_personal(&signed_in.identity),
            }),
            Match::NotTold => Err(no_identity(
                Some(own::NO_IDENTITY),
                "the provider doesn't vouch for any name".to_owned(),
            )),
            Match::DifferentAccount => {
                let before = self.app.store.grant(&self.token.id).await.ok().flatten();
                if before.is_some_and(|grant| identity::same_person(expected, &grant.identity, &signed_in.identity)) {
                    return Ok(());
                }
                Err(Outcome::DifferentAccount {
                    account,
                    expected: expected.to_owned(),
                    consented: self.attempt.prompt == Prompt::Consent,
                })
            }
        }
    }

    /// An answer that is about the app itself is one problem of the provider, not one of each token (OAUTH-11).
    async fn note_app_problem(&self, error: &OAuthError, diagnosis: &Diagnosis) {
        if error.class() != Class::AppBroken {
            return;
        }
        let problem = serde_json::to_string(diagnosis).unwrap_or_default();
        let noted = async {
            let mut tx = self.app.store.begin().await?;
            tx.set_provider_problem(&self.provider.id, Some(&problem), self.app.clock.now())
                .await?;
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::error!(error = %error, "The problem of provider {} could not be stored", self.provider.name);
        }
    }

    /// Ends the attempt without touching what is stored.
    async fn end(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let mut tx = self.app.store.begin().await?;
        self.write(&mut tx, outcome).await?;
        tx.commit().await
    }

    /// The attempt, the token's history, the audit and the link: all of what an outcome leaves behind beside the grant.
    async fn write(&self, tx: &mut Tx, outcome: &Outcome) -> Result<(), StoreError> {
        let (word, detail) = (outcome.word(), outcome.to_json());
        tx.amend_authorization(&self.attempt.id, word, &detail).await?;
        if let Some(link) = self.attempt.link_id.as_ref().filter(|_| !outcome.stored()) {
            tx.note_link(link, word, &detail).await?;
        }
        let kind = if outcome.stored() {
            TokenEventKind::Authorized
        } else {
            TokenEventKind::Refused
        };
        let text = outcome.history(&self.actor.name).unwrap_or_default();
        let through = if self.attempt.link_id.is_some() {
            " Through a sign-in link."
        } else {
            ""
        };
        event(&self.app, tx, &self.token.id, kind, &self.actor.name, format!("{text}{through}")).await?;
        let result = if outcome.stored() { "ok" } else { "refused" };
        audit(
            &self.app,
            tx,
            &self.actor,
            "token.authorize.finish",
            &self.token,
            format!("{word}: {text}{through}"),
            result,
        )
        .await
    }

    /// Stores a sign-in of the right account, unless the one before allows more; then a mailbox that uses it is tested.
    async fn store(&self, found: Yield) -> Result<Outcome, ActionError> {
        let account = found.signed_in.identity.account().to_owned();
        let mut tx = self.app.store.begin().await?;
        let old = tx.grant(&self.token.id).await?;
        let stored = !old.as_ref().is_some_and(|old| self.allows_more(old, &found.missing));
        let mut outcome = if found.missing.is_empty() {
            Outcome::SignedIn { account, run: None }
        } else {
            Outcome::SignedInMissing {
                account,
                missing: found.missing.clone(),
                stored,
                run: None,
            }
        };
        if outcome.stored() {
            let link_gone = match &self.attempt.link_id {
                Some(link) => !tx.use_link(link, outcome.word(), &outcome.to_json(), self.app.clock.now()).await?,
                None => false,
            };
            if link_gone || self.has_changed().await? {
                drop(tx);
                self.end(&Outcome::TooOld).await?;
                return Ok(Outcome::TooOld);
            }
            let new = NewGrant::SignedIn {
                response: &found.tokens,
                identity: &found.signed_in.identity,
                by: &self.attempt.started_by,
            };
            store_first_grant(&self.app, &mut tx, &self.token, &self.provider, new).await?;
            tx.set_provider_problem(&self.provider.id, None, self.app.clock.now()).await?;
            tx.reset_mailboxes_of_token(&self.token.id, self.app.clock.now()).await?;
        }
        self.write(&mut tx, &outcome).await?;
        tx.commit().await?;
        if outcome.stored()
            && let Some(started) = self.first_test().await
        {
            match &mut outcome {
                Outcome::SignedIn { run, .. } | Outcome::SignedInMissing { run, .. } => *run = Some(started),
                _ => {}
            }
            let mut tx = self.app.store.begin().await?;
            tx.amend_authorization(&self.attempt.id, outcome.word(), &outcome.to_json()).await?;
            tx.commit().await?;
        }
        Ok(outcome)
    }

    /// Whether the sign-in that is stored still counts and has a permission that this one lacks.
    fn allows_more(&self, old: &Grant, missing: &[String]) -> bool {
        let kind = self.provider.template;
        let lacked = scopes::missing_scopes(kind, &self.token.scopes, &old.granted_scopes);
        old.state != GrantState::Revoked
            && place::is_current(old, &self.provider)
            && !old.granted_scopes.is_empty()
            && missing.iter().any(|scope| !lacked.contains(scope))
    }

    /// Whether somebody changed what this sign-in was for while the provider was being asked.
    async fn has_changed(&self) -> Result<bool, StoreError> {
        let token = self.app.store.token_by_id(&self.token.id).await?;
        let provider = self.app.store.provider_by_id(&self.provider.id).await?;
        let same_token = token.is_some_and(|t| t.user == self.token.user && t.provider_id == self.token.provider_id);
        let same_provider = provider.is_some_and(|p| p.destination() == self.provider.destination());
        Ok(!(same_token && same_provider))
    }

    /// Starts the test of the first mailbox that uses the token: a grant that waits for a test can be lost, a failed test undoes nothing.
    async fn first_test(&self) -> Option<String> {
        let mailboxes = self.app.store.mailboxes_of_token(&self.token.id).await.ok()?;
        let uses = |mailbox: &Mailbox, direction| {
            let side = probe::side(mailbox, direction);
            side.is_some_and(|side| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == self.token.id))
        };
        let mailbox = mailboxes.into_iter().next()?;
        let incoming = uses(&mailbox, Direction::Incoming);
        let order = probe::Order {
            draft: false,
            direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
            options: probe::Options {
                login_only: !incoming,
                ..probe::Options::default()
            },
            user: self.attempt.user_id.clone(),
            mailbox,
        };
        match probe::start(&self.app, &self.actor, order).await {
            Ok(run) | Err(probe::ProbeError::UnderWay(run)) => Some(run.0),
            Err(error) => {
                tracing::warn!(error = %error, "No test was started after the sign-in of token {}: {error}", self.token.name);
                None
            }
        }
    }
}

fn no_identity(own_id: Option<&'static str>, said: String) -> Outcome {
    let diagnosis = diagnose(&Clue { own_id, text: &said });
    Outcome::NoIdentity { diagnosis, said }
}
