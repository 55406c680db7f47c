//! `mailgrant demo`: the console and the sandbox together, with sample providers, tokens and mailboxes, in a data directory that goes
//! when it ends. Nothing outside this machine is contacted.

use super::answer::{Failure, Outcome, print};
use super::passing::Passing;
use super::stop::StopSignals;
use super::{open, serve};
use crate::actions::config::{Sources, apply, parse};
use crate::actions::users::{self, NewUser};
use crate::app::App;
use crate::auth::password::Passwords;
use crate::clock::SystemClock;
use crate::config::{Config, Flags};
use crate::gate::AllowNetwork;
use crate::model::audit::Actor;
use crate::model::user::Role;
use crate::random::SystemRandom;
use crate::sandbox::{GOOGLE_APP, HOST, House, MICROSOFT_APP, MailPorts, OPEN_APP, Sandbox, Settings, TENANT};
use crate::secret::Password;
use crate::web::WebState;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who signs in.
const ADMIN: &str = "admin@demo.test";
/// What the password is made of: nothing that looks like something else.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// The scopes of the samples at each house.
const MICROSOFT: [&str; 3] = [
    "offline_access",
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
];
const GOOGLE: [&str; 1] = ["https://mail.google.com/"];
const OPEN: [&str; 2] = ["offline_access", "mail"];
const GRAPH: [&str; 3] = [
    "offline_access",
    "https://graph.microsoft.com/Mail.ReadWrite",
    "https://graph.microsoft.com/Mail.Send",
];

/// Runs it until a signal.
pub async fn run(flags: &Flags) -> Outcome {
    if flags.data_dir.is_some() {
        return Err(Failure::wrong("the demo keeps nothing, so it takes no data directory").help("leave --data-dir out"));
    }
    let place = Passing::new("demo")?;
    let own = Flags {
        listen: flags.listen.clone(),
        ..Flags::default()
    };
    // Neither the environment nor a settings file: they speak of the real console.
    let mut config = Config::load(&own, |_| None).map_err(|error| Failure::wrong(error.message))?;
    if !config.listen.ip().is_loopback() {
        return Err(Failure::wrong("the demo listens on this machine only").help("use an address like 127.0.0.1:8080"));
    }
    let queue = crate::telemetry::start_kept(config.log_format, "warn");
    let listener = bind(config.listen, flags.listen.is_some()).await?;
    let port = listener
        .local_addr()
        .map_err(|error| Failure::no(format!("the port isn't known: {error}")))?
        .port();
    let sandbox = Sandbox::start(Settings::default(), Arc::new(SystemClock), Arc::new(SystemRandom))
        .await
        .map_err(|error| Failure::no(format!("the sandbox can't start: {error}")))?;
    let ca = place.path().join("sandbox-ca.pem");
    std::fs::write(&ca, sandbox.ca_pem()).map_err(|error| Failure::no(format!("{} can't be written: {error}", ca.display())))?;
    config.data_dir = place.path().join("data");
    config.listen.set_port(port);
    let address = format!("http://localhost:{port}");
    config.base_url = url::Url::parse(&address).map_err(|error| Failure::no(error.to_string()))?;
    (config.base_url_set, config.demo) = (true, true);
    config.extra_ca_file = Some(ca);
    config.allow_networks = vec![AllowNetwork::Loopback];

    let app = open(config).await?;
    let password = furnish(&app, &sandbox, &address).await?;
    let mut web = WebState::new(app.clone()).await?;
    web.sandbox = Some(sandbox.clone());
    let stop = StopSignals::catch()?;
    print(format!(
        "Mailgrant demo: everything runs on this machine and is gone when it ends. Stop it with Ctrl+C.\n\n  \
         Address   {address}\n  Email     {ADMIN}\n  Password  {password}\n\nOpen a mailbox there and test it; under Demo, choose what goes wrong."
    ))?;
    let outcome = serve::until_stopped(&app, (listener, None), web, stop, queue).await;
    sandbox.stop().await;
    outcome
}

/// The wanted address; where none was wanted and the usual one is taken, any free port.
async fn bind(listen: SocketAddr, is_wanted: bool) -> Result<TcpListener, Failure> {
    match TcpListener::bind(listen).await {
        Ok(listener) => Ok(listener),
        Err(_) if !is_wanted => TcpListener::bind(SocketAddr::new(listen.ip(), 0))
            .await
            .map_err(|error| Failure::no(format!("can't listen on {}: {error}", listen.ip()))),
        Err(error) => {
            Err(Failure::no(format!("can't listen on {listen}: {error}")).help("stop what uses the port, or choose another with --listen"))
        }
    }
}

