//! Walkthroughs (`ux.md`, 6.10): started, gone on with by anybody who may, each step checked where it can be. What the console knows by
//! itself counts before what was noted; what somebody said counts until something proves it.

mod checks;
mod fact;
mod facts;
mod run;
mod seen;
mod send;
mod stand;

pub use checks::{Finding, Request};
pub use run::{Checked, check_all, check_one, settle};
pub use seen::Seen;
pub use send::{Sending, Sent, take_back};
pub use stand::{Stand, Where};

use super::ActionError;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::Mailbox;
use crate::model::provider::Provider;
use crate::model::token::{Grant, GrantType, Token};
use crate::model::walkthrough::{Act, Check, Step, StepRow, StepState, Template, Walkthrough, template};
use crate::model::{MailboxId, Name, ProviderId, TokenId};
use crate::store::{StoreError, StoreResult, Tx};

/// A walkthrough with what it is about.
#[derive(Debug)]
pub struct Walk {
    /// The row.
    pub row: Walkthrough,
    /// What it leads through.
    pub template: &'static Template,
    /// Its provider.
    pub provider: Option<Provider>,
    /// Its token: the chosen one, else the one that fits.
    pub token: Option<Token>,
    /// What the token yielded.
    pub grant: Option<Grant>,
    /// Its mailbox: the chosen one, else the one of its address.
    pub mailbox: Option<Mailbox>,
    pub(super) rows: Vec<StepRow>,
}

impl Walk {
    /// Whether the app itself is to get the token.
    pub fn wanted_grant(&self) -> GrantType {
        let has = |act: Act| self.template.steps().any(|step| step.act == act);
        match (self.template.card.as_str(), has(Act::AppToken)) {
            (_, true) | ("microsoft-certificate" | "microsoft-secret", _) => GrantType::ClientCredentials,
            ("google-service", _) => GrantType::JwtBearer,
            _ => GrantType::AuthorizationCode,
        }
    }

    /// The ways its token may be got.
    pub fn wanted_grants(&self) -> [GrantType; 2] {
        match self.wanted_grant() {
            GrantType::AuthorizationCode => [GrantType::AuthorizationCode, GrantType::DeviceCode],
            other => [other; 2],
        }
    }

    /// The account of its token, empty where any will do; none: it can't be told which.
    fn token_user(&self) -> Option<&str> {
        match self.wanted_grant() {
            GrantType::ClientCredentials => Some(""),
            GrantType::JwtBearer => Some(&self.row.address),
            _ => Some(self.row.signs_in()).filter(|user| !user.is_empty()),
        }
    }

    /// Whether a side of its mailbox uses its token.
    pub fn mailbox_uses_token(&self) -> bool {
        match (&self.mailbox, &self.token) {
            (Some(mailbox), Some(token)) => mailbox.uses(&token.id),
            _ => false,
        }
    }

    fn stored(&self, step: &Step) -> Option<&StepRow> {
        self.rows.iter().find(|row| row.step == step.id)
    }
}

/// A walkthrough by its id, if there is one.
pub async fn load(app: &App, id: &str) -> StoreResult<Option<Walk>> {
    match app.store.walkthrough(id).await? {
        Some(row) => of(app, row).await,
        None => Ok(None),
    }
}

/// A walkthrough with what it is about; none: of a kind that this version doesn't know.
pub async fn of(app: &App, row: Walkthrough) -> StoreResult<Option<Walk>> {
    let Some(template) = template(&row.template) else { return Ok(None) };
    let rows = app.store.walkthrough_steps(&row.id).await?;
    let provider = match &row.provider_id {
        Some(id) => app.store.provider_by_id(id).await?,
        None => None,
    };
    let mut walk = Walk {
        row,
        template,
        provider,
        token: None,
        grant: None,
        mailbox: None,
        rows,
    };
    walk.token = match (&walk.row.token_id, &walk.provider) {
        (Some(id), _) => app.store.token_by_id(id).await?,
        (None, Some(provider)) => match walk.token_user() {
            Some(user) => app
                .store
                .some_tokens_of(&provider.id, walk.wanted_grants(), user, 1)
                .await?
                .into_iter()
                .next(),
            None => None,
        },
        (None, None) => None,
    };
    if let Some(token) = &walk.token {
        walk.grant = app.store.grant(&token.id).await?;
    }
    walk.mailbox = match &walk.row.mailbox_id {
        Some(id) => app.store.mailbox_by_id(id).await?,
        None if walk.row.address.is_empty() => None,
        None => match app.store.mailboxes_with_address(&walk.row.address).await?.first() {
            Some(name) => match Name::parse(name) {
                Ok(name) => app.store.mailbox(&name).await?,
                Err(_) => None,
            },
            None => None,
        },
    };
    Ok(Some(walk))
}

/// What somebody starts with.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// The name a new provider is to have.
    pub name: String,
    /// The mailbox.
    pub address: String,
    /// The account that signs in, where it is another.
    pub account: String,
    /// A provider that is here.
    pub provider: Option<ProviderId>,
}

/// Starts a walkthrough.
pub async fn start(app: &App, actor: &Actor, template: &'static Template, new: New) -> Result<Walkthrough, ActionError> {
    let now = app.clock.now();
    let row = Walkthrough {
        id: app.new_id(),
        template: template.id.clone(),
        name: new.name,
        address: new.address,
        account: new.account,
        provider_id: new.provider,
        token_id: None,
        mailbox_id: None,
        started_by: actor.name.clone(),
        started_at: now,
        touched_by: actor.name.clone(),
        touched_at: now,
        finished_at: None,
        version: 1,
    };
    let mut tx = app.store.begin().await?;
    tx.insert_walkthrough(&row).await?;
    let detail = [template.title.as_str(), &row.address].join(" ").trim().to_owned();
    audit(app, &mut tx, actor, "walkthrough.create", &row, detail).await?;
    tx.commit().await?;
    settle(app, actor, &row.id, None).await?;
    Ok(row)
}

