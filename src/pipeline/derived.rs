//! Regions that are made here, as `regions: derived` of protocol or plan asks: spheres and thresholds
//! within drawn regions, body, lungs and bone of the CT.
//!
//! Each is made once, at the reference time point, and carried to the others like a drawn one. A
//! time point that nothing joins to the reference has its own made, on its own image.

use super::activity::TimePointImage;
use super::error::parked;
use super::inputs::Inputs;
use super::placement::{self, PlacedRegion};
use super::space::{self, Space};
use super::{PipelineError, Request};
use crate::config::protocol::{SpheresWithin, ThresholdWithin};
use crate::quantity::{Millimetre, Warning};
use crate::report::Made;
use crate::segment::{self, CtTissue, Level};
use crate::volume::{Grid, Occupancy, Transform};

/// How samples are made.
const SPHERES: &str = "spheres";

/// What regions are made from.
pub struct Scene<'a> {
    pub inputs: &'a Inputs,
    pub images: &'a [TimePointImage],
    /// Of the time points, and of the dose grid where that is none of theirs.
    pub spaces: &'a [Space],
    pub grids: &'a [&'a Grid],
    pub reference: usize,
    /// CT of the reference time point.
    pub ct: Option<usize>,
}

/// A region where it was made.
struct Home {
    space: Space,
    grid: Grid,
    occupancy: Occupancy,
}

/// Adds what protocol and plan ask for to the drawn regions.
///
/// # Errors
/// A region that cannot be made parks the job: what it stands for would have no number.
pub fn add(
    scene: &Scene,
    request: &Request,
    regions: &mut Vec<PlacedRegion>,
    warnings: &mut Vec<Warning>,
) -> Result<(), PipelineError> {
    let drawn = regions.len();
    for (key, derived) in &request.plan.parameters.regions.derived {
        if let Some(tissue) = derived.ct {
            if regions[..drawn].iter().any(|r| r.name.eq_ignore_ascii_case(key)) {
                let text = format!("region {key} is drawn, so none was made from the CT");
                warnings.push(Warning::new("region-drawn", text));
            } else {
                regions.push(scene.tissue(key, tissue)?);
            }
            continue;
        }
        let mut found = false;
        for n in 0..drawn {
            let name = format!("{} {key}", regions[n].name);
            let made = if let Some(spheres) = derived.spheres.as_ref()
                && spheres.covers(&regions[n].name)
            {
                scene.spheres(&name, &regions[n], spheres)?
            } else if let Some(threshold) = derived.threshold.as_ref()
                && threshold.covers(&regions[n].name)
            {
                scene.threshold(&name, &regions[n], threshold)?
            } else {
                continue;
            };
            found = true;
            if derived.spheres.as_ref().is_some_and(|spheres| spheres.stand_for_region) {
                let sample = regions.len();
                stand_for(&mut regions[n], sample, &name)?;
            }
            regions.push(made);
        }
        if !found {
            let text = format!(
                "no drawn region is named as `regions: derived: {key}` wants; none was made"
            );
            warnings.push(Warning::new("derived-region-missing", text));
        }
    }
    Ok(())
}

fn stand_for(region: &mut PlacedRegion, sample: usize, name: &str) -> Result<(), PipelineError> {
    if region.sampled_in.replace(sample).is_some() {
        return Err(PipelineError::Parked(format!(
            "two samples stand for region {}; keep `stand_for_region` with one of them",
            region.name
        )));
    }
    region.warnings.push(Warning::new(
        "concentration-sampled",
        format!(
            "activity and dose are those of the mean concentration in {name}, taken for the whole region; \
             its own voxels are not used"
        ),
    ));
    Ok(())
}

