//! What every part of the sandbox holds: the world, its faults and keys, time and randomness.

use super::fault::Faults;
use super::keys::Keys;
use super::state::{House, TENANT, World};
use crate::clock::{Clock, Timestamp};
use crate::random::{Random, hex};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long things take and live.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seconds an access token lives.
    pub access_life: i64,
    /// Seconds a device code lives.
    pub device_life: i64,
    /// Seconds between two questions for a device code.
    pub device_interval: i64,
    /// How slow is slow?
    pub slow: Duration,
    /// How many octets access tokens that can be read are padded to, about.
    pub token_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_life: 3600,
            device_life: 900,
            device_interval: 5,
            slow: Duration::from_secs(6),
            token_size: 1900,
        }
    }
}

/// What every part of the sandbox shares. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    world: Mutex<World>,
    faults: Faults,
    keys: Keys,
    settings: Settings,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Where the http door is, without a slash at the end.
    base: String,
}

impl Shared {
    pub(super) fn new(world: World, keys: Keys, settings: Settings, clock: Arc<dyn Clock>, random: Arc<dyn Random>, base: String) -> Self {
        Self(Arc::new(Inner {
            world: Mutex::new(world),
            faults: Faults::default(),
            keys,
            settings,
            clock,
            random,
            base,
        }))
    }

    /// The state, locked. Nobody waits for anything while holding it.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.0.faults
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(super) fn base(&self) -> &str {
        &self.0.base
    }

    /// Issuer identifier of a house.
    pub(super) fn issuer(&self, house: House) -> String {
        match house {
            House::Microsoft => format!("{}/{TENANT}/v2.0", self.0.base),
            House::Google => format!("{}/google", self.0.base),
            House::Open => self.0.base.clone(),
        }
    }

    /// Something nobody can guess.
    pub(super) fn opaque(&self, octets: usize) -> String {
        self.0.random.base64url(octets)
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        self.0.random.fill(bytes);
    }

    /// A new trace, correlation or request id.
    pub(super) fn guid(&self) -> String {
        let mut bytes = [0; 16];
        self.0.random.fill(&mut bytes);
        guid_of(&bytes)
    }
}

/// Sixteen octets as a GUID, with the marks of a random one.
pub(super) fn guid_of(bytes: &[u8]) -> String {
    let mut octets = [0; 16];
    octets.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits = hex(&octets);
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}
