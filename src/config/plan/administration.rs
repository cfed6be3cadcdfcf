//! What a plan says of how an administration was made and measured, for the report.

use crate::dicom::write::Code;
use crate::quantity::Becquerel;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Characters of a name or an identifier: those of a DICOM LO and PN.
const NAME_MAX: usize = 64;
/// Characters of a co-medication.
const TEXT_MAX: usize = 200;
/// Co-medications of one administration.
const CO_MEDICATIONS_MAX: usize = 20;

static ROUTES: LazyLock<BTreeMap<String, Code>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../../config/codes/routes.yaml"))
        .expect("the embedded table is read by a test")
});

/// How an activity was given, of `config/codes/routes.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Route(String);

impl Route {
    pub fn code(&self) -> &'static Code {
        &ROUTES[&self.0]
    }
}

impl TryFrom<String> for Route {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if ROUTES.contains_key(&text) {
            return Ok(Self(text));
        }
        let known: Vec<&str> = ROUTES.keys().map(String::as_str).collect();
        Err(format!("`{text}` is no route that is known; write one of {}", known.join(", ")))
    }
}

impl From<Route> for String {
    fn from(route: Route) -> Self {
        route.0
    }
}

/// `activity_meter:` the instrument that measured the activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityMeter {
    /// What the department calls it: model and serial number.
    pub id: String,
    /// Standard that its calibration goes back to.
    #[serde(default)]
    pub traceable_to: Option<String>,
    /// Date of its last quality control.
    #[serde(default)]
    pub checked_on: Option<Date>,
}

/// Everything about an administration that steers no dose; each absent until given.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct AdministrationDetails {
    /// What stayed in syringe and tubing, at the instant of the administration.
    pub residual: Becquerel,
    pub route: Option<Route>,
    /// Who gave it.
    pub by: Option<String>,
    pub activity_meter: Option<ActivityMeter>,
    pub co_medication: Vec<String>,
}

impl AdministrationDetails {
    /// What cannot be printed or coded: the key and why.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut check = |key, text: &str, most: usize| {
            let fits = !text.trim().is_empty() && text.chars().count() <= most;
            if !fits || text.chars().any(|c| c.is_control() || c == '\\') {
                let message = format!("must have 1 to {most} characters, no backslash");
                faults.push((key, message));
            }
        };
        if let Some(by) = &self.by {
            check("by", by, NAME_MAX);
        }
        if let Some(meter) = &self.activity_meter {
            check("activity_meter", &meter.id, NAME_MAX);
            if let Some(standard) = &meter.traceable_to {
                check("activity_meter", standard, NAME_MAX);
            }
        }
        for text in &self.co_medication {
            check("co_medication", text, TEXT_MAX);
        }
        if self.co_medication.len() > CO_MEDICATIONS_MAX {
            let message = format!("names more than {CO_MEDICATIONS_MAX}; join some");
            faults.push(("co_medication", message));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_table_has_a_code_and_another_is_refused() {
        for name in ROUTES.keys() {
            let route = Route::try_from(name.clone()).unwrap();
            assert!(!route.code().value.is_empty() && route.code().scheme == "SCT", "{name}");
        }
        let refused = Route::try_from("by mouth".to_owned()).unwrap_err();
        assert!(refused.contains("intra-arterial") && refused.contains("oral"), "{refused}");
    }
}
