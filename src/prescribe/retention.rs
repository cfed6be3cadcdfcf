//! Whole-body counts to residence time.
//!
//! Counts of the nuclide that will be given need no correction for decay: the residence time is an
//! effective one.

use super::PrescribeError;
use super::error::positive;
use crate::quantity::Seconds;

/// √(A P) of net counts.
///
/// # Errors
/// Net counts that are not positive: background above signal.
pub fn geometric_mean(anterior: f64, posterior: f64) -> Result<f64, PrescribeError> {
    let anterior = positive("net counts of the anterior view", anterior)?;
    let posterior = positive("net counts of the posterior view", posterior)?;
    Ok((anterior * posterior).sqrt())
}

/// τ of the line through 100 % at time 0 and the later fractions, least squares of ln f:
/// 1/τ = −Σ tᵢ ln fᵢ / Σ tᵢ². `later` are (time, fraction of the first count).
///
/// # Errors
/// No later point, a time that is not after the first, a fraction that is not positive, retention
/// that does not fall.
pub fn residence_time(later: &[(Seconds, f64)]) -> Result<Seconds, PrescribeError> {
    if later.is_empty() {
        return Err(PrescribeError::Missing {
            what: "a count after the first",
            supply: "give at least one later whole-body count",
        });
    }
    let (mut product, mut square) = (0.0, 0.0);
    for (time, fraction) in later {
        let t = positive("time after the first count (s)", time.value())?;
        product -= t * positive("a retained fraction", *fraction)?.ln();
        square += t * t;
    }
    let rate = positive("the rate of clearance (1/s)", product / square)?;
    Ok(Seconds::new(1.0 / rate))
}

/// As read off semi-logarithmic paper at 37 %: −ln(0.37) τ.
pub fn residence_time_37(tau: Seconds) -> Seconds {
    tau * -(0.37f64.ln())
}
