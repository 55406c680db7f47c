//! From a server's name to an encrypted connection, one function a stage; time limits are the caller's.

use super::error::MailError;
use super::tls::{Encryption, Roots, RootsError};
use crate::gate::Gate;
use crate::model::mailbox::{Endpoint, Security};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// How long is an address given before the next one is tried beside it? (RFC 8305, 5)
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens connections to mail servers: through the gate, with the authorities we trust. Built once, cheap to clone.
#[derive(Clone)]
pub struct Connector {
    gate: Gate,
    roots: Roots,
}

/// An open connection, and what did not work before.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub tcp: TcpStream,
    /// Which address took it.
    pub address: SocketAddr,
    /// Addresses that did not, and why.
    pub failed_first: Vec<(SocketAddr, String)>,
}

impl Connector {
    /// A connector with the system's certificate authorities and the extra ones in PEM.
    pub fn new(gate: Gate, extra_authorities: Option<&[u8]>) -> Result<Self, RootsError> {
        Ok(Self {
            gate,
            roots: Roots::load(extra_authorities)?,
        })
    }

    /// The authorities we trust.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The addresses of the server, all of them allowed.
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, MailError> {
        let addresses = self.gate.resolve(&endpoint.host, endpoint.port).await?;
        let ips: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
        if endpoint.security == Security::None && !self.gate.allows_plain(&endpoint.host, &ips) {
            let host = endpoint.host.clone();
            return Err(MailError::PlainRefused { host });
        }
        Ok(addresses)
    }

    /// A connection to the first address that takes one. Each gets a head start on the next.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Result<Connected, MailError> {
        let mut waiting = addresses.iter().copied();
        let mut attempts = FuturesUnordered::new();
        let mut failed_first = Vec::new();
        loop {
            if let Some(address) = waiting.next() {
                attempts.push(async move { (address, TcpStream::connect(address).await) });
            } else if attempts.is_empty() {
                return Err(MailError::Connect { tried: failed_first });
            }
            let next = if waiting.len() > 0 {
                tokio::time::timeout(HEAD_START, attempts.next()).await.ok().flatten()
            } else {
                attempts.next().await
            };
            match next {
                Some((address, Ok(tcp))) => {
                    // Commands are short and each waits for its answer.
                    let _ = tcp.set_nodelay(true);
                    return Ok(Connected {
                        tcp,
                        address,
                        failed_first,
                    });
                }
                Some((address, Err(error))) => failed_first.push((address, error.to_string())),
                None => {}
            }
        }
    }

    /// The connection, encrypted, with the server's identity checked.
    pub async fn encrypt(&self, tcp: TcpStream, host: &str) -> Result<(TlsStream<TcpStream>, Encryption), MailError> {
        Ok(self.roots.encrypt(tcp, host).await?)
    }
}
