//! Copies notable records into the system log: warnings and errors of this program, and of what is only worth knowing the records that
//! name their area. Texts are cleaned of secrets here, before anybody keeps them. Nothing waits: what finds no room is counted.

use super::{Fields, Value};
use crate::clock::Timestamp;
use crate::model::bundle::without_secrets;
use crate::model::log::{Area, Level, LogEntry, NUMBER_BITS};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Target of records that say why entries can't be kept: they would only make more of them.
pub const UNKEPT: &str = "mailgrant::unkept";

/// How many entries may wait for the database?
const ROOM: usize = 1024;

/// Which area a record belongs to that does not say so, by the module it comes from; the first that fits counts.
const PLACES: [(&str, Area); 17] = [
    ("actions::probe", Area::Mailbox),
    ("actions::mailboxes", Area::Mailbox),
    ("probe", Area::Mailbox),
    ("mail", Area::Mailbox),
    ("web::pages::mailboxes", Area::Mailbox),
    ("actions::access_token", Area::Token),
    ("actions::authorize", Area::Token),
    ("actions::tokens", Area::Token),
    ("web::pages::authorize", Area::Token),
    ("web::pages::tokens", Area::Token),
    ("actions::provider", Area::Provider),
    ("actions::consent", Area::Provider),
    ("web::pages::provider", Area::Provider),
    ("web::pages::consent", Area::Provider),
    ("oauth", Area::Provider),
    ("web", Area::Web),
    ("actions::sign_in", Area::Web),
];

/// The layer that copies.
pub struct Copies {
    keep: Box<dyn Fn(LogEntry) + Send + Sync>,
}

/// Entries on their way into the database, and how many found no room.
pub struct Queue {
    /// The entries.
    pub entries: mpsc::Receiver<LogEntry>,
    /// How many were lost since somebody last asked.
    pub lost: Arc<AtomicU64>,
}

impl Copies {
    /// Gives every entry to `keep`, which must not wait.
    pub fn new(keep: impl Fn(LogEntry) + Send + Sync + 'static) -> Self {
        Self { keep: Box::new(keep) }
    }

