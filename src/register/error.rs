//! Why two images cannot be registered.

/// A refusal: no map is given, and nothing stands in for it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegisterError {
    #[error("an image holds a value that is not finite")]
    NotFinite,
    #[error("no level to register at is given")]
    NoLevel,
    #[error(
        "the images do not overlap enough, or one of them is flat; send a Spatial Registration object"
    )]
    NoOverlap,
    #[error(
        "the images agree poorly after registration: correlation {correlation:.3} (at least \
         {correlation_min} is wanted), overlap {overlap:.2} (at least {overlap_min}); register them by \
         hand and send a Spatial Registration object"
    )]
    Poor { correlation: f64, correlation_min: f64, overlap: f64, overlap_min: f64 },
}
