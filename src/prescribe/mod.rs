//! The next activity: every regime's rule as a function of limits, what was given and what was
//! measured.
//!
//! In: dose coefficients, doses so far, limits, the regime's constants (from the protocol, never
//! from here). Out: a proposal with every constraint's own activity and the limiting one named, or
//! a hold with its reasons. A proposal is always a proposal: a named person decides. Equations and
//! worked examples: `docs/methods/prescription.md`.

mod clock;
mod constraint;
mod error;
mod fixed;
mod glass;
mod ledger;
mod lymphoma;
mod marrow_tracer;
mod proposal;
mod regression;
mod resin;
mod retention;
mod sink;
mod thyroid;
mod total;
mod two_agents;

pub use clock::{Clock, Decision, another_cycle, cycles_within};
pub use constraint::{Constraint, Effect, Terms, next_activity};
pub use error::PrescribeError;
pub use fixed::{Amount, course_dose, fixed_activity};
pub use glass::{Delivered, Glass, GlassPlan, VialSlot, lung_shunt_fraction, vial_slots};
pub use ledger::{Administered, Entry, HalfLifeSource, Ledger, Total};
pub use lymphoma::{
    activity_hours, maximum_effective_mass, surrogate_residence, whole_body_activity,
};
pub use marrow_tracer::{SurfaceSeeker, skeletal_retention};
pub use proposal::{Allowed, Hold, Proposal, Verdict, round_down, sudden_increase};
pub use regression::{Regression, fraction_target};
pub use resin::{ActivityRatio, Partition, body_surface_area, bsa_activity, shunt_reduction};
pub use retention::{geometric_mean, residence_time, residence_time_37};
pub use sink::with_sink_margin;
pub use thyroid::{BloodModel, LesionUptake, blood_volume, residence_of_one, rule_of_48_h};
pub use total::reduced_total;
pub use two_agents::{Agent, Objective, Pair, Sharing, two_agents};
