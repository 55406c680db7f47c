//! A balancer that knows nothing of what it passes on, and a browser behind it that opens a connection for each request.

use crate::support::page::Page;
use axum::http::StatusCode;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

struct Backend {
    name: String,
    address: SocketAddr,
    up: bool,
    count: usize,
}

#[derive(Default)]
struct Backends {
    all: Vec<Backend>,
    next: usize,
}

/// Each connection goes to the next one that is up.
pub struct Proxy {
    address: SocketAddr,
    backends: Arc<Mutex<Backends>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backends: Arc<Mutex<Backends>> = Arc::default();
        let shared = Arc::clone(&backends);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let chosen = {
                    let mut backends = shared.lock().unwrap();
                    backends.next += 1;
                    let next = backends.next;
                    let mut up: Vec<&mut Backend> = backends.all.iter_mut().filter(|backend| backend.up).collect();
                    let at = next % up.len().max(1);
                    up.get_mut(at).map(|backend| {
                        backend.count += 1;
                        backend.address
                    })
                };
                tokio::spawn(async move {
                    if let Some(address) = chosen
                        && let Ok(mut there) = TcpStream::connect(address).await
                    {
                        let _ = copy_bidirectional(&mut stream, &mut there).await;
                    }
                });
            }
        });
        Self { address, backends, task }
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    pub fn add(&self, name: &str, address: SocketAddr) {
        let mut backends = self.backends.lock().unwrap();
        backends.all.retain(|backend| backend.name != name);
        backends.all.push(Backend {
            name: name.to_owned(),
            address,
            up: true,
            count: 0,
        });
    }

    pub fn remove(&self, name: &str) {
        for backend in &mut self.backends.lock().unwrap().all {
            backend.up &= backend.name != name;
        }
    }

    pub fn count(&self, name: &str) -> usize {
        let backends = self.backends.lock().unwrap();
        backends
            .all
            .iter()
            .filter(|backend| backend.name == name)
            .map(|backend| backend.count)
            .sum()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub async fn is_ready(address: SocketAddr) -> bool {
    let asked = client().get(format!("http://{address}/health/ready")).send().await;
    asked.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// Cookies, and the page that was seen last.
pub struct Browser {
    http: reqwest::Client,
    url: String,
    cookies: BTreeMap<String, String>,
    last: Option<Page>,
}

impl Page {
    /// Where it leads, which it must.
    pub fn leads(&self) -> String {
        self.location().unwrap_or_else(|| panic!("it leads nowhere: {}", self.words()))
    }
}

/// An answer and its status as a number.
pub struct Answer {
    pub status: u16,
    pub body: String,
    page: Page,
}

impl Answer {
    pub fn words(&self) -> String {
        self.page.words()
    }

    pub fn location(&self) -> String {
        let location = self.page.leads();
        match location.strip_prefix("http://") {
            Some(rest) => format!("/{}", rest.split_once('/').map_or("", |(_, path)| path)),
            None => location,
        }
    }

    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.page.attribute(css, name)
    }
}

impl Browser {
    pub fn new(proxy: &Proxy) -> Self {
        Self {
            http: client(),
            url: proxy.url(),
            cookies: BTreeMap::new(),
            last: None,
        }
    }

    fn cookie(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.header("cookie", self.cookie()).header("origin", &self.url);
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() || cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        Answer {
            status: status.as_u16(),
            page: Page {
                status,
                headers: headers.clone(),
                body: body.clone(),
            },
            body,
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = self.send(request).await;
        self.last = Some(Page {
            status: answer.page.status,
            headers: answer.page.headers.clone(),
            body: answer.body.clone(),
        });
        answer
    }

    /// Goes on until a page comes.
    pub async fn follow(&mut self, path: &str) -> Answer {
        let mut path = path.to_owned();
        loop {
            let answer = self.get(&path).await;
            if answer.status != 303 && answer.status != 307 {
                return answer;
            }
            path = answer.location();
        }
    }

    /// The form of a page as it is, but for these fields.
    pub async fn send_form(&mut self, page: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
        // A page may have a form that only asks, to the same address.
        let mut all = page.page.form(&format!("{action}\"][method=\"post"));
        assert!(!all.is_empty(), "no form to {action}: {}", page.words());
        all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request = self.http.post(format!("{}{action}", self.url)).form(&all);
        self.send(request).await
    }

    /// Opens a page and sends one of its forms.
    pub async fn post(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(page).await;
        self.send_form(&page, action, fields).await
    }

    fn token(&self) -> String {
        let last = self.last.as_ref().unwrap();
        last.attribute("input[name=csrf_token]", "value").unwrap()
    }

    async fn act(&mut self, action: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let mut all = vec![("csrf_token", token.as_str())];
        all.extend(fields);
        let request = self.http.post(format!("{}{action}", self.url)).form(&all);
        self.send(request).await
    }

    /// Presses a button with the token of the page that was seen last.
    pub async fn post_with_last(&mut self, action: &str) -> Answer {
        self.act(action, &[]).await
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) {
        let answer = self.post("/login", "/login", &[("email", email), ("password", password)]).await;
        assert_eq!(answer.status, 303, "{}", answer.words());
        assert_eq!(self.get(&answer.location()).await.status, 200);
    }

    /// What tells this form from others.
    pub async fn once(&mut self, mailbox: &str, direction: &str) -> String {
        let page = self.get(&format!("/mailboxes/{mailbox}/test/{direction}")).await;
        page.attribute("input[name=once]", "value").unwrap()
    }

    /// Starts a test as a page with a script does; the address of its run.
    pub async fn press_test(&mut self, mailbox: &str, direction: &str, once: &str) -> String {
        let script = if once.is_empty() && mailbox == "typed" { "" } else { "1" };
        let fields = [("defaults", "1"), ("once", once), ("script", script)];
        let answer = self.act(&format!("/mailboxes/{mailbox}/test/{direction}"), &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.words());
        answer.location()
    }

    /// Everything a stream of events says until its end, once it has told how far the run is.
    pub async fn events(&mut self, run: &str) -> JoinHandle<String> {
        let request = self.http.get(format!("{}{run}/events", self.url)).header("cookie", self.cookie());
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains("<title>") {
            let more = tokio::time::timeout(Duration::from_secs(20), answer.chunk())
                .await
                .unwrap()
                .unwrap();
            heard.extend_from_slice(&more.expect("it ended before it told anything"));
        }
        tokio::spawn(async move {
            heard.extend_from_slice(&answer.bytes().await.unwrap());
            String::from_utf8(heard).unwrap()
        })
    }
}
