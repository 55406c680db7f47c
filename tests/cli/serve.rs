//! `mailgrant serve` as a process: started, stopped, killed.

use crate::support::command::{Machine, mode};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr};
use std::time::{Duration, Instant};

pub(super) struct Serving {
    pub(super) child: Child,
    log: BufReader<ChildStderr>,
    pub(super) address: SocketAddr,
    /// The line that says it is ready.
    ready: String,
}

pub(super) fn serve(machine: &Machine) -> Serving {
    // A free port, for a moment nobody else's.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = machine.command(&["serve", "--listen", &address.to_string()]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut ready = String::new();
    // A busy machine is told of before.
    while ready.is_empty() || ready.contains("WARN slow statement") {
        ready.clear();
        assert_ne!(log.read_line(&mut ready).unwrap(), 0, "it ended");
    }
    assert!(ready.contains("Mailgrant is ready"), "{ready}");
    Serving {
        child,
        log,
        address,
        ready,
    }
}

impl Serving {
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&mut self, signal: rustix::process::Signal) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_where_to_go_serves_and_stops_when_told() {
    let machine = Machine::new();
    let mut serving = serve(&machine);
    assert!(
        serving
            .ready
            .contains(&format!("http://localhost:{}/setup", serving.address.port())),
        "{}",
        serving.ready
    );
    assert!(serving.get("/health/ready").starts_with("HTTP/1.1 200 OK"));
    for (name, expected) in [
        ("", 0o700),
        ("mailgrant.db", 0o600),
        ("mailgrant.db-wal", 0o600),
        ("master.key", 0o600),
        ("serve.lock", 0o600),
    ] {
        assert_eq!(mode(&machine.data().join(name)), expected, "{name}");
    }
    let (status, log) = serving.signal(rustix::process::Signal::TERM);
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("Stopped"), "{log}");
    // Checkpointed and closed: everything is in the one file.
    assert!(!machine.data().join("mailgrant.db-wal").exists());
}

#[test]
fn a_second_one_is_refused_while_commands_work_beside_it() {
    let machine = Machine::new();
    let mut serving = serve(&machine);
    let second = machine.run(&["serve", "--listen", "127.0.0.1:0"]);
    let lines = second.refused(1);
    assert!(
        lines[0].contains(&format!("process {} serves the data directory", serving.child.id())),
        "{lines:?}"
    );
    machine
        .run_with(&["user", "add", "a@b.test", "--password-stdin"], "xk2-vale-9tr-moss\n")
        .ok();
    assert!(serving.get("/setup").starts_with("HTTP/1.1 404"));
    // The lock does not outlive its process, however that ends.
    serving.signal(rustix::process::Signal::KILL);
    let again = serve(&machine);
    assert!(!again.ready.contains("setup"), "{}", again.ready);
    assert!(again.get("/login").starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let machine = Machine::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = machine.run(&["serve", "--listen", &address]);
    assert!(
        ran.refused(1)[0].starts_with(&format!("error: can't listen on {address}: ")),
        "{ran:?}"
    );
}

#[test]
fn the_password_of_an_open_session_reset_from_outside_ends_it() {
    let machine = Machine::new();
    machine
        .run_with(&["user", "add", "a@b.test", "--password-stdin"], "xk2-vale-9tr-moss\n")
        .ok();
    let serving = serve(&machine);
    let token = |page: &str| {
        page.split("name=\"csrf_token\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let cookie = |answer: &str, name: &str| {
        let line = answer
            .lines()
            .find(|line| line.starts_with(&format!("set-cookie: {name}=")))
            .unwrap();
        line["set-cookie: ".len()..].split(';').next().unwrap().to_owned()
    };
    let login = serving.get("/login");
    let body = format!("csrf_token={}&email=a%40b.test&password=xk2-vale-9tr-moss", token(&login));
    let mut stream = TcpStream::connect(serving.address).unwrap();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        cookie(&login, "visitor"),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let session = cookie(&answer, "session");
    let me = || {
        let mut stream = TcpStream::connect(serving.address).unwrap();
        write!(
            stream,
            "GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {session}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(me().starts_with("HTTP/1.1 200"));
    machine
        .run_with(
            &["user", "reset-password", "a@b.test", "--password-stdin"],
            "another-vale-8tr-moss\n",
        )
        .ok();
    assert!(me().starts_with("HTTP/1.1 303"));
}

/// Whoever waits for "ready" to go on must not be told before the last address is taken.
#[test]
fn an_address_for_metrics_that_is_taken_ends_it_before_it_is_ready() {
    let machine = Machine::new();
    let (taken, free) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (metrics, listen) = (taken.local_addr().unwrap().to_string(), free.local_addr().unwrap().to_string());
    drop(free);
    let mut command = machine.command(&["serve", "--listen", &listen]);
    let ended = command.env("MAILGRANT_METRICS_LISTEN", &metrics).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("can't listen on {metrics} for metrics")), "{said}");
    assert!(!said.contains("Mailgrant is ready"), "{said}");
}

/// "Timed out" would send people to the firewall where the server is just not started.
#[test]
fn a_database_server_that_is_down_is_told_as_it_is() {
    let machine = Machine::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = machine.command(&["serve", "--listen", "127.0.0.1:0"]);
    let url = format!("postgres://mailgrant:canary-password@{closed}/mailgrant");
    let ended = command.env("MAILGRANT_DATABASE_URL", url).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("PostgreSQL can't be reached") && said.contains("refused"), "{said}");
    assert!(!said.contains("canary-password"), "{said}");
}
