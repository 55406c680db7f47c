//! What can be done here: acts, where each of them leads, and what it takes.

use super::scene::Scene;
use crate::model::mailbox::{Protocol, Security};
use crate::model::provider::ClientAuth;
use crate::model::report::{Direction, Stage};
use crate::model::template::TemplateKind;
use crate::model::token::GrantType;
use crate::model::user::Permission;
use crate::model::words;

words!(
    /// Something this console does about a failure.
    Act {
        /// The page for a new secret, certificate or key.
        ReplaceSecret = "replace_secret",
        /// A secret link for whoever runs the provider.
        AskForSecret = "ask_for_secret",
        /// The form of the provider.
        EditProvider = "edit_provider",
        /// Tries what can be tried without a sign-in.
        CheckProvider = "check_provider",
        /// The page of admin consent.
        SendConsentLink = "send_consent_link",
        /// A sign-in with the token's own prompt.
        SignIn = "sign_in",
        /// A sign-in at which the account is chosen.
        SignInSelectAccount = "sign_in_select_account",
        /// A sign-in at which consent is asked for again.
        SignInConsent = "sign_in_consent",
        /// A sign-in at which the password is asked for.
        SignInLogin = "sign_in_login",
        /// A sign-in link for the account's owner.
        SendSignInLink = "send_sign_in_link",
        /// Required and granted permissions, side by side.
        ComparePermissions = "compare_permissions",
        /// What the access token says.
        ReadToken = "read_token",
        /// The form of the token, opened for shared mailboxes.
        AllowShared = "allow_shared",
        /// The form of the token, at its account.
        CorrectAccount = "correct_account",
        /// The form of the token, at its permissions.
        ChangePermissions = "change_permissions",
        /// The form of the token with offline_access added.
        AddOfflineAccess = "add_offline_access",
        /// The form of the token, for its password.
        EnterTokenPassword = "enter_token_password",
        /// Every command for the token's mailboxes, as a file.
        AllCommands = "all_commands",
        /// The form of the mailbox with TLS from the start and its port.
        UseTls = "use_tls",
        /// The form of the mailbox with STARTTLS and its port.
        UseStarttls = "use_starttls",
        /// The form of the mailbox with the host that was probably meant.
        UseHost = "use_host",
        /// The form of the mailbox with the user name that fits the token.
        SetUserName = "set_user_name",
        /// The form of the mailbox with a token in place of a password.
        UseOAuth = "use_oauth",
        /// The form of the mailbox with Graph for sending.
        SendWithGraph = "send_with_graph",
        /// The form of the mailbox with Graph for reading.
        ReadWithGraph = "read_with_graph",
        /// The form of the mailbox with its own address as sender.
        OwnSender = "own_sender",
        /// The form of the mailbox, at its token.
        ChooseToken = "choose_token",
        /// The form of the mailbox, at its password.
        EnterPassword = "enter_password",
        /// The form of the mailbox, at its folder.
        ChooseFolder = "choose_folder",
        /// The form of the mailbox.
        EditMailbox = "edit_mailbox",
        /// Turns the mailbox on.
        TurnOn = "turn_on",
    }
);

words!(
    /// What the form of a mailbox puts in for an act (`?fix=`).
    Fix {
        /// TLS from the start, on its port.
        Tls = "tls",
        /// STARTTLS, on its port.
        Starttls = "starttls",
        /// The host that was probably meant.
        Host = "host",
        /// The user name that fits the token.
        UserName = "user_name",
        /// A token in place of a password.
        OAuth = "oauth",
        /// Graph in place of a mail server.
        Graph = "graph",
        /// The mailbox's own address as sender.
        Sender = "sender",
        /// The token of this very address.
        Token = "token",
    }
);

/// Where an act leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Address on this console.
    pub href: String,
    /// Words of the button.
    pub words: String,
    /// The fields that are sent there; none: a link.
    pub fields: Option<Vec<(&'static str, String)>>,
    /// What it takes.
    pub permission: Permission,
}

impl Lead {
    fn go(href: String, words: impl Into<String>, permission: Permission) -> Self {
        Self {
            href,
            words: words.into(),
            fields: None,
            permission,
        }
    }

    fn send(href: String, words: impl Into<String>, permission: Permission, fields: &[(&'static str, &'static str)]) -> Self {
        Self {
            fields: Some(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()),
            ..Self::go(href, words, permission)
        }
    }
}

