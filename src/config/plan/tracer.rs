//! `tracer:` of a cycle: an administration of another agent, imaged to plan the therapy.

use super::Plan;
use crate::quantity::nuclide::Nuclide;
use serde::{Deserialize, Serialize};

/// What was given in place of the therapy, and which therapy its images are to tell about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tracer {
    pub radiopharmaceutical: String,
    pub nuclide: Nuclide,
    pub stands_for: Therapy,
}

/// An agent that is to be given in the amount that the images allow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Therapy {
    pub radiopharmaceutical: String,
    pub nuclide: Nuclide,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracerFile {
    pub radiopharmaceutical: String,
    /// Without it: the plan's radiopharmaceutical.
    pub stands_for: Option<String>,
}

impl TracerFile {
    /// `therapy` is the plan's own. `Err`: the key that names no nuclide, and why.
    pub fn into_tracer(self, therapy: &Therapy) -> Result<Tracer, (&'static str, String)> {
        let nuclide = |key: &'static str, drug: &str| {
            Nuclide::parse(drug).map_err(|error| (key, error.to_string()))
        };
        let stands_for = match self.stands_for {
            None => therapy.clone(),
            Some(drug) if drug == therapy.radiopharmaceutical => therapy.clone(),
            Some(drug) => {
                Therapy { nuclide: nuclide("stands_for", &drug)?, radiopharmaceutical: drug }
            }
        };
        Ok(Tracer {
            nuclide: nuclide("radiopharmaceutical", &self.radiopharmaceutical)?,
            radiopharmaceutical: self.radiopharmaceutical,
            stands_for,
        })
    }
}

impl Plan {
    /// Nuclide that was given in a cycle: the tracer's in a tracer's.
    pub fn nuclide_of(&self, cycle: u32) -> &Nuclide {
        self.tracer_of(cycle).map_or(&self.nuclide, |tracer| &tracer.nuclide)
    }

    /// Agent that was given in a cycle.
    pub fn radiopharmaceutical_of(&self, cycle: u32) -> &str {
        let tracer = self.tracer_of(cycle);
        tracer.map_or(&self.radiopharmaceutical, |tracer| &tracer.radiopharmaceutical)
    }

    pub fn tracer_of(&self, cycle: u32) -> Option<&Tracer> {
        self.cycle(cycle)?.tracer.as_ref()
    }

    /// Cycles in which the plan's own radiopharmaceutical was given.
    pub fn own_cycles(&self) -> impl Iterator<Item = &super::Cycle> {
        self.cycles.iter().filter(|cycle| cycle.tracer.is_none())
    }
}
