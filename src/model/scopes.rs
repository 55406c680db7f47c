//! Scopes (RFC 6749, 3.3): taken apart as people paste them, put in the order the wire needs, and compared as providers answer.

use super::provider::Cloud;
use super::template::{TemplateKind, scopes_of};
use super::token::GrantType;
use serde::{Deserialize, Serialize};

/// How many scopes one token may ask for.
const MOST_SCOPES: usize = 64;
/// How long may a scope be?
const LONGEST_SCOPE: usize = 512;

/// Why a text is no list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character no scope can have.
    #[error("Permissions can't contain {0}. Separate them with blanks, commas or line breaks")]
    Character(String),
    /// A scope nobody has.
    #[error("Permissions must be 512 characters or fewer each")]
    TooLong,
    /// Too many of them.
    #[error("Permissions must be 64 or fewer")]
    TooMany,
}

/// Takes a pasted text apart: blanks, commas, line breaks and quotes separate (also where another product or a JSON list writes
/// them), and each scope is kept once, in the order it came.
pub fn parse_scopes(text: &str) -> Result<Vec<String>, ScopeError> {
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let mut scopes: Vec<String> = Vec::new();
    let separates = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '\u{feff}');
    for scope in text.split(separates).filter(|s| !s.is_empty()) {
        // RFC 6749, 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        if let Some(bad) = scope.chars().find(|c| !matches!(c, '\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E')) {
            return Err(ScopeError::Character(shown(bad)));
        }
        if scope.len() > LONGEST_SCOPE {
            return Err(ScopeError::TooLong);
        }
        if !scopes.iter().any(|s| s == scope) {
            scopes.push(scope.to_owned());
        }
    }
    if scopes.len() > MOST_SCOPES {
        return Err(ScopeError::TooMany);
    }
    Ok(scopes)
}

fn shown(c: char) -> String {
    match c {
        c if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
        '\\' => "a backslash".to_owned(),
        c => format!("\"{c}\""),
    }
}

/// Scopes that say who signs in and for how long; they belong to no resource.
pub fn is_protocol(scope: &str) -> bool {
    ["openid", "email", "profile", "offline_access"].contains(&scope)
}

/// Whether a token may ask for nothing at all: what the app itself may do is the provider's to know.
pub fn is_left_open(grant: GrantType, kind: TemplateKind) -> bool {
    grant == GrantType::ClientCredentials && kind == TemplateKind::Custom
}

/// The order that is sent. Microsoft makes the token for the resource of the first scope, and a bare name counts as Graph's, so
/// full addresses come first; scopes without a resource come last.
pub fn normalize_order(kind: TemplateKind, scopes: &[String]) -> Vec<String> {
    let rank = |scope: &String| match scope {
        s if is_protocol(s) => 2,
        s if kind == TemplateKind::Microsoft && !s.contains("://") => 1,
        _ => 0,
    };
    let mut ordered = scopes.to_vec();
    ordered.sort_by_key(rank);
    ordered
}

/// The scopes of an authorization request: these in wire order, with `openid`, `email` and `profile`, without which nobody can
/// tell who signed in (OAUTH-6).
pub fn with_identity(kind: TemplateKind, scopes: &[String]) -> Vec<String> {
    let mut all = scopes.to_vec();
    for scope in ["openid", "email", "profile"] {
        if !all.iter().any(|s| s == scope) {
            all.push(scope.to_owned());
        }
    }
    normalize_order(kind, &all)
}

/// A scope as it compares: Microsoft's two Outlook addresses are one resource, and Graph's names need no address.
fn comparable(kind: TemplateKind, scope: &str) -> String {
    let lower = scope.to_ascii_lowercase();
    if kind != TemplateKind::Microsoft {
        return scope.to_owned();
    }
    let Some((host, name)) = lower.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
        return lower;
    };
    match resource(&lower) {
        Resource::Outlook => format!("outlook/{name}"),
        Resource::Graph => name.to_owned(),
        Resource::Other | Resource::None => format!("{host}/{name}"),
    }
}

/// The permission of Graph that holds another one.
fn wider(kind: TemplateKind, comparable: &str) -> Option<&'static str> {
    match (kind, comparable) {
        (TemplateKind::Microsoft, "mail.read") => Some("mail.readwrite"),
        (TemplateKind::Microsoft, "mail.read.shared") => Some("mail.readwrite.shared"),
        _ => None,
    }
}

