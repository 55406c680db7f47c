//! Every way to get a token that a template offers × every protocol the token may open: got as people and apps get it, from the sandbox's
//! own pages and token endpoints, and put to use by *Test incoming* or *Test outgoing*. The real servers' half is in `real::grants`.

use super::sign_in::Person;
use super::{HOST, House, MICROSOFT_APP, OPEN_APP, Play, SUPPORT, TENANT, app};
use crate::diagnosis::healthy::alarms_of;
use crate::support::app::TestApp;
use crate::support::certificates::{DER, FILE};
use crate::support::databases::NOW;
use crate::support::matrix::{Cell, WAYS, Way, offered, table};
use mailgrant::actions::authorize::device::ask_about;
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::probe::{self, Options, Order};
use mailgrant::clock::MockClock;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::Protocol;
use mailgrant::model::report::{Direction, Outcome, Report};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token};
use mailgrant::sandbox::{AppCertificate, AppClient, Folder};
use std::collections::BTreeSet;
use tempfile::TempDir;

pub const ORDERS: &str = "orders@contoso.test";
const HELP: &str = "help@fabrikam.test";
const POST: &str = "post@tailspin.test";
/// An app without a secret, as Fastmail has them.
const PUBLIC_APP: &str = "public-console";
const GOOGLE: &str = "https://mail.google.com/";
const EXCHANGE: [&str; 4] = ["offline_access", super::IMAP, super::POP, super::SMTP];
const GRAPH: [&str; 3] = [
    "offline_access",
    "https://graph.microsoft.com/Mail.ReadWrite",
    "https://graph.microsoft.com/Mail.Send",
];

/// A console with a provider for each template and way, and the sandbox it asks.
pub struct Console {
    pub t: TestApp,
    pub play: Play,
    clock: MockClock,
    directory: TempDir,
}

/// Who of the sandbox plays a template's provider, and the account there.
fn house(kind: TemplateKind, way: Way) -> (House, &'static str) {
    match (kind, way) {
        (TemplateKind::Microsoft, Way::AppBySecret | Way::AppByCertificate) => (House::Microsoft, ORDERS),
        (TemplateKind::Microsoft, _) => (House::Microsoft, SUPPORT),
        (TemplateKind::Google, _) => (House::Google, HELP),
        _ => (House::Open, POST),
    }
}

fn client(kind: TemplateKind, house: House) -> (&'static str, &'static str) {
    if kind == TemplateKind::Fastmail {
        (PUBLIC_APP, "")
    } else {
        app(house)
    }
}

