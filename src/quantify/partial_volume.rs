//! Partial volume of all regions at once: what the camera's blur carries out of each, and into it from
//! its neighbours.
//!
//! With activity even within each region, what the image shows inside region i is Σ W(i, j) A(j), where
//! W(i, j) is the part of region j that the blur carries into i; the activities follow from what is
//! shown. Unlike a recovery curve this knows the shape of an organ and how hot its surroundings are.
//! Reference: Rousset, Ma, Evans, J Nucl Med 39 (1998) 904 (geometric transfer matrix).

use super::planar::blur_along;
use super::{CONSTANTS, QuantifyError, Resolution};
use crate::nnls;
use crate::quantity::{Becquerel, Millimetre};
use crate::volume::{Grid, Occupancy};
use nalgebra::{DMatrix, DVector};
use ndarray::Array2;

/// One region's own activity, apart from what its neighbours spill into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unspilt {
    /// `Err` where too little of the region stays in its outline.
    pub activity: Result<Becquerel, QuantifyError>,
    /// Relative standard uncertainty (k = 1) by that of the resolution, where that is known.
    pub relative_uncertainty: Option<f64>,
}

/// Step in the resolution that its effect on the activities is taken from.
const STEP: f64 = 0.02;

/// Activities of regions that share no voxel, from what the image shows in each.
///
/// # Errors
/// Regions that the blur makes one.
pub fn unspill(
    grid: &Grid,
    own: &[&Occupancy],
    seen: &[Becquerel],
    resolution: &Resolution,
) -> Result<Vec<Unspilt>, QuantifyError> {
    let seen = DVector::from_iterator(seen.len(), seen.iter().map(|a| a.value()));
    let at = |factor: f64| {
        let exchange = exchange(grid, own, resolution.fwhm * factor);
        let activity = nnls::solve(&exchange, &seen);
        (exchange, activity)
    };
    let (exchange, activity) = at(1.0);
    if !activity.iter().all(|a| a.is_finite()) {
        return Err(QuantifyError::Blurred);
    }
    let effect = resolution.relative_uncertainty.map(|u| {
        let (_, wider) = at(1.0 + STEP);
        let (_, narrower) = at(1.0 - STEP);
        (wider - narrower) * (u / (2.0 * STEP))
    });
    let least = CONSTANTS.least_recovery.value;
    let one = |n: usize| {
        let (kept, volume) = (exchange[(n, n)], own[n].volume(grid));
        let activity_bq = activity[n];
        let lost =
            QuantifyError::NotRecoverable { volume_ml: volume.value(), coefficient: kept, least };
        let relative = |effect: &DVector<f64>| (effect[n] / activity_bq).abs();
        Unspilt {
            activity: if kept >= least { Ok(Becquerel::new(activity_bq)) } else { Err(lost) },
            relative_uncertainty: effect.as_ref().map(relative).filter(|u| u.is_finite()),
        }
    };
    Ok((0..own.len()).map(one).collect())
}

/// W(i, j): the part of region j's activity that is seen in region i.
fn exchange(grid: &Grid, own: &[&Occupancy], fwhm: Millimetre) -> DMatrix<f64> {
    let mut parts = DMatrix::zeros(own.len(), own.len());
    for (j, source) in own.iter().enumerate() {
        let Some(part) = Surroundings::of(grid, source, fwhm) else { continue };
        let whole: f64 = source.iter().map(|(_, f)| f64::from(f)).sum();
        for (i, region) in own.iter().enumerate() {
            let inside: f64 = region.iter().map(|(n, f)| f64::from(f) * part.at(grid, n)).sum();
            parts[(i, j)] = inside / whole;
        }
    }
    parts
}

/// A region after the blur, as far as that reaches.
struct Surroundings {
    /// First voxel and size along `[k, j, i]`.
    first: [usize; 3],
    shape: [usize; 3],
    values: Vec<f64>,
}

impl Surroundings {
    fn of(grid: &Grid, region: &Occupancy, fwhm: Millimetre) -> Option<Self> {
        let [slices, rows, columns] = grid.shape();
        let place = |n: usize| {
            let [i, j, k] = grid.place(n);
            [k, j, i]
        };
        let spacing = grid.spacing_mm();
        let voxels: [f64; 3] = std::array::from_fn(|axis| fwhm.value() / spacing[2 - axis]);
        // As far as the kernel: four standard deviations.
        let reach =
            voxels.map(|w| (4.0 * w / (8.0 * std::f64::consts::LN_2).sqrt()).ceil() as usize);
        let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
        for (n, _) in region.iter() {
            for (axis, at) in place(n).into_iter().enumerate() {
                low[axis] = low[axis].min(at);
                high[axis] = high[axis].max(at);
            }
        }
        if low[0] > high[0] {
            return None;
        }
        let size = [slices, rows, columns];
        let first: [usize; 3] = std::array::from_fn(|a| low[a].saturating_sub(reach[a]));
        let shape: [usize; 3] =
            std::array::from_fn(|a| (high[a] + reach[a] + 1).min(size[a]) - first[a]);
        let mut sharp = vec![0.0; shape.iter().product()];
        let empty = Self { first, shape, values: Vec::new() };
        for (n, fraction) in region.iter() {
            if let Some(at) = empty.index(place(n)) {
                sharp[at] = f64::from(fraction);
            }
        }
        Some(Self { values: blur_volume(sharp, shape, voxels), ..empty })
    }

