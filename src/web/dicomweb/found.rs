//! What the archive holds, as rows of studies, series and instances that match a search.

use super::search::{Level, Search, Within};
use crate::archive::{Archive, ArchiveError, Instance, InstanceFilter};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One study, series or instance: the instances that it consists of.
pub(super) struct Row(Vec<Instance>);

/// Rows that match, in the order of UIDs, from `offset`, at most `limit`.
pub(super) fn find(
    archive: &dyn Archive,
    level: Level,
    within: &Within,
    search: &Search,
) -> Result<Vec<Row>, ArchiveError> {
    let unique = |tag| {
        let wanted = search.matches.iter().find(|(wanted, _)| *wanted == tag);
        wanted.and_then(|(_, value)| crate::dicom::Uid::parse(value).ok())
    };
    let filter = InstanceFilter {
        study: within.study.clone().or_else(|| unique(tags::STUDY_INSTANCE_UID)),
        series: within.series.clone().or_else(|| unique(tags::SERIES_INSTANCE_UID)),
        ..InstanceFilter::default()
    };
    let mut rows: BTreeMap<(String, String, String), Vec<Instance>> = BTreeMap::new();
    for instance in archive.instances(&filter)? {
        let header = &instance.header;
        let series = if level >= Level::Series { header.series.to_string() } else { String::new() };
        let sop =
            if level >= Level::Instance { header.sop_instance.to_string() } else { String::new() };
        rows.entry((header.study.to_string(), series, sop)).or_default().push(instance);
    }
    let rows = rows.into_values().map(Row);
    let matching = rows.filter(|row| {
        let suits = |(tag, wanted): &(Tag, String)| matches(*tag, wanted, &row.texts(*tag));
        search.matches.iter().all(suits)
    });
    Ok(matching.skip(search.offset).take(search.limit).collect())
}

/// Does any of the values match (PS3.4 C.2.2.2)?
fn matches(tag: Tag, wanted: &str, values: &[String]) -> bool {
    if wanted.is_empty() || wanted == "*" {
        return true;
    }
    let is_date = [tags::STUDY_DATE, tags::STUDY_TIME, tags::PATIENT_BIRTH_DATE].contains(&tag);
    let is_uid = [
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
        tags::SOP_CLASS_UID,
    ]
    .contains(&tag);
    values.iter().any(|value| {
        if is_date && let Some((from, to)) = wanted.split_once('-') {
            return (from.is_empty() || value.as_str() >= from)
                && (to.is_empty() || value.as_str() <= to);
        }
        if is_uid || tag == tags::MODALITIES_IN_STUDY {
            return wanted.split([',', '\\']).any(|wanted| wanted.trim() == value);
        }
        wildcard(&wanted.to_lowercase(), &value.to_lowercase())
    })
}

/// `*` for any run of characters, `?` for one; without recursion.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The groups of a name in the JSON model.
fn person(name: &str) -> Option<Value> {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(name.split('='));
    let named: Map<String, Value> = groups
        .filter(|(_, text)| !text.is_empty())
        .map(|(group, text)| (group.to_owned(), text.into()))
        .collect();
    (!named.is_empty()).then_some(Value::Object(named))
}

impl Row {
    fn texts(&self, tag: Tag) -> Vec<String> {
        let header = &self.0[0].header;
        let one = |text: &str| vec![text.to_owned()];
        let optional = |text: Option<String>| text.into_iter().collect();
        match tag {
            tags::PATIENT_ID => one(&header.patient.id),
            tags::PATIENT_NAME => one(&header.patient.name),
            tags::PATIENT_BIRTH_DATE => one(&header.patient.birth_date),
            tags::PATIENT_SEX => one(&header.patient.sex),
            tags::ACCESSION_NUMBER => optional(header.accession_number.clone()),
            tags::STUDY_DATE => optional(header.study_date.clone()),
            tags::STUDY_DESCRIPTION => self.tag("StudyDescription"),
            tags::STUDY_TIME => self.tag("StudyTime"),
            tags::STUDY_ID => self.tag("StudyID"),
            tags::REFERRING_PHYSICIAN_NAME => self.tag("ReferringPhysicianName"),
            tags::STUDY_INSTANCE_UID => one(header.study.as_str()),
            tags::SERIES_INSTANCE_UID => one(header.series.as_str()),
            tags::SOP_INSTANCE_UID => one(header.sop_instance.as_str()),
            tags::SOP_CLASS_UID => one(header.sop_class.as_str()),
            tags::MODALITY => one(&header.modality),
            tags::MODALITIES_IN_STUDY => self.modalities(),
            tags::SERIES_DESCRIPTION => optional(header.series_description.clone()),
            tags::SERIES_NUMBER => optional(header.series_number.map(|n| n.to_string())),
            tags::INSTANCE_NUMBER => optional(header.instance_number.map(|n| n.to_string())),
            _ => Vec::new(),
        }
    }

