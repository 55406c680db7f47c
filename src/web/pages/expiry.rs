//! `/expiry`: everything that ends by itself, nearest first, with what hangs on it and the one thing to do; also as a calendar and a
//! table to keep. The same rows as *What expires next* on the overview.

mod row;

pub use row::{DateRow, TRACK_DAYS, row};

use super::pager::{Pages, Range, Stand};
use super::records::{address, csv_line, streamed, zone};
use crate::actions::expiry::{Apps, Expiring, Place, Spot, Wanted, count, expiring_together, page};
use crate::actions::settings::base_url;
use crate::clock::Timestamp;
use crate::model::audit::AuditEntry;
use crate::model::calendar::{self, Event};
use crate::model::user::Permission;
use crate::store::StoreResult;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::grouped;
use crate::web::routes::{Access, EXPIRY, Routes};
use crate::web::time::Zone;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use row::{WORDS, noun};
use serde::Deserialize;
use std::sync::Arc;

/// How far ahead are dates told, in days? Ten years.
const FURTHEST: i64 = 3653;
/// Rows of a page.
const SIZE: usize = 50;
/// Rows that are read at once for a file.
const FILE_STEP: i64 = 500;
/// Dates are counted exactly up to here.
const COUNTED: i64 = 10_000;
/// The times on offer: the word in the address, words.
const TIMES: [(&str, &str); 5] = [
    ("ended", "Expired"),
    ("7", "Within 7 days"),
    ("14", "Within 14 days"),
    ("30", "Within 30 days"),
    ("90", "Within 90 days"),
];

/// The routes of this section.
pub fn routes() -> Routes {
    let view = Access::Permission(Permission::View);
    Routes::new()
        .get(EXPIRY, view, index)
        .post("/expiry/calendar.ics", view, ics)
        .post("/expiry/dates.csv", view, csv)
}

/// What the address asks for, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DatesQuery {
    kind: String,
    within: String,
    after: String,
    before: String,
    /// The number of the first row, for the words of the page.
    n: String,
}

impl DatesQuery {
    fn is_filtered(&self) -> bool {
        !self.kind.is_empty() || !self.within.is_empty()
    }

    fn wanted(&self, maker: &Maker) -> Wanted {
        let (now, zone) = (maker.now, maker.zone.rules());
        let mut wanted = match self.within.as_str() {
            "ended" => Wanted::ended(now, zone),
            text => Wanted::within(text.parse().map_or(FURTHEST, |days: i64| days.min(FURTHEST)), now, zone),
        };
        wanted.kind.clone_from(&self.kind);
        wanted
    }

    fn place(&self) -> Place {
        match (Spot::parse(&self.after), Spot::parse(&self.before)) {
            (Some(spot), _) => Place::After(spot),
            (None, Some(spot)) => Place::Before(spot),
            (None, None) => Place::First,
        }
    }

    fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        address(path, &[("kind", &self.kind), ("within", &self.within)], more)
    }
}

/// What rows are made with, for this person.
struct Maker {
    web: WebState,
    user: CurrentUser,
    zone: Zone,
    apps: Arc<Apps>,
    now: Timestamp,
}

impl Maker {
    fn new(web: &WebState, user: &CurrentUser, apps: Arc<Apps>) -> Self {
        Self {
            zone: zone(web, user),
            now: web.app.clock.now(),
            web: web.clone(),
            user: user.clone(),
            apps,
        }
    }

    async fn read(web: &WebState, user: &CurrentUser) -> StoreResult<Self> {
        Ok(Self::new(web, user, Arc::new(Apps::read(&web.app).await?)))
    }

    /// A page of rows, the places of its first and its last one, and whether there are more.
    async fn page(&self, wanted: &Wanted, place: &Place, limit: i64) -> StoreResult<(Vec<DateRow>, Option<(Spot, Spot)>, bool)> {
        let (found, more) = page(&self.web.app, &self.apps, wanted, place, limit).await?;
        let ends = found
            .first()
            .zip(found.last())
            .map(|((first, _), (last, _))| (first.clone(), last.clone()));
        let rows = found.into_iter().map(|(_, one)| self.row(one)).collect();
        Ok((rows, ends, more))
    }

    /// Everything within so many days, as this person counts them.
    fn within(&self, days: i64) -> Wanted {
        Wanted::within(days, self.now, self.zone.rules())
    }

