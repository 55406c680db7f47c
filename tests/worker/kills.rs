//! Consoles that are killed while they renew and check by themselves: on SQLite one after the other, on PostgreSQL two at a time. Real
//! processes, killed with signal 9 at moments of a renewal or a check. `MAILGRANT_KILLS=100` is the whole; fewer by default.

use super::checks::whole;
use crate::access::House;
use crate::access::kills::{Moment, below, kill, mailgrant, reach};
use crate::access::simulator::{Phase, Rotation};
use crate::probe::imap_server::{Imapd, PASSWORD};
use crate::probe::server::Server;
use crate::probe::smtp_server::Smtpd;
use crate::support::databases::new_postgres;
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::mailbox::MailboxState;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token};
use mailgrant::random::SeededRandom;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How many tokens hang on the provider, and how many mailboxes are checked?
const TOKENS: usize = 12;
const MAILBOXES: usize = 24;
/// How many kills on each engine, where nobody says otherwise?
const KILLS: usize = 20;
/// The last one, of a check, is none of a renewal.
const MOMENTS: [Option<Moment>; 5] = [
    Some(Moment::BeforeTheRequest),
    Some(Moment::Sent),
    Some(Moment::Rotated),
    Some(Moment::Answered),
    None,
];

fn kills() -> usize {
    let wanted = std::env::var("MAILGRANT_KILLS").ok();
    wanted.map_or(KILLS, |text| text.parse().unwrap())
}

/// A house whose clock is the present, its tokens, and mailboxes at two servers.
struct World {
    house: House,
    tokens: Vec<Token>,
    imap: Server,
    smtp: Server,
}

/// The provider rotates, and forgives a lost answer for ten seconds.
async fn world(url: Option<String>) -> World {
    let house = House::on(url, TemplateKind::Custom, Rotation::Grace(Duration::from_secs(10))).await;
    house.clock.advance(SystemClock.now().since(house.clock.now()));
    let mut tokens = Vec::new();
    for number in 0..TOKENS {
        tokens.push(house.signed_in(&format!("mailbox-{number}")).await);
    }
    house.sim.delays(Duration::from_millis(5), Duration::from_millis(15));
    let (imap, smtp) = (Imapd::default().start(None).await, Smtpd::default().start(None).await);
    for number in 0..MAILBOXES {
        whole(&house.app, &format!("box-{number}"), (&imap, &smtp), PASSWORD).await;
    }
    World { house, tokens, imap, smtp }
}

/// Where consoles write their log.
fn said(house: &House) -> PathBuf {
    house.dir.path().join("consoles.log")
}

/// A console on the house's database; the second one has a data directory of its own, and the same key.
fn console(house: &House, second: Option<&PathBuf>) -> Child {
    let mut command = mailgrant(house, &["serve"]);
    let said = OpenOptions::new().create(true).append(true).open(said(house)).unwrap();
    command.env("MAILGRANT_LISTEN", "127.0.0.1:0").stdout(Stdio::null()).stderr(said);
    if let Some(data) = second {
        command
            .env("MAILGRANT_DATA_DIR", data)
            .env("MAILGRANT_MASTER_KEY_FILE", house.data().join("master.key"));
    }
    command.spawn().unwrap()
}

impl World {
    /// Every renewal and every check that nobody is at.
    async fn all_due(&self) {
        for sql in [
            "UPDATE grants SET due_at = 1 WHERE lease_owner IS NULL",
            "UPDATE mailboxes SET next_check_at = 1 WHERE check_owner IS NULL",
        ] {
            // SQLite has one writer, and the consoles are at work.
            for _ in 0..20 {
                match sqlx::query(sql).execute(self.house.app.store.raw_pool()).await {
                    Ok(_) => break,
                    Err(error) => eprintln!("{error}"),
                }
            }
        }
    }

