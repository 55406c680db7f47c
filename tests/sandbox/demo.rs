//! `mailgrant demo` as a process.

use crate::support::command::Machine;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;

struct Demo {
    child: Child,
    address: String,
    password: String,
}

impl Demo {
    fn start(machine: &Machine) -> Self {
        let mut child = machine.command(&["demo", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut after = |word: &str| loop {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "no {word}");
            if let Some(rest) = line.trim().strip_prefix(word) {
                break rest.trim().to_owned();
            }
        };
        let (address, _, password) = (after("Address"), after("Email"), after("Password"));
        Self { child, address, password }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_prints_where_to_sign_in_is_marked_and_leaves_nothing_behind() {
    let mut machine = Machine::new();
    let home = machine.home().to_owned();
    machine.set("TMPDIR", home);
    let entries = |machine: &Machine| std::fs::read_dir(machine.home()).unwrap().count();
    let mut demo = Demo::start(&machine);
    assert_eq!(demo.password.len(), 19, "random, for this demo only");
    assert_eq!(entries(&machine), 1);
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let get = async |path: &str| http.get(format!("{}{path}", demo.address)).send().await.unwrap();
    let page = get("/login").await.text().await.unwrap();
    assert!(page.contains("<b>Demo</b>"), "{page}");
    assert_eq!(get("/demo").await.status(), 303, "not for strangers");
    assert_eq!(get("/setup").await.status(), 404);
    let pid = rustix::process::Pid::from_child(&demo.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = demo.child.wait().unwrap();
    let mut log = String::new();
    demo.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(entries(&machine), 0, "the data directory is gone");
}

#[test]
fn it_keeps_nothing_and_listens_to_nobody_else() {
    let machine = Machine::new();
    assert!(machine.run(&["demo", "--data-dir", "x"]).refused(2)[0].contains("keeps nothing"));
    assert!(machine.run(&["demo", "--listen", "0.0.0.0:0"]).refused(2)[0].contains("this machine only"));
}

#[tokio::test]
async fn the_sandbox_answers_only_to_names_of_this_machine_and_waits_for_no_header_for_ever() {
    use super::{Play, Wire};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let play = Play::start().await;
    let port: u16 = play.sandbox.url().rsplit(':').next().unwrap().parse().unwrap();
    for (host, status) in [
        ("127.0.0.1", "200"),
        ("localhost:1234", "200"),
        ("evil.example", "421"),
        ("127.0.0.1.evil.example", "421"),
        ("", "4"),
    ] {
        let mut stream = Wire::plain(port).await.into_inner();
        let request = format!("GET /.well-known/openid-configuration HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
    let mut stream = Wire::plain(port).await.into_inner();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it still waits");
}
