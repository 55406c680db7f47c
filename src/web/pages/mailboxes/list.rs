//! `/mailboxes`: search, filters, order and pages, all of it in the address (`ux.md` 8.9). Two queries at most, whatever the number of
//! mailboxes.

use crate::app::App;
use crate::model::mailbox::{MailboxState, Protocol};
use crate::store::StoreResult;
use crate::store::mailboxes::{MailboxFilter, MailboxKey, MailboxRow, MailboxSort, Page as Place};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::form_urlencoded::Serializer;

/// Page sizes on offer.
const SIZES: [usize; 4] = [25, 50, 100, 200];
/// The usual one.
const SIZE: usize = 50;
/// From here on a count says "about".
const EXACT: i64 = 10_000;
/// How long may a count be old, and the choices of the filters?
const COUNT_FOR: Duration = Duration::from_secs(5);
const CHOICES_FOR: Duration = Duration::from_secs(15);
/// How many counts are kept?
const MOST_COUNTS: usize = 128;

/// What the address asks for, as text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    q: String,
    state: String,
    provider: String,
    token: String,
    tag: String,
    auth: String,
    on: String,
    sort: String,
    dir: String,
    size: String,
    after: String,
    before: String,
    page: String,
    n: String,
}

impl ListQuery {
    /// The filter: the fields, and words like `state:failing tag:"a b"` in the search.
    fn filter(&self) -> MailboxFilter {
        let mut filter = MailboxFilter {
            text: String::new(),
            state: MailboxState::parse(&self.state).map(MailboxState::rank),
            provider: self.provider.trim().to_owned(),
            token: self.token.trim().to_owned(),
            tag: self.tag.trim().to_lowercase(),
            auth: self.auth.trim().to_owned(),
            enabled: on_off(&self.on),
        };
        let mut words = Vec::new();
        for word in search_words(&self.q) {
            match word.split_once(':') {
                Some(("state", state)) if MailboxState::parse(state).is_some() => {
                    filter.state = MailboxState::parse(state).map(MailboxState::rank);
                }
                Some(("provider", name)) => filter.provider = name.to_owned(),
                Some(("token", name)) => filter.token = name.to_owned(),
                Some(("tag", tag)) => filter.tag = tag.to_lowercase(),
                Some(("auth", auth)) => filter.auth = auth.to_owned(),
                Some(("on", value)) if on_off(value).is_some() => filter.enabled = on_off(value),
                _ => words.push(word),
            }
        }
        filter.text = words.join(" ");
        filter
    }

    fn sort(&self) -> MailboxSort {
        MailboxSort::parse(&self.sort).unwrap_or_default()
    }

    fn descending(&self) -> bool {
        match self.dir.as_str() {
            "asc" => false,
            "desc" => true,
            _ => usually_descending(self.sort()),
        }
    }

    fn size(&self) -> usize {
        self.size.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE)
    }

    fn place(&self) -> Place {
        match (read_key(&self.after), read_key(&self.before), self.page.as_str()) {
            (Some(key), _, _) => Place::After(key),
            (_, Some(key), _) => Place::Before(key),
            (_, _, "last") => Place::Last,
            _ => Place::First,
        }
    }

    /// The address of this list with its filters and order, and `more` of it.
    fn address(&self, more: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        let kept = [
            ("q", &self.q),
            ("state", &self.state),
            ("provider", &self.provider),
            ("token", &self.token),
            ("tag", &self.tag),
            ("auth", &self.auth),
            ("on", &self.on),
            ("sort", &self.sort),
            ("dir", &self.dir),
            ("size", &self.size),
        ];
        for (name, value) in kept {
            if !value.is_empty() && !more.iter().any(|(other, _)| *other == name) {
                query.append_pair(name, value);
            }
        }
        for (name, value) in more {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            text if text.is_empty() => "/mailboxes".to_owned(),
            text => format!("/mailboxes?{text}"),
        }
    }
}

fn usually_descending(sort: MailboxSort) -> bool {
    matches!(sort, MailboxSort::Checked | MailboxSort::Added)
}

