//! `/settings`: what people may change about this console (`ux.md` 6.14). Groups of fields are data in [`crate::model::settings`]; what is
//! set from outside is shown and changed there.

mod address;
mod counting;
mod facts;
mod sizes;

use crate::actions::probe;
use crate::actions::settings::{self, Wish};
use crate::actions::users::{self, UserError};
use crate::model::settings::{Field, GROUPS, Group, KEEP_AUDIT, Kind, TIME_ZONE, group};
use crate::model::user::Permission;
use crate::secret::Password;
use crate::store::StoreResult;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes::{Access, Routes};
use crate::web::time::{Zone, zone_choices};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
pub(crate) use counting::Counted;
use counting::Numbers;
use sizes::{Size, sizes};
use std::collections::BTreeMap;

/// The list of groups.
const SETTINGS: &str = "/settings";
/// The field of the password.
const PASSWORD: &str = "password";

/// The routes of this section.
pub fn routes() -> Routes {
    const SEE: Access = Access::Permission(Permission::View);
    const EDIT: Access = Access::Permission(Permission::SettingsEdit);
    Routes::new()
        .get("/settings", SEE, list)
        .get("/settings/network", SEE, facts::network)
        .get("/settings/encryption", SEE, facts::encryption)
        .get("/settings/general/address", EDIT, address::show)
        .post("/settings/general/address", EDIT, address::change)
        .get("/settings/{group}", SEE, show)
        .post("/settings/{group}", EDIT, save)
}

/// A group in the list.
struct Row {
    title: &'static str,
    href: String,
    about: &'static str,
    /// What was changed from its default, in words.
    changed: String,
}

#[derive(Template)]
#[template(path = "settings/index.html")]
struct ListPage {
    layout: Layout,
    rows: Vec<Row>,
}

/// `GET /settings`.
pub async fn list(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let stored = stored(&web, group).await?;
        let changed: Vec<String> = group
            .fields
            .iter()
            .filter(|field| stored[field.key] != field.default())
            .map(|field| format!("{}: {}", bare(field.label), field.words(&stored[field.key])))
            .collect();
        rows.push(Row {
            title: group.title,
            href: format!("{SETTINGS}/{}", group.path),
            about: group.about,
            changed: changed.join(", "),
        });
    }
    rows.push(Row {
        title: "Notifications",
        href: format!("{SETTINGS}/notifications"),
        about: "Who hears of what fails, recovers and ends, by mail and by webhook.",
        changed: String::new(),
    });
    rows.extend(facts::ROWS.iter().map(|(path, title, about)| Row {
        title,
        href: format!("{SETTINGS}/{path}"),
        about,
        changed: String::new(),
    }));
    let layout = user.layout(Section::Settings, "Settings").await;
    ListPage { layout, rows }.show()
}

/// A label without its note.
fn bare(label: &str) -> &str {
    label.trim_end_matches(" (optional)")
}

/// What is in force, by key.
async fn stored(web: &WebState, group: &Group) -> StoreResult<BTreeMap<&'static str, String>> {
    let mut found = BTreeMap::new();
    for field in group.fields {
        let stored = web.app.store.setting(field.key).await?;
        found.insert(field.key, field.in_force(stored.as_deref()));
    }
    Ok(found)
}

/// A field, as the page shows it.
struct Shown {
    field: Field,
    name: &'static str,
    hint: String,
    /// What stands in it.
    value: String,
    /// What was in force when whoever typed it last saw it: who saves on top of something else is told.
    was: String,
    /// What is in force.
    is: String,
    /// The choices of a list.
    choices: Vec<(String, String)>,
    /// `Reset to 15 minutes`, where it was changed.
    reset: String,
    /// Whether that wants the password of the page.
    with_password: bool,
    /// What is so where nothing was chosen.
    note: String,
}

impl Shown {
    fn unit(&self) -> &'static str {
        match self.field.kind {
            Kind::Number(_, (_, several)) | Kind::Free(_, (_, several), _) => several,
            Kind::Text(_) | Kind::Zone | Kind::Choice(..) => "",
        }
    }

    fn is_choice(&self) -> bool {
        !self.choices.is_empty()
    }

    fn words(&self) -> String {
        self.field.words(&self.is)
    }
}

