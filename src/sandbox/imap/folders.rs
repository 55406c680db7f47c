//! What somebody who is signed in does: folders, and the messages in them.

use super::{Next, Selected, Session, fetch, search};
use crate::sandbox::fault::Fault;
use crate::sandbox::mailboxes::{Folder, Message};
use crate::sandbox::sasl::Opened;
use crate::sandbox::state::House;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::flag::{Flag, StoreType};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};
use imap_codec::imap_types::status::StatusDataItemName;
use std::io;

/// Stands for all folders' UIDVALIDITY: they live as long as the process.
const UID_VALIDITY: u32 = 1;

impl Session {
    /// A command of somebody who is signed in.
    pub(super) async fn inside(&mut self, tag: &str, opened: Opened, command: CommandBody<'static>) -> io::Result<Next> {
        match command {
            CommandBody::Select { mailbox } => self.open_folder(tag, &opened, &mailbox, false).await,
            CommandBody::Examine { mailbox } => self.open_folder(tag, &opened, &mailbox, true).await,
            CommandBody::Unselect | CommandBody::Close => {
                self.selected = None;
                self.tagged(tag, "OK CLOSE completed.").await
            }
            CommandBody::Status { mailbox, item_names } => self.status(tag, &opened, &mailbox, &item_names).await,
            CommandBody::List { mailbox_wildcard, .. } => self.list(tag, "LIST", &mailbox_wildcard).await,
            CommandBody::Lsub { mailbox_wildcard, .. } => self.list(tag, "LSUB", &mailbox_wildcard).await,
            CommandBody::Namespace => {
                self.wire.send("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n").await?;
                self.tagged(tag, "OK NAMESPACE completed.").await
            }
            CommandBody::Search { criteria, uid, .. } => {
                self.refresh().await?;
                let Some(selected) = &self.selected else {
                    return self.tagged(tag, "BAD Command received in Invalid state.").await;
                };
                let found = search::find(&selected.messages, criteria.as_ref(), uid);
                self.wire.send(&format!("* SEARCH{found}\r\n")).await?;
                self.tagged(tag, "OK SEARCH completed.").await
            }
            CommandBody::Fetch {
                sequence_set,
                macro_or_item_names,
                uid,
            } => {
                let Some(selected) = &self.selected else {
                    return self.tagged(tag, "BAD Command received in Invalid state.").await;
                };
                let items = fetch::items(&macro_or_item_names);
                let chosen = chosen(&selected.messages, &sequence_set, uid);
                let (mut out, mut marked) = (Vec::new(), Vec::new());
                for at in chosen {
                    let message = &selected.messages[at];
                    let reads = fetch::write(&mut out, at + 1, message, &items, uid);
                    if reads && !selected.read_only && !message.seen {
                        marked.push((selected.folder, message.uid));
                    }
                }
                self.wire.send_octets(&out).await?;
                for (folder, uid) in marked {
                    self.mark(&opened, folder, uid, true);
                }
                self.tagged(tag, "OK FETCH completed.").await
            }
            CommandBody::Store {
                sequence_set,
                kind,
                flags,
                uid,
                ..
            } => self.store(tag, &opened, &sequence_set, &kind, &flags, uid).await,
            CommandBody::Move {
                sequence_set,
                mailbox,
                uid,
            } if self.door.house != House::Open => self.carry(tag, &opened, &sequence_set, &mailbox, uid, true).await,
            CommandBody::Copy {
                sequence_set,
                mailbox,
                uid,
            } => self.carry(tag, &opened, &sequence_set, &mailbox, uid, false).await,
            CommandBody::ExpungeUid { sequence_set } => self.expunge(tag, &opened, Some(&sequence_set)).await,
            CommandBody::Expunge => self.expunge(tag, &opened, None).await,
            _ => self.tagged(tag, "BAD Command is not supported.").await,
        }
    }

