//! The engine by nuclide, voxel size and the patient's density, where nobody asked for one.
//!
//! Local deposition is right where decays keep their energy in their own voxel; the kernel engine
//! where what leaves is absorbed by matter like water; Monte Carlo where electrons cross edges of
//! density or photons carry most of the energy. Limits: `config/dose.yaml`; how they were measured:
//! `docs/methods/engines.md`.

use super::constants::CONSTANTS;
use super::kernel::{KernelError, PointKernel, own_voxel_kev};
use crate::quantity::nuclide::Nuclide;
use crate::volume::Volume;

/// Part of the electrons' energy that defines how far they count.
const REACH_FRACTION: f64 = 0.9;
const PERCENT: f64 = 100.0;

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Local,
    Kernel,
    MonteCarlo,
}

/// The engine chosen, and why in one sentence with the numbers that decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub method: Method,
    pub because: String,
}

/// Chooses for decays of `nuclide` at `tia_bq_s` (Bq s in each voxel) in matter of
/// `density_g_per_ml` (same grid; `None`: no CT, one density everywhere).
///
/// # Errors
/// [`KernelError`] for a nuclide without data, impossible voxels, grids that differ.
pub fn choose(
    nuclide: &Nuclide,
    tia_bq_s: &Volume<f32>,
    density_g_per_ml: Option<&Volume<f32>>,
) -> Result<Choice, KernelError> {
    let kernel = PointKernel::of(nuclide)?;
    let side_mm = tia_bq_s.grid().spacing_mm();
    let (electron_kev, photon_kev) = own_voxel_kev(&kernel, side_mm)?;
    let emitted = kernel.short_range_kev() + kernel.photon_kev();
    let own = (electron_kev + photon_kev) / emitted;
    let limits = &*CONSTANTS;
    let kept = format!("{:.0} % of the energy stays in its own voxel", PERCENT * own);
    if own >= limits.local_own_voxel_fraction.value {
        return Ok(Choice { method: Method::Local, because: kept });
    }
    let Some(density) = density_g_per_ml else {
        let because = format!("{kept} and there is no CT to transport it in");
        return Ok(Choice { method: Method::Kernel, because });
    };
    let photons = kernel.photon_kev() / emitted;
    if photons > limits.photon_energy_fraction.value {
        let because = format!("photons carry {:.0} % of the energy", PERCENT * photons);
        return Ok(Choice { method: Method::MonteCarlo, because });
    }
    let crossing = (kernel.short_range_kev() - electron_kev) / emitted;
    let reach_mm = reach_mm(&kernel);
    let over_edges = crossing * part_near_edges(tia_bq_s, density, reach_mm)?;
    let method = if over_edges > limits.edge_energy_fraction.value {
        Method::MonteCarlo
    } else {
        Method::Kernel
    };
    let because = format!(
        "{kept}, electrons carry {:.1} % over edges of density, photons {:.0} % away",
        PERCENT * over_edges,
        PERCENT * photons
    );
    Ok(Choice { method, because })
}

/// Distance within which water absorbs [`REACH_FRACTION`] of the electrons' energy, mm.
fn reach_mm(kernel: &PointKernel) -> f64 {
    let wanted = REACH_FRACTION * kernel.short_range_kev();
    let (mut low, mut high) = (0.0, kernel.electron_reach_mm());
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if kernel.short_range_within_kev(middle) < wanted { low = middle } else { high = middle }
    }
    high
}

