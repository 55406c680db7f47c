//! Microsoft Graph: the requests that read and send mail, each a method, over a connection of our own, so that a test can tell name,
//! connection and encryption from what Graph says.

mod answer;
mod connection;
mod moving;
mod send;

pub use answer::{Answer, GraphError, Strange};
pub use connection::{Graph, Purpose};
pub use send::{Format, LARGEST_REQUEST, Outbound};

use super::error::MailError;
use crate::model::mailbox::{Endpoint, Security};
use crate::model::report::{MessageSummary, Spot};
use answer::text;
use serde_json::Value;
use url::Url;

/// The size of a message (PidTagMessageSize), which Graph has under no name of its own.
const SIZE: &str = "Long 0x0E08";
const COUNTS: &str = "displayName,unreadItemCount,totalItemCount";
/// How many characters of a sender or subject are kept?
const KEPT: usize = 300;
/// How many of an id?
const LONGEST_ID: usize = 600;

/// Where Graph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Host, port and encryption.
    pub endpoint: Endpoint,
    /// As the header names it.
    authority: String,
    /// What every path begins with: `/v1.0`.
    prefix: String,
}

impl Base {
    /// Reads the address of Graph; none where it can't be used.
    pub fn parse(address: &str) -> Option<Self> {
        let url = Url::parse(address.trim()).ok()?;
        let security = match url.scheme() {
            "https" => Security::Tls,
            "http" => Security::None,
            _ => return None,
        };
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| plain && !host.is_empty())?;
        let path = url.path().trim_end_matches('/');
        let versioned = path.ends_with("/v1.0") || path.ends_with("/beta");
        Some(Self {
            endpoint: Endpoint {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port: url.port_or_known_default()?,
                security,
            },
            authority: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            prefix: if versioned { path.to_owned() } else { format!("{path}/v1.0") },
        })
    }
}

/// Whose mailbox is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// That of the token's own account; app-only tokens have none.
    Me,
    /// The one with this address: a shared one, or any with an app-only token.
    User(String),
}

impl Whose {
    fn path(&self) -> String {
        match self {
            Self::Me => "/me".to_owned(),
            Self::User(address) => format!("/users/{}", encoded(address)),
        }
    }
}

/// A text in a path or query.
fn encoded(text: &str) -> String {
    let serialized: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    serialized.replace('+', "%20")
}

/// A query; the names of Graph's options keep their dollar sign.
fn query(pairs: &[(&str, &str)]) -> String {
    let each: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    each.join("&")
}

/// A folder, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// What paths call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Messages in it.
    pub messages: u64,
    /// How many of them are unread.
    pub unread: u64,
}

impl Folder {
    fn read(id: Option<&str>, value: &Value) -> Option<Self> {
        Some(Self {
            id: match id {
                Some(id) => id.to_owned(),
                None => value.get("id")?.as_str()?.to_owned(),
            },
            name: text(value.get("displayName"), KEPT),
            messages: value.get("totalItemCount")?.as_u64()?,
            unread: value.get("unreadItemCount")?.as_u64()?,
        })
    }
}

/// What is over a size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Larger {
    /// The newest of them, newest first.
    pub messages: Vec<MessageSummary>,
    /// Whether there are more.
    pub more: bool,
}

