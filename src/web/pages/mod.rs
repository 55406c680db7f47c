//! A file a section: routes, handlers, forms and page structs.

pub mod files;
pub mod health;
pub mod login;
pub mod mailboxes;
pub mod me;
pub mod overview;
pub mod providers;
pub mod setup;
pub mod tests;