    /// Puts entries into a queue, as long as there is room.
    pub fn queue() -> (Self, Queue) {
        let (sender, entries) = mpsc::channel(ROOM);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let copies = Self::new(move |entry| {
            if sender.try_send(entry).is_err() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        (copies, Queue { entries, lost })
    }

    /// The layer with its own filter: what the lines on standard error leave out is no matter here.
    pub fn layer<S>(self) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + 'static,
    {
        let spans = filter_fn(|metadata| metadata.is_span());
        self.with_filter(filter_fn(is_ours).and(filter_fn(|metadata| level(metadata).is_some()).or(spans)))
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    root == env!("CARGO_CRATE_NAME") && metadata.target() != UNKEPT
}

fn level(metadata: &Metadata<'_>) -> Option<Level> {
    match *metadata.level() {
        tracing::Level::ERROR => Some(Level::Error),
        tracing::Level::WARN => Some(Level::Warn),
        tracing::Level::INFO => Some(Level::Info),
        _ => None,
    }
}

impl<S> Layer<S> for Copies
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        super::keep_fields(attributes, id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        super::add_fields(id, values, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(level) = level(metadata) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let named = fields.take("area").and_then(|area| Area::parse(&area));
        if level == Level::Info && named.is_none() {
            return;
        }
        let message = fields.take("message").unwrap_or_default();
        let run = fields.take("run.id").unwrap_or_default();
        let names = [
            (Area::Mailbox, "mailbox.name"),
            (Area::Token, "token.name"),
            (Area::Provider, "provider.name"),
        ];
        let mut named_things = names
            .into_iter()
            .filter_map(|(area, field)| fields.text(field).map(|name| (area, field, name)));
        let about = named_things.next();
        let area = named
            .or(about.as_ref().map(|(area, _, _)| *area))
            .unwrap_or_else(|| area_of(metadata.target()));
        let mut details = Map::new();
        for (name, value) in fields
            .0
            .iter()
            .filter(|(name, _)| about.as_ref().is_none_or(|(_, field, _)| field != name))
        {
            details.insert((*name).to_owned(), value.json());
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                for (name, value) in &fields.0 {
                    details.insert(format!("{}.{name}", span.name()), value.json());
                }
            }
        }
        let (id, at) = number();
        (self.keep)(LogEntry {
            id,
            at,
            level,
            area,
            subject: about.map(|(area, _, name)| format!("{area}:{name}")).unwrap_or_default(),
            message: clean(&message),
            details,
            run,
        });
    }
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Self::Text(text) => clean(text).into(),
            Self::Plain(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
        }
    }
}

/// A text without secrets.
fn clean(text: &str) -> String {
    without_secrets(text).plain()
}

/// Which area the code of a target belongs to.
fn area_of(target: &str) -> Area {
    let place = target.split_once("::").map_or("", |(_, place)| place);
    let fits = |(start, _): &&(&str, Area)| place.starts_with(start);
    PLACES.iter().find(fits).map_or(Area::Console, |(_, area)| *area)
}

/// A number above all that were given out before in this process, and the second it belongs to.
fn number() -> (i64, Timestamp) {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = jiff::Timestamp::now().as_microsecond();
    // Two processes that note something in the same microsecond hardly get the same number.
    let own = now.saturating_mul(1 << NUMBER_BITS) | i64::from(std::process::id() & ((1 << NUMBER_BITS) - 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(own.max(last + 1)));
    let number = last.map_or(own, |last| own.max(last + 1));
    (number, Timestamp(now.div_euclid(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    fn copied(work: impl FnOnce()) -> Vec<LogEntry> {
        let kept: Arc<Mutex<Vec<LogEntry>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let copies = Copies::new(move |entry| keep.lock().unwrap().push(entry));
        tracing::subscriber::with_default(registry().with(copies.layer()), work);
        let entries = kept.lock().unwrap();
        entries.clone()
    }

    #[test]
    fn what_is_notable_is_copied_with_what_it_is_about() {
        let entries = copied(|| {
            let span = tracing::info_span!("request", id = "r1", path = "/tokens/{name}");
            span.in_scope(|| {
                tracing::warn!(token.name = "support", token.id = "t1", tries = 3, "Token support can't be renewed");
            });
            tracing::info!(area = "console", "Started");
            tracing::info!("Answered GET / with 200");
            tracing::debug!(area = "web", "Not worth it");
            tracing::error!(mailbox.name = "hr", token.name = "support", run.id = "r7", "Both");
            tracing::warn!(target: "sqlx::query", "Of another crate");
            tracing::warn!(target: UNKEPT, "Would only make more");
        });
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                (
                    entry.level,
                    entry.area,
                    entry.subject.as_str(),
                    entry.run.as_str(),
                    entry.message.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (Level::Warn, Area::Token, "token:support", "", "Token support can't be renewed"),
                (Level::Info, Area::Console, "", "", "Started"),
                (Level::Error, Area::Mailbox, "mailbox:hr", "r7", "Both"),
            ]
        );
        let details = Json::Object(entries[0].details.clone());
        assert_eq!(
            details,
            serde_json::json!({"token.id": "t1", "tries": 3, "request.id": "r1", "request.path": "/tokens/{name}"})
        );
        assert_eq!(entries[2].details["token.name"], "support");
        assert!(entries.is_sorted_by_key(|entry| entry.id));
    }

    #[test]
    fn no_secret_gets_into_an_entry_and_nothing_is_longer_than_a_kibibyte() {
        let entries = copied(|| {
            let said = format!(
                "refused: {{\"access_token\":\"canary-1\"}} Authorization: Bearer canary-2 {}",
                "x".repeat(5000)
            );
            tracing::warn!(error = %said, "The provider said password=canary-3\u{1b}[31m\nnext line {said}");
        });
        let text = format!("{:?}", entries[0]);
        assert!(!text.contains("canary") && text.contains("removed"), "{text}");
        assert!(entries[0].message.len() < 1100 && entries[0].details["error"].as_str().unwrap().len() < 1100);
        assert!(!entries[0].message.contains(['\u{1b}', '\n']));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let (copies, mut queue) = Copies::queue();
        tracing::subscriber::with_default(registry().with(copies.layer()), || {
            for _ in 0..ROOM + 5 {
                tracing::warn!("One of many");
            }
        });
        assert_eq!(queue.lost.load(Ordering::Relaxed), 5);
        assert!(queue.entries.try_recv().is_ok());
    }

    #[test]
    fn an_area_is_known_by_where_a_record_comes_from() {
        for (target, area) in [
            ("mailgrant::actions::access_token::renew", Area::Token),
            ("mailgrant::actions::provider_links", Area::Provider),
            ("mailgrant::web::pages::mailboxes::acts", Area::Mailbox),
            ("mailgrant::web::csrf", Area::Web),
            ("mailgrant::worker::instances", Area::Console),
            ("mailgrant", Area::Console),
        ] {
            assert_eq!(area_of(target), area, "{target}");
        }
    }
}
