//! What may be saved about a provider and still deserves a word: shown in the form, on its page, and by `config check`.

use crate::actions::{ahead, settings};
use crate::app::App;
use crate::diagnosis::own;
use crate::model::Date;
use crate::model::proof::ProofOutcome;
use crate::model::provider::{ClientAuth, ConsentScreen, Provider};
use crate::model::scopes::{self, Resource};
use crate::model::template::{self, TemplateKind};
use crate::model::token::{GrantState, GrantType, Prompt};
use crate::store::StoreResult;
use url::Url;

/// From how many days before its end is a secret worth a word?
pub const SECRET_ENDS_SOON: i64 = 60;

/// Something to know about a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The field it is about, by its name in the form and the file.
    pub field: &'static str,
    /// One or two sentences.
    pub text: String,
}

/// Everything there is to know, most urgent first.
pub async fn lint(app: &App, provider: &Provider) -> StoreResult<Vec<Warning>> {
    let base_url = settings::base_url(app).await?;
    let mut warnings = Vec::new();
    let mut warn = |field, text: String| warnings.push(Warning { field, text });
    let kind = provider.template;
    let endpoints = provider.endpoints();
    let at_home = template::at_home(kind, endpoints.token_url.as_deref());
    let has_secret = provider.client_auth != ClientAuth::None;
    // What may go wrong at the first sign-in is no news once one works.
    let works = works(app, provider).await?;
    let noun = provider.proof_noun();

    if let Some(date) = provider.client_secret_expires.filter(|_| has_secret) {
        let today = Date::of(app.clock.now(), &settings::zone(app).await?);
        match date.days_after(today) {
            _ if date.has_ended(today) => warn(
                "client_secret_expires",
                format!("The {noun} ended on {date}. Replace it, or nothing can be renewed."),
            ),
            days if days <= SECRET_ENDS_SOON => {
                let unit = if days == 1 { "day" } else { "days" };
                warn("client_secret_expires", format!("The {noun} ends in {days} {unit}, on {date}."));
            }
            _ => {}
        }
    } else if provider.client_auth == ClientAuth::Certificate {
        warn(
            "certificate",
            "No certificate is there yet, so the app can't prove itself. Create one here, or upload one.".to_owned(),
        );
    } else if has_secret && kind == TemplateKind::Microsoft && at_home {
        warn(
            "client_secret_expires",
            "Microsoft ends every client secret. Enter the date beside it in Entra, and the console reminds you.".to_owned(),
        );
    }
    // What the diagnosis would say of a refusal, where nothing of it is said here otherwise.
    for one in ahead::of_provider(app, provider) {
        let field = match one.id {
            own::SECRET_IS_ID if kind == TemplateKind::Microsoft => "client_secret",
            "entra-28000-multiple-resources" => "scopes",
            _ => continue,
        };
        warn(field, format!("{}. {}", one.title, one.text()).trim().to_owned());
    }
    if let Some(text) = graph_address(endpoints.graph_url.as_deref()) {
        warn("graph_url", text);
    }
    if let Some(fallback) = &provider.credentials.fallback
        && provider.rests_on_fallback(app.clock.now())
    {
        warn(
            "fallback",
            format!(
                "The provider refuses the {noun} in use. The {} before it still works, and counts here until {}. Replace the {noun} before that.",
                fallback.held.noun(),
                fallback.until
            ),
        );
    }
    if let Some(next) = &provider.credentials.next {
        warn(
            "next",
            format!(
                "A certificate waits to be used, with the thumbprint {}. Give its public half to the provider, then put it in use.",
                next.facts.sha1
            ),
        );
    }
    if endpoints.token_url.as_deref().is_some_and(|url| url.starts_with("http://")) {
        warn(
            "token_url",
            "Secrets and tokens travel to this provider unencrypted. That is for tests on this machine only.".to_owned(),
        );
    }
    if !provider.pkce {
        warn(
            "pkce",
            "PKCE is off: whoever gets hold of an authorization code can use it. Turn it on unless the server refuses it.".to_owned(),
        );
    }
    let someone_signs_in = matches!(provider.grant, GrantType::AuthorizationCode | GrantType::DeviceCode);
    if someone_signs_in && endpoints.issuer.is_none() && endpoints.userinfo_url.is_none() {
        warn(
            "issuer",
            "Neither issuer nor user info address is known. If no ID token comes, nobody can tell who signed in, and every sign-in is refused."
                .to_owned(),
        );
    }
    if let Some(text) = scopes::offline_access_missing(kind, &provider.scopes).filter(|_| someone_signs_in) {
        warn("scopes", format!("{text}."));
    }
    match kind {
        TemplateKind::Microsoft if someone_signs_in => microsoft(&base_url, provider, (at_home, works), &mut warn),
        TemplateKind::Microsoft if provider.grant == GrantType::ClientCredentials => {
            let graph = scopes::resource_of(kind, &provider.scopes) == Some(Resource::Graph);
            if graph && !is_limited(app, provider).await? {
                warn(
                    "scopes",
                    "Can open every mailbox of the tenant. Limit it in Exchange, then prove it on the page of its token.".to_owned(),
                );
            }
        }
        TemplateKind::Google if someone_signs_in => google(provider, &mut warn),
        TemplateKind::Yahoo if at_home && !works => {
            warn("scopes", "Mail permission must be approved by Yahoo first.".to_owned());
        }
        TemplateKind::Zoho if at_home => {
            warn("scopes", "Zoho's IMAP and SMTP take app passwords only.".to_owned());
        }
        _ => {}
    }
    if provider.grant == GrantType::Password && !works {
        warn(
            "grant",
            "Username and password fail with a second factor or federated sign-in. Let someone sign in, or use the app itself, wherever that works."
                .to_owned(),
        );
    }
    if someone_signs_in && provider.prompt == Prompt::None {
        warn(
            "prompt",
            "With prompt \"none\" a sign-in succeeds only if the right account is signed in to the browser already.".to_owned(),
        );
    }
    Ok(warnings)
}

