//! The page of a provider's form: what it shows beside what was typed.

use super::cards::Card;
use super::certificate::LASTS;
use super::form::{ASSERTION_ALGS, CLIENT_AUTH, CLOUDS, CONSENT_SCREENS, MICROSOFT_AUTH, PROMPTS, ProviderForm, Tick, suggested_name};
use super::key::KeyFacts;
use super::limit::{Limit, limit};
use super::moving::Moving;
use crate::actions::tokens::again::{self, Asked};
use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::model::scopes::parse_scopes;
use crate::model::template::{self, HelpStep, TemplateKind, ZOHO_DATA_CENTRES};
use crate::oauth::Discovery;
use crate::store::StoreError;
use crate::web::WebState;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Section};
use crate::web::routes;
use askama::Template;

/// What to do with the redirect address.
fn redirect_hint(kind: TemplateKind, is_new: bool) -> String {
    let first = if is_new {
        "Its end is the name above; choose that first. "
    } else {
        ""
    };
    let then = match kind {
        TemplateKind::Microsoft => "Add this in Entra under Authentication, platform Web.".to_owned(),
        TemplateKind::Custom => "Register this at the provider.".to_owned(),
        _ => format!("Register this at {}.", kind.short_name()),
    };
    format!("{first}{then} It must match exactly.")
}

#[derive(Template)]
#[template(path = "providers/form.html")]
pub(super) struct FormPage {
    layout: Layout,
    errors: FieldErrors,
    form: ProviderForm,
    card: Card,
    kind: String,
    action: String,
    back: String,
    heading: String,
    is_new: bool,
    /// The walkthrough that leads through the same.
    walkthrough: String,
    redirect: String,
    redirect_hint: String,
    consent_return: String,
    client_label: &'static str,
    secret_set: String,
    secret_hint: String,
    expires_label: &'static str,
    expires_hint: String,
    known: [(&'static str, &'static str); 3],
    centres: Vec<(&'static str, &'static str)>,
    auths: [(&'static str, &'static str); 4],
    microsoft_auths: [(&'static str, &'static str); 3],
    algs: [(&'static str, &'static str); 2],
    clouds: [(&'static str, &'static str); 4],
    screens: Vec<(&'static str, &'static str, String)>,
    prompts: [(&'static str, &'static str); 5],
    lasts: [(&'static str, &'static str); 3],
    ticks: Vec<Tick>,
    always: &'static [&'static str],
    steps: &'static [HelpStep],
    portal: (&'static str, &'static str),
    /// The service account whose key is stored.
    key: Option<KeyFacts>,
    /// Thumbprint and end of the certificate in use.
    certificate: Option<(String, Timestamp)>,
    /// Scopes as Google Admin takes them.
    delegated: String,
    /// How an app-only provider is limited to its mailboxes.
    limit: Option<Limit>,
    fold_open: bool,
    pub moving: Option<Moving>,
    /// How the tokens that are there take a change of permissions.
    asked: Asked,
    pub found: Option<Discovery>,
    pub changed: Vec<(&'static str, String, String)>,
}

/// Fields that stand in the folded part.
const FOLDED: [&str; 10] = [
    "assertion_alg",
    "prompt",
    "pkce",
    "authority",
    "authorize_url",
    "token_url",
    "revocation_url",
    "device_authorization_url",
    "userinfo_url",
    "extra_authorize_params",
];

