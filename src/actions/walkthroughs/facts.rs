//! What the console knows of a step by itself, without asking anybody: records, tests, sign-ins, consents.

use super::Walk;
pub(super) use super::fact::{Fact, Known};
use super::fact::{holds, not, wrong};
use super::seen::{OfProvider, Seen};
use crate::actions::access_token::{missing_scopes, state};
use crate::actions::consent::Outcome as Consented;
use crate::actions::providers::trial::{self, CheckStep};
use crate::actions::{ActionError, place};
use crate::app::App;
use crate::model::mailbox::Mailbox;
use crate::model::proof::{Proof, ProofOutcome};
use crate::model::provider::ClientAuth;
use crate::model::report::{Diagnosis, Outcome, Report, Stage};
use crate::model::token::{GrantType, Token, TokenState};
use crate::model::walkthrough::{Check, Step};

/// Everything that was looked up for a walkthrough.
pub(super) struct Facts<'a> {
    app: &'a App,
    walk: &'a Walk,
    provider: OfProvider,
    proof: Option<Proof>,
    /// Tokens of people at the provider: how many hold a sign-in, and how many mailboxes use one.
    people: (i64, i64),
    has_sent: bool,
    /// What the last tests of the mailbox that failed mean, reading and sending.
    failed: [Option<Diagnosis>; 2],
}

impl<'a> Facts<'a> {
    /// Looks everything up that wasn't seen yet.
    pub async fn of(app: &'a App, walk: &'a Walk, seen: &mut Seen) -> Result<Self, ActionError> {
        let mut facts = Self {
            app,
            walk,
            provider: OfProvider::default(),
            proof: None,
            people: (0, 0),
            has_sent: false,
            failed: [None, None],
        };
        let has = |check: Check| walk.template.steps().any(|step| step.check == check);
        if let Some(provider) = &walk.provider {
            facts.provider = seen.of(app, provider).await?;
            if has(Check::SwitchedAll) || has(Check::LoggedOut) {
                facts.people = app.store.people_at(&provider.id).await?;
            }
        }
        if let Some(token) = walk.token.as_ref().filter(|_| has(Check::Limit)) {
            facts.proof = app.store.proofs_of(&token.id, 1).await?.into_iter().next();
        }
        if let Some(mailbox) = &walk.mailbox {
            for (at, side) in [&mailbox.incoming_state, &mailbox.outgoing_state].into_iter().enumerate() {
                let sends = at == 1;
                let failed = side.outcome == Some(Outcome::Failed);
                let Some(run) = side.run.as_ref().filter(|_| sends || failed) else {
                    continue;
                };
                let report = app
                    .store
                    .run(run)
                    .await?
                    .and_then(|run| serde_json::from_str::<Report>(&run.report).ok());
                let Some(report) = report else { continue };
                let is_sending = |stage: Stage| matches!(stage, Stage::Data | Stage::Send);
                facts.has_sent |= sends && report.steps.iter().any(|step| is_sending(step.step));
                facts.failed[at] = report.diagnosis.filter(|_| failed);
            }
        }
        Ok(facts)
    }

    /// What is known of a step.
    pub fn about(&self, step: &Step) -> Fact {
        let Some(provider) = &self.walk.provider else {
            return match step.check {
                Check::Person => Fact::Unknown,
                _ => not(""),
            };
        };
        match step.check {
            Check::Provider => holds(format!("Provider {}", provider.name), None),
            Check::App => match self.credential() {
                Fact::Holds(known) => Fact::Holds(known),
                _ => Fact::Unknown,
            },
            Check::Credential => self.credential(),
            Check::ServiceKey if self.provider.key_since.is_none() => not("No key is stored"),
            Check::ServiceKey => match self.delegation() {
                Fact::Holds(known) => Fact::Holds(known),
                _ => Fact::Unknown,
            },
            Check::Redirect => match self.provider.last_return.filter(|at| *at >= provider.created_at) {
                Some(at) => holds("A sign-in came back here", Some(at)),
                None => Fact::Unknown,
            },
            Check::Permissions => self.permissions(),
            // The app's own token names them.
            Check::Roles => match self.consented() {
                Fact::Holds(known) => Fact::Holds(known),
                _ => Fact::Unknown,
            },
            Check::Consent => self.consented(),
            Check::MailOn => match self.tests(true) {
                Fact::Holds(known) => Fact::Holds(known),
                _ => Fact::Unknown,
            },
            Check::SignedIn => self.signed_in(),
            Check::Token => match &self.walk.token {
                Some(token) => holds(format!("Token {}", token.name), None),
                None => not("There is no such token yet"),
            },
            Check::Mailbox => match &self.walk.mailbox {
                Some(mailbox) if self.walk.mailbox_uses_token() => holds(mailbox.address.clone(), None),
                Some(mailbox) => Fact::Not(format!("{} is here, but uses another token", mailbox.address)),
                None => not(""),
            },
            Check::Incoming => self.tests(false),
            Check::Tests => self.tests(true),
            Check::TurnedOn => match &self.walk.mailbox {
                Some(mailbox) if mailbox.enabled => holds("Checked on schedule", None),
                Some(_) => not("It is turned off"),
                None => not(""),
            },
            Check::Limit => self.limit(),
            Check::Delegation => self.delegation(),
            Check::Replaced => self.replaced(),
            Check::Switched => match &self.walk.mailbox {
                Some(mailbox) if self.walk.mailbox_uses_token() => holds(format!("{} uses the app's own token", mailbox.address), None),
                _ => not("It uses another token"),
            },
            Check::SwitchedAll => match self.people.1 {
                0 => holds("No mailbox uses a person's sign-in", None),
                1 => not("1 mailbox still uses a person's sign-in"),
                more => Fact::Not(format!("{more} mailboxes still use a person's sign-in")),
            },
            Check::LoggedOut => match self.people.0 {
                0 => holds("No token holds a person's sign-in", None),
                1 => not("1 token still holds a person's sign-in"),
                more => Fact::Not(format!("{more} tokens still hold a person's sign-in")),
            },
            Check::Renewed | Check::PublicOff | Check::Person => Fact::Unknown,
        }
    }

