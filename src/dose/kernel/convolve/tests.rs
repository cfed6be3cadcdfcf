use super::*;
use crate::quantity::nuclide::Nuclide;
use crate::volume::Grid;

fn kernel(name: &str) -> PointKernel {
    PointKernel::of(&Nuclide::parse(name).unwrap()).unwrap()
}

fn map(shape: [usize; 3], side: [f64; 3], value: impl Fn([usize; 3]) -> f32) -> Volume<f32> {
    let [ni, nj, nk] = shape;
    let grid = Grid::axial([nk, nj, ni], side, [0.0; 3]).unwrap();
    let array = Array3::from_shape_fn(grid.dim(), |(k, j, i)| value([i, j, k]));
    Volume::new(grid, array)
}

/// Two organs and a little everywhere.
fn patient(shape: [usize; 3], side: [f64; 3]) -> Volume<f32> {
    map(shape, side, |at| {
        let inside = |centre: [f64; 3], radius: f64| {
            let d2: f64 = (0..3)
                .map(|a| ((at[a] as f64 / shape[a] as f64 - centre[a]) / radius).powi(2))
                .sum();
            d2 < 1.0
        };
        if inside([0.3, 0.4, 0.5], 0.12) {
            5e6
        } else if inside([0.7, 0.6, 0.4], 0.07) {
            2e7
        } else {
            1e5
        }
    })
}

/// The whole kernel on the fine grid, without a ladder.
fn without_ladder(kernel: &PointKernel, tia: &Volume<f32>) -> Vec<f32> {
    let grid = tia.grid();
    let level = levels::ladder(shape_ijk(grid), grid.spacing_mm()).swap_remove(0);
    let both = voxel::electrons(kernel, level.side_mm, level.shape)
        + voxel::photons(kernel, level.side_mm, level.shape, &|_| 1.0);
    let transform = Transform::new(level.shape, level.shape.map(|n| n - 1));
    let kernel = transform.kernel(&(both * gy_per_kev(&level)));
    let [gy] = transform.convolve(tia.as_slice(), [&kernel]);
    gy
}

#[test]
fn the_ladder_agrees_with_the_whole_kernel_on_the_fine_grid() {
    for (name, side) in
        [("I-131", [4.0, 4.0, 4.0]), ("Lu-177", [3.0, 3.0, 6.0]), ("Tc-99m", [4.0; 3])]
    {
        let kernel = kernel(name);
        let tia = patient([64, 48, 40], side);
        let found = dose(&kernel, &tia, None).unwrap();
        let expected = without_ladder(&kernel, &tia);
        let largest = expected.iter().copied().fold(0.0, f32::max);
        let mut worst = 0.0f32;
        for (f, e) in found.gy.as_slice().iter().zip(&expected) {
            if *e > 0.01 * largest {
                worst = worst.max((f / e - 1.0).abs());
            }
        }
        println!("{name} {side:?}: {:.3} %", 100.0 * worst);
        assert!(worst < 0.005, "{name} {side:?}: {:.3} %", 100.0 * worst);
    }
}

#[test]
fn a_uniform_map_gives_a_uniform_dose_of_all_its_energy() {
    let kernel = kernel("Y-90");
    let tia = map([40, 40, 40], [4.0, 4.0, 3.0], |_| 1e6);
    let gy = dose(&kernel, &tia, None).unwrap().gy;
    // In the middle of a large uniform water, a voxel absorbs what it emits.
    let kilogram = 4.0 * 4.0 * 3.0 * 1e-6;
    let expected = 1e6 * kernel.short_range_kev() * 1e3 * JOULE_PER_EV / kilogram;
    let middle = f64::from(gy.values()[[20, 20, 20]]);
    assert!((middle / expected - 1.0).abs() < 4e-3, "{middle} {expected}");
    let inner = gy.values().slice(ndarray::s![8..32, 6..34, 6..34]);
    let (low, high) = inner.iter().fold((f32::MAX, 0.0f32), |(l, h), &v| (l.min(v), h.max(v)));
    assert!(high / low - 1.0 < 2e-3, "{low} {high}");
}

