//! A message put into another folder, and no other: found by its number and by what it says of itself, moved with MOVE (RFC 6851), or copied
//! and taken away by its number (RFC 4315). A server that can do neither is asked for nothing: a plain EXPUNGE would take others along.

use super::super::error::MailError;
use super::{Imap, offers, quoted};
use crate::model::report::{MessageSummary, Spot};

/// What became of a message that was to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is in the other folder.
    Done,
    /// It isn't where it was found any more, and nothing was asked for.
    Gone,
    /// Its folder has new numbers, so that it can't be told from others.
    Renumbered,
    /// There is no folder of the name it was to go to.
    NoFolder,
    /// The server can't take a single message away.
    CantMove,
    /// It was copied, and is still in the old folder too.
    Copied,
    /// It was asked for, and the message is still in the old folder alone.
    Kept,
    /// It was asked for and no answer came: it may be in either folder.
    Unknown,
}

impl Imap {
    /// Moves a message to another folder of the mailbox.
    pub async fn move_message(&mut self, message: &MessageSummary, to: &str) -> Result<Moved, MailError> {
        let Some(Spot::Imap { folder, validity, uid, .. }) = &message.spot else {
            return Ok(Moved::Gone);
        };
        let (uid, validity) = (*uid, *validity);
        let moves = offers(&self.capabilities, "MOVE");
        if !moves && !offers(&self.capabilities, "UIDPLUS") {
            return Ok(Moved::CantMove);
        }
        let is_it = |name: &String| name == to || (to.eq_ignore_ascii_case("INBOX") && name.eq_ignore_ascii_case(to));
        if !self.folders().await?.0.iter().any(is_it) || to == folder {
            return Ok(Moved::NoFolder);
        }
        let to = quoted("folder", to)?;
        match self.open("SELECT", folder).await {
            Err(MailError::FolderMissing { .. }) => return Ok(Moved::Gone),
            other => drop(other?),
        }
        if self.opened().is_none_or(|(_, now)| *now != validity) {
            return Ok(Moved::Renumbered);
        }
        if !self.is_there(uid, message).await? {
            return Ok(Moved::Gone);
        }
        if moves {
            self.change(&format!("UID MOVE {uid} {to}")).await?;
            // The server has said that it is done; that looking fails then changes nothing about it.
            return Ok(match self.is_there(uid, message).await {
                Ok(true) => Moved::Kept,
                Ok(false) | Err(_) => Moved::Done,
            });
        }
        self.change(&format!("UID COPY {uid} {to}")).await?;
        let taken = async {
            self.change(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)")).await?;
            match self.change(&format!("UID EXPUNGE {uid}")).await {
                Err(MailError::Refused { reply, document }) => {
                    // Else it would go when somebody cleans up the folder.
                    self.change(&format!("UID STORE {uid} -FLAGS.SILENT (\\Deleted)")).await?;
                    Err(MailError::Refused { reply, document })
                }
                other => other,
            }
        };
        match taken.await {
            Ok(()) => Ok(match self.is_there(uid, message).await {
                Ok(true) => Moved::Copied,
                Ok(false) | Err(_) => Moved::Done,
            }),
            Err(MailError::Refused { .. }) => Ok(Moved::Copied),
            Err(error) => Err(error),
        }
    }

    /// Whether something was asked for that changes the mailbox, and was not refused.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// Where a message is whose move had no answer, as a connection finds it that was opened since.
    pub async fn look_again(&mut self, message: &MessageSummary, to: &str) -> Result<Moved, MailError> {
        let Some(Spot::Imap {
            folder,
            validity,
            uid,
            message_id,
        }) = &message.spot
        else {
            return Ok(Moved::Unknown);
        };
        match self.open("EXAMINE", folder).await {
            Err(MailError::FolderMissing { .. }) => return Ok(Moved::Unknown),
            other => drop(other?),
        }
        if self.opened().is_none_or(|(_, now)| now != validity) {
            return Ok(Moved::Unknown);
        }
        let is_here = self.is_there(*uid, message).await?;
        let arrived = if message_id.is_empty() {
            false
        } else {
            self.open("EXAMINE", to).await?;
            self.with_message_id(message_id).await?.is_some()
        };
        Ok(match (is_here, arrived) {
            (true, true) => Moved::Copied,
            (true, false) => Moved::Kept,
            (false, true) => Moved::Done,
            (false, false) => Moved::Unknown,
        })
    }

    /// Sends a command that changes the mailbox. Unless it is refused, whoever hears of a failure after it has to look what became of it.
    async fn change(&mut self, command: &str) -> Result<(), MailError> {
        let before = std::mem::replace(&mut self.asked, true);
        let answer = self.command(command, |_| {}).await;
        if matches!(answer, Err(MailError::Refused { .. })) {
            self.asked = before;
        }
        answer
    }

    /// Whether the number still names this message.
    async fn is_there(&mut self, uid: u32, message: &MessageSummary) -> Result<bool, MailError> {
        let found = self.by_uid(&[uid]).await?;
        let same = |one: &MessageSummary| one.spot == message.spot && one.date == message.date && one.size == message.size;
        Ok(found.iter().any(same))
    }
}