    fn row(&self, one: Expiring) -> DateRow {
        row(one, &self.apps.providers, self.now, &|permission| self.user.may(permission))
    }

    /// The next rows of a file, and where those after them begin.
    async fn step(&self, wanted: &Wanted, place: &Place) -> StoreResult<(Vec<DateRow>, Option<Place>)> {
        let (rows, ends, more) = self.page(wanted, place, FILE_STEP).await?;
        let next = ends.filter(|_| more).map(|(_, last)| Place::After(last));
        Ok((rows, next))
    }
}

/// The dates as the overview tells them.
#[derive(Default)]
pub struct Nearest {
    /// The nearest ones.
    pub first: Vec<DateRow>,
    /// How many there are.
    pub all: i64,
    /// What ends within the days that were asked for or has ended, without links; the sign-ins of a provider that end by the same rule as
    /// one row.
    pub causes: Vec<DateRow>,
}

/// The nearest `most` dates that end within `ahead` days, and as causes those that end within `soon` days, as rows for this person.
pub async fn nearest(web: &WebState, user: &CurrentUser, apps: &Arc<Apps>, most: i64, ahead: i64, soon: i64) -> StoreResult<Nearest> {
    let maker = Maker::new(web, user, Arc::clone(apps));
    let (first, _, _) = maker.page(&maker.within(ahead), &Place::First, most).await?;
    let causes = expiring_together(&web.app, apps, soon, maker.zone.rules()).await?;
    Ok(Nearest {
        first,
        all: count(&web.app, apps, &maker.within(FURTHEST), COUNTED + 1).await?,
        causes: causes.into_iter().map(|one| maker.row(one)).collect(),
    })
}

/// `60`, `more than 10,000`.
pub fn counted(all: i64) -> String {
    if all > COUNTED {
        format!("more than {}", grouped(COUNTED))
    } else {
        grouped(all)
    }
}

#[derive(Template)]
#[template(path = "expiry/index.html")]
struct IndexPage {
    layout: Layout,
    query: DatesQuery,
    /// Whether there are any, with or without a filter.
    any: bool,
    rows: Vec<DateRow>,
    pages: Pages,
    calendar: String,
    table: String,
}

impl IndexPage {
    fn kinds(&self) -> Vec<(&'static str, &'static str)> {
        WORDS.iter().map(|word| (*word, noun(word))).collect()
    }

    fn times(&self) -> &'static [(&'static str, &'static str)] {
        &TIMES
    }
}

/// `GET /expiry`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<DatesQuery>) -> Result<Response, PageError> {
    let maker = Maker::read(&web, &user).await?;
    let wanted = query.wanted(&maker);
    let mut place = query.place();
    let limit = i64::try_from(SIZE).unwrap_or(i64::MAX);
    let (mut rows, mut ends, mut more) = maker.page(&wanted, &place, limit).await?;
    if matches!(place, Place::Before(_)) && !more && rows.len() < SIZE {
        // Too near the beginning for a whole page: that is the first one.
        place = Place::First;
        (rows, ends, more) = maker.page(&wanted, &place, limit).await?;
    }
    if rows.is_empty() && place != Place::First {
        // What was there is gone.
        return Ok(Redirect::to(&query.address(EXPIRY, &[])).into_response());
    }
    let stand = match place {
        Place::First => Stand::First,
        Place::After(_) => Stand::After,
        Place::Before(_) => Stand::Before,
    };
    let range = Range::of(stand, more, rows.len(), SIZE, &query.n);
    let all = if range.is_all() {
        range.end()
    } else {
        count(&web.app, &maker.apps, &wanted, COUNTED + 1).await?
    };
    let any = !rows.is_empty() || {
        let (one, _, _) = maker.page(&maker.within(FURTHEST), &Place::First, 1).await?;
        !one.is_empty()
    };
    let (first, last) = ends.map(|(first, last)| (first.to_string(), last.to_string())).unwrap_or_default();
    IndexPage {
        layout: user.layout(Section::Overview, "What expires next").await.crumb("Overview", "/"),
        pages: range.pages((&first, &last), &counted(all), |more| query.address(EXPIRY, more)),
        calendar: query.address("/expiry/calendar.ics", &[]),
        table: query.address("/expiry/dates.csv", &[]),
        rows,
        any,
        query,
    }
    .show()
}

