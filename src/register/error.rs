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
        "the images agree poorly after registration: {metric} {score:.3} (at least {score_min} is \
         wanted), overlap {overlap:.2} (at least {overlap_min}); register them by hand and send a \
         Spatial Registration object"
    )]
    Poor { metric: &'static str, score: f64, score_min: f64, overlap: f64, overlap_min: f64 },
}
