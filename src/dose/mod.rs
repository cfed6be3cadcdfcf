//! Time-integrated activity to absorbed dose.

pub mod atomic;
pub mod emission;
pub mod kernel;
pub mod monte_carlo;
