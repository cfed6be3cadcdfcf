//! What is drawn of a result, for pages and for paper: curves, histograms, and the frame they lie in.

use serde_json::Value;

/// Points of a drawn curve.
const CURVE_POINTS: u32 = 120;
/// Decades that a logarithmic axis shows at most: below lies nothing that matters to an integral.
const DECADES_MAX: f64 = 5.0;

/// One region's line. Points are measured values with their relative standard uncertainty where it is
/// known, the curve is what was fitted or counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64, Option<f64>)>,
    pub curve: Vec<(f64, f64)>,
}

/// Measured activities (hours, MBq) and the fitted curves of a `results.json`, from the administration on.
pub fn activity_lines(results: &Value) -> Vec<Line> {
    let last = regions(results)
        .flat_map(|(region, _)| region["activity_mbq"].as_array().into_iter().flatten())
        .filter_map(|point| point["hours"].as_f64())
        .fold(0.0, f64::max);
    let line = |(region, name): (&Value, String)| {
        let points = region["activity_mbq"].as_array().into_iter().flatten();
        let terms: Vec<(f64, f64)> = region["fit"]["parameters"]["terms"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|t| Some((t["amplitude_mbq"].as_f64()?, t["rate_per_h"].as_f64()?)))
            .collect();
        let curve = (0..=CURVE_POINTS).filter(|_| !terms.is_empty()).map(|n| {
            let hours = 1.2 * last * f64::from(n) / f64::from(CURVE_POINTS);
            (hours, terms.iter().map(|(a, rate)| a * (-rate * hours).exp()).sum::<f64>())
        });
        let measured = |p: &Value| {
            Some((p["hours"].as_f64()?, p["value"].as_f64()?, p["relative_uncertainty"].as_f64()))
        };
        Line { name, points: points.filter_map(measured).collect(), curve: curve.collect() }
    };
    regions(results).map(line).collect()
}

/// Cumulative dose-volume histograms (Gy, %) of a `results.json`; without bins, through the reported
/// percentiles.
pub fn volume_lines(results: &Value) -> Vec<Line> {
    let line = |(region, name): (&Value, String)| {
        let dose = region["absorbed_dose_gy"].as_object()?;
        let marks = [
            ("min", 100.0),
            ("d98", 98.0),
            ("d95", 95.0),
            ("d90", 90.0),
            ("d50", 50.0),
            ("d2", 2.0),
        ];
        let percentiles =
            marks.into_iter().filter_map(|(key, share)| Some((dose.get(key)?.as_f64()?, share)));
        let hottest = dose.get("max").and_then(|d| d.as_f64()).map(|max| (max, 0.0));
        let mut curve = match binned(&region["dvh"]) {
            Some(bins) => bins.into_iter().chain(hottest).collect(),
            None => percentiles.chain(hottest).collect::<Vec<_>>(),
        };
        // A dose of an organ has no histogram.
        if curve.is_empty() {
            return None;
        }
        curve.insert(0, (0.0, 100.0));
        Some(Line { name, points: Vec::new(), curve })
    };
    regions(results).filter_map(line).collect()
}

fn regions(results: &Value) -> impl Iterator<Item = (&Value, String)> {
    let regions = results["regions"].as_array().into_iter().flatten();
    regions.map(|region| (region, region["name"].as_str().unwrap_or("?").to_owned()))
}

/// `dvh`: pairs of dose (Gy) and volume (ml) that receives at least that.
fn binned(dvh: &Value) -> Option<Vec<(f64, f64)>> {
    let pairs: Vec<(f64, f64)> = dvh
        .as_array()?
        .iter()
        .filter_map(|pair| Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?)))
        .collect();
    let whole = pairs.iter().map(|pair| pair.1).fold(0.0, f64::max);
    if whole <= 0.0 {
        return None;
    }
    // Of a run of bins with one volume, the ends draw the same line.
    let changes = |n: usize| {
        let volume = |n: usize| pairs.get(n).map(|pair| pair.1);
        n == 0 || volume(n) != volume(n - 1) || volume(n) != volume(n + 1)
    };
    let shown = pairs.iter().enumerate().filter(|(n, _)| changes(*n));
    Some(shown.map(|(_, (d, v))| (*d, 100.0 * v / whole)).collect())
}

/// The ranges of two axes; x begins at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    x_max: f64,
    /// Of the decimal logarithm where the axis is logarithmic.
    y: (f64, f64),
    logarithmic: bool,
}

impl Frame {
    /// Ranges that hold all lines; none where there is nothing to draw.
    pub fn of(y_logarithmic: bool, lines: &[Line]) -> Option<Self> {
        let all = || {
            lines.iter().flat_map(|line| {
                line.points.iter().map(|(x, y, _)| (*x, *y)).chain(line.curve.iter().copied())
            })
        };
        let drawn =
            |(x, y): &(f64, f64)| x.is_finite() && y.is_finite() && !(y_logarithmic && *y <= 0.0);
        let x_max = all().filter(drawn).map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let y_max = all().filter(drawn).map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        let y_min = all().filter(drawn).map(|p| p.1).fold(f64::INFINITY, f64::min);
        if !(x_max > 0.0 && y_max > 0.0) {
            return None;
        }
        let y = if y_logarithmic {
            let top = y_max.log10().ceil();
            let bottom = y_min.log10().floor().max(top - DECADES_MAX).min(top - 1.0);
            (bottom, top)
        } else {
            (0.0, nice_step(y_max) * (y_max / nice_step(y_max)).ceil())
        };
        let step = nice_step(x_max);
        Some(Self { x_max: step * (x_max / step).ceil(), y, logarithmic: y_logarithmic })
    }

    /// Place along the axis, 0 to 1.
    pub fn x(&self, value: f64) -> f64 {
        value / self.x_max
    }

    /// Place along the axis, 0 (below) to 1; what lies outside stands at the border.
    pub fn y(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(1e-300).log10() } else { value };
        (value.clamp(self.y.0, self.y.1) - self.y.0) / (self.y.1 - self.y.0)
    }

    pub fn x_ticks(&self) -> Vec<f64> {
        ticks(self.x_max)
    }

    pub fn y_ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = (self.y.1 - self.y.0).round() as i32;
            return (0..=decades).map(|n| 10f64.powf(self.y.0 + f64::from(n))).collect();
        }
        ticks(self.y.1)
    }
}

/// 1, 2 or 5 times a power of ten, so that some five steps reach `max`.
pub fn nice_step(max: f64) -> f64 {
    let raw = max / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(10.0 * power)
}

/// Round values from 0 to `max`.
pub fn ticks(max: f64) -> Vec<f64> {
    let step = nice_step(max);
    (0..=20).map(|n| f64::from(n) * step).take_while(|tick| *tick <= max * 1.000_001).collect()
}

/// A tick's text.
pub fn label(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (max, step) in [(1.0, 0.2), (7.3, 2.0), (168.0, 50.0), (24.9, 5.0), (0.004, 0.001)] {
            assert!((nice_step(max) - step).abs() < 1e-12, "{max}: {}", nice_step(max));
        }
    }

    #[test]
    fn runs_of_equal_volume_keep_their_ends() {
        let pairs = serde_json::json!([[0, 8.0], [1, 8.0], [2, 8.0], [3, 2.0]]);
        assert_eq!(binned(&pairs).unwrap(), [(0.0, 100.0), (2.0, 100.0), (3.0, 25.0)]);
        assert_eq!(binned(&serde_json::json!(null)), None);
    }
}
