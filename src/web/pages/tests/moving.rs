//! *Move to inbox* of a message in junk and *Move to folder…* of an oversized one: a page that says what happens, and what became of it.

use super::{find, mailbox_of, note_peek};
use crate::actions::judgement;
use crate::actions::probe::{MessageOf, MoveEnd, folder_of, folder_words, move_message, open_messages};
use crate::app::App;
use crate::clock::Timestamp;
use crate::mail::imap::Moved;
use crate::model::RunId;
use crate::model::mailbox::Mailbox;
use crate::model::report::{Direction, MessageSummary};
use crate::model::user::Permission;
use crate::probe::size;
use crate::store::moves::{Fate, MovedMessage};
use crate::store::reports::Run;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::diagnosis::DiagnosisView;
use crate::web::routes;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

/// Where the message goes, as the server names it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MoveForm {
    folder: String,
}

#[derive(Template)]
#[template(path = "tests/move.html")]
struct MovePage {
    layout: Layout,
    errors: FieldErrors,
    form: MoveForm,
    action: String,
    back: String,
    address: String,
    message: MessageSummary,
    size: String,
    from: String,
    /// Where an oversized one may go; none: it goes to the inbox.
    folders: Option<Vec<(String, String)>>,
    /// What became of it, where it was not moved.
    told: String,
    /// Whether it was moved already: then nothing is offered.
    is_moved: bool,
    diagnosis: Option<DiagnosisView>,
}

/// What became of a message, for the list it is in.
pub(super) struct MovedRow {
    list: String,
    place: i64,
    pub kind: &'static str,
    pub words: String,
    pub at: Timestamp,
    /// What the button says where it can be tried again; else empty.
    pub again: &'static str,
}

impl MovedRow {
    fn of(moved: MovedMessage, now: Timestamp) -> Self {
        let under_way = moved.is_under_way(now);
        let folder = moved.folder;
        let (kind, words, again) = match moved.fate {
            Some(Fate::Done) => ("ok", format!("Moved to {folder}"), ""),
            Some(Fate::Copied) => ("warn", format!("Copied to {folder}, and still here"), "Try again"),
            Some(Fate::Gone) => ("skip", "Not there any more".to_owned(), "Look again"),
            None if under_way => ("run", format!("Being moved to {folder}"), ""),
            Some(Fate::Unknown) | None => ("warn", format!("May be in {folder}"), "Look again"),
        };
        Self {
            list: moved.list,
            place: moved.place,
            kind,
            words,
            at: moved.at,
            again,
        }
    }

    /// Whether it is about the message at this place of a list.
    pub fn is_of(&self, list: &str, place: usize) -> bool {
        self.list == list && usize::try_from(self.place).is_ok_and(|own| own == place)
    }
}

/// What was moved of a run's messages, for its lists.
pub(super) async fn moved_rows(app: &App, run: &RunId) -> Result<Vec<MovedRow>, PageError> {
    let now = app.clock.now();
    let all = app.store.moved_messages(run).await?;
    Ok(all.into_iter().map(|moved| MovedRow::of(moved, now)).collect())
}

