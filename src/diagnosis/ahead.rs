//! What is bound to fail, before anybody tries it: the rules of the diagnosis over a refusal that is only imagined, so that a form and a
//! failed test say the same in the same words.

use super::case::{Aim, Case};
use super::catalogue::{Entry, entry};
use super::judge::Seen;
use super::own;
use super::rules::IMAGINED;
use super::signal::Signals;
use super::ways::act::{Fix, meant};
use crate::model::mailbox::Security;
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
    /// What the form of a mailbox puts in for it; none where it isn't a value that helps.
    pub fix: Option<Fix>,
    /// What the button says that puts it in; empty where there is none.
    pub button: String,
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
    let (about, fix) = match entry.id.as_str() {
        own::TLS_ON_STARTTLS_PORT => (About::Security, Some(Fix::Starttls)),
        own::STARTTLS_ON_TLS_PORT => (About::Security, Some(Fix::Tls)),
        own::HOST_MISTYPED | own::OTHER_PROTOCOL => (About::Host, Some(Fix::Host)),
        own::PORT_25 => (About::Port, Some(Fix::Starttls)),
        own::PORT_UNUSUAL if side.is_some_and(|side| side.security == Security::Tls) => (About::Port, Some(Fix::Tls)),
        own::PORT_UNUSUAL => (About::Port, Some(Fix::Starttls)),
        own::USER_NAME => (About::UserName, Some(Fix::UserName)),
        own::SECRET_IS_ID | "entra-7000222-secret-expired" => (About::Secret, None),
        own::OFFLINE_ACCESS | "entra-28000-multiple-resources" => (About::Scopes, None),
        _ => (About::Token, None),
    };
    let port = |wanted: u16, with: &str, alone: &str| match side {
        Some(side) if side.port == wanted => format!("Use {alone}"),
        _ => format!("Use port {wanted} with {with}"),
    };
    let (tls, starttls) = side.map_or((0, 0), |side| side.protocol.ports());
    let button = match fix {
        Some(Fix::Tls) => port(tls, "TLS", "TLS from the start"),
        Some(Fix::Starttls) => port(starttls, "STARTTLS", "STARTTLS"),
        Some(Fix::Host) => format!("Use {}", expected(&compared)),
        Some(Fix::UserName) => "Set the user name".to_owned(),
        _ => String::new(),
    };
    Ahead {
        id: &entry.id,
        title: &entry.title,
        about,
        compared,
        fix,
        button,
    }
}

fn expected(compared: &[Compared]) -> &str {
    compared.first().map_or("", |one| &one.expected)
}

/// The server that is meant by the one that is set: its name is spelt nearly like it, or it is the same provider's for this protocol.
pub fn host_meant(side: &Aim) -> Option<String> {
    let case = Case {
        side: Some(side.clone()),
        ..Case::default()
    };
    let found = ahead(&case).into_iter().find(|one| one.fix == Some(Fix::Host));
    found
        .map(|one| expected(&one.compared).to_owned())
        .or_else(|| meant(&side.host).map(str::to_owned))
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::case::{Held, Provider};
    use crate::model::mailbox::Protocol;
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
        let case = Case {
            side: Some(side),
            ..Case::default()
        };
        let all: Vec<String> = ahead(&case).iter().map(|one| format!("{} {}", one.id, one.button)).collect();
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
                "console-port-unusual Use port 465 with TLS",
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
            if let Some(host) = host_meant(&side) {
                assert!(expected.ends_with(&format!("Use {host}")), "{side:?}: {host}");
            }
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
