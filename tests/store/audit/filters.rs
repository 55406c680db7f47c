//! What filters of the audit log find.

use super::*;

/// Numbers of everything a filter finds, page by page, and back again.
async fn walked(store: &Store, filter: &AuditFilter, size: usize) -> Vec<i64> {
    let (mut numbers, mut pages, mut place) = (Vec::new(), Vec::<Vec<AuditRow>>::new(), Some(Place::Newest));
    while let Some(at) = place {
        let slice = store.audit_page(filter, at, size).await.unwrap();
        numbers.extend(slice.rows.iter().map(|row| row.sequence));
        place = slice.older();
        pages.push(slice.rows);
    }
    for pair in pages.windows(2) {
        let first = pair[1].first().unwrap().sequence;
        let before = store.audit_page(filter, Place::NewerThan(first), size).await.unwrap();
        assert_eq!(before.rows, pair[0]);
    }
    numbers
}

#[tokio::test]
async fn every_filter_of_the_audit_finds_what_it_says_in_pages_without_gaps() {
    for database in databases().await {
        let store = &database.store;
        let mut all = Vec::new();
        for n in 1..=60_i64 {
            let actor = Actor {
                id: if n % 3 == 0 { "user:a@b.test".into() } else { "console".into() },
                address: if n % 4 == 0 { "192.0.2.7".into() } else { String::new() },
                ..Actor::console()
            };
            let entry = AuditEntry {
                action: if n % 5 == 0 { "token.get" } else { "sign_in" },
                ..entry(&format!("t:{}", n % 6))
            };
            // A clock that was put back for a while.
            let at = NOW.plus(if (30..35).contains(&n) { n * 60 - 900 } else { n * 60 });
            store.audit(at, &actor, entry.clone()).await.unwrap();
            all.push((n, at, actor, entry));
        }
        let any = AuditFilter::default;
        type Fits = fn(&(i64, Timestamp, Actor, AuditEntry)) -> bool;
        let filters: [(AuditFilter, Fits); 12] = [
            (any(), |_| true),
            (
                AuditFilter {
                    actor: "user:a@b.test".into(),
                    ..any()
                },
                |row| row.0 % 3 == 0,
            ),
            (
                AuditFilter {
                    action: "token.get".into(),
                    ..any()
                },
                |row| row.0 % 5 == 0,
            ),
            (
                AuditFilter {
                    address: "192.0.2.7".into(),
                    ..any()
                },
                |row| row.0 % 4 == 0,
            ),
            (
                AuditFilter {
                    targets: vec!["t:2".into()],
                    ..any()
                },
                |row| row.0 % 6 == 2,
            ),
            (
                AuditFilter {
                    targets: vec!["x".into(), "t:2".into(), "t:4".into()],
                    ..any()
                },
                |row| [2, 4].contains(&(row.0 % 6)),
            ),
            (
                AuditFilter {
                    targets: vec!["t:0".into()],
                    actor: "user:a@b.test".into(),
                    action: "token.get".into(),
                    ..any()
                },
                |row| row.0 % 30 == 0,
            ),
            (
                AuditFilter {
                    actor: "user:nobody@b.test".into(),
                    ..any()
                },
                |_| false,
            ),
            (
                AuditFilter {
                    from: Some(NOW.plus(1800)),
                    ..any()
                },
                |row| row.1 >= NOW.plus(1800),
            ),
            (
                AuditFilter {
                    until: Some(NOW.plus(1200)),
                    ..any()
                },
                |row| row.1 < NOW.plus(1200),
            ),
            (
                AuditFilter {
                    from: Some(NOW.plus(1000)),
                    until: Some(NOW.plus(2400)),
                    address: "192.0.2.7".into(),
                    ..any()
                },
                |row| row.1 >= NOW.plus(1000) && row.1 < NOW.plus(2400) && row.0 % 4 == 0,
            ),
            (
                AuditFilter {
                    from: Some(NOW.plus(1_000_000)),
                    ..any()
                },
                |_| false,
            ),
        ];
        for (filter, fits) in filters {
            let expected: Vec<i64> = all.iter().rev().filter(|row| fits(row)).map(|row| row.0).collect();
            for size in [4, 25, 200] {
                assert_eq!(walked(store, &filter, size).await, expected, "{filter:?}");
            }
            let found = store.count_audit(&filter).await.unwrap();
            assert_eq!(
                (found.rows, found.exact),
                (i64::try_from(expected.len()).unwrap(), true),
                "{filter:?}"
            );
        }
        assert_eq!(store.oldest_audit().await.unwrap(), Some(NOW.plus(60)));
    }
}
