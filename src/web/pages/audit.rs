//! `/audit`: who did what, newest first, with filters and as a file; and whether the chain is intact.

use super::entries::{self, Entries, Object};
use super::log::ExportPage;
use super::records::{self, FILE_STEP, FileForm, Format, Span, TIMES, Ways, address, csv_line, download, found_words, zone};
use crate::model::audit::{ACTIONS, AuditEntry, AuditRow, Checked, NOUNS, action_words};
use crate::model::user::{Permission, User};
use crate::store::audit::AuditFilter;
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

const AUDIT: &str = "/audit";
/// How many seconds may the last look through the chain be old?
const FRESH: i64 = 2 * 86_400;

/// The routes of this section.
pub fn routes() -> Routes {
    let read = Access::Permission(Permission::AuditRead);
    Routes::new()
        .get(AUDIT, read, index)
        .get("/audit/export", read, export)
        .post("/audit/export", read, make)
}

/// What the address asks for, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuditQuery {
    range: String,
    from: String,
    until: String,
    person: String,
    action: String,
    object: String,
    address: String,
    size: String,
    after: String,
    before: String,
}

impl AuditQuery {
    fn filter(&self, people: &[User], zone: &Zone, now: crate::clock::Timestamp) -> (AuditFilter, FieldErrors) {
        let span = Span::read(&self.range, &self.from, &self.until, zone, now);
        let object = self.object.trim();
        let targets = match object {
            "" => Vec::new(),
            object if object.contains(':') => vec![object.to_owned()],
            object => {
                // A name alone is looked for as each of them.
                let named = NOUNS.iter().map(|noun| format!("{noun}:{object}"));
                named.chain([object.to_owned()]).collect()
            }
        };
        let filter = AuditFilter {
            from: span.from,
            until: span.until,
            actor: actor(self.person.trim(), people),
            action: self.action.trim().to_owned(),
            targets,
            address: self.address.trim().to_owned(),
        };
        (filter, span.errors)
    }

    fn kept(&self) -> [(&str, &str); 8] {
        [
            ("range", &self.range),
            ("from", &self.from),
            ("until", &self.until),
            ("person", &self.person),
            ("action", &self.action),
            ("object", &self.object),
            ("address", &self.address),
            ("size", &self.size),
        ]
    }

    /// The address of the list with its filters, and `more` of it.
    fn address(&self, more: &[(&str, &str)]) -> String {
        address(AUDIT, &self.kept(), more)
    }

    fn beside(&self, path: &str) -> String {
        address(path, &self.kept(), &[("size", "")])
    }
}

/// The actor somebody means: a person by address or name, or one that is no person.
fn actor(text: &str, people: &[User]) -> String {
    let lower = text.to_lowercase();
    if let Some(user) = people.iter().find(|user| user.email == lower || user.name.to_lowercase() == lower) {
        return format!("user:{}", user.email);
    }
    match lower.trim_start_matches("the ") {
        other if other.contains('@') && !other.contains(':') => format!("user:{other}"),
        other => other.to_owned(),
    }
}

/// Who did it, as the page says it.
struct Who {
    words: String,
    /// More of it, smaller.
    more: String,
}

fn who(actor: &str, people: &[User]) -> Who {
    let plain = |words: &str| Who {
        words: words.to_owned(),
        more: String::new(),
    };
    match actor.split_once(':') {
        Some(("user", email)) => match people.iter().find(|user| user.email == email) {
            Some(user) => Who {
                words: user.name.clone(),
                more: email.to_owned(),
            },
            None => plain(email),
        },
        Some(("link", _)) => plain("Someone with a link"),
        _ => match actor {
            "console" => plain("The console"),
            "command line" => plain("The command line"),
            "nobody" => plain("Nobody who is signed in"),
            "setup" => plain("First-run setup"),
            other => plain(other),
        },
    }
}

/// What the last look through the chain says: a mark, and words.
struct Told {
    kind: &'static str,
    words: String,
    broken: Option<String>,
    at: Option<crate::clock::Timestamp>,
}

fn told(checked: Option<Checked>, now: crate::clock::Timestamp) -> Told {
    let Some(Checked { at, chain }) = checked else {
        return Told {
            kind: "todo",
            words: "The chain was not checked yet".to_owned(),
            broken: None,
            at: None,
        };
    };
    let (kind, words, broken) = match &chain.broken {
        Some(broken) => {
            let words = format!("The chain breaks at entry {}", grouped(broken.sequence));
            ("bad", words, Some(broken.what.clone()))
        }
        None if now.since(at) > FRESH => ("todo", "The chain was not checked lately, last".to_owned(), None),
        None => ("ok", "Chain intact, checked".to_owned(), None),
    };
    Told {
        kind,
        words,
        broken,
        at: Some(at),
    }
}

#[derive(Template)]
#[template(path = "audit/index.html")]
struct IndexPage {
    layout: Layout,
    query: AuditQuery,
    errors: FieldErrors,
    filtered: bool,
    by_time: bool,
    people: Vec<User>,
    rows: Vec<AuditRow>,
    entries: Entries,
    told: Told,
    oldest: Option<crate::clock::Timestamp>,
    /// The number down to which was looked, where that is not everything.
    reached: String,
    ways: Ways,
    export: String,
}

impl IndexPage {
    fn times(&self) -> [(&'static str, i64, &'static str); 3] {
        TIMES
    }

    /// Whether a filter is in use that is folded away.
    fn has_more(&self) -> bool {
        let q = &self.query;
        [&q.from, &q.until, &q.address].iter().any(|text| !text.is_empty())
    }

