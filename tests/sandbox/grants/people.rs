//! Grants that act for people without a browser: passwords, other devices, service accounts.

use super::*;

#[tokio::test]
async fn passwords_work_only_where_somebody_has_agreed_before() {
    let play = Play::start().await;
    let ask = async |user: &str, password: &str| {
        let scope = format!("offline_access {IMAP}");
        let form = [
            ("grant_type", "password"),
            ("username", user),
            ("password", password),
            ("scope", &scope),
        ];
        play.token(House::Microsoft, &form).await
    };
    ask(SUPPORT, "sandbox").await.refused("invalid_grant", "AADSTS65001:");
    play.sandbox.sign_in(MICROSOFT_APP.0, SUPPORT, &[IMAP]);
    let answer = ask(SUPPORT, "sandbox").await.ok();
    assert_eq!(claims(answer.text("access_token"))["upn"], SUPPORT);
    ask(SUPPORT, "wrong").await.refused("invalid_grant", "AADSTS50126:");
    ask("nobody@contoso.test", "x").await.refused("invalid_grant", "AADSTS50034:");
    ask("info@contoso.test", "sandbox").await.refused("invalid_grant", "AADSTS50126:");
}

#[tokio::test]
async fn a_device_waits_is_slowed_down_and_is_let_in_or_not() {
    let clock = MockClock::at(Timestamp(1_795_248_000));
    let play = Play::start_at(&clock).await;
    let begin = async || {
        let url = format!("{}/{TENANT}/oauth2/v2.0/devicecode", play.sandbox.url());
        let scope = format!("openid offline_access {IMAP}");
        play.post(&url, &[("client_id", MICROSOFT_APP.0), ("scope", &scope)]).await.ok()
    };
    let poll = async |code: &str| {
        let form = [("grant_type", DEVICE), ("client_id", MICROSOFT_APP.0), ("device_code", code)];
        play.post(&play.token_url(House::Microsoft), &form).await
    };
    let page = format!("{}/devicelogin", play.sandbox.url());
    let decide = async |code: &str, decision: &str| {
        play.post(&page, &[("code", code), ("account", SUPPORT), ("decision", decision)])
            .await
    };
    let device = begin().await;
    assert_eq!(device.text("verification_uri"), page);
    assert!(device.text("message").contains(device.text("user_code")));
    let code = device.text("device_code");
    poll(code).await.refused("authorization_pending", "AADSTS70016:");
    poll(code).await.refused("slow_down", "");
    clock.advance(11);
    poll(code).await.refused("authorization_pending", "");
    let shown = play
        .http
        .get(format!("{page}?code={}", device.text("user_code")))
        .send()
        .await
        .unwrap();
    assert!(shown.text().await.unwrap().contains("Do you trust this app?"));
    decide(device.text("user_code"), "allow").await;
    clock.advance(11);
    let answer = poll(code).await.ok();
    assert_eq!(claims(answer.text("id_token"))["preferred_username"], SUPPORT);
    assert!(!answer.text("refresh_token").is_empty());
    assert_ne!(poll(code).await.status, 200, "good once");

    let device = begin().await;
    decide(device.text("user_code"), "deny").await;
    poll(device.text("device_code")).await.refused("authorization_declined", "");
    let device = begin().await;
    clock.advance(901);
    poll(device.text("device_code")).await.refused("expired_token", "AADSTS70020:");
    let google = format!("{}/google/device/code", play.sandbox.url());
    let form = [("client_id", super::super::GOOGLE_APP.0), ("scope", "https://mail.google.com/")];
    play.post(&google, &form)
        .await
        .refused("invalid_scope", "Invalid device flow scope: https://mail.google.com/");
}

#[tokio::test]
async fn a_service_account_acts_for_people_of_its_domain_only() {
    let play = Play::start().await;
    let file = play
        .sandbox
        .add_service_account("robot@sandbox.iam.gserviceaccount.com", &["https://mail.google.com/"])
        .unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let key = EncodingKey::from_rsa_pem(file["private_key"].as_str().unwrap().as_bytes()).unwrap();
    let ask = async |change: &dyn Fn(&mut Value)| {
        let now = SystemClock.now().0;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = file["private_key_id"].as_str().map(str::to_owned);
        let mut claims = json!({"iss": file["client_email"], "sub": "help@fabrikam.test", "scope": "https://mail.google.com/",
            "aud": file["token_uri"], "iat": now, "exp": now + 3600});
        change(&mut claims);
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        play.post(&play.token_url(House::Google), &[("grant_type", JWT), ("assertion", &assertion)])
            .await
    };
    let answer = ask(&|_| {}).await.ok();
    assert!(answer.text("access_token").starts_with("ya29.") && answer.text("refresh_token").is_empty());
    ask(&|c| c["sub"] = "nobody@fabrikam.test".into())
        .await
        .refused("invalid_grant", "Invalid email or User ID");
    ask(&|c| c["sub"] = SUPPORT.into())
        .await
        .refused("invalid_grant", "Invalid email or User ID");
    ask(&|c| c["exp"] = (SystemClock.now().0 + 7200).into())
        .await
        .refused("invalid_grant", "Invalid JWT: Token must be a short-lived token");
    let wide = "https://mail.google.com/ https://www.googleapis.com/auth/gmail.send";
    ask(&|c| c["scope"] = wide.into())
        .await
        .refused("unauthorized_client", "Client is unauthorized to retrieve access tokens");
    ask(&|c| c["iss"] = "other@sandbox.iam.gserviceaccount.com".into())
        .await
        .refused("invalid_grant", "account not found");
    let forged = jsonwebtoken::encode(
        &Header::new(Algorithm::RS256),
        &json!({"iss": file["client_email"]}),
        &certificate().key,
    )
    .unwrap();
    let form = [("grant_type", JWT), ("assertion", forged.as_str())];
    play.post(&play.token_url(House::Google), &form)
        .await
        .refused("invalid_grant", "Invalid JWT Signature.");
}
