use super::*;
use crate::phantom::noise::Random;

const MU: f64 = 0.13;
const CPS_PER_MBQ: f64 = 9.1;
const DIM: (usize, usize) = (30, 40);

/// Rows and columns from `at` on.
fn square(name: &str, at: [usize; 2], edges: [usize; 2]) -> ViewOutline {
    let inside = |(row, column): (usize, usize)| {
        (at[0]..at[0] + edges[0]).contains(&row) && (at[1]..at[1] + edges[1]).contains(&column)
    };
    let mask = Array2::from_shape_fn(DIM, inside);
    ViewOutline { name: name.into(), masks: [mask.clone(), mask] }
}

/// cps of both views of one pixel of a slab `t` cm thick with `mbq` in it, `front` cm deep in `body` cm.
fn slab(mbq: f64, front: f64, t: f64, body: f64) -> [f64; 2] {
    let inside = if t > 0.0 { -(-MU * t).exp_m1() / (MU * t) } else { 1.0 };
    [front, body - t - front].map(|near| mbq * CPS_PER_MBQ * (-MU * near).exp() * inside)
}

/// Rates that are Poisson counts of one second.
fn add(rates: &mut [NetRate; 2], outline: &ViewOutline, per_pixel: [f64; 2]) {
    for view in [0, 1] {
        let mask = &outline.masks[view];
        rates[view]
            .cps
            .zip_mut_with(mask, |cps, inside| *cps += f64::from(*inside) * per_pixel[view]);
        rates[view].variance = rates[view].cps.clone();
    }
}

fn none() -> [NetRate; 2] {
    [0, 1].map(|_| NetRate { cps: Array2::zeros(DIM), variance: Array2::zeros(DIM) })
}

fn stated(cm: f64) -> BodyPath<'static> {
    BodyPath::Thickness { body: Millimetre::new(cm * 10.0), relative_uncertainty: Some(0.05) }
}

fn region<'a>(outline: &'a ViewOutline, body: BodyPath<'a>, thick_cm: f64) -> OutlinedRegion<'a> {
    let thickness = (thick_cm > 0.0).then(|| Millimetre::new(thick_cm * 10.0));
    OutlinedRegion { outline, body, thickness }
}

