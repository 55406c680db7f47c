//! A message that has something to say, and the word that has to be had before it is handed over: what is handed over can't be taken
//! back, so it is written down before that it is about to be.

use super::Failure;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What asks for the word.
type Ask = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// A message.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it says, in lines.
    pub text: String,
    /// Unique, with its angle brackets: the same at every attempt.
    pub message_id: String,
    /// Asked before it is handed over.
    pub handing: Handing,
}

/// Says whether a message may be handed over now.
#[derive(Clone)]
pub struct Handing(Arc<Ask>);

impl fmt::Debug for Handing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handing")
    }
}

impl Handing {
    /// Asks this. An error is a sentence that says why not.
    pub fn new<W>(ask: impl Fn() -> W + Send + Sync + 'static) -> Self
    where
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(ask())))
    }

    pub(super) async fn ask(&self) -> Result<(), Failure> {
        (self.0)().await.map_err(|detail| Failure {
            own_id: Some("console-stopped"),
            detail,
            transient: true,
            ..Failure::default()
        })
    }
}
