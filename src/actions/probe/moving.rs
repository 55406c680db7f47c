//! *Move to inbox* and *Move to folder…*: one message of a run's lists, and no other. That it is tried is written to the audit log before
//! anything is sent, and what became of it afterwards; neither says what the message is about.

use super::work::{Findings, Work};
use super::{Messages, Options, Order, side, stages_of, target};
use crate::app::App;
use crate::mail::folder;
use crate::mail::imap::Moved;
use crate::model::RunId;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::mailbox::{Mailbox, Server};
use crate::model::report::{Diagnosis, Direction, MessageSummary, Spot, Stage};
use crate::probe::{Done, Failure, Steps, Stopped, graph_moves, imap_moves};
use crate::store::StoreError;
use crate::store::moves::{Fate, MovedMessage};

/// What became of a message that was to be moved.
#[derive(Debug)]
pub enum MoveEnd {
    /// The servers had their say.
    Told(Moved),
    /// The mailbox is not read in a way that can move.
    CantMove,
    /// It was moved before, or somebody is at it.
    Taken,
    /// It didn't get that far; why.
    Failed(Box<Diagnosis>),
}

impl MoveEnd {
    /// What is remembered of it beside the run; none where nothing was changed.
    fn fate(&self) -> Option<Fate> {
        match self {
            Self::Told(Moved::Done) => Some(Fate::Done),
            Self::Told(Moved::Copied) => Some(Fate::Copied),
            Self::Told(Moved::Gone) => Some(Fate::Gone),
            Self::Told(Moved::Unknown) => Some(Fate::Unknown),
            Self::Told(Moved::Kept | Moved::Renumbered | Moved::NoFolder | Moved::CantMove)
            | Self::CantMove
            | Self::Taken
            | Self::Failed(_) => None,
        }
    }

    /// Outcome and reason for the audit log.
    fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::Told(Moved::Done) => ("ok", ""),
            Self::Told(Moved::Gone) => ("failed", ": it was not there any more"),
            Self::Told(Moved::Renumbered) => ("failed", ": its folder has new numbers"),
            Self::Told(Moved::NoFolder) => ("failed", ": there is no such folder"),
            Self::Told(Moved::Copied) => ("failed", ": it was copied, and not taken away"),
            Self::Told(Moved::Kept) => ("failed", ": it is still where it was"),
            Self::Told(Moved::Unknown) => ("unknown", ": no answer came, and looking again did not tell"),
            Self::Told(Moved::CantMove) | Self::CantMove => ("failed", ": the server can't move a single message"),
            Self::Taken => ("failed", ": it was moved before"),
            Self::Failed(_) => ("failed", ": the mailbox was not opened, or refused it"),
        }
    }
}

/// A message in the lists of a run.
#[derive(Debug, Clone)]
pub struct MessageOf {
    /// The run.
    pub run: RunId,
    /// Which list: `junk`, `oversized`.
    pub list: String,
    /// Its place there, from 0.
    pub place: i64,
    /// The message.
    pub message: MessageSummary,
}

/// The folder a message was found in, as people read it.
pub fn folder_of(message: &MessageSummary) -> String {
    match &message.spot {
        Some(Spot::Imap { folder, .. }) => folder::decode(folder),
        Some(Spot::Graph { folder, .. }) => folder.clone(),
        None => String::new(),
    }
}

/// The folders of a run: as the server names them, and as people read them.
pub fn folder_words(messages: &Messages, message: &MessageSummary) -> Vec<(String, String)> {
    let read = |name: &String| match message.spot {
        Some(Spot::Imap { .. }) => folder::decode(name),
        _ => name.clone(),
    };
    let own = folder_of(message);
    let all = messages.folders.iter().map(|name| (name.clone(), read(name)));
    all.filter(|(_, words)| *words != own).collect()
}

/// The folder a message goes to, in words; none: the inbox.
fn words_of(message: &MessageSummary, to: Option<&str>) -> String {
    match (&message.spot, to) {
        (_, None) => "the inbox".to_owned(),
        (Some(Spot::Imap { .. }), Some(name)) => folder::decode(name),
        (_, Some(name)) => name.to_owned(),
    }
}

