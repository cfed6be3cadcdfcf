//! Every region on every time point's grid, and the time point whose grid carries the dose.

mod shares;

pub use shares::{Share, ct_in, reached, shares_on, whole_activities};

use super::activity::TimePointImage;
use super::ct_grid::{self, CtGrid};
use super::derived;
use super::drawn::{Given, Shape, given, names_in_order};
use super::error::parked;
use super::inputs::Inputs;
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::dicom::Uid;
use crate::dicom::read::Code;
use crate::quantity::Warning;
use crate::report::Made;
use crate::segment::{self, Contour};
use crate::volume::transform::Transform;
use crate::volume::{Grid, Occupancy, Volume};

pub use crate::report::REMAINDER;

/// One region on all time points.
#[derive(Debug, Clone)]
pub struct PlacedRegion {
    pub name: String,
    pub anatomy: Option<Code>,
    /// One for each time point, on that time point's grid, and one more on the dose grid where that
    /// is none of theirs.
    pub occupancy: Vec<Occupancy>,
    /// (structure set, ROI number) that it was drawn as.
    pub roi: Option<(usize, u32)>,
    pub is_remainder: bool,
    /// Where it was made here rather than drawn.
    pub made: Option<Made>,
    /// Does it own voxels of the dose map? What is made within a region, and the body, do not.
    pub owns_voxels: bool,
    /// Region whose mean concentration stands for this one's.
    pub sampled_in: Option<usize>,
    /// Small volumes in the hottest part: nothing spills out of them that does not spill in, so no blur
    /// is made good there.
    pub is_sample: bool,
    pub warnings: Vec<Warning>,
}

/// All regions in their places.
#[derive(Debug)]
pub struct Placed {
    /// Index of the time point whose distribution stands for the whole, and whose grid the dose is on
    /// where it has none of its own.
    pub reference: usize,
    /// Dose grid in the CT's frame, where protocol or plan ask for it.
    pub dose_grid: Option<CtGrid>,
    pub regions: Vec<PlacedRegion>,
    /// Part of each voxel of the reference grid that belongs to each region, in their order.
    pub shares: Vec<Occupancy>,
    /// CT of the reference time point, with what maps the dose grid's points into the CT's.
    pub ct: Option<(usize, Transform)>,
    pub warnings: Vec<Warning>,
}

impl Placed {
    /// A region's occupancy on the dose grid.
    pub fn on_dose_grid<'a>(&self, region: &'a PlacedRegion) -> &'a Occupancy {
        match self.dose_grid {
            Some(_) => &region.occupancy[region.occupancy.len() - 1],
            None => &region.occupancy[self.reference],
        }
    }
}

/// Places every region of every structure set and segmentation.
pub fn place(
    inputs: &Inputs,
    images: &[TimePointImage],
    request: &Request,
) -> Result<Placed, PipelineError> {
    let mut warnings = Vec::new();
    let mut spaces: Vec<Space> = inputs.emissions.iter().map(Space::of).collect();
    warn_of_shared_frames(inputs, &mut warnings);
    warnings.extend(space::check_deformations(inputs)?);
    warnings.extend(inputs.alignments.iter().map(super::alignment::Alignment::warning));
    let given = given(inputs, request.plan.parameters.regions.remainder, &mut warnings)?;
    let reference = reference(inputs, images, &spaces, &given)?;
    let mut grids: Vec<&Grid> = images.iter().map(|image| image.map.bq_per_ml.grid()).collect();
    let ct = ct_of(inputs, reference, &spaces[reference], grids[reference])?;
    let dose_grid = ct_grid::of(inputs, request, ct.as_ref(), grids[reference])?;
    if let Some(own) = &dose_grid {
        spaces.push(Space::of_ct(&inputs.cts[own.ct]));
        grids.push(&own.grid);
    }
    let mut regions = Vec::new();
    for name in names_in_order(&given, &request.plan.parameters.regions.order) {
        let same_name: Vec<&Given> = given.iter().filter(|g| g.name == name).collect();
        regions.push(place_one(inputs, &same_name, &spaces, &grids)?);
    }
    let scene = derived::Scene {
        inputs,
        images,
        spaces: &spaces,
        grids: &grids,
        reference,
        ct: ct.as_ref().map(|(index, _)| *index),
    };
    derived::add(&scene, request, &mut regions, &mut warnings)?;
    if request.plan.parameters.regions.remainder {
        regions.push(remainder(&regions, &grids));
    }
    let shares = shares(&regions, reference, grids[reference]);
    let in_ct_frame = |(index, to_ct)| match dose_grid {
        Some(_) => (index, Transform::Identity),
        None => (index, to_ct),
    };
    let ct = ct.map(in_ct_frame);
    Ok(Placed { reference, dose_grid, regions, shares, ct, warnings })
}

