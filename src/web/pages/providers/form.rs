//! `/providers/new` and `/providers/{name}/edit`: the form as text, and what it means.

mod choices;
mod remembered;
mod ticks;
mod values;

pub use choices::{ASSERTION_ALGS, CLIENT_AUTH, CLOUDS, CONSENT_SCREENS, MICROSOFT_AUTH, PROMPTS};
pub(super) use remembered::key;
pub use ticks::{Tick, all_scopes, apart, short_scope, ticks};
pub use values::suggested_name;
use values::{client_json, lines, parameters};

use super::cards::Card;
use crate::actions::providers::ProviderInput;
use crate::actions::providers::check::secret_expires;
use crate::model::mailbox::Protocol;
use crate::model::provider::{ClientAuth, Cloud, Endpoints, Provider};
use crate::model::scopes::{Resource, resource_of};
use crate::model::template::{self, TemplateKind, app_only_scope};
use crate::secret::{ClientSecret, KeyFile};
use crate::web::form::FieldErrors;
use crate::web::upload::Upload;
use serde::{Deserialize, Serialize};

/// What was typed. No `Debug`: it holds a secret.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ProviderForm {
    /// The card and template the page showed.
    #[serde(skip_serializing)]
    pub shown: String,
    /// What was typed at other cards, as JSON; no secrets.
    #[serde(skip_serializing)]
    pub others: String,
    /// The name that was suggested; one that was not touched follows the template.
    #[serde(skip_serializing)]
    pub suggested: String,
    /// Which button: `check`, `save`, `read`, `template`.
    #[serde(skip_serializing)]
    pub act: String,
    /// Card of the picker, by its word.
    pub card: String,
    /// Which of the known ones, for the card `known`.
    pub which: String,
    /// Handle.
    pub name: String,
    /// Directory id or domain.
    pub tenant: String,
    /// Microsoft's cloud.
    pub cloud: String,
    /// Client id.
    pub client_id: String,
    /// How the client proves itself.
    pub client_auth: String,
    /// How the assertions of a certificate are signed.
    pub assertion_alg: String,
    /// What an app-only provider's tokens are for: `graph`, or `outlook` for IMAP, POP and SMTP.
    pub app_resource: String,
    /// Where a new certificate comes from: `make` or `upload`.
    pub certificate_how: String,
    /// How many days one that is made here lasts.
    pub lasts: String,
    /// Passphrase of an uploaded one; never filled in again.
    #[serde(skip_serializing)]
    pub passphrase: String,
    /// The domain a service account acts in.
    pub domain: String,
    /// The key JSON of a service account, pasted or from its file; never filled in again.
    #[serde(skip_serializing)]
    pub service_account: String,
    /// The account of a service account's first token.
    pub first_account: String,
    /// Ticked: the first token is made too.
    pub make_token: String,
    /// Ticked: username and password are known to be the last resort.
    pub last_resort: String,
    /// A new secret; never filled in again.
    #[serde(skip_serializing)]
    pub client_secret: String,
    /// Ticked: somebody else enters it later, through a link.
    pub secret_later: String,
    /// The file Google hands out, pasted; never filled in again.
    #[serde(skip_serializing)]
    pub client_json: String,
    /// The secret's end.
    pub client_secret_expires: String,
    /// Google's consent screen.
    pub consent_screen: String,
    /// Ticked purposes.
    pub purposes: Vec<String>,
    /// Further scopes, or for `custom` all of them.
    pub scopes: String,
    /// Prompt of new tokens.
    pub prompt: String,
    /// Ticked: the account is sent along.
    pub login_hint: String,
    /// Ticked: PKCE is sent.
    pub pkce: String,
    /// Server of Zoho's data centre, or another one for Microsoft.
    pub authority: String,
    /// Issuer or discovery address.
    pub issuer: String,
    /// Authorize address.
    pub authorize_url: String,
    /// Token address.
    pub token_url: String,
    /// Revoke address.
    pub revocation_url: String,
    /// Device address.
    pub device_authorization_url: String,
    /// User info address.
    pub userinfo_url: String,
    /// Whether the description announced `iss`; comes from *Read it*.
    pub iss_announced: String,
    /// When the description was read.
    pub discovered_at: String,
    /// `name=value`, one a line.
    pub extra_authorize_params: String,
    /// Ticked: tokens need a new sign-in, and that is known.
    #[serde(skip_serializing)]
    pub confirm_move: String,
    /// The version that was edited.
    #[serde(skip_serializing)]
    pub version: i64,
    /// The walkthrough it comes from.
    pub back: String,
}

impl ProviderForm {
    /// What a new provider of a template starts with.
    pub fn of_template(card: Card, kind: TemplateKind) -> Self {
        let mut form = Self::default();
        form.choose(card, kind);
        form
    }

    /// The chosen card.
    pub fn card(&self) -> Card {
        Card::parse(&self.card).unwrap_or(Card::Microsoft)
    }

    /// Takes the files of a form; a file goes before what was pasted beside it.
    pub fn take_files(&mut self, upload: &Upload) {
        let text = |name| upload.file(name).map(|file| String::from_utf8_lossy(file).into_owned());
        if let Some(text) = text("service_account_file") {
            self.service_account = text;
        }
        if let Some(text) = text("client_json_file") {
            self.client_json = text;
        }
    }

