//! Does this machine's clock go right? Providers say in every answer what time it is. The one that agrees best counts: they don't prove it.

use super::{Check, Verdict, bad, ok};
use crate::app::App;
use crate::oauth::Heard;
use crate::store::StoreResult;
use crate::worker::clock::Skew;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// From how many seconds on does a difference matter (`security.md` DUR-9)?
pub const LIMIT: i64 = 300;
/// How old may be what is told? A machine that slept counts no time meanwhile, so before anything is said it is asked again.
const FRESH: Duration = Duration::from_secs(600);
/// How many providers are asked?
const ASKED: usize = 3;
/// How long is an answer waited for?
const PATIENCE: Duration = Duration::from_secs(5);

/// Compares the clock with what providers said lately; asks some where that is long ago and the clock seems to be wrong.
pub async fn compare(app: &App) -> StoreResult<()> {
    let Some(nearest) = nearest(app, Duration::MAX) else {
        return Ok(());
    };
    if nearest.ahead.abs() <= LIMIT || nearest.age <= FRESH {
        note(app, &nearest);
        return Ok(());
    }
    ask(app).await?;
    if let Some(nearest) = self::nearest(app, FRESH) {
        note(app, &nearest);
    }
    Ok(())
}

pub(super) async fn check(app: &App) -> StoreResult<Check> {
    ask(app).await?;
    let Some(nearest) = nearest(app, FRESH) else {
        let now = app.clock.now().to_rfc3339();
        return Ok(ok("clock", format!("{now}; no provider has said what time it is")));
    };
    note(app, &nearest);
    Ok(match Skew::of(&nearest) {
        Some(skew) => bad(
            Verdict::Warning,
            "clock",
            skew.words(),
            "set this machine's clock, best by a time server (NTP): tokens are renewed too late or too early by a wrong one",
        ),
        None => ok("clock", format!("agrees with {}", nearest.host)),
    })
}

fn nearest(app: &App, age: Duration) -> Option<Heard> {
    let all = app.http.clocks(app.clock.now()).into_iter();
    all.filter(|heard| heard.age <= age).min_by_key(|heard| heard.ahead.abs())
}

fn note(app: &App, heard: &Heard) {
    app.workers.note_skew(Skew::of(heard));
}

/// Asks some providers what time it is. Who doesn't answer says nothing.
async fn ask(app: &App) -> StoreResult<()> {
    let mut hosts = BTreeMap::new();
    for provider in app.store.providers().await? {
        let url = provider.endpoints().token_url.and_then(|url| Url::parse(&url).ok()?.join("/").ok());
        if let Some(url) = url {
            hosts.insert(url.host_str().unwrap_or_default().to_owned(), url);
        }
    }
    let asked = hosts.values().take(ASKED);
    let asked = asked.map(|url| tokio::time::timeout(PATIENCE, app.http.ask_time(url.as_str())));
    futures_util::future::join_all(asked).await;
    Ok(())
}
