//! A console that is killed while it mails: no message arrives twice, and none that waits is lost. A real process, killed with signal 9.

use super::sink::{all, save};
use crate::access::kills::below;
use crate::probe::server::{Peer, Server};
use crate::support::databases::console;
use mailgrant::actions::notices::channels::ChannelsInput;
use mailgrant::actions::notices::{consented, look};
use mailgrant::clock::SystemClock;
use mailgrant::model::notices::DeliveryState;
use mailgrant::random::SeededRandom;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How many messages wait, and how often is the console killed?
const MESSAGES: usize = 10;
const RECIPIENTS: usize = 12;
const KILLS: usize = 12;

type Taken = Arc<Mutex<Vec<String>>>;

/// A server that takes its time before and after it takes a message.
async fn slow(taken: Taken) -> Server {
    Server::start(None, move |mut peer: Peer| {
        let taken = Arc::clone(&taken);
        async move {
            peer.say("220 mail.test ESMTP").await?;
            loop {
                let command = peer.line().await?;
                tokio::time::sleep(Duration::from_millis(25)).await;
                match command.split([' ', ':']).next().unwrap_or_default() {
                    "DATA" => {
                        peer.say("354 end with a dot").await?;
                        let mut id = String::new();
                        loop {
                            let line = peer.line().await?;
                            if let Some(found) = line.strip_prefix("Message-ID: ") {
                                id = found.to_owned();
                            }
                            if line == "." {
                                break;
                            }
                        }
                        taken.lock().unwrap().push(id);
                        tokio::time::sleep(Duration::from_millis(40)).await;
                        peer.say("250 2.0.0 Ok: queued as 1").await?;
                    }
                    "EHLO" => peer.say("250-mail.test\n250 8BITMIME").await?,
                    "QUIT" => return peer.say("221 bye").await,
                    _ => peer.say("250 2.1.0 Ok").await?,
                }
            }
        }
    })
    .await
}

fn serve(dir: &TempDir) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mailgrant"))
        .arg("serve")
        .env_clear()
        .env("MAILGRANT_DATA_DIR", dir.path().join("data"))
        .env("MAILGRANT_ALLOW_NETWORKS", "loopback")
        .env("MAILGRANT_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_is_killed_while_it_mails_sends_nothing_twice_and_loses_nothing_that_waits() {
    let dir = TempDir::new().unwrap();
    let app = console(&dir.path().join("data"), None, Arc::new(SystemClock)).await;
    let taken = Taken::default();
    let server = slow(Arc::clone(&taken)).await;
    let recipients: Vec<String> = (0..RECIPIENTS).map(|number| format!("person-{number}@contoso.test")).collect();
    let input = ChannelsInput {
        recipients: recipients.join("\n"),
        host: "127.0.0.1".into(),
        port: server.port.to_string(),
        security: "none".into(),
        from: "console@contoso.test".into(),
        ..all()
    };
    save(&app, &input).await;
    for number in 0..MESSAGES {
        let mut tx = app.store.begin().await.unwrap();
        consented(&app, &mut tx, "Maija", &format!("token-{number}"), "/".into())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    look(&app, &[]).await.unwrap();
    let all = MESSAGES * RECIPIENTS;
    let states = || async {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for one in app.store.deliveries(None, None, 1000).await.unwrap() {
            *count.entry(one.state.as_str()).or_default() += 1;
        }
        count
    };
    assert_eq!(states().await.get("waiting"), Some(&all));

    let random = SeededRandom::new(20_261_121);
    let mut kills = 0;
    while kills < KILLS {
        let before = taken.lock().unwrap().len();
        let mut child = serve(&dir);
        let began = Instant::now();
        while taken.lock().unwrap().len() == before && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if taken.lock().unwrap().len() == before {
            child.kill().await.unwrap();
            break;
        }
        tokio::time::sleep(Duration::from_millis(below(&random, 60))).await;
        child.kill().await.unwrap();
        kills += 1;
    }
    let child = serve(&dir);
    let began = Instant::now();
    loop {
        let now = states().await;
        let open: usize = ["waiting", "sending", "handing"].iter().filter_map(|state| now.get(state)).sum();
        if open == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{now:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(child);
    let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
    for id in taken.lock().unwrap().iter() {
        *arrived.entry(id.clone()).or_default() += 1;
    }
    let twice: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let ended = states().await;
    eprintln!("{kills} kills, {} of {all} arrived, {ended:?}", arrived.len());
    assert!(kills >= 5, "{kills}");
    for one in app.store.deliveries(None, None, 1000).await.unwrap() {
        let there = arrived.keys().any(|id| id.contains(&one.id));
        match one.state {
            DeliveryState::Delivered => assert!(there, "{one:?}"),
            // It was being handed over when the console died: maybe it arrived.
            DeliveryState::Unknown => {}
            _ => panic!("{one:?}"),
        }
    }
    // Eight go out at once.
    assert!(ended.get("unknown").copied().unwrap_or(0) <= kills * 8, "{ended:?}");
}
