//! `/login` and `/logout`.

use crate::actions::setup;
use crate::actions::sign_in::{Attempt, SignIn, sign_in, signed_out};
use crate::secret::Password;
use crate::web::error::{PageError, wait};
use crate::web::form::{CsrfForm, FieldErrors};
use crate::web::guard::Visit;
use crate::web::page::{Layout, Page};
use crate::web::routes::{Access, LOGIN, OVERVIEW, Routes, own_path};
use crate::web::{WebState, draft};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// The routes of this section.
pub fn routes() -> Routes {
    Routes::new()
        .get("/login", Access::Public, new)
        .post("/login", Access::Public, create)
        .post("/logout", Access::Public, delete)
}

/// Where to go afterwards.
#[derive(Deserialize, Default)]
pub struct Next {
    #[serde(default)]
    next: String,
    #[serde(default)]
    out: String,
}

/// What was typed.
#[derive(Deserialize)]
pub struct LoginForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "login/index.html")]
struct LoginPage {
    layout: Layout,
    errors: FieldErrors,
    email: String,
    next: String,
    note: &'static str,
}

/// `GET /login`.
pub async fn new(State(web): State<WebState>, visit: Visit, Query(query): Query<Next>) -> Result<Response, PageError> {
    if setup::is_open(&web.app).await? {
        return Ok(Redirect::to("/setup").into_response());
    }
    if visit.user().is_some() {
        return Ok(Redirect::to(own_path(&query.next).unwrap_or(OVERVIEW)).into_response());
    }
    let note = if query.out == "1" {
        "You are signed out."
    } else if draft::waits(&visit).await {
        "Your session ended. Sign in and everything you typed comes back."
    } else {
        ""
    };
    page(&visit, String::new(), query.next, FieldErrors::default(), note).show()
}

fn page(visit: &Visit, email: String, next: String, errors: FieldErrors, note: &'static str) -> LoginPage {
    let layout = visit.layout("Sign in");
    LoginPage {
        layout: if errors.is_empty() { layout } else { layout.error() },
        errors,
        email,
        next: own_path(&next).unwrap_or_default().to_owned(),
        note,
    }
}

/// `POST /login`: begins a session.
pub async fn create(State(web): State<WebState>, visit: Visit, CsrfForm(form): CsrfForm<LoginForm>) -> Result<Response, PageError> {
    let attempt = Attempt {
        email: &form.email,
        password: Password::new(form.password),
        address: &visit.address,
        request_id: &visit.request_id,
    };
    let mut errors = FieldErrors::default();
    match sign_in(&web.app, &web.passwords, attempt).await? {
        SignIn::Done(user) => {
            let keeps_draft = draft::belongs_to(&visit, &user).await;
            visit.begin_session(user.id.as_str()).await.map_err(PageError::internal)?;
            let next = own_path(&form.next).filter(|_| keeps_draft).unwrap_or(OVERVIEW);
            Ok(Redirect::to(next).into_response())
        }
        SignIn::Refused => {
            errors.add("email", "Email or password is wrong");
            page(&visit, form.email, form.next, errors, "").refused()
        }
        SignIn::Wait(seconds) => {
            errors.add("email", format!("Too many tries. Try again in {}", wait(seconds)));
            let answer = page(&visit, form.email, form.next, errors, "").with_status(StatusCode::TOO_MANY_REQUESTS)?;
            Ok(([(header::RETRY_AFTER, seconds.to_string())], answer).into_response())
        }
        SignIn::Busy => Err(PageError::Busy(crate::auth::password::BUSY)),
    }
}

/// `POST /logout`: ends the session, here and in the browser.
pub async fn delete(visit: Visit) -> Result<Response, PageError> {
    draft::destroy(&visit).await;
    if let Some(user) = visit.user() {
        visit.end_session().await.map_err(PageError::internal)?;
        signed_out(&user.visit.web.app, &user.actor()).await?;
    }
    Ok(Redirect::to(&format!("{LOGIN}?out=1")).into_response())
}
