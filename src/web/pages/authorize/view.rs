//! What each way a sign-in can end looks like (`ux.md`, 7.2): a verdict, a sentence, and the one thing to do next.

use super::super::capital;
use super::super::providers::form::short_scope;
use crate::actions::authorize::Outcome;
use crate::actions::consent;
use crate::diagnosis::by_id;
use crate::diagnosis::own;
use crate::model::provider::Provider;
use crate::model::report::{Diagnosis, Direction};
use crate::model::scopes::offline_access_missing;
use crate::model::template::{self, TemplateKind};
use crate::model::token::{GrantType, Token};
use crate::model::user::Permission;
use crate::web::guard::CurrentUser;
use crate::web::routes;

/// Something to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A new sign-in with a prompt; none: the token's own.
    SignIn(Option<&'static str>, &'static str),
    /// A sign-in link, for a private window or for somebody else.
    Link(&'static str, &'static str),
    /// A page of ours.
    Go(String, String),
    /// A page of ours for those who may edit tokens.
    Edit(String, String),
}

/// A result as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Mark.
    pub kind: &'static str,
    /// Verdict.
    pub heading: String,
    /// Sentences.
    pub text: Vec<String>,
    /// What is missing, or what to do, as a list.
    pub list: Vec<String>,
    /// What the provider said, to the letter.
    pub said: String,
    /// Why it came to nothing, where that has a cause.
    pub diagnosis: Option<Diagnosis>,
    /// What to do; the first is the primary one.
    pub acts: Vec<Act>,
    /// Whether the page is worth asking for again.
    pub refresh: bool,
}

impl View {
    fn new(kind: &'static str, heading: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            heading: heading.into(),
            text: vec![text.into()],
            list: Vec::new(),
            said: String::new(),
            diagnosis: None,
            acts: Vec::new(),
            refresh: false,
        }
    }

    fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    fn also(mut self, text: impl Into<String>) -> Self {
        self.text.push(text.into());
        self
    }

    fn said(mut self, said: &str) -> Self {
        said.clone_into(&mut self.said);
        self
    }

    /// A device shows no page of ours and takes no prompt: all there is to do is to get a new code.
    fn at_device(mut self) -> Self {
        self.acts.retain(|act| !matches!(act, Act::Link(..)));
        if let Some(first) = self.acts.iter().position(|act| matches!(act, Act::SignIn(..))) {
            self.acts.retain(|act| !matches!(act, Act::SignIn(..)));
            self.acts.insert(first, Act::SignIn(None, "Get a new code"));
        }
        self
    }

    /// Without what this person may not do.
    pub fn for_person(mut self, user: &CurrentUser) -> Self {
        self.acts.retain(|act| match act {
            Act::SignIn(..) | Act::Link(..) => user.may(Permission::TokenAuthorize),
            Act::Edit(..) => user.may(Permission::TokenEdit),
            Act::Go(..) => true,
        });
        self
    }
}

const AGAIN: &str = "Choose the account again";

fn unchanged(stored: bool) -> &'static str {
    if stored {
        "so we kept the old one"
    } else {
        "so nothing was stored"
    }
}

fn diagnosed(diagnosis: &Diagnosis, said: &str) -> View {
    let mut view = View::new("bad", diagnosis.title.clone(), diagnosis.meaning.clone()).said(said);
    view.list.clone_from(&diagnosis.remedy);
    view.diagnosis = Some(diagnosis.clone());
    view
}

/// Whose organisation: the tenant's domain, or no name.
fn organisation(provider: &Provider) -> String {
    let named = provider.tenant.as_deref().filter(|tenant| tenant.contains('.'));
    named.unwrap_or("Your organisation").to_owned()
}

/// What to say about permissions that were not granted.
fn missing_heading(provider: &Provider, missing: &[String]) -> &'static str {
    let lacks = |direction| template::lacks(provider.template, provider.cloud, direction, missing);
    match (lacks(Direction::Incoming), lacks(Direction::Outgoing)) {
        (false, true) => "Signed in, but sending wasn't allowed",
        (true, false) => "Signed in, but reading wasn't allowed",
        _ => "Signed in, but permissions are missing",
    }
}