/// Makes the account and the samples; returns the password.
async fn furnish(app: &App, sandbox: &Sandbox, address: &str) -> Result<String, Failure> {
    let mut octets = [0; 16];
    app.random.fill(&mut octets);
    let letters: Vec<char> = octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 32)])).collect();
    let password = letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-");
    let passwords = Passwords::new(Arc::clone(&app.random));
    let new = NewUser {
        email: ADMIN,
        name: "Demo Admin",
        role: Some(Role::Admin),
        password: Password::new(password.clone()),
        first: true,
    };
    let actor = Actor::command_line();
    users::create(app, &passwords, &actor, new).await?;
    for (name, (client, _)) in [("contoso", MICROSOFT_APP), ("fabrikam", GOOGLE_APP), ("tailspin", OPEN_APP)] {
        sandbox.add_redirect_uri(client, &format!("{address}/oauth/callback/{name}"));
        sandbox.add_redirect_uri(client, &format!("{address}/oauth/admin-consent/{name}"));
    }
    let sources = Sources {
        directory: PathBuf::new(),
        env: &|_| None,
    };
    let unusable = |error: &dyn std::fmt::Display| Failure::no(format!("the samples can't be used: {error}"));
    let file = parse(&samples(sandbox)).map_err(|error| unusable(&error))?;
    apply(app, &actor, &file, &sources, false).await.map_err(|error| unusable(&error))?;
    Ok(password)
}

/// A sample mailbox and its token.
struct Sample<'a> {
    name: &'a str,
    address: &'a str,
    display_name: &'a str,
    provider: &'a str,
    /// Where it is signed in already: at which app.
    signed_in: Option<&'a str>,
    scopes: &'a [&'a str],
    ports: MailPorts,
    way: Way,
}

/// How a sample's mail is read and sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// IMAP and SMTP, encrypted by STARTTLS.
    Starttls,
    /// IMAP and SMTP, encrypted from the first octet.
    Tls,
    /// POP and SMTP.
    Pop,
    /// Microsoft Graph.
    Graph,
}

impl Sample<'_> {
    fn token(&self, sandbox: &Sandbox) -> String {
        let refresh = self.signed_in.map(|client| {
            let mut scopes = vec!["openid", "email", "profile"];
            scopes.extend_from_slice(self.scopes);
            format!("refresh_token = \"{}\"\n", sandbox.sign_in(client, self.address, &scopes))
        });
        format!(
            "[[token]]\nname = \"{}\"\nprovider = \"{}\"\ngrant = \"authorization_code\"\nuser = \"{}\"\nscopes = {:?}\nshared = true\n{}",
            self.name,
            self.provider,
            self.address,
            self.scopes,
            refresh.unwrap_or_default()
        )
    }

    fn mailbox(&self, token: &str) -> String {
        let ports = &self.ports;
        let (protocol, read, send, security) = match self.way {
            Way::Starttls => ("imap", ports.imap, ports.submission, "starttls"),
            Way::Tls => ("imap", ports.imaps, ports.submissions, "tls"),
            Way::Pop => ("pop3", ports.pop3s, ports.submissions, "tls"),
            Way::Graph => ("graph", 0, 0, "tls"),
        };
        let server = |port: u16| match self.way {
            Way::Graph => String::new(),
            _ => format!("host = \"{HOST}\"\nport = {port}\nsecurity = \"{security}\"\nauth = \"oauth2\"\n"),
        };
        let sending = if self.way == Way::Graph { "graph" } else { "smtp" };
        let (name, address) = (self.name, self.address);
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\ndisplay_name = \"{}\"\ntags = [\"{}\"]\n\
             [mailbox.incoming]\nprotocol = \"{protocol}\"\n{}token = \"{token}\"\n\
             [mailbox.outgoing]\nprotocol = \"{sending}\"\n{}token = \"{token}\"\nfrom = \"{address}\"\n",
            self.display_name,
            self.provider,
            server(read),
            server(send)
        )
    }
}

