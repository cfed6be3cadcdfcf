//! Planar views as time points, what goes with them, and when they need no regions.

use super::*;

/// A whole-body scan of that day, a quarter of an hour before the SPECT's.
fn whole_body(day: u32) -> Instance {
    let acquired = format!("2026-03-{day:02}T09:45:00Z");
    let mut scan = instance(NM, &format!("planar {day}"), 1, &acquired);
    scan.header.image_type[2] = "WHOLE BODY".into();
    scan
}

#[test]
fn planar_scans_are_time_points_where_the_protocol_takes_them_and_a_visit_may_have_both() {
    let all = [whole_body(3), spect(3), whole_body(6), regions("spect 3")];
    let without = decide_later(&[plan()], &all);
    let planar = without.waiting.iter().filter(|w| w.reason.contains("is planar"));
    assert_eq!(planar.count(), 2, "{:?}", without.waiting);

    let more = "settings: { imaging: { time_points: 3, planar: shape } }\n";
    let hybrid = decide_later(&[plan_with("multi-time-point", more)], &all);
    assert_eq!(hybrid.waiting, []);
    assert_eq!(hybrid.courses[0].cycles[0].time_points.len(), 3);
    // Two scans of one visit are still not guessed between.
    let mut twin = whole_body(3);
    twin.header.series = uid("other");
    twin.header.sop_instance = uid("other/1");
    let twins = [&all[..], &[twin]].concat();
    let twins = decide_later(&[plan_with("multi-time-point", more)], &twins);
    assert_eq!(whys(&twins), [Why::Ambiguous; 2]);
}

/// A transmission scan of the visit of that day.
fn transmission(day: u32) -> Instance {
    let acquired = format!("2026-03-{day:02}T09:00:00Z");
    let mut scan = instance(NM, &format!("transmission {day}"), 1, &acquired);
    scan.header.image_type[2] = "WHOLE BODY".into();
    scan.header.image_type.push("TRANSMISSION".into());
    scan
}

fn series_of(work: &Work, role: Role) -> Vec<Uid> {
    work.inputs.iter().filter(|i| i.role == role).map(|i| i.series.clone()).collect()
}

#[test]
fn transmission_scans_go_with_the_views_of_their_study_and_are_no_time_points() {
    let more = "settings: { imaging: { time_points: 2, planar: activity } }\n";
    let by_views = plan_with("multi-time-point", more);
    let mut outlines = regions("planar 3");
    outlines.header.sop_class = Uid::parse("1.2.840.10008.5.1.4.1.1.66.4").unwrap();
    let all = [whole_body(3), whole_body(6), transmission(3), transmission(5), outlines];
    let decision = decide_later(&[by_views], &all);
    assert_eq!((decision.waiting.len(), decision.work.len()), (0, 1), "{:?}", decision.waiting);
    assert_eq!(decision.courses[0].cycles[0].time_points.len(), 2);
    let work = &decision.work[0];
    assert_eq!(series_of(work, Role::Transmission), [uid("transmission 3")]);
    assert_eq!(series_of(work, Role::Segmentation), [uid("regions")]);
    assert_eq!(work.inputs.len(), 4);
    // A SPECT needs none.
    let spects = [spect(3), spect(6), spect(9), regions("spect 3"), transmission(3)];
    let decision = decide_later(&[plan()], &spects);
    assert_eq!((decision.waiting.len(), decision.work[0].inputs.len()), (0, 4));
    // Alone it is nobody's.
    assert_eq!(decide_later(&[plan()], &[transmission(3)]).waiting, []);
}

#[test]
fn whole_body_counts_need_no_regions_and_all_else_by_views_says_what_helps() {
    let by_counts = |more: &str| {
        let text = format!(
            "patient: {{ id: P-1 }}\nprotocol: i131-tositumomab-wb\nnuclide: I-131\ncycles:\n  - {{ number: 1, \
             administered: {{ activity_mbq: 185, at: 2026-03-02T10:00:00Z }} }}\n{more}"
        );
        Plan::read("p.yaml", &text, &Protocols::load(None).unwrap()).unwrap()
    };
    let scans = [whole_body(3), whole_body(5), whole_body(7)];
    let decision = decide_later(&[by_counts("")], &scans);
    assert_eq!((decision.waiting.len(), decision.work.len()), (0, 1), "{:?}", decision.waiting);
    assert_eq!(decision.work[0].completeness, Completeness::Final);

    let waits = |plan: Plan, images: &[Instance]| {
        let decision = decide_later(&[plan], images);
        assert_eq!((whys(&decision), decision.work.len()), (vec![Why::RegionsMissing], 0));
        decision.waiting[0].supply.clone()
    };
    // A static view shows a part of the body, whose counts no rule takes.
    let mut part = scans.clone();
    part[2].header.image_type[2] = "STATIC".into();
    assert!(waits(by_counts(""), &part).contains("a SEG drawn on the views"));
    // A limit is of a region's dose.
    let limit = "limits_by: Dr. A\nsettings: { limits: { lungs: { words: [lung], dose_gy: { value: 20, provenance: S, source: \
                 trial } } } }\n";
    assert!(waits(by_counts(limit), &scans).contains("a SEG drawn on the views"));
    // With a CT all stays as it is.
    let mut with_ct = scans.to_vec();
    with_ct.extend((0..3).map(|n| instance(CT, "ct", n, "2026-03-03T09:50:00Z")));
    assert!(waits(by_counts(""), &with_ct).starts_with("send an RTSTRUCT or SEG drawn on one"));
    // Another protocol's rule is by doses of regions.
    let more = "settings: { imaging: { planar: activity } }\n";
    let supply = waits(plan_with("multi-time-point", more), &scans);
    assert!(supply.contains("a SEG drawn on the views"), "{supply}");
    assert!(supply.contains("or the CT with an RTSTRUCT or SEG"), "{supply}");
}

#[test]
fn outlines_on_one_cycle_s_views_are_not_another_s_regions_where_all_scans_have_one_frame() {
    let second = "  - { number: 2, administered: { activity_mbq: 7000, at: 2026-03-08T10:00:00Z } }\n\
                  settings: { imaging: { time_points: 1, planar: activity } }\n";
    let outlines = |of: &str| {
        let mut outlines = regions(of);
        outlines.header.series = uid(&format!("on {of}"));
        outlines.header.sop_instance = outlines.header.series.clone();
        // As the scans have it, and as a CT or SPECT would share it with what is drawn on it.
        outlines.header.frame_of_reference = Some(uid("frame"));
        outlines
    };
    let plan = plan_with("multi-time-point", second);
    let all = [whole_body(3), whole_body(9), outlines("planar 3")];
    let decision = decide_later(std::slice::from_ref(&plan), &all);
    assert_eq!(decision.work.iter().map(|work| work.cycle).collect::<Vec<_>>(), [1]);
    assert_eq!(whys(&decision), [Why::RegionsMissing]);
    // What was drawn on something else of that frame holds in it.
    let all = [whole_body(3), whole_body(9), outlines("planning CT")];
    assert_eq!(decide_later(&[plan], &all).work.len(), 2);
}
