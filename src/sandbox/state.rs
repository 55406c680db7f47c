//! What the provider knows: its houses, people, apps, and the codes and tokens it gave out. Everything is in memory and ends with
//! the process.

pub use super::shared::Shared;

use super::keys::AppCertificate;
use super::mailboxes::Mailboxes;
use super::shared::guid_of;
use crate::clock::Timestamp;
use std::collections::{HashMap, HashSet};

/// The directory of the Microsoft-like house.
pub const TENANT: &str = "0f9d1c2b-3a4e-4c5d-8e6f-7a8b9c0d1e2f";
/// Its domain, which may stand for the directory.
pub const TENANT_DOMAIN: &str = "contoso.test";

/// The kinds of provider that are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum House {
    /// Entra ID, Exchange Online and Microsoft Graph.
    Microsoft,
    /// Google and Gmail.
    Google,
    /// An OpenID provider with mail servers, as people run them themselves. Its refresh tokens are good once.
    Open,
}

impl House {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Microsoft, Self::Google, Self::Open];

    /// What the pages call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Microsoft => "Contoso (Microsoft-like)",
            Self::Google => "Fabrikam (Google-like)",
            Self::Open => "Tailspin (OpenID Connect)",
        }
    }
}

/// Somebody, or something, with a mailbox.
#[derive(Debug, Clone)]
pub struct Person {
    /// Address and user name.
    pub address: String,
    /// Name.
    pub name: String,
    /// Where the account is.
    pub house: House,
    /// Password at the provider.
    pub password: String,
    /// Object id.
    pub oid: String,
    /// May consent for everybody.
    pub is_admin: bool,
    /// A shared mailbox: nobody signs in as it.
    pub is_shared: bool,
    /// Addresses that may open this mailbox, and send as it, besides its owner.
    pub delegates: Vec<String>,
    /// Client ids that may open it without a person: the service principals with a permission on this mailbox.
    pub apps: Vec<String>,
}

impl Person {
    /// An account whose password is `sandbox`.
    pub fn new(house: House, address: &str, name: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, address.as_bytes());
        Self {
            address: address.to_owned(),
            name: name.to_owned(),
            house,
            password: super::PASSWORD.to_owned(),
            oid: guid_of(digest.as_ref()),
            is_admin: false,
            is_shared: false,
            delegates: Vec::new(),
            apps: Vec::new(),
        }
    }
}

/// A secret of an app, and until when it is good.
#[derive(Debug, Clone)]
pub struct AppSecret {
    /// The value.
    pub value: String,
    /// Its end, if it has one.
    pub ends: Option<Timestamp>,
}

/// An app registration.
#[derive(Debug, Clone)]
pub struct AppClient {
    /// Client id.
    pub id: String,
    /// Name on the consent page.
    pub name: String,
    /// Where it is registered.
    pub house: House,
    /// Its secrets; any of them will do.
    pub secrets: Vec<AppSecret>,
    /// Its certificates; any of them will do.
    pub certificates: Vec<AppCertificate>,
    /// Where sign-ins may return to, exactly.
    pub redirect_uris: Vec<String>,
    /// Takes part without a secret too (public client flows).
    pub is_public: bool,
    /// Application permissions an admin has granted.
    pub roles: Vec<String>,
    /// Object id of its service principal.
    pub oid: String,
    /// Google: the service account's address; its key is the app's certificate.
    pub service_account: Option<String>,
}

impl AppClient {
    /// An app with a secret.
    pub fn new(house: House, id: &str, name: &str, secret: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("service principal {id}").as_bytes());
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            house,
            secrets: vec![AppSecret {
                value: secret.to_owned(),
                ends: None,
            }],
            certificates: Vec::new(),
            redirect_uris: Vec::new(),
            is_public: false,
            roles: Vec::new(),
            oid: guid_of(digest.as_ref()),
            service_account: None,
        }
    }
}

