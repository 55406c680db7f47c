//! *Test incoming* and *Test outgoing* through Microsoft Graph. Reading changes nothing; sending sends a real message, once.

use super::claims::claims;
use super::imap::looked;
use super::judgement::Expected;
use super::letter::Letter;
use super::stages::{self, MOST_JUNK, MOST_OVERSIZED, count, newest_text, oversized_text, size};
use super::{Done, Failure, Found, Steps, Stopped};
use crate::clock::Timestamp;
use crate::mail::graph::{Answer, Base, Folder, Graph, Outbound, Purpose, Whose};
use crate::mail::imap::Moved;
use crate::mail::record::{Protocol, Recorder};
use crate::mail::smtp::TestMail;
use crate::mail::stream::Wire;
use crate::mail::{Connector, Login, MailError};
use crate::model::mailbox::Security;
use crate::model::report::{Direction, MessageSummary, Stage};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// What every test through Graph needs.
#[derive(Debug, Clone)]
pub struct GraphTarget {
    /// Where Graph is.
    pub base: Base,
    /// Sign-in.
    pub login: Login,
    /// Whose mailbox is opened.
    pub whose: Whose,
    /// What the token should say.
    pub expected: Expected,
    /// Our own number for the requests.
    pub request_id: String,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub struct GraphReading {
    /// Folder, as people write it.
    pub folder: String,
    /// How many of the newest messages are read?
    pub newest: u64,
    /// From how many octets on is a message oversized?
    pub oversized_over: u64,
    /// How many days of junk are counted?
    pub junk_days: u16,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct GraphSending {
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
    /// Whether it goes to the mailbox alone that is tested. To others it goes with a mark that keeps machines from answering.
    pub to_itself: bool,
    /// Stop before it is sent.
    pub login_only: bool,
}

/// The stages both tests begin with.
async fn connect(connector: &Connector, target: &GraphTarget, direction: Direction, steps: &mut Steps) -> Result<Graph, Stopped> {
    let endpoint = &target.base.endpoint;
    let recorder = Recorder::new(Protocol::Graph);
    steps.listen(&recorder);
    let now = Timestamp(started(steps).map_or(0, OffsetDateTime::unix_timestamp));
    let token = steps
        .run(Stage::Claims, async { claims(&target.login, &target.expected, direction, now) })
        .await?;
    let addresses = steps.run(Stage::Dns, stages::dns(connector, endpoint)).await?;
    let tcp = steps.run(Stage::Tcp, stages::tcp(connector, &addresses)).await?;
    let wire = match endpoint.security {
        Security::Tls | Security::Starttls => steps.run(Stage::Tls, stages::tls(connector, tcp, &endpoint.host)).await?,
        Security::None => Wire::Plain(tcp),
    };
    let purpose = Purpose {
        base: target.base.clone(),
        whose: target.whose.clone(),
        token,
        request_id: target.request_id.clone(),
    };
    // Nothing is sent yet, so this can fail only where the token has characters that no header may have.
    match Graph::open(connector, addresses, wire, purpose, recorder).await {
        Ok(graph) => Ok(graph),
        Err(error) => {
            let stage = if direction == Direction::Incoming {
                Stage::Inbox
            } else {
                Stage::Send
            };
            steps.run(stage, async { Err::<Done<Graph>, _>(error) }).await
        }
    }
}

fn started(steps: &Steps) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&steps.started_at(), &Rfc3339).ok()
}

/// Reads through Graph. Counts go into the report's facts too.
pub async fn graph(connector: &Connector, target: &GraphTarget, reading: &GraphReading, steps: &mut Steps) -> Result<Found, Stopped> {
    let mut graph = connect(connector, target, Direction::Incoming, steps).await?;
    let folder = steps.run(Stage::Inbox, inbox(&mut graph, &reading.folder)).await?;
    steps.fact("messages", folder.messages);
    steps.fact("unread", folder.unread);
    let (newest, oversized) = steps.run(Stage::Newest, newest(&mut graph, &folder, reading)).await?;
    let since = started(steps).and_then(|now| now.checked_sub(Duration::days(i64::from(reading.junk_days))));
    let (junk, junk_unread, in_junk, folders) = steps
        .run(Stage::Junk, junk(&mut graph, since, reading.junk_days, !oversized.is_empty()))
        .await?;
    steps.fact("junk", junk);
    steps.fact("junk_unread", junk_unread);
    Ok(Found {
        messages: folder.messages,
        unread: Some(folder.unread),
        junk,
        junk_unread,
        newest,
        oversized,
        in_junk,
        folders,
    })
}

/// Asks whether a folder opens, and reads nothing in it.
pub async fn graph_opens(connector: &Connector, target: &GraphTarget, folder: &str, steps: &mut Steps) -> Result<(), Stopped> {
    let mut graph = connect(connector, target, Direction::Incoming, steps).await?;
    steps.run(Stage::Inbox, inbox(&mut graph, folder)).await?;
    Ok(())
}

/// Moves a message to another folder, and no other.
pub async fn graph_moves(
    connector: &Connector,
    target: &GraphTarget,
    message: &MessageSummary,
    to: &str,
    steps: &mut Steps,
) -> Result<Moved, Stopped> {
    let mut graph = connect(connector, target, Direction::Incoming, steps).await?;
    let moving = async { Ok::<_, MailError>(Done::new(graph.move_message(message, to).await?, "")) };
    let moved = steps.run(Stage::Move, moving).await;
    if moved.is_err() && graph.is_unanswered() {
        return Ok(looked(Box::pin(graph.look_again(message, to))).await);
    }
    moved
}

