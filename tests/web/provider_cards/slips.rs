//! What people do halfway: another card and back, a mistake beside a file, both of two answers.

use super::super::providers::send;
use super::{CLIENT, NEW, World, refused, send_files};
use mailgrant::sandbox::{MICROSOFT_APP, TENANT};

#[tokio::test]
async fn coming_back_to_a_card_shows_what_was_typed_there_but_no_secret() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft").await;
    let typed = [
        ("tenant", "litware.test"),
        ("client_id", CLIENT),
        ("client_secret", "canary-secret"),
        ("cloud", "usgov"),
        ("authority", "https://login.example"),
        ("act", "template"),
    ];
    let mut page = send(&mut admin, &page, NEW, &[&typed[..], &[("card", "google-service")]].concat()).await;
    assert!(!page.body.contains("canary") && !page.has("input[name=tenant]"));
    for (card, field, value) in [
        ("custom", "domain", "litware.example"),
        ("google", "issuer", "https://id.example"),
        ("microsoft", "consent_screen", "testing"),
    ] {
        page = send(&mut admin, &page, NEW, &[("card", card), (field, value), ("act", "template")]).await;
    }
    for (field, value) in [
        ("tenant", "litware.test"),
        ("client_id", CLIENT),
        ("authority", "https://login.example"),
    ] {
        assert_eq!(page.attribute(&format!("#{field}"), "value").as_deref(), Some(value), "{field}");
    }
    assert!(page.has("#cloud option[value=usgov][selected]"));
    assert!(!page.body.contains("canary"));
    // A mistake in between loses nothing either.
    page = send(&mut admin, &page, NEW, &[("client_id", "x"), ("act", "save")]).await;
    page = send(&mut admin, &page, NEW, &[("card", "google-service"), ("act", "template")]).await;
    assert_eq!(page.attribute("[name=domain]", "value").as_deref(), Some("litware.example"));
}

#[tokio::test]
async fn beside_a_mistake_files_and_secrets_are_asked_for_again() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-certificate").await;
    let pfx = std::fs::read(format!("{}/tests/data/certificates/modern.pfx", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let over = [
        ("tenant", TENANT),
        ("client_id", &CLIENT[1..]),
        ("certificate_how", "upload"),
        ("passphrase", "opensesame"),
        ("act", "save"),
    ];
    let page = send_files(&mut admin, &page, NEW, &over, &[("file", &pfx)]).await;
    refused(&page, "client_id", "This one has 35");
    refused(&page, "file", "Choose the certificate file again");
    refused(&page, "passphrase", "Enter the passphrase again");
    assert!(!page.body.contains("opensesame"));
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let over = [
        ("tenant", TENANT),
        ("client_id", "x"),
        ("client_secret", "canary-secret"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    refused(&page, "client_secret", "Enter the client secret again");
}

#[tokio::test]
async fn a_wrong_client_json_is_one_problem() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    for (file, said) in [
        (r#"{"type":"service_account"}"#, "This is the key of a service account"),
        (r#"{"installed":{"client_id":"1"}}"#, "of a desktop app"),
        ("no json", "can't be read"),
    ] {
        let page = admin.get("/providers/new?card=google").await;
        let files: [(&str, &[u8]); 1] = [("client_json_file", file.as_bytes())];
        let page = send_files(&mut admin, &page, NEW, &[("consent_screen", "internal"), ("act", "save")], &files).await;
        refused(&page, "client_json", said);
        assert_eq!(page.text(".summary li").lines().count(), 1, "{}", page.text(".summary"));
    }
}

#[tokio::test]
async fn a_secret_and_somebody_else_who_enters_it_are_asked_about() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let page = admin.get("/providers/new?card=microsoft-secret").await;
    let over = [
        ("tenant", TENANT),
        ("authority", world.play.sandbox.url()),
        ("client_id", MICROSOFT_APP.0),
        ("client_secret", MICROSOFT_APP.1),
        ("secret_later", "yes"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, NEW, &over).await;
    refused(
        &page,
        "secret_later",
        "You entered a client secret, and ticked that somebody else enters it",
    );
    assert!(world.t.app.store.providers().await.unwrap().is_empty());
    assert_eq!(page.text(".summary li").lines().count(), 1, "{}", page.text(".summary"));
}

#[tokio::test]
async fn whoever_does_not_run_the_provider_saves_and_gets_the_request() {
    let world = World::start().await;
    let mut admin = world.t.admin();
    let url = world.play.sandbox.url();
    for card in ["microsoft", "microsoft-secret", "microsoft-certificate"] {
        let page = admin.get(format!("/providers/new?card={card}")).await;
        assert!(page.text("[aria-labelledby=so]").contains("Someone else runs Entra?"));
        let over = [
            ("name", card),
            ("tenant", TENANT),
            ("authority", url),
            ("client_id", MICROSOFT_APP.0),
            ("act", "request"),
        ];
        let page = send(&mut admin, &page, NEW, &over).await;
        assert_eq!(page.location().unwrap(), format!("/providers/{card}/request"), "{}", page.words());
        assert!(admin.follow(page).await.text("#words").contains(TENANT));
    }
    let page = admin.get("/providers/new?card=google-service").await;
    let over = [("name", "robot"), ("first_account", "billing@fabrikam.test"), ("act", "request")];
    let page = send(&mut admin, &page, NEW, &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/robot/request"), "{}", page.words());
    assert!(admin.follow(page).await.text("#words").contains("Manage Domain Wide Delegation"));
    // A form that is saved as usual still wants the key.
    let page = admin.get("/providers/new?card=google-service").await;
    let page = send(&mut admin, &page, NEW, &[("name", "other"), ("act", "save")]).await;
    refused(&page, "service_account", "Paste the key JSON of the service account");
    assert!(!page.has("input[type=text][name=authorize_url]"), "of no use to a service account");
}
