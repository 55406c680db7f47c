//! Files to import, and what comes back of a text that can't be read.

use crate::support::app::{Browser, Page, TestApp};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use mailgrant::model::Name;

const CANARY: &str = "canary~Q8-secret-of-the-other-system";
const FORM: &str = "/transfer/import";
const TABLE: &str = "address;display_name;incoming.host;incoming.auth\r\nsupport@contoso.com;Järvi €;imap.contoso.com;password\r\n";

/// Sends the form as a browser does: `file` is the name and content of the chosen one.
async fn upload(browser: &mut Browser, file: Option<(&str, &[u8])>, text: &str, more: &[(&str, &str)]) -> Page {
    browser.get("/me").await;
    let token = browser.csrf.clone().unwrap();
    let mut body = Vec::new();
    for (name, value) in [("csrf_token", token.as_str()), ("text", text)].iter().chain(more) {
        body.extend_from_slice(format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
    }
    let (name, content) = file.unwrap_or(("", b""));
    body.extend_from_slice(format!("--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--X--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=X")];
    browser.send(Method::POST, FORM, &headers, Body::from(body)).await
}

#[tokio::test]
async fn a_file_is_read_as_spreadsheets_and_old_programs_write_it() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let utf16: Vec<u8> = format!("\u{feff}{}", TABLE.replace(';', "\t"))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let old: Vec<u8> = TABLE.chars().map(|c| if c == '€' { 0x80 } else { u32::from(c) as u8 }).collect();
    let mac = TABLE.replace("\r\n", "\r");
    let excel = format!("\u{feff}sep=;\r\n{TABLE}");
    for (name, file, is_guess) in [
        ("plain.csv", TABLE.as_bytes(), false),
        ("excel.csv", excel.as_bytes(), false),
        ("unicode.txt", &utf16, false),
        ("old.csv", &old, true),
        ("mac.csv", mac.as_bytes(), false),
    ] {
        let answer = upload(&mut admin, Some((name, file)), "", &[]).await;
        let page = admin.follow(answer).await;
        assert_eq!(
            page.text("#sum-h"),
            "1 new, 0 changed, 0 the same, 0 with errors",
            "{name}: {}",
            page.words()
        );
        assert_eq!(
            page.words().contains("was read as Windows-1252"),
            is_guess,
            "{name}: {}",
            page.words()
        );
        let address = page.attribute("form[action$=\"/apply\"]", "action").unwrap();
        let fields = page.form(&address);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let done = admin.post_raw(&address, &fields).await;
        admin.follow(done).await;
        let made = t.app.store.mailbox(&Name::parse("support").unwrap()).await.unwrap().unwrap();
        assert_eq!(made.display_name, "Järvi €", "{name}");
        admin.submit(address.replace("/apply", "/undo"), &[]).await;
    }
    assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 0);
}

#[tokio::test]
async fn a_file_that_cant_be_read_says_why_at_its_field() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let long = vec![b'a'; (1 << 20) + 1];
    let broken = format!("[[provider]]\nclient_secret = \"{CANARY}\n");
    for (file, told) in [
        (&b""[..], "The file is empty"),
        (b"PK\x03\x04\x14\0", "save the table as CSV UTF-8"),
        (b"\x7fELF\x01\0", "This looks like a program"),
        (b"\xff\xfea\0b", "ends in the middle"),
        (&long, "longer than 1 MiB"),
        (broken.as_bytes(), "Line 2: not TOML"),
    ] {
        let page = upload(&mut admin, Some(("brought.csv", file)), "", &[]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
        assert!(page.text("#file-e").contains(told), "{told}: {}", page.words());
        assert!(!page.body.contains("canary"), "what is in a file stays with whoever has it");
    }
    let both = upload(&mut admin, Some(("a.csv", TABLE.as_bytes())), "mail.store.host=h", &[]).await;
    assert!(both.text("#file-e").contains("not both"), "{}", both.words());
    assert_eq!(both.text("textarea"), "mail.store.host=h", "what was typed is still there");
    let none = upload(&mut admin, None, "", &[]).await;
    assert!(none.text("#text-e").contains("There's nothing in it"), "{}", none.words());
    let huge = vec![b'a'; 3 << 20];
    let refused = upload(&mut admin, Some(("a.csv", &huge)), "", &[]).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.words().contains("an import 1 MB"), "{}", refused.words());
    let plain = t.operator().post(FORM, &[("text", TABLE)]).await;
    assert_eq!(plain.status, StatusCode::FORBIDDEN);
    assert_eq!(t.count("SELECT COUNT(*) FROM imports").await, 0);
}

