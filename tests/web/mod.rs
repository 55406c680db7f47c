//! The console's pages, through the router in process.

mod access;
mod me;
mod providers;
