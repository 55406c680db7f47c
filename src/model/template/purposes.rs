//! What a token may be for, and the scopes each purpose needs: the ticks of the forms.

use super::TemplateKind;
use crate::model::mailbox::Protocol;
use crate::model::provider::Cloud;
use crate::model::report::Direction;
use crate::model::scopes::missing_scopes;
use crate::model::token::GrantType;

/// A tick under *Permissions*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// Name of the field: `imap`, `smtp`, `pop`, `graph`, `api`.
    pub key: &'static str,
    /// What it lets the token do, as the form says it.
    pub label: &'static str,
    /// Scopes it needs.
    pub scopes: &'static [&'static str],
}

macro_rules! microsoft {
    ($outlook:literal, $graph:literal) => {
        &[
            Purpose {
                key: "imap",
                label: "Read mail with IMAP",
                scopes: &[concat!($outlook, "/IMAP.AccessAsUser.All")],
            },
            Purpose {
                key: "smtp",
                label: "Send mail with SMTP",
                scopes: &[concat!($outlook, "/SMTP.Send")],
            },
            Purpose {
                key: "pop",
                label: "Read mail with POP",
                scopes: &[concat!($outlook, "/POP.AccessAsUser.All")],
            },
            Purpose {
                key: "graph",
                label: "Read and send with Microsoft Graph",
                scopes: &[concat!($graph, "/Mail.ReadWrite"), concat!($graph, "/Mail.Send")],
            },
        ]
    };
}

const MICROSOFT_GLOBAL: &[Purpose] = microsoft!("https://outlook.office.com", "https://graph.microsoft.com");
const MICROSOFT_USGOV: &[Purpose] = microsoft!("https://outlook.office365.us", "https://graph.microsoft.us");
const MICROSOFT_DOD: &[Purpose] = microsoft!("https://outlook.office365.us", "https://dod-graph.microsoft.us");
const MICROSOFT_CHINA: &[Purpose] = microsoft!("https://partner.outlook.cn", "https://microsoftgraph.chinacloudapi.cn");

/// The same scopes for reading and sending, as most providers have it.
macro_rules! one_scope {
    ($scope:literal) => {
        &[
            Purpose {
                key: "imap",
                label: "Read mail with IMAP",
                scopes: &[$scope],
            },
            Purpose {
                key: "smtp",
                label: "Send mail with SMTP",
                scopes: &[$scope],
            },
            Purpose {
                key: "pop",
                label: "Read mail with POP",
                scopes: &[$scope],
            },
        ]
    };
}

const GOOGLE: &[Purpose] = one_scope!("https://mail.google.com/");
const YAHOO: &[Purpose] = one_scope!("mail-w");
const FASTMAIL: &[Purpose] = one_scope!("urn:ietf:params:oauth:scope:mail");
/// Zoho's IMAP and SMTP take app passwords only; a token is good for its own interface.
const ZOHO: &[Purpose] = &[Purpose {
    key: "api",
    label: "Read and send with Zoho's own interface",
    scopes: &["ZohoMail.accounts.READ", "ZohoMail.folders.READ", "ZohoMail.messages.ALL"],
}];

/// What tokens of this kind can be for, in the order of the form. Empty for `custom`: only the provider's people know its scopes.
pub const fn purposes(kind: TemplateKind, cloud: Cloud) -> &'static [Purpose] {
    match (kind, cloud) {
        (TemplateKind::Microsoft, Cloud::Global) => MICROSOFT_GLOBAL,
        (TemplateKind::Microsoft, Cloud::UsGov) => MICROSOFT_USGOV,
        (TemplateKind::Microsoft, Cloud::Dod) => MICROSOFT_DOD,
        (TemplateKind::Microsoft, Cloud::China) => MICROSOFT_CHINA,
        (TemplateKind::Google, _) => GOOGLE,
        (TemplateKind::Yahoo, _) => YAHOO,
        (TemplateKind::Zoho, _) => ZOHO,
        (TemplateKind::Fastmail, _) => FASTMAIL,
        (TemplateKind::Custom, _) => &[],
    }
}

/// Scopes that a side with this protocol can't do without; none where only the provider's people know.
pub fn needed_scopes(kind: TemplateKind, cloud: Cloud, direction: Direction, protocol: Protocol) -> Vec<String> {
    let key = match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop",
        Protocol::Smtp => "smtp",
        Protocol::Graph => "graph",
    };
    let scopes = purposes(kind, cloud).iter().filter(|purpose| purpose.key == key);
    let scopes = scopes.flat_map(|purpose| purpose.scopes).map(|scope| (*scope).to_owned());
    match (protocol, direction) {
        (Protocol::Graph, Direction::Incoming) => scopes.filter_map(|scope| scope.strip_suffix("Write").map(str::to_owned)).collect(),
        (Protocol::Graph, Direction::Outgoing) => scopes.filter(|scope| scope.ends_with("/Mail.Send")).collect(),
        _ => scopes.collect(),
    }
}

