//! What every page has: [`Layout`] (person, navigation with counts, crumbs, flash message, token for forms, times in the person's
//! zone), and [`Page`], which turns a template into an answer.

use super::WebState;
use super::assets::asset;
use super::error::PageError;
pub use super::flash::{Flash, FlashButton};
use super::guard::{CurrentUser, Visit};
use super::session::FLASH;
use super::time::{Html, Zone};
use crate::clock::Timestamp;
use crate::model::user::{Permission, User};
use crate::model::{Date, words};
pub use crate::store::attention::Counts;
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::borrow::Borrow;
use std::time::{Duration, Instant};

/// How long may the counts in the navigation be old?
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// Templates as answers.
pub trait Page: Template + Sized {
    /// `200 OK`.
    fn show(&self) -> Result<Response, PageError> {
        self.with_status(StatusCode::OK)
    }

    /// `422 Unprocessable Content`: a form that comes back with what is wrong.
    fn refused(&self) -> Result<Response, PageError> {
        self.with_status(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// With any status.
    fn with_status(&self, status: StatusCode) -> Result<Response, PageError> {
        let text = self.render().map_err(PageError::internal)?;
        Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response())
    }
}

impl<T: Template> Page for T {}

words!(
    /// The entries of the navigation.
    Section {
        /// `/`
        Overview = "overview",
        /// `/mailboxes`
        Mailboxes = "mailboxes",
        /// `/tests`
        Tests = "tests",
        /// `/providers`
        Providers = "providers",
        /// `/tokens`
        Tokens = "tokens",
        /// `/walkthroughs`
        Walkthroughs = "walkthroughs",
        /// `/log`
        Log = "log",
        /// `/audit`
        Audit = "audit",
        /// `/transfer`
        Transfer = "transfer",
        /// `/settings`
        Settings = "settings",
        /// `/about`
        About = "about",
        /// `/explain`
        Explain = "explain",
        /// `/search`
        Search = "search",
        /// `/demo`, there only in the demo.
        Demo = "demo",
        /// None of them: the own account.
        Me = "me",
    }
);

/// The counts, and when they were taken.
pub(super) type CountsCache = tokio::sync::Mutex<Option<(Instant, Counts)>>;

async fn counts(web: &WebState) -> Counts {
    let mut cache = web.counts.lock().await;
    if let Some((at, counts)) = *cache
        && at.elapsed() < COUNTS_FOR
    {
        return counts;
    }
    let counts = web.app.store.attention(web.app.clock.now()).await.unwrap_or_else(|error| {
        tracing::warn!(error = %error, "The counts of the navigation can't be read: {error}");
        Counts::default()
    });
    *cache = Some((Instant::now(), counts));
    counts
}

/// The person, as the frame shows them.
#[derive(Debug, Clone)]
pub struct Person {
    /// Name.
    pub name: String,
    /// One or two letters.
    pub initials: String,
}

impl Person {
    fn of(user: &User) -> Self {
        let mut words = user.name.split_whitespace().filter_map(|word| word.chars().next());
        let initials = words
            .next()
            .into_iter()
            .chain(words.next_back())
            .flat_map(char::to_uppercase)
            .collect();
        Self {
            name: user.name.clone(),
            initials,
        }
    }
}

/// The frame of a page. Templates extend `base.html` (with navigation) or `narrow.html` (without) and have it as `layout`.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Title without the product: the result first.
    pub title: String,
    /// Whether a form on the page was refused.
    pub is_error: bool,
    /// Where it is in the navigation.
    pub section: Option<Section>,
    /// Links above the page, as (words, address); the page itself comes last by its title.
    pub crumbs: Vec<(String, String)>,
    /// Who is signed in.
    pub person: Option<Person>,
    /// Counts in the navigation.
    pub counts: Counts,
    /// Message above the heading.
    pub flash: Option<Flash>,
    /// Token for the page's forms: field `csrf_token`.
    pub csrf: String,
    /// `system`, `light` or `dark`.
    pub theme: &'static str,
    /// The person's time zone.
    pub zone: Zone,
    /// When the page was made.
    pub now: Timestamp,
    /// Seconds until the session ends if nothing happens; 0 without one.
    pub session_left: i64,
    /// The console's own address, where the browser used another.
    pub elsewhere: Option<String>,
    /// What stands above every page until it is over.
    pub standing: Vec<Flash>,
    /// What this console is called; may be empty.
    pub instance: String,
    /// This is the demo, and every page says so.
    pub demo: bool,
    permissions: Vec<Permission>,
    visit: Option<VisitKept>,
}

/// What the frame asks of the request when it is written, not when it is made: a form may be refilled in between.
#[derive(Clone)]
struct VisitKept(Visit);

impl std::fmt::Debug for VisitKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visit")
    }
}

