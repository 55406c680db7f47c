//! `token authorize`: the command prints a link and waits, somebody walks it at the real provider, and the command says how that ended.

use crate::support::command::Machine;
use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, Rig};
use crate::support::visitor::{Place, Visitor};
use reqwest::Method;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use rustix::process::Signal;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use sqlx::Connection;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use url::Url;

/// Long enough for a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process, its lines as they come, and its end with the test.
pub struct Running {
    pub child: Child,
    pub out: Receiver<String>,
    pub err: Receiver<String>,
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Read to the end in any case: nobody may block on a full pipe.
            let _ = send.send(line);
        }
    });
    receive
}

impl Running {
    pub fn start(machine: &Machine, arguments: &[&str]) -> Self {
        let mut child = machine.command(arguments).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status, and the lines nobody has read yet.
    #[track_caller]
    pub fn end(&mut self) -> (Option<i32>, Vec<String>, Vec<String>) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.child.wait().unwrap().code();
        (status, self.out.iter().collect(), self.err.iter().collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A console with a token `mail` that is for `address`, and one that is got at another device.
pub struct House {
    pub rig: &'static Rig,
    pub machine: Machine,
    origin: String,
    pub client: String,
    pub address: String,
    /// The console.
    pub serving: Running,
}

impl House {
    /// None where the rig does not run. `stored`: somebody has signed in before.
    pub async fn new(stored: bool) -> Option<Self> {
        Self::asking_for(IMAP_SCOPE, stored).await
    }

    /// The same for other permissions, a blank between them.
    pub async fn asking_for(permissions: &str, stored: bool) -> Option<Self> {
        let scopes: Vec<&str> = ["offline_access"].into_iter().chain(permissions.split(' ')).collect();
        let rig = Rig::get()?;
        rig.mark("openid-provider");
        // A free port, for a moment nobody else's.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let origin = format!("http://localhost:{}", listen.port());
        let client = rig
            .register_client(json!({ "redirect_uris": [format!("{origin}/oauth/callback/rig")] }))
            .await;
        let address = rig.fresh_address();
        let mut machine = Machine::new();
        machine.set("MAILGRANT_EXTRA_CA_FILE", rig.ca_file.clone());
        machine.set("MAILGRANT_ALLOW_NETWORKS", "loopback");
        machine.set("MAILGRANT_LISTEN", listen.to_string());
        machine.set("MAILGRANT_BASE_URL", origin.clone());
        machine.set("RIG_CLIENT_SECRET", CLIENT_SECRET);
        let mut text = format!(
            "[[provider]]\nname = \"rig\"\ntemplate = \"custom\"\nissuer = \"{}\"\nclient_id = \"{client}\"\nclient_secret_env = \"RIG_CLIENT_SECRET\"\n\
             client_auth = \"secret_post\"\nscopes = {scopes:?}\n\
             [[token]]\nname = \"mail\"\nprovider = \"rig\"\nuser = \"{address}\"\n",
            rig.issuer
        );
        if stored {
            let scope = format!("openid email profile offline_access {permissions}");
            let minted = rig.mint_grant(&client, &address, &scope).await;
            machine.set("RIG_REFRESH_TOKEN", minted.refresh_token.unwrap());
            text.push_str("refresh_token_env = \"RIG_REFRESH_TOKEN\"\n");
        }
        text.push_str(&format!(
            "[[token]]\nname = \"phone\"\nprovider = \"rig\"\ngrant = \"device_code\"\nuser = \"{address}\"\n"
        ));
        machine.apply(&text).ok();
        let serving = Running::start(&machine, &["serve"]);
        let ready = serving.err.recv_timeout(PATIENCE).unwrap();
        assert!(ready.contains("Mailgrant is ready"), "{ready}");
        Some(Self {
            rig,
            machine,
            origin,
            client,
            address,
            serving,
        })
    }

    /// Starts the command; it, and the link it printed.
    pub fn authorize(&self) -> (Running, String) {
        let command = Running::start(&self.machine, &["token", "authorize", "mail"]);
        let said = command.err.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            said,
            format!("Open this link and sign in as {}. It works once, for an hour:", self.address)
        );
        let link = command.out.recv_timeout(PATIENCE).unwrap();
        assert!(link.starts_with(&format!("{}/l/", self.origin)), "{link}");
        (command, link)
    }

    fn stored(&self) -> Value {
        self.machine.run(&["token", "show", "mail", "--json"]).ok().json()
    }

    fn access_token(&self) -> String {
        self.machine.run(&["token", "get", "mail"]).ok().out.trim_end().to_owned()
    }

    /// Changes the database beside the console.
    async fn change(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let file = self.machine.data().join("mailgrant.db");
        let mut connection = sqlx::AnyConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        assert_eq!(sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(), 1);
        connection.close().await.unwrap();
    }
}

/// Somebody with a browser, without an account here.
pub struct Stranger {
    http: reqwest::Client,
    console: Url,
    cookies: BTreeMap<String, String>,
    provider: Visitor,
}

impl Stranger {
    pub fn new(house: &House) -> Self {
        Self {
            http: house.rig.http(),
            console: Url::parse(&house.origin).unwrap(),
            cookies: BTreeMap::new(),
            provider: Visitor::new(house.rig),
        }
    }

    /// A page of the console, after all redirects.
    async fn ask(&mut self, method: Method, address: &str, form: &[(&str, &str)]) -> Html {
        let (mut method, mut url) = (method, self.console.join(address).unwrap());
        loop {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut request = self.http.request(method.clone(), url.clone()).header(COOKIE, cookies.join("; "));
            if method == Method::POST {
                request = request.header(ORIGIN, self.console.origin().ascii_serialization()).form(form);
            }
            let answer = request.send().await.unwrap();
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            self.cookies.retain(|_, value| !value.is_empty());
            match answer.headers().get(LOCATION) {
                Some(next) => (method, url) = (Method::GET, url.join(next.to_str().unwrap()).unwrap()),
                None => return Html::parse_document(&answer.text().await.unwrap()),
            }
        }
    }

    async fn heading(&mut self, address: &str) -> String {
        heading(&self.ask(Method::GET, address, &[]).await)
    }

    /// Opens a link and goes on to the provider; the address there.
    async fn leave(&mut self, link: &str) -> String {
        let page = self.ask(Method::GET, link, &[]).await;
        let csrf = attribute(&page, "input[name=csrf_token]", "value");
        let page = self
            .ask(Method::POST, &attribute(&page, "form", "action"), &[("csrf_token", &csrf)])
            .await;
        attribute(&page, "a#continue", "href")
    }

    /// Signs in through a link; the heading of the page in the end.
    pub async fn sign_in(&mut self, link: &str, account: &str) -> String {
        let address = self.leave(link).await;
        let back = self.provider.allow_as(&address, account).await;
        self.heading(back.as_str()).await
    }

    /// Goes to the provider and cancels there.
    async fn cancel(&mut self, link: &str) -> String {
        let address = self.leave(link).await;
        let Place::Waiting(page) = self.provider.open(&address).await else {
            panic!("it does not ask")
        };
        let back = self.provider.press(&page, "cancel").await.back();
        self.heading(back.as_str()).await
    }
}

fn first<'a>(page: &'a Html, selector: &str) -> scraper::ElementRef<'a> {
    let found = page.select(&Selector::parse(selector).unwrap()).next();
    found.unwrap_or_else(|| panic!("no {selector}: {}", page.html()))
}

