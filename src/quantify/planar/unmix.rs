//! Activities of all regions at once, from both views and every pixel.
//!
//! Each region's template is what the detectors would see of it; the measured rates are a sum of the
//! templates with the activities as coefficients of 0 or more, found by weighted least squares. Organs
//! that lie over each other, and the body behind and before them, are so told apart by their shapes:
//! no region of interest over the background and no correction for its thickness is needed. With one
//! source and one pixel this is the conjugate view formula with the weights of its two counts.

use super::project::Template;
use super::rates::NetRate;
use crate::nnls;
use crate::quantify::{CONSTANTS, QuantifyError};
use crate::quantity::{Becquerel, Measured};
use nalgebra::{DMatrix, DVector};

/// Activities of the regions, in the order of their templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Unmixed {
    pub activity: Vec<Measured<Becquerel>>,
    /// Root mean square of what the views hold and the model does not, as part of the mean model.
    pub misfit: f64,
    /// Σ residual²/variance over pixels less regions.
    pub reduced_chi_square: f64,
}

/// Rounds of finding weights from the model of the round before.
const ROUNDS: usize = 4;

/// Unmixes the views.
///
/// # Errors
/// A region that no pixel sees, regions that cast one and the same shadow, views without counts.
pub fn unmix(rates: &[NetRate; 2], templates: &[Template]) -> Result<Unmixed, QuantifyError> {
    let columns: Vec<Vec<f64>> = templates
        .iter()
        .map(|t| t.cps_per_mbq.iter().flat_map(|view| view.iter().copied()).collect())
        .collect();
    for (column, template) in columns.iter().zip(templates) {
        if !column.iter().any(|v| *v > 0.0) {
            return Err(QuantifyError::OutsideViews(template.name.clone()));
        }
    }
    let all: Vec<f64> = rates.iter().flat_map(|rate| rate.cps.iter().copied()).collect();
    let variances: Vec<f64> = rates.iter().flat_map(|rate| rate.variance.iter().copied()).collect();
    // Pixels that no region can reach say nothing of them.
    let seen: Vec<usize> =
        (0..all.len()).filter(|&n| columns.iter().any(|column| column[n] > 0.0)).collect();
    if templates.is_empty() || seen.len() <= templates.len() {
        return Err(QuantifyError::Unmixing("there are fewer pixels than regions"));
    }
    let matrix = DMatrix::from_fn(seen.len(), columns.len(), |n, c| columns[c][seen[n]]);
    let target = DVector::from_iterator(seen.len(), seen.iter().map(|&n| all[n]));
    let variance = DVector::from_iterator(seen.len(), seen.iter().map(|&n| variances[n]));
    if !(target.sum() > 0.0 && target.iter().chain(variance.iter()).all(|v| v.is_finite())) {
        return Err(QuantifyError::Unmixing("the views hold no counts above scatter"));
    }
    solve(&matrix, &target, &variance)
}