/// Time points that some region cannot be carried to by frames of reference and registrations, each
/// with the space that this region was drawn in.
pub fn unreached(inputs: &Inputs, request: &Request) -> Result<Vec<(usize, Space)>, PipelineError> {
    let remainder = request.plan.parameters.regions.remainder;
    let given = given(inputs, remainder, &mut Vec::new())?;
    let names = names_in_order(&given, &[]);
    let mut found = Vec::new();
    for (index, emission) in inputs.emissions.iter().enumerate() {
        let to = Space::of(emission);
        for &name in &names {
            let mut drawn = given.iter().filter(|one| one.name == name);
            let reached = drawn.try_fold(false, |reached, one| {
                space::map(inputs, &to, &one.space).map(|map| reached || map.is_some())
            })?;
            let first = given.iter().find(|one| one.name == name);
            if let Some(one) = first.filter(|_| !reached) {
                found.push((index, one.space.clone()));
                break;
            }
        }
    }
    Ok(found)
}

/// One frame of reference for scans of different days says that they are registered; that is rare
/// enough to be said (PS3.3 C.7.4.1 asks for a new one when the patient is placed anew).
fn warn_of_shared_frames(inputs: &Inputs, warnings: &mut Vec<Warning>) {
    if !inputs.registrations.is_empty() {
        return;
    }
    let shared = inputs.emissions.windows(2).any(|pair| {
        pair[0].frame_of_reference.is_some()
            && pair[0].frame_of_reference == pair[1].frame_of_reference
            && pair[0].study.date != pair[1].study.date
    });
    if shared {
        warnings.push(Warning::new(
            "shared-frame-of-reference",
            "scans of different days have the same Frame of Reference UID (0020,0052) and were taken \
             as registered, as it says; check that the patient did not move",
        ));
    }
}

/// Tomographic, in Bq/ml, regions drawn in its space, a CT in it, activity × time.
type Rank = (bool, bool, usize, bool, f64);

/// The time point whose grid carries the dose: one whose space the regions were drawn in (so that
/// their structure set can be referenced), in Bq/ml before counts, with a CT before one without, and then the one where
/// activity × time is largest: near the mean life, where a distribution stands for the whole
/// integral best (Madsen 2018).
fn reference(
    inputs: &Inputs,
    images: &[TimePointImage],
    spaces: &[Space],
    given: &[Given],
) -> Result<usize, PipelineError> {
    let mut best: Option<(usize, Rank)> = None;
    for (index, (image, space)) in images.iter().zip(spaces).enumerate() {
        let mut native = 0;
        for one in given {
            let map = space::map(inputs, space, &one.space)?;
            native += usize::from(map == Some(Transform::Identity));
        }
        let ct = ct_of(inputs, index, space, image.map.bq_per_ml.grid())?;
        let direct = matches!(ct, Some((_, Transform::Identity)));
        let weight = image.map.field_of_view.value() * image.after_administration.value();
        // Planar views do not know the distribution within a region.
        let tomographic = inputs.planar_point(&inputs.emissions[index].series).is_none();
        let rank = (tomographic, !image.is_relative, native, direct, weight);
        if best.as_ref().is_none_or(|(_, other)| rank > *other) {
            best = Some((index, rank));
        }
    }
    best.map(|(index, _)| index)
        .ok_or_else(|| PipelineError::Parked("no image could be quantified; send one".into()))
}

