//! Settings brought along from elsewhere, and taken away.

use crate::support::app::{Browser, PASSWORD, Page, TestApp};
use crate::support::databases::new_postgres;
use axum::http::StatusCode;
use mailgrant::model::Name;

const CANARY: &str = "canary~Q8-secret-of-the-other-system";

/// Central settings of another product with two mailboxes, and a line it can't use.
fn settings() -> String {
    format!(
        "# from the old system\nmail.store.protocol=imap\nmail.store.host: outlook.office365.com\nmail.store.port=993\n\
         mail.store.oauth.enabled=true\nmail.transport.host=smtp.office365.com\nmail.transport.port=587\nmail.transport.oauth.enabled=true\n\
         mail.oauth.authorize.endpoint=https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize\n\
         mail.oauth.token.endpoint=https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token\n\
         mail.oauth.client.id=11112222-bbbb-3333-cccc-4444dddd5555\nmail.oauth.client.secret={CANARY}\n\
         mail.oauth.scopes=offline_access,https://outlook.office.com/IMAP.AccessAsUser.All,\\\n  https://outlook.office.com/SMTP.Send\n\
         mail.debug=true\nmailbox.support.mail.store.user=support@contoso.com\nmailbox.hr.mail.store.user=hr@contoso.com\n"
    )
}

fn toml() -> String {
    format!(
        "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_secret = \"{CANARY}\"\n\n\
         [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"support@contoso.com\"\nrefresh_token = \"{CANARY}-refresh\"\n\n\
         [[mailbox]]\nname = \"support\"\naddress = \"support@contoso.com\"\nenabled = true\n[mailbox.incoming]\nhost = \"outlook.office365.com\"\n\
         token = \"support\"\n\n[[mailbox]]\nname = \"broken\"\naddress = \"nobody\"\n[mailbox.incoming]\nhost = \"h.example\"\ntoken = \"support\"\n"
    )
}

const TABLE: &str = "name;address;incoming.host;incoming.auth;incoming.password;tags;shoe size\n\
    info;info@contoso.com;imap.contoso.com;password;canary~Q8-secret-of-the-other-system;\"sales;finland\";43\n\
    bad;bad@contoso.com;imap.contoso.com;magic;;;\n;sales@contoso.com;imap.contoso.com;;canary~Q8-secret-of-the-other-system;;\n";

