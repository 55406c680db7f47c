//! IMAP (RFC 3501), reading only: folders are opened with EXAMINE and nothing is fetched that marks a message as seen.
//!
//! async-imap frames and parses; commands, their order and what a refusal means are ours, because a test has to say which command
//! failed and with which words.

mod before_sign_in;
mod moving;

pub use before_sign_in::{Greeting, capability, greeting, starttls};
pub use moving::Moved;

use super::error::MailError;
use super::folder::Use;
use super::record::Recorder;
use super::sasl::{self, Mechanism};
use super::stream::Recorded;
use super::{Login, checked, folder};
use crate::model::mailbox::Endpoint;
use crate::model::report::MessageSummary;
use async_imap::error::Error as ImapError;
use async_imap::{Authenticator, Client, Session};
use before_sign_in::{mechanisms, offers};
use imap_proto::{AttributeValue, Capability, MailboxDatum, NameAttribute, Response, ResponseCode, Status, StatusAttribute};
use zeroize::Zeroizing;

/// Names junk folders go by where servers don't mark them.
const JUNK_NAMES: [&str; 5] = ["Junk Email", "[Gmail]/Spam", "Bulk", "Spam", "Junk"];

/// Answers the server's questions during AUTHENTICATE: first the message, then whatever makes it come to its refusal.
struct Answers<'a> {
    mechanism: Mechanism,
    message: Option<Zeroizing<Vec<u8>>>,
    shown: String,
    recorder: &'a Recorder,
    document: &'a mut Option<String>,
}

impl Authenticator for Answers<'_> {
    type Response = Zeroizing<Vec<u8>>;

    fn process(&mut self, _challenge: &[u8]) -> Self::Response {
        if let Some(message) = self.message.take() {
            self.recorder.instead(std::mem::take(&mut self.shown));
            return message;
        }
        let question = self.recorder.reply().pop().unwrap_or_default();
        self.document
            .get_or_insert_with(|| sasl::document(question.trim_start_matches('+')));
        Zeroizing::new(self.mechanism.dummy().to_vec())
    }
}

/// A connection that is signed in.
pub struct Imap {
    session: Session<Recorded>,
    recorder: Recorder,
    capabilities: Vec<String>,
    /// The folder that is open, and whose numbers its messages have.
    opened: Option<(String, u32)>,
    /// Whether something that changes the mailbox was asked for, and not refused.
    asked: bool,
}

impl Imap {
    /// Signs in on a connection whose capabilities are known, and says how.
    pub async fn sign_in(
        stream: Recorded,
        capabilities: &[String],
        login: &Login,
        endpoint: &Endpoint,
    ) -> Result<(Self, Mechanism), MailError> {
        let recorder = stream.recorder().clone();
        let mechanism = Mechanism::choose(login, &endpoint.host, &mechanisms(capabilities))?;
        login.hide(&recorder);
        let client = Client::new(stream);
        let (user, mut document) = (checked("user name", login.user())?, None);
        let result = match (mechanism, login) {
            (Mechanism::Login, Login::Password { password, .. }) => {
                let password = checked("password", password.expose_secret())?;
                recorder.instead(format!("(LOGIN as {user})"));
                client.login(user, password).await
            }
            _ => {
                let message = mechanism.message(login, endpoint)?;
                recorder.hide_encoded(&message);
                let answers = Answers {
                    shown: format!("({} as {user}, {} octets)", mechanism.as_str(), message.len()),
                    message: Some(message),
                    mechanism,
                    recorder: &recorder,
                    document: &mut document,
                };
                recorder.authenticating(true);
                client.authenticate(mechanism.as_str(), answers).await
            }
        };
        recorder.authenticating(false);
        let session = result.map_err(|(error, _)| match error {
            ImapError::No(_) | ImapError::Bad(_) => MailError::Refused {
                reply: recorder.reply(),
                document,
            },
            other => lost(&other, &recorder, "during the sign-in"),
        })?;
        recorder.signed_in();
        let mut imap = Self {
            session,
            recorder,
            capabilities: capabilities.to_vec(),
            opened: None,
            asked: false,
        };
        imap.refresh_capabilities().await?;
        Ok((imap, mechanism))
    }

