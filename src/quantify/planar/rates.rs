//! Counts of the windows to net rates at the beginning of the scan.

use super::image::{EnergyWindow, Exposure, PlanarFrame, PlanarImage, View};
use super::scatter::{WindowCounts, triple_energy_window};
use crate::quantify::{CONSTANTS, DeadTime, QuantifyError};
use crate::quantity::{KiloElectronvolt, PerSecond, Seconds};
use ndarray::Array2;

/// Net rate of each pixel of one view at the beginning of the scan, and its variance.
#[derive(Debug, Clone, PartialEq)]
pub struct NetRate {
    pub cps: Array2<f64>,
    pub variance: Array2<f64>,
}

/// Which windows are what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowRoles {
    pub peak: usize,
    pub below: Option<usize>,
    pub above: Option<usize>,
    /// Holds the whole spectrum, or much of it.
    pub wide: Option<usize>,
    /// Mean energy of the lines in the peak.
    pub photopeak: KiloElectronvolt,
}

impl WindowRoles {
    /// Do the windows tell the scatter under the peak? It goes on into the window below, since scattered
    /// photons have lost energy: without that one nothing is subtracted. The one above may be missing.
    pub fn tell_scatter(&self) -> bool {
        self.below.is_some()
    }
}

/// Finds the window about the most intense line, and those beside it. `lines`: energies with
/// emissions per decay.
///
/// # Errors
/// [`QuantifyError::NoPhotopeak`] where no window holds a line in its middle.
pub fn window_roles(
    windows: &[EnergyWindow],
    lines: &[(KiloElectronvolt, f64)],
) -> Result<WindowRoles, QuantifyError> {
    let least = CONSTANTS.photopeak_least_intensity.value;
    let strong: Vec<(f64, f64)> =
        lines.iter().filter(|l| l.1 >= least).map(|l| (l.0.value(), l.1)).collect();
    // In the middle of a range: a line at the edge of a scatter window is no photopeak of it.
    let central = |window: &EnergyWindow, kev: f64| {
        window.ranges.iter().any(|[low, high]| {
            let margin = CONSTANTS.photopeak_margin.value * (*high - *low).value();
            low.value() + margin <= kev && kev <= high.value() - margin
        })
    };
    let narrowest = windows.iter().map(|w| w.width().value()).fold(f64::INFINITY, f64::min);
    let widest = CONSTANTS.peak_width_most.value * narrowest;
    let intensity = |window: &EnergyWindow| -> f64 {
        strong.iter().filter(|l| central(window, l.0)).map(|l| l.1).sum()
    };
    let peak = (0..windows.len())
        .filter(|&n| intensity(&windows[n]) > 0.0)
        // The whole spectrum holds every line and is no peak.
        .filter(|&n| windows.len() == 1 || windows[n].width().value() < widest)
        .max_by(|&a, &b| intensity(&windows[a]).total_cmp(&intensity(&windows[b])))
        .ok_or_else(|| QuantifyError::NoPhotopeak {
            lines: strong.iter().map(|l| format!("{:.1} keV", l.0)).collect::<Vec<_>>().join(", "),
        })?;
    let [low, high] = windows[peak].ends();
    let tolerance = CONSTANTS.scatter_window_gap.value * (high - low);
    let widest = CONSTANTS.scatter_window_width.value * (high - low);
    let beside = |edge: usize, at: f64| {
        let other = (0..windows.len()).filter(|&n| n != peak);
        let near = |n: &usize| (windows[*n].ends()[edge] - at).abs() <= tolerance;
        let narrow = |n: &usize| windows[*n].width().value() <= widest;
        other.filter(near).filter(narrow).min_by(|&a, &b| {
            let off = |n: usize| (windows[n].ends()[edge] - at).abs();
            off(a).total_cmp(&off(b))
        })
    };
    let spectrum = CONSTANTS.spectrum_window_width.value * (high - low);
    let wide = (0..windows.len()).filter(|&n| {
        let [from, to] = windows[n].ends();
        from <= low && high <= to && windows[n].width().value() >= spectrum
    });
    let weigh = |f: &dyn Fn(&(f64, f64)) -> f64| -> f64 {
        strong.iter().filter(|l| windows[peak].holds(l.0)).map(f).sum()
    };
    Ok(WindowRoles {
        peak,
        below: beside(1, low),
        above: beside(0, high),
        wide: wide
            .max_by(|&a, &b| windows[a].width().value().total_cmp(&windows[b].width().value())),
        photopeak: KiloElectronvolt::new(weigh(&|l| l.0 * l.1) / weigh(&|l| l.1)),
    })
}

