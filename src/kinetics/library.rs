//! One point and a library of curves of other patients (Jackson et al., Med Phys 47:2332, 2020).
//!
//! Every curve of the library, scaled through the point, gives one integral: their mean is the
//! answer, their spread its uncertainty.

use super::solution::{Data, Solution};
use super::{Bias, KineticsError, line};
use serde::{Deserialize, Serialize};

const MODEL: &str = "curve-library";
/// More curves than any published library holds.
const CURVES_MAX: usize = 500;

/// One patient's curve as fraction·2^(−t/half-life), effective, in any unit of activity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryTerm {
    pub fraction: f64,
    pub effective_half_life_h: f64,
}

/// Curves of a population for one organ and radiopharmaceutical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveLibrary {
    /// Whose curves these are, measured how.
    pub source: String,
    pub curves: Vec<Vec<LibraryTerm>>,
}

impl LibraryTerm {
    fn rate(&self) -> f64 {
        std::f64::consts::LN_2 / self.effective_half_life_h
    }
}

/// (value at `hours`, integral) of one curve.
fn value_and_integral(curve: &[LibraryTerm], hours: f64) -> (f64, f64) {
    let value = curve.iter().map(|c| c.fraction * (-c.rate() * hours).exp()).sum();
    (value, curve.iter().map(|c| c.fraction / c.rate()).sum())
}

/// Ã = A(t) · mean of ∫c/c(t) over the library's curves c.
pub(super) fn from_library(data: &Data, library: &CurveLibrary) -> Result<Solution, KineticsError> {
    let Some(hours) = line::single(data) else {
        return Err(KineticsError::OnePointOnly { found: data.len() });
    };
    check(library, data)?;
    let activity = data.ln_activity[0].exp();
    let count = library.curves.len() as f64;
    let mut per_activity = Vec::new();
    let mut terms = Vec::new();
    for (index, curve) in library.curves.iter().enumerate() {
        let (value, integral) = value_and_integral(curve, hours);
        if !(value.is_finite() && value > 0.0 && integral.is_finite() && integral > 0.0) {
            return Err(KineticsError::Library { curve: index + 1, what: "it is not positive" });
        }
        per_activity.push(integral / value);
        let scale = activity / value / count;
        terms.extend(curve.iter().map(|c| (c.fraction * scale, c.rate())));
    }
    terms.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mean = per_activity.iter().sum::<f64>() / count;
    let squares: f64 = per_activity.iter().map(|r| (r / mean - 1.0).powi(2)).sum();
    let spread = (squares / (count - 1.0)).sqrt();
    let [low, high] = [f64::min as fn(f64, f64) -> f64, f64::max]
        .map(|pick| mean / per_activity.iter().copied().reduce(pick).unwrap_or(mean) - 1.0);
    line::finite(Solution {
        model: MODEL,
        terms,
        parameters: 1,
        uncertainty: Some(spread.hypot(data.sigma[0])),
        bias: Some(Bias {
            low: high,
            high: low,
            statement: format!(
                "a patient like one of the library's {count} curves is off by {:+.0} % to {:+.0} % \
                 ({})",
                high * 100.0,
                low * 100.0,
                library.source
            ),
        }),
        ..Solution::default()
    })
}

fn check(library: &CurveLibrary, data: &Data) -> Result<(), KineticsError> {
    if !(2..=CURVES_MAX).contains(&library.curves.len()) {
        return Err(KineticsError::Library {
            curve: library.curves.len(),
            what: "a library has 2 to 500 curves, for one curve has no spread",
        });
    }
    for (index, curve) in library.curves.iter().enumerate() {
        let bad = |what| Err(KineticsError::Library { curve: index + 1, what });
        if curve.iter().any(|c| !(c.fraction.is_finite() && c.rate().is_finite() && c.rate() > 0.0))
        {
            return bad("fractions must be numbers and half-lives positive");
        }
        if curve.iter().any(|c| c.rate() < data.physical_per_h * (1.0 - 1e-3)) {
            return bad("an effective half-life is longer than the physical one");
        }
    }
    Ok(())
}
