//! *Send to someone*: a step goes to somebody without an account, with a one-time link where one fits.

use super::stand::sent_for;
use super::{Walk, audit, blank, current, settle, touch};
use crate::actions::{ActionError, links, provider_links};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::Actor;
use crate::model::consent::LinkKind;
use crate::model::walkthrough::{Check, Send, Step, StepRow, StepState};
use crate::secret::Nonce;
use crate::store::StoreError;

/// What is sent, and to whom.
#[derive(Debug, Clone)]
pub struct Sending {
    /// To whom, as it was typed.
    pub to: String,
    /// The version of the walkthrough that was shown.
    pub version: i64,
}

/// What goes along.
#[derive(Debug)]
pub struct Sent {
    /// The address of the link, which is shown once; none: a text alone.
    pub link: Option<(Nonce, Timestamp)>,
}

impl Walk {
    /// Sends a step: makes the link, if one fits and can be made yet, and notes that somebody is waited for.
    pub async fn send(&self, app: &App, actor: &Actor, step: &'static Step, sending: Sending) -> Result<Sent, ActionError> {
        // Before a link is made that nobody would see.
        if sending.version != self.row.version {
            return Err(StoreError::Stale.into());
        }
        // One link a step: whoever has the one before is not waited for any more.
        if let Some(before) = self.stored(step) {
            withdraw(app, actor, &before.link_id).await?;
        }
        let mut link_id = String::new();
        let mut link = None;
        match (step.send, &self.provider, &self.token) {
            (Send::Consent, Some(provider), _) => {
                let made = provider_links::create(app, actor, provider, LinkKind::Consent).await?;
                (link_id, link) = (made.link.id, Some((made.url, made.link.expires_at)));
            }
            (Send::Secret, Some(provider), _) => {
                if let Some(kind) = provider_links::asks_for(provider) {
                    let made = provider_links::create(app, actor, provider, kind).await?;
                    (link_id, link) = (made.link.id, Some((made.url, made.link.expires_at)));
                }
            }
            (Send::SignIn, Some(provider), Some(token)) => {
                let prompt = token.prompt.unwrap_or(provider.prompt);
                let made = links::create(app, actor, token, prompt, links::LONGEST).await?;
                (link_id, link) = (made.link.id, Some((made.url, made.link.expires_at)));
            }
            _ => {}
        }
        let mut tx = app.store.begin().await?;
        let mut row = current(&mut tx, &self.row.id, Some(sending.version)).await?;
        let before = self.stored(step);
        let to: String = sending.to.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        let new = StepRow {
            state: StepState::Waiting,
            held_at: before.and_then(|before| before.held_at),
            sent_to: to,
            link_id,
            // So that a later change of the provider shows.
            evidence: if is_about_the_app(step) {
                sent_for(app, self).await?
            } else {
                String::new()
            },
            ..blank(step, app.clock.now(), actor)
        };
        tx.put_walkthrough_step(&row.id, &new).await?;
        touch(app, actor, &mut row);
        tx.update_walkthrough(&row).await?;
        let detail = format!(
            "{}: sent to {}",
            step.title,
            if new.sent_to.is_empty() { "somebody" } else { &new.sent_to }
        );
        audit(app, &mut tx, actor, "walkthrough.step", &row, detail).await?;
        tx.commit().await?;
        Ok(Sent { link })
    }
}

/// Whether what is sent for a step depends on the provider: not where only a mailbox is meant.
fn is_about_the_app(step: &Step) -> bool {
    step.check != Check::MailOn || !step.values.is_empty()
}

/// Takes a link that was sent back, whatever the walkthrough is about by now; one that is gone or used stays as it is.
pub(super) async fn withdraw(app: &App, actor: &Actor, id: &str) -> Result<(), ActionError> {
    if id.is_empty() {
        return Ok(());
    }
    if let Some(link) = app.store.link(id).await?
        && let Some(token) = app.store.token_by_id(&link.token_id).await?
    {
        links::withdraw(app, actor, &token, &link).await?;
    }
    if let Some(link) = app.store.provider_link(id).await?
        && let Some(provider) = app.store.provider_by_id(&link.provider_id).await?
    {
        provider_links::withdraw(app, actor, &provider, &[link.kind], id).await?;
    }
    Ok(())
}

/// Nobody is waited for any more: the link, if there is one, is taken back.
pub async fn take_back(app: &App, actor: &Actor, walk: &Walk, step: &'static Step, version: i64) -> Result<(), ActionError> {
    if version != walk.row.version {
        return Err(StoreError::Stale.into());
    }
    let Some(stored) = walk.stored(step).filter(|stored| stored.state == StepState::Waiting) else {
        return Ok(());
    };
    // The link goes first: nobody is told that it doesn't work any more while it does.
    withdraw(app, actor, &stored.link_id).await?;
    let mut tx = app.store.begin().await?;
    let mut row = current(&mut tx, &walk.row.id, Some(version)).await?;
    let new = StepRow {
        held_at: stored.held_at,
        ..blank(step, app.clock.now(), actor)
    };
    tx.put_walkthrough_step(&row.id, &new).await?;
    touch(app, actor, &mut row);
    tx.update_walkthrough(&row).await?;
    audit(app, &mut tx, actor, "walkthrough.step", &row, format!("{}: taken back", step.title)).await?;
    tx.commit().await?;
    settle(app, actor, &walk.row.id, None).await?;
    Ok(())
}
