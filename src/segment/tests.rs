mod made;

use super::*;
use crate::volume::{Grid, Occupancy, Transform};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, open_file};
use std::path::{Path, PathBuf};

fn ring(kind: ContourKind, centre: [f64; 3], radius: f64, axes: [[f64; 3]; 2]) -> Contour {
    let points_lps_mm = (0..360)
        .map(|n| {
            let (s, c) = (std::f64::consts::TAU * f64::from(n) / 360.0).sin_cos();
            std::array::from_fn(|a| centre[a] + radius * (c * axes[0][a] + s * axes[1][a]))
        })
        .collect();
    Contour { kind, points_lps_mm }
}

const AXIAL: [[f64; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

/// Area of the 360-gon that stands for a circle, mm².
fn ring_area(radius: f64) -> f64 {
    180.0 * radius * radius * (std::f64::consts::TAU / 360.0).sin()
}

fn cylinder(planes: impl IntoIterator<Item = f64>, radius: f64) -> Vec<Contour> {
    planes
        .into_iter()
        .map(|z| ring(ContourKind::ClosedPlanar, [0.0, 0.0, z], radius, AXIAL))
        .collect()
}

fn has(r: &Rasterised, code: &str) -> bool {
    r.warnings.iter().any(|w| w.code == code)
}

fn grid() -> Grid {
    Grid::axial([30, 32, 32], [2.0, 2.0, 3.0], [-31.0, -31.0, -45.0]).unwrap()
}

#[test]
fn a_cylinder_has_its_exact_volume_on_its_own_and_on_another_plane_grid() {
    let wanted = ring_area(20.0) * 30.0 / 1000.0;
    // On the grid's planes, half a plane off, and on planes 5 mm apart.
    for planes in [
        (0..10).map(|n| -15.0 + 3.0 * f64::from(n)).collect::<Vec<_>>(),
        (0..10).map(|n| -13.6 + 3.0 * f64::from(n)).collect(),
        (0..6).map(|n| -12.0 + 5.0 * f64::from(n)).collect(),
    ] {
        let r = rasterise(&cylinder(planes, 20.0), &grid()).unwrap();
        assert!((r.volume.value() / wanted - 1.0).abs() < 1e-9, "{}", r.volume);
        assert!((r.occupancy.volume(&grid()).value() / wanted - 1.0).abs() < 1e-6);
        assert!(r.warnings.is_empty(), "{:?}", r.warnings);
    }
}

#[test]
fn holes_by_nesting_by_xor_and_by_keyhole_are_the_same() {
    let outer = ring(ContourKind::ClosedPlanar, [0.0; 3], 20.0, AXIAL);
    let inner = ring(ContourKind::ClosedPlanar, [0.0; 3], 8.0, AXIAL);
    let mut keyhole = outer.clone();
    keyhole.points_lps_mm.push(outer.points_lps_mm[0]);
    keyhole.points_lps_mm.extend(inner.points_lps_mm.iter().rev());
    keyhole.points_lps_mm.insert(361, inner.points_lps_mm[0]);
    let as_xor =
        [&outer, &inner].map(|c| Contour { kind: ContourKind::ClosedPlanarXor, ..c.clone() });
    let nested = rasterise(&[outer, inner], &grid()).unwrap();
    let wanted = (ring_area(20.0) - ring_area(8.0)) * 3.0 / 1000.0;
    assert!((nested.volume.value() / wanted - 1.0).abs() < 1e-9);
    assert!(has(&nested, "single-plane"));
    assert_eq!(rasterise(&as_xor, &grid()).unwrap().occupancy, nested.occupancy);
    let keyhole = rasterise(&[keyhole], &grid()).unwrap();
    assert_eq!(keyhole.occupancy.len(), nested.occupancy.len());
    for (a, b) in keyhole.occupancy.iter().zip(nested.occupancy.iter()) {
        assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-6);
    }
}

#[test]
fn no_half_voxel_shift() {
    // A square from voxel edge to voxel edge fills whole voxels.
    let square = Contour {
        kind: ContourKind::ClosedPlanar,
        points_lps_mm: vec![[-2., -4., 0.], [4., -4., 0.], [4., 2., 0.], [-2., 2., 0.]],
    };
    let r = rasterise(&[square], &grid()).unwrap();
    assert_eq!(r.occupancy.len(), 9);
    assert!(r.occupancy.iter().all(|v| (v.1 - 1.0).abs() < 1e-6));
    let first = grid().linear(15, 14, 15);
    assert_eq!(r.occupancy.iter().next().unwrap().0, first);
}

#[test]
fn sagittal_planes_and_oblique_planes_keep_the_volume() {
    let sagittal: Vec<Contour> = (0..8)
        .map(|n| {
            let centre = [-8.0 + 2.0 * f64::from(n), 1.0, 2.0];
            ring(ContourKind::ClosedPlanar, centre, 15.0, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        })
        .collect();
    let r = rasterise(&sagittal, &grid()).unwrap();
    let wanted = ring_area(15.0) * 16.0 / 1000.0;
    assert!((r.occupancy.volume(&grid()).value() / wanted - 1.0).abs() < 1e-6);

    let (s, c) = 0.4f64.sin_cos();
    let (u, v, n) = ([1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]);
    let oblique: Vec<Contour> = (0..8)
        .map(|m| {
            let at = n.map(|x| x * (2.0 * f64::from(m) - 7.0));
            ring(ContourKind::ClosedPlanar, at, 12.0, [u, v])
        })
        .collect();
    let r = rasterise(&oblique, &grid()).unwrap();
    let wanted = ring_area(12.0) * 16.0 / 1000.0;
    assert!((r.volume.value() / wanted - 1.0).abs() < 1e-6);
    assert!((r.occupancy.volume(&grid()).value() / wanted - 1.0).abs() < 1e-3);
    // Its centre of mass is the cylinder's.
    let (mut sum, mut moment) = (0.0, [0.0; 3]);
    for (m, f) in r.occupancy.iter() {
        let p = grid().voxel_to_lps([(m % 32) as f64, (m / 32 % 32) as f64, (m / 1024) as f64]);
        sum += f64::from(f);
        (0..3).for_each(|a| moment[a] += f64::from(f) * p[a]);
    }
    assert!(moment.iter().all(|x| (x / sum).abs() < 0.05), "{moment:?} {sum}");
}

#[test]
fn order_of_contours_and_direction_of_drawing_change_nothing() {
    let mut contours = cylinder((0..7).map(|n| -9.0 + 3.0 * f64::from(n)), 17.3);
    let one = rasterise(&contours, &grid()).unwrap();
    contours.reverse();
    assert_eq!(rasterise(&contours, &grid()).unwrap(), one);
    contours.iter_mut().for_each(|c| c.points_lps_mm.reverse());
    let other = rasterise(&contours, &grid()).unwrap();
    assert_eq!(other.occupancy.len(), one.occupancy.len());
    for (a, b) in other.occupancy.iter().zip(one.occupancy.iter()) {
        assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-6);
    }
}

#[test]
fn a_gap_between_two_pieces_stays_empty_and_is_said() {
    let planes = [-30.0, -27.0, -24.0, 9.0, 12.0, 15.0];
    let r = rasterise(&cylinder(planes, 10.0), &grid()).unwrap();
    assert!(has(&r, "contour-gap"));
    let wanted = ring_area(10.0) * 18.0 / 1000.0;
    assert!((r.volume.value() / wanted - 1.0).abs() < 1e-9);
}

#[test]
fn a_contour_stored_twice_counts_once() {
    let mut contours = cylinder([-3.0, 0.0, 3.0], 10.0);
    let once = rasterise(&contours, &grid()).unwrap();
    contours.push(contours[1].clone());
    let twice = rasterise(&contours, &grid()).unwrap();
    assert_eq!(twice.occupancy, once.occupancy);
    assert!(has(&twice, "duplicate-contour"));
}

#[test]
fn what_leaves_the_grid_is_said_and_what_misses_it_is_refused() {
    let beyond: Vec<Contour> = cylinder([-42.0, -45.0, -48.0, -51.0], 10.0);
    let r = rasterise(&beyond, &grid()).unwrap();
    assert!(has(&r, "region-leaves-grid"));
    assert!((r.occupancy.volume(&grid()) / r.volume - 0.5).abs() < 1e-6);
    assert_eq!(rasterise(&cylinder([900.0], 5.0), &grid()), Err(SegmentError::OutsideGrid));
}

#[test]
fn contours_without_area_or_plane_are_refused() {
    let of = |kind, points: &[[f64; 3]]| Contour { kind, points_lps_mm: points.to_vec() };
    let closed = ContourKind::ClosedPlanar;
    let point = of(ContourKind::Point, &[[0.0; 3]]);
    assert_eq!(
        rasterise(std::slice::from_ref(&point), &grid()),
        Err(SegmentError::NoClosedContour)
    );
    assert_eq!(rasterise(&[], &grid()), Err(SegmentError::NoClosedContour));
    let line = of(closed, &[[0.0; 3], [5.0, 0.0, 0.0], [9.0, 0.0, 0.0]]);
    assert_eq!(rasterise(&[line], &grid()), Err(SegmentError::NoArea));
    let nan = of(closed, &[[0.0; 3], [f64::NAN, 0.0, 0.0], [9.0, 0.0, 0.0]]);
    assert_eq!(rasterise(&[nan], &grid()), Err(SegmentError::NotFinite { contour: 1 }));
    let bent = of(closed, &[[0., 0., 0.], [20., 0., 5.], [20., 20., -5.], [0., 20., 5.]]);
    assert!(matches!(rasterise(&[bent], &grid()), Err(SegmentError::NotPlanar { .. })));
    let mut two = cylinder([0.0], 10.0);
    two.push(ring(closed, [0.0; 3], 8.0, [[0.0, 1.0, 0.0], [0.0, 0.6, 0.8]]));
    assert_eq!(rasterise(&two, &grid()), Err(SegmentError::NotParallel { contour: 2 }));
    let mut mixed = cylinder([-3.0, 0.0], 10.0);
    mixed.push(point);
    assert!(has(&rasterise(&mixed, &grid()).unwrap(), "open-contours-ignored"));
}

#[test]
fn transfer_keeps_the_volume_and_follows_the_registration() {
    let source = rasterise(&cylinder([-3.0, 0.0, 3.0], 10.0), &grid()).unwrap().occupancy;
    let (s, c) = 0.2f64.sin_cos();
    let fine =
        Grid::new([80, 80, 80], [1.3; 3], [-50., -50., -50.], [c, s, 0.], [-s, c, 0.]).unwrap();
    let moved = transfer(&source, &grid(), &fine, &Transform::Identity);
    let kept = moved.volume(&fine) / source.volume(&grid());
    assert!((kept - 1.0).abs() < 1e-6, "{kept}");

    // Points of `to` lie 4 mm left of where `from` has them: the region moves by two voxels.
    let mut m = [[0.0; 4]; 4];
    (0..4).for_each(|n| m[n][n] = 1.0);
    m[0][3] = 4.0;
    let shift = Transform::Affine(crate::volume::transform::Affine::new(m).unwrap());
    let shifted = transfer(&source, &grid(), &grid(), &shift);
    assert_eq!(shifted.len(), source.len());
    for (a, b) in shifted.iter().zip(source.iter()) {
        assert!(a.0 + 2 == b.0 && (a.1 - b.1).abs() < 1e-6);
    }
}

#[test]
fn overlapping_regions_share_voxels_in_their_order() {
    let grid = Grid::axial([1, 1, 4], [1.0; 3], [0.0; 3]).unwrap();
    let first = Occupancy::new(vec![(0, 1.0), (1, 0.75)]);
    let second = Occupancy::new(vec![(0, 0.5), (1, 0.5), (2, 0.25)]);
    let a = assign(&grid, &[&first, &second]);
    assert_eq!(a.shares[0], first);
    assert_eq!(a.shares[1], Occupancy::new(vec![(1, 0.25), (2, 0.25)]));
    assert_eq!(a.remainder, Occupancy::new(vec![(2, 0.75), (3, 1.0)]));
    assert_eq!(remainder(&grid, &[&second, &first]), a.remainder);
}

// ---- A real SPECT with a real RTSTRUCT ----------------------------------------------------------

fn real_scan() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/images/lu177_spect_michigan/SCAN_001");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("passed over: ../shared/data/images/lu177_spect_michigan is not here");
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect()
}

