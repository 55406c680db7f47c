//! What the form says besides its fields: limits, dated changes, and what is bound to fail with the settings that stand in it.

use super::fields::form_field;
use super::fix;
use super::kept;
use super::{FormPage, MailboxForm};
use crate::actions::ahead::{self, Warned};
use crate::actions::mailboxes::{self, MailboxError, check_mailbox};
use crate::model::limits::{self, Service};
use crate::model::mailbox::{AuthKind, Mailbox, Protocol, Side};
use crate::model::report::{Direction, Outcome};
use crate::model::retirements::{self, Change};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::clean;
use crate::web::guard::CurrentUser;
use crate::web::pages::radar::Retiring;

/// What is bound to fail with what stands in the form; nothing while it can't be saved anyway.
pub(super) async fn warned(
    web: &WebState,
    user: &CurrentUser,
    form: &MailboxForm,
    existing: Option<&Mailbox>,
) -> Result<Vec<Warned>, PageError> {
    let app = &web.app;
    let kept = kept::of(web, user, &form.kept).await?;
    let Ok(edit) = check_mailbox(&form.input(&kept), &app.gate) else {
        return Ok(Vec::new());
    };
    match mailboxes::prepare(app, edit, existing).await {
        Ok(mailbox) => Ok(ahead::of_mailbox(app, &mailbox).await?),
        Err(MailboxError::Store(error)) => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}

impl FormPage {
    /// The warnings at a field, each with what its button sends.
    pub(super) fn ahead_at(&self, field: &str) -> Vec<(&Warned, String)> {
        let separate = self.form.is_separate();
        let here = self.ahead.iter().filter(|one| form_field(one.field, separate) == field);
        here.map(|one| (one, one.fix.map(fix::act).unwrap_or_default())).collect()
    }

    /// What was in a field that a proposal changed.
    pub(super) fn was(&self, field: &str) -> Option<String> {
        let changed = self.put_in.iter().find(|(name, _)| name == field);
        changed.map(|(name, value)| fix::told(name, value))
    }

    /// What sending with this protocol is limited to.
    pub(super) fn limit(&self, protocol: &str, incoming: bool) -> String {
        let (protocol, direction) = match (protocol, incoming) {
            ("graph", true) => (Protocol::Graph, Direction::Incoming),
            ("graph", false) => (Protocol::Graph, Direction::Outgoing),
            ("imap", _) => (Protocol::Imap, Direction::Incoming),
            _ => (Protocol::Smtp, Direction::Outgoing),
        };
        let host = if incoming {
            &self.form.incoming_host
        } else {
            &self.form.outgoing_host
        };
        // Before a server is chosen, Exchange Online's are what most people ask about.
        let service = match Service::of_host(clean(host)) {
            _ if protocol == Protocol::Graph => Some(Service::Exchange),
            None if clean(host).is_empty() => Some(Service::Exchange),
            known => known,
        };
        service
            .map(|service| limits::hint(service, protocol, direction))
            .unwrap_or_default()
    }

    /// What Graph needs and is limited to.
    pub(super) fn graph_hint(&self, incoming: bool) -> String {
        format!("Needs a token of Microsoft 365, and no server. {}", self.limit("graph", incoming))
    }

    /// Dated changes that the settings of the form are touched by.
    pub(super) fn touching(&self) -> Vec<Retiring> {
        let form = &self.form;
        let outgoing_auth = if form.is_separate() { &form.outgoing_auth } else { &form.auth };
        let stored = self.existing.as_ref();
        let sides = [
            (
                (&form.incoming, &form.auth, &form.incoming_host),
                stored.map(|mailbox| (&mailbox.incoming, &mailbox.incoming_state)),
            ),
            (
                (&form.outgoing, outgoing_auth, &form.outgoing_host),
                stored.map(|mailbox| (&mailbox.outgoing, &mailbox.outgoing_state)),
            ),
        ];
        let touches = |change: &&'static Change| {
            sides.iter().any(|((protocol, auth, host), stored)| {
                let (Some(protocol), Some(auth), host) = (Protocol::parse(protocol), AuthKind::parse(auth), clean(host)) else {
                    return false;
                };
                // What works with these settings has shown that it isn't meant.
                let works = stored.is_some_and(|(side, state)| {
                    let same = |side: &Side| side.auth.kind() == auth && side.server.host().eq_ignore_ascii_case(host);
                    side.as_ref().is_some_and(same)
                        && matches!(state.outcome, Some(Outcome::Passed | Outcome::Warning))
                        && state.tested_at >= change.proved_from()
                });
                change.touches(protocol, auth, host) && !(change.if_unproven && works)
            })
        };
        Retiring::all(retirements::all().iter().filter(touches).collect(), self.now)
    }
}
