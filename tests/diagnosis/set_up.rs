//! A failure with its circumstances, put together in a line: everything fits unless a word says otherwise.

use super::score::Score;
use mailgrant::diagnosis::case::{Aim, Case, Held, Provider};
use mailgrant::diagnosis::family::Family;
use mailgrant::diagnosis::{Evidence, judge};
use mailgrant::model::mailbox::{Protocol, Security};
use mailgrant::model::provider::{ClientAuth, Cloud};
use mailgrant::model::report::{Direction, Stage};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantType;

pub const MAILBOX: &str = "hr@contoso.example";
const SOMEBODY: &str = "maija@contoso.example";

/// A failure.
pub struct Failing {
    what: String,
    case: Case<'static>,
    not: Vec<Family>,
}

const BEFORE: [Stage; 9] = [
    Stage::Token,
    Stage::Dns,
    Stage::Tcp,
    Stage::Tls,
    Stage::Greeting,
    Stage::Capability,
    Stage::Ehlo,
    Stage::Auth,
    Stage::MailFrom,
];

/// A refusal in this step of a conversation with a mail server.
pub fn mail(protocol: Protocol, (host, port, security): (&str, u16, Security), step: Stage, text: &'static str) -> Failing {
    let later = [Stage::Select, Stage::Unread, Stage::RcptTo, Stage::Data, Stage::Inbox, Stage::Send];
    let passed: Vec<Stage> = BEFORE
        .into_iter()
        .take_while(|stage| *stage != step)
        .filter(|stage| *stage != Stage::MailFrom || later.contains(&step))
        .filter(|stage| {
            *stage != Stage::Tls
                || security == Security::Tls
                || (security == Security::Starttls && (step == Stage::Auth || later.contains(&step)))
        })
        .collect();
    let outgoing = protocol == Protocol::Smtp || step == Stage::Send;
    let mut not = Vec::new();
    if passed.contains(&Stage::Greeting) {
        not.push(Family::Network);
    }
    if passed.contains(&Stage::Tls) {
        not.push(Family::Tls);
    }
    Failing {
        what: format!("{protocol} {host}:{port} {step}: {text}"),
        case: Case {
            evidence: Evidence::text(text),
            step: Some(step),
            passed,
            side: Some(Aim {
                protocol,
                direction: if outgoing { Direction::Outgoing } else { Direction::Incoming },
                host: host.to_owned(),
                port,
                security,
                password: false,
                address: MAILBOX.to_owned(),
                user_name: MAILBOX.to_owned(),
            }),
            ..Case::default()
        },
        not,
    }
}

/// A refusal at the sign-in of Exchange, with a token of the mailbox's own that fits.
pub fn exchange(protocol: Protocol, step: Stage, text: &'static str) -> Failing {
    let (server, permission, audience) = match protocol {
        Protocol::Imap => (("outlook.office365.com", 993, Security::Tls), "IMAP.AccessAsUser.All", OUTLOOK),
        Protocol::Pop3 => (("outlook.office365.com", 995, Security::Tls), "POP.AccessAsUser.All", OUTLOOK),
        Protocol::Smtp => (("smtp.office365.com", 587, Security::Starttls), "SMTP.Send", OUTLOOK),
        Protocol::Graph => (("", 443, Security::Tls), "Mail.ReadWrite", GRAPH),
    };
    mail(protocol, server, step, text).with(TemplateKind::Microsoft, audience, permission)
}

/// The same at Gmail.
pub fn gmail(protocol: Protocol, step: Stage, text: &'static str) -> Failing {
    let server = match protocol {
        Protocol::Imap => ("imap.gmail.com", 993, Security::Tls),
        Protocol::Pop3 => ("pop.gmail.com", 995, Security::Tls),
        _ => ("smtp.gmail.com", 465, Security::Tls),
    };
    mail(protocol, server, step, text).with(TemplateKind::Google, "", "https://mail.google.com/")
}

/// The same at a server of the organisation's own.
pub fn own_server(protocol: Protocol, step: Stage, text: &'static str) -> Failing {
    mail(protocol, ("mail.contoso.example", protocol.ports().0, Security::Tls), step, text).with(TemplateKind::Custom, "", "mail")
}

/// A refusal of the token endpoint.
pub fn at_the_provider(template: TemplateKind, text: &'static str) -> Failing {
    Failing {
        what: format!("{template}: {text}"),
        case: Case {
            evidence: Evidence::text(text),
            step: Some(Stage::Token),
            provider: Some(provider(template)),
            ..Case::default()
        },
        not: Vec::new(),
    }
}

pub const OUTLOOK: &str = "https://outlook.office.com";
pub const GRAPH: &str = "https://graph.microsoft.com";

fn provider(template: TemplateKind) -> Provider {
    Provider {
        template,
        label: template.template().short,
        cloud: Cloud::Global,
        tenant: Some("contoso.example".to_owned()),
        client_id: "11112222-bbbb-3333-cccc-4444dddd5555".to_owned(),
        client_auth: ClientAuth::SecretPost,
        consent_screen: None,
        secret_is_id: false,
        secret_ended_days: None,
        scopes: vec!["offline_access".to_owned()],
        signed_in_days: Some(30),
        used_days: Some(0),
    }
}

