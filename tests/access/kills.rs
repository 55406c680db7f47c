//! Real processes, killed and counted.

use super::simulator::{Phase, Rotation};
use super::{House, open};
use mailgrant::actions::access_token::{How, access_token, refresh_now, settle_unanswered};
use mailgrant::app::App;
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, Token};
use mailgrant::random::{Random, SeededRandom};
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedReceiver;

/// How many real kills?
const KILLS: usize = 100;

/// A house in the present, as child processes see it, and its application in this process.
async fn house(rotation: Rotation, signed_in_ago: i64) -> (House, App, Token) {
    let house = House::new(TemplateKind::Custom, rotation).await;
    house.clock.advance(SystemClock.now().since(house.clock.now()) - signed_in_ago);
    let token = house.signed_in("support").await;
    let app = open(&house.dir, None, Arc::new(SystemClock)).await;
    (house, app, token)
}

pub fn mailgrant(house: &House, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailgrant"));
    command
        .args(arguments)
        .env_clear()
        .env("MAILGRANT_DATA_DIR", house.data())
        .env("MAILGRANT_ALLOW_NETWORKS", "loopback")
        .envs(house.url.iter().map(|url| ("MAILGRANT_DATABASE_URL", url)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_at_once_are_one_request() {
    let (house, app, token) = house(Rotation::Strict, 3600).await;
    house.sim.delays(Duration::from_millis(300), Duration::from_millis(300));
    let asking: Vec<_> = (0..6)
        .map(|_| tokio::spawn(mailgrant(&house, &["token", "get", "support"]).output()))
        .collect();
    let here = access_token(&app, &token, None).await.unwrap();
    for asking in asking {
        let output = asking.await.unwrap().unwrap();
        assert_eq!(text(&output), here.access_token.expose_secret());
    }
    assert_eq!(house.sim.count(), 1);
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_takes_the_way_over_a_proxy_of_the_environment() {
    let (house, _app, _token) = house(Rotation::Strict, 3600).await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = mailgrant(&house, &["token", "refresh", "support"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, &address);
    }
    // Whoever asks a proxy that never answers would wait for it.
    let output = tokio::select! {
        output = command.output() => output.unwrap(),
        _ = proxy.accept() => panic!("the proxy was asked"),
    };
    assert!(text(&output).starts_with("renewed"));
    assert_eq!(house.sim.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_leaves_without_its_entry_in_the_audit_log() {
    let (house, _app, _token) = house(Rotation::Strict, 0).await;
    let pool = house.app.store.raw_pool();
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    sqlx::query(full).execute(pool).await.unwrap();
    for arguments in [&["token", "get", "support"][..], &["token", "get", "support", "--json"]] {
        let output = mailgrant(&house, arguments).output().await.unwrap();
        assert_eq!((output.status.success(), output.stdout.as_slice()), (false, &b""[..]));
    }
    sqlx::query("DROP TRIGGER full").execute(pool).await.unwrap();
    let output = mailgrant(&house, &["token", "get", "support"]).output().await.unwrap();
    assert_eq!(text(&output), "canary-first-at-support");
}

/// At which moment of a renewal a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Somewhere between its start and the arrival of the request: claimed or not.
    BeforeTheRequest,
    /// The request has arrived; the provider does its part all the same.
    Sent,
    /// The provider has rotated, the answer is on its way.
    Rotated,
    /// The answer has gone out: being read, being stored, stored.
    Answered,
}

pub const MOMENTS: [Moment; 4] = [Moment::BeforeTheRequest, Moment::Sent, Moment::Rotated, Moment::Answered];
pub const AFTER: Duration = Duration::from_millis(15);

pub fn below(random: &dyn Random, limit: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % limit.max(1)
}

pub async fn reach(phases: &mut UnboundedReceiver<Phase>, phase: Phase) {
    let reached = async { while phases.recv().await != Some(phase) {} };
    let _ = tokio::time::timeout(Duration::from_secs(20), reached).await;
}

/// Kills it with signal 9. Says whether that is what it died of.
pub async fn kill(mut child: Child) -> bool {
    child.start_kill().unwrap();
    child.wait().await.unwrap().signal() == Some(9)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_during_renewals_lose_no_grant() {
    // The provider rotates, and forgives a lost answer for ten seconds.
    let (house, app, token) = house(Rotation::Grace(Duration::from_secs(10)), 0).await;
    house.sim.delays(Duration::from_millis(5), AFTER);
    let mut phases = house.sim.phases();
    let random = SeededRandom::new(20_261_121);

    // How long does one take until its request arrives, and from the answer to its end?
    let began = Instant::now();
    let child = mailgrant(&house, &["token", "refresh", "support"]).spawn().unwrap();
    reach(&mut phases, Phase::Arrived).await;
    let mut start = u64::try_from(began.elapsed().as_millis()).unwrap();
    reach(&mut phases, Phase::Rotated).await;
    let rotated = Instant::now();
    text(&child.wait_with_output().await.unwrap());
    let mut rest = u64::try_from(rotated.elapsed().saturating_sub(AFTER).as_micros()).unwrap();

    let mut killed = [0; 4];
    for round in 0.. {
        if killed.iter().sum::<usize>() == KILLS {
            break;
        }
        assert!(round < KILLS * 4, "too few of {round} died of the kill: {killed:?}");
        // A quick one is often done before the kill: the moment that was met the least comes next.
        let next = (0..MOMENTS.len()).min_by_key(|at| killed[*at]).unwrap();
        let moment = MOMENTS[next];
        while phases.try_recv().is_ok() {}
        let child = mailgrant(&house, &["token", "refresh", "support"]).spawn().unwrap();
        match moment {
            Moment::BeforeTheRequest => tokio::time::sleep(Duration::from_millis(start / 2 + below(&random, start / 2))).await,
            Moment::Sent => reach(&mut phases, Phase::Arrived).await,
            Moment::Rotated => reach(&mut phases, Phase::Rotated).await,
            Moment::Answered => {
                reach(&mut phases, Phase::Rotated).await;
                tokio::time::sleep(AFTER + Duration::from_micros(below(&random, rest / 2))).await;
            }
        }
        if kill(child).await {
            killed[next] += 1;
        } else {
            // Measured on a busier machine than this one is by now.
            (start, rest) = match moment {
                Moment::BeforeTheRequest => (start - start / 8, rest),
                _ => (start, rest - rest / 8),
            };
        }
        // What comes next: another process that asks, a start of the console, the same command.
        match round % 10 {
            0 => {
                let output = mailgrant(&house, &["token", "get", "support"]).output().await.unwrap();
                assert!(text(&output).starts_with("canary-"), "round {round}, {moment:?}");
            }
            1..5 => settle_unanswered(&open(&house.dir, None, Arc::new(SystemClock)).await)
                .await
                .unwrap(),
            _ => {
                access_token(&app, &token, None).await.unwrap();
            }
        }
        let grant = house.grant(&token).await;
        assert_eq!(grant.state, GrantState::Active, "round {round}, {moment:?}: {:?}", grant.last_error);
        assert_ne!(grant.outcome, "sent", "round {round}, {moment:?}");
        let refresh_token = house.refresh_token(&token).await;
        assert!(
            house.sim.is_good(&refresh_token),
            "round {round}, {moment:?}: the grant is lost with {refresh_token}"
        );
    }
    eprintln!(
        "kills: {}",
        MOMENTS
            .iter()
            .zip(killed)
            .map(|(moment, kills)| format!("{moment:?} {kills}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    assert_eq!(refresh_now(&app, &token).await.unwrap().how, How::Refreshed);
    app.store.check_integrity().await.unwrap();
    assert!(app.store.verify_audit().await.unwrap().is_ok(), "no half change");
    assert!(app.store.unanswered_grants().await.unwrap().is_empty());
}