/// Whether somebody signs in in a browser that comes back here: only that can be begun with a link.
fn by_browser(scene: &Scene) -> bool {
    scene.grant.is_none_or(|grant| grant == GrantType::AuthorizationCode)
}

const GET_TOKEN: &str = "Get authorization token";

impl Act {
    /// Where it leads; none where what it is about isn't known.
    pub fn lead(self, scene: &Scene) -> Option<Lead> {
        self.of_provider(scene)
            .or_else(|| self.of_token(scene))
            .or_else(|| self.of_mailbox(scene))
    }

    /// Whether it makes a one-time link, or leads to where one is made.
    pub const fn makes_link(self) -> bool {
        matches!(self, Self::SendConsentLink | Self::AskForSecret | Self::SendSignInLink)
    }

    /// The form that makes the one-time link of a request, and puts it in; none where the act makes none.
    pub fn maker(self, scene: &Scene, request: &str) -> Option<Lead> {
        let provider = || Some(format!("/providers/{}", scene.provider.as_ref()?));
        let (href, permission) = match self {
            Self::SendConsentLink if scene.template == Some(TemplateKind::Microsoft) => {
                (format!("{}/consent/links", provider()?), Permission::TokenAuthorize)
            }
            // What proves itself with nothing has nothing to be brought.
            Self::AskForSecret if scene.client_auth != Some(ClientAuth::None) => {
                (format!("{}/request", provider()?), Permission::SecretSet)
            }
            Self::SendSignInLink if by_browser(scene) => (format!("/tokens/{}/links", scene.token.as_ref()?), Permission::TokenAuthorize),
            _ => return None,
        };
        let mut lead = Lead::send(href, "Make a link and put it in the request", permission, &[]);
        if let Some(fields) = &mut lead.fields {
            fields.push(("request", request.to_owned()));
            if self == Self::SendSignInLink {
                fields.push(("prompt", "select_account".to_owned()));
            }
        }
        Some(lead)
    }

    fn of_provider(self, scene: &Scene) -> Option<Lead> {
        let home = format!("/providers/{}", scene.provider.as_ref()?);
        let (page, words, permission) = match self {
            Self::ReplaceSecret => match scene.client_auth {
                _ if scene.client_id.is_empty() && !scene.service_client.is_empty() => ("key", "Replace key", Permission::SecretSet),
                Some(ClientAuth::Certificate) => ("certificate", "Replace certificate", Permission::SecretSet),
                Some(ClientAuth::None) => ("edit", "Change how the app proves itself", Permission::ProviderEdit),
                _ => ("secret", "Replace secret", Permission::SecretSet),
            },
            Self::AskForSecret => ("request", "Ask for it with a secret link", Permission::SecretSet),
            Self::EditProvider => ("edit", "Check the provider's settings", Permission::ProviderEdit),
            Self::SendConsentLink if scene.template == Some(TemplateKind::Microsoft) => {
                ("consent", "Send consent link", Permission::TokenAuthorize)
            }
            Self::CheckProvider => {
                return Some(Lead::send(format!("{home}/check"), "Check now", Permission::ProviderEdit, &[]));
            }
            _ => return None,
        };
        Some(Lead::go(format!("{home}/{page}"), words, permission))
    }