    fn tag(&self, keyword: &str) -> Vec<String> {
        self.0[0].header.series_tags.get(keyword).cloned().into_iter().collect()
    }

    fn modalities(&self) -> Vec<String> {
        let mut found: Vec<String> = self.0.iter().map(|i| i.header.modality.clone()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// The attributes of PS3.18 tables 10.6.3-3 to 10.6.3-5 that are known.
    pub(super) fn answer(&self, level: Level, root: &str) -> Value {
        let header = &self.0[0].header;
        let mut set = Map::new();
        let mut put = |tag: &str, vr: &str, values: Vec<Value>| {
            let values: Vec<Value> = values.into_iter().filter(|v| *v != json!("")).collect();
            let element = if values.is_empty() {
                json!({ "vr": vr })
            } else {
                json!({ "vr": vr, "Value": values })
            };
            set.insert(tag.to_owned(), element);
        };
        let strings = |texts: Vec<String>| texts.into_iter().map(Value::from).collect::<Vec<_>>();
        for (tag, name, vr) in [
            (tags::STUDY_DATE, "00080020", "DA"),
            (tags::ACCESSION_NUMBER, "00080050", "SH"),
            (tags::STUDY_TIME, "00080030", "TM"),
            (tags::STUDY_DESCRIPTION, "00081030", "LO"),
            (tags::STUDY_ID, "00200010", "SH"),
            (tags::PATIENT_ID, "00100020", "LO"),
            (tags::PATIENT_BIRTH_DATE, "00100030", "DA"),
            (tags::PATIENT_SEX, "00100040", "CS"),
            (tags::STUDY_INSTANCE_UID, "0020000D", "UI"),
        ] {
            put(name, vr, strings(self.texts(tag)));
        }
        put("00080005", "CS", vec!["ISO_IR 192".into()]);
        put("00080056", "CS", vec!["ONLINE".into()]);
        for (tag, names) in [
            ("00100010", vec![header.patient.name.clone()]),
            ("00080090", self.texts(tags::REFERRING_PHYSICIAN_NAME)),
        ] {
            put(tag, "PN", names.iter().filter_map(|name| person(name)).collect());
        }
        let mut address = format!("{root}/studies/{}", header.study);
        if level == Level::Study {
            put("00080061", "CS", strings(self.modalities()));
            let mut series: Vec<&str> = self.0.iter().map(|i| i.header.series.as_str()).collect();
            series.sort_unstable();
            series.dedup();
            put("00201206", "IS", vec![series.len().into()]);
            put("00201208", "IS", vec![self.0.len().into()]);
        } else {
            put("00080060", "CS", vec![header.modality.clone().into()]);
            put("0008103E", "LO", strings(self.texts(tags::SERIES_DESCRIPTION)));
            put("0020000E", "UI", vec![header.series.to_string().into()]);
            put("00200011", "IS", header.series_number.into_iter().map(Value::from).collect());
            address = format!("{address}/series/{}", header.series);
        }
        if level == Level::Series {
            put("00201209", "IS", vec![self.0.len().into()]);
        }
        if level == Level::Instance {
            put("00080016", "UI", vec![header.sop_class.to_string().into()]);
            put("00080018", "UI", vec![header.sop_instance.to_string().into()]);
            put("00200013", "IS", header.instance_number.into_iter().map(Value::from).collect());
            put("00280010", "US", header.rows.into_iter().map(Value::from).collect());
            put("00280011", "US", header.columns.into_iter().map(Value::from).collect());
            put("00280008", "IS", vec![header.frames.into()]);
            address = format!("{address}/instances/{}", header.sop_instance);
        }
        put("00081190", "UR", vec![address.into()]);
        set.sort_keys();
        Value::Object(set)
    }
}
