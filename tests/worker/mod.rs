//! What goes on by itself: that nothing is lost over a year, under any fault, whoever is killed.

mod checks;
mod expiry;
mod faults;
mod kills;
mod matrix;
mod outage;
mod places;
mod shared;
mod upgrade;
mod world;
mod year;