fn on_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// The words of a search; quotes hold words together.
fn search_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in text.chars().take(500) {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// A place in the list, as it stands in addresses: `number.id.address`.
fn write_key(key: &MailboxKey) -> String {
    format!("{}.{}.{}", key.number, key.id, key.address)
}

fn read_key(text: &str) -> Option<MailboxKey> {
    let mut parts = text.splitn(3, '.');
    let number = parts.next()?.parse().ok()?;
    let (id, address) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(MailboxKey { number, address, id })
}

/// How many there are, as far as that is worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Total {
    Exactly(i64),
    About(i64),
    Over(i64),
}

impl Total {
    fn of(count: i64) -> Self {
        if count <= EXACT {
            Self::Exactly(count)
        } else {
            Self::About((count + 50) / 100 * 100)
        }
    }

    fn words(self) -> String {
        match self {
            Self::Exactly(count) => grouped(count),
            Self::About(count) => format!("about {}", grouped(count)),
            Self::Over(count) => format!("more than {}", grouped(count)),
        }
    }
}

/// `10,214`.
pub fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What filters offer.
#[derive(Debug, Default)]
pub struct Choices {
    providers: Vec<String>,
    tags: Vec<String>,
}

/// Counts and choices that several requests share for some seconds.
#[derive(Default)]
pub struct ListCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    counts: HashMap<MailboxFilter, (Instant, Total)>,
    choices: Option<(Instant, Arc<Choices>)>,
}

impl ListCache {
    fn with<T>(&self, work: impl FnOnce(&mut Cached) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn total(&self, app: &App, filter: &MailboxFilter) -> StoreResult<Total> {
        let known = self.with(|cached| {
            cached
                .counts
                .get(filter)
                .filter(|(at, _)| at.elapsed() < COUNT_FOR)
                .map(|(_, total)| *total)
        });
        if let Some(total) = known {
            return Ok(total);
        }
        let by_state_only = MailboxFilter {
            state: None,
            ..filter.clone()
        } == MailboxFilter::default();
        let total = if by_state_only {
            let states = app.store.mailbox_states().await?;
            let wanted = states
                .iter()
                .filter(|(state, _)| filter.state.is_none_or(|rank| rank == state.rank()));
            Total::of(wanted.map(|(_, count)| count).sum())
        } else {
            match app.store.count_mailboxes(filter, EXACT + 1).await? {
                count if count > EXACT => Total::Over(EXACT),
                count => Total::Exactly(count),
            }
        };
        self.with(|cached| {
            if cached.counts.len() >= MOST_COUNTS {
                cached.counts.clear();
            }
            cached.counts.insert(filter.clone(), (Instant::now(), total));
        });
        Ok(total)
    }

    async fn choices(&self, app: &App) -> StoreResult<Arc<Choices>> {
        let known = self.with(|cached| {
            cached
                .choices
                .as_ref()
                .filter(|(at, _)| at.elapsed() < CHOICES_FOR)
                .map(|(_, choices)| Arc::clone(choices))
        });
        if let Some(choices) = known {
            return Ok(choices);
        }
        let choices = Arc::new(Choices {
            providers: app.store.provider_names().await?,
            tags: app.store.tags().await?.into_iter().map(|(tag, _)| tag).collect(),
        });
        self.with(|cached| cached.choices = Some((Instant::now(), Arc::clone(&choices))));
        Ok(choices)
    }
}

/// A header that sorts.
struct Header {
    words: &'static str,
    /// `ascending`, `descending` or empty.
    sorted: &'static str,
    href: String,
}

#[derive(Template)]
#[template(path = "mailboxes/list.html")]
struct ListPage {
    layout: Layout,
    query: ListQuery,
    filter: MailboxFilter,
    choices: Arc<Choices>,
    rows: Vec<MailboxRow>,
    state_header: Header,
    address_header: Header,
    checked_header: Header,
    added_header: Header,
    range: String,
    first: String,
    previous: String,
    next: String,
    last: String,
    /// Rows, address, and whether it is the present one.
    sizes: Vec<(usize, String, bool)>,
    /// The filter in words; empty where there is none.
    filtered: String,
    /// Good news for a filter that finds nothing.
    none: &'static str,
}

impl ListPage {
    fn is_filtered(&self) -> bool {
        self.filter != MailboxFilter::default()
    }

