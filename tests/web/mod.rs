//! The console's pages, through the router in process; the accept loop over real sockets.

mod access;
mod answers;
mod csrf;
mod draft;
mod mailboxes;
mod me;
mod providers;
mod server;
mod session;
mod setup;
mod sign_in;
