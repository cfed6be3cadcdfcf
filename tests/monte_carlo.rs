//! The Monte Carlo engine against published doses, conservation laws and bad input.
//!
//! Seeds are fixed, so every figure here repeats; tolerances are those of good codes among
//! themselves, plus twice the run's own standard error where that is not small beside them.

// A test may stop at what cannot be; clippy sees that only inside test functions.
#![allow(clippy::unwrap_used)]

#[path = "monte_carlo/icrp_male.rs"]
mod icrp_male;
#[path = "monte_carlo/spectra.rs"]
mod spectra;

#[path = "monte_carlo/physics.rs"]
mod physics;
#[path = "monte_carlo/promises.rs"]
mod promises;
#[path = "monte_carlo/reference_phantom.rs"]
mod reference_phantom;
