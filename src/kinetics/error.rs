//! Why a curve cannot be fitted.

/// A refusal: the data, not the program, must change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KineticsError {
    #[error("the curve has no point; at least one measured activity is needed")]
    NoPoint,
    #[error("point {index}: {what} is not a finite number")]
    NotFinite { index: usize, what: &'static str },
    #[error(
        "point {index}: measured {hours} h before the administration; check the administration \
         time and the acquisition time (0008,0022) (0008,0032)"
    )]
    BeforeAdministration { index: usize, hours: f64 },
    #[error(
        "points {first} and {second} are not ascending in time; two points may not share one time"
    )]
    NotAscending { first: usize, second: usize },
    #[error(
        "point {index}: activity {bq} Bq is not positive; exclude the time point or the region"
    )]
    NotPositive { index: usize, bq: f64 },
    #[error("point {index}: relative uncertainty {value} is not positive")]
    Uncertainty { index: usize, value: f64 },
    #[error("the physical decay constant must be positive and finite, not {0} /s")]
    PhysicalRate(f64),
    #[error("the effective half-life must be positive and finite, not {0} s")]
    HalfLife(f64),
    #[error("the relative uncertainty of the half-life must be 0 or more and finite, not {0}")]
    HalfLifeUncertainty(f64),
    #[error(
        "{model} needs at least {needed} points and the curve has {found}; add time points or \
         state an effective half-life"
    )]
    TooFewPoints { model: &'static str, needed: usize, found: usize },
    #[error("the method takes one point, not {found}; choose another method")]
    OnePointOnly { found: usize },
    #[error(
        "one point taken {hours} h after administration lies beyond the physical half-life: the \
         two-t approximation does not hold; state an effective half-life"
    )]
    BeyondPhysicalHalfLife { hours: f64 },
    #[error(
        "the activities rise by {standard_uncertainties:.1} standard uncertainties from first to last: \
         no clearance has begun that a tail could follow; add later time points, or choose \
         `trapezoid` with a physical tail, which is an upper bound"
    )]
    Rising { standard_uncertainties: f64 },
    #[error("library of curves, curve {curve}: {what}; correct the file")]
    Library { curve: usize, what: &'static str },
    #[error("image {index} has {found} voxels and the first {wanted}; resample them to one grid")]
    UnequalImages { index: usize, found: usize, wanted: usize },
    #[error(
        "the images begin {hours} h after administration, when the nuclide itself is all but gone: no \
         rate can be seen; check the administration time"
    )]
    TooLateForNuclide { hours: f64 },
    #[error("{0} has no formula that could be carried over; fit the curve with exponentials")]
    NoFormula(&'static str),
    #[error(
        "a phase of half-life {half_life_h} h outlives the surrogate ({physical_h} h); check which \
         nuclide was imaged"
    )]
    SlowerThanNuclide { half_life_h: f64, physical_h: f64 },
    #[error("the {0} fit did not converge; choose another model or check the activities")]
    NotConverged(&'static str),
}
