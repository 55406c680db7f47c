//! The audit log: numbers, chain, pages, cutting its old end.

mod filters;

use super::mailboxes::mailbox;
use crate::support::databases::{NOW, databases};
use mailgrant::clock::Timestamp;
use mailgrant::model::audit::{Actor, Anchor, AuditEntry, AuditRow};
use mailgrant::store::audit::{AuditFilter, Held, Trim};
use mailgrant::store::slices::Place;
use mailgrant::store::{Engine, Store, Tx};
use std::time::Duration;

fn entry(target: &str) -> AuditEntry {
    AuditEntry {
        action: "test.act",
        target: target.into(),
        detail: "what changed".into(),
        outcome: "ok",
    }
}

#[tokio::test]
async fn entries_are_numbered_without_gaps_and_the_chain_holds() {
    for database in databases().await {
        let store = &database.store;
        let writers = (0..20).map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.audit(NOW, &Actor::console(), entry(&format!("t:{i}"))).await })
        });
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let mut tx = store.begin().await.unwrap();
        tx.audit(NOW, &Actor::console(), entry("t:rolled-back")).await.unwrap();
        drop(tx);
        store.audit(NOW, &Actor::command_line(), entry("t:last")).await.unwrap();
        assert_eq!(store.verify_audit().await.unwrap(), Ok(21));
        let about = store.audit_rows_of("t:7", 5).await.unwrap();
        assert_eq!(about.iter().map(|row| row.target.as_str()).collect::<Vec<_>>(), ["t:7"]);
        let rows = store.audit_rows(2).await.unwrap();
        assert_eq!(
            (rows[0].sequence, rows[0].target.as_str(), rows[0].actor.as_str()),
            (21, "t:last", "command line")
        );
    }
}

