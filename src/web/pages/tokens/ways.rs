//! *How to get it*: which ways a provider can be asked in, and what is missing for the others.

use super::alone::way;
use crate::app::App;
use crate::model::lint::{self, TenantUse};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;
use crate::store::StoreError;
use crate::web::routes;

/// A choice of *How to get it*.
pub(super) struct Way {
    pub value: &'static str,
    pub words: &'static str,
    pub hint: String,
    pub chosen: bool,
}

/// A way that can't work yet.
pub(super) struct Missing {
    /// Its name.
    pub words: &'static str,
    /// What is missing, a sentence.
    pub text: &'static str,
    /// Where to mend it, and the words of the link.
    pub link: String,
    pub link_words: &'static str,
}

/// What a way to get a token means, under its choice.
const fn hint(grant: GrantType) -> &'static str {
    match grant {
        GrantType::AuthorizationCode => "In a browser, once. The console keeps the token fresh.",
        GrantType::ClientCredentials => "No person. One token serves every mailbox the app may open.",
        GrantType::DeviceCode => "With a code, on a phone or another computer.",
        GrantType::Password => "Last resort: fails with a second factor or federated sign-in.",
        GrantType::JwtBearer => "No person. The provider's service account acts for one account of the domain.",
    }
}

/// The ways that can work at a provider, and those that lack something. `chosen`: the one of the form; `stored`: the one of a token that
/// is edited, which stays offered.
pub(super) async fn ways(
    app: &App,
    provider: &Provider,
    chosen: &str,
    stored: Option<GrantType>,
) -> Result<(Vec<Way>, Vec<Missing>), StoreError> {
    let has_key = app
        .store
        .service_account(&provider.id)
        .await?
        .is_some_and(|key| key.destination == provider.destination());
    let (mut offered, mut missing) = (Vec::new(), Vec::new());
    for grant in provider.template.grants() {
        match lack(provider, grant, has_key).filter(|_| stored != Some(grant)) {
            Some(found) => missing.push(found),
            None => offered.push(Way {
                value: grant.as_str(),
                words: way(grant),
                hint: hint(grant).to_owned(),
                chosen: chosen == grant.as_str(),
            }),
        }
    }
    Ok((offered, missing))
}

/// What a way lacks at a provider; none: nothing.
fn lack(provider: &Provider, grant: GrantType, has_key: bool) -> Option<Missing> {
    let path = routes::provider(provider.name.as_str());
    let missing = |text, link: &str, link_words| {
        Some(Missing {
            words: way(grant),
            text,
            link: match link {
                "/providers/new?card=google" => link.to_owned(),
                _ => format!("{path}{link}"),
            },
            link_words,
        })
    };
    if grant == GrantType::JwtBearer {
        return if has_key {
            None
        } else {
            missing("No key of a service account is stored at this provider.", "/key", "Add key")
        };
    }
    if provider.client_id.is_empty() {
        return missing(
            "This provider has a service account only. People sign in at another one.",
            "/providers/new?card=google",
            "Add a provider",
        );
    }
    let tenant = provider.tenant.as_deref().unwrap_or_default();
    let fits = |used_for| provider.template != TemplateKind::Microsoft || tenant.is_empty() || lint::tenant(tenant, used_for).is_none();
    match grant {
        GrantType::ClientCredentials if !fits(TenantUse::AppOnly) => {
            missing("It needs the directory ID of one organisation as the tenant.", "/edit", "Enter it")
        }
        GrantType::ClientCredentials if provider.client_auth == ClientAuth::None => missing(
            "The app has neither a secret nor a certificate to prove itself with.",
            "/secret",
            "Add a secret",
        ),
        GrantType::ClientCredentials if provider.held().is_none() => match provider.client_auth {
            ClientAuth::Certificate => missing("The app has no certificate yet.", "/certificate", "Add certificate"),
            _ => missing("The app's secret isn't here yet.", "/secret", "Add a secret"),
        },
        GrantType::Password if !fits(TenantUse::Password) => {
            missing("It needs the directory ID of one organisation as the tenant.", "/edit", "Enter it")
        }
        GrantType::DeviceCode if provider.endpoints().device_authorization_url.is_none() => {
            missing("No device address is known.", "/edit", "Enter it")
        }
        _ => None,
    }
}
