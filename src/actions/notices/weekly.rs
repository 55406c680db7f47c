//! The weekly report: how many mailboxes work, what failed and recovered, what ends soon.

use super::{local, noted};
use crate::actions::expiry::{Expiring, expiring};
use crate::actions::findings::{self, Finding, FindingPlace};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::Date;
use crate::model::notices::{Event, Local, Notice, Words};
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreResult, to_json};
use serde::{Deserialize, Serialize};

/// Setting: which reports were looked at.
const REPORTED: &str = "notices.reported";
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// How late may a report be, in seconds? An older one is left out.
const LATE: i64 = 3 * DAY;
/// How many lines has a part of it at most?
const LINES: usize = 20;
/// How many notices are looked through?
const LOOKED_THROUGH: i64 = 2000;

/// Which reports were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Reported {
    /// When the last one was due, told or left out.
    due: i64,
    /// When the last one was due that was told.
    told: i64,
    /// When they were due then, in words; empty: turned off; none: nobody knows.
    times: Option<String>,
}

impl Reported {
    /// As it is stored; earlier versions kept only when the last one was due.
    fn parse(text: &str) -> Option<Self> {
        let former = text.parse().ok().map(|due| Self {
            due,
            told: due,
            times: None,
        });
        former.or_else(|| serde_json::from_str(text).ok())
    }
}

/// Makes the report where it is time for it.
pub(super) async fn look(app: &App, stored: &StoredChannels) -> StoreResult<()> {
    let now = app.clock.now();
    let times = findings::times(app).await?;
    let last = app.store.setting(REPORTED).await?;
    // What says that one was due later than now was written by a clock that was ahead.
    let known = last.as_deref().and_then(Reported::parse).filter(|known| known.due <= now.0 + DAY);
    let last = known.clone().unwrap_or_default();
    // The first one after the console was set up; and none of before it was turned on, or moved to another time.
    let words_of_times = times.as_ref().map(findings::Times::words).unwrap_or_default();
    let as_before = last.times.as_ref().is_none_or(|times| *times == words_of_times);
    let due = times.as_ref().and_then(|times| times.until(now)).unwrap_or(Timestamp(last.due));
    let next = Reported {
        due: due.0.max(last.due),
        told: last.told,
        times: Some(words_of_times),
    };
    if known.as_ref() == Some(&next) {
        return Ok(());
    }
    // Not one of weeks ago, after the console was off; nor a second one within a day.
    let is_wanted = known.is_some() && as_before && due.0 > last.due && now.since(due) < LATE && due.since(Timestamp(last.told)) >= DAY;
    let report = match times.filter(|_| is_wanted) {
        Some(times) => {
            let zone = local(app, &stored.channels.zone).await?;
            let since = times.until(due.plus(-1)).unwrap_or(due.plus(-WEEK));
            Some(words(app, &zone, (since, due)).await?)
        }
        None => None,
    };
    let told = if report.is_some() { due.0 } else { last.told };
    let mut tx = app.store.begin().await?;
    tx.one_at_a_time(now).await?;
    tx.put_setting(REPORTED, &to_json(&Reported { told, ..next })).await?;
    if let Some(words) = report {
        tx.insert_notice_once(&noted(app, Event::Weekly, format!("week:{}", due.0), words))
            .await?;
    }
    tx.commit().await
}