/// What the images cannot know of themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateParameters {
    pub half_life: Seconds,
    pub dead_time: Option<DeadTime>,
    /// Length of the detector along the scan, mm, where the site states it.
    pub field_of_view_mm: Option<f64>,
}

/// Net rates of both views.
///
/// # Errors
/// A view that is missing, a dwell or a dead time that cannot be computed.
pub fn net_rates(
    image: &PlanarImage,
    roles: &WindowRoles,
    parameters: &RateParameters,
) -> Result<[NetRate; 2], QuantifyError> {
    let [anterior, posterior] = View::BOTH.map(|view| net_rate(image, roles, parameters, view));
    Ok([anterior?, posterior?])
}

fn net_rate(
    image: &PlanarImage,
    roles: &WindowRoles,
    parameters: &RateParameters,
    view: View,
) -> Result<NetRate, QuantifyError> {
    let of =
        |window: usize| image.frame(view, window).ok_or_else(|| QuantifyError::NoView(view.name()));
    let peak = of(roles.peak)?;
    let below = roles.below.map(of).transpose()?;
    let above = roles.above.filter(|_| roles.tell_scatter()).map(of).transpose()?;
    let dead = match parameters.dead_time.filter(|_| !image.dead_time_corrected) {
        Some(dead_time) => dead_time.factor(wide_rate(image, roles, view)?)?,
        None => 1.0,
    };
    let dwell = dwell(&image.exposure, parameters.field_of_view_mm)?;
    let width = |window: usize| image.windows[window].width();
    let at = |frame: &PlanarFrame, row: usize, column: usize| WindowCounts {
        counts: f64::from(frame.counts[[row, column]]),
        width: width(frame.window),
    };
    let factors: Vec<f64> = (0..image.raster.rows)
        .map(|row| dead * to_beginning(image, row, dwell, parameters.half_life) / dwell.value())
        .collect();
    let (mut cps, mut variance) =
        (Array2::zeros(peak.counts.dim()), Array2::zeros(peak.counts.dim()));
    for ((row, column), value) in cps.indexed_iter_mut() {
        let primary = triple_energy_window(
            at(peak, row, column),
            below.map(|frame| at(frame, row, column)),
            above.map(|frame| at(frame, row, column)),
        );
        *value = primary.counts * factors[row];
        variance[[row, column]] = primary.variance * factors[row].powi(2);
    }
    Ok(NetRate { cps, variance })
}

/// Rate of the whole spectrum, mean over the scan.
fn wide_rate(
    image: &PlanarImage,
    roles: &WindowRoles,
    view: View,
) -> Result<PerSecond, QuantifyError> {
    let duration = match image.exposure {
        Exposure::Static { duration } => Some(duration),
        Exposure::Scanning { duration, .. } => duration,
    };
    let frame = roles.wide.and_then(|window| image.frame(view, window));
    let (Some(frame), Some(duration)) = (frame, duration) else {
        return Err(QuantifyError::NoWideWindow);
    };
    let counts: f64 = frame.counts.iter().map(|&c| f64::from(c)).sum();
    Ok(PerSecond::new(counts / duration.value()))
}

/// How long each pixel was looked at. Of a moving detector: its length over its velocity, not the
/// duration of the scan.
pub(super) fn dwell(exposure: &Exposure, stated_mm: Option<f64>) -> Result<Seconds, QuantifyError> {
    let seconds = match *exposure {
        Exposure::Static { duration } => duration.value(),
        Exposure::Scanning { velocity, field_of_view_mm, .. } => {
            let length = stated_mm.or(field_of_view_mm).ok_or(QuantifyError::NoDwell)?;
            length / velocity
        }
    };
    if seconds.is_finite() && seconds > 0.0 {
        Ok(Seconds::new(seconds))
    } else {
        Err(QuantifyError::NoDwell)
    }
}

/// Rate at the beginning of the scan over the mean rate while the detector saw this row.
fn to_beginning(image: &PlanarImage, row: usize, dwell: Seconds, half_life: Seconds) -> f64 {
    let lambda = half_life.half_life_to_rate().value();
    let x = lambda * dwell.value();
    let over_dwell = if x > 0.0 { x / -(-x).exp_m1() } else { 1.0 };
    let Exposure::Scanning { velocity, first_row_first, .. } = image.exposure else {
        return over_dwell;
    };
    let rows = image.raster.rows as f64;
    let passed = match first_row_first {
        Some(true) => row as f64,
        Some(false) => rows - 1.0 - row as f64,
        // Not said: the middle, wrong by half the scan at most.
        None => (rows - 1.0) / 2.0,
    };
    over_dwell * (lambda * passed * image.raster.spacing_mm[1] / velocity).exp()
}
