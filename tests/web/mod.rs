//! The console's pages, through the router in process; the accept loop over real sockets.

mod access;
mod answers;
mod authorize;
mod certificate;
mod consent;
mod csrf;
mod draft;
mod links;
mod mailboxes;
mod me;
mod microsoft;
mod overview;
mod provider_cards;
pub mod providers;
mod radar;
mod real_things;
mod safe;
mod secret_links;
mod server;
mod session;
mod setup;
mod sign_in;
mod tests;
mod tokens;
mod transfer;
mod transfer_files;
mod transfer_undo;
