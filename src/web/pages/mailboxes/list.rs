//! `/mailboxes`: search, filters, order and pages, all of it in the address (`ux.md` 8.9). Two queries at most, whatever the number of
//! mailboxes.

mod cache;
mod query;

pub use cache::{ListCache, Touching, counted, grouped, used_words};
pub use query::{ListQuery, filter_words, search_text};

use self::cache::{Choices, Total};
use self::query::{SIZES, usually_descending, write_key};
use crate::app::App;
use crate::model::MailboxId;
use crate::model::mailbox::{MailboxState, Protocol};
use crate::model::report::Direction;
use crate::store::StoreResult;
use crate::store::imports::Imported;
use crate::store::mailboxes::{MailboxFilter, MailboxRow, MailboxSort, Page as Place};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::FieldErrors;
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::pager::{Pages, Range, Stand};
use crate::web::pages::radar;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::Arc;
use url::form_urlencoded::Serializer;

/// How many mailboxes that were ticked and are not on the page are told at most: as many as the largest page has rows.
const MOST_ELSEWHERE: usize = 200;

/// A header that sorts.
struct Header {
    words: &'static str,
    /// `ascending`, `descending` or empty.
    sorted: &'static str,
    href: String,
}

#[derive(Template)]
#[template(path = "mailboxes/list.html")]
pub(super) struct ListPage {
    layout: Layout,
    query: ListQuery,
    filter: MailboxFilter,
    choices: Arc<Choices>,
    rows: Vec<MailboxRow>,
    state_header: Header,
    address_header: Header,
    checked_header: Header,
    added_header: Header,
    pages: Pages,
    last: String,
    /// Rows, address, and whether it is the present one.
    sizes: Vec<(usize, String, bool)>,
    /// The filter in words; empty where there is none.
    filtered: String,
    /// The dated changes that touch any mailbox, and for those of this page: the row, and a few words about the change.
    changes: Arc<Touching>,
    marks: Vec<(String, String)>,
    /// Where what is listed is exported.
    export: String,
    /// The filter as the words of a search, and the address of this page.
    words: String,
    here: String,
    /// What ticking all of them says.
    match_words: String,
    /// Why a filter finds nothing, where that is good news or known.
    none: &'static str,
    chosen: Picks,
    /// What was ticked and stands on another page by now: id and address.
    elsewhere: Vec<(String, String)>,
}

impl ListPage {
    fn is_filtered(&self) -> bool {
        self.filter != MailboxFilter::default()
    }

