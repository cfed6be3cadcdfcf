//! The kernel engine against scipy.signal on the same maps, on the same two cores, in one run.
//!
//!     cargo bench --bench convolve
//!
//! Ours: electrons and the photons' tail to the whole grid. scipy: fftconvolve and
//! oaconvolve in f32 with a kernel of 51 voxels a side, two workers; both with the kernel ready made. Beside
//! them the time to move once what the transforms must at least read and write.

use std::process::Command;
use std::time::{Duration, Instant};

use grayd::dose::kernel::{KernelPlan, PointKernel};
use grayd::quantity::nuclide::Nuclide;
use grayd::volume::{Grid, Volume};
use ndarray::Array3;

const ROUNDS: usize = 5;
const CORES: usize = 2;

const SCIPY: &str = r#"
import sys, time
import numpy as np, scipy.fft, scipy.signal
nk, nj, ni, rounds = map(int, sys.argv[1:])
rng = np.random.default_rng(1)
a = rng.random((nk, nj, ni), dtype=np.float32)
g = np.arange(-25, 26, dtype=np.float32)
r2 = g[:, None, None]**2 + g[None, :, None]**2 + g[None, None, :]**2
k = (np.exp(-np.sqrt(r2)) / (1 + r2)).astype(np.float32)
with scipy.fft.set_workers(2):
    for f in (scipy.signal.fftconvolve, scipy.signal.oaconvolve):
        times = []
        for _ in range(rounds):
            t = time.perf_counter()
            out = f(a, k, mode="same")
            times.append(time.perf_counter() - t)
        assert out.dtype == np.float32
        print(f.__name__, min(times))
"#;

fn python() -> String {
    std::env::var("GRAYD_PYTHON").unwrap_or_else(|_| {
        let known = [".peers/bin/python", "/opt/grayd-peers/bin/python"];
        known.into_iter().find(|p| std::path::Path::new(p).exists()).unwrap_or("python3").to_owned()
    })
}

fn best_of(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn scipy(shape: [usize; 3]) -> Vec<(String, f64)> {
    let sizes = shape.iter().rev().map(ToString::to_string);
    let out =
        Command::new(python()).arg("-c").arg(SCIPY).args(sizes).arg(ROUNDS.to_string()).output();
    let Ok(out) = out else { return Vec::new() };
    if !out.status.success() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let pairs = text.lines().filter_map(|l| l.split_once(' '));
    pairs.filter_map(|(n, t)| Some((n.to_owned(), t.parse().ok()?))).collect()
}

/// Seconds to read and write `bytes` once on all cores.
fn memory_bound(bytes: usize) -> f64 {
    use rayon::prelude::*;
    let from = vec![1.0f32; 32 << 20];
    let mut to = vec![0.0f32; 32 << 20];
    let time = best_of(|| {
        to.par_chunks_mut(1 << 16)
            .zip(from.par_chunks(1 << 16))
            .for_each(|(t, f)| t.copy_from_slice(f));
    });
    let per_byte = time.as_secs_f64() / (2 * 4 * from.len()) as f64;
    bytes as f64 * per_byte
}

fn main() -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(CORES).build_global()?;
    for shape in [[128usize, 128, 128], [256, 256, 200]] {
        let [ni, nj, nk] = shape;
        let grid = Grid::axial([nk, nj, ni], [3.0; 3], [0.0; 3])?;
        let values =
            Array3::from_shape_fn(grid.dim(), |(k, j, i)| ((i * 7 + j * 13 + k * 29) % 101) as f32);
        let tia = Volume::new(grid, values);
        println!("{ni} x {nj} x {nk} voxels of 3 mm, {CORES} cores, best of {ROUNDS}");
        let theirs = scipy(shape);
        let fastest = theirs.iter().map(|t| t.1).fold(f64::INFINITY, f64::min);
        for (name, seconds) in &theirs {
            println!("  scipy {name:12} {seconds:8.3} s");
        }
        if theirs.is_empty() {
            println!("  scipy passed over: not installed (tests/run installs it)");
        }
        for name in ["Lu-177", "Y-90", "I-131"] {
            let kernel = PointKernel::of(&Nuclide::parse(name)?)?;
            let start = Instant::now();
            let plan = KernelPlan::new(&kernel, tia.grid())?;
            let making = start.elapsed().as_secs_f64();
            let mut failed = None;
            let time = best_of(|| failed = plan.dose(&tia, None).err());
            if let Some(error) = failed {
                return Err(error.into());
            }
            let seconds = time.as_secs_f64();
            println!(
                "  ours {name:12} {seconds:8.3} s  {:.2} of scipy's best  (kernel once {making:.3} s)",
                seconds / fastest
            );
        }
        // Input and output in f32; each half-transformed array written once and read once.
        let complex = (ni / 2 + 9) * (nj + 16) * nk * 8;
        println!("  memory traffic alone {:6.3} s", memory_bound(ni * nj * nk * 8 + 4 * complex));
    }
    Ok(())
}