/// The preview of a text with this choice for what is here already; its address without the choice.
pub async fn preview(browser: &mut Browser, text: &str, existing: &str) -> (String, Page) {
    let answer = browser.post("/transfer/import", &[("text", text)]).await;
    let address = answer.location().unwrap_or_else(|| panic!("{}", answer.words()));
    let page = browser.get(format!("{address}?existing={existing}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.words());
    (address, page)
}

/// Imports what the preview shows.
pub async fn apply(browser: &mut Browser, address: &str, page: &Page) -> Page {
    let fields = page.form(&format!("{address}/apply"));
    assert!(!fields.is_empty(), "nothing to import: {}", page.words());
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = browser.post_raw(format!("{address}/apply"), &fields).await;
    browser.follow(answer).await
}

async fn counts(t: &TestApp) -> (i64, i64, i64) {
    (
        t.count("SELECT COUNT(*) FROM providers").await,
        t.count("SELECT COUNT(*) FROM tokens").await,
        t.count("SELECT COUNT(*) FROM mailboxes").await,
    )
}

/// A console on each engine there is.
pub async fn consoles() -> Vec<TestApp> {
    let mut all = vec![TestApp::start().await];
    if let Some(url) = new_postgres().await {
        all.push(TestApp::start_with(&[("MAILGRANT_DATABASE_URL", &url)]).await);
    }
    all
}

#[tokio::test]
async fn settings_of_another_product_become_providers_tokens_and_paused_mailboxes_and_can_be_undone() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (address, page) = preview(&mut admin, &settings(), "skip").await;
        assert_eq!(page.text("#sum-h"), "5 new, 0 changed, 0 the same, 0 with errors");
        let left = page.text("section[aria-labelledby=left-h]");
        assert!(left.contains("mail.debug"), "{left}");
        assert!(!page.body.contains("canary"), "a secret is in the preview");
        assert_eq!(counts(&t).await, (0, 0, 0), "nothing is written before it is applied");

        let report = apply(&mut admin, &address, &page).await;
        assert_eq!(counts(&t).await, (1, 2, 2), "{}", report.words());
        assert!(report.words().contains("5 entries were imported."), "{}", report.words());
        let mailbox = t.app.store.mailbox(&Name::parse("hr").unwrap()).await.unwrap().unwrap();
        assert!(!mailbox.enabled, "new mailboxes arrive paused");
        assert_eq!(
            (mailbox.address.as_str(), mailbox.incoming.unwrap().server.host()),
            ("hr@contoso.com", "outlook.office365.com")
        );
        let token = t.app.store.token(&Name::parse("hr").unwrap()).await.unwrap().unwrap();
        assert_eq!(
            token.scopes,
            [
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/SMTP.Send",
                "offline_access"
            ]
        );
        let audit = format!("{:?}", t.app.store.audit_rows(50).await.unwrap());
        for action in ["provider.create", "token.create", "mailbox.create", "config.apply"] {
            assert!(audit.contains(action), "{action}");
        }
        assert!(!audit.contains("canary") && !report.body.contains("canary"));

        let page = admin.submit(format!("{address}/undo"), &[]).await;
        assert!(page.words().contains("The import was undone."), "{}", page.words());
        assert_eq!(counts(&t).await, (0, 0, 0));
        let again = admin.submit(format!("{address}/undo"), &[]).await;
        assert!(again.words().contains("undone already"), "{}", again.words());
    }
}

#[tokio::test]
async fn what_has_errors_is_named_by_line_and_column_and_the_rest_is_imported() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (address, page) = preview(&mut admin, TABLE, "skip").await;
    assert_eq!(page.text("#sum-h"), "2 new, 0 changed, 0 the same, 1 with errors");
    let faults = page.text("section[aria-labelledby=faults-h] tbody tr");
    assert!(faults.starts_with("3incoming.auth"), "{faults}");
    assert!(page.text("section[aria-labelledby=left-h]").contains("shoe size"));
    apply(&mut admin, &address, &page).await;
    assert_eq!(counts(&t).await, (0, 0, 2));
    let info = t.app.store.mailbox(&Name::parse("info").unwrap()).await.unwrap().unwrap();
    assert_eq!(info.tags, ["finland", "sales"]);

    let (address, page) = preview(&mut admin, &toml(), "skip").await;
    assert_eq!(page.text("#sum-h"), "3 new, 0 changed, 0 the same, 1 with errors");
    let faults = page.text("section[aria-labelledby=faults-h] tbody tr");
    assert!(faults.starts_with("24address"), "{faults}");
    apply(&mut admin, &address, &page).await;
    assert_eq!(counts(&t).await, (1, 1, 3));
    assert!(
        !t.app
            .store
            .mailbox(&Name::parse("support").unwrap())
            .await
            .unwrap()
            .unwrap()
            .enabled
    );
}

#[tokio::test]
async fn nothing_on_the_server_can_be_read_by_an_import() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let text = toml()
        .replace("client_secret = \"", "client_secret_file = \"/etc/hostname\" # ")
        .replace("refresh_token = \"", "refresh_token_env = \"PATH\" # ");
    let answer = admin.submit("/transfer/import", &[("text", &text)]).await;
    assert!(answer.text("#sum-h").starts_with("0 new"), "{}", answer.words());
    for key in ["client_secret_file", "refresh_token_env"] {
        assert!(
            answer.words().contains(&format!("{key} names something on the server")),
            "{}",
            answer.words()
        );
    }
}

