//! Particles and the straight lines they fly on. Lengths in cm, axes i, j, k of the grid, origin at
//! the outer corner of voxel (0, 0, 0).

use super::Physics;
use super::phantom::{PackedVoxel, Phantom};
use super::tables::Tables;

/// What flies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Photon,
    Electron,
    Positron,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Particle {
    pub kind: Kind,
    pub kev: f64,
    pub at: Location,
    pub direction: [f64; 3],
}

/// A point and the voxel it belongs to; on a wall the voxel says on which side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Location {
    pub position: [f64; 3],
    pub voxel: [i32; 3],
}

/// Voxels of a memory block along each axis.
const BLOCK: usize = 4;

/// The order in which voxels lie in memory: blocks of 4 x 4 x 4, each in Morton order, so that 2 x 2
/// x 2 tallies share a cache line and a photon meets few lines whatever its direction. The sum of
/// three look-ups gives the place.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    offsets: [Vec<u32>; 3],
    length: usize,
}

impl Layout {
    /// For extents along i, j, k; lengths are rounded up to whole blocks.
    pub fn new(extent: [usize; 3]) -> Self {
        let blocks = extent.map(|n| n.div_ceil(BLOCK));
        let volume = BLOCK * BLOCK * BLOCK;
        let strides = [volume, volume * blocks[0], volume * blocks[0] * blocks[1]];
        let offsets = std::array::from_fn(|axis| {
            let place = |n: usize| {
                let within = n % BLOCK;
                let morton = (within & 1) << axis | (within >> 1) << (axis + 3);
                (n / BLOCK * strides[axis] + morton) as u32
            };
            (0..extent[axis]).map(place).collect()
        });
        Self { offsets, length: strides[2] * blocks[2] }
    }

    /// Places in memory, those of the padding included.
    pub fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub fn index(&self, [i, j, k]: [i32; 3]) -> usize {
        let of = |axis: usize, n: i32| self.offsets[axis][n as usize] as usize;
        of(0, i) + of(1, j) + of(2, k)
    }

    /// Places in memory of all voxels in the grid's own order (i fastest).
    pub fn in_grid_order(&self) -> impl Iterator<Item = usize> + '_ {
        let [is, js, ks] = &self.offsets;
        ks.iter().flat_map(move |k| {
            js.iter().flat_map(move |j| is.iter().map(move |i| (i + j + k) as usize))
        })
    }
}

/// The phantom as the inner loops see it.
pub(super) struct World<'a> {
    /// In the layout's order.
    pub voxels: Vec<PackedVoxel>,
    pub layout: Layout,
    pub tables: &'a Tables,
    pub physics: &'a Physics,
    /// Voxel size along i, j, k.
    pub size_cm: [f64; 3],
    /// Extents along i, j, k.
    pub extent: [i32; 3],
}

impl<'a> World<'a> {
    pub fn new(phantom: &Phantom, tables: &'a Tables, physics: &'a Physics) -> Self {
        let [nk, nj, ni] = phantom.grid().shape();
        let layout = Layout::new([ni, nj, nk]);
        let mut voxels = vec![PackedVoxel::default(); layout.len()];
        for (place, &voxel) in layout.in_grid_order().zip(phantom.voxels()) {
            voxels[place] = voxel;
        }
        let size_cm = phantom.grid().spacing_mm().map(|mm| mm / 10.0);
        let extent = [ni, nj, nk].map(|n| n as i32);
        Self { voxels, layout, tables, physics, size_cm, extent }
    }

    #[inline]
    pub fn index(&self, voxel: [i32; 3]) -> usize {
        self.layout.index(voxel)
    }

    /// Distance to the nearest wall of the voxel.
    #[inline]
    pub fn nearest_wall(&self, at: &Location) -> f64 {
        let mut nearest = f64::INFINITY;
        for axis in 0..3 {
            let low = f64::from(at.voxel[axis]) * self.size_cm[axis];
            let inside = at.position[axis] - low;
            nearest = nearest.min(inside).min(self.size_cm[axis] - inside);
        }
        nearest
    }

    /// Axis of the wall ahead and the distance to it; `inverse` is 1/direction.
    #[inline]
    pub fn wall_ahead(&self, at: &Location, inverse: &[f64; 3]) -> (usize, f64) {
        let mut ahead = (0, f64::INFINITY);
        for (axis, &inverse) in inverse.iter().enumerate() {
            let forward = i32::from(inverse > 0.0);
            let wall = f64::from(at.voxel[axis] + forward) * self.size_cm[axis];
            let distance = (wall - at.position[axis]) * inverse;
            if distance < ahead.1 {
                ahead = (axis, distance);
            }
        }
        (ahead.0, ahead.1.max(0.0))
    }

