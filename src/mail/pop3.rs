//! POP3 (RFC 1939, 2449, 2595, 5034), reading only: headers are asked for with TOP, no message is fetched whole, and none deleted.

use super::error::MailError;
use super::record::{Protocol, Recorder};
use super::sasl::{self, Mechanism};
use super::stream::Recorded;
use super::{Login, checked};
use crate::model::mailbox::Endpoint;
use crate::model::report::MessageSummary;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use zeroize::Zeroizing;

const WHEN: &str = "in the middle of the conversation";
/// How long may an AUTH line be with the sign-in in it, its end included (RFC 5034, 4; RFC 2449, 4)?
const LONGEST_AUTH: usize = 255;
/// Mailboxes with more messages than this are not listed whole: the list would be longer than what is read.
pub const MOST_LISTED: u64 = 15_000;

/// Reads the greeting of a fresh connection.
pub async fn greeting(stream: &mut Recorded) -> Result<String, MailError> {
    let recorder = stream.recorder().clone();
    let line = stream.line().await;
    let line = line.map_err(|error| MailError::io(&error, &recorder, "without a greeting"))?;
    let Some(good) = status(&line) else {
        return Err(MailError::NotAMailServer(Protocol::Pop3));
    };
    recorder.greeted();
    if good {
        Ok(recorder.reply().pop().unwrap_or_default())
    } else {
        Err(MailError::refused(&recorder))
    }
}

/// Whether the line begins with `+OK` or with `-ERR`; none where it does with neither.
fn status(line: &str) -> Option<bool> {
    let word = line.split(' ').next().unwrap_or_default();
    [("+OK", true), ("-ERR", false)]
        .into_iter()
        .find_map(|(known, good)| known.eq_ignore_ascii_case(word).then_some(good))
}

