//! A message of a mailbox to itself, through Postfix and Dovecot.

use crate::support::databases::config;
use crate::support::records;
use crate::support::rig::Rig;
use mailgrant::actions::mailboxes::{self, MailboxInput, check_mailbox};
use mailgrant::app::App;
use mailgrant::clock::{Clock, MockClock, SystemClock};
use mailgrant::model::audit::Actor;
use mailgrant::model::round_trip::Outcome;
use mailgrant::random::SystemRandom;
use mailgrant::store::turns::Turn;
use mailgrant::worker::{findings, instances, round_trips, turns};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

#[tokio::test]
async fn a_message_goes_through_postfix_and_is_found_in_dovecot() {
    let Some(rig) = Rig::get() else { return };
    let dir = TempDir::new().unwrap();
    let authority = rig.ca_file.to_str().unwrap();
    let settings = [("MAILGRANT_ALLOW_NETWORKS", "loopback"), ("MAILGRANT_EXTRA_CA_FILE", authority)];
    let clock = MockClock::at(SystemClock.now());
    let app = App::open(
        config(&dir.path().join("data"), &settings),
        Arc::new(clock.clone()),
        Arc::new(SystemRandom),
    )
    .await
    .unwrap();
    instances::tick(&app).await.unwrap();
    let (imaps, submissions) = (rig.port("imaps"), rig.port("submissions"));
    let mut input = MailboxInput {
        address: rig.user("plain").to_owned(),
        enabled: true,
        round_trip_hours: "1".into(),
        ..records::mailbox("plain", Some(imaps), Some(submissions), &rig.plain_password)
    };
    for side in [&mut input.incoming, &mut input.outgoing].into_iter().flatten() {
        side.host.clone_from(&rig.host);
        side.security = "tls".into();
    }
    let edit = check_mailbox(&input, &app.gate).unwrap();
    let mailbox = mailboxes::create(&app, &Actor::console(), edit).await.unwrap();
    for seconds in [0, 3601] {
        clock.advance(seconds);
        round_trips::tick(&app).await.unwrap();
        while turns::busy(&app, Turn::RoundTrip) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let trips = app.store.round_trips(&mailbox.id, 10).await.unwrap();
    assert_eq!(
        (trips.len(), trips[0].outcome, trips[0].place.as_str()),
        (1, Outcome::Arrived, "inbox"),
        "{trips:?}"
    );
    assert!(trips[0].seconds.unwrap() < 30, "{trips:?}");

    // And the weekly look counts it there.
    findings::tick(&app).await.unwrap();
    clock.advance(8 * 86_400);
    findings::tick(&app).await.unwrap();
    while turns::busy(&app, Turn::Finding) > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = app.store.finding(&mailbox.id).await.unwrap().unwrap();
    assert!(found.messages >= 1 && found.oversized == 0, "{found:?}");
    rig.mark("postfix");
}
