//! Whom to tell, and how: checked, saved and audited. The password of the fallback server and the secret of the webhook are sealed for
//! their destination: when that changes, the one is wanted again, and the other is made anew (SEC-2, SEC-8).

mod address;
mod changes;
mod check;

pub use address::{address, sealed_channels};

use super::dead;
use super::webhook::{new_secret, test_secret};
use crate::actions::{ActionError, Problems, settings};
use crate::app::App;
use crate::model::MailboxId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::notices::{Channel, Channels, Off, Stamp};
use crate::model::settings::FAILING_AFTER;
use crate::secret::Password;
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreResult, Tx};
use crate::vault::Place;
use zeroize::Zeroizing;

/// Why mails are given up that wait for somebody who isn't told any more.
pub(super) const REMOVED: &str = "The recipient was removed.";

/// What was typed.
#[derive(Debug, Default)]
pub struct ChannelsInput {
    /// Counts saves, as the form had it.
    pub version: i64,
    /// Addresses, one a line or divided by commas.
    pub recipients: String,
    /// Handle of the mailbox that sends; empty: none.
    pub mailbox: String,
    /// The fallback server; empty: none.
    pub host: String,
    /// Its port; empty: the usual one.
    pub port: String,
    /// `tls`, `starttls` or `none`.
    pub security: String,
    /// Who signs in there; empty: nobody.
    pub user: String,
    /// Address of the sender.
    pub from: String,
    /// A new password; empty: the stored one stays.
    pub password: Option<Password>,
    /// Address of the webhook; empty: none.
    pub webhook: String,
    /// A new secret; empty: the stored one stays, or one is made.
    pub secret: Option<Password>,
    /// Whether a new secret is made.
    pub new_secret: bool,
    /// Whether a webhook that was turned off is called again.
    pub turn_on: bool,
    /// What is mailed.
    pub mail_events: Vec<String>,
    /// What is posted.
    pub webhook_events: Vec<String>,
    /// Quiet hours begin.
    pub quiet_from: String,
    /// Quiet hours end.
    pub quiet_until: String,
    /// The time zone; empty: that of the instance.
    pub zone: String,
    /// After how many failed checks.
    pub failing_after: String,
}

/// What the seal of the fallback server's password is bound to.
pub(super) fn password_place(version: i64, destination: &str) -> Place<'_> {
    Place {
        table: "notice_channels",
        column: "smtp_password",
        row: "1",
        version,
        destination,
    }
}

/// What the seal of the webhook's secret is bound to: what is readable of its address, which is another where any of it is.
pub(super) fn secret_place(version: i64, address: &str) -> Place<'_> {
    Place {
        table: "notice_channels",
        column: "webhook_secret",
        row: "1",
        version,
        destination: address,
    }
}

/// Saves what was typed. Comes back with the secret of the webhook where one was made: it is shown once.
pub async fn save(app: &App, actor: &Actor, input: &ChannelsInput) -> Result<Option<Zeroizing<String>>, ActionError> {
    let before = sealed_channels(app).await?;
    let mut problems = Problems::default();
    let (mut channels, address) = check::check(app, input, &mut problems).await?;
    // One that can't be opened could not be shown either: an empty field doesn't mean that it is to go.
    let is_kept = channels.webhook.is_empty() && self::address(app, &before).is_err();
    if is_kept {
        channels.webhook.clone_from(&before.channels.webhook);
    }
    let after_checks = input.failing_after.trim().parse::<i64>().ok();
    let after_checks = after_checks.filter(|number| (FAILING_AFTER.least..=FAILING_AFTER.most).contains(number));
    if after_checks.is_none() {
        let (least, most) = (FAILING_AFTER.least, FAILING_AFTER.most);
        problems.add("failing_after", format!("Failed checks must be a number from {least} to {most}"));
    }
    let stamp = |before: Option<&Stamp>| Stamp {
        at: app.clock.now(),
        by: actor.name.clone(),
        version: before.map_or(0, |stamp| stamp.version) + 1,
    };
    let mut stored = StoredChannels {
        version: input.version,
        ..StoredChannels::default()
    };
    set_password(app, input, &before, &mut channels, &mut stored, &stamp, &mut problems);
    let made = set_secret(app, input, &before, &mut channels, &mut stored, &stamp, &mut problems);
    problems.check().map_err(ActionError::Fields)?;
    let was_dead = dead::webhook_dead(app, &before).await?;
    channels.webhook_off = before
        .channels
        .webhook_off
        .clone()
        .filter(|_| !input.turn_on && channels.webhook == before.channels.webhook);
    stored.channels = channels;
    if is_kept {
        stored.webhook_address.clone_from(&before.webhook_address);
    } else {
        address::seal(app, &mut stored, &address);
    }
    let number = after_checks.unwrap_or(FAILING_AFTER.default);
    let number_before = settings::number(app, &FAILING_AFTER).await?;
    if before.version != input.version && stored.channels == before.channels && number == number_before {
        // Pressed twice: it is saved, and nothing else was typed.
        return Ok(None);
    }
    let mut changed = changes::changes(&before.channels, &stored.channels);
    if number != number_before {
        changed.push(format!("failed checks {number_before} → {number}"));
    }
    let mut tx = app.store.begin().await?;
    tx.put_notice_channels(&stored).await?;
    tx.put_setting(FAILING_AFTER.key, &number.to_string()).await?;
    dead::saved(&mut tx, &before, &stored, was_dead, app.clock.now()).await?;
    drop_removed(&mut tx, &before.channels, &stored.channels).await?;
    for detail in changes::entries(changed) {
        tx.audit(app.clock.now(), actor, entry(detail)).await?;
    }
    tx.commit().await?;
    Ok(made)
}

