//! Every image series as an activity map at the beginning of its acquisition.

use super::inputs::Inputs;
use super::{PipelineError, Request};
use crate::config::{CameraSettings, Cycle, UncalibratedUse};
use crate::dicom::read::{Device, Emission, Scan};
use crate::quantify::{
    self, ActivityMap, Administration, CONSTANTS, QuantifyParameters, RecoveryCurve, Resolution,
};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{PerSecond, Seconds};
use jiff::Timestamp;

/// One time point: the map, and when it was.
#[derive(Debug)]
pub struct TimePointImage {
    pub map: ActivityMap,
    pub after_administration: Seconds,
    /// Counts without a calibration: the map shows the shape of curves and no activity.
    pub is_relative: bool,
    /// Recovery curve of the camera, where the site states one. A shape needs none: the coefficient of a
    /// region is the same at all times.
    pub recovery: Option<RecoveryCurve>,
    /// Resolution of the camera's images, where the site states it.
    pub resolution: Option<Resolution>,
    /// Date of the calibration that the configuration states for the camera.
    pub calibrated_on: Option<jiff::civil::Date>,
    /// Date of its last quality control, of the plan or else of the configuration.
    pub checked_on: Option<jiff::civil::Date>,
}

/// Quantifies every emission series, in their order.
pub fn quantify(inputs: &Inputs, request: &Request) -> Result<Vec<TimePointImage>, PipelineError> {
    let cycle = request.plan.cycle(request.cycle).ok_or_else(|| {
        PipelineError::Parked(format!("the plan has no cycle {}; add it", request.cycle))
    })?;
    let given = &cycle.administered;
    let is_spect = |e: &&Emission| inputs.planar_point(&e.series).is_none();
    let spects = inputs.emissions.iter().filter(is_spect).count();
    let mut rates = cycle.wide_window_cps.iter();
    let mut images = Vec::new();
    for emission in &inputs.emissions {
        let what = format!("image series {}", emission.series);
        check_nuclide(&what, emission, request)?;
        // What the camera's views lack is made up for when they are unmixed.
        let planar = inputs.planar_point(&emission.series);
        let camera = camera(&request.cameras, &emission.device, request.nuclide())
            .filter(|_| planar.is_none());
        let dead_time = camera.and_then(CameraSettings::dead_time);
        if dead_time.is_some() && !emission.image.dead_time_corrected {
            check_rates(cycle, spects)?;
        }
        let parameters = QuantifyParameters {
            administered: Some(Administration { activity: given.activity, at: given.at }),
            calibration: camera.and_then(CameraSettings::calibration),
            decay_reference: camera.and_then(|camera| camera.decay_reference),
            relative_counts: planar.is_none()
                && request.plan.parameters.imaging.uncalibrated_spect == UncalibratedUse::Shape,
            dead_time,
            wide_window: match planar {
                Some(_) => None,
                None => rates.next().copied().map(PerSecond::new),
            },
            plausible_fraction: [
                match images.is_empty() {
                    true => CONSTANTS.plausible_part_least.value,
                    false => CONSTANTS.plausible_part_least_later.value,
                },
                CONSTANTS.plausible_part_most.value,
            ],
            ..QuantifyParameters::new(request.nuclide().decay()?.half_life)
        };
        let mut map = quantify::activity_map(&emission.image, &parameters)
            .map_err(|error| PipelineError::of_quantify(&what, error))?;
        if let Some(point) = planar {
            map.relative_uncertainty = point.calibration;
        }
        let after_administration = after(&what, map.at, given.at, request.cycle)?;
        let is_relative = quantify::is_relative(&emission.image, &parameters);
        let recovery = camera.filter(|_| !is_relative).and_then(CameraSettings::recovery_curve);
        images.push(TimePointImage {
            map,
            after_administration,
            is_relative,
            recovery,
            resolution: camera.and_then(CameraSettings::resolution),
            calibrated_on: camera.and_then(|camera| camera.calibrated_on),
            checked_on: cycle.camera_checked_on.or(camera.and_then(|camera| camera.checked_on)),
        });
    }
    check_distinct_times(&images, &inputs.emissions)?;
    check_alike(&images, &inputs.emissions)?;
    Ok(images)
}

/// # Errors
/// A scan that names another nuclide than the plan.
pub fn check_nuclide<I>(
    what: &str,
    scan: &Scan<I>,
    request: &Request,
) -> Result<(), PipelineError> {
    // A text that names no nuclide (a local code) says nothing against the plan.
    let code = scan.radiopharmaceutical.nuclide.as_ref();
    match code.map(|code| Nuclide::parse(&code.meaning)) {
        Some(Ok(named)) if named != *request.nuclide() => Err(PipelineError::Parked(format!(
            "{what} says it shows {named}, the plan says {}; correct the plan or narrow its `match`",
            request.nuclide()
        ))),
        _ => Ok(()),
    }
}

