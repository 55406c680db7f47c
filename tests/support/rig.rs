//! The real servers that `tests/run` starts: where they are, and the control server of the OpenID provider
//! (`tests/rig/README.md`). Without them the tests that want them say so and pass; `tests/run` checks that they did run.

use mailgrant::random::{Random, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Microsoft's scope for reading by IMAP.
pub const IMAP_SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
/// Microsoft's scope for sending.
pub const SMTP_SCOPE: &str = "https://outlook.office.com/SMTP.Send";
/// What POP3 wants in a token.
pub const POP_SCOPE: &str = "https://outlook.office.com/POP.AccessAsUser.All";
/// The secret of every client registered by [`Rig::register_client`].
pub const CLIENT_SECRET: &str = "rig-client-secret";

/// `rig.json`.
#[derive(Debug, Deserialize)]
pub struct Rig {
    /// The authority that signed the certificates of all servers, PEM.
    pub ca_file: PathBuf,
    /// The Maildirs: `ADDRESS/Maildir`.
    pub mail_dir: PathBuf,
    /// Name of the mail servers and the provider, in their certificate.
    pub host: String,
    /// An address of the mail servers, in their certificate, at which a connection does not count as local: there they hide
    /// sign-in before STARTTLS.
    pub starttls_host: String,
    /// The same servers with a certificate that has expired.
    pub expired_host: String,
    /// The same servers with a certificate for another name.
    pub wrong_name_host: String,
    pub issuer: String,
    pub control_url: String,
    pub introspection: Introspection,
    /// A superuser's.
    pub postgres_url: String,
    pub plain_password: String,
    users: BTreeMap<String, String>,
    ports: BTreeMap<String, u16>,
    ran: PathBuf,
}

/// The client that may ask the provider about any token.
#[derive(Debug, Deserialize)]
pub struct Introspection {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
}

/// What the provider gave without anybody signing in.
#[derive(Debug, Deserialize)]
pub struct Minted {
    pub access_token: String,
    /// None for a client registered with `no_refresh`.
    pub refresh_token: Option<String>,
    pub expires_in: i64,
    pub scope: String,
}

/// A request the provider saw.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`.
    pub client_auth: Option<String>,
    pub grant_type: Option<String>,
    pub scope: Option<String>,
    pub prompt: Option<String>,
    pub login_hint: Option<String>,
    pub code_challenge_method: Option<String>,
    pub refresh_token_sha256: Option<String>,
    pub new_refresh_token_sha256: Option<String>,
    pub status: Option<u16>,
    /// Was the work done? (The answer may still be held back, or nobody was there to take it.)
    #[serde(default)]
    pub ok: bool,
    pub error: Option<String>,
}

