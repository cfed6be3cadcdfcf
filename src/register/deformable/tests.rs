use super::*;
use crate::volume::Transform;
use ndarray::Array3;

/// Three soft bodies in one, as a function of the point.
fn scene(p: [f64; 3]) -> f64 {
    const BODIES: [([f64; 3], [f64; 3], f64); 4] = [
        ([0.0, 0.0, 0.0], [80.0, 70.0, 75.0], 1000.0),
        ([30.0, -10.0, 15.0], [22.0, 18.0, 26.0], 150.0),
        ([-30.0, 15.0, -15.0], [20.0, 24.0, 20.0], -200.0),
        ([5.0, 25.0, -30.0], [14.0, 14.0, 16.0], 250.0),
    ];
    let of = |(centre, half, height): &([f64; 3], [f64; 3], f64)| {
        let r = (0..3).map(|a| ((p[a] - centre[a]) / half[a]).powi(2)).sum::<f64>().sqrt();
        // An edge about 4 mm wide.
        height / (1.0 + ((r - 1.0) * half[0] / 2.0).exp())
    };
    BODIES.iter().map(of).sum()
}

/// Where the fixed scene has what the moving one shows at `y`: a swelling shift of up to 9 mm.
fn origin_of(y: [f64; 3]) -> [f64; 3] {
    let near = |c: [f64; 3], s: f64| {
        (-0.5 * (0..3).map(|a| (y[a] - c[a]).powi(2)).sum::<f64>() / (s * s)).exp()
    };
    let (a, b) = (near([25.0, -10.0, 15.0], 35.0), near([-25.0, 15.0, -20.0], 40.0));
    [y[0] + 7.0 * a, y[1] - 5.0 * b, y[2] + 6.0 * a - 6.0 * b]
}

fn seen(to_scene: impl Fn([f64; 3]) -> [f64; 3], noise: f64) -> Volume<f32> {
    let grid = Grid::axial([44, 44, 48], [4.0; 3], [-94.0, -86.0, -86.0]).unwrap();
    let mut state = 3u64;
    let values = (0..grid.len())
        .map(|n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let uniform = (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
            (scene(to_scene(grid.voxel_to_lps(grid.place(n).map(|x| x as f64)))) + noise * uniform)
                as f32
        })
        .collect();
    Volume::new(grid.clone(), Array3::from_shape_vec(grid.dim(), values).unwrap())
}

fn settings() -> DeformableSettings {
    crate::register::constants().deformable(0.9)
}

fn length(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>().sqrt()
}

/// Mean distance of found and true places over the middle of the scene, and without a field. Half of the scene
/// is flat: no image says where it lies.
fn errors(map: &Transform) -> [f64; 2] {
    let (mut sums, mut count) = ([0.0; 2], 0.0);
    for n in 0..1000usize {
        let y = [n % 10, n / 10 % 10, n / 100].map(|x| (x as f64 - 4.5) * 11.0);
        let x = origin_of(y);
        sums[0] += length(map.map(x).unwrap(), y);
        sums[1] += length(x, y);
        count += 1.0;
    }
    sums.map(|sum| sum / count)
}

#[test]
fn a_known_deformation_comes_back_with_its_jacobian() {
    let (fixed, moving) = (seen(|p| p, 60.0), seen(origin_of, 60.0));
    let found = deform(&fixed, &moving, &Affine::IDENTITY, &settings()).unwrap();
    let map = Transform::Deformable(found.fixed_to_moving.clone().into());
    let [error, before] = errors(&map);
    println!("{error} mm of {before} mm, {:?} {:?}", found.jacobian, found.score);
    assert!(error < 0.6 * before && before > 2.0, "{error} of {before}");
    assert!(found.jacobian[0] > 0.4 && found.jacobian[1] < 2.5, "{:?}", found.jacobian);
    assert!(found.score[1] > found.score[0]);
    // And back: the inverse brings every point home.
    for p in [[0.0; 3], [30.0, -10.0, 15.0], [-40.0, 20.0, -30.0]] {
        let home = map.inverse().map(map.map(p).unwrap()).unwrap();
        assert!(length(home, p) < 1e-3, "{home:?} {p:?}");
    }
}

#[test]
fn it_follows_its_start() {
    let start = Affine::translation([12.0, -8.0, 20.0]);
    let back = start.inverse();
    let moving = seen(|y| origin_of(back.map(y)), 0.0);
    let found = deform(&seen(|p| p, 0.0), &moving, &start, &settings()).unwrap();
    let home = Transform::Affine(back);
    let map = Transform::Deformable(found.fixed_to_moving.into()).then(home);
    let [error, before] = errors(&map);
    assert!(error < 0.6 * before, "{error} of {before}");
}

#[test]
fn the_same_bits_come_from_any_number_of_threads() {
    let (fixed, moving) = (seen(|p| p, 60.0), seen(origin_of, 60.0));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| deform(&fixed, &moving, &Affine::IDENTITY, &settings()).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn what_stretches_too_far_or_agrees_poorly_is_refused_with_the_figures() {
    let (fixed, moving) = (seen(|p| p, 0.0), seen(origin_of, 0.0));
    let narrow = DeformableSettings { jacobian: [0.99, 1.01], ..settings() };
    let error = deform(&fixed, &moving, &Affine::IDENTITY, &narrow).unwrap_err();
    assert!(matches!(error, RegisterError::Folded { .. }), "{error}");
    assert!(error.to_string().contains("(0.99 to 1.01 is wanted); write `method: rigid`"));
    let strict = DeformableSettings { score_min: 0.99999, ..settings() };
    let noisy = seen(origin_of, 200.0);
    let error = deform(&fixed, &noisy, &Affine::IDENTITY, &strict).unwrap_err();
    assert!(matches!(error, RegisterError::PoorField { .. }), "{error}");
    let mut broken = fixed.clone();
    broken.values_mut()[[1, 2, 3]] = f32::INFINITY;
    let error = deform(&broken, &moving, &Affine::IDENTITY, &settings());
    assert_eq!(error, Err(RegisterError::NotFinite));
}

#[test]
fn means_keep_what_is_flat_and_all_of_a_sum() {
    let shape = [5, 6, 7];
    let mut flat = vec![3.0f32; 2 * 5 * 6 * 7];
    smooth::smooth(&mut flat, 2, shape, [1.0, 2.0, 5.0], smooth::Beyond::Border);
    assert!(flat.iter().all(|v| (v - 3.0).abs() < 1e-5));
    // One voxel in the middle of much nothing: all of it stays, symmetric.
    let shape = [21, 21, 21];
    let mut one = vec![0.0f32; 21 * 21 * 21];
    one[(10 * 21 + 10) * 21 + 10] = 1.0;
    smooth::smooth(&mut one, 1, shape, [1.5, 2.0, 1.0], smooth::Beyond::Nothing);
    let sum: f32 = one.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let at = |k: usize, j: usize, i: usize| one[(k * 21 + j) * 21 + i];
    assert!((at(10, 10, 8) - at(10, 10, 12)).abs() < 1e-9);
    assert!((at(10, 8, 10) / at(10, 10, 10) - (-0.5f32).exp()).abs() < 1e-5);
}
