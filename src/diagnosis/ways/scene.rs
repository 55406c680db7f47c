//! What is known around a failure, for the ways out of it: values to fill in, and the records that can be led to.

use super::act::meant;
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::ClientAuth;
use crate::model::report::{Direction, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;
use crate::model::words;

/// What is known. Nothing of it is secret; whatever isn't known stays empty, and the ways keep a placeholder there.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Handle of the mailbox, where one is stored.
    pub mailbox: Option<String>,
    /// Handle of the token.
    pub token: Option<String>,
    /// Handle of the provider.
    pub provider: Option<String>,
    /// Reading or sending.
    pub direction: Option<Direction>,
    /// The step that failed.
    pub step: Option<Stage>,
    /// What is spoken.
    pub protocol: Option<Protocol>,
    /// Mail host; empty for Graph.
    pub host: String,
    /// Its port; 0 where it isn't known.
    pub port: u16,
    /// Encryption.
    pub security: Option<Security>,
    /// The mailbox's address.
    pub address: String,
    /// The address it sends as.
    pub sender: String,
    /// The user name the server is told.
    pub user_name: String,
    /// Who signed in, or is to sign in; empty for the app itself.
    pub account: String,
    /// How the token is got.
    pub grant: Option<GrantType>,
    /// What the provider was made from.
    pub template: Option<TemplateKind>,
    /// How the app proves itself.
    pub client_auth: Option<ClientAuth>,
    /// Directory id or domain.
    pub tenant: String,
    /// Client identifier.
    pub client_id: String,
    /// Client identifier of the service account.
    pub service_client: String,
    /// Object id of the enterprise application, as the app's own token tells it.
    pub object_id: String,
    /// Name the app gets in Exchange.
    pub app_name: String,
    /// Where the provider sends people back to.
    pub redirect: String,
    /// The same for every provider there is, with its handle, where none is meant.
    pub redirects: Vec<(String, String)>,
    /// Where it sends admins back to after consent.
    pub consent_redirect: String,
    /// Thumbprints of the certificate in use: SHA-1, SHA-256.
    pub thumbprints: Vec<(&'static str, String)>,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
    /// Host of the provider's token address.
    pub provider_host: String,
    /// Its port.
    pub provider_port: u16,
    /// Address of this console.
    pub console: String,
    /// What the other side said, secrets removed.
    pub said: String,
}

impl Scene {
    /// The server that was asked: the mail host, or at the first step the provider's.
    pub fn server(&self) -> (&str, u16) {
        let at_the_provider = self.step == Some(Stage::Token) || self.host.is_empty();
        if at_the_provider && !self.provider_host.is_empty() {
            (&self.provider_host, self.provider_port)
        } else {
            (&self.host, self.port)
        }
    }

    /// The name of this server, as others see it.
    pub fn console_host(&self) -> String {
        let url = url::Url::parse(&self.console).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The value of a place such as `<mailbox>`, by its name without the brackets; empty where it isn't known.
    pub fn value(&self, place: &str) -> String {
        let (host, port) = self.server();
        let words = |text: &str| text.to_owned();
        match place {
            "mailbox" => words(&self.address),
            "from address" => words(&self.sender),
            "account" => words(&self.account),
            "user name" => words(&self.user_name),
            "client id" => words(&self.client_id),
            "service account's client id" => words(&self.service_client),
            "tenant" => words(&self.tenant),
            "enterprise object id" | "object id" => words(&self.object_id),
            "trustee" if self.grant == Some(GrantType::ClientCredentials) => words(&self.object_id),
            "trustee" => words(&self.account),
            "app name" => words(&self.app_name),
            "redirect address" => words(&self.redirect),
            "consent return address" => words(&self.consent_redirect),
            "scopes" => self.scopes.join(" "),
            "permissions" => self.permissions(),
            "mark" => self.token.as_ref().map(|token| format!("mailgrant-{token}")).unwrap_or_default(),
            "scopes with commas" => self.scopes.join(","),
            "thumbprint sha-1" => self.thumbprint("SHA-1"),
            "thumbprint sha-256" => self.thumbprint("SHA-256"),
            "host" => words(host),
            "port" if port > 0 => port.to_string(),
            "protocol" => self.protocol.map_or("", Protocol::label).to_owned(),
            "tls port" => self.protocol.map(|protocol| protocol.ports().0.to_string()).unwrap_or_default(),
            "starttls port" => self.protocol.map(|protocol| protocol.ports().1.to_string()).unwrap_or_default(),
            "this server" => self.console_host(),
            _ => String::new(),
        }
    }

    /// The permissions as the provider's own pages name them: an app's are chosen one by one there, and only their sum is asked for.
    fn permissions(&self) -> String {
        let app = self.grant == Some(GrantType::ClientCredentials) && self.template == Some(TemplateKind::Microsoft);
        let names = match (self.protocol.filter(|_| app), self.direction) {
            (Some(Protocol::Imap), _) => "IMAP.AccessAsApp (Office 365 Exchange Online, application permission)",
            (Some(Protocol::Pop3), _) => "POP.AccessAsApp (Office 365 Exchange Online, application permission)",
            (Some(Protocol::Smtp), _) => "SMTP.SendAsApp (Office 365 Exchange Online, application permission)",
            (Some(Protocol::Graph), Some(Direction::Outgoing)) => "Mail.Send (Microsoft Graph, application permission)",
            (Some(Protocol::Graph), _) => "Mail.ReadWrite (Microsoft Graph, application permission)",
            (None, _) => return self.scopes.join(" "),
        };
        names.to_owned()
    }

    /// The values of a place, each with its label. Where no provider is meant, the redirect addresses of all there are; of none, their form.
    pub(super) fn labelled(&self, label: &str, place: &str) -> Vec<(String, String)> {
        let value = self.value(place);
        if !value.is_empty() {
            return vec![(label.to_owned(), value)];
        }
        if place != "redirect address" || self.provider.is_some() || self.console.is_empty() {
            return Vec::new();
        }
        if self.redirects.is_empty() {
            let form = format!("{}/oauth/callback/<provider name>", self.console.trim_end_matches('/'));
            return vec![(label.to_owned(), form)];
        }
        let all = self.redirects.iter();
        all.map(|(provider, address)| (format!("{label} of {provider}"), address.clone()))
            .collect()
    }

    /// With what the id of a cause gives away, where nothing else is known: whose words they are, and what was spoken.
    pub(super) fn told_by(&self, id: &str) -> Self {
        let mut scene = self.clone();
        let said = |words: &[&str]| words.iter().any(|word| id.contains(word));
        let template = match () {
            () if said(&["entra-", "-exchange-", "graph-"]) => Some(TemplateKind::Microsoft),
            () if said(&["google-", "gmail-"]) => Some(TemplateKind::Google),
            () => None,
        };
        let protocol = [
            ("imap-", Protocol::Imap),
            ("pop-", Protocol::Pop3),
            ("smtp-", Protocol::Smtp),
            ("graph-", Protocol::Graph),
        ];
        let protocol = protocol
            .iter()
            .find(|(start, _)| id.starts_with(start))
            .map(|(_, protocol)| *protocol);
        scene.template = scene.template.or(template);
        scene.protocol = scene.protocol.or(protocol);
        scene.direction = scene.direction.or(match protocol {
            Some(Protocol::Smtp) => Some(Direction::Outgoing),
            Some(Protocol::Imap | Protocol::Pop3) => Some(Direction::Incoming),
            _ => None,
        });
        scene
    }

    fn thumbprint(&self, kind: &str) -> String {
        let found = self.thumbprints.iter().find(|(known, _)| *known == kind);
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// Whether token and mailbox have different addresses; none where one of them isn't known.
    pub fn other_account(&self) -> Option<bool> {
        (!self.account.is_empty() && !self.address.is_empty()).then(|| !self.account.eq_ignore_ascii_case(&self.address))
    }

    /// Whether a circumstance holds; none where that isn't known.
    pub(super) fn holds(&self, only: Only) -> Option<bool> {
        let protocol = |wanted| self.protocol.map(|protocol| protocol == wanted);
        match only {
            Only::App => self.grant.map(|grant| grant == GrantType::ClientCredentials),
            Only::Person => self.grant.map(GrantType::needs_person),
            Only::Password => self.grant.map(|grant| grant == GrantType::Password),
            Only::Reads => self.direction.map(|direction| direction == Direction::Incoming),
            Only::Sends => self.direction.map(|direction| direction == Direction::Outgoing),
            Only::Imap => protocol(Protocol::Imap),
            Only::Pop => protocol(Protocol::Pop3),
            Only::Microsoft => self.template.map(|template| template == TemplateKind::Microsoft),
            Only::Alone => self.grant.map(|grant| !grant.needs_person()),
            Only::PublicFlow => self.grant.map(|grant| matches!(grant, GrantType::Password | GrantType::DeviceCode)),
            Only::MailServer => self.protocol.map(|protocol| protocol != Protocol::Graph),
            Only::NearlyKnown => Some(meant(&self.host).is_some()),
            Only::OtherAccount => self.other_account(),
            Only::OwnAccount => self.other_account().map(|other| !other),
            Only::OtherSender => {
                (!self.sender.is_empty() && !self.address.is_empty()).then(|| !self.sender.eq_ignore_ascii_case(&self.address))
            }
        }
    }
}

words!(
    /// A circumstance on which a way depends.
    Only {
        /// The app's own token.
        App = "app",
        /// Somebody signs in.
        Person = "person",
        /// The token is got with a password.
        Password = "password",
        /// Mail is read.
        Reads = "reads",
        /// Mail is sent.
        Sends = "sends",
        /// IMAP.
        Imap = "imap",
        /// POP.
        Pop = "pop",
        /// The provider is Microsoft.
        Microsoft = "microsoft",
        /// Nobody has to sign in.
        Alone = "alone",
        /// A way that is open to apps without a secret: with a password, or at another device.
        PublicFlow = "public_flow",
        /// A mail server, not Graph.
        MailServer = "mail_server",
        /// The host is spelt nearly like a known one.
        NearlyKnown = "nearly_known",
        /// The token belongs to another address than the mailbox.
        OtherAccount = "other_account",
        /// The token belongs to the mailbox's own address.
        OwnAccount = "own_account",
        /// The sender is another address than the mailbox.
        OtherSender = "other_sender",
    }
);
