//! What is bound to fail, before anybody tries it: the rules of the diagnosis over a refusal that is only imagined, so that a form and a
//! failed test say the same in the same words.

use super::case::Case;
use super::catalogue::{Entry, entry};
use super::judge::Seen;
use super::own;
use super::rules::IMAGINED;
use super::signal::Signals;
use crate::model::mailbox::{Protocol, Security};
use crate::model::report::Compared;

/// What of the settings is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The server's name.
    Host,
    /// Its port.
    Port,
    /// The encryption.
    Security,
    /// The token that was chosen.
    Token,
    /// The user name.
    UserName,
    /// The app's secret or certificate.
    Secret,
    /// What is asked for.
    Scopes,
}

/// Something that is bound to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// Entry of the catalogue, the one that a diagnosis of the failure would name.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What of the settings it is about.
    pub about: About,
    /// Expected and found.
    pub compared: Vec<Compared>,
    /// What to put in: each setting with its value. Empty where it isn't a value that helps.
    pub put: Vec<(About, String)>,
}

/// What would be refused of this case, which nobody has tried: its step, its evidence and what passed are not looked at.
pub fn ahead(case: &Case<'_>) -> Vec<Ahead> {
    let mut found: Vec<Ahead> = Vec::new();
    for imagined in IMAGINED {
        let mut case = case.clone();
        case.step = Some(imagined.step);
        case.passed.clear();
        case.transient = false;
        case.evidence = super::Evidence {
            own_id: imagined.noticed,
            text: "",
        };
        let noticed = imagined.noticed.and_then(entry);
        let seen = Seen {
            case: &case,
            hits: noticed.into_iter().collect(),
            ruled_out: Vec::new(),
            signals: Signals::read(""),
        };
        for finding in imagined.findings(&seen) {
            let known = found.iter().any(|other| other.id == finding.id);
            if let Some(entry) = entry(finding.id).filter(|_| !known && is_sure(&case, finding.id)) {
                found.push(of(&case, entry, finding.compared));
            }
        }
    }
    found
}

/// Whether what a rule says holds without a failure that speaks for it too.
fn is_sure(case: &Case<'_>, id: &str) -> bool {
    let Some(side) = &case.side else { return true };
    let own_domain = || {
        let domain = side.address.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
        !domain.is_empty() && (side.host == domain || side.host.ends_with(&format!(".{domain}")))
    };
    match id {
        own::HOST_MISTYPED => !own_domain(),
        // The name at the sign-in may differ from the address; then it is the token's.
        own::OTHER_ACCOUNT => {
            let held = case.token.as_ref().and_then(|token| token.account.as_deref());
            !held.is_some_and(|account| account.eq_ignore_ascii_case(&side.user_name))
        }
        _ => true,
    }
}

fn of(case: &Case<'_>, entry: &'static Entry, compared: Vec<Compared>) -> Ahead {
    let side = case.side.as_ref();
    let usual = |security: Security| {
        let ports = side.map_or((0, 0), |side| side.protocol.ports());
        if security == Security::Tls { ports.0 } else { ports.1 }.to_string()
    };
    let expected = || compared.first().map(|one| one.expected.clone()).unwrap_or_default();
    let (about, put) = match entry.id.as_str() {
        own::TLS_ON_STARTTLS_PORT => (About::Security, vec![(About::Security, Security::Starttls.to_string())]),
        own::STARTTLS_ON_TLS_PORT => (About::Security, vec![(About::Security, Security::Tls.to_string())]),
        own::HOST_MISTYPED | own::OTHER_PROTOCOL => (About::Host, vec![(About::Host, expected())]),
        own::PORT_25 => (
            About::Port,
            vec![(About::Port, "587".to_owned()), (About::Security, Security::Starttls.to_string())],
        ),
        own::PORT_UNUSUAL => {
            let security = side.map_or(Security::Tls, |side| side.security);
            (About::Port, vec![(About::Port, usual(security))])
        }
        own::USER_NAME => (About::UserName, vec![(About::UserName, String::new())]),
        own::SECRET_IS_ID | "entra-7000222-secret-expired" => (About::Secret, Vec::new()),
        own::OFFLINE_ACCESS | "entra-28000-multiple-resources" => (About::Scopes, Vec::new()),
        _ => (About::Token, Vec::new()),
    };
    Ahead {
        id: &entry.id,
        title: &entry.title,
        about,
        compared,
        put,
    }
}

