//! Why a statistic or a BED cannot be had.

/// A refusal: the number would mean nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BiologyError {
    #[error("dose and mass are on different grids")]
    Grids,
    #[error("the region occupies no voxel of the dose grid")]
    EmptyRegion,
    #[error("the region occupies voxel {0}, which the dose grid does not have")]
    OutsideGrid(usize),
    #[error("the region has no mass")]
    NoMass,
    #[error("voxel {voxel}: {what} is negative or not a finite number")]
    NotFinite { voxel: usize, what: &'static str },
    #[error("the dose-rate curve has no positive integral: no BED")]
    Curve,
    #[error("alpha/beta and repair half-time must be positive and finite")]
    Parameters,
    #[error("dose must be finite and not negative, not {0} Gy")]
    Dose(f64),
    #[error(
        "there is no S value of {nuclide} for {target} from {source_organ}; add it to the table"
    )]
    NoSValue { nuclide: String, target: String, source_organ: String },
    #[error("the table has no reference mass of {0}; add a `mass` row")]
    NoReferenceMass(String),
    #[error("a fraction (haematocrit, recovery) must lie between 0 and 1; write 0.42 for 42 %")]
    Fraction,
    #[error("the organs hold more decays than the whole body; check the whole-body retention")]
    MoreThanBody,
}
