//! The figures of `docs/methods/` are what the code computes (`UPDATE=1` redraws them), and the kernel
//! engine agrees with the Monte Carlo engine in water.

use std::fmt::Write as _;
use std::path::Path;

use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::emission::emission_spectrum;
use grayd::dose::kernel::s_values;
use grayd::dose::monte_carlo::{Accuracy, Control, Phantom, Settings, Source, run};
use grayd::quantity::GramPerMl;
use grayd::quantity::nuclide::{BetaSign, Nuclide};
use grayd::volume::{Grid, Volume};
use ndarray::Array3;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 48.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d4790b", "#444444"];

/// Energy in units of the end point against particles per decay and per unit, normalised to its
/// highest value: the shapes side by side whatever their end points.
fn beta_figure(names: &[&str]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let (w, h) = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
    let _ = writeln!(
        svg,
        "<path d=\"M{MARGIN} {MARGIN}v{h}h{w}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">beta energy / highest end point</text>\n\
         <text x=\"{MARGIN}\" y=\"{}\">particles per energy (highest = 1)</text>",
        WIDTH / 2.0,
        HEIGHT - 10.0,
        MARGIN - 12.0
    );
    for (row, (name, colour)) in names.iter().zip(COLOURS).enumerate() {
        let nuclide = Nuclide::parse(name).expect("a nuclide");
        let data = nuclide.decay().expect("one with data");
        let spectrum = data.beta_spectrum(&nuclide, BetaSign::Minus).expect("a beta emitter");
        let top = spectrum.bins.last().expect("bins").high.value();
        let peak = spectrum.bins.iter().map(|b| b.intensity).fold(0.0, f64::max);
        let points: Vec<String> = spectrum
            .bins
            .iter()
            .map(|b| {
                let x = MARGIN + w * b.mean.value() / top;
                let y = MARGIN + h * (1.0 - b.intensity / peak);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let mean = spectrum.energy_per_decay().value() / spectrum.intensity();
        let (x, y) = (WIDTH - 250.0, MARGIN + 18.0 * row as f64 + 6.0);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n\
             <text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}: to {top:.0} keV, mean {mean:.1} keV</text>",
            points.join(" ")
        );
    }
    svg + "</svg>\n"
}

fn assert_is_on_disk(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/methods/figures").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, svg).expect("the figures' folder can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("the figure is in the repository");
    assert!(stored == svg, "{name} is not what the code computes now; run with UPDATE=1");
}

#[test]
fn the_figure_of_beta_spectra_is_what_the_code_computes() {
    let names = ["Lu-177", "I-131", "Sm-153", "Sr-89", "Re-188", "Y-90"];
    assert_is_on_disk("beta-spectra.svg", &beta_figure(&names));
}

/// Mean dose of all voxels that lie at the same offset (in any order and sign) from the middle one,
/// mGy/(MBq s), with its standard error.
fn mean_of_class(
    gy: &Volume<f32>,
    error: &Volume<f32>,
    middle: usize,
    mut class: [usize; 3],
) -> (f64, f64) {
    class.sort_unstable();
    let (mut sum, mut variance, mut number) = (0.0, 0.0, 0.0);
    for ((k, j, i), &value) in gy.values().indexed_iter() {
        let mut offset = [k, j, i].map(|x| x.abs_diff(middle));
        offset.sort_unstable();
        if offset == class {
            sum += f64::from(value);
            variance += f64::from(error.values()[[k, j, i]]).powi(2);
            number += 1.0;
        }
    }
    (1e3 * sum / number, 1e3 * variance.sqrt() / number)
}

#[test]
fn voxel_s_values_agree_with_the_monte_carlo_engine() {
    // One voxel of 3 mm in the middle of water; 1 % where the dose is above 1 % of the highest, and
    // the statistical error of the simulation.
    let classes = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]];
    for (name, decays) in [("Lu-177", 800_000), ("Y-90", 100_000), ("I-131", 200_000)] {
        let nuclide = Nuclide::parse(name).unwrap();
        let grid = Grid::axial([21; 3], [3.0; 3], [0.0; 3]).unwrap();
        let water = MaterialLibrary::embedded().by_name("water").unwrap();
        let phantom = Phantom::uniform(grid.clone(), water, GramPerMl::new(1.0)).unwrap();
        let mut tia = Array3::<f32>::zeros(grid.dim());
        tia[[10; 3]] = 1e6;
        let tia = Volume::new(grid, tia);
        let spectrum = emission_spectrum(&nuclide).unwrap();
        let source = Source { tia_bq_s: &tia, spectrum: &spectrum };
        let settings = Settings {
            accuracy: Accuracy::Reference,
            target_relative_error: None,
            max_histories: decays,
            ..Settings::default()
        };
        let dose = run(&phantom, &source, &settings, &[], &|_| Control::Continue).unwrap();
        let kernel = s_values(&nuclide, [3.0; 3], 3).unwrap();
        let highest = kernel[0].mgy_per_mbq_s;
        for class in classes {
            let (simulated, error) = mean_of_class(&dose.gy, &dose.standard_error_gy, 10, class);
            let at = |s: &&grayd::dose::kernel::SValue| [s.i, s.j, s.k] == class;
            let ours = kernel.iter().find(at).unwrap().mgy_per_mbq_s;
            println!(
                "{name} S{class:?} kernel {ours:.4e} Monte Carlo {simulated:.4e} +- {:.2} %: {:+.2} %",
                100.0 * error / simulated,
                100.0 * (ours / simulated - 1.0)
            );
            if ours > 0.01 * highest {
                assert!(
                    (ours - simulated).abs() <= 0.01 * simulated + 2.5 * error,
                    "{name} {class:?}: kernel {ours:.4e}, Monte Carlo {simulated:.4e} +- {error:.1e}"
                );
            }
        }
    }
}

