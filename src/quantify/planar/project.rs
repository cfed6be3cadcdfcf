//! What both detectors see of each voxel of a patient: escape of unscattered photons through tissue.
//!
//! The grid's rows (j) run from the anterior to the posterior surface; detectors are parallel-hole and
//! far larger than a voxel, so every line of sight is a row. Attenuation is integrated over each voxel
//! exactly: (1 − e^(−μΔ))/(μΔ) of its own, e^(−Σμ Δ) of those in front.

use super::image::View;
use crate::quantity::Millimetre;
use crate::volume::{Grid, Occupancy, Volume};
use ndarray::{Array2, Axis};

/// Escape of every voxel to each detector.
#[derive(Debug)]
pub struct Projector {
    grid: Grid,
    escape: [Vec<f32>; 2],
}

/// Counts per second that one MBq, spread evenly over a region, makes in each pixel `[k, i]` of both
/// views.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub name: String,
    pub cps_per_mbq: [Array2<f64>; 2],
}

impl Projector {
    /// `attenuation`: 1/cm of each voxel.
    pub fn new(attenuation: &Volume<f32>) -> Self {
        let grid = attenuation.grid().clone();
        let mu = attenuation.as_slice();
        let step_cm = grid.spacing_mm()[1] / 10.0;
        let [slices, rows, columns] = grid.shape();
        let escape = View::BOTH.map(|view| {
            let mut out = vec![0.0f32; grid.len()];
            for k in 0..slices {
                for i in 0..columns {
                    let mut in_front = 0.0f64;
                    for n in 0..rows {
                        let j = if view == View::Anterior { n } else { rows - 1 - n };
                        let voxel = grid.linear(k, j, i);
                        let own = f64::from(mu[voxel]) * step_cm;
                        let itself = if own > 1e-12 { -(-own).exp_m1() / own } else { 1.0 };
                        out[voxel] = ((-in_front).exp() * itself) as f32;
                        in_front += own;
                    }
                }
            }
            out
        });
        Self { grid, escape }
    }

    /// The template of a region; `None` for one without a voxel here.
    pub fn template(
        &self,
        name: &str,
        region: &Occupancy,
        sensitivity_cps_per_mbq: f64,
        resolution: Option<Millimetre>,
    ) -> Option<Template> {
        let whole: f64 = region.iter().map(|(_, f)| f64::from(f)).sum();
        if whole <= 0.0 {
            return None;
        }
        let [slices, rows, columns] = self.grid.shape();
        let cps_per_mbq = [0, 1].map(|view| {
            let mut seen = Array2::zeros((slices, columns));
            for (voxel, fraction) in region.iter() {
                let (k, i) = (voxel / columns / rows, voxel % columns);
                seen[[k, i]] += f64::from(fraction) * f64::from(self.escape[view][voxel]);
            }
            seen.mapv_inplace(|part| part / whole * sensitivity_cps_per_mbq);
            match resolution {
                Some(fwhm) => blur(&seen, fwhm, self.grid.spacing_mm()),
                None => seen,
            }
        });
        Some(Template { name: name.to_owned(), cps_per_mbq })
    }
}

/// A Gaussian along one axis, its width in pixels (FWHM).
pub fn blur_along(source: &Array2<f64>, axis: usize, fwhm_pixels: f64) -> Array2<f64> {
    let sigma = fwhm_pixels / (8.0 * std::f64::consts::LN_2).sqrt();
    let reach = (4.0 * sigma).ceil() as isize;
    let raw: Vec<f64> =
        (-reach..=reach).map(|n| (-0.5 * (n as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = raw.iter().sum();
    let mut blurred = Array2::zeros(source.dim());
    for (lane, mut out) in source.lanes(Axis(axis)).into_iter().zip(blurred.lanes_mut(Axis(axis))) {
        let last = lane.len() as isize - 1;
        for (n, value) in out.iter_mut().enumerate() {
            let n = n as isize;
            let inside = (n - reach).max(0)..=(n + reach).min(last);
            *value = inside.map(|m| lane[m as usize] * raw[(m - n + reach) as usize] / sum).sum();
        }
    }
    blurred
}

/// A Gaussian over pixels `[k, i]`; what it carries over the edge is lost, as off a detector.
pub fn blur(image: &Array2<f64>, fwhm: Millimetre, spacing_mm: [f64; 3]) -> Array2<f64> {
    let pixels = |axis: usize| fwhm.value() / spacing_mm[axis];
    blur_along(&blur_along(image, 0, pixels(2)), 1, pixels(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn a_uniform_slab_is_seen_as_its_closed_form_says() {
        let grid = Grid::axial([3, 20, 4], [4.0, 10.0, 4.0], [0.0; 3]).unwrap();
        let mu = Volume::new(grid.clone(), Array3::from_elem(grid.dim(), 0.13f32));
        let projector = Projector::new(&mu);
        // Rows 5 to 9 of one column: 5 cm thick, 5 cm and 10 cm deep.
        let slab = Occupancy::new((5..10).map(|j| (grid.linear(1, j, 2) as u32, 1.0)).collect());
        let seen = projector.template("slab", &slab, 9.1, None).unwrap();
        let inside = (1.0 - f64::exp(-0.65)) / 0.65;
        for (view, depth) in [(0, 5.0), (1, 10.0)] {
            let wanted = 9.1 * f64::exp(-0.13 * depth) * inside;
            let found = seen.cps_per_mbq[view][[1, 2]];
            assert!((found / wanted - 1.0).abs() < 1e-5, "{view}: {found} {wanted}");
            assert!((seen.cps_per_mbq[view].sum() / found - 1.0).abs() < 1e-12);
        }
        assert_eq!(projector.template("none", &Occupancy::default(), 9.1, None), None);
    }

    #[test]
    fn blurring_keeps_counts_inside_and_has_its_width() {
        let mut point = Array2::zeros((41, 41));
        point[[20, 20]] = 1.0;
        let blurred = blur(&point, Millimetre::new(12.0), [3.0, 1.0, 2.0]);
        assert!((blurred.sum() - 1.0).abs() < 1e-9);
        // Half the maximum at half the width: 2 pixels along i of 3 mm, 3 along k of 2 mm.
        let half = |k: usize, i: usize| blurred[[k, i]] / blurred[[20, 20]];
        assert!((half(23, 20) - 0.5).abs() < 1e-9 && (half(20, 22) - 0.5).abs() < 1e-9);
    }
}
