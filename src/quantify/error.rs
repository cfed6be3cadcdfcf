//! Why an image cannot be turned into activity. Each parks the job with what to supply.

use super::planar::OutlineError;

/// A typed refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantifyError {
    #[error(
        "the image holds counts and no calibration fits its camera and nuclide; add one under \
         cameras: (calibration_cps_per_mbq)"
    )]
    NoCalibration,
    #[error("a calibration of {0} cps/MBq cannot be; it must be above zero")]
    Calibration(f64),
    #[error(
        "counts need the scan time, and the object has neither Rotation Information nor Actual \
         Frame Duration; send a series that has"
    )]
    NoDuration,
    #[error(
        "the image is not decay corrected and does not say how long it took, which matters for a \
         half-life of {half_life_h:.2} h; send a series with Actual Frame Duration (0018,1242)"
    )]
    NoDurationForDecay { half_life_h: f64 },
    #[error(
        "Radionuclide Half Life (0018,1075) is {object} s, ours {table} s: another nuclide was \
         set at the scanner; correct the nuclide there or in the plan and send the series again"
    )]
    HalfLife { object: f64, table: f64 },
    #[error("Decay Factor (0054,1321) is {0}; it must be at least 1")]
    DecayFactor(f64),
    #[error(
        "decay correction to the administration is claimed, yet Decay Factor (0054,1321) is 1: the \
         two readings differ by a factor of {ratio:.3}; state this camera's decay reference"
    )]
    DecayContradiction { ratio: f64 },
    #[error(
        "the decay factors of the slices belong to reference times {spread_percent:.1} % apart \
         in activity; the scanner's half-life or times are wrong, reconstruct the series again"
    )]
    DecaySpread { spread_percent: f64 },
    #[error("Decay Correction (0054,1102) and {other} contradict each other; correct the series")]
    DecayStatements { other: &'static str },
    #[error(
        "values are decay corrected to the administration, whose date and time are in neither \
         object nor plan; state it in the plan (administered.at)"
    )]
    NoAdministration,
    #[error(
        "the values are SUV, which cannot be undone without {missing}; send the series in Bq/ml, \
         or with it"
    )]
    Suv { missing: &'static str },
    #[error(
        "one of the activities was typed in mCi: the plan says {plan:.1} MBq, the object \
         {object:.1} MBq; correct the wrong one"
    )]
    Millicurie { plan: f64, object: f64 },
    #[error(
        "the acquisition began {hours:.2} h before the administration; correct the plan's \
         administered.at or the scanner's clock"
    )]
    BeforeAdministration { hours: f64 },
    #[error(
        "it holds {found_mbq:.1} MBq, {percent:.1} % of the {left_mbq:.1} MBq left \
         of what was administered; {low} to {high:.0} % is plausible: check unit, calibration \
         and administered activity"
    )]
    Implausible { found_mbq: f64, left_mbq: f64, percent: f64, low: f64, high: f64 },
    #[error("the activity is not finite; a scale factor of the series is wrong")]
    NotFinite,
    #[error(
        "a rate of {rate:.0} counts/s cannot be observed with a dead time of {tau_us} \u{b5}s, at most \
         {highest:.0}; correct cameras: dead_time, or measure the patient again at a lower activity"
    )]
    DeadTime { rate: f64, tau_us: f64, highest: f64 },
    #[error(
        "cameras: dead_time is stated for this camera, and the object neither says that it is \
         corrected (DTIM in Corrected Image (0028,0051)) nor holds the rate of the whole spectrum; \
         state `cycles: wide_window_cps` in the plan, one rate a SPECT of the cycle"
    )]
    NoWideWindow,
    #[error(
        "a recovery coefficient of {coefficient:.2} for {volume_ml:.2} ml is below {least}: the region \
         is not quantifiable"
    )]
    NotRecoverable { volume_ml: f64, coefficient: f64, least: f64 },
    #[error("no dead time can be fitted to the rates: {0}")]
    Rates(String),
    #[error("no recovery curve can be fitted: {0}")]
    Spheres(String),
    #[error(
        "the regions cannot be told apart at the resolution of the images; correct cameras: resolution, \
         or draw fewer regions"
    )]
    Blurred,
    #[error(
        "nothing is left of the region when what its neighbours spill into it is taken out: it is not \
         quantifiable"
    )]
    NothingOfItsOwn,
    #[error("the conjugate views give no activity: {what}")]
    ConjugateView { what: &'static str },
    #[error(
        "no energy window holds a photopeak of the nuclide ({lines}); acquire with a window about \
         one, or correct the nuclide"
    )]
    NoPhotopeak { lines: String },
    #[error(
        "the {0} view of the photopeak is missing; planar activity needs both, send the whole series"
    )]
    NoView(&'static str),
    #[error(
        "the dwell of a scanning whole-body image needs velocity (0018,1300) and the detector's length \
         along the scan: state cameras: planar: field_of_view_mm"
    )]
    NoDwell,
    #[error(
        "the views have no scatter window below the photopeak, so attenuation is not that of unscattered \
         photons; acquire with a window on either side, or state cameras: planar: broad_beam_ratio"
    )]
    NoScatterWindows,
    #[error(
        "region {0} lies outside of the planar views; narrow `match`, or send views that hold it"
    )]
    OutsideViews(String),
    #[error("the planar views do not tell their regions apart: {0}")]
    Unmixing(&'static str),
    #[error(transparent)]
    Outline(#[from] OutlineError),
    #[error(
        "transmission scan and blank lie on different rasters ({patient:?} and {blank:?} rows and columns); \
         send a blank of the same matrix"
    )]
    BlankRaster { patient: (usize, usize), blank: (usize, usize) },
}
