//! The console as a process that logs everything, browsers that go to it, and everything that comes out of it.

use crate::support::app::{Browser, Page};
use crate::support::command::{Machine, Ran, finish};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// What came out somewhere.
pub struct Output {
    /// Where: `GET /tokens as viewer`, `stdout of token get`, `data/mailgrant.db`...
    pub place: String,
    pub bytes: Vec<u8>,
}

/// A machine on which the console runs.
pub struct Console {
    pub machine: Machine,
    pub base: Url,
    outputs: Arc<Mutex<Vec<Output>>>,
    http: reqwest::Client,
    serve: Child,
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

impl Console {
    /// Serves, with a data directory and a folder for temporary files of its own.
    pub async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap().to_string();
        drop(listener);
        let mut machine = Machine::new();
        let temporary = machine.home().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        for (name, value) in [
            ("RUST_LOG", "trace"),
            ("MAILGRANT_LOG_FORMAT", "json"),
            ("MAILGRANT_ALLOW_NETWORKS", "loopback"),
            ("MAILGRANT_LISTEN", &listen),
            ("MAILGRANT_BASE_URL", &format!("http://{listen}")),
            ("TMPDIR", temporary.to_str().unwrap()),
        ] {
            machine.set(name, value);
        }
        let log = File::create(machine.home().join("serve.log")).unwrap();
        let said = File::create(machine.home().join("serve.out")).unwrap();
        let serve = machine.command(&["serve"]).stderr(log).stdout(said).spawn().unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let console = Self {
            machine,
            base: Url::parse(&format!("http://{listen}")).unwrap(),
            outputs: Arc::default(),
            http: http.timeout(Duration::from_secs(60)).pool_max_idle_per_host(0).build().unwrap(),
            serve,
        };
        until("it is ready", || console.log().contains("Mailgrant is ready")).await;
        console
    }

    /// What the console has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.machine.home().join("serve.log")).unwrap()
    }

    /// A browser; what comes to it is kept under this name.
    pub fn browser(&self, name: &'static str) -> Browser {
        let to = To {
            name,
            base: self.base.clone(),
            http: self.http.clone(),
            outputs: Arc::clone(&self.outputs),
        };
        Browser::at(Router::new().fallback(pass_on).with_state(to), &self.base)
    }

    /// A browser in which somebody signed in.
    pub async fn sign_in(&self, name: &'static str, email: &str, password: &str) -> Browser {
        let mut browser = self.browser(name);
        browser.visit("/login").await;
        let page = browser.post("/login", &[("email", email), ("password", password)]).await;
        assert!(browser.cookies.contains_key("session"), "{}", page.words());
        browser
    }

    /// Keeps what came out.
    pub fn keep(&self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let output = Output {
            place: place.into(),
            bytes: bytes.into(),
        };
        self.outputs.lock().unwrap().push(output);
    }

    /// Everything that has come out.
    pub fn outputs(&self) -> Vec<Output> {
        std::mem::take(&mut self.outputs.lock().unwrap())
    }

    /// Runs a command to its end, at its most talkative.
    pub fn command(&self, arguments: &[&str], input: &str) -> Ran {
        let ran = finish(self.machine.command(arguments), Some(input));
        let name = arguments.join(" ");
        self.keep(format!("stdout of {name}"), ran.out.as_bytes());
        self.keep(format!("stderr of {name}"), ran.err.as_bytes());
        ran
    }

    /// What others see of a process.
    pub fn look_at_process(&self, name: &str, pid: u32) {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        self.keep(format!("arguments of {name}"), std::fs::read(proc.join("cmdline")).unwrap());
        // Who may not trace the process may not read this: nobody but root.
        if let Ok(environment) = std::fs::read(proc.join("environ")) {
            self.keep(format!("environment of {name}"), environment);
        }
        let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let sizes: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(sizes, ["0", "0"], "{name} leaves no core dump");
        for task in std::fs::read_dir(proc.join("task")).unwrap().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            assert_eq!(children, "", "{name} starts no other program");
        }
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.serve.id()
    }

    /// Every file there is now: data directory, recovery folder, logs, temporary files.
    pub fn look_at_files(&self, when: &str) -> usize {
        let mut folders = vec![self.machine.home().to_path_buf()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.machine.home()).unwrap().display().to_string();
                    self.keep(format!("{name} {when}"), std::fs::read(&path).unwrap());
                    count += 1;
                }
            }
        }
        count
    }

    /// A file of the data directory.
    pub fn data(&self, name: impl AsRef<Path>) -> PathBuf {
        self.machine.data().join(name)
    }

    /// Stops the console.
    pub async fn stop(&mut self) {
        kill_process(Pid::from_child(&self.serve), Signal::TERM).unwrap();
        for _ in 0..4000 {
            if let Some(status) = self.serve.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not stop");
    }
}

/// Waits until something is so.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[derive(Clone)]
struct To {
    name: &'static str,
    base: Url,
    http: reqwest::Client,
    outputs: Arc<Mutex<Vec<Output>>>,
}

/// Sends a request on to the process and keeps the answer: everything but the cookies it sets, which are the browser's own.
async fn pass_on(State(to): State<To>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let url = to.base.join(parts.uri.path_and_query().unwrap().as_str()).unwrap();
    let place = format!("{} {} as {}", parts.method, parts.uri.path(), to.name);
    let mut asked = to.http.request(parts.method, url).body(body);
    for (name, value) in &parts.headers {
        asked = asked.header(name, value);
    }
    let answer = asked.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    let mut kept = format!("{}\n", answer.status());
    for (name, value) in answer.headers() {
        if name != "set-cookie" {
            kept.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        if name != "transfer-encoding" {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap();
    let bytes = [kept.as_bytes(), &body].concat();
    to.outputs.lock().unwrap().push(Output { place, bytes });
    response.body(Body::from(body)).unwrap()
}

/// Comes back from the provider to this address.
pub async fn come_back(browser: &mut Browser, base: &Url, address: &str) -> Page {
    let path = address.strip_prefix(base.as_str().trim_end_matches('/')).unwrap();
    browser.visit(path).await
}
