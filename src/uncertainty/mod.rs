//! The uncertainty of a region's time-integrated activity and dose, and who contributes how much.
//!
//! In: how well volume, recovery, calibration, points and energy deposition are known. Out: relative
//! standard uncertainties (k = 1) with one contribution a source. Independent sources are propagated
//! through the full Jacobian, so that what one source does in several places (the outline sets the
//! counts inside it, the recovery coefficient and the mass) is added with its sign before it is
//! squared. Reference: Gear et al., EANM practical guidance on uncertainty analysis for molecular
//! radiotherapy absorbed dose calculations, EJNMMI 45:2456 (2018); GUM (JCGM 100:2008).
//!
//! What is not known is named, never counted as 0: the total is then of what is known.

mod outline;

pub use outline::{Outline, blurred_sphere_edge, recovered_fraction};

use crate::quantity::Millimetre;

/// How well one region's inputs are known. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Chain {
    pub outline: Option<Outline>,
    /// Resolution (FWHM) of the emission image, that blurs activity across the outline.
    pub emission_fwhm: Option<Millimetre>,
    /// Recovery coefficient, where activities were divided by one.
    pub recovery: Option<Recovery>,
    /// Of the calibration factor, that all time points share.
    pub calibration: Option<f64>,
    /// Of the integral by the noise of its points and the fit: its covariance.
    pub fit: Option<f64>,
    /// Of the dose per decay: the engine's own.
    pub dose: Option<f64>,
}

/// A recovery coefficient as used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovery {
    /// d ln RC / d ln V at the region's volume.
    pub slope: f64,
    /// Of the coefficient at a volume that is known exactly: the curve's fit.
    pub relative_uncertainty: Option<f64>,
}

/// Who contributes how much: signed effect of one standard uncertainty of the source.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Contribution {
    pub source: &'static str,
    /// On the time-integrated activity, relative.
    pub time_integrated_activity: f64,
    /// On the mean absorbed dose, relative.
    pub absorbed_dose: f64,
    /// Part of the variance of the dose, 0 to 1.
    pub share_of_dose_variance: f64,
}

/// The whole of it for one region.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Budget {
    /// Relative standard uncertainty, k = 1, of what is known.
    pub time_integrated_activity: Option<f64>,
    pub absorbed_dose: Option<f64>,
    pub contributions: Vec<Contribution>,
    /// Sources of which nothing is known: the totals do not hold them.
    pub unknown: Vec<&'static str>,
}

/// Joins the sources. Without the fit's uncertainty there is no total: the curve is the heart of it.
pub fn budget(chain: &Chain) -> Budget {
    let mut sources = vec![("volume", volume_effects(chain))];
    if let Some(recovery) = chain.recovery {
        sources.push(("recovery", recovery.relative_uncertainty.map(|u| [-u, -u])));
    }
    sources.push(("calibration", chain.calibration.map(|u| [-u, -u])));
    sources.push((FIT, chain.fit.map(|u| [u, u])));
    sources.push(("dose", chain.dose.map(|u| [0.0, u])));
    joined(&sources)
}

/// The source without which there is no total.
pub const FIT: &str = "fit";

/// Joins independent sources: each with the relative effect of one standard uncertainty on the
/// time-integrated activity and on the dose, `None` where it is not known.
pub fn joined(sources: &[(&'static str, Option<[f64; 2]>)]) -> Budget {
    let mut budget = Budget::default();
    for &(source, effects) in sources {
        match effects {
            Some([tia, dose]) => budget.contributions.push(Contribution {
                source,
                time_integrated_activity: tia,
                absorbed_dose: dose,
                share_of_dose_variance: 0.0,
            }),
            None => budget.unknown.push(source),
        }
    }
    let squares = |effect: fn(&Contribution) -> f64| -> f64 {
        budget.contributions.iter().map(|c| effect(c).powi(2)).sum()
    };
    let (tia, dose) = (squares(|c| c.time_integrated_activity), squares(|c| c.absorbed_dose));
    for contribution in &mut budget.contributions {
        if dose > 0.0 {
            contribution.share_of_dose_variance = contribution.absorbed_dose.powi(2) / dose;
        }
    }
    if budget.contributions.iter().any(|c| c.source == FIT) {
        budget.time_integrated_activity = Some(tia.sqrt());
        budget.absorbed_dose = Some(dose.sqrt());
    }
    budget
}

/// A larger outline holds more counts, takes a larger recovery coefficient and more mass.
fn volume_effects(chain: &Chain) -> Option<[f64; 2]> {
    let outline = chain.outline?;
    let sigma = chain.emission_fwhm?;
    let counts = outline.counts_by_volume(sigma)?;
    let activity = counts - chain.recovery.map_or(0.0, |recovery| recovery.slope);
    let u = outline.relative_uncertainty();
    Some([activity * u, (activity - 1.0) * u])
}

/// Probability that what was measured as `value` with standard uncertainty `u` is above `limit`, for a normal
/// distribution (GUM 7.2.3); none where nothing is uncertain.
pub fn probability_above(value: f64, u: f64, limit: f64) -> Option<f64> {
    let probability = 0.5 * (1.0 + outline::erf((value - limit) / (u * std::f64::consts::SQRT_2)));
    (u > 0.0 && probability.is_finite()).then_some(probability)
}

#[cfg(test)]
mod tests;