impl Scene<'_> {
    fn spheres(
        &self,
        name: &str,
        region: &PlacedRegion,
        asked: &SpheresWithin,
    ) -> Result<PlacedRegion, PipelineError> {
        let diameter = Millimetre::new(asked.diameter_mm.value);
        let wanted = asked.count.value as usize;
        let at = |n: usize| {
            let image = &self.distribution(n, name)?.map.bq_per_ml;
            segment::hottest_spheres(image, &region.occupancy[n], diameter, wanted)
                .map_err(|error| PipelineError::of_segment(name, error))
        };
        let first = at(self.reference)?;
        let found = first.centres_lps_mm.len();
        let mut warnings = Vec::new();
        let few = |found: usize, n: usize| {
            let hours = self.images[n].after_administration.hours();
            let text =
                format!("{found} of {wanted} spheres fit into {} at {hours:.1} h", region.name);
            (found < wanted).then(|| Warning::new("fewer-spheres", text))
        };
        warnings.extend(few(found, self.reference));
        let first = self.home(self.reference, first.occupancy);
        let occupancy = self.everywhere(name, first, &mut warnings, |n, warnings| {
            let made = at(n)?;
            warnings.extend(few(made.centres_lps_mm.len(), n));
            Ok(self.home(n, made.occupancy))
        })?;
        let description = format!(
            "{found} spheres of {} mm, the hottest that lie in {} without overlap at {:.1} h",
            asked.diameter_mm.value,
            region.name,
            self.images[self.reference].after_administration.hours()
        );
        Ok(part(name, region, SPHERES, description, occupancy, warnings))
    }

    fn threshold(
        &self,
        name: &str,
        region: &PlacedRegion,
        asked: &ThresholdWithin,
    ) -> Result<PlacedRegion, PipelineError> {
        let level = asked
            .level()
            .ok_or_else(|| parked(format_args!("region {name}"), "it has no level; write one"))?;
        let at = |n: usize| {
            let image = self.distribution(n, name)?;
            if image.is_relative && matches!(level, Level::Value(_)) {
                return Err(parked(
                    format_args!("region {name}"),
                    format_args!(
                        "image series {} is in counts without a calibration and holds no concentration; \
                         write `of_maximum` or `above_background`, or send the registration to the image \
                         in Bq/ml",
                        self.inputs.emissions[n].series
                    ),
                ));
            }
            segment::threshold(&image.map.bq_per_ml, &region.occupancy[n], level)
                .map_err(|error| PipelineError::of_segment(name, error))
        };
        let found = at(self.reference)?;
        let mut warnings = Vec::new();
        let first = self.home(self.reference, found.occupancy);
        let occupancy =
            self.everywhere(name, first, &mut warnings, |n, _| Ok(self.home(n, at(n)?.occupancy)))?;
        let how = match level {
            Level::Value(_) => "as stated".to_owned(),
            Level::OfMaximum(part) => format!("{part} of its maximum"),
            Level::AboveBackground(part) => format!(
                "{part} of the way from its background of {:.2} kBq/ml to its hottest part",
                found.background.unwrap_or(0.0) / 1000.0
            ),
        };
        let description = format!(
            "part of {} from {:.2} kBq/ml on at {:.1} h, {how}",
            region.name,
            found.threshold / 1000.0,
            self.images[self.reference].after_administration.hours()
        );
        Ok(part(name, region, "threshold", description, occupancy, warnings))
    }

    fn tissue(&self, name: &str, tissue: CtTissue) -> Result<PlacedRegion, PipelineError> {
        let at = |n: usize| {
            let ct = if n == self.reference {
                self.ct
            } else {
                placement::ct_of(self.inputs, n, &self.spaces[n], self.grids[n])?.map(|ct| ct.0)
            };
            let ct = ct.map(|index| &self.inputs.cts[index]).ok_or_else(|| {
                PipelineError::Parked(format!(
                    "region {name} is made from the CT, and none lies in the space of image series {}; send \
                     it, or write the region as drawn",
                    self.inputs.emissions[n].series
                ))
            })?;
            let occupancy = segment::ct_tissue(&ct.hu, tissue)
                .map_err(|error| PipelineError::of_segment(name, error))?;
            Ok(Home { space: Space::of_ct(ct), grid: ct.hu.grid().clone(), occupancy })
        };
        let mut warnings = Vec::new();
        let first = at(self.reference)?;
        let occupancy = self.everywhere(name, first, &mut warnings, |n, _| at(n))?;
        Ok(PlacedRegion {
            name: name.to_owned(),
            anatomy: None,
            occupancy,
            roi: None,
            is_remainder: false,
            made: Some(Made { method: "ct", description: tissue.description(), within: None }),
            owns_voxels: tissue != CtTissue::Body,
            sampled_in: None,
            is_sample: false,
            warnings,
        })
    }

    fn home(&self, n: usize, occupancy: Occupancy) -> Home {
        Home { space: self.spaces[n].clone(), grid: self.grids[n].clone(), occupancy }
    }

    /// The image whose values a region is made from; planar views do not know what is hot in a region.
    fn distribution(&self, n: usize, name: &str) -> Result<&TimePointImage, PipelineError> {
        let series = &self.inputs.emissions[n].series;
        match self.inputs.planar_point(series) {
            None => Ok(&self.images[n]),
            Some(_) => Err(parked(
                format_args!("region {name}"),
                format_args!(
                    "it is made from the activity within a region, which planar series {series} does not \
                     show; send a SPECT or PET, or take it out of `regions: derived`"
                ),
            )),
        }
    }

    /// On every grid: from where it was made first, at the reference time point, else made there anew.
    fn everywhere(
        &self,
        name: &str,
        first: Home,
        warnings: &mut Vec<Warning>,
        make: impl Fn(usize, &mut Vec<Warning>) -> Result<Home, PipelineError>,
    ) -> Result<Vec<Occupancy>, PipelineError> {
        let mut all = Vec::with_capacity(self.grids.len());
        for (n, (space, grid)) in self.spaces.iter().zip(self.grids).enumerate() {
            let map = space::map(self.inputs, space, &first.space)?;
            all.push(match map {
                Some(map) => segment::transfer(&first.occupancy, &first.grid, grid, &map),
                None if n < self.images.len() => {
                    let own = make(n, warnings)?;
                    warnings.push(Warning::new(
                        "made-anew",
                        format!(
                            "{name} was made anew on image series {}, which nothing joins to the one it was \
                             made on first",
                            self.inputs.emissions[n].series
                        ),
                    ));
                    let map =
                        space::map(self.inputs, space, &own.space)?.unwrap_or(Transform::Identity);
                    segment::transfer(&own.occupancy, &own.grid, grid, &map)
                }
                None => {
                    let text = "the dose grid's space cannot be reached from the reference image";
                    return Err(PipelineError::Failed(text.into()));
                }
            });
        }
        Ok(all)
    }
}

/// A part of a drawn region.
fn part(
    name: &str,
    region: &PlacedRegion,
    method: &'static str,
    description: String,
    occupancy: Vec<Occupancy>,
    warnings: Vec<Warning>,
) -> PlacedRegion {
    PlacedRegion {
        name: name.to_owned(),
        anatomy: region.anatomy.clone(),
        occupancy,
        roi: None,
        is_remainder: false,
        made: Some(Made { method, description, within: Some(region.name.clone()) }),
        owns_voxels: false,
        sampled_in: None,
        is_sample: method == SPHERES,
        warnings,
    }
}
