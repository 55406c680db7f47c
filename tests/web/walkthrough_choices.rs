//! What a walkthrough is about: names that are taken, things that come back to it, and a provider that changes after something was sent.

use super::providers::send;
use super::walkthroughs::{start, version};
use crate::support::app::{Browser, Page, TestApp};
use crate::support::records;
use axum::http::StatusCode;
use mailgrant::model::mailbox::Auth;
use mailgrant::model::provider::Provider;
use mailgrant::model::token::{GrantType, Token};
use mailgrant::model::{MailboxId, Name, ProviderId, TokenId};

/// A provider of this name beside `contoso`, and a token `NAME-token` of it.
async fn another(t: &TestApp, name: &str, user: &str) {
    let provider = Provider {
        id: ProviderId(name.into()),
        name: Name::parse(name).unwrap(),
        ..records::provider()
    };
    let token = Token {
        id: TokenId(format!("{name}-t")),
        name: Name::parse(&format!("{name}-token")).unwrap(),
        provider_id: provider.id.clone(),
        provider: provider.name.clone(),
        user: Some(user.into()),
        ..records::token()
    };
    let mut tx = t.app.store.begin().await.unwrap();
    tx.insert_provider(&provider).await.unwrap();
    tx.insert_token(&token).await.unwrap();
    tx.commit().await.unwrap();
}

/// Chooses something at a step.
async fn choose(browser: &mut Browser, path: &str, step: &str, field: &str, name: &str) -> Page {
    let version = version(&browser.get(format!("{path}?step={step}")).await);
    let fields = [("version", version.as_str()), ("step", step), (field, name)];
    browser.submit(&format!("{path}/choose"), &fields).await
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_and_what_has_it_is_offered() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let page = admin.get("/walkthroughs/new?template=microsoft-user").await;
    let over = [("address", "hr@contoso.test"), ("name", "contoso")];
    let page = send(&mut admin, &page, "/walkthroughs/new", &over).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        page.text("#name-e > span"),
        "Error: Name is already used by provider contoso. Enter another one, or use that provider"
    );
    assert_eq!(page.attribute("#address", "value").as_deref(), Some("hr@contoso.test"));
    assert!(page.has(".field a[href='/providers/contoso']"));
    let instead = page.attribute(".field a[href^='/walkthroughs/new?']", "href").unwrap();
    let page = admin.get(&instead).await;
    assert_eq!(
        page.attribute("#address", "value").as_deref(),
        Some("hr@contoso.test"),
        "nothing typed is lost"
    );
    let page = send(&mut admin, &page, "/walkthroughs/new", &[]).await;
    let path = page.location().unwrap();
    assert!(admin.get(&path).await.has("dl.kv a[href='/providers/contoso']"));
    // One that is set up in another way isn't offered, and not taken either.
    let page = admin.get("/walkthroughs/new?template=google-user").await;
    let page = send(&mut admin, &page, "/walkthroughs/new", &over).await;
    assert!(
        page.text("#name-e").contains("provider contoso (Microsoft") && !page.has(".field a[href^='/walkthroughs/new?']"),
        "{}",
        page.words()
    );
    let fields = [("template", "google-user"), ("address", "hr@contoso.test"), ("provider", "contoso")];
    assert_eq!(
        admin.post("/walkthroughs/new", &fields).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(t.count("SELECT COUNT(*) FROM walkthroughs").await, 1);
}

