//! Imports that change what is here, are interrupted, and are undone.

use super::transfer::{apply, consoles, preview};
use crate::support::app::{Browser, PASSWORD, TestApp};
use mailgrant::actions::transfer::{self, Existing, TransferError};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use std::sync::atomic::{AtomicUsize, Ordering};

const CANARY: &str = "canary~Q8-secret-of-the-other-system";

/// What an export with secrets says.
async fn exported(browser: &mut Browser) -> String {
    let with = [("what", "everything"), ("secrets", "on"), ("password", PASSWORD)];
    browser.post("/transfer/export", &with).await.body
}

fn provider(name: &str, more: &str) -> String {
    format!(
        "[[provider]]\nname = \"{name}\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\n\
         client_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\n{more}\n\n"
    )
}

/// A key file of a service account, as Google makes them.
fn key_file(id: &str) -> String {
    let pem = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certificates/pkcs8.pem")).unwrap();
    let key = &pem[pem.find("-----BEGIN PRIVATE KEY-----").unwrap()..];
    let file = serde_json::json!({
        "type": "service_account", "client_email": "robot@sandbox.iam.gserviceaccount.com", "client_id": "1234567890",
        "private_key_id": id, "private_key": key, "token_uri": "https://oauth2.googleapis.com/token",
    });
    file.to_string()
}

fn google(id: &str) -> String {
    format!(
        "[[provider]]\nname = \"google\"\ntemplate = \"google\"\ngrant = \"jwt_bearer\"\nservice_account = '''{}'''\n\n",
        key_file(id)
    )
}

/// Secrets of every kind, with `mark` in each.
fn secrets(mark: &str) -> String {
    let with_secret = provider("contoso", &format!("client_secret = \"{CANARY}-{mark}\""));
    let google = google(&format!("key-{mark}"));
    format!(
        "{with_secret}{google}[[token]]\nname = \"ropc\"\nprovider = \"contoso\"\ngrant = \"password\"\nuser = \"old@contoso.com\"\n\
         password = \"{CANARY}-{mark}-token\"\n\n[[mailbox]]\nname = \"plain\"\naddress = \"plain@contoso.com\"\n[mailbox.incoming]\n\
         host = \"imap.contoso.com\"\nauth = \"password\"\npassword = \"{CANARY}-{mark}-mailbox\"\n\n"
    )
}

#[tokio::test]
async fn secrets_that_change_are_told_as_changed_and_come_back_when_that_is_undone() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (first, page) = preview(&mut admin, &secrets("one"), "skip").await;
        assert_eq!(
            page.text("#sum-h"),
            "4 new, 0 changed, 0 the same, 0 with errors",
            "{}",
            page.words()
        );
        apply(&mut admin, &first, &page).await;
        let before = exported(&mut admin).await;

        let (_, same) = preview(&mut admin, &secrets("one"), "change").await;
        assert_eq!(
            same.text("#sum-h"),
            "0 new, 0 changed, 4 the same, 0 with errors",
            "{}",
            same.words()
        );

        let (second, page) = preview(&mut admin, &secrets("two"), "change").await;
        let table = page.text("section[aria-labelledby=rows-h] tbody");
        assert_eq!(page.text("#sum-h"), "0 new, 4 changed, 0 the same, 0 with errors", "{table}");
        for told in [
            "secret changed",
            "service account key changed",
            "password changed",
            "password changed",
        ] {
            assert!(table.contains(told), "{told}: {table}");
        }
        assert!(
            !page.body.contains("canary") && !page.body.contains("PRIVATE KEY"),
            "a secret is in the preview"
        );
        let skipped = admin.get(format!("{second}?existing=skip")).await;
        assert!(skipped.words().contains("There is nothing to import."), "{}", skipped.words());

        let report = apply(&mut admin, &second, &page).await;
        assert!(report.words().contains("0 new, 4 changed"), "{}", report.words());
        let after = exported(&mut admin).await;
        assert!(!after.contains("-one") && after.matches("-two").count() == 4, "{after}");
        let undone = admin.submit(format!("{second}/undo"), &[]).await;
        assert!(undone.words().contains("The import was undone."), "{}", undone.words());
        assert_eq!(exported(&mut admin).await, before, "all of it is as it was");

        // The first one is built on by then: its entries have other versions, and so they stay and are named.
        let page = admin.submit(format!("{first}/undo"), &[]).await;
        assert!(
            page.words().contains("The import was undone but for 4 entries."),
            "{}",
            page.words()
        );
        assert_eq!(exported(&mut admin).await, before);
    }
}

