//! Makes `config/kernels/*.yaml`: point kernels in water of electrons and photons of one energy,
//! by this package's own Monte Carlo.
//!
//!     cargo run --release --example point_kernels -- electron 400000 > config/kernels/electron-water.yaml
//!     cargo run --release --example point_kernels -- photon 400000 > config/kernels/photon-water.yaml
//!
//! One small voxel emits into a cube of water cut into 121 (161) voxels a side, the side a multiple of the
//! electron's range (the photon's mean free path); the voxels are then gathered into shells.

use grayd::dose::atomic::MaterialLibrary;
use grayd::dose::atomic::collision::Charge;
use grayd::dose::monte_carlo::{
    Accuracy, Control, EmissionSpectrum, Line, Phantom, Settings, Source, run,
};
use grayd::quantity::{GramPerMl, JOULE_PER_EV};
use grayd::volume::{Grid, Volume};
use ndarray::Array3;

const ELECTRON_KEV: [f64; 12] =
    [50.0, 80.0, 120.0, 180.0, 260.0, 380.0, 550.0, 800.0, 1150.0, 1600.0, 2300.0, 3200.0];
const PHOTON_KEV: [f64; 22] = [
    10.5, 13.0, 16.0, 20.0, 25.0, 32.0, 40.0, 50.0, 65.0, 80.0, 105.0, 140.0, 190.0, 260.0, 364.0,
    511.0, 700.0, 950.0, 1300.0, 1800.0, 2600.0, 3500.0,
];
/// Shells in units of the range (electrons).
const ELECTRON_SHELLS: usize = 60;
const ELECTRON_REACH: f64 = 1.2;
/// Middles of the shells in mean free paths (photons); a shell reaches 10 % to either side.
const PHOTON_DEPTHS: [f64; 13] = [0.45, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 3.7, 4.5, 5.5, 6.7];

/// Energy per decay in each voxel and its standard error, keV, with the voxels' side in mm.
struct Deposits {
    kev: Vec<f64>,
    error_kev: Vec<f64>,
    side_mm: f64,
    side: usize,
    escaped_kev: f64,
}

fn simulate(
    spectrum: &EmissionSpectrum,
    side: usize,
    side_mm: f64,
    accuracy: Accuracy,
    histories: u64,
) -> anyhow::Result<Deposits> {
    let grid = Grid::axial([side; 3], [side_mm; 3], [0.0; 3])?;
    let library = MaterialLibrary::embedded();
    let water = library.by_name("water").ok_or_else(|| anyhow::anyhow!("no water"))?;
    let phantom = Phantom::uniform(grid.clone(), water, GramPerMl::new(1.0))?;
    let mut tia = Array3::<f32>::zeros(grid.dim());
    tia[[side / 2; 3]] = 1.0;
    let tia = Volume::new(grid.clone(), tia);
    let source = Source { tia_bq_s: &tia, spectrum };
    let settings = Settings {
        accuracy,
        seed: 20261123,
        target_relative_error: None,
        max_histories: histories,
    };
    let dose = run(&phantom, &source, &settings, &[], &|_| Control::Continue)?;
    let kev_per_gy = phantom.mass_g(0) * 1e-3 / (JOULE_PER_EV * 1e3);
    let kev = |v: &Volume<f32>| v.as_slice().iter().map(|&x| f64::from(x) * kev_per_gy).collect();
    Ok(Deposits {
        kev: kev(&dose.gy),
        error_kev: kev(&dose.standard_error_gy),
        side_mm,
        side,
        escaped_kev: dose.escaped_kev_per_decay,
    })
}

impl Deposits {
    /// Distance of each voxel's middle from the source's, mm, with its energy and error.
    fn by_radius(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let n = self.side;
        let middle = (n / 2) as f64;
        (0..n * n * n).map(move |v| {
            let at = [v % n, v / n % n, v / n / n].map(|i| i as f64 - middle);
            let r = self.side_mm * at.iter().map(|x| x * x).sum::<f64>().sqrt();
            (r, self.kev[v], self.error_kev[v])
        })
    }
}

fn list(values: &[f64]) -> String {
    let text: Vec<String> = values.iter().map(|v| format!("{v:.5}")).collect();
    format!("[{}]", text.join(", "))
}