    fn actions(&self) -> &'static [(&'static str, &'static str)] {
        &ACTIONS
    }

    fn who(&self, row: &AuditRow) -> Who {
        who(&row.actor, &self.people)
    }

    fn what<'a>(&self, row: &'a AuditRow) -> &'a str {
        action_words(&row.action)
    }

    /// Mark and word of what came of it; none where it went well.
    fn result(&self, row: &AuditRow) -> Option<(&'static str, &'static str)> {
        match row.outcome.as_str() {
            "ok" => None,
            "refused" => Some(("warn", "Refused")),
            "begun" => Some(("todo", "Begun")),
            "unknown" => Some(("warn", "Not known")),
            _ => Some(("bad", "Failed")),
        }
    }

    /// What it was done to.
    fn object(&self, row: &AuditRow) -> Object {
        self.entries.object(row)
    }

    /// What changed, in words.
    fn detail(&self, row: &AuditRow) -> String {
        self.entries.detail(row)
    }

    /// The page of the test that it is about; empty: it is about none.
    fn run(&self, row: &AuditRow) -> String {
        entries::run_of(row).map(crate::web::routes::run).unwrap_or_default()
    }

    fn number(&self, row: &AuditRow) -> String {
        grouped(row.sequence)
    }
}

/// `GET /audit`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    let store = &web.app.store;
    let layout = user.layout(Section::Audit, "Audit log").await;
    let people = store.users().await?;
    let (filter, errors) = query.filter(&people, &layout.zone, layout.now);
    let size = records::size(&query.size);
    let mut place = records::place(&query.after, &query.before);
    let mut slice = store.audit_page(&filter, place, size).await?;
    if matches!(place, Place::NewerThan(_)) && !slice.more && slice.rows.len() < size {
        // Too near the end for a whole page: that is the first one.
        place = Place::Newest;
        slice = store.audit_page(&filter, place, size).await?;
    }
    let page = IndexPage {
        filtered: filter != AuditFilter::default() || !errors.is_empty(),
        by_time: filter.from.is_some() || filter.until.is_some(),
        oldest: if slice.rows.is_empty() { store.oldest_audit().await? } else { None },
        told: told(web.app.store.audit_checked().await?, layout.now),
        ways: Ways::from(&slice, place, size, |more| query.address(more)),
        reached: slice.reached.map(grouped).unwrap_or_default(),
        export: query.beside("/audit/export"),
        entries: Entries::load(&web.app, &slice.rows).await?,
        rows: slice.rows,
        people,
        query,
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
    };
    if page.errors.is_empty() { page.show() } else { page.refused() }
}

/// `GET /audit/export`: how many entries it would be.
pub async fn export(State(web): State<WebState>, user: CurrentUser, Query(query): Query<AuditQuery>) -> Result<Response, PageError> {
    let layout = user.layout(Section::Audit, "Export").await.crumb("Audit log", AUDIT);
    let (filter, errors) = query.filter(&web.app.store.users().await?, &layout.zone, layout.now);
    if !errors.is_empty() {
        return Ok(Redirect::to(&query.beside(AUDIT)).into_response());
    }
    let found = web.app.store.count_audit(&filter).await?;
    ExportPage {
        what: "Audit log",
        path: "/audit/export",
        back: query.beside(AUDIT),
        filter: query.beside("").trim_start_matches('?').to_owned(),
        count: found_words(found),
        none: found.rows == 0 && found.exact,
        layout,
    }
    .show()
}

/// `POST /audit/export`: the file, with the hashes. A form, because the audit notes who took what away.
pub async fn make(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<FileForm>) -> Result<Response, PageError> {
    let query: AuditQuery = serde_urlencoded::from_str(&form.filter).unwrap_or_default();
    let (store, now) = (web.app.store.clone(), web.app.clock.now());
    let (filter, errors) = query.filter(&store.users().await?, &zone(&web, &user), now);
    if !errors.is_empty() {
        return Ok(Redirect::to(&query.beside(AUDIT)).into_response());
    }
    let format = form.format();
    let entry = AuditEntry {
        action: "audit.export",
        target: "audit".into(),
        detail: said(&filter),
        outcome: "ok",
    };
    store.audit(now, &user.actor(), entry).await?;
    let head = match format {
        Format::Csv => csv_line(&[
            "number", "time", "actor", "action", "target", "detail", "outcome", "address", "session", "request", "hash",
        ]),
        Format::JsonLines => String::new(),
    };
    Ok(download("audit", format, now, head, move |place| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let slice = store.audit_page(&filter, place, FILE_STEP).await?;
            let text = slice.rows.iter().map(|row| line(row, format)).collect();
            Ok((text, slice.older()))
        }
    }))
}

/// A filter as the audit says it.
fn said(filter: &AuditFilter) -> String {
    let time = |at: Option<crate::clock::Timestamp>| at.map(crate::clock::Timestamp::to_rfc3339).unwrap_or_default();
    let parts = [
        ("from", time(filter.from)),
        ("until", time(filter.until)),
        ("by", filter.actor.clone()),
        ("action", filter.action.clone()),
        ("on", filter.targets.last().cloned().unwrap_or_default()),
        ("address", filter.address.clone()),
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

fn line(row: &AuditRow, format: Format) -> String {
    let (number, at) = (row.sequence.to_string(), row.at.to_rfc3339());
    match format {
        Format::Csv => csv_line(&[
            &number,
            &at,
            &row.actor,
            &row.action,
            &row.target,
            &row.detail,
            &row.outcome,
            &row.address,
            &row.session,
            &row.request_id,
            &row.hash,
        ]),
        Format::JsonLines => {
            let value = serde_json::json!({
                "number": row.sequence, "time": at, "actor": row.actor, "action": row.action, "target": row.target, "detail": row.detail,
                "outcome": row.outcome, "address": row.address, "session": row.session, "request": row.request_id, "hash": row.hash
            });
            format!("{value}\n")
        }
    }
}