    /// Steps over the wall on `axis`; false where the grid ends.
    #[inline]
    pub fn cross(&self, at: &mut Location, axis: usize, forward: bool) -> bool {
        let wall = at.voxel[axis] + i32::from(forward);
        at.position[axis] = f64::from(wall) * self.size_cm[axis];
        at.voxel[axis] += if forward { 1 } else { -1 };
        (0..self.extent[axis]).contains(&at.voxel[axis])
    }
}

/// 1/x per component; a component of 0 never reaches a wall.
#[inline]
pub(super) fn inverse(direction: &[f64; 3]) -> [f64; 3] {
    direction.map(|d| if d.abs() < 1e-12 { 1e12 } else { 1.0 / d })
}

/// Energy deposited per voxel by one batch, and what left the grid; keV.
pub(super) struct Tally {
    pub kev: Vec<f64>,
    pub escaped_kev: f64,
}

impl Tally {
    pub fn new(voxels: usize) -> Self {
        Self { kev: vec![0.0; voxels], escaped_kev: 0.0 }
    }
    #[inline]
    pub fn deposit(&mut self, voxel: usize, kev: f64) {
        self.kev[voxel] += kev;
    }
}

/// A photon's flight through the voxels (Amanatides and Woo 1987).
pub(super) struct Flight {
    next: [f64; 3],
    delta: [f64; 3],
    step: [i32; 3],
    voxel: [i32; 3],
    /// The three parts of the place in memory.
    offset: [u32; 3],
    flown: f64,
}

impl Flight {
    #[inline]
    pub fn new(world: &World<'_>, at: &Location, direction: &[f64; 3]) -> Self {
        let inverse = inverse(direction);
        let mut flight = Self {
            next: [0.0; 3],
            delta: [0.0; 3],
            step: [0; 3],
            voxel: at.voxel,
            offset: [0; 3],
            flown: 0.0,
        };
        for (axis, &inverse) in inverse.iter().enumerate() {
            let forward = inverse > 0.0;
            let wall = f64::from(at.voxel[axis] + i32::from(forward)) * world.size_cm[axis];
            flight.next[axis] = ((wall - at.position[axis]) * inverse).max(0.0);
            flight.delta[axis] = world.size_cm[axis] * inverse.abs();
            flight.step[axis] = if forward { 1 } else { -1 };
            flight.offset[axis] = world.layout.offsets[axis][at.voxel[axis] as usize];
        }
        flight
    }

    /// Flies on by `distance`, calling `visit(voxel index, length)`; false where the grid ended.
    #[inline]
    pub fn advance(
        &mut self,
        world: &World<'_>,
        distance: f64,
        mut visit: impl FnMut(usize, f64),
    ) -> bool {
        let end = self.flown + distance;
        loop {
            let [x, y, z] = self.next;
            let axis = if x < y {
                if x < z { 0 } else { 2 }
            } else if y < z {
                1
            } else {
                2
            };
            let wall = self.next[axis];
            if wall >= end {
                visit(self.index(), end - self.flown);
                self.flown = end;
                return true;
            }
            visit(self.index(), wall - self.flown);
            self.flown = wall;
            self.voxel[axis] += self.step[axis];
            // A negative index becomes a large one: both ends of the grid in one look-up.
            match world.layout.offsets[axis].get(self.voxel[axis] as usize) {
                Some(&offset) => self.offset[axis] = offset,
                None => return false,
            }
            self.next[axis] += self.delta[axis];
        }
    }

    #[inline]
    pub fn index(&self) -> usize {
        (self.offset[0] + self.offset[1] + self.offset[2]) as usize
    }

    /// Where the flight that began at `start` has come to.
    #[inline]
    pub fn location(&self, world: &World<'_>, start: &Location, direction: &[f64; 3]) -> Location {
        let position = std::array::from_fn(|axis| {
            let low = f64::from(self.voxel[axis]) * world.size_cm[axis];
            (start.position[axis] + self.flown * direction[axis])
                .clamp(low, low + world.size_cm[axis])
        });
        Location { position, voxel: self.voxel }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voxel_has_its_own_place() {
        let layout = Layout::new([5, 3, 9]);
        let mut places: Vec<usize> = layout.in_grid_order().collect();
        assert_eq!(places.len(), 5 * 3 * 9);
        assert_eq!(places[(2 * 3 + 1) * 5 + 4], layout.index([4, 1, 2]));
        assert!(places.iter().all(|&p| p < layout.len()));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 5 * 3 * 9);
    }
}
