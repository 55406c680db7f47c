//! What the system log and the audit log have in common: the time of a filter, addresses of pages, and files that are written while they
//! are sent.

use crate::clock::Timestamp;
use crate::store::StoreResult;
use crate::store::slices::{Found, Numbered, Place, Slice};
use crate::web::WebState;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::pages::mailboxes::list::grouped;
use crate::web::time::Zone;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::io;
use tokio_stream::wrappers::ReceiverStream;
use url::form_urlencoded::Serializer;

/// Page sizes on offer, and the usual one.
pub const SIZES: [usize; 4] = [25, 50, 100, 200];
const SIZE: usize = 50;
/// Rows that are read at once for a file.
pub const FILE_STEP: usize = 500;

/// The times on offer: the word in the address, seconds, words.
pub const TIMES: [(&str, i64, &str); 3] = [
    ("hour", 3600, "Last hour"),
    ("day", 86_400, "Last 24 hours"),
    ("week", 604_800, "Last 7 days"),
];

/// The time of a filter as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// From this second on.
    pub from: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
    /// What could not be read.
    pub errors: FieldErrors,
}

impl Span {
    /// `range` is one of [`TIMES`]; else `from` and `until` count, as they are typed.
    pub fn read(range: &str, from: &str, until: &str, zone: &Zone, now: Timestamp) -> Self {
        let mut span = Self::default();
        if let Some((_, seconds, _)) = TIMES.iter().find(|(word, _, _)| *word == range) {
            span.from = Some(now.plus(-seconds));
            return span;
        }
        for (field, label, text, to_end) in [("from", "From", from, false), ("until", "Until", until, true)] {
            if text.trim().is_empty() {
                continue;
            }
            match zone.moment(text, to_end) {
                Some(at) if to_end => span.until = Some(at),
                Some(at) => span.from = Some(at),
                None => span
                    .errors
                    .add(field, format!("{label} must be like 2026-11-21 or 2026-11-21 14:30")),
            }
        }
        span
    }
}

/// The rows of a page that an address asks for.
pub fn size(text: &str) -> usize {
    text.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE)
}

/// Where the page of an address begins.
pub fn place(after: &str, before: &str) -> Place {
    match (after.parse(), before.parse()) {
        (Ok(number), _) => Place::OlderThan(number),
        (_, Ok(number)) => Place::NewerThan(number),
        _ => Place::Newest,
    }
}

/// Where one gets to from a page: addresses, empty where nothing is there.
pub struct Ways {
    /// The first page, from another one.
    pub first: String,
    /// The page before.
    pub newer: String,
    /// The page after.
    pub older: String,
    /// On, where only a part was looked at.
    pub further: String,
    /// Sizes on offer, and whether it is this one.
    pub sizes: Vec<(usize, String, bool)>,
}

impl Ways {
    /// The ways from a page that begins at `place`; `address` makes addresses of the list with its filters and more.
    pub fn from<R: Numbered>(slice: &Slice<R>, place: Place, size: usize, address: impl Fn(&[(&str, &str)]) -> String) -> Self {
        let link = |number: Option<i64>, word: &str| number.map_or(String::new(), |number| address(&[(word, &number.to_string())]));
        let (has_newer, has_older) = match place {
            Place::Newest => (false, slice.more),
            Place::OlderThan(_) => (true, slice.more),
            Place::NewerThan(_) => (slice.more, true),
        };
        let ends = slice.ends().filter(|_| slice.reached.is_none());
        let onwards = if matches!(place, Place::NewerThan(_)) { "before" } else { "after" };
        Self {
            first: if place == Place::Newest { String::new() } else { address(&[]) },
            newer: link(ends.filter(|_| has_newer).map(|(first, _)| first), "before"),
            older: link(ends.filter(|_| has_older).map(|(_, last)| last), "after"),
            further: link(slice.reached, onwards),
            sizes: SIZES
                .map(|rows| (rows, address(&[("size", &rows.to_string())]), rows == size))
                .to_vec(),
        }
    }
}

/// The time zone of somebody: their own, or the console's.
pub fn zone(web: &WebState, user: &CurrentUser) -> Zone {
    Zone::named(&user.user().time_zone).unwrap_or_else(|| web.default_zone())
}

/// An address of these parts: `more` instead of what is `kept` under the same name, empty ones left out.
pub fn address(path: &str, kept: &[(&str, &str)], more: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    let others = kept.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    for (name, value) in others.chain(more).filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        text if text.is_empty() => path.to_owned(),
        text => format!("{path}?{text}"),
    }
}

