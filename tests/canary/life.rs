//! Setup, provider, token, sign-ins, renewals, links, mailboxes and their tests, exports, mistakes: everything that handles a secret.

use super::console::{Console, come_back, until};
use super::search::Search;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::{Gone, Peer, Server};
use crate::probe::smtp_server::Smtpd;
use crate::support::app::{Browser, Page};
use crate::support::certificates::FILE;
use crate::support::provider::{CLIENT, Lie, Provider, SECRET, parameter};
use crate::web::providers::send;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailgrant::clock::{Clock, SystemClock};
use serde_json::json;
use sqlx::Connection;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const SUPPORT: &str = "support@contoso.test";
const PEOPLE: [(&str, &str, &str); 3] = [
    ("admin", "maija@contoso.test", "canary-persons-vale-9tr-moss"),
    ("operator", "ossi@contoso.test", "canary-persons-hill-8tr-moss"),
    ("viewer", "vera@contoso.test", "canary-persons-lake-7tr-moss"),
];
/// Typed by mistake, by people who meant another field or another mailbox.
const TYPED: &str = "canary-typed-by-mistake";
const PASSPHRASE: &str = "canary passphrase of the PFX";

pub struct Life<'a> {
    pub console: &'a Console,
    pub provider: Provider,
    pub admin: Browser,
    /// Reads what it is sent and says it again.
    echo: Server,
    incoming: Server,
    outgoing: Server,
    pub runs: Vec<String>,
    attempts: Vec<String>,
}

/// A server that refuses every sign-in with what was said, in several forms.
async fn echo() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("* OK ready").await?;
        loop {
            let line = peer.line().await?;
            let (tag, command) = line.split_once(' ').unwrap_or(("*", ""));
            if command.starts_with("AUTHENTICATE") {
                peer.say("+ ").await?;
                let sent = peer.line().await?;
                refuse(&mut peer, tag, &sent).await?;
            } else if command.starts_with("CAPABILITY") {
                peer.say(&format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\n{tag} OK done"))
                    .await?;
            } else {
                peer.say(&format!("* BYE {command}\n{tag} OK done")).await?;
            }
        }
    })
    .await
}

async fn refuse(peer: &mut Peer, tag: &str, sent: &str) -> Result<(), Gone> {
    let message = String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap();
    let secret = message.rsplit(['\0', '=']).next().unwrap().trim_end_matches('\x01').to_owned();
    let secret = secret.strip_prefix("Bearer ").unwrap_or(&secret);
    let readable = message.replace(['\0', '\x01'], " ");
    if message.contains('\x01') {
        let document = json!({"status": "400", "schemes": secret, "scope": readable}).to_string();
        peer.say(&format!("+ {}", STANDARD.encode(document))).await?;
        peer.line().await?;
    }
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let twice = STANDARD.encode(secret);
    peer.say(&format!(
        "* OK you said {sent}\n* OK that is {readable}\n* OK or {hex} or {percent} or {twice}\n\
         {tag} NO [AUTHENTICATIONFAILED] Authentication failed for {readable} {secret}"
    ))
    .await
}

