//! Many mailboxes of one provider that refuses the app are one group with the button that mends it; and what a run lists can be moved, over
//! IMAP with and without MOVE and through Graph, that message and no other.

use super::matrix::Console;
use super::{HOST, House, MICROSOFT_APP, OPEN_APP, SUPPORT};
use crate::support::app::Browser;
use crate::support::matrix::Way;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::user::Role;
use mailgrant::sandbox::{Fault, Folder};
use mailgrant::worker::{batches, instances};
use std::time::Duration;

const POST: &str = "post@tailspin.test";

async fn signed_in(kind: TemplateKind, graph: bool, (house, app, account): (House, &str, &str)) -> (Console, String) {
    let console = Console::start().await;
    let token = console.make(kind, Way::Code, graph).await;
    console.sign_in_as(Way::Code, &token, house, app, account).await;
    (console, token)
}

/// What the worker would do meanwhile.
pub async fn work(console: &Console) {
    instances::tick(&console.t.app).await.unwrap();
    for _ in 0..4000 {
        batches::tick(&console.t.app).await.unwrap();
        if console.t.count("SELECT COUNT(*) FROM batches WHERE finished_at IS NULL").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the batch never ends");
}

/// Starts a bulk test of all mailboxes, and waits for its end; its address.
pub async fn test_all(console: &Console, browser: &mut Browser) -> String {
    let page = browser.get("/tests/new?which=filter").await;
    let mut fields = page.form("/tests/new");
    fields.push(("act".to_owned(), "start".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let started = browser.post_raw("/tests/new", &fields).await;
    let path = started.location().unwrap_or_else(|| panic!("{}", started.words()));
    work(console).await;
    path
}

#[tokio::test]
async fn forty_one_mailboxes_with_one_cause_are_one_group_with_its_fix_and_a_table() {
    let (console, token) = signed_in(TemplateKind::Microsoft, false, (House::Microsoft, MICROSOFT_APP.0, SUPPORT)).await;
    let port = console.play.sandbox.ports(House::Microsoft).imaps;
    let mut text = String::new();
    for number in 0..41 {
        text.push_str(&format!(
            "[[mailbox]]\nname = \"m{number}\"\naddress = \"{}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\n\
             port = {port}\nsecurity = \"tls\"\ntoken = \"{token}\"\nusername = \"{SUPPORT}\"\n",
            if number == 0 {
                "=formula@contoso.test".to_owned()
            } else {
                format!("m{number}@contoso.test")
            }
        ));
    }
    console.apply(&text).await;
    console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    let mut admin = console.t.admin();
    for _ in 0..8 {
        console.t.clock.advance(15 * 60);
        admin.get("/me").await;
    }
    let path = test_all(&console, &mut admin).await;
    let page = admin.get(&path).await;
    assert_eq!(
        page.text(".todo h3"),
        format!("41 × {token}: Client secret has expired"),
        "{}",
        page.words()
    );
    assert_eq!(page.attribute(".todo .acts a", "href"), Some(format!("/providers/{token}/secret")));
    assert!(
        page.text(".todo .acts a").starts_with("Replace secret"),
        "{}",
        page.text(".todo .acts a")
    );
    // Who may not do that is led to where it is told.
    let late = console.t.add_user(Role::Viewer, "Late Viewer").await;
    let seen = console.t.browser_with(&late).get(&path).await;
    assert!(
        seen.text(".todo .acts a").starts_with("Open the provider"),
        "{}",
        seen.text(".todo .acts a")
    );
    // The group opens into its mailboxes, in pages, with their runs.
    let group = admin.get(page.attribute(".todo p a", "href").unwrap()).await;
    assert_eq!(group.text("tbody tr").lines().count(), 41, "{}", group.words());
    let run = admin.get(group.attribute("tbody a[href^='/tests/']", "href").unwrap()).await;
    assert!(run.words().contains("Client secret has expired"), "{}", run.words());
    // The table: quoted, and no cell is a formula.
    let file = admin.post(format!("{path}/export"), &[]).await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert!(file.header("content-disposition").starts_with("attachment"));
    let lines: Vec<&str> = file.body.lines().collect();
    assert_eq!(lines.len(), 42);
    assert_eq!(lines[0], "mailbox,address,test,result,problem,cause,ended,run");
    assert!(
        lines[1..]
            .iter()
            .any(|line| line.contains(",'=formula@contoso.test,") || line.contains("\"'=formula@contoso.test\"")),
        "{}",
        lines[1]
    );
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.contains(",incoming,failed,Client secret has expired,provider ")),
        "{}",
        lines[1]
    );
    // A bundle for whoever helps has the cause and no address.
    let bundle = admin.post(format!("{path}/bundle"), &[("act", "copy")]).await;
    assert!(
        bundle.body.contains("41 x Client secret has expired") && !bundle.body.contains("m7@contoso.test"),
        "{}",
        bundle.body
    );

    // Mended: the failed ones again, and they pass.
    console.play.sandbox.faults().set(&[]);
    admin.submit(format!("/providers/{token}/check"), &[]).await;
    let again = admin.get(&path).await.form(&format!("{path}/again"));
    let again: Vec<(&str, &str)> = again.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let next = admin.post_raw(format!("{path}/again"), &again).await.location().unwrap();
    assert_ne!(next, path);
    work(&console).await;
    let page = admin.get(&next).await;
    assert_eq!(page.text("#bar-h"), "All 41 tests passed", "{}", page.words());
}

/// Tests the mailbox and opens the list of its messages; the page.
async fn listed(admin: &mut Browser) -> (String, crate::support::app::Page) {
    let page = admin.submit("/mailboxes/m/test/incoming", &[("defaults", "1")]).await;
    let path = page
        .attribute("a[href$='/messages']", "href")
        .unwrap_or_else(|| panic!("{}", page.words()));
    let page = admin.get(&path).await;
    (path.trim_end_matches("/messages").to_owned(), page)
}

fn subjects(console: &Console, address: &str, folder: Folder) -> Vec<String> {
    let all = console.play.sandbox.messages(address, folder);
    let mut subjects: Vec<String> = all.iter().map(|message| message.head().subject).collect();
    subjects.sort();
    subjects
}

#[tokio::test]
async fn a_message_in_junk_and_an_oversized_one_are_moved_and_no_other() {
    for (kind, graph, who) in [
        (TemplateKind::Microsoft, false, (House::Microsoft, MICROSOFT_APP.0, SUPPORT)),
        (TemplateKind::Microsoft, true, (House::Microsoft, MICROSOFT_APP.0, SUPPORT)),
        // This one has no MOVE: copied, marked and taken away by its number.
        (TemplateKind::Custom, false, (House::Open, OPEN_APP.0, POST)),
    ] {
        let (house, _, address) = who;
        let (console, token) = signed_in(kind, graph, who).await;
        let port = console.play.sandbox.ports(house).imaps;
        let server = match graph {
            true => "protocol = \"graph\"\n".to_owned(),
            false => format!("protocol = \"imap\"\nhost = \"{HOST}\"\nport = {port}\nsecurity = \"tls\"\n"),
        };
        console
            .apply(&format!(
                "[[mailbox]]\nname = \"m\"\naddress = \"{address}\"\n[mailbox.incoming]\n{server}token = \"{token}\"\n"
            ))
            .await;
        let mut admin = console.t.admin();
        let (run, page) = listed(&mut admin).await;
        let (junk, inbox) = (
            subjects(&console, address, Folder::Junk),
            subjects(&console, address, Folder::Inbox),
        );
        assert_eq!(junk.len(), 3);
        let link = page
            .attribute(&format!("a[href^='{run}/move/junk/']"), "href")
            .unwrap_or_else(|| panic!("{}", page.words()));
        for mut other in [console.t.operator(), console.t.viewer()] {
            assert_eq!(other.get(&link).await.status, 403);
            assert_eq!(other.post(&link, &[]).await.status, 403);
        }
        let peeked = || console.t.count("SELECT COUNT(*) FROM audit WHERE action = 'mailbox.peek'");
        let before = peeked().await;
        let ask = admin.get(&link).await;
        assert_eq!(peeked().await, before + 1, "whose sender and subject it shows is written down");
        assert!(ask.words().contains("You have won!"), "the newest: {}", ask.words());
        assert_eq!(subjects(&console, address, Folder::Junk).len(), 3, "asking moves nothing");
        let page = admin.submit(&link, &[]).await;
        assert!(
            page.text(".flash").contains("The message was moved to the inbox."),
            "{}",
            page.words()
        );
        // Back at the list: this one is done, the others are offered.
        assert!(page.words().contains("Moved to the inbox"), "{}", page.words());
        let own = link.rsplit('/').next().unwrap();
        assert!(
            !page.has(&format!("a[href='{link}']")),
            "a message that was moved isn't offered again"
        );
        let offered = (0..3).filter(|n| page.has(&format!("a[href='{run}/move/junk/{n}']"))).count();
        assert_eq!((offered, own), (2, "0"));
        assert_eq!(admin.get(&run).await.text("#moved"), "1 message was moved to the inbox.");
        let again = admin.get(&link).await;
        assert!(
            !again.has("main button[type=submit]") && again.text("#told").contains("Maija Korhonen moved it to the inbox"),
            "{}",
            again.words()
        );
        let left = subjects(&console, address, Folder::Junk);
        assert_eq!(
            (left.len(), left.contains(&"You have won!".to_owned())),
            (2, false),
            "{house:?} {left:?}"
        );
        assert!(left.iter().all(|subject| junk.contains(subject)));
        let now = subjects(&console, address, Folder::Inbox);
        assert_eq!(
            (now.len(), now.iter().filter(|subject| *subject == "You have won!").count()),
            (inbox.len() + 1, 1)
        );
        // Once more: it isn't there any more, and nothing else goes in its place.
        let page = admin.submit(&link, &[]).await;
        assert!(page.text("#told").contains("any more"), "{}", page.words());
        assert_eq!(
            (
                subjects(&console, address, Folder::Junk),
                subjects(&console, address, Folder::Inbox)
            ),
            (left, now)
        );

        if graph {
            // This Graph can't be asked for sizes.
            continue;
        }
        // The oversized one goes where somebody chooses, and nowhere else.
        let (run, page) = listed(&mut admin).await;
        let link = page
            .attribute(&format!("a[href^='{run}/move/oversized/']"), "href")
            .unwrap_or_else(|| panic!("{}", page.words()));
        let peeked = || console.t.count("SELECT COUNT(*) FROM audit WHERE action = 'mailbox.peek'");
        let before = peeked().await;
        let ask = admin.get(&link).await;
        assert_eq!(peeked().await, before + 1, "whose sender and subject it shows is written down");
        let refused = admin.post(&link, &[("folder", "No such folder\" x")]).await;
        assert_eq!(
            (refused.status.as_u16(), refused.text(".summary a")),
            (422, "Choose a folder".to_owned())
        );
        let folder = if house == House::Microsoft { "Deleted Items" } else { "Trash" };
        assert!(ask.text("#folder").contains(folder), "{}", ask.text("#folder"));
        // Where the sign-in fails, the diagnosis says why.
        console.play.sandbox.faults().set(&[Fault::TokenRefused]);
        let page = admin.submit(&link, &[("folder", folder)]).await;
        assert!(page.has(".diagnosis"), "{}", page.words());
        console.play.sandbox.faults().set(&[]);
        let page = admin.submit(&link, &[("folder", folder)]).await;
        assert!(page.text(".flash").contains(&format!("moved to {folder}")), "{}", page.words());
        assert_eq!(subjects(&console, address, Folder::Deleted), ["Photos of the damage"]);
        let told = console.t.app.store.audit_rows_of("mailbox:m", 20).await.unwrap();
        let moved: Vec<_> = told.iter().filter(|row| row.action == "mailbox.move").collect();
        assert_eq!(
            moved.iter().map(|row| row.outcome.as_str()).collect::<Vec<_>>(),
            ["ok", "begun", "failed", "begun", "ok", "begun"],
            "each is written down before it is tried, and what became of it"
        );
        assert!(
            moved[4].detail.starts_with("a message from Junk") && moved[4].detail.ends_with("to the inbox"),
            "{}",
            moved[4].detail
        );
        assert!(told.iter().all(|row| !row.detail.contains("won")), "no subject is written down");
        // Whoever was at it is gone, and nobody knows how far it came.
        let execute = async |sql: &'static str| sqlx::query(sql).execute(console.t.app.store.raw_pool()).await.unwrap();
        execute("UPDATE moved_messages SET outcome = '', at = at - 600").await;
        let page = admin.get(format!("{run}/messages")).await;
        assert!(page.words().contains(&format!("May be in {folder}")), "{}", page.words());
        assert_eq!(
            admin.get(&run).await.text("#moved"),
            format!("1 message may have been moved to {folder}.")
        );
        // It is there: trying again finds that out, and takes nothing else.
        let page = admin.submit(&link, &[("folder", folder)]).await;
        assert!(
            page.text("#told").contains("isn\u{2019}t where the test found it any more"),
            "{}",
            page.words()
        );
        assert_eq!(subjects(&console, address, Folder::Deleted), ["Photos of the damage"]);
        // What can't be written down is not done.
        let (run, page) = listed(&mut admin).await;
        let before = subjects(&console, address, Folder::Junk);
        execute("ALTER TABLE audit RENAME TO audit_gone").await;
        let link = page.attribute(&format!("a[href^='{run}/move/junk/']"), "href").unwrap();
        let ask = admin.get(&link).await;
        assert!(ask.status.is_server_error() && !ask.words().contains("From"), "{}", ask.words());
        let page = admin.submit(&link, &[]).await;
        assert!(page.status.is_server_error(), "{}", page.words());
        assert_eq!(subjects(&console, address, Folder::Junk), before);
    }
}

/// How long two thousand take, and what pages need meanwhile. Takes minutes, so it is run by hand:
/// `cargo test --test main sandbox::bulk::two_thousand -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and prints times"]
async fn two_thousand_mailboxes_are_tested_and_pages_stay_quick() {
    let (console, token) = signed_in(TemplateKind::Microsoft, false, (House::Microsoft, MICROSOFT_APP.0, SUPPORT)).await;
    let port = console.play.sandbox.ports(House::Microsoft).imaps;
    for part in 0..20 {
        let mut text = String::new();
        for number in 0..100 {
            let number = part * 100 + number;
            text.push_str(&format!(
                "[[mailbox]]\nname = \"m{number}\"\naddress = \"m{number}@contoso.test\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\n\
                 port = {port}\nsecurity = \"tls\"\ntoken = \"{token}\"\nusername = \"{SUPPORT}\"\n"
            ));
        }
        console.apply(&text).await;
    }
    let mut admin = console.t.admin();
    let p95 = |mut times: Vec<Duration>| {
        times.sort();
        times.get(times.len() * 95 / 100).copied().unwrap_or_default()
    };
    let times = async |admin: &mut Browser, path: &str, rounds: usize| {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let began = std::time::Instant::now();
            assert_eq!(admin.get(path).await.status, 200);
            times.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        times
    };
    let quiet = (
        p95(times(&mut admin, "/", 40).await),
        p95(times(&mut admin, "/mailboxes", 40).await),
    );
    let page = admin.get("/tests/new?which=filter").await;
    println!("the form says: {}", page.text("#found"));
    let mut fields = page.form("/tests/new");
    fields.push(("act".to_owned(), "start".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let began = std::time::Instant::now();
    let started = admin.post_raw("/tests/new", &fields).await;
    println!("started in {:?}", began.elapsed());
    let path = started.location().unwrap();
    instances::tick(&console.t.app).await.unwrap();
    let app = console.t.app.clone();
    let worker = tokio::spawn(async move {
        loop {
            batches::tick(&app).await.unwrap();
            if app.store.open_batches().await.unwrap().is_empty() {
                return began.elapsed();
            }
            tokio::time::sleep(batches::EVERY).await;
        }
    });
    let (mut overview, mut list, mut own) = (Vec::new(), Vec::new(), Vec::new());
    while !worker.is_finished() {
        overview.extend(times(&mut admin, "/", 4).await);
        list.extend(times(&mut admin, "/mailboxes", 4).await);
        own.extend(times(&mut admin, &path, 2).await);
    }
    println!("2,000 mailboxes in {:?}", worker.await.unwrap());
    println!("p95 of / {:?}, of /mailboxes {:?} before", quiet.0, quiet.1);
    println!(
        "p95 of / {:?}, of /mailboxes {:?}, of its own page {:?} meanwhile",
        p95(overview),
        p95(list),
        p95(own)
    );
    println!("{}", admin.get(&path).await.text("#bar-h"));
}
