//! Against the real servers of the rig, where it runs (MAILGRANT_TEST_RIG).

mod mail;
mod rig;
