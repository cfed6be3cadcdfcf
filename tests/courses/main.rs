//! The digital patient through whole courses: every protocol from its images to doses and a proposal, beside
//! its truth; from files, and pushed to a node over the network.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod beside;
mod computed;
mod pushed;
#[path = "../site/mod.rs"]
mod site;

use grayd::config::Protocols;
use grayd::phantom::{PhantomOptions, SimulatedCourse};
use grayd::quantity::nuclide::Nuclide;

/// A patient that is quick to compute: coarse voxels, but where small spheres are placed in organs.
fn options(name: &str) -> PhantomOptions {
    let usual = PhantomOptions {
        ct_per_spect: 1,
        ..PhantomOptions::new(Nuclide::parse("Lu-177").unwrap())
    };
    let protocols = Protocols::load(None).unwrap();
    let regions = &protocols.find(name).unwrap().parameters.regions;
    if !regions.derived.is_empty() {
        return usual;
    }
    PhantomOptions { spect_shape: [24, 32, 32], spect_voxel_mm: 9.6, ..usual }
}

/// A course of which nothing has been given yet.
fn course(name: &str) -> SimulatedCourse {
    course_of(name, 1)
}

/// The same of another patient.
fn course_of(name: &str, seed: u64) -> SimulatedCourse {
    let protocols = Protocols::load(None).unwrap();
    let options = PhantomOptions { seed, ..options(name) };
    SimulatedCourse::new(protocols.find(name).unwrap(), &options).unwrap()
}
