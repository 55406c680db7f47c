//! *Test incoming* over IMAP: can the mailbox be read? Nothing is changed by it, and nothing marked as seen.

use super::stages::{self, MOST_JUNK, MOST_OVERSIZED, count, newest_text, size};
use super::{Done, Found, Steps, Stopped};
use crate::mail::imap::{self, Imap, Moved};
use crate::mail::record::{Protocol, Recorder};
use crate::mail::stream::{Recorded, Wire};
use crate::mail::{Connector, Login, MailError, folder};
use crate::model::mailbox::{Endpoint, Security};
use crate::model::report::{MessageSummary, Stage};
use std::time::Duration;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};

/// What is tested.
#[derive(Debug, Clone)]
pub struct ImapTarget {
    /// Server.
    pub endpoint: Endpoint,
    /// Sign-in.
    pub login: Login,
    /// Folder, as people write it.
    pub folder: String,
    /// How many of the newest messages are read?
    pub newest: u64,
    /// From how many octets on is a message oversized?
    pub oversized_over: u64,
    /// How many days of junk are counted?
    pub junk_days: u16,
}

/// The stages up to the open folder, and how many messages are in it.
async fn open(connector: &Connector, target: &ImapTarget, steps: &mut Steps) -> Result<(Imap, u64), Stopped> {
    let endpoint = &target.endpoint;
    let recorder = Recorder::new(Protocol::Imap);
    target.login.hide(&recorder);
    let mut stream = stages::open(connector, endpoint, &recorder, steps).await?;
    let preauth = steps.run(Stage::Greeting, greeting(&mut stream)).await?;
    let mut capabilities = steps.run(Stage::Capability, capability(&mut stream)).await?;
    if endpoint.security == Security::Starttls {
        let tcp = steps.run(Stage::Starttls, starttls(stream, &capabilities, preauth)).await?;
        let wire = steps.run(Stage::Tls, stages::tls(connector, tcp, &endpoint.host)).await?;
        stream = Recorded::new(wire, recorder);
        capabilities.clear();
    }
    let mut imap = steps.run(Stage::Auth, sign_in(stream, capabilities, preauth, target)).await?;

    let messages = steps.run(Stage::Select, select(&mut imap, &target.folder)).await?;
    Ok((imap, messages))
}

/// Asks whether the folder opens, and reads nothing in it.
pub async fn imap_opens(connector: &Connector, target: &ImapTarget, steps: &mut Steps) -> Result<(), Stopped> {
    let (mut imap, _) = open(connector, target, steps).await?;
    let _ = tokio::time::timeout(Duration::from_secs(1), imap.logout()).await;
    Ok(())
}

/// Moves a message to another folder, and no other. Where no answer came, it is looked where the message is.
pub async fn imap_moves(
    connector: &Connector,
    target: &ImapTarget,
    message: &MessageSummary,
    to: &str,
    steps: &mut Steps,
) -> Result<Moved, Stopped> {
    let (mut imap, _) = open(connector, target, steps).await?;
    let moving = async { Ok::<_, MailError>(Done::new(imap.move_message(message, to).await?, "")) };
    let moved = steps.run(Stage::Move, moving).await;
    if moved.is_err() && imap.has_asked() {
        let recorder = Recorder::new(Protocol::Imap);
        target.login.hide(&recorder);
        let looking = async {
            let mut imap = sign_in_at_once(connector, target, recorder).await?;
            let found = imap.look_again(message, to).await?;
            imap.logout().await;
            Ok::<_, MailError>(found)
        };
        return Ok(looked(Box::pin(looking)).await);
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), imap.logout()).await;
    moved
}

/// For how long is it looked where a message is whose move had no answer?
const LOOKING: Duration = Duration::from_secs(20);

/// What was found, or that it isn't known.
pub(super) async fn looked(looking: impl Future<Output = Result<Moved, MailError>>) -> Moved {
    match tokio::time::timeout(LOOKING, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => Moved::Unknown,
    }
}