    /// Puts messages into another folder; where they are moved they leave this one.
    async fn carry(&mut self, tag: &str, opened: &Opened, set: &SequenceSet, to: &Mailbox<'_>, uid: bool, moves: bool) -> io::Result<Next> {
        let Some(selected) = self.selected.as_ref().filter(|selected| !moves || !selected.read_only) else {
            return self.tagged(tag, "NO The folder is opened for reading only.").await;
        };
        let from = selected.folder;
        let Some(to) = self.folder(to) else {
            return self.tagged(tag, "NO [TRYCREATE] There is no such folder.").await;
        };
        let uids: Vec<u32> = chosen(&selected.messages, set, uid)
            .into_iter()
            .map(|at| selected.messages[at].uid)
            .collect();
        for uid in &uids {
            let mut world = self.shared.world();
            if moves {
                world.mail.shift(&opened.mailbox, from, *uid, to);
            } else {
                world.mail.copy(&opened.mailbox, from, *uid, to);
            }
        }
        if moves {
            self.vanish(&uids).await?;
        }
        self.tagged(tag, "OK Completed.").await
    }

    /// Takes away what is marked as deleted, of these numbers only where there are any.
    async fn expunge(&mut self, tag: &str, opened: &Opened, set: Option<&SequenceSet>) -> io::Result<Next> {
        let Some(selected) = self.selected.as_ref().filter(|selected| !selected.read_only) else {
            return self.tagged(tag, "NO The folder is opened for reading only.").await;
        };
        let folder = selected.folder;
        let of = |set: &SequenceSet| chosen(&selected.messages, set, true);
        let all = set.map_or_else(|| (0..selected.messages.len()).collect(), of);
        let uids: Vec<u32> = all
            .into_iter()
            .map(|at| selected.messages[at].uid)
            .filter(|uid| self.deleted.contains(&(folder, *uid)))
            .collect();
        for uid in &uids {
            self.shared.world().mail.remove(&opened.mailbox, folder, *uid);
        }
        self.vanish(&uids).await?;
        self.tagged(tag, "OK EXPUNGE completed.").await
    }

    async fn vanish(&mut self, uids: &[u32]) -> io::Result<()> {
        for uid in uids {
            let Some(selected) = &mut self.selected else { break };
            if let Some(at) = selected.messages.iter().position(|message| message.uid == *uid) {
                selected.messages.remove(at);
                self.wire.send(&format!("* {} EXPUNGE\r\n", at + 1)).await?;
            }
        }
        Ok(())
    }

    /// Says what has changed in the opened folder.
    pub(super) async fn refresh(&mut self) -> io::Result<()> {
        let (Some(opened), Some(selected)) = (&self.opened, &mut self.selected) else {
            return Ok(());
        };
        let messages = self.shared.world().mail.list(&opened.mailbox, selected.folder);
        let changed = messages.len() != selected.messages.len();
        selected.messages = messages;
        if changed {
            let count = selected.messages.len();
            self.wire.send(&format!("* {count} EXISTS\r\n")).await?;
        }
        Ok(())
    }

    /// What keeps a folder shut though the sign-in worked.
    fn shut(&self) -> Option<(&'static str, bool)> {
        let faults = self.shared.faults();
        if faults.hits(Fault::SessionEnds) {
            return Some(("* BYE Session invalidated - AccessTokenExpired", true));
        }
        if self.door.house == House::Google {
            return None;
        }
        if faults.hits(Fault::MailboxDisabled) {
            return Some(("BAD User is authenticated but not connected.", false));
        }
        faults
            .hits(Fault::Throttled)
            .then_some(("BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", false))
    }

