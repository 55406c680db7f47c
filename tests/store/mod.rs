//! Every store method on both engines, and opening a database in all the ways that go wrong.

mod audit;
mod changes;
mod consent;
mod credentials;
mod former;
mod imports;
mod instances;
pub mod log;
mod mailboxes;
mod many;
mod moves;
mod open;
mod people;
mod proofs;
mod providers;
mod records;
mod token_list;
mod walkthroughs;