/// The same in a few sentences without saying which, for the page of the run.
pub(super) async fn moved_words(app: &App, run: &RunId) -> Result<Vec<String>, PageError> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for moved in app.store.moved_messages(run).await? {
        let what = match moved.fate {
            Some(Fate::Done) => format!("moved to {}", moved.folder),
            Some(Fate::Copied) => format!("copied to {}, and not taken away", moved.folder),
            Some(Fate::Gone) => continue,
            Some(Fate::Unknown) | None => format!("may have been moved to {}", moved.folder),
        };
        match counts.iter_mut().find(|(words, _)| *words == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let sentence = |(what, count): (String, usize)| match (count, what.starts_with("may")) {
        (1, true) => format!("1 message {what}."),
        (1, false) => format!("1 message was {what}."),
        (count, true) => format!("{count} messages {what}."),
        (count, false) => format!("{count} messages were {what}."),
    };
    Ok(counts.into_iter().map(sentence).collect())
}

/// A message of a run, and its mailbox.
struct Asked {
    run: Run,
    mailbox: Mailbox,
    message: MessageSummary,
    /// What became of it before.
    moved: Option<MovedMessage>,
    folders: Option<Vec<(String, String)>>,
}

async fn asked(app: &App, id: &str, list: &str, number: &str) -> Result<Asked, PageError> {
    let missing = || PageError::Missing("This run has no such message.".to_owned());
    let run = find(app, id).await?;
    let messages = open_messages(app, &run).ok_or_else(missing)?;
    let all = match list {
        "junk" => &messages.junk,
        "oversized" => &messages.oversized,
        _ => return Err(PageError::NotFound),
    };
    let place: usize = number.parse().map_err(|_| PageError::NotFound)?;
    let message = all.get(place).cloned().ok_or_else(missing)?;
    let gone = || PageError::Missing("The mailbox of this run is gone.".to_owned());
    let moved = app.store.moved_messages(&run.id).await?.into_iter();
    let at = i64::try_from(place).unwrap_or(i64::MAX);
    Ok(Asked {
        moved: moved.into_iter().find(|moved| moved.list == list && moved.place == at),
        mailbox: mailbox_of(app, &run).await?.ok_or_else(gone)?,
        folders: (list == "oversized").then(|| folder_words(&messages, &message)),
        run,
        message,
    })
}

/// The page of a message. Whose sender and subject it shows is written down first.
async fn page(
    app: &App,
    user: &CurrentUser,
    asked: Asked,
    form: MoveForm,
    (list, number): (&str, &str),
    errors: FieldErrors,
) -> Result<MovePage, PageError> {
    let now = app.clock.now();
    let run = routes::run(asked.run.id.as_str());
    let title = if asked.folders.is_some() {
        "Move to folder"
    } else {
        "Move to inbox"
    };
    let layout = user.layout(Section::Tests, title).await;
    let layout = layout.crumb("Tests", "/tests").crumb(&asked.run.address, &run);
    let mut message = asked.message;
    let from = folder_of(&message);
    if user.may(Permission::MailboxPeek) {
        note_peek(app, user, &asked.run).await?;
    } else {
        (message.from, message.subject) = (String::new(), String::new());
    }
    let is_moved = asked.moved.as_ref().is_some_and(|moved| moved.fate == Some(Fate::Done));
    Ok(MovePage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        form,
        action: format!("{run}/move/{list}/{number}"),
        back: if user.may(Permission::MailboxPeek) {
            format!("{run}/messages")
        } else {
            run
        },
        address: asked.run.address,
        size: size(message.size),
        message,
        from,
        folders: asked.folders.map(with_none),
        told: asked.moved.map(|moved| before(&moved, now)).unwrap_or_default(),
        is_moved,
        diagnosis: None,
    })
}

/// What became of it when somebody moved it before.
fn before(moved: &MovedMessage, now: Timestamp) -> String {
    let (by, folder) = (&moved.by, &moved.folder);
    match moved.fate {
        Some(Fate::Done) => format!("It isn\u{2019}t there any more: {by} moved it to {folder}."),
        Some(Fate::Copied) => {
            format!("{by} tried to move it to {folder}. It was copied there, and stayed here too: moving it again makes one more copy.")
        }
        Some(Fate::Gone) => format!("{by} tried to move it to {folder}, and it wasn\u{2019}t there any more."),
        None if moved.is_under_way(now) => format!("{by} is moving it to {folder} just now. Open this page again in a moment."),
        Some(Fate::Unknown) | None => format!(
            "{by} tried to move it to {folder}, and no answer came. It may be there: look in {folder} first. Moving it again does nothing if it is."
        ),
    }
}

/// `GET /tests/{run}/move/{list}/{number}`.
pub async fn ask(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, list, number)): Path<(String, String, String)>,
) -> Result<Response, PageError> {
    let asked = asked(&web.app, &id, &list, &number).await?;
    page(
        &web.app,
        &user,
        asked,
        MoveForm::default(),
        (&list, &number),
        FieldErrors::default(),
    )
    .await?
    .show()
}

/// The choices, begun with none: nobody means the first folder of a server's list.
fn with_none(mut folders: Vec<(String, String)>) -> Vec<(String, String)> {
    if !folders.is_empty() {
        folders.insert(0, (String::new(), "Choose a folder".to_owned()));
    }
    folders
}