#[tokio::test]
async fn what_is_here_already_is_skipped_changed_or_added_as_the_person_says() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (address, page) = preview(&mut admin, &toml(), "skip").await;
        apply(&mut admin, &address, &page).await;
        let other = toml().replace("enabled = true", "display_name = \"Helpdesk\"").replace(
            "token = \"support\"\n\n",
            "token = \"support\"\n[mailbox.outgoing]\nhost = \"smtp.office365.com\"\ntoken = \"support\"\n\n",
        );

        let (address, page) = preview(&mut admin, &other, "skip").await;
        assert_eq!(page.text("#sum-h"), "0 new, 1 changed, 2 the same, 1 with errors");
        assert!(page.words().contains("Display name: none → Helpdesk"), "{}", page.words());
        assert!(
            page.words().contains("There is nothing to import."),
            "skipping is what happens unless it is said otherwise"
        );

        let page = admin.get(format!("{address}?existing=add")).await;
        assert!(page.words().contains("support-2 (beside support)"), "{}", page.words());
        let page = admin.get(format!("{address}?existing=change")).await;
        apply(&mut admin, &address, &page).await;
        let support = || async { t.app.store.mailbox(&Name::parse("support").unwrap()).await.unwrap().unwrap() };
        assert_eq!(
            (support().await.display_name.as_str(), support().await.outgoing.is_some()),
            ("Helpdesk", true)
        );

        admin.submit(format!("{address}/undo"), &[]).await;
        let back = support().await;
        assert_eq!(
            (back.display_name.as_str(), back.outgoing.is_some()),
            ("", false),
            "undone, it is as it was"
        );

        let (address, page) = preview(&mut admin, &other, "skip").await;
        drop(page);
        let page = admin.get(format!("{address}?existing=add")).await;
        apply(&mut admin, &address, &page).await;
        assert_eq!(counts(&t).await, (1, 1, 2));
        assert_eq!(support().await.display_name, "");
    }
}

#[tokio::test]
async fn a_preview_is_applied_once_as_it_was_shown_by_whoever_made_it() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (first, page) = preview(&mut admin, &settings(), "skip").await;
    let (second, stale) = preview(&mut admin, &settings(), "skip").await;
    assert!(apply(&mut admin, &first, &page).await.words().contains("5 entries were imported."));
    let twice = apply(&mut admin, &first, &page).await;
    assert!(twice.words().contains("applied already"), "{}", twice.words());
    let moved = apply(&mut admin, &second, &stale).await;
    assert!(moved.words().contains("Something changed here since"), "{}", moved.words());
    assert_eq!(counts(&t).await, (1, 2, 2));

    let session = t.add_user(mailgrant::model::user::Role::Admin, "Other Admin").await;
    let mut other = t.browser_with(&session);
    assert_eq!(
        other.get(&second).await.status,
        StatusCode::NOT_FOUND,
        "somebody else's preview may hold secrets"
    );
    assert_eq!(other.post(format!("{first}/undo"), &[]).await.status, StatusCode::NOT_FOUND);

    t.clock.advance(24 * 3600 + 1);
    let session = t
        .session_for(&t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap().id)
        .await;
    let mut later = t.browser_with(&session);
    let over = later.get(&second).await;
    assert_eq!(over.status, StatusCode::NOT_FOUND);
    assert!(over.words().contains("A preview is kept for a while"), "{}", over.words());
    assert_eq!(later.post(format!("{first}/undo"), &[]).await.status, StatusCode::NOT_FOUND);
    t.app.store.clean_sessions(t.app.clock.now()).await.unwrap();
    assert_eq!(
        t.count("SELECT COUNT(*) FROM imports").await,
        0,
        "what nobody can use any more does not stay"
    );
}

