//! `/setup`: first run. A code from the console's own log, the first admin, the public address, where the key lives, what next
//! (`ux.md` 6.1). The first two steps are there only while nobody has an account, the others until the address is settled; then 404.

use crate::actions::settings;
use crate::actions::setup::{self, CodeTry};
use crate::actions::users::{self, NewUser, UserError};
use crate::app::App;
use crate::config::MasterKeySource;
use crate::model::audit::Actor;
use crate::model::user::{Permission, Role};
use crate::secret::Password;
use crate::telemetry::NOTICE;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, clean};
use crate::web::guard::{CurrentUser, Visit};
use crate::web::page::{Layout, Page};
use crate::web::routes::{Access, Routes};
use crate::web::{WebState, visit};
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Whoever sets up is an admin by then.
const ADMIN: Access = Access::Permission(Permission::SettingsEdit);

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
        .get("/setup", Access::Public, code)
        .post("/setup", Access::Public, try_code)
        .get("/setup/admin", Access::Public, admin)
        .post("/setup/admin", Access::Public, create_admin)
        .get("/setup/address", ADMIN, address)
        .post("/setup/address", ADMIN, settle_address)
        .get("/setup/keys", ADMIN, keys)
        .get("/setup/done", ADMIN, done)
}

async fn only_while_open(app: &App) -> Result<(), PageError> {
    if setup::is_open(app).await? {
        Ok(())
    } else {
        Err(PageError::NotFound)
    }
}

async fn only_until_over(app: &App) -> Result<(), PageError> {
    if setup::is_over(app).await? {
        Err(PageError::NotFound)
    } else {
        Ok(())
    }
}

fn to(path: &str) -> Result<Response, PageError> {
    Ok(Redirect::to(path).into_response())
}

async fn print_code(app: &App, always: bool) -> Result<(), PageError> {
    let code = if always {
        Some(setup::new_code(app).await?)
    } else {
        setup::renew_code(app).await?
    };
    if let Some(code) = code {
        tracing::info!(target: NOTICE, "A new setup code for /setup: {code}");
    }
    Ok(())
}

fn marked(layout: Layout, errors: &FieldErrors) -> Layout {
    if errors.is_empty() { layout } else { layout.error() }
}

/// Whether it has the shape of a code, with a letter or two wrong. Anything else may be a secret in the wrong field, and doesn't come
/// back.
fn is_like_a_code(typed: &str) -> bool {
    let groups: Vec<&str> = typed.trim().split(['-', ' ']).collect();
    groups.len() == 3
        && groups
            .iter()
            .all(|group| (3..=5).contains(&group.len()) && group.chars().all(|c| c.is_ascii_alphanumeric()))
}

#[derive(Template)]
#[template(path = "setup/code.html")]
struct CodePage {
    layout: Layout,
    errors: FieldErrors,
    /// As it was typed: one wrong letter is mended, not typed anew.
    code: String,
}

/// The code, as typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct CodeForm {
    code: String,
}

/// `GET /setup`: asks for the code; prints a new one where none lives.
pub async fn code(State(app): State<App>, visit: Visit) -> Result<Response, PageError> {
    only_while_open(&app).await?;
    if setup::is_proved(&app, &visit.visitor).await? {
        return to("/setup/admin");
    }
    print_code(&app, false).await?;
    let layout = visit.layout("Prove it's yours").without_note();
    CodePage {
        layout,
        errors: FieldErrors::default(),
        code: String::new(),
    }
    .show()
}

/// `POST /setup`: checks it.
pub async fn try_code(State(web): State<WebState>, visit: Visit, CsrfForm(form): CsrfForm<CodeForm>) -> Result<Response, PageError> {
    let app = &web.app;
    only_while_open(app).await?;
    let visitor = app.random.base64url(16);
    match setup::try_code(app, &form.code, &visitor, &visit.address).await? {
        CodeTry::Right => {
            visit::set_visitor(&web, &visit, &visitor);
            return to("/setup/admin");
        }
        CodeTry::New => print_code(app, true).await?,
        CodeTry::Wait(seconds) => return Err(PageError::TooMany(seconds)),
        CodeTry::Wrong => {}
    }
    let mut errors = FieldErrors::default();
    errors.add("code", "Setup code doesn't match. Look for the newest one in the log");
    let layout = marked(visit.layout("Prove it's yours").without_note(), &errors);
    CodePage {
        layout,
        errors,
        code: Some(form.code).filter(|typed| is_like_a_code(typed)).unwrap_or_default(),
    }
    .refused()
}

#[derive(Template)]
#[template(path = "setup/admin.html")]
struct AdminPage {
    layout: Layout,
    errors: FieldErrors,
    form: AdminForm,
}

/// The first admin.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AdminForm {
    name: String,
    email: String,
    password: String,
}

/// `GET /setup/admin`.
pub async fn admin(State(app): State<App>, visit: Visit) -> Result<Response, PageError> {
    only_while_open(&app).await?;
    if !setup::is_proved(&app, &visit.visitor).await? {
        return to("/setup");
    }
    let layout = visit.layout("First admin").without_note();
    AdminPage {
        layout,
        errors: FieldErrors::default(),
        form: AdminForm::default(),
    }
    .show()
}