fn numbers(object: &InMemDicomObject, tag: dicom_core::Tag) -> Vec<f64> {
    object.element(tag).unwrap().to_multi_float64().unwrap()
}

/// The grid and its values in Bq/ml, slices ascending along z.
fn read_spect(folder: &Path) -> (Grid, Vec<f32>) {
    let mut slices: Vec<([f64; 3], f64, Vec<f32>)> = files(folder)
        .iter()
        .map(|path| {
            let o = open_file(path).unwrap();
            let at = numbers(&o, tags::IMAGE_POSITION_PATIENT);
            let slope = numbers(&o, tags::RESCALE_SLOPE)[0] as f32;
            let intercept = numbers(&o, tags::RESCALE_INTERCEPT)[0] as f32;
            let bytes = o.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
            let values = bytes
                .chunks_exact(2)
                .map(|b| f32::from(u16::from_le_bytes([b[0], b[1]])) * slope + intercept)
                .collect();
            ([at[0], at[1], at[2]], numbers(&o, tags::PIXEL_SPACING)[0], values)
        })
        .collect();
    slices.sort_by(|a, b| a.0[2].total_cmp(&b.0[2]));
    let spacing = slices[0].1;
    let dz = (slices[slices.len() - 1].0[2] - slices[0].0[2]) / (slices.len() - 1) as f64;
    let grid = Grid::axial([slices.len(), 256, 256], [spacing, spacing, dz], slices[0].0).unwrap();
    (grid, slices.into_iter().flat_map(|s| s.2).collect())
}

