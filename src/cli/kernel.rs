//! `grayd kernel --nuclide N --voxel-mm X[,Y,Z] [--size N] [--json]`: voxel S values in water.

use super::{Failure, print_all};
use clap::Args;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::dicom::visible;
use crate::dose::kernel::{KernelError, SValue, s_values};
use crate::quantity::nuclide::{Nuclide, NuclideError};

/// Voxels along each axis of the octant that is printed, centre included, unless asked otherwise.
pub const DEFAULT_SIZE: usize = 6;

/// Voxel S values in water, mGy/(MBq s): centre voxel and its neighbours.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  grayd kernel --nuclide Lu-177 --voxel-mm 4.42\n  \
    grayd kernel --nuclide Y-90 --voxel-mm 4,4,3 --size 4 --json")]
pub struct KernelCommand {
    /// `Lu-177`, `90Y` ...
    #[arg(long)]
    nuclide: String,
    /// Edge of a cubic voxel, or edges along x,y,z, mm
    #[arg(long, value_name = "X[,Y,Z]", allow_hyphen_values = true)]
    voxel_mm: String,
    /// Voxels along each axis of the octant that is printed, centre included
    #[arg(long, default_value_t = DEFAULT_SIZE)]
    size: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl KernelCommand {
    pub fn run(self) -> Result<(), Failure> {
        let text = run(&self.nuclide, &self.voxel_mm, self.size, self.json)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        print_all(text.trim_end())
    }
}

/// Why voxel S values cannot be printed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelCommandError {
    #[error("`{text}`: {source}")]
    Nuclide { text: String, source: NuclideError },
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("`{0}` is no voxel size; write one side or three in mm, like 4.42 or 4,4,3")]
    VoxelSize(String),
}

/// Reads `4.42` or `4,4,3` (mm along i, j, k).
///
/// # Errors
/// [`KernelCommandError::VoxelSize`] for anything else.
pub fn parse_voxel_mm(text: &str) -> Result<[f64; 3], KernelCommandError> {
    let wrong = || KernelCommandError::VoxelSize(text.to_owned());
    let sides: Result<Vec<f64>, _> = text.split(',').map(|s| s.trim().parse::<f64>()).collect();
    match sides.map_err(|_| wrong())?.as_slice() {
        [side] => Ok([*side; 3]),
        [i, j, k] => Ok([*i, *j, *k]),
        _ => Err(wrong()),
    }
}

/// What `grayd kernel` prints: the first octant of voxel S values, centre first.
///
/// # Errors
/// [`KernelCommandError`]: an unknown nuclide, an impossible voxel or size.
pub fn run(
    nuclide: &str,
    voxel_mm: &str,
    size: usize,
    as_json: bool,
) -> Result<String, KernelCommandError> {
    let nuclide = Nuclide::parse(nuclide).map_err(|source| KernelCommandError::Nuclide {
        text: visible(nuclide).into_owned(),
        source,
    })?;
    let side_mm = parse_voxel_mm(voxel_mm)?;
    let values = s_values(&nuclide, side_mm, size)?;
    Ok(if as_json {
        json_text(&nuclide, side_mm, &values)
    } else {
        text(&nuclide, side_mm, &values)
    })
}

fn json_text(nuclide: &Nuclide, side_mm: [f64; 3], values: &[SValue]) -> String {
    let values: Vec<Value> = values
        .iter()
        .map(|s| {
            json!({
                "i": s.i, "j": s.j, "k": s.k,
                "s": s.mgy_per_mbq_s,
                "relative_uncertainty": s.relative_uncertainty,
            })
        })
        .collect();
    let whole = json!({
        "nuclide": nuclide.to_string(),
        "voxel_mm": side_mm,
        "unit": "mGy/(MBq s)",
        "values": values,
    });
    format!("{whole:#}\n")
}

fn text(nuclide: &Nuclide, side_mm: [f64; 3], values: &[SValue]) -> String {
    let [x, y, z] = side_mm;
    let mut out = format!("{nuclide}, voxels of {x} x {y} x {z} mm, water 1 g/ml; mGy/(MBq s)\n");
    let _ = writeln!(out, "  i  j  k  S            uncertainty (k = 1)");
    for s in values {
        let percent = 100.0 * s.relative_uncertainty;
        let _ =
            writeln!(out, "{:3}{:3}{:3}  {:.5e}  {percent:.2} %", s.i, s.j, s.k, s.mgy_per_mbq_s);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_promised_keys_centre_first() {
        let text = run("Y-90", "4,4,3", 2, true).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["nuclide"], "Y-90");
        assert_eq!(value["voxel_mm"], json!([4.0, 4.0, 3.0]));
        assert_eq!(value["unit"], "mGy/(MBq s)");
        let values = value["values"].as_array().unwrap();
        assert_eq!(values.len(), 8);
        let first = &values[0];
        assert_eq!((first["i"].as_u64(), first["k"].as_u64()), (Some(0), Some(0)));
        // The neighbour along the short side gets more.
        let s = |n: usize| values[n]["s"].as_f64().unwrap();
        assert!(s(0) > s(4) && s(4) > s(1), "{} {} {}", s(0), s(4), s(1));
        assert!((s(1) / s(2) - 1.0).abs() < 1e-3, "i and j are alike");
        assert!(values[0]["relative_uncertainty"].as_f64().unwrap() < 0.01);
    }

    #[test]
    fn wrong_input_says_what_to_write() {
        for (nuclide, voxel, size) in [
            ("Lu-177", "0", 3),
            ("Lu-177", "3,3", 3),
            ("Lu-177", "x", 3),
            ("Lu-177", "3", 0),
            ("Qq-1", "3", 3),
        ] {
            let message = run(nuclide, voxel, size, true).unwrap_err().to_string();
            assert!(!message.is_empty(), "{nuclide} {voxel}");
        }
        assert!(parse_voxel_mm("nan").is_ok_and(|s| s[0].is_nan()));
        assert!(run("Lu-177", "nan", 3, false).is_err());
    }
}
