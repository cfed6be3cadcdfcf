//! Who, what and how much.

use super::Context;
use crate::dicom::read::Assay;
use crate::report::Completeness;
use crate::report::number::four_digits;
use crate::report::pdf::sheet::{Block, NOT_STATED, facts, stated};

/// A DICOM person name as it is read: family name, given names, without the carets.
pub(in crate::report::pdf) fn person(name: &str) -> String {
    let group = name.split('=').find(|group| !group.trim().is_empty()).unwrap_or_default();
    let mut parts = group.split('^').map(str::trim);
    let family = parts.next().unwrap_or_default();
    let others: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    match (family, others.is_empty()) {
        ("", _) => others.join(" "),
        (family, true) => family.to_owned(),
        (family, false) => format!("{family}, {}", others.join(" ")),
    }
}

/// `19600229` as `1960-02-29`; anything else as it is.
pub(in crate::report::pdf) fn date(text: &str) -> String {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    match digits {
        true => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
        false => text.to_owned(),
    }
}

pub(super) fn identity(context: &Context<'_>) -> Vec<Block> {
    let result = context.result;
    let patient = &result.patient;
    let id = match patient.issuer.is_empty() {
        true => patient.id.clone(),
        false => format!("{} (issued by {})", patient.id, patient.issuer),
    };
    let (study, given) = (&result.study, &result.administration);
    let therapy = result.regions.iter().find_map(|region| region.therapy.as_ref());
    let stands_for =
        therapy.map_or(String::new(), |t| format!("; a tracer for {}", t.radiopharmaceutical));
    vec![facts([
        ("Patient", stated(Some(&person(&patient.name)))),
        ("Patient ID", stated(Some(&id))),
        (
            "Birth date, sex",
            format!("{}, {}", stated(Some(&date(&patient.birth_date))), stated(Some(&patient.sex))),
        ),
        ("Institution", stated(Some(&context.options.institution))),
        ("Study", stated(Some(&study.description))),
        ("Accession number", stated(Some(&study.accession_number))),
        ("Referring physician", stated(Some(&person(&study.referring_physician)))),
        ("Protocol", format!("{}, version {}", result.protocol, result.protocol_version)),
        ("Cycle", format!("{}, {}", result.cycle, completeness(result.completeness))),
        (
            "Radiopharmaceutical",
            format!("{}, nuclide {}{stands_for}", result.radiopharmaceutical, result.nuclide),
        ),
        (
            "Administered",
            format!(
                "{} MBq on {}, net of what the plan states as residual",
                four_digits(result.administered.mbq()),
                context.instant(result.administered_at)
            ),
        ),
        ("Activity before and residual", assays(context)),
        ("Activity meter", stated(given.meter_text().as_deref())),
        ("Route", stated(given.route.as_ref().map(|route| &*route.meaning))),
        ("Given by", stated(given.by.as_deref().map(person).as_deref())),
        ("Co-medication", stated(Some(&given.co_medication.join("; ")))),
        ("Administration reports received", reports(context)),
        ("Earlier cycles", earlier(context)),
    ])]
}

/// What was measured before, and what stayed behind, each with its time.
fn assays(context: &Context<'_>) -> String {
    let given = &context.result.administration;
    let text = |assay: Option<Assay>| {
        assay.map_or_else(
            || NOT_STATED.into(),
            |assay| {
                let at = assay.at.map(|at| format!(" at {}", context.instant(at)));
                format!("{} MBq{}", four_digits(assay.activity.mbq()), at.unwrap_or_default())
            },
        )
    };
    match (given.before, given.after) {
        (None, None) => NOT_STATED.into(),
        (before, after) => format!("{}; {}", text(before), text(after)),
    }
}

fn reports(context: &Context<'_>) -> String {
    let reports = &context.result.administration.reports;
    let uids: Vec<&str> =
        reports.iter().map(|report| report.instance.sop_instance.as_str()).collect();
    match uids.is_empty() {
        true => "none".into(),
        false => uids.join("; "),
    }
}

fn completeness(of: Completeness) -> &'static str {
    match of {
        Completeness::Final => "final",
        Completeness::Provisional => "provisional: imaging is not complete, a revision will follow",
    }
}

/// Cycles of the ledger before this one.
fn earlier(context: &Context<'_>) -> String {
    let mut found: Vec<String> = Vec::new();
    for entry in context.json["prescription"]["ledger"].as_array().into_iter().flatten() {
        let Some(cycle) = entry["cycle"].as_u64().filter(|n| *n < context.result.cycle.into())
        else {
            continue;
        };
        let activity = entry["activity_mbq"].as_f64();
        let activity =
            activity.map_or_else(|| NOT_STATED.into(), |a| format!("{} MBq", four_digits(a)));
        let drug = entry["radiopharmaceutical"].as_str().unwrap_or_default();
        let text = match cycle {
            0 => format!("before the course: {drug}"),
            _ => format!("{cycle}: {activity} of {drug}"),
        };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    match (found.is_empty(), context.result.cycle) {
        (true, 1) => "none in the plan".into(),
        (true, _) => NOT_STATED.into(),
        (false, _) => found.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_read_as_people_write_them() {
        assert_eq!(person("Müller^Änne^^Dr."), "Müller, Änne Dr.");
        assert_eq!(person("Yamada^Tarou=山田^太郎"), "Yamada, Tarou");
        assert_eq!(person("=山田^太郎"), "山田, 太郎");
        assert_eq!(person("PHANTOM"), "PHANTOM");
        assert_eq!(person(""), "");
        assert_eq!(date("19600229"), "1960-02-29");
        assert_eq!(date("1960"), "1960");
        assert_eq!(date("1960022é"), "1960022é");
    }
}