fn electron(kev: f64, histories: u64) -> anyhow::Result<()> {
    let library = MaterialLibrary::embedded();
    let water = library.by_name("water").ok_or_else(|| anyhow::anyhow!("no water"))?;
    let range_mm = 10.0 * library.get(water).csda_range(Charge::Negative, kev);
    let mut spectrum = EmissionSpectrum::default();
    spectrum.electrons.lines.push(Line { energy_kev: kev, per_decay: 1.0 });
    let side = 121;
    let side_mm = 2.0 * ELECTRON_REACH * range_mm / side as f64;
    let d = simulate(&spectrum, side, side_mm, Accuracy::Reference, histories)?;
    let width = ELECTRON_REACH * range_mm / ELECTRON_SHELLS as f64;
    let mut shell = vec![0.0; ELECTRON_SHELLS];
    let mut variance = vec![0.0; ELECTRON_SHELLS];
    for (r, energy, error) in d.by_radius() {
        // A voxel's energy lies spread over its own depth.
        let parts = 8;
        for p in 0..parts {
            let at = (r + d.side_mm * ((p as f64 + 0.5) / parts as f64 - 0.5)).abs();
            let bin = (at / width) as usize;
            if bin < ELECTRON_SHELLS {
                shell[bin] += energy / parts as f64;
                variance[bin] += (error / parts as f64).powi(2);
            }
        }
    }
    let total: f64 = shell.iter().sum();
    let mut sum = 0.0;
    let cumulative: Vec<f64> = shell
        .iter()
        .map(|s| {
            sum += s;
            sum / total
        })
        .collect();
    let worst = shell
        .iter()
        .zip(&variance)
        .map(|(s, v)| (s / total, v.sqrt() / s))
        .filter(|(share, _)| *share > 0.005)
        .map(|(_, u)| u)
        .fold(0.0, f64::max);
    println!("  - energy_kev: {kev}");
    println!("    range_mm: {range_mm:.6}");
    println!("    radiated_fraction: {:.6}", d.escaped_kev / kev);
    println!("    relative_uncertainty: {worst:.5}");
    println!("    cumulative: {}", list(&cumulative));
    eprintln!(
        "{kev} keV: range {range_mm:.4} mm, kept {:.5}, escaped {:.5}, worst {worst:.4}",
        total / kev,
        d.escaped_kev / kev
    );
    Ok(())
}

fn photon(kev: f64, histories: u64) -> anyhow::Result<()> {
    let library = MaterialLibrary::embedded();
    let water = library.by_name("water").ok_or_else(|| anyhow::anyhow!("no water"))?;
    let per_mm = library.get(water).mass_attenuation(kev).total() / 10.0;
    let mut spectrum = EmissionSpectrum::default();
    spectrum.photons.lines.push(Line { energy_kev: kev, per_decay: 1.0 });
    let side_mm = 0.1 / per_mm;
    let d = simulate(&spectrum, 161, side_mm, Accuracy::Standard, histories)?;
    let volume = d.side_mm.powi(3);
    let mut sums = [[0.0f64; 3]; PHOTON_DEPTHS.len()];
    let mut depths = [0.0f64; PHOTON_DEPTHS.len()];
    for (r, energy, error) in d.by_radius() {
        let x = per_mm * r;
        for (i, depth) in PHOTON_DEPTHS.iter().enumerate() {
            if (x / depth - 1.0).abs() < 0.1 {
                // Source and voxel have a width: the mean of 1/r^2 over both is larger.
                let widened = 1.0 + d.side_mm * d.side_mm / (6.0 * r * r);
                let factor = 4.0 * std::f64::consts::PI * r * r * x.exp()
                    / (volume * kev * per_mm * widened);
                sums[i][0] += energy * factor;
                sums[i][1] += (error * factor).powi(2);
                sums[i][2] += 1.0;
                depths[i] += x;
            }
        }
    }
    let build: Vec<f64> = sums.iter().map(|s| s[0] / s[2]).collect();
    let x: Vec<f64> = depths.iter().zip(&sums).map(|(d, s)| d / s[2]).collect();
    let worst = sums.iter().map(|s| s[1].sqrt() / s[0]).fold(0.0, f64::max);
    println!("  - energy_kev: {kev}");
    println!("    attenuation_per_mm: {per_mm:.8}");
    println!("    relative_uncertainty: {worst:.5}");
    println!("    depth: {}", list(&x));
    println!("    build_up: {}", list(&build));
    eprintln!(
        "{kev} keV: {per_mm:.6} /mm, first {:.4}, last {:.4}, worst {worst:.4}, escaped {:.3}",
        build[0],
        build[12],
        d.escaped_kev / kev
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (kind, histories) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let histories: u64 = histories.parse()?;
    println!(
        "# Point kernels in water (1 g/ml), {kind}s of one energy. Made by examples/point_kernels.rs with"
    );
    println!(
        "# {histories} histories an energy of this package's Monte Carlo; the uncertainty is statistical (k = 1)."
    );
    println!("histories: {histories}");
    match kind.as_str() {
        "electron" => {
            println!(
                "# Share of the energy kept in water within r, at the outer edges of {ELECTRON_SHELLS} shells to {ELECTRON_REACH} ranges."
            );
            println!("reach: {ELECTRON_REACH}");
            println!("kernels:");
            ELECTRON_KEV.iter().try_for_each(|&kev| electron(kev, histories))
        }
        "photon" => {
            println!(
                "# Energy per volume at r is E mu e^(-mu r) G(mu r) / (4 pi r^2); G is the build-up below."
            );
            println!("kernels:");
            PHOTON_KEV.iter().try_for_each(|&kev| photon(kev, histories))
        }
        other => {
            anyhow::bail!("say electron or photon, not {other:?}, and the number of histories")
        }
    }
}
