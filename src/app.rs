//! The parts every command and request shares: built once, cheap to clone.

use crate::actions::access_token::flight::Flights;
use crate::actions::probe::Desk;
use crate::actions::settings::InForce;
use crate::auth::throttle::Sparing;
use crate::clock::Clock;
use crate::config::Config;
use crate::gate::Gate;
use crate::held::Held;
use crate::mail::Connector;
use crate::metrics::{Counters, Gathered};
use crate::oauth::{Http, Limits};
use crate::random::{Random, hex};
use crate::store::{Store, StoreError};
use crate::vault::Vault;
use crate::worker::Workers;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Limits of a call of a webhook: ten seconds in all, and so much of the answer is kept.
const HOOK_LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    body: 4 * 1024,
    headers: 64,
    depth: 16,
};

/// Settings, store, vault, clock, randomness and the outbound gate.
#[derive(Clone)]
pub struct App {
    /// Settings.
    pub config: Arc<Config>,
    /// Database.
    pub store: Store,
    /// Secrets at rest.
    pub vault: Vault,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where connections may go.
    pub gate: Gate,
    /// Connects to mail servers.
    pub connector: Connector,
    /// Speaks to providers.
    pub http: Http,
    /// Calls webhooks.
    pub hooks: Http,
    /// Tests that run now.
    pub probes: Desk,
    /// Renewals under way in this process.
    pub flights: Flights,
    /// Work that goes on by itself, and the instances beside this one.
    pub workers: Workers,
    /// Notices that are being delivered now.
    pub deliveries: Held,
    /// What is counted for those who watch from outside.
    pub counters: Arc<Counters>,
    /// What they were told last.
    pub gathered: Arc<Gathered>,
    /// Settings of the pages that are asked for all the time.
    pub settings: InForce,
    /// How much of what strangers do is written to the audit log.
    pub strangers: Arc<Sparing>,
    /// Set when the process is asked to stop.
    pub stopping: CancellationToken,
    /// Work that has to be finished before it stops: renewals, tests.
    pub tasks: TaskTracker,
}

impl App {
    /// Opens the data directory and puts the parts together. Errors as [`Store::open`].
    pub async fn open(config: Config, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, StoreError> {
        let (store, vault) = Store::open(&config, Arc::clone(&random), clock.now()).await?;
        let gate = if config.demo {
            Gate::this_machine()
        } else {
            Gate::new(config.allow_networks.clone(), config.allow_ports.clone())
        };
        let unusable = |why: &dyn std::fmt::Display| StoreError::Unusable(why.to_string());
        let connector = Connector::new(gate.clone(), extra_authorities(&config)?.as_deref()).map_err(|e| unusable(&e))?;
        let tls = connector.roots().client_config().map_err(|e| unusable(&e))?;
        let tls = Arc::new(tls);
        let http = Http::new(gate.clone(), Arc::clone(&tls), Limits::default());
        let hooks = Http::new(gate.clone(), tls, HOOK_LIMITS);
        Ok(Self {
            config: Arc::new(config),
            store,
            vault,
            clock,
            random,
            gate,
            connector,
            http,
            hooks,
            probes: Desk::default(),
            flights: Flights::default(),
            workers: Workers::default(),
            deliveries: Held::default(),
            counters: Arc::default(),
            gathered: Arc::default(),
            settings: InForce::default(),
            strangers: Arc::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// A new row id that sorts by time: 12 hexadecimal digits of the second, 20 random ones.
    pub fn new_id(&self) -> String {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        format!("{:012x}{}", self.clock.now().0, hex(&random))
    }
}

/// Extra certificate authorities as the settings name them (TLS-1), in PEM.
fn extra_authorities(config: &Config) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(path) = &config.extra_ca_file else {
        return Ok(None);
    };
    let unusable = |why: std::io::Error| {
        let path = path.display();
        StoreError::Unusable(format!(
            "{path} can't be read: {why}\nhelp: set MAILGRANT_EXTRA_CA_FILE to a PEM file of certificates"
        ))
    };
    std::fs::read(path).map(Some).map_err(unusable)
}
