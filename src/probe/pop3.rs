//! *Test incoming* over POP3: can the mailbox be read? Headers only; nothing is deleted or fetched whole.

use super::stages::{self, MOST_OVERSIZED, count, newest_text, oversized_text};
use super::{Done, Found, Steps, Stopped};
use crate::mail::messages::of_header;
use crate::mail::pop3::{self, MOST_LISTED, Pop3};
use crate::mail::record::{Protocol, Recorder};
use crate::mail::stream::Recorded;
use crate::mail::{Connector, Login, MailError};
use crate::model::mailbox::{Endpoint, Security};
use crate::model::report::{MessageSummary, Stage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;

/// What is tested.
#[derive(Debug, Clone)]
pub struct Pop3Target {
    /// Server.
    pub endpoint: Endpoint,
    /// Sign-in.
    pub login: Login,
    /// How many of the newest messages are read?
    pub newest: u64,
    /// From how many octets on is a message oversized?
    pub oversized_over: u64,
}

/// The stages up to the sign-in, which opens the mailbox.
async fn open(connector: &Connector, target: &Pop3Target, steps: &mut Steps) -> Result<Pop3, Stopped> {
    let endpoint = &target.endpoint;
    let recorder = Recorder::new(Protocol::Pop3);
    target.login.hide(&recorder);
    let mut stream = stages::open(connector, endpoint, &recorder, steps).await?;
    steps.run(Stage::Greeting, greeting(&mut stream)).await?;
    let mut capabilities = Some(steps.run(Stage::Capability, capability(&mut stream)).await?);
    if endpoint.security == Security::Starttls {
        let offered = capabilities.take().unwrap_or_default();
        let tcp = steps.run(Stage::Starttls, starttls(stream, &offered)).await?;
        let wire = steps.run(Stage::Tls, stages::tls(connector, tcp, &endpoint.host)).await?;
        stream = Recorded::new(wire, recorder);
    }
    steps.run(Stage::Auth, sign_in(stream, capabilities, target)).await
}

/// Asks whether the mailbox opens, and reads nothing in it.
pub async fn pop3_opens(connector: &Connector, target: &Pop3Target, steps: &mut Steps) -> Result<(), Stopped> {
    let mut pop3 = open(connector, target, steps).await?;
    let _ = tokio::time::timeout(Duration::from_secs(1), pop3.quit()).await;
    Ok(())
}

/// Runs the stages. Counts go into the report's facts too.
pub async fn pop3(connector: &Connector, target: &Pop3Target, steps: &mut Steps) -> Result<Found, Stopped> {
    let mut found = Found::default();
    let mut pop3 = open(connector, target, steps).await?;
    found.messages = steps.run(Stage::Unread, messages(&mut pop3)).await?;
    steps.fact("messages", found.messages);
    steps.fact("unread", Value::Null);
    (found.newest, found.oversized) = steps.run(Stage::Newest, newest(&mut pop3, found.messages, target)).await?;

    let _ = tokio::time::timeout(Duration::from_secs(1), pop3.quit()).await;
    Ok(found)
}

async fn greeting(stream: &mut Recorded) -> Result<Done<()>, MailError> {
    Ok(Done::new((), pop3::greeting(stream).await?))
}

async fn capability(stream: &mut Recorded) -> Result<Done<Vec<String>>, MailError> {
    let capabilities = pop3::capabilities(stream).await?;
    let mechanisms = pop3::mechanisms(&capabilities);
    let detail = match mechanisms.as_slice() {
        _ if capabilities.is_empty() => "the server doesn't say what it can do".to_owned(),
        [] => "no sign-in mechanism named".to_owned(),
        names => format!("signs in with {}", names.join(", ")),
    };
    let shown = capabilities.clone();
    Ok(Done::new(capabilities, detail).fact("auth", mechanisms).fact("capabilities", shown))
}

async fn starttls(mut stream: Recorded, offered: &[String]) -> Result<Done<TcpStream>, MailError> {
    pop3::stls(&mut stream, offered).await?;
    let tcp = stream.into_tcp().ok_or(MailError::StarttlsInjected)?;
    Ok(Done::new(tcp, "the server switches to encryption"))
}

/// Signs in; capabilities of before the encryption do not count, so they are asked for again then.
async fn sign_in(mut stream: Recorded, capabilities: Option<Vec<String>>, target: &Pop3Target) -> Result<Done<Pop3>, MailError> {
    let capabilities = match capabilities {
        Some(capabilities) => capabilities,
        None => pop3::capabilities(&mut stream).await?,
    };
    let (pop3, how) = Pop3::sign_in(stream, capabilities, &target.login, &target.endpoint).await?;
    let user = target.login.user();
    Ok(Done::new(pop3, format!("{how} as {user}"))
        .fact("mechanism", how)
        .fact("user", user))
}

async fn messages(pop3: &mut Pop3) -> Result<Done<u64>, MailError> {
    let (messages, octets) = pop3.stat().await?;
    let detail = match messages {
        0 => "0 messages, that's fine".to_owned(),
        _ => format!("{}; POP can't tell which are unread", count(messages, "message")),
    };
    Ok(Done::new(messages, detail).fact("messages", messages).fact("octets", octets))
}

type Lists = (Vec<MessageSummary>, Vec<MessageSummary>);

async fn newest(pop3: &mut Pop3, messages: u64, target: &Pop3Target) -> Result<Done<Lists>, MailError> {
    let limit = target.oversized_over;
    let sizes = if messages == 0 {
        Vec::new()
    } else {
        pop3.sizes(messages, target.newest).await?
    };
    // Listed whole, the list is what STAT counted.
    let listed_whole = messages <= MOST_LISTED;
    let disagree = (listed_whole && usize::try_from(messages).ok() != Some(sizes.len())).then(|| {
        format!(
            "the server counts {} (STAT) and lists {} (LIST)",
            count(messages, "message"),
            sizes.len()
        )
    });
    let over: Vec<(u64, u64)> = sizes.iter().copied().filter(|(_, size)| *size > limit).collect();
    if !pop3.can_show_headers() {
        let mut detail = format!("{}; this server shows no headers (TOP)", oversized_text(over.len(), limit));
        if let Some(disagree) = disagree {
            detail = format!("{disagree}; {detail}");
        }
        return Ok(Done::new(Lists::default(), detail).fact("oversized", over.len()).warn());
    }
    let mut read = BTreeMap::new();
    let last = |list: &[(u64, u64)], count: usize| list[list.len().saturating_sub(count)..].to_vec();
    let wanted = last(&sizes, usize::try_from(target.newest).unwrap_or(usize::MAX));
    let listed = last(&over, MOST_OVERSIZED);
    for (number, size) in wanted.iter().chain(&listed) {
        if !read.contains_key(number) {
            let message = of_header(&pop3.header(*number).await?, *size);
            pop3.hide(&message);
            read.insert(*number, message);
        }
    }
    let newest = in_order(&wanted, &read);
    let newest_at = newest.first().map(|message| message.date.clone()).filter(|date| !date.is_empty());
    let lists = (newest, in_order(&listed, &read));
    let done = |text: String| Done::new((), format!("{}; {text}", newest_text(&lists.0))).fact("newest_at", newest_at);
    let done = if messages > MOST_LISTED {
        done("too many messages to look at the size of each".to_owned()).warn()
    } else {
        done(oversized_text(over.len(), limit)).fact("oversized", over.len())
    };
    let done = match disagree {
        Some(disagree) => {
            let detail = format!("{disagree}; {}", done.detail);
            Done { detail, ..done }.warn()
        }
        None => done,
    };
    Ok(done.with(lists))
}

/// The messages with these numbers, newest first. Of those that came in the same second, the later number is the newer.
fn in_order(numbers: &[(u64, u64)], read: &BTreeMap<u64, MessageSummary>) -> Vec<MessageSummary> {
    let mut list: Vec<MessageSummary> = numbers.iter().rev().filter_map(|(number, _)| read.get(number).cloned()).collect();
    list.sort_by(|a, b| b.date.cmp(&a.date));
    list
}
