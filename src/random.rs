//! Randomness, injected: the system's generator, or a seeded stream for tests.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::{Rng, SeedableRng};
use std::sync::Mutex;

/// Where random bytes come from.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Random {
    /// So many random bytes, in base64url without padding: for codes, `state`, verifiers.
    pub fn base64url(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.fill(&mut buffer);
        URL_SAFE_NO_PAD.encode(buffer)
    }

    /// A new row id: 128 random bits, 32 hexadecimal digits.
    pub fn id(&self) -> String {
        let mut buffer = [0; 16];
        self.fill(&mut buffer);
        hex(&buffer)
    }
}

/// Lower-case hexadecimal digits of some bytes.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "a machine without entropy must not go on with predictable secrets")]
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The same stream for the same seed. For tests.
pub struct SeededRandom(Mutex<rand::rngs::StdRng>);

impl SeededRandom {
    /// Starts the stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_the_system_does_not() {
        let ids = |random: &dyn Random| (random.id(), random.base64url(32));
        assert_eq!(ids(&SeededRandom::new(7)), ids(&SeededRandom::new(7)));
        assert_ne!(ids(&SystemRandom), ids(&SystemRandom));
        assert_eq!(ids(&SystemRandom).1.len(), 43);
    }
}
