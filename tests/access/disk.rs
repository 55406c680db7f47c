//! A disk that is full, a database that is locked: nothing is asked for that could not be kept, and what came is kept all the same.

use super::simulator::Rotation;
use super::{House, open};
use mailgrant::actions::access_token::{AccessError, How, access_token, refresh_now, settle_unanswered};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Token;
use serde_json::json;
use sqlx::Connection;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const CUSTOM: TemplateKind = TemplateKind::Custom;

/// The database file grows no further than so many pages, on any connection there is.
async fn limit(house: &House, pages: i64) {
    let pool = house.app.store.raw_pool();
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.push(pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(pragma).execute(&mut **connection).await.unwrap();
    }
}

/// The next token set is too big for the room that is left in the database.
fn with_a_big_token(house: &House) {
    let token = format!("canary-{}", "x".repeat(60_000));
    house.sim.next([super::simulator::Fault::But(json!({ "access_token": token }))]);
}

fn kept(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.data().join("recovery")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

async fn execute(house: &House, sql: &'static str) {
    sqlx::query(sql).execute(house.app.store.raw_pool()).await.unwrap();
}

const NO_CLAIM: &str = "CREATE TRIGGER full BEFORE UPDATE ON grants BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
const NO_RESULT: &str =
    "CREATE TRIGGER full BEFORE UPDATE ON grants WHEN NEW.outcome = 'ok' BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";

#[tokio::test]
async fn on_a_full_disk_nothing_is_asked_for_that_could_not_be_kept() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    execute(&house, NO_CLAIM).await;
    house.clock.advance(3590);
    assert_eq!(house.get(&token).await.unwrap().expires_in, 10, "the stored one is served");
    house.clock.advance(10);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Busy(_)) && error.is_transient(), "{error:?}");
    assert_eq!((error.diagnosis().id.as_str(), house.sim.count()), ("console-disk-full", 0));
    // It heals by itself.
    execute(&house, "DROP TRIGGER full").await;
    assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
}

#[tokio::test]
async fn while_another_program_locks_the_database_nothing_is_asked_for() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    let file = house.data().join("mailgrant.db");
    let mut shell = sqlx::AnyConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut shell).await.unwrap();
    assert_eq!(house.get(&token).await.unwrap().how, How::Stored, "reading goes on");
    house.clock.advance(3600);
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Busy(_)), "{error:?}");
    assert_eq!((error.diagnosis().id.as_str(), house.sim.count()), ("console-database-busy", 0));
    sqlx::query("COMMIT").execute(&mut shell).await.unwrap();
    assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
}

#[tokio::test]
async fn a_database_that_cannot_grow_loses_nothing_and_heals() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    limit(&house, 1).await;
    with_a_big_token(&house);
    let handed = house.get(&token).await.unwrap();
    assert_eq!(handed.access_token.expose_secret().len(), 60_007);
    limit(&house, 1_000_000).await;
    super::until("it is stored", async || house.grant(&token).await.generation == 2).await;
    super::until("the file is gone", async || kept(&house).is_empty()).await;
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
    // No connection is left in the middle of something.
    for _ in 0..20 {
        refresh_now(&house.app, &token).await.unwrap();
    }
}

/// A token that was renewed while the disk was full.
async fn renewed_on_a_full_disk(house: &House) -> Token {
    let token = house.signed_in("support").await;
    settle_unanswered(&house.app).await.unwrap();
    house.clock.advance(3600);
    execute(house, NO_RESULT).await;
    with_a_big_token(house);
    let handed = house.get(&token).await.unwrap();
    assert_eq!(handed.access_token.expose_secret().len(), 60_007);
    token
}

