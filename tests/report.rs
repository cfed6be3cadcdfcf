//! What the results say when others read them: DCMTK, dicom3tools, pydicom, highdicom,
//! plastimatch, SimpleITK.

use grayd::dicom::{PatientIdentity, Uid};
use grayd::kinetics::{Candidate, Exponential, Fit};
use grayd::quantity::nuclide::Nuclide;
use grayd::quantity::{
    Becquerel, BecquerelSecond, Gram, Gray, Millilitre, PerSecond, Seconds, Warning,
};
use grayd::report::{
    Bed, Completeness, CycleResult, DoseBits, DoseStatistics, EngineReport, InputInstance, Kind,
    RegionResult, ReportOptions, Software, StructureSetReference, StudyIdentity, TimePoint,
    write_all,
};
use grayd::volume::{Grid, Occupancy, Volume};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of dciodvfy that are normal for our objects, and why. Everything else is a fault.
const NORMAL_LINES: &[(&str, &str)] = &[
    ("RTDose", "names the IOD that it recognised"),
    ("Segmentation", "names the IOD that it recognised"),
    ("Comprehensive3DSR", "names the IOD that it recognised"),
    ("RTStructureSet", "names the IOD that it recognised"),
];

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn grid() -> Grid {
    Grid::axial([10, 20, 18], [4.8, 4.7, 5.1], [-43.21, -61.37, 112.063]).unwrap()
}

/// A dose that differs in every voxel.
fn dose_map(grid: &Grid) -> Volume<f32> {
    let values = ndarray::Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
        let r2 = [k as f64 - 4.5, j as f64 - 9.5, i as f64 - 8.5].iter().map(|d| d * d).sum::<f64>();
        (12.34567 * (-r2 / 30.0).exp() + 1e-3 * (i + 18 * j) as f64) as f32
    });
    Volume::new(grid.clone(), values)
}

fn region(number: u16, name: &str, grid: &Grid, centre: [f64; 3], radius: f64) -> RegionResult {
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
    RegionResult {
        name: name.into(),
        number,
        anatomy: None,
        occupancy,
        volume,
        mass: Some(Gram::new(volume.value() * 1.05)),
        activity: [60.1, 44.4, 21.7, 11.2].map(|mbq| Some(Becquerel::from_mbq(mbq))).to_vec(),
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
            warnings: vec![],
        }),
        dose: Some(DoseStatistics {
            mean: Gray::new(7.654321098765),
            min: Gray::new(1.25),
            max: Gray::new(12.5),
            median: Gray::new(7.1),
            sd: Gray::new(2.2),
            d98: Gray::new(1.5),
            d95: Gray::new(1.9),
            d50: Gray::new(7.1),
            d2: Gray::new(12.1),
            dvh,
        }),
        bed: Some(Bed {
            value: Gray::new(8.9),
            alpha_beta: Gray::new(2.6),
            repair_half_time: Seconds::from_hours(2.8),
            provenance: "P".into(),
        }),
        uncertainty: Some(0.083),
        warnings: vec![],
    }
}

fn inputs() -> Vec<InputInstance> {
    let input = |modality: &str, class: &str, study: u32, series: u32, n: u32| InputInstance {
        sop_class: uid(class),
        sop_instance: uid(&format!("1.2.826.0.1.{study}.{series}.{n}")),
        series: uid(&format!("1.2.826.0.1.{study}.{series}")),
        study: uid(&format!("1.2.826.0.1.{study}")),
        modality: modality.into(),
        sha256: format!("{:064x}", series * 1000 + n),
    };
    let mut inputs: Vec<InputInstance> =
        (1..5).map(|day| input("NM", "1.2.840.10008.5.1.4.1.1.20", day, 10 + day, 1)).collect();
    inputs.extend((1..8).map(|n| input("CT", "1.2.840.10008.5.1.4.1.1.2", 1, 20, n)));
    inputs.push(input("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3", 1, 30, 1));
    inputs
}

