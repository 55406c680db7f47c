//! What goes on by itself.

mod checks;