#[tokio::test]
async fn what_had_no_secret_has_none_again_when_one_that_came_is_undone() {
    let t = TestApp::start().await;
    let mut admin = t.admin();
    let bare = format!(
        "{}[[token]]\nname = \"ropc\"\nprovider = \"contoso\"\nuser = \"old@contoso.com\"\n\n",
        provider("contoso", "client_auth = \"none\"")
    );
    let (address, page) = preview(&mut admin, &bare, "skip").await;
    apply(&mut admin, &address, &page).await;
    let before = exported(&mut admin).await;
    let pem = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certificates/pkcs8.pem")).unwrap();
    for (more, told) in [
        (format!("client_auth = \"secret_post\"\nclient_secret = \"{CANARY}\""), "secret set"),
        (
            format!("client_auth = \"certificate\"\ncertificate = '''\n{pem}'''"),
            "certificate: none",
        ),
    ] {
        let (address, page) = preview(&mut admin, &provider("contoso", &more), "change").await;
        assert!(page.words().contains(told), "{told}: {}", page.words());
        apply(&mut admin, &address, &page).await;
        assert_ne!(exported(&mut admin).await, before, "{told}");
        let undone = admin.submit(format!("{address}/undo"), &[]).await;
        assert!(undone.words().contains("The import was undone."), "{told}: {}", undone.words());
        assert_eq!(exported(&mut admin).await, before, "{told}");
    }
}

/// A token for two mailboxes, and one more mailbox.
fn three() -> String {
    let mailbox = |name: &str| {
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{name}@contoso.com\"\n[mailbox.incoming]\nhost = \"outlook.office365.com\"\n\
             token = \"support\"\n\n"
        )
    };
    let secret = provider("contoso", &format!("client_secret = \"{CANARY}\""));
    let token = "[[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"support@contoso.com\"\nshared = true\n\n";
    format!("{secret}{token}{}{}{}", mailbox("support"), mailbox("hr"), mailbox("sales"))
}

#[tokio::test]
async fn what_was_changed_by_hand_since_is_left_with_what_it_needs_and_named() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (address, page) = preview(&mut admin, &three(), "skip").await;
        apply(&mut admin, &address, &page).await;
        let mut tx = t.app.store.begin().await.unwrap();
        let mut mailbox = t.app.store.mailbox(&Name::parse("hr").unwrap()).await.unwrap().unwrap();
        mailbox.display_name = "Changed since".into();
        tx.update_mailbox(&mailbox).await.unwrap();
        tx.commit().await.unwrap();

        let page = admin.submit(format!("{address}/undo"), &[]).await;
        assert!(
            page.words().contains("The import was undone but for 3 entries."),
            "{}",
            page.words()
        );
        let left = page.text("section[aria-labelledby=kept-h] tbody");
        for told in [
            "mailboxhrIt was changed since",
            "tokensupportA mailbox uses it",
            "providercontosoA token is of it",
        ] {
            assert!(left.contains(told), "{told}: {left}");
        }
        let counts = [
            t.count("SELECT COUNT(*) FROM providers").await,
            t.count("SELECT COUNT(*) FROM tokens").await,
            t.count("SELECT COUNT(*) FROM mailboxes").await,
        ];
        assert_eq!(counts, [1, 1, 1]);
        assert_eq!(
            t.app.store.mailbox(&mailbox.name).await.unwrap().unwrap().display_name,
            "Changed since"
        );
        let again = admin.submit(format!("{address}/undo"), &[]).await;
        assert!(again.words().contains("undone already"), "{}", again.words());
    }
}

