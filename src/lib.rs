//! Mailgrant.
pub mod actions;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnosis;
pub mod gate;
pub mod mail;
pub mod model;
pub mod oauth;
pub mod probe;
pub mod random;
pub mod secret;
pub mod store;
pub mod vault;
pub mod web;
