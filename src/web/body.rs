//! The body of a form as it arrives: how large it may be, how long it may take, and how many may come at the same time (DOS-1).

use super::error::PageError;
use super::shares::{Share, Shares};
use super::upload::Upload;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes may a form have?
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// And the forms that bring settings or a whole page of errors along, from somebody who is signed in? The text of it may be escaped, or
/// be a file in UTF-16.
pub(super) const LARGE_LIMIT: usize = 2 * crate::model::import::LONGEST + BODY_LIMIT;
/// The paths of those forms.
const LARGE: [&str; 2] = ["/transfer/import", super::routes::EXPLAIN];
/// How many of those may arrive at the same time?
const ARRIVING_LARGE: usize = 4;
/// How long may a body take to arrive?
const BODY_TIME: Duration = Duration::from_secs(30);
/// How many forms may arrive at the same time, in all and from one address? With [`BODY_LIMIT`] this is the memory they take, however
/// slowly somebody sends (DOS-1).
const ARRIVING: usize = 512;
/// See [`ARRIVING`].
const ARRIVING_PER_ADDRESS: usize = 32;

/// The forms that are arriving.
#[derive(Clone)]
pub(crate) struct Arriving {
    all: Arc<Semaphore>,
    pub(super) large: Arc<Semaphore>,
    shares: Shares,
}

impl Default for Arriving {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ARRIVING)),
            large: Arc::new(Semaphore::new(ARRIVING_LARGE)),
            shares: Shares::default(),
        }
    }
}

impl Arriving {
    /// One more, until what comes back is dropped.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<(OwnedSemaphorePermit, Share), PageError> {
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let share = self.shares.take(address, ARRIVING_PER_ADDRESS).ok_or(PageError::TooMany(5))?;
        let place = Arc::clone(&self.all).try_acquire_owned().map_err(|_| PageError::Busy(5))?;
        Ok((place, share))
    }
}

/// Whether a form is one of those that may be large, and doesn't say that it is small.
pub(super) fn is_large(path: &str, headers: &HeaderMap) -> bool {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    LARGE.contains(&path) && length.is_none_or(|length| length > BODY_LIMIT)
}

/// A form as it came.
#[derive(Debug)]
pub(super) enum Sent {
    /// Urlencoded, for [`super::form::CsrfForm`].
    Form(Bytes),
    /// With files.
    Upload(Upload),
}

/// Reads it, within these limits.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Sent, PageError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(PageError::Unsupported);
    }
    if text(header::CONTENT_LENGTH)
        .and_then(|length| length.parse::<usize>().ok())
        .is_some_and(|length| length > limit)
    {
        return Err(PageError::TooLarge);
    }
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, limit)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(PageError::TooLarge),
        Err(_) => return Err(PageError::Bad("The form took too long to arrive. Nothing was changed.".into())),
    };
    // As it was written: the boundary in it knows upper and lower case.
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Ok(Sent::Form(bytes)),
        "" if bytes.is_empty() => Ok(Sent::Form(bytes)),
        "multipart/form-data" => Upload::read(kind, bytes).await.map(Sent::Upload),
        _ => Err(PageError::Unsupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_dribble_in_take_a_limited_number_of_places() {
        let arriving = Arriving::default();
        let at = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let held: Vec<_> = (0..ARRIVING_PER_ADDRESS).map(|_| arriving.take(at(1)).unwrap()).collect();
        assert!(matches!(arriving.take(at(1)), Err(PageError::TooMany(_))));
        assert!(arriving.take(at(2)).is_ok(), "another address has its own");
        drop(held);
        let addresses = u8::try_from(ARRIVING / ARRIVING_PER_ADDRESS).unwrap();
        let all: Vec<_> = (0..addresses)
            .flat_map(|n| (0..ARRIVING_PER_ADDRESS).map(move |_| n))
            .map(|n| arriving.take(at(n)).unwrap())
            .collect();
        assert!(matches!(arriving.take(at(200)), Err(PageError::Busy(_))));
        drop(all);
        assert!(arriving.take(at(200)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_after_half_a_minute() {
        let begun = tokio::time::Instant::now();
        let dripping = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"a")), ()))
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        let read = read(&headers, Body::from_stream(dripping), BODY_LIMIT).await;
        assert!(matches!(read, Err(PageError::Bad(_))), "{read:?}");
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}