fn read_regions(folder: &Path) -> Vec<Vec<Contour>> {
    let o = open_file(&files(folder)[0]).unwrap();
    o.element(tags::ROI_CONTOUR_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()
        .iter()
        .map(|roi| {
            let contours = roi.element(tags::CONTOUR_SEQUENCE).unwrap().items().unwrap();
            contours
                .iter()
                .map(|c| Contour {
                    kind: ContourKind::ClosedPlanar,
                    points_lps_mm: numbers(c, tags::CONTOUR_DATA)
                        .chunks_exact(3)
                        .map(|p| [p[0], p[1], p[2]])
                        .collect(),
                })
                .collect()
        })
        .collect()
}

#[test]
fn real_lesion_has_its_volume_and_its_activity_concentration() {
    let Some(scan) = real_scan() else { return };
    let (grid, values) = read_spect(&scan.join("image"));
    let total: f64 = values.iter().map(|&v| f64::from(v)).sum::<f64>();
    let field_mbq = total * grid.voxel_volume().value() / 1e6;
    assert!((field_mbq / 1350.55 - 1.0).abs() < 1e-4, "{field_mbq} MBq");
    let regions = read_regions(&scan.join("mask"));
    for (contours, ml, kbq_per_ml, tolerance) in
        [(&regions[0], 106.98, 1142.7, 0.005), (&regions[1], 2.86, 1474.7, 0.03)]
    {
        let r = rasterise(contours, &grid).unwrap();
        let on_grid = r.occupancy.volume(&grid).value();
        let weight: f64 = r.occupancy.iter().map(|v| f64::from(v.1)).sum();
        let sum: f64 = r.occupancy.iter().map(|(n, f)| f64::from(f) * f64::from(values[n])).sum();
        let mean = sum / weight / 1000.0;
        println!("{on_grid:.3} ml (contours {:.3}), {mean:.2} kBq/ml {:?}", r.volume, r.warnings);
        assert!((on_grid / ml - 1.0).abs() < tolerance, "{on_grid} ml");
        assert!((mean / kbq_per_ml - 1.0).abs() < tolerance, "{mean} kBq/ml");
    }
}