/// Which of the needed scopes are not among the granted ones. Scopes without a resource don't count: providers leave them out of
/// the answer or rename them, and whether there is a refresh token or an account name shows by itself. Nor does `.default`, which
/// stands for whatever was consented to.
pub fn missing_scopes(kind: TemplateKind, needed: &[String], granted: &[String]) -> Vec<String> {
    let granted: Vec<String> = granted.iter().map(|s| comparable(kind, s)).collect();
    let has = |scope: &str| {
        let scope = comparable(kind, scope);
        granted.contains(&scope) || wider(kind, &scope).is_some_and(|wider| granted.iter().any(|s| s == wider))
    };
    needed
        .iter()
        .filter(|s| !is_protocol(s) && !s.ends_with("/.default") && !has(s))
        .cloned()
        .collect()
}

/// Whose tokens a scope belongs to. Microsoft makes a token for one of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// IMAP, POP and SMTP.
    Outlook,
    /// Microsoft Graph.
    Graph,
    /// Another one.
    Other,
    /// None of its own: who signs in, and for how long.
    None,
}

/// The resource these scopes get a token for; none where a provider has but one, or nothing says which.
pub fn resource_of(kind: TemplateKind, scopes: &[String]) -> Option<Resource> {
    if kind != TemplateKind::Microsoft {
        return None;
    }
    let ordered = normalize_order(kind, scopes);
    let first = ordered.first().map(|scope| resource(scope));
    first.filter(|resource| matches!(resource, Resource::Outlook | Resource::Graph))
}

fn resource(scope: &str) -> Resource {
    let lower = scope.to_ascii_lowercase();
    if is_protocol(&lower) {
        return Resource::None;
    }
    let Some(rest) = lower.strip_prefix("https://") else {
        // Microsoft takes a bare name for one of Graph's.
        return Resource::Graph;
    };
    match rest.split('/').next().unwrap_or_default() {
        "outlook.office.com" | "outlook.office365.com" | "outlook.office365.us" | "outlook-dod.office365.us" | "partner.outlook.cn" => {
            Resource::Outlook
        }
        "graph.microsoft.com" | "graph.microsoft.us" | "dod-graph.microsoft.us" | "microsoftgraph.chinacloudapi.cn" => Resource::Graph,
        _ => Resource::Other,
    }
}

/// Permissions that can't be asked for together, as the message at the field.
pub fn conflict(kind: TemplateKind, cloud: Cloud, scopes: &[String]) -> Option<String> {
    if kind != TemplateKind::Microsoft {
        return None;
    }
    // The usual slip first: the portal lists the names without the address that makes them Outlook's.
    let mail_names = ["imap.accessasuser.all", "pop.accessasuser.all", "smtp.send"];
    if let Some(bare) = scopes.iter().find(|s| mail_names.contains(&s.to_ascii_lowercase().as_str())) {
        let outlook = scopes_of(kind, cloud, &["imap"]).into_iter().next().unwrap_or_default();
        let base = outlook.rsplit_once('/').map_or("", |(base, _)| base);
        return Some(format!("{bare} needs the server before it: {base}/{bare}"));
    }
    // Graph has permissions of these names too, and the token they get opens no mail server.
    let outlooks = |scope: &&String| {
        let name = scope.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        resource(scope) == Resource::Graph && mail_names.contains(&name.as_str())
    };
    if let Some(graphs) = scopes.iter().find(outlooks) {
        let outlook = scopes_of(kind, cloud, &["imap"]).into_iter().next().unwrap_or_default();
        let base = outlook.rsplit_once('/').map_or("", |(base, _)| base);
        let name = graphs.rsplit('/').next().unwrap_or_default();
        return Some(format!("{graphs} is Graph's and opens no mail server. Ask for {base}/{name}"));
    }
    let has = |wanted: Resource| scopes.iter().any(|s| resource(s) == wanted);
    if has(Resource::Outlook) && has(Resource::Graph) {
        return Some("IMAP and Graph permissions can't share one token. Make two".to_owned());
    }
    let default = |s: &String| s.to_ascii_lowercase().ends_with("/.default");
    if scopes.iter().any(default) && scopes.iter().any(|s| !default(s) && resource(s) != Resource::None) {
        return Some("Permissions ending in .default stand for all of them. Ask for .default alone, or for single ones".to_owned());
    }
    None
}