impl Graph {
    /// A folder by its well-known name; none if the mailbox has no such folder.
    pub async fn folder(&mut self, well_known: &str) -> Result<Option<(Folder, Answer)>, MailError> {
        let path = format!("{}/mailFolders/{well_known}?{}", self.whose().path(), query(&[("$select", COUNTS)]));
        match self.get(&path).await {
            Ok((value, answer)) => match Folder::read(Some(well_known), &value) {
                Some(folder) => Ok(Some((folder, answer))),
                None => Err(self.nonsense()),
            },
            Err(MailError::Graph(error)) if error.is("ErrorItemNotFound") || error.is("ErrorFolderNotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A folder by the name people gave it.
    pub async fn folder_named(&mut self, name: &str) -> Result<Option<(Folder, Answer)>, MailError> {
        let wanted = format!("displayName eq '{}'", name.replace('\'', "''"));
        let select = format!("id,{COUNTS}");
        let path = format!(
            "{}/mailFolders?{}",
            self.whose().path(),
            query(&[("$filter", &wanted), ("$select", &select), ("$top", "10")])
        );
        let (value, answer) = self.get(&path).await?;
        let list = self.list(&value)?;
        let named = |value: &&Value| {
            let shown = value.get("displayName").and_then(Value::as_str);
            shown.is_some_and(|shown| shown.eq_ignore_ascii_case(name))
        };
        Ok(list
            .iter()
            .find(named)
            .and_then(|value| Folder::read(None, value))
            .map(|folder| (folder, answer)))
    }

    /// The newest messages of a folder, newest first.
    pub async fn newest(&mut self, folder: &Folder, count: u64) -> Result<Vec<MessageSummary>, MailError> {
        if folder.messages == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let top = count.to_string();
        let (value, _) = self
            .messages(folder, &[("$top", &top), ("$orderby", "receivedDateTime desc")])
            .await?;
        let mut list: Vec<MessageSummary> = self.list(&value)?.iter().map(|value| summary(value, &folder.name)).collect();
        list.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Ok(list)
    }

    /// The messages of a folder above a size, so many at most.
    pub async fn larger(&mut self, folder: &Folder, octets: u64, most: usize) -> Result<Larger, MailError> {
        let over = format!("singleValueExtendedProperties/any(ep: ep/id eq '{SIZE}' and cast(ep/value, Edm.Int64) gt {octets})");
        let top = most.to_string();
        let (value, _) = self.messages(folder, &[("$filter", &over), ("$top", &top)]).await?;
        // A server that doesn't know the filter may leave it out.
        let list = self.list(&value)?.iter().map(|value| summary(value, &folder.name));
        let mut messages: Vec<MessageSummary> = list.filter(|message| message.size > octets).take(most).collect();
        messages.sort_by(|a, b| b.date.cmp(&a.date));
        Ok(Larger {
            messages,
            more: value.get("@odata.nextLink").is_some(),
        })
    }

    /// The newest messages of a folder that came since a moment, newest first; none if the server won't say.
    pub async fn newest_since(&mut self, folder: &Folder, moment: &str, count: usize) -> Result<Vec<MessageSummary>, MailError> {
        let (since, top) = (format!("receivedDateTime ge {moment}"), count.to_string());
        let options = [("$filter", since.as_str()), ("$top", &top), ("$orderby", "receivedDateTime desc")];
        match self.messages(folder, &options).await {
            Ok((value, _)) => Ok(self
                .list(&value)?
                .iter()
                .map(|value| summary(value, &folder.name))
                .take(count)
                .collect()),
            Err(MailError::Graph(error)) if error.status == 400 || error.status == 501 => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn messages(&mut self, folder: &Folder, options: &[(&str, &str)]) -> Result<(Value, Answer), MailError> {
        let expand = format!("singleValueExtendedProperties($filter=id eq '{SIZE}')");
        let mut pairs = vec![
            ("$select", "subject,from,receivedDateTime,internetMessageId"),
            ("$expand", expand.as_str()),
        ];
        pairs.extend_from_slice(options);
        let path = format!(
            "{}/mailFolders/{}/messages?{}",
            self.whose().path(),
            encoded(&folder.id),
            query(&pairs)
        );
        self.get(&path).await
    }

    /// How many messages of a folder came since a moment; none if the server won't say.
    pub async fn since(&mut self, folder: &Folder, moment: &str) -> Result<Option<u64>, MailError> {
        let since = format!("receivedDateTime ge {moment}");
        let path = format!(
            "{}/mailFolders/{}/messages?{}",
            self.whose().path(),
            encoded(&folder.id),
            query(&[("$filter", &since), ("$count", "true"), ("$top", "1"), ("$select", "id")])
        );
        match self.get(&path).await {
            Ok((value, _)) => Ok(value.get("@odata.count").and_then(Value::as_u64)),
            Err(MailError::Graph(error)) if error.status == 400 || error.status == 501 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list<'v>(&self, value: &'v Value) -> Result<&'v Vec<Value>, MailError> {
        value.get("value").and_then(Value::as_array).ok_or_else(|| self.nonsense())
    }
}

fn summary(value: &Value, folder: &str) -> MessageSummary {
    let sender = value.pointer("/from/emailAddress");
    let part = |name: &str| text(sender.and_then(|sender| sender.get(name)), KEPT);
    let (name, address) = (part("name"), part("address"));
    let size = value
        .pointer("/singleValueExtendedProperties/0/value")
        .and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
    MessageSummary {
        from: if name.is_empty() || name == address {
            address
        } else {
            format!("{name} <{address}>")
        },
        subject: text(value.get("subject"), KEPT),
        date: text(value.get("receivedDateTime"), 40),
        size: size.unwrap_or_default(),
        spot: value.get("id").and_then(Value::as_str).map(|id| Spot::Graph {
            folder: folder.to_owned(),
            id: id.chars().take(LONGEST_ID).collect(),
            message_id: text(value.get("internetMessageId"), KEPT),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_graph_is_one_or_is_refused() {
        let base = Base::parse("https://graph.microsoft.com").unwrap();
        assert_eq!(base.endpoint.destination(), "graph.microsoft.com:443/tls");
        assert_eq!((base.authority.as_str(), base.prefix.as_str()), ("graph.microsoft.com", "/v1.0"));
        let base = Base::parse("http://127.0.0.1:8123/graph/").unwrap();
        assert_eq!(base.endpoint.destination(), "127.0.0.1:8123/none");
        assert_eq!((base.authority.as_str(), base.prefix.as_str()), ("127.0.0.1:8123", "/graph/v1.0"));
        assert_eq!(Base::parse("https://[::1]:9/beta").unwrap().endpoint.host, "::1");
        for bad in [
            "",
            "graph.microsoft.com",
            "ftp://x.test",
            "https://a:b@x.test",
            "https://x.test/?a",
            "https://x.test/#a",
        ] {
            assert_eq!(Base::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_a_path() {
        assert_eq!(Whose::User("a/../b?c@x.test".to_owned()).path(), "/users/a%2F..%2Fb%3Fc%40x.test");
        assert_eq!(query(&[("$filter", "a eq 'b&c' desc")]), "$filter=a%20eq%20%27b%26c%27%20desc");
    }

    #[test]
    fn messages_are_read_whatever_is_missing() {
        let value = serde_json::json!({
            "subject": "Grüße\u{7}", "receivedDateTime": "2026-11-21T08:00:00Z",
            "from": {"emailAddress": {"name": "Ann", "address": "ann@x.test"}},
            "singleValueExtendedProperties": [{"id": "Long 0xe08", "value": "1234"}]
        });
        let read = summary(&value, "");
        assert_eq!((read.from.as_str(), read.size), ("Ann <ann@x.test>", 1234));
        assert_eq!(read.subject, "Grüße\u{fffd}");
        for odd in ["{}", "[]", "null", r#"{"from":7,"subject":{},"singleValueExtendedProperties":[7]}"#] {
            assert_eq!(summary(&serde_json::from_str(odd).unwrap(), "").size, 0);
        }
    }
}
