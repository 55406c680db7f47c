//! Mistakes that are often made with the values of an app registration, named before anything is saved. The messages are those of
//! the form fields; the configuration file uses the same.
//!
//! Checks of a shape hold at the provider's own hosts only: ask [`template::at_home`](super::template::at_home) first.

use super::template::TemplateKind;

/// What a tenant is about to be used for; not every word Microsoft has for "anybody" works for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantUse {
    /// Somebody signs in.
    SignIn,
    /// The app's own token.
    AppOnly,
    /// User name and password.
    Password,
    /// An admin consents for the organisation.
    AdminConsent,
}

/// Whether a text is a GUID: 36 characters, hexadecimal digits in groups of 8-4-4-4-12.
pub fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether a text was meant to be a GUID: nothing but its characters, and enough of them.
fn meant_as_guid(text: &str) -> bool {
    text.len() >= 20 && text.contains('-') && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn guid_message(field: &str, text: &str) -> String {
    let rule = format!("{field} is 36 characters with four hyphens");
    match text.chars().count() {
        36 => format!("{rule} and otherwise digits and the letters a to f. This one has something else"),
        count => format!("{rule}. This one has {count}"),
    }
}

/// What is wrong with a Microsoft directory id or domain.
pub fn tenant(text: &str, used_for: TenantUse) -> Option<String> {
    let text = text.trim();
    let word = text.to_ascii_lowercase();
    let what = match used_for {
        TenantUse::SignIn => "a sign-in",
        TenantUse::AppOnly => "app-only",
        TenantUse::Password => "user name and password",
        TenantUse::AdminConsent => "admin consent",
    };
    match word.as_str() {
        "" => Some("Enter the directory (tenant) ID, or a domain such as contoso.onmicrosoft.com".to_owned()),
        "common" | "consumers" if used_for != TenantUse::SignIn => {
            Some(format!("Tenant \"{word}\" can't be used for {what}. Enter your directory ID"))
        }
        "organizations" if used_for == TenantUse::AppOnly => {
            Some(format!("Tenant \"{word}\" can't be used for {what}. Enter your directory ID"))
        }
        "common" | "consumers" | "organizations" => None,
        _ if is_guid(text) => None,
        _ if meant_as_guid(text) => Some(guid_message("Directory (tenant) ID", text)),
        _ if is_domain(text) => None,
        _ => Some("Directory (tenant) ID must be an ID, or a domain such as contoso.onmicrosoft.com".to_owned()),
    }
}

/// Whether a text is the name of a domain, with a dot and no address.
pub fn is_domain(text: &str) -> bool {
    text.contains('.') && super::mailbox::Endpoint::check_host(text).is_ok() && text.parse::<std::net::IpAddr>().is_err()
}

/// What is wrong with a client id.
pub fn client_id(kind: TemplateKind, text: &str) -> Option<String> {
    let text = text.trim();
    match kind {
        _ if text.is_empty() => Some(match kind {
            TemplateKind::Microsoft => "Enter the application (client) ID".to_owned(),
            _ => "Enter the client ID".to_owned(),
        }),
        // RFC 6749, A.1: VSCHAR.
        _ if text.chars().any(|c| !matches!(c, ' '..='~')) => {
            Some("Client ID can have letters, digits and marks of plain ASCII only".to_owned())
        }
        TemplateKind::Microsoft if !is_guid(text) => Some(guid_message("Application (client) ID", text)),
        TemplateKind::Google if !text.ends_with(".apps.googleusercontent.com") => {
            Some("Client ID ends in .apps.googleusercontent.com at Google. This one doesn't".to_owned())
        }
        _ => None,
    }
}

/// What is wrong with a client secret. Blanks around it belong to pasting and are taken off before.
pub fn client_secret(kind: TemplateKind, client_id: &str, text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.is_empty() {
        Some("Enter the client secret")
    } else if text.chars().any(|c| !matches!(c, ' '..='~')) {
        Some("Client secret has a line break or another character no secret has. Copy it again")
    } else if text == client_id.trim() {
        Some("Client secret is the client ID once more. Paste the secret instead")
    } else if kind == TemplateKind::Microsoft && is_guid(text) {
        Some("Client secret looks like the secret's ID. Paste the Value column instead")
    } else {
        None
    }
}

/// Parameters of the authorization request that the console sets itself.
const OWN_PARAMETERS: &[&str] = &[
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "nonce",
    "prompt",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// What is wrong with the name of an extra parameter.
pub fn extra_parameter(name: &str) -> Option<String> {
    let name = name.trim();
    if name.is_empty() {
        Some("Enter a name for the parameter".to_owned())
    } else if OWN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
        Some(format!("Parameter {name} is set by the console itself"))
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) || name.len() > 64 {
        Some("Parameter names can have letters, digits, dot, hyphen and underscore".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "11112222-bbbb-3333-cccc-4444dddd5555";

    #[test]
    fn a_client_id_that_lost_a_character_is_counted() {
        let says = |text: &str| client_id(TemplateKind::Microsoft, text).unwrap_or_default();
        assert_eq!(says(ID), "");
        assert_eq!(
            says(&ID[..35]),
            "Application (client) ID is 36 characters with four hyphens. This one has 35"
        );
        assert!(says(&ID.replace('b', "g")).contains("letters a to f"));
        assert_eq!(says(""), "Enter the application (client) ID");
        assert_eq!(client_id(TemplateKind::Custom, "console"), None);
        assert!(client_id(TemplateKind::Custom, "a\nb").is_some());
        assert!(client_id(TemplateKind::Google, "123-abc").is_some());
        assert_eq!(client_id(TemplateKind::Google, "123-abc.apps.googleusercontent.com"), None);
    }

    #[test]
    fn the_id_of_a_secret_is_not_taken_for_the_secret() {
        let says = |kind, text| client_secret(kind, ID, text).unwrap_or_default();
        assert_eq!(
            says(TemplateKind::Microsoft, "aaaa0000-bb11-2222-33cc-444444dddddd"),
            "Client secret looks like the secret's ID. Paste the Value column instead"
        );
        assert_eq!(says(TemplateKind::Microsoft, "abc8Q~defghijklmnopqrstuvwxyz0123456789a"), "");
        assert_eq!(says(TemplateKind::Custom, "aaaa0000-bb11-2222-33cc-444444dddddd"), "");
        assert!(says(TemplateKind::Custom, ID).contains("client ID"));
        assert!(says(TemplateKind::Custom, "one\r\ntwo").contains("line break"));
    }

    #[test]
    fn a_tenant_is_an_id_a_domain_or_a_word_where_the_word_works() {
        for good in ["common", "organizations", "consumers", ID, "contoso.onmicrosoft.com"] {
            assert_eq!(tenant(good, TenantUse::SignIn), None, "{good}");
        }
        assert_eq!(
            tenant("common", TenantUse::AppOnly).as_deref(),
            Some("Tenant \"common\" can't be used for app-only. Enter your directory ID")
        );
        assert!(tenant("organizations", TenantUse::AppOnly).is_some());
        assert_eq!(tenant("organizations", TenantUse::AdminConsent), None);
        assert!(tenant("common", TenantUse::AdminConsent).is_some());
        assert!(tenant("", TenantUse::SignIn).is_some());
        assert_eq!(
            tenant(&ID[1..], TenantUse::SignIn).as_deref(),
            Some("Directory (tenant) ID is 36 characters with four hyphens. This one has 35")
        );
        for bad in ["contoso", "https://contoso.com", "contoso.com/x", "a b.com", "10.0.0.1", "x?y=.com"] {
            assert!(tenant(bad, TenantUse::SignIn).is_some(), "{bad}");
        }
    }

    #[test]
    fn extra_parameters_cannot_replace_the_consoles_own() {
        for name in ["state", "Redirect_URI", "code_challenge", "nonce", "", "a b", "x&y"] {
            assert!(extra_parameter(name).is_some(), "{name}");
        }
        for name in ["access_type", "hd", "domain_hint", "resource"] {
            assert_eq!(extra_parameter(name), None, "{name}");
        }
    }
}
