//! Mailgrant.
pub mod clock;
pub mod model;
pub mod random;
pub mod secret;
