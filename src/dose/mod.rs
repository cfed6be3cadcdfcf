//! Time-integrated activity to absorbed dose.
//!
//! In: decays per voxel (Bq·s), mass per voxel, mean energies per decay. Out: Gy per voxel, with
//! what was kept out. One file (or folder) an engine.

pub mod density;
pub mod local;
