//! Setup, provider, token, sign-ins, renewals, links, mailboxes and their tests, exports, mistakes: everything that handles a secret.

mod device;
mod links;
mod walk;

use super::console::{Console, come_back, until};
use super::echo::echo;
use super::search::Search;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use crate::support::app::{Browser, Page};
use crate::support::certificates::FILE;
use crate::support::provider::{CLIENT, Lie, Provider, SECRET, parameter};
use crate::web::providers::send;
use axum::http::{Method, StatusCode};
use mailgrant::clock::{Clock, SystemClock};
use serde_json::json;
use sqlx::Connection;

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
        self.notices(search).await;
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
}