fn many(n: usize) -> String {
    let rows: Vec<String> = (0..n)
        .map(|n| format!("m{n}@company.example,imap.company.example,password\n"))
        .collect();
    format!("address,incoming.host,incoming.auth\n{}", rows.concat())
}

#[tokio::test]
async fn an_import_that_was_interrupted_says_where_goes_on_and_can_be_undone() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (address, page) = preview(&mut admin, &many(700), "skip").await;
        let form = page.form(&format!("{address}/apply"));
        let digest = form
            .iter()
            .find(|(name, _)| name == "digest")
            .map(|(_, digest)| digest.clone())
            .unwrap();
        let user = t.app.store.user_by_email("maija.korhonen@contoso.test").await.unwrap().unwrap();
        let id = address.rsplit('/').next().unwrap().to_owned();
        let row = t.app.store.import(&user.id, &id).await.unwrap().unwrap();
        // The console stops while it is at work.
        let (stopping, seen) = (t.app.stopping.clone(), AtomicUsize::new(0));
        let progress = |done: usize| {
            seen.store(done, Ordering::Relaxed);
            if done >= 400 {
                stopping.cancel();
            }
        };
        let stopped = transfer::apply(&t.app, &Actor::console(), &row, Existing::Skip, &digest, &progress).await;
        assert!(matches!(stopped, Err(TransferError::Stopping)), "{stopped:?}");
        assert_eq!(seen.load(Ordering::Relaxed), 400);
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 400);
        let t = t.restart().await;
        let mut admin = t.admin();
        let page = admin.get(&address).await;
        assert_eq!(page.text("h1"), "The import was interrupted");
        assert_eq!(page.text("#stop-h"), "400 of 700 entries were worked through");
        assert!(admin.get("/transfer").await.words().contains("Not finished"));
        let again = transfer::apply(&t.app, &Actor::console(), &row, Existing::Skip, &digest, &|_| {}).await;
        assert!(matches!(again, Err(TransferError::Applied | TransferError::Moved)), "{again:?}");
        let dropped = admin.submit(format!("{address}/drop"), &[]).await;
        drop(dropped);
        assert_eq!(
            admin.get(&address).await.text("h1"),
            "The import was interrupted",
            "what is written can't be thrown away unseen"
        );

        // Somebody adds one of those that are still to come.
        let other = "name,address,incoming.host,incoming.auth\nm500,somebody@else.example,imap.else.example,password\n";
        let (one, page) = preview(&mut admin, other, "skip").await;
        apply(&mut admin, &one, &page).await;

        admin.submit(format!("{address}/go-on"), &[]).await;
        t.app.tasks.close();
        t.app.tasks.wait().await;
        let page = admin.get(&address).await;
        assert_eq!(page.text("h1"), "What was imported");
        assert!(
            page.words().contains("699 new, 0 changed"),
            "{}",
            page.text("main").chars().take(300).collect::<String>()
        );
        let missed = page.text("section[aria-labelledby=miss-h] tbody");
        assert!(missed.contains("mailboxm500Somebody changed it meanwhile"), "{missed}");
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 700);

        let row = t.app.store.import(&user.id, &id).await.unwrap().unwrap();
        let stopping = t.app.stopping.clone();
        let progress = |done: usize| {
            if done >= 200 {
                stopping.cancel();
            }
        };
        let stopped = transfer::undo(&t.app, &Actor::console(), &row, &progress).await;
        assert!(matches!(stopped, Err(TransferError::Stopping)), "{stopped:?}");
        let t = t.restart().await;
        let mut admin = t.admin();
        let page = admin.get(&address).await;
        assert!(
            page.words().contains("was interrupted: 299 of its 699 entries are undone"),
            "{}",
            page.text(".note")
        );
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 401);

        admin.submit(format!("{address}/undo"), &[]).await;
        t.app.tasks.close();
        t.app.tasks.wait().await;
        let page = admin.get(&address).await;
        assert!(page.words().contains("Nothing of it is here any more."), "{}", page.words());
        assert_eq!(t.count("SELECT COUNT(*) FROM mailboxes").await, 1);
        for table in [
            "SELECT COUNT(*) FROM import_parts",
            "SELECT COUNT(*) FROM imported_mailboxes WHERE imported_at < 0",
        ] {
            assert_eq!(
                t.count(table).await,
                i64::from(table.ends_with("parts")),
                "{table}: the other import has its own"
            );
        }
    }
}

