//! Every voxel's mono-exponential against numpy and scipy on the same images, in one run.
//!
//!     cargo bench --bench voxel_fit
//!
//! Ours: four points, weighted by counts, λ not below the physical constant, amplitude not below 0,
//! maps of integral and half-life. numpy: a straight line through ln A by one matrix product
//! (unweighted, unconstrained; three points, as few as a line with a residual has, and the same four).
//! scipy: curve_fit on some of the voxels, extrapolated.

use grayd::kinetics::{Frame, fit_voxels};
use grayd::quantity::Seconds;
use std::process::Command;
use std::time::Instant;

const ROUNDS: usize = 7;
const HOURS: [f64; 4] = [4.0, 24.0, 72.0, 168.0];
const LU_177_H: f64 = 159.53;

const RIVALS: &str = r#"
import sys, time
import numpy as np
from scipy.optimize import curve_fit
n, rounds = map(int, sys.argv[1:])
t = np.array([4.0, 24.0, 72.0, 168.0], dtype=np.float32)
index = np.arange(n)
a = (1000.0 * (1 + index % 97)).astype(np.float32)
half = (20.0 + (index * 0.618) % 130.0).astype(np.float32)
images = np.stack([a * np.exp2(-x / half) for x in t])

def line(points):
    y = images[:points].reshape(points, -1)
    design = np.stack([np.ones(points), -t[:points]], axis=1).astype(np.float32)
    inverse = np.linalg.pinv(design).astype(np.float32)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        ln_a, rate = inverse @ np.log(y)
        tia, half_life = np.exp(ln_a) / rate, np.log(2) / rate
        times.append(time.perf_counter() - start)
    return min(times)

print("numpy3", line(3))
print("numpy4", line(4))
some = 1000
start = time.perf_counter()
for v in range(some):
    y = images[:, v * (n // some)].astype(float)
    curve_fit(lambda x, a, k: a * np.exp(-k * x), t.astype(float), y, p0=(y[0], 0.01),
              sigma=np.sqrt(y), bounds=([0, np.log(2) / 159.53], [np.inf, 2.0]))
print("curve_fit", (time.perf_counter() - start) / some * n)
"#;

fn python() -> String {
    std::env::var("GRAYD_PYTHON").unwrap_or_else(|_| {
        let known = [".peers/bin/python", "/opt/grayd-peers/bin/python"];
        known.into_iter().find(|p| std::path::Path::new(p).exists()).unwrap_or("python3").to_owned()
    })
}

fn rivals(voxels: usize) -> Vec<(String, f64)> {
    let out = Command::new(python())
        .args(["-c", RIVALS, &voxels.to_string(), &ROUNDS.to_string()])
        .output();
    let Ok(out) = out else { return Vec::new() };
    if !out.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&out.stderr));
    }
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter_map(|line| {
            let (name, seconds) = line.split_once(' ')?;
            Some((name.to_owned(), seconds.parse().ok()?))
        })
        .collect()
}

fn ours(voxels: usize) -> f64 {
    let images: Vec<Vec<f32>> = HOURS
        .iter()
        .map(|t| {
            (0..voxels)
                .map(|n| {
                    let half = 20.0 + (n as f64 * 0.618) % 130.0;
                    (1000.0 * (1 + n % 97) as f64 * (-t / half).exp2()) as f32
                })
                .collect()
        })
        .collect();
    let frames: Vec<Frame> = images
        .iter()
        .zip(HOURS)
        .map(|(values, h)| Frame { time: Seconds::from_hours(h), values, weight: 1.0 })
        .collect();
    let physical = Seconds::from_hours(LU_177_H).half_life_to_rate();
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let fits = fit_voxels(&frames, physical).expect("times ascend");
            let seconds = start.elapsed().as_secs_f64();
            assert_eq!(fits.empty, 0);
            seconds
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    for (name, voxels) in [("128^3", 128 * 128 * 128), ("256x256x200", 256 * 256 * 200)] {
        let own = ours(voxels);
        println!("{name}: ours, 4 points, constrained and weighted: {own:.4} s");
        for (rival, seconds) in rivals(voxels) {
            println!("{name}: {rival}: {seconds:.4} s = {:.1} times ours", seconds / own);
        }
    }
}
