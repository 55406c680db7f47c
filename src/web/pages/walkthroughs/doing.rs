//! What the open step offers to do: forms elsewhere in the console that lead back here, things that are here to be chosen, buttons.

use super::fit::suits;
use super::problem::problem;
use super::values::{permissions, values};
use super::{Opened, sure_words};
use crate::actions::walkthroughs::{Stand, Walk};
use crate::model::Date;
use crate::model::provider::ClientAuth;
use crate::model::token::{GrantType, Token};
use crate::model::user::Permission;
use crate::model::walkthrough::{Act, Check, Send};
use crate::web::WebState;
use crate::web::back::Back;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::time::date_words;

/// How many of what is here are offered to be chosen?
const OFFERED: i64 = 200;

/// A link or a form with one button.
#[derive(Debug, Clone)]
pub(super) struct Button {
    pub href: String,
    pub words: String,
    /// A form in place of a link, with these hidden fields.
    pub form: Option<Vec<(&'static str, String)>>,
    pub primary: bool,
}

/// Something that is here, to be chosen.
#[derive(Debug, Clone)]
pub(super) struct Pick {
    /// Name of the field: `provider`, `token` or `mailbox`.
    pub field: &'static str,
    pub label: &'static str,
    pub options: Vec<(String, String)>,
    pub chosen: String,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Doing {
    pub buttons: Vec<Button>,
    pub pick: Option<Pick>,
    /// Why nothing can be done yet.
    pub note: String,
}

impl Doing {
    fn link(&mut self, href: String, words: &str, primary: bool) {
        self.buttons.push(Button {
            href,
            words: words.to_owned(),
            form: None,
            primary,
        });
    }

    fn form(&mut self, href: String, words: &str, fields: Vec<(&'static str, String)>, primary: bool) {
        self.buttons.push(Button {
            href,
            words: words.to_owned(),
            form: Some(fields),
            primary,
        });
    }
}

fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    format!("{path}?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
}

/// The providers a walkthrough of this kind could be about.
async fn providers(web: &WebState, walk: &Walk) -> Result<Vec<(String, String)>, PageError> {
    let all = web.app.store.providers().await?;
    let fitting = all.into_iter().filter(|provider| suits(walk.template, provider));
    Ok(fitting
        .map(|one| (one.name.to_string(), format!("{}, {}", one.name, one.template.label())))
        .collect())
}

struct Maker<'a> {
    web: &'a WebState,
    walk: &'a Walk,
    back: String,
    doing: Doing,
}

impl Maker<'_> {
    async fn provider(&mut self, may_add: bool) -> Result<(), PageError> {
        let (walk, back) = (self.walk, self.back.clone());
        match &walk.provider {
            Some(provider) => {
                let path = format!("/providers/{}", provider.name);
                self.doing
                    .link(query(&format!("{path}/edit"), &[("back", &back)]), "Change its ids", false);
                self.doing.link(path, &format!("Open provider {}", provider.name), false);
            }
            None if may_add => {
                let later = if ["microsoft", "microsoft-secret"].contains(&walk.template.card.as_str()) {
                    "1"
                } else {
                    ""
                };
                let pairs = [
                    ("template", walk.template.card.as_str()),
                    ("name", &walk.row.name),
                    ("account", &walk.row.address),
                    ("later", later),
                    ("back", &back),
                ];
                self.doing.link(query("/providers/new", &pairs), "Add the provider", true);
            }
            None => {}
        }
        let options = providers(self.web, walk).await?;
        let chosen = walk.provider.as_ref().map(|provider| provider.name.to_string()).unwrap_or_default();
        if options.iter().any(|(name, _)| *name != chosen) {
            self.doing.pick = Some(Pick {
                field: "provider",
                label: if chosen.is_empty() {
                    "Or use one that is here"
                } else {
                    "Use another one"
                },
                options,
                chosen,
            });
        } else if chosen.is_empty() && !may_add {
            self.doing.note = "There is no provider yet. Add one first, with a walkthrough of its own.".to_owned();
        }
        Ok(())
    }