/// `POST` of the same.
pub async fn act(
    State(web): State<WebState>,
    user: CurrentUser,
    Path((id, list, number)): Path<(String, String, String)>,
    CsrfForm(form): CsrfForm<MoveForm>,
) -> Result<Response, PageError> {
    let app = &web.app;
    let asked = asked(app, &id, &list, &number).await?;
    let known = |folders: &Vec<(String, String)>| folders.iter().any(|(name, _)| *name == form.folder);
    if asked.folders.as_ref().is_some_and(|folders| !known(folders)) {
        let mut errors = FieldErrors::default();
        errors.add("folder", "Choose a folder");
        return page(app, &user, asked, form, (&list, &number), errors).await?.refused();
    }
    let to = asked.folders.is_some().then(|| form.folder.clone());
    let chosen = asked.folders.iter().flatten().find(|(name, _)| *name == form.folder);
    let words = chosen.map_or_else(|| "the inbox".to_owned(), |(_, words)| words.clone());
    let listed = MessageOf {
        run: asked.run.id,
        list: list.clone(),
        place: number.parse().map_err(|_| PageError::NotFound)?,
        message: asked.message,
    };
    let (task, actor, mailbox) = (app.clone(), user.actor(), asked.mailbox);
    // Whoever goes away in the middle doesn't end it between two commands.
    let moving = app
        .tasks
        .spawn(async move { move_message(&task, &actor, &mailbox, &listed, to.as_deref()).await });
    let end = moving.await.map_err(PageError::internal)??;
    if matches!(end, MoveEnd::Told(Moved::Done)) {
        let run = routes::run(&id);
        let rest = if user.may(Permission::MailboxPeek) {
            format!("{run}/messages")
        } else {
            run
        };
        return user.redirect(&rest, &format!("The message was moved to {words}.")).await;
    }
    // As it stands now: somebody else may have been quicker.
    let asked = self::asked(app, &id, &list, &number).await?;
    let mailbox = asked.mailbox.clone();
    let from = folder_of(&asked.message);
    let mut page = page(app, &user, asked, form, (&list, &number), FieldErrors::default()).await?;
    match &end {
        MoveEnd::Told(moved) => page.told = told(*moved, &from, &words),
        MoveEnd::CantMove => {
            "The mailbox isn\u{2019}t read in the way the test found this message any more. Nothing was changed. Test again first."
                .clone_into(&mut page.told);
        }
        MoveEnd::Taken => {}
        MoveEnd::Failed(found) => {
            page.told = String::new();
            let scene = judgement::scene_of_mailbox(app, &mailbox, Direction::Incoming).await?;
            page.diagnosis = Some(DiagnosisView::new(&user, "verdict", found, &scene).await);
        }
    }
    page.show()
}

/// What became of it, and what to do.
fn told(moved: Moved, from: &str, to: &str) -> String {
    match moved {
        Moved::Done => format!("The message was moved to {to}."),
        Moved::Gone => "It isn\u{2019}t where the test found it any more: somebody moved or deleted it since. Nothing was changed. Test again to see what is there now.".to_owned(),
        Moved::Renumbered => "The server has numbered this folder anew since the test, so the message can\u{2019}t be told from others. Nothing was changed. Test again first.".to_owned(),
        Moved::NoFolder => "The mailbox has no such folder any more, or the message is in it already. Nothing was changed.".to_owned(),
        Moved::Copied => format!("The message was copied to {to}, and could not be taken out of {from}. It is in both now. Delete one of them in a mail program."),
        Moved::Kept => format!("The server was asked to move it, and it is still in {from}. Nothing was changed. Try again in a moment."),
        Moved::Unknown => format!("No answer came when the server was asked to move it, and looking again didn\u{2019}t tell. It may have been moved: look in {to}, then in {from}."),
        Moved::CantMove => "This server can\u{2019}t take a single message out of a folder (it offers neither MOVE nor UIDPLUS), and taking out more than one is not what was asked. Nothing was changed. Move it in a mail program.".to_owned(),
    }
}
