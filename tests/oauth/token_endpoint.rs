//! What the token endpoint may say, and that none of it costs a stored token.

use super::server::{Server, answer};
use super::{client, http, list, provider};
use mailgrant::diagnosis::{Evidence, diagnose};
use mailgrant::model::provider::ClientAuth;
use mailgrant::oauth::error::{MalformedKind, Refused};
use mailgrant::oauth::refresh::refresh;
use mailgrant::oauth::{Class, OAuthError, TokenResponse};
use mailgrant::secret::RefreshToken;
use serde_json::{Value, json};
use std::time::Duration;

async fn refresh_at(server: &Server) -> Result<TokenResponse, OAuthError> {
    let provider = provider(&server.url);
    refresh(
        &http(),
        &client(&provider),
        &RefreshToken::new("canary-refresh-token"),
        &list(&["mail.read"]),
    )
    .await
}

async fn malformed(server: &Server) -> MalformedKind {
    let error = refresh_at(server).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    match error {
        OAuthError::Malformed(malformed) => malformed.kind,
        other => panic!("{other}"),
    }
}

async fn refused(status: u16, document: Value) -> (Class, Refused) {
    let server = Server::says(status, "application/json", document.to_string()).await;
    let error = refresh_at(&server).await.unwrap_err();
    match error.clone() {
        OAuthError::Refused(refused) => (error.class(), *refused),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_good_answer_is_taken_and_what_was_asked_is_complete() {
    let server = Server::gives(json!({
        "access_token": "new-access", "token_type": "bearer", "expires_in": 3599, "refresh_token": "new-refresh", "scope": "mail.read openid"
    }))
    .await;
    let tokens = refresh_at(&server).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "new-access");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "new-refresh");
    assert_eq!((tokens.token_type.as_str(), tokens.expires_in), ("Bearer", 3599));
    assert_eq!(tokens.scopes, Some(list(&["mail.read", "openid"])));
    assert!(tokens.date.is_some(), "the provider's clock is a hint");

    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token"));
    for (name, value) in [
        ("grant_type", "refresh_token"),
        ("refresh_token", "canary-refresh-token"),
        ("scope", "mail.read"),
        ("client_id", "mailgrant-app"),
        ("client_secret", "canary-client-secret"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(
        asked.header("accept-encoding"),
        None,
        "a small answer must not unpack into a large one"
    );
}

#[tokio::test]
async fn odd_values_in_a_good_answer_are_clamped_or_read_for_what_they_mean() {
    for (more, expires_in) in [
        (json!({"expires_in": "3599"}), 3599),
        (json!({"expires_in": 0}), 300),
        (json!({"expires_in": -1}), 300),
        (json!({"expires_in": 1e12}), 86_400),
        (json!({}), 300),
        (json!({"token_type": null}), 300),
        (json!({"refresh_token": null}), 300),
        (json!({"refresh_token": ""}), 300),
        (json!({"scope": null, "id_token": null}), 300),
    ] {
        let mut document = json!({"access_token": "a"});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let tokens = refresh_at(&Server::gives(document.clone()).await).await.unwrap();
        assert_eq!(tokens.expires_in, expires_in, "{document}");
        assert!(tokens.refresh_token.is_none(), "{document}: the old refresh token has to stay");
        assert_eq!(tokens.granted(&list(&["mail.read"])), list(&["mail.read"]), "as asked for");
    }
}

#[tokio::test]
async fn a_token_that_could_break_a_header_is_refused() {
    let long = "x".repeat(64 * 1024 + 1);
    for (token, why) in [
        (json!("two\r\nlines"), "has a line break, a blank or another character no token has"),
        (json!("with blank"), "has a line break, a blank or another character no token has"),
        (json!("é"), "has a line break, a blank or another character no token has"),
        (json!("\u{1}"), "has a line break, a blank or another character no token has"),
        (json!(""), "is empty"),
        (json!(null), "is missing"),
        (json!(7), "is not a text"),
        (json!(long), "is longer than 64 KiB"),
    ] {
        let server = Server::gives(json!({"access_token": token, "token_type": "Bearer"})).await;
        assert_eq!(malformed(&server).await, MalformedKind::Member("access_token", why), "{token}");
    }
    let server = Server::gives(json!({"access_token": "a", "refresh_token": "two\nlines"})).await;
    assert!(matches!(malformed(&server).await, MalformedKind::Member("refresh_token", _)));
    let server = Server::gives(json!({"access_token": "a", "token_type": "mac"})).await;
    assert_eq!(malformed(&server).await, MalformedKind::Member("token_type", "is not Bearer"));
}

#[tokio::test]
async fn answers_that_are_no_answers_are_named_and_lose_nothing() {
    let page = "<!DOCTYPE html><html><title>Sign in to the guest network</title></html>";
    for (status, content_type, body, kind) in [
        (200, "text/html", page.to_owned(), MalformedKind::Html),
        (200, "application/json", format!("\n  {page}"), MalformedKind::Html),
        (403, "text/html; charset=utf-8", page.to_owned(), MalformedKind::Html),
        (502, "text/html", page.to_owned(), MalformedKind::Html),
        (200, "application/json", String::new(), MalformedKind::Empty),
        (200, "application/json", " \r\n".to_owned(), MalformedKind::Empty),
        (401, "application/json", String::new(), MalformedKind::Empty),
        (503, "text/plain", "busy".to_owned(), MalformedKind::NotJson),
        (200, "application/json", "[]".to_owned(), MalformedKind::NotJson),
        (200, "application/json", "{\"access_token\":".to_owned(), MalformedKind::NotJson),
        (
            500,
            "application/json",
            "{\"message\":\"oops\"}".to_owned(),
            MalformedKind::NoDocument,
        ),
        (200, "application/json", "x".repeat(300 * 1024), MalformedKind::TooBig),
        (
            200,
            "application/json",
            format!("{{\"a\":{}1{}}}", "[".repeat(20), "]".repeat(20)),
            MalformedKind::TooDeep,
        ),
        (200, "application/json", "[".repeat(200_000), MalformedKind::TooDeep),
    ] {
        let server = Server::says(status, content_type, body.clone()).await;
        assert_eq!(malformed(&server).await, kind, "{status} {}", &body[..body.len().min(60)]);
        let error = refresh_at(&server).await.unwrap_err();
        assert!(!error.evidence().contains("guest network"), "a stranger's page isn't shown");
    }
}

#[tokio::test]
async fn an_error_under_200_is_an_error() {
    let (class, refused) = refused(200, json!({"error": "invalid_grant", "access_token": "canary-access"})).await;
    assert_eq!((class, refused.status), (Class::UserMustAct, 200));
    assert!(!refused.document.contains("canary"), "{}", refused.document);
}

#[tokio::test]
async fn a_refusal_is_read_by_its_word_and_keeps_what_support_asks_for() {
    let document = json!({
        "error": "invalid_grant",
        "error_description": "AADSTS700082: The refresh token has expired due to inactivity.\r\nTrace ID: t-1",
        "error_codes": [700082], "timestamp": "2026-11-21 08:14:02Z", "trace_id": "t-1", "correlation_id": "c-1", "suberror": "bad_token",
        "error_uri": "https://login.microsoftonline.com/error?code=700082"
    });
    let (class, refused) = refused(400, document).await;
    assert_eq!(class, Class::UserMustAct);
    assert_eq!(refused.error_codes, [700_082]);
    assert_eq!(
        (refused.trace_id.as_deref(), refused.correlation_id.as_deref()),
        (Some("t-1"), Some("c-1"))
    );
    assert_eq!(refused.suberror.as_deref(), Some("bad_token"));
    let evidence = OAuthError::Refused(Box::new(refused)).evidence();
    assert_eq!(diagnose(&Evidence::text(&evidence)).id, "entra-700082-refresh-inactive");

    for (status, word, class) in [
        (401, "invalid_client", Class::AppBroken),
        (400, "unauthorized_client", Class::AppBroken),
        (400, "interaction_required", Class::UserMustAct),
        (400, "invalid_scope", Class::Transient),
        (503, "temporarily_unavailable", Class::Transient),
        (400, "something_new", Class::Transient),
    ] {
        assert_eq!(self::refused(status, json!({"error": word})).await.0, class, "{word}");
    }
    let (class, refused) = self::refused(401, json!({"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}})).await;
    assert_eq!(
        (class, refused.error.as_str(), refused.description.as_str()),
        (Class::Transient, "UNAUTHENTICATED", "no")
    );
}

#[tokio::test]
async fn a_careless_secret_does_not_hide_what_the_provider_says() {
    let server = Server::says(400, "application/json", json!({"error": "invalid_grant"}).to_string()).await;
    let provider = provider(&server.url);
    let client = mailgrant::oauth::Client::new(&provider, Some(mailgrant::secret::ClientSecret::new("grant")));
    let error = refresh(&http(), &client, &RefreshToken::new("invalid"), &[]).await.unwrap_err();
    assert_eq!(error.class(), Class::UserMustAct);
}

#[tokio::test]
async fn a_wished_pause_is_kept_whatever_comes_with_it() {
    for body in ["{\"error\":\"slow_down\"}", "<html>", ""] {
        let server = Server::start(move |_| {
            let mut response = answer(429, "application/json", body);
            response.headers_mut().insert("retry-after", "120".parse().unwrap());
            response
        })
        .await;
        let error = refresh_at(&server).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(120)), "{body}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn the_client_proves_itself_as_its_record_says() {
    let server = Server::gives(json!({"access_token": "a"})).await;
    let mut provider = provider(&server.url);
    provider.client_id = "app:1".into();
    let secret = || Some(mailgrant::secret::ClientSecret::new("p%:+ ~é"));
    for auth in [ClientAuth::SecretBasic, ClientAuth::None] {
        provider.client_auth = auth;
        let client = mailgrant::oauth::Client::new(&provider, secret());
        refresh(&http(), &client, &RefreshToken::new("r"), &[]).await.unwrap();
    }
    let [basic, public] = &server.asked()[..] else { panic!() };
    // "app%3A1:p%25%3A%2B+%7E%C3%A9": form-encoded first, then base64 (RFC 6749, 2.3.1).
    assert_eq!(
        basic.header("authorization"),
        Some("Basic YXBwJTNBMTpwJTI1JTNBJTJCKyU3RSVDMyVBOQ==")
    );
    assert_eq!((basic.field("client_id"), basic.field("client_secret")), (None, None));
    assert_eq!((public.header("authorization"), public.field("client_secret")), (None, None));
    assert_eq!(public.field("client_id").as_deref(), Some("app:1"));
    assert_eq!(public.field("scope"), None, "no scope is sent where there is none");
}

#[tokio::test]
async fn without_its_secret_nothing_is_sent() {
    let server = Server::gives(json!({"access_token": "a"})).await;
    let provider = provider(&server.url);
    let client = mailgrant::oauth::Client::new(&provider, None);
    let error = refresh(&http(), &client, &RefreshToken::new("r"), &[]).await.unwrap_err();
    assert_eq!((error.class(), error.own_id()), (Class::AppBroken, Some("console-secret-missing")));
    assert!(server.asked().is_empty());
}