    /// A stored provider, to be edited.
    pub fn of(provider: &Provider) -> Self {
        let own = &provider.overrides;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let kind = provider.template;
        let card = Card::of(provider);
        let graph = resource_of(kind, &provider.scopes) == Some(Resource::Graph);
        let (purposes, scopes) = apart(kind, provider.cloud, &provider.scopes);
        Self {
            card: card.word().to_owned(),
            which: kind.to_string(),
            name: provider.name.to_string(),
            tenant: text(&provider.tenant.clone().filter(|_| kind == TemplateKind::Microsoft)),
            domain: text(&provider.tenant.clone().filter(|_| kind == TemplateKind::Google)),
            app_resource: if graph { "graph" } else { "outlook" }.to_owned(),
            last_resort: tick(card == Card::MicrosoftPassword),
            cloud: provider.cloud.to_string(),
            client_id: provider.client_id.clone(),
            client_auth: provider.client_auth.to_string(),
            assertion_alg: provider.credentials.alg.to_string(),
            client_secret_expires: secret_expires(provider).map(|date| date.to_string()).unwrap_or_default(),
            consent_screen: provider.consent_screen.map(|screen| screen.to_string()).unwrap_or_default(),
            purposes,
            scopes,
            prompt: provider.prompt.to_string(),
            login_hint: tick(provider.login_hint),
            pkce: tick(provider.pkce),
            authority: match kind {
                TemplateKind::Zoho => text(&provider.endpoints().authority),
                _ => text(&own.authority),
            },
            issuer: text(&own.issuer),
            authorize_url: text(&own.authorize_url),
            token_url: text(&own.token_url),
            revocation_url: text(&own.revocation_url),
            device_authorization_url: text(&own.device_authorization_url),
            userinfo_url: text(&own.userinfo_url),
            iss_announced: tick(own.iss_announced),
            discovered_at: own.discovered_at.map(|at| at.to_string()).unwrap_or_default(),
            extra_authorize_params: lines(&provider.extra_authorize_params),
            version: provider.version,
            ..Self::default()
        }
    }

    /// The template that is chosen.
    pub fn kind(&self) -> TemplateKind {
        let known = TemplateKind::parse(&self.which).filter(|kind| Card::of_kind(*kind) == Card::Known);
        self.card().kind().or(known).unwrap_or(TemplateKind::Yahoo)
    }

    /// Microsoft's cloud that is chosen.
    pub fn cloud(&self) -> Cloud {
        Cloud::parse(&self.cloud).unwrap_or(Cloud::Global)
    }

    /// Whether the client proves itself with a secret.
    pub fn has_secret(&self) -> bool {
        !matches!(
            ClientAuth::parse(&self.client_auth),
            Some(ClientAuth::None | ClientAuth::Certificate)
        )
    }

    /// The ticks of its template.
    pub fn ticks(&self) -> Vec<Tick> {
        ticks(self.kind(), self.cloud(), &self.purposes)
    }

    /// All scopes: those of the ticks and the further ones.
    pub fn all_scopes(&self) -> String {
        if self.card().is_app_only() {
            let graph = self.app_resource == "graph";
            return app_only_scope(self.cloud(), if graph { Protocol::Graph } else { Protocol::Imap });
        }
        all_scopes(self.kind(), self.cloud(), &self.purposes, &self.scopes)
    }

    /// The address that counts where a field is empty.
    pub fn default_of(&self, field: &str) -> String {
        let tenant = Some(self.tenant.trim()).filter(|tenant| !tenant.is_empty());
        let authority = Some(self.authority.as_str());
        let defaults = template::endpoints(self.kind(), self.cloud(), tenant, authority);
        let found = match field {
            "issuer" => defaults.issuer,
            "authorize_url" => defaults.authorize_url,
            "token_url" => defaults.token_url,
            "revocation_url" => defaults.revocation_url,
            "device_authorization_url" => defaults.device_authorization_url,
            "userinfo_url" => defaults.userinfo_url,
            _ => None,
        };
        found.map_or_else(|| "Empty: there is none.".to_owned(), |url| format!("Empty: {url}"))
    }

