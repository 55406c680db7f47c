//! The connection: HTTP/1.1 over a socket that was opened through the gate, nothing followed, nothing kept but what is read.

use super::answer::{Answer, GraphError, Strange};
use super::{Base, Whose};
use crate::mail::error::MailError;
use crate::mail::net::Connector;
use crate::mail::record::Recorder;
use crate::mail::stream::Wire;
use crate::model::mailbox::Security;
use crate::secret::AccessToken;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio_util::task::AbortOnDropHandle;

const WHEN: &str = "in the middle of the conversation";
/// How much of an answer is read, of its header and of its body?
const LARGEST_HEADER: usize = 64 * 1024;
const LARGEST_BODY: usize = 2 * 1024 * 1024;
const MOST_HEADERS: usize = 64;
/// Longest refusal that is looked into; Graph's own have a few lines.
const LARGEST_ERROR: usize = 64 * 1024;
/// Numbers of a request that reports show.
const REQUEST_IDS: [&str; 2] = ["request-id", "client-request-id"];

/// A connection to Graph that opens one mailbox with one token.
pub struct Graph {
    connector: Connector,
    addresses: Vec<SocketAddr>,
    base: Base,
    whose: Whose,
    authorization: HeaderValue,
    request_id: String,
    recorder: Recorder,
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
    /// Whether it has answered as Graph does.
    known: bool,
    /// Whether something that changes the mailbox was sent, and its answer not read.
    unanswered: bool,
}

/// What a connection is for.
pub struct Purpose {
    /// Where Graph is.
    pub base: Base,
    /// Whose mailbox is opened.
    pub whose: Whose,
    /// With what.
    pub token: AccessToken,
    /// Our own number for the requests, which Microsoft writes down beside its own.
    pub request_id: String,
}

impl Graph {
    /// Speaks HTTP over a connection to one of these addresses.
    pub async fn open(
        connector: &Connector,
        addresses: Vec<SocketAddr>,
        wire: Wire,
        purpose: Purpose,
        recorder: Recorder,
    ) -> Result<Self, MailError> {
        let unsendable = |_| MailError::Unsendable { what: "access token" };
        recorder.hide(purpose.token.expose_secret());
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", purpose.token.expose_secret())).map_err(unsendable)?;
        authorization.set_sensitive(true);
        let (sender, driver) = handshake(wire).await.map_err(|error| lost(&error, &recorder))?;
        Ok(Self {
            connector: connector.clone(),
            addresses,
            base: purpose.base,
            whose: purpose.whose,
            authorization,
            request_id: purpose.request_id,
            recorder,
            sender,
            _driver: driver,
            known: false,
            unanswered: false,
        })
    }

    /// Whose mailbox it opens.
    pub fn whose(&self) -> &Whose {
        &self.whose
    }

    /// The error that what came isn't what Graph says.
    pub(super) fn nonsense(&self) -> MailError {
        MailError::Strange(Strange::Nonsense)
    }

    /// A document.
    pub(super) async fn get(&mut self, path: &str) -> Result<(Value, Answer), MailError> {
        self.renew_if_closed().await?;
        let request = self.request(Method::GET, path, None)?;
        self.recorder.note('C', &format!("GET {}{path}", self.base.prefix));
        let response = match self.sender.send_request(request).await {
            // The server may end a connection that has been idle in the very moment we use it again.
            Err(error) if self.known && (error.is_canceled() || error.is_incomplete_message()) => {
                self.connect_again().await?;
                let request = self.request(Method::GET, path, None)?;
                self.sender.send_request(request).await
            }
            other => other,
        };
        let response = response.map_err(|error| lost(&error, &self.recorder))?;
        match self.read(response).await? {
            (answer, Some(value)) if answer.status == 200 && value.is_object() => {
                self.is_graph();
                Ok((value, answer))
            }
            _ => Err(self.nonsense()),
        }
    }

