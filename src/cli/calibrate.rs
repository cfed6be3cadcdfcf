//! `grayd calibrate`: a camera's entry of the configuration from a scan of a filled phantom.

use super::{Failure, failed, print_all};
use crate::config::DeviceMatch;
use crate::config::camera::CameraSettings;
use crate::config::filled::FilledPhantom;
use crate::pipeline::calibration::{CameraCalibration, calibrate};
use crate::quantify::{DeadTimeModel, RecoveryCurve};
use crate::quantity::Millilitre;
use crate::report::plot::Line;
use crate::web::plot::{self, Axes};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;

/// Measure a camera: calibration factor, recovery curve, planar sensitivity, dead time.
///
/// Reads one SPECT or PET series and the regions drawn on it or on its CT (RTSTRUCT or SEG), or a planar scan
/// of a source in air, and what phantom or source held, and writes the entry for `cameras:` of the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Example of the phantom's file:\n  \
    nuclide: Lu-177\n  at: 2026-01-12T09:00:00+01:00     # when the concentrations hold\n  \
    uniform: { region: Cylinder, mbq_per_ml: 0.1, relative_uncertainty: 0.03 }\n  \
    spheres:\n    regions: [Sphere 10, Sphere 13, Sphere 17, Sphere 22]\n    \
    mbq_per_ml: 1.2\n    relative_uncertainty: 0.03\n  \
    planar: { activity_mbq: 185, relative_uncertainty: 0.03 }  # a source in air, one planar scan\n  \
    dead_time:                          # rates of the whole spectrum; without scans write `match: { ... }` too\n    \
    counted_s: 60\n    rates: [{ activity_mbq: 200, cps: 9900 }, { activity_mbq: 2000, cps: 90000 }, ...]\n\n\
    Try it:\n  grayd phantom --body nema --output phantom\n  \
    grayd calibrate --input phantom --phantom phantom/phantom.yaml --output camera.yaml")]
pub struct Calibrate {
    /// Folder of the scan, its CT and its regions; a `dead_time` alone needs none
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    /// What the phantom was filled with
    #[arg(long, value_name = "FILE")]
    phantom: PathBuf,
    /// File that the camera's entry is written to; without it the entry alone goes to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File for a plot (SVG) of the recovery curve through its spheres
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// For the time zone of scans that state none
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Calibrate {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.as_deref().map(super::node_config).transpose()?;
        let zone = config.unwrap_or_default().site.zone();
        let phantom = FilledPhantom::open(&self.phantom).map_err(Failure::Faults)?;
        let paths = match (&self.input, phantom.wants_images()) {
            (Some(folder), _) => super::compute::dicom_files(folder)?,
            (None, false) => Vec::new(),
            (None, true) => {
                let text = "the phantom's file wants a scan; give its folder with --input";
                return Err(Failure::Usage(text.into()));
            }
        };
        let found = calibrate(&paths, &phantom, &zone).map_err(|error| failed(&error))?;
        if let Some(path) = &self.plot {
            let plot = recovery_plot(&found).ok_or_else(|| {
                Failure::Usage(
                    "--plot draws a recovery curve; the phantom's file has no spheres".into(),
                )
            })?;
            std::fs::write(path, plot)
                .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        }
        let (table, entry) = (table(&found), entry(&found.camera));
        let Some(path) = &self.output else {
            // So that what is redirected to a file is the entry.
            eprint!("{table}");
            return print_all(&entry);
        };
        print_all(&table)?;
        std::fs::write(path, &entry)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        print_all(&path.display().to_string())
    }
}

/// Points that the drawn curve runs through.
const CURVE_POINTS: u32 = 200;

/// The curve and the measured spheres; none without spheres.
fn recovery_plot(found: &CameraCalibration) -> Option<String> {
    let curve = found.camera.recovery_curve()?;
    let largest = found.spheres.iter().map(|s| s.measured.volume.value()).fold(0.0, f64::max);
    let along = |n: u32| {
        let ml = 1.2 * largest * f64::from(n) / f64::from(CURVE_POINTS);
        (ml, curve.coefficient(Millilitre::new(ml)))
    };
    let points = found.spheres.iter().map(|sphere| {
        let measured = &sphere.measured;
        (measured.volume.value(), measured.coefficient, Some(measured.relative_uncertainty))
    });
    let line = Line {
        name: format!("{} {}", found.camera.nuclide, curve_name(&curve)),
        points: points.collect(),
        curve: (1..=CURVE_POINTS).map(along).collect(),
    };
    let axes = Axes {
        title: "Recovery coefficient by volume",
        x: "Volume, ml",
        y: "Recovery coefficient",
        y_logarithmic: false,
    };
    plot::file(&axes, &[line])
}

fn curve_name(curve: &RecoveryCurve) -> String {
    format!("{:.2} ml, {:.2}", curve.beta.value(), curve.gamma)
}

