//! The IMAP side, as Exchange Online, Gmail and a server of one's own play it. Commands are taken apart by imap-codec.

mod fetch;
mod folders;
mod login;
mod search;

use super::fault::Fault;
use super::mailboxes::{Folder, Message};
use super::sasl::Opened;
use super::state::{House, Shared};
use super::wire::{Door, Wire};
use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::fragmentizer::{FragmentInfo, Fragmentizer, LiteralAnnouncement};
use imap_codec::imap_types::IntoStatic;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::LiteralMode;
use std::collections::BTreeSet;
use std::io;

/// Longest command.
const LONGEST: u32 = 64 * 1024;

/// Serves one client.
pub(super) async fn serve(wire: Wire, door: Door, shared: Shared) -> io::Result<()> {
    let mut session = Session {
        wire,
        door,
        shared,
        fragments: Fragmentizer::new(LONGEST),
        opened: None,
        selected: None,
        deleted: BTreeSet::new(),
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
    /// Marked as deleted in this session.
    deleted: BTreeSet<(Folder, u32)>,
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
            (House::Open, true) => "IMAP4rev1 SASL-IR LITERAL+ ID SPECIAL-USE UIDPLUS UNSELECT AUTH=OAUTHBEARER AUTH=XOAUTH2".to_owned(),
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
}
