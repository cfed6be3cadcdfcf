//! One exponential through every voxel: what the counts themselves ask for, without a logarithm.
//!
//! The noise of a voxel is that of counts, so the fit maximises the Poisson likelihood of
//! A(t) = a·e^(−λt) with a ≥ 0 and λ between the physical constant and the fastest rate that the first
//! image could still see (`config/kinetics.yaml`). A point counts by its weight: counts per unit of
//! the image, up to a common factor (duration, sensitivity).
//!
//! Both equations of that maximum depend on the voxel by two sums alone: S = Σ wₙAₙ and
//! M = Σ wₙtₙAₙ. The rate follows from the mean time M/S, for which Σ wₙtₙe^(−λtₙ)/Σ wₙe^(−λtₙ) has the
//! same value, and a from S = a·Σ wₙe^(−λtₙ). So the rate and the integral per S are tabulated over
//! the mean time once, and a voxel costs two sums, a division and one interpolation. The likelihood
//! is concave: a mean time outside the table's range has its maximum at the bound. Sums of voxels
//! keep S, so noise adds no activity.

use super::{CONSTANTS, KineticsError};
use crate::quantity::{PerSecond, Seconds};
use rayon::prelude::*;
use std::f64::consts::LN_2;

/// Intervals of the table of mean times; the measured error stands in docs/methods/voxel-fits.md.
const INTERVALS: usize = 4096;
/// Voxels of one task: fixed, and small enough for a core's own cache.
const CHUNK: usize = 4096;

/// One image of a series that lies voxel on voxel.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// From the administration.
    pub time: Seconds,
    /// Concentration at that time, any unit.
    pub values: &'a [f32],
    /// Counts per unit of the image up to a common factor; 1 where nothing better is known.
    pub weight: f64,
}

/// Maps of the fit, in the order of the images' voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelFits {
    /// Unit of the images times hours; 0 where a voxel holds nothing.
    pub tia_h: Vec<f32>,
    /// Effective half-life, h; 0 where a voxel holds nothing.
    pub half_life_h: Vec<f32>,
    /// Voxels held at physical decay, at the fastest rate, and voxels without activity.
    pub at_physical: usize,
    pub at_fastest: usize,
    pub empty: usize,
}

