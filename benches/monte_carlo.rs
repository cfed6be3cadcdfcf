//! Decays per second and core of the Monte Carlo engine, against EGSnrc on the same machine class.
//!
//! `cargo bench --bench monte_carlo` (one thread, so that wall time is CPU time of one core).

#[path = "../tests/monte_carlo/spectra.rs"]
mod spectra;

use grayd::dose::monte_carlo::{Accuracy, Control, Settings, Source, run};
use spectra::{cube, point, spectrum, water};
use std::time::Instant;

/// EGSnrc, decays per CPU second and core: one 3 mm source voxel in water, ECUT 10 keV, PCUT 1 keV.
const EGSNRC: [(&str, f64); 3] = [("Lu-177", 64_000.0), ("I-131", 25_000.0), ("Y-90", 14_000.0)];
/// 20 cm of water around the source.
const VOXELS: usize = 67;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| {
        let grid = cube(VOXELS, 3.0);
        let phantom = water(&grid);
        let middle = VOXELS / 2;
        let tia = point(&grid, [middle; 3], 1e6);
        println!(
            "{:8} {:10} {:>12} {:>12} {:>8}  S(000) S(100) S(110) S(111) S(200) mGy/(MBq s)",
            "nuclide", "accuracy", "decays", "decays/s", "x EGSnrc"
        );
        for accuracy in [Accuracy::Standard, Accuracy::Reference] {
            for (nuclide, egsnrc) in EGSNRC {
                let spectrum = spectrum(nuclide);
                let source = Source { tia_bq_s: &tia, spectrum: &spectrum };
                let decays = if accuracy == Accuracy::Standard { 6_400_000 } else { 1_280_000 };
                let settings = Settings {
                    accuracy,
                    target_relative_error: None,
                    max_histories: decays,
                    ..Settings::default()
                };
                let start = Instant::now();
                let dose = run(&phantom, &source, &settings, &[], &|_| Control::Continue)
                    .expect("a valid run");
                let rate = dose.histories as f64 / start.elapsed().as_secs_f64();
                print!(
                    "{nuclide:8} {:10} {:12} {rate:12.0} {:8.1}  ",
                    format!("{accuracy:?}"),
                    dose.histories,
                    rate / egsnrc
                );
                for [a, b, c] in [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]] {
                    let at = [middle + c, middle + b, middle + a];
                    let (gy, error) = (dose.gy.values()[at], dose.standard_error_gy.values()[at]);
                    print!("{:.4e}({:.1}%) ", 1e3 * gy, 100.0 * error / gy);
                }
                println!();
            }
        }
    });
}