/// What waits for somebody, or for a way, that isn't there any more is given up.
async fn drop_removed(tx: &mut Tx, before: &Channels, after: &Channels) -> StoreResult<()> {
    if !after.posts() {
        let why = if after.webhook.is_empty() { "removed" } else { "turned off" };
        tx.drop_deliveries(Channel::Webhook, &format!("The webhook was {why}.")).await?;
    } else if before.webhook_shown() != after.webhook_shown() {
        tx.redirect_deliveries(&after.webhook_shown()).await?;
    }
    if after.mails() || after.recipients.is_empty() {
        return tx.drop_mails_but(&after.recipients, REMOVED).await;
    }
    tx.drop_deliveries(Channel::Mail, "There was nothing left to send mail through.")
        .await
}

fn entry(detail: String) -> AuditEntry {
    AuditEntry {
        action: "settings.change",
        target: "setting:notifications".to_owned(),
        detail,
        outcome: "ok",
    }
}

fn typed(secret: Option<&Password>) -> Option<&str> {
    secret.map(Password::expose_secret).filter(|text| !text.is_empty())
}

fn set_password(
    app: &App,
    input: &ChannelsInput,
    before: &StoredChannels,
    channels: &mut Channels,
    stored: &mut StoredChannels,
    stamp: &impl Fn(Option<&Stamp>) -> Stamp,
    problems: &mut Problems,
) {
    let Some(fallback) = channels.fallback.as_ref().filter(|fallback| !fallback.user.is_empty()) else {
        return;
    };
    let last = before.channels.password_set.as_ref();
    if let Some(password) = typed(input.password.as_ref()) {
        if password.chars().any(char::is_control) {
            problems.add("password", "Password can't have line breaks or control characters");
        }
        let set = stamp(last);
        stored.smtp_password = Some(app.vault.seal(&password_place(set.version, &fallback.destination()), password));
        channels.password_set = Some(set);
        return;
    }
    let same = before
        .channels
        .fallback
        .as_ref()
        .is_some_and(|known| known.destination() == fallback.destination() && known.user == fallback.user);
    match (&before.smtp_password, same) {
        (Some(sealed), true) => {
            stored.smtp_password = Some(sealed.clone());
            channels.password_set = last.cloned();
        }
        (Some(_), false) => problems.add("password", "Enter the password again, because the server or the user name changed"),
        (None, _) => problems.add("password", "Enter the password of this user name"),
    }
}

fn set_secret(
    app: &App,
    input: &ChannelsInput,
    before: &StoredChannels,
    channels: &mut Channels,
    stored: &mut StoredChannels,
    stamp: &impl Fn(Option<&Stamp>) -> Stamp,
    problems: &mut Problems,
) -> Option<Zeroizing<String>> {
    if channels.webhook.is_empty() {
        return None;
    }
    let last = before.channels.secret_set.as_ref();
    let same = before.channels.webhook == channels.webhook;
    if typed(input.secret.as_ref()).is_none()
        && same
        && !input.new_secret
        && let Some(sealed) = &before.webhook_secret
    {
        stored.webhook_secret = Some(sealed.clone());
        channels.secret_set = last.cloned();
        return None;
    }
    let (secret, made) = match typed(input.secret.as_ref()) {
        Some(text) => (Zeroizing::new(text.trim().to_owned()), false),
        None => (new_secret(app), true),
    };
    if !test_secret(&secret) {
        problems.add("secret", "Webhook secret must be whsec_ and base64 of 24 to 64 bytes after it");
        return None;
    }
    let set = stamp(last);
    stored.webhook_secret = Some(app.vault.seal(&secret_place(set.version, &channels.webhook), &secret));
    channels.secret_set = Some(set);
    made.then_some(secret)
}

/// Turns the webhook off, because it said that it wants nothing any more.
/// `used` are the channels it was called with: one that took its place meanwhile stays.
pub(super) async fn turn_off_webhook(app: &App, used: &StoredChannels) -> StoreResult<()> {
    let now = app.clock.now();
    let mut stored = app.store.notice_channels().await?;
    if !stored.channels.posts() || stored.channels.webhook != used.channels.webhook {
        return Ok(());
    }
    stored.channels.webhook_off = Some(Off {
        at: now,
        why: "It answered with HTTP 410: it wants no more messages.".to_owned(),
    });
    let mut tx = app.store.begin().await?;
    tx.put_notice_channels(&stored).await?;
    tx.drop_deliveries(Channel::Webhook, "The webhook was turned off, because it wants no more messages.")
        .await?;
    tx.audit(now, &Actor::console(), entry("webhook turned off: HTTP 410".to_owned()))
        .await?;
    tx.commit().await
}

/// The handle of the mailbox that sends; empty: none, or it is gone.
pub async fn sending_mailbox(app: &App, channels: &Channels) -> StoreResult<String> {
    if channels.mailbox.is_empty() {
        return Ok(String::new());
    }
    let mailbox = app.store.mailbox_by_id(&MailboxId(channels.mailbox.clone())).await?;
    Ok(mailbox.map(|mailbox| mailbox.name.to_string()).unwrap_or_default())
}
