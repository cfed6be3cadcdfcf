//! Particles and the straight lines they fly on. Lengths in cm, axes i, j, k of the grid, origin at
//! the outer corner of voxel (0, 0, 0).

use super::Physics;
use super::phantom::PackedVoxel;
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

/// The phantom as the inner loops see it.
pub(super) struct World<'a> {
    pub voxels: &'a [PackedVoxel],
    pub tables: &'a Tables,
    pub physics: &'a Physics,
    /// Voxel size along i, j, k.
    pub size_cm: [f64; 3],
    /// Extents along i, j, k.
    pub extent: [i32; 3],
}

impl World<'_> {
    #[inline]
    pub fn index(&self, [i, j, k]: [i32; 3]) -> usize {
        ((k * self.extent[1] + j) * self.extent[0] + i) as usize
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
        for axis in 0..3 {
            let forward = i32::from(inverse[axis] > 0.0);
            let wall = f64::from(at.voxel[axis] + forward) * self.size_cm[axis];
            let distance = (wall - at.position[axis]) * inverse[axis];
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
    stride: [isize; 3],
    step: [i32; 3],
    voxel: [i32; 3],
    index: usize,
    flown: f64,
}

impl Flight {
    #[inline]
    pub fn new(world: &World<'_>, at: &Location, direction: &[f64; 3]) -> Self {
        let inverse = inverse(direction);
        let strides =
            [1, world.extent[0] as isize, world.extent[0] as isize * world.extent[1] as isize];
        let mut flight = Self {
            next: [0.0; 3],
            delta: [0.0; 3],
            stride: [0; 3],
            step: [0; 3],
            voxel: at.voxel,
            index: world.index(at.voxel),
            flown: 0.0,
        };
        for axis in 0..3 {
            let forward = inverse[axis] > 0.0;
            let wall = f64::from(at.voxel[axis] + i32::from(forward)) * world.size_cm[axis];
            flight.next[axis] = ((wall - at.position[axis]) * inverse[axis]).max(0.0);
            flight.delta[axis] = world.size_cm[axis] * inverse[axis].abs();
            flight.step[axis] = if forward { 1 } else { -1 };
            flight.stride[axis] = if forward { strides[axis] } else { -strides[axis] };
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
                visit(self.index, end - self.flown);
                self.flown = end;
                return true;
            }
            visit(self.index, wall - self.flown);
            self.flown = wall;
            self.voxel[axis] += self.step[axis];
            if self.voxel[axis] as u32 >= world.extent[axis] as u32 {
                return false;
            }
            self.index = self.index.wrapping_add_signed(self.stride[axis]);
            self.next[axis] += self.delta[axis];
        }
    }

    #[inline]
    pub fn index(&self) -> usize {
        self.index
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
