//! What each slice must be multiplied with to hold the activity at the beginning of the series.
//!
//! With x = λT, a frame's average A̅ over its duration T from `start` gives A(start) = A̅ x/(1−e⁻ˣ),
//! and A̅ is the activity at start + ln(x/(1−e⁻ˣ))/λ (PS3.3 C.8.9.4.1.5). A decay factor DF undone
//! gives that average without any knowledge of the reference time, so it goes first.

use super::error::QuantifyError;
use super::image::{DecayCorrection, DecayReference, EmissionImage, EmissionKind};
use super::{QuantifyParameters, SliceTiming};
use crate::quantity::Warning;
use jiff::Timestamp;

/// Two decay factors further apart than this contradict each other.
const FACTOR_TOLERANCE: f64 = 0.01;

/// A contradiction that changes activity by no more than this is warned of; above, it is refused
/// until the site states what its camera does.
const WARNED_CONTRADICTION: f64 = 0.05;

/// Below this half-life the decay during a scan of unknown duration cannot be neglected
/// (`clinical-protocols.md`: the factor is applied anyway below 10 h).
const SHORT_HALF_LIFE_S: f64 = 36_000.0;

/// Multipliers and the instant that they lead to.
pub struct DecayFactors {
    /// Beginning of the acquisition of the series.
    pub at: Timestamp,
    /// One a slice.
    pub factors: Vec<f64>,
    /// The instant that the image's own values refer to; `None` for uncorrected averages.
    pub reference: Option<Timestamp>,
    /// End of a sentence.
    pub how: String,
}

