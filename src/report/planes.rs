//! Three planes through the hottest region, dose and CT on one raster: what a person looks at.
//!
//! In: the dose, the regions, the CT with the map from dose points into its space. Out: one axial, one
//! coronal and one sagittal plane in patient axes, whatever the axes of the dose grid.

use super::RegionResult;
use crate::volume::resample::interpolate;
use crate::volume::{Grid, Transform, Volume};

/// Air around the regions that is shown.
const MARGIN_MM: f64 = 12.0;
/// Pixels of the longest side of all planes.
const PIXELS: f64 = 420.0;
/// HU of what the CT does not cover.
const AIR_HU: f32 = -1000.0;

/// How a plane lies in the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Rows to the patient's left, columns to the back.
    Axial,
    /// Rows to the left, columns to the feet.
    Coronal,
    /// Rows to the back, columns to the feet.
    Sagittal,
}

impl View {
    pub fn name(self) -> &'static str {
        match self {
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
        }
    }

    /// What lies at the left, right, upper and lower border.
    pub fn borders(self) -> [&'static str; 4] {
        match self {
            Self::Axial => ["R", "L", "A", "P"],
            Self::Coronal => ["R", "L", "H", "F"],
            Self::Sagittal => ["A", "P", "H", "F"],
        }
    }

    /// Patient axes (0 left, 1 back, 2 head) of rows, columns and of the normal; columns of the
    /// two upright views run against the head axis.
    fn axes(self) -> ([usize; 3], bool) {
        match self {
            Self::Axial => ([0, 1, 2], false),
            Self::Coronal => ([0, 2, 1], true),
            Self::Sagittal => ([1, 2, 0], true),
        }
    }
}

/// One plane, one voxel thick.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    pub view: View,
    /// Place along the plane's normal in patient space (x, y or z), mm.
    pub at_mm: f64,
    /// Region that it goes through.
    pub region: String,
    pub gy: Volume<f32>,
    pub hu: Option<Volume<f32>>,
}

/// The planes through the voxel of the highest dose of the region of the highest mean dose; none where no
/// region has a dose.
pub fn cut(
    dose_gy: &Volume<f32>,
    ct: Option<(&Volume<f32>, &Transform)>,
    regions: &[RegionResult],
) -> Vec<Plane> {
    let mean = |region: &RegionResult| region.dose.as_ref().map(|dose| dose.mean.value());
    // Of equals the first.
    let hottest = regions
        .iter()
        .filter(|region| mean(region).is_some_and(f64::is_finite))
        .reduce(|best, other| if mean(other) > mean(best) { other } else { best });
    let Some(region) = hottest else { return Vec::new() };
    let (grid, values) = (dose_gy.grid(), dose_gy.as_slice());
    let voxel = region
        .occupancy
        .iter()
        .map(|(n, _)| n)
        .reduce(|best, n| if values[n] > values[best] { n } else { best });
    let Some(voxel) = voxel else { return Vec::new() };
    let centre = grid.voxel_to_lps(index(grid, voxel));
    let Some(bounds) = bounds(grid, regions) else { return Vec::new() };
    let longest = (0..3).map(|a| bounds[1][a] - bounds[0][a]).fold(0.0, f64::max);
    let pixel = longest / PIXELS;
    let plane = |view| {
        let target = raster(view, centre, &bounds, pixel)?;
        let hu = ct.map(|(hu, to_ct)| interpolate(hu, &target, to_ct, AIR_HU));
        Some(Plane {
            view,
            at_mm: centre[view.axes().0[2]],
            region: region.name.clone(),
            gy: interpolate(dose_gy, &target, &Transform::Identity, 0.0),
            hu,
        })
    };
    [View::Axial, View::Coronal, View::Sagittal].into_iter().filter_map(plane).collect()
}

fn index(grid: &Grid, voxel: usize) -> [f64; 3] {
    let [_, rows, columns] = grid.shape();
    let (k, rest) = (voxel / (rows * columns), voxel % (rows * columns));
    [(rest % columns) as f64, (rest / columns) as f64, k as f64]
}

/// Patient coordinates that all regions and a margin lie between, within the dose grid.
fn bounds(grid: &Grid, regions: &[RegionResult]) -> Option<[[f64; 3]; 2]> {
    const NOTHING: [[f64; 3]; 2] = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
    let stretched = |mut ends: [[f64; 3]; 2], ijk: [f64; 3]| {
        let p = grid.voxel_to_lps(ijk);
        for a in 0..3 {
            ends[0][a] = ends[0][a].min(p[a]);
            ends[1][a] = ends[1][a].max(p[a]);
        }
        ends
    };
    let voxels = regions.iter().flat_map(|region| region.occupancy.iter());
    let inner = voxels.map(|(n, _)| index(grid, n)).fold(NOTHING, stretched);
    let [slices, rows, columns] = grid.shape();
    let last = [columns, rows, slices];
    let corners = (0..8).map(|corner| {
        std::array::from_fn(|a| match (corner >> a) & 1 {
            0 => -0.5,
            _ => last[a] as f64 - 0.5,
        })
    });
    let ends = corners.fold(NOTHING, stretched);
    let bounds = [0, 1].map(|end| {
        std::array::from_fn(|a| match end {
            0 => (inner[0][a] - MARGIN_MM).max(ends[0][a]),
            _ => (inner[1][a] + MARGIN_MM).min(ends[1][a]),
        })
    });
    (0..3).all(|a| bounds[1][a] - bounds[0][a] > 0.0).then_some(bounds)
}