/// The warning when a sign-in would not last; the form offers to add it.
pub fn offline_access_missing(kind: TemplateKind, scopes: &[String]) -> Option<&'static str> {
    let needs = kind.template().always.contains(&"offline_access");
    (needs && !scopes.iter().any(|s| s == "offline_access"))
        .then_some("offline_access is missing, so this sign-in would end after about an hour")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
    const SMTP: &str = "https://outlook.office.com/SMTP.Send";

    fn list(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn scopes_are_taken_apart_however_they_were_pasted() {
        for text in [
            format!("{IMAP} {SMTP} offline_access"),
            format!("{IMAP},{SMTP},offline_access"),
            format!(" {IMAP},\r\n {SMTP}\n\toffline_access\n"),
            format!("[\"{IMAP}\", \"{SMTP}\", \"offline_access\", \"{SMTP}\"]"),
            format!("'{IMAP}' “{SMTP}”\u{a0}offline_access"),
        ] {
            assert_eq!(parse_scopes(&text).unwrap(), list(&[IMAP, SMTP, "offline_access"]), "{text:?}");
        }
        assert_eq!(
            parse_scopes("ZohoMail.accounts.READ,ZohoMail.messages.ALL").unwrap(),
            list(&["ZohoMail.accounts.READ", "ZohoMail.messages.ALL"])
        );
        assert_eq!(parse_scopes(" , \n").unwrap(), list(&[]));
    }

    #[test]
    fn characters_no_scope_can_have_are_named() {
        let text = |scopes: &str| parse_scopes(scopes).unwrap_err().to_string();
        assert!(text("mail\u{0}read").contains("U+0000"));
        assert!(text("a\\b").contains("a backslash"));
        assert!(text("posté").contains("\"é\""));
        assert_eq!(parse_scopes(&"a".repeat(513)), Err(ScopeError::TooLong));
        let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
        assert_eq!(parse_scopes(&many.join(" ")), Err(ScopeError::TooMany));
    }

    #[test]
    fn the_first_scope_decides_whom_a_microsoft_token_is_for() {
        let sent = with_identity(TemplateKind::Microsoft, &list(&["offline_access", "SMTP.Send", IMAP]));
        assert_eq!(sent, list(&[IMAP, "SMTP.Send", "offline_access", "openid", "email", "profile"]));
        assert_eq!(
            with_identity(TemplateKind::Google, &list(&["openid"])),
            list(&["openid", "email", "profile"])
        );
    }

    #[test]
    fn granted_scopes_are_compared_as_the_providers_write_them() {
        let kind = TemplateKind::Microsoft;
        let needed = list(&["offline_access", IMAP, SMTP]);
        let granted = list(&["https://outlook.office365.com/imap.accessasuser.all", "profile"]);
        assert_eq!(missing_scopes(kind, &needed, &granted), list(&[SMTP]));
        assert_eq!(
            missing_scopes(kind, &list(&["https://graph.microsoft.com/Mail.Send"]), &list(&["Mail.Send"])),
            list(&[])
        );
        assert_eq!(
            missing_scopes(kind, &list(&[SMTP]), &list(&["https://graph.microsoft.com/SMTP.Send"])),
            list(&[SMTP]),
            "the same name on another resource doesn't help"
        );
        let read = list(&["https://graph.microsoft.com/Mail.Read"]);
        assert_eq!(missing_scopes(kind, &read, &list(&["Mail.ReadWrite"])), list(&[]));
        assert_eq!(missing_scopes(kind, &list(&["Mail.ReadWrite"]), &read), list(&["Mail.ReadWrite"]));
        assert_eq!(
            missing_scopes(TemplateKind::Custom, &list(&["mail"]), &list(&["MAIL"])),
            list(&["mail"])
        );
    }

    #[test]
    fn permissions_that_exclude_each_other_are_named() {
        let kind = TemplateKind::Microsoft;
        let says = |scopes: &[&str]| conflict(kind, Cloud::Global, &list(scopes)).unwrap_or_default();
        assert_eq!(says(&[IMAP, SMTP, "offline_access", "openid"]), "");
        for graph in ["https://graph.microsoft.com/Mail.Send", "User.Read"] {
            assert_eq!(says(&[IMAP, graph]), "IMAP and Graph permissions can't share one token. Make two");
        }
        assert_eq!(
            says(&["SMTP.Send"]),
            "SMTP.Send needs the server before it: https://outlook.office.com/SMTP.Send"
        );
        assert!(says(&["https://graph.microsoft.com/.default", "https://graph.microsoft.com/Mail.Send"]).contains(".default"));
        assert_eq!(conflict(TemplateKind::Custom, Cloud::Global, &list(&[IMAP, "User.Read"])), None);
    }

    #[test]
    fn a_sign_in_that_would_not_last_is_noticed_where_the_scope_decides_it() {
        assert!(offline_access_missing(TemplateKind::Microsoft, &list(&[IMAP])).is_some());
        assert!(offline_access_missing(TemplateKind::Microsoft, &list(&["offline_access"])).is_none());
        assert!(offline_access_missing(TemplateKind::Google, &list(&["https://mail.google.com/"])).is_none());
    }
}
