//! What tests share.

pub mod app;
pub mod certificates;
pub mod command;
pub mod databases;
pub mod logs;
pub mod matrix;
pub mod page;
pub mod provider;
pub mod records;
pub mod rig;
pub mod visitor;
