//! Support bundles, their previews and the pages of test runs, made where everything has a canary in it: secrets, tokens, sign-ins, subjects,
//! senders, contents, and, where names are hidden, every name. Some servers are honest, and some throw back what they were sent, in
//! whatever they can write it.

mod canaries;
mod hostile;

use crate::sandbox::matrix::Console;
use crate::support::app::{Browser, Page};
use crate::support::provider::{CLIENT, Lie, Provider, SECRET};
use axum::http::StatusCode;
use canaries::Canaries;
use hostile::Hostile;
use mailgrant::actions::access_token::access_token;
use mailgrant::model::Name;
use mailgrant::sandbox::{Fault, Folder, HOST, House, MICROSOFT_APP, Person, TENANT};

const ADDRESS: &str = "zaunkoenig@kanarienvogel.test";
const SUBJECT: &str = "canary-subject of a message, 4711";
const SENT: &str = "canary-subject of the test itself";
const BODY: &str = "canary-body-of-a-message-0815";
const APP_SECRET: &str = "cana8Q~canary.client-secret-of-the-app~0123";
const REFRESH: &str = "canary-refresh-token-brought-along-0123456789";
const PASSWORD: &str = "canary-password of a mailbox, 42";
const EXCHANGE: [&str; 4] = [
    "offline_access",
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/POP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
];
const GRAPH: [&str; 3] = [
    "offline_access",
    "https://graph.microsoft.com/Mail.ReadWrite",
    "https://graph.microsoft.com/Mail.Send",
];

struct World {
    console: Console,
    provider: Provider,
    canaries: Canaries,
    operator: Browser,
    runs: Vec<String>,
}

impl World {
    async fn start() -> Self {
        let console = Console::start().await;
        let provider = Provider::start(console.t.app.clock.now()).await;
        let mut canaries = Canaries::default();
        for (what, text) in [
            ("subject", SUBJECT),
            ("subject of the test", SENT),
            ("body", BODY),
            ("sender", "kanari.absender@kanarienheim.test"),
            ("sender's name", "Kanarius Absender"),
            ("client secret", APP_SECRET),
            ("client secret", SECRET),
            ("refresh token", REFRESH),
            ("password", PASSWORD),
        ] {
            canaries.secret(what, text);
        }
        for (what, text) in [
            ("address", ADDRESS),
            ("user", "zaunkoenig"),
            ("domain", "kanarienvogel.test"),
            ("host", "imap.kanarienhost.test"),
            ("display name", "Kanarina Postfach"),
            ("account's name", "Kanarina Zaunkoenig"),
            ("mailbox", "mbx-kanariennest"),
            ("token", "tok-kanarienlied"),
            ("provider", "prv-kanariengold"),
            ("tenant", TENANT),
            ("person", "Ossi Lahti"),
            ("person's address", "ossi.lahti@contoso.test"),
        ] {
            canaries.name(what, text);
        }
        let sandbox = &console.play.sandbox;
        let mut client = sandbox.client(MICROSOFT_APP.0).unwrap();
        client.secrets[0].value = APP_SECRET.to_owned();
        sandbox.set_client(client);
        sandbox.set_person(Person::new(House::Microsoft, ADDRESS, "Kanarina Zaunkoenig"));
        for number in 1..4 {
            let raw = format!(
                "From: Kanarius Absender <kanari.absender@kanarienheim.test>\r\nTo: {ADDRESS}\r\nSubject: {SUBJECT}\r\n\
                 Message-ID: <{number}@kanarienheim.test>\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\n\r\n{BODY}\r\n"
            );
            assert!(sandbox.put(ADDRESS, Folder::Inbox, raw.as_bytes(), 0, console.t.app.clock.now()));
        }
        let operator = console.t.operator();
        let mut world = Self {
            console,
            provider,
            canaries,
            operator,
            runs: Vec::new(),
        };
        world.records().await;
        world
    }

