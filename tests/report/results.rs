//! The results of one cycle, as others read them.

use crate::dose_reports::received;
use crate::peer::{dciodvfy_faults, peer, python_with, said, script};
use grayd::biology::effect::MixedDose;
use grayd::dicom::read::Assay;
use grayd::dicom::write::Code;
use grayd::dicom::{PatientIdentity, Uid};
use grayd::kinetics::{Candidate, Exponential, Fit};
use grayd::quantity::nuclide::Nuclide;
use grayd::quantity::{
    Becquerel, BecquerelSecond, Gram, Gray, Measured, PerSecond, Seconds, Warning,
};
use grayd::report::{
    Acquisition, AdministrationFacts, Bed, Completeness, CycleResult, DoseBits, DoseSpread,
    DoseStatistics, Effect, EngineReport, EquivalentUniformDose, InputInstance, Kind, Predecessor,
    RegionResult, RegisteredMotion, RegisteredSpace, ReportError, ReportOptions, SignedResult,
    Software, StructureSetReference, StudyIdentity, TherapyEstimate, TimePoint, VoxelBed, VoxelMap,
    VoxelResult, Written, write_all,
};
use grayd::volume::transform::{Affine, Deformation};
use grayd::volume::{Grid, Occupancy, Volume};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of dciodvfy that are normal for our objects, and why. Everything else is a fault.
pub const NORMAL_LINES: &[(&str, &str)] = &[
    (
        "is only permitted to be empty when actually unknown",
        "Laterality of a registration: it is asked for (2C), and no part of the body is meant",
    ),
    ("= <PLAN_OVERVIEW>", "the validator's list of defined terms is older than the term"),
    ("</PlanOverviewSequence(300c,0116)", "the validator does not know the sequence"),
    ("</EntityLongLabel(3010,0038)>", "the validator's RT Dose module is older than the attribute"),
    ("Unrecognized defined term = <99RPT>", "the private coding scheme, declared in the document"),
    (
        "Unrecognized defined term = <QUANTITY>",
        "of Parametric Maps; the validator's list has it not",
    ),
    ("/CodingSchemeUID(0008,010c)[1]> - Unrecognized defined term", "its UID"),
];

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

pub fn grid() -> Grid {
    Grid::axial([10, 20, 18], [4.8, 4.7, 5.1], [-43.21, -61.37, 112.063]).unwrap()
}

/// A dose that differs in every voxel.
fn dose_map(grid: &Grid) -> Volume<f32> {
    let values = ndarray::Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
        let r2 =
            [k as f64 - 4.5, j as f64 - 9.5, i as f64 - 8.5].iter().map(|d| d * d).sum::<f64>();
        (12.34567 * (-r2 / 30.0).exp() + 1e-3 * (i + 18 * j) as f64) as f32
    });
    Volume::new(grid.clone(), values)
}

pub fn region(number: u16, name: &str, grid: &Grid, centre: [f64; 3], radius: f64) -> RegionResult {
    let mut voxels = Vec::new();
    for k in 0..10 {
        for j in 0..20 {
            for i in 0..18 {
                let d = [k as f64 - centre[2], j as f64 - centre[1], i as f64 - centre[0]];
                let r = d.iter().map(|x| x * x).sum::<f64>().sqrt();
                let filled = (radius + 0.5 - r).clamp(0.0, 1.0);
                voxels.push((grid.linear(k, j, i) as u32, filled as f32));
            }
        }
    }
    let occupancy = Occupancy::new(voxels);
    let volume = occupancy.volume(grid);
    let dvh = (0..1001)
        .map(|n| {
            let part = f64::from(n) / 1000.0;
            (Gray::new(12.5 * part), volume * (1.0 - part).powi(2))
        })
        .collect();
    let measured = |mbq| {
        let value = Becquerel::from_mbq(mbq);
        Some(Measured { value, relative_uncertainty: Some(0.1) })
    };
    RegionResult {
        name: name.into(),
        number,
        anatomy: None,
        made: None,
        occupancy,
        volume: Some(volume),
        mass: Some(Gram::new(volume.value() * 1.05)),
        activity: [60.1, 44.4, 21.7, 11.2].map(measured).to_vec(),
        recovery: None,
        fit: Some(Fit {
            model: "mono-exponential",
            terms: vec![Exponential {
                amplitude: Becquerel::from_mbq(63.0),
                rate: PerSecond::new(3.6e-6),
            }],
            time_integrated_activity: BecquerelSecond::from_mbq_h(4861.1),
            relative_uncertainty: Some(0.021),
            effective_half_life: Some(Seconds::from_hours(53.5)),
            extrapolated_fraction: 0.113,
            candidates: vec![Candidate { model: "mono-exponential", aicc: -12.5, weight: 0.9 }],
            ..Fit::default()
        }),
        dose: Some(DoseStatistics {
            mean: Gray::new(7.654321098765),
            spread: Some(DoseSpread {
                min: Gray::new(1.25),
                max: Gray::new(12.5),
                median: Gray::new(7.1),
                sd: Gray::new(2.2),
                d98: Gray::new(1.5),
                d95: Gray::new(1.9),
                d90: Gray::new(2.4),
                d50: Gray::new(7.1),
                d2: Gray::new(12.1),
                dvh,
            }),
        }),
        alpha: None,
        therapy: None,
        bed: Some(Bed {
            value: Gray::new(8.9),
            alpha_beta: Gray::new(2.6),
            repair_half_time: Seconds::from_hours(2.8),
            provenance: "P".into(),
        }),
        effect: Default::default(),
        uncertainty: Some(0.083),
        uncertainty_budget: None,
        warnings: vec![],
    }
}