    /// Sends something once: from here on only the server knows what became of it.
    pub(super) async fn post(&mut self, path: &str, content_type: &'static str, body: Vec<u8>) -> Result<Answer, MailError> {
        self.renew_if_closed().await?;
        let octets = body.len();
        let request = self.request(Method::POST, path, Some((content_type, body)))?;
        self.recorder
            .note('C', &format!("POST {}{path} ({content_type}, {octets} octets)", self.base.prefix));
        self.recorder.hand_over();
        let unknown = |error: MailError| MailError::SendUnknown { why: error.to_string() };
        let response = match self.sender.send_request(request).await {
            Ok(response) => response,
            Err(error) if error.is_canceled() => {
                self.recorder.take_back();
                return Err(lost(&error, &self.recorder));
            }
            Err(error) => return Err(unknown(lost(&error, &self.recorder))),
        };
        let status = response.status();
        match self.read(response).await {
            Ok((answer, _)) if status == StatusCode::ACCEPTED => {
                self.is_graph();
                Ok(answer)
            }
            // It was taken by somebody, whatever else came with that.
            Ok(_) => Err(unknown(self.nonsense())),
            Err(error) if status.is_success() => Err(unknown(error)),
            // Something between us and Graph gave up waiting.
            Err(error) if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => Err(unknown(error)),
            Err(error) => Err(error),
        }
    }

    /// Asks for something that changes the mailbox, once, and reads the document that comes back.
    pub(super) async fn act(&mut self, path: &str, content_type: &'static str, body: Vec<u8>) -> Result<Value, MailError> {
        self.renew_if_closed().await?;
        let octets = body.len();
        let request = self.request(Method::POST, path, Some((content_type, body)))?;
        self.recorder
            .note('C', &format!("POST {}{path} ({content_type}, {octets} octets)", self.base.prefix));
        self.unanswered = true;
        let response = match self.sender.send_request(request).await {
            Ok(response) => response,
            Err(error) => {
                self.unanswered = !error.is_canceled();
                return Err(lost(&error, &self.recorder));
            }
        };
        let status = response.status();
        // Something between us and Graph may have given up waiting.
        let gave_up = matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        self.unanswered = status.is_success() || gave_up;
        match self.read(response).await? {
            (answer, Some(value)) if matches!(answer.status, 200 | 201) && value.is_object() => {
                self.unanswered = false;
                Ok(value)
            }
            _ => Err(self.nonsense()),
        }
    }

    /// Whether something was asked for that changes the mailbox, and its answer was never read.
    pub fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    fn is_graph(&mut self) {
        self.known = true;
        self.recorder.greeted();
    }