/// Fits all voxels of two images or more, ascending in time.
///
/// # Errors
/// Times or weights that cannot be; images of unequal size.
pub fn fit_voxels(frames: &[Frame], physical: PerSecond) -> Result<VoxelFits, KineticsError> {
    check(frames, physical)?;
    let table = Table::new(frames, physical.value() * 3600.0)?;
    let voxels = frames[0].values.len();
    let mut fits = VoxelFits {
        tia_h: vec![0.0; voxels],
        half_life_h: vec![0.0; voxels],
        at_physical: 0,
        at_fastest: 0,
        empty: 0,
    };
    let counts: [usize; 3] = fits
        .tia_h
        .par_chunks_mut(CHUNK)
        .zip(fits.half_life_h.par_chunks_mut(CHUNK))
        .enumerate()
        .map(|(n, (tia, half_life))| table.fill(frames, n * CHUNK, tia, half_life))
        .reduce(|| [0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    [fits.at_physical, fits.at_fastest, fits.empty] = counts;
    Ok(fits)
}

fn check(frames: &[Frame], physical: PerSecond) -> Result<(), KineticsError> {
    if frames.len() < 2 {
        let found = frames.len();
        return Err(KineticsError::TooFewPoints { model: "voxel-fit", needed: 2, found });
    }
    if !(physical.is_finite() && physical.value() > 0.0) {
        return Err(KineticsError::PhysicalRate(physical.value()));
    }
    for (n, frame) in frames.iter().enumerate() {
        let (index, hours) = (n + 1, frame.time.hours());
        if !hours.is_finite() {
            return Err(KineticsError::NotFinite { index, what: "time" });
        }
        if hours < 0.0 {
            return Err(KineticsError::BeforeAdministration { index, hours });
        }
        if n > 0 && frames[n - 1].time >= frame.time {
            return Err(KineticsError::NotAscending { first: n, second: index });
        }
        if !(frame.weight.is_finite() && frame.weight > 0.0) {
            return Err(KineticsError::NotFinite { index, what: "weight" });
        }
        if frame.values.len() != frames[0].values.len() {
            return Err(KineticsError::UnequalImages {
                index,
                found: frame.values.len(),
                wanted: frames[0].values.len(),
            });
        }
    }
    Ok(())
}

/// ln 2/λ and integral per S over the mean time after the first image.
struct Table {
    /// Weight and weight × hours after the first image, one pair an image.
    weights: Vec<[f32; 2]>,
    /// Mean time at the fastest rate, and intervals per hour.
    from: f32,
    per_hour: f32,
    /// Half-life (h) and integral per S (h) at each node, fastest first, each with its rise to the next.
    nodes: Vec<[f32; 4]>,
}

impl Table {
    fn new(frames: &[Frame], physical: f64) -> Result<Self, KineticsError> {
        let first = frames[0].time.hours();
        let after: Vec<f64> = frames.iter().map(|f| f.time.hours() - first).collect();
        let weights: Vec<f64> = frames.iter().map(|f| f.weight).collect();
        // An image at the administration itself bounds no rate: the second one does.
        let bounding = if first > 0.0 { first } else { after[1] };
        let fastest = CONSTANTS.halvings_before_first_point.value * LN_2 / bounding;
        if fastest <= physical {
            return Err(KineticsError::TooLateForNuclide { hours: bounding });
        }
        let points = Points { after: &after, weights: &weights };
        let (low, high) = (points.mean_time(fastest).0, points.mean_time(physical).0);
        let step = (high - low) / INTERVALS as f64;
        let mut rate = fastest;
        let mut nodes: Vec<[f32; 4]> = (0..=INTERVALS)
            .map(|n| {
                rate = match n {
                    0 => fastest,
                    INTERVALS => physical,
                    _ => points.rate(low + n as f64 * step, rate, [physical, fastest]),
                };
                let integral = (rate * first).exp() / (rate * points.sum(rate));
                [(LN_2 / rate) as f32, 0.0, integral as f32, 0.0]
            })
            .collect();
        for n in 0..INTERVALS {
            let next = nodes[n + 1];
            nodes[n][1] = next[0] - nodes[n][0];
            nodes[n][3] = next[2] - nodes[n][2];
        }
        Ok(Self {
            weights: weights.iter().zip(&after).map(|(w, t)| [*w as f32, (w * t) as f32]).collect(),
            from: low as f32,
            per_hour: (1.0 / step) as f32,
            nodes,
        })
    }

    /// Fits the voxels from `start` on; counts those at the bounds and the empty ones.
    ///
    /// Three passes over what the core's cache holds: the first two are arithmetic that processors do on
    /// many voxels at once, and only the last one looks up.
    fn fill(
        &self,
        frames: &[Frame],
        start: usize,
        tia: &mut [f32],
        half: &mut [f32],
    ) -> [usize; 3] {
        let (mut sums, mut moments) = ([0.0f32; CHUNK], [0.0f32; CHUNK]);
        let (sums, moments) = (&mut sums[..tia.len()], &mut moments[..tia.len()]);
        for (frame, [weight, moment_weight]) in frames.iter().zip(&self.weights) {
            let values = &frame.values[start..start + tia.len()];
            for ((sum, moment), value) in sums.iter_mut().zip(&mut *moments).zip(values) {
                *sum += weight * value;
                *moment += moment_weight * value;
            }
        }
        let counts = self.places(sums, moments);
        let places = moments.iter();
        for (((tia, half), sum), place) in tia.iter_mut().zip(half.iter_mut()).zip(sums).zip(places)
        {
            // Within the table: `places` saw to it.
            let node = *place as i32 as usize;
            let [half0, per_half, tia0, per_tia] = self.nodes[node];
            let part = place - node as f32;
            *half = if *sum > 0.0 { half0 + part * per_half } else { 0.0 };
            *tia = *sum * (tia0 + part * per_tia);
        }
        counts.map(|count| count as usize)
    }

    /// From moments to places in the table, 0 where a voxel holds nothing, whose sum becomes 0 too.
    fn places(&self, sums: &mut [f32], moments: &mut [f32]) -> [u32; 3] {
        let last = INTERVALS as f32;
        let mut counts = [0u32; 3];
        for (sum, moment) in sums.iter_mut().zip(moments) {
            // Not a number counts as nothing there.
            let holds = *sum > 0.0 && *sum < f32::INFINITY;
            let place = (*moment / *sum - self.from) * self.per_hour;
            counts[0] += u32::from(holds & (place >= last));
            counts[1] += u32::from(holds & (place <= 0.0));
            counts[2] += u32::from(!holds);
            // Comparisons and not `clamp`, which keeps what is not a number.
            let above = if holds & (place > 0.0) { place } else { 0.0 };
            *moment = if above < last { above } else { last };
            *sum = if holds { *sum } else { 0.0 };
        }
        counts
    }
}

/// Times after the first image, with their weights.
struct Points<'a> {
    after: &'a [f64],
    weights: &'a [f64],
}

impl Points<'_> {
    /// Σ w e^(−λt).
    fn sum(&self, rate: f64) -> f64 {
        self.after.iter().zip(self.weights).map(|(t, w)| w * (-rate * t).exp()).sum()
    }

    /// Mean time of an exponential at the points, and its derivative by the rate (minus a variance).
    fn mean_time(&self, rate: f64) -> (f64, f64) {
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for (t, w) in self.after.iter().zip(self.weights) {
            let value = w * (-rate * t).exp();
            sum += value;
            first += value * t;
            second += value * t * t;
        }
        let mean = first / sum;
        (mean, mean * mean - second / sum)
    }

    /// The rate with this mean time: Newton, kept within a bracket by halving it.
    fn rate(&self, wanted: f64, start: f64, [mut low, mut high]: [f64; 2]) -> f64 {
        let mut rate = start;
        for _ in 0..100 {
            let (mean, slope) = self.mean_time(rate);
            // The mean time falls as the rate rises.
            if mean > wanted {
                low = rate
            } else {
                high = rate
            }
            let newton = rate - (mean - wanted) / slope;
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if (next - rate).abs() <= 1e-10 * rate {
                return next;
            }
            rate = next;
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LU_177_H: f64 = 159.53;
    const HOURS: [f64; 4] = [4.0, 24.0, 72.0, 168.0];

    fn fits(images: &[Vec<f32>], hours: &[f64], weights: &[f64]) -> VoxelFits {
        let frames: Vec<Frame> = images
            .iter()
            .zip(hours)
            .zip(weights)
            .map(|((values, &h), &weight)| Frame { time: Seconds::from_hours(h), values, weight })
            .collect();
        fit_voxels(&frames, Seconds::from_hours(LU_177_H).half_life_to_rate()).unwrap()
    }

    #[test]
    fn noise_free_voxels_are_recovered_to_a_ten_thousandth() {
        // Half-lives from 5 h to the physical one, amplitudes over seven decades.
        let truth: Vec<(f64, f64)> = (0..9000)
            .map(|n| {
                let part = f64::from(n) / 9000.0;
                (10f64.powf(7.0 * part - 2.0), 5.0 + 154.0 * ((f64::from(n) * 0.618) % 1.0))
            })
            .collect();
        let image = |hours: f64| -> Vec<f32> {
            truth.iter().map(|(a, half)| (a * (-LN_2 / half * hours).exp()) as f32).collect()
        };
        let images = HOURS.map(image);
        for weights in [[1.0; 4], [1.0, 1.0, 1.5, 2.0]] {
            let found = fits(&images, &HOURS, &weights);
            for (n, (a, half)) in truth.iter().enumerate() {
                let tia = f64::from(found.tia_h[n]) * LN_2 / (a * half) - 1.0;
                let time = f64::from(found.half_life_h[n]) / half - 1.0;
                assert!(tia.abs() < 1e-4 && time.abs() < 1e-4, "{half} h: {tia:e} {time:e}");
            }
            assert_eq!((found.at_physical, found.at_fastest, found.empty), (0, 0, 0));
        }
    }

    #[test]
    fn the_answer_is_the_most_likely_one() {
        // Counts of one noisy voxel; the log-likelihood falls on all sides of the answer.
        let (counts, weights) = ([9.0f32, 3.0, 4.0, 0.0], [2.0, 1.0, 1.0, 3.0]);
        let images: Vec<Vec<f32>> = counts.iter().map(|&c| vec![c]).collect();
        let found = fits(&images, &HOURS, &weights);
        let rate = LN_2 / f64::from(found.half_life_h[0]);
        let amplitude = f64::from(found.tia_h[0]) * rate;
        let likelihood = |a: f64, k: f64| -> f64 {
            (0..4)
                .map(|n| {
                    let mean = a * (-k * HOURS[n]).exp();
                    weights[n] * (f64::from(counts[n]) * mean.ln() - mean)
                })
                .sum()
        };
        let best = likelihood(amplitude, rate);
        for (a, k) in [(1.01, 1.0), (0.99, 1.0), (1.0, 1.01), (1.0, 0.99), (1.01, 1.01)] {
            assert!(likelihood(amplitude * a, rate * k) < best);
        }
        assert!(rate > LN_2 / LU_177_H);
    }

    #[test]
    fn bounds_hold_and_are_counted() {
        // Rising; falling at once; nothing; negative; one with a hole in the middle.
        let voxels: [[f32; 4]; 5] = [
            [1.0, 2.0, 3.0, 4.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0; 4],
            [-1.0, 0.5, -1.0, 0.2],
            [8.0, -1.0, 5.0, 2.0],
        ];
        let images: Vec<Vec<f32>> =
            (0..4).map(|t| voxels.iter().map(|voxel| voxel[t]).collect()).collect();
        let found = fits(&images, &HOURS, &[1.0; 4]);
        assert_eq!((found.at_physical, found.at_fastest, found.empty), (1, 1, 2));
        assert!((f64::from(found.half_life_h[0]) / LU_177_H - 1.0).abs() < 1e-6);
        assert!((f64::from(found.half_life_h[1]) / 0.4 - 1.0).abs() < 1e-6);
        assert_eq!(found.tia_h[2..4], [0.0, 0.0]);
        // Held at physical decay, the height is that of the sum.
        let decay: f64 = HOURS.iter().map(|t| (-LN_2 / LU_177_H * t).exp()).sum();
        let tia = 10.0 / decay * LU_177_H / LN_2;
        assert!((f64::from(found.tia_h[0]) / tia - 1.0).abs() < 1e-5);
        assert!(found.tia_h[4] > 0.0 && found.half_life_h[4] < LU_177_H as f32);
    }

    #[test]
    fn images_that_cannot_be_a_series_are_refused() {
        let values = [1.0f32; 3];
        let frame =
            |hours: f64| Frame { time: Seconds::from_hours(hours), values: &values, weight: 1.0 };
        let physical = Seconds::from_hours(LU_177_H).half_life_to_rate();
        let refused = |frames: &[Frame]| fit_voxels(frames, physical).unwrap_err();
        let short = Frame { values: &values[..2], ..frame(24.0) };
        assert!(matches!(refused(&[frame(4.0)]), KineticsError::TooFewPoints { .. }));
        assert!(matches!(refused(&[frame(4.0), frame(4.0)]), KineticsError::NotAscending { .. }));
        assert!(matches!(
            refused(&[frame(-4.0), frame(4.0)]),
            KineticsError::BeforeAdministration { .. }
        ));
        assert!(matches!(refused(&[frame(4.0), short]), KineticsError::UnequalImages { .. }));
        let heavy = Frame { weight: 0.0, ..frame(24.0) };
        assert!(matches!(refused(&[frame(4.0), heavy]), KineticsError::NotFinite { .. }));
        assert!(matches!(
            refused(&[frame(1700.0), frame(1800.0)]),
            KineticsError::TooLateForNuclide { .. }
        ));
    }
}
