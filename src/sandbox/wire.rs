//! A connection of a mail server: lines in and out, and the switch to encryption.

use super::fault::Fault;
use super::state::{House, Shared};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longest line, and longest run of octets, that is taken from a client.
const LONGEST: usize = 64 * 1024;

/// A protocol that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Imap,
    Pop3,
    Smtp,
}

/// What a listener is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    pub house: House,
    pub service: Service,
    /// Encrypted from the first octet.
    pub implicit: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client's connection.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    pub encrypted: bool,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream: BufReader::new(Box::new(stream)),
            encrypted: false,
        }
    }

    /// Encrypts. Whatever the client sent too early is forgotten.
    pub async fn secure(self, shared: &Shared) -> io::Result<Self> {
        let inner = self.stream.into_inner();
        let stream = shared.keys().acceptor(shared.faults()).accept(inner).await?;
        Ok(Self {
            stream: BufReader::new(Box::new(stream)),
            encrypted: true,
        })
    }

    /// Sends text as it is.
    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_octets(text.as_bytes()).await
    }

    /// Sends octets.
    pub async fn send_octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// The next line without its end; none: the client has gone.
    pub async fn line(&mut self) -> io::Result<Option<String>> {
        let line = self.octets().await?;
        Ok(line.map(|line| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The next line as it is.
    pub async fn octets(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let some = self.stream.fill_buf().await?;
            if some.is_empty() {
                return Ok(None);
            }
            let end = some.iter().position(|octet| *octet == b'\n');
            let taken = end.map_or(some.len(), |at| at + 1);
            line.extend_from_slice(&some[..taken]);
            self.stream.consume(taken);
            if line.len() > LONGEST {
                return Err(io::Error::other("the line is too long"));
            }
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }

    /// The octets that are there, at least one; none: the client has gone.
    pub async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        let some = self.stream.fill_buf().await?.to_vec();
        self.stream.consume(some.len());
        Ok((!some.is_empty()).then_some(some))
    }

    /// Closes, so that the client notices at once.
    pub async fn close(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

/// Serves one client to its end.
pub(super) async fn serve(stream: TcpStream, door: Door, shared: Shared) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    if shared.faults().hits(Fault::HangsUp) {
        return Ok(());
    }
    if door.implicit {
        wire = wire.secure(&shared).await?;
    }
    if shared.faults().hits(Fault::Silent) {
        // Until the client has enough of it.
        while wire.some().await?.is_some() {}
        return Ok(());
    }
    if shared.faults().hits(Fault::Slow) {
        tokio::time::sleep(shared.settings().slow).await;
    }
    match door.service {
        Service::Imap => super::imap::serve(wire, door, shared).await,
        Service::Pop3 => super::pop3::serve(wire, door, shared).await,
        Service::Smtp => super::smtp::serve(wire, door, shared).await,
    }
}