    /// Providers and tokens, with the secrets and names that are looked for.
    async fn records(&mut self) {
        let sandbox = &self.console.play.sandbox;
        let (url, graph_url) = (sandbox.url(), sandbox.graph_url());
        let mut text = String::new();
        for (suffix, graph, scopes) in [
            ("", graph_url.to_owned(), &EXCHANGE[..]),
            ("-graph", graph_url.to_owned(), &GRAPH[..]),
        ] {
            let refresh = sandbox.sign_in(MICROSOFT_APP.0, ADDRESS, scopes);
            self.canaries.secret("refresh token", &refresh);
            text += &format!(
                "[[provider]]\nname = \"prv-kanariengold{suffix}\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{url}\"\n\
                 graph_url = \"{graph}\"\nclient_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{APP_SECRET}\"\n\
                 [[token]]\nname = \"tok-kanarienlied{suffix}\"\nprovider = \"prv-kanariengold{suffix}\"\nuser = \"{ADDRESS}\"\n\
                 scopes = {scopes:?}\nrefresh_token = \"{refresh}\"\n",
                MICROSOFT_APP.0
            );
        }
        let echo = &self.provider.url;
        text += &format!(
            "[[provider]]\nname = \"prv-kanarienecho\"\ntemplate = \"custom\"\nissuer = \"{echo}\"\nauthorize_url = \"{echo}/auth\"\n\
             token_url = \"{echo}/token\"\nclient_id = \"{CLIENT}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{SECRET}\"\n\
             [[token]]\nname = \"tok-kanarienecho\"\nprovider = \"prv-kanarienecho\"\nuser = \"{ADDRESS}\"\nscopes = [\"mail.read\"]\n\
             refresh_token = \"{REFRESH}\"\n"
        );
        self.console.apply(&text).await;
    }

    async fn mailbox(&self, name: &str, sides: &str) {
        let text = format!(
            "[[mailbox]]\nname = \"mbx-kanariennest{name}\"\naddress = \"{ADDRESS}\"\ndisplay_name = \"Kanarina Postfach\"\n{sides}"
        );
        self.console.apply(&text).await;
    }

    /// Tests a side as an operator does, and says how that ended.
    async fn test(&mut self, name: &str, direction: &str) -> String {
        let path = format!("/mailboxes/mbx-kanariennest{name}/test/{direction}");
        let fields = [
            ("newest", "5"),
            ("oversized", "25"),
            ("junk_days", "7"),
            ("from", ADDRESS),
            ("to", ADDRESS),
            ("subject", SENT),
        ];
        let page = self.operator.post(&path, &fields).await;
        let location = page.location().unwrap_or_else(|| panic!("{name}: {}", page.words()));
        let id = location.strip_prefix("/tests/").unwrap().to_owned();
        self.runs.push(id.clone());
        let run = self.console.t.app.store.run(&mailgrant::model::RunId(id)).await.unwrap().unwrap();
        format!("{} {}", run.outcome, run.failed_step.unwrap_or_default()).trim().to_owned()
    }

    /// The access token that is stored now is looked for as well.
    async fn know_access_token(&mut self, name: &str) {
        let token = self.console.t.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        let handed = access_token(&self.console.t.app, &token, None).await.unwrap();
        self.canaries.secret("access token", handed.access_token.expose_secret());
    }

