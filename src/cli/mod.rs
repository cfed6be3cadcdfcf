//! One file a command.

pub mod kernel;
pub mod nuclide;
