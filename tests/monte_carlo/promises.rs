//! What the engine promises of any run: same bits, honest errors, symmetry, bounds, refusals.

use crate::spectra::{cube, point, spectrum, water};
use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::monte_carlo::{
    Control, Dose, EmissionSpectrum, Line, MonteCarloError, Phantom, Settings, Source, StopReason,
    run,
};
use grayd::volume::{Grid, Occupancy, Volume};
use ndarray::Array3;
use std::cell::Cell;

fn settings(max_histories: u64) -> Settings {
    Settings { target_relative_error: None, max_histories, ..Settings::default() }
}

type Turn = fn([usize; 3]) -> [usize; 3];

/// A small phantom of unequal sides with lung, bone and air in soft tissue; `original` gives the
/// voxel of the unturned phantom that stands at a place.
fn mixed_phantom(shape: [usize; 3], original: Turn) -> Phantom {
    let grid = Grid::axial(shape, [4.0; 3], [0.0; 3]).unwrap();
    let library = MaterialLibrary::embedded();
    let at = |(a, b, c): (usize, usize, usize)| {
        let [k, j, i] = original([a, b, c]);
        match (k, j, i) {
            (_, 0..=4, 8..) => ("lung", 0.3),
            (2..=4, 6..=8, 2..=3) => ("cortical-bone", 1.8),
            (0..=2, 9.., _) => ("air", 0.0012),
            _ => ("soft-tissue", 1.04),
        }
    };
    let tissue = Array3::from_shape_fn(grid.dim(), |v| library.by_name(at(v).0).unwrap());
    let density = Array3::from_shape_fn(grid.dim(), |v| at(v).1);
    Phantom::new(&Volume::new(grid.clone(), tissue), &Volume::new(grid, density)).unwrap()
}

fn mixed_source(phantom: &Phantom, original: Turn) -> Volume<f32> {
    let grid = phantom.grid();
    let values = Array3::from_shape_fn(grid.dim(), |(a, b, c)| {
        let [k, j, i] = original([a, b, c]);
        if (3..7).contains(&k) && (3..8).contains(&j) { 1e6 * (1 + i) as f32 } else { 0.0 }
    });
    Volume::new(grid.clone(), values)
}

fn straight() -> (Phantom, Volume<f32>) {
    let phantom = mixed_phantom([9, 11, 13], |v| v);
    let tia = mixed_source(&phantom, |v| v);
    (phantom, tia)
}

fn dose_of(phantom: &Phantom, tia: &Volume<f32>, nuclide: &str, settings: &Settings) -> Dose {
    let spectrum = spectrum(nuclide);
    let source = Source { tia_bq_s: tia, spectrum: &spectrum };
    run(phantom, &source, settings, &[], &|_| Control::Continue).unwrap()
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let (phantom, tia) = straight();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| dose_of(&phantom, &tia, "I-131", &settings(40_000)))
    };
    let one = with(1);
    for threads in [2, 5] {
        assert!(one == with(threads), "{threads} threads changed a bit");
    }
}

#[test]
fn twice_the_activity_is_twice_the_dose_and_another_seed_another_noise() {
    let (phantom, tia) = straight();
    let doubled = Volume::new(tia.grid().clone(), tia.values().mapv(|v| 2.0 * v));
    let settings = settings(40_000);
    let one = dose_of(&phantom, &tia, "Lu-177", &settings);
    let two = dose_of(&phantom, &doubled, "Lu-177", &settings);
    for (a, b) in one.gy.as_slice().iter().zip(two.gy.as_slice()) {
        assert!((2.0 * a - b).abs() <= 1e-6 * b);
    }
    let other = dose_of(&phantom, &tia, "Lu-177", &Settings { seed: 2, ..settings });
    assert!(one.gy != other.gy);
}

/// Two independent runs differ by what their standard errors say: reduced χ² near 1.
#[test]
fn standard_errors_are_honest() {
    let (phantom, tia) = straight();
    let with = |seed| {
        let settings = Settings { seed, ..settings(100_000) };
        dose_of(&phantom, &tia, "Y-90", &settings)
    };
    let chi_squared = reduced_chi_squared(&with(3), &with(4), |v| v);
    assert!((0.85..1.2).contains(&chi_squared), "{chi_squared}");
}

