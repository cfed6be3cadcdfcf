//! Decays per CPU second and core of the Monte Carlo engine, against EGSnrc on a like machine.
//!
//! `cargo bench --bench monte_carlo [-- NUCLIDE ... | patient | organs]`: one thread; the CPU time is the
//! kernel's. `patient` is 177Lu in a torso of 128³ voxels of 3 mm until every region knows its
//! mean dose to 1 %, on all cores. `organs` is the efficiency 1/(variance x CPU time) of organ means
//! in the ICRP 110 male.

// Fixtures shared with the tests.
#![allow(clippy::unwrap_used)]

#[path = "../tests/monte_carlo/icrp_male.rs"]
mod icrp_male;
#[path = "../tests/monte_carlo/spectra.rs"]
mod spectra;

use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::monte_carlo::{Accuracy, Control, Dose, Phantom, Settings, Source, run};
use grayd::volume::{Occupancy, Volume};
use ndarray::Array3;
use spectra::{cube, mean_of_class, point, spectrum, water};
use std::time::Instant;

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

/// An elliptic torso with lungs and spine; liver, spleen, kidneys and a tumour of 20 ml take up
/// activity at typical ratios over the remainder.
fn patient() {
    let grid = cube(128, 3.0);
    let library = MaterialLibrary::embedded();
    let inside = |p: [f64; 3], centre: [f64; 3], radii: [f64; 3]| {
        (0..3).map(|c| ((p[c] - centre[c]) / radii[c]).powi(2)).sum::<f64>() <= 1.0
    };
    // Centre and half axes in mm, uptake per ml against the remainder.
    let organs = [
        ([-70.0, -20.0, 0.0], [80.0, 70.0, 75.0], 8.0),
        ([95.0, 20.0, 10.0], [35.0, 30.0, 45.0], 25.0),
        ([65.0, 50.0, -60.0], [25.0, 22.0, 55.0], 20.0),
        ([-65.0, 50.0, -60.0], [25.0, 22.0, 55.0], 20.0),
        ([30.0, -30.0, -90.0], [16.8, 16.8, 16.8], 100.0),
    ];
    let mut regions = vec![Vec::new(); organs.len()];
    let mut tia = Array3::<f32>::zeros(grid.dim());
    let mut density = Array3::<f32>::from_elem(grid.dim(), 0.0012);
    let tissue = Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
        let p = grid.voxel_to_lps([i as f64, j as f64, k as f64]);
        let body = (p[0] / 170.0).powi(2) + (p[1] / 110.0).powi(2) <= 1.0;
        let lung = inside(p, [75.0, 0.0, 150.0], [60.0, 80.0, 95.0])
            || inside(p, [-75.0, 0.0, 150.0], [60.0, 80.0, 95.0]);
        let spine = (p[0] / 20.0).powi(2) + ((p[1] - 75.0) / 20.0).powi(2) <= 1.0;
        let (name, grams_per_ml) = match (body, lung, spine) {
            (false, ..) => ("air", 0.0012),
            (_, true, _) => ("lung", 0.3),
            (.., true) => ("spongiosa", 1.25),
            _ => ("muscle", 1.05),
        };
        let organ = organs.iter().position(|o| inside(p, o.0, o.1));
        if body && !lung {
            tia[[k, j, i]] = organ.map_or(1.0, |n| organs[n].2) * 1e7;
        }
        if let Some(n) = organ {
            regions[n].push((grid.linear(k, j, i) as u32, 1.0));
        }
        density[[k, j, i]] = grams_per_ml;
        library.by_name(name).expect("a tissue of the library")
    });
    let regions: Vec<Occupancy> = regions.into_iter().map(Occupancy::new).collect();
    let tissue = Volume::new(grid.clone(), tissue);
    let density = Volume::new(grid.clone(), density);
    let tia = Volume::new(grid, tia);
    let lu177 = spectrum("Lu-177");
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let phantom = Phantom::new(&tissue, &density).expect("possible matter");
    let source = Source { tia_bq_s: &tia, spectrum: &lu177 };
    let dose = run(&phantom, &source, &Settings::default(), &regions, &|_| Control::Continue)
        .expect("a valid run");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    println!(
        "patient Lu-177 128^3 to 1 %: {} decays, {:.1} s wall, {:.1} s CPU, {} threads, {peak}",
        dose.histories,
        wall.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        rayon::current_num_threads()
    );
    for (n, region) in dose.regions.iter().enumerate() {
        println!(
            "  region {n}: {:.3e} Gy ± {:.2} %",
            region.mean_gy,
            100.0 * region.relative_error()
        );
    }
}

/// Self-dose of organs of the ICRP male: relative variance of the mean, times CPU seconds.
fn organs() {
    let Some(male) = icrp_male::IcrpMale::load() else { return };
    for organ in ["Kidney", "Liver", "Spleen"] {
        let (region, tia) = male.organ(organ);
        let region = [region];
        for (nuclide, _) in EGSNRC {
            let spectrum = spectrum(nuclide);
            let source = Source { tia_bq_s: &tia, spectrum: &spectrum };
            let settings = Settings {
                target_relative_error: None,
                max_histories: 640_000,
                ..Settings::default()
            };
            let start = cpu_seconds();
            let dose = run(&male.phantom, &source, &settings, &region, &|_| Control::Continue)
                .expect("a valid run");
            let (seconds, error) = (cpu_seconds() - start, dose.regions[0].relative_error());
            println!(
                "ICRP male {organ} {nuclide}: ± {:.3} % in {seconds:.2} s CPU, efficiency {:.2e}/s",
                100.0 * error,
                1.0 / (error * error * seconds)
            );
        }
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if wanted.is_empty() || wanted.iter().any(|w| w == "patient") {
        patient();
    }
    if wanted.is_empty() || wanted.iter().any(|w| w == "organs") {
        organs();
    }
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
            print!(
                "{nuclide:7} {accuracy:?}: {} {rate:.0} {:.1}\n ",
                dose.histories,
                rate / egsnrc
            );
            print_s_values(&dose, middle);
        }
    }
}
