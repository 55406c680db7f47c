//! A provider in a box, on this machine: authorization servers with their pages, and mail servers, as Microsoft, Google and an OpenID
//! provider of one's own play them. For the demo and for tests. It shares no code with [`oauth`](crate::oauth) or
//! [`mail`](crate::mail), so that the two sides can't share a mistake.
//!
//! # The parts
//!
//! `state` is what it knows, `shared` what every part holds, `seed` what is there at the start, `mailboxes` the mail; `keys` are made anew each time. [`Faults`] say
//! what goes wrong next. `oauth` is the authorization servers; `imap`, `pop3` and `smtp` speak over a `wire` and let in whom `sasl`
//! lets in; `graph` is Microsoft Graph; `portal` is where an admin registers apps and gives them what they need. Nothing here connects
//! anywhere.

mod fault;
mod graph;
mod imap;
mod keys;
mod mailboxes;
mod oauth;
mod pop3;
mod portal;
mod sasl;
mod seed;
mod shared;
mod smtp;
mod state;
mod wire;

pub use fault::{Fault, Faults, Place};
pub use keys::AppCertificate;
pub use mailboxes::{Folder, Head, Message};
pub use seed::{GOOGLE_APP, MICROSOFT_APP, OPEN_APP};
pub use shared::Settings;
pub use state::{AppClient, AppSecret, Grant, House, Person, TENANT, TENANT_DOMAIN};

use crate::clock::{Clock, Timestamp};
use crate::random::Random;
use axum::Router;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use shared::Shared;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::{Door, Service};

/// The password of every account at the start.
pub const PASSWORD: &str = "sandbox";
/// Where everything listens, and what certificates are for.
pub const HOST: &str = "127.0.0.1";
/// How long is nobody let in after that has failed? Too many open files are as many a moment later.
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);

/// How long may the header of a request take?
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Ports of the mail servers of a house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailPorts {
    /// IMAP, encrypted.
    pub imaps: u16,
    /// IMAP with STARTTLS.
    pub imap: u16,
    /// POP3, encrypted.
    pub pop3s: u16,
    /// POP3 with STLS.
    pub pop3: u16,
    /// Submission, encrypted.
    pub submissions: u16,
    /// Submission with STARTTLS.
    pub submission: u16,
}

/// A running sandbox. Cheap to clone; it ends with [`Sandbox::stop`] or the process.
#[derive(Clone)]
pub struct Sandbox {
    shared: Shared,
    ports: Arc<BTreeMap<&'static str, MailPorts>>,
    graph: String,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Sandbox {
    /// Starts one on free ports, with its people and their mail.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> io::Result<Self> {
        let now = clock.now();
        let made = tokio::task::spawn_blocking(move || keys::Keys::make(now))
            .await
            .map_err(io::Error::other)?;
        let http = bind().await?;
        let https = bind().await?;
        let base = format!("http://{HOST}:{}", http.local_addr()?.port());
        let graph = format!("https://{HOST}:{}", https.local_addr()?.port());
        let shared = Shared::new(seed::world(now), made?, settings, clock, random, base);
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let router = oauth::routes()
            .merge(graph::routes())
            .merge(portal::routes())
            .with_state(shared.clone());
        let router = router.layer(axum::middleware::from_fn(own_host));
        tasks.spawn(serve_http(http, router.clone(), None, stopping.clone(), tasks.clone()));
        tasks.spawn(serve_http(https, router, Some(shared.clone()), stopping.clone(), tasks.clone()));
        let mut ports = BTreeMap::new();
        for house in House::ALL {
            let open = async |service, implicit| -> io::Result<u16> {
                let listener = bind().await?;
                let port = listener.local_addr()?.port();
                let door = Door { house, service, implicit };
                tasks.spawn(serve_mail(listener, door, shared.clone(), stopping.clone(), tasks.clone()));
                Ok(port)
            };
            let mail = MailPorts {
                imaps: open(Service::Imap, true).await?,
                imap: open(Service::Imap, false).await?,
                pop3s: open(Service::Pop3, true).await?,
                pop3: open(Service::Pop3, false).await?,
                submissions: open(Service::Smtp, true).await?,
                submission: open(Service::Smtp, false).await?,
            };
            ports.insert(house.title(), mail);
        }
        Ok(Self {
            shared,
            ports: Arc::new(ports),
            graph,
            stopping,
            tasks,
        })
    }

    /// Hangs up on everybody and ends.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The authorization servers' address, without a slash at the end: Microsoft's `authority`.
    pub fn url(&self) -> &str {
        self.shared.base()
    }

    /// Graph's address, encrypted; all the rest is there too.
    pub fn graph_url(&self) -> &str {
        &self.graph
    }

    /// Issuer identifier of a house; its discovery document is below.
    pub fn issuer(&self, house: House) -> String {
        self.shared.issuer(house)
    }

    /// Where the mail servers of a house listen.
    pub fn ports(&self, house: House) -> MailPorts {
        self.ports[house.title()]
    }