/// Runs the stages. Counts go into the report's facts too.
pub async fn imap(connector: &Connector, target: &ImapTarget, steps: &mut Steps) -> Result<Found, Stopped> {
    let mut found = Found::default();
    let (mut imap, messages) = open(connector, target, steps).await?;
    found.messages = messages;
    steps.fact("messages", found.messages);
    found.unread = Some(steps.run(Stage::Unread, unread(&mut imap, &target.folder)).await?);
    steps.fact("unread", found.unread);
    (found.newest, found.oversized) = steps.run(Stage::Newest, newest(&mut imap, found.messages, target)).await?;
    let since = days_before(&steps.started_at(), target.junk_days);
    let junk = steps.run(Stage::Junk, junk(&mut imap, since, target.junk_days)).await?;
    (found.junk, found.junk_unread) = (junk.messages, junk.unread);
    if !junk.newest.is_empty() || !found.oversized.is_empty() {
        found.folders = junk.folders;
    }
    found.in_junk = junk.newest;
    steps.fact("junk", found.junk);
    steps.fact("junk_unread", found.junk_unread);

    let _ = tokio::time::timeout(Duration::from_secs(1), imap.logout()).await;
    Ok(found)
}

/// The stages up to the sign-in in one, for a test that needs them on the way.
pub(super) async fn sign_in_at_once(connector: &Connector, target: &ImapTarget, recorder: Recorder) -> Result<Imap, MailError> {
    let endpoint = &target.endpoint;
    let addresses = connector.resolve(endpoint).await?;
    let tcp = connector.connect(&addresses).await?.tcp;
    let encrypt = async |tcp| Ok::<_, MailError>(Wire::Tls(Box::new(connector.encrypt(tcp, &endpoint.host).await?.0)));
    let wire = match endpoint.security {
        Security::Tls => encrypt(tcp).await?,
        Security::Starttls | Security::None => Wire::Plain(tcp),
    };
    let mut stream = Recorded::new(wire, recorder.clone());
    let preauth = imap::greeting(&mut stream).await?.preauth;
    let mut capabilities = imap::capability(&mut stream).await?;
    if endpoint.security == Security::Starttls {
        let tcp = starttls(stream, &capabilities, preauth).await?.value;
        stream = Recorded::new(encrypt(tcp).await?, recorder);
        capabilities.clear();
    }
    Ok(sign_in(stream, capabilities, preauth, target).await?.value)
}

async fn greeting(stream: &mut Recorded) -> Result<Done<bool>, MailError> {
    let greeting = imap::greeting(stream).await?;
    Ok(Done::new(greeting.preauth, greeting.line))
}

async fn capability(stream: &mut Recorded) -> Result<Done<Vec<String>>, MailError> {
    let capabilities = imap::capability(stream).await?;
    let mechanisms: Vec<String> = capabilities
        .iter()
        .filter_map(|name| name.split_at_checked(5))
        .filter(|(head, _)| head.eq_ignore_ascii_case("AUTH="))
        .map(|(_, mechanism)| mechanism.to_owned())
        .collect();
    let detail = match mechanisms.as_slice() {
        [] => "no sign-in mechanism named".to_owned(),
        names => format!("signs in with {}", names.join(", ")),
    };
    let shown = capabilities.clone();
    Ok(Done::new(capabilities, detail).fact("auth", mechanisms).fact("capabilities", shown))
}

async fn starttls(mut stream: Recorded, capabilities: &[String], preauth: bool) -> Result<Done<tokio::net::TcpStream>, MailError> {
    if preauth {
        // Nobody can switch to encryption any more after this; an attacker on the way would say it.
        let offered = "PREAUTH instead".to_owned();
        return Err(MailError::StarttlsMissing { offered });
    }
    imap::starttls(&mut stream, capabilities).await?;
    let tcp = stream.into_tcp().ok_or(MailError::StarttlsInjected)?;
    Ok(Done::new(tcp, "the server switches to encryption"))
}

/// Signs in; capabilities of before the encryption do not count, so they come empty then.
async fn sign_in(mut stream: Recorded, mut capabilities: Vec<String>, preauth: bool, target: &ImapTarget) -> Result<Done<Imap>, MailError> {
    if preauth {
        let what = "the server says it is signed in already (PREAUTH), so the sign-in can't be tested";
        return Err(MailError::Malformed { what, reply: Vec::new() });
    }
    if capabilities.is_empty() {
        capabilities = imap::capability(&mut stream).await?;
    }
    let (imap, mechanism) = Imap::sign_in(stream, &capabilities, &target.login, &target.endpoint).await?;
    let (mechanism, user) = (mechanism.as_str(), target.login.user());
    Ok(Done::new(imap, format!("{mechanism} as {user}"))
        .fact("mechanism", mechanism)
        .fact("user", user))
}