/// Sends through Graph, unless only the way there is tested.
pub async fn graph_send(connector: &Connector, target: &GraphTarget, sending: &GraphSending, steps: &mut Steps) -> Result<(), Stopped> {
    graph_letter(connector, target, sending, None, steps).await
}

/// Sends a message that has something to say.
pub async fn graph_letter(
    connector: &Connector,
    target: &GraphTarget,
    sending: &GraphSending,
    letter: Option<&Letter>,
    steps: &mut Steps,
) -> Result<(), Stopped> {
    let mut graph = connect(connector, target, Direction::Outgoing, steps).await?;
    if !sending.login_only {
        let date = started(steps).map_or(0, OffsetDateTime::unix_timestamp);
        steps.run(Stage::Send, send(&mut graph, sending, letter, Timestamp(date))).await?;
    }
    Ok(())
}

fn with_ids<T>(done: Done<T>, answer: &Answer) -> Done<T> {
    done.fact("request_id", answer.request_id.clone())
        .fact("client_request_id", answer.client_request_id.clone())
}

async fn inbox(graph: &mut Graph, name: &str) -> Result<Done<Folder>, MailError> {
    let found = if name.eq_ignore_ascii_case("inbox") {
        graph.folder("inbox").await?
    } else {
        graph.folder_named(name).await?
    };
    let Some((folder, answer)) = found else {
        let reply = vec![format!("Graph knows no folder \"{name}\" in this mailbox")];
        return Err(MailError::FolderMissing { reply });
    };
    let detail = match folder.unread {
        0 => format!("{}, 0 unread, that's fine", count(folder.messages, "message")),
        unread => format!("{}, {unread} unread", count(folder.messages, "message")),
    };
    let (messages, unread) = (folder.messages, folder.unread);
    let done = Done::new(folder, detail).fact("messages", messages).fact("unread", unread);
    Ok(with_ids(done, &answer))
}

type Lists = (Vec<MessageSummary>, Vec<MessageSummary>);

async fn newest(graph: &mut Graph, folder: &Folder, reading: &GraphReading) -> Result<Done<Lists>, MailError> {
    let limit = reading.oversized_over;
    let newest = graph.newest(folder, reading.newest).await?;
    let newest_at = newest.first().map(|message| message.date.clone());
    let larger = match graph.larger(folder, limit, MOST_OVERSIZED).await {
        Ok(larger) => larger,
        Err(MailError::Graph(error)) if matches!(error.status, 400 | 501) => {
            let detail = format!("{}; Graph can't say which messages are over {}", newest_text(&newest), size(limit));
            // Some say so of every mailbox, and nobody can mend it.
            return Ok(Done::new((newest, Vec::new()), detail).fact("newest_at", newest_at));
        }
        Err(error) => return Err(error),
    };
    let number = larger.messages.len();
    let more = if larger.more { " at least" } else { "" };
    let detail = format!("{}; {}{more}", newest_text(&newest), oversized_text(number, limit));
    Ok(Done::new((newest, larger.messages), detail)
        .fact("newest_at", newest_at)
        .fact("oversized", number))
}

/// Messages in junk, unread ones, the newest of them, and the folders of the mailbox.
type InJunk = (Option<u64>, Option<u64>, Vec<MessageSummary>, Vec<String>);

async fn junk(graph: &mut Graph, since: Option<OffsetDateTime>, days: u16, with_folders: bool) -> Result<Done<InJunk>, MailError> {
    let mut folders = Vec::new();
    if with_folders {
        folders = graph.folders().await?.into_iter().map(|(_, name)| name).collect();
    }
    let Some((folder, answer)) = graph.folder("junkemail").await? else {
        return Ok(Done::new((None, None, Vec::new(), folders), "no junk folder, that's fine"));
    };
    let mut newest = Vec::new();
    let name = if folder.name.is_empty() { "Junk" } else { &folder.name };
    let mut detail = format!("{} in {name}, {} unread", folder.messages, folder.unread);
    let mut done = Done::new((), String::new())
        .fact("folder", name)
        .fact("junk", folder.messages)
        .fact("junk_unread", folder.unread);
    let moment = since.and_then(|since| since.replace_nanosecond(0).ok()?.format(&Rfc3339).ok());
    if let Some(moment) = moment
        && let Some(recent) = graph.since(&folder, &moment).await?
    {
        detail.push_str(&format!(", {recent} in the last {}", count(u64::from(days), "day")));
        done = done.fact("recent", recent).fact("days", days);
        if recent > 0 {
            newest = graph.newest_since(&folder, &moment, MOST_JUNK).await?;
        }
    }
    done.detail = detail;
    let found = (Some(folder.messages), Some(folder.unread), newest, folders);
    Ok(with_ids(done.with(found), &answer))
}

async fn send(graph: &mut Graph, sending: &GraphSending, letter: Option<&Letter>, date: Timestamp) -> Result<Done<()>, Failure> {
    let mail = TestMail {
        from: sending.from.clone(),
        to: sending.to.clone(),
        bcc: sending.bcc.clone(),
        subject: sending.subject.clone(),
        message_id: sending.message_id.clone(),
        date,
        text: letter.map(|letter| letter.text.clone()),
    };
    let outbound = Outbound::prepare(&mail, !sending.to_itself)?;
    let (format, octets) = (outbound.format.as_str(), outbound.octets());
    if let Some(letter) = letter {
        letter.handing.ask().await?;
    }
    let answer = graph.send(outbound).await?;
    let done = Done::new((), "accepted (HTTP 202); Exchange delivers it from here on")
        .fact("from", sending.from.as_str())
        .fact("to", sending.to.as_str())
        .fact("bcc", sending.bcc.clone())
        .fact("format", format)
        .fact("octets", octets);
    Ok(with_ids(done, &answer))
}