    async fn open_folder(&mut self, tag: &str, opened: &Opened, mailbox: &Mailbox<'_>, read_only: bool) -> io::Result<Next> {
        match self.shut() {
            Some((text, true)) => {
                self.wire.send(&format!("{text}\r\n")).await?;
                return Ok(Next::End);
            }
            Some((text, false)) => return self.tagged(tag, text).await,
            None => {}
        }
        let Some(folder) = self.folder(mailbox) else {
            return self.missing(tag, mailbox).await;
        };
        let (messages, next_uid) = {
            let world = self.shared.world();
            (world.mail.list(&opened.mailbox, folder), world.mail.next_uid(&opened.mailbox))
        };
        let mut text = format!(
            "* {} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\r\n\
             * OK [PERMANENTFLAGS ({})] Permanent flags\r\n",
            messages.len(),
            if read_only { "" } else { "\\Seen" }
        );
        if let Some(first) = messages.iter().position(|message| !message.seen) {
            text.push_str(&format!("* OK [UNSEEN {}] Is the first unseen message\r\n", first + 1));
        }
        text.push_str(&format!(
            "* OK [UIDVALIDITY {UID_VALIDITY}] UIDVALIDITY value\r\n* OK [UIDNEXT {next_uid}] The next unique identifier value\r\n"
        ));
        self.wire.send(&text).await?;
        self.selected = Some(Selected {
            folder,
            messages,
            read_only,
        });
        let done = if read_only {
            "OK [READ-ONLY] EXAMINE completed."
        } else {
            "OK [READ-WRITE] SELECT completed."
        };
        self.tagged(tag, done).await
    }

    fn folder(&self, mailbox: &Mailbox<'_>) -> Option<Folder> {
        let name = name_of(mailbox);
        let house = self.door.house;
        Folder::ALL
            .into_iter()
            .find(|folder| folder.imap_name(house).eq_ignore_ascii_case(&name))
    }

    async fn missing(&mut self, tag: &str, mailbox: &Mailbox<'_>) -> io::Result<Next> {
        let text = match self.door.house {
            House::Microsoft => format!("NO {} doesn't exist.", name_of(mailbox)),
            _ => format!("NO [NONEXISTENT] Unknown Mailbox: {} (Failure)", name_of(mailbox)),
        };
        self.tagged(tag, &text).await
    }

    async fn status(&mut self, tag: &str, opened: &Opened, mailbox: &Mailbox<'_>, items: &[StatusDataItemName]) -> io::Result<Next> {
        let Some(folder) = self.folder(mailbox) else {
            return self.missing(tag, mailbox).await;
        };
        let (messages, next_uid) = {
            let world = self.shared.world();
            (world.mail.list(&opened.mailbox, folder), world.mail.next_uid(&opened.mailbox))
        };
        let values: Vec<String> = items
            .iter()
            .filter_map(|item| match item {
                StatusDataItemName::Messages => Some(format!("MESSAGES {}", messages.len())),
                StatusDataItemName::Recent => Some("RECENT 0".to_owned()),
                StatusDataItemName::UidNext => Some(format!("UIDNEXT {next_uid}")),
                StatusDataItemName::UidValidity => Some(format!("UIDVALIDITY {UID_VALIDITY}")),
                StatusDataItemName::Unseen => Some(format!("UNSEEN {}", messages.iter().filter(|m| !m.seen).count())),
                _ => None,
            })
            .collect();
        let name = folder.imap_name(self.door.house);
        self.wire.send(&format!("* STATUS \"{name}\" ({})\r\n", values.join(" "))).await?;
        self.tagged(tag, "OK STATUS completed.").await
    }