    /// What was typed as the action takes it. What the form doesn't show stays as it is stored.
    pub fn input(&self, current: Option<&Provider>, errors: &mut FieldErrors) -> ProviderInput {
        let (kind, card) = (self.kind(), self.card());
        let only = |kinds: &[TemplateKind], text: &str| if kinds.contains(&kind) { text.to_owned() } else { String::new() };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
        let stored = current.map(|current| current.overrides.clone()).unwrap_or_default();
        let custom = kind == TemplateKind::Custom;
        let mut input = ProviderInput {
            name: self.name.clone(),
            template: kind.to_string(),
            tenant: match card {
                Card::GoogleService => self.domain.clone(),
                _ => only(&[TemplateKind::Microsoft], &self.tenant),
            },
            cloud: only(&[TemplateKind::Microsoft], &self.cloud),
            client_id: self.client_id.clone(),
            client_auth: match card.client_auth() {
                Some(auth) if current.is_none() => auth.to_string(),
                // Not every card asks for it: what isn't shown stays as it is stored.
                _ if self.client_auth.is_empty() => current.map(|current| current.client_auth.to_string()).unwrap_or_default(),
                _ => self.client_auth.clone(),
            },
            client_secret: some(&self.client_secret).map(ClientSecret::new),
            secret_later: !self.secret_later.is_empty() || self.act == "request",
            service_account: some(&self.service_account).map(KeyFile::new),
            has_service_account: false,
            client_secret_expires: self.client_secret_expires.clone(),
            certificate: None,
            assertion_alg: self.assertion_alg.clone(),
            consent_screen: only(&[TemplateKind::Google], &self.consent_screen),
            // Files know ways that no card has; they stay.
            grant: match current {
                Some(current) if Card::of(current) == card => current.grant.to_string(),
                _ => card.grant().to_string(),
            },
            scopes: Some(self.all_scopes()),
            prompt: Some(self.prompt.clone()),
            login_hint: Some(!self.login_hint.is_empty()),
            pkce: Some(!custom || !self.pkce.is_empty()),
            endpoints: Endpoints {
                authority: some(&only(&[TemplateKind::Microsoft, TemplateKind::Zoho], &self.authority)),
                issuer: some(&self.issuer),
                authorize_url: some(&self.authorize_url),
                token_url: some(&self.token_url),
                revocation_url: some(&self.revocation_url),
                device_authorization_url: some(&self.device_authorization_url),
                userinfo_url: some(&self.userinfo_url),
                iss_announced: custom && !self.iss_announced.is_empty(),
                discovered_at: self.discovered_at.parse().ok().filter(|_| custom),
                graph_url: stored.graph_url,
                admin_consent_url: stored.admin_consent_url,
            },
            extra_authorize_params: Some(parameters(&self.extra_authorize_params, errors)),
        };
        if card == Card::Google && !self.client_json.trim().is_empty() {
            match client_json(&self.client_json) {
                Ok((id, secret)) => {
                    input.client_id = id;
                    input.client_secret = Some(secret);
                }
                Err(message) => errors.add("client_json", message),
            }
        }
        if !self.secret_later.is_empty() && self.brings_secret() {
            errors.add(
                "secret_later",
                "You entered a client secret, and ticked that somebody else enters it. Untick this and enter the secret again, or leave this \
                 ticked and the secret out",
            );
        }
        if card == Card::MicrosoftPassword && self.last_resort.is_empty() {
            errors.add(
                "last_resort",
                "Tick \u{201c}I know this is the last resort\u{201d}, or choose another card",
            );
        }
        input
    }

    /// Whether a client secret came with it, typed or in a file.
    pub fn brings_secret(&self) -> bool {
        let json = self.card() == Card::Google && !self.client_json.trim().is_empty();
        json || !self.client_secret.trim().is_empty()
    }

    /// Whether the issuer has to be read before this can be saved.
    pub fn wants_reading(&self) -> bool {
        let empty = |text: &str| text.trim().is_empty();
        self.kind() == TemplateKind::Custom && !empty(&self.issuer) && (empty(&self.authorize_url) || empty(&self.token_url))
    }

    /// Takes what a description says into the fields, and gives back what it changed: label, before, now.
    pub fn take(&mut self, found: &crate::oauth::Discovery) -> Vec<(&'static str, String, String)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let endpoints = &found.endpoints;
        let mut changed = Vec::new();
        let mut put = |label, field: &mut String, now: String| {
            if *field != now {
                changed.push((label, field.clone(), now.clone()));
                *field = now;
            }
        };
        put("Issuer", &mut self.issuer, text(&endpoints.issuer));
        put("Authorize address", &mut self.authorize_url, text(&endpoints.authorize_url));
        put("Token address", &mut self.token_url, text(&endpoints.token_url));
        put("Revoke address", &mut self.revocation_url, text(&endpoints.revocation_url));
        put(
            "Device address",
            &mut self.device_authorization_url,
            text(&endpoints.device_authorization_url),
        );
        put("User info address", &mut self.userinfo_url, text(&endpoints.userinfo_url));
        if self.discovered_at.is_empty() {
            let auth = found.preferred_client_auth();
            put("How the client proves itself", &mut self.client_auth, auth.to_string());
        }
        self.iss_announced = tick(endpoints.iss_announced);
        self.discovered_at = endpoints.discovered_at.map(|at| at.to_string()).unwrap_or_default();
        changed
    }
}

fn tick(on: bool) -> String {
    if on { "on".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_each_template_holds_its_own_scopes() {
        for kind in TemplateKind::ALL {
            let form = ProviderForm::of_template(Card::of_kind(*kind), *kind);
            assert_eq!(form.kind(), *kind);
            let mut errors = FieldErrors::default();
            let input = form.input(None, &mut errors);
            assert!(errors.is_empty());
            let scopes = crate::model::scopes::parse_scopes(input.scopes.as_deref().unwrap()).unwrap();
            assert!(!scopes.is_empty(), "{kind}");
        }
    }
}
