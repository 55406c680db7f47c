//! Acts on many mailboxes of the list: those that were ticked, or all that match its filter (`ux.md` 8.9). What changed something can be
//! undone with the button beside its result; what takes long has a page that says how far it is.

use crate::actions::mailboxes::bulk::{self, Act};
use crate::model::MailboxId;
use crate::model::user::Permission;
use crate::store::batches::Chosen;
use crate::store::bulk::BulkAct;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::pages::batches::new::of_ticked;
use crate::web::pages::mailboxes::list::{ListQuery, Picks, again, counted, grouped};
use crate::web::pages::records::address;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::time::Duration;

/// How long does a form wait for the end of its act?
const WAIT: Duration = Duration::from_secs(8);
/// The field of the undo form.
const CHANGED: &str = "changed";

/// What was ticked and pressed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BulkForm {
    id: Vec<String>,
    /// `1`: all that match, whatever is ticked.
    all: String,
    /// The filter of the list, in the words of its search.
    q: String,
    /// The list.
    back: String,
    tag: String,
    act: String,
}

impl BulkForm {
    /// The address of its list, and what was chosen in it.
    fn picks(self, errors: FieldErrors) -> (String, Picks) {
        let picks = Picks {
            ids: self.id,
            all: self.all == "1",
            tag: self.tag,
            errors,
        };
        (self.back, picks)
    }
}

#[derive(Template)]
#[template(path = "mailboxes/bulk.html")]
struct BulkPage {
    layout: Layout,
    act: BulkAct,
    words: String,
    /// How many mailboxes it has not looked at yet.
    left: i64,
}

/// `POST /bulk`.
pub async fn act(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<BulkForm>) -> Result<Response, PageError> {
    let back = routes::own_path(&form.back)
        .filter(|path| path.starts_with("/mailboxes"))
        .unwrap_or("/mailboxes");
    let all = form.all == "1";
    if !all && form.id.is_empty() {
        return refused(&web, &user, form, "bulk-all", "Tick mailboxes first, or tick Select all").await;
    }
    if form.act == "test" {
        if all {
            let new = address("/tests/new", &[("which", "filter"), ("q", &form.q)], &[]);
            return Ok(Redirect::to(&new).into_response());
        }
        return of_ticked(&web, &user, &form.id).await;
    }
    let Some(act) = Act::parse(&form.act) else {
        return Err(PageError::Bad("Choose what to do with the mailboxes. Nothing was changed.".into()));
    };
    user.require(Permission::MailboxEdit).await?;
    let about_tag = matches!(act, Act::AddTag | Act::RemoveTag);
    let tag = match bulk::tag(&form.tag) {
        Some(tag) if about_tag => tag,
        None if about_tag && form.tag.trim().is_empty() => return refused(&web, &user, form, "bulk-tag", "Enter a tag").await,
        None if about_tag => {
            let text = "A tag can have up to 50 letters, digits, - and _";
            return refused(&web, &user, form, "bulk-tag", text).await;
        }
        _ => String::new(),
    };
    let chosen = match all {
        true => Chosen {
            filter: ListQuery::search(&form.q).filter(),
            ids: Vec::new(),
        },
        false => Chosen {
            ids: form.id.iter().cloned().map(MailboxId).collect(),
            ..Chosen::default()
        },
    };
    let id = bulk::begin(&web.app, &user.actor(), &user.user().id, act, &tag, &chosen).await?;
    work(&web, &id).await;
    let row = find(&web, &user, &id).await?;
    let path = address_of(&id);
    let flash = match (row.finished_at, row.changed) {
        (Some(_), 0) if row.mailboxes == 0 => Flash::info("No mailbox matches that any more. Nothing was changed."),
        (Some(_), 0) if row.unread == 0 => Flash::info("They were like that already. Nothing was changed."),
        (Some(_), 0) => Flash::bad(&format!("Nothing was changed.{}", unread(&row))),
        (Some(_), changed) => {
            let text = format!("{}.{}", words(&row), unread(&row));
            let flash = if row.unread == 0 { Flash::ok(&text) } else { Flash::warn(&text) };
            flash.button(&format!("{path}/undo"), "Undo", (CHANGED, &changed.to_string()))
        }
        (None, _) => Flash::info("It goes on in the background.").link(&path, "How far it is"),
    };
    user.redirect_with(back, flash).await
}

/// `GET /bulk`: where a browser comes back to after the end of a session whose last page was the answer to this form.
pub async fn to_list() -> Redirect {
    Redirect::to("/mailboxes")
}

/// What this person had ticked and typed when their session ended, and the address of the list it was ticked in: *Select all* means
/// those of that list.
pub async fn kept(user: &CurrentUser) -> Option<(String, Picks)> {
    let form: BulkForm = refill(&user.take_draft("/bulk").await?).await?;
    Some(form.picks(FieldErrors::default()))
}

