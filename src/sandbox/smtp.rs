//! The SMTP side: takes messages from those who may send, and puts them into the mailboxes here. Nothing leaves the sandbox: mail
//! for other domains is accepted and forgotten. Commands are taken apart by smtp-proto.

use super::fault::Fault;
use super::mailboxes::Folder;
use super::sasl::{self, Denial, Mechanism, Opened};
use super::seed::rfc2822;
use super::state::{House, Shared, World};
use super::wire::{Door, Service, Wire};
use crate::clock::Timestamp;
use smtp_proto::{AUTH_LOGIN, AUTH_OAUTHBEARER, AUTH_PLAIN, AUTH_XOAUTH2, Error as ProtocolError, Request};
use std::io;

/// Longest command with an initial response that a strict server takes (RFC 4954, 4).
const LONGEST_AUTH: usize = 512;
/// Name of the server in Exchange's replies.
const EXCHANGE: &str = "FR4P281CA0011.DEUP281.PROD.OUTLOOK.COM";

/// Serves one client.
pub(super) async fn serve(wire: Wire, door: Door, shared: Shared) -> io::Result<()> {
    let mut session = Session {
        wire,
        door,
        shared,
        greeted: false,
        opened: None,
        from: None,
        to: Vec::new(),
    };
    let now = rfc2822(session.shared.now());
    let greeting = match door.house {
        House::Microsoft => format!("220 {EXCHANGE} Microsoft ESMTP MAIL Service ready at {now}\r\n"),
        House::Google => "220 smtp.gmail.com ESMTP sandbox - gsmtp\r\n".to_owned(),
        House::Open => "220 mail.tailspin.test ESMTP Sandbox\r\n".to_owned(),
    };
    session.wire.send(&greeting).await?;
    while let Some(line) = session.wire.line().await? {
        match session.answer(&line).await? {
            Next::More => {}
            Next::Encrypt => {
                session.wire = session.wire.secure(&session.shared).await?;
                (session.greeted, session.from) = (false, None);
                session.to.clear();
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

struct Session {
    wire: Wire,
    door: Door,
    shared: Shared,
    greeted: bool,
    opened: Option<Opened>,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    async fn say(&mut self, text: &str) -> io::Result<Next> {
        self.wire.send(&format!("{text}\r\n")).await?;
        Ok(Next::More)
    }

    fn has_starttls(&self) -> bool {
        !self.wire.encrypted && !self.shared.faults().is_on(Fault::NoStarttls)
    }

    /// What Exchange puts behind its refusals.
    fn stamp(&self) -> String {
        format!(
            "[{EXCHANGE} {} 08DE1A2B3C4D5E6F]",
            self.shared.now().to_rfc3339().replace('Z', ".114Z")
        )
    }

    async fn answer(&mut self, line: &str) -> io::Result<Next> {
        let octets = format!("{line}\r\n");
        let request = match Request::parse(&mut octets.as_bytes().iter()) {
            Ok(request) => request.into_owned(),
            Err(ProtocolError::UnknownCommand) => return self.say("500 5.3.3 Unrecognized command").await,
            Err(_) => return self.say("501 5.5.4 Invalid arguments").await,
        };
        match request {
            Request::Ehlo { .. } => self.hello().await,
            Request::Helo { .. } => {
                self.greeted = true;
                self.say("250 sandbox Hello").await
            }
            Request::StartTls if self.has_starttls() => {
                self.say("220 2.0.0 SMTP server ready").await?;
                Ok(Next::Encrypt)
            }
            Request::Auth {
                mechanism,
                initial_response,
            } => {
                if self.door.house == House::Open && !initial_response.is_empty() && octets.len() > LONGEST_AUTH {
                    return self.say("500 5.5.6 Authentication exchange line is too long").await;
                }
                self.auth(mechanism, initial_response).await
            }
            Request::Mail { from } => self.mail(from.address, from.size).await,
            Request::Rcpt { to } => self.rcpt(to.address).await,
            Request::Data => self.data().await,
            Request::Rset => {
                self.from = None;
                self.to.clear();
                self.say("250 2.0.0 Resetting").await
            }
            Request::Noop { .. } => self.say("250 2.0.0 OK").await,
            Request::Quit => {
                self.say("221 2.0.0 Service closing transmission channel").await?;
                Ok(Next::End)
            }
            _ => self.say("502 5.3.3 Command not implemented").await,
        }
    }

    async fn hello(&mut self) -> io::Result<Next> {
        self.greeted = true;
        let mut lines = match self.door.house {
            House::Microsoft => vec![
                format!("{EXCHANGE} Hello [127.0.0.1]"),
                "SIZE 157286400".to_owned(),
                "DSN".to_owned(),
            ],
            House::Google => vec!["smtp.gmail.com at your service, [127.0.0.1]".to_owned(), "SIZE 35882577".to_owned()],
            House::Open => vec!["mail.tailspin.test".to_owned(), "SIZE 52428800".to_owned()],
        };
        lines.extend(["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"].map(str::to_owned));
        if self.has_starttls() {
            lines.push("STARTTLS".to_owned());
        }
        if self.wire.encrypted {
            let auth = match self.door.house {
                House::Microsoft => "AUTH LOGIN XOAUTH2",
                House::Google => "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
                House::Open => "AUTH PLAIN OAUTHBEARER XOAUTH2",
            };
            lines.push(auth.to_owned());
        }
        lines.push("SMTPUTF8".to_owned());
        let last = lines.len() - 1;
        let text: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        self.say(&text.join("\r\n")).await
    }

    async fn auth(&mut self, mechanism: u64, initial: String) -> io::Result<Next> {
        let house = self.door.house;
        if !self.greeted {
            return self.say(&format!("503 5.5.2 Send hello first [{EXCHANGE}]")).await;
        }
        if !self.wire.encrypted {
            return self.say("530 5.7.0 Must issue a STARTTLS command first.").await;
        }
        if self.opened.is_some() {
            return self.say("503 5.5.2 Already authenticated").await;
        }
        let mechanism = match mechanism {
            AUTH_XOAUTH2 => Mechanism::XOAuth2,
            AUTH_OAUTHBEARER if house != House::Microsoft => Mechanism::OAuthBearer,
            AUTH_PLAIN if house != House::Microsoft => Mechanism::Plain,
            AUTH_LOGIN if house != House::Open => return self.login(initial).await,
            _ => return self.say(&format!("504 5.7.4 Unrecognized authentication type [{EXCHANGE}]")).await,
        };
        let message = if initial.is_empty() {
            self.wire.send("334 \r\n").await?;
            match self.wire.line().await? {
                Some(line) if line == "*" => return self.say("501 5.7.0 Authentication cancelled").await,
                Some(line) => line,
                None => return Ok(Next::End),
            }
        } else {
            initial
        };
        match sasl::decide(&self.shared, house, Service::Smtp, mechanism, &message) {
            Ok(opened) => match self.auth_off() {
                Some(text) => self.say(&text).await,
                None => {
                    self.opened = Some(opened);
                    let text = match house {
                        House::Google => "235 2.7.0 Accepted",
                        _ => "235 2.7.0 Authentication successful",
                    };
                    self.say(text).await
                }
            },
            Err(Denial::Password) => self.password_refused().await,
            Err(denial) => self.deny(mechanism, denial).await,
        }
    }

    /// Passwords are asked for and taken no more.
    async fn login(&mut self, initial: String) -> io::Result<Next> {
        for question in ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"]
            .iter()
            .skip(usize::from(!initial.is_empty()))
        {
            self.wire.send(question).await?;
            if self.wire.line().await?.is_none() {
                return Ok(Next::End);
            }
        }
        self.password_refused().await
    }

    async fn password_refused(&mut self) -> io::Result<Next> {
        let text = match self.door.house {
            House::Microsoft => format!(
                "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. {}",
                self.stamp()
            ),
            House::Google => "534-5.7.9 Application-specific password required. For more information, go to\r\n\
                 534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor sandbox - gsmtp"
                .to_owned(),
            House::Open => "535 5.7.8 Error: authentication failed: authentication failure".to_owned(),
        };
        self.say(&text).await
    }

    fn auth_off(&self) -> Option<String> {
        let what = if self.shared.faults().hits(Fault::SmtpAuthOff) {
            "Tenant"
        } else if self.shared.faults().hits(Fault::SmtpAuthOffMailbox) {
            "Mailbox"
        } else {
            return None;
        };
        Some(match self.door.house {
            House::Microsoft => format!(
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {what}. Visit \
                 https://aka.ms/smtp_auth_disabled for more information. {}",
                self.stamp()
            ),
            _ => "503 5.5.1 Error: authentication not enabled".to_owned(),
        })
    }

    async fn deny(&mut self, mechanism: Mechanism, denial: Denial) -> io::Result<Next> {
        let house = self.door.house;
        if let Some(document) = sasl::challenge(mechanism, house, denial, &self.shared) {
            self.wire.send(&format!("334 {document}\r\n")).await?;
            if self.wire.line().await?.is_none() {
                return Ok(Next::End);
            }
        }
        let text = match house {
            House::Microsoft => format!("535 5.7.3 Authentication unsuccessful [{EXCHANGE}]"),
            House::Google => "535-5.7.8 Username and Password not accepted. For more information, go to\r\n\
                 535 5.7.8  https://support.google.com/mail/?p=BadCredentials sandbox - gsmtp"
                .to_owned(),
            House::Open => "535 5.7.8 Error: authentication failed: authentication failure".to_owned(),
        };
        self.say(&text).await
    }

    async fn mail(&mut self, address: String, size: usize) -> io::Result<Next> {
        if self.opened.is_none() {
            let text = match self.wire.encrypted {
                true => format!("530 5.7.57 Client not authenticated to send mail. {}", self.stamp()),
                false => "530 5.7.0 Must issue a STARTTLS command first.".to_owned(),
            };
            return self.say(&text).await;
        }
        if size > 150_000_000 || self.shared.faults().hits(Fault::TooLarge) {
            return self.say("552 5.3.4 Message size exceeds fixed maximum message size").await;
        }
        self.from = Some(address);
        self.to.clear();
        self.say("250 2.1.0 Sender OK").await
    }

    async fn rcpt(&mut self, address: String) -> io::Result<Next> {
        if self.from.is_none() {
            return self.say("503 5.5.2 Need mail command").await;
        }
        if self.shared.faults().hits(Fault::DailyLimit) {
            let text = match self.door.house {
                House::Google => {
                    "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\r\n\
                     550-5.4.5 sending limits go to\r\n550 5.4.5  https://support.google.com/a/answer/166852 sandbox - gsmtp"
                }
                _ => "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients (AS:46601)",
            };
            return self.say(text).await;
        }
        let unknown = {
            let world = self.shared.world();
            is_ours(&world, &address) && !world.mail.has(&address)
        };
        if unknown {
            return self.say("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found").await;
        }
        self.to.push(address);
        self.say("250 2.1.5 Recipient OK").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        let (Some(opened), Some(from), false) = (self.opened.clone(), self.from.take(), self.to.is_empty()) else {
            return self.say("503 5.5.2 Need rcpt command").await;
        };
        self.say("354 Start mail input; end with <CRLF>.<CRLF>").await?;
        if self.shared.faults().hits(Fault::DropsInData) {
            let _ = self.wire.some().await?;
            return Ok(Next::End);
        }
        let mut message = Vec::new();
        loop {
            match self.wire.octets().await? {
                None => return Ok(Next::End),
                Some(line) if line == b".\r\n" => break,
                Some(line) => message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line)),
            }
        }
        let to = std::mem::take(&mut self.to);
        let house = self.door.house;
        if self.shared.faults().hits(Fault::Throttled) {
            let text = match house {
                House::Google => "454-4.7.0 Too many login attempts, please try again later. For more information, go to\r\n\
                     454 4.7.0  https://support.google.com/mail/answer/7126229 - gsmtp"
                    .to_owned(),
                _ => format!(
                    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. \
                     [Hostname={EXCHANGE}]"
                ),
            };
            return self.say(&text).await;
        }
        let now = self.shared.now();
        let denied = {
            let world = self.shared.world();
            !may_send_as(&world, &opened, &from)
        };
        if denied || self.shared.faults().hits(Fault::SendAsDenied) {
            let text = match house {
                House::Microsoft => format!(
                    "554 5.2.252 SendAsDenied; {} not allowed to send as {from}; \
                     STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a \
                     permanent exception with message Cannot submit message.",
                    opened.mailbox
                ),
                _ => format!("550 5.7.60 SMTP; Client does not have permissions to send as this sender [{EXCHANGE}]"),
            };
            return self.say(&text).await;
        }
        deliver(&mut self.shared.world(), &from, &opened.mailbox, &to, &message, now);
        let id = self.shared.opaque(12);
        let text = match house {
            House::Microsoft => format!("250 2.0.0 OK <{id}@{EXCHANGE}> [Hostname={EXCHANGE}]"),
            House::Google => format!("250 2.0.0 OK  {} {id} - gsmtp", now.0),
            House::Open => format!("250 2.0.0 Ok: queued as {id}"),
        };
        self.say(&text).await
    }
}

/// Whether an address is in one of our domains.
fn is_ours(world: &World, address: &str) -> bool {
    let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
    let own = domain(address);
    own.is_some() && world.people.iter().any(|person| domain(&person.address) == own)
}

fn may_send_as(world: &World, opened: &Opened, from: &str) -> bool {
    opened.mailbox.eq_ignore_ascii_case(from)
        || world.person(from).is_some_and(|person| {
            person.delegates.iter().any(|delegate| delegate.eq_ignore_ascii_case(&opened.by)) || person.apps.contains(&opened.by)
        })
}

/// Puts a message into the inboxes of its recipients and the sent items of its sender.
pub(super) fn deliver(world: &mut World, from: &str, sender: &str, to: &[String], message: &[u8], now: Timestamp) {
    let domain = from.rsplit_once('@').map_or("sandbox.test", |(_, domain)| domain);
    let head = format!(
        "Return-Path: <{from}>\r\nReceived: from console by mail.sandbox.test with ESMTPSA; {}\r\n\
         Authentication-Results: mail.sandbox.test; spf=pass smtp.mailfrom={domain}; dkim=pass header.d={domain}; dmarc=pass \
         header.from={domain}\r\n",
        rfc2822(now)
    );
    let arrived = [head.as_bytes(), message].concat();
    for recipient in to {
        world.mail.put(recipient, Folder::Inbox, &arrived, 0, false, now);
    }
    world.mail.put(sender, Folder::Sent, message, 0, true, now);
}