    fn of_token(self, scene: &Scene) -> Option<Lead> {
        let home = format!("/tokens/{}", scene.token.as_ref()?);
        let alone = scene.grant.is_some_and(|grant| !grant.needs_person());
        let sign_in = |prompt: &'static str| {
            let words = if alone { "Get token" } else { GET_TOKEN };
            let fields: &[(&str, &str)] = if prompt.is_empty() { &[] } else { &[("prompt", prompt)] };
            Lead::send(format!("{home}/authorize"), words, Permission::TokenAuthorize, fields)
        };
        let edit = |query: &str, words: &str| Lead::go(format!("{home}/edit{query}"), words, Permission::TokenEdit);
        Some(match self {
            Self::SignIn => sign_in(""),
            Self::SignInSelectAccount => sign_in("select_account"),
            Self::SignInConsent => sign_in("consent"),
            // Google knows no such prompt.
            Self::SignInLogin if scene.template == Some(TemplateKind::Google) => sign_in("select_account"),
            Self::SignInLogin => sign_in("login"),
            Self::SendSignInLink if by_browser(scene) => Lead::send(
                format!("{home}/links"),
                "Send a sign-in link",
                Permission::TokenAuthorize,
                &[("prompt", "select_account")],
            ),
            Self::ComparePermissions => Lead::go(format!("{home}#p"), "Show granted and required", Permission::View),
            Self::ReadToken => Lead::go(format!("{home}#can"), "Show what the token says", Permission::View),
            Self::AllCommands => Lead::go(format!("{home}/commands"), "All commands as a file", Permission::View),
            Self::AllowShared => edit("?shared=1#shared", "Allow for shared mailboxes"),
            Self::CorrectAccount if scene.other_account() == Some(true) => {
                let user: String = url::form_urlencoded::byte_serialize(scene.address.as_bytes()).collect();
                edit(&format!("?user={user}#user"), "Correct the account")
            }
            Self::CorrectAccount => edit("#user", "Correct the account"),
            Self::ChangePermissions => edit("#purposes", "Change its permissions"),
            Self::AddOfflineAccess => edit("?add=offline_access", "Add offline_access"),
            Self::EnterTokenPassword => edit("#password", "Enter the password"),
            _ => return None,
        })
    }

    fn of_mailbox(self, scene: &Scene) -> Option<Lead> {
        let home = format!("/mailboxes/{}", scene.mailbox.as_ref()?);
        let side = scene.direction.map_or("incoming", Direction::as_str);
        let fix =
            |fix: Fix, at: &str, words: String| Lead::go(format!("{home}/edit?fix={fix}&side={side}#{at}"), words, Permission::MailboxEdit);
        let server = format!("{side}_host");
        let at = |field: &str, words: &str| Lead::go(format!("{home}/edit#{field}"), words, Permission::MailboxEdit);
        let protocol = scene.protocol.filter(|protocol| *protocol != Protocol::Graph);
        Some(match self {
            Self::UseTls => fix(Fix::Tls, &server, format!("Use port {} with TLS", protocol?.ports().0)),
            Self::UseStarttls => {
                let port = protocol?.ports().1;
                let kept = scene.port == port && scene.security != Some(Security::Starttls);
                let words = if kept {
                    "Use STARTTLS".to_owned()
                } else {
                    format!("Use port {port} with STARTTLS")
                };
                fix(Fix::Starttls, &server, words)
            }
            Self::UseHost => fix(Fix::Host, &server, format!("Use {}", meant(&scene.host)?)),
            Self::SetUserName => fix(Fix::UserName, "username", "Set the user name".to_owned()),
            Self::UseOAuth => fix(Fix::OAuth, "auth", "Use a token in place of the password".to_owned()),
            Self::SendWithGraph => Lead::go(
                format!("{home}/edit?fix=graph&side=outgoing#outgoing"),
                "Send with Graph instead",
                Permission::MailboxEdit,
            ),
            Self::ReadWithGraph => Lead::go(
                format!("{home}/edit?fix=graph&side=incoming#incoming"),
                "Read with Graph instead",
                Permission::MailboxEdit,
            ),
            Self::OwnSender => fix(Fix::Sender, "from", "Send as its own address".to_owned()),
            Self::ChooseToken if scene.other_account() == Some(true) => fix(Fix::Token, "token", "Use a token of its own".to_owned()),
            Self::ChooseToken => fix(Fix::Token, "token", "Choose another token".to_owned()),
            Self::EnterPassword => at("password", "Enter the password"),
            Self::ChooseFolder => at("folder", "Choose another folder"),
            Self::EditMailbox => at(place_of(scene), "Edit mailbox"),
            Self::TurnOn => Lead::send(format!("{home}/turn-on"), "Turn on this mailbox", Permission::MailboxEdit, &[]),
            _ => return None,
        })
    }
}

/// The field of a mailbox's form that a failure on the way to a server is about; else its first.
fn place_of(scene: &Scene) -> &'static str {
    let on_the_way = matches!(
        scene.step,
        Some(Stage::Dns | Stage::Tcp | Stage::Tls | Stage::Greeting | Stage::Capability | Stage::Ehlo | Stage::Starttls)
    );
    match scene.direction {
        Some(Direction::Incoming) if on_the_way && !scene.host.is_empty() => "incoming_host",
        Some(Direction::Outgoing) if on_the_way && !scene.host.is_empty() => "outgoing_host",
        _ => "address",
    }
}

/// The host that was probably meant by one that is spelt nearly the same.
pub fn meant(host: &str) -> Option<&'static str> {
    crate::diagnosis::rules::server::near(host)
}
