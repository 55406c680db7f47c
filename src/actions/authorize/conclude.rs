//! What every kind of sign-in goes through once the provider has handed out tokens: who signed in, the permissions, a lasting token; only
//! then anything is stored.

use super::Outcome;
use crate::actions::access_token::{NewGrant, store_first_grant};
use crate::actions::judgement::of_provider;
use crate::actions::providers::credential;
use crate::actions::tokens::{audit, event};
use crate::actions::{ActionError, notices, place, probe, providers};
use crate::app::App;
use crate::diagnosis::{Evidence as Clue, diagnose, own};
use crate::model::audit::Actor;
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Direction};
use crate::model::scopes;
use crate::model::token::{Authorization, Grant, GrantState, Prompt, Token, TokenEventKind};
use crate::oauth::identity;
use crate::oauth::{Class, Client, IdentityError, Match, OAuthError, SignedIn, TokenResponse};
use crate::secret::Nonce;
use crate::store::{StoreError, Tx};

/// A sign-in that is this call's to finish.
pub(super) struct Flow {
    pub app: App,
    pub actor: Actor,
    pub provider: Provider,
    pub token: Token,
    pub attempt: Authorization,
    /// Whether a mailbox that uses the token is tested afterwards.
    pub tests: bool,
}

/// What a sign-in yielded, checked and ready to be stored.
pub(super) struct Yield {
    tokens: TokenResponse,
    signed_in: SignedIn,
    missing: Vec<String>,
}

impl Flow {
    /// Takes the attempt: from here on it is this call's alone, and whoever comes second finds it taken.
    pub async fn claim(&self) -> Result<bool, StoreError> {
        let mut tx = self.app.store.begin().await?;
        let claimed = tx
            .finish_authorization(&self.attempt.id, Outcome::Working.word(), "", self.app.clock.now())
            .await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Stores what was reached, or ends the attempt with why it can't be.
    pub async fn conclude(&self, reached: Result<Yield, Outcome>) -> Result<Outcome, ActionError> {
        match reached {
            Ok(found) => Box::pin(self.store(found)).await,
            Err(outcome) => {
                self.end(&outcome).await?;
                Ok(outcome)
            }
        }
    }

    /// The provider's app, able to prove itself.
    pub fn client(&self) -> Result<Client<'_>, Box<Outcome>> {
        place::client(&self.app, &self.provider).map_err(|error| {
            Box::new(Outcome::ExchangeFailed {
                diagnosis: diagnose(&Clue::own(own::DAMAGED)),
                said: error.to_string(),
            })
        })
    }

    /// The provider handed out no tokens.
    pub async fn refused(&self, error: &OAuthError) -> Outcome {
        let diagnosis = of_provider(&self.app, &self.provider, Some(&self.token), None, error);
        self.note_app_problem(error, &diagnosis).await;
        Outcome::ExchangeFailed {
            diagnosis,
            said: error.evidence(),
        }
    }

    /// From tokens to tokens of the right account that last; everything else is an outcome.
    pub async fn weigh(&self, client: &Client<'_>, tokens: TokenResponse, nonce: Option<&Nonce>) -> Result<Yield, Outcome> {
        let now = self.app.clock.now();
        if client.fell_back() {
            credential::note_fallback(&self.app, &self.provider.id).await;
        }
        let signed_in = match identity::who(&self.app.http, client, &tokens, nonce, now).await {
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
            tracing::error!(provider.name = %self.provider.name, error = %error, "The problem of provider {} could not be stored", self.provider.name);
        }
    }

    /// Ends the attempt without touching what is stored.
    pub async fn end(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let mut tx = self.app.store.begin().await?;
        self.write(&mut tx, outcome).await?;
        tx.commit().await?;
        self.tell(outcome);
        Ok(())
    }

    /// Tells the log how it ended; who signed in is no matter of the log.
    fn tell(&self, outcome: &Outcome) {
        let (name, word) = (&self.token.name, outcome.word());
        if outcome.stored() {
            tracing::info!(area = "token", token.name = %name, outcome = word, "Somebody signed in for token {name}");
        } else {
            tracing::warn!(token.name = %name, outcome = word, "A sign-in for token {name} brought nothing: {word}");
        }
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
        // Whoever started it isn't who sat at the other device.
        let who = if self.attempt.at_device() { "Somebody" } else { &self.actor.name };
        let text = outcome.history(who).unwrap_or_default();
        let through = if self.attempt.link_id.is_some() {
            " Through a sign-in link."
        } else {
            ""
        };
        event(&self.app, tx, &self.token.id, kind, &self.actor.name, format!("{text}{through}")).await?;
        let result = if outcome.stored() { "ok" } else { "refused" };
        if outcome.stored() {
            let (name, path) = (self.token.name.as_str(), format!("/tokens/{}", self.token.name));
            notices::consented(&self.app, tx, who, name, path.clone()).await?;
            if self.attempt.link_id.is_some() {
                notices::link_used(&self.app, tx, "sign-in link", name, path).await?;
            }
        }
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
            providers::recovered(&self.app, &mut tx, &self.provider).await?;
            tx.reset_mailboxes_of_token(&self.token.id, self.app.clock.now()).await?;
        }
        self.write(&mut tx, &outcome).await?;
        tx.commit().await?;
        self.tell(&outcome);
        if outcome.stored()
            && self.tests
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
                tracing::warn!(token.name = %self.token.name, error = %error, "No test was started after the sign-in of token {}: {error}", self.token.name);
                None
            }
        }
    }
}

fn no_identity(own_id: Option<&'static str>, said: String) -> Outcome {
    let diagnosis = diagnose(&Clue { own_id, text: &said });
    Outcome::NoIdentity { diagnosis, said }
}
