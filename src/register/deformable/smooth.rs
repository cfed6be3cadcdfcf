//! Gaussian means along the axes of a grid, of several numbers a voxel at once.

use rayon::prelude::*;

/// What lies beyond the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Nothing: what is there adds to no sum.
    Nothing,
    /// What lies at the border.
    Border,
}

/// Half a kernel, middle first; the whole adds up to 1. It ends at three standard deviations.
fn kernel(sigma: f64) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil() as usize;
    let value = |n: usize| (-0.5 * (n as f64 / sigma).powi(2)).exp();
    let whole: f64 = value(0) + 2.0 * (1..=reach).map(value).sum::<f64>();
    (0..=reach).map(|n| (value(n) / whole) as f32).collect()
}

fn add(out: &mut [f32], weight: f32, values: &[f32]) {
    out.iter_mut().zip(values).for_each(|(out, value)| *out += weight * value);
}

/// Convolves `values` (`[k, j, i, channel]`, `shape` is `[k, j, i]`) with a Gaussian of `sigma` voxels
/// along i, j and k.
pub(super) fn smooth(
    values: &mut Vec<f32>,
    channels: usize,
    shape: [usize; 3],
    sigma: [f64; 3],
    beyond: Beyond,
) {
    let [slices, rows, columns] = shape;
    let (row, slab) = (columns * channels, rows * columns * channels);
    let mut out = vec![0.0f32; values.len()];
    for (axis, sigma) in sigma.into_iter().enumerate() {
        if sigma <= 0.0 {
            continue;
        }
        let half = kernel(sigma);
        let count = [columns, rows, slices][axis];
        // Neighbour of `n` at a distance, where it counts.
        let neighbour = |n: usize, distance: isize| {
            let at = n as isize + distance;
            let inside = (0..count as isize).contains(&at);
            match beyond {
                Beyond::Border => Some(at.clamp(0, count as isize - 1) as usize),
                Beyond::Nothing => inside.then_some(at as usize),
            }
        };
        let reach = half.len() as isize - 1;
        let taps = |n: usize| {
            let half = &half;
            (-reach..=reach).filter_map(move |d| Some((neighbour(n, d)?, half[d.unsigned_abs()])))
        };
        let source: &[f32] = values;
        out.par_chunks_mut(slab).enumerate().for_each(|(k, out)| {
            out.fill(0.0);
            if axis == 2 {
                taps(k).for_each(|(n, w)| add(out, w, &source[n * slab..(n + 1) * slab]));
                return;
            }
            let own = &source[k * slab..(k + 1) * slab];
            for (j, out) in out.chunks_mut(row).enumerate() {
                if axis == 1 {
                    taps(j).for_each(|(n, w)| add(out, w, &own[n * row..(n + 1) * row]));
                    continue;
                }
                let own = &own[j * row..(j + 1) * row];
                for d in -reach..=reach {
                    let w = half[d.unsigned_abs()];
                    // Voxels whose neighbour at this distance lies within the row.
                    let low = d.min(0).unsigned_abs().min(columns);
                    let high = columns.saturating_sub(d.max(0) as usize).max(low);
                    let there = |i: usize| i.saturating_add_signed(d) * channels;
                    if low < high {
                        let values = &own[there(low)..there(high - 1) + channels];
                        add(&mut out[low * channels..high * channels], w, values);
                    }
                    if beyond == Beyond::Border {
                        let (first, last) = (&own[..channels], &own[row - channels..]);
                        let (start, end) = (&mut out[..], high * channels);
                        start[..low * channels].chunks_mut(channels).for_each(|o| add(o, w, first));
                        start[end..].chunks_mut(channels).for_each(|o| add(o, w, last));
                    }
                }
            }
        });
        std::mem::swap(values, &mut out);
    }
}
