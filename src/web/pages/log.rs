//! `/log`: what the program noticed, newest first, with filters, live, and as a file.

use super::records::{self, FILE_STEP, FileForm, Format, Span, TIMES, Ways, address, csv_line, download, found_words, subject_link, zone};
use crate::model::audit::AuditEntry;
use crate::model::log::{Area, Level, LogEntry};
use crate::model::user::Permission;
use crate::store::log::LogFilter;
use crate::store::slices::Place;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::grouped;
use crate::web::routes::{Access, Routes};
use crate::web::time::Zone;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

const LOG: &str = "/log";

/// The routes of this section.
pub fn routes() -> Routes {
    let read = Access::Permission(Permission::LogRead);
    Routes::new()
        .get(LOG, read, index)
        .get("/log/newer", read, newer)
        .get("/log/export", read, export)
        .post("/log/export", read, make)
}

/// What the address asks for, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    q: String,
    range: String,
    from: String,
    until: String,
    level: String,
    area: String,
    mailbox: String,
    token: String,
    run: String,
    size: String,
    live: String,
    after: String,
    before: String,
    since: String,
}

impl LogQuery {
    fn filter(&self, zone: &Zone, now: crate::clock::Timestamp) -> (LogFilter, FieldErrors) {
        let span = Span::read(&self.range, &self.from, &self.until, zone, now);
        let names = [("mailbox", self.mailbox.trim()), ("token", self.token.trim())];
        let named = names.into_iter().filter(|(_, name)| !name.is_empty());
        let filter = LogFilter {
            from: span.from,
            until: span.until,
            level: Level::parse(&self.level).filter(|level| *level != Level::Info),
            area: Area::parse(&self.area),
            subjects: named.map(|(noun, name)| format!("{noun}:{}", name.to_lowercase())).collect(),
            run: self.run.trim().to_owned(),
            text: self.q.trim().chars().take(200).collect(),
        };
        (filter, span.errors)
    }

    fn kept(&self) -> [(&str, &str); 10] {
        [
            ("q", &self.q),
            ("range", &self.range),
            ("from", &self.from),
            ("until", &self.until),
            ("level", &self.level),
            ("area", &self.area),
            ("mailbox", &self.mailbox),
            ("token", &self.token),
            ("run", &self.run),
            ("size", &self.size),
        ]
    }

    /// The address of the list with its filters, and `more` of it.
    fn address(&self, more: &[(&str, &str)]) -> String {
        address(LOG, &self.kept(), more)
    }

    /// Another address with the same filters.
    fn beside(&self, path: &str, more: &[(&str, &str)]) -> String {
        let more: Vec<(&str, &str)> = more.iter().copied().chain([("size", "")]).collect();
        address(path, &self.kept(), &more)
    }
}

#[derive(Template)]
#[template(path = "log/index.html")]
struct IndexPage {
    layout: Layout,
    query: LogQuery,
    errors: FieldErrors,
    filtered: bool,
    /// Whether the filter leaves out times.
    by_time: bool,
    rows: Vec<LogEntry>,
    oldest: Option<crate::clock::Timestamp>,
    /// How far a search got that did not look at everything.
    reached: Option<crate::clock::Timestamp>,
    ways: Ways,
    live: bool,
    live_address: String,
    /// Where to ask for what came meanwhile; empty where that is shown.
    poll: String,
    export: String,
}

impl IndexPage {
    fn times(&self) -> [(&'static str, i64, &'static str); 3] {
        TIMES
    }

    /// Whether a filter is in use that is folded away.
    fn has_more(&self) -> bool {
        let q = &self.query;
        [&q.from, &q.until, &q.mailbox, &q.token, &q.run]
            .iter()
            .any(|text| !text.is_empty())
    }

    fn refresh(&self) -> String {
        self.query.address(&[])
    }

    fn areas(&self) -> &'static [Area] {
        Area::ALL
    }

    fn kind(&self, entry: &LogEntry) -> &'static str {
        match entry.level {
            Level::Error => "bad",
            Level::Warn => "warn",
            Level::Info => "said",
        }
    }

    fn subject_link(&self, entry: &LogEntry) -> String {
        subject_link(&entry.subject)
    }

    fn subject_name<'a>(&self, entry: &'a LogEntry) -> &'a str {
        entry.subject.split_once(':').map_or("", |(_, name)| name)
    }

    fn details(&self, entry: &LogEntry) -> Vec<(String, String)> {
        let pairs = entry.details.iter();
        pairs.map(|(name, value)| (name.clone(), plain(value))).collect()
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `GET /log`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<LogQuery>) -> Result<Response, PageError> {
    let app = &web.app;
    let layout = user.layout(Section::Log, "System log").await;
    let (filter, errors) = query.filter(&layout.zone, layout.now);
    let size = records::size(&query.size);
    let mut place = records::place(&query.after, &query.before);
    let mut slice = app.store.log_page(&filter, place, size).await?;
    if matches!(place, Place::NewerThan(_)) && !slice.more && slice.rows.len() < size {
        // Too near the end for a whole page: that is the first one.
        place = Place::Newest;
        slice = app.store.log_page(&filter, place, size).await?;
    }
    let live = query.live == "on" && place == Place::Newest;
    let page = IndexPage {
        filtered: filter != LogFilter::default() || !errors.is_empty(),
        by_time: filter.from.is_some() || filter.until.is_some(),
        oldest: if slice.rows.is_empty() {
            app.store.oldest_log().await?
        } else {
            None
        },
        reached: slice
            .reached
            .map(|number| crate::clock::Timestamp((number >> crate::model::log::NUMBER_BITS).div_euclid(1_000_000))),
        ways: Ways::from(&slice, place, size, |more| query.address(more)),
        live_address: query.address(&[("live", if live { "" } else { "on" })]),
        poll: if live || place != Place::Newest {
            String::new()
        } else {
            let newest = slice.ends().map_or(0, |(first, _)| first);
            query.beside("/log/newer", &[("since", &newest.to_string())])
        },
        export: query.beside("/log/export", &[]),
        rows: slice.rows,
        live,
        query,
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
    };
    if page.errors.is_empty() { page.show() } else { page.refused() }
}

