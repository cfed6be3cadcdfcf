mod views;

use super::*;
use crate::config::Protocols;
use crate::dicom::{InstanceHeader, PatientIdentity};
use proptest::prelude::*;
use std::collections::BTreeSet;

const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
const PET: &str = "1.2.840.10008.5.1.4.1.1.128";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const RTSTRUCT: &str = "1.2.840.10008.5.1.4.1.1.481.3";
const CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

fn uid(text: &str) -> Uid {
    Uid::derived(&[text])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An instance of a made-up hospital; tests change what they are about.
fn instance(class: &str, series: &str, number: u32, acquired: &str) -> Instance {
    let modality = match class {
        NM | CAPTURE => "NM",
        PET => "PT",
        CT => "CT",
        _ => "RTSTRUCT",
    };
    let image_type = ["ORIGINAL", "PRIMARY", if class == NM { "RECON TOMO" } else { "AXIAL" }];
    let name = format!("{series}/{number}");
    Instance {
        header: InstanceHeader {
            sop_class: Uid::parse(class).unwrap(),
            sop_instance: uid(&name),
            transfer_syntax: Uid::parse("1.2.840.10008.1.2.1").unwrap(),
            study: uid(&acquired[..10]),
            series: uid(series),
            patient: PatientIdentity { id: "P-1".into(), ..PatientIdentity::default() },
            modality: modality.into(),
            image_type: image_type.map(str::to_owned).to_vec(),
            series_description: Some(series.to_owned()),
            series_number: None,
            instance_number: Some(number.into()),
            accession_number: None,
            study_date: None,
            frame_of_reference: Some(uid("frame")),
            acquired: Some(at(acquired)),
            frames: if class == NM { 64 } else { 1 },
            rows: None,
            columns: None,
            declared_slices: None,
            declared_time_slices: None,
            slice_position_mm: (class == CT || class == PET).then(|| f64::from(number) * 2.5),
            manufacturer: None,
            model: None,
            station_name: None,
            radionuclide: None,
            referenced_series: Vec::new(),
            series_tags: [("SeriesDescription".to_owned(), series.to_owned())].into(),
        },
        sha256: format!("sha {name}"),
        bytes: 1,
        received: at("2026-03-10T00:00:00Z"),
        source: "SPECT1".into(),
    }
}

fn spect(day: u32) -> Instance {
    instance(NM, &format!("spect {day}"), 1, &format!("2026-03-{day:02}T10:00:00Z"))
}

fn regions(of: &str) -> Instance {
    let mut regions = instance(RTSTRUCT, "regions", 1, "2026-03-09T12:00:00Z");
    regions.header.frame_of_reference = None;
    regions.header.referenced_series = vec![uid(of)];
    regions
}

fn plan_with(protocol: &str, more: &str) -> Plan {
    let text = format!(
        "patient: {{ id: P-1 }}\nprotocol: {protocol}\nradiopharmaceutical: 177Lu-DOTATATE\n\
         cycles:\n  - number: 1\n    administered: {{ activity_mbq: 7400, at: \
         2026-03-02T10:00:00Z }}\n{more}"
    );
    Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap()
}

fn plan() -> Plan {
    plan_with("multi-time-point", "")
}

fn decide_at(now: &str, plans: &[Plan], instances: &[Instance]) -> Decision {
    decide(&View { instances, plans, now: at(now), settle_seconds: 60 })
}

const LATER: &str = "2026-04-20T00:00:00Z";

fn decide_later(plans: &[Plan], instances: &[Instance]) -> Decision {
    decide_at(LATER, plans, instances)
}

fn whys(decision: &Decision) -> Vec<Why> {
    decision.waiting.iter().map(|waiting| waiting.why).collect()
}

#[test]
fn a_complete_set_of_time_points_becomes_one_final_job() {
    let all = [spect(3), spect(6), spect(9), regions("spect 3")];
    let decision = decide_later(&[plan()], &all);
    assert_eq!(decision.waiting, []);
    let work = &decision.work[0];
    assert_eq!((work.cycle, work.completeness, work.inputs.len()), (1, Completeness::Final, 4));
    assert_eq!(work.course, plan().course_id());
    let hours: Vec<f64> =
        decision.courses[0].cycles[0].time_points.iter().map(|point| point.hours).collect();
    assert_eq!(hours, [24.0, 96.0, 168.0]);
}

#[test]
fn results_are_provisional_until_all_time_points_are_there() {
    let provisional =
        || plan_with("multi-time-point", "settings: { imaging: { provisional: true } }\n");
    let two = [spect(3), spect(6), regions("spect 3")];
    let decision = decide_later(&[provisional()], &two);
    assert_eq!(decision.work[0].completeness, Completeness::Provisional);
    let one = [spect(3), regions("spect 3")];
    let decision = decide_later(&[provisional()], &one);
    assert_eq!((whys(&decision), decision.work.len()), (vec![Why::TimePointsMissing], 0));
    assert!(decision.waiting[0].reason.contains("1 of 3 time points"));
    let wanted = plan_with("multi-time-point", "settings: { imaging: { time_points: 2 } }\n");
    assert_eq!(decide_later(&[wanted], &two).work[0].completeness, Completeness::Final);
}

#[test]
fn without_regions_nothing_is_computed() {
    let decision = decide_later(&[plan()], &[spect(3), spect(6), spect(9)]);
    assert_eq!((whys(&decision), decision.work.len()), (vec![Why::RegionsMissing], 0));
}

#[test]
fn slices_are_complete_by_declared_count_geometry_and_quiet_time() {
    let mut slices: Vec<Instance> =
        (0..10).map(|n| instance(PET, "pet", n, "2026-03-03T10:00:00Z")).collect();
    slices.push(regions("pet"));
    let plans = [plan_with("single-time-point", "")];
    let soon = "2026-03-10T00:00:30Z";
    let decision = decide_at(soon, &plans, &slices);
    assert_eq!(whys(&decision), [Why::Settling]);
    assert_eq!(decision.look_again, Some(at("2026-03-10T00:01:00Z")));
    assert_eq!(decide_later(&plans, &slices).work.len(), 1);

    let mut gap = slices.clone();
    gap.remove(5);
    let decision = decide_later(&plans, &gap);
    assert_eq!(whys(&decision), [Why::InstancesMissing]);
    assert!(decision.waiting[0].reason.contains("12.5 mm"), "{:?}", decision.waiting);

    for slice in &mut slices {
        slice.header.declared_slices = Some(10);
    }
    assert_eq!(decide_at(soon, &plans, &slices).work.len(), 1, "a full count needs no quiet time");
    slices.remove(9);
    let decision = decide_later(&plans, &slices);
    assert!(decision.waiting[0].reason.contains("9 of 10 slices"), "{:?}", decision.waiting);
}

#[test]
fn what_fits_no_plan_waits_with_the_reason() {
    type Change = fn(&mut Instance);
    let cases: [(Change, Why); 8] = [
        (|i| i.header.patient.id = "P-2".into(), Why::UnknownPatient),
        (|i| i.header.acquired = None, Why::NoAcquisitionTime),
        (|i| i.header.acquired = Some(at("2026-03-01T10:00:00Z")), Why::OutsideCycles),
        (|i| i.header.acquired = Some(at("2026-04-10T10:00:00Z")), Why::OutsideCycles),
        (|i| i.header.acquired = Some(at("2036-03-03T10:00:00Z")), Why::AcquiredInFuture),
        (|i| i.header.image_type[2] = "TOMO".into(), Why::NotUsable),
        (|i| i.header.sop_class = Uid::parse(CAPTURE).unwrap(), Why::NotUsable),
        (|i| i.header.series_tags.clear(), Why::RulesDiffer),
    ];
    let plan = plan_with("single-time-point", "match: { SeriesDescription: \"spect*\" }\n");
    for (change, why) in cases {
        let mut image = spect(3);
        change(&mut image);
        let decision = decide_later(std::slice::from_ref(&plan), &[image, regions("spect 3")]);
        assert_eq!((whys(&decision), decision.work.len()), (vec![why], 0));
        assert!(!decision.waiting[0].supply.is_empty());
    }
}

#[test]
fn two_patients_in_one_study_stop_the_study() {
    let (a, mut b) = (spect(3), spect(3));
    b.header.patient.id = "P-2".into();
    b.header.sop_instance = uid("other");
    b.header.series = uid("other series");
    let decision = decide_later(&[plan_with("single-time-point", "")], &[a, b, regions("spect 3")]);
    assert_eq!(whys(&decision), [Why::TwoPatients, Why::TwoPatients]);
    assert!(decision.work.is_empty());
}

#[test]
fn one_id_with_two_birth_dates_stops_the_cycle() {
    let mut all = [spect(3), spect(6), spect(9), regions("spect 3")];
    all[0].header.patient.birth_date = "19500101".into();
    all[1].header.patient.birth_date = "19510101".into();
    assert_eq!(whys(&decide_later(&[plan()], &all)), [Why::IdentityContradiction]);
}

#[test]
fn two_reconstructions_of_one_visit_are_not_guessed_between() {
    let twin = instance(NM, "spect 3 uncorrected", 1, "2026-03-03T10:00:00Z");
    let all = [spect(3), twin, spect(6), spect(9), regions("spect 3")];
    assert_eq!(whys(&decide_later(&[plan()], &all)), [Why::Ambiguous, Why::Ambiguous]);
    let narrowed = plan_with("multi-time-point", "match: { SeriesDescription: \"spect ?\" }\n");
    let decision = decide_later(&[narrowed], &all);
    assert_eq!((whys(&decision), decision.work.len()), (vec![Why::RulesDiffer], 1));
}

#[test]
fn a_series_of_one_course_does_not_wait_for_the_patient_s_other_course() {
    let other = plan_with("single-time-point", "match: { SeriesDescription: \"other*\" }\n");
    let all = [spect(3), spect(6), spect(9), regions("spect 3")];
    let decision = decide_later(&[plan(), other], &all);
    assert_eq!((decision.waiting.len(), decision.work.len()), (0, 1));
}

#[test]
fn one_time_point_methods_refuse_to_choose() {
    let all = [spect(3), spect(6), regions("spect 3")];
    let decision = decide_later(&[plan_with("single-time-point", "")], &all);
    assert_eq!(whys(&decision), [Why::Ambiguous, Why::Ambiguous]);
}

#[test]
fn a_series_belongs_to_the_cycle_whose_administration_precedes_it() {
    let second = "  - number: 2\n    administered: { activity_mbq: 7000, at: \
                  2026-03-08T10:00:00Z }\n";
    let plan = plan_with("single-time-point", second);
    let mut later = regions("spect 9");
    later.header.series = uid("regions 2");
    later.header.sop_instance = uid("regions 2");
    let decision = decide_later(&[plan], &[spect(3), spect(9), regions("spect 3"), later]);
    let cycles: Vec<u32> = decision.work.iter().map(|work| work.cycle).collect();
    assert_eq!(cycles, [1, 2]);
    assert_eq!(decision.courses[0].cycles[1].time_points[0].hours, 24.0);
}

#[test]
fn the_ct_of_the_frame_of_reference_nearest_in_time_goes_with_the_image() {
    let ct = |name: &str, when: &str| -> Vec<Instance> {
        (0..3).map(|n| instance(CT, name, n, when)).collect()
    };
    let mut all = vec![spect(3), regions("spect 3")];
    all.extend(ct("near", "2026-03-03T09:50:00Z"));
    all.extend(ct("far", "2026-03-03T15:00:00Z"));
    let mut other_frame = ct("other frame", "2026-03-03T10:00:00Z");
    other_frame.iter_mut().for_each(|i| i.header.frame_of_reference = Some(uid("else")));
    all.extend(other_frame);
    let decision = decide_later(&[plan_with("single-time-point", "")], &all);
    let work = &decision.work[0];
    let cts: Vec<&Input> = work.inputs.iter().filter(|input| input.role == Role::Ct).collect();
    assert_eq!(cts.len(), 3);
    assert!(cts.iter().all(|input| input.series == uid("near")));
    assert_eq!(work.notes[0].code, "ct-chosen");
}

#[test]
fn newer_regions_make_a_revision_and_undated_rivals_wait() {
    let plans = [plan_with("single-time-point", "")];
    let first = [spect(3), regions("spect 3")];
    let before = decide_later(&plans, &first);
    let mut newer = regions("spect 3");
    newer.header.series = uid("regions again");
    newer.header.sop_instance = uid("regions again");
    newer.header.acquired = Some(at("2026-03-11T12:00:00Z"));
    let all = [spect(3), regions("spect 3"), newer.clone()];
    let after = decide_later(&plans, &all);
    assert_ne!(before.work, after.work);
    assert!(after.work[0].inputs.iter().any(|input| input.series == uid("regions again")));
    newer.header.acquired = None;
    let all = [spect(3), regions("spect 3"), newer];
    assert_eq!(whys(&decide_later(&plans, &all)), [Why::Ambiguous]);
}

proptest! {
    #[test]
    fn the_decision_is_the_same_for_any_order_of_arrival(
        order in Just((0..27usize).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let mut all = vec![spect(3), spect(6), spect(9), regions("spect 3"), spect(20)];
        all.extend((0..10).map(|n| instance(CT, "ct", n, "2026-03-03T09:50:00Z")));
        all.extend((0..12).map(|n| instance(PET, "pet", n * (1 + n / 11), "2026-03-07T09:00:00Z")));
        let plans = [plan(), plan_with("single-time-point", "")];
        let expected = decide_later(&plans, &all);
        let shuffled: Vec<Instance> = order.iter().map(|&i| all[i].clone()).collect();
        prop_assert_eq!(decide_later(&plans, &shuffled), expected);
    }
}

#[test]
fn a_ct_is_to_be_segmented_by_the_named_peer_until_its_time_is_over() {
    let plan = plan_with(
        "multi-time-point",
        "settings:\n  regions: { from: segmenter, time_limit_h: 6 }\n",
    );
    let mut images = vec![spect(3), spect(6), spect(9)];
    let cts = |day: u32| {
        let at = format!("2026-03-{day:02}T10:00:00Z");
        (1..=3).map(move |n| instance(CT, &format!("ct {day}"), n, &at)).collect::<Vec<_>>()
    };
    let look = |now: &str, images: &[Instance]| decide_at(now, std::slice::from_ref(&plan), images);
    // Without a CT there is nothing to send.
    let none = look("2026-03-10T01:00:00Z", &images);
    assert_eq!((whys(&none), none.requests.len()), (vec![Why::RegionsMissing], 0));
    assert!(none.waiting[0].reason.contains("no CT has come"), "{}", none.waiting[0].reason);
    images.extend(cts(3));
    images.extend(cts(6));
    let asked = look("2026-03-10T01:00:00Z", &images);
    assert_eq!(whys(&asked), [Why::RegionsMissing]);
    let request = &asked.requests[0];
    assert_eq!((request.peer.as_str(), request.cycle, request.objects.len()), ("segmenter", 1, 3));
    let first: BTreeSet<Uid> = (1..=3).map(|n| uid(&format!("ct 3/{n}"))).collect();
    assert_eq!(request.objects.iter().cloned().collect::<BTreeSet<_>>(), first);
    assert!(asked.waiting[0].reason.contains("awaited from segmenter"));
    assert_eq!(asked.look_again, Some(at("2026-03-10T06:00:00Z")));
    // Too late: nothing is asked for any more, and a person is told what to do.
    let late = look("2026-03-10T06:00:00Z", &images);
    assert_eq!((whys(&late), late.requests.len()), (vec![Why::RegionsMissing], 0));
    assert!(
        late.waiting[0].reason.contains("within 6 h") && late.waiting[0].supply.contains("by hand")
    );
    // Once they are there, they are used.
    images.push(regions("ct 3"));
    let done = look("2026-03-10T01:02:00Z", &images);
    assert_eq!((done.work.len(), done.requests.len()), (1, 0), "{:?}", done.waiting);
}

#[test]
fn a_peer_that_segments_wants_a_time_limit() {
    let text = "patient: { id: P-1 }\nprotocol: multi-time-point\nradiopharmaceutical: 177Lu-X\ncycles:\n  - \
                { number: 1, administered: { activity_mbq: 7400, at: 2026-03-02T10:00:00Z } }\n\
                settings:\n  regions: { from: segmenter }\n";
    let faults = Plan::read("p.yaml", text, &Protocols::load(None).unwrap()).unwrap_err();
    let fault = faults[0].to_string();
    assert!(fault.starts_with("p.yaml:7:") && fault.contains("time_limit_h"), "{fault}");
}

#[test]
fn images_of_two_tracers_given_at_once_are_told_apart_by_their_nuclide() {
    let cycle = |number: u32, drug: &str| {
        format!(
            "  - {{ number: {number}, tracer: {{ radiopharmaceutical: {drug}, stands_for: {drug} }}, \
             administered: {{ activity_mbq: 185, at: 2026-03-02T10:00:00Z }} }}\n"
        )
    };
    let text = format!(
        "patient: {{ id: P-1 }}\nprotocol: combo-lp\ncycles:\n{}{}",
        cycle(1, "111In-octreotide"),
        cycle(2, "131I-MIBG")
    );
    let plan = Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap();
    let scan = |name: &str, nuclide: Option<&str>| {
        let mut scan = instance(NM, name, 1, "2026-03-03T10:00:00Z");
        scan.header.radionuclide = nuclide.map(str::to_owned);
        scan
    };
    let both = [scan("indium", Some("111In")), scan("iodine", Some("131I"))];
    let decision = decide_later(std::slice::from_ref(&plan), &both);
    let points = |n: usize| decision.courses[0].cycles[n].time_points.len();
    assert_eq!((points(0), points(1)), (1, 1));
    let decision = decide_later(std::slice::from_ref(&plan), &[scan("unnamed", None)]);
    assert_eq!(whys(&decision), [Why::Ambiguous]);
    assert!(decision.waiting[0].reason.contains("I-131 and In-111"), "{:?}", decision.waiting);
    let decision = decide_later(&[plan], &[scan("lutetium", Some("177Lu"))]);
    assert_eq!(whys(&decision), [Why::NuclideDiffers]);
}
