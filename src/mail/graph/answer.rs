//! What Graph answers: a document, or an error with a code, the ids Microsoft's support asks for, and when to come back.

use crate::mail::record::printable;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;
use std::fmt;

/// How many characters of a message or body are kept?
const KEPT: usize = 1000;
const KEPT_BODY: usize = 4000;
/// How many codes deep is an error looked into?
const DEEPEST: usize = 5;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Microsoft's number for the request.
    pub request_id: Option<String>,
    /// Ours, sent back.
    pub client_request_id: Option<String>,
    /// For how many seconds Graph wants to be left alone.
    pub retry_after: Option<f64>,
    /// `Content-Type`, in lower case.
    pub(super) content_type: String,
}

impl Answer {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            let value: String = value.chars().take(100).map(printable).collect();
            Some(value).filter(|value| !value.is_empty())
        };
        let named = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let seconds = named(RETRY_AFTER).trim().parse::<f64>().ok();
        Self {
            status: status.as_u16(),
            request_id: header("request-id"),
            client_request_id: header("client-request-id"),
            retry_after: seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0 && *seconds <= 86_400.0),
            content_type: named(CONTENT_TYPE).to_ascii_lowercase(),
        }
    }

    /// The status with its words.
    pub(super) fn line(&self) -> String {
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        format!("HTTP/1.1 {} {}", self.status, reason.unwrap_or_default())
            .trim_end()
            .to_owned()
    }
}

/// What answers isn't Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strange {
    /// A web page.
    Html,
    /// A redirect, which is not followed.
    Redirect,
    /// Something else.
    Nonsense,
}

impl Strange {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Html => "it answers with a web page, not as Microsoft Graph",
            Self::Redirect => "it wants to be asked at another address, which isn't done: the token would go along",
            Self::Nonsense => "it answers, but not as Microsoft Graph",
        }
    }

    /// Our own name for it.
    pub fn own_id(self) -> &'static str {
        match self {
            Self::Html => "console-graph-html",
            Self::Redirect => "console-graph-redirect",
            Self::Nonsense => "console-graph-malformed",
        }
    }
}

/// Graph said no.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphError {
    /// HTTP status.
    pub status: u16,
    /// Its code, then those inside it.
    pub codes: Vec<String>,
    /// Its words.
    pub message: String,
    /// The head of the answer.
    pub answer: Box<Answer>,
    /// The answer for the catalogue, secrets removed.
    pub evidence: String,
}

impl GraphError {
    /// Reads `{"error":{"code","message","innerError":{…}}}`; none where the body is something else.
    pub(super) fn read(answer: &Answer, value: &Value) -> Option<Self> {
        let error = value.get("error")?;
        let first = error.get("code")?.as_str()?;
        let mut codes = vec![text(Some(&Value::String(first.to_owned())), 100)];
        let mut inner = error;
        for _ in 0..DEEPEST {
            let Some(next) = inner.get("innerError").or_else(|| inner.get("innererror")) else {
                break;
            };
            codes.extend(next.get("code").map(|code| text(Some(code), 100)).filter(|code| !code.is_empty()));
            inner = next;
        }
        let mut answer = answer.clone();
        let id = |name: &str| error.pointer(&format!("/innerError/{name}")).map(|id| text(Some(id), 100));
        answer.request_id = answer.request_id.or_else(|| id("request-id"));
        answer.client_request_id = answer.client_request_id.or_else(|| id("client-request-id"));
        let body: String = value.to_string().chars().take(KEPT_BODY).collect();
        Some(Self {
            status: answer.status,
            codes,
            message: text(error.get("message"), KEPT),
            evidence: evidence(&answer, &body),
            answer: Box::new(answer),
        })
    }

    /// An error whose body says nothing: a status that speaks for itself.
    pub(super) fn bare(answer: &Answer) -> Self {
        Self {
            status: answer.status,
            codes: Vec::new(),
            message: String::new(),
            evidence: evidence(answer, ""),
            answer: Box::new(answer.clone()),
        }
    }

    /// Whether one of its codes is this.
    pub fn is(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known.eq_ignore_ascii_case(code))
    }

    /// Whether trying again may help without a change.
    pub fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

fn evidence(answer: &Answer, body: &str) -> String {
    let mut text = answer.line();
    if let Some(seconds) = answer.retry_after {
        text.push_str(&format!("\nRetry-After: {seconds}"));
    }
    format!("{text}\n\n{body}")
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.codes.join(", ");
        match (code.is_empty(), self.message.is_empty()) {
            (true, _) => write!(f, "{}", self.answer.line())?,
            (false, true) => write!(f, "{code} (HTTP {})", self.status)?,
            (false, false) => write!(f, "{code}: {} (HTTP {})", self.message, self.status)?,
        }
        match self.answer.retry_after {
            Some(seconds) => write!(f, "; it wants to be left alone for {seconds} s"),
            None => Ok(()),
        }
    }
}

/// A text of a document, cut and without characters that do something instead of showing.
pub(super) fn text(value: Option<&Value>, most: usize) -> String {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    text.chars().take(most).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Answer::of(StatusCode::from_u16(status).unwrap(), &map)
    }

    #[test]
    fn an_error_keeps_its_codes_its_ids_and_its_pause() {
        let head = answer(429, &[("retry-after", "2.5"), ("request-id", "r-1")]);
        let body = serde_json::json!({"error": {"code": "TooManyRequests", "message": "slow down", "innerError": {
            "code": "ApplicationThrottled", "client-request-id": "c-1", "request-id": "other"}}});
        let error = GraphError::read(&head, &body).unwrap();
        assert_eq!(error.codes, ["TooManyRequests", "ApplicationThrottled"]);
        assert_eq!(
            (error.answer.request_id.as_deref(), error.answer.client_request_id.as_deref()),
            (Some("r-1"), Some("c-1"))
        );
        assert_eq!(
            error.to_string(),
            "TooManyRequests, ApplicationThrottled: slow down (HTTP 429); it wants to be left alone for 2.5 s"
        );
        assert!(
            error.evidence.starts_with("HTTP/1.1 429 Too Many Requests\nRetry-After: 2.5\n\n{"),
            "{}",
            error.evidence
        );
        assert!(error.is_transient() && error.is("applicationthrottled"));
    }

    #[test]
    fn what_is_no_error_of_graph_is_none() {
        let head = answer(500, &[]);
        for body in ["{}", "[]", "7", r#"{"error":"invalid"}"#, r#"{"error":{"code":7}}"#] {
            assert!(GraphError::read(&head, &serde_json::from_str(body).unwrap()).is_none(), "{body}");
        }
        assert_eq!(GraphError::bare(&head).to_string(), "HTTP/1.1 500 Internal Server Error");
        for pause in ["", "-1", "NaN", "inf", "1e300", "soon"] {
            assert_eq!(answer(503, &[("retry-after", pause)]).retry_after, None, "{pause}");
        }
    }
}
