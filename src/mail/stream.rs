//! The stream every protocol speaks over: a socket, bare or encrypted, with a [`Recorder`] that sits inside the encryption.

use super::record::Recorder;
use lettre::transport::smtp::client::AsyncTokioStream;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection to a server.
#[derive(Debug)]
pub enum Wire {
    /// In clear.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! either {
    ($wire:expr, $method:ident ( $($argument:expr),* )) => {
        match $wire {
            Wire::Plain(tcp) => Pin::new(tcp).$method($($argument),*),
            Wire::Tls(tls) => Pin::new(tls.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_read(cx, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), poll_shutdown(cx))
    }
}

/// A recorded connection.
#[derive(Debug)]
pub struct Recorded {
    wire: Wire,
    recorder: Recorder,
    /// What has come and may be read.
    ready: VecDeque<u8>,
}

impl Recorded {
    /// Records what goes over the connection.
    pub fn new(wire: Wire, recorder: Recorder) -> Self {
        Self {
            wire,
            recorder,
            ready: VecDeque::new(),
        }
    }

    /// Who keeps the conversation.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The bare connection, to be encrypted; none if the server has sent anything that nobody has read yet (TLS-3).
    pub fn into_tcp(self) -> Option<TcpStream> {
        match self.wire {
            Wire::Plain(tcp) if self.ready.is_empty() && !self.recorder.in_line() => Some(tcp),
            _ => None,
        }
    }

    /// Makes the reader believe the server had said this.
    pub fn preface(&mut self, text: &str) {
        self.ready.extend(text.as_bytes());
    }

    /// The server's next line, without its end.
    pub async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ready.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ready.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if !std::future::poll_fn(|cx| self.poll_more(cx)).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a line.
    pub async fn send(&mut self, line: &str) -> io::Result<()> {
        self.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.flush().await
    }

    /// Waits until something has come that may be read; false at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(either!(&mut self.wire, poll_read(cx, &mut buffer)))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            let before = self.ready.len();
            self.recorder
                .received(buffer.filled(), &mut self.ready)
                .map_err(|violation| io::Error::new(io::ErrorKind::InvalidData, violation.text()))?;
            if self.ready.len() > before {
                return Poll::Ready(Ok(true));
            }
        }
    }
}

impl AsyncRead for Recorded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ready.is_empty() && !ready!(this.poll_more(cx))? {
            return Poll::Ready(Ok(()));
        }
        let (front, _) = this.ready.as_slices();
        let count = front.len().min(buffer.remaining());
        buffer.put_slice(&front[..count]);
        this.ready.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.recorder.sending(bytes);
        let count = ready!(either!(&mut this.wire, poll_write(cx, bytes)))?;
        this.recorder.sent(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.get_mut().wire, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.get_mut().wire, poll_shutdown(cx))
    }
}

impl AsyncTokioStream for Recorded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.wire.tcp().peer_addr()
    }
}
