//! The IMAP side, as Exchange Online, Gmail and a server of one's own play it. Commands are taken apart by imap-codec.

mod fetch;
mod search;

use super::fault::Fault;
use super::mailboxes::{Folder, Message};
use super::sasl::{self, Denial, Mechanism, Opened};
use super::state::{House, Shared};
use super::wire::{Door, Service, Wire};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::fragmentizer::{FragmentInfo, Fragmentizer, LiteralAnnouncement};
use imap_codec::imap_types::IntoStatic;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::LiteralMode;
use imap_codec::imap_types::flag::{Flag, StoreType};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};
use imap_codec::imap_types::status::StatusDataItemName;
use std::io;

/// Longest command.
const LONGEST: u32 = 64 * 1024;
/// Stands for all folders' UIDVALIDITY: they live as long as the process.
const UID_VALIDITY: u32 = 1;

/// Serves one client.
pub(super) async fn serve(wire: Wire, door: Door, shared: Shared) -> io::Result<()> {
    let mut session = Session {
        wire,
        door,
        shared,
        fragments: Fragmentizer::new(LONGEST),
        opened: None,
        selected: None,
    };
    session.greet().await?;
    while let Some(input) = session.read().await? {
        match session.answer(input).await? {
            Next::More => {}
            Next::Encrypt => {
                session.wire = session.wire.secure(&session.shared).await?;
                session.fragments = Fragmentizer::new(LONGEST);
            }
            Next::End => break,
        }
    }
    session.wire.close().await;
    Ok(())
}

enum Next {
    More,
    Encrypt,
    End,
}

enum Input {
    Command(Box<Command<'static>>),
    /// The tag, and what is wrong.
    Unreadable(String),
}

/// The opened folder, as the client knows it.
struct Selected {
    folder: Folder,
    messages: Vec<Message>,
    read_only: bool,
}

struct Session {
    wire: Wire,
    door: Door,
    shared: Shared,
    fragments: Fragmentizer,
    opened: Option<Opened>,
    selected: Option<Selected>,
}

impl Session {
    async fn greet(&mut self) -> io::Result<()> {
        let greeting = match self.door.house {
            House::Microsoft => format!(
                "* OK The Microsoft Exchange IMAP4 service is ready. [{}]\r\n",
                self.shared.opaque(24)
            ),
            House::Google => format!("* OK Gimap ready for requests from 127.0.0.1 {}\r\n", self.shared.opaque(9)),
            House::Open => format!("* OK [CAPABILITY {}] Sandbox ready.\r\n", self.capabilities()),
        };
        self.wire.send(&greeting).await
    }

    fn capabilities(&self) -> String {
        let starttls = if !self.wire.encrypted && !self.shared.faults().is_on(Fault::NoStarttls) {
            " STARTTLS"
        } else {
            ""
        };
        let inside = self.opened.is_some();
        match (self.door.house, self.wire.encrypted) {
            (House::Microsoft, false) => format!("IMAP4 IMAP4rev1 LOGINDISABLED{starttls} ID NAMESPACE LITERAL+"),
            (House::Microsoft, true) if inside => "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT \
                 CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN NAMESPACE LITERAL+"
                .to_owned(),
            (House::Microsoft, true) => {
                "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN NAMESPACE LITERAL+".to_owned()
            }
            (House::Google, _) if inside => {
                "IMAP4rev1 UNSELECT NAMESPACE ID CHILDREN X-GM-EXT-1 UIDPLUS MOVE LIST-EXTENDED LITERAL- SPECIAL-USE \
                 APPENDLIMIT=35651584"
                    .to_owned()
            }
            (House::Google, true) => "IMAP4rev1 UNSELECT NAMESPACE ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN \
                 AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER"
                .to_owned(),
            (House::Google, false) => format!("IMAP4rev1 UNSELECT{starttls} LOGINDISABLED ID"),
            (House::Open, true) => {
                "IMAP4rev1 SASL-IR LITERAL+ ID SPECIAL-USE UIDPLUS MOVE UNSELECT AUTH=OAUTHBEARER AUTH=XOAUTH2".to_owned()
            }
            (House::Open, false) => format!("IMAP4rev1 LITERAL+ ID{starttls} LOGINDISABLED"),
        }
    }

