//! An access token from the store with its checks, against one indexed read of SQLite.

use crate::load::{Target, get, in_turns};
use crate::report::Table;
use crate::roles;
use crate::seed::{Database, token_name};
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(1500);
/// The least part of the bare server's rate.
const AIM: f64 = 0.4;

pub fn measure(database: &Database, table: &mut Table) -> Result<()> {
    eprintln!("access tokens from the store");
    let (stored, stored_at) = roles::start(roles::TOKEN, &database.data)?;
    let (bare, bare_at) = roles::start(roles::ROW, &database.bare)?;
    let target = |address: SocketAddr, process: u32| Target {
        address,
        process,
        requests: Arc::new(
            (0..database.tokens)
                .map(|n| get(address, &format!("/{}", token_name(n)), ""))
                .collect(),
        ),
    };
    let found = in_turns(&[target(stored_at, stored.id()), target(bare_at, bare.id())], ROUNDS, TIME)?;
    let (stored, bare) = (found[0], found[1]);
    for (name, round) in [("access token from the store", stored), ("one indexed read behind axum", bare)] {
        table.note(format!("{name} ({} tokens)", database.tokens), round.to_string());
    }
    table.at_least("access token / indexed read, by rate", stored.rate / bare.rate, AIM);
    Ok(())
}