    fn request(&self, method: Method, path: &str, body: Option<(&'static str, Vec<u8>)>) -> Result<Request<Full<Bytes>>, MailError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base.prefix))
            .header(HOST, &self.base.authority)
            .header(AUTHORIZATION, &self.authorization)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "Mailgrant")
            .header("client-request-id", &self.request_id)
            .header("return-client-request-id", "true");
        let mut content = Vec::new();
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type);
            content = body;
        }
        let body = Full::new(Bytes::from(content));
        request.body(body).map_err(|_| MailError::Unsendable { what: "address of Graph" })
    }

    async fn renew_if_closed(&mut self) -> Result<(), MailError> {
        match self.sender.ready().await {
            Ok(()) => Ok(()),
            Err(_) if self.known => self.connect_again().await,
            Err(error) => Err(lost(&error, &self.recorder)),
        }
    }

    /// To the same addresses, which were checked before.
    async fn connect_again(&mut self) -> Result<(), MailError> {
        let tcp = self.connector.connect(&self.addresses).await?.tcp;
        let wire = match self.base.endpoint.security {
            Security::None => Wire::Plain(tcp),
            Security::Tls | Security::Starttls => Wire::Tls(Box::new(self.connector.encrypt(tcp, &self.base.endpoint.host).await?.0)),
        };
        let (sender, driver) = handshake(wire).await.map_err(|error| lost(&error, &self.recorder))?;
        (self.sender, self._driver) = (sender, driver);
        Ok(())
    }

    /// Reads an answer: a document or nothing where it is a good one, else an error.
    async fn read(&mut self, response: Response<Incoming>) -> Result<(Answer, Option<Value>), MailError> {
        let (mut head, mut body) = response.into_parts();
        for name in REQUEST_IDS {
            // What isn't text shows nowhere.
            let shown = head
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(|text| self.recorder.masked(text));
            if let Some(shown) = shown.and_then(|text| HeaderValue::try_from(text).ok()) {
                head.headers.insert(name, shown);
            }
        }
        let answer = Answer::of(head.status, &head.headers);
        let id = answer.request_id.as_deref().map(|id| format!(", request-id {id}"));
        self.recorder.note('S', &format!("{}{}", answer.line(), id.unwrap_or_default()));
        if head.status.is_redirection() {
            return Err(MailError::Strange(Strange::Redirect));
        }
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| lost(&error, &self.recorder))?;
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > LARGEST_BODY {
                    return Err(MailError::TooMuch("the server sent an answer that is too long"));
                }
                bytes.extend_from_slice(data);
            }
        }
        if bytes.is_empty() && head.status.is_success() {
            return Ok((answer, None));
        }
        let value = serde_json::from_slice::<Value>(&bytes).ok();
        let error = value
            .as_ref()
            .filter(|value| bytes.len() <= LARGEST_ERROR && value.get("error").is_some());
        if let Some(error) = error.and_then(|value| GraphError::read(&answer, &self.without_secrets(value))) {
            self.is_graph();
            return Err(self.refused(error));
        }
        match value {
            Some(value) if head.status.is_success() => Ok((answer, Some(value))),
            // What stands before Graph has no more to say than its status.
            _ if head.status == StatusCode::TOO_MANY_REQUESTS || head.status.is_server_error() => {
                Err(self.refused(GraphError::bare(&answer)))
            }
            _ if answer.content_type.starts_with("text/html") || looks_like_html(&bytes) => Err(MailError::Strange(Strange::Html)),
            _ => Err(self.nonsense()),
        }
    }

    /// A document with every text in it masked, before anything is cut: half a token is one that nobody finds any more.
    fn without_secrets(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.recorder.masked(text).into(),
            Value::Array(values) => values.iter().map(|value| self.without_secrets(value)).collect(),
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (self.recorder.masked(name), self.without_secrets(value)));
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }

    /// The error as it may be shown: servers like to quote what they were sent.
    fn refused(&self, mut error: GraphError) -> MailError {
        error.message = self.recorder.masked(&error.message);
        error.evidence = self.recorder.masked(&error.evidence);
        self.recorder.note('S', &error.to_string());
        MailError::Graph(Box::new(error))
    }
}

fn looks_like_html(bytes: &[u8]) -> bool {
    let start: Vec<u8> = bytes.iter().copied().skip_while(u8::is_ascii_whitespace).take(9).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with(b"<!doctype") || start.starts_with(b"<html")
}

async fn handshake(wire: Wire) -> hyper::Result<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>)> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST_HEADER)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(wire))
        .await?;
    let driver = tokio::spawn(async move {
        // What goes wrong is told to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok((sender, AbortOnDropHandle::new(driver)))
}

/// What it means that no answer came, or half of one.
fn lost(error: &hyper::Error, recorder: &Recorder) -> MailError {
    if error.is_parse_too_large() {
        return MailError::TooMuch("the server sent a header that is too long");
    }
    if error.is_parse() {
        return MailError::Strange(Strange::Nonsense);
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<std::io::Error>() {
            return MailError::io(error, recorder, WHEN);
        }
        source = inner.source();
    }
    MailError::Closed {
        when: WHEN,
        reply: Vec::new(),
    }
}
