//! The cycle's files as typed values, whatever their order.

use super::PipelineError;
use super::alignment::Alignment;
use super::error::parked;
use super::planar::PlanarPoint;
use crate::dicom::read::{
    self, AdministrationReport, Ct, Emission, EmissionContext, Planar, Registration, Segmentation,
    StructureSet, Transmission, ViewOutlines,
};
use crate::dicom::{InstanceHeader, PatientIdentity, Uid};
use crate::report::InputInstance;
use dicom_dictionary_std::uids;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Everything that was given, read.
#[derive(Debug)]
pub struct Inputs {
    /// Ascending in time of acquisition.
    pub emissions: Vec<Emission>,
    /// Whole-body and static scans; `planar::unmix_scans` puts them among the emissions.
    pub planar: Vec<Planar>,
    pub planar_points: Vec<PlanarPoint>,
    /// What views say of the patient's thickness where there is no CT.
    pub transmissions: Vec<Transmission>,
    pub cts: Vec<Ct>,
    pub structure_sets: Vec<StructureSet>,
    pub segmentations: Vec<Segmentation>,
    /// Segmentations that were drawn on views, which have no place in the patient.
    pub view_outlines: Vec<ViewOutlines>,
    pub registrations: Vec<Registration>,
    /// Registrations that were computed because no object says them; not inputs.
    pub alignments: Vec<Alignment>,
    pub administrations: Vec<AdministrationReport>,
    /// Value maps are read with the images that they name; kept here to be referenced.
    pub value_maps: Vec<InputInstance>,
}

/// What an object is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Emission,
    Planar,
    Transmission,
    Ct,
    StructureSet,
    Segmentation,
    ViewOutlines,
    Registration,
    ValueMap,
    Administration,
}

fn role(header: &InstanceHeader) -> Option<Role> {
    let image_type = |n: usize| header.image_type.get(n).map_or("", String::as_str);
    Some(match header.sop_class.as_str() {
        uids::NUCLEAR_MEDICINE_IMAGE_STORAGE
            if matches!(image_type(2), "WHOLE BODY" | "STATIC") =>
        {
            match image_type(3) {
                "TRANSMISSION" => Role::Transmission,
                _ => Role::Planar,
            }
        }
        uids::NUCLEAR_MEDICINE_IMAGE_STORAGE
        | uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE
        | uids::ENHANCED_PET_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE => Role::Emission,
        uids::CT_IMAGE_STORAGE
        | uids::ENHANCED_CT_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE => Role::Ct,
        uids::RT_STRUCTURE_SET_STORAGE => Role::StructureSet,
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => Role::Segmentation,
        uids::SPATIAL_REGISTRATION_STORAGE | uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE => {
            Role::Registration
        }
        uids::REAL_WORLD_VALUE_MAPPING_STORAGE => Role::ValueMap,
        uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE => Role::Administration,
        _ => return None,
    })
}

/// Series by role and Series Instance UID, so that neither names nor order of files matter.
type Series = BTreeMap<(Role, Uid), Vec<PathBuf>>;

fn sort_into_series(paths: &[PathBuf], zone: &TimeZone) -> Result<Series, PipelineError> {
    let mut all = Vec::new();
    for path in paths {
        let header = InstanceHeader::read(path, zone)
            .map_err(|error| parked("an instance cannot be read", error))?;
        all.extend(role(&header).map(|role| (role, header, path)));
    }
    let views = all.iter().filter(|(role, ..)| [Role::Planar, Role::Transmission].contains(role));
    let views: BTreeSet<Uid> = views.map(|(_, header, _)| header.sop_instance.clone()).collect();
    let mut found: BTreeMap<(Role, Uid), Vec<(Uid, PathBuf)>> = BTreeMap::new();
    for (mut role, header, path) in all {
        // Outlines on views are told from volumes by what they were drawn on: either may lack a geometry.
        if role == Role::Segmentation && !views.is_empty() {
            let drawn_on = read::segmented_instances(path).map_err(|error| {
                PipelineError::of_read(&format!("segmentation {}", header.series), error)
            })?;
            if !drawn_on.is_disjoint(&views) {
                role = Role::ViewOutlines;
            }
        }
        let key = (role, header.series);
        found.entry(key).or_default().push((header.sop_instance, path.clone()));
    }
    Ok(found
        .into_iter()
        .map(|(key, mut files)| {
            files.sort();
            (key, files.into_iter().map(|(_, path)| path).collect())
        })
        .collect())
}

