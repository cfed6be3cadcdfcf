//! Absorbed dose by convolution with kernels in water.
//!
//! Point kernels of electrons and photons of single energies (`config/kernels/`, computed by this
//! package's Monte Carlo) are put together with a nuclide's spectrum (`point`), integrated over
//! pairs of voxels of any size (`voxel`), and convolved with a map of time-integrated activity
//! (`convolve`). Method, sources and measured errors: `docs/methods/kernel.md`.
//!
//! Not modelled: interfaces of density within the range of the electrons, and the photons'
//! attenuation by anything but water.

mod convolve;
mod levels;
mod point;
mod transform;
mod voxel;

pub use convolve::{KernelDose, KernelPlan, dose};
pub use point::PointKernel;
pub(super) use point::TABLES;
pub use voxel::{SValue, own_voxel_kev, s_values};

use crate::quantity::nuclide::NuclideError;

/// Voxel sides that the kernels are made for, mm.
pub const VOXEL_SIDE_MM: std::ops::RangeInclusive<f64> = 0.05..=100.0;

/// Why a kernel or a dose cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    #[error(transparent)]
    Nuclide(#[from] NuclideError),
    #[error("a voxel side of {0} mm cannot be; give 0.05 to 100 mm")]
    VoxelSide(f64),
    #[error("a kernel of {0} voxels cannot be made; ask for 1 to {1}")]
    Size(usize, usize),
    #[error("voxel {voxel} of the time-integrated activity is {bq_s} Bq s; it must be 0 or more")]
    Activity { voxel: usize, bq_s: f32 },
    #[error("voxel {voxel} has a density of {density_g_per_ml} g/ml; give 0.0001 to 20")]
    Density { voxel: usize, density_g_per_ml: f32 },
    #[error(
        "the grids of kernel, time-integrated activity and density differ; resample to one grid"
    )]
    GridsDiffer,
    #[error("there is no activity in the grid")]
    NoActivity,
}
