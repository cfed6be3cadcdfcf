//! Sources beside filled phantoms: one in air before both detectors, and a strong one that decays.

use super::super::inputs::Inputs;
use super::super::planar::lines;
use super::super::{PipelineError, error::parked};
use super::{CameraCalibration, entry, matched};
use crate::config::camera::{DeadTimeSettings, PlanarSettings};
use crate::config::filled::FilledPhantom;
use crate::quantify::planar::{NetRate, RateParameters, net_rates, window_roles};
use crate::quantify::{CONSTANTS, DeadTime, DeadTimeModel, ObservedRate};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, PerSecond, Warning};
use jiff::tz::TimeZone;

/// Sensitivity of planar views, cps/MBq in air (MIRD pamphlet 16): net rate of a whole view over the
/// activity at its beginning; the mean of both detectors.
pub fn planar(
    inputs: &Inputs,
    phantom: &FilledPhantom,
    nuclide: &Nuclide,
    zone: &TimeZone,
    found: &mut Option<CameraCalibration>,
) -> Result<(), PipelineError> {
    let Some(source) = &phantom.planar else { return Ok(()) };
    let [scan] = &inputs.planar[..] else {
        return Err(PipelineError::Parked(format!(
            "{} planar series were given; give the folder of one scan of the source",
            inputs.planar.len()
        )));
    };
    let half_life = nuclide.decay()?.half_life;
    let roles = window_roles(&scan.image.windows, &lines(nuclide)?)?;
    let parameters = RateParameters { half_life, dead_time: None, field_of_view_mm: None };
    let rates = net_rates(&scan.image, &roles, &parameters)?;
    let elapsed = scan.acquired.duration_since(phantom.at).as_secs_f64();
    let left = (-half_life.half_life_to_rate().value() * elapsed).exp();
    let of =
        |rate: &NetRate| (rate.cps.sum() - source.background_cps) / (source.activity_mbq * left);
    let detectors = [of(&rates[0]), of(&rates[1])];
    if !detectors.iter().all(|cps| cps.is_finite() && *cps > 0.0) {
        return Err(parked("planar source", "no counts are left over the background"));
    }
    let noise = |rate: &NetRate| rate.variance.sum() / rate.cps.sum().powi(2);
    let counting = (noise(&rates[0]) + noise(&rates[1])).sqrt() / 2.0;
    let date = scan.acquired.to_zoned_datetime(zone.clone()).date();
    let new = || CameraCalibration::of(entry(matched(&scan.device), nuclide, date));
    let found = found.get_or_insert_with(new);
    let apart = detectors[0] / detectors[1] - 1.0;
    if apart.abs() > CONSTANTS.detectors_apart_warn.value {
        let text = format!(
            "the anterior detector counts {:+.1} % of the posterior one's; one number stands for both",
            100.0 * apart
        );
        found.warnings.push(Warning::new("detectors-differ", text));
    }
    found.warnings.extend(scan.image.warnings.iter().cloned());
    found.detectors = Some(detectors);
    found.camera.planar = Some(PlanarSettings {
        cps_per_mbq: (detectors[0] + detectors[1]) / 2.0,
        relative_uncertainty: Some(source.relative_uncertainty.hypot(counting)),
        field_of_view_mm: None,
        resolution_mm: None,
        broad_beam_ratio: None,
    });
    Ok(())
}

/// Dead time by both models; the entry takes the one that is closer to the rates.
pub fn dead_time(
    phantom: &FilledPhantom,
    found: &mut CameraCalibration,
) -> Result<(), PipelineError> {
    let Some(series) = &phantom.dead_time else { return Ok(()) };
    let rates: Vec<ObservedRate> = series
        .rates
        .iter()
        .map(|rate| ObservedRate {
            activity: Becquerel::from_mbq(rate.activity_mbq),
            rate: PerSecond::new(rate.cps),
            relative_uncertainty: (rate.cps * series.counted_s).sqrt().recip(),
        })
        .collect();
    let mut fits = [DeadTimeModel::NonParalysable, DeadTimeModel::Paralysable]
        .map(|model| DeadTime::fit(model, &rates))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    fits.sort_by(|a, b| a.reduced_chi_square.total_cmp(&b.reduced_chi_square));
    let best = fits[0].dead_time;
    found.camera.dead_time =
        Some(DeadTimeSettings { model: best.model, tau_us: best.tau.value() * 1e6 });
    found.dead_times = fits;
    Ok(())
}
