//! CT numbers to mass density, and the mass of each dose voxel.
//!
//! Density is not linear in the CT number, so it is evaluated voxel by voxel at the CT's own
//! resolution and then averaged over the dose voxel: the mass of the CT is kept (to the points of a
//! rotated grid, see `volume::resample`).

use crate::quantity::{GramPerMl, Warning};
use crate::volume::resample::average_with;
use crate::volume::{Grid, Transform, Volume};
use rayon::prelude::*;
use serde::Deserialize;
use std::sync::LazyLock;

/// Why densities cannot be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DensityError {
    #[error("a CT density curve needs two knots or more, ascending in HU, densities above 0")]
    Curve,
    #[error("the CT holds a value that is not a finite number")]
    NotFinite,
    #[error("the stated density must be positive and finite, not {0} g/mL")]
    Stated(f64),
    #[error("the CT does not meet the dose grid; check frames of reference (0020,0052)")]
    CtElsewhere,
}

/// Straight pieces between knots (HU, g/ml); constant beyond the ends.
#[derive(Debug, Clone, PartialEq)]
pub struct DensityCurve {
    knots: Vec<(f64, f64)>,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CurveFile {
    source: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    #[serde(rename = "unit")]
    _unit: Units,
    knots: Vec<Knot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Units {
    #[serde(rename = "ct_number")]
    _ct_number: String,
    #[serde(rename = "density")]
    _density: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Knot {
    hu: f64,
    density: f64,
}

static SCHNEIDER: LazyLock<DensityCurve> = LazyLock::new(|| {
    let file: CurveFile =
        serde_saphyr::from_str(include_str!("../../config/tissues/ct_density.yaml"))
            .expect("config/tissues/ct_density.yaml is compiled in and a test reads it");
    let knots = file.knots.into_iter().map(|k| (k.hu, GramPerMl::new(k.density))).collect();
    DensityCurve::new(knots, file.source).expect("the curve is compiled in and a test reads it")
});

impl DensityCurve {
    /// The curve of `config/tissues/ct_density.yaml` (Schneider 2000).
    pub fn schneider() -> &'static Self {
        &SCHNEIDER
    }

    /// A site's own curve: knots (HU, density) ascending in HU; `source` goes into reports.
    pub fn new(knots: Vec<(f64, GramPerMl)>, source: String) -> Result<Self, DensityError> {
        let knots: Vec<(f64, f64)> = knots.into_iter().map(|(h, d)| (h, d.value())).collect();
        let good = knots.len() >= 2
            && knots.iter().all(|(h, d)| h.is_finite() && d.is_finite() && *d > 0.0)
            && knots.windows(2).all(|k| k[0].0 < k[1].0);
        if good { Ok(Self { knots, source }) } else { Err(DensityError::Curve) }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Density of a finite CT number.
    pub fn density(&self, hu: f64) -> GramPerMl {
        let above = self.knots.partition_point(|k| k.0 <= hu);
        GramPerMl::new(match (above.checked_sub(1).map(|n| self.knots[n]), self.knots.get(above)) {
            (None, _) => self.knots[0].1,
            (Some(low), None) => low.1,
            (Some(low), Some(high)) => low.1 + (high.1 - low.1) * (hu - low.0) / (high.0 - low.0),
        })
    }

    fn top(&self) -> f64 {
        self.knots[self.knots.len() - 1].0
    }
}

/// Where the mass of a voxel comes from.
#[derive(Debug, Clone, Copy)]
pub enum DensitySource<'a> {
    /// One density everywhere: no CT.
    Stated(GramPerMl),
    Ct {
        hu: &'a Volume<f32>,
        /// Maps points of the dose grid's frame into the CT's frame.
        grid_to_ct: &'a Transform,
        curve: &'a DensityCurve,
        /// For what the CT does not cover.
        beyond: GramPerMl,
    },
}

/// Mass of each voxel, g, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelMass {
    pub mass_g: Volume<f32>,
    /// For the report: `CT density (...)` or `stated density 1.04 g/mL`.
    pub source: String,
    pub warnings: Vec<Warning>,
}

/// Mass of every voxel of `grid`.
///
/// # Errors
/// A density that is not positive, a CT value that is not finite, a CT that misses the grid.
pub fn voxel_mass(source: DensitySource<'_>, grid: &Grid) -> Result<VoxelMass, DensityError> {
    let positive = |d: GramPerMl| {
        if d.is_finite() && d.value() > 0.0 {
            Ok(d.value())
        } else {
            Err(DensityError::Stated(d.value()))
        }
    };
    let volume_ml = grid.voxel_volume().value();
    match source {
        DensitySource::Stated(density) => {
            let mass = (positive(density)? * volume_ml) as f32;
            Ok(VoxelMass {
                mass_g: Volume::new(grid.clone(), ndarray::Array3::from_elem(grid.dim(), mass)),
                source: format!("stated density {density}"),
                warnings: Vec::new(),
            })
        }
        DensitySource::Ct { hu, grid_to_ct, curve, beyond } => {
            let beyond = positive(beyond)?;
            if !hu.as_slice().par_iter().all(|v| v.is_finite()) {
                return Err(DensityError::NotFinite);
            }
            from_ct(hu, grid_to_ct, curve, beyond, grid)
        }
    }
}

fn from_ct(
    hu: &Volume<f32>,
    grid_to_ct: &Transform,
    curve: &DensityCurve,
    beyond: f64,
    grid: &Grid,
) -> Result<VoxelMass, DensityError> {
    let values = hu.as_slice();
    // Each CT voxel's density once: many dose voxels may look at it.
    let densities: Vec<f32> =
        values.par_iter().map(|&hu| curve.density(f64::from(hu)).value() as f32).collect();
    let density = |n: usize| f64::from(densities[n]);
    let (mut mass, covered) = average_with(hu.grid(), grid, grid_to_ct, &density);
    let volume_ml = grid.voxel_volume().value();
    let lightest = curve.knots.iter().map(|k| k.1).fold(f64::INFINITY, f64::min);
    mass.zip_mut_with(&covered, |m, c| {
        // Where the CT covers a voxel only in part the rest takes the stated density. Rounding of
        // the coverage must not make a voxel lighter than the curve's lightest.
        let rest = 1.0 - c.clamp(0.0, 1.0);
        *m = (*m + beyond * rest).max(lightest.min(beyond)) * volume_ml;
    });
    let uncovered = covered.iter().filter(|c| **c < 1.0 - 1e-6).count();
    if covered.iter().all(|c| *c <= 0.0) {
        return Err(DensityError::CtElsewhere);
    }
    let mut warnings = Vec::new();
    if uncovered > 0 {
        warnings.push(Warning::new(
            "ct-does-not-cover",
            format!(
                "{:.1} % of the dose grid's voxels lie wholly or partly outside the CT: density \
                 {beyond} g/mL taken there",
                100.0 * uncovered as f64 / covered.len() as f64
            ),
        ));
    }
    let dense = values.par_iter().filter(|v| f64::from(**v) > curve.top()).count();
    if dense > 0 {
        warnings.push(Warning::new(
            "ct-above-curve",
            format!(
                "{dense} CT voxels lie above {} HU (metal?): density {} g/mL taken there",
                curve.top(),
                curve.density(curve.top()).value()
            ),
        ));
    }
    Ok(VoxelMass {
        mass_g: Volume::new(grid.clone(), mass.mapv(|m| m as f32)),
        source: format!("CT density ({})", curve.source()),
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn total(m: &VoxelMass) -> f64 {
        m.mass_g.as_slice().iter().map(|&v| f64::from(v)).sum()
    }

    #[test]
    fn the_curve_meets_its_knots_and_its_step() {
        let c = DensityCurve::schneider();
        for (hu, wanted) in [
            (-1024.0, 0.00121),
            (-1000.0, 0.00121),
            (0.0, 0.9305 + 97.0 / 111.0 * 0.0995),
            (14.0, 1.03),
            (100.0, 1.1199),
            (101.0, 1.0762),
            (3000.0, 2.8),
            (9000.0, 2.8),
        ] {
            assert!((c.density(hu).value() - wanted).abs() < 1e-12, "{hu}");
        }
        assert!((c.density(0.0).value() - 1.017).abs() < 1e-3);
    }

    #[test]
    fn a_curve_that_is_none_is_refused() {
        let d = GramPerMl::new;
        for knots in [
            vec![(0.0, d(1.0))],
            vec![(0.0, d(1.0)), (0.0, d(2.0))],
            vec![(0.0, d(1.0)), (10.0, d(0.0))],
            vec![(0.0, d(1.0)), (f64::NAN, d(2.0))],
        ] {
            assert_eq!(DensityCurve::new(knots, "x".into()), Err(DensityError::Curve));
        }
    }

    #[test]
    fn density_is_averaged_and_not_the_ct_number() {
        // Half air, half bone in every dose voxel: the mean HU would be water-like soft tissue.
        let ct = Grid::axial([8, 8, 8], [1.0; 3], [0.0; 3]).unwrap();
        let hu =
            Array3::from_shape_fn(ct.dim(), |(k, _, _)| if k % 2 == 0 { -1000.0 } else { 1600.0 });
        let hu = Volume::new(ct, hu);
        let grid = Grid::axial([4, 4, 4], [2.0; 3], [0.5; 3]).unwrap();
        let source = DensitySource::Ct {
            hu: &hu,
            grid_to_ct: &Transform::Identity,
            curve: DensityCurve::schneider(),
            beyond: GramPerMl::new(1.0),
        };
        let m = voxel_mass(source, &grid).unwrap();
        let wanted = 0.5 * (0.00121 + 1.9642) * 0.008;
        assert!(m.mass_g.as_slice().iter().all(|v| (f64::from(*v) / wanted - 1.0).abs() < 1e-6));
        assert!(m.warnings.is_empty());
    }

    #[test]
    fn what_the_ct_leaves_open_takes_the_stated_density_and_says_so() {
        let ct = Grid::axial([1, 1, 3], [2.0; 3], [0.0; 3]).unwrap();
        let hu = Volume::new(ct, Array3::from_elem((1, 1, 3), 5000.0f32));
        let grid = Grid::axial([1, 1, 2], [4.0, 2.0, 2.0], [1.0, 0.0, 0.0]).unwrap();
        let source = DensitySource::Ct {
            hu: &hu,
            grid_to_ct: &Transform::Identity,
            curve: DensityCurve::schneider(),
            beyond: GramPerMl::new(0.5),
        };
        let m = voxel_mass(source, &grid).unwrap();
        // 3 x 8 mm³ of capped metal, 8 mm³ of the stated density.
        assert!((total(&m) - (3.0 * 0.008 * 2.8 + 0.008 * 0.5)).abs() < 1e-6);
        let codes: Vec<&str> = m.warnings.iter().map(|w| w.code.as_str()).collect();
        assert_eq!(codes, ["ct-does-not-cover", "ct-above-curve"]);
    }

    #[test]
    fn no_ct_a_ct_elsewhere_and_a_ct_with_nan() {
        let grid = Grid::axial([2, 2, 2], [5.0; 3], [0.0; 3]).unwrap();
        let stated = voxel_mass(DensitySource::Stated(GramPerMl::new(1.04)), &grid).unwrap();
        assert!((total(&stated) - 1.04).abs() < 1e-6);
        assert_eq!(stated.source, "stated density 1.04 g/mL");
        assert_eq!(
            voxel_mass(DensitySource::Stated(GramPerMl::new(0.0)), &grid),
            Err(DensityError::Stated(0.0))
        );
        let from = |hu: &Volume<f32>| {
            let source = DensitySource::Ct {
                hu,
                grid_to_ct: &Transform::Identity,
                curve: DensityCurve::schneider(),
                beyond: GramPerMl::new(1.0),
            };
            voxel_mass(source, &grid)
        };
        let far = Grid::axial([2, 2, 2], [5.0; 3], [900.0; 3]).unwrap();
        let far = Volume::new(far, Array3::zeros((2, 2, 2)));
        assert_eq!(from(&far), Err(DensityError::CtElsewhere));
        let bad = Volume::new(grid.clone(), Array3::from_elem((2, 2, 2), f32::NAN));
        assert_eq!(from(&bad), Err(DensityError::NotFinite));
    }

    #[test]
    fn an_oblique_ct_keeps_its_density() {
        let (s, c) = 0.3f64.sin_cos();
        let ct =
            Grid::new([30, 30, 30], [2.0; 3], [-15., -40., -30.], [c, s, 0.], [-s, c, 0.]).unwrap();
        let hu = Volume::new(ct.clone(), Array3::from_elem(ct.dim(), 14.0f32));
        let inner = Grid::axial([4, 4, 4], [3.0; 3], [-6.0, -6.0, -6.0]).unwrap();
        let source = DensitySource::Ct {
            hu: &hu,
            grid_to_ct: &Transform::Identity,
            curve: DensityCurve::schneider(),
            beyond: GramPerMl::new(1.0),
        };
        let m = voxel_mass(source, &inner).unwrap();
        for v in m.mass_g.as_slice() {
            assert!((f64::from(*v) / (1.03 * 0.027) - 1.0).abs() < 0.02, "{v}");
        }
    }
}