#[tokio::test]
async fn thousands_of_mailboxes_are_imported_in_the_background() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let mut text = "address,incoming.host,incoming.auth\n".to_owned();
    for n in 0..1500 {
        text.push_str(&format!(
            "m{n}@a-long-name-of-a-company.example,imap.a-long-name-of-a-company.example,password\n"
        ));
    }
    assert!(text.len() > 64 * 1024, "more than other forms may have");
    let refused = admin.post("/me/profile", &[("name", &text)]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let refused = t.anonymous().post("/transfer/import", &[("text", &text)]).await;
    assert_eq!(
        refused.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "nobody sends much who isn't signed in"
    );
    let (address, page) = preview(&mut admin, &text, "skip").await;
    assert_eq!(page.text("#sum-h"), "1500 new, 0 changed, 0 the same, 0 with errors");
    let page = apply(&mut admin, &address, &page).await;
    assert!(page.words().contains("The import is under way."), "{}", page.words());
    t.app.tasks.close();
    t.app.tasks.wait().await;
    assert_eq!(counts(&t).await, (0, 0, 1500));
    assert!(admin.get(&address).await.words().contains("1500 new, 0 changed"));
}

#[tokio::test]
async fn nonsense_is_told_by_line_and_nothing_is_kept() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for (text, told) in [
        ("", "There's nothing in it"),
        ("[[mailbox]\nname = 1", "Line 1: not TOML"),
        ("[mailbox]\nname = \"x\"\n", "Line 1: write [[mailbox]] with two brackets"),
        ("name,tags\nx,y\n", "The column address is missing"),
        ("hello world\n", "This looks like a text without settings"),
        ("mail.debug=true\n", "There's no provider, token or mailbox in it"),
        ("address\n\"open\n", "A quote opens here and never closes"),
    ] {
        let page = admin.post("/transfer/import", &[("text", text)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{text:?}");
        let words = page.words();
        assert!(words.contains(told) || words.contains("2 lines can't be read"), "{text:?}: {words}");
    }
    assert_eq!(t.count("SELECT COUNT(*) FROM imports").await, 0);
}

#[tokio::test]
async fn an_export_has_secrets_only_for_who_proves_to_be_an_admin_and_cells_are_no_formulas() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let (address, page) = preview(
        &mut admin,
        &toml().replace("enabled = true", "display_name = \"=HYPERLINK(1)\""),
        "skip",
    )
    .await;
    apply(&mut admin, &address, &page).await;

    let plain = t.viewer().post("/transfer/export", &[("what", "everything")]).await;
    assert!(plain.body.contains("client_id") && !plain.body.contains("canary"), "{}", plain.body);
    assert!(plain.header("content-disposition").contains("mailgrant-everything-2026-11-21.toml"));
    let table = t.viewer().post("/transfer/export", &[("what", "mailboxes")]).await;
    assert!(
        table.body.contains(",'=HYPERLINK(1),") && !table.body.contains("canary"),
        "{}",
        table.body
    );

    let with = [("what", "everything"), ("secrets", "on"), ("password", PASSWORD)];
    assert_eq!(t.operator().post("/transfer/export", &with).await.status, StatusCode::FORBIDDEN);
    let wrong = admin
        .post(
            "/transfer/export",
            &[("what", "everything"), ("secrets", "on"), ("password", "not it at all")],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.words().contains("Your password is wrong") && !wrong.body.contains("canary"));
    let whole = admin.post("/transfer/export", &with).await;
    assert!(whole.body.contains(CANARY) && whole.body.contains("-refresh"), "{}", whole.body);
    let audit = format!("{:?}", t.app.store.audit_rows(50).await.unwrap());
    assert!(audit.contains("with secrets") && audit.contains("mailboxes as a table"), "{audit}");

    // What went out comes back in as the same.
    let (_, page) = preview(&mut admin, &whole.body, "skip").await;
    assert_eq!(
        page.text("#sum-h"),
        "0 new, 0 changed, 3 the same, 0 with errors",
        "{}",
        page.words()
    );
    let (_, page) = preview(&mut admin, &table.body, "skip").await;
    assert_eq!(
        page.text("#sum-h"),
        "0 new, 0 changed, 1 the same, 0 with errors",
        "{}",
        page.words()
    );
}
