//! What comes back from a sign-in at Microsoft: its errors by number, its tenants, its consent.

use super::authorize::{SUPPORT, begin, come_back, grant, house, row};
use super::providers::send;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::databases::NOW;
use crate::support::provider::{CLIENT, Lie, Provider, SECRET, parameter};
use mailgrant::model::template::CONSUMERS_TENANT;
use serde_json::json;

const TENANT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
const FABRIKAM: &str = "99992222-bbbb-3333-cccc-4444dddd5555";
const SMTP: &str = "https://outlook.office.com/SMTP.Send";

/// A provider `rig` made from Microsoft's template for this tenant, which is the simulator, and a token `support` to read and send.
async fn microsoft(tenant: &str) -> (TestApp, Provider) {
    let t = TestApp::start().await;
    let provider = Provider::start(NOW).await;
    let mut admin = t.admin();
    let page = admin.get("/providers/new?template=microsoft").await;
    let over = [
        ("name", "rig"),
        ("tenant", tenant),
        ("authority", provider.url.as_str()),
        ("client_id", CLIENT),
        ("client_secret", SECRET),
        ("act", "save"),
    ];
    let page = send(&mut admin, &page, "/providers/new", &over).await;
    assert_eq!(page.location().as_deref(), Some("/providers/rig"), "{}", page.words());
    let page = admin.get("/tokens/new").await;
    let page = send(&mut admin, &page, "/tokens/new", &[("user", SUPPORT), ("act", "save")]).await;
    assert_eq!(page.location().as_deref(), Some("/tokens/support"), "{}", page.words());
    (t, provider)
}

/// What an ID token of this directory says.
fn of(provider: &Provider, tenant: &str) -> Vec<Lie> {
    vec![
        Lie::Claim("iss", json!(format!("{}/{tenant}/v2.0", provider.url))),
        Lie::Claim("tid", json!(tenant)),
        Lie::Claim("oid", json!("0f0f0f0f-0000-4000-8000-000000000001")),
    ]
}

/// Somebody signs in; Microsoft doesn't name itself in the return.
async fn comes_back_as(browser: &mut Browser, provider: &Provider, account: &str, fields: &[(&str, &str)]) -> Page {
    let (_, leave) = begin(browser, fields).await;
    let code = parameter(&provider.sign_in(&leave, account), "code").unwrap();
    come_back(browser, &provider.back(&leave, &[("code", &code), ("session_state", "x")])).await
}

/// There is something to lose.
async fn signed_in(t: &TestApp, provider: &Provider) -> String {
    provider.lies(&of(provider, TENANT));
    let page = comes_back_as(&mut t.admin(), provider, SUPPORT, &[]).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."), "{}", page.words());
    row(t).await
}

