//! The patient between the two detectors: a grid along the views' pixels and depth, and what the CT
//! says of each voxel.

use super::super::PipelineError;
use super::super::error::parked;
use super::super::inputs::Inputs;
use super::super::placement;
use super::super::space::{self, Space};
use super::super::tissue;
use crate::dicom::read::{Ct, Planar};
use crate::dose::atomic::MaterialLibrary;
use crate::dose::density::DensityCurve;
use crate::quantify::CONSTANTS;
use crate::quantify::planar::{NetRate, Raster};
use crate::quantity::KiloElectronvolt;
use crate::volume::resample::average_with;
use crate::volume::{Grid, Transform, Volume, cross, dot};
use ndarray::Array2;

/// A scan's grid with its tissue.
pub struct Scene {
    /// Rows (j) run from the anterior surface to the posterior; i along the views' columns, k along
    /// their rows, one way or the other.
    pub grid: Grid,
    /// 1/cm.
    pub attenuation: Volume<f32>,
    /// Part of each voxel that is no air.
    pub tissue: Vec<f32>,
    cut: Cut,
}

/// Which pixels make the grid: `bin` × `bin` of them each.
struct Cut {
    bin: usize,
    first_row: usize,
    rows: usize,
    columns: usize,
    /// k runs against the rows.
    upward: bool,
}

/// The CT that views lie on.
pub struct Seat {
    pub ct: usize,
    /// Maps the views' points into the CT's space.
    pub to_ct: Transform,
}

impl Seat {
    /// As the objects say it; none where they do not.
    pub fn stated(inputs: &Inputs, scan: &Planar) -> Result<Option<Self>, PipelineError> {
        if scan.frame_of_reference.is_none() || scan.image.raster.origin_lps_mm.is_none() {
            return Ok(None);
        }
        let found = placement::ct_in(inputs, &scan.study.study, &Space::of(scan))?;
        Ok(found.map(|(ct, to_ct)| Self { ct, to_ct }))
    }
}

impl Scene {
    /// # Errors
    /// A CT and views that have nothing in common.
    pub fn of(
        inputs: &Inputs,
        scan: &Planar,
        Seat { ct: index, to_ct }: &Seat,
        photopeak: KiloElectronvolt,
        attenuation_ratio: f64,
    ) -> Result<Self, PipelineError> {
        let raster = &scan.image.raster;
        let origin = raster.origin_lps_mm.unwrap_or([0.0; 3]);
        let space = Space::of(scan);
        let ct = &inputs.cts[*index];
        let back = space::map(inputs, &Space::of_ct(ct), &space)?.unwrap_or(Transform::Identity);
        let (grid, cut) = grid(raster, origin, ct.hu.grid(), &back)?;
        let attenuation = attenuation(ct, &grid, to_ct, photopeak, attenuation_ratio);
        let tissue = tissue::tissue(ct, &grid, to_ct);
        Ok(Self { grid, attenuation, tissue, cut })
    }

    /// Pixels along one edge of the grid's.
    pub fn bin(&self) -> usize {
        self.cut.bin
    }

    /// Does k run against the rows?
    pub fn is_upward(&self) -> bool {
        self.cut.upward
    }

    /// Rates of the pixels over the grid, `[k, i]`, and the part of all counts that lies beyond it.
    pub fn on_grid(&self, rates: &[NetRate; 2]) -> ([NetRate; 2], f64) {
        let [slices, _, columns] = self.grid.shape();
        let place = |row: usize, column: usize| {
            let (k, i) =
                (row.checked_sub(self.cut.first_row)? / self.cut.bin, column / self.cut.bin);
            let inside = k < self.cut.rows && i < self.cut.columns;
            inside.then(|| (if self.cut.upward { self.cut.rows - 1 - k } else { k }, i))
        };
        let (mut all, mut inside) = (0.0, 0.0);
        let mut bin = |rate: &NetRate| {
            let mut binned = NetRate {
                cps: Array2::zeros((slices, columns)),
                variance: Array2::zeros((slices, columns)),
            };
            for ((row, column), cps) in rate.cps.indexed_iter() {
                all += cps;
                if let Some(at) = place(row, column) {
                    inside += cps;
                    binned.cps[at] += cps;
                    binned.variance[at] += rate.variance[[row, column]];
                }
            }
            binned
        };
        let binned = [bin(&rates[0]), bin(&rates[1])];
        let beyond = if all > 0.0 { (1.0 - inside / all).max(0.0) } else { 0.0 };
        (binned, beyond)
    }
}