    fn state_kind(&self, row: &MailboxRow) -> &'static str {
        state_kind(row.state)
    }

    fn state_words(&self, row: &MailboxRow) -> &'static str {
        row.half.map_or_else(|| state_words(row.state), half_words)
    }

    fn is_ticked(&self, row: &MailboxRow) -> bool {
        self.chosen.ids.iter().any(|id| id == row.id.as_str())
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

    /// What is about to end for a row.
    fn marks_of(&self, row: &MailboxRow) -> impl Iterator<Item = &str> {
        let name = row.name.clone();
        self.marks
            .iter()
            .filter(move |(of, _)| *of == name)
            .map(|(_, words)| words.as_str())
    }

    /// Whether the filter is a change that touches nobody.
    fn is_old_change(&self) -> bool {
        !self.filter.change.is_empty() && !self.changes.iter().any(|(change, _)| change.id == self.filter.change)
    }

    /// An import, as the filter offers it.
    fn import_words(&self, import: &Imported) -> String {
        format!("{} ({})", self.layout.full(import.at), grouped(import.mailboxes))
    }

    /// Whether the filter is an import that is not offered.
    fn is_old_import(&self) -> bool {
        !self.filter.imported.is_empty() && !self.choices.imported.iter().any(|import| import.id == self.filter.imported)
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

/// What is told of a mailbox of which this side passed its test, and the other was not tested.
pub fn half_words(works: Direction) -> &'static str {
    match works {
        Direction::Incoming => "Incoming works, outgoing not tested",
        Direction::Outgoing => "Outgoing works, incoming not tested",
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

/// What was ticked and typed below the list, where it comes back with what is wrong.
#[derive(Debug, Clone, Default)]
pub struct Picks {
    /// Ids of mailboxes.
    pub ids: Vec<String>,
    /// All that match.
    pub all: bool,
    /// The tag.
    pub tag: String,
    /// What is wrong.
    pub errors: FieldErrors,
}

/// `GET /mailboxes`.
pub async fn index(State(web): State<WebState>, user: CurrentUser, Query(query): Query<ListQuery>) -> Result<Response, PageError> {
    let last = query.address(&[("page", "last")]);
    if let Some((list, picks)) = super::bulk::kept(&user).await {
        return again(&web, &user, &list, picks).await?.show();
    }
    match page(&web, &user, query, Picks::default()).await? {
        Some(page) => page.show(),
        // What was there is gone.
        None => Ok(Redirect::to(&last).into_response()),
    }
}

/// The list of an address once more, with what was ticked and typed in it, and what is wrong with that. Where what was there is gone, that
/// is told beside the beginning of the whole list, where *all* isn't what it was.
pub(super) async fn again(web: &WebState, user: &CurrentUser, address: &str, picks: Picks) -> Result<ListPage, PageError> {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let query: ListQuery = serde_urlencoded::from_str(query).unwrap_or_default();
    let there = page(web, user, query, picks.clone()).await?.filter(|page| !page.rows.is_empty());
    let whole = Picks { all: false, ..picks };
    match there {
        Some(page) => Ok(page),
        None => page(web, user, ListQuery::default(), whole).await?.ok_or(PageError::NotFound),
    }
}

/// The list; none where nothing is left at the place that is asked for.
async fn page(web: &WebState, user: &CurrentUser, query: ListQuery, picks: Picks) -> Result<Option<ListPage>, PageError> {
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
        return Ok(None);
    }
    let changes = web.lists.changes(app).await?;
    let marks = marks(app, &changes, &filter, (sort, descending, &place, size), &rows).await?;
    let stand = match place {
        Place::First => Stand::First,
        Place::After(_) => Stand::After,
        Place::Before(_) => Stand::Before,
        Place::Last => Stand::Last,
    };
    let mut range = Range::of(stand, more, rows.len(), size, &query.n);
    let total = if range.is_all() {
        Total::Exactly(range.end())
    } else {
        web.lists.total(app, &filter).await?
    };
    if stand == Stand::Last {
        range.end_at(match total {
            Total::Exactly(total) | Total::About(total) => total,
            Total::Over(over) => over + range.end(),
        });
    }
    let key = |row: Option<&MailboxRow>| row.map(|row| write_key(&row.key(sort))).unwrap_or_default();
    let ends = (key(rows.first()), key(rows.last()));
    let header = |words, by: MailboxSort| header(&query, words, by);
    let layout = user.layout(Section::Mailboxes, "Mailboxes").await;
    let choices = web.lists.choices(app).await?;
    let known = choices.imported.iter().find(|import| import.id == filter.imported);
    let imported = known.map_or_else(|| "another import".to_owned(), |import| layout.full(import.at));
    let imported = if filter.imported.is_empty() { String::new() } else { imported };
    let asks_import = rows.is_empty() && !filter.imported.is_empty();
    let none = if asks_import && app.store.is_undone_import(&filter.imported).await? {
        "This import was undone, so it has no mailboxes to show"
    } else {
        good_news(&filter)
    };
    let mut elsewhere = Vec::new();
    for id in picks
        .ids
        .iter()
        .filter(|id| !rows.iter().any(|row| row.id.as_str() == id.as_str()))
        .take(MOST_ELSEWHERE)
    {
        let mailbox = app.store.mailbox_by_id(&MailboxId(id.clone())).await?;
        elsewhere.extend(mailbox.map(|mailbox| (id.clone(), mailbox.address)));
    }
    let mut export = Serializer::new(String::new());
    let words = search_text(&filter);
    export.append_pair("what", "mailboxes").append_pair("filter", &words);
    Ok(Some(ListPage {
        state_header: header("State", MailboxSort::State),
        address_header: header("Address", MailboxSort::Address),
        checked_header: header("Last checked", MailboxSort::Checked),
        added_header: header("Added", MailboxSort::Added),
        pages: range.pages((&ends.0, &ends.1), &total.words(), |more| query.address(more)),
        last: if range.has_next() {
            query.address(&[("page", "last")])
        } else {
            String::new()
        },
        sizes: SIZES
            .map(|rows| (rows, query.address(&[("size", &rows.to_string())]), rows == size))
            .to_vec(),
        filtered: filter_words(&filter, &imported),
        none,
        export: format!("/transfer/export?{}", export.finish()),
        match_words: match filter == MailboxFilter::default() {
            true => format!("Select all {}", total.words()),
            false => format!("Select all {} that match", total.words()),
        },
        here: query.address(&query.place_pairs()),
        words,
        choices,
        changes,
        marks,
        rows,
        filter,
        query,
        elsewhere,
        layout: if picks.errors.is_empty() { layout } else { layout.error() },
        chosen: picks,
    }))
}

/// Which rows of a page the changes touch: the same page once more of what each of them touches. Those that touch nobody cost nothing.
async fn marks(
    app: &App,
    changes: &Touching,
    filter: &MailboxFilter,
    (sort, descending, place, size): (MailboxSort, bool, &Place, usize),
    rows: &[MailboxRow],
) -> StoreResult<Vec<(String, String)>> {
    let mut marks = Vec::new();
    for (change, _) in changes {
        let words = radar::short(change, app.clock.now());
        if filter.change == change.id {
            marks.extend(rows.iter().map(|row| (row.name.clone(), words.clone())));
        } else if filter.change.is_empty() {
            let touched = MailboxFilter {
                change: change.id.clone(),
                ..filter.clone()
            };
            let (found, _) = app.store.mailbox_page(&touched, sort, descending, place, size).await?;
            marks.extend(found.into_iter().map(|row| (row.name, words.clone())));
        }
    }
    Ok(marks)
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

fn good_news(filter: &MailboxFilter) -> &'static str {
    let alone = MailboxFilter {
        state: None,
        ..filter.clone()
    } == MailboxFilter::default();
    match filter.state.map(MailboxState::from_rank) {
        _ if !filter.problem.is_empty() => "No mailbox fails with that any more",
        Some(MailboxState::Failing) if alone => "No mailbox is failing",
        Some(MailboxState::Partly) if alone => "No mailbox works only partly",
        Some(MailboxState::NotTested) if alone => "Every mailbox was tested since its last change",
        Some(MailboxState::Paused) if alone => "No mailbox is paused",
        _ => "",
    }
}
