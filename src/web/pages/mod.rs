//! A file a section: routes, handlers, forms and page structs.

pub mod files;
pub mod health;
pub mod login;
pub mod me;
pub mod providers;
pub mod setup;
