//! What works is not warned of: set-ups of every template and grant come in by an import, are looked at before and after their first test, and
//! are saved in their forms. No page says a word against them.

use crate::diagnosis::healthy::written;
use crate::support::app::{Browser, Page, TestApp};
use crate::support::certificates::FILE;
use crate::support::records;
use mailgrant::model::Name;
use mailgrant::model::mailbox::SideState;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantType, Identity};
use std::collections::BTreeSet;

const ADDRESS: &str = "support@contoso.example";
/// Said with good reason: the first of what works, too, but may open more than it should; the others of the card and of Zoho themselves.
const MEANT: [&str; 3] = [
    "Can open every mailbox of the tenant.",
    "Zoho's IMAP and SMTP take app passwords only.",
    "Username and password",
];

/// The grants and templates that `diagnosis::healthy` has no set-up of.
fn others() -> Vec<(String, String)> {
    let key = FILE[FILE.find("-----BEGIN PRIVATE KEY-----").unwrap()..].to_owned();
    let key = serde_json::json!({
        "type": "service_account", "client_email": "robot@contoso.iam.gserviceaccount.com", "client_id": "1234567890",
        "private_key_id": "k1", "private_key": key, "token_uri": "https://oauth2.googleapis.com/token",
    });
    let secret = "client_secret = \"s3cret-of-the-app\"\n";
    let user = format!("user = \"{ADDRESS}\"\n");
    let servers = |name: &str, imap: &str, smtp: &str, port: u16, sign_in: &str| {
        let security = if port == 465 { "tls" } else { "starttls" };
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{ADDRESS}\"\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{imap}\"\nport = 993\nsecurity = \"tls\"\n{sign_in}\
             [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{smtp}\"\nport = {port}\nsecurity = \"{security}\"\n{sign_in}"
        )
    };
    let one = |name: &str, provider: &str, token: &str, mailbox: String| {
        let text =
            format!("[[provider]]\nname = \"{name}\"\n{provider}[[token]]\nname = \"{name}\"\nprovider = \"{name}\"\n{token}{mailbox}");
        (name.to_owned(), text)
    };
    let token = |name: &str| format!("token = \"{name}\"\n");
    vec![
        one(
            "ropc",
            &format!(
                "template = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\n\
                 {secret}client_secret_expires = \"2027-11-01\"\ngrant = \"password\"\n"
            ),
            &format!("grant = \"password\"\npassword = \"canary\"\n{user}"),
            servers("ropc", "outlook.office365.com", "smtp.office365.com", 587, &token("ropc")),
        ),
        one(
            "robot",
            &format!(
                "template = \"google\"\ngrant = \"jwt_bearer\"\nservice_account = {}\n",
                toml::Value::String(key.to_string())
            ),
            &format!("grant = \"jwt_bearer\"\n{user}"),
            servers("robot", "imap.gmail.com", "smtp.gmail.com", 465, &token("robot")),
        ),
        one(
            "yahoo",
            &format!("template = \"yahoo\"\nclient_id = \"dj0yJmk9abcdef\"\n{secret}"),
            &user,
            servers("yahoo", "imap.mail.yahoo.com", "smtp.mail.yahoo.com", 465, &token("yahoo")),
        ),
        one(
            "zoho",
            &format!("template = \"zoho\"\nclient_id = \"1000.ABCDEF\"\n{secret}"),
            &format!("{user}scopes = [\"ZohoMail.messages.ALL\"]\n"),
            servers(
                "zoho",
                "imap.zoho.com",
                "smtp.zoho.com",
                465,
                "auth = \"password\"\npassword = \"canary\"\n",
            ),
        ),
        one(
            "custom-password",
            &format!(
                "template = \"custom\"\nissuer = \"https://id.contoso.example\"\nauthorize_url = \"https://id.contoso.example/authorize\"\n\
                 token_url = \"https://id.contoso.example/token\"\nclient_id = \"console\"\n{secret}grant = \"password\"\n\
                 scopes = [\"offline_access\", \"mail\"]\n"
            ),
            &format!("grant = \"password\"\npassword = \"canary\"\n{user}"),
            servers(
                "custom-password",
                "mail.contoso.example",
                "mail.contoso.example",
                587,
                &token("custom-password"),
            ),
        ),
    ]
}

/// What a page says against somebody.
fn said(page: &Page) -> Vec<String> {
    assert!(page.status.is_success(), "{}", page.words());
    let lines = page.text(".note.warn, .note.bad, .flash.warn, .flash.bad, .panel.bad h2, .summary, .todo h3");
    let mut lines: Vec<String> = lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if page.words().contains("Before the first test:") {
        lines.push("a warning in the preview".to_owned());
    }
    lines.retain(|line| !MEANT.iter().any(|meant| line.contains(meant)));
    lines
}

