//! What a preview shows, what the choice on it does, what is told of files that can't be taken, and the form of an export.

use super::transfer::consoles;
use crate::support::app::{Browser, PASSWORD, Page, TestApp};
use axum::http::StatusCode;
use mailgrant::model::Name;

const CANARY: &str = "canary~Q8-secret-of-the-other-system";

async fn preview(browser: &mut Browser, text: &str) -> (String, Page) {
    let answer = browser.post("/transfer/import", &[("text", text)]).await;
    let address = answer.location().unwrap_or_else(|| panic!("{}", answer.words()));
    let page = browser.get(&address).await;
    (address, page)
}

/// Presses a button of the preview's form with a radio chosen, as a browser does: the others stay as the page has them.
async fn press(browser: &mut Browser, address: &str, page: &Page, existing: &str, button: &[(&str, &str)]) -> Page {
    let mut fields = page.form(&format!("{address}/apply"));
    assert!(!fields.is_empty(), "{}", page.words());
    for (_, value) in fields.iter_mut().filter(|(name, _)| name == "existing") {
        existing.clone_into(value);
    }
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<(&str, &str)> = fields.chain(button.iter().copied()).collect();
    let answer = browser.post_raw(format!("{address}/apply"), &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.words());
    browser.follow(answer).await
}

async fn shown_name(t: &TestApp, name: &str) -> String {
    let mailbox = t.app.store.mailbox(&Name::parse(name).unwrap()).await.unwrap();
    mailbox.map(|mailbox| mailbox.display_name).unwrap_or_default()
}

fn table(rows: &[(&str, &str)]) -> String {
    let row = |(name, words): &(&str, &str)| format!("{name},{name}@contoso.com,{words},imap.contoso.com,password\n");
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("name,address,display_name,incoming.host,incoming.auth\n{}", rows.concat())
}

#[tokio::test]
async fn a_choice_made_after_the_preview_is_shown_before_it_is_imported() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (address, page) = preview(&mut admin, &table(&[("a", "First")])).await;
        // Nothing is here yet, so the choice does the same: nobody is asked twice.
        let done = press(&mut admin, &address, &page, "change", &[]).await;
        assert!(done.words().contains("1 entry was imported."), "{}", done.words());

        let text = table(&[("a", "Second"), ("b", "New")]);
        let (address, page) = preview(&mut admin, &text).await;
        assert_eq!(page.text("#sum-h"), "1 new, 1 changed, 0 the same, 0 with errors");
        let again = press(&mut admin, &address, &page, "change", &[]).await;
        assert_eq!(again.text("h1"), "Preview of the import");
        assert!(
            again
                .words()
                .contains("You chose “Change it” after this preview was made, so here is what that does. Nothing is imported yet."),
            "{}",
            again.words()
        );
        assert_eq!(
            (shown_name(&t, "a").await.as_str(), shown_name(&t, "b").await.as_str()),
            ("First", "")
        );
        assert!(again.words().contains("Import 2 entries"), "{}", again.words());
        let fields = again.form(&format!("{address}/apply"));
        assert!(
            fields.contains(&("existing".to_owned(), "change".to_owned())),
            "the choice is kept: {fields:?}"
        );

        let done = press(&mut admin, &address, &again, "change", &[]).await;
        assert!(done.words().contains("2 entries were imported."), "{}", done.words());
        assert_eq!(
            (shown_name(&t, "a").await.as_str(), shown_name(&t, "b").await.as_str()),
            ("Second", "New")
        );

        // Back to less, and by the button that only shows.
        let (address, page) = preview(&mut admin, &table(&[("a", "Third"), ("c", "New")])).await;
        let shown = press(&mut admin, &address, &page, "add", &[("act", "show")]).await;
        assert!(
            shown.words().contains("a-2 (beside a)") && !shown.words().contains("You chose"),
            "{}",
            shown.words()
        );
        let less = press(&mut admin, &address, &shown, "skip", &[]).await;
        assert!(less.words().contains("You chose “Skip”"), "{}", less.words());
        press(&mut admin, &address, &less, "skip", &[]).await;
        assert_eq!(
            (shown_name(&t, "a").await.as_str(), shown_name(&t, "c").await.as_str()),
            ("Second", "New")
        );
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 3);
    }
}

