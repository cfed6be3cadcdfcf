//! What the dose distribution of a region does: EQD2, equivalent uniform dose, parts of the volume above
//! stated doses, and the BED of every voxel.
//!
//! Each voxel's dose rate has the shape of its region's curve, or of its own where voxels were fitted one
//! by one. A voxel belongs to the first region that fills at least half of it; where no tissue is known it
//! has no BED, and 0 is written there rather than an invented one.

use super::Request;
use crate::biology::effect::{equivalent_uniform_dose, volume_receiving, voxel_bed};
use crate::biology::{BiologyError, eqd2, g_factor};
use crate::config::protocol::DEFAULT_REGION;
use crate::kinetics::Exponential;
use crate::quantity::{Becquerel, Gray, Seconds, Warning};
use crate::report::{
    Bed, CycleResult, EquivalentUniformDose, Kind, RegionResult, VoxelBed, VoxelMap,
};
use crate::volume::Volume;

/// Adds the effects that the protocol asks for to every region.
pub fn add(request: &Request, result: &mut CycleResult) {
    let biology = &request.plan.parameters.biology;
    for region in &mut result.regions {
        region.effect.eqd2 = region.bed.as_ref().map(|bed| eqd2(bed.value, bed.alpha_beta));
        if region.dose.is_none() {
            continue;
        }
        let Some(map) = &result.voxels else { continue };
        let voxels = voxels(&map.gy, region);
        let alpha = biology.eud_alpha_per_gy.get(&region.name);
        if let Some(alpha) = alpha.or_else(|| biology.eud_alpha_per_gy.get(DEFAULT_REGION)) {
            match equivalent_uniform_dose(&voxels, alpha.value) {
                Ok(dose) => {
                    let alpha_per_gy = alpha.value;
                    region.effect.eud = Some(EquivalentUniformDose { dose, alpha_per_gy });
                }
                Err(error) => region.warnings.push(Warning::new("no-eud", error.to_string())),
            }
        }
        let parts = biology.volumes_at_gy.iter().map(|gy| Gray::new(*gy));
        let parts = parts.filter_map(|gy| Some((gy, volume_receiving(&voxels, gy).ok()?)));
        region.effect.volumes_at = parts.collect();
    }
    if biology.voxel_bed {
        add_voxel_bed(result);
    }
}

/// Dose and filled part of every voxel.
fn voxels(gy: &Volume<f32>, region: &RegionResult) -> Vec<(Gray, f64)> {
    let doses = gy.as_slice();
    let voxel = |(n, part): (usize, f32)| (Gray::new(f64::from(doses[n])), f64::from(part));
    region.occupancy.iter().map(voxel).collect()
}

fn add_voxel_bed(result: &mut CycleResult) {
    let Some(map) = &mut result.voxels else { return };
    let own = map.maps.iter().find(|map| map.kind == Kind::EffectiveHalfLifeMap);
    let doses = map.gy.as_slice();
    let mut gy = map.gy.values().mapv(|_| 0.0f32);
    let out = gy.as_slice_mut().expect("a mapped array is in standard layout");
    let mut taken = vec![false; doses.len()];
    let mut assumed = Vec::new();
    for region in &mut result.regions {
        let part_of_another = region.made.as_ref().is_some_and(|made| made.within.is_some());
        let (Some(bed), Some(fit)) = (&region.bed, &region.fit) else { continue };
        if part_of_another {
            continue;
        }
        let shapes = match Shapes::of(&fit.terms, own, bed) {
            Ok(shapes) => shapes,
            Err(error) => {
                region.warnings.push(Warning::new("no-voxel-bed", error.to_string()));
                continue;
            }
        };
        let (mut sum, mut volume) = (0.0, 0.0);
        let mut refused = None;
        for (voxel, part) in region.occupancy.iter() {
            let one = shapes.bed(voxel, doses[voxel]);
            match one {
                Err(error) => refused = Some(error),
                Ok(bed) => {
                    sum += f64::from(bed) * f64::from(part);
                    volume += f64::from(part);
                    if part >= 0.5 && !taken[voxel] {
                        (out[voxel], taken[voxel]) = (bed, true);
                    }
                }
            }
        }
        if let Some(error) = refused {
            let text = format!("some voxels have no BED: {error}");
            region.warnings.push(Warning::new("no-voxel-bed", text));
        } else if volume > 0.0 {
            region.effect.mean_of_voxel_bed = Some(Gray::new(sum / volume));
        }
        assumed.push(format!(
            "{}: α/β {} Gy, T_rep {} h ({})",
            region.name,
            bed.alpha_beta.value(),
            bed.repair_half_time.hours(),
            bed.provenance
        ));
    }
    if assumed.is_empty() {
        result.warnings.push(Warning::new(
            "no-voxel-bed",
            "no region has a known tissue, so no BED of voxels was written; state `settings: biology: \
             bed_parameters` in the plan",
        ));
        return;
    }
    let gy = Volume::new(map.gy.grid().clone(), gy);
    map.bed = Some(VoxelBed { gy, assumed });
}

/// How the dose rate of a region's voxels falls.
struct Shapes<'a> {
    /// G of the region's curve.
    region: f64,
    /// Effective half-lives of the voxels themselves, h, where they were fitted one by one.
    own: Option<&'a VoxelMap>,
    bed: &'a Bed,
}

impl<'a> Shapes<'a> {
    fn of(
        curve: &[Exponential],
        own: Option<&'a VoxelMap>,
        bed: &'a Bed,
    ) -> Result<Self, BiologyError> {
        Ok(Self { region: g_factor(curve, bed.repair_half_time)?, own, bed })
    }

    fn bed(&self, voxel: usize, gy: f32) -> Result<f32, BiologyError> {
        let own = self.own.map(|map| map.values.as_slice()[voxel]).filter(|hours| *hours > 0.0);
        let g = match own {
            None => self.region,
            Some(hours) => {
                let rate = Seconds::from_hours(f64::from(hours)).half_life_to_rate();
                let curve = [Exponential { amplitude: Becquerel::new(1.0), rate }];
                g_factor(&curve, self.bed.repair_half_time)?
            }
        };
        voxel_bed(gy, g / self.bed.alpha_beta.value())
    }
}