#[derive(Template)]
#[template(path = "log/newer.html")]
struct Newer {
    poll: String,
    href: String,
    words: String,
}

/// `GET /log/newer`: how many entries came since, for a page that is open.
pub async fn newer(State(web): State<WebState>, user: CurrentUser, Query(query): Query<LogQuery>) -> Result<Response, PageError> {
    let zone = zone(&web, &user);
    let (filter, _) = query.filter(&zone, web.app.clock.now());
    let since = query.since.parse().unwrap_or(0);
    let found = web.app.store.count_log(&filter, Some(since)).await?;
    let words = match found.rows {
        0 => String::new(),
        rows if found.exact => grouped(rows),
        rows => format!("more than {}", grouped(rows)),
    };
    Newer {
        poll: query.beside("/log/newer", &[("since", &query.since)]),
        href: query.address(&[]),
        words,
    }
    .show()
}

#[derive(Template)]
#[template(path = "records/export.html")]
pub(super) struct ExportPage {
    pub layout: Layout,
    pub what: &'static str,
    pub path: &'static str,
    pub back: String,
    pub filter: String,
    pub count: String,
    pub none: bool,
}

/// `GET /log/export`: how many entries it would be.
pub async fn export(State(web): State<WebState>, user: CurrentUser, Query(query): Query<LogQuery>) -> Result<Response, PageError> {
    let layout = user.layout(Section::Log, "Export").await.crumb("System log", LOG);
    let (filter, errors) = query.filter(&layout.zone, layout.now);
    if !errors.is_empty() {
        return Ok(Redirect::to(&query.beside(LOG, &[])).into_response());
    }
    let found = web.app.store.count_log(&filter, None).await?;
    ExportPage {
        what: "System log",
        path: "/log/export",
        back: query.beside(LOG, &[]),
        filter: query.beside("", &[]).trim_start_matches('?').to_owned(),
        count: found_words(found),
        none: found.rows == 0 && found.exact,
        layout,
    }
    .show()
}

/// `POST /log/export`: the file. A form, because the audit notes who took what away.
pub async fn make(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<FileForm>) -> Result<Response, PageError> {
    let query: LogQuery = serde_urlencoded::from_str(&form.filter).unwrap_or_default();
    let now = web.app.clock.now();
    let (filter, errors) = query.filter(&zone(&web, &user), now);
    if !errors.is_empty() {
        return Ok(Redirect::to(&query.beside(LOG, &[])).into_response());
    }
    let format = form.format();
    let entry = AuditEntry {
        action: "log.export",
        target: "log".into(),
        detail: said(&filter),
        outcome: "ok",
    };
    web.app.store.audit(now, &user.actor(), entry).await?;
    let head = match format {
        Format::Csv => csv_line(&["time", "level", "area", "about", "message", "details", "run"]),
        Format::JsonLines => String::new(),
    };
    let store = web.app.store.clone();
    Ok(download("log", format, now, head, move |place| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let slice = store.log_page(&filter, place, FILE_STEP).await?;
            let text = slice.rows.iter().map(|row| line(row, format)).collect();
            Ok((text, slice.older()))
        }
    }))
}

/// A filter as the audit says it; what was searched for may be anything, and is not repeated.
fn said(filter: &LogFilter) -> String {
    let time = |at: Option<crate::clock::Timestamp>| at.map(crate::clock::Timestamp::to_rfc3339).unwrap_or_default();
    let parts = [
        ("from", time(filter.from)),
        ("until", time(filter.until)),
        ("level", filter.level.map(|level| level.to_string()).unwrap_or_default()),
        ("area", filter.area.map(|area| area.to_string()).unwrap_or_default()),
        ("about", filter.subjects.join(" or ")),
        ("run", filter.run.clone()),
        ("text", if filter.text.is_empty() { "" } else { "one" }.to_owned()),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if words.is_empty() {
        "all of it".to_owned()
    } else {
        words.join(", ")
    }
}

fn line(row: &LogEntry, format: Format) -> String {
    let (at, level, area) = (row.at.to_rfc3339(), row.level.as_str(), row.area.as_str());
    match format {
        Format::Csv => {
            let details = serde_json::Value::Object(row.details.clone()).to_string();
            csv_line(&[&at, level, area, &row.subject, &row.message, &details, &row.run])
        }
        Format::JsonLines => {
            let value = serde_json::json!({
                "time": at, "level": level, "area": area, "about": row.subject, "message": row.message, "details": row.details, "run": row.run
            });
            format!("{value}\n")
        }
    }
}
