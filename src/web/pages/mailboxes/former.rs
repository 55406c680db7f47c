//! The token a mailbox had before: offered for removal once it isn't needed, and until then the way back.

use super::find;
use crate::actions::mailboxes::switching::{self, Former};
use crate::actions::mailboxes::{Change, MailboxError};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Name;
use crate::model::mailbox::Mailbox;
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::CsrfForm;
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::routes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// How many addresses are named?
const NAMED: usize = 3;

/// A former token as mailbox pages and runs show it.
#[derive(Debug, Clone)]
pub struct FormerView {
    /// Its handle.
    pub token: String,
    /// Its mark.
    pub kind: &'static str,
    /// The sentence.
    pub title: String,
    /// Why it may go, or what it stays for.
    pub text: String,
    /// The button that removes it; empty while it stays.
    pub remove: &'static str,
    /// Since when it is the former one.
    pub since: Timestamp,
    /// What *Change back* changes: label, now, then.
    pub back: Vec<Change>,
    /// The version of the mailbox it would be changed from.
    pub version: i64,
}

/// The former tokens of a mailbox.
pub async fn views(app: &App, mailbox: &Mailbox) -> Result<Vec<FormerView>, PageError> {
    let formers = switching::formers(app, mailbox).await?;
    Ok(formers.into_iter().map(|former| view(former, mailbox.version)).collect())
}

/// Whose it is, in front of its name.
fn called(token: &Token) -> String {
    match token.user.as_deref().filter(|user| *user != token.name.as_str()) {
        Some(user) => format!("{user} (token {})", token.name),
        None => format!("Token {}", token.name),
    }
}

fn view(former: Former, version: i64) -> FormerView {
    let called = called(&former.token);
    let needless = former.is_needless();
    FormerView {
        kind: if needless { "todo" } else { "said" },
        title: if needless {
            format!("{called} is no longer used")
        } else {
            format!("{called} was used here before")
        },
        text: if needless {
            "The tests passed with the new sign-in, and no mailbox needs the old one.".to_owned()
        } else {
            stays_for(&former)
        },
        remove: match (needless, former.token.grant.needs_person()) {
            (false, _) => "",
            (true, true) => "Log out and remove…",
            (true, false) => "Remove…",
        },
        token: former.token.name.to_string(),
        since: former.since,
        back: former.back,
        version,
    }
}

fn stays_for(former: &Former) -> String {
    let some = |addresses: &[String]| match addresses.len() {
        0..=NAMED => addresses.join(", "),
        more => format!("{} and {} more", addresses[..NAMED].join(", "), more - NAMED),
    };
    let one = |addresses: &[String], one: &'static str, more: &'static str| if addresses.len() == 1 { one } else { more };
    if !former.unproven.is_empty() {
        let tests: Vec<&str> = former
            .unproven
            .iter()
            .map(|direction| match direction {
                Direction::Incoming => "Test incoming",
                Direction::Outgoing => "Test outgoing",
            })
            .collect();
        return format!("It stays until {} passed with the new sign-in.", tests.join(" and "));
    }
    if !former.used_by.is_empty() {
        let uses = one(&former.used_by, "uses", "use");
        return format!("It stays, because {} still {uses} it.", some(&former.used_by));
    }
    let has = one(&former.waiting, "has", "have");
    format!(
        "It stays for now: {} had it too, and {has} not passed the tests without it.",
        some(&former.waiting)
    )
}

/// Which token is meant.
#[derive(Debug, Deserialize)]
pub struct TokenForm {
    token: String,
    /// The version of the mailbox the page showed.
    #[serde(default)]
    version: String,
}

impl TokenForm {
    fn name(&self) -> Result<Name, PageError> {
        Name::parse(&self.token).map_err(|_| PageError::Missing("There is no such token. It may have been deleted.".to_owned()))
    }
}

/// `POST /mailboxes/{name}/change-back`: the token it had before, with the server it had then.
pub async fn change_back(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<TokenForm>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    let version = form.version.parse().unwrap_or(-1);
    let changed = switching::change_back(&web.app, &user.actor(), &mailbox.name, version, &form.name()?).await;
    let token = match changed {
        Err(MailboxError::Stale(_)) => {
            return Err(PageError::Conflict(format!(
                "Somebody changed {} since this page was made, so nothing was changed back. Open the mailbox, look at what it is set to now, \
                 and choose again.",
                mailbox.address
            )));
        }
        changed => changed?,
    };
    let path = routes::mailbox(mailbox.name.as_str());
    let direction = match mailbox.incoming {
        Some(_) => Direction::Incoming,
        None => Direction::Outgoing,
    };
    let flash = Flash::ok(&format!("{} uses the token {} again.", mailbox.address, token.name));
    user.redirect_with(&path, flash.link(&format!("{path}/test/{direction}"), "Test now"))
        .await
}

/// `POST /mailboxes/{name}/keep-token`: ends the offer.
pub async fn keep(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(form): CsrfForm<TokenForm>,
) -> Result<Response, PageError> {
    let mailbox = find(&web.app, &name).await?;
    let token = switching::keep(&web.app, &user.actor(), &mailbox.name, &form.name()?).await?;
    let path = routes::mailbox(mailbox.name.as_str());
    user.redirect(&path, &format!("The token {} stays.", token.name)).await
}
