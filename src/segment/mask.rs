//! A set of voxels: its connected parts and its holes.

use crate::volume::{Occupancy, Volume};

/// Voxels in or out, `[k, j, i]`, i fastest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mask {
    shape: [usize; 3],
    inside: Vec<bool>,
}

/// A connected part (by faces): its first voxel and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub first: usize,
    pub voxels: usize,
}

impl Mask {
    pub fn of(values: &Volume<f32>, keep: impl Fn(f32) -> bool) -> Self {
        let inside = values.as_slice().iter().map(|&v| keep(v)).collect();
        Self { shape: values.grid().shape(), inside }
    }

    pub fn and(mut self, other: &Self) -> Self {
        self.inside.iter_mut().zip(&other.inside).for_each(|(own, other)| *own &= other);
        self
    }

    pub fn into_occupancy(self) -> Occupancy {
        let inside = self.inside.iter().enumerate().filter(|(_, inside)| **inside);
        Occupancy::new(inside.map(|(n, _)| (n as u32, 1.0)).collect())
    }

    /// Largest first; of equals the one that begins first.
    pub fn parts(&self) -> Vec<Part> {
        let mut left = self.inside.clone();
        let mut parts = Vec::new();
        for first in 0..left.len() {
            if left[first] {
                let mut voxels = 0;
                flood(&mut left, self.shape, first, true, |_| voxels += 1);
                parts.push(Part { first, voxels });
            }
        }
        parts.sort_by(|a, b| b.voxels.cmp(&a.voxels).then(a.first.cmp(&b.first)));
        parts
    }

    /// These parts of it alone.
    pub fn only(mut self, parts: &[Part]) -> Self {
        let mut kept = vec![false; self.inside.len()];
        for part in parts {
            flood(&mut self.inside, self.shape, part.first, true, |n| kept[n] = true);
        }
        Self { shape: self.shape, inside: kept }
    }

    /// Closes what no path along faces leads out of: in each slice by itself, or in space.
    pub fn filled(mut self, in_slices: bool) -> Self {
        let [slices, rows, columns] = self.shape;
        let mut outside: Vec<bool> = self.inside.iter().map(|inside| !inside).collect();
        for n in 0..outside.len() {
            let [k, j, i] = [n / columns / rows, n / columns % rows, n % columns];
            let on_edge = i == 0 || j == 0 || i + 1 == columns || j + 1 == rows;
            let on_end = !in_slices && (k == 0 || k + 1 == slices);
            if outside[n] && (on_edge || on_end) {
                flood(&mut outside, self.shape, n, !in_slices, |_| {});
            }
        }
        // What is left as outside was never reached.
        self.inside.iter_mut().zip(outside).for_each(|(inside, hole)| *inside |= hole);
        self
    }
}

/// Clears the connected set of `open` voxels around `first`, telling each.
fn flood(
    open: &mut [bool],
    [slices, rows, columns]: [usize; 3],
    first: usize,
    between_slices: bool,
    mut tell: impl FnMut(usize),
) {
    let slice = rows * columns;
    let mut stack = vec![first];
    open[first] = false;
    while let Some(n) = stack.pop() {
        tell(n);
        let [k, j, i] = [n / slice, n / columns % rows, n % columns];
        let mut visit = |possible: bool, neighbour: usize| {
            if possible && open[neighbour] {
                open[neighbour] = false;
                stack.push(neighbour);
            }
        };
        visit(i > 0, n.wrapping_sub(1));
        visit(i + 1 < columns, n + 1);
        visit(j > 0, n.wrapping_sub(columns));
        visit(j + 1 < rows, n + columns);
        visit(between_slices && k > 0, n.wrapping_sub(slice));
        visit(between_slices && k + 1 < slices, n + slice);
    }
}
