//! SMTP submission (RFC 5321, RFC 6409): greeting, EHLO, STARTTLS, AUTH, and a message whose fate is known or said to be unknown.
//!
//! lettre sends commands, reads replies and builds the message. STARTTLS and AUTH are ours: a token is too long for the AUTH line,
//! and the reason of a refusal comes in a document that has to be answered (RFC 4954, RFC 7628).

mod test_mail;

pub use test_mail::{Prepared, TestMail};

use super::error::MailError;
use super::record::{Protocol, Recorder, printable};
use super::sasl::{self, Mechanism};
use super::stream::Recorded;
use super::{Login, checked};
use crate::model::mailbox::Endpoint;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use std::io;
use zeroize::Zeroizing;

const WHEN: &str = "in the middle of the conversation";

/// Reads the greeting of a fresh connection, and returns its first line.
pub async fn greeting(stream: &mut Recorded) -> Result<String, MailError> {
    let recorder = stream.recorder().clone();
    let reply = read_reply(stream).await;
    let first = match reply {
        Ok(reply) => reply.into_iter().next().unwrap_or_default(),
        Err(ReplyError::Shape) => return Err(MailError::NotAMailServer(Protocol::Smtp)),
        Err(ReplyError::Io(error)) => return Err(MailError::io(&error, &recorder, "without a greeting")),
    };
    recorder.greeted();
    if first.starts_with("220") {
        Ok(recorder.reply().into_iter().next().unwrap_or_default())
    } else {
        Err(MailError::refused(&recorder))
    }
}

/// EHLO on the bare connection; what it answers is not to be trusted (TLS-3).
pub async fn plain_hello(stream: &mut Recorded, name: &str) -> Result<Vec<String>, MailError> {
    let name = checked("name we greet with", name)?;
    let reply = plain_command(stream, &format!("EHLO {name}")).await?;
    Ok(reply.iter().skip(1).filter_map(|line| line.get(4..)).map(str::to_owned).collect())
}

/// Agrees on the switch to encryption. The caller takes the bare connection next, which fails if anything came in between.
pub async fn starttls(stream: &mut Recorded, offered: &[String]) -> Result<(), MailError> {
    if !offered.iter().any(|keyword| keyword.eq_ignore_ascii_case("STARTTLS")) {
        let offered = offered.join(" ");
        return Err(MailError::StarttlsMissing { offered });
    }
    plain_command(stream, "STARTTLS").await.map(|_| ())
}

async fn plain_command(stream: &mut Recorded, command: &str) -> Result<Vec<String>, MailError> {
    let recorder = stream.recorder().clone();
    let sent = stream.send(command).await.map_err(ReplyError::Io);
    let reply = match sent {
        Ok(()) => read_reply(stream).await,
        Err(error) => Err(error),
    };
    match reply {
        Ok(reply) if reply.last().is_some_and(|line| line.starts_with('2')) => Ok(reply),
        Ok(_) => Err(MailError::refused(&recorder)),
        Err(ReplyError::Shape) => Err(MailError::malformed("the reply can't be understood", &recorder)),
        Err(ReplyError::Io(error)) => Err(MailError::io(&error, &recorder, WHEN)),
    }
}

enum ReplyError {
    Shape,
    Io(io::Error),
}

/// The lines of one reply; the recorder limits how many.
async fn read_reply(stream: &mut Recorded) -> Result<Vec<String>, ReplyError> {
    let mut lines = Vec::new();
    loop {
        let line = stream.line().await.map_err(ReplyError::Io)?;
        let code = line
            .get(..3)
            .is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()) && ('2'..='5').contains(&line_start(code)));
        let mark = line.as_bytes().get(3).copied();
        if !code || !matches!(mark, None | Some(b' ' | b'-')) {
            return Err(ReplyError::Shape);
        }
        lines.push(line);
        if mark != Some(b'-') {
            return Ok(lines);
        }
    }
}

