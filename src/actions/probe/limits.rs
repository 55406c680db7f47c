//! What tests and checks share, how long they may take, and the pauses that servers ask for.

use super::desk::LaneKey;
use crate::actions::settings as chosen;
use crate::app::App;
use crate::model::mailbox::{Auth, Side};
use crate::model::settings::{CHECK_TIMEOUT, PARALLEL};
use crate::probe::Failure;
use crate::store::StoreError;
use crate::store::turns::Places;
use serde_json::{Map, Value};
use std::time::Duration;

/// How many places has a provider at most, where nobody chose?
pub const MOST_PLACES: usize = 64;
/// How many requests does Graph take at once from one app?
const MOST_OF_GRAPH: i64 = 4;
/// For how long is a server left alone at most that asks for a pause?
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Which mailboxes share a limit: those of one provider, else those of one server.
pub(super) async fn lane(app: &App, side: &Side) -> Result<LaneKey, StoreError> {
    let key = match &side.auth {
        Auth::OAuth2 { token_id, .. } => app.store.token_by_id(token_id).await?.map(|token| token.provider_id.0),
        _ => None,
    };
    Ok(LaneKey::Saved(key.unwrap_or_else(|| side.server.host().to_owned())))
}

/// Notes that a server or provider asked for a pause, where this failure says so: its mailboxes are left alone for so long, an hour at most.
pub(super) async fn note_pause(app: &App, side: &Side, failure: &Failure, facts: &Map<String, Value>) {
    let Some(pause) = asked_pause(failure, facts) else {
        return;
    };
    match lane(app, side).await {
        Ok(lane) => {
            let running = app.clock.running();
            app.probes.rest(lane, running + pause.min(LONGEST_PAUSE), running);
        }
        Err(error) => tracing::warn!(%error, "Whose pause was asked for can't be looked up: {error}"),
    }
}

/// The pause that a server asks for: Graph in a header, Exchange in its words.
fn asked_pause(failure: &Failure, facts: &Map<String, Value>) -> Option<Duration> {
    let header = facts.get("retry_after").and_then(Value::as_f64);
    let words = || {
        let (_, rest) = failure.evidence.split_once("Suggested Backoff Time: ")?;
        let (number, _) = rest.split_once(" milliseconds")?;
        Some(number.parse::<f64>().ok()? / 1000.0)
    };
    Duration::try_from_secs_f64(header.or_else(words)?).ok()
}

/// For how long what can come later has to leave this side alone; none where nobody asked for that.
pub async fn rests_for(app: &App, side: &Side) -> Result<Option<Duration>, StoreError> {
    let running = app.clock.running();
    if !app.probes.has_resting(running) {
        return Ok(None);
    }
    Ok(app.probes.rests_for(&lane(app, side).await?, running))
}

/// Whether the mailboxes of this lane are to be left alone now.
pub fn lane_rests(app: &App, lane: &str) -> bool {
    app.probes
        .rests_for(&LaneKey::Saved(lane.to_owned()), app.clock.running())
        .is_some()
}

/// How long a conversation may take.
pub(super) async fn time_limit(app: &App) -> Result<Duration, StoreError> {
    let seconds = chosen::number(app, &CHECK_TIMEOUT).await?;
    Ok(Duration::from_secs(seconds.unsigned_abs()))
}

/// How many tests and checks of one provider's mailboxes go on at once: as it was chosen; where nobody chose as many as checks need
/// to keep their interval, [`MOST_PLACES`] at most.
pub async fn places(app: &App) -> Result<usize, StoreError> {
    let places = turn_places(app).await?;
    Ok(usize::try_from(places.most).unwrap_or(1))
}

/// The same for checks, of which fewer use Graph at once where nobody chose.
pub async fn turn_places(app: &App) -> Result<Places, StoreError> {
    let stored = app.store.setting(PARALLEL.key).await?;
    if let Some(chosen) = PARALLEL.chosen(stored.as_deref()) {
        return Ok(chosen.into());
    }
    let wanted = app.workers.places_wanted().min(MOST_PLACES);
    let most = PARALLEL.default.max(i64::try_from(wanted).unwrap_or(0));
    Ok(Places {
        most,
        graph: most.min(MOST_OF_GRAPH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pause_is_read_from_what_the_server_says_and_nothing_else_is_one() {
        let failure = |evidence: &str| Failure {
            evidence: evidence.to_owned(),
            ..Failure::default()
        };
        let facts = |seconds: Value| Map::from_iter([("retry_after".to_owned(), seconds)]);
        let seconds = |evidence: &str, facts: &Map<String, Value>| asked_pause(&failure(evidence), facts).map(|pause| pause.as_secs_f64());
        assert_eq!(seconds("HTTP/1.1 429 Too Many Requests", &facts(json!(2.5))), Some(2.5));
        assert_eq!(seconds("HTTP/1.1 403 Forbidden", &facts(Value::Null)), None);
        let imap = "A12 BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds";
        assert_eq!(seconds(imap, &Map::new()), Some(299.961));
        for text in [
            "Suggested Backoff Time: soon milliseconds",
            "Suggested Backoff Time: -5 milliseconds",
            "Suggested Backoff Time: 5",
        ] {
            assert_eq!(seconds(text, &Map::new()), None, "{text}");
        }
    }
}
