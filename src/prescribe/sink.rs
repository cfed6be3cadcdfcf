//! 177Lu-PSMA: tumours that shrink stop shielding the organs.

use super::PrescribeError;
use super::error::{fraction, not_negative};
use crate::quantity::GrayPerBecquerel;

/// The coefficient to expect of the next cycle: the last one, with `margin` on top where the
/// tumour volume fell by more than `threshold` (a fraction). Never lower than measured.
pub fn with_sink_margin(
    last: GrayPerBecquerel,
    volume_change: Option<f64>,
    threshold: f64,
    margin: f64,
) -> Result<GrayPerBecquerel, PrescribeError> {
    fraction("the threshold of shrinking", threshold)?;
    not_negative("the sink margin", margin)?;
    // A volume that nobody measured may have fallen.
    let shrunk = volume_change.is_none_or(|change| -change > threshold);
    Ok(if shrunk { last * (1.0 + margin) } else { last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shrinking_sink_raises_the_expected_organ_dose_and_nothing_lowers_it() {
        let last = GrayPerBecquerel::from_gy_per_gbq(0.8);
        let next = |change| with_sink_margin(last, change, 0.5, 0.2).unwrap().gy_per_gbq();
        assert!((next(Some(-0.6)) - 0.96).abs() < 1e-12);
        assert!((next(Some(-0.4)) - 0.8).abs() < 1e-12);
        assert!((next(Some(0.9)) - 0.8).abs() < 1e-12);
        assert!((next(None) - 0.96).abs() < 1e-12);
    }
}
