//! `/me`: the own account: name, theme, time zone, password, and the sessions that are open.

use crate::actions::users::{self, EndSessions, UserError};
use crate::model::user::Theme;
use crate::secret::Password;
use crate::store::sessions::SessionRow;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::form::{CsrfForm, FieldErrors, refill};
use crate::web::guard::CurrentUser;
use crate::web::page::{Flash, Layout, Page, Section};
use crate::web::routes::{Access, LOGIN, ME, Routes};
use crate::web::session::{ADDRESS, AGENT};
use crate::web::time::{Zone, zone_choices};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Address the profile form posts to.
const PROFILE: &str = "/me/profile";

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
        .get("/me", Access::SignedIn, show)
        .post("/me/profile", Access::SignedIn, update)
        .post("/me/password", Access::SignedIn, password)
        .post("/me/sessions/end", Access::SignedIn, end_others)
        .post("/me/sessions/{id}/end", Access::SignedIn, end_one)
}

/// What a person may change about themselves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ProfileForm {
    name: String,
    theme: String,
    time_zone: String,
}

/// A new password, with the current one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PasswordForm {
    current: String,
    password: String,
}

struct SessionLine {
    row: SessionRow,
    is_this: bool,
}

impl SessionLine {
    /// "Firefox on Linux", as far as the browser's own words tell.
    fn browser(&self) -> String {
        let agent = self.row.text(AGENT);
        let find = |known: &[(&'static str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, word)| *word);
        let browser = find(&[
            ("Edg/", "Edge"),
            ("OPR/", "Opera"),
            ("Firefox/", "Firefox"),
            ("Chrome/", "Chrome"),
            ("Safari/", "Safari"),
        ]);
        let system = find(&[
            ("Android", "Android"),
            ("iPhone", "iPhone"),
            ("iPad", "iPad"),
            ("Windows", "Windows"),
            ("Mac OS", "macOS"),
            ("Linux", "Linux"),
        ]);
        match (browser, system) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => "Unknown browser".to_owned(),
        }
    }

    fn address(&self) -> &str {
        match self.row.text(ADDRESS) {
            "" => "unknown address",
            address => address,
        }
    }

    /// What names it in an address: a piece of the hash that does not let one in.
    fn handle(&self) -> &str {
        &self.row.id_hash[..16]
    }
}

#[derive(Template)]
#[template(path = "me/index.html")]
struct MePage {
    layout: Layout,
    errors: FieldErrors,
    email: String,
    role: &'static str,
    form: ProfileForm,
    zones: Vec<(String, String)>,
    themes: [(&'static str, &'static str); 3],
    sessions: Vec<SessionLine>,
}

impl MePage {
    async fn new(web: &WebState, user: &CurrentUser, form: ProfileForm, errors: FieldErrors) -> Result<Self, PageError> {
        let now = web.app.clock.now();
        let rows = web.app.store.sessions_of(&user.user().id).await?;
        let sessions = rows.into_iter().filter(|row| row.lives(now)).map(|row| SessionLine {
            is_this: row.id_hash == user.session_hash(),
            row,
        });
        let layout = user.layout(Section::Me, "Your account").await;
        let zones = zone_choices(format!("As this console ({})", web.default_zone().name()), &form.time_zone);
        Ok(Self {
            layout: if errors.is_empty() { layout } else { layout.error() },
            errors,
            email: user.user().email.clone(),
            role: user.user().role.as_str(),
            form,
            zones,
            themes: [("system", "System"), ("light", "Light"), ("dark", "Dark")],
            sessions: sessions.collect(),
        })
    }
}

fn stored(user: &CurrentUser) -> ProfileForm {
    ProfileForm {
        name: user.user().name.clone(),
        theme: user.user().theme.as_str().to_owned(),
        time_zone: user.user().time_zone.clone(),
    }
}

/// `GET /me`.
pub async fn show(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let kept = match user.take_draft(PROFILE).await {
        Some(fields) => refill(&fields).await,
        None => None,
    };
    let form = kept.unwrap_or_else(|| stored(&user));
    MePage::new(&web, &user, form, FieldErrors::default()).await?.show()
}

/// `POST /me/profile`: name, theme, time zone.
pub async fn update(State(web): State<WebState>, user: CurrentUser, CsrfForm(form): CsrfForm<ProfileForm>) -> Result<Response, PageError> {
    let mut errors = FieldErrors::default();
    let theme = errors.take("theme", Theme::parse(&form.theme).ok_or("Choose a theme from the list"));
    if !form.time_zone.is_empty() && Zone::named(&form.time_zone).is_none() {
        errors.add("time_zone", "Choose a time zone from the list");
    }
    let (Some(theme), true) = (theme, errors.is_empty()) else {
        return MePage::new(&web, &user, form, errors).await?.refused();
    };
    match users::change_profile(&web.app, &user.actor(), user.user(), &form.name, theme, &form.time_zone).await {
        Ok(()) => user.redirect(ME, "Your account is saved.").await,
        Err(error) => refuse(&web, &user, form, error).await,
    }
}

/// `POST /me/password`: a new password; every other session ends, this one goes on under a new id.
pub async fn password(
    State(web): State<WebState>,
    user: CurrentUser,
    CsrfForm(form): CsrfForm<PasswordForm>,
) -> Result<Response, PageError> {
    let (current, new) = (Password::new(form.current), Password::new(form.password));
    let changed = users::change_password(
        &web.app,
        &web.passwords,
        &user.actor(),
        user.user(),
        user.session_hash(),
        current,
        new,
    )
    .await;
    match changed {
        Ok(ended) => {
            user.visit.renew_session().await.map_err(PageError::internal)?;
            let others = match ended {
                0 => String::new(),
                1 => " Your other session ended.".to_owned(),
                ended => format!(" Your {ended} other sessions ended."),
            };
            user.redirect(ME, &format!("Your password is changed.{others}")).await
        }
        Err(error) => refuse(&web, &user, stored(&user), error).await,
    }
}

async fn refuse(web: &WebState, user: &CurrentUser, form: ProfileForm, error: UserError) -> Result<Response, PageError> {
    match error {
        UserError::Field(field, message) => {
            let mut errors = FieldErrors::default();
            errors.add(field, message);
            MePage::new(web, user, form, errors).await?.refused()
        }
        UserError::Wait(seconds) => {
            let mut errors = FieldErrors::default();
            errors.add(
                "current",
                format!("Too many tries. Try again in {}", crate::web::error::wait(seconds)),
            );
            MePage::new(web, user, form, errors).await?.refused()
        }
        other => Err(other.into()),
    }
}

/// `POST /me/sessions/end`: every session but this one.
pub async fn end_others(State(web): State<WebState>, user: CurrentUser) -> Result<Response, PageError> {
    let ended = users::end_sessions(&web.app, &user.actor(), user.user(), EndSessions::AllBut(user.session_hash())).await?;
    let text = if ended == 0 {
        "There was no other session."
    } else {
        "Your other sessions ended."
    };
    user.redirect(ME, text).await
}

/// `POST /me/sessions/{id}/end`: one of the own sessions.
pub async fn end_one(State(web): State<WebState>, user: CurrentUser, Path(handle): Path<String>) -> Result<Response, PageError> {
    let rows = web.app.store.sessions_of(&user.user().id).await?;
    let row = rows.iter().find(|row| handle.len() == 16 && row.id_hash.starts_with(&handle));
    let row = row.ok_or_else(|| PageError::Missing("That session has ended already.".into()))?;
    if row.id_hash == user.session_hash() {
        user.visit.end_session().await.map_err(PageError::internal)?;
        return Ok(Redirect::to(&format!("{LOGIN}?out=1")).into_response());
    }
    users::end_sessions(&web.app, &user.actor(), user.user(), EndSessions::One(&row.id_hash)).await?;
    user.redirect_with(ME, Flash::ok("The session ended.")).await
}