impl<'a> Life<'a> {
    /// Sets the console up.
    pub async fn begin(console: &'a Console, search: &mut Search) -> Self {
        search.add("client secret", SECRET);
        search.add("mailbox password", PASSWORD);
        search.add("user's password", "canary-persons-");
        search.add("mistyped", TYPED);
        for (what, secret) in [
            ("access token", "canary-access-"),
            ("refresh token", "canary-refresh-"),
            ("authorization code", "canary-code-"),
            ("device code", "canary-device-"),
        ] {
            search.add(what, secret);
        }
        let mut admin = console.browser("admin");
        admin.visit("/").await;
        let log = console.log();
        let is_code =
            |word: &&str| word.len() == 14 && word.split('-').count() == 3 && word.chars().all(|c| c == '-' || c.is_ascii_alphanumeric());
        let code = log.split(|c: char| c.is_whitespace() || c == '"').find(is_code).unwrap().to_owned();
        search.add("setup code", &code);
        search.add("setup code", &code.replace('-', ""));
        let code = admin.post("/setup", &[("code", TYPED)]).await;
        assert_eq!(code.status, StatusCode::UNPROCESSABLE_ENTITY);
        let code = console
            .log()
            .split(|c: char| c.is_whitespace() || c == '"')
            .find(is_code)
            .unwrap()
            .to_owned();
        admin.submit("/setup", &[("code", &code)]).await;
        let (_, email, password) = PEOPLE[0];
        let fields = [("name", "Maija Korhonen"), ("email", email), ("password", password)];
        let page = admin.post("/setup/admin", &[("name", ""), fields[1], fields[2]]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = admin.submit("/setup/admin", &fields).await;
        assert_eq!(page.text("h1"), "Address", "{}", page.words());
        for (role, email, password) in &PEOPLE[1..] {
            let arguments = ["user", "add", email, "--role", role, "--password-stdin"];
            assert_eq!(console.command(&arguments, &format!("{password}\n")).status, 0);
        }
        Self {
            console,
            provider: Provider::start(SystemClock.now()).await,
            admin,
            echo: echo().await,
            incoming: Imapd {
                verdict: Some("{t} OK signed in".into()),
                ..Imapd::default()
            }
            .start(None)
            .await,
            outgoing: Smtpd {
                verdict: Some("235 2.7.0 signed in".into()),
                ..Smtpd::default()
            }
            .start(None)
            .await,
            runs: Vec::new(),
            attempts: Vec::new(),
        }
    }

    /// Everything else, in order.
    pub async fn live(mut self, search: &mut Search) {
        self.provider().await;
        self.certificate(search).await;
        self.sign_ins(search).await;
        self.renewals().await;
        self.device().await;
        self.alone(search).await;
        self.mailboxes().await;
        self.other_protocols().await;
        self.links(search).await;
        self.imports(search).await;
        self.provider_links(search).await;
        self.commands(search).await;
        self.mistakes().await;
        self.walk(search).await;
        for body in self.provider.heard() {
            let verifier = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "code_verifier");
            if let Some((_, verifier)) = verifier {
                search.add("verifier", &verifier);
            }
            let assertion = url::form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "assertion");
            if let Some((_, assertion)) = assertion {
                search.add("assertion", assertion.rsplit_once('.').unwrap().1);
            }
        }
        for token in self.provider.id_tokens() {
            search.add("ID token", token.rsplit_once('.').unwrap().0);
        }
        let key = std::fs::read_to_string(self.console.data("master.key")).unwrap();
        search.add("master key", key.trim());
    }

    /// The database, past the console.
    async fn shell(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        let database = format!("sqlite://{}", self.console.data("mailgrant.db").display());
        sqlx::AnyConnection::connect(&database).await.unwrap()
    }

    async fn provider(&mut self) {
        let page = self.admin.get("/providers/new?template=custom").await;
        let over = [
            ("name", "rig"),
            ("issuer", self.provider.url.as_str()),
            ("client_secret", SECRET),
            ("act", "read"),
        ];
        let page = send(&mut self.admin, &page, "/providers/new", &over).await;
        let over = [
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("scopes", "mail.read mail.send offline_access"),
        ];
        let wrong = send(
            &mut self.admin,
            &page,
            "/providers/new",
            &[over[1], ("name", "a\r\nb"), ("act", "save")],
        )
        .await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let page = send(
            &mut self.admin,
            &page,
            "/providers/new",
            &[over[0], over[1], over[2], ("act", "save")],
        )
        .await;
        assert_eq!(page.location().as_deref(), Some("/providers/rig"), "{}", page.words());
        for lies in [&[Lie::Echoes][..], &[]] {
            self.provider.lies(lies);
            self.admin.submit("/providers/rig/check", &[]).await;
            self.admin.submit("/providers/rig/secret", &[("client_secret", TYPED)]).await;
            self.admin.submit("/providers/rig/secret", &[("client_secret", SECRET)]).await;
        }
    }

    /// A certificate with its private key, put in beside the secret; before that with a wrong passphrase, by a wrong person, and cut off.
    async fn certificate(&mut self, search: &mut Search) {
        let key = FILE.split_once("PRIVATE KEY-----\n").unwrap().1;
        for line in key.lines().skip(1).step_by(7).take(3) {
            search.add("private key", line);
        }
        search.add("passphrase", PASSPHRASE);
        let (_, email, password) = PEOPLE[1];
        let mut other = self.console.sign_in("operator", email, password).await;
        let path = "/providers/rig/certificate";
        for (file, closed) in [("", true), (FILE, false), (FILE, true)] {
            for browser in [&mut other, &mut self.admin] {
                browser.get("/me").await;
                let token = browser.csrf.clone().unwrap_or_default();
                let end = if closed { "--X--\r\n" } else { "" };
                let body = format!(
                    "--X\r\nContent-Disposition: form-data; name=\"csrf_token\"\r\n\r\n{token}\r\n\
                     --X\r\nContent-Disposition: form-data; name=\"passphrase\"\r\n\r\n{PASSPHRASE}\r\n\
                     --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"app.pem\"\r\n\r\n{file}\r\n{end}"
                );
                let kind = [("content-type", "multipart/form-data; boundary=X")];
                browser.send(Method::POST, path, &kind, body.into()).await;
            }
        }
        let page = self.admin.get(path).await;
        assert!(page.has("#next-sha1"), "{}", page.words());
        self.provider.lies(&[Lie::Echoes]);
        self.admin.submit("/providers/rig/certificate/use", &[]).await;
        self.provider.lies(&[]);
        for file in ["next.pem", "next.cer", "next.json"] {
            assert_eq!(self.admin.get(format!("{path}/{file}")).await.status, StatusCode::OK);
        }
    }

    /// The address at the provider, for a new attempt.
    async fn leave(&mut self) -> String {
        let page = self.admin.post("/tokens/support/authorize", &[]).await;
        let path = page.location().unwrap_or_else(|| panic!("{}", page.words()));
        self.attempts.push(path.rsplit('/').next().unwrap().to_owned());
        self.admin.get(&path).await.attribute("a#continue", "href").unwrap()
    }

    async fn back(&mut self, address: &str) -> Page {
        come_back(&mut self.admin, &self.console.base, address).await
    }

    async fn sign_ins(&mut self, search: &mut Search) {
        let page = self.admin.get("/tokens/new").await;
        let page = send(&mut self.admin, &page, "/tokens/new", &[("user", SUPPORT), ("act", "save")]).await;
        assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
        for (lies, account) in [
            (vec![Lie::Echoes], SUPPORT),
            (vec![Lie::BrokenToken], SUPPORT),
            (vec![Lie::Claim("nonce", json!("another"))], SUPPORT),
            (vec![], "else@contoso.test"),
            (vec![], SUPPORT),
        ] {
            self.provider.lies(&lies);
            let leave = self.leave().await;
            search.add("state", &parameter(&leave, "state").unwrap());
            search.add("nonce", &parameter(&leave, "nonce").unwrap());
            let address = self.provider.sign_in(&leave, account);
            // Thrown back by the address too, changed and a second time.
            self.back(&format!("{address}&code=canary-code-x")).await;
            self.back(&address.replace("state=", "status=")).await;
            self.back(&address).await;
            self.back(&address).await;
        }
        let leave = self.leave().await;
        search.add("state", &parameter(&leave, "state").unwrap());
        search.add("nonce", &parameter(&leave, "nonce").unwrap());
        let said = [("error", "server_error"), ("error_description", "no"), ("code", "canary-code-0")];
        self.back(&self.provider.back(&leave, &said)).await;
        let page = self.admin.get("/tokens/support").await;
        assert_eq!(page.text(".verdict h2"), "Works", "{}", page.words());
    }

    /// Makes the last renewal one of a minute ago: the button keeps its distance from it.
    async fn later(&self) {
        let mut shell = self.shell().await;
        sqlx::query("UPDATE grants SET refreshed_at = refreshed_at - 60")
            .execute(&mut shell)
            .await
            .unwrap();
        shell.close().await.unwrap();
    }

    async fn renewals(&mut self) {
        for lies in [&[Lie::Echoes][..], &[Lie::Rotates], &[Lie::WebPage], &[Lie::BrokenToken], &[]] {
            self.provider.lies(lies);
            self.later().await;
            self.admin.submit("/tokens/support/renew", &[]).await;
            self.console.command(&["token", "refresh", "support"], "");
        }
        // What cannot be stored is kept in the recovery folder.
        self.provider.lies(&[Lie::Rotates]);
        self.later().await;
        let mut shell = self.shell().await;
        let trigger = "CREATE TRIGGER full BEFORE UPDATE ON grants WHEN NEW.outcome = 'ok' \
                       BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
        sqlx::query(trigger).execute(&mut shell).await.unwrap();
        self.admin.submit("/tokens/support/renew", &[]).await;
        let recovery = self.console.data("recovery");
        let is_empty = || std::fs::read_dir(&recovery).is_ok_and(|mut entries| entries.next().is_none());
        assert!(recovery.exists() && !is_empty());
        self.console.look_at_files("while the disk is full");
        sqlx::query("DROP TRIGGER full").execute(&mut shell).await.unwrap();
        shell.close().await.unwrap();
        until("the database has it", is_empty).await;
    }

    /// A sign-in at another device, asked about in vain, by somebody else, and by the right account.
    async fn device(&mut self) {
        let text = format!("[[token]]\nname = \"phone\"\nprovider = \"rig\"\ngrant = \"device_code\"\nuser = \"{SUPPORT}\"\n");
        assert_eq!(self.console.command(&["config", "apply", "-"], &text).status, 0);
        self.provider.lies(&[Lie::Echoes]);
        let page = self.admin.submit("/tokens/phone/authorize", &[]).await;
        assert!(!page.has("#code"), "{}", page.words());
        for (lies, account, verdict) in [
            (&[Lie::Echoes][..], "else@contoso.test", "Nobody has signed in yet"),
            (&[], SUPPORT, "Works"),
        ] {
            self.provider.lies(&[]);
            let page = self.admin.submit("/tokens/phone/authorize", &[]).await;
            let code = page.text("#code");
            assert!(!code.is_empty(), "{}", page.words());
            self.provider.lies(lies);
            let asked = format!("canary-device-{code}");
            until("it was asked about", || {
                self.provider.heard().iter().any(|body| body.contains(&asked))
            })
            .await;
            self.console.browser("viewer").get("/tokens/phone").await;
            self.console.look_at_files("while somebody is expected at another device");
            self.provider.lies(&[]);
            self.provider.decide(&code, account);
            let log = || self.console.command(&["token", "show", "phone", "--json"], "").out;
            until("it is over", || !log().contains("\"authorizing\"")).await;
            let page = self.admin.get("/tokens/phone").await;
            assert_eq!(page.text(".verdict h2"), verdict, "{}", page.words());
        }
    }

    async fn mailboxes(&mut self) {
        let side = |name: &str, direction: &str, server: &Server, auth: &str| {
            format!(
                "[{name}.{direction}]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n{auth}\n",
                server.port
            )
        };
        let password = format!("auth = \"password\"\npassword = \"{PASSWORD}\"");
        let token = "token = \"support\"";
        let text = [
            "[[mailbox]]\nname = \"support\"\naddress = \"support@contoso.test\"\n".to_owned(),
            side("mailbox", "incoming", &self.incoming, token),
            side("mailbox", "outgoing", &self.outgoing, token),
            "[[mailbox]]\nname = \"hr\"\naddress = \"hr@contoso.test\"\n".to_owned(),
            side("mailbox", "incoming", &self.echo, &password),
            side("mailbox", "outgoing", &self.outgoing, &password),
        ]
        .concat();
        let wrong = text.replace(
            "address = \"hr@contoso.test\"",
            "address = \"hr\"\npasword = \"canary-typed-by-mistake\"",
        );
        assert_ne!(self.console.command(&["config", "apply", "-"], &wrong).status, 0);
        let ran = self.console.command(&["config", "apply", "-"], &text);
        assert_eq!(ran.status, 0, "{}", ran.out);
        // The token at a server that throws it back: in place of the good one for a while.
        for (mailbox, direction, passes) in [
            ("support", "incoming", true),
            ("support", "outgoing", true),
            ("hr", "incoming", false),
            ("hr", "outgoing", true),
        ] {
            self.test(mailbox, direction, passes).await;
        }
        let echoing = text.replacen(&format!("port = {}", self.incoming.port), &format!("port = {}", self.echo.port), 1);
        assert_eq!(self.console.command(&["config", "apply", "-"], &echoing).status, 0);
        self.test("support", "incoming", false).await;
        assert_eq!(
            self.console
                .command(&["mailbox", "test", "support", "--incoming", "--json"], "")
                .status,
            1
        );
        assert_eq!(self.console.command(&["config", "apply", "-"], &text).status, 0);
        assert_eq!(
            self.console
                .command(&["mailbox", "test", "hr", "--login-only", "--json"], "")
                .status,
            1
        );
        let ran = self.console.command(&["mailbox", "test", "support", "--login-only", "--json"], "");
        assert!(ran.out.contains("\"auth\""), "{}", ran.out);
    }

    pub async fn test(&mut self, mailbox: &str, direction: &str, passes: bool) {
        let path = format!("/mailboxes/{mailbox}/test/{direction}");
        let from = format!("{mailbox}@contoso.test");
        let fields = match direction {
            "incoming" => vec![("defaults", "1")],
            // To somebody else, so nobody waits for it to arrive.
            _ => vec![("from", from.as_str()), ("to", "boss@contoso.test"), ("subject", "Test")],
        };
        let page = self.admin.post(&path, &fields).await;
        let run = page.location().unwrap_or_else(|| panic!("{}", page.words()));
        let page = self.admin.get(&run).await;
        assert_eq!(
            page.text("title").starts_with("Passed"),
            passes,
            "{mailbox} {direction}: {}",
            page.words()
        );
        self.runs.push(run.strip_prefix("/tests/").unwrap().to_owned());
    }

    async fn links(&mut self, search: &mut Search) {
        self.provider.lies(&[]);
        self.admin.get("/tokens/support").await;
        let page = self.admin.post("/tokens/support/links", &[]).await;
        let address = page.text("#link");
        let path = address
            .strip_prefix(self.console.base.as_str())
            .unwrap_or_else(|| panic!("{}", page.words()));
        search.add("link", path.strip_prefix("l/").unwrap());
        let path = format!("/{path}");
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        let page = stranger.post(&path, &[]).await;
        let page = stranger.follow(page).await;
        let leave = page.attribute("a#continue", "href").unwrap_or_else(|| panic!("{}", page.words()));
        search.add("link's state", &parameter(&leave, "state").unwrap());
        search.add("link's nonce", &parameter(&leave, "nonce").unwrap());
        let page = come_back(&mut stranger, &self.console.base, &self.provider.sign_in(&leave, SUPPORT)).await;
        assert_eq!(page.text("h1"), "Done", "{}", page.words());
    }

    /// Settings brought along in every format: seen, one applied and undone, the others left to wait.
    async fn imports(&mut self, search: &mut Search) {
        search.add("brought along", "canary-import-");
        let endpoint = "https://login.microsoftonline.com/fabrikam.test/oauth2/v2.0/token";
        let client = "11112222-bbbb-3333-cccc-4444dddd5555";
        for text in [
            format!(
                "[[provider]]\nname = \"brought\"\ntemplate = \"microsoft\"\ntenant = \"fabrikam.test\"\nclient_id = \"{client}\"\n\
                 client_secret = \"canary-import-toml\"\n[[token]]\nname = \"brought\"\nprovider = \"brought\"\nuser = \"a@fabrikam.test\"\n\
                 refresh_token = \"canary-import-refresh\"\n"
            ),
            "name,address,incoming.host,incoming.password\nrow,row@contoso.test,imap.example.com,canary-import-csv\n".to_owned(),
            format!(
                "mail.store.user=b@fabrikam.test\nmail.store.host=imap.example.com\nmail.store.oauth.enabled=true\nmail.oauth.client.id={client}\n\
                 mail.oauth.client.secret=canary-import-settings\nmail.oauth.token.endpoint={endpoint}\nmail.transport.password=canary-import-left\n"
            ),
        ] {
            let page = self.admin.submit("/transfer/import", &[("text", &text)]).await;
            assert!(page.text("title").starts_with("Preview of the import"), "{}", page.words());
            let action = page.attribute("form[action$=apply]", "action").unwrap();
            let fields = page.form(&action);
            if text.starts_with("[[") {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let page = self.admin.post_raw(&action, &fields).await;
                let page = self.admin.follow(page).await;
                assert!(page.words().contains("2 entries were imported."), "{}", page.words());
                let page = self.admin.submit(action.replace("/apply", "/undo"), &[]).await;
                assert!(page.words().contains("The import was undone."), "{}", page.words());
            }
        }
    }

    /// An admin consents through a link, and somebody enters the client secret through another.
    async fn provider_links(&mut self, search: &mut Search) {
        self.provider.lies(&[]);
        let mut shell = self.shell().await;
        let endpoints: String = sqlx::query_scalar("SELECT endpoints FROM providers WHERE name = 'rig'")
            .fetch_one(&mut shell)
            .await
            .unwrap();
        let mut endpoints: serde_json::Value = serde_json::from_str(&endpoints).unwrap();
        endpoints["admin_consent_url"] = format!("{}/adminconsent", self.provider.url).into();
        let update = sqlx::query("UPDATE providers SET endpoints = $1 WHERE name = 'rig'").bind(endpoints.to_string());
        assert_eq!(update.execute(&mut shell).await.unwrap().rows_affected(), 1);
        shell.close().await.unwrap();

        self.admin.get("/providers/rig/consent").await;
        let page = self.admin.post("/providers/rig/consent/links", &[]).await;
        let path = self.made(search, "consent link", &page);
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        for answer in [
            &[("error", "access_denied"), ("error_description", TYPED), ("admin_consent", "True")][..],
            &[("admin_consent", "True"), ("tenant", "a-tenant")],
        ] {
            let page = stranger.post(&path, &[]).await;
            let page = stranger.follow(page).await;
            let leave = page.attribute("a#continue", "href").unwrap_or_else(|| panic!("{}", page.words()));
            search.add("consent's state", &parameter(&leave, "state").unwrap());
            let page = come_back(&mut stranger, &self.console.base, &self.provider.back(&leave, answer)).await;
            assert!(!page.text("h1").is_empty(), "{}", page.words());
        }
        self.admin.get("/providers/rig/request").await;
        let page = self.admin.post("/providers/rig/request", &[]).await;
        let path = self.made(search, "secret link", &page);
        let mut stranger = self.console.browser("somebody with a link");
        stranger.get(&path).await;
        for (lies, secret) in [(&[Lie::Echoes][..], TYPED), (&[], TYPED), (&[Lie::Echoes], SECRET), (&[], SECRET)] {
            self.provider.lies(lies);
            let page = stranger.post(&path, &[("client_secret", secret)]).await;
            assert_eq!(
                page.status == StatusCode::SEE_OTHER,
                lies.is_empty() && secret == SECRET,
                "{}",
                page.words()
            );
        }
    }

    /// The path of a link that was made just now.
    fn made(&self, search: &mut Search, what: &'static str, page: &Page) -> String {
        let address = page.text("#link");
        let path = address
            .strip_prefix(self.console.base.as_str())
            .unwrap_or_else(|| panic!("{}", page.words()));
        search.add(what, path.rsplit('/').next().unwrap());
        format!("/{path}")
    }

    async fn commands(&mut self, search: &mut Search) {
        for arguments in [
            &["config", "export"][..],
            &["config", "export", "--with-secrets"],
            &["config", "check", "-"],
            &["provider", "list", "--json"],
            &["token", "list", "--json"],
            &["token", "show", "support", "--json"],
            &["token", "show", "support"],
            &["token", "get", "support", "--json"],
            &["token", "get", "nobody"],
            &["mailbox", "list", "--json"],
            &["mailbox", "list"],
            &["user", "list"],
            &["doctor", "--json"],
        ] {
            self.console.command(arguments, "");
        }
        // It waits for somebody to sign in, so there is time to look at it.
        let mut command = self.console.machine.command(&["token", "authorize", "support"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut link).unwrap();
        search.add("link of the command line", link.trim().rsplit('/').next().unwrap());
        self.console.look_at_process("token authorize", child.id());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Secrets in the wrong field, at the wrong time, to the wrong address.
    async fn mistakes(&mut self) {
        let names = [
            "password",
            "client_secret",
            "current",
            "incoming_password",
            "outgoing_password",
            "code",
            "nonsense",
        ];
        let secrets = names.map(|name| (name, TYPED));
        let mut browsers = vec![self.admin.clone(), self.console.browser("nobody")];
        for (role, email, password) in &PEOPLE[1..] {
            browsers.push(self.console.sign_in(role, email, password).await);
        }
        for browser in &mut browsers {
            for path in [
                "/login",
                "/me/password",
                "/providers/new",
                "/providers/rig/secret",
                "/mailboxes/new",
                "/tokens/new",
                "/nowhere",
            ] {
                browser.post(path, &secrets).await;
                // Without the token of a form.
                browser.post_raw(path, &secrets).await;
            }
        }
        // A session that ended while somebody typed: what was typed waits for them.
        let (_, email, password) = PEOPLE[0];
        let mut late = self.console.sign_in("admin", email, password).await;
        late.get("/providers/new?template=custom").await;
        let session = mailgrant::vault::sha256(&late.cookies["session"]);
        let mut shell = self.shell().await;
        let end = sqlx::query("UPDATE sessions SET expires_at = 1 WHERE id_hash = $1").bind(session);
        assert_eq!(end.execute(&mut shell).await.unwrap().rows_affected(), 1);
        let page = late
            .post_raw(
                "/providers/new",
                &[
                    ("csrf_token", late.csrf.clone().unwrap().as_str()),
                    ("name", "later"),
                    ("client_secret", TYPED),
                ],
            )
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
        shell.close().await.unwrap();
        let page = self
            .console
            .browser("nobody")
            .post("/login", &[("email", email), ("password", TYPED)])
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.words());
    }

    /// Every page there is, as everybody.
    async fn walk(&mut self, search: &mut Search) {
        let mut browsers = vec![("nobody", self.console.browser("nobody"))];
        for (role, email, password) in PEOPLE {
            browsers.push((role, self.console.sign_in(role, email, password).await));
        }
        for (role, browser) in &mut browsers {
            if let Some(session) = browser.cookies.get("session") {
                search.add("session", session);
            }
            for route in mailgrant::web::all().list() {
                if route.method != Method::GET {
                    continue;
                }
                for path in self.concrete(route.path) {
                    let page = browser.get(&path).await;
                    assert!(!page.status.is_server_error(), "{role} {path}: {}", page.status);
                }
            }
        }
    }

    /// The addresses of a route, with everything there is in place of its parameters.
    fn concrete(&self, route: &str) -> Vec<String> {
        let named: Vec<String> = match route.split('/').nth(1).unwrap_or_default() {
            "providers" => ["rig", "accounts", "graph"].map(str::to_owned).into(),
            "tokens" => ["support", "phone", "old", "robot", "graph"].map(str::to_owned).into(),
            _ => ["support", "hr", "by-pop", "by-graph"].map(str::to_owned).into(),
        };
        let mut paths = vec![route.to_owned()];
        for (parameter, values) in [
            ("{name}", named),
            ("{run}", self.runs.clone()),
            ("{attempt}", self.attempts.clone()),
            ("{direction}", vec!["incoming".into(), "outgoing".into()]),
            ("{provider}", vec!["rig".into()]),
        ] {
            if route.contains(parameter) {
                let fill = |path: &String| values.iter().map(|value| path.replace(parameter, value)).collect::<Vec<_>>();
                paths = paths.iter().flat_map(fill).collect();
            }
        }
        paths.iter().map(|path| path.replace(['{', '}', '*'], "")).collect()
    }
}