    /// The next command; none: the client has gone.
    async fn read(&mut self) -> io::Result<Option<Input>> {
        loop {
            let Some(fragment) = self.fragments.progress() else {
                let Some(some) = self.wire.some().await? else {
                    return Ok(None);
                };
                self.fragments.enqueue_bytes(&some);
                continue;
            };
            if let FragmentInfo::Line {
                announcement:
                    Some(LiteralAnnouncement {
                        mode: LiteralMode::Sync,
                        length,
                    }),
                ..
            } = fragment
            {
                if length <= LONGEST {
                    self.wire.send("+ Ready for additional command text.\r\n").await?;
                } else {
                    self.fragments.poison_message();
                }
                continue;
            }
            if self.fragments.is_message_complete() {
                return Ok(Some(self.decode()));
            }
        }
    }

    fn decode(&self) -> Input {
        let tag = self
            .fragments
            .decode_tag()
            .map_or_else(|| "*".to_owned(), |tag| tag.as_ref().to_owned());
        if let Ok(command) = self.fragments.decode_message(&CommandCodec::default()) {
            return Input::Command(Box::new(command.into_static()));
        }
        // LIST with RETURN options (RFC 5258) is not in the crate; without them it means the same here.
        let message = self.fragments.message_bytes();
        let upper = message.to_ascii_uppercase();
        if let Some(at) = upper.windows(9).position(|nine| nine == b" RETURN (") {
            let plain = [&message[..at], b"\r\n"].concat();
            if let Ok((_, command)) = CommandCodec::default().decode(&plain) {
                return Input::Command(Box::new(command.into_static()));
            }
        }
        Input::Unreadable(tag)
    }

    async fn tagged(&mut self, tag: &str, text: &str) -> io::Result<Next> {
        self.wire.send(&format!("{tag} {text}\r\n")).await?;
        Ok(Next::More)
    }

    async fn answer(&mut self, input: Input) -> io::Result<Next> {
        let command = match input {
            Input::Command(command) => *command,
            Input::Unreadable(tag) => return self.tagged(&tag, "BAD Command Argument Error. 12").await,
        };
        let tag = command.tag.as_ref().to_owned();
        match command.body {
            CommandBody::Capability => {
                let list = format!("* CAPABILITY {}\r\n", self.capabilities());
                self.wire.send(&list).await?;
                self.tagged(&tag, "OK CAPABILITY completed.").await
            }
            CommandBody::Noop | CommandBody::Check => {
                self.refresh().await?;
                self.tagged(&tag, "OK NOOP completed.").await
            }
            CommandBody::Id { .. } => {
                let name = match self.door.house {
                    House::Microsoft => "Microsoft.Exchange.Imap4.Imap4Server",
                    House::Google => "GImap",
                    House::Open => "Sandbox",
                };
                self.wire
                    .send(&format!("* ID (\"name\" \"{name}\" \"version\" \"15.20\")\r\n"))
                    .await?;
                self.tagged(&tag, "OK ID completed.").await
            }
            CommandBody::Logout => {
                self.wire
                    .send("* BYE Microsoft Exchange Server IMAP4 server signing off.\r\n")
                    .await?;
                self.tagged(&tag, "OK LOGOUT completed.").await?;
                Ok(Next::End)
            }
            CommandBody::StartTLS if !self.wire.encrypted && !self.shared.faults().is_on(Fault::NoStarttls) => {
                self.tagged(&tag, "OK Begin TLS negotiation now.").await?;
                Ok(Next::Encrypt)
            }
            CommandBody::Authenticate {
                mechanism,
                initial_response,
            } if self.opened.is_none() => {
                let initial = initial_response.map(|message| {
                    use base64::Engine;
                    base64::engine::general_purpose::STANDARD.encode(message.declassify())
                });
                self.authenticate(&tag, mechanism.as_ref(), initial).await
            }
            CommandBody::Login { .. } if self.opened.is_none() => {
                let text = match (self.wire.encrypted, self.door.house) {
                    (false, _) => "NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
                    (true, House::Microsoft) => "NO LOGIN failed.",
                    (true, House::Google) => {
                        "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)"
                    }
                    (true, House::Open) => "NO [AUTHENTICATIONFAILED] Authentication failed.",
                };
                self.tagged(&tag, text).await
            }
            other => match self.opened.clone() {
                Some(opened) => self.inside(&tag, opened, other).await,
                None => self.tagged(&tag, "BAD Command received in Invalid state.").await,
            },
        }
    }

