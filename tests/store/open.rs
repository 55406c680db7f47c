use crate::support::databases::{NOW, config, databases};
use mailgrant::random::SeededRandom;
use mailgrant::store::{Store, StoreError};
use mailgrant::vault::{Place, sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

async fn open(directory: &Path, more: &[(&str, &str)]) -> Result<(Store, mailgrant::vault::Vault), String> {
    match Store::open(&config(directory, more), Arc::new(SeededRandom::new(2)), NOW).await {
        Ok(opened) => Ok(opened),
        Err(StoreError::Unusable(text)) => Err(text),
        Err(other) => panic!("{other}"),
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn hash_of(directory: &Path) -> String {
    sha256(
        &std::fs::read(directory.join("mailgrant.db"))
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    )
}

#[tokio::test]
async fn what_it_makes_belongs_to_its_owner_alone() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let (store, _) = open(&directory, &[]).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_key_that_is_wrong_missing_exposed_or_short_refuses_and_leaves_the_database_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (store, _) = open(directory.path(), &[]).await.unwrap();
    store.close().await;
    let before = hash_of(directory.path());
    let key = directory.path().join("master.key");
    let good = std::fs::read(&key).unwrap();

    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (name, more, wanted) in [
        (
            "wrong",
            vec![("MAILGRANT_MASTER_KEY", other)],
            "not the one the database was made with",
        ),
        ("short", vec![("MAILGRANT_MASTER_KEY", "AAAA")], "not 32 bytes"),
        ("missing", vec![("MAILGRANT_MASTER_KEY_FILE", "/nowhere/key")], "is missing"),
    ] {
        let error = open(directory.path(), &more).await.err().unwrap();
        assert!(error.contains(wanted) && error.contains("\nhelp: "), "{name}: {error}");
        assert_eq!(hash_of(directory.path()), before, "{name}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open(directory.path(), &[]).await.err().unwrap().contains("can be read by others"));
    std::fs::remove_file(&key).unwrap();
    assert!(open(directory.path(), &[]).await.err().unwrap().contains("is missing"));
    assert_eq!(hash_of(directory.path()), before);

    std::fs::write(&key, good).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(open(directory.path(), &[]).await.is_ok());
}

#[tokio::test]
async fn a_database_that_vanished_beside_its_key_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    open(directory.path(), &[]).await.unwrap().0.close().await;
    for name in ["mailgrant.db", "mailgrant.db-wal", "mailgrant.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(name));
    }
    assert!(
        open(directory.path(), &[])
            .await
            .err()
            .unwrap()
            .contains("is missing, though its master key is here")
    );
    assert!(!directory.path().join("mailgrant.db").exists());
}

#[tokio::test]
async fn a_directory_or_database_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    open(directory.path(), &[]).await.unwrap().0.close().await;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        open(directory.path(), &[])
            .await
            .err()
            .unwrap()
            .contains("can be entered by others")
    );
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(directory.path().join("mailgrant.db"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(open(directory.path(), &[]).await.err().unwrap().contains("can be read by others"));
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    open(directory.path(), &[]).await.unwrap().0.close().await;
    let path = directory.path().join("mailgrant.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[..2048] {
        *byte ^= 0xa5;
    }
    std::fs::write(&path, &bytes).unwrap();
    let error = open(directory.path(), &[]).await.err().unwrap();
    assert!(error.contains("backup"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    for database in databases().await {
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) SELECT 99999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1")
            .execute(database.store.raw_pool())
            .await
            .unwrap();
        database.store.close().await;
        let error = Store::open(&database.config, Arc::new(SeededRandom::new(2)), NOW)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("newer version"), "{error}");
    }
}

#[tokio::test]
async fn the_settings_of_sqlite_are_the_safe_ones_on_every_connection() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(&directory.path().join("d"), &[]).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(store.raw_pool().acquire().await.unwrap());
    }
    for connection in &mut connections {
        for (pragma, wanted) in [
            ("PRAGMA synchronous", 2),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA secure_delete", 1),
            ("PRAGMA busy_timeout", 5000),
            ("PRAGMA mmap_size", 0),
            ("PRAGMA journal_size_limit", 64 << 20),
        ] {
            let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut **connection).await.unwrap();
            assert_eq!(value, wanted, "{pragma}");
        }
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&mut **connection)
            .await
            .unwrap();
        assert_eq!(journal, "wal");
    }
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(store.raw_pool())
        .await
        .unwrap();
    let numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "SQLite {version} can corrupt its write-ahead log");
}

#[tokio::test]
async fn two_processes_starting_at_once_agree_on_one_key() {
    for first in databases().await {
        let again = Store::open(&first.config, Arc::new(SeededRandom::new(9)), NOW).await.unwrap();
        let place = Place {
            table: "t",
            column: "c",
            row: "r",
            version: 1,
            destination: "",
        };
        let sealed = first.vault.seal(&place, "x");
        assert_eq!(again.1.open(&place, &sealed).unwrap().as_str(), "x");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let (a, b) = tokio::join!(open(&path, &[]), open(&path, &[]));
    let place = Place {
        table: "t",
        column: "c",
        row: "r",
        version: 1,
        destination: "",
    };
    let sealed = a.unwrap().1.seal(&place, "x");
    assert_eq!(b.unwrap().1.open(&place, &sealed).unwrap().as_str(), "x");
}

#[tokio::test]
async fn a_deleted_secret_is_gone_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(&directory.path().join("d"), &[]).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.put_setting("x", "canary-ciphertext-of-a-deleted-thing").await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.remove_setting("x").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.setting("x").await.unwrap(), None);
    store.close().await;
    for name in ["mailgrant.db", "mailgrant.db-wal"] {
        let bytes = std::fs::read(directory.path().join("d").join(name)).unwrap_or_default();
        assert!(!bytes.windows(17).any(|window| window == b"canary-ciphertext"), "{name}");
    }
}