fn solve(
    matrix: &DMatrix<f64>,
    target: &DVector<f64>,
    variance: &DVector<f64>,
) -> Result<Unmixed, QuantifyError> {
    // Variance per rate, the same in all pixels but for scatter: the model's rate times it is free of
    // the noise that would favour pixels which happen to be low.
    let per_rate = variance.sum() / target.sum();
    let mean = target.mean().max(0.0);
    let mut mbq = nnls::solve(matrix, target);
    let mut weighted = (matrix.clone(), target.clone());
    for _ in 0..ROUNDS {
        let model = matrix * &mbq;
        let sigma = model.map(|rate| {
            let counting = per_rate * rate.max(CONSTANTS.least_variance.value * mean);
            (counting + (CONSTANTS.template_error.value * rate).powi(2)).sqrt()
        });
        weighted.0 =
            DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |n, c| matrix[(n, c)] / sigma[n]);
        weighted.1 = target.component_div(&sigma);
        mbq = nnls::solve(&weighted.0, &weighted.1);
    }
    let free: Vec<usize> = (0..mbq.len()).filter(|&n| mbq[n] > 0.0).collect();
    let residual = &weighted.1 - &weighted.0 * &mbq;
    let degrees = (matrix.nrows() - free.len()) as f64;
    let reduced_chi_square = residual.norm_squared() / degrees;
    let normal = weighted.0.select_columns(&free);
    let covariance = normal
        .tr_mul(&normal)
        .cholesky()
        .map(|factor| factor.inverse())
        .filter(|inverse| inverse.iter().all(|v| v.is_finite()))
        .ok_or(QuantifyError::Unmixing("two of them cast the same shadow"))?;
    let scatter = reduced_chi_square.max(1.0);
    let relative = |n: usize| {
        let place = free.iter().position(|&f| f == n)?;
        Some((scatter * covariance[(place, place)]).sqrt() / mbq[n])
    };
    let activity = (0..mbq.len())
        .map(|n| Measured { value: Becquerel::from_mbq(mbq[n]), relative_uncertainty: relative(n) })
        .collect();
    let model = matrix * &mbq;
    let misfit = ((target - &model).norm_squared() / model.len() as f64).sqrt() / model.mean();
    Ok(Unmixed { activity, misfit, reduced_chi_square })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// A square of `edge` pixels at a corner, seen unevenly from both sides.
    fn square(name: &str, at: usize, edge: usize, views: [f64; 2]) -> Template {
        let inside =
            |(k, i): (usize, usize)| (at..at + edge).contains(&k) && (at..at + edge).contains(&i);
        let cps_per_mbq =
            views.map(|v| Array2::from_shape_fn((24, 24), |p| if inside(p) { v } else { 0.0 }));
        Template { name: name.into(), cps_per_mbq }
    }

    fn seen(templates: &[Template], mbq: &[f64]) -> [NetRate; 2] {
        [0, 1].map(|view| {
            let mut cps = Array2::zeros((24, 24));
            for (template, mbq) in templates.iter().zip(mbq) {
                cps += &(&template.cps_per_mbq[view] * *mbq);
            }
            NetRate { variance: cps.clone(), cps }
        })
    }

    #[test]
    fn overlapping_regions_are_told_apart() {
        let regions = [
            square("body", 0, 24, [0.01, 0.012]),
            square("kidney", 4, 8, [0.05, 0.2]),
            square("spleen", 9, 8, [0.1, 0.07]),
        ];
        let truth = [500.0, 40.0, 70.0];
        let found = unmix(&seen(&regions, &truth), &regions).unwrap();
        for (found, truth) in found.activity.iter().zip(truth) {
            assert!((found.value.mbq() / truth - 1.0).abs() < 1e-9, "{found:?}");
            assert!(found.relative_uncertainty.is_some_and(|u| u > 0.0 && u < 0.2));
        }
        assert!(found.misfit < 1e-9);
    }

    #[test]
    fn a_region_without_activity_gets_none_and_no_less() {
        let regions = [square("body", 0, 24, [0.01, 0.012]), square("spleen", 9, 8, [0.1, 0.07])];
        let mut views = seen(&regions, &[500.0, 0.0]);
        views[0].cps[[10, 10]] -= 3.0;
        let found = unmix(&views, &regions).unwrap();
        assert_eq!(found.activity[1].value.mbq(), 0.0);
        assert_eq!(found.activity[1].relative_uncertainty, None);
    }

    #[test]
    fn what_cannot_be_told_apart_or_is_not_seen_is_refused() {
        let twice = [square("a", 4, 8, [0.1, 0.1]), square("b", 4, 8, [0.1, 0.1])];
        let single = seen(&twice[..1], &[10.0]);
        // One takes all: the other cannot enter, which is a reading of the views, not an error.
        assert!(unmix(&single, &twice).is_ok());
        let dark = [square("a", 4, 8, [0.1, 0.1]), square("outside", 4, 8, [0.0, 0.0])];
        let error = unmix(&single, &dark).unwrap_err().to_string();
        assert!(error.contains("region outside lies outside"), "{error}");
        let empty = seen(&twice[..1], &[0.0]);
        assert!(unmix(&empty, &twice[..1]).is_err());
    }
}
