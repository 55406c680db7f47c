//! No secret comes back out: not in errors, not in what we print of our own types, not in the log.

use super::server::{Asked, Server, answer};
use super::{NOW, client, http, list, provider};
use mailgrant::model::provider::ClientAuth;
use mailgrant::model::token::Prompt;
use mailgrant::oauth::authorization::{begin, exchange};
use mailgrant::oauth::identity::who;
use mailgrant::oauth::refresh::refresh;
use mailgrant::oauth::revoke::revoke;
use mailgrant::oauth::{CallbackParams, OAuthError, SignIn};
use mailgrant::random::SeededRandom;
use mailgrant::secret::{AccessToken, Nonce, RefreshToken};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Every secret of these tests has this in it, also in its encoded forms.
const CANARY: &str = "canary";

/// Fails if a secret, or one in base64, is in the text.
fn clean(what: &str, text: &str) {
    for form in [CANARY, "0063anary", "Y2FuYXJ5", "NhbmFye", "jYW5hcn"] {
        assert!(!text.contains(form), "{what}: {text}");
    }
}

fn clean_error(error: &OAuthError) {
    clean("Debug", &format!("{error:?}"));
    clean("Display", &error.to_string());
    clean("evidence", &error.evidence());
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that was sent, as a provider might throw it back.
fn echo(asked: &Asked) -> String {
    let fields: Vec<String> = url::form_urlencoded::parse(asked.body.as_bytes())
        .map(|(k, v)| format!("{k} is {v}"))
        .collect();
    format!(
        "{} / {} / {}",
        asked.body,
        fields.join(", "),
        asked.header("authorization").unwrap_or_default()
    )
}

#[tokio::test]
async fn a_provider_that_throws_everything_back_teaches_nobody_anything() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    type Body = fn(&Asked) -> String;
    let answers: [(u16, &'static str, Body); 6] = [
        (400, "application/json", |asked| {
            let document = json!({"error": "invalid_grant", "error_description": echo(asked)});
            document.to_string().replace(CANARY, "\\u0063anary")
        }),
        (400, "application/json", |asked| {
            json!({"error": "invalid_grant", "error_description": echo(asked), "trace_id": echo(asked), "error_uri": echo(asked)})
                .to_string()
        }),
        (400, "application/json", |asked| json!({"error": echo(asked)}).to_string()),
        (200, "application/json", |asked| {
            json!({"error": "x", "access_token": "canary-access", "refresh_token": "canary-\"new", "echo": echo(asked)}).to_string()
        }),
        (502, "text/html", |asked| format!("<html>{}</html>", echo(asked))),
        (200, "application/json", |asked| {
            format!("{{\"access_token\":\"canary\r\n{}", echo(asked))
        }),
    ];
    for (status, content_type, body) in answers {
        // A test on another thread, where nobody listens, may have switched messages off for all.
        tracing::callsite::rebuild_interest_cache();
        let server = Server::start(move |asked| answer(status, content_type, body(asked))).await;
        for auth in [ClientAuth::SecretPost, ClientAuth::SecretBasic] {
            let mut provider = provider(&server.url);
            provider.client_auth = auth;
            let client = client(&provider);
            let http = http();
            let (code, verifier) = (Nonce::new("canary+code/1 2"), Nonce::new("canary-verifier"));
            let answer = exchange(&http, &client, &code, Some(&verifier), "https://console.example/cb").await;
            clean_error(&answer.unwrap_err());
            let token = RefreshToken::new("canary-refresh\"&=");
            clean_error(&refresh(&http, &client, &token, &list(&["mail"])).await.unwrap_err());
            if let Err(error) = revoke(&http, &client, Some(&token), Some(&AccessToken::new("canary-access"))).await {
                clean_error(&error);
            }
            clean("client", &format!("{client:?} {http:?}"));
        }
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("Asked 127.0.0.1"), "the log was not listened to");
    clean("log", &logged);
}

#[tokio::test]
async fn what_came_and_what_is_kept_prints_without_its_content() {
    let id_token = "canary.canary.canary";
    let server =
        Server::gives(json!({"access_token": "canary-a", "refresh_token": "canary-r", "id_token": id_token, "scope": "mail"})).await;
    let provider = provider(&server.url);
    let client = client(&provider);
    let tokens = exchange(&http(), &client, &Nonce::new("canary-code"), None, "https://console.example/cb")
        .await
        .unwrap();
    clean("tokens", &format!("{tokens:?}"));
    let error = who(&http(), &client, &tokens, Some(&Nonce::new("canary-nonce")), NOW)
        .await
        .unwrap_err();
    clean("identity", &format!("{error:?} {error} {}", error.evidence()));

    let sign_in = SignIn {
        redirect_uri: "https://console.example/cb",
        scopes: &[],
        prompt: Prompt::Login,
        login_hint: None,
    };
    let request = begin(&client, &sign_in, &SeededRandom::new(3)).unwrap();
    let shown = format!("{request:?} {:?}", request.secrets());
    for secret in [&request.state, &request.nonce, request.verifier.as_ref().unwrap()] {
        assert!(!shown.contains(secret.expose_secret()), "{shown}");
    }
    let params = CallbackParams::parse("code=canary-code&state=canary-state").unwrap();
    clean("callback", &format!("{params:?}"));
}