async fn words(app: &App, zone: &Local, (since, due): (Timestamp, Timestamp)) -> StoreResult<Words> {
    let (turned_on, working) = app.store.working_mailboxes().await?;
    let notices = app.store.notices_since(since, LOOKED_THROUGH).await?;
    let causes = |notice: &&Notice| {
        matches!(
            notice.event,
            Event::Failing | Event::AppProblem | Event::SignInNeeded | Event::Expired
        )
    };
    let failed: Vec<&Notice> = notices.iter().filter(causes).filter(|notice| notice.opened_at >= since).collect();
    let over: Vec<&Notice> = notices
        .iter()
        .filter(causes)
        .filter(|notice| notice.closed_at.is_some_and(|at| at >= since))
        .collect();
    let ending = expiring(app, 60, zone.zone()).await?;
    let ending: Vec<&Expiring> = ending.iter().filter(|one| !one.ended).collect();
    let mut text = vec![format!("{working} of {turned_on} mailboxes that are turned on work.")];
    text.push(part(
        "Failed in the week",
        failed
            .iter()
            .map(|notice| format!("{}: {}", zone.full(notice.opened_at), notice.words.subject)),
    ));
    text.push(part(
        "Works again",
        over.iter().filter_map(|notice| {
            let at = notice.closed_at?;
            (!notice.words.recovered.is_empty()).then(|| format!("{}: {}", zone.full(at), notice.words.recovered))
        }),
    ));
    text.push(part(
        "Ends within 60 days",
        ending.iter().map(|one| {
            let what = match (&one.provider, &one.token) {
                (_, Some(token)) => token.to_string(),
                (Some(provider), None) => provider.to_string(),
                (None, None) => String::new(),
            };
            let when = match one.days {
                0 => "today".to_owned(),
                1 => "tomorrow".to_owned(),
                days => format!("in {days} days"),
            };
            format!("{}, {when}: {}", one.day.words(), described(one, &what))
        }),
    ));
    let (found, all) = junk_and_oversized(app, zone, due).await?;
    if !found.is_empty() {
        text.push(part_of("Junk and oversized messages", &found, all));
    }
    Ok(Words {
        subject: format!("Weekly report: {working} of {turned_on} mailboxes work"),
        text,
        path: "/".to_owned(),
        mailboxes: turned_on,
        ..Words::default()
    })
}

fn described(one: &Expiring, what: &str) -> String {
    use crate::actions::expiry::Kind;
    let noun = match one.kind {
        Kind::ClientSecret => "client secret of",
        Kind::Certificate => "certificate of",
        Kind::ServiceAccountKey => "service account key of",
        Kind::SignIn | Kind::FixedSignIn => "sign-in of",
        Kind::Link(_) => "one-time link for",
        Kind::ConsoleCertificate => return "certificate of this console".to_owned(),
    };
    format!("{noun} {what}")
}

/// A heading with its lines, the first of them.
fn part(heading: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    part_of(heading, &lines, lines.len())
}

/// The same with the first of so many lines.
fn part_of(heading: &str, lines: &[String], all: usize) -> String {
    if lines.is_empty() {
        return format!("{heading}: nothing.");
    }
    let more = all.saturating_sub(lines.len().min(LINES));
    let mut text = format!("{heading}:");
    for line in lines.iter().take(LINES) {
        text.push_str("\n- ");
        text.push_str(line);
    }
    if more > 0 {
        text.push_str(&format!("\n- and {more} more"));
    }
    text
}

/// Junk and oversized messages, a line for each of the first mailboxes that have some, and how many have.
async fn junk_and_oversized(app: &App, zone: &Local, due: Timestamp) -> StoreResult<(Vec<String>, usize)> {
    let most = i64::try_from(LINES).unwrap_or(i64::MAX);
    let (found, _) = findings::page(app, &FindingPlace::First, most).await?;
    let all = usize::try_from(findings::sums(app).await?.mailboxes).unwrap_or(0);
    let seen = |found: &Finding| match due.since(found.found_at) {
        // It was looked through in the hours before the report.
        ..=DAY => String::new(),
        _ => format!(" (seen on {}, and not since)", Date::of(found.found_at, zone.zone()).words()),
    };
    Ok((found.iter().map(|one| line(one) + &seen(one)).collect(), all))
}

fn line(found: &Finding) -> String {
    let messages = |count: i64| match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    };
    let mut parts = Vec::new();
    if found.oversized > 0 {
        parts.push(format!("{} over {} MB", messages(found.oversized), found.limit_mb));
    }
    if let Some(junk) = found.junk.filter(|junk| *junk > 0) {
        parts.push(format!("{} in junk within {} days", messages(junk), found.junk_days));
    }
    format!("{}: {}", found.address, parts.join(", "))
}