impl Ahead {
    /// Expected and found, in a sentence.
    pub fn text(&self) -> String {
        let one = |compared: &Compared| {
            format!(
                "{}: {}. {}: {}.",
                compared.expected_label, compared.expected, compared.found_label, compared.found
            )
        };
        self.compared.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// What the button says that puts the values in; empty where there is none.
    pub fn button(&self, protocol: Protocol) -> String {
        let value = |about: About| self.put.iter().find(|(of, _)| *of == about).map(|(_, value)| value.as_str());
        let security = value(About::Security).and_then(Security::parse);
        match (value(About::Host), value(About::Port), security, value(About::UserName)) {
            (Some(host), ..) => format!("Use {host}"),
            (_, Some(port), Some(Security::Starttls), _) => format!("Use port {port} with STARTTLS"),
            (_, Some(port), ..) => format!("Use port {port}, {}'s", protocol.label()),
            (_, _, Some(Security::Tls), _) => "Use TLS from the start".to_owned(),
            (_, _, Some(_), _) => "Use STARTTLS".to_owned(),
            (.., Some(_)) => "Use the mailbox's address".to_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::case::{Aim, Held, Provider};
    use crate::model::provider::{ClientAuth, Cloud};
    use crate::model::template::{TemplateKind, ZOHO_DATA_CENTRES, mail_servers};
    use crate::model::token::GrantType;

    fn side(protocol: Protocol, host: &str, port: u16, security: Security) -> Aim {
        Aim::sample(protocol, host, port, security, "hr@contoso.test")
    }

    fn held() -> Held {
        Held {
            grant: Some(GrantType::AuthorizationCode),
            account: Some("hr@contoso.test".to_owned()),
            ..Held::default()
        }
    }

    fn provider(template: TemplateKind) -> Provider {
        Provider {
            template,
            label: template.template().short,
            cloud: Cloud::Global,
            tenant: None,
            client_id: "client".to_owned(),
            client_auth: ClientAuth::SecretPost,
            consent_screen: None,
            secret_is_id: false,
            secret_ended_days: None,
            scopes: crate::model::template::scopes_of(template, Cloud::Global, &["imap", "smtp"]),
            signed_in_days: None,
            used_days: None,
        }
    }

    fn told(side: Aim) -> String {
        let protocol = side.protocol;
        let case = Case {
            side: Some(side),
            ..Case::default()
        };
        let all: Vec<String> = ahead(&case)
            .iter()
            .map(|one| format!("{} {}", one.id, one.button(protocol)))
            .collect();
        all.join("; ")
    }

    #[test]
    fn settings_that_no_server_takes_are_named_with_what_to_put_in() {
        let (imap, pop, smtp) = (Protocol::Imap, Protocol::Pop3, Protocol::Smtp);
        let (tls, starttls) = (Security::Tls, Security::Starttls);
        for (side, expected) in [
            (
                side(smtp, "mail.contoso.test", 587, tls),
                "console-tls-on-starttls-port Use STARTTLS",
            ),
            (
                side(imap, "mail.contoso.test", 143, tls),
                "console-tls-on-starttls-port Use STARTTLS",
            ),
            (
                side(smtp, "mail.contoso.test", 465, starttls),
                "console-starttls-on-tls-port Use TLS from the start",
            ),
            (
                side(smtp, "mail.contoso.test", 25, starttls),
                "console-port-25 Use port 587 with STARTTLS",
            ),
            (
                side(smtp, "mail.contoso.test", 993, tls),
                "console-port-unusual Use port 465, SMTP's",
            ),
            (
                side(imap, "outlok.office365.com", 993, tls),
                "console-host-mistyped Use outlook.office365.com",
            ),
            (side(imap, "imap.gmial.com", 993, tls), "console-host-mistyped Use imap.gmail.com"),
            (side(imap, "smtp.gmail.com", 993, tls), "console-other-protocol Use imap.gmail.com"),
            (side(pop, "imap.gmail.com", 995, tls), "console-other-protocol Use pop.gmail.com"),
            (
                side(smtp, "imap.mail.yahoo.com", 465, tls),
                "console-other-protocol Use smtp.mail.yahoo.com",
            ),
        ] {
            assert_eq!(told(side.clone()), expected, "{side:?}");
        }
    }

    #[test]
    fn settings_that_work_hear_nothing() {
        let mut clouds = vec![];
        for kind in TemplateKind::ALL {
            for cloud in Cloud::ALL {
                for tenant in [None, Some("consumers")] {
                    clouds.extend(mail_servers(*kind, *cloud, tenant, None));
                }
            }
        }
        clouds.extend(
            ZOHO_DATA_CENTRES
                .iter()
                .filter_map(|(_, base, _)| mail_servers(TemplateKind::Zoho, Cloud::Global, None, Some(base))),
        );
        assert!(clouds.len() > 15);
        for servers in clouds {
            for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Smtp] {
                let server = servers.server(protocol);
                let endpoint = server.endpoint().unwrap();
                let aim = side(protocol, &endpoint.host, endpoint.port, endpoint.security);
                assert_eq!(told(aim), "", "{endpoint:?}");
            }
        }
        let (tls, starttls) = (Security::Tls, Security::Starttls);
        for aim in [
            side(Protocol::Imap, "imap.mail.com", 993, tls),
            side(Protocol::Smtp, "smtp.mail.com", 587, starttls),
            // A company whose name is nearly a known one.
            Aim {
                address: "hr@gmail.com".to_owned(),
                ..side(Protocol::Imap, "imap.gmail.com", 993, tls)
            },
            side(Protocol::Imap, "127.0.0.1", 41993, tls),
            side(Protocol::Smtp, "mail.contoso.test", 2525, starttls),
            side(Protocol::Smtp, "outlook.office365.com", 587, starttls),
            side(Protocol::Graph, "", 443, tls),
        ] {
            assert_eq!(told(aim.clone()), "", "{aim:?}");
        }
    }

    #[test]
    fn a_token_that_cannot_open_the_mailbox_is_told_by_the_diagnosis_own_words() {
        let at = "outlook.office365.com";
        let case = |token: Held, kind: TemplateKind, user_name: &str| Case {
            side: Some(Aim {
                user_name: user_name.to_owned(),
                ..side(Protocol::Imap, at, 993, Security::Tls)
            }),
            token: Some(token),
            provider: Some(provider(kind)),
            ..Case::default()
        };
        let hr = "hr@contoso.test";
        let (microsoft, google) = (TemplateKind::Microsoft, TemplateKind::Google);
        let maija = || Held {
            account: Some("maija@contoso.test".to_owned()),
            ..held()
        };
        let app = || Held {
            grant: Some(GrantType::ClientCredentials),
            account: None,
            ..Held::default()
        };
        let lacks = || Held {
            missing: vec!["https://outlook.office.com/SMTP.Send".to_owned()],
            ..held()
        };
        let shared = || Held { shared: true, ..maija() };
        for (held, kind, user_name, expected) in [
            (held(), microsoft, hr, ""),
            (maija(), microsoft, hr, own::OTHER_ACCOUNT),
            (shared(), microsoft, hr, ""),
            (maija(), microsoft, "maija@contoso.test", ""),
            (app(), microsoft, hr, ""),
            (lacks(), microsoft, hr, own::PERMISSION_MISSING),
            (held(), google, hr, own::OTHER_PROVIDER),
            (held(), microsoft, "someone@contoso.test", own::USER_NAME),
        ] {
            let case = case(held, kind, user_name);
            let ids: Vec<&str> = ahead(&case).iter().map(|one| one.id).collect();
            assert_eq!(ids.join(" "), expected, "{case:?}");
            for one in ahead(&case) {
                assert_eq!(one.title, entry(one.id).unwrap().title, "the same words as after a failure");
                assert!(!one.text().is_empty(), "{}", one.id);
            }
        }
    }

    #[test]
    fn an_app_that_cannot_prove_itself_or_asks_for_too_much_is_named() {
        let ids = |provider: Provider| {
            let case = Case {
                provider: Some(provider),
                ..Case::default()
            };
            ahead(&case).iter().map(|one| one.id).collect::<Vec<_>>().join(" ")
        };
        let good = || provider(TemplateKind::Microsoft);
        assert_eq!(ids(good()), "");
        assert_eq!(ids(provider(TemplateKind::Google)), "");
        assert_eq!(
            ids(Provider {
                secret_is_id: true,
                ..good()
            }),
            own::SECRET_IS_ID
        );
        let ended = Provider {
            secret_ended_days: Some(3),
            ..good()
        };
        assert_eq!(ids(ended), "entra-7000222-secret-expired");
        let ends_later = Provider {
            secret_ended_days: Some(-3),
            ..good()
        };
        assert_eq!(ids(ends_later), "");
        let list = |scopes: &[&str]| scopes.iter().map(|&scope| scope.to_owned()).collect();
        let two = Provider {
            scopes: list(&[
                "https://outlook.office.com/SMTP.Send",
                "https://graph.microsoft.com/Mail.Send",
                "offline_access",
            ]),
            ..good()
        };
        assert_eq!(ids(two), "entra-28000-multiple-resources");
        let short = Provider {
            scopes: list(&["https://outlook.office.com/SMTP.Send"]),
            ..good()
        };
        assert_eq!(ids(short), own::OFFLINE_ACCESS);
    }
}