/// `312 entries`, `1 entry`, `at least 312 entries`.
pub fn found_words(found: Found) -> String {
    let words = if found.rows == 1 {
        "1 entry".to_owned()
    } else {
        format!("{} entries", grouped(found.rows))
    };
    if found.exact { words } else { format!("at least {words}") }
}

/// Where a `noun:name` leads; empty where nothing has a page.
pub fn subject_link(subject: &str) -> String {
    match subject.split_once(':') {
        Some(("mailbox", name)) => crate::web::routes::mailbox(name),
        Some(("token", name)) => crate::web::routes::token(name),
        Some(("provider", name)) => crate::web::routes::provider(name),
        Some(("batch", id)) => crate::web::routes::batch(id),
        _ => String::new(),
    }
}

/// What a file is asked for with: the filter as it stands in an address, and the format.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileForm {
    /// The query of the page.
    pub filter: String,
    /// `csv` or `jsonl`.
    pub format: String,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table with a head.
    Csv,
    /// A JSON document a line.
    JsonLines,
}

impl FileForm {
    /// The kind that is asked for.
    pub fn format(&self) -> Format {
        if self.format == "jsonl" { Format::JsonLines } else { Format::Csv }
    }
}

/// A line of a table.
pub fn csv_line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| crate::model::import::csv::cell(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A file of a log to keep, written while it is sent, as [`streamed`] does it.
pub fn download<F, W>(name: &str, format: Format, now: Timestamp, head: String, next: F) -> Response
where
    F: FnMut(Place) -> W + Send + 'static,
    W: Future<Output = StoreResult<(String, Option<Place>)>> + Send + 'static,
{
    let (kind, end) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::JsonLines => ("application/jsonl; charset=utf-8", "jsonl"),
    };
    let date = now.to_rfc3339();
    let date = date.get(..10).unwrap_or_default();
    streamed(kind, &format!("mailgrant-{name}-{date}.{end}"), head, Place::Newest, next)
}

/// A file to keep, written while it is sent: `next` gives the text of a page and where the next one begins. Where the database fails in
/// the middle the connection is cut, so that nobody takes a part for the whole.
pub fn streamed<P, F, W>(kind: &'static str, name: &str, head: String, first: P, mut next: F) -> Response
where
    P: Send + 'static,
    F: FnMut(P) -> W + Send + 'static,
    W: Future<Output = StoreResult<(String, Option<P>)>> + Send + 'static,
{
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, io::Error>>(2);
    tokio::spawn(async move {
        let mut place = Some(first);
        let mut text = head;
        loop {
            if !text.is_empty() && sender.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_err() {
                return;
            }
            let Some(at) = place else { return };
            match next(at).await {
                Ok((more, then)) => (text, place) = (more, then),
                Err(error) => {
                    tracing::warn!(error = %error, "A file could not be written to its end: {error}");
                    let _ = sender.send(Err(io::Error::other("the database failed"))).await;
                    return;
                }
            }
        }
    });
    let disposition = format!("attachment; filename=\"{name}\"");
    let body = Body::from_stream(ReceiverStream::new(receiver));
    (
        [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_time_counts_before_a_typed_one_and_what_cant_be_read_is_said() {
        let zone = Zone::utc();
        let now = Timestamp(1_795_248_000);
        let read = |range: &str, from: &str, until: &str| Span::read(range, from, until, &zone, now);
        assert_eq!(read("hour", "2026-01-01", "").from, Some(now.plus(-3600)));
        let typed = read("", "2026-11-20", "2026-11-20");
        assert_eq!(typed.until.unwrap().since(typed.from.unwrap()), 86_400);
        let wrong = read("odd", "yesterday", "2026-11-20 09:00");
        assert_eq!(wrong.errors.get("from"), Some("From must be like 2026-11-21 or 2026-11-21 14:30"));
        assert!(wrong.from.is_none() && wrong.until.is_some());
    }

    #[test]
    fn a_page_replaces_what_was_asked_before() {
        let kept = [("level", "warn"), ("q", "a b"), ("area", "")];
        assert_eq!(address("/log", &kept, &[("after", "7")]), "/log?level=warn&q=a+b&after=7");
        assert_eq!(address("/log", &kept, &[("level", ""), ("q", "")]), "/log");
    }
}
