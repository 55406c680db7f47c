//! The accept loop over real sockets: slow, silent and numerous clients.

use crate::support::app::TestApp;
use mailgrant::web::server::{Limits, serve};
use mailgrant::web::{Peer, router};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    address: SocketAddr,
    stopping: CancellationToken,
    task: JoinHandle<()>,
    t: TestApp,
}

async fn start(limits: Limits) -> Running {
    let t = TestApp::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stopping) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(serve(listener, router(t.web.clone()), limits, stopping.clone()));
    Running {
        address,
        stopping,
        task,
        t,
    }
}

fn short() -> Limits {
    Limits {
        headers: Duration::from_millis(300),
        idle: Duration::from_millis(900),
        ..Limits::default()
    }
}

/// What the server says until it hangs up; fails if it never does.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await;
    // Hanging up may also be a reset.
    let _ = read.expect("the server never hung up");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_used_again() {
    let running = start(Limits::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for connection in ["keep-alive", "close"] {
        let request = format!("GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        if connection == "keep-alive" {
            let mut byte = [0];
            let mut seen = Vec::new();
            while !seen.ends_with(b"\"ok\"}") {
                stream.read_exact(&mut byte).await.unwrap();
                seen.push(byte[0]);
            }
        }
    }
    assert!(rest(&mut stream).await.contains("\"ok\""));
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let running = start(short()).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let dripping = async {
        let mut count = 0;
        while slow.write_all(b"X-A: b\r\n").await.is_ok() && count < 100 {
            count += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        count
    };
    let count = tokio::time::timeout(Duration::from_secs(10), dripping).await.unwrap();
    assert!(count < 100, "the server read headers for ever");
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let running = start(short()).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"PRI * HTT").await.unwrap();
    assert_eq!(rest(&mut half).await, "");
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_no_more() {
    let running = start(Limits {
        per_address: 3,
        ..Limits::default()
    })
    .await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).await.unwrap();
        kept.push(stream);
    }
    let mut fourth = TcpStream::connect(running.address).await.unwrap();
    let _ = fourth.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(rest(&mut fourth).await, "");
    // When one leaves there is room again.
    drop(kept.pop());
    let mut answered = String::new();
    for _ in 0..50 {
        let mut again = TcpStream::connect(running.address).await.unwrap();
        let _ = again
            .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await;
        answered = rest(&mut again).await;
        if !answered.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(answered.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn there_are_so_many_connections_and_the_next_one_waits_its_turn() {
    let running = start(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.read_exact(&mut [0; 15]).await.unwrap();
        kept.push(stream);
    }
    let mut third = TcpStream::connect(running.address).await.unwrap();
    third.write_all(request).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(300), third.read(&mut [0; 1])).await;
    assert!(early.is_err(), "a third one was served beside two");
    drop(kept.pop());
    let mut head = [0; 15];
    let answered = tokio::time::timeout(Duration::from_secs(10), third.read_exact(&mut head)).await;
    answered.unwrap().unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_the_loop() {
    let running = start(Limits::default()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    idle.read_exact(&mut head).await.unwrap();
    running.stopping.cancel();
    tokio::time::timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    rest(&mut idle).await;
    assert!(TcpStream::connect(running.address).await.is_err());
    drop(running.t);
}

#[tokio::test]
async fn the_peers_address_comes_from_the_connection() {
    use mailgrant::web::routes::{Access, Routes};
    let t = TestApp::start().await;
    async fn whoami(axum::Extension(peer): axum::Extension<Peer>) -> String {
        peer.0.ip().to_string()
    }
    let routes = Routes::new().get("/whoami", Access::Public, whoami);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        mailgrant::web::router_of(routes, t.web.clone()),
        Limits::default(),
        CancellationToken::new(),
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /whoami HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(&mut stream).await.ends_with("127.0.0.1"));
}

/// What one connection of HTTP/2 may hold open is announced, and small (RFC 9113, 6.5.2).
#[tokio::test]
async fn http2_offers_few_streams_small_windows_and_short_headers() {
    let running = start(Limits::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is the settings");
    let mut frame = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut frame).await.unwrap();
    let setting = |id: u8| {
        let found = frame.chunks(6).find(|entry| entry[..2] == [0, id]);
        found.map(|entry| u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]))
    };
    assert_eq!(setting(3), Some(32), "streams at once");
    assert!(
        setting(4).is_none_or(|window| window <= 65_536),
        "bytes of a stream that nobody reads"
    );
    assert_eq!(setting(6), Some(32 * 1024), "bytes of headers");
}
