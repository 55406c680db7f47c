//! A lean load generator: a few kept connections, each with a thread that sends a finished request and reads the answer, so that
//! the server is measured and not the client.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// How many connections ask at once?
pub const CONNECTIONS: usize = 4;
/// How long may one answer take?
const LONGEST: Duration = Duration::from_secs(30);

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The values of a header.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A kept connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LONGEST)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONGEST))?;
        Ok(Self {
            stream,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Sends a request and reads its answer; returns where head and body end in the buffer.
    fn exchange(&mut self, request: &[u8]) -> Result<(usize, usize)> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let mut ends = None;
        loop {
            ensure!(filled < self.buffer.len(), "the answer is longer than the buffer");
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server closed the connection");
            let searched = filled.saturating_sub(3);
            filled += read;
            if ends.is_none() {
                let head = self.buffer[searched..filled].windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(head) = head.map(|at| searched + at + 4) {
                    ends = Some((head, head + content_length(&self.buffer[..head])?));
                }
            }
            match ends {
                Some((head, whole)) if filled == whole => return Ok((head, whole)),
                Some((_, whole)) if filled > whole => bail!("the answer is longer than it says"),
                _ => {}
            }
        }
    }

    /// Sends a request and gives the answer out.
    pub fn send(&mut self, request: &[u8]) -> Result<Answer> {
        let (head, whole) = self.exchange(request)?;
        let text = String::from_utf8_lossy(&self.buffer[..head]).into_owned();
        let status = text.get(9..12).and_then(|digits| digits.parse().ok()).context("no status")?;
        Ok(Answer {
            status,
            head: text,
            body: self.buffer[head..whole].to_vec(),
        })
    }
}

/// The length of the body; answers without one have none of ours.
fn content_length(head: &[u8]) -> Result<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head.split(|byte| *byte == b'\n');
    let mut found = line.filter(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME));
    let value = found.next().context("an answer without Content-Length")?;
    Ok(std::str::from_utf8(&value[NAME.len()..])?.trim().parse()?)
}

/// A GET request for a kept connection.
pub fn get(address: SocketAddr, path: &str, cookie: &str) -> Vec<u8> {
    let cookie = if cookie.is_empty() {
        String::new()
    } else {
        format!("Cookie: {cookie}\r\n")
    };
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}Accept: text/html\r\n\r\n").into_bytes()
}

/// What one server is asked.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// Process of the server, for its CPU time.
    pub process: u32,
    /// Requests, taken in turns.
    pub requests: Arc<Vec<Vec<u8>>>,
}

/// What came of one round.
#[derive(Clone, Copy)]
pub struct Round {
    /// Requests a second.
    pub rate: f64,
    /// Milliseconds half of the answers took at most.
    pub p50: f64,
    /// Milliseconds all but one in a hundred took at most.
    pub p99: f64,
    /// Microseconds of CPU the server used for one request.
    pub cpu: f64,
}

/// Asks for `time`, with [`CONNECTIONS`] connections.
pub fn round(target: &Target, time: Duration) -> Result<Round> {
    let barrier = Arc::new(Barrier::new(CONNECTIONS + 1));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (target, barrier) = (target.clone(), Arc::clone(&barrier));
            std::thread::spawn(move || one(&target, number, &barrier, time))
        })
        .collect();
    barrier.wait();
    let (cpu, began) = (super::process::cpu_time(target.process)?, Instant::now());
    let mut times = Vec::new();
    for thread in threads {
        times.append(&mut thread.join().map_err(|_| anyhow::anyhow!("the generator failed"))??);
    }
    let (took, cpu) = (began.elapsed(), super::process::cpu_time(target.process)? - cpu);
    ensure!(!times.is_empty(), "nothing was answered");
    times.sort_unstable();
    let at = |part: f64| times[((times.len() as f64 * part) as usize).min(times.len() - 1)].as_secs_f64() * 1000.0;
    Ok(Round {
        rate: times.len() as f64 / took.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        cpu: cpu.as_secs_f64() * 1e6 / times.len() as f64,
    })
}

fn one(target: &Target, number: usize, barrier: &Barrier, time: Duration) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(target.address)?;
    // Each connection begins elsewhere in the list.
    let first = number * target.requests.len() / CONNECTIONS;
    let mut requests = target.requests.iter().cycle().skip(first);
    let mut times = Vec::with_capacity(100_000);
    barrier.wait();
    let end = Instant::now() + time;
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok(times);
        }
        let request = requests.next().context("no request")?;
        connection.exchange(request)?;
        ensure!(&connection.buffer[9..12] == b"200", "not answered with 200");
        times.push(began.elapsed());
    }
}

/// Servers that take turns: so many rounds of each, after a round that does not count.
pub fn in_turns(targets: &[Target], rounds: usize, time: Duration) -> Result<Vec<Round>> {
    for target in targets {
        round(target, time / 2)?;
    }
    let mut all: Vec<Vec<Round>> = vec![Vec::new(); targets.len()];
    for number in 0..rounds {
        eprint!("\r  round {} of {rounds} ", number + 1);
        for (target, found) in targets.iter().zip(&mut all) {
            found.push(round(target, time)?);
        }
    }
    eprintln!();
    Ok(all.iter().map(|rounds| middle(rounds)).collect())
}

fn middle(rounds: &[Round]) -> Round {
    let of = |pick: fn(&Round) -> f64| median(rounds.iter().map(pick));
    Round {
        rate: of(|round| round.rate),
        p50: of(|round| round.p50),
        p99: of(|round| round.p99),
        cpu: of(|round| round.cpu),
    }
}

/// The middle value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms, CPU {:.0} µs each",
            self.rate, self.p50, self.p99, self.cpu
        )
    }
}
