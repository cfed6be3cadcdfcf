//! Dose-volume statistics of a region of fractional voxels.
//!
//! A voxel of dose d that the region fills to the fraction f counts with the volume f·V. The mean
//! is energy over mass, Σ f m d / Σ f m, as ICRU defines absorbed dose; minimum, maximum, standard
//! deviation and D_x are by volume, as DVHs are. D_x is the exact quantile: the largest dose that
//! at least x % of the volume receives, no histogram in between.

use super::BiologyError;
use crate::quantity::{Gray, Millilitre};
use crate::report::{DoseSpread, DoseStatistics};
use crate::volume::{Occupancy, Volume};

/// Most bins of a histogram: 2 numbers a bin must fit one DICOM element (DVH Data, 64 kB).
const BINS_MAX: f64 = 1000.0;

/// Statistics of `dose_gy` inside a region; `mass_g` and the occupancy are on the same grid.
pub fn statistics(
    dose_gy: &Volume<f32>,
    mass_g: &Volume<f32>,
    occupancy: &Occupancy,
) -> Result<DoseStatistics, BiologyError> {
    let grid = dose_gy.grid();
    if grid != mass_g.grid() {
        return Err(BiologyError::Grids);
    }
    let (doses, masses) = (dose_gy.as_slice(), mass_g.as_slice());
    let voxel_ml = grid.voxel_volume().value();
    let mut voxels: Vec<(f64, f64)> = Vec::with_capacity(occupancy.len());
    let (mut energy, mut mass) = (0.0, 0.0);
    for (voxel, fraction) in occupancy.iter() {
        let (Some(&d), Some(&m)) = (doses.get(voxel), masses.get(voxel)) else {
            return Err(BiologyError::OutsideGrid(voxel));
        };
        for (value, what) in [(d, "dose"), (m, "mass")] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(BiologyError::NotFinite { voxel, what });
            }
        }
        let (d, m, f) = (f64::from(d), f64::from(m), f64::from(fraction));
        energy += f * m * d;
        mass += f * m;
        voxels.push((d, f * voxel_ml));
    }
    if voxels.is_empty() {
        return Err(BiologyError::EmptyRegion);
    }
    if mass <= 0.0 {
        return Err(BiologyError::NoMass);
    }
    // Hottest first; equal doses stay in the order of voxels.
    voxels.sort_by(|a, b| b.0.total_cmp(&a.0));
    let volume: f64 = voxels.iter().map(|v| v.1).sum();
    let by_volume = voxels.iter().map(|(d, v)| d * v).sum::<f64>() / volume;
    let variance = voxels.iter().map(|(d, v)| v * (d - by_volume).powi(2)).sum::<f64>() / volume;
    let at = |percent: f64| Gray::new(quantile(&voxels, percent / 100.0 * volume));
    let spread = DoseSpread {
        min: Gray::new(voxels[voxels.len() - 1].0),
        max: Gray::new(voxels[0].0),
        median: at(50.0),
        sd: Gray::new(variance.sqrt()),
        d98: at(98.0),
        d95: at(95.0),
        d90: at(90.0),
        d50: at(50.0),
        d2: at(2.0),
        dvh: histogram(&voxels),
    };
    Ok(DoseStatistics { mean: Gray::new(energy / mass), spread: Some(spread) })
}

/// Largest dose that at least `wanted_ml` of the volume receives; half-way between two voxels
/// where their border is met exactly. `voxels` are (dose, volume), hottest first.
fn quantile(voxels: &[(f64, f64)], wanted_ml: f64) -> f64 {
    let mut sum = 0.0;
    for (n, (dose, volume)) in voxels.iter().enumerate() {
        sum += volume;
        if sum > wanted_ml * (1.0 + 1e-12) {
            return *dose;
        }
        if sum >= wanted_ml * (1.0 - 1e-12) {
            return voxels.get(n + 1).map_or(*dose, |next| 0.5 * (dose + next.0));
        }
    }
    voxels[voxels.len() - 1].0
}

