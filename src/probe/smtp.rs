//! *Test outgoing* over SMTP: can mail be sent? A real message is sent, once, unless only the sign-in is tested.

use super::letter::Letter;
use super::stages::{self, size};
use super::{Done, Failure, Steps, Stopped};
use crate::clock::Timestamp;
use crate::mail::record::{Protocol, Recorder};
use crate::mail::smtp::{self, Prepared, Smtp, TestMail};
use crate::mail::stream::Recorded;
use crate::mail::{Connector, Login, MailError};
use crate::model::mailbox::{Endpoint, Security};
use crate::model::report::Stage;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;

/// What is tested.
#[derive(Debug, Clone)]
pub struct SmtpTarget {
    /// Server.
    pub endpoint: Endpoint,
    /// Sign-in.
    pub login: Login,
    /// Address of the sender.
    pub from: String,
    /// Address of the recipient.
    pub to: String,
    /// Recipients that are not named in the message.
    pub bcc: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Unique, with its angle brackets.
    pub message_id: String,
    /// Stop after the sign-in.
    pub login_only: bool,
    /// The name we greet with.
    pub hello_name: String,
}

/// Runs the stages.
pub async fn smtp(connector: &Connector, target: &SmtpTarget, steps: &mut Steps) -> Result<(), Stopped> {
    smtp_letter(connector, target, None, steps).await
}

/// Runs the stages with a message that has something to say.
pub async fn smtp_letter(connector: &Connector, target: &SmtpTarget, letter: Option<&Letter>, steps: &mut Steps) -> Result<(), Stopped> {
    let endpoint = &target.endpoint;
    let date = steps.started_at();
    let recorder = Recorder::new(Protocol::Smtp);
    target.login.hide(&recorder);
    recorder.hide(&target.subject);
    let mut stream = stages::open(connector, endpoint, &recorder, steps).await?;
    steps.run(Stage::Greeting, greeting(&mut stream)).await?;
    let mut smtp = if endpoint.security == Security::Starttls {
        let offered = steps.run(Stage::Ehlo, plain_hello(&mut stream, &target.hello_name)).await?;
        let tcp = steps.run(Stage::Starttls, starttls(stream, &offered)).await?;
        let wire = steps.run(Stage::Tls, stages::tls(connector, tcp, &endpoint.host)).await?;
        let stream = Recorded::new(wire, recorder);
        steps.run(Stage::Auth, hello_again_and_sign_in(stream, target)).await?
    } else {
        let mut smtp = steps.run(Stage::Ehlo, hello(stream, &target.hello_name)).await?;
        steps.run(Stage::Auth, sign_in(&mut smtp, target)).await?;
        smtp
    };
    if !target.login_only {
        let mail = steps.run(Stage::MailFrom, mail_from(&mut smtp, target, letter, &date)).await?;
        steps.run(Stage::RcptTo, rcpt_to(&mut smtp, &mail, target)).await?;
        steps.run(Stage::Data, data(&mut smtp, &mail, letter)).await?;
    }

    let _ = tokio::time::timeout(Duration::from_secs(1), smtp.quit()).await;
    Ok(())
}

async fn greeting(stream: &mut Recorded) -> Result<Done<()>, MailError> {
    Ok(Done::new((), smtp::greeting(stream).await?))
}

async fn plain_hello(stream: &mut Recorded, name: &str) -> Result<Done<Vec<String>>, MailError> {
    let offered = smtp::plain_hello(stream, name).await?;
    let done = described((), &offered);
    Ok(Done {
        value: offered,
        detail: done.detail,
        facts: done.facts,
        warning: false,
    })
}

async fn hello(stream: Recorded, name: &str) -> Result<Done<Smtp>, MailError> {
    let smtp = Smtp::hello(stream, name).await?;
    let keywords = smtp.keywords().to_vec();
    Ok(described(smtp, &keywords))
}

/// With what the server can do.
fn described<T>(value: T, keywords: &[String]) -> Done<T> {
    let parameters = |keyword: &str| {
        let mut lines = keywords.iter().filter_map(|line| line.split_once([' ', '=']));
        lines.find(|(word, _)| word.eq_ignore_ascii_case(keyword)).map(|(_, rest)| rest)
    };
    let mut parts = Vec::new();
    match parameters("AUTH") {
        Some(mechanisms) => parts.push(format!(
            "signs in with {}",
            mechanisms.split_whitespace().collect::<Vec<_>>().join(", ")
        )),
        None => parts.push("no sign-in offered here".to_owned()),
    }
    let limit = parameters("SIZE")
        .and_then(|size| size.trim().parse::<u64>().ok())
        .filter(|limit| *limit > 0);
    if let Some(limit) = limit {
        parts.push(format!("messages up to {}", size(limit)));
    }
    if keywords.iter().any(|keyword| keyword.eq_ignore_ascii_case("STARTTLS")) {
        parts.push("STARTTLS".to_owned());
    }
    Done::new(value, parts.join("; ")).fact("keywords", keywords).fact("size", limit)
}