/// Work on many mailboxes beside somebody who saves one of them: neither is thrown away for the other.
#[tokio::test]
async fn whoever_has_a_mailbox_and_an_entry_waits_for_nobody_who_waits_for_the_mailbox() {
    let Some(database) = databases()
        .await
        .into_iter()
        .find(|database| database.store.engine() == Engine::Postgres)
    else {
        return;
    };
    let store = &database.store;
    let mut tx = store.begin().await.unwrap();
    for number in 1..3 {
        tx.insert_mailbox(&mailbox(number)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let change = async |tx: &mut Tx, number: usize| {
        tx.mailbox_by_id(&mailbox(number).id).await.unwrap().unwrap();
        tx.audit(NOW, &Actor::console(), entry(&format!("mailbox:m{number}")))
            .await
            .unwrap();
    };
    let mut many = store.begin().await.unwrap();
    change(&mut many, 1).await;
    let mut save = store.begin().await.unwrap();
    change(&mut save, 2).await;
    let both = async {
        let rest = async {
            change(&mut many, 2).await;
            many.commit().await.unwrap();
        };
        let saved = async {
            // Until the other one waits for it.
            tokio::time::sleep(Duration::from_millis(200)).await;
            save.commit().await.unwrap();
        };
        tokio::join!(rest, saved);
    };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    let told: Vec<String> = store.audit_rows(5).await.unwrap().into_iter().rev().map(|row| row.target).collect();
    assert_eq!(told, ["mailbox:m2", "mailbox:m1", "mailbox:m2"]);
    assert_eq!(store.verify_audit().await.unwrap(), Ok(3));
}

/// What changed lately is found among very many entries of other actions, each action's newest however old.
#[tokio::test]
async fn the_newest_entries_of_some_actions_are_those() {
    for database in databases().await {
        let store = &database.store;
        assert!(store.audit_rows_of_actions(&["test.act"], 5).await.unwrap().is_empty());
        for number in 0..30 {
            let action = ["a.rare", "test.act", "test.other"][if number == 0 { 0 } else { 1 + number % 2 }];
            let entry = AuditEntry {
                action,
                ..entry(&format!("t:{number}"))
            };
            store.audit(NOW, &Actor::console(), entry).await.unwrap();
        }
        let found = async |actions: &[&str], limit| {
            let rows = store.audit_rows_of_actions(actions, limit).await.unwrap();
            rows.into_iter().map(|row| row.target).collect::<Vec<_>>()
        };
        assert_eq!(found(&["test.act"], 3).await, ["t:28", "t:26", "t:24"]);
        assert_eq!(found(&["test.act", "test.other"], 3).await, ["t:29", "t:28", "t:27"]);
        assert_eq!(found(&["a.rare", "a.never"], 3).await, ["t:0"]);
        assert_eq!(found(&["a.rare", "test.act"], 50).await.len(), 15);
        assert!(found(&["rare", "test"], 3).await.is_empty());
    }
}

#[tokio::test]
async fn nobody_changes_or_deletes_an_entry_and_a_forced_change_is_found() {
    for database in databases().await {
        let store = &database.store;
        for i in 0..3 {
            store.audit(NOW, &Actor::console(), entry(&format!("t:{i}"))).await.unwrap();
        }
        for sql in [
            "UPDATE audit SET detail = 'x' WHERE sequence = 2",
            "DELETE FROM audit WHERE sequence = 2",
        ] {
            let error = sqlx::query(sql).execute(store.raw_pool()).await.err().unwrap().to_string();
            assert!(error.contains("append only"), "{error}");
        }
        for drop_guard in ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_change ON audit"] {
            let _ = sqlx::query(drop_guard).execute(store.raw_pool()).await;
        }
        sqlx::query("UPDATE audit SET detail = 'forged' WHERE sequence = 2")
            .execute(store.raw_pool())
            .await
            .unwrap();
        assert_eq!(store.verify_audit().await.unwrap(), Err(2));
    }
}

/// Takes away what keeps rows from being changed, as somebody does who owns the database.
async fn without_guard(store: &Store) {
    for drop_guard in [
        "DROP TRIGGER audit_no_update",
        "DROP TRIGGER audit_no_delete",
        "DROP TRIGGER audit_no_change ON audit",
    ] {
        let _ = sqlx::query(drop_guard).execute(store.raw_pool()).await;
    }
}

async fn run(store: &Store, sql: &'static str) {
    sqlx::query(sql).execute(store.raw_pool()).await.unwrap();
}

async fn fill(store: &Store, count: i64) {
    for n in 1..=count {
        let actor = Actor {
            session: if n % 2 == 0 { "0123456789ab".into() } else { String::new() },
            ..Actor::console()
        };
        store.audit(NOW.plus(n * 3600), &actor, entry(&format!("t:{n}"))).await.unwrap();
    }
}

#[tokio::test]
async fn whatever_is_changed_taken_away_or_put_in_is_named() {
    let harm: [(&str, &[&str], i64); 13] = [
        ("edited", &["UPDATE audit SET outcome = 'refused' WHERE sequence = 4"], 4),
        ("another session", &["UPDATE audit SET session = '' WHERE sequence = 4"], 4),
        ("a session put in", &["UPDATE audit SET session = 'f00d' WHERE sequence = 5"], 5),
        ("deleted", &["DELETE FROM audit WHERE sequence = 4"], 4),
        ("deleted at the beginning", &["DELETE FROM audit WHERE sequence <= 2"], 1),
        ("cut off at the end", &["DELETE FROM audit WHERE sequence > 7"], 8),
        (
            "deleted and closed up",
            &[
                "DELETE FROM audit WHERE sequence = 4",
                "UPDATE audit SET sequence = sequence - 1 WHERE sequence = 5",
            ],
            4,
        ),
        (
            "a false marker of a cut",
            &[
                "DELETE FROM audit WHERE sequence <= 4",
                "INSERT INTO audit_cut (id, sequence, hash, at, seal) VALUES (1, 4, 'x', 0, 'y')",
            ],
            5,
        ),
        ("a false head", &["UPDATE audit_head SET hash = 'x'"], 10),
        ("no head", &["DELETE FROM audit_head"], 1),
        (
            "put behind the head",
            &[
                "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
               SELECT 10, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE sequence = 9",
            ],
            10,
        ),
        (
            "put far behind the head",
            &[
                "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
               SELECT 5000, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE sequence = 9",
            ],
            5000,
        ),
        (
            "put before the beginning",
            &[
                "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
               SELECT -5, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE sequence = 9",
            ],
            -5,
        ),
    ];
    for (what, statements, first_bad) in harm {
        for database in databases().await {
            let store = &database.store;
            fill(store, 9).await;
            assert_eq!(store.verify_audit().await.unwrap(), Ok(9));
            without_guard(store).await;
            for sql in statements {
                run(store, sql).await;
            }
            let chain = store.check_audit(Duration::ZERO).await.unwrap();
            let broken = chain.broken.as_ref().map(|broken| broken.sequence);
            assert_eq!(broken, Some(first_bad), "{what}: {chain:?}");
            if what != "no head" && (1..=7).contains(&first_bad) {
                let trimmed = store.trim_audit(NOW.plus(8 * 3600), NOW, 100).await.unwrap();
                assert_eq!(trimmed, Trim::Broken(first_bad), "{what}: retention takes no evidence away");
            }
        }
    }
}

/// SQLite takes any text where a number belongs.
#[tokio::test]
async fn an_entry_that_cant_be_read_is_the_first_bad_one() {
    let databases = databases().await;
    let database = databases.iter().find(|database| database.store.engine() == Engine::Sqlite).unwrap();
    let store = &database.store;
    fill(store, 5).await;
    without_guard(store).await;
    run(store, "UPDATE audit SET at = 'yesterday' WHERE sequence = 4").await;
    let broken = store.check_audit(Duration::ZERO).await.unwrap().broken.unwrap();
    assert_eq!((broken.sequence, broken.what.as_str()), (4, "This entry can't be read"));
}

/// What has no number, or none that is one, was put there past the console too.
#[tokio::test]
async fn an_entry_without_a_number_breaks_the_chain() {
    for number in ["'x'", "NULL", "5000.5"] {
        let databases = databases().await;
        let database = databases.iter().find(|database| database.store.engine() == Engine::Sqlite).unwrap();
        let store = &database.store;
        fill(store, 3).await;
        let sql = format!(
            "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
             SELECT {number}, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE sequence = 3"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(store.raw_pool()).await.unwrap();
        let chain = store.check_audit(Duration::ZERO).await.unwrap();
        assert!(chain.broken.is_some(), "{number}: {chain:?}");
    }
}

/// What stands where the next entry belongs keeps everything from being written: nothing says then that a name is taken.
#[tokio::test]
async fn an_entry_in_the_way_of_the_next_one_is_told_as_that() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 2).await;
        run(
            store,
            "INSERT INTO audit (sequence, at, actor, action, target, detail, outcome, address, request_id, session, hash)
             SELECT 3, at, actor, action, target, detail, outcome, address, request_id, session, hash FROM audit WHERE sequence = 2",
        )
        .await;
        let error = store.audit(NOW, &Actor::console(), entry("t:3")).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("the audit log has an entry 3 that the console didn't write"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_cleanly_is_found_by_an_anchor() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 5).await;
        let early = store.audit_head().await.unwrap();
        fill(store, 5).await;
        let late = store.audit_head().await.unwrap();
        assert_eq!((early.sequence, late.sequence), (5, 10));
        for anchor in [&early, &late] {
            assert_eq!(store.holds_anchor(anchor).await.unwrap(), Held::Yes);
        }
        without_guard(store).await;
        run(store, "DELETE FROM audit WHERE sequence > 7").await;
        run(
            store,
            "UPDATE audit_head SET sequence = 7, hash = (SELECT hash FROM audit WHERE sequence = 7)",
        )
        .await;
        assert_eq!(store.verify_audit().await.unwrap(), Ok(7), "the chain alone can't tell");
        assert_eq!(store.holds_anchor(&early).await.unwrap(), Held::Yes);
        assert_eq!(store.holds_anchor(&late).await.unwrap(), Held::No);
        let forged = Anchor {
            sequence: 3,
            hash: late.hash.clone(),
        };
        assert_eq!(store.holds_anchor(&forged).await.unwrap(), Held::No);
    }
}