fn line_start(code: &str) -> char {
    code.chars().next().unwrap_or('0')
}

/// A connection that speaks SMTP.
pub struct Smtp {
    connection: AsyncSmtpConnection,
    recorder: Recorder,
    keywords: Vec<String>,
}

impl Smtp {
    /// EHLO on a connection whose greeting has been read, or that has just been encrypted.
    pub async fn hello(mut stream: Recorded, name: &str) -> Result<Self, MailError> {
        let name = checked("name we greet with", name)?;
        let recorder = stream.recorder().clone();
        // lettre wants a greeting; the real one has been read, and after STARTTLS there is none.
        stream.preface("220 \r\n");
        let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &ClientId::Domain(name.to_owned())).await;
        let connection = connection.map_err(|error| hello_failed(&error, &recorder))?;
        let keywords = recorder
            .reply()
            .iter()
            .skip(1)
            .filter_map(|line| line.get(4..))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            connection,
            recorder,
            keywords,
        })
    }

    /// What the server can do, a keyword with its parameters each.
    pub fn keywords(&self) -> &[String] {
        &self.keywords
    }

    fn supports(&self, keyword: &str) -> bool {
        self.keywords
            .iter()
            .any(|line| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword)))
    }

    /// Signs in, and says how.
    pub async fn authenticate(&mut self, login: &Login, endpoint: &Endpoint) -> Result<Mechanism, MailError> {
        let mechanism = Mechanism::choose(login, &endpoint.host, &mechanisms(&self.keywords))?;
        login.hide(&self.recorder);
        let user = checked("user name", login.user())?;
        let answers: Vec<(Zeroizing<String>, String)> = match (mechanism, login) {
            (Mechanism::Login, Login::Password { password, .. }) => {
                let password = checked("password", password.expose_secret())?;
                let encoded = |text: &str| Zeroizing::new(STANDARD.encode(text));
                vec![(encoded(user), format!("({user})")), (encoded(password), "(password)".to_owned())]
            }
            _ => {
                let message = mechanism.message(login, endpoint)?;
                self.recorder.hide_encoded(&message);
                let shown = format!("({} as {user}, {} octets)", mechanism.as_str(), message.len());
                vec![(Zeroizing::new(STANDARD.encode(&*message)), shown)]
            }
        };
        // Always in two steps: a token does not fit into the AUTH line (RFC 4954, 4).
        let mut response = self.command(format!("AUTH {}\r\n", mechanism.as_str())).await?;
        for (answer, shown) in answers {
            if !response.has_code(334) {
                return Err(MailError::malformed("the server did not ask for the sign-in", &self.recorder));
            }
            self.recorder.instead(shown);
            response = self.command(format!("{}\r\n", *answer)).await?;
        }
        if response.has_code(334) {
            let document = response.first_word().map(sasl::document);
            let dummy = STANDARD.encode(mechanism.dummy());
            return Err(match self.command(format!("{dummy}\r\n")).await {
                Err(MailError::Refused { reply, .. }) => MailError::Refused { reply, document },
                Err(error) => error,
                Ok(_) => MailError::malformed("the server keeps asking and does not decide", &self.recorder),
            });
        }
        if !response.has_code(235) {
            return Err(MailError::malformed(
                "the server neither accepts nor refuses the sign-in",
                &self.recorder,
            ));
        }
        self.recorder.signed_in();
        Ok(mechanism)
    }

    /// Names the sender, and returns the server's reply.
    pub async fn mail_from(&mut self, mail: &Prepared) -> Result<String, MailError> {
        let mut parameters = Vec::new();
        if self.supports("SIZE") {
            parameters.push(MailParameter::Size(mail.bytes.len()));
        }
        let named = mail.envelope.to().iter().chain(mail.envelope.from());
        if named.into_iter().any(|address| !address.to_string().is_ascii()) {
            if !self.supports("SMTPUTF8") {
                return Err(MailError::MechanismMissing {
                    wanted: "SMTPUTF8, which an address of the message needs,",
                    offered: self.keywords.join(", "),
                });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !mail.bytes.is_ascii() && self.supports("8BITMIME") {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        self.command(Mail::new(mail.envelope.from().cloned(), parameters)).await?;
        Ok(self.said())
    }

    /// Names the recipients, and returns the server's last reply.
    pub async fn rcpt_to(&mut self, mail: &Prepared) -> Result<String, MailError> {
        for recipient in mail.envelope.to() {
            self.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
        }
        Ok(self.said())
    }

    /// Hands the message over, and returns the server's reply. After the final dot only the server knows what became of it.
    pub async fn data(&mut self, mail: &Prepared) -> Result<String, MailError> {
        self.command(Data).await?;
        self.recorder.body(format!("(message of {} octets)", mail.bytes.len()));
        let result = self.connection.message(&mail.bytes).await;
        self.recorder.body_ended();
        match result {
            Ok(_) => Ok(self.said()),
            Err(error) if error.status().is_some() => Err(MailError::refused(&self.recorder)),
            Err(error) => {
                let error = failed(&error, &self.recorder);
                Err(if self.recorder.handed_over() {
                    MailError::SendUnknown { why: error.to_string() }
                } else {
                    error
                })
            }
        }
    }

    /// Says goodbye; how the server takes it is of no interest.
    pub async fn quit(&mut self) {
        let _ = self.connection.command(Quit).await;
    }

    async fn command(&mut self, command: impl std::fmt::Display) -> Result<Response, MailError> {
        let response = self.connection.command(command).await;
        response.map_err(|error| failed(&error, &self.recorder))
    }

    /// The server's last reply in one line.
    fn said(&self) -> String {
        self.recorder.reply().join(" ")
    }
}

/// The mechanisms of the AUTH keyword, also as old servers write it.
fn mechanisms(keywords: &[String]) -> Vec<String> {
    let mut offered: Vec<String> = Vec::new();
    for keyword in keywords {
        let upper = keyword.to_ascii_uppercase();
        if let Some(rest) = upper.strip_prefix("AUTH ").or_else(|| upper.strip_prefix("AUTH=")) {
            for mechanism in rest.split(' ').filter(|word| !word.is_empty()) {
                if !offered.iter().any(|known| known == mechanism) {
                    offered.push(mechanism.to_owned());
                }
            }
        }
    }
    offered
}

/// The same for the greeting of a connection: lettre says good-bye when that is refused, and the answer to it is not the reason.
fn hello_failed(error: &SmtpError, recorder: &Recorder) -> MailError {
    let said = |code: String| recorder.reply().last().is_some_and(|line| line.starts_with(&code));
    match (error.status(), std::error::Error::source(error)) {
        (Some(code), Some(reason)) if !said(code.to_string()) => {
            let line = recorder.masked(&format!("{code} {reason}"));
            MailError::Refused {
                reply: vec![line.chars().take(1000).map(printable).collect()],
                document: None,
            }
        }
        _ => failed(error, recorder),
    }
}

fn failed(error: &SmtpError, recorder: &Recorder) -> MailError {
    if error.status().is_some() {
        return MailError::refused(recorder);
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return MailError::io(error, recorder, WHEN);
        }
        source = inner.source();
    }
    // lettre's word for the end of the stream; anything else is a reply it can't read.
    if error.is_response() && error.to_string().contains("incomplete response") {
        MailError::closed(recorder, WHEN)
    } else {
        MailError::malformed("the reply can't be understood", recorder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_are_read_in_both_spellings() {
        let keywords = ["SIZE 1", "AUTH LOGIN XOAUTH2", "auth=LOGIN plain", "AUTHX"].map(str::to_owned);
        assert_eq!(mechanisms(&keywords), ["LOGIN", "XOAUTH2", "PLAIN"]);
    }
}