/// # Errors
/// A scan that was acquired before the administration.
pub fn after(
    what: &str,
    acquired: Timestamp,
    administered: Timestamp,
    cycle: u32,
) -> Result<Seconds, PipelineError> {
    let seconds = (acquired.as_millisecond() - administered.as_millisecond()) as f64 / 1000.0;
    if seconds <= 0.0 {
        return Err(PipelineError::Parked(format!(
            "{what} was acquired before the administration of cycle {cycle}; correct `administered: \
             at:` in the plan, or the scanner's clock"
        )));
    }
    Ok(Seconds::new(seconds))
}

/// Counts without a calibration say something of each other where one camera took them in one way.
fn check_alike(images: &[TimePointImage], emissions: &[Emission]) -> Result<(), PipelineError> {
    let mut relative =
        images.iter().zip(emissions).filter(|(image, _)| image.is_relative).map(|(_, e)| e);
    let Some(first) = relative.next() else { return Ok(()) };
    let way = |e: &Emission| {
        let how = &e.acquisition;
        (e.device.clone(), how.energy_windows_kev.clone(), how.reconstruction.clone())
    };
    let spacing = |e: &Emission| e.image.values.grid().spacing_mm();
    let same = |a: &Emission, b: &Emission| {
        let voxels = spacing(a).into_iter().zip(spacing(b));
        way(a) == way(b) && voxels.fold(true, |same, (a, b)| same && (a / b - 1.0).abs() < 1e-3)
    };
    match relative.find(|other| !same(first, other)) {
        None => Ok(()),
        Some(other) => Err(PipelineError::Parked(format!(
            "image series {} and {} hold counts without a calibration and were not taken alike (camera, \
             collimator, energy windows, reconstruction, voxels), so they are no shape of one curve; \
             reconstruct them alike, or add the calibration of their cameras to the configuration",
            first.series, other.series
        ))),
    }
}

/// Which rate is which image's, their order alone says: there must be as many. Where there is none,
/// quantification says what to state.
fn check_rates(cycle: &Cycle, spects: usize) -> Result<(), PipelineError> {
    let stated = cycle.wide_window_cps.len();
    if stated == 0 || stated == spects {
        return Ok(());
    }
    Err(PipelineError::Parked(format!(
        "`wide_window_cps` of cycle {} in the plan holds {stated} rates, and {spects} SPECT series were \
         found; state one rate a series, in the order of their acquisition",
        cycle.number
    )))
}

/// Two series of one moment (corrected and uncorrected, say) are two pictures of one time point.
fn check_distinct_times(
    images: &[TimePointImage],
    emissions: &[Emission],
) -> Result<(), PipelineError> {
    for (pair, series) in images.windows(2).zip(emissions.windows(2)) {
        if pair[0].after_administration == pair[1].after_administration {
            return Err(PipelineError::Parked(format!(
                "series {} and {} were acquired at the same time; say in the plan's `match` which one \
                 is to be used (SeriesDescription, for example)",
                series[0].series, series[1].series
            )));
        }
    }
    Ok(())
}

/// The first camera of the configuration that this device and nuclide match.
pub fn camera<'a>(
    cameras: &'a [CameraSettings],
    device: &Device,
    nuclide: &Nuclide,
) -> Option<&'a CameraSettings> {
    cameras.iter().find(|camera| {
        Nuclide::parse(&camera.nuclide).as_ref() == Ok(nuclide)
            && camera.device.matches(
                device.station_name.as_deref(),
                device.manufacturer.as_deref(),
                device.model.as_deref(),
                device.collimator.as_deref(),
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Becquerel;

    #[test]
    fn rates_that_are_not_as_many_as_the_cycle_s_images_are_refused() {
        let cycle = |rates: &[f64]| Cycle {
            number: 2,
            administered: crate::config::Administration {
                activity: Becquerel::from_mbq(7400.0),
                at: jiff::Timestamp::UNIX_EPOCH,
                details: crate::config::AdministrationDetails::default(),
            },
            wide_window_cps: rates.to_vec(),
            tracer: None,
            camera_checked_on: None,
        };
        assert!(check_rates(&cycle(&[9e4, 6e4]), 2).is_ok());
        assert!(check_rates(&cycle(&[]), 2).is_ok());
        for rates in [&[9e4][..], &[9e4, 6e4, 3e4]] {
            let error = check_rates(&cycle(rates), 2).unwrap_err().to_string();
            assert!(error.contains("cycle 2") && error.contains("2 SPECT series"), "{error}");
        }
    }
}
