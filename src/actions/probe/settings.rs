//! The settings a run used, as words: stored with it, and compared with those of today.

use crate::actions::mailboxes::{Change, changes, describe_side};
use crate::app::App;
use crate::model::mailbox::{Auth, Mailbox, Server};
use crate::model::report::Direction;
use crate::store::StoreError;
use crate::store::reports::Run;

/// Label and value of every setting that has a say in how a test ends. Without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(pub Vec<(String, String)>);

impl Settings {
    /// As it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// The value of a label.
    pub fn get(&self, label: &str) -> Option<&str> {
        self.0.iter().find(|(l, _)| l == label).map(|(_, value)| value.as_str())
    }

    /// What is different in `now`.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        // A sign-in that was brought along shows whose it is at its first renewal: nobody changed anything.
        let first_seen = |change: &Change| change.0 == "Signed in as" && change.1.is_empty();
        changes(&self.0, &now.0).into_iter().filter(|change| !first_seen(change)).collect()
    }
}

/// The settings of one side as they are: server, sign-in, token and provider.
pub async fn settings_of(app: &App, mailbox: &Mailbox, direction: Direction) -> Result<Settings, StoreError> {
    let side = super::side(mailbox, direction);
    let mut lines: Vec<(String, String)> = vec![("Email address".to_owned(), mailbox.address.clone())];
    lines.extend(
        describe_side(mailbox, direction, side)
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value)),
    );
    let Some(Auth::OAuth2 { token_id, .. }) = side.map(|side| &side.auth) else {
        return Ok(Settings(lines));
    };
    let mut add = |label: &str, value: String| lines.push((label.to_owned(), value));
    if let Some(token) = app.store.token_by_id(token_id).await? {
        add("Token's account", token.user.clone().unwrap_or_default());
        add("Token's permissions", token.scopes.join(" "));
        if let Some(grant) = app.store.grant(token_id).await? {
            // The app itself signs in with every test that needs a token: that is no change of settings.
            let by_a_person = grant.authorized_at.filter(|_| token.grant.needs_person());
            add("Signed in", by_a_person.map(|at| at.to_rfc3339()).unwrap_or_default());
            add("Signed in as", grant.identity.account().to_owned());
        }
        if let Some(provider) = app.store.provider_by_id(&token.provider_id).await? {
            add("Provider", provider.name.to_string());
            add("Provider's tenant", provider.tenant.clone().unwrap_or_default());
            add("Provider's client ID", provider.client_id.clone());
            add("Provider's token address", provider.endpoints().token_url.unwrap_or_default());
            if side.is_some_and(|side| side.server == Server::Graph) {
                add("Provider's address of Graph", provider.endpoints().graph_url.unwrap_or_default());
            }
            let secret = provider.client_secret.as_ref().map(|secret| secret.set_at.to_rfc3339());
            add("Provider's client secret set", secret.unwrap_or_default());
            if let Some(certificate) = &provider.credentials.certificate {
                add("Provider's certificate", certificate.facts.sha1.clone());
            }
        }
    }
    Ok(Settings(lines))
}

/// The settings a run used.
pub fn stored_settings(run: &Run) -> Settings {
    Settings(serde_json::from_str(&run.settings).unwrap_or_default())
}