/// Cumulative histogram from 0 to the maximum in steps of 1, 2 or 5 times a power of ten.
fn histogram(voxels: &[(f64, f64)]) -> Vec<(Gray, Millilitre)> {
    let highest = voxels[0].0;
    let width = if highest > 0.0 { bin_width(highest) } else { 1.0 };
    let bins = (highest / width).floor() as usize + 1;
    // Coldest first: below the edge, voxels drop out.
    let mut above = voxels.len();
    let mut remaining: f64 = voxels.iter().map(|v| v.1).sum();
    (0..bins)
        .map(|bin| {
            let edge = bin as f64 * width;
            while above > 0 && voxels[above - 1].0 < edge {
                above -= 1;
                remaining -= voxels[above].1;
            }
            let volume = if above == 0 { 0.0 } else { remaining.max(0.0) };
            (Gray::new(edge), Millilitre::new(volume))
        })
        .collect()
}

fn bin_width(highest: f64) -> f64 {
    let least = (highest / BINS_MAX).max(f64::MIN_POSITIVE);
    let decade = 10f64.powi(least.log10().floor() as i32);
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * decade)
        .find(|width| *width > least)
        .unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;
    use ndarray::Array3;
    use proptest::prelude::*;

    fn row(values: &[f32]) -> Volume<f32> {
        let n = values.len();
        let grid = Grid::axial([1, 1, n], [10.0; 3], [0.0; 3]).unwrap();
        Volume::new(grid, Array3::from_shape_vec((1, 1, n), values.to_vec()).unwrap())
    }

    fn both(dose: &Volume<f32>, mass: &Volume<f32>, region: &Occupancy) -> (Gray, DoseSpread) {
        let all = statistics(dose, mass, region).unwrap();
        (all.mean, all.spread.unwrap())
    }

    fn whole(n: usize) -> Occupancy {
        Occupancy::new((0..n as u32).map(|v| (v, 1.0)).collect())
    }

    #[test]
    fn mean_is_by_mass_and_the_rest_by_volume() {
        let dose = row(&[1.0, 3.0, 5.0, 7.0]);
        let mass = row(&[3.0, 1.0, 1.0, 1.0]);
        let (mean, s) = both(&dose, &mass, &whole(4));
        assert!((mean.value() - 3.0).abs() < 1e-12);
        assert_eq!((s.min.value(), s.max.value(), s.median.value()), (1.0, 7.0, 4.0));
        assert!((s.sd.value() - 5f64.sqrt()).abs() < 1e-12);
        assert_eq!((s.d98.value(), s.d2.value()), (1.0, 7.0));
    }

    #[test]
    fn fractional_voxels_count_by_what_is_inside() {
        let dose = row(&[10.0, 20.0, 30.0]);
        let mass = row(&[1.0; 3]);
        let part = Occupancy::new(vec![(0, 0.25), (1, 0.25), (2, 0.5)]);
        let (mean, s) = both(&dose, &mass, &part);
        assert!((mean.value() - 22.5).abs() < 1e-12);
        assert_eq!(s.d50.value(), 25.0);
        assert_eq!(s.d95.value(), 10.0);
        assert_eq!(s.dvh[0].1.value(), 1.0);
    }

    #[test]
    fn quantiles_of_a_ramp_are_exact() {
        let n = 1000;
        let dose = row(&(0..n).map(|v| v as f32 + 0.5).collect::<Vec<_>>());
        let (_, s) = both(&dose, &row(&vec![1.0; n]), &whole(n));
        for (found, wanted) in [(s.d98, 20.0), (s.d95, 50.0), (s.d50, 500.0), (s.d2, 980.0)] {
            assert!((found.value() - wanted).abs() < 1e-9, "{found} {wanted}");
        }
        assert!((s.sd.value() / (n as f64 / 12f64.sqrt()) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_sphere_in_a_linear_gradient_has_the_closed_histogram() {
        // Volume above height h of a sphere of radius r: cap of height r - h.
        let grid = Grid::axial([60, 60, 60], [1.0; 3], [-29.5; 3]).unwrap();
        let dose = Array3::from_shape_fn(grid.dim(), |(k, _, _)| 100.0 + (k as f32 - 29.5));
        let dose = Volume::new(grid.clone(), dose);
        let mass = Volume::new(grid.clone(), Array3::from_elem(grid.dim(), 1e-3f32));
        let radius = 25.0f64;
        let inside = |n: usize| {
            let p = grid.voxel_to_lps([(n % 60) as f64, (n / 60 % 60) as f64, (n / 3600) as f64]);
            p.iter().map(|x| x * x).sum::<f64>() <= radius * radius
        };
        let region = Occupancy::new(
            (0..grid.len()).filter(|&n| inside(n)).map(|n| (n as u32, 1.0)).collect(),
        );
        let (mean, s) = both(&dose, &mass, &region);
        // Cap volume fraction 2 % lies above h = 21.5147 for r = 25 (solved from the cap formula).
        let cap = |h: f64| (radius - h).powi(2) * (2.0 * radius + h) / (4.0 * radius.powi(3));
        let (mut low, mut high) = (0.0, radius);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if cap(middle) > 0.02 { low = middle } else { high = middle }
        }
        assert!((mean.value() - 100.0).abs() < 1e-6);
        assert!((s.d2.value() - (100.0 + low)).abs() < 0.6, "{} {low}", s.d2);
        assert!((s.d98.value() - (100.0 - low)).abs() < 0.6);
        assert!((s.sd.value() / (radius / 5f64.sqrt()) - 1.0).abs() < 5e-3);
    }

    #[test]
    fn regions_without_meaning_are_refused() {
        let (dose, mass) = (row(&[1.0, 2.0]), row(&[1.0, 1.0]));
        let refused = |d: &Volume<f32>, m: &Volume<f32>, o| statistics(d, m, &o).unwrap_err();
        assert_eq!(refused(&dose, &mass, Occupancy::default()), BiologyError::EmptyRegion);
        assert_eq!(refused(&dose, &row(&[1.0]), whole(1)), BiologyError::Grids);
        assert_eq!(refused(&dose, &mass, whole(3)), BiologyError::OutsideGrid(2));
        assert_eq!(refused(&dose, &row(&[0.0, 0.0]), whole(2)), BiologyError::NoMass);
        let nan = row(&[f32::NAN, 1.0]);
        assert!(matches!(refused(&nan, &mass, whole(2)), BiologyError::NotFinite { voxel: 0, .. }));
    }

    #[test]
    fn no_dose_at_all_is_a_result() {
        let (mean, s) = both(&row(&[0.0; 3]), &row(&[1.0; 3]), &whole(3));
        assert_eq!((mean.value(), s.d2.value(), s.dvh.len()), (0.0, 0.0, 1));
    }

    proptest! {
        #[test]
        fn statistics_are_ordered_and_the_histogram_falls(
            voxels in prop::collection::vec((0.0f32..500.0, 0.01f32..2.0, 0.01f32..1.0), 1..200),
        ) {
            let n = voxels.len();
            let dose = row(&voxels.iter().map(|v| v.0).collect::<Vec<_>>());
            let mass = row(&voxels.iter().map(|v| v.1).collect::<Vec<_>>());
            let part =
                Occupancy::new((0..n).map(|m| (m as u32, voxels[m].2)).collect());
            let (mean, s) = both(&dose, &mass, &part);
            let order = [s.min, s.d98, s.d95, s.d50, s.d2, s.max].map(Gray::value);
            prop_assert!(order.windows(2).all(|p| p[0] <= p[1]), "{:?}", order);
            prop_assert!(mean.value() >= s.min.value() * (1.0 - 1e-12) && mean.value() <= s.max.value() * (1.0 + 1e-12));
            prop_assert!(s.dvh.len() <= 1001);
            prop_assert!(s.dvh.windows(2).all(|p| p[0].1 >= p[1].1));
            let volume = part.volume(dose.grid()).value();
            prop_assert!((s.dvh[0].1.value() / volume - 1.0).abs() < 1e-9);
        }
    }
}
