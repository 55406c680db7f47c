//! The system log: pages, filters, counts, and what goes after a while.

use crate::support::databases::{NOW, databases};
use mailgrant::model::log::{Area, Level, LogEntry, first_number};
use mailgrant::store::Store;
use mailgrant::store::log::LogFilter;
use mailgrant::store::slices::Place;

/// Entry number `n`: a minute after the one before; every third a warning, every seventh an error.
pub fn entry(n: i64) -> LogEntry {
    let at = NOW.plus(60 * n);
    LogEntry {
        id: first_number(at) + n,
        at,
        level: match n {
            n if n % 7 == 0 => Level::Error,
            n if n % 3 == 0 => Level::Warn,
            _ => Level::Info,
        },
        area: if n % 2 == 0 { Area::Mailbox } else { Area::Token },
        subject: match n % 5 {
            0 => "mailbox:hr".into(),
            1 => "token:support".into(),
            _ => String::new(),
        },
        message: format!("Number {n}, 100% of it"),
        details: serde_json::Map::from_iter([("tries".to_owned(), n.into())]),
        run: if n % 10 == 0 { format!("run{}", n % 20) } else { String::new() },
    }
}

/// Numbers of everything a filter finds, page by page, from new to old and back again.
async fn walked(store: &Store, filter: &LogFilter, size: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    let mut place = Some(Place::Newest);
    let mut pages = Vec::new();
    while let Some(at) = place {
        let slice = store.log_page(filter, at, size).await.unwrap();
        assert!(slice.rows.is_sorted_by_key(|row| -row.id), "newest first");
        ids.extend(slice.rows.iter().map(|row| row.id));
        place = slice.older();
        pages.push(slice.rows);
    }
    for pair in pages.windows(2) {
        let first = pair[1].first().unwrap().id;
        let before = store.log_page(filter, Place::NewerThan(first), size).await.unwrap();
        assert_eq!(before.rows, pair[0], "the page before is the one we came from");
    }
    ids
}

