//! The report as pages: PDF/A-2b, for people.
//!
//! In: one typed result with its planes. Out: the bytes of the document. `sections/` says what stands in it (the
//! headings of the EANM's guidance), `template.typ` how it looks; received text reaches the typesetter as data,
//! never as markup. Same result, same bytes: the only date is that of the computation.

mod picture;
mod sections;
mod sheet;
mod text;
mod world;

use super::{CycleResult, Identity, Kind, RESEARCH_MARK, ReportError, ReportOptions, json};
use picture::Scale;
use sections::Context;
use serde_json::json;
use std::collections::BTreeMap;

const TEMPLATE: &str = include_str!("template.typ");

/// The document of one result.
///
/// # Errors
/// The pages cannot be set: a fault of this program, said with the line of its template.
pub fn write(result: &CycleResult, options: &ReportOptions) -> Result<Vec<u8>, ReportError> {
    let failed = |reason: String| ReportError::Pages(reason);
    let planes = result.voxels.as_ref().map_or(&[][..], |voxels| &voxels.planes);
    let scale = Scale::of(planes);
    let mut files = BTreeMap::new();
    for (place, plane) in planes.iter().enumerate() {
        if let Some(scale) = &scale {
            let bytes = picture::png(plane, scale).map_err(|error| failed(error.to_string()))?;
            files.insert(sections::picture_file(place), bytes);
        }
    }
    let context = Context { result, options, json: json::write(result), scale };
    let patient = &result.patient;
    let mut data = json!({
        "title": format!("Dosimetry report, cycle {}", result.cycle),
        "agent": result.radiopharmaceutical,
        "patient": sections::person(&patient.name),
        "id": patient.id,
        "born": sections::date(&patient.birth_date),
        "completeness": result.completeness,
        "computed": context.instant(result.computed_at),
        "software": format!("{} {}", result.software.name, result.software.version),
        "parameters": result.software.parameters_sha256.chars().take(16).collect::<String>(),
        "mark": RESEARCH_MARK,
        "sections": sections::all(&context),
    });
    text::make_printable(&mut data);
    files.insert("data.json".into(), data.to_string().into_bytes());
    let identity = Identity::of(result, options).instance(Kind::Document);
    world::set(TEMPLATE, files, result.computed_at, identity.as_str()).map_err(failed)
}
