//! Against the real servers of the rig, where it runs (MAILGRANT_TEST_RIG).

mod authorize;
mod certificate;
mod command_line;
mod device;
mod grants;
mod mail;
mod notices;
mod rig;
mod round_trips;
mod walkthroughs;
