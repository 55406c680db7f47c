//! Consoles that are killed while they renew by themselves: on SQLite one after the other, on PostgreSQL two at a time. Real processes,
//! killed with signal 9 at moments of a renewal.

use crate::access::House;
use crate::access::kills::{Moment, below, kill, mailgrant, reach};
use crate::access::simulator::{Phase, Rotation};
use crate::support::databases::new_postgres;
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token};
use mailgrant::random::SeededRandom;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// How many tokens hang on the provider?
const TOKENS: usize = 12;
/// How many kills on each engine?
const KILLS: usize = 30;
const MOMENTS: [Moment; 4] = [Moment::BeforeTheRequest, Moment::Sent, Moment::Rotated, Moment::Answered];

/// A house whose clock is the present, and its tokens. The provider rotates, and forgives a lost answer for ten seconds.
async fn house(url: Option<String>) -> (House, Vec<Token>) {
    let house = House::on(url, TemplateKind::Custom, Rotation::Grace(Duration::from_secs(10))).await;
    house.clock.advance(SystemClock.now().since(house.clock.now()));
    let mut tokens = Vec::new();
    for number in 0..TOKENS {
        tokens.push(house.signed_in(&format!("mailbox-{number}")).await);
    }
    house.sim.delays(Duration::from_millis(5), Duration::from_millis(15));
    (house, tokens)
}

/// A console on the house's database; the second one has a data directory of its own, and the same key.
fn console(house: &House, second: Option<&PathBuf>) -> Child {
    let mut command = mailgrant(house, &["serve"]);
    command
        .env("MAILGRANT_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(data) = second {
        command
            .env("MAILGRANT_DATA_DIR", data)
            .env("MAILGRANT_MASTER_KEY_FILE", house.data().join("master.key"));
    }
    command.spawn().unwrap()
}

async fn all_due(house: &House) {
    sqlx::query("UPDATE grants SET due_at = 0 WHERE lease_owner IS NULL")
        .execute(house.app.store.raw_pool())
        .await
        .unwrap();
}

/// Every grant lives, nothing is open, and the provider takes each refresh token once more.
async fn settled(house: &House, tokens: &[Token]) -> Result<(), String> {
    for token in tokens {
        let grant = house.grant(token).await;
        if grant.outcome == "sent" {
            return Err(format!("the answer of {} is not known", token.name));
        }
        if grant.state != GrantState::Active {
            return Err(format!("{}: {:?}", token.name, grant.last_error));
        }
        if !house.sim.is_good(&house.refresh_token(token).await) {
            return Err(format!("{} is lost", token.name));
        }
    }
    Ok(())
}

async fn until_settled(house: &House, tokens: &[Token], seconds: u64) {
    let began = Instant::now();
    loop {
        match settled(house, tokens).await {
            Ok(()) => return,
            Err(why) => assert!(began.elapsed() < Duration::from_secs(seconds), "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills one of these consoles again and again, and starts it anew.
async fn killed(house: &House, tokens: &[Token], mut consoles: Vec<(Child, Option<PathBuf>)>) {
    let random = SeededRandom::new(20_261_121);
    let mut phases = house.sim.phases();
    let mut met = [0; 4];
    for round in 0.. {
        let kills: usize = met.iter().sum();
        if kills == KILLS {
            break;
        }
        assert!(round < KILLS * 3, "{met:?}");
        let next = round % MOMENTS.len();
        while phases.try_recv().is_ok() {}
        all_due(house).await;
        match MOMENTS[next] {
            Moment::BeforeTheRequest => {
                reach(&mut phases, Phase::Arrived).await;
                tokio::time::sleep(Duration::from_millis(below(&random, 300))).await;
            }
            Moment::Sent => reach(&mut phases, Phase::Arrived).await,
            Moment::Rotated => reach(&mut phases, Phase::Rotated).await,
            Moment::Answered => {
                reach(&mut phases, Phase::Rotated).await;
                tokio::time::sleep(Duration::from_millis(15) + Duration::from_micros(below(&random, 10_000))).await;
            }
        }
        let (child, data) = consoles.remove(usize::try_from(below(&random, 2)).unwrap() % consoles.len());
        assert!(kill(child).await, "it ended by itself");
        met[next] += 1;
        consoles.push((console(house, data.as_ref()), data));
        // The provider forgives for ten seconds: what this kill left open is settled before the next one.
        until_settled(house, tokens, 20).await;
    }
    until_settled(house, tokens, 20).await;
    for (child, _) in consoles {
        kill(child).await;
    }
    let mut renewed = 0;
    for token in tokens {
        renewed += house.grant(token).await.generation - 1;
    }
    eprintln!(
        "kills: {met:?}; {renewed} renewals of {TOKENS} tokens, {} requests",
        house.sim.count()
    );
    assert!(renewed >= i64::try_from(KILLS).unwrap());
    house.app.store.check_integrity().await.unwrap();
    assert!(house.app.store.verify_audit().await.unwrap().is_ok(), "the chain is whole");
}

/// F30, F31 as far as a process goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_is_killed_while_it_renews_loses_nothing() {
    let (house, tokens) = house(None).await;
    let child = console(&house, None);
    killed(&house, &tokens, vec![(child, None)]).await;
}

/// F29, F30, MULTI-3: one of two is killed, the other goes on, and no refresh token is used twice but within the grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consoles_of_which_one_is_killed_lose_nothing() {
    let Some(url) = new_postgres().await else {
        eprintln!("PostgreSQL not tried: start with tests/run");
        return;
    };
    let (house, tokens) = house(Some(url)).await;
    let second = house.dir.path().join("second");
    let consoles = vec![
        (console(&house, None), None),
        (console(&house, Some(&second)), Some(second.clone())),
    ];
    killed(&house, &tokens, consoles).await;
}
