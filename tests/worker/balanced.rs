//! Two consoles on one PostgreSQL database behind a balancer that sends every request to the next one, and one of them going away.

mod browser;

use crate::access::kills::kill;
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::{Peer, Server};
use crate::sandbox::sign_in::Person;
use crate::sandbox::{Play, apply};
use crate::support::databases::{config, new_postgres};
use browser::{Browser, Proxy};
use mailgrant::app::App;
use mailgrant::clock::SystemClock;
use mailgrant::model::{Name, RunId};
use mailgrant::random::SystemRandom;
use mailgrant::sandbox::House;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

/// Where the sandbox sends people back to.
const BACK: &str = "/oauth/callback/contoso";
const EMAIL: &str = "admin@contoso.test";
const PHRASE: &str = "long-enough-for-two-consoles-42";

/// A database, its two data directories, the sandbox, and a balancer.
struct Pair {
    app: App,
    play: Play,
    proxy: Proxy,
    url: String,
    dir: TempDir,
}

impl Pair {
    async fn new() -> Option<Self> {
        let url = new_postgres().await?;
        let (dir, play) = (TempDir::new().unwrap(), Play::start().await);
        std::fs::write(dir.path().join("ca.pem"), play.sandbox.ca_pem()).unwrap();
        let settings = [("MAILGRANT_ALLOW_NETWORKS", "loopback"), ("MAILGRANT_DATABASE_URL", url.as_str())];
        let mut here = config(&dir.path().join("one"), &settings);
        here.extra_ca_file = Some(dir.path().join("ca.pem"));
        let app = App::open(here, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
        apply(&app, &mailgrant::cli::demo::samples(&play.sandbox)).await.unwrap();
        let proxy = Proxy::start().await;
        let pair = Self {
            app,
            play,
            proxy,
            url,
            dir,
        };
        let mut adding = pair
            .command("one", &["user", "add", EMAIL, "--role", "admin", "--password-stdin"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = adding.stdin.take().unwrap();
        input.write_all(format!("{PHRASE}\n").as_bytes()).await.unwrap();
        drop(input);
        assert!(adding.wait().await.unwrap().success());
        Some(pair)
    }

    fn data(&self, which: &str) -> PathBuf {
        self.dir.path().join(which)
    }

    fn command(&self, which: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailgrant"));
        command
            .args(arguments)
            .env_clear()
            .env("MAILGRANT_DATA_DIR", self.data(which))
            .env("MAILGRANT_MASTER_KEY_FILE", self.data("one").join("master.key"))
            .env("MAILGRANT_DATABASE_URL", &self.url)
            .env("MAILGRANT_EXTRA_CA_FILE", self.dir.path().join("ca.pem"))
            .env("MAILGRANT_ALLOW_NETWORKS", "loopback")
            .env("MAILGRANT_BASE_URL", self.proxy.url())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts a console and waits until it is ready; it gets requests from then on.
    async fn serve(&self, which: &str) -> Child {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listen = address.to_string();
        let child = self.command(which, &["serve", "--listen", &listen]).spawn().unwrap();
        let began = Instant::now();
        while !browser::is_ready(address).await {
            assert!(began.elapsed() < Duration::from_secs(60), "{which} does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.proxy.add(which, address);
        child
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.app.store.raw_pool()).await.unwrap()
    }

    async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.app.store.raw_pool()).await.unwrap();
    }

    async fn until(&self, what: &str, seconds: u64, sql: &'static str) -> Duration {
        let began = Instant::now();
        while self.number(sql).await == 0 {
            assert!(began.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        began.elapsed()
    }
}

/// A server whose answer to the first command waits for a permit, and that ends the connection then.
async fn gated(gate: &Arc<Semaphore>) -> Server {
    let gate = Arc::clone(gate);
    Server::start(None, move |mut peer: Peer| {
        let gate = Arc::clone(&gate);
        async move {
            peer.say("* OK ready").await?;
            let line = peer.line().await?;
            gate.acquire().await.unwrap().forget();
            let tag = line.split(' ').next().unwrap_or_default().to_owned();
            peer.say(&format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN\n{tag} OK done")).await?;
            Ok(())
        }
    })
    .await
}

fn run_of(location: &str) -> RunId {
    RunId(location.rsplit('/').next().unwrap().to_owned())
}

/// Everything a person does, each request at the other instance than the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_plain_balancer_two_instances_are_one_console() {
    let Some(pair) = Pair::new().await else {
        eprintln!("PostgreSQL not tried: start with tests/run");
        return;
    };
    let _consoles = [pair.serve("one").await, pair.serve("two").await];
    let mut admin = Browser::new(&pair.proxy);
    admin.sign_in(EMAIL, PHRASE).await;
    for path in ["/", "/mailboxes", "/tokens", "/tests", "/audit", "/log", "/about", "/mailboxes"] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
    }
    signs_in_at_the_provider(&pair, &mut admin).await;
    keeps_what_was_typed(&pair, &mut admin).await;
    shows_and_stops_runs(&pair, &mut admin).await;
    imports_in_the_background(&pair, &mut admin).await;
    let (one, two) = (pair.proxy.count("one"), pair.proxy.count("two"));
    eprintln!("requests: {one} at the first, {two} at the second");
    assert!(one.abs_diff(two) <= 1 && one > 20, "every request to the next: {one} and {two}");
    assert!(pair.app.store.verify_audit().await.unwrap().is_ok(), "the chain is whole");
}

async fn signs_in_at_the_provider(pair: &Pair, admin: &mut Browser) {
    let back = format!("{}{BACK}", pair.proxy.url());
    pair.play.sandbox.add_redirect_uri(mailgrant::sandbox::MICROSOFT_APP.0, &back);
    let token = pair.app.store.token(&Name::parse("sales").unwrap()).await.unwrap().unwrap();
    assert!(pair.app.store.grant(&token.id).await.unwrap().is_none());
    let left = admin.post("/tokens/sales", "/tokens/sales/authorize", &[]).await;
    assert_eq!(left.status, 303, "{}", left.body);
    let page = admin.get(&left.location()).await;
    let leave = page
        .attribute("#continue", "href")
        .unwrap_or_else(|| panic!("no way on: {}", page.words()));
    let returned = Person::new(&pair.play, House::Microsoft)
        .walk(&leave, &back, "sales@contoso.test")
        .await;
    let page = admin.follow(&format!("{BACK}?{returned}")).await;
    assert_eq!(page.status, 200, "{}", page.words());
    let grant = pair.app.store.grant(&token.id).await.unwrap();
    assert!(grant.is_some(), "nothing came of it: {}", page.words());
}

/// A form that came back is sent again to the other instance, with the password that was typed before.
async fn keeps_what_was_typed(pair: &Pair, admin: &mut Browser) {
    let server = Imapd::default().start(None).await;
    let port = server.port.to_string();
    let fields = |address: &'static str| {
        [
            ("address", address),
            ("name", "typed"),
            ("incoming", "imap"),
            ("incoming_host", "127.0.0.1"),
            ("incoming_port", port.as_str()),
            ("incoming_security", "none"),
            ("outgoing", "none"),
            ("auth", "password"),
            ("username", "typed"),
            ("password", PASSWORD),
            ("act", "save"),
        ]
    };
    let refused = admin
        .post(
            "/mailboxes/new?address=typed@contoso.test&with=hand",
            "/mailboxes/new",
            &fields("nobody"),
        )
        .await;
    assert!(
        !refused.body.contains(PASSWORD) && refused.status == 422,
        "{}: {}",
        refused.status,
        refused.words()
    );
    let again: Vec<_> = fields("typed@contoso.test")
        .into_iter()
        .filter(|(name, _)| *name != "password")
        .collect();
    let saved = admin.send_form(&refused, "/mailboxes/new", &again).await;
    assert_eq!(saved.status, 303, "{}", saved.words());
    let done = admin.press_test("typed", "incoming", "").await;
    let page = admin.get(&done).await;
    assert!(page.words().contains("can be read"), "the password came along: {}", page.words());
    assert_eq!(pair.number("SELECT COUNT(*) FROM kept").await, 0, "nothing is left behind");
}

async fn shows_and_stops_runs(pair: &Pair, admin: &mut Browser) {
    let gate = Arc::new(Semaphore::new(0));
    let server = gated(&gate).await;
    super::checks::add(&pair.app, "slow", ("127.0.0.1", &server), PASSWORD).await;

    // One press that reached both.
    let once = admin.once("slow", "incoming").await;
    let (first, second) = (
        admin.press_test("slow", "incoming", &once).await,
        admin.press_test("slow", "incoming", &once).await,
    );
    assert_eq!(first, second, "one form, one run");
    // Each of them says how far it is, once it has heard.
    let (began, mut told) = (Instant::now(), 0);
    while told < 2 {
        let words = admin.get(&first).await.words();
        let runs = words.contains("Running, step") && words.contains("Stop");
        told = if runs { told + 1 } else { 0 };
        assert!(runs || began.elapsed() < Duration::from_secs(20), "{words}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Live at each of them, to the end.
    let (here, there) = (admin.events(&first).await, admin.events(&first).await);
    gate.add_permits(1);
    for heard in [here, there] {
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap().unwrap();
        assert!(heard.contains("<title>Testing incoming"), "{heard}");
        let end = heard.split("event: end").nth(1).unwrap_or_else(|| panic!("no end: {heard}"));
        assert!(end.contains("id=\"verdict\""), "{end}");
    }

    // Stopped by the instance that doesn't run it.
    let run = admin.press_test("slow", "incoming", "").await;
    let began = Instant::now();
    let stopped = admin.post_with_last(&format!("{run}/stop")).await;
    assert_eq!(stopped.status, 303, "{}", stopped.words());
    let row = pair.app.store.run(&run_of(&run)).await.unwrap().unwrap();
    assert_eq!(row.outcome, "stopped");
    eprintln!("a run of the other instance stopped after {:.1} s", began.elapsed().as_secs_f64());
    let words = admin.get(&run).await.words();
    assert!(words.contains("Stopped."), "{words}");
    let words = admin.get("/tests").await.words();
    assert!(
        words.contains("slow@contoso.test") && words.contains("typed@contoso.test"),
        "{words}"
    );
}

async fn imports_in_the_background(pair: &Pair, admin: &mut Browser) {
    const ENTRIES: usize = 900;
    let mut table = String::from("name;address;incoming.host;incoming.auth;incoming.password\n");
    for number in 0..ENTRIES {
        table.push_str(&format!("many-{number};many-{number}@contoso.test;127.0.0.1;password;{PASSWORD}\n"));
    }
    let preview = admin
        .post("/transfer/import", "/transfer/import", &[("text", &table)])
        .await
        .location();
    let page = admin.get(&preview).await;
    let begun = admin.send_form(&page, &format!("{preview}/apply"), &[]).await;
    assert_eq!(begun.status, 303, "{}", begun.words());
    let mut under_way = 0;
    let words = loop {
        let words = admin.get(&preview).await.words();
        assert!(!words.contains("interrupted"), "it goes on at the other one: {words}");
        if words.contains("What was imported") {
            break words;
        }
        assert!(words.contains(&format!("of {ENTRIES} entries are done")), "{words}");
        under_way += 1;
        assert!(under_way < 600, "{words}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    eprintln!("seen under way {under_way} times");
    assert!(under_way >= 2, "too quick to see anything of it");
    assert!(words.contains("many-0"), "{words}");
    assert_eq!(pair.number("SELECT COUNT(*) FROM mailboxes WHERE name LIKE 'many-%'").await, 900);
}

/// MULTI-3: the instance that does what one does for all stands still, as if its machine were gone, and then is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_gone_is_replaced_within_thirty_seconds() {
    let Some(pair) = Pair::new().await else {
        eprintln!("PostgreSQL not tried: start with tests/run");
        return;
    };
    for (signal, how) in [(Signal::STOP, "stands still"), (Signal::KILL, "is killed")] {
        let mut consoles = vec![pair.serve("one").await, pair.serve("two").await];
        let both = "SELECT CASE WHEN (SELECT COUNT(*) FROM instances) = 2 AND (SELECT COUNT(*) FROM duties) > 0 THEN 1 ELSE 0 END";
        pair.until("two instances and a duty", 90, both).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        let holder: String = sqlx::query_scalar("SELECT owner FROM duties ORDER BY name LIMIT 1")
            .fetch_one(pair.app.store.raw_pool())
            .await
            .unwrap();
        let at = consoles
            .iter()
            .position(|child| holder.contains(&format!("/{}/", child.id().unwrap())))
            .unwrap();
        let mut victim = consoles.remove(at);
        pair.proxy.remove(["one", "two"][at]);
        kill_process(Pid::from_raw(victim.id().unwrap() as i32).unwrap(), signal).unwrap();
        let began = Instant::now();
        // What it was at, as it left it.
        sqlx::query("UPDATE mailboxes SET enabled = 1, check_owner = $1, next_check_at = 1 WHERE name = 'support'")
            .bind(&holder)
            .execute(pair.app.store.raw_pool())
            .await
            .unwrap();
        sqlx::query("UPDATE grants SET due_at = 1 WHERE lease_owner IS NULL")
            .execute(pair.app.store.raw_pool())
            .await
            .unwrap();
        pair.until(
            "its duties",
            30,
            "SELECT COUNT(*) FROM duties d WHERE d.owner IN (SELECT id FROM instances) AND (SELECT COUNT(*) FROM instances) = 1",
        )
        .await;
        let duties = began.elapsed();
        pair.until(
            "its check",
            30,
            "SELECT COUNT(*) FROM mailboxes WHERE name = 'support' AND next_check_at > 1",
        )
        .await;
        let check = began.elapsed();
        pair.until(
            "renewals",
            60,
            "SELECT CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END FROM grants WHERE due_at = 1",
        )
        .await;
        let renewals = began.elapsed();
        eprintln!(
            "one of two {how}: duties taken over after {:.1} s, its check after {:.1} s, all renewals after {:.1} s",
            duties.as_secs_f64(),
            check.as_secs_f64(),
            renewals.as_secs_f64()
        );
        assert!(duties.max(check) < Duration::from_secs(30));
        assert!(renewals < Duration::from_secs(60));
        let mut admin = Browser::new(&pair.proxy);
        admin.sign_in(EMAIL, PHRASE).await;
        assert_eq!(admin.get("/").await.status, 200);
        let _ = victim.start_kill();
        let _ = victim.wait().await;
        for (child, which) in consoles.into_iter().zip([["two"], ["one"]][at]) {
            pair.proxy.remove(which);
            kill(child).await;
        }
        pair.run("DELETE FROM duties").await;
    }
    assert!(pair.app.store.verify_audit().await.unwrap().is_ok(), "the chain is whole");
}