impl Failing {
    fn with(mut self, template: TemplateKind, audience: &str, permission: &str) -> Self {
        self.case.provider = Some(provider(template));
        self.case.token = Some(Held {
            grant: Some(GrantType::AuthorizationCode),
            account: Some(MAILBOX.to_owned()),
            audience: audience.to_owned(),
            permissions: vec![permission.to_owned()],
            expires_in: Some(3000),
            renewed: true,
            ..Held::default()
        });
        self.not
            .extend([Family::Account, Family::Permission, Family::Token, Family::Secret, Family::SignIn]);
        if !audience.is_empty() {
            self.not.push(Family::Audience);
        }
        self
    }

    fn may_be(mut self, family: Family, word: &str) -> Self {
        self.not.retain(|not| *not != family);
        self.what = format!("{} [{word}]", self.what);
        self
    }

    pub fn token(mut self, change: impl FnOnce(&mut Held)) -> Self {
        change(self.case.token.as_mut().unwrap());
        self
    }

    pub fn side(mut self, change: impl FnOnce(&mut Aim)) -> Self {
        change(self.case.side.as_mut().unwrap());
        self
    }

    pub fn provider(mut self, change: impl FnOnce(&mut Provider)) -> Self {
        change(self.case.provider.as_mut().unwrap());
        self
    }

    /// A token of another account, not allowed for shared mailboxes.
    pub fn of_somebody(self) -> Self {
        self.token(|token| token.account = Some(SOMEBODY.to_owned()))
            .may_be(Family::Account, "somebody else's token")
    }

    /// A delegate's token, allowed for shared mailboxes.
    pub fn of_a_delegate(self) -> Self {
        self.token(|token| (token.account, token.shared) = (Some(SOMEBODY.to_owned()), true))
            .may_be(Family::Account, "a delegate's token")
    }

    /// A token for the other service.
    pub fn for_another_service(self, audience: &str) -> Self {
        self.token(|token| (token.audience, token.other_audience) = (audience.to_owned(), true))
            .may_be(Family::Audience, "for another service")
    }

    /// A token that lacks this permission.
    pub fn lacking(self, permission: &str) -> Self {
        self.token(|token| (token.permissions, token.missing) = (vec!["User.Read".to_owned()], vec![permission.to_owned()]))
            .may_be(Family::Permission, "a permission is missing")
    }

    /// A token that nobody can read.
    pub fn opaque(self) -> Self {
        self.token(|token| (token.audience, token.permissions) = (String::new(), Vec::new()))
            .may_be(Family::Audience, "opaque")
            .may_be(Family::Permission, "no permissions told")
    }

    /// An access token that ended on the way.
    pub fn ended(self) -> Self {
        self.token(|token| (token.expires_in, token.renewed) = (Some(-5), false))
            .may_be(Family::Token, "ended")
            .may_be(Family::Secret, "")
            .may_be(Family::SignIn, "")
    }

    /// The app's own token, with the permissions it needs.
    pub fn of_the_app(self, role: &str) -> Self {
        self.token(|token| {
            token.grant = Some(GrantType::ClientCredentials);
            (token.account, token.permissions) = (None, vec![role.to_owned()]);
            token.object_id = Some("0b1c2d3e-0000-4444-8888-9999aaaabbbb".to_owned());
        })
        .may_be(Family::Account, "the app's own token")
    }

    /// By password.
    pub fn by_password(mut self) -> Self {
        (self.case.token, self.case.provider) = (None, None);
        self.case.passed.retain(|stage| *stage != Stage::Token);
        self.not.retain(|not| [Family::Tls, Family::Network].contains(not));
        self.what.push_str(" [by password]");
        self.side(|side| side.password = true)
    }

    /// The conversation breaks off, or gets stuck: that may well be the network.
    pub fn breaks(self) -> Self {
        self.passing().may_be(Family::Network, "breaks off")
    }

    /// A token without any permission in it.
    pub fn without_permissions(self) -> Self {
        self.token(|token| token.permissions.clear())
            .may_be(Family::Permission, "no permissions")
    }

    /// A passing trouble, as the other side says.
    pub fn passing(mut self) -> Self {
        self.case.transient = true;
        self
    }

    /// What the console noticed itself.
    pub fn noticed(mut self, id: &'static str) -> Self {
        self.case.evidence.own_id = Some(id);
        self
    }

    /// This server's clock is ahead by so many seconds.
    pub fn clock(mut self, ahead: i64) -> Self {
        self.case.clock_ahead = Some(ahead);
        if ahead.abs() <= 120 {
            self.not.push(Family::Clock);
        }
        self.what = format!("{} [clock {ahead} s]", self.what);
        self
    }

    /// What is really wrong.
    pub fn is(self, expected: &str, score: &mut Score) {
        score.add(&self.what, expected, &judge(&self.case), &self.not);
    }
}
