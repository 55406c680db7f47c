//! Everything that is logged on this thread, as it would be written, down to the finest level. A test and what it awaits run on one
//! thread; one subscriber for all tests, because those that come and go miss records of each other.

use mailgrant::config::LogFormat;
use mailgrant::telemetry::{Lines, is_quiet_enough};
use std::cell::RefCell;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Once;
use tracing_subscriber::filter::{dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Keeps what is logged on this thread until it is dropped.
pub struct Logs(PhantomData<*const ()>);

struct Here;

impl Write for Here {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.iter_mut().for_each(|kept| kept.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logs {
    /// Begins to keep.
    pub fn keep() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let subscriber = tracing_subscriber::registry()
                .with(dynamic_filter_fn(|_, _| KEPT.with_borrow(Option::is_some)))
                .with(filter_fn(is_quiet_enough))
                .with(Lines::new(LogFormat::Text, || Box::new(Here)));
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        KEPT.set(Some(Vec::new()));
        Self(PhantomData)
    }

    /// All of it.
    pub fn text(&self) -> String {
        String::from_utf8(KEPT.with_borrow(|kept| kept.clone().unwrap_or_default())).unwrap()
    }

    /// The newest setup code.
    pub fn setup_code(&self) -> Option<String> {
        let text = self.text();
        let line = text.lines().rev().find(|line| line.contains("setup code"))?;
        let is_code = |word: &&str| word.len() == 14 && word.split('-').count() == 3;
        line.split_whitespace().find(is_code).map(str::to_owned)
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}