    async fn list(&mut self, tag: &str, word: &str, pattern: &ListMailbox<'_>) -> io::Result<Next> {
        let pattern = match pattern {
            ListMailbox::Token(token) => String::from_utf8_lossy(token.as_ref()).into_owned(),
            ListMailbox::String(text) => String::from_utf8_lossy(text.as_ref()).into_owned(),
        };
        let mut text = String::new();
        if pattern.is_empty() {
            text = format!("* {word} (\\Noselect) \"/\" \"\"\r\n");
        }
        let start = pattern.trim_end_matches(['*', '%']).to_ascii_uppercase();
        let any = start.len() != pattern.len();
        for folder in Folder::ALL {
            let name = folder.imap_name(self.door.house);
            let upper = name.to_ascii_uppercase();
            if !(if any { upper.starts_with(&start) } else { upper == start }) {
                continue;
            }
            // Exchange leaves the mark of the junk folder out.
            let mark = folder
                .special_use()
                .filter(|_| self.door.house != House::Microsoft || folder != Folder::Junk);
            text.push_str(&format!(
                "* {word} (\\HasNoChildren{}{}) \"/\" \"{name}\"\r\n",
                if mark.is_some() { " " } else { "" },
                mark.unwrap_or_default()
            ));
        }
        self.wire.send(&text).await?;
        self.tagged(tag, &format!("OK {word} completed.")).await
    }

    fn mark(&mut self, opened: &Opened, folder: Folder, uid: u32, seen: bool) {
        self.shared.world().mail.mark(&opened.mailbox, folder, uid, seen);
        let messages = self.selected.iter_mut().flat_map(|selected| selected.messages.iter_mut());
        messages
            .filter(|message| message.uid == uid)
            .for_each(|message| message.seen = seen);
    }

    async fn store(
        &mut self,
        tag: &str,
        opened: &Opened,
        set: &SequenceSet,
        kind: &StoreType,
        flags: &[Flag<'_>],
        uid: bool,
    ) -> io::Result<Next> {
        let Some(selected) = self.selected.as_ref().filter(|selected| !selected.read_only) else {
            return self.tagged(tag, "NO The folder is opened for reading only.").await;
        };
        let (names_seen, names_deleted) = (flags.contains(&Flag::Seen), flags.contains(&Flag::Deleted));
        let (folder, chosen) = (selected.folder, chosen(&selected.messages, set, uid));
        let chosen: Vec<(usize, u32, bool)> = chosen
            .into_iter()
            .map(|at| (at, selected.messages[at].uid, selected.messages[at].seen))
            .collect();
        for (at, uid, seen) in chosen {
            let seen = match kind {
                StoreType::Replace => names_seen,
                StoreType::Add => seen || names_seen,
                StoreType::Remove => seen && !names_seen,
            };
            if names_deleted && *kind != StoreType::Remove {
                self.deleted.insert((folder, uid));
            }
            self.mark(opened, folder, uid, seen);
            let flags = if seen { "\\Seen" } else { "" };
            self.wire
                .send(&format!("* {} FETCH (FLAGS ({flags}) UID {uid})\r\n", at + 1))
                .await?;
        }
        self.tagged(tag, "OK STORE completed.").await
    }
}

fn name_of(mailbox: &Mailbox<'_>) -> String {
    match mailbox {
        Mailbox::Inbox => "INBOX".to_owned(),
        Mailbox::Other(other) => String::from_utf8_lossy(other.as_ref()).into_owned(),
    }
}

/// Whether a number is in a set.
pub(super) fn contains(set: &SequenceSet, number: u32, largest: u32) -> bool {
    let value = |end: &SeqOrUid| match end {
        SeqOrUid::Value(value) => value.get(),
        SeqOrUid::Asterisk => largest,
    };
    set.0.as_ref().iter().any(|sequence| match sequence {
        Sequence::Single(one) => value(one) == number,
        Sequence::Range(a, b) => {
            let (a, b) = (value(a), value(b));
            (a.min(b)..=a.max(b)).contains(&number)
        }
    })
}

/// Which messages of the list a set means.
fn chosen(messages: &[Message], set: &SequenceSet, uid: bool) -> Vec<usize> {
    let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let largest = if uid {
        messages.last().map_or(0, |message| message.uid)
    } else {
        count
    };
    let numbers = messages.iter().zip(1u32..).enumerate();
    numbers
        .filter(|(_, (message, number))| contains(set, if uid { message.uid } else { *number }, largest))
        .map(|(at, _)| at)
        .collect()
}
