//! One binary of tests; its modules mirror `src`. Run everything with `tests/run`, which also starts the real servers.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod access;
mod actions;
mod canary;
mod cli;
mod diagnosis;
mod oauth;
mod probe;
mod readme;
mod real;
mod sandbox;
mod store;
mod support;
mod web;
mod worker;