#[derive(Template)]
#[template(path = "settings/group.html")]
struct GroupPage {
    layout: Layout,
    errors: FieldErrors,
    path: &'static str,
    title: &'static str,
    about: &'static str,
    fields: Vec<Shown>,
    /// How much there is, on the page of retention.
    sizes: Option<Numbers<Vec<Size>>>,
    /// What belongs here and is not chosen here.
    beside: Vec<facts::Fact>,
    /// The public address, and whether it is set from outside; on the general page.
    address: Option<(String, bool)>,
    /// Whether a change of one of these wants the person's password again, and whose it is.
    password_for: Option<(String, String)>,
    cannot: Option<String>,
}

impl GroupPage {
    async fn new(
        web: &WebState,
        user: &CurrentUser,
        group: &'static Group,
        typed: Option<&[(String, String)]>,
        errors: FieldErrors,
    ) -> Result<Self, PageError> {
        let layout = user.layout(Section::Settings, group.title).await.crumb("Settings", SETTINGS);
        let stored = stored(web, group).await?;
        let places = probe::places(&web.app).await?;
        let shown = |field: &Field| {
            let is = stored[field.key].clone();
            let typed = |name: &str| typed.and_then(|typed| value_of(typed, name));
            let seen = typed(&format!("{}_was", field.name())).unwrap_or_else(|| is.clone());
            let (value, was) = match typed(field.name()) {
                Some(value) if value != seen && value != is => {
                    // That it was changed meanwhile is said beside it now.
                    let is_told = errors.has(field.name()) && field.read(&value).is_ok();
                    (value, if is_told { is.clone() } else { seen })
                }
                // What nobody touched is shown as it is now: to save it must not bring back what it was.
                _ => (is.clone(), is.clone()),
            };
            let server = || format!("As the server ({})", web.zone.name());
            Shown {
                name: field.name(),
                hint: field.hint.to_owned(),
                choices: match field.kind {
                    Kind::Zone => zone_choices(server(), &value),
                    Kind::Choice(_, words) => words
                        .iter()
                        .map(|(value, words)| ((*value).to_owned(), (*words).to_owned()))
                        .collect(),
                    Kind::Number(..) | Kind::Free(..) | Kind::Text(_) => Vec::new(),
                },
                with_password: needs_password(field),
                reset: match field.kind {
                    _ if is == field.default() => String::new(),
                    Kind::Free(..) => "Let it grow by itself".to_owned(),
                    _ => format!("Reset to {}", field.words(&field.default())),
                },
                note: match field.kind {
                    Kind::Free(..) if is.is_empty() => format!("Nothing is chosen: it grows by itself, and is {places} now."),
                    _ => String::new(),
                },
                field: *field,
                value,
                was,
                is,
            }
        };
        let fields = group.fields.iter().map(shown).collect();
        Ok(Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            path: group.path,
            title: group.title,
            about: group.about,
            fields,
            sizes: if group.path == "retention" { Some(sizes(web).await) } else { None },
            beside: facts::beside(web, group.path),
            address: (group.path == "general").then(|| (web.url(""), web.app.config.base_url_set)),
            password_for: group
                .fields
                .iter()
                .find(|field| needs_password(field))
                .map(|field| (bare(field.label).to_lowercase(), user.user().email.clone())),
            cannot: user.cannot(Permission::SettingsEdit).await,
        })
    }
}

/// Whether changing it wants the password again (AUTH-9): who sits at somebody else's open session must not have the traces cut.
fn needs_password(field: &Field) -> bool {
    field.key == KEEP_AUDIT.key
}

fn known(path: &str) -> Result<&'static Group, PageError> {
    group(path).ok_or(PageError::NotFound)
}

fn value_of(typed: &[(String, String)], name: &str) -> Option<String> {
    let found = typed.iter().find(|(field, _)| field == name);
    found.map(|(_, value)| clean(value).to_owned())
}

/// `GET /settings/{group}`.
pub async fn show(State(web): State<WebState>, user: CurrentUser, Path(path): Path<String>) -> Result<Response, PageError> {
    let group = known(&path)?;
    let kept = user.take_draft(&format!("{SETTINGS}/{}", group.path)).await;
    GroupPage::new(&web, &user, group, kept.as_deref(), FieldErrors::default())
        .await?
        .show()
}

