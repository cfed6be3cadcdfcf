//! The kernel engine against scipy.signal on the same maps, on the same two cores, in one run.
//!
//!     cargo bench --bench convolve
//!
//! Ours: electrons and the photons' tail to the whole grid. scipy: fftconvolve and
//! oaconvolve in f32 with a kernel of 51 voxels a side, two workers; both with the kernel ready made
//! (scipy transforms its own each time: it has no way to keep it). Beside them the time to move once what
//! the transforms must at least read and write. Wall time, and CPU time of all threads, which a
//! busy machine moves less.

use std::process::Command;
use std::time::Instant;

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
        wall, cpu = [], []
        for _ in range(rounds):
            t, c = time.perf_counter(), time.process_time()
            out = f(a, k, mode="same")
            wall.append(time.perf_counter() - t)
            cpu.append(time.process_time() - c)
        assert out.dtype == np.float32
        print(f.__name__, min(wall), min(cpu))
"#;

fn python() -> String {
    std::env::var("GRAYD_PYTHON").unwrap_or_else(|_| {
        let known = [".peers/bin/python", "/opt/grayd-peers/bin/python"];
        known.into_iter().find(|p| std::path::Path::new(p).exists()).unwrap_or("python3").to_owned()
    })
}

/// Wall and CPU seconds.
type Times = (f64, f64);

/// CPU seconds of all threads of this process (Linux schedstat, ns).
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_task = |task: std::fs::DirEntry| -> f64 {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.map(of_task).sum::<f64>() * 1e-9
}

/// The least of each over the rounds.
fn best_of(mut work: impl FnMut()) -> Times {
    (0..ROUNDS).fold((f64::INFINITY, f64::INFINITY), |(wall, cpu), _| {
        let (start, before) = (Instant::now(), cpu_seconds());
        work();
        (wall.min(start.elapsed().as_secs_f64()), cpu.min(cpu_seconds() - before))
    })
}

fn scipy(shape: [usize; 3]) -> Vec<(String, Times)> {
    let sizes = shape.iter().rev().map(ToString::to_string);
    let out =
        Command::new(python()).arg("-c").arg(SCIPY).args(sizes).arg(ROUNDS.to_string()).output();
    let Ok(out) = out else { return Vec::new() };
    if !out.status.success() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let fields = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter_map(|f| {
            Some(((*f.first()?).to_owned(), (f.get(1)?.parse().ok()?, f.get(2)?.parse().ok()?)))
        })
        .collect()
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
    let per_byte = time.0 / (2 * 4 * from.len()) as f64;
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
        let least = |of: fn(&Times) -> f64| {
            theirs.iter().map(|(_, times)| of(times)).fold(f64::INFINITY, f64::min)
        };
        let fastest = (least(|times| times.0), least(|times| times.1));
        for (name, (wall, cpu)) in &theirs {
            println!("  scipy {name:12} {wall:8.3} s wall {cpu:8.3} s CPU");
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
            println!(
                "  ours {name:12}  {:8.3} s wall {:8.3} s CPU: {:.2} and {:.2} of scipy's best (kernel once \
                 {making:.3} s)",
                time.0,
                time.1,
                time.0 / fastest.0,
                time.1 / fastest.1
            );
        }
        // Input and output in f32; each half-transformed array written once and read once.
        let complex = (ni / 2 + 9) * (nj + 16) * nk * 8;
        println!("  memory traffic alone {:6.3} s", memory_bound(ni * nj * nk * 8 + 4 * complex));
    }
    Ok(())
}
