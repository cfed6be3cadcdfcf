//! Body, lungs and bone of a CT by its values: threshold, connected parts, holes filled.

use super::mask::Mask;
use super::{SegmentError, constants};
use crate::volume::{Occupancy, Volume};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CtTissue {
    /// The largest part above the threshold, every slice filled: lungs and gas belong to it, the
    /// table only where it touches the skin.
    Body,
    /// Inside of the body below the threshold: the largest part, and the second where it is a lung too.
    Lungs,
    /// Inside of the body above the threshold, without small parts; enclosed marrow is filled.
    Bone,
}

impl CtTissue {
    /// For people and codes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Body => "Body",
            Self::Lungs => "Lungs",
            Self::Bone => "Bone",
        }
    }

    /// One sentence on how it is found.
    pub fn description(self) -> String {
        let of = constants();
        match self {
            Self::Body => {
                format!("largest part of the CT above {} HU, slices filled", of.body_above_hu.value)
            }
            Self::Lungs => format!(
                "largest parts of the CT below {} HU inside of the body, holes filled",
                of.lungs_below_hu.value
            ),
            Self::Bone => format!(
                "parts of the CT above {} HU inside of the body, from {} ml on, holes filled",
                of.bone_above_hu.value, of.bone_part_least_ml.value
            ),
        }
    }
}

/// The voxels of a CT (HU) that a tissue fills.
///
/// # Errors
/// [`SegmentError::NoTissue`] where nothing of it is large enough: nothing stands in for it.
pub fn ct_tissue(hu: &Volume<f32>, tissue: CtTissue) -> Result<Occupancy, SegmentError> {
    let found = match tissue {
        CtTissue::Body => body(hu),
        CtTissue::Lungs => body(hu).and_then(|body| lungs(hu, &body)),
        CtTissue::Bone => body(hu).and_then(|body| bone(hu, &body)),
    };
    found.map(Mask::into_occupancy).ok_or(SegmentError::NoTissue(tissue.name()))
}

fn body(hu: &Volume<f32>) -> Option<Mask> {
    let above = Mask::of(hu, |v| f64::from(v) > constants().body_above_hu.value);
    let largest = *above.parts().first()?;
    Some(above.only(&[largest]).filled(true))
}

fn lungs(hu: &Volume<f32>, body: &Mask) -> Option<Mask> {
    let of = constants();
    let below = Mask::of(hu, |v| f64::from(v) < of.lungs_below_hu.value).and(body);
    let voxel_ml = hu.grid().voxel_volume().value();
    let parts = below.parts();
    let first = *parts.first().filter(|p| p.voxels as f64 * voxel_ml >= of.lung_least_ml.value)?;
    let is_lung = |p: &&super::mask::Part| {
        p.voxels as f64 >= of.second_lung_least.value * first.voxels as f64
    };
    let kept: Vec<_> = parts.iter().take(2).filter(is_lung).copied().collect();
    Some(below.only(&kept).filled(false))
}

fn bone(hu: &Volume<f32>, body: &Mask) -> Option<Mask> {
    let of = constants();
    let above = Mask::of(hu, |v| f64::from(v) > of.bone_above_hu.value).and(body);
    let least = of.bone_part_least_ml.value / hu.grid().voxel_volume().value();
    let kept: Vec<_> =
        above.parts().into_iter().take_while(|part| part.voxels as f64 >= least).collect();
    (!kept.is_empty()).then(|| above.only(&kept).filled(false))
}