#[tokio::test]
async fn a_token_set_that_cannot_be_stored_is_kept_beside_the_database() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = renewed_on_a_full_disk(&house).await;
    let files = kept(&house);
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].file_name().unwrap().to_str().unwrap(), "id-of-support.2");
    assert_eq!(fs::metadata(&files[0]).unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(text.starts_with("v1.") && !text.contains("canary"));
    assert!(!house.data().join("ballast").exists(), "given up for this");

    // Who asks meanwhile, here or in another process, gets it, and the used-up refresh token is not sent again.
    assert_eq!(house.grant(&token).await.generation, 1);
    assert_eq!(house.get(&token).await.unwrap().access_token.expose_secret().len(), 60_007);
    let other = house.another().await;
    for app in [&house.app, &other] {
        let handed = access_token(app, &token, None).await.unwrap();
        assert_eq!(handed.access_token.expose_secret().len(), 60_007);
        assert!(refresh_now(app, &token).await.is_ok());
        assert_eq!(house.sim.count(), 1);
    }

    // The next start takes it in.
    execute(&house, "DROP TRIGGER full").await;
    settle_unanswered(&other).await.unwrap();
    assert_eq!(house.grant(&token).await.generation, 2);
    assert!(kept(&house).is_empty());
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
    assert_eq!(house.get(&token).await.unwrap().how, How::Stored);
    assert_eq!(house.sim.count(), 1);
    assert_eq!(house.audited("token.refresh").await.len(), 1);
    assert_eq!(fs::metadata(house.data().join("ballast")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn the_token_set_goes_into_the_database_as_soon_as_there_is_room() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = renewed_on_a_full_disk(&house).await;
    execute(&house, "DROP TRIGGER full").await;
    super::until("it is stored", async || house.grant(&token).await.generation == 2).await;
    super::until("the file is gone", async || kept(&house).is_empty()).await;
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
    assert_eq!(house.sim.count(), 1);
}

#[tokio::test]
async fn what_lasts_nowhere_is_given_to_nobody_until_it_does() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    fs::write(house.data().join("recovery"), "in the way").unwrap();
    execute(&house, NO_RESULT).await;
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Busy(_)), "{error:?}");
    let error = house.get(&token).await.unwrap_err();
    assert!(matches!(error, AccessError::Busy(_)), "{error:?}");
    assert_eq!(house.sim.count(), 1, "the refresh token in the database is used up");
    fs::remove_file(house.data().join("recovery")).unwrap();
    super::until("the folder has it", async || kept(&house).len() == 1).await;
    assert_eq!(house.get(&token).await.unwrap().how, How::Refreshed);
    execute(&house, "DROP TRIGGER full").await;
    super::until("the database has it", async || house.grant(&token).await.generation == 2).await;
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
    assert_eq!(house.sim.count(), 1);
}

#[tokio::test]
async fn a_stop_keeps_what_lasts_nowhere_yet() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    house.clock.advance(3600);
    fs::write(house.data().join("recovery"), "in the way").unwrap();
    execute(&house, NO_RESULT).await;
    house.get(&token).await.unwrap_err();
    house.app.stopping.cancel();
    house.app.tasks.close();
    fs::remove_file(house.data().join("recovery")).unwrap();
    tokio::time::timeout(Duration::from_secs(20), house.app.tasks.wait()).await.unwrap();
    assert_eq!(kept(&house).len(), 1);
    execute(&house, "DROP TRIGGER full").await;
    let next = open(&house.dir, None, Arc::new(house.clock.clone())).await;
    settle_unanswered(&next).await.unwrap();
    assert!(house.sim.is_good(&house.refresh_token(&token).await));
}

#[tokio::test]
async fn a_kept_token_set_of_an_older_sign_in_is_not_taken_in() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = renewed_on_a_full_disk(&house).await;
    let file = fs::read(&kept(&house)[0]).unwrap();
    execute(&house, "DROP TRIGGER full").await;
    super::until("the file is gone", async || kept(&house).is_empty()).await;
    // Logged out, and signed in anew: generations begin anew, and the file comes back with a restored directory.
    let mut tx = house.app.store.begin().await.unwrap();
    tx.delete_grant(&token.id).await.unwrap();
    tx.commit().await.unwrap();
    house.clock.advance(5);
    house.sign_in(&token).await;
    let before = house.grant(&token).await;
    fs::write(house.data().join("recovery/id-of-support.2"), file).unwrap();
    settle_unanswered(&house.app).await.unwrap();
    assert_eq!(house.grant(&token).await, before);
    assert!(kept(&house).is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_stops_nothing() {
    let house = House::new(CUSTOM, Rotation::Strict).await;
    let token = house.signed_in("support").await;
    fs::create_dir(house.data().join("recovery")).unwrap();
    for name in ["id-of-support.2", "id-of-nobody.7", "no number", "id-of-support.3.new"] {
        fs::write(house.data().join("recovery").join(name), "v1.nothing").unwrap();
    }
    settle_unanswered(&house.app).await.unwrap();
    let mut names: Vec<_> = kept(&house)
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["id-of-support.2.damaged", "id-of-support.3.new", "no number"]);
    house.clock.advance(3600);
    assert_eq!(house.get(&token).await.unwrap().expires_at, house.app.clock.now().plus(3600));
}
