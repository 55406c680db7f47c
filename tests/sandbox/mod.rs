//! The sandbox, asked by clients that share nothing with it; then Mailgrant against it.

mod abilities;
mod alone;
mod bulk;
mod certificate;
pub mod console;
mod consoles;
mod demo;
mod device;
mod fixes;
mod former;
mod grants;
mod graph;
mod healthy;
mod mail;
pub mod matrix;
mod overview;
pub mod sign_in;
mod switching;
mod walkthroughs;
mod ways;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mailgrant::actions::config::{self, Sources, parse};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, SystemClock};
use mailgrant::model::audit::Actor;
use mailgrant::random::SystemRandom;
use mailgrant::sandbox::{GOOGLE_APP, HOST, House, MICROSOFT_APP, OPEN_APP, Sandbox, Settings, TENANT};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Where sign-ins return to.
pub const BACK: &str = "http://localhost:7777/oauth/callback/x";
pub const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
pub const POP: &str = "https://outlook.office.com/POP.AccessAsUser.All";
pub const SMTP: &str = "https://outlook.office.com/SMTP.Send";
pub const SUPPORT: &str = "support@contoso.test";

/// Applies a configuration file without files beside it; what is wrong with it otherwise.
pub async fn apply(app: &App, text: &str) -> Result<(), String> {
    let sources = Sources {
        directory: PathBuf::new(),
        env: &|_| None,
    };
    let file = parse(text).map_err(|problems| format!("{problems:?}"))?;
    let applied = config::apply(app, &Actor::command_line(), &file, &sources, false).await;
    applied.map(|_| ()).map_err(|error| format!("{error:?}"))
}

/// A sandbox and a browser.
pub struct Play {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
}

/// An answer of the token endpoint.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub document: Value,
}

impl Answer {
    pub fn text(&self, name: &str) -> &str {
        self.document[name].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// It was refused, with this error, and these words in the description.
    #[track_caller]
    pub fn refused(&self, error: &str, words: &str) {
        assert!(self.status >= 400, "{self:?}");
        assert_eq!(self.text("error"), error, "{self:?}");
        assert!(self.text("error_description").contains(words), "{self:?}");
    }
}

impl Play {
    pub async fn start() -> Self {
        Self::start_with(Settings::default(), Arc::new(SystemClock)).await
    }

    /// With a clock that stands still.
    pub async fn start_at(clock: &MockClock) -> Self {
        Self::start_with(Settings::default(), Arc::new(clock.clone())).await
    }

    pub async fn start_with(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let sandbox = Sandbox::start(settings, clock, Arc::new(SystemRandom)).await.unwrap();
        for (client, _) in [MICROSOFT_APP, GOOGLE_APP, OPEN_APP] {
            sandbox.add_redirect_uri(client, BACK);
        }
        let ca = reqwest::Certificate::from_pem(sandbox.ca_pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([ca])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { sandbox, http }
    }

    pub fn token_url(&self, house: House) -> String {
        let url = self.sandbox.url();
        match house {
            House::Microsoft => format!("{url}/{TENANT}/oauth2/v2.0/token"),
            House::Google => format!("{url}/google/token"),
            House::Open => format!("{url}/token"),
        }
    }

    pub async fn get_json(&self, url: &str) -> Value {
        let text = self.http.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }

    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        let response = self.http.post(url).form(form).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answer {
            status,
            document: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// Asks the token endpoint with the app's secret in the form.
    pub async fn token(&self, house: House, more: &[(&str, &str)]) -> Answer {
        let (id, secret) = app(house);
        let mut form = vec![("client_id", id), ("client_secret", secret)];
        form.extend_from_slice(more);
        self.post(&self.token_url(house), &form).await
    }

    /// An access token of somebody with these scopes, without pages.
    pub async fn access(&self, house: House, user: &str, scopes: &[&str]) -> String {
        let refresh = self.sandbox.sign_in(app(house).0, user, scopes);
        let answer = self
            .token(house, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)])
            .await
            .ok();
        answer.text("access_token").to_owned()
    }

    /// A connection to a mail server, encrypted from the start.
    pub async fn tls(&self, port: u16) -> Wire {
        Wire::new(Box::new(
            self.handshake(TcpStream::connect((HOST, port)).await.unwrap()).await.unwrap(),
        ))
    }

    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> std::io::Result<tokio_rustls::client::TlsStream<S>> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        let ca = rustls::pki_types::CertificateDer::from_pem_slice(self.sandbox.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(HOST.try_into().unwrap(), stream).await
    }
}

pub fn app(house: House) -> (&'static str, &'static str) {
    match house {
        House::Microsoft => MICROSOFT_APP,
        House::Google => GOOGLE_APP,
        House::Open => OPEN_APP,
    }
}

/// The claims of a JWT, not verified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {token}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

pub fn oauthbearer(user: &str, token: &str) -> String {
    STANDARD.encode(format!("n,a={user},\x01host=127.0.0.1\x01auth=Bearer {token}\x01\x01"))
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client of lines.
pub struct Wire(BufReader<Box<dyn Stream>>);

impl Wire {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self(BufReader::new(stream))
    }

    pub async fn plain(port: u16) -> Self {
        Self::new(Box::new(TcpStream::connect((HOST, port)).await.unwrap()))
    }

    pub fn into_inner(self) -> Box<dyn Stream> {
        self.0.into_inner()
    }

    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    pub async fn send(&mut self, text: &str) {
        self.0.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Sends a line and reads one.
    pub async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.line().await
    }

    /// Sends and reads up to a line that begins so.
    pub async fn until(&mut self, text: &str, start: &str) -> Vec<String> {
        self.send(text).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let is_last = line.starts_with(start);
            assert!(
                !line.is_empty() || !lines.last().is_some_and(String::is_empty),
                "{start} never came: {lines:?}"
            );
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    /// The server has hung up.
    pub async fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        // A connection that is cut counts too.
        self.0.read_to_end(&mut rest).await.is_err() || rest.is_empty()
    }
}