/// The CT of an image: in its space before registered to it, of its study before another's, then the
/// one that covers most of its grid; the first by Series Instance UID where several are alike.
pub(super) fn ct_of(
    inputs: &Inputs,
    emission: usize,
    space: &Space,
    grid: &Grid,
) -> Result<Option<(usize, Transform)>, PipelineError> {
    let study = &inputs.emissions[emission].study.study;
    best_ct(inputs, study, space, |hu, map| coverage(grid, hu, map))
}

/// The CT of the largest size of those that a space's points can be mapped into: in that space before
/// registered to it, of `study` before another's. What has no size does not count.
fn best_ct(
    inputs: &Inputs,
    study: &Option<Uid>,
    space: &Space,
    size: impl Fn(&Volume<f32>, &Transform) -> f64,
) -> Result<Option<(usize, Transform)>, PipelineError> {
    let mut best: Option<((bool, bool, f64), usize, Transform)> = None;
    for (index, ct) in inputs.cts.iter().enumerate() {
        let Some(map) = space::map(inputs, space, &Space::of_ct(ct))? else { continue };
        let size = size(&ct.hu, &map);
        let rank = (map == Transform::Identity, ct.study.study == *study, size);
        if size > 0.0 && best.as_ref().is_none_or(|(other, ..)| rank > *other) {
            best = Some((rank, index, map));
        }
    }
    Ok(best.map(|(_, index, map)| (index, map)))
}

/// Part of a coarse raster of the grid that lies within the CT.
fn coverage(grid: &Grid, hu: &Volume<f32>, map: &Transform) -> f64 {
    const STEPS: usize = 9;
    let within = |ijk: [f64; 3]| {
        map.map(grid.voxel_to_lps(ijk)).is_some_and(|p| {
            let voxel = hu.grid().lps_to_voxel(p);
            (0..3).all(|a| voxel[a] >= -0.5 && voxel[a] <= hu.grid().shape()[2 - a] as f64 - 0.5)
        })
    };
    let last: [f64; 3] = std::array::from_fn(|a| (grid.shape()[2 - a] - 1) as f64);
    let step = |n: usize, a: usize| last[a] * n as f64 / (STEPS - 1) as f64;
    let inside = (0..STEPS.pow(3))
        .filter(|n| within([step(n % 9, 0), step(n / 9 % 9, 1), step(n / 81, 2)]))
        .count();
    inside as f64 / STEPS.pow(3) as f64
}

/// One region by name on all grids: drawn for that time point where it was, carried over from where
/// it was drawn where not.
fn place_one(
    inputs: &Inputs,
    drawn: &[&Given],
    spaces: &[Space],
    grids: &[&Grid],
) -> Result<PlacedRegion, PipelineError> {
    let name = drawn[0].name;
    let mut warnings = Vec::new();
    let mut occupancy = Vec::new();
    for (space, grid) in spaces.iter().zip(grids) {
        let maps = drawn
            .iter()
            .map(|one| space::map(inputs, space, &one.space))
            .collect::<Result<Vec<_>, _>>()?;
        let native = maps.iter().position(|m| *m == Some(Transform::Identity));
        let chosen = native.or_else(|| maps.iter().position(Option::is_some));
        let Some(index) = chosen else {
            return Err(PipelineError::Parked(format!(
                "nothing says how region {name} lies in image series {}: their frames of reference \
                 (0020,0052) differ; send a Spatial Registration object, or the region drawn on that \
                 series, or ask for `registration: {{ method: rigid }}` (or `deformable`) in the plan's settings",
                space.series.first().map_or("", Uid::as_str)
            )));
        };
        let map = maps.into_iter().nth(index).flatten().unwrap_or(Transform::Identity);
        occupancy.push(on_grid(inputs, drawn[index], grid, &map, &mut warnings)?);
    }
    warnings.dedup();
    Ok(PlacedRegion {
        name: name.to_owned(),
        anatomy: drawn[0].anatomy.cloned(),
        occupancy,
        roi: drawn.iter().find_map(|one| one.roi),
        is_remainder: false,
        made: None,
        owns_voxels: true,
        sampled_in: None,
        is_sample: false,
        warnings,
    })
}