/// `POST /settings/{group}`: everything on the page, all or nothing; or, with a button *Reset*, that one setting alone.
pub async fn save(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(path): Path<String>,
    CsrfForm(mut typed): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let group = known(&path)?;
    let mut errors = FieldErrors::default();
    let mut wishes = BTreeMap::new();
    // The button that takes one back to its default: nothing else is changed then.
    let back = value_of(&typed, "reset");
    for field in group
        .fields
        .iter()
        .filter(|field| back.as_ref().is_none_or(|back| back == field.name()))
    {
        let value = back.as_ref().map(|_| field.default());
        let Some(value) = value.or_else(|| value_of(&typed, field.name())) else {
            continue;
        };
        if field.key == TIME_ZONE && !value.is_empty() && Zone::named(&value).is_none() {
            errors.add(field.name(), "Choose a time zone from the list");
        }
        let was = value_of(&typed, &format!("{}_was", field.name())).unwrap_or_default();
        if needs_password(field) && field.read(&value).is_ok_and(|value| value != was) {
            confirm(&web, &user, &mut typed, &mut errors, bare(field.label)).await?;
        }
        let typed = back.is_none().then_some(value);
        wishes.insert(field.key, Wish { was, typed });
    }
    // Whatever comes of it, it does not go back into a page.
    typed.retain(|(name, _)| name != PASSWORD);
    if let Some(name) = back {
        return take_back(&web, &user, group, (&name, typed), &wishes, errors).await;
    }
    if errors.is_empty() {
        match settings::change(&web.app, &user.actor(), group, &wishes).await? {
            Ok(changed) => {
                let flash = match changed.as_slice() {
                    [] => Flash::info("Nothing was changed."),
                    changed => Flash::ok(&format!("Saved. {}.", changed.join(", "))),
                };
                return user.redirect_with(&format!("{SETTINGS}/{}", group.path), flash).await;
            }
            Err(problems) => errors = problems.into(),
        }
    }
    GroupPage::new(&web, &user, group, Some(&typed), errors).await?.refused()
}

/// One setting goes back to its default. What was typed into the others stays typed, and unsaved.
async fn take_back(
    web: &WebState,
    user: &CurrentUser,
    group: &'static Group,
    (name, mut typed): (&str, Vec<(String, String)>),
    wishes: &BTreeMap<&'static str, Wish>,
    mut errors: FieldErrors,
) -> Result<Response, PageError> {
    let field = group.fields.iter().find(|field| field.name() == name);
    let field = field.ok_or_else(|| PageError::Bad("There is no such setting on that page. Nothing was changed.".into()))?;
    // It is shown as it is in force, whatever comes of it.
    typed.retain(|(typed, _)| typed != name);
    let mut flash = None;
    if errors.is_empty() {
        match settings::change(&web.app, &user.actor(), group, wishes).await? {
            Ok(_) => {
                let is = if matches!(field.kind, Kind::Free(..)) { "" } else { "is " };
                flash = Some(format!("{} {is}{} again.", bare(field.label), field.words(&field.default())));
            }
            Err(_) => errors.add(name, "Somebody changed this meanwhile. Nothing was changed; this is theirs"),
        }
    }
    let mut page = GroupPage::new(web, user, group, Some(&typed), errors).await?;
    let Some(told) = flash else { return page.refused() };
    if page.fields.iter().all(|shown| shown.value == shown.is) {
        return user.redirect_with(&format!("{SETTINGS}/{}", group.path), Flash::ok(&told)).await;
    }
    page.layout.flash = Some(Flash::warn(&format!(
        "{told} What you typed into the other fields isn\u{2019}t saved yet."
    )));
    page.show()
}

/// Asks for the password again, and notes where it is missing or wrong.
async fn confirm(
    web: &WebState,
    user: &CurrentUser,
    typed: &mut [(String, String)],
    errors: &mut FieldErrors,
    what: &str,
) -> Result<(), PageError> {
    let given = typed.iter_mut().find(|(name, _)| name == PASSWORD);
    let given = Password::new(given.map(|(_, value)| std::mem::take(value)).unwrap_or_default());
    if given.expose_secret().is_empty() {
        errors.add(
            PASSWORD,
            format!("Enter your password: another time for the {} needs it", what.to_lowercase()),
        );
        return Ok(());
    }
    match users::confirm(&web.app, &web.passwords, &user.actor(), user.user(), given, "settings.change").await {
        Ok(()) => Ok(()),
        Err(UserError::Field(..)) => {
            errors.add(PASSWORD, "Your password is wrong");
            Ok(())
        }
        Err(other) => Err(other.into()),
    }
}