#[tokio::test]
async fn every_filter_finds_what_it_says_in_pages_without_gaps() {
    for database in databases().await {
        let store = &database.store;
        let all: Vec<LogEntry> = (1..=120).map(entry).collect();
        assert_eq!(store.insert_log(&all).await.unwrap(), 120);
        assert_eq!(store.insert_log(&all[..3]).await.unwrap(), 0, "a number is there once");
        let any = LogFilter::default;
        type Fits = fn(&LogEntry) -> bool;
        let filters: [(LogFilter, Fits); 19] = [
            (any(), |_| true),
            (
                LogFilter {
                    level: Some(Level::Error),
                    ..any()
                },
                |e| e.level == Level::Error,
            ),
            (
                LogFilter {
                    level: Some(Level::Warn),
                    ..any()
                },
                |e| e.level != Level::Info,
            ),
            (
                LogFilter {
                    level: Some(Level::Info),
                    ..any()
                },
                |_| true,
            ),
            (
                LogFilter {
                    area: Some(Area::Token),
                    ..any()
                },
                |e| e.area == Area::Token,
            ),
            (
                LogFilter {
                    area: Some(Area::Token),
                    level: Some(Level::Warn),
                    ..any()
                },
                |e| e.area == Area::Token && e.level != Level::Info,
            ),
            (
                LogFilter {
                    subjects: vec!["mailbox:hr".into()],
                    ..any()
                },
                |e| e.subject == "mailbox:hr",
            ),
            (
                LogFilter {
                    subjects: vec!["mailbox:hr".into(), "token:support".into()],
                    ..any()
                },
                |e| !e.subject.is_empty(),
            ),
            (
                LogFilter {
                    subjects: vec!["mailbox:hr".into(), "token:support".into()],
                    level: Some(Level::Warn),
                    ..any()
                },
                |e| !e.subject.is_empty() && e.level != Level::Info,
            ),
            (
                LogFilter {
                    run: "run10".into(),
                    ..any()
                },
                |e| e.run == "run10",
            ),
            (
                LogFilter {
                    run: "run10".into(),
                    level: Some(Level::Error),
                    ..any()
                },
                |e| e.run == "run10" && e.level == Level::Error,
            ),
            (
                LogFilter {
                    text: "NUMBER 11".into(),
                    ..any()
                },
                |e| e.message.contains("Number 11"),
            ),
            (
                LogFilter {
                    text: "100%".into(),
                    ..any()
                },
                |_| true,
            ),
            (
                LogFilter {
                    text: "10_%".into(),
                    ..any()
                },
                |_| false,
            ),
            (
                LogFilter {
                    text: "\"tries\":77".into(),
                    ..any()
                },
                |e| e.details["tries"] == 77,
            ),
            (
                LogFilter {
                    text: "token:sup".into(),
                    area: Some(Area::Mailbox),
                    ..any()
                },
                |e| e.subject == "token:support" && e.area == Area::Mailbox,
            ),
            (
                LogFilter {
                    from: Some(NOW.plus(6000)),
                    ..any()
                },
                |e| e.at >= NOW.plus(6000),
            ),
            (
                LogFilter {
                    until: Some(NOW.plus(6000)),
                    area: Some(Area::Mailbox),
                    ..any()
                },
                |e| e.at < NOW.plus(6000) && e.area == Area::Mailbox,
            ),
            (
                LogFilter {
                    from: Some(NOW.plus(600)),
                    until: Some(NOW.plus(1200)),
                    ..any()
                },
                |e| e.at >= NOW.plus(600) && e.at < NOW.plus(1200),
            ),
        ];
        for (filter, fits) in filters {
            let expected: Vec<i64> = all.iter().rev().filter(|entry| fits(entry)).map(|entry| entry.id).collect();
            for size in [7, 50, 200] {
                assert_eq!(walked(store, &filter, size).await, expected, "{filter:?}");
            }
            let found = store.count_log(&filter, None).await.unwrap();
            assert_eq!(
                (found.rows, found.exact),
                (i64::try_from(expected.len()).unwrap(), true),
                "{filter:?}"
            );
            if let Some(fifth) = expected.get(4) {
                let newer = store.count_log(&filter, Some(*fifth)).await.unwrap();
                assert_eq!(newer.rows, 4, "{filter:?}");
            }
        }
        let page = store.log_page(&any(), Place::Newest, 1).await.unwrap();
        assert_eq!(page.rows[0], all[119], "what was written comes back");
    }
}

#[tokio::test]
async fn old_entries_go_in_small_steps_and_the_rest_stays() {
    for database in databases().await {
        let store = &database.store;
        let all: Vec<LogEntry> = (1..=50).map(entry).collect();
        store.insert_log(&all).await.unwrap();
        assert_eq!(store.oldest_log().await.unwrap(), Some(NOW.plus(60)));
        let before = NOW.plus(60 * 21);
        let mut steps = Vec::new();
        while steps.last() != Some(&0) {
            let mut tx = store.begin().await.unwrap();
            steps.push(tx.prune_log(before, 8).await.unwrap());
            tx.commit().await.unwrap();
        }
        assert_eq!(steps, [8, 8, 4, 0]);
        assert_eq!(store.oldest_log().await.unwrap(), Some(before));
        assert_eq!(store.count_log(&LogFilter::default(), None).await.unwrap().rows, 30);
    }
}

#[tokio::test]
async fn a_search_that_would_take_long_says_how_far_it_got_and_goes_on_from_there() {
    let database = databases().await.remove(0);
    let store = &database.store;
    // More than is looked at for one page.
    let many: Vec<LogEntry> = (1..=50_000).map(entry).collect();
    store.insert_log(&many).await.unwrap();
    let filter = LogFilter {
        text: "number 77,".into(),
        ..LogFilter::default()
    };
    let first = store.log_page(&filter, Place::Newest, 50).await.unwrap();
    assert_eq!((first.rows.len(), first.more), (0, true));
    assert_eq!(first.reached, Some(many[20_000].id), "30,000 were looked at");
    let second = store.log_page(&filter, first.older().unwrap(), 50).await.unwrap();
    assert_eq!(second.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [many[76].id]);
    assert_eq!((second.more, second.reached), (false, None));
    let found = store.count_log(&filter, None).await.unwrap();
    assert_eq!((found.rows, found.exact), (0, false));
}