/// Part of all decays that have, within `reach_mm` (a voxel at least) along the axes, matter of
/// another density than their own.
fn part_near_edges(
    tia: &Volume<f32>,
    density: &Volume<f32>,
    reach_mm: f64,
) -> Result<f64, KernelError> {
    if tia.grid() != density.grid() {
        return Err(KernelError::GridsDiffer);
    }
    let side_mm = tia.grid().spacing_mm();
    let [nk, nj, ni] = tia.grid().shape();
    let steps = side_mm.map(|side| (reach_mm / side).ceil().max(1.0) as usize);
    let (decays, densities) = (tia.values(), density.values());
    let ratio = CONSTANTS.edge_density_ratio.value as f32;
    let differs = |a: f32, b: f32| a.max(b) > ratio * a.min(b);
    let (mut all, mut near) = (0.0f64, 0.0f64);
    for ((k, j, i), &bq_s) in decays.indexed_iter().filter(|(_, bq_s)| **bq_s > 0.0) {
        let own = densities[[k, j, i]];
        let along = |at: usize, length: usize, steps: usize| {
            at.saturating_sub(steps)..=(at + steps).min(length - 1)
        };
        let edge = along(i, ni, steps[0]).any(|i| differs(own, densities[[k, j, i]]))
            || along(j, nj, steps[1]).any(|j| differs(own, densities[[k, j, i]]))
            || along(k, nk, steps[2]).any(|k| differs(own, densities[[k, j, i]]));
        all += f64::from(bq_s);
        near += if edge { f64::from(bq_s) } else { 0.0 };
    }
    Ok(if all > 0.0 { near / all } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;
    use ndarray::Array3;

    /// A hot cube of 8 voxels a side in 16, and matter whose lower half has `below` g/ml.
    fn chosen(name: &str, side_mm: f64, below: Option<f32>) -> Choice {
        let grid = Grid::axial([16; 3], [side_mm; 3], [0.0; 3]).unwrap();
        let hot = |n: usize| (4..12).contains(&n);
        let tia =
            Array3::from_shape_fn(
                grid.dim(),
                |(k, j, i)| {
                    if hot(k) && hot(j) && hot(i) { 1e6 } else { 0.0 }
                },
            );
        let tia = Volume::new(grid.clone(), tia);
        let density = below.map(|below| {
            let values =
                Array3::from_shape_fn(grid.dim(), |(k, ..)| if k < 8 { below } else { 1.05 });
            Volume::new(grid, values)
        });
        choose(&Nuclide::parse(name).unwrap(), &tia, density.as_ref()).unwrap()
    }

    #[test]
    fn alpha_chains_stay_local_and_what_leaves_the_voxel_goes_to_a_kernel() {
        for (name, side_mm, expected) in [
            ("Ac-225", 4.8, Method::Local),
            ("At-211", 4.8, Method::Local),
            ("Lu-177", 4.8, Method::Kernel),
            ("I-131", 4.8, Method::Kernel),
            ("Y-90", 4.8, Method::Kernel),
        ] {
            let found = chosen(name, side_mm, Some(1.05));
            assert_eq!(found.method, expected, "{name}: {}", found.because);
        }
    }

    #[test]
    fn betas_at_the_edge_of_lung_and_photon_emitters_ask_for_transport() {
        for (name, expected) in [
            ("Y-90", Method::MonteCarlo),
            ("Lu-177", Method::Kernel),
            ("Tc-99m", Method::MonteCarlo),
            ("In-111", Method::MonteCarlo),
        ] {
            let found = chosen(name, 4.8, Some(0.26));
            assert_eq!(found.method, expected, "{name}: {}", found.because);
        }
        // The smaller the voxel, the more even of 177Lu crosses the edge.
        let small = chosen("Lu-177", 0.8, Some(0.26));
        assert_eq!(small.method, Method::MonteCarlo, "{}", small.because);
    }

    #[test]
    fn without_a_ct_there_is_nothing_to_transport_in() {
        assert_eq!(chosen("Tc-99m", 4.8, None).method, Method::Kernel);
        assert_eq!(chosen("Y-90", 4.8, None).method, Method::Kernel);
    }

    #[test]
    fn the_reason_holds_the_numbers_that_decided() {
        let because = chosen("Y-90", 4.8, Some(0.26)).because;
        assert!(because.contains("stays in its own voxel"), "{because}");
        assert!(because.contains("over edges of density"), "{because}");
    }
}
