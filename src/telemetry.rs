//! Logs: one record a line, as text or JSON, on standard error. Control characters and what turns the reading direction are escaped
//! and long values cut, so that nothing from outside starts a line of its own (INJ-5). `RUST_LOG` filters; what would write secrets
//! or passwords stays off whatever it says: the mail crates log commands, tokens included, below `warn`.

mod copies;

pub use copies::{Copies, Queue, UNKEPT};

use crate::config::LogFormat;
use std::fmt::{self, Write as _};
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

/// Target of the few lines that are written whatever the filter says: the address to open, the setup code.
pub const NOTICE: &str = "mailgrant::notice";

/// Crates that write what passes through them.
const TALKATIVE: [&str; 14] = [
    "async_imap",
    "imap_proto",
    "lettre",
    "hyper",
    "hyper_util",
    "h2",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "sqlx",
    "tower",
    "tower_http",
    "tower_sessions",
    "tower_sessions_core",
];

/// Tells as an error what the step or diagnosis of the same failure says.
const DOUBLED: &str = "rustls_platform_verifier";

/// How many bytes of a value are kept?
const VALUE_LIMIT: usize = 1024;

/// Starts logging for the process. `default` counts where `RUST_LOG` says nothing: `info` for `serve`, `warn` for commands.
pub fn start(format: LogFormat, default: &str) {
    begin(format, default, None);
}

/// The same, and what is notable is copied for the system log, whatever `RUST_LOG` says.
pub fn start_kept(format: LogFormat, default: &str) -> Queue {
    let (copies, queue) = Copies::queue();
    begin(format, default, Some(copies));
    queue
}

fn begin(format: LogFormat, default: &str, copies: Option<Copies>) {
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = asked
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let filter = match format!("{NOTICE}=info").parse() {
        Ok(notice) => filter.add_directive(notice),
        Err(_) => filter,
    };
    let lines = Lines::new(format, || Box::new(std::io::stderr().lock()));
    let lines = lines.with_filter(filter.and(filter_fn(is_quiet_enough)));
    let _ = registry().with(lines).with(copies.map(Copies::layer)).try_init();
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = info.payload().downcast_ref::<&str>().copied();
        let text = text
            .or_else(|| info.payload().downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(place, "Something that must not happen did: {text}");
    }));
}

/// Whether a record may be written at all.
pub fn is_quiet_enough(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    root != DOUBLED && (!TALKATIVE.contains(&root) || *metadata.level() <= Level::WARN)
}

type Out = Box<dyn Fn() -> Box<dyn Write> + Send + Sync>;

/// Writes records as lines.
pub struct Lines {
    format: LogFormat,
    out: Out,
}

impl Lines {
    /// Writes to what `out` gives, one call a record.
    pub fn new(format: LogFormat, out: impl Fn() -> Box<dyn Write> + Send + Sync + 'static) -> Self {
        Self {
            format,
            out: Box::new(out),
        }
    }
}

/// Names and values, as they come.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

enum Value {
    Text(String),
    Plain(String),
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.0.retain(|(name, _)| *name != field.name());
        self.0.push((field.name(), value));
    }

    /// Takes a value out, as text.
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(at).1 {
            Value::Text(text) | Value::Plain(text) => Some(text),
        }
    }

    /// A value as text.
    fn text(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        match &found.1 {
            Value::Text(text) | Value::Plain(text) => Some(text.clone()),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Cut::default();
        let _ = write!(text, "{value:?}");
        self.add(field, Value::Text(text.0));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Cut::default();
        let _ = text.write_str(value);
        self.add(field, Value::Text(text.0));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Plain(value.to_string()));
    }
}

