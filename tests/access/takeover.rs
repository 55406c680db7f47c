//! Processes that are killed while they put one credential in the place of another: a secret or a certificate in use, and the next one.

use super::kills::{AFTER, MOMENTS, Moment, below, kill, reach};
use super::simulator::{Phase, Rotation};
use super::{House, SECRET, open_at};
use crate::support::certificates::{FILE, thumbprint};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mailgrant::actions::access_token::{How, refresh_now};
use mailgrant::actions::providers::credential::{New, Terms, replace};
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::audit::Actor;
use mailgrant::model::provider::{ClientAuth, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::{Date, ProviderId};
use mailgrant::oauth::KeyedCertificate;
use mailgrant::random::SeededRandom;
use mailgrant::secret::ClientSecret;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How many kills on each engine?
const KILLS: usize = 36;
/// What tells the child what it is to do: data directory, database, file of the new credential, last day of the old one.
const JOB: [&str; 4] = ["TAKEOVER_DATA", "TAKEOVER_DATABASE", "TAKEOVER_NEW", "TAKEOVER_KEEP"];

#[tokio::test]
#[ignore = "the process that the test beside it starts and kills"]
async fn a_process_that_replaces_the_credential() {
    let [Some(data), database, Some(new), keep] = JOB.map(|name| std::env::var(name).ok()) else {
        return;
    };
    let app = open_at(&PathBuf::from(data), database.as_deref(), Arc::new(SystemClock)).await;
    let text = std::fs::read_to_string(new).unwrap();
    let new = if text.starts_with("-----BEGIN") {
        New::Certificate(KeyedCertificate::read_pem(text.as_bytes(), SystemClock.now()).unwrap())
    } else {
        New::Secret(ClientSecret::new(text), None)
    };
    let provider = app.store.provider_by_id(&ProviderId("p1".into())).await.unwrap().unwrap();
    let terms = Terms {
        keep_until: keep.map(|date| Date::parse(&date).unwrap()),
        even_untried: false,
    };
    replace(&app, &Actor::console(), &provider, new, terms).await.unwrap();
}

/// A credential: the file that holds it, what the provider knows it by.
struct Credential {
    file: PathBuf,
    proof: String,
}

/// A secret and two certificates.
fn credentials(house: &House) -> [Credential; 3] {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let made = CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
    let other = format!("{}{}", made.pem(), pair.serialize_pem());
    let of_other = URL_SAFE_NO_PAD.encode(digest(&SHA256, made.der()));
    let make = |name: &str, text: &str, proof: String| {
        let file = house.dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        Credential { file, proof }
    };
    [
        make("secret", SECRET, SECRET.to_owned()),
        make("one.pem", FILE, thumbprint()),
        make("two.pem", &other, of_other),
    ]
}

fn start(house: &House, new: &Credential, keep: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "access::takeover::a_process_that_replaces_the_credential"])
        .env(JOB[0], house.data())
        .envs(house.url.iter().map(|url| (JOB[1], url)))
        .env(JOB[2], &new.file)
        .envs(keep.then_some((JOB[3], "2999-01-01")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn().unwrap()
}

/// What the provider knows the credential in use by.
fn in_use(provider: &Provider, all: &[Credential; 3]) -> usize {
    let print = provider.credentials.certificate.as_ref().map(|certificate| {
        let sha256 = &certificate.facts.sha256;
        let octets: Vec<u8> = (0..sha256.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&sha256[at..at + 2], 16).unwrap())
            .collect();
        URL_SAFE_NO_PAD.encode(octets)
    });
    let (has_secret, by_certificate) = (provider.client_secret.is_some(), provider.client_auth == ClientAuth::Certificate);
    assert_eq!(
        (print.is_some(), has_secret),
        (by_certificate, !by_certificate),
        "neither both nor none"
    );
    let proof = print.unwrap_or_else(|| SECRET.to_owned());
    all.iter().position(|credential| credential.proof == proof).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_during_a_takeover_leaves_a_credential_that_works() {
    for house in House::on_each(TemplateKind::Custom, Rotation::Keep).await {
        house.clock.advance(SystemClock.now().since(house.clock.now()));
        let token = house.signed_in("support").await;
        let all = credentials(&house);
        let stored = async || house.app.store.provider_by_id(&house.provider.id).await.unwrap().unwrap();
        house.sim.delays(Duration::from_millis(5), AFTER);
        let mut phases = house.sim.phases();
        let random = SeededRandom::new(20_261_121);

        // How long does one take until it asks the provider, and from the answer to its end?
        house.sim.takes(&[&all[0].proof, &all[1].proof]);
        let began = Instant::now();
        let mut child = start(&house, &all[1], false);
        reach(&mut phases, Phase::Arrived).await;
        let mut before = u64::try_from(began.elapsed().as_millis()).unwrap();
        reach(&mut phases, Phase::Rotated).await;
        let answered = Instant::now();
        assert!(child.wait().await.unwrap().success());
        let mut rest = u64::try_from(answered.elapsed().saturating_sub(AFTER).as_micros()).unwrap();
        let mut current = in_use(&stored().await, &all);
        assert_eq!(current, 1);

        let (mut killed, mut taken_over) = ([0; 4], 0);
        for round in 0.. {
            if killed.iter().sum::<usize>() == KILLS {
                break;
            }
            assert!(round < KILLS * 5, "too few of {round} died of the kill: {killed:?}");
            let next = (current + 1 + round % 2) % 3;
            // Now and then the provider doesn't know the new one; every other time the old one is to stand by.
            let (known, keep) = (round % 4 != 3, round % 3 == 0);
            let mut takes = vec![all[current].proof.as_str()];
            takes.extend(known.then_some(all[next].proof.as_str()));
            house.sim.takes(&takes);
            let met = (0..MOMENTS.len()).min_by_key(|at| killed[*at]).unwrap();
            let moment = MOMENTS[met];
            while phases.try_recv().is_ok() {}
            let child = start(&house, &all[next], keep);
            match moment {
                Moment::BeforeTheRequest => tokio::time::sleep(Duration::from_millis(before / 2 + below(&random, before / 2))).await,
                Moment::Sent => reach(&mut phases, Phase::Arrived).await,
                Moment::Rotated if known => reach(&mut phases, Phase::Rotated).await,
                Moment::Rotated => reach(&mut phases, Phase::Arrived).await,
                Moment::Answered => {
                    reach(&mut phases, if known { Phase::Rotated } else { Phase::Arrived }).await;
                    if known && taken_over == 0 {
                        // At least once it is over when the kill comes, however the processes are scheduled.
                        let began = Instant::now();
                        while in_use(&stored().await, &all) != next && began.elapsed() < Duration::from_secs(20) {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    } else {
                        tokio::time::sleep(AFTER + Duration::from_micros(below(&random, rest))).await;
                    }
                }
            }
            if kill(child).await {
                killed[met] += 1;
            } else {
                (before, rest) = match moment {
                    Moment::BeforeTheRequest => (before - before / 8, rest),
                    _ => (before, rest - rest / 8),
                };
            }
            let provider = stored().await;
            let now = in_use(&provider, &all);
            assert!(
                now == current || (known && now == next),
                "round {round}: {now} after {current}, wanted {next}"
            );
            taken_over += usize::from(now != current);
            if !keep && now != current {
                assert!(provider.credentials.fallback.is_none(), "the old one stands by nobody wanted");
            }
            // The one in use works by itself, without anything that stands by.
            house.sim.takes(&[&all[now].proof]);
            let app = house.another().await;
            let handed = refresh_now(&app, &token).await.unwrap();
            assert_eq!(handed.how, How::Refreshed, "round {round}, {moment:?}");
            app.store.close().await;
            current = now;
        }
        eprintln!("kills during takeovers: {killed:?}, taken over before the kill: {taken_over}");
        assert!(taken_over > 0, "nothing was ever taken over");
        assert!(house.app.store.verify_audit().await.unwrap().is_ok(), "no half change");
        assert!(house.audited("provider.fallback").await.is_empty(), "nothing had to stand in");
    }
}