fn result() -> CycleResult {
    let grid = grid();
    let administered_at = "2026-03-02T09:15:00Z".parse().unwrap();
    let hours = [4.0, 24.0, 96.0, 168.0];
    let time_points = hours.iter().zip(1..).map(|(&h, day)| TimePoint {
        acquired: jiff::Timestamp::from_second(1_772_442_900 + (h * 3600.0) as i64).unwrap(),
        after_administration: Seconds::from_hours(h),
        series: uid(&format!("1.2.826.0.1.{day}.{}", 10 + day)),
        modality: "NM".into(),
        field_of_view: Becquerel::from_mbq(4000.0 / f64::from(day)),
        quantification: "Real World Value Mapping in Bq/ml".into(),
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
        inputs: inputs(),
        time_points: time_points.collect(),
        frame_of_reference: uid("1.2.826.0.1.77"),
        reference_series: uid("1.2.826.0.1.1.11"),
        structure_set: Some(StructureSetReference {
            sop_instance: uid("1.2.826.0.1.1.30.1"),
            series: uid("1.2.826.0.1.1.30"),
            study: uid("1.2.826.0.1.1"),
            roi_numbers: vec![(1, 4), (2, 5), (3, 9)],
        }),
        dose_gy: dose_map(&grid),
        engine: EngineReport {
            name: "local",
            chosen_because: "stated in the plan".into(),
            mass_source: "CT density".into(),
            energy_per_decay_kev: 147.9,
            histories: None,
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
        computed_at: "2026-03-09T12:00:00Z".parse().unwrap(),
    }
}

fn options(bits: DoseBits) -> ReportOptions {
    ReportOptions {
        dose_bits: bits,
        structure_set: true,
        utc_offset: jiff::tz::Offset::constant(1),
        institution: "Hospital of the North".into(),
        ..ReportOptions::default()
    }
}

/// The path of a peer, or `None` with one clear line.
fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file());
    if found.is_none() {
        println!("passed over: {name} is not installed (tests/run installs it)");
    }
    found
}

/// A Python that has `module`, or `None` with one clear line.
fn python_with(module: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("GRAYD_PYTHON")
        .map(PathBuf::from)
        .or_else(|| Some(root.join(".peers/bin/python")).filter(|p| p.is_file()))
        .or_else(|| Some(PathBuf::from("/opt/grayd-peers/bin/python")).filter(|p| p.is_file()))
        .unwrap_or_else(|| "python3".into());
    let has = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("passed over: {module} is not installed (tests/run installs it)");
    None
}

/// Standard output and error of a command that has to succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Runs `tests/peers/<script>` and takes its JSON.
fn script(python: &Path, name: &str, arguments: &[&Path]) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
    let output = Command::new(python).arg(path).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{name}: {e}: {errors}"))
}

fn written(kind: Kind, bits: DoseBits, directory: &Path) -> PathBuf {
    let all = write_all(&result(), directory, &options(bits)).unwrap();
    all.into_iter().find(|w| w.kind == kind).unwrap().path
}

#[test]
fn dciodvfy_finds_nothing_but_the_documented_lines() {
    let Some(dciodvfy) = peer("dciodvfy") else { return };
    let directory = tempfile::tempdir().unwrap();
    // The validator aborts on 32-bit Pixel Data, so it sees the 16-bit twin.
    let all = write_all(&result(), directory.path(), &options(DoseBits::Sixteen)).unwrap();
    let mut faults = Vec::new();
    for object in all.iter().filter(|w| w.sop_class.is_some()) {
        let output = Command::new(&dciodvfy).arg("-new").arg(&object.path).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let odd = text.lines().filter(|line| {
            !line.trim().is_empty() && !NORMAL_LINES.iter().any(|(normal, _)| line.contains(normal))
        });
        faults.extend(odd.map(|line| format!("{:?}: {line}", object.kind)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
