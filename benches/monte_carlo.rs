//! Decays per CPU second and core of the Monte Carlo engine, against EGSnrc on a like machine.
//!
//! `cargo bench --bench monte_carlo [-- NUCLIDE ...]`: one thread; the CPU time is the kernel's.

#[path = "../tests/monte_carlo/spectra.rs"]
mod spectra;

use grayd::dose::monte_carlo::{Accuracy, Control, Dose, Settings, Source, run};
use spectra::{cube, mean_of_class, point, spectrum, water};

/// EGSnrc, decays per CPU second and core: one 3 mm source voxel in water, ECUT 10 keV, PCUT 1 keV.
const EGSNRC: [(&str, f64); 3] = [("Lu-177", 64_000.0), ("I-131", 25_000.0), ("Y-90", 14_000.0)];
/// 20 cm of water around the source.
const VOXELS: usize = 67;

/// CPU seconds of all threads of this process (Linux schedstat, ns).
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux keeps /proc");
    let of_task = |task: std::fs::DirEntry| -> f64 {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.flatten().map(of_task).sum::<f64>() * 1e-9
}

fn print_s_values(dose: &Dose, middle: usize) {
    for class in [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]] {
        let (gy, error) = mean_of_class(dose, [middle; 3], class);
        print!(" {:.4e} ({:.1} %)", 1e3 * gy, 100.0 * error / gy);
    }
    println!();
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let grid = cube(VOXELS, 3.0);
    let phantom = water(&grid);
    let middle = VOXELS / 2;
    let tia = point(&grid, [middle; 3], 1e6);
    println!("nuclide, mode: decays, decays per CPU second and core, times EGSnrc");
    println!("S(000) S(100) S(110) S(111) S(200) in mGy/(MBq s), 3 mm, with standard error");
    for accuracy in [Accuracy::Standard, Accuracy::Reference] {
        for (nuclide, egsnrc) in EGSNRC {
            if !wanted.is_empty() && !wanted.iter().any(|w| w == nuclide) {
                continue;
            }
            let spectrum = spectrum(nuclide);
            let source = Source { tia_bq_s: &tia, spectrum: &spectrum };
            let max_histories = if accuracy == Accuracy::Standard { 6_400_000 } else { 1_280_000 };
            let settings = Settings {
                accuracy,
                target_relative_error: None,
                max_histories,
                ..Settings::default()
            };
            let start = cpu_seconds();
            let dose =
                pool.install(|| run(&phantom, &source, &settings, &[], &|_| Control::Continue));
            let dose = dose.expect("a valid run");
            let rate = dose.histories as f64 / (cpu_seconds() - start);
            print!("{nuclide:7} {accuracy:?}: {} {rate:.0} {:.1}\n ", dose.histories, rate / egsnrc);
            print_s_values(&dose, middle);
        }
    }
}