async fn starttls(mut stream: Recorded, offered: &[String]) -> Result<Done<TcpStream>, MailError> {
    smtp::starttls(&mut stream, offered).await?;
    let tcp = stream.into_tcp().ok_or(MailError::StarttlsInjected)?;
    Ok(Done::new(tcp, "the server switches to encryption"))
}

/// What was said before the encryption does not count, so the server is greeted a second time.
async fn hello_again_and_sign_in(stream: Recorded, target: &SmtpTarget) -> Result<Done<Smtp>, MailError> {
    let mut smtp = Smtp::hello(stream, &target.hello_name).await?;
    let done = sign_in(&mut smtp, target).await?;
    Ok(Done {
        value: smtp,
        detail: done.detail,
        facts: done.facts,
        warning: done.warning,
    })
}

async fn sign_in(smtp: &mut Smtp, target: &SmtpTarget) -> Result<Done<()>, MailError> {
    if matches!(target.login, Login::None) {
        return Ok(Done::new((), "no sign-in is set up for this server"));
    }
    let mechanism = smtp.authenticate(&target.login, &target.endpoint).await?.as_str();
    let user = target.login.user();
    Ok(Done::new((), format!("{mechanism} as {user}"))
        .fact("mechanism", mechanism)
        .fact("user", user))
}

async fn mail_from(smtp: &mut Smtp, target: &SmtpTarget, letter: Option<&Letter>, started_at: &str) -> Result<Done<Prepared>, MailError> {
    let date = OffsetDateTime::parse(started_at, &Rfc3339).map_or(0, OffsetDateTime::unix_timestamp);
    let mail = TestMail {
        from: target.from.clone(),
        to: target.to.clone(),
        bcc: target.bcc.clone(),
        subject: target.subject.clone(),
        message_id: target.message_id.clone(),
        date: Timestamp(date),
        text: letter.map(|letter| letter.text.clone()),
    };
    let mail = mail.prepare()?;
    let reply = smtp.mail_from(&mail).await?;
    Ok(Done::new(mail, reply).fact("from", target.from.as_str()))
}

async fn rcpt_to(smtp: &mut Smtp, mail: &Prepared, target: &SmtpTarget) -> Result<Done<()>, MailError> {
    let reply = smtp.rcpt_to(mail).await?;
    Ok(Done::new((), reply).fact("to", target.to.as_str()).fact("bcc", target.bcc.clone()))
}

async fn data(smtp: &mut Smtp, mail: &Prepared, letter: Option<&Letter>) -> Result<Done<()>, Failure> {
    if let Some(letter) = letter {
        letter.handing.ask().await?;
    }
    let reply = smtp.data(mail).await?;
    let queue_id = queue_id(&reply);
    Ok(Done::new((), reply).fact("queue_id", queue_id))
}

/// The number under which the server keeps the message, as most servers say it.
fn queue_id(reply: &str) -> Option<String> {
    let after = ["queued as ", "id=", "Message accepted for delivery "];
    let rest = after.iter().find_map(|words| reply.split_once(words)).map(|(_, rest)| rest);
    let id = match rest {
        Some(rest) => rest.split([' ', ']', ';']).next(),
        None => reply.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(id, _)| id),
    };
    id.filter(|id| !id.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::queue_id;

    #[test]
    fn the_queue_id_is_found_where_servers_put_it() {
        for (reply, id) in [
            ("250 2.0.0 Ok: queued as 4Xb1Qk2Zz9z1c", Some("4Xb1Qk2Zz9z1c")),
            ("250 OK id=1tABcd-000000-1K", Some("1tABcd-000000-1K")),
            (
                "250 2.0.0 OK <abc@eurprd01.prod.outlook.com> [Hostname=X]",
                Some("abc@eurprd01.prod.outlook.com"),
            ),
            ("250 ok", None),
        ] {
            assert_eq!(queue_id(reply).as_deref(), id);
        }
    }
}
