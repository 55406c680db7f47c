//! Do the servers of the rig answer as themselves? One test speaks to each, so that a broken rig is told from a broken console.

use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, Rig, SMTP_SCOPE};
use crate::support::visitor::Visitor;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use sqlx::Connection;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A conversation line by line, without any of our own mail code.
struct Lines(BufReader<tokio_rustls::client::TlsStream<TcpStream>>);

impl Lines {
    async fn open(rig: &Rig, port: &str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&rig.ca_pem()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(("127.0.0.1", rig.port(port))).await.unwrap();
        let name = ServerName::try_from(rig.host.clone()).unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        Self(BufReader::new(tls))
    }

    async fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Reads to the line that starts so.
    async fn until(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).await.unwrap() > 0, "closed before {start:?}");
            if line.starts_with(start) {
                return line.trim_end().to_owned();
            }
        }
    }
}

fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

#[tokio::test]
async fn dovecot_opens_a_mailbox_by_a_token_of_the_provider() {
    let Some(rig) = Rig::get() else { return };
    let client = rig.register_client(json!({})).await;
    let support = rig.user("support");
    let minted = rig.mint_grant(&client, support, IMAP_SCOPE).await;
    let mut imap = Lines::open(rig, "imaps").await;
    imap.until("* OK ").await;
    imap.say(&format!("a AUTHENTICATE XOAUTH2 {}", xoauth2(support, &minted.access_token)))
        .await;
    imap.until("a OK ").await;
    imap.say("b STATUS INBOX (MESSAGES UNSEEN)").await;
    assert_eq!(imap.until("* STATUS ").await, "* STATUS INBOX (MESSAGES 5 UNSEEN 3)");
    rig.mark("dovecot");
}

#[tokio::test]
async fn postfix_delivers_into_the_mailbox() {
    let Some(rig) = Rig::get() else { return };
    let client = rig.register_client(json!({})).await;
    let address = rig.fresh_address();
    let minted = rig.mint_grant(&client, &address, SMTP_SCOPE).await;
    let mut smtp = Lines::open(rig, "submissions").await;
    smtp.until("220 ").await;
    for (line, answer) in [
        ("EHLO rig.test", "250 "),
        ("AUTH XOAUTH2", "334"),
        (&xoauth2(&address, &minted.access_token), "235 "),
        (&format!("MAIL FROM:<{address}>"), "250 "),
        (&format!("RCPT TO:<{address}>"), "250 "),
        ("DATA", "354 "),
        ("Subject: Hello\r\n\r\nHello\r\n.", "250 "),
    ] {
        smtp.say(line).await;
        smtp.until(answer).await;
    }
    let delivered = rig.maildir(&address, "new");
    for _ in 0..100 {
        if std::fs::read_dir(&delivered).is_ok_and(|mut files| files.next().is_some()) {
            rig.mark("postfix");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("nothing arrived in {}", delivered.display());
}

#[tokio::test]
async fn postgresql_answers() {
    let Some(rig) = Rig::get() else { return };
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&rig.postgres_url).await.unwrap();
    let version: String = sqlx::query_scalar("SELECT version()").fetch_one(&mut connection).await.unwrap();
    assert!(version.starts_with("PostgreSQL "), "{version}");
    rig.mark("postgresql");
}

/// A fixed verifier and its S256 challenge (RFC 7636, appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:8080/oauth/callback/rig";

fn authorize_url(rig: &Rig, client: &str, more: &str) -> String {
    let scope = format!("openid email offline_access {IMAP_SCOPE}").replace(' ', "%20");
    format!(
        "{}/auth?response_type=code&client_id={client}&redirect_uri={CALLBACK}&scope={scope}&state=s1&nonce=n1\
         &code_challenge={CHALLENGE}&code_challenge_method=S256{more}",
        rig.issuer
    )
}

fn parameter(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn the_provider_waits_for_clicks_and_gives_tokens() {
    let Some(rig) = Rig::get() else { return };
    let client = rig.register_client(json!({})).await;
    let mut visitor = Visitor::new(rig);

    // Sign-in and consent, each with its page; a wrong password, and the way out.
    let page = visitor.open(&authorize_url(rig, &client, "&login_hint=hr%40rig.test")).await.page();
    assert_eq!((page.heading.as_str(), page.email.as_deref()), ("Sign in", Some("hr@rig.test")));
    let again = visitor.sign_in(&page, "hr@rig.test", "wrong").await.page();
    assert!(again.text.contains("Wrong password."), "{}", again.text);
    let consent = visitor.pick(&again, rig.user("support")).await.page();
    assert!(consent.text.contains(IMAP_SCOPE) && consent.text.contains("support@rig.test"));
    let back = visitor.press(&consent, "allow").await.back();
    assert_eq!(parameter(&back, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&back, "iss").as_deref(), Some(rig.issuer.as_str()));

    let code = parameter(&back, "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", &client),
        ("client_secret", CLIENT_SECRET),
    ];
    let answer = rig.http().post(format!("{}/token", rig.issuer)).form(&form).send().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert!(answer["refresh_token"].is_string(), "{answer}");
    assert!(rig.is_active(answer["access_token"].as_str().unwrap()).await);
    let claims = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["email"], "support@rig.test");
    let seen = rig.requests(&client).await;
    assert_eq!((seen.len(), seen[0].ok), (1, true));
    assert_eq!(seen[0].grant_type.as_deref(), Some("authorization_code"));
    let asked = &rig.requests_at(&client, "authorize").await[0];
    assert_eq!((asked.prompt.as_deref(), asked.login_hint.as_deref()), (None, Some("hr@rig.test")));
    assert_eq!(asked.code_challenge_method.as_deref(), Some("S256"));
    assert!(asked.scope.as_deref().unwrap().ends_with(IMAP_SCOPE));

    // Signed in and allowed before: without a prompt, and with "none", no page is shown; the others show theirs.
    for prompt in ["", "&prompt=none"] {
        let back = visitor.open(&authorize_url(rig, &client, prompt)).await.back();
        assert!(parameter(&back, "code").is_some(), "{back}");
    }
    for (prompt, heading) in [
        ("login", "Sign in"),
        ("select_account", "Sign in"),
        ("consent", "Permissions requested"),
    ] {
        let page = visitor
            .open(&authorize_url(rig, &client, &format!("&prompt={prompt}")))
            .await
            .page();
        assert_eq!(page.heading, heading);
        let button = if prompt == "consent" { "deny" } else { "cancel" };
        let back = visitor.press(&page, button).await.back();
        assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    }
    let page = visitor.open(&authorize_url(rig, &client, "&prompt=select_account")).await.page();
    let other = visitor.pick(&page, "hr@rig.test").await.page();
    assert!(other.text.contains("hr@rig.test"), "another account may take over the session");
    let back = Visitor::new(rig)
        .allow_as(&authorize_url(rig, &client, ""), "support@rig.test")
        .await;
    assert!(parameter(&back, "code").is_some());
    let back = Visitor::new(rig).open(&authorize_url(rig, &client, "&prompt=none")).await.back();
    assert_eq!(parameter(&back, "error").as_deref(), Some("login_required"));
    rig.mark("openid-provider");
}