    /// The authority that signed the servers' certificates, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.shared.keys().ca_pem()
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        self.shared.faults()
    }

    /// Changes an app, or registers it.
    pub fn set_client(&self, client: AppClient) {
        let mut world = self.shared.world();
        match world.client_mut(&client.id) {
            Some(known) => *known = client,
            None => world.clients.push(client),
        }
    }

    /// An app as it is registered.
    pub fn client(&self, id: &str) -> Option<AppClient> {
        self.shared.world().client(id).cloned()
    }

    /// Registers an address sign-ins of an app may return to.
    pub fn add_redirect_uri(&self, client: &str, uri: &str) {
        if let Some(client) = self.shared.world().client_mut(client) {
            client.redirect_uris.push(uri.to_owned());
        }
    }

    /// Makes a service account with a key and lets it act for everybody of its domain with these scopes. Returns the key file.
    pub fn add_service_account(&self, email: &str, scopes: &[&str]) -> io::Result<String> {
        let key_id = self.shared.guid().replace('-', "");
        let (pem, certificate) = keys::service_account_key(&key_id)?;
        let id = "117000000000000000001";
        let mut client = AppClient::new(House::Google, id, "Service account", "");
        client.secrets.clear();
        client.certificates.push(certificate);
        client.service_account = Some(email.to_owned());
        client.roles = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.set_client(client);
        let file = serde_json::json!({
            "type": "service_account", "project_id": "sandbox", "private_key_id": key_id, "private_key": pem, "client_email": email,
            "client_id": id, "token_uri": format!("{}/google/token", self.url()), "universe_domain": "googleapis.com",
        });
        Ok(file.to_string())
    }

    /// Opens an account with an empty mailbox, or changes one.
    pub fn set_person(&self, person: Person) {
        let mut world = self.shared.world();
        world.mail.create(&person.address);
        world.people.retain(|known| !known.address.eq_ignore_ascii_case(&person.address));
        world.people.push(person);
    }

    /// Somebody as they are known.
    pub fn person(&self, address: &str) -> Option<Person> {
        self.shared.world().person(address).cloned()
    }

    /// A refresh token, as if somebody had signed in to the app and agreed to everything.
    pub fn sign_in(&self, client: &str, user: &str, scopes: &[&str]) -> String {
        let grant = {
            let mut world = self.shared.world();
            for scope in scopes {
                world.consents.insert((client.to_owned(), user.to_owned(), (*scope).to_owned()));
            }
            Grant {
                client: client.to_owned(),
                user: Some(user.to_owned()),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                family: world.new_family(),
            }
        };
        let house = self.client(client).map_or(House::Open, |client| client.house);
        oauth::refresh_token(&self.shared, house, &grant)
    }

    /// Ends every sign-in and every token of somebody, or of everybody.
    pub fn revoke(&self, user: Option<&str>) {
        let mut world = self.shared.world();
        let keep = |grant: &Grant| user.is_some() && grant.user.as_deref() != user;
        world.access.retain(|_, access| keep(&access.grant));
        world.refresh.retain(|_, grant| keep(grant));
    }

    /// Ends every access token; sign-ins live on.
    pub fn expire_access_tokens(&self) {
        let now = self.shared.now();
        self.shared.world().access.values_mut().for_each(|access| access.ends = now);
    }

    /// The messages of a folder, oldest first.
    pub fn messages(&self, address: &str, folder: Folder) -> Vec<Message> {
        self.shared.world().mail.list(address, folder)
    }

    /// Puts a message, with CRLF at the ends of its lines, into a folder.
    pub fn put(&self, address: &str, folder: Folder, raw: &[u8], attachment: usize, received: Timestamp) -> bool {
        self.shared.world().mail.put(address, folder, raw, attachment, false, received)
    }
}

async fn bind() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

async fn serve_mail(listener: TcpListener, door: Door, shared: Shared, stopping: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(AFTER_A_FAILURE).await;
            continue;
        };
        let (shared, stopping) = (shared.clone(), stopping.clone());
        tasks.spawn(async move {
            tokio::select! {
                // How a client goes is its own affair.
                _ = wire::serve(stream, door, shared) => {}
                () = stopping.cancelled() => {}
            }
        });
    }
}

async fn serve_http(listener: TcpListener, router: Router, tls: Option<Shared>, stopping: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(AFTER_A_FAILURE).await;
            continue;
        };
        let (router, tls, stopping) = (router.clone(), tls.clone(), stopping.clone());
        tasks.spawn(async move {
            tokio::select! {
                _ = http_connection(stream, router, tls) => {}
                () = stopping.cancelled() => {}
            }
        });
    }
}

/// Answers only to the names of this machine: a page of somebody else whose name leads here has another one (DNS rebinding).
async fn own_host(request: Request, next: Next) -> Response {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = request.uri().authority().map(Authority::as_str).or(header).unwrap_or_default();
    let name = named.parse::<Authority>().map(|found| found.host().to_ascii_lowercase());
    if name.is_ok_and(|name| ["127.0.0.1", "localhost", "[::1]"].contains(&name.as_str())) {
        return next.run(request).await;
    }
    let words = "This sandbox answers under 127.0.0.1 and localhost only.";
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

async fn http_connection(stream: TcpStream, router: Router, tls: Option<Shared>) -> io::Result<()> {
    let service = TowerToHyperService::new(router);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    let served = match tls {
        None => builder.serve_connection(TokioIo::new(stream), service).await,
        Some(shared) => {
            if shared.faults().hits(Fault::HangsUp) {
                return Ok(());
            }
            let stream = shared.keys().acceptor(shared.faults()).accept(stream).await?;
            if shared.faults().hits(Fault::Silent) {
                std::future::pending::<()>().await;
            }
            if shared.faults().hits(Fault::Slow) {
                sleep(shared.settings().slow).await;
            }
            builder.serve_connection(TokioIo::new(stream), service).await
        }
    };
    served.map_err(io::Error::other)
}
