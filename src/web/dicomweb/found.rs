//! One match of a search in the DICOM JSON model (PS3.18 tables 10.6.3-3 to 10.6.3-5): all that the
//! index knows at its level, whether asked for or not.

use crate::archive::Match;
use crate::archive::query::{KEYS, QueryLevel};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde_json::{Map, Value, json};

pub(super) fn answer(found: &Match, level: QueryLevel, root: &str) -> Value {
    let header = &found.header;
    let mut set = Map::new();
    let mut put = |tag: Tag, vr: VR, values: Vec<Value>| {
        let mut element = json!({ "vr": vr.to_string() });
        if !values.is_empty() {
            element["Value"] = values.into();
        }
        set.insert(format!("{:04X}{:04X}", tag.group(), tag.element()), element);
    };
    for key in KEYS.iter().filter(|key| key.attribute.level() <= level) {
        // Only a study has this one, below; what it stands for is a series' modality.
        if key.tag != tags::MODALITIES_IN_STUDY {
            let text = key.attribute.value(header);
            put(key.tag, key.vr, text.and_then(|text| value(key.vr, &text)).into_iter().collect());
        }
    }
    put(tags::SPECIFIC_CHARACTER_SET, VR::CS, vec!["ISO_IR 192".into()]);
    put(tags::INSTANCE_AVAILABILITY, VR::CS, vec!["ONLINE".into()]);
    let study = format!("{root}/studies/{}", header.study);
    let series = format!("{study}/series/{}", header.series);
    let address = match level {
        QueryLevel::Patient | QueryLevel::Study => {
            let modalities = found.modalities.iter().map(|m| m.as_str().into()).collect();
            put(tags::MODALITIES_IN_STUDY, VR::CS, modalities);
            put(tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, vec![found.series.into()]);
            put(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, vec![found.instances.into()]);
            study
        }
        QueryLevel::Series => {
            put(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, vec![found.instances.into()]);
            series
        }
        QueryLevel::Instance => format!("{series}/instances/{}", header.sop_instance),
    };
    put(tags::RETRIEVE_URL, VR::UR, vec![address.into()]);
    set.sort_keys();
    Value::Object(set)
}

/// Text of the index as the model writes it; `None` where nothing is left of it.
fn value(vr: VR, text: &str) -> Option<Value> {
    match vr {
        VR::PN => person(text),
        VR::IS | VR::US => text.parse::<i64>().ok().map(Value::from),
        _ => Some(text.into()),
    }
}

/// The groups of a name.
fn person(name: &str) -> Option<Value> {
    let groups = ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(name.split('='));
    let named: Map<String, Value> = groups
        .filter(|(_, text)| !text.is_empty())
        .map(|(group, text)| (group.to_owned(), text.into()))
        .collect();
    (!named.is_empty()).then_some(Value::Object(named))
}