async fn refresh(rig: &Rig, client: &str, refresh_token: &str) -> (u16, String) {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", client),
        ("client_secret", CLIENT_SECRET),
    ];
    let answer = rig.http().post(format!("{}/token", rig.issuer)).form(&form).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_rotated_refresh_token_works_once_more_within_its_grace() {
    let Some(rig) = Rig::get() else { return };
    for (options, second, third) in [
        (json!({ "rotate": true }), 400, 400),
        (json!({ "rotate": true, "rotate_grace": 60 }), 200, 400),
        (json!({ "rotate": true, "rotate_grace": 60, "rotate_grace_uses": 0 }), 200, 200),
    ] {
        let client = rig.register_client(options.clone()).await;
        let minted = rig.mint_grant(&client, "hr@rig.test", IMAP_SCOPE).await;
        let refresh_token = minted.refresh_token.unwrap();
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(refresh(rig, &client, &refresh_token).await.0);
        }
        assert_eq!(statuses, [200, second, third], "{options}");
        assert_eq!(
            rig.is_active(&minted.access_token).await,
            third == 200,
            "reuse ends the grant: {options}"
        );
    }
}

#[tokio::test]
async fn the_token_endpoint_lies_when_told_and_remembers_what_it_was_asked() {
    let Some(rig) = Rig::get() else { return };
    let client = rig.register_client(json!({ "access_token_ttl": 90 })).await;
    let minted = rig.mint_grant(&client, "hr@rig.test", IMAP_SCOPE).await;
    assert_eq!((minted.expires_in, minted.scope.as_str()), (90, IMAP_SCOPE));
    let refresh_token = minted.refresh_token.unwrap();
    for (mode, status, part) in [
        ("html", 200, "<h1>"),
        ("empty", 200, ""),
        ("redirect", 302, "elsewhere"),
        ("http503", 503, "later"),
        ("error200", 200, "invalid_grant"),
        ("newline_token", 200, "\\r\\n"),
    ] {
        rig.set_mode(&client, json!({ "mode": mode, "times": 1 })).await;
        let (seen, text) = refresh(rig, &client, &refresh_token).await;
        assert!(seen == status && text.contains(part), "{mode}: {seen} {text}");
    }
    assert!(
        refresh(rig, &client, &refresh_token).await.1.contains("\"access_token\""),
        "one lie each"
    );

    rig.expire_tokens(&client).await;
    assert!(!rig.is_active(&minted.access_token).await);
    rig.revoke_grants(&client).await;
    assert_eq!(refresh(rig, &client, &refresh_token).await.0, 400);

    let seen = rig.requests(&client).await;
    let last = seen.last().unwrap();
    assert_eq!(
        (seen.len(), last.status, last.error.as_deref()),
        (8, Some(400), Some("invalid_grant"))
    );
    assert_eq!(last.client_auth.as_deref(), Some("client_secret_post"));
    assert_eq!(last.refresh_token_sha256, seen[0].refresh_token_sha256);
    assert_eq!(seen[6].new_refresh_token_sha256, seen[6].refresh_token_sha256, "not rotated");
    assert!(rig.requests_at(&client, "followed").await.is_empty());
}
