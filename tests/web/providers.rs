//! Providers: the form with its picker, checks, secrets, and deleting.

use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use crate::support::provider::{CLIENT, Lie, Provider, SECRET};
use axum::http::StatusCode;
use mailgrant::model::Name;
use serde_json::json;

/// The fields of a form as they are on the page, with some of them typed over.
pub fn typed(page: &Page, action: &str, over: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = page
        .form(action)
        .into_iter()
        .filter(|(name, _)| name != "csrf_token" && !over.iter().any(|(other, _)| other == name))
        .collect();
    fields.extend(over.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

/// Sends a form as it is on the page, with some fields typed over.
pub async fn send(browser: &mut Browser, page: &Page, action: &str, over: &[(&str, &str)]) -> Page {
    let fields = typed(page, action, over);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(action, &fields).await
}

/// A custom provider `rig` that is the simulator, made through the form.
pub async fn make_provider(t: &TestApp, provider: &Provider) {
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=custom").await;
    let page = send(
        &mut admin,
        &page,
        "/providers/new",
        &[("name", "rig"), ("issuer", &provider.url), ("act", "read")],
    )
    .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    let over = [
        ("client_id", CLIENT),
        ("client_secret", SECRET),
        ("scopes", "mail.read, mail.send\r\noffline_access"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/rig"), "{}", page.words());
}

async fn stored(t: &TestApp, name: &str) -> mailgrant::model::provider::Provider {
    t.app.store.provider(&Name::parse(name).unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_picker_offers_what_this_version_can_do_and_keeps_what_was_typed() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new").await;
    assert_eq!(page.text("h1"), "Add provider");
    assert_eq!(
        page.text(".opt b"),
        "User sign-in\nApp-only, certificate\nApp-only, client secret\nUsername and password (ROPC)\nUser sign-in\nService account\n\
         Yahoo, Zoho or Fastmail\nOther OAuth provider"
    );
    assert_eq!(page.text("#redirect"), "http://127.0.0.1:8080/oauth/callback/microsoft");
    assert!(page.text("aside").contains("Entra admin center"));
    let over = [
        ("card", "google"),
        ("client_id", "123-abc.apps.googleusercontent.com"),
        ("client_secret", SECRET),
        ("act", "template"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.text("#fh"), "Google, user sign-in");
    let redirect = page.text("#redirect");
    assert_eq!(
        redirect, "http://127.0.0.1:8080/oauth/callback/google",
        "a name nobody chose follows"
    );
    assert_eq!(
        page.attribute("#client_id", "value").as_deref(),
        Some("123-abc.apps.googleusercontent.com")
    );
    assert!(page.text("#extra_authorize_params").contains("access_type=offline"));
    assert!(!page.body.contains("canary"));
    for (template, heading) in [
        ("zoho", "Zoho, user sign-in"),
        ("fastmail", "Fastmail, user sign-in"),
        ("custom", "Other OAuth provider"),
    ] {
        let page = admin.get(format!("/providers/new?template={template}")).await;
        assert_eq!(page.text("#fh"), heading);
        assert_eq!(page.has("input[name=client_secret]"), template != "fastmail", "{template}");
    }
}

#[tokio::test]
async fn a_refused_form_names_every_mistake_and_never_shows_the_secret_again() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=microsoft").await;
    let over = [
        ("name", "Litware\r\nX"),
        ("tenant", ""),
        ("client_id", "11112222-bbbb-3333-cccc-4444dddd555"),
        ("client_secret", "99990000-ffff-1111-aaaa-2222bbbb3333"),
        ("client_secret_expires", "yesterday"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("title").starts_with("Error: Add provider"));
    insta::assert_snapshot!(page.text(".summary li"), @r"
    Name can have a–z, 0–9, dot, hyphen and underscore
    Enter the directory (tenant) ID, or a domain such as contoso.onmicrosoft.com
    Application (client) ID is 36 characters with four hyphens. This one has 35
    Client secret looks like the secret's ID. Paste the Value column instead
    Secret expires on must be a date after today, like 2027-11-20
    ");
    assert_eq!(
        page.attribute("#client_id", "value").as_deref(),
        Some("11112222-bbbb-3333-cccc-4444dddd555")
    );
    assert!(!page.body.contains("99990000"));
    assert!(t.app.store.providers().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_issuer_is_read_and_shown_before_anything_is_saved() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=custom").await;
    // Saving with an issuer alone reads it first.
    let over = [
        ("name", "rig"),
        ("issuer", provider.url.as_str()),
        ("client_id", CLIENT),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert!(page.text(".note.info").contains("Look it over, then save."), "{}", page.words());
    assert!(page.text(".note.info").contains("127.0.0.1"));
    assert!(t.app.store.providers().await.unwrap().is_empty());
    let token_url = format!("{}/token", provider.url);
    assert_eq!(page.attribute("#token_url", "value").as_deref(), Some(token_url.as_str()));
    let page = send(&mut admin, &page, "/providers/new", &[("client_secret", SECRET), ("act", "check")]).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Provider rig saved and checked.");
    assert!(
        page.text(".steps")
            .contains("The app is known and its secret is acceptedOnly the made-up code was refused"),
        "{}",
        page.text(".steps")
    );
    assert!(
        page.text(".steps")
            .contains("The redirect address is registeredProved by the first sign-in")
    );
    assert!(page.text("#redirect").ends_with("/oauth/callback/rig"));
    let made = stored(&t, "rig").await;
    assert!(made.overrides.iss_announced && made.overrides.discovered_at.is_some());
    assert!(!page.body.contains("canary"));

    let page = admin.get("/providers/new?template=custom").await;
    let nowhere = format!("{}/nowhere", provider.url);
    let page = send(&mut admin, &page, "/providers/new", &[("issuer", &nowhere), ("act", "read")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.text(".summary li").starts_with("Discovery address"),
        "{}",
        page.text(".summary")
    );
}

#[tokio::test]
async fn a_check_names_a_refused_secret() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    provider.takes_secret("another one");
    let mut admin = t.admin();
    admin.get("/providers/rig").await;
    let page = admin.submit("/providers/rig/check", &[]).await;
    // The fragment of the redirect is for the browser.
    let page = if page.status.is_success() {
        page
    } else {
        admin.get("/providers/rig").await
    };
    assert!(
        page.text(".step.fail").contains("The app is known and its secret is accepted"),
        "{}",
        page.words()
    );
    assert!(page.has("#failed .fixes"), "{}", page.words());
    assert!(!page.has("[aria-label=State]"), "one cause is told in one place");
    assert!(!page.body.contains("canary"));
}

#[tokio::test]
async fn a_new_secret_takes_the_place_of_the_old_one_only_when_it_works() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let before = stored(&t, "rig").await;
    let mut admin = t.admin();
    let page = admin.get("/providers/rig/secret").await;
    assert!(page.text(".locked").starts_with("Set, last changed"), "{}", page.words());
    let action = "/providers/rig/secret";
    let page = send(&mut admin, &page, action, &[("client_secret", "canary-wrong-secret")]).await;
    assert_eq!(
        page.text(".summary li"),
        "Client secret was refused by the provider. The old one stays"
    );
    assert!(!page.body.contains("canary"));
    assert_eq!(stored(&t, "rig").await, before);

    provider.lies(&[Lie::WebPage]);
    let page = send(&mut admin, &page, action, &[("client_secret", "canary-next-secret-value")]).await;
    assert!(page.text(".summary li").contains("couldn't be tried"), "{}", page.words());
    assert_eq!(stored(&t, "rig").await, before);

    provider.lies(&[]);
    provider.takes_secret("canary-next-secret-value");
    let over = [
        ("client_secret", "canary-next-secret-value"),
        ("client_secret_expires", "20 Nov 2027"),
    ];
    let page = send(&mut admin, &page, action, &over).await;
    let page = admin.follow(page).await;
    assert_eq!(page.text(".flash"), "Client secret of rig replaced. The provider accepts it.");
    assert!(!page.words().contains("Not checked since the change"), "{}", page.words());
    let now = stored(&t, "rig").await;
    assert_ne!(now.client_secret, before.client_secret);
    assert_eq!(now.client_secret_expires.unwrap().to_string(), "2027-11-20");
    assert!(page.words().contains("its last characters are alue"), "{}", page.words());
    assert!(!page.body.contains("canary"));
}

#[tokio::test]
async fn two_people_at_once_choose_field_by_field() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let (mut maija, mut late) = (t.admin(), t.admin());
    let action = "/providers/rig/edit";
    let first = maija.get(action).await;
    let second = late.get(action).await;
    let page = send(&mut maija, &first, action, &[("prompt", "login"), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/rig"));
    let page = send(&mut late, &second, action, &[("client_id", "other"), ("act", "save")]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert_eq!(page.text("h1"), "Maija Korhonen changed this in the meantime");
    assert_eq!(page.text("fieldset legend"), "Client ID\nPrompt");
    // Theirs for the prompt, ours for the client.
    let page = send(&mut late, &page, action, &[("prompt", "login"), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/providers/rig"), "{}", page.words());
    let now = stored(&t, "rig").await;
    assert_eq!(
        (now.client_id.as_str(), now.prompt.as_str(), now.scopes.len()),
        ("other", "login", 3)
    );
}

#[tokio::test]
async fn deleting_wants_the_name_and_no_tokens() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    let mut admin = t.admin();
    let page = admin.get("/providers/rig/delete").await;
    assert_eq!(page.text("form button.danger"), "Delete rig");
    let page = admin.post("/providers/rig/delete", &[("confirm", "something")]).await;
    assert_eq!(page.text(".summary li"), "Name doesn't match. Type rig");
    let page = admin.submit("/providers/rig/delete", &[("confirm", " RIG ")]).await;
    assert_eq!(page.text(".flash"), "Provider rig deleted.");
    assert_eq!(admin.get("/providers/rig").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn operators_look_and_do_not_touch() {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    make_provider(&t, &provider).await;
    for mut browser in [t.operator(), t.viewer()] {
        let page = browser.get("/providers/rig").await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.has("a[href$=edit]") && !page.has("a[href$=secret]") && !page.has("form[action$=check]"));
        assert_eq!(browser.get("/providers/rig/edit").await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.post("/providers/rig/check", &[]).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn googles_client_file_fills_in_id_and_secret() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=google").await;
    let file = json!({"web": {"client_id": "1-a.apps.googleusercontent.com", "client_secret": "canary-GOCSPX"}}).to_string();
    let over = [("client_json", file.as_str()), ("consent_screen", "testing"), ("act", "save")];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    let page = admin.follow(page).await;
    assert!(
        page.text(".note.warn").contains("Google ends each sign-in after 7 days."),
        "{}",
        page.words()
    );
    assert!(!page.body.contains("canary"));
    assert_eq!(stored(&t, "google").await.client_id, "1-a.apps.googleusercontent.com");
}