pub fn input(modality: &str, class: &str, study: u32, series: u32, n: u32) -> InputInstance {
    InputInstance {
        sop_class: uid(class),
        sop_instance: uid(&format!("1.2.826.0.1.{study}.{series}.{n}")),
        series: uid(&format!("1.2.826.0.1.{study}.{series}")),
        study: uid(&format!("1.2.826.0.1.{study}")),
        modality: modality.into(),
        sha256: format!("{:064x}", series * 1000 + n),
    }
}

fn inputs() -> Vec<InputInstance> {
    let mut inputs: Vec<InputInstance> =
        (1..5).map(|day| input("NM", "1.2.840.10008.5.1.4.1.1.20", day, 10 + day, 1)).collect();
    inputs.extend((1..8).map(|n| input("CT", "1.2.840.10008.5.1.4.1.1.2", 1, 20, n)));
    inputs.push(input("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3", 1, 30, 1));
    inputs
}

/// Everything that a plan can say of an administration.
fn administration(at: jiff::Timestamp) -> AdministrationFacts {
    let assay = |mbq| Some(Assay { activity: Becquerel::from_mbq(mbq), at: Some(at) });
    AdministrationFacts {
        before: assay(7450.0),
        after: assay(50.0),
        activity_meter: Some("VIK-202 1234".into()),
        traceable_to: Some("PTB".into()),
        meter_checked_on: Some(jiff::civil::date(2026, 3, 2)),
        route: Some(Code::new("47625008", "SCT", "Intravenous route")),
        by: Some("Meyer^Anna".into()),
        co_medication: vec!["lysine and arginine, 25 g each in 1 L over 4 h".into()],
        well_counter: Some("Wizard 2480".into()),
        reports: Vec::new(),
    }
}

/// What lies on the dose grid of a result that has one.
pub fn voxels(result: &mut CycleResult) -> &mut VoxelResult {
    result.voxels.as_mut().unwrap()
}