/// The page of an outcome. `stored` says whether the token holds a sign-in; `prompts` are those the provider knows.
pub fn view(outcome: &Outcome, token: &Token, provider: &Provider, stored: bool, prompts: &[(&'static str, String)]) -> View {
    let short = capital(provider.template.short_name());
    let home = routes::token(token.name.as_str());
    let back = || Act::Go(home.clone(), "Back to the token".to_owned());
    let again = || Act::SignIn(Some("select_account"), AGAIN);
    let knows_consent = prompts.iter().any(|(word, _)| *word == "consent");
    let view = match outcome {
        Outcome::SignedIn { account, run } => {
            let view = View::new("ok", format!("{account} is signed in"), "The token is stored and renews itself.").act(back());
            return with_run(view, run.as_deref());
        }
        Outcome::SignedInMissing {
            account,
            missing,
            stored: taken,
            run,
        } => {
            let text = if *taken {
                format!("{account} is signed in and the token is stored, because the rest works. {short} didn't allow:")
            } else {
                format!("{account} is signed in, but the older sign-in allows more, so that one stays. {short} didn't allow:")
            };
            let mut view = View::new("warn", missing_heading(provider, missing), text);
            view.list = missing.iter().map(|scope| short_scope(scope).to_owned()).collect();
            if knows_consent {
                view = view.act(Act::SignIn(Some("consent"), "Ask for consent again"));
            }
            if provider.template == TemplateKind::Microsoft {
                view = view.also(ADMIN_CONSENT).act(ask_an_admin(provider));
            }
            return with_run(view.act(back()), run.as_deref());
        }
        Outcome::DifferentAccount {
            account,
            expected,
            consented,
        } => different(account, expected, *consented, token, provider, stored),
        Outcome::DifferentTenant { account, personal } => {
            let domain = account.rsplit_once('@').map(|(_, domain)| domain);
            let heading = match (personal, domain) {
                (true, _) => "That is a personal account".to_owned(),
                (false, Some(domain)) => format!("That account belongs to {domain}"),
                (false, None) => "That account belongs to another organisation".to_owned(),
            };
            let text = format!(
                "You signed in as {account}. This token is for {}, {}.",
                token.user.as_deref().unwrap_or_default(),
                unchanged(stored)
            );
            View::new("bad", heading, text).act(again())
        }
        Outcome::Cancelled => View::new("off", "You came back without signing in", "Nothing changed.")
            .act(Act::SignIn(None, "Try again"))
            .act(again()),
        Outcome::AdminApproval { said } => {
            let heading = format!("{} lets only admins allow apps", organisation(provider));
            let text = "Nothing changed. An admin has to allow this app once; afterwards try again.";
            let how = if provider.template == TemplateKind::Google {
                GOOGLE_ADMIN
            } else {
                ADMIN_CONSENT
            };
            let view = View::new("warn", heading, text).also(how).said(said);
            let view = view.act(Act::SignIn(None, "Try again"));
            if consent::is_known(provider) {
                view.act(ask_an_admin(provider))
            } else {
                view
            }
        }
        Outcome::PageNeeded { said } => {
            let text = "The prompt \"none\" shows no page, and one was needed. Nothing changed.";
            View::new("warn", format!("{short} would have had to ask something"), text)
                .said(said)
                .act(Act::SignIn(Some("select_account"), "Choose the account"))
        }
        Outcome::Declined { diagnosis, said } | Outcome::ExchangeFailed { diagnosis, said } | Outcome::NoIdentity { diagnosis, said } => {
            let view = diagnosed(diagnosis, said).also(if stored {
                "The old token stays as it is."
            } else {
                "Nothing was stored."
            });
            view.act(Act::SignIn(None, "Try again"))
        }
        Outcome::NoLastingToken { account } => {
            let text = format!(
                "{account} signed in, but the token would be over in about an hour, {}.",
                unchanged(stored)
            );
            let view = View::new("bad", format!("{short} didn't allow staying signed in"), text);
            match offline_access_missing(provider.template, &token.scopes) {
                Some(_) => view.also("The permission offline_access is not asked for.").act(Act::Edit(
                    format!("{home}/edit?add=offline_access"),
                    "Add offline_access".to_owned(),
                )),
                None => view.act(Act::SignIn(Some("consent"), "Ask for consent again")),
            }
        }
        Outcome::IssuerMismatch { said } => {
            let known = by_id(own::ISSUER_MISMATCH);
            let text = known.as_ref().map(|d| d.meaning.clone()).unwrap_or_default();
            let mut view = View::new(
                "bad",
                known.as_ref().map_or("The answer came from somebody else", |d| &d.title),
                text,
            )
            .said(said);
            view.diagnosis.clone_from(&known);
            view.list = known.map(|d| d.remedy).unwrap_or_default();
            view.act(Act::SignIn(None, "Start again"))
        }
        Outcome::Unknown => View::new("bad", "We didn't start this sign-in", "Nothing changed."),
        Outcome::Working => {
            let mut view = View::new("run", "Finishing the sign-in", "The provider is being asked for the token.");
            view.refresh = true;
            view
        }
        Outcome::Withdrawn => View::new("off", "This sign-in was cancelled", "Nothing changed.").act(Act::SignIn(None, "Start again")),
        Outcome::CodeExpired => View::new("off", "The code ran out", "Nobody signed in before it did. Nothing changed.")
            .act(Act::SignIn(None, "Get a new code")),
        Outcome::Changed => View::new(
            "off",
            "The token was changed meanwhile",
            "That ended the sign-in at the other device. Start again with the token as it is now.",
        )
        .act(Act::SignIn(None, "Get a new code")),
        Outcome::TooOld | Outcome::Used | Outcome::OtherWindow => {
            let text = "Sign-ins must come back within 10 minutes, in the window they were started in. Nothing changed.";
            View::new("off", "This sign-in is too old", text).act(Act::SignIn(None, "Start again"))
        }
    };
    let view = view.act(back());
    if token.grant == GrantType::DeviceCode {
        view.at_device()
    } else {
        view
    }
}

const ADMIN_CONSENT: &str = "Send an admin a consent link. Or, for an admin: Entra admin center > App registrations > this app > API permissions > Grant admin consent.";

const GOOGLE_ADMIN: &str = "For a Google Workspace admin: Google Admin console > Security > Access and data control > API controls > Manage app access. Add the app by its client ID there, as trusted.";

fn ask_an_admin(provider: &Provider) -> Act {
    let page = format!("{}/consent", routes::provider(provider.name.as_str()));
    Act::Go(page, "Ask an admin".to_owned())
}

fn with_run(view: View, run: Option<&str>) -> View {
    match run {
        Some(run) => view.act(Act::Go(routes::run(run), "See the first mail test".to_owned())),
        None => view,
    }
}

fn different(account: &str, expected: &str, consented: bool, token: &Token, provider: &Provider, stored: bool) -> View {
    let home = routes::token(token.name.as_str());
    // An admin may have consented for everybody on the way: that counts, their own sign-in doesn't (`ux.md`, 6.9).
    if consented && provider.template == TemplateKind::Microsoft {
        let text = format!(
            "You signed in as {account}. The consent counts; the sign-in doesn't, {}.",
            unchanged(stored)
        );
        return View::new("warn", format!("Consent is done. Now sign in as {expected}"), text)
            .act(Act::SignIn(Some("select_account"), "Choose the account"))
            .act(Act::Link("person", "Send a sign-in link"));
    }
    let edit = |more: &str| {
        let query = serde_urlencoded::to_string([("user", account)]).unwrap_or_default();
        format!("{home}/edit?{query}{more}")
    };
    View::new(
        "bad",
        format!("You signed in as {account}"),
        format!("This token is for {expected}, {}.", unchanged(stored)),
    )
    .also(format!(
        "If both are the same person, use the name {} knows them by for this token.",
        provider.template.short_name()
    ))
    .act(Act::SignIn(Some("select_account"), AGAIN))
    .act(Act::Link("window", "Copy the link for a private window"))
    .act(Act::Link("person", "Send a sign-in link"))
    .act(Act::Edit(
        edit("&shared=1"),
        format!("{account} opens {expected} as a shared mailbox"),
    ))
    .act(Act::Edit(edit(""), format!("Use {account} for this token from now on")))
}