#[tokio::test]
async fn what_does_not_fit_is_not_taken_and_the_page_says_why() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    another(&t, "fabrikam", "support@contoso.test").await;
    t.add_mailbox("sales", Some(1), None).await;
    let mut admin = t.admin();
    let path = start(&t, "microsoft-user").await;
    let google = start(&t, "google-user").await;
    for (path, step, field, name, why) in [
        (&google, "4", "provider", "contoso", "is set up in another way"),
        (&path, "1", "token", "support", "it is about no provider yet"),
        (&path, "1", "provider", "nobody", "isn't here any more"),
        (
            &path,
            "1",
            "mailbox",
            "sales",
            "it is about support@contoso.test, and sales@contoso.test doesn't use its token",
        ),
    ] {
        let page = choose(&mut admin, path, step, field, name).await;
        assert!(
            page.text(".flash").contains(why) && page.text(".flash").contains("Nothing was changed"),
            "{}",
            page.text(".flash")
        );
    }
    let page = choose(&mut admin, &path, "1", "provider", "contoso").await;
    assert!(page.text(".flash").contains("is about provider contoso now"), "{}", page.words());
    let page = choose(&mut admin, &path, "1", "token", "fabrikam-token").await;
    assert!(
        page.text(".flash")
            .contains("token fabrikam-token is of provider fabrikam, and it is about contoso"),
        "{}",
        page.text(".flash")
    );
    // The same for what was made in a form that was opened here.
    let now = version(&admin.get(&path).await);
    let back = format!("{path}?step=7&version={now}");
    let form = format!(
        "/tokens/new?{}",
        serde_urlencoded::to_string([("provider", "fabrikam"), ("back", &back)]).unwrap()
    );
    let page = admin.get(&form).await;
    let over = [("name", "other"), ("user", "other@contoso.test"), ("act", "save")];
    let page = send(&mut admin, &page, "/tokens/new", &over).await;
    assert_eq!(page.location(), Some(format!("{path}?step=7")), "{}", page.words());
    let page = admin.follow(page).await;
    assert!(
        page.text(".flash").contains("Token other saved.")
            && page
                .text(".flash")
                .contains("wasn't taken into this walkthrough: token other is of provider fabrikam"),
        "{}",
        page.text(".flash")
    );
    assert!(!admin.get(&path).await.has("dl.kv a[href='/tokens/other']"));
}

#[tokio::test]
async fn a_return_overwrites_nothing_that_somebody_chose_meanwhile() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    another(&t, "fabrikam", "support@contoso.test").await;
    let path = start(&t, "microsoft-user").await;
    let mut admin = t.admin();
    let form = admin
        .get(&path)
        .await
        .attribute(".open a[href^='/providers/new?']", "href")
        .unwrap();
    let page = admin.get(&form).await;
    // Somebody else was faster.
    choose(&mut t.admin(), &path, "1", "provider", "fabrikam").await;
    let over = [
        ("name", "late"),
        ("client_id", "11112222-bbbb-4333-8ccc-4444dddd5555"),
        ("tenant", "contoso.test"),
        ("secret_later", "1"),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.location(), Some(format!("{path}?step=1")), "{}", page.words());
    let page = admin.follow(page).await;
    assert!(
        page.text(".flash")
            .contains("Maija Korhonen chose provider fabrikam for it meanwhile"),
        "{}",
        page.text(".flash")
    );
    assert!(page.has("dl.kv a[href='/providers/fabrikam']"));
    assert!(page.has("#provider option[value=late]"), "it can be chosen here: {}", page.words());
    // A walkthrough that was deleted meanwhile takes nothing, and the person isn't led into nowhere.
    let page = admin.get(&form).await;
    t.admin().submit(&format!("{path}/delete"), &[]).await;
    let over: Vec<_> = over
        .into_iter()
        .map(|(name, value)| (name, if name == "name" { "later" } else { value }))
        .collect();
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    let page = admin.follow(page).await;
    assert!(
        page.text("h1") == "Walkthroughs" && page.text(".flash").contains("was deleted meanwhile"),
        "{}",
        page.words()
    );
}

