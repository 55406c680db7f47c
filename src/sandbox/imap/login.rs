//! AUTHENTICATE: who is let in, and how those who are not are told.

use super::{Next, Session};
use crate::sandbox::fault::Fault;
use crate::sandbox::sasl::{self, Denial, Mechanism};
use crate::sandbox::state::House;
use crate::sandbox::wire::Service;
use std::io;

impl Session {
    pub(super) async fn authenticate(&mut self, tag: &str, name: &str, initial: Option<String>) -> io::Result<Next> {
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
}
