//! Sending: as a document, or as a message in MIME where it has something no document can carry.

use super::answer::Answer;
use super::connection::Graph;
use crate::mail::error::MailError;
use crate::mail::smtp::TestMail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long may a request be? Graph says about 4 MB.
pub const LARGEST_REQUEST: usize = 4_000_000;

/// How a message is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A document.
    Json,
    /// A message in MIME, in base64.
    Mime,
}

impl Format {
    /// In reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Mime => "mime",
        }
    }
}

/// A message ready to be handed to Graph.
pub struct Outbound {
    /// How.
    pub format: Format,
    body: Vec<u8>,
}

impl Outbound {
    /// Builds the request. `marked` says that the message must carry the mark that keeps machines from answering it (RFC 3834), which
    /// documents can't: their headers begin with `X-`.
    pub fn prepare(mail: &TestMail, marked: bool) -> Result<Self, MailError> {
        let message = mail.message(true)?;
        let (format, body) = if marked {
            (Format::Mime, STANDARD.encode(message.formatted()).into_bytes())
        } else {
            (Format::Json, document(mail).to_string().into_bytes())
        };
        Self::limited(format, body)
    }

    /// A request that isn't too long for Graph.
    pub fn limited(format: Format, body: Vec<u8>) -> Result<Self, MailError> {
        if body.len() > LARGEST_REQUEST {
            return Err(MailError::TooLarge { octets: body.len() });
        }
        Ok(Self { format, body })
    }

    /// How long the request is.
    pub fn octets(&self) -> usize {
        self.body.len()
    }
}

fn document(mail: &TestMail) -> Value {
    let address = |address: &str| json!({ "emailAddress": { "address": address } });
    let copies: Vec<Value> = mail.bcc.iter().map(|copy| address(copy)).collect();
    json!({
        "message": {
            "subject": mail.subject,
            "body": { "contentType": "Text", "content": mail.text() },
            "from": address(&mail.from),
            "toRecipients": [address(&mail.to)],
            "bccRecipients": copies,
            // Exchange's own way of keeping machines from answering.
            "internetMessageHeaders": [{ "name": "X-Auto-Response-Suppress", "value": "All" }]
        },
        "saveToSentItems": false
    })
}

impl Graph {
    /// Hands a message over, and says what Graph answered. It is accepted then; Exchange may still return it.
    pub async fn send(&mut self, outbound: Outbound) -> Result<Answer, MailError> {
        let path = format!("{}/sendMail", self.whose().path());
        let content_type = match outbound.format {
            Format::Json => "application/json",
            Format::Mime => "text/plain",
        };
        self.post(&path, content_type, outbound.body).await
    }
}
