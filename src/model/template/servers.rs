//! The mail servers that belong to a provider: what mailbox forms start with.

use super::TemplateKind;
use crate::model::mailbox::{Endpoint, Protocol, Security, Server};
use crate::model::provider::Cloud;

/// A provider's mail servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServers {
    /// Reading.
    pub imap: Endpoint,
    /// Reading, the other way.
    pub pop: Endpoint,
    /// Sending.
    pub smtp: Endpoint,
}

impl MailServers {
    /// The one that speaks this.
    pub fn server(&self, protocol: Protocol) -> Server {
        match protocol {
            Protocol::Imap => Server::Imap(self.imap.clone()),
            Protocol::Pop3 => Server::Pop3(self.pop.clone()),
            Protocol::Smtp => Server::Smtp(self.smtp.clone()),
            Protocol::Graph => Server::Graph,
        }
    }
}

/// Zoho's data centres: name, base address of the accounts server, and what its mail hosts end with.
pub const ZOHO_DATA_CENTRES: &[(&str, &str, &str)] = &[
    ("United States", "https://accounts.zoho.com", "zoho.com"),
    ("Europe", "https://accounts.zoho.eu", "zoho.eu"),
    ("India", "https://accounts.zoho.in", "zoho.in"),
    ("Australia", "https://accounts.zoho.com.au", "zoho.com.au"),
    ("Japan", "https://accounts.zoho.jp", "zoho.jp"),
    ("China", "https://accounts.zoho.com.cn", "zoho.com.cn"),
    ("Saudi Arabia", "https://accounts.zoho.sa", "zoho.sa"),
    ("United Kingdom", "https://accounts.zoho.uk", "zoho.uk"),
    ("Canada", "https://accounts.zohocloud.ca", "zohocloud.ca"),
];

/// The mail servers of a template's accounts; none where only the provider's people know them.
pub fn mail_servers(kind: TemplateKind, cloud: Cloud, tenant: Option<&str>, authority: Option<&str>) -> Option<MailServers> {
    let servers = |imap: &str, pop: &str, smtp: &str, port: u16, security: Security| MailServers {
        imap: at(imap, 993, Security::Tls),
        pop: at(pop, 995, Security::Tls),
        smtp: at(smtp, port, security),
    };
    let personal = tenant.is_some_and(|t| t.eq_ignore_ascii_case("consumers"));
    Some(match (kind, cloud) {
        (TemplateKind::Microsoft, Cloud::Global) => {
            let imap = "outlook.office365.com";
            let smtp = if personal { "smtp-mail.outlook.com" } else { "smtp.office365.com" };
            servers(imap, imap, smtp, 587, Security::Starttls)
        }
        (TemplateKind::Microsoft, Cloud::UsGov | Cloud::Dod) => {
            let imap = "outlook.office365.us";
            servers(imap, imap, "smtp.office365.us", 587, Security::Starttls)
        }
        (TemplateKind::Microsoft, Cloud::China) => {
            let imap = "partner.outlook.cn";
            servers(imap, imap, "smtp.partner.outlook.cn", 587, Security::Starttls)
        }
        (TemplateKind::Google, _) => servers("imap.gmail.com", "pop.gmail.com", "smtp.gmail.com", 465, Security::Tls),
        (TemplateKind::Yahoo, _) => servers(
            "imap.mail.yahoo.com",
            "pop.mail.yahoo.com",
            "smtp.mail.yahoo.com",
            465,
            Security::Tls,
        ),
        (TemplateKind::Zoho, _) => {
            let base = authority.map_or("https://accounts.zoho.com", |a| a.trim_end_matches('/'));
            let (_, _, domain) = ZOHO_DATA_CENTRES.iter().find(|(_, accounts, _)| *accounts == base)?;
            let host = |service: &str| format!("{service}.{domain}");
            servers(&host("imap"), &host("pop"), &host("smtp"), 465, Security::Tls)
        }
        (TemplateKind::Fastmail, _) => servers("imap.fastmail.com", "pop.fastmail.com", "smtp.fastmail.com", 465, Security::Tls),
        (TemplateKind::Custom, _) => return None,
    })
}

fn at(host: &str, port: u16, security: Security) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port,
        security,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailbox_forms_start_with_the_right_servers() {
        let found = |kind, cloud, tenant| {
            mail_servers(kind, cloud, tenant, None).map(|s| format!("{} {}:{}/{}", s.imap.host, s.smtp.host, s.smtp.port, s.smtp.security))
        };
        for (kind, cloud, tenant, expected) in [
            (
                TemplateKind::Microsoft,
                Cloud::Global,
                None,
                "outlook.office365.com smtp.office365.com:587/starttls",
            ),
            (
                TemplateKind::Microsoft,
                Cloud::Global,
                Some("consumers"),
                "outlook.office365.com smtp-mail.outlook.com:587/starttls",
            ),
            (TemplateKind::Google, Cloud::Global, None, "imap.gmail.com smtp.gmail.com:465/tls"),
        ] {
            assert_eq!(found(kind, cloud, tenant).as_deref(), Some(expected));
        }
        assert_eq!(mail_servers(TemplateKind::Custom, Cloud::Global, None, None), None);
        let zoho = mail_servers(TemplateKind::Zoho, Cloud::Global, None, Some("https://accounts.zoho.eu/"));
        assert_eq!(zoho.map(|s| s.imap.host).as_deref(), Some("imap.zoho.eu"));
    }
}
