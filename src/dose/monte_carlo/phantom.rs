//! The matter that particles pass through: a tissue and a density per voxel.

use super::MonteCarloError;
use crate::dose::atomic::{MaterialId, MaterialLibrary};
use crate::quantity::{GramPerMl, Warning};
use crate::volume::{Grid, Volume};
use ndarray::Array3;

/// Densities that can be meant: thin air to tungsten.
const PLAUSIBLE_DENSITY_G_PER_ML: std::ops::RangeInclusive<f32> = 1e-4..=20.0;
/// Above this CT number stands metal, which the tissue library does not hold.
const METAL_HU: f32 = 3000.0;
/// Low bits of the packed voxel that hold the material's slot in the run's tables.
const SLOT_BITS: u32 = 4;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// A voxel phantom; outside its grid is vacuum.
#[derive(Debug, Clone)]
pub struct Phantom {
    grid: Grid,
    materials: Vec<MaterialId>,
    voxels: Vec<PackedVoxel>,
}

/// Density (f32 without its last four bits: 10⁻⁶ relative) and material slot in one word, because
/// a photon's flight is bound by memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PackedVoxel(u32);

impl PackedVoxel {
    fn new(density_g_per_ml: f32, slot: usize) -> Self {
        Self((density_g_per_ml.to_bits() & !SLOT_MASK) | slot as u32)
    }
    #[inline]
    pub fn density(self) -> f64 {
        f64::from(f32::from_bits(self.0 & !SLOT_MASK))
    }
    #[inline]
    pub fn slot(self) -> usize {
        (self.0 & SLOT_MASK) as usize
    }
}

impl Phantom {
    /// A phantom of tissues and densities (g/ml) on one grid.
    ///
    /// # Errors
    /// Grids that differ or are too large, and densities that no matter has (not finite, 0, above 20 g/ml).
    pub fn new(
        material: &Volume<MaterialId>,
        density_g_per_ml: &Volume<f32>,
    ) -> Result<Self, MonteCarloError> {
        let grid = material.grid().clone();
        if !grid.coincides(density_g_per_ml.grid(), super::GRID_TOLERANCE_MM) {
            return Err(MonteCarloError::GridsDiffer("tissue and density"));
        }
        if grid.len() > super::MOST_VOXELS {
            return Err(MonteCarloError::TooManyVoxels(grid.len()));
        }
        let mut materials: Vec<MaterialId> = Vec::new();
        let mut voxels = Vec::with_capacity(grid.len());
        for (n, (&id, &density)) in
            material.as_slice().iter().zip(density_g_per_ml.as_slice()).enumerate()
        {
            if !PLAUSIBLE_DENSITY_G_PER_ML.contains(&density) {
                return Err(MonteCarloError::Density { voxel: n, density_g_per_ml: density });
            }
            let slot = materials.iter().position(|&m| m == id).unwrap_or_else(|| {
                materials.push(id);
                materials.len() - 1
            });
            voxels.push(PackedVoxel::new(density, slot));
        }
        Ok(Self { grid, materials, voxels })
    }

    /// One tissue at one density everywhere.
    pub fn uniform(
        grid: Grid,
        material: MaterialId,
        density: GramPerMl,
    ) -> Result<Self, MonteCarloError> {
        let dim = grid.dim();
        Self::new(
            &Volume::new(grid.clone(), Array3::from_elem(dim, material)),
            &Volume::new(grid, Array3::from_elem(dim, density.value() as f32)),
        )
    }

    /// Tissues from CT numbers, densities as the CT's calibration gave them, on one grid.
    ///
    /// Metal (above 3000 HU) is taken as cortical bone of the density given, with a warning.
    pub fn from_ct(
        hu: &Volume<f32>,
        density_g_per_ml: &Volume<f32>,
    ) -> Result<(Self, Vec<Warning>), MonteCarloError> {
        if let Some(voxel) = hu.as_slice().iter().position(|v| !v.is_finite()) {
            return Err(MonteCarloError::CtNumber { voxel });
        }
        let library = MaterialLibrary::embedded();
        let tissue = hu.values().mapv(|v| library.for_hu(v));
        let metal = hu.as_slice().iter().filter(|&&v| v > METAL_HU).count();
        let mut warnings = Vec::new();
        if metal > 0 {
            let text = format!(
                "{metal} voxels are above {METAL_HU} HU (metal): transported as cortical bone of \
                 the density that the CT calibration gives"
            );
            warnings.push(Warning::new("monte-carlo-metal-as-bone", text));
        }
        let phantom = Self::new(&Volume::new(hu.grid().clone(), tissue), density_g_per_ml)?;
        Ok((phantom, warnings))
    }

    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Mass of each voxel in g.
    pub fn mass_g(&self, voxel: usize) -> f64 {
        self.voxels[voxel].density() * self.grid.voxel_volume().value()
    }

    /// True where the voxel holds air rather than tissue.
    pub(super) fn is_air(&self, voxel: usize) -> bool {
        self.voxels[voxel].density() < super::AIR_DENSITY_G_PER_ML
    }

    /// The tissues that occur, in the order of their slots.
    pub(super) fn materials(&self) -> &[MaterialId] {
        &self.materials
    }

    pub(super) fn voxels(&self) -> &[PackedVoxel] {
        &self.voxels
    }

    /// Highest density of each slot, g/ml.
    pub(super) fn highest_densities(&self) -> Vec<f64> {
        let mut highest = vec![0.0f64; self.materials.len()];
        for voxel in &self.voxels {
            let h = &mut highest[voxel.slot()];
            *h = h.max(voxel.density());
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(values: &[f32]) -> Volume<f32> {
        let grid = Grid::axial([1, 1, values.len()], [3.0; 3], [0.0; 3]).unwrap();
        let array = Array3::from_shape_vec((1, 1, values.len()), values.to_vec()).unwrap();
        Volume::new(grid, array)
    }

    #[test]
    fn a_ct_becomes_tissues_with_their_own_densities() {
        let hu = volume(&[-1000.0, -700.0, 40.0, 1200.0]);
        let density = volume(&[0.00121, 0.3, 1.05, 1.7]);
        let (phantom, warnings) = Phantom::from_ct(&hu, &density).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(phantom.materials().len(), 4);
        assert!((phantom.mass_g(1) / (0.3 * 0.027) - 1.0).abs() < 2e-6);
        assert_ne!(phantom.voxels()[2].slot(), phantom.voxels()[3].slot());
    }

    #[test]
    fn impossible_matter_is_refused_and_metal_is_named() {
        let hu = volume(&[0.0, 0.0]);
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, 50.0] {
            let density = volume(&[1.0, bad]);
            assert!(matches!(
                Phantom::from_ct(&hu, &density),
                Err(MonteCarloError::Density { voxel: 1, .. })
            ));
        }
        assert!(matches!(
            Phantom::from_ct(&volume(&[f32::NAN, 0.0]), &volume(&[1.0, 1.0])),
            Err(MonteCarloError::CtNumber { voxel: 0 })
        ));
        assert!(matches!(
            Phantom::from_ct(&volume(&[0.0; 3]), &volume(&[1.0; 2])),
            Err(MonteCarloError::GridsDiffer(_))
        ));
        let (_, warnings) =
            Phantom::from_ct(&volume(&[0.0, 8000.0]), &volume(&[1.0, 2.8])).unwrap();
        assert_eq!(warnings[0].code, "monte-carlo-metal-as-bone");
    }
}
