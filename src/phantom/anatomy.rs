//! What the digital patient is made of, and which voxel belongs to what.

use super::noise::Random;
use super::planar::Camera;
use super::{Body, PhantomError, PhantomOptions};
use crate::volume::Grid;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// `config/phantom.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub variation: f64,
    pub acquisition_minutes: f64,
    pub views: u16,
    /// Camera of the whole-body views; a phantom that is no patient has none.
    pub planar: Option<Camera>,
    /// Of the SPECT: a Gaussian of this FWHM, mm. Absent: sharp.
    pub resolution_mm: Option<f64>,
    /// Images in counts are of this sensitivity, cps/MBq: those of a phantom, and of a patient where asked for.
    pub counts_cps_per_mbq: Option<f64>,
    /// Hounsfield units outside of the body.
    pub air_hu: i16,
    pub body: Shape,
    pub regions: Vec<Shape>,
}

/// `config/phantom-liver.yaml`: another patient before the same camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trunk {
    body: Shape,
    regions: Vec<Shape>,
}

/// An ellipsoid with its filling.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub name: String,
    pub centre_mm: [f64; 3],
    pub half_axes_mm: [f64; 3],
    pub hu: i16,
    pub density_g_per_ml: f64,
    /// Fraction of the administered activity at time zero.
    #[serde(default)]
    pub uptake: f64,
    /// Or its concentration then, MBq/ml.
    pub mbq_per_ml: Option<f64>,
    pub biological_half_life_h: f64,
}

impl Description {
    /// The built-in patient or phantom, its kinetics varied by the seed and as the options have it.
    pub fn of(options: &PhantomOptions) -> Result<Self, PhantomError> {
        let patient = include_str!("../../config/phantom.yaml");
        let mut description: Self = match options.body {
            Body::Patient => read(patient)?,
            Body::Liver => {
                let own: Trunk = read(include_str!("../../config/phantom-liver.yaml"))?;
                Self { body: own.body, regions: own.regions, ..read(patient)? }
            }
            Body::Cylinder => read(include_str!("../../config/phantom-cylinder.yaml"))?,
            Body::Nema => read(include_str!("../../config/phantom-nema.yaml"))?,
        };
        for name in options.kinetics.keys() {
            let known = description.shapes().any(|shape| shape.name == *name);
            known.then_some(()).ok_or_else(|| {
                PhantomError::Description(format!("its kinetics are of {name}, which is no region"))
            })?;
        }
        description.resolution_mm = options.resolution_mm.or(description.resolution_mm);
        let mut random = Random::new(options.seed, 1);
        let part = description.variation;
        let all = std::iter::once(&mut description.body).chain(&mut description.regions);
        for shape in all {
            let stated = options.kinetics.get(&shape.name);
            if let Some([uptake, half_life_h]) = stated {
                (shape.uptake, shape.biological_half_life_h) = (*uptake, *half_life_h);
            }
            shape.uptake *= random.around_one(part);
            shape.biological_half_life_h *= random.around_one(part);
            if options.retained && stated.is_none() {
                shape.biological_half_life_h = f64::INFINITY;
            }
        }
        description.regions.iter_mut().for_each(|shape| shape.uptake *= options.uptake_scale);
        Ok(description)
    }

    fn shapes(&self) -> impl Iterator<Item = &Shape> {
        std::iter::once(&self.body).chain(&self.regions)
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PhantomError> {
    serde_saphyr::from_str(text).map_err(|e| PhantomError::Description(e.to_string()))
}

impl Shape {
    fn holds(&self, from_centre_mm: [f64; 3]) -> bool {
        let part =
            |axis: usize| (from_centre_mm[axis] - self.centre_mm[axis]) / self.half_axes_mm[axis];
        (0..3).map(|axis| part(axis).powi(2)).sum::<f64>() <= 1.0
    }
}

/// Label of air.
pub(super) const AIR: u8 = 0;
/// Label of the body outside of all regions.
pub(super) const BODY: u8 = 1;
/// Label of the first region; the others follow.
pub(super) const FIRST_REGION: u8 = 2;

/// The label of every voxel of the SPECT grid: the first shape that holds the voxel's centre.
pub(super) fn labels(description: &Description, grid: &Grid) -> Vec<u8> {
    let middle = centre(grid);
    let label = |voxel: usize| {
        let ijk = grid.place(voxel);
        let from_centre: [f64; 3] =
            std::array::from_fn(|a| (ijk[a] as f64 - middle[a]) * grid.spacing_mm()[a]);
        label_at(description, from_centre)
    };
    (0..grid.len()).map(label).collect()
}

/// Index of the middle of a grid, along `[i, j, k]`.
pub(super) fn centre(grid: &Grid) -> [f64; 3] {
    let [slices, rows, columns] = grid.shape();
    [columns, rows, slices].map(|n| (n as f64 - 1.0) / 2.0)
}

/// The label of a place of the patient.
pub(super) fn label_at(description: &Description, from_centre_mm: [f64; 3]) -> u8 {
    let mut regions = (FIRST_REGION..).zip(&description.regions);
    match regions.find(|(_, shape)| shape.holds(from_centre_mm)) {
        Some((label, _)) => label,
        None if description.body.holds(from_centre_mm) => BODY,
        None => AIR,
    }
}