/// What a walkthrough is to be about from now on.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// This provider.
    Provider(ProviderId, Name),
    /// This token.
    Token(TokenId, Name),
    /// This mailbox.
    Mailbox(MailboxId, Name),
}

/// Takes something that is here into a walkthrough. `version`: as it was shown; none where it was just made for it.
/// [`StoreError::Stale`] if somebody changed the walkthrough since.
pub async fn choose(app: &App, actor: &Actor, id: &str, version: Option<i64>, chosen: Chosen) -> Result<(), ActionError> {
    let mut tx = app.store.begin().await?;
    let mut row = current(&mut tx, id, version).await?;
    let detail = match &chosen {
        Chosen::Provider(_, name) => format!("provider {name}"),
        Chosen::Token(_, name) => format!("token {name}"),
        Chosen::Mailbox(_, name) => format!("mailbox {name}"),
    };
    match chosen {
        Chosen::Provider(provider, _) => {
            if row.provider_id.as_ref() != Some(&provider) {
                row.token_id = None;
            }
            row.provider_id = Some(provider);
        }
        Chosen::Token(token, _) => row.token_id = Some(token),
        Chosen::Mailbox(mailbox, _) => row.mailbox_id = Some(mailbox),
    }
    touch(app, actor, &mut row);
    tx.update_walkthrough(&row).await?;
    audit(app, &mut tx, actor, "walkthrough.choose", &row, detail).await?;
    tx.commit().await?;
    settle(app, actor, id, None).await?;
    Ok(())
}

/// Whether a person's word counts for a step.
pub const fn may_confirm(check: Check) -> bool {
    matches!(
        check,
        Check::Redirect
            | Check::Permissions
            | Check::Roles
            | Check::Consent
            | Check::MailOn
            | Check::Incoming
            | Check::Limit
            | Check::PublicOff
            | Check::Renewed
            | Check::Person
    )
}

/// *I've done this*, or its opposite.
pub async fn say(app: &App, actor: &Actor, id: &str, version: i64, step: &Step, is_done: bool) -> Result<(), ActionError> {
    if is_done && !may_confirm(step.check) {
        return Err(ActionError::NotFound("step to confirm"));
    }
    let mut tx = app.store.begin().await?;
    let mut row = current(&mut tx, id, Some(version)).await?;
    let before = tx.walkthrough_steps(id).await?.into_iter().find(|row| row.step == step.id);
    let waiting = before.as_ref().filter(|before| before.state == StepState::Waiting);
    let link = waiting.map(|before| before.link_id.clone()).unwrap_or_default();
    let new = StepRow {
        state: if is_done { StepState::Confirmed } else { StepState::Open },
        held_at: before.and_then(|before| before.held_at),
        ..blank(step, app.clock.now(), actor)
    };
    tx.put_walkthrough_step(id, &new).await?;
    touch(app, actor, &mut row);
    tx.update_walkthrough(&row).await?;
    let detail = format!("{}: {}", step.title, if is_done { "confirmed" } else { "not done" });
    audit(app, &mut tx, actor, "walkthrough.step", &row, detail).await?;
    tx.commit().await?;
    send::withdraw(app, actor, &link).await?;
    settle(app, actor, id, None).await?;
    Ok(())
}

/// Deletes a walkthrough. What came of it stays.
pub async fn delete(app: &App, actor: &Actor, row: &Walkthrough) -> Result<(), ActionError> {
    let mut tx = app.store.begin().await?;
    let waiting = tx
        .walkthrough_steps(&row.id)
        .await?
        .into_iter()
        .filter(|step| step.state == StepState::Waiting);
    let links: Vec<String> = waiting.map(|step| step.link_id).collect();
    if !tx.delete_walkthrough(&row.id).await? {
        return Err(ActionError::NotFound("walkthrough"));
    }
    audit(app, &mut tx, actor, "walkthrough.delete", row, row.template.clone()).await?;
    tx.commit().await?;
    for link in links {
        send::withdraw(app, actor, &link).await?;
    }
    Ok(())
}

/// A step of which nothing is known.
fn blank(step: &Step, now: Timestamp, actor: &Actor) -> StepRow {
    StepRow {
        step: step.id.clone(),
        state: StepState::Open,
        evidence: String::new(),
        problem: None,
        changed_at: now,
        changed_by: actor.name.clone(),
        held_at: None,
        sent_to: String::new(),
        link_id: String::new(),
    }
}

/// The row as it is, if nobody changed it since.
async fn current(tx: &mut Tx, id: &str, version: Option<i64>) -> Result<Walkthrough, ActionError> {
    let row = tx.walkthrough(id).await?.ok_or(ActionError::NotFound("walkthrough"))?;
    if version.is_some_and(|version| version != row.version) {
        return Err(StoreError::Stale.into());
    }
    Ok(row)
}

fn touch(app: &App, actor: &Actor, row: &mut Walkthrough) {
    row.touched_by.clone_from(&actor.name);
    row.touched_at = app.clock.now();
}

async fn audit(app: &App, tx: &mut Tx, actor: &Actor, action: &'static str, row: &Walkthrough, detail: String) -> StoreResult<()> {
    let entry = AuditEntry {
        action,
        target: format!("walkthrough:{}", row.id),
        detail,
        outcome: "ok",
    };
    tx.audit(app.clock.now(), actor, entry).await
}
