//! The signals that end a command which waits: what is under way is finished or taken back first.

use super::answer::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, caught from the moment this is made.
pub struct StopSignals {
    term: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Catches them.
    pub fn catch() -> Result<Self, Failure> {
        let failure = |error: std::io::Error| Failure::no(format!("signals can't be received: {error}"));
        Ok(Self {
            term: signal(SignalKind::terminate()).map_err(failure)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failure)?,
        })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
