//! BED of a region's mean dose, by the tissue that it is.

use super::Request;
use crate::biology::bed::{TissueParameters, bed as biologically_effective_dose};
use crate::kinetics::Fit;
use crate::quantity::{Gray, Seconds, Warning};
use crate::report::{Bed, REMAINDER};

/// A region's name, and what it is where that is coded.
pub struct Whose<'a> {
    pub name: &'a str,
    pub anatomy: Option<&'a str>,
}

/// BED by the plan's parameters for the region, else by the table's for its anatomy. Where neither
/// says which tissue it is there is no BED, and a warning.
pub fn bed(
    of: &Whose<'_>,
    dose: Gray,
    fit: &Fit,
    request: &Request,
    warnings: &mut Vec<Warning>,
) -> Option<Bed> {
    let stated = request.plan.parameters.biology.bed_parameters.get(of.name);
    let of_plan = stated.map(|stated| TissueParameters {
        tissue: of.name.to_owned(),
        alpha_beta: Gray::new(stated.value.alpha_beta_gy),
        repair_half_time: Seconds::from_hours(stated.value.repair_half_time_h),
        provenance: stated.provenance.tag().into(),
        source: stated.source.clone(),
    });
    let of_table = || {
        let by_code = of.anatomy.and_then(TissueParameters::for_anatomy);
        by_code.or_else(|| TissueParameters::for_anatomy(of.name)).cloned()
    };
    let Some(tissue) = of_plan.or_else(of_table) else {
        if of.name != REMAINDER {
            warnings.push(Warning::new(
                "no-bed-parameters",
                "no tissue is known for this region, so it has no BED; state `settings: biology: \
                 bed_parameters` in the plan",
            ));
        }
        return None;
    };
    if tissue.provenance == "M" {
        warnings.push(Warning::new(
            "unconfirmed-constant",
            format!(
                "parameter not confirmed: alpha/beta {} and repair half-time {} h of {} (provenance M)",
                tissue.alpha_beta,
                tissue.repair_half_time.hours(),
                tissue.tissue
            ),
        ));
    }
    match biologically_effective_dose(dose, &fit.terms, &tissue) {
        Ok(bed) => Some(bed),
        Err(error) => {
            warnings.push(Warning::new("no-bed", error.to_string()));
            None
        }
    }
}
