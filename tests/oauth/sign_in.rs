//! The address a person is sent to, the exchange of the code, and the end of a sign-in.

use super::server::{Server, answer};
use super::{client, http, list, provider};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::model::provider::{Endpoints, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Prompt;
use mailgrant::oauth::authorization::{begin, exchange};
use mailgrant::oauth::revoke::revoke;
use mailgrant::oauth::{AuthorizationRequest, Revocation, SignIn};
use mailgrant::random::{Random, SeededRandom};
use mailgrant::secret::{AccessToken, Nonce, RefreshToken};
use serde_json::json;
use std::collections::HashMap;

const CALLBACK: &str = "https://console.example/oauth/callback/contoso";

fn begin_with(provider: &Provider, sign_in: SignIn<'_>, random: &dyn Random) -> (AuthorizationRequest, HashMap<String, String>) {
    let request = begin(&client(provider), &sign_in, random).unwrap();
    let url = url::Url::parse(&request.url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let params: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(pairs.len(), params.len(), "each parameter once: {pairs:?}");
    (request, params)
}

fn sign_in<'a>(scopes: &'a [String], prompt: Prompt) -> SignIn<'a> {
    SignIn {
        redirect_uri: CALLBACK,
        scopes,
        prompt,
        login_hint: Some("support@contoso.com"),
    }
}

#[test]
fn the_address_carries_everything_that_protects_the_sign_in() {
    let scopes = list(&["offline_access", "mail.read"]);
    let (request, params) = begin_with(
        &provider("https://login.example"),
        sign_in(&scopes, Prompt::SelectAccount),
        &SeededRandom::new(1),
    );
    assert!(request.url.starts_with("https://login.example/authorize?"));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "mailgrant-app"),
        ("redirect_uri", CALLBACK),
        ("scope", "mail.read offline_access openid email profile"),
        ("prompt", "select_account"),
        ("login_hint", "support@contoso.com"),
        ("code_challenge_method", "S256"),
        ("state", request.state.expose_secret()),
        ("nonce", request.nonce.expose_secret()),
    ] {
        assert_eq!(params.get(name).map(String::as_str), Some(value), "{name}");
    }
    let verifier = request.verifier.as_ref().unwrap().expose_secret();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    assert_eq!(params["code_challenge"], URL_SAFE_NO_PAD.encode(digest.as_ref()));
    for secret in [request.state.expose_secret(), request.nonce.expose_secret(), verifier] {
        assert!(secret.len() >= 43, "256 random bits");
    }
    assert!(!request.url.contains(verifier) && !params.contains_key("response_mode"));
    let kept = request.secrets();
    assert_eq!(kept.verifier.unwrap().expose_secret(), verifier);
}

#[test]
fn no_two_sign_ins_share_a_secret() {
    let random = SeededRandom::new(1);
    let provider = provider("https://login.example");
    let (one, _) = begin_with(&provider, sign_in(&[], Prompt::Unsent), &random);
    let (two, params) = begin_with(&provider, sign_in(&[], Prompt::Unsent), &random);
    let all = [&one, &two].map(|r| [&r.state, &r.nonce, r.verifier.as_ref().unwrap()].map(|s| s.expose_secret().to_owned()));
    let different: std::collections::HashSet<_> = all.concat().into_iter().collect();
    assert_eq!(different.len(), 6);
    assert!(!params.contains_key("prompt"), "the provider decides");
}

#[test]
fn each_template_gets_the_parameters_it_needs() {
    let mut provider = provider("https://login.example");
    provider.overrides = Endpoints::default();
    provider.template = TemplateKind::Zoho;
    provider.login_hint = false;
    provider.extra_authorize_params = TemplateKind::Zoho
        .template()
        .extra_authorize_params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let scopes = list(&["ZohoMail.accounts.READ", "ZohoMail.messages.ALL"]);
    let (request, params) = begin_with(&provider, sign_in(&scopes, Prompt::Consent), &SeededRandom::new(1));
    assert!(request.url.starts_with("https://accounts.zoho.com/oauth/v2/auth?"));
    assert_eq!(params["scope"], "ZohoMail.accounts.READ,ZohoMail.messages.ALL,openid,email,profile");
    assert_eq!((params["access_type"].as_str(), params.get("login_hint")), ("offline", None));

    provider.template = TemplateKind::Microsoft;
    provider.tenant = Some("contoso.onmicrosoft.com".into());
    let scopes = list(&["offline_access", "https://outlook.office.com/IMAP.AccessAsUser.All"]);
    let (request, params) = begin_with(&provider, sign_in(&scopes, Prompt::SelectAccount), &SeededRandom::new(1));
    assert!(
        request
            .url
            .starts_with("https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize?")
    );
    assert!(
        params["scope"].starts_with("https://outlook.office.com/IMAP.AccessAsUser.All "),
        "{}",
        params["scope"]
    );
}

