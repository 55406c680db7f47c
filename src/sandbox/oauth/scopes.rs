//! Scopes and the resources they belong to.

use super::error::Refusal;
use crate::sandbox::state::{House, Shared};

/// Scopes that are about the sign-in itself.
pub(super) const IDENTITY: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// Exchange Online, as tokens name it.
pub(super) const OUTLOOK: &str = "https://outlook.office.com";
/// Microsoft Graph, as tokens name it.
pub(super) const GRAPH: &str = "https://graph.microsoft.com";

const OUTLOOK_NAMES: [&str; 7] = [
    ".default",
    "IMAP.AccessAsUser.All",
    "POP.AccessAsUser.All",
    "SMTP.Send",
    "Mail.Read",
    "Mail.ReadWrite",
    "Mail.Send",
];
const GRAPH_NAMES: [&str; 13] = [
    ".default",
    "Mail.Read",
    "Mail.ReadBasic",
    "Mail.ReadWrite",
    "Mail.Send",
    "Mail.Read.Shared",
    "Mail.ReadWrite.Shared",
    "Mail.Send.Shared",
    "MailboxSettings.Read",
    "User.Read",
    "IMAP.AccessAsUser.All",
    "POP.AccessAsUser.All",
    "SMTP.Send",
];

/// The scopes of a text, checked for what this house knows.
pub(super) fn parse(shared: &Shared, house: House, text: &str) -> Result<Vec<String>, Refusal> {
    let scopes: Vec<String> = text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    for scope in &scopes {
        match house {
            House::Microsoft => check_microsoft(shared, scope)?,
            House::Google => {
                let known = ["openid", "profile", "email", "https://mail.google.com/"].contains(&scope.as_str());
                if !known && !scope.starts_with("https://www.googleapis.com/auth/") {
                    let text = format!("Some requested scopes were invalid. {{invalid=[{scope}]}}");
                    return Err(Refusal::plain("invalid_scope", text));
                }
            }
            House::Open => {
                if !["mail", "mail-r", "mail-w"].contains(&scope.as_str()) && !IDENTITY.contains(&scope.as_str()) {
                    let text = "The requested scope is invalid, unknown, or malformed.";
                    return Err(Refusal::plain("invalid_scope", text));
                }
            }
        }
    }
    Ok(scopes)
}

fn check_microsoft(shared: &Shared, scope: &str) -> Result<(), Refusal> {
    if IDENTITY.contains(&scope) {
        return Ok(());
    }
    let (resource, name) = split(shared, scope)?;
    let known: &[&str] = if resource == OUTLOOK { &OUTLOOK_NAMES } else { &GRAPH_NAMES };
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let text = format!(
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The \
         scope {scope} is not valid."
    );
    Err(Refusal::entra("invalid_scope", 70011, text))
}

/// The resource a scope is for, and its name there. A bare name is Graph's.
pub(super) fn split<'a>(shared: &Shared, scope: &'a str) -> Result<(&'static str, &'a str), Refusal> {
    for (prefix, resource) in [
        ("https://outlook.office.com/", OUTLOOK),
        ("https://outlook.office365.com/", OUTLOOK),
        ("https://ps.outlook.com/", OUTLOOK),
        ("https://graph.microsoft.com/", GRAPH),
    ] {
        if let Some(name) = scope.strip_prefix(prefix) {
            return Ok((resource, name));
        }
    }
    if !scope.contains("://") {
        return Ok((GRAPH, scope));
    }
    // Where Graph was told to be on this machine, its scopes may be written that way too.
    let on_this_machine = url::Url::parse(scope).ok().filter(|url| {
        let own = url::Url::parse(shared.base()).ok();
        own.is_some_and(|own| own.host() == url.host())
    });
    if on_this_machine.is_some() {
        return Ok((GRAPH, scope.rsplit('/').next().unwrap_or_default()));
    }
    let resource = scope.rsplit_once('/').map_or(scope, |(resource, _)| resource);
    let text = format!(
        "The resource principal named {resource} was not found in the tenant named Contoso. This can happen if the application has not been \
         installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication \
         request to the wrong tenant."
    );
    Err(Refusal::entra("invalid_resource", 500_011, text))
}

/// The one resource that scopes are for: of a token request there may be only one.
pub(super) fn one_resource(shared: &Shared, scopes: &[String]) -> Result<Option<&'static str>, Refusal> {
    let mut found = None;
    for scope in scopes.iter().filter(|scope| !IDENTITY.contains(&scope.as_str())) {
        let (resource, _) = split(shared, scope)?;
        match found {
            None => found = Some(resource),
            Some(first) if first != resource => {
                let text = format!(
                    "Provided value for the input parameter scope is not valid because it contains more than one resource. Scope {} is not \
                     valid.",
                    scopes.join(" ")
                );
                return Err(Refusal::entra("invalid_scope", 28000, text));
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

/// The scopes of one resource, `.default` spelled out as all that were agreed to.
pub(super) fn of_resource(shared: &Shared, scopes: &[String], resource: &str) -> Vec<String> {
    let belongs = |scope: &&String| {
        !IDENTITY.contains(&scope.as_str()) && split(shared, scope).is_ok_and(|(of, name)| of == resource && name != ".default")
    };
    scopes.iter().filter(belongs).cloned().collect()
}