    /// A check has begun that had not.
    async fn reach_check(&self) {
        let before = self.imap.connections();
        let began = Instant::now();
        while self.imap.connections() == before && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Every grant lives, nothing is open, the provider takes each refresh token once more; every mailbox was checked and works.
    async fn settled(&self) -> Result<(), String> {
        for token in &self.tokens {
            let grant = self.house.grant(token).await;
            if grant.outcome == "sent" {
                return Err(format!("the answer of {} is not known", token.name));
            }
            if grant.state != GrantState::Active {
                return Err(format!("{}: {:?}", token.name, grant.last_error));
            }
            if !self.house.sim.is_good(&self.house.refresh_token(token).await) {
                return Err(format!("{} is lost", token.name));
            }
        }
        Ok(())
    }

    async fn checked(&self) -> Result<(), String> {
        let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE next_check_at <= 1 OR check_owner IS NOT NULL")
            .fetch_one(self.house.app.store.raw_pool())
            .await
            .map_err(|error| error.to_string())?;
        if waiting > 0 {
            return Err(format!("{waiting} mailboxes wait for their check"));
        }
        Ok(())
    }

    async fn until_settled(&self, seconds: u64) {
        let began = Instant::now();
        loop {
            match self.settled().await {
                Ok(()) => return,
                Err(why) => assert!(began.elapsed() < Duration::from_secs(seconds), "{why}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_checked(&self, seconds: u64) {
        let began = Instant::now();
        loop {
            match self.checked().await {
                Ok(()) => return,
                Err(why) => assert!(began.elapsed() < Duration::from_secs(seconds), "{why}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What is true whoever was killed when.
    async fn proved(&self, renewed: i64) {
        let (house, kills) = (&self.house, kills());
        let store = &house.app.store;
        // The provider's side: no refresh token came a second time but for a lost answer, within its grace; else it would be lost.
        let mut times: HashMap<String, usize> = HashMap::new();
        for token in house.sim.sent() {
            *times.entry(token).or_default() += 1;
        }
        let twice = times.values().filter(|count| **count > 1).count();
        // A provider has eight renewals under way at most, so no kill leaves more of them open.
        assert!(
            twice <= kills * 8,
            "{twice} refresh tokens were sent again, more than kills left open"
        );
        // The mail servers' side: a check reads nothing and sends nothing.
        let (imap, smtp) = (self.imap.heard(), self.smtp.heard());
        assert!(!imap.iter().any(|line| line.contains("FETCH") || line.contains("STORE")));
        assert!(!smtp.iter().any(|line| line.starts_with("MAIL") || line.starts_with("DATA")));
        let counted: i64 =
            sqlx::query_scalar("SELECT CAST(COALESCE(SUM(passed + failed), 0) AS BIGINT) FROM check_counts WHERE kind = 'mailbox-day'")
                .fetch_one(store.raw_pool())
                .await
                .unwrap();
        let seen = i64::try_from(self.imap.connections()).unwrap();
        assert!(counted <= seen, "{counted} checks are counted, and the server saw {seen}");
        assert!(counted >= i64::try_from(MAILBOXES).unwrap(), "{counted}");
        for number in 0..MAILBOXES {
            let name = mailgrant::model::Name::parse(&format!("box-{number}")).unwrap();
            let mailbox = store.mailbox(&name).await.unwrap().unwrap();
            assert_eq!(mailbox.state, MailboxState::Working, "{name}: {:?}", mailbox.incoming_state.problem);
        }
        eprintln!(
            "{renewed} renewals of {TOKENS} tokens in {} requests, {twice} refresh tokens sent again after a kill; \
             {counted} checks of {MAILBOXES} mailboxes counted, {seen} begun",
            house.sim.count()
        );
        assert!(renewed >= i64::try_from(kills).unwrap());
        store.check_integrity().await.unwrap();
        assert!(store.verify_audit().await.unwrap().is_ok(), "the chain is whole");
    }
}

/// Kills one of these consoles again and again, and starts it anew.
async fn killed(world: &World, mut consoles: Vec<(Child, Option<PathBuf>)>) {
    let (house, kills, began) = (&world.house, kills(), Instant::now());
    let random = SeededRandom::new(20_261_121);
    let mut phases = house.sim.phases();
    let mut met = [0; MOMENTS.len()];
    for round in 0.. {
        if met.iter().sum::<usize>() == kills {
            break;
        }
        assert!(round < kills * 3, "{met:?}");
        let next = round % MOMENTS.len();
        while phases.try_recv().is_ok() {}
        world.all_due().await;
        match MOMENTS[next] {
            Some(Moment::BeforeTheRequest) => {
                reach(&mut phases, Phase::Arrived).await;
                tokio::time::sleep(Duration::from_millis(below(&random, 300))).await;
            }
            Some(Moment::Sent) => reach(&mut phases, Phase::Arrived).await,
            Some(Moment::Rotated) => reach(&mut phases, Phase::Rotated).await,
            Some(Moment::Answered) => {
                reach(&mut phases, Phase::Rotated).await;
                tokio::time::sleep(Duration::from_millis(15) + Duration::from_micros(below(&random, 10_000))).await;
            }
            None => {
                world.reach_check().await;
                tokio::time::sleep(Duration::from_millis(below(&random, 200))).await;
            }
        }
        let (child, data) = consoles.remove(usize::try_from(below(&random, 2)).unwrap() % consoles.len());
        let was_alive = kill(child).await;
        let log = || std::fs::read_to_string(said(house)).unwrap_or_default();
        assert!(
            was_alive,
            "it ended by itself: {}",
            log().lines().rev().take(40).collect::<Vec<_>>().join("\n")
        );
        met[next] += 1;
        consoles.push((console(house, data.as_ref()), data));
        // The provider forgives for ten seconds: what this kill left open is settled before the next one.
        world.until_settled(20).await;
    }
    world.until_settled(20).await;
    world.until_checked(60).await;
    for (child, _) in consoles {
        kill(child).await;
    }
    let mut renewed = 0;
    for token in &world.tokens {
        renewed += house.grant(token).await.generation - 1;
    }
    eprintln!(
        "{kills} kills in {} s: before the request {}, sent {}, rotated {}, answered {}, during a check {}",
        began.elapsed().as_secs(),
        met[0],
        met[1],
        met[2],
        met[3],
        met[4]
    );
    world.proved(renewed).await;
}

/// F30, F31 as far as a process goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_is_killed_while_it_renews_loses_nothing() {
    let world = world(None).await;
    let child = console(&world.house, None);
    killed(&world, vec![(child, None)]).await;
}

/// F29, F30, MULTI-3: one of two is killed, the other goes on, and no refresh token is used twice but within the grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consoles_of_which_one_is_killed_lose_nothing() {
    let Some(url) = new_postgres().await else {
        eprintln!("PostgreSQL not tried: start with tests/run");
        return;
    };
    let world = world(Some(url)).await;
    let second = world.house.dir.path().join("second");
    let consoles = vec![
        (console(&world.house, None), None),
        (console(&world.house, Some(&second)), Some(second.clone())),
    ];
    killed(&world, consoles).await;
}