#[tokio::test]
async fn what_microsoft_says_instead_of_signing_in_is_told_apart_and_costs_nothing() {
    let (t, provider) = microsoft("contoso.onmicrosoft.com").await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    const ADMINS: &str = "contoso.onmicrosoft.com lets only admins allow apps";
    const ASKED: &str = "Microsoft would have had to ask something";
    const BACK: &str = "You came back without signing in";
    for (prompt, error, description, heading, primary) in [
        (
            "",
            "access_denied",
            "AADSTS65004: User declined to consent to access the app.",
            BACK,
            "Try again",
        ),
        (
            "consent",
            "consent_required",
            "AADSTS65004: User declined to consent.",
            BACK,
            "Try again",
        ),
        ("", "access_denied", "the user cancelled the authentication", BACK, "Try again"),
        (
            "",
            "access_denied",
            "AADSTS90094: An administrator has set a policy.",
            ADMINS,
            "Try again",
        ),
        ("", "access_denied", "AADSTS90095: Admin consent is required.", ADMINS, "Try again"),
        ("", "consent_required", "AADSTS65001: Nobody has consented.", ADMINS, "Try again"),
        (
            "none",
            "consent_required",
            "AADSTS65001: Nobody has consented.",
            ASKED,
            "Choose the account",
        ),
        (
            "none",
            "login_required",
            "AADSTS50058: A silent sign-in request was sent.",
            ASKED,
            "Choose the account",
        ),
        (
            "none",
            "interaction_required",
            "AADSTS50076: use multi-factor authentication",
            ASKED,
            "Choose the account",
        ),
        (
            "none",
            "account_selection_required",
            "AADSTS16000: Several accounts.",
            ASKED,
            "Choose the account",
        ),
        (
            "",
            "interaction_required",
            "AADSTS53003: Access has been blocked.",
            "A Conditional Access policy blocks this sign-in",
            "Get authorization token",
        ),
        (
            "",
            "access_denied",
            "AADSTS50105: not assigned to a role",
            "This person isn't assigned to the app",
            "Try again",
        ),
        (
            "",
            "invalid_client",
            "AADSTS650052: The app needs access to a service",
            "The tenant has no Exchange Online",
            "Try again",
        ),
        (
            "",
            "invalid_request",
            "AADSTS50194: not configured as multi-tenant",
            "A single-tenant app can't use \"common\"",
            "Check the provider's settings",
        ),
        (
            "",
            "unauthorized_client",
            "AADSTS700016: not found in the directory",
            "The app doesn't exist in this tenant",
            "Check the provider's settings",
        ),
        (
            "",
            "invalid_scope",
            "AADSTS70011: The provided value for scope is not valid.",
            "A scope is misspelled or unknown to Microsoft",
            "Change its permissions",
        ),
        (
            "",
            "invalid_resource",
            "AADSTS500011: The resource principal was not found",
            "The service named in the scope isn't in this tenant",
            "Change its permissions",
        ),
        (
            "",
            "temporarily_unavailable",
            "AADSTS90033: A transient error has occurred.",
            "The provider has a passing fault",
            "Try again",
        ),
    ] {
        let fields = [("prompt", prompt)];
        let (path, leave) = begin(&mut admin, &fields[usize::from(prompt.is_empty())..]).await;
        let said = format!("{description} Trace ID: <i>0000aaaa</i>");
        let page = come_back(
            &mut admin,
            &provider.back(&leave, &[("error", error), ("error_description", &said)]),
        )
        .await;
        assert_eq!(page.text("h1"), heading, "{error} {description}");
        assert_eq!(page.text(".btn.primary"), primary, "{description}");
        assert!(!page.body.contains("<i>0000"), "a stranger's words are escaped");
        if heading == ADMINS {
            assert!(page.text(".verdict").contains("Grant admin consent"), "{}", page.words());
        }
        assert_eq!(row(&t).await, before, "{description}");
        // Whoever looks later sees the same, and the history tells it.
        assert_eq!(t.viewer().get(&path).await.text("h1"), heading);
        let history = admin.get("/tokens/support").await.text(".feed");
        assert!(history.contains("Token unchanged."), "{description}: {history}");
    }
    assert_eq!(provider.exchanges(), 1);
}

#[tokio::test]
async fn an_account_of_another_directory_is_refused_even_under_the_right_name() {
    let (t, provider) = microsoft(TENANT).await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    // Under the directory's own issuer only the tenant tells them apart; another issuer is a mix-up.
    let personal = "That is a personal account";
    for (issuer, tenant, account, heading) in [
        (TENANT, FABRIKAM, SUPPORT, "That account belongs to contoso.test"),
        (TENANT, FABRIKAM, "ann@fabrikam.test", "That account belongs to fabrikam.test"),
        (TENANT, CONSUMERS_TENANT, SUPPORT, personal),
        (FABRIKAM, FABRIKAM, SUPPORT, ""),
        (FABRIKAM, TENANT, SUPPORT, ""),
    ] {
        let mut lies = of(&provider, tenant);
        lies[0] = Lie::Claim("iss", json!(format!("{}/{issuer}/v2.0", provider.url)));
        provider.lies(&lies);
        let page = comes_back_as(&mut admin, &provider, account, &[]).await;
        if !heading.is_empty() {
            assert_eq!(page.text("h1"), heading);
            assert_eq!(page.text(".btn.primary"), "Choose the account again");
            assert!(page.text(".verdict").contains("so we kept the old one"), "{}", page.words());
        } else {
            assert!(page.has(".verdict .m-bad") && !page.has(".flash"), "{}", page.words());
        }
        assert_eq!(row(&t).await, before, "{tenant} {account}");
    }
    // No directory named at all.
    provider.lies(&of(&provider, TENANT)[..1]);
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
    assert_eq!(page.text("h1"), "That account belongs to contoso.test");
    assert_eq!(row(&t).await, before);
}

#[tokio::test]
async fn an_app_for_any_organisation_takes_no_personal_account_and_no_borrowed_issuer() {
    let (t, provider) = microsoft("organizations").await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    provider.lies(&of(&provider, CONSUMERS_TENANT));
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
    assert_eq!(page.text("h1"), "That is a personal account");
    // The issuer of one directory, the id of another.
    let mut lies = of(&provider, TENANT);
    lies[0] = Lie::Claim("iss", json!(format!("{}/{FABRIKAM}/v2.0", provider.url)));
    provider.lies(&lies);
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
    assert!(page.has(".verdict .m-bad"), "{}", page.words());
    assert_eq!(row(&t).await, before);
}