#[tokio::test]
async fn what_an_import_brought_is_a_filter_of_the_list_and_what_is_listed_can_be_exported() {
    for t in consoles().await {
        let mut admin = t.admin();
        let (first, page) = preview(&mut admin, &many(3), "skip").await;
        apply(&mut admin, &first, &page).await;
        let table = "address,display_name,tags,incoming.host,incoming.auth\nx@company.example,'=1+1,\"helpdesk;vip\",h.example,password\n\
                     y@company.example,\"a;b, \"\"c\"\"\",,h.example,password\nm0@company.example,,,,\n";
        let (second, page) = preview(&mut admin, table, "change").await;
        let report = apply(&mut admin, &second, &page).await;
        let list = report.attribute("section[aria-labelledby=mail-h] footer a", "href").unwrap();
        let page = admin.get(&list).await;
        let rows = page.text("table tbody");
        assert!(
            rows.contains("x@company.example") && rows.contains("y@company.example") && !rows.contains("m1@"),
            "{rows}"
        );
        assert!(page.text("select#imported").contains("(2)"), "{}", page.text("select#imported"));
        assert!(page.text("caption").contains("imported: 21 Nov 2026"), "{}", page.text("caption"));

        let export = page.attribute("a[href^=\"/transfer/export\"]", "href").unwrap();
        let page = admin.get(&export).await;
        let fields = page.form("/transfer/export");
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let file = admin.post_raw("/transfer/export", &fields).await;
        assert!(file.header("content-disposition").contains("mailboxes-2026-11-21.csv"));
        assert_eq!(file.body.lines().count(), 3, "{}", file.body);
        assert!(
            file.body.contains(",'=1+1,"),
            "a formula must not run in a spreadsheet: {}",
            file.body
        );
        let (_, same) = preview(&mut admin, &file.body, "change").await;
        assert_eq!(
            same.text("#sum-h"),
            "0 new, 0 changed, 2 the same, 0 with errors",
            "{}",
            same.words()
        );

        // Elsewhere it makes the same mailboxes.
        let before = [t.app.store.mailboxes().await.unwrap()];
        admin.submit(format!("{second}/undo"), &[]).await;
        let gone = admin.get(&list).await;
        assert!(
            gone.words().contains("This import was undone, so it has no mailboxes to show"),
            "{}",
            gone.words()
        );
        let (third, page) = preview(&mut admin, &file.body, "skip").await;
        apply(&mut admin, &third, &page).await;
        for old in before[0].iter().filter(|old| ["x", "y"].contains(&old.name.as_str())) {
            let new = t.app.store.mailbox(&old.name).await.unwrap().unwrap();
            assert_eq!(
                (&new.display_name, &new.tags, &new.address),
                (&old.display_name, &old.tags, &old.address)
            );
        }

        let form = |filter: &'static str, format: &'static str| [("what", "mailboxes"), ("filter", filter), ("format", format)];
        let file = t.viewer().post("/transfer/export", &form("tag:vip", "toml")).await;
        assert!(
            file.body.matches("[[mailbox]]").count() == 1 && file.body.contains("x@company.example"),
            "{}",
            file.body
        );
        let none = t.viewer().post("/transfer/export", &form("tag:nobody", "csv")).await;
        assert!(none.text("#filter-e").contains("No mailbox matches"), "{}", none.words());
        assert_eq!(none.attribute("#filter", "value").as_deref(), Some("tag:nobody"));
    }
}