impl Rig {
    /// The rig, or none where it does not run.
    pub fn get() -> Option<&'static Self> {
        static RIG: OnceLock<Option<Rig>> = OnceLock::new();
        let rig = RIG.get_or_init(|| {
            let file = std::env::var_os("MAILGRANT_TEST_RIG")?;
            Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
        });
        if rig.is_none() {
            eprintln!("not run: start with tests/run");
        }
        rig.as_ref()
    }

    /// Leaves the sign that a test really spoke to `dovecot`, `postfix`, `openid-provider` or `postgresql`.
    pub fn mark(&self, server: &str) {
        std::fs::File::create(self.ran.join(server)).unwrap();
    }

    /// One of `ports` in `rig.json`.
    pub fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// One of `users` in `rig.json`.
    pub fn user(&self, name: &str) -> &str {
        &self.users[name]
    }

    /// The authority's certificate, PEM.
    pub fn ca_pem(&self) -> Vec<u8> {
        std::fs::read(&self.ca_file).unwrap()
    }

    /// The Maildir folder of an address: `cur`, `new`, `.Junk/cur`...
    pub fn maildir(&self, address: &str, folder: &str) -> PathBuf {
        self.mail_dir.join(address).join("Maildir").join(Path::new(folder))
    }

    /// An address with an empty mailbox that no other test uses.
    pub fn fresh_address(&self) -> String {
        format!("t{}@rig.test", fresh())
    }

    /// An HTTP client that trusts the rig and follows no redirect. (Each test has its own runtime, so none is shared.)
    pub fn http(&self) -> reqwest::Client {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([reqwest::Certificate::from_pem(&self.ca_pem()).unwrap()])
            .build()
            .unwrap()
    }

    /// Registers a client with a fresh id and [`CLIENT_SECRET`]; `options` add to that or replace it. Returns its id.
    pub async fn register_client(&self, options: Value) -> String {
        let mut client = json!({
            "client_id": format!("c{}", fresh()),
            "client_secret": CLIENT_SECRET,
            "token_endpoint_auth_method": "client_secret_post",
            "redirect_uris": ["http://127.0.0.1:8080/oauth/callback/rig"],
        });
        let all = client.as_object_mut().unwrap();
        all.extend(options.as_object().unwrap().clone());
        if all["token_endpoint_auth_method"] == "none" {
            all.remove("client_secret");
        }
        self.control("/client", &client).await;
        client["client_id"].as_str().unwrap().to_owned()
    }

    /// Tokens for an account, as if its owner had just allowed the scope.
    pub async fn mint_grant(&self, client_id: &str, account: &str, scope: &str) -> Minted {
        let grant = json!({ "client_id": client_id, "account": account, "scope": scope });
        serde_json::from_value(self.control("/grant", &grant).await).unwrap()
    }

    /// What a client asked the token endpoint, oldest first.
    pub async fn requests(&self, client_id: &str) -> Vec<Seen> {
        self.requests_at(client_id, "token").await
    }

    /// The same for `authorize`, `revoke`, `device`, or `followed`: a redirect of the token endpoint that somebody went after.
    pub async fn requests_at(&self, client_id: &str, endpoint: &str) -> Vec<Seen> {
        let url = format!("{}/requests?client_id={client_id}&endpoint={endpoint}", self.control_url);
        let answer = self.http().get(url).send().await.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        serde_json::from_value(answer["requests"].clone()).unwrap()
    }

    /// Makes the token endpoint lie to a client: `{"mode": "html"}`, `{"mode": "http503", "times": 1}`...
    pub async fn set_mode(&self, client_id: &str, mode: Value) {
        let mut mode = mode;
        mode["client_id"] = client_id.into();
        self.control("/mode", &mode).await;
    }

    /// Ends every grant of a client.
    pub async fn revoke_grants(&self, client_id: &str) {
        self.control("/revoke-grants", &json!({ "client_id": client_id })).await;
    }

    /// Makes every access token of a client invalid; its refresh tokens live on.
    pub async fn expire_tokens(&self, client_id: &str) {
        self.control("/expire-tokens", &json!({ "client_id": client_id })).await;
    }

    /// Puts mail into a mailbox: `{"count": 2, "seen": true, "folder": "Junk", "subject": "…", "size": 3000}`.
    pub async fn put_mail(&self, address: &str, mail: Value) {
        let mut mail = mail;
        mail["address"] = address.into();
        self.control("/mail", &mail).await;
    }

    /// Does the provider still take this token?
    pub async fn is_active(&self, token: &str) -> bool {
        let asked = self
            .http()
            .post(&self.introspection.url)
            .basic_auth(&self.introspection.client_id, Some(&self.introspection.client_secret))
            .form(&[("token", token)]);
        let answer: Value = serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap();
        answer["active"].as_bool().unwrap()
    }

    /// Asks the control server.
    pub async fn control(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.control_url);
        let answer = self.http().post(url).body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Twelve characters nobody else has.
pub fn fresh() -> String {
    (&SystemRandom as &dyn Random).id()[..12].to_owned()
}