/// What the server can do, a keyword with its parameters each; nothing where it doesn't know the question. Asked again after the switch
/// to encryption: what was said before it does not count (TLS-3).
pub async fn capabilities(stream: &mut Recorded) -> Result<Vec<String>, MailError> {
    match command(stream, "CAPA").await {
        Ok(_) => lines(stream).await,
        Err(MailError::Refused { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Agrees on the switch to encryption. The caller takes the bare connection next, which fails if anything came in between.
pub async fn stls(stream: &mut Recorded, offered: &[String]) -> Result<(), MailError> {
    if parameters(offered, "STLS").is_none() {
        let offered = offered.join(", ");
        return Err(MailError::StarttlsMissing { offered });
    }
    command(stream, "STLS").await.map(|_| ())
}

/// Sends a command and reads the first line of its answer.
async fn command(stream: &mut Recorded, command: &str) -> Result<String, MailError> {
    let recorder = stream.recorder().clone();
    let line = exchange(stream, command)
        .await
        .map_err(|error| MailError::io(&error, &recorder, WHEN))?;
    decide(line, &recorder)
}

async fn exchange(stream: &mut Recorded, command: &str) -> io::Result<String> {
    stream.send(command).await?;
    stream.line().await
}

fn decide(line: String, recorder: &Recorder) -> Result<String, MailError> {
    match status(&line) {
        Some(true) => Ok(line),
        Some(false) => Err(MailError::refused(recorder)),
        None => Err(MailError::malformed("the reply can't be understood", recorder)),
    }
}

/// The lines of an answer of several, up to the one with a dot alone (RFC 1939, 3); the recorder limits how many.
async fn lines(stream: &mut Recorded) -> Result<Vec<String>, MailError> {
    let recorder = stream.recorder().clone();
    let mut lines = Vec::new();
    loop {
        let line = stream.line().await.map_err(|error| MailError::io(&error, &recorder, WHEN))?;
        match line.strip_prefix('.') {
            Some("") => return Ok(lines),
            Some(rest) => lines.push(rest.to_owned()),
            None => lines.push(line),
        }
    }
}

/// What follows a keyword in the list of capabilities; none where it isn't in it.
pub fn parameters<'a>(capabilities: &'a [String], keyword: &str) -> Option<&'a str> {
    capabilities.iter().find_map(|line| {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        word.eq_ignore_ascii_case(keyword).then_some(rest)
    })
}

/// The ways of signing in that the server names.
pub fn mechanisms(capabilities: &[String]) -> Vec<String> {
    let sasl = parameters(capabilities, "SASL").unwrap_or_default();
    let mut offered: Vec<String> = sasl.split_ascii_whitespace().map(str::to_owned).collect();
    if parameters(capabilities, "USER").is_some() {
        offered.push("USER".to_owned());
    }
    offered
}

/// A connection that is signed in.
pub struct Pop3 {
    stream: Recorded,
    capabilities: Vec<String>,
}

impl Pop3 {
    /// Signs in on a connection whose capabilities are known, and says how.
    pub async fn sign_in(
        mut stream: Recorded,
        capabilities: Vec<String>,
        login: &Login,
        endpoint: &Endpoint,
    ) -> Result<(Self, &'static str), MailError> {
        let recorder = stream.recorder().clone();
        login.hide(&recorder);
        let offered = mechanisms(&capabilities);
        let offers = |name: &str| offered.iter().any(|known| known.eq_ignore_ascii_case(name));
        let how = match login {
            // Servers that don't know CAPA know USER.
            Login::Password { user, password } if capabilities.is_empty() || offers("USER") => {
                user_pass(&mut stream, user, password.expose_secret()).await?;
                "USER and PASS"
            }
            // AUTH LOGIN is nobody's standard for POP3.
            Login::Password { .. } if !offers("PLAIN") => {
                return Err(MailError::MechanismMissing {
                    wanted: "USER or AUTH PLAIN",
                    offered: list(&offered),
                });
            }
            _ => {
                let mechanism = Mechanism::choose(login, &endpoint.host, &offered)?;
                authenticate(&mut stream, mechanism, login, endpoint).await?;
                mechanism.as_str()
            }
        };
        recorder.signed_in();
        Ok((Self { stream, capabilities }, how))
    }

    /// How many messages there are, and how many octets in all.
    pub async fn stat(&mut self) -> Result<(u64, u64), MailError> {
        let line = self.command("STAT").await?;
        self.numbers(&line, 1)
    }

    /// The sizes of all messages with their numbers, of those that are there; in a mailbox with very many, of the newest only.
    pub async fn sizes(&mut self, messages: u64, newest: u64) -> Result<Vec<(u64, u64)>, MailError> {
        let mut sizes = Vec::new();
        if messages <= MOST_LISTED {
            self.command("LIST").await?;
            for line in lines(&mut self.stream).await? {
                sizes.push(self.numbers(&line, 0)?);
            }
            // Numbers count up from 1 (RFC 1939, 5): a list that names one twice, or none at all, is about nothing.
            let rises = sizes.iter().zip(sizes.iter().skip(1)).all(|(a, b)| a.0 < b.0);
            if !rises || sizes.first().is_some_and(|(number, _)| *number == 0) {
                return Err(MailError::malformed(
                    "the list of messages contradicts itself",
                    self.stream.recorder(),
                ));
            }
            return Ok(sizes);
        }
        if newest == 0 {
            return Ok(sizes);
        }
        // Servers may claim any number.
        for number in messages.saturating_sub(newest).saturating_add(1)..=messages {
            let line = self.command(&format!("LIST {number}")).await?;
            sizes.push(self.numbers(&line, 1)?);
        }
        Ok(sizes)
    }

    /// Whether headers can be had without the whole message.
    pub fn can_show_headers(&self) -> bool {
        self.capabilities.is_empty() || parameters(&self.capabilities, "TOP").is_some()
    }

    /// The header of a message; its body stays where it is.
    pub async fn header(&mut self, number: u64) -> Result<String, MailError> {
        let recorder = self.stream.recorder().clone();
        recorder.want_messages(true);
        let header = async {
            self.command(&format!("TOP {number} 0")).await?;
            lines(&mut self.stream).await
        }
        .await;
        recorder.want_messages(false);
        Ok(header?.join("\r\n"))
    }

    /// Keeps what a message is about, and whose it is, out of what is recorded.
    pub fn hide(&self, message: &MessageSummary) {
        self.stream.recorder().hide_messages(std::slice::from_ref(message));
    }

    /// Says goodbye; how the server takes it is of no interest.
    pub async fn quit(&mut self) {
        let _ = self.command("QUIT").await;
    }

    async fn command(&mut self, text: &str) -> Result<String, MailError> {
        command(&mut self.stream, text).await
    }

    /// Two numbers of a line, after so many words.
    fn numbers(&self, line: &str, skip: usize) -> Result<(u64, u64), MailError> {
        let mut words = line.split_ascii_whitespace().skip(skip).map(str::parse::<u64>);
        match (words.next(), words.next()) {
            (Some(Ok(first)), Some(Ok(second))) => Ok((first, second)),
            _ => Err(MailError::malformed("the reply can't be understood", self.stream.recorder())),
        }
    }
}

fn list(offered: &[String]) -> String {
    if offered.is_empty() {
        "no way to sign in".to_owned()
    } else {
        offered.join(" ")
    }
}

async fn user_pass(stream: &mut Recorded, user: &str, password: &str) -> Result<(), MailError> {
    let (user, password) = (checked("user name", user)?, checked("password", password)?);
    command(stream, &format!("USER {user}")).await?;
    stream.recorder().instead("PASS (password)".to_owned());
    let line = Zeroizing::new(format!("PASS {password}"));
    command(stream, &line).await.map(|_| ())
}

/// AUTH (RFC 5034). A short message goes with the command, except to Microsoft's servers, which document two lines.
async fn authenticate(stream: &mut Recorded, mechanism: Mechanism, login: &Login, endpoint: &Endpoint) -> Result<(), MailError> {
    let recorder = stream.recorder().clone();
    let failed = |error: io::Error| MailError::io(&error, &recorder, "during the sign-in");
    let user = checked("user name", login.user())?;
    let message = mechanism.message(login, endpoint)?;
    recorder.hide_encoded(&message);
    let (name, octets) = (mechanism.as_str(), message.len());
    let encoded = Zeroizing::new(STANDARD.encode(&*message));
    let shown = format!("({name} as {user}, {octets} octets)");
    let whole = Zeroizing::new(format!("AUTH {name} {}", *encoded));
    let mut line = if whole.len() + 2 <= LONGEST_AUTH && !sasl::is_microsoft(&endpoint.host) {
        recorder.instead(format!("AUTH {name} {shown}"));
        exchange(stream, &whole).await.map_err(failed)?
    } else {
        let line = exchange(stream, &format!("AUTH {name}")).await.map_err(failed)?;
        if question(&line).is_none() {
            decide(line, &recorder)?;
            return Err(MailError::malformed("the server did not ask for the sign-in", &recorder));
        }
        recorder.instead(shown);
        exchange(stream, &encoded).await.map_err(failed)?
    };
    if let Some(challenge) = question(&line) {
        let document = sasl::document(challenge);
        let dummy = STANDARD.encode(mechanism.dummy());
        line = exchange(stream, &dummy).await.map_err(failed)?;
        return Err(match decide(line, &recorder) {
            Err(MailError::Refused { reply, .. }) => MailError::Refused {
                reply,
                document: Some(document),
            },
            Err(error) => error,
            Ok(_) => MailError::malformed("the server keeps asking and does not decide", &recorder),
        });
    }
    decide(line, &recorder).map(|_| ())
}

/// What a server asks for in the middle of a sign-in; none where the line is no question.
fn question(line: &str) -> Option<&str> {
    match line.strip_prefix('+')? {
        "" => Some(""),
        rest => rest.strip_prefix(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_in_any_case_and_order() {
        let capabilities = ["TOP", "sasl PLAIN XOAUTH2", "USER", "EXPIRE 30 USER"].map(str::to_owned);
        assert_eq!(mechanisms(&capabilities), ["PLAIN", "XOAUTH2", "USER"]);
        assert_eq!(parameters(&capabilities, "top"), Some(""));
        assert_eq!(parameters(&capabilities, "STLS"), None);
        assert!(mechanisms(&[]).is_empty());
    }

    #[test]
    fn only_a_status_of_the_protocol_is_one() {
        for (line, expected) in [
            ("+OK ready", Some(true)),
            ("+ok", Some(true)),
            ("-ERR [SYS/TEMP] later", Some(false)),
            ("+OKAY", None),
            ("* OK ready", None),
            ("220 ready", None),
            ("", None),
        ] {
            assert_eq!(status(line), expected, "{line}");
        }
        for (line, expected) in [
            ("+", Some("")),
            ("+ ", Some("")),
            ("+ eyJ", Some("eyJ")),
            ("+OK", None),
            ("-ERR", None),
        ] {
            assert_eq!(question(line), expected, "{line}");
        }
    }
}
