//! Microsoft's cards: the app itself by certificate and by secret, and username and password.

use super::super::providers::{send, typed};
use super::{CLIENT, NEW, World, refused, send_files};
use crate::sandbox::{IMAP, SMTP};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::ClientAuth;
use mailgrant::model::token::GrantType;
use mailgrant::sandbox::{AppCertificate, House, MICROSOFT_APP, TENANT};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::path::PathBuf;

#[tokio::test]
async fn a_certificate_made_on_the_card_is_given_to_microsoft_and_then_the_app_gets_its_token() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-certificate").await;
    assert!(
        page.text(".note.warn")
            .contains("Can open every mailbox of the tenant. Limit it in Exchange")
    );
    let mistakes = [
        ("name", "litware"),
        ("tenant", "common"),
        ("client_id", &CLIENT[1..]),
        ("lasts", "9"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &mistakes).await;
    refused(
        &page,
        "tenant",
        "Tenant \"common\" can't be used for app-only. Enter your directory ID",
    );
    refused(&page, "client_id", "This one has 35");
    refused(&page, "lasts", "Choose how long the certificate lasts");
    assert!(world.t.app.store.providers().await.unwrap().is_empty());
    let url = world.play.sandbox.url();
    let over = [
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("lasts", "365"),
        ("app_resource", "outlook"),
    ];
    let page = send_files(&mut admin, &page, NEW, &over, &[("file", b"")]).await;
    assert_eq!(
        page.location().as_deref(),
        Some("/providers/litware/certificate"),
        "{}",
        page.words()
    );
    let page = admin.follow(page).await;
    assert!(
        page.text(".flash")
            .contains("Provider litware and its token saved. Now give the public half"),
        "{}",
        page.text(".flash")
    );
    let stored = world.provider("litware").await;
    let certificate = stored.credentials.certificate.clone().unwrap();
    assert_eq!(page.text("#current-sha1"), certificate.facts.sha1);
    assert_eq!(
        (stored.client_auth, stored.grant),
        (ClientAuth::Certificate, GrantType::ClientCredentials)
    );
    assert_eq!(stored.scopes, ["https://outlook.office365.com/.default"]);
    let token = world.token("litware").await;
    assert_eq!((token.grant, token.user.as_deref()), (GrantType::ClientCredentials, None));

    // Microsoft doesn't know it yet; once it does, the check lists what the app may do.
    let page = admin.submit("/providers/litware/check", &[]).await;
    let page = if page.status.is_success() {
        page
    } else {
        admin.get("/providers/litware").await
    };
    assert!(page.text(".step.fail").contains("its certificate is accepted"), "{}", page.words());
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &certificate.public).unwrap();
    let mut client = world.play.sandbox.client(MICROSOFT_APP.0).unwrap();
    client.certificates.push(AppCertificate::from_der(&der).unwrap());
    world.play.sandbox.set_client(client);
    admin.submit("/providers/litware/check", &[]).await;
    let page = admin.get("/providers/litware").await;
    let steps = page.text(".steps");
    assert!(steps.contains("The app got a token of its own with its certificate"), "{steps}");
    assert!(
        steps.contains("What the app may do") && steps.contains("IMAP.AccessAsApp"),
        "{steps}"
    );
    assert!(page.text("h1").contains("litware") && page.text(".head p").contains("app-only, certificate"));
    assert!(page.text("#c-exchange").contains(MICROSOFT_APP.0), "{}", page.text("#c-exchange"));
    world.opens("litware", House::Microsoft, "orders@contoso.test").await;
    world.tells_nothing_of("litware", &["PRIVATE KEY"]).await;
}

