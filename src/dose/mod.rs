//! Time-integrated activity to absorbed dose.

pub mod atomic;
pub mod monte_carlo;