fn attribute(page: &Html, selector: &str, name: &str) -> String {
    first(page, selector).attr(name).unwrap().to_owned()
}

fn heading(page: &Html) -> String {
    first(page, "h1").text().collect()
}

#[tokio::test]
async fn the_command_waits_through_wrong_accounts_until_the_right_one_signed_in() {
    let Some(house) = House::new(false).await else { return };
    let maija = house.rig.user("maija");
    let (mut command, link) = house.authorize();
    let mut stranger = Stranger::new(&house);

    assert_eq!(stranger.sign_in(&link, maija).await, format!("You signed in as {maija}"));
    assert_eq!(
        command.err.recv_timeout(PATIENCE).unwrap(),
        format!(
            "Somebody came back as {maija}, expected {}. Token unchanged. The link still works.",
            house.address
        )
    );
    assert_eq!(stranger.cancel(&link).await, "You came back without signing in");
    assert_eq!(
        command.err.recv_timeout(PATIENCE).unwrap(),
        "Somebody came back without signing in. Token unchanged. The link still works."
    );
    assert_eq!(house.stored()["state"], "unauthorized");
    assert_eq!(command.child.try_wait().unwrap(), None);

    assert_eq!(stranger.sign_in(&link, &house.address).await, "Done");
    let ended = command.end();
    assert_eq!(ended, (Some(0), vec![format!("signed in as {}", house.address)], vec![]));
    assert_eq!(house.stored()["state"], "active");
    assert!(house.rig.is_active(&house.access_token()).await);
    assert_eq!(stranger.heading(&link).await, "This link was used");
    // After another account the provider has to ask which one.
    let asked = house.rig.requests_at(&house.client, "authorize").await;
    let prompts: Vec<_> = asked.iter().filter_map(|request| request.prompt.as_deref()).collect();
    assert_eq!(prompts, ["consent", "select_account", "select_account"]);
}