pub fn result() -> CycleResult {
    let grid = grid();
    let administered_at = "2026-03-02T09:15:00Z".parse().unwrap();
    let hours = [4.0, 24.0, 96.0, 168.0];
    let time_points = hours.iter().zip(1..).map(|(&h, day)| TimePoint {
        acquired: jiff::Timestamp::from_second(1_772_442_900 + (h * 3600.0) as i64).unwrap(),
        after_administration: Seconds::from_hours(h),
        series: uid(&format!("1.2.826.0.1.{day}.{}", 10 + day)),
        modality: "NM".into(),
        is_planar: false,
        field_of_view: Some(Becquerel::from_mbq(4000.0 / f64::from(day))),
        quantification: "Real World Value Mapping in Bq/ml".into(),
        acquisition: Acquisition {
            checked_on: Some(jiff::civil::date(2026, 3, 3)),
            ..Acquisition::default()
        },
    });
    let mut lesion = region(3, "Lesion 1", &grid, [8.0, 9.0, 4.0], 2.0);
    lesion.uncertainty = None;
    lesion.bed = None;
    lesion.warnings.push(Warning::new("small-region", "smaller than three voxels; read with care"));
    CycleResult {
        software: Software {
            name: "grayd",
            version: "0.1.0",
            parameters_sha256: "0123456789abcdef".repeat(4),
        },
        protocol: "multi-time-point".into(),
        protocol_version: "1".into(),
        patient: PatientIdentity {
            id: "P-0001".into(),
            issuer: "HOSPITAL".into(),
            name: "Müller^Änne".into(),
            birth_date: "19600229".into(),
            sex: "F".into(),
        },
        study: StudyIdentity {
            study: Some(uid("1.2.826.0.1.1")),
            date: "20260302".into(),
            time: "141500".into(),
            id: "S1".into(),
            accession_number: "A123".into(),
            referring_physician: "Doe^Jane".into(),
            description: "Lu-177 SPECT/CT".into(),
        },
        cycle: 2,
        completeness: Completeness::Final,
        predecessor: None,
        radiopharmaceutical: "177Lu-DOTATATE".into(),
        nuclide: Nuclide::parse("Lu-177").unwrap(),
        administered: Becquerel::from_mbq(7400.0),
        administered_at,
        administration: administration(administered_at),
        inputs: inputs(),
        time_points: time_points.collect(),
        whole_body_counts: Vec::new(),
        reference_series: uid("1.2.826.0.1.1.11"),
        registrations: vec![RegisteredSpace {
            registered_frame: uid("1.2.826.0.1.77"),
            moving_frame: Some(uid("1.2.826.0.1.78")),
            moving_images: vec![uid("1.2.826.0.1.2.12.1")],
            moving_to_registered: [
                [0.0, -1.0, 0.0, 10.0],
                [1.0, 0.0, 0.0, -20.5],
                [0.0, 0.0, 1.0, 30.25],
                [0.0, 0.0, 0.0, 1.0],
            ],
            motion: RegisteredMotion::Rigid,
            images: "CT",
            metric: "correlation",
            score: 0.98,
            overlap: 0.93,
        }],
        voxels: Some(VoxelResult {
            frame_of_reference: uid("1.2.826.0.1.77"),
            structure_set: Some(StructureSetReference {
                sop_instance: uid("1.2.826.0.1.1.30.1"),
                series: uid("1.2.826.0.1.1.30"),
                study: uid("1.2.826.0.1.1"),
                roi_numbers: vec![(1, 4), (2, 5), (3, 9)],
            }),
            gy: dose_map(&grid),
            error_gy: None,
            bed: None,
            maps: Vec::new(),
            ct: None,
            planes: Vec::new(),
        }),
        engine: EngineReport {
            name: "local",
            chosen_because: "stated in the plan".into(),
            mass_source: "CT density".into(),
            energy_per_decay_kev: Some(147.9),
            histories: None,
            relative_uncertainty: None,
        },
        regions: vec![
            region(1, "Kidney Left", &grid, [5.0, 6.0, 3.0], 3.0),
            region(2, "Kidney Right", &grid, [12.0, 13.0, 6.0], 3.0),
            lesion,
        ],
        warnings: vec![Warning::new(
            "decay-factor-contradiction",
            "Decay Factor (0054,1321) contradicts the half-life; recomputed with the true one",
        )],
        prescription: None,
        signed_results: vec![SignedResult {
            cycle: 1,
            by: "physicist".into(),
            at: "2026-02-10T08:30:00Z".parse().unwrap(),
        }],
        computed_at: "2026-03-09T12:00:00Z".parse().unwrap(),
    }
}

pub fn options(bits: DoseBits) -> ReportOptions {
    ReportOptions {
        dose_bits: bits,
        structure_set: true,
        dose_reports: true,
        utc_offset: jiff::tz::Offset::constant(1),
        institution: "Hospital of the North".into(),
        ..ReportOptions::default()
    }
}

fn written(kind: Kind, bits: DoseBits, directory: &Path) -> PathBuf {
    let all = write_all(&result(), directory, &options(bits)).unwrap();
    all.into_iter().find(|w| w.kind == kind).unwrap().path
}

/// Results that differ in what objects have to hold.
pub fn variants() -> Vec<CycleResult> {
    let mut provisional = result();
    provisional.completeness = Completeness::Provisional;
    provisional.predecessor =
        Some(Predecessor { study: uid("1.2.826.0.1.1"), sop_instance: uid("1.2.826.0.1.99") });
    let mut bare = result();
    voxels(&mut bare).structure_set = None;
    bare.study = StudyIdentity::default();
    bare.engine.mass_source = "stated density 1.04 g/mL".into();
    bare.warnings.clear();
    let mut coronal = result();
    let (grid, values) = voxels(&mut coronal).gy.clone().into_parts();
    let shape = grid.shape();
    let grid =
        Grid::new(shape, grid.spacing_mm(), [1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]);
    voxels(&mut coronal).gy = Volume::new(grid.unwrap(), values);
    bare.administration = AdministrationFacts::default();
    vec![
        result(),
        provisional,
        bare,
        coronal,
        simulated(),
        with_maps(),
        received(),
        of_a_tracer(),
        deformed(),
    ]
}

