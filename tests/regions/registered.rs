//! Registration of real and reference CTs: its errors, and what its gate lets pass.

use crate::measured::pet_ct;
use crate::pairs::{self, Random, case, error, middle, moved, rigid, scans, seen};
use grayd::register::{self, Metric, Motion, RegisterError, Settings, register};
use grayd::volume::Volume;

/// As the pipeline asks of two CTs.
fn settings() -> Settings {
    let of = register::constants();
    of.settings(Motion::Rigid, Metric::Correlation, of.correlation_min_ct.value)
}

#[test]
fn known_motions_of_real_and_reference_cts_come_back() {
    let Some(scans) = scans() else { return };
    for (scan, seeds) in scans.iter().zip([1..=3, 4..=6]) {
        for n in seeds {
            let (truth, moving) = case(&scan.hu, n);
            let found = register(&scan.hu, &moving, &settings()).unwrap();
            let (mm, degrees) = error(&found.fixed_to_moving, &truth, scan.hu.grid());
            println!(
                "{} case {n}: {mm:.3} mm, {degrees:.3} degrees, correlation {:.3}, overlap {:.2}",
                scan.name, found.score, found.overlap
            );
            assert!(
                mm < 0.5 && degrees < 0.3,
                "{} case {n}: {mm} mm, {degrees} degrees",
                scan.name
            );
        }
    }
}

/// What the search finds without a gate.
fn scored(fixed: &Volume<f32>, moving: &Volume<f32>) -> Option<(f64, f64)> {
    let open = Settings { score_min: -1.0, ..settings() };
    register(fixed, moving, &open).ok().map(|found| (found.score, found.overlap))
}

/// The lowest right score must pass the gate, the highest wrong one must not.
fn gate_parts(gate: f64, right: &[(String, f64)], wrong: &[(String, Option<(f64, f64)>)]) {
    for (what, score) in right {
        println!("right: {what} {score:.3}");
    }
    for (what, score) in wrong {
        println!("wrong: {what} {score:.3?}");
    }
    let highest = wrong.iter().filter_map(|(_, s)| *s).map(|s| s.0).fold(-1.0, f64::max);
    let lowest = right.iter().map(|(_, score)| *score).fold(2.0, f64::min);
    println!("wrong up to {highest:.3}, gate {gate}, right from {lowest:.3}");
    assert!(highest < gate && gate < lowest, "{highest} {gate} {lowest}");
}

#[test]
fn wrong_pairs_stay_below_the_gate_and_right_ones_pass_it() {
    let Some(scans) = scans() else { return };
    let (mut wrong, mut right, mut missed) = (Vec::new(), Vec::new(), Vec::new());
    for (n, scan) in scans.iter().enumerate() {
        let other = &scans[1 - n];
        wrong.push((format!("{} on {}", other.name, scan.name), scored(&scan.hu, &other.hu)));
        for (what, degrees) in [
            ("head to feet", [180.0, 0.0, 0.0]),
            ("left to right, head to feet", [0.0, 180.0, 0.0]),
            ("prone", [0.0, 0.0, 180.0]),
        ] {
            let flip = rigid(degrees, [0.0; 3], middle(scan.hu.grid()));
            let flipped = seen(&scan.hu, &flip, &mut Random::new(9));
            wrong.push((format!("{} {what}", scan.name), scored(&scan.hu, &flipped)));
        }
        // Shifts far off any start.
        for shift in [[40.0, 0.0, 0.0], [0.0, 0.0, 40.0]] {
            let truth = rigid([2.0, -1.0, 3.0], shift, middle(scan.hu.grid()));
            let moving = seen(&scan.hu, &truth, &mut Random::new(7));
            let what = format!("{} {shift:?}", scan.name);
            match register(&scan.hu, &moving, &settings()) {
                Err(error) => missed.push(format!("{what}: {error}")),
                Ok(found) => {
                    let (mm, degrees) = error(&found.fixed_to_moving, &truth, scan.hu.grid());
                    println!("{what}: {mm:.3} mm, {degrees:.3} degrees");
                    if mm >= 0.5 || degrees >= 0.3 {
                        missed.push(format!("{what}: {mm} mm, {degrees} degrees"));
                    }
                    right.push((what, found.score));
                }
            }
            // The right map, 40 mm beside itself, is a wrong one.
            let beside = rigid([0.0; 3], [0.0, 0.0, 40.0], [0.0; 3]);
            let beside = truth.then(&beside);
            let off = register::score(&scan.hu, &moving, &beside, Metric::Correlation, 4.0);
            wrong.push((format!("{} 40 mm off", scan.name), off.map(|score| (score, 1.0))));
        }
        let empty = Volume::new(scan.hu.grid().clone(), scan.hu.values().mapv(|_| pairs::AIR));
        assert_eq!(register(&scan.hu, &empty, &settings()), Err(RegisterError::NoOverlap));
    }
    assert!(missed.is_empty(), "{missed:#?}");
    gate_parts(settings().score_min, &right, &wrong);
}

/// As the pipeline asks of an emission image and a CT.
fn of_two_modalities() -> Settings {
    let of = register::constants();
    of.settings(Motion::Rigid, Metric::MutualInformation, of.mutual_information_min.value)
}

#[test]
fn a_pet_is_found_on_its_ct() {
    let Some((pet, ct)) = pet_ct() else { return };
    for (n, (degrees, shift)) in [
        ([0.0; 3], [0.0; 3]),
        ([3.0, -2.0, 4.0], [20.0, -15.0, 18.0]),
        ([-4.0, 3.0, 2.0], [-25.0, 10.0, -20.0]),
    ]
    .into_iter()
    .enumerate()
    {
        let truth = rigid(degrees, shift, middle(ct.grid()));
        let found = register(&ct, &moved(&pet, &truth), &of_two_modalities()).unwrap();
        let (mm, degrees) = error(&found.fixed_to_moving, &truth, ct.grid());
        println!(
            "PET on its CT, case {n}: {mm:.2} mm, {degrees:.2} degrees, score {:.4}",
            found.score
        );
        assert!(mm < 6.0 && degrees < 3.0, "{mm} mm, {degrees} degrees");
    }
}
