use super::*;
use crate::volume::{Grid, Transform};
use ndarray::Array3;

/// Blobs in a box, as a function of the point.
fn scene(p: [f64; 3]) -> f64 {
    const BLOBS: [([f64; 3], f64, f64); 4] = [
        ([0.0, 0.0, 0.0], 45.0, 300.0),
        ([40.0, -20.0, 30.0], 16.0, 800.0),
        ([-35.0, 25.0, -20.0], 20.0, 600.0),
        ([10.0, 45.0, -45.0], 14.0, 900.0),
    ];
    BLOBS
        .iter()
        .map(|(centre, width, height)| {
            let r2 = (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>();
            height * (-0.5 * r2 / (width * width)).exp()
        })
        .sum()
}

/// The scene as seen by a scanner whose points `to_scene` takes to the scene's.
fn seen(to_scene: &Affine, noise: f64) -> Volume<f32> {
    let grid = Grid::axial([48, 48, 48], [4.0; 3], [-94.0; 3]).unwrap();
    let mut state = 1u64;
    let values = (0..grid.len())
        .map(|n| {
            let ijk = [n % 48, n / 48 % 48, n / 48 / 48].map(|x| x as f64);
            // A small linear congruence will do for noise (Knuth's MMIX constants).
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let uniform = (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
            (scene(to_scene.map(grid.voxel_to_lps(ijk))) + noise * uniform) as f32
        })
        .collect();
    let values = Array3::from_shape_vec(grid.dim(), values).unwrap();
    Volume::new(grid, values)
}

fn settings(motion: Motion) -> Settings {
    Settings {
        motion,
        metric: Metric::Correlation,
        levels_mm: vec![16.0, 8.0, 4.0],
        score_min: 0.85,
        overlap_min: 0.5,
        stretch: [0.8, 1.2],
    }
}

/// Largest distance of two maps on the corners of a cube of 80 mm.
fn apart(a: &Affine, b: &Affine) -> f64 {
    (0..8usize)
        .map(|n| {
            let p = std::array::from_fn(|axis| if n >> axis & 1 == 1 { 40.0 } else { -40.0 });
            let (p, q) = (a.map(p), b.map(p));
            (0..3).map(|c| (p[c] - q[c]).powi(2)).sum::<f64>().sqrt()
        })
        .fold(0.0, f64::max)
}

#[test]
fn a_known_rigid_motion_comes_back_in_the_right_direction() {
    let motion = Motion::Rigid.about(&[12.0, -7.0, 9.0, 18.0, -12.0, 20.0], [0.0; 3]);
    // Fixed points are the scene's; a moving point is at the scene's place `motion`⁻¹ of it.
    let moving = seen(&motion.inverse(), 100.0);
    let found = register(&seen(&Affine::IDENTITY, 0.0), &moving, &settings(Motion::Rigid)).unwrap();
    assert!(apart(&found.fixed_to_moving, &motion) < 0.2, "{found:?}");
    assert!(found.score > 0.9 && Affine::rigid(found.fixed_to_moving.matrix()).is_ok());
}

#[test]
fn a_known_affine_motion_comes_back() {
    let step = [5.0, -8.0, 3.0, 8.0, 3.0, 0.0, -4.0, -6.0, 2.0, 5.0, 0.0, 7.0];
    let motion = Motion::Affine.about(&step, [0.0; 3]);
    let fixed = seen(&Affine::IDENTITY, 0.0);
    let found =
        register(&fixed, &seen(&motion.inverse(), 50.0), &settings(Motion::Affine)).unwrap();
    assert!(apart(&found.fixed_to_moving, &motion) < 0.5, "{found:?}");
}

#[test]
fn the_same_bits_come_from_any_number_of_threads() {
    let motion = Motion::Rigid.about(&[3.0, -2.0, 4.0, 5.0, 0.0, -3.0], [0.0; 3]);
    let (fixed, moving) = (seen(&Affine::IDENTITY, 30.0), seen(&motion.inverse(), 60.0));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| register(&fixed, &moving, &settings(Motion::Rigid)).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn pictures_of_different_things_are_refused_with_the_figure() {
    let fixed = seen(&Affine::IDENTITY, 0.0);
    let (grid, mut values) = fixed.clone().into_parts();
    let mut n = 0usize;
    values.mapv_inplace(|_| {
        n += 1;
        if (n / 7 + n / 331 + n / 9111).is_multiple_of(2) { 0.0 } else { 500.0 }
    });
    let error = register(&fixed, &Volume::new(grid, values), &settings(Motion::Rigid)).unwrap_err();
    assert!(matches!(error, RegisterError::Poor { score, .. } if score < 0.85));
    assert!(error.to_string().contains("send a Spatial Registration object"));
}

#[test]
fn flat_distant_and_broken_images_are_refused() {
    let fixed = seen(&Affine::IDENTITY, 0.0);
    let (grid, values) = fixed.clone().into_parts();
    let flat = Volume::new(grid.clone(), Array3::from_elem(grid.dim(), 3.0));
    let rigid = settings(Motion::Rigid);
    assert_eq!(register(&fixed, &flat, &rigid), Err(RegisterError::NoOverlap));
    let mut broken = values;
    broken[[0, 0, 0]] = f32::NAN;
    let broken = Volume::new(grid, broken);
    assert_eq!(register(&fixed, &broken, &rigid), Err(RegisterError::NotFinite));
}

#[test]
fn resampling_through_a_found_map_keeps_the_activity() {
    let motion = Motion::Rigid.about(&[6.0, -5.0, 7.0, 9.0, 6.0, -8.0], [0.0; 3]);
    let (fixed, moving) = (seen(&Affine::IDENTITY, 0.0), seen(&motion.inverse(), 0.0));
    let found = register(&fixed, &moving, &settings(Motion::Rigid)).unwrap();
    // A target that holds all of the moving image, so that nothing may be lost.
    let target = Grid::axial([64, 64, 64], [5.0; 3], [-157.5; 3]).unwrap();
    let map = Transform::Affine(found.fixed_to_moving);
    let there = crate::volume::resample::conserve(&moving, &target, &map);
    let sum = |v: &[f32], grid: &Grid| {
        v.iter().map(|&x| f64::from(x)).sum::<f64>() * grid.voxel_volume().value()
    };
    let (before, after) = (sum(moving.as_slice(), moving.grid()), sum(there.as_slice(), &target));
    assert!((after / before - 1.0).abs() < 1e-3, "{before} {after}");
}

#[test]
fn images_of_two_modalities_are_joined_by_mutual_information() {
    let motion = Motion::Rigid.about(&[9.0, -6.0, 7.0, 8.0, -5.0, 10.0], [0.0; 3]);
    let fixed = seen(&Affine::IDENTITY, 0.0);
    // Another meaning of the values: bright is dark, and the middle is brightest.
    let (grid, values) = seen(&motion.inverse(), 30.0).into_parts();
    let other = values.mapv(|v| 500.0 - (v - 400.0).abs() * 0.7);
    let other = Volume::new(grid, other);
    let mutual =
        Settings { metric: Metric::MutualInformation, score_min: 1.05, ..settings(Motion::Rigid) };
    let found = register(&fixed, &other, &mutual).unwrap();
    println!("{found:?}");
    assert!(apart(&found.fixed_to_moving, &motion) < 1.0, "{found:?}");
    let again = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(again.install(|| register(&fixed, &other, &mutual).unwrap()), found);
    // What says nothing of the other is refused with the figure.
    let (grid, mut values) = other.into_parts();
    let mut state = 7u64;
    values.mapv_inplace(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32
    });
    let error = register(&fixed, &Volume::new(grid, values), &mutual).unwrap_err();
    assert!(matches!(error, RegisterError::Poor { .. }), "{error}");
    assert!(error.to_string().contains("mutual information"), "{error}");
}

#[test]
fn a_stretch_beyond_its_bounds_is_refused_with_the_figures() {
    let step = [0.0, 0.0, 0.0, 12.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, -3.0];
    let motion = Motion::Affine.about(&step, [0.0; 3]);
    let (fixed, moving) = (seen(&Affine::IDENTITY, 0.0), seen(&motion.inverse(), 0.0));
    let bounded = Settings { stretch: [0.95, 1.05], ..settings(Motion::Affine) };
    let error = register(&fixed, &moving, &bounded).unwrap_err();
    let RegisterError::Stretched { stretch, .. } = error else { panic!("{error}") };
    assert!((stretch[0] - 0.98).abs() < 0.01 && (stretch[1] - 1.08).abs() < 0.01, "{stretch:?}");
    assert!(error.to_string().contains("(0.95 to 1.05 is wanted)"), "{error}");
    // A shear shows in the stretches too.
    let shear = [0.0, 0.0, 0.0, 0.0, 18.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let [least, most] = Motion::Affine.about(&shear, [0.0; 3]).stretch();
    assert!((least - 0.942).abs() < 1e-3 && (most - 1.062).abs() < 1e-3, "{least} {most}");
}
