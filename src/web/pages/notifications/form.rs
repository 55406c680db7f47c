//! The form of notifications, as it is typed.

use crate::actions::notices::channels::ChannelsInput;
use crate::model::notices::{Event, Quiet};
use crate::secret::Password;
use crate::store::deliveries::StoredChannels;
use crate::web::form::FieldErrors;
use serde::Deserialize;

/// What was typed. No `Debug`: it holds secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct ChannelsForm {
    pub(super) version: String,
    /// The last entry of the audit log about these settings, when the form was made.
    pub(super) seen: String,
    pub(super) recipients: String,
    pub(super) mailbox: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) security: String,
    pub(super) user: String,
    pub(super) from: String,
    password: String,
    pub(super) webhook: String,
    secret: String,
    pub(super) new_secret: String,
    pub(super) turn_on: String,
    pub(super) mail_events: Vec<String>,
    pub(super) webhook_events: Vec<String>,
    pub(super) quiet_from: String,
    pub(super) quiet_until: String,
    pub(super) zone: String,
    pub(super) failing_after: String,
}

impl ChannelsForm {
    /// What is stored; `address` is that of the webhook.
    pub(super) fn of(stored: &StoredChannels, address: &str, mailbox: &str, failing_after: i64) -> Self {
        let channels = &stored.channels;
        let words = |events: &[Event]| events.iter().map(|event| event.as_str().to_owned()).collect();
        let fallback = channels.fallback.as_ref();
        let clock = |minute: Option<i64>| minute.map(Quiet::clock).unwrap_or_default();
        Self {
            version: stored.version.to_string(),
            recipients: channels.recipients.join("\n"),
            mailbox: mailbox.to_owned(),
            host: fallback.map(|one| one.host.clone()).unwrap_or_default(),
            port: fallback.map(|one| one.port.to_string()).unwrap_or_default(),
            security: fallback.map_or("starttls", |one| one.security.as_str()).to_owned(),
            user: fallback.map(|one| one.user.clone()).unwrap_or_default(),
            from: fallback.map(|one| one.from.clone()).unwrap_or_default(),
            webhook: address.to_owned(),
            mail_events: words(&channels.mail_events),
            webhook_events: words(&channels.webhook_events),
            quiet_from: clock(channels.quiet.map(|quiet| quiet.from)),
            quiet_until: clock(channels.quiet.map(|quiet| quiet.until)),
            zone: channels.zone.clone(),
            failing_after: failing_after.to_string(),
            ..Self::default()
        }
    }

    /// For the action.
    pub(super) fn input(&self) -> ChannelsInput {
        let secret = |text: &str| (!text.is_empty()).then(|| Password::new(text));
        ChannelsInput {
            version: self.version.parse().unwrap_or(0),
            recipients: self.recipients.clone(),
            mailbox: self.mailbox.clone(),
            host: self.host.clone(),
            port: self.port.clone(),
            security: self.security.clone(),
            user: self.user.clone(),
            from: self.from.clone(),
            password: secret(&self.password),
            webhook: self.webhook.clone(),
            secret: secret(&self.secret),
            new_secret: !self.new_secret.is_empty(),
            turn_on: !self.turn_on.is_empty(),
            mail_events: self.mail_events.clone(),
            webhook_events: self.webhook_events.clone(),
            quiet_from: self.quiet_from.clone(),
            quiet_until: self.quiet_until.clone(),
            zone: self.zone.clone(),
            failing_after: self.failing_after.clone(),
        }
    }

    /// The same on top of what is stored now.
    pub(super) fn over(self, stored: &StoredChannels, seen: i64) -> Self {
        Self {
            version: stored.version.to_string(),
            seen: seen.to_string(),
            ..self
        }
    }

    /// As it is shown again: secrets are typed anew, and that is said, or the next save would leave the old ones in place.
    pub(super) fn without_secrets(self, errors: &mut FieldErrors) -> Self {
        for (field, typed) in [("password", &self.password), ("secret", &self.secret)] {
            if !typed.is_empty() && !errors.has(field) {
                errors.add(field, format!("Enter the {field} again: pages don't keep it"));
            }
        }
        Self {
            password: String::new(),
            secret: String::new(),
            ..self
        }
    }
}