/// A grid of one slice in patient axes.
fn raster(view: View, centre: [f64; 3], bounds: &[[f64; 3]; 2], pixel: f64) -> Option<Grid> {
    let ([across, down, normal], upright) = view.axes();
    let count = |a: usize| (((bounds[1][a] - bounds[0][a]) / pixel).round() as usize).max(1);
    let mut origin = [0.0; 3];
    origin[across] = bounds[0][across] + 0.5 * pixel;
    origin[down] = match upright {
        true => bounds[1][down] - 0.5 * pixel,
        false => bounds[0][down] + 0.5 * pixel,
    };
    origin[normal] = centre[normal];
    let unit = |a: usize, sign: f64| std::array::from_fn(|c| if c == a { sign } else { 0.0 });
    let columns = unit(down, if upright { -1.0 } else { 1.0 });
    Grid::new([1, count(down), count(across)], [pixel; 3], origin, unit(across, 1.0), columns).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Gray, Millilitre};
    use crate::report::DoseStatistics;
    use crate::volume::Occupancy;

    fn region(name: &str, voxels: Vec<u32>, mean: f64) -> RegionResult {
        RegionResult {
            name: name.into(),
            number: 1,
            anatomy: None,
            occupancy: Occupancy::new(voxels.into_iter().map(|n| (n, 1.0)).collect()),
            volume: Some(Millilitre::new(1.0)),
            mass: None,
            activity: Vec::new(),
            made: None,
            recovery: None,
            fit: None,
            dose: Some(DoseStatistics { mean: Gray::new(mean), spread: None }),
            alpha: None,
            therapy: None,
            bed: None,
            effect: Default::default(),
            uncertainty: None,
            uncertainty_budget: None,
            warnings: Vec::new(),
        }
    }

    /// A dose that rises to the left, to the back and to the head, each with a slope of its own, on a
    /// grid whose rows run to the right.
    #[test]
    fn planes_are_upright_whatever_the_axes_of_the_grid() {
        let (i, j) = ([-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
        let grid = Grid::new([20, 22, 24], [5.0, 4.0, 3.0], [60.0, -40.0, 30.0], i, j).unwrap();
        let gy = |p: [f64; 3]| (100.0 + p[0] + 0.1 * p[1] + 0.01 * p[2]) as f32;
        let values = ndarray::Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
            gy(grid.voxel_to_lps([i as f64, j as f64, k as f64]))
        });
        let dose = Volume::new(grid.clone(), values);
        let hot = grid.linear(10, 11, 12) as u32;
        let all = (0..grid.len() as u32).collect();
        let regions = [region("rest", all, 1.0), region("hot", vec![hot], 50.0)];
        let hu = Volume::new(grid.clone(), ndarray::Array3::from_elem(grid.dim(), 40.0));
        let planes = cut(&dose, Some((&hu, &Transform::Identity)), &regions);
        let centre = grid.voxel_to_lps([12.0, 11.0, 10.0]);
        assert_eq!(
            planes.iter().map(|p| p.view.name()).collect::<Vec<_>>(),
            ["axial", "coronal", "sagittal"]
        );
        for (plane, normal) in planes.iter().zip([2, 1, 0]) {
            assert_eq!((plane.region.as_str(), plane.at_mm), ("hot", centre[normal]));
            let values = plane.gy.values();
            let (_, rows, columns) = values.dim();
            let middle = (rows / 2, columns / 2);
            for (row, column) in [(rows / 4, middle.1), middle, (middle.0, columns / 4)] {
                let p = plane.gy.grid().voxel_to_lps([column as f64, row as f64, 0.0]);
                assert!((values[[0, row, column]] - gy(p)).abs() < 1e-3, "{p:?}");
                assert!((p[normal] - centre[normal]).abs() < 1e-9);
            }
            let step = |r: usize, c: usize| values[[0, r, c]] - values[[0, middle.0, middle.1]];
            // Rows to the left or to the back: dose rises; columns to the feet: it falls.
            assert!(step(middle.0, middle.1 + 9) > 0.0);
            let down = step(middle.0 + 9, middle.1);
            assert_eq!(down > 0.0, plane.view == View::Axial, "{down}");
            let hu = plane.hu.as_ref().unwrap();
            assert_eq!(hu.values()[[0, middle.0, middle.1]], 40.0);
        }
    }

    #[test]
    fn without_a_dose_there_is_nothing_to_cut() {
        let grid = Grid::axial([2, 2, 2], [1.0; 3], [0.0; 3]).unwrap();
        let dose = Volume::new(grid.clone(), ndarray::Array3::zeros(grid.dim()));
        let mut none = region("a", vec![0], 1.0);
        none.dose = None;
        assert_eq!(cut(&dose, None, &[none]), []);
        assert_eq!(cut(&dose, None, &[]), []);
    }
}
