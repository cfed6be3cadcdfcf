use super::*;
use crate::config::{Plan, Protocols};
use crate::quantity::{Becquerel, Seconds};
use crate::report::{Completeness, ReportOptions};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Counts per second that one MBq of the shape makes; nobody knows it.
const UNKNOWN_SCALE: f64 = 1234.5;

fn request(settings: &str) -> Request {
    let text = format!(
        "patient: {{ id: P-1 }}\nprotocol: y90-dotatoc-iowa\ncycles:\n  - {{ number: 1, administered: {{ \
         activity_mbq: 4400, at: 2026-01-02T10:00:00Z }} }}\n{settings}"
    );
    let plan = Plan::read("p.yaml", &text, &Protocols::load(None).unwrap());
    Request {
        plan: plan.unwrap_or_else(|faults| panic!("{faults:?}")),
        protocol_version: String::new(),
        cycle: 1,
        completeness: Completeness::Final,
        predecessor: None,
        inputs: Vec::new(),
        earlier: Vec::new(),
        notes: Vec::new(),
        signed_results: Vec::new(),
        cameras: Vec::new(),
        zone: TimeZone::UTC,
        report: ReportOptions::default(),
        computed_at: Timestamp::UNIX_EPOCH,
    }
}

/// A PET in MBq at 5 h, then what `shape` counts at 6, 24, 48 and 72 h.
fn measured(pet_mbq: f64, shape: impl Fn(f64) -> f64) -> Vec<CurvePoint> {
    let point = |hours: f64, mbq: f64| CurvePoint {
        time: Seconds::from_hours(hours),
        activity: Becquerel::from_mbq(mbq),
        relative_uncertainty: Some(0.1),
    };
    let counts = [6.0, 24.0, 48.0, 72.0].map(|t| point(t, UNKNOWN_SCALE * shape(t)));
    std::iter::once(point(5.0, pet_mbq)).chain(counts).collect()
}

fn fit(points: Vec<CurvePoint>, settings: &str) -> Result<(Fit, f64), PipelineError> {
    let request = request(settings);
    let physical = request.plan.nuclide.decay().unwrap().half_life.half_life_to_rate();
    let region = "Kidneys";
    let points = Points { region, within: None, points, physical, request: &request };
    points.fit(&Parts::counts(vec![1, 2, 3, 4], &[0], &[]).unwrap(), &mut Vec::new())
}

fn half(t: f64, half_life: f64) -> f64 {
    (-std::f64::consts::LN_2 * t / half_life).exp()
}

#[test]
fn v20_four_spect_in_counts_through_one_pet() {
    let (found, scale) =
        fit(measured(55.0, |t| 0.6 * half(t, 6.0) + 0.4 * half(t, 40.0)), "").unwrap();
    let per_unit = scale * UNKNOWN_SCALE;
    assert!((per_unit - 78.176).abs() < 5e-3, "{per_unit}");
    let tia = found.time_integrated_activity.mbq_h();
    assert!((tia - 2210.6).abs() < 0.05 * 2.0, "{tia}");
    // 300 g, 0.9331 MeV of electrons a decay.
    let gray = tia * 0.9331 * 1.602_176_634e-13 * 3600.0 * 1e12 / 300.0 / 1000.0;
    assert!((gray - 3.9657).abs() < 2e-4 && (gray / 4.4 - 0.9013).abs() < 1e-4, "{gray}");
    assert_eq!(found.model, kinetics::HYBRID);
    // The shape's term of the PET and its own, which a fit through all five would not have.
    assert!(found.relative_uncertainty.is_some_and(|u| u > 0.1), "{found:?}");
}

#[test]
fn a_shape_slower_than_the_nuclide_is_held_at_it() {
    let (found, _) = fit(measured(55.0, |t| half(t, 90.0)), "").unwrap();
    let half_life = found.effective_half_life.unwrap().hours();
    assert!((half_life / 64.1 - 1.0).abs() < 1e-3, "{half_life}");
}

#[test]
fn a_rise_from_nothing_is_no_shape() {
    let rising = |t: f64| half(t, 40.0) - half(t, 8.0);
    // Of two clearances the first points' rise is none.
    if let Ok((found, _)) = fit(measured(55.0, rising), "") {
        assert!(found.terms.iter().all(|term| term.amplitude.value() >= 0.0), "{found:?}");
    }
    let uptake = "settings: { kinetics: { method: uptake-clearance } }\n";
    let refused = fit(measured(55.0, rising), uptake).unwrap_err().to_string();
    assert!(refused.contains("Kidneys") && refused.contains("bi-exponential"), "{refused}");
}

#[test]
fn counts_want_one_image_with_a_scale() {
    let refused = |absolute: &[usize], planar: &[usize]| {
        Parts::counts(vec![1, 2], absolute, planar).unwrap_err().to_string()
    };
    assert!(refused(&[], &[]).contains("0 were found; send the PET"));
    assert!(refused(&[0, 3], &[]).contains("2 were found"));
    assert!(refused(&[0], &[3]).contains("planar views"));
}
