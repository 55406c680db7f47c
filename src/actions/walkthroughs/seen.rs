//! What the console knows of the provider of a walkthrough.

use crate::actions::ActionError;
use crate::actions::consent::{self, Standing};
use crate::actions::providers::trial::{self, Check as LastCheck};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::ProviderId;
use crate::model::provider::Provider;
use std::collections::HashMap;

/// What was looked up of providers already: many walkthroughs of a list are about the same one.
#[derive(Debug, Default)]
pub struct Seen(HashMap<ProviderId, OfProvider>);

impl Seen {
    /// What is known of a provider, looked up once.
    pub(super) async fn of(&mut self, app: &App, provider: &Provider) -> Result<OfProvider, ActionError> {
        if let Some(found) = self.0.get(&provider.id) {
            return Ok(found.clone());
        }
        let found = OfProvider::of(app, provider).await?;
        self.0.insert(provider.id.clone(), found.clone());
        Ok(found)
    }
}

/// What was looked up of a provider.
#[derive(Debug, Clone, Default)]
pub(super) struct OfProvider {
    pub check: Option<LastCheck>,
    pub consent: Option<Standing>,
    /// Whether the app has tokens of its own.
    pub has_own: bool,
    pub last_return: Option<Timestamp>,
    pub key_since: Option<Timestamp>,
}

impl OfProvider {
    async fn of(app: &App, provider: &Provider) -> Result<Self, ActionError> {
        let check = trial::last(app, &provider.id).await?;
        let has_consent = consent::is_known(provider);
        Ok(Self {
            check: check.filter(|check| check.version == provider.version),
            consent: match has_consent {
                true => Some(consent::standing(app, provider).await?),
                false => None,
            },
            has_own: has_consent && consent::wanted(app, provider).await?.app_only,
            last_return: app.store.last_return(&provider.id).await?,
            key_since: app.store.service_account(&provider.id).await?.map(|key| key.set_at),
        })
    }
}