/// Mean of (a − b)²/(σa² + σb²) where dose and its error are well known; `place` maps a voxel of
/// `a` to its voxel in `b`.
fn reduced_chi_squared(a: &Dose, b: &Dose, place: Turn) -> f64 {
    let (mut sum, mut number) = (0.0, 0.0);
    for ((k, j, i), &gy) in a.gy.values().indexed_iter() {
        let other = place([k, j, i]);
        let (ea, eb) =
            (a.standard_error_gy.values()[[k, j, i]], b.standard_error_gy.values()[other]);
        if gy > 0.0 && ea < 0.2 * gy {
            let difference = f64::from(gy - b.gy.values()[other]);
            sum += difference * difference / f64::from(ea).hypot(f64::from(eb)).powi(2);
            number += 1.0;
        }
    }
    assert!(number > 300.0, "only {number} voxels to compare");
    sum / number
}

#[test]
fn turning_the_phantom_turns_the_dose() {
    let (phantom, tia) = straight();
    let a = dose_of(&phantom, &tia, "Y-90", &settings(200_000));
    let turn: Turn = |[k, j, i]| [j, i, k];
    let back: Turn = |[a, b, c]| [c, a, b];
    let turned = mixed_phantom(turn([9, 11, 13]), back);
    let b = dose_of(&turned, &mixed_source(&turned, back), "Y-90", &settings(200_000));
    let chi_squared = reduced_chi_squared(&a, &b, turn);
    assert!((0.85..1.2).contains(&chi_squared), "{chi_squared}");
}

fn in_cavity((k, j, i): (usize, usize, usize)) -> bool {
    (5..8).contains(&k) && (5..8).contains(&j) && (4..9).contains(&i)
}

/// Soft tissue with a cavity of air in it.
fn hollow_phantom() -> Phantom {
    let grid = cube(13, 4.0);
    let library = MaterialLibrary::embedded();
    let (air, soft) = (library.by_name("air").unwrap(), library.by_name("soft-tissue").unwrap());
    let tissue = Array3::from_shape_fn(grid.dim(), |v| if in_cavity(v) { air } else { soft });
    let density = Array3::from_shape_fn(grid.dim(), |v| if in_cavity(v) { 0.0012 } else { 1.04 });
    Phantom::new(&Volume::new(grid.clone(), tissue), &Volume::new(grid, density)).unwrap()
}

/// Air takes from the electrons and photons that pass it no more per gram than tissue does: its
/// stopping power and absorption per gram are lower.
#[test]
fn no_voxel_of_air_is_dosed_above_the_tissue_around_it() {
    let phantom = hollow_phantom();
    let grid = phantom.grid().clone();
    let values = Array3::from_shape_fn(grid.dim(), |v| if in_cavity(v) { 0.0 } else { 1e6 });
    let tia = Volume::new(grid, values);
    for nuclide in ["Y-90", "I-131", "Lu-177"] {
        let dose = dose_of(&phantom, &tia, nuclide, &settings(200_000));
        let in_tissue = dose.gy.values().indexed_iter().filter(|(v, _)| !in_cavity(*v));
        let highest = in_tissue.map(|(_, &gy)| gy).fold(0.0, f32::max);
        let air = dose.gy.values().indexed_iter().filter(|(v, _)| in_cavity(*v));
        for (v, &gy) in air {
            let error = dose.standard_error_gy.values()[v];
            assert!(gy <= highest + 3.0 * error, "{nuclide} {v:?}: {gy} Gy above {highest} Gy");
        }
        assert!(dose.warnings.is_empty());
    }
}

/// Alphas born in air would put their whole energy into a few milligrams: they are left out there,
/// and the result says so.
#[test]
fn alphas_do_not_make_air_glow() {
    let phantom = hollow_phantom();
    let tia = Volume::new(phantom.grid().clone(), Array3::from_elem(phantom.grid().dim(), 1e6));
    let mut alphas = spectrum("Lu-177");
    alphas.local_kev_per_decay += 5000.0;
    let source = Source { tia_bq_s: &tia, spectrum: &alphas };
    let with = run(&phantom, &source, &settings(20_000), &[], &|_| Control::Continue).unwrap();
    let without = dose_of(&phantom, &tia, "Lu-177", &settings(20_000));
    for (v, gy) in with.gy.values().indexed_iter() {
        if in_cavity(v) {
            assert_eq!(*gy, without.gy.values()[v]);
        } else {
            assert!(*gy > 10.0 * without.gy.values()[v]);
        }
    }
    let sum = with.deposited_kev_per_decay + with.escaped_kev_per_decay;
    assert!((sum / alphas.mean_kev() - 1.0).abs() < 2e-3, "{sum}");
    assert_eq!(with.warnings[0].code, "monte-carlo-activity-in-air");
}

