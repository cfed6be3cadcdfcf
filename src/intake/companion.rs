//! What goes with the emission series of a cycle: CT, regions, registrations, mappings, transmission scans.

use super::{Role, Series, SeriesKind};
use crate::dicom::Uid;
use crate::quantity::Warning;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The companions of one cycle.
pub(super) struct Companions<'s, 'a> {
    pub(super) chosen: Vec<(Role, &'s Series<'a>)>,
    pub(super) notes: Vec<Warning>,
    /// Why no choice can be made: what is so, and what to do.
    pub(super) ambiguous: Option<(String, String)>,
}

/// Finds them by frame of reference, referenced series and study.
pub(super) fn find<'s, 'a>(
    emissions: &[&'s Series<'a>],
    patient: &[&'s Series<'a>],
    window: (Timestamp, Timestamp),
) -> Companions<'s, 'a> {
    let mut out = Companions { chosen: Vec::new(), notes: Vec::new(), ambiguous: None };
    let cts = choose_cts(emissions, patient, &mut out.notes);
    let images: Vec<&Series<'a>> = emissions.iter().chain(&cts).copied().collect();
    out.chosen.extend(cts.iter().map(|ct| (Role::Ct, *ct)));

    let uids: BTreeSet<&Uid> = images.iter().map(|series| series.uid).collect();
    let frames: BTreeSet<&Uid> =
        images.iter().flat_map(|series| series.frames_of_reference()).collect();
    let belongs = |series: &Series<'_>| {
        series.referenced_series().iter().any(|uid| uids.contains(*uid))
            || series.frames_of_reference().iter().any(|frame| frames.contains(*frame))
    };
    // What was drawn on views holds there alone: some cameras give all scans one frame of reference.
    let views = patient.iter().filter(|series| series.kind == SeriesKind::Planar);
    let other_views: BTreeSet<&Uid> =
        views.map(|series| series.uid).filter(|uid| !uids.contains(uid)).collect();
    let of_others = |series: &Series<'_>| {
        let drawn_on = series.referenced_series();
        drawn_on.is_disjoint(&uids) && !drawn_on.is_disjoint(&other_views)
    };
    for role in [Role::StructureSet, Role::Segmentation] {
        let all = of_role(patient, role);
        let all = all.filter(|series| belongs(series) && !of_others(series)).collect();
        match newest_of_each_reference(all) {
            Ok(series) => out.chosen.extend(series.into_iter().map(|s| (role, s))),
            Err(fault) => out.ambiguous = Some(fault),
        }
    }
    for role in [Role::Registration, Role::RealWorldValueMapping] {
        let all = of_role(patient, role).filter(|series| belongs(series));
        out.chosen.extend(all.map(|series| (role, series)));
    }
    let views = emissions.iter().filter(|series| series.kind == SeriesKind::Planar);
    let studies: BTreeSet<&Uid> = views.map(|s| &s.first().header.study).collect();
    let transmissions = of_role(patient, Role::Transmission)
        .filter(|series| studies.contains(&series.first().header.study));
    out.chosen.extend(transmissions.map(|series| (Role::Transmission, series)));
    let studies: BTreeSet<&Uid> = images.iter().map(|s| &s.first().header.study).collect();
    let administrations = of_role(patient, Role::Administration).filter(|series| {
        studies.contains(&series.first().header.study)
            || series.acquired().is_some_and(|at| window.0 <= at && at < window.1)
    });
    out.chosen.extend(administrations.map(|series| (Role::Administration, series)));
    out
}

fn of_role<'x, 's: 'x, 'a: 's>(
    patient: &'x [&'s Series<'a>],
    role: Role,
) -> impl Iterator<Item = &'s Series<'a>> + 'x {
    patient.iter().copied().filter(move |series| series.kind == SeriesKind::Companion(role))
}

/// One CT for each emission series: same frame of reference before same study, then nearest in
/// time, then most slices, then smallest UID.
fn choose_cts<'s, 'a>(
    emissions: &[&'s Series<'a>],
    patient: &[&'s Series<'a>],
    notes: &mut Vec<Warning>,
) -> Vec<&'s Series<'a>> {
    let mut chosen: BTreeMap<&Uid, &'s Series<'a>> = BTreeMap::new();
    for emission in emissions {
        let frames = emission.frames_of_reference();
        let same_frame = |ct: &Series<'_>| !ct.frames_of_reference().is_disjoint(&frames);
        let study = &emission.first().header.study;
        let rank = |ct: &Series<'_>| {
            let apart = match (ct.acquired(), emission.acquired()) {
                (Some(ct), Some(emission)) => ct.duration_since(emission).unsigned_abs().as_secs(),
                _ => u64::MAX,
            };
            (!same_frame(ct), apart, usize::MAX - ct.instances.len(), ct.uid.clone())
        };
        let candidates: Vec<&Series<'a>> = of_role(patient, Role::Ct)
            .filter(|ct| same_frame(ct) || ct.first().header.study == *study)
            .collect();
        let Some(best) = candidates.iter().copied().min_by_key(|ct| rank(ct)) else { continue };
        // One CT in the image's own study is what everybody would take: nothing to tell.
        let alike = |ct: &&&Series<'_>| {
            same_frame(ct) == same_frame(best)
                && (best.first().header.study != *study || ct.first().header.study == *study)
        };
        let rivals = candidates.iter().filter(alike).count();
        if rivals > 1 {
            notes.push(Warning::new(
                "ct-chosen",
                format!(
                    "{rivals} CT series go with emission series {}; {} was used (same frame of \
                     reference, nearest in time, most slices)",
                    emission.uid, best.uid
                ),
            ));
        }
        chosen.insert(best.uid, best);
    }
    chosen.into_values().collect()
}

/// Of several region objects that were drawn on the same series, the newest by its own date.
fn newest_of_each_reference<'s, 'a>(
    all: Vec<&'s Series<'a>>,
) -> Result<Vec<&'s Series<'a>>, (String, String)> {
    let mut groups: BTreeMap<Vec<&Uid>, Vec<&'s Series<'a>>> = BTreeMap::new();
    for series in all {
        groups.entry(series.referenced_series().into_iter().collect()).or_default().push(series);
    }
    let mut chosen = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|series| series.acquired());
        let last = group.len() - 1;
        let undecided = group.len() > 1
            && (group[0].acquired().is_none()
                || group[last].acquired() == group[last - 1].acquired());
        if undecided {
            return Err((
                format!(
                    "{} {} objects are drawn on the same series and their dates do not say which \
                     is newer",
                    group.len(),
                    group[0].first().header.modality
                ),
                "send one that holds all regions, with a later date".to_owned(),
            ));
        }
        chosen.push(group[last]);
    }
    Ok(chosen)
}
