//! IMAP before anybody signs in: the greeting, CAPABILITY and STARTTLS, line by line.

use super::super::error::MailError;
use super::super::record::Protocol;
use super::super::stream::Recorded;

/// How the server greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Its line.
    pub line: String,
    /// It says we are signed in already.
    pub preauth: bool,
}

/// Reads the greeting of a fresh connection.
pub async fn greeting(stream: &mut Recorded) -> Result<Greeting, MailError> {
    let recorder = stream.recorder().clone();
    let line = stream.line().await;
    let line = line.map_err(|error| MailError::io(&error, &recorder, "without a greeting"))?;
    let upper = line.to_ascii_uppercase();
    let is = |word: &str| {
        upper
            .strip_prefix("* ")
            .and_then(|rest| rest.strip_prefix(word))
            .is_some_and(ends_word)
    };
    if !(is("OK") || is("PREAUTH") || is("BYE")) {
        return Err(MailError::NotAMailServer(Protocol::Imap));
    }
    recorder.greeted();
    if is("BYE") {
        return Err(MailError::refused(&recorder));
    }
    Ok(Greeting {
        line: recorder.reply().pop().unwrap_or_default(),
        preauth: is("PREAUTH"),
    })
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

/// What the server can do. Asked again after the switch to encryption: what was said before it does not count (TLS-3).
pub async fn capability(stream: &mut Recorded) -> Result<Vec<String>, MailError> {
    let mut offered = Vec::new();
    for line in plain_command(stream, "S1", "CAPABILITY").await? {
        if let Some(rest) = line.strip_prefix("* CAPABILITY ") {
            offered = rest.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        }
    }
    Ok(offered)
}

/// Agrees on the switch to encryption. The caller takes the bare connection next, which fails if anything came in between.
pub async fn starttls(stream: &mut Recorded, offered: &[String]) -> Result<(), MailError> {
    if !offers(offered, "STARTTLS") {
        let offered = offered.join(" ");
        return Err(MailError::StarttlsMissing { offered });
    }
    plain_command(stream, "S2", "STARTTLS").await.map(|_| ())
}

async fn plain_command(stream: &mut Recorded, tag: &str, command: &str) -> Result<Vec<String>, MailError> {
    let recorder = stream.recorder().clone();
    let failed = |error: std::io::Error| MailError::io(&error, &recorder, "before the sign-in");
    stream.send(&format!("{tag} {command}")).await.map_err(failed)?;
    let mut lines = Vec::new();
    loop {
        let line = stream.line().await.map_err(failed)?;
        match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
            Some(rest) if ends_with_ok(rest) => return Ok(lines),
            Some(_) => return Err(MailError::refused(&recorder)),
            None if line.to_ascii_uppercase().starts_with("* BYE") => return Err(MailError::refused(&recorder)),
            None => lines.push(line),
        }
    }
}

fn ends_with_ok(rest: &str) -> bool {
    rest.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("OK")) && ends_word(&rest[2..])
}

pub(super) fn offers(capabilities: &[String], name: &str) -> bool {
    capabilities.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The mechanisms of a list of capabilities; the LOGIN command is one where it isn't forbidden.
pub(super) fn mechanisms(capabilities: &[String]) -> Vec<String> {
    let mut offered: Vec<String> = capabilities
        .iter()
        .filter_map(|name| name.split_at_checked(5).filter(|(head, _)| head.eq_ignore_ascii_case("AUTH=")))
        .map(|(_, mechanism)| mechanism.to_owned())
        .filter(|mechanism| !mechanism.eq_ignore_ascii_case("LOGIN"))
        .collect();
    if !offers(capabilities, "LOGINDISABLED") {
        offered.push("LOGIN".to_owned());
    }
    offered
}
