//! `mailgrant serve` where the machine is at its end: no file descriptors, little memory, a damaged file, a kill at its first start.

use super::serve::{Serving, serve};
use crate::support::command::Machine;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn limit(serving: &Serving, what: Resource, to: u64) {
    let limits = Rlimit {
        current: Some(to),
        maximum: Some(to),
    };
    prlimit(Some(Pid::from_child(&serving.child)), what, limits).unwrap();
}

/// The status of a request, within a time; 0: no answer.
fn asks(serving: &Serving, request: &str, body: &[u8]) -> u16 {
    let Ok(mut stream) = TcpStream::connect(serving.address) else {
        return 0;
    };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() {
        return 0;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A number of `/proc/<pid>/status`, in KiB.
fn kib(serving: &Serving, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

fn recovers(serving: &mut Serving) {
    let began = Instant::now();
    loop {
        assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
        if asks(serving, "GET /health/ready", b"") == 200 && asks(serving, "GET /setup", b"") == 200 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not recover");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// F36.
#[test]
fn without_file_descriptors_it_waits_and_then_goes_on() {
    let machine = Machine::new();
    let mut serving = serve(&machine);
    limit(&serving, Resource::Nofile, 64);
    recovers(&mut serving);
    let held: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(serving.address).ok()).collect();
    assert!(held.len() > 100, "{}", held.len());
    // Whoever comes now waits, or hears that it can't be done; what was 500 would be a defect.
    let status = asks(&serving, "GET /health/ready", b"");
    assert!([0, 200, 503].contains(&status), "{status}");
    std::thread::sleep(Duration::from_secs(2));
    assert!(serving.child.try_wait().unwrap().is_none(), "it ended");
    drop(held);
    recovers(&mut serving);
}

/// F36, F8, F25: a limit a little above what it has, and more requests than fit into that if they were kept.
#[test]
fn memory_is_bounded_whatever_is_sent() {
    let machine = Machine::new();
    let mut serving = serve(&machine);
    recovers(&mut serving);
    let before = kib(&serving, "VmRSS:");
    limit(&serving, Resource::As, (kib(&serving, "VmSize:") + 256 * 1024) * 1024);
    let body = vec![b'x'; 64 * 1024];
    std::thread::scope(|scope| {
        for worker in 0..12 {
            let (serving, body) = (&serving, &body);
            scope.spawn(move || {
                for round in 0..20 {
                    let status = match (worker + round) % 3 {
                        0 => asks(serving, "POST /setup", body),
                        1 => asks(serving, "POST /transfer/import", body),
                        _ => asks(serving, "GET /setup", b""),
                    };
                    assert_ne!(status, 500);
                }
            });
        }
    });
    let grown = kib(&serving, "VmRSS:").saturating_sub(before) / 1024;
    eprintln!("240 requests, 10 MB sent: {grown} MiB more in memory, of {} MiB", before / 1024);
    assert!(grown < 100, "{grown} MiB");
    recovers(&mut serving);
}

/// F20: not the first page, which every reader would stumble over.
#[test]
fn a_damaged_page_keeps_the_console_from_starting() {
    let machine = Machine::with(super::CONTOSO);
    let path = machine.data().join("mailgrant.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let page = bytes.len() / 4096 / 2;
    for byte in &mut bytes[page * 4096..][..4096] {
        *byte = 0xa5;
    }
    std::fs::write(&path, &bytes).unwrap();
    let ran = machine.run(&["serve", "--listen", "127.0.0.1:0"]);
    let lines = ran.refused(1).join("\n");
    assert!(lines.contains("damaged") || lines.contains("can't be read"), "{lines}");
    assert!(lines.contains("restore"), "{lines}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "it was changed");
}

/// F32, DUR-3: migrations are made one after the other; wherever the kill falls, the next start makes the rest.
#[test]
fn a_start_that_is_killed_while_it_makes_the_database_is_finished_by_the_next() {
    let mut begun = [0; 2];
    for round in 0..16 {
        let mut machine = Machine::new();
        if round % 2 == 0 {
            // As with an upgrade: the key is there before.
            machine.set("MAILGRANT_MASTER_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        }
        let mut child = machine
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let database = machine.data().join("mailgrant.db");
        let began = Instant::now();
        while !database.exists() && began.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(round / 2 * 25));
        child.kill().unwrap();
        child.wait().unwrap();
        // Ready at once, or before the kill already.
        drop(serve(&machine));
        machine.run(&["token", "list"]).ok();
        assert_eq!(machine.run(&["audit", "verify"]).status, 0);
        begun[round as usize % 2] += 1;
    }
    eprintln!("killed: {} with a key from outside, {} without", begun[0], begun[1]);
}
