use super::super::transform::Affine;
use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn total(v: &Volume<f32>) -> f64 {
    v.as_slice().iter().map(|&x| f64::from(x)).sum::<f64>() * v.grid().voxel_volume().value()
}

/// A reproducible positive and negative pattern.
fn pattern(grid: Grid) -> Volume<f32> {
    let n = grid.len();
    let values: Vec<f32> =
        (0..n).map(|m| ((m * 2_654_435_761 % 1009) as f32) / 100.0 - 2.0).collect();
    let values = Array3::from_shape_vec(grid.dim(), values).unwrap();
    Volume::new(grid, values)
}

fn rotated(angle: f64, shape: [usize; 3], spacing: [f64; 3], centre: [f64; 3]) -> Grid {
    let (s, c) = angle.sin_cos();
    let zero = Grid::new(shape, spacing, [0.0; 3], [c, s, 0.0], [-s, c, 0.0]).unwrap();
    let middle = std::array::from_fn(|a| (shape[2 - a] as f64 - 1.0) / 2.0);
    let at = zero.voxel_to_lps(middle);
    let origin = std::array::from_fn(|a| centre[a] - at[a]);
    Grid::new(shape, spacing, origin, [c, s, 0.0], [-s, c, 0.0]).unwrap()
}

fn shift(by: [f64; 3]) -> Transform {
    let mut m = [[0.0; 4]; 4];
    for r in 0..3 {
        m[r][r] = 1.0;
        m[r][3] = by[r];
    }
    m[3][3] = 1.0;
    Transform::Affine(Affine::new(m).unwrap())
}

#[test]
fn trilinear_reproduces_a_linear_field_between_the_centres() {
    let source = Grid::axial([6, 7, 8], [2.0, 3.0, 4.0], [-5.0, 3.0, 10.0]).unwrap();
    let field = |p: [f64; 3]| 3.0 + 0.5 * p[0] - 0.25 * p[1] + 0.125 * p[2];
    let values = Array3::from_shape_fn(source.dim(), |(k, j, i)| {
        field(source.voxel_to_lps([i as f64, j as f64, k as f64])) as f32
    });
    let target = rotated(0.4, [4, 4, 4], [1.1; 3], [2.0, 12.0, 20.0]);
    let out = interpolate(&Volume::new(source, values), &target, &Transform::Identity, f32::NAN);
    for ((k, j, i), &v) in out.values().indexed_iter() {
        let wanted = field(target.voxel_to_lps([i as f64, j as f64, k as f64]));
        assert!((f64::from(v) - wanted).abs() < 1e-5);
    }
}

#[test]
fn outside_value_begins_at_the_outer_face_of_the_border_voxel() {
    let source = pattern(Grid::axial([1, 1, 2], [2.0; 3], [0.0; 3]).unwrap());
    let target = Grid::axial([1, 1, 5], [1.0; 3], [-1.0, 0.0, 0.0]).unwrap();
    let out = interpolate(&source, &target, &shift([-0.5, 0.0, 0.0]), 77.0);
    let (a, b) = (source.as_slice()[0], source.as_slice()[1]);
    assert_eq!(out.as_slice()[0], 77.0);
    assert_eq!(out.as_slice()[1], a);
    assert!((out.as_slice()[2] - (a * 0.75 + b * 0.25)).abs() < 1e-6);
}

#[test]
fn parallel_grids_share_by_exact_overlap() {
    let grid = Grid::axial([1, 1, 3], [3.0, 1.0, 1.0], [0.0; 3]).unwrap();
    let source = Volume::new(grid, Array3::from_shape_vec((1, 1, 3), vec![1., 2., 4.]).unwrap());
    // Cells of 2 mm from -1.5: [-1.5,0.5] lies in voxel 0, [0.5,2.5] is 1 mm of 0 and 1 mm of 1 ...
    let target = Grid::axial([1, 1, 5], [2.0, 1.0, 1.0], [-0.5, 0.0, 0.0]).unwrap();
    let out = conserve(&source, &target, &Transform::Identity);
    let wanted = [1.0, 1.5, 2.0, 4.0, 2.0];
    for (found, wanted) in out.as_slice().iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-6, "{:?}", out.as_slice());
    }
}