/// Reads everything and makes sure that it is one patient's.
///
/// # Errors
/// Any object that cannot be read parks the job: a result must not depend on which inputs happened
/// to be readable.
pub fn read(paths: &[PathBuf], zone: &TimeZone) -> Result<Inputs, PipelineError> {
    let series = sort_into_series(paths, zone)?;
    let of = |role| series.iter().filter(move |((r, _), _)| *r == role);
    let value_maps: Vec<PathBuf> =
        of(Role::ValueMap).flat_map(|(_, files)| files.clone()).collect();
    let context = EmissionContext { rwvm: &value_maps, default_zone: zone.clone() };
    let mut emissions = of(Role::Emission)
        .map(|((_, uid), files)| {
            read::emission(files, &context)
                .map_err(|error| PipelineError::of_read(&format!("image series {uid}"), error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    emissions.sort_by(|a, b| (a.acquired, &a.series).cmp(&(b.acquired, &b.series)));
    let planar = of(Role::Planar)
        .map(|((_, uid), files)| {
            read::planar(files, zone)
                .map_err(|error| PipelineError::of_read(&format!("planar series {uid}"), error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let transmissions = of(Role::Transmission)
        .map(|((_, uid), files)| {
            read::transmission(files, zone).map_err(|error| {
                PipelineError::of_read(&format!("transmission series {uid}"), error)
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let cts = of(Role::Ct)
        .map(|((_, uid), files)| {
            read::ct(files)
                .map_err(|error| PipelineError::of_read(&format!("CT series {uid}"), error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let inputs = Inputs {
        emissions,
        planar,
        planar_points: Vec::new(),
        transmissions,
        cts,
        structure_sets: each(of(Role::StructureSet), "structure set", read::structure_set)?,
        segmentations: each(of(Role::Segmentation), "segmentation", read::segmentation)?,
        view_outlines: each(of(Role::ViewOutlines), "segmentation", read::view_outlines)?,
        registrations: each(of(Role::Registration), "registration", read::registration)?,
        alignments: Vec::new(),
        administrations: each(of(Role::Administration), "administration report", |path| {
            read::administration(path, zone)
        })?,
        value_maps: each(of(Role::ValueMap), "value map", read::rwvm)?
            .into_iter()
            .map(|map| map.source)
            .collect(),
    };
    if inputs.emissions.is_empty() && inputs.planar.is_empty() {
        return Err(PipelineError::Parked(
            "no NM or PET series among the inputs; send the reconstructed images".into(),
        ));
    }
    inputs.check_one_patient()?;
    Ok(inputs)
}

/// Reads objects that stand alone, one file each.
fn each<'a, T>(
    series: impl Iterator<Item = (&'a (Role, Uid), &'a Vec<PathBuf>)>,
    what: &str,
    read: impl Fn(&Path) -> Result<T, read::ReadError>,
) -> Result<Vec<T>, PipelineError> {
    series
        .flat_map(|((_, uid), files)| files.iter().map(move |file| (uid, file)))
        .map(|(uid, file)| {
            read(file).map_err(|error| PipelineError::of_read(&format!("{what} {uid}"), error))
        })
        .collect()
}

impl Inputs {
    fn identities(&self) -> impl Iterator<Item = &PatientIdentity> {
        let images = self.emissions.iter().map(|e| &e.identity);
        images
            .chain(self.planar.iter().map(|p| &p.identity))
            .chain(self.transmissions.iter().map(|t| &t.identity))
            .chain(self.cts.iter().map(|c| &c.identity))
            .chain(self.structure_sets.iter().map(|s| &s.identity))
            .chain(self.segmentations.iter().map(|s| &s.identity))
            .chain(self.view_outlines.iter().map(|o| &o.identity))
            .chain(self.registrations.iter().map(|r| &r.identity))
            .chain(self.administrations.iter().map(|a| &a.identity))
    }

    /// What is known of a time point that was measured by planar views.
    pub fn planar_point(&self, series: &Uid) -> Option<&PlanarPoint> {
        self.planar_points.iter().find(|point| point.series == *series)
    }

    fn check_one_patient(&self) -> Result<(), PipelineError> {
        let mut identities = self.identities();
        let first = identities.next();
        if identities.any(|other| first.is_some_and(|first| !first.is_same_person(other))) {
            return Err(PipelineError::Parked(
                "the inputs are of two patients (Patient ID (0010,0020) and Issuer (0010,0021) \
                 differ); correct the identity at the source and send again"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Every instance that was read, each once, in order of its UID.
    pub fn instances(&self) -> Vec<InputInstance> {
        let mut all: Vec<InputInstance> = Vec::new();
        all.extend(self.emissions.iter().flat_map(|e| e.sources.clone()));
        // Those with a CT are emissions too by then.
        all.extend(self.planar.iter().flat_map(|p| p.sources.clone()));
        all.extend(self.transmissions.iter().flat_map(|t| t.sources.clone()));
        all.extend(self.cts.iter().flat_map(|c| c.sources.clone()));
        all.extend(self.structure_sets.iter().map(|s| s.source.clone()));
        all.extend(self.segmentations.iter().map(|s| s.source.clone()));
        all.extend(self.view_outlines.iter().map(|o| o.source.clone()));
        all.extend(self.registrations.iter().map(|r| r.source.clone()));
        all.extend(self.administrations.iter().map(|a| a.source.clone()));
        all.extend(self.value_maps.clone());
        all.sort_by(|a, b| a.sop_instance.cmp(&b.sop_instance));
        all.dedup_by(|a, b| a.sop_instance == b.sop_instance);
        all
    }
}

#[cfg(test)]
mod tests;