fn on_grid(
    inputs: &Inputs,
    given: &Given,
    grid: &Grid,
    map: &Transform,
    warnings: &mut Vec<Warning>,
) -> Result<Occupancy, PipelineError> {
    let contours = match given.shape {
        Shape::Voxels(own, occupancy) => {
            return Ok(segment::transfer(occupancy, own, grid, map));
        }
        Shape::Contours(contours) => contours,
    };
    let mut rasterise = |contours: &[Contour], grid: &Grid| {
        let done = segment::rasterise(contours, grid)
            .map_err(|error| PipelineError::of_segment(given.name, error))?;
        for warning in done.warnings {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(done.occupancy)
    };
    if *map == Transform::Identity {
        return rasterise(contours, grid);
    }
    if let Some(affine) = map.as_affine() {
        let back = affine.inverse();
        let moved: Vec<Contour> = contours
            .iter()
            .map(|contour| Contour {
                kind: contour.kind,
                points_lps_mm: contour.points_lps_mm.iter().map(|p| back.map(*p)).collect(),
            })
            .collect();
        return rasterise(&moved, grid);
    }
    // A deformation bends planes: fill the voxels of an image in the region's own space, then carry
    // those over.
    let own = own_grid(inputs, &given.space)?.ok_or_else(|| {
        parked(
            format_args!("region {}", given.name),
            "it is carried over by a deformable registration, for which an image in its own frame of \
             reference is needed; send the series that it was drawn on",
        )
    })?;
    Ok(segment::transfer(&rasterise(contours, own)?, own, grid, map))
}

/// The finest grid of an image in a space.
fn own_grid<'a>(inputs: &'a Inputs, space: &Space) -> Result<Option<&'a Grid>, PipelineError> {
    let cts = inputs.cts.iter().map(|ct| {
        let own = Space {
            frame: ct.frame_of_reference.clone(),
            series: vec![ct.series.clone()],
            images: Vec::new(),
        };
        (own, ct.hu.grid())
    });
    let emissions = inputs.emissions.iter().map(|e| (Space::of(e), e.image.values.grid()));
    let mut best: Option<&Grid> = None;
    for (own, grid) in cts.chain(emissions) {
        if space::map(inputs, &own, space)? == Some(Transform::Identity)
            && best.is_none_or(|b| grid.voxel_volume().value() < b.voxel_volume().value())
        {
            best = Some(grid);
        }
    }
    Ok(best)
}

fn remainder(regions: &[PlacedRegion], grids: &[&Grid]) -> PlacedRegion {
    let occupancy = grids
        .iter()
        .enumerate()
        .map(|(n, grid)| {
            let owners = regions.iter().filter(|region| region.owns_voxels);
            let owned: Vec<&Occupancy> = owners.map(|region| &region.occupancy[n]).collect();
            segment::remainder(grid, &owned)
        })
        .collect();
    PlacedRegion {
        name: REMAINDER.to_owned(),
        anatomy: None,
        occupancy,
        roi: None,
        is_remainder: true,
        made: None,
        owns_voxels: true,
        sampled_in: None,
        is_sample: false,
        warnings: Vec::new(),
    }
}

/// Who owns which part of each voxel of the reference grid.
fn shares(regions: &[PlacedRegion], reference: usize, grid: &Grid) -> Vec<Occupancy> {
    let nothing = Occupancy::default();
    let drawn: Vec<&Occupancy> = regions
        .iter()
        .filter(|region| !region.is_remainder)
        .map(|region| if region.owns_voxels { &region.occupancy[reference] } else { &nothing })
        .collect();
    let assignment = segment::assign(grid, &drawn);
    let mut shares = assignment.shares;
    if regions.last().is_some_and(|region| region.is_remainder) {
        shares.push(assignment.remainder);
    }
    shares
}