#[tokio::test]
async fn a_preview_shows_what_new_entries_would_be_without_their_secrets_and_folds_many() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let text = format!(
        "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_secret = \"{CANARY}\"\nclient_secret_expires = 2027-05-01\n\n\
         [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"support@contoso.com\"\n\
         scopes = [\"https://outlook.office.com/IMAP.AccessAsUser.All\", \"offline_access\"]\nrefresh_token = \"{CANARY}-refresh\"\n\n\
         [[mailbox]]\nname = \"support\"\naddress = \"support@contoso.com\"\n[mailbox.incoming]\nhost = \"outlook.office365.com\"\n\
         port = 993\nsecurity = \"tls\"\ntoken = \"support\"\n[mailbox.outgoing]\nhost = \"smtp.contoso.com\"\nport = 587\n\
         security = \"starttls\"\nauth = \"password\"\npassword = \"{CANARY}-password\"\n"
    );
    let (address, page) = preview(&mut admin, &text).await;
    let values = page.text("section[aria-labelledby=rows-h] tbody");
    for told in [
        "Tenant: contoso.onmicrosoft.com",
        "Client ID: 11112222-bbbb-3333-cccc-4444dddd5555",
        "Client secret: came along",
        "Ends on: 2027-05-01",
        "Token address: https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
        "Provider: contoso",
        "Grant: authorization_code",
        "Account: support@contoso.com",
        "Permissions: https://outlook.office.com/IMAP.AccessAsUser.All offline_access",
        "Refresh token: came along",
        "Email address: support@contoso.com",
        "Read mail with: IMAP",
        "Incoming server: outlook.office365.com:993/tls",
        "Incoming sign-in: token support of provider contoso",
        "Outgoing server: smtp.contoso.com:587/starttls",
        "Outgoing sign-in: password, which came along",
    ] {
        assert!(values.contains(told), "{told}: {values}");
    }
    assert!(!page.body.contains("canary"), "a secret is in the preview");
    assert!(page.attribute("tbody details", "open").is_some(), "three are shown as they are");
    press(&mut admin, &address, &page, "skip", &[]).await;

    let many: Vec<String> = (0..6).map(|n| format!("m{n}")).collect();
    let rows: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    let (_, page) = preview(&mut admin, &table(&rows)).await;
    assert!(page.attribute("tbody details", "open").is_none(), "six are folded");
    assert!(
        page.text("tbody").contains("Incoming server: imap.contoso.com:993/tls"),
        "{}",
        page.text("tbody")
    );
}

