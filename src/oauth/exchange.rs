//! One answer of a provider as it came, and the header fields that matter.

use super::error::{Malformed, MalformedKind, OAuthError};
use crate::clock::Timestamp;
use http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use std::fmt;
use std::time::Duration;
use url::Url;

/// Longest pause a provider may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What came back: the answer as it is, and the header fields that matter. Its `Debug` leaves the body out.
pub struct Exchange {
    /// Who answered.
    pub host: String,
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, in lower case.
    pub content_type: String,
    /// The host a redirect pointed to.
    pub location: Option<String>,
    /// The other side's clock.
    pub date: Option<Timestamp>,
    /// How long it wants to be left alone, at most an hour.
    pub retry_after: Option<Duration>,
    /// The body, unread.
    pub body: Vec<u8>,
    /// Where a redirect leads, whole. It may hold anything, so it is only compared.
    target: Option<Url>,
    /// How deep JSON in it may nest.
    pub(super) depth: usize,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("host", &self.host)
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("octets", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// An exchange whose body is still to come.
    pub(super) fn begin(host: String, status: StatusCode, headers: &HeaderMap, url: &Url, depth: usize) -> Self {
        let date = http_date(text_of(headers, &DATE));
        Self {
            host,
            status: status.as_u16(),
            content_type: text_of(headers, &CONTENT_TYPE).to_ascii_lowercase(),
            location: headers.get(LOCATION).map(|_| redirect_host(headers, url)),
            date,
            retry_after: retry_after(text_of(headers, &RETRY_AFTER), date),
            body: Vec::new(),
            target: headers.get(LOCATION).and_then(|_| url.join(text_of(headers, &LOCATION)).ok()),
            depth,
        }
    }

    /// Whether it is a redirect to this address, whatever parameters it brings there.
    pub fn leads_to(&self, address: &str) -> bool {
        let Ok(address) = Url::parse(address) else { return false };
        let same = |target: &Url| target.origin() == address.origin() && target.path() == address.path();
        (300..400).contains(&self.status) && self.target.as_ref().is_some_and(same)
    }

    /// The error that this answer is unusable in such a way.
    pub fn malformed(&self, kind: MalformedKind) -> OAuthError {
        OAuthError::Malformed(Malformed {
            host: self.host.clone(),
            status: self.status,
            kind,
            retry_after: self.retry_after,
            salvage: None,
        })
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> &'h str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// The host a redirect points to; the rest of the address may hold anything and is nobody's business.
fn redirect_host(headers: &HeaderMap, base: &Url) -> String {
    base.join(text_of(headers, &LOCATION))
        .ok()
        .and_then(|url| url.host_str().map(|h| h.chars().take(253).collect()))
        .unwrap_or_default()
}

/// An HTTP date (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    use time::format_description::well_known::Rfc2822;
    time::OffsetDateTime::parse(text, &Rfc2822)
        .ok()
        .map(|t| Timestamp(t.unix_timestamp()))
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date, which counts from the other side's own clock.
fn retry_after(text: &str, date: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => u64::MAX,
        Err(_) => u64::try_from(http_date(text)?.since(date?)).ok()?,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wished_pause_is_read_in_either_form_and_has_an_end() {
        let now = http_date("Sat, 21 Nov 2026 08:14:02 GMT");
        assert_eq!(now, Some(Timestamp(1_795_248_842)));
        for (text, seconds) in [
            ("120", Some(120)),
            ("Sat, 21 Nov 2026 08:16:02 GMT", Some(120)),
            ("Sat, 21 Nov 2026 08:00:00 GMT", None),
            ("999999", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("0", None),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