    /// Whatever comes out of a bundle: its preview, the copy, the file, with and without names; and the page it is on.
    async fn outputs(&mut self, place: &str) -> Vec<(String, bool, String)> {
        let mut outputs = Vec::new();
        let whole = |page: Page, what: String| (what, false, page.body);
        outputs.push(whole(self.operator.get(place).await, format!("page of {place}")));
        let bundle = format!("{place}/bundle");
        for hidden in [false, true] {
            let names = if hidden { "hidden" } else { "shown" };
            let page = self.operator.get(format!("{bundle}?names={names}")).await;
            assert_eq!(page.status, StatusCode::OK, "{bundle}: {}", page.words());
            outputs.push((format!("preview of {place}, {names}"), hidden, page.text("pre")));
            outputs.push(whole(page, format!("preview page of {place}, {names}")));
            for act in if hidden { &["copy", "download"][..] } else { &["download"] } {
                let page = self.operator.post(&bundle, &[("names", names), ("act", *act)]).await;
                assert_eq!(page.status, StatusCode::OK, "{bundle}: {}", page.words());
                outputs.push((format!("{act} of {place}, {names}"), hidden, page.body));
            }
        }
        outputs
    }

    async fn look(&mut self) {
        let mut places: Vec<String> = self.runs.iter().map(|run| format!("/tests/{run}")).collect();
        places.extend(["/tokens/tok-kanarienlied", "/tokens/tok-kanarienecho"].map(str::to_owned));
        places.extend(["/providers/prv-kanariengold", "/providers/prv-kanarienecho"].map(str::to_owned));
        let mut leaks = std::collections::BTreeSet::new();
        for place in places {
            for (what, hidden, text) in self.outputs(&place).await {
                for leak in self.canaries.found(&text, hidden) {
                    leaks.insert(format!("{leak}: {what}"));
                }
                assert!(text.len() > 700, "{what} says next to nothing: {text}");
            }
        }
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
}

fn side(direction: &str, protocol: &str, port: u16, security: &str, sign_in: &str) -> String {
    let server = match protocol {
        "graph" => String::new(),
        _ => format!("host = \"{HOST}\"\nport = {port}\nsecurity = \"{security}\"\n"),
    };
    format!("[mailbox.{direction}]\nprotocol = \"{protocol}\"\n{server}{sign_in}\n")
}

const TOKEN: &str = "token = \"tok-kanarienlied\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_of_honest_servers_hold_no_canary() {
    let mut world = World::start().await;
    let ports = world.console.play.sandbox.ports(House::Microsoft);
    let both = side("incoming", "imap", ports.imaps, "tls", TOKEN) + &side("outgoing", "smtp", ports.submissions, "tls", TOKEN);
    world.mailbox("", &both).await;
    world.mailbox("-pop", &side("incoming", "pop3", ports.pop3s, "tls", TOKEN)).await;
    let of_graph = "token = \"tok-kanarienlied-graph\"";
    let graph = side("incoming", "graph", 0, "", of_graph) + &side("outgoing", "graph", 0, "", of_graph);
    world.mailbox("-graph", &graph).await;
    let nowhere = side(
        "incoming",
        "imap",
        993,
        "tls",
        &format!("auth = \"password\"\npassword = \"{PASSWORD}\""),
    )
    .replace(HOST, "imap.kanarienhost.test");
    world.mailbox("-nowhere", &nowhere).await;
    let sides = [
        ("", "incoming"),
        ("", "outgoing"),
        ("-pop", "incoming"),
        ("-graph", "incoming"),
        ("-graph", "outgoing"),
    ];
    for (name, direction) in sides {
        assert_eq!(world.test(name, direction).await, "passed", "{name} {direction}");
    }
    assert_eq!(world.test("-nowhere", "incoming").await, "failed dns");
    for (fault, steps) in [
        (Fault::TokenRefused, ["auth", "auth", "auth", "inbox", "send"]),
        (Fault::CertificateWrongName, ["tls"; 5]),
    ] {
        world.console.play.sandbox.faults().set(&[fault]);
        for ((name, direction), step) in sides.iter().zip(steps) {
            assert_eq!(
                world.test(name, direction).await,
                format!("failed {step}"),
                "{fault} {name} {direction}"
            );
        }
        world.console.play.sandbox.faults().set(&[]);
    }
    world.know_access_token("tok-kanarienlied").await;
    world.know_access_token("tok-kanarienlied-graph").await;
    world.console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    // Long enough for the access token to run out, and somebody is here all the time.
    for _ in 0..4 {
        world.console.t.clock.advance(1200);
        world.operator.get("/").await;
    }
    assert_eq!(world.test("", "incoming").await, "failed token");
    world.look().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_of_servers_that_throw_everything_back_hold_no_canary() {
    let mut world = World::start().await;
    let (hostile, other) = (Hostile::start().await, Hostile::start().await);
    let password = format!("auth = \"password\"\npassword = \"{PASSWORD}\"");
    for (name, sign_in, servers) in [("", TOKEN, &hostile), ("-password", password.as_str(), &other)] {
        for (protocol, direction, port) in [
            ("imap", "incoming", servers.imap()),
            ("pop3", "incoming", servers.pop()),
            ("smtp", "outgoing", servers.smtp()),
        ] {
            world
                .mailbox(&format!("{name}-{protocol}"), &side(direction, protocol, port, "none", sign_in))
                .await;
        }
    }
    world.console.apply(&format!(
        "[[provider]]\nname = \"prv-kanariengold-graph\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{}\"\ngraph_url = \"{}\"\n\
         client_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{APP_SECRET}\"\n[[token]]\nname = \"tok-kanarienlied-graph\"\n\
         provider = \"prv-kanariengold-graph\"\nuser = \"{ADDRESS}\"\nscopes = {GRAPH:?}\nrefresh_token = \"{}\"\n",
        world.console.play.sandbox.url(),
        hostile.graph(),
        MICROSOFT_APP.0,
        world.console.play.sandbox.sign_in(MICROSOFT_APP.0, ADDRESS, &GRAPH),
    ))
    .await;
    let of_graph = "token = \"tok-kanarienlied-graph\"";
    let graph = side("incoming", "graph", 0, "", of_graph) + &side("outgoing", "graph", 0, "", of_graph);
    world.mailbox("-graph", &graph).await;
    world.know_access_token("tok-kanarienlied").await;
    world.know_access_token("tok-kanarienlied-graph").await;

    // Several times, because a server that has a line for its answer says something else each time, and knows a secret from before.
    for _ in 0..2 {
        for (name, direction) in [
            ("-imap", "incoming"),
            ("-pop3", "incoming"),
            ("-smtp", "outgoing"),
            ("-graph", "incoming"),
            ("-graph", "outgoing"),
            ("-password-imap", "incoming"),
            ("-password-pop3", "incoming"),
            ("-password-smtp", "outgoing"),
        ] {
            let ended = world.test(name, direction).await;
            assert!(ended.starts_with("failed "), "{name} {direction}: {ended}");
        }
        world.console.t.clock.advance(60);
    }
    // A server that shows messages, and speaks of them before and afterwards.
    let gossip = hostile::gossip(SUBJECT).await;
    world
        .mailbox("-gossip", &side("incoming", "imap", gossip.port, "none", &password))
        .await;
    assert_eq!(world.test("-gossip", "incoming").await, "passed");

    world.provider.lies(&[Lie::Echoes]);
    world.console.t.operator().submit("/tokens/tok-kanarienecho/renew", &[]).await;
    world.console.t.admin().submit("/providers/prv-kanarienecho/check", &[]).await;

    // They did say it, in every way; else it is no wonder that nothing is found.
    let said = hostile.said() + &other.said();
    let kinds = world.canaries.found(&said, true);
    for what in ["access token", "password", "subject of the test", "address", "client secret"] {
        for form in [
            "as it is",
            "base64",
            "base64 twice",
            "hex",
            "percent-encoded",
            "blanks between",
            "in pieces",
            "in capitals",
        ] {
            let there = kinds.iter().any(|kind| *kind == format!("{what}, {form}"));
            assert!(there || what == "client secret", "never said: {what}, {form}; {kinds:?}");
        }
    }
    world.look().await;
}
