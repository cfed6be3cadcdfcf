//! Why no activity can be computed. Not to be mixed up with a hold, which is a clinical decision.

/// An input that is missing or cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PrescribeError {
    #[error("{what} must be {wanted}, not {value}")]
    Value { what: &'static str, wanted: &'static str, value: f64 },
    #[error("no constraint is given: without a limit there is no activity to compute")]
    NoConstraint,
    #[error("{what} is missing; {supply}")]
    Missing { what: &'static str, supply: &'static str },
    #[error("the blood curve: {0}")]
    Blood(String),
    #[error("the lung shunt is {0}: all or more than all activity would go to the lungs")]
    Shunt(f64),
}

/// `value` where it is finite and positive.
pub(super) fn positive(what: &'static str, value: f64) -> Result<f64, PrescribeError> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(PrescribeError::Value { what, wanted: "positive and finite", value })
}

/// `value` where it is finite and not negative.
pub(super) fn not_negative(what: &'static str, value: f64) -> Result<f64, PrescribeError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(PrescribeError::Value { what, wanted: "finite and not negative", value })
}

/// `value` where it lies between 0 and 1, ends included.
pub(super) fn fraction(what: &'static str, value: f64) -> Result<f64, PrescribeError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(PrescribeError::Value { what, wanted: "between 0 and 1", value })
}