/// What the values refer to, as far as it could be found out.
enum Path {
    /// Averages over the scan time.
    Average,
    /// Averages times the decay factor of the slice.
    DecayFactor(Option<Timestamp>),
    /// Everything at this instant.
    Reference(Timestamp),
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// x/(1−e⁻ˣ) of decay during a scan of duration T: the activity at its beginning over its average.
fn average_to_start(slice: &SliceTiming, lambda: f64) -> f64 {
    let x = slice.duration.map_or(0.0, |t| lambda * t.value());
    if x > 0.0 { x / -(-x).exp_m1() } else { 1.0 }
}

pub fn factors(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    warnings: &mut Vec<Warning>,
) -> Result<DecayFactors, QuantifyError> {
    let lambda = parameters.half_life.half_life_to_rate().value();
    let at = image.slices.iter().map(|s| s.start).min().ok_or(QuantifyError::NotFinite)?;
    check_decay_factors(image)?;
    let path = choose(image, parameters, at, lambda, warnings)?;
    if !matches!(path, Path::Reference(_)) {
        check_durations(image, parameters, warnings)?;
    }
    let of_slice = |slice: &SliceTiming| {
        let average =
            || average_to_start(slice, lambda) * (lambda * seconds(at, slice.start)).exp();
        match path {
            Path::Average => average(),
            Path::DecayFactor(_) => average() / slice.decay_factor.unwrap_or(1.0),
            Path::Reference(reference) => (-lambda * seconds(reference, at)).exp(),
        }
    };
    let how = match path {
        Path::Average => "averages over the scan time brought to its beginning".to_owned(),
        Path::DecayFactor(_) => "each slice's decay factor undone, its average over the scan \
                                 time brought to the beginning of the series"
            .to_owned(),
        Path::Reference(t) => format!("decayed from {t} to the beginning of the series"),
    };
    let reference = match path {
        Path::Average => None,
        Path::DecayFactor(reference) => reference,
        Path::Reference(t) => Some(t),
    };
    let factors = image.slices.iter().map(of_slice).collect();
    Ok(DecayFactors { at, factors, reference, how })
}

fn check_decay_factors(image: &EmissionImage) -> Result<(), QuantifyError> {
    // Writers round to six figures: 0.999999 is 1.
    match image.slices.iter().filter_map(|s| s.decay_factor).find(|f| *f < 1.0 - 1e-5) {
        Some(factor) => Err(QuantifyError::DecayFactor(factor)),
        None => Ok(()),
    }
}

fn check_durations(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    warnings: &mut Vec<Warning>,
) -> Result<(), QuantifyError> {
    if image.slices.iter().all(|s| s.duration.is_some()) {
        return Ok(());
    }
    let half_life = parameters.half_life;
    if half_life.value() < SHORT_HALF_LIFE_S {
        return Err(QuantifyError::NoDurationForDecay { half_life_h: half_life.hours() });
    }
    warnings.push(Warning::new(
        "scan-time-unknown",
        "the object does not say how long the scan took; decay during the scan was not undone",
    ));
    Ok(())
}

fn choose(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    at: Timestamp,
    lambda: f64,
    warnings: &mut Vec<Warning>,
) -> Result<Path, QuantifyError> {
    let applied = image.slices.iter().any(|s| s.decay_factor.is_some_and(|f| f > 1.0 + 1e-5));
    match parameters.decay_reference {
        Some(DecayReference::NotCorrected) => return Ok(Path::Average),
        Some(DecayReference::AcquisitionStart) => return Ok(Path::Reference(at)),
        Some(DecayReference::Administration) => {
            return administration(image, parameters, warnings).map(Path::Reference);
        }
        None => {}
    }
    match image.decay_correction {
        DecayCorrection::None if image.decay_flag => {
            Err(QuantifyError::DecayStatements { other: "DECY of Corrected Image (0028,0051)" })
        }
        DecayCorrection::None if applied => {
            Err(QuantifyError::DecayStatements { other: "Decay Factor (0054,1321)" })
        }
        DecayCorrection::None => Ok(Path::Average),
        DecayCorrection::To(reference) => Ok(Path::Reference(reference)),
        DecayCorrection::Start => {
            let reference = acquisition_reference(image, at, warnings);
            by_factor_or_reference(image, applied, reference, lambda, warnings)
        }
        DecayCorrection::Administration => {
            let reference = administration(image, parameters, warnings);
            administration_path(image, applied, at, reference, lambda, warnings)
        }
        DecayCorrection::Unstated if image.decay_flag => {
            warnings.push(Warning::new(
                "decay-reference-assumed",
                "Corrected Image (0028,0051) says DECY without a reference time; the beginning of \
                 the acquisition was assumed, state the camera's decay reference if it is another",
            ));
            by_factor_or_reference(image, applied, at, lambda, warnings)
        }
        DecayCorrection::Unstated if applied => {
            Err(QuantifyError::DecayStatements { other: "Decay Factor (0054,1321)" })
        }
        DecayCorrection::Unstated => Ok(Path::Average),
    }
}

/// The instant of START: Series Date and Time, unless the series was saved anew after the scan.
fn acquisition_reference(
    image: &EmissionImage,
    at: Timestamp,
    warnings: &mut Vec<Warning>,
) -> Timestamp {
    match image.series_start {
        Some(start) if start <= at => start,
        other => {
            if other.is_some() {
                warnings.push(Warning::new(
                    "series-time-after-acquisition",
                    "Series Time lies after the acquisition: the series was saved anew; the \
                     earliest acquisition time was taken as the decay reference",
                ));
            }
            at
        }
    }
}

fn administration(
    image: &EmissionImage,
    parameters: &QuantifyParameters,
    warnings: &mut Vec<Warning>,
) -> Result<Timestamp, QuantifyError> {
    if let Some(start) = image.injection.start {
        return Ok(start);
    }
    if let Some(plan) = parameters.administered {
        return Ok(plan.at);
    }
    match (image.kind, image.injection.start_within_a_day) {
        (EmissionKind::Positron, Some(start)) => {
            warnings.push(Warning::new(
                "injection-date-inferred",
                "Radiopharmaceutical Start Time (0018,1072) has no date; the last such time \
                 before the scan was taken",
            ));
            Ok(start)
        }
        _ => Err(QuantifyError::NoAdministration),
    }
}

/// ADMIN. A decay factor of 1 beside it says that nothing was multiplied: believed where that
/// changes little, refused where much hangs on it.
fn administration_path(
    image: &EmissionImage,
    applied: bool,
    at: Timestamp,
    reference: Result<Timestamp, QuantifyError>,
    lambda: f64,
    warnings: &mut Vec<Warning>,
) -> Result<Path, QuantifyError> {
    let stated_one = image.slices.iter().all(|s| s.decay_factor.is_some());
    if applied || !stated_one {
        let reference = match reference {
            Ok(reference) => reference,
            // The factor alone leads to the average; only the cross-check needs the reference.
            Err(_) if stated_one => return consistent_factors(image, None, lambda, warnings),
            Err(error) => return Err(error),
        };
        return by_factor_or_reference(image, applied, reference, lambda, warnings);
    }
    let ratio = (lambda * seconds(reference?, at)).exp();
    if ratio - 1.0 > WARNED_CONTRADICTION {
        return Err(QuantifyError::DecayContradiction { ratio });
    }
    if ratio - 1.0 > FACTOR_TOLERANCE {
        warnings.push(Warning::new(
            "decay-factor-contradiction",
            format!(
                "Decay Correction (0054,1102) is ADMIN, yet Decay Factor (0054,1321) is 1: the \
                 values were taken as not corrected to the administration, which would have \
                 changed them by {:.1} %",
                (ratio - 1.0) * 100.0
            ),
        ));
    }
    Ok(Path::DecayFactor(None))
}

fn by_factor_or_reference(
    image: &EmissionImage,
    applied: bool,
    reference: Timestamp,
    lambda: f64,
    warnings: &mut Vec<Warning>,
) -> Result<Path, QuantifyError> {
    let complete = image.slices.iter().all(|s| s.decay_factor.is_some() && s.duration.is_some());
    if applied && complete {
        consistent_factors(image, Some(reference), lambda, warnings)
    } else {
        Ok(Path::Reference(reference))
    }
}

/// All slices of a series are corrected to ONE instant: the factors must agree on which, and
/// with the one that the object names.
fn consistent_factors(
    image: &EmissionImage,
    nominal: Option<Timestamp>,
    lambda: f64,
    warnings: &mut Vec<Warning>,
) -> Result<Path, QuantifyError> {
    let origin = image.slices[0].start;
    // λ × (implied reference − origin), one a slice: differences are logarithms of activity.
    let implied: Vec<f64> = image
        .slices
        .iter()
        .map(|s| {
            let average_at = lambda * seconds(origin, s.start) + average_to_start(s, lambda).ln();
            average_at - s.decay_factor.unwrap_or(1.0).ln()
        })
        .collect();
    let low = implied.iter().copied().fold(f64::INFINITY, f64::min);
    let high = implied.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let spread = (high - low).exp_m1();
    if spread > FACTOR_TOLERANCE {
        return Err(QuantifyError::DecaySpread { spread_percent: spread * 100.0 });
    }
    if let Some(nominal) = nominal {
        let off = ((low + high) / 2.0 - lambda * seconds(origin, nominal)).abs().exp_m1();
        if off > FACTOR_TOLERANCE {
            warnings.push(Warning::new(
                "decay-factor-disagrees",
                format!(
                    "Decay Factor (0054,1321) is {:.1} % from what half-life and reference time \
                     give; it was undone and the true half-life used",
                    off * 100.0
                ),
            ));
        }
    }
    Ok(Path::DecayFactor(nominal))
}
