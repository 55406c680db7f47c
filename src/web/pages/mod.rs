//! A file a section: routes, handlers, forms and page structs.

pub mod about;
pub mod audit;
pub mod authorize;
pub mod batches;
pub mod bundle;
pub mod changes;
pub mod consent;
pub mod demo;
pub mod diagnosis;
mod entries;
pub mod expiry;
pub mod explain;
pub mod files;
pub mod findings;
mod guest;
pub mod health;
pub mod history;
pub mod links;
pub mod log;
pub mod login;
pub mod mailboxes;
pub mod me;
pub mod metrics;
pub mod notifications;
pub mod overview;
mod pager;
pub mod providers;
pub mod radar;
mod records;
pub mod search;
pub mod secret_links;
pub mod settings;
pub mod setup;
pub mod tests;
pub mod tokens;
pub mod transfer;
pub mod walkthroughs;

/// A text that begins a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
