//! The POP3 side. Its commands are a word and at most two more, so that they are taken apart here.

use super::fault::Fault;
use super::mailboxes::{Folder, Message};
use super::sasl::{self, Denial, Mechanism};
use super::state::{House, Shared};
use super::wire::{Door, Service, Wire};
use std::io;

/// Longest line with an initial response (RFC 5034, 4).
const LONGEST_AUTH: usize = 255;

/// Serves one client.
pub(super) async fn serve(wire: Wire, door: Door, shared: Shared) -> io::Result<()> {
    let mut session = Session {
        wire,
        door,
        shared,
        maildrop: None,
    };
    let greeting = match door.house {
        House::Microsoft => format!(
            "+OK The Microsoft Exchange POP3 service is ready. [{}]\r\n",
            session.shared.opaque(24)
        ),
        House::Google => format!("+OK Gpop ready for requests from 127.0.0.1 {}\r\n", session.shared.opaque(9)),
        House::Open => "+OK Sandbox ready.\r\n".to_owned(),
    };
    session.wire.send(&greeting).await?;
    while let Some(line) = session.wire.line().await? {
        match session.answer(&line).await? {
            Next::More => {}
            Next::Encrypt => session.wire = session.wire.secure(&session.shared).await?,
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

struct Session {
    wire: Wire,
    door: Door,
    shared: Shared,
    maildrop: Option<Vec<Message>>,
}

impl Session {
    async fn say(&mut self, text: &str) -> io::Result<Next> {
        self.wire.send(&format!("{text}\r\n")).await?;
        Ok(Next::More)
    }

    fn has_stls(&self) -> bool {
        !self.wire.encrypted && !self.shared.faults().is_on(Fault::NoStarttls)
    }

    async fn answer(&mut self, line: &str) -> io::Result<Next> {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let command = words.next().unwrap_or_default().to_ascii_uppercase();
        let arguments: Vec<&str> = words.collect();
        match (command.as_str(), arguments.as_slice()) {
            ("CAPA", []) => self.capabilities().await,
            ("STLS", []) if self.has_stls() => {
                self.say("+OK Begin TLS negotiation.").await?;
                Ok(Next::Encrypt)
            }
            ("AUTH", [name, initial @ ..]) if self.maildrop.is_none() && initial.len() < 2 => {
                if !initial.is_empty() && line.len() > LONGEST_AUTH {
                    return self.say("-ERR Protocol error. 18").await;
                }
                let initial = initial.first().map(|text| (*text).to_owned());
                self.authenticate(name, initial).await
            }
            ("USER", [_]) if self.maildrop.is_none() => match self.wire.encrypted {
                true => self.say("+OK").await,
                false => self.say("-ERR Command is not valid in this state.").await,
            },
            ("PASS", _) if self.maildrop.is_none() => self.deny().await,
            ("QUIT", []) => {
                self.say("+OK Microsoft Exchange Server POP3 server signing off.").await?;
                Ok(Next::End)
            }
            ("NOOP", []) => self.say("+OK").await,
            _ => match self.maildrop.take() {
                Some(maildrop) => {
                    let next = self.inside(&maildrop, &command, &arguments).await;
                    self.maildrop = Some(maildrop);
                    next
                }
                None => self.say("-ERR Command is not valid in this state.").await,
            },
        }
    }

    async fn capabilities(&mut self) -> io::Result<Next> {
        let mechanisms = match self.door.house {
            House::Microsoft => "PLAIN XOAUTH2",
            House::Google => "PLAIN XOAUTH2 OAUTHBEARER",
            House::Open => "OAUTHBEARER XOAUTH2",
        };
        let mut text = "+OK\r\nTOP\r\nUIDL\r\n".to_owned();
        if self.wire.encrypted {
            text.push_str(&format!("SASL {mechanisms}\r\nUSER\r\n"));
        } else if self.has_stls() {
            text.push_str("STLS\r\n");
        }
        if self.door.house == House::Google {
            text.push_str("RESP-CODES\r\nEXPIRE 0\r\n");
        }
        self.say(&format!("{text}.")).await
    }

    async fn authenticate(&mut self, name: &str, initial: Option<String>) -> io::Result<Next> {
        let house = self.door.house;
        let Some(mechanism) = Mechanism::find(name, house).filter(|_| self.wire.encrypted) else {
            return self.say("-ERR Unsupported authentication mechanism.").await;
        };
        let message = match initial {
            Some(message) => message,
            None => {
                self.wire.send("+ \r\n").await?;
                match self.wire.line().await? {
                    Some(line) if line == "*" => return self.say("-ERR Authentication cancelled.").await,
                    Some(line) => line,
                    None => return Ok(Next::End),
                }
            }
        };
        match sasl::decide(&self.shared, house, Service::Pop3, mechanism, &message) {
            Ok(_) if self.shared.faults().hits(Fault::MailboxDisabled) => match house {
                House::Google => {
                    let text = "-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page and \
                                enable your account for POP access.";
                    self.say(text).await
                }
                _ => self.deny().await,
            },
            Ok(opened) => {
                self.maildrop = Some(self.shared.world().mail.list(&opened.mailbox, Folder::Inbox));
                let text = match house {
                    House::Microsoft => "+OK User successfully authenticated.",
                    House::Google => "+OK Welcome.",
                    House::Open => "+OK Logged in.",
                };
                self.say(text).await
            }
            Err(denial) => {
                let document = sasl::challenge(mechanism, house, denial, &self.shared);
                if let Some(document) = document.filter(|_| denial != Denial::Malformed) {
                    self.wire.send(&format!("+ {document}\r\n")).await?;
                    if self.wire.line().await?.is_none() {
                        return Ok(Next::End);
                    }
                }
                self.deny().await
            }
        }
    }

    async fn deny(&mut self) -> io::Result<Next> {
        let text = match self.door.house {
            House::Microsoft => "-ERR Authentication failure: unknown user name or bad password.",
            House::Google => "-ERR [AUTH] Username and password not accepted.",
            House::Open => "-ERR [AUTH] Authentication failed.",
        };
        self.say(text).await
    }

    async fn inside(&mut self, maildrop: &[Message], command: &str, arguments: &[&str]) -> io::Result<Next> {
        if command == "STAT" && self.shared.faults().hits(Fault::SessionEnds) {
            self.say("-ERR Session invalidated - AccessTokenExpired").await?;
            return Ok(Next::End);
        }
        if command == "STAT" && self.shared.faults().hits(Fault::Throttled) {
            return self
                .say("-ERR Request is throttled. Suggested Backoff Time: 299961 milliseconds")
                .await;
        }
        let numbered = |text: &str| {
            let number = text.parse::<usize>().ok().filter(|number| *number > 0)?;
            maildrop.get(number - 1).map(|message| (number, message))
        };
        match (command, arguments) {
            ("STAT", []) => {
                let size: usize = maildrop.iter().map(Message::size).sum();
                self.say(&format!("+OK {} {size}", maildrop.len())).await
            }
            ("LIST" | "UIDL", []) => {
                let mut text = format!("+OK {} messages\r\n", maildrop.len());
                for (at, message) in maildrop.iter().enumerate() {
                    text.push_str(&format!("{} {}\r\n", at + 1, entry(command, message)));
                }
                self.say(&format!("{text}.")).await
            }
            ("LIST" | "UIDL", [number]) => match numbered(number) {
                Some((number, message)) => self.say(&format!("+OK {number} {}", entry(command, message))).await,
                None => self.missing().await,
            },
            ("TOP", [number, lines]) => match (numbered(number), lines.parse::<usize>()) {
                (Some((_, message)), Ok(lines)) => {
                    let content = message.content();
                    let body = &content[message.header().len()..];
                    let wanted: Vec<&[u8]> = body.split_inclusive(|octet| *octet == b'\n').take(lines).collect();
                    let text = [message.header(), &wanted.concat()].concat();
                    self.hand_out(&text).await
                }
                _ => self.missing().await,
            },
            ("RETR", [number]) => match numbered(number) {
                Some((_, message)) => self.hand_out(&message.content()).await,
                None => self.missing().await,
            },
            ("RSET", []) => self.say("+OK").await,
            // Nothing is ever deleted here.
            ("DELE", [number]) if numbered(number).is_some() => self.say("+OK").await,
            ("DELE", _) => self.missing().await,
            _ => self.say("-ERR Command is not valid.").await,
        }
    }

    async fn missing(&mut self) -> io::Result<Next> {
        self.say("-ERR The specified message is out of range.").await
    }

    /// Sends a message, with dots doubled at the start of lines.
    async fn hand_out(&mut self, content: &[u8]) -> io::Result<Next> {
        let mut out = b"+OK\r\n".to_vec();
        for line in content.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b".") {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
        if !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        self.wire.send_octets(&out).await?;
        Ok(Next::More)
    }
}

fn entry(command: &str, message: &Message) -> String {
    match command {
        "UIDL" => format!("{:010}", message.uid),
        _ => message.size().to_string(),
    }
}
