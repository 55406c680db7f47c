use crate::support::databases::{NOW, databases};
use mailgrant::model::audit::{Actor, AuditEntry};

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