/// Three providers, tokens that work and one that waits for its sign-in, and their mailboxes, as a configuration file.
pub fn samples(sandbox: &Sandbox) -> String {
    let url = sandbox.url();
    let quoted = |scopes: &[&str]| format!("{scopes:?}");
    let (microsoft, google, open) = (quoted(&MICROSOFT), quoted(&GOOGLE), quoted(&OPEN));
    let providers = [
        format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{url}\"\ngraph_url = \"{}\"\n\
             client_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{}\"\nscopes = {microsoft}\n",
            sandbox.graph_url(),
            MICROSOFT_APP.0,
            MICROSOFT_APP.1
        ),
        format!(
            "[[provider]]\nname = \"fabrikam\"\ntemplate = \"google\"\nissuer = \"{url}/google\"\nauthorize_url = \"{url}/google/o/oauth2/v2/auth\"\n\
             token_url = \"{url}/google/token\"\ndevice_authorization_url = \"{url}/google/device/code\"\n\
             revocation_url = \"{url}/google/revoke\"\nclient_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{}\"\n\
             consent_screen = \"internal\"\nscopes = {google}\n",
            GOOGLE_APP.0, GOOGLE_APP.1
        ),
        format!(
            "[[provider]]\nname = \"tailspin\"\ntemplate = \"custom\"\nissuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\n\
             token_url = \"{url}/token\"\ndevice_authorization_url = \"{url}/device_authorization\"\nrevocation_url = \"{url}/revoke\"\n\
             client_id = \"{}\"\nclient_auth = \"secret_basic\"\nclient_secret = \"{}\"\nscopes = {open}\n",
            OPEN_APP.0, OPEN_APP.1
        ),
    ];
    let sample = |name, address, display_name, signed_in, way| Sample {
        name,
        address,
        display_name,
        provider: "contoso",
        signed_in,
        scopes: &MICROSOFT,
        ports: sandbox.ports(House::Microsoft),
        way,
    };
    let (contoso, at_google) = (Some(MICROSOFT_APP.0), Some(GOOGLE_APP.0));
    let support = sample("support", "support@contoso.test", "Contoso Support", contoso, Way::Starttls);
    let info = sample("info", "info@contoso.test", "Contoso Info (shared)", None, Way::Tls);
    let sales = sample("sales", "sales@contoso.test", "Contoso Sales (sign in first)", None, Way::Tls);
    let orders = Sample {
        scopes: &GRAPH,
        ..sample("orders", "orders@contoso.test", "Contoso Orders (Graph)", contoso, Way::Graph)
    };
    let google = |sample| Sample {
        provider: "fabrikam",
        scopes: &GOOGLE,
        ports: sandbox.ports(House::Google),
        ..sample
    };
    let help = google(sample("help", "help@fabrikam.test", "Fabrikam Help", at_google, Way::Tls));
    let billing = google(sample(
        "billing",
        "billing@fabrikam.test",
        "Fabrikam Billing (POP)",
        at_google,
        Way::Pop,
    ));
    let post = Sample {
        provider: "tailspin",
        scopes: &OPEN,
        ports: sandbox.ports(House::Open),
        ..sample("post", "post@tailspin.test", "Tailspin Post", Some(OPEN_APP.0), Way::Starttls)
    };
    // The app itself: one token for every mailbox that Exchange lets it open.
    let app_orders = sample("orders-app", "orders@contoso.test", "Contoso Orders (app-only)", None, Way::Tls);
    // A service account that acts for one account of its domain.
    let service_billing = Sample {
        provider: "fabrikam-service",
        ..google(sample(
            "billing-service",
            "billing@fabrikam.test",
            "Fabrikam Billing (service account)",
            None,
            Way::Tls,
        ))
    };
    let tokens = [&support, &sales, &orders, &help, &billing, &post].map(|sample| sample.token(sandbox));
    let mailboxes = [
        support.mailbox("support"),
        // A shared mailbox has no sign-in of its own: its delegate's token opens it.
        info.mailbox("support"),
        sales.mailbox("sales"),
        orders.mailbox("orders"),
        help.mailbox("help"),
        billing.mailbox("billing"),
        post.mailbox("post"),
        app_orders.mailbox("contoso-app"),
        // The same over Graph: the app gets a second access token for it.
        String::from(
            "[[mailbox]]\nname = \"orders-app-graph\"\naddress = \"orders@contoso.test\"\ndisplay_name = \"Contoso Orders (app-only, Graph)\"\n\
             tags = [\"contoso-app\"]\n[mailbox.incoming]\nprotocol = \"graph\"\ntoken = \"contoso-app\"\n\
             [mailbox.outgoing]\nprotocol = \"graph\"\ntoken = \"contoso-app\"\n",
        ),
    ];
    let alone = "[[token]]\nname = \"contoso-app\"\nprovider = \"contoso\"\ngrant = \"client_credentials\"\n";
    let service = service(sandbox).map(|provider| {
        let token =
            "[[token]]\nname = \"billing-service\"\nprovider = \"fabrikam-service\"\ngrant = \"jwt_bearer\"\nuser = \"billing@fabrikam.test\"\n";
        [provider, token.to_owned(), service_billing.mailbox("billing-service")].join("\n")
    });
    let parts = [
        providers.join("\n"),
        tokens.join("\n"),
        alone.to_owned(),
        mailboxes.join("\n"),
        service.unwrap_or_default(),
    ];
    parts.join("\n")
}

/// A Google-like provider with nothing but a service account; none if no key could be made.
fn service(sandbox: &Sandbox) -> Option<String> {
    let file = sandbox
        .add_service_account("mail-console@sandbox.iam.gserviceaccount.com", &GOOGLE)
        .ok()?;
    let url = sandbox.url();
    Some(format!(
        "[[provider]]\nname = \"fabrikam-service\"\ntemplate = \"google\"\nissuer = \"{url}/google\"\n\
         authorize_url = \"{url}/google/o/oauth2/v2/auth\"\ntoken_url = \"{url}/google/token\"\nrevocation_url = \"{url}/google/revoke\"\n\
         grant = \"jwt_bearer\"\nscopes = {GOOGLE:?}\nservice_account = {}\n",
        toml::Value::String(file)
    ))
}
