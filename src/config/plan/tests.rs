use super::*;
use crate::config::protocol::{DoseGrid, Engine, Protocol, Provenance};

/// The example of the interface, to the letter but for the protocol's name.
const EXAMPLE: &str = r#"patient: { id: "P-0001", issuer: "HOSPITAL" }     # issuer optional
protocol: multi-time-point
radiopharmaceutical: 177Lu-DOTATATE               # optional where the protocol fixes it
patient_facts: { weight_kg: 71, height_cm: 168, sex: F, egfr_ml_min: 85 }   # what it asks for
cycles:
  - number: 1
    administered: { activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00 }
  - number: 2
    administered: { activity_mbq: 7350, at: 2026-05-04T09:40:00+02:00 }
match:                                            # optional: narrows which series belong (tag: glob)
  SeriesDescription: "*LU177*AC*"
settings:                                         # optional
  kinetics: { effective_half_life_h: { default: 75, "Lesion 1": 90 } }
  dose: { engine: kernel, grid: ct, spacing_mm: 4 }
"#;

fn read(text: &str) -> Result<Plan, Vec<String>> {
    Plan::read("p.yaml", text, &Protocols::load(None).unwrap())
        .map_err(|faults| faults.iter().map(Fault::to_string).collect())
}

#[test]
fn the_example_is_read_to_typed_values() {
    let plan = read(EXAMPLE).unwrap();
    assert_eq!(plan.patient.id, "P-0001");
    assert_eq!(plan.nuclide, Nuclide::parse("Lu-177").unwrap());
    assert_eq!(plan.cycles[0].administered.activity, Becquerel::from_mbq(7400.0));
    assert_eq!(plan.cycles[0].administered.at, "2026-03-02T09:15:00Z".parse().unwrap());
    assert_eq!(plan.cycle(2).unwrap().administered.activity.mbq(), 7350.0);
    assert_eq!(plan.patient_facts.sex, Some(Sex::F));
    let hours = |region| plan.parameters.kinetics.half_life(region).map(|stated| stated.value);
    assert_eq!(hours("Lesion 1"), Some(90.0));
    assert_eq!(hours("kidney"), Some(75.0));
    assert_eq!(plan.parameters.dose.engine, Engine::Kernel);
    assert_eq!(plan.parameters.dose.grid, DoseGrid::Ct);
    assert_eq!(plan.parameters.dose.spacing_mm.unwrap().value, 4.0);
    let tags = |text: &str| [("SeriesDescription".to_owned(), text.to_owned())].into();
    assert!(plan.match_rules[0].fits(&tags("wb lu177 spect ac")));
    assert!(!plan.match_rules[0].fits(&tags("CT")));
    assert!(!plan.match_rules[0].fits(&BTreeMap::new()));
}

#[test]
fn rates_of_the_whole_spectrum_are_each_cycle_s_own() {
    let text = EXAMPLE.replace("+01:00 }", "+01:00 }\n    wide_window_cps: [9.0e4, 6.5e4]");
    let plan = read(&text).unwrap();
    assert_eq!(plan.cycle(1).unwrap().wide_window_cps, [9.0e4, 6.5e4]);
    assert!(plan.cycle(2).unwrap().wide_window_cps.is_empty());
}

