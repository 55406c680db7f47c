//! Two consoles on one database: a sign-in at another device is asked about by one of them at a time, and ends once.

use super::{IMAP, MICROSOFT_APP, Play, SUPPORT, TENANT};
use crate::support::databases::{NOW, console, new_postgres};
use mailgrant::actions::authorize::device::{ask_about, codes, start};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::app::App;
use mailgrant::clock::MockClock;
use mailgrant::model::Name;
use mailgrant::model::audit::Actor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

async fn open(directory: &Path, url: Option<&str>, clock: &MockClock) -> App {
    console(&directory.join("data"), url, Arc::new(clock.clone())).await
}

/// Both consoles look at the same moment, several times each.
async fn all_ask(consoles: &[App; 2], attempt: &str) {
    let asking: Vec<_> = (0..8)
        .map(|n| {
            let (app, attempt) = (consoles[n % 2].clone(), attempt.to_owned());
            tokio::spawn(async move { ask_about(&app, &attempt).await })
        })
        .collect();
    for asking in asking {
        asking.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_consoles_ask_about_a_device_in_turns_and_one_ends_the_sign_in() {
    let mut urls = vec![None];
    match new_postgres().await {
        Some(url) => urls.push(Some(url)),
        None => eprintln!("PostgreSQL not tried: start with tests/run"),
    }
    for url in urls {
        let clock = MockClock::at(NOW);
        let play = Play::start_at(&clock).await;
        let directory = TempDir::new().unwrap();
        let first = open(directory.path(), url.as_deref(), &clock).await;
        let consoles = [first, open(directory.path(), url.as_deref(), &clock).await];
        let [app, other] = &consoles;
        let text = format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"{TENANT}\"\nauthority = \"{}\"\nclient_id = \"{}\"\n\
             client_auth = \"none\"\ngrant = \"device_code\"\nscopes = [\"offline_access\", \"{IMAP}\"]\n\
             [[token]]\nname = \"support\"\nprovider = \"contoso\"\nuser = \"{SUPPORT}\"\n",
            play.sandbox.url(),
            MICROSOFT_APP.0
        );
        let sources = Sources {
            directory: PathBuf::new(),
            env: &|_| None,
        };
        let actor = Actor::console();
        apply(app, &actor, &parse(&text).unwrap(), &sources, false).await.unwrap();
        let token = app.store.token(&Name::parse("support").unwrap()).await.unwrap().unwrap();
        let provider = app.store.provider_by_id(&token.provider_id).await.unwrap().unwrap();

        // Both begin: one code.
        let (one, two) = tokio::join!(
            start(app, &actor, None, &token, &provider),
            start(other, &actor, None, &token, &provider)
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.attempt.id, two.attempt.id);
        assert_ne!(one.is_new, two.is_new);
        let attempt = one.attempt.id.as_str();

        // The provider says "slow down" to whoever asks twice, and then the pauses grow.
        for turn in 1..=3 {
            clock.advance(5);
            all_ask(&consoles, attempt).await;
            let device = other.store.device(&token.id).await.unwrap().unwrap();
            assert_eq!((device.pause, device.failures), (5, 0), "turn {turn}: asked twice");
            assert_eq!(device.next_at, NOW.plus(5 * (turn + 1)));
        }
        let stored = other.store.authorization(attempt).await.unwrap().unwrap();
        let codes = codes(other, &provider, &stored).unwrap();
        let form = [("code", codes.user_code.as_str()), ("account", SUPPORT), ("decision", "allow")];
        play.post(&codes.address, &form).await;
        clock.advance(5);
        all_ask(&consoles, attempt).await;
        assert_eq!(other.store.authorization(attempt).await.unwrap().unwrap().outcome, "signed_in");
        assert_eq!(other.store.device(&token.id).await.unwrap(), None);
        let grant = app.store.grant(&token.id).await.unwrap().unwrap();
        assert_eq!((grant.generation, grant.identity.account()), (1, SUPPORT));
        let rows = app.store.audit_rows(100).await.unwrap();
        let ends = rows
            .iter()
            .filter(|row| row.action == "token.authorize.finish" && row.detail.starts_with("signed_in"));
        assert_eq!(ends.count(), 1, "{rows:?}");
        clock.advance(5);
        all_ask(&consoles, attempt).await;
        assert_eq!(app.store.grant(&token.id).await.unwrap(), Some(grant), "what is over stays over");
    }
}
