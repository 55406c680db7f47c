//! `mailgrant serve` on a seeded data directory, and a browser's sign-in there.

use crate::load::{Answer, Connection, get};
use crate::process::{Process, free_address};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const EMAIL: &str = "admin@contoso.test";
const PASSWORD: &str = "long-enough-for-a-benchmark-42";
/// How long may a start take?
const LONGEST_START: Duration = Duration::from_secs(60);

/// The released program, with nothing of the caller's settings.
fn mailgrant(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailgrant"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAILGRANT_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env("MAILGRANT_DATA_DIR", data);
    command
}

/// Makes the first account.
pub fn add_admin(data: &Path) -> Result<()> {
    let mut command = mailgrant(data);
    command.args(["user", "add", EMAIL, "--role", "admin", "--password-stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    writeln!(child.stdin.take().context("no standard input")?, "{PASSWORD}")?;
    ensure!(child.wait()?.success(), "the first account can't be made");
    Ok(())
}

/// A running console.
pub struct Console {
    pub process: Process,
    pub address: SocketAddr,
    /// From its start until it was ready.
    pub took: Duration,
}

impl Console {
    /// Starts it and waits until it is ready. Its log goes to a file beside the data.
    pub fn start(data: &Path) -> Result<Self> {
        Self::start_with(data, &[])
    }

    /// The same with these settings.
    pub fn start_with(data: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let address = free_address()?;
        let log = File::create(data.join("benchmark.log"))?;
        let mut command = mailgrant(data);
        command
            .args(["serve", "--listen", &address.to_string()])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        while !is_ready(address) {
            if process.has_ended() || began.elapsed() > LONGEST_START {
                bail!(
                    "the console does not start: {}",
                    std::fs::read_to_string(data.join("benchmark.log"))?
                );
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let took = began.elapsed();
        Ok(Self { process, address, took })
    }

    /// Signs in as a browser does; the session's cookie.
    pub fn sign_in(&self) -> Result<String> {
        let mut connection = Connection::open(self.address)?;
        let form = connection.send(&get(self.address, "/login", ""))?;
        let token = attribute(&form, "name=\"csrf_token\"", "value").context("no token in the sign-in form")?;
        let fields = [("csrf_token", token.as_str()), ("email", EMAIL), ("password", PASSWORD)];
        let body = serde_urlencoded::to_string(fields)?;
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nSec-Fetch-Site: same-origin\r\nCookie: {1}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {2}\r\n\r\n{body}",
            self.address,
            cookies(&form),
            body.len(),
        );
        let answer = connection.send(request.as_bytes())?;
        ensure!(answer.status == 303, "the sign-in was answered with {}", answer.status);
        Ok(cookies(&answer))
    }

    /// A page, for somebody signed in.
    pub fn page(&self, path: &str, cookie: &str) -> Result<Answer> {
        let answer = Connection::open(self.address)?.send(&get(self.address, path, cookie))?;
        ensure!(answer.status == 200, "{path} was answered with {}", answer.status);
        Ok(answer)
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let answer = Connection::open(address).and_then(|mut connection| connection.send(&get(address, "/health/ready", "")));
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The cookies an answer sets, as they are sent back.
fn cookies(answer: &Answer) -> String {
    let pairs: Vec<&str> = answer.header("set-cookie").filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

/// An attribute of the first tag that holds `mark`.
fn attribute(page: &Answer, mark: &str, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&page.body);
    let tag = text.split('<').find(|tag| tag.contains(mark))?;
    let value = tag.split_once(&format!("{name}=\""))?.1;
    Some(value.split('"').next()?.to_owned())
}