    fn state_kind(&self, row: &MailboxRow) -> &'static str {
        state_kind(row.state)
    }

    fn state_words(&self, row: &MailboxRow) -> &'static str {
        state_words(row.state)
    }

    fn is_state(&self, word: &str) -> bool {
        MailboxState::parse(word).map(MailboxState::rank) == self.filter.state
    }

    /// Where the test of a row begins.
    fn direction(&self, row: &MailboxRow) -> &'static str {
        if row.incoming.is_some() { "incoming" } else { "outgoing" }
    }

    fn protocol(&self, protocol: Option<&str>) -> &'static str {
        protocol.and_then(Protocol::parse).map_or("–", Protocol::label)
    }

    fn tag_address(&self, tag: &str) -> String {
        ListQuery::default().address(&[("tag", tag)])
    }

    fn states(&self) -> [(&'static str, &'static str); 5] {
        MailboxState::ALL.map(|state| (state.as_str(), state_words(state)))
    }
}

/// The mark of a state.
pub fn state_kind(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Failing => "bad",
        MailboxState::Partly => "warn",
        MailboxState::NotTested => "todo",
        MailboxState::Working => "ok",
        MailboxState::Paused => "off",
    }
}

/// The word of a state.
pub fn state_words(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Failing => "Failing",
        MailboxState::Partly => "Partly working",
        MailboxState::NotTested => "Not tested",
        MailboxState::Working => "Working",
        MailboxState::Paused => "Paused",
    }
}

/// `GET /mailboxes`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<ListQuery>) -> Result<Response, PageError> {
    let app = &web.app;
    let (filter, sort, descending, size) = (query.filter(), query.sort(), query.descending(), query.size());
    let mut place = query.place();
    let (mut rows, mut more) = app.store.mailbox_page(&filter, sort, descending, &place, size).await?;
    if matches!(place, Place::Before(_)) && !more && rows.len() < size {
        // Too near the beginning for a whole page: that is the first one.
        place = Place::First;
        (rows, more) = app.store.mailbox_page(&filter, sort, descending, &place, size).await?;
    }
    if rows.is_empty() && !matches!(place, Place::First | Place::Last) {
        // What was there is gone.
        return Ok(Redirect::to(&query.address(&[("page", "last")])).into_response());
    }
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let total = match (&place, more) {
        (Place::First | Place::Last, false) => Total::Exactly(count),
        _ => web.lists.total(app, &filter).await?,
    };
    let start = match (&place, query.n.parse::<i64>().ok()) {
        (Place::First, _) => 1,
        (Place::Last, _) => match total {
            Total::Exactly(total) | Total::About(total) => (total - count + 1).max(1),
            Total::Over(over) => over + 1,
        },
        (_, Some(n)) => n.clamp(1, 1_000_000_000),
        (_, None) => 1,
    };
    let end = start + count - 1;
    let range = match count {
        0 => String::new(),
        _ => format!("{}–{} of {}", grouped(start), grouped(end), total.words()),
    };
    let (has_previous, has_next) = match place {
        Place::First => (false, more),
        Place::After(_) => (true, more),
        Place::Before(_) => (more, true),
        Place::Last => (more, false),
    };
    let before = (start - i64::try_from(size).unwrap_or(0)).max(1).to_string();
    let key = |row: Option<&MailboxRow>| row.map(|row| write_key(&row.key(sort))).unwrap_or_default();
    let link = |there: bool, more: &[(&str, &str)]| if there { query.address(more) } else { String::new() };
    let header = |words, by: MailboxSort| header(&query, words, by);
    let layout = user.layout(Section::Mailboxes, "Mailboxes").await;
    ListPage {
        state_header: header("State", MailboxSort::State),
        address_header: header("Address", MailboxSort::Address),
        checked_header: header("Last checked", MailboxSort::Checked),
        added_header: header("Added", MailboxSort::Added),
        first: link(has_previous, &[]),
        previous: link(has_previous, &[("before", &key(rows.first())), ("n", &before)]),
        next: link(has_next, &[("after", &key(rows.last())), ("n", &(end + 1).to_string())]),
        last: link(has_next, &[("page", "last")]),
        sizes: SIZES
            .map(|rows| (rows, query.address(&[("size", &rows.to_string())]), rows == size))
            .to_vec(),
        filtered: filter_words(&filter),
        none: good_news(&filter),
        choices: web.lists.choices(app).await?,
        range,
        rows,
        filter,
        query,
        layout,
    }
    .show()
}

