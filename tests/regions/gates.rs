//! What the gates of emission to emission and of emission to CT let pass: right and wrong pairs of several
//! patients.

use crate::measured::data;
use crate::pairs::{middle, moved, rigid, scans};
use crate::peer::{python_with, said, script};
use crate::registered::pet_ct;
use grayd::register::{self, Metric, Motion, Settings, register};
use grayd::volume::{Grid, Volume};
use ndarray::Array3;
use std::path::Path;
use std::process::Command;

struct Image {
    who: String,
    what: String,
    values: Volume<f32>,
}

/// Emissions and CTs of four patients, and two more CTs.
fn images() -> Option<(Vec<Image>, Vec<Image>)> {
    let scans = scans()?;
    let (pet, pet_ct) = pet_ct()?;
    data("lu177_spect_michigan")?;
    let python = python_with("SimpleITK, pydicom, numpy")?;
    let folder = tempfile::tempdir().unwrap();
    let (patient, out) = (folder.path().join("patient"), folder.path());
    said(Command::new(env!("CARGO_BIN_EXE_grayd")).args(["phantom", "--output"]).arg(&patient));
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let described = script(&python, "emissions.py", &[&shared, &patient, out]);
    let (mut emissions, mut cts) = (Vec::new(), Vec::new());
    for of in described.as_array().unwrap() {
        let three = |key: &str| [0, 1, 2].map(|n| of[key][n].as_f64().unwrap());
        let text = |key: &str| of[key].as_str().unwrap().to_owned();
        let shape = three("shape").map(|n| n as usize);
        let grid = Grid::axial(shape, three("spacing"), three("origin")).unwrap();
        let bytes = std::fs::read(out.join(text("file"))).unwrap();
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let [low, high] = register::constants().ct_window_hu.value;
        let is_ct = text("what") == "ct";
        let values = values.map(|v| if is_ct { v.clamp(low, high) } else { v }).collect();
        let values = Volume::new(grid.clone(), Array3::from_shape_vec(grid.dim(), values).unwrap());
        let list = if is_ct { &mut cts } else { &mut emissions };
        list.push(Image { who: text("who"), what: text("what"), values });
    }
    let image =
        |who: &str, what: &str, values| Image { who: who.into(), what: what.into(), values };
    emissions.push(image("acrin", "PET", pet));
    cts.push(image("acrin", "ct", pet_ct));
    cts.extend(scans.into_iter().map(|scan| image(&scan.name, "ct", scan.hu)));
    Some((emissions, cts))
}

fn open(metric: Metric) -> Settings {
    let of = register::constants();
    let levels = match metric {
        Metric::Correlation => &of.levels_mm,
        Metric::MutualInformation => &of.levels_of_two_modalities_mm,
    };
    Settings {
        motion: Motion::Rigid,
        metric,
        levels_mm: levels.value.clone(),
        score_min: -1.0,
        overlap_min: of.overlap_min.value,
        stretch: of.stretch.value,
    }
}

/// The largest score of the wrong pairs and the least of the right ones.
fn between(fixed: &[Image], moving: &[Image], metric: Metric) -> [f64; 2] {
    let settings = open(metric);
    let by = |what: &str, score: Option<f64>| {
        println!("{what}: {}", score.map_or("nothing to compare".into(), |s| format!("{s:.4}")));
        score
    };
    let (mut wrong, mut right) = (Vec::new(), Vec::new());
    for (n, one) in fixed.iter().enumerate() {
        for (m, other) in moving.iter().enumerate() {
            let same = one.who == other.who;
            // Of two days of one patient each way round says the same; of strangers one day is enough.
            let twice = metric == Metric::Correlation && n >= m;
            if twice || (!same && (one.what == "last" || other.what == "last")) {
                continue;
            }
            let name = format!("{} {} on {} {}", other.who, other.what, one.who, one.what);
            // Laid anew: no two days begin alike.
            let truth = rigid([3.0, -2.0, 4.0], [14.0, -9.0, 18.0], middle(one.values.grid()));
            let there = moved(&other.values, &truth);
            let found = register(&one.values, &there, &settings).ok();
            let score = by(&name, found.as_ref().map(|found| found.score));
            if !same {
                wrong.extend(score);
                continue;
            }
            right.extend(score);
            // The map that was found, beside itself.
            let map = found.unwrap().fixed_to_moving;
            for mm in [20.0, 40.0, 60.0] {
                for axis in 0..3 {
                    let mut shift = [0.0; 3];
                    shift[axis] = mm;
                    let beside = map.then(&rigid([0.0; 3], shift, [0.0; 3]));
                    let level = *settings.levels_mm.last().unwrap();
                    let off = register::score(&one.values, &there, &beside, metric, level);
                    let off = by(&format!("  {mm} mm off along {}", ["x", "y", "z"][axis]), off);
                    if mm >= 60.0 {
                        wrong.extend(off);
                    }
                }
            }
        }
    }
    let highest = wrong.iter().copied().fold(-1.0, f64::max);
    let lowest = right.iter().copied().fold(2.0, f64::min);
    println!("{} wrong up to {highest:.4}, {} right from {lowest:.4}", wrong.len(), right.len());
    [highest, lowest]
}

#[test]
fn emissions_of_strangers_stay_below_the_gate_and_those_of_two_days_pass_it() {
    let Some((emissions, _)) = images() else { return };
    let [highest, lowest] = between(&emissions, &emissions, Metric::Correlation);
    let gate = register::constants().correlation_min_emission.value;
    assert!(highest < gate && gate < lowest, "{highest} {gate} {lowest}");
}

#[test]
fn emissions_on_the_ct_of_strangers_stay_below_the_gate_and_on_their_own_pass_it() {
    let Some((emissions, cts)) = images() else { return };
    let [highest, lowest] = between(&cts, &emissions, Metric::MutualInformation);
    let gate = register::constants().mutual_information_min.value;
    assert!(highest < gate && gate < lowest, "{highest} {gate} {lowest}");
}
