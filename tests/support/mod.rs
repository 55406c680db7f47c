//! What tests share.

pub mod app;
pub mod databases;
pub mod provider;