/// The part of the raster that the CT covers along the rows, and its depth.
fn grid(
    raster: &Raster,
    origin: [f64; 3],
    ct: &Grid,
    to_planar: &Transform,
) -> Result<(Grid, Cut), PipelineError> {
    let [columns, rows] = raster.axes;
    let normal = cross(columns, rows);
    // To the back, whichever way the views are stored.
    let depth = if normal[1] >= 0.0 { normal } else { normal.map(|c| -c) };
    let axis_k = cross(columns, depth);
    let ends = |axis: [f64; 3]| -> Option<[f64; 2]> {
        let mut ends = [f64::INFINITY, f64::NEG_INFINITY];
        for corner in 0..8 {
            let ijk = std::array::from_fn(|a| {
                if corner >> a & 1 == 1 { ct.shape()[2 - a] as f64 - 0.5 } else { -0.5 }
            });
            let at = dot(to_planar.map(ct.voxel_to_lps(ijk))?, axis);
            ends = [ends[0].min(at), ends[1].max(at)];
        }
        Some(ends)
    };
    let nowhere = || {
        PipelineError::Parked("the CT and the views have no part of the patient in common".into())
    };
    let ([top, bottom], [front, back]) =
        (ends(rows).ok_or_else(nowhere)?, ends(depth).ok_or_else(nowhere)?);
    let edge = CONSTANTS.projection_voxel.value;
    let finest = raster.spacing_mm[0].min(raster.spacing_mm[1]);
    // Half a per cent: a pixel of 3.99 mm is one of 4 mm.
    let bin = (0.995 * edge / finest).ceil().max(1.0) as usize;
    let row_at = |row: usize| dot(origin, rows) + row as f64 * raster.spacing_mm[1];
    let inside = |row: &usize| (top..=bottom).contains(&row_at(*row));
    let first_row = (0..raster.rows).find(inside).ok_or_else(nowhere)?;
    let count = (first_row..raster.rows).take_while(inside).count() / bin;
    let cut = Cut {
        bin,
        first_row,
        rows: count,
        columns: raster.columns / bin,
        upward: dot(axis_k, rows) < 0.0,
    };
    let slabs = ((back - front) / edge).ceil().max(1.0) as usize;
    let spacing = [raster.spacing_mm[0] * bin as f64, edge, raster.spacing_mm[1] * bin as f64];
    // Centre of the first binned pixel of the row that k begins with.
    let row = if cut.upward { (count * bin).saturating_sub(bin) } else { 0 } + first_row;
    let middle = (bin as f64 - 1.0) / 2.0;
    let along_row = (row as f64 + middle) * raster.spacing_mm[1];
    let along_column = middle * raster.spacing_mm[0];
    let to_front = front + edge / 2.0 - dot(origin, depth);
    let first = std::array::from_fn(|c| {
        origin[c] + rows[c] * along_row + columns[c] * along_column + depth[c] * to_front
    });
    let grid = Grid::new([count, slabs, cut.columns], spacing, first, columns, depth)
        .map_err(|error| parked("the views over the CT", error))?;
    Ok((grid, cut))
}

/// Attenuation of each voxel at the photopeak, averaged from the CT's own voxels: it is not linear in the
/// CT number.
fn attenuation(
    ct: &Ct,
    grid: &Grid,
    to_ct: &Transform,
    photopeak: KiloElectronvolt,
    ratio: f64,
) -> Volume<f32> {
    let (library, curve) = (MaterialLibrary::embedded(), DensityCurve::schneider());
    let hu = ct.hu.as_slice();
    let per_gram: Vec<f64> =
        library.iter().map(|(_, m)| m.mass_attenuation(photopeak.value()).total()).collect();
    let density = |n: usize| curve.density(f64::from(hu[n])).value();
    let mu = |n: usize| per_gram[library.for_hu(hu[n]).index()] * density(n) * ratio;
    let (attenuation, _) = average_with(ct.hu.grid(), grid, to_ct, &mu);
    Volume::new(grid.clone(), attenuation.mapv(|mu| mu.max(0.0) as f32))
}
