//! What attenuates along each line of sight, from a transmission scan: counts of a flood or line source
//! through the patient over those without one.

use super::image::Exposure;
use super::project::blur;
use super::rates::dwell;
use crate::quantify::{CONSTANTS, QuantifyError};
use crate::quantity::Millimetre;
use ndarray::{Array2, Zip};

/// Counts of one transmission scan or of its blank, `[row, column]` on the anterior view's raster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransmissionCounts<'a> {
    pub counts: &'a Array2<f32>,
    pub exposure: &'a Exposure,
}

/// Mean free paths through the patient at the emission's energy, `[row, column]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TransmissionDepth {
    /// μT; about 0 beside the patient, NaN where too few counts tell it.
    pub depth: Array2<f64>,
    /// By counting, of each pixel before smoothing. Smoothing moves noise between pixels and keeps that of a
    /// sum, so Σ g² · variance is the variance of Σ g · depth over an area wider than the blur.
    pub variance: Array2<f64>,
}

/// ln(blank/patient), as rates, times `ratio`: attenuation of soft tissue at the emission's energy over
/// that at the transmission source's.
///
/// Counts are blurred before the logarithm is taken: that of a few counts is biased (E ln N ≈ ln n − 1/2n) and
/// that of none is infinite. What is left of the bias, by the counts within the blur, is taken out.
///
/// # Errors
/// Rasters that differ, a dwell that is not known.
pub fn transmission_depth(
    patient: TransmissionCounts<'_>,
    blank: TransmissionCounts<'_>,
    spacing_mm: [f64; 2],
    field_of_view_mm: Option<f64>,
    ratio: f64,
) -> Result<TransmissionDepth, QuantifyError> {
    let dims = (patient.counts.dim(), blank.counts.dim());
    if dims.0 != dims.1 {
        return Err(QuantifyError::BlankRaster { patient: dims.0, blank: dims.1 });
    }
    let looked = |scan: TransmissionCounts<'_>| dwell(scan.exposure, field_of_view_mm);
    let longer = (looked(patient)? / looked(blank)?).ln();
    let (through, open) = (smooth(patient.counts, spacing_mm), smooth(blank.counts, spacing_mm));
    let pixels = pixels_within_blur(spacing_mm);
    let least = CONSTANTS.transmission_least_counts.value;
    let mut depth = Array2::zeros(dims.0);
    let mut variance = Array2::zeros(dims.0);
    Zip::from(&mut depth).and(&mut variance).and(&through).and(&open).for_each(
        |depth, variance, &through, &open| {
            let within = [through * pixels, open * pixels];
            if within.iter().any(|counts| *counts < least) {
                (*depth, *variance) = (f64::NAN, f64::NAN);
                return;
            }
            let bias = 0.5 / within[0] - 0.5 / within[1];
            *depth = ratio * ((open / through).ln() + longer - bias);
            *variance = ratio * ratio * (1.0 / through + 1.0 / open);
        },
    );
    Ok(TransmissionDepth { depth, variance })
}

/// Mean counts of the pixels about each; at the edge of those there are.
fn smooth(counts: &Array2<f32>, [column_mm, row_mm]: [f64; 2]) -> Array2<f64> {
    let fwhm = Millimetre::new(CONSTANTS.transmission_smoothing.value);
    let spacing = [column_mm, 1.0, row_mm];
    let there = blur(&Array2::ones(counts.dim()), fwhm, spacing);
    blur(&counts.mapv(f64::from), fwhm, spacing) / there
}

/// How many pixels' counts a blurred one rests on: 1 over the sum of its squared weights.
fn pixels_within_blur(spacing_mm: [f64; 2]) -> f64 {
    let fwhm = CONSTANTS.transmission_smoothing.value;
    let sigma = |mm: f64| fwhm / (8.0 * std::f64::consts::LN_2).sqrt() / mm;
    let along = |mm: f64| (2.0 * std::f64::consts::PI.sqrt() * sigma(mm)).max(1.0);
    spacing_mm.map(along).iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::noise::Random;
    use crate::quantity::Seconds;

    fn still(seconds: f64) -> Exposure {
        Exposure::Static { duration: Seconds::new(seconds) }
    }

    fn of(patient: &Array2<f32>, blank: &Array2<f32>, ratio: f64) -> TransmissionDepth {
        let (short, long) = (still(600.0), still(300.0));
        let patient = TransmissionCounts { counts: patient, exposure: &short };
        let blank = TransmissionCounts { counts: blank, exposure: &long };
        transmission_depth(patient, blank, [4.8; 2], None, ratio).unwrap()
    }

    #[test]
    fn depth_is_the_logarithm_of_rates_at_the_energy_of_emission() {
        // 20 cm of 0.158/cm; the blank was looked at half as long.
        let blank = Array2::from_elem((9, 9), 4.0e5f32);
        let through = blank.mapv(|n| 2.0 * n * f32::exp(-3.16));
        let found = of(&through, &blank, 0.136 / 0.158);
        for depth in &found.depth {
            assert!((depth - 2.72).abs() < 1e-4, "{depth}");
        }
        let variance = (0.136f64 / 0.158).powi(2) * (f64::exp(3.16) / 8.0e5 + 1.0 / 4.0e5);
        assert!((found.variance[[4, 4]] / variance - 1.0).abs() < 1e-5);
    }

    #[test]
    fn few_counts_neither_explode_nor_shift_the_depth() {
        // Four counts a pixel behind the body; half of them none or one in some pixels.
        let mut random = Random::new(3, 5);
        let truth = f64::ln(2.0 * 400.0 / 4.0);
        let (mut sum, mut square, mut said, draws) = (0.0, 0.0, 0.0, 60);
        for _ in 0..draws {
            let mut drawn =
                |mean| Array2::from_shape_simple_fn((40, 40), || random.poisson(mean) as f32);
            let (through, blank) = (drawn(4.0), drawn(400.0));
            let found = of(&through, &blank, 1.0);
            let middle = found.depth.slice(ndarray::s![8..32, 8..32]);
            let mean = middle.mean().unwrap();
            sum += mean;
            square += (mean - truth).powi(2);
            let pixels = middle.len() as f64;
            said += found.variance.slice(ndarray::s![8..32, 8..32]).sum() / pixels.powi(2);
        }
        let n = f64::from(draws);
        // Without the correction 0.013 too deep.
        assert!((sum / n - truth).abs() < 0.008, "{}", sum / n - truth);
        // The stated variance of the mean is that of the draws (60 draws: 18 %, three times that).
        assert!((square / said - 1.0).abs() < 0.55, "{square} {said}");
    }

    #[test]
    fn nothing_seen_is_no_depth_and_another_matrix_is_refused() {
        let blank = Array2::from_elem((9, 9), 1000.0f32);
        let mut through = blank.mapv(|n| n * 0.1);
        through.slice_mut(ndarray::s![.., 5..]).fill(0.0);
        let found = of(&through, &blank, 1.0);
        assert!(found.depth[[4, 8]].is_nan() && found.depth[[4, 0]].is_finite());
        let exposure = still(1.0);
        let scan = |counts| TransmissionCounts { counts, exposure: &exposure };
        let other = Array2::from_elem((9, 8), 1000.0f32);
        let refused = transmission_depth(scan(&through), scan(&other), [4.8; 2], None, 1.0);
        assert_eq!(refused, Err(QuantifyError::BlankRaster { patient: (9, 9), blank: (9, 8) }));
    }
}
