//! The text for whoever runs the provider: which app in which directory, and what has to be so there, step by step in the words of the
//! provider's own pages. Nothing stands in it that this provider has no use for.

use crate::actions::consent;
use crate::actions::providers::trial;
use crate::app::App;
use crate::model::consent::{LinkKind, ProviderLink};
use crate::model::credential::StoredCertificate;
use crate::model::provider::{ClientAuth, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;
use crate::store::StoreError;
use crate::web::page::Layout;
use crate::web::pages::consent::view::{app_lines, asked_of, permission_line};

/// A step: what to do, and the values for it.
struct Step {
    text: String,
    values: Vec<String>,
}

fn step(text: impl Into<String>, values: Vec<String>) -> Step {
    Step { text: text.into(), values }
}

/// The certificate whose private key is here and whose public half the provider needs: the one that waits, else the one in use.
pub(super) fn own_certificate(provider: &Provider) -> Option<&StoredCertificate> {
    let current = provider.credentials.certificate.as_ref();
    let in_use = current.filter(|_| provider.client_auth == ClientAuth::Certificate);
    provider.credentials.next.as_ref().or(in_use)
}

/// The text, with every value they need.
pub(super) async fn words(
    app: &App,
    layout: &Layout,
    provider: &Provider,
    made: Option<&(String, ProviderLink)>,
) -> Result<String, StoreError> {
    let tokens = app.store.tokens_of(&provider.id).await?;
    let mut grants = vec![provider.grant];
    grants.extend(tokens.iter().map(|token| token.grant));
    let uses = |grant: GrantType| grants.contains(&grant);
    let short = provider.template.short_name();
    let key = app.store.service_account(&provider.id).await?;
    let mut lines = vec![format!(
        "Our mail console is a program that reads and sends mail for mailboxes through {short}. It needs a few things set up there."
    )];
    if !provider.client_id.is_empty() {
        lines.push(String::new());
        lines.push("The app:".to_owned());
        lines.extend(app_lines(provider).lines().map(|line| format!("   {line}")));
    }
    let mut steps = match provider.template {
        TemplateKind::Microsoft => microsoft(app, provider, &grants).await?,
        _ => others(app, provider, &grants).await?,
    };
    if uses(GrantType::JwtBearer) {
        let known = key
            .as_ref()
            .map(|key| (key.account.client_email.as_str(), key.account.client_id.as_str()));
        steps.extend(delegation(provider, known, &consent::all_scopes(provider, &tokens)));
    }
    if let Some((_, link)) = made {
        steps.push(bring(provider, link.kind));
    } else if let Some(stored) = own_certificate(provider) {
        steps.push(upload(provider, stored, "The file comes with this text. "));
    }
    for (number, step) in steps.iter().enumerate() {
        lines.push(String::new());
        lines.push(format!("{}. {}", number + 1, step.text));
        lines.extend(step.values.iter().map(|value| format!("   {value}").trim_end().to_owned()));
    }
    if let Some((url, link)) = made {
        let ends = format!("{} ({})", layout.zone.full(link.expires_at), layout.zone.label(&layout.now));
        lines.push(String::new());
        lines.push(format!("   {url}"));
        lines.push(String::new());
        lines.push(format!("The link works once, until {ends}. {} asks for it.", link.created_by));
    }
    Ok(lines.join("\n"))
}

/// The addresses people and admins come back to, where anybody does.
async fn redirects(app: &App, provider: &Provider) -> Result<Vec<String>, StoreError> {
    let mut values = vec![trial::redirect_uri(app, provider).await?];
    if consent::is_known(provider) {
        values.push(consent::return_uri(app, provider).await?);
    }
    Ok(values)
}

async fn microsoft(app: &App, provider: &Provider, grants: &[GrantType]) -> Result<Vec<Step>, StoreError> {
    let wanted = consent::wanted(app, provider).await?;
    let mut steps = Vec::new();
    if grants.contains(&GrantType::AuthorizationCode) {
        steps.push(step(
            "Entra admin center > App registrations > this app > Authentication: add these redirect addresses under platform Web, to the letter:",
            redirects(app, provider).await?,
        ));
    }
    let by_password = grants.contains(&GrantType::Password) && provider.client_auth == ClientAuth::None;
    if by_password || grants.contains(&GrantType::DeviceCode) {
        steps.push(step(
            "Entra admin center > App registrations > this app > Authentication > Settings (older pages: Advanced settings): set Allow public client flows to Yes, and save.",
            Vec::new(),
        ));
    }
    let (own, people) = if wanted.app_only {
        (wanted.permissions, wanted.people)
    } else {
        (Vec::new(), wanted.permissions)
    };
    let (exchange, graph): (Vec<String>, Vec<String>) = own.into_iter().partition(|role| role.contains("AsApp"));
    let mut values = Vec::new();
    for (place, names) in [
        (
            "APIs my organization uses > Office 365 Exchange Online > Application permissions:",
            exchange,
        ),
        ("Microsoft Graph > Application permissions:", graph),
        ("Microsoft Graph > Delegated permissions:", people),
    ] {
        if !names.is_empty() {
            values.push(place.to_owned());
            values.extend(asked_of(&names).iter().map(permission_line));
        }
    }
    if !values.is_empty() {
        values.push("Then Grant admin consent, on the same page.".to_owned());
        steps.push(step(
            "Entra admin center > App registrations > this app > API permissions > Add a permission:",
            values,
        ));
    }
    Ok(steps)
}

async fn others(app: &App, provider: &Provider, grants: &[GrantType]) -> Result<Vec<Step>, StoreError> {
    let google = provider.template == TemplateKind::Google;
    let mut steps = Vec::new();
    if grants.contains(&GrantType::AuthorizationCode) {
        let text = if google {
            "Google Cloud console > Google Auth Platform > Clients > this client > Authorized redirect URIs: add this address, to the letter:"
        } else {
            "Register this redirect address for the app, to the letter:"
        };
        steps.push(step(text, redirects(app, provider).await?));
    }
    // What a service account may do is allowed elsewhere.
    if grants.iter().any(|grant| *grant != GrantType::JwtBearer) {
        let tokens = app.store.tokens_of(&provider.id).await?;
        let scopes = consent::all_scopes(provider, &tokens);
        if !scopes.is_empty() {
            let text = if google {
                "Google Cloud console > Google Auth Platform > Data Access > Add or remove scopes:"
            } else {
                "Allow the app these permissions (scopes):"
            };
            steps.push(step(text, scopes.iter().map(|scope| format!("- {scope}")).collect()));
        }
    }
    Ok(steps)
}

/// Domain-wide delegation; `known`: the account's address and number, where its key is stored.
fn delegation(provider: &Provider, known: Option<(&str, &str)>, scopes: &[String]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut values = Vec::new();
    if let Some((email, client_id)) = known {
        values.push(format!("Client ID: {client_id}"));
        steps.push(step(
            format!("Google Cloud console, in the project of the service account {email}: turn on APIs & Services > Library > Gmail API."),
            Vec::new(),
        ));
    } else {
        values.push("Client ID: the Unique ID of the service account, a number".to_owned());
        steps.push(step(
            "Google Cloud console > IAM & Admin > Service Accounts: create a service account, or open the one for this. It needs no role. Its Details show the Unique ID, a number. In the same project turn on APIs & Services > Library > Gmail API.",
            Vec::new(),
        ));
    }
    values.push(format!("Scopes: {}", scopes.join(",")));
    let domain = provider.tenant.as_deref().map(|domain| format!(" of {domain}")).unwrap_or_default();
    steps.push(step(
        format!(
            "Google Admin console{domain}, as a super admin > Security > Access and data control > API controls > Manage Domain Wide Delegation > Add new, then Authorize. It may take minutes, at most a day."
        ),
        values,
    ));
    steps
}

/// What the link is for.
fn bring(provider: &Provider, kind: LinkKind) -> Step {
    let microsoft = provider.template == TemplateKind::Microsoft;
    match (kind, own_certificate(provider)) {
        (LinkKind::Certificate, Some(stored)) => upload(
            provider,
            stored,
            "Open the link below for the file (.cer or .pem), and press the button there once it is uploaded. ",
        ),
        (LinkKind::Certificate, None) if microsoft => step(
            "Make a certificate. Entra admin center > App registrations > this app > Certificates & secrets > Certificates > Upload certificate: its public half (.cer). Bring the certificate with its private key here, not in a mail:",
            Vec::new(),
        ),
        (LinkKind::Certificate, None) => step(
            "Make a certificate, and give the app its public half. Bring the certificate with its private key here, not in a mail:",
            Vec::new(),
        ),
        (LinkKind::ServiceKey, _) => step(
            "Google Cloud console > IAM & Admin > Service Accounts > this account > Keys > Add key > Create new key > JSON. Bring the file that downloads here, not in a mail:",
            Vec::new(),
        ),
        _ if microsoft => step(
            "Entra admin center > App registrations > this app > Certificates & secrets > New client secret. Enter its Value (not its Secret ID) and the day it ends here, not in a mail:",
            Vec::new(),
        ),
        _ => step(
            "Make a client secret. Enter its value and the day it ends here, not in a mail:",
            Vec::new(),
        ),
    }
}

/// The public half of a certificate whose private key is here goes to the provider.
fn upload(provider: &Provider, stored: &StoredCertificate, file: &str) -> Step {
    let (place, compare) = if provider.template == TemplateKind::Microsoft {
        (
            "Entra admin center > App registrations > this app > Certificates & secrets > Certificates > Upload certificate.",
            "Entra shows its thumbprint after that",
        )
    } else {
        ("Give the app this certificate.", "Its thumbprints")
    };
    let what = "It is the public half and no secret; the private key stays in the console. ";
    let must = if provider.template == TemplateKind::Microsoft {
        ", which has to be one of these:"
    } else {
        " have to be:"
    };
    step(
        format!("{place} {file}{what}{compare}{must}"),
        vec![
            format!("SHA-1:   {}", stored.facts.sha1),
            format!("SHA-256: {}", stored.facts.sha256),
        ],
    )
}
