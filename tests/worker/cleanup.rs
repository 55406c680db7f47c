//! The sweep: one console does it for all, and another one when that is gone.

use super::pair::Pair;
use mailgrant::app::App;
use mailgrant::clock::{Clock, Timestamp};
use mailgrant::store::checks::CountKind;
use mailgrant::worker::{cleanup, instances};
use sqlx::AssertSqlSafe;

/// Days.
const OLD: i64 = 500;

/// More than goes in one step, of what is long over, and some that isn't.
async fn fill(app: &App, now: i64) {
    let old = now - OLD * 86_400;
    for (name, at, rows) in [("old", old, 600), ("new", now - 3600, 5)] {
        let all = |row: &dyn Fn(usize) -> String| (0..rows).map(row).collect::<Vec<_>>().join(", ");
        let changed = all(&|row| format!("('{name}', 'm{row}', '{{}}')"));
        let items = all(&|row| format!("('{name}', {row}, 'm', 'm', 'm', 'incoming', 'l', 'failed', NULL, NULL, 'c', '', {at})"));
        for statement in [
            format!(
                "INSERT INTO bulk_acts (id, act, tag, user_id, started_at, finished_at, undone_at, mailboxes, changed) VALUES ('{name}', 'turn-off', '', 'u', {at}, {at}, NULL, {rows}, {rows})"
            ),
            format!("INSERT INTO bulk_changed VALUES {changed}"),
            format!(
                "INSERT INTO batches (id, which, what, parallel, note, state, user_id, started_by, started_at, finished_at, mailboxes, total, passed, failed, skipped, form) VALUES ('{name}', '', 'both', 1, '', 'done', NULL, 'Maija', {at}, {at}, 1, 1, 0, 1, 0, NULL)"
            ),
            format!(
                "INSERT INTO batch_items (batch_id, position, mailbox_id, name, address, direction, lane, state, owner, run_id, cause, problem, finished_at) VALUES {items}"
            ),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(app.store.raw_pool()).await.unwrap();
        }
    }
    let mut tx = app.store.begin().await.unwrap();
    for (kind, at) in counted(now) {
        tx.count_checks(kind, "m", Timestamp(at), (1, 0)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Counts of checks over half a year.
fn counted(now: i64) -> impl Iterator<Item = (CountKind, i64)> {
    (0..180).flat_map(move |day| [CountKind::MailboxDay, CountKind::ProviderHour].map(|kind| (kind, now - day * 86_400)))
}

/// How many of them are to be there later.
fn kept(filled: i64, now: i64) -> i64 {
    let is_young = |(kind, at): &(CountKind, i64)| {
        let days = if *kind == CountKind::MailboxDay { 90 } else { 8 };
        at.div_euclid(kind.slot()) * kind.slot() >= now - days * 86_400
    };
    i64::try_from(counted(filled).filter(is_young).count()).unwrap()
}

async fn left(app: &App) -> Vec<i64> {
    let mut left = Vec::new();
    for table in ["bulk_acts", "bulk_changed", "batches", "batch_items", "check_counts"] {
        let statement = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        left.push(sqlx::query_scalar(statement).fetch_one(app.store.raw_pool()).await.unwrap());
    }
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_console_sweeps_for_all_and_another_one_when_it_is_gone() {
    for pair in Pair::on_each().await {
        let filled = pair.clock.now().0;
        fill(&pair.first, filled).await;
        cleanup::tick(&pair.first).await.unwrap();
        let then = kept(filled, filled);
        assert_eq!(left(&pair.first).await, [1, 5, 1, 5, then], "what is young stays");

        // The next day's work is the first one's too, as long as it lives.
        pair.clock.advance(86_400);
        cleanup::tick(&pair.second).await.unwrap();
        assert_eq!(left(&pair.first).await[4], then);
        instances::leave(&pair.first).await.unwrap();
        cleanup::tick(&pair.second).await.unwrap();
        assert_eq!(left(&pair.first).await, [1, 5, 1, 5, kept(filled, filled + 86_400)]);
        assert!(kept(filled, filled + 86_400) < then);
    }
}