/// What somebody agreed to, or an app was granted.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The app.
    pub client: String,
    /// Whose it is; none: the app's own.
    pub user: Option<String>,
    /// Scopes or, without a user, roles; with their resource as they were asked for.
    pub scopes: Vec<String>,
    /// Counts the sign-ins; what came of one ends together.
    pub family: u64,
}

/// An access token.
#[derive(Debug, Clone)]
pub struct Access {
    /// What it stands for.
    pub grant: Grant,
    /// The resource it is for; empty where the house does not have resources.
    pub audience: String,
    /// Its end.
    pub ends: Timestamp,
}

/// An authorization code.
#[derive(Debug, Clone)]
pub struct Code {
    /// What it will be exchanged for.
    pub grant: Grant,
    /// Where it was sent.
    pub redirect_uri: String,
    /// PKCE.
    pub challenge: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// A refresh token was asked for.
    pub offline: bool,
    /// Its end.
    pub ends: Timestamp,
    /// It has been exchanged.
    pub is_used: bool,
}

/// A device code and what became of it.
#[derive(Debug, Clone)]
pub struct Device {
    /// What the person types.
    pub user_code: String,
    /// What is asked for.
    pub grant: Grant,
    /// Its end.
    pub ends: Timestamp,
    /// Seconds between two questions; grows when asked too often.
    pub interval: i64,
    /// When it was last asked for.
    pub asked_at: Option<Timestamp>,
    /// Somebody said yes or no.
    pub decided: Option<bool>,
}

/// A request at the authorization endpoint that is waiting for its person.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it came in.
    pub house: House,
    /// The app.
    pub client: String,
    /// Where to return to.
    pub redirect_uri: String,
    /// Scopes, in order.
    pub scopes: Vec<String>,
    /// Given back as it is.
    pub state: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// PKCE.
    pub challenge: Option<String>,
    /// `prompt`, its words.
    pub prompt: Vec<String>,
    /// Who is expected.
    pub login_hint: Option<String>,
    /// Google's `access_type=offline`.
    pub offline: bool,
    /// `form_post` or a query.
    pub form_post: bool,
    /// Who has signed in.
    pub user: Option<String>,
}

/// Codes, tokens, and who agreed to what.
#[derive(Debug, Default)]
pub struct World {
    pub(super) people: Vec<Person>,
    pub(super) clients: Vec<AppClient>,
    pub(super) mail: Mailboxes,
    pub(super) codes: HashMap<String, Code>,
    pub(super) access: HashMap<String, Access>,
    pub(super) refresh: HashMap<String, Grant>,
    /// Refresh tokens that were replaced in the house that takes each once.
    pub(super) spent: HashMap<String, u64>,
    pub(super) devices: HashMap<String, Device>,
    pub(super) pending: HashMap<String, Pending>,
    /// Browsers and who is signed in there, by cookie.
    pub(super) browsers: HashMap<String, Vec<String>>,
    /// (client, user, scope) that was agreed to; the user `*` stands for everybody.
    pub(super) consents: HashSet<(String, String, String)>,
    /// Assertions' `jti`, each good once.
    pub(super) assertions: HashSet<String>,
    pub(super) families: u64,
}

impl World {
    pub(super) fn person(&self, address: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.address.eq_ignore_ascii_case(address))
    }

    pub(super) fn client(&self, id: &str) -> Option<&AppClient> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn client_mut(&mut self, id: &str) -> Option<&mut AppClient> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    pub(super) fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    /// Ends everything that came of one sign-in.
    pub(super) fn end_family(&mut self, family: u64) {
        self.access.retain(|_, access| access.grant.family != family);
        self.refresh.retain(|_, grant| grant.family != family);
    }

    pub(super) fn has_consented(&self, client: &str, user: &str, scope: &str) -> bool {
        ["*", user]
            .iter()
            .any(|who| self.consents.contains(&(client.to_owned(), (*who).to_owned(), scope.to_owned())))
    }
}