/// Moves a message to a folder, as its server names it; none: to the inbox. What can't be written down before is not done.
pub async fn move_message(
    app: &App,
    actor: &Actor,
    mailbox: &Mailbox,
    listed: &MessageOf,
    to: Option<&str>,
) -> Result<MoveEnd, StoreError> {
    let message = &listed.message;
    let words = words_of(message, to);
    let entry = |why: &str, outcome| AuditEntry {
        action: "mailbox.move",
        target: format!("mailbox:{}", mailbox.name),
        detail: format!("a message from {} to {words}{why}", folder_of(message)),
        outcome,
    };
    let moved = MovedMessage {
        list: listed.list.clone(),
        place: listed.place,
        folder: words.clone(),
        fate: None,
        by: actor.name.clone(),
        at: app.clock.now(),
    };
    let mut tx = app.store.begin().await?;
    let before = tx.moved_message(&listed.run, &listed.list, listed.place).await?;
    if !tx.begin_move(&listed.run, &moved).await? {
        return Ok(MoveEnd::Taken);
    }
    tx.audit(moved.at, actor, entry("", "begun")).await?;
    tx.commit().await?;

    let end = attempt(app, mailbox, message, to).await;
    let (fate, (outcome, why)) = match &end {
        Ok(end) => (end.fate(), end.told()),
        // Before a mail server was spoken to.
        Err(_) => (None, ("failed", ": the console's own records could not be read")),
    };
    let noted = async {
        let mut tx = app.store.begin().await?;
        match fate {
            Some(fate) => tx.end_move(&listed.run, &moved, fate).await?,
            None => tx.take_back_move(&listed.run, &moved, before.as_ref()).await?,
        }
        tx.audit(app.clock.now(), actor, entry(why, outcome)).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        // That it was tried is written down; whoever asked is told the truth all the same.
        tracing::error!(mailbox.name = %mailbox.name, %error, "What became of a move in mailbox {} could not be written down: {error}", mailbox.name);
    }
    end
}

async fn attempt(app: &App, mailbox: &Mailbox, message: &MessageSummary, to: Option<&str>) -> Result<MoveEnd, StoreError> {
    let Some(incoming) = side(mailbox, Direction::Incoming) else {
        return Ok(MoveEnd::CantMove);
    };
    let fits = matches!(
        (&incoming.server, &message.spot),
        (Server::Imap(_), Some(Spot::Imap { .. })) | (Server::Graph, Some(Spot::Graph { .. }))
    );
    if !fits {
        return Ok(MoveEnd::CantMove);
    }
    let order = Order::own(mailbox, Direction::Incoming, Options::check());
    let mut planned = stages_of(app, &order, incoming, false).await?;
    planned.push(Stage::Move);
    let (work, mut steps, mut findings) = Work::begin(app, order, incoming, planned, None).await?;
    let moved = Box::pin(stages(&work, message, to, &mut steps, &mut findings)).await;
    let (report, _) = work.conclude(steps, &mut findings, false).await;
    Ok(match (moved, report.diagnosis) {
        (Ok(moved), _) => MoveEnd::Told(moved),
        (Err(Stopped), Some(found)) => MoveEnd::Failed(Box::new(found)),
        (Err(Stopped), None) => MoveEnd::CantMove,
    })
}

async fn stages(
    work: &Work,
    message: &MessageSummary,
    to: Option<&str>,
    steps: &mut Steps,
    findings: &mut Findings,
) -> Result<Moved, Stopped> {
    let mailbox = &work.order.mailbox;
    let Some(incoming) = side(mailbox, Direction::Incoming) else {
        return Err(Stopped);
    };
    let login = work.sign_in_with(steps, incoming, findings).await?;
    let connector = &work.app.connector;
    match &incoming.server {
        Server::Imap(endpoint) => {
            let target = target::imap(mailbox, endpoint, login, &work.order.options);
            imap_moves(connector, &target, message, to.unwrap_or("INBOX"), steps).await
        }
        Server::Graph => match target::graph(&work.app, mailbox, incoming, login).await {
            Ok(target) => graph_moves(connector, &target, message, to.unwrap_or("inbox"), steps).await,
            Err(failure) => steps.run(Stage::Claims, async { Err::<Done<Moved>, Failure>(failure) }).await,
        },
        Server::Pop3(_) | Server::Smtp(_) => Err(Stopped),
    }
}
