//! Forms: they hold what was typed, as text, so that a refused one shows it again; `check()` turns text into types once and gathers
//! what is wrong as [`FieldErrors`].

use super::csrf::Checked;
use super::error::PageError;
use super::upload::Upload;
use crate::actions::FieldProblem;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{Method, header};
use axum_extra::extract::Form;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// What is wrong with a form, by field, in the order of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(String, String)>);

impl FieldErrors {
    /// Notes a problem; the text follows `ux.md` section 9 and has no full stop.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push((field.into(), message.into()));
    }

    /// Takes the problems of a field back: another one says it all.
    pub fn forget(&mut self, field: &str) {
        self.0.retain(|(name, _)| name != field);
    }

    /// The value, or its error is noted and nothing comes back.
    pub fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// The first problem of a field.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, message)| message.as_str())
    }

    /// Whether a field has one.
    pub fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, as (field, message), for the summary.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, message)| (field.as_str(), message.as_str()))
    }

    /// `Ok` if there are none.
    pub fn check(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Vec<FieldProblem>> for FieldErrors {
    fn from(problems: Vec<FieldProblem>) -> Self {
        Self(
            problems
                .into_iter()
                .map(|problem| (problem.field.to_owned(), problem.message))
                .collect(),
        )
    }
}

/// A form as it was sent, from a page of ours: the gate has checked where it comes from. Repeated fields become a `Vec`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsrfForm<T>(pub T);

/// The form of a button: no fields of its own.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for CsrfForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if request.extensions().get::<Checked>().is_none() {
            return Err(PageError::StaleForm(None));
        }
        match Form::<T>::from_request(request, state).await {
            Ok(Form(form)) => Ok(Self(form)),
            Err(error) => {
                tracing::debug!(error = %error, "A form could not be read: {error}");
                Err(PageError::Bad(
                    "A field of the form is missing or has a value that isn't offered. Nothing was changed.".into(),
                ))
            }
        }
    }
}

/// The same for a form that may bring files: with them where it was sent that way, by itself where a page without files sent it.
#[derive(Debug, Clone, Default)]
pub struct UploadForm<T>(pub T, pub Option<Upload>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for UploadForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        if request.extensions().get::<Upload>().is_none() {
            let CsrfForm(form) = CsrfForm::<T>::from_request(request, state).await?;
            return Ok(Self(form, None));
        }
        let (mut parts, _) = request.into_parts();
        let upload = Upload::from_request_parts(&mut parts, state).await?;
        match refill(&upload.fields()).await {
            Some(form) => Ok(Self(form, Some(upload))),
            None => Err(PageError::Bad(
                "A field of the form is missing or has a value that isn't offered. Nothing was changed.".into(),
            )),
        }
    }
}

/// The form of fields that were kept; none if they are not such a form.
pub async fn refill<T: DeserializeOwned>(fields: &[(String, String)]) -> Option<T> {
    let request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(serde_urlencoded::to_string(fields).ok()?))
        .ok()?;
    Form::<T>::from_request(request, &()).await.ok().map(|Form(form)| form)
}

/// What was meant: without blanks and line breaks around it, nor the quotes that come along with copied values.
pub fn clean(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.trim();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn pasted_values_lose_what_came_along() {
        assert_eq!(clean(" \"abc\"\r\n"), "abc");
        assert_eq!(clean("it's"), "it's");
        assert_eq!(clean("\""), "\"");
        assert_eq!(clean("' x '"), "x");
    }
}
