//! Reading a provider's description of itself.

use super::server::{Server, answer, raw};
use super::{NOW, http};
use mailgrant::oauth::discovery::discover;
use mailgrant::oauth::{DiscoveryError, OAuthError};
use serde_json::json;

/// A server that describes itself at one path, with these members replaced.
async fn describing(path: &'static str, issuer_path: &'static str) -> Server {
    Server::start(move |asked| {
        let base = format!("http://{}", asked.header("host").unwrap());
        let document = json!({
            "issuer": format!("{base}{issuer_path}"),
            "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
            "revocation_endpoint": format!("{base}/revoke"), "userinfo_endpoint": format!("{base}/userinfo"),
            "scopes_supported": ["openid", "mail"], "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": ["S256"]
        });
        match asked.path == path {
            true => answer(200, "application/json", document.to_string()),
            false => answer(404, "text/html", "<html>not here</html>"),
        }
    })
    .await
}

#[tokio::test]
async fn an_issuer_is_enough_wherever_its_description_is() {
    for (path, issuer_path) in [
        ("/.well-known/openid-configuration", ""),
        ("/realms/mail/.well-known/openid-configuration", "/realms/mail"),
        ("/.well-known/oauth-authorization-server", ""),
        ("/.well-known/oauth-authorization-server/realms/mail", "/realms/mail"),
    ] {
        let server = describing(path, issuer_path).await;
        let issuer = format!("{}{issuer_path}", server.url);
        for address in [issuer.clone(), format!(" {}{path} ", server.url)] {
            let found = discover(&http(), &address, NOW).await.unwrap();
            assert_eq!(found.source, format!("{}{path}", server.url));
            assert_eq!(found.endpoints.issuer.as_deref(), Some(issuer.as_str()));
            assert_eq!(found.endpoints.token_url, Some(format!("{}/token", server.url)));
            assert!(found.endpoints.iss_announced);
            assert_eq!((found.hosts.len(), found.scopes.len()), (1, 2));
        }
    }
}

#[tokio::test]
async fn an_issuer_that_ends_in_a_slash_stays_as_it_is() {
    let server = describing("/.well-known/openid-configuration", "/").await;
    let with_slash = format!("{}/", server.url);
    let found = discover(&http(), &with_slash, NOW).await.unwrap();
    assert_eq!(found.endpoints.issuer.as_deref(), Some(with_slash.as_str()));
    assert_eq!(
        discover(&http(), &server.url, NOW).await,
        Err(DiscoveryError::OtherIssuer(with_slash))
    );
}

#[tokio::test]
async fn what_is_no_description_is_named_at_the_field() {
    for (status, content_type, body, message) in [
        (
            404,
            "text/html",
            "<html>",
            "Discovery address didn't answer with a provider description (HTTP 404)",
        ),
        (
            200,
            "text/html",
            "<html>",
            "Discovery address didn't answer with a provider description (HTTP 200)",
        ),
        (
            200,
            "application/json",
            "",
            "Discovery address didn't answer with a provider description (HTTP 200)",
        ),
        (
            401,
            "application/json",
            "{\"error\":\"no\"}",
            "Discovery address didn't answer with a provider description (HTTP 401)",
        ),
        (200, "application/json", "{}", "The provider's description has no issuer"),
    ] {
        let server = Server::says(status, content_type, body).await;
        let error = discover(&http(), &server.url, NOW).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let server = Server::start(|_| {
        let mut response = answer(301, "text/html", "");
        response
            .headers_mut()
            .insert("location", "https://login.example/x".parse().unwrap());
        response
    })
    .await;
    let error = discover(&http(), &server.url, NOW).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Discovery address leads to login.example. Enter the address there"
    );
}

#[tokio::test]
async fn an_address_that_may_not_be_asked_is_not_asked() {
    for (address, is_address) in [
        ("login.example", true),
        ("ftp://login.example", true),
        ("https://a:b@login.example", true),
        ("https://10.0.0.1", false),
        ("http://10.0.0.1", false),
    ] {
        let error = discover(&http(), address, NOW).await.unwrap_err();
        match error {
            DiscoveryError::Address(_) => assert!(is_address, "{address}"),
            DiscoveryError::Failed(OAuthError::Destination(_)) => assert!(!is_address, "{address}"),
            other => panic!("{address}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_port_without_tls_is_named_in_words_that_help() {
    let (url, task) = raw("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let url = url.replace("http://", "https://");
    let error = discover(&http(), &url, NOW).await.unwrap_err();
    assert!(
        error.to_string().starts_with("That server doesn't speak TLS on this port."),
        "{error}"
    );
    task.abort();
}