/// A Graph address with somebody's mailbox in it: the console adds the path itself, and nobody is "me" to an app.
fn graph_address(address: Option<&str>) -> Option<String> {
    let url = Url::parse(address?).ok()?;
    let whose = |part: &str| matches!(part, "me" | "users");
    let named = url.path_segments()?.find(|part| whose(part))?.to_owned();
    Some(format!(
        "The address of Graph has /{named} in it. Take that off: the console adds whose mailbox it opens, and nobody is \"me\" to an app."
    ))
}

/// Whether the newest proof of one of its tokens shows that a mailbox is closed to the app.
async fn is_limited(app: &App, provider: &Provider) -> StoreResult<bool> {
    for token in app.store.tokens_of(&provider.id).await? {
        let newest = app.store.proofs_of(&token.id, 1).await?;
        if newest
            .iter()
            .any(|proof| proof.outcome == ProofOutcome::Refused && proof.at >= provider.updated_at)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many tokens are looked at to see whether one works?
const SOME: usize = 20;

/// Whether somebody is signed in with it, and the sign-in counts.
async fn works(app: &App, provider: &Provider) -> StoreResult<bool> {
    for token in app.store.tokens_of(&provider.id).await?.iter().take(SOME) {
        let grant = app.store.grant(&token.id).await?;
        if grant.is_some_and(|grant| grant.state == GrantState::Active && grant.refreshed_at.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn microsoft(base_url: &Url, provider: &Provider, (at_home, works): (bool, bool), warn: &mut impl FnMut(&'static str, String)) {
    let tenant = provider.tenant.as_deref().unwrap_or_default().to_ascii_lowercase();
    if matches!(tenant.as_str(), "common" | "organizations") && !works {
        warn(
            "tenant",
            format!("Tenant \"{tenant}\" works for apps of several organisations only. For your own organisation enter its directory ID."),
        );
    }
    // At another device nobody comes back to an address, and no secret is usual.
    if provider.client_auth == ClientAuth::None && at_home && provider.grant == GrantType::AuthorizationCode {
        warn(
            "client_auth",
            "Without a secret the redirect address must be registered under the platform Mobile and desktop, and anyone can pose as this app."
                .to_owned(),
        );
    }
    let host = base_url.host_str().unwrap_or_default();
    if base_url.scheme() == "http" && host != "localhost" && at_home {
        warn(
            "name",
            format!(
                "Entra takes redirect addresses with http:// for localhost only, and this console's address has {host}. Set MAILGRANT_BASE_URL."
            ),
        );
    }
}

fn google(provider: &Provider, warn: &mut impl FnMut(&'static str, String)) {
    if provider.consent_screen == Some(ConsentScreen::Testing) {
        warn("consent_screen", "Google ends each sign-in after 7 days.".to_owned());
    }
    if provider.prompt == Prompt::Login {
        warn("prompt", "Google doesn't know the prompt \"login\".".to_owned());
    }
    let offline = |(name, value): &(String, String)| name == "access_type" && value == "offline";
    if !provider.extra_authorize_params.iter().any(offline) {
        warn(
            "extra_authorize_params",
            "Without access_type=offline Google gives no lasting token.".to_owned(),
        );
    } else if provider.prompt != Prompt::Consent {
        warn(
            "prompt",
            "Google gives a lasting token only together with a consent: prompt \"consent\" gets one every time.".to_owned(),
        );
    }
}