/// A tracer of a therapy with alphas, whose voxels have a BED and whose distributions are looked into.
fn of_a_tracer() -> CycleResult {
    let mut tracer = result();
    let gray = Gray::new;
    let alpha = MixedDose { alpha: gray(0.9), electron: gray(0.1), photon: gray(0.0) };
    for region in &mut tracer.regions {
        region.alpha = Some(alpha);
        region.therapy = Some(TherapyEstimate {
            radiopharmaceutical: "225Ac-DOTATATE".into(),
            dose_per_gbq: gray(412.0),
            alpha: Some(alpha),
            relative_uncertainty: Some(0.21),
            residence: Seconds::from_hours(2.5),
            biological: vec![(0.03, PerSecond::new(2.0e-6))],
            method: "biology of the tracer",
        });
        region.effect = Effect {
            eqd2: Some(gray(5.03)),
            eud: Some(EquivalentUniformDose { dose: gray(6.9), alpha_per_gy: 0.3 }),
            mean_of_voxel_bed: Some(gray(9.4)),
            volumes_at: vec![(gray(5.0), 0.83), (gray(10.0), 0.12)],
        };
    }
    let gy = Volume::new(grid(), dose_map(&grid()).values().mapv(|gy| 1.1 * gy));
    let assumed = vec!["Kidney Left: α/β 2.6 Gy, T_rep 2.8 h (S)".into()];
    voxels(&mut tracer).bed = Some(VoxelBed { gy, assumed });
    tracer
}