#[test]
fn dose_is_linear_and_turns_with_the_map() {
    let kernel = kernel("Lu-177");
    let tia = patient([30, 26, 28], [3.0; 3]);
    let once = dose(&kernel, &tia, None).unwrap().gy;
    let doubled = map([30, 26, 28], [3.0; 3], |[i, j, k]| 2.0 * tia.values()[[k, j, i]]);
    let twice = dose(&kernel, &doubled, None).unwrap().gy;
    let turned = map([28, 26, 30], [3.0; 3], |[i, j, k]| tia.values()[[i, j, k]]);
    let there = dose(&kernel, &turned, None).unwrap().gy;
    let largest = once.as_slice().iter().copied().fold(0.0, f32::max);
    for ((k, j, i), v) in once.values().indexed_iter() {
        assert!(
            (twice.values()[[k, j, i]] - 2.0 * v).abs() <= 1e-6 * largest,
            "twice at {i} {j} {k}"
        );
        assert!(
            (there.values()[[i, j, k]] - v).abs() <= 1e-3 * largest,
            "turned at {i} {j} {k}: {v} {}",
            there.values()[[i, j, k]]
        );
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let kernel = kernel("I-131");
    let tia = patient([40, 36, 30], [4.0; 3]);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| dose(&kernel, &tia, None).unwrap().gy)
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn air_is_bounded_and_tissue_keeps_its_energy() {
    let kernel = kernel("Y-90");
    let tia = map([24, 24, 24], [3.0; 3], |[i, ..]| if i < 12 { 1e6 } else { 0.0 });
    let water = dose(&kernel, &tia, None).unwrap().gy;
    let density = map([24, 24, 24], [3.0; 3], |[i, ..]| match i {
        0..12 => 1.0,
        12..18 => 0.0012,
        _ => 0.26,
    });
    let found = dose(&kernel, &tia, Some(&density)).unwrap();
    assert_eq!(found.warnings.len(), 1);
    for ((k, j, i), v) in found.gy.values().indexed_iter() {
        let in_water = water.values()[[k, j, i]];
        let bound = if i < 18 { 1.0001 } else { 1.0 / 0.26 };
        // Transforms in f32 are good to some 3e-7 of the largest dose, 5.5 mGy.
        assert!(*v <= in_water * bound + 2e-9, "{i}: {v} in water {in_water}");
    }
    // Everywhere lung: the electrons' energy over the lung's mass.
    let lung = map([24, 24, 24], [3.0; 3], |_| 0.26);
    let full = map([24, 24, 24], [3.0; 3], |_| 1e6);
    let gy = dose(&kernel, &full, Some(&lung)).unwrap().gy;
    let expected = 1e6 * kernel.short_range_kev() * 1e3 * JOULE_PER_EV / (27e-6 * 0.26);
    let middle = f64::from(gy.values()[[12, 12, 12]]);
    assert!((middle / expected - 1.0).abs() < 5e-3, "{middle} {expected}");
}

#[test]
fn a_sphere_of_310_g() {
    // OLINDA 2.2, unit density, mGy/(MBq h).
    for (name, expected) in [("Lu-177", 0.281), ("Y-90", 1.67), ("I-131", 0.429)] {
        let kernel = kernel(name);
        let radius = (3.0 * 310_000.0 / (4.0 * std::f64::consts::PI)).cbrt();
        let inside = |[i, j, k]: [usize; 3]| {
            let d2: f64 = [i, j, k].iter().map(|&x| ((x as f64 - 19.5) * 2.5).powi(2)).sum();
            d2 < radius * radius
        };
        let tia = map([40; 3], [2.5; 3], |at| if inside(at) { 1.0 } else { 0.0 });
        let number: f64 = tia.as_slice().iter().map(|&v| f64::from(v)).sum();
        let gy = dose(&kernel, &tia, None).unwrap().gy;
        let sum: f64 =
            gy.as_slice().iter().zip(tia.as_slice()).map(|(g, t)| f64::from(g * t)).sum();
        let mgy_per_mbq_h = sum / number / number * 1e9 * 3600.0;
        println!("{name} {mgy_per_mbq_h:.4} against {expected}");
        assert!((mgy_per_mbq_h / expected - 1.0).abs() < 0.03, "{name}: {mgy_per_mbq_h}");
    }
}

#[test]
fn impossible_input_is_refused() {
    let kernel = kernel("Lu-177");
    let tia =
        |value: f32| map([4, 4, 4], [3.0; 3], move |[i, ..]| if i == 1 { value } else { 1.0 });
    for bad in [f32::NAN, -1.0, f32::INFINITY] {
        let found = dose(&kernel, &tia(bad), None);
        assert!(matches!(found, Err(KernelError::Activity { voxel: 1, .. })), "{bad}");
    }
    let nothing = map([4, 4, 4], [3.0; 3], |_| 0.0);
    assert_eq!(dose(&kernel, &nothing, None), Err(KernelError::NoActivity));
    let elsewhere = map([4, 4, 4], [4.0; 3], |_| 1.0);
    assert_eq!(dose(&kernel, &tia(1.0), Some(&elsewhere)), Err(KernelError::GridsDiffer));
    let heavy = map([4, 4, 4], [3.0; 3], |_| 50.0);
    assert!(matches!(dose(&kernel, &tia(1.0), Some(&heavy)), Err(KernelError::Density { .. })));
}