/// What was found, for a person.
fn table(found: &CameraCalibration) -> String {
    let mut text = String::new();
    let percent = |u: Option<f64>| u.map_or("unknown".into(), |u| format!("{:.1} %", 100.0 * u));
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{args}");
    };
    let camera = &found.camera;
    if let Some(factor) = camera.calibration_cps_per_mbq {
        let u = percent(camera.relative_uncertainty);
        line(format_args!("calibration      {factor:.4} cps/MBq, uncertainty {u} (k = 1)"));
    }
    if let Some(scale) = found.scale_found {
        line(format_args!("Bq/ml of the image over the true ones: {scale:.4}"));
    }
    if !found.spheres.is_empty() {
        line(format_args!("sphere               ml   drawn ml   measured RC   fitted RC"));
    }
    for sphere in &found.spheres {
        line(format_args!(
            "{:16} {:>6.2} {:>10.2} {:>13.3} {:>11.3}",
            sphere.name,
            sphere.measured.volume.value(),
            sphere.drawn.value(),
            sphere.measured.coefficient,
            sphere.fitted
        ));
    }
    if let (Some(curve), Some(chi)) = (&camera.recovery, found.reduced_chi_square) {
        line(format_args!(
            "recovery         beta {:.3} ml, gamma {:.3}, uncertainty {} (k = 1), reduced chi-square {chi:.2}",
            curve.beta_ml,
            curve.gamma,
            percent(curve.relative_uncertainty)
        ));
    }
    if let (Some(planar), Some([anterior, posterior])) = (&camera.planar, found.detectors) {
        let u = percent(planar.relative_uncertainty);
        line(format_args!(
            "planar           {:.4} cps/MBq, uncertainty {u} (k = 1): anterior {anterior:.4}, posterior \
             {posterior:.4}",
            planar.cps_per_mbq
        ));
    }
    for fit in &found.dead_times {
        let model = name(fit.dead_time.model);
        line(format_args!(
            "dead time        {model}: {:.4} \u{b5}s, uncertainty {:.1} % (k = 1), {:.4} cps/MBq, reduced \
             chi-square {:.2}",
            fit.dead_time.tau.value() * 1e6,
            100.0 * fit.relative_uncertainty,
            fit.per_becquerel * 1e6,
            fit.reduced_chi_square
        ));
    }
    if let Some(resolution) = &camera.resolution {
        let u = percent(resolution.relative_uncertainty);
        line(format_args!(
            "resolution       {:.2} mm FWHM, uncertainty {u} (k = 1)",
            resolution.fwhm_mm
        ));
    }
    for warning in &found.warnings {
        line(format_args!("warning: {}", warning.text));
    }
    text
}

/// As the configuration has it.
fn name(model: DeadTimeModel) -> &'static str {
    match model {
        DeadTimeModel::NonParalysable => "non-paralysable",
        DeadTimeModel::Paralysable => "paralysable",
    }
}

/// The entry as the configuration takes it.
fn entry(camera: &CameraSettings) -> String {
    let mut text = String::from("cameras:\n");
    let stated = |u: Option<f64>| {
        u.map_or(String::new(), |u| format!(", relative_uncertainty: {}", number(u)))
    };
    let mut line = |indent: &str, key: &str, value: String| {
        let _ = writeln!(text, "{indent}{key}: {value}");
    };
    line("  - ", "match", device(&camera.device));
    line("    ", "nuclide", camera.nuclide.clone());
    if let Some(factor) = camera.calibration_cps_per_mbq {
        line("    ", "calibration_cps_per_mbq", number(factor));
    }
    if let Some(u) = camera.relative_uncertainty {
        line("    ", "relative_uncertainty", number(u));
    }
    if let Some(date) = camera.calibrated_on {
        line("    ", "calibrated_on", date.to_string());
    }
    if let Some(dead) = &camera.dead_time {
        let model = name(dead.model);
        let value = format!("{{ model: {model}, tau_us: {} }}", number(dead.tau_us));
        line("    ", "dead_time", value);
    }
    if let Some(planar) = &camera.planar {
        let u = stated(planar.relative_uncertainty);
        line("    ", "planar", format!("{{ cps_per_mbq: {}{u} }}", number(planar.cps_per_mbq)));
    }
    if let Some(curve) = &camera.recovery {
        let u = stated(curve.relative_uncertainty);
        let value =
            format!("{{ beta_ml: {}, gamma: {}{u} }}", number(curve.beta_ml), number(curve.gamma));
        line("    ", "recovery", value);
    }
    if let Some(resolution) = &camera.resolution {
        let u = stated(resolution.relative_uncertainty);
        line("    ", "resolution", format!("{{ fwhm_mm: {}{u} }}", number(resolution.fwhm_mm)));
    }
    text
}

/// Six digits that count, wherever the point stands.
fn number(value: f64) -> String {
    let rounded = format!("{value:.5e}").parse::<f64>().unwrap_or(value);
    rounded.to_string()
}

/// Quoted as JSON, which is YAML: names of devices hold anything.
fn device(device: &DeviceMatch) -> String {
    let named = [
        ("station_name", &device.station_name),
        ("manufacturer", &device.manufacturer),
        ("model", &device.model),
        ("collimator", &device.collimator),
    ];
    let pair = |(key, value): (&str, &Option<String>)| {
        value.as_ref().map(|value| format!("{key}: {}", serde_json::Value::from(value.as_str())))
    };
    let pairs: Vec<String> = named.into_iter().filter_map(pair).collect();
    format!("{{ {} }}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits_whatever_their_size() {
        let cases = [
            (9.299_999_999, "9.3"),
            (123_456.789, "123457"),
            (0.000_012_345_678, "0.0000123457"),
            (1.234_567_8, "1.23457"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