async fn select(imap: &mut Imap, name: &str) -> Result<Done<u64>, MailError> {
    let messages = imap.examine(&folder::encode(name)).await?;
    Ok(Done::new(messages, count(messages, "message")).fact("messages", messages))
}

async fn unread(imap: &mut Imap, name: &str) -> Result<Done<u64>, MailError> {
    let unread = imap.unread(&folder::encode(name)).await?;
    let detail = match unread {
        0 => "0, that's fine".to_owned(),
        _ => unread.to_string(),
    };
    Ok(Done::new(unread, detail).fact("unread", unread))
}

type Lists = (Vec<MessageSummary>, Vec<MessageSummary>);

async fn newest(imap: &mut Imap, messages: u64, target: &ImapTarget) -> Result<Done<Lists>, MailError> {
    let limit = size(target.oversized_over);
    let newest = imap.newest(messages, target.newest).await?;
    let uids = match imap.larger(target.oversized_over).await {
        Ok(uids) => uids,
        Err(MailError::Refused { .. }) => {
            let detail = format!("{}; the server can't say which messages are over {limit}", newest_text(&newest));
            return Ok(Done::new((newest, Vec::new()), detail).warn());
        }
        Err(error) => return Err(error),
    };
    let listed = &uids[uids.len().saturating_sub(MOST_OVERSIZED)..];
    let oversized = imap.by_uid(listed).await?;
    let detail = match uids.len() {
        0 => format!("{}; none over {limit}", newest_text(&newest)),
        number => format!("{}; {number} over {limit}", newest_text(&newest)),
    };
    let newest_at = newest.first().map(|message| message.date.clone());
    Ok(Done::new((newest, oversized), detail)
        .fact("newest_at", newest_at)
        .fact("oversized", uids.len()))
}

/// What was found of junk, and on the way to it.
#[derive(Debug, Default)]
struct InJunk {
    messages: Option<u64>,
    unread: Option<u64>,
    newest: Vec<MessageSummary>,
    folders: Vec<String>,
}

async fn junk(imap: &mut Imap, since: Option<Date>, days: u16) -> Result<Done<InJunk>, MailError> {
    let (folders, name) = imap.folders().await?;
    let mut found = InJunk {
        folders,
        ..InJunk::default()
    };
    let Some(name) = name else {
        return Ok(Done::new(found, "no junk folder, that's fine"));
    };
    let shown = folder::decode(&name);
    let (messages, unread) = match imap.status(&name).await {
        Ok(counts) => counts,
        Err(MailError::Refused { reply, .. }) => {
            let said = reply.last().cloned().unwrap_or_default();
            return Ok(Done::new(found, format!("{shown} can't be counted: {said}"))
                .fact("folder", shown)
                .warn());
        }
        Err(error) => return Err(error),
    };
    let mut detail = format!("{} in {shown}", messages.map_or("unknown".to_owned(), |n| n.to_string()));
    if let Some(unread) = unread {
        detail.push_str(&format!(", {unread} unread"));
    }
    let mut done = Done::new((), String::new())
        .fact("folder", shown)
        .fact("junk", messages)
        .fact("junk_unread", unread);
    if let Some(since) = since
        && let Some(uids) = recent(imap, &name, since).await?
    {
        let recent = uids.len();
        detail.push_str(&format!(", {recent} in the last {}", count(u64::from(days), "day")));
        done = done.fact("recent", recent).fact("days", days);
        found.newest = match imap.by_uid(&uids[recent.saturating_sub(MOST_JUNK)..]).await {
            Err(MailError::Refused { .. }) => Vec::new(),
            other => other?,
        };
    }
    done.detail = detail;
    (found.messages, found.unread) = (messages, unread);
    Ok(done.with(found))
}

/// What came since that day; none if the server won't say.
async fn recent(imap: &mut Imap, name: &str, since: Date) -> Result<Option<Vec<u32>>, MailError> {
    let counted = async {
        imap.examine(name).await?;
        imap.since(since).await
    };
    match counted.await {
        Ok(recent) => Ok(Some(recent)),
        Err(MailError::Refused { .. } | MailError::FolderMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The day so many days before the test started.
fn days_before(started_at: &str, days: u16) -> Option<Date> {
    let started = OffsetDateTime::parse(started_at, &Rfc3339).ok()?;
    started.date().checked_sub(time::Duration::days(i64::from(days)))
}