    fn credential(&mut self) {
        let Some(provider) = &self.walk.provider else {
            self.doing.note = "Add the provider first.".to_owned();
            return;
        };
        let path = format!("/providers/{}", provider.name);
        let back = [("back", self.back.as_str())];
        match (provider.grant, provider.client_auth) {
            (GrantType::JwtBearer, _) => self.doing.link(query(&format!("{path}/key"), &back), "Put the key in", true),
            (_, ClientAuth::Certificate) => self.doing.link(format!("{path}/certificate"), "Open the certificate", false),
            (_, ClientAuth::None) => self.doing.note = "This provider proves itself without a secret.".to_owned(),
            _ => self
                .doing
                .link(query(&format!("{path}/secret"), &back), "Enter the client secret", true),
        }
    }

    fn consent(&mut self) {
        if let Some(provider) = &self.walk.provider {
            let path = format!("/providers/{}/consent", provider.name);
            self.doing
                .form(format!("{path}/open"), "Open it myself", vec![("back", self.back.clone())], false);
            self.doing.link(path, "Admin consent of this provider", false);
        }
    }

    /// A token: to be added, to be chosen, or there.
    async fn token(&mut self, words: &str) -> Result<bool, PageError> {
        let (walk, back) = (self.walk, self.back.clone());
        let Some(provider) = &walk.provider else {
            self.doing.note = "Choose or add the provider first.".to_owned();
            return Ok(false);
        };
        let grant = walk.wanted_grant();
        let store = &self.web.app.store;
        let options = store.some_tokens_of(&provider.id, walk.wanted_grants(), "", OFFERED).await?;
        let chosen = walk.token.as_ref().map(|token| token.name.to_string()).unwrap_or_default();
        if options.iter().any(|token| token.name.as_str() != chosen) {
            let words = |token: &Token| {
                let who = token.user.as_deref().map(|user| format!(", {user}")).unwrap_or_default();
                (token.name.to_string(), format!("{}{who}", token.name))
            };
            self.doing.pick = Some(Pick {
                field: "token",
                label: if chosen.is_empty() {
                    "Or use one that is here"
                } else {
                    "Use another token"
                },
                options: options.iter().map(words).collect(),
                chosen,
            });
        }
        if walk.token.is_none() {
            let user = match grant {
                GrantType::ClientCredentials => "",
                GrantType::JwtBearer => &walk.row.address,
                _ => walk.row.signs_in(),
            };
            let shared = if walk.row.account.is_empty() { "" } else { "1" };
            let grant = if grant == provider.grant { "" } else { grant.as_str() };
            let pairs = [
                ("provider", provider.name.as_str()),
                ("user", user),
                ("shared", shared),
                ("grant", grant),
                ("back", &back),
            ];
            self.doing.link(query("/tokens/new", &pairs), words, true);
        }
        Ok(walk.token.is_some())
    }

    async fn mailbox(&mut self, words: &str) -> Result<(), PageError> {
        let (walk, back) = (self.walk, self.back.clone());
        if walk.token.is_none() && !self.token("Add the token first").await? {
            return Ok(());
        }
        match &walk.mailbox {
            Some(mailbox) if walk.mailbox_uses_token() => {
                self.doing
                    .link(format!("/mailboxes/{}", mailbox.name), &format!("Open {}", mailbox.address), false);
            }
            Some(mailbox) => {
                let path = format!("/mailboxes/{}/edit", mailbox.name);
                self.doing
                    .link(query(&path, &[("back", &back)]), &format!("{words} for {}", mailbox.address), true);
            }
            None => self.doing.link(
                query("/mailboxes/new", &[("address", &walk.row.address), ("back", &back)]),
                "Add the mailbox",
                true,
            ),
        }
        let used = match &walk.token {
            Some(token) => self.web.app.store.some_mailboxes_of_token(&token.id, OFFERED).await?,
            None => Vec::new(),
        };
        let chosen = walk.mailbox.as_ref().map(|mailbox| mailbox.name.to_string()).unwrap_or_default();
        if used.iter().any(|mailbox| mailbox.name.as_str() != chosen) {
            self.doing.pick = Some(Pick {
                field: "mailbox",
                label: "Or use one that has this token",
                options: used.iter().map(|one| (one.name.to_string(), one.address.clone())).collect(),
                chosen,
            });
        }
        Ok(())
    }