fn found<'a>(
    rates: &[NetRate; 2],
    regions: &[OutlinedRegion<'_>],
    backgrounds: &[&'a ViewOutline],
) -> Result<OutlinedActivities, QuantifyError> {
    let as_there = |outline: &&'a ViewOutline| OutlinedBackground { outline, body: None };
    with(rates, regions, &backgrounds.iter().map(as_there).collect::<Vec<_>>())
}

fn with(
    rates: &[NetRate; 2],
    regions: &[OutlinedRegion<'_>],
    backgrounds: &[OutlinedBackground<'_>],
) -> Result<OutlinedActivities, QuantifyError> {
    let (cps_per_mbq, attenuation_per_cm) = (CPS_PER_MBQ, MU);
    OutlinedScan { rates, regions, backgrounds, cps_per_mbq, attenuation_per_cm }.activities()
}

fn codes(found: &OutlinedActivities) -> Vec<&str> {
    found.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

fn depths(value: impl Fn((usize, usize)) -> f64, variance: f64) -> TransmissionDepth {
    TransmissionDepth {
        depth: Array2::from_shape_fn(DIM, value),
        variance: Array2::from_elem(DIM, variance),
    }
}

#[test]
fn a_slab_is_found_by_thickness_and_by_transmission() {
    let kidney = square("Kidney", [5, 6], [8, 7]);
    let mut rates = none();
    add(&mut rates, &kidney, slab(1.5, 11.0, 5.0, 22.0));
    let map = depths(|_| MU * 22.0, 0.01);
    for body in [stated(22.0), BodyPath::Transmission(&map)] {
        let found = found(&rates, &[region(&kidney, body, 5.0)], &[]).unwrap();
        let one = &found.regions[0];
        assert!((one.activity.value.mbq() / 84.0 - 1.0).abs() < 1e-12, "{one:?}");
        let counting = rates.iter().map(|r| 1.0 / r.cps.sum()).sum::<f64>().sqrt() / 2.0;
        assert!((one.activity.relative_uncertainty.unwrap() / counting - 1.0).abs() < 1e-9);
        assert!((one.depth - 2.86).abs() < 1e-12);
        // μT/2 · 5 %; or half of 0.1 a pixel over 56 of them.
        let wanted = match body {
            BodyPath::Thickness { .. } => 1.43 * 0.05,
            BodyPath::Transmission(_) => 0.05 / f64::sqrt(56.0),
        };
        assert!((one.systematic.unwrap() / wanted - 1.0).abs() < 1e-3, "{one:?}");
        assert_eq!(codes(&found), ["views-no-background"]);
    }
}

#[test]
fn where_the_depth_differs_every_pixel_counts_by_its_own() {
    let lung = square("Lung", [5, 6], [8, 8]);
    let body = |column: usize| if column < 10 { 8.0 } else { 24.0 };
    let mut rates = none();
    for column in 6..14 {
        let part = square("", [5, column], [8, 1]);
        add(&mut rates, &part, slab(0.5, 0.4 * body(column), 0.0, body(column)));
    }
    let map = depths(|(_, column)| MU * body(column), 0.0);
    let mbq = |body| {
        let found = found(&rates, &[region(&lung, body, 0.0)], &[]).unwrap();
        assert_eq!(codes(&found), ["views-no-background", "views-thin-source"]);
        found.regions[0].activity.value.mbq()
    };
    let (each, mean) = (mbq(BodyPath::Transmission(&map)), mbq(stated(16.0)));
    assert!((each / 32.0 - 1.0).abs() < 0.006, "{each}");
    assert!((mean / 32.0 - 1.0).abs() > 0.13, "{mean}");
}

#[test]
fn a_body_that_fills_itself_is_found_by_either_way() {
    let whole = square("Whole Body", [1, 1], [28, 38]);
    let liver = square("Liver", [5, 6], [8, 8]);
    let mut rates = none();
    add(&mut rates, &whole, slab(0.2, 0.0, 20.0, 20.0));
    let map = depths(|_| MU * 20.0, 0.0);
    for body in [stated(20.0), BodyPath::Transmission(&map)] {
        let regions = [region(&whole, body, 0.0), region(&liver, body, 20.0)];
        let found = found(&rates, &regions, &[]).unwrap();
        for (one, pixels) in found.regions.iter().zip([28.0 * 38.0, 64.0]) {
            assert!((one.activity.value.mbq() / (0.2 * pixels) - 1.0).abs() < 1e-12, "{one:?}");
        }
        // Neither shares pixels with the other.
        assert_eq!(codes(&found), ["views-no-background"]);
    }
}

#[test]
fn hot_organs_are_not_taken_for_a_body_that_is_warm_all_through() {
    let (kidney, beside, mut rates) = in_warm_body(14.0);
    add(&mut rates, &kidney, slab(10.0, 14.0, 4.0, 20.0));
    let body = square("Whole body", [0, 0], [30, 40]);
    let truth = 0.4 * 1200.0 + (11.5 - 0.4 * 0.2) * 56.0;
    let both = [region(&body, stated(20.0), 0.0), region(&kidney, stated(20.0), 4.0)];
    let of = |regions| found(&rates, regions, &[&beside]).unwrap().regions;
    let (sum, alone) = (of(&both), of(&both[..1]));
    let off = |one: &Outlined| one.activity.value.mbq() / truth - 1.0;
    let off = [off(&sum[0]), off(&alone[0])];
    assert!(off[0].abs() < 0.001 && off[1] < -0.05, "{off:?}");
    assert_eq!(sum[0].net_cps, alone[0].net_cps);
    // Errors of the thickness go the same way in kidney and rest.
    let systematic = |one: &Outlined| one.systematic.unwrap() * one.activity.value.mbq();
    assert!(systematic(&sum[0]) > systematic(&sum[1]));
}

/// A body of uniform activity, 20 cm thick, with a kidney of 4 cm so deep in it and its background beside it.
fn in_warm_body(front: f64) -> (ViewOutline, ViewOutline, [NetRate; 2]) {
    let (kidney, beside) =
        (square("Kidney_Left", [5, 6], [8, 7]), square("kidney left BACKGROUND", [5, 14], [8, 3]));
    let body = square("", [0, 0], [30, 40]);
    let mut rates = none();
    add(&mut rates, &body, slab(0.4, 0.0, 20.0, 20.0));
    // What the kidney's own tissue does not hold of the body's activity.
    add(&mut rates, &kidney, slab(-0.4 * 4.0 / 20.0, front, 4.0, 20.0));
    add(&mut rates, &kidney, slab(1.5, front, 4.0, 20.0));
    (kidney, beside, rates)
}

#[test]
fn the_background_before_and_behind_is_taken_off_by_what_the_region_leaves_of_it() {
    let of = |front: f64, thick: f64, with_background: bool| {
        let (kidney, beside, rates) = in_warm_body(front);
        let backgrounds = [&beside];
        let backgrounds = if with_background { &backgrounds[..] } else { &[] };
        let found = found(&rates, &[region(&kidney, stated(20.0), thick)], backgrounds).unwrap();
        (found.regions[0].clone(), codes(&found).join(" "))
    };
    let (one, said) = of(8.0, 4.0, true);
    let mbq = one.activity.value.mbq();
    // In the middle exact; near the back, where (1 − t/T) alone is 4 % off, nearly so.
    assert!((mbq / 84.0 - 1.0).abs() < 1e-12, "{mbq}");
    let behind = of(14.0, 4.0, true).0.activity.value.mbq();
    assert!((behind / 84.0 - 1.0).abs() < 0.002, "{behind}");
    assert_eq!(said, "");
    let (bare, said) = of(8.0, 4.0, false);
    assert!(bare.activity.value.mbq() > 1.2 * mbq);
    assert_eq!(said, "views-no-background");
    let (thin, said) = of(8.0, 0.0, true);
    assert!(thin.activity.value.mbq() < mbq);
    assert_eq!(said, "views-thin-source");
    // The background is counted too.
    let bounds = [&one, &bare].map(|one| one.activity.relative_uncertainty.unwrap());
    assert!(bounds[0] > 1.2 * bounds[1], "{bounds:?}");
}

#[test]
fn a_background_where_the_body_is_thinner_is_scaled_to_the_region_s_depth() {
    let (kidney, beside) =
        (square("Kidney", [5, 6], [8, 7]), square("Kidney background", [5, 14], [8, 3]));
    let mut rates = none();
    add(&mut rates, &kidney, slab(0.4, 0.0, 20.0, 20.0));
    add(&mut rates, &kidney, slab(1.5, 10.0, 0.0, 20.0));
    add(&mut rates, &beside, slab(0.4 * 0.6, 0.0, 12.0, 12.0));
    let map = depths(|(_, column)| MU * if column < 14 { 20.0 } else { 12.0 }, 0.0);
    let body = Some(Millimetre::new(120.0));
    let mbq = |path, body| {
        let background = OutlinedBackground { outline: &beside, body };
        with(&rates, &[region(&kidney, path, 0.0)], &[background]).unwrap().regions[0]
            .activity
            .value
            .mbq()
    };
    for (path, body) in [(stated(20.0), body), (BodyPath::Transmission(&map), None)] {
        assert!((mbq(path, body) / 84.0 - 1.0).abs() < 1e-12, "{path:?}");
    }
    assert!(mbq(stated(20.0), None) > 1.02 * 84.0);
    // Beside the body there is nothing to scale; without a depth there nothing is known.
    let room = depths(|(_, column)| if column < 14 { MU * 20.0 } else { 0.01 }, 0.0);
    assert!(
        (mbq(BodyPath::Transmission(&room), None) / mbq(stated(20.0), None) - 1.0).abs() < 1e-12
    );
    let dark = depths(|(_, column)| if column < 14 { MU * 20.0 } else { f64::NAN }, 0.0);
    let background = OutlinedBackground { outline: &beside, body: None };
    let refused =
        with(&rates, &[region(&kidney, BodyPath::Transmission(&dark), 0.0)], &[background]);
    assert!(refused.unwrap_err().to_string().contains("behind region Kidney background"));
}

#[test]
fn the_systematic_part_is_what_another_thickness_makes_of_it() {
    let (kidney, beside, rates) = in_warm_body(8.0);
    let at = |cm: f64| {
        let found = found(&rates, &[region(&kidney, stated(cm), 4.0)], &[&beside]).unwrap();
        found.regions[0].clone()
    };
    let (low, high) = (at(19.99), at(20.01));
    let change = (high.activity.value / low.activity.value - 1.0) / 0.001;
    assert!((at(20.0).systematic.unwrap() / (0.05 * change) - 1.0).abs() < 1e-3);
    // Likewise of the whole body, whose weights hold its self-attenuation.
    let whole = square("body", [0, 0], [30, 40]);
    let at = |cm: f64| {
        found(&rates, &[region(&whole, stated(cm), 0.0)], &[]).unwrap().regions[0].clone()
    };
    let change = (at(20.01).activity.value / at(19.99).activity.value - 1.0) / 0.001;
    assert!((at(20.0).systematic.unwrap() / (0.05 * change) - 1.0).abs() < 1e-3);
}

#[test]
fn backgrounds_leave_out_other_regions_and_one_may_serve_all() {
    let (kidney, beside, mut rates) = in_warm_body(8.0);
    let alone = found(&rates, &[region(&kidney, stated(20.0), 4.0)], &[&beside]).unwrap();
    // A hot lesion reaches into the background.
    let lesion = square("Lesion", [6, 15], [4, 8]);
    add(&mut rates, &lesion, [50.0, 50.0]);
    let all = square("Background", [5, 14], [8, 3]);
    let regions = [region(&kidney, stated(20.0), 4.0), region(&lesion, stated(20.0), 2.0)];
    let other = square("Splen background", [20, 20], [3, 3]);
    let with = found(&rates, &regions, &[&other, &all]).unwrap();
    let [a, b] = [&alone, &with].map(|f| f.regions[0].activity.value.mbq());
    assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
    assert_eq!(codes(&with), ["views-background-unused"]);
    assert!(with.warnings[0].text.starts_with("Splen background: "), "{:?}", with.warnings);
    // Wholly in the lesion, nothing of it is left.
    let inside = square("Kidney left background", [6, 15], [4, 4]);
    let refused = found(&rates, &regions, &[&inside]).unwrap_err();
    assert!(matches!(&refused, QuantifyError::Outline(OutlineError::BackgroundCovered { .. })));
}

#[test]
fn pixels_that_two_regions_share_are_neither_s() {
    let (liver, kidney) = (square("Liver", [2, 2], [10, 12]), square("Kidney", [8, 10], [10, 6]));
    let mut rates = none();
    add(&mut rates, &liver, slab(0.6, 2.0, 8.0, 20.0));
    add(&mut rates, &kidney, slab(0.9, 12.0, 4.0, 20.0));
    let regions = [region(&liver, stated(20.0), 8.0), region(&kidney, stated(20.0), 4.0)];
    let both = found(&rates, &regions, &[]).unwrap();
    for (one, mbq) in both.regions.iter().zip([0.6 * 120.0, 0.9 * 60.0]) {
        assert!((one.activity.value.mbq() / mbq - 1.0).abs() < 1e-12, "{one:?}");
    }
    assert_eq!(codes(&both), ["views-overlap", "views-no-background"]);
    assert!(
        both.warnings[0]
            .text
            .starts_with("Liver with Kidney (anterior, 13 %), Liver with Kidney (posterior")
    );
    // The same area twice is nobody's.
    let twin = square("Twin", [2, 2], [10, 12]);
    let refused = found(&rates, &[regions[0], region(&twin, stated(20.0), 8.0)], &[]).unwrap_err();
    assert!(refused.to_string().contains("region Liver has 0 % of its anterior pixels to itself"));
}

#[test]
fn a_lesion_in_an_organ_is_taken_out_of_it_and_measured_above_it() {
    let (liver, lesion) = (square("Liver", [2, 2], [12, 14]), square("Lesion 1", [6, 6], [4, 4]));
    let beside = square("Lesion 1 background", [5, 5], [6, 6]);
    let mut rates = none();
    add(&mut rates, &liver, slab(0.6, 2.0, 8.0, 20.0));
    let own = slab(2.0, 6.0, 0.0, 20.0);
    add(&mut rates, &lesion, own);
    let regions = [region(&liver, stated(20.0), 8.0), region(&lesion, stated(20.0), 0.0)];
    let both = found(&rates, &regions, &[&beside]).unwrap();
    for (one, mbq) in both.regions.iter().zip([0.6 * 168.0, 2.0 * 16.0]) {
        assert!((one.activity.value.mbq() / mbq - 1.0).abs() < 1e-12, "{one:?}");
    }
    assert_eq!(codes(&both), ["views-within", "views-no-background", "views-thin-source"]);
    assert!(both.warnings[0].text.starts_with("Lesion 1 in Liver (anterior)"));
}

#[test]
fn what_no_longer_stands_out_is_zero_and_what_cannot_be_is_refused() {
    let (kidney, beside) =
        (square("Kidney", [5, 6], [8, 7]), square("background", [5, 14], [8, 7]));
    let with = |kidney_cps: [f64; 2]| {
        let mut rates = none();
        add(&mut rates, &kidney, kidney_cps);
        add(&mut rates, &beside, [10.0, 10.0]);
        found(&rates, &[region(&kidney, stated(20.0), 0.0)], &[&beside])
    };
    // One standard uncertainty of the net rate is 0.6 cps a pixel.
    let cleared = with([9.5, 9.8]).unwrap();
    let one = &cleared.regions[0];
    assert_eq!((one.activity.value.mbq(), one.activity.relative_uncertainty), (0.0, None));
    assert_eq!(one.systematic, None);
    assert!(codes(&cleared).contains(&"views-nothing-above-background"));
    assert!(with([10.3, 10.4]).unwrap().regions[0].activity.value.mbq() > 0.0);
    let below = with([7.0, 20.0]).unwrap_err();
    assert!(below.to_string().contains("less than its background in the anterior view"), "{below}");
    let one_side = with([9.8, 20.0]).unwrap_err().to_string();
    assert!(one_side.contains("in the posterior view and not in the anterior one"), "{one_side}");
}

#[test]
fn a_body_without_counts_is_zero_with_nothing_known_of_it() {
    let body = square("Whole body", [1, 1], [28, 38]);
    let found = found(&none(), &[region(&body, stated(20.0), 0.0)], &[]).unwrap();
    let one = &found.regions[0];
    assert_eq!((one.activity.value.mbq(), one.activity.relative_uncertainty), (0.0, None));
    assert_eq!(one.systematic, None);
    assert_eq!(codes(&found), ["views-no-background", "views-nothing-above-background"]);
}

#[test]
fn what_the_views_cannot_tell_is_refused_by_name() {
    let kidney = square("Kidney", [5, 6], [8, 7]);
    let mut rates = none();
    add(&mut rates, &kidney, slab(1.5, 11.0, 5.0, 22.0));
    let refused = |region: OutlinedRegion<'_>| found(&rates, &[region], &[]).unwrap_err();
    let thick = refused(region(&kidney, stated(4.0), 5.0)).to_string();
    assert!(thick.contains("region Kidney is 50 mm thick and the body there 40 mm"), "{thick}");
    let map = depths(|(row, _)| if row == 6 { f64::NAN } else { 2.0 }, 0.1);
    let dark = refused(region(&kidney, BodyPath::Transmission(&map), 0.0)).to_string();
    assert!(dark.contains("too few counts behind region Kidney"), "{dark}");
    let empty = square("Nothing", [5, 6], [0, 0]);
    assert!(matches!(
        refused(region(&empty, stated(20.0), 0.0)),
        QuantifyError::Outline(OutlineError::Empty { view: "anterior", .. })
    ));
    let mask = Array2::from_elem((3, 3), true);
    let other = ViewOutline { name: "Other".into(), masks: [mask.clone(), mask] };
    assert!(matches!(
        refused(region(&other, stated(20.0), 0.0)),
        QuantifyError::Outline(OutlineError::Raster { .. })
    ));
    // Where nothing is stated of the thickness, nothing is known of its uncertainty.
    let body = BodyPath::Thickness { body: Millimetre::new(220.0), relative_uncertainty: None };
    let known = found(&rates, &[region(&kidney, body, 5.0)], &[]).unwrap();
    assert_eq!(known.regions[0].systematic, None);
}

#[test]
fn names_tell_regions_backgrounds_and_the_whole_body_apart() {
    let outlines = ["Liver", "liver_Background", "BACKGROUND", "Whole-Body", "Backgrounds"]
        .map(|name| square(name, [0, 0], [1, 1]));
    let (regions, backgrounds) = split_backgrounds(&outlines);
    let of = |all: Vec<&ViewOutline>| all.iter().map(|o| o.name.clone()).collect::<Vec<_>>();
    assert_eq!(of(regions), ["Liver", "Whole-Body", "Backgrounds"]);
    assert_eq!(of(backgrounds), ["liver_Background", "BACKGROUND"]);
    assert!(covers_body("Whole-Body") && covers_body("total_body") && !covers_body("Body wall"));
}

#[test]
fn two_of_three_draws_lie_within_the_stated_uncertainty() {
    let (kidney, beside, mean) = in_warm_body(8.0);
    let map = depths(|_| MU * 20.0, 0.0);
    let regions = [region(&kidney, BodyPath::Transmission(&map), 4.0)];
    let truth = found(&mean, &regions, &[&beside]).unwrap().regions[0].activity.value.mbq();
    let mut random = Random::new(11, 2);
    let draws = 1500;
    let mut within = 0;
    for _ in 0..draws {
        let rates = mean.each_ref().map(|view| {
            let cps = view.cps.mapv(|n| random.poisson(n) as f64);
            NetRate { variance: cps.clone(), cps }
        });
        let one = &found(&rates, &regions, &[&beside]).unwrap().regions[0];
        let sigma = one.activity.value.mbq() * one.activity.relative_uncertainty.unwrap();
        within += usize::from((one.activity.value.mbq() - truth).abs() <= sigma);
    }
    let part = within as f64 / f64::from(draws);
    // Three standard errors of 68.3 %.
    assert!((part - 0.683).abs() < 0.036, "{part}");
}
