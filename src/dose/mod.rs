//! Time-integrated activity to absorbed dose.
//!
//! In: decays per voxel (Bq·s), mass per voxel, what a decay emits. Out: Gy per voxel, with what
//! was kept out and how certain it is. One file (or folder) an engine; `atomic` and `emission` are
//! the data that they share.

mod constants;

pub mod tables;
pub mod choice;
pub mod density;
pub mod local;
pub mod atomic;
pub mod emission;
pub mod kernel;
pub mod monte_carlo;
