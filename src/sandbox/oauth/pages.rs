//! The provider's pages: plain forms, no script, and a mark that says what they are.

use super::scopes::IDENTITY;
use crate::sandbox::state::{House, Person};
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Nothing but the one style sheet.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An account in a list.
pub(super) struct Choice {
    pub address: String,
    pub name: String,
    pub signed_in: bool,
    pub is_admin: bool,
}

impl Choice {
    pub fn new(person: &Person, signed_in: bool) -> Self {
        Self {
            address: person.address.clone(),
            name: person.name.clone(),
            signed_in,
            is_admin: person.is_admin,
        }
    }
}

/// A permission in words.
struct Wish {
    scope: String,
    words: &'static str,
    may_untick: bool,
}

fn wishes(house: House, scopes: &[String]) -> Vec<Wish> {
    let words = |scope: &str| match scope.rsplit('/').next().unwrap_or(scope) {
        "offline_access" => "Maintain access to data you have given it access to",
        "profile" | "email" => "View your basic profile",
        "IMAP.AccessAsUser.All" => "Read and write access to your mail by IMAP",
        "POP.AccessAsUser.All" => "Read and write access to your mail by POP",
        "SMTP.Send" => "Send mail as you by SMTP",
        "Mail.Read" | "Mail.ReadBasic" => "Read your mail",
        "Mail.ReadWrite" => "Read and write access to your mail",
        "Mail.Send" => "Send mail as you",
        "" if scope.starts_with("https://mail.google.com") => "Read, compose, send and permanently delete all your email",
        "mail" => "Read and send your mail",
        _ => "",
    };
    let wish = |scope: &String| Wish {
        words: words(scope),
        may_untick: house == House::Google && !IDENTITY.contains(&scope.as_str()),
        scope: scope.clone(),
    };
    scopes.iter().map(wish).collect()
}

fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::CACHE_CONTROL, "no-store"),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            (status, headers, text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Template)]
#[template(path = "sandbox/pick.html")]
struct Pick<'a> {
    title: &'static str,
    house: &'static str,
    app: &'a str,
    flow: &'a str,
    people: Vec<Choice>,
}

pub(super) fn pick(house: House, app: &str, flow: &str, people: Vec<Choice>) -> Response {
    let template = Pick {
        title: "Pick an account",
        house: house.title(),
        app,
        flow,
        people,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/login.html")]
struct Login<'a> {
    title: &'static str,
    house: &'static str,
    flow: &'a str,
    account: &'a str,
    error: &'a str,
    password: &'static str,
}

pub(super) fn login(house: House, flow: &str, account: &str, error: &str) -> Response {
    let template = Login {
        title: "Sign in",
        house: house.title(),
        flow,
        account,
        error,
        password: crate::sandbox::PASSWORD,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/consent.html")]
struct Consent<'a> {
    title: &'static str,
    house: &'static str,
    app: &'a str,
    flow: &'a str,
    user: &'a str,
    wishes: Vec<Wish>,
    everybody: bool,
}

pub(super) fn consent(house: House, app: &str, flow: &str, user: &str, scopes: &[String], everybody: bool) -> Response {
    let template = Consent {
        title: "Permissions requested",
        house: house.title(),
        app,
        flow,
        user,
        wishes: wishes(house, scopes),
        everybody,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/approval.html")]
struct Approval<'a> {
    title: &'static str,
    house: &'static str,
    app: &'a str,
    flow: &'a str,
    user: &'a str,
}

pub(super) fn approval_needed(house: House, app: &str, flow: &str, user: &str) -> Response {
    let template = Approval {
        title: "Need admin approval",
        house: house.title(),
        app,
        flow,
        user,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/admin.html")]
struct Admin<'a> {
    title: &'static str,
    house: &'static str,
    app: &'a str,
    wishes: Vec<Wish>,
    people: Vec<Choice>,
    hidden: &'a [(&'a str, &'a str)],
}

pub(super) fn admin_consent(app: &str, scopes: &[String], people: Vec<Choice>, hidden: &[(&str, &str)]) -> Response {
    let template = Admin {
        title: "Permissions for your organisation",
        house: House::Microsoft.title(),
        app,
        wishes: wishes(House::Microsoft, scopes),
        people,
        hidden,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/device.html")]
struct Device<'a> {
    title: &'static str,
    house: &'static str,
    error: &'a str,
}

pub(super) fn device(error: &str) -> Response {
    let template = Device {
        title: "Enter code",
        house: "Sandbox",
        error,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/device_consent.html")]
struct DeviceConsent<'a> {
    title: &'static str,
    house: &'static str,
    app: &'a str,
    code: &'a str,
    wishes: Vec<Wish>,
    people: Vec<Choice>,
}

pub(super) fn device_consent(house: House, app: &str, code: &str, scopes: &[String], people: Vec<Choice>) -> Response {
    let template = DeviceConsent {
        title: "Sign in on another device",
        house: house.title(),
        app,
        code,
        wishes: wishes(house, scopes),
        people,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/back.html")]
struct Back<'a> {
    title: &'static str,
    house: &'static str,
    to: &'a str,
    fields: Vec<(&'a str, String)>,
}

/// `response_mode=form_post`, with a button for want of script.
pub(super) fn post_back(to: &str, fields: Vec<(&str, String)>) -> Response {
    let template = Back {
        title: "You have signed in",
        house: "Sandbox",
        to,
        fields,
    };
    page(StatusCode::OK, &template)
}

#[derive(Template)]
#[template(path = "sandbox/said.html")]
struct Said<'a> {
    title: &'a str,
    house: &'static str,
    text: &'a str,
}

pub(super) fn said(title: &str, text: &str) -> Response {
    let template = Said {
        title,
        house: "Sandbox",
        text,
    };
    page(StatusCode::OK, &template)
}

/// An error that must not go back to the app.
pub(super) fn refused(house: House, text: &str) -> Response {
    let title = match house {
        House::Google => "Access blocked: This app's request is invalid",
        _ => "Sorry, but we’re having trouble signing you in.",
    };
    let template = Said {
        title,
        house: house.title(),
        text,
    };
    page(StatusCode::BAD_REQUEST, &template)
}

/// `GET /sandbox.css`.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("style.css")).into_response()
}