/// The one scope that an app's own token of Microsoft has for a protocol: everything that was granted to the app there.
pub fn app_only_scope(cloud: Cloud, protocol: Protocol) -> String {
    let (outlook, graph) = match cloud {
        Cloud::Global => ("https://outlook.office365.com", "https://graph.microsoft.com"),
        Cloud::UsGov => ("https://outlook.office365.us", "https://graph.microsoft.us"),
        Cloud::Dod => ("https://outlook.office365.us", "https://dod-graph.microsoft.us"),
        Cloud::China => ("https://partner.outlook.cn", "https://microsoftgraph.chinacloudapi.cn"),
    };
    let resource = if protocol == Protocol::Graph { graph } else { outlook };
    format!("{resource}/.default")
}

/// [`needed_scopes`] of a token that is got in this way.
pub fn needed_by(grant: GrantType, kind: TemplateKind, cloud: Cloud, direction: Direction, protocol: Protocol) -> Vec<String> {
    match (grant, kind) {
        (GrantType::ClientCredentials, TemplateKind::Microsoft) => vec![app_only_scope(cloud, protocol)],
        (GrantType::ClientCredentials, _) => Vec::new(),
        _ => needed_scopes(kind, cloud, direction, protocol),
    }
}

/// Whether a permission for one direction is among these.
pub fn lacks(kind: TemplateKind, cloud: Cloud, direction: Direction, missing: &[String]) -> bool {
    let mut needed = Protocol::of(direction)
        .iter()
        .flat_map(|protocol| needed_scopes(kind, cloud, direction, *protocol));
    needed.any(|scope| {
        missing
            .iter()
            .any(|m| missing_scopes(kind, std::slice::from_ref(&scope), std::slice::from_ref(m)).is_empty())
    })
}

/// The scopes of the ticked purposes and those every token of the template asks for, each once, in wire order.
pub fn scopes_of(kind: TemplateKind, cloud: Cloud, ticks: &[&str]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    let wanted = purposes(kind, cloud)
        .iter()
        .filter(|p| ticks.contains(&p.key))
        .flat_map(|p| p.scopes);
    for scope in wanted.chain(kind.template().always) {
        if !scopes.iter().any(|s| s == scope) {
            scopes.push((*scope).to_owned());
        }
    }
    scopes
}

/// Whether these scopes hold all that a purpose needs: whether its tick is set.
pub fn ticked(purpose: &Purpose, scopes: &[String]) -> bool {
    purpose
        .scopes
        .iter()
        .all(|needed| scopes.iter().any(|s| s.eq_ignore_ascii_case(needed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_scopes_and_scopes_become_ticks() {
        let scopes = scopes_of(TemplateKind::Microsoft, Cloud::Global, &["imap", "smtp"]);
        assert_eq!(
            scopes,
            [
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/SMTP.Send",
                "offline_access"
            ]
        );
        let ticks: Vec<_> = purposes(TemplateKind::Microsoft, Cloud::Global)
            .iter()
            .filter(|p| ticked(p, &scopes))
            .map(|p| p.key)
            .collect();
        assert_eq!(ticks, ["imap", "smtp"]);
        assert_eq!(
            scopes_of(TemplateKind::Google, Cloud::Global, &["imap", "smtp"]),
            ["https://mail.google.com/"],
            "one scope for both is asked for once"
        );
    }

    #[test]
    fn a_side_needs_no_more_than_its_protocol_does() {
        let needs = |direction, protocol| needed_scopes(TemplateKind::Microsoft, Cloud::Global, direction, protocol).join(" ");
        assert_eq!(
            needs(Direction::Incoming, Protocol::Pop3),
            "https://outlook.office.com/POP.AccessAsUser.All"
        );
        assert_eq!(needs(Direction::Incoming, Protocol::Graph), "https://graph.microsoft.com/Mail.Read");
        assert_eq!(needs(Direction::Outgoing, Protocol::Graph), "https://graph.microsoft.com/Mail.Send");
        let lacks = |direction, scope: &str| lacks(TemplateKind::Microsoft, Cloud::Global, direction, &[scope.to_owned()]);
        assert!(lacks(Direction::Incoming, "https://graph.microsoft.com/Mail.ReadWrite"));
        assert!(!lacks(Direction::Outgoing, "https://outlook.office.com/POP.AccessAsUser.All"));
    }

    #[test]
    fn each_cloud_asks_its_own_resource() {
        for (cloud, prefix) in [
            (Cloud::UsGov, "https://outlook.office365.us/"),
            (Cloud::China, "https://partner.outlook.cn/"),
        ] {
            assert!(scopes_of(TemplateKind::Microsoft, cloud, &["imap"])[0].starts_with(prefix));
        }
    }
}