    fn index(&self, at: [usize; 3]) -> Option<usize> {
        at.iter().zip(self.first).zip(self.shape).try_fold(0, |index, ((at, first), size)| {
            let place = at.checked_sub(first)?;
            (place < size).then_some(index * size + place)
        })
    }

    fn at(&self, grid: &Grid, voxel: usize) -> f64 {
        let [i, j, k] = grid.place(voxel);
        self.index([k, j, i]).map_or(0.0, |index| self.values[index])
    }
}

/// A Gaussian along all three axes of `[k, j, i]`, its widths in voxels (FWHM); what it carries over the
/// edge is lost, as out of a field of view.
pub fn blur_volume(values: Vec<f64>, shape: [usize; 3], fwhm_voxels: [f64; 3]) -> Vec<f64> {
    let [slices, rows, columns] = shape;
    let plane = |values: Vec<f64>, rows: usize, columns: usize| {
        Array2::from_shape_vec((rows, columns), values).expect("one value a voxel")
    };
    let along_k = blur_along(&plane(values, slices, rows * columns), 0, fwhm_voxels[0]);
    let mut out = Vec::with_capacity(along_k.len());
    for slice in along_k.rows() {
        let slice = plane(slice.to_vec(), rows, columns);
        out.extend(blur_along(&blur_along(&slice, 0, fwhm_voxels[1]), 1, fwhm_voxels[2]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uncertainty::recovered_fraction;

    const FWHM: Millimetre = Millimetre::new(12.0);

    fn grid() -> Grid {
        Grid::axial([40, 44, 48], [3.0; 3], [0.0; 3]).unwrap()
    }

    /// Voxels of a ball, and those of a larger one around it that it does not take.
    fn ball_in_ball(grid: &Grid) -> [Occupancy; 2] {
        let inside = |radius: f64, n: usize| {
            let (k, j, i) = (n / 48 / 44, n / 48 % 44, n % 48);
            let at = grid.voxel_to_lps([i as f64, j as f64, k as f64]);
            let middle = grid.voxel_to_lps([23.0, 21.0, 19.0]);
            (0..3).map(|a| (at[a] - middle[a]).powi(2)).sum::<f64>().sqrt() <= radius
        };
        let all = 0..grid.len();
        let small = all.clone().filter(|&n| inside(18.0, n)).map(|n| (n as u32, 1.0)).collect();
        let shell = all.filter(|&n| inside(50.0, n) && !inside(18.0, n));
        [Occupancy::new(small), Occupancy::new(shell.map(|n| (n as u32, 1.0)).collect())]
    }

    #[test]
    fn a_ball_keeps_what_its_closed_form_says() {
        let grid = grid();
        let [ball, shell] = ball_in_ball(&grid);
        let parts = exchange(&grid, &[&ball, &shell], FWHM);
        let radius =
            (3.0 * ball.volume(&grid).value() * 1000.0 / (4.0 * std::f64::consts::PI)).cbrt();
        let theory = recovered_fraction(radius / (12.0 / (8.0 * std::f64::consts::LN_2).sqrt()));
        assert!((parts[(0, 0)] / theory - 1.0).abs() < 0.02, "{} {theory}", parts[(0, 0)]);
        // What leaves the ball is in the shell around it, and per volume as much comes back.
        assert!((parts.column(0).sum() - 1.0).abs() < 1e-3);
        let volumes = shell.volume(&grid) / ball.volume(&grid);
        assert!((parts[(0, 1)] * volumes / parts[(1, 0)] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn activities_come_back_with_what_the_resolution_leaves_open() {
        let grid = grid();
        let regions = ball_in_ball(&grid);
        let own: Vec<&Occupancy> = regions.iter().collect();
        let parts = exchange(&grid, &own, FWHM);
        let truth = DVector::from_vec(vec![40e6, 90e6]);
        let seen = &parts * &truth;
        let seen: Vec<Becquerel> = seen.iter().map(|bq| Becquerel::new(*bq)).collect();
        let exact = Resolution { fwhm: FWHM, relative_uncertainty: Some(0.05) };
        let found = unspill(&grid, &own, &seen, &exact).unwrap();
        for (found, truth) in found.iter().zip(&truth) {
            let activity = found.activity.clone().unwrap().value();
            assert!((activity / truth - 1.0).abs() < 1e-9, "{activity}");
        }
        // As much as another resolution changes it.
        let wide = Resolution { fwhm: FWHM * 1.05, ..exact };
        let other = unspill(&grid, &own, &seen, &wide).unwrap()[0].activity.clone().unwrap();
        let (off, stated) = (other.value() / 40e6 - 1.0, found[0].relative_uncertainty.unwrap());
        assert!((off / stated - 1.0).abs() < 0.2, "{off} {stated}");
        // Of a region that the blur all but takes away there is no number.
        let coarse = Resolution { fwhm: Millimetre::new(60.0), ..exact };
        let lost = unspill(&grid, &own, &seen, &coarse).unwrap()[0].activity.clone().unwrap_err();
        assert!(lost.to_string().contains("not quantifiable"), "{lost}");
    }
}
