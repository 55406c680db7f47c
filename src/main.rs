//! The command `mailgrant`.
fn main() {}