impl Layout {
    pub(super) fn public(visit: &Visit, title: &str) -> Self {
        let own = visit.web.base_url();
        let elsewhere = (!visit.host.is_empty() && own.authority() != visit.host).then(|| own.origin().ascii_serialization());
        Self {
            title: title.to_owned(),
            is_error: false,
            section: None,
            crumbs: Vec::new(),
            person: None,
            counts: Counts::default(),
            flash: None,
            csrf: visit.csrf.clone(),
            theme: "system",
            zone: visit.web.default_zone(),
            now: visit.web.app.clock.now(),
            session_left: 0,
            elsewhere,
            standing: Vec::new(),
            instance: visit.web.app.settings.instance_name(),
            demo: visit.web.app.config.demo,
            permissions: Vec::new(),
            visit: Some(VisitKept(visit.clone())),
        }
    }

    pub(super) async fn signed_in(user: &CurrentUser, section: Section, title: &str) -> Self {
        let visit = &user.visit;
        let flash = if user.session_row().data.contains_key(FLASH) && !super::visit::is_background(&visit.headers) {
            visit.session.remove(FLASH).await.ok().flatten()
        } else {
            None
        };
        let person = user.user();
        let now = visit.web.app.clock.now();
        Self {
            section: Some(section),
            person: Some(Person::of(person)),
            counts: counts(&visit.web).await,
            flash,
            standing: super::standing::lines(user),
            theme: person.theme.as_str(),
            zone: Zone::named(&person.time_zone).unwrap_or_else(|| visit.web.default_zone()),
            session_left: user.session_row().ends().since(now),
            permissions: Permission::ALL
                .iter()
                .copied()
                .filter(|permission| person.role.may(*permission))
                .collect(),
            ..Self::public(visit, title)
        }
    }

    /// Adds a link to the crumbs.
    #[must_use]
    pub fn crumb(mut self, words: &str, href: &str) -> Self {
        self.crumbs.push((words.to_owned(), href.to_owned()));
        self
    }

    /// Leaves out the note that the console has another address: setup says it in its own words.
    #[must_use]
    pub fn without_note(mut self) -> Self {
        self.elsewhere = None;
        self
    }

    /// Says in the title that a form was refused.
    #[must_use]
    pub fn error(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// Whether the person has a permission, by its enum.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Whether the person has a permission, by its word: `layout.can("mailbox.edit")` in templates.
    pub fn can(&self, permission: &str) -> bool {
        Permission::parse(permission).is_some_and(|permission| self.may(permission))
    }

    /// Whether a form of this page was filled from what was kept: nothing is saved yet.
    pub fn form_kept(&self) -> bool {
        self.visit.as_ref().is_some_and(|visit| visit.0.form_kept())
    }

    /// Whether the page is in this section, by its word: `mailboxes`.
    pub fn is_at(&self, section: &str) -> bool {
        self.section.is_some_and(|own| own.as_str() == section)
    }

    /// Address of a file of `static/`.
    pub fn asset(&self, name: &str) -> String {
        asset(name)
    }

    /// Address of an icon or mark in the sprite, for `<use href>`.
    pub fn icon(&self, name: &str) -> String {
        format!("{}#{name}", asset("icons.svg"))
    }

    /// `20 Nov 2025, 15:29`, or with "today" and "yesterday", as `<time>`.
    pub fn time(&self, at: impl Borrow<Timestamp>) -> Html {
        self.zone.time(*at.borrow(), self.now)
    }

    /// A time to the second, for logs.
    pub fn seconds(&self, at: impl Borrow<Timestamp>) -> Html {
        self.zone.seconds(*at.borrow(), self.now)
    }

    /// A time in full, where there can be no element: `20 Nov 2025, 15:29`.
    pub fn full(&self, at: Timestamp) -> String {
        self.zone.full(at)
    }

    /// The time that a text of a report is (RFC 3339), if it is one.
    pub fn instant(&self, text: &str) -> Option<Timestamp> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_second()))
    }

    /// A sentence of a report, with its times (RFC 3339) and dates as people say them.
    pub fn told(&self, text: &str) -> Html {
        self.zone.told(text, self.now)
    }

    /// `4 minutes ago` within the hour, then as [`Self::time`].
    pub fn ago(&self, at: impl Borrow<Timestamp>) -> Html {
        self.zone.ago(*at.borrow(), self.now)
    }

    /// `15:29 today, 34 minutes ago`.
    pub fn since(&self, at: impl Borrow<Timestamp>) -> Html {
        self.zone.since(*at.borrow(), self.now)
    }

    /// `in 12 days, 2 Dec 2025`, `in 34 minutes, 16:20`.
    pub fn until(&self, at: impl Borrow<Timestamp>) -> Html {
        self.zone.until(*at.borrow(), self.now)
    }

    /// A calendar date with its distance: `in 12 days, 2 Dec 2025`.
    pub fn date(&self, date: impl Borrow<Date>) -> Html {
        self.zone.date(*date.borrow(), self.now)
    }

    /// Whether two texts are the same, whatever they are borrowed from.
    pub fn same(&self, a: impl AsRef<str>, b: impl AsRef<str>) -> bool {
        a.as_ref() == b.as_ref()
    }

    /// Version of the program, for the footer.
    pub fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
