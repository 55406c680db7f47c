//! The support bundle of a test run, a token or a provider: gathers the records for [`crate::model::bundle`], and writes down who took it.

mod names;
mod sections;

use super::ActionError;
use super::probe;
use super::providers::trial;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::batch::{Batch, Group};
use crate::model::bundle::Bundle;
use crate::model::mailbox::{Auth, Mailbox};
use crate::model::provider::Provider;
use crate::model::report::Report;
use crate::model::token::{Grant, Token};
use crate::store::StoreResult;
use crate::store::reports::Run;

/// What a bundle is about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// A run of a test.
    Run(&'a Run),
    /// A token, with its last renewal.
    Token(&'a Token),
    /// A provider, with its last check.
    Provider(&'a Provider),
    /// A bulk test, with what failed in it by cause.
    Batch(&'a (Batch, Vec<Group>)),
}

impl About<'_> {
    /// What the file is called.
    pub fn file_name(&self) -> String {
        match self {
            Self::Run(run) => format!("mailgrant-bundle-{}.txt", run.id),
            Self::Token(token) => format!("mailgrant-bundle-token-{}.txt", token.name),
            Self::Provider(provider) => format!("mailgrant-bundle-provider-{}.txt", provider.name),
            Self::Batch(batch) => format!("mailgrant-bundle-batch-{}.txt", batch.0.id),
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Run(run) => format!("mailbox:{}", run.mailbox_name),
            Self::Token(token) => format!("token:{}", token.name),
            Self::Provider(provider) => format!("provider:{}", provider.name),
            Self::Batch(batch) => format!("batch:{}", batch.0.id),
        }
    }
}

/// Writes down that somebody copied or downloaded a bundle.
pub async fn note(app: &App, actor: &Actor, about: About<'_>, how: &'static str, hide_names: bool) -> StoreResult<()> {
    let run = match about {
        About::Run(run) => format!(" of run {}", run.id),
        _ => String::new(),
    };
    let names = if hide_names { ", names hidden" } else { "" };
    let entry = AuditEntry {
        action: "bundle.take",
        target: about.target(),
        detail: format!("support bundle{run} {how}{names}"),
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await
}

/// The records around what a bundle is about.
#[derive(Default)]
struct Found {
    mailbox: Option<Mailbox>,
    token: Option<Token>,
    grant: Option<Grant>,
    provider: Option<Provider>,
}

/// Gathers a bundle. Nothing sealed is opened for it.
pub async fn gather(app: &App, about: About<'_>) -> Result<Bundle, ActionError> {
    let store = &app.store;
    let mut found = Found::default();
    match about {
        About::Run(run) => {
            if let Some(id) = &run.mailbox_id {
                found.mailbox = store.mailbox_by_id(id).await?;
            }
            let side = found.mailbox.as_ref().and_then(|mailbox| probe::side(mailbox, run.direction));
            if let Some(Auth::OAuth2 { token_id, .. }) = side.map(|side| &side.auth) {
                found.token = store.token_by_id(token_id).await?;
            }
        }
        About::Token(token) => found.token = Some(token.clone()),
        About::Provider(provider) => found.provider = Some(provider.clone()),
        About::Batch(_) => {}
    }
    if let Some(token) = &found.token {
        found.grant = store.grant(&token.id).await?;
        found.provider = store.provider_by_id(&token.provider_id).await?;
    }
    let report = match about {
        About::Run(run) => serde_json::from_str::<Report>(&run.report).ok(),
        _ => None,
    };
    let mut bundle = Bundle {
        sections: vec![sections::console(app, about, found.provider.as_ref())],
        names: Vec::new(),
    };
    if let About::Run(run) = about {
        bundle
            .sections
            .push(sections::mailbox_section(app, run, found.mailbox.as_ref()).await?);
    }
    if let Some(provider) = &found.provider {
        bundle.sections.push(sections::provider_section(provider));
    }
    if let Some(token) = &found.token {
        bundle
            .sections
            .push(sections::token_section(app, token, found.grant.as_ref(), report.as_ref()));
    }
    match about {
        About::Run(run) => {
            bundle.sections.push(sections::result_section(run, report.as_ref()));
            bundle.sections.extend(report.as_ref().map(sections::steps_section));
        }
        About::Token(_) => bundle
            .sections
            .push(sections::refusal_section(found.grant.as_ref(), found.provider.as_ref())),
        About::Provider(provider) => {
            bundle.sections.push(sections::refusal_section(None, Some(provider)));
            let check = trial::last(app, &provider.id).await?;
            bundle
                .sections
                .extend(check.map(|check| sections::check_section(check.at, &check.steps)));
        }
        About::Batch((batch, groups)) => {
            bundle.sections.push(sections::batch_section(batch));
            bundle.sections.push(sections::groups_section(groups));
        }
    }
    bundle.sections.push(sections::changes_section(app, about, &found).await?);
    bundle.names = names::names(app, about, &found, report.as_ref()).await?;
    Ok(bundle)
}