#[test]
fn flipped_and_permuted_axes_are_still_exact() {
    let source = pattern(Grid::axial([4, 5, 6], [2.0, 3.0, 4.0], [1.0, 2.0, 3.0]).unwrap());
    // i runs along -z, j along +y, k along +x.
    let last = source.grid().voxel_to_lps([0.0, 0.0, 3.0]);
    let target =
        Grid::new([6, 5, 4], [4.0, 3.0, 2.0], last, [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]).unwrap();
    let out = conserve(&source, &target, &Transform::Identity);
    for ((k, j, i), v) in out.values().indexed_iter() {
        assert_eq!(*v, source.values()[[3 - i, j, k]]);
    }
}

#[test]
fn a_registration_moves_the_content_the_stated_way() {
    let grid = Grid::axial([1, 1, 9], [1.0; 3], [0.0; 3]).unwrap();
    let mut source = Volume::new(grid.clone(), Array3::zeros(grid.dim()));
    source.values_mut()[[0, 0, 2]] = 8.0;
    // A target point p is found at p + 3 in the source: content moves by -3.
    let out = conserve(&source, &grid, &shift([2.0, 0.0, 0.0]));
    assert_eq!(out.values()[[0, 0, 0]], 8.0);
    let looked_up = interpolate(&source, &grid, &shift([2.0, 0.0, 0.0]), 0.0);
    assert_eq!(looked_up.values()[[0, 0, 0]], 8.0);
}

#[test]
fn a_deformation_keeps_the_integral() {
    let nodes = Grid::axial([9, 9, 9], [10.0; 3], [-40.0; 3]).unwrap();
    let field = (0..nodes.len())
        .map(|n| {
            let p = nodes.voxel_to_lps(index_of(&nodes, n));
            let size = 3.0 * (-p.iter().map(|x| x * x).sum::<f64>() / 600.0).exp() as f32;
            [size, -size, size]
        })
        .collect();
    let map =
        super::super::transform::Deformation::new(Affine::IDENTITY, Affine::IDENTITY, nodes, field)
            .unwrap();
    let source = pattern(Grid::axial([8, 8, 8], [3.0; 3], [-10.5; 3]).unwrap());
    let target = Grid::axial([40, 40, 40], [1.9; 3], [-38.0; 3]).unwrap();
    let out = conserve(&source, &target, &Transform::Deformable(Arc::new(map)));
    assert!((total(&out) / total(&source) - 1.0).abs() < 1e-6);
}

#[test]
fn number_of_threads_changes_no_bit() {
    let source = pattern(rotated(0.3, [9, 10, 11], [4.8, 4.8, 3.0], [0.0; 3]));
    let target = Grid::axial([12, 13, 14], [5.0, 4.0, 3.5], [-30.0, -25.0, -20.0]).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| conserve(&source, &target, &Transform::Identity))
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn integral_is_kept_on_parallel_grids(
        spacing in prop::array::uniform3(0.7f64..6.0),
        origin in prop::array::uniform3(-2.0f64..2.0),
    ) {
        let source = pattern(Grid::axial([5, 6, 7], [2.0, 3.1, 4.4], origin).unwrap());
        let shape = std::array::from_fn(|a| (50.0 / spacing[2 - a]).ceil() as usize);
        let target = Grid::axial(shape, spacing, [-8.0; 3]).unwrap();
        let out = conserve(&source, &target, &Transform::Identity);
        prop_assert!((total(&out) / total(&source) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn integral_is_kept_on_oblique_grids(
        angle in 0.01f64..1.5, spacing in prop::array::uniform3(1.5f64..5.0),
    ) {
        let source = pattern(rotated(angle, [5, 6, 7], [2.0, 3.1, 4.4], [0.0; 3]));
        let shape = std::array::from_fn(|a| (44.0 / spacing[2 - a]).ceil() as usize);
        let target = rotated(0.0, shape, spacing, [0.0; 3]);
        let out = conserve(&source, &target, &Transform::Identity);
        prop_assert!((total(&out) / total(&source) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_uniform_map_stays_uniform(angle in 0.0f64..1.5) {
        let big = rotated(angle, [14, 14, 14], [4.0; 3], [0.0; 3]);
        let source = Volume::new(big.clone(), Array3::from_elem(big.dim(), 5.0f32));
        let inner = rotated(0.0, [6, 6, 6], [3.0; 3], [0.0; 3]);
        for v in conserve(&source, &inner, &Transform::Identity).as_slice() {
            // Only the border voxels' share, itself found by points, moves the common factor.
            prop_assert!((v / 5.0 - 1.0).abs() < 0.02, "{}", v);
        }
    }
}