#[tokio::test]
async fn what_is_no_settings_is_told_as_what_it_is_with_what_would_be_taken() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for (text, told) in [
        ("%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\n", "a PDF document"),
        (
            "<!DOCTYPE html>\n<html><body class=\"x\">Hello</body></html>\n",
            "a web page (HTML)",
        ),
        ("<?xml version=\"1.0\"?>\n<settings host=\"h\"/>\n", "XML"),
        ("{\n  \"host\": \"imap.contoso.com\"\n}\n", "JSON"),
        ("[\n  {\"host\": \"imap.contoso.com\"}\n]\n", "JSON"),
        (
            "; mail\n[server]\nhost=imap.contoso.com\nport=993\n",
            "settings in blocks (INI), and none of them is of mail",
        ),
        ("host: imap.contoso.com\nmailboxes:\n  - support\n", "YAML"),
        (
            "First name;Phone\nMaija;1\nOssi;2\n",
            "a table, and none of its columns is one of a mailbox",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "a certificate or a key (PEM)",
        ),
        ("Return-Path: <a@b.example>\nSubject: Settings\n\nHello\n", "a mail message"),
        ("Dear all,\nplease find it below\n", "a text without settings"),
        ("colour=red\nsize=4\n", "settings, and none of them is of mail"),
    ] {
        let page = admin.post("/transfer/import", &[("text", text)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        let words = page.text("#text-e");
        assert!(
            words.contains(&format!(
                "This looks like {told}. Bring a Mailgrant configuration (TOML), a table of mailboxes (CSV), or settings"
            )),
            "{told}: {words}"
        );
    }
    // What is of mail is read, whatever stands around it.
    for text in [
        "#!exported\n[support]\nmail.store.user=a@b.example\nmail.store.host=h.example\nmail.store.password=x\n",
        "---\nmail.store.user=a@b.example\nmail.store.host=h.example\nmail.store.password=x\n",
    ] {
        let (_, page) = preview(&mut admin, text).await;
        assert!(page.text("#sum-h").starts_with("1 new"), "{}", page.words());
    }
}

/// Line, column or key, and message of each error.
fn told(page: &Page) -> String {
    page.text("section[aria-labelledby=faults-h] tbody")
}

#[tokio::test]
async fn all_that_is_wrong_with_a_row_is_told_at_once_each_with_its_place() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let rows = "name,E-mail address,enabled,tags,incoming.host,incoming.port,incoming.auth,incoming.token\n\
                Bad Name!,nobody,maybe,a b,h.example,many,oauth2,nobodys\n\
                good,good@contoso.com,,,h.example,993,password,\n";
    let (_, page) = preview(&mut admin, rows).await;
    assert_eq!(page.text("#sum-h"), "1 new, 0 changed, 0 the same, 1 with errors");
    let faults = told(&page);
    for place in ["2name", "2E-mail address", "2enabled", "2tags", "2incoming.port", "2incoming.token"] {
        assert_eq!(faults.matches(place).count(), 1, "{place}: {faults}");
    }

    let text = "[[mailbox]]\nname = 5\naddress = \"nobody\"\ncolour = \"red\"\n[mailbox.incoming]\nhost = \"bad host\"\nport = true\n\
                token = \"nobodys\"\nsecurity = \"none at all\"\n\n\
                [[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\nclient_id = \"x\"\ngrant = \"magic\"\npkce = \"yes\"\n";
    let (_, page) = preview(&mut admin, text).await;
    let faults = told(&page);
    for place in [
        "2name",
        "3address",
        "4colour",
        "6incoming.host",
        "7incoming.port",
        "8incoming.token",
        "9incoming.security",
        "14client_id",
        "15grant",
        "16pkce",
    ] {
        assert_eq!(faults.matches(place).count(), 1, "{place}: {faults}");
    }
    assert!(!faults.contains("name is missing"), "what can't be read is not missing: {faults}");

    let settings =
        "mail.store.oauth.enabled=true\nmail.store.host=h.example\nmail.oauth.token.endpoint=nowhere\n[support]\nmail.store.folder=INBOX\n";
    let (_, page) = preview(&mut admin, settings).await;
    let faults = told(&page);
    for (place, message) in [
        ("mail.oauth.client.id", "is missing"),
        ("3mail.oauth.token.endpoint", "must be an address"),
        ("5support", "This mailbox has no address"),
    ] {
        assert!(faults.contains(place) && faults.contains(message), "{place}: {faults}");
    }
}

#[tokio::test]
async fn a_broken_row_opens_nothing_on_the_server_to_see_what_else_is_wrong() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let text = "[[provider]]\nname = \"contoso\"\ntemplate = \"custom\"\nclient_id = \"x\"\nclient_secret_file = \"/etc/hostname\"\n\
                certificate_env = \"PATH\"\nissuer = \"https://login.example.net\"\npkce = 5\n\n\
                [[token]]\nname = \"t\"\nprovider = \"contoso\"\nuser = \"nobody\"\nrefresh_token_file = \"/nonexistent/token\"\n";
    let (_, page) = preview(&mut admin, text).await;
    let faults = told(&page);
    for place in ["5client_secret_file", "6certificate_env", "8pkce", "14refresh_token_file"] {
        assert_eq!(faults.matches(place).count(), 1, "{place}: {faults}");
    }
    assert!(
        !faults.contains("can't be read") && !faults.contains("can't be reached"),
        "{faults}"
    );
}

