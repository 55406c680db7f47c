//! The form before a bulk test: which mailboxes and what, with how many that are and how long it takes before anything begins.

use super::begin;
use super::view::{duration_words, mailboxes_words, tests_words};
use crate::actions::batches::{LONGEST_NOTE, Survey, Which, Wish, most_parallel, survey};
use crate::app::App;
use crate::model::MailboxId;
use crate::model::batch::What;
use crate::store::StoreResult;
use crate::store::batches::Chosen;
use crate::store::mailboxes::MailboxFilter;
use crate::vault::sha256;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::CurrentUser;
use crate::web::page::{Layout, Page, Section};
use crate::web::pages::mailboxes::list::{ListQuery, filter_words};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

/// How many mailboxes can be ticked: as many as there are rows on the largest page.
const MOST_TICKED: usize = 200;

/// The form as it was sent, or as an address fills it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NewForm {
    which: String,
    tag: String,
    provider: String,
    /// A filter of the list, in the words of its search.
    q: String,
    /// Ids that were ticked, with commas between.
    ids: String,
    what: String,
    parallel: String,
    note: String,
    /// Of which choice the page showed the number.
    counted: String,
    once: String,
    act: String,
}

impl NewForm {
    /// Of mailboxes that were ticked.
    pub fn of(ids: &[String]) -> Self {
        Self {
            which: "these".to_owned(),
            ids: ids.join(","),
            ..Self::default()
        }
    }

    fn ticked(&self) -> Vec<MailboxId> {
        let ids = self.ids.split(',').map(str::trim);
        ids.filter(|id| !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .take(MOST_TICKED)
            .map(|id| MailboxId(id.to_owned()))
            .collect()
    }

    /// What the number on the page is of.
    fn key(&self) -> String {
        sha256(&format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.which, self.tag, self.provider, self.q, self.ids, self.what, self.parallel
        ))
    }

    /// The words of a filter, and the filter.
    fn filtered(&self) -> (String, MailboxFilter) {
        let filter = ListQuery::search(&self.q).filter();
        let imported = if filter.imported.is_empty() { "" } else { "once" };
        let words = match filter_words(&filter, imported) {
            words if words.is_empty() => "All mailboxes".to_owned(),
            words => format!("Those with {words}"),
        };
        (words, filter)
    }

    fn check(&self, most: i64) -> Result<Wish, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut chosen = Chosen::default();
        let mut words = String::new();
        match self.which.as_str() {
            "on" => {
                chosen.filter.enabled = Some(true);
                words = "All that are turned on".to_owned();
            }
            "tag" if clean(&self.tag).is_empty() => errors.add("tag", "Choose a tag"),
            "tag" => {
                chosen.filter.tag = clean(&self.tag).to_lowercase();
                words = format!("Those with the tag {}", chosen.filter.tag);
            }
            "provider" if clean(&self.provider).is_empty() => errors.add("provider", "Choose a provider"),
            "provider" => {
                chosen.filter.provider = clean(&self.provider).to_owned();
                words = format!("Those of {}", chosen.filter.provider);
            }
            "filter" => (words, chosen.filter) = self.filtered(),
            "these" => {
                chosen.ids = self.ticked();
                words = match chosen.ids.len() {
                    0 => String::new(),
                    1 => "1 that was ticked".to_owned(),
                    number => format!("{number} that were ticked"),
                };
                if chosen.ids.is_empty() {
                    errors.add("which", "Tick mailboxes in the list first, or choose others");
                }
            }
            _ => errors.add("which", "Choose which mailboxes"),
        }
        let what = What::parse(&self.what);
        if what.is_none() {
            errors.add("what", "Choose what is tested");
        }
        let parallel = clean(&self.parallel)
            .parse::<i64>()
            .ok()
            .filter(|number| (1..=most).contains(number));
        if parallel.is_none() {
            errors.add("parallel", format!("At the same time must be between 1 and {most}"));
        }
        let note = self.note.trim();
        if note.chars().count() > LONGEST_NOTE || note.chars().any(char::is_control) {
            errors.add("note", format!("Note must be one line of {LONGEST_NOTE} characters or fewer"));
        }
        match (errors.is_empty(), what, parallel) {
            (true, Some(what), Some(parallel)) => Ok(Wish {
                which: Which::Chosen(Box::new(chosen)),
                words,
                what,
                parallel,
                note: note.to_owned(),
            }),
            _ => Err(errors),
        }
    }
}