    fn checked(&self, is_it: impl Fn(&CheckStep) -> bool) -> Fact {
        let Some(check) = &self.provider.check else { return Fact::Unknown };
        match check.steps.iter().find(|step| is_it(step)) {
            Some(step) if step.outcome == Outcome::Passed => Fact::Holds(Known {
                text: step.detail.clone(),
                at: Some(check.at),
                by: check.by.clone(),
                problem: None,
            }),
            Some(step) if step.outcome == Outcome::Failed => wrong(step.detail.clone(), Some(check.at), step.diagnosis.clone()),
            _ => Fact::Unknown,
        }
    }

    fn credential(&self) -> Fact {
        match &self.walk.provider {
            Some(provider) if provider.client_id.is_empty() && provider.grant == GrantType::JwtBearer => self.delegation(),
            Some(provider) if provider.held().is_none() && provider.client_auth != ClientAuth::None => {
                Fact::Not(format!("No {} is stored", provider.proof_noun()))
            }
            Some(provider) => self.checked(|step| trial::is_proof(provider, step)),
            None => Fact::Unknown,
        }
    }

    fn delegation(&self) -> Fact {
        if self.provider.key_since.is_none() {
            return not("No key is stored");
        }
        match self.signed_in() {
            Fact::Not(_) => self.checked(trial::is_key),
            fact => fact,
        }
    }

    fn signed_in(&self) -> Fact {
        let (Some(token), Some(provider)) = (&self.walk.token, &self.walk.provider) else {
            return not("There is no token yet");
        };
        let Some(grant) = &self.walk.grant else {
            return not(match token.grant.needs_person() {
                true => "Nobody has signed in yet",
                false => "No token was got yet",
            });
        };
        let problem = || {
            grant
                .last_error
                .as_ref()
                .and_then(|text| serde_json::from_str::<Diagnosis>(text).ok())
        };
        if !place::is_current(grant, provider) {
            return wrong("The provider's addresses changed, so a new sign-in is needed", None, None);
        }
        match state(token.grant, Some(grant), false, self.app.clock.now()) {
            TokenState::Active | TokenState::Expired => {
                let missing = missing_scopes(token, provider, grant);
                let since = grant.authorized_at.or(grant.issued_at);
                if missing.is_empty() {
                    let who = match grant.identity.account() {
                        "" => token.user.as_deref().unwrap_or("The app itself"),
                        account => account,
                    };
                    let verb = if token.grant.needs_person() {
                        "is signed in"
                    } else {
                        "has a token"
                    };
                    return Fact::Holds(Known {
                        text: format!("{who} {verb}"),
                        at: grant.refreshed_at.max(since),
                        by: grant.authorized_by.clone().unwrap_or_default(),
                        problem: None,
                    });
                }
                wrong(format!("Not granted: {}", missing.join(", ")), since, None)
            }
            TokenState::Failing | TokenState::Revoked => {
                let problem = problem();
                let text = problem
                    .as_ref()
                    .map_or("It isn't renewed any more".to_owned(), |found| found.title.clone());
                wrong(text, grant.last_error_at, problem)
            }
            TokenState::Unauthorized | TokenState::Authorizing => not("Nobody has signed in yet"),
        }
    }

    fn permissions(&self) -> Fact {
        match self.signed_in() {
            Fact::Holds(known) => Fact::Holds(Known {
                text: "The sign-in got every permission".to_owned(),
                ..known
            }),
            Fact::Wrong(known) if known.text.starts_with("Not granted") => Fact::Wrong(known),
            _ => Fact::Unknown,
        }
    }