#[tokio::test]
async fn each_mistake_with_a_certificate_on_the_card_is_told_at_its_field() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let url = world.play.sandbox.url();
    let over = [
        ("name", "litware"),
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("certificate_how", "upload"),
        ("passphrase", "canary-passphrase"),
        ("make_token", "on"),
        ("act", "save"),
    ];
    let data = |name: &str| std::fs::read(format!("{}/tests/data/certificates/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2024, 5, 3), rcgen::date_time_ymd(2025, 5, 3));
    let ended = format!("{}{}", params.self_signed(&pair).unwrap().pem(), pair.serialize_pem());
    for (file, field, said) in [
        (
            data("cert.cer"),
            "file",
            "Certificate has no private key. Upload the PFX, or the PEM with both parts",
        ),
        (data("modern.pfx"), "passphrase", "Passphrase doesn't open this file"),
        (ended.into_bytes(), "file", "Certificate ended on 3 May 2025"),
        (b"hello".to_vec(), "file", "This is no certificate file"),
        (Vec::new(), "file", "Choose a file"),
    ] {
        let page = admin.get("/providers/new?card=microsoft-certificate").await;
        let page = send_files(&mut admin, &page, NEW, &over, &[("file", &file)]).await;
        refused(&page, field, said);
        assert_eq!(page.attribute("#client_id", "value").as_deref(), Some(MICROSOFT_APP.0));
        assert!(page.has("input[name=certificate_how][value=upload][checked]"));
        assert!(!page.body.contains("canary") && !page.body.contains("PRIVATE"));
    }
    assert!(world.t.app.store.providers().await.unwrap().is_empty());
    let page = admin.get("/providers/new?card=microsoft-certificate").await;
    let mut right = over;
    right[5] = ("passphrase", "opensesame");
    let page = send_files(&mut admin, &page, NEW, &right, &[("file", &data("modern.pfx"))]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider litware and its token saved. Not checked.");
    let ends = world.provider("litware").await.client_secret_expires;
    assert!(ends.is_some() && page.has("#current-sha1"));
}

#[tokio::test]
async fn an_app_with_a_secret_is_saved_checked_and_given_its_token_in_one_go() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mistakes = [
        ("name", "litware"),
        ("tenant", "organizations"),
        ("client_id", CLIENT),
        ("client_secret", "99990000-ffff-1111-aaaa-2222bbbb3333"),
        ("client_secret_expires", "2025-01-01"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &mistakes).await;
    refused(&page, "tenant", "Tenant \"organizations\" can't be used for app-only");
    refused(&page, "client_secret", "looks like the secret's ID. Paste the Value column instead");
    refused(&page, "client_secret_expires", "must be a date after today, like 2027-11-20");
    assert!(!page.body.contains("99990000"));

    let url = world.play.sandbox.url();
    let over = [
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("client_secret", MICROSOFT_APP.1),
        ("client_secret_expires", "2027-11-20"),
        ("app_resource", "outlook"),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider litware and its token saved and checked.");
    let steps = page.text(".steps");
    assert!(
        steps.contains("The app got a token of its own with its secret") && steps.contains("SMTP.SendAsApp"),
        "{steps}"
    );
    assert!(!page.has("#redirect"), "nobody comes back to it");
    world.opens("litware", House::Microsoft, "orders@contoso.test").await;
    world.tells_nothing_of("litware", &[MICROSOFT_APP.1]).await;
    // Both or none: a token of that name is in the way.
    let sources = Sources {
        directory: PathBuf::new(),
        env: &|_| None,
    };
    let text = "[[token]]\nname = \"taken\"\nprovider = \"litware\"\ngrant = \"client_credentials\"\n";
    apply(&world.t.app, &Actor::console(), &parse(text).unwrap(), &sources, false)
        .await
        .unwrap();
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mut again = over.to_vec();
    again[6] = ("act", "save");
    again.extend([("name", "taken"), ("make_token", "on")]);
    let page = send(&mut admin, &page, NEW, &again).await;
    refused(
        &page,
        "name",
        "already used by a token. Choose another, or untick Make the token too",
    );
    assert_eq!(world.t.app.store.providers().await.unwrap().len(), 1);
    // Without the tick it can be saved.
    let mut fields = typed(&page, NEW, &again);
    fields.retain(|(name, _)| name != "make_token");
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = admin.post(NEW, &fields).await;
    assert_eq!(page.location().as_deref(), Some("/providers/taken"), "{}", page.words());

    // A wrong secret is told by the check.
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let mut wrong = over.to_vec();
    wrong.push(("name", "wrong"));
    wrong[3] = ("client_secret", "canary-wrong");
    let page = send(&mut admin, &page, NEW, &wrong).await;
    let page = admin.follow(page).await;
    assert!(page.text(".step.fail").contains("its secret is accepted"), "{}", page.words());
}

#[tokio::test]
async fn a_password_is_the_last_resort_and_proved_by_its_first_sign_in() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-password").await;
    assert!(page.text(".note.warn").contains("Allow public client flows"));
    let url = world.play.sandbox.url();
    let over = [
        ("name", "old"),
        ("tenant", TENANT),
        ("authority", url),
        ("client_id", MICROSOFT_APP.0),
        ("act", "check"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    refused(
        &page,
        "last_resort",
        "Tick \u{201c}I know this is the last resort\u{201d}, or choose another card",
    );
    let page = send(
        &mut admin,
        &page,
        NEW,
        &[("tenant", "common"), ("last_resort", "on"), ("act", "check")],
    )
    .await;
    refused(&page, "tenant", "Tenant \"common\" can't be used for user name and password");
    let page = send(&mut admin, &page, NEW, &[("tenant", TENANT), ("act", "check")]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider old saved and checked.", "{}", page.words());
    let steps = page.text(".steps");
    assert!(
        steps.contains("The tenant exists in this cloud")
            && steps.contains("allows public client flows")
            && steps.contains("Proved by the first sign-in"),
        "{steps}"
    );

    let page = admin.get("/tokens/new?provider=old").await;
    assert!(page.has("input[name=grant][value=password][checked]"), "{}", page.words());
    assert!(
        page.text("#grant")
            .contains("The app itself can't be chosen: The app has neither a secret nor a certificate")
    );
    let (sandbox, support) = (&world.play.sandbox, "support@contoso.test");
    // An admin has consented: nobody is asked at a sign-in of this kind.
    sandbox.sign_in(MICROSOFT_APP.0, support, &["offline_access", IMAP, SMTP]);
    let password = sandbox.person(support).unwrap().password;
    let token = [
        ("user", "support@contoso.test"),
        ("password", password.as_str()),
        ("last_resort", "on"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/tokens/new", &token).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
    world.opens("support", House::Microsoft, "support@contoso.test").await;
    world.tells_nothing_of("old", &[password.as_str()]).await;
}
