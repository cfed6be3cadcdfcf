//! Planar scans: counts of two opposite views to the activity of every region.
//!
//! In: the views of one scan ([`PlanarImage`]), the regions on a grid of the patient and what
//! attenuates photons there. Out: the regions' activities at the beginning of the scan with their
//! covariance. Scatter by the windows beside the photopeak, overlap by unmixing the regions' projected
//! shapes; without a CT the geometric mean of MIRD pamphlet 16 over regions outlined on the views. Equations and measured errors:
//! `docs/methods/planar.md`. Knows no file, clock or DICOM attribute.

mod conjugate;
mod image;
mod locate;
mod outlined;
mod project;
mod rates;
mod scatter;
mod transmission;
mod unmix;

pub use conjugate::ConjugateView;
pub use image::{
    EnergyWindow, Exposure, PlanarFrame, PlanarImage, Raster, TransmissionImage, View, ViewOutline,
};
pub use locate::{Located, locate};
pub use outlined::{
    BodyPath, OutlineError, Outlined, OutlinedActivities, OutlinedBackground, OutlinedRegion,
    OutlinedScan, covers_body, split_backgrounds,
};
pub use project::{Projector, Template, blur, blur_along};
pub use rates::{NetRate, RateParameters, WindowRoles, net_rates, window_roles};
pub use scatter::{Primary, WindowCounts, triple_energy_window};
pub use transmission::{TransmissionCounts, TransmissionDepth, transmission_depth};
pub use unmix::{Unmixed, unmix};

#[cfg(test)]
mod tests;