/// `POST /setup/admin`: makes the account and signs it in.
pub async fn create_admin(
    State(web): State<WebState>,
    visit: Visit,
    CsrfForm(mut form): CsrfForm<AdminForm>,
) -> Result<Response, PageError> {
    let app = &web.app;
    only_while_open(app).await?;
    if !setup::is_proved(app, &visit.visitor).await? {
        return to("/setup");
    }
    let password = Password::new(std::mem::take(&mut form.password));
    let mut errors = FieldErrors::default();
    if form.name.trim().is_empty() {
        errors.add("name", "Enter your name");
    }
    let email = users::parse_email(clean(&form.email));
    if email.is_none() {
        errors.add("email", "Enter an email address like name@example.com");
    }
    let known = (email.as_deref().unwrap_or_default(), form.name.as_str());
    if let Err(problem) = crate::auth::password::check_new(&password, known.0, known.1) {
        errors.add("password", problem.to_string());
    }
    if errors.is_empty() {
        let new = NewUser {
            email: email.as_deref().unwrap_or_default(),
            name: &form.name,
            role: Some(Role::Admin),
            password,
            first: true,
        };
        let actor = Actor {
            address: visit.address.clone(),
            request_id: visit.request_id.clone(),
            id: "setup".into(),
            name: "first-run setup".into(),
            session: String::new(),
        };
        match users::create(app, &web.passwords, &actor, new).await {
            Ok(user) => {
                setup::used(app, &user.email, &visit.address).await?;
                visit.begin_session(user.id.as_str()).await.map_err(PageError::internal)?;
                return to("/setup/address");
            }
            Err(UserError::NotFirst) => return Err(PageError::NotFound),
            Err(UserError::Field(field, message)) => errors.add(field, message),
            Err(other) => return Err(other.into()),
        }
    }
    let layout = marked(visit.layout("First admin").without_note(), &errors);
    AdminPage { layout, errors, form }.refused()
}

#[derive(Template)]
#[template(path = "setup/address.html")]
struct AddressPage {
    layout: Layout,
    errors: FieldErrors,
    base_url: String,
    is_set: bool,
    host: String,
    callback: String,
}

impl AddressPage {
    fn new(web: &WebState, user: &CurrentUser, base_url: String, errors: FieldErrors) -> Self {
        let callback = format!("{}/oauth/callback/…", base_url.trim_end_matches('/'));
        Self {
            layout: marked(user.visit.layout("Address"), &errors).without_note(),
            errors,
            callback,
            base_url,
            is_set: web.app.config.base_url_set,
            host: user.visit.host.clone(),
        }
    }
}

/// `GET /setup/address`: the public address, read-only where it is set from outside.
pub async fn address(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    only_until_over(&web.app).await?;
    let now = web.base_url();
    // Entra's form refuses http://127.0.0.1 as a redirect address and takes http://localhost.
    let is_number = now.scheme() == "http" && now.host_str().is_none_or(|host| host != "localhost");
    let proposed = if is_number && !web.app.config.base_url_set {
        format!("http://localhost:{}", web.app.config.listen.port())
    } else {
        now.as_str().trim_end_matches('/').to_owned()
    };
    AddressPage::new(&web, &user, proposed, FieldErrors::default()).show()
}

/// The address, as typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AddressForm {
    base_url: String,
}

/// `POST /setup/address`: stores it where it is not set from outside.
pub async fn settle_address(
    State(web): State<WebState>,
    user: CurrentUser,
    CsrfForm(form): CsrfForm<AddressForm>,
) -> Result<Response, PageError> {
    only_until_over(&web.app).await?;
    if !web.app.config.base_url_set {
        let typed = clean(&form.base_url).trim_end_matches('/');
        match settings::set_base_url(&web.app, &user.actor(), typed).await? {
            Ok(url) => web.set_base_url(url),
            Err(message) => {
                let mut errors = FieldErrors::default();
                errors.add("base_url", message);
                return AddressPage::new(&web, &user, form.base_url, errors).refused();
            }
        }
    }
    setup::settle(&web.app).await?;
    to("/setup/keys")
}

#[derive(Template)]
#[template(path = "setup/keys.html")]
struct KeysPage {
    layout: Layout,
    place: String,
    fingerprint: String,
}

/// `GET /setup/keys`: where the master key lives.
pub async fn keys(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    only_until_over(&web.app).await?;
    let config = &web.app.config;
    let place = match &config.master_key {
        MasterKeySource::Value(_) => "MAILGRANT_MASTER_KEY, given from outside".to_owned(),
        MasterKeySource::File(path) => path.display().to_string(),
        MasterKeySource::DataDir => config.data_dir.join("master.key").display().to_string(),
    };
    let check = web.app.store.setting(crate::store::open::KEY_CHECK).await?.unwrap_or_default();
    KeysPage {
        layout: user.visit.layout("Keys").without_note(),
        place,
        fingerprint: check.chars().take(8).collect(),
    }
    .show()
}

#[derive(Template)]
#[template(path = "setup/done.html")]
struct DonePage {
    layout: Layout,
    /// What every link starts with: nothing, or the console's own address where this browser used another.
    base: String,
    restart: bool,
}

/// `GET /setup/done`: what next.
pub async fn done(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    only_until_over(&web.app).await?;
    let layout = user.visit.layout("Done");
    let base = layout.elsewhere.clone().unwrap_or_default();
    DonePage {
        restart: web.must_restart(),
        layout: layout.without_note(),
        base,
    }
    .show()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_code_comes_back_and_a_secret_in_the_wrong_field_does_not() {
        for code in ["AAAA-BBBB-CCCC", "aaaa-bbb-cccc ", "AAAA BBBBB CCCC"] {
            assert!(is_like_a_code(code), "{code}");
        }
        for other in [
            "",
            "correct horse battery",
            "canary-typed-by-mistake",
            "hunter2",
            "Abcd1234Efgh",
            "p4ss-w0rd",
        ] {
            assert!(!is_like_a_code(other), "{other}");
        }
    }
}