impl FormPage {
    pub async fn new(
        web: &WebState,
        user: &CurrentUser,
        mut form: ProviderForm,
        current: Option<&Provider>,
        errors: FieldErrors,
    ) -> Result<Self, StoreError> {
        let (card, kind) = (form.card(), form.kind());
        let is_new = current.is_none();
        if is_new && form.name.trim().is_empty() && errors.is_empty() {
            let domain = if card == Card::GoogleService { &form.domain } else { &form.tenant };
            form.name = free_name(web, &suggested_name(kind, domain)).await;
            form.suggested.clone_from(&form.name);
        }
        form.shown = super::form::key(card, kind);
        // Secrets go in, never out: not even back into the form they came from.
        form.client_secret.clear();
        form.client_json.clear();
        form.service_account.clear();
        form.passphrase.clear();
        let title = if is_new { "Add provider" } else { "Edit provider" };
        let mut layout = user.layout(Section::Providers, title).await.crumb("Providers", "/providers");
        if let Some(current) = current {
            layout = layout.crumb(current.name.as_str(), &routes::provider(current.name.as_str()));
        }
        if !errors.is_empty() {
            layout = layout.error();
        }
        let microsoft = kind == TemplateKind::Microsoft;
        let named = if form.name.trim().is_empty() { "NAME" } else { form.name.trim() };
        let secret = current.and_then(|current| current.client_secret.as_ref());
        let folded = FOLDED.iter().any(|field| errors.has(field)) && kind != TemplateKind::Custom;
        let asked = match current {
            Some(current) => again::asked(&web.app, current).await?,
            None => Asked::default(),
        };
        let in_use = current.and_then(|current| current.credentials.certificate.as_ref());
        let stored = match current.filter(|_| card == Card::GoogleService) {
            Some(current) => web.app.store.service_account(&current.id).await?.map(|stored| (current, stored)),
            None => None,
        };
        Ok(Self {
            action: current.map_or_else(
                || "/providers/new".to_owned(),
                |current| format!("/providers/{}/edit", current.name),
            ),
            back: current.map_or_else(|| "/providers".to_owned(), |current| routes::provider(current.name.as_str())),
            heading: card.title(kind),
            is_new,
            walkthrough: match card {
                Card::Microsoft => "/walkthroughs/new?template=microsoft-user",
                Card::MicrosoftCertificate => "/walkthroughs/new?template=microsoft-certificate",
                Card::MicrosoftSecret => "/walkthroughs/new?template=microsoft-secret",
                Card::Google => "/walkthroughs/new?template=google-user",
                Card::GoogleService => "/walkthroughs/new?template=google-service",
                Card::Known if kind == TemplateKind::Yahoo => "/walkthroughs/new?template=yahoo",
                Card::Custom => "/walkthroughs/new?template=other",
                Card::Known | Card::MicrosoftPassword => "/walkthroughs",
            }
            .to_owned(),
            redirect: web.url(&format!("/oauth/callback/{named}")),
            consent_return: web.url(&format!("/oauth/admin-consent/{named}")),
            redirect_hint: redirect_hint(kind, is_new),
            client_label: if microsoft { "Application (client) ID" } else { "Client ID" },
            secret_set: secret
                .map(|secret| super::edit::secret_words(secret, current, &layout))
                .unwrap_or_default(),
            secret_hint: match kind {
                TemplateKind::Microsoft => "The Value from Certificates and secrets. You can't read it back here after saving.",
                _ => "You can't read it back here after saving.",
            }
            .to_owned(),
            expires_label: if microsoft {
                "Secret expires on"
            } else {
                "Secret expires on (optional)"
            },
            expires_hint: match kind {
                TemplateKind::Microsoft => "Entra shows it beside the secret, like 2027-11-20.",
                _ => "If the provider ends secrets: the day, like 2027-11-20.",
            }
            .to_owned(),
            known: [("yahoo", "Yahoo"), ("zoho", "Zoho"), ("fastmail", "Fastmail")],
            centres: ZOHO_DATA_CENTRES.iter().map(|(label, base, _)| (*base, *label)).collect(),
            auths: CLIENT_AUTH,
            microsoft_auths: MICROSOFT_AUTH,
            algs: ASSERTION_ALGS,
            clouds: CLOUDS,
            screens: CONSENT_SCREENS
                .iter()
                .map(|(value, words, hint)| (*value, *words, (*hint).to_owned()))
                .collect(),
            prompts: PROMPTS,
            lasts: LASTS,
            ticks: form.ticks(),
            always: kind.template().always,
            steps: card.steps(kind),
            portal: template::portal(kind, form.cloud()),
            key: stored.map(|(provider, stored)| KeyFacts::of(provider, &stored, &layout)),
            certificate: in_use.map(|stored| (stored.facts.sha1.clone(), stored.facts.ends)),
            delegated: parse_scopes(&form.all_scopes()).unwrap_or_default().join(","),
            limit: card.is_app_only().then(|| limit(named, &form.client_id, None)),
            fold_open: folded || (errors.has("scopes") && kind != TemplateKind::Custom),
            moving: None,
            asked,
            found: None,
            changed: Vec::new(),
            card,
            kind: kind.to_string(),
            layout,
            errors,
            form,
        })
    }

    /// Whether a card is the chosen one, by its word.
    fn has_card(&self, word: &str) -> bool {
        self.card.word() == word
    }
}

/// A name nobody has yet: `microsoft`, `microsoft-2`.
async fn free_name(web: &WebState, wanted: &str) -> String {
    for number in 1..100 {
        let name = if number == 1 {
            wanted.to_owned()
        } else {
            format!("{wanted}-{number}")
        };
        let Ok(parsed) = crate::model::Name::parse(&name) else {
            return String::new();
        };
        if matches!(web.app.store.provider(&parsed).await, Ok(None)) {
            return name;
        }
    }
    String::new()
}