    fn consented(&self) -> Fact {
        let Some(standing) = &self.provider.consent else {
            return Fact::Unknown;
        };
        let Some((consent, outcome)) = &standing.result else {
            return Fact::Unknown;
        };
        let known = Known {
            text: outcome.sentence().trim_end_matches('.').to_owned(),
            at: consent.finished_at,
            by: match consent.link_id.is_some() {
                true => "Someone with the consent link".to_owned(),
                false => consent.started_by.clone(),
            },
            problem: None,
        };
        if self.walk.wanted_grant() != GrantType::ClientCredentials {
            // What the app may do by itself says nothing of what people who sign in may.
            return match outcome {
                Consented::Granted { .. } | Consented::Told if standing.proved_at.is_some() => Fact::Holds(Known {
                    text: "Somebody has signed in since".to_owned(),
                    at: standing.proved_at,
                    ..known
                }),
                Consented::Granted { roles, .. } if roles.is_empty() => Fact::Told(known),
                Consented::Granted { .. } => Fact::Told(Known {
                    text: "Consent was given".to_owned(),
                    ..known
                }),
                Consented::Told => Fact::Told(known),
                Consented::Missing { .. } if !self.provider.has_own => Fact::Wrong(known),
                _ => Fact::Unknown,
            };
        }
        match outcome {
            Consented::Granted { roles, .. } if !roles.is_empty() => Fact::Holds(known),
            // Where Exchange itself gives the app its rights, its token names none.
            Consented::Missing { .. } if matches!(self.tests(false), Fact::Holds(_)) => {
                holds("The mailbox opens: Exchange itself gives the app its rights", None)
            }
            Consented::Missing { .. } if self.provider.has_own => Fact::Wrong(known),
            Consented::Unproved { diagnosis, .. } => Fact::Wrong(Known {
                problem: Some(diagnosis.clone()),
                ..known
            }),
            _ => Fact::Unknown,
        }
    }

    /// Whether the mailbox opens with the token of the walkthrough, and sends where that is asked.
    fn tests(&self, both: bool) -> Fact {
        let Some(mailbox) = &self.walk.mailbox else {
            return not("The mailbox isn't here yet");
        };
        if !self.walk.mailbox_uses_token() {
            return not("The mailbox doesn't use the token yet");
        }
        if self.walk.grant.is_none() && self.walk.token.as_ref().is_some_and(|token| token.grant.needs_person()) {
            return not("Nobody has signed in yet");
        }
        let sides = [
            (mailbox.incoming.is_some(), &mailbox.incoming_state, ("Reading", &self.failed[0])),
            (
                both && mailbox.outgoing.is_some(),
                &mailbox.outgoing_state,
                ("Sending", &self.failed[1]),
            ),
        ];
        let mut at = None;
        for (_, state, (what, failed)) in sides.into_iter().filter(|(asked, ..)| *asked) {
            match state.outcome {
                Some(Outcome::Passed | Outcome::Warning) => at = at.max(state.tested_at),
                Some(_) => {
                    let problem = state.problem.clone().unwrap_or_else(|| "the test failed".to_owned());
                    return wrong(format!("{what}: {problem}"), state.tested_at, failed.clone());
                }
                None => return Fact::Stale(if state.run.is_some() { "Not tested since the change" } else { "" }.to_owned()),
            }
        }
        if both && mailbox.outgoing.is_some() && !self.has_sent {
            return Fact::Stale("Reading works. No message was sent yet".to_owned());
        }
        holds(self.words(mailbox, both), at)
    }

    fn words(&self, mailbox: &Mailbox, both: bool) -> String {
        let verb = match (mailbox.incoming.is_some(), both && mailbox.outgoing.is_some()) {
            (true, true) => "can be read and sends",
            (false, _) => "sends",
            (true, false) => "can be read",
        };
        format!("{} {verb}", mailbox.address)
    }

    fn limit(&self) -> Fact {
        let (Some(proof), Some(token)) = (&self.proof, &self.walk.token) else {
            return Fact::Unknown;
        };
        let at = Some(proof.at);
        match proof.outcome {
            _ if proof.at < token.updated_at => Fact::Stale("The token was changed since".to_owned()),
            ProofOutcome::Refused => Fact::Holds(Known {
                text: format!("{} was refused, as it must be", proof.address),
                at,
                by: proof.by.clone(),
                problem: None,
            }),
            ProofOutcome::Opened => wrong(
                format!("{} opened: the app isn't limited to its mailboxes", proof.address),
                at,
                None,
            ),
            ProofOutcome::Unclear => Fact::Unknown,
        }
    }

    fn replaced(&self) -> Fact {
        let Some(provider) = &self.walk.provider else {
            return Fact::Unknown;
        };
        let since = provider.held_since().max(self.provider.key_since);
        if since.is_none_or(|since| since <= self.walk.row.started_at) {
            return not("The old one is still in use");
        }
        match self.credential() {
            Fact::Unknown => match self.delegation() {
                Fact::Not(_) => Fact::Unknown,
                fact => fact,
            },
            fact => fact,
        }
    }
}

/// Whether somebody signs in for a token.
pub(super) fn of_person(token: &Token) -> bool {
    token.grant != GrantType::ClientCredentials && token.grant != GrantType::JwtBearer
}
