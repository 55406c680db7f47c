//! The way to the provider: where requests go, where they never go, and when they end.

use super::server::{Server, answer, raw};
use super::{client, http, limits, list, provider, tls};
use axum::body::{Body, Bytes};
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::gate::{AllowNetwork, Gate};
use mailgrant::oauth::error::{MalformedKind, Unreached};
use mailgrant::oauth::refresh::refresh;
use mailgrant::oauth::{Http, OAuthError};
use mailgrant::secret::RefreshToken;
use rustls::RootCertStore;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The error of a refresh at this address, which must come by itself.
async fn fails(http: &Http, url: &str) -> OAuthError {
    let provider = provider(url);
    let (client, token, scopes) = (client(&provider), RefreshToken::new("canary-refresh-token"), list(&["mail"]));
    let answer = tokio::time::timeout(Duration::from_secs(20), refresh(http, &client, &token, &scopes)).await;
    answer.expect("no deadline of its own").unwrap_err()
}

/// What the console will say is the cause.
fn cause(error: &OAuthError) -> String {
    let evidence = Evidence {
        own_id: error.own_id(),
        text: &error.evidence(),
    };
    diagnose(&evidence).id
}

fn how(error: &OAuthError) -> Unreached {
    match error {
        OAuthError::Unreachable(unreachable) => unreachable.how,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_no_secret_reaches_the_other_host() {
    let elsewhere = Server::gives(serde_json::json!({"access_token": "stolen"})).await;
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/token?x=secret-path", elsewhere.url);
        let server = Server::start(move |_| {
            let mut response = answer(status, "text/html", "moved");
            response.headers_mut().insert("location", target.parse().unwrap());
            response
        })
        .await;
        let error = fails(&http(), &server.url).await;
        assert_eq!(error.own_id(), Some("console-provider-redirect"));
        let OAuthError::Malformed(malformed) = &error else { panic!() };
        assert_eq!(malformed.kind, MalformedKind::Redirect("127.0.0.1".into()));
        assert!(!error.to_string().contains("secret-path"));
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_at_the_deadline() {
    let silent = Server::start(|_| {
        answer(
            200,
            "application/json",
            Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>()),
        )
    })
    .await;
    let dribbling = Server::start(|_| {
        let octets = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        answer(200, "application/json", Body::from_stream(octets))
    })
    .await;
    for server in [silent, dribbling] {
        let error = fails(&http(), &server.url).await;
        assert_eq!(how(&error), Unreached::Timeout);
        assert!(error.is_transient() && error.outcome_unknown(), "the provider may have acted on it");
        assert_eq!(cause(&error), "network-timeout");
    }
}

#[tokio::test]
async fn what_does_not_answer_at_all_is_unreachable_in_the_systems_words() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = fails(&http(), &closed).await;
    assert_eq!(how(&error), Unreached::Connection);
    assert_eq!(cause(&error), "network-refused");
    assert!(!error.outcome_unknown(), "nothing was sent");

    let error = fails(&http(), "https://no-such-name.invalid").await;
    assert_eq!((how(&error), cause(&error).as_str()), (Unreached::Name, "console-provider-name"));

    let (url, task) = raw("").await;
    let error = fails(&http(), &url).await;
    assert_eq!(how(&error), Unreached::Lost);
    assert!(error.outcome_unknown());
    task.abort();
}

#[tokio::test]
async fn what_is_not_http_or_has_too_many_headers_is_named() {
    let many: String = (0..65).map(|n| format!("x-{n}: y\r\n")).collect();
    for (octets, kind) in [
        ("220 mail.example ESMTP\r\n".to_owned(), MalformedKind::NotHttp),
        (
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\n{{}}"),
            MalformedKind::TooManyHeaders,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2_000_000)),
            MalformedKind::TooManyHeaders,
        ),
    ] {
        let (url, task) = raw(octets.clone()).await;
        match fails(&http(), &url).await {
            OAuthError::Malformed(malformed) => assert_eq!(malformed.kind, kind),
            other => panic!("{}: {other:?}", &octets[..20]),
        }
        task.abort();
    }
}

#[tokio::test]
async fn a_destination_that_is_not_allowed_gets_nothing() {
    let server = Server::gives(serde_json::json!({"access_token": "a"})).await;
    let port = server.url.rsplit(':').next().unwrap();
    let closed = Http::new(Gate::new(vec![], vec![]), tls(RootCertStore::empty()), limits());
    for url in [
        server.url.clone(),
        format!("http://localhost:{port}"),
        format!("https://localhost:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://0x7f000001:{port}"),
        "https://169.254.169.254".to_owned(),
        "https://10.0.0.1".to_owned(),
    ] {
        let error = fails(&closed, &url).await;
        assert_eq!(error.own_id(), Some("console-destination-refused"), "{url}: {error}");
        assert!(!error.outcome_unknown() && error.is_transient());
    }
    let error = fails(&closed, "https://8.8.8.8:22").await;
    assert_eq!(error.own_id(), Some("console-port-refused"));
    // Allowed as a destination, but not for clear text.
    let named = Http::new(
        Gate::new(vec!["10.0.0.0/8".parse().unwrap()], vec![]),
        tls(RootCertStore::empty()),
        limits(),
    );
    let error = fails(&named, "http://10.0.0.1").await;
    assert_eq!(error.own_id(), Some("console-plain-refused"), "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_name_for_this_machine_is_looked_up_through_the_gate() {
    let server = Server::gives(serde_json::json!({"access_token": "a"})).await;
    let port = server.url.rsplit(':').next().unwrap();
    let provider = provider(&format!("http://localhost:{port}"));
    let tokens = refresh(&http(), &client(&provider), &RefreshToken::new("r"), &[]).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "a");
}

#[tokio::test]
async fn a_certificate_is_verified_always_and_the_reason_is_kept() {
    let key = rcgen::generate_simple_self_signed(vec!["other.example".into(), "localhost".into()]).unwrap();
    let certificate = key.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"access_token\":\"a\"}")
                    .await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let gate = || Gate::new(vec![AllowNetwork::Loopback], vec![]);
    let error = fails(&http(), &format!("https://localhost:{port}")).await;
    assert_eq!(how(&error), Unreached::Tls);
    assert_eq!(cause(&error), "tls-cert-unknown-issuer");

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = Http::new(gate(), tls(roots), limits());
    let error = fails(&trusting, &format!("https://127.0.0.1:{port}")).await;
    assert_eq!(cause(&error), "tls-cert-hostname");
    let provider = super::provider(&format!("https://localhost:{port}"));
    refresh(&trusting, &client(&provider), &RefreshToken::new("r"), &[]).await.unwrap();

    let plain = Server::gives(serde_json::json!({})).await;
    let error = fails(&trusting, &plain.url.replace("http:", "https:")).await;
    assert_eq!(cause(&error), "tls-plaintext-port");
    task.abort();
}