/// Sends the form of a page as it is, with another value in one field.
async fn save(admin: &mut Browser, path: &str, field: &str, value: &str) -> Page {
    let mut fields = admin.get(path).await.form(path);
    if let Some(field) = fields.iter_mut().find(|(name, _)| name == field) {
        value.clone_into(&mut field.1);
    }
    fields.push(("act".to_owned(), "save".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = admin.post_raw(path, &fields).await;
    assert!(page.status.is_redirection(), "{path}: {}", page.words());
    admin.follow(page).await
}

/// Somebody signs in, or the app gets its token.
async fn sign_in(t: &TestApp, name: &Name) -> (TemplateKind, GrantType) {
    let token = t.app.store.token(name).await.unwrap().unwrap();
    let provider = t.app.store.provider(name).await.unwrap().unwrap();
    let grant = Grant {
        token_id: token.id.clone(),
        granted_scopes: token.scopes.clone(),
        identity: Identity {
            username: token.user.clone(),
            ..Identity::default()
        },
        destination: provider.destination(),
        refreshed_at: Some(t.app.clock.now()),
        ..records::grant()
    };
    let mut tx = t.app.store.begin().await.unwrap();
    tx.replace_grant(&grant).await.unwrap();
    tx.commit().await.unwrap();
    (provider.template, token.grant)
}

async fn passes(t: &TestApp, name: &str) {
    let now = t.app.clock.now();
    for direction in Direction::ALL {
        let mailbox = t.mailbox(name).await;
        let state = SideState {
            outcome: Some(Outcome::Passed),
            tested_at: Some(now),
            ..SideState::default()
        };
        let mut tx = t.app.store.begin().await.unwrap();
        tx.record_side(&mailbox.id, mailbox.changed_at, *direction, state, now)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn no_page_warns_of_what_works() {
    let t = TestApp::start_with(&[("MAILGRANT_BASE_URL", "https://mail.contoso.example")]).await;
    let mut admin = t.admin();
    let inline = format!("certificate = {}", toml::Value::String(FILE.to_owned()));
    let all = written().map(|it| (it.name, it.text)).chain(others());
    let (mut count, mut alarms, mut kinds) = (0, Vec::new(), BTreeSet::new());
    for (name, text) in all {
        let mut add = |place: &str, page: &Page| alarms.extend(said(page).into_iter().map(|said| format!("{name}: {place}: {said}")));
        let text = text.replace("certificate_file = \"client.pem\"", &inline);
        let address = admin.post("/transfer/import", &[("text", &text)]).await.location().unwrap();
        let preview = admin.get(&address).await;
        assert_eq!(
            preview.text("#sum-h"),
            "3 new, 0 changed, 0 the same, 0 with errors",
            "{name}: {}",
            preview.words()
        );
        add("preview", &preview);
        let fields = preview.form(&format!("{address}/apply"));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = admin.post_raw(format!("{address}/apply"), &fields).await;
        add("import", &admin.follow(page).await);

        let handle = Name::parse(&name).unwrap();
        let mailbox = format!("/mailboxes/{name}");
        add("before anybody signed in", &admin.get(&mailbox).await);
        let (template, grant) = sign_in(&t, &handle).await;
        kinds.insert((template.as_str(), grant.as_str()));
        let pages = [
            mailbox.clone(),
            format!("{mailbox}/edit"),
            format!("/tokens/{name}"),
            format!("/tokens/{name}/edit"),
            format!("/providers/{name}"),
            format!("/providers/{name}/edit"),
        ];
        for path in &pages {
            add(path, &admin.get(path).await);
        }
        add("mailbox saved", &save(&mut admin, &pages[1], "display_name", "Support").await);
        add("token saved", &save(&mut admin, &pages[3], "", "").await);
        add("provider saved", &save(&mut admin, &pages[5], "", "").await);
        passes(&t, &name).await;
        add("tested", &admin.get(&mailbox).await);
        count += 1;
    }
    for path in ["/", "/mailboxes", "/mailboxes?state=failing", "/tokens", "/providers"] {
        alarms.extend(said(&admin.get(path).await).into_iter().map(|said| format!("{path}: {said}")));
    }
    println!("{count} set-ups that work, {} alarms on their pages; {kinds:?}", alarms.len());
    assert!(alarms.is_empty() && count >= 50, "{count}: {alarms:#?}");
    let every: BTreeSet<(&str, &str)> = TemplateKind::ALL
        .iter()
        .flat_map(|kind| {
            let grants = kind.grants().to_vec();
            grants.into_iter().map(|grant| (kind.as_str(), grant.as_str()))
        })
        .collect();
    let left: Vec<_> = every.difference(&kinds).collect();
    assert!(left.is_empty(), "no set-up of {left:?}");
}