#[test]
fn extra_parameters_replace_nothing_of_ours() {
    let mut provider = provider("https://login.example");
    provider.extra_authorize_params = ["state", "redirect_uri", "code_challenge", "prompt", "domain_hint"]
        .map(|name| (name.to_owned(), "theirs".to_owned()))
        .to_vec();
    let (request, params) = begin_with(&provider, sign_in(&[], Prompt::Login), &SeededRandom::new(1));
    assert_eq!(params["state"], request.state.expose_secret());
    assert_eq!((params["redirect_uri"].as_str(), params["prompt"].as_str()), (CALLBACK, "login"));
    assert_eq!(params["domain_hint"], "theirs");
}

#[test]
fn pkce_can_be_turned_off_for_an_unknown_provider_only() {
    for (template, sent) in [
        (TemplateKind::Custom, false),
        (TemplateKind::Google, true),
        (TemplateKind::Fastmail, true),
    ] {
        let mut provider = provider("https://login.example");
        provider.template = template;
        provider.pkce = false;
        let (request, params) = begin_with(&provider, sign_in(&[], Prompt::Unsent), &SeededRandom::new(1));
        assert_eq!(request.verifier.is_some(), sent, "{template}");
        assert_eq!(params.contains_key("code_challenge"), sent, "{template}");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_verifier_and_the_same_redirect_address() {
    let server = Server::gives(json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "r", "id_token": "x.y.z"})).await;
    let provider = provider(&server.url);
    let (code, verifier) = (Nonce::new("canary-code"), Nonce::new("v".repeat(43)));
    let tokens = exchange(&http(), &client(&provider), &code, Some(&verifier), CALLBACK)
        .await
        .unwrap();
    assert_eq!(tokens.id_token.unwrap().expose_secret(), "x.y.z");
    let asked = &server.asked()[0];
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "canary-code"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &*"v".repeat(43)),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn logging_out_tells_the_provider_about_the_refresh_token_first() {
    let (refresh, access) = (RefreshToken::new("the-refresh"), AccessToken::new("the-access"));
    let told = async |server: &Server| {
        let provider = provider(&server.url);
        revoke(&http(), &client(&provider), Some(&refresh), Some(&access)).await
    };
    for (status, content_type, body) in [
        (200, "text/plain", ""),
        (200, "application/json", "{}"),
        (204, "text/plain", ""),
        (400, "application/json", "{\"error\":\"invalid_token\"}"),
    ] {
        let server = Server::says(status, content_type, body).await;
        assert_eq!(told(&server).await, Ok(Revocation::Revoked), "{status} {body}");
        let tokens: Vec<_> = server.asked().iter().map(|a| (a.path.clone(), a.field("token"))).collect();
        assert_eq!(
            tokens,
            [
                ("/revoke".to_owned(), Some("the-refresh".to_owned())),
                ("/revoke".to_owned(), Some("the-access".to_owned()))
            ]
        );
        assert_eq!(server.asked()[0].field("client_secret").as_deref(), Some("canary-client-secret"));
    }
    for (status, content_type, body) in [
        (503, "text/plain", ""),
        (200, "text/html", "<html>sign in to the guest network</html>"),
        (401, "application/json", "{\"error\":\"invalid_client\"}"),
        (302, "text/plain", ""),
    ] {
        let server = Server::says(status, content_type, body).await;
        assert!(told(&server).await.is_err(), "{status}: nobody may believe it is revoked");
        assert_eq!(server.asked().len(), 1);
    }
    // A server that revokes access tokens with their refresh token only.
    let server = Server::start(|asked| match asked.field("token_type_hint").as_deref() {
        Some("refresh_token") => answer(200, "text/plain", ""),
        _ => answer(400, "application/json", "{\"error\":\"unsupported_token_type\"}"),
    })
    .await;
    assert_eq!(told(&server).await, Ok(Revocation::Revoked));
}

#[tokio::test]
async fn microsoft_has_nothing_to_tell() {
    let mut provider = provider("https://login.example");
    provider.template = TemplateKind::Microsoft;
    provider.overrides = Endpoints::default();
    let answer = revoke(&http(), &client(&provider), Some(&RefreshToken::new("r")), None).await;
    assert_eq!(answer, Ok(Revocation::NotOffered));
}
