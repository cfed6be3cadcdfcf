//! Regions that are made from images, against closed forms.

use super::*;
use crate::quantity::Millimetre;
use crate::volume::{Occupancy, Volume};
use ndarray::Array3;
use std::f64::consts::PI;

/// Values of a function of the point on a cube of `n` voxels of `edge` mm around the origin.
fn image(n: usize, edge: f64, value: impl Fn([f64; 3]) -> f64) -> Volume<f32> {
    let grid = Grid::axial([n; 3], [edge; 3], [-(n as f64 - 1.0) / 2.0 * edge; 3]).unwrap();
    let values = Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
        value(grid.voxel_to_lps([i, j, k].map(|x| x as f64))) as f32
    });
    Volume::new(grid, values)
}

fn everywhere(grid: &Grid) -> Occupancy {
    Occupancy::new((0..grid.len() as u32).map(|n| (n, 1.0)).collect())
}

fn length(p: [f64; 3]) -> f64 {
    p.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn mean(values: &Volume<f32>, region: &Occupancy) -> f64 {
    let (sum, weight) = region.iter().fold((0.0, 0.0), |(s, w), (n, f)| {
        (s + f64::from(f) * f64::from(values.as_slice()[n]), w + f64::from(f))
    });
    sum / weight
}

#[test]
fn a_sphere_has_its_volume_and_of_a_gradient_the_value_of_its_centre() {
    // 2 cm across are 4.19 ml, on any grid and between voxels.
    let wanted = 4.0 / 3.0 * PI * 1.0f64.powi(3);
    for edge in [1.5, 2.7, 4.8] {
        let slope = image(31, edge, |p| 100.0 + p[0] - 2.0 * p[1] + 0.5 * p[2]);
        let centre = [1.3, -2.1, 3.7];
        let found = sphere(slope.grid(), centre, Millimetre::new(20.0));
        let volume = found.volume(slope.grid()).value();
        assert!((volume / wanted - 1.0).abs() < 2e-3, "{edge} mm: {volume} ml");
        let at_centre = 100.0 + 1.3 + 4.2 + 1.85;
        // Voxels stand for their centres: symmetric, so the linear part is kept to sampling.
        assert!((mean(&slope, &found) - at_centre).abs() < 0.1, "{edge}");
    }
}

#[test]
fn spheres_lie_in_the_hottest_parts_and_apart() {
    // Three hot balls in a warm one; a fourth, hotter, is outside of the region.
    let balls = [([-25.0, 0.0, 0.0], 5.0), ([25.0, 0.0, 0.0], 4.0), ([0.0, 30.0, 0.0], 3.0)];
    let scan = image(41, 3.0, |p| {
        let within = |c: [f64; 3], r: f64| length(std::array::from_fn(|a| p[a] - c[a])) <= r;
        let hot = balls.iter().find(|(c, _)| within(*c, 13.0)).map_or(1.0, |(_, v)| *v);
        if within([0.0, -52.0, 0.0], 8.0) { 9.0 } else { hot }
    });
    let kidney = sphere(scan.grid(), [0.0; 3], Millimetre::new(96.0));
    let found = hottest_spheres(&scan, &kidney, Millimetre::new(20.0), 3).unwrap();
    assert_eq!(found.centres_lps_mm.len(), 3);
    for (centre, (ball, _)) in found.centres_lps_mm.iter().zip(&balls) {
        let off = length(std::array::from_fn(|a| centre[a] - ball[a]));
        assert!(off <= 4.5, "{centre:?} for {ball:?}");
    }
    let volume = found.occupancy.volume(scan.grid()).value();
    assert!((volume / (3.0 * 4.18879) - 1.0).abs() < 5e-3, "{volume}");
    assert!((mean(&scan, &found.occupancy) - 4.0).abs() < 0.15);
}

#[test]
fn a_region_too_small_for_the_sphere_is_refused_and_one_for_two_holds_two() {
    let flat = image(30, 2.0, |_| 1.0);
    let ball = |d| sphere(flat.grid(), [0.0; 3], Millimetre::new(d));
    let error = hottest_spheres(&flat, &ball(18.0), Millimetre::new(20.0), 3).unwrap_err();
    assert_eq!(error, SegmentError::NoSphereFits { diameter_mm: 20.0 });
    assert!(error.to_string().contains("diameter_mm"));
    // A pipe of 24 mm across and 48 mm long.
    let pipe =
        image(30, 2.0, |p| f64::from(u8::from(p[0].hypot(p[1]) <= 12.0 && p[2].abs() <= 24.0)));
    let region = threshold(&pipe, &everywhere(pipe.grid()), Level::Value(0.5)).unwrap().occupancy;
    let found = hottest_spheres(&pipe, &region, Millimetre::new(20.0), 3).unwrap();
    assert_eq!(found.centres_lps_mm.len(), 2);
}

/// A ball of 15 mm radius, 100 in it and 20 around it, its edge blurred by a Gaussian whose
/// width is small against it: along the radius an error function.
fn blurred(sigma: f64) -> Volume<f32> {
    image(41, 1.5, move |p| {
        let x = (length(p) - 15.0) / sigma;
        // Logistic for the error function: as symmetric, and with a closed form.
        20.0 + 80.0 / (1.0 + (1.702 * x).exp())
    })
}

#[test]
fn the_half_way_level_finds_a_blurred_ball_where_it_lies() {
    let scan = blurred(3.0);
    let drawn = sphere(scan.grid(), [0.0; 3], Millimetre::new(56.0));
    let found = threshold(&scan, &drawn, Level::AboveBackground(0.5)).unwrap();
    let volume = found.occupancy.volume(scan.grid()).value();
    let wanted = 4.0 / 3.0 * PI * 1.5f64.powi(3);
    // Blur lowers the hottest part more than it lifts the background: 60 would be exact.
    let (threshold, background) = (found.threshold, found.background);
    assert!((threshold - 60.0).abs() < 4.0, "{threshold} {background:?}");
    assert!((volume / wanted - 1.0).abs() < 0.06, "{volume} for {wanted}");
}

#[test]
fn thresholds_are_what_their_formulas_say() {
    let scan = image(21, 2.0, |p| if length(p) <= 12.0 { 100.0 } else { 20.0 });
    let drawn = everywhere(scan.grid());
    let found = threshold(&scan, &drawn, Level::AboveBackground(0.4)).unwrap();
    assert!((found.threshold - 52.0).abs() < 1e-6, "{}", found.threshold);
    assert!((found.background.unwrap() - 20.0).abs() < 1e-9);
    let ball = scan.as_slice().iter().filter(|v| **v > 50.0).count();
    assert_eq!(found.occupancy.len(), ball);
    let relative = threshold(&scan, &drawn, Level::OfMaximum(0.41)).unwrap();
    assert!((relative.threshold - 41.0).abs() < 1e-9 && relative.occupancy.len() == ball);
    assert_eq!(threshold(&scan, &drawn, Level::Value(20.0)).unwrap().occupancy, drawn);
    let none = threshold(&scan, &drawn, Level::Value(101.0)).unwrap_err();
    assert_eq!(none, SegmentError::NothingAbove { threshold: 101.0 });
    // Drawn along the ball's edge there is nothing to set it against.
    let tight = relative.occupancy;
    let error = threshold(&scan, &tight, Level::AboveBackground(0.5)).unwrap_err();
    assert_eq!(error, SegmentError::NoBackground);
}

#[test]
fn what_the_outline_only_touches_is_no_maximum() {
    let scan = image(9, 2.0, |p| if p[0] > 5.0 { 1000.0 } else { 10.0 + p[0] });
    let voxels: Vec<(u32, f32)> = (0..scan.grid().len() as u32)
        .map(|n| (n, if scan.as_slice()[n as usize] > 500.0 { 0.1 } else { 1.0 }))
        .collect();
    let found = threshold(&scan, &Occupancy::new(voxels), Level::OfMaximum(0.5)).unwrap();
    assert!((found.threshold - 7.0).abs() < 1e-6, "{}", found.threshold);
}

/// A trunk: body, two lungs, a spine with marrow, bowel gas, a table below and a speck above.
fn trunk() -> Volume<f32> {
    image(80, 4.0, |[x, y, z]| {
        let oval = |cx: f64, cy: f64, a: f64, b: f64| {
            ((x - cx) / a).powi(2) + ((y - cy) / b).powi(2) <= 1.0
        };
        let ball = |c: [f64; 3], r: f64| length([x - c[0], y - c[1], z - c[2]]) <= r;
        match () {
            () if oval(0.0, 60.0, 10.0, 10.0) && !ball([0.0, 60.0, 20.0], 6.0) => 400.0,
            () if oval(0.0, 60.0, 10.0, 10.0) => 60.0,
            () if ball([60.0, 0.0, 60.0], 50.0) || ball([-60.0, 0.0, 60.0], 48.0) => -800.0,
            () if ball([20.0, -30.0, -90.0], 20.0) => -900.0,
            () if oval(0.0, 0.0, 130.0, 90.0) => 30.0,
            () if y > 110.0 && y < 118.0 => 150.0,
            () if ball([0.0, -130.0, 0.0], 5.0) => 900.0,
            () => -1000.0,
        }
    })
}

fn ml(volume: &Volume<f32>, inside: impl Fn([f64; 3]) -> bool) -> f64 {
    let grid = volume.grid();
    let count = (0..grid.len())
        .filter(|n| inside(grid.voxel_to_lps([n % 80, n / 80 % 80, n / 6400].map(|x| x as f64))))
        .count();
    count as f64 * grid.voxel_volume().value()
}

#[test]
fn body_lungs_and_bone_are_what_they_are_and_nothing_else() {
    let ct = trunk();
    let volume = |tissue| ct_tissue(&ct, tissue).unwrap().volume(ct.grid()).value();
    let oval = |p: [f64; 3], c: [f64; 2], a: f64, b: f64| {
        ((p[0] - c[0]) / a).powi(2) + ((p[1] - c[1]) / b).powi(2) <= 1.0
    };
    // With lungs and gas, without table and speck.
    assert_eq!(volume(CtTissue::Body), ml(&ct, |p| oval(p, [0.0, 0.0], 130.0, 90.0)));
    let ball = |p: [f64; 3], c: [f64; 3], r: f64| length(std::array::from_fn(|a| p[a] - c[a])) <= r;
    // Both lungs, no bowel gas; where the spine runs through, it is spine.
    let lungs = ml(&ct, |p| {
        (ball(p, [60.0, 0.0, 60.0], 50.0) || ball(p, [-60.0, 0.0, 60.0], 48.0))
            && !oval(p, [0.0, 60.0], 10.0, 10.0)
    });
    assert_eq!(volume(CtTissue::Lungs), lungs);
    // Marrow is filled.
    assert_eq!(volume(CtTissue::Bone), ml(&ct, |p| oval(p, [0.0, 60.0], 10.0, 10.0)));
}

#[test]
fn a_ct_without_lungs_or_body_is_refused() {
    let water = image(40, 4.0, |p| if length(p) < 60.0 { 0.0 } else { -1000.0 });
    assert_eq!(ct_tissue(&water, CtTissue::Lungs), Err(SegmentError::NoTissue("Lungs")));
    assert_eq!(ct_tissue(&water, CtTissue::Bone), Err(SegmentError::NoTissue("Bone")));
    let air = image(10, 4.0, |_| -1000.0);
    let error = ct_tissue(&air, CtTissue::Body).unwrap_err();
    assert!(error.to_string().contains("draw the region"), "{error}");
}