#[tokio::test]
async fn retention_cuts_the_old_end_and_the_rest_is_still_proved() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 30).await;
        let anchor = store.audit_head().await.unwrap();
        let before = NOW.plus(21 * 3600);
        let mut steps = Vec::new();
        while steps.last() != Some(&Trim::Nothing) {
            steps.push(store.trim_audit(before, NOW, 8).await.unwrap());
        }
        assert_eq!(steps, [Trim::Cut(8), Trim::Cut(8), Trim::Cut(4), Trim::Nothing]);
        let chain = store.check_audit(Duration::ZERO).await.unwrap();
        assert_eq!((chain.first, chain.last, chain.broken.clone(), chain.entries()), (21, 33, None, 13));
        let newest = store.audit_rows(1).await.unwrap().remove(0);
        assert_eq!(
            (newest.action.as_str(), newest.detail.as_str()),
            ("audit.cut", "entries 17 to 20, the newest of them from 2026-11-22T04:00:00Z")
        );
        assert_eq!(store.holds_anchor(&anchor).await.unwrap(), Held::Yes);
        let gone = Anchor {
            sequence: 9,
            hash: anchor.hash.clone(),
        };
        assert_eq!(store.holds_anchor(&gone).await.unwrap(), Held::Cut);
        // The guard is back, and what is left is still proved.
        for sql in [
            "DELETE FROM audit WHERE sequence = 25",
            "UPDATE audit SET detail = 'x' WHERE sequence = 25",
        ] {
            let error = sqlx::query(sql).execute(store.raw_pool()).await.err().unwrap().to_string();
            assert!(error.contains("append only"), "{error}");
        }
        // Everything can go; what comes after is bound to it all the same.
        assert!(matches!(
            store.trim_audit(NOW.plus(40 * 3600), NOW, 100).await.unwrap(),
            Trim::Cut(_)
        ));
        store.audit(NOW, &Actor::console(), entry("t:after")).await.unwrap();
        assert!(store.verify_audit().await.unwrap().is_ok());
        without_guard(store).await;
        run(store, "UPDATE audit_cut SET sequence = sequence - 1").await;
        assert!(store.verify_audit().await.unwrap().is_err(), "the marker is sealed");
    }
}

#[tokio::test]
async fn nobody_waits_for_retention_and_nothing_is_lost_beside_it() {
    for database in databases().await {
        let store = &database.store;
        fill(store, 60).await;
        let writers = (0..10).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for m in 0..5 {
                    store
                        .audit(NOW.plus(400_000), &Actor::console(), entry(&format!("w:{n}-{m}")))
                        .await
                        .unwrap();
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let mut cut = 0;
        while let Trim::Cut(rows) = store.trim_audit(NOW.plus(51 * 3600), NOW, 7).await.unwrap() {
            cut += rows;
            assert!(store.verify_audit().await.unwrap().is_ok());
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(cut, 50);
        let chain = store.check_audit(Duration::ZERO).await.unwrap();
        assert_eq!((chain.first, chain.broken.is_none()), (51, true));
        assert_eq!(
            chain.entries(),
            10 + 50 + 8,
            "what was left, what was written, and eight entries of the cuts"
        );
    }
}