impl Console {
    pub async fn start() -> Self {
        let clock = MockClock::at(NOW);
        let play = Play::start_at(&clock).await;
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, play.sandbox.ca_pem()).unwrap();
        std::fs::write(directory.path().join("client.pem"), FILE).unwrap();
        for (id, _) in [MICROSOFT_APP, OPEN_APP] {
            let mut client = play.sandbox.client(id).unwrap();
            client.certificates.push(AppCertificate::from_der(DER).unwrap());
            client.is_public = true;
            play.sandbox.set_client(client);
        }
        let mut public = AppClient::new(House::Open, PUBLIC_APP, "Public", "");
        public.secrets.clear();
        public.is_public = true;
        play.sandbox.set_client(public);
        let mut post = play.sandbox.person(POST).unwrap();
        post.apps.push(OPEN_APP.0.to_owned());
        play.sandbox.set_person(post);
        // Passwords work at Microsoft only where somebody has agreed before.
        play.sandbox.sign_in(MICROSOFT_APP.0, SUPPORT, &EXCHANGE);
        play.sandbox.sign_in(MICROSOFT_APP.0, SUPPORT, &GRAPH);
        let t = TestApp::start_with(&[("MAILGRANT_EXTRA_CA_FILE", ca.to_str().unwrap())]).await;
        Self { t, play, clock, directory }
    }

    pub async fn apply(&self, text: &str) {
        let sources = Sources {
            directory: self.directory.path().to_path_buf(),
            env: &|_| None,
        };
        let file = parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        apply(&self.t.app, &Actor::command_line(), &file, &sources, false)
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    }

    /// The provider and the token of a way, nothing else; the token's name. A sign-in at Microsoft is for Exchange or for Graph.
    pub async fn make(&self, kind: TemplateKind, way: Way, graph: bool) -> String {
        let name = format!("{kind}-{}{}", way.name(), if graph { "-graph" } else { "" });
        let of_microsoft: &[&str] = if graph { &GRAPH } else { &EXCHANGE };
        let (house, account) = house(kind, way);
        let (url, graph_url) = (self.play.sandbox.url(), self.play.sandbox.graph_url());
        let place = match house {
            House::Microsoft => format!("tenant = \"{TENANT}\"\nauthority = \"{url}\"\ngraph_url = \"{graph_url}\"\n"),
            House::Google => format!(
                "issuer = \"{url}/google\"\nauthorize_url = \"{url}/google/o/oauth2/v2/auth\"\ntoken_url = \"{url}/google/token\"\n\
                 revocation_url = \"{url}/google/revoke\"\n"
            ),
            House::Open => format!(
                "issuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"\n\
                 device_authorization_url = \"{url}/device_authorization\"\nrevocation_url = \"{url}/revoke\"\n"
            ),
        };
        let (id, secret) = client(kind, house);
        let proof = match (kind, way) {
            (_, Way::ServiceAccount) => {
                let robot = self
                    .play
                    .sandbox
                    .add_service_account("robot@sandbox.iam.gserviceaccount.com", &[GOOGLE]);
                format!("service_account = {}\n", toml::Value::String(robot.unwrap()))
            }
            (_, Way::AppByCertificate) => {
                format!("client_id = \"{id}\"\nclient_auth = \"certificate\"\ncertificate_file = \"client.pem\"\n")
            }
            (TemplateKind::Fastmail, _) | (TemplateKind::Microsoft, Way::Device) => {
                format!("client_id = \"{id}\"\nclient_auth = \"none\"\n")
            }
            _ => format!("client_id = \"{id}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{secret}\"\n"),
        };
        let scopes: &[&str] = match (house, way) {
            (House::Microsoft, _) => of_microsoft,
            (House::Google, _) => &[GOOGLE],
            (House::Open, Way::AppBySecret | Way::AppByCertificate) => &["mail"],
            (House::Open, _) => &["offline_access", "mail"],
        };
        let who = match way {
            Way::AppBySecret | Way::AppByCertificate => String::new(),
            Way::Password => format!("user = \"{account}\"\npassword = \"{}\"\n", mailgrant::sandbox::PASSWORD),
            _ => format!("user = \"{account}\"\n"),
        };
        // An app's own token at Microsoft has one scope only, and the console knows which.
        let scopes = if house == House::Microsoft && who.is_empty() {
            String::new()
        } else {
            format!("scopes = {scopes:?}\n")
        };
        let grant = way.grant();
        self.apply(&format!(
            "[[provider]]\nname = \"{name}\"\ntemplate = \"{kind}\"\n{place}{proof}grant = \"{grant}\"\n{scopes}\
             [[token]]\nname = \"{name}\"\nprovider = \"{name}\"\ngrant = \"{grant}\"\n{who}{scopes}"
        ))
        .await;
        name
    }

    pub async fn token(&self, name: &str) -> Token {
        self.t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    /// Where somebody has to sign in, somebody does: in the browser, or with the code of the page at another device.
    async fn sign_in(&self, kind: TemplateKind, way: Way, name: &str) {
        let (house, account) = house(kind, way);
        self.sign_in_as(way, name, house, client(kind, house).0, account).await;
    }

    pub async fn sign_in_as(&self, way: Way, name: &str, house: House, app: &str, account: &str) {
        let mut admin = self.t.admin();
        match way {
            Way::Code => {
                let back = format!("{}oauth/callback/{name}", self.t.web.base_url());
                self.play.sandbox.add_redirect_uri(app, &back);
                let page = admin.submit(format!("/tokens/{name}/authorize"), &[]).await;
                let leave = page
                    .attribute("a#continue", "href")
                    .unwrap_or_else(|| panic!("{name}: {}", page.words()));
                let query = Person::new(&self.play, house).walk(&leave, &back, account).await;
                let page = admin.visit(format!("/oauth/callback/{name}?{query}")).await;
                assert_eq!(page.text(".verdict h2"), "Works", "{name}: {}", page.words());
            }
            Way::Device => {
                let page = admin.submit(format!("/tokens/{name}/authorize"), &[]).await;
                let (address, code) = (page.attribute(".device a", "href").unwrap(), page.text("#code"));
                let form = [("code", code.as_str()), ("account", account), ("decision", "allow")];
                let said = self.play.http.post(address).form(&form).send().await.unwrap().text().await.unwrap();
                assert!(said.contains("this page can be closed"), "{said}");
                self.t.clock.advance(5);
                self.clock.advance(5);
                let id = self.token(name).await.id;
                let attempt = self.t.app.store.latest_authorization(&id).await.unwrap().unwrap();
                ask_about(&self.t.app, &attempt.id).await.unwrap();
            }
            _ => {}
        }
        let state = self
            .t
            .app
            .store
            .grant(&self.token(name).await.id)
            .await
            .unwrap()
            .map(|grant| grant.state);
        let expected = matches!(way, Way::Code | Way::Device).then_some(GrantState::Active);
        assert_eq!(state, expected, "{name}: nothing was got before anybody signed in or asked");
    }

    /// A mailbox that is opened with the token over this protocol alone.
    async fn mailbox(&self, token: &str, protocol: Protocol, (house, address): (House, &str)) -> String {
        let name = format!("{token}-{protocol}");
        let ports = self.play.sandbox.ports(house);
        let side = |side: &str, port: u16| {
            let server = format!("host = \"{HOST}\"\nport = {port}\nsecurity = \"tls\"\n");
            let server = if protocol == Protocol::Graph { "" } else { &server };
            format!("[mailbox.{side}]\nprotocol = \"{protocol}\"\n{server}token = \"{token}\"\n")
        };
        let sides = match protocol {
            Protocol::Imap => side("incoming", ports.imaps),
            Protocol::Pop3 => side("incoming", ports.pop3s),
            Protocol::Smtp => side("outgoing", ports.submissions),
            Protocol::Graph => side("incoming", 0) + &side("outgoing", 0),
        };
        self.apply(&format!("[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n{sides}"))
            .await;
        name
    }

    pub async fn test(&self, name: &str, direction: Direction) -> Report {
        let mailbox = self.t.app.store.mailbox(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let options = Options {
            subject: Some(format!("Proof of {name}")),
            ..Options::default()
        };
        let order = Order {
            mailbox,
            draft: false,
            direction,
            options,
            user: None,
        };
        let ended = probe::run_to_end(&self.t.app, &Actor::console(), order).await.unwrap();
        ended.report.clone()
    }

    /// Does the mailbox open over this protocol, and does what is sent lie in the inbox afterwards?
    async fn works(&self, name: &str, protocol: Protocol, address: &str) {
        let arrived = || {
            let inbox = self.play.sandbox.messages(address, Folder::Inbox);
            let wanted = format!("Proof of {name}");
            inbox.iter().filter(|message| message.head().subject == wanted).count()
        };
        if protocol != Protocol::Smtp {
            let report = self.test(name, Direction::Incoming).await;
            assert_eq!(report.outcome, Outcome::Passed, "{name}: {report:#?}");
            assert_quiet(&report);
        }
        if matches!(protocol, Protocol::Smtp | Protocol::Graph) {
            assert_eq!(arrived(), 0);
            let report = self.test(name, Direction::Outgoing).await;
            assert_eq!(report.outcome, Outcome::Passed, "{name}: {report:#?}");
            assert_quiet(&report);
            assert_eq!(arrived(), 1, "{name}: it passed, and the message is nowhere");
        }
    }
}

/// No step of a mailbox that works warns. Of those the open house stands in for, with a scope of its own, it isn't asked.
fn assert_quiet(report: &Report) {
    let played = !["yahoo", "zoho", "fastmail"]
        .iter()
        .any(|kind| report.mailbox.as_str().starts_with(kind));
    assert!(!played || alarms_of(report).is_empty(), "{:#?}", alarms_of(report));
}

#[tokio::test]
async fn every_grant_opens_every_protocol_the_template_allows() {
    let console = Console::start().await;
    let mut ran = BTreeSet::new();
    for kind in TemplateKind::ALL {
        for way in WAYS {
            for graph in [false, true] {
                let cells = offered();
                let of_token = |cell: &&Cell| cell.0 == *kind && cell.1 == way && (cell.2 == Protocol::Graph) == graph;
                let cells: Vec<Cell> = cells.iter().filter(of_token).copied().collect();
                if cells.is_empty() {
                    continue;
                }
                let name = console.make(*kind, way, graph).await;
                let (house, account) = house(*kind, way);
                console.sign_in(*kind, way, &name).await;
                for cell in cells {
                    let mailbox = console.mailbox(&name, cell.2, (house, account)).await;
                    console.works(&mailbox, cell.2, account).await;
                    ran.insert(cell);
                }
            }
        }
    }
    println!("{}", table(&ran));
    let quiet = ran
        .iter()
        .filter(|(kind, ..)| matches!(kind, TemplateKind::Microsoft | TemplateKind::Google | TemplateKind::Custom));
    println!("{} set-ups work without a step that warns", quiet.count());
    let left: Vec<_> = offered().difference(&ran).copied().collect();
    assert!(left.is_empty(), "offered, and not tried: {left:?}");
}
