//! One file a command.

pub mod nuclide;