    async fn make(mut self, act: Act) -> Result<Doing, PageError> {
        let walk = self.walk;
        match act {
            Act::Nothing | Act::Limit => {}
            Act::Provider => self.provider(true).await?,
            Act::ProviderHere => self.provider(false).await?,
            Act::Credential => self.credential(),
            Act::Consent => self.consent(),
            Act::SignIn => {
                if self.token("Add the token").await?
                    && let Some(token) = &walk.token
                {
                    let path = format!("/tokens/{}", token.name);
                    let fields = vec![("back", self.back.clone())];
                    self.doing
                        .form(format!("{path}/authorize"), "Get authorization token", fields, walk.grant.is_none());
                    self.doing.link(path, &format!("Open token {}", token.name), false);
                }
            }
            Act::AppToken | Act::ServiceToken => {
                self.token("Add the token").await?;
            }
            Act::Mailbox => self.mailbox("Choose the token").await?,
            Act::Switch => match &walk.mailbox {
                Some(_) => self.mailbox("Choose the app's token").await?,
                None => self.doing.note = "The mailbox isn't here. Start the walkthrough with the address of one that is.".to_owned(),
            },
            Act::TurnOn => match &walk.mailbox {
                Some(mailbox) if !mailbox.enabled => {
                    let path = format!("/walkthroughs/{}/turn-on", walk.row.id);
                    self.doing.form(path, "Turn it on", Vec::new(), true);
                }
                _ => {}
            },
            Act::Mailboxes | Act::Tokens => {
                if let Some(provider) = &walk.provider {
                    let (path, words) = match act {
                        Act::Mailboxes => ("/mailboxes", "Mailboxes of this provider"),
                        _ => ("/tokens", "Tokens of this provider"),
                    };
                    self.doing.link(query(path, &[("provider", provider.name.as_str())]), words, true);
                }
            }
        }
        Ok(self.doing)
    }
}

impl Opened {
    pub(super) async fn of(web: &WebState, user: &CurrentUser, walk: &Walk, stand: &Stand) -> Result<Self, PageError> {
        let step = stand.step;
        let back = Back::new(&walk.row.id, stand.number, walk.row.version).field();
        let maker = Maker {
            web,
            walk,
            back,
            doing: Doing::default(),
        };
        let doing = if user.may(Permission::ProviderEdit) && !matches!((step.check, step.act), (Check::TurnedOn, Act::Nothing)) {
            maker.make(step.act).await?
        } else {
            Doing::default()
        };
        let mut problem = problem(&web.app, user, walk, stand).await?;
        // What the step does anyway stands once.
        for way in problem.iter_mut().flat_map(|problem| &mut problem.ways) {
            let here = |words: &str| words == "Check now" || doing.buttons.iter().any(|button| button.words == words);
            way.buttons.retain(|lead| !here(&lead.words));
        }
        let (send, send_later) = match (step.send, &walk.provider, &walk.token) {
            (Send::Nobody, ..) => ("", ""),
            (Send::Mail, ..) => ("Write the request", ""),
            (Send::Consent, Some(_), _) => ("Make a consent link", ""),
            (Send::Secret, Some(provider), _) if crate::actions::provider_links::asks_for(provider).is_some() => ("Make a secret link", ""),
            (Send::Secret, Some(_), _) => ("Write the request", ""),
            (Send::SignIn, Some(_), Some(token)) if token.grant == GrantType::AuthorizationCode => ("Make a sign-in link", ""),
            (Send::SignIn, ..) => ("", "A sign-in link can be made once the token is here."),
            (Send::Consent | Send::Secret, None, _) => ("", "A link can be made once the provider is here."),
        };
        Ok(Self {
            values: values(web, walk, step).await?,
            permissions: permissions(web, walk, step).await?,
            doing,
            sure: sure_words(step.sure),
            path: format!("/walkthroughs/{}/steps/{}", walk.row.id, step.id),
            send,
            send_later,
            asks_address: step.act == Act::Limit,
            verified: Date::parse(&step.verified).map(date_words).unwrap_or_default(),
            problem,
            stand: stand.clone(),
        })
    }

    /// Whether one of the buttons is what comes next.
    pub(super) fn has_primary(&self) -> bool {
        let fixes = self.problem.iter().flat_map(|problem| &problem.ways).next();
        fixes.is_some_and(|way| !way.buttons.is_empty())
            || self.doing.buttons.iter().any(|button| button.primary)
            || (self.sends_first() && !self.stand.state.is_over())
    }

    /// Whether sending it is what most people do.
    pub(super) fn sends_first(&self) -> bool {
        self.stand.step.send == Send::Consent && !self.send.is_empty()
    }
}
