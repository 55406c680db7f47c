//! What time the hosts say it is: every answer has a date (RFC 9110, 6.6.1). They don't prove it.

use super::{Exchange, Http};
use crate::clock::Timestamp;
use crate::oauth::OAuthError;
use http::Method;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Of how many hosts is the clock kept?
const MOST: usize = 64;

/// What a host said of the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The host.
    pub host: String,
    /// By how many seconds our clock is ahead of it; negative: behind.
    pub ahead: i64,
    /// How long ago it said so.
    pub age: Duration,
}

impl Http {
    /// By how many seconds `now` is ahead of what a host says the time is; none if it never said.
    pub fn clock_ahead(&self, host: &str, now: Timestamp) -> Option<i64> {
        let heard = self.clocks(now).into_iter().find(|heard| heard.host == host)?;
        Some(heard.ahead)
    }

    /// The same for every host that said it.
    pub fn clocks(&self, now: Timestamp) -> Vec<Heard> {
        let clocks = self.0.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = clocks.iter().map(|(host, (said, at))| {
            let age = at.elapsed();
            let since = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            Heard {
                host: host.clone(),
                ahead: now.since(*said).saturating_sub(since),
                age,
            }
        });
        heard.collect()
    }

    /// Asks a host for nothing but the time. What else it answers is left.
    pub async fn ask_time(&self, address: &str) -> Result<(), OAuthError> {
        let (request, host) = self.request(Method::HEAD, address)?;
        let response = request.send().await.map_err(|error| self.0.failed(&host, error))?;
        let exchange = Exchange::begin(host, response.status(), response.headers(), response.url(), self.0.limits.depth);
        self.note_clock(&exchange);
        Ok(())
    }

    pub(super) fn note_clock(&self, exchange: &Exchange) {
        let Some(date) = exchange.date else { return };
        let mut clocks = self.0.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        if clocks.len() >= MOST {
            clocks.clear();
        }
        clocks.insert(exchange.host.clone(), (date, Instant::now()));
    }
}
