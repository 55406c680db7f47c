//! Mail servers of our own, good and bad: a script that plays one side of a conversation over a real socket.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate authority for one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        Self::named("Test authority")
    }

    pub fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's identity, by default for localhost.
    pub fn identity(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "mail.test");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::new(certificate.der().clone(), &key)
    }

    /// The authority's own certificate, used as if it were a server's.
    pub fn as_server(&self) -> Identity {
        Identity::new(self.0.der().clone(), self.0.key())
    }
}

/// What a server shows and signs with.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Identity {
    fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self(Arc::new(config))
    }

    pub fn self_signed() -> Self {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        Self::new(params.self_signed(&key).unwrap().der().clone(), &key)
    }
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The server's end of a connection.
pub struct Peer {
    stream: BufStream<Box<dyn Stream>>,
    heard: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
}

/// The client has gone.
#[derive(Debug)]
pub struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Peer {
    /// The client's next line.
    pub async fn line(&mut self) -> Result<String, Gone> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(Gone);
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        self.heard.lock().unwrap().push(line.clone());
        Ok(line)
    }

    /// So many octets of the client.
    pub async fn exactly(&mut self, octets: usize) -> Result<String, Gone> {
        let mut bytes = vec![0; octets];
        self.stream.read_exact(&mut bytes).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends text as it stands.
    pub async fn send(&mut self, text: impl AsRef<[u8]>) -> Result<(), Gone> {
        self.stream.write_all(text.as_ref()).await?;
        self.stream.flush().await?;
        self.sent.fetch_add(text.as_ref().len(), Ordering::SeqCst);
        Ok(())
    }

    /// Sends lines with their ends.
    pub async fn say(&mut self, lines: &str) -> Result<(), Gone> {
        self.send(lines.replace('\n', "\r\n") + "\r\n").await
    }

    /// Sends a byte now and then, for ever.
    pub async fn dribble(&mut self, text: &str) -> Result<(), Gone> {
        loop {
            for byte in text.bytes() {
                self.send([byte]).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Says nothing until the client goes.
    pub async fn wait(&mut self) -> Result<(), Gone> {
        loop {
            self.line().await?;
        }
    }

    /// Becomes encrypted.
    pub async fn encrypt(self, identity: &Identity) -> Result<Self, Gone> {
        let tls = TlsAcceptor::from(Arc::clone(&identity.0)).accept(self.stream.into_inner()).await?;
        Ok(Self {
            stream: BufStream::new(Box::new(tls)),
            heard: self.heard,
            sent: self.sent,
        })
    }
}

/// A server that runs as long as this lives.
pub struct Server {
    pub port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Plays the script for every connection, encrypted from the start if there is an identity.
    pub async fn start<F, W>(identity: Option<Identity>, script: F) -> Self
    where
        F: Fn(Peer) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), Gone>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, sent, connections, open) = <(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (all_heard, all_sent, all_connections, all_open) = (heard.clone(), sent.clone(), connections.clone(), open.clone());
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                all_connections.fetch_add(1, Ordering::SeqCst);
                all_open.fetch_add(1, Ordering::SeqCst);
                let peer = Peer {
                    stream: BufStream::new(Box::new(tcp)),
                    heard: all_heard.clone(),
                    sent: all_sent.clone(),
                };
                let (script, identity, open) = (script.clone(), identity.clone(), all_open.clone());
                tokio::spawn(async move {
                    let peer = match &identity {
                        Some(identity) => peer.encrypt(identity).await,
                        None => Ok(peer),
                    };
                    if let Ok(peer) = peer {
                        let _ = script(peer).await;
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            port,
            heard,
            sent,
            connections,
            open,
            task,
        }
    }

    /// All lines clients have sent.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How many octets clients have taken.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}
