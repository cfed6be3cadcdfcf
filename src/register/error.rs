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
    #[error(
        "the affine registration stretches by {:.3} to {:.3} ({} to {} is wanted): that is no patient's motion; write \
         `method: rigid`, or send a Spatial Registration object", stretch[0], stretch[1], bounds[0], bounds[1]
    )]
    Stretched { stretch: [f64; 2], bounds: [f64; 2] },
    #[error(
        "the images agree poorly after deformation: correlation {score:.3} (at least {score_min} is \
         wanted, and no less than the {before:.3} before); write `method: rigid`, or register them by hand and \
         send a Deformable Spatial Registration object"
    )]
    PoorField { score: f64, before: f64, score_min: f64 },
    #[error(
        "the deformation folds or stretches more than tissue does: its Jacobian determinant runs from \
         {:.3} to {:.3} ({} to {} is wanted); write `method: rigid`, or register the images by hand and send a \
         Deformable Spatial Registration object", jacobian[0], jacobian[1], bounds[0], bounds[1]
    )]
    Folded { jacobian: [f64; 2], bounds: [f64; 2] },
}