#[tokio::test]
async fn a_permission_that_was_not_allowed_is_said_at_the_end() {
    let Some(house) = House::new(false).await else { return };
    let redirect = format!("{}/oauth/callback/rig", house.origin);
    let options = json!({ "client_id": house.client, "redirect_uris": [redirect], "drop_scopes": [IMAP_SCOPE] });
    house.rig.register_client(options).await;
    let (mut command, link) = house.authorize();
    let shown = Stranger::new(&house).sign_in(&link, &house.address).await;
    assert_eq!(shown, "Signed in, but permissions are missing");
    let (status, out, err) = command.end();
    assert_eq!((status, out), (Some(0), vec![format!("signed in as {}", house.address)]));
    assert_eq!(err, [format!("{} signed in without {IMAP_SCOPE}.", house.address)]);
}

#[tokio::test]
async fn a_stopped_command_takes_its_link_back_and_leaves_the_token_as_it_was() {
    let Some(house) = House::new(true).await else { return };
    let before = (house.access_token(), house.stored());
    for signal in [Signal::INT, Signal::TERM] {
        let (mut command, link) = house.authorize();
        let mut stranger = Stranger::new(&house);
        let leave = stranger.leave(&link).await;
        command.signal(signal);
        let (status, out, err) = command.end();
        assert_eq!((status, out), (Some(1), vec![]), "{err:?}");
        assert_eq!(
            err,
            [
                "error: stopped before anybody signed in",
                "help: the link no longer works: run the command again for another"
            ]
        );
        // Also for somebody who is at the provider's pages already.
        let back = stranger.provider.allow_as(&leave, &house.address).await;
        assert_eq!(stranger.heading(back.as_str()).await, "This sign-in is too old");
        assert_eq!(stranger.heading(&link).await, "This link was withdrawn");
        assert_eq!((house.access_token(), house.stored()), before);
    }
}

#[tokio::test]
async fn a_link_that_ends_or_is_withdrawn_ends_the_command() {
    let Some(house) = House::new(true).await else { return };
    let before = (house.access_token(), house.stored());
    for (sql, said) in [
        ("UPDATE links SET withdrawn = 1", "error: the link was withdrawn in the console"),
        (
            "UPDATE links SET expires_at = 0 WHERE withdrawn = 0",
            "error: nobody signed in within an hour",
        ),
    ] {
        let (mut command, _link) = house.authorize();
        house.change(sql).await;
        let (status, out, err) = command.end();
        assert_eq!((status, out), (Some(1), vec![]), "{err:?}");
        assert_eq!(err[0], said);
        assert_eq!((house.access_token(), house.stored()), before);
    }
}
