use super::*;
use crate::quantify::{DeadTime, DeadTimeModel, Injection, QuantifyError};
use crate::quantity::{KiloElectronvolt, Seconds};
use ndarray::Array2;

fn window(low: f64, high: f64) -> EnergyWindow {
    EnergyWindow { ranges: vec![[low, high].map(KiloElectronvolt::new)] }
}

/// 177Lu: 113 keV, 208 keV and a weak line.
fn lines() -> Vec<(KiloElectronvolt, f64)> {
    [(112.95, 0.0623), (208.37, 0.1041), (249.67, 0.002)]
        .map(|(kev, intensity)| (KiloElectronvolt::new(kev), intensity))
        .into()
}

fn scan(exposure: Exposure, windows: Vec<EnergyWindow>, counts: &[f32]) -> PlanarImage {
    let frames = View::BOTH
        .iter()
        .flat_map(|&view| {
            counts.iter().enumerate().map(move |(window, &n)| PlanarFrame {
                view,
                window,
                counts: Array2::from_elem((5, 2), n),
            })
        })
        .collect();
    PlanarImage {
        raster: Raster {
            rows: 5,
            columns: 2,
            spacing_mm: [4.0, 10.0],
            axes: [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
            origin_lps_mm: None,
        },
        windows,
        frames,
        exposure,
        injection: Injection::default(),
        dead_time_corrected: false,
        warnings: Vec::new(),
    }
}

const HOUR: RateParameters =
    RateParameters { half_life: Seconds::new(3600.0), dead_time: None, field_of_view_mm: None };

#[test]
fn the_window_about_the_strongest_line_is_the_peak_and_its_neighbours_are_scatter() {
    let windows = [
        window(229.2, 250.0),
        window(50.0, 600.0),
        window(101.7, 124.2),
        window(187.5, 229.2),
        window(166.7, 187.5),
    ];
    let roles = window_roles(&windows, &lines()).unwrap();
    assert_eq!((roles.peak, roles.below, roles.above, roles.wide), (3, Some(4), Some(0), Some(1)));
    assert!((roles.photopeak.value() - 208.37).abs() < 1e-9);
    let lower = window_roles(&windows[2..3], &lines()).unwrap();
    assert!((lower.photopeak.value() - 112.95).abs() < 1e-9 && lower.below.is_none());
    let none = window_roles(&[window(330.0, 400.0)], &lines()).unwrap_err().to_string();
    assert!(none.contains("208.4 keV"), "{none}");
}

#[test]
fn rates_are_net_per_dwell_and_decayed_back_row_by_row() {
    let windows = vec![window(187.5, 229.1), window(166.7, 187.5), window(229.1, 249.9)];
    let at = |exposure| scan(exposure, windows.clone(), &[1000.0, 300.0, 90.0]);
    let roles = window_roles(&windows, &lines()).unwrap();
    let lambda = HOUR.half_life.half_life_to_rate().value();
    let still = Exposure::Static { duration: Seconds::new(600.0) };
    let [anterior, posterior] = net_rates(&at(still), &roles, &HOUR).unwrap();
    let x = lambda * 600.0;
    let wanted = 610.0 / 600.0 * x / (1.0 - (-x).exp());
    assert!((anterior.cps[[4, 1]] / wanted - 1.0).abs() < 1e-6 && anterior == posterior);

    let moving = |first_row_first| Exposure::Scanning {
        velocity: 2.0,
        field_of_view_mm: Some(400.0),
        first_row_first,
        duration: Some(Seconds::new(225.0)),
    };
    let down = net_rates(&at(moving(Some(true))), &roles, &HOUR).unwrap();
    let up = net_rates(&at(moving(Some(false))), &roles, &HOUR).unwrap();
    let x = lambda * 200.0;
    let first = 610.0 / 200.0 * x / (1.0 - (-x).exp());
    assert!((down[0].cps[[0, 0]] / first - 1.0).abs() < 1e-6);
    // Four rows of 10 mm at 2 mm/s are 20 s later.
    let later = down[0].cps[[4, 0]] / down[0].cps[[0, 0]];
    assert!((later / (lambda * 20.0).exp() - 1.0).abs() < 1e-9);
    assert_eq!(down[0].cps[[4, 0]], up[0].cps[[0, 0]]);
    // The site's own length of the detector goes before the object's.
    let stated = RateParameters { field_of_view_mm: Some(200.0), ..HOUR };
    let shorter = net_rates(&at(moving(Some(true))), &roles, &stated).unwrap();
    assert!(shorter[0].cps[[0, 0]] > 1.9 * down[0].cps[[0, 0]]);
}

#[test]
fn scatter_is_not_known_from_the_window_above_alone() {
    let still = Exposure::Static { duration: Seconds::new(600.0) };
    let rate = |windows: Vec<EnergyWindow>, counts: &[f32]| {
        let roles = window_roles(&windows, &lines()).unwrap();
        let rates = net_rates(&scan(still, windows, counts), &roles, &HOUR).unwrap();
        (roles.tell_scatter(), rates[0].cps[[0, 0]])
    };
    let [peak, below, above] = [window(187.5, 229.1), window(166.7, 187.5), window(229.1, 249.9)];
    let bare = rate(vec![peak.clone()], &[1000.0]);
    assert_eq!(rate(vec![peak.clone(), above], &[1000.0, 90.0]), bare);
    assert!(!bare.0);
    // The one above may be missing: nothing scatters into the highest peak from there.
    let (known, cps) = rate(vec![peak, below], &[1000.0, 300.0]);
    assert!(known && (cps / bare.1 - 0.7).abs() < 1e-9, "{cps}");
}

#[test]
fn dead_time_wants_the_rate_of_the_whole_spectrum() {
    let windows = vec![window(187.5, 229.1), window(40.0, 600.0)];
    let still = Exposure::Static { duration: Seconds::new(10.0) };
    let dead_time = Some(DeadTime { model: DeadTimeModel::Paralysable, tau: Seconds::new(1e-6) });
    let parameters = RateParameters { dead_time, ..HOUR };
    // Ten pixels of 90,000 counts in 10 s: 90 kcps, of which 99,406 were true (V33).
    let image = scan(still, windows.clone(), &[1000.0, 90_000.0]);
    let roles = window_roles(&windows, &lines()).unwrap();
    let plain = net_rates(&image, &roles, &HOUR).unwrap();
    let corrected = net_rates(&image, &roles, &parameters).unwrap();
    let ratio = corrected[0].cps[[0, 0]] / plain[0].cps[[0, 0]];
    assert!((ratio - 99_406.0 / 90_000.0).abs() < 1e-5, "{ratio}");
    let done = PlanarImage { dead_time_corrected: true, ..image };
    assert_eq!(net_rates(&done, &roles, &parameters).unwrap(), plain);

    let narrow = scan(still, windows[..1].to_vec(), &[1000.0]);
    let roles = window_roles(&narrow.windows, &lines()).unwrap();
    assert_eq!(net_rates(&narrow, &roles, &parameters), Err(QuantifyError::NoWideWindow));
}

#[test]
fn what_a_rate_cannot_be_made_of_is_refused() {
    let windows = vec![window(187.5, 229.1)];
    let roles = window_roles(&windows, &lines()).unwrap();
    let moving = Exposure::Scanning {
        velocity: 2.0,
        field_of_view_mm: None,
        first_row_first: None,
        duration: None,
    };
    let image = scan(moving, windows.clone(), &[5.0]);
    assert_eq!(net_rates(&image, &roles, &HOUR), Err(QuantifyError::NoDwell));
    let still = Exposure::Static { duration: Seconds::new(10.0) };
    let mut one_sided = scan(still, windows, &[5.0]);
    one_sided.frames.truncate(1);
    assert_eq!(net_rates(&one_sided, &roles, &HOUR), Err(QuantifyError::NoView("posterior")));
}