#[test]
fn the_kernel_of_90y_in_voxels_of_4_by_4_by_3_mm_is_that_of_monte_carlo() {
    let nuclide = Nuclide::parse("Y-90").unwrap();
    let grid = Grid::axial([15; 3], [4.0, 4.0, 3.0], [0.0; 3]).unwrap();
    let water = MaterialLibrary::embedded().by_name("water").unwrap();
    let phantom = Phantom::uniform(grid.clone(), water, GramPerMl::new(1.0)).unwrap();
    let mut tia = Array3::<f32>::zeros(grid.dim());
    tia[[7; 3]] = 1e6;
    let tia = Volume::new(grid, tia);
    let spectrum = emission_spectrum(&nuclide).unwrap();
    let source = Source { tia_bq_s: &tia, spectrum: &spectrum };
    let settings = Settings {
        accuracy: Accuracy::Reference,
        target_relative_error: None,
        max_histories: 100_000,
        ..Settings::default()
    };
    let dose = run(&phantom, &source, &settings, &[], &|_| Control::Continue).unwrap();
    for value in s_values(&nuclide, [4.0, 4.0, 3.0], 3).unwrap() {
        // All voxels at this offset: the octant's mirror images.
        let (mut sum, mut variance, mut number) = (0.0, 0.0, 0.0);
        for mirror in 0..8usize {
            let offset = [value.k, value.j, value.i];
            let side = |a: usize| if mirror >> a & 1 == 1 { 7 - offset[a] } else { 7 + offset[a] };
            let at = [side(0), side(1), side(2)];
            sum += f64::from(dose.gy.values()[at]);
            variance += f64::from(dose.standard_error_gy.values()[at]).powi(2);
            number += 1.0;
        }
        // Where offsets are 0 the images coincide: their errors add up without averaging.
        let copies = [value.i, value.j, value.k].iter().filter(|&&n| n == 0).count();
        let error = 1e3 * (variance * f64::from(1u32 << copies)).sqrt() / number;
        let simulated = 1e3 * sum / number;
        if simulated > 0.05 {
            let off = value.mgy_per_mbq_s - simulated;
            let at = [value.i, value.j, value.k];
            assert!(
                off.abs() <= 0.01 * simulated + 2.5 * error,
                "{at:?}: {off:e} of {simulated:e}"
            );
        }
    }
}

/// Published voxel S values (marks) on the kernel engine's (lines) against the distance of the
/// voxel's middle, both on logarithmic scales.
fn s_value_figure() -> String {
    let published = [
        ("Lu-177", [0.7816, 1.613e-2, 6.56e-4, 9.02e-5, 4.13e-5]),
        ("Y-90", [1.6005, 0.2812, 9.905e-2, 4.54e-2, 2.27e-2]),
        ("I-131", [0.9516, 3.201e-2, 2.587e-3, 7.72e-4, 4.72e-4]),
    ];
    let classes = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 0, 0]];
    let (w, h) = (WIDTH - 2.0 * MARGIN, HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{MARGIN} {MARGIN}v{h}h{w}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{MARGIN}\" y=\"30\">S, mGy/(MBq s), 3 mm voxels, 1e-5 to 10; lines: kernel engine, \
         circles: EGSnrc</text>\n"
    );
    let place = |n: usize, s: f64| {
        let x = MARGIN + w * (n as f64 + 0.5) / classes.len() as f64;
        (x, MARGIN + h * (1.0 - (s.log10() + 5.0) / 6.0))
    };
    for (n, [i, j, k]) in classes.iter().enumerate() {
        let (x, _) = place(n, 1.0);
        let y = HEIGHT - MARGIN + 18.0;
        let _ =
            writeln!(svg, "<text x=\"{x:.0}\" y=\"{y}\" text-anchor=\"middle\">{i}{j}{k}</text>");
    }
    for ((name, expected), colour) in published.iter().zip(COLOURS) {
        let nuclide = Nuclide::parse(name).expect("a nuclide");
        let ours = s_values(&nuclide, [3.0; 3], 3).expect("one with data");
        let value = |class: [usize; 3]| {
            let found = ours.iter().find(|s| [s.i, s.j, s.k] == class);
            found.expect("in the octant").mgy_per_mbq_s
        };
        let points: Vec<String> = (0..classes.len())
            .map(|n| place(n, value(classes[n])))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>",
            points.join(" ")
        );
        for (n, s) in expected.iter().enumerate() {
            let (x, y) = place(n, *s);
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"none\" stroke=\"{colour}\"/>"
            );
        }
        let (x, y) = place(classes.len() - 1, expected[4]);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            x + 8.0,
            y
        );
    }
    svg + "</svg>\n"
}

#[test]
fn the_figure_of_voxel_s_values_is_what_the_code_computes() {
    assert_is_on_disk("voxel-s-values.svg", &s_value_figure());
}
