//! A Microsoft Graph that behaves, except where a test wants it otherwise: HTTP by hand, so that it can misbehave on the wire.

use super::imap_server::TOKEN;
use super::server::{Gone, Identity, Peer, Server};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// How it answers.
#[derive(Clone, Default)]
pub struct Graphd {
    /// What it answers instead to targets that contain this: status, header lines, body. The first that fits counts.
    pub instead: Vec<(&'static str, u16, String, String)>,
    /// What it sends as it stands, instead of any answer; then it ends the connection.
    pub raw: Option<String>,
    /// Ends the connection after every answer.
    pub hasty: bool,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Graphd {
    /// With another answer to targets that contain this.
    pub fn on(mut self, part: &'static str, status: u16, headers: &str, body: impl ToString) -> Self {
        self.instead.push((part, status, headers.to_owned(), body.to_string()));
        self
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub async fn start(&self, identity: Option<Identity>) -> Server {
        let this = Arc::new(self.clone());
        Server::start(identity, move |peer| {
            let this = Arc::clone(&this);
            async move { this.play(peer).await }
        })
        .await
    }

    async fn play(&self, mut peer: Peer) -> Result<(), Gone> {
        loop {
            let asked = read(&mut peer).await?;
            self.asked.lock().unwrap().push(asked.clone());
            if let Some(raw) = &self.raw {
                peer.send(raw).await?;
                return Ok(());
            }
            let found = self.instead.iter().find(|(part, ..)| asked.target.contains(part));
            let (status, headers, body) = match found {
                Some((_, _, _, body)) if body == "close" => return Ok(()),
                Some((_, _, _, body)) if body == "silence" => return peer.wait().await,
                Some((_, status, headers, body)) => (*status, headers.clone(), body.clone()),
                None => answer(&asked),
            };
            let closes = if self.hasty { "Connection: close\r\n" } else { "" };
            let client_id = asked.header("client-request-id");
            peer.send(format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nrequest-id: r-{status}\r\nclient-request-id: {client_id}\r\n{closes}{headers}\r\n{body}",
                body.len()
            ))
            .await?;
            if self.hasty {
                return Ok(());
            }
        }
    }
}

async fn read(peer: &mut Peer) -> Result<Asked, Gone> {
    let line = peer.line().await?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let line = peer.line().await?;
        match line.split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let mut asked = Asked {
        method,
        target,
        headers,
        body: String::new(),
    };
    let length = asked.header("content-length").parse().unwrap_or(0);
    asked.body = peer.exactly(length).await?;
    Ok(asked)
}

/// What Graph says when it says no.
pub fn error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "innerError": {
        "date": "2026-11-21T08:14:02", "request-id": "inner-r", "client-request-id": "inner-c"}}})
}

fn message(number: u32, size: u32) -> Value {
    json!({"id": format!("m{number}"), "subject": format!("Grüße {number}"), "receivedDateTime": format!("2026-11-21T08:00:0{number}Z"),
        "from": {"emailAddress": {"name": "Ann", "address": "ann@contoso.test"}},
        "singleValueExtendedProperties": [{"id": "Long 0xe08", "value": size.to_string()}]})
}

fn answer(asked: &Asked) -> (u16, String, String) {
    let json = |value: Value| (200, "Content-Type: application/json\r\n".to_owned(), value.to_string());
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        let body = error("InvalidAuthenticationToken", "Access token validation failure.");
        return (401, "Content-Type: application/json\r\n".to_owned(), body.to_string());
    }
    let target = asked.target.as_str();
    let folder = |name: &str, messages: u32, unread: u32| json!({"id": "f", "displayName": name, "totalItemCount": messages, "unreadItemCount": unread});
    match asked.method.as_str() {
        "POST" if target.ends_with("/sendMail") => (202, String::new(), String::new()),
        "GET" if target.contains("/mailFolders/junkemail/messages") => json(json!({"@odata.count": 2, "value": [{"id": "m"}]})),
        "GET" if target.contains("/mailFolders/junkemail?") => json(folder("Junk Email", 9, 4)),
        "GET" if target.contains("/messages?") && target.contains("$filter=singleValue") => {
            json(json!({"value": [message(3, 30_000_000)]}))
        }
        "GET" if target.contains("/messages?") => json(json!({"value": [message(3, 30_000_000), message(2, 700), message(1, 500)]})),
        "GET" if target.contains("/mailFolders/inbox?") => json(folder("Inbox", 3, 2)),
        "GET" if target.contains("/mailFolders?") => json(json!({"value": [folder("Tickets", 3, 1)]})),
        _ => (
            404,
            String::new(),
            error("ErrorItemNotFound", "The specified object was not found in the store.").to_string(),
        ),
    }
}
