//! The accept loop: what `axum::serve` leaves out (DOS-1). Headers have a deadline, idle and stuck connections end, their number is
//! limited in all and for each address, and a stop lets requests finish.

use super::Peer;
use super::shares::Shares;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{ServiceExt, service_fn};

/// What connections may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long may the headers of a request take, and the first request of a connection?
    pub headers: Duration,
    /// How long may a connection lie idle, and an answer make no way?
    pub idle: Duration,
    /// How many connections are there at most?
    pub connections: usize,
    /// How many from one address? Trusted proxies are many clients in one.
    pub per_address: usize,
    /// Peers whose number of connections is not limited.
    pub proxies: Vec<IpNet>,
    /// How long may requests go on after the stop?
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            connections: 1024,
            per_address: 64,
            proxies: Vec::new(),
            stop: Duration::from_secs(25),
        }
    }
}

/// Serves until `stopping`, then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stopping: CancellationToken) {
    let limits = Arc::new(limits);
    let places = Arc::new(Semaphore::new(limits.connections));
    let addresses = Shares::default();
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stopping.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will come back (DOS-5).
                tracing::warn!(error = %error, "A connection could not be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let ip = peer.ip().to_canonical();
        let is_proxy = limits.proxies.iter().any(|net| net.contains(&ip));
        let Some(share) = addresses.take(ip, if is_proxy { usize::MAX } else { limits.per_address }) else {
            tracing::debug!("Turned a connection away: too many from its address");
            continue;
        };
        let (router, limits, stopping) = (router.clone(), Arc::clone(&limits), stopping.clone());
        connections.spawn(async move {
            connection(stream, peer, router, &limits, stopping).await;
            drop((place, share));
        });
    }
    connections.close();
    if tokio::time::timeout(limits.stop, connections.wait()).await.is_err() {
        tracing::warn!("{} connections did not end in time and were cut", connections.len());
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, limits: &Limits, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let watch = Arc::new(Watch::new());
    let io = Watched {
        stream,
        watch: Arc::clone(&watch),
    };
    let of_service = Arc::clone(&watch);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, under_way) = (router.clone(), UnderWay::begin(&of_service));
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let response = router.oneshot(request).await?;
            Ok::<_, Infallible>(response.map(|body| {
                Body::new(Guarded {
                    body,
                    _under_way: under_way,
                })
            }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_headers(64)
        .max_buf_size(64 * 1024)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(32)
        // As much as a form may have, so that a connection that is not read from holds little.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_header_list_size(32 * 1024)
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(128)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    let serving = builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    let mut serving = pin!(serving);
    let mut is_stopping = false;
    let tick = limits.headers.min(limits.idle).min(Duration::from_secs(1));
    loop {
        tokio::select! {
            // Errors here are clients that hung up or speak something else.
            _ = serving.as_mut() => return,
            () = stopping.cancelled(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(tick) => {
                if watch.is_over(limits) {
                    return;
                }
            }
        }
    }
}

/// What a connection is doing.
struct Watch {
    begun: Instant,
    under_way: AtomicUsize,
    had_request: AtomicBool,
    /// Milliseconds after `begun` of the last byte that came or went.
    moved: AtomicU64,
    /// Milliseconds after `begun` when the last request ended.
    ended: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            under_way: AtomicUsize::new(0),
            had_request: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_over(&self, limits: &Limits) -> bool {
        let since = |mark: &AtomicU64| Duration::from_millis(self.now().saturating_sub(mark.load(Ordering::Relaxed)));
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return since(&self.moved) > limits.idle;
        }
        if self.had_request.load(Ordering::Relaxed) {
            since(&self.ended) > limits.idle
        } else {
            self.begun.elapsed() > limits.headers
        }
    }
}

/// A request whose answer is not wholly sent.
struct UnderWay(Arc<Watch>);

impl UnderWay {
    fn begin(watch: &Arc<Watch>) -> Self {
        watch.had_request.store(true, Ordering::Relaxed);
        watch.under_way.fetch_add(1, Ordering::Relaxed);
        watch.moved.store(watch.now(), Ordering::Relaxed);
        Self(Arc::clone(watch))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.store(self.0.now(), Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body, which is under way until its end.
struct Guarded {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Guarded {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream, noting when something moves.
struct Watched {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl Watched {
    fn moved(&self) {
        self.watch.moved.store(self.watch.now(), Ordering::Relaxed);
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.moved();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.moved();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[std::io::IoSlice<'_>]) -> Poll<std::io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        self.moved();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