    /// Servers know more once we are signed in.
    async fn refresh_capabilities(&mut self) -> Result<(), MailError> {
        let mut found = Vec::new();
        let result = self
            .command("CAPABILITY", |response| {
                if let Response::Capabilities(capabilities) = response {
                    found = capabilities.iter().map(capability_name).collect();
                }
            })
            .await;
        match result {
            Ok(()) if !found.is_empty() => self.capabilities = found,
            // Some servers refuse it here; what they said before stands then.
            Ok(()) | Err(MailError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Opens a folder for reading only, and says how many messages are in it.
    pub async fn examine(&mut self, wire_name: &str) -> Result<u64, MailError> {
        self.open("EXAMINE", wire_name).await
    }

    async fn open(&mut self, how: &str, wire_name: &str) -> Result<u64, MailError> {
        let (mut messages, mut validity) = (0, None);
        let command = format!("{how} {}", quoted("folder", wire_name)?);
        self.opened = None;
        self.command(&command, |response| match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => messages = u64::from(*count),
            Response::Data { outcome, .. } => {
                if let Some(ResponseCode::UidValidity(number)) = &outcome.code {
                    validity = Some(*number);
                }
            }
            _ => {}
        })
        .await
        .map_err(|error| match error {
            MailError::Refused { reply, .. } if is_missing(&reply) => MailError::FolderMissing { reply },
            other => other,
        })?;
        self.opened = validity.map(|validity| (wire_name.to_owned(), validity));
        Ok(messages)
    }

    /// The folder that is open, and whose numbers its messages have; none where the server does not say.
    pub(super) fn opened(&self) -> Option<&(String, u32)> {
        self.opened.as_ref()
    }

    /// How many messages are in a folder, and how many of them are unread.
    pub async fn status(&mut self, wire_name: &str) -> Result<(Option<u64>, Option<u64>), MailError> {
        let (mut messages, mut unread) = (None, None);
        let command = format!("STATUS {} (MESSAGES UNSEEN)", quoted("folder", wire_name)?);
        self.command(&command, |response| {
            if let Response::MailboxData(MailboxDatum::Status { status, .. }) = response {
                for attribute in status {
                    match attribute {
                        StatusAttribute::Messages(count) => messages = Some(u64::from(*count)),
                        StatusAttribute::Unseen(count) => unread = Some(u64::from(*count)),
                        _ => {}
                    }
                }
            }
        })
        .await?;
        Ok((messages, unread))
    }

    /// How many messages of the opened folder are unread.
    pub async fn unread(&mut self, wire_name: &str) -> Result<u64, MailError> {
        match self.status(wire_name).await {
            Ok((_, Some(unread))) => return Ok(unread),
            Ok(_) | Err(MailError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(self.search("UNSEEN").await?.len() as u64)
    }

    /// The UIDs of the messages that fit; the criteria are ours, not taken from outside.
    async fn search(&mut self, criteria: &str) -> Result<Vec<u32>, MailError> {
        let mut uids = Vec::new();
        self.command(&format!("UID SEARCH {criteria}"), |response| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = response {
                uids.extend_from_slice(found);
            }
        })
        .await?;
        uids.sort_unstable();
        Ok(uids)
    }

    /// Messages of the opened folder above a size.
    pub async fn larger(&mut self, octets: u64) -> Result<Vec<u32>, MailError> {
        self.search(&format!("LARGER {octets}")).await
    }

    /// The messages of the opened folder that came since that day.
    pub async fn since(&mut self, day: time::Date) -> Result<Vec<u32>, MailError> {
        let month = day.month().to_string();
        let month = month.get(..3).unwrap_or(&month);
        let criteria = format!("SINCE {}-{month}-{:04}", day.day(), day.year());
        self.search(&criteria).await
    }

    /// The message of the opened folder with this Message-ID.
    pub async fn with_message_id(&mut self, message_id: &str) -> Result<Option<u32>, MailError> {
        let criteria = format!("HEADER Message-ID {}", quoted("message id", message_id)?);
        let found = self.search(&criteria).await?;
        Ok(found.last().copied())
    }

    /// Runs a FETCH of things that leave messages unseen.
    pub(super) async fn fetch(&mut self, command: &str, mut each: impl FnMut(&[AttributeValue<'_>]) + Send) -> Result<(), MailError> {
        self.recorder.want_messages(true);
        let result = self
            .command(command, |response| {
                if let Response::Fetch(_, attributes) = response {
                    each(attributes);
                }
            })
            .await;
        self.recorder.want_messages(false);
        result
    }

    /// Keeps what these messages are about, and whose they are, out of what is recorded.
    pub(super) fn hide(&self, messages: &[MessageSummary]) {
        self.recorder.hide_messages(messages);
    }

    /// The folders of the mailbox as the server names them, in the order people look for them; and its junk folder: by its mark (RFC 6154), else by the names junk folders go by.
    pub async fn folders(&mut self) -> Result<(Vec<String>, Option<String>), MailError> {
        const PLAIN: &str = "LIST \"\" \"*\"";
        const MARKED: &str = "LIST \"\" \"*\" RETURN (SPECIAL-USE)";
        let mut folders = Folders::default();
        // Most servers mark folders in a plain LIST too, but need to do so only when asked.
        let can_ask = offers(&self.capabilities, "SPECIAL-USE") && offers(&self.capabilities, "LIST-EXTENDED");
        let command = if can_ask { MARKED } else { PLAIN };
        match self.command(command, |response| folders.see(response)).await {
            Err(MailError::Refused { .. }) if can_ask => self.command(PLAIN, |response| folders.see(response)).await?,
            other => other?,
        }
        folders.all.sort();
        let all = folders.all.into_iter().map(|(_, _, name)| name).collect();
        Ok((all, folders.marked.or(folders.named.map(|(_, name)| name))))
    }

    /// The junk folder as the server names it.
    pub async fn junk_folder(&mut self) -> Result<Option<String>, MailError> {
        Ok(self.folders().await?.1)
    }

    /// Says goodbye; how the server takes it is of no interest.
    pub async fn logout(&mut self) {
        let _ = self.command("LOGOUT", |_| {}).await;
    }

    /// Runs a command and shows its data; what goes into the command was checked.
    async fn command(&mut self, command: &str, mut each: impl FnMut(&Response<'_>) + Send) -> Result<(), MailError> {
        const WHEN: &str = "in the middle of the conversation";
        let id = self.session.run_command(command).await;
        let id = id.map_err(|error| lost(&error, &self.recorder, WHEN))?;
        loop {
            let response = match self.session.read_response().await {
                Ok(Some(response)) => response,
                Ok(None) => return Err(MailError::closed(&self.recorder, WHEN)),
                Err(error) => return Err(MailError::io(&error, &self.recorder, WHEN)),
            };
            match response.parsed() {
                Response::Done { tag, status, .. } if *tag == id => {
                    return match status {
                        Status::Ok => Ok(()),
                        _ => Err(MailError::refused(&self.recorder)),
                    };
                }
                Response::Done { .. } | Response::Continue(_) => {
                    return Err(MailError::malformed(
                        "the server answers something else than what was asked",
                        &self.recorder,
                    ));
                }
                other => each(other),
            }
        }
    }
}

fn lost(error: &ImapError, recorder: &Recorder, when: &'static str) -> MailError {
    match error {
        ImapError::Io(error) => MailError::io(error, recorder, when),
        ImapError::ConnectionLost => MailError::closed(recorder, when),
        _ => MailError::malformed("the reply can't be understood", recorder),
    }
}

fn capability_name(capability: &Capability<'_>) -> String {
    match capability {
        Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
        Capability::Auth(name) => format!("AUTH={name}"),
        Capability::Atom(name) => name.to_string(),
    }
}

/// How many folders are kept?
const MOST_FOLDERS: usize = 500;

/// What a list of folders says.
#[derive(Default)]
struct Folders {
    /// What each is for, its name as people compare it, and as the server names it.
    all: Vec<(Use, String, String)>,
    marked: Option<String>,
    /// With the place of its name in [`JUNK_NAMES`].
    named: Option<(usize, String)>,
}

/// What a mark says that a folder is for (RFC 6154).
fn marked(attributes: &[NameAttribute<'_>]) -> Option<Use> {
    attributes.iter().find_map(|attribute| match attribute {
        NameAttribute::Archive => Some(Use::Archive),
        NameAttribute::Sent => Some(Use::Sent),
        NameAttribute::Drafts => Some(Use::Drafts),
        NameAttribute::All | NameAttribute::Flagged => Some(Use::View),
        NameAttribute::Junk => Some(Use::Junk),
        NameAttribute::Trash => Some(Use::Deleted),
        _ => None,
    })
}

impl Folders {
    fn see(&mut self, response: &Response<'_>) {
        let Response::MailboxData(MailboxDatum::List(list)) = response else {
            return;
        };
        if list.name_attributes.contains(&NameAttribute::NoSelect) {
            return;
        }
        let decoded = folder::decode(&list.name);
        let delimiter = list.delimiter.as_deref().unwrap_or("/");
        let below_inbox = decoded.strip_prefix("INBOX").and_then(|rest| rest.strip_prefix(delimiter));
        if self.all.len() < MOST_FOLDERS {
            let used = marked(&list.name_attributes).unwrap_or_else(|| Use::by_name(below_inbox.unwrap_or(&decoded)));
            self.all.push((used, decoded.to_lowercase(), list.name.to_string()));
        }
        if list.name_attributes.contains(&NameAttribute::Junk) {
            self.marked.get_or_insert_with(|| list.name.to_string());
        }
        let place = |name: &str| JUNK_NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        if let Some(place) = place(&decoded).or_else(|| below_inbox.and_then(place))
            && self.named.as_ref().is_none_or(|(best, _)| place < *best)
        {
            self.named = Some((place, list.name.to_string()));
        }
    }
}

/// A quoted string; refuses what could break out of it (INJ-2).
fn quoted(what: &'static str, text: &str) -> Result<String, MailError> {
    let text = checked(what, text)?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Whether a refused EXAMINE means that there is no such folder.
fn is_missing(reply: &[String]) -> bool {
    let text = reply.join(" ").to_ascii_lowercase();
    [
        "[nonexistent]",
        "[trycreate]",
        "doesn't exist",
        "does not exist",
        "unknown mailbox",
        "no such mailbox",
    ]
    .iter()
    .any(|words| text.contains(words))
}