/// Notes who took the dates away, and which.
async fn note_export(web: &WebState, user: &CurrentUser, query: &DatesQuery, file: &str) -> StoreResult<()> {
    let only: Vec<String> = [("kind", &query.kind), ("within", &query.within)]
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!(", {key} {}", value.chars().take(40).collect::<String>()))
        .collect();
    let entry = AuditEntry {
        action: "expiry.export",
        target: "expiry".into(),
        detail: format!("{file}{}", only.concat()),
        outcome: "ok",
    };
    web.app.store.audit(web.app.clock.now(), &user.actor(), entry).await
}

/// `POST /expiry/calendar.ics`: a day each, with reminders, for any calendar. A form, because the audit notes who took what away.
pub async fn ics(
    State(web): State<WebState>,
    user: CurrentUser,
    Query(query): Query<DatesQuery>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    note_export(&web, &user, &query, "calendar").await?;
    let maker = Arc::new(Maker::read(&web, &user).await?);
    let base = base_url(&web.app).await?;
    let now = maker.now;
    let wanted = query.wanted(&maker);
    let head = calendar::begin("Mailgrant dates");
    Ok(streamed(
        "text/calendar; charset=utf-8",
        &name("ics", now),
        head,
        Place::First,
        move |place: Place| {
            let (maker, wanted, base) = (Arc::clone(&maker), wanted.clone(), base.clone());
            async move {
                let (rows, next) = maker.step(&wanted, &place).await?;
                let (host, root) = (base.host_str().unwrap_or("localhost"), base.as_str().trim_end_matches('/'));
                let events = rows.iter().map(|row| Event {
                    uid: format!("{}@{host}", row.key),
                    day: row.date,
                    summary: format!("{} {}", row.title, verb(row.word)),
                    description: description(row),
                    url: format!("{root}{}", row.fix),
                });
                let mut text: String = events.map(|event| calendar::event(&event, now)).collect();
                if next.is_none() {
                    text.push_str(calendar::END);
                }
                Ok((text, next))
            }
        },
    ))
}

/// What happens on the day.
fn verb(word: &str) -> &'static str {
    match word {
        "service-account-key" => "should be replaced",
        "sign-in" => "lapses unless it is used",
        "fixed-sign-in" => "ends",
        _ => "expires",
    }
}

fn description(row: &DateRow) -> String {
    let used = match row.mailboxes.as_str() {
        "" => String::new(),
        mailboxes => format!("\nUsed by {mailboxes}."),
    };
    format!("{}.{used}\n{}.", row.text, row.button)
}

/// `POST /expiry/dates.csv`: a table.
pub async fn csv(
    State(web): State<WebState>,
    user: CurrentUser,
    Query(query): Query<DatesQuery>,
    _: CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    note_export(&web, &user, &query, "CSV").await?;
    let head = csv_line(&[
        "what",
        "kind",
        "provider",
        "token",
        "account",
        "days_left",
        "date",
        "ends_at_utc",
        "mailboxes",
        "mailboxes_turned_off",
    ]);
    let maker = Arc::new(Maker::read(&web, &user).await?);
    let now = maker.now;
    let wanted = query.wanted(&maker);
    Ok(streamed(
        "text/csv; charset=utf-8",
        &name("csv", now),
        head,
        Place::First,
        move |place: Place| {
            let (maker, wanted) = (Arc::clone(&maker), wanted.clone());
            async move {
                let (rows, next) = maker.step(&wanted, &place).await?;
                Ok((rows.iter().map(line).collect(), next))
            }
        },
    ))
}

fn line(row: &DateRow) -> String {
    let date = row.date.to_string();
    let (days, hit, off) = (row.days.to_string(), row.hit.to_string(), row.turned_off.to_string());
    csv_line(&[
        &row.title,
        row.word,
        &row.provider,
        &row.token,
        &row.account,
        &days,
        &date,
        &row.at.to_rfc3339(),
        &hit,
        &off,
    ])
}

/// The name of a file made today.
fn name(end: &str, now: Timestamp) -> String {
    let date = now.to_rfc3339();
    format!("mailgrant-dates-{}.{end}", date.get(..10).unwrap_or_default())
}
