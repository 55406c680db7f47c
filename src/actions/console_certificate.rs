//! The certificate of this console: the one that is served at its public address, usually by a web server in front. When it ends, sign-ins
//! at providers can't come back. It is looked at from here as a browser would, and the end of what was seen is remembered.

use super::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::gate::GateError;
use crate::mail::MailError;
use crate::mail::tls::{Certificate, TlsError};
use crate::store::{StoreResult, to_json};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::{Host, Url};

/// Setting that holds what was seen, and when somebody last looked.
const KEPT: &str = "console.certificate";
/// How long may a look take, from the name to the certificate?
const PATIENCE: Duration = Duration::from_secs(5);
/// After how many seconds is it looked at again by itself, and after how many where it ends soon, has ended, or was not seen yet?
const LOOK: i64 = 86_400;
const SOONER: i64 = 3600;
/// From how many seconds before its end on does it end soon?
const SOON: i64 = 2 * 86_400;

/// A certificate that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where: host, and port unless it is that of https.
    pub server: String,
    /// When it ends.
    pub until: Timestamp,
    /// When it was seen.
    pub at: Timestamp,
}

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    tried_at: Timestamp,
    seen: Option<Seen>,
}

/// What came of a look.
#[derive(Debug)]
pub struct Look {
    /// The public address: host, and port unless it is that of https.
    pub server: String,
    /// Its host alone, as a certificate names it.
    pub host: String,
    /// What is there.
    pub answer: Answer,
}

/// What is at the public address, seen from here.
#[derive(Debug)]
pub enum Answer {
    /// A certificate.
    Served {
        /// What it says.
        certificate: Certificate,
        /// Why this machine doesn't accept it.
        refused: Option<String>,
    },
    /// The gate leads nowhere near.
    Forbidden(GateError),
    /// None came, and why.
    Silent(String),
}

impl Look {
    /// The end to remember: that of a certificate for this console, also where this machine doesn't trust it.
    fn until(&self) -> Option<Timestamp> {
        match &self.answer {
            Answer::Served { certificate, .. } if certificate.fits => Some(certificate.not_after),
            _ => None,
        }
    }
}

/// Where the console is reached by https: the address, and how it is told; none where it is reached without.
async fn own(app: &App) -> StoreResult<Option<(Url, String)>> {
    let url = settings::base_url(app).await?;
    let server = url.authority().to_owned();
    Ok((url.scheme() == "https").then_some((url, server)))
}

async fn kept(app: &App) -> StoreResult<Option<Kept>> {
    let stored = app.store.setting(KEPT).await?;
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The certificate that was last seen at the public address there is now.
pub async fn seen(app: &App) -> StoreResult<Option<Seen>> {
    let Some((_, server)) = own(app).await? else {
        return Ok(None);
    };
    let seen = kept(app).await?.and_then(|kept| kept.seen);
    Ok(seen.filter(|seen| seen.server == server))
}

/// Looks at what is served; none where the console is reached without https. Changes nothing.
pub async fn look(app: &App) -> StoreResult<Option<Look>> {
    let Some((url, server)) = own(app).await? else {
        return Ok(None);
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let served = served(app, &host, url.port_or_known_default().unwrap_or(443));
    let answer = match tokio::time::timeout(PATIENCE, served).await {
        Ok(Ok(certificate)) => Answer::Served {
            certificate,
            refused: None,
        },
        Ok(Err(MailError::Tls(TlsError {
            words,
            certificate: Some(certificate),
            ..
        }))) => Answer::Served {
            refused: (!certificate.accepted).then_some(words),
            certificate,
        },
        Ok(Err(MailError::Destination(error))) if !is_lookup(&error) => Answer::Forbidden(error),
        Ok(Err(error)) => Answer::Silent(error.to_string()),
        Err(_) => Answer::Silent(format!("no answer within {} seconds", PATIENCE.as_secs())),
    };
    Ok(Some(Look { server, host, answer }))
}

fn is_lookup(error: &GateError) -> bool {
    matches!(error, GateError::NotFound { .. }) || error.is_transient()
}

async fn served(app: &App, host: &str, port: u16) -> Result<Certificate, MailError> {
    let addresses = app.gate.resolve(host, port).await?;
    let connected = app.connector.connect(&addresses).await?;
    let (_, encryption) = app.connector.encrypt(connected.tcp, host).await?;
    encryption
        .certificate
        .ok_or(MailError::Broken("it showed no certificate that can be read".to_owned()))
}

/// Remembers what a look found. Where nothing was seen, what was seen there before still counts.
pub async fn remember(app: &App, look: &Look) -> StoreResult<()> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before: Option<Kept> = tx.setting(KEPT).await?.and_then(|text| serde_json::from_str(&text).ok());
    let before = before.and_then(|kept| kept.seen).filter(|seen| seen.server == look.server);
    let found = look.until().map(|until| Seen {
        server: look.server.clone(),
        until,
        at: now,
    });
    let kept = Kept {
        tried_at: now,
        seen: found.or(before),
    };
    tx.put_setting(KEPT, &to_json(&kept)).await?;
    tx.commit().await
}

/// Looks and remembers, where it is time.
pub async fn look_in_time(app: &App) -> StoreResult<()> {
    let Some((_, server)) = own(app).await? else {
        return Ok(());
    };
    if is_due(kept(app).await?.as_ref(), &server, app.clock.now())
        && let Some(look) = look(app).await?
    {
        remember(app, &look).await?;
    }
    Ok(())
}

fn is_due(kept: Option<&Kept>, server: &str, now: Timestamp) -> bool {
    let Some(kept) = kept else { return true };
    let pause = match &kept.seen {
        Some(seen) if seen.server != server => return true,
        Some(seen) if seen.until.since(now) > SOON => LOOK,
        _ => SOONER,
    };
    !(0..pause).contains(&now.since(kept.tried_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new certificate must not be told as ended for a day, and one that is good for months is not asked for all the time.
    #[test]
    fn it_is_looked_at_once_a_day_and_more_often_near_its_end() {
        let (day, hour) = (86_400, 3600);
        let kept = |until: Option<i64>| Kept {
            tried_at: Timestamp(0),
            seen: until.map(|until| Seen {
                server: "console.test".into(),
                until: Timestamp(until),
                at: Timestamp(0),
            }),
        };
        let due = |until, now| is_due(Some(&kept(until)), "console.test", Timestamp(now));
        assert!(is_due(None, "console.test", Timestamp(0)));
        assert!(!due(Some(90 * day), day - 1) && due(Some(90 * day), day));
        for near in [None, Some(2 * day), Some(-day)] {
            assert!(!due(near, hour - 1) && due(near, hour), "{near:?}");
        }
        assert!(due(Some(90 * day), -1), "the clock was set back");
        assert!(
            is_due(Some(&kept(Some(90 * day))), "elsewhere.test", Timestamp(1)),
            "another address"
        );
    }
}
