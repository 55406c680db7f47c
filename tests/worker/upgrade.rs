//! Databases from before there was a refresher.

use crate::support::databases::{NOW, new_postgres};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

const DUE: &str = include_str!("../../migrations/0015_due.sql");

async fn run(connection: &mut AnyConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// A database as the version before left it, with these grants: state, refresh token, issued, expires, next try.
async fn old_database(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let mut files: Vec<_> = std::fs::read_dir(format!("{}/migrations", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        if file.file_name().unwrap().to_string_lossy().as_ref() < "0015" {
            run(&mut connection, &std::fs::read_to_string(file).unwrap()).await;
        }
    }
    run(
        &mut connection,
        "INSERT INTO providers (id, name, version, created_at, template, cloud, client_id, client_auth, grant_type, scopes, prompt, endpoints,
             extra_authorize_params, updated_at)
         VALUES ('p', 'p', 1, 1, 'custom', 'global', 'id', 'none', 'authorization_code', '[]', '', '{}', '[]', 1)",
    )
    .await;
    for number in 0..200 {
        grant(
            &mut connection,
            &format!("live-{number}"),
            "'active', 'rt', 'Maija'",
            Some((NOW.0, NOW.0 + 3600)),
            None,
        )
        .await;
    }
    grant(
        &mut connection,
        "long",
        "'active', 'rt', 'Maija'",
        Some((NOW.0, NOW.0 + 90 * 86_400)),
        None,
    )
    .await;
    grant(&mut connection, "brief", "'active', 'rt', 'Maija'", Some((NOW.0, NOW.0 + 5)), None).await;
    grant(
        &mut connection,
        "failing",
        "'failing', 'rt', 'Maija'",
        Some((NOW.0, NOW.0 + 3600)),
        Some(NOW.0 + 77),
    )
    .await;
    grant(
        &mut connection,
        "ended",
        "'revoked', 'rt', 'Maija'",
        Some((NOW.0, NOW.0 + 3600)),
        None,
    )
    .await;
    grant(
        &mut connection,
        "short",
        "'active', NULL, 'Maija'",
        Some((NOW.0, NOW.0 + 3600)),
        None,
    )
    .await;
    grant(&mut connection, "app", "'active', NULL, NULL", Some((NOW.0, NOW.0 + 3600)), None).await;
    grant(&mut connection, "brought", "'active', 'rt', 'Maija'", None, None).await;
    connection
}

async fn grant(connection: &mut AnyConnection, id: &str, rest: &str, life: Option<(i64, i64)>, retry: Option<i64>) {
    let or_null = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let (issued, expires) = (or_null(life.map(|life| life.0)), or_null(life.map(|life| life.1)));
    let sql = format!(
        "INSERT INTO tokens (id, name, provider_id, grant_type, scopes, version, created_at, updated_at)
         VALUES ('{id}', '{id}', 'p', 'authorization_code', '[]', 1, 1, 1);
         INSERT INTO grants (token_id, generation, state, rt_current, authorized_by, issued_at, expires_at, retry_at, authorized_at)
         VALUES ('{id}', 1, {rest}, {issued}, {expires}, {}, {})",
        or_null(retry),
        NOW.0
    );
    run(connection, &sql).await;
}

async fn due(connection: &mut AnyConnection, id: &str) -> Option<i64> {
    let due: Option<i64> = sqlx::query_scalar("SELECT due_at FROM grants WHERE token_id = $1")
        .bind(id)
        .fetch_one(connection)
        .await
        .unwrap();
    due.map(|at| at - NOW.0)
}

/// F32, UPG-1.
#[tokio::test]
async fn old_grants_are_due_in_their_time_and_not_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite://{}?mode=rwc", directory.path().join("old.db").display())];
    urls.extend(new_postgres().await);
    for url in urls {
        let mut connection = old_database(&url).await;
        // Interrupted once: nothing of it stays, and it can be done again.
        let mut interrupted = connection.begin().await.unwrap();
        run(&mut interrupted, DUE).await;
        interrupted.rollback().await.unwrap();
        run(&mut connection, DUE).await;

        let mut moments = Vec::new();
        for number in 0..200 {
            moments.push(due(&mut connection, &format!("live-{number}")).await.unwrap());
        }
        assert!(moments.iter().all(|at| (2700..=3060).contains(at)), "{moments:?}");
        moments.sort_unstable();
        moments.dedup();
        assert!(moments.len() >= 10, "spread");
        let week = 7 * 86_400;
        assert!((week * 3 / 4..=week * 85 / 100).contains(&due(&mut connection, "long").await.unwrap()));
        assert_eq!(due(&mut connection, "brief").await, Some(30));
        assert_eq!(due(&mut connection, "failing").await, Some(77));
        assert_eq!(due(&mut connection, "ended").await, None);
        assert_eq!(due(&mut connection, "short").await, None, "somebody has to sign in");
        assert!(due(&mut connection, "app").await.is_some());
        assert!((2700..=3060).contains(&due(&mut connection, "brought").await.unwrap()));
    }
}
