//! Tokens that nobody signs in for, and one that was signed in for at another device: shared by everybody who asks, and not lost by a kill.

use super::kills::{AFTER, MOMENTS, Moment, below, kill, mailgrant, reach};
use super::simulator::Rotation;
use super::{House, SECRET, open};
use mailgrant::actions::access_token::{How, NewGrant, access_token, refresh_now, store_first_grant};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::clock::{Clock, SystemClock};
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, GrantType, Token};
use mailgrant::random::SeededRandom;
use mailgrant::secret::RefreshToken;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// One token a grant.
const NAMES: [&str; 4] = ["app", "old", "robot", "phone"];
const AT_ONCE: Duration = Duration::from_secs(20);
/// How many kills a token?
const KILLS: usize = 8;

/// The key file of a service account.
fn key_file(url: &str) -> String {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        .unwrap()
        .serialize_pem();
    json!({
        "type": "service_account", "private_key_id": "k1", "private_key": key, "client_email": "robot@sandbox.iam.gserviceaccount.com",
        "client_id": "1170001", "token_uri": format!("{url}/token"),
    })
    .to_string()
}

/// Makes the four tokens; the one of the device was signed in for just now.
async fn furnish(house: &House) -> Vec<Token> {
    let url = &house.sim.url;
    let place = format!("issuer = \"{url}\"\nauthorize_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"\n");
    let text = format!(
        "[[provider]]\nname = \"own\"\ntemplate = \"custom\"\n{place}device_authorization_url = \"{url}/device\"\nclient_id = \"own\"\n\
         client_auth = \"secret_post\"\nclient_secret = \"{SECRET}\"\nscopes = [\"mail\"]\n\
         [[token]]\nname = \"app\"\nprovider = \"own\"\ngrant = \"client_credentials\"\nscopes = [\"mail\"]\n\
         [[token]]\nname = \"old\"\nprovider = \"own\"\ngrant = \"password\"\nuser = \"old@contoso.test\"\npassword = \"canary-grant-password\"\n\
         [[token]]\nname = \"phone\"\nprovider = \"own\"\ngrant = \"device_code\"\nuser = \"phone@contoso.test\"\n\
         [[provider]]\nname = \"accounts\"\ntemplate = \"google\"\n{place}grant = \"jwt_bearer\"\nscopes = [\"https://mail.google.com/\"]\n\
         service_account = {}\n\
         [[token]]\nname = \"robot\"\nprovider = \"accounts\"\ngrant = \"jwt_bearer\"\nuser = \"help@fabrikam.test\"\n",
        toml::Value::String(key_file(url))
    );
    let sources = Sources {
        directory: PathBuf::new(),
        env: &|_| None,
    };
    let file = parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    apply(&house.app, &Actor::console(), &file, &sources, false).await.unwrap();
    let mut tokens = Vec::new();
    for name in NAMES {
        let token = house.app.store.token(&Name::parse(name).unwrap()).await.unwrap().unwrap();
        if token.grant == GrantType::DeviceCode {
            let provider = house.app.store.provider_by_id(&token.provider_id).await.unwrap().unwrap();
            let refresh_token = RefreshToken::new(house.sim.sign_in());
            let new = NewGrant::Imported {
                refresh_token: &refresh_token,
                by: "Maija",
            };
            let mut tx = house.app.store.begin().await.unwrap();
            store_first_grant(&house.app, &mut tx, &token, &provider, new).await.unwrap();
            tx.commit().await.unwrap();
        }
        tokens.push(token);
    }
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_callers_in_two_processes_are_one_request_for_every_grant() {
    for house in House::on_each(TemplateKind::Custom, Rotation::Strict).await {
        let other = house.another().await;
        house.sim.delays(Duration::from_millis(200), Duration::from_millis(200));
        for token in furnish(&house).await {
            // Nothing is there at first; then what was got has run out.
            for turn in 0..2 {
                let before = house.sim.count();
                let asking: Vec<_> = (0..50)
                    .map(|n| {
                        let (app, token) = (if n % 2 == 0 { &house.app } else { &other }.clone(), token.clone());
                        tokio::spawn(async move { access_token(&app, &token, None).await })
                    })
                    .collect();
                let mut given = HashSet::new();
                for asking in asking {
                    given.insert(asking.await.unwrap().unwrap().access_token.expose_secret().to_owned());
                }
                assert_eq!((house.sim.count() - before, given.len()), (1, 1), "{} {turn}", token.grant);
                house.clock.advance(3600);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_between_loses_nothing_for_any_grant() {
    for house in House::on_each(TemplateKind::Custom, Rotation::Grace(Duration::from_secs(10))).await {
        house.clock.advance(SystemClock.now().since(house.clock.now()));
        let app = open(&house.dir, house.url.as_deref(), Arc::new(SystemClock)).await;
        house.sim.delays(Duration::from_millis(5), AFTER);
        let mut phases = house.sim.phases();
        let random = SeededRandom::new(20_261_121);
        for token in furnish(&house).await {
            let began = Instant::now();
            let child = mailgrant(&house, &["token", "refresh", token.name.as_str()]).spawn().unwrap();
            reach(&mut phases, super::simulator::Phase::Arrived).await;
            let start = u64::try_from(began.elapsed().as_millis()).unwrap();
            super::kills::text(&child.wait_with_output().await.unwrap());
            let mut killed = 0;
            for round in 0..KILLS {
                let moment = MOMENTS[round % MOMENTS.len()];
                while phases.try_recv().is_ok() {}
                let child = mailgrant(&house, &["token", "refresh", token.name.as_str()]).spawn().unwrap();
                match moment {
                    Moment::BeforeTheRequest => tokio::time::sleep(Duration::from_millis(start / 2 + below(&random, start / 2))).await,
                    Moment::Sent => reach(&mut phases, super::simulator::Phase::Arrived).await,
                    Moment::Rotated => reach(&mut phases, super::simulator::Phase::Rotated).await,
                    Moment::Answered => {
                        reach(&mut phases, super::simulator::Phase::Rotated).await;
                        tokio::time::sleep(AFTER + Duration::from_millis(below(&random, 5))).await;
                    }
                }
                killed += usize::from(kill(child).await);
                // Whoever comes next neither waits for the dead nor is told to sign in again.
                let handed = timeout(AT_ONCE, refresh_now(&app, &token)).await.unwrap().unwrap();
                assert_eq!(handed.how, How::Refreshed, "{} {moment:?}", token.grant);
                let grant = app.store.grant(&token.id).await.unwrap().unwrap();
                assert_eq!(
                    (grant.state, grant.outcome.as_str()),
                    (GrantState::Active, "ok"),
                    "{} {moment:?}",
                    token.grant
                );
            }
            assert!(killed >= KILLS / 2, "{}: {killed} of {KILLS} died of the kill", token.grant);
        }
        assert!(app.store.verify_audit().await.unwrap().is_ok(), "no half change");
        assert!(app.store.unanswered_grants().await.unwrap().is_empty());
    }
}