#[tokio::test]
async fn a_provider_that_waits_for_its_secret_comes_back_from_an_export_and_waits_there_too() {
    for t in consoles().await {
        let mut admin = t.admin();
        let text = "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
                    client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\n\n[[token]]\nname = \"support\"\nprovider = \"contoso\"\n\
                    user = \"support@contoso.com\"\n";
        let (address, page) = preview(&mut admin, text).await;
        press(&mut admin, &address, &page, "skip", &[]).await;
        let file = admin.post("/transfer/export", &[("what", "everything")]).await.body;
        assert!(!file.contains("client_secret"), "{file}");

        let (_, same) = preview(&mut admin, &file).await;
        assert_eq!(
            same.text("#sum-h"),
            "0 new, 0 changed, 2 the same, 0 with errors",
            "{}",
            same.words()
        );

        let elsewhere = TestApp::start().await;
        let mut other = elsewhere.admin();
        let (address, page) = preview(&mut other, &file).await;
        assert_eq!(
            page.text("#sum-h"),
            "2 new, 0 changed, 0 the same, 0 with errors",
            "{}",
            page.words()
        );
        let rows = page.text("section[aria-labelledby=rows-h] tbody");
        assert!(
            rows.contains("No client secret came along, so it waits for that") && rows.contains("Client secret: still to be entered"),
            "{rows}"
        );
        press(&mut other, &address, &page, "skip", &[]).await;
        let made = elsewhere
            .app
            .store
            .provider(&Name::parse("contoso").unwrap())
            .await
            .unwrap()
            .unwrap();
        assert!(made.client_secret.is_none());
        assert_eq!(other.get("/providers/contoso").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_export_uses_its_filter_or_says_that_it_has_none_and_asks_for_a_password_that_is_missing() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    for what in ["everything", "settings"] {
        let page = admin.post("/transfer/export", &[("what", what), ("filter", "tag:helpdesk")]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            page.text("#filter-e").contains("Choose Mailboxes above, or leave this empty"),
            "{}",
            page.words()
        );
        assert_eq!(page.attribute("#filter", "value").as_deref(), Some("tag:helpdesk"));
        assert!(page.attribute(&format!("#what-{what}"), "checked").is_some());
    }
    let page = admin.post("/transfer/export", &[("what", "everything"), ("secrets", "on")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text("#password-e").contains("Enter your password"), "{}", page.words());
    assert!(page.attribute("#secrets", "checked").is_some());
    let audit = format!("{:?}", t.app.store.audit_rows(50).await.unwrap());
    assert!(!audit.contains("config.export"), "an empty field is no refused password: {audit}");
    let with = [("what", "everything"), ("secrets", "on"), ("password", PASSWORD)];
    assert_eq!(admin.post("/transfer/export", &with).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_list_forgets_an_import_that_was_undone_and_says_so_where_it_is_asked_for() {
    for t in consoles().await {
        let mut admin = t.admin();
        admin.get("/mailboxes").await;
        let (address, page) = preview(&mut admin, &table(&[("a", ""), ("b", "")])).await;
        let report = press(&mut admin, &address, &page, "skip", &[]).await;
        let list = report.attribute("section[aria-labelledby=mail-h] footer a", "href").unwrap();
        let id = address.rsplit('/').next().unwrap().to_owned();
        assert!(
            admin.get("/mailboxes").await.text("select#imported").contains("(2)"),
            "it is offered at once"
        );

        let (other, page) = preview(&mut admin, &table(&[("c", "")])).await;
        press(&mut admin, &other, &page, "skip", &[]).await;
        admin.submit(format!("{address}/undo"), &[]).await;
        let page = admin.get("/mailboxes").await;
        assert!(!page.text("select#imported").contains("(2)"), "{}", page.text("select#imported"));
        let gone = admin.get(&list).await;
        assert_eq!(gone.text(".empty h2"), "This import was undone, so it has no mailboxes to show");
        assert_eq!(gone.attribute(".empty a", "href").as_deref(), Some("/mailboxes"));
        assert!(!gone.text("main").contains(&id), "nobody reads an id: {}", gone.text("main"));
    }
}