    async fn authenticate(&mut self, tag: &str, name: &str, initial: Option<String>) -> io::Result<Next> {
        let house = self.door.house;
        let Some(mechanism) = Mechanism::find(name, house).filter(|_| self.wire.encrypted) else {
            return self.tagged(tag, "NO Unsupported authentication mechanism.").await;
        };
        if self.shared.faults().hits(Fault::ServerUnavailable) {
            return self.tagged(tag, "NO Server Unavailable. 15").await;
        }
        let message = match initial {
            Some(message) => message,
            None => {
                self.wire.send("+ \r\n").await?;
                match self.line().await? {
                    Some(line) if line == "*" => return self.tagged(tag, "BAD AUTHENTICATE cancelled.").await,
                    Some(line) => line,
                    None => return Ok(Next::End),
                }
            }
        };
        match sasl::decide(&self.shared, house, Service::Imap, mechanism, &message) {
            Ok(_) if house == House::Google && self.shared.faults().hits(Fault::MailboxDisabled) => {
                let text = "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your \
                            account for IMAP access. (Failure)";
                self.tagged(tag, text).await
            }
            Ok(_) if house == House::Google && self.shared.faults().hits(Fault::Throttled) => {
                self.tagged(tag, "NO [ALERT] Too many simultaneous connections. (Failure)").await
            }
            Ok(opened) => {
                let done = match house {
                    House::Microsoft => "OK AUTHENTICATE completed.".to_owned(),
                    House::Google => format!("OK {} authenticated (Success)", opened.mailbox),
                    House::Open => "OK Logged in".to_owned(),
                };
                self.opened = Some(opened);
                if house == House::Google {
                    let list = format!("* CAPABILITY {}\r\n", self.capabilities());
                    self.wire.send(&list).await?;
                }
                self.tagged(tag, &done).await
            }
            Err(denial) => self.deny(tag, mechanism, denial).await,
        }
    }

    async fn deny(&mut self, tag: &str, mechanism: Mechanism, denial: Denial) -> io::Result<Next> {
        let house = self.door.house;
        if let Some(document) = sasl::challenge(mechanism, house, denial, &self.shared) {
            self.wire.send(&format!("+ {document}\r\n")).await?;
            if self.line().await?.is_none() {
                return Ok(Next::End);
            }
        }
        let text = match (house, denial) {
            (House::Microsoft, Denial::Malformed) => "BAD Command Argument Error. 12",
            (House::Microsoft, _) => "NO AUTHENTICATE failed.",
            (House::Google, _) => "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
            (House::Open, _) => "NO [AUTHENTICATIONFAILED] Authentication failed.",
        };
        self.tagged(tag, text).await
    }

    /// A line of an AUTHENTICATE exchange; long tokens come over several reads. Octets go through the same buffer as commands.
    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            match self.fragments.progress() {
                Some(_) if self.fragments.is_message_complete() => {
                    let line = String::from_utf8_lossy(self.fragments.message_bytes());
                    return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
                }
                Some(_) => {}
                None => match self.wire.some().await? {
                    Some(some) => self.fragments.enqueue_bytes(&some),
                    None => return Ok(None),
                },
            }
        }
    }

    /// A command of somebody who is signed in.
    async fn inside(&mut self, tag: &str, opened: Opened, command: CommandBody<'static>) -> io::Result<Next> {
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
            _ => self.tagged(tag, "BAD Command is not supported.").await,
        }
    }

    /// Says what has changed in the opened folder.
    async fn refresh(&mut self) -> io::Result<()> {
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
        let names_seen = flags.contains(&Flag::Seen);
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
fn contains(set: &SequenceSet, number: u32, largest: u32) -> bool {
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