/// What the form would send.
fn typed(page: &Page) -> (String, String) {
    let fields = page.form(FORM);
    let find = |name: &str| {
        fields
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    (find("text"), find("kept"))
}

#[tokio::test]
async fn a_text_that_cant_be_read_comes_back_without_its_secrets_and_they_come_along_when_it_is_mended() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let text = format!(
        "[[provider]]\r\nname = \"contoso\"\r\ntemplate = microsoft\r\ntenant = \"contoso.onmicrosoft.com\"\r\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\r\nclient_secret = \"{CANARY}\"\r\n"
    );
    let page = upload(&mut admin, None, &text, &[]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.body.contains("canary"), "the secret came back into the page");
    assert!(page.text("#text-e").contains("Line 3: not TOML"), "{}", page.words());
    assert!(page.words().contains("isn't shown again"), "{}", page.words());
    let (shown, kept) = typed(&page);
    assert!(
        shown.contains("tenant = \"contoso.onmicrosoft.com\"") && shown.contains("client_secret = ‹kept 2›"),
        "{shown}"
    );

    // Nobody else has what was kept.
    let mended = shown.replace("‹kept 1›", "\"microsoft\"");
    let session = t.add_user(mailgrant::model::user::Role::Admin, "Other Admin").await;
    let mut other = t.browser_with(&session);
    let page = upload(&mut other, None, &mended, &[("kept", &kept)]).await;
    assert!(page.text("#text-e").contains("Line 6: What ‹kept 2› stood for"), "{}", page.words());
    assert!(!page.body.contains("canary"));

    let answer = upload(&mut admin, None, &mended, &[("kept", &kept)]).await;
    let page = admin.follow(answer).await;
    assert_eq!(
        page.text("#sum-h"),
        "1 new, 0 changed, 0 the same, 0 with errors",
        "{}",
        page.words()
    );
    let address = page.attribute("form[action$=\"/apply\"]", "action").unwrap();
    let fields = page.form(&address);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    admin.post_raw(&address, &fields).await;
    let with = [
        ("what", "everything"),
        ("secrets", "on"),
        ("password", crate::support::app::PASSWORD),
    ];
    assert!(
        admin.post("/transfer/export", &with).await.body.contains(CANARY),
        "the secret arrived"
    );

    let gone = upload(&mut admin, None, &mended, &[("kept", &kept)]).await;
    assert!(gone.text("#text-e").contains("not kept any more"), "{}", gone.words());
    assert!(
        typed(&gone).0.contains("client_secret = \r\n") || typed(&gone).0.contains("client_secret = \n"),
        "{}",
        typed(&gone).0
    );
}

#[tokio::test]
async fn a_text_that_came_without_a_session_comes_back_without_its_secrets_too() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    admin.get(FORM).await;
    t.clock.advance(31 * 60);
    let text = format!("mail.store.host=imap.contoso.com\r\nmail.store.password={CANARY}\r\n");
    let answer = admin.post(FORM, &[("text", &text)]).await;
    let login = admin.follow(answer).await;
    let fields = [
        ("email", "maija.korhonen@contoso.test"),
        ("password", crate::support::app::PASSWORD),
    ];
    let next = login
        .form("/login")
        .into_iter()
        .find(|(name, _)| name == "next")
        .map(|(_, next)| next)
        .unwrap_or_default();
    let back = admin.submit("/login", &[&fields[..], &[("next", &next)]].concat()).await;
    assert!(!back.body.contains("canary"), "the secret came back into the page");
    assert!(typed(&back).0.contains("mail.store.password=‹kept 1›"), "{}", back.words());
}

#[tokio::test]
async fn certificates_and_keys_of_service_accounts_come_along_in_the_file_and_never_from_the_server() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let pem = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certificates/pkcs8.pem")).unwrap();
    let provider = |more: &str| {
        format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
             client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_auth = \"certificate\"\n{more}\n"
        )
    };
    let page = upload(&mut admin, None, &provider("certificate_file = \"/etc/hostname\""), &[]).await;
    let page = admin.follow(page).await;
    assert!(
        page.text("#sum-h").starts_with("0 new, 0 changed, 0 the same, 1 with errors"),
        "{}",
        page.words()
    );
    let fault = page.text("section[aria-labelledby=faults-h] tbody tr");
    assert!(
        fault.starts_with("7certificate_file") && fault.contains("certificate = \"\"\"…\"\"\""),
        "{fault}"
    );

    let page = upload(&mut admin, None, &provider(&format!("certificate = '''\n{pem}'''")), &[]).await;
    let page = admin.follow(page).await;
    assert_eq!(
        page.text("#sum-h"),
        "1 new, 0 changed, 0 the same, 0 with errors",
        "{}",
        page.words()
    );
    let key = pem.lines().nth(1).unwrap();
    assert!(!page.body.contains(key) && !page.body.contains("PRIVATE"));
    let address = page.attribute("form[action$=\"/apply\"]", "action").unwrap();
    let fields = page.form(&address);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    admin.post_raw(&address, &fields).await;
    let made = t.app.store.provider(&Name::parse("contoso").unwrap()).await.unwrap().unwrap();
    assert!(made.credentials.certificate.is_some());
}