#[tokio::test]
async fn what_was_sent_is_out_of_date_once_the_provider_is_another_app() {
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut admin = t.admin();
    let path = start(&t, "microsoft-user").await;
    choose(&mut admin, &path, "1", "provider", "contoso").await;
    let send = async |admin: &mut Browser, step: &str, number: usize| {
        let version = version(&admin.get(format!("{path}?step={number}")).await);
        let fields = [("version", version.as_str()), ("to", "it@contoso.test")];
        let page = admin.post(&format!("{path}/steps/{step}/send"), &fields).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    };
    // One names the app, one only the mailbox.
    send(&mut admin, "register", 1).await;
    send(&mut admin, "mail-on", 6).await;
    let told = "The provider changed since you sent this";
    assert!(!admin.get(&path).await.body.contains(told));
    let change = async |edit: &dyn Fn(Provider) -> Provider| {
        let stored = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
        let mut tx = t.app.store.begin().await.unwrap();
        tx.update_provider(&edit(stored)).await.unwrap();
        tx.commit().await.unwrap();
    };
    change(&|provider| Provider {
        client_id: "another-app".into(),
        ..provider
    })
    .await;
    let page = admin.get(format!("{path}?step=1")).await;
    assert!(page.text("#sent").contains(told), "{}", page.text("#open"));
    assert!(
        !admin.get(format!("{path}?step=6")).await.text("#sent").contains(told),
        "the mailbox is the same"
    );
    // Send again, to the same person, and it is up to date.
    let page = admin.get(format!("{path}?step=1")).await;
    let fields = page.form(&format!("{path}/steps/register/send"));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(
        page.text("#sent button").contains("Send again") && fields.contains(&("to", "it@contoso.test")),
        "{fields:?}"
    );
    let page = admin.post(&format!("{path}/steps/register/send"), &fields).await;
    assert!(page.text("#words").contains("/oauth/callback/contoso"), "{}", page.words());
    assert!(!admin.get(&path).await.body.contains(told));
    change(&|provider| Provider {
        tenant: Some("fabrikam.test".into()),
        ..provider
    })
    .await;
    assert!(admin.get(format!("{path}?step=1")).await.text("#sent").contains(told));
}

/// Ten thousand mailboxes of one app; the pages offer some and count the others.
#[tokio::test]
async fn ten_thousand_mailboxes_make_no_page_longer() {
    const MANY: usize = 10_000;
    let t = TestApp::start().await;
    t.add_token(false).await;
    let mut token = records::token();
    token.grant = GrantType::ClientCredentials;
    token.user = None;
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_token(&token).await.unwrap();
    tx.commit().await.unwrap();
    let mut one = t.add_mailbox("box", Some(1), None).await;
    one.incoming.as_mut().unwrap().auth = Auth::OAuth2 {
        token_id: token.id.clone(),
        token: token.name.clone(),
    };
    let mut tx = t.app.store.begin().await.unwrap();
    for number in 0..MANY {
        one.id = MailboxId(format!("m{number}"));
        one.name = Name::parse(&format!("box-{number}")).unwrap();
        one.address = format!("box-{number}@contoso.test");
        tx.insert_mailbox(&one).await.unwrap();
    }
    tx.commit().await.unwrap();
    let path = start(&t, "microsoft-certificate").await;
    let mut row = t.app.store.walkthrough(path.rsplit('/').next().unwrap()).await.unwrap().unwrap();
    row.provider_id = Some(token.provider_id.clone());
    let mut tx = t.app.store.begin().await.unwrap();
    tx.update_walkthrough(&row).await.unwrap();
    tx.commit().await.unwrap();
    let mut admin = t.admin();
    for (step, name, most) in [("5", "options", 200), ("6", "lines", 60)] {
        let began = std::time::Instant::now();
        let page = admin.get(format!("{path}?step={step}")).await;
        println!("step {step}: {} ms", began.elapsed().as_millis());
        let addresses = page.body.matches("@contoso.test").count();
        assert!(addresses <= most + 20, "{name}: {addresses}");
    }
    let began = std::time::Instant::now();
    admin.get("/walkthroughs").await;
    println!("list: {} ms", began.elapsed().as_millis());
}