/// Text that stops growing at the limit, with every odd character escaped.
#[derive(Default)]
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= VALUE_LIMIT {
                if !self.0.ends_with('…') {
                    self.0.push('…');
                }
                break;
            }
            if is_odd(c) {
                let _ = write!(self.0, "\\u{{{:x}}}", u32::from(c));
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

/// Control characters, line separators, and what changes the direction of reading.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Remembers the fields of a span; both layers do, and they are the same.
fn keep_fields<S>(attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut fields = Fields::default();
    attributes.record(&mut fields);
    if let Some(span) = context.span(id) {
        span.extensions_mut().replace(fields);
    }
}

/// Adds to the fields of a span.
fn add_fields<S>(id: &Id, values: &Record<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if let Some(span) = context.span(id)
        && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
    {
        values.record(fields);
    }
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        keep_fields(attributes, id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        add_fields(id, values, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take("message").unwrap_or_default();
        let metadata = event.metadata();
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let mut record = Line::new(self.format, &at, metadata, &message);
        for (name, value) in &fields.0 {
            record.field(name, value);
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                for (name, value) in &fields.0 {
                    record.field(&format!("{}.{name}", span.name()), value);
                }
            }
        }
        let _ = (self.out)().write_all(record.end().as_bytes());
    }
}

/// One record under construction.
enum Line {
    Text(String),
    Json(serde_json::Map<String, serde_json::Value>),
}

impl Line {
    fn new(format: LogFormat, at: &str, metadata: &Metadata<'_>, message: &str) -> Self {
        match format {
            LogFormat::Text => Self::Text(format!("{at} {:>5} {message}", metadata.level().as_str())),
            LogFormat::Json => {
                let mut map = serde_json::Map::new();
                for (key, value) in [
                    ("at", at),
                    ("level", metadata.level().as_str()),
                    ("target", metadata.target()),
                    ("message", message),
                ] {
                    map.insert(key.to_owned(), value.into());
                }
                Self::Json(map)
            }
        }
    }

    fn field(&mut self, name: &str, value: &Value) {
        match (self, value) {
            (Self::Text(line), Value::Plain(value)) => {
                let _ = write!(line, " {name}={value}");
            }
            (Self::Text(line), Value::Text(value)) => {
                let _ = write!(line, " {name}={}", serde_json::Value::from(value.as_str()));
            }
            (Self::Json(map), Value::Plain(value)) => {
                let value = serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into());
                map.insert(name.to_owned(), value);
            }
            (Self::Json(map), Value::Text(value)) => {
                map.insert(name.to_owned(), value.as_str().into());
            }
        }
    }

    fn end(self) -> String {
        match self {
            Self::Text(line) => line + "\n",
            Self::Json(map) => serde_json::Value::Object(map).to_string() + "\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let out = kept.clone();
        let lines = Lines::new(format, move || Box::new(out.clone()));
        let filter = EnvFilter::new("trace");
        tracing::subscriber::with_default(registry().with(filter).with(filter_fn(is_quiet_enough)).with(lines), work);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn nothing_from_outside_starts_a_line() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, || tracing::warn!(name = "a\r\nb\u{1b}[31m\u{202e}", "Said x\ny"));
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']) && text.contains("u{202e}"), "{text}");
        }
    }

    #[test]
    fn a_record_carries_its_request_and_is_cut() {
        let text = logged(LogFormat::Json, || {
            let span = tracing::info_span!("request", id = "r1", path = "/tokens/{name}");
            span.in_scope(|| tracing::info!(count = 3, long = "x".repeat(5000), "Done"));
        });
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((record["message"].as_str(), record["count"].as_i64()), (Some("Done"), Some(3)));
        assert_eq!(record["request.path"], "/tokens/{name}");
        assert!(record["long"].as_str().unwrap().len() < 1100);
    }

    #[test]
    fn crates_that_write_tokens_stay_quiet_whatever_the_filter_says() {
        let text = logged(LogFormat::Text, || {
            tracing::trace!(target: "async_imap::imap_stream", "AUTHENTICATE canary");
            tracing::debug!(target: "lettre::transport", "AUTH canary");
            tracing::warn!(target: "lettre::transport", "A warning");
            tracing::trace!(target: "mailgrant::x", "Ours");
        });
        assert!(
            !text.contains("canary") && text.contains("A warning") && text.contains("Ours"),
            "{text}"
        );
    }
}