#[test]
fn a_course_is_named_without_the_patient_and_stays_itself_as_cycles_are_added() {
    let plan = read(EXAMPLE).unwrap();
    let one_cycle = EXAMPLE.lines().filter(|l| !l.contains("number: 2") && !l.contains("7350"));
    let shorter = read(&one_cycle.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(plan.course_id(), shorter.course_id());
    assert_eq!(plan.course_id().len(), 16);
    assert!(!plan.course_id().contains("P-0001"));
    let other = read(&EXAMPLE.replace("P-0001", "P-0002")).unwrap();
    assert_ne!(plan.course_id(), other.course_id());
    assert!(!format!("{:?}", plan.patient).contains("P-0001"));
}

#[test]
fn an_identifier_stays_text() {
    assert_eq!(read(&EXAMPLE.replace("\"P-0001\"", "0012")).unwrap().patient.id, "0012");
}

#[test]
fn each_slip_is_reported_where_it_stands() {
    let cases = [
        ("activity_mbq: 7400", "activity_mbq: 0", "p.yaml:7:35: 0 MBq cannot have been given"),
        ("activity_mbq: 7400", "activity_mbq: 7.4e9", "p.yaml:7:35: 7400000000 MBq cannot"),
        (
            "activity_mbq: 7400",
            "activity_mbq: .nan",
            "p.yaml:7:35: is not readable YAML: non-finite",
        ),
        ("activity_mbq: 7400", "activity_mbq: 200 mCi", "p.yaml:7:35: the text `200 mCi`"),
        ("activity_mbq", "activity_mci", "p.yaml:7:21: unknown key `activity_mci`"),
        ("10:15:00+01:00", "10:15:00", "p.yaml:7:45: `2026-03-02T10:15:00` has no zone offset"),
        ("2026-03-02T10:15:00+01:00", "yesterday", "p.yaml:7:45: `yesterday` is no instant"),
        ("number: 2", "number: 1", "p.yaml:8:13: cycles must ascend"),
        ("2026-05-04", "2026-01-04", "p.yaml:9:45: is not after the cycle before"),
        ("id: \"P-0001\"", "id: \"\"", "p.yaml:1:16: must be as DICOM writes it"),
        ("multi-time-point", "lu177", "p.yaml:2:11: there is no protocol `lu177`; write one of"),
        ("weight_kg: 71", "weight_kg: 7100", "p.yaml:4:29: 7100 is not plausible"),
        ("sex: F", "sex: female", "p.yaml:4:54: `female` is not known here; write one of"),
        (
            "+01:00 }",
            "+01:00 }\n    wide_window_cps: [9.0e4, -1]",
            "p.yaml:8:30: -1 is out of range; write counts per second",
        ),
        ("SeriesDescription", "PatientName", "p.yaml:11:16: `PatientName` cannot be matched"),
        ("*LU177*AC*", "[", "p.yaml:11:22: is no pattern"),
        ("default: 75", "default: -1", "p.yaml:13:49: -1 is out of range"),
        ("engine: kernel", "engine: magic", "p.yaml:14:19: `magic` is not known here"),
    ];
    for (from, to, expected) in cases {
        let text = EXAMPLE.replacen(from, to, 1);
        let faults = read(&text).expect_err(to);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:#?}");
    }
}

#[test]
fn what_a_plan_states_needs_no_source_and_is_confirmed_by_the_plan() {
    let unconfirmed = |plan: &Plan| plan.parameters.unconfirmed.join(" ");
    let before = read(EXAMPLE).unwrap();
    assert!(unconfirmed(&before).contains("kinetics.relative_sigma"));
    let stated = EXAMPLE.replace("kinetics: {", "kinetics: { relative_sigma: 0.05,");
    let plan = read(&stated).unwrap();
    assert_eq!(plan.parameters.kinetics.relative_sigma.value, 0.05);
    assert_eq!(plan.parameters.kinetics.relative_sigma.provenance, Provenance::Site);
    assert!(!unconfirmed(&plan).contains("relative_sigma"));
    assert!(unconfirmed(&plan).contains("dose.stated_density_g_per_ml"));
}

#[test]
fn any_key_of_a_protocol_can_be_stated_and_nothing_else() {
    let settings = |text: &str| format!("{}\n{text}", EXAMPLE.split("settings:").next().unwrap());
    let bed = "settings: { biology: { bed_parameters: { Kidney: \
               { alpha_beta_gy: 2.5, repair_half_time_h: 2 } } } }";
    let plan = read(&settings(bed)).unwrap();
    assert_eq!(plan.parameters.biology.bed_parameters["Kidney"].value.alpha_beta_gy, 2.5);
    // One time point is enough for whoever asks for one.
    let plan = read(&settings("settings: { imaging: { time_points: 1 } }")).unwrap();
    assert_eq!(plan.parameters.imaging.at_least.value, 1);
    assert_eq!(read(&settings("settings:")).unwrap().parameters.imaging.at_least.value, 2);
    let faults = [
        ("settings: { imaging: { window_h: 0.5 } }", "p.yaml:13:34: 0.5 is out of range"),
        ("settings: { biology: { bed_parameters: { K: { alpha_beta_gy: 2 } } } }", "p.yaml:13:45"),
        ("settings: { kinetic: {} }", "p.yaml:13:13: unknown key `kinetic`; known here are"),
        ("settings: { name: other }", "p.yaml:13:13: unknown key `name`"),
        ("settings: 7", "p.yaml:13:11: `7` stands here; write keys with values"),
    ];
    for (text, expected) in faults {
        let faults = read(&settings(text)).expect_err(text);
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:#?}");
    }
}

#[test]
fn two_slips_are_reported_together() {
    let text = EXAMPLE.replacen("7400", "0", 1).replacen("sex: F", "sex: X", 1);
    assert_eq!(read(&text).unwrap_err().len(), 2);
}

#[test]
fn priors_are_the_plan_s_or_else_the_protocol_s_and_their_faults_have_positions() {
    let plan = read(&format!(
        "{EXAMPLE}priors: {{ from: pacs, modalities: [NM, CT], days_before: 60, retrieve: move }}\n"
    ));
    let wanted = Priors {
        from: "pacs".into(),
        modalities: vec!["NM".into(), "CT".into()],
        days_before: 60,
        days_after: 0,
        retrieve: crate::config::Retrieve::Move,
    };
    assert_eq!(plan.unwrap().priors, Some(wanted));
    assert_eq!(read(EXAMPLE).unwrap().priors, None);

    let found = Protocols::load(None).unwrap();
    let text = &found.find("multi-time-point").unwrap().text;
    let own = format!("{text}\npriors: {{ from: archive, modalities: [CT], days_before: 1 }}\n");
    let protocols = Protocols::of(Protocol::read("own.yaml", &own, false).unwrap());
    let plan = Plan::read("p.yaml", EXAMPLE, &protocols).unwrap();
    assert_eq!(plan.priors.unwrap().from, "archive");

    let broken = "priors: { from: \"\", modalities: [ct], days_before: 99999 }\n";
    let faults = read(&format!("{EXAMPLE}{broken}")).unwrap_err();
    let line = EXAMPLE.lines().count() + 1;
    for (column, what) in [(17, "name of a peer"), (33, "modalities"), (52, "out of range")] {
        let found = faults.iter().any(|fault| {
            fault.starts_with(&format!("p.yaml:{line}:{column}:")) && fault.contains(what)
        });
        assert!(found, "{what}: {faults:?}");
    }
}

#[test]
fn a_tracer_names_its_agent_and_the_therapy_that_it_stands_for() {
    let text = |tracer: &str, at: &str| {
        format!(
            "patient: {{ id: P-1 }}\nprotocol: combo-lp\ncycles:\n  - {{ number: 1, tracer: {{ \
             radiopharmaceutical: 111In-octreotide }}, administered: {{ activity_mbq: 185, at: \
             2026-03-02T10:00:00Z }} }}\n  - {{ number: 2, tracer: {{ {tracer} }}, administered: {{ \
             activity_mbq: 40, at: {at} }} }}\n"
        )
    };
    let mibg = "radiopharmaceutical: 131I-MIBG, stands_for: 131I-MIBG";
    let plan = read(&text(mibg, "2026-03-02T10:00:00Z")).unwrap();
    let tracer = plan.tracer_of(1).unwrap();
    assert_eq!(tracer.stands_for.radiopharmaceutical, "90Y-DOTATOC");
    assert_eq!(tracer.stands_for.nuclide, Nuclide::parse("Y-90").unwrap());
    assert_eq!(plan.nuclide_of(2), &Nuclide::parse("I-131").unwrap());
    assert_eq!(plan.radiopharmaceutical_of(2), "131I-MIBG");
    assert_eq!(plan.own_cycles().count(), 0);
    // Two of one agent at one time are one administration written twice.
    let twice = text("radiopharmaceutical: 111In-octreotide", "2026-03-02T10:00:00Z");
    assert!(read(&twice).unwrap_err()[0].contains("is not after the cycle before"));
    let unknown = read(&text("radiopharmaceutical: octreotide", "2026-03-03T10:00:00Z"));
    assert!(unknown.unwrap_err()[0].starts_with("p.yaml:5:"), "{:?}", read(&twice));
}

#[test]
fn a_half_life_may_say_how_well_it_is_known() {
    let of = |default: &str| read(&EXAMPLE.replace("default: 75", &format!("default: {default}")));
    let plan = of("{ value: 75, relative_uncertainty: 0.1 }").unwrap();
    let stated = plan.parameters.kinetics.half_life("kidney").unwrap();
    assert_eq!((stated.value, stated.relative_uncertainty), (75.0, Some(0.1)));
    assert_eq!(stated.provenance, Provenance::Site);
    assert_eq!(of("75.5").unwrap().parameters.kinetics.half_life("x").unwrap().value, 75.5);
    for wrong in ["{ value: 75, relative_uncertainty: 3 }", "{ hours: 75 }", "long", "0"] {
        let faults = of(wrong).unwrap_err();
        assert!(faults[0].starts_with("p.yaml:13:"), "{wrong}: {faults:?}");
    }
}

#[test]
fn how_an_activity_was_given_is_read_and_checked() {
    let given = |more: &str| {
        let text = "activity_mbq: 7400, at: 2026-03-02T10:15:00+01:00";
        read(&EXAMPLE.replace(text, &format!("{text}, residual_mbq: 50, {more}")))
    };
    let plan = given(
        "route: intravenous, by: \"Meyer, A.\", co_medication: [amino acids], activity_meter: { id: \
         VIK-202 1234, traceable_to: PTB, checked_on: 2026-03-02 }",
    )
    .unwrap();
    let administered = &plan.cycles[0].administered;
    let details = &administered.details;
    assert_eq!(administered.activity.mbq(), 7350.0);
    assert_eq!(details.residual.mbq(), 50.0);
    assert_eq!(details.route.as_ref().unwrap().code().value, "47625008");
    assert_eq!(details.by.as_deref(), Some("Meyer, A."));
    assert_eq!(details.co_medication, ["amino acids"]);
    let meter = details.activity_meter.as_ref().unwrap();
    assert_eq!((meter.id.as_str(), meter.traceable_to.as_deref()), ("VIK-202 1234", Some("PTB")));
    assert_eq!(meter.checked_on, Some(jiff::civil::date(2026, 3, 2)));
    for wrong in [
        "route: by mouth",
        "by: \"\"",
        "activity_meter: VIK",
        "activity_meter: { id: \"\" }",
        "activity_meter: { id: a, checked_on: yesterday }",
        "co_medication: amino acids",
    ] {
        let faults = given(wrong).unwrap_err();
        assert!(faults[0].starts_with("p.yaml:7:"), "{wrong}: {faults:?}");
    }
    let checked =
        EXAMPLE.replace("  - number: 1\n", "  - number: 1\n    camera_checked_on: 2026-03-03\n");
    assert_eq!(
        read(&checked).unwrap().cycles[0].camera_checked_on,
        Some(jiff::civil::date(2026, 3, 3))
    );
}