#[test]
fn a_run_stops_at_its_target_and_says_why_it_stopped() {
    let grid = cube(9, 5.0);
    let phantom = water(&grid);
    let tia = point(&grid, [4; 3], 1e6);
    let lu177 = spectrum("Lu-177");
    let source = Source { tia_bq_s: &tia, spectrum: &lu177 };
    let region = [Occupancy::new(vec![(grid.linear(4, 4, 4) as u32, 1.0)])];
    let target = |target_relative_error, max_histories| Settings {
        target_relative_error: Some(target_relative_error),
        max_histories,
        ..Settings::default()
    };
    let calls = Cell::new(0);
    let go_on = |_| {
        calls.set(calls.get() + 1);
        Control::Continue
    };
    let reached = run(&phantom, &source, &target(0.005, 10_000_000), &region, &go_on).unwrap();
    assert_eq!(reached.stopped_because, StopReason::TargetReached);
    assert!(reached.regions[0].relative_error() <= 0.005 && reached.warnings.is_empty());
    assert!(reached.histories < 10_000_000 && calls.get() > 0);
    let missed = run(&phantom, &source, &target(1e-5, 20_000), &region, &go_on).unwrap();
    assert_eq!(missed.stopped_because, StopReason::HistoryLimit);
    assert_eq!(missed.warnings[0].code, "monte-carlo-target-missed");
    let timed = run(&phantom, &source, &target(1e-5, 10_000_000), &region, &|progress| {
        if progress.histories > 20_000 { Control::Finish } else { Control::Continue }
    });
    let timed = timed.unwrap();
    assert_eq!(timed.stopped_because, StopReason::CallerFinished);
    assert!(timed.histories > 20_000 && timed.histories < 10_000_000);
    let cancelled =
        run(&phantom, &source, &target(1e-5, 10_000_000), &region, &|_| Control::Cancel);
    assert_eq!(cancelled, Err(MonteCarloError::Cancelled));
}

#[test]
fn impossible_runs_are_refused() {
    let grid = cube(5, 3.0);
    let phantom = water(&grid);
    let lu177 = spectrum("Lu-177");
    let attempt = |tia: &Volume<f32>, settings: &Settings, regions: &[Occupancy]| {
        let source = Source { tia_bq_s: tia, spectrum: &lu177 };
        run(&phantom, &source, settings, regions, &|_| Control::Continue).unwrap_err()
    };
    let good = point(&grid, [2; 3], 1e6);
    let normal = settings(1000);
    for bad in [f32::NAN, -1.0, f32::INFINITY, 1e30] {
        let error = attempt(&point(&grid, [2; 3], bad), &normal, &[]);
        assert!(matches!(error, MonteCarloError::Activity { .. }), "{error}");
    }
    let none = attempt(&point(&grid, [2; 3], 0.0), &normal, &[]);
    assert_eq!(none, MonteCarloError::NoActivity);
    let elsewhere = attempt(&point(&cube(5, 3.1), [2; 3], 1e6), &normal, &[]);
    assert!(matches!(elsewhere, MonteCarloError::GridsDiffer(_)));
    let empty = attempt(&good, &normal, &[Occupancy::default()]);
    assert_eq!(empty, MonteCarloError::EmptyRegion(0));
    let outside = attempt(&good, &normal, &[Occupancy::new(vec![(125, 1.0)])]);
    assert!(matches!(outside, MonteCarloError::Region { voxel: 125, .. }));
    let aimless = attempt(&good, &Settings::default(), &[]);
    assert_eq!(aimless, MonteCarloError::TargetWithoutRegion);
    for value in [0.0, -0.1, 1.0, f64::NAN] {
        let settings = Settings { target_relative_error: Some(value), ..normal };
        assert!(matches!(attempt(&good, &settings, &[]), MonteCarloError::Setting { .. }));
    }
    let nothing = attempt(&good, &settings(0), &[]);
    assert!(matches!(nothing, MonteCarloError::Setting { name: "max_histories", .. }));
    let mut too_hard = EmissionSpectrum::default();
    too_hard.electrons.lines = vec![Line { energy_kev: 2e4, per_decay: 1.0 }];
    let source = Source { tia_bq_s: &good, spectrum: &too_hard };
    let error = run(&phantom, &source, &normal, &[], &|_| Control::Continue).unwrap_err();
    assert!(matches!(error, MonteCarloError::Spectrum(_)));
}

/// A single history, a single voxel: nothing divides by zero.
#[test]
fn the_smallest_run_gives_finite_numbers() {
    let grid = cube(1, 3.0);
    let dose = dose_of(&water(&grid), &point(&grid, [0; 3], 1.0), "Y-90", &settings(1));
    assert_eq!(dose.histories, 1);
    assert!(
        dose.gy.as_slice().iter().chain(dose.standard_error_gy.as_slice()).all(|v| v.is_finite())
    );
}
