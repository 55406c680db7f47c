//! Who may come in: passwords and how often one may try them.

pub mod password;
pub mod throttle;