#[derive(Template)]
#[template(path = "batches/new.html")]
struct NewPage {
    layout: Layout,
    errors: FieldErrors,
    form: NewForm,
    tags: Vec<String>,
    providers: Vec<String>,
    /// The filter in words; empty where none came along.
    filter: String,
    ticked: usize,
    /// What is chosen comes to; none where that can't be said.
    found: Option<Survey>,
}

impl NewPage {
    /// What it comes to, as a sentence.
    fn words(&self, found: &Survey) -> String {
        let mailboxes = mailboxes_words(found.mailboxes);
        let tests = match found.tests == found.mailboxes {
            true => String::new(),
            false => format!(", {}", tests_words(found.tests)),
        };
        match found.tests {
            0 => "No mailbox matches that.".to_owned(),
            _ if self.form.act == "start" => {
                format!(
                    "Not started yet, because the choice changed: it comes to {mailboxes}{tests}, {}. Start it now?",
                    duration_words(found.seconds)
                )
            }
            _ => format!("{mailboxes}{tests}, {}.", duration_words(found.seconds)),
        }
    }

    fn whats(&self) -> &'static [What] {
        What::ALL
    }

    fn named(&self, names: &[String]) -> Vec<(String, String)> {
        let all = names.iter().map(|name| (name.clone(), name.clone()));
        std::iter::once((String::new(), "Choose".to_owned())).chain(all).collect()
    }
}

/// The form with what it comes to now.
async fn page(app: &App, user: &CurrentUser, mut form: NewForm, errors: FieldErrors) -> StoreResult<NewPage> {
    let most = most_parallel(app).await?;
    form.once = app.random.base64url(12);
    let found = match form.check(most) {
        Ok(wish) => {
            form.counted = form.key();
            Some(survey(app, &wish.which, wish.what, wish.parallel).await?)
        }
        Err(_) => None,
    };
    let layout = user.layout(Section::Tests, "Test many at once").await.crumb("Tests", "/tests");
    Ok(NewPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        tags: app.store.tags().await?.into_iter().map(|(tag, _)| tag).collect(),
        providers: app.store.provider_names().await?,
        filter: if form.which == "filter" || !form.q.is_empty() {
            form.filtered().0
        } else {
            String::new()
        },
        ticked: form.ticked().len(),
        found,
        form,
    })
}

/// The form of mailboxes that were ticked in the list.
pub async fn of_ticked(web: &WebState, user: &CurrentUser, ids: &[String]) -> Result<Response, PageError> {
    let form = filled(&web.app, NewForm::of(ids)).await?;
    page(&web.app, user, form, FieldErrors::default()).await?.show()
}

/// With what stands in the form at first.
async fn filled(app: &App, mut form: NewForm) -> StoreResult<NewForm> {
    if form.which.is_empty() {
        form.which = match (form.tag.is_empty(), form.provider.is_empty(), form.q.is_empty()) {
            (false, ..) => "tag",
            (_, false, _) => "provider",
            (.., false) => "filter",
            _ => "on",
        }
        .to_owned();
    }
    if form.what.is_empty() {
        form.what = What::Incoming.to_string();
    }
    if form.parallel.is_empty() {
        form.parallel = most_parallel(app).await?.to_string();
    }
    Ok(form)
}

/// `GET /tests/new`.
pub async fn new(State(web): State<WebState>, user: CurrentUser, Query(form): Query<NewForm>) -> Result<Response, PageError> {
    let form = match user.take_draft("/tests/new").await {
        Some(fields) => crate::web::form::refill(&fields).await.unwrap_or(form),
        None => form,
    };
    let form = filled(&web.app, form).await?;
    page(&web.app, &user, form, FieldErrors::default()).await?.show()
}

/// `POST /tests/new`: shows what another choice comes to, and starts what was shown.
pub async fn create(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<NewForm>) -> Result<Response, PageError> {
    let app = &web.app;
    let wish = match form.check(most_parallel(app).await?) {
        Ok(wish) => wish,
        Err(errors) => return page(app, &user, form, errors).await?.refused(),
    };
    if form.act == "count" || form.counted != form.key() {
        return page(app, &user, form, FieldErrors::default()).await?.show();
    }
    match begin(&web, &user, wish, &form.once).await? {
        Some(response) => Ok(response),
        None => {
            let mut errors = FieldErrors::default();
            errors.add("which", "No mailbox matches that. Choose others");
            page(app, &user, form, errors).await?.refused()
        }
    }
}