#[test]
fn the_bed_of_voxels_comes_back_as_an_rt_dose_of_type_effective() {
    let Some(python) = python_with("pydicom, numpy") else { return };
    let directory = tempfile::tempdir().unwrap();
    let all = write_all(&of_a_tracer(), directory.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    let path = |kind| &all.iter().find(|written| written.kind == kind).unwrap().path;
    let dose = script(&python, "dose_pydicom.py", &[path(Kind::RtDose)]);
    let bed = script(&python, "dose_pydicom.py", &[path(Kind::RtDoseEffective)]);
    assert_eq!((&bed["type"], &bed["pixel_representation"]), (&"EFFECTIVE".into(), &0.into()));
    assert_ne!(dose["series"], bed["series"]);
    let (doses, beds) = (dose["voxels"].as_array().unwrap(), bed["voxels"].as_array().unwrap());
    assert_eq!(doses.len(), beds.len());
    for (dose, bed) in doses.iter().zip(beds) {
        let number = |voxel: &serde_json::Value| voxel[3].as_f64().unwrap();
        assert!((number(bed) - 1.1 * number(dose)).abs() < 1e-5, "{dose} {bed}");
    }
}

/// A result whose second space was deformed onto the first.
fn deformed() -> CycleResult {
    let mut deformed = result();
    let nodes = Grid::axial([5, 4, 3], [16.0; 3], [-20.0, -30.0, 100.0]).unwrap();
    let vectors = (0..nodes.len()).map(|n| [n as f32 * 0.01, -0.5, 0.25]).collect();
    let start = Affine::new(deformed.registrations[0].moving_to_registered).unwrap().inverse();
    let map = Deformation::new(Affine::IDENTITY, start, nodes, vectors).unwrap();
    let jacobian = map.jacobian_range();
    deformed.registrations[0].motion = RegisteredMotion::Deformable { map: map.into(), jacobian };
    deformed
}

#[test]
fn a_deformation_is_read_back_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let deformed = deformed();
    let all = write_all(&deformed, directory.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    assert!(all.iter().all(|written| written.kind != Kind::Registration));
    let written = all.iter().find(|written| written.kind == Kind::DeformableRegistration).unwrap();
    let read = grayd::dicom::read::registration(&written.path).unwrap();
    let space = &deformed.registrations[0];
    let RegisteredMotion::Deformable { map, .. } = &space.motion else { panic!("{space:?}") };
    assert_eq!(read.registered_frame_of_reference, space.registered_frame);
    let [found] = &read.deformations[..] else { panic!("{:?}", read.deformations) };
    assert_eq!(found.source_frame_of_reference, space.moving_frame);
    assert_eq!(found.source_images, space.moving_images);
    assert_eq!(found.pre, Affine::IDENTITY.matrix());
    assert_eq!(found.post, map.post().matrix());
    let grid = found.grid.as_ref().unwrap();
    assert_eq!(grid.dimensions, [3, 4, 5]);
    assert_eq!((grid.resolution_mm, grid.origin_lps_mm), ([16.0; 3], [-20.0, -30.0, 100.0]));
    assert_eq!(grid.offsets_mm, map.displacement_mm());
}

/// A result of Monte Carlo, with a standard error of 3 % in every voxel.
fn simulated() -> CycleResult {
    let dose = dose_map(&grid());
    let mut simulated = result();
    simulated.engine.name = "monte-carlo";
    simulated.engine.histories = Some(1_000_000);
    voxels(&mut simulated).error_gy = Some(Volume::new(grid(), dose.values().mapv(|gy| 0.03 * gy)));
    simulated
}

#[test]
fn the_standard_error_of_a_simulated_dose_comes_back_as_an_rt_dose_of_type_error() {
    let Some(python) = python_with("pydicom, numpy") else { return };
    let directory = tempfile::tempdir().unwrap();
    for bits in [DoseBits::ThirtyTwo, DoseBits::Sixteen] {
        let all = write_all(&simulated(), directory.path(), &options(bits)).unwrap();
        let path = |kind| &all.iter().find(|written| written.kind == kind).unwrap().path;
        let dose = script(&python, "dose_pydicom.py", &[path(Kind::RtDose)]);
        let error = script(&python, "dose_pydicom.py", &[path(Kind::RtDoseError)]);
        assert_eq!((&dose["type"], &dose["pixel_representation"]), (&"PHYSICAL".into(), &0.into()));
        assert_eq!((&error["type"], &error["pixel_representation"]), (&"ERROR".into(), &1.into()));
        assert_ne!(dose["series"], error["series"]);
        let (doses, errors) =
            (dose["voxels"].as_array().unwrap(), error["voxels"].as_array().unwrap());
        assert_eq!(doses.len(), errors.len());
        let step = if bits == DoseBits::ThirtyTwo { 1e-6 } else { 1e-3 };
        for (dose, error) in doses.iter().zip(errors) {
            let number = |voxel: &serde_json::Value, n: usize| voxel[n].as_f64().unwrap();
            assert!((0..3).all(|n| number(dose, n) == number(error, n)));
            assert!((number(error, 3) - 0.03 * number(dose, 3)).abs() < step, "{dose} {error}");
        }
    }
    let plain = write_all(&result(), directory.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    assert!(plain.iter().all(|written| written.kind != Kind::RtDoseError));
}

/// Voxels that were fitted one by one.
fn with_maps() -> CycleResult {
    let mut result = result();
    let map = |kind, factor: f32| {
        let gy = &result.voxels.as_ref().unwrap().gy;
        let (grid, values) = (gy.grid().clone(), gy.values());
        VoxelMap { kind, values: Volume::new(grid, values.mapv(|gy| gy * factor)) }
    };
    let maps = [map(Kind::TimeIntegratedActivityMap, 12.5), map(Kind::EffectiveHalfLifeMap, 4.0)];
    voxels(&mut result).maps = maps.into();
    result
}

#[test]
fn highdicom_reads_the_parametric_maps_value_by_value() {
    let Some(python) = python_with("highdicom") else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut result = with_maps();
    let all = write_all(&result, directory.path(), &options(DoseBits::ThirtyTwo)).unwrap();
    for (map, [quantity, unit]) in voxels(&mut result)
        .maps
        .iter()
        .zip([["Time-integrated activity", "MBq.h/mL"], ["Effective half-life", "h"]])
    {
        let path = &all.iter().find(|w| w.kind == map.kind).unwrap().path;
        let seen = script(&python, "map_highdicom.py", &[path]);
        assert_eq!((&seen["quantity"], &seen["unit"]), (&quantity.into(), &unit.into()));
        assert_eq!(seen["shape"], serde_json::json!(map.values.grid().shape()));
        for probe in seen["probes"].as_array().unwrap() {
            let at = [0, 1, 2].map(|c| probe["lps_mm"][c].as_f64().unwrap());
            let [i, j, k] = map.values.grid().lps_to_voxel(at).map(|v| v.round() as usize);
            let value = probe["value"].as_f64().unwrap();
            assert_eq!(value as f32, map.values.values()[[k, j, i]]);
        }
        let sum: f64 = map.values.as_slice().iter().map(|v| f64::from(*v)).sum();
        assert!((seen["sum"].as_f64().unwrap() / sum - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_map_that_is_no_number_somewhere_is_refused() {
    let mut broken = with_maps();
    voxels(&mut broken).maps[1].values.values_mut()[[1, 2, 3]] = f32::NAN;
    let directory = tempfile::tempdir().unwrap();
    let refused = write_all(&broken, directory.path(), &options(DoseBits::ThirtyTwo)).unwrap_err();
    assert!(matches!(refused, ReportError::DoseNotFinite(_)), "{refused}");
}

#[test]
fn dciodvfy_finds_nothing_but_the_documented_lines() {
    let Some(dciodvfy) = peer("dciodvfy") else { return };
    for (n, result) in variants().iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        // The validator aborts on 32-bit Pixel Data, so it sees the 16-bit twin.
        let all = write_all(result, directory.path(), &options(DoseBits::Sixteen)).unwrap();
        // It does not know the Patient Radiation Dose SR, which DCMTK does (`dose_reports.rs`).
        let known = |w: &&Written| w.sop_class.is_some() && w.kind != Kind::PatientDoseReport;
        let objects = all.iter().filter(known);
        let faults: Vec<String> =
            objects.flat_map(|w| dciodvfy_faults(&dciodvfy, &w.path, NORMAL_LINES)).collect();
        assert!(faults.is_empty(), "variant {n}: {}", faults.join("\n"));
    }
}

#[test]
fn dsrdump_reads_the_whole_tree_without_complaint() {
    let Some(dsrdump) = peer("dsrdump") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = written(Kind::StructuredReport, DoseBits::ThirtyTwo, directory.path());
    let text = said(Command::new(dsrdump).args(["+Pl"]).arg(&path));
    // DCMTK's check of value representations does not know UTF-8.
    let complaints = text.lines().filter(|line| line.starts_with("W:") || line.starts_with("E:"));
    let odd: Vec<_> = complaints.filter(|line| !line.contains("ISO_IR 192")).collect();
    assert!(odd.is_empty(), "{odd:?}");
    for fragment in [
        "Comprehensive 3D SR Document",
        "Research software",
        "decay-factor-contradiction",
        "small-region",
        "not available for this region: BED, uncertainty",
        "7.654321098765",
        "Kidney",
        "4861.1",
    ] {
        assert!(text.contains(fragment), "{fragment} is missing in\n{text}");
    }
}

#[test]
fn every_foreign_reader_finds_the_same_dose_at_the_same_place() {
    let Some(python) = python_with("pydicom, numpy, SimpleITK") else { return };
    let directory = tempfile::tempdir().unwrap();
    for bits in [DoseBits::ThirtyTwo, DoseBits::Sixteen] {
        let path = written(Kind::RtDose, bits, directory.path());
        let mut readers = vec![
            script(&python, "dose_pydicom.py", &[&path]),
            script(&python, "dose_simpleitk.py", &[&path]),
        ];
        if let Some(plastimatch) = peer("plastimatch") {
            let image = directory.path().join("dose.mha");
            let mut convert = Command::new(plastimatch);
            convert.arg("convert").arg("--input").arg(&path);
            said(convert.arg("--output-dose-img").arg(&image));
            readers.push(script(&python, "dose_simpleitk.py", &[&image]));
        }
        for reader in readers {
            same_dose(&reader, bits);
        }
    }
}

/// `reader`: position and dose of some voxels as a foreign program sees them.
fn same_dose(reader: &serde_json::Value, bits: DoseBits) {
    let (grid, dose) = (grid(), dose_map(&grid()));
    let maximum = dose.as_slice().iter().copied().fold(0.0f32, f32::max);
    let voxels = reader["voxels"].as_array().unwrap();
    assert_eq!(voxels.len(), grid.len(), "{}", reader["reader"]);
    let tolerance = if bits == DoseBits::ThirtyTwo { 1e-6 } else { 1e-4 } * f64::from(maximum);
    for voxel in voxels {
        let number = |n: usize| voxel[n].as_f64().unwrap();
        let at = grid.lps_to_voxel([number(0), number(1), number(2)]);
        let index = at.map(|v| v.round() as usize);
        let back = grid.voxel_to_lps(at.map(f64::round));
        let off = (0..3).map(|c| (back[c] - number(c)).abs()).fold(0.0, f64::max);
        assert!(off < 0.01, "{}: {off} mm off at {voxel}", reader["reader"]);
        let ours = f64::from(dose.values()[[index[2], index[1], index[0]]]);
        let apart = (number(3) - ours).abs();
        assert!(apart <= tolerance, "{}: {apart} Gy apart at {voxel}", reader["reader"]);
    }
}

#[test]
fn pydicom_gets_the_histograms_back_from_bin_widths() {
    let Some(python) = python_with("pydicom, numpy") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = written(Kind::RtDose, DoseBits::ThirtyTwo, directory.path());
    let seen = script(&python, "dose_pydicom.py", &[&path]);
    let histograms = seen["dvh"].as_array().unwrap();
    let rois: Vec<_> = histograms.iter().map(|h| h["roi"].as_i64().unwrap()).collect();
    assert_eq!(rois, [4, 5, 9]);
    for (region, histogram) in result().regions.iter().zip(histograms) {
        let dose = region.dose.as_ref().unwrap();
        assert_eq!(histogram["mean"].as_f64(), Some(dose.mean.value()));
        let curve = histogram["curve"].as_array().unwrap();
        assert_eq!(curve.len(), dose.spread.as_ref().unwrap().dvh.len());
        for (theirs, (gray, volume)) in curve.iter().zip(&dose.spread.as_ref().unwrap().dvh) {
            assert!((theirs[0].as_f64().unwrap() - gray.value()).abs() < 1e-8);
            assert!((theirs[1].as_f64().unwrap() - volume.value()).abs() < 1e-5);
        }
    }
}

#[test]
fn highdicom_reads_the_segments_voxel_by_voxel() {
    let Some(python) = python_with("highdicom") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = written(Kind::Segmentation, DoseBits::ThirtyTwo, directory.path());
    let seen = script(&python, "seg_highdicom.py", &[&path]);
    let (result, grid) = (result(), grid());
    assert_eq!(seen["segments"].as_array().unwrap().len(), 3);
    for (region, segment) in result.regions.iter().zip(seen["segments"].as_array().unwrap()) {
        assert_eq!(segment["label"], region.name);
        let ours: std::collections::BTreeSet<usize> =
            region.occupancy.iter().filter(|v| v.1 >= 0.5).map(|v| v.0).collect();
        let theirs: std::collections::BTreeSet<usize> = segment["positions_lps_mm"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let at = [0, 1, 2].map(|c| p[c].as_f64().unwrap());
                let [i, j, k] = grid.lps_to_voxel(at).map(|v| v.round() as usize);
                grid.linear(k, j, i)
            })
            .collect();
        assert_eq!(ours, theirs, "{}", region.name);
    }
    assert_eq!(seen["segments"][0]["type"], "Kidney");
    assert_eq!(seen["segments"][0]["modifier"], "Left");
}

#[test]
fn highdicom_finds_every_number_of_a_region_in_its_measurement_groups() {
    let Some(python) = python_with("highdicom") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = written(Kind::StructuredReport, DoseBits::ThirtyTwo, directory.path());
    let seen = script(&python, "sr_highdicom.py", &[&path]);
    let groups = seen["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3 * (1 + 4));
    let first = &groups[0];
    assert_eq!(first["tracking_identifier"], "Kidney Left");
    let value = |name: &str| first["values"][name].as_f64().unwrap_or(f64::NAN);
    let region = &result().regions[0];
    for (name, expected) in [
        ("Absorbed Dose/Mean [Gy]", 7.654321098765),
        ("Absorbed Dose/Maximum [Gy]", 12.5),
        ("Absorbed Dose/Standard Deviation [Gy]", 2.2),
        ("Minimum dose to hottest 98% of volume [Gy]", 1.5),
        ("Minimum dose to hottest 2% of volume [Gy]", 12.1),
        ("Volume [cm3]", region.volume.unwrap().value()),
        ("Mass [g]", region.mass.unwrap().value()),
        ("Time-integrated activity [MBq.h]", 4861.1),
        ("Time-integrated activity coefficient [h]", 4861.1 / 7400.0),
        ("Effective half-life [h]", 53.5),
        ("Biologically Effective Dose [Gy]", 8.9),
        ("Relative standard uncertainty of mean absorbed dose, k=1 [%]", 8.3),
        ("Absorbed dose per administered activity [Gy/GBq]", 7.654321098765 / 7.4),
    ] {
        assert!((value(name) - expected).abs() <= 1e-9 * expected, "{name}: {first}");
    }
    let second = &groups[2]["values"]["Activity in region at beginning of acquisition [MBq]"];
    assert_eq!(second.as_f64(), Some(44.4));
    // Segment numbers refer to the SEG that the same result wrote.
    let segmentation = written(Kind::Segmentation, DoseBits::ThirtyTwo, directory.path());
    let object = dicom_object::open_file(segmentation).unwrap();
    let instance = object.element(dicom_dictionary_std::tags::SOP_INSTANCE_UID).unwrap();
    assert_eq!(first["referenced_segment"]["instance"], instance.to_str().unwrap().as_ref());
    assert_eq!(groups[10]["referenced_segment"]["segment"], 3);
    // What could not be had is no number, and the document says so.
    assert!(groups[10]["values"]["Biologically Effective Dose [Gy]"].is_null());
    assert_eq!(seen["patient_name"], "Müller^Änne");
}

#[test]
fn the_same_result_twice_has_the_same_uids_whatever_the_order_of_its_inputs() {
    let directory = tempfile::tempdir().unwrap();
    let uids = |result: &CycleResult, options: &ReportOptions| -> Vec<Option<Uid>> {
        let all = write_all(result, directory.path(), options).unwrap();
        all.into_iter().map(|w| w.sop_instance).collect()
    };
    let (first, plain) = (result(), options(DoseBits::ThirtyTwo));
    let mut later = result();
    later.computed_at = "2026-04-01T00:00:00Z".parse().unwrap();
    later.inputs.reverse();
    assert_eq!(uids(&first, &plain), uids(&later, &plain));
    let mut other = result();
    other.inputs[0].sha256 = "f".repeat(64);
    assert!(uids(&first, &plain).iter().zip(uids(&other, &plain)).take(4).all(|(a, b)| a != &b));
    assert_ne!(uids(&first, &plain)[0], uids(&first, &options(DoseBits::Sixteen))[0]);
}

#[test]
fn results_json_holds_no_nan_and_says_what_is_missing() {
    let mut broken = result();
    broken.regions[1].dose.as_mut().unwrap().mean = Gray::new(f64::NAN);
    broken.regions[1].mass = None;
    broken.time_points[2].field_of_view = Some(Becquerel::new(f64::NAN));
    broken.engine.energy_per_decay_kev = Some(f64::NAN);
    let json = grayd::report::json::write(&broken);
    let text = json.to_string();
    assert!(!text.contains("NaN") && !text.contains("inf"));
    let region = &json["regions"][1];
    assert!(region["absorbed_dose_gy"].is_null() && region["mass_g"].is_null());
    let warnings = region["warnings"].to_string();
    assert!(warnings.contains("not-a-number") && warnings.contains("mass"), "{warnings}");
    assert_eq!(json["regions"][0]["absorbed_dose_gy"]["mean"], 7.654321098765);
    assert_eq!(json["regions"][0]["activity_mbq"][3]["hours"], 168.0);
    // Cumulative: (Gy, ml that receives at least that), from the whole volume on.
    let dvh: Vec<(f64, f64)> = serde_json::from_value(json["regions"][0]["dvh"].clone()).unwrap();
    let given = &broken.regions[0].dose.as_ref().unwrap().spread.as_ref().unwrap().dvh;
    assert_eq!(dvh.len(), given.len());
    for ((gy, ml), (gray, millilitre)) in dvh.iter().zip(given) {
        assert!((gy - gray.value()).abs() <= 1e-6 * gray.value(), "{gy}");
        assert!((ml - millilitre.value()).abs() <= 1e-6 * millilitre.value(), "{ml}");
    }
    assert!(region["dvh"].is_null());
    assert_eq!(json["grid"]["shape"], serde_json::json!([10, 20, 18]));
    // The same region in the other objects: written without the number, never with a NaN.
    let directory = tempfile::tempdir().unwrap();
    for object in write_all(&broken, directory.path(), &options(DoseBits::ThirtyTwo)).unwrap() {
        if is_packed(object.kind) {
            continue;
        }
        let bytes = std::fs::read(&object.path).unwrap();
        assert!(!bytes.windows(3).any(|w| w == b"NaN"), "{:?}", object.kind);
    }
}

/// The text of pages is compressed; `pages.rs` reads it.
fn is_packed(kind: Kind) -> bool {
    matches!(kind, Kind::Document | Kind::Pages)
}

#[test]
fn every_object_carries_warnings_and_the_research_mark() {
    let directory = tempfile::tempdir().unwrap();
    for object in write_all(&result(), directory.path(), &options(DoseBits::ThirtyTwo)).unwrap() {
        if is_packed(object.kind) {
            continue;
        }
        let bytes = std::fs::read(&object.path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(holds("Research software. Not a medical device."), "{:?}", object.kind);
        // These hold no number that came from the images' values.
        let has_values = !matches!(object.kind, Kind::Registration | Kind::AdministrationReport);
        assert!(!has_values || holds("decay-factor-contradiction"), "{:?}", object.kind);
    }
}

#[test]
fn what_cannot_be_said_is_refused() {
    let mut broken = result();
    broken.regions[2].number = 7;
    let directory = tempfile::tempdir().unwrap();
    let refused = write_all(&broken, directory.path(), &options(DoseBits::ThirtyTwo));
    assert!(refused.unwrap_err().to_string().contains("number 7"));
    broken = result();
    broken.administered = Becquerel::new(f64::NAN);
    let refused = write_all(&broken, directory.path(), &options(DoseBits::ThirtyTwo));
    assert!(refused.unwrap_err().to_string().contains("administered activity"));
    broken = result();
    voxels(&mut broken).gy.values_mut()[[1, 2, 3]] = f32::INFINITY;
    let refused = write_all(&broken, directory.path(), &options(DoseBits::ThirtyTwo));
    assert!(refused.unwrap_err().to_string().contains("not finite"));
}
