//! Emission spectra of `fixtures/spectra` (made by `scripts/monte_carlo_spectra.py`) and the small
//! phantoms that tests and benchmarks share.

use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::monte_carlo::{Continuum, Dose, EmissionSpectrum, Line, Phantom};
use grayd::quantity::GramPerMl;
use grayd::volume::{Grid, Volume};
use ndarray::Array3;

const LU177: &str = include_str!("../../fixtures/spectra/lu177.csv");
const Y90: &str = include_str!("../../fixtures/spectra/y90.csv");
const I131: &str = include_str!("../../fixtures/spectra/i131.csv");

/// Emissions of `Lu-177`, `Y-90` or `I-131`.
pub fn spectrum(nuclide: &str) -> EmissionSpectrum {
    let csv = match nuclide {
        "Lu-177" => LU177,
        "Y-90" => Y90,
        "I-131" => I131,
        other => panic!("no fixture for {other}"),
    };
    let mut spectrum = EmissionSpectrum::default();
    let mut beta = Continuum::default();
    for line in csv.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (energy_kev, amount): (f64, f64) =
            (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        let emission = Line { energy_kev, per_decay: amount };
        match fields[0] {
            "beta" => {
                beta.energy_kev.push(energy_kev);
                beta.density_per_kev.push(amount);
            }
            "electron" => spectrum.electrons.lines.push(emission),
            "photon" => spectrum.photons.lines.push(emission),
            "local" => spectrum.local_kev_per_decay += energy_kev * amount,
            other => panic!("unknown emission {other}"),
        }
    }
    spectrum.electrons.continua.push(beta);
    spectrum
}

/// A cube of `voxels`³ voxels of `spacing_mm`, centred on the origin.
pub fn cube(voxels: usize, spacing_mm: f64) -> Grid {
    let origin = -0.5 * spacing_mm * (voxels as f64 - 1.0);
    Grid::axial([voxels; 3], [spacing_mm; 3], [origin; 3]).unwrap()
}

/// Unit-density water everywhere.
pub fn water(grid: &Grid) -> Phantom {
    let water = MaterialLibrary::embedded().by_name("water").unwrap();
    Phantom::uniform(grid.clone(), water, GramPerMl::new(1.0)).unwrap()
}

/// `bq_s` in one voxel `[k, j, i]`.
pub fn point(grid: &Grid, [k, j, i]: [usize; 3], bq_s: f32) -> Volume<f32> {
    let mut values = Array3::zeros(grid.dim());
    values[[k, j, i]] = bq_s;
    Volume::new(grid.clone(), values)
}

/// Mean dose (Gy) over all voxels whose distance from `centre` is `class` in some order and sign,
/// and its standard error as if they were independent.
pub fn mean_of_class(dose: &Dose, centre: [usize; 3], mut class: [i32; 3]) -> (f64, f64) {
    class.sort_unstable();
    let reach = class[2];
    let (mut sum, mut squares, mut number) = (0.0, 0.0, 0.0);
    for k in -reach..=reach {
        for j in -reach..=reach {
            for i in -reach..=reach {
                let mut distance = [k.abs(), j.abs(), i.abs()];
                distance.sort_unstable();
                if distance != class {
                    continue;
                }
                let at = |c: usize, d: i32| (c as i32 + d) as usize;
                let at = [at(centre[0], k), at(centre[1], j), at(centre[2], i)];
                sum += f64::from(dose.gy.values()[at]);
                squares += f64::from(dose.standard_error_gy.values()[at]).powi(2);
                number += 1.0;
            }
        }
    }
    (sum / number, squares.sqrt() / number)
}