fn header(query: &ListQuery, words: &'static str, by: MailboxSort) -> Header {
    let current = query.sort() == by;
    let descending = query.descending();
    let dir = match (current, if current { !descending } else { usually_descending(by) }) {
        (_, descending) if descending == usually_descending(by) => "",
        (_, true) => "desc",
        (_, false) => "asc",
    };
    let sort = if by == MailboxSort::default() { "" } else { by.as_str() };
    Header {
        words,
        sorted: match (current, descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        },
        href: query.address(&[("sort", sort), ("dir", dir)]),
    }
}

/// A filter as one says it: `state: failing and tag: helpdesk`.
fn filter_words(filter: &MailboxFilter) -> String {
    let state = filter.state.map(|rank| MailboxState::from_rank(rank).as_str()).unwrap_or_default();
    let on = match filter.enabled {
        Some(true) => "on",
        Some(false) => "off",
        None => "",
    };
    let parts = [
        ("", filter.text.trim()),
        ("state: ", state),
        ("provider: ", &filter.provider),
        ("token: ", &filter.token),
        ("tag: ", &filter.tag),
        ("sign-in: ", &filter.auth),
        ("turned ", on),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| match *label {
            "" => format!("\"{value}\""),
            label => format!("{label}{value}"),
        })
        .collect();
    words.join(" and ")
}

fn good_news(filter: &MailboxFilter) -> &'static str {
    let alone = MailboxFilter {
        state: None,
        ..filter.clone()
    } == MailboxFilter::default();
    match filter.state.map(MailboxState::from_rank) {
        Some(MailboxState::Failing) if alone => "No mailbox is failing",
        Some(MailboxState::Partly) if alone => "No mailbox works only partly",
        Some(MailboxState::NotTested) if alone => "Every mailbox was tested since its last change",
        Some(MailboxState::Paused) if alone => "No mailbox is paused",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_the_search_become_filters() {
        let filter = |q: &str| {
            ListQuery {
                q: q.into(),
                ..ListQuery::default()
            }
            .filter()
        };
        let found = filter("state:failing tag:Helpdesk provider:\"Contoso Oy\" hr@ 100%");
        assert_eq!(
            (found.state, found.tag.as_str(), found.provider.as_str(), found.text.as_str()),
            (Some(0), "helpdesk", "Contoso Oy", "hr@ 100%")
        );
        assert_eq!(filter("state:odd").text, "state:odd");
        assert_eq!(filter("\"unclosed").text, "unclosed");
        assert_eq!(
            filter_words(&found),
            "\"hr@ 100%\" and state: failing and provider: Contoso Oy and tag: helpdesk"
        );
    }

    #[test]
    fn places_survive_the_address_and_nonsense_is_the_beginning() {
        let key = MailboxKey {
            number: -3,
            address: "a.b@c.d".into(),
            id: "00ff".into(),
        };
        assert_eq!(read_key(&write_key(&key)), Some(key));
        for bad in ["", "1", "1.x", "x.1.a@b"] {
            assert_eq!(read_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn big_numbers_are_grouped_and_beyond_ten_thousand_rounded() {
        assert_eq!(Total::of(999).words(), "999");
        assert_eq!(Total::of(10_000).words(), "10,000");
        assert_eq!(Total::of(100_249).words(), "about 100,200");
        assert_eq!(Total::Over(EXACT).words(), "more than 10,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
