//! Mailgrant.
pub mod clock;
pub mod gate;
pub mod diagnosis;
pub mod model;
pub mod random;
pub mod secret;
