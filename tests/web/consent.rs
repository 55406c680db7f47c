//! Admin consent: asked for through a link or in one's own browser, and every way it can come back. The provider is the sandbox.

mod link;

use super::providers::send;
use crate::sandbox::Play;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::provider::parameter;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::model::Name;
use mailgrant::model::consent::{LinkKind, ProviderLink};
use mailgrant::model::provider::Provider;
use mailgrant::model::token::GrantType;
use mailgrant::sandbox::{MICROSOFT_APP, TENANT};

const ADMIN: &str = "admin@contoso.test";
const PAGE: &str = "/providers/contoso/consent";

/// A console with provider `contoso`, which is the sandbox's Microsoft.
pub async fn house_of(tenant: &str) -> (TestApp, Play) {
    let t = TestApp::start().await;
    let play = Play::start_at(&t.clock).await;
    play.sandbox
        .add_redirect_uri(MICROSOFT_APP.0, "http://127.0.0.1:8080/oauth/admin-consent/contoso");
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=microsoft").await;
    let over = [
        ("name", "contoso"),
        ("tenant", tenant),
        ("authority", play.sandbox.url()),
        ("client_id", MICROSOFT_APP.0),
        ("client_secret", MICROSOFT_APP.1),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/contoso"), "{}", page.words());
    (t, play)
}

pub async fn provider(t: &TestApp) -> Provider {
    t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap()
}

pub async fn change(t: &TestApp, change: impl FnOnce(&mut Provider)) {
    change_named(t, "contoso", change).await;
}

pub async fn change_named(t: &TestApp, name: &str, change: impl FnOnce(&mut Provider)) {
    let mut provider = t.app.store.provider(&Name::parse(name).unwrap()).await.unwrap().unwrap();
    change(&mut provider);
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_provider(&provider).await.unwrap();
    tx.commit().await.unwrap();
}

/// Makes a link as the page does; gives its path.
async fn make(t: &TestApp) -> String {
    let mut operator = t.operator();
    operator.get(PAGE).await;
    let page = operator
        .post(
            &format!("{PAGE}/links"),
            &[("address", "it@contoso.test"), ("note", "Thank you, Ossi")],
        )
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    assert!(page.text("#words").contains("Thank you, Ossi"));
    let mail = page.attribute("a[href^='mailto:']", "href").unwrap();
    assert!(
        mail.starts_with("mailto:it%40contoso.test?subject=Admin%20consent") && mail.contains("%0D%0A"),
        "{mail}"
    );
    page.text("#link").strip_prefix("http://127.0.0.1:8080").unwrap().to_owned()
}

async fn link(t: &TestApp) -> ProviderLink {
    let links = t
        .app
        .store
        .provider_links_of(&provider(t).await.id, LinkKind::Consent)
        .await
        .unwrap();
    links.into_iter().next().unwrap()
}

/// Presses the button of an opened link; the address at the provider.
async fn press(browser: &mut Browser, path: &str) -> String {
    browser.get(path).await;
    let page = browser.post(path, &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let page = browser.follow(page).await;
    page.attribute("a#continue", "href").unwrap()
}

/// The provider's page: somebody decides there. The address the browser is sent back to.
async fn decide(play: &Play, leave: &str, account: &str, decision: &str) -> String {
    let page = play.http.get(leave).send().await.unwrap();
    assert_eq!(page.status(), 200, "{}", page.text().await.unwrap());
    let url = url::Url::parse(leave).unwrap();
    let mut form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    form.extend([("account".into(), account.into()), ("decision".into(), decision.into())]);
    let answer = play
        .http
        .post(format!("{}/sandbox/adminconsent", play.sandbox.url()))
        .form(&form)
        .send()
        .await
        .unwrap();
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// The browser comes back to this address; what it is shown in the end.
async fn come_back(browser: &mut Browser, address: &str) -> Page {
    let page = browser.get(address.strip_prefix("http://127.0.0.1:8080").unwrap()).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.words());
    let to = page.location().unwrap();
    assert!(!to.contains("state") && !to.contains("tenant") && to.starts_with('/'), "{to}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    browser.follow(page).await
}

async fn verdict(t: &TestApp) -> String {
    t.viewer().get(PAGE).await.text(".verdict h2")
}

#[tokio::test]
async fn a_refusal_with_the_flag_is_no_consent_and_the_link_stays_good() {
    let (t, play) = house_of(TENANT).await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    for (account, decision, heading) in [
        (ADMIN, "deny", "You came back without consenting"),
        ("support@contoso.test", "allow", "This account may not consent for the organisation"),
    ] {
        let leave = press(&mut stranger, &path).await;
        let back = decide(&play, &leave, account, decision).await;
        assert!(back.contains("admin_consent=True"), "{back}");
        let page = come_back(&mut stranger, &back).await;
        assert_eq!(page.text("h1"), heading, "{}", page.words());
        assert!(!page.body.contains("AADSTS"), "what the provider said to the console stays there");
        assert_eq!(verdict(&t).await, "Nobody has consented yet");
        t.clock.advance(1);
    }
    assert!(
        t.viewer().get(PAGE).await.text(".verdict").contains("Last try, "),
        "the requester sees it"
    );
    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    assert_eq!(come_back(&mut stranger, &back).await.text("h1"), "Thank you");
}

#[tokio::test]
async fn consent_for_another_organisation_or_for_less_is_told_apart() {
    let (t, play) = house_of("contoso.test").await;
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    const FABRIKAM: &str = "99992222-bbbb-3333-cccc-4444dddd5555";
    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let page = come_back(&mut stranger, &back.replace(TENANT, FABRIKAM)).await;
    assert_eq!(page.text("h1"), format!("You consented for {FABRIKAM}"), "{}", page.words());
    assert!(page.words().contains("This provider is for contoso.test, so nothing changed here."));
    assert_eq!(verdict(&t).await, "Nobody has consented yet");

    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let mut less = url::Url::parse(&back).unwrap();
    let pairs: Vec<(String, String)> = less.query_pairs().into_owned().collect();
    less.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(name, value)| {
        let without: Vec<&str> = value.split(' ').filter(|scope| !scope.ends_with("SMTP.Send")).collect();
        (name.as_str(), if name == "scope" { without.join(" ") } else { value.clone() })
    }));
    let page = come_back(&mut stranger, less.as_str()).await;
    assert_eq!(page.text("h1"), "Thank you, but permissions are missing", "{}", page.words());
    assert_eq!(verdict(&t).await, "Permissions are missing");
    assert!(t.viewer().get(PAGE).await.text(".verdict li").contains("SMTP.Send"));
    t.clock.advance(1);

    let leave = press(&mut stranger, &path).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let page = come_back(&mut stranger, &back).await;
    assert!(page.words().contains("contoso.test allows this app now."), "{}", page.words());
    assert_eq!(verdict(&t).await, "contoso.test allows this app");
}

#[tokio::test]
async fn only_the_browser_that_left_may_come_back_once_and_in_time() {
    let (t, play) = house_of(TENANT).await;
    let mut admin = t.admin();
    admin.get(PAGE).await;
    let begin = async |browser: &mut Browser| {
        let page = browser.submit(&format!("{PAGE}/open"), &[]).await;
        assert_eq!(page.text("h1"), "Consent as an admin of your organisation", "{}", page.words());
        page.attribute("a#continue", "href").unwrap()
    };
    let leave = begin(&mut admin).await;
    let back = decide(&play, &leave, ADMIN, "allow").await;
    for mut other in [t.anonymous(), t.operator()] {
        assert_eq!(come_back(&mut other, &back).await.text("h1"), "This consent is too old");
    }
    // The same cookies, another session.
    let mut other = t.operator();
    for (name, value) in admin.cookies.iter().filter(|(name, _)| name.starts_with("flow-")) {
        other.cookies.insert(name.clone(), value.clone());
    }
    assert_eq!(come_back(&mut other, &back).await.text("h1"), "This consent is too old");
    let forged = back.replace(&parameter(&back, "state").unwrap(), "made-up");
    assert_eq!(come_back(&mut admin, &forged).await.text("h1"), "We didn't start this consent");
    let path = back.strip_prefix("http://127.0.0.1:8080").unwrap();
    let looked = admin.send(Method::HEAD, path, &[], Body::empty()).await;
    assert_eq!(looked.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(verdict(&t).await, "Nobody has consented yet");
    let page = come_back(&mut admin, &back).await;
    assert_eq!(page.text(".flash"), "Consent is granted.", "{}", page.words());
    assert!(page.text(".verdict").contains("by Maija Korhonen"));

    let leave = begin(&mut admin).await;
    let back = decide(&play, &leave, ADMIN, "deny").await;
    t.clock.advance(10 * 60 + 1);
    let page = come_back(&mut admin, &back).await;
    assert_eq!(page.text(".flash"), "It came back too late. Nothing changed.");
    assert_eq!(
        page.text(".verdict h2"),
        "The organisation allows this app",
        "what was granted stays"
    );
}

#[tokio::test]
async fn where_the_app_acts_by_itself_its_own_token_proves_it() {
    let (t, play) = house_of(TENANT).await;
    change(&t, |provider| {
        provider.grant = GrantType::ClientCredentials;
        provider.scopes = vec!["https://outlook.office365.com/.default".into()];
    })
    .await;
    let roles = |roles: &[&str]| {
        let mut client = play.sandbox.client(MICROSOFT_APP.0).unwrap();
        client.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        play.sandbox.set_client(client);
    };
    roles(&["IMAP.AccessAsApp"]);
    let path = make(&t).await;
    let mut stranger = t.anonymous();
    let leave = press(&mut stranger, &path).await;
    assert_eq!(
        parameter(&leave, "scope").as_deref(),
        Some("https://outlook.office365.com/.default")
    );
    let back = decide(&play, &leave, ADMIN, "allow").await;
    let page = come_back(&mut stranger, &back).await;
    assert_eq!(page.text("h1"), "Thank you, but permissions are missing", "{}", page.words());
    let mut admin = t.admin();
    let page = admin.get(PAGE).await;
    assert_eq!(page.text(".verdict h2"), "Permissions are missing");
    assert_eq!(page.text(".verdict li"), "SMTP.SendAsApp");
    roles(&["IMAP.AccessAsApp", "SMTP.SendAsApp"]);
    t.clock.advance(60);
    let page = admin.submit(&format!("{PAGE}/check"), &[]).await;
    assert_eq!(page.text(".flash"), "Checked. The app's own token holds every permission.");
    assert_eq!(page.text(".verdict h2"), "Granted");
    assert!(page.text(".verdict").contains("IMAP.AccessAsApp, SMTP.SendAsApp"));
    play.sandbox.faults().set(&[mailgrant::sandbox::Fault::SecretExpired]);
    t.clock.advance(60);
    let page = admin.submit(&format!("{PAGE}/check"), &[]).await;
    assert_eq!(page.text(".verdict h2"), "Not proved");
    assert!(page.text(".verdict").contains("Client secret has expired"), "{}", page.words());
}

#[tokio::test]
async fn what_somebody_says_is_marked_as_said_and_each_role_sees_its_buttons() {
    let (t, _play) = house_of(TENANT).await;
    let mut admin = t.admin();
    admin.get(PAGE).await;
    let page = admin.submit(&format!("{PAGE}/check"), &[]).await;
    assert_eq!(page.text(".flash"), "Noted. The next sign-in proves it.");
    assert_eq!(page.text(".verdict h2"), "Granted, as somebody here said");
    assert!(page.text(".verdict").contains("by Maija Korhonen"));
    let buttons = |page: &Page| {
        page.text("main button:not([hidden])")
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        buttons(&page),
        ["It's already granted", "Copy consent link", "Send it by mail", "Open it myself"]
    );
    let page = t.operator().get(PAGE).await;
    assert_eq!(buttons(&page), ["Copy consent link", "Send it by mail", "Open it myself"]);
    let page = t.viewer().get(PAGE).await;
    assert!(buttons(&page).is_empty() && page.words().contains("Only people with permission to start sign-ins"));
    assert_eq!(t.operator().post(&format!("{PAGE}/check"), &[]).await.status, StatusCode::FORBIDDEN);
    // A provider that has no such page.
    change(&t, |provider| {
        provider.template = mailgrant::model::template::TemplateKind::Google;
        provider.overrides = Default::default();
    })
    .await;
    assert_eq!(t.admin().get(PAGE).await.status, StatusCode::NOT_FOUND);
    assert!(!t.admin().get("/providers/contoso").await.has("#co"));
}

#[tokio::test]
async fn the_short_words_fit_an_app_that_acts_by_itself() {
    let (t, _play) = house_of(TENANT).await;
    change(&t, |provider| provider.grant = GrantType::ClientCredentials).await;
    let words = t.viewer().get("/providers/contoso").await.text("#consent");
    assert!(words.contains("to act by itself. Nobody signs in."), "{words}");
    assert!(!words.contains("each mailbox still needs"), "{words}");
}