#[tokio::test]
async fn an_admin_who_consents_for_others_is_not_taken_for_the_mailbox() {
    let (t, provider) = microsoft(TENANT).await;
    provider.lies(&of(&provider, TENANT));
    let mut admin = t.admin();
    let page = comes_back_as(&mut admin, &provider, "maija.korhonen@contoso.test", &[("prompt", "consent")]).await;
    assert_eq!(page.text("h1"), format!("Consent is done. Now sign in as {SUPPORT}"));
    assert_eq!(page.text(".btn.primary"), "Choose the account");
    let again = page.form("/tokens/support/authorize");
    assert!(again.contains(&("prompt".to_owned(), "select_account".to_owned())), "{again:?}");
    assert_eq!(grant(&t).await, None, "the admin's token is thrown away");
    assert!(page.text(".verdict").contains("The consent counts; the sign-in doesn't"));
    // Whoever comes to the token by another way is asked the same.
    let preset = t
        .operator()
        .get("/tokens/support")
        .await
        .attribute("#prompt option[selected]", "value");
    assert_eq!(preset.as_deref(), Some("select_account"));
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[("prompt", "select_account")]).await;
    assert_eq!(page.text(".flash"), format!("{SUPPORT} is signed in."), "{}", page.words());
}

#[tokio::test]
async fn sending_that_was_not_allowed_is_named_and_no_lasting_token_is_refused() {
    let (t, provider) = microsoft(TENANT).await;
    let mut admin = t.admin();
    let mut lies = of(&provider, TENANT);
    lies.push(Lie::NoRefreshToken);
    provider.lies(&lies);
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
    assert_eq!(page.text("h1"), "Microsoft didn't allow staying signed in");
    assert_eq!(grant(&t).await, None);
    lies[3] = Lie::Without(SMTP);
    provider.lies(&lies);
    let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
    assert_eq!(page.text("h1"), "Signed in, but sending wasn't allowed", "{}", page.words());
    assert_eq!(page.text(".verdict li"), "SMTP.Send");
    assert!(page.text(".verdict").contains("Grant admin consent"));
    assert_eq!(page.text(".btn.primary"), "Ask for consent again");
    assert!(grant(&t).await.is_some());
}

#[tokio::test]
async fn what_the_token_endpoint_says_by_number_is_explained() {
    let (t, provider) = microsoft(TENANT).await;
    let before = signed_in(&t, &provider).await;
    let mut admin = t.admin();
    for (error, description, heading) in [
        (
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided.",
            "Client secret is wrong",
        ),
        (
            "invalid_client",
            "AADSTS7000222: The provided client secret keys are expired.",
            "Client secret has expired",
        ),
        (
            "invalid_request",
            "AADSTS9002325: Proof Key for Code Exchange is required",
            "The redirect address is registered as a single-page app",
        ),
        (
            "invalid_grant",
            "AADSTS54005: OAuth2 Authorization code was already redeemed",
            "This sign-in was already used",
        ),
        (
            "invalid_grant",
            "AADSTS700005: code used against wrong tenant",
            "Sign-in and token request went to different tenants",
        ),
        (
            "invalid_grant",
            "AADSTS50020: User account does not exist in tenant",
            "The account belongs to another organisation",
        ),
    ] {
        provider.lies(&[Lie::Refuses(400, json!({"error": error, "error_description": description}))]);
        let page = comes_back_as(&mut admin, &provider, SUPPORT, &[]).await;
        assert_eq!(page.text("h1"), heading, "{}", page.words());
        assert!(page.has(".fixes li"), "it says what to do: {}", page.words());
        assert!(
            page.body.contains(description.split(':').next().unwrap()),
            "the number can be looked up"
        );
        assert_eq!(row(&t).await, before, "{description}");
    }
}

#[tokio::test]
async fn other_providers_numbers_are_not_microsofts() {
    let (t, provider) = house().await;
    let mut admin = t.admin();
    let (_, leave) = begin(&mut admin, &[]).await;
    let said = [
        ("error", "consent_required"),
        ("error_description", "please"),
        ("iss", provider.url.as_str()),
    ];
    let page = come_back(&mut admin, &provider.back(&leave, &said)).await;
    assert_eq!(page.text("h1"), "The provider would have had to ask something");
    assert!(!page.words().contains("Entra"), "{}", page.words());
    assert_eq!(grant(&t).await, None);
}