/// The list once more, with what was ticked and typed, and what is wrong with it.
async fn refused(web: &WebState, user: &CurrentUser, form: BulkForm, field: &str, problem: &str) -> Result<Response, PageError> {
    let mut errors = FieldErrors::default();
    errors.add(field, problem);
    let (list, picks) = form.picks(errors);
    again(web, user, &list, picks).await?.refused()
}

/// Works on an act, and waits a while for its end. What fails here is gone on with by the worker.
async fn work(web: &WebState, id: &str) {
    let (app, name) = (web.app.clone(), id.to_owned());
    let going_on = web.app.tasks.spawn(async move {
        if let Err(error) = bulk::go_on(&app, &name).await {
            tracing::warn!(act.id = %name, %error, "Work on many mailboxes can't go on yet: {error}");
        }
    });
    let _ = tokio::time::timeout(WAIT, going_on).await;
    web.lists.forget();
}

fn address_of(id: &str) -> String {
    format!("/bulk/{id}")
}

/// What could not be read, as a sentence.
fn unread(act: &BulkAct) -> String {
    match act.unread {
        0 => String::new(),
        1 => " 1 mailbox can't be read and was left out; the system log says why.".to_owned(),
        number => format!(
            " {} mailboxes can't be read and were left out; the system log says why.",
            grouped(number)
        ),
    }
}

/// What an act did so far: `12 mailboxes turned on`.
fn words(act: &BulkAct) -> String {
    let mailboxes = counted(act.changed, "mailbox", "mailboxes");
    match Act::parse(&act.act) {
        Some(Act::TurnOn) => format!("{mailboxes} turned on"),
        Some(Act::Pause) => format!("{mailboxes} paused"),
        Some(Act::AddTag) => format!("Tag {} added to {mailboxes}", act.tag),
        Some(Act::RemoveTag) => format!("Tag {} removed from {mailboxes}", act.tag),
        None => mailboxes,
    }
}

/// An act, for whoever did it.
async fn find(web: &WebState, user: &CurrentUser, id: &str) -> Result<BulkAct, PageError> {
    let found = web.app.store.bulk_act(id).await?.filter(|act| act.user_id == user.user().id);
    found.ok_or_else(|| PageError::Missing("This is too long ago, or somebody else did it.".to_owned()))
}

/// `GET /bulk/{id}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(id): Path<String>) -> Result<Response, PageError> {
    let act = find(&web, &user, &id).await?;
    let words = words(&act);
    let left = match act.finished_at {
        Some(_) => 0,
        None => web.app.store.count_bulk_left(&id).await?,
    };
    let layout = user.layout(Section::Mailboxes, &words).await.crumb("Mailboxes", "/mailboxes");
    BulkPage { layout, act, words, left }.show()
}

impl BulkPage {
    fn undone(&self) -> String {
        undone(&self.act)
    }

    fn unread(&self) -> String {
        unread(&self.act)
    }

    fn looked_at(&self) -> String {
        format!("{} of {}", grouped(self.act.mailboxes - self.left), grouped(self.act.mailboxes))
    }
}

/// How many mailboxes the undoer saw changed: of another number they have not decided.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UndoForm {
    changed: String,
}

/// `POST /bulk/{id}/undo`.
pub async fn undo(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<UndoForm>,
) -> Result<Response, PageError> {
    let act = find(&web, &user, &id).await?;
    let path = address_of(&id);
    if act.undo_actor.is_some() {
        let told = if act.undone_at.is_some() {
            "It was undone already."
        } else {
            "It is being undone already."
        };
        return user.redirect_with("/mailboxes", Flash::info(told)).await;
    }
    let changed = form.changed.parse().unwrap_or(-1);
    if !bulk::begin_undo(&web.app, &user.actor(), &id, changed).await? {
        let flash = Flash::info("It has changed more mailboxes meanwhile. Nothing was undone. Look once more.");
        return user.redirect_with(&path, flash).await;
    }
    work(&web, &id).await;
    let act = find(&web, &user, &id).await?;
    let flash = match act.undone_at {
        Some(_) => Flash::ok(&format!("Undone: {}.{}", undone(&act), unread(&act))),
        None => Flash::info("It is being undone in the background.").link(&path, "How far it is"),
    };
    user.redirect_with("/mailboxes", flash).await
}

/// What undoing it came to: `3 mailboxes are as they were, 1 was changed since and stays as it is`.
fn undone(act: &BulkAct) -> String {
    let kept = match act.kept {
        0 => String::new(),
        1 => ", 1 was changed since and stays as it is".to_owned(),
        number => format!(", {} were changed since and stay as they are", grouped(number)),
    };
    match act.undone {
        1 => format!("1 mailbox is as it was{kept}"),
        number => format!("{} mailboxes are as they were{kept}", grouped(number)),
    }
}
